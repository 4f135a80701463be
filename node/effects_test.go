package node

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"geocache/command"
	"geocache/config"
	"geocache/lru"
	"geocache/persist"
	"geocache/resp"
)

// This file shows, parameter by parameter, that the configuration has the
// effect it promises, where a node without sockets can show it.
// tests/effects_test.go has the list of all parameters.

// want compares what is left of a reply without its line ends.
func (r *rig) want(reply, request string) {
	r.t.Helper()
	if have := strings.TrimSuffix(r.do(request), "\r\n"); have != reply {
		r.t.Errorf("%.80s: reply %.120q, want %q", request, have, reply)
	}
}

// on lends the rig another session.
func (r *rig) on(s *Session) *rig {
	other := *r
	other.s = s
	return &other
}

func TestProtectedModeParameter(t *testing.T) {
	r := newRig(t, "appendonly no")
	from := func(remote string) bool {
		s := r.Connect(ConnInfo{Remote: remote, Local: "192.0.2.9:6379"}, func() {})
		defer s.Close()
		return !strings.HasPrefix(string(s.Output()), "-DENIED")
	}
	if from("192.0.2.1:5") || !from("127.0.0.1:5") {
		t.Error("protected-mode yes lets strangers in, or nobody")
	}
	r.want("+OK", "CONFIG SET protected-mode no")
	if !from("192.0.2.1:5") {
		t.Error("protected-mode no keeps strangers out")
	}
	r.do("CONFIG SET protected-mode yes requirepass x")
	if !from("192.0.2.1:5") {
		t.Error("protected-mode keeps strangers out although there is a password")
	}
}

func TestTimeoutParameter(t *testing.T) {
	r := newRig(t, "appendonly no")
	idle := r.connect()
	r.want("+OK", "CONFIG SET timeout 3")
	for range 5 {
		r.wall.Advance(1000)
		r.want("+PONG", "PING")
		r.Tick()
	}
	if !idle.Closing() || r.s.Closing() {
		t.Error("timeout 3: five idle seconds do not end a client, or none do")
	}
}

// TestSessionsFollowParameters: what a session was set up by changes with
// CONFIG SET, for sessions that are there already.
func TestSessionsFollowParameters(t *testing.T) {
	r := newRig(t, "appendonly no", "databases 4")
	r.want("+OK", "SELECT 3")
	r.want("-ERR DB index is out of range", "SELECT 4")

	if line := r.do("CLIENT INFO"); !strings.Contains(line, "lib-ver=") {
		t.Errorf("compat-version 7.2: %s", line)
	}
	r.want("+OK", "CONFIG SET compat-version 7.0")
	if line := r.do("CLIENT INFO"); strings.Contains(line, "lib-ver=") {
		t.Errorf("compat-version 7.0: %s", line)
	}

	big := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$%d\r\n", 2<<20)
	before := r.connect()
	before.Feed([]byte(big))
	if before.Closing() {
		t.Error("proto-max-bulk-len: 2 MB are refused by default")
	}
	r.want("+OK", "CONFIG SET proto-max-bulk-len 1mb")
	after := r.connect()
	for _, s := range []*Session{after, r.s} {
		s.Feed([]byte(big))
		if out := string(s.Output()); !strings.HasSuffix(out, "-ERR Protocol error: invalid bulk length\r\n") || !s.Closing() {
			t.Errorf("proto-max-bulk-len 1mb: %q, closing %v", out, s.Closing())
		}
	}
}

func TestClientQueryBufferLimitParameter(t *testing.T) {
	r := newRig(t, "appendonly no")
	s := r.connect()
	fill := func() {
		s.Feed([]byte("*2\r\n$4\r\nECHO\r\n$3000000\r\n"))
		for range 25 {
			s.Feed(make([]byte, 100_000))
		}
	}
	fill()
	if s.Closing() {
		t.Error("2.5 MB of a request end the client")
	}
	s = r.connect()
	r.want("+OK", "CONFIG SET client-query-buffer-limit 1mb")
	fill()
	if !s.Closing() {
		t.Error("client-query-buffer-limit 1mb does not end a client with 2.5 MB")
	}
}

