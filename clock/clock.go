// Package clock owns time, order and chance: the wall clock, the hybrid
// logical clock (HLC) that stamps every change, vectors that say what a region
// has applied, and seeded randomness.
//
// Everything below package server takes its time and randomness from here, so
// that a test or the simulator can drive whole nodes with a clock of its own.
// The package knows nothing of keys, ops, disks or networks.
//
// Invariants: a reading handed out by HLC.Take is greater than every reading
// taken or observed before; a Vector entry only grows.
package clock

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Wall tells the time of day since the Unix epoch.
type Wall interface {
	NowMs() int64
	NowMicros() int64
}

// System is the machine's clock. The zero value is ready.
type System struct{}

// NowMs implements Wall.
func (System) NowMs() int64 { return time.Now().UnixMilli() }

// NowMicros implements Wall.
func (System) NowMicros() int64 { return time.Now().UnixMicro() }

var began = time.Now()

// Micros are the microseconds since the process began. They measure durations:
// changes of the time of day do not show, and one reading costs half as much.
func (System) Micros() int64 { return time.Since(began).Microseconds() }

// Manual is a clock that moves only when told to.
type Manual struct{ ms atomic.Int64 }

// NewManual starts a manual clock at ms.
func NewManual(ms int64) *Manual {
	m := &Manual{}
	m.ms.Store(ms)
	return m
}

// NowMs implements Wall.
func (m *Manual) NowMs() int64 { return m.ms.Load() }

// NowMicros implements Wall.
func (m *Manual) NowMicros() int64 { return m.ms.Load() * 1000 }

// Advance moves the clock by ms, which may be negative: a wall clock can jump.
func (m *Manual) Advance(ms int64) { m.ms.Add(ms) }

// Set moves the clock to ms.
func (m *Manual) Set(ms int64) { m.ms.Store(ms) }

// Rand is a source of randomness safe for concurrent use and reproducible from
// its seed as long as it is used in one order.
type Rand struct {
	mu struct {
		sync.Mutex
		r *rand.Rand
	}
}

// NewRand seeds a source.
func NewRand(seed uint64) *Rand {
	r := &Rand{}
	r.mu.r = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	return r
}

// SystemSeed is a seed nobody can guess, for hash tables and identities.
func SystemSeed() uint64 { return rand.Uint64() }

// Uint64 is a uniform 64-bit number.
func (r *Rand) Uint64() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.r.Uint64()
}

// IntN is a uniform number in [0, n). It panics if n <= 0.
func (r *Rand) IntN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.r.IntN(n)
}
