package tree

import (
	"bytes"
	"encoding/binary"

	"geocache/slab"
)

const (
	innerHead = 2
	// innerMax is the size above which an inner node is split. Not even the longest separators make that fewer than 10
	// children.
	innerMax = 1000
	// sepMax is the longest separator that is stored.
	sepMax = 64
	// farBit marks the end of a separator that is not stored; ends stay far below it.
	farBit = 1 << 15
)

// inner is a view of an inner node.
type inner struct {
	at    slab.Ref
	b     []byte
	n     int // children
	width int // bytes of a count
}

func countWidth(level int) int {
	if level == 1 {
		return 2
	}
	return 8
}

func (t *Tree) view(ref slab.Ref, level int) inner {
	b := t.A.Bytes(ref)
	return inner{at: ref, b: b, n: int(binary.LittleEndian.Uint16(b)), width: countWidth(level)}
}

func (in *inner) ref(i int) slab.Ref {
	return slab.Ref(binary.LittleEndian.Uint32(in.b[innerHead+4*i:]))
}

// writing is to be called before setRef and setCount of a node that is not new.
func (t *Tree) writing(in *inner) { t.A.Writing(in.at) }

func (in *inner) setRef(i int, ref slab.Ref) {
	binary.LittleEndian.PutUint32(in.b[innerHead+4*i:], uint32(ref))
}

func (in *inner) count(i int) int {
	at := innerHead + 4*in.n
	if in.width == 2 {
		return int(binary.LittleEndian.Uint16(in.b[at+2*i:]))
	}
	return int(binary.LittleEndian.Uint64(in.b[at+8*i:]))
}

func (in *inner) setCount(i, count int) {
	at := innerHead + 4*in.n
	if in.width == 2 {
		binary.LittleEndian.PutUint16(in.b[at+2*i:], uint16(count))
	} else {
		binary.LittleEndian.PutUint64(in.b[at+8*i:], uint64(count))
	}
}

// lanes adds up four counts of 16 bits, as two sums of 32 bits.
func lanes(four uint64) uint64 {
	const odd = 0x0000ffff0000ffff
	return four&odd + four>>16&odd
}

// counts is the array of counts.
func (in *inner) counts() []byte {
	at := innerHead + 4*in.n
	return in.b[at : at+in.width*in.n]
}

// sum counts the elements below the first i children.
func (in *inner) sum(i int) int {
	b := in.counts()[:in.width*i]
	s := 0
	if in.width == 8 {
		for ; len(b) >= 8; b = b[8:] {
			s += int(binary.LittleEndian.Uint64(b))
		}
		return s
	}
	var pairs uint64
	for ; len(b) >= 8; b = b[8:] {
		pairs += lanes(binary.LittleEndian.Uint64(b))
	}
	for ; len(b) >= 2; b = b[2:] {
		s += int(binary.LittleEndian.Uint16(b))
	}
	return s + int(uint32(pairs)) + int(pairs>>32)
}

// locate finds the child that holds a rank, and the rank within it. Ranks beyond the end lie beyond the end of the last.
func (in *inner) locate(rank int) (i, rest int) {
	b := in.counts()
	if in.width == 2 {
		for ; len(b) > 8; b = b[8:] {
			pairs := lanes(binary.LittleEndian.Uint64(b))
			four := int(uint32(pairs)) + int(pairs>>32)
			if rank < four {
				break
			}
			rank -= four
			i += 4
		}
	}
	for ; i < in.n-1; i++ {
		c := in.count(i)
		if rank < c {
			break
		}
		rank -= c
	}
	return i, rank
}

// locateOf is locate for the first of n elements, where count are below the node: the last ones are found at once.
func (in *inner) locateOf(count, rank, n int) (i, rest int) {
	if rank+n == count {
		if last := in.count(in.n - 1); n <= last {
			return in.n - 1, last - n
		}
	}
	return in.locate(rank)
}

// end is the offset of the end of separator i among the separators, and far whether it is not stored.
func (in *inner) end(i int) (end int, far bool) {
	v := binary.LittleEndian.Uint16(in.b[innerHead+(4+in.width)*in.n+2*i:])
	return int(v &^ farBit), v&farBit != 0
}

func (in *inner) sep(i int) (sep []byte, far bool) {
	base := innerHead + (6+in.width)*in.n
	from, _ := in.end(i - 1)
	to, far := in.end(i)
	return in.b[base+from : base+to], far
}

