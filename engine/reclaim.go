package engine

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
)

// This file gives memory back: expired keys, tombstones, eviction.

// reclaim drops an expired entry where that is allowed: no op, for the
// deadline is the same everywhere and so is what readers see.
func (e *Engine) reclaim(s *shard, t *table, db int, x *entry, nowMs int64) bool {
	d := deadlineOf(&x.state)
	if d == 0 || d > nowMs || d >= e.reclaimMs.Load() {
		return false
	}
	p := e.params.Load()
	if x.flags&expiryTold == 0 {
		e.touchWatched(e.number(db), x.key)
	}
	t.remove(x)
	e.account(s, t, db, x, p)
	e.stats.expired.Add(1)
	return true
}

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
		s := e.shards[c.shard]
		s.mu.Lock()
		t := s.dbs[c.db]
		if t != nil && t.ttls > 0 {
			for range expireBuckets {
				c.cursor = t.visit(c.cursor, func(x *entry) {
					met++
					if x.flags&countedTTL != 0 && e.reclaim(s, t, c.db, x, nowMs) {
						reclaimed++
					}
				})
				if c.cursor == 0 {
					break
				}
			}
		} else {
			c.cursor = 0
		}
		s.mu.Unlock()
		if c.cursor == 0 {
			if c.db++; c.db == e.databases {
				c.db = 0
				c.shard = (c.shard + 1) % len(e.shards)
			}
		}
		if met > 0 {
			return met, reclaimed
		}
	}
	return met, reclaimed
}

// expireBuckets bounds how long ExpireStep holds a lock: about as many keys.
const expireBuckets = 64

// ForgetRemovals drops tombstones that stable covers, at most max of them, and
// returns how many it dropped.
func (e *Engine) ForgetRemovals(stable clock.Vector, max int) int {
	n := 0
	p := e.params.Load()
	for _, s := range e.shards {
		s.mu.Lock()
		keep := s.graves[:0]
		for i, g := range s.graves {
			if n >= max {
				keep = append(keep, s.graves[i:]...)
				break
			}
			t := s.dbs[g.db]
			if t == nil || g.x.flags&inTable == 0 || t.find(g.x.hash, []byte(g.x.key)) != g.x {
				continue
			}
			before := len(g.x.state.Floors) > 0 || !g.x.state.Dead.IsZero()
			empty := forget(&g.x.state, stable)
			after := len(g.x.state.Floors) > 0 || !g.x.state.Dead.IsZero()
			switch {
			case empty:
				t.remove(g.x)
				n++
			case after:
				keep = append(keep, g)
			}
			if empty || before != after {
				e.account(s, t, g.db, g.x, p)
			}
		}
		clear(s.graves[len(keep):])
		s.graves = keep
		s.mu.Unlock()
	}
	return n
}

// bury queues an entry that carries removal knowledge.
func (e *Engine) bury(s *shard, db int, x *entry) {
	if !x.state.Dead.IsZero() || len(x.state.Floors) > 0 {
		s.graves = append(s.graves, grave{db, x})
	}
}

// victim is a candidate for eviction that the pool knows by handle.
type victim struct {
	s  *shard
	db int
	x  *entry
}

// evictTries bounds how many samples one EvictStep takes before it says that
// nothing can be evicted.
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
	for range evictTries {
		e.sample(p, nowMs)
		for {
			handle, _, ok := ev.pool.Take()
			if !ok {
				break
			}
			v := ev.victims[handle]
			delete(ev.victims, handle)
			if v == nil {
				continue
			}
			if freed := e.evictOne(v, p, nowMs); freed > 0 {
				return freed
			}
		}
	}
	return 0
}

// sample offers some evictable entries of one random shard to the pool.
func (e *Engine) sample(p *Params, nowMs int64) {
	ev := &e.evict
	s := e.shards[e.rand.Uint64()%uint64(len(e.shards))]
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
				ev.victims[ev.next] = &victim{s, db, x}
				ev.pool.Offer(ev.next, p.Policy.Score(x.word, deadlineOf(&x.state), nowMs, p.LRU))
			})
			if found >= p.LRU.Samples {
				break
			}
		}
	}
	// Handles that the pool pushed out leave the map with the next rebuild.
	if len(ev.victims) > 4096 {
		clear(ev.victims)
		ev.pool.Reset()
	}
}

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

func (e *Engine) evictOne(v *victim, p *Params, nowMs int64) int64 {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	t := v.s.dbs[v.db]
	if t == nil || v.x.flags&inTable == 0 || !evictable(v.x, p) || t.find(v.x.hash, []byte(v.x.key)) != v.x {
		return 0
	}
	before := e.used.Load()
	x := v.x
	if p.EvictToDisk {
		x.state.Value = binary.BigEndian.AppendUint64(make([]byte, 0, digestLen), xxh3.Hash(x.state.Value))
		x.flags |= onDisk
		e.used.Add(t.account(x))
		e.stats.evictedToDisk.Add(1)
		return max(before-e.used.Load(), 1)
	}
	if p.Recording {
		b := op.Builder{Origin: e.Origin()}
		b.Remove(v.db, []byte(x.key), nil)
		e.sink.Commit(1, b.Body())
	}
	freed := x.cost
	t.remove(x)
	e.account(v.s, t, v.db, x, p)
	e.touchWatched(e.number(v.db), x.key)
	e.stats.evicted.Add(1)
	return max(freed, 1)
}
