package engine

import (
	"slices"

	"geocache/op"
)

// Snapshot is the visible data of one instant, between two batches. It shares
// the bytes of keys and values with the engine, which never changes them in
// place, so taking it costs time and memory by the number of keys only; what
// is overwritten or removed later lives on until the Snapshot is dropped.
type Snapshot struct {
	DBs []SnapshotDB // by database number
	// Changes is Engine.Changes at that instant.
	Changes int64
}

// SnapshotDB is one database of a Snapshot.
type SnapshotDB struct {
	Keys    []SnapshotKey
	Expires int // how many have a deadline
}

// SnapshotKey is a key as it was. Value must not be modified.
type SnapshotKey struct {
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
	if len(st.Colls) == 1 {
		k.Coll = &st.Colls[0]
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

// Snapshot copies what there is to see now, without expired keys. It waits for
// running transactions and holds all others up for as long as the copying
// takes, about a fifth of a second for a million keys.
func (e *Engine) Snapshot(nowMs int64) *Snapshot {
	s := &Snapshot{DBs: make([]SnapshotDB, e.databases)}
	e.WithWorld(func() {
		s.Changes = e.changes.Load()
		for num, stored := range e.dbMap {
			e.snapshotDB(&s.DBs[num], stored, nowMs)
		}
	})
	return s
}

func (e *Engine) snapshotDB(d *SnapshotDB, stored int, nowMs int64) {
	size := 0
	for _, s := range e.shards {
		if t := s.dbs[stored]; t != nil {
			size += t.live
		}
	}
	d.Keys = make([]SnapshotKey, 0, size)
	for _, s := range e.shards {
		t := s.dbs[stored]
		if t == nil {
			continue
		}
		t.each(func(r rec) {
			if !r.has(fLive) || r.expired(nowMs) {
				return
			}
			x := e.openedRec(s, r)
			k := SnapshotKey{Key: string(x.key), DeadlineMs: deadlineOf(&x.state)}
			switch {
			case x.flags&fOnDisk != 0:
				k.OnDisk = &DiskValue{RowKey{stored, k.Key}, x.state}
				k.OnDisk.state.Value = nil
				k.OnDisk.state.Subs = slices.Clone(x.state.Subs)
				k.OnDisk.state.Floors = slices.Clone(x.state.Floors)
			case x.coll != nil:
				whole := x.coll.export()
				k.Coll = &whole
			default:
				v, _ := visibleString(&x.state)
				k.Value = slices.Clone(v)
			}
			if k.DeadlineMs != 0 {
				d.Expires++
			}
			d.Keys = append(d.Keys, k)
		})
	}
}

// Changes counts changes of keys since start, by commands and by batches of
// siblings, about as Redis counts for its save points. Expiry and eviction
// change nothing.
func (e *Engine) Changes() int64 { return e.changes.Load() }

// countChanges adds a tx's changes: its keys, those of databases it emptied,
// and at least one where it did anything at all.
func (t *Tx) countChanges() {
	n := t.changes
	for _, u := range t.tables {
		n += u.t.live
	}
	if n == 0 {
		n = min(t.ops.Len(), 1)
	}
	t.e.changes.Add(int64(n))
}
