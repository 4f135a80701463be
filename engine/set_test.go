package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/clock"
)

// TestSetsReplay adds to, pops from and replaces sets, and expects a replay of
// the log to end with the same members: random picks are told by name.
func TestSetsReplay(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := alone()
		if seed%2 == 0 {
			p = merging()
		}
		p.Recording, p.Forms = true, testForms
		r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
		for range 300 {
			changeSet(t, r, rnd)
		}
		again := newRegion("b", clock.NewManual(startMs), 2, 2, p)
		again.replay(t, r)
		if have, want := membersOf(again), membersOf(r); !slices.Equal(have, want) {
			t.Fatalf("seed %d: %q after replay, want %q", seed, have, want)
		}
	}
}

func changeSet(t *testing.T, r *region, rnd *rand.Rand) {
	k := Key{0, []byte("s")}
	member := func() []byte { return []byte(fmt.Sprint("m", rnd.IntN(300))) }
	err := r.do(func(tx *Tx) {
		var err error
		switch rnd.IntN(8) {
		case 0, 1:
			for range 30 {
				_, err = tx.SetAdd(k, member())
			}
		case 2:
			_, err = tx.SetRemove(k, member(), member())
		case 3:
			if rnd.IntN(10) == 0 {
				tx.SetReplace(k, [][]byte{[]byte("x"), []byte("y"), member()})
			}
		default:
			s, _ := tx.SetToEdit(k)
			if n := 1 + rnd.IntN(4); n <= s.Len() {
				err = tx.SetPop(k, n, func([]byte) {})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}, "s")
	if err != nil {
		t.Fatal(err)
	}
}

func membersOf(r *region) (list []string) {
	_ = r.do(func(tx *Tx) {
		s, _ := tx.Set(Key{0, []byte("s")})
		s.Each(func(m, _ []byte) bool { list = append(list, string(m)); return true })
	}, "s")
	slices.Sort(list)
	return list
}
