package engine

import (
	"math"

	"github.com/zeebo/xxh3"
)

// This file says where Redis would begin nodes of a stream. A node is a
// listpack; for one that is still filled its size is kept as Redis would have
// it.

// streamTail is the newest node.
type streamTail struct {
	// tailEntries is how many entries it was given, or tailFull where the next
	// one begins another node; tailDeleted is how many of them are gone.
	tailEntries, tailDeleted int
	// tailBytes is its size, without the two numbers above.
	tailBytes int
	// master is the id of the first entry it was given, names stands for the
	// names that one has.
	master StreamID
	names  uint64
}

const tailFull = math.MaxInt32

// nodeBytesMost is the largest node, whatever the configuration.
const nodeBytesMost = 1 << 30

// What an empty listpack takes, and the flags of an entry, the number of its
// elements at its end, and a number of less than 128.
const (
	listpackBytes = 7
	smallBytes    = 2
)

// give adds an entry of the names and values in items to the newest node, or to
// another one that it begins, which it reports.
func (s *streamTail) give(id StreamID, items [][]byte, maxEntries, maxBytes int) (begins bool) {
	size := 0
	for _, item := range items {
		size += len(item)
	}
	if maxBytes <= 0 || maxBytes > nodeBytesMost {
		maxBytes = nodeBytesMost
	}
	names := namesDigest(items)
	begins = s.tailEntries == tailFull || s.bytes()+size >= maxBytes || maxEntries > 0 && s.tailEntries >= maxEntries
	if begins {
		*s = streamTail{master: id, names: names, tailBytes: listpackBytes + intBytes(int64(len(items)/2)) + smallBytes}
		for i := 0; i < len(items); i += 2 {
			s.tailBytes += itemBytes(items[i])
		}
	}
	s.tailEntries++
	elements := int64(3 + len(items)/2)
	s.tailBytes += smallBytes + intBytes(int64(id.Ms-s.master.Ms)) + intBytes(int64(id.Seq-s.master.Seq))
	if names != s.names {
		elements += int64(1 + len(items)/2)
		s.tailBytes += intBytes(int64(len(items) / 2))
		for i := 0; i < len(items); i += 2 {
			s.tailBytes += itemBytes(items[i])
		}
	}
	for i := 1; i < len(items); i += 2 {
		s.tailBytes += itemBytes(items[i])
	}
	s.tailBytes += intBytes(elements)
	return begins
}

// bytes is the size of the newest node.
func (s *streamTail) bytes() int {
	return s.tailBytes + intBytes(int64(s.tailEntries-s.tailDeleted)) + intBytes(int64(s.tailDeleted))
}

// gone takes note of an entry that was removed while others of its node stay.
func (s *streamTail) gone(id StreamID) {
	if s.tailEntries != tailFull && id.Compare(s.master) >= 0 {
		s.tailDeleted++
	}
}

// namesDigest stands for the names among items: their number and what they are.
func namesDigest(items [][]byte) uint64 {
	sum := uint64(len(items))
	for i := 0; i < len(items); i += 2 {
		sum = xxh3.HashSeed(items[i], sum)
	}
	return sum
}

// itemBytes is what a string takes in a listpack, where integers are numbers.
func itemBytes(item []byte) int {
	if n, ok := parseInt(item); ok {
		return intBytes(n)
	}
	switch n := len(item); {
	case n < 1<<6:
		return withBacklen(1 + n)
	case n < 1<<12:
		return withBacklen(2 + n)
	default:
		return withBacklen(5 + n)
	}
}

func intBytes(n int64) int {
	switch {
	case n >= 0 && n < 1<<7:
		return withBacklen(1)
	case n >= -1<<12 && n < 1<<12:
		return withBacklen(2)
	case n == int64(int16(n)):
		return withBacklen(3)
	case n >= -1<<23 && n < 1<<23:
		return withBacklen(4)
	case n == int64(int32(n)):
		return withBacklen(5)
	}
	return withBacklen(9)
}

// withBacklen adds the length that stands behind an element.
func withBacklen(n int) int {
	switch {
	case n < 1<<7:
		return n + 1
	case n < 1<<14-1:
		return n + 2
	case n < 1<<21-1:
		return n + 3
	case n < 1<<28-1:
		return n + 4
	}
	return n + 5
}
