package node

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/config"
	"geocache/pubsub"
)

// registry knows every session from accept to close.
type registry struct {
	sync.Mutex
	next     int64
	sessions map[int64]*Session
	parked   map[*Session]bool
	timers   timers
	timed    int64        // how often a session was given a time
	lastMs   int64        // of the last sweep
	booked   atomic.Int64 // about the sum of all buffers, see Session.book
	awaiting waiters
}

func (r *registry) init() {
	r.sessions, r.parked = map[int64]*Session{}, map[*Session]bool{}
}

func (r *registry) add(s *Session) {
	r.Lock()
	defer r.Unlock()
	r.next++
	s.id = r.next
	r.sessions[s.id] = s
}

func (r *registry) remove(s *Session) {
	r.Lock()
	defer r.Unlock()
	delete(r.sessions, s.id)
	delete(r.parked, s)
	r.unscheduleLocked(s)
}

func (r *registry) park(s *Session) {
	r.Lock()
	defer r.Unlock()
	r.parked[s] = true
}

func (r *registry) count() int {
	r.Lock()
	defer r.Unlock()
	return len(r.sessions)
}

// all lists the sessions by id.
func (r *registry) all() []*Session {
	r.Lock()
	defer r.Unlock()
	list := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	return list
}

// named lists the sessions of these ids, in their order.
func (r *registry) named(ids []int64) []*Session {
	r.Lock()
	defer r.Unlock()
	var list []*Session
	for _, id := range ids {
		if s := r.sessions[id]; s != nil {
			list = append(list, s)
		}
	}
	return list
}

// sessionBytes is a session's fixed memory, by accounting.
const sessionBytes = 2 << 10

// resumeAll wakes every parked session: what it waited for may be over.
func (n *Node) resumeAll() {
	r := &n.clients
	r.Lock()
	var list []*Session
	for s := range r.parked {
		list = append(list, s)
	}
	clear(r.parked)
	r.Unlock()
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(a.id, b.id) })
	for _, s := range list {
		s.wake()
	}
	n.releaseHeld(math.MaxUint64)
}

// sweepClients closes clients that are idle (timeout), that left their output
// unread for too long or that need too much memory, once a second.
func (n *Node) sweepClients(nowMs int64) {
	r := &n.clients
	if nowMs-r.lastMs < 1000 && nowMs >= r.lastMs {
		return
	}
	r.lastMs = nowMs
	snap := n.conf.Load()
	idleMs := int64(snap.TimeoutSeconds) * 1000
	limits := snap.ClientOutputBufLimits
	if idleMs > 0 || limits.Normal != (config.OutputLimit{}) || limits.PubSub != (config.OutputLimit{}) {
		for _, s := range r.all() {
			idle := idleMs > 0 && !s.pub.blocked.Load() && s.subscriptions() == 0 && nowMs-s.pub.lastMs.Load() > idleMs
			if !s.killed.Load() && (idle || s.overOutput()) {
				s.kill()
			}
		}
	}
	n.fitClients()
}

// ClientLines implements command.Host.
func (n *Node) ClientLines(f command.ClientFilter) []string {
	var lines []string
	all := n.clients.all()
	if len(f.IDs) > 0 {
		all = n.clients.named(f.IDs)
	}
	for _, s := range all {
		if s.matches(f, n.wall.NowMs()) {
			lines = append(lines, s.Line())
		}
	}
	return lines
}

// KillClients implements command.Host.
func (n *Node) KillClients(f command.ClientFilter, me command.Session) int {
	killed := 0
	for _, s := range n.clients.all() {
		if !s.matches(f, n.wall.NowMs()) {
			continue
		}
		if s.id == me.ID() {
			if f.SkipMe == command.On {
				continue
			}
			s.closing = true // the reply still leaves
		} else {
			s.kill()
		}
		killed++
	}
	return killed
}

// matches reports whether the session is selected.
func (s *Session) matches(f command.ClientFilter, nowMs int64) bool {
	s.pub.mu.Lock()
	user := s.pub.mu.user
	s.pub.mu.Unlock()
	switch {
	case s.killed.Load(): // gone, but for its socket
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, s.id):
	case f.Addr != "" && f.Addr != s.addr():
	case f.LAddr != "" && f.LAddr != s.info.Local:
	case f.User != "" && f.User != user:
	case f.Type != "" && f.Type != s.clientType():
	case f.MaxAgeSec > 0 && (nowMs-s.createdMs)/1000 < f.MaxAgeSec:
	default:
		return true
	}
	return false
}

