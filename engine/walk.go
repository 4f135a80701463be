package engine

import (
	"bytes"
	"encoding/binary"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"

	"github.com/zeebo/xxh3"
)

// This file holds everything that walks: SCAN, KEYS, RANDOMKEY, DBSIZE,
// exports, the digest.

// Item is a key met by a walk.
type Item struct {
	Key  string
	Type Type
}

// Scan visits about count live keys of a database number from cursor on and
// returns the next cursor, 0 at the end. A key that is there from the first
// call to the last is visited at least once, whatever grows or shrinks in
// between.
func (t *Tx) Scan(db int, cursor uint64, count int, fn func(Item)) uint64 {
	n := uint64(len(t.e.shards))
	at, inner := cursor%n, cursor/n
	for seen := 0; at < n; {
		s := t.e.shards[at]
		unlock := t.walkLock(s)
		if tb := s.dbs[t.stored(db)]; tb != nil {
			// A walk holds a shard for a bounded number of buckets only.
			for range walkBuckets {
				inner = tb.visit(inner, func(r rec) {
					seen++
					if r.has(fLive) && !r.expired(t.now) {
						fn(Item{string(r.key()), r.typeName()})
					}
				})
				if inner == 0 || seen >= count {
					break
				}
			}
		} else {
			inner = 0
		}
		unlock()
		if inner == 0 {
			at++
		}
		if seen >= count {
			break
		}
	}
	if at == n {
		return 0
	}
	return inner*n + at
}

// EachKey visits every live key of a database number, each shard as it is at
// one instant, so that no key is met twice (KEYS).
func (t *Tx) EachKey(db int, fn func(Item)) {
	for _, s := range t.e.shards {
		unlock := t.walkLock(s)
		if tb := s.dbs[t.stored(db)]; tb != nil {
			tb.each(func(r rec) {
				if r.has(fLive) && !r.expired(t.now) {
					fn(Item{string(r.key()), r.typeName()})
				}
			})
		}
		unlock()
	}
}

// walkBuckets bounds how long a walk keeps one shard locked.
const walkBuckets = 512

// walkLock locks s unless the tx holds it already.
func (t *Tx) walkLock(s *shard) (unlock func()) {
	if t.world {
		if len(t.undo) > 0 {
			t.show()
		}
		return func() {}
	}
	if !t.walk {
		panic("engine: a walk needs Scope.Walk or Scope.World")
	}
	s.mu.Lock()
	return s.mu.Unlock
}

// Size is the number of keys in a database number, expired ones that are not
// yet reclaimed included (DBSIZE).
func (t *Tx) Size(db int) int {
	n := 0
	for _, s := range t.e.shards {
		unlock := t.walkLock(s)
		if tb := s.dbs[t.stored(db)]; tb != nil {
			n += tb.live
		}
		unlock()
	}
	return n
}

// Bounds of the search for a random key: how many keys are drawn before
// RandomKey walks, for most have expired then, and how many buckets of the
// drawn shard are looked into.
const (
	randomTries   = 100
	randomBuckets = 64
)

// Random draws a number below n.
func (t *Tx) Random(n int) int { return t.e.rand.IntN(n) }

// RandomKey is a random live key of a database number.
func (t *Tx) RandomKey(db int) (string, bool) {
	for range randomTries {
		size := t.Size(db)
		if size == 0 {
			return "", false
		}
		if key, ok := t.randomIn(db, t.e.rand.IntN(size)); ok {
			return key, true
		}
	}
	key, found := "", false
	for cursor := uint64(0); ; {
		cursor = t.Scan(db, cursor, 10, func(it Item) { key, found = it.Key, true })
		if found || cursor == 0 {
			return key, found
		}
	}
}

