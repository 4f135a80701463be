package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"geocache/slab"
	"geocache/tree"
)

// This file gives memory back in the background: trees of removed collections,
// tables of flushed databases, pages that have become sparse, and those of
// tables without keys. Every step holds one shard for a bounded number of
// blocks and bytes.

// Bounds of a step. A block's price is its size where it is large, for then it
// is copied or its memory is given back by itself.
const (
	sweepBlocks  = 256
	sweepBytes   = 256 << 10
	moveBuckets  = 64
	moveRecords  = 128
	moveLeaves   = 16
	releaseEvery = 64 // rounds
)

// sweeping is where the next step goes on.
type sweeping struct {
	sync.Mutex
	shard  int
	rounds int // over all shards
}

// Sweep does one step of whatever memory is to be given back, and reports
// whether there was any; the caller decides from that how long to go on. Where
// there is nothing to do it has looked at every shard. Where it had to wait for a
// shard it calls waited, which may be nil, once it holds it.
func (e *Engine) Sweep(waited func()) (worked bool) {
	w := &e.sweep
	w.Lock()
	defer w.Unlock()
	if e.garbage.release() {
		return true
	}
	for range e.shards {
		s := e.shards[w.shard]
		if w.shard++; w.shard == len(e.shards) {
			w.shard = 0
			w.rounds++
		}
		if e.sweepShard(s, w.rounds%releaseEvery == 0, waited) {
			return true
		}
	}
	return false
}

// sweepShard does one step in s.
func (e *Engine) sweepShard(s *shard, release bool, waited func()) (worked bool) {
	s.lock(waited)
	defer s.mu.Unlock()
	defer e.noteMemory(s)
	for _, t := range s.dbs {
		if t == nil {
			continue
		}
		switch {
		case len(t.litter) > 0:
			t.sweep()
			e.used.Add(t.grew())
			return true
		case t.entries == 0:
			if release && t.arena.Blocks() == 0 && t.arena.MappedBytes() > 0 {
				// Hundreds of mappings, even with hardly any memory left.
				e.garbage.addArena(t.arena)
				t.arena = slab.New(t.pages)
				return true
			}
		case t.fragmented():
			t.defragment()
			return true
		case t.moveAnnexed():
			return true
		}
	}
	return false
}

// lock takes the shard's lock, and calls waited, which may be nil, if others had
// it.
func (s *shard) lock(waited func()) {
	if s.mu.TryLock() {
		return
	}
	s.mu.Lock()
	if waited != nil {
		waited()
	}
}

// shardMemory is a shard's memory as the sweep saw it last.
type shardMemory struct{ live, mapped, sparse atomic.Int64 }

// noteMemory brings s.memory, and the sum over all shards, up to date. Needs the
// shard's lock.
func (e *Engine) noteMemory(s *shard) {
	var live, mapped, sparse int64
	for _, t := range s.dbs {
		if t != nil {
			live += t.arena.LiveBytes()
			mapped += t.arena.MappedBytes()
			sparse += t.arena.SparseBytes()
			for _, a := range t.annexes {
				if a != nil {
					live += a.arena.LiveBytes()
					mapped += a.arena.MappedBytes()
					sparse += a.arena.SparseBytes()
				}
			}
		}
	}
	s.memory.live.Store(live)
	e.mapped.Add(mapped - s.memory.mapped.Swap(mapped))
	s.memory.sparse.Store(sparse)
}

// Memory is what shards hold, in bytes.
type Memory struct {
	Live   int64 // blocks of keys and values
	Mapped int64 // what the system gave for them
	Sparse int64 // blocks that are to be moved
}

// MappedBytes is what the system gave for the blocks of all shards, as Memory
// lists it; it is for every command to ask.
func (e *Engine) MappedBytes() int64 { return e.mapped.Load() }

// Memory lists what each shard held when Sweep last came by. It takes no lock.
func (e *Engine) Memory() []Memory {
	list := make([]Memory, len(e.shards))
	for i, s := range e.shards {
		m := &s.memory
		list[i] = Memory{m.live.Load(), m.mapped.Load(), m.sparse.Load()}
	}
	return list
}

// SweepLitter does one step of freeing what large removed collections have
// left, and reports whether there was any. It counts as used until then.
func (e *Engine) SweepLitter() (worked bool) {
	if e.garbage.pieces.Load() == 0 {
		return false
	}
	if e.garbage.release() {
		return true
	}
	start := e.rand.IntN(len(e.shards))
	for i := range e.shards {
		if e.sweepLitter(e.shards[(start+i)%len(e.shards)]) {
			return true
		}
	}
	return false
}

func (e *Engine) sweepLitter(s *shard) (worked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.dbs {
		if t != nil && len(t.litter) > 0 {
			t.sweep()
			e.used.Add(t.grew())
			return true
		}
	}
	return false
}

// Litter is how many large removed collections wait to be freed.
func (e *Engine) Litter() int64 { return e.garbage.waiting.Load() }

// ReleaseDiscard leaves the memory of one table that a flush has dropped to
// Sweep, and reports whether there was one.
func (e *Engine) ReleaseDiscard() (worked bool) {
	t := e.takeDiscard()
	if t == nil {
		return false
	}
	pieces, removed := len(t.litter), 0
	for i := range t.litter {
		removed += t.litter[i].removed
	}
	t.litter = nil
	e.garbage.addArena(t.arena)
	for _, a := range t.annexes {
		if a != nil {
			e.garbage.addArena(a.arena)
		}
	}
	t.annexes = nil
	e.garbage.free(pieces, removed)
	return true
}

