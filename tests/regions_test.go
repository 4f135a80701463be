package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"geocache/resp"

	"github.com/redis/go-redis/v9"
)

const (
	convergeWait = 30 * time.Second // from the last write or repair to equal digests
	noticeWait   = 15 * time.Second // for a region to be seen as down, or up again
)

// site is a region as these tests place it.
type site struct{ name, lat, lon string }

func sites() []site {
	return []site{{"toronto", "43.6532", "-79.3832"}, {"saopaulo", "-23.5505", "-46.6333"}, {"tokyo", "35.6762", "139.6503"},
		{"lagos", "6.5244", "3.3792"}, {"sydney", "-33.8688", "151.2093"}}
}

// deployment is a set of regions on this machine that are each other's siblings.
type deployment struct {
	t       *testing.T
	regions []*Server
}

// startRegions starts n regions, with these options besides their own.
func startRegions(t *testing.T, n int, options ...string) *deployment {
	t.Helper()
	d := prepareRegions(t, n, options...)
	for i, s := range d.regions {
		for j, sibling := range d.regions {
			if i != j {
				at := sites()[j]
				s.args = append(s.args, "--sibling", at.name, sibling.Addr(), at.lat, at.lon)
			}
		}
	}
	for _, s := range d.regions {
		s.Start()
	}
	d.awaitLinks()
	return d
}

// prepareRegions makes regions that do not know each other yet.
func prepareRegions(t *testing.T, n int, options ...string) *deployment {
	t.Helper()
	d := &deployment{t: t}
	for _, at := range sites()[:n] {
		s := newServer(t, options...)
		s.args = append(s.args, "--region", at.name, "--region-endpoint", s.Addr(), "--region-location", at.lat, at.lon)
		d.regions = append(d.regions, s)
	}
	return d
}

// awaitLinks waits until a write in each region is seen in all others.
func (d *deployment) awaitLinks() {
	d.t.Helper()
	for i, s := range d.regions {
		key := "link:" + strconv.Itoa(i)
		d.write(s, "SET", key, "up")
		d.awaitEverywhere(key, `"up"`)
	}
}

// write sends one command over a connection of its own and wants success.
func (d *deployment) write(s *Server, args ...string) resp.Value {
	d.t.Helper()
	c := s.Dial()
	defer func() { _ = c.Close() }()
	v := c.Do(args...)
	if v.Err() != nil {
		d.t.Fatalf("%.100q: %s", args, v)
	}
	return v
}

// awaitEverywhere waits until GET shows the value in every region.
func (d *deployment) awaitEverywhere(key, want string) {
	d.t.Helper()
	for i, s := range d.regions {
		c := s.Dial()
		last := ""
		eventuallySaying(d.t, convergeWait, func() string { return fmt.Sprintf("%s in %s is %s, not %s", key, sites()[i].name, last, want) },
			func() bool {
				last = c.Do("GET", key).String()
				return last == want
			})
		_ = c.Close()
	}
}

// eventuallySaying is eventually with a text made at the end.
func eventuallySaying(t *testing.T, within time.Duration, what func() string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", within, what())
		}
	}
}

// field is an entry of a map reply, in either protocol.
func field(v resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if v.Elems[i].Text == name {
			return v.Elems[i+1]
		}
	}
	return resp.Value{}
}

// awaitEqualDigests waits until all regions hold the same, and returns how long
// that took.
func (d *deployment) awaitEqualDigests() time.Duration {
	d.t.Helper()
	began := time.Now()
	conns := make([]*Conn, len(d.regions))
	for i, s := range d.regions {
		conns[i] = s.Dial()
		defer func() { _ = conns[i].Close() }()
	}
	var seen []string
	eventuallySaying(d.t, convergeWait, func() string { return "the regions differ:\n" + strings.Join(seen, "\n") + d.firstDifference() },
		func() bool {
			seen = seen[:0]
			equal := true
			first := ""
			for i, c := range conns {
				v := c.Do("REGION", "DIGEST")
				digest := field(v, "digest").Text
				if len(digest) != 16 {
					d.t.Fatalf("REGION DIGEST replies %s", v)
				}
				if i == 0 {
					first = digest
				}
				equal = equal && digest == first
				seen = append(seen, sites()[i].name+" "+v.String())
			}
			return equal
		})
	return time.Since(began)
}

