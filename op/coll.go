package op

import (
	"encoding/binary"
	"math"

	"geocache/clock"
)

// Type numbers the types of keys. The list is append-only.
type Type uint8

// The types of keys.
const (
	TypeString Type = iota
	TypeHash
	TypeList
	TypeSet
	TypeZSet
	TypeStream

	maxType = TypeStream
)

// Part says which tree of a collection a member is in.
type Part uint8

// The parts.
const (
	// Main holds the members themselves.
	Main Part = iota
	// Aux holds what else a stream knows: groups, consumers, pending entries.
	Aux
	// Hidden holds what merging knows of members that are not visible.
	Hidden

	maxPart = Hidden
)

// Elem is a member of a collection. Key names it (empty in a list), Val is its
// content, Ext what the engine notes beside it: a field's deadline, stamps.
type Elem struct{ Key, Val, Ext []byte }

func (e Elem) append(dst []byte) []byte {
	return appendBytes(appendBytes(appendBytes(dst, e.Key), e.Val), e.Ext)
}

func (d *Reader) elem() Elem {
	return Elem{Key: d.Bytes(math.MaxInt32), Val: d.Bytes(math.MaxInt32), Ext: d.Bytes(math.MaxInt32)}
}

func (d *Reader) collType() Type {
	t := Type(d.Byte())
	if t == TypeString || t > maxType {
		d.Fail()
	}
	return t
}

func (d *Reader) part() Part {
	p := Part(d.Byte())
	if p > maxPart {
		d.Fail()
	}
	return p
}

// Coll is the content of a collection as rows, transfers and Whole ops carry
// it. Members come in the order of their tree.
type Coll struct {
	Type Type
	// AsOf is the reading up to which a list's Insert and Cut ops are in it.
	AsOf clock.Reading
	Form uint8 // how the engine had it, so that OBJECT ENCODING stays
	Meta []byte
	Elem [maxPart + 1][]Elem
}

// Append encodes c.
func (c *Coll) Append(dst []byte) []byte {
	dst = append(dst, byte(c.Type), c.Form)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.AsOf))
	dst = appendBytes(dst, c.Meta)
	for _, es := range c.Elem {
		dst = binary.AppendUvarint(dst, uint64(len(es)))
		for _, e := range es {
			dst = e.append(dst)
		}
	}
	return dst
}

// DecodeColl reads what Append wrote. Its slices alias b.
func DecodeColl(b []byte) (Coll, error) {
	d := Reader{b: b}
	c := d.coll()
	if d.bad || len(d.b) != 0 {
		return Coll{}, ErrMalformed
	}
	return c, nil
}

func (d *Reader) coll() Coll {
	c := Coll{Type: d.collType(), Form: d.Byte(), AsOf: d.reading(), Meta: d.Bytes(math.MaxInt32)}
	for p := range c.Elem {
		n := d.Uvarint(math.MaxInt32)
		for i := uint64(0); i < n && !d.bad; i++ {
			c.Elem[p] = append(c.Elem[p], d.elem())
		}
	}
	return c
}
