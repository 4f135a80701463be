// Package engine owns the data of one region: shards, keys and their merge
// state, deadlines, eviction, and the tx through which everything changes.
//
// Nouns: an entry is one key of one stored database; a table holds one
// database's entries of one shard; a shard is a slice of the keyspace with
// its own lock; a tx is a set of locked shards, one frozen time and one batch
// under construction. Local commands come in through Tx.Run, batches from
// siblings and from the log through Apply, states of whole keys through
// ApplyStates; there is no other way to change data.
//
// The package knows nothing of RESP, command names, disks or networks. What
// consumes ops is behind Sink, which is called at the end of a tx while its
// locks are held.
//
// Locks, in this order: the lock of a background walk (expire, evict, forget, sweep);
// shard locks, ascending by number; a group's, a Snapshot's, or whatever Sink
// takes (the node's commit lock). No lock is held over I/O.
//
// Invariants: an entry changes only under its shard's lock; a provisional
// stamp never outlives its tx; every change since the last checkpoint is in
// some shard's dirty list while rows are kept; log order is stamp order.
package engine

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
	"geocache/slab"
)

// Sink consumes what transactions commit. Its methods are called with shard
// locks held and must not call back into the engine.
type Sink interface {
	// Commit takes a local batch of n >= 1 ops; body is its encoded ops and
	// only valid during the call. The sink takes stamp and log position
	// together and returns the stamp reading of op 0.
	Commit(n int, body []byte) clock.Reading
	// Applied takes over a received batch whose ops the engine has applied:
	// it advances the vector and appends the batch to the log as received.
	Applied(b op.Batch)
	// Vector is what this region has applied, its own changes included; it
	// stands still while every shard is locked.
	Vector() clock.Vector
}

// Params are the settings that commands and background work go by. A Params
// in use is never modified.
type Params struct {
	Policy       lru.Policy
	LRU          lru.Params
	DefaultTTLMs int64 // for keys made without a deadline, 0 is off
	MaxTTLMs     int64 // no deadline later than this from now, 0 is off
	Forms        Forms
	// Merging is on where siblings are configured: counters keep subtotals
	// and removals leave tombstones.
	Merging bool
	// Recording is on where anything consumes ops: a log or siblings.
	Recording bool
	// KeepRows is on where Pebble rows are kept: changed keys are queued for
	// the checkpoint.
	KeepRows bool
	// EvictToDisk is on where eviction may only drop a value from memory and
	// must leave the key (see docs/adr/0005).
	EvictToDisk bool
}

// Options build an Engine.
type Options struct {
	Shards    int // a power of two; 0 means DefaultShards
	Databases int // how many numbers SELECT accepts
	Seed      uint64
	Rand      *clock.Rand
	Origin    clock.Origin
	Sink      Sink
	Params    Params
	Pages     slab.Source // of the data's memory; nil means the Go heap
	Fault     Fault       // for tests only
}

// Fault is a mistake planted by a test that wants to see the checkers find it.
// Nothing a server is started with sets one.
type Fault uint8

const (
	FaultNone       Fault = iota
	FaultEarlierSet       // a sibling's SET never replaces a value
)

// DefaultShards is enough to keep a handful of cores apart.
const DefaultShards = 64

// Engine is the data of one region.
type Engine struct {
	shards    []*shard
	shift     uint // hash >> shift is the shard
	seed      uint64
	databases int
	rand      *clock.Rand
	sink      Sink
	events    Events // the sink, if it is told of them
	params    atomic.Pointer[Params]
	fault     Fault
	pages     slab.Source
	origin    atomic.Uint64
	founding  atomic.Pointer[clock.Stamp]
	// origins are those of packed stamps, by number; it only grows.
	origins   atomic.Pointer[[]clock.Origin]
	originsMu sync.Mutex
	discards  discards
	mapped    atomic.Int64 // see MappedBytes
	sweep     sweeping
	garbage   garbage
	annexFrom int64
	// reclaimMs: expired entries with a deadline below it may be reclaimed.
	reclaimMs atomic.Int64
	held      atomic.Bool  // see HoldReclaim
	reclaimed atomic.Bool  // a key was, without an op
	used      atomic.Int64 // bytes of entries and tables, by accounting
	// snapshotBytes: see SnapshotBytes.
	snapshotBytes atomic.Int64
	changes       atomic.Int64 // see Changes
	stats         stats
	avgTTLMs      []atomic.Int64 // by stored database, see sampleTTL
	// dbMap[i] is the stored database that number i shows; it changes under
	// all shard locks and may be read under any.
	dbMap []int
	// flushed are the stored databases whose rows are void since the last
	// checkpoint, but for the dirty ones; it is guarded as dbMap is.
	flushed map[int]bool

	// copying is the copy that is coming in or came in last: see JoinCopy.
	copying struct {
		id, ended uint64
	}

	expire struct {
		sync.Mutex
		shard, db int
		cursor    uint64
		ops       op.Builder // of the step under way
	}
	evict struct {
		sync.Mutex
		pool   lru.Pool
		policy lru.Policy // of the pool's scores
	}
	groups []*group
	shared lru.Shared
	term   atomic.Uint32 // counts changes of the kind of policy
	forget struct {
		sync.Mutex
		graveyards []graveyard // oldest first
	}
	waiting waiting

	// epoch names the graveyard being filled; it is guarded as dbMap is.
	epoch uint32
	// clash is what TakeClash hands over; its lock is below all others.
	clash struct {
		sync.Mutex
		last Clash
		n    int
	}
	// buried counts graves since the last graveyard was closed.
	buried atomic.Int64
}

