package server

import (
	"runtime"
	"sync"
	"time"
)

const (
	tickEvery       = 10 * time.Millisecond
	syncEvery       = time.Second
	checkpointEvery = 100 * time.Millisecond
	linksEvery      = 100 * time.Millisecond // at the latest
	// gatherTime is how long a group of the log grows where nobody waits for
	// it: a group costs the same however much is in it.
	gatherTime = 5 * time.Millisecond
)

// steps is what the loops drive.
type steps interface {
	Tick()
	WakeTimed() (nextMs int64)
	WriteLog() (more bool)
	LogAwaited() bool
	SyncLog()
	Checkpoint() (more bool)
}

// bell wakes a loop; rings that nobody has heard yet count as one.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// loops runs the node's background work, each kind in a goroutine of its own
// because each may wait for something else.
type loops struct {
	stop    chan struct{}
	running sync.WaitGroup
}

func startLoops(n steps, k *links, wakeLog, wakeLinks, wakeTimers bell) *loops {
	l := &loops{stop: make(chan struct{})}
	l.every(tickEvery, nil, func() {
		// The processor time of its steps is told from that of its thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		n.Tick()
	})
	l.every(syncEvery, nil, n.SyncLog)
	l.every(syncEvery, wakeLog, func() {
		if !n.LogAwaited() {
			l.pause(gatherTime)
		}
		l.drain(n.WriteLog)
	})
	l.every(checkpointEvery, nil, func() { l.drain(n.Checkpoint) })
	l.every(linksEvery, wakeLinks, k.step)
	l.timers(n, wakeTimers)
	return l
}

// timers ends waits to the millisecond.
func (l *loops) timers(n steps, b bell) {
	l.running.Go(func() {
		t := time.NewTimer(0)
		defer t.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-t.C:
			case <-b:
			}
			if next := n.WakeTimed(); next != 0 {
				t.Reset(time.Until(time.UnixMilli(next)))
			}
		}
	})
}

// every runs step at each interval and each ring.
func (l *loops) every(interval time.Duration, b bell, step func()) {
	l.running.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			case <-b:
			}
			step()
		}
	})
}

// pause waits, unless the loops end.
func (l *loops) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.stop:
	case <-t.C:
	}
}

// drain repeats a step while it has more to do.
func (l *loops) drain(step func() bool) {
	for step() {
		select {
		case <-l.stop:
			return
		default:
		}
	}
}

// end stops all loops and waits for their present step.
func (l *loops) end() {
	close(l.stop)
	l.running.Wait()
}
