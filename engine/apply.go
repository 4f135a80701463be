package engine

import (
	"fmt"

	"geocache/clock"
	"geocache/op"
)

// ErrDatabase says that an op names a database this engine does not have.
type ErrDatabase struct{ DB, Databases int }

func (e *ErrDatabase) Error() string {
	return fmt.Sprintf("engine: op for database %d, but only %d are configured (databases)", e.DB, e.Databases)
}

// Delivery says where a batch comes from.
type Delivery uint8

const (
	// FromSibling batches go on to the Sink.
	FromSibling Delivery = iota
	// FromLog batches are being replayed; the log has them.
	FromLog
)

// worldBatch is the number of ops from which Apply locks the world instead of
// computing a lock set.
const worldBatch = 256

// Apply joins a checked batch, whole, into the data and hands it to the Sink
// before any lock is released. b must be the next of its origin; its bytes
// are not kept. Replaying a batch twice changes nothing. A *NeedRow asks for
// collections on disk that the batch is about: nothing has changed then, and
// the caller fetches them and applies it again.
func (e *Engine) Apply(b op.Batch, from Delivery, nowMs int64) error {
	world := b.Count > worldBatch
	var sc Scope
	for o := range b.Ops() {
		if max(o.DB, o.ToDB) >= e.databases || o.Kind == op.SwapDB && !e.isDBMap(o.DBMap) {
			return &ErrDatabase{max(o.DB, o.ToDB, len(o.DBMap)), e.databases}
		}
		if o.Kind == op.Flush || o.Kind == op.SwapDB {
			world = true
		}
		if !world {
			sc.Keys = append(sc.Keys, Key{Name: o.Key})
			if o.Kind == op.Rename {
				sc.Keys = append(sc.Keys, Key{Name: o.To})
			}
		}
	}
	lock := Tx{e: e}
	lock.acquire(Scope{Keys: sc.Keys, World: world})
	defer lock.finish()
	if rows := e.awayOf(b); len(rows) > 0 {
		return &NeedRow{rows}
	}
	p := e.params.Load()
	for o := range b.Ops() {
		e.applyOp(&o, from, p, nowMs)
	}
	if from == FromSibling {
		e.changes.Add(int64(b.Count))
		e.sink.Applied(b)
	}
	return nil
}

func (e *Engine) applyOp(o *op.Op, from Delivery, p *Params, nowMs int64) {
	switch o.Kind {
	case op.Flush:
		e.applyFlush(o, p, nowMs)
	case op.SwapDB:
		copy(e.dbMap, o.DBMap)
		e.stirAll()
	case op.State:
		if st, err := op.DecodeKeyState(o.Raw); err == nil {
			e.joinKey(o.DB, o.Key, st, p, nowMs)
		}
	case op.Put, op.Take, op.Insert, op.Cut, op.Drop, op.Meta, op.Whole, op.CountMember, op.Expire:
		e.applyColl(o, p, nowMs)
	case op.Rename:
		e.applyRename(o, p, nowMs)
	default:
		e.changeKey(o.DB, o.Key, p, nowMs, func(m *editing) bool {
			m.x.touched.known = p.Merging
			s := &m.x.state
			switch {
			case o.Kind == op.Patch:
				return m.x.patch(o)
			case m.c.contains(o, p):
				// The row is that of a later life.
			case (o.Kind == op.Remove || o.Kind == op.Set) && !p.Merging: // its end may have been no op
				m.dropColls()
			}
			if o.Kind == op.Set {
				m.x.keepStamp = o.KeepStamp
				if e.fault == FaultEarlierSet && from == FromSibling && baseAlive(s) {
					return false
				}
				if o.Stamp.Less(s.ValueStamp) {
					if from == FromSibling {
						e.stats.valuesLost.Add(1)
					}
					return applyOp(s, o)
				}
			}
			return applyOp(s, o)
		})
	}
}

func (e *Engine) joinKey(db int, key []byte, with op.KeyState, p *Params, nowMs int64) {
	e.changeKey(db, key, p, nowMs, func(m *editing) bool {
		changed := join(&m.x.state, &with)
		m.x.keepStamp = with.ValueStamp != unstamped
		if len(with.Colls) > 0 && !p.Merging {
			m.dropColls()
		}
		for i := range with.Colls {
			m.rebuilt(&with.Colls[i])
			changed = true
		}
		if !p.Merging {
			e.arrange(m.x, clock.Stamp{}, touch{})
			m.tb.showOnly(m.x)
		}
		return changed
	})
}

// changeKey lets fn change the state of one key under its shard's lock and
// settles everything that follows from it. It returns the key's entry, which
// may not be in the table.
func (e *Engine) changeKey(db int, key []byte, p *Params, nowMs int64, fn func(*editing) bool) *entry {
	h := e.hash(key)
	s := e.shardOf(h)
	t := e.table(s, db)
	x, ok := e.opened(s, t, h, key)
	if !ok {
		x.word = e.wordMade(s, x, p, nowMs)
	}
	m := editing{e: e, p: p, s: s, tb: t, db: db, x: x, c: x.coll}
	e.settle(s, t, db, x, p, nowMs, func(*op.KeyState) bool { return fn(&m) })
	return x
}