// firstDifference says some keys that differ, for the report of a failure.
func (d *deployment) firstDifference() string {
	var b strings.Builder
	values := map[string][]string{}
	for i, s := range d.regions {
		c := s.Dial()
		for _, key := range c.Do("KEYS", "*").Elems {
			if values[key.Text] == nil {
				values[key.Text] = make([]string, len(d.regions))
			}
			values[key.Text][i] = c.Do("GET", key.Text).String() + " pttl " + c.Do("PTTL", key.Text).String()
		}
		_ = c.Close()
	}
	shown := 0
	for key, seen := range values {
		for _, v := range seen[1:] {
			if v != seen[0] && shown < 20 {
				fmt.Fprintf(&b, "\n%s: %.300q", key, seen)
				shown++
				break
			}
		}
	}
	for _, s := range d.regions {
		c := s.Dial()
		fmt.Fprintf(&b, "\n%s", c.Do("REGION", "LIST"))
		_ = c.Close()
	}
	return b.String()
}

// regionLoad writes in one region until it is told to stop, through crashes.
type regionLoad struct {
	s     *Server
	id    int
	sent  int64 // increments of the counter that nothing else touches
	acked int64
}

// run writes random changes to keys that all regions share.
func (l *regionLoad) run(stop *atomic.Bool) {
	c := redis.NewClient(&redis.Options{Addr: l.s.Addr(), MaxRetries: -1})
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(uint64(l.id), 7))
	for n := 0; !stop.Load(); n++ {
		key := "shared:" + strconv.Itoa(rng.IntN(60))
		value := fmt.Sprintf("%d-%d", l.id, n)
		var err error
		switch rng.IntN(12) {
		case 0:
			err = c.Del(ctx, key).Err()
		case 1:
			err = c.Set(ctx, key, value, time.Duration(1+rng.IntN(3000))*time.Millisecond).Err()
		case 2:
			err = c.Append(ctx, key, "+").Err()
		case 3:
			err = c.PExpire(ctx, key, time.Hour).Err()
		case 4:
			_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, key, value, 0)
				p.Set(ctx, key+":twin", value, 0)
				return nil
			})
		case 5:
			err = c.IncrBy(ctx, "mixed:"+strconv.Itoa(rng.IntN(5)), int64(rng.IntN(100)-50)).Err()
		case 6:
			if rng.IntN(10) == 0 {
				err = c.Set(ctx, "mixed:"+strconv.Itoa(rng.IntN(5)), rng.IntN(1000), 0).Err()
			}
		case 7, 8:
			l.sent++
			if err = c.Incr(ctx, "counter").Err(); err == nil {
				l.acked++
			}
		case 9:
			err = c.Rename(ctx, key, "shared:"+strconv.Itoa(rng.IntN(60))).Err()
			if err != nil && err.Error() == "ERR no such key" {
				err = nil
			}
		case 10:
			err = c.SetNX(ctx, key, value, 0).Err()
		default:
			err = c.Set(ctx, key, value, 0).Err()
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond) // the region is down
		}
		time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
	}
}

// TestRegionsConverge keeps all regions under load while one is killed and
// restarted and one is cut off. Afterwards all hold the same, and no increment
// is lost or counted twice.
func TestRegionsConverge(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		t.Run(strconv.Itoa(n)+" regions", func(t *testing.T) {
			d := startRegions(t, n, "--appendfsync", "always")
			var stop atomic.Bool
			var wg sync.WaitGroup
			loads := make([]*regionLoad, n)
			for i, s := range d.regions {
				loads[i] = &regionLoad{s: s, id: i}
				wg.Add(1)
				go func() {
					defer wg.Done()
					loads[i].run(&stop)
				}()
			}
			phase := budget(t, 6*time.Second) / 6
			time.Sleep(phase)
			d.regions[0].Kill()
			time.Sleep(phase)
			d.regions[0].Start()
			time.Sleep(phase)
			d.regions[n-1].Signal(syscall.SIGSTOP)
			time.Sleep(phase)
			d.regions[n-1].Signal(syscall.SIGCONT)
			time.Sleep(phase)
			d.regions[1].Kill()
			d.regions[1].Start()
			time.Sleep(phase)
			stop.Store(true)
			wg.Wait()
			took := d.awaitEqualDigests()
			var sent, acked int64
			for _, l := range loads {
				sent += l.sent
				acked += l.acked
			}
			for i, s := range d.regions {
				got, err := strconv.ParseInt(d.write(s, "GET", "counter").Text, 10, 64)
				if err != nil || got < acked || got > sent {
					t.Errorf("the counter in %s is %d, %v; %d increments were acknowledged, %d sent", sites()[i].name, got, err, acked, sent)
				}
			}
			t.Logf("equal %v after the last write; %d of %d increments acknowledged", took, acked, sent)
		})
	}
}

