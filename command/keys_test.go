package command

import (
	"strings"
	"testing"

	"geocache/engine"
	"geocache/lru"
)

// keysHost adds to the harness' host what the key commands ask of regions.
type keysHost struct {
	harnessHost
	regions keysRegions
}

func (h *keysHost) Regions() Regions { return h.regions }

type keysRegions struct {
	Regions
	syncing, configured bool
}

func (r keysRegions) Syncing() bool    { return r.syncing }
func (r keysRegions) Configured() bool { return r.configured }

// keysHarness is a harness whose host knows regions.
func keysHarness(t testing.TB) (*harness, *keysHost) {
	h := newHarness(t)
	host := &keysHost{harnessHost: harnessHost{h: h}}
	h.host = host
	return h, host
}

func TestDelExistsTouchType(t *testing.T) {
	h, _ := keysHarness(t)
	h.run([]step{
		{"DEL nokey", ":0"},
		{"MSET a 1 b 2 c 3 d 4", "+OK"},
		{"EXISTS a a nokey b", ":3"},
		{"TOUCH a nokey", ":1"},
		{"TYPE a", "+string"},
		{"TYPE nokey", "+none"},
		{"DEL a a nokey", ":1"},
		{"UNLINK b c", ":2"},
		{"DBSIZE", ":1"},
		{"DEL", "-ERR wrong number of arguments for 'del' command"},
	})
}

func TestReadsThatLeaveRecencyAlone(t *testing.T) {
	h, _ := keysHarness(t)
	h.do("SET a 1")
	h.clock.Advance(100_000)
	for _, r := range []string{"EXISTS a", "TTL a", "PTTL a", "EXPIRETIME a", "TYPE a", "OBJECT ENCODING a", "OBJECT REFCOUNT a"} {
		h.do(r)
		if got := h.do("OBJECT IDLETIME a"); got != ":100" {
			t.Errorf("idle time after %s is %s", r, got)
		}
	}
	h.do("TOUCH a")
	if got := h.do("OBJECT IDLETIME a"); got != ":0" {
		t.Errorf("idle time after TOUCH is %s", got)
	}
	before := h.engine.Stats()
	h.do("EXISTS a nokey")
	h.do("TTL a")
	h.do("TYPE nokey")
	if s := h.engine.Stats(); s.KeyspaceHits != before.KeyspaceHits+2 || s.KeyspaceMisses != before.KeyspaceMisses+2 {
		t.Errorf("hits and misses: %+v, before %+v", s, before)
	}
}

func TestRename(t *testing.T) {
	h, _ := keysHarness(t)
	h.run([]step{
		{"RENAME nokey a", "-ERR no such key"},
		{"RENAMENX nokey nokey", "-ERR no such key"},
		{"SET a 1", "+OK"},
		{"RENAME a a", "+OK"},
		{"RENAMENX a a", ":0"},
		{"SET b 2 PXAT " + ms(5000), "+OK"},
		{"RENAMENX a b", ":0"},
		{"RENAME a b", "+OK"},
		{"PEXPIRETIME b", ":-1"},
		{"MGET a b", `[nil, "1"]`},
		{"PEXPIREAT b " + ms(5000), ":1"},
		{"RENAMENX b c", ":1"},
		{"PEXPIRETIME c", ":" + ms(5000)},
		{"DBSIZE", ":1"},
	})
	h.clock.Advance(5000)
	h.run([]step{
		{"RENAME c d", "-ERR no such key"},
		{"SET e 5", "+OK"},
		{"RENAMENX e c", ":1"},
		{"PEXPIRETIME c", ":-1"},
	})
}

func TestRenameKeepsRecency(t *testing.T) {
	h, _ := keysHarness(t)
	h.configure(func(p *engine.Params) { p.Policy, p.LRU = lru.AllkeysLFU, lru.DefaultParams() })
	h.run([]step{{"SET a 1", "+OK"}, {"SET b 2", "+OK"}})
	for range 500 {
		h.clock.Advance(1)
		h.do("GET a")
	}
	was := h.do("OBJECT FREQ a")
	h.do("RENAME a b")
	if got := h.do("OBJECT FREQ b"); got != was || len(got) < 3 {
		t.Errorf("a key with frequency %s has %s after RENAME", was, got)
	}
}

func TestCopyAndMove(t *testing.T) {
	h, _ := keysHarness(t)
	h.run([]step{
		{"SET a 1 PXAT " + ms(5000), "+OK"},
		{"COPY a a", "-ERR source and destination objects are the same"},
		{"COPY a b", ":1"},
		{"PEXPIRETIME b", ":" + ms(5000)},
		{"COPY a b", ":0"},
		{"COPY a a DB 1", ":1"},
		{"COPY a a DB 1", ":0"},
		{"COPY a a DB 1 REPLACE", ":1"},
		{"COPY a b DB 16", "-ERR DB index is out of range"},
		{"COPY a b DB", "-ERR syntax error"},
		{"MOVE a 1", ":0"},
		{"MOVE a 2", ":1"},
		{"MOVE a 2", ":0"},
		{"MOVE a 0", "-ERR source and destination objects are the same"},
		{"MOVE b x", "-ERR value is not an integer or out of range"},
		{"MOVE b 99999999999", "-ERR value is out of range, value must between -2147483648 and 2147483647"},
		{"DBSIZE", ":1"},
	})
	h.db = 2
	h.run([]step{{"PEXPIRETIME a", ":" + ms(5000)}, {"GET a", `"1"`}})
	h.db = 0
	h.clock.Advance(5000)
	h.run([]step{
		{"COPY b c", ":0"},
		{"MOVE b 3", ":0"},
		{"SET a 2", "+OK"},
		{"MOVE a 2", ":1"}, // over an expired key
	})
	h.db = 2
	h.run([]step{{"PEXPIRETIME a", ":-1"}, {"GET a", `"2"`}})
}

