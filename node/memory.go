package node

// baseBytes is the memory of a server without data or clients, by accounting.
const baseBytes = 1 << 20

// UsedBytes is used_memory: data with its overhead, client buffers, a fixed
// base.
func (n *Node) UsedBytes() int64 {
	return baseBytes + n.engine.UsedBytes() + n.clients.totals().bytes
}

// evictMicros bounds how long one command goes on evicting for everybody, at
// Redis' default tenacity.
const evictMicros = 500

// fitMemory evicts until used memory is within maxmemory and reports whether
// it is. What output buffers hold is not counted against the data, as in
// Redis, so that evicting cannot feed itself.
func (n *Node) fitMemory() bool {
	limit := n.conf.Load().MaxMemory
	over := func() bool { return limit > 0 && baseBytes+n.engine.UsedBytes() > limit }
	if !over() {
		return true
	}
	now, start := n.wall.NowMs(), n.opts.Micros()
	for over() {
		if n.engine.EvictStep(now) == 0 {
			// Where values may only go to their rows, rows are wanted first.
			n.stats.wantRows.Store(true)
			return false
		}
		if n.opts.Micros()-start > evictMicros {
			// Time is up but memory does come free: go on with the next
			// command.
			return true
		}
	}
	return true
}
