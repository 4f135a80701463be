package command

import (
	"fmt"
	"strconv"
	"testing"
)

func TestScanArguments(t *testing.T) {
	h := newHarness(t)
	const invalid, syntax, notInt = "-ERR invalid cursor", "-ERR syntax error", "-ERR value is not an integer or out of range"
	none := `["0", []]`
	h.run([]step{
		{"SCAN x COUNT 0", invalid},
		{"SCAN 18446744073709551616", invalid},
		{"SCAN -18446744073709551616", invalid},
		{"SCAN +", invalid},
		{"SCAN 1x", invalid},
		{`SCAN ""`, none},
		{"SCAN +0", none},
		{"SCAN 000", none},
		{"SCAN 0 COUNT", syntax},
		{"SCAN 0 COUNT 0", syntax},
		{"SCAN 0 COUNT -1", syntax},
		{"SCAN 0 COUNT x foo", notInt},
		{"SCAN 0 foo bar", syntax},
		{"SCAN 0 MATCH", syntax},
		{"SCAN 0 TYPE nonsense", none},
		{"SET key:1 v", "+OK"},
		{"SCAN 0 COUNT 9223372036854775807", `["0", ["key:1"]]`},
		{"SCAN 0 COUNT 100 TYPE STRING MATCH key:?", `["0", ["key:1"]]`},
		{"SCAN 0 COUNT 100 TYPE hash", none},
		{"SCAN 0 COUNT 100 TYPE nonsense", none},
		{"SCAN 0 COUNT 100 MATCH other*", none},
	})
	if got := h.doArgs("SCAN", " 0"); got != invalid {
		t.Errorf("a cursor with a leading space: %s", got)
	}
	if got := h.doArgs("SCAN", "0\x00x", "COUNT", "100"); got != `["0", ["key:1"]]` {
		t.Errorf("a cursor that ends at NUL: %s", got)
	}
	// A cursor nobody handed out is harmless.
	for _, cursor := range []string{"-1", "18446744073709551615", "12345678901234567890", "7"} {
		if got := h.do("SCAN " + cursor); got[0] != '[' {
			t.Errorf("SCAN %s: %s", cursor, got)
		}
	}
}

// scanAll scans to the end, calling between after every reply.
func scanAll(h *harness, request string, between func(round int)) map[string]int {
	h.t.Helper()
	seen := map[string]int{}
	for cursor, round := "0", 0; ; round++ {
		v := h.exec([]string{"SCAN", cursor, "COUNT", request})[0]
		if len(v.Elems) != 2 {
			h.t.Fatalf("SCAN: %s", v)
		}
		for _, e := range v.Elems[1].Elems {
			seen[e.Text]++
		}
		if cursor = v.Elems[0].Text; cursor == "0" {
			return seen
		}
		if round > 1_000_000 {
			h.t.Fatal("SCAN does not end")
		}
		between(round)
	}
}

func setKeys(h *harness, prefix string, from, to int) {
	for i := from; i < to; i++ {
		h.doArgs("SET", prefix+strconv.Itoa(i), "v")
	}
}

func TestScanWhileGrowing(t *testing.T) {
	for _, count := range []string{"1", "10", "100"} {
		h := newHarness(t)
		setKeys(h, "stay:", 0, 500)
		seen := scanAll(h, count, func(round int) {
			if round < 200 {
				setKeys(h, "new:", round*40, round*40+40)
			}
		})
		for i := range 500 {
			if seen[fmt.Sprintf("stay:%d", i)] == 0 {
				t.Fatalf("COUNT %s: stay:%d was never returned while the table grew", count, i)
			}
		}
	}
}

func TestScanWhileShrinking(t *testing.T) {
	for _, count := range []string{"1", "10", "100"} {
		h := newHarness(t)
		setKeys(h, "stay:", 0, 200)
		setKeys(h, "go:", 0, 8000)
		seen := scanAll(h, count, func(round int) {
			for i := round * 100; i < round*100+100 && i < 8000; i++ {
				h.doArgs("DEL", "go:"+strconv.Itoa(i))
			}
		})
		for i := range 200 {
			if seen[fmt.Sprintf("stay:%d", i)] == 0 {
				t.Fatalf("COUNT %s: stay:%d was never returned while the table shrank", count, i)
			}
		}
	}
}

func TestScanAtRestReturnsEachKeyOnce(t *testing.T) {
	h := newHarness(t)
	setKeys(h, "k:", 0, 3000)
	seen := scanAll(h, "7", func(int) {})
	if len(seen) != 3000 {
		t.Fatalf("%d keys of 3000", len(seen))
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", k, n)
		}
	}
}

func TestScanCountBoundsTheReply(t *testing.T) {
	h := newHarness(t)
	setKeys(h, "k:", 0, 3000)
	for cursor := "0"; ; {
		v := h.exec([]string{"SCAN", cursor, "COUNT", "50"})[0]
		if n := len(v.Elems[1].Elems); n > 100 {
			t.Fatalf("COUNT 50 returned %d keys", n)
		}
		if cursor = v.Elems[0].Text; cursor == "0" {
			break
		}
	}
}

func TestKeysAndRandomKey(t *testing.T) {
	h, _ := keysHarness(t)
	h.run([]step{{"KEYS *", "[]"}, {"RANDOMKEY", "nil"}, {"DBSIZE", ":0"}})
	setKeys(h, "k:", 0, 300)
	h.do("SET gone v PXAT " + ms(10))
	h.clock.Advance(10)
	v := h.exec([]string{"KEYS", "*"})[0]
	seen := map[string]bool{}
	for _, e := range v.Elems {
		seen[e.Text] = true
	}
	if len(v.Elems) != 300 || len(seen) != 300 || seen["gone"] {
		t.Errorf("KEYS *: %d keys, %d different", len(v.Elems), len(seen))
	}
	h.run([]step{{"KEYS k:299", `["k:299"]`}, {"KEYS k:29[^0-8]", `["k:299"]`}, {"KEYS gone", "[]"}})
	drawn := map[string]bool{}
	for range 3000 {
		drawn[h.do("RANDOMKEY")] = true
	}
	if len(drawn) < 200 || drawn[`"gone"`] {
		t.Errorf("RANDOMKEY drew %d of 300 keys", len(drawn))
	}
	h.do("FLUSHDB")
	if got := h.doArgs("SET", "", "v"); got != "+OK" {
		t.Fatal(got)
	}
	h.run([]step{{"KEYS *", `[""]`}, {"KEYS **", "[]"}, {"SCAN 0 COUNT 100 MATCH *", `["0", [""]]`}, {"RANDOMKEY", `""`}})
}

// TestRandomKeyAmongExpired draws the one live key among many that have
// expired.
func TestRandomKeyAmongExpired(t *testing.T) {
	h := newHarness(t)
	for i := range 2000 {
		h.do(fmt.Sprintf("SET k:%d v PXAT %s", i, ms(10)))
	}
	h.do("SET live v")
	h.clock.Advance(10)
	for range 20 {
		if got := h.do("RANDOMKEY"); got != `"live"` {
			t.Fatalf("RANDOMKEY: %s", got)
		}
	}
	h.do("DEL live")
	if got := h.do("RANDOMKEY"); got != "nil" {
		t.Errorf("RANDOMKEY with expired keys only: %s", got)
	}
}