func TestSwapDB(t *testing.T) {
	h, host := keysHarness(t)
	h.run([]step{
		{"SET a zero", "+OK"},
		{"SWAPDB 0 1", "+OK"},
		{"GET a", "nil"},
		{"SWAPDB 1 0", "+OK"},
		{"GET a", `"zero"`},
		{"SWAPDB 99999999999 x", "-ERR invalid first DB index"},
		{"SWAPDB 16 x", "-ERR invalid second DB index"},
		{"SWAPDB 0 -1", "-ERR DB index is out of range"},
	})
	host.regions.configured = true
	h.run([]step{
		{"SWAPDB 0 1", "-ERR SWAPDB is not allowed while siblings are configured"},
		{"SWAPDB x 1", "-ERR invalid first DB index"},
	})
}

func TestFlush(t *testing.T) {
	h, host := keysHarness(t)
	h.do("SET a 1")
	h.db = 3
	h.do("SET b 1")
	host.regions.syncing = true
	for _, r := range []string{"FLUSHDB", "FLUSHALL ASYNC"} {
		if got := h.do(r); !strings.HasPrefix(got, "-LOADING ") {
			t.Errorf("%s while a full copy is taken in: %s", r, got)
		}
	}
	host.regions.syncing = false
	h.run([]step{
		{"FLUSHDB now", "-ERR syntax error"},
		{"FLUSHDB ASYNC SYNC", "-ERR syntax error"},
		{"DBSIZE", ":1"},
		{"FLUSHDB async", "+OK"},
		{"DBSIZE", ":0"},
		{"SET b 1", "+OK"},
	})
	h.db = 0
	h.run([]step{{"DBSIZE", ":1"}, {"FLUSHALL SYNC", "+OK"}, {"DBSIZE", ":0"}})
	h.db = 3
	h.run([]step{{"DBSIZE", ":0"}})
}

func TestObject(t *testing.T) {
	h, _ := keysHarness(t)
	const noLFU = "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	const lfu = "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	h.run([]step{
		{"OBJECT", "-ERR wrong number of arguments for 'object' command"},
		{"OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"},
		{"OBJECT what a", "-ERR unknown subcommand 'what'. Try OBJECT HELP."},
		{"OBJECT FREQ nokey", "nil"},
		{"SET a 1", "+OK"},
		{"OBJECT ENCODING a", `"int"`},
		{"OBJECT REFCOUNT a", ":2147483647"},
		{"SET l 10000", "+OK"},
		{"OBJECT REFCOUNT l", ":1"},
		{"SET n -1", "+OK"},
		{"OBJECT REFCOUNT n", ":1"},
		{"SET e ''", "+OK"},
		{"OBJECT REFCOUNT e", ":1"},
		{"OBJECT FREQ a", noLFU},
		{"OBJECT IDLETIME a", ":0"},
	})
	if help := h.do("OBJECT HELP"); !strings.HasPrefix(help, "[+OBJECT <subcommand>") {
		t.Errorf("OBJECT HELP: %s", help)
	}
	h.configure(func(p *engine.Params) { p.Policy, p.LRU = lru.VolatileLFU, lru.DefaultParams() })
	h.run([]step{
		{"OBJECT IDLETIME nokey", "nil"},
		{"OBJECT IDLETIME a", lfu},
		{"SET b 1", "+OK"},
		{"OBJECT FREQ b", ":5"},
	})
}

// TestKeyRowsUndone checks that a run which met a value on disk has changed
// nothing: RENAME inside EXEC is the one that reads late.
func TestKeyRowsUndone(t *testing.T) {
	h, _ := keysHarness(t)
	h.do("SET a 1")
	h.do("SET b 2 PXAT " + ms(9000))
	err := h.tx.Run(engine.Scope{World: true}, h.clock.NowMs(), func(tx *engine.Tx) {
		for _, r := range []string{"RENAME a b", "PEXPIRE b 10", "COPY b c", "MOVE b 4", "FLUSHALL", "SWAPDB 0 1"} {
			c, fail := h.ctx(strings.Fields(r)...)
			if fail != "" {
				t.Fatal(fail)
			}
			c.Row.Run(c)
		}
		panic(&engine.NeedRow{})
	})
	if err == nil {
		t.Fatal("the run was not ended")
	}
	h.run([]step{
		{"MGET a b c", `["1", "2", nil]`},
		{"PEXPIRETIME b", ":" + ms(9000)},
		{"PEXPIRETIME a", ":-1"},
		{"DBSIZE", ":2"},
	})
}
