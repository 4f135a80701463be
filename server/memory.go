package server

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"geocache/config"
)

// The floor is the heap size below which collecting is not worth it. Where it
// is low, collections are frequent but each costs little, because the data is
// not in the heap; so it is low as long as they are not too frequent.
const (
	minFloor = 4 << 20
	maxFloor = 16 << 20
	// A floor that makes collections come closer than busyGap doubles.
	busyGap = 50 * time.Millisecond
	// defaultPercent is Go's own growth between collections.
	defaultPercent = 100
	// minMemoryLimit keeps the collector from running all the time in a
	// container that is too small.
	minMemoryLimit = 64 << 20
)

const (
	// paceEvery is how often the heap is looked at in between.
	paceEvery = 250 * time.Millisecond
	// calmBytes is what is allocated in that time at most while little goes on.
	calmBytes = 1 << 20
	// Memory that is not in use goes back to the system in calm times, if it
	// is that much, and that part of the live heap.
	wasteFloor = 512 << 10
	wasteShare = 4
)

// heapPace sets the collector's pace and gives memory back after bursts. What
// the operator set with GOGC or GOMEMLIMIT stays.
type heapPace struct {
	log *slog.Logger
	// limit is the container's, less what Go never counts; 0: not ours to set.
	limit   int64
	floored bool // the pace is ours to set

	mu       sync.Mutex // guards all below
	percent  int
	floor    uint64
	last     time.Time // of the last collection
	allocs   uint64    // as of the last step
	burst    bool      // much was allocated in a step, and nothing given back since
	tidying  bool      // memory is being given back: collections say nothing
	setLimit int64
}

func newHeapPace(s *config.Snapshot, log *slog.Logger) *heapPace {
	p := &heapPace{log: log, percent: defaultPercent, floor: minFloor, floored: os.Getenv("GOGC") == "", last: time.Now()}
	if limit := containerLimit(); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		// Go counts neither Pebble's caches nor what the kernel charges for
		// sockets and page tables.
		p.limit = limit - limit/16 - s.PebbleCacheSize - 2*s.PebbleMemtableSize
		p.fitLimit(0)
	}
	if p.floored {
		follow(&collection{p})
	}
	return p
}

// collection is garbage at every collection, so that its finalizer can set the
// pace of the next: the floor must be given up at once when the heap outgrows
// it.
type collection struct{ pace *heapPace }

func follow(c *collection) {
	c.pace.collected(time.Now())
	runtime.SetFinalizer(c, follow)
}

// collected follows a collection.
func (p *heapPace) collected(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) < busyGap && p.floor < maxFloor && !p.tidying {
		p.floor *= 2
	}
	p.last = now
	p.setPercent()
}

// setPercent puts the floor into force. Needs mu.
func (p *heapPace) setPercent() {
	if want := floorPercent(liveHeap(), p.floor); want != p.percent {
		p.percent = want
		debug.SetGCPercent(want)
		p.log.Debug("collector's pace changed", "percent", want)
	}
}

// step gives memory back once a burst is over, and fits the limit to the data,
// dataBytes outside the Go heap. It is called every paceEvery.
func (p *heapPace) step(dataBytes int64) {
	if p.limit > 0 {
		p.fitLimit(dataBytes)
	}
	if live := liveHeap(); !p.calm(heapAllocs()) || heapHeld() < live+max(wasteFloor, live/wasteShare) {
		return
	}
	p.setTidying(true)
	runtime.GC() // pools of buffers outlive one collection
	debug.FreeOSMemory()
	p.setTidying(false)
}

func (p *heapPace) setTidying(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidying, p.burst = on, false
	p.allocs = heapAllocs()
}

// calm reports whether a burst is over and memory was not given back since.
// allocs is what was allocated so far. What comes slowly is left to the
// collector: giving back stops the world four times and has the processor for
// milliseconds, which clients see.
func (p *heapPace) calm(allocs uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := allocs - p.allocs
	p.allocs = allocs
	if step > calmBytes {
		p.burst = true
		return false
	}
	if p.floored && p.floor != minFloor {
		p.floor = minFloor
		p.setPercent()
	}
	return p.burst
}

// fitLimit leaves the heap what the data has not taken. Every change stops the
// world, so small ones are not made.
func (p *heapPace) fitLimit(dataBytes int64) {
	room := max(p.limit-dataBytes, minMemoryLimit)
	if diff := room - p.setLimit; diff > p.limit/32 || diff < -p.limit/32 || p.setLimit == 0 {
		p.setLimit = room
		debug.SetMemoryLimit(room)
	}
}

// floorPercent is the growth that lets the heap reach the floor, at least
// Go's own, in coarse steps because every change stops the world. Go itself
// has a floor, of 4 MB at its own growth and in proportion to it.
func floorPercent(live, floor uint64) int {
	const (
		step    = 50
		goFloor = 4 << 20
	)
	grow := floor * 100 / goFloor
	if live > 0 {
		grow = min(grow, (max(floor, live)-live)*100/live)
	}
	return max(defaultPercent, int(grow)/step*step)
}

// collections is how many there were, and for how many microseconds they
// stopped the world in all.
func collections() (cycles, pauseMicros int64) {
	var s debug.GCStats
	debug.ReadGCStats(&s)
	return s.NumGC, s.PauseTotal.Microseconds()
}

func heapAllocs() uint64 { return readMetric("/gc/heap/allocs:bytes") }

func liveHeap() uint64 { return readMetric("/gc/heap/live:bytes") }

// heapBytes is what the process holds for Go's heap.
func heapBytes() int64 {
	return int64(min(readMetric("/memory/classes/heap/objects:bytes")+readMetric("/memory/classes/heap/unused:bytes"), math.MaxInt64))
}

// heapHeld is heapBytes with what is free but not given back.
func heapHeld() uint64 {
	return uint64(heapBytes()) + readMetric("/memory/classes/heap/free:bytes")
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// containerLimit returns the memory limit of the process' control group, 0 if
// there is none.
func containerLimit() int64 {
	for _, name := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// Version 1 says "no limit" with a number beyond any machine.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < 1<<50 {
			return n
		}
	}
	return 0
}