// clientType is what CLIENT LIST TYPE selects by; there are no replicas.
func (s *Session) clientType() string {
	if s.subscriptions() > 0 {
		return "pubsub"
	}
	return "normal"
}

// addr is the peer as CLIENT LIST names it.
func (s *Session) addr() string {
	if s.info.Kind == Unix {
		return s.info.Local + ":0"
	}
	return s.info.Remote
}

// Line implements command.Session.
func (s *Session) Line() string {
	now := s.n.wall.NowMs()
	s.pub.mu.Lock()
	name, lib, ver, user := s.pub.mu.name, s.pub.mu.libName, s.pub.mu.libVer, s.pub.mu.user
	s.pub.mu.Unlock()
	cmdName := "NULL"
	if r := s.pub.lastRow.Load(); r != nil {
		cmdName = r.FullName()
	}
	laddr := s.info.Local
	if s.info.Kind == Unix {
		laddr += ":0"
	}
	in, out, multi := s.pub.inBytes.Load(), s.outputBytes(), s.pub.multiBytes.Load()
	var sb strings.Builder
	fmt.Fprintf(&sb, "id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d",
		s.id, s.addr(), laddr, s.id+7, name, (now-s.createdMs)/1000, (now-s.pub.lastMs.Load())/1000, s.flagLetters(),
		s.pub.db.Load(), s.pub.listens[pubsub.Channel].Load(), s.pub.listens[pubsub.Pattern].Load(),
		s.pub.listens[pubsub.Shard].Load(), s.pub.queued.Load())
	if s.n.conf.Load().Compat != config.Compat70 {
		fmt.Fprintf(&sb, " watch=%d", s.pub.watching.Load())
	}
	fmt.Fprintf(&sb, " qbuf=%d qbuf-free=0 argv-mem=0 multi-mem=%d rbs=0 rbp=0 obl=%d oll=0 omem=0 tot-mem=%d events=r cmd=%s user=%s redir=-1 resp=%d",
		in, multi, out, s.memory(), cmdName, user, s.pub.proto.Load())
	if s.n.conf.Load().Compat != config.Compat70 {
		fmt.Fprintf(&sb, " lib-name=%s lib-ver=%s", lib, ver)
	}
	return sb.String()
}

// flagLetters are CLIENT LIST's flags.
func (s *Session) flagLetters() string {
	var b []byte
	if s.subscriptions() > 0 {
		b = append(b, 'P')
	}
	if s.pub.queued.Load() >= 0 {
		b = append(b, 'x')
	}
	if s.pub.blocked.Load() {
		b = append(b, 'b')
	}
	if s.watch.Dirty() {
		b = append(b, 'd')
	}
	if s.info.Kind == Unix {
		b = append(b, 'U')
	}
	if s.pub.noEvict.Load() {
		b = append(b, 'e')
	}
	if s.pub.noTouch.Load() {
		b = append(b, 'T')
	}
	if len(b) == 0 {
		b = append(b, 'N')
	}
	return string(b)
}

// pause is CLIENT PAUSE's state. Every command asks it, so what they ask is
// outside the lock.
type pause struct {
	mode atomic.Int32 // 0, or one more than the command.PauseMode in force
	mu   struct {
		sync.Mutex
		untilMs int64
	}
}

// holds reports whether a command has to wait now.
func (p *pause) holds(writes bool) bool {
	m := p.mode.Load()
	return m != 0 && (writes || command.PauseMode(m-1) == command.PauseAll)
}

// active reports whether anything has to wait. Then data stands still: nothing
// is reclaimed and nothing evicted, as in Redis.
func (p *pause) active() bool { return p.mode.Load() != 0 }

// Pause implements command.Host: the longer end and the stricter mode win, as
// in Redis.
func (n *Node) Pause(untilMs int64, mode command.PauseMode) {
	p := &n.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	n.engine.HoldReclaim()
	p.mode.Store(max(p.mode.Load(), int32(mode)+1))
	p.mu.untilMs = max(p.mu.untilMs, untilMs)
}

// Unpause implements command.Host.
func (n *Node) Unpause() {
	p := &n.pause
	p.mu.Lock()
	p.mode.Store(0)
	p.mu.untilMs = 0
	n.engine.FreeReclaim()
	p.mu.Unlock()
	n.resumeAll()
}

// endPause ends a pause whose time is over.
func (n *Node) endPause(nowMs int64) {
	if !n.pause.active() {
		return
	}
	n.pause.mu.Lock()
	over := nowMs >= n.pause.mu.untilMs
	n.pause.mu.Unlock()
	if over {
		n.Unpause()
	}
}
