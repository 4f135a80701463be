package replicate

import (
	"errors"
	"fmt"

	"geocache/clock"
)

const (
	chunkBytes   = 256 << 10 // asked of ExportState at a time
	maxChunks    = 64        // unacknowledged chunks
	sourceIdleUs = 5_000_000 // silence after which another source may take over
	maxBackoff   = 6         // rounds without progress before a transfer begins anew
)

// outTransfer is a walk over all keys on its way to a peer. It survives new
// sessions as long as both incarnations last and the receiver still knows it.
type outTransfer struct {
	id      uint64
	to      clock.Origin
	vector  clock.Vector // at the start: what the receiver has at the end
	cursor  uint64
	walked  bool // ExportState reached its end
	ended   bool // the last chunk is made
	nextSeq uint64
	chunks  []*outChunk // unacknowledged, ascending
	bytes   int
	sinceUs int64 // of the last progress
	backoff uint
}

// outChunk waits until what it holds is durable here: a chunk must never carry
// a change that a crash of this region then takes out of every log.
type outChunk struct {
	seq     uint64
	payload []byte
	holds   clock.Vector
	sent    bool
}

func (c *Core) startTransfer(p *peer) {
	p.granted = p.info.origin
	p.outgoing = &outTransfer{
		id: uint64(c.host.HLCNow()), to: p.info.origin, vector: c.host.Vector(), sinceUs: c.nowUs,
	}
}

// pumpTransfer makes chunks as the window allows and sends what is not sent, or
// was not acknowledged for too long.
func (c *Core) pumpTransfer(p *peer) {
	t := p.outgoing
	if t == nil || p.told&remoteFull != 0 {
		return
	}
	if p.told&remoteBusy != 0 || t.backoff > maxBackoff {
		p.outgoing = nil // it has another source, or forgot: checkCut looks again
		return
	}
	c.makeChunks(p, t)
	if len(t.chunks) == 0 {
		return
	}
	if !t.chunks[0].sent {
		t.sinceUs = c.nowUs
	} else if c.nowUs-t.sinceUs > p.transferRTOUs(t) {
		t.sinceUs = c.nowUs
		t.backoff++
		for _, ch := range t.chunks {
			ch.sent = false
		}
	}
	synced := c.host.Synced()
	for _, ch := range t.chunks {
		if !ch.sent && synced.CoversAll(ch.holds) {
			ch.sent = true
			c.send(p, kindState, ch.payload)
		}
	}
}

func (p *peer) transferRTOUs(t *outTransfer) int64 {
	rto := int64(firstRTOUs)
	if p.rttUs > 0 {
		rto = max(minRTOUs, 2*p.rttUs+50_000)
	}
	return min(maxRTOUs, rto<<min(t.backoff, 5))
}

func (c *Core) makeChunks(p *peer, t *outTransfer) {
	for !t.ended && len(t.chunks) < maxChunks && t.bytes < c.cfg.WindowBytes {
		s := stateChunk{id: t.id, seq: t.nextSeq, vector: t.vector}
		if t.walked {
			s.last, t.ended = true, true
		} else {
			entries, next, err := c.host.ExportState(t.cursor, chunkBytes)
			if err != nil {
				p.note(err.Error(), c.nowUs)
				return
			}
			s.entries, t.cursor, t.walked = entries, next, next == 0
			s.holds = c.host.Vector()
		}
		s.reading = c.host.HLCNow()
		ch := &outChunk{seq: t.nextSeq, payload: s.append(nil), holds: s.holds}
		t.nextSeq++
		t.bytes += len(ch.payload)
		t.chunks = append(t.chunks, ch)
	}
}

// onTransferAck drops the chunks that a report acknowledges.
func (c *Core) onTransferAck(p *peer, r *report) {
	t := p.outgoing
	if t == nil || r.transfer != t.id {
		return
	}
	kept := t.chunks[:0]
	for _, ch := range t.chunks {
		ahead := ch.seq - r.next - 1
		if ch.seq < r.next || ch.seq > r.next && ahead < 64 && r.beyond>>ahead&1 == 1 {
			t.bytes -= len(ch.payload)
			t.sinceUs, t.backoff = c.nowUs, 0
			continue
		}
		kept = append(kept, ch)
	}
	clear(t.chunks[len(kept):])
	t.chunks = kept
	if t.ended && len(t.chunks) == 0 {
		p.outgoing = nil
		c.rewind(p)
	}
}

// checkSource ends a transfer of which everything is here, and gives up on a
// source that fell silent before.
func (c *Core) checkSource() {
	if c.source != nil && c.source.finishing() {
		c.finishTransfer(c.source)
		return
	}
	if c.source != nil && c.nowUs-c.sourceUs > sourceIdleUs && !c.alive(c.source) {
		c.dropTransferFrom(c.source)
		c.drain()
	}
}

// settleOwed forgets what copies owe once the log has brought it.
func (c *Core) settleOwed() {
	for _, p := range c.peers {
		if p.owed != nil && c.source != p && c.vec.CoversAll(p.owed) {
			p.owed = nil
		}
	}
}

