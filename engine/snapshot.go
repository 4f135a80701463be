package engine

import (
	"slices"
	"sync"

	"geocache/op"
)

// This file shows the data of one instant while it goes on changing. A walk
// copies each table bit by bit, and large collections in pieces; whoever is
// about to change or remove a key that the walk has not met, or not finished,
// hands over what it was, first (preserve). Changes show in records at the end
// of a tx only, under its locks, so that the walk never meets half of one; trees
// change in place, and are copied before.

// Snapshot is the visible data of one instant, between two batches. It is to
// be ended: until then it holds tables that were flushed, and has every first
// change of a key copy what the key was. It belongs to one goroutine.
type Snapshot struct {
	DBs []SnapshotDB // by database number
	// Changes is Engine.Changes at that instant.
	Changes int64

	e     *Engine
	nowMs int64
	walks []*tableWalk  // those that have not ended, the one under way first
	met   []SnapshotKey // by the last step

	mu sync.Mutex // below the shards' locks, over what follows
	// waiting are the keys that preserve handed over. They are as many as are
	// changed while a step's keys are used, and all there were at the worst;
	// Engine.SnapshotBytes tells.
	waiting []SnapshotKey
}

// SnapshotDB is about how large one database of a Snapshot is: keys that had
// expired by then may be counted.
type SnapshotDB struct{ Keys, Expires int }

// tableWalk is how far a Snapshot has come in one table. The shard's lock
// guards it.
type tableWalk struct {
	snap   *Snapshot
	s      *shard
	t      *table
	db     int // the number that showed the table
	cursor uint64
	// settled are keys beyond the cursor that have been handed over, or were not
	// there.
	settled map[string]struct{}
	// pieces are large collections that the walk has met and not finished. Nobody
	// has changed them.
	pieces []*pieceByPiece
	over   bool // the cursor has come to the end
}

// pieceByPiece is a large collection of which a walk has copied a part.
type pieceByPiece struct {
	hash uint64
	key  SnapshotKey
	coll op.Coll
	own  cloner
	// What the walk met. The list of so many is made without the lock.
	members, hidden int
}

func (p *pieceByPiece) makeRoom() {
	if p.coll.Elem[op.Main] == nil {
		p.coll.Elem[op.Main], p.coll.Elem[op.Hidden] = make([]op.Elem, 0, p.members), make([]op.Elem, 0, p.hidden)
	}
}

// Bounds of a step, which holds one shard.
const (
	snapshotBuckets = 512
	snapshotBytes   = 256 << 10
	snapshotMembers = 4096
)

// What a SnapshotKey costs in bytes beside its name and value, a member beside
// its bytes, and a settled key beside its name; about.
const (
	snapshotKeyCost    = 128
	snapshotMemberCost = 96
	settledCost        = 64
)

// SnapshotKey is a key as it was. Value must not be modified.
type SnapshotKey struct {
	DB         int // number
	Key        string
	Value      []byte
	DeadlineMs int64    // 0 for none
	Coll       *op.Coll // nil for a string
	// OnDisk, where set, is what memory knows of a key whose value was
	// evicted: ReadRow completes it.
	OnDisk *DiskValue

	large *frozen // what Coll is made of
	bytes int64   // in Engine.SnapshotBytes until the key was used
}

// DiskValue is the state of a key but for its value, and its row's name.
type DiskValue struct {
	Row   RowKey
	state op.KeyState
}

// ReadRow fills in the value from the key's row; ok is false where the row
// tells that the key is gone. A row that was written after the instant holds a
// newer value, and that is what the key gets then.
func (k *SnapshotKey) ReadRow(row []byte) (ok bool, err error) {
	st, err := op.DecodeKeyState(row)
	if err != nil {
		return false, err
	}
	if k.Coll = frontOf(&st); k.Coll != nil {
		return true, nil
	}
	if was := k.OnDisk.state; exists(&st) && Fill(&was, &st) {
		st = was
	}
	if !exists(&st) {
		return false, nil
	}
	k.Value, _ = visibleString(&st)
	return true, nil
}

// BeginSnapshot takes a snapshot of what there is to see now, without expired
// keys. It waits for running transactions, and holds all others up for a look
// at each table.
func (e *Engine) BeginSnapshot(nowMs int64) *Snapshot {
	s := &Snapshot{DBs: make([]SnapshotDB, e.databases), e: e, nowMs: nowMs}
	e.WithWorld(func() {
		s.Changes = e.changes.Load()
		for num, stored := range e.dbMap {
			for _, sh := range e.shards {
				if t := sh.dbs[stored]; t != nil && t.live > 0 {
					s.DBs[num].Keys += t.live
					s.DBs[num].Expires += t.ttls
					w := &tableWalk{snap: s, s: sh, t: t, db: num}
					t.walks = append(t.walks, w)
					t.walked.Add(1)
					s.walks = append(s.walks, w)
				}
			}
		}
	})
	return s
}

