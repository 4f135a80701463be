package replicate

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"geocache/clock"
	"geocache/op"
)

// toyKeys bounds the keys of a toy region, so that a walk's cursor is an index.
const toyKeys = 48

type register struct {
	stamp clock.Stamp
	value string
}

// toyHost is a region of last-writer-wins registers with a log of which an
// unsynced tail can be lost. It checks what a core asks of it.
type toyHost struct {
	s       *sim
	id      Identity
	hlc     *clock.HLC
	skewMs  int64
	regs    map[int]register
	vec     clock.Vector
	log     [][]byte // from first on
	first   uint64
	synced  uint64 // end of the durable part
	svec    clock.Vector
	base    map[int]register // at first, with everything that came by transfer
	baseVec clock.Vector
	own     clock.Reading // Last of the own batch before
	told    clock.Vector  // deps named so far by this incarnation
	full    bool
	whole   bool // not waiting for a copy
	emptied []Emptying
	applied int
	bigger  int // bytes added to every value
}

func newToyHost(s *sim, name string, incarnation uint64, deployment uint64) *toyHost {
	h := &toyHost{s: s, first: 1, synced: 1, regs: map[int]register{}, vec: clock.Vector{}, svec: clock.Vector{},
		base: map[int]register{}, baseVec: clock.Vector{}, told: clock.Vector{}, whole: true}
	h.id = Identity{Region: name, Origin: clock.NewOrigin(name, incarnation), Deployment: deployment}
	h.hlc = clock.NewHLC(h, 0)
	return h
}

func (h *toyHost) NowMs() int64          { return h.s.wallMs() + h.skewMs }
func (h *toyHost) NowMicros() int64      { return h.NowMs() * 1000 }
func (h *toyHost) WallMs() int64         { return h.NowMs() }
func (h *toyHost) HLCNow() clock.Reading { return h.hlc.Now() }
func (h *toyHost) Vector() clock.Vector  { return h.vec.Clone() }
func (h *toyHost) Synced() clock.Vector  { return h.svec.Clone() }
func (h *toyHost) LogFirst() uint64      { return h.first }
func (h *toyHost) LogEnd() uint64        { return h.first + uint64(len(h.log)) }

func (h *toyHost) Identity() Identity {
	id := h.id
	if len(h.regs) > 0 || len(h.vec) > 0 {
		id.Content = HasData
	}
	return id
}

func (h *toyHost) AdoptDeployment(id uint64, f Firmness) error {
	if h.id.Firmness == Firm && h.id.Deployment != id {
		h.id.Former = append(h.id.Former, h.id.Deployment)
	}
	h.id.Deployment, h.id.Firmness = id, f
	return nil
}

func (h *toyHost) ReadLog(from uint64, maxBytes int) ([][]byte, uint64, error) {
	if from < h.first {
		return nil, 0, fmt.Errorf("position %d: %w", from, ErrCut)
	}
	var recs [][]byte
	n := 0
	for from < h.LogEnd() {
		rec := h.log[from-h.first]
		if len(recs) > 0 && n+len(rec) > maxBytes {
			break
		}
		recs = append(recs, rec)
		n += len(rec)
		from++
	}
	return recs, from, nil
}

func (h *toyHost) Apply(b op.Batch) error {
	if h.full {
		return fmt.Errorf("toy: %w", ErrFull)
	}
	if at := h.vec[b.Origin]; b.Prev != at {
		h.s.fail("%s: batch %v..%v of %v after %v", h.id.Region, b.Prev, b.Last(), b.Origin, at)
	}
	for _, d := range b.Deps {
		if !h.vec.Covers(d) {
			h.s.fail("%s: batch of %v lacks its dependency %v", h.id.Region, b.Origin, d)
		}
	}
	if b.Last().Ms() > h.WallMs()+simSkew.Milliseconds() {
		h.s.fail("%s: applied a batch from the future", h.id.Region)
	}
	h.hlc.Observe(b.Last())
	h.log = append(h.log, slices.Clone(b.Raw))
	joinBatch(h.regs, b)
	h.vec.Raise(b.Origin, b.Last())
	h.applied++
	return nil
}

