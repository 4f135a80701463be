package config

import (
	"fmt"
	"strings"
)

// exampleWidth is where documentation wraps in redis.conf.example.
const exampleWidth = 100

// Example returns the text of redis.conf.example: every parameter with its
// documentation and default, commented out; only bind is set, to loopback.
func Example() string {
	var b strings.Builder
	b.WriteString(`# geocache configuration. Generated from the table in package config; do not edit
# in the repository: copy it.
#
#   geocache server geocache.conf --port 7000
#
# Every parameter stands here with its default, commented out, unless a line says
# otherwise. Sizes take units: 1k is 1000 bytes, 1kb is 1024; likewise m, mb, g, gb.
# Values with spaces go in quotes. A later line wins over an earlier one; lines of
# save and sibling add up. GEOCACHE_MAXMEMORY=1gb in the environment wins over this
# file, --maxmemory 1gb on the command line over both.
#
# Other files are read where an include line stands; patterns are allowed:
# include conf.d/*.conf
`)
	t := newTable()
	def := t.defaults()
	group := ""
	for _, p := range t.params {
		if p.Flags&Hidden != 0 {
			continue
		}
		if p.Group != group {
			group = p.Group
			fmt.Fprintf(&b, "\n%s\n# %s\n%s\n", strings.Repeat("#", 80), group, strings.Repeat("#", 80))
		}
		b.WriteByte('\n')
		for _, line := range wrap(p.text(), exampleWidth-2) {
			b.WriteString("# " + line + "\n")
		}
		if p.Name == "bind" {
			b.WriteString("# Default: bind * -::*\nbind 127.0.0.1 -::1\n")
			continue
		}
		for _, arguments := range p.exampleLines(def) {
			fmt.Fprintf(&b, "# %s %s\n", p.Name, arguments)
		}
	}
	return b.String()
}

// exampleLines is the default as file lines, or the example where the default
// is nothing.
func (p *Param) exampleLines(def *Snapshot) []string {
	if p.Example != "" {
		return []string{p.Example}
	}
	if lines := p.value.lines(def); len(lines) > 0 {
		return lines
	}
	return []string{`""`}
}

// Docs returns docs/CONFIG.md.
func Docs() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Generated from the table in package config. A parameter is set in a file in Redis' syntax, as
` + "`GEOCACHE_NAME=value`" + ` in the environment (underscores for dashes), or as ` + "`--name value`" + ` on the command
line; each wins over the one before. CONFIG SET changes those marked *run time*, CONFIG REWRITE writes them back.
Parameters marked *start* accept CONFIG SET to the value they have. Those marked *protected* need
enable-protected-configs as well.
`)
	group := ""
	for _, p := range newTable().params {
		if p.Flags&Hidden != 0 {
			continue
		}
		if p.Group != group {
			group = p.Group
			fmt.Fprintf(&b, "\n## %s\n\n| name | type | default | set at | what it does |\n|---|---|---|---|---|\n", group)
		}
		name := "`" + p.Name + "`"
		for _, alias := range p.Aliases {
			name += " (`" + alias + "`)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, cell(p.Type), cell(codeOrNothing(p.Default)), p.when(), cell(p.text()))
	}
	return b.String()
}

// text is Doc, with a word before the reasons of those that do nothing.
func (p *Param) text() string {
	if p.Effect == EffectNone {
		return "Without effect. " + p.Doc
	}
	return p.Doc
}

func (p *Param) when() string {
	switch {
	case p.Flags&Immutable != 0:
		return "start"
	case p.Flags&Protected != 0:
		return "run time, protected"
	}
	return "run time"
}

func codeOrNothing(v string) string {
	if v == "" {
		return ""
	}
	return "`" + v + "`"
}

// cell escapes what would end a cell of a Markdown table.
func cell(v string) string { return strings.ReplaceAll(v, "|", `\|`) }

// wrap breaks text at spaces; a longer word keeps its length.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
