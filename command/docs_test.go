package command

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/COMMANDS.md")

// TestManual checks that docs/COMMANDS.md is what the table says.
func TestManual(t *testing.T) {
	const file = "../docs/COMMANDS.md"
	want := manual(eachRow(t, func(*Row) {}))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || string(have) != want {
		t.Errorf("%s is not what the table generates (%v): run go test ./command -update", file, err)
	}
}

// manual is the text of docs/COMMANDS.md: groups and commands in order of name.
func manual(t *Table) string {
	groups := map[string][]*Row{}
	for _, r := range t.Rows() {
		groups[r.Doc.Group] = append(groups[r.Doc.Group], r)
	}
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)

	var b strings.Builder
	b.WriteString(`# Commands

Generated from the command table. The version is the Redis release that brought the command; those of group
region, and GETS and CAS, are geocache's own. What COMMAND DOCS answers is the same.

In the syntax, words in capitals stand for themselves, [brackets] may be left out, <A | B> is a choice, and
what stands before "..." may be repeated.
`)
	b.WriteString("\n| group | commands |\n|---|---|\n")
	for _, name := range names {
		slices.SortFunc(groups[name], func(x, y *Row) int { return strings.Compare(x.Name, y.Name) })
		var links []string
		for _, r := range groups[name] {
			links = append(links, fmt.Sprintf("[%s](#%s)", strings.ToUpper(r.Name), r.Name))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(links, " "))
	}
	for _, name := range names {
		fmt.Fprintf(&b, "\n## %s\n", strings.ToUpper(name[:1])+name[1:])
		for _, r := range groups[name] {
			fmt.Fprintf(&b, "\n### %s\n", strings.ToUpper(r.Name))
			if r.Run != nil {
				entry(&b, r)
			} else {
				fmt.Fprintf(&b, "\n%s\n", r.Doc.Summary)
			}
			for i := range r.Subs {
				entry(&b, &r.Subs[i])
			}
		}
	}
	return b.String()
}

func entry(b *strings.Builder, r *Row) {
	d := &r.Doc
	fmt.Fprintf(b, "\n`%s`\n\n%s\n", r.Syntax(), d.Summary)
	if d.DeprecatedSince != "" {
		fmt.Fprintf(b, "Deprecated since %s: use %s.\n", d.DeprecatedSince, d.ReplacedBy)
	}
	var cats []string
	for _, c := range r.Categories().Names() {
		cats = append(cats, "@"+c)
	}
	facts := []string{"since " + d.Since, d.Complexity}
	if flags := r.Flags.names(); len(flags) > 0 {
		facts = append(facts, strings.Join(flags, " "))
	}
	fmt.Fprintf(b, "\n- %s\n", strings.Join(append(facts, strings.Join(cats, " ")), "; "))
	for _, h := range d.History {
		fmt.Fprintf(b, "- %s: %s\n", h.Version, h.Change)
	}
}
