package bitstr

import (
	"encoding/binary"
	"strings"
)

// Op is an operator of BITOP.
type Op uint8

// The operators. Those from Diff on set the first source apart from the others; see Combine.
const (
	And   Op = iota // set in all
	Or              // set in any
	Xor             // set in an odd number
	Not             // clear in the only source
	One             // set in exactly one
	Diff            // set in the first and in no other
	Diff1           // set in another, but not in the first
	AndOr           // set in the first and in another
)

var opNames = [...]string{
	And: "and", Or: "or", Xor: "xor", Not: "not", One: "one", Diff: "diff", Diff1: "diff1", AndOr: "andor",
}

// String is the operator's name in lower case.
func (op Op) String() string { return opNames[op] }

// ParseOp reads an operator's name in any case.
func ParseOp(name []byte) (Op, bool) {
	for op, n := range opNames {
		if len(n) == len(name) && strings.EqualFold(n, string(name)) {
			return Op(op), true
		}
	}
	return 0, false
}

// Sources returns how many sources the operator takes; most is 0 where there is no limit.
func (op Op) Sources() (least, most int) {
	switch op {
	case Not:
		return 1, 1
	case Diff, Diff1, AndOr:
		return 2, 0
	}
	return 1, 0
}

// chunk is how many bytes of all sources are combined before the next ones: what stays in the processor's nearest cache.
const chunk = 8 << 10

// Combine returns the result of op over sources, as many as Sources allows: as long as the longest of them, the others
// continued with zeros. dst is used for it if it is large enough; it must not overlap a source. The sources may overlap
// each other.
func Combine(op Op, dst []byte, sources ...[]byte) []byte {
	size := 0
	for _, s := range sources {
		size = max(size, len(s))
	}
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	dst = dst[:size]
	var seen []byte // bits seen more than once
	if op == One {
		seen = make([]byte, min(size, chunk))
	}
	for from := 0; from < size; from += chunk {
		op.combine(dst[from:min(from+chunk, size)], seen, sources, from)
	}
	return dst
}

// combine works one chunk out, which begins at offset from in the sources.
func (op Op) combine(dst, seen []byte, sources [][]byte, from int) {
	part := func(s []byte) []byte { return s[min(from, len(s)):min(from+len(dst), len(s))] }
	first, others := part(sources[0]), sources[1:]
	switch op {
	case Diff, Diff1, AndOr:
		clear(dst) // collects the others
	default:
		clear(dst[copy(dst, first):])
	}
	clear(seen)
	for _, s := range others {
		s := part(s)
		switch op {
		case And:
			each(dst, s, func(d, s uint64) uint64 { return d & s })
			clear(dst[len(s):])
		case Xor:
			each(dst, s, func(d, s uint64) uint64 { return d ^ s })
		case One:
			once(dst, seen, s)
		default:
			each(dst, s, func(d, s uint64) uint64 { return d | s })
		}
	}
	switch op {
	case Not:
		each(dst, dst, func(_, s uint64) uint64 { return ^s })
	case One:
		each(dst, seen, func(d, s uint64) uint64 { return d &^ s })
	case Diff:
		each(dst, first, func(d, s uint64) uint64 { return s &^ d })
		clear(dst[len(first):])
	case Diff1:
		each(dst, first, func(d, s uint64) uint64 { return d &^ s })
	case AndOr:
		each(dst, first, func(d, s uint64) uint64 { return d & s })
		clear(dst[len(first):])
	}
}

// each replaces what is in dst by f of it and what is in src, as far as the shorter of them goes.
func each(dst, src []byte, f func(d, s uint64) uint64) {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	for len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, f(binary.LittleEndian.Uint64(dst), binary.LittleEndian.Uint64(src)))
		dst, src = dst[8:], src[8:]
	}
	for i := range dst {
		dst[i] = byte(f(uint64(dst[i]), uint64(src[i])))
	}
}

// once adds src to dst, and to seen what was in dst already. Both are as long as src at least.
func once(dst, seen, src []byte) {
	for len(src) >= 8 {
		d, s := binary.LittleEndian.Uint64(dst), binary.LittleEndian.Uint64(src)
		binary.LittleEndian.PutUint64(seen, binary.LittleEndian.Uint64(seen)|d&s)
		binary.LittleEndian.PutUint64(dst, d|s)
		dst, seen, src = dst[8:], seen[8:], src[8:]
	}
	for i, c := range src {
		seen[i] |= dst[i] & c
		dst[i] |= c
	}
}
