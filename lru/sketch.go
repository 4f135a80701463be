package lru

import "math/bits"

// sketch estimates how often a hash was used of late: a count-min sketch (Cormode and Muthukrishnan) of four-bit counters,
// all four of a hash in one cache line, halved once in a period as TinyLFU does. It never says too little, except for the
// halving. Hashes are spread (see spread). The zero value counts nothing; grow it first.
type sketch struct {
	words  []uint64 // blocks of blockWords
	adds   int
	period int // adds between two halvings
}

const (
	blockWords   = 8
	wordCounters = 16
	maxUses      = 15
	minWords     = 64
	wideWords    = 8192 // up to here a sketch has four words an entry, above half a word to a word
	maxWords     = 1 << 20
	// periodUses is the period in uses per entry, where the counters suffice for it.
	periodUses = 40
)

// grow makes room for so many entries and keeps what was counted.
func (s *sketch) grow(entries int) {
	want := max(min(entries*4, wideWords), entries/2, minWords)
	words := max(min(1<<bits.Len(uint(want-1)), maxWords), len(s.words))
	if words > len(s.words) {
		grown := make([]uint64, words)
		for at := 0; at < words && len(s.words) > 0; at += len(s.words) {
			copy(grown[at:], s.words) // blocks are found by low bits, so every copy is where its hashes look
		}
		s.words = grown
	}
	// More than five adds for four counters would drown the estimates in collisions.
	s.period = min(periodUses*max(entries, wordCounters), words*wordCounters*5/4)
}

// block is where a hash is counted.
func (s *sketch) block(h uint64) *[blockWords]uint64 {
	at := int(h>>32) & (len(s.words) - 1) &^ (blockWords - 1)
	return (*[blockWords]uint64)(s.words[at:])
}

// counter is the place of a hash's counter in its block: each row has two words of its own.
func counter(h, row uint64) (word, shift uint64) {
	pick := h >> (row * 5)
	return (row<<1 | pick>>4&1) & (blockWords - 1), pick & (wordCounters - 1) * 4
}

// uses is the estimate, at most maxUses.
func (s *sketch) uses(h uint64) uint64 { return leastOf(s.block(h), h) }

func leastOf(b *[blockWords]uint64, h uint64) uint64 {
	w0, s0 := counter(h, 0)
	w1, s1 := counter(h, 1)
	w2, s2 := counter(h, 2)
	w3, s3 := counter(h, 3)
	return min(b[w0]>>s0&maxUses, b[w1]>>s1&maxUses, b[w2]>>s2&maxUses, b[w3]>>s3&maxUses)
}

// add counts a use. It raises only the counters that hold the estimate, which keeps collisions from adding up.
func (s *sketch) add(h uint64) {
	b := s.block(h)
	if n := leastOf(b, h); n < maxUses {
		for row := range uint64(4) {
			if word, shift := counter(h, row); b[word]>>shift&maxUses == n {
				b[word] += 1 << shift
			}
		}
	}
	if s.adds++; s.adds >= s.period {
		s.halve()
	}
}

func (s *sketch) halve() {
	const lowBits = 0x7777777777777777
	for i, w := range s.words {
		s.words[i] = w >> 1 & lowBits
	}
	s.adds = s.period / 2
}

// spread makes every bit of a hash depend on every other, so that what shards were chosen by is as good as the rest.
func spread(hash uint64) uint64 {
	const odd = 0xd6e8feb86659fd93
	hash = (hash ^ hash>>32) * odd
	hash = (hash ^ hash>>32) * odd
	return hash ^ hash>>32
}
