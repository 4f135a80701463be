package replicate

import (
	"fmt"
	"slices"

	"geocache/clock"
	"geocache/op"
)

// Intent is what the operator said when adding a sibling.
type Intent uint8

// The intents. IntentMerge joins two regions that both hold data of different
// deployments; one side's word suffices. IntentEmpty lets this region drop its
// data where a link is impossible otherwise.
const (
	IntentNone Intent = iota
	IntentMerge
	IntentEmpty
)

// PeerOptions go with AddPeer.
type PeerOptions struct{ Intent Intent }

// verdict is what a hello says of the link as its sender sees it.
type verdict uint8

const (
	verdictNone verdict = iota
	verdictOK
	verdictWait
	verdictVersion
	verdictRefused
	verdictRemoved
)

// linkMode is what this side has decided about a peer with a session.
type linkMode uint8

const (
	modeWait    linkMode = iota // one of the two still has to adopt or to empty itself
	modeLinked                  // batches flow
	modeVersion                 // one lacks op kinds of the other
	modeRefused
	modeRemoved // refused because it was removed and is not empty
)

const (
	helloEveryUs = 200_000   // until both sides are linked
	helloAgainUs = 2_000_000 // afterwards, in case the news of a change was lost
)

// peer is all that is known of one sibling.
type peer struct {
	name   string
	intent Intent
	up     bool // the transport can carry frames to it

	// Session. token is ours and new with every LinkUp and incarnation; remote
	// is the other side's, proven by an echo. A hello counts only if it is later
	// (reading, then seq) than info, so that a late duplicate does not bring an
	// old session back.
	token, remote uint64
	heardToken    uint64 // of the newest hello, not yet proven: what to echo
	tokenUs       int64  // when token was made
	established   bool
	helloSeq      uint64
	helloDueUs    int64
	info          hello
	mode          linkMode
	linkedAs      clock.Origin // its incarnation when last linked
	why           string       // of modeVersion, modeRefused, modeRemoved

	lastHeardUs int64
	everHeard   bool
	deadNoted   bool
	rttUs       int64 // smoothed; 0 before the first measurement
	echoUs      int64 // the peer's clock in its newest report
	echoAtUs    int64 // when that came
	lastError   string
	lastErrorUs int64
	traffic     Traffic
	attachment  []byte
	heard       []uint16 // regions it hears directly
	heardKnown  bool

	// Reports out.
	reportSeq    uint64
	reportUs     int64 // when the last was sent
	heartbeatUs  int64
	ackDue       bool
	nackedUs     int64 // when gaps were last reported
	base         sentReport
	unconfirmed  []sentReport // bounded by maxUnconfirmed
	syncedTold   clock.Vector
	lastSeq      uint64      // newest report received
	told         remoteState // its newest report's state
	credit       int
	history      history
	acked        clock.Vector // applied there
	synced       clock.Vector // durable there
	have         clock.Vector // received there
	push         pushState
	outgoing     *outTransfer
	granted      clock.Origin // incarnation that began empty or got a copy from here, and was not in step since
	cutSinceUs   int64        // since when the log cannot serve it, 0 if it can
	suspended    bool
	doomedUs     int64 // since when it says that we are to empty ourselves, 0 if it does not
	held         int   // bytes in the receive queues that came from it
	clockHeld    bool
	parts        []*assembly
	takenID      uint64 // newest transfer from it, with the chunks before takenNext in
	takenNext    uint64
	takenBeyond  map[uint64]bool
	takenFinal   *stateChunk
	takenFromNow bool // the transfer takenID is going on
	// owed covers what came by transfer, until the log covers it too. If the
	// source loses some of it, emptied itself, this region has to begin again
	// or would keep what no other has. A region with writes of its own would
	// lose those, so there it is not tracked.
	owed       clock.Vector
	tracksOwed bool
}

// session names the agreement in frames; hellos carry the tokens themselves.
func (p *peer) session() uint64 {
	if !p.established {
		return 0
	}
	return p.token ^ p.remote
}

