package engine

import (
	"bytes"
	"slices"

	"geocache/op"
	"geocache/slab"
)

// frozen is a large collection as it was when it was frozen, while it goes on
// changing: what changes is copied before, page by page. It is to be thawed or
// released, by somebody who has no lock.
type frozen struct {
	content
	fork *slab.Fork
	s    *shard
	t    *table // that the collection was in; it keeps its memory until the end
	// of is the collection's memory, nil once that has gone to another table. The
	// lock of s guards it.
	of *annex
}

// thawBytes are copied under one lock.
const thawBytes = 256 << 10

// freeze is about what list lists. The shard is locked. It takes some
// microseconds for a million members.
func (c *content) freeze(s *shard) *frozen {
	a := c.annex
	f := &frozen{content: *c, fork: a.arena.Fork(), s: s, t: a.t, of: a}
	f.annex, f.view, f.meta = nil, Scored{}, bytes.Clone(c.meta)
	f.main.A, f.aux.A, f.hidden.A = f.fork.Arena, f.fork.Arena, f.fork.Arena
	f.t.walked.Add(1)
	a.frozen = append(a.frozen, f)
	return f
}

// thaw lists the members and releases the copy. It takes what has not been copied
// yet out of the way of changes, bit by bit, before it lists without a lock.
func (f *frozen) thaw() op.Coll {
	for done := false; !done; {
		f.s.mu.Lock()
		if done = f.fork.DetachSome(thawBytes); done {
			f.leave()
		}
		f.s.mu.Unlock()
	}
	defer f.release()
	return f.export()
}

// release lets go of the collection.
func (f *frozen) release() {
	f.s.mu.Lock()
	f.fork.End()
	f.leave()
	f.s.mu.Unlock()
	f.fork.Free()
}

// leave parts f from the collection's memory, of which it is independent.
func (f *frozen) leave() {
	a := f.of
	if a == nil {
		return
	}
	f.of = nil
	f.t.walked.Add(-1)
	a.frozen = slices.DeleteFunc(a.frozen, func(g *frozen) bool { return g == f })
	if a.heir != nil && len(a.frozen) == 0 {
		a.heir.list(a)
	}
}

// detach is called before an annex goes to another table, which has another lock.
func (a *annex) detach() {
	for len(a.frozen) > 0 {
		f := a.frozen[0]
		f.fork.Detach()
		f.leave()
	}
}
