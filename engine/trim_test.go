package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/clock"
)

// TestTrimLeavesLittle: a command that leaves little of a large list or sorted set
// copies, logs and remembers what it leaves, not what it removes.
func TestTrimLeavesLittle(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 4, 1, alone())
	const members = 150_000
	for i := 0; i < members; {
		r.do(func(tx *Tx) {
			for range 5000 {
				val := fmt.Appendf(nil, "%07d", i)
				tx.ListPush(key("l"), Right, val)
				tx.ZSetPut(key("z"), val, float64(i))
				i++
			}
			tx.SetDeadline(key("l"), startMs+1000)
		}, "l", "z")
	}
	logged := len(r.own)
	trim := func(tx *Tx) {
		tx.ListRemove(key("l"), Span{1000, members - 1000}, Span{0, 900})
		tx.ZSetRemoveRange(key("z"), 50, members-100)
		if n := len(tx.collUndo) + cap(tx.kept)/100; n > 1000 {
			t.Errorf("%d changes are remembered", n)
		}
	}
	want := r.digest()
	r.do(func(tx *Tx) { trim(tx); panic(&NeedRow{}) }, "l", "z")
	if r.digest() != want {
		t.Fatal("what was undone has changed something")
	}
	used := r.e.UsedBytes()
	r.do(trim, "l", "z")
	if now := r.e.UsedBytes(); now < used || r.e.Litter() < 2 {
		t.Errorf("%d of %d bytes are used: the command itself freed the rest", now, used)
	}
	for r.e.SweepLitter() {
	}
	if r.e.UsedBytes() > 64<<10 {
		t.Errorf("%d bytes are used in the end", r.e.UsedBytes())
	}
	for _, b := range r.own[logged:] {
		if len(b.Raw) > 16<<10 {
			t.Errorf("%d bytes are logged", len(b.Raw))
		}
	}
	r.do(func(tx *Tx) {
		l, _ := tx.List(key("l"))
		z, _ := tx.ZSet(key("z"))
		if l.Len() != 100 || string(l.At(0)) != "0000900" || z.Len() != 100 || l.At(99) == nil {
			t.Errorf("%d elements, %d members", l.Len(), z.Len())
		}
		if _, score := z.AtRank(50); score != members-50 {
			t.Errorf("score %f", score)
		}
		if at, _, ok := z.Rank([]byte("0149999")); at != 99 || !ok {
			t.Errorf("the last member is at %d", at)
		}
	}, "l", "z")
	if r.deadline("l") != startMs+1000 {
		t.Error("the deadline is gone")
	}
	checkAccounts(t, r.e)
}

// TestTrimLikeSlice: whatever spans are removed, what a slice would have is left,
// here and where the log is replayed.
func TestTrimLikeSlice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 9))
	for range 60 {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
		r.e.annexFrom = 4000
		var model []string
		for i := range 600 + rnd.IntN(2000) {
			model = append(model, fmt.Sprint(i))
			r.do(func(tx *Tx) { tx.ListPush(key("l"), Right, []byte(model[i])) }, "l")
		}
		var spans []Span
		for end := len(model); end > 0 && len(spans) < 4; {
			n := 1 + rnd.IntN(end)
			at := rnd.IntN(end - n + 1)
			spans = append(spans, Span{at, n})
			model = slices.Delete(model, at, at+n)
			end = at
		}
		r.do(func(tx *Tx) { tx.ListRemove(key("l"), spans...); tx.ListPush(key("l"), Left, []byte("x")) }, "l")
		model = slices.Insert(model, 0, "x")
		again := newRegion("b", clock.NewManual(startMs), 1, 1, alone())
		for _, b := range r.own {
			if err := again.e.Apply(b, FromLog, startMs); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range []*region{r, again} {
			var have []string
			r.do(func(tx *Tx) {
				l, _ := tx.List(key("l"))
				l.Ascend(0, func(val []byte) bool { have = append(have, string(val)); return true })
			}, "l")
			if !slices.Equal(have, model) {
				t.Fatalf("spans %v: %v, want %v", spans, have, model)
			}
			for r.e.SweepLitter() {
			}
			checkAccounts(t, r.e)
		}
	}
}

// TestPopMost: SPOP of most of a large set costs what it leaves, gives each member
// once, by chance, and what is left is the rest, also where the log is replayed.
func TestPopMost(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 7))
	ends := map[bool]int{}
	for range 40 {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
		r.e.annexFrom = 4000
		size := trimFrom + 100 + rnd.IntN(3000)
		r.fillSet("s", 0, size)
		r.do(func(tx *Tx) { tx.SetDeadline(key("s"), startMs+1000) }, "s")
		n := max(trimFrom, size/2+1+rnd.IntN(size/2-1))
		popped := map[string]bool{}
		pop := func(tx *Tx) {
			clear(popped)
			if err := tx.SetPop(key("s"), n, func(m []byte) { popped[string(m)] = true }); err != nil {
				t.Error(err)
			}
			if len(tx.collUndo) > 10 {
				t.Errorf("%d changes are remembered", len(tx.collUndo))
			}
		}
		want := r.digest()
		r.do(func(tx *Tx) { pop(tx); panic(&NeedRow{}) }, "s")
		if r.digest() != want {
			t.Fatal("what was undone has changed something")
		}
		r.do(pop, "s")
		ends[popped["member:000000000"]]++
		again := newRegion("b", clock.NewManual(startMs), 1, 1, alone())
		for _, b := range r.own {
			if err := again.e.Apply(b, FromLog, startMs); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range []*region{r, again} {
			r.do(func(tx *Tx) {
				s, _ := tx.Set(key("s"))
				for i := range size {
					if m := fmt.Appendf(nil, "member:%09d", i); s.Has(m) == popped[string(m)] {
						t.Fatalf("%s: popped %v, there %v", m, popped[string(m)], s.Has(m))
					}
				}
				if s.Len() != size-n || len(popped) != n {
					t.Errorf("%d of %d popped, %d are left", len(popped), size, s.Len())
				}
			}, "s")
			if r.deadline("s") != startMs+1000 {
				t.Error("the deadline is gone")
			}
			for r.e.SweepLitter() {
			}
			checkAccounts(t, r.e)
		}
	}
	if ends[true] == 0 || ends[false] == 0 {
		t.Errorf("one member was popped %d times of 40", ends[true])
	}
}
