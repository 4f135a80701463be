package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"geocache/slab"
	"geocache/tree"
)

// This file gives large collections memory of their own: an arena beside that
// of the table. So such a collection goes to another table, or to the garbage,
// as one piece, however many members it has.

// annex is the memory of one large collection. It belongs to the table in which
// the collection's record is, and to the lock of that table's shard.
type annex struct {
	arena   *slab.Arena
	t       *table
	number  int    // its place in t.annexes, from 1; a record names it by that
	key     string // of the collection
	counted int64  // of its bytes, in t.annexBytes
	place   treePlace
	removed int // in the garbage: 1 with its collection, 0 if that has left it
	// frozen are those who still read the collection as it was. The memory of one
	// that is gone goes to its heir with the last of them.
	frozen []*frozen
	heir   *garbage
}

// A collection gets an annex when its trees have annexFrom bytes, and gives it
// up when they are less than a part of that: what is smaller is soon copied, and
// would leave too much of the pages of an arena unused.
const (
	annexFrom = 1 << 20
	annexPart = 8
)

// newAnnex is an annex of t.
func (t *table) newAnnex(key []byte) *annex {
	a := &annex{arena: slab.New(t.pages), key: string(key)}
	t.enter(a)
	return a
}

// enter makes a an annex of t, leave ends that. Both tables' shards are locked.
func (t *table) enter(a *annex) {
	i := slices.Index(t.annexes, nil)
	if i < 0 {
		i = len(t.annexes)
		t.annexes = append(t.annexes, nil)
	}
	t.annexes[i] = a
	a.t, a.number = t, i+1
	t.countAnnex(a)
}

func (a *annex) leave() {
	a.t.annexes[a.number-1] = nil
	a.t.annexBytes -= a.counted
	a.t, a.number, a.counted, a.place = nil, 0, 0, treePlace{}
}

// adopt makes sure that the annex of a collection whose record is about to be
// written belongs to t. It returns the table that had it before, if another.
func (t *table) adopt(c *content, key []byte) {
	if c == nil || c.annex == nil {
		return
	}
	a := c.annex
	if a.t != t {
		a.detach()
		a.leave()
		t.enter(a)
	}
	if a.key != string(key) {
		a.key, a.place = string(key), treePlace{}
	}
	t.countAnnex(a)
}

// countAnnex follows the size of an annex.
func (t *table) countAnnex(a *annex) {
	now := a.arena.LiveBytes()
	t.annexBytes += now - a.counted
	a.counted = now
}

// fitSize gives the collections of a key an annex, or takes it back, as their
// size wants. The change that led to the size is certain.
func (t *table) fitSize(x *entry) {
	if x.coll == nil {
		return
	}
	t.fitColl(x, x.coll)
	for _, c := range x.others {
		t.fitColl(x, c)
	}
}

func (t *table) fitColl(x *entry, c *content) {
	if c.away {
		return
	}
	switch n := c.memBytes(); {
	case c.annex == nil && n >= t.annexFrom:
		was := *c
		c.annex = t.newAnnex(x.key)
		c.copyFrom(&was, c.annex.arena)
		t.throw(&was, 0)
	case c.annex != nil && n < t.annexFrom/annexPart:
		was := *c
		c.annex = nil
		c.copyFrom(&was, t.arena)
		was.annex.leave()
		t.garbage.add(was.annex, 0)
	}
}

// copyFrom makes the trees of c copies of another's, in an arena.
func (c *content) copyFrom(from *content, a *slab.Arena) {
	c.main, c.aux, c.hidden = from.main.CopyTo(a), from.aux.CopyTo(a), from.hidden.CopyTo(a)
}

// fragmented reports whether there is enough to gain by moving blocks.
func fragmented(a *slab.Arena) bool {
	return a.SparseBytes() > 0 && a.MappedBytes()-a.LiveBytes() > a.LiveBytes()/wasteShare+wasteFloor
}

// moveAnnexed moves some blocks of an annex that has become sparse, and reports
// whether there is one.
func (t *table) moveAnnexed() (worked bool) {
	for _, a := range t.annexes {
		if a == nil || a.place == (treePlace{}) && !fragmented(a.arena) {
			continue
		}
		key := []byte(a.key)
		r, ok := t.find(t.hash(key), key)
		if !ok || !r.has(fColl) {
			panic("engine: an annex without its collection")
		}
		next, more, _ := t.moveTrees(r, a, a.place)
		if a.place = (treePlace{}); more {
			a.place = next
		}
		return true
	}
	return false
}

// garbage is what waits to be given back: large removed collections, which are
// trees in tables' litter or annexes that nobody has any more, and the arenas of
// dropped and of empty tables, as annexes without a collection.
type garbage struct {
	pieces  atomic.Int64 // that wait to be freed
	waiting atomic.Int64 // removed collections among them
	freed   atomic.Int64 // of these, since start or ResetStats
	used    *atomic.Int64
	mapped  *atomic.Int64

	sync.Mutex
	annexes []*annex
}

// add takes an annex, whose memory counts as used until it is released.
func (g *garbage) add(a *annex, removed int) {
	a.counted = a.arena.LiveBytes()
	g.used.Add(a.counted)
	g.waiting.Add(int64(removed))
	a.removed = removed
	g.take(a)
}

// addArena takes an arena that is not in use, nor counted as such.
func (g *garbage) addArena(a *slab.Arena) { g.take(&annex{arena: a}) }

func (g *garbage) take(a *annex) {
	g.mapped.Add(a.arena.MappedBytes())
	g.pieces.Add(1)
	if len(a.frozen) > 0 {
		a.heir = g
		return
	}
	g.list(a)
}

// list has the memory of an annex released, which nobody reads any more.
func (g *garbage) list(a *annex) {
	g.Lock()
	defer g.Unlock()
	g.annexes = append(g.annexes, a)
}

// releaseBytes is about what one step gives back to the system.
const releaseBytes = 1 << 20

// release gives back some memory of an annex, outside of all locks, and reports
// whether there was one.
func (g *garbage) release() (worked bool) {
	a := g.next()
	if a == nil {
		return false
	}
	was := a.arena.MappedBytes()
	done := a.arena.ReleaseSome(releaseBytes)
	g.mapped.Add(a.arena.MappedBytes() - was)
	by := a.counted
	if !done {
		by = min(by, was-a.arena.MappedBytes())
	}
	a.counted -= by
	g.used.Add(-by)
	if done {
		g.free(1, a.removed)
		return true
	}
	g.list(a)
	return true
}

func (g *garbage) next() *annex {
	g.Lock()
	defer g.Unlock()
	n := len(g.annexes)
	if n == 0 {
		return nil
	}
	a := g.annexes[n-1]
	g.annexes[n-1] = nil
	g.annexes = g.annexes[:n-1]
	return a
}

// free counts pieces that no longer wait, of which so many are collections.
func (g *garbage) free(pieces, removed int) {
	g.freed.Add(int64(removed)) // first: who sees none wait finds them all here
	g.waiting.Add(-int64(removed))
	g.pieces.Add(-int64(pieces))
}

// freeTrees gives blocks back one by one.
func freeTrees(c *content) {
	for _, tr := range []*tree.Tree{&c.main, &c.aux, &c.hidden} {
		for !tr.FreeSome(1 << 30) {
		}
	}
}
