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

// hub knows all connections.
type hub struct {
	log      *slog.Logger
	connect  connectFunc
	buffers  *buffers
	linger   time.Duration // lingerTime, but for tests
	stopping atomic.Bool
	readers  sync.WaitGroup
	arrivals arrivals

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newHub(log *slog.Logger, connect connectFunc) *hub {
	return &hub{log: log, connect: connect, buffers: newBuffers(), linger: lingerTime, conns: map[*conn]struct{}{}}
}

// accept takes over a new socket. secure is nil for plain connections.
func (h *hub) accept(sock streamConn, kind transport, secure *tls.Config) {
	c := &conn{hub: h}
	c.tryRead = c.readOnce
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
	h.mu.Lock()
	stopping := h.stopping.Load()
	if !stopping {
		h.conns[c] = struct{}{}
		h.readers.Add(1)
	}
	h.mu.Unlock()
	if stopping {
		c.mu.Lock()
		c.close()
		c.mu.Unlock()
		return
	}
	go func() {
		defer h.readers.Done()
		c.serve()
	}()
}

func (h *hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

func (h *hub) all() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*conn, 0, len(h.conns))
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
	for _, c := range h.all() {
		_ = c.out.SetReadDeadline(time.Unix(1, 0)) // only a closed socket refuses
	}
	done := make(chan struct{})
	go func() {
		h.readers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		h.log.Warn("commands are still running at shutdown")
	}
}

// closeAll sends what the sessions may still say and closes them, slow readers
// after patience at the latest.
func (h *hub) closeAll(patience time.Duration) {
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
