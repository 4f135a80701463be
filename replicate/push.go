package replicate

import (
	"errors"
	"slices"

	"geocache/clock"
	"geocache/op"
)

const (
	groupBytes     = 256 << 10 // batches gathered into one frame
	maxFlight      = 1024      // unacknowledged frames per peer
	maxNackBytes   = 1 << 20   // sent again per round for reported gaps
	minRTOUs       = 100_000
	maxRTOUs       = 2_000_000
	firstRTOUs     = 500_000
	cutCheckUs     = 100_000
	maxUnconfirmed = 32
)

// pushState is what a session knows of batches on their way to a peer.
type pushState struct {
	pos    uint64       // next log position to read
	sent   clock.Vector // received there or on the way
	flight []flight     // oldest first, at most maxFlight
	bytes  int          // of flight
	// progressUs is when the peer last received something new, or when the
	// first frame left after a pause; backoff counts resends since.
	progressUs int64
	backoff    uint
	nacks      []nack // to be answered, at most maxNacks
	nackUs     int64  // when gaps were last answered
	// relay holds origins that the peer should hear from others but does not;
	// stalls watches for those.
	relay      map[clock.Origin]bool
	stalls     map[clock.Origin]stall
	cutCheckUs int64
	lackSeen   bool
}

// flight is one frame on its way: the last batch of each origin in it.
type flight struct {
	lasts []clock.Stamp
	bytes int
}

// stall says since when a peer's entry has been where it is.
type stall struct {
	at      clock.Reading
	sinceUs int64
}

// sentReport is a report's vectors, kept until the peer confirms one.
type sentReport struct {
	seq             uint64
	applied, synced clock.Vector
}

// rewind starts reading the log again where the peer may lack something; what
// it has received is skipped.
func (c *Core) rewind(p *peer) {
	ps := &p.push
	ps.sent = p.have.Clone()
	ps.flight, ps.bytes = nil, 0
	ps.pos = c.positionFor(p.acked)
	ps.progressUs = c.nowUs
}

// rtoUs is how long to wait for progress before sending again.
func (p *peer) rtoUs() int64 {
	rto := int64(firstRTOUs)
	if p.rttUs > 0 {
		rto = max(minRTOUs, 2*p.rttUs+50_000)
	}
	return min(maxRTOUs, rto<<min(p.push.backoff, 5))
}

func (c *Core) resend(p *peer) {
	ps := &p.push
	if c.nowUs-ps.progressUs <= p.rtoUs() {
		return
	}
	if len(ps.flight) > 0 {
		ps.backoff++
		c.rewind(p)
	}
}

// offers reports whether batches of origin o are ours to send to p: our own of
// any incarnation, p's own lost tail, and others' that it cannot hear itself.
func (c *Core) offers(p *peer, o clock.Origin) bool {
	region, them := o.Region(), p.info.origin.Region()
	switch {
	case region == c.self.Origin.Region(), p.push.relay[o]:
		return true
	case region == them:
		return o != p.info.origin
	case !p.heardKnown || slices.Contains(p.heard, region):
		return false
	}
	return c.relays(p, region)
}

// relays picks one relayer for a region that p does not hear: of those that p
// hears and that hear the region, the one with the lowest id. If that one does
// not do it, helpAlong will.
func (c *Core) relays(p *peer, region uint16) bool {
	self := c.self.Origin.Region()
	if !c.hears(region) {
		return false
	}
	for _, name := range c.names {
		q := c.peers[name]
		id := clock.RegionID(name)
		if q != p && id < self && slices.Contains(p.heard, id) && slices.Contains(q.heard, region) {
			return false
		}
	}
	return true
}

func (c *Core) hears(region uint16) bool {
	for _, name := range c.names {
		if clock.RegionID(name) == region {
			q := c.peers[name]
			return c.alive(q) && q.mode == modeLinked
		}
	}
	return false
}