// takeDiscard does so under a lock that whoever dropped the table held to its
// end: but for snapshots, nobody uses the table any more.
func (e *Engine) takeDiscard() *table {
	s := e.shards[len(e.shards)-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &e.discards
	d.Lock()
	defer d.Unlock()
	i := slices.IndexFunc(d.tables, func(t *table) bool { return t.walked.Load() == 0 })
	if i < 0 {
		return nil
	}
	t := d.tables[i]
	d.tables = slices.Delete(d.tables, i, i+1)
	return t
}

// sweep frees some blocks of the litter.
func (t *table) sweep() {
	var blocks int
	var bytes int64
	for unit := 1; len(t.litter) > 0 && blocks < sweepBlocks && bytes < sweepBytes; blocks += unit {
		before := t.arena.LiveBytes()
		c := &t.litter[len(t.litter)-1]
		if c.main.FreeSome(unit) && c.aux.FreeSome(unit) && c.hidden.FreeSome(unit) {
			t.garbage.free(1, c.removed)
			*c = litter{}
			t.litter = t.litter[:len(t.litter)-1]
		}
		freed := before - t.arena.LiveBytes()
		bytes += freed
		// Many at once only where blocks are small.
		if unit = 1; freed <= sweepBytes/sweepBlocks {
			unit = 16
		}
	}
}

// wasteShare and wasteFloor: a table is not walked for the sake of less than
// this part, and number of bytes, of what it holds.
const (
	wasteShare = 24
	wasteFloor = 64 << 10
)

// fragmented reports whether there is enough to gain by defragment, or it is
// under way.
func (t *table) fragmented() bool {
	a := t.arena
	if a.SparseBytes() == 0 {
		t.mover, t.moved, t.trees = 0, 0, nil
		return false
	}
	return t.mover != 0 || t.moved != 0 || len(t.trees) > 0 || fragmented(a)
}

// treePlace is a collection that is being moved, and how far that has come.
type treePlace struct {
	key  string
	tree int // of the main, second and hidden trees of its collections
	rank int
}

// defragment moves some of the blocks that lie in sparse pages, which come free
// by that: it walks the table as a scan does.
func (t *table) defragment() {
	if n := len(t.trees); n > 0 {
		p := t.trees[n-1]
		t.trees = t.trees[:n-1]
		key := []byte(p.key)
		if r, ok := t.find(t.hash(key), key); ok && r.has(fColl) {
			t.moveMore(r, p)
		}
		return
	}
	if t.mover == 0 && t.moved == 0 {
		t.moveSegments()
	}
	met, bytes, least := 0, 0, t.arena.MappedBytes()-expireBytes // as a step of expiry
	full := func() bool {
		return met >= moveRecords || bytes >= sweepBytes || len(t.trees) > 0 || t.arena.MappedBytes() < least
	}
	for buckets := 0; buckets < moveBuckets && !full(); buckets++ {
		at := 0
		next := t.visit(t.mover, func(r rec) {
			if at++; at > t.moved && !full() {
				t.moved = at
				met++
				bytes += t.moveRecord(r)
			}
		})
		if at > t.moved {
			return
		}
		t.mover, t.moved = next, 0
		if next == 0 {
			return
		}
	}
}

func (t *table) moveSegments() {
	for i, ref := range t.segments {
		if t.arena.Sparse(ref) {
			t.segments[i] = t.arena.Move(ref)
		}
	}
}

// moveRecord moves a record and the first leaves of its trees, if they lie in
// sparse pages, and returns how many bytes it has looked at.
func (t *table) moveRecord(r rec) int {
	n := len(r.b)
	if t.arena.Sparse(r.ref) {
		link := t.link(t.hash(r.key()), r.ref)
		r = t.rec(t.arena.Move(r.ref))
		putRef(link, r.ref)
	}
	if r.has(fColl) {
		n += t.moveMore(r, treePlace{})
	}
	return n
}

// moveMore is moveTrees for what lies in the table's arena; where there is more
// of it, t.trees says so.
func (t *table) moveMore(r rec, p treePlace) (bytes int) {
	next, more, bytes := t.moveTrees(r, nil, p)
	if more {
		t.trees = append(t.trees, next)
	}
	return bytes
}

// moveTrees moves leaves of a key's collections in an annex, or for nil in the
// table's arena, from p on and returns where to go on, if there is more, and about
// how many bytes it has looked at.
func (t *table) moveTrees(r rec, in *annex, p treePlace) (next treePlace, more bool, bytes int) {
	var x entry
	var trees []*tree.Tree
	b := r.coll()
	x.openColls(t, b)
	for _, c := range x.colls() {
		if c.annex == in {
			trees = append(trees, &c.main, &c.aux, &c.hidden)
			bytes += int(min(c.memBytes(), sweepBytes))
		}
	}
	if len(trees) == 0 {
		return p, false, 0
	}
	for ; p.tree < len(trees); p.tree, p.rank = p.tree+1, 0 {
		tr := trees[p.tree]
		if p.rank = tr.Move(p.rank, moveLeaves); p.rank < tr.Len() {
			more = true
			break
		}
	}
	// Only refs have changed, and they have one length.
	var buf [80]byte
	copy(b, x.appendColls(buf[:0]))
	p.key = string(r.key())
	return p, more, bytes
}