func (p *peer) unheardFor(nowUs int64) int64 { return nowUs - p.lastHeardUs }

func (p *peer) note(text string, nowUs int64) { p.lastError, p.lastErrorUs = text, nowUs }

// alive reports whether the peer speaks to us in a session.
func (c *Core) alive(p *peer) bool {
	return p.established && p.unheardFor(c.nowUs) <= c.cfg.DeadAfter.Microseconds()
}

// AddPeer configures a sibling, or changes the intent of one. It is an error
// if the name is ours, or too long, or if its hash is taken.
func (c *Core) AddPeer(name string, o PeerOptions) error {
	if name == c.self.Region {
		return fmt.Errorf("replicate: %q is this region", name)
	}
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("replicate: a region's name has 1 to %d bytes", maxNameBytes)
	}
	if o.Intent == IntentEmpty {
		// This region gives itself up for the other one, as that one is now.
		delete(c.removed, name)
	}
	if p := c.peers[name]; p != nil {
		p.intent = o.Intent
		c.judge(p)
		p.helloDueUs = c.nowUs
		return nil
	}
	for _, other := range append(slices.Clone(c.names), c.self.Region) {
		if clock.RegionID(other) == clock.RegionID(name) {
			return fmt.Errorf("replicate: the names %q and %q have the same hash, choose another", name, other)
		}
	}
	c.peers[name] = &peer{name: name, intent: o.Intent}
	c.names = append(c.names, name)
	slices.Sort(c.names)
	return nil
}

// RemovePeer forgets a sibling. If it was ever linked, its incarnation is
// remembered and not linked again.
func (c *Core) RemovePeer(name string) {
	p := c.peers[name]
	if p == nil {
		return
	}
	if p.linkedAs != 0 {
		c.removed[name] = p.linkedAs
	}
	c.dropTransferFrom(p)
	for o, q := range c.queues {
		if q.drop(func(it *item) bool { return it.from == p }); len(q.items) == 0 {
			delete(c.queues, o)
		}
	}
	delete(c.peers, name)
	c.names = slices.DeleteFunc(c.names, func(n string) bool { return n == name })
}