func TestRequirepassParameter(t *testing.T) {
	r := newRig(t, "appendonly no", "requirepass old")
	r.want("-NOAUTH Authentication required.", "GET a")
	late := r.on(r.connect())
	r.want("+OK", "AUTH old")
	r.want("+OK", "CONFIG SET requirepass new")
	r.want("$-1", "GET a")
	late.want("-WRONGPASS invalid username-password pair or user is disabled.", "AUTH old")
	late.want("+OK", "AUTH new")
	waiting := r.on(r.connect())
	waiting.want("-NOAUTH Authentication required.", "GET a")
	if err := r.conf.Set([]config.Pair{{Name: "requirepass", Value: ""}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	waiting.want("$-1", "GET a")
}

func TestAccessParameters(t *testing.T) {
	r := newRig(t, "appendonly no", "enable-debug-command local", "enable-protected-configs yes")
	r.want("+OK", "CONFIG SET dbfilename other.rdb")
	r.want("+OK", "DEBUG SET-ACTIVE-EXPIRE 1")
	r = newRig(t, "appendonly no")
	if out := r.do("CONFIG SET dbfilename other.rdb"); !strings.Contains(out, "protected config") {
		t.Errorf("enable-protected-configs no: %s", out)
	}
	if out := r.do("DEBUG SET-ACTIVE-EXPIRE 1"); !strings.HasPrefix(out, "-ERR DEBUG command not allowed") {
		t.Errorf("enable-debug-command no: %s", out)
	}
}

// TestOutputLimits: client-output-buffer-limit, hard and soft, with what the
// transport still holds.
func TestOutputLimits(t *testing.T) {
	r := newRig(t, "appendonly no", "client-output-buffer-limit normal 1000000 1000 2")
	r.do("SET v "+strings.Repeat("x", 2000), "SET w "+strings.Repeat("x", 200_000))
	get := func(s *Session, key string, times int) {
		s.Feed([]byte(strings.Repeat("GET "+key+"\r\n", times)))
	}
	greedy := r.connect()
	get(greedy, "w", 4)
	if greedy.Closing() {
		t.Error("closed below the hard limit")
	}
	greedy.Output()
	greedy.Unsent(800_000)
	get(greedy, "w", 2)
	if !greedy.Closing() {
		t.Error("not closed at the hard limit, of which the transport holds the most")
	}

	slow, back := r.connect(), r.connect()
	for _, s := range []*Session{slow, back} {
		get(s, "v", 1)
		s.Output()
		s.Unsent(2000)
	}
	r.tick(150)
	back.Unsent(0)
	r.tick(150)
	back.Unsent(2000)
	r.tick(60)
	if !slow.Closing() {
		t.Error("not closed after its soft limit's time")
	}
	if back.Closing() {
		t.Error("closed although it had come back below the soft limit")
	}
	r.expect("stats", map[string]string{"client_output_buffer_limit_disconnections": "2"})
}

// TestMaxmemoryClients closes the largest clients first and spares those with
// CLIENT NO-EVICT.
func TestMaxmemoryClients(t *testing.T) {
	r := newRig(t, "appendonly no", "maxmemory 10mb", "maxmemory-clients 10%")
	r.do("SET v " + strings.Repeat("x", 100_000))
	r.want("+OK", "CLIENT NO-EVICT ON")
	var all []*Session
	for i := range 3 {
		s := r.connect()
		s.Feed([]byte(strings.Repeat("GET v\r\n", i+1)))
		s.Output()
		s.Unsent((i + 1) * 100_000)
		all = append(all, s)
	}
	r.s.Feed([]byte(strings.Repeat("GET v\r\n", 3)))
	if r.s.Closing() || all[0].Closing() || all[1].Closing() || all[2].Closing() {
		t.Error("closed below 10% of 10 MB")
	}
	r.s.Output()
	r.s.Unsent(300_000)
	r.want("+OK", "CONFIG SET maxmemory-clients 600kb")
	r.tick(101)
	if r.s.Closing() || all[0].Closing() || all[1].Closing() || !all[2].Closing() {
		t.Errorf("closed: no-evict %v, then %v %v %v", r.s.Closing(), all[0].Closing(), all[1].Closing(), all[2].Closing())
	}
	all[2].Close()
	// Growth is noticed at once.
	all[0].Feed([]byte(strings.Repeat("GET v\r\n", 5)))
	if !all[0].Closing() || all[1].Closing() {
		t.Errorf("the one that grew: closing %v, the other: %v", all[0].Closing(), all[1].Closing())
	}
	r.expect("stats", map[string]string{"evicted_clients": "2"})
	for _, s := range append(all[:2], r.s) {
		s.Close()
	}
	if n := r.clients.booked.Load(); n != 0 {
		t.Errorf("%d bytes are booked for nobody", n)
	}
}

func TestEvictionParameters(t *testing.T) {
	r := newRig(t, "appendonly no")
	fill := func() {
		for i := range 200 {
			r.do(fmt.Sprintf("SET k%d %s", i, strings.Repeat("x", 10_000)))
		}
	}
	fill()
	r.want("+OK", "CONFIG SET maxmemory 2mb")
	r.want("-OOM command not allowed when used memory > 'maxmemory'.", "SET a 1")
	r.want("+OK", "CONFIG SET maxmemory-policy volatile-lru")
	r.want("-OOM command not allowed when used memory > 'maxmemory'.", "SET a 1")
	r.want("+OK", "CONFIG SET maxmemory-policy allkeys-lru")
	r.want("+OK", "SET a 1")

	r.want("+OK", "CONFIG SET maxmemory-samples 3 lfu-log-factor 7 lfu-decay-time 9")
	if have, want := r.engine.Params().LRU, (lru.Params{Samples: 3, LFULogFactor: 7, LFUDecayMinutes: 9}); have != want {
		t.Errorf("eviction goes by %+v, want %+v", have, want)
	}

	// With 60 microseconds for each look at the clock, the tenacity says how
	// many keys one command may be held up by.
	us := int64(0)
	r.opts.Micros = func() int64 { us += 60; return us }
	for _, c := range []struct {
		tenacity  int
		least, at int64
	}{{0, 1, 1}, {10, 8, 10}, {20, 30, 40}, {100, 90, 1000}} {
		r.do("CONFIG SET maxmemory 0")
		fill()
		r.do("CONFIG SET maxmemory-eviction-tenacity "+strconv.Itoa(c.tenacity), "CONFIG SET maxmemory 2mb")
		before := r.engine.Stats().EvictedKeys
		r.fitMemory(&r.ticking)
		if n := r.engine.Stats().EvictedKeys - before; n < c.least || n > c.at {
			t.Errorf("maxmemory-eviction-tenacity %d evicts %d keys at once", c.tenacity, n)
		}
		// What is left over is not left to the next command.
		r.tick(300)
		if have := r.engine.UsedBytes(); have > 1<<20 {
			t.Errorf("tenacity %d: %d bytes are left without a command", c.tenacity, have)
		}
	}
}

func TestExpiryParameters(t *testing.T) {
	r := newRig(t, "appendonly no", "default-ttl 100", "max-ttl 200")
	r.do("SET a 1", "SET b 1 EX 500", "SET c 1 EX 50")
	r.want(":100", "TTL a")
	r.want(":200", "TTL b")
	r.want(":50", "TTL c")
	r.want("+OK", "CONFIG SET max-ttl 0 default-ttl 0")
	r.do("SET a 1", "SET b 1 EX 500")
	r.want(":-1", "TTL a")
	r.want(":500", "TTL b")

	reclaimed := func(effort int) int64 {
		r := newRig(t, "appendonly no", "active-expire-effort "+strconv.Itoa(effort))
		us := int64(0)
		r.opts.Micros = func() int64 { us += 100; return us }
		for i := range 20_000 {
			r.do(fmt.Sprintf("SET k%d v PX 5", i))
		}
		r.wall.Advance(1000)
		r.Tick()
		return r.engine.Stats().ExpiredKeys
	}
	if low, high := reclaimed(1), reclaimed(10); low == 0 || high < low*5/4 {
		t.Errorf("active-expire-effort 1 reclaims %d keys in a round, 10 reclaims %d", low, high)
	}
}

func TestLogParameters(t *testing.T) {
	// appendfsync always holds the reply back until the log is synced.
	r := newRig(t, "appendfsync always")
	if out := r.do("SET a 1"); out != "" {
		t.Errorf("appendfsync always: reply %q before a sync", out)
	}
	r.settle()
	if out := string(r.s.Output()); out != "+OK\r\n" {
		t.Errorf("appendfsync always: reply %q after a sync", out)
	}
	if err := r.conf.Set([]config.Pair{{Name: "appendfsync", Value: "everysec"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	r.want("+OK", "SET a 2")

	written := func(size string) int64 {
		r := newRig(t, "checkpoint-log-size "+size)
		r.do("SET first 1")
		r.settle() // the first one is always due
		r.tick(10)
		before := r.stats.checkpoint.Load().count
		for i := range 30 {
			r.do(fmt.Sprintf("SET k%d %s", i, strings.Repeat("x", 100_000)))
			r.settle()
		}
		return r.stats.checkpoint.Load().count - before
	}
	if small, large := written("1mb"), written("64mb"); small < 2 || large != 0 {
		t.Errorf("3 MB of writes make %d checkpoints with checkpoint-log-size 1mb, %d with 64mb", small, large)
	}

	kept := func(size string) uint64 {
		r := newRig(t, "region a", "sibling b 127.0.0.1:1", "checkpoint-log-size 1mb", "log-retention-size "+size)
		for i := range 60 {
			r.do(fmt.Sprintf("SET k %s%d", strings.Repeat("x", 100_000), i))
			r.settle()
		}
		return uint64(r.disk.db.Load().Log.Stats().DiskBytes)
	}
	if small, large := kept("2mb"), kept("1gb"); small > 4<<20 || large < 5<<20 {
		t.Errorf("of 6 MB of log for a sibling that is away %d bytes are kept with log-retention-size 2mb, %d with 1gb", small, large)
	}
}

func TestAppendonlyParameter(t *testing.T) {
	r := newRig(t, "appendonly no")
	r.do("SET a 1")
	r.expect("persistence", map[string]string{"aof_enabled": "0"})
	r.want("+OK", "CONFIG SET appendonly yes")
	r.do("SET b 1")
	r.settle()
	if out := r.do("CONFIG SET dir /elsewhere"); !strings.HasPrefix(out, "-ERR CONFIG SET failed (possibly related to argument 'dir')") {
		t.Errorf("dir changed under an open store: %s", out)
	}
	again := r.reopen(r.store.Crash(func(int) int { return 0 }))
	again.want("*2\r\n$1\r\n1\r\n$1\r\n1", "MGET a b")
}

// TestShardsParameter: the order of SCAN follows the shards.
func TestShardsParameter(t *testing.T) {
	walk := func(shards int) string {
		r := newRig(t, "appendonly no", "shards "+strconv.Itoa(shards))
		for i := range 200 {
			r.do("SET k" + strconv.Itoa(i) + " v")
		}
		return r.do("SCAN 0 COUNT 1000")
	}
	one, some, again := walk(1), walk(64), walk(64)
	if some != again || one == some {
		t.Error("one shard and 64 are walked in the same order, or the order is random")
	}
}

// TestPlaceParameters: where a region is and how it is reached, at start and at
// run time.
func TestPlaceParameters(t *testing.T) {
	r := newRig(t, "appendonly no", "region here", "region-location 1 2", "region-endpoint a.example:1")
	self := func() string {
		reg := r.repl.dir.Load().Self()
		return fmt.Sprint(reg.Name, " ", reg.Endpoint, " ", reg.Located, " ", reg.Point.Lat, " ", reg.Point.Lon)
	}
	if have := self(); have != "here a.example:1 true 1 2" {
		t.Error(have)
	}
	if err := r.conf.Set([]config.Pair{{Name: "region-location", Value: "3 4"}, {Name: "region-endpoint", Value: "b.example:2"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	if have := self(); have != "here b.example:2 true 3 4" {
		t.Error(have)
	}
	r.want("$11\r\nb.example:2", "CLOSEST 3 4")
	if out := r.do("CONFIG SET region there"); !strings.Contains(out, "immutable") {
		t.Errorf("region changed: %s", out)
	}
}

// TestMaxClockSkewParameter: writes of a sibling whose clock is ahead wait as
// long as the parameter says, also when it changes.
func TestMaxClockSkewParameter(t *testing.T) {
	a := newRig(t, "region a", "sibling b 127.0.0.1:1", "max-clock-skew-ms 1000")
	b := newRig(t, "region b", "sibling a 127.0.0.1:2")
	b.wall.Advance(4000)
	a.LinkUp("b")
	b.LinkUp("a")
	run := func(rounds int) {
		for range rounds {
			a.tick(1)
			b.tick(1)
			a.settle()
			b.settle()
			for _, f := range a.TakeFrames() {
				if err := b.Frame("a", f.Data); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range b.TakeFrames() {
				if err := a.Frame("b", f.Data); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	run(100)
	b.do("SET k v")
	run(100)
	a.want("$-1", "GET k")
	a.want("+OK", "CONFIG SET max-clock-skew-ms 5000")
	run(50)
	a.want("$1\r\nv", "GET k")
}

// TestSiblingGenerations: links can tell a sibling that was removed and added
// again from one that stayed.
func TestSiblingGenerations(t *testing.T) {
	r := newRig(t, "region a", "sibling b 127.0.0.1:1", "sibling c 127.0.0.1:2")
	before := r.Siblings()
	r.want("+OK", "REGION REMOVE b")
	r.want("+OK", "REGION ADD b 127.0.0.1:1")
	after := r.Siblings()
	if len(before) != 2 || len(after) != 2 || after[0] != before[1] || after[1].Name != "b" || after[1].Generation == before[0].Generation {
		t.Errorf("siblings were %v and are %v", before, after)
	}
}

// TestSiblingParameter: REGION ADD and REMOVE are seen by CONFIG GET and so
// written by CONFIG REWRITE.
func TestSiblingParameter(t *testing.T) {
	r := newRig(t, "region a", "sibling b 127.0.0.1:1")
	r.want("+OK", "REGION ADD c 127.0.0.1:2 3 4")
	if text := r.conf.Rewrite("sibling b 127.0.0.1:1\n"); !strings.Contains(text, "sibling b 127.0.0.1:1\n") || !strings.Contains(text, "sibling c 127.0.0.1:2 3 4\n") {
		t.Errorf("rewritten:\n%s", text)
	}
	r.want("+OK", "REGION REMOVE b")
	if text := r.conf.Rewrite("sibling b 127.0.0.1:1\n"); strings.Contains(text, "sibling b") || !strings.Contains(text, "sibling c 127.0.0.1:2 3 4\n") {
		t.Errorf("rewritten:\n%s", text)
	}
}

// TestPrepareStop: a shutdown is refused while acknowledged writes cannot reach
// the disk, unless it is forced.
func TestPrepareStop(t *testing.T) {
	r := newRig(t)
	r.store.Inject(persist.Faults{SyncErr: errors.New("no luck")})
	r.do("SET a 1")
	r.settle()
	if err := r.PrepareStop(command.ShutdownMode{}); !errors.Is(err, resp.ErrShutdown) {
		t.Errorf("with a disk that fails: %v", err)
	}
	if err := r.PrepareStop(command.ShutdownMode{Force: command.On}); err != nil {
		t.Errorf("forced: %v", err)
	}
}

func TestEvictMicros(t *testing.T) {
	for tenacity, want := range map[int]time.Duration{0: 0, 1: 50 * time.Microsecond, 10: 500 * time.Microsecond, 20: 2022 * time.Microsecond} {
		if have := time.Duration(evictMicros(tenacity)) * time.Microsecond; have != want {
			t.Errorf("tenacity %d is %v, want %v", tenacity, have, want)
		}
	}
	if two := time.Duration(evictMicros(99)) * time.Microsecond; two < 100*time.Second || two > 150*time.Second {
		t.Errorf("tenacity 99 is %v", two)
	}
}
