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

	"geocache/config"
)

const (
	// heapFloor is the heap size below which collecting is not worth it: a
	// server with little data would otherwise collect every few megabytes of
	// requests.
	heapFloor = 32 << 20
	// defaultPercent is Go's own growth between collections.
	defaultPercent = 100
	// minMemoryLimit keeps the collector from running all the time in a
	// container that is too small.
	minMemoryLimit = 64 << 20
)

// tuneMemory sets the collector's pace. What the operator set with GOGC or
// GOMEMLIMIT stays.
func tuneMemory(s *config.Snapshot, log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := containerLimit(); limit > 0 {
			// Go counts neither Pebble's caches nor what the kernel charges
			// for sockets and page tables.
			room := limit - limit/16 - s.PebbleCacheSize - 2*s.PebbleMemtableSize
			debug.SetMemoryLimit(max(room, minMemoryLimit))
		}
	}
	if os.Getenv("GOGC") == "" {
		keepFloor(&gcWatch{percent: defaultPercent, log: log})
	}
}

// gcWatch is garbage at every collection, so that its cleanup can set the pace
// of the next: the floor must be given up at once when the heap outgrows it.
type gcWatch struct {
	percent int
	log     *slog.Logger
}

func keepFloor(w *gcWatch) {
	if p := floorPercent(liveHeap()); p != w.percent {
		w.percent = p
		debug.SetGCPercent(p)
		w.log.Debug("collector's pace changed", "percent", p)
	}
	runtime.SetFinalizer(w, keepFloor)
}

// floorPercent is the growth that lets the heap reach the floor, at least
// Go's own, in coarse steps because every change stops the world.
func floorPercent(live uint64) int {
	const step = 50
	if live == 0 {
		live = 1 << 20
	}
	if live >= heapFloor/2 {
		return defaultPercent
	}
	return max(defaultPercent, int((heapFloor-live)*100/live)/step*step)
}

func liveHeap() uint64 { return readMetric("/gc/heap/live:bytes") }

// heapBytes is what the process holds for Go's heap.
func heapBytes() int64 {
	return int64(min(readMetric("/memory/classes/heap/objects:bytes")+readMetric("/memory/classes/heap/unused:bytes"), math.MaxInt64))
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
