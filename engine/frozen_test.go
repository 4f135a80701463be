package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"geocache/clock"
)

// frozenOf freezes the collection of a key.
func (r *region) frozenOf(name string) (f *frozen) {
	s := r.e.shardOf(r.e.hash([]byte(name)))
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.dbs[0].find(r.e.hash([]byte(name)), []byte(name))
	if !ok {
		panic("no key " + name)
	}
	return r.e.openedRec(s, rec).coll.freeze(s)
}

// TestFrozen freezes large collections of all types, several times each, does to
// them whatever can be done, and thaws or releases them in between: a thawed one
// shows what was frozen, and all memory is accounted for and given back.
func TestFrozen(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := alone()
		if seed%2 == 1 {
			p = merging()
		}
		r := newRegion("a", clock.NewManual(startMs), 4, 1, p)
		r.e.annexFrom = 1000
		names := largeOfAllTypes(r, 2000)
		type held struct {
			*frozen
			name string
			want any
		}
		var all []held
		for _, name := range names {
			for range 2 {
				x := r.frozenOf(name)
				want := x.export()
				all = append(all, held{x, name, want})
			}
			all = append(all, held{r.frozenOf(name), name, nil})
		}
		change := func(name string) {
			member := fmt.Appendf(nil, "m%d", rnd.IntN(1000))
			r.do(func(tx *Tx) {
				switch name {
				case "h":
					tx.HashSet(key("h"), [][]byte{member, []byte("w")}, FieldChange{})
				case "l":
					tx.ListPop(key("l"), Left)
				case "s":
					tx.SetRemove(key("s"), member)
				case "z":
					tx.ZSetPut(key("z"), member, rnd.Float64())
				}
			}, name)
		}
		flushed := seed%3 == 0 // once, early, so that much is frozen then
		for i := 0; len(all) > 0; i++ {
			for _, f := range all {
				if f.of != nil && f.of.heir == nil && f.of.t != f.t {
					t.Fatalf("seed %d: %s is read under the wrong lock", seed, f.name)
				}
			}
			name, k := names[rnd.IntN(len(names))], rnd.IntN(40)
			switch {
			case flushed && i > 20:
				flushed = false
				r.world(func(tx *Tx) { tx.FlushDB(0) })
			case i > 30 && k == 0:
				r.do(func(tx *Tx) { tx.Delete(key(name)) }, name)
			case i > 10 && k <= 2:
				r.do(func(tx *Tx) {
					if tx.Touch(key(name)) {
						tx.Rename(key(name), key(name+"2"))
					}
				}, name, name+"2")
			case k < 30:
				change(name)
			case k < 33:
				for r.e.Sweep(nil) || r.e.ReleaseDiscard() {
				}
			default:
				at := rnd.IntN(len(all))
				if f := all[at]; f.want == nil {
					f.release()
				} else if got := f.thaw(); !reflect.DeepEqual(f.want, got) {
					t.Fatalf("seed %d: %s, frozen, has changed", seed, f.name)
				}
				all = append(all[:at], all[at+1:]...)
			}
		}
		for r.e.Sweep(nil) || r.e.ReleaseDiscard() {
		}
		checkAccounts(t, r.e)
		r.world(func(tx *Tx) { tx.FlushDB(0) })
		for r.e.Sweep(nil) || r.e.ReleaseDiscard() {
		}
		if pieces := r.e.garbage.pieces.Load(); pieces != 0 {
			t.Errorf("seed %d: %d pieces of garbage are left", seed, pieces)
		}
		if n := len(r.e.discards.tables); n != 0 {
			t.Errorf("seed %d: %d dropped tables are kept", seed, n)
		}
	}
}