func joinBatch(regs map[int]register, b op.Batch) {
	for o := range b.Ops() {
		if len(o.Key) == 1 { // a fuzzer may send others
			join(regs, int(o.Key[0]), register{o.Stamp, string(o.Value)})
		}
	}
}

func join(regs map[int]register, key int, r register) {
	if regs[key].stamp.Less(r.stamp) {
		regs[key] = r
	}
}

func (h *toyHost) write(keys ...int) {
	var body op.Builder
	first := h.hlc.Take(len(keys))
	hd := op.Header{Origin: h.id.Origin, First: first, Count: len(keys), Prev: h.own}
	for i, k := range keys {
		v := fmt.Sprintf("%s-%d-%d", h.id.Region, first, i)
		if h.bigger > 0 {
			b := make([]byte, h.bigger)
			for j := range b {
				b[j] = byte(h.s.rnd.Uint32())
			}
			v += string(b)
		}
		body.Set(0, []byte{byte(k)}, []byte(v), 0)
		h.s.writes = append(h.s.writes, simWrite{k, register{clock.Stamp{At: first + clock.Reading(i), Origin: h.id.Origin}, v}})
	}
	for _, o := range h.vec.Origins() {
		if o != h.id.Origin && h.vec[o] > h.told[o] {
			hd.Deps = append(hd.Deps, clock.Stamp{At: h.vec[o], Origin: o})
			h.told[o] = h.vec[o]
		}
	}
	raw := op.AppendBatch(nil, hd, body.Body())
	b, err := op.ParseBatch(raw)
	if err == nil {
		err = b.Check()
	}
	if err != nil {
		h.s.fail("toy writes nonsense: %v", err)
		return
	}
	h.own = b.Last()
	h.log = append(h.log, raw)
	joinBatch(h.regs, b)
	h.vec.Raise(b.Origin, b.Last())
}

func (h *toyHost) sync() {
	h.synced = h.LogEnd()
	h.svec = h.vec.Clone()
}

// cut moves what is before pos into the base.
func (h *toyHost) cut(pos uint64) {
	for h.first < min(pos, h.synced) {
		b, _ := op.ParseBatch(h.log[0])
		joinBatch(h.base, b)
		h.baseVec.Raise(b.Origin, b.Last())
		h.log = h.log[1:]
		h.first++
	}
}

// restart recovers from base and the durable log, plus what of the tail was
// lucky. Unless everything was synced a new incarnation begins.
func (h *toyHost) restart() {
	end := h.synced + uint64(h.s.rnd.IntN(int(h.LogEnd()-h.synced)+1))
	clean := end == h.LogEnd() && h.s.rnd.IntN(2) == 0
	h.log = h.log[:end-h.first]
	h.regs, h.vec = maps.Clone(h.base), h.baseVec.Clone()
	for _, rec := range h.log {
		b, _ := op.ParseBatch(rec)
		joinBatch(h.regs, b)
		h.vec.Raise(b.Origin, b.Last())
	}
	h.sync()
	if !clean {
		h.newIncarnation()
	}
}

func (h *toyHost) newIncarnation() {
	h.id.Origin = clock.NewOrigin(h.id.Region, max(h.id.Origin.Incarnation()+1, uint64(h.NowMs())))
	h.own, h.told = 0, clock.Vector{}
}

func (h *toyHost) ExportState(cursor uint64, maxBytes int) ([]StateEntry, uint64, error) {
	var es []StateEntry
	n := 0
	for ; cursor < toyKeys && n < min(maxBytes, h.s.exportBytes); cursor++ {
		if r, ok := h.regs[int(cursor)]; ok {
			ks := op.KeyState{ValueStamp: r.stamp, Value: []byte(r.value)}
			e := StateEntry{Key: []byte{byte(cursor)}, State: ks.Append(nil)}
			es = append(es, e)
			n += len(e.State)
		}
	}
	if cursor == toyKeys {
		cursor = 0
	}
	return es, cursor, nil
}

