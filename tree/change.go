package tree

import "geocache/slab"

// part is a child that takes the place of a changed one, or one of several that do.
type part struct {
	ref   slab.Ref
	count int
}

// parts are what a child has become: one, two when it was split, three when an oversized element fell in its middle.
type parts struct {
	n int
	p [3]part
}

func (ps *parts) add(ref slab.Ref, count int) {
	ps.p[ps.n] = part{ref, count}
	ps.n++
}

// where a change falls decides how full nodes are split: at the ends of the tree they stay full, because more of the same
// is likely to follow; elsewhere they are halved. At the ends of a Sequence it decides on the room of leaves, too: see
// leafRoom.
type where uint8

const (
	within where = iota
	atStart
	atEnd
)

// insertion is what an Insert hands down, and what it gets back when a node had to be split.
type insertion struct {
	elem  *Elem
	size  int // of the packed element
	side  where
	parts parts // of the node that was split last; none: it was not
}

// Insert puts e before the element that has the rank; at Len it appends. The slices of e are copied and may not alias the
// tree.
func (t *Tree) Insert(rank int, e Elem) {
	t.mustHave(rank, 0)
	x := insertion{elem: &e, size: t.size(&e)}
	if t.Root.ref == 0 {
		t.Root = Root{ref: t.newLeaf(nil, &e, x.size, nil, true), count: 1}
		return
	}
	switch rank {
	case t.Root.count:
		x.side = atEnd
	case 0:
		x.side = atStart
	}
	t.Root.ref = t.insert(int(t.Root.height), t.Root.ref, t.Root.count, rank, &x)
	t.Root.count++
	if x.parts.n > 0 {
		t.grow(&x.parts)
	}
}

// grow puts a new root above the parts of the old one.
func (t *Tree) grow(ps *parts) {
	if t.Root.height == 0 {
		t.Root.bytes = 0
		for _, p := range ps.p[:ps.n] {
			t.Root.bytes += int64(len(t.A.Bytes(p.ref)))
		}
	}
	var es [3]entry
	level := int(t.Root.height)
	for i, p := range ps.p[:ps.n] {
		es[i] = entry{ref: p.ref, count: p.count}
		if i > 0 {
			t.separate(es[:], i, level)
		}
	}
	t.Root.ref, _ = t.write(level+1, es[:ps.n])
	t.Root.height++
}

// insert returns what ref has become, unless it leaves parts in x.
func (t *Tree) insert(level int, ref slab.Ref, count, rank int, x *insertion) slab.Ref {
	if level == 0 {
		return t.insertLeaf(ref, count, rank, x)
	}
	in := t.view(ref, level)
	i, rest := in.n-1, 0
	if x.side == atEnd {
		rest = in.count(i)
	} else {
		i, rest = in.locate(rank)
		if rest == 0 && i > 0 && t.Shape == Keyed && t.startsAfter(&in, level, i, x.elem.Key) {
			i--
			rest = in.count(i)
		}
	}
	child, c := in.ref(i), in.count(i)
	made := t.insert(level-1, child, c, rest, x)
	if x.parts.n > 0 {
		return t.spread(level, ref, &in, i, x)
	}
	t.writing(&in)
	if made != child {
		in.setRef(i, made)
	}
	in.setCount(i, c+1)
	return ref
}

// spread writes a node anew with the parts of child i in its place, and splits it if it has become too large.
func (t *Tree) spread(level int, ref slab.Ref, in *inner, i int, x *insertion) slab.Ref {
	var room entries
	es := t.gather(room[:0], in)
	ps := &x.parts
	es = append(es, room[:ps.n-1]...)
	copy(es[i+ps.n:], es[i+1:in.n])
	for k, p := range ps.p[:ps.n] {
		es[i+k].ref, es[i+k].count = p.ref, p.count
		if k > 0 {
			t.separate(es, i+k, level-1)
		}
	}
	x.parts = parts{}
	if size := t.entriesSize(es, level); size > innerMax {
		cut := t.cutEntries(es, level, size, x.side)
		ps.add(t.write(level, es[:cut]))
		ps.add(t.write(level, es[cut:]))
		t.free(ref, len(in.b))
		return 0
	}
	made, _ := t.write(level, es)
	t.free(ref, len(in.b))
	return made
}

