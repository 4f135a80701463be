package replicate

import (
	"errors"
	"fmt"
	"slices"

	"geocache/clock"
	"geocache/op"
)

const (
	itemOverhead = 256    // memory of a waiting batch besides its bytes
	gapDelayUs   = 15_000 // how long reordering may explain a gap
	renackUs     = 60_000
	staleUs      = 5_000_000
	maxAssembly  = 4 // messages in pieces, per peer
)

// receiver is the core's receiving half: batches that cannot be applied yet,
// and the state of the region as a taker.
type receiver struct {
	queues map[clock.Origin]*queue
	// stopped is why the region takes nothing for now, nil if it does; tried
	// again at stoppedUntilUs.
	stopped        error
	stoppedUntilUs int64
	source         *peer // whose transfer is being received, nil if none
	sourceUs       int64 // when it last brought something
	staleUs        int64 // when stale batches were last looked for
}

// queue holds waiting batches of one origin in ascending order.
type queue struct {
	items []*item
	// unbroken is how many of items follow each other and the vector without
	// a gap; haveTo is the reading they reach.
	unbroken int
	haveTo   clock.Reading
	gapUs    int64 // since when there is a gap behind unbroken, 0 if there is none
}

type item struct {
	b    op.Batch
	from *peer
	atUs int64 // when it came
}

func (it *item) bytes() int { return len(it.b.Raw) + itemOverhead }

// insert places it and reports whether it was new.
func (q *queue) insert(it *item) bool {
	i, found := slices.BinarySearchFunc(q.items, it.b.First, func(x *item, first clock.Reading) int {
		switch {
		case x.b.First < first:
			return -1
		case x.b.First > first:
			return 1
		}
		return 0
	})
	if found {
		return false
	}
	q.items = slices.Insert(q.items, i, it)
	it.from.held += it.bytes()
	return true
}

// drop removes the items that match.
func (q *queue) drop(match func(*item) bool) {
	q.items = slices.DeleteFunc(q.items, func(it *item) bool {
		if !match(it) {
			return false
		}
		it.from.held -= it.bytes()
		return true
	})
	q.unbroken, q.haveTo = 0, 0
}

func (q *queue) pop() {
	it := q.items[0]
	it.from.held -= it.bytes()
	q.items[0] = nil
	q.items = q.items[1:]
	q.unbroken = max(0, q.unbroken-1)
}

// reach brings unbroken and haveTo up to date with the vector's entry at.
func (q *queue) reach(at clock.Reading, nowUs int64) {
	if q.unbroken == 0 {
		q.haveTo = at
	}
	for q.unbroken < len(q.items) && q.items[q.unbroken].b.Prev <= q.haveTo {
		q.haveTo = max(q.haveTo, q.items[q.unbroken].b.Last())
		q.unbroken++
	}
	if q.unbroken == len(q.items) {
		q.gapUs = 0
	} else if q.gapUs == 0 {
		q.gapUs = nowUs
	}
}

// onBatches takes a frame's batches. They are checked before the first is used.
func (c *Core) onBatches(p *peer, payload []byte) error {
	r := newReader(payload)
	var batches []op.Batch
	for len(r.Rest()) > 0 {
		raw := r.Bytes(uint64(c.cfg.MaxMessageBytes))
		b, err := op.ParseBatch(raw)
		if err == nil {
			err = b.Check()
		}
		if r.Bad() || err != nil {
			return fmt.Errorf("replicate: malformed batch from %q", p.name)
		}
		if b.Origin == c.self.Origin && b.Last() > c.vec[b.Origin] {
			return fmt.Errorf("replicate: %q sends changes in the name of this region's incarnation that it never made", p.name)
		}
		batches = append(batches, b)
	}
	p.ackDue = true
	for _, b := range batches {
		if err := c.take(p, b); err != nil {
			return err
		}
	}
	c.drain()
	return nil
}

