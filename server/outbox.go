package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// streamConn is what TCP and unix connections have in common.
type streamConn interface {
	net.Conn
	syscall.Conn
}

// outbox writes to a socket without ever waiting for it: what the kernel does
// not take at once is copied and left to a goroutine. Whoever writes looks at
// busy first, so the copy is bounded by one write (and TLS records around it).
type outbox struct {
	streamConn
	raw syscall.RawConn
	// onIdle is called, without locks, after the rest has left or been lost.
	onIdle func()
	// onRest is told how many bytes the kernel has not taken yet, whenever
	// that changes. It is called under mu.
	onRest func(bytes int)

	mu       sync.Mutex
	waiting  int    // bytes of rest and of the chunk being written
	rest     []byte // accepted and not yet with the kernel
	draining bool
	failed   error
	patience time.Duration // 0: writes may take for ever

	// Arguments and results of try, which is made once to save the closure.
	try    func(fd uintptr) bool
	tryBuf []byte
	tryN   int
	tryErr error
}

func newOutbox(sock streamConn, onIdle func(), onRest func(bytes int)) (*outbox, error) {
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, err
	}
	o := &outbox{streamConn: sock, raw: raw, onIdle: onIdle, onRest: onRest}
	o.try = func(fd uintptr) bool {
		for {
			o.tryN, o.tryErr = syscall.Write(int(fd), o.tryBuf)
			if o.tryErr != syscall.EINTR {
				return true
			}
		}
	}
	return o, nil
}

// Write implements io.Writer for plain replies and for TLS records. It takes
// all of p or fails.
func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed != nil {
		return 0, o.failed
	}
	n := 0
	if !o.draining {
		n = o.writeNow(p)
		if o.failed != nil {
			return n, o.failed
		}
	}
	if n < len(p) {
		o.rest = append(o.rest, p[n:]...)
		o.note(len(p) - n)
		if !o.draining {
			o.draining = true
			go o.drain()
		}
	}
	return len(p), nil
}

// writeNow makes one attempt and returns what the kernel took.
func (o *outbox) writeNow(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	o.tryBuf = p
	err := o.raw.Write(o.try)
	o.tryBuf = nil
	if err == nil {
		err = o.tryErr
	}
	switch {
	case err == nil && o.tryN == 0:
		o.failed = io.ErrShortWrite
	case err == nil:
		return o.tryN
	case !errors.Is(err, syscall.EAGAIN):
		o.failed = err
	}
	return 0
}

func (o *outbox) drain() {
	var chunk []byte
	for {
		o.mu.Lock()
		if len(chunk) == 0 {
			chunk, o.rest = o.rest, nil
		}
		if len(chunk) == 0 || o.failed != nil {
			o.draining = false
			o.mu.Unlock()
			o.onIdle()
			return
		}
		o.renewDeadline()
		o.mu.Unlock()
		n, err := o.streamConn.Write(chunk[:min(len(chunk), drainPiece)])
		chunk = chunk[n:]
		o.mu.Lock()
		o.note(-n)
		if err != nil {
			o.failed = err
		}
		o.mu.Unlock()
	}
}

// note counts what waits. Needs mu.
func (o *outbox) note(more int) {
	o.waiting += more
	o.onRest(o.waiting)
}

// drainPiece is how much a lingering reader must take within its patience.
const drainPiece = 256 << 10

// busy reports whether earlier bytes are still on their way to the kernel.
func (o *outbox) busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.draining
}

// linger gives up on a reader that takes nothing for so long.
func (o *outbox) linger(patience time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.patience = patience
	o.renewDeadline()
}

// renewDeadline needs mu. A deadline cannot be refused by an open socket, and a
// closed one needs none.
func (o *outbox) renewDeadline() {
	if o.patience > 0 {
		_ = o.SetWriteDeadline(time.Now().Add(o.patience))
	}
}