func (h *toyHost) ApplyState(_ Copy, es []StateEntry) error {
	if h.full {
		return ErrFull
	}
	for _, e := range es {
		ks, err := op.DecodeKeyState(e.State)
		if err != nil || len(e.Key) != 1 {
			return fmt.Errorf("toy: not a register: %w", err)
		}
		r := register{ks.ValueStamp, string(ks.Value)}
		h.hlc.Observe(ks.ValueStamp.At)
		join(h.regs, int(e.Key[0]), r)
		join(h.base, int(e.Key[0]), r)
	}
	return nil
}

func (h *toyHost) StateDone(c Copy) error {
	h.whole = true
	h.vec.Merge(c.Vector)
	h.baseVec.Merge(c.Vector)
	h.sync()
	return nil
}

func (h *toyHost) Empty(e Emptying) error {
	h.emptied, h.whole = append(h.emptied, e), false
	if !slices.ContainsFunc(h.s.names, func(n string) bool { return h.s.nodes[n].host.whole }) {
		h.s.fail("no region is left whole%s", h.s.describe())
	}
	h.regs, h.base, h.vec, h.baseVec = map[int]register{}, map[int]register{}, clock.Vector{}, clock.Vector{}
	h.log = nil
	h.first, h.synced = 1, 1
	h.sync()
	h.newIncarnation()
	return nil
}

const (
	simStepUs = 5_000
	simSkew   = 500 * time.Millisecond
)

type packet struct {
	atUs     int64
	order    int
	from, to string
	frame    []byte
}

type packets []packet

func (q packets) Len() int { return len(q) }
func (q packets) Less(i, j int) bool {
	return q[i].atUs < q[j].atUs || q[i].atUs == q[j].atUs && q[i].order < q[j].order
}
func (q packets) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *packets) Push(x any)   { *q = append(*q, x.(packet)) }
func (q *packets) Pop() any {
	old := *q
	p := old[len(old)-1]
	*q = old[:len(old)-1]
	return p
}

type simWrite struct {
	key int
	reg register
}

type simNode struct {
	name    string
	host    *toyHost
	core    *Core
	startUs int64 // when its process's own clock began
	up      map[string]bool
}

type sim struct {
	rnd         *rand.Rand
	nowUs       int64
	names       []string
	nodes       map[string]*simNode
	net         packets
	order       int
	loss, dup   float64
	delayUs     int64
	jitterUs    int64
	blocked     map[[2]string]bool
	writes      []simWrite
	failure     string
	fault       Fault
	exportBytes int
	wireBytes   int64
	cfg         Config
	tap         func(from string, o Outgoing, lost bool)
	quiet       bool // the tap is not called
	autoSync    bool // every step makes everything durable
}

func newSim(seed uint64, names ...string) *sim {
	s := &sim{rnd: rand.New(rand.NewPCG(seed, 77)), nodes: map[string]*simNode{}, blocked: map[[2]string]bool{},
		delayUs: 20_000, exportBytes: 400}
	s.cfg = Config{MaxClockSkew: simSkew, SuspendAfter: 3 * time.Second}
	for i, name := range names {
		s.add(name, uint64(100+i))
	}
	for _, a := range names {
		for _, b := range names {
			if a != b {
				s.connect(a, b)
			}
		}
	}
	return s
}

func (s *sim) add(name string, deployment uint64) *simNode {
	n := &simNode{name: name, up: map[string]bool{}}
	n.host = newToyHost(s, name, uint64(s.wallMs()), deployment)
	s.nodes[name] = n
	s.names = append(s.names, name)
	s.boot(n)
	return n
}

