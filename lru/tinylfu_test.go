package lru

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// adaptiveCache evicts the way an engine does with a State: entries in shards, random samples.
type adaptiveCache struct {
	shared   Shared
	shards   []*adaptiveShard
	capacity int
	live     int
	rng      *rand.Rand
}

type adaptiveShard struct {
	state   *State
	entries []cacheEntry
	index   map[uint64]int
}

func newAdaptiveCache(capacity, shards int, seed uint64) *adaptiveCache {
	c := &adaptiveCache{capacity: capacity, rng: rand.New(rand.NewPCG(seed, 1))}
	for range shards {
		c.shards = append(c.shards, &adaptiveShard{state: NewState(&c.shared, shards), index: map[uint64]int{}})
	}
	return c
}

func (c *adaptiveCache) get(key uint64, nowMs int64) bool {
	hash := spread(key + 1)
	s := c.shards[hash%uint64(len(c.shards))]
	if i, ok := s.index[hash]; ok {
		s.entries[i].word = s.state.OnUse(s.entries[i].word, hash, nowMs)
		return true
	}
	if c.live >= c.capacity {
		c.evict()
	}
	s.index[hash] = len(s.entries)
	s.entries = append(s.entries, cacheEntry{hash, s.state.OnInsert(hash, len(s.entries)+1, nowMs)})
	c.live++
	return false
}

// evict takes from the one of two random shards that has the worse candidate.
func (c *adaptiveCache) evict() {
	for {
		s, o := c.sampled(), c.sampled()
		if o.state.Pressure() > s.state.Pressure() {
			s = o
		}
		if s.evict() {
			c.live--
			return
		}
	}
}

func (c *adaptiveCache) sampled() *adaptiveShard {
	s := c.shards[c.rng.IntN(len(c.shards))]
	for i := 0; i < DefaultParams().Samples && len(s.entries) > 0; i++ {
		e := s.entries[c.rng.IntN(len(s.entries))]
		s.state.Offer(e.key, e.word)
	}
	return s
}

func (s *adaptiveShard) evict() bool {
	hash, ok := s.state.Victim(len(s.entries), s.word)
	if !ok {
		return false
	}
	i, last := s.index[hash], len(s.entries)-1
	s.entries[i] = s.entries[last]
	s.index[s.entries[i].key] = i
	s.entries = s.entries[:last]
	delete(s.index, hash)
	return true
}

func (s *adaptiveShard) word(hash uint64) (Word, bool) {
	i, ok := s.index[hash]
	if !ok {
		return 0, false
	}
	return s.entries[i].word, true
}

// recentStream asks for what was new a short while ago, which is where LRU is at its best and frequency misleads.
func recentStream(n int, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 3))
	stream := make([]uint64, n)
	for i := range stream {
		stream[i] = 1<<30 + uint64(i/5) - uint64(rng.ExpFloat64()*300)
	}
	return stream
}

// driftStream is a Zipf stream whose favourites move on all the time.
func driftStream(n int, keys, seed uint64) []uint64 {
	stream := zipfStream(n, keys, seed)
	for i := range stream {
		stream[i] += uint64(i / 20)
	}
	return stream
}

func TestTinyLFUFollowsTheTraffic(t *testing.T) {
	phases := append(recentStream(100_000, 1), loopStream(100_000, 2500)...)
	phases = append(phases, recentStream(100_000, 2)...)
	const n = 200_000
	for _, c := range []struct {
		name     string
		stream   []uint64
		capacity int
		gain     float64 // points over sampled LRU
	}{
		{"zipf", zipfStream(n, 40_000, 1), 200, 3}, {"zipf", zipfStream(n, 40_000, 1), 2000, 2},
		{"scan", scanStream(n, 40_000, 1), 500, 5}, {"scan", scanStream(n, 40_000, 1), 5000, 2},
		{"loop", loopStream(n, 2500), 500, 8}, {"loop", loopStream(n, 2500), 50, -1},
		{"recent", recentStream(n, 1), 100, -1}, {"recent", recentStream(n, 1), 1000, -1},
		{"drift", driftStream(n, 40_000, 1), 200, -1}, {"drift", driftStream(n, 40_000, 1), 2000, -1},
		{"phases", phases, 500, -1}, {"phases", phases, 20, -1},
	} {
		plain := hitPercent(newSampledCache(AllkeysLRU, c.capacity, 1).get, c.stream, 1)
		adaptive := newAdaptiveCache(c.capacity, 1, 1)
		got := hitPercent(adaptive.get, c.stream, 1)
		t.Logf("%-7s %5d: LRU %6.2f%%, adaptive %6.2f%%, difference %+6.2f, window %d%%", c.name, c.capacity, plain, got, got-plain, adaptive.shared.WindowPercent())
		if got < plain+c.gain {
			t.Errorf("%s, %d entries: %+.2f points over LRU, want %+.2f", c.name, c.capacity, got-plain, c.gain)
		}
	}
}

