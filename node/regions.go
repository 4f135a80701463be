package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geocache/clock"
	"geocache/command"
	"geocache/config"
	"geocache/geo"
	"geocache/persist"
	"geocache/replicate"
	"geocache/resp"
)

// repl is the node's side of the sibling protocol and of the region
// directory.
type repl struct {
	mu struct {
		sync.Mutex
		core      *replicate.Core
		draining  command.Switch
		attached  string                     // the attachment sent last
		heard     map[string]string          // newest attachments
		linkErrs  map[string]string          // why the transport cannot reach a sibling
		lags      map[string]int64           // by sibling, in milliseconds, or geo.Unknown
		states    map[string]replicate.State // as they were logged
		former    []uint64
		refusedMs int64               // when a refused frame was last logged
		copying   bool                // metaCopying is set
		removed   []replicate.Removed // as metaRemoved has it
		// ending is the vector of a copy that is all here, while a checkpoint
		// after number endingFrom brings it to disk.
		ending     clock.Vector
		endingFrom int64
	}
	dir     *geo.Directory
	locator atomic.Pointer[geo.Locator]

	inbox struct {
		sync.Mutex
		frames []Frame
		bytes  int
	}
	grew     atomic.Bool
	siblings atomic.Pointer[[]Sibling]
	syncing  atomic.Bool
	stable   atomic.Pointer[clock.Vector]
	retain   atomic.Uint64
	lastMs   int64
	changing atomic.Bool // a REGION command is setting `sibling`
	// generation of the sibling added last; Node.reconfigure guards it.
	generation uint64
}

// Frame is one frame of the sibling protocol, with the sibling it comes from
// or goes to.
type Frame struct {
	Peer string
	Data []byte
}

// Sibling is a configured sibling and where its client port is.
type Sibling struct {
	Name, Endpoint string
	// Generation is another one when a sibling was removed and added again,
	// even if all else is as before.
	Generation uint64
}

// maxInboxBytes bounds frames received and not yet stepped; beyond it a frame
// is refused, which its sender takes as loss.
const maxInboxBytes = 64 << 20

var errInboxFull = errors.New("too many frames are waiting")

// openRegions builds the directory and, where siblings are configured, the
// protocol core.
func (n *Node) openRegions() error {
	snap := n.conf.Load()
	r := &n.repl
	r.mu.heard, r.mu.linkErrs, r.mu.lags = map[string]string{}, map[string]string{}, map[string]int64{}
	r.mu.states = map[string]replicate.State{}
	dir, err := geo.NewDirectory(n.selfMember(snap))
	if err != nil {
		return err
	}
	r.dir = dir
	if err := n.SetGeoIP(n.opts.GeoIP); err != nil {
		return err
	}
	n.commit.onGrow = func() {
		if r.siblings.Load() != nil {
			r.grew.Store(true)
			n.opts.WakeLinks()
		}
	}
	if len(snap.Siblings) == 0 {
		return nil
	}
	return n.startCore(snap)
}

func maxClockSkew(s *config.Snapshot) time.Duration {
	return time.Duration(s.MaxClockSkewMs) * time.Millisecond
}

// SetGeoIP replaces the database that tells where addresses are, a file in
// MaxMind's format; nil takes it away.
func (n *Node) SetGeoIP(file []byte) error {
	if file == nil {
		n.repl.locator.Store(nil)
		return nil
	}
	l, err := geo.NewLocator(file)
	if err != nil {
		return fmt.Errorf("geoip-file: %w", err)
	}
	n.repl.locator.Store(l)
	return nil
}

// describeSelf makes CONFIG SET of this region's place and endpoint known.
func (n *Node) describeSelf(_, next *config.Snapshot) error {
	return n.repl.dir.Put(n.selfMember(next))
}

func (n *Node) selfMember(snap *config.Snapshot) geo.Member {
	m := geo.Member{Name: regionName(snap), Endpoint: snap.RegionEndpoint}
	if m.Endpoint == "" {
		port := snap.Port
		if port == 0 {
			port = snap.TLSPort
		}
		m.Endpoint = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String()
	}
	if l := snap.RegionLocation; l.Known {
		m.Point, m.Located = geo.Point{Lat: l.Lat, Lon: l.Lon}, true
	}
	return m
}

