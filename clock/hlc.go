package clock

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync/atomic"
)

// Reading is one reading of a hybrid logical clock (Kulkarni et al., 2014):
// milliseconds since the epoch in the upper 48 bits, a counter in the lower
// 16. A counter that overflows carries into the milliseconds, which only lets
// the clock run ahead of the wall by as much.
type Reading uint64

// ReadingAt is the first reading of a millisecond.
func ReadingAt(ms int64) Reading { return Reading(uint64(ms) << 16) }

// Ms is the wall part of a reading, in milliseconds since the epoch.
func (r Reading) Ms() int64 { return int64(r >> 16) }

// Origin names one incarnation of one region: a 16-bit hash of the region's
// name above a 48-bit incarnation number, which is the millisecond at which
// the incarnation began. Two regions of a deployment never share the upper
// half: joining refuses a name whose hash is taken.
type Origin uint64

// RegionID is the upper half of every Origin of the region called name.
func RegionID(name string) uint16 {
	h := fnv.New32a()
	h.Write([]byte(name))
	s := h.Sum32()
	id := uint16(s>>16) ^ uint16(s)
	if id == 0 || id == 0xffff { // zero is "no origin", 0xffff marks provisional stamps
		id = 1
	}
	return id
}

// NewOrigin builds the origin of region name's incarnation.
func NewOrigin(name string, incarnation uint64) Origin {
	return Origin(uint64(RegionID(name))<<48 | incarnation&(1<<48-1))
}

// Region is the region half of the origin.
func (o Origin) Region() uint16 { return uint16(o >> 48) }

// Incarnation is the incarnation half of the origin.
func (o Origin) Incarnation() uint64 { return uint64(o) & (1<<48 - 1) }

// String prints region and incarnation in hex.
func (o Origin) String() string { return fmt.Sprintf("%04x.%x", o.Region(), o.Incarnation()) }

// Stamp orders every change of a deployment: reading first, origin as the tie
// breaker. It is unique and increases at its origin. The zero Stamp is older
// than any change.
type Stamp struct {
	At     Reading
	Origin Origin
}

// IsZero reports whether s stamps nothing.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Less reports whether s is older than t.
func (s Stamp) Less(t Stamp) bool {
	if s.At != t.At {
		return s.At < t.At
	}
	return s.Origin < t.Origin
}

// TokenLen is the length of every CAS token.
const TokenLen = 33

// AppendToken appends the stamp as a CAS token: a fixed width, so that a
// token can be written into a reply before its stamp is known.
func (s Stamp) AppendToken(dst []byte) []byte {
	dst = appendHex16(dst, uint64(s.At))
	dst = append(dst, '-')
	return appendHex16(dst, uint64(s.Origin))
}

// String is the token form.
func (s Stamp) String() string { return string(s.AppendToken(nil)) }

// ParseToken reads what AppendToken wrote.
func ParseToken(b []byte) (Stamp, bool) {
	if len(b) != TokenLen || b[16] != '-' {
		return Stamp{}, false
	}
	at, err1 := strconv.ParseUint(string(b[:16]), 16, 64)
	or, err2 := strconv.ParseUint(string(b[17:]), 16, 64)
	return Stamp{Reading(at), Origin(or)}, err1 == nil && err2 == nil
}

func appendHex16(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>uint(shift)&15])
	}
	return dst
}

// StampLen is the encoded length of a Stamp.
const StampLen = 16

// AppendStamp appends s in its fixed binary form.
func AppendStamp(dst []byte, s Stamp) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.At))
	return binary.BigEndian.AppendUint64(dst, uint64(s.Origin))
}

// HLC is a region's hybrid logical clock. Take is called under the node's
// commit lock, which makes log order stamp order; Observe and Last may be
// called from anywhere.
type HLC struct {
	wall Wall
	last atomic.Uint64
}

// NewHLC starts a clock that will not hand out a reading at or below floor.
func NewHLC(wall Wall, floor Reading) *HLC {
	h := &HLC{wall: wall}
	h.last.Store(uint64(floor))
	return h
}

// Take reserves n >= 1 consecutive readings and returns the first.
func (h *HLC) Take(n int) Reading {
	for {
		last := h.last.Load()
		first := max(last+1, uint64(ReadingAt(h.wall.NowMs())))
		if h.last.CompareAndSwap(last, first+uint64(n)-1) {
			return Reading(first)
		}
	}
}

// NextUnclocked reserves n >= 1 consecutive readings and returns the first,
// without a look at the wall clock: for stamps that no other region will see.
func (h *HLC) NextUnclocked(n int) Reading {
	return Reading(h.last.Add(uint64(n)) - uint64(n) + 1)
}

// Observe makes every later reading greater than r.
func (h *HLC) Observe(r Reading) {
	for {
		last := h.last.Load()
		if uint64(r) <= last || h.last.CompareAndSwap(last, uint64(r)) {
			return
		}
	}
}

// Last is the greatest reading taken or observed.
func (h *HLC) Last() Reading { return Reading(h.last.Load()) }

// Now is a reading not below the wall clock and not below Last. It reserves
// nothing.
func (h *HLC) Now() Reading {
	return max(h.Last(), ReadingAt(h.wall.NowMs()))
}
