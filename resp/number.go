package resp

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// Compat says which Redis release's texts and formats are imitated.
type Compat uint8

const (
	// Compat72 is Redis 7.2, the default.
	Compat72 Compat = iota
	// Compat70 is Redis 7.0.
	Compat70
)

// ParseInt reads a decimal integer as strictly as Redis' string2ll: no spaces, no '+', no leading zeros, no "-0".
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	negative := b[0] == '-'
	if negative {
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
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

// ParseFloat reads a double as Redis' string2d does on top of strtod: decimal or hexadecimal, inf and infinity in any
// case, an optional sign; no spaces, no NaN, nothing that overflows, or that underflows to zero. Scores and increments are
// read so.
func ParseFloat(b []byte) (float64, bool) {
	f, inRange, ok := parseDouble(b)
	if !ok || !inRange {
		return 0, false
	}
	return f, true
}

// ParseBound reads an end of a score range as ZRANGEBYSCORE and its kin do, who take more than ParseFloat does: leading
// spaces, nothing at all for 0, anything after a NUL byte, and numbers too large or too small for a double. A "(" in front
// excludes the score itself.
func ParseBound(b []byte) (score float64, exclusive, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		exclusive, b = true, b[1:]
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0, exclusive, true
	}
	score, _, ok = parseDouble(bytes.TrimLeft(b, " \t\n\v\f\r"))
	return score, exclusive, ok
}

// parseDouble reads the whole of b in the syntax of strtod, NaN excepted. inRange is false for what overflows, which gives an
// infinity, or underflows to zero.
func parseDouble(b []byte) (f float64, inRange, ok bool) {
	s, hex := b, false
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		hex, s = true, s[2:]
	}
	// Underscores are Go's syntax, not C's.
	if len(s) == 0 || bytes.IndexByte(s, '_') >= 0 {
		return 0, false, false
	}
	mantissa, marks := s, "eE"
	if hex {
		marks = "pP"
	}
	if i := bytes.IndexAny(s, marks); i >= 0 {
		mantissa = s[:i]
	}
	text := string(b)
	if hex && len(mantissa) == len(s) {
		text += "p0" // Go insists on the exponent, C does not.
	}
	f, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		return f, false, true
	}
	if err != nil || math.IsNaN(f) {
		return 0, false, false
	}
	underflow := f == 0 && len(bytes.Trim(mantissa, "0.")) > 0
	return f, !underflow, true
}

// FormatDouble formats a double as Redis writes it in replies: %.17g in 7.0, the shortest digits that read back as the
// same number in 7.2; "inf", "-inf", "nan" in both.
func FormatDouble(f float64, compat Compat) string {
	var buf [32]byte
	return string(AppendDouble(buf[:0], f, compat))
}

// AppendDouble appends what FormatDouble returns.
func AppendDouble(dst []byte, f float64, compat Compat) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case compat == Compat70:
		return strconv.AppendFloat(dst, f, 'g', 17, 64)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case math.Abs(f) < math.MaxInt64/2 && f == math.Trunc(f):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	return appendShortest(dst, f)
}

// appendShortest lays the shortest digits out as the fpconv library in Redis 7.2 does: plain for moderate exponents,
// else d.ddde+x with no padding of the exponent.
func appendShortest(dst []byte, f float64) []byte {
	var buf [32]byte
	sci := strconv.AppendFloat(buf[:0], math.Abs(f), 'e', -1, 64) // d.ddde±xx
	mark := bytes.IndexByte(sci, 'e')
	exp, _ := strconv.Atoi(string(sci[mark+1:]))
	var digitBuf [20]byte
	digits := append(digitBuf[:0], sci[0])
	if mark > 1 {
		digits = append(digits, sci[2:mark]...)
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	scale := exp - len(digits) + 1 // the value is digits * 10^scale
	absExp := max(exp, -exp)
	switch {
	case scale >= 0 && absExp < len(digits)+7:
		dst = append(dst, digits...)
		return append(dst, "0000000"[:scale]...)
	case scale < 0 && (scale > -7 || absExp < 4):
		if exp < 0 {
			dst = append(dst, "0."...)
			dst = append(dst, "000000"[:-exp-1]...)
			return append(dst, digits...)
		}
		dst = append(dst, digits[:exp+1]...)
		dst = append(dst, '.')
		return append(dst, digits[exp+1:]...)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	dst = append(dst, 'e')
	if exp >= 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(exp), 10)
}

// AppendFixed appends a double as Redis writes coordinates: up to 17 digits after the point, without zeros at the end, and
// never an exponent.
func AppendFixed(dst []byte, f float64) []byte {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return AppendDouble(dst, f, Compat70)
	}
	start := len(dst)
	dst = bytes.TrimRight(strconv.AppendFloat(dst, f, 'f', 17, 64), "0")
	dst = bytes.TrimSuffix(dst, []byte("."))
	if string(dst[start:]) == "-0" {
		return append(dst[:start], '0')
	}
	return dst
}

// AppendDistance appends a distance with four digits after the point. 7.0 rounds the exact value, 7.2 the product with 10^4.
func AppendDistance(dst []byte, f float64, compat Compat) []byte {
	const scale = 1e4
	if compat == Compat72 && math.Abs(f) < math.MaxInt64/scale {
		f = math.RoundToEven(f*scale) / scale
	}
	return strconv.AppendFloat(dst, f, 'f', 4, 64)
}
