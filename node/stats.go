package node

import (
	"maps"
	"sync"
	"sync/atomic"

	"geocache/command"
)

// stats are the counters behind INFO; ResetStats zeroes those that Redis does.
type stats struct {
	commands, connections, rejected atomic.Int64
	netIn, netOut                   atomic.Int64
	queryLimit, outputLimit         atomic.Int64
	authFailures                    atomic.Int64
	errorReplies                    atomic.Int64

	diskFailed atomic.Bool
	wantRows   atomic.Bool   // eviction waits for a checkpoint
	clockBound atomic.Uint64 // renew the stored bound from this reading on
	peakBytes  atomic.Int64
	opsPerSec  atomic.Int64

	rows map[*command.Row]*rowStats // fixed after init
	errs struct {
		sync.Mutex
		byCode map[string]int64
	}
	sampling struct {
		ms, commands int64
		ring         [16]int64
		next         int
	}
}

// rowStats are one command's counters.
type rowStats struct{ calls, micros, rejected, failed atomic.Int64 }

func (s *stats) init(t *command.Table) {
	s.rows = map[*command.Row]*rowStats{}
	for _, r := range t.Rows() {
		s.rows[r] = &rowStats{}
		for i := range r.Subs {
			s.rows[&r.Subs[i]] = &rowStats{}
		}
	}
	s.errs.byCode = map[string]int64{}
}

func (s *stats) of(r *command.Row) *rowStats { return s.rows[r] }

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

// sampleMs is how often the command rate is sampled.
const sampleMs = 100

// sample keeps instantaneous_ops_per_sec; it belongs to Tick.
func (s *stats) sample(nowMs int64) {
	p := &s.sampling
	if elapsed := nowMs - p.ms; elapsed >= sampleMs || elapsed < 0 {
		count := s.commands.Load()
		if elapsed > 0 {
			p.ring[p.next%len(p.ring)] = (count - p.commands) * 1000 / elapsed
			p.next++
			sum := int64(0)
			for _, v := range p.ring {
				sum += v
			}
			s.opsPerSec.Store(sum / int64(len(p.ring)))
		}
		p.ms, p.commands = nowMs, count
	}
}

// ResetStats implements command.Host.
func (n *Node) ResetStats() {
	s := &n.stats
	for _, c := range []*atomic.Int64{
		&s.commands, &s.connections, &s.rejected, &s.netIn, &s.netOut, &s.queryLimit, &s.outputLimit,
		&s.authFailures, &s.errorReplies,
	} {
		c.Store(0)
	}
	for _, r := range s.rows {
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
