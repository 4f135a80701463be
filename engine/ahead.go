package engine

import (
	"slices"

	"geocache/slab"
)

// This file hides the time that memory takes. A lookup in a large table waits
// for it two or three times, one wait after another: for the bucket, for the
// record at its head, for the next. The lookups of several keys can wait at the
// same time, if the processor is told of all of them first. Valkey 8 prefetches
// the keys of its batches likewise.

const (
	// MostAhead is how many keys are worth looking ahead for at a time: their
	// records stay in the first cache until they are read.
	MostAhead = 16
	// mostLocked is the same for one command's keys and the second cache.
	mostLocked = 1024
	// aheadFrom is how many records a table has from which it is: those of all
	// shards together are several times as large as a second cache.
	aheadFrom = 3 << 10
)

// glance is a key that is looked ahead for.
type glance struct {
	key  *Key
	hash uint64
	s    *shard
}

// LookAhead has the processor load what finding the first MostAhead of keys will
// read, and reports whether there is so much that this is worth its time. It
// changes nothing, and skips what is locked.
func (e *Engine) LookAhead(keys []Key) (worth bool) { return e.lookAhead(keys, false) }

// lookAheadHeld is LookAhead for somebody who has the shards, of more keys.
func (e *Engine) lookAheadHeld(keys []Key) {
	for some := range slices.Chunk(keys[:min(len(keys), mostLocked)], MostAhead) {
		if !e.lookAhead(some, true) {
			return
		}
	}
}

// lookAhead is LookAhead; held says that the caller has the shards.
func (e *Engine) lookAhead(keys []Key, held bool) (worth bool) {
	var room [MostAhead]glance
	at := e.glances(room[:0], keys)
	for step := range glanceSteps {
		for i := range at {
			g := &at[i]
			if !held && !g.s.mu.tryRead() {
				continue
			}
			worth = e.glance(step, g) || worth
			if !held {
				g.s.mu.endRead()
			}
		}
		if !worth {
			return false
		}
	}
	return true
}

// glances appends keys, as far as there is room.
func (e *Engine) glances(at []glance, keys []Key) []glance {
	for i := range keys {
		if len(at) == cap(at) {
			break
		}
		h := e.hash(keys[i].Name)
		if n := len(at); n == 0 || at[n-1].hash != h {
			at = append(at, glance{&keys[i], h, e.shardOf(h)})
		}
	}
	return at
}

// glanceSteps are for the bucket, the record at its head, and the one behind.
const glanceSteps = 3

// glance goes one step further to the record of a key, and reports whether the
// table is large. What the step before has asked for has come by now, as other
// keys' steps lay between. The shard is locked.
func (e *Engine) glance(step int, g *glance) (large bool) {
	t := g.s.dbs[e.dbMap[g.key.DB]]
	if t == nil || t.entries < aheadFrom {
		return false
	}
	slot := t.slot(t.address(g.hash))
	if step == 0 {
		slab.Prefetch(slot)
		return true
	}
	ref := refAt(slot)
	if step == 2 && ref != 0 {
		r := t.rec(ref)
		if r.is(g.key.Name) {
			return true
		}
		ref = r.next()
	}
	if ref != 0 {
		t.arena.Prefetch(ref)
	}
	return true
}
