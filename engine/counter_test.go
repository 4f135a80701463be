package engine

import (
	"math"
	"strconv"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// three are connected regions under one clock; sync delivers everything.
func three(p Params) (wall *clock.Manual, rs []*region, sync func()) {
	wall = clock.NewManual(startMs)
	sent := map[[2]int]int{}
	for _, n := range []string{"a", "b", "c"} {
		rs = append(rs, newRegion(n, wall, 4, 2, p))
	}
	return wall, rs, func() {
		wall.Advance(1)
		for to, r := range rs {
			for from, s := range rs {
				for n := sent[[2]int{to, from}]; to != from && n < len(s.own); n++ {
					r.receive(s.own[n])
					sent[[2]int{to, from}] = n + 1
				}
			}
		}
	}
}

func sameEverywhere(t *testing.T, rs []*region, want string, there bool) {
	t.Helper()
	for i, r := range rs {
		if r.err != nil {
			t.Fatal(r.err)
		}
		if v, ok := r.get("k"); v != want || ok != there {
			t.Errorf("region %d: %q %v, want %q %v", i, v, ok, want, there)
		}
		if r.digest() != rs[0].digest() {
			t.Errorf("region %d: another digest", i)
		}
		checkAccounts(t, r.e)
	}
}

func incr(t *testing.T, r *region, by int64) {
	t.Helper()
	r.do(func(tx *Tx) {
		if _, err := tx.Incr(key("k"), by); err != nil {
			t.Error(err)
		}
	}, "k")
}

func incrFloat(t *testing.T, r *region, by string) {
	t.Helper()
	r.do(func(tx *Tx) {
		if _, err := tx.IncrFloat(key("k"), []byte(by)); err != nil {
			t.Error(err)
		}
	}, "k")
}

func set(r *region, val string, exp Expiry) {
	r.do(func(tx *Tx) { tx.SetString(key("k"), []byte(val), exp) }, "k")
}

func TestRemovedCounterKeepsUnseenIncrement(t *testing.T) {
	_, rs, sync := three(merging())
	set(rs[0], "1", NoDeadline())
	incrFloat(t, rs[0], "3.1")
	sync()
	rs[0].do(func(tx *Tx) { tx.Delete(key("k")) }, "k")
	incrFloat(t, rs[1], "2")
	sync()
	sameEverywhere(t, rs, "2", true)
}

func TestCountersClampAlikeEverywhere(t *testing.T) {
	for _, c := range []struct{ base, by, want int64 }{
		{math.MaxInt64 - 10, 8, math.MaxInt64},
		{math.MinInt64 + 10, -8, math.MinInt64},
	} {
		_, rs, sync := three(merging())
		set(rs[0], strconv.FormatInt(c.base, 10), NoDeadline())
		sync()
		for _, r := range rs {
			incr(t, r, c.by)
		}
		sync()
		sameEverywhere(t, rs, strconv.FormatInt(c.want, 10), true)
		if rs[0].e.Stats().ConflictsClamped == 0 {
			t.Error("clamping was not counted")
		}
		// What went over is not lost: it is there when it fits again.
		incr(t, rs[1], -3*c.by)
		sync()
		if v, _ := rs[2].get("k"); v == strconv.FormatInt(c.want, 10) {
			t.Errorf("still clamped: %s", v)
		}
	}
}

func TestFloatSumsPrintAlike(t *testing.T) {
	_, rs, sync := three(merging())
	for i := range 50 {
		incrFloat(t, rs[i%3], "0.1")
		incrFloat(t, rs[(i+1)%3], strconv.Itoa(i)+"e-7")
		if i%7 == 0 {
			sync()
		}
		if i == 20 {
			incrFloat(t, rs[2], "1e17")
		}
	}
	sync()
	v, ok := rs[0].get("k")
	sameEverywhere(t, rs, v, ok)
}

func TestFloatExtremesStayDecodable(t *testing.T) {
	_, rs, sync := three(merging())
	set(rs[0], "-1.1e4932", NoDeadline())
	for range 2 {
		incrFloat(t, rs[0], "1.1e4932")
	}
	incrFloat(t, rs[0], "1e-4940")
	sync()
	if rs[0].err != nil {
		t.Fatal(rs[0].err)
	}
	v, ok := rs[0].get("k")
	sameEverywhere(t, rs, v, ok)
}

func TestExpiredCounterStartsAnewEverywhere(t *testing.T) {
	// Region 0 set the deadline and announces the end; the others still hold
	// the key, or hear of it before or after they count themselves.
	wall, rs, sync := three(merging())
	incr(t, rs[0], 1)
	incr(t, rs[1], 2)
	sync()
	rs[0].do(func(tx *Tx) { tx.SetDeadline(key("k"), wall.NowMs()+100) }, "k")
	sync()
	wall.Advance(200)
	sameEverywhere(t, rs, "", false)
	for i := len(rs) - 1; i >= 0; i-- {
		expireAll(rs[i])
	}
	if n := rs[0].e.Stats().ExpiredKeys; n != 1 {
		t.Errorf("expired %d keys where the deadline was set", n)
	}
	if n := rs[1].e.Stats().ExpiredKeys; n != 0 {
		t.Errorf("expired %d keys where it was not", n)
	}
	incr(t, rs[0], 10)
	incr(t, rs[1], 20)
	sync()
	sameEverywhere(t, rs, "30", true)
	if n := rs[2].e.Stats().ExpiredKeys; n != 1 {
		t.Errorf("%d keys expired in a region that was told", n)
	}
	rs[2].do(func(tx *Tx) { tx.Delete(key("k")) }, "k")
	sync()
	sameEverywhere(t, rs, "", false)
	for _, r := range rs {
		r.e.ForgetRemovals(rs[0].vector.Clone(), 100)
		if n := r.e.UsedBytes(); n != 0 {
			t.Errorf("%d bytes left", n)
		}
	}
}

func TestOrphanedExpiry(t *testing.T) {
	wall, rs, sync := three(merging())
	set(rs[0], "v", DeadlineAt(wall.NowMs()+100))
	sync()
	wall.Advance(100 + orphanMs)
	expireAll(rs[1])
	if len(rs[1].own) != 1 {
		t.Fatal("the end of an orphaned key was not announced")
	}
	set(rs[2], "w", NoDeadline())
	sync()
	sameEverywhere(t, rs, "w", true)
}

func expireAll(r *region) {
	for range 4 * len(r.e.shards) * r.e.databases {
		r.e.ExpireStep(r.wall.NowMs(), nil)
	}
}

func TestDigestOfCounterOnDisk(t *testing.T) {
	p := merging()
	p.EvictToDisk, p.KeepRows, p.Policy = true, true, policy("allkeys-lru")
	_, rs, sync := three(p)
	set(rs[0], "1000000000000", NoDeadline())
	sync()
	evictAll(t, rs[0])
	incr(t, rs[1], 5)
	sync()
	for _, r := range rs {
		if r.digest() != rs[0].digest() {
			t.Error("digests differ")
		}
	}
}

// evictAll checkpoints all rows of r and evicts what can be; it returns them.
func evictAll(t *testing.T, r *region) map[RowKey][]byte {
	t.Helper()
	rows := map[RowKey][]byte{}
	keys, _ := r.e.TakeDirty()
	for _, k := range keys {
		if en, ok := r.e.Row(k); ok && !en.Evicted {
			rows[k] = en.State
			r.e.RowWritten(en.StateEntry)
		}
	}
	n := 0
	for r.e.EvictStep(r.wall.NowMs()) > 0 {
		n++
	}
	if n == 0 {
		t.Fatal("nothing was evicted")
	}
	return rows
}

func TestRemovalOutlivesItsLeavings(t *testing.T) {
	// After DEL in a region, changes of a key keep its entry queued once.
	_, rs, sync := three(merging())
	incr(t, rs[0], 1)
	rs[0].do(func(tx *Tx) { tx.Delete(key("k")) }, "k")
	for range 1000 {
		incr(t, rs[0], 1)
	}
	sync()
	for _, r := range rs {
		n := 0
		for _, s := range r.e.shards {
			for _, piece := range s.graves {
				n += len(piece)
			}
		}
		if n != 1 {
			t.Errorf("%d graves for one key", n)
		}
	}
}

func TestHostileBatches(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 4, 4, merging())
	for name, fill := range map[string]func(*op.Builder){
		"database out of range": func(b *op.Builder) { b.Set(4, []byte("k"), []byte("v"), 0) },
		"map out of range":      func(b *op.Builder) { b.SwapDB([]int{0, 1, 2, 9}) },
		"map with a double":     func(b *op.Builder) { b.SwapDB([]int{0, 1, 2, 2}) },
		"map too short":         func(b *op.Builder) { b.SwapDB([]int{0, 1, 2}) },
		"empty map":             func(b *op.Builder) { b.SwapDB(nil) },
	} {
		var body op.Builder
		fill(&body)
		b, err := op.ParseBatch(op.AppendBatch(nil, op.Header{Origin: 9, First: 9, Count: body.Len()}, body.Body()))
		if err != nil || b.Check() != nil {
			t.Fatal(name, err)
		}
		if r.e.Apply(b, FromSibling, startMs) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
