package rdb

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
)

// A DUMP payload is a type byte, a value, the version of the format (16 bits)
// and the CRC-64 of all that, both little-endian.
const dumpFooter = 2 + 8

// ErrDumpFooter is a payload whose version or checksum is wrong.
var ErrDumpFooter = errors.New("rdb: the version or the checksum of a payload is wrong")

// Faults that no reading of a single element shows.
const (
	errEmpty     = damage("a collection has no elements")
	errDuplicate = damage("an element comes twice")
	errTrailing  = damage("something follows the value")
)

// AppendDump appends the DUMP payload of v. An error is that of its elements,
// or a CountError.
func AppendDump(dst []byte, v Value) ([]byte, error) {
	start := len(dst)
	w := Writer{buf: dst}
	w.byte(v.typeByte())
	v.write(&w)
	if w.err != nil {
		return dst, w.err
	}
	b := binary.LittleEndian.AppendUint16(w.buf, uint16(versionOf(v.typeByte())))
	var sum checksum
	sum.add(b[start:])
	return binary.LittleEndian.AppendUint64(b, uint64(sum)), nil
}

// ReadDump is the value of a DUMP payload, checked to its end, as Redis does
// with sanitize-dump-payload yes: what it hands over has no error left, no
// duplicate, at least one element (but for a stream), a right Len, and at once
// all fields of a Stream. It aliases the payload, and can be ranged over once.
//
// The errors are ErrDumpFooter, FormatError, UnsupportedError, ErrTruncated.
// Beyond the payload, 8 bytes are used for each element while checking, and 32
// for each pending entry of one consumer group.
func ReadDump(payload []byte) (Value, error) {
	n := len(payload) - dumpFooter
	if n < 1 || binary.LittleEndian.Uint16(payload[n:]) > newestVersion {
		return nil, ErrDumpFooter
	}
	var sum checksum
	if sum.add(payload[:n+2]); uint64(sum) != binary.LittleEndian.Uint64(payload[n+2:]) {
		return nil, ErrDumpFooter
	}
	payload = payload[:n]
	c := checker{seed: maphash.MakeSeed()}
	v, err := c.pass(payload)
	if err != nil {
		return nil, err
	}
	if c.repeats() {
		if _, err := c.pass(payload); err != nil {
			return nil, err
		}
	}
	checked := v
	if v, _, err = open(payload); err != nil {
		return nil, err
	}
	return complete(v, checked, c.count), nil
}

// open begins to read a payload without its footer.
func open(payload []byte) (Value, func() error, error) {
	d := &decoder{window: payload, pos: 1}
	read := readerOf(payload[0])
	if read == nil {
		return nil, nil, &UnsupportedError{0, payload[0]}
	}
	v, finish, err := read(d, payload[0])
	return v, func() error {
		if err := finish(); err != nil {
			return err
		}
		if d.pos != len(payload) {
			return d.damaged(d.offset(), errTrailing.Error())
		}
		return nil
	}, err
}

// complete gives v what is known of it since it was checked.
func complete(v, checked Value, n int) Value {
	switch v := v.(type) {
	case List:
		v.Len = n
		return v
	case Set:
		v.Len = n
		return v
	case Hash:
		v.Len = n
		return v
	case ZSet:
		v.Len = n
		return v
	case *Stream:
		entries, groups := v.Entries, v.Groups
		*v = *checked.(*Stream)
		v.Entries, v.Groups = entries, groups
	}
	return v
}

// checker reads a payload to its end and looks for duplicates: first by the
// hashes of all names, which are few bytes each, and where two are the same,
// in a second pass by the names that have them.
type checker struct {
	seed    maphash.Seed
	count   int
	hashes  []uint64
	suspect map[uint64]bool
	names   map[string]bool // that are suspect
	repeat  bool            // one of them came twice
}

// pass checks a payload.
func (c *checker) pass(payload []byte) (Value, error) {
	c.count = 0
	v, finish, err := open(payload)
	if err != nil {
		return nil, err
	}
	if err := v.check(c); err != nil {
		return nil, err
	}
	if err := finish(); err != nil {
		return nil, err
	}
	_, isString := v.(String)
	_, isStream := v.(*Stream)
	switch {
	case c.count == 0 && !isString && !isStream:
		err = errEmpty
	case c.repeat:
		err = errDuplicate
	default:
		return v, nil
	}
	return nil, &FormatError{0, err.Error()}
}

// name takes notice of a name, of which each is to come once.
func (c *checker) name(b []byte) {
	c.count++
	h := maphash.Bytes(c.seed, b)
	if c.suspect == nil {
		c.hashes = append(c.hashes, h)
		return
	}
	if c.suspect[h] {
		c.repeat = c.repeat || c.names[string(b)]
		c.names[string(b)] = true
	}
}

// repeats prepares the second pass; false where none is needed.
func (c *checker) repeats() bool {
	slices.Sort(c.hashes)
	for i := 1; i < len(c.hashes); i++ {
		if c.hashes[i] == c.hashes[i-1] {
			if c.suspect == nil {
				c.suspect, c.names = map[uint64]bool{}, map[string]bool{}
			}
			c.suspect[c.hashes[i]] = true
		}
	}
	return c.suspect != nil
}
