package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// actOnMembers does a few random things to collections, each of a key of its own.
func (m *mesh) actOnMembers(rnd *rand.Rand, r *region) {
	actOn(rnd, r, key("h"), key("s"), key("z"), key("l"), key("x"), key("v"), key("y"))
}

// actOn does a few random things to a hash, a set, a sorted set, a list and a
// stream, which may all be one key, and copies to two more keys.
func actOn(rnd *rand.Rand, r *region, h, s, z, l, x, v1, v2 Key) {
	name := []byte{'a' + byte(rnd.IntN(3))}
	by := rnd.Int64N(9) - 3
	world := rnd.IntN(30) == 0
	r.tx.Run(Scope{Keys: []Key{h, s, z, l, x, v1, v2}, World: world}, r.wall.NowMs(), func(t *Tx) {
		if world {
			t.FlushDB(0)
		}
		for range 1 + rnd.IntN(3) {
			switch rnd.IntN(23) {
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
				t.ZSetPut(z, name, -float64(by)) // -0 among them
			case 11:
				t.ZSetUpdate(z, []MemberScore{{Member: name, Score: float64(by), Incr: true}}, func(wanted, was float64, there bool) (float64, bool) { return wanted + was, true })
			case 12:
				t.ZSetRemove(z, name)
			case 18:
				e, err := t.EditStream(x)
				if err != nil {
					break
				}
				id, _ := e.LastID().Next()
				if at := uint64(r.wall.NowMs()); at > id.Ms {
					id = StreamID{at, uint64(rnd.IntN(2))} // at times one that others give, too
				}
				if rnd.IntN(2) == 0 {
					id, _ = e.Own(id)
				}
				e.Add(id, [][]byte{name, strconv.AppendInt(nil, by, 10)}, 100, 0)
				e.Done()
			case 19:
				if v, _ := t.Stream(x); v != nil && v.Len() > 0 {
					e, _ := t.EditStream(x)
					e.Remove(v.idAt(rnd.IntN(v.Len())))
					e.Done()
				}
			case 20, 21, 22:
				actOnGroup(rnd, t, x, by)
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
					t.Copy(x, v1)
				case 5:
					t.Delete(l)
				case 6:
					t.ListPop(l, Left)
				case 4:
					t.Copy(z, v2)
				}
			}
		}
	})
}