// settle lets fn change x and makes everything else follow.
func (e *Engine) settle(s *shard, t *table, db int, x *entry, p *Params, nowMs int64, fn func(*op.KeyState) bool) {
	e.preserve(t, x)
	was, wasColl, clashed := x.state, x.coll, x.clashes()
	x.touched = touch{}
	expired := x.exists() && expiredAt(&was, nowMs)
	if !fn(&x.state) && x.coll == wasColl {
		return
	}
	if e.arrange(x, stringBirth(&was), x.touched); !clashed && x.clashes() {
		e.noteClash(db, x)
	}
	if x.state.ValueStamp != was.ValueStamp || !baseAlive(&x.state) || len(was.Sketches)+len(x.state.Sketches) > 0 {
		x.flags &^= fMade | fHasRow | fOnDisk | fToken
		if x.keepStamp && !p.Merging {
			x.flags |= fToken
		}
	}
	told := x.flags&fTold != 0
	if !expiredAt(&x.state, nowMs) {
		x.flags &^= fTold
	}
	buried := p.Merging && (removedSince(&was, &x.state) || !x.exists())
	e.put(s, t, db, x, p)
	if buried {
		e.bury(s, db, x)
	}
	ended := expired && !x.exists()
	if ended {
		e.stats.expired.Add(1)
	}
	if !ended || !told {
		e.changedAlone(e.number(db), x.key)
	}
}

// expiredAt reports whether the deadline of s has passed.
func expiredAt(s *op.KeyState, nowMs int64) bool {
	d := deadlineOf(s)
	return d != 0 && d <= nowMs
}

// number is the database number that shows a stored database.
func (e *Engine) number(stored int) int {
	for i, db := range e.dbMap {
		if db == stored {
			return i
		}
	}
	return stored
}

func (e *Engine) applyFlush(o *op.Op, p *Params, nowMs int64) {
	for _, s := range e.shards {
		t := s.dbs[o.DB]
		if t == nil {
			continue
		}
		e.eachBucket(t, func(r rec) {
			x := e.openedRec(s, r)
			if x.coll.contains(o, p) {
				return
			}
			if x.coll != nil || baseAlive(&x.state) || x.state.DeadlineMs != 0 {
				m := editing{e: e, p: p, s: s, tb: t, db: o.DB, x: x}
				e.settle(s, t, o.DB, x, p, nowMs, func(st *op.KeyState) bool {
					changed := applyFlush(st, func(s clock.Stamp) bool { return !p.Merging || s == unstamped || o.Seen.Covers(s) })
					m.each(func() {
						changed = true
						if p.Merging {
							m.dropSeen(o.Seen)
						}
						if !p.Merging || m.c.empty() {
							m.drop()
						}
					})
					return changed
				})
			}
		})
	}
}

// eachBucket calls fn for every record of a table; unlike table.each it lets fn
// change or remove the one it is given. A bucket may be met again where the
// table shrinks meanwhile.
func (e *Engine) eachBucket(t *table, fn func(rec)) {
	for cursor := uint64(0); ; {
		if cursor = t.visit(cursor, fn); cursor == 0 {
			return
		}
	}
}

// StateEntry is the whole state of one key, as transfers and rows carry it.
type StateEntry struct {
	DB    int
	Key   []byte
	State []byte
}

// ApplyStates joins whole key states: a state transfer from a sibling, or
// rows at start. Nothing goes to the Sink. The slices are not kept. After a
// *NeedRow, as from Apply, all entries are to be given again.
func (e *Engine) ApplyStates(entries []StateEntry, nowMs int64) error {
	return e.eachState(entries, func(en StateEntry, st op.KeyState) {
		e.joinKey(en.DB, en.Key, st, e.params.Load(), nowMs)
	})
}

// eachState decodes entries and calls fn for each under its shard's lock. The
// state aliases the entry.
func (e *Engine) eachState(entries []StateEntry, fn func(StateEntry, op.KeyState)) error {
	for _, en := range entries {
		if en.DB >= e.databases {
			return &ErrDatabase{en.DB, e.databases}
		}
		st, err := op.DecodeKeyState(en.State)
		if err != nil {
			return err
		}
		if st.ValueStamp == unstamped {
			st.ValueStamp = e.foundingStamp()
		}
		if st.DeadlineStamp == unstamped {
			st.DeadlineStamp = e.foundingStamp()
		}
		s := e.shardOf(e.hash(en.Key))
		s.mu.Lock()
		rows := e.awayKey(nil, en.DB, en.Key, len(st.Colls)+len(st.Sketches) > 0)
		if len(rows) == 0 {
			fn(en, st)
		}
		s.mu.Unlock()
		if len(rows) > 0 {
			return &NeedRow{rows}
		}
	}
	return nil
}

// LoadRows is ApplyStates for rows at start, while KeepRows is off: their keys
// may be evicted to them.
func (e *Engine) LoadRows(entries []StateEntry, nowMs int64) error {
	if err := e.ApplyStates(entries, nowMs); err != nil {
		return err
	}
	for _, en := range entries {
		e.RowWritten(en)
	}
	return nil
}

// LastReading is the greatest reading of any stamp in memory; a start takes
// the clock beyond it.
func (e *Engine) LastReading() clock.Reading {
	last := clock.Reading(0)
	e.eachEntry(func(_ int, x *entry) {
		s := &x.state
		last = max(last, s.ValueStamp.At, s.DeadlineStamp.At, s.Dead.At)
		for i := range s.Subs {
			last = max(last, s.Subs[i].At)
		}
		for i := range s.Floors {
			last = max(last, s.Floors[i].At)
		}
		for i := range s.Sketches {
			last = max(last, s.Sketches[i].Birth.At)
		}
	})
	return last
}

// eachEntry walks all shards, one lock at a time. The entries are valid during
// the call only and must not be changed.
func (e *Engine) eachEntry(fn func(db int, x *entry)) {
	for _, s := range e.shards {
		s.mu.Lock()
		for db, t := range s.dbs {
			if t != nil {
				t.each(func(r rec) { fn(db, e.openedRec(s, r)) })
			}
		}
		s.mu.Unlock()
	}
}
