package lru

// This file is the adaptive policy, W-TinyLFU (Einziger, Friedman and Manes 2017) for a cache that samples. New entries
// pass a window in order of arrival. One that leaves it unused has to be more popular, by a sketch of recent uses, than
// the best victim among all entries; the less popular of the two is evicted. That best victim is the sampled entry idle
// for longest for its popularity. A window of all entries is plain sampled LRU.
//
// Which window is best depends on the traffic, by tens of points either way. So shadow caches, which hold hashes of a
// sample of the keys, run one window each, and the duel of their hit counts decides for all shards, in [Shared].

// State is what the adaptive policy knows of one shard, or of some together, beside the words of their entries: see
// [State.Bytes]. Its owner's lock guards it. Make it with [NewState]; after a flush and when the policy comes into force, make it anew.
//
// Hashes are the engine's, 64 bits; two entries of equal hash share their fate.
type State struct {
	shared *Shared
	shards int
	sketch sketch
	credit int
	live   int // entries of the shard, as last told
	main   chooser

	shadows   [windowCount]shadow
	thinning  uint // shadows see the hashes whose upper bits end in so many zeros
	shadowMax int  // entries of a shadow
	evicting  bool // shadows are full at their share of live; before, they grow as the shard does
	round     tally
	rng       uint64
}

// All shadows of one window hold shadowTotal entries together, those of one shard shadowLeast to shadowMost.
const (
	shadowTotal = 4096
	shadowLeast = 32
	shadowMost  = 512
)

// NewState is the empty state, of so many, at least one.
func NewState(shared *Shared, shards int) *State {
	s := &State{shared: shared, shards: shards, rng: 1, shadowMax: min(max(shadowTotal/shards, shadowLeast), shadowMost)}
	s.sketch.grow(0)
	return s
}

// Bytes is the memory of the state beside the struct: 2 KB, or 32 bytes an entry up to 64 KB, or 4 to 8 bytes an entry, of
// sketch; up to 7 bytes an entry of window; the shadows, 24 KB at most.
func (s *State) Bytes() int {
	n := 8 * (cap(s.sketch.words) + cap(s.main.ring.hashes))
	for i := range s.shadows {
		c := &s.shadows[i]
		n += 16*cap(c.entries) + 2*cap(c.slots) + 8*cap(c.ring.hashes)
	}
	return n
}

// OnInsert is the word of an entry made now; live is the number of entries of the shard with it.
func (s *State) OnInsert(hash uint64, live int, nowMs int64) Word {
	if live > s.live {
		s.evicting = s.evicting && live <= s.live+s.live/8+8 // more was allowed since
		s.live = live
		s.sketch.grow(live)
	}
	s.advance(insertCredit)
	s.count(hash)
	s.main.arrive(hash, s.live)
	return adaptiveWord(nowMs, s.shared.clock.Load())
}

// OnUse is the word after a read or a write of an entry that was there before. Several uses within one
// tick of the clock count as one: an entry that hot needs no better estimate.
func (s *State) OnUse(w Word, hash uint64, nowMs int64) Word {
	s.advance(hitCredit)
	now := adaptiveWord(nowMs, s.shared.clock.Load()) | reusedBit
	if now>>clockShift != w>>clockShift {
		s.count(hash)
	}
	return now
}

// count shows a use to the sketch and to the shadows.
func (s *State) count(hash uint64) {
	h := spread(hash)
	s.sketch.add(h)
	if s.sampled(h) {
		s.shade(hash)
	}
}

// The clock of recency goes by what presses on the cache, not by time: an insert counts as eight hits, and a cache as large
// as it is now makes 512 ticks at most while it is replaced once. So it wraps long after an idle entry is gone.
const (
	hitCredit       = 1
	insertCredit    = 8
	ticksPerTurnLog = 9
)

// insertsPerTick guesses the size of all shards from this one.
func (s *State) insertsPerTick() int { return max(s.live*s.shards>>ticksPerTurnLog, 1) }

func (s *State) ticksPerTurn() int { return s.live * s.shards / s.insertsPerTick() }

func (s *State) advance(credit int) {
	s.credit += credit
	if s.credit >= insertCredit*s.insertsPerTick() {
		s.credit = 0
		s.shared.clock.Add(1)
	}
}

// idleTicks is the age of a word's last use. Words of other policies count as one replacement of the cache old.
func (s *State) idleTicks(w Word) uint64 {
	if !w.adaptive() {
		return uint64(s.ticksPerTurn())
	}
	return uint64((s.shared.clock.Load() - uint32(w>>clockShift)) & clockMask)
}

// Offer considers an entry that may be evicted.
func (s *State) Offer(hash uint64, w Word) { s.main.offer(s, hash, w, s.shared.window()) }

