package command

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// newer are the rows that testdata/facts.tsv does not know: ours alone, or
// younger than Redis 7.4.
var newer = []string{
	"hgetex", "hsetex", "hgetdel", "sunioncard", "sdiffcard",
	"cas", "gets", "delex", "delifeq", "digest", "msetex", "increx",
	"client|maint_notifications", "lmovem", "blmovem", "xdelex", "xackdel",
	"closest", "region", "region|add", "region|digest", "region|drain", "region|frame", "region|help",
	"region|info", "region|list", "region|remove",
}

// internalFlags are in the facts but not in COMMAND's answer.
var internalFlags = []string{"sentinel", "protected", "may_replicate", "touches_arbitrary_keys", "asking"}

type fact struct {
	arity, group, since     string
	flags, acl, specs, tips []string
}

func readFacts(t *testing.T) map[string]fact {
	t.Helper()
	text, err := os.ReadFile("testdata/facts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	split := func(s, sep string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, sep)
	}
	facts := map[string]fact{}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 9 {
			t.Fatalf("%d columns: %q", len(f), line)
		}
		facts[strings.ReplaceAll(f[0], " ", "|")] = fact{
			arity: f[1], group: strings.ReplaceAll(f[2], "_", "-"), since: f[3],
			flags: split(f[5], "|"), acl: split(f[6], "|"), specs: split(f[7], ";"), tips: split(f[8], "|"),
		}
	}
	return facts
}

// eachRow visits rows and their subcommands.
func eachRow(t *testing.T, visit func(r *Row)) *Table {
	t.Helper()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Rows() {
		visit(r)
		for i := range r.Subs {
			visit(&r.Subs[i])
		}
	}
	return table
}

// specText renders a key spec as the facts do.
func specText(s *KeySpec) string {
	var flags []string
	for _, n := range s.Flags.names() {
		flags = append(flags, strings.ToUpper(n))
	}
	slices.Sort(flags)
	begin := fmt.Sprintf("index:%d", s.Index)
	find := fmt.Sprintf("range:%d:%d:%d", s.Last, s.Step, s.Limit)
	switch {
	case s.Unknown:
		begin, find = "unknown", "unknown"
	case s.CountStep > 0:
		find = fmt.Sprintf("keynum:%d:%d:%d", s.CountAt, s.FirstKey, s.CountStep)
	}
	if s.Keyword != "" {
		begin = fmt.Sprintf("keyword:%s:%d", s.Keyword, s.Index)
	}
	return begin + "," + find + "," + strings.Join(flags, "|")
}

// sortedSpec is a spec of the facts with its flags in order.
func sortedSpec(s string) string {
	i := strings.LastIndexByte(s, ',')
	flags := strings.Split(s[i+1:], "|")
	slices.Sort(flags)
	return s[:i+1] + strings.Join(flags, "|")
}

// TestFacts holds every row against the facts of Redis.
func TestFacts(t *testing.T) {
	facts := readFacts(t)
	sorted := func(list []string) string {
		list = slices.Clone(list)
		slices.Sort(list)
		return strings.Join(slices.Compact(list), " ")
	}
	met := 0
	eachRow(t, func(r *Row) {
		name := r.FullName()
		f, known := facts[name]
		if !known {
			if !slices.Contains(newer, name) {
				t.Errorf("%s: neither a fact nor newer", name)
			}
			return
		}
		met++
		check := func(what, have, want string) {
			if have != want {
				t.Errorf("%s: %s is %q, want %q", name, what, have, want)
			}
		}
		check("arity", fmt.Sprint(r.Arity), f.arity)
		check("group", r.Doc.Group, f.group)
		check("since", r.Doc.Since, f.since)
		flags := slices.DeleteFunc(slices.Clone(f.flags), func(n string) bool { return slices.Contains(internalFlags, n) })
		check("flags", sorted(r.Flags.names()), sorted(flags))
		check("categories", sorted(r.ACL.Names()), sorted(f.acl))
		check("tips", sorted(r.Doc.Tips), sorted(f.tips))
		var have, want []string
		for i := range r.Keys {
			have = append(have, specText(&r.Keys[i]))
		}
		for _, s := range f.specs {
			want = append(want, sortedSpec(s))
		}
		check("key specs", strings.Join(have, " "), strings.Join(want, " "))
	})
	if met < 90 {
		t.Errorf("only %d rows were compared", met)
	}
	for _, name := range newer {
		if _, known := facts[name]; known {
			t.Errorf("%s is a fact, and listed as newer", name)
		}
	}
}

