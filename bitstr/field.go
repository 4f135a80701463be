package bitstr

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Field is the type of an integer in a string: i1 to i64, u1 to u63.
type Field struct {
	Signed bool
	Bits   uint8
}

// ParseField reads a type's name as BITFIELD writes it.
func ParseField(name []byte) (Field, bool) {
	if len(name) < 2 || len(name) > 3 || name[1] == '0' || name[0] != 'i' && name[0] != 'u' {
		return Field{}, false
	}
	n, err := strconv.ParseUint(string(name[1:]), 10, 8)
	f := Field{Signed: name[0] == 'i', Bits: uint8(n)}
	if err != nil || n == 0 || n > 64 || !f.Signed && n == 64 {
		return Field{}, false
	}
	return f, true
}

// Overflow says what becomes of a result that does not fit.
type Overflow uint8

// The modes of BITFIELD ... OVERFLOW.
const (
	Wrap     Overflow = iota // the lowest bits stay
	Saturate                 // the nearest number that fits
	Fail                     // nothing is written
)

// Get returns the integer at a bit offset, which is not negative. Bits behind the string are 0.
func (f Field) Get(b []byte, offset int64) int64 {
	var window [9]byte // what 64 bits may touch
	if at := offset / 8; at < int64(len(b)) {
		copy(window[:], b[at:])
	}
	shift := uint(offset % 8)
	v := binary.BigEndian.Uint64(window[:])<<shift | uint64(window[8])>>(8-shift)
	return f.extend(v >> (64 - f.Bits))
}

// Put writes the lowest bits of v at a bit offset, which is not negative. b reaches to End(offset) at least.
func (f Field) Put(b []byte, offset, v int64) {
	b = b[offset/8:]
	used := uint(offset%8) + uint(f.Bits) // bits of b in front of the end of the field
	mask := uint64(1)<<(f.Bits-1)<<1 - 1
	value := uint64(v) & mask
	for i := 0; uint(i)*8 < used; i++ {
		// Where the field's lowest bit lies against the lowest one of this byte.
		if up := int(uint(i)*8+8) - int(used); up >= 0 {
			b[i] = b[i]&^byte(mask<<up) | byte(value<<up)
		} else {
			b[i] = b[i]&^byte(mask>>-up) | byte(value>>-up)
		}
	}
}

// End returns the length in bytes that a string must have for the field at a bit offset.
func (f Field) End(offset int64) int64 { return (offset+int64(f.Bits)-1)/8 + 1 }

// Fit makes v, the number of a SET, one that the field holds. For an unsigned field a negative v stands for that many less
// than 2^64. ok is false if it does not fit and the mode is Fail. A number that is below the field's greatest one by more
// than 63 bits can hold ends there, as in Redis, whose difference of the two overflows.
func (f Field) Fit(v int64, mode Overflow) (fitted int64, ok bool) {
	if f.Signed && f.Bits < 64 && v < f.max()-math.MaxInt64 {
		return f.overflow(v, f.max(), mode)
	}
	if f.Signed {
		return f.Add(v, 0, mode)
	}
	if v >= 0 && v <= f.max() {
		return v, true
	}
	return f.overflow(v, f.max(), mode)
}

// Add returns the sum of a field's value and an increment, made to fit. ok is false if it does not and the mode is Fail.
func (f Field) Add(value, increment int64, mode Overflow) (sum int64, ok bool) {
	sum = value + increment
	switch least, most := f.min(), f.max(); {
	case value > most || increment > 0 && exceeds(value, increment, most):
		return f.overflow(sum, most, mode)
	case value < least || increment < 0 && falls(value, increment, least):
		return f.overflow(sum, least, mode)
	}
	return sum, true
}

// exceeds tells whether value + increment, an increment above 0, is greater than limit, without overflow.
func exceeds(value, increment, limit int64) bool {
	return value > limit || uint64(increment) > uint64(limit)-uint64(value)
}

// falls is exceeds downwards, for an increment below 0.
func falls(value, increment, limit int64) bool {
	return value < limit || -uint64(increment) > uint64(value)-uint64(limit)
}

// overflow is the end of what does not fit: sum holds the lowest bits, nearest is the limit it went over.
func (f Field) overflow(sum, nearest int64, mode Overflow) (int64, bool) {
	switch mode {
	case Wrap:
		return f.extend(uint64(sum) & (1<<(f.Bits-1)<<1 - 1)), true
	case Saturate:
		return nearest, true
	}
	return 0, false
}

func (f Field) max() int64 {
	if f.Signed {
		return math.MaxInt64 >> (64 - f.Bits)
	}
	return 1<<f.Bits - 1
}

func (f Field) min() int64 {
	if f.Signed {
		return math.MinInt64 >> (64 - f.Bits)
	}
	return 0
}

// extend gives a number of f.Bits bits its sign.
func (f Field) extend(v uint64) int64 {
	if !f.Signed {
		return int64(v)
	}
	up := 64 - f.Bits
	return int64(v<<up) >> up
}
