package tree

import "geocache/slab"

// Changes of one leaf, by a single descent: most are. Where a node has to be made, split, joined or removed nothing is
// changed, and the caller takes the general way.

// maxLight is the height up to which they work.
const maxLight = 8

// path is how a leaf was reached: at each level the node and the child taken.
type path [maxLight]struct {
	in inner
	i  int
}

// follow goes down to the leaf where key belongs, and returns it with its count.
func (t *Tree) follow(p *path, key []byte) (ref slab.Ref, count int) {
	ref, count = t.Root.ref, t.Root.count
	for level := int(t.Root.height); level > 0; level-- {
		s := &p[level-1]
		s.in = t.view(ref, level)
		s.i = t.route(&s.in, level, key)
		ref, count = s.in.ref(s.i), s.in.count(s.i)
	}
	return ref, count
}

// record notes that the leaf at the end of p has become made, with by more elements.
func (t *Tree) record(p *path, made slab.Ref, by int) {
	t.Root.count += by
	if t.Root.height == 0 {
		t.Root.ref = made
		return
	}
	for level := range int(t.Root.height) {
		s := &p[level]
		t.writing(&s.in)
		if level == 0 {
			s.in.setRef(s.i, made)
		}
		s.in.setCount(s.i, s.in.count(s.i)+by)
	}
}

// takeLight removes the bytes from:to of the leaf at the end of p, an element; false where it has to be joined then.
func (t *Tree) takeLight(p *path, ref slab.Ref, b []byte, from, to int, side where) bool {
	if t.Root.height > 0 {
		if s := &p[0]; t.joinsAt(&s.in, 0, s.i, t.leafEnd(b)-(to-from)) {
			return false
		}
	}
	t.record(p, t.rewriteLeaf(ref, b, from, to, nil, 0, side), -1)
	return true
}

// InsertKey is Insert where the key of e belongs, in a Keyed tree that does not have it.
func (t *Tree) InsertKey(e Elem) {
	if !t.insertLight(&e) {
		rank, _ := t.Seek(e.Key)
		t.Insert(rank, e)
	}
}

func (t *Tree) insertLight(e *Elem) bool {
	if t.Root.ref == 0 || t.Root.height > maxLight {
		return false
	}
	var p path
	ref, count := t.follow(&p, e.Key)
	b, size := t.A.Bytes(ref), t.size(e)
	if t.leafEnd(b)+size > leafMax[t.Shape] {
		return false
	}
	_, at, found := t.seekLeaf(b, count, e.Key)
	if found {
		panic("tree: the key is there already")
	}
	t.record(&p, t.rewriteLeaf(ref, b, at, at, e, size, within), 1)
	return true
}

// DeleteKey is Delete of the element with key, which a Keyed tree must have.
func (t *Tree) DeleteKey(key []byte) {
	if !t.deleteLight(key) {
		rank, found := t.Seek(key)
		if !found {
			panic("tree: there is no such key")
		}
		t.Delete(rank)
	}
}

func (t *Tree) deleteLight(key []byte) bool {
	if t.Root.ref == 0 || t.Root.height > maxLight {
		return false
	}
	var p path
	ref, count := t.follow(&p, key)
	if count == 1 {
		return false
	}
	b := t.A.Bytes(ref)
	_, from, found := t.seekLeaf(b, count, key)
	return found && t.takeLight(&p, ref, b, from, t.skip(b, from), within)
}

// popLight is Pop; ok is false where it has to take the general way.
func (t *Tree) popLight(rank int, dst []byte) (with []byte, ok bool) {
	if t.Root.height > maxLight {
		return dst, false
	}
	side := within
	switch rank {
	case 0:
		side = atStart
	case t.Root.count - 1:
		side = atEnd
	}
	var p path
	ref, count := t.Root.ref, t.Root.count
	for level := int(t.Root.height); level > 0; level-- {
		s := &p[level-1]
		s.in = t.view(ref, level)
		s.i, rank = s.in.locateOf(count, rank, 1)
		ref, count = s.in.ref(s.i), s.in.count(s.i)
	}
	if count == 1 {
		return dst, false
	}
	b := t.A.Bytes(ref)
	from := t.walk(b, leafHead, rank)
	e, to := t.parse(b, from)
	kept := len(dst)
	dst = append(dst, e.Val...)
	if !t.takeLight(&p, ref, b, from, to, side) {
		return dst[:kept], false
	}
	return dst, true
}
