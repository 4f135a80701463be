package engine

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"geocache/clock"
)

// TestTableScanGuarantee walks a table while it grows and shrinks: what is
// there from the first call to the last is visited, and every walk ends.
func TestTableScanGuarantee(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 3))
	for round := range 300 {
		tb := newTable()
		var stay, come []*entry
		add := func() *entry {
			x := &entry{hash: rnd.Uint64(), key: strconv.FormatUint(rnd.Uint64(), 36)}
			if rnd.IntN(8) == 0 {
				x.hash &= 0xff // crowd some buckets
			}
			tb.insert(x)
			return x
		}
		for range rnd.IntN(600) {
			stay = append(stay, add())
		}
		for range rnd.IntN(3000) {
			come = append(come, add())
		}
		visits, calls := map[*entry]int{}, 0
		for cursor := uint64(0); ; {
			cursor = tb.visit(cursor, func(x *entry) { visits[x]++ })
			if calls++; cursor == 0 {
				break
			}
			if calls > 1<<16 {
				t.Fatal("the walk does not end")
			}
			growing := calls/50%2 == round%2
			for range rnd.IntN(40) {
				if growing {
					if calls < 2000 {
						come = append(come, add())
					}
				} else if n := len(come); n > 0 {
					i := rnd.IntN(n)
					tb.remove(come[i])
					come[i] = come[n-1]
					come = come[:n-1]
				}
			}
		}
		for _, x := range stay {
			if visits[x] == 0 {
				t.Fatalf("round %d: a key that stayed was not visited", round)
			}
		}
		if want := len(stay) + len(come); tb.entries != want {
			t.Fatalf("%d entries, want %d", tb.entries, want)
		}
		n := 0
		tb.each(func(x *entry) {
			if n++; tb.find(x.hash, []byte(x.key)) != x {
				t.Fatal("an entry is not where it is looked for")
			}
		})
		if n != tb.entries {
			t.Fatalf("walked over %d entries of %d", n, tb.entries)
		}
	}
}

func TestTableGivesMemoryBack(t *testing.T) {
	tb := newTable()
	var all []*entry
	rnd := rand.New(rand.NewPCG(1, 4))
	for range 100_000 {
		x := &entry{hash: rnd.Uint64()}
		tb.insert(x)
		all = append(all, x)
	}
	if b := tb.buckets(); b < 100_000 || b > 100_001 {
		t.Errorf("%d buckets for 100000 entries", b)
	}
	for _, x := range all {
		tb.remove(x)
	}
	if tb.entries != 0 || tb.buckets() > 2<<minLevel || len(tb.segments) > 2 {
		t.Errorf("empty, but %d buckets in %d segments", tb.buckets(), len(tb.segments))
	}
	for _, seg := range tb.segments[:cap(tb.segments)][len(tb.segments):] {
		if seg != nil {
			t.Fatal("a segment that was given up is still held")
		}
	}
}

// TestVisitWhileRemoving is how active expiry walks.
func TestVisitWhileRemoving(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 5))
	tb := newTable()
	for range 5000 {
		tb.insert(&entry{hash: rnd.Uint64()})
	}
	for range 20 {
		for cursor := uint64(0); ; {
			if cursor = tb.visit(cursor, tb.remove); cursor == 0 {
				break
			}
		}
	}
	if tb.entries != 0 {
		t.Errorf("%d entries left", tb.entries)
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
