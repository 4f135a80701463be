package engine

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"geocache/lru"
	"geocache/op"
)

// This file evicts, and keeps what package lru wants to know of the shards.
//
// Candidates are known by handle, the key's hash with the stored database in
// it, and are looked up again when their turn comes: they may be gone or have
// been used by then.

func handleOf(hash uint64, db int) uint64 { return hash ^ uint64(db) }

// candidate is the evictable record with a handle.
func (e *Engine) candidate(s *shard, handle uint64, p *Params) (db int, r rec, ok bool) {
	for db, t := range s.dbs {
		if t == nil {
			continue
		}
		if r, ok := t.findHash(handleOf(handle, db)); ok && e.evictable(s, r, p) {
			return db, r, true
		}
	}
	return 0, rec{}, false
}

// findHash is the first record whose key has this hash.
func (t *table) findHash(hash uint64) (r rec, ok bool) {
	if t.entries == 0 {
		return rec{}, false
	}
	for ref := refAt(t.slot(t.address(hash))); ref != 0; {
		r := t.rec(ref)
		if t.hash(r.key()) == hash {
			return r, true
		}
		ref = r.next()
	}
	return rec{}, false
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
	kind := p.Policy.Kind()
	if kind == lru.KindNone {
		return 0
	}
	ev := &e.evict
	ev.Lock()
	defer ev.Unlock()
	if ev.policy != p.Policy {
		ev.policy = p.Policy
		ev.pool.Reset()
	}
	step := e.evictPooled
	if kind == lru.KindTinyLFU {
		step = e.evictAdaptive
	}
	start := e.rand.IntN(len(e.shards))
	for i := range max(evictTries, len(e.shards)) {
		if freed := step(e.shards[(start+i)%len(e.shards)], p, nowMs); freed > 0 {
			return freed
		}
	}
	return 0
}

// evictPooled samples s and evicts the best candidate of the pool, whatever
// shard it is from, that has not been used since it was offered.
func (e *Engine) evictPooled(s *shard, p *Params, nowMs int64) int64 {
	pool := &e.evict.pool
	e.sample(s, p, func(db int, r rec) {
		pool.Offer(handleOf(e.hash(r.key()), db), p.Policy.Score(r.word(), r.deadline(), nowMs, p.LRU))
	})
	for range 2 * pool.Len() { // each may be offered anew once
		handle, score, ok := pool.Take()
		if !ok {
			break
		}
		if freed := e.evictScored(handle, score, p, nowMs); freed > 0 {
			return freed
		}
	}
	return 0
}

// evictScored evicts a candidate, or offers it again if it has been used.
func (e *Engine) evictScored(handle, score uint64, p *Params, nowMs int64) int64 {
	s := e.shardOf(handle)
	s.mu.Lock()
	defer s.mu.Unlock()
	db, r, ok := e.candidate(s, handle, p)
	if !ok {
		return 0
	}
	if now := p.Policy.Score(r.word(), r.deadline(), nowMs, p.LRU); now < score {
		e.evict.pool.Offer(handle, now)
		return 0
	}
	return e.evictRecord(s, db, r, p)
}

// sampleBuckets bounds the search for keys with a deadline among others.
const sampleBuckets = 256

// sample calls fn for some evictable entries of each database of a shard.
func (e *Engine) sample(s *shard, p *Params, fn func(db int, r rec)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for db, t := range s.dbs {
		if t == nil || t.live == 0 || p.Policy.Volatile() && t.ttls == 0 {
			continue
		}
		cursor, found := e.rand.Uint64(), 0
		for range sampleBuckets {
			cursor = t.visit(cursor, func(r rec) {
				if found < p.LRU.Samples && e.evictable(s, r, p) {
					found++
					fn(db, r)
				}
			})
			if found >= p.LRU.Samples {
				break
			}
		}
	}
}

