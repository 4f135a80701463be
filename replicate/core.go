package replicate

import (
	"errors"
	"slices"
	"time"

	"geocache/clock"
	"geocache/op"
)

var (
	// ErrCut is what Host.ReadLog returns, wrapped or plain, when the log no
	// longer holds the position asked for.
	ErrCut = errors.New("replicate: log is cut before that position")
	// ErrNotYet is what Host.StateDone returns, wrapped or plain, while it is at
	// work: it is called again.
	ErrNotYet = errors.New("replicate: not yet done")
	// ErrFull is what Host.Apply and ApplyState return, wrapped or plain, when
	// the region can take no more for now.
	ErrFull = errors.New("replicate: region is full")
)

// Firmness says whether a deployment id may still give way to another.
type Firmness uint8

// A region that begins fresh has a tentative id; one that held data before its
// first sibling, or has been linked with all of them, a firm one.
const (
	Tentative Firmness = iota
	Firm
)

// Content says whether a region holds anything.
type Content uint8

// The contents of a region.
const (
	NoData Content = iota
	HasData
)

// Identity is who the region is.
type Identity struct {
	Region     string
	Origin     clock.Origin // of the present incarnation
	Deployment uint64
	Firmness   Firmness
	Content    Content
	Former     []uint64 // firm deployment ids that were merged into Deployment; the newest 16 count
}

// StateEntry is the whole state of one key, as op.KeyState encodes it.
type StateEntry struct {
	DB         int
	Key, State []byte
}

// Copy names a transfer. What its source had applied when it began, Vector, is
// in the copy or gone: a cell that is here, covered by Vector and not in the
// copy was removed, and the removal may be forgotten by now. So the host drops
// such cells, of the keys that the copy names and, at its end, of all others.
// Nothing of the log is applied meanwhile.
type Copy struct {
	ID     uint64
	Vector clock.Vector
}

// Emptying tells a host why it must drop its data, and what is lost.
type Emptying struct {
	Peer          string       // who is to give the new copy
	Why           string       // for the operator
	HeldElsewhere clock.Vector // what siblings said they had applied, at least
	UnsentBatches int          // own batches in the log that are beyond it
	UnsentBytes   int64
}

// Host is what the core asks of its region, synchronously. An error of any call
// is kept for status and the call is tried again later.
type Host interface {
	// Vector is a copy of what is applied; Synced of what is applied and durable.
	Vector() clock.Vector
	Synced() clock.Vector
	// LogFirst and LogEnd bound the readable positions, [first, end), one per
	// batch.
	LogFirst() uint64
	LogEnd() uint64
	// ReadLog returns encoded batches from a position on, at least one if there
	// is one and then no more than maxBytes, and the position after them. The
	// slices are only read, and not after the next call of the core.
	ReadLog(from uint64, maxBytes int) (recs [][]byte, next uint64, err error)
	// Apply takes a checked batch that is the next of its origin and whose
	// dependencies are applied. It copies what it keeps.
	Apply(b op.Batch) error
	// ExportState walks all keys, tombstones included. Cursor 0 begins; next 0
	// ends. Changes made during the walk may or may not be seen.
	ExportState(cursor uint64, maxBytes int) (entries []StateEntry, next uint64, err error)
	// ApplyState takes in part of a copy. It copies what it keeps.
	ApplyState(c Copy, entries []StateEntry) error
	// StateDone ends a copy: it raises the vector to include c.Vector,
	// atomically, after everything joined before is durable. With ErrNotYet it
	// is called again on a later Tick, with the same c unless the transfer was
	// given up.
	StateDone(c Copy) error
	Identity() Identity
	// AdoptDeployment makes id the region's deployment. A firm id that it
	// replaces goes to Identity.Former.
	AdoptDeployment(id uint64, f Firmness) error
	// Empty drops all data and log and begins a new incarnation, durably.
	Empty(e Emptying) error
	// HLCNow is a reading such that later own writes are stamped at or above it.
	HLCNow() clock.Reading
	// WallMs is the plain wall clock, which no sibling can drag.
	WallMs() int64
}