// startCore begins the protocol with the configured siblings. The store is
// open.
func (n *Node) startCore(snap *config.Snapshot) error {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := n.newCore(snap); err != nil {
		return err
	}
	for _, s := range snap.Siblings {
		if err := n.addPeer(s, replicate.IntentNone); err != nil {
			return err
		}
	}
	n.publishSiblings(snap.Siblings)
	return nil
}

// newCore makes the protocol core with what the store remembers; repl.mu is
// held.
func (n *Node) newCore(snap *config.Snapshot) error {
	r := &n.repl
	cfg := replicate.Config{Rand: n.rand, MaxClockSkew: maxClockSkew(snap), Fault: n.opts.Faults.Replicate}
	members, err := n.disk.db.Load().Members()
	if err != nil {
		return err
	}
	if b, ok := members[metaRemoved]; ok {
		if err := json.Unmarshal(b, &cfg.Removed); err != nil {
			return fmt.Errorf("removed regions in the data directory: %w", err)
		}
	}
	if b, ok := members[metaFormer]; ok {
		if err := json.Unmarshal(b, &r.mu.former); err != nil {
			return fmt.Errorf("former deployments in the data directory: %w", err)
		}
	}
	r.mu.removed = cfg.Removed
	n.engine.SetReclaimLimit(0) // until siblings have said how late it is there
	r.mu.core = replicate.New(cfg, host{n})
	return nil
}

// Names under which the store keeps what is not a member. Region names have no
// leading "@".
const (
	metaRemoved = "@removed"
	metaFormer  = "@former"
	// metaCopying is set while parts of a copy are here that the log does not
	// vouch for: a start that finds it begins empty.
	metaCopying = "@copying"
)

func (n *Node) addPeer(s config.Sibling, intent replicate.Intent) error {
	m := geo.Member{Name: s.Name, Endpoint: s.Endpoint}
	if s.Location.Known {
		m.Point, m.Located = geo.Point{Lat: s.Location.Lat, Lon: s.Location.Lon}, true
	}
	if err := n.repl.mu.core.AddPeer(s.Name, replicate.PeerOptions{Intent: intent}); err != nil {
		return err
	}
	return n.repl.dir.Put(m)
}

func (n *Node) publishSiblings(list []config.Sibling) {
	r := &n.repl
	if len(list) == 0 {
		r.siblings.Store(nil)
		return
	}
	before := n.Siblings()
	var ss []Sibling
	for _, s := range list {
		same := func(b Sibling) bool { return b.Name == s.Name && b.Endpoint == s.Endpoint }
		if i := slices.IndexFunc(before, same); i >= 0 {
			ss = append(ss, before[i])
			continue
		}
		r.generation++
		ss = append(ss, Sibling{s.Name, s.Endpoint, r.generation})
	}
	r.siblings.Store(&ss)
	n.opts.WakeLinks()
}

// Siblings lists the configured siblings, for the links.
func (n *Node) Siblings() []Sibling {
	if p := n.repl.siblings.Load(); p != nil {
		return *p
	}
	return nil
}

// TakeFrames steps the protocol with everything that has arrived or was
// committed and returns the frames to send. One goroutine calls it, after
// WakeLinks and after every Tick.
func (n *Node) TakeFrames() []Frame {
	r := &n.repl
	r.inbox.Lock()
	in := r.inbox.frames
	r.inbox.frames = nil
	r.inbox.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.core == nil {
		return nil
	}
	now := n.opts.Micros()
	n.stepFrames(in, now)
	if err := n.keepRemoved(); err != nil {
		n.diskFailed(err)
	}
	if r.grew.Swap(false) {
		r.mu.core.LogGrew(now)
	}
	var out []Frame
	for _, o := range r.mu.core.Ready() {
		out = append(out, Frame{o.Peer, o.Frame})
	}
	r.syncing.Store(r.mu.core.Syncing())
	if r.mu.copying && !r.mu.core.CopyPending() {
		if err := n.markCopying(false); err != nil {
			n.log.Error("the mark of a copy cannot be removed", "error", err)
		}
	}
	return out
}

// keepRemoved brings the list of removed regions to disk where it changed:
// before a region that returned is linked. repl.mu is held.
func (n *Node) keepRemoved() error {
	r := &n.repl
	removed := r.mu.core.Removed()
	if slices.Equal(removed, r.mu.removed) {
		return nil
	}
	b, err := json.Marshal(removed)
	if err == nil {
		err = n.disk.db.Load().SetMember(metaRemoved, b)
	}
	if err == nil {
		r.mu.removed = removed
	}
	return err
}