func (s *sim) boot(n *simNode) {
	cfg := s.cfg
	cfg.Rand = clock.NewRand(s.rnd.Uint64())
	n.core = New(cfg, n.host)
	n.core.cfg.Fault = s.fault
	n.startUs = s.nowUs - int64(s.rnd.IntN(1000))
	for peer := range n.up {
		s.must(n.core.AddPeer(peer, PeerOptions{}))
		n.core.LinkUp(peer, s.localUs(n))
	}
}

func (s *sim) connect(a, b string) {
	n := s.nodes[a]
	n.up[b] = true
	s.must(n.core.AddPeer(b, PeerOptions{}))
	n.core.LinkUp(b, s.localUs(n))
}

func (s *sim) localUs(n *simNode) int64 { return s.nowUs - n.startUs + 1 }
func (s *sim) wallMs() int64            { return 1_700_000_000_000 + s.nowUs/1000 }
func (s *sim) must(err error) {
	if err != nil {
		s.fail("%v", err)
	}
}

func (s *sim) fail(format string, args ...any) {
	if s.failure == "" {
		s.failure = fmt.Sprintf("at %d ms: ", s.nowUs/1000) + fmt.Sprintf(format, args...)
	}
}

// step moves time on by simStepUs.
func (s *sim) step() {
	s.nowUs += simStepUs
	for len(s.net) > 0 && s.net[0].atUs <= s.nowUs {
		p := heap.Pop(&s.net).(packet)
		if s.blocked[[2]string{p.from, p.to}] {
			continue
		}
		if n := s.nodes[p.to]; n != nil {
			if err := n.core.Step(p.from, p.frame, s.localUs(n)); err != nil {
				s.fail("%s takes a frame of %s: %v", p.to, p.from, err)
			}
		}
	}
	for _, name := range s.names {
		n := s.nodes[name]
		if s.autoSync {
			n.host.sync()
		}
		if s.nowUs/simStepUs%2 == 0 {
			n.core.Tick(s.localUs(n))
		}
		for _, o := range n.core.Ready() {
			s.transmit(name, o)
		}
	}
}

func (s *sim) transmit(from string, o Outgoing) {
	s.wireBytes += int64(len(o.Frame))
	if len(o.Frame) > MaxFrameBytes+1000 {
		s.fail("frame of %d bytes", len(o.Frame))
	}
	copies := 1
	if s.rnd.Float64() < s.loss {
		copies = 0
	} else if s.rnd.Float64() < s.dup {
		copies = 2
	}
	if s.tap != nil && !s.quiet {
		s.tap(from, o, copies == 0)
	}
	for range copies {
		at := s.nowUs + s.delayUs
		if s.jitterUs > 0 {
			at += s.rnd.Int64N(s.jitterUs)
		}
		s.order++
		heap.Push(&s.net, packet{at, s.order, from, o.Peer, o.Frame})
	}
}

func (s *sim) run(d time.Duration) {
	for end := s.nowUs + d.Microseconds(); s.nowUs < end && s.failure == ""; {
		s.step()
	}
}

func (s *sim) write(n *simNode, keys ...int) {
	n.host.write(keys...)
	n.core.LogGrew(s.localUs(n))
}

func (s *sim) writeSome(n *simNode) {
	keys := make([]int, 1+s.rnd.IntN(3))
	for i := range keys {
		keys[i] = s.rnd.IntN(toyKeys)
	}
	s.write(n, keys...)
}

func (s *sim) converged() bool {
	first := s.nodes[s.names[0]].host
	for _, name := range s.names[1:] {
		h := s.nodes[name].host
		if !h.vec.Equal(first.vec) || !maps.Equal(h.regs, first.regs) {
			return false
		}
	}
	return true
}

