package server

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// loopRead is what one read takes: a client that sends ahead waits its turn
	// after so much. Of a large argument it is up to loopBuf, which spares turns
	// and is no work for others to wait for.
	loopRead = 16 << 10
	loopBuf  = 256 << 10
	// loopEvents is how many sockets one look at them tells of.
	loopEvents = 256
	// replyPatience is how long replies wait while the input of others is worked
	// on: each of loopRead at most.
	replyPatience = 200 * time.Microsecond
)

// eventLoop serves plain TCP and unix sockets with one goroutine. Commands run
// in the order in which their input came, whatever connection it came on.
// Everything but wake and post belongs to that goroutine.
type eventLoop struct {
	hub   *hub
	log   *slog.Logger
	epoll int
	buf   []byte
	byFD  []*loopConn

	lingering map[*loopConn]struct{}
	// answered are the connections that may have output since the turn began. It
	// leaves at its end: whoever waits for it then finds more to do at once, and
	// is woken once, which costs more than a small command.
	answered []*loopConn
	since    time.Time // of the first of them

	wasWoken []*loopConn // empty but while its turn runs: the other half of woken

	mu    sync.Mutex
	woken []*loopConn
	calls []func()
	ended bool // the descriptors are closed
	bell  int  // an eventfd
	// asleep is set while nobody but the bell may end the wait for sockets.
	asleep atomic.Bool
	quit   bool
	done   chan struct{}
}

func startEventLoop(h *hub) (carrier, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(epoll))
	}
	l := &eventLoop{
		hub: h, log: h.log, epoll: epoll, bell: bell, buf: make([]byte, loopBuf),
		lingering: map[*loopConn]struct{}{}, done: make(chan struct{}),
	}
	go l.run()
	return l, nil
}

// adopt implements carrier. Go's poller must not watch the socket as well, so
// the loop takes a descriptor of its own and closes the connection's.
func (l *eventLoop) adopt(sock streamConn, kind transport) {
	fd, err := duplicate(sock)
	if err != nil {
		l.log.Warn("a new connection could not be served", "error", err)
		_ = sock.Close() // of no use to anybody
		return
	}
	c := &loopConn{loop: l, fd: fd, interest: unix.EPOLLIN}
	c.queued.Store(true) // whoever wakes it before it has its session
	c.sess = l.hub.connect(sock, kind, c.wake)
	_ = sock.Close() // the duplicate is open
	l.enqueue(c)
}

func duplicate(sock streamConn) (fd int, err error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dupErr error
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

// enqueue has the loop look at c in its next turn.
func (l *eventLoop) enqueue(c *loopConn) {
	l.mu.Lock()
	l.woken = append(l.woken, c)
	l.mu.Unlock()
	l.ring()
}

// post has the loop call f in its next turn; false if there will be none.
func (l *eventLoop) post(f func()) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.calls = append(l.calls, f)
	l.mu.Unlock()
	l.ring()
	return true
}

// ring ends the loop's wait for sockets, once for each.
func (l *eventLoop) ring() {
	if !l.asleep.Load() || !l.asleep.CompareAndSwap(true, false) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		// It fails only where the bell rings already.
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// end implements carrier.
func (l *eventLoop) end(patience time.Duration) {
	l.post(func() { l.quit = true })
	select {
	case <-l.done:
	case <-time.After(patience):
	}
}

func (l *eventLoop) run() {
	// The processor time of a command is told from that of the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, loopEvents)
	for !l.quit {
		n := l.wait(events)
		for i := range events[:n] {
			l.handle(&events[i])
		}
		l.runQueue()
		l.flushAnswered()
		l.endLingering()
	}
	l.mu.Lock()
	l.ended = true
	// Nobody is left to tell.
	_ = unix.Close(l.bell)
	_ = unix.Close(l.epoll)
	l.mu.Unlock()
	close(l.done)
}

// wait looks for sockets with something to do and sleeps only where there are
// none, which saves busy loops the cost of falling asleep. To go on looking for
// some microseconds serves one connection faster, and many slower: what they
// send meanwhile is then answered one by one.
func (l *eventLoop) wait(events []unix.EpollEvent) int {
	if n, err := readyNow(l.epoll, events); err == 0 && n > 0 {
		return n
	}
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	if l.hasWork() {
		return 0
	}
	n, err := unix.EpollWait(l.epoll, events, l.untilLinger())
	if err != nil && err != unix.EINTR {
		panic(fmt.Sprintf("epoll_wait: %v", err)) // only a wrong descriptor does that
	}
	return max(n, 0)
}

func (l *eventLoop) hasWork() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.woken) > 0 || len(l.calls) > 0
}

