package engine

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"geocache/tree"
)

// actOnMembers does a few random things to collections.
func (m *mesh) actOnMembers(rnd *rand.Rand, r *region) {
	h, s, z, l, x := key("h"), key("s"), key("z"), key("l"), key("x")
	name := []byte{'a' + byte(rnd.IntN(3))}
	by := rnd.Int64N(9) - 3
	world := rnd.IntN(30) == 0
	r.tx.Run(Scope{Keys: []Key{h, s, z, l, x, key("v"), key("y")}, World: world}, r.wall.NowMs(), func(t *Tx) {
		if world {
			t.FlushDB(0)
		}
		for range 1 + rnd.IntN(3) {
			switch rnd.IntN(20) {
			case 0, 1:
				t.HashSet(h, [][]byte{name, strconv.AppendInt(nil, by, 10)}, FieldChange{})
			case 2, 3:
				t.HashDelete(h, name)
			case 4:
				t.HashIncr(h, name, by)
			case 5:
				t.HashSet(h, [][]byte{name, strconv.AppendInt(nil, by, 10)}, FieldChange{DeadlineMs: r.wall.NowMs() + 1000 + by})
			case 6:
				if v, _ := t.Hash(h); v.Has(name) {
					t.HashSetDeadline(h, name, r.wall.NowMs()+1000+by)
				}
			case 7, 8:
				t.SetAdd(s, name)
			case 9:
				t.SetRemove(s, name)
			case 10:
				t.ZSetPut(z, name, float64(by))
			case 11:
				t.ZSetUpdate(z, []MemberScore{{Member: name, Score: float64(by), Incr: true}}, func(wanted, was float64, there bool) (float64, bool) { return wanted + was, true })
			case 12:
				t.ZSetRemove(z, name)
			case 18:
				e, _ := t.EditStream(x)
				id := StreamID{uint64(r.hlc.Now()), uint64(r.origin)}
				if id.Compare(e.LastID()) <= 0 {
					id, _ = e.LastID().Next()
				}
				e.Add(id, [][]byte{name, name}, 100, 0)
				e.Done()
			case 19:
				if v, _ := t.Stream(x); v != nil && v.Len() > 0 {
					e, _ := t.EditStream(x)
					e.Remove(v.idAt(rnd.IntN(v.Len())))
					e.Done()
				}
			case 14:
				t.ListPush(l, End(rnd.IntN(2)), name, []byte(strconv.FormatInt(by, 10)), []byte("x"))
			case 15:
				v, _ := t.List(l)
				t.ListInsert(l, rnd.IntN(v.Len()+1), name, []byte("y"))
			case 16:
				if v, _ := t.List(l); v != nil {
					i := rnd.IntN(v.Len())
					t.ListRemove(l, Span{i, 1 + rnd.IntN(v.Len()-i)})
				}
			case 17:
				if v, _ := t.List(l); v != nil {
					t.ListSet(l, rnd.IntN(v.Len()), name)
				}
			case 13:
				switch rnd.IntN(9) {
				case 0:
					t.Delete(h)
				case 1:
					t.Delete(s)
				case 2:
					t.Delete(z)
				case 3:
					t.SetDeadline(h, r.wall.NowMs()+100_000)
				case 7:
					t.Delete(x)
				case 8:
					t.Copy(x, key("v"))
				case 5:
					t.Delete(l)
				case 6:
					t.ListPop(l, Left)
				case 4:
					t.Copy(z, key("y"))
				}
			}
		}
	})
}

// TestMembersConverge lets regions change the same members, and demands that
// all show the same once everything has arrived everywhere.
func TestMembersConverge(t *testing.T) {
	p := merging()
	p.Forms = testForms
	for seed := range uint64(2000 / effort) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		m := newMesh(2+int(seed%3), p)
		n := len(m.regions)
		for range 40 {
			i := rnd.IntN(n)
			r := m.regions[i]
			switch rnd.IntN(6) {
			case 0, 1, 2:
				m.actOnMembers(rnd, r)
			case 3, 4:
				m.pull(i, rnd.IntN(n), 1+rnd.IntN(10))
			case 5:
				r.wall.Advance(rnd.Int64N(20))
			}
			m.collect(i)
			checkAccounts(t, r.e)
		}
		for i := range m.regions {
			for j := range m.regions {
				m.pull(i, j, 1<<30)
			}
		}
		at := m.regions[0].wall.NowMs()
		for i, r := range m.regions[1:] {
			if r.e.Digest(at) != m.regions[0].e.Digest(at) {
				t.Fatalf("seed %d: region %d shows\n%s, region 0\n%s", seed, i+1, r.showMembers(), m.regions[0].showMembers())
			}
		}
	}
}

func (r *region) showMembers() string {
	s := ""
	r.e.eachEntry(func(_ int, x *entry) {
		s += fmt.Sprintf("%s %+v\n", x.key, x.state)
		if x.coll != nil {
			for p, els := range x.coll.export().Elem {
				for _, el := range els {
					var st member
					if p == 0 {
						st = (&content{typ: x.coll.typ}).state(tree.Elem(el), true, unstamped)
					}
					s += fmt.Sprintf("  part %d %q=%q %+v\n", p, el.Key, el.Val, st)
				}
			}
		}
	})
	return s
}