// take applies a batch if it is its turn, and lets it wait otherwise.
func (c *Core) take(p *peer, b op.Batch) error {
	at := c.vec[b.Origin]
	if b.Last() <= at {
		p.traffic.Duplicates++
		return nil
	}
	if b.Prev < at {
		return fmt.Errorf("replicate: batch of %v overlaps what is applied: an incarnation was used twice", b.Origin)
	}
	if c.ready(b) && c.apply(p, b) {
		return nil
	}
	if p.held > 0 && p.held+len(b.Raw)+itemOverhead > c.cfg.BufferBytes {
		p.traffic.Dropped++ // not acknowledged, so it is sent again
		return nil
	}
	q := c.queues[b.Origin]
	if q == nil {
		q = &queue{}
		c.queues[b.Origin] = q
	}
	b, err := op.ParseBatch(slices.Clone(b.Raw))
	if err != nil {
		return err
	}
	if !q.insert(&item{b, p, c.nowUs}) {
		p.traffic.Duplicates++
		return nil
	}
	// What was inserted may sit inside the unbroken run only if it overlaps
	// it; counting anew is then cheap and right.
	if b.Last() <= q.haveTo {
		q.unbroken = 0
	}
	q.reach(at, c.nowUs)
	return nil
}

// ready reports whether b is the next of its origin, all it depends on is
// applied, it is not from the future and the region takes batches.
func (c *Core) ready(b op.Batch) bool {
	if c.source != nil {
		return false // see Copy
	}
	if c.cfg.Fault != FaultIgnoreOrder && b.Prev != c.vec[b.Origin] || c.stopped != nil || c.tooEarly(b.Last()) {
		return false
	}
	if c.cfg.Fault == FaultIgnoreDeps {
		return true
	}
	for _, s := range b.Deps {
		if !c.vec.Covers(s) {
			return false
		}
	}
	return true
}

func (c *Core) tooEarly(r clock.Reading) bool {
	return r.Ms() > c.host.WallMs()+c.cfg.MaxClockSkew.Milliseconds()
}

// apply reports whether the host took b.
func (c *Core) apply(p *peer, b op.Batch) bool {
	if err := c.host.Apply(b); err != nil {
		c.stop(p, err)
		return false
	}
	c.vec.Raise(b.Origin, b.Last())
	p.traffic.Applied++
	p.ackDue = true
	return true
}

func (c *Core) stop(p *peer, err error) {
	p.note(err.Error(), c.nowUs)
	c.stopped, c.stoppedUntilUs = err, c.nowUs+retryApplyUs
	for _, other := range c.peers {
		other.ackDue = true
	}
}

// drain applies what has become ready, one batch of each origin at a time so
// that no origin waits for another's flood.
func (c *Core) drain() {
	for _, p := range c.peers {
		p.clockHeld = false
	}
	for again := true; again; {
		again = false
		for _, o := range c.queuedOrigins() {
			if c.drainOne(c.queues[o], o) {
				again = true
			}
		}
	}
}

// drainOne moves one queue on and reports whether it got anywhere.
func (c *Core) drainOne(q *queue, o clock.Origin) bool {
	moved := false
	for len(q.items) > 0 {
		it := q.items[0]
		at := c.vec[o]
		if it.b.Last() <= at {
			q.pop()
			continue
		}
		if it.b.Prev < at {
			it.from.note(fmt.Sprintf("batch of %v overlaps what is applied", o), c.nowUs)
			q.pop()
			continue
		}
		if !moved && c.ready(it.b) && c.apply(it.from, it.b) {
			q.pop()
			moved = true
			continue
		}
		if c.tooEarly(it.b.Last()) {
			it.from.clockHeld = true
		}
		break
	}
	if len(q.items) == 0 {
		delete(c.queues, o)
		return moved
	}
	q.reach(c.vec[o], c.nowUs)
	return moved
}

// queuedOrigins is in ascending order, so that a seed replays.
func (c *Core) queuedOrigins() []clock.Origin {
	os := make([]clock.Origin, 0, len(c.queues))
	for o := range c.queues {
		os = append(os, o)
	}
	slices.Sort(os)
	return os
}