// actOnGroup makes, reads, sets or removes one of two groups of a stream.
func actOnGroup(rnd *rand.Rand, t *Tx, x Key, by int64) {
	e, err := t.EditStream(x)
	if err != nil {
		return
	}
	name := []byte{'g' + byte(rnd.IntN(2))}
	g, there := e.Group(name)
	to := StreamID{startMs + uint64(rnd.IntN(50)), 0}
	switch n := rnd.IntN(4); {
	case !there:
		e.AddGroup(name, to, by)
	case n == 0:
		e.DropGroup(&g)
	case n == 1:
		g.Last, g.Read = to, by
		e.SetGroup(&g)
	default:
		g.Last.Ms, g.Read = g.Last.Ms+uint64(rnd.IntN(9)), g.Read+1
		e.PutGroup(&g)
	}
	e.Done()
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

// concurrently lets two regions that both know of before act without seeing each
// other, then lets everything arrive, and returns one of them.
func concurrently(t *testing.T, before, here, there func(*Tx)) *region {
	t.Helper()
	p := merging()
	p.Forms = testForms
	m := newMesh(2, p)
	run := func(i int, fn func(*Tx)) {
		if err := m.regions[i].do(fn, "k"); err != nil {
			t.Fatal(err)
		}
		m.collect(i)
	}
	run(0, before)
	m.pull(1, 0, 1<<30)
	run(0, here)
	run(1, there)
	m.pull(1, 0, 1<<30)
	m.pull(0, 1, 1<<30)
	at := m.regions[0].wall.NowMs()
	if m.regions[0].e.Digest(at) != m.regions[1].e.Digest(at) {
		t.Errorf("regions differ:\n%s\n%s", m.regions[0].showMembers(), m.regions[1].showMembers())
	}
	return m.regions[0]
}

// TestUnseenSurvives: a removal takes what it had seen, and nothing else.
func TestUnseenSurvives(t *testing.T) {
	k, nothing := key("k"), func(*Tx) {}
	a, b := []byte("a"), []byte("b")
	hset := func(val string) func(*Tx) {
		return func(t *Tx) { t.HashSet(k, [][]byte{a, []byte(val)}, FieldChange{}) }
	}
	hincr := func(by int64) func(*Tx) { return func(t *Tx) { t.HashIncr(k, a, by) } }
	sadd := func(t *Tx) { t.SetAdd(k, a) }
	zput := func(t *Tx) { t.ZSetPut(k, a, 4.1) }
	zincr := func(t *Tx) {
		t.ZSetUpdate(k, []MemberScore{{Member: a, Score: 2, Incr: true}}, func(wanted, was float64, _ bool) (float64, bool) { return wanted + was, true })
	}
	push := func(e End, vals ...string) func(*Tx) {
		return func(t *Tx) { t.ListPush(k, e, words(vals)...) }
	}
	del := func(t *Tx) { t.Delete(k) }
	for name, c := range map[string]struct {
		before, here, there func(*Tx)
		want                string
	}{
		"SREM, SADD":                  {nothing, func(t *Tx) { t.SetAdd(k, a); t.SetRemove(k, a) }, sadd, "a"},
		"SREM, SADD of what is there": {sadd, func(t *Tx) { t.SetRemove(k, a) }, sadd, "a"},
		"DEL, SADD of what is there":  {sadd, del, sadd, "a"},
		"ZREM, ZADD of what is there": {zput, func(t *Tx) { t.ZSetRemove(k, a) }, zput, "a=4.1"},
		"SREM alone":                  {sadd, func(t *Tx) { t.SetRemove(k, a) }, nothing, ""},
		"HINCRBY, HINCRBY":            {hset("10"), hincr(3), hincr(4), "a=17"},
		"HINCRBY from missing":        {nothing, hincr(3), hincr(4), "a=7"},
		"ZREM, ZINCRBY":               {zput, func(t *Tx) { t.ZSetRemove(k, a) }, zincr, "a=2"},
		"DEL, HINCRBY":                {hset("10"), del, hincr(4), "a=4"},
		"DEL, SADD":                   {sadd, del, func(t *Tx) { t.SetAdd(k, b) }, "b"},
		"DEL, RPUSH":                  {push(Right, "1"), del, push(Right, "2", "3"), "2 3"},
		"LPUSH, RPUSH":                {push(Right, "1"), push(Left, "0"), push(Right, "2"), "0 1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := concurrently(t, c.before, c.here, c.there).members("k"); got != c.want {
				t.Errorf("%q, should be %q", got, c.want)
			}
		})
	}
	t.Run("RPUSH, RPUSH", func(t *testing.T) {
		got := concurrently(t, push(Right, "1"), push(Right, "a", "b"), push(Right, "c", "d")).members("k")
		if got != "1 a b c d" && got != "1 c d a b" {
			t.Errorf("%q", got)
		}
	})
}

func words(vals []string) (list [][]byte) {
	for _, v := range vals {
		list = append(list, []byte(v))
	}
	return list
}

// members shows a collection as clients see it.
func (r *region) members(name string) string {
	var list []string
	r.do(func(t *Tx) {
		x := t.value(key(name))
		if x == nil || x.coll.gone() {
			return
		}
		x.coll.main.Ascend(0, func(el tree.Elem) bool {
			switch x.coll.typ {
			case op.TypeList:
				list = append(list, string(el.Val))
			case op.TypeZSet:
				list = append(list, fmt.Sprintf("%s=%v", x.coll.memberOf(el.Key), elemScore(el)))
			case op.TypeSet:
				list = append(list, string(x.coll.memberOf(el.Key)))
			default:
				list = append(list, fmt.Sprintf("%s=%s", x.coll.memberOf(el.Key), el.Val))
			}
			return true
		})
	}, name)
	return strings.Join(list, " ")
}

// expireLater has r reclaim what has expired a second after the start, when every
// region's clock has come so far.
func (m *mesh) expireLater(r *region) {
	for _, each := range m.regions {
		each.wall.Set(startMs + 1000)
		each.hlc.Now()
	}
	m.setReclaimLimit()
	expireAll(r)
}

