package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"geocache/clock"
	"geocache/slab"
)

func sweepRegion(shards int) *region {
	p := alone()
	p.Recording, p.Forms = false, testForms
	return newRegion("a", clock.NewManual(startMs), shards, 2, p)
}

// mapped is the memory of all tables' arenas.
func (r *region) mapped() (live, mapped int64) {
	for _, s := range r.e.shards {
		for _, tb := range s.dbs {
			if tb != nil {
				live += tb.arena.LiveBytes()
				mapped += tb.arena.MappedBytes()
				for _, a := range tb.annexes {
					if a != nil {
						live += a.arena.LiveBytes()
						mapped += a.arena.MappedBytes()
					}
				}
			}
		}
	}
	return live, mapped
}

// TestSweepFreesInSteps: a large collection is freed a bounded number of bytes
// at a time, and counts until then.
func TestSweepFreesInSteps(t *testing.T) {
	r := sweepRegion(1)
	const members = 50_000
	for i := range members {
		r.do(func(tx *Tx) {
			tx.SetAdd(key("s"), fmt.Appendf(nil, "member:%09d", i))
			tx.ZSetPut(key("z"), fmt.Appendf(nil, "member:%09d", i), float64(i))
		}, "s", "z")
	}
	full := r.e.UsedBytes()
	r.do(func(tx *Tx) { tx.Delete(key("s")); tx.Delete(key("z")) }, "s", "z")
	if used := r.e.UsedBytes(); used < full/2 {
		t.Fatalf("%d of %d bytes used: the command itself freed the rest", used, full)
	}
	if n := r.e.Litter(); n != 2 {
		t.Fatalf("%d collections wait to be freed", n)
	}
	steps := 0
	for before := r.e.UsedBytes(); r.e.SweepLitter(); steps++ {
		used := r.e.UsedBytes()
		if freed := before - used; freed > 2*releaseBytes {
			t.Fatalf("a step freed %d bytes", freed)
		}
		before = used
	}
	if used := r.e.UsedBytes(); used != 0 || steps < 8 || r.e.Litter() != 0 {
		t.Fatalf("%d bytes used after %d steps, %d collections wait", used, steps, r.e.Litter())
	}
	r.do(func(tx *Tx) { tx.SetAdd(key("s"), []byte("member")) }, "s")
	r.do(func(tx *Tx) { tx.Delete(key("s")) }, "s")
	if freed := r.e.Stats().LitterFreed; freed != 2 || r.e.Litter() != 0 {
		t.Fatalf("%d collections counted as freed, a small one among them", freed)
	}
	checkAccounts(t, r.e)
}

// TestSweepReleases: what is flushed, and what tables without keys still hold,
// goes back.
func TestSweepReleases(t *testing.T) {
	r := sweepRegion(4)
	fill := func() {
		for i := range 2000 {
			name := fmt.Sprint("k", i)
			r.do(func(tx *Tx) { tx.SetString(key(name), make([]byte, 300), Expiry{}) }, name)
		}
	}
	fill()
	r.world(func(tx *Tx) { tx.FlushDB(0) })
	n := 0
	for r.e.ReleaseDiscard() {
		n++
	}
	for r.e.Sweep(nil) {
	}
	if _, mapped := r.mapped(); n != 4 || mapped != 0 || r.e.UsedBytes() != 0 || r.e.MappedBytes() != 0 {
		t.Fatalf("%d tables released, %d bytes mapped, %d by what is told", n, mapped, r.e.MappedBytes())
	}
	fill()
	for i := range 2000 {
		name := fmt.Sprint("k", i)
		r.do(func(tx *Tx) { tx.Delete(key(name)) }, name)
	}
	for range 2 * releaseEvery {
		r.e.Sweep(nil)
	}
	if live, mapped := r.mapped(); live != 0 || mapped != 0 || r.e.MappedBytes() != 0 {
		t.Fatalf("%d bytes live, %d mapped without keys, %d by what is told", live, mapped, r.e.MappedBytes())
	}
	fill()
	checkAccounts(t, r.e)
}

