package replicate

import (
	"fmt"
	"math"

	"geocache/clock"
)

// State is how a sibling link is, in one word.
type State string

// The states of a link, the more serious first.
const (
	StateDown       State = "down"       // no transport, or silence
	StateConnecting State = "connecting" // no session, or one side has yet to adopt the deployment
	StateVersion    State = "version"    // paused: one side lacks op kinds
	StateRefused    State = "refused"    // different deployments, or a removed region
	StateSuspended  State = "suspended"  // it fell behind the log and has to empty itself
	StateFull       State = "full"       // one side takes no batches for now
	StateSyncing    State = "syncing"    // a transfer is under way to one side
	StateClock      State = "clock"      // batches wait because the clocks differ too much
	StateUp         State = "up"
)

// Traffic counts a link's bytes and batches since the peer was added.
type Traffic struct {
	RawIn, WireIn   int64 // bytes of payload, and of frames as they travelled
	RawOut, WireOut int64
	Sent, SentBytes int64 // batches, those sent again included
	Applied         int64 // batches
	Duplicates      int64 // batches received again
	Dropped         int64 // batches that found no room to wait
}

// PeerStatus is what there is to know of one sibling.
type PeerStatus struct {
	Name        string
	Origin      clock.Origin // incarnation heard last, 0 before the first
	State       State
	Reason      string       // for refused, version, a long connecting, and full where this side is
	Acked       clock.Vector // applied there, as far as is known
	Synced      clock.Vector // durable there
	RTTUs       int64        // smoothed, 0 before the first measurement
	LastHeardUs int64        // 0 before the first frame
	// LagInMs is the age of the newest moment of which we held everything the
	// peer had, -1 before there is one. LagOutMs is the age of our oldest own
	// batch that the peer has not acknowledged, 0 if it has all.
	LagInMs, LagOutMs int64
	// The log from what the peer has acknowledged on. BacklogBytes is an
	// estimate from the batches pushed so far.
	BacklogBatches uint64
	BacklogBytes   int64
	InFlightBytes  int64
	HeldBytes      int64 // received from it, waiting to be applied
	Traffic        Traffic
	LastError      string
	LastErrorUs    int64
	Attachment     []byte // from its newest heartbeat; only to be read
}

// Peers reports on every sibling, by name.
func (c *Core) Peers() []PeerStatus {
	ps := make([]PeerStatus, 0, len(c.names))
	for _, name := range c.names {
		p := c.peers[name]
		s := PeerStatus{
			Name: name, Origin: p.info.origin, State: c.stateOf(p), Reason: p.why,
			Acked: p.acked.Clone(), Synced: p.synced.Clone(), RTTUs: p.rttUs,
			LagInMs: -1, InFlightBytes: int64(p.push.bytes), HeldBytes: int64(p.held), Traffic: p.traffic,
			LastError: p.lastError, LastErrorUs: p.lastErrorUs, Attachment: p.attachment,
		}
		switch {
		case s.State == StateFull && c.stopped != nil:
			s.Reason = c.stopped.Error()
		case s.State == StateConnecting && !p.established && c.nowUs-p.tokenUs > c.cfg.DeadAfter.Microseconds():
			s.Reason = fmt.Sprintf("no region named %q answers there", name)
		}
		if p.everHeard {
			s.LastHeardUs = p.lastHeardUs
		}
		if at := p.history.confirmed.atUs; at != 0 {
			s.LagInMs = max(0, c.nowUs-at+p.rttUs/2) / 1000
		}
		s.LagOutMs, s.BacklogBatches = c.lagOut(p)
		if p.traffic.Sent > 0 {
			s.BacklogBytes = int64(s.BacklogBatches) * (p.traffic.SentBytes / p.traffic.Sent)
		}
		ps = append(ps, s)
	}
	return ps
}

// lagOut takes the age from the marks, so it is as fine as they are.
func (c *Core) lagOut(p *peer) (lagMs int64, backlog uint64) {
	if p.acked.CoversAll(c.vec) {
		return 0, 0
	}
	end := c.host.LogEnd()
	backlog = end - min(end, c.positionFor(p.acked))
	own := c.self.Origin
	if p.acked[own] >= c.vec[own] {
		return 0, backlog
	}
	for _, m := range c.marks {
		if m.vec[own] > p.acked[own] {
			return max(0, c.nowUs-m.timeUs) / 1000, backlog
		}
	}
	return 0, backlog // newer than the newest mark
}

func (c *Core) stateOf(p *peer) State {
	switch {
	case !p.up || p.everHeard && p.unheardFor(c.nowUs) > c.cfg.DeadAfter.Microseconds():
		return StateDown
	case !p.established:
		return StateConnecting
	case p.mode == modeVersion:
		return StateVersion
	case p.mode == modeRefused || p.mode == modeRemoved:
		return StateRefused
	case p.mode == modeWait:
		return StateConnecting
	case p.suspended || p.told&remoteSuspends != 0:
		return StateSuspended
	case c.stopped != nil || p.told&remoteFull != 0:
		return StateFull
	case p.outgoing != nil || p.told&remoteSyncing != 0 || c.source == p:
		return StateSyncing
	case p.clockHeld || p.told&remoteClock != 0:
		return StateClock
	}
	return StateUp
}

// members calls f with every peer whose word is needed before something may be
// forgotten: all but those suspended or refused, which can only come back
// empty.
func (c *Core) members(f func(p *peer)) {
	for _, name := range c.names {
		p := c.peers[name]
		if p.suspended || p.mode == modeRefused || p.mode == modeRemoved {
			continue
		}
		f(p)
	}
}

// Stable is what every member has acknowledged as synced and where everything
// each of them held when it acknowledged has arrived here: tombstones it covers
// can go. A member that has not spoken since this core began holds it empty.
func (c *Core) Stable() clock.Vector {
	v := c.host.Synced()
	c.members(func(p *peer) { v = clock.Min(v, p.history.confirmed.synced) })
	return v
}

// RetainFrom is the first log position that some member has not acknowledged as
// synced.
func (c *Core) RetainFrom() uint64 {
	c.addMark()
	pos := c.host.LogEnd()
	c.members(func(p *peer) { pos = min(pos, c.positionFor(p.synced)) })
	return pos
}

// MinPeerReadingMs is a time, in milliseconds since the epoch, that the clock
// of every member has passed and before which nothing of theirs is still to
// come: keys whose deadline is below may be reclaimed. Without siblings it is
// the end of time.
func (c *Core) MinPeerReadingMs() int64 {
	least := int64(math.MaxInt64)
	c.members(func(p *peer) { least = min(least, p.history.confirmed.reading.Ms()) })
	return least
}

// Full reports whether the region takes no batches for now because it is full.
func (c *Core) Full() bool { return c.isFull() }
