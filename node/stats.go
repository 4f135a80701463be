package node

import (
	"maps"
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/persist"
	"geocache/replicate"
)

// stats are the counters behind INFO; ResetStats zeroes those that Redis does.
type stats struct {
	connections, rejected   atomic.Int64
	netIn, netOut           atomic.Int64
	queryLimit, outputLimit atomic.Int64
	evictedClients          atomic.Int64
	authFailures            atomic.Int64
	errorReplies            atomic.Int64

	diskFailed atomic.Bool
	wantRows   atomic.Bool   // eviction waits for a checkpoint
	clockBound atomic.Uint64 // renew the stored bound from this reading on
	peakBytes  atomic.Int64
	turns      turns // processor time
	elapsed    turns // the same by the clock

	expireMicros, expireCapped               atomic.Int64 // of the expiry cycle: time spent, times cut short
	opsPerSec, inBytesPerSec, outBytesPerSec atomic.Int64
	// What INFO must not wait for is left here by those who hold its locks.
	checkpoint atomic.Pointer[checkpointState]
	store      atomic.Pointer[persist.Metrics]
	peers      atomic.Pointer[[]replicate.PeerStatus]

	rows []rowStats // by Row.Index, fixed after init
	errs struct {
		sync.Mutex
		byCode map[string]int64
	}
	sampling struct { // belongs to Tick
		ms           int64
		ops, in, out rate
	}
}

// checkpointState is how the checkpoints of this run went.
type checkpointState struct {
	running, failing        bool
	count                   int64
	startMs, doneMs, tookMs int64 // of the last; startMs also when nothing was to do
}

// rate is a running total's growth per second, averaged over its last samples
// as Redis averages.
type rate struct {
	last int64
	ring [16]int64
	next int
}

// sample takes the total after elapsedMs and returns the average. A total that
// was reset in between counts as still.
func (r *rate) sample(total, elapsedMs int64) (perSec int64) {
	r.ring[r.next] = max(total-r.last, 0) * 1000 / elapsedMs
	r.next = (r.next + 1) % len(r.ring)
	r.last = total
	for _, v := range r.ring {
		perSec += v
	}
	return perSec / int64(len(r.ring))
}

// rowStats are one command's counters.
type rowStats struct{ calls, micros, rejected, failed atomic.Int64 }

func (s *stats) init(t *command.Table) {
	s.rows = make([]rowStats, t.Len())
	s.errs.byCode = map[string]int64{}
}

// commands is how many commands ran.
func (s *stats) commands() (n int64) {
	for i := range s.rows {
		n += s.rows[i].calls.Load()
	}
	return n
}

func (s *stats) of(r *command.Row) *rowStats { return &s.rows[r.Index()] }

// maxErrorCodes bounds INFO errorstats, as Redis does.
const maxErrorCodes = 128

func (s *stats) failed(code string) {
	s.errorReplies.Add(1)
	s.errs.Lock()
	defer s.errs.Unlock()
	if _, known := s.errs.byCode[code]; known || len(s.errs.byCode) < maxErrorCodes {
		s.errs.byCode[code]++
	}
}

// errors is a copy of the counts by code.
func (s *stats) errors() map[string]int64 {
	s.errs.Lock()
	defer s.errs.Unlock()
	return maps.Clone(s.errs.byCode)
}

// sampleMs is how often rates and the memory peak are sampled.
const sampleMs = 100

// sample keeps the instantaneous_ fields and the memory peak; it belongs to
// Tick.
func (n *Node) sample(nowMs int64) {
	s := &n.stats
	p := &s.sampling
	elapsed := nowMs - p.ms
	if elapsed >= 0 && elapsed < sampleMs {
		return
	}
	first := p.ms == 0
	p.ms = nowMs
	if first || elapsed < 0 {
		p.ops.last, p.in.last, p.out.last = s.commands(), s.netIn.Load(), s.netOut.Load()
		return
	}
	s.opsPerSec.Store(p.ops.sample(s.commands(), elapsed))
	s.inBytesPerSec.Store(p.in.sample(s.netIn.Load(), elapsed))
	s.outBytesPerSec.Store(p.out.sample(s.netOut.Load(), elapsed))
	s.notePeak(n.UsedBytes())
}

// notePeak raises the memory peak to used and returns it.
func (s *stats) notePeak(used int64) (peak int64) {
	for {
		peak = s.peakBytes.Load()
		if used <= peak {
			return peak
		}
		if s.peakBytes.CompareAndSwap(peak, used) {
			return used
		}
	}
}

func (s *stats) noteStore(m persist.Metrics) { s.store.Store(&m) }

func (s *stats) resetTurns() {
	for i := range s.turns {
		s.turns[i].Store(0)
		s.elapsed[i].Store(0)
	}
}

// ResetStats implements command.Host.
func (n *Node) ResetStats() {
	s := &n.stats
	for _, c := range []*atomic.Int64{
		&s.connections, &s.rejected, &s.netIn, &s.netOut, &s.queryLimit, &s.outputLimit, &s.evictedClients,
		&s.authFailures, &s.errorReplies, &s.expireMicros, &s.expireCapped,
	} {
		c.Store(0)
	}
	s.resetTurns()
	for i := range s.rows {
		r := &s.rows[i]
		r.calls.Store(0)
		r.micros.Store(0)
		r.rejected.Store(0)
		r.failed.Store(0)
	}
	s.errs.Lock()
	clear(s.errs.byCode)
	s.errs.Unlock()
	n.engine.ResetStats()
}
