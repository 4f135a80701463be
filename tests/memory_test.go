package tests

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memorySizes are how much the rows of TestMemory hold; each can be set in the
// environment by its name.
type memorySizes struct {
	keys, hashes, members, fill, expire, elements int
}

func sizesFromEnv(t *testing.T) memorySizes {
	return memorySizes{
		keys:     envInt(t, "KEYS", 2_000_000),
		hashes:   envInt(t, "HASHES", 1_000_000),
		members:  envInt(t, "MEMBERS", 2_000_000),
		fill:     envInt(t, "FILL", 10_000_000),
		expire:   envInt(t, "EXPIRE", 10_000_000),
		elements: envInt(t, "ELEMENTS", 10_000_000),
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no positive number", name, v)
	}
	return n
}

// TestMemory prints what data costs in memory, and how long the longest pauses
// are, beside a redis-server in the same run; PARTS names parts of it.
func TestMemory(t *testing.T) {
	if os.Getenv("TEST_MEMORY") == "" {
		t.Skip("TEST_MEMORY is not set")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("SKIP: redis-server is not installed, nothing to compare with")
	}
	b := &memoryBench{size: sizesFromEnv(t)}
	// What is missed fails the test but not the part that has the servers,
	// whose logs would drown the table.
	t.Run("beside Redis", func(t *testing.T) {
		b.t = t
		parts := []struct {
			name string
			run  func()
		}{{"footprints", b.footprints}, {"stamps", b.stamps}, {"fill", b.fill}, {"expiry", b.expiry}, {"free", b.lazyFree}}
		chosen := strings.Fields(os.Getenv("PARTS"))
		var names []string
		for _, p := range parts {
			names = append(names, p.name)
		}
		for _, c := range chosen {
			if !slices.Contains(names, c) {
				t.Fatalf("PARTS: %s is none of %v", c, names)
			}
		}
		fmt.Printf("%-46s %12s %12s %6s  %-20s\n", "what", "Redis", "geocache", "ratio", "target")
		for _, p := range parts {
			if len(chosen) == 0 || slices.Contains(chosen, p.name) {
				p.run()
			}
		}
	})
	if len(b.missed) > 0 {
		t.Errorf("missed: %s", strings.Join(b.missed, "; "))
	}
}

type memoryBench struct {
	t      *testing.T
	size   memorySizes
	missed []string
}

// goal is what a row has to reach: at most so much, or at most such a part
// of what Redis has; 0 is no target.
type goal struct{ most, ratio float64 }

func (g goal) String() string {
	var parts []string
	if g.most != 0 {
		parts = append(parts, fmt.Sprintf("at most %g", g.most))
	}
	if g.ratio != 0 {
		parts = append(parts, fmt.Sprintf("at most %g of Redis", g.ratio))
	}
	return strings.Join(parts, ", ")
}

// unknown is a figure that a server does not have.
const unknown = -1

// row prints a line of the table and books a goal that was missed.
func (b *memoryBench) row(what string, its, ours float64, g goal) {
	verdict := "ok"
	switch {
	case ours == unknown, g.most != 0 && ours > g.most, g.ratio != 0 && ours > its*g.ratio:
		verdict = "MISSED"
		b.missed = append(b.missed, what)
	case g == (goal{}):
		verdict = ""
	}
	ratio := "-"
	if its > 0 && ours != unknown {
		ratio = fmt.Sprintf("%.2f", ours/its)
	}
	fmt.Printf("%-46s %12s %12s %6s  %-20s %s\n", what, figure(its), figure(ours), ratio, g, verdict)
}

