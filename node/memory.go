package node

import "math"

// baseBytes is the memory of a server without data or clients, by accounting.
const baseBytes = 1 << 20

// UsedBytes is used_memory: data with its overhead, client buffers, a fixed
// base.
func (n *Node) UsedBytes() int64 {
	return baseBytes + n.engine.UsedBytes() + n.clients.totals().bytes
}

// evictMicros bounds how long one command goes on evicting for everybody, at a
// tenacity from 0 to 100, as Redis does: by fifty microseconds for each of the
// first ten, then by 15 percent for each more.
func evictMicros(tenacity int) int64 {
	switch {
	case tenacity <= 10:
		return int64(tenacity) * 50
	case tenacity < 100:
		return int64(500 * math.Pow(1.15, float64(tenacity-10)))
	}
	return math.MaxInt64
}

// fitMemory evicts until used memory is within maxmemory and reports whether
// it is. As in Redis clients' buffers count.
func (n *Node) fitMemory() bool {
	snap := n.conf.Load()
	limit := snap.MaxMemory
	over := func() bool { return limit > 0 && baseBytes+n.clients.booked.Load()+n.engine.UsedBytes() > limit }
	if !over() || n.pause.active() {
		return true
	}
	now, start, budget := n.wall.NowMs(), n.opts.Micros(), evictMicros(snap.MaxMemoryEvictionTenacity)
	for over() {
		if n.engine.EvictStep(now) == 0 {
			// Where values may only go to their rows, rows are wanted first.
			n.stats.wantRows.Store(true)
			return false
		}
		if n.opts.Micros()-start > budget {
			// Time is up but memory does come free: go on with the next
			// command or Tick.
			n.evictMore.Store(true)
			return true
		}
	}
	return true
}
