package node

import (
	"math"

	"geocache/command"
	"geocache/engine"
)

// baseBytes is the memory of a server without data or clients, by accounting.
const baseBytes = 1 << 20

// UsedBytes is used_memory: data with its overhead, client buffers, what
// snapshots keep, a fixed base.
func (n *Node) UsedBytes() int64 {
	return n.usedBeside(n.clients.totals().bytes, n.engine.SnapshotBytes())
}

// usedBeside is used_memory with what clients and snapshots have.
func (n *Node) usedBeside(clients, snapshots int64) int64 {
	return baseBytes + n.engine.UsedBytes() + clients + snapshots
}

// Memory implements command.Host.
func (n *Node) Memory() command.MemoryInfo {
	proc, all, clients, snapshots := n.opts.Process(), n.memory(), n.clients.totals(), n.engine.SnapshotBytes()
	m := command.MemoryInfo{
		Used: n.usedBeside(clients.bytes, snapshots), Startup: baseBytes, Clients: clients.bytes, Snapshots: snapshots,
		Live: all.Live, Mapped: all.Mapped, Resident: proc.RSSBytes, Heap: proc.HeapBytes,
		Limit: n.conf.Load().MaxMemory, Litter: n.engine.Litter(),
	}
	m.Peak = n.stats.notePeak(m.Used)
	if db := n.disk.db.Load(); db != nil {
		m.Log = db.Log.Stats().TailBytes
	}
	return m
}

// purgeSteps bounds the work of PurgeMemory.
const purgeSteps = 100_000

// PurgeMemory implements command.Host.
func (n *Node) PurgeMemory() {
	n.opts.Spawn(func() {
		for n.engine.ReleaseDiscard() {
		}
		for range purgeSteps {
			if !n.engine.Sweep(nil) {
				break
			}
		}
		if n.opts.FreeHeap != nil {
			n.opts.FreeHeap()
		}
	})
}

// MappedBytes is the memory that data holds outside the Go heap, as of the last
// Tick or two.
func (n *Node) MappedBytes() int64 { return n.engine.MappedBytes() }