// Each hands over every key once, in no order, outside of all locks, and ends
// the snapshot. It stops at an error. A key is not used again.
func (s *Snapshot) Each(take func(*SnapshotKey) error) error {
	defer s.End()
	for more := true; more; {
		var keys []SnapshotKey
		keys, more = s.step()
		for i := range keys {
			if err := s.use(&keys[i], take); err != nil {
				s.drop(keys[i+1:])
				return err
			}
		}
	}
	return nil
}

// use hands over one key.
func (s *Snapshot) use(k *SnapshotKey, take func(*SnapshotKey) error) error {
	if k.large != nil {
		coll := k.large.thaw()
		k.Coll, k.large = &coll, nil
	}
	err := take(k)
	s.e.snapshotBytes.Add(-k.bytes)
	*k = SnapshotKey{}
	return err
}

// drop lets go of keys that nobody is to have.
func (s *Snapshot) drop(keys []SnapshotKey) {
	for i := range keys {
		if k := &keys[i]; k.large != nil {
			k.large.release()
		}
		s.e.snapshotBytes.Add(-keys[i].bytes)
		keys[i] = SnapshotKey{}
	}
}

// SnapshotBytes is about what is kept of keys that snapshots have yet to use:
// what they were when they changed, and the walks' last steps. No part of
// UsedBytes.
func (e *Engine) SnapshotBytes() int64 { return e.snapshotBytes.Load() }

// End lets go of the data. More than one call is one.
func (s *Snapshot) End() {
	for _, w := range s.walks {
		w.s.mu.Lock()
		w.end()
		w.s.mu.Unlock()
	}
	s.walks = nil
	s.drop(s.takeWaiting())
}

// step is some keys, valid until the next step: those that were preserved, so
// that they wait no longer, or the next of the walk.
func (s *Snapshot) step() (keys []SnapshotKey, more bool) {
	if keys = s.takeWaiting(); len(keys) > 0 {
		return keys, true
	}
	if len(s.walks) == 0 {
		return nil, false
	}
	s.met = s.met[:0]
	if s.walks[0].step(snapshotBuckets) {
		s.walks = s.walks[1:]
	}
	return s.met, true
}

func (s *Snapshot) takeWaiting() []SnapshotKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.waiting
	s.waiting = nil
	return keys
}

// step appends the keys of so many buckets at most to what the snapshot has met,
// or goes on with a large collection, and reports whether that was all.
func (w *tableWalk) step(buckets int) (ended bool) {
	if p := w.nextPiece(); p != nil {
		p.makeRoom()
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.pieces) > 0 {
		w.copyPiece(w.pieces[0]) // another one, if this has changed
	} else {
		w.visit(buckets)
	}
	if ended = w.over && len(w.pieces) == 0; ended {
		w.end()
	}
	return ended
}

// nextPiece is the collection to go on with, nil for none.
func (w *tableWalk) nextPiece() *pieceByPiece {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if len(w.pieces) == 0 {
		return nil
	}
	return w.pieces[0]
}

func (w *tableWalk) visit(buckets int) {
	bytes := 0
	for n := 0; n < buckets && bytes < snapshotBytes && !w.over; n++ {
		from := w.cursor
		w.cursor = w.t.visit(from, func(r rec) { bytes += w.meet(r, from) })
		w.over = w.cursor == 0
	}
}

// copyPiece copies the next members of a collection.
func (w *tableWalk) copyPiece(p *pieceByPiece) {
	r, ok := w.t.find(p.hash, []byte(p.key.Key))
	if !ok {
		panic("engine: a collection has gone that a snapshot copies")
	}
	if w.snap.e.openedRec(w.s, r).coll.list(&p.coll, snapshotMembers, p.own.clone) {
		w.pieces = w.pieces[1:]
		p.key.Coll = &p.coll
		w.snap.met = append(w.snap.met, p.key)
	}
}

// has reports whether the walk has come by the key with this hash.
func (w *tableWalk) has(hash uint64) bool { return w.over || passed(hash, w.cursor) }

// meet takes a record that the walk has come to, and returns its size in bytes.
// A table that has shrunk shows some a second time.
func (w *tableWalk) meet(r rec, from uint64) int {
	key := r.key()
	if passed(w.t.hash(key), from) {
		return 0
	}
	if _, ok := w.settled[string(key)]; ok {
		delete(w.settled, string(key))
		w.snap.e.snapshotBytes.Add(-settledBytes(string(key)))
		return 0
	}
	if !r.has(fLive) || r.expired(w.snap.nowMs) {
		return len(r.b)
	}
	x := w.snap.e.openedRec(w.s, r)
	if x.flags&fOnDisk == 0 && !x.coll.gone() && x.coll.annex != nil {
		w.begin(x)
		return len(r.b)
	}
	w.snap.met = append(w.snap.met, w.keyOf(x))
	return int(w.t.bytesOf(r))
}

