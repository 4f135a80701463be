package op

import (
	"cmp"
	"encoding/binary"
	"math"

	"geocache/clock"
)

// stateVersion is the first byte of every encoded KeyState.
const stateVersion = 1

// KeyState is all that merging knows of one key, live or removed. Its join is
// in package engine. Rows in Pebble and State ops store it.
type KeyState struct {
	// Value cell of a string: the newest SET that is known, even when Dead
	// has overtaken it.
	ValueStamp clock.Stamp
	Value      []byte
	// Deadline cell, in milliseconds since the epoch, 0 for none. It counts
	// only while its stamp is later than Dead.
	DeadlineStamp clock.Stamp
	DeadlineMs    int64
	// Dead is the newest removal: a value cell not later than Dead is gone.
	Dead clock.Stamp
	// Flushed is the value cell that a FLUSH removed. Unlike Dead it says
	// nothing of other cells, which the FLUSH may not have seen.
	Flushed  clock.Stamp
	Subs     []Sub    // one per (lineage, origin), in CompareSubs order
	Floors   []Floor  // one per (lineage, origin), in CompareFloors order
	Sketches []Sketch // one per birth, in CompareSketches order
	// Colls are the collections under the key: one, unless regions made keys
	// of different types at the same time.
	Colls []Coll
}

// Sketch is a HyperLogLog of one birth: the write that made it where there was
// none, or the SET whose value was one. Registers that are raised belong to it,
// and go with it.
type Sketch struct {
	Birth clock.Stamp
	Value []byte // as the string commands know it; with the SET's own registers
}

// CompareSketches orders sketches by birth.
func CompareSketches(a, b Sketch) int { return compareRun(a.Birth, b.Birth, 0, 0) }

// CompareSubs orders subtotals by lineage, then origin: the order in which
// counters are summed in every region.
func CompareSubs(a, b Sub) int {
	return compareRun(a.Lineage, b.Lineage, a.Origin, b.Origin)
}

// CompareFloors orders floors as CompareSubs orders subtotals.
func CompareFloors(a, b Floor) int {
	return compareRun(a.Lineage, b.Lineage, a.Origin, b.Origin)
}

func compareRun(la, lb clock.Stamp, oa, ob clock.Origin) int {
	if c := cmp.Compare(la.At, lb.At); c != 0 {
		return c
	}
	if c := cmp.Compare(la.Origin, lb.Origin); c != 0 {
		return c
	}
	return cmp.Compare(oa, ob)
}

const (
	stateHasValue = 1 << iota
	stateHasDeadlineCell
	stateHasDead
	stateHasCounts
	stateHasFlushed
	stateHasColls
	stateHasSketches
)

// Append encodes s. Version, type and a flag byte come first, so that later
// types and cells find room.
func (s *KeyState) Append(dst []byte) []byte {
	flags := byte(0)
	if !s.ValueStamp.IsZero() {
		flags |= stateHasValue
	}
	if !s.DeadlineStamp.IsZero() {
		flags |= stateHasDeadlineCell
	}
	if !s.Dead.IsZero() {
		flags |= stateHasDead
	}
	if !s.Flushed.IsZero() {
		flags |= stateHasFlushed
	}
	if len(s.Subs)+len(s.Floors) > 0 {
		flags |= stateHasCounts
	}
	if len(s.Colls) > 0 {
		flags |= stateHasColls
	}
	if len(s.Sketches) > 0 {
		flags |= stateHasSketches
	}
	const typeString = 0
	dst = append(dst, stateVersion, typeString, flags)
	if flags&stateHasValue != 0 {
		dst = appendBytes(clock.AppendStamp(dst, s.ValueStamp), s.Value)
	}
	if flags&stateHasDeadlineCell != 0 {
		dst = binary.AppendVarint(clock.AppendStamp(dst, s.DeadlineStamp), s.DeadlineMs)
	}
	if flags&stateHasDead != 0 {
		dst = clock.AppendStamp(dst, s.Dead)
	}
	if flags&stateHasFlushed != 0 {
		dst = clock.AppendStamp(dst, s.Flushed)
	}
	if flags&stateHasCounts != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(s.Subs)))
		for _, c := range s.Subs {
			dst = appendRun(dst, c.Lineage, c.Origin, c.At)
			dst = binary.BigEndian.AppendUint64(dst, uint64(c.Born))
			dst = c.Total.Append(dst)
		}
		dst = binary.AppendUvarint(dst, uint64(len(s.Floors)))
		for _, f := range s.Floors {
			dst = f.Total.Append(appendRun(dst, f.Lineage, f.Origin, f.At))
		}
	}
	if flags&stateHasColls != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(s.Colls)))
		for i := range s.Colls {
			dst = s.Colls[i].Append(dst)
		}
	}
	if flags&stateHasSketches != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(s.Sketches)))
		for _, k := range s.Sketches {
			dst = appendBytes(clock.AppendStamp(dst, k.Birth), k.Value)
		}
	}
	return dst
}