// randomIn draws a key from the shard that holds the nth key of a database.
func (t *Tx) randomIn(db, nth int) (string, bool) {
	for _, s := range t.e.shards {
		unlock := t.walkLock(s)
		tb := s.dbs[t.stored(db)]
		if tb == nil || nth >= tb.live {
			if tb != nil {
				nth -= tb.live
			}
			unlock()
			continue
		}
		var live []string
		for range randomBuckets {
			tb.visit(t.e.rand.Uint64(), func(r rec) {
				if r.has(fLive) && !r.expired(t.now) {
					live = append(live, string(r.key()))
				}
			})
			if len(live) > 0 {
				break
			}
		}
		unlock()
		if len(live) == 0 {
			return "", false
		}
		return live[t.e.rand.IntN(len(live))], true
	}
	return "", false
}

// Export walks the states of all keys, tombstones included, from cursor on and
// returns the next cursor, 0 at the end; it stops after about maxBytes. fn
// gets copies it may keep. An entry whose value lies on disk comes with
// Evicted set: its State lacks the value, which its row has.
func (e *Engine) Export(cursor uint64, maxBytes int, fn func(ExportEntry)) uint64 {
	n := uint64(len(e.shards) * e.databases)
	at, inner := cursor%n, cursor/n
	for size := 0; at < n && size < maxBytes; {
		s, db := e.shards[at/uint64(e.databases)], int(at%uint64(e.databases))
		var met []exported
		s.mu.Lock()
		if t := s.dbs[db]; t != nil {
			inner = t.visit(inner, func(r rec) { met = append(met, e.exportEntry(db, e.openedRec(s, r))) })
		} else {
			inner = 0
		}
		s.mu.Unlock()
		for i := range met {
			en := e.finish(&met[i])
			size += len(en.Key) + len(en.State) + 16
			fn(en)
		}
		if inner == 0 {
			at++
		}
	}
	if at == n {
		return 0
	}
	return inner*n + at
}

// ExportEntry is a StateEntry that may lack its value.
type ExportEntry struct {
	StateEntry
	Evicted bool
}

// exported is an ExportEntry that may lack its collections: a large one is only
// copied under the shard's lock.
type exported struct {
	ExportEntry
	colls   []exportedColl
	merging bool
}

// exportedColl is a list of members, or what one is made of.
type exportedColl struct {
	list  op.Coll
	large *frozen
}

// exportEntry is the state of x, whose shard is locked. It is to be finished,
// without the lock.
func (e *Engine) exportEntry(db int, x *entry) (out exported) {
	st, large := x.state, false
	out.merging = e.params.Load().Merging
	if x.coll != nil && !x.coll.away {
		for _, c := range x.colls() {
			asOf := c.asOf
			if !out.merging && (c.typ == op.TypeList || c.asOf != 0) {
				asOf = e.newest()
			}
			if c.annex != nil {
				large = true
				f := c.freeze(e.shardOf(x.hash))
				f.asOf = asOf
				out.colls = append(out.colls, exportedColl{large: f})
				continue
			}
			list := c.export()
			list.AsOf = asOf
			out.colls = append(out.colls, exportedColl{list: list})
		}
	}
	if out.Evicted = x.flags&fOnDisk != 0; out.Evicted {
		st.Value, st.Sketches = nil, bare(st.Sketches)
	}
	out.StateEntry = StateEntry{DB: db, Key: bytes.Clone(x.key)}
	if !large {
		e.addColls(&st, &out)
	}
	out.State = st.Append(nil)
	return out
}

// finish completes what exportEntry gave.
func (e *Engine) finish(out *exported) ExportEntry {
	if len(out.colls) > 0 {
		st, err := op.DecodeKeyState(out.State)
		if err != nil {
			panic("engine: an encoded state cannot be read: " + err.Error())
		}
		e.addColls(&st, out)
		out.State = st.Append(nil)
	}
	return out.ExportEntry
}

// addColls gives a state the collections of out, in the form of rows and copies.
func (e *Engine) addColls(st *op.KeyState, out *exported) {
	for i := range out.colls {
		c := &out.colls[i]
		if c.large != nil {
			c.list = c.large.thaw()
		}
		if out.merging {
			e.date(&c.list)
		}
		st.Colls = append(st.Colls, c.list)
	}
	out.colls = nil
}