// Config sets a core's limits; zero values mean the defaults.
type Config struct {
	Rand            *clock.Rand // names sessions; required
	Heartbeat       time.Duration
	AckDelay        time.Duration // how long acknowledgements are gathered
	DeadAfter       time.Duration // silence after which a link counts as dead
	RelayAfter      time.Duration // a sibling's entry not moving so long is helped along
	SuspendAfter    time.Duration // a gap nobody filled for so long suspends the sibling
	MaxClockSkew    time.Duration // how far ahead of the wall clock a batch may be stamped
	WindowBytes     int           // unacknowledged bytes per peer
	BufferBytes     int           // received, not yet applicable bytes per peer
	MaxMessageBytes int           // longest batch or state chunk accepted
	Removed         []Removed     // what a former core's Removed returned
	Fault           Fault         // for tests only
}

// Removed remembers a region that left: it may return only as a later
// incarnation, and empty.
type Removed struct {
	Name   string
	Origin clock.Origin
}

func (c Config) withDefaults() Config {
	setDuration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	setInt := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	setDuration(&c.Heartbeat, 150*time.Millisecond)
	setDuration(&c.AckDelay, 2*time.Millisecond)
	setDuration(&c.DeadAfter, 3*time.Second)
	setDuration(&c.RelayAfter, time.Second)
	setDuration(&c.SuspendAfter, 10*time.Second)
	setDuration(&c.MaxClockSkew, time.Minute)
	setInt(&c.WindowBytes, 8<<20)
	setInt(&c.BufferBytes, 16<<20)
	setInt(&c.MaxMessageBytes, 1<<30)
	return c
}

// SetMaxClockSkew changes how far ahead of the wall clock a batch may be
// stamped.
func (c *Core) SetMaxClockSkew(d time.Duration) { c.cfg.MaxClockSkew = d }

// Outgoing is a frame to send; it belongs to whoever received it from Ready.
type Outgoing struct {
	Peer  string
	Frame []byte
}

// Fault is a mistake planted by a test that wants to see the checkers find it.
// Nothing a server is started with sets one.
type Fault uint8

const (
	FaultNone Fault = iota
	FaultLoseCursor
	FaultIgnoreDeps
	FaultIgnoreOrder
	FaultAckUnapplied
	FaultForgetTransferVector
)

const (
	maxMarks     = 512
	markEveryUs  = 5_000
	retryApplyUs = 50_000
)

// mark pairs a log position with a vector that covers every batch before it.
type mark struct {
	pos    uint64
	vec    clock.Vector
	timeUs int64
}

// Core is one region's end of all its sibling links.
type Core struct {
	cfg   Config
	host  Host
	nowUs int64
	self  Identity
	// vec is Host.Vector as of the last entry into the core, kept up over Apply.
	vec        clock.Vector
	bornEmpty  bool // this core's incarnation began with nothing
	peers      map[string]*peer
	names      []string // of peers, ascending
	turn       int      // whose turn it is to be first in Ready
	removed    map[string]clock.Origin
	attachment []byte
	marks      []mark // positions and vectors ascend
	rejudge    bool   // the own identity changed: links have to be judged again
	out        []Outgoing
	receiver
}

// New makes a core without peers.
func New(cfg Config, host Host) *Core {
	c := &Core{
		cfg: cfg.withDefaults(), host: host,
		peers: map[string]*peer{}, removed: map[string]clock.Origin{},
	}
	for _, r := range cfg.Removed {
		c.removed[r.Name] = r.Origin
	}
	c.begin()
	return c
}

// begin takes up the region's present incarnation.
func (c *Core) begin() {
	c.refreshSelf()
	c.receiver = receiver{queues: map[clock.Origin]*queue{}}
	c.marks = nil
	c.enter(c.nowUs)
	c.bornEmpty = len(c.vec) == 0 && c.self.Content == NoData
	c.addMark()
}

// enter notes the time and what changed in the region since the last call.
func (c *Core) enter(nowUs int64) {
	if c.nowUs == 0 && len(c.marks) > 0 {
		c.marks[0].timeUs = nowUs // made before there was a time
	}
	c.nowUs = max(c.nowUs, nowUs)
	c.vec = c.host.Vector()
}

// LogGrew tells that the region's log has new batches; Ready sends them.
func (c *Core) LogGrew(nowUs int64) {
	c.nowUs = max(c.nowUs, nowUs)
	if c.nowUs-c.marks[len(c.marks)-1].timeUs >= markEveryUs {
		c.addMark()
	}
}

