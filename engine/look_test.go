package engine

import (
	"fmt"
	"slices"
	"testing"

	"geocache/clock"
)

// TestUndoneAfterLook: a tx that looked at keys, changed them and is undone
// leaves them as they were, and finds them so when it runs again; with many keys
// as with few.
func TestUndoneAfterLook(t *testing.T) {
	for _, p := range []Params{alone(), merging()} {
		for _, n := range []int{1, manyUndos, 3 * manyUndos} {
			r := newRegion("here", clock.NewManual(startMs), 4, 1, p)
			var names []string
			for i := range n {
				names = append(names, fmt.Sprint("n", i), fmt.Sprint("l", i))
			}
			change := func(tx *Tx) {
				for i := range n {
					if _, err := tx.Incr(key(fmt.Sprint("n", i)), 1); err != nil {
						t.Fatal(err)
					}
					l := key(fmt.Sprint("l", i))
					if _, err := tx.ListPush(l, Right, []byte("x"), []byte("y")); err != nil {
						t.Fatal(err)
					}
					if i%2 == 0 {
						if _, _, err := tx.ListPop(l, Left); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			r.do(change, names...)
			before := r.e.Digest(startMs)
			undone := r.do(func(tx *Tx) {
				change(tx)
				panic(&NeedKeys{})
			}, names...)
			if undone == nil || r.e.Digest(startMs) != before {
				t.Errorf("%d keys: undone with %v, and changed", n, undone)
			}
			r.do(change, names...)
			var got, want []string
			for i := range n {
				val, _ := r.get(fmt.Sprint("n", i))
				size := 0
				r.do(func(tx *Tx) {
					l, _ := tx.List(key(fmt.Sprint("l", i)))
					size = l.Len()
				}, fmt.Sprint("l", i))
				got, want = append(got, val, fmt.Sprint(size)), append(want, "2", fmt.Sprint(4-2*((i+1)%2)))
			}
			if !slices.Equal(got, want) || r.err != nil {
				t.Errorf("%d keys: %v, %v, want %v", n, got, r.err, want)
			}
		}
	}
}

// TestLookThenChange: what a tx has looked at last it goes on with, and only for
// the same key of the same database.
func TestLookThenChange(t *testing.T) {
	r := newRegion("here", clock.NewManual(startMs), 1, 2, alone())
	other := Key{DB: 1, Name: []byte("a")}
	r.world(func(tx *Tx) {
		tx.SetString(key("a"), []byte("1"), DeadlineAt(startMs+1000))
		tx.SetString(other, []byte("other"), NoDeadline())
	})
	r.world(func(tx *Tx) {
		tx.GetString(key("a"))
		tx.SetString(other, []byte("changed"), NoDeadline())
		tx.GetString(key("a"))
		tx.SetNow(startMs + 1000)
		if sum, err := tx.Incr(key("a"), 5); sum != 5 || err != nil {
			t.Errorf("an expired key counts: %d, %v", sum, err)
		}
	})
	if v, _ := r.get("a"); v != "5" || r.deadline("a") != 0 {
		t.Errorf("%q with the deadline %d", v, r.deadline("a"))
	}
	r.world(func(tx *Tx) {
		if v, _, _ := tx.GetString(other); string(v) != "changed" {
			t.Errorf("the other database has %q", v)
		}
	})
}
