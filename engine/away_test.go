package engine

import (
	"bytes"
	"fmt"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// onDisk is a region that evicts to its rows.
type onDisk struct {
	*region
	rows map[RowKey][]byte
}

func newOnDisk() *onDisk {
	p := merging()
	p.KeepRows, p.EvictToDisk, p.Policy = true, true, policy("allkeys-lru")
	return &onDisk{newRegion("a", clock.NewManual(startMs), 2, 2, p), map[RowKey][]byte{}}
}

// evict writes rows, evicts what can be, and reports how many keys that were.
func (r *onDisk) evict() (n int) {
	keys, _ := r.e.TakeDirty()
	for _, k := range keys {
		en, ok := r.e.Row(k)
		if !ok {
			delete(r.rows, k)
			continue
		}
		if en.Evicted {
			panic("a collection on disk was changed")
		}
		r.rows[k] = en.State
		r.e.RowWritten(en.StateEntry)
	}
	for r.e.EvictStep(startMs) > 0 {
		n++
	}
	for r.e.SweepLitter() {
	}
	return n
}

// with fetches what fn asks for until it is done.
func (r *onDisk) with(t *testing.T, fn func() error) {
	t.Helper()
	for range 10 {
		need, ok := fn().(*NeedRow)
		if !ok {
			return
		}
		for _, k := range need.Rows {
			if err := r.e.RestoreRow(k, r.rows[k]); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("rows are wanted for ever")
}

func (r *onDisk) run(t *testing.T, fn func(*Tx), names ...string) {
	t.Helper()
	r.with(t, func() error { return r.do(fn, names...) })
}

var collNames = []string{"h", "l", "s", "i", "z"}

// fill makes a collection of each type but streams, small ones or large.
func (r *onDisk) fill(t *testing.T, size int) {
	r.run(t, func(tx *Tx) {
		for i := range size {
			m := fmt.Appendf(nil, "member %d", i)
			tx.HashSet(key("h"), [][]byte{m, []byte("v")}, FieldChange{})
			tx.ListPush(key("l"), Right, m)
			tx.SetAdd(key("s"), m)
			tx.ZSetPut(key("z"), m, float64(i))
			tx.SetAdd(key("i"), fmt.Append(nil, i))
		}
	}, collNames...)
}

// TestCollectionsGoToDisk: eviction changes neither what clients read, nor the
// digest, type or form, whether or not they are asked for while on disk.
func TestCollectionsGoToDisk(t *testing.T) {
	for _, size := range []int{3, 700} {
		r := newOnDisk()
		r.fill(t, size)
		digest, used := r.digest(), r.e.UsedBytes()
		before := map[string][]byte{}
		for _, n := range collNames {
			before[n] = r.row(n)
		}
		for range 3 {
			if n := r.evict(); n != len(collNames) {
				t.Fatalf("%d collections evicted", n)
			}
			if now := r.e.UsedBytes(); r.digest() != digest || now > 500 {
				t.Fatalf("digest differs, or %d bytes of %d left", now, used)
			}
			checkAccounts(t, r.e)
			for _, n := range collNames {
				var typ Type
				if err := r.do(func(tx *Tx) {
					if info, ok := tx.Info(key(n)); ok {
						typ = info.Type
					}
				}, n); err != nil {
					t.Fatal("the type of a key needs its row")
				}
				r.run(t, func(tx *Tx) { tx.Require(key(n)) }, n)
				if !bytes.Equal(r.row(n), before[n]) {
					t.Errorf("%s (%s) came back different", n, typ)
				}
			}
			if now := r.e.UsedBytes(); r.digest() != digest || now > used*11/10 {
				t.Errorf("digest differs after all came back, or memory: %d bytes, were %d", now, used)
			}
			checkAccounts(t, r.e)
		}
	}
}

func (r *onDisk) row(name string) []byte {
	en, ok := r.e.State(RowKey{0, name})
	if !ok {
		return nil
	}
	return en.State
}

// TestChangesOfCollectionsOnDisk: changes from here and from a sibling find
// the whole collection, and the next row has them.
func TestChangesOfCollectionsOnDisk(t *testing.T) {
	for name, change := range map[string]func(*Tx){
		"HSET":   func(tx *Tx) { tx.HashSet(key("h"), [][]byte{[]byte("member 1"), []byte("w")}, FieldChange{}) },
		"RPUSH":  func(tx *Tx) { tx.ListPush(key("l"), Right, []byte("more")) },
		"SREM":   func(tx *Tx) { tx.SetRemove(key("s"), []byte("member 1")) },
		"DEL":    func(tx *Tx) { tx.Delete(key("h")) },
		"EXPIRE": func(tx *Tx) { tx.SetDeadline(key("s"), startMs+5000) },
		"RENAME": func(tx *Tx) { tx.Rename(key("l"), key("i")) },
		"SET":    func(tx *Tx) { tx.SetString(key("s"), []byte("v"), NoDeadline()) },
	} {
		plain, evicted := newOnDisk(), newOnDisk()
		for _, r := range []*onDisk{plain, evicted} {
			r.fill(t, 20)
		}
		evicted.evict()
		plain.run(t, change, collNames...)
		evicted.run(t, change, collNames...)
		if plain.digest() != evicted.digest() {
			t.Errorf("%s: a collection that was on disk differs after it", name)
		}
		evicted.evict()
		evicted.evict()
		if plain.digest() != evicted.digest() {
			t.Errorf("%s: the digest differs on disk", name)
		}
		for _, n := range collNames {
			evicted.run(t, func(tx *Tx) { tx.Require(key(n)) }, n)
		}
		if plain.digest() != evicted.digest() {
			t.Errorf("%s: the rows lack the change", name)
		}
		checkAccounts(t, evicted.e)
	}
}

// TestBatchesForCollectionsOnDisk: a sibling's batch, a copy and its end ask
// for the collections that they are about, and change nothing until then.
func TestBatchesForCollectionsOnDisk(t *testing.T) {
	far := newRegion("b", clock.NewManual(startMs+10), 2, 2, merging())
	here := newOnDisk()
	here.fill(t, 20)
	for _, b := range here.own {
		far.receive(b)
	}
	far.do(func(tx *Tx) {
		tx.HashSet(key("h"), [][]byte{[]byte("far"), []byte("w")}, FieldChange{})
		tx.SetAdd(key("s"), []byte("far"))
	}, "h", "s")
	if here.evict() == 0 {
		t.Fatal("nothing evicted")
	}
	digest := here.digest()
	for _, b := range far.own {
		if _, ok := here.e.Apply(b, FromSibling, startMs).(*NeedRow); !ok || here.digest() != digest {
			t.Fatal("a batch does not ask for what it changes")
		}
		here.with(t, func() error { return here.e.Apply(b, FromSibling, startMs) })
	}
	if here.digest() != far.digest() {
		t.Error("regions differ after a batch")
	}
	far.do(func(tx *Tx) { tx.ListPush(key("l"), Right, []byte("far")) }, "l")
	here.evict()
	var entries []StateEntry
	for cursor := uint64(0); ; {
		cursor = far.e.Export(cursor, 1<<20, func(en ExportEntry) { entries = append(entries, en.StateEntry) })
		if cursor == 0 {
			break
		}
	}
	here.with(t, func() error { return here.e.JoinCopy(1, far.vector, entries, startMs) })
	here.evict()
	here.with(t, func() error { return here.e.EndCopy(1, far.vector, startMs) })
	if _, ok := here.e.Apply(flushOf(far), FromSibling, startMs).(*NeedRow); !ok {
		t.Error("a flush does not ask for collections")
	}
	checkAccounts(t, here.e)
}

// flushOf empties a region's database 0 and returns the batch that says so.
func flushOf(r *region) op.Batch {
	r.world(func(tx *Tx) { tx.FlushDB(0) })
	return r.own[len(r.own)-1]
}

// TestCountedStaysInMemory: a removal of a collection has to name how far its
// members had counted, so one whose members do does not go to disk; else they
// would come back in other regions.
func TestCountedStaysInMemory(t *testing.T) {
	for name, remove := range map[string]func(*onDisk){
		"FLUSHDB": func(here *onDisk) { here.world(func(tx *Tx) { tx.FlushDB(0) }) },
		"expiry": func(here *onDisk) {
			here.wall.Advance(1000)
			expireAll(here.region)
		},
	} {
		here := newOnDisk()
		far := newRegion("b", here.wall, 2, 2, merging())
		here.run(t, func(tx *Tx) {
			for i := range 20 {
				tx.HashIncr(key("k"), []byte{'a' + byte(i)}, 5)
			}
			tx.SetDeadline(key("k"), startMs+10)
		}, "k")
		if n := here.evict(); n != 0 {
			t.Errorf("%d keys evicted", n)
		}
		// As a start finds them, too.
		rows := here.export()
		again := newOnDisk()
		if err := again.e.LoadRows(rows, startMs); err != nil {
			t.Fatal(err)
		}
		if n := again.evict(); n != 0 {
			t.Errorf("%d keys evicted after a start", n)
		}
		remove(here)
		for _, b := range here.own {
			far.receive(b)
		}
		if here.holdings() != "" || far.holdings() != "" {
			t.Errorf("%s: here %q, there %q", name, here.holdings(), far.holdings())
		}
		checkAccounts(t, here.e)
	}
}