// retryApply lets a stopped region try again, and batches whose time has come
// in.
func (c *Core) retryApply() {
	if c.stopped != nil {
		if c.nowUs < c.stoppedUntilUs {
			return
		}
		c.stopped = nil
		for _, p := range c.peers {
			p.ackDue = true
		}
	}
	if len(c.queues) > 0 {
		c.drain()
	}
}

// dropStale makes room: what waits for so long may wait for batches that were
// lost with an incarnation. It is not acknowledged, so whoever can fill the gap
// sends it again.
func (c *Core) dropStale() {
	if c.stopped != nil || c.nowUs-c.staleUs < staleUs/5 {
		return
	}
	c.staleUs = c.nowUs
	for _, o := range c.queuedOrigins() {
		q := c.queues[o]
		q.drop(func(it *item) bool { return c.nowUs-it.atUs > staleUs && !c.tooEarly(it.b.Last()) })
		if q.reach(c.vec[o], c.nowUs); len(q.items) == 0 {
			delete(c.queues, o)
		}
	}
}

// receivedAhead lists, per origin, what is received without a gap beyond what
// is applied.
func (c *Core) receivedAhead() clock.Vector {
	v := clock.Vector{}
	for o, q := range c.queues {
		if q.haveTo > c.vec[o] {
			v[o] = q.haveTo
		}
	}
	return v
}

// gapsFrom lists gaps that reordering no longer explains, in what p brought.
func (c *Core) gapsFrom(p *peer) []nack {
	var ns []nack
	for _, o := range c.queuedOrigins() {
		q := c.queues[o]
		if q.gapUs == 0 || c.nowUs-q.gapUs < gapDelayUs || q.items[q.unbroken].from != p {
			continue
		}
		if len(ns) == maxNacks {
			break
		}
		ns = append(ns, nack{o, q.haveTo, q.items[q.unbroken].b.Prev})
	}
	return ns
}

func (c *Core) isFull() bool { return errors.Is(c.stopped, ErrFull) }

// assembly is a message of which some parts have come.
type assembly struct {
	kind  kind
	id    uint64
	total uint64
	parts [][]byte // by index, nil while missing; grows with what comes
	got   int
	bytes int
}

// assemble takes one part and returns the message once it is whole. Memory
// grows with the parts that came, not with what they announce.
func (c *Core) assemble(p *peer, payload []byte) ([]byte, kind, error) {
	pt, err := parsePart(payload, c.cfg.MaxMessageBytes)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(p.parts, func(a *assembly) bool {
		return a.id == pt.id && a.total == pt.total && a.kind == pt.kind
	})
	if i < 0 {
		p.parts = append(p.parts, &assembly{kind: pt.kind, id: pt.id, total: pt.total})
		i = len(p.parts) - 1
	}
	a := p.parts[i]
	for uint64(len(a.parts)) <= pt.index {
		a.parts = append(a.parts, nil)
	}
	if a.parts[pt.index] != nil {
		return nil, 0, nil
	}
	a.parts[pt.index] = slices.Clone(pt.bytes)
	a.got++
	a.bytes += len(pt.bytes)
	if uint64(a.bytes) < a.total {
		c.boundAssemblies(p, a)
		return nil, 0, nil
	}
	p.parts = slices.DeleteFunc(p.parts, func(x *assembly) bool { return x == a })
	whole := slices.Concat(a.parts...)
	if messageID(a.kind, whole) != a.id {
		return nil, 0, fmt.Errorf("replicate: a message in parts from %q does not match its checksum", p.name)
	}
	return whole, a.kind, nil
}

// boundAssemblies drops the oldest unfinished messages but keep.
func (c *Core) boundAssemblies(p *peer, keep *assembly) {
	for {
		total := 0
		for _, a := range p.parts {
			total += a.bytes
		}
		if len(p.parts) <= 1 || len(p.parts) <= maxAssembly && total <= c.cfg.MaxMessageBytes {
			return
		}
		i := slices.IndexFunc(p.parts, func(a *assembly) bool { return a != keep })
		p.parts = slices.Delete(p.parts, i, i+1)
	}
}
