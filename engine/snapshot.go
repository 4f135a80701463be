package engine

import (
	"slices"
	"sync"

	"geocache/op"
)

// This file shows the data of one instant while it goes on changing. A walk
// copies each table bit by bit; whoever is about to change or remove a key
// that the walk has not met hands over what it was, first (preserve). Changes
// show in records at the end of a tx only, under its locks, so that the walk
// never meets half of one; trees change in place, and are copied before.

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
	// changed while a step's keys are used, and all there were at the worst.
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
}

// Bounds of a step, which holds one shard: one key more than the bytes at most,
// whatever its size.
const (
	snapshotBuckets = 512
	snapshotBytes   = 256 << 10
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
	if was := k.OnDisk.state; was.ValueStamp == st.ValueStamp && baseAlive(&st) {
		was.Value = st.Value
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
			if err := take(&keys[i]); err != nil {
				return err
			}
			keys[i] = SnapshotKey{}
		}
	}
	return nil
}

// End lets go of the data. More than one call is one.
func (s *Snapshot) End() {
	for _, w := range s.walks {
		w.s.mu.Lock()
		w.end()
		w.s.mu.Unlock()
	}
	s.walks = nil
	s.takeWaiting()
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
// and reports whether they were the last.
func (w *tableWalk) step(buckets int) (ended bool) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	bytes := 0
	for n := 0; n < buckets && bytes < snapshotBytes; n++ {
		from := w.cursor
		w.cursor = w.t.visit(from, func(r rec) { bytes += w.meet(r, from) })
		if w.cursor == 0 {
			w.end()
			return true
		}
	}
	return false
}

// meet takes a record that the walk has come to, and returns its size in bytes.
// A table that has shrunk shows some a second time.
func (w *tableWalk) meet(r rec, from uint64) int {
	key := r.key()
	if passed(w.t.hash(key), from) {
		return 0
	}
	if _, ok := w.settled[string(key)]; ok {
		delete(w.settled, string(key))
		return 0
	}
	size := w.t.bytesOf(r)
	if r.has(fLive) && !r.expired(w.snap.nowMs) {
		w.snap.met = append(w.snap.met, w.keyOf(w.snap.e.openedRec(w.s, r)))
	}
	return int(size)
}

// end takes the walk off its table.
func (w *tableWalk) end() {
	w.t.walks = slices.DeleteFunc(w.t.walks, func(v *tableWalk) bool { return v == w })
	w.t.walked.Add(-1)
	w.settled = nil
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
	if _, ok := w.settled[string(x.key)]; ok || passed(x.hash, w.cursor) {
		return
	}
	if w.settled == nil {
		w.settled = map[string]struct{}{}
	}
	w.settled[string(x.key)] = struct{}{}
	if x.ref == 0 || !x.exists() || expiredAt(&x.state, w.snap.nowMs) {
		return
	}
	k := w.keyOf(x)
	w.snap.mu.Lock()
	defer w.snap.mu.Unlock()
	w.snap.waiting = append(w.snap.waiting, k)
}

// keyOf is a copy of what there is to see of an entry.
func (w *tableWalk) keyOf(x *entry) SnapshotKey {
	k := SnapshotKey{DB: w.db, Key: string(x.key), DeadlineMs: deadlineOf(&x.state)}
	switch {
	case x.flags&fOnDisk != 0:
		k.OnDisk = &DiskValue{RowKey{w.t.db, k.Key}, x.state}
		k.OnDisk.state.Value = nil
		k.OnDisk.state.Subs = slices.Clone(x.state.Subs)
		k.OnDisk.state.Floors = slices.Clone(x.state.Floors)
	case !x.coll.gone():
		whole := x.coll.export()
		k.Coll = &whole
	default:
		v, _ := visibleString(&x.state)
		k.Value = slices.Clone(v)
	}
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