// stepMicros is how long frames are stepped before answers and other work get
// their turn.
const stepMicros = 5_000

// stepFrames steps frames for a while; the rest waits for the next call.
// repl.mu is held.
func (n *Node) stepFrames(in []Frame, now int64) {
	r := &n.repl
	size, i := 0, 0
	for ; i < len(in) && (i == 0 || n.opts.Micros()-now < stepMicros); i++ {
		f := in[i]
		size += len(f.Data)
		if err := r.mu.core.Step(f.Peer, f.Data, now); err != nil {
			n.refusedFrame(f.Peer, err)
		}
	}
	r.inbox.Lock()
	defer r.inbox.Unlock()
	r.inbox.bytes -= size
	if rest := in[i:]; len(rest) > 0 {
		r.inbox.frames = append(rest, r.inbox.frames...)
		n.opts.WakeLinks()
	}
}

// refusedMs is the least time between two log lines about refused frames: any
// client that may send frames may send bad ones.
const refusedMs = 1000

// refusedFrame logs a frame that breaks the protocol; repl.mu is held.
func (n *Node) refusedFrame(from string, err error) {
	now := n.wall.NowMs()
	if since := now - n.repl.mu.refusedMs; since >= 0 && since < refusedMs {
		return
	}
	n.repl.mu.refusedMs = now
	n.log.Warn("a sibling's frame was refused", "region", from, "error", err)
}

// markCopying keeps the durable mark of a copy that is not complete; repl.mu is
// held.
func (n *Node) markCopying(on bool) error {
	db := n.disk.db.Load()
	var err error
	if on {
		err = db.SetMember(metaCopying, []byte{1})
	} else {
		err = db.DeleteMember(metaCopying)
	}
	if err == nil {
		n.repl.mu.copying = on
	}
	return err
}

// LinkUp and LinkDown are the transport's word on whether frames can reach a
// sibling.
func (n *Node) LinkUp(peer string) {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.core != nil {
		delete(r.mu.linkErrs, peer)
		r.mu.core.LinkUp(peer, n.opts.Micros())
	}
}

// LinkDown is the opposite of LinkUp; err is why.
func (n *Node) LinkDown(peer string, err error) {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.core != nil {
		r.mu.linkErrs[peer] = err.Error()
		r.mu.core.LinkDown(peer, n.opts.Micros())
	}
}

// LinkRefused is the transport's word that the sibling answers frames with err,
// as one does that does not know this region; nil means that it takes them.
func (n *Node) LinkRefused(peer string, err error) {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.mu.linkErrs[peer] = err.Error()
	} else {
		delete(r.mu.linkErrs, peer)
	}
}

// LinkSample is one exchange with a sibling, for health and round trips; a
// failed one has no round trip.
func (n *Node) LinkSample(peer string, o geo.Outcome, rtt time.Duration) {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	n.sampleLink(peer, o, rtt)
}

// sampleLink tells the directory how an exchange with a sibling went.
func (n *Node) sampleLink(peer string, o geo.Outcome, rtt time.Duration) {
	r := &n.repl
	_ = r.dir.Observe(peer, o, rtt, r.mu.lags[peer], n.wall.NowMs()) // a sibling removed meanwhile
}

// linkTickMs is how often directory and attachments are brought up to date.
const linkTickMs = 100

// tickLinks belongs to Tick.
func (n *Node) tickLinks() {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.mu.core
	if c == nil {
		return
	}
	c.SetMaxClockSkew(maxClockSkew(n.conf.Load()))
	c.Tick(n.opts.Micros())
	now := n.wall.NowMs()
	if now-r.lastMs < linkTickMs && now >= r.lastMs {
		n.opts.WakeLinks()
		return
	}
	r.lastMs = now
	r.dir.Tick(now)
	v := c.Stable()
	r.stable.Store(&v)
	r.retain.Store(c.RetainFrom())
	if n.Configured() {
		n.engine.SetReclaimLimit(c.MinPeerReadingMs())
	}
	peers := c.Peers()
	n.stats.peers.Store(&peers)
	for _, p := range peers {
		n.hear(p)
	}
	n.say()
	n.opts.WakeLinks()
}

