package lru

import (
	"sync"
	"sync/atomic"
)

// Shared is what the shards of one engine have in common under the adaptive policy: the clock of recency, and the window
// that wins the duel of the shadows. Safe for concurrent use; nobody ever waits for it. The zero value is ready and begins
// with LRU. One serves for the life of an engine, whatever policies come and go: words are dated by its clock.
type Shared struct {
	clock  atomic.Uint32
	chosen atomic.Uint32

	mu   sync.Mutex // below a shard's lock, only ever tried
	uses float64    // decaying sums
	hits [windowCount]float64
}

const (
	// A round is what a shard counts before it reports.
	roundUses = 32
	// The sums remember so many uses per entry of a shadow, but some at least.
	horizonTurns = 6
	horizonLeast = 500
	// margin is by how many of all uses a window must lead to be chosen: changing over costs some hits.
	margin = 0.005
)

// tally counts what the shadows of a shard have seen since its last report.
type tally struct {
	uses int
	hits [windowCount]int
}

func (d *Shared) window() window { return window(d.chosen.Load()) }

// WindowPercent is the size of the window in force, in percent of the entries; 100 means LRU.
func (d *Shared) WindowPercent() int { return windowPercent[d.window()] }

// report adds a round; capacity is that of the shadows of one window in all shards. It returns false where another shard is reporting just now; the
// round then waits in its shard.
func (d *Shared) report(t *tally, capacity int) bool {
	if !d.mu.TryLock() {
		return false
	}
	defer d.mu.Unlock()
	decay := max(0, 1-float64(t.uses)/max(horizonTurns*float64(capacity), horizonLeast))
	d.uses = d.uses*decay + float64(t.uses)
	now := d.window()
	best := now
	for i := range d.hits {
		d.hits[i] = d.hits[i]*decay + float64(t.hits[i])
	}
	for i := range d.hits {
		if d.hits[i] > d.hits[best]+margin*d.uses {
			best = window(i)
		}
	}
	if best != now {
		d.chosen.Store(uint32(best))
	}
	return true
}
