package engine

import (
	"geocache/clock"
	"geocache/op"
)

// Type is the type of a key as TYPE answers it.
type Type string

// The types.
const (
	TypeString Type = "string"
	TypeHash   Type = "hash"
	TypeList   Type = "list"
	TypeSet    Type = "set"
	TypeZSet   Type = "zset"
	TypeStream Type = "stream"
)

// typeNames are the types in the order of their numbers.
var typeNames = [...]Type{op.TypeString: TypeString, op.TypeHash: TypeHash, op.TypeList: TypeList, op.TypeSet: TypeSet, op.TypeZSet: TypeZSet, op.TypeStream: TypeStream}

func (x *entry) typeName() Type { return typeNames[x.typ()] }

// Info describes a live key.
type Info struct {
	Type       Type
	DeadlineMs int64 // 0 for none
	Bytes      int64 // memory, by accounting
	IdleMs     int64
	Freq       uint8
}

// Require ends the run if the value of k lies on disk.
func (t *Tx) Require(k Key) { t.value(k) }

// Exists reports whether k is there, for a read that leaves recency alone but
// counts as hit or miss (EXISTS, TTL, TYPE).
func (t *Tx) Exists(k Key) bool { return t.read(k) != nil }

// Touch is Exists that also counts as a use (TOUCH).
func (t *Tx) Touch(k Key) bool {
	x := t.read(k)
	if x != nil {
		t.touchRead(x)
	}
	return x != nil
}

// Look is Exists for commands that look behind a key: a miss is no event.
func (t *Tx) Look(k Key) bool { return t.look(k) != nil }

func (t *Tx) read(k Key) *entry {
	x := t.look(k)
	if x == nil {
		t.Event(EventMiss, "keymiss", k)
	}
	return x
}

func (t *Tx) look(k Key) *entry {
	x := t.lookup(k)
	if x == nil {
		t.e.stats.misses.Add(1)
	} else {
		t.e.stats.hits.Add(1)
	}
	return x
}

// Info describes k without touching it; ok is false for a missing key.
func (t *Tx) Info(k Key) (Info, bool) {
	x := t.lookup(k)
	if x == nil {
		return Info{}, false
	}
	return Info{
		Type:       x.typeName(),
		DeadlineMs: deadlineOf(&x.state),
		Bytes:      x.bytes(),
		IdleMs:     x.word.IdleMs(t.now),
		Freq:       x.word.Freq(t.now, t.p.LRU),
	}, true
}

// embstrLimit is the length up to which Redis embeds a string in its object.
const embstrLimit = 44

// Encoding is the encoding of k as OBJECT ENCODING answers; ok is false for a
// missing key. It does not touch k.
func (t *Tx) Encoding(k Key) (name string, ok bool) {
	x := t.value(k)
	if x == nil {
		return "", false
	}
	if !x.coll.gone() {
		return x.coll.encoding(), true
	}
	return t.encoding(x), true
}

func (t *Tx) encoding(x *entry) string {
	v := t.text(x)
	switch _, isInt := parseInt(v); {
	case x.flags&fRaw != 0:
		return "raw"
	case isInt && x.flags&fText == 0:
		return "int"
	case len(v) <= embstrLimit:
		return "embstr"
	}
	return "raw"
}

// Deadline is the deadline of k in milliseconds since the epoch, 0 for none;
// ok is false for a missing key. It does not touch k.
func (t *Tx) Deadline(k Key) (ms int64, ok bool) {
	x := t.lookup(k)
	if x == nil {
		return 0, false
	}
	return deadlineOf(&x.state), true
}

// SetDeadline sets the deadline of an existing key, 0 for none, and reports
// whether the key was there.
func (t *Tx) SetDeadline(k Key, ms int64) bool {
	if t.lookup(k) == nil {
		return false
	}
	u := t.editBlind(k)
	t.writeDeadline(u, ms)
	t.touchWrite(u.x)
	t.done(k, u)
	return true
}

func (t *Tx) writeDeadline(u *undo, ms int64) {
	st := t.emit(func(b *op.Builder) clock.Stamp { return b.Deadline(u.db, u.x.key, ms) })
	u.x.state.DeadlineStamp, u.x.state.DeadlineMs = st, ms
}

// Delete removes k and reports whether it was there.
func (t *Tx) Delete(k Key) bool {
	if t.lookup(k) == nil {
		return false
	}
	u := t.editBlind(k)
	t.delete(u)
	t.done(k, u)
	return true
}

func (t *Tx) delete(u *undo) {
	if u.x.coll != nil {
		t.dropAll(u)
	}
	t.removeState(u, floorsOf(&u.x.state))
	if !t.p.Merging {
		u.x.state = op.KeyState{}
	}
}

// bytes is the memory of a key, by accounting.
func (x *entry) bytes() int64 {
	if x.ref == 0 {
		n := int64(len(x.key) + len(x.state.Value)) // not written yet
		for i := range x.state.Sketches {
			n += int64(len(x.state.Sketches[i].Value))
		}
		return n
	}
	n := x.t.rec(x.ref).bytes()
	if x.coll != nil { // which the tx may have changed since it was written
		n += x.collBytes()
	}
	return n
}