// push sends what is new in the log, as far as the window reaches. Outside the
// window the log itself is the queue.
func (c *Core) push(p *peer) {
	ps := &p.push
	if p.outgoing != nil || p.suspended || p.told&(remoteFull|remoteSyncing) != 0 {
		return
	}
	end := c.host.LogEnd()
	g := group{c: c, p: p}
	for ps.pos < end && len(ps.flight) < maxFlight && ps.bytes+len(g.payload) < c.window(p) {
		if first := c.host.LogFirst(); ps.pos < first {
			ps.pos = first
			continue
		}
		recs, next, err := c.host.ReadLog(ps.pos, groupBytes)
		if errors.Is(err, ErrCut) && c.host.LogFirst() > ps.pos {
			continue
		}
		if err != nil || next <= ps.pos {
			if err != nil {
				p.note(err.Error(), c.nowUs)
			}
			break
		}
		for _, rec := range recs {
			b, err := op.ParseBatch(rec)
			if err != nil {
				p.note("own log: "+err.Error(), c.nowUs)
				continue
			}
			sent := ps.sent[b.Origin]
			if b.Last() <= sent || !c.offers(p, b.Origin) {
				continue
			}
			if b.Prev > sent {
				continue // a gap that the log cannot close: checkCut's matter
			}
			ps.sent.Raise(b.Origin, b.Last())
			g.add(b)
		}
		ps.pos = next
	}
	g.flush()
}

// window is how many bytes may be on their way to p.
func (c *Core) window(p *peer) int {
	return max(1, min(c.cfg.WindowBytes, p.credit))
}

// group gathers batches for one frame.
type group struct {
	c       *Core
	p       *peer
	payload []byte
	lasts   []clock.Stamp
}

func (g *group) add(b op.Batch) {
	if len(g.payload) > 0 && len(g.payload)+len(b.Raw) > groupBytes {
		g.flush()
	}
	g.payload = appendBytes(g.payload, b.Raw)
	g.p.traffic.Sent++
	g.p.traffic.SentBytes += int64(len(b.Raw))
	for i := range g.lasts {
		if g.lasts[i].Origin == b.Origin {
			g.lasts[i].At = b.Last()
			return
		}
	}
	g.lasts = append(g.lasts, clock.Stamp{At: b.Last(), Origin: b.Origin})
}

func (g *group) flush() {
	if len(g.payload) == 0 {
		return
	}
	ps := &g.p.push
	if len(ps.flight) == 0 {
		ps.progressUs = g.c.nowUs
	}
	ps.flight = append(ps.flight, flight{g.lasts, len(g.payload)})
	ps.bytes += len(g.payload)
	g.c.send(g.p, kindBatches, g.payload)
	g.payload, g.lasts = nil, nil
}

// landed drops the frames that the peer has received.
func (p *peer) landed(nowUs int64) {
	ps := &p.push
	kept := ps.flight[:0]
	for _, f := range ps.flight {
		if slices.ContainsFunc(f.lasts, func(s clock.Stamp) bool { return p.have[s.Origin] < s.At }) {
			kept = append(kept, f)
			continue
		}
		ps.bytes -= f.bytes
		ps.progressUs, ps.backoff = nowUs, 0
	}
	clear(ps.flight[len(kept):])
	ps.flight = kept
}

// answerNacks sends again what fell out of the middle.
func (c *Core) answerNacks(p *peer) {
	ps := &p.push
	if len(ps.nacks) == 0 || c.nowUs-ps.nackUs < max(p.rttUs, 20_000) {
		return
	}
	ps.nackUs = c.nowUs
	nacks := ps.nacks
	ps.nacks = nil
	g := group{c: c, p: p}
	total := 0
	for pos := c.positionFor(p.acked); pos < ps.pos && total < maxNackBytes; {
		recs, next, err := c.host.ReadLog(pos, groupBytes)
		if err != nil || next <= pos {
			break
		}
		for _, rec := range recs {
			b, err := op.ParseBatch(rec)
			if err != nil || !slices.ContainsFunc(nacks, func(n nack) bool {
				return n.origin == b.Origin && b.Prev >= n.from && b.Last() <= n.to
			}) {
				continue
			}
			total += len(rec)
			g.add(b)
		}
		pos = next
	}
	g.flush()
}

