package engine

import (
	"maps"
	"slices"

	"geocache/clock"
	"geocache/op"
)

// This file gives a collection to another key without looking at its members.
// The op says only which keys these are, so that recovery has to find the
// members elsewhere: at the first key, as its row and the log before the op made
// them, or, where rows are newer than the op, in the row of the second. Two rules
// make sure of that. Who writes rows asks Moved for the rows that have to come
// with one. And a collection that was renamed has in its row the reading up to
// which that contains ops, as a list has.

// movedRow is a row whose content went to another key since it was asked for.
type movedRow struct{ from, to RowKey }

// movable reports whether a collection is given away as it is; a small one is
// copied, and with siblings each member is written anew in any case.
func (c *content) movable(p *Params) bool {
	return c != nil && !p.Merging && !c.gone() && (c.annex != nil || c.memBytes() >= litterFrom)
}

// moveColl makes the collection of src, with its deadline, the value of dst.
func (t *Tx) moveColl(src, dst Key) {
	t.replaced(dst)
	to := t.editBlind(dst).x
	u := t.edit(src)
	v := t.edited(to)
	live := v.x.exists() && !t.expired(&v.x.state)
	if v.x.exists() {
		t.delete(v)
	}
	deadline := deadlineOf(&u.x.state)
	t.emit(func(b *op.Builder) clock.Stamp { return b.Rename(u.db, u.x.key, v.db, v.x.key) })
	t.logUndo(collUndo{kind: undoMove, x: v.x, had: &hadColls{coll: v.x.coll, others: v.x.others, from: u.x, fromColl: u.x.coll}})
	v.x.coll, v.x.others = u.x.coll.movedTo(v.t, u.t), nil
	if v.x.coll != u.x.coll {
		t.frees = append(t.frees, oldTrees{u.t, *u.x.coll})
	}
	u.x.coll, u.x.state = nil, op.KeyState{}
	u.x.flags &^= fRaw | fHasRow | fOnDisk | fToken
	v.x.state = op.KeyState{}
	v.x.flags &^= fHasRow
	t.writeDeadline(v, deadline)
	t.touchMade(v.x, live)
	t.moves = append(t.moves, movedRow{RowKey{u.db, string(u.x.key)}, RowKey{v.db, string(v.x.key)}})
	t.done(dst, v)
	t.done(src, u)
}

// movedTo is a collection of the table from as it will be in t: the same, or a
// copy where the trees lie in the arena of from itself.
func (c *content) movedTo(t, from *table) *content {
	c.asOf = max(c.asOf, 1)
	if c.annex != nil || t == from {
		return c
	}
	made := *c
	made.copyFrom(c, t.arena)
	return &made
}

// noteMoves says, as the tx is committed, what Moved has to answer.
func (t *Tx) noteMoves() {
	if !t.p.KeepRows {
		return
	}
	for _, m := range t.moves {
		t.e.noteMove(m)
	}
}

// noteMove needs the lock of the shard of m.from.
func (e *Engine) noteMove(m movedRow) {
	s := e.shardOf(e.hash([]byte(m.from.Key)))
	if s.moved == nil {
		s.moved = map[RowKey]map[RowKey]bool{}
	}
	if s.moved[m.from] == nil {
		s.moved[m.from] = map[RowKey]bool{}
	}
	s.moved[m.from][m.to] = true
}

// Moved lists, once, the keys that got their content from k since the last call:
// after Row was asked for k it is to be asked for these, and no crash may come
// between their rows and that of k.
func (e *Engine) Moved(k RowKey) []RowKey {
	s := e.shardOf(e.hash([]byte(k.Key)))
	s.mu.Lock()
	defer s.mu.Unlock()
	to := slices.SortedFunc(maps.Keys(s.moved[k]), compareRowKeys)
	delete(s.moved, k)
	return to
}

// contains reports whether a row that was loaded shows what an op did.
func (c *content) contains(o *op.Op, p *Params) bool {
	return c != nil && !p.Merging && o.Stamp.At <= c.asOf
}

// applyRename is Rename from the log.
func (e *Engine) applyRename(o *op.Op, p *Params, nowMs int64) {
	from := &entry{} // not the shard's: both keys may be in one
	h := e.hash(o.Key)
	s := e.shardOf(h)
	t := e.table(s, o.DB)
	if r, ok := t.find(h, o.Key); ok {
		from.open(e, r, h)
	}
	c := from.coll
	if c.contains(o, p) {
		c = nil // what it has came later
	} else if from.ref != 0 {
		e.settle(s, t, o.DB, from, p, nowMs, func(st *op.KeyState) bool {
			from.coll, *st = nil, op.KeyState{}
			return true
		})
	}
	e.changeKey(o.ToDB, o.To, p, nowMs, func(m *editing) bool {
		if m.c.contains(o, p) {
			if c != nil {
				t.free(c)
			}
			return false
		}
		m.dropColls()
		m.x.state = op.KeyState{}
		if c != nil {
			m.x.coll = c.movedTo(m.tb, t)
			if m.x.coll != c {
				t.free(c)
			}
		}
		return true
	})
	e.used.Add(t.grew())
	if p.KeepRows {
		e.noteMove(movedRow{RowKey{o.DB, string(o.Key)}, RowKey{o.ToDB, string(o.To)}})
	}
}