// TestTinyLFUInShards shows that shards of few entries decide well together.
func TestTinyLFUInShards(t *testing.T) {
	for name, stream := range map[string][]uint64{"zipf": zipfStream(300_000, 40_000, 1), "recent": recentStream(200_000, 1)} {
		plain := hitPercent(newSampledCache(AllkeysLRU, 1000, 1).get, stream, 1)
		got := hitPercent(newAdaptiveCache(1000, 64, 1).get, stream, 1)
		t.Logf("%s: LRU %.2f%%, adaptive in 64 shards %.2f%%", name, plain, got)
		if got < plain-1 || name == "zipf" && got < plain+1.5 {
			t.Errorf("%s: adaptive in 64 shards hits %.2f%%, LRU %.2f%%", name, got, plain)
		}
	}
}

// TestWordsOfAllPolicies changes the policy on the way: every word means something sensible to every policy, and the
// adaptive one always finds a victim among entries that other policies marked.
func TestWordsOfAllPolicies(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	pr := DefaultParams()
	for round := range 50 {
		s := &adaptiveShard{state: NewState(&Shared{}, 1), index: map[uint64]int{}}
		now := base + rng.Int64N(dayMs)
		policy := NoEviction
		for step := range 3000 {
			if step%300 == 0 {
				policy = Policy(rng.IntN(int(policyCount)))
				s.state = NewState(&Shared{}, 1)
			}
			now += rng.Int64N(2 * tickMs)
			hash := spread(rng.Uint64N(400))
			i, exists := s.index[hash]
			switch {
			case exists && policy.Kind() == KindTinyLFU:
				s.entries[i].word = s.state.OnUse(s.entries[i].word, hash, now)
			case exists:
				s.entries[i].word = policy.OnWrite(s.entries[i].word, now, rng.Uint32(), pr)
			default:
				word := policy.Init(now)
				if policy.Kind() == KindTinyLFU {
					word = s.state.OnInsert(hash, len(s.entries)+1, now)
				}
				s.index[hash] = len(s.entries)
				s.entries = append(s.entries, cacheEntry{hash, word})
			}
			w := s.entries[s.index[hash]].word
			if idle := w.IdleMs(now); idle < 0 || idle > minuteMs && policy.Kind() != KindLRM {
				t.Fatalf("round %d, %v: a word just used is idle for %d ms", round, policy, idle)
			}
			if f := w.Freq(now, pr); !w.holdsFrequency() && f != initialCount {
				t.Fatalf("round %d, %v: frequency %d of a word without one", round, policy, f)
			}
			if len(s.entries) > 100 {
				e := s.entries[rng.IntN(len(s.entries))]
				s.state.Offer(e.key, e.word)
				if !s.evict() {
					t.Fatalf("round %d, %v: no victim", round, policy)
				}
			}
		}
	}
}

func TestAdaptiveIdleTime(t *testing.T) {
	s := NewState(&Shared{}, 1)
	w := s.OnInsert(1, 1, base)
	for _, idle := range []int64{0, hourMs, 3 * dayMs, 10 * dayMs} {
		if got := w.IdleMs(base + idle); got < idle-minuteMs || got > idle+minuteMs {
			t.Errorf("idle %d ms reads as %d", idle, got)
		}
	}
	if got := w.IdleMs(base - 10*minuteMs); got != 0 {
		t.Errorf("a word from the future is idle for %d ms", got)
	}
}

// TestStateIsBounded churns shards of several sizes, with deletes that the state is not told of.
func TestStateIsBounded(t *testing.T) {
	for _, c := range []struct{ capacity, atMost int }{{10, 64 << 10}, {1000, 128 << 10}, {100_000, 17 * 100_000}} {
		cache := newAdaptiveCache(c.capacity, 1, 1)
		rng := rand.New(rand.NewPCG(5, 5))
		for i := range 4*c.capacity + 10_000 {
			cache.get(rng.Uint64N(uint64(3*c.capacity)), base+int64(i))
			if i%5 == 0 && cache.live > c.capacity/2 {
				cache.evict() // without an insert, as after CONFIG SET maxmemory
			}
		}
		s := cache.shards[0].state
		if got := s.Bytes(); got > c.atMost {
			t.Errorf("%d entries need %d bytes of state, at most %d are allowed", c.capacity, got, c.atMost)
		}
		for i := range s.shadows {
			if n := len(s.shadows[i].entries); n > s.shadowMax {
				t.Errorf("shadow %d of %d entries holds %d", i, c.capacity, n)
			}
		}
	}
}

