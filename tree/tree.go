// Package tree keeps a long run of small elements in slab memory: a packed, counted B+tree. It is the one structure behind
// lists, hashes, sets, sorted sets and streams. It owns the layout of leaves and inner nodes and the accounting of their
// blocks; what keys, values and annotations mean, and whether keys are in order, is its owner's affair.
//
// A leaf is one block, as small as its elements need:
//
//	[u16 end] then per element  Keyed     [uvarint klen] [uvarint vlen<<1|x] [key] ([uvarint extlen] [ext]) [val]
//	                            Sequence                 [uvarint vlen<<1|x]       ([uvarint extlen] [ext]) [val]
//
// where x says that there is an ext. end is the offset behind the last element; it is 0 in a leaf of a single element that
// is too long for the field. Its highest bit says that all elements have one size, so that any of them is found at once.
// How many elements a leaf has is known above: by the parent, or the Root.
//
// An inner node holds, as arrays one behind the other, for each of its n children
//
//	[u16 n] [u32 ref]... [count]... and when Keyed [u16 end]... [separators]
//
// where a count is a u16 above leaves and a u64 further up. Separator i is a short prefix of the first key of child i that
// is above every key of child i-1; the first child has none. Where no short prefix separates (long keys with a long common
// start) it is absent, its end carries the far bit, and the first key below the child is looked up instead, so that a key of
// megabytes is never copied. In a tree whose keys are in no order separators mean nothing, and only Seek and Find ask them.
//
// Invariants: every child has an element; a leaf above leafMax holds a single element; no inner node is above innerMax; the
// blocks of a tree are reachable from its root alone; Root.bytes is the sum of their class sizes while there is an inner
// node. Neighbours are joined when one is light and both together fill no more than 3/4 of the limit.
//
// Nothing here locks: a tree belongs to whoever holds the lock of its arena.
package tree

import (
	"encoding/binary"

	"geocache/slab"
)

// Elem is one element. Key orders it (empty in a Sequence), Val is its content, Ext an annotation of the owner's (deadline,
// merge stamps), usually empty. Slices handed out alias arena memory and are valid until the next change of the tree or
// its arena.
type Elem struct{ Key, Val, Ext []byte }

// Shape is what elements consist of. It is fixed for the life of a tree and not stored in it.
type Shape uint8

const (
	Keyed    Shape = iota // elements carry keys
	Sequence              // elements have positions only
)

// Root is what the owner of a tree stores. The zero value is an empty tree.
type Root struct {
	ref    slab.Ref
	height uint8 // 0: ref is a leaf
	count  int
	bytes  int64 // class sizes of all blocks; not kept while height is 0
}

// Append encodes the root: 1 byte for an empty tree, 5 for one of up to 63 elements in a single block, at most 24.
func (r Root) Append(dst []byte) []byte {
	if r.ref == 0 {
		return append(dst, 0)
	}
	if r.height == 0 {
		dst = binary.AppendUvarint(dst, uint64(r.count)<<1)
		return binary.LittleEndian.AppendUint32(dst, uint32(r.ref))
	}
	dst = binary.AppendUvarint(dst, uint64(r.count)<<1|1)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.ref))
	dst = append(dst, r.height)
	return binary.AppendUvarint(dst, uint64(r.bytes))
}

// DecodeRoot reads what Append wrote at the front of b.
func DecodeRoot(b []byte) (r Root, rest []byte) {
	head, n := binary.Uvarint(b)
	b = b[n:]
	if head == 0 {
		return Root{}, b
	}
	r = Root{ref: slab.Ref(binary.LittleEndian.Uint32(b)), count: int(head >> 1)}
	b = b[4:]
	if head&1 != 0 {
		r.height = b[0]
		size, n := binary.Uvarint(b[1:])
		r.bytes = int64(size)
		b = b[1+n:]
	}
	return r, b
}

// Len is the number of elements.
func (r Root) Len() int { return r.count }

// Tree is a root with what is needed to use it: a plain value, made on the spot. Methods that change the tree change Root,
// which the owner then stores again.
type Tree struct {
	A     *slab.Arena
	Shape Shape
	Root  Root
}

// Len is the number of elements.
func (t *Tree) Len() int { return t.Root.count }

// MemBytes is the sum of the class sizes of all blocks of the tree.
func (t *Tree) MemBytes() int64 {
	switch {
	case t.Root.ref == 0:
		return 0
	case t.Root.height == 0:
		return int64(len(t.A.Bytes(t.Root.ref)))
	}
	return t.Root.bytes
}

// Seek finds the rank of the first element whose key is at or above key, and whether it is equal. The tree is Keyed, and
// its keys are distinct and in bytes.Compare order.
func (t *Tree) Seek(key []byte) (rank int, found bool) {
	_, rank, found = t.Find(key)
	return rank, found
}