// cutEntries chooses how many of the children of a node stay in its first half.
func (t *Tree) cutEntries(es []entry, level, size int, side where) int {
	switch side {
	case atStart:
		return 1
	case atEnd:
		return len(es) - 1
	}
	cut := 0
	for left := innerHead; left < size/2; cut++ {
		left += t.entrySize(&es[cut], level)
	}
	return cut
}

func (t *Tree) insertLeaf(ref slab.Ref, count, rank int, x *insertion) slab.Ref {
	b := t.A.Bytes(ref)
	at := t.leafEnd(b)
	if at+x.size > leafMax[t.Shape] {
		t.splitLeaf(ref, b, count, rank, x)
		return 0
	}
	if rank < count {
		at = t.walk(b, leafHead, rank)
	}
	return t.rewriteLeaf(ref, b, at, at, x.elem, x.size, x.side)
}

// splitLeaf makes several leaves of one that has no room for another element.
func (t *Tree) splitLeaf(ref slab.Ref, b []byte, count, rank int, x *insertion) {
	out := &x.parts
	switch x.side {
	case atStart:
		out.add(t.newLeaf(nil, x.elem, x.size, nil, true), 1)
		out.add(t.snug(ref), count)
		return
	case atEnd:
		out.add(t.snug(ref), count)
		out.add(t.newLeaf(nil, x.elem, x.size, nil, true), 1)
		return
	}
	at, end, limit := t.walk(b, leafHead, rank), t.leafEnd(b), leafMax[t.Shape]
	if at+x.size > limit && leafHead+x.size+end-at > limit {
		if rank > 0 {
			out.add(t.packLeaf(b[leafHead:at], nil, 0, nil), rank)
		}
		out.add(t.newLeaf(nil, x.elem, x.size, nil, true), 1)
		if rank < count {
			out.add(t.packLeaf(nil, nil, 0, b[at:end]), count-rank)
		}
	} else if n, cut := t.cutLeaf(b, count, end, rank, x.size); n <= rank {
		out.add(t.packLeaf(b[leafHead:cut], nil, 0, nil), n)
		out.add(t.packLeaf(b[cut:at], x.elem, x.size, b[at:end]), count+1-n)
	} else {
		out.add(t.packLeaf(b[leafHead:at], x.elem, x.size, b[at:cut]), n)
		out.add(t.packLeaf(nil, nil, 0, b[cut:end]), count+1-n)
	}
	t.free(ref, len(b))
}

// cutLeaf chooses how many elements, the new one of the given rank and size counted among them, go into the first of two
// leaves, so that the larger one is as small as can be. off is the offset in b where the old elements of the second begin.
func (t *Tree) cutLeaf(b []byte, count, end, rank, size int) (n, off int) {
	total := end - leafHead + size
	best := total
	left, at := 0, leafHead // bytes and offset in b after k elements
	for k := 1; k <= count; k++ {
		if k-1 == rank {
			left += size
		} else {
			next := t.skip(b, at)
			left, at = left+next-at, next
		}
		if larger := max(left, total-left); larger < best {
			best, n, off = larger, k, at
		}
	}
	return n, off
}

