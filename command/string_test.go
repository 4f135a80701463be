package command

import (
	"math/rand/v2"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/config"
	"geocache/engine"
	"geocache/resp"
)

// What Redis answers to every option and error stands in conformance/string.txt;
// here is what a script cannot see: time, configuration, tokens, rollback.

func TestStringDeadlines(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"SET k v EX 10", "+OK"},
		{"PEXPIRETIME k", ":" + ms(10_000)},
		{"SET k v PX 1500", "+OK"},
		{"PEXPIRETIME k", ":" + ms(1500)},
		{"SET k w KEEPTTL", "+OK"},
		{"PEXPIRETIME k", ":" + ms(1500)},
		{"SET k w PX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
		{"GETEX k PX 2000", `"w"`},
		{"PEXPIRETIME k", ":" + ms(2000)},
		{"APPEND k x", ":2"},
		{"SETRANGE k 0 y", ":2"},
		{"PEXPIRETIME k", ":" + ms(2000)},
		{"GETSET k 1", `"yx"`},
		{"PEXPIRETIME k", ":-1"},
		{"SETEX k 2 1", "+OK"},
		{"INCR k", ":2"},
		{"INCRBYFLOAT k 1.5", `"3.5"`},
		{"PEXPIRETIME k", ":" + ms(2000)},
		{"MSETEX 2 k a l b PX 700", ":1"},
		{"PEXPIRETIME l", ":" + ms(700)},
	})
	h.clock.Advance(699)
	h.run([]step{{"GET l", `"b"`}, {"SET l x XX GET KEEPTTL", `"b"`}})
	h.clock.Advance(1)
	h.run([]step{
		{"GET l", "nil"},
		{"STRLEN k", ":0"},
		{"GETDEL k", "nil"},
		{"SET l x XX", "nil"},
		{"SETNX l y", ":1"},
		{"PEXPIRETIME l", ":-1"},
		{"INCR k", ":1"},
		{"PEXPIRETIME k", ":-1"},
	})
}

func TestDefaultTTL(t *testing.T) {
	h := newHarness(t)
	h.do("SET old v")
	h.configure(func(p *engine.Params) { p.DefaultTTLMs = 60_000 })
	def := ":" + ms(60_000)
	// A command that makes a key, or replaces its value whole, and says no
	// deadline.
	for _, make := range []string{
		"SET k v", "SET k v GET", "SETNX k v", "GETSET k v", "MSET k v", "MSETNX k v", "MSETEX 1 k v", "CAS k 0 v",
		"APPEND k v", "SETRANGE k 3 v", "INCR k", "DECRBY k 4", "INCRBYFLOAT k 1.5", "INCREX k", "INCREX k BYFLOAT 1.5",
	} {
		h.do("DEL k")
		h.do(make)
		if got := h.do("PEXPIRETIME k"); got != def {
			t.Errorf("%s left deadline %s, want %s", make, got, def)
		}
	}
	h.run([]step{
		{"SET k v PX 5", "+OK"}, {"PEXPIRETIME k", ":" + ms(5)},
		{"SET k v KEEPTTL", "+OK"}, {"PEXPIRETIME k", ":" + ms(5)},
		{"SET k v", "+OK"}, {"PEXPIRETIME k", def},
		{"GETEX k PERSIST", `"v"`}, {"PEXPIRETIME k", ":-1"},
		{"APPEND k w", ":2"}, {"PEXPIRETIME k", ":-1"},
		{"SET old w KEEPTTL", "+OK"}, {"PEXPIRETIME old", ":-1"},
		{"SET made v KEEPTTL", "+OK"}, {"PEXPIRETIME made", def}, // nothing to keep
		{"INCREX n PX 7", "[:1, :1]"}, {"PEXPIRETIME n", ":" + ms(7)},
	})
}

func TestMaxTTL(t *testing.T) {
	h := newHarness(t)
	h.configure(func(p *engine.Params) { p.MaxTTLMs = 60_000 })
	limit := ":" + ms(60_000)
	for _, make := range []string{
		"SET k v", "SET k v EX 61", "SET k v EXAT 33177117420", "SETEX k 100 v", "PSETEX k 60001 v", "MSET k v",
		"MSETEX 1 k v EX 100", "CAS k 0 v EX 100", "APPEND k v", "INCR k", "INCRBYFLOAT k 1", "INCREX k EX 100", "SET k v KEEPTTL",
	} {
		h.do("DEL k")
		h.do(make)
		if got := h.do("PEXPIRETIME k"); got != limit {
			t.Errorf("%s left deadline %s, want %s", make, got, limit)
		}
	}
	h.run([]step{
		{"SET k v PX 59999", "+OK"}, {"PEXPIRETIME k", ":" + ms(59_999)},
		{"GETEX k PERSIST", `"v"`}, {"PEXPIRETIME k", limit},
		{"GETEX k EX 100", `"v"`}, {"PEXPIRETIME k", limit},
		{"GETEX k PX 3", `"v"`}, {"PEXPIRETIME k", ":" + ms(3)},
	})
	h.configure(func(p *engine.Params) { p.DefaultTTLMs = 90_000 })
	h.run([]step{{"SET k v", "+OK"}, {"PEXPIRETIME k", limit}})
}

