package engine

import (
	"bytes"

	"geocache/op"
	"geocache/slab"
	"geocache/tree"
)

// frozen is a copy of a large collection, block by block, in memory of its own.
// It takes a small part of the time that listing the members does, and no lock
// is needed for that any more. It is to be thawed or released.
type frozen struct {
	content
	arena *slab.Arena
}

// freeze copies what list lists. The shard is locked.
func (c *content) freeze(pages slab.Source) *frozen {
	f := &frozen{*c, slab.New(pages)}
	f.annex, f.view, f.meta = nil, Scored{}, bytes.Clone(c.meta)
	f.main, f.hidden = c.main.CopyTo(f.arena), c.hidden.CopyTo(f.arena)
	if f.aux = (tree.Tree{}); c.typ == op.TypeStream {
		f.aux = c.aux.CopyTo(f.arena)
	}
	return f
}

// thaw lists the members and releases the copy.
func (f *frozen) thaw() op.Coll {
	defer f.release()
	return f.export()
}

// release gives the memory back.
func (f *frozen) release() {
	for !f.arena.ReleaseSome(releaseBytes) {
	}
}