// TestDocumented checks what redis-cli's hints and the manual need.
func TestDocumented(t *testing.T) {
	var checkArgs func(r *Row, args []Arg)
	checkArgs = func(r *Row, args []Arg) {
		for i := range args {
			a := &args[i]
			switch {
			case a.Name == "" || a.Type == "":
				t.Errorf("%s: argument %d has no name or type", r.FullName(), i)
			case a.Type == ArgToken && a.Token == "":
				t.Errorf("%s: %s is a token without text", r.FullName(), a.Name)
			case a.nested() != (len(a.Args) > 0):
				t.Errorf("%s: %s is %s with %d arguments", r.FullName(), a.Name, a.Type, len(a.Args))
			case a.Type == ArgKey && a.KeySpec >= len(r.Keys):
				t.Errorf("%s: %s has no key spec %d", r.FullName(), a.Name, a.KeySpec)
			}
			checkArgs(r, a.Args)
		}
	}
	eachRow(t, func(r *Row) {
		if r.Doc.Complexity == "" || !strings.HasSuffix(r.Doc.Summary, ".") {
			t.Errorf("%s: no complexity, or its summary %q is no sentence", r.FullName(), r.Doc.Summary)
		}
		if len(r.Doc.Args) == 0 && r.Arity < -1 && len(r.Subs) == 0 && r.Name != "debug" {
			t.Errorf("%s: takes arguments and documents none", r.FullName())
		}
		checkArgs(r, r.Doc.Args)
	})
}