// helpAlong relays origins whose entry at the peer has not moved for a while
// although we hold more.
func (c *Core) helpAlong(p *peer) {
	ps := &p.push
	if p.told&(remoteFull|remoteClock|remoteSyncing) != 0 || p.outgoing != nil {
		ps.stalls = nil
		return
	}
	changed := false
	for o, at := range c.vec {
		have := p.have[o]
		if have >= at || o == p.info.origin {
			delete(ps.stalls, o)
			if ps.relay[o] {
				delete(ps.relay, o)
			}
			continue
		}
		s, ok := ps.stalls[o]
		if !ok || s.at != have {
			if ps.stalls == nil {
				ps.stalls = map[clock.Origin]stall{}
			}
			ps.stalls[o] = stall{have, c.nowUs}
			continue
		}
		if c.nowUs-s.sinceUs > c.cfg.RelayAfter.Microseconds() && !c.offers(p, o) {
			if ps.relay == nil {
				ps.relay = map[clock.Origin]bool{}
			}
			ps.relay[o] = true
			changed = true
		}
	}
	if changed {
		c.rewind(p)
	}
}

// checkCut finds out whether the peer lacks something that the log no longer
// holds, and what follows from it. A lack must show twice, with the log read
// anew in between: what is ours to send may have changed since it was read.
func (c *Core) checkCut(p *peer) {
	ps := &p.push
	if c.nowUs-ps.cutCheckUs < cutCheckUs || p.outgoing != nil || p.suspended ||
		p.told&(remoteSyncing|remoteBusy|remoteFull) != 0 || c.Syncing() || c.owing() || p.lastSeq == 0 || ps.pos < c.host.LogEnd() {
		return
	}
	ps.cutCheckUs = c.nowUs
	switch {
	case !c.lacks(p):
		p.cutSinceUs, ps.lackSeen = 0, false
	case !ps.lackSeen:
		ps.lackSeen = true
		c.rewind(p)
	case c.mayCopyTo(p):
		c.startTransfer(p)
	case p.cutSinceUs == 0:
		p.cutSinceUs = c.nowUs
	case c.nowUs-p.cutSinceUs > c.cfg.SuspendAfter.Microseconds():
		p.suspended, p.ackDue = true, true
		p.note("fell behind the log: suspended until it is empty", c.nowUs)
	case len(ps.flight) == 0:
		c.rewind(p) // somebody else may have closed the gap
	}
}

// lacks reports whether the log, read to its end, did not yield something that
// is ours to send.
func (c *Core) lacks(p *peer) bool {
	for o, at := range c.vec {
		if p.push.sent[o] < at && p.have[o] < at && c.offers(p, o) {
			return true
		}
	}
	return false
}

// mayCopyTo reports whether joining our state into the peer's is safe: it began
// empty and was not in step since, or it has nothing that we have but what it
// wrote itself. A peer that was in step once may hold what was removed since, and
// our tombstones may be gone.
func (c *Core) mayCopyTo(p *peer) bool {
	if p.granted == p.info.origin {
		return true
	}
	merging := c.merging(p)
	for o := range p.acked {
		switch o.Region() {
		case p.info.origin.Region():
		case c.self.Origin.Region():
			return false
		default:
			// Of two merged deployments, a third region's changes may have
			// come around before ours.
			if c.vec[o] > 0 && !merging {
				return false
			}
		}
	}
	return true
}

// merging reports whether the link is or may be between two deployments that
// were joined with their data.
func (c *Core) merging(p *peer) bool {
	return p.intent == IntentMerge || p.info.intent == IntentMerge || len(p.info.former)+len(c.self.Former) > 0
}
