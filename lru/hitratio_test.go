package lru

import (
	"bufio"
	"compress/gzip"
	"container/list"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// requestsPerMs sets the pace of the simulated streams: a cache of testCapacity is replaced in seconds, so that
// only a part of it ties in LRU scores.
const requestsPerMs = 1

// sampledCache evicts the way an engine does with this package: entries in a slice, random samples, one pool.
type sampledCache struct {
	policy   Policy
	params   Params
	capacity int
	entries  []cacheEntry
	index    map[uint64]int
	pool     Pool
	rng      *rand.Rand
}

type cacheEntry struct {
	key  uint64
	word Word
}

func newSampledCache(p Policy, capacity int, seed uint64) *sampledCache {
	return &sampledCache{policy: p, params: DefaultParams(), capacity: capacity, index: map[uint64]int{}, rng: rand.New(rand.NewPCG(seed, 1))}
}

func (c *sampledCache) get(key uint64, nowMs int64) bool {
	if i, ok := c.index[key]; ok {
		c.entries[i].word = c.policy.OnRead(c.entries[i].word, nowMs, c.rng.Uint32(), c.params)
		return true
	}
	if len(c.entries) == c.capacity {
		c.evict(nowMs)
	}
	c.index[key] = len(c.entries)
	c.entries = append(c.entries, cacheEntry{key, c.policy.Init(nowMs)})
	return false
}

func (c *sampledCache) evict(nowMs int64) {
	for {
		for range c.params.Samples {
			e := c.entries[c.rng.IntN(len(c.entries))]
			c.pool.Offer(e.key, c.policy.Score(e.word, 0, nowMs, c.params))
		}
		for {
			key, score, ok := c.pool.Take()
			if !ok {
				break
			}
			i, exists := c.index[key]
			if !exists || c.policy.Score(c.entries[i].word, 0, nowMs, c.params) < score {
				continue // gone, or used since it was offered
			}
			last := len(c.entries) - 1
			c.entries[i] = c.entries[last]
			c.index[c.entries[i].key] = i
			c.entries = c.entries[:last]
			delete(c.index, key)
			return
		}
	}
}

type exactLRU struct {
	capacity int
	order    *list.List
	index    map[uint64]*list.Element
}

func newExactLRU(capacity int) *exactLRU {
	return &exactLRU{capacity, list.New(), map[uint64]*list.Element{}}
}

func (c *exactLRU) get(key uint64, _ int64) bool {
	if e, ok := c.index[key]; ok {
		c.order.MoveToFront(e)
		return true
	}
	if len(c.index) == c.capacity {
		delete(c.index, c.order.Remove(c.order.Back()).(uint64))
	}
	c.index[key] = c.order.PushFront(key)
	return false
}

// hitPercent runs a stream at a given pace and counts hits after the first quarter, which warms up.
func hitPercent(get func(uint64, int64) bool, stream []uint64, perMs int64) float64 {
	hits, counted := 0, 0
	for i, key := range stream {
		hit := get(key, base+int64(i)/perMs)
		if i < len(stream)/4 {
			continue
		}
		counted++
		if hit {
			hits++
		}
	}
	return 100 * float64(hits) / float64(counted)
}

func zipfStream(n int, keys uint64, seed uint64) []uint64 {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), 1.1, 1, keys-1)
	stream := make([]uint64, n)
	for i := range stream {
		stream[i] = z.Uint64()
	}
	return stream
}

func loopStream(n int, keys uint64) []uint64 {
	stream := make([]uint64, n)
	for i := range stream {
		stream[i] = uint64(i) % keys
	}
	return stream
}

// scanStream is a Zipf stream in which every other request belongs to one long scan of keys that never come back.
func scanStream(n int, keys uint64, seed uint64) []uint64 {
	stream := zipfStream(n, keys, seed)
	for i := 1; i < n; i += 2 {
		stream[i] = 1<<40 + uint64(i)
	}
	return stream
}

const testCapacity = 4000

