package lru

import "math/bits"

// shadow is a small cache of hashes alone, run by one window. It holds what the shard would hold of the sampled keys,
// were that window in force.
type shadow struct {
	entries []shadowEntry
	slots   []uint16 // open addressing: index of an entry plus one, 0 for none
	chooser
}

type shadowEntry struct {
	hash uint64
	word Word
}

// shade shows one use to all shadows.
func (s *State) shade(hash uint64) {
	s.makeShadows()
	if s.crowded() {
		s.thin()
	}
	capacity := s.shadowMax
	if s.evicting {
		capacity = max(s.live>>s.thinning, 1)
	}
	s.round.uses++
	for i := range s.shadows {
		if s.shadows[i].use(s, hash, capacity, window(i)) {
			s.round.hits[i]++
		}
	}
	// Until something is evicted all windows hold the same.
	if !s.evicting || s.round.uses >= roundUses && s.shared.report(&s.round, capacity*s.shards) {
		s.round = tally{}
	}
}

func (s *State) makeShadows() {
	if s.shadows[0].slots != nil {
		return
	}
	for i := range s.shadows {
		s.shadows[i].slots = make([]uint16, 1<<bits.Len(uint(2*s.shadowMax)))
	}
}

// crowded reports that the sample is too large for the shadows.
func (s *State) crowded() bool {
	if s.evicting {
		return s.live>>s.thinning > s.shadowMax
	}
	return len(s.shadows[0].entries) >= s.shadowMax
}

func (s *State) sampled(spreadHash uint64) bool { return spreadHash>>48&(1<<s.thinning-1) == 0 }

// thin halves the sample, and drops from the shadows what is no longer in it.
func (s *State) thin() {
	s.thinning++
	for i := range s.shadows {
		c := &s.shadows[i]
		kept := c.entries[:0]
		clear(c.slots)
		for _, e := range c.entries {
			if s.sampled(spread(e.hash)) {
				kept = append(kept, e)
				c.slots[c.slot(e.hash)] = uint16(len(kept))
			}
		}
		c.entries, c.chooser = kept, chooser{}
	}
}

// slot is where a hash is or would be.
func (c *shadow) slot(hash uint64) int {
	mask := len(c.slots) - 1
	at := int(spread(hash)>>20) & mask
	for c.slots[at] != 0 && c.entries[c.slots[at]-1].hash != hash {
		at = (at + 1) & mask
	}
	return at
}

// use reports a hit and makes the hash the newest.
func (c *shadow) use(s *State, hash uint64, capacity int, win window) bool {
	at := c.slot(hash)
	w := adaptiveWord(0, s.shared.clock.Load())
	if i := c.slots[at]; i != 0 {
		c.entries[i-1].word = w | reusedBit
		return true
	}
	for len(c.entries) >= capacity {
		c.evict(s, win)
	}
	c.arrive(hash, capacity)
	c.entries = append(c.entries, shadowEntry{hash, w})
	c.slots[c.slot(hash)] = uint16(len(c.entries))
	return false
}

func (c *shadow) evict(s *State, win window) {
	find := func(hash uint64) (Word, bool) {
		if i := c.slots[c.slot(hash)]; i != 0 {
			return c.entries[i-1].word, true
		}
		return 0, false
	}
	for { // ends: of what was just offered one is found
		for range shadowSamples {
			e := &c.entries[s.random(len(c.entries))]
			c.offer(s, e.hash, e.word, win)
		}
		if hash, ok := c.victim(s, len(c.entries), win, find); ok {
			c.remove(hash)
			return
		}
	}
}

const shadowSamples = 5

// remove closes the gap in the entries with the last one, and that in the slots with those that were pushed past it.
func (c *shadow) remove(hash uint64) {
	mask := len(c.slots) - 1
	at := c.slot(hash)
	i := c.slots[at]
	last := c.entries[len(c.entries)-1]
	c.slots[c.slot(last.hash)] = i
	c.entries[i-1] = last
	c.slots[at] = 0
	c.entries = c.entries[:len(c.entries)-1]
	for next := (at + 1) & mask; c.slots[next] != 0; next = (next + 1) & mask {
		moved := c.slots[next]
		c.slots[next] = 0
		c.slots[c.slot(c.entries[moved-1].hash)] = moved
	}
}

// random is a number below n, by xorshift.
func (s *State) random(n int) int {
	s.rng ^= s.rng << 13
	s.rng ^= s.rng >> 7
	s.rng ^= s.rng << 17
	return int(s.rng>>33) % n
}
