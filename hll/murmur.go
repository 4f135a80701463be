package hll

import (
	"encoding/binary"
	"math/bits"
)

const hashSeed = 0xadc83b19

// locate returns the register that an element belongs to and its rank there: the place of the lowest bit set in the part of
// its hash that does not choose the register, from 1.
func locate(elem []byte) (index int, rank uint8) {
	h := murmur64A(elem, hashSeed)
	index = int(h & (Registers - 1))
	rest := h>>indexBits | 1<<rankBits // ends the search at maxRank
	return index, uint8(bits.TrailingZeros64(rest) + 1)
}

// murmur64A is MurmurHash2's 64-bit variant A for little-endian words.
func murmur64A(b []byte, seed uint64) uint64 {
	const (
		m = 0xc6a4a7935bd1e995
		r = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> r
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = (h ^ binary.LittleEndian.Uint64(tail[:])) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}
