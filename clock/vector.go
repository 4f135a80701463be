package clock

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// Vector says, per origin, the reading up to which everything of that origin
// is applied. A nil Vector has seen nothing and may be read.
type Vector map[Origin]Reading

// Covers reports whether the change stamped s is within v. The zero stamp is
// always covered.
func (v Vector) Covers(s Stamp) bool { return s.IsZero() || s.At <= v[s.Origin] }

// CoversAll reports whether everything in w is within v.
func (v Vector) CoversAll(w Vector) bool {
	for o, r := range w {
		if v[o] < r {
			return false
		}
	}
	return true
}

// Raise lifts the entry of o to r; a lower r changes nothing.
func (v Vector) Raise(o Origin, r Reading) {
	if r > v[o] {
		v[o] = r
	}
}

// Merge lifts v to include w.
func (v Vector) Merge(w Vector) {
	for o, r := range w {
		v.Raise(o, r)
	}
}

// Clone is a copy that shares nothing.
func (v Vector) Clone() Vector {
	c := make(Vector, len(v))
	for o, r := range v {
		c[o] = r
	}
	return c
}

// Equal reports whether both have seen the same.
func (v Vector) Equal(w Vector) bool { return v.CoversAll(w) && w.CoversAll(v) }

// Min is the vector of what both v and w cover.
func Min(v, w Vector) Vector {
	m := Vector{}
	for o, r := range v {
		if r = min(r, w[o]); r > 0 {
			m[o] = r
		}
	}
	return m
}

// Origins lists the origins in ascending order.
func (v Vector) Origins() []Origin {
	os := make([]Origin, 0, len(v))
	for o := range v {
		os = append(os, o)
	}
	slices.Sort(os)
	return os
}

// MaxVectorEntries bounds a decoded vector: 255 regions with some 256
// incarnations each.
const MaxVectorEntries = 1 << 16

// ErrVector says that bytes are not a vector.
var ErrVector = errors.New("clock: malformed vector")

// Append encodes v, entries in ascending origin order.
func (v Vector) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, o := range v.Origins() {
		dst = binary.BigEndian.AppendUint64(dst, uint64(o))
		dst = binary.BigEndian.AppendUint64(dst, uint64(v[o]))
	}
	return dst
}

// DecodeVector reads a vector from the front of b and returns the rest.
func DecodeVector(b []byte) (Vector, []byte, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > MaxVectorEntries || uint64(len(b)-w) < n*16 {
		return nil, nil, ErrVector
	}
	b = b[w:]
	v := make(Vector, n)
	for range n {
		v[Origin(binary.BigEndian.Uint64(b))] = Reading(binary.BigEndian.Uint64(b[8:]))
		b = b[16:]
	}
	return v, b, nil
}

// String lists the entries in origin order.
func (v Vector) String() string {
	var sb strings.Builder
	sb.WriteByte('{')
	for i, o := range v.Origins() {
		if i > 0 {
			sb.WriteByte(' ')
		}
		sb.WriteString(Stamp{v[o], o}.String())
	}
	sb.WriteByte('}')
	return sb.String()
}