func TestVictimMayBeRefused(t *testing.T) {
	s := NewState(&Shared{}, 1)
	for hash := range uint64(100) {
		s.Offer(hash, s.OnInsert(hash, int(hash)+1, base))
	}
	none := func(uint64) (Word, bool) { return 0, false }
	s.shared.chosen.Store(uint32(windowWide))
	for range 3 {
		if hash, ok := s.Victim(100, none); ok {
			t.Fatalf("%d is a victim though nothing may be evicted", hash)
		}
	}
}

func TestShadowAgainstMap(t *testing.T) {
	s := NewState(&Shared{}, 64)
	s.makeShadows()
	c := &s.shadows[0]
	held := map[uint64]bool{}
	rng := rand.New(rand.NewPCG(6, 6))
	for range 20_000 {
		hash := spread(rng.Uint64N(200))
		switch {
		case held[hash] && rng.IntN(3) == 0:
			c.remove(hash)
			delete(held, hash)
		case held[hash] || len(held) < s.shadowMax:
			if hit := c.use(s, hash, s.shadowMax, windowLRU); hit != held[hash] {
				t.Fatalf("use(%x) = %v, want %v", hash, hit, held[hash])
			}
			held[hash] = true
		}
		if len(c.entries) != len(held) {
			t.Fatalf("%d entries, want %d", len(c.entries), len(held))
		}
	}
	for hash := range held {
		if c.slots[c.slot(hash)] == 0 {
			t.Errorf("%x is lost", hash)
		}
	}
}

func TestSketchSaysNotTooLittle(t *testing.T) {
	var s sketch
	s.grow(1000)
	rng := rand.New(rand.NewPCG(7, 7))
	uses := map[uint64]uint64{}
	for i := range 8000 {
		h := spread(rng.Uint64N(500))
		s.add(h)
		uses[h]++
		if i == 4000 {
			s.grow(50_000)
		}
	}
	over := 0
	for h, n := range uses {
		got := s.uses(h)
		if got < min(n, maxUses) {
			t.Fatalf("%x used %d times, sketch says %d", h, n, got)
		}
		if got > min(n, maxUses) {
			over++
		}
	}
	if over > len(uses)/20 {
		t.Errorf("%d of %d estimates are too high", over, len(uses))
	}
	s.halve()
	for h, n := range uses {
		if got := s.uses(h); got < min(n, maxUses)/2 {
			t.Fatalf("%x used %d times, sketch says %d after halving", h, n, got)
		}
	}
}

func TestRingKeepsOrder(t *testing.T) {
	var r ring
	next, oldest := uint64(0), uint64(0)
	rng := rand.New(rand.NewPCG(8, 8))
	for range 10_000 {
		if r.n > 0 && rng.IntN(100) < 49 {
			if got := r.pop(); got != oldest {
				t.Fatalf("popped %d, want %d", got, oldest)
			}
			oldest++
			continue
		}
		r.push(next)
		next++
	}
}

func BenchmarkOnUse(b *testing.B) {
	for _, live := range []int{1000, 100_000, 1_000_000} {
		s := NewState(&Shared{}, 16)
		words := make([]Word, live)
		for i := range words {
			words[i] = s.OnInsert(spread(uint64(i)), i+1, base)
		}
		s.evicting = true
		for name, stream := range map[string][]uint64{"uniform": uniformStream(1<<16, uint64(live)), "zipf": zipfStream(1<<16, uint64(live), 1)} {
			b.Run(fmt.Sprintf("%s/%d", name, live), func(b *testing.B) {
				for i := range b.N {
					key := stream[i%len(stream)]
					words[key] = s.OnUse(words[key], spread(key), base+int64(i))
				}
			})
		}
	}
}

func uniformStream(n int, keys uint64) []uint64 {
	rng := rand.New(rand.NewPCG(9, 9))
	stream := make([]uint64, n)
	for i := range stream {
		stream[i] = rng.Uint64N(keys)
	}
	return stream
}