// newest is a reading that no change so far is stamped above: what a list's row
// contains. The shard of the list is locked.
func (e *Engine) newest() (at clock.Reading) {
	for _, r := range e.sink.Vector() {
		at = max(at, r)
	}
	return at
}

// State is the whole state of one key of a stored database; ok is false where
// nothing is known of it.
func (e *Engine) State(k RowKey) (en ExportEntry, ok bool) {
	var out exported
	e.withEntry(k.DB, []byte(k.Key), func(_ *shard, _ *table, x *entry) { out, ok = e.exportEntry(k.DB, x), true })
	return e.finish(&out), ok
}

// withEntry runs fn with the entry of a stored key, if there is one, under its
// shard's lock.
func (e *Engine) withEntry(db int, key []byte, fn func(*shard, *table, *entry)) {
	h := e.hash(key)
	s := e.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.dbs[db]; t != nil {
		if x, ok := e.opened(s, t, h, key); ok {
			fn(s, t, x)
		}
	}
}

// Digest is a hash over everything a client can read at nowMs: databases,
// keys, values, deadlines and CAS tokens. Regions with equal vectors have
// equal digests. It holds the world.
func (e *Engine) Digest(nowMs int64) uint64 {
	sum := uint64(0)
	e.WithWorld(func() {
		var buf []byte
		for _, s := range e.shards {
			for db, t := range s.dbs {
				if t == nil {
					continue
				}
				number := e.number(db)
				t.each(func(r rec) {
					if !r.has(fLive) || r.expired(nowMs) {
						return
					}
					x := e.openedRec(s, r)
					if !x.coll.gone() && x.coll.outlived(nowMs) {
						return
					}
					d := deadlineOf(&x.state)
					buf = binary.AppendUvarint(buf[:0], uint64(number))
					buf = binary.AppendUvarint(buf, uint64(len(x.key)))
					buf = append(buf, x.key...)
					buf = binary.AppendVarint(buf, d)
					if x.coll.gone() {
						buf = tokenOf(&x.state).AppendToken(buf)
					}
					buf = valueDigest(buf, x, nowMs)
					sum += xxh3.Hash(buf) // a sum: the order of the walk does not matter
				})
			}
		}
	})
	return sum
}

// valueDigest appends the digest of what clients read: of the value cell,
// which is kept in place of a value on disk, and what its counter runs add.
func valueDigest(dst []byte, x *entry, nowMs int64) []byte {
	s := &x.state
	switch {
	case len(s.Sketches) > 0 && x.coll.gone():
		return binary.BigEndian.AppendUint64(dst, sketchSum(s))
	case !x.coll.gone():
		return binary.BigEndian.AppendUint64(dst, x.coll.sum(nowMs))
	case x.flags&fOnDisk != 0:
		dst = append(dst, s.Value...)
	case baseAlive(s):
		dst = binary.BigEndian.AppendUint64(dst, xxh3.Hash(s.Value))
	}
	for i := range s.Subs {
		if c := &s.Subs[i]; relevant(s, c.Lineage) {
			if n, none := remainder(s, c); !none {
				dst = n.Append(dst)
			}
		}
	}
	return dst
}

// sum is the digest of what clients read of a collection.
func (c *content) sum(nowMs int64) uint64 {
	if c.away {
		return c.digest
	}
	return c.contentSum(nowMs)
}

// outlived reports whether every member has a deadline that has passed.
func (c *content) outlived(nowMs int64) bool {
	if c == nil || c.fieldTTLs == 0 || c.fieldTTLs < c.main.Len() {
		return false
	}
	all := true
	c.main.Ascend(0, func(el tree.Elem) bool {
		all = expiredField(el.Ext, nowMs)
		return all
	})
	return all
}
