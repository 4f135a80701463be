package tree

import (
	"bytes"
	"encoding/binary"
	"math"

	"geocache/slab"
)

const (
	leafHead = 2
	// leafLimit bounds the elements of a leaf: each takes a byte or more, and end must fit its field.
	leafLimit = 2100
)

// leafMax is, by Shape, the size above which a leaf is split; a class size, so that full leaves waste nothing. Keyed leaves
// are searched with comparisons and changed in their middle, so they are smaller.
var leafMax = [...]int{Keyed: slab.ClassSize(960), Sequence: slab.ClassSize(2000)}

// uvarint reads a number and returns the offset behind it.
func uvarint(b []byte, off int) (v, next int) {
	if c := b[off]; c < 0x80 {
		return int(c), off + 1
	}
	return longUvarint(b, off)
}

func longUvarint(b []byte, off int) (v, next int) {
	u, n := binary.Uvarint(b[off:])
	return int(u), off + n
}

func uvarintLen(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// skip returns the offset behind the element at off.
func (t *Tree) skip(b []byte, off int) int {
	klen := 0
	if t.Shape == Keyed {
		klen, off = uvarint(b, off)
	}
	head, off := uvarint(b, off)
	off += klen
	if head&1 != 0 {
		var n int
		n, off = uvarint(b, off)
		off += n
	}
	return off + head>>1
}

// walk returns the offset n elements behind off.
func (t *Tree) walk(b []byte, off, n int) int {
	for range n {
		off = t.skip(b, off)
	}
	return off
}

// parse returns the element at off and the offset behind it.
func (t *Tree) parse(b []byte, off int) (e Elem, next int) {
	klen := 0
	if t.Shape == Keyed {
		klen, off = uvarint(b, off)
	}
	head, off := uvarint(b, off)
	if klen > 0 {
		e.Key = b[off : off+klen : off+klen]
		off += klen
	}
	if head&1 != 0 {
		var n int
		n, off = uvarint(b, off)
		e.Ext = b[off : off+n : off+n]
		off += n
	}
	next = off + head>>1
	e.Val = b[off:next:next]
	return e, next
}

// size is what an element takes in a leaf.
func (t *Tree) size(e *Elem) int {
	n := uvarintLen(len(e.Val)<<1) + len(e.Val)
	if t.Shape == Keyed {
		n += uvarintLen(len(e.Key)) + len(e.Key)
	}
	if len(e.Ext) > 0 {
		n += uvarintLen(len(e.Ext)) + len(e.Ext)
	}
	return n
}

// put writes an element at the front of b, which has room for it.
func (t *Tree) put(b []byte, e *Elem) {
	n := 0
	if t.Shape == Keyed {
		n = binary.PutUvarint(b, uint64(len(e.Key)))
	}
	if len(e.Ext) == 0 {
		n += binary.PutUvarint(b[n:], uint64(len(e.Val))<<1)
		n += copy(b[n:], e.Key)
	} else {
		n += binary.PutUvarint(b[n:], uint64(len(e.Val))<<1|1)
		n += copy(b[n:], e.Key)
		n += binary.PutUvarint(b[n:], uint64(len(e.Ext)))
		n += copy(b[n:], e.Ext)
	}
	copy(b[n:], e.Val)
}

// seekLeaf finds the first of count keys at or above key, and the offset of its element.
func seekLeaf(b []byte, count int, key []byte) (at, off int, found bool) {
	off = leafHead
	for at < count {
		klen, k := uvarint(b, off)
		head, k := uvarint(b, k)
		if c := bytes.Compare(b[k:k+klen], key); c >= 0 {
			return at, off, c == 0
		}
		off = k + klen
		if head&1 != 0 {
			var n int
			n, off = uvarint(b, off)
			off += n
		}
		off += head >> 1
		at++
	}
	return at, off, false
}

// leafEnd is the offset behind the last element.
func (t *Tree) leafEnd(b []byte) int {
	if end := int(binary.LittleEndian.Uint16(b)); end != 0 {
		return end
	}
	return t.skip(b, leafHead)
}

func setLeafEnd(b []byte, end int) {
	if end > math.MaxUint16 {
		end = 0
	}
	binary.LittleEndian.PutUint16(b, uint16(end))
}

// alloc takes a block into the tree's account, free gives it back.
func (t *Tree) alloc(n int) (slab.Ref, []byte) {
	ref := t.A.Alloc(n)
	b := t.A.Bytes(ref)
	t.Root.bytes += int64(len(b))
	return ref, b
}

func (t *Tree) free(ref slab.Ref) {
	t.Root.bytes -= int64(len(t.A.Bytes(ref)))
	t.A.Free(ref)
}

// newLeaf makes a leaf of the packed elements a, then e unless it is nil, then the packed elements z.
func (t *Tree) newLeaf(a []byte, e *Elem, z []byte) slab.Ref {
	size := 0
	if e != nil {
		size = t.size(e)
	}
	end := leafHead + len(a) + size + len(z)
	ref, b := t.alloc(end)
	setLeafEnd(b, end)
	at := leafHead + copy(b[leafHead:], a)
	if e != nil {
		t.put(b[at:], e)
	}
	copy(b[at+size:], z)
	return ref
}

// rewriteLeaf puts e, or nothing if it is nil, in place of the packed bytes from:to of a leaf. The leaf keeps its block if
// that has the right class.
func (t *Tree) rewriteLeaf(ref slab.Ref, b []byte, from, to int, e *Elem) slab.Ref {
	size := 0
	if e != nil {
		size = t.size(e)
	}
	old := t.leafEnd(b)
	end := old - (to - from) + size
	if slab.ClassSize(end) != len(b) {
		made := t.newLeaf(b[leafHead:from], e, b[to:old])
		t.free(ref)
		return made
	}
	copy(b[from+size:], b[to:old])
	if e != nil {
		t.put(b[from:], e)
	}
	setLeafEnd(b, end)
	return ref
}