// TestExpiryNamesIncrements: what was counted in a collection ends with it, in
// every region, and is then forgotten.
func TestExpiryNamesIncrements(t *testing.T) {
	m := newMesh(2, merging())
	r := m.regions[0]
	r.do(func(t *Tx) {
		t.HashIncr(key("k"), []byte("a"), 3)
		t.SetDeadline(key("k"), startMs+10)
	}, "k")
	m.collect(0)
	m.pull(1, 0, 1<<30)
	m.expireLater(r)
	m.collect(0)
	m.pull(1, 0, 1<<30)
	for i, r := range m.regions {
		if got := r.members("k"); got != "" {
			t.Errorf("region %d shows %q", i, got)
		}
		for range 4 {
			r.e.ForgetRemovals(m.regions[0].vector.Clone(), 100)
		}
		if _, known := r.e.State(RowKey{0, "k"}); known {
			t.Errorf("region %d remembers: %s", i, r.showMembers())
		}
		checkAccounts(t, r.e)
	}
}

// TestOwnStreamIDs: what two regions give by themselves differs, and grows.
func TestOwnStreamIDs(t *testing.T) {
	m, seen := newMesh(3, merging()), map[StreamID]int{}
	for i, r := range m.regions {
		r.do(func(tx *Tx) {
			e, _ := tx.EditStream(key("k"))
			from := StreamID{5, 0}
			for range 100 {
				id, ok := e.Own(from)
				if was, twice := seen[id]; twice || !ok || id.Compare(from) < 0 {
					t.Fatalf("region %d gives %v from %v on, region %d did", i, id, from, was)
				}
				seen[id] = i
				from, _ = id.Next()
			}
			if id, ok := e.Own(StreamID{5, math.MaxUint64}); ok && id.Compare(StreamID{5, math.MaxUint64}) < 0 {
				t.Errorf("%v is less than asked for", id)
			}
			if _, ok := e.Own(LastStreamID()); ok && r.origin.Region() != math.MaxUint16 {
				t.Error("there is nothing behind the last id")
			}
			e.AddGroup([]byte("g"), StreamID{}, 0)
			e.Done()
		}, "k")
	}
}

// TestGroupPositions: of positions that two regions moved at once the farther
// one holds in both.
func TestGroupPositions(t *testing.T) {
	k, g := key("k"), []byte("g")
	read := func(to uint64) func(*Tx) {
		return func(t *Tx) {
			e, _ := t.EditStream(k)
			group, _ := e.Group(g)
			group.Last, group.Read = StreamID{to, 0}, int64(to)
			e.PutGroup(&group)
			e.Done()
		}
	}
	m := newMesh(2, merging())
	run := func(i int, fn func(*Tx)) { m.regions[i].do(fn, "k"); m.collect(i) }
	run(0, func(t *Tx) {
		e, _ := t.EditStream(k)
		for i := range uint64(9) {
			e.Add(StreamID{i + 1, 0}, words([]string{"a", "b"}), 100, 0)
		}
		e.AddGroup(g, StreamID{}, 0)
		e.Done()
	})
	m.pull(1, 0, 1<<30)
	run(0, read(7))
	run(1, read(4))
	m.pull(1, 0, 1<<30)
	m.pull(0, 1, 1<<30)
	for i, r := range m.regions {
		r.do(func(tx *Tx) {
			s, _ := tx.Stream(k)
			if group, _ := s.Group(g); group.Last.Ms != 7 || group.Read != 7 {
				t.Errorf("region %d: the group is at %v, %d read", i, group.Last, group.Read)
			}
		}, "k")
	}
}

// TestDeadlineOfIncrements: a field that was only incremented can expire.
func TestDeadlineOfIncrements(t *testing.T) {
	f := []byte("f")
	r := concurrently(t, func(t *Tx) { t.HashIncr(key("k"), f, 3) },
		func(t *Tx) { t.HashSetDeadline(key("k"), f, startMs+100) }, func(*Tx) {})
	r.do(func(tx *Tx) {
		h, _ := tx.Hash(key("k"))
		if val, ms, _ := h.GetWithDeadline(f); string(val) != "3" || ms != startMs+100 {
			t.Errorf("%q, deadline %d", val, ms)
		}
	}, "k")
}

