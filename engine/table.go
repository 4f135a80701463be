package engine

import (
	"math/bits"
	"unsafe"

	"geocache/lru"
	"geocache/op"
	"geocache/slab"
)

// entry is one key of one database, live, expired but not yet reclaimed, or a
// tombstone. Byte slices it points to are never modified in place below their
// length, so that an undo can put the old slice header back.
type entry struct {
	next *entry // chain of the bucket
	hash uint64
	key  string

	state op.KeyState
	coll  *content // nil for a string
	word  lru.Word
	flags entryFlags
	// copied is the round of the last copy that named the key.
	copied uint32
	epoch  uint32 // of its newest grave, 0 for none
	cost   int64  // bytes this entry is accounted with
}

type entryFlags uint16

const (
	inTable     entryFlags = 1 << iota
	countedLive            // in table.live
	countedTTL             // in table.ttls
	dirty                  // queued for the checkpoint
	rawEncoding            // OBJECT ENCODING says raw whatever the length
	hasRow                 // the row in Pebble holds this value
	countedRuns            // in table.runs
	expiryTold             // nobody waits to hear that it has expired
	onDisk                 // the value was evicted to its row; Value is a digest of it
)

// entryOverhead is what an entry costs beside key and value: the struct and
// its share of the table.
const entryOverhead = int64(unsafe.Sizeof(entry{})) + 16

// size is the memory of an entry in bytes, by accounting.
func (e *entry) size() int64 {
	n := entryOverhead
	if e.coll != nil {
		n += e.coll.memBytes()
	}
	n += allocSize(len(e.key)) + allocSize(cap(e.state.Value))
	n += int64(cap(e.state.Subs))*int64(unsafe.Sizeof(op.Sub{})) + int64(cap(e.state.Floors))*int64(unsafe.Sizeof(op.Floor{}))
	return n
}

// exists reports whether the key has visible content, deadlines aside.
func (e *entry) exists() bool { return e.coll != nil || exists(&e.state) }

// typ is the type that clients see.
func (e *entry) typ() op.Type {
	if e.coll != nil {
		return e.coll.typ
	}
	return op.TypeString
}

// free gives the trees of a collection back.
func (t *table) free(c *content) { freeTrees(c) }

// allocSize is what the Go heap spends on n bytes: size classes are 16 bytes
// apart at first, then about an eighth.
func allocSize(n int) int64 {
	switch {
	case n == 0:
		return 0
	case n <= 128:
		return int64(n+15) &^ 15
	case n <= 32<<10:
		step := 1 << (bits.Len(uint(n-1)) - 3)
		return int64((n + step - 1) &^ (step - 1))
	default:
		return int64(n+8191) &^ 8191
	}
}

// table is one database's slice of a shard: a hash table that grows and
// shrinks one bucket at a time (linear hashing, Litwin 1980), so that no
// insert ever pays for a doubling. Buckets [0,split) are addressed with
// level+1 bits, the others with level bits.
//
// A cursor is a position in the order of bit-reversed hashes, as in Redis'
// dictScan: splitting or joining buckets never moves an entry from the part
// still to be visited to the part already visited.
type table struct {
	arena    *slab.Arena // of the collections
	segments [][]*entry  // of segmentSize buckets each
	level    uint
	split    uint64
	entries  int   // in the table, tombstones included
	cost     int64 // bytes of all entries, by accounting
	live     int   // with content, as DBSIZE counts
	ttls     int   // live and with a deadline
	runs     int   // with counter runs
}

const (
	segmentBits = 9
	segmentSize = 1 << segmentBits
	minLevel    = 4
	// maxJoins buckets go with one entry: one more than the four there are
	// for it, so that shrinking keeps pace.
	maxJoins = 5
)

func newTable() *table {
	return &table{arena: slab.New(slab.Heap()), segments: [][]*entry{make([]*entry, 1<<minLevel)}, level: minLevel}
}

func (t *table) buckets() uint64 { return 1<<t.level + t.split }

func (t *table) slot(i uint64) **entry { return &t.segments[i>>segmentBits][i&(segmentSize-1)] }

