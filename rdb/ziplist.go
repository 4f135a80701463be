package rdb

import "encoding/binary"

// A ziplist, of Redis before 7.0, is its size in bytes, the offset of the last
// element (32 bits each), the number of elements (16 bits, all ones where there
// are more), the elements, and an end mark. An element is the length of the one
// before it (one byte, or a mark and 32 bits), a first byte that says how to
// read it, and its content.
const (
	ziplistHeader = 10
	longPrevious  = 0xfe
)

// First bytes of elements of a ziplist that are numbers.
const (
	zipInt16 = 0xc0
	zipInt32 = 0xd0
	zipInt64 = 0xe0
	zipInt24 = 0xf0
	zipTiny  = 0xf1 // 0 ... and up to zipTinyMax
	zipInt8  = 0xfe

	zipTinyMax = 0xfd
)

const errZiplist = damage("a ziplist is damaged")

type ziplist struct {
	b           []byte
	pos         int
	tail        int // offset of the last element, or of the end mark where there is none
	previous    int // length of the element before pos
	count, seen int // elements: in the header, so far
}

func openZiplist(b []byte) (*ziplist, error) {
	if len(b) <= ziplistHeader || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != blockEnd {
		return nil, errZiplist
	}
	return &ziplist{b: b[:len(b)-1], pos: ziplistHeader,
		tail: int(binary.LittleEndian.Uint32(b[4:])), count: int(binary.LittleEndian.Uint16(b[8:]))}, nil
}

func (z *ziplist) claimed() int {
	if z.count == manyElements {
		return unknownLen
	}
	return z.count
}

func (z *ziplist) next() (e element, more bool, err error) {
	if z.pos == len(z.b) {
		if z.count != manyElements && z.count != z.seen || z.tail != z.pos-z.previous {
			return e, false, errZiplist
		}
		return e, false, nil
	}
	rest := z.b[z.pos:]
	at, previous := 1, int(rest[0])
	if previous == longPrevious {
		if len(rest) < 5 {
			return e, false, errZiplist
		}
		at, previous = 5, int(binary.LittleEndian.Uint32(rest[1:]))
	}
	if previous != z.previous || at == len(rest) {
		return e, false, errZiplist
	}
	e, n, ok := ziplistElement(rest[at:])
	if !ok {
		return e, false, errZiplist
	}
	z.previous = at + n
	z.pos += at + n
	z.seen++
	return e, true, nil
}

// ziplistElement reads the element at the start of b, n bytes long.
func ziplistElement(b []byte) (e element, n int, ok bool) {
	first := b[0]
	if first < zipInt16 {
		return ziplistText(b)
	}
	size := 0
	switch first {
	case zipInt8:
		size = 1
	case zipInt16:
		size = 2
	case zipInt24:
		size = 3
	case zipInt32:
		size = 4
	case zipInt64:
		size = 8
	default:
		return element{num: int64(first) - zipTiny, number: true}, 1, first >= zipTiny && first <= zipTinyMax
	}
	if len(b) <= size {
		return e, 0, false
	}
	return element{num: signed(b[1 : 1+size]), number: true}, 1 + size, true
}

// ziplistText is ziplistElement of a string.
func ziplistText(b []byte) (e element, n int, ok bool) {
	head, size := 1, int(b[0]&0x3f)
	switch b[0] >> 6 {
	case 1:
		if len(b) < 2 {
			return e, 0, false
		}
		head, size = 2, size<<8|int(b[1])
	case 2:
		if len(b) < 5 || size != 0 {
			return e, 0, false
		}
		head, size = 5, int(binary.BigEndian.Uint32(b[1:]))
	}
	if size > len(b)-head {
		return e, 0, false
	}
	return element{text: b[head : head+size]}, head + size, true
}
