package tree

import (
	"bytes"
	"encoding/binary"

	"geocache/slab"
)

const (
	leafHead = 2
	// leafLimit bounds the elements of a leaf: each takes a byte or more, and end must fit its field.
	leafLimit = 2100
)

// leafMax is, by Shape, the size above which a leaf is split; a class size, so that full leaves waste nothing. Keyed leaves
// are searched with comparisons and changed in their middle, so they are smaller.
var leafMax = [...]int{Keyed: slab.ClassSize(992), Sequence: slab.ClassSize(2000)}

// evenBit marks, in the field of end, a leaf whose elements are all of one packed size, so that offsets are computed. A
// leaf may be even without being marked.
const evenBit = 1 << 15

func isEven(leaf []byte) bool { return leaf[1]&(evenBit>>8) != 0 }

// uvarint reads a number and returns the offset behind it.
func uvarint(b []byte, off int) (v, next int) {
	if c := b[off]; c < 0x80 {
		return int(c), off + 1
	}
	return longUvarint(b, off)
}

func longUvarint(b []byte, off int) (v, next int) {
	for shift := 0; ; shift += 7 {
		c := b[off]
		off++
		v |= int(c&0x7f) << shift
		if c < 0x80 {
			return v, off
		}
	}
}

func uvarintLen(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

func putUvarint(b []byte, v int) int {
	if v < 0x80 {
		b[0] = byte(v)
		return 1
	}
	return binary.PutUvarint(b, uint64(v))
}

// isPlain tells of the head of a value whether it is all that precedes the content: short, and no ext.
func isPlain(head byte) bool { return head&0x81 == 0 }

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

// walk returns the offset n elements behind off, in a leaf.
func (t *Tree) walk(b []byte, off, n int) int {
	if n > 1 && isEven(b) {
		return off + n*(t.skip(b, leafHead)-leafHead)
	}
	if t.Shape == Sequence {
		for range n {
			if h := b[off]; isPlain(h) {
				off += 1 + int(h>>1)
			} else {
				off = t.skip(b, off)
			}
		}
		return off
	}
	for range n {
		if k, h := b[off], b[off+1]; k < 0x80 && isPlain(h) {
			off += 2 + int(k) + int(h>>1)
		} else {
			off = t.skip(b, off)
		}
	}
	return off
}

// offsets has room for where the elements of one leaf begin.
type offsets [leafLimit]uint16

// locateAll finds where the elements up to a rank begin.
func (t *Tree) locateAll(b []byte, rank int, offs *offsets) {
	off, size := leafHead, 0
	if isEven(b) {
		size = t.skip(b, leafHead) - leafHead
	}
	for i := range rank {
		offs[i] = uint16(off)
		if size > 0 {
			off += size
		} else {
			off = t.walk(b, off, 1)
		}
	}
	offs[rank] = uint16(off)
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

// each calls fn for n elements of a leaf from off on, until it is false.
func (t *Tree) each(b []byte, off, n int, fn func(Elem) bool) bool {
	for range n {
		var e Elem
		if t.Shape == Sequence {
			if h := b[off]; isPlain(h) {
				next := off + 1 + int(h>>1)
				e.Val = b[off+1 : next : next]
				off = next
			} else {
				e, off = t.parse(b, off)
			}
		} else {
			if k, h := b[off], b[off+1]; k < 0x80 && isPlain(h) {
				v := off + 2 + int(k)
				next := v + int(h>>1)
				e.Key, e.Val = b[off+2:v:v], b[v:next:next]
				off = next
			} else {
				e, off = t.parse(b, off)
			}
		}
		if !fn(e) {
			return false
		}
	}
	return true
}

// eachValue calls fn for the values of n elements of a leaf from off on.
func (t *Tree) eachValue(b []byte, off, n int, fn func(val []byte)) {
	for range n {
		if h := b[off]; t.Shape == Sequence && isPlain(h) {
			next := off + 1 + int(h>>1)
			fn(b[off+1 : next : next])
			off = next
		} else {
			var e Elem
			e, off = t.parse(b, off)
			fn(e.Val)
		}
	}
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
		n = putUvarint(b, len(e.Key))
	}
	if len(e.Ext) == 0 {
		n += putUvarint(b[n:], len(e.Val)<<1)
		n += copy(b[n:], e.Key)
	} else {
		n += putUvarint(b[n:], len(e.Val)<<1|1)
		n += copy(b[n:], e.Key)
		n += putUvarint(b[n:], len(e.Ext))
		n += copy(b[n:], e.Ext)
	}
	copy(b[n:], e.Val)
}

// keyAt is the key of the element at off.
func keyAt(b []byte, off int) []byte {
	k, h := int(b[off]), b[off+1]
	off += 2
	if k >= 0x80 {
		k, off = longUvarint(b, off-2)
		h = b[off]
		off++
	}
	for h >= 0x80 {
		h = b[off]
		off++
	}
	return b[off : off+k]
}

// seekLeaf finds the first of count keys at or above key, and the offset of its element.
func (t *Tree) seekLeaf(b []byte, count int, key []byte) (at, off int, found bool) {
	off = leafHead
	if isEven(b) {
		size := t.skip(b, leafHead) - leafHead
		for end := count; at < end; {
			mid := int(uint(at+end) >> 1)
			switch c := bytes.Compare(keyAt(b, leafHead+mid*size), key); {
			case c == 0:
				return mid, leafHead + mid*size, true
			case c < 0:
				at = mid + 1
			default:
				end = mid
			}
		}
		return at, leafHead + at*size, false
	}
	for ; at < count; at++ {
		if c := bytes.Compare(keyAt(b, off), key); c >= 0 {
			return at, off, c == 0
		}
		off = t.walk(b, off, 1)
	}
	return at, off, false
}

// scanLeaf finds the first of count keys that equals key.
func (t *Tree) scanLeaf(b []byte, count int, key []byte) (at, off int, found bool) {
	off = leafHead
	for ; at < count; at++ {
		if k, h := b[off], b[off+1]; k < 0x80 && isPlain(h) {
			next := off + 2 + int(k)
			if int(k) == len(key) && string(b[off+2:next]) == string(key) {
				return at, off, true
			}
			off = next + int(h>>1)
			continue
		}
		if bytes.Equal(keyAt(b, off), key) {
			return at, off, true
		}
		off = t.skip(b, off)
	}
	return at, off, false
}

// leafEnd is the offset behind the last element.
func (t *Tree) leafEnd(b []byte) int {
	if end := int(binary.LittleEndian.Uint16(b)) &^ evenBit; end != 0 {
		return end
	}
	return t.skip(b, leafHead)
}

func setLeafHead(b []byte, end int, even bool) {
	switch {
	case end >= evenBit:
		end = 0
	case even:
		end |= evenBit
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

func (t *Tree) free(ref slab.Ref, blockBytes int) {
	t.Root.bytes -= int64(blockBytes)
	t.A.Free(ref)
}

// newLeaf makes a leaf of the packed elements a, then e, which takes size bytes or is absent if that is 0, then the packed
// elements z.
func (t *Tree) newLeaf(a []byte, e *Elem, size int, z []byte, even bool) slab.Ref {
	return t.roomyLeaf(0, a, e, size, z, even)
}

// roomyLeaf is newLeaf in a block of some bytes at least.
func (t *Tree) roomyLeaf(room int, a []byte, e *Elem, size int, z []byte, even bool) slab.Ref {
	end := leafHead + len(a) + size + len(z)
	ref, b := t.alloc(max(end, room))
	setLeafHead(b, end, even)
	at := leafHead + copy(b[leafHead:], a)
	if size > 0 {
		t.put(b[at:], e)
	}
	copy(b[at+size:], z)
	return ref
}

// packLeaf is newLeaf for elements that may have become even.
func (t *Tree) packLeaf(a []byte, e *Elem, size int, z []byte) slab.Ref {
	ref := t.newLeaf(a, e, size, z, false)
	b := t.A.Bytes(ref)
	first, end := t.skip(b, leafHead), t.leafEnd(b)
	off := first
	for off < end {
		next := t.skip(b, off)
		if next-off != first-leafHead {
			return ref
		}
		off = next
	}
	setLeafHead(b, end, true)
	return ref
}

// leafRoom is the size of a block for a leaf that ends at end. The first and last of several of a Sequence, where elements
// come and go one at a time, get room for half as much again, so that few of them cost a new block.
func (t *Tree) leafRoom(end int, side where) int {
	if side == within || !t.roomy() {
		return end
	}
	return max(end, min(end+end/2, leafMax[t.Shape]))
}

// roomy reports whether the first and the last leaf may have room.
func (t *Tree) roomy() bool { return t.Shape == Sequence && t.Root.height > 0 }

// tooRoomy reports whether a leaf that ends at end has to leave a block of have bytes that is large enough.
func (t *Tree) tooRoomy(end, have int, side where) bool {
	if side == within || !t.roomy() {
		return !slab.Fits(end, have)
	}
	return have > slab.ClassSize(2*end)
}

// snug is a leaf without spare room, for one that is no longer the first or last.
func (t *Tree) snug(ref slab.Ref) slab.Ref {
	b := t.A.Bytes(ref)
	end := t.leafEnd(b)
	if slab.Fits(end, len(b)) {
		return ref
	}
	made := t.newLeaf(b[leafHead:end], nil, 0, nil, isEven(b))
	t.free(ref, len(b))
	return made
}

// rewriteLeaf puts e, which takes size bytes or is absent if that is 0, in place of the packed bytes from:to of a leaf. The
// leaf keeps its block if that has the right class.
func (t *Tree) rewriteLeaf(ref slab.Ref, b []byte, from, to int, e *Elem, size int, side where) slab.Ref {
	old := t.leafEnd(b)
	even := from == leafHead && to == old
	if !even && isEven(b) {
		even = size == 0 || size == t.skip(b, leafHead)-leafHead
	}
	end := old - (to - from) + size
	if end > len(b) || t.tooRoomy(end, len(b), side) {
		made := t.roomyLeaf(t.leafRoom(end, side), b[leafHead:from], e, size, b[to:old], even)
		t.free(ref, len(b))
		return made
	}
	t.A.Writing(ref)
	copy(b[from+size:], b[to:old])
	if size > 0 {
		t.put(b[from:], e)
	}
	setLeafHead(b, end, even)
	return ref
}