// Replace puts e in place of the element of the rank. The slices of e are copied and may not alias the tree.
func (t *Tree) Replace(rank int, e Elem) {
	t.mustHave(rank, 1)
	var in inner
	var at int // of the leaf in in
	ref, rest := t.Root.ref, rank
	for level := int(t.Root.height); level > 0; level-- {
		in = t.view(ref, level)
		at, rest = in.locate(rest)
		ref = in.ref(at)
	}
	b := t.A.Bytes(ref)
	from := t.walk(b, leafHead, rest)
	old, to := t.parse(b, from)
	count := t.Root.count
	if t.Root.height > 0 {
		count = in.count(at)
	}
	before, limit := t.leafEnd(b), leafMax[t.Shape]
	size := t.size(&e)
	end := before - (to - from) + size
	tooLarge := end > limit && count > 1
	tooLight := end < before && end <= limit*3/8 && t.Root.height > 0
	if tooLarge || tooLight || string(old.Key) != string(e.Key) {
		t.Delete(rank)
		t.Insert(rank, e)
		return
	}
	made := t.rewriteLeaf(ref, b, from, to, &e, size, within)
	if t.Root.height == 0 {
		t.Root.ref = made
	} else if made != ref {
		t.writing(&in)
		in.setRef(at, made)
	}
}

// Pop is Delete, and appends the value of the element to dst. Where only a leaf has to change that takes one descent.
func (t *Tree) Pop(rank int, dst []byte) []byte {
	t.mustHave(rank, 1)
	if with, ok := t.popLight(rank, dst); ok {
		return with
	}
	dst = append(dst, t.At(rank).Val...)
	t.Delete(rank)
	return dst
}

// Delete removes the element of the rank.
func (t *Tree) Delete(rank int) { t.DeleteRange(rank, 1) }

// DeleteRange removes n elements from the rank on, in O(log n) and the number of blocks that become free.
func (t *Tree) DeleteRange(rank, n int) {
	t.mustHave(rank, n)
	if n == 0 {
		return
	}
	left := t.Root.count - n
	if left == 0 {
		t.freeAll(int(t.Root.height), t.Root.ref)
		t.Root = Root{}
		return
	}
	side := within
	switch {
	case rank == 0:
		side = atStart
	case rank+n == t.Root.count:
		side = atEnd
	}
	t.Root.ref = t.remove(int(t.Root.height), t.Root.ref, t.Root.count, rank, n, side)
	t.Root.count = left
	for t.Root.height > 0 {
		in := t.view(t.Root.ref, int(t.Root.height))
		if in.n > 1 {
			break
		}
		child := in.ref(0)
		t.free(t.Root.ref, len(in.b))
		t.Root.ref = child
		if t.Root.height--; t.Root.height == 0 {
			t.Root.ref = t.snug(child)
		}
	}
}

// freeAll frees the blocks of a subtree.
func (t *Tree) freeAll(level int, ref slab.Ref) {
	if level > 0 {
		in := t.view(ref, level)
		for i := range in.n {
			t.freeAll(level-1, in.ref(i))
		}
	}
	t.free(ref, len(t.A.Bytes(ref)))
}

// remove takes n of the count elements below ref, but not all, and returns what ref has become.
func (t *Tree) remove(level int, ref slab.Ref, count, rank, n int, side where) slab.Ref {
	if level == 0 {
		b := t.A.Bytes(ref)
		from := t.walk(b, leafHead, rank)
		to := t.leafEnd(b)
		if rank+n < count {
			to = t.walk(b, from, n)
		}
		return t.rewriteLeaf(ref, b, from, to, nil, 0, side)
	}
	in := t.view(ref, level)
	i, rest := in.locateOf(count, rank, n)
	c := in.count(i)
	if n >= c || rest+n > c {
		return t.removeAcross(level, ref, &in, i, rest, n, side)
	}
	child := t.remove(level-1, in.ref(i), c, rest, n, side)
	t.writing(&in)
	in.setRef(i, child)
	in.setCount(i, c-n)
	if t.joins(&in, level, i) {
		return t.rejoin(level, ref, &in, i)
	}
	return ref
}

// rejoin writes a node anew in which child i joins neighbours.
func (t *Tree) rejoin(level int, ref slab.Ref, in *inner, i int) slab.Ref {
	var room entries
	es := t.settle(t.gather(room[:0], in), level-1, i)
	made, _ := t.write(level, es)
	t.free(ref, len(in.b))
	return made
}

