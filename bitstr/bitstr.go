// Package bitstr is the arithmetic of the bit commands over plain bytes: counting and finding bits (BITCOUNT, BITPOS),
// combining strings (BITOP), and integers of any width at any place (BITFIELD). Bit 0 is the highest bit of the first byte,
// as in Redis, and a string reads as if zeros followed it.
//
// It must not know keys, commands or replies, and has no state. Arguments are checked by the caller where a function says so;
// within these bounds nothing panics.
package bitstr

import (
	"encoding/binary"
	"math/bits"
)

// Unit is what the ends of a Range count.
type Unit uint8

// The units of BITCOUNT and BITPOS.
const (
	Bytes Unit = iota
	Bits
)

// Range is a range as a client gives it: both ends belong to it, negative ones count from the end of the string. The zero
// Range is the first byte; Whole is everything.
type Range struct {
	Start, End int64
	Unit       Unit
	// OpenEnd is set if the client gave no End. A clear bit is then found right behind a string of ones.
	OpenEnd bool
}

// Whole returns the range of a client that gave none.
func Whole() Range { return Range{OpenEnd: true} }

// span returns the bits of b that r covers, from first to before last; ok is false if there are none.
func (r Range) span(b []byte) (first, last int64, ok bool) {
	scale := int64(8)
	if r.Unit == Bits {
		scale = 1
	}
	length := int64(len(b)) * 8 / scale
	start, end := r.Start, r.End
	if r.OpenEnd {
		end = length - 1
	}
	if start < 0 {
		start = max(0, start+length)
	}
	if end < 0 {
		end = max(0, end+length)
	}
	end = min(end, length-1)
	if start > end {
		return 0, 0, false
	}
	return start * scale, (end + 1) * scale, true
}

// Count returns the number of bits set in a range.
func Count(b []byte, r Range) int64 {
	first, last, ok := r.span(b)
	if !ok || r.Start < 0 && r.End < 0 && r.Start > r.End { // BITPOS does not mind the latter
		return 0
	}
	n := onesCount(b[first/8 : (last+7)/8])
	// Less the bits of the outer bytes that do not belong to it.
	n -= bits.OnesCount8(b[first/8] &^ (0xff >> (first % 8)))
	if last%8 != 0 {
		n -= bits.OnesCount8(b[last/8] & (0xff >> (last % 8)))
	}
	return int64(n)
}

func onesCount(b []byte) (n int) {
	for ; len(b) >= 32; b = b[32:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b)) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[24:]))
	}
	for _, c := range b {
		n += bits.OnesCount8(c)
	}
	return n
}

// Position returns where the first bit of a range lies that is equal to bit, which is 0 or 1, counted from the start of the
// string; -1 if there is none. For an absent key, which is not an empty string here, BITPOS answers 0 or -1 by itself.
func Position(b []byte, bit uint8, r Range) int64 {
	first, last, ok := r.span(b)
	if !ok {
		return -1
	}
	if at := find(b, bit, first); at < last {
		return at
	}
	if bit == 0 && r.OpenEnd {
		return last
	}
	return -1
}

// find returns the place of the first such bit from first on, or something behind the end.
func find(b []byte, bit uint8, first int64) int64 {
	flip := uint64(bit) - 1 // turns the search for 0 into one for 1
	i := first / 8
	if c := (b[i] ^ byte(flip)) & (0xff >> (first % 8)); c != 0 {
		return i*8 + int64(bits.LeadingZeros8(c))
	}
	for i++; i+8 <= int64(len(b)); i += 8 {
		if w := binary.BigEndian.Uint64(b[i:]) ^ flip; w != 0 {
			return i*8 + int64(bits.LeadingZeros64(w))
		}
	}
	for ; i < int64(len(b)); i++ {
		if c := b[i] ^ byte(flip); c != 0 {
			return i*8 + int64(bits.LeadingZeros8(c))
		}
	}
	return i * 8
}