// TestRegionsFlush empties all regions from one of them.
func TestRegionsFlush(t *testing.T) {
	d := startRegions(t, 2)
	for i := range 100 {
		d.write(d.regions[i%2], "SET", "k"+strconv.Itoa(i), "v")
	}
	d.awaitEqualDigests()
	d.write(d.regions[0], "FLUSHALL")
	d.write(d.regions[0], "SET", "after", "v")
	d.awaitEverywhere("after", `"v"`)
	d.awaitEqualDigests()
	for _, s := range d.regions {
		if n := d.write(s, "DBSIZE").Int; n != 1 {
			t.Errorf("%d keys after FLUSHALL and one SET", n)
		}
	}
}

// TestRegionsCAS reads a token in one region and uses it in another.
func TestRegionsCAS(t *testing.T) {
	d := startRegions(t, 2)
	a, b := d.regions[0].Dial(), d.regions[1].Dial()
	a.Expect("+OK", "SET", "item", "one")
	d.awaitEverywhere("item", `"one"`)
	read := a.Do("GETS", "item")
	if len(read.Elems) != 2 || read.Elems[0].Text != "one" {
		t.Fatalf("GETS replies %s", read)
	}
	token := text(read.Elems[1])
	if there := b.Do("GETS", "item"); len(there.Elems) != 2 || text(there.Elems[1]) != token {
		t.Errorf("the token in the other region is %s, not %s", there, token)
	}
	fresh := b.Do("CAS", "item", token, "two")
	if fresh.IsNull() || fresh.Err() != nil {
		t.Fatalf("CAS with a token of the other region: %s", fresh)
	}
	b.Expect("nil", "CAS", "item", token, "three")
	d.awaitEverywhere("item", `"two"`)
	a.Expect("nil", "CAS", "item", token, "three")
	if v := a.Do("CAS", "item", text(fresh), "four"); v.IsNull() || v.Err() != nil {
		t.Errorf("CAS with the new token: %s", v)
	}
	d.awaitEverywhere("item", `"four"`)
	d.awaitEqualDigests()
}

// text is a bulk or an integer as a client would send it back.
func text(v resp.Value) string {
	if v.Kind == ':' {
		return strconv.FormatInt(v.Int, 10)
	}
	return v.Text
}

// TestRegionsWatch aborts a transaction when a sibling's write touches what it
// watches.
func TestRegionsWatch(t *testing.T) {
	d := startRegions(t, 2)
	a := d.regions[0].Dial()
	a.Expect("+OK", "SET", "watched", "1")
	d.awaitEverywhere("watched", `"1"`)
	a.Expect("+OK", "WATCH", "watched")
	d.write(d.regions[1], "SET", "watched", "2")
	d.awaitEverywhere("watched", `"2"`)
	a.Expect("+OK", "MULTI")
	a.Expect("+QUEUED", "SET", "watched", "3")
	a.Expect("*nil", "EXEC")
}