type stats struct {
	expired, evicted, evictedToDisk atomic.Int64
	hits, misses                    atomic.Int64
	clamped, valuesLost             atomic.Int64
	typesClashed                    atomic.Int64
}

// Stats are running totals since start or ResetStats.
type Stats struct {
	ExpiredKeys, EvictedKeys, EvictedToDisk int64
	KeyspaceHits, KeyspaceMisses            int64
	ConflictsClamped                        int64
	ConflictsValueLost                      int64
	ConflictsTypes                          int64
	LitterFreed                             int64 // see Litter
}

type shard struct {
	mu    shardLock
	index int
	dbs   []*table // by stored database, nil until used
	dirty pieces[RowKey]
	// graves are the entries that learned of a removal in this epoch.
	graves pieces[grave]
	// buriedIn is the epoch of the newest grave of a key or member.
	buriedIn map[grave]uint32
	watches  map[watchKey][]*Watch
	scratch  entry // see Engine.opened
	group    *group
	told     int // entries, see group.tell; the group's lock guards it
	waits    waits
	memory   shardMemory
	moved    map[RowKey]map[RowKey]bool // see Moved
}

// RowKey names a row of the stored databases.
type RowKey struct {
	DB  int
	Key string
}

// New builds an empty engine.
func New(o Options) *Engine {
	n := o.Shards
	if n == 0 {
		n = DefaultShards
	}
	if n&(n-1) != 0 {
		panic("engine: shard count is not a power of two")
	}
	e := &Engine{
		shift:     uint(64 - bits.TrailingZeros(uint(n))),
		seed:      o.Seed,
		fault:     o.Fault,
		pages:     o.Pages,
		databases: o.Databases,
		rand:      o.Rand,
		sink:      o.Sink,
		dbMap:     make([]int, o.Databases),
		flushed:   map[int]bool{},
		avgTTLMs:  make([]atomic.Int64, o.Databases),
		annexFrom: annexFrom,
	}
	for i := range n {
		e.shards = append(e.shards, &shard{index: i, dbs: make([]*table, o.Databases), watches: map[watchKey][]*Watch{}})
	}
	e.events, _ = o.Sink.(Events)
	e.makeGroups()
	for i := range e.dbMap {
		e.dbMap[i] = i
	}
	if e.pages == nil {
		e.pages = slab.Heap()
	}
	e.garbage.used, e.garbage.mapped = &e.used, &e.mapped
	e.origins.Store(&[]clock.Origin{})
	e.epoch = 1
	e.reclaimMs.Store(math.MaxInt64)
	e.origin.Store(uint64(o.Origin))
	p := o.Params
	e.params.Store(&p)
	return e
}

// Databases is how many database numbers there are.
func (e *Engine) Databases() int { return e.databases }

// Params is the settings in force.
func (e *Engine) Params() Params { return *e.params.Load() }

// Configure replaces the settings. Where Merging, Recording or KeepRows
// change, the caller holds the world (WithWorld), so that no tx sees both.
func (e *Engine) Configure(p Params) {
	if was := e.params.Swap(&p); was.Policy.Kind() != p.Policy.Kind() {
		e.term.Add(1)
	}
}

// SetOrigin starts a new incarnation for later changes. The caller holds the
// world.
func (e *Engine) SetOrigin(o clock.Origin) { e.origin.Store(uint64(o)) }

// Origin is the incarnation that local changes belong to.
func (e *Engine) Origin() clock.Origin { return clock.Origin(e.origin.Load()) }

// SetReclaimLimit lets expired entries with a deadline below ms be reclaimed;
// with siblings, ms is what all their clocks have passed.
func (e *Engine) SetReclaimLimit(ms int64) { e.reclaimMs.Store(ms) }

// HoldReclaim leaves expired entries where they are, read as missing, until
// FreeReclaim.
func (e *Engine) HoldReclaim() { e.held.Store(true) }

// FreeReclaim ends HoldReclaim.
func (e *Engine) FreeReclaim() { e.held.Store(false) }

// UsedBytes is the memory of entries, tables and merge state, by accounting.
func (e *Engine) UsedBytes() int64 { return e.used.Load() }

