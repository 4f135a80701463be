package op

import (
	"encoding/binary"

	"geocache/clock"
)

// decoder reads from the front of b; after the first fault every read returns
// zero and bad stays set, so that callers check once.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.bad, d.b = true, nil }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) u64() uint64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

// reading refuses provisional readings: none leaves the process that made it.
func (d *decoder) reading() clock.Reading {
	at := clock.Reading(d.u64())
	if IsProvisional(at) {
		d.fail()
		return 0
	}
	return at
}

func (d *decoder) stamp() clock.Stamp {
	at := d.reading()
	return clock.Stamp{At: at, Origin: clock.Origin(d.u64())}
}

func (d *decoder) bytes(limit uint64) []byte {
	n := d.uvarint(limit)
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// vector never returns nil, so that it can be raised.
func (d *decoder) vector() clock.Vector {
	v, rest, err := clock.DecodeVector(d.b)
	if err != nil {
		d.fail()
		return clock.Vector{}
	}
	for _, at := range v {
		if IsProvisional(at) {
			d.fail()
			return clock.Vector{}
		}
	}
	d.b = rest
	return v
}

func (d *decoder) num() Num {
	n, rest, err := DecodeNum(d.b)
	if err != nil {
		d.fail()
		return Num{}
	}
	d.b = rest
	return n
}

func (d *decoder) err() error {
	if d.bad {
		return ErrMalformed
	}
	return nil
}
