package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// session is the node's side of a connection. One goroutine at a time.
type session interface {
	// Feed consumes input and runs what is complete until it parks.
	Feed(p []byte)
	// Awaits is how many bytes the unfinished request has announced that are
	// still to come, 0 for none or not known.
	Awaits() int
	// Resume goes on after a wake.
	Resume()
	// Unsent says how much of what Output handed over waits for a slow reader.
	// It may be called from any goroutine.
	Unsent(bytes int)
	// Output hands over the bytes that may leave now, valid until the next
	// call.
	Output() []byte
	// Closing reports that the connection ends once its output has left.
	Closing() bool
	// InputEnded says that the client will send no more: what was answered
	// still leaves, then Closing turns true.
	InputEnded()
	// Close says that the connection is gone.
	Close()
}

const (
	// lingerTime is how long a client that is being closed may take nothing of
	// the rest before it is given up.
	lingerTime = 5 * time.Second
	// handshakeTime bounds a TLS handshake.
	handshakeTime = 10 * time.Second
)

// conn is one client connection with goroutines of its own: one that reads, and
// others that come and go when the session is woken or the socket was full. It
// serves TLS, and plain connections where there are no event loops.
type conn struct {
	hub    *hub
	out    *outbox
	secure *tls.Conn     // nil for plain connections
	ended  chan struct{} // closed when the reading goroutine is over

	mu     sync.Mutex // serialises sess
	sess   session
	ready  bool // the handshake is over: output may be written
	closed bool
	// lingering: the session is closing and the rest has a deadline.
	lingering bool

	wakes atomic.Int32 // wakeIdle, wakeRunning, wakeAgain
}

const (
	wakeIdle int32 = iota
	wakeRunning
	wakeAgain
)

// wake is called by the node, from anywhere, when the session may go on or has
// new output. It does not wait.
func (c *conn) wake() {
	for {
		switch c.wakes.Load() {
		case wakeIdle:
			if c.wakes.CompareAndSwap(wakeIdle, wakeRunning) {
				go c.woken()
				return
			}
		case wakeRunning:
			if c.wakes.CompareAndSwap(wakeRunning, wakeAgain) {
				return
			}
		default:
			return
		}
	}
}

func (c *conn) woken() {
	for {
		c.mu.Lock()
		if !c.closed {
			c.sess.Resume()
			c.flush()
		}
		c.mu.Unlock()
		if c.wakes.CompareAndSwap(wakeRunning, wakeIdle) {
			return
		}
		c.wakes.Store(wakeRunning)
	}
}

// idle is called when a full socket has taken the rest.
func (c *conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
}

// unsent passes on how much the outbox holds.
func (c *conn) unsent(bytes int) { c.sess.Unsent(bytes) }

// flush writes what may leave, and closes what is to be closed. Needs mu.
func (c *conn) flush() {
	if c.closed || !c.ready {
		return
	}
	for !c.out.busy() {
		b := c.sess.Output()
		if len(b) == 0 {
			break
		}
		if err := c.write(b); err != nil {
			c.close()
			return
		}
	}
	if c.sess.Closing() {
		if !c.out.busy() {
			c.close()
		} else if !c.lingering {
			c.lingering = true
			c.out.linger(c.hub.linger)
		}
	}
}

func (c *conn) write(b []byte) error {
	var err error
	if c.secure != nil {
		_, err = c.secure.Write(b)
	} else {
		_, err = c.out.Write(b)
	}
	return err
}

// close ends session and socket. Needs mu.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.sess.Close()
	// Nobody is left to tell that a socket did not close well.
	if c.secure != nil && c.ready {
		_ = c.secure.Close()
	} else {
		_ = c.out.Close()
	}
	c.hub.remove(c)
}

// serve reads until the input ends, the connection is closed or the server
// stops. In the last case the hub ends the connection.
func (c *conn) serve() {
	err := c.handshake()
	if err == nil {
		c.mu.Lock()
		c.ready = true
		c.flush()
		c.mu.Unlock()
		err = c.read()
	}
	if c.hub.stopping.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case errors.Is(err, io.EOF) && c.ready:
		c.sess.InputEnded()
		c.flush()
	default:
		c.close()
	}
}

func (c *conn) handshake() error {
	if c.secure == nil {
		return nil
	}
	// Deadlines cannot be refused by an open socket.
	_ = c.out.SetDeadline(time.Now().Add(handshakeTime))
	if err := c.secure.Handshake(); err != nil {
		c.hub.log.Debug("TLS handshake failed", "client", c.out.RemoteAddr().String(), "error", err)
		return err
	}
	_ = c.out.SetDeadline(time.Time{})
	return nil
}

// connReadBuf is one TLS record.
const connReadBuf = 16 << 10

// read feeds the session until it cannot.
func (c *conn) read() error {
	var from io.Reader = c.out.streamConn
	if c.secure != nil {
		from = c.secure
	}
	buf := make([]byte, connReadBuf)
	for !c.hub.stopping.Load() {
		n, err := from.Read(buf)
		if n > 0 {
			if err := c.feed(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// feed hands input over and sends the replies, in one write if they fit.
func (c *conn) feed(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.sess.Feed(p)
	c.flush()
	return nil
}

// stopReading implements connection.
func (c *conn) stopReading(done func()) {
	_ = c.out.SetReadDeadline(time.Unix(1, 0)) // only a closed socket refuses
	go func() {
		<-c.ended
		done()
	}()
}

// finish implements connection. A session that still runs a command is left to
// abandon.
func (c *conn) finish(patience time.Duration) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.sess.InputEnded()
	c.flush()
	if !c.closed {
		c.out.linger(patience)
	}
}

// abandon implements connection.
func (c *conn) abandon() {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		c.close()
		return
	}
	_ = c.out.Close() // the process ends; nobody is left to tell
}