// Removed lists the removed regions that have not returned, for the host to
// keep.
func (c *Core) Removed() []Removed {
	var rs []Removed
	for name, o := range c.removed {
		rs = append(rs, Removed{name, o})
	}
	slices.SortFunc(rs, func(a, b Removed) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return rs
}

// LinkUp tells that frames can be sent to peer; a new session begins.
func (c *Core) LinkUp(name string, nowUs int64) {
	c.enter(nowUs)
	if p := c.peers[name]; p != nil {
		p.up = true
		c.newToken(p)
	}
}

// LinkDown tells that frames cannot be sent to peer.
func (c *Core) LinkDown(name string, nowUs int64) {
	c.enter(nowUs)
	if p := c.peers[name]; p != nil {
		p.up = false
	}
}

// newToken ends the session, if there is one, and asks for another.
func (c *Core) newToken(p *peer) {
	c.endSession(p)
	p.token, p.remote, p.tokenUs = c.cfg.Rand.Uint64()|1, 0, c.nowUs
	p.info.reading, p.info.seq = 0, 0
	p.helloDueUs = c.nowUs
}

func (c *Core) endSession(p *peer) {
	p.established, p.mode, p.why = false, modeWait, ""
}

func (c *Core) sendHello(p *peer) {
	if p.token == 0 || c.nowUs < p.helloDueUs {
		return
	}
	c.refreshSelf()
	p.helloSeq++
	echo := p.heardToken
	if p.established && echo == 0 {
		echo = p.remote
	}
	h := hello{
		token: p.token, echo: echo, knows: p.established && echo == p.remote, seq: p.helloSeq,
		kinds: op.Kinds(), origin: c.self.Origin,
		deployment: c.self.Deployment, firm: c.self.Firmness == Firm, hasData: c.self.Content == HasData,
		intent: p.intent, verdict: c.verdictOn(p), reading: c.host.HLCNow(), former: c.self.Former,
		applied: c.host.Vector(), synced: c.host.Synced(),
	}
	if p.takenFromNow {
		h.transfer = p.takenID
	}
	p.heardToken = 0
	p.helloDueUs = c.nowUs + helloAgainUs
	if !p.established || p.mode == modeWait || p.info.verdict == verdictWait || p.info.verdict == verdictNone {
		p.helloDueUs = c.nowUs + helloEveryUs
	}
	c.send(p, kindHello, h.append(nil))
}

func (c *Core) verdictOn(p *peer) verdict {
	if !p.established {
		return verdictNone
	}
	switch p.mode {
	case modeLinked:
		return verdictOK
	case modeVersion:
		return verdictVersion
	case modeRefused:
		return verdictRefused
	case modeRemoved:
		return verdictRemoved
	}
	return verdictWait
}

// Step takes a frame that came from peer. An error means that the sender does
// not keep to the protocol, or is not who it must be; the frame had no effect
// then beyond batches before the fault. The frame is not kept.
func (c *Core) Step(name string, b []byte, nowUs int64) error {
	c.enter(nowUs)
	p := c.peers[name]
	if p == nil {
		return fmt.Errorf("replicate: %q is not a configured sibling", name)
	}
	err := c.step(p, b)
	if err != nil {
		p.note(err.Error(), c.nowUs)
	}
	return err
}

func (c *Core) step(p *peer, b []byte) error {
	f, err := parseFrame(b)
	if err != nil {
		return err
	}
	if f.from == c.self.Region {
		return fmt.Errorf("replicate: a sibling claims to be this region, %q", f.from)
	}
	if f.from != p.name {
		return fmt.Errorf("replicate: expected sibling %q, found %q", p.name, f.from)
	}
	p.traffic.WireIn += int64(len(b))
	p.traffic.RawIn += int64(len(f.payload))
	if f.kind == kindHello {
		h, err := parseHello(f.payload)
		if err != nil {
			return err
		}
		return c.onHello(p, h)
	}
	if !p.established || f.session != p.session() {
		// Stale, or ahead of its hello, or the sessions do not agree.
		p.helloDueUs = min(p.helloDueUs, c.nowUs+helloEveryUs)
		return nil
	}
	p.lastHeardUs, p.everHeard = c.nowUs, true
	if f.kind == kindReport {
		r, err := parseReport(f.payload)
		if err != nil {
			return err
		}
		return c.onReport(p, r)
	}
	if p.mode != modeLinked {
		return nil
	}
	if f.kind == kindPart {
		whole, k, err := c.assemble(p, f.payload)
		if whole == nil || err != nil {
			return err
		}
		f.kind, f.payload = k, whole
	}
	if f.kind == kindState {
		return c.onState(p, f.payload)
	}
	return c.onBatches(p, f.payload)
}

func (c *Core) onHello(p *peer, h hello) error {
	if h.origin.Region() != clock.RegionID(p.name) {
		return fmt.Errorf("replicate: sibling %q shows an origin of another region", p.name)
	}
	if p.token == 0 {
		// Heard before the transport said that we can answer.
		c.newToken(p)
	}
	if h.echo != p.token {
		p.heardToken, p.helloDueUs = h.token, c.nowUs
		return nil
	}
	isNew := !p.established || p.remote != h.token
	if h.reading < p.info.reading || h.reading == p.info.reading && h.seq <= p.info.seq {
		return nil
	}
	p.lastHeardUs, p.everHeard = c.nowUs, true
	if isNew {
		c.endSession(p)
		c.establish(p, h)
	}
	p.info = h
	if isNew || !h.knows {
		p.heardToken, p.helloDueUs = h.token, c.nowUs
	}
	if p.owed != nil && !h.applied.CoversAll(p.owed) && !c.vec.CoversAll(p.owed) {
		if err := c.empty(p, "the copy's source "+p.name+" was emptied"); err != nil {
			p.note(err.Error(), c.nowUs)
		}
		return nil
	}
	c.judge(p)
	return nil
}

// establish begins a session with what its hello tells.
func (c *Core) establish(p *peer, h hello) {
	if h.origin != p.info.origin {
		p.history = history{}
		p.suspended, p.cutSinceUs, p.granted = false, 0, 0
	}
	if p.outgoing != nil && (p.outgoing.to != h.origin || p.outgoing.id != h.transfer) {
		p.outgoing = nil
	}
	if !h.hasData && len(h.applied) == 0 {
		// It begins empty under our eyes: whatever it hears first, and from
		// whom, our copy sets right.
		p.granted = h.origin
	}
	p.established, p.remote = true, h.token
	p.acked, p.synced, p.have = h.applied.Clone(), h.synced.Clone(), h.applied.Clone()
	p.base, p.unconfirmed, p.syncedTold = sentReport{}, nil, nil
	p.reportSeq, p.lastSeq = 0, 0
	p.echoUs, p.echoAtUs = 0, 0
	p.heard, p.heardKnown, p.told, p.credit = nil, false, 0, c.cfg.WindowBytes
	p.reportUs, p.heartbeatUs = 0, 0
	p.push = pushState{}
	c.rewind(p)
}

// judge decides whether batches may flow, and takes the step that is ours to
// get there.
func (c *Core) judge(p *peer) {
	if !p.established {
		return
	}
	c.refreshSelf()
	before := p.mode
	p.mode, p.why = c.decide(p)
	if !p.established {
		return // decide emptied this region: everything begins anew
	}
	if p.mode != before {
		p.helloDueUs = c.nowUs
		if p.mode == modeLinked {
			p.intent = IntentNone // the operator's word was for this once
			p.linkedAs = p.info.origin
			c.rewind(p)
			p.ackDue = true
		}
	}
}

func (c *Core) decide(p *peer) (linkMode, string) {
	h := &p.info
	if gone, ok := c.removed[p.name]; ok {
		if h.origin.Incarnation() <= gone.Incarnation() || h.hasData {
			return modeRemoved, fmt.Sprintf("%q was removed here and may return only empty, or this region joins it with EMPTY", p.name)
		}
		delete(c.removed, p.name)
	}
	if missing := h.kinds &^ op.Kinds(); missing != 0 {
		return modeVersion, fmt.Sprintf("the sibling sends op kinds this build lacks (%#x); upgrade this region", missing)
	}
	if missing := op.Kinds() &^ h.kinds; missing != 0 {
		return modeVersion, fmt.Sprintf("the sibling lacks op kinds of this build (%#x); upgrade it", missing)
	}
	if h.verdict == verdictRemoved {
		if p.intent == IntentEmpty && c.self.Content == HasData {
			return c.emptyFor(p, "removed from the deployment, told to rejoin empty")
		}
		return modeRefused, "the sibling removed this region; add the sibling with EMPTY to rejoin"
	}
	return c.decideDeployment(p, h)
}

func (c *Core) decideDeployment(p *peer, h *hello) (linkMode, string) {
	mine, theirs := c.self.Deployment, h.deployment
	firm := c.self.Firmness == Firm
	switch {
	case mine == theirs:
		if h.firm && !firm {
			return c.adopt(p, theirs, Firm)
		}
		return modeLinked, ""
	case !firm && h.firm:
		return c.adopt(p, theirs, Firm)
	case firm && !h.firm:
		return modeWait, ""
	case !firm:
		return c.adoptSmaller(p, Tentative)
	case slices.Contains(h.former, mine):
		return c.adopt(p, theirs, Firm)
	case slices.Contains(c.self.Former, theirs):
		return modeWait, ""
	case p.intent == IntentEmpty && h.intent == IntentEmpty:
		return modeRefused, "both sides were told to empty themselves; one must keep its data"
	case p.intent == IntentEmpty:
		if c.self.Content == HasData {
			return c.emptyFor(p, "told to join another deployment empty")
		}
		return c.adopt(p, theirs, Firm)
	case h.intent == IntentEmpty:
		return modeWait, ""
	case p.intent == IntentMerge || h.intent == IntentMerge:
		return c.adoptSmaller(p, Firm)
	}
	return modeRefused, fmt.Sprintf(
		"both regions hold data of different deployments (%016x here, %016x there); say MERGE, or EMPTY in the region to be emptied",
		mine, theirs)
}

func (c *Core) adoptSmaller(p *peer, f Firmness) (linkMode, string) {
	if p.info.deployment < c.self.Deployment {
		return c.adopt(p, p.info.deployment, f)
	}
	return modeWait, ""
}

func (c *Core) adopt(p *peer, id uint64, f Firmness) (linkMode, string) {
	if err := c.host.AdoptDeployment(id, f); err != nil {
		p.note(err.Error(), c.nowUs)
		return modeWait, err.Error()
	}
	c.identityChanged()
	return modeLinked, ""
}

// identityChanged tells every peer; Tick looks anew at all links.
func (c *Core) identityChanged() {
	c.refreshSelf()
	for _, name := range c.names {
		c.peers[name].helloDueUs = c.nowUs
	}
	c.rejudge = true
}

func (c *Core) refreshSelf() {
	c.self = c.host.Identity()
	c.self.Former = c.self.Former[max(0, len(c.self.Former)-maxFormer):]
}

// emptyFor empties this region, which ends every session.
func (c *Core) emptyFor(p *peer, why string) (linkMode, string) {
	if err := c.empty(p, why); err != nil {
		p.note(err.Error(), c.nowUs)
		return modeRefused, err.Error()
	}
	return modeWait, ""
}

// empty counts what no sibling is known to hold and starts over.
func (c *Core) empty(p *peer, why string) error {
	e := Emptying{Peer: p.name, Why: why, HeldElsewhere: clock.Vector{}}
	for _, other := range c.peers {
		e.HeldElsewhere.Merge(other.acked)
	}
	end := c.host.LogEnd()
	for pos := c.positionFor(e.HeldElsewhere); pos < end; {
		recs, next, err := c.host.ReadLog(pos, MaxFrameBytes)
		if err != nil || next <= pos {
			break // what cannot be read cannot be counted; the region is emptied all the same
		}
		for _, rec := range recs {
			b, err := op.ParseBatch(rec)
			if err == nil && b.Origin.Region() == c.self.Origin.Region() && b.Last() > e.HeldElsewhere[b.Origin] {
				e.UnsentBatches++
				e.UnsentBytes += int64(len(rec))
			}
		}
		pos = next
	}
	if err := c.host.Empty(e); err != nil {
		return err
	}
	c.begin()
	for _, name := range c.names {
		other := c.peers[name]
		c.newToken(other)
		other.held, other.parts, other.outgoing = 0, nil, nil
		other.takenID, other.takenFromNow = 0, false
		other.takenBeyond, other.takenFinal, other.owed, other.tracksOwed = nil, nil, nil, false
		other.suspended, other.cutSinceUs, other.granted, other.doomedUs = false, 0, 0, 0
		other.acked, other.synced, other.have = nil, nil, nil
		other.history = history{}
	}
	return nil
}

// firmUp makes a tentative id firm once every configured sibling is linked
// under it.
func (c *Core) firmUp() {
	if c.self.Firmness == Firm || len(c.names) == 0 {
		return
	}
	for _, name := range c.names {
		if p := c.peers[name]; !c.alive(p) || p.mode != modeLinked || p.info.deployment != c.self.Deployment {
			return
		}
	}
	if err := c.host.AdoptDeployment(c.self.Deployment, Firm); err == nil {
		c.identityChanged()
	}
}
