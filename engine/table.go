package engine

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"geocache/slab"
)

// table is one database's slice of a shard: an arena with its keys' records
// and their collections, and a hash table that grows and shrinks one bucket at
// a time (linear hashing, Litwin 1980), so that no insert ever pays for a
// doubling. Buckets [0,split) are addressed with level+1 bits, the others with
// level bits. A bucket is the Ref of the first record of its chain; buckets lie
// in the arena as well, in segments.
//
// A cursor is a position in the order of bit-reversed hashes, as in Redis'
// dictScan: splitting or joining buckets never moves an entry from the part
// still to be visited to the part already visited.
type table struct {
	db       int // stored
	arena    *slab.Arena
	hash     func([]byte) uint64
	segments []slab.Ref // of segmentSize buckets each; none while empty
	level    uint
	split    uint64
	entries  int   // in the table, tombstones included
	counted  int64 // bytes of all its arenas that are in Engine.used
	live     int   // with content, as DBSIZE counts
	ttls     int   // live and with a deadline
	runs     int   // with counter runs
	fields   int   // hashes with fields that have deadlines
	away     int   // records with flags that are away
	// annexes are the memory of large collections, by number less one.
	annexes    []*annex
	annexBytes int64       // of their blocks
	annexFrom  int64       // see there
	pages      slab.Source // of new ones
	// litter are large trees that nobody uses any more, freed in steps.
	litter  []litter
	garbage *garbage // of all tables
	// mover is the cursor of defragment, moved how many records of that bucket
	// it has dealt with; trees are large collections that it has met and not
	// finished.
	mover uint64
	moved int
	trees []treePlace
	// dropped: a FLUSHDB took it out of its shard.
	dropped bool
	// walks are those of snapshots, walked is how many: until there is none
	// the memory of a dropped table is kept.
	walks  []*tableWalk
	walked atomic.Int32
}

const (
	segmentBits = 9
	segmentSize = 1 << segmentBits
	minLevel    = 3
	refLen      = 4
	// There are loadKeys entries for loadBuckets buckets.
	loadKeys, loadBuckets = 3, 2
	// maxJoins buckets go with one entry: more than there are for it, so that
	// shrinking keeps pace.
	maxJoins = 4
)

func newTable(pages slab.Source, hash func([]byte) uint64) *table {
	g := &garbage{used: new(atomic.Int64), mapped: new(atomic.Int64)}
	return &table{arena: slab.New(pages), pages: pages, hash: hash, level: minLevel, annexFrom: annexFrom, garbage: g}
}

func (t *table) newSegment(buckets int) slab.Ref {
	r := t.arena.Alloc(buckets * refLen)
	clear(t.arena.Bytes(r))
	return r
}

func (t *table) buckets() uint64 { return 1<<t.level + t.split }

// slot is where the head of bucket i's chain is kept.
func (t *table) slot(i uint64) []byte {
	return t.arena.Bytes(t.segments[i>>segmentBits])[i&(segmentSize-1)*refLen:]
}

func refAt(b []byte) slab.Ref       { return slab.Ref(binary.LittleEndian.Uint32(b)) }
func putRef(b []byte, ref slab.Ref) { binary.LittleEndian.PutUint32(b, uint32(ref)) }

func (t *table) address(hash uint64) uint64 {
	if i := hash & (1<<t.level - 1); i >= t.split {
		return i
	}
	return hash & (1<<(t.level+1) - 1)
}

// find is the record of key; ok is false where there is none.
func (t *table) find(hash uint64, key []byte) (r rec, ok bool) {
	if t.entries == 0 {
		return rec{}, false
	}
	for ref := refAt(t.slot(t.address(hash))); ref != 0; {
		r := t.rec(ref)
		if r.is(key) {
			return r, true
		}
		ref = r.next()
	}
	return rec{}, false
}

func (t *table) insert(hash uint64, ref slab.Ref) {
	if t.entries == 0 {
		t.segments = append(t.segments, t.newSegment(1<<minLevel))
	}
	s := t.slot(t.address(hash))
	t.rec(ref).setNext(refAt(s))
	putRef(s, ref)
	t.entries++
	if uint64(t.entries)*loadBuckets > t.buckets()*loadKeys {
		t.splitOne()
	}
}

// link is the place that names ref in the chain of its bucket: a slot, or the
// next field of the record before.
func (t *table) link(hash uint64, ref slab.Ref) []byte {
	p := t.slot(t.address(hash))
	for at := refAt(p); at != ref; at = refAt(p) {
		if at == 0 {
			panic("engine: a record is not in its bucket")
		}
		p = t.rec(at).b[recNext:]
	}
	return p
}

// remove takes a record out of its chain.
func (t *table) remove(hash uint64, ref slab.Ref) {
	putRef(t.link(hash, ref), t.rec(ref).next())
	if t.entries--; t.entries == 0 {
		for _, s := range t.segments {
			t.arena.Free(s)
		}
		t.segments, t.level, t.split = nil, minLevel, 0
		return
	}
	for n := 0; n < maxJoins && t.level > minLevel && uint64(t.entries) < t.buckets()/3; n++ {
		t.joinOne()
	}
}

// replace puts a record in the place of another.
func (t *table) replace(hash uint64, old, ref slab.Ref) {
	t.rec(ref).setNext(t.rec(old).next())
	putRef(t.link(hash, old), ref)
}

