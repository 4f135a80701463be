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
)

// actOnTypes does random things of all types to two keys.
func (m *mesh) actOnTypes(rnd *rand.Rand, r *region) {
	some := func() Key { return key(string(rune('a' + rnd.IntN(2)))) }
	if rnd.IntN(3) > 0 {
		actOn(rnd, r, some(), some(), some(), some(), some(), some(), some())
		return
	}
	k, l := some(), some()
	by, soon := rnd.Int64N(9)-3, r.wall.NowMs()+1+rnd.Int64N(60)
	r.tx.Run(Scope{Keys: []Key{k, l}}, r.wall.NowMs(), func(t *Tx) {
		for range 1 + rnd.IntN(3) {
			switch rnd.IntN(12) {
			case 0, 1:
				t.SetString(k, strconv.AppendInt(nil, by, 10), NoDeadline())
			case 2:
				t.SetString(k, strconv.AppendInt(nil, by, 10), DeadlineAt(soon))
			case 3, 4:
				t.Incr(k, by)
			case 5:
				t.IncrFloat(k, []byte("0.25"))
			case 6:
				t.Append(k, []byte("7"))
			case 7:
				t.Delete(k)
			case 8:
				if l.Name[0] != k.Name[0] {
					t.Rename(k, l)
				}
			case 9:
				t.SetDeadline(k, soon)
			case 10:
				t.SetReplace(k, [][]byte{{'a' + byte(rnd.IntN(3))}})
			case 11:
				t.SetPop(k, 2, func([]byte) {})
			}
		}
	})
}

// actUndone changes keys of all types, removes some as a whole, and is undone.
func (m *mesh) actUndone(rnd *rand.Rand, r *region) {
	ks := []Key{key("a"), key("b")}
	r.tx.Run(Scope{Keys: ks}, r.wall.NowMs(), func(t *Tx) {
		for range 4 {
			k, name := ks[rnd.IntN(2)], []byte{'a' + byte(rnd.IntN(3))}
			t.HashSet(k, [][]byte{name, name}, FieldChange{})
			t.HashDelete(k, []byte("a"), []byte("b"))
			t.HashIncr(k, name, 3)
			t.SetAdd(k, name, []byte("more"))
			t.SetRemove(k, []byte("a"), []byte("b"), []byte("c"))
			t.ZSetPut(k, name, 3)
			t.ZSetRemove(k, []byte("a"), []byte("b"))
			t.ListPush(k, Left, name)
			t.ListPop(k, Right)
			t.Incr(k, 3)
			if rnd.IntN(3) == 0 {
				t.Rename(ks[0], ks[1])
			}
			if rnd.IntN(3) == 0 {
				t.Delete(k)
			}
		}
		panic(&NeedRow{})
	})
}

