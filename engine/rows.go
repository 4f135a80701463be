package engine

import (
	"slices"

	"geocache/op"
)

// This file is the engine's side of rows on disk: what a checkpoint asks, and
// values evicted to their rows.

// TakeDirty hands over the keys changed since the last call, in key order, and
// the stored databases flushed since, all of one moment.
func (e *Engine) TakeDirty() (keys []RowKey, flushedDBs []int) {
	var lists [][]RowKey
	e.WithWorld(func() {
		for _, s := range e.shards {
			lists = append(lists, s.dirty...)
			s.dirty = nil
		}
		for db := range e.flushed {
			flushedDBs = append(flushedDBs, db)
		}
		clear(e.flushed)
	})
	keys = slices.Concat(lists...)
	slices.Sort(flushedDBs)
	slices.SortFunc(keys, compareRowKeys)
	return slices.Compact(keys), flushedDBs
}

func compareRowKeys(a, b RowKey) int {
	if a.DB != b.DB {
		return a.DB - b.DB
	}
	switch {
	case a.Key < b.Key:
		return -1
	case a.Key > b.Key:
		return 1
	}
	return 0
}

// MarkDirty queues every key, once: rows are wanted for all that is in memory.
// The caller holds the world.
func (e *Engine) MarkDirty() {
	for _, s := range e.shards {
		s.dirty, s.moved = nil, nil
		for db, t := range s.dbs {
			if t == nil {
				continue
			}
			t.each(func(r rec) {
				r.setFlags(r.flags() | fDirty)
				s.dirty.add(RowKey{db, string(r.key())})
			})
		}
	}
	clear(e.flushed)
}

// DropEvicted forgets the keys whose value is only on disk, as eviction without
// a disk would have. The caller holds the world.
func (e *Engine) DropEvicted() {
	for _, s := range e.shards {
		for db, t := range s.dbs {
			if t != nil {
				e.eachBucket(t, func(r rec) {
					if r.has(fOnDisk) {
						e.end(s, t, db, e.openedRec(s, r))
					}
				})
			}
		}
	}
}

// Row is the row of a key as it is now, for the checkpoint: from here on a
// change queues the key again. ok is false where the row is to be deleted.
func (e *Engine) Row(k RowKey) (en ExportEntry, ok bool) {
	var out exported
	e.withEntry(k.DB, []byte(k.Key), func(s *shard, t *table, x *entry) {
		r := t.rec(x.ref)
		r.setFlags(r.flags() &^ fDirty)
		out, ok = e.exportEntry(k.DB, x), true
	})
	return e.finish(&out), ok
}

// RowWritten says that Pebble holds the row en: as long as the value stays the
// same it may be evicted to it.
func (e *Engine) RowWritten(en StateEntry) {
	st, err := op.DecodeKeyState(en.State)
	if err != nil {
		return
	}
	e.withEntry(en.DB, en.Key, func(s *shard, t *table, x *entry) {
		// A change since the row was taken has made the key dirty again.
		same := x.state.ValueStamp == st.ValueStamp && (baseAlive(&x.state) || len(x.state.Sketches) > 0)
		if x.coll != nil {
			same = len(st.Colls) == 1 && len(x.others) == 0 && st.Colls[0].Type == x.coll.typ
		}
		if same && x.flags&fDirty == 0 {
			r := t.rec(x.ref)
			r.setFlags(r.flags() | fHasRow)
		}
	})
}

// RestoreRow gives an evicted value back from its row; a row that no longer
// fits the key is ignored.
func (e *Engine) RestoreRow(k RowKey, row []byte) error {
	st, err := op.DecodeKeyState(row)
	if err != nil {
		return err
	}
	e.withEntry(k.DB, []byte(k.Key), func(s *shard, t *table, x *entry) {
		p := e.params.Load()
		switch {
		case x.flags&fOnDisk == 0 || x.state.ValueStamp != st.ValueStamp:
			return
		case x.coll == nil:
			if !Fill(&x.state, &st) {
				return
			}
		case len(st.Colls) == 1 && st.Colls[0].Type == x.coll.typ:
			m := editing{e: e, p: p, s: s, tb: t, db: k.DB, x: x}
			m.build(&st.Colls[0])
			x.coll = m.c
		default:
			return
		}
		x.flags &^= fOnDisk
		e.store(t, x, p)
		e.used.Add(t.grew())
	})
	return nil
}

// awayKey appends the row of a key that is a collection or a HyperLogLog with
// births and lies on disk, or with anything any string. Its shard is locked.
func (e *Engine) awayKey(rows []RowKey, db int, key []byte, anything bool) []RowKey {
	h := e.hash(key)
	t := e.shardOf(h).dbs[db]
	if t == nil || t.away == 0 && !anything {
		return rows
	}
	if r, ok := t.find(h, key); ok && (r.flags().away() || anything && r.has(fOnDisk)) {
		rows = append(rows, RowKey{db, string(key)})
	}
	return rows
}

// awayIn appends the rows of what db holds of collections and HyperLogLogs that lie
// on disk. The shard is locked.
func (e *Engine) awayIn(rows []RowKey, s *shard, db int) []RowKey {
	t := s.dbs[db]
	if t == nil || t.away == 0 {
		return rows
	}
	t.each(func(r rec) {
		if r.flags().away() {
			rows = append(rows, RowKey{db, string(r.key())})
		}
	})
	return rows
}

// awayOf lists what lies on disk of that which a batch is about: collections, and
// strings of which it changes a part or beside which it puts a collection. All
// its shards are locked.
func (e *Engine) awayOf(b op.Batch) (rows []RowKey) {
	for o := range b.Ops() {
		switch o.Kind {
		case op.SwapDB:
		case op.Flush:
			for _, s := range e.shards {
				rows = e.awayIn(rows, s, o.DB)
			}
		case op.Set, op.Deadline, op.Remove, op.Count:
			rows = e.awayKey(rows, o.DB, o.Key, false)
		default:
			rows = e.awayKey(rows, o.DB, o.Key, true)
			if o.Kind == op.Rename {
				rows = e.awayKey(rows, o.ToDB, o.To, false)
			}
		}
	}
	return rows
}

// Evicted lists which of keys have their value on disk.
func (e *Engine) Evicted(keys []Key) (rows []RowKey) {
	dbMap := e.DBMap()
	for _, k := range keys {
		e.withEntry(dbMap[k.DB], k.Name, func(_ *shard, _ *table, x *entry) {
			if x.flags&fOnDisk != 0 {
				rows = append(rows, RowKey{dbMap[k.DB], string(x.key)})
			}
		})
	}
	return rows
}
