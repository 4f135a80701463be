package engine

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/slab"
)

// tableRig is a table of bare keys.
type tableRig struct {
	*table
	rnd *rand.Rand
}

func newTableRig(seed uint64) *tableRig {
	// The hash crowds some buckets.
	hash := func(key []byte) uint64 {
		h := xxh3.Hash(key)
		if h>>61 == 0 {
			h &= 0xff
		}
		return h
	}
	return &tableRig{newTable(slab.Heap(), hash), rand.New(rand.NewPCG(1, seed))}
}

// add makes a record of a new key and returns the key.
func (t *tableRig) add() string {
	key := strconv.FormatUint(t.rnd.Uint64(), 36)
	x := entry{hash: t.hash([]byte(key)), key: []byte(key)}
	sh := shape{size: recKLen + 2 + len(key)}
	ref := t.arena.Alloc(sh.size)
	sh.write(t.arena.Bytes(ref), &x)
	t.insert(x.hash, ref)
	return key
}

func (t *tableRig) drop(r rec) {
	t.table.remove(t.hash(r.key()), r.ref)
	t.arena.Free(r.ref)
}

func (t *tableRig) dropKey(tb testing.TB, key string) {
	r, ok := t.find(t.hash([]byte(key)), []byte(key))
	if !ok {
		tb.Fatalf("%q is lost", key)
	}
	t.drop(r)
}

// TestTableScanGuarantee walks a table while it grows and shrinks: what is
// there from the first call to the last is visited, and every walk ends.
func TestTableScanGuarantee(t *testing.T) {
	for round := range 150 {
		tb := newTableRig(uint64(round))
		rnd := tb.rnd
		var stay, come []string
		for range rnd.IntN(600) {
			stay = append(stay, tb.add())
		}
		for range rnd.IntN(3000) {
			come = append(come, tb.add())
		}
		visits, calls := map[string]int{}, 0
		for cursor := uint64(0); ; {
			cursor = tb.visit(cursor, func(r rec) { visits[string(r.key())]++ })
			if calls++; cursor == 0 {
				break
			}
			if calls > 1<<16 {
				t.Fatal("the walk does not end")
			}
			for _, key := range stay {
				if h := tb.hash([]byte(key)); calls%64 == 0 && passed(h, cursor) && visits[key] == 0 {
					t.Fatal("a key counts as passed that was not visited")
				}
			}
			growing := calls/50%2 == round%2
			for range rnd.IntN(40) {
				if growing {
					if calls < 2000 {
						come = append(come, tb.add())
					}
				} else if n := len(come); n > 0 {
					i := rnd.IntN(n)
					tb.dropKey(t, come[i])
					come[i] = come[n-1]
					come = come[:n-1]
				}
			}
		}
		for _, key := range stay {
			if visits[key] == 0 {
				t.Fatalf("round %d: a key that stayed was not visited", round)
			}
		}
		if want := len(stay) + len(come); tb.entries != want {
			t.Fatalf("%d entries, want %d", tb.entries, want)
		}
		n := 0
		tb.each(func(r rec) {
			n++
			if found, ok := tb.find(tb.hash(r.key()), r.key()); !ok || found.ref != r.ref {
				t.Fatal("a record is not where it is looked for")
			}
		})
		if n != tb.entries {
			t.Fatalf("walked over %d records of %d", n, tb.entries)
		}
	}
}

func TestTableGivesMemoryBack(t *testing.T) {
	tb := newTableRig(4)
	var all []string
	for range 100_000 {
		all = append(all, tb.add())
	}
	if b := tb.buckets(); b < 66_000 || b > 67_000 {
		t.Errorf("%d buckets for 100000 records", b)
	}
	for _, key := range all {
		tb.dropKey(t, key)
	}
	if tb.entries != 0 || len(tb.segments) > 0 {
		t.Errorf("empty, but %d buckets in %d segments", tb.buckets(), len(tb.segments))
	}
	if live := tb.arena.LiveBytes(); live != 0 {
		t.Errorf("%d bytes live", live)
	}
}

// TestVisitWhileRemoving is how active expiry walks.
func TestVisitWhileRemoving(t *testing.T) {
	tb := newTableRig(5)
	for range 5000 {
		tb.add()
	}
	for range 20 {
		for cursor := uint64(0); ; {
			if cursor = tb.visit(cursor, tb.drop); cursor == 0 {
				break
			}
		}
	}
	if tb.entries != 0 {
		t.Errorf("%d records left", tb.entries)
	}
}

// TestScanAcrossGrowth is the guarantee as SCAN's clients see it.
func TestScanAcrossGrowth(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 8, 1, alone())
	write := func(from, to int, fn func(*Tx, Key)) {
		for i := from; i < to; i++ {
			k := strconv.Itoa(i)
			r.do(func(t *Tx) { fn(t, key(k)) }, k)
		}
	}
	put := func(t *Tx, k Key) { t.SetString(k, []byte("v"), NoDeadline()) }
	write(0, 500, put)
	seen := map[string]bool{}
	cursor, calls := uint64(0), 0
	for {
		r.tx.Run(Scope{Walk: true}, startMs, func(t *Tx) {
			cursor = t.Scan(0, cursor, 10, func(it Item) { seen[it.Key] = true })
		})
		if calls++; cursor == 0 {
			break
		}
		switch {
		case calls < 20:
			write(1000*calls, 1000*calls+500, put)
		case calls < 40:
			write(1000*(calls-20), 1000*(calls-20)+500, func(t *Tx, k Key) {
				if len(k.Name) > 3 {
					t.Delete(k)
				}
			})
		}
	}
	for i := range 500 {
		if !seen[strconv.Itoa(i)] {
			t.Fatalf("key %d was never shown", i)
		}
	}
	for _, c := range []uint64{1, 1 << 63, 1<<64 - 1, 12345678901234567890} {
		r.tx.Run(Scope{Walk: true}, startMs, func(t *Tx) { t.Scan(0, c, 10, func(Item) {}) })
	}
}

func TestRandomKeyIsFair(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 64, 1, alone())
	for i := range 5 {
		k := strconv.Itoa(i)
		r.do(func(t *Tx) { t.SetString(key(k), nil, NoDeadline()) }, k)
	}
	drawn := map[string]int{}
	for range 1000 {
		r.tx.Run(Scope{Walk: true}, startMs, func(t *Tx) {
			k, _ := t.RandomKey(0)
			drawn[k]++
		})
	}
	for i := range 5 {
		if n := drawn[strconv.Itoa(i)]; n < 100 {
			t.Errorf("key %d was drawn %d times of 1000", i, n)
		}
	}
}
