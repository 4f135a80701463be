package engine

import (
	"geocache/clock"
	"geocache/op"
)

// This file gives memory back: expired keys and tombstones.

// reclaim drops an expired entry where that is allowed. It is no op: the
// deadline is the same everywhere, and so is what readers see.
func (e *Engine) reclaim(s *shard, t *table, db int, r rec, nowMs int64) bool {
	if !e.reclaimable(r, nowMs) {
		return false
	}
	x := e.openedRec(s, r)
	if x.flags&fTold == 0 {
		e.changedAlone(e.number(db), x.key)
	}
	e.event(EventExpired, "expired", db, x.key)
	e.end(s, t, db, x)
	e.stats.expired.Add(1)
	e.reclaimed.Store(true)
	return true
}

// end removes an entry and all that is known of it.
func (e *Engine) end(s *shard, t *table, db int, x *entry) {
	e.preserve(t, x)
	for _, c := range x.colls() {
		t.free(c)
	}
	x.state, x.coll, x.others = op.KeyState{}, nil, nil
	e.put(s, t, db, x, e.params.Load())
}

func (e *Engine) reclaimable(r rec, nowMs int64) bool {
	d := r.deadline()
	return d != 0 && d <= nowMs && d < e.reclaimMs.Load() && !e.held.Load()
}

// announces reports whether the end of an expired entry has to be an op. A
// region that forgot the entry on its own could not name it in later
// removals, and one that still held it would bring it back.
func (e *Engine) announces(r rec, p *Params) bool {
	return p.Recording && (p.Merging || r.has(fRuns))
}

// announce appends the op that ends an entry, unless another region will: the
// one that set the deadline is given orphanMs to do it for all.
func (e *Engine) announce(s *shard, t *table, db int, r rec, p *Params, nowMs int64) bool {
	if !e.reclaimable(r, nowMs) {
		return false
	}
	x := e.openedRec(s, r)
	st := &x.state
	if st.DeadlineStamp.Origin.Region() != e.Origin().Region() && nowMs-deadlineOf(st) < orphanMs {
		return false
	}
	seen, floors := expiryMark(st), floorsOf(st)
	var left []*content
	m := editing{e: e, p: p, s: s, tb: t, db: db, x: x}
	m.each(func() {
		runs := m.runsLeft(t, func(name []byte, floors []op.Floor) {
			e.expire.ops.Take(db, x.key, m.c.typ, op.Main, name, op.Seen{Floors: floors})
		})
		if runs != nil {
			left = append(left, runs)
		}
	})
	if x.coll != nil {
		e.expire.ops.Drop(db, x.key, e.sink.Vector())
	}
	e.expire.ops.RemoveSeen(db, x.key, seen, floors)
	e.event(EventExpired, "expired", db, x.key)
	e.settle(s, t, db, x, p, nowMs, func(st *op.KeyState) bool {
		m.dropColls()
		x.coll, x.others = headOf(left)
		return join(st, &op.KeyState{Dead: seen, Floors: floors})
	})
	return true
}

// orphanMs is how long after its deadline a key waits for the region that set
// it.
const orphanMs = 60_000

