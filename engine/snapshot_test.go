package engine

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"geocache/clock"
	"geocache/op"
)

// shown is what snapshots have handed over: "value@deadline" by "db/key".
type shown map[string]string

func (m shown) add(k *SnapshotKey) error {
	name := fmt.Sprintf("%d/%s", k.DB, k.Key)
	if _, twice := m[name]; twice {
		return errors.New(name + " comes twice")
	}
	value := string(k.Value)
	if k.Coll != nil {
		var b strings.Builder
		for _, el := range k.Coll.Elem[op.Main] {
			fmt.Fprintf(&b, "%s=%s ", el.Key, el.Val)
		}
		value = b.String()
	}
	m[name] = fmt.Sprintf("%s@%d", value, k.DeadlineMs)
	return nil
}

// texts is what is left of a snapshot; rows complete what was evicted.
func (s *Snapshot) texts(t *testing.T, rows map[RowKey][]byte) shown {
	t.Helper()
	m := shown{}
	err := s.Each(func(k *SnapshotKey) error {
		if k.OnDisk != nil {
			if ok, err := k.ReadRow(rows[k.OnDisk.Row]); !ok || err != nil {
				return err
			}
		}
		return m.add(k)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range s.e.shards {
		sh.mu.Lock()
		for _, tb := range sh.dbs {
			if tb != nil && slices.ContainsFunc(tb.walks, func(w *tableWalk) bool { return w.snap == s }) {
				t.Error("a table is still walked")
			}
		}
		sh.mu.Unlock()
	}
	return m
}

func TestSnapshot(t *testing.T) {
	for _, p := range []Params{alone(), merging()} {
		r := newRegion("a", clock.NewManual(startMs), 4, 3, p)
		other := Key{2, []byte("o")}
		r.do(func(tx *Tx) { tx.SetString(key("s"), []byte("v"), NoDeadline()) }, "s")
		r.do(func(tx *Tx) { tx.SetString(key("soon"), []byte("v"), DeadlineAt(startMs+10)) }, "soon")
		r.do(func(tx *Tx) { tx.SetString(key("later"), []byte("v"), DeadlineAt(startMs+1000)) }, "later")
		r.do(func(tx *Tx) { tx.Incr(key("n"), 5); tx.Incr(key("n"), 2) }, "n")
		r.do(func(tx *Tx) { tx.SetString(key("gone"), nil, NoDeadline()); tx.Delete(key("gone")) }, "gone")
		r.world(func(tx *Tx) { tx.SetString(other, []byte("x"), NoDeadline()) })
		r.wall.Advance(10)
		snap, later := r.e.BeginSnapshot(r.wall.NowMs()), r.e.BeginSnapshot(r.wall.NowMs())
		want := shown{"0/s": "v@0", "0/later": fmt.Sprintf("v@%d", startMs+1000), "0/n": "7@0", "2/o": "x@0"}
		if have := snap.texts(t, nil); !maps.Equal(have, want) {
			t.Errorf("have %v, want %v", have, want)
		}
		// What comes later does not reach one.
		r.do(func(tx *Tx) { tx.Append(key("s"), []byte("ery")); tx.SetRange(key("s"), 0, []byte("V")) }, "s")
		r.do(func(tx *Tx) { tx.Incr(key("n"), 1) }, "n")
		r.do(func(tx *Tx) { tx.SetDeadline(key("later"), 0) }, "later")
		r.world(func(tx *Tx) { tx.FlushDB(2) })
		for r.e.ReleaseDiscard() {
		}
		if have := later.texts(t, nil); !maps.Equal(have, want) {
			t.Errorf("then %v, want %v", have, want)
		}
	}
}

func TestSnapshotSwapped(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 4, 3, alone())
	r.do(func(tx *Tx) { tx.SetString(key("k"), []byte("v"), NoDeadline()) }, "k")
	r.world(func(tx *Tx) { tx.SwapDB(0, 1) })
	if have := r.e.BeginSnapshot(startMs).texts(t, nil); !maps.Equal(have, shown{"1/k": "v@0"}) {
		t.Error(have)
	}
}

// TestSnapshotEvicted: values come from their rows, newer ones from newer
// rows.
func TestSnapshotEvicted(t *testing.T) {
	p := merging()
	p.KeepRows, p.EvictToDisk, p.Policy = true, true, policy("allkeys-lru")
	long := "a value of more than a few bytes"
	for _, c := range []struct {
		name string
		act  func(*Tx) // between the snapshot and its writing
		want shown
	}{
		{"nothing", func(*Tx) {}, shown{"0/k": long + "@0"}},
		{"SET", func(tx *Tx) { tx.SetString(key("k"), []byte("new"), NoDeadline()) }, shown{"0/k": "new@0"}},
		{"DEL", func(tx *Tx) { tx.Delete(key("k")) }, shown{}},
	} {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
		set(r, long, NoDeadline())
		rows := evictAll(t, r)
		snap := r.e.BeginSnapshot(startMs)
		r.do(c.act, "k")
		if en, ok := r.e.Row(RowKey{0, "k"}); ok && !en.Evicted {
			rows[RowKey{0, "k"}] = en.State
		}
		if have := snap.texts(t, rows); !maps.Equal(have, c.want) {
			t.Errorf("%s: have %v, want %v", c.name, have, c.want)
		}
	}
	k := SnapshotKey{OnDisk: &DiskValue{}}
	if _, err := k.ReadRow([]byte("no row")); err == nil {
		t.Error("a damaged row passes")
	}
}

// shownOf is what a snapshot of the model shows.
func shownOf(m model, nowMs int64) shown {
	want := shown{}
	for db := range m {
		for name := range m[db] {
			if it, ok := m.get(Key{db, []byte(name)}, nowMs); ok {
				want[fmt.Sprintf("%d/%s", db, name)] = fmt.Sprintf("%s@%d", it.val, it.deadline)
			}
		}
	}
	return want
}

// TestSnapshotModel changes data at random, with flushes, swaps and
// transactions that are undone, while snapshots go on bucket by bucket.
func TestSnapshotModel(t *testing.T) {
	silent := alone()
	silent.Recording = false
	for name, p := range map[string]Params{"alone": alone(), "silent": silent, "merging": merging()} {
		t.Run(name, func(t *testing.T) {
			for seed := range max(60/effort, uint64(5)) {
				snapshotModel(t, p, seed)
			}
		})
	}
}

// undone ends a run that is to be undone.
type undone struct{}

func snapshotModel(t *testing.T, p Params, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	r := newRegion("a", clock.NewManual(startMs), 2, modelDBs, p)
	if seed%2 == 1 {
		r.e.annexFrom = 1 // all collections are large
	}
	m := model{{}, {}, {}}
	var snap *Snapshot
	var have, want shown
	for n := range 600 {
		if snap == nil {
			snap, have, want = r.e.BeginSnapshot(r.wall.NowMs()), shown{}, shownOf(m, r.wall.NowMs())
		}
		r.wall.Advance(rnd.Int64N(200))
		keys := []Key{modelKey(rnd), modelKey(rnd), modelKey(rnd)}
		sc := Scope{Keys: keys, World: rnd.IntN(20) == 0}
		after, undo := m.clone(), rnd.IntN(4) == 0
		run := func(tx *Tx) {
			for range 1 + rnd.IntN(4) {
				if err := command(rnd, keys, sc.World, !p.Merging)(tx, after); err != nil {
					t.Error(err)
				}
			}
			if undo {
				panic(undone{})
			}
		}
		func() {
			defer func() {
				if v := recover(); v != nil && v != (undone{}) {
					panic(v)
				}
			}()
			r.tx.Run(sc, r.wall.NowMs(), run)
		}()
		if !undo {
			m = after
		}
		switch rnd.IntN(10) {
		case 0:
			expireAll(r)
		case 1:
			r.e.ForgetRemovals(r.vector.Clone(), 5)
		case 2:
			for r.e.ReleaseDiscard() {
			}
		}
		if rnd.IntN(3) == 0 && snapshotBucket(t, snap, have) {
			if !maps.Equal(have, want) {
				t.Fatalf("seed %d, tx %d: have %v, want %v", seed, n, have, want)
			}
			if kept := r.e.SnapshotBytes(); kept != 0 {
				t.Fatalf("seed %d, tx %d: %d bytes are kept for no snapshot", seed, n, kept)
			}
			snap = nil
		}
		checkAccounts(t, r.e)
	}
}

// snapshotBucket goes on by one bucket, or what waits, and reports whether that
// was the end.
func snapshotBucket(t *testing.T, s *Snapshot, have shown) (ended bool) {
	keys := s.takeWaiting()
	if len(keys) == 0 {
		if len(s.walks) == 0 {
			return true
		}
		s.met = nil
		if w := s.walks[0]; w.step(1) {
			s.walks = s.walks[1:]
		}
		keys = s.met
	}
	for i := range keys {
		if err := s.use(&keys[i], have.add); err != nil {
			t.Fatal(err)
		}
	}
	return false
}

// TestSnapshotCollections: members change in place, and are copied before.
func TestSnapshotCollections(t *testing.T) {
	for _, p := range []Params{alone(), merging()} {
		for name, change := range map[string]func(*Tx){
			"HSET":    func(tx *Tx) { tx.HashSet(key("h"), [][]byte{[]byte("f"), []byte("new")}, FieldChange{}) },
			"DEL":     func(tx *Tx) { tx.Delete(key("h")) },
			"SET":     func(tx *Tx) { tx.SetString(key("h"), []byte("text"), NoDeadline()) },
			"FLUSHDB": func(tx *Tx) { tx.HashSet(key("h"), [][]byte{[]byte("f"), []byte("new")}, FieldChange{}); tx.FlushDB(0) },
			"PEXPIRE": func(tx *Tx) { tx.SetDeadline(key("h"), startMs+1) },
			"undone": func(tx *Tx) {
				tx.HashSet(key("h"), [][]byte{[]byte("g"), []byte("new")}, FieldChange{})
				panic(undone{})
			},
			"RENAME":   func(tx *Tx) { tx.Rename(key("h"), key("other")) },
			"SETRANGE": func(tx *Tx) { tx.Delete(key("h")); tx.SetRange(key("h"), 3, []byte("x")) },
		} {
			for _, steps := range []int{0, 1, 2, 3} {
				r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
				if steps > 0 {
					r.e.annexFrom = 1 // the hash is large, and met by the first step
				}
				r.world(func(tx *Tx) { tx.HashSet(key("h"), [][]byte{[]byte("f"), []byte("old")}, FieldChange{}) })
				snap, have, ended := r.e.BeginSnapshot(startMs), shown{}, false
				for i := 1; i < steps; i++ {
					ended = snapshotBucket(t, snap, have)
				}
				func() {
					defer func() { _ = recover() }()
					r.world(change)
				}()
				r.wall.Advance(10)
				expireAll(r)
				for !ended {
					ended = snapshotBucket(t, snap, have)
				}
				if !maps.Equal(have, shown{"0/h": "f=old @0"}) || r.e.SnapshotBytes() != 0 {
					t.Errorf("%s (merging %v, after %d steps): %v, %d bytes are kept", name, p.Merging, steps, have, r.e.SnapshotBytes())
				}
				checkAccounts(t, r.e)
			}
		}
	}
}

// largeOfAllTypes makes a collection of each type with n members.
func largeOfAllTypes(r *region, n int) (names []string) {
	names = []string{"h", "l", "s", "x", "z"}
	for i := range n {
		m := fmt.Appendf(nil, "member:%09d", i)
		r.do(func(tx *Tx) {
			tx.HashSet(key("h"), [][]byte{m, []byte("v")}, FieldChange{})
			tx.ListPush(key("l"), Right, m)
			tx.SetAdd(key("s"), m)
			if x, err := tx.EditStream(key("x")); err == nil {
				x.Add(StreamID{Ms: uint64(i + 1)}, [][]byte{m, []byte("v")}, 100, 0)
				x.Done()
			}
			tx.ZSetPut(key("z"), m, float64(i))
		}, names...)
	}
	return names
}

// TestSnapshotInPieces: a step copies a bounded number of members, and what was
// not copied when it changed is handed over as a whole. All that is kept
// counts until it was used, or the snapshot ended.
func TestSnapshotInPieces(t *testing.T) {
	const n = 3 * snapshotMembers
	for _, p := range []Params{alone(), merging()} {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
		r.e.annexFrom = 1000
		names := largeOfAllTypes(r, n)
		want := r.e.BeginSnapshot(startMs).texts(t, nil)
		for name, text := range want {
			if got := strings.Count(text, " "); len(want) != len(names) || got < n {
				t.Fatalf("%s has %d members, there are %d keys", name, got, len(want))
			}
		}
		// Up to so many steps nothing changes, then everything does.
		for _, quiet := range []int{0, 1, 3, 8, 100} {
			snap, have := r.e.BeginSnapshot(startMs), shown{}
			for i, more := 0, true; more; i++ {
				if i == quiet {
					for _, name := range names {
						r.do(func(tx *Tx) { tx.SetDeadline(key(name), startMs+1_000_000+int64(quiet)) }, name)
					}
				}
				var keys []SnapshotKey
				copied := snap.members()
				keys, more = snap.step()
				if by := snap.members() - copied; by > snapshotMembers {
					t.Fatalf("a step copied %d members", by)
				}
				if more && i > 0 && r.e.SnapshotBytes() == 0 && len(have) < len(names) {
					t.Fatal("what is kept does not count")
				}
				for i := range keys {
					if err := snap.use(&keys[i], have.add); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !maps.Equal(have, want) || r.e.SnapshotBytes() != 0 {
				t.Errorf("merging %v, changed after %d steps: %d keys, %d bytes are kept", p.Merging, quiet, len(have), r.e.SnapshotBytes())
			}
			for _, name := range names {
				r.do(func(tx *Tx) { tx.SetDeadline(key(name), 0) }, name)
			}
		}
		snap := r.e.BeginSnapshot(startMs)
		for range 3 {
			keys, _ := snap.step()
			snap.drop(keys)
		}
		r.do(func(tx *Tx) { tx.SetAdd(key("s"), []byte("new")); tx.Delete(key("l")) }, "s", "l")
		if r.e.SnapshotBytes() < n*snapshotMemberCost {
			t.Errorf("%d bytes count for a set and a list", r.e.SnapshotBytes())
		}
		if snap.End(); r.e.SnapshotBytes() != 0 {
			t.Errorf("%d bytes are kept for a snapshot that has ended", r.e.SnapshotBytes())
		}
		checkAccounts(t, r.e)
	}
}

// members is how many of large collections the walks have copied.
func (s *Snapshot) members() (n int) {
	for _, w := range s.walks {
		for _, p := range w.pieces {
			n += len(p.coll.Elem[op.Main])
		}
	}
	return n
}

// TestLargeStates: what rows and copies show of a collection does not depend on
// how it lies in memory.
func TestLargeStates(t *testing.T) {
	for _, p := range []Params{alone(), merging()} {
		r, large := newRegion("a", clock.NewManual(startMs), 1, 1, p), newRegion("a", clock.NewManual(startMs), 1, 1, p)
		large.e.annexFrom = 1000
		largeOfAllTypes(large, 500)
		for _, name := range largeOfAllTypes(r, 500) {
			k := RowKey{0, name}
			want, _ := r.e.State(k)
			got, ok := large.e.State(k)
			row, _ := large.e.Row(k)
			if !ok || !bytes.Equal(want.State, got.State) || !bytes.Equal(want.State, row.State) {
				t.Errorf("merging %v: the state of %s differs", p.Merging, name)
			}
		}
		all := map[string]string{}
		for cursor := uint64(0); ; {
			if cursor = large.e.Export(cursor, 1, func(en ExportEntry) { all[string(en.Key)] = string(en.State) }); cursor == 0 {
				break
			}
		}
		for name, state := range all {
			if want, _ := r.e.State(RowKey{0, name}); string(want.State) != state {
				t.Errorf("merging %v: the copy of %s differs", p.Merging, name)
			}
		}
		if len(all) != 5 || len(annexesOf(large.e)) != 5 || len(annexesOf(r.e)) != 0 {
			t.Fatalf("%d keys, %d of them large", len(all), len(annexesOf(large.e)))
		}
	}
}

// TestSnapshotApplied: what siblings change does not reach it.
func TestSnapshotApplied(t *testing.T) {
	wall := clock.NewManual(startMs)
	r, from := newRegion("a", wall, 2, 1, merging()), newRegion("b", wall, 2, 1, merging())
	both := func(tx *Tx) {
		tx.HashSet(key("h"), [][]byte{[]byte("f"), []byte("old")}, FieldChange{})
		tx.SetString(key("s"), []byte("old"), NoDeadline())
		tx.SetString(key("t"), []byte("old"), NoDeadline())
	}
	from.world(both)
	for _, b := range from.own {
		r.receive(b)
	}
	seen := len(from.own)
	snap := r.e.BeginSnapshot(startMs)
	from.world(func(tx *Tx) {
		tx.HashSet(key("h"), [][]byte{[]byte("f"), []byte("new")}, FieldChange{})
		tx.SetString(key("s"), []byte("new"), NoDeadline())
		tx.SetString(key("later"), []byte("new"), NoDeadline())
	})
	from.world(func(tx *Tx) { tx.FlushDB(0) })
	for _, b := range from.own[seen:] {
		r.receive(b)
	}
	want := shown{"0/h": "f=old @0", "0/s": "old@0", "0/t": "old@0"}
	if have := snap.texts(t, nil); !maps.Equal(have, want) || r.err != nil {
		t.Errorf("have %v, want %v, %v", have, want, r.err)
	}
}

// TestSnapshotGrows: tables that grow and shrink under a walk show each key
// once.
func TestSnapshotGrows(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	want := shown{}
	for i := range 1000 {
		k := strconv.Itoa(i)
		r.do(func(tx *Tx) { tx.SetString(key(k), nil, NoDeadline()) }, k)
		want["0/"+k] = "@0"
	}
	snap, have := r.e.BeginSnapshot(startMs), shown{}
	for i := 0; !snapshotBucket(t, snap, have); i++ {
		switch k := strconv.Itoa(i % 3000); {
		case i%6000 < 3000:
			r.do(func(tx *Tx) { tx.SetString(key(k), []byte("new"), NoDeadline()) }, k)
		default:
			r.do(func(tx *Tx) { tx.Delete(key(k)) }, k)
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("%d keys, want %d", len(have), len(want))
	}
}

// TestSnapshotIsAtomic takes snapshots while transactions keep two keys equal.
func TestSnapshotIsAtomic(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 64, 1, Params{Policy: policy("noeviction")})
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		tx := r.e.NewTx()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := []byte(strconv.Itoa(i))
			tx.Run(Scope{Keys: []Key{key("a"), key("b")}}, startMs, func(tx *Tx) {
				tx.SetString(key("a"), v, NoDeadline())
				tx.SetString(key("b"), v, NoDeadline())
			})
		}
	})
	for range 500 {
		s := r.e.BeginSnapshot(startMs)
		if m := s.texts(t, nil); m["0/a"] != m["0/b"] {
			t.Fatal(m)
		}
	}
	close(stop)
	writer.Wait()
}

