// Package lru decides what is evicted first. It owns the meaning of one 32-bit recency word per entry, the eviction
// policies by Redis' names, the adaptive one (see tinylfu.go) with its state per shard, and the small pool of best
// candidates that is kept between eviction rounds.
//
// It must not know keys, values, shards or memory limits: it sees opaque handles, words, deadlines and times that are
// passed in. Sampling (which entries are looked at) and the decision to evict belong to the engine.
//
// Invariants: a word says of itself what it holds, so words written under one policy
// stay meaningful under every other and a change of policy at run time rewrites nothing. Scores of one policy compare
// with each other at any time; scores of two policies do not (see [Pool.Reset]).
//
// Locks: Policy and Word are values; a Pool and a State belong to whoever holds the lock that guards them. The lock
// in a Shared is only ever tried.
package lru

import "math"

// Policy is one of Redis' maxmemory policies. The zero value is noeviction.
type Policy uint8

// The policies of Redis 8.6, and W-TinyLFU. The numbers are not stored anywhere.
const (
	NoEviction Policy = iota
	AllkeysLRU
	VolatileLRU
	AllkeysLFU
	VolatileLFU
	AllkeysLRM
	VolatileLRM
	AllkeysRandom
	VolatileRandom
	VolatileTTL
	AllkeysWTinyLFU
	VolatileWTinyLFU
	policyCount
)

// Kind is what a policy ranks entries by.
type Kind uint8

const (
	KindNone    Kind = iota // nothing is evicted
	KindLRU                 // time of the last use
	KindLFU                 // decaying frequency of use
	KindLRM                 // time of the last write
	KindRandom              // nothing: any candidate will do
	KindTTL                 // deadline
	KindTinyLFU             // recency and frequency, as the traffic asks for; see State
)

var policies = [policyCount]struct {
	name     string
	kind     Kind
	volatile bool
}{
	NoEviction:       {"noeviction", KindNone, false},
	AllkeysLRU:       {"allkeys-lru", KindLRU, false},
	VolatileLRU:      {"volatile-lru", KindLRU, true},
	AllkeysLFU:       {"allkeys-lfu", KindLFU, false},
	VolatileLFU:      {"volatile-lfu", KindLFU, true},
	AllkeysLRM:       {"allkeys-lrm", KindLRM, false},
	VolatileLRM:      {"volatile-lrm", KindLRM, true},
	AllkeysRandom:    {"allkeys-random", KindRandom, false},
	VolatileRandom:   {"volatile-random", KindRandom, true},
	VolatileTTL:      {"volatile-ttl", KindTTL, true},
	AllkeysWTinyLFU:  {"allkeys-wtinylfu", KindTinyLFU, false},
	VolatileWTinyLFU: {"volatile-wtinylfu", KindTinyLFU, true},
}

// ParsePolicy finds a policy by its lower-case Redis name; the caller folds case.
func ParsePolicy(name string) (Policy, bool) {
	for p := range policyCount {
		if policies[p].name == name {
			return p, true
		}
	}
	return NoEviction, false
}

// String is the policy's Redis name.
func (p Policy) String() string {
	if p >= policyCount {
		return "unknown"
	}
	return policies[p].name
}

// Volatile reports whether only entries that have a deadline may be evicted.
func (p Policy) Volatile() bool { return p < policyCount && policies[p].volatile }

// Kind says what the policy ranks by. Under KindRandom every score is equal, so the engine takes the first candidate it
// draws; under KindNone it takes none.
func (p Policy) Kind() Kind {
	if p >= policyCount {
		return KindNone
	}
	return policies[p].kind
}

// Params are the tunables of the policies, by Redis' configuration names.
type Params struct {
	Samples         int // maxmemory-samples: candidates offered to the pool in one round
	LFULogFactor    int // lfu-log-factor: higher needs more uses to saturate the counter; below 0 counts as 0
	LFUDecayMinutes int // lfu-decay-time: idle minutes that cost one count; below 1 never decays
}

// DefaultParams are Redis' defaults.
func DefaultParams() Params { return Params{Samples: 5, LFULogFactor: 10, LFUDecayMinutes: 1} }

// Init is the word of an entry made now. Under KindTinyLFU, State.OnInsert, OnUse, Offer and Victim stand in for Init,
// OnRead, OnWrite, Score and Pool; a word from here is valid then, too.
func (p Policy) Init(nowMs int64) Word {
	if p.Kind() == KindLFU {
		return frequencyWord(nowMs, initialCount)
	}
	return timeWord(nowMs)
}

// Known is the word of an entry that was made elsewhere and last used idleMs ago, with freq as its use counter. It keeps
// what the policy ranks by.
func (p Policy) Known(nowMs, idleMs int64, freq uint8) Word {
	if p.Kind() == KindLFU {
		return frequencyWord(nowMs, freq)
	}
	return timeWord(nowMs - idleMs)
}

// OnRead is the word after a read. rnd is a uniform random number and used only by LFU policies. Under LRM a read
// changes nothing; under the policies that keep no rank of their own the time of use is kept for OBJECT IDLETIME.
func (p Policy) OnRead(w Word, nowMs int64, rnd uint32, pr Params) Word {
	switch p.Kind() {
	case KindLRM:
		return w
	case KindLFU:
		return frequencyWord(nowMs, increment(w.Freq(nowMs, pr), rnd, pr))
	default:
		return timeWord(nowMs)
	}
}

// OnWrite is the word after a write to an entry that was there before. It differs from OnRead only under LRM.
func (p Policy) OnWrite(w Word, nowMs int64, rnd uint32, pr Params) Word {
	if p.Kind() == KindLRM {
		return timeWord(nowMs)
	}
	return p.OnRead(w, nowMs, rnd, pr)
}

// Score orders candidates: the highest goes first. deadlineMs is the entry's absolute deadline, 0 for none, and matters
// to volatile-ttl only, where an entry without one scores 0. Ties of equal frequency go to the one idle for longer.
// Uses within a quarter of a second tie: a small cache whose keys all come round within it then evicts at random, as Redis
// does, which beats LRU on a loop. Except for the decay of frequencies a score does not depend on nowMs, so those kept in a Pool do not age.
func (p Policy) Score(w Word, deadlineMs, nowMs int64, pr Params) uint64 {
	switch p.Kind() {
	case KindLRU, KindLRM, KindTinyLFU:
		return earlierFirst(floorDiv(w.lastUseMs(nowMs), lruResolutionMs))
	case KindLFU:
		const idleBits = 32
		idleMinutes := min(uint64(w.IdleMs(nowMs)/minuteMs), 1<<idleBits-1)
		return uint64(maxCount-w.Freq(nowMs, pr))<<idleBits | idleMinutes
	case KindTTL:
		if deadlineMs <= 0 {
			return 0
		}
		return earlierFirst(deadlineMs)
	default:
		return 0
	}
}

// lruResolutionMs is a quarter of Redis' LRU_CLOCK_RESOLUTION: measured beside it, finer loses on loops and coarser on the
// rest.
const lruResolutionMs = 250

// earlierFirst maps a time to a score that falls as the time grows, over the whole range of int64.
func earlierFirst(ms int64) uint64 { return uint64(math.MaxInt64) - uint64(ms) }