func (e *Engine) evictable(s *shard, r rec, p *Params) bool {
	if !r.has(fLive) || p.Policy.Volatile() && !r.has(fDeadline) {
		return false
	}
	if !p.EvictToDisk {
		return true
	}
	// Deadlines of fields are looked after in memory.
	if r.flags()&(fHasRow|fOnDisk|fFields) != fHasRow {
		return false
	}
	x := e.openedRec(s, r)
	if x.shared() {
		return false // what is seen depends on all
	}
	if x.coll != nil {
		n := x.coll.memBytes()
		return !x.coll.counts && n > digestLen && n <= awayMax
	}
	return (len(x.state.Value) > digestLen || len(x.state.Sketches) > 0) && !counted(&x.state)
}

const (
	digestLen = 8
	// awayMax is the memory in bytes up to which a collection goes to disk: it
	// goes, and comes back, while its shard is locked.
	awayMax = 4 << 20
)

// toDisk leaves of an entry's value what stands for it in memory.
func (t *table) toDisk(x *entry) {
	x.flags |= fOnDisk
	if len(x.state.Sketches) > 0 {
		sketchesToDisk(&x.state)
		return
	}
	if x.coll == nil {
		x.state.Value = binary.BigEndian.AppendUint64(make([]byte, 0, digestLen), xxh3.Hash(x.state.Value))
		return
	}
	was := *x.coll
	*x.coll = *newContent(t.arena, was.typ)
	x.coll.form, x.coll.asOf = was.form, was.asOf
	x.coll.away, x.coll.digest = true, was.sum(0) // fields with deadlines stay in memory
	t.free(&was)
}

// evictRecord does it, and returns the bytes that became free, at least one.
func (e *Engine) evictRecord(s *shard, db int, r rec, p *Params) int64 {
	t, x := r.t, e.openedRec(s, r)
	was := t.arena.LiveBytes()
	if p.EvictToDisk {
		e.preserve(t, x)
		t.toDisk(x)
		e.store(t, x, p)
		e.used.Add(t.grew())
		e.stats.evictedToDisk.Add(1)
		return max(was-t.arena.LiveBytes(), 1)
	}
	if p.Recording {
		b := op.Builder{Origin: e.Origin()}
		if x.coll != nil {
			b.Drop(db, x.key, nil)
		}
		b.Remove(db, x.key, floorsOf(&x.state))
		e.sink.Commit(b.Len(), b.Body())
	}
	e.changedAlone(e.number(db), x.key)
	e.event(EventEvicted, "evicted", db, x.key)
	e.end(s, t, db, x)
	e.stats.evicted.Add(1)
	return max(was-t.arena.LiveBytes(), 1)
}

// group is some shards of which the adaptive policy knows together: a state of
// few entries judges with noise, and more shards than states keep cores apart.
// Its lock is below those of its shards.
type group struct {
	shards []*shard // ascending by number

	mu    sync.Mutex
	state *lru.State // nil until the policy is in force
	term  uint32     // of Engine.term: a state of an earlier one is void
	// live is the sum of what its shards last told.
	live    int
	counted int64 // bytes in Engine.used

	// pressure is what the last offers came to; Engine.evict guards it.
	pressure uint64
}

// maxGroups: of a loop a little larger than a cache of 1,000 keys 64 states lose
// one point of hits, which 16 keep.
const maxGroups = 16

// makeGroups shares the shards out.
func (e *Engine) makeGroups() {
	each := max(len(e.shards)/maxGroups, 1)
	for shards := range slices.Chunk(e.shards, each) {
		g := &group{shards: shards}
		e.groups = append(e.groups, g)
		for _, s := range shards {
			s.group = g
		}
	}
}

// adaptiveState is the state of a locked group, made where there is none.
func (e *Engine) adaptiveState(g *group) *lru.State {
	if term := e.term.Load(); g.state == nil || g.term != term {
		g.state, g.term = lru.NewState(&e.shared, len(e.groups)), term
		e.countAdaptive(g)
	}
	return g.state
}

