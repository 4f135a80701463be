package engine

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/hll"
	"geocache/op"
)

// This file merges HyperLogLogs where siblings are configured. Registers only
// rise, so the greatest of all regions stand, whatever the order (Flajolet et
// al. 2007). What removes them is told by births: PFADD or PFMERGE where there is
// no HyperLogLog makes a birth, named by the stamp of its op; later ones raise
// the registers of the newest birth that they see. A removal names the births
// that it had seen, as floors, and takes them away with all that anybody raises
// there. A SET takes away every older birth; where its value is a HyperLogLog,
// it is a birth itself. Clients see the greatest registers of all births.

// joinedSparseBytes is up to where sparse HyperLogLogs stay so when registers
// from elsewhere come in: the default of hll-sparse-max-bytes.
const joinedSparseBytes = 3000

// RaiseSketch makes b, which must stay as it is until the tx ends, the
// HyperLogLog under k, whose deadline stays. raised, which only siblings ask for,
// is a HyperLogLog with at least the registers that are greater than before.
func (t *Tx) RaiseSketch(k Key, b, raised []byte) {
	// A damaged one has no registers to merge, though single ones can be raised.
	if !t.p.Merging || hll.Valid(b) != nil {
		t.Rewrite(k, b)
		return
	}
	u := t.edit(k)
	s := &u.x.state
	fresh := t.begun(u)
	birth, alone := newestBirth(s)
	st := t.emit(func(bl *op.Builder) clock.Stamp { return bl.Raise(u.db, k.Name, birth, raised) })
	if birth.IsZero() {
		birth = st
	}
	if alone {
		s.Sketches = []op.Sketch{{Birth: birth, Value: b}}
	} else { // b has the registers of other births as well
		joinSketch(s, op.Sketch{Birth: birth, Value: raised})
	}
	u.x.flags = u.x.flags&^(fMade|fHasRow|fOnDisk|fToken) | fRaw
	t.endMerged(k, u, fresh)
}

// newestBirth is the birth that a change of the visible HyperLogLog belongs to,
// zero where there is none; alone says that there is no other.
func newestBirth(s *op.KeyState) (birth clock.Stamp, alone bool) {
	if n := len(s.Sketches); n > 0 {
		return s.Sketches[n-1].Birth, n == 1 && baseSketch(s) == nil
	}
	if baseAlive(s) {
		return s.ValueStamp, true
	}
	return clock.Stamp{}, true
}

// sketchLives reports whether the registers of a birth count. Of what KeyState
// keeps all do.
func sketchLives(s *op.KeyState, birth clock.Stamp) bool {
	if birth == s.ValueStamp {
		return baseAlive(s)
	}
	if birth.Less(s.ValueStamp) {
		return false
	}
	_, floored := slices.BinarySearchFunc(s.Floors, birthFloor(birth), op.CompareFloors)
	return !floored
}

// birthFloor is how a removal names a birth: no counter has one for a lineage.
func birthFloor(birth clock.Stamp) op.Floor {
	return op.Floor{Lineage: birth, Origin: birth.Origin, At: birth.At}
}

// baseSketch is the value cell where it is a birth whose registers nobody has
// raised, or nil.
func baseSketch(s *op.KeyState) []byte {
	if baseAlive(s) && !(len(s.Sketches) > 0 && s.Sketches[0].Birth == s.ValueStamp) && hll.Valid(s.Value) == nil {
		return s.Value
	}
	return nil
}