// TestExpiredFieldTakesIncrements: what was counted on a field ends with its
// deadline, whoever reclaims it first, and what is counted later does not.
func TestExpiredFieldTakesIncrements(t *testing.T) {
	f, g := []byte("f"), []byte("g")
	for name, c := range map[string]struct {
		later func(*Tx)
		want  string
	}{
		"DEL":     {func(t *Tx) { t.Delete(key("k")) }, ""},
		"HINCRBY": {func(t *Tx) { t.HashIncr(key("k"), f, 5) }, "f=5 g=1"},
		"HSET":    {func(t *Tx) { t.HashSet(key("k"), [][]byte{f, []byte("x")}, FieldChange{}) }, "f=x g=1"},
	} {
		m := newMesh(2, merging())
		r := m.regions[0]
		r.do(func(t *Tx) {
			t.HashSet(key("k"), [][]byte{f, []byte("10")}, FieldChange{DeadlineMs: startMs + 100})
			t.HashSet(key("k"), [][]byte{g, []byte("1")}, FieldChange{})
			t.HashIncr(key("k"), f, 3)
		}, "k")
		m.collect(0)
		m.pull(1, 0, 1<<30)
		m.expireLater(r)
		r.do(c.later, "k")
		m.collect(0)
		m.pull(1, 0, 1<<30)
		for i, r := range m.regions {
			got := strings.Split(r.members("k"), " ")
			slices.Sort(got)
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("%s: region %d shows %q, not %q", name, i, got, c.want)
			}
			expireAll(r)
			checkAccounts(t, r.e)
		}
		if m.regions[0].digest() != m.regions[1].digest() {
			t.Errorf("%s: regions differ", name)
		}
	}
}

// TestExpiredFieldTakesLateStamps: an increment ends with the value that it was
// made on, even if its stamp is later than the deadline, as after a clock that
// was set back, and does not show again when the field is reclaimed.
func TestExpiredFieldTakesLateStamps(t *testing.T) {
	f, g := []byte("f"), []byte("g")
	m := newMesh(2, merging())
	r := m.regions[0]
	r.wall.Set(startMs + 500)
	r.do(func(t *Tx) { t.HashSet(key("k"), [][]byte{f, []byte("10"), g, []byte("1")}, FieldChange{}) }, "k")
	r.wall.Set(startMs)
	r.do(func(t *Tx) { t.HashIncr(key("k"), f, 3) }, "k")
	r.do(func(t *Tx) { t.HashSetDeadline(key("k"), f, startMs+100) }, "k")
	m.collect(0)
	m.pull(1, 0, 1<<30)
	m.expireLater(r)
	sum := r.digest()
	if other := m.regions[1].digest(); other != sum {
		t.Error("a region that has not reclaimed the field reads differently")
	}
	m.collect(0)
	m.pull(1, 0, 1<<30)
	for i, r := range m.regions {
		expireAll(r)
		if got := r.members("k"); got != "g=1" {
			t.Errorf("region %d shows %q", i, got)
		}
		checkAccounts(t, r.e)
	}
	if m.regions[1].digest() != sum {
		t.Error("regions differ")
	}
}

// TestFlushForgets: of a collection that a FLUSHDB removed nothing stays.
func TestFlushForgets(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, merging())
	r.do(func(t *Tx) {
		t.SetAdd(key("k"), []byte("a"))
		t.SetDeadline(key("k"), startMs+100_000)
		t.SetDeadline(key("k"), 0)
	}, "k")
	r.world(func(t *Tx) { t.FlushDB(0) })
	for range 3 {
		r.e.ForgetRemovals(r.vector.Clone(), 100)
	}
	if _, known := r.e.State(RowKey{0, "k"}); known {
		t.Errorf("it remembers: %s", r.showMembers())
	}
}

func (r *region) showMembers() string {
	s := ""
	r.e.eachEntry(func(_ int, x *entry) {
		s += fmt.Sprintf("%s %+v\n", x.key, x.state)
		for _, c := range x.colls() {
			for p, els := range c.export().Elem {
				for _, el := range els {
					var st member
					if p == 0 && c.typ != op.TypeList {
						st = (&content{typ: c.typ}).state(tree.Elem(el), true, unstamped)
					}
					s += fmt.Sprintf("  %s, part %d %q=%q (%x) %+v\n", typeNames[c.typ], p, el.Key, el.Val, el.Ext, st)
				}
			}
		}
	})
	return s
}

