package command

import (
	"strings"
	"testing"

	"geocache/engine"
)

// TestRestoreKeepsItsTime: default-ttl and max-ttl are for what commands make
// here, not for what comes from elsewhere.
func TestRestoreKeepsItsTime(t *testing.T) {
	h := newHarness(t)
	h.do("RPUSH l 3 1 2")
	list := h.exec([]string{"DUMP", "l"})[0].Text
	h.do("SET s text")
	text := h.exec([]string{"DUMP", "s"})[0].Text
	h.configure(func(p *engine.Params) { p.DefaultTTLMs, p.MaxTTLMs = 1000, 5000 })
	for _, payload := range []string{list, text} {
		if got := h.doArgs("RESTORE", "r", "0", payload, "REPLACE"); got != "+OK" {
			t.Fatal(got)
		}
		h.run([]step{{"PTTL r", ":-1"}})
		h.doArgs("RESTORE", "r", "60000", payload, "REPLACE")
		h.run([]step{{"PTTL r", ":60000"}})
	}
	h.run([]step{
		{"SORT l STORE sorted", ":3"},
		{"PTTL sorted", ":1000"},
		{"PEXPIRE r 60000", ":1"}, // a command of this region
		{"PTTL r", ":5000"},
	})
}

// TestSortAcrossKeys: elements lead to keys that the request does not name.
func TestSortAcrossKeys(t *testing.T) {
	h := newHarness(t)
	for i := range 50 {
		n := string(rune('a'+i%26)) + string(rune('a'+i/26))
		h.do("RPUSH l " + n)
		h.do("SET w_" + n + " " + string(rune('0'+i%10)))
	}
	h.do("SET w_aa -1")
	h.do("HSET o_ab f found")
	h.run([]step{
		{"SORT l BY w_* LIMIT 0 1 GET # GET w_* GET none_*", `["aa", "-1", nil]`},
		{"SORT_RO l BY nosort LIMIT 26 1 GET o_*->f", `["found"]`},
	})
	if got := h.exec([]string{"RPUSH", "l", "zz"}, []string{"SORT", "l", "BY", "w_*", "LIMIT", "0", "1"}); got[1].String() != `["aa"]` {
		t.Error(got[1])
	}
}

// TestPatternsNeedTheWorld: only where there are any.
func TestPatternsNeedTheWorld(t *testing.T) {
	h := newHarness(t)
	for request, want := range map[string]bool{
		"SORT l": false, "SORT l BY nosort GET #": false, "SORT l BY w_*": true, "SORT_RO l GET o_*->f": true, "SORT l STORE d": false,
	} {
		c, fail := h.ctx(strings.Fields(request)...)
		if fail != "" || c.NeedsWorld() != want {
			t.Errorf("%s: %v, %s", request, !want, fail)
		}
	}
}