// Stats returns the running totals.
func (e *Engine) Stats() Stats {
	return Stats{
		ExpiredKeys:        e.stats.expired.Load(),
		EvictedKeys:        e.stats.evicted.Load(),
		EvictedToDisk:      e.stats.evictedToDisk.Load(),
		KeyspaceHits:       e.stats.hits.Load(),
		KeyspaceMisses:     e.stats.misses.Load(),
		ConflictsClamped:   e.stats.clamped.Load(),
		ConflictsValueLost: e.stats.valuesLost.Load(),
		ConflictsTypes:     e.stats.typesClashed.Load(),
		LitterFreed:        e.garbage.freed.Load(),
	}
}

// ResetStats zeroes the running totals.
func (e *Engine) ResetStats() {
	for _, c := range []*atomic.Int64{&e.stats.expired, &e.stats.evicted, &e.stats.evictedToDisk, &e.stats.hits, &e.stats.misses, &e.stats.clamped, &e.stats.valuesLost, &e.stats.typesClashed, &e.garbage.freed} {
		c.Store(0)
	}
}

// WithWorld runs fn while every shard is locked: nothing changes meanwhile.
func (e *Engine) WithWorld(fn func()) {
	for _, s := range e.shards {
		s.mu.Lock()
	}
	defer func() {
		for _, s := range e.shards {
			s.mu.Unlock()
		}
	}()
	fn()
}

// Clear drops everything, merge state included. The caller holds the world.
func (e *Engine) Clear() {
	for _, s := range e.shards {
		for db, t := range s.dbs {
			if t != nil {
				e.used.Add(-t.counted)
				t.dropped = true
				e.discard(t)
				s.dbs[db] = nil
			}
		}
		s.dirty, s.moved, s.graves, s.buriedIn = nil, nil, nil, nil // graveyards notice by themselves
		e.forgetUses(s)
		for _, ws := range s.watches {
			for _, w := range ws {
				w.dirty.Store(true)
			}
		}
	}
	e.stirAll()
	clear(e.flushed)
}

// DBMap is the map from database numbers to stored databases.
func (e *Engine) DBMap() []int {
	s := e.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int(nil), e.dbMap...)
}

// SetDBMap restores the map before the engine is in use. One that does not fit
// the configured databases is ignored.
func (e *Engine) SetDBMap(m []int) {
	if e.isDBMap(m) {
		copy(e.dbMap, m)
	}
}

// isDBMap reports whether m shows every stored database under one number.
func (e *Engine) isDBMap(m []int) bool {
	seen := make([]bool, e.databases)
	for _, db := range m {
		if db < 0 || db >= e.databases || seen[db] {
			return false
		}
		seen[db] = true
	}
	return len(m) == e.databases
}

func (e *Engine) hash(key []byte) uint64 { return xxh3.HashSeed(key, e.seed) }

func (e *Engine) shardOf(hash uint64) *shard {
	if len(e.shards) == 1 {
		return e.shards[0]
	}
	return e.shards[hash>>e.shift]
}

// table is the shard's table of a stored database, made on first use.
func (e *Engine) table(s *shard, db int) *table {
	t := s.dbs[db]
	if t == nil {
		t = newTable(e.pages, e.hash)
		t.db = db
		t.garbage, t.annexFrom = &e.garbage, e.annexFrom
		s.dbs[db] = t
	}
	return t
}

// put writes an entry and queues its row. The shard is locked.
func (e *Engine) put(s *shard, t *table, db int, x *entry, p *Params) {
	x.flags = s.queueRow(x.flags, db, x.key, p)
	t.fitSize(x)
	e.store(t, x, p)
	e.use(t)
}

// queueRow queues a key that changes for the checkpoint, where rows are kept, and
// returns its flags with a note of that.
func (s *shard) queueRow(f recFlags, db int, key []byte, p *Params) recFlags {
	if p.KeepRows && f&fDirty == 0 {
		f |= fDirty
		s.dirty.add(RowKey{db, string(key)})
	}
	return f
}

// use brings what is in use up to date with a table that changed.
func (e *Engine) use(t *table) {
	if by := t.grew(); by != 0 {
		e.used.Add(by)
	}
}

// opened is the entry of a key outside of any tx, its record opened; ok is
// false where there is none, and then it is a blank one of that name. It lasts
// until the next call for the same shard, which is locked.
func (e *Engine) opened(s *shard, t *table, hash uint64, key []byte) (x *entry, ok bool) {
	x = &s.scratch
	r, ok := t.find(hash, key)
	if ok {
		x.open(e, r, hash)
	} else {
		*x = entry{hash: hash, key: key, t: t}
	}
	return x, ok
}

// openedRec is opened for a record that was met by a walk.
func (e *Engine) openedRec(s *shard, r rec) *entry {
	x := &s.scratch
	x.open(e, r, e.hash(r.key()))
	return x
}

// discards are tables that a FLUSHDB dropped, whose memory is given back
// outside of all locks.
type discards struct {
	sync.Mutex
	tables []*table
}

func (e *Engine) discard(t *table) {
	e.discards.Lock()
	defer e.discards.Unlock()
	e.discards.tables = append(e.discards.tables, t)
}