// used is the size of a node.
func (t *Tree) used(in *inner) int {
	if t.Shape == Sequence {
		return innerHead + (4+in.width)*in.n
	}
	end, _ := in.end(in.n - 1)
	return innerHead + (6+in.width)*in.n + end
}

// route finds the child below which a key belongs.
func (t *Tree) route(in *inner, level int, key []byte) int {
	ends := in.b[innerHead+(4+in.width)*in.n:][:2*in.n]
	seps := in.b[innerHead+(6+in.width)*in.n:]
	lo, hi := 0, in.n // the child is in lo:hi
	for hi-lo > 1 {
		mid := int(uint(lo+hi) >> 1)
		both := binary.LittleEndian.Uint32(ends[2*mid-2:])
		from, to := both&^farBit&0xffff, both>>16
		var after bool
		if to&farBit != 0 {
			after = t.startsAfter(in, level, mid, key)
		} else {
			after = bytes.Compare(key, seps[from:to]) < 0
		}
		if after {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// startsAfter tells whether key belongs before child i, which is not the first.
func (t *Tree) startsAfter(in *inner, level, i int, key []byte) bool {
	sep, far := in.sep(i)
	if far {
		sep = t.firstKey(level-1, in.ref(i))
	}
	return bytes.Compare(key, sep) < 0
}

func (t *Tree) firstKey(level int, ref slab.Ref) []byte {
	for ; level > 0; level-- {
		in := t.view(ref, level)
		ref = in.ref(0)
	}
	e, _ := t.parse(t.A.Bytes(ref), leafHead)
	return e.Key
}

func (t *Tree) lastKey(level int, ref slab.Ref, count int) []byte {
	for ; level > 0; level-- {
		in := t.view(ref, level)
		ref, count = in.ref(in.n-1), in.count(in.n-1)
	}
	b := t.A.Bytes(ref)
	e, _ := t.parse(b, t.walk(b, leafHead, count-1))
	return e.Key
}

// entry is a child of an inner node that is about to be written.
type entry struct {
	ref   slab.Ref
	far   bool
	count int
	sep   []byte // aliases the old node or a leaf
}

// entries has room for the children of a node that overflows, so that gathering them stays off the heap.
type entries [innerMax/6 + 4]entry

// gather appends the children of a node to es. The first one brings no separator.
func (t *Tree) gather(es []entry, in *inner) []entry {
	for i := range in.n {
		e := entry{ref: in.ref(i), count: in.count(i)}
		if i > 0 && t.Shape == Keyed {
			e.sep, e.far = in.sep(i)
		}
		es = append(es, e)
	}
	return es
}

// separate makes the separator between es[i-1] and es[i], children at a level.
func (t *Tree) separate(es []entry, i, level int) {
	if t.Shape == Sequence {
		return
	}
	before, key := t.lastKey(level, es[i-1].ref, es[i-1].count), t.firstKey(level, es[i].ref)
	n := 0
	for n < len(before) && n < len(key) && n < sepMax && before[n] == key[n] {
		n++
	}
	es[i].sep, es[i].far = nil, n == sepMax
	if n < sepMax {
		es[i].sep = key[:min(n+1, len(key))]
	}
}

// entrySize is what a child takes in a node at a level.
func (t *Tree) entrySize(e *entry, level int) int {
	if t.Shape == Sequence {
		return 4 + countWidth(level)
	}
	return 6 + countWidth(level) + len(e.sep)
}

func (t *Tree) entriesSize(es []entry, level int) int {
	n := innerHead
	for i := range es {
		n += t.entrySize(&es[i], level)
	}
	return n
}

// write makes an inner node of es; the separator of the first is left out.
func (t *Tree) write(level int, es []entry) (ref slab.Ref, count int) {
	es[0].sep, es[0].far = nil, false
	ref, b := t.alloc(t.entriesSize(es, level))
	binary.LittleEndian.PutUint16(b, uint16(len(es)))
	in := inner{at: ref, b: b, n: len(es), width: countWidth(level)}
	ends := innerHead + (4+in.width)*in.n
	seps := ends + 2*in.n
	end := 0
	for i := range es {
		in.setRef(i, es[i].ref)
		in.setCount(i, es[i].count)
		count += es[i].count
		if t.Shape == Sequence {
			continue
		}
		end += copy(b[seps+end:], es[i].sep)
		mark := uint16(end)
		if es[i].far {
			mark |= farBit
		}
		binary.LittleEndian.PutUint16(b[ends+2*i:], mark)
	}
	return ref, count
}