// owing reports whether this region holds parts of a copy whose changes its
// vector does not cover yet: it must not hand them on as its own state.
func (c *Core) owing() bool {
	for _, p := range c.peers {
		if p.owed != nil {
			return true
		}
	}
	return false
}

// CopyPending reports whether this region holds parts of a copy that its log
// does not vouch for yet, and nothing of its own. A host keeps a durable mark
// from the first ApplyState that makes this true until it is false; a region that starts with the mark set has to
// start empty, as a new incarnation, for the source may be gone meanwhile.
func (c *Core) CopyPending() bool {
	return c.source != nil && c.source.tracksOwed || c.owing()
}

// Syncing reports whether the region is receiving a transfer: what it holds is
// not causally whole until that ends.
func (c *Core) Syncing() bool { return c.source != nil }

// onState takes one chunk. Chunks are joined as they come, in any order; a
// chunk that is not acknowledged comes again.
func (c *Core) onState(p *peer, payload []byte) error {
	s, err := parseState(payload)
	if err != nil {
		return fmt.Errorf("replicate: malformed state from %q", p.name)
	}
	p.ackDue = true
	if s.id < p.takenID || s.id == p.takenID && !p.takenFromNow {
		return nil // of a transfer that is over
	}
	if s.vector[c.self.Origin] > c.vec[c.self.Origin] {
		return fmt.Errorf("replicate: %q sends changes in the name of this region's incarnation that it never made", p.name)
	}
	if c.source != nil && c.source != p {
		if c.nowUs-c.sourceUs < sourceIdleUs || c.source.finishing() {
			return nil // reported as busy
		}
		c.dropTransferFrom(c.source)
	}
	if c.stopped != nil || c.fromFuture(p, &s) {
		return nil
	}
	if s.id > p.takenID {
		p.tracksOwed = c.bornEmpty && c.vec[c.self.Origin] == 0 && !c.merging(p)
		p.takenID, p.takenNext, p.takenBeyond, p.takenFinal = s.id, 0, map[uint64]bool{}, nil
		p.takenFromNow = true
	}
	c.source, c.sourceUs = p, c.nowUs
	if s.seq < p.takenNext || p.takenBeyond[s.seq] || s.seq > p.takenNext+maxChunks {
		return nil
	}
	if s.last {
		p.takenFinal = &s
	} else if err := c.host.ApplyState(Copy{s.id, s.vector}, s.entries); err != nil {
		c.stop(p, err)
		return nil
	} else if p.tracksOwed {
		if p.owed == nil {
			p.owed = clock.Vector{}
		}
		p.owed.Merge(s.holds)
	}
	p.takenBeyond[s.seq] = true
	c.advanceTransfer(p)
	return nil
}

// fromFuture reports whether a chunk has to wait for our clock.
func (c *Core) fromFuture(p *peer, s *stateChunk) bool {
	early := c.tooEarly(s.reading)
	for _, r := range s.vector {
		early = early || c.tooEarly(r)
	}
	if early {
		p.clockHeld = true
	}
	return early
}

// advanceTransfer counts what is there without a gap, and ends the transfer
// when that is all.
func (c *Core) advanceTransfer(p *peer) {
	for p.takenBeyond[p.takenNext] {
		delete(p.takenBeyond, p.takenNext)
		p.takenNext++
	}
	c.finishTransfer(p)
}

// finishing reports whether all of the transfer from p is here and only the
// host has yet to end it.
func (p *peer) finishing() bool { return p.takenFinal != nil && p.takenNext > p.takenFinal.seq }

// finishTransfer raises the vector once all chunks are in; until the host has
// done it, Tick calls again.
func (c *Core) finishTransfer(p *peer) {
	if !p.finishing() || c.stopped != nil {
		return
	}
	v := p.takenFinal.vector
	if c.cfg.Fault == FaultForgetTransferVector {
		v = clock.Vector{}
	}
	switch err := c.host.StateDone(Copy{p.takenFinal.id, v}); {
	case errors.Is(err, ErrNotYet):
		return
	case err != nil:
		c.stop(p, err)
		return
	}
	c.vec.Merge(v)
	p.takenFromNow, p.takenBeyond, p.takenFinal = false, nil, nil
	c.source, p.ackDue = nil, true
	c.addMark()
	c.drain()
}

// dropTransferFrom gives up a transfer; its source will begin another.
func (c *Core) dropTransferFrom(p *peer) {
	if c.source == p {
		c.source = nil
	}
	p.takenFromNow, p.takenBeyond, p.takenFinal = false, nil, nil
}

// takenBits is the report's picture of chunks beyond the first missing one.
func (p *peer) takenBits() uint64 {
	var bits uint64
	for seq := range p.takenBeyond {
		if d := seq - p.takenNext - 1; seq > p.takenNext && d < 64 {
			bits |= 1 << d
		}
	}
	return bits
}