func (l *eventLoop) handle(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.bell {
		var count [8]byte
		_, _ = unix.Read(l.bell, count[:]) // what counts is that it rang
		return
	}
	c := l.byFD[fd]
	if c == nil {
		return // closed in this turn
	}
	const gone = unix.EPOLLHUP | unix.EPOLLERR
	switch {
	case c.inputEnded && ev.Events&gone != 0:
		c.close() // nor can anything be sent
		return
	case !c.inputEnded && ev.Events&(unix.EPOLLIN|gone) != 0:
		c.read()
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		c.drain()
	}
}

// runQueue does what others asked for since the last turn.
func (l *eventLoop) runQueue() {
	l.mu.Lock()
	woken, calls := l.woken, l.calls
	l.woken, l.calls = l.wasWoken, nil
	l.mu.Unlock()
	for _, c := range woken {
		c.queued.Store(false)
		c.resume()
	}
	for _, f := range calls {
		f()
	}
	clear(woken)
	l.wasWoken = woken[:0]
}

// beforeWork lets replies leave that have waited long enough.
func (l *eventLoop) beforeWork() {
	if len(l.answered) > 0 && time.Since(l.since) > replyPatience {
		l.flushAnswered()
	}
}

// flushAnswered sends what this turn's commands have replied.
func (l *eventLoop) flushAnswered() {
	for _, c := range l.answered {
		c.flushes = false
		if !c.closed {
			c.flush()
		}
	}
	clear(l.answered)
	l.answered = l.answered[:0]
}

// untilLinger is how many milliseconds may pass until a reader is given up, -1
// for ever.
func (l *eventLoop) untilLinger() int {
	if len(l.lingering) == 0 {
		return -1
	}
	next := time.Duration(-1)
	for c := range l.lingering {
		if left := time.Until(c.giveUpAt); next < 0 || left < next {
			next = max(left, 0)
		}
	}
	return int(next/time.Millisecond) + 1
}

func (l *eventLoop) endLingering() {
	if len(l.lingering) == 0 {
		return
	}
	now := time.Now()
	for c := range l.lingering {
		if !now.Before(c.giveUpAt) {
			c.close()
		}
	}
}

// loopConn is one client connection of an eventLoop. But for wake and what
// implements connection, its methods are the loop's.
type loopConn struct {
	loop *eventLoop
	sess session
	fd   int

	queued     atomic.Bool // it is in loop.woken
	flushes    bool        // it is in loop.answered
	joined     bool        // the loop knows the socket
	closed     bool
	inputEnded bool
	interest   uint32 // what the loop is told of the socket

	rest     []byte // taken from the session, and not yet by the kernel
	patience time.Duration
	giveUpAt time.Time
}

// wake is called by the node, from anywhere, when the session may go on or has
// new output.
func (c *loopConn) wake() {
	if !c.queued.Load() && c.queued.CompareAndSwap(false, true) {
		c.loop.enqueue(c)
	}
}

func (c *loopConn) resume() {
	if !c.joined && !c.join() {
		return
	}
	if c.closed {
		return
	}
	c.sess.Resume()
	c.answer()
}

// join begins to look at the socket; false where the server stops or the
// system refuses.
func (c *loopConn) join() bool {
	c.joined = true
	ok := c.loop.hub.add(c)
	if ok {
		ev := unix.EpollEvent{Events: c.interest, Fd: int32(c.fd)}
		if err := unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
			c.loop.log.Warn("a new connection could not be served", "error", err)
			ok = false
		}
	}
	if !ok {
		c.close()
		return false
	}
	l := c.loop
	for len(l.byFD) <= c.fd {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[c.fd] = c
	return true
}