func (t *table) address(hash uint64) uint64 {
	if i := hash & (1<<t.level - 1); i >= t.split {
		return i
	}
	return hash & (1<<(t.level+1) - 1)
}

// find is the entry of key, or nil.
func (t *table) find(hash uint64, key []byte) *entry {
	for e := *t.slot(t.address(hash)); e != nil; e = e.next {
		if e.hash == hash && e.key == string(key) {
			return e
		}
	}
	return nil
}

func (t *table) insert(e *entry) {
	s := t.slot(t.address(e.hash))
	e.next = *s
	*s = e
	e.flags |= inTable
	t.entries++
	if uint64(t.entries) > t.buckets() {
		t.splitOne()
	}
}

func (t *table) remove(e *entry) {
	for p := t.slot(t.address(e.hash)); *p != nil; p = &(*p).next {
		if *p != e {
			continue
		}
		*p, e.next = e.next, nil
		e.flags &^= inTable
		t.entries--
		for n := 0; n < maxJoins && t.level > minLevel && uint64(t.entries) < t.buckets()/4; n++ {
			t.joinOne()
		}
		return
	}
}

// splitOne moves half of bucket split to a new bucket at the end.
func (t *table) splitOne() {
	from, to := t.split, 1<<t.level+t.split
	if seg := to >> segmentBits; seg == uint64(len(t.segments)) {
		t.segments = append(t.segments, make([]*entry, segmentSize))
	} else if s := t.segments[seg]; to&(segmentSize-1) >= uint64(len(s)) {
		// Only the first segment starts small.
		grown := make([]*entry, min(2*len(s), segmentSize))
		copy(grown, s)
		t.segments[seg] = grown
	}
	p, q := t.slot(from), t.slot(to)
	for e := *p; e != nil; e = *p {
		if e.hash>>t.level&1 == 0 {
			p = &e.next
			continue
		}
		*p = e.next
		e.next, *q = *q, e
	}
	if t.split++; t.split == 1<<t.level {
		t.level, t.split = t.level+1, 0
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
	for *p != nil {
		p = &(*p).next
	}
	*p, *q = *q, nil
	if last := t.buckets() - 1; last>>segmentBits+2 < uint64(len(t.segments)) {
		t.segments[len(t.segments)-1] = nil
		t.segments = t.segments[:len(t.segments)-1]
	}
}

// visit calls fn for every entry of the bucket at cursor and returns the
// cursor of the next bucket, 0 after the last. fn may remove the entry it is
// given, but nothing else may change the table meanwhile.
func (t *table) visit(cursor uint64, fn func(*entry)) uint64 {
	depth := t.level
	if cursor&(1<<t.level-1) < t.split {
		depth++
	}
	next := nextCursor(cursor, depth)
	for e := *t.slot(cursor & (1<<depth - 1)); e != nil; {
		follow := e.next
		fn(e)
		e = follow
	}
	return next
}

// nextCursor adds one to the reversed lower depth bits of c.
func nextCursor(c uint64, depth uint) uint64 {
	c |= ^uint64(0) << depth
	return bits.Reverse64(bits.Reverse64(c) + 1)
}

// account brings the counters of the table into line with e and returns by how
// many bytes the entry's memory changed.
func (t *table) account(e *entry) int64 {
	in := e.flags&inTable != 0
	live := in && e.exists()
	ttl := live && deadlineOf(&e.state) != 0
	if live != (e.flags&countedLive != 0) {
		e.flags ^= countedLive
		t.live += sign(live)
	}
	if ttl != (e.flags&countedTTL != 0) {
		e.flags ^= countedTTL
		t.ttls += sign(ttl)
	}
	if runs := in && len(e.state.Subs) > 0; runs != (e.flags&countedRuns != 0) {
		e.flags ^= countedRuns
		t.runs += sign(runs)
	}
	was := e.cost
	e.cost = 0
	if in {
		e.cost = e.size()
	}
	t.cost += e.cost - was
	return e.cost - was
}

func sign(up bool) int {
	if up {
		return 1
	}
	return -1
}

// each calls fn for every entry; fn must not change the table.
func (t *table) each(fn func(*entry)) {
	for i := range t.buckets() {
		for e := *t.slot(i); e != nil; e = e.next {
			fn(e)
		}
	}
}