// memory is the sum over all shards.
func (n *Node) memory() (all engine.Memory) {
	for _, m := range n.engine.Memory() {
		all.Live += m.Live
		all.Mapped += m.Mapped
		all.Sparse += m.Sparse
	}
	return all
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

// hardShare: beyond maxmemory by this part, a command goes on making room
// whatever its time is. So used memory stays below 1.02 maxmemory and the
// largest value that is being written.
const hardShare = 400

// allowExcess lets used memory be beyond a limit that has just come into force,
// by what it is now: it sinks from there command by command.
func (n *Node) allowExcess() {
	n.excess.Store(baseBytes + n.engine.UsedBytes())
	n.evictMore.Store(true)
}

// hardLimit is what used memory may not be beyond after a command has made
// room.
func (n *Node) hardLimit(limit int64) int64 {
	return max(limit+limit/hardShare, n.excess.Load())
}

// bookedBytes is what clients' buffers are to maxmemory: beyond
// maxmemory-clients they are being closed already, and no data has to go.
func (n *Node) bookedBytes() int64 {
	booked := n.clients.booked.Load()
	if limit := n.clientsLimit(); limit > 0 {
		booked = min(booked, limit)
	}
	return booked
}

// Resident memory is to stay within 1.15 maxmemory and 64 MB, of which the
// program and the Go heap take most: pages may hold 1.15 maxmemory and
// spreadMost. Where they come within giveUpPercent of that, because many shards
// hold blocks of many sizes, data makes room for them: several times as much,
// since blocks leave before their pages do, but no more than a part of maxmemory.
const (
	spreadMost    = 2 << 20
	giveUpPercent = 2
	giveUpTimes   = 4
	giveUpShare   = 10
)

// target is what used memory is to be brought to.
func (n *Node) target(limit int64) int64 { return targetOf(limit, n.excessPages(limit)) }

func targetOf(limit, excess int64) int64 {
	near := max(excess+limit*giveUpPercent/100, 0)
	return limit - min(giveUpTimes*near, limit/giveUpShare)
}

// excessPages is by how many bytes pages exceed what they may hold.
func (n *Node) excessPages(limit int64) int64 {
	return n.engine.MappedBytes() - (limit + limit*3/20 + spreadMost)
}

// A command that finds memory full, and pages spread out, moves some together
// beside the Tick's, as new data comes in faster than that: a step, and the more
// the nearer pages are to what they may hold, up to mostSteps in moveMicros.
const (
	mostSteps  = 64
	moveMicros = 800
)

func (n *Node) moveTogether(limit int64, startMicros int64) {
	if !n.spreadOut(limit) {
		return
	}
	steps := int64(1)
	if room := limit / 25; n.excessPages(limit) > -room {
		steps += (n.excessPages(limit) + room) * mostSteps / (room + 1)
	}
	for range min(steps, mostSteps) {
		if !n.engine.Sweep(nil) || n.opts.Micros()-startMicros > moveMicros {
			return
		}
	}
}

// fitMemory evicts until used memory is within maxmemory and reports whether
// it is. As in Redis clients' buffers count. What removed collections have left
// is freed before anything is evicted for it. The caller's turns are in st.
func (n *Node) fitMemory(st *stints) bool {
	snap := n.conf.Load()
	limit := snap.MaxMemory
	over := func(limit int64) bool { return limit > 0 && baseBytes+n.bookedBytes()+n.engine.UsedBytes() > limit }
	target := limit
	if used := limit - limit/giveUpShare; limit > 0 && over(used) {
		target = n.target(limit)
	}
	if !over(target) || n.pause.active() {
		return true
	}
	now, start, budget := n.wall.NowMs(), n.opts.Micros(), evictMicros(snap.MaxMemoryEvictionTenacity)
	n.moveTogether(limit, start)
	for at := start; over(target); {
		if !n.engine.SweepLitter() && n.engine.EvictStep(now) == 0 {
			if !over(limit) {
				break
			}
			// Where values may only go to their rows, rows are wanted first.
			n.stats.wantRows.Store(true)
			return false
		}
		was := at
		at = n.opts.Micros()
		st.note(n, evictTurn, was, at)
		st.keep(n, at)
		if at-start > budget && !over(n.hardLimit(target)) {
			// Time is up but memory does come free: go on with the next
			// command or Tick.
			n.allowExcess()
			return true
		}
	}
	n.excess.Store(0)
	return true
}

// spreadShare: pages that hold more than the data, or maxmemory, by this part
// are moved together with more effort.
const spreadShare = 10

// spreadOut reports whether pages exceed bytes by much.
func (n *Node) spreadOut(bytes int64) bool { return n.engine.MappedBytes() > bytes+bytes/spreadShare }

// Budgets of one Tick for giving memory back, in microseconds: what is in
// nobody's way, and where removed data waits to be freed or pages are half
// empty.
const (
	sweepMicros = 1000
	hurryMicros = 2500
)

// sweepMemory gives memory back: at most a tenth of the time between ticks, or
// a quarter where there is much.
func (n *Node) sweepMemory() {
	start := n.opts.Micros()
	at := start
	for n.engine.ReleaseDiscard() {
		if at = n.opts.Micros(); at-start > hurryMicros {
			return
		}
	}
	budget := int64(sweepMicros)
	if n.engine.Litter() > 0 || n.spreadOut(n.memory().Live) {
		budget = hurryMicros
	}
	n.ticking.keep(n, at)
	was := at
	waited := func() { was = n.ticking.begin(n) }
	for n.engine.Sweep(waited) {
		at = n.opts.Micros()
		n.ticking.note(n, sweepTurn, was, at)
		n.ticking.keep(n, at)
		if was = at; at-start > budget {
			return
		}
	}
}
