package engine

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
)

// This file gives memory back: expired keys, tombstones, eviction.

// reclaim drops an expired entry where that is allowed. It is no op: the
// deadline is the same everywhere, and so is what readers see.
func (e *Engine) reclaim(s *shard, t *table, db int, x *entry, nowMs int64) bool {
	if !e.reclaimable(x, nowMs) {
		return false
	}
	if x.flags&expiryTold == 0 {
		e.changedAlone(e.number(db), x.key)
	}
	t.remove(x)
	e.account(s, t, db, x, e.params.Load())
	e.stats.expired.Add(1)
	return true
}

func (e *Engine) reclaimable(x *entry, nowMs int64) bool {
	return expiredAt(&x.state, nowMs) && deadlineOf(&x.state) < e.reclaimMs.Load() && !e.held.Load()
}

// announces reports whether the end of an expired entry has to be an op. A
// region that forgot the entry on its own could not name it in later
// removals, and one that still held it would bring it back.
func (e *Engine) announces(x *entry, p *Params) bool {
	return p.Recording && (p.Merging || len(x.state.Subs) > 0)
}

// announce appends the op that ends x, unless another region will: the one
// that set the deadline is given orphanMs to do it for all.
func (e *Engine) announce(s *shard, t *table, db int, x *entry, p *Params, nowMs int64) bool {
	st := &x.state
	if !e.reclaimable(x, nowMs) ||
		st.DeadlineStamp.Origin.Region() != e.Origin().Region() && nowMs-deadlineOf(st) < orphanMs {
		return false
	}
	seen, floors := expiryMark(st), floorsOf(st)
	e.expire.ops.RemoveSeen(db, []byte(x.key), seen, floors)
	e.settle(s, t, db, x, p, nowMs, func(st *op.KeyState) bool {
		return join(st, &op.KeyState{Dead: seen, Floors: floors})
	})
	return true
}

// orphanMs is how long after its deadline a key waits for the region that set
// it.
const orphanMs = 60_000

// ExpireStep looks at a bounded number of buckets for expired keys, going on
// where the last step stopped. It returns how many keys it met and how many it
// reclaimed; the caller decides from that how long to go on.
func (e *Engine) ExpireStep(nowMs int64) (met, reclaimed int) {
	c := &e.expire
	c.Lock()
	defer c.Unlock()
	// An empty database costs nothing but the look; a round of the loop is
	// one full turn at most.
	for range len(e.shards) * e.databases {
		m, r := e.expireHere(nowMs)
		met, reclaimed = met+m, reclaimed+r
		if c.cursor == 0 {
			if c.db++; c.db == e.databases {
				c.db = 0
				c.shard = (c.shard + 1) % len(e.shards)
			}
		}
		if met > 0 {
			break
		}
	}
	return met, reclaimed
}