// ExpireStep looks at a bounded number of keys for expired ones, going on where
// the last step stopped. It returns how many keys it met and how many it
// reclaimed; the caller decides from that how long to go on. Where it had to wait
// for a shard it calls waited, which may be nil, once it holds it.
func (e *Engine) ExpireStep(nowMs int64, waited func()) (met, reclaimed int) {
	c := &e.expire
	c.Lock()
	defer c.Unlock()
	// A shard without deadlines costs nothing but the look; a round of the loop
	// is one full turn at most.
	for range len(e.shards) {
		m, r, more := e.expireHere(nowMs, waited)
		met, reclaimed = met+m, reclaimed+r
		if !more {
			if c.db++; c.db >= e.databases {
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

// expireHere is one bounded visit of the table at the step's place, or of the
// next one of the shard that has deadlines; more says that it has not come to
// its end.
func (e *Engine) expireHere(nowMs int64, waited func()) (met, reclaimed int, more bool) {
	c := &e.expire
	s := e.shards[c.shard]
	s.lock(waited)
	defer s.mu.Unlock()
	p := e.params.Load()
	e.retire(s, p)
	var t *table
	for ; c.db < e.databases; c.db, c.cursor = c.db+1, 0 {
		if t = s.dbs[c.db]; t != nil && t.ttls+t.fields > 0 {
			break
		}
	}
	if c.db == e.databases {
		return 0, 0, false
	}
	var ttl ttlSample
	least := t.arena.MappedBytes() - expireBytes
	for buckets := 0; buckets < expireBuckets && met < expireKeys; buckets++ {
		more = false
		next := t.visit(c.cursor, func(r rec) {
			if reclaimed >= expireKeys || t.arena.MappedBytes() < least {
				more = true // the bucket is visited again
				return
			}
			met++
			if r.has(fLive | fDeadline) {
				ttl.add(r.deadline(), nowMs)
			}
			switch {
			case !r.has(fLive):
			case !r.expired(nowMs):
				if r.has(fFields) {
					reclaimed += e.reclaimFields(s, t, c.db, r, p, nowMs)
				}
			case e.announces(r, p):
				if e.announce(s, t, c.db, r, p, nowMs) {
					reclaimed++
				}
			case e.reclaim(s, t, c.db, r, nowMs):
				reclaimed++
			}
		})
		if more {
			break
		}
		c.cursor = next
		if more = next != 0; !more {
			break
		}
	}
	e.sampleTTL(c.db, ttl)
	if n := c.ops.Len(); n > 0 {
		e.sink.Commit(n, c.ops.Body())
		c.ops.Reset()
	}
	return met, reclaimed, more
}

// reclaimFields takes expired fields out of a hash, which may end with them,
// and returns how many.
func (e *Engine) reclaimFields(s *shard, t *table, db int, r rec, p *Params, nowMs int64) int {
	x := e.openedRec(s, r)
	before := min(nowMs, e.reclaimMs.Load()-1)
	c := x.of(op.TypeHash)
	if c == nil || c.nextFieldMs > before || e.held.Load() {
		return 0
	}
	m, n := editing{e: e, p: p, s: s, tb: t, db: db, x: x, c: c}, 0
	e.settle(s, t, db, x, p, nowMs, func(*op.KeyState) bool {
		seen := !c.gone() && x.coll == c
		if n = m.expireFields(before, expireFieldsMax); n > 0 && seen {
			e.event(EventHash, "hexpired", db, x.key)
		}
		if c.bare() && seen && !x.clashes() {
			e.event(EventGeneric, "del", db, x.key)
		}
		if c.empty() {
			m.drop()
		}
		return true
	})
	return n
}

// expireFieldsMax bounds how many fields of one hash a step takes.
const expireFieldsMax = 256

// Bounds of what ExpireStep does under one lock. Buckets are no measure of keys:
// while a walk empties a table, the buckets before it stand empty and those
// that it has not met take in what shrinking joins, so that towards the end of n
// keys each holds up to the square root of n/3. And the last keys of a table
// leave a page each, which costs as much as many keys.
const (
	expireBuckets = 64
	expireKeys    = 128
	expireBytes   = 128 << 10
)

// grave is a key that learned of a removal, or a member of a collection.
type grave struct {
	RowKey
	member string
	ofKey  bool
}

// graveyard holds, by shard, the graves of one epoch. What a key state knows
// of removals lacks the removals' own stamps, so they are told by time: after
// is what this region had applied when the epoch ended, and covers them all.
type graveyard struct {
	epoch  uint32
	after  clock.Vector
	graves []pieces[grave]
}

// maxGraveyards bounds the epochs that wait; the youngest then stays open.
const maxGraveyards = 32

// bury queues an entry that learned of a removal, once in an epoch.
func (e *Engine) bury(s *shard, db int, x *entry) {
	if x.ref != 0 && removal(&x.state) {
		e.digGrave(s, grave{RowKey: RowKey{db, string(x.key)}, ofKey: true})
	}
}

// buryMember is bury for a member of a collection.
func (e *Engine) buryMember(s *shard, db int, key, member []byte) {
	e.digGrave(s, grave{RowKey: RowKey{db, string(key)}, member: string(member)})
}

func (e *Engine) digGrave(s *shard, k grave) {
	if s.buriedIn[k] == e.epoch {
		return
	}
	if s.buriedIn == nil {
		s.buriedIn = map[grave]uint32{}
	}
	s.buriedIn[k] = e.epoch
	s.graves.add(k)
	e.buried.Add(1)
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
	for n < max {
		g, ok := y.graves[shard].pop()
		if !ok {
			break
		}
		t := s.dbs[g.DB]
		if s.buriedIn[g] != y.epoch {
			continue // gone, or buried again since
		}
		delete(s.buriedIn, g)
		if t == nil {
			continue
		}
		x, ok := e.opened(s, t, e.hash([]byte(g.Key)), []byte(g.Key))
		switch {
		case !ok:
		case !g.ofKey:
			e.forgetMember(s, t, x, g, stable, p)
		case e.forgetKey(s, t, x, g.DB, stable, p):
			n++
		}
	}
	return n
}

// forgetKey forgets what it can of a key and reports whether that was all.
func (e *Engine) forgetKey(s *shard, t *table, x *entry, db int, stable clock.Vector, p *Params) (all bool) {
	was := x.state
	switch {
	case x.coll == nil:
		all = forget(&x.state, stable)
	case !x.coll.away: // its row is told by the stamps
		forgetOfColl(&x.state, stable)
	}
	if !sameCells(&was, &x.state) {
		e.put(s, t, db, x, p)
	}
	if x.coll == nil || !x.state.Dead.IsZero() {
		e.bury(s, db, x)
	}
	return all
}

// forgetMember forgets what it can of the runs of a member.
func (e *Engine) forgetMember(s *shard, t *table, x *entry, g grave, stable clock.Vector, p *Params) {
	m := editing{e: e, p: p, s: s, tb: t, db: g.DB, x: x}
	changed := false
	m.each(func() {
		if !m.merges() {
			return
		}
		if m.c.away {
			e.digGrave(s, g) // until its members are in memory
			return
		}
		st, _ := m.load([]byte(g.member))
		was := len(st.runs.Subs) + len(st.runs.Floors)
		forgetRuns(&st.runs, stable)
		if len(st.runs.Subs)+len(st.runs.Floors) == was {
			if len(st.runs.Floors) > 0 {
				e.digGrave(s, g)
			}
			return
		}
		m.save([]byte(g.member), &st)
		changed = true
		if m.c.empty() {
			m.drop()
		}
	})
	if !changed {
		return
	}
	e.put(s, t, g.DB, x, p)
	if x.coll == nil {
		e.bury(s, g.DB, x)
	}
}

// sameCells reports whether forget took nothing from a state.
func sameCells(a, b *op.KeyState) bool {
	return a.Dead == b.Dead && a.Flushed == b.Flushed && a.ValueStamp == b.ValueStamp && a.DeadlineStamp == b.DeadlineStamp &&
		len(a.Subs) == len(b.Subs) && len(a.Floors) == len(b.Floors)
}
