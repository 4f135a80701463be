package replicate

import (
	"slices"

	"geocache/clock"
)

// history holds what a peer said and when it became true here: a word counts
// once everything the peer held when it spoke has arrived. At most three words
// are kept; the ones in between are not missed, for later ones say more.
type history struct {
	confirmed word // newest that counts
	pending   word // being waited for
	latest    word // what to wait for next
}

// word is the part of a report that Stable, MinPeerReadingMs and lag rest on.
type word struct {
	applied, synced clock.Vector
	reading         clock.Reading // every later write of the peer is stamped above it
	atUs            int64         // when it came; 0 means there is none
}

// settle confirms what has arrived.
func (p *peer) settle(vec clock.Vector) {
	h := &p.history
	for h.pending.atUs != 0 && vec.CoversAll(h.pending.applied) {
		h.confirmed = h.pending
		h.pending, h.latest = h.latest, word{}
	}
}

func (h *history) add(w word) {
	if h.pending.atUs == 0 {
		h.pending = w
	} else {
		h.latest = w
	}
}

// sendReport sends a heartbeat when one is due, and an acknowledgement when
// there is something to acknowledge and others have been gathered long enough.
func (c *Core) sendReport(p *peer) {
	since := c.nowUs - p.reportUs
	heartbeat := p.heartbeatUs == 0 || c.nowUs-p.heartbeatUs >= c.cfg.Heartbeat.Microseconds()
	if !heartbeat && since < c.cfg.AckDelay.Microseconds() {
		return
	}
	var nacks []nack
	if len(c.queues) > 0 && c.nowUs-p.nackedUs >= max(renackUs, p.rttUs) {
		nacks = c.gapsFrom(p)
	}
	if !heartbeat && !p.ackDue && len(nacks) == 0 && (p.lastSeq == 0 || c.host.Synced().Equal(p.syncedTold)) {
		return
	}
	if len(nacks) > 0 {
		p.nackedUs = c.nowUs
	}
	p.reportSeq++
	r := report{
		seq: p.reportSeq, got: p.lastSeq, sentUs: c.nowUs, state: c.stateTowards(p),
		// The clock before the vector: writes up to it are covered.
		reading: c.host.HLCNow() - 1,
		credit:  uint64(max(0, c.cfg.BufferBytes-p.held)),
		nacks:   nacks, transfer: p.takenID, next: p.takenNext, beyond: p.takenBits(),
		troubled: byte(c.troubled()), heartbeat: heartbeat,
	}
	if p.outgoing != nil {
		r.sending = p.outgoing.id
	}
	if p.echoAtUs != 0 {
		r.echoUs, r.echoHeldUs = p.echoUs, c.nowUs-p.echoAtUs
	}
	now := sentReport{r.seq, c.host.Vector(), c.host.Synced()}
	r.applied, r.synced, r.have = changed(p.base.applied, now.applied), changed(p.base.synced, now.synced), c.receivedAhead()
	if c.cfg.Fault == FaultAckUnapplied {
		for _, q := range c.queues {
			for _, it := range q.items {
				r.applied.Raise(it.b.Origin, it.b.Last())
			}
		}
	}
	if len(p.unconfirmed) < maxUnconfirmed {
		// With more than that unconfirmed, differences to the last confirmed
		// one go on being right, if longer.
		p.unconfirmed = append(p.unconfirmed, now)
	}
	p.syncedTold = now.synced
	if heartbeat {
		p.heartbeatUs = c.nowUs
		r.heard, r.attachment = c.heardRegions(), c.attachment
	}
	p.reportUs, p.ackDue = c.nowUs, false
	c.send(p, kindReport, r.append(nil))
}

// changed is the part of v that differs from base.
func changed(base, v clock.Vector) clock.Vector {
	d := clock.Vector{}
	for o, r := range v {
		if base[o] != r {
			d[o] = r
		}
	}
	return d
}

func (c *Core) stateTowards(p *peer) remoteState {
	var s remoteState
	if c.stopped != nil {
		s |= remoteFull
	}
	if p.clockHeld {
		s |= remoteClock
	}
	if c.source != nil {
		s |= remoteSyncing
		if c.source != p {
			s |= remoteBusy
		}
	}
	if p.suspended {
		s |= remoteSuspends
	}
	return s
}

