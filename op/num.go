package op

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// FloatPrec is the mantissa of a counter's floating point numbers, in bits:
// that of the long double in which Redis computes INCRBYFLOAT.
const FloatPrec = 64

// Num is a counter's number: an integer of 128 bits, wide enough that no sum
// of 64-bit increments overflows, or a float of FloatPrec bits. The zero Num
// is the integer 0.
type Num struct {
	hi int64
	lo uint64
	f  *big.Float // nil for an integer; never modified once set
}

// Int is the Num of v.
func Int(v int64) Num { return Num{hi: v >> 63, lo: uint64(v)} }

// Float is the Num of f, which must be finite; it is rounded to FloatPrec.
func Float(f *big.Float) Num {
	return Num{f: new(big.Float).SetPrec(FloatPrec).Set(f)}
}

// IsFloat reports whether n is a float.
func (n Num) IsFloat() bool { return n.f != nil }

// IsZero reports whether n is the integer 0.
func (n Num) IsZero() bool { return n.f == nil && n.hi == 0 && n.lo == 0 }

// BigFloat is n as a float; the caller must not modify it.
func (n Num) BigFloat() *big.Float {
	if n.f != nil {
		return n.f
	}
	i := new(big.Int).Lsh(big.NewInt(n.hi), 64)
	i.Add(i, new(big.Int).SetUint64(n.lo))
	return new(big.Float).SetPrec(FloatPrec).SetInt(i)
}

// Add is n + m: an integer if both are.
func (n Num) Add(m Num) Num {
	if n.f == nil && m.f == nil {
		lo, carry := bits.Add64(n.lo, m.lo, 0)
		return Num{hi: n.hi + m.hi + int64(carry), lo: lo}
	}
	return Num{f: new(big.Float).SetPrec(FloatPrec).Add(n.BigFloat(), m.BigFloat())}
}

// Sub is n - m.
func (n Num) Sub(m Num) Num {
	if n.f == nil && m.f == nil {
		lo, borrow := bits.Sub64(n.lo, m.lo, 0)
		return Num{hi: n.hi - m.hi - int64(borrow), lo: lo}
	}
	return Num{f: new(big.Float).SetPrec(FloatPrec).Sub(n.BigFloat(), m.BigFloat())}
}

// Clamp is an integer Num brought into 64 bits; clamped says that it did not
// fit. A float is truncated first.
func (n Num) Clamp() (v int64, clamped bool) {
	if n.f != nil {
		v, acc := n.f.Int64()
		return v, acc != big.Exact && (v == math.MaxInt64 || v == math.MinInt64)
	}
	if n.hi == int64(n.lo)>>63 {
		return int64(n.lo), false
	}
	if n.hi < 0 {
		return math.MinInt64, true
	}
	return math.MaxInt64, true
}

// Equal reports whether n and m are the same number of the same sort.
func (n Num) Equal(m Num) bool {
	if (n.f == nil) != (m.f == nil) {
		return false
	}
	if n.f != nil {
		return n.f.Cmp(m.f) == 0
	}
	return n.hi == m.hi && n.lo == m.lo
}

const (
	numInt64 = iota
	numInt128
	numFloat
	numFloatNegative
	numFloatZero
)

// Append encodes n.
func (n Num) Append(dst []byte) []byte {
	if n.f == nil {
		if v, clamped := n.Clamp(); !clamped {
			return binary.AppendVarint(append(dst, numInt64), v)
		}
		dst = binary.BigEndian.AppendUint64(append(dst, numInt128), uint64(n.hi))
		return binary.BigEndian.AppendUint64(dst, n.lo)
	}
	if n.f.Sign() == 0 {
		return append(dst, numFloatZero)
	}
	tag := byte(numFloat)
	if n.f.Signbit() {
		tag = numFloatNegative
	}
	mant := new(big.Float)
	exp := n.f.MantExp(mant)
	mant.Abs(mant).SetMantExp(mant, FloatPrec)
	m, _ := mant.Uint64()
	dst = binary.BigEndian.AppendUint64(append(dst, tag), m)
	return binary.AppendVarint(dst, int64(exp))
}

// DecodeNum reads a Num from the front of b and returns the rest.
func DecodeNum(b []byte) (Num, []byte, error) {
	d := Reader{b: b}
	var n Num
	switch tag := d.Byte(); tag {
	case numInt64:
		n = Int(d.Varint())
	case numInt128:
		n = Num{hi: int64(d.U64()), lo: d.U64()}
	case numFloat, numFloatNegative:
		m := d.U64()
		exp := d.Varint()
		// Some bits beyond the long double that the number stands for: a
		// subtotal may leave its range while the sum does not. The top bit of
		// a mantissa is always set.
		if m>>63 == 0 || exp > 1<<15 || exp < -(1<<15) {
			d.Fail()
			break
		}
		f := new(big.Float).SetPrec(FloatPrec).SetUint64(m)
		f.SetMantExp(f, int(exp)-FloatPrec)
		if tag == numFloatNegative {
			f.Neg(f)
		}
		n.f = f
	case numFloatZero:
		n.f = new(big.Float).SetPrec(FloatPrec)
	default:
		d.Fail()
	}
	return n, d.b, d.Err()
}