// TestRegionsClosest asks for the nearest region while it dies and returns.
func TestRegionsClosest(t *testing.T) {
	d := startRegions(t, 3)
	toronto, saopaulo, tokyo := d.regions[0], d.regions[1], d.regions[2]
	c := saopaulo.Dial()
	montreal := []string{"CLOSEST", "45.5017", "-73.5673"}
	// A region is up once it has shown so; until then the answer may pass it over.
	for _, ask := range []struct {
		want string
		args []string
	}{
		{strconv.Quote(toronto.Addr()), montreal},
		{strconv.Quote(saopaulo.Addr()), []string{"CLOSEST", "-22.9068", "-43.1729"}},
		{strconv.Quote(tokyo.Addr()), []string{"CLOSEST", "37.5665", "126.9780"}},
		{fmt.Sprintf("[%q, %q]", toronto.Addr(), saopaulo.Addr()), append(montreal, "COUNT", "2")},
	} {
		got := ""
		eventuallySaying(t, noticeWait, func() string { return fmt.Sprintf("%q replies %s, not %s", ask.args, got, ask.want) },
			func() bool {
				got = c.Do(ask.args...).String()
				return got == ask.want
			})
	}
	for _, by := range []string{"DISTANCE", "RTT"} {
		if v := c.Do(append(montreal, "BY", by)...); v.Kind != '$' || v.Text == "" {
			t.Errorf("CLOSEST BY %s replies %s", by, v)
		}
	}
	details := c.Do(append(montreal, "WITHDETAILS")...)
	if got := field(details, "region").Text; got != "toronto" {
		t.Errorf("WITHDETAILS: region %q in %s", got, details)
	}
	if got := field(details, "endpoint").Text; got != toronto.Addr() {
		t.Errorf("WITHDETAILS: endpoint %q", got)
	}
	distance, err := strconv.ParseFloat(field(details, "distance-km").Text, 64)
	if err != nil || distance < 480 || distance > 530 {
		t.Errorf("WITHDETAILS: distance %s", details)
	}
	for _, bad := range []struct{ lat, lon, names, limit string }{
		{"91", "0", "latitude", "90"}, {"x", "0", "latitude", "90"}, {"0", "-180.5", "longitude", "180"}, {"nan", "0", "latitude", "90"},
	} {
		v := c.Do("CLOSEST", bad.lat, bad.lon)
		if v.Err() == nil || !strings.Contains(v.Text, bad.names) || !strings.Contains(v.Text, bad.limit) {
			t.Errorf("CLOSEST %s %s replies %s", bad.lat, bad.lon, v)
		}
	}
	closestIs := func(want string) func() bool {
		return func() bool { return c.Do(montreal...).Text == want }
	}
	toronto.Kill()
	eventually(t, noticeWait, "CLOSEST passes over a region that was killed", closestIs(saopaulo.Addr()))
	toronto.Start()
	eventually(t, noticeWait, "CLOSEST names a region that has returned", closestIs(toronto.Addr()))
	toronto.Signal(syscall.SIGSTOP)
	eventually(t, noticeWait, "CLOSEST passes over a region that does not answer", closestIs(saopaulo.Addr()))
	toronto.Signal(syscall.SIGCONT)
	eventually(t, noticeWait, "CLOSEST names a region that answers again", closestIs(toronto.Addr()))
	d.write(toronto, "REGION", "DRAIN", "ON")
	eventually(t, noticeWait, "CLOSEST passes over a drained region", closestIs(saopaulo.Addr()))
	d.write(toronto, "REGION", "DRAIN", "OFF")
	eventually(t, noticeWait, "CLOSEST names a region no longer drained", closestIs(toronto.Addr()))
}