// word is what a region tells its siblings of itself beside the protocol: its
// attachment.
type word struct {
	Endpoint   string
	Lat, Lon   float64
	Located    bool
	Drain      bool
	State      string
	Coordinate []byte
	RTTMs      map[string]float64
}

// say renews the attachment.
func (n *Node) say() {
	r := &n.repl
	self := r.dir.Load().Self()
	w := word{
		// Without region-endpoint siblings keep to what their own configuration says.
		Endpoint: n.conf.Load().RegionEndpoint, Lat: self.Point.Lat, Lon: self.Point.Lon, Located: self.Located,
		Drain:      r.mu.draining == command.On,
		State:      n.ownState().String(),
		Coordinate: geo.AppendCoordinate(nil, r.dir.Coordinate()),
		RTTMs:      map[string]float64{},
	}
	for _, s := range n.Siblings() {
		if rtt := r.dir.Load().RTTMs(self.Name, s.Name); rtt >= 0 {
			w.RTTMs[s.Name] = float64(int64(rtt*100)) / 100
		}
	}
	b, err := json.Marshal(w)
	if err != nil || string(b) == r.mu.attached {
		return
	}
	if r.mu.core.SetAttachment(b) == nil {
		r.mu.attached = string(b)
	}
}

// ownState is the condition of this region that siblings should know.
func (n *Node) ownState() geo.State {
	switch {
	case n.repl.mu.core.Syncing():
		return geo.Syncing
	case n.repl.mu.core.Full():
		return geo.Full
	}
	return geo.Up
}

// hear takes in what a sibling said, and how its link is.
func (n *Node) hear(p replicate.PeerStatus) {
	r := &n.repl
	state := geo.Up
	r.mu.lags[p.Name] = p.LagInMs
	n.noteState(p)
	switch p.State {
	case replicate.StateDown:
		// Silence on a connection that still stands counts as failing.
		n.sampleLink(p.Name, geo.Failed, 0)
	case replicate.StateSuspended, replicate.StateRefused, replicate.StateVersion:
		state = geo.Suspended
	case replicate.StateClock:
		state = geo.Clock
	}
	if b := string(p.Attachment); b != "" {
		var w word
		if json.Unmarshal(p.Attachment, &w) != nil {
			return
		}
		switch w.State {
		case geo.Syncing.String():
			state = geo.Syncing
		case geo.Full.String():
			state = geo.Full
		}
		if b != r.mu.heard[p.Name] {
			r.mu.heard[p.Name] = b
			n.hearWord(p.Name, w)
		}
	}
	_ = r.dir.SetState(p.Name, state) // a sibling removed meanwhile
}

// noteState logs that a link's state has changed, where the transport does not
// say so itself; repl.mu is held.
func (n *Node) noteState(p replicate.PeerStatus) {
	r := &n.repl
	was := r.mu.states[p.Name]
	if was == p.State {
		return
	}
	r.mu.states[p.Name] = p.State
	switch p.State {
	case replicate.StateDown, replicate.StateConnecting:
	case replicate.StateUp, replicate.StateSyncing:
		n.log.Info("sibling "+string(p.State), "region", p.Name)
	default:
		n.log.Warn("sibling "+string(p.State), "region", p.Name, "reason", p.Reason)
	}
}

func (n *Node) hearWord(name string, w word) {
	dir := n.repl.dir
	reg, ok := dir.Load().Get(name)
	if !ok {
		return
	}
	m := geo.Member{Name: name, Endpoint: w.Endpoint, Point: reg.Point, Located: reg.Located}
	if w.Located {
		m.Point, m.Located = geo.Point{Lat: w.Lat, Lon: w.Lon}, true
	}
	if m.Endpoint == "" {
		m.Endpoint = reg.Endpoint
	}
	drain := geo.DrainOff
	if w.Drain {
		drain = geo.DrainOn
	}
	err := errors.Join(dir.Put(m), dir.SetDrain(name, drain))
	if c, _, cerr := geo.ParseCoordinate(w.Coordinate); cerr == nil {
		err = errors.Join(err, dir.SetCoordinate(name, c))
	}
	for to, ms := range w.RTTMs {
		if _, known := dir.Load().Get(to); known {
			err = errors.Join(err, dir.ObserveMatrix(name, to, time.Duration(ms*float64(time.Millisecond))))
		}
	}
	if err != nil {
		n.log.Warn("a sibling's word about itself was refused", "region", name, "error", err)
	}
}