// splitOne moves half of bucket split to a new bucket at the end.
func (t *table) splitOne() {
	from, to := t.split, 1<<t.level+t.split
	if seg := to >> segmentBits; seg == uint64(len(t.segments)) {
		t.segments = append(t.segments, t.newSegment(segmentSize))
	} else if have := 1 << t.level; seg == 0 && t.split == 0 && have < segmentSize {
		// Only the first segment starts small.
		grown := t.newSegment(2 * have)
		copy(t.arena.Bytes(grown), t.arena.Bytes(t.segments[0])[:have*refLen])
		t.arena.Free(t.segments[0])
		t.segments[0] = grown
	}
	p, q := t.slot(from), t.slot(to)
	putRef(q, 0)
	for ref := refAt(p); ref != 0; ref = refAt(p) {
		r := t.rec(ref)
		if t.hash(r.key())>>t.level&1 == 0 {
			p = r.b[recNext:]
			continue
		}
		putRef(p, r.next())
		r.setNext(refAt(q))
		putRef(q, ref)
	}
	if t.split++; t.split == 1<<t.level {
		t.level, t.split = t.level+1, 0
	}
	t.readySplits()
}

// readySplits has the processor load records whose keys the next two splits will
// read: at most places of a bucket one is not to be waited for then.
func (t *table) readySplits() {
	if head := refAt(t.slot(t.split)); head != 0 {
		if next := t.rec(head).next(); next != 0 {
			t.arena.Prefetch(next)
		}
	}
	if head := refAt(t.slot(t.split + 1)); head != 0 {
		t.arena.Prefetch(head)
	}
}

// joinOne undoes the last split.
func (t *table) joinOne() {
	if t.split == 0 {
		t.level--
		t.split = 1 << t.level
	}
	t.split--
	p, q := t.slot(t.split), t.slot(1<<t.level+t.split)
	for ref := refAt(p); ref != 0; ref = refAt(p) {
		p = t.rec(ref).b[recNext:]
	}
	putRef(p, refAt(q))
	putRef(q, 0)
	if last := t.buckets() - 1; last>>segmentBits+2 < uint64(len(t.segments)) {
		t.arena.Free(t.segments[len(t.segments)-1])
		t.segments = t.segments[:len(t.segments)-1]
	}
}

// visit calls fn for every record of the bucket at cursor and returns the
// cursor of the next bucket, 0 after the last. fn may remove or replace the
// record it is given, but nothing else may change the table meanwhile.
func (t *table) visit(cursor uint64, fn func(rec)) uint64 {
	if t.entries == 0 {
		return 0
	}
	depth := t.level
	if cursor&(1<<t.level-1) < t.split {
		depth++
	}
	next := nextCursor(cursor, depth)
	for ref := refAt(t.slot(cursor & (1<<depth - 1))); ref != 0; {
		r := t.rec(ref)
		ref = r.next()
		fn(r)
	}
	return next
}

// nextCursor adds one to the reversed lower depth bits of c.
func nextCursor(c uint64, depth uint) uint64 {
	c |= ^uint64(0) << depth
	return bits.Reverse64(bits.Reverse64(c) + 1)
}

// passed reports whether a walk that has come to cursor has met the key with
// this hash.
func passed(hash, cursor uint64) bool { return bits.Reverse64(hash) < bits.Reverse64(cursor) }

// count follows a record whose flags change; 0 stands for no record.
func (t *table) count(was, now recFlags) {
	t.live += change(was, now, fLive)
	t.ttls += change(was, now, fLive|fDeadline)
	t.runs += change(was, now, fRuns)
	t.fields += change(was, now, fFields)
	t.away += changed(was.away(), now.away())
}

func change(was, now, flags recFlags) int { return changed(was&flags == flags, now&flags == flags) }

// changed is by how many the records with something change where one had it or has it.
func changed(had, has bool) int {
	switch {
	case has && !had:
		return 1
	case had && !has:
		return -1
	}
	return 0
}

// grew is by how many bytes the arenas have changed since it was last asked.
func (t *table) grew() int64 {
	by := t.arena.LiveBytes() + t.annexBytes - t.counted
	t.counted += by
	return by
}

// each calls fn for every record; fn must not change the table.
func (t *table) each(fn func(rec)) {
	if t.entries == 0 {
		return
	}
	for i := range t.buckets() {
		for ref := refAt(t.slot(i)); ref != 0; {
			r := t.rec(ref)
			fn(r)
			ref = r.next()
		}
	}
}

// litterFrom is the size in bytes from which a collection is freed in steps.
const litterFrom = 16 << 10

// free gives the trees of a collection back, those of a large one later.
func (t *table) free(c *content) {
	if a := c.annex; a != nil {
		by := a.t
		a.leave()
		by.garbage.add(a, 1)
		return
	}
	t.throw(c, 1)
}

// litter is what a large collection has left in its table.
type litter struct {
	content
	removed int // 1 for a removed collection, 0 for one that is elsewhere now
}

// throw is free for trees in the table's own arena.
func (t *table) throw(c *content, removed int) {
	if c.memBytes() < litterFrom {
		freeTrees(c)
		return
	}
	t.litter = append(t.litter, litter{*c, removed})
	t.garbage.pieces.Add(1)
	t.garbage.waiting.Add(int64(removed))
}

// bytes is the memory of a key in bytes, but for its collection: its record and
// its share of the buckets.
func (r rec) bytes() int64 { return int64(len(r.b)) + refLen*loadBuckets/loadKeys }

// bytesOf is the memory of a key that no tx is changing, its collection
// included.
func (t *table) bytesOf(r rec) int64 {
	n := r.bytes()
	if r.has(fColl) {
		var x entry
		x.openColls(t, r.coll())
		n += x.collBytes()
	}
	return n
}

// typeOf is the type of a record as TYPE answers it.
func (r rec) typeName() Type { return typeNames[r.typ()] }
