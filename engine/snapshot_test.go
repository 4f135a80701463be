package engine

import (
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"

	"geocache/clock"
)

// texts is a snapshot as "db/key=value@deadline" by "db/key"; rows complete
// what was evicted.
func (s *Snapshot) texts(t *testing.T, rows map[RowKey][]byte) map[string]string {
	t.Helper()
	m := map[string]string{}
	for db, d := range s.DBs {
		expires := 0
		for _, k := range d.Keys {
			if k.OnDisk != nil {
				ok, err := k.ReadRow(rows[k.OnDisk.Row])
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					continue
				}
			}
			if k.DeadlineMs != 0 {
				expires++
			}
			m[fmt.Sprintf("%d/%s", db, k.Key)] = fmt.Sprintf("%s@%d", k.Value, k.DeadlineMs)
		}
		if expires != d.Expires {
			t.Errorf("db %d: %d deadlines, %d counted", db, expires, d.Expires)
		}
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
		snap := r.e.Snapshot(r.wall.NowMs())
		want := map[string]string{"0/s": "v@0", "0/later": fmt.Sprintf("v@%d", startMs+1000), "0/n": "7@0", "2/o": "x@0"}
		if have := snap.texts(t, nil); !maps.Equal(have, want) {
			t.Errorf("have %v, want %v", have, want)
		}
		// What comes later does not reach it.
		r.do(func(tx *Tx) { tx.Append(key("s"), []byte("ery")); tx.SetRange(key("s"), 0, []byte("V")) }, "s")
		r.do(func(tx *Tx) { tx.Incr(key("n"), 1) }, "n")
		r.do(func(tx *Tx) { tx.SetDeadline(key("later"), 0) }, "later")
		r.world(func(tx *Tx) { tx.FlushDB(2) })
		if have := snap.texts(t, nil); !maps.Equal(have, want) {
			t.Errorf("then %v, want %v", have, want)
		}
	}
}

func TestSnapshotSwapped(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 4, 3, alone())
	r.do(func(tx *Tx) { tx.SetString(key("k"), []byte("v"), NoDeadline()) }, "k")
	r.world(func(tx *Tx) { tx.SwapDB(0, 1) })
	if have := r.e.Snapshot(startMs).texts(t, nil); !maps.Equal(have, map[string]string{"1/k": "v@0"}) {
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
		want map[string]string
	}{
		{"nothing", func(*Tx) {}, map[string]string{"0/k": long + "@0"}},
		{"SET", func(tx *Tx) { tx.SetString(key("k"), []byte("new"), NoDeadline()) }, map[string]string{"0/k": "new@0"}},
		{"DEL", func(tx *Tx) { tx.Delete(key("k")) }, map[string]string{}},
	} {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
		set(r, long, NoDeadline())
		rows := evictAll(t, r)
		snap := r.e.Snapshot(startMs)
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
		s := r.e.Snapshot(startMs)
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

// BenchmarkSnapshot is how long everybody waits, for a million keys.
func BenchmarkSnapshot(b *testing.B) {
	r := newRegion("a", clock.NewManual(startMs), DefaultShards, 1, Params{Policy: policy("noeviction")})
	for i := range 1_000_000 {
		k := strconv.Itoa(i)
		r.do(func(tx *Tx) { tx.SetString(key(k), []byte("a value of a few bytes"), NoDeadline()) }, k)
	}
	for b.Loop() {
		r.e.Snapshot(startMs)
	}
}
