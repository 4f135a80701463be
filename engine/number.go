package engine

import (
	"encoding/binary"
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
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var canonical [20]byte
	return v, string(strconv.AppendInt(canonical[:0], v, 10)) == string(b)
}

func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// maxFloatText bounds the text that is read as a number; Redis' limit is that
// of its buffer for long doubles.
const maxFloatText = 5 * 1024

// maxFloatExp is the binary exponent beyond which a long double is infinite.
const maxFloatExp = 1 << 14

// parseFloat reads a value as the long double of INCRBYFLOAT. Infinities and
// NaN are refused.
func parseFloat(b []byte) (*big.Float, bool) {
	if len(b) == 0 || len(b) > maxFloatText {
		return nil, false
	}
	f, _, err := big.ParseFloat(string(b), 10, op.FloatPrec, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > maxFloatExp {
		return nil, false
	}
	return f, true
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