func TestSampledLRUFollowsExactLRU(t *testing.T) {
	for seed := range uint64(3) {
		for name, stream := range map[string][]uint64{
			"zipf": zipfStream(400_000, 40_000, seed), "scan": scanStream(400_000, 40_000, seed),
			"loop": loopStream(200_000, testCapacity*5/4), "fitting loop": loopStream(100_000, testCapacity*3/4),
		} {
			exact := hitPercent(newExactLRU(testCapacity).get, stream, requestsPerMs)
			sampled := hitPercent(newSampledCache(AllkeysLRU, testCapacity, seed).get, stream, requestsPerMs)
			t.Logf("seed %d %s: exact %.2f%%, sampled %.2f%%", seed, name, exact, sampled)
			if sampled < exact-1 {
				t.Errorf("seed %d %s: sampled LRU hits %.2f%%, exact LRU %.2f%%", seed, name, sampled, exact)
			}
			// On a loop larger than the cache exact LRU hits nothing, so being unlike it is no fault there.
			if name != "loop" && sampled > exact+1 {
				t.Errorf("seed %d %s: sampled LRU hits %.2f%% and exact %.2f%%: this is not LRU", seed, name, sampled, exact)
			}
		}
	}
}

func TestLFUResistsScans(t *testing.T) {
	for seed := range uint64(3) {
		stream := scanStream(400_000, 40_000, seed)
		lru := hitPercent(newSampledCache(AllkeysLRU, testCapacity, seed).get, stream, requestsPerMs)
		lfu := hitPercent(newSampledCache(AllkeysLFU, testCapacity, seed).get, stream, requestsPerMs)
		t.Logf("seed %d: LRU %.2f%%, LFU %.2f%%", seed, lru, lfu)
		if lfu < lru+1 {
			t.Errorf("seed %d: LFU hits %.2f%%, LRU %.2f%%", seed, lfu, lru)
		}
	}
}

// TestTraces prints hit ratios over recorded request streams (*.txt.gz, one key a line) in the directory that TEST_TRACES
// names: every request counted, capacities in percent of the distinct keys. It fails where the
// adaptive policy is more than a point below sampled LRU.
func TestTraces(t *testing.T) {
	dir := os.Getenv("TEST_TRACES")
	if dir == "" {
		t.Skip("TEST_TRACES is not set")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no traces in %s: %v", dir, err)
	}
	const leastCapacity = 20
	sum, n := 0.0, 0
	fmt.Printf("package lru alone, hits in percent\n%-20s %8s %9s %12s %10s %8s\n", "trace", "entries", "exact LRU", "sampled LRU", "adaptive", "gain")
	for _, path := range paths {
		stream, distinct := readTrace(t, path)
		for _, percent := range []int{1, 5, 20} {
			capacity := max(distinct*percent/100, leastCapacity)
			exact := hitRatio(newExactLRU(capacity).get, stream)
			sampled := hitRatio(newSampledCache(AllkeysLRU, capacity, 1).get, stream)
			adaptive := hitRatio(newAdaptiveCache(capacity, 1, 1).get, stream)
			fmt.Printf("%-20s %8d %9.2f %12.2f %10.2f %+8.2f\n", filepath.Base(path), capacity, exact, sampled, adaptive, adaptive-sampled)
			if adaptive < sampled-1 {
				t.Errorf("%s with %d entries: adaptive hits %.2f%%, sampled LRU %.2f%%", path, capacity, adaptive, sampled)
			}
			sum += adaptive - sampled
			n++
		}
	}
	fmt.Printf("mean gain of the adaptive policy over sampled LRU: %+.2f points\n", sum/float64(n))
}

// hitRatio is in percent. The clock moves by the resolution of LRU a request: at this pace the baseline is LRU and not chance.
func hitRatio(get func(uint64, int64) bool, stream []uint64) float64 {
	hits := 0
	for i, key := range stream {
		if get(key, base+int64(i)*lruResolutionMs) {
			hits++
		}
	}
	return 100 * float64(hits) / float64(len(stream))
}

func readTrace(t *testing.T, path string) (stream []uint64, distinct int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]uint64{}
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		key, _, _ := strings.Cut(lines.Text(), " ")
		id, ok := ids[key]
		if !ok {
			id = uint64(len(ids))
			ids[key] = id
		}
		stream = append(stream, id)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return stream, len(ids)
}