// mustConverge demands equal regions within d, and that what they hold is what
// the writes under the final vector come to.
func (s *sim) mustConverge(d time.Duration) {
	for end := s.nowUs + d.Microseconds(); s.failure == "" && !s.converged(); {
		if s.nowUs > end {
			s.fail("no convergence%s", s.describe())
			return
		}
		s.step()
	}
	if s.failure != "" {
		return
	}
	want := map[int]register{}
	final := s.nodes[s.names[0]].host
	for _, w := range s.writes {
		if final.vec.Covers(w.reg.stamp) {
			join(want, w.key, w.reg)
		}
	}
	if !maps.Equal(want, final.regs) {
		for k := range toyKeys {
			if want[k] != final.regs[k] {
				s.fail("regions agree on something else than was written: key %d: want %v, have %v", k, want[k], final.regs[k])
			}
		}
	}
}

func (s *sim) describe() string {
	d := ""
	for _, name := range s.names {
		n := s.nodes[name]
		d += fmt.Sprintf("\n%s %v %v log [%d,%d)", name, n.host.id, n.host.vec, n.host.first, n.host.LogEnd())
		for _, p := range n.core.Peers() {
			d += fmt.Sprintf("\n   %s: %s %s acked %v flight %d held %d backlog %d err %q", p.Name, p.State, p.Reason, p.Acked,
				p.InFlightBytes, p.HeldBytes, p.BacklogBatches, p.LastError)
		}
	}
	return d
}

// cutting is how logs are cut: as the core allows, or because a budget is spent.
type cutting int

const (
	cutAllowed cutting = iota
	cutOverBudget
)

// chaos breaks things for a while and then heals all of it.
func (s *sim) chaos(d time.Duration, cuts cutting) {
	r := s.rnd
	s.loss, s.dup = []float64{0, 0.02, 0.15}[r.IntN(3)], []float64{0, 0.1}[r.IntN(2)]
	s.delayUs, s.jitterUs = int64(1_000+r.IntN(80_000)), int64(r.IntN(40_000))
	rate := 1 + r.IntN(20)
	for end := s.nowUs + d.Microseconds(); s.nowUs < end && s.failure == ""; {
		s.step()
		n := s.nodes[s.names[r.IntN(len(s.names))]]
		if r.IntN(rate) == 0 {
			for range 1 + r.IntN(4) {
				s.writeSome(n)
			}
		}
		if r.IntN(8) == 0 {
			n.host.sync()
		}
		switch r.IntN(200) {
		case 0, 1, 2:
			if cuts == cutOverBudget {
				n.host.cut(n.host.LogEnd())
			} else {
				n.host.cut(n.core.RetainFrom())
			}
		case 3:
			if n.core.CopyPending() {
				s.must(n.host.Empty(Emptying{Why: "restart during a copy"}))
			} else {
				n.host.restart()
			}
			s.boot(n)
		case 4, 5:
			s.blocked[[2]string{n.name, s.names[r.IntN(len(s.names))]}] = true
		case 6, 7:
			clear(s.blocked)
		case 8:
			n.host.skewMs = []int64{-1500, -200, 0, 100, 1200}[r.IntN(5)]
		case 9:
			n.host.full = !n.host.full
		case 10:
			for _, peer := range s.names {
				if n.up[peer] {
					n.core.LinkDown(peer, s.localUs(n))
					n.core.LinkUp(peer, s.localUs(n))
				}
			}
		}
	}
	s.heal()
}

func (s *sim) heal() {
	clear(s.blocked)
	s.loss, s.dup, s.jitterUs = 0, 0, 1_000
	for _, n := range s.nodes {
		n.host.full, n.host.skewMs = false, 0
	}
}