func appendRun(dst []byte, lineage clock.Stamp, o clock.Origin, at clock.Reading) []byte {
	return clock.AppendStamp(clock.AppendStamp(dst, lineage), clock.Stamp{At: at, Origin: o})
}

// DecodeKeyState reads what Append wrote. Values alias b.
func DecodeKeyState(b []byte) (KeyState, error) {
	return decodeKeyState(Reader{b: b})
}

// DecodeOwnState is DecodeKeyState for what this process has encoded itself:
// stamps may be provisional.
func DecodeOwnState(b []byte) (KeyState, error) {
	return decodeKeyState(Reader{b: b, own: true})
}

func decodeKeyState(d Reader) (KeyState, error) {
	var s KeyState
	if d.Byte() != stateVersion || d.Byte() != 0 {
		return s, ErrMalformed
	}
	flags := d.Byte()
	if flags >= stateHasSketches<<1 {
		return s, ErrMalformed
	}
	if flags&stateHasValue != 0 {
		s.ValueStamp = d.Stamp()
		s.Value = d.Bytes(math.MaxInt32)
	}
	if flags&stateHasDeadlineCell != 0 {
		s.DeadlineStamp = d.Stamp()
		s.DeadlineMs = d.Varint()
	}
	if flags&stateHasDead != 0 {
		s.Dead = d.Stamp()
	}
	if flags&stateHasFlushed != 0 {
		s.Flushed = d.Stamp()
	}
	if flags&stateHasCounts != 0 {
		n := d.Uvarint(MaxRefs)
		for i := uint64(0); i < n && !d.bad; i++ {
			c := Sub{Lineage: d.Stamp()}
			run := d.Stamp()
			c.At, c.Origin = run.At, run.Origin
			c.Born = d.reading()
			c.Total = d.Num()
			s.Subs = append(s.Subs, c)
		}
		n = d.Uvarint(MaxRefs)
		for i := uint64(0); i < n && !d.bad; i++ {
			f := Floor{Lineage: d.Stamp()}
			run := d.Stamp()
			f.At, f.Origin = run.At, run.Origin
			f.Total = d.Num()
			s.Floors = append(s.Floors, f)
		}
	}
	if flags&stateHasColls != 0 {
		n := d.Uvarint(uint64(maxType))
		for i := uint64(0); i < n && !d.bad; i++ {
			s.Colls = append(s.Colls, d.coll())
		}
	}
	if flags&stateHasSketches != 0 {
		n := d.Uvarint(MaxRefs)
		for i := uint64(0); i < n && !d.bad; i++ {
			s.Sketches = append(s.Sketches, Sketch{Birth: d.Stamp(), Value: d.Bytes(math.MaxInt32)})
		}
	}
	if d.bad || len(d.b) != 0 {
		return KeyState{}, ErrMalformed
	}
	if !ascending(s.Subs, CompareSubs) || !ascending(s.Floors, CompareFloors) || !ascending(s.Sketches, CompareSketches) {
		return KeyState{}, ErrMalformed
	}
	return s, nil
}

// ascending reports whether each element is greater than the one before.
func ascending[T any](v []T, cmp func(a, b T) int) bool {
	for i := 1; i < len(v); i++ {
		if cmp(v[i-1], v[i]) >= 0 {
			return false
		}
	}
	return true
}