// TestSweepDefragments: under a churn of changing sizes the memory held stays
// close to what is live, moving ends, and nothing is lost by it.
func TestSweepDefragments(t *testing.T) {
	r := sweepRegion(1)
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('a' + rnd.IntN(26))
		}
		return b
	}
	change := func(name string, size int) {
		r.do(func(tx *Tx) {
			k := key(name)
			switch name[0] {
			case 's':
				tx.SetString(k, text(size), Expiry{})
			case 'h':
				tx.HashSet(k, [][]byte{text(2), text(size)}, FieldChange{})
			case 'l':
				if n, _ := tx.ListPush(k, Right, text(size)); n > 200 {
					tx.Delete(k)
				}
			case 'z':
				tx.ZSetPut(k, text(3), rnd.Float64())
			}
		}, name)
	}
	const keys, rounds = 10_000, 5
	for round := range rounds {
		size := 20 << (round % 4)
		for range 8 * keys {
			change(fmt.Sprintf("%c%d", "sshlz"[rnd.IntN(5)], rnd.IntN(keys)), 1+rnd.IntN(size))
		}
		for range keys {
			name := fmt.Sprintf("%c%d", "sshlz"[rnd.IntN(5)], rnd.IntN(keys))
			r.do(func(tx *Tx) { tx.Delete(key(name)) }, name)
		}
		before, steps := r.digest(), 0
		for r.e.Sweep(nil) {
			if steps++; steps > 1_000_000 {
				t.Fatal("the mover does not end")
			}
		}
		if r.digest() != before {
			t.Fatal("moving changed data")
		}
		checkAccounts(t, r.e)
		live, mapped := r.mapped()
		// Each of some 130 sizes of blocks has a page that is not full.
		if limit := live + live/10 + 1<<20; mapped > limit {
			t.Errorf("round %d: %d bytes live, %d mapped after %d steps", round, live, mapped, steps)
		}
		t.Logf("round %d: %d KB live, %d KB mapped, %d steps", round, live>>10, mapped>>10, steps)
	}
	for _, s := range r.e.shards {
		for _, tb := range s.dbs {
			if tb == nil {
				continue
			}
			tb.each(func(rc rec) {
				if x := r.e.openedRec(s, rc); x.coll != nil {
					if err := x.coll.main.Check(); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// TestSweepMovesHidden: what merging knows of members that are gone is moved,
// too, so that moving ends.
func TestSweepMovesHidden(t *testing.T) {
	r := sweepRegion(1)
	p := merging()
	r.e.Configure(p)
	f := make([]byte, 300)
	for i := range 20_000 {
		name := fmt.Sprint(i)
		r.do(func(tx *Tx) {
			tx.HashSet(key(name), [][]byte{[]byte("a"), nil}, FieldChange{})
			tx.HashIncr(key(name), f, 1)
			tx.HashDelete(key(name), f)
		}, name)
	}
	for i := range 20_000 {
		if name := fmt.Sprint(i); i%8 > 0 {
			r.do(func(tx *Tx) { tx.Delete(key(name)) }, name)
			r.e.withEntry(0, []byte(name), func(s *shard, tb *table, x *entry) { r.e.end(s, tb, 0, x) })
		}
	}
	before, steps := r.digest(), 0
	for r.e.Sweep(nil) {
		if steps++; steps > 100_000 {
			t.Fatal("the mover does not end")
		}
	}
	if r.digest() != before {
		t.Fatal("moving changed data")
	}
	checkAccounts(t, r.e)
}

// TestExpiryGivesBackLittleAtATime: the last keys of a table leave a page each,
// and a step that gave them all back would hold the shard for long.
func TestExpiryGivesBackLittleAtATime(t *testing.T) {
	r := sweepRegion(1)
	const n = 40_000
	for i := range n {
		name := fmt.Sprint("k", i)
		r.do(func(tx *Tx) { tx.SetString(key(name), make([]byte, 300), DeadlineAt(startMs+10)) }, name)
	}
	a := r.e.shards[0].dbs[0].arena
	for steps := 0; r.e.Stats().ExpiredKeys < n; steps++ {
		before := a.MappedBytes()
		r.e.ExpireStep(startMs+20, nil)
		if gone := before - a.MappedBytes(); gone > 3*expireBytes {
			t.Fatalf("%d bytes in one step, at %d keys of %d", gone, r.e.Stats().ExpiredKeys, n)
		}
		if steps > n {
			t.Fatalf("%d keys are left", n-r.e.Stats().ExpiredKeys)
		}
	}
}

// callCounter counts how often memory is given back.
type callCounter struct {
	slab.Source
	calls int
}

func (c *callCounter) Discard(p []byte) { c.calls++; c.Source.Discard(p) }
func (c *callCounter) Unmap(p []byte)   { c.calls++; c.Source.Unmap(p) }

// workload counts what one step under a lock has done.
type workload struct{ keys, calls, bytes int64 }

func (w *workload) most(o workload) {
	w.keys, w.calls, w.bytes = max(w.keys, o.keys), max(w.calls, o.calls), max(w.bytes, o.bytes)
}

// TestMassExpiryInShortSteps lets two million keys of one table expire at once,
// and with deadlines that are spread: no step reclaims, moves or gives back more
// than a step may, up to the last key and to the memory of the empty table.
func TestMassExpiryInShortSteps(t *testing.T) {
	n := 2_000_000 / effort
	if testing.Short() {
		n /= 4
	}
	for name, spreadMs := range map[string]int{"at once": 1, "spread": 1000} {
		t.Run(name, func(t *testing.T) {
			r := sweepRegion(1)
			src := &callCounter{Source: slab.Heap()}
			r.e.pages = src
			for i := range n {
				k := Key{Name: strconv.AppendInt([]byte("key:"), int64(i), 10)}
				at := DeadlineAt(startMs + 10 + int64(i%spreadMs))
				r.tx.Run(Scope{Keys: []Key{k}}, startMs, func(tx *Tx) { tx.SetString(k, k.Name, at) })
			}
			a := r.e.shards[0].dbs[0].arena
			var expiring, sweeping workload
			step := func(most *workload, fn func() int64) {
				calls, mapped := src.calls, a.MappedBytes()
				keys := fn()
				most.most(workload{keys, int64(src.calls - calls), mapped - a.MappedBytes()})
			}
			for steps := 0; r.e.Stats().ExpiredKeys < int64(n); steps++ {
				step(&expiring, func() int64 {
					_, reclaimed := r.e.ExpireStep(startMs+10+int64(steps/20), nil)
					return int64(reclaimed)
				})
				step(&sweeping, func() int64 {
					before := a.SparseBytes()
					r.e.Sweep(nil)
					return (before - a.SparseBytes()) / 32 // of the smallest record
				})
				if steps > n+20*spreadMs {
					t.Fatalf("%d keys are left", int64(n)-r.e.Stats().ExpiredKeys)
				}
			}
			// The last page of the arena is a small one, and stays.
			set(r, "v", NoDeadline())
			r.do(func(tx *Tx) { tx.Delete(key("k")) }, "k")
			for range 2 * releaseEvery {
				step(&sweeping, func() int64 { r.e.Sweep(nil); return 0 })
			}
			if r.e.MappedBytes() != 0 || r.e.shards[0].dbs[0].arena == a {
				t.Errorf("%d bytes stay mapped", r.e.MappedBytes())
			}
			if src.calls < 60 {
				t.Errorf("%d calls: too few to tell anything", src.calls)
			}
			t.Logf("expiry %+v, sweep %+v", expiring, sweeping)
			if expiring.keys > expireKeys || expiring.calls > 50 || expiring.bytes > 2*expireBytes {
				t.Errorf("a step of expiry did %+v", expiring)
			}
			if sweeping.keys > 2*moveRecords || sweeping.calls > 50 || sweeping.bytes > 2*releaseBytes {
				t.Errorf("a step of the sweep did %+v", sweeping)
			}
		})
	}
}
