package engine

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/op"
)

// parseInt reads a value as Redis' string2ll does: only the canonical form of
// a signed 64-bit integer counts.
func parseInt(b []byte) (int64, bool) {
	digits := b
	if len(b) > 0 && b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(b) == 1
	}
	// 19 digits cannot overflow an unsigned 64-bit number.
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if len(digits) < len(b) {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// maxFloatText bounds the text that is read as a number; Redis' limit is that
// of its buffer for long doubles.
const maxFloatText = 5*1024 - 1

// maxFloatExp is the binary exponent beyond which a long double is infinite,
// minFloatExp the one below which it is zero.
const (
	maxFloatExp = 1 << 14
	minFloatExp = -16444
)

// ParseFloat reads a value as the long double of INCRBYFLOAT, in the syntax of
// C: decimal, hexadecimal or an infinity. What overflows, or underflows to
// zero, is refused, and so is NaN.
func ParseFloat(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > maxFloatText {
		return nil, false
	}
	text, base, marks := string(b), 10, "pP_"
	if digits := strings.TrimLeft(text, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		base, marks = 0, "_"
	}
	if strings.ContainsAny(text, marks) { // Go's syntax, not C's
		return nil, false
	}
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case "inf", "infinity":
		return new(big.Float).SetInf(b[0] == '-'), text[0]|0x20 == 'i' || text[1]|0x20 == 'i'
	}
	f, _, err := big.ParseFloat(text, base, op.FloatPrec, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > maxFloatExp {
		return nil, false
	}
	if f.Sign() == 0 {
		mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
		return f, base == 0 || !strings.ContainsAny(mantissa, "123456789")
	}
	return f, f.MantExp(nil) >= minFloatExp
}

// FormatFloat prints f as Redis prints a long double for people: 17 digits
// after the point, trailing zeros dropped.
func FormatFloat(f *big.Float) []byte {
	s := f.Text('f', 17)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		s = "0"
	}
	return []byte(s)
}

// stampDigest folds stamps into one that serves as a counter's CAS token.
type stampDigest struct{ h *xxh3.Hasher }

func newStampDigest() stampDigest { return stampDigest{xxh3.New()} }

func (d stampDigest) add(s clock.Stamp) { d.h.Write(clock.AppendStamp(nil, s)) }

func (d stampDigest) sum() clock.Stamp {
	b := d.h.Sum128().Bytes()
	return clock.Stamp{
		At:     clock.Reading(binary.BigEndian.Uint64(b[:8])),
		Origin: clock.Origin(binary.BigEndian.Uint64(b[8:])),
	}
}
