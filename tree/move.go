package tree

import (
	"encoding/binary"

	"geocache/slab"
)

// FreeSome frees up to blocks blocks, at least one, of a tree that nobody uses any more, and tells whether that was all. In
// between only FreeSome, MemBytes and the storing of Root make sense.
func (t *Tree) FreeSome(blocks int) (done bool) {
	if t.Root.ref == 0 {
		return true
	}
	if t.Root.height == 0 {
		t.A.Free(t.Root.ref)
	} else if budget := max(blocks, 1); !t.freeSome(int(t.Root.height), t.Root.ref, &budget) {
		return false
	}
	t.Root = Root{}
	return true
}

// freeSome frees children from the last on while there is budget, then the node itself. The refs of a node stay where they
// are when its number of children is lowered.
func (t *Tree) freeSome(level int, ref slab.Ref, budget *int) (done bool) {
	if level > 0 {
		in := t.view(ref, level)
		for in.n > 0 {
			if !t.freeSome(level-1, in.ref(in.n-1), budget) {
				return false
			}
			in.n--
			t.writing(&in)
			binary.LittleEndian.PutUint16(in.b, uint16(in.n))
		}
	}
	if *budget == 0 {
		return false
	}
	t.free(ref, len(t.A.Bytes(ref)))
	*budget--
	return true
}

// Move reallocates the blocks that lie where the arena wants to be empty: those of about as many leaves, at least one, from the
// leaf with the rank from on, and of the nodes above them. It returns the rank to go on at, Len at the end.
func (t *Tree) Move(from, leaves int) (next int) {
	if from < 0 {
		from = 0
	}
	if from >= t.Root.count {
		return t.Root.count
	}
	budget := max(leaves, 1)
	t.Root.ref, next = t.move(int(t.Root.height), t.Root.ref, t.Root.count, from, &budget)
	return next
}

func (t *Tree) move(level int, ref slab.Ref, count, from int, budget *int) (moved slab.Ref, next int) {
	if level == 0 {
		*budget--
		return t.moveBlock(ref), count
	}
	ref = t.moveBlock(ref)
	in := t.view(ref, level)
	i, rest := in.locate(from)
	base := from - rest
	for ; i < in.n && *budget > 0; i++ {
		c := in.count(i)
		child, at := t.move(level-1, in.ref(i), c, rest, budget)
		if child != in.ref(i) {
			t.writing(&in)
			in.setRef(i, child)
		}
		if at < c {
			return ref, base + at
		}
		base += c
		rest = 0
	}
	return ref, base
}

// moveBlock copies a block to another place if its present one is sparse.
func (t *Tree) moveBlock(ref slab.Ref) slab.Ref {
	if !t.A.Sparse(ref) {
		return ref
	}
	return t.A.Move(ref)
}

// CopyTo makes the same tree in another arena, block by block: what its elements are does not matter.
func (t *Tree) CopyTo(a *slab.Arena) Tree {
	c := Tree{A: a, Shape: t.Shape}
	if t.Root.ref != 0 {
		c.Root.count, c.Root.height = t.Root.count, t.Root.height
		c.Root.ref = c.copyOf(t, int(t.Root.height), t.Root.ref)
	}
	return c
}

// copyOf copies a node of from with all below it.
func (t *Tree) copyOf(from *Tree, level int, ref slab.Ref) slab.Ref {
	used := from.A.Bytes(ref)[:from.weight(level, ref)]
	made, b := t.alloc(len(used))
	copy(b, used)
	if level > 0 {
		for i := range from.view(ref, level).n {
			child := t.copyOf(from, level-1, from.childOf(ref, level, i))
			in := t.view(made, level)
			in.setRef(i, child)
		}
	}
	return made
}

// childOf is the i-th child of a node.
func (t *Tree) childOf(ref slab.Ref, level, i int) slab.Ref {
	in := t.view(ref, level)
	return in.ref(i)
}