// addMark remembers the log's end. The vector is read after the end, so it
// covers at least what is before.
func (c *Core) addMark() {
	pos := c.host.LogEnd()
	if n := len(c.marks); n > 0 && c.marks[n-1].pos >= pos {
		return
	}
	if len(c.marks) >= maxMarks {
		kept := c.marks[:0]
		for i, m := range c.marks {
			if i%2 == 1 || i > maxMarks/2 {
				kept = append(kept, m)
			}
		}
		c.marks = kept
	}
	c.marks = append(c.marks, mark{pos, c.host.Vector(), c.nowUs})
}

// trimMarks forgets marks before the log's first position, but for the newest
// of them: it still says what the cut part of the log held.
func (c *Core) trimMarks() {
	first := c.host.LogFirst()
	for len(c.marks) > 1 && c.marks[1].pos <= first {
		c.marks = slices.Delete(c.marks, 0, 1)
	}
}

// positionFor is a log position before which v covers everything.
func (c *Core) positionFor(v clock.Vector) uint64 {
	if c.cfg.Fault == FaultLoseCursor {
		return c.host.LogEnd()
	}
	first := c.host.LogFirst()
	for i := len(c.marks) - 1; i >= 0; i-- {
		if v.CoversAll(c.marks[i].vec) {
			return max(first, c.marks[i].pos)
		}
	}
	return first
}

// Tick drives everything that depends on time; it wants to be called every 10
// ms or so.
func (c *Core) Tick(nowUs int64) {
	c.enter(nowUs)
	if c.nowUs-c.marks[len(c.marks)-1].timeUs >= markEveryUs {
		c.addMark()
	}
	c.trimMarks()
	c.retryApply()
	c.dropStale()
	c.checkSource()
	c.settleOwed()
	if c.rejudge {
		c.rejudge = false
		for _, name := range c.names {
			c.judge(c.peers[name])
		}
	}
	for _, name := range c.names {
		c.tickPeer(c.peers[name])
	}
	c.firmUp()
}

func (c *Core) tickPeer(p *peer) {
	p.settle(c.vec)
	if !p.established {
		return
	}
	if p.unheardFor(c.nowUs) > c.cfg.DeadAfter.Microseconds() {
		if !p.deadNoted {
			p.deadNoted = true
			p.note("nothing heard", c.nowUs)
		}
		if p.up && c.nowUs-p.tokenUs > c.cfg.DeadAfter.Microseconds() {
			c.newToken(p)
		}
		return
	}
	p.deadNoted = false
	if p.mode == modeLinked {
		c.resend(p)
		c.helpAlong(p)
		c.checkCut(p)
	}
}

// Ready returns the frames to send now, fairly between peers: each gets what
// its window allows, and the first place rotates.
func (c *Core) Ready() []Outgoing {
	c.vec = c.host.Vector()
	c.out = nil
	for i := range c.names {
		p := c.peers[c.names[(c.turn+i)%len(c.names)]]
		if !p.up {
			continue
		}
		c.sendHello(p)
		if !p.established {
			continue
		}
		if p.mode == modeLinked {
			c.answerNacks(p)
			c.push(p)
			c.pumpTransfer(p)
		}
		c.sendReport(p)
	}
	c.turn++
	out := c.out
	c.out = nil
	return out
}

// send puts one message out, in parts if it is longer than a frame.
func (c *Core) send(p *peer, k kind, payload []byte) {
	p.traffic.RawOut += int64(len(payload))
	if len(payload) <= MaxFrameBytes {
		c.sendFrame(p, k, payload)
		return
	}
	pt := part{kind: k, id: messageID(k, payload), total: uint64(len(payload))}
	for start := 0; start < len(payload); start += partBytes {
		pt.bytes = payload[start:min(start+partBytes, len(payload))]
		c.sendFrame(p, kindPart, pt.append(make([]byte, 0, partHeadBytes+len(pt.bytes))))
		pt.index++
	}
}

func (c *Core) sendFrame(p *peer, k kind, payload []byte) {
	f := appendFrame(k, c.self.Region, p.session(), payload)
	p.traffic.WireOut += int64(len(f))
	c.out = append(c.out, Outgoing{p.name, f})
}

// SetAttachment sets the bytes that heartbeats carry to every sibling, at most 8
// KB; they are copied. Longer ones are an error.
func (c *Core) SetAttachment(b []byte) error {
	if len(b) > maxAttachment {
		return errors.New("replicate: attachment is too long")
	}
	c.attachment = slices.Clone(b)
	return nil
}