// Copy makes dst what src is, deadline included, and reports whether src was
// there. What was under dst is gone.
func (t *Tx) Copy(src, dst Key) bool {
	x := t.value(src)
	if x == nil {
		return false
	}
	t.replaced(dst)
	if !x.coll.gone() {
		whole := x.coll.export()
		t.putWhole(dst, &whole, deadlineOf(&x.state))
		return true
	}
	val := append([]byte(nil), t.text(x)...)
	t.setOwned(dst, val, DeadlineAt(deadlineOf(&x.state)), x.flags&fMade)
	return true
}

// Rename gives the value of src, its deadline and its recency to dst, whatever
// was there, removes src, and reports whether src was there. The keys differ.
func (t *Tx) Rename(src, dst Key) bool {
	x := t.value(src)
	if x == nil {
		return false
	}
	t.touchWrite(x)
	word := x.word
	moved := x.coll.movable(t.p)
	if moved {
		t.moveColl(src, dst)
	} else {
		t.Copy(src, dst)
	}
	if y := t.lookup(dst); y != nil {
		t.setWord(y, word)
	}
	return moved || t.Delete(src)
}

// FlushDB empties a database number. The scope must be the world.
func (t *Tx) FlushDB(db int) {
	stored := t.stored(db)
	t.e.touchFlushed(t, db, stored)
	if t.p.Merging {
		t.flushMerging(stored)
		return
	}
	if !t.dbUsed(stored) {
		return
	}
	t.emit(func(b *op.Builder) clock.Stamp { return b.Flush(stored, t.e.sink.Vector()) })
	for _, s := range t.e.shards {
		if old := s.dbs[stored]; old != nil {
			t.removeRuns(stored, old)
			t.dropTable(s, stored, old)
		}
	}
}

func (t *Tx) dbUsed(stored int) bool {
	for _, s := range t.e.shards {
		if tb := s.dbs[stored]; tb != nil && tb.entries > 0 {
			return true
		}
	}
	return false
}

func (t *Tx) dropTable(s *shard, stored int, old *table) {
	t.tables = append(t.tables, tableUndo{s, stored, old})
	s.dbs[stored] = nil
	old.dropped = true
	t.e.forgetUses(s)
	t.e.used.Add(-old.counted)
	if t.p.KeepRows && !t.e.flushed[stored] {
		t.e.flushed[stored] = true
		t.flushed = append(t.flushed, stored)
	}
}

// removeRuns names the counter runs and HyperLogLogs of a table that is going,
// which a Flush op leaves alone.
func (t *Tx) removeRuns(stored int, tb *table) {
	if tb.runs == 0 {
		return
	}
	x := t.fresh()
	tb.each(func(r rec) {
		if !r.has(fRuns) {
			return
		}
		x.open(t.e, r, 0)
		if fs := floorsOf(&x.state); len(fs) > 0 {
			t.emit(func(b *op.Builder) clock.Stamp {
				return b.RemoveSeen(stored, x.key, clock.Stamp{}, fs)
			})
		}
	})
}

// flushMerging puts, in the place of each table, one with what merging must
// know of the keys that were there: an unseen change may still be on its way.
func (t *Tx) flushMerging(stored int) {
	t.show()
	t.emit(func(b *op.Builder) clock.Stamp { return b.Flush(stored, t.e.sink.Vector()) })
	for _, s := range t.e.shards {
		old := s.dbs[stored]
		if old == nil {
			continue
		}
		t.removeRuns(stored, old)
		t.dropTable(s, stored, old)
		t.flushTable(s, stored, old)
	}
}

func (t *Tx) flushTable(s *shard, stored int, old *table) {
	left := t.e.table(s, stored)
	everything := func(clock.Stamp) bool { return true }
	old.each(func(r rec) {
		x := t.e.openedRec(s, r)
		was := x.state
		join(&x.state, &op.KeyState{Floors: floorsOf(&x.state)})
		applyFlush(&x.state, everything)
		var kept []*content
		for _, c := range x.colls() {
			if runs := t.runsLeft(&editing{e: t.e, p: t.p, s: s, tb: old, db: stored, x: x, c: c}, left); runs != nil {
				kept = append(kept, runs)
			}
		}
		x.coll, x.others = headOf(kept)
		x.ref, x.flags = 0, 0
		buried := removedSince(&was, &x.state) || !x.exists()
		t.e.put(s, left, stored, x, t.p)
		if buried {
			t.e.bury(s, stored, x)
		}
	})
	// What this very tx had written waits for its stamps.
	for i := range t.undo {
		if u := &t.undo[i]; u.t == old && u.changed {
			again := t.editBlind(Key{u.num, u.x.key})
			again.changed = true
			t.unresolvedHidden(again)
		}
	}
}

// SwapDB exchanges two database numbers. The scope must be the world, and no
// sibling may be configured.
func (t *Tx) SwapDB(a, b int) {
	if a == b {
		return
	}
	if t.dbMapWas == nil {
		t.dbMapWas = append([]int(nil), t.e.dbMap...)
	}
	t.e.touchSwapped(t, a, b)
	m := t.e.dbMap
	m[a], m[b] = m[b], m[a]
	t.emit(func(bl *op.Builder) clock.Stamp { return bl.SwapDB(m) })
}

// tableUndo remembers a table that FLUSHDB took out.
type tableUndo struct {
	s      *shard
	stored int
	t      *table
}