// stable is what every member has acknowledged as synced.
func (n *Node) stable() clock.Vector {
	if v := n.repl.stable.Load(); v != nil {
		return *v
	}
	return nil
}

// retainFrom is the log position from which siblings still need the log.
func (n *Node) retainFrom() uint64 {
	if n.Siblings() == nil {
		return math.MaxUint64
	}
	return n.repl.retain.Load()
}

// Regions implements command.Host.
func (n *Node) Regions() command.Regions { return n }

// Configured implements command.Regions.
func (n *Node) Configured() bool { return n.Siblings() != nil }

// Syncing implements command.Regions.
func (n *Node) Syncing() bool { return n.repl.syncing.Load() }

// Frame implements command.Regions: the frame waits for the next TakeFrames.
func (n *Node) Frame(from string, frame []byte) error {
	in := &n.repl.inbox
	in.Lock()
	defer in.Unlock()
	if in.bytes+len(frame) > maxInboxBytes {
		return errInboxFull
	}
	known := false
	for _, s := range n.Siblings() {
		known = known || s.Name == from
	}
	if !known {
		return resp.NoSuchRegion([]byte(from))
	}
	in.frames = append(in.frames, Frame{from, append([]byte(nil), frame...)})
	in.bytes += len(frame)
	n.opts.WakeLinks()
	return nil
}

// SetDrain implements command.Regions.
func (n *Node) SetDrain(v command.Switch) {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.draining = v
	drain := geo.DrainOff
	if v == command.On {
		drain = geo.DrainOn
	}
	if err := r.dir.SetDrain(r.dir.Load().Self().Name, drain); err != nil {
		n.log.Error("drain", "error", err)
	}
	if r.mu.core != nil {
		n.say()
	}
}

// digestTries bounds how often Digest waits for a moment of its own.
const digestTries = 3

// Digest implements command.Regions.
func (n *Node) Digest() (uint64, string) {
	var d uint64
	var v clock.Vector
	for range digestTries {
		v = n.commit.Vector()
		d = n.engine.Digest(n.wall.NowMs())
		if v.Equal(n.commit.Vector()) {
			break
		}
	}
	return d, v.String()
}

// Closest implements command.Regions.
func (n *Node) Closest(q command.ClosestQuery) ([]command.ClosestAnswer, resp.Error) {
	gq := geo.Query{MaxLagMs: q.MaxLagMs, Count: q.Count}
	if q.ByRTT == command.On {
		gq.By = geo.ByRTT
	}
	switch {
	case q.Located == command.On:
		gq.Point, gq.Located = geo.Point{Lat: q.Lat, Lon: q.Lon}, true
		var re *geo.RangeError
		if err := gq.Point.Validate(); errors.As(err, &re) {
			if re.Argument == "latitude" {
				return nil, resp.ErrLatitude
			}
			return nil, resp.ErrLongitude
		}
	case q.ClientIP != "":
		a, err := netip.ParseAddr(q.ClientIP)
		if loc := n.repl.locator.Load(); loc != nil && err == nil {
			gq.Point, gq.Located = loc.Locate(a)
		}
	}
	var as []command.ClosestAnswer
	for _, x := range n.repl.dir.Load().Rank(gq) {
		as = append(as, command.ClosestAnswer{
			Name: x.Name, Endpoint: x.Endpoint, DistanceKm: x.DistanceKm, RTTMs: x.RTTMs, LagMs: float64(x.LagMs), State: x.State.String(),
		})
	}
	return as, ""
}

