package server

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// arrivals lets two connections that were woken together run in the order in
// which their input came. The runtime starts those first that a look at the
// sockets found last; so each gives way once, which lets the others of its
// batch come in, and then to those that came in after it. This is no promise:
// with more connections, or threads that the system holds up, the order may be
// another. A server with much to do does without.
type arrivals struct {
	mu    sync.Mutex
	woken []*conn // in the order they were started
	// skip is how many are not put in order; it may miss a few.
	skip atomic.Int32
}

const (
	// maxWoken are put in order. Where there are more, the next busySkips
	// inputs are not.
	maxWoken  = 4
	busySkips = 1000
	// maxYields bounds how often a connection gives way.
	maxYields = 8
)

// enter is called by a connection that had to wait for input, and has some.
func (a *arrivals) enter(c *conn) {
	if !a.push(c) {
		return
	}
	for range maxYields {
		runtime.Gosched()
		if a.isLast(c) {
			return
		}
	}
}

func (a *arrivals) push(c *conn) (ok bool) {
	if n := a.skip.Load(); n > 0 {
		a.skip.Store(n - 1)
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.woken) == maxWoken {
		a.skip.Store(busySkips)
		return false
	}
	a.woken = append(a.woken, c)
	c.entered = true
	return true
}

func (a *arrivals) isLast(c *conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.woken[len(a.woken)-1] == c
}

// leave follows enter once the input has run.
func (a *arrivals) leave(c *conn) {
	if !c.entered {
		return
	}
	c.entered = false
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.woken, c)
	a.woken = slices.Delete(a.woken, i, i+1)
}