// countAdaptive brings used memory into line with a group's state.
func (e *Engine) countAdaptive(g *group) {
	now := int64(0)
	if g.state != nil {
		now = int64(g.state.Bytes())
	}
	if now != g.counted {
		e.used.Add(now - g.counted)
		g.counted = now
	}
}

// retire gives a state back where the policy is another one.
func (e *Engine) retire(s *shard, p *Params) {
	if p.Policy.Kind() != lru.KindTinyLFU {
		e.forgetUses(s)
	}
}

// forgetUses makes the state begin anew.
func (e *Engine) forgetUses(s *shard) {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = nil
	e.countAdaptive(g)
}

// tell brings the group's number of entries into line with a locked shard's.
func (g *group) tell(s *shard, live int) {
	g.live += live - s.told
	s.told = live
}

// wordMade is the word of an entry made now.
func (e *Engine) wordMade(s *shard, x *entry, p *Params, nowMs int64) lru.Word {
	if p.Policy.Kind() != lru.KindTinyLFU {
		return p.Policy.Init(nowMs)
	}
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell(s, s.contenders(p)+1)
	w := e.adaptiveState(g).OnInsert(handleOf(x.hash, x.t.db), g.live, nowMs)
	e.countAdaptive(g)
	return w
}

// wordUsed is the word of an entry that is used now.
func (e *Engine) wordUsed(x *entry, nowMs int64) lru.Word {
	g := e.shardOf(x.hash).group
	g.mu.Lock()
	defer g.mu.Unlock()
	w := e.adaptiveState(g).OnUse(x.word, handleOf(x.hash, x.t.db), nowMs)
	e.countAdaptive(g)
	return w
}

// contenders is the number of entries that the policy may evict.
func (s *shard) contenders(p *Params) (n int) {
	for _, t := range s.dbs {
		switch {
		case t == nil:
		case p.Policy.Volatile():
			n += t.ttls
		default:
			n += t.live
		}
	}
	return n
}

// evictAdaptive offers samples of s and of another shard, and evicts from the
// group of the two where that is more due.
func (e *Engine) evictAdaptive(s *shard, p *Params, _ int64) int64 {
	other := e.shards[e.rand.IntN(len(e.shards))]
	found, g := e.offer(s, p), s.group
	if e.offer(other, p) && (!found || other.group.pressure > g.pressure) {
		found, g = true, other.group
	}
	if !found {
		return 0
	}
	return e.evictFrom(g, p)
}

// offer shows samples of a shard to the state and reports whether there were
// any.
func (e *Engine) offer(s *shard, p *Params) (found bool) {
	g := s.group
	e.sample(s, p, func(db int, r rec) {
		g.mu.Lock()
		defer g.mu.Unlock()
		st := e.adaptiveState(g)
		st.Offer(handleOf(e.hash(r.key()), db), r.word())
		g.pressure, found = st.Pressure(), true
	})
	return found
}

// evictFrom evicts the victim of a group.
func (e *Engine) evictFrom(g *group, p *Params) int64 {
	for _, s := range g.shards {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	handle, ok := e.chooseVictim(g, p)
	if !ok {
		return 0
	}
	s := e.shardOf(handle)
	db, r, ok := e.candidate(s, handle, p)
	if !ok {
		return 0
	}
	return e.evictRecord(s, db, r, p)
}

// chooseVictim asks the state of a group whose shards are locked.
func (e *Engine) chooseVictim(g *group, p *Params) (handle uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.shards {
		g.tell(s, s.contenders(p))
	}
	handle, ok = e.adaptiveState(g).Victim(g.live, func(handle uint64) (lru.Word, bool) {
		_, r, ok := e.candidate(e.shardOf(handle), handle, p)
		if !ok {
			return 0, false
		}
		return r.word(), true
	})
	e.countAdaptive(g)
	return handle, ok
}