// List implements command.Regions.
func (n *Node) List() []command.RegionInfo {
	r := &n.repl
	snap := r.dir.Load()
	self := snap.Self()
	r.mu.Lock()
	var peers []replicate.PeerStatus
	linkErrors := map[string]string{}
	if r.mu.core != nil {
		peers = r.mu.core.Peers()
		maps.Copy(linkErrors, r.mu.linkErrs)
	}
	r.mu.Unlock()
	list := []command.RegionInfo{{Name: self.Name, Fields: append(placeFields(self, "self"),
		command.Field{Name: "origin", Value: n.engine.Origin().String()},
		command.Field{Name: "vector", Value: n.commit.Vector().String()},
		command.Field{Name: "deployment", Value: fmt.Sprintf("%016x", n.identity().Deployment)},
	)}}
	for _, p := range peers {
		reg, ok := snap.Get(p.Name)
		if !ok {
			continue
		}
		f := placeFields(reg, "sibling")
		f = append(f,
			command.Field{Name: "link", Value: string(p.State)},
			command.Field{Name: "reason", Value: p.Reason},
			command.Field{Name: "rtt-ms", Value: float64(p.RTTUs) / 1000},
			command.Field{Name: "lag-in-ms", Value: p.LagInMs},
			command.Field{Name: "lag-out-ms", Value: p.LagOutMs},
			command.Field{Name: "backlog-batches", Value: int64(p.BacklogBatches)},
			command.Field{Name: "in-flight-bytes", Value: p.InFlightBytes},
			command.Field{Name: "bytes-in", Value: p.Traffic.WireIn},
			command.Field{Name: "bytes-out", Value: p.Traffic.WireOut},
			command.Field{Name: "batches-applied", Value: p.Traffic.Applied},
			command.Field{Name: "origin", Value: p.Origin.String()},
			command.Field{Name: "acked", Value: p.Acked.String()},
			command.Field{Name: "link-error", Value: linkErrors[p.Name]},
			command.Field{Name: "last-error", Value: p.LastError},
		)
		list = append(list, command.RegionInfo{Name: p.Name, Fields: f})
	}
	return list
}

func placeFields(reg geo.Region, role string) []command.Field {
	f := []command.Field{{Name: "role", Value: role}, {Name: "endpoint", Value: reg.Endpoint}, {Name: "state", Value: reg.State.String()}}
	if reg.Located {
		f = append(f, command.Field{Name: "latitude", Value: reg.Point.Lat}, command.Field{Name: "longitude", Value: reg.Point.Lon})
	}
	return f
}

// Add implements command.Regions.
func (n *Node) Add(spec command.RegionSpec) error {
	n.reconfigure.Lock()
	defer n.reconfigure.Unlock()
	snap := n.conf.Load()
	s := config.Sibling{Name: spec.Name, Endpoint: spec.Endpoint}
	if spec.Located == command.On {
		s.Location = config.Location{Lat: spec.Lat, Lon: spec.Lon, Known: true}
	}
	if spec.Name == regionName(snap) {
		return resp.RegionExists([]byte(spec.Name))
	}
	intent := map[command.JoinMode]replicate.Intent{
		command.JoinRefuse: replicate.IntentNone, command.JoinMerge: replicate.IntentMerge, command.JoinEmpty: replicate.IntentEmpty,
	}[spec.Join]
	for _, have := range snap.Siblings {
		if have.Name == spec.Name {
			if have.Endpoint != spec.Endpoint || intent == replicate.IntentNone {
				return resp.RegionExists([]byte(spec.Name))
			}
			return n.joinAs(have.Name, intent)
		}
		if clock.RegionID(have.Name) == clock.RegionID(spec.Name) {
			return fmt.Errorf("the names %q and %q have the same region id: choose another name", have.Name, spec.Name)
		}
	}
	if !n.dbMapIsIdentity() {
		return errors.New("SWAPDB was used: its databases have to be swapped back before the first sibling is added")
	}
	siblings := append(append([]config.Sibling(nil), snap.Siblings...), s)
	if err := n.setSiblings(siblings); err != nil {
		return err
	}
	if len(snap.Siblings) == 0 {
		if err := n.joinDeployment(); err != nil {
			return errors.Join(err, n.setSiblings(snap.Siblings))
		}
	}
	r := &n.repl
	r.mu.Lock()
	var err error
	if r.mu.core == nil {
		err = n.newCore(snap)
	}
	if err == nil {
		err = n.addPeer(s, intent)
	}
	r.mu.Unlock()
	if err != nil {
		return errors.Join(err, n.setSiblings(snap.Siblings))
	}
	if err := n.rememberMember(s); err != nil {
		return err
	}
	n.publishSiblings(siblings)
	return nil
}

// joinAs says of a configured sibling, whose link may be refused, how to join.
func (n *Node) joinAs(name string, intent replicate.Intent) error {
	r := &n.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.mu.core.AddPeer(name, replicate.PeerOptions{Intent: intent})
	n.opts.WakeLinks()
	return err
}

// setSiblings changes the configuration for a REGION command.
func (n *Node) setSiblings(list []config.Sibling) error {
	n.repl.changing.Store(true)
	defer n.repl.changing.Store(false)
	return n.conf.Set([]config.Pair{config.SiblingsPair(list)}, config.Caller{Local: true})
}

