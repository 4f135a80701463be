package rdb

import "encoding/binary"

// A zipmap, of Redis before 2.6, is the number of its pairs (one byte, 254 and
// more where there are more) and the pairs: name and value with a length each
// (one byte, or a mark and 32 bits), and between the value and its length a
// byte that says how much room after it is not used.
const (
	manyPairs   = 254
	longMapText = 254
)

const errZipmap = damage("a zipmap is damaged")

type zipmap struct {
	b           []byte
	pos         int
	count, seen int // pairs: in the header, texts so far
}

func openZipmap(b []byte) (*zipmap, error) {
	if len(b) < 2 || b[len(b)-1] != blockEnd {
		return nil, errZipmap
	}
	return &zipmap{b: b[:len(b)-1], pos: 1, count: int(b[0])}, nil
}

func (z *zipmap) claimed() int {
	if z.count >= manyPairs {
		return unknownLen
	}
	return 2 * z.count
}

func (z *zipmap) next() (e element, more bool, err error) {
	if z.pos == len(z.b) {
		if z.count < manyPairs && 2*z.count != z.seen {
			return e, false, errZipmap
		}
		return e, false, nil
	}
	rest := z.b[z.pos:]
	at, size := 1, int(rest[0])
	switch {
	case size == longMapText && len(rest) >= 5:
		at, size = 5, int(binary.LittleEndian.Uint32(rest[1:]))
	case size >= longMapText:
		return e, false, errZipmap
	}
	unused := 0
	if z.seen%2 == 1 {
		if at == len(rest) {
			return e, false, errZipmap
		}
		unused = int(rest[at])
		at++
	}
	if size+unused > len(rest)-at {
		return e, false, errZipmap
	}
	z.pos += at + size + unused
	z.seen++
	return element{text: rest[at : at+size]}, true, nil
}

// An intset is the width of its integers in bytes and their number (32 bits
// each), and the integers in order.
const intsetHeader = 8

const errIntset = damage("an intset is damaged")

type intset struct {
	rest  []byte
	width int
	last  int64
	begun bool
}

func openIntset(b []byte) (*intset, error) {
	if len(b) < intsetHeader {
		return nil, errIntset
	}
	width, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	b = b[intsetHeader:]
	if width != 2 && width != 4 && width != 8 || uint64(len(b)) != uint64(n)*uint64(width) {
		return nil, errIntset
	}
	return &intset{rest: b, width: int(width)}, nil
}

func (s *intset) claimed() int { return len(s.rest) / s.width }

func (s *intset) next() (e element, more bool, err error) {
	if len(s.rest) == 0 {
		return e, false, nil
	}
	v := signed(s.rest[:s.width])
	if s.begun && v <= s.last {
		return e, false, errIntset
	}
	s.rest, s.last, s.begun = s.rest[s.width:], v, true
	return element{num: v, number: true}, true, nil
}