// holdings shows all that is under the keys, hidden or not, as it is the same in
// every region that knows the same.
func (r *region) holdings() string {
	var list []string
	now := r.wall.NowMs()
	r.e.eachEntry(func(_ int, x *entry) {
		if !x.exists() || expiredAt(&x.state, now) {
			return
		}
		var types []string
		if exists(&x.state) {
			v, _ := visibleString(&x.state)
			types = append(types, fmt.Sprintf("%q", v))
		}
		for _, c := range x.colls() {
			if !c.bare() {
				types = append(types, fmt.Sprintf("%s %x", typeNames[c.typ], c.contentSum(now)))
			}
		}
		slices.Sort(types)
		list = append(list, fmt.Sprintf("%s shows a %s: %s", x.key, x.typeName(), strings.Join(types, ", ")))
	})
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestTypesConverge lets regions make keys of all types under the same names,
// expire, forget, copy and restart, and demands that all show the same.
func TestTypesConverge(t *testing.T) {
	p := merging()
	p.Forms = testForms
	clashes := int64(0)
	for seed := range uint64(3000 / effort) {
		rnd := rand.New(rand.NewPCG(seed, 12))
		m := newMesh(2+int(seed%3), p)
		n := len(m.regions)
		for _, r := range m.regions {
			if seed%2 == 1 {
				r.e.annexFrom = 100
			}
		}
		for range 50 {
			i := rnd.IntN(n)
			r := m.regions[i]
			switch rnd.IntN(11) {
			case 10:
				was := r.holdings()
				m.actUndone(rnd, r)
				if now := r.holdings(); now != was {
					t.Fatalf("seed %d: after a tx that was undone\n%s\nbefore\n%s", seed, now, was)
				}
			case 0, 1, 2, 3:
				m.actOnTypes(rnd, r)
			case 4, 5, 6:
				m.pull(i, rnd.IntN(n), 1+rnd.IntN(10))
			case 7:
				r.wall.Advance(rnd.Int64N(40))
			case 8:
				m.setReclaimLimit()
				expireAll(r)
			case 9:
				r.e.ForgetRemovals(m.stable(i), 1+rnd.IntN(10))
			}
			m.collect(i)
			for r.e.Sweep(nil) {
			}
			checkAccounts(t, r.e)
		}
		end := int64(0)
		for _, r := range m.regions {
			end = max(end, r.wall.NowMs())
		}
		settle := func(at int64) {
			for range 3 {
				for i, r := range m.regions {
					r.wall.Set(at)
					r.hlc.Now()
					m.setReclaimLimit()
					expireAll(r)
					m.collect(i)
					for s := range m.regions {
						m.pull(i, s, math.MaxInt)
					}
				}
			}
		}
		settle(end + 2*orphanMs)
		first := m.regions[0]
		for i, r := range m.regions {
			clashes += r.e.Stats().ConflictsTypes
			if r.err != nil {
				t.Fatal(r.err)
			}
			if have, want := r.holdings(), first.holdings(); have != want || r.digest() != first.digest() {
				t.Fatalf("seed %d: region %d has\n%s\nregion 0\n%s\n%s\n%s", seed, i, have, want, r.showMembers(), first.showMembers())
			}
			checkAccounts(t, r.e)
		}
		// Whoever begins from the rows, or a copy, has the same.
		for name, again := range map[string]*region{"rows": m.fromRows(t, first), "copy": m.fromCopy(t, first), "log": m.fromLog(t, 0)} {
			if have, want := again.holdings(), first.holdings(); have != want || again.digest() != first.digest() {
				t.Fatalf("seed %d, from %s:\n%s\nshould be\n%s", seed, name, have, want)
			}
			checkAccounts(t, again.e)
		}
	}
	if clashes == 0 {
		t.Error("no types clashed")
	}
}

// fromRows, fromCopy and fromLog make a region of what another has.
func (m *mesh) fromRows(t *testing.T, r *region) *region {
	again := newRegion("again", r.wall, 2, 2, r.e.Params())
	if err := again.e.LoadRows(r.export(), r.wall.NowMs()); err != nil {
		t.Fatal(err)
	}
	return again
}

func (m *mesh) fromCopy(t *testing.T, r *region) *region {
	again := newRegion("again", r.wall, 2, 2, r.e.Params())
	now := r.wall.NowMs()
	if err := again.e.JoinCopy(1, r.vector, r.export(), now); err != nil {
		t.Fatal(err)
	}
	if err := again.e.EndCopy(1, r.vector, now); err != nil {
		t.Fatal(err)
	}
	return again
}

func (m *mesh) fromLog(t *testing.T, i int) *region {
	r := m.regions[i]
	again := newRegion("r"+strconv.Itoa(i), r.wall, 2, 2, r.e.Params())
	for _, b := range m.order[i] {
		if err := again.e.Apply(m.batches[b], FromLog, r.wall.NowMs()); err != nil {
			t.Fatal(err)
		}
		again.vector.Raise(m.batches[b].Origin, m.batches[b].Last())
	}
	expireAll(again)
	return again
}

func (r *region) export() (list []StateEntry) {
	r.e.Export(0, math.MaxInt, func(en ExportEntry) { list = append(list, en.StateEntry) })
	return list
}

// clashing is what three regions do to the key k, each without knowing of the
// others: the first one earliest, the last one latest.
func clashing(t *testing.T, acts ...func(*Tx)) *mesh {
	t.Helper()
	p := merging()
	p.Forms = testForms
	m := newMesh(len(acts), p)
	for i, act := range acts {
		m.then(t, i, act)
	}
	m.meet()
	return m
}

// then lets a region act.
func (m *mesh) then(t *testing.T, i int, act func(*Tx)) {
	t.Helper()
	if err := m.regions[i].do(act, "k", "l"); err != nil {
		t.Fatal(err)
	}
	m.collect(i)
}

// meet lets everything arrive everywhere.
func (m *mesh) meet() {
	for i := range m.regions {
		for j := range m.regions {
			m.pull(i, j, math.MaxInt)
		}
	}
}

// show demands that k is of a type, none for "", in all regions.
func (m *mesh) show(t *testing.T, what string, want Type) {
	t.Helper()
	for i, r := range m.regions {
		have := Type("")
		r.do(func(tx *Tx) {
			if info, ok := tx.Info(key("k")); ok {
				have = info.Type
			}
		}, "k")
		if have != want {
			t.Errorf("%s: region %d shows a %q, not a %q\n%s", what, i, have, want, r.showMembers())
		}
		if r.holdings() != m.regions[0].holdings() || r.digest() != m.regions[0].digest() {
			t.Errorf("%s: region %d has\n%s\nregion 0\n%s", what, i, r.holdings(), m.regions[0].holdings())
		}
		checkAccounts(t, r.e)
	}
}

var (
	onK    = key("k")
	theA   = []byte("a")
	toHash = func(t *Tx) { t.HashSet(onK, [][]byte{theA, []byte("1")}, FieldChange{}) }
	toSet  = func(t *Tx) { t.SetAdd(onK, theA) }
	toZSet = func(t *Tx) { t.ZSetPut(onK, theA, 1) }
	toList = func(t *Tx) { t.ListPush(onK, Left, theA) }
	toText = func(t *Tx) { t.SetString(onK, theA, NoDeadline()) }
	toNum  = func(t *Tx) { t.Incr(onK, 3) }
	toGone = func(t *Tx) { t.Delete(onK) }
	toFlow = func(t *Tx) {
		e, err := t.EditStream(onK)
		if err != nil {
			return
		}
		e.Add(StreamID{startMs, 1}, [][]byte{theA, theA}, 100, 0)
		e.Done()
	}
)

// TestNewestBirthShows: of values of two types, in whatever order they arrive,
// the one that was made later shows.
func TestNewestBirthShows(t *testing.T) {
	makers := []struct {
		typ Type
		do  func(*Tx)
		any bool // it is never refused
	}{
		{TypeHash, toHash, false}, {TypeSet, toSet, false}, {TypeZSet, toZSet, false}, {TypeList, toList, false},
		{TypeStream, toFlow, false}, {TypeString, toNum, false}, {TypeString, toText, true},
	}
	for _, a := range makers {
		for _, b := range makers {
			if a.typ == b.typ {
				continue
			}
			name := string(a.typ + ", then " + b.typ)
			m := clashing(t, a.do, b.do)
			m.show(t, name, b.typ)
			if n := m.regions[0].e.Stats().ConflictsTypes; n != 1 {
				t.Errorf("%s: %d clashes counted", name, n)
			}
			if last, n := m.regions[0].e.TakeClash(); n != 1 || last != (Clash{0, "k", b.typ}) {
				t.Errorf("%s: told of %d, the last %v", name, n, last)
			}
			// A write of the hidden type is refused, and changes nothing; SET takes
			// the place of all.
			m.then(t, 0, a.do)
			m.meet()
			if a.any {
				m.show(t, name+", SET", TypeString)
			} else {
				m.show(t, name+", refused", b.typ)
			}
			m.then(t, 1, toGone)
			m.meet()
			m.show(t, name+", DEL", "")
			// Of what a region removed before it heard of the rest, the rest stays.
			m = clashing(t, a.do, func(t *Tx) { b.do(t); t.Delete(onK) })
			if a.typ != TypeString { // a DEL takes every earlier string
				m.show(t, name+" and DEL unseen", a.typ)
			}
		}
	}
}

// TestHiddenShows: once what clients see has nothing left, they see the rest,
// from the newest birth to the oldest, in every region.
func TestHiddenShows(t *testing.T) {
	empty := map[Type]func(*Tx){
		TypeHash: func(t *Tx) { t.HashDelete(onK, theA) },
		TypeSet:  func(t *Tx) { t.SetPop(onK, 5, func([]byte) {}) },
		TypeZSet: func(t *Tx) { t.ZSetRemove(onK, theA) },
		TypeList: func(t *Tx) { t.ListPop(onK, Right) },
	}
	m := clashing(t, toText, toHash, toList, toZSet, toSet)
	for i, typ := range []Type{TypeSet, TypeZSet, TypeList, TypeHash, TypeString} {
		m.show(t, "after "+strconv.Itoa(i), typ)
		if empty[typ] == nil {
			break
		}
		m.then(t, i, empty[typ])
		m.meet()
	}
	if val, _ := m.regions[0].get("k"); val != "a" {
		t.Errorf("the string is %q", val)
	}
	// Within one transaction, and back if that is undone.
	m = clashing(t, toText, toHash, toSet)
	was := m.regions[0].holdings()
	for _, undone := range []bool{true, false} {
		m.regions[0].do(func(t *Tx) {
			empty[TypeSet](t)
			t.HashIncr(onK, []byte("b"), 2)
			empty[TypeHash](t)
			t.HashDelete(onK, []byte("b"))
			t.Append(onK, theA)
			if undone {
				panic(&NeedRow{})
			}
		}, "k")
		if now := m.regions[0].holdings(); undone && now != was {
			t.Errorf("%s after it was undone, %s before", now, was)
		}
	}
	m.collect(0)
	m.meet()
	m.show(t, "a transaction", TypeString)
}

// TestOldestOfThree: it is not the last write that decides (merge rules: a later
// one that replaces whole would not be associative).
func TestOldestOfThree(t *testing.T) {
	m := clashing(t, toHash, toText, func(t *Tx) { t.HashSet(onK, [][]byte{[]byte("b"), theA}, FieldChange{}) })
	m.show(t, "HSET, SET, HSET", TypeString)
	m.then(t, 0, func(t *Tx) { t.Delete(onK) })
	m.meet()
	m.show(t, "DEL", "")
}

// TestRenameOfClash: what clients see goes to the other key, and nothing stays.
func TestRenameOfClash(t *testing.T) {
	m := clashing(t, toText, toHash, toSet)
	m.then(t, 0, func(t *Tx) { t.Rename(onK, key("l")) })
	m.meet()
	m.show(t, "RENAME", "")
	m.then(t, 1, func(t *Tx) { t.Rename(key("l"), onK) })
	m.meet()
	m.show(t, "RENAME back", TypeSet)
}

// TestExpiryOfClash: a deadline is the key's, and ends all that is under it.
func TestExpiryOfClash(t *testing.T) {
	m := clashing(t, toText, toHash, toSet)
	m.then(t, 0, func(t *Tx) { t.SetDeadline(onK, startMs+500) })
	m.meet()
	m.expireLater(m.regions[0])
	m.collect(0)
	m.meet()
	m.show(t, "expired", "")
	for i, r := range m.regions {
		for range 4 {
			r.e.ForgetRemovals(m.regions[0].vector.Clone(), 100)
		}
		if _, known := r.e.State(RowKey{0, "k"}); known {
			t.Errorf("region %d remembers %s", i, r.showMembers())
		}
	}
	// A counter that begins where a hash has expired does not bring it back.
	m = clashing(t, toHash, func(*Tx) {})
	m.then(t, 1, func(t *Tx) { t.SetDeadline(onK, startMs+500) })
	m.meet()
	for _, r := range m.regions {
		r.wall.Set(startMs + 1000)
		r.hlc.Now()
	}
	m.then(t, 0, toNum)
	m.meet()
	m.show(t, "INCR of what has expired", TypeString)
}

// TestClashOnDisk: what is hidden beside other values stays in memory, and a
// value on disk comes back for a collection that a sibling puts beside it.
func TestClashOnDisk(t *testing.T) {
	far := newRegion("b", clock.NewManual(startMs+10), 2, 2, merging())
	far.do(toHash, "k")
	long := []byte("longer than its digest")
	here := newOnDisk()
	here.run(t, func(tx *Tx) { tx.SetString(onK, long, NoDeadline()) }, "k")
	if here.evict() != 1 {
		t.Fatal("not evicted")
	}
	for _, b := range far.own {
		here.with(t, func() error { return here.e.Apply(b, FromSibling, startMs) })
	}
	for _, b := range here.own {
		far.receive(b)
	}
	check := func(what string) {
		t.Helper()
		if here.holdings() != far.holdings() || here.digest() != far.digest() {
			t.Errorf("%s:\n%s\n%s", what, here.holdings(), far.holdings())
		}
		checkAccounts(t, here.e)
	}
	check("a hash over a string on disk")
	if n := here.evict(); n != 0 {
		t.Errorf("%d keys of two types evicted", n)
	}
	check("after eviction")
	here.run(t, func(tx *Tx) { tx.HashDelete(onK, theA) }, "k")
	far.receive(here.own[len(here.own)-1])
	check("after HDEL")
	if val, _ := here.get("k"); val != string(long) {
		t.Errorf("%q shows", val)
	}
}

// TestClashMoves: what is hidden is moved from sparse pages, and its memory
// counts, with and without an annex.
func TestClashMoves(t *testing.T) {
	for _, annexFrom := range []int64{annexFrom, 20_000} {
		p := merging()
		p.Forms = testForms
		here, far := newRegion("a", clock.NewManual(startMs), 1, 1, p), newRegion("b", clock.NewManual(startMs), 1, 1, p)
		here.e.annexFrom, far.e.annexFrom = annexFrom, annexFrom
		name := func(i int) []byte { return fmt.Appendf(nil, "member:%09d", i) }
		change := func(r *region, fn func(t *Tx, i int)) {
			for i := range 5000 {
				r.do(func(t *Tx) { fn(t, i) }, "k", strconv.Itoa(i))
			}
		}
		change(here, func(t *Tx, i int) {
			t.SetAdd(onK, name(i))
			t.SetString(key(strconv.Itoa(i)), name(i), NoDeadline())
		})
		change(far, func(t *Tx, i int) { t.HashSet(onK, [][]byte{name(i), name(i)}, FieldChange{}) })
		change(here, func(t *Tx, i int) {
			if i%8 > 0 {
				t.SetRemove(onK, name(i))
				t.Delete(key(strconv.Itoa(i)))
			}
		})
		change(far, func(t *Tx, i int) {
			if i%8 > 0 {
				t.HashDelete(onK, name(i))
			}
		})
		for _, b := range far.own {
			here.receive(b)
		}
		for _, b := range here.own {
			far.receive(b)
		}
		if here.holdings() != far.holdings() {
			t.Error("the regions differ")
		}
		for _, r := range []*region{here, far} {
			was := r.holdings()
			live, before := r.mapped()
			for n := 0; r.e.Sweep(nil); n++ {
				if n > 100_000 {
					t.Fatal("moving does not end")
				}
			}
			if _, after := r.mapped(); after > live*5/4+4*wasteFloor {
				t.Errorf("%d bytes mapped for %d live, %d before", after, live, before)
			}
			if r.holdings() != was {
				t.Error("moving changes what is there")
			}
			checkAccounts(t, r.e)
			bytes := int64(0)
			r.do(func(tx *Tx) { i, _ := tx.Info(onK); bytes = i.Bytes }, "k")
			used := r.e.UsedBytes()
			r.do(toGone, "k")
			for r.e.Sweep(nil) {
			}
			if freed := used - r.e.UsedBytes(); freed < bytes*9/10 || freed > bytes*11/10 {
				t.Errorf("DEL gives back %d of %d bytes", freed, bytes)
			}
			if n := len(annexesOf(r.e)); n != 0 {
				t.Errorf("%d annexes without a collection", n)
			}
			checkAccounts(t, r.e)
		}
	}
}

// TestSnapshotOfClash: a snapshot has what clients see, a lone region keeps it.
func TestSnapshotOfClash(t *testing.T) {
	for _, last := range []func(*Tx){toSet, toText} {
		m := clashing(t, toNum, toHash, last)
		r := m.regions[0]
		one := "a= "
		if v, ok := r.get("k"); ok {
			one = v
		}
		if have := r.e.BeginSnapshot(r.wall.NowMs()).texts(t, nil); have["0/k"] != one+"@0" || len(have) != 1 {
			t.Errorf("%v, not %q", have, one)
		}
		row, _ := r.e.State(RowKey{0, "k"})
		k := SnapshotKey{OnDisk: &DiskValue{}}
		if ok, err := k.ReadRow(row.State); !ok || err != nil || (k.Coll == nil) != (one == "a") {
			t.Errorf("a row is read as %v", k)
		}
		shows := map[bool]Type{true: TypeString, false: TypeSet}[one == "a"]
		alone, left := newRegion("a", clock.NewManual(startMs), 2, 2, alone()), m.regions[1]
		if err := alone.e.LoadRows([]StateEntry{row.StateEntry}, startMs); err != nil {
			t.Fatal(err)
		}
		left.e.WithWorld(func() {
			p := left.e.Params()
			p.Merging = false
			left.e.Configure(p)
			left.e.DropHidden()
		})
		for _, r := range []*region{alone, left} {
			r.e.eachEntry(func(_ int, x *entry) {
				if x.shared() || x.typeName() != shows {
					t.Errorf("a lone region has a %s and more", x.typeName())
				}
			})
			checkAccounts(t, r.e)
		}
	}
}

// TestSetOverReclaimed: a lone region reclaims a set without an op; the string that
// then takes its name is alone there after a replay, too.
func TestSetOverReclaimed(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	r.do(func(tx *Tx) { toSet(tx); tx.SetDeadline(onK, startMs+10) }, "k")
	r.wall.Advance(20)
	expireAll(r)
	r.do(toText, "k")
	again := newRegion("a", r.wall, 1, 1, alone())
	again.replay(t, r)
	if val, _ := again.get("k"); val != "a" || again.digest() != r.digest() {
		t.Errorf("%q after a replay: %s", val, again.showMembers())
	}
	checkAccounts(t, again.e)
}