func figure(v float64) string {
	if v == unknown {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func (b *memoryBench) failed(what string, err error) {
	b.missed = append(b.missed, what)
	fmt.Printf("%-46s %v\n", what, err)
}

// inMemory are the options of a server that keeps nothing.
func inMemory() []string { return []string{"--appendonly", "no", "--save", ""} }

// pair starts both servers, without persistence.
func (b *memoryBench) pair() (its, ours *Server) {
	its = redisServer(b.t, inMemory()...)
	its.Start()
	return its, startServer(b.t, inMemory()...)
}

// footprint is one kind of data and how to make n of it.
type footprint struct {
	what   string
	n      int
	want   goal
	append func(buf []byte, i int) []byte // the request that makes item i
}

func (b *memoryBench) footprints() {
	deadline := strconv.FormatInt(time.Now().Add(24*time.Hour).UnixMilli(), 10)
	for _, f := range []footprint{
		{"bytes/key, 16-byte keys, 64-byte values", b.size.keys, goal{most: 100}, appendSet},
		{"bytes/key, the same with deadlines", b.size.keys, goal{ratio: 0.6}, func(buf []byte, i int) []byte {
			return appendRequest(buf, "SET", keyName(i), value64(i), "PXAT", deadline)
		}},
		{"bytes/hash, 10 fields of 8 and 16 bytes", b.size.hashes, goal{ratio: 0.8}, appendHash},
		{"bytes/member, one sorted set", b.size.members, goal{ratio: 0.75}, func(buf []byte, i int) []byte {
			return appendRequest(buf, "ZADD", "zset", strconv.Itoa(scatter(i)), keyName(i))
		}},
		{"bytes/field, one hash", b.size.members, goal{ratio: 0.75}, func(buf []byte, i int) []byte {
			return appendRequest(buf, "HSET", "hash", keyName(scatter(i)), value16(i))
		}},
		{"bytes/member, one set", b.size.members, goal{ratio: 0.75}, func(buf []byte, i int) []byte {
			return appendRequest(buf, "SADD", "set", keyName(scatter(i)))
		}},
		{"bytes/element, one list", b.size.members, goal{ratio: 1}, func(buf []byte, i int) []byte {
			return appendRequest(buf, "RPUSH", "list", keyName(i))
		}},
	} {
		its, err := b.footprint(redisServer(b.t, inMemory()...), f)
		if err != nil {
			b.t.Fatal(err)
		}
		ours, err := b.footprint(newServer(b.t, inMemory()...), f)
		if err != nil {
			b.failed(f.what, err)
			continue
		}
		b.row(f.what, its, ours, f.want)
	}
}

// footprint is the growth of the server's resident size per item.
func (b *memoryBench) footprint(s *Server, f footprint) (float64, error) {
	s.Start()
	defer s.Stop()
	before := residentBytes(b.t, s)
	if err := load(s, f.n, f.append); err != nil {
		return 0, err
	}
	return float64(residentBytes(b.t, s)-before) / float64(f.n), nil
}

// stamps compares the accounted memory of strings with and without a sibling:
// the resident size of a region with siblings has its store's buffers as well.
func (b *memoryBench) stamps() {
	const what = "bytes/key more with a sibling configured"
	var perKey [2]float64
	for i, options := range [][]string{
		append(inMemory(), "--region", "here"),
		append(inMemory(), "--region", "here", "--sibling", "there", "127.0.0.1:1"),
	} {
		s := startServer(b.t, options...)
		before := infoNumber(b.t, s, "used_memory_dataset")
		if err := load(s, b.size.keys, appendSet); err != nil {
			b.failed(what, err)
			return
		}
		perKey[i] = float64(infoNumber(b.t, s, "used_memory_dataset")-before) / float64(b.size.keys)
		s.Stop()
	}
	b.row(what, unknown, perKey[1]-perKey[0], goal{most: 12})
}

// INFO fields with the longest time, in microseconds, that the server held a
// lock or a loop for: of the processor, and by the clock, where the wait for a
// processor is in it. CONFIG RESETSTAT starts them anew.
const (
	longestTurn    = "engine_longest_turn_usec"
	longestElapsed = "engine_longest_elapsed_usec"
)

// Targets for pauses, in milliseconds.
const (
	mostTurnMs     = 5 // while keys are made
	mostLazyTurnMs = 2 // while they expire or are freed
)

// turn prints the longest turn since the last RESETSTAT.
func (b *memoryBench) turn(s *Server, what string, most float64) {
	ms := func(field string) float64 {
		if us := infoNumber(b.t, s, field); us >= 0 {
			return float64(us) / 1000
		}
		return unknown
	}
	b.row("ms longest turn, "+what, unknown, ms(longestTurn), goal{most: most})
	b.row("ms by the clock, waits for the processor too", unknown, ms(longestElapsed), goal{})
}

// longestStop is for how long the machine stops a loop that does nothing: the
// host of a virtual one can do that to any turn, and calls it processor time.
func longestStop(d time.Duration) (longest time.Duration) {
	begin := time.Now()
	for last := time.Duration(0); last < d; {
		now := time.Since(begin)
		longest, last = max(longest, now-last), now
	}
	return longest
}

// fill makes many keys while clients read, and then reads while keys are
// written.
func (b *memoryBench) fill() {
	its, ours := b.pair()
	var filling [2][]time.Duration
	for i, s := range []*Server{its, ours} {
		s.Dial().Expect("+OK", "CONFIG", "RESETSTAT")
		lats, err := watch(s, b.size.fill, func() error { return load(s, b.size.fill, appendSet) })
		if err != nil {
			b.failed("filling", err)
			return
		}
		filling[i] = lats
	}
	b.turn(ours, "filling", mostTurnMs)
	b.row("ms longest stop of an empty loop here", unknown, longestStop(20*time.Second).Seconds()*1000, goal{})
	b.row("ms p99.9 of GET, filling", p999(filling[0]), p999(filling[1]), goal{ratio: 1})

	// The servers take turns, so that what else the machine does meets both, and
	// the median of the turns counts: a virtual machine that is stopped for
	// milliseconds now and then decides some of them.
	var reading [2][]float64
	for range 15 {
		for i, s := range []*Server{its, ours} {
			lats, err := watch(s, b.size.fill, func() error { return writeAtRate(s, b.size.fill, 20_000, 3*time.Second) })
			if err != nil {
				b.failed("reading", err)
				return
			}
			reading[i] = append(reading[i], p999(lats))
		}
	}
	what := fmt.Sprintf("ms p99.9 of GET, %d keys, writes go on", b.size.fill)
	b.row(what, median(reading[0]), median(reading[1]), goal{ratio: 1})
	its.Stop()
	ours.Stop()
}

// expiry lets many keys expire in the same second.
func (b *memoryBench) expiry() {
	its, ours := b.pair()
	var lats [2][]time.Duration
	var took [2]float64
	for i, s := range []*Server{its, ours} {
		// The longest fill seen, with room: all must be there by then.
		deadline := time.Now().Add(10*time.Second + time.Duration(b.size.expire)*5*time.Microsecond)
		at := strconv.FormatInt(deadline.UnixMilli(), 10)
		err := load(s, b.size.expire, func(buf []byte, i int) []byte {
			return appendRequest(buf, "SET", keyName(i), value16(i), "PXAT", at)
		})
		if err != nil {
			b.failed("expiring", err)
			return
		}
		time.Sleep(time.Until(deadline) - time.Second)
		s.Dial().Expect("+OK", "CONFIG", "RESETSTAT")
		lats[i], err = watch(s, b.size.expire, func() error { return awaitEmpty(s, 2*time.Minute) })
		if err != nil {
			b.failed("expiring", err)
			return
		}
		took[i] = time.Since(deadline).Seconds()
		if i == 1 {
			b.turn(s, "keys expiring in one second", mostLazyTurnMs)
		}
		s.Stop()
	}
	b.row("ms p99.9 of GET meanwhile", p999(lats[0]), p999(lats[1]), goal{})
	b.row("s until the last is gone", took[0], took[1], goal{})
}

// lazyFree unlinks a large collection of each kind.
func (b *memoryBench) lazyFree() {
	for _, c := range []struct {
		kind   string
		append func(buf []byte, i int) []byte
	}{
		{"set", func(buf []byte, i int) []byte { return appendRequest(buf, "SADD", "large", keyName(i)) }},
		{"hash", func(buf []byte, i int) []byte { return appendRequest(buf, "HSET", "large", keyName(i), value16(i)) }},
		{"sorted set", func(buf []byte, i int) []byte {
			return appendRequest(buf, "ZADD", "large", strconv.Itoa(i), keyName(i))
		}},
		{"list", func(buf []byte, i int) []byte { return appendRequest(buf, "RPUSH", "large", keyName(i)) }},
	} {
		b.freeOne(c.kind, c.append)
	}
}

func (b *memoryBench) freeOne(kind string, appendTo func(buf []byte, i int) []byte) {
	its, ours := b.pair()
	var lats [2][]time.Duration
	for i, s := range []*Server{its, ours} {
		err := load(s, b.size.elements, appendTo)
		if err != nil {
			b.failed("freeing a "+kind, err)
			return
		}
		s.Dial().Expect("+OK", "CONFIG", "RESETSTAT")
		lats[i], err = watch(s, 1, func() error {
			s.Dial().Expect(":1", "UNLINK", "large")
			time.Sleep(2 * time.Second)
			return nil
		})
		if err != nil {
			b.failed("freeing a "+kind, err)
			return
		}
	}
	b.turn(ours, "freeing a large "+kind, mostLazyTurnMs)
	b.row("ms p99.9 of GET meanwhile, freeing a "+kind, p999(lats[0]), p999(lats[1]), goal{})
	its.Stop()
	ours.Stop()
}