func TestStringLimit(t *testing.T) {
	h := newHarness(t)
	if err := h.config.Set([]config.Pair{{Name: "proto-max-bulk-len", Value: "1mb"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	const tooLong = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	h.run([]step{
		{"SETRANGE k 1048575 x", ":1048576"},
		{"SETRANGE k 1048576 x", tooLong},
		{"SETRANGE k 1048575 xy", tooLong},
		{"SETRANGE k 9223372036854775807 x", tooLong},
		{`SETRANGE k 9223372036854775807 ""`, ":1048576"},
		{"APPEND k x", tooLong},
		{`APPEND k ""`, ":1048576"},
		{"STRLEN k", ":1048576"},
		{"SET a 1", "+OK"}, {"SETRANGE a 524287 x", ":524288"},
		{"LCS k a LEN", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"},
		{"LCS k a IDX LEN", "-ERR If you want both the length and indexes, please just use IDX."},
		{"LCS k missing LEN", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"},
		{"SETRANGE b 100000 x", ":100001"},
		{"LCS b missing LEN", ":0"},
	})
	// An argument that is longer than the limit was read before it changed:
	// as in Redis only a string that is there makes APPEND check.
	if got := h.doArgs("APPEND", "fresh", strings.Repeat("x", 2<<20)); got != ":2097152" {
		t.Errorf("APPEND to a missing key: %s", got)
	}
}

// token is the token that a reply of GETS or CAS holds.
func token(t *testing.T, v resp.Value) string {
	t.Helper()
	if v.Kind == '*' {
		v = v.Elems[1]
	}
	if _, ok := clock.ParseToken([]byte(v.Text)); !ok || v.Text == placeholder {
		t.Fatalf("%s is no token", v)
	}
	return v.Text
}

func TestCAS(t *testing.T) {
	for name, merging := range map[string]bool{"alone": false, "with siblings": true} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.configure(func(p *engine.Params) { p.Merging = merging })
			gets := func() string { t.Helper(); return token(t, h.exec([]string{"GETS", "k"})[0]) }
			cas := func(args ...string) resp.Value { return h.exec(append([]string{"CAS", "k"}, args...))[0] }

			t1 := token(t, cas("0", "a"))
			if t1 != gets() {
				t.Error("CAS did not answer the token that GETS shows")
			}
			if v := cas("0", "b"); !v.IsNull() {
				t.Errorf("CAS 0 on a key that is there: %s", v)
			}
			t2 := token(t, cas(t1, "b"))
			if t2 == t1 || t2 != gets() {
				t.Errorf("tokens %s, %s, %s", t1, t2, gets())
			}
			if v := cas(t1, "c"); !v.IsNull() {
				t.Errorf("CAS with an old token: %s", v)
			}
			if v := cas(strings.ToUpper(t2), "c"); v.IsNull() {
				t.Error("tokens are case sensitive")
			}
			// Every write of the value gives a new token, also with the same
			// value; deadlines do not touch it.
			for _, write := range []string{"SET k 1", "SET k 1", "APPEND k 1", "SETRANGE k 0 2", "INCR k", "INCRBY k 0", "INCRBYFLOAT k 1", "GETSET k 1", "INCREX k"} {
				before := gets()
				h.do(write)
				if gets() == before {
					t.Errorf("%s kept the token", write)
				}
				if v := cas(before, "1"); !v.IsNull() {
					t.Errorf("CAS after %s: %s", write, v)
				}
			}
			before := gets()
			for _, other := range []string{"EXPIRE k 100", "GETEX k PERSIST", "GET k", "SET k 5 NX", "SET k 5 IFEQ nope"} {
				h.do(other)
				if gets() != before {
					t.Errorf("%s changed the token", other)
				}
			}
			// A counter's token is good for CAS.
			h.do("SET k 5")
			h.do("INCR k")
			if v := cas(gets(), "7"); v.IsNull() {
				t.Error("CAS with a counter's token failed")
			}
			// A key made anew does not take an old token.
			before = gets()
			h.do("DEL k")
			if v := cas(before, "x"); !v.IsNull() {
				t.Errorf("CAS on a missing key: %s", v)
			}
			h.do("SET k 7")
			if v := cas(before, "x"); !v.IsNull() {
				t.Errorf("CAS on a new key: %s", v)
			}
			// Deadlines.
			h.do("SET k 7 PX 100")
			if v := cas(gets(), "8", "KEEPTTL"); v.IsNull() || h.do("PEXPIRETIME k") != ":"+ms(100) {
				t.Errorf("CAS KEEPTTL: %s, %s", v, h.do("PEXPIRETIME k"))
			}
			if v := cas(gets(), "8", "EX", "5"); v.IsNull() || h.do("PEXPIRETIME k") != ":"+ms(5000) {
				t.Errorf("CAS EX: %s, %s", v, h.do("PEXPIRETIME k"))
			}
			if v := cas(gets(), "8"); v.IsNull() || h.do("PEXPIRETIME k") != ":-1" {
				t.Errorf("CAS: %s, %s", v, h.do("PEXPIRETIME k"))
			}
			h.do("SET k 7 PX 100")
			before = gets()
			h.clock.Advance(100)
			if v := cas(before, "8"); !v.IsNull() {
				t.Errorf("CAS on an expired key: %s", v)
			}
			if v := cas("0", "8"); v.IsNull() {
				t.Error("CAS 0 on an expired key failed")
			}
		})
	}
}

// TestTokensInExec checks that a reply shows the token of the value it shows,
// although the stamps come only with the commit.
func TestTokensInExec(t *testing.T) {
	for name, merging := range map[string]bool{"alone": false, "with siblings": true} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.configure(func(p *engine.Params) { p.Merging = merging })
			h.do("SET k 1")
			first := token(t, h.exec([]string{"GETS", "k"})[0])
			gets := []string{"GETS", "k"}
			v := h.exec(gets, []string{"SET", "k", "2"}, gets, []string{"INCR", "k"}, gets, gets, []string{"CAS", "other", "0", "x"}, gets, []string{"GETS", "other"})
			if len(v) != 9 {
				t.Fatalf("%d replies", len(v))
			}
			if got := token(t, v[0]); got != first {
				t.Errorf("token before the writes is %s, was %s", got, first)
			}
			if token(t, v[2]) == first || token(t, v[2]) == token(t, v[4]) {
				t.Error("two values of one EXEC have the same token")
			}
			if token(t, v[4]) != token(t, v[5]) || token(t, v[4]) != token(t, v[7]) {
				t.Error("one value has two tokens")
			}
			if token(t, v[6]) != token(t, v[8]) {
				t.Error("CAS and GETS disagree on a token")
			}
			after := h.exec(gets, []string{"GETS", "other"})
			if token(t, after[0]) != token(t, v[7]) || token(t, after[1]) != token(t, v[6]) {
				t.Error("tokens changed with the commit")
			}
			// The token of a value that was overwritten in the same EXEC is not good.
			if got := h.doArgs("CAS", "k", token(t, v[2]), "x"); got != "nil" {
				t.Errorf("CAS with a token of the middle of an EXEC: %s", got)
			}
			if got := h.doArgs("CAS", "k", token(t, v[4]), "x"); got == "nil" {
				t.Error("CAS with the last token of an EXEC failed")
			}
			// A token cannot be guessed while it is provisional.
			guess := "8000000000000000-" + first[17:]
			v = h.exec([]string{"SET", "k", "2"}, []string{"CAS", "k", guess, "x"})
			if !v[1].IsNull() {
				t.Error("CAS took a provisional stamp for a token")
			}
		})
	}
}