// expireHere is one bounded visit of the table at the step's place.
func (e *Engine) expireHere(nowMs int64) (met, reclaimed int) {
	c := &e.expire
	s := e.shards[c.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	t, p := s.dbs[c.db], e.params.Load()
	if t == nil || t.ttls == 0 {
		c.cursor = 0
		return 0, 0
	}
	var ttl ttlSample
	for range expireBuckets {
		c.cursor = t.visit(c.cursor, func(x *entry) {
			met++
			if x.flags&countedTTL != 0 {
				ttl.add(x, nowMs)
			}
			switch {
			case x.flags&countedTTL == 0:
			case e.announces(x, p):
				if e.announce(s, t, c.db, x, p, nowMs) {
					reclaimed++
				}
			case e.reclaim(s, t, c.db, x, nowMs):
				reclaimed++
			}
		})
		if c.cursor == 0 {
			break
		}
	}
	e.sampleTTL(c.db, ttl)
	if n := c.ops.Len(); n > 0 {
		e.sink.Commit(n, c.ops.Body())
		c.ops.Reset()
	}
	return met, reclaimed
}

// expireBuckets bounds how long ExpireStep holds a lock: about as many keys.
const expireBuckets = 64

// grave is an entry that learned of a removal.
type grave struct {
	db int
	x  *entry
}

// graveyard holds, by shard, the graves of one epoch. What a key state knows
// of removals lacks the removals' own stamps, so they are told by time: after
// is what this region had applied when the epoch ended, and covers them all.
type graveyard struct {
	epoch  uint32
	after  clock.Vector
	graves [][]grave
}

// maxGraveyards bounds the epochs that wait; the youngest then stays open.
const maxGraveyards = 32

// bury queues an entry that learned of a removal, once in an epoch.
func (e *Engine) bury(s *shard, db int, x *entry) {
	if x.flags&inTable != 0 && x.epoch != e.epoch && removal(&x.state) {
		x.epoch = e.epoch
		s.graves = append(s.graves, grave{db, x})
		e.buried.Add(1)
	}
}

// ForgetRemovals drops removal knowledge that stable covers: every member has
// applied that much, and what it wrote before has arrived here. At most max
// keys are dropped; their number is returned. Each call also closes an epoch,
// so that what was removed before it can be forgotten by a later one.
func (e *Engine) ForgetRemovals(stable clock.Vector, max int) int {
	f := &e.forget
	f.Lock()
	defer f.Unlock()
	if e.buried.Load() > 0 && len(f.graveyards) < maxGraveyards {
		e.closeGraveyard()
	}
	n := 0
	for len(f.graveyards) > 0 && stable.CoversAll(f.graveyards[0].after) {
		y := &f.graveyards[0]
		for i, s := range e.shards {
			n += e.exhume(s, y, i, stable, max-n)
			if n >= max {
				return n
			}
		}
		f.graveyards = f.graveyards[1:]
	}
	return n
}

func (e *Engine) closeGraveyard() {
	e.WithWorld(func() {
		y := graveyard{epoch: e.epoch, after: e.sink.Vector().Clone()}
		for _, s := range e.shards {
			y.graves = append(y.graves, s.graves)
			s.graves = nil
		}
		e.forget.graveyards = append(e.forget.graveyards, y)
		e.epoch++
		e.buried.Store(0)
	})
}

// exhume forgets what it can of y's graves in one shard.
func (e *Engine) exhume(s *shard, y *graveyard, shard int, stable clock.Vector, max int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, p := 0, e.params.Load()
	graves := y.graves[shard]
	for len(graves) > 0 && n < max {
		g := graves[len(graves)-1]
		graves[len(graves)-1] = grave{}
		graves = graves[:len(graves)-1]
		t, x := s.dbs[g.db], g.x
		if x.epoch != y.epoch || t == nil || t.find(x.hash, []byte(x.key)) != x {
			continue // gone, or buried again since
		}
		x.epoch = 0
		was := x.state
		if forget(&x.state, stable) && x.coll == nil {
			t.remove(x)
			n++
		} else {
			e.bury(s, g.db, x)
		}
		if x.flags&inTable != 0 && sameCells(&was, &x.state) {
			x.state = was // with its slices
		} else {
			e.account(s, t, g.db, x, p)
		}
	}
	y.graves[shard] = graves
	return n
}

// sameCells reports whether forget took nothing from a state.
func sameCells(a, b *op.KeyState) bool {
	return a.Dead == b.Dead && a.Flushed == b.Flushed && a.ValueStamp == b.ValueStamp && a.DeadlineStamp == b.DeadlineStamp &&
		len(a.Subs) == len(b.Subs) && len(a.Floors) == len(b.Floors)
}

// victim is a candidate for eviction that the pool knows by handle. It names
// the entry without holding on to its memory.
type victim struct {
	s    *shard
	db   int
	hash uint64
	key  string
}

// evictTries bounds how many samples one EvictStep takes before it says that
// nothing can be evicted; it looks into every shard at least.
const evictTries = 64

// EvictStep evicts one key by the policy in force and returns the bytes that
// became free; 0 means that nothing can be evicted. Where siblings are
// configured the value only leaves memory; elsewhere the key is removed, and
// its removal recorded so that a restart does not bring it back.
func (e *Engine) EvictStep(nowMs int64) int64 {
	p := e.params.Load()
	if p.Policy.Kind() == lru.KindNone {
		return 0
	}
	ev := &e.evict
	ev.Lock()
	defer ev.Unlock()
	start := e.rand.IntN(len(e.shards))
	for i := range max(evictTries, len(e.shards)) {
		e.sample(e.shards[(start+i)%len(e.shards)], p, nowMs)
		for {
			handle, _, ok := ev.pool.Take()
			if !ok {
				break
			}
			v, known := ev.victims[handle]
			delete(ev.victims, handle)
			if !known {
				continue
			}
			if freed := e.evictOne(v); freed > 0 {
				return freed
			}
		}
	}
	return 0
}

// sample offers some evictable entries of a shard to the pool.
func (e *Engine) sample(s *shard, p *Params, nowMs int64) {
	ev := &e.evict
	s.mu.Lock()
	defer s.mu.Unlock()
	for db, t := range s.dbs {
		if t == nil || t.live == 0 || p.Policy.Volatile() && t.ttls == 0 {
			continue
		}
		cursor, found := e.rand.Uint64(), 0
		for range sampleBuckets {
			cursor = t.visit(cursor, func(x *entry) {
				if found >= p.LRU.Samples || !evictable(x, p) {
					return
				}
				found++
				ev.next++
				ev.victims[ev.next] = victim{s, db, x.hash, x.key}
				ev.pool.Offer(ev.next, p.Policy.Score(x.word, deadlineOf(&x.state), nowMs, p.LRU))
			})
			if found >= p.LRU.Samples {
				break
			}
		}
	}
	// Handles that the pool pushed out leave the map with the next rebuild.
	if len(ev.victims) > maxVictims {
		clear(ev.victims)
		ev.pool.Reset()
	}
}

// maxVictims bounds the handles kept for a pool of a few.
const maxVictims = 512

// sampleBuckets bounds the search for keys with a deadline among others.
const sampleBuckets = 256

func evictable(x *entry, p *Params) bool {
	if x.flags&countedLive == 0 || p.Policy.Volatile() && x.flags&countedTTL == 0 {
		return false
	}
	if !p.EvictToDisk {
		return true
	}
	return x.flags&(hasRow|onDisk) == hasRow && len(x.state.Value) > digestLen && !counted(&x.state)
}

const digestLen = 8

func (e *Engine) evictOne(v victim) int64 {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	t, p := v.s.dbs[v.db], e.params.Load()
	if t == nil {
		return 0
	}
	x := t.find(v.hash, []byte(v.key))
	if x == nil || !evictable(x, p) {
		return 0
	}
	if p.EvictToDisk {
		x.state.Value = binary.BigEndian.AppendUint64(make([]byte, 0, digestLen), xxh3.Hash(x.state.Value))
		x.flags |= onDisk
		grown := t.account(x)
		e.used.Add(grown)
		e.stats.evictedToDisk.Add(1)
		return max(-grown, 1)
	}
	if p.Recording {
		b := op.Builder{Origin: e.Origin()}
		b.Remove(v.db, []byte(x.key), floorsOf(&x.state))
		e.sink.Commit(1, b.Body())
	}
	freed := x.cost
	t.remove(x)
	e.account(v.s, t, v.db, x, p)
	e.changedAlone(e.number(v.db), x.key)
	e.stats.evicted.Add(1)
	return max(freed, 1)
}