// removeAcross is remove where whole children go: from the element of rank rest of child i on.
func (t *Tree) removeAcross(level int, ref slab.Ref, in *inner, i, rest, n int, side where) slab.Ref {
	var room entries
	es := t.gather(room[:0], in)
	kept := i
	for ; n > 0; i++ {
		e := es[i]
		k := min(n, e.count-rest)
		if k == e.count {
			t.freeAll(level-1, e.ref)
		} else {
			e.ref = t.remove(level-1, e.ref, e.count, rest, k, side)
			e.count -= k
			es[kept] = e
			kept++
		}
		n -= k
		rest = 0
	}
	seam := kept
	es = append(es[:kept], es[i:]...)
	for _, at := range [...]int{seam, seam - 1} {
		if at >= 0 && at < len(es) {
			es = t.settle(es, level-1, at)
		}
	}
	made, _ := t.write(level, es)
	t.free(ref, len(in.b))
	return made
}

// limit is the size above which a node is split.
func (t *Tree) limit(level int) int {
	if level == 0 {
		return leafMax[t.Shape]
	}
	return innerMax
}

// weight is the size of a node.
func (t *Tree) weight(level int, ref slab.Ref) int {
	if level == 0 {
		return t.leafEnd(t.A.Bytes(ref))
	}
	in := t.view(ref, level)
	return t.used(&in)
}

// fits tells whether neighbours of two weights fill no more than 3/4 of one node.
func (t *Tree) fits(level, a, b int) bool { return a+b <= t.limit(level)*3/4 }

// joins tells whether child i of a node is light and fits together with a neighbour.
func (t *Tree) joins(in *inner, level, i int) bool {
	level--
	return t.joinsAt(in, level, i, t.weight(level, in.ref(i)))
}

// joinsAt is joins for child i at its level, once it has a weight.
func (t *Tree) joinsAt(in *inner, level, i, weight int) bool {
	fits := func(k int) bool { return t.fits(level, t.weight(level, in.ref(k)), weight) }
	return weight <= t.limit(level)*3/8 && (i > 0 && fits(i-1) || i+1 < in.n && fits(i+1))
}

// settle joins es[i], a child at a level, with its neighbours as far as they fit together.
func (t *Tree) settle(es []entry, level, i int) []entry {
	fits := func(k int) bool { return t.fits(level, t.weight(level, es[k].ref), t.weight(level, es[k+1].ref)) }
	for {
		switch {
		case i > 0 && fits(i-1):
			i--
		case i+1 < len(es) && fits(i):
		default:
			return es
		}
		es[i].ref = t.join(level, es[i], es[i+1])
		es[i].count += es[i+1].count
		es = append(es[:i+1], es[i+2:]...)
	}
}

// join makes one node of two neighbours.
func (t *Tree) join(level int, a, b entry) slab.Ref {
	if level > 0 {
		return t.joinInner(level, a, b)
	}
	x, y := t.A.Bytes(a.ref), t.A.Bytes(b.ref)
	made := t.packLeaf(x[leafHead:t.leafEnd(x)], nil, 0, y[leafHead:t.leafEnd(y)])
	t.free(a.ref, len(x))
	t.free(b.ref, len(y))
	return made
}

func (t *Tree) joinInner(level int, a, b entry) slab.Ref {
	x, y := t.view(a.ref, level), t.view(b.ref, level)
	var room entries
	es := t.gather(t.gather(room[:0], &x), &y)
	t.separate(es, x.n, level-1)
	var kept [sepMax]byte // for settle may free the leaf it comes from
	es[x.n].sep = kept[:copy(kept[:], es[x.n].sep)]
	made, _ := t.write(level, t.settle(es, level-1, x.n))
	t.free(a.ref, len(x.b))
	t.free(b.ref, len(y.b))
	return made
}