func TestReadsLeaveNoBatch(t *testing.T) {
	h := newHarness(t)
	h.do("MSET k v n 1")
	h.do("GETS k") // the first one gives the value a stamp
	h.log = nil
	for _, q := range []string{
		"GET k", "MGET k n", "GETS k", "STRLEN k", "GETRANGE k 0 1", "LCS k n", "DIGEST k", "GETEX k", "GETEX missing EX 5",
		"GETEX k PERSIST", "SET k w NX", "SET missing w XX", "SET k w IFEQ x", "SETNX k w", "MSETNX k w l w", "MSETEX 1 k w NX",
		"CAS k 0 w", "GETDEL missing", "DELEX k IFEQ x", "DELIFEQ k x", "INCREX n UBOUND 1", "INCRBY n x", "INCR k",
		"INCRBYFLOAT k 1", `SETRANGE k 9 ""`, "APPEND k", "MSET a",
	} {
		h.do(q)
		if len(h.log) > 0 {
			t.Errorf("%s left a batch of %d ops", q, h.log[0])
			h.log = nil
		}
	}
}

func TestMergingCounters(t *testing.T) {
	h := newHarness(t)
	h.configure(func(p *engine.Params) { p.Merging = true })
	h.run([]step{
		{"INCRBY k 5", ":5"}, {"INCREX k BYINT 7 UBOUND 10", "[:5, :0]"}, {"INCREX k BYINT 7 UBOUND 10 SATURATE", "[:10, :5]"},
		{"DECR k", ":9"}, {"GET k", `"9"`}, {"APPEND k 1", ":2"}, {"INCR k", ":92"},
		{"INCRBYFLOAT k 0.5", `"92.5"`}, {"INCREX k BYFLOAT 10 UBOUND 100.25 SATURATE", `["100.25", "7.75"]`},
		{"GETDEL k", `"100.25"`}, {"INCR k", ":1"}, {"SET k 9223372036854775807", "+OK"},
		{"INCR k", "-ERR increment or decrement would overflow"}, {"INCREX k", "[:9223372036854775807, :0]"},
		{"SET k x", "+OK"}, {"INCR k", "-ERR value is not an integer or out of range"},
	})
}

