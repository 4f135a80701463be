package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// link is a field of REGION INFO at one region about another.
func (d *deployment) link(at, about int, name string) string {
	d.t.Helper()
	return text(field(d.write(d.regions[at], "REGION", "INFO", sites()[about].name), name))
}

// awaitLink waits until the link shows a state.
func (d *deployment) awaitLink(at, about int, state string) {
	d.t.Helper()
	last := ""
	eventuallySaying(d.t, convergeWait, func() string {
		return fmt.Sprintf("%s is %q for %s, not %q", sites()[about].name, last, sites()[at].name, state)
	}, func() bool {
		last = d.link(at, about, "link")
		return last == state
	})
}

// add makes a region know another.
func (d *deployment) add(at, about int, join ...string) {
	d.t.Helper()
	d.write(d.regions[at], append([]string{"REGION", "ADD", sites()[about].name, d.regions[about].Addr()}, join...)...)
}

// fill writes so many keys with random values of a size.
func fill(t *testing.T, s *Server, prefix string, keys, size int) {
	t.Helper()
	ctx := context.Background()
	c := s.Client()
	rng := rand.New(rand.NewPCG(uint64(keys), 1))
	value := make([]byte, size)
	const burst = 500
	for from := 0; from < keys; from += burst {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < min(keys, from+burst); i++ {
				for j := range value {
					value[j] = byte(rng.Uint32())
				}
				p.Set(ctx, prefix+strconv.Itoa(i), string(value), 0)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRegionsJoinWhileWriting gives a sibling to a region that holds data and
// goes on being written to.
func TestRegionsJoinWhileWriting(t *testing.T) {
	d := prepareRegions(t, 2)
	for _, s := range d.regions {
		s.Start()
	}
	a, b := d.regions[0], d.regions[1]
	fill(t, a, "held:", 100_000, 50)
	d.add(0, 1)
	d.add(1, 0) // what is written there before would be data of its own
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i, s := range d.regions {
		l := &regionLoad{s: s, id: i}
		wg.Go(func() { l.run(&stop) })
	}
	began := time.Now()
	d.awaitEverywhere("held:99999", d.write(a, "GET", "held:99999").String())
	d.awaitLink(1, 0, "up")
	t.Logf("100000 keys copied in %v", time.Since(began))
	stop.Store(true)
	wg.Wait()
	d.awaitEqualDigests()
	if n := d.write(b, "DBSIZE").Int; n < 100_000 {
		t.Errorf("%d keys in the region that joined", n)
	}
}

// TestRegionsThatBothHoldData are refused until the operator decides, and
// remember over restarts what was decided.
func TestRegionsThatBothHoldData(t *testing.T) {
	d := prepareRegions(t, 2)
	for i, s := range d.regions {
		s.Start()
		d.write(s, "SET", "of:"+strconv.Itoa(i), "v")
	}
	a, b := d.regions[0], d.regions[1]
	d.add(0, 1)
	d.add(1, 0)
	d.awaitLink(0, 1, "refused")
	if why := d.link(0, 1, "reason"); !strings.Contains(why, "MERGE") || !strings.Contains(why, "EMPTY") {
		t.Errorf("the reason is %q", why)
	}
	c := a.Dial()
	c.Expect("-ERR Region 'saopaulo' already exists", "REGION", "ADD", "saopaulo", b.Addr())
	d.add(0, 1, "MERGE")
	d.awaitEqualDigests()
	d.awaitEverywhere("of:0", `"v"`)
	d.awaitEverywhere("of:1", `"v"`)

	c.Expect("+OK", "REGION", "REMOVE", "saopaulo")
	d.write(b, "REGION", "REMOVE", "toronto")
	d.write(b, "SET", "alone", "v")
	d.add(0, 1)
	d.add(1, 0)
	d.awaitLink(0, 1, "refused")
	d.add(1, 0, "EMPTY")
	d.awaitLink(1, 0, "up")
	d.awaitEverywhere("of:1", `"v"`)
	d.awaitEverywhere("alone", "nil")
	d.awaitEqualDigests()

	a.Kill()
	b.Stop()
	a.Start()
	b.Start()
	d.awaitLinks()
	d.awaitEqualDigests()
}

// TestRegionsWrongWords gives siblings wrong names and passwords, and frames
// that are none.
func TestRegionsWrongWords(t *testing.T) {
	d := startRegions(t, 2)
	a, b := d.regions[0], d.regions[1]
	c := a.Dial()
	for range 2000 {
		junk := make([]byte, 1+rand.IntN(200))
		for i := range junk {
			junk[i] = byte(rand.Uint32())
		}
		c.Expect("+OK", "REGION", "FRAME", "saopaulo", string(junk))
	}
	c.Expect("-ERR No such region 'tokyo'", "REGION", "FRAME", "tokyo", "x")
	c.Expect("-ERR No such region 'toronto'", "REGION", "FRAME", "toronto", "x")
	d.awaitLinks()
	d.awaitEqualDigests()
	if n := strings.Count(a.Log(), "frame was refused"); n > 60 {
		t.Errorf("%d log lines about bad frames", n)
	}

	c.Expect("+OK", "CONFIG", "SET", "requirepass", "secret")
	d.write(b, "CONFIG", "SET", "sibling-auth-pass", "wrong")
	down := func() bool { return strings.Contains(d.link(1, 0, "link-error"), "WRONGPASS") }
	eventually(t, noticeWait, "a wrong password shows", down)
	d.write(b, "SET", "late", "v")
	d.write(b, "CONFIG", "SET", "sibling-auth-pass", "secret")
	eventually(t, noticeWait, "the right password opens the link", func() bool { return c.Do("GET", "late").Text == "v" })
	c.Expect("+OK", "CONFIG", "SET", "requirepass", "")

	c.Expect("+OK", "REGION", "ADD", "nobody", b.Addr())
	eventually(t, noticeWait, "a wrong name shows", func() bool {
		return strings.Contains(text(field(c.Do("REGION", "INFO", "nobody"), "reason")), "no region named")
	})
	c.Expect("+OK", "REGION", "ADD", "mirror", a.Addr())
	c.Expect("+OK", "REGION", "REMOVE", "nobody")
	c.Expect("+OK", "REGION", "REMOVE", "mirror")
	d.awaitLinks()
	d.awaitEqualDigests()
}

// cutter is a TCP proxy on the way to a region. While it is cut, connections
// stand but nothing passes.
type cutter struct {
	l   net.Listener
	to  string
	cut atomic.Bool
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", loopback(freePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &cutter{l: l, to: to}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(in)
		}
	}()
	return p
}

func (p *cutter) carry(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	go p.copy(in, out)
	p.copy(out, in)
}

// copy ends both connections at the first error.
func (p *cutter) copy(to, from net.Conn) {
	defer func() { _ = errors.Join(to.Close(), from.Close()) }()
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		for p.cut.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		if _, werr := to.Write(chunk[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestRegionsCutLine cuts the way between two regions, in one direction and in
// both: writes do not wait, and what is missed comes from the logs.
func TestRegionsCutLine(t *testing.T) {
	d := prepareRegions(t, 2)
	lines := make([]*cutter, 2) // to the region of that index
	for i, s := range d.regions {
		lines[i] = newCutter(t, s.Addr())
	}
	for i, s := range d.regions {
		s.args = append(s.args, "--sibling", sites()[1-i].name, lines[1-i].l.Addr().String())
		s.Start()
	}
	d.awaitLinks()
	a, b := d.regions[0], d.regions[1]
	const held = 20_000
	fill(t, a, "held:", held, 200)
	d.awaitEqualDigests()
	shipped := func() int64 {
		n, err := strconv.ParseInt(d.link(0, 1, "bytes-out"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, cut := range [][]bool{{false, true}, {true, false}, {true, true}} {
		name := fmt.Sprintf("cut to %s %v, to %s %v", sites()[0].name, cut[0], sites()[1].name, cut[1])
		before := shipped()
		lines[0].cut.Store(cut[0])
		lines[1].cut.Store(cut[1])
		slowest, writes := time.Duration(0), 0
		ca, cb := a.Dial(), b.Dial()
		for began := time.Now(); time.Since(began) < 4*time.Second; writes++ {
			start := time.Now()
			ca.Expect("+OK", "SET", "cut:"+strconv.Itoa(writes%500), strconv.Itoa(writes))
			cb.Do("INCR", "cut:counter")
			slowest = max(slowest, time.Since(start))
			time.Sleep(2 * time.Millisecond)
		}
		if slowest > time.Second {
			t.Errorf("%s: a write took %v", name, slowest)
		}
		lines[0].cut.Store(false)
		lines[1].cut.Store(false)
		took := d.awaitEqualDigests()
		sent := shipped() - before
		t.Logf("%s: %d writes each, the slowest %v; equal after %v, %d bytes sent", name, writes, slowest, took, sent)
		if sent > held*200/4 {
			t.Errorf("%s: %d bytes were sent for %d writes", name, sent, writes)
		}
	}
}

// TestRegionsLogBudget leaves a region behind what the log may hold: it rejoins
// empty and gets a copy.
func TestRegionsLogBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: a region is suspended only after a while")
	}
	d := startRegions(t, 2, "--log-retention-size", "1mb", "--checkpoint-log-size", "1mb", "--appendfsync", "always")
	a, b := d.regions[0], d.regions[1]
	b.Kill()
	fill(t, a, "missed:", 30_000, 200)
	eventually(t, noticeWait, "the log is cut", func() bool { return strings.Contains(a.Log(), "over its budget") })
	fill(t, a, "missed:", 10_000, 300)
	b.Start()
	d.write(b, "SET", "unsent", "v")
	eventually(t, 2*convergeWait, "the region rejoins empty", func() bool { return strings.Contains(b.Log(), "rejoins empty") })
	d.awaitLink(1, 0, "up")
	d.awaitEqualDigests()
	d.awaitLinks()
}

// TestRegionsMemory fills two regions beyond their memory: values go to disk,
// and every key can be read everywhere.
func TestRegionsMemory(t *testing.T) {
	const limit, keys, size = 16 << 20, 20_000, 2000
	d := startRegions(t, 2, "--maxmemory", strconv.Itoa(limit), "--maxmemory-policy", "allkeys-lru", "--checkpoint-log-size", "4mb")
	c := d.regions[0].Dial()
	for i := range keys {
		// Also where rows have to be written first, a write waits and is not refused.
		c.Expect("+OK", "SET", "big:"+strconv.Itoa(i), strings.Repeat(strconv.Itoa(i%10), size))
	}
	d.awaitEqualDigests()
	for i, s := range d.regions {
		r := s.Dial()
		for k := 0; k < keys; k += 7 {
			want := strings.Repeat(strconv.Itoa(k%10), size)
			if got := r.Do("GET", "big:"+strconv.Itoa(k)); got.Text != want {
				t.Fatalf("big:%d in %s is %.40s, %d bytes", k, sites()[i].name, got, len(got.Text))
			}
		}
		used := 0
		for line := range strings.Lines(r.Do("INFO", "memory").Text) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
				used, _ = strconv.Atoi(v)
			}
		}
		if used > limit*5/4 {
			t.Errorf("used_memory in %s is %d", sites()[i].name, used)
		}
		if n := int(r.Do("DBSIZE").Int); n < keys {
			t.Errorf("%d keys in %s, %d were written", n, sites()[i].name, keys)
		}
	}
}

// TestRegionsClosestInTime measures how soon CLOSEST knows of a region that is
// gone, hangs, or is back.
func TestRegionsClosestInTime(t *testing.T) {
	d := startRegions(t, 2)
	toronto, c := d.regions[0], d.regions[1].Dial()
	timed := func(what, want string, within time.Duration, do func()) {
		t.Helper()
		do()
		began := time.Now()
		eventually(t, noticeWait, what, func() bool { return c.Do("CLOSEST", "45.5017", "-73.5673").Text == want })
		t.Logf("%s: %v", what, time.Since(began))
		if took := time.Since(began); took > 2*within {
			t.Errorf("%s: took %v, not %v", what, took, within)
		}
	}
	there, here := toronto.Addr(), d.regions[1].Addr()
	timed("both are up", there, 5*time.Second, func() {})
	timed("killed", here, 3*time.Second, toronto.Kill)
	timed("started", there, 5*time.Second, toronto.Start)
	timed("hangs", here, 5*time.Second, func() { toronto.Signal(syscall.SIGSTOP) })
	timed("goes on", there, 5*time.Second, func() { toronto.Signal(syscall.SIGCONT) })
}
