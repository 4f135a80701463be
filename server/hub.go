package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connectFunc opens the session of a connection; wake may be called from then
// on.
type connectFunc func(sock net.Conn, kind transport, wake func()) session

// transport is how a client came in.
type transport uint8

const (
	plainTCP transport = iota
	unixSocket
	tlsTCP
)

// connection is one as the hub ends it, whatever carries it. Its methods
// may be called from any goroutine and do not wait.
type connection interface {
	// stopReading takes no more input and calls done once no command of the
	// connection runs any more.
	stopReading(done func())
	// finish lets the last output leave, which a slow reader may take so long
	// for.
	finish(patience time.Duration)
	// abandon closes the connection in whatever state it is.
	abandon()
}

// carrier serves plain connections.
type carrier interface {
	// adopt takes over a new socket.
	adopt(sock streamConn, kind transport)
	// end stops the carrier, whose connections are closed, and waits for that
	// for no longer than patience.
	end(patience time.Duration)
}

// hub knows all connections.
type hub struct {
	log      *slog.Logger
	connect  connectFunc
	linger   time.Duration // lingerTime, but for tests
	stopping atomic.Bool
	// carriers serve plain connections in turn; without any each connection has
	// its own goroutine, as TLS always has.
	carriers []carrier
	accepted atomic.Uint64

	mu    sync.Mutex
	conns map[connection]struct{}
}

func newHub(log *slog.Logger, connect connectFunc) *hub {
	return &hub{log: log, connect: connect, linger: lingerTime, conns: map[connection]struct{}{}}
}

// startLoops starts event loops for plain connections, where the system has
// any.
func (h *hub) startLoops(n int) error {
	for range n {
		l, err := startEventLoop(h)
		if err != nil {
			return err
		}
		if l != nil {
			h.carriers = append(h.carriers, l)
		}
	}
	return nil
}

// accept takes over a new socket. secure is nil for plain connections.
func (h *hub) accept(sock streamConn, kind transport, secure *tls.Config) {
	if secure == nil && len(h.carriers) > 0 {
		h.carriers[h.accepted.Add(1)%uint64(len(h.carriers))].adopt(sock, kind)
		return
	}
	c := &conn{hub: h, ended: make(chan struct{})}
	out, err := newOutbox(sock, c.idle, c.unsent)
	if err != nil {
		h.log.Warn("a new connection could not be served", "error", err)
		_ = sock.Close() // of no use to anybody
		return
	}
	c.out = out
	if secure != nil {
		c.secure = tls.Server(out, secure)
	}
	c.mu.Lock()
	c.sess = h.connect(sock, kind, c.wake)
	c.mu.Unlock()
	if !h.add(c) {
		c.mu.Lock()
		c.close()
		c.mu.Unlock()
		return
	}
	go func() {
		defer close(c.ended)
		c.serve()
	}()
}

// add is refused once the server stops.
func (h *hub) add(c connection) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping.Load() {
		return false
	}
	h.conns[c] = struct{}{}
	return true
}

func (h *hub) remove(c connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

func (h *hub) all() []connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]connection, 0, len(h.conns))
	for c := range h.conns {
		list = append(list, c)
	}
	return list
}

// stopReading ends the input of all connections; commands being run are
// finished. It waits for that, but no longer than patience.
func (h *hub) stopReading(patience time.Duration) {
	h.mu.Lock()
	h.stopping.Store(true)
	h.mu.Unlock()
	var running sync.WaitGroup
	for _, c := range h.all() {
		running.Add(1)
		c.stopReading(running.Done)
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		h.log.Warn("commands are still running at shutdown")
	}
}

// closeAll sends what the sessions may still say and closes them, slow readers
// after patience at the latest. No connection is accepted any more.
func (h *hub) closeAll(patience time.Duration) {
	h.closeClients(patience)
	for _, l := range h.carriers {
		l.end(patience)
	}
}

func (h *hub) closeClients(patience time.Duration) {
	for _, c := range h.all() {
		c.finish(patience)
	}
	const pollEvery = 5 * time.Millisecond
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if len(h.all()) == 0 {
			return
		}
	}
	for _, c := range h.all() {
		c.abandon()
	}
}