// Pressure says how due an eviction is in this shard. It compares between shards: where a shard holds few entries, evicting
// from the one of two with the higher pressure keeps about what one cache without shards would keep.
func (s *State) Pressure() uint64 {
	win := s.shared.window()
	if win == windowLRU {
		return s.main.pool.best()
	}
	return uint64(s.main.ring.n) << 32 / uint64(win.entries(s.live))
}

// Victim names the entry to evict, out of all that were offered and those that leave the window. live is the number of
// entries of the shard; find returns the word of the entry with this hash unless it is gone or may not be evicted. ok is
// false when no candidate is left.
func (s *State) Victim(live int, find func(hash uint64) (Word, bool)) (hash uint64, ok bool) {
	s.live, s.evicting = live, true
	return s.main.victim(s, live, s.shared.window(), find)
}

// window is an index of windowPercent.
type window uint8

const (
	windowLRU  window = iota
	windowWide        // the widest that tests
	windowSlim
	windowCount
)

// windowPercent are the windows that compete, in percent of the entries. At 100 nothing but recency counts.
var windowPercent = [windowCount]int{windowLRU: 100, windowWide: 20, windowSlim: 1}

func (w window) entries(live int) int { return max(live*windowPercent[w]/100, 1) }

// queued is how many new entries wait for their test, under LRU for the day when the window narrows.
func (w window) queued(live int) int {
	if w == windowLRU {
		w = windowWide
	}
	return w.entries(live)
}

// surplus is how many more new entries may wait when inserts and evictions do not alternate in a shard. What is beyond is
// let in without a test.
const surplus = 8

// chooser finds victims for one cache, the shard itself or a shadow.
type chooser struct {
	pool   Pool
	scored window // the window that the pool's scores are for
	tested window // the window that the last victim left
	ring   ring   // hashes of new entries, oldest first
}

// arrive queues a new entry. What arrived long before it, while nothing was evicted, is let in without a test.
func (c *chooser) arrive(hash uint64, live int) {
	for c.ring.n > 2*windowWide.entries(live)+8 {
		c.ring.pop()
	}
	c.ring.push(hash)
}

func (c *chooser) offer(s *State, hash uint64, w Word, win window) {
	if c.scored != win {
		c.pool.Reset()
		c.scored = win
	}
	c.pool.Offer(hash, s.score(hash, w, win))
}

// score is higher for what should go first. Entries used so recently that the window might hold them come last.
func (s *State) score(hash uint64, w Word, win window) uint64 {
	idle := s.idleTicks(w)
	if win == windowLRU || idle < uint64(win.entries(s.ticksPerTurn())) {
		return idle
	}
	n := s.sketch.uses(spread(hash)) + 1
	return idle << 16 / (n * n)
}

// victim is the best candidate, or the newcomer that leaves the window and is not more popular.
func (c *chooser) victim(s *State, live int, win window, find func(uint64) (Word, bool)) (hash uint64, ok bool) {
	hash, ok = c.stalest(s, win, find)
	room := win.queued(live)
	most := room + room/4 + surplus
	if win != c.tested || win == windowLRU {
		most, c.tested = room, win
	}
	for c.ring.n > most {
		c.ring.pop()
	}
	for win != windowLRU && c.ring.n >= room {
		newcomer := c.ring.pop()
		w, there := find(newcomer)
		if !there || w.reused() || ok && newcomer == hash {
			continue
		}
		if !ok {
			return newcomer, true
		}
		if s.sketch.uses(spread(newcomer)) > s.sketch.uses(spread(hash)) {
			break
		}
		if w, there := find(hash); there {
			c.offer(s, hash, w, win) // it stays a candidate
		}
		return newcomer, true
	}
	return hash, ok
}

// stalest takes the best candidate from the pool that has not been used since it was offered.
func (c *chooser) stalest(s *State, win window, find func(uint64) (Word, bool)) (uint64, bool) {
	for {
		hash, score, ok := c.pool.Take()
		if !ok {
			return 0, false
		}
		if w, there := find(hash); there && s.score(hash, w, win) >= score {
			return hash, true
		}
	}
}

// ring is a queue of hashes.
type ring struct {
	hashes  []uint64 // a power of two of places
	head, n int
}

func (r *ring) push(hash uint64) {
	if r.n == len(r.hashes) {
		grown := make([]uint64, max(2*r.n, 8))
		copied := copy(grown, r.hashes[r.head:])
		copy(grown[copied:], r.hashes[:r.head])
		r.hashes, r.head = grown, 0
	}
	r.hashes[(r.head+r.n)&(len(r.hashes)-1)] = hash
	r.n++
}

func (r *ring) pop() uint64 {
	hash := r.hashes[r.head]
	r.head = (r.head + 1) & (len(r.hashes) - 1)
	r.n--
	return hash
}
