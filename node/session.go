package node

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/persist"
	"geocache/resp"
)

// ConnKind is how a client is connected.
type ConnKind uint8

const (
	TCP ConnKind = iota
	Unix
	TLS
)

// ConnInfo describes a connection to its session.
type ConnInfo struct {
	Remote, Local string // host:port, or the path of a unix socket
	Kind          ConnKind
}

// local reports whether the peer is on this machine.
func (c ConnInfo) local() bool {
	if c.Kind == Unix {
		return true
	}
	ap, err := netip.ParseAddrPort(c.Remote)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// Session is the state of one client connection. It never blocks: Feed runs
// what it can and stops where a command has to wait (parks). Whoever ends a
// wait calls wake, and the transport then calls Resume.
//
// Feed, Resume, Output, Closing and Close belong to one goroutine at a time.
type Session struct {
	n         *Node
	id        int64
	info      ConnInfo
	createdMs int64
	wake      func()

	parser  resp.Parser
	in      []byte   // input not parsed yet
	pending [][]byte // parsed, not executed: the command the session parks on
	out     resp.Writer
	taken   int    // bytes of out that Output has handed over
	held    []hold // what of out waits for the log, in order

	// conf is what parser and out are set up by.
	conf   *config.Snapshot
	booked int64 // of registry.booked

	// micros is Micros at the end of the last command, or a few fast ones before
	// (see fastRun); base is a reading of both clocks at one moment (see begin).
	micros, baseMicros, baseMs int64

	ctx   command.Ctx
	tx    *engine.Tx
	runFn func(*engine.Tx)
	mark  int // of out, where the running command's reply begins
	tally tally
	keys  []engine.Key // of the running command
	// shut is for how many readings of input there is no looking ahead.
	shut int

	authenticated bool
	closing       bool
	replyMode     command.ReplyMode
	skipReplies   int // of the next commands
	noTouch       bool
	multi         multi
	watch         engine.Watch
	parked        parkReason
	sleepUntilMs  int64 // DEBUG SLEEP: nothing leaves or runs before
	fetches       int   // by the command that is waiting
	fetching      atomic.Bool
	fetchErr      error
	wait          *wait    // of the command the session is parked on
	timer         timer    // guarded by the registry
	awaited       *awaited // what Await's work has come to, until the handler asks

	subscribed bool // to anything; see pubsub.go
	mail       mail
	overran    atomic.Bool // closed for what mail it left unread

	killed atomic.Bool
	pub    public
}

// public is what others may read of a session (CLIENT LIST).
type public struct {
	db         atomic.Int32
	lastMs     atomic.Int64
	lastRow    atomic.Pointer[command.Row]
	queued     atomic.Int32 // commands in MULTI, -1 outside
	watching   atomic.Int32
	inBytes    atomic.Int64
	outBytes   atomic.Int64
	unsent     atomic.Int64 // taken by the transport and not yet by the system
	multiBytes atomic.Int64 // of the commands queued
	// softSinceMs is since when the output is over its soft limit, 0 if it is
	// not.
	softSinceMs atomic.Int64
	proto       atomic.Int32
	blocked     atomic.Bool
	wait        atomic.Pointer[wait]
	noEvict     atomic.Bool
	noTouch     atomic.Bool
	awaitsLog   atomic.Bool
	listens     [3]atomic.Int32 // subscriptions by pubsub.Kind
	listenBytes atomic.Int64    // of their memory

	mu struct {
		sync.Mutex
		name, libName, libVer, user string
	}
}

// hold says that out up to end may leave once the log is durable at pos.
type hold struct {
	end int
	pos uint64
}

// Connect begins a session. wake may be called from any goroutine, also during
// Connect. The session may be closing from the start, with its reason as
// output.
func (n *Node) Connect(info ConnInfo, wake func()) *Session {
	now := n.wall.NowMs()
	s := &Session{n: n, info: info, createdMs: now, wake: wake, tx: n.engine.NewTx()}
	s.runFn = s.runTx
	s.ctx = command.Ctx{Out: &s.out, Sess: s, Host: n}
	s.pub.proto.Store(2)
	s.pub.queued.Store(-1)
	s.pub.lastMs.Store(now)
	s.pub.mu.user = defaultUser
	snap := n.conf.Load()
	s.adapt(snap)
	n.stats.connections.Add(1)
	switch {
	case n.clients.count() >= snap.MaxClients:
		n.stats.rejected.Add(1)
		s.refuse(resp.ErrMaxClients)
	case snap.ProtectedMode && snap.RequirePass == "" && !info.local():
		n.stats.rejected.Add(1)
		s.refuse(resp.ErrProtected)
	}
	n.clients.add(s)
	return s
}

const defaultUser = "default"

func (s *Session) refuse(err resp.Error) {
	s.out.Error(err)
	s.closing = true
}

// adapt brings the session in line with a configuration that is new to it.
// Where no password is set any more everybody is in; a new one asks only those
// who come after it, as in Redis.
func (s *Session) adapt(snap *config.Snapshot) {
	s.conf = snap
	s.authenticated = s.authenticated || snap.RequirePass == ""
	s.out.SetCompat(compatOf(snap))
	s.setLimits()
}

func (s *Session) setLimits() {
	snap := s.conf
	l := resp.Limits{MaxBulkLen: snap.ProtoMaxBulkLen, MaxQueryBuffer: snap.ClientQueryBufLimit}
	if !s.authenticated {
		l.Trust = resp.Untrusted
	}
	s.parser.SetLimits(l)
}

// Feed takes input and runs every complete command in it until one parks. p
// is not kept.
func (s *Session) Feed(p []byte) {
	s.dropTaken()
	if s.killed.Load() {
		s.closing = true
	}
	if s.closing {
		return
	}
	s.n.stats.netIn.Add(int64(len(p)))
	s.begin()
	s.pub.lastMs.Store(s.nowMs())
	s.pub.inBytes.Store(int64(len(s.in) + len(p)))
	if s.parked != notParked || len(s.in) > 0 {
		if int64(len(s.in)+len(p)) > s.queryLimit() {
			s.n.stats.queryLimit.Add(1)
			s.n.log.Warn("closing a client that reached its query buffer limit", "client", s.Line())
			s.closing = true
			return
		}
		s.collect(p)
		if s.parked == notParked {
			s.in = s.keep(s.in, s.process(s.in))
		}
	} else {
		s.collect(p[s.process(p):])
	}
	s.settle()
}

// Awaits is how many bytes of input the unfinished request has announced that
// are still to come, 0 for none or not known.
func (s *Session) Awaits() int { return max(s.parser.Need()-len(s.in), 0) }

// announcedStep bounds, with as much as was received, the memory made ready for
// input that is only announced.
const announcedStep = 1 << 20

// collect appends p to the input, with room for what the request announces, so
// that a large argument is not copied again at every doubling.
func (s *Session) collect(p []byte) {
	if len(p) == 0 {
		return
	}
	if least := len(s.in) + len(p); least > cap(s.in) {
		room := min(max(least, s.parser.Need()), 2*least+announcedStep)
		longer := append(s.n.buffers.get(room), s.in...)
		s.n.buffers.put(s.in)
		s.in = longer
	}
	s.in = append(s.in, p...)
}

// unauthenticatedBuffer bounds what a client may send ahead before AUTH, as in
// Redis.
const unauthenticatedBuffer = 1 << 20

// unauthenticatedOutput bounds what waits for a client to be read before AUTH:
// Redis' first reply buffer and 1 KB more.
const unauthenticatedOutput = 17 << 10

func (s *Session) queryLimit() int64 {
	limit := s.n.conf.Load().ClientQueryBufLimit
	if !s.authenticated {
		return min(limit, unauthenticatedBuffer)
	}
	return limit
}

// keep moves what is left after the first n bytes to the front, and gives the
// buffer back once it is empty.
func (s *Session) keep(buf []byte, n int) []byte {
	if n == len(buf) {
		s.n.buffers.put(buf)
		return nil
	}
	if n == 0 {
		return buf
	}
	return buf[:copy(buf, buf[n:])]
}

// Resume goes on after wake: the end of a wait, a push, a kill.
func (s *Session) Resume() {
	s.dropTaken()
	if s.killed.Load() {
		s.closing = true
	}
	if s.closing || s.asleep() {
		return
	}
	s.begin()
	if s.parked != notParked && s.goOn() {
		s.parked = notParked
		s.pending = nil
		if s.sleepUntilMs != 0 {
			s.parkSleeping()
		}
		s.in = s.keep(s.in, s.process(s.in))
	}
	s.settle()
}

// goOn goes on with what the session is parked on and reports whether that is
// over.
func (s *Session) goOn() bool {
	switch {
	case s.wait != nil:
		return s.endWait()
	case s.pending == nil:
		return true
	}
	return s.execute(s.pending)
}

// begin is where a call into the session begins: it borrows memory for output and
// reads the time. From there on the end of each command is the beginning of the
// next: a clock read costs as much as a small command.
func (s *Session) begin() {
	if cap(s.out.Bytes()) == 0 {
		s.out.Lend(s.n.buffers.get(0))
	}
	s.baseMs, s.baseMicros = s.n.wall.NowMs(), s.n.opts.Micros()
	s.micros = s.baseMicros
	s.n.commanding.keep(s.n, s.micros)
}

// nowMs is the time of day at which the last command ended.
func (s *Session) nowMs() int64 { return s.baseMs + (s.micros-s.baseMicros)/1000 }

// process runs the commands in buf and returns how many bytes are done with.
func (s *Session) process(buf []byte) (consumed int) {
	ahead := 0 // where looking ahead ended
	for !s.closing && s.parked == notParked {
		if snap := s.n.conf.Load(); snap != s.conf {
			s.adapt(snap)
		}
		args, n, err := s.parser.Next(buf[consumed:])
		if err != nil {
			s.protocolError(err)
			return len(buf)
		}
		if n == 0 {
			break
		}
		consumed += n
		if consumed >= ahead && consumed < len(buf) {
			ahead = consumed + s.lookAhead(args, buf[consumed:])
		}
		if len(args) > 0 && !s.execute(args) && s.wait == nil {
			// The words must outlive buf while the session is parked.
			s.pending = cloneArgs(args)
		}
		if s.sleepUntilMs != 0 {
			s.parkSleeping()
		}
	}
	if s.closing {
		return len(buf)
	}
	return consumed
}

// parkSleeping stops the session until its time to wake has come.
func (s *Session) parkSleeping() {
	s.parked = parkSleeping
	s.pub.blocked.Store(true)
	s.n.wakeAt(s, s.sleepUntilMs)
}

// asleep reports whether DEBUG SLEEP still holds the session.
func (s *Session) asleep() bool {
	if s.sleepUntilMs == 0 {
		return false
	}
	if s.n.wall.NowMs() < s.sleepUntilMs {
		return true
	}
	s.sleepUntilMs = 0
	s.pub.blocked.Store(false)
	return false
}

func cloneArgs(args [][]byte) [][]byte {
	total := 0
	for _, a := range args {
		total += len(a)
	}
	flat := make([]byte, 0, total)
	c := make([][]byte, len(args))
	for i, a := range args {
		start := len(flat)
		flat = append(flat, a...)
		c[i] = flat[start:len(flat):len(flat)]
	}
	return c
}

func (s *Session) protocolError(err error) {
	var text resp.Error
	visible := false
	if pe, ok := err.(*resp.ProtocolError); ok {
		text, visible = pe.Reply()
	}
	if visible {
		s.out.Error(text)
	}
	s.n.log.Debug("protocol error", "client", s.Line(), "error", err)
	s.closing = true
}

// settle is the end of every call that may have appended output: what was
// appended belongs to the log position of this moment.
func (s *Session) settle() {
	s.tell()
	s.pub.inBytes.Store(int64(len(s.in)))
	s.takeMail()
	n := s.out.Len()
	if n == 0 {
		s.n.buffers.put(s.out.Take())
	}
	s.pub.outBytes.Store(int64(n))
	db := s.n.disk.db.Load()
	if db != nil && db.Log.Policy() == persist.Always && n > s.heldEnd() {
		if pos := db.Log.End() - 1; pos > db.Log.Durable() {
			s.hold(n, pos)
		}
	}
	if !s.authenticated && n > unauthenticatedOutput || s.overOutput() {
		s.killed.Store(true)
	}
	s.book()
	if s.killed.Load() {
		s.closing = true
	}
}

func (s *Session) heldEnd() int {
	if len(s.held) == 0 {
		return 0
	}
	return s.held[len(s.held)-1].end
}

// hold keeps output back; bytes before an older hold's end are covered by it.
func (s *Session) hold(end int, pos uint64) {
	s.held = append(s.held, hold{end, pos})
	s.n.awaitLog(s, pos)
}

// Output is what may leave now. It is valid until the next call into the
// session and counts as sent.
func (s *Session) Output() []byte {
	s.dropTaken()
	if s.killed.Load() || s.asleep() {
		return nil
	}
	free := s.out.Len()
	if len(s.held) > 0 {
		durable := uint64(1<<64 - 1)
		if db := s.n.disk.db.Load(); db != nil {
			durable = db.Log.Durable()
			if db.Log.Failed() != nil {
				// What could not be made durable is never acknowledged.
				s.killed.Store(true)
				return nil
			}
		}
		free = s.releasable(durable)
		if len(s.held) > 0 {
			s.n.awaitLog(s, s.held[0].pos)
		}
	}
	s.taken = free
	s.pub.outBytes.Store(int64(s.out.Len() - free))
	s.n.stats.netOut.Add(int64(free))
	return s.out.Bytes()[:free]
}

// releasable is how much of out may leave at a durable position.
func (s *Session) releasable(durable uint64) int {
	i := 0
	for ; i < len(s.held) && s.held[i].pos <= durable; i++ {
	}
	if i == len(s.held) {
		s.held = s.held[:0]
		return s.out.Len()
	}
	free := 0
	if i > 0 {
		free = s.held[i-1].end
	}
	s.held = append(s.held[:0], s.held[i:]...)
	return free
}

// dropTaken forgets the bytes that Output handed over.
func (s *Session) dropTaken() {
	if s.taken == 0 {
		return
	}
	b := s.out.Bytes()
	if s.taken == len(b) {
		s.n.buffers.put(s.out.Take())
	} else {
		n := copy(b, b[s.taken:])
		s.out.Truncate(n)
	}
	for i := range s.held {
		s.held[i].end -= s.taken
	}
	s.taken = 0
}

// Closing reports that the connection is to be closed once Output is empty and
// nothing is held back.
func (s *Session) Closing() bool {
	return s.killed.Load() || s.closing && s.sleepUntilMs == 0 && len(s.held) == 0 && s.out.Len() == s.taken
}

// InputEnded says that the client will send no more (or that the server
// stops): what it waits for is given up, and Closing turns true once what was
// answered has left.
func (s *Session) InputEnded() {
	s.dropTaken()
	s.giveUp()
	s.closing = true
}

// Close ends the session: the connection is gone.
func (s *Session) Close() {
	s.giveUp()
	s.n.engine.Unwatch(&s.watch)
	s.killed.Store(true)
	s.n.pubsub.Drop(s)
	s.dropMail()
	if s.overran.Load() {
		s.n.noteOverrun(s)
	}
	s.n.clients.remove(s)
	s.n.clients.booked.Add(-s.booked)
	s.booked = 0
}

// kill makes the owning transport close the connection.
func (s *Session) kill() {
	s.killed.Store(true)
	s.n.pubsub.Drop(s)
	s.wake()
}

// waiters are the sessions whose output waits for the log.
type waiters struct {
	sync.Mutex
	list []waiter
}

type waiter struct {
	s   *Session
	pos uint64
}

// awaitLog has s woken once the log is durable at pos.
func (n *Node) awaitLog(s *Session, pos uint64) {
	if !s.pub.awaitsLog.CompareAndSwap(false, true) {
		return
	}
	w := &n.clients.awaiting
	w.Lock()
	w.list = append(w.list, waiter{s, pos})
	w.Unlock()
	// It may have become durable before s was in the list.
	if db := n.disk.db.Load(); db == nil || db.Log.Durable() >= pos || db.Log.Failed() != nil {
		n.releaseHeld(pos)
	}
}

// releaseHeld wakes the sessions that waited for positions up to pos.
func (n *Node) releaseHeld(pos uint64) {
	w := &n.clients.awaiting
	w.Lock()
	var ready []*Session
	keep := w.list[:0]
	for _, x := range w.list {
		if x.pos <= pos {
			ready = append(ready, x.s)
		} else {
			keep = append(keep, x)
		}
	}
	clear(w.list[len(keep):])
	w.list = keep
	w.Unlock()
	for _, s := range ready {
		s.pub.awaitsLog.Store(false)
		s.wake()
	}
}