// TestTypeAfterRemoval: what removed members have left (a counter's floors) does
// not decide what the key may hold next, here and at a sibling.
func TestTypeAfterRemoval(t *testing.T) {
	wall := clock.NewManual(startMs)
	r, sibling := newRegion("a", wall, 1, 1, merging()), newRegion("b", wall, 1, 1, merging())
	k := key("k")
	step := func(fn func(*Tx) error) {
		t.Helper()
		var err error
		if runErr := r.do(func(tx *Tx) { err = fn(tx) }, "k"); runErr != nil || err != nil {
			t.Fatal(runErr, err)
		}
	}
	incr := func(tx *Tx) error { _, err := tx.HashIncr(k, []byte("f"), 5); return err }
	remove := func(tx *Tx) error { tx.Delete(k); return nil }
	step(incr)
	step(remove)
	step(func(tx *Tx) error { _, err := tx.SetAdd(k, []byte("m")); return err })
	for _, b := range r.own {
		sibling.receive(b)
	}
	for _, at := range []*region{r, sibling} {
		if err := at.do(func(tx *Tx) {
			if v, err := tx.Set(k); err != nil || !v.Has([]byte("m")) || v.Has([]byte("f")) {
				t.Errorf("not the set: %v", err)
			}
		}, "k"); err != nil {
			t.Fatal(err)
		}
		checkAccounts(t, at.e)
	}
	if r.digest() != sibling.digest() {
		t.Error("the digests differ")
	}
	step(remove)
	step(func(tx *Tx) error { _, err := tx.ListPush(k, 0, []byte("m")); return err })
	step(remove)
	step(incr)
	checkAccounts(t, r.e)
}

// TestGroupsMerge: groups, and streams without entries, are the same everywhere,
// and the digest tells.
func TestGroupsMerge(t *testing.T) {
	k, g, h := key("k"), []byte("g"), []byte("h")
	edit := func(fn func(*StreamEdit)) func(*Tx) {
		return func(t *Tx) {
			e, _ := t.EditStream(k)
			fn(e)
			e.Done()
		}
	}
	at := func(e *StreamEdit, ms uint64) *StreamGroup {
		group, _ := e.Group(g)
		group.Last = StreamID{ms, 0}
		return &group
	}
	made := edit(func(e *StreamEdit) {
		e.Add(StreamID{1, 0}, words([]string{"a", "b"}), 100, 0)
		e.AddGroup(g, StreamID{1, 0}, 0)
	})
	read := func(to uint64) func(*Tx) { return edit(func(e *StreamEdit) { e.PutGroup(at(e, to)) }) }
	set := edit(func(e *StreamEdit) { e.SetGroup(at(e, 0)) })
	destroy := edit(func(e *StreamEdit) { e.DropGroup(at(e, 0)) })
	again := func(t *Tx) { destroy(t); edit(func(e *StreamEdit) { e.AddGroup(g, StreamID{3, 0}, 0) })(t) }
	other := edit(func(e *StreamEdit) { e.AddGroup(h, StreamID{4, 0}, 0) })
	clear := edit(func(e *StreamEdit) { e.Remove(StreamID{1, 0}) })
	del, nothing := func(t *Tx) { t.Delete(k) }, func(*Tx) {}
	for name, c := range map[string]struct {
		before, here, there func(*Tx)
		want                string
	}{
		"read, read":           {made, read(5), read(7), "1 entries, g at 7"},
		"read, SETID":          {made, read(5), set, "1 entries, g at 0"},
		"read, DESTROY":        {made, read(5), destroy, "1 entries"},
		"read, DEL":            {made, read(5), del, "none"},
		"made anew, DESTROY":   {made, again, destroy, "1 entries, g at 3"},
		"CREATE, CREATE":       {nothing, made, made, "1 entries, g at 1"},
		"CREATE, DEL":          {made, other, del, "0 entries, h at 4"},
		"XDEL, DEL":            {made, clear, del, "none"},
		"XDEL":                 {made, func(t *Tx) { clear(t); destroy(t) }, nothing, "0 entries"},
		"without entries, DEL": {func(t *Tx) { made(t); clear(t) }, nothing, del, "none"},
	} {
		r := concurrently(t, c.before, c.here, c.there)
		have := "none"
		r.do(func(t *Tx) {
			s, _ := t.Stream(k)
			if s == nil {
				return
			}
			have = fmt.Sprint(s.Len(), " entries")
			s.Groups(func(g StreamGroup) bool {
				have += fmt.Sprintf(", %s at %d", g.Name, g.Last.Ms)
				return true
			})
		}, "k")
		if have != c.want {
			t.Errorf("%s: %s, should be %s\n%s", name, have, c.want, r.showMembers())
		}
		checkAccounts(t, r.e)
	}
}