func (c *loopConn) read() {
	var n int
	most := min(max(c.sess.Awaits(), loopRead), loopBuf)
	err := syscall.EINTR
	for err == syscall.EINTR {
		n, err = readNow(c.fd, c.loop.buf[:most])
	}
	switch {
	case err == syscall.EAGAIN:
		return
	case err != 0:
		c.close()
		return
	case n == 0:
		c.endInput()
	default:
		c.loop.beforeWork()
		c.sess.Feed(c.loop.buf[:n])
	}
	c.answer()
}

// answer has the output sent at the end of the turn.
func (c *loopConn) answer() {
	if !c.flushes {
		c.flushes = true
		if len(c.loop.answered) == 0 {
			c.loop.since = time.Now()
		}
		c.loop.answered = append(c.loop.answered, c)
	}
}

func (c *loopConn) endInput() {
	c.inputEnded = true
	c.sess.InputEnded()
}

// flush writes what may leave, and closes what is to be closed.
func (c *loopConn) flush() {
	for !c.closed && len(c.rest) == 0 {
		b := c.sess.Output()
		if len(b) == 0 {
			break
		}
		if n := c.write(b); n < len(b) && !c.closed {
			c.rest = append(c.rest, b[n:]...)
			c.sess.Unsent(len(c.rest))
		}
	}
	if c.closed {
		return
	}
	if c.sess.Closing() {
		if len(c.rest) == 0 {
			c.close()
			return
		}
		if c.patience == 0 {
			c.linger(c.loop.hub.linger)
		}
	}
	c.listen()
}

// write makes one attempt and returns what the kernel took; it closes a broken
// connection.
func (c *loopConn) write(b []byte) int {
	for {
		n, err := writeNow(c.fd, b)
		switch err {
		case 0:
			return n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0
		default:
			c.close()
			return 0
		}
	}
}

// drain goes on with what the kernel did not take at once.
func (c *loopConn) drain() {
	if c.closed || len(c.rest) == 0 {
		return
	}
	n := c.write(c.rest)
	if c.closed {
		return
	}
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	c.sess.Unsent(len(c.rest))
	if n > 0 && c.patience > 0 {
		c.linger(c.patience)
	}
	if len(c.rest) == 0 {
		c.flush()
	}
}

// listen asks the kernel for what there is to be told: input unless it has
// ended, and room for output while some waits.
func (c *loopConn) listen() {
	var want uint32
	if !c.inputEnded {
		want = unix.EPOLLIN
	}
	if len(c.rest) > 0 {
		want |= unix.EPOLLOUT
	}
	if want == c.interest {
		return
	}
	c.interest = want
	if err := unix.EpollCtl(c.loop.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: want, Fd: int32(c.fd)}); err != nil {
		c.loop.log.Warn("closing a connection that can no longer be watched", "error", err)
		c.close()
	}
}

// linger gives up on a reader that takes nothing for so long.
func (c *loopConn) linger(patience time.Duration) {
	c.patience = patience
	c.giveUpAt = time.Now().Add(patience)
	c.loop.lingering[c] = struct{}{}
}

func (c *loopConn) close() {
	if c.closed {
		return
	}
	c.closed = true
	l := c.loop
	c.sess.Close()
	c.rest = nil
	if c.fd < len(l.byFD) && l.byFD[c.fd] == c {
		l.byFD[c.fd] = nil
	}
	delete(l.lingering, c)
	_ = unix.Close(c.fd) // nobody is left to tell
	l.hub.remove(c)
}

// stopReading implements connection.
func (c *loopConn) stopReading(done func()) {
	if !c.loop.post(func() {
		if !c.closed {
			c.inputEnded = true
			c.listen()
		}
		done()
	}) {
		done()
	}
}

// finish implements connection.
func (c *loopConn) finish(patience time.Duration) {
	c.loop.post(func() {
		if c.closed {
			return
		}
		c.endInput()
		c.flush()
		if !c.closed {
			c.linger(patience)
		}
	})
}

// abandon implements connection.
func (c *loopConn) abandon() { c.loop.post(c.close) }