// joinSketch takes in the registers of a birth, whose Value s may keep, and
// reports whether s changed. An undo may hold the old list.
func joinSketch(s *op.KeyState, k op.Sketch) bool {
	if !sketchLives(s, k.Birth) || hll.Valid(k.Value) != nil {
		return false
	}
	at, found := slices.BinarySearchFunc(s.Sketches, k, op.CompareSketches)
	was := []byte(nil)
	switch {
	case found:
		was = s.Sketches[at].Value
	case k.Birth == s.ValueStamp:
		was = baseSketch(s)
	}
	if was != nil {
		v, changed, err := hll.Join(bytes.Clone(was), k.Value, joinedSparseBytes)
		if err != nil || found && !changed && len(v) == len(was) {
			return false // that a SET's registers were raised is known though they are the same
		}
		k.Value = v
	}
	if found {
		s.Sketches = slices.Clone(s.Sketches)
		s.Sketches[at] = k
	} else {
		s.Sketches = slices.Insert(slices.Clip(s.Sketches), at, k)
	}
	return true
}

// dropSketches takes away what no longer counts.
func dropSketches(s *op.KeyState) {
	gone := func(k op.Sketch) bool { return !sketchLives(s, k.Birth) }
	if slices.ContainsFunc(s.Sketches, gone) {
		s.Sketches = slices.DeleteFunc(slices.Clone(s.Sketches), gone)
	}
}

// visibleSketch is the HyperLogLog that clients read, of which there is one. It
// must not be modified.
func visibleSketch(s *op.KeyState) []byte {
	base := baseSketch(s)
	if len(s.Sketches) == 1 && base == nil {
		return s.Sketches[0].Value
	}
	u := unionOf(s, base)
	return u.Encode(joinedSparseBytes)
}

// unionOf is the registers of all births, base among them if it is one.
func unionOf(s *op.KeyState, base []byte) *hll.Union {
	var u hll.Union
	if base != nil {
		u.Merge(base) // valid, as all births are
	}
	for i := range s.Sketches {
		u.Merge(s.Sketches[i].Value)
	}
	return &u
}

// sketchSum is a hash over the registers that clients read, whatever form they
// have here.
func sketchSum(s *op.KeyState) uint64 {
	if v := s.Sketches[0].Value; len(v) == digestLen {
		return binary.BigEndian.Uint64(v)
	}
	return xxh3.Hash(unionOf(s, baseSketch(s)).Registers())
}

// sketchesToDisk leaves of a HyperLogLog that goes to its row its births, and the
// hash of the registers for a value.
func sketchesToDisk(s *op.KeyState) {
	sum := sketchSum(s)
	s.Value, s.Sketches = nil, bare(s.Sketches)
	s.Sketches[0].Value = binary.BigEndian.AppendUint64(make([]byte, 0, digestLen), sum)
}

// bare is a list of births without their registers.
func bare(list []op.Sketch) []op.Sketch {
	list = slices.Clone(list)
	for i := range list {
		list[i].Value = nil
	}
	return list
}

// Fill gives a state whose value was evicted the one that its row has, and reports
// whether it is the same. It aliases the row.
func Fill(s, row *op.KeyState) bool {
	if s.ValueStamp != row.ValueStamp || !slices.EqualFunc(s.Sketches, row.Sketches, func(a, b op.Sketch) bool { return a.Birth == b.Birth }) {
		return false
	}
	s.Value, s.Sketches, s.Colls = row.Value, row.Sketches, row.Colls
	return true
}

func sketchToken(s *op.KeyState) clock.Stamp {
	h := newStampDigest()
	for i := range s.Sketches {
		h.add(s.Sketches[i].Birth)
	}
	h.add(clock.Stamp{At: clock.Reading(sketchSum(s))})
	return h.sum()
}

// birthFloors appends the births of s, for a removal; that of a SET goes with
// it.
func birthFloors(dst []op.Floor, s *op.KeyState) []op.Floor {
	for i := range s.Sketches {
		if birth := s.Sketches[i].Birth; birth != s.ValueStamp {
			dst = append(dst, birthFloor(birth))
		}
	}
	return dst
}

// oldestSketch is the oldest birth, zero where there is none.
func oldestSketch(s *op.KeyState) clock.Stamp {
	if len(s.Sketches) == 0 {
		return clock.Stamp{}
	}
	return s.Sketches[0].Birth
}
