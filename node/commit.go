package node

import (
	"sync"
	"sync/atomic"

	"geocache/clock"
	"geocache/op"
	"geocache/persist"
)

// commitLog is the one critical section in which stamp and place in the log
// are taken together, so that log order is stamp order. It is the engine's
// Sink: called with shard locks held.
type commitLog struct {
	hlc *clock.HLC
	// quiet: there is no log. It changes while the world is held. wrote says that
	// there were changes then; the vector takes them up when it is asked for.
	quiet, wrote atomic.Bool

	mu struct {
		sync.Mutex
		origin clock.Origin
		vector clock.Vector
		synced clock.Vector
		own    clock.Reading // Last of the own batch before
		deps   clock.Vector  // other entries raised since then
		log    *persist.Log  // nil while nothing consumes ops
		// pending are entries of the log that are not durable yet, oldest
		// first.
		pending []pendingEntry
		buf     []byte
		bytes   int64 // appended to the log since start
	}
	onGrow func()
	events events
}

type pendingEntry struct {
	pos   uint64
	stamp clock.Stamp
}

func newCommitLog(hlc *clock.HLC) *commitLog {
	c := &commitLog{hlc: hlc, onGrow: func() {}}
	c.mu.vector, c.mu.synced, c.mu.deps = clock.Vector{}, clock.Vector{}, clock.Vector{}
	c.quiet.Store(true)
	return c
}

// attach starts (or, with a nil log, ends) the recording of batches. The
// caller holds the world.
func (c *commitLog) attach(log *persist.Log, origin clock.Origin, vector, synced clock.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.log, c.mu.origin = log, origin
	c.mu.vector, c.mu.synced = vector.Clone(), synced.Clone()
	c.quiet.Store(log == nil)
	c.wrote.Store(false)
	c.hlc.Observe(c.hlc.Now()) // for NextUnclocked
	c.mu.own, c.mu.deps, c.mu.pending = vector[origin], clock.Vector{}, nil
	for o, r := range vector {
		if o != origin {
			c.mu.deps.Raise(o, r)
		}
	}
}

// Commit implements engine.Sink.
func (c *commitLog) Commit(n int, body []byte) clock.Reading {
	if c.quiet.Load() {
		// Nobody orders these stamps: neither clock nor lock is worth its time.
		if !c.wrote.Load() {
			c.wrote.Store(true)
		}
		return c.hlc.NextUnclocked(n)
	}
	c.mu.Lock()
	first := c.hlc.Take(n)
	h := op.Header{Origin: c.mu.origin, First: first, Count: n, Prev: c.mu.own}
	for _, o := range c.mu.deps.Origins() {
		h.Deps = append(h.Deps, clock.Stamp{At: c.mu.deps[o], Origin: o})
	}
	clear(c.mu.deps)
	c.mu.own = h.Last()
	c.mu.buf = op.AppendBatch(c.mu.buf[:0], h, body)
	c.append(c.mu.buf, clock.Stamp{At: h.Last(), Origin: h.Origin})
	if cap(c.mu.buf) > 1<<20 {
		c.mu.buf = nil
	}
	c.mu.Unlock()
	c.onGrow()
	return first
}

// Applied implements engine.Sink.
func (c *commitLog) Applied(b op.Batch) {
	c.mu.Lock()
	c.hlc.Observe(b.Last())
	if b.Origin != c.mu.origin {
		c.mu.deps.Raise(b.Origin, b.Last())
	}
	if c.mu.log != nil {
		c.append(b.Raw, clock.Stamp{At: b.Last(), Origin: b.Origin})
	} else {
		c.mu.vector.Raise(b.Origin, b.Last())
	}
	c.mu.Unlock()
	c.onGrow()
}

func (c *commitLog) append(raw []byte, last clock.Stamp) {
	pos := c.mu.log.Append(raw)
	c.mu.bytes += int64(len(raw))
	c.mu.vector.Raise(last.Origin, last.At)
	c.mu.pending = append(c.mu.pending, pendingEntry{pos, last})
}

// raise lifts the vector at the end of a state transfer. The caller holds the
// world.
func (c *commitLog) raise(v clock.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for o, r := range v {
		c.hlc.Observe(r)
		if r > c.mu.vector[o] {
			c.mu.vector.Raise(o, r)
			if o != c.mu.origin {
				c.mu.deps.Raise(o, r)
			}
		}
	}
}

// Vector implements engine.Sink: a copy of what is applied.
func (c *commitLog) Vector() clock.Vector {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeUp()
	return c.mu.vector.Clone()
}

// takeUp raises the vector to what was committed without a log.
func (c *commitLog) takeUp() {
	if c.quiet.Load() && c.wrote.Load() {
		c.mu.vector.Raise(c.mu.origin, c.hlc.Last())
	}
}

// Synced is what is applied and durable.
func (c *commitLog) Synced() clock.Vector {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.synced.Clone()
}

// raiseSynced adds v to what is durable: the rows of a finished checkpoint.
func (c *commitLog) raiseSynced(v clock.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.synced.Merge(v)
}

// durable takes note that the log is safe up to pos.
func (c *commitLog) durable(pos uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for ; i < len(c.mu.pending) && c.mu.pending[i].pos <= pos; i++ {
		s := c.mu.pending[i].stamp
		c.mu.synced.Raise(s.Origin, s.At)
	}
	c.mu.pending = c.mu.pending[:copy(c.mu.pending, c.mu.pending[i:])]
}

// position is the last log position and the vector of the same moment.
func (c *commitLog) position() (uint64, clock.Vector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.log == nil {
		c.takeUp()
		return 0, c.mu.vector.Clone()
	}
	return c.mu.log.End() - 1, c.mu.vector.Clone()
}

// appended is how many bytes of batches have gone into the log since start.
func (c *commitLog) appended() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.bytes
}

// now is a reading such that every own change stamped at or below it is in the
// vector, and later ones are stamped above.
func (c *commitLog) now() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hlc.Now()
}