// TestBuildRefuses lists faulty rows that a table must not start with.
func TestBuildRefuses(t *testing.T) {
	good := func() Row {
		return Row{
			Name: "x", Arity: 2, Flags: ReadOnly, Keys: One(RO), Run: func(*Ctx) {},
			Doc: Doc{Summary: "s", Since: "1.0.0", Group: "generic"},
		}
	}
	if _, err := build([]Row{good()}); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Row){
		"lower case":      func(r *Row) { r.Name = "X" },
		"no arity":        func(r *Row) { r.Arity = 0 },
		"neither handler": func(r *Row) { r.Run = nil },
		"readonly":        func(r *Row) { r.Flags |= Write },
		"denyoom":         func(r *Row) { r.Flags |= DenyOOM },
		"world":           func(r *Row) { r.Flags |= World | Walk },
		"keys without":    func(r *Row) { r.Flags = 0 },
		"undocumented":    func(r *Row) { r.Doc.Since = "" },
		"outside":         func(r *Row) { r.Arity = 1 },
		"two rows":        func(r *Row) { r.Subs = []Row{good(), good()} },
	} {
		r := good()
		spoil(&r)
		if _, err := build([]Row{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := build([]Row{good()}, []Row{good()}); err == nil {
		t.Error("the same name in two groups")
	}
}

// TestLookup checks names in any case, containers, and the errors.
func TestLookup(t *testing.T) {
	table := eachRow(t, func(*Row) {})
	words := func(line string) [][]byte {
		var ws [][]byte
		for _, w := range strings.Fields(line) {
			ws = append(ws, []byte(w))
		}
		return ws
	}
	for line, want := range map[string]string{
		"GeT a":                  "get",
		"cOnFiG GET a":           "config|get",
		"command":                "command",
		"command count":          "command|count",
		"config":                 "ERR wrong number of arguments for 'config' command",
		"config nope":            "ERR unknown subcommand 'nope'. Try CONFIG HELP.",
		"config get":             "ERR wrong number of arguments for 'config|get' command",
		"get":                    "ERR wrong number of arguments for 'get' command",
		"get a b":                "ERR wrong number of arguments for 'get' command",
		"config|get a":           "ERR unknown command 'config|get', with args beginning with: 'a' ",
		strings.Repeat("a", 200): "ERR unknown command '" + strings.Repeat("a", 128) + "', with args beginning with: ",
	} {
		r, err := table.Lookup(words(line))
		have := string(err)
		if err == "" {
			have = r.FullName()
		}
		if have != want {
			t.Errorf("%s: %q, want %q", line, have, want)
		}
	}
	for name, want := range map[string]string{
		"get": "get", "CONFIG|GET": "config|get", "config": "config", "config|get|x": "", "get|x": "", "": "", "|": "",
	} {
		have := ""
		if r := table.Find(name); r != nil {
			have = r.FullName()
		}
		if have != want {
			t.Errorf("Find %q: %q, want %q", name, have, want)
		}
	}
}

// TestLegacyRange checks what clients that predate key specs are told.
func TestLegacyRange(t *testing.T) {
	type legacy struct {
		first, last, step int
		movable           bool
	}
	count := Counted(1, 1, RO)
	incomplete := At(3, RW|Incomplete)
	for name, c := range map[string]struct {
		specs []KeySpec
		want  legacy
	}{
		"none":         {nil, legacy{}},
		"one":          {One(RO), legacy{1, 1, 1, false}},
		"pairs":        {[]KeySpec{From(1, 2, OW)}, legacy{1, -1, 2, false}},
		"consecutive":  {[]KeySpec{At(1, RW), At(2, OW)}, legacy{1, 2, 1, false}},
		"open end":     {[]KeySpec{At(2, OW), From(3, 1, RO)}, legacy{2, -1, 1, false}},
		"counted":      {[]KeySpec{count}, legacy{0, 0, 0, true}},
		"and counted":  {[]KeySpec{At(1, OW), count}, legacy{1, 1, 1, true}},
		"not in a row": {[]KeySpec{At(1, OW), At(4, RO)}, legacy{1, 1, 1, true}},
		"incomplete":   {[]KeySpec{incomplete}, legacy{3, 3, 1, true}},
		"keyword":      {[]KeySpec{{Keyword: "STREAMS", Index: 1, Last: -1, Step: 1, Limit: 2}}, legacy{0, 0, 0, true}},
		"unknown":      {[]KeySpec{At(1, RO), {Unknown: true}}, legacy{1, 1, 1, true}},
	} {
		var have legacy
		have.first, have.last, have.step, have.movable = legacyRange(c.specs)
		if have != c.want {
			t.Errorf("%s: %+v, want %+v", name, have, c.want)
		}
	}
}

// TestFits: a row that fits is the one that Lookup finds.
func TestFits(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	fits := 0
	for _, line := range []string{
		"get k", "GET k", "gEt k", "get", "get k k", "gat k", "gets k", "ge k", "config get x", "config", "xinfo stream s", "ping", "", "set k v ex 1", "@et k",
	} {
		var args [][]byte
		for _, word := range strings.Split(line, " ") {
			args = append(args, []byte(word))
		}
		found, rejection := table.Lookup(args)
		for _, r := range table.Rows() {
			if !r.Fits(args) {
				continue
			}
			if fits++; r != found || rejection != "" {
				t.Errorf("%q fits %s: %v, %s", line, r.Name, found, rejection)
			}
		}
	}
	if fits != 6 { // the first three, GETS, PING and SET
		t.Errorf("%d lines fit", fits)
	}
}

// TestPlainKeys: where keys are found without a look at the specs they are the
// same ones.
func TestPlainKeys(t *testing.T) {
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	plain := 0
	for _, r := range table.Rows() {
		if !r.plainKeys {
			continue
		}
		plain++
		for n := max(r.Arity, -r.Arity); n < 9; n++ {
			args := [][]byte{[]byte(r.Name), []byte("1"), []byte("2"), []byte("3"), []byte("4"), []byte("5"), []byte("6"), []byte("7"), []byte("8")}[:n]
			c := Ctx{Row: r, Args: args}
			var got, want []string
			for _, k := range c.Scope(nil) {
				got = append(got, string(k.Name))
			}
			at, _ := r.KeyIndexes(nil, args)
			for _, k := range at {
				want = append(want, string(args[k.Index]))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s with %d words: keys %v, want %v", r.Name, n, got, want)
			}
		}
	}
	if plain < 100 {
		t.Errorf("only %d rows have plain keys", plain)
	}
}
