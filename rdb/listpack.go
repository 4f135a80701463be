package rdb

import "encoding/binary"

// A listpack is its size in bytes (32 bits), the number of elements (16 bits,
// all ones where there are more), the elements, and an end mark. An element is
// a first byte that says how to read it, its content, and the length of both
// once more in a form that is read backwards.
const (
	listpackHeader = 6
	blockEnd       = 0xff
	manyElements   = 1<<16 - 1 // of a listpack or ziplist
	// maxBlockBytes is the largest block Redis makes.
	maxBlockBytes = 1 << 30
)

// First bytes of elements of a listpack that are not in the small forms.
const (
	packString32 = 0xf0
	packInt16    = 0xf1
	packInt24    = 0xf2
	packInt32    = 0xf3
	packInt64    = 0xf4
)

const errListpack = damage("a listpack is damaged")

type listpack struct {
	b           []byte
	pos         int
	count, seen int // elements: in the header, so far
}

func openListpack(b []byte) (*listpack, error) {
	if len(b) <= listpackHeader || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != blockEnd {
		return nil, errListpack
	}
	return &listpack{b: b[:len(b)-1], pos: listpackHeader, count: int(binary.LittleEndian.Uint16(b[4:]))}, nil
}

func (l *listpack) claimed() int {
	if l.count == manyElements {
		return unknownLen
	}
	return l.count
}

func (l *listpack) next() (e element, more bool, err error) {
	if l.pos == len(l.b) {
		if l.count != manyElements && l.count != l.seen {
			return e, false, errListpack
		}
		return e, false, nil
	}
	rest := l.b[l.pos:]
	head, size := listpackSizes(rest)
	if size == 0 || size > len(rest) {
		return e, false, errListpack
	}
	var back [5]byte
	n := len(appendBacklen(back[:0], size))
	if size+n > len(rest) || string(back[:n]) != string(rest[size:size+n]) {
		return e, false, errListpack
	}
	l.pos += size + n
	l.seen++
	return listpackElement(rest[:size], head), true, nil
}

// listpackSizes are the lengths of an element's first bytes and of the whole
// element, which may be longer than b; 0 where it cannot be one.
func listpackSizes(b []byte) (head, size int) {
	first := b[0]
	switch {
	case first < 0x80:
		return 1, 1
	case first < 0xc0:
		return 1, 1 + int(first&0x3f)
	case first < 0xe0:
		return 1, 2
	case first < 0xf0:
		if len(b) < 2 {
			return 0, 0
		}
		return 2, 2 + (int(first&0x0f)<<8 | int(b[1]))
	}
	switch first {
	case packString32:
		if len(b) < 5 {
			return 0, 0
		}
		return 5, 5 + int(binary.LittleEndian.Uint32(b[1:]))
	case packInt16:
		return 1, 3
	case packInt24:
		return 1, 4
	case packInt32:
		return 1, 5
	case packInt64:
		return 1, 9
	}
	return 0, 0
}

// listpackElement reads an element from exactly its bytes.
func listpackElement(b []byte, head int) element {
	first := b[0]
	switch {
	case first < 0x80:
		return element{num: int64(first), number: true}
	case first < 0xc0, first >= 0xe0 && first <= packString32:
		return element{text: b[head:]}
	case first < 0xe0:
		const unused = 64 - 13
		return element{num: int64((uint64(first&0x1f)<<8|uint64(b[1]))<<unused) >> unused, number: true}
	}
	return element{num: signed(b[1:]), number: true}
}

// appendBacklen appends the length of an element as it is read backwards:
// seven bits a byte, the highest first, and all but the first marked.
func appendBacklen(dst []byte, n int) []byte {
	shift := 0
	for n>>shift > 0x7f {
		shift += 7
	}
	dst = append(dst, byte(n>>shift))
	for shift > 0 {
		shift -= 7
		dst = append(dst, byte(n>>shift)&0x7f|0x80)
	}
	return dst
}

// appendPackedInt appends an element that is a number.
func appendPackedInt(dst []byte, v int64) []byte {
	start := len(dst)
	switch {
	case v >= 0 && v < 1<<7:
		dst = append(dst, byte(v))
	case v >= -1<<12 && v < 1<<12:
		dst = append(dst, 0xc0|byte(v>>8)&0x1f, byte(v))
	case int64(int16(v)) == v:
		dst = binary.LittleEndian.AppendUint16(append(dst, packInt16), uint16(v))
	case v >= -1<<23 && v < 1<<23:
		dst = append(dst, packInt24, byte(v), byte(v>>8), byte(v>>16))
	case int64(int32(v)) == v:
		dst = binary.LittleEndian.AppendUint32(append(dst, packInt32), uint32(v))
	default:
		dst = binary.LittleEndian.AppendUint64(append(dst, packInt64), uint64(v))
	}
	return appendBacklen(dst, len(dst)-start)
}

// appendPacked appends an element as Redis does: the text of an integer as
// that.
func appendPacked(dst, s []byte) []byte {
	if v, ok := exactInt(s); ok {
		return appendPackedInt(dst, v)
	}
	start := len(dst)
	switch {
	case len(s) < 1<<6:
		dst = append(dst, 0x80|byte(len(s)))
	case len(s) < 1<<12:
		dst = append(dst, 0xe0|byte(len(s)>>8), byte(len(s)))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, packString32), uint32(len(s)))
	}
	dst = append(dst, s...)
	return appendBacklen(dst, len(dst)-start)
}