// chaosSeed is one whole scenario; the answer says what failed.
func chaosSeed(seed uint64, f Fault) string {
	all := []string{"aa", "bb", "cc", "dd", "ee"}
	r := rand.New(rand.NewPCG(seed, 1))
	n := 2 + r.IntN(2)
	if seed%10 == 0 {
		n = 2 + r.IntN(4)
	}
	s := newSim(seed, all[:n]...)
	s.setFault(f)
	if r.IntN(3) == 0 {
		s.cfg.BufferBytes, s.cfg.WindowBytes = 4_000, 3_000
		for _, name := range s.names {
			s.boot(s.nodes[name])
		}
	}
	s.chaos(2500*time.Millisecond, cutAllowed)
	s.mustConverge(9 * time.Second)
	s.run(1200 * time.Millisecond) // a lost incarnation's last frames may still be on their way, or wait for a clock
	s.mustConverge(4 * time.Second)
	for _, node := range s.nodes {
		if len(node.host.emptied) > 0 {
			s.fail("%s was emptied although logs were only cut where allowed: %+v", node.name, node.host.emptied)
		}
		node.host.sync()
	}
	if s.failure == "" {
		s.run(800 * time.Millisecond)
		s.checkSettled()
	}
	return s.failure
}

// budgetSeed is a scenario in which logs are cut too early and a region joins
// late: members may be emptied, but never all, and all become equal.
func budgetSeed(seed uint64) string {
	s := newSim(seed, []string{"aa", "bb", "cc"}[:2+seed%2]...)
	s.exportBytes = 100
	s.chaos(2*time.Second, cutOverBudget)
	s.autoSync = true
	if seed%3 == 0 {
		olds := s.names
		s.add("zz", 5).host.whole = false
		for _, old := range olds {
			s.connect(old, "zz")
			s.connect("zz", old)
		}
	}
	s.chaos(2*time.Second, cutOverBudget)
	s.mustConverge(40 * time.Second)
	s.run(2 * time.Second)
	s.mustConverge(40 * time.Second)
	return s.failure
}

func TestSimulatedBudgets(t *testing.T) {
	for seed, failed := 0, 0; seed < budgetSeeds && failed < 5; seed++ {
		if why := budgetSeed(uint64(seed)); why != "" {
			t.Errorf("seed %d: %s", seed, why)
			failed++
		}
	}
}

const budgetSeeds = 100

func (s *sim) setFault(f Fault) {
	s.fault = f
	for _, n := range s.nodes {
		n.core.cfg.Fault = f
	}
}

// checkSettled checks what must hold a while after everything is equal and
// synced.
func (s *sim) checkSettled() {
	for _, name := range s.names {
		n := s.nodes[name]
		if got := n.core.Stable(); !got.Equal(n.host.vec) {
			s.fail("%s: stable is %v, want %v", name, got, n.host.vec)
		}
		if got := n.core.RetainFrom(); got != n.host.LogEnd() {
			s.fail("%s: retains from %d, log ends at %d", name, got, n.host.LogEnd())
		}
		if ms := n.core.MinPeerReadingMs(); ms < s.wallMs()-500 {
			s.fail("%s: peers have passed %d at %d", name, ms, s.wallMs())
		}
		for _, p := range n.core.Peers() {
			if p.State != StateUp || p.LagOutMs != 0 || p.LagInMs < 0 || p.LagInMs > 400 || p.InFlightBytes != 0 {
				s.fail("%s: peer not at rest: %+v", name, p)
			}
		}
	}
}

func TestSimulatedChaos(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 60
	}
	for seed, failed := 0, 0; seed < seeds && failed < 5; seed++ {
		if why := chaosSeed(uint64(seed), FaultNone); why != "" {
			t.Errorf("seed %d: %s", seed, why)
			failed++
		}
	}
}

func TestSimulationFindsPlantedFaults(t *testing.T) {
	for f, name := range map[Fault]string{
		FaultLoseCursor: "cursor lost", FaultIgnoreDeps: "dependencies ignored",
		FaultIgnoreOrder: "order of an origin ignored", FaultAckUnapplied: "unapplied acknowledged",
	} {
		found := false
		for seed := uint64(0); seed < 40 && !found; seed++ {
			found = chaosSeed(seed, f) != ""
		}
		if !found {
			t.Errorf("%s: the simulation does not notice", name)
		}
	}
}