func TestChanges(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 4, 2, alone())
	for _, c := range []struct {
		name string
		act  func(*Tx)
		want int64
	}{
		{"SET", func(tx *Tx) { tx.SetString(key("k"), []byte("1"), NoDeadline()) }, 1},
		{"SET EX", func(tx *Tx) { tx.SetString(key("k"), []byte("1"), DeadlineAt(startMs+1)) }, 1},
		{"GET", func(tx *Tx) { tx.GetString(key("k")) }, 0},
		{"INCR", func(tx *Tx) { tx.Incr(key("k"), 1) }, 1},
		{"EXPIRE", func(tx *Tx) { tx.SetDeadline(key("k"), 0) }, 1},
		{"MSET", func(tx *Tx) {
			tx.SetString(key("a"), nil, NoDeadline())
			tx.SetString(key("b"), nil, NoDeadline())
		}, 2},
		{"SWAPDB", func(tx *Tx) { tx.SwapDB(0, 1); tx.SwapDB(0, 1) }, 1},
		{"FLUSHDB", func(tx *Tx) { tx.FlushDB(0) }, 3},
		{"DEL nothing", func(tx *Tx) { tx.Delete(key("k")) }, 0},
	} {
		before := r.e.Changes()
		r.world(c.act)
		if have := r.e.Changes() - before; have != c.want {
			t.Errorf("%s: %d changes, want %d", c.name, have, c.want)
		}
	}
}

// BenchmarkSnapshot is how long everybody waits for the begin of a snapshot of a
// million keys, and how long a step holds a shard, while a writer changes keys.
func BenchmarkSnapshot(b *testing.B) {
	r := newRegion("a", clock.NewManual(startMs), DefaultShards, 1, Params{Policy: policy("noeviction")})
	write := func(i int) {
		k := strconv.Itoa(i)
		r.do(func(tx *Tx) { tx.SetString(key(k), []byte("a value of a few bytes"), NoDeadline()) }, k)
	}
	for i := range 1_000_000 {
		write(i)
	}
	var longest, sum time.Duration
	steps, waiting, rnd := 0, 0, rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		snap := r.e.BeginSnapshot(startMs)
		b.StopTimer()
		for more := true; more; steps++ {
			for range 200 {
				write(rnd.IntN(1_000_000))
			}
			waiting = max(waiting, len(snap.waiting))
			start := time.Now()
			keys, m := snap.step()
			took := time.Since(start)
			longest, sum = max(longest, took), sum+took
			snap.drop(keys)
			more = m
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs/longest-step")
	b.ReportMetric(float64(sum.Microseconds())/float64(steps), "µs/step")
	b.ReportMetric(float64(waiting), "waiting-keys")
}
