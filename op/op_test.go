package op

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"geocache/clock"
)

func randomNum(rnd *rand.Rand) Num {
	switch rnd.IntN(4) {
	case 0:
		return Int(rnd.Int64N(1000) - 500)
	case 1:
		return Num{hi: int64(rnd.Uint64()) >> rnd.IntN(64), lo: rnd.Uint64()}
	case 2:
		f := new(big.Float).SetPrec(FloatPrec).SetInt64(int64(rnd.Uint64()))
		return Float(f.SetMantExp(f, rnd.IntN(30000)-15000))
	}
	return Float(big.NewFloat(float64(rnd.IntN(5)) / 4))
}

func randomStamp(rnd *rand.Rand) clock.Stamp {
	return clock.Stamp{At: clock.Reading(rnd.Uint64() >> 1), Origin: clock.Origin(rnd.Uint64())}
}

func randomBytes(rnd *rand.Rand, n int) []byte {
	b := make([]byte, rnd.IntN(n))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// randomRef is a reference from op number n: none, absolute, or to an op of
// the same batch; want is what a decoder must make of it.
func randomRef(rnd *rand.Rand, h Header, n int) (ref, want clock.Stamp) {
	switch kind := rnd.IntN(3); {
	case kind == 0:
		return ref, want
	case kind == 1 && n > 0:
		i := rnd.IntN(n)
		return clock.Stamp{At: provisional | clock.Reading(i), Origin: h.Origin},
			clock.Stamp{At: h.First + clock.Reading(i), Origin: h.Origin}
	}
	ref = randomStamp(rnd)
	return ref, ref
}

func randomFloors(rnd *rand.Rand, h Header, n int) (floors, want []Floor) {
	for range rnd.IntN(3) {
		lineage, wantLineage := randomRef(rnd, h, n)
		at, wantAt := randomRef(rnd, h, n)
		total := randomNum(rnd)
		floors = append(floors, Floor{lineage, at.Origin, at.At, total})
		want = append(want, Floor{wantLineage, wantAt.Origin, wantAt.At, total})
	}
	return floors, want
}

// buildOp appends a random op and returns what it must decode to.
func buildOp(rnd *rand.Rand, b *Builder, h Header) Op {
	n := b.Len()
	o := Op{Stamp: clock.Stamp{At: h.First + clock.Reading(n), Origin: h.Origin}, DB: rnd.IntN(MaxDBs), Key: randomBytes(rnd, 20)}
	var got clock.Stamp
	switch kind := Kind(1 + rnd.IntN(int(maxKind))); kind {
	case Set:
		o.Kind, o.Value = Set, randomBytes(rnd, 100)
		if o.KeepDeadline = rnd.IntN(2) == 0; o.KeepDeadline {
			got = b.SetValue(o.DB, o.Key, o.Value)
			break
		}
		o.DeadlineMs = rnd.Int64N(3)
		got = b.Set(o.DB, o.Key, o.Value, o.DeadlineMs)
	case Deadline:
		o.Kind, o.DeadlineMs = Deadline, int64(rnd.Uint64())
		got = b.Deadline(o.DB, o.Key, o.DeadlineMs)
	case Remove:
		o.Kind = Remove
		var floors []Floor
		floors, o.Floors = randomFloors(rnd, h, n)
		if rnd.IntN(2) == 0 {
			o.Upto = o.Stamp
			got = b.Remove(o.DB, o.Key, floors)
			break
		}
		seen, want := randomRef(rnd, h, n)
		o.Upto = want
		got = b.RemoveSeen(o.DB, o.Key, seen, floors)
	case Count:
		o.Kind = Count
		lineage, wantLineage := randomRef(rnd, h, n)
		born, wantBorn := randomRef(rnd, h, n)
		o.Sub = Sub{Lineage: wantLineage, Origin: h.Origin, Born: wantBorn.At, At: o.Stamp.At, Total: randomNum(rnd)}
		if born.IsZero() {
			o.Sub.Born = o.Stamp.At
		}
		got = b.Count(o.DB, o.Key, lineage, born, o.Sub.Total)
	case Flush:
		o.Kind, o.Key, o.Seen = Flush, nil, clock.Vector{}
		for range rnd.IntN(4) {
			s := randomStamp(rnd)
			o.Seen[s.Origin] = s.At
		}
		got = b.Flush(o.DB, o.Seen)
		o.Seen.Raise(h.Origin, o.Stamp.At-1)
	case State:
		st := randomState(rnd)
		o.Kind, o.Raw = State, st.Append(nil)
		got = b.State(o.DB, o.Key, o.Raw)
	case SwapDB:
		o.Kind, o.DB, o.Key, o.DBMap = SwapDB, 0, nil, rnd.Perm(16)
		got = b.SwapDB(o.DBMap)
	case Put:
		o.Kind, o.Type, o.Part, o.Elem = Put, TypeStream, Aux, randomElem(rnd)
		var seen Seen
		for range rnd.IntN(3) {
			cell, want := randomRef(rnd, h, n)
			seen.Cells, o.Sees = append(seen.Cells, cell), append(o.Sees, want)
		}
		seen.Floors, o.Floors = randomFloors(rnd, h, n)
		got = b.Put(o.DB, o.Key, o.Type, o.Part, o.Elem, seen)
	case Take:
		o.Kind, o.Type, o.Elem.Key = Take, TypeHash, randomBytes(rnd, 9)
		got = b.Take(o.DB, o.Key, o.Type, o.Part, o.Elem.Key, Seen{})
	case Patch:
		o.Kind, o.Offset, o.Value = Patch, rnd.IntN(1<<20), randomBytes(rnd, 30)
		got = b.Patch(o.DB, o.Key, o.Offset, o.Value)
	case Raise:
		o.Kind, o.Value = Raise, randomBytes(rnd, 30)
		birth, wantBirth := randomRef(rnd, h, n)
		if o.Birth = wantBirth; birth.IsZero() {
			o.Birth = o.Stamp
		}
		got = b.Raise(o.DB, o.Key, birth, o.Value)
	case Rename:
		o.Kind, o.ToDB, o.To = Rename, rnd.IntN(MaxDBs), randomBytes(rnd, 20)
		got = b.Rename(o.DB, o.Key, o.ToDB, o.To)
	case CountMember:
		o.Kind, o.Type, o.Elem.Key = CountMember, TypeHash, randomBytes(rnd, 9)
		lineage, wantLineage := randomRef(rnd, h, n)
		o.Sub = Sub{Lineage: wantLineage, Origin: h.Origin, Born: o.Stamp.At, At: o.Stamp.At, Total: randomNum(rnd)}
		got = b.CountMember(o.DB, o.Key, o.Type, o.Elem.Key, lineage, clock.Stamp{}, o.Sub.Total)
	case Expire:
		o.Kind, o.Type, o.Elem.Key, o.DeadlineMs = Expire, TypeHash, randomBytes(rnd, 9), rnd.Int64()
		got = b.Expire(o.DB, o.Key, o.Type, o.Elem.Key, o.DeadlineMs, nil)
	case Insert:
		o.Kind, o.Type, o.Rank, o.Elem = Insert, TypeList, rnd.IntN(1000), randomElem(rnd)
		got = b.Insert(o.DB, o.Key, o.Rank, o.Elem)
	case Cut:
		o.Kind, o.Type, o.Rank, o.N = Cut, TypeList, rnd.IntN(1000), rnd.IntN(9)
		got = b.Cut(o.DB, o.Key, o.Rank, o.N)
	case Drop:
		o.Kind = Drop
		if rnd.IntN(2) == 0 {
			o.Seen = clock.Vector{}
			s := randomStamp(rnd)
			o.Seen[s.Origin] = s.At
		}
		got = b.Drop(o.DB, o.Key, o.Seen)
		if o.Seen != nil {
			o.Seen.Raise(h.Origin, o.Stamp.At-1)
		}
	case Meta:
		o.Kind, o.Type, o.Raw = Meta, TypeStream, randomBytes(rnd, 9)
		got = b.Meta(o.DB, o.Key, o.Type, o.Raw)
	case Whole:
		c := randomColl(rnd)
		o.Kind, o.Raw = Whole, c.Append(nil)
		got = b.Whole(o.DB, o.Key, o.Raw)
	}
	if got != (clock.Stamp{At: provisional | clock.Reading(n), Origin: b.Origin}) || Resolve(got.At, h.First) != o.Stamp.At {
		panic("stamp of another op")
	}
	return o
}

func randomElem(rnd *rand.Rand) Elem {
	return Elem{Key: randomBytes(rnd, 9), Val: randomBytes(rnd, 30), Ext: randomBytes(rnd, 9)}
}

func randomColl(rnd *rand.Rand) Coll {
	c := Coll{Type: 1 + Type(rnd.IntN(int(maxType))), AsOf: randomStamp(rnd).At, Form: uint8(rnd.IntN(3)), Meta: randomBytes(rnd, 9)}
	for p := range c.Elem {
		for range rnd.IntN(5) {
			c.Elem[p] = append(c.Elem[p], randomElem(rnd))
		}
	}
	return c
}

func randomState(rnd *rand.Rand) KeyState {
	var s KeyState
	for range rnd.IntN(3) {
		s.Colls = append(s.Colls, randomColl(rnd))
	}
	if rnd.IntN(2) == 0 {
		s.ValueStamp, s.Value = randomStamp(rnd), randomBytes(rnd, 50)
	}
	if rnd.IntN(2) == 0 {
		s.DeadlineStamp, s.DeadlineMs = randomStamp(rnd), int64(rnd.Uint64())
	}
	if rnd.IntN(2) == 0 {
		s.Dead = randomStamp(rnd)
	}
	if rnd.IntN(2) == 0 {
		s.Flushed = randomStamp(rnd)
	}
	for range rnd.IntN(4) {
		run := randomStamp(rnd)
		s.Subs = append(s.Subs, Sub{randomStamp(rnd), run.Origin, randomStamp(rnd).At, run.At, randomNum(rnd)})
	}
	for range rnd.IntN(4) {
		run := randomStamp(rnd)
		s.Floors = append(s.Floors, Floor{randomStamp(rnd), run.Origin, run.At, randomNum(rnd)})
	}
	for range rnd.IntN(3) {
		s.Sketches = append(s.Sketches, Sketch{randomStamp(rnd), randomBytes(rnd, 50)})
	}
	slices.SortFunc(s.Sketches, CompareSketches)
	slices.SortFunc(s.Subs, CompareSubs)
	slices.SortFunc(s.Floors, CompareFloors)
	return s
}

// same compares deeply but takes an empty slice for nil and numbers by value.
func same(a, b Op) bool {
	norm := func(o Op) Op {
		o.Key, o.Value, o.Raw = append([]byte(nil), o.Key...), append([]byte(nil), o.Value...), append([]byte(nil), o.Raw...)
		o.Elem = Elem{append([]byte(nil), o.Elem.Key...), append([]byte(nil), o.Elem.Val...), append([]byte(nil), o.Elem.Ext...)}
		o.Sub.Total, o.Floors = Num{}, slices.Clone(o.Floors)
		for i := range o.Floors {
			o.Floors[i].Total = Num{}
		}
		return o
	}
	if len(a.Floors) != len(b.Floors) || !a.Sub.Total.Equal(b.Sub.Total) {
		return false
	}
	for i := range a.Floors {
		if !a.Floors[i].Total.Equal(b.Floors[i].Total) {
			return false
		}
	}
	return reflect.DeepEqual(norm(a), norm(b))
}

func TestBatchRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		h := Header{Origin: clock.NewOrigin("a", rnd.Uint64()), First: 1000 + clock.Reading(rnd.Uint64()>>2), Prev: clock.Reading(rnd.IntN(1000))}
		for range rnd.IntN(3) {
			h.Deps = append(h.Deps, randomStamp(rnd))
		}
		b := Builder{Origin: h.Origin}
		var want []Op
		for range 1 + rnd.IntN(6) {
			want = append(want, buildOp(rnd, &b, h))
		}
		h.Count = b.Len()
		raw := AppendBatch(nil, h, b.Body())
		got, err := ParseBatch(raw)
		if err != nil || got.Check() != nil {
			t.Fatalf("%v %v: %x", err, got.Check(), raw)
		}
		if !reflect.DeepEqual(got.Header, h) || !bytes.Equal(got.Raw, raw) {
			t.Fatalf("header %+v, want %+v", got.Header, h)
		}
		i := 0
		for o := range got.Ops() {
			if !same(o, want[i]) {
				t.Fatalf("op %d: %+v, want %+v", i, o, want[i])
			}
			i++
		}
		if i != h.Count {
			t.Fatalf("%d ops of %d", i, h.Count)
		}
		for cut := range raw {
			if c, err := ParseBatch(raw[:cut]); err == nil && c.Check() == nil {
				t.Fatalf("cut at %d of %d is accepted", cut, len(raw))
			}
		}
		if c, err := ParseBatch(append(slices.Clone(raw), 0)); err == nil && c.Check() == nil {
			t.Fatal("a byte too many is accepted")
		}
	}
}

func TestKeyStateRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		s := randomState(rnd)
		raw := s.Append(nil)
		got, err := DecodeKeyState(raw)
		if err != nil || !bytes.Equal(got.Append(nil), raw) {
			t.Fatalf("%v: %+v", err, s)
		}
		if got.ValueStamp != s.ValueStamp || got.Flushed != s.Flushed || got.Dead != s.Dead || got.DeadlineMs != s.DeadlineMs ||
			!bytes.Equal(got.Value, s.Value) || len(got.Subs) != len(s.Subs) || len(got.Floors) != len(s.Floors) || len(got.Sketches) != len(s.Sketches) {
			t.Fatalf("%+v, want %+v", got, s)
		}
		if len(s.Subs) > 1 {
			s.Subs[0], s.Subs[1] = s.Subs[1], s.Subs[0]
			if _, err := DecodeKeyState(s.Append(nil)); err == nil {
				t.Fatal("unordered runs are accepted")
			}
			s.Subs[0] = s.Subs[1]
			if _, err := DecodeKeyState(s.Append(nil)); err == nil {
				t.Fatal("a run twice is accepted")
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	var b Builder
	b.Set(0, []byte("k"), nil, 0)
	good := Header{Origin: 1, First: 10, Count: 1}
	for name, h := range map[string]Header{
		"no origin":         {First: 10, Count: 1},
		"no ops":            {Origin: 1, First: 10},
		"before its past":   {Origin: 1, First: 10, Count: 1, Prev: 10},
		"provisional":       {Origin: 1, First: 1 << 63, Count: 1},
		"wraps around":      {Origin: 1, First: 1<<64 - 1, Count: 1},
		"runs over":         {Origin: 1, First: 1<<63 - 1, Count: 1},
		"provisional other": {Origin: 1, First: 10, Count: 1, Deps: []clock.Stamp{{At: 1 << 63, Origin: 2}}},
	} {
		if _, err := ParseBatch(AppendBatch(nil, h, b.Body())); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	body := func(fill func(*Builder)) []byte {
		var b Builder
		fill(&b)
		return b.Body()
	}
	for name, raw := range map[string][]byte{
		"reference to itself": body(func(b *Builder) { b.Count(0, nil, clock.Stamp{At: provisional, Origin: 1}, clock.Stamp{}, Int(1)) }),
		"unknown kind":        {byte(maxKind + 1), 0, 0},
		"unknown flag":        {byte(Set), 0, 0, 8, 0},
		"provisional vector":  body(func(b *Builder) { b.Flush(0, clock.Vector{3: 1 << 63}) }),
	} {
		if p, err := ParseBatch(AppendBatch(nil, good, raw)); err == nil && p.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