// begin begins to copy a large collection.
func (w *tableWalk) begin(x *entry) {
	p := &pieceByPiece{
		hash: x.hash, key: w.nameOf(x), coll: x.coll.blank(), own: cloner{most: clonerBlock},
		members: x.coll.main.Len(), hidden: x.coll.hidden.Len(),
	}
	p.key.bytes += listBytes(x.coll)
	w.snap.e.snapshotBytes.Add(p.key.bytes)
	w.pieces = append(w.pieces, p)
}

func settledBytes(key string) int64 { return settledCost + int64(len(key)) }

// listBytes is about what the list of a collection's members takes.
func listBytes(c *content) int64 { return c.memBytes() + int64(c.main.Len())*snapshotMemberCost }

// end takes the walk off its table.
func (w *tableWalk) end() {
	w.t.walks = slices.DeleteFunc(w.t.walks, func(v *tableWalk) bool { return v == w })
	w.t.walked.Add(-1)
	for key := range w.settled {
		w.snap.e.snapshotBytes.Add(-settledBytes(key))
	}
	for _, p := range w.pieces {
		w.snap.e.snapshotBytes.Add(-p.key.bytes)
	}
	w.settled, w.pieces = nil, nil
}

// preserve is called before x, or the collection that it has, is changed for
// the first time by whoever holds the shard: snapshots that have not met the
// key are given what it was.
func (e *Engine) preserve(t *table, x *entry) {
	for _, w := range t.walks {
		w.preserve(x)
	}
}

func (w *tableWalk) preserve(x *entry) {
	if i := slices.IndexFunc(w.pieces, func(p *pieceByPiece) bool { return p.key.Key == string(x.key) }); i >= 0 {
		w.snap.e.snapshotBytes.Add(-w.pieces[i].key.bytes)
		w.pieces = slices.Delete(w.pieces, i, i+1)
		w.handOver(x)
		return
	}
	if _, ok := w.settled[string(x.key)]; ok || w.has(x.hash) {
		return
	}
	if w.settled == nil {
		w.settled = map[string]struct{}{}
	}
	w.settled[string(x.key)] = struct{}{}
	w.snap.e.snapshotBytes.Add(settledBytes(string(x.key)))
	if x.ref == 0 || !x.exists() || expiredAt(&x.state, w.snap.nowMs) {
		return
	}
	w.handOver(x)
}

// handOver leaves what a key is to the snapshot.
func (w *tableWalk) handOver(x *entry) {
	k := w.keyOf(x)
	w.snap.mu.Lock()
	defer w.snap.mu.Unlock()
	w.snap.waiting = append(w.snap.waiting, k)
}

// nameOf is what there is to see of an entry but for its value.
func (w *tableWalk) nameOf(x *entry) SnapshotKey {
	return SnapshotKey{DB: w.db, Key: string(x.key), DeadlineMs: deadlineOf(&x.state), bytes: snapshotKeyCost + int64(len(x.key))}
}

// keyOf is a copy of what there is to see of an entry.
func (w *tableWalk) keyOf(x *entry) SnapshotKey {
	k := w.nameOf(x)
	switch {
	case x.flags&fOnDisk != 0:
		k.OnDisk = &DiskValue{RowKey{w.t.db, k.Key}, x.state}
		k.OnDisk.state.Value = nil
		k.OnDisk.state.Subs = slices.Clone(x.state.Subs)
		k.OnDisk.state.Floors = slices.Clone(x.state.Floors)
		k.OnDisk.state.Sketches = bare(x.state.Sketches)
	case x.coll.gone():
		v, _ := visibleString(&x.state)
		k.Value = slices.Clone(v)
		k.bytes += int64(len(v))
	case x.coll.annex != nil:
		k.large = x.coll.freeze(w.s)
		k.bytes += listBytes(x.coll)
	default:
		whole := x.coll.export()
		k.Coll = &whole
		k.bytes += listBytes(x.coll)
	}
	w.snap.e.snapshotBytes.Add(k.bytes)
	return k
}

// Changes counts changes of keys since start, by commands and by batches of
// siblings, about as Redis counts for its save points. Expiry and eviction
// change nothing.
func (e *Engine) Changes() int64 { return e.changes.Load() }

// countChanges adds a tx's changes: its keys, those of databases it emptied,
// and at least one where it did anything that clients see.
func (t *Tx) countChanges() {
	n := t.changes
	for _, u := range t.tables {
		n += u.t.live
	}
	if n == 0 {
		n = min(t.ops.Len()-t.unseen, 1)
	}
	t.e.changes.Add(int64(n))
}