func (c *Core) heardRegions() []uint16 {
	var ids []uint16
	for _, name := range c.names {
		if q := c.peers[name]; c.alive(q) && q.mode == modeLinked && len(ids) < maxHeard {
			ids = append(ids, clock.RegionID(name))
		}
	}
	slices.Sort(ids)
	return ids
}

// onReport takes a peer's word. What it says of applied and synced only grows,
// so an old or repeated report is harmless; the rest counts if it is the newest.
func (c *Core) onReport(p *peer, r report) error {
	p.acked.Merge(r.applied)
	p.synced.Merge(r.synced)
	if r.seq <= p.lastSeq {
		return nil
	}
	p.lastSeq = r.seq
	c.confirm(p, r.got)
	c.measure(p, &r)
	p.have = p.acked.Clone()
	p.have.Merge(r.have)
	p.landed(c.nowUs)
	if p.granted != 0 && len(p.acked) > 0 && p.acked.CoversAll(c.vec) {
		p.granted = 0 // in step
	}
	if r.state != p.told {
		p.push.cutCheckUs = c.nowUs
	}
	p.told = r.state
	p.credit = int(min(r.credit, 1<<40))
	if room := maxNacks - len(p.push.nacks); len(r.nacks) > room {
		r.nacks = r.nacks[:room]
	}
	p.push.nacks = append(p.push.nacks, r.nacks...)
	p.history.add(word{p.acked.Clone(), p.synced.Clone(), r.reading, c.nowUs})
	p.settle(c.vec)
	c.onTransferAck(p, &r)
	if c.source == p && !p.finishing() && uint64(r.reading) >= p.takenID && r.sending != p.takenID {
		c.dropTransferFrom(p) // given up by the sender after it began
	}
	if r.heartbeat {
		p.attachment = r.attachment
		if !p.heardKnown || !slices.Equal(p.heard, r.heard) {
			p.heard, p.heardKnown = r.heard, true
			c.rewind(p)
		}
	}
	c.obeySuspension(p, &r)
	return nil
}

// confirm makes the newest report that the peer has the base for later ones.
func (c *Core) confirm(p *peer, got uint64) {
	i := slices.IndexFunc(p.unconfirmed, func(s sentReport) bool { return s.seq > got })
	if i < 0 {
		i = len(p.unconfirmed)
	}
	if i > 0 {
		p.base = p.unconfirmed[i-1]
		p.unconfirmed = slices.Delete(p.unconfirmed, 0, i)
	}
}

func (c *Core) measure(p *peer, r *report) {
	p.echoUs, p.echoAtUs = r.sentUs, c.nowUs
	if r.echoUs == 0 {
		return
	}
	rtt := c.nowUs - r.echoUs - r.echoHeldUs
	if rtt < 0 || r.echoHeldUs < 0 || r.echoUs > c.nowUs {
		return // not our clock
	}
	rtt = max(rtt, 1)
	if p.rttUs == 0 {
		p.rttUs = rtt
	} else {
		p.rttUs += (rtt - p.rttUs) / 8
	}
}

// troubled counts the siblings that this region and its logs are cut off from
// for good. Of two such regions the one with fewer keeps its data: it stands
// with the greater part of the deployment.
func (c *Core) troubled() int {
	n := 0
	for _, p := range c.peers {
		if c.alive(p) && (p.suspended || p.cutSinceUs != 0 || p.told&remoteSuspends != 0) {
			n++
		}
	}
	return min(n, maxTroubled)
}

// obeySuspension empties this region once a peer has said for long enough that
// its log cannot bring us up to date. If our log cannot serve the peer either,
// only one of the two may do that; if it can, ours is the only way out and rank
// only buys time for others to solve it.
func (c *Core) obeySuspension(p *peer, r *report) {
	mutual := p.suspended || p.cutSinceUs != 0
	mine, theirs := c.troubled(), int(r.troubled)
	keeps := mine < theirs || mine == theirs && c.self.Region < p.name
	if r.state&remoteSuspends == 0 || c.self.Content == NoData || c.Syncing() || p.mode != modeLinked || mutual && keeps {
		p.doomedUs = 0
		return
	}
	if p.doomedUs == 0 {
		p.doomedUs = c.nowUs
	}
	wait := c.cfg.SuspendAfter.Microseconds() / 2
	if keeps {
		wait *= 6
	}
	if c.nowUs-p.doomedUs < wait {
		return
	}
	p.doomedUs = 0
	if err := c.empty(p, "fell behind the log of "+p.name); err != nil {
		p.note(err.Error(), c.nowUs)
	}
}