// joinDeployment makes this region the first of a deployment: from now on it
// keeps stamps, subtotals and tombstones, and has a store.
func (n *Node) joinDeployment() error {
	snap := n.conf.Load()
	if n.disk.db.Load() == nil {
		if err := n.attachDisk(snap); err != nil {
			return err
		}
	}
	db := n.disk.db.Load()
	id := n.identity()
	hasData := len(n.engine.DBInfos()) > 0
	_, vector := n.commit.position()
	n.found(&id, hasData, vector)
	n.disk.foundedAt.Store(db.Log.End())
	if err := db.SetIdentity(id); err != nil {
		return err
	}
	n.setIdentity(id)
	db.Log.SetRetain(0)
	db.Log.SetTailBytes(persist.DefaultTailBytes)
	n.engine.WithWorld(func() { n.engine.Configure(n.params(snap)) })
	return nil
}

func (n *Node) dbMapIsIdentity() bool {
	for i, d := range n.engine.DBMap() {
		if i != d {
			return false
		}
	}
	return true
}

// member is a sibling as the store remembers it.
type member struct {
	Endpoint string
	Lat, Lon float64
	Located  bool
	Removed  bool
}

func (n *Node) rememberMember(s config.Sibling) error {
	b, err := json.Marshal(member{Endpoint: s.Endpoint, Lat: s.Location.Lat, Lon: s.Location.Lon, Located: s.Location.Known})
	if err != nil {
		return err
	}
	return n.disk.db.Load().SetMember(s.Name, b)
}

// Remove implements command.Regions.
func (n *Node) Remove(name string) error {
	n.reconfigure.Lock()
	defer n.reconfigure.Unlock()
	snap := n.conf.Load()
	var left []config.Sibling
	for _, s := range snap.Siblings {
		if s.Name != name {
			left = append(left, s)
		}
	}
	if len(left) == len(snap.Siblings) {
		return resp.NoSuchRegion([]byte(name))
	}
	if err := n.setSiblings(left); err != nil {
		return err
	}
	r := &n.repl
	r.mu.Lock()
	r.mu.core.RemovePeer(name)
	err := n.keepRemoved()
	delete(r.mu.heard, name)
	delete(r.mu.linkErrs, name)
	delete(r.mu.lags, name)
	delete(r.mu.states, name)
	err = errors.Join(err, r.dir.Remove(name))
	r.mu.Unlock()
	gone, merr := json.Marshal(member{Removed: true})
	err = errors.Join(err, merr, n.disk.db.Load().SetMember(name, gone))
	n.publishSiblings(left)
	if len(left) == 0 {
		n.leaveDeployment()
	}
	return err
}

// leaveDeployment is the opposite of joinDeployment, once the last sibling is
// gone: nobody needs tombstones or subtotals any more.
func (n *Node) leaveDeployment() {
	snap := n.conf.Load()
	n.engine.SetReclaimLimit(math.MaxInt64)
	for everything := n.commit.Vector(); n.engine.ForgetRemovals(everything, forgetBatch) > 0; {
	}
	n.engine.WithWorld(func() {
		n.engine.Configure(n.params(snap))
		n.engine.DropHidden()
	})
	db := n.disk.db.Load()
	db.Log.SetRetain(math.MaxUint64)
	db.Log.SetTailBytes(0)
}

// rememberedSiblings completes the configured siblings by what REGION ADD and
// REMOVE did in earlier runs.
func rememberedSiblings(db *persist.DB, configured []config.Sibling) ([]config.Sibling, error) {
	members, err := db.Members()
	if err != nil {
		return nil, err
	}
	var list []config.Sibling
	seen := map[string]bool{}
	for _, s := range configured {
		seen[s.Name] = true
		var m member
		if b, ok := members[s.Name]; ok && json.Unmarshal(b, &m) == nil && m.Removed {
			continue
		}
		list = append(list, s)
	}
	for name, b := range members {
		var m member
		if name[0] == '@' || seen[name] || json.Unmarshal(b, &m) != nil || m.Removed {
			continue
		}
		list = append(list, config.Sibling{Name: name, Endpoint: m.Endpoint, Location: config.Location{Lat: m.Lat, Lon: m.Lon, Known: m.Located}})
	}
	return list, nil
}