// TestRegionsCatchUp lets a region miss many writes: it gets them from the logs,
// also from the log of a region that was itself restarted meanwhile.
func TestRegionsCatchUp(t *testing.T) {
	const writes = 20_000
	d := startRegions(t, 2)
	a, b := d.regions[0], d.regions[1]
	b.Kill()
	c := a.Client()
	ctx := context.Background()
	for from := 0; from < writes; from += 1000 {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < from+1000; i++ {
				p.Set(ctx, "missed:"+strconv.Itoa(i), i, 0)
			}
			p.Incr(ctx, "batches")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.Stop()
	a.Start()
	b.Start()
	d.awaitEverywhere("missed:"+strconv.Itoa(writes-1), strconv.Quote(strconv.Itoa(writes-1)))
	d.awaitEverywhere("batches", strconv.Quote(strconv.Itoa(writes/1000)))
	t.Logf("%d missed writes, equal after %v more", writes, d.awaitEqualDigests())
	d.write(b, "SET", "back", "1")
	d.awaitEverywhere("back", `"1"`)
}

// TestRegionsCutOff writes on while a sibling does not answer: no write waits
// for it, its lag is shown, and it catches up.
func TestRegionsCutOff(t *testing.T) {
	d := startRegions(t, 2)
	a, b := d.regions[0], d.regions[1]
	lag := func() int64 {
		v := d.write(a, "REGION", "INFO", "saopaulo")
		out := field(v, "lag-out-ms")
		if out.Kind != ':' {
			t.Fatalf("REGION INFO shows no lag-out-ms: %s", v)
		}
		return out.Int
	}
	c := a.Dial()
	b.Signal(syscall.SIGSTOP)
	slowest := time.Duration(0)
	stopped := time.Now()
	for n := 0; time.Since(stopped) < 3*time.Second; n++ {
		began := time.Now()
		c.Expect("+OK", "SET", "cut:"+strconv.Itoa(n%1000), strconv.Itoa(n))
		slowest = max(slowest, time.Since(began))
	}
	if slowest > time.Second {
		t.Errorf("a local write took %v while the sibling was stopped", slowest)
	}
	if ms := lag(); ms < 1000 {
		t.Errorf("three seconds after the sibling stopped its lag is %d ms", ms)
	}
	b.Signal(syscall.SIGCONT)
	d.awaitEqualDigests()
	eventually(t, noticeWait, "the lag is gone", func() bool { return lag() < 500 })
}

// TestRegionsAddRemove makes two regions siblings at run time, keeps them so
// over a restart, and parts them again.
func TestRegionsAddRemove(t *testing.T) {
	d := prepareRegions(t, 2)
	for _, s := range d.regions {
		s.Start()
	}
	a, b := d.regions[0], d.regions[1]
	for i := range 50 {
		d.write(a, "SET", "before:"+strconv.Itoa(i), "v")
	}
	for i, s := range d.regions {
		d.write(s, "REGION", "ADD", sites()[1-i].name, d.regions[1-i].Addr(), sites()[1-i].lat, sites()[1-i].lon)
	}
	d.awaitEverywhere("before:49", `"v"`)
	d.awaitLinks()
	d.awaitEqualDigests()
	if list := d.write(a, "REGION", "LIST"); len(list.Elems) != 2 {
		t.Errorf("REGION LIST: %s", list)
	}
	c := a.Dial()
	c.Expect("-ERR SWAPDB is not allowed while siblings are configured", "SWAPDB", "0", "1")
	_ = c.Close()
	b.Stop()
	b.Start()
	d.write(b, "SET", "restarted", "v")
	d.awaitEverywhere("restarted", `"v"`)
	d.write(a, "REGION", "REMOVE", "saopaulo")
	d.write(a, "SET", "apart", "v")
	time.Sleep(time.Second)
	c = b.Dial()
	c.Expect("nil", "GET", "apart")
}

// TestRegionsDeadlines lets a key expire everywhere at its one deadline.
func TestRegionsDeadlines(t *testing.T) {
	d := startRegions(t, 2)
	c := d.regions[0].Client()
	ctx := context.Background()
	deadline := time.Now().Add(1500 * time.Millisecond).Truncate(time.Millisecond)
	if err := c.Set(ctx, "brief", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.PExpireAt(ctx, "brief", deadline).Err(); err != nil {
		t.Fatal(err)
	}
	d.awaitEverywhere("brief", `"v"`)
	for i, s := range d.regions {
		got, err := s.Client().PExpireTime(ctx, "brief").Result()
		if (err != nil && !errors.Is(err, redis.Nil)) || got.Milliseconds() != deadline.UnixMilli() && time.Now().Before(deadline) {
			t.Errorf("the deadline in %s is %d, %v; not %d", sites()[i].name, got.Milliseconds(), err, deadline.UnixMilli())
		}
	}
	d.awaitEverywhere("brief", "nil")
	if now := time.Now(); now.Before(deadline) || now.After(deadline.Add(2*time.Second)) {
		t.Errorf("gone everywhere %v after its deadline", now.Sub(deadline))
	}
	d.awaitEqualDigests()
}