func TestHitsAndMisses(t *testing.T) {
	h := newHarness(t)
	h.do("SET k 1")
	h.engine.ResetStats()
	for _, q := range []string{"SET k 1 NX", "SET k 1 IFEQ 1", "INCR k", "APPEND k 1", "SETRANGE k 0 1", "SETNX m 1", "MSETNX k 1", "DELIFEQ m 2", "INCREX k", "CAS k 0 1"} {
		h.do(q)
	}
	if s := h.engine.Stats(); s.KeyspaceHits != 0 || s.KeyspaceMisses != 0 {
		t.Errorf("writes counted %d hits and %d misses", s.KeyspaceHits, s.KeyspaceMisses)
	}
	for _, q := range []string{"GET k", "GET none", "MGET k none k", "STRLEN k", "GETRANGE none 0 1", "SET k 2 GET", "GETSET k 3", "GETEX k"} {
		h.do(q)
	}
	if s := h.engine.Stats(); s.KeyspaceHits != 7 || s.KeyspaceMisses != 3 {
		t.Errorf("reads counted %d hits and %d misses, want 7 and 3", s.KeyspaceHits, s.KeyspaceMisses)
	}
}

func TestStringRows(t *testing.T) {
	h := newHarness(t)
	for _, r := range stringRows() {
		if h.table.Find(r.Name) == nil {
			t.Errorf("%s is not in the table", r.Name)
		}
		// Every command must survive its fewest arguments, whatever they are.
		n := r.Arity
		if n < 0 {
			n = -n
		}
		args := []string{r.Name}
		for len(args) < n {
			args = append(args, "")
		}
		h.doArgs(args...)
	}
}

// TestStringsSurviveAnything sends every string command arguments that fit
// nowhere: each must give one reply and leave the engine sound.
func TestStringsSurviveAnything(t *testing.T) {
	h := newHarness(t)
	if err := h.config.Set([]config.Pair{{Name: "proto-max-bulk-len", Value: "1mb"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	words := []string{
		"", "0", "1", "-1", "2", "3", "1.5", "-0.25", "1e4000", "inf", "-inf", "nan", "0x1p4", "abc", "k", "l", "k", "l",
		"9223372036854775807", "-9223372036854775808", "1000000", "9555e8555c62dcfd",
		"NX", "XX", "GET", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "PERSIST", "IFEQ", "IFNE", "IFDEQ", "IFDNE",
		"BYINT", "BYFLOAT", "LBOUND", "UBOUND", "SATURATE", "ENX", "LEN", "IDX", "MINMATCHLEN", "WITHMATCHLEN",
	}
	rows := stringRows()
	for i := range 30_000 {
		h.configure(func(p *engine.Params) { p.Merging = i >= 15_000 })
		row := &rows[r.IntN(len(rows))]
		args := []string{row.Name}
		n := max(row.Arity, -row.Arity)
		if row.Arity < 0 {
			n += r.IntN(6)
		}
		for len(args) < n {
			args = append(args, words[r.IntN(len(words))])
		}
		if v := h.exec(args); len(v) != 1 {
			t.Fatalf("%q: %d replies", args, len(v))
		}
	}
}