// Find is Seek which also returns the element, where it is found.
func (t *Tree) Find(key []byte) (e Elem, rank int, found bool) {
	ref, count := t.Root.ref, t.Root.count
	if ref == 0 {
		return Elem{}, 0, false
	}
	for level := int(t.Root.height); level > 0; level-- {
		in := t.view(ref, level)
		i := t.route(&in, level, key)
		rank += in.sum(i)
		ref, count = in.ref(i), in.count(i)
	}
	b := t.A.Bytes(ref)
	at, off, found := t.seekLeaf(b, count, key)
	if found {
		e, _ = t.parse(b, off)
	}
	return e, rank + at, found
}

// Scan searches from the front for an element with this very key, for Keyed trees whose elements are in another order.
func (t *Tree) Scan(key []byte) (e Elem, rank int, found bool) {
	if t.Root.ref == 0 {
		return Elem{}, 0, false
	}
	return t.scan(int(t.Root.height), t.Root.ref, t.Root.count, key)
}

func (t *Tree) scan(level int, ref slab.Ref, count int, key []byte) (e Elem, rank int, found bool) {
	if level == 0 {
		b := t.A.Bytes(ref)
		at, off, found := t.scanLeaf(b, count, key)
		if found {
			e, _ = t.parse(b, off)
		}
		return e, at, found
	}
	in := t.view(ref, level)
	for i := range in.n {
		e, at, found := t.scan(level-1, in.ref(i), in.count(i), key)
		rank += at
		if found {
			return e, rank, true
		}
	}
	return Elem{}, rank, false
}

// At is the element of a rank, which must be below Len.
func (t *Tree) At(rank int) Elem {
	t.mustHave(rank, 1)
	ref, count := t.Root.ref, t.Root.count
	for level := int(t.Root.height); level > 0; level-- {
		in := t.view(ref, level)
		var i int
		i, rank = in.locateOf(count, rank, 1)
		ref, count = in.ref(i), in.count(i)
	}
	b := t.A.Bytes(ref)
	e, _ := t.parse(b, t.walk(b, leafHead, rank))
	return e
}

// mustHave refuses ranks outside the tree, which no input can cause but only a mistake of the owner's.
func (t *Tree) mustHave(rank, n int) {
	if rank < 0 || n < 0 || rank > t.Root.count-n {
		panic("tree: rank out of range")
	}
}

// Ascend calls fn for the elements from rank on, until fn is false. fn must not change the tree.
func (t *Tree) Ascend(rank int, fn func(Elem) bool) {
	if rank < 0 {
		rank = 0
	}
	if rank < t.Root.count {
		t.ascend(int(t.Root.height), t.Root.ref, t.Root.count, rank, fn)
	}
}

func (t *Tree) ascend(level int, ref slab.Ref, count, rank int, fn func(Elem) bool) bool {
	if level == 0 {
		b := t.A.Bytes(ref)
		return t.each(b, t.walk(b, leafHead, rank), count-rank, fn)
	}
	in := t.view(ref, level)
	i, rest := in.locate(rank)
	for ; i < in.n; i++ {
		if !t.ascend(level-1, in.ref(i), in.count(i), rest, fn) {
			return false
		}
		rest = 0
	}
	return true
}

// Values calls fn for the values of n elements from rank on, which must be there. fn must not change the tree.
func (t *Tree) Values(rank, n int, fn func(val []byte)) {
	t.mustHave(rank, n)
	if n > 0 {
		t.values(int(t.Root.height), t.Root.ref, t.Root.count, rank, n, fn)
	}
}

// values visits at most n elements of the count below ref and returns how many.
func (t *Tree) values(level int, ref slab.Ref, count, rank, n int, fn func(val []byte)) (seen int) {
	if level == 0 {
		b := t.A.Bytes(ref)
		seen = min(n, count-rank)
		t.eachValue(b, t.walk(b, leafHead, rank), seen, fn)
		return seen
	}
	in := t.view(ref, level)
	i, rest := in.locate(rank)
	for ; i < in.n && seen < n; i++ {
		seen += t.values(level-1, in.ref(i), in.count(i), rest, n-seen, fn)
		rest = 0
	}
	return seen
}

// Descend calls fn for the elements from rank down to 0, until fn is false. fn must not change the tree.
func (t *Tree) Descend(rank int, fn func(Elem) bool) {
	if rank >= t.Root.count {
		rank = t.Root.count - 1
	}
	if rank >= 0 {
		var offs offsets
		t.descend(int(t.Root.height), t.Root.ref, rank, fn, &offs)
	}
}

func (t *Tree) descend(level int, ref slab.Ref, rank int, fn func(Elem) bool, offs *offsets) bool {
	if level == 0 {
		b := t.A.Bytes(ref)
		t.locateAll(b, rank, offs)
		for ; rank >= 0; rank-- {
			if !t.each(b, int(offs[rank]), 1, fn) {
				return false
			}
		}
		return true
	}
	in := t.view(ref, level)
	i, rest := in.locate(rank)
	for {
		if !t.descend(level-1, in.ref(i), rest, fn, offs) {
			return false
		}
		if i--; i < 0 {
			return true
		}
		rest = in.count(i) - 1
	}
}
