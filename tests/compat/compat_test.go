package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const output = `[ready]: 4711
[ok]: SET and GET an item (3 ms)
[ignore]: Big: large memory flag not provided
[err]: MGET in tests/unit/type/string.tcl
Expected 'a'
 to equal 'b'
[skip]: SETNX
[err]: DEL in tests/unit/type/string.tcl
n command 'x'
ERR unknown command 'x'
    while executing
"r x"
[TIMEOUT]: clients state report follows.
[1/1 done]: unit/type/string (3 seconds)

                   The End
[err]: no test at all
                   The End
ignored
`

func TestParse(t *testing.T) {
	p := parser{unit: "unit/type/string"}
	for _, piece := range strings.SplitAfter(output, " ") {
		if _, err := p.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	want := result{passed: 1, skipped: 2, names: []string{"SETNX"}, failures: []string{
		"MGET in tests/unit/type/string.tcl\nExpected 'a'\n to equal 'b'",
		"DEL in tests/unit/type/string.tcl\nn command 'x'\nERR unknown command 'x'",
		"no test ended for a while, after: [err]: DEL in tests/unit/type/string.tcl", "no test at all",
	}}
	if got := p.end(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLists(t *testing.T) {
	if _, _, err := readLists("."); err != nil {
		t.Error(err)
	}
	const units = "# units\nunit/a\n\nunit/b\n"
	for _, c := range []struct{ skipped, err string }{
		{"unit/a\tsome test\tserver-surface: SLOWLOG", ""},
		{"unit/a\t/^some (test|thing)$\tinternals: sizes of tables", ""},
		{"unit/a\tsome test\tserver-surface", "not one of"},
		{"unit/a\tsome test\tdifficult: really", "not one of"},
		{"unit/a\tsome test", "three columns"},
		{"unit/a\t/(\tinternals: x", "missing closing"},
		{"unit/c\tsome test\tinternals: x", "not in units.txt"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"units.txt": units, "skipped.txt": c.skipped + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, skips, err := readLists(dir)
		switch {
		case c.err == "" && (err != nil || len(got) != 2 || len(skips["unit/a"]) != 1):
			t.Errorf("%q: %v, %v, %v", c.skipped, got, skips, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error %v, want %q", c.skipped, err, c.err)
		}
	}
}

func TestUnusedSkips(t *testing.T) {
	skips := []skip{{test: "one"}, {test: "/^t(wo|en)$"}, {test: "three"}, {test: "tag:slow"}}
	got := unused(skips, []string{"one", "ten"})
	if len(got) != 1 || !strings.Contains(got[0], "three") {
		t.Errorf("got %q", got)
	}
}
