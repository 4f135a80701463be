// Package hll is the HyperLogLog of the PF commands, kept as Redis keeps it: inside a string value, bit for bit, so that
// values move between servers with GET, SET, DUMP and replication.
//
// It owns the layout (the 16-byte header, the dense and the sparse form), the changes to it, and the estimate. It must not
// know keys, commands or replies: callers hand in the bytes of a value and make client-visible texts from its errors.
//
// Layout: "HYLL", one byte of encoding, three unused bytes, the last estimate (8 bytes, little-endian, its top bit set while
// it is out of date), then the 16384 registers. Dense: 6 bits each, lowest bits first. Sparse: a sequence of runs,
//
//	00zzzzzz           z+1 registers that are 0
//	01zzzzzz zzzzzzzz  z+1 registers that are 0
//	1vvvvvnn           n+1 registers that are v+1
//
// Invariants: no function panics or reads out of bounds whatever the bytes are; what a function returns without an error is
// well-formed if its input was. Functions that change a value own the slice they are given and return the one to use from
// then on, which may be another. The package has no state.
package hll

import (
	"encoding/binary"
	"errors"
)

// Sizes of the sketch.
const (
	Registers = 1 << indexBits

	indexBits   = 14
	rankBits    = 64 - indexBits // bits of a hash that the rank is taken from
	maxRank     = rankBits + 1
	registerLen = 6 // bits of a dense register

	headerSize = 16
	denseSize  = headerSize + Registers*registerLen/8
)

const (
	magic          = "HYLL"
	encodingOffset = 4
	cardOffset     = 8
	staleBit       = 1 << 7 // in the last byte of the estimate
)

// Encoding is the form of the registers; its text is what PFDEBUG ENCODING answers.
type Encoding uint8

// The two encodings, numbered as in the header.
const (
	Dense Encoding = iota
	Sparse
)

func (e Encoding) String() string {
	if e == Dense {
		return "dense"
	}
	return "sparse"
}

var (
	// ErrInvalid is returned for a string that is no HyperLogLog. Redis answers with code WRONGTYPE.
	ErrInvalid = errors.New("hll: not a HyperLogLog")
	// ErrCorrupt is returned for a HyperLogLog whose registers are damaged. Redis answers with code INVALIDOBJ.
	ErrCorrupt = errors.New("hll: damaged registers")
	// ErrNotSparse is returned by Decode for a dense value.
	ErrNotSparse = errors.New("hll: not sparse")
)

// New returns an empty sparse sketch, whose estimate of 0 is up to date.
func New() []byte {
	b := make([]byte, headerSize, headerSize+16)
	copy(b, magic)
	b[encodingOffset] = byte(Sparse)
	return appendZeros(b, Registers)
}

// Check returns ErrInvalid unless b begins as a HyperLogLog, with as many bytes as its encoding needs. As in Redis, the runs
// of a sparse value are not read.
func Check(b []byte) error {
	if len(b) < headerSize || string(b[:len(magic)]) != magic || b[encodingOffset] > byte(Sparse) {
		return ErrInvalid
	}
	if EncodingOf(b) == Dense && len(b) != denseSize {
		return ErrInvalid
	}
	return nil
}

// Valid returns ErrInvalid or ErrCorrupt unless b is a HyperLogLog to the last byte.
func Valid(b []byte) error {
	if err := Check(b); err != nil || EncodingOf(b) == Dense {
		return err
	}
	return walk(b, func(int, int, uint8) {})
}

// EncodingOf returns the encoding of a value that Check accepts.
func EncodingOf(b []byte) Encoding { return Encoding(b[encodingOffset]) }

// Invalidate marks the estimate in the header as out of date. PFADD and PFMERGE do so once at the end, also when all they did
// was to create the key.
func Invalidate(b []byte) { b[cardOffset+7] |= staleBit }

// Cached returns the estimate in the header. ok is false while it is out of date.
func Cached(b []byte) (card uint64, ok bool) {
	return binary.LittleEndian.Uint64(b[cardOffset:]), b[cardOffset+7]&staleBit == 0
}

// SetCached writes an estimate made by Count into the header.
func SetCached(b []byte, card uint64) { binary.LittleEndian.PutUint64(b[cardOffset:], card) }

// Add counts elem in. A sparse value becomes dense when it would grow over sparseMaxBytes, or when a rank does not fit it. The
// result is b changed in place, or a new slice; changed says whether any register is greater than before, in which case
// the estimate is marked out of date. After an error b is as it was.
func Add(b, elem []byte, sparseMaxBytes int) (result []byte, changed bool, err error) {
	if err := Check(b); err != nil {
		return b, false, err
	}
	index, rank := locate(elem)
	b, changed, err = raise(b, index, rank, sparseMaxBytes)
	if changed {
		Invalidate(b)
	}
	return b, changed, err
}

// Covers reports that Add of elem would change nothing, where that can be seen at once: in a dense value that Check accepts.
func Covers(b, elem []byte) bool {
	if EncodingOf(b) != Dense {
		return false
	}
	index, rank := locate(elem)
	return Register(b, index) >= rank
}

// raise sets one register to rank if it is lower.
func raise(b []byte, index int, rank uint8, sparseMaxBytes int) ([]byte, bool, error) {
	if EncodingOf(b) == Dense {
		return b, raiseDense(b, index, rank), nil
	}
	return raiseSparse(b, index, rank, sparseMaxBytes)
}

// ToDense returns the value in the dense encoding, with the header it had.
func ToDense(b []byte) ([]byte, error) {
	if err := Check(b); err != nil || EncodingOf(b) == Dense {
		return b, err
	}
	dense := make([]byte, denseSize)
	copy(dense, b[:headerSize])
	dense[encodingOffset] = byte(Dense)
	err := walk(b, func(index, length int, rank uint8) {
		for ; rank > 0 && length > 0; length-- {
			setRegister(dense, index, rank)
			index++
		}
	})
	if err != nil {
		return b, err
	}
	return dense, nil
}

// Register is one of a value's registers, as PFDEBUG GETREG shows it, in a dense value.
func Register(dense []byte, index int) uint8 {
	bit := index * registerLen
	p := headerSize + bit/8
	v := uint(dense[p])
	if p+1 < len(dense) {
		v |= uint(dense[p+1]) << 8
	}
	return uint8(v>>(bit%8)) & (1<<registerLen - 1)
}

func setRegister(dense []byte, index int, rank uint8) {
	bit := index * registerLen
	p, shift := headerSize+bit/8, bit%8
	const mask = 1<<registerLen - 1
	dense[p] = dense[p]&^byte(mask<<shift) | rank<<shift
	if shift > 8-registerLen { // the register goes on in the next byte
		dense[p+1] = dense[p+1]&^byte(mask>>(8-shift)) | rank>>(8-shift)
	}
}

func raiseDense(dense []byte, index int, rank uint8) bool {
	if Register(dense, index) >= rank {
		return false
	}
	setRegister(dense, index, rank)
	return true
}
