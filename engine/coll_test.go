package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"geocache/clock"
)

// TestCollectionsUndone changes collections of all kinds in transactions of
// which half are undone, and compares them with plain Go values; the log
// replayed elsewhere gives the same.
func TestCollections(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runCollections(t, seed) })
	}
}

var testForms = Forms{HashEntries: 8, HashValue: 20, SetInts: 8, SetEntries: 8, SetValue: 20, ZSetEntries: 8, ZSetValue: 20, ListSize: 8}

func runCollections(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	p := alone()
	p.Recording, p.Forms = true, testForms
	r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
	if seed%2 == 1 {
		r.e.annexFrom = 300
	}
	hash, list, set, zset := map[string]string{}, []string{}, map[string]bool{}, map[string]float64{}
	word := func() []byte { return []byte(fmt.Sprint(rnd.IntN(40))) }
	for range 600 {
		h, l, s, z := clone(hash), append([]string(nil), list...), clone(set), clone(zset)
		undo := rnd.IntN(2) == 0
		err := r.do(func(tx *Tx) {
			for range 1 + rnd.IntN(4) {
				changeAny(t, tx, rnd, word, h, &l, s, z)
			}
			if undo {
				panic(&NeedRow{})
			}
		}, "h", "l", "s", "z")
		if (err != nil) != undo {
			t.Fatal(err)
		}
		if !undo {
			hash, list, set, zset = h, l, s, z
		}
		checkCollections(t, r, hash, list, set, zset)
	}
	again := newRegion("b", clock.NewManual(startMs), 2, 2, p)
	again.replay(t, r)
	checkCollections(t, again, hash, list, set, zset)
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	c := map[K]V{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func changeAny(t *testing.T, tx *Tx, rnd *rand.Rand, word func() []byte, h map[string]string, l *[]string, s map[string]bool, z map[string]float64) {
	var err error
	switch rnd.IntN(9) {
	case 0, 1:
		f, v := word(), word()
		if rnd.IntN(10) == 0 {
			v = append(v, make([]byte, 30)...)
		}
		_, err = tx.HashSet(key("h"), [][]byte{f, v}, FieldChange{})
		h[string(f)] = string(v)
	case 2:
		f := word()
		_, err = tx.HashDelete(key("h"), f)
		delete(h, string(f))
	case 3:
		v, i := word(), rnd.IntN(len(*l)+1)
		_, err = tx.ListInsert(key("l"), i, v, v)
		*l = append((*l)[:i:i], append([]string{string(v), string(v)}, (*l)[i:]...)...)
	case 4:
		if n := len(*l); n > 0 {
			i := rnd.IntN(n)
			cut := 1 + rnd.IntN(min(n-i, 6))
			err = tx.ListRemove(key("l"), Span{i, cut})
			*l = append((*l)[:i:i], (*l)[i+cut:]...)
		}
	case 5:
		m := word()
		if rnd.IntN(8) == 0 {
			m = append(m, 'x')
		}
		_, err = tx.SetAdd(key("s"), m)
		s[string(m)] = true
	case 6:
		m := word()
		_, err = tx.SetRemove(key("s"), m)
		delete(s, string(m))
	case 7:
		m, score := word(), float64(rnd.IntN(5)-2)
		_, err = tx.ZSetPut(key("z"), m, score)
		z[string(m)] = score
	case 8:
		m := word()
		_, err = tx.ZSetRemove(key("z"), m)
		delete(z, string(m))
		if rnd.IntN(30) == 0 {
			tx.Delete(key("h"))
			clear(h)
		}
		if rnd.IntN(30) == 0 && len(*l) > 0 {
			tx.Copy(key("l"), key("h"))
			tx.Delete(key("h"))
			clear(h)
		}
		if rnd.IntN(8) == 0 && len(s) > 0 {
			tx.Rename(key("s"), key("z"))
			tx.Rename(key("z"), key("s"))
			clear(z)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkCollections(t *testing.T, r *region, hash map[string]string, list []string, set map[string]bool, zset map[string]float64) {
	t.Helper()
	err := r.do(func(tx *Tx) {
		h, _ := tx.Hash(key("h"))
		got := map[string]string{}
		h.Each(func(f, v []byte) bool { got[string(f)] = string(v); return true })
		if fmt.Sprint(got) != fmt.Sprint(hash) || h.Len() != len(hash) {
			t.Fatalf("hash %v, want %v", got, hash)
		}
		l, _ := tx.List(key("l"))
		var els []string
		if l != nil {
			l.Ascend(0, func(v []byte) bool { els = append(els, string(v)); return true })
		}
		if fmt.Sprint(els) != fmt.Sprint(append([]string(nil), list...)) {
			t.Fatalf("list %v, want %v", els, list)
		}
		s, _ := tx.Set(key("s"))
		members := map[string]bool{}
		s.Each(func(m, _ []byte) bool { members[string(m)] = true; return true })
		if fmt.Sprint(members) != fmt.Sprint(set) {
			t.Fatalf("set %v, want %v", members, set)
		}
		z, _ := tx.ZSet(key("z"))
		scores, last, lastName := map[string]float64{}, -9.0, ""
		if z != nil {
			z.Ascend(0, func(m []byte, score float64) bool {
				if score < last || score == last && string(m) <= lastName {
					t.Fatalf("%s %v after %s %v", m, score, lastName, last)
				}
				last, lastName = score, string(m)
				scores[string(m)] = score
				if rank, got, ok := z.Rank(m); !ok || got != score || rank != len(scores)-1 {
					t.Fatalf("rank of %s is %d", m, rank)
				}
				return true
			})
		}
		if fmt.Sprint(scores) != fmt.Sprint(zset) {
			t.Fatalf("zset %v, want %v", scores, zset)
		}
		for _, name := range []string{"h", "s", "z"} {
			var m *Members
			n := map[string]int{"h": len(hash), "s": len(set), "z": len(zset)}[name]
			switch name {
			case "h":
				m, _ = tx.Hash(key(name))
			case "s":
				m, _ = tx.Set(key(name))
			case "z":
				if z, _ := tx.ZSet(key(name)); z != nil {
					m = &z.Members
				}
			}
			seen := map[string]bool{}
			for cursor := uint64(0); ; {
				cursor = m.Scan(cursor, 3, func(member, _ []byte) { seen[string(member)] = true })
				if cursor == 0 {
					break
				}
			}
			if len(seen) != n {
				t.Fatalf("scan of %s met %d of %d", name, len(seen), n)
			}
		}
	}, "h", "l", "s", "z")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.e.shards {
		for _, tb := range s.dbs {
			if tb == nil {
				continue
			}
			want := int64(0)
			want += tb.segmentBytes()
			tb.each(func(rc rec) {
				want += int64(len(rc.b))
				x := r.e.openedRec(s, rc)
				if x.coll != nil {
					want += x.coll.main.MemBytes() + x.coll.aux.MemBytes()
					if err := x.coll.main.Check(); err != nil {
						t.Fatal(err)
					}
				}
			})
			if got := tb.arena.LiveBytes() + tb.annexBytes; got != want {
				t.Fatalf("arena has %d bytes live, trees %d", got, want)
			}
		}
	}
}

// segmentBytes is the memory of the buckets.
func (t *table) segmentBytes() (n int64) {
	for _, ref := range t.segments {
		n += int64(len(t.arena.Bytes(ref)))
	}
	return n
}
