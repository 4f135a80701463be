package op

import (
	"encoding/binary"

	"geocache/clock"
)

// Reader reads from the front of bytes that nobody vouches for; after the first
// fault every read returns zero and Bad stays true, so that callers check once.
// What it returns aliases the input.
type Reader struct {
	b   []byte
	bad bool
	// own: the bytes were encoded by this process while it built a batch.
	own bool
}

// NewReader reads b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// NewOwnReader reads what this process has encoded itself: stamps may be
// provisional.
func NewOwnReader(b []byte) Reader { return Reader{b: b, own: true} }

// Fail notes a fault.
func (d *Reader) Fail() { d.bad, d.b = true, nil }

// Bad reports whether there was a fault.
func (d *Reader) Bad() bool { return d.bad }

// Rest is what is not read yet.
func (d *Reader) Rest() []byte { return d.b }

// Byte reads one byte.
func (d *Reader) Byte() byte {
	if len(d.b) == 0 {
		d.Fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// Uvarint reads a number; one above limit is a fault, and so counts read with it
// bound the loops they drive.
func (d *Reader) Uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// Varint reads a signed number.
func (d *Reader) Varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.Fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// U64 reads eight bytes, big-endian.
func (d *Reader) U64() uint64 {
	if len(d.b) < 8 {
		d.Fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// reading refuses provisional readings: none leaves the process that made it.
func (d *Reader) reading() clock.Reading {
	at := clock.Reading(d.U64())
	if IsProvisional(at) && !d.own {
		d.Fail()
		return 0
	}
	return at
}

// Stamp reads a stamp, which must not be provisional.
func (d *Reader) Stamp() clock.Stamp {
	at := d.reading()
	return clock.Stamp{At: at, Origin: clock.Origin(d.U64())}
}

// Bytes reads a slice behind its length, which limit bounds.
func (d *Reader) Bytes(limit uint64) []byte {
	n := d.Uvarint(limit)
	if n > uint64(len(d.b)) {
		d.Fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Vector reads a vector. It never returns nil, so that it can be raised.
func (d *Reader) Vector() clock.Vector {
	v, rest, err := clock.DecodeVector(d.b)
	if err != nil {
		d.Fail()
		return clock.Vector{}
	}
	for _, at := range v {
		if IsProvisional(at) {
			d.Fail()
			return clock.Vector{}
		}
	}
	d.b = rest
	return v
}

// Num reads a number of a counter.
func (d *Reader) Num() Num {
	n, rest, err := DecodeNum(d.b)
	if err != nil {
		d.Fail()
		return Num{}
	}
	d.b = rest
	return n
}

// Err is ErrMalformed after a fault.
func (d *Reader) Err() error {
	if d.bad {
		return ErrMalformed
	}
	return nil
}
