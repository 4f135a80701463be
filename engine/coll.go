package engine

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/op"
	"geocache/slab"
	"geocache/tree"
)

// This file is what the collection types share: the content of an entry that
// is no string, how members are found and changed, undone, and told to the
// log. Each type has a file of its own above it (hash.go, list.go, ...).

// form is how a collection keeps its members; it decides what OBJECT ENCODING
// answers. A collection never goes back to a smaller form, as in Redis.
type form uint8

const (
	// formPacked: few and small, in the order in which they came.
	formPacked form = iota
	// formInts: a set of integers in numeric order.
	formInts
	// formLarge: hashes and sets in the order of the members' hashes, sorted
	// sets with an index by member, lists of more than one node.
	formLarge
)

// content is the collection under a key. Its trees lie in the arena of the
// table that holds the entry, or in an annex of it.
type content struct {
	typ  op.Type
	form form
	// annex has the trees of a large collection, nil for others.
	annex *annex
	// main holds the members. A hash has fields as keys, a set members, a
	// sorted set score and member, a stream entry ids; a list has none.
	main tree.Tree
	// aux is, for a large sorted set, the index from members to scores, for a
	// large hash its schedule of deadlines, and for a stream its groups and all
	// that belongs to them.
	aux tree.Tree
	// hidden holds what merging knows of members that are not visible.
	hidden tree.Tree
	// meta is a stream's lastID and counters, in stream.go's encoding.
	meta []byte
	// fieldTTLs counts fields with a deadline; none is earlier than
	// nextFieldMs.
	fieldTTLs   int
	nextFieldMs int64
	// away: the members lie on disk, and digest stands for them.
	away   bool
	digest uint64
	// counts: members may have runs or hidden floors, which a removal has to name:
	// so they do not go to disk.
	counts bool
	// behind: clients see a string in its place, see clash.go.
	behind bool
	// asOf: ops up to it are contained already, during recovery. It is kept of
	// lists and of what was renamed, and then never 0 again.
	asOf clock.Reading
	// view is what handlers are given.
	view Scored
}

func newContent(a *slab.Arena, typ op.Type) *content {
	shape := tree.Keyed
	if typ == op.TypeList {
		shape = tree.Sequence
	}
	c := &content{typ: typ, main: tree.Tree{A: a, Shape: shape}, aux: tree.Tree{A: a, Shape: tree.Keyed}, hidden: tree.Tree{A: a, Shape: tree.Keyed}}
	if typ == op.TypeStream {
		c.form = formLarge
	}
	return c
}

// gone reports whether clients see no collection: it has no members, or a string
// is in its place.
func (c *content) gone() bool { return c.bare() || c.behind }

// bare reports whether a collection that is like this has nothing to show.
func (c *content) bare() bool {
	return c == nil || c.main.Len() == 0 && !c.away && (c.typ != op.TypeStream || c.over())
}

// empty reports whether nothing at all is known of its members.
func (c *content) empty() bool { return c == nil || c.bare() && c.hidden.Len() == 0 }

func (c *content) memBytes() int64 {
	return c.main.MemBytes() + c.aux.MemBytes() + c.hidden.MemBytes()
}

// hashKey orders the members of a large hash or set: by 32 bits of hash, so
// that SCAN's cursor is a place in that order whatever comes and goes.
func hashKey(dst, member []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst[:0], memberHash(member)), member...)
}

func memberHash(member []byte) uint32 { return uint32(xxh3.Hash(member)) }

const hashLen = 4

// memberOf is the member that a key of the main tree stands for.
func (c *content) memberOf(key []byte) []byte {
	switch {
	case c.typ == op.TypeZSet:
		return key[scoreLen:]
	case c.form == formLarge && (c.typ == op.TypeHash || c.typ == op.TypeSet):
		return key[hashLen:]
	}
	return key
}

// find is where a member is, or would be put.
func (c *content) find(member []byte) (el tree.Elem, rank int, found bool) {
	switch {
	case c.typ == op.TypeZSet:
		return c.findScored(member)
	case c.typ == op.TypeStream:
		return c.main.Find(member)
	case c.form == formInts:
		return c.findInt(member)
	case c.form == formPacked:
		if el, rank, found = c.main.Scan(member); !found {
			rank = c.main.Len()
		}
		return el, rank, found
	}
	var buf [64]byte
	return c.main.Find(hashKey(buf[:0], member))
}

// findInt searches a set of integers.
func (c *content) findInt(member []byte) (el tree.Elem, rank int, found bool) {
	want, ok := parseInt(member)
	if !ok {
		return el, c.main.Len(), false
	}
	lo, hi := 0, c.main.Len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		el = c.main.At(mid)
		have, _ := parseInt(el.Key)
		switch {
		case have == want:
			return el, mid, true
		case have < want:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return tree.Elem{}, lo, false
}

// editing is a collection under change, by a tx or by a batch that is applied.
type editing struct {
	e  *Engine
	t  *Tx // nil while a batch is applied
	p  *Params
	s  *shard
	tb *table
	db int // stored
	x  *entry
	c  *content
	// What the write or removal whose op comes next had seen: see cells.go.
	sees   []clock.Stamp
	floors []op.Floor
	// made: the key was not there before this change.
	made bool
}

// undoes reports whether the change may have to be undone.
func (m *editing) undoes() bool { return m.t != nil && !m.t.direct }

// insert, replace and remove, and what is made of them, are the only changes of
// trees; each can be undone.
func (m *editing) insert(tr *tree.Tree, rank int, el tree.Elem) {
	if m.undoes() {
		m.t.logUndo(collUndo{kind: undoInsert, x: m.x, tr: tr, rank: rank})
	}
	tr.Insert(rank, el)
}

func (m *editing) replace(tr *tree.Tree, rank int, el tree.Elem) {
	m.overwrite(tr, rank, tr.At(rank), el)
}

// overwrite is replace where was, which is at the rank, was just found. A value
// that stays as long is written where it lies, unless somebody reads it as it was.
func (m *editing) overwrite(tr *tree.Tree, rank int, was, el tree.Elem) {
	if m.undoes() {
		m.t.logUndo(collUndo{kind: undoReplace, x: m.x, tr: tr, rank: rank, was: m.t.keep(was)})
	}
	if !tr.A.Forked() && len(was.Val) == len(el.Val) && string(was.Ext) == string(el.Ext) && string(was.Key) == string(el.Key) {
		copy(was.Val, el.Val)
		return
	}
	tr.Replace(rank, el)
}

// What remove returns lives as long as the tx.
func (m *editing) remove(tr *tree.Tree, rank int) (was tree.Elem) {
	if m.t == nil {
		tr.Delete(rank)
		return tree.Elem{}
	}
	return m.removeFound(tr, rank, tr.At(rank))
}

// removeFound is remove where was, which is at the rank, was just found.
func (m *editing) removeFound(tr *tree.Tree, rank int, was tree.Elem) tree.Elem {
	if m.t != nil {
		was = m.t.keep(was)
	}
	if m.undoes() {
		m.t.logUndo(collUndo{kind: undoRemove, x: m.x, tr: tr, rank: rank, was: was})
	}
	tr.Delete(rank)
	return was
}

// insertKey is insert of what a tree in the order of its keys does not have.
func (m *editing) insertKey(tr *tree.Tree, el tree.Elem) {
	if !m.undoes() {
		tr.InsertKey(el)
		return
	}
	rank, _ := tr.Seek(el.Key)
	m.insert(tr, rank, el)
}

// removeKey is remove of what a tree in the order of its keys has.
func (m *editing) removeKey(tr *tree.Tree, key []byte) {
	if !m.undoes() {
		tr.DeleteKey(key)
		return
	}
	el, rank, _ := tr.Find(key)
	m.removeFound(tr, rank, el)
}

// pop is remove for the value alone, which lives as long as the tx and is not nil.
func (m *editing) pop(tr *tree.Tree, rank int) []byte {
	if m.undoes() {
		if val := m.remove(tr, rank).Val; val != nil {
			return val
		}
		return []byte{}
	}
	t := m.t
	if t.kept == nil {
		t.kept = make([]byte, 0, 1024)
	}
	start := len(t.kept)
	t.kept = tr.Pop(rank, t.kept)
	return t.kept[start:len(t.kept):len(t.kept)]
}

func (m *editing) removeRange(tr *tree.Tree, rank, n int) {
	if n <= 0 {
		return
	}
	if m.undoes() {
		at := rank
		tr.Ascend(rank, func(el tree.Elem) bool {
			m.t.logUndo(collUndo{kind: undoRemove, x: m.x, tr: tr, rank: rank, was: m.t.keep(el)})
			at++
			return at < rank+n
		})
	}
	tr.DeleteRange(rank, n)
}

// rebuild gives the collection new trees that fill makes; the old ones are
// freed once the change is certain.
func (m *editing) rebuild(to form, fill func(from *content)) {
	was := *m.c
	if m.t != nil {
		m.t.logUndo(collUndo{kind: undoRebuild, x: m.x, c: m.c, wasContent: &was})
	}
	a := m.c.main.A
	if was.annex != nil { // it goes as a whole
		m.c.annex = m.tb.newAnnex(m.x.key)
		a = m.c.annex.arena
		m.c.hidden = was.hidden.CopyTo(a)
	}
	fresh := newContent(a, m.c.typ)
	m.c.form, m.c.main, m.c.aux = to, fresh.main, fresh.aux
	fill(&was)
	if was.annex == nil {
		was.hidden = tree.Tree{A: a}
	}
	if m.t != nil {
		m.t.frees = append(m.t.frees, oldTrees{m.tb, was})
	} else {
		m.tb.free(&was)
	}
}

// setMeta replaces meta.
func (m *editing) setMeta(meta []byte) {
	if m.t != nil {
		m.t.logUndo(collUndo{kind: undoMeta, c: m.c, was: tree.Elem{Val: m.c.meta}})
	}
	m.c.meta = meta
}

// toLarge gives hashes and sets their large form.
func (m *editing) toLarge() {
	m.rebuild(formLarge, func(from *content) {
		els := make([]op.Elem, 0, from.main.Len())
		from.main.Ascend(0, func(el tree.Elem) bool {
			// The new tree takes from the same arena: what it is given may
			// not alias the old one.
			els = append(els, op.Elem{Key: bytes.Clone(el.Key), Val: bytes.Clone(el.Val), Ext: bytes.Clone(el.Ext)})
			return true
		})
		m.fillLarge(els)
	})
}

// fillLarge makes the trees of a hash or set that is large and still empty. Of
// members that are there twice the last one counts.
func (m *editing) fillLarge(els []op.Elem) {
	type placed struct {
		key []byte
		el  *op.Elem
	}
	size := 0
	for i := range els {
		size += hashLen + len(els[i].Key)
	}
	keys, order := make([]byte, 0, size), make([]placed, len(els))
	for i := range els {
		start := len(keys)
		keys = append(binary.BigEndian.AppendUint32(keys, memberHash(els[i].Key)), els[i].Key...)
		order[i] = placed{keys[start:len(keys):len(keys)], &els[i]}
	}
	byKey := func(a, b placed) int { return bytes.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(order, byKey) {
		slices.SortStableFunc(order, byKey)
	}
	for i, p := range order {
		if i+1 < len(order) && bytes.Equal(p.key, order[i+1].key) {
			continue
		}
		m.c.main.Insert(m.c.main.Len(), tree.Elem{Key: p.key, Val: p.el.Val, Ext: p.el.Ext})
	}
	m.scheduleAll()
}

// put makes a member of a hash, set or stream what el says; the key of el is the
// member. It reports whether the member is new. Nothing is emitted.
func (m *editing) put(part op.Part, el op.Elem) (added bool) {
	if m.c.typ == op.TypeStream {
		return m.putStream(part, el)
	}
	if part == op.Aux {
		return false // no other type has members there
	}
	old, rank, found := m.c.find(el.Key)
	m.putFound(el, old, rank, found)
	return !found
}

// putFound is put for a member of a hash or set that find was asked for.
func (m *editing) putFound(el op.Elem, old tree.Elem, rank int, found bool) {
	if m.t != nil && m.merges() {
		m.mergePut(el)
		return
	}
	m.placeFound(el, old, rank, found)
}

// placeFound is putFound without regard to merging.
func (m *editing) placeFound(el op.Elem, old tree.Elem, rank int, found bool) {
	fits := false
	if found {
		fits = m.fit(len(el.Val))
	} else {
		fits = m.admit(el)
	}
	if !fits { // it has another form now
		old, rank, _ = m.c.find(el.Key)
	}
	if !found {
		old = tree.Elem{}
	}
	was := fieldDeadline(old.Ext)
	m.countTTL(old.Ext, el.Ext)
	var buf [64]byte
	with := tree.Elem{Key: el.Key, Val: el.Val, Ext: el.Ext}
	if m.c.form == formLarge {
		with.Key = hashKey(buf[:0], el.Key)
	}
	if found {
		m.overwrite(&m.c.main, rank, old, with)
	} else {
		m.insert(&m.c.main, rank, with)
	}
	m.schedule(el.Key, was, fieldDeadline(el.Ext))
}

func (m *editing) place(tr *tree.Tree, rank int, found bool, el tree.Elem) {
	if found {
		m.replace(tr, rank, el)
	} else {
		m.insert(tr, rank, el)
	}
}

// admit gives the collection the form that it needs to take in one more
// member, and reports whether it had that.
func (m *editing) admit(el op.Elem) bool {
	if m.c.typ == op.TypeSet {
		return m.admitMember(el.Key)
	}
	if m.c.form != formLarge && (m.c.main.Len() >= m.p.Forms.HashEntries || len(el.Key) > m.p.Forms.HashValue || len(el.Val) > m.p.Forms.HashValue) {
		m.toLarge()
		return false
	}
	return true
}

// fit is admit for a new value of a member that is there.
func (m *editing) fit(valLen int) bool {
	if m.c.typ == op.TypeHash && m.c.form != formLarge && (valLen > m.p.Forms.HashValue || m.c.main.Len() > m.p.Forms.HashEntries) {
		m.toLarge()
		return false
	}
	return true
}

// take removes a member and reports whether it was there. Nothing is emitted.
func (m *editing) take(part op.Part, member []byte) bool {
	if m.c.typ == op.TypeStream {
		return m.takeStream(part, member)
	}
	if part == op.Aux {
		return false
	}
	el, rank, found := m.c.find(member)
	if !found {
		return false
	}
	m.takeFound(el, rank)
	return true
}

// takeFound removes the member that find found. Nothing is emitted.
func (m *editing) takeFound(el tree.Elem, rank int) {
	if m.t != nil && m.merges() {
		m.mergeTake(bytes.Clone(m.c.memberOf(el.Key)))
		return
	}
	m.takeAt(el, rank)
}

// takeAt is takeFound without regard to merging.
func (m *editing) takeAt(el tree.Elem, rank int) {
	m.countTTL(el.Ext, nil)
	m.schedule(m.c.memberOf(el.Key), fieldDeadline(el.Ext), 0)
	if m.c.typ == op.TypeZSet {
		m.unindex(el.Key[scoreLen:])
	}
	m.removeFound(&m.c.main, rank, el)
}

// The annotation of a member: a flag byte, then what the flags name.
const (
	extDeadline = 1 << iota // 8 bytes, milliseconds since the epoch
)

func appendDeadline(dst []byte, ms int64) []byte {
	if ms == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(append(dst, extDeadline), uint64(ms))
}

// fieldDeadline is the deadline in an annotation, 0 for none.
func fieldDeadline(ext []byte) int64 {
	if len(ext) < 9 || ext[0]&extDeadline == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(ext[1:]))
}

// countTTL follows the deadlines of fields.
func (m *editing) countTTL(was, now []byte) {
	before, after := fieldDeadline(was), fieldDeadline(now)
	if before == 0 && after == 0 {
		return
	}
	if m.t != nil {
		m.t.logUndo(collUndo{kind: undoTTL, c: m.c, rank: m.c.fieldTTLs, ms: m.c.nextFieldMs})
	}
	if before != 0 {
		m.c.fieldTTLs--
	}
	if after != 0 {
		m.c.fieldTTLs++
		if m.c.fieldTTLs == 1 || after < m.c.nextFieldMs {
			m.c.nextFieldMs = after
		}
	}
	if m.c.fieldTTLs == 0 {
		m.c.nextFieldMs = 0
	}
}

// collUndo is one change of a tree, for rollback.
type collUndo struct {
	kind       collUndoKind
	x          *entry
	tr         *tree.Tree
	rank       int
	ms         int64
	was        tree.Elem
	c          *content  // that was changed
	wasContent *content  // undoRebuild
	had        *hadColls // undoColls, undoMove
}

type collUndoKind uint8

const (
	undoInsert collUndoKind = iota
	undoReplace
	undoRemove
	undoRebuild
	undoMeta
	undoTTL
	undoColls
	undoForm
	undoMove
)

func (t *Tx) logUndo(u collUndo) {
	if !t.direct {
		t.collUndo = append(t.collUndo, u)
	}
}

// quiet takes the stamp of an op that nobody consumes, and reports whether it is
// one: then the op need not be made.
func (t *Tx) quiet() bool {
	if t.p.Recording {
		return false
	}
	t.ops.Stamp()
	return true
}

// keep copies an element into memory that lasts as long as the tx.
func (t *Tx) keep(el tree.Elem) tree.Elem {
	n := len(el.Key) + len(el.Val) + len(el.Ext)
	if cap(t.kept)-len(t.kept) < n {
		t.kept = make([]byte, 0, max(2*cap(t.kept), n, 1024))
	}
	cut := func(p []byte) []byte {
		if len(p) == 0 {
			return nil
		}
		start := len(t.kept)
		t.kept = append(t.kept, p...)
		return t.kept[start:len(t.kept):len(t.kept)]
	}
	return tree.Elem{Key: cut(el.Key), Val: cut(el.Val), Ext: cut(el.Ext)}
}

// keepBytes is keep for bytes alone.
func (t *Tx) keepBytes(b []byte) []byte { return t.keep(tree.Elem{Val: b}).Val }

// undoColls takes back all changes of trees, the last one first.
func (t *Tx) undoColls() {
	for i := len(t.collUndo) - 1; i >= 0; i-- {
		u := &t.collUndo[i]
		switch u.kind {
		case undoInsert:
			u.tr.Delete(u.rank)
		case undoReplace:
			u.tr.Replace(u.rank, u.was)
		case undoRemove:
			u.tr.Insert(u.rank, u.was)
		case undoRebuild:
			c := u.c
			made := *c
			c.form, c.main, c.aux = u.wasContent.form, u.wasContent.main, u.wasContent.aux
			if made.annex != u.wasContent.annex {
				c.annex, c.hidden = u.wasContent.annex, u.wasContent.hidden
			} else {
				made.hidden = tree.Tree{A: made.main.A}
			}
			u.x.t.free(&made)
		case undoMeta:
			u.c.meta = u.was.Val
		case undoTTL:
			u.c.fieldTTLs, u.c.nextFieldMs = u.rank, u.ms
		case undoForm:
			u.c.form = form(u.rank)
		case undoMove:
			if u.x.coll != u.had.fromColl {
				u.x.t.free(u.x.coll)
			}
			u.x.coll, u.x.others, u.had.from.coll = u.had.coll, u.had.others, u.had.fromColl
		case undoColls:
			for _, c := range u.had.made {
				u.x.t.free(c)
			}
			u.x.coll, u.x.others = u.had.coll, u.had.others
		}
	}
}

// oldTrees are trees that nobody needs once the tx is committed.
type oldTrees struct {
	t *table
	c content
}

// collection is the collection of type typ under k for reading, nil for a
// missing key.
func (t *Tx) collection(k Key, typ op.Type) (*content, error) {
	x := t.value(k)
	if x == nil {
		t.missed(k)
		return nil, nil
	}
	t.e.stats.hits.Add(1)
	if x.typ() != typ {
		return nil, ErrWrongType
	}
	t.touchRead(x)
	return x.coll, nil
}

// present is collection for a command that then changes k: recency and hits
// stay as they are.
func (t *Tx) present(k Key, typ op.Type) (*content, error) {
	x := t.value(k)
	if x == nil {
		return nil, nil
	}
	if x.typ() != typ {
		return nil, ErrWrongType
	}
	return x.coll, nil
}

// change is the collection of type typ under k for a change, made where there
// is none. The caller ends with editing.done.
func (t *Tx) change(k Key, typ op.Type) (*editing, error) {
	u := t.edit(k)
	live := u.x.exists() && !t.expired(&u.x.state)
	if live && u.x.typ() != typ {
		return nil, ErrWrongType
	}
	return t.editingOf(u, typ, live), nil
}

// toChange is change where the type is known to be right.
func (t *Tx) toChange(k Key, typ op.Type) *editing {
	u := t.edit(k)
	return t.editingOf(u, typ, u.x.exists() && !t.expired(&u.x.state))
}

func (t *Tx) editingOf(u *undo, typ op.Type, live bool) *editing {
	if !live {
		t.startAfresh(u)
	}
	c, made := u.x.of(typ), false
	if c == nil {
		if !t.p.Merging {
			t.dropColls(u) // what removed members of another type have left
		}
		c, made = newContent(u.t.arena, typ), true
	}
	t.toFront(u.x, c)
	t.touchMade(u.x, live)
	if m := &u.x.editing; m.x != u.x || m.c != u.x.coll || m.p != t.p || m.t != t || m.tb != u.t || !live || m.made {
		*m = editing{e: t.e, t: t, p: t.p, s: u.s, tb: u.t, db: u.db, x: u.x, c: u.x.coll, made: !live}
	} else {
		m.sees, m.floors = nil, nil // the rest is as it was
	}
	if made && u.x.editing.mergesStream() {
		u.x.editing.stampStream()
	}
	return &u.x.editing
}

// startAfresh ends a former life of a key that expired, before a new one.
func (t *Tx) startAfresh(u *undo) {
	t.endFormer(u)
	if u.x.state.DeadlineMs != 0 {
		t.writeDeadline(u, 0)
	}
}

// endFormer removes what is under a key that reads as missing, or is replaced. A
// lone region reclaims an expired key without an op: a replay may still meet it.
func (t *Tx) endFormer(u *undo) {
	switch {
	case u.x.exists():
		t.delete(u)
	case !t.p.Merging && t.e.reclaimed.Load():
		t.emit(func(b *op.Builder) clock.Stamp { return b.Remove(u.db, u.x.key, nil) })
	}
}

// dropColls takes the collections of u's entry away; the caller has emitted what
// says so.
func (t *Tx) dropColls(u *undo) {
	if u.x.coll == nil {
		return
	}
	for _, c := range u.x.colls() {
		t.frees = append(t.frees, oldTrees{u.t, *c})
	}
	t.setColls(u.x, nil, nil)
}

// done completes a change: a collection without members ends its key.
func (m *editing) done(k Key) {
	t := m.t
	u := t.edited(m.x)
	m.x.flags &^= fHasRow
	if m.made && !m.c.bare() && t.p.DefaultTTLMs > 0 {
		// After the members: replayed the other way round it would find no key.
		t.writeDeadline(u, t.now+t.p.DefaultTTLMs)
	}
	if m.c.bare() {
		if m.c.typ == op.TypeList && !t.p.Merging {
			// A replay that begins in the middle may see the last elements
			// removed at ranks that it does not have.
			t.emitDrop(u)
		}
		t.uncover(u, m.c)
		if m.x.state.DeadlineMs != 0 && !m.x.exists() {
			t.writeDeadline(u, 0)
		}
		if !t.p.Merging {
			m.x.state = op.KeyState{}
		}
	} else if m.c.main.Len() == 0 { // a stream
		t.uncover(u, m.c)
	}
	t.done(k, u)
}

// edited is the newest undo record of x.
func (t *Tx) edited(x *entry) *undo {
	if t.direct {
		return &t.one
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		if t.undo[i].x == x {
			return &t.undo[i]
		}
	}
	panic("engine: an entry was changed that is not in the tx")
}

// seen is what the change that is told next had seen.
func (m *editing) seen() op.Seen {
	s := op.Seen{Cells: m.sees, Floors: m.floors}
	m.sees, m.floors = nil, nil
	return s
}

// emitPut and emitTake tell the log of a member.
func (m *editing) emitPut(part op.Part, el op.Elem) {
	if m.t.quiet() {
		return
	}
	m.t.emit(func(b *op.Builder) clock.Stamp { return b.Put(m.db, m.x.key, m.c.typ, part, el, m.seen()) })
}

func (m *editing) emitTake(part op.Part, member []byte) {
	if m.t.quiet() {
		return
	}
	m.t.emit(func(b *op.Builder) clock.Stamp { return b.Take(m.db, m.x.key, m.c.typ, part, member, m.seen()) })
}

func (m *editing) emitMeta() {
	m.t.emit(func(b *op.Builder) clock.Stamp { return b.Meta(m.db, m.x.key, m.c.typ, m.c.meta) })
}

func (m *editing) emitInsert(rank int, el op.Elem) {
	if m.t.quiet() {
		return
	}
	m.t.emit(func(b *op.Builder) clock.Stamp { return b.Insert(m.db, m.x.key, rank, el) })
}

func (m *editing) emitCut(rank, n int) {
	if m.t.quiet() {
		return
	}
	m.t.emit(func(b *op.Builder) clock.Stamp { return b.Cut(m.db, m.x.key, rank, n) })
}

// export copies the content.
func (c *content) export() op.Coll {
	out, own := c.blank(), cloner{most: int(min(c.memBytes(), clonerBlock))}
	c.list(&out, math.MaxInt, own.clone)
	return out
}

// members lists the content, each part of it as own gives it.
func (c *content) members(own func([]byte) []byte) op.Coll {
	out := c.blank()
	c.list(&out, math.MaxInt, own)
	return out
}

// blank is a list without members.
func (c *content) blank() op.Coll {
	return op.Coll{Type: c.typ, Form: uint8(c.form), AsOf: c.asOf, Meta: bytes.Clone(c.meta)}
}

// list goes on with a list of the content by so many members at most, each part
// of them as own gives it, and reports whether it is complete.
func (c *content) list(out *op.Coll, most int, own func([]byte) []byte) (done bool) {
	listTree := func(part op.Part, tr *tree.Tree, name func([]byte) []byte) bool {
		els := out.Elem[part]
		if els == nil {
			els = make([]op.Elem, 0, tr.Len())
		}
		tr.Ascend(len(els), func(el tree.Elem) bool {
			if most == 0 {
				return false
			}
			most--
			els = append(els, op.Elem{Key: own(name(el.Key)), Val: own(el.Val), Ext: own(el.Ext)})
			return true
		})
		out.Elem[part] = els
		return len(els) == tr.Len()
	}
	same := func(k []byte) []byte { return k }
	switch c.typ {
	case op.TypeZSet:
		done = listTree(op.Main, &c.main, same)
	case op.TypeStream:
		done = listTree(op.Main, &c.main, same) && listTree(op.Aux, &c.aux, same)
	default:
		done = listTree(op.Main, &c.main, c.memberOf)
	}
	return done && listTree(op.Hidden, &c.hidden, same)
}

// cloner copies many small slices into few blocks.
type cloner struct {
	most int // bytes of a block
	rest []byte
}

const clonerBlock = 64 << 10

func (c *cloner) clone(b []byte) []byte {
	switch {
	case b == nil:
		return nil
	case len(b) > c.most/8:
		return bytes.Clone(b)
	case len(b) > len(c.rest):
		c.rest = make([]byte, c.most)
	}
	made := c.rest[:len(b):len(b)]
	c.rest = c.rest[len(b):]
	copy(made, b)
	return made
}

// build makes content, which belongs to no entry yet, of what export gave;
// members are copied. A sorted set's keys are score and member.
func (m *editing) build(from *op.Coll) {
	m.c = m.tb.contentFor(from, m.x.key)
	m.c.asOf, m.c.meta = from.AsOf, bytes.Clone(from.Meta)
	m.c.counts = len(from.Elem[op.Hidden]) > 0 || from.Type != op.TypeList && slices.ContainsFunc(from.Elem[op.Main], func(el op.Elem) bool {
		return len(el.Ext) > 0 && el.Ext[0]&extComplex != 0
	})
	quiet := editing{e: m.e, p: m.p, s: m.s, tb: m.tb, db: m.db, x: m.x, c: m.c}
	members := from.Elem[op.Main]
	if quiet.tooMany(len(members)) {
		m.c.form = formLarge
		quiet.fillLarge(members)
		members = nil
	}
	for i, el := range members {
		switch from.Type {
		case op.TypeList:
			m.c.main.Insert(i, tree.Elem{Val: el.Val, Ext: el.Ext})
		case op.TypeZSet:
			quiet.putScored(el.Key[scoreLen:], elemScore(tree.Elem(el)), el.Ext)
		default:
			quiet.put(op.Main, el)
		}
	}
	for i, el := range from.Elem[op.Hidden] {
		m.c.hidden.Insert(i, tree.Elem(el))
	}
	for _, el := range from.Elem[op.Aux] {
		quiet.put(op.Aux, el)
	}
	switch {
	case from.Type == op.TypeList:
		if form(from.Form) == formLarge {
			m.c.form = formLarge // unless it is well within the limit
		}
		m.listForm()
	case form(from.Form) == formLarge:
		quiet.growTo()
	}
}

// contentFor is empty content with room for what it is to be.
func (t *table) contentFor(from *op.Coll, key []byte) *content {
	size := int64(0)
	for _, els := range from.Elem {
		for i := range els {
			size += int64(len(els[i].Key) + len(els[i].Val) + len(els[i].Ext))
		}
	}
	if size < t.annexFrom {
		return newContent(t.arena, from.Type)
	}
	a := t.newAnnex(key)
	c := newContent(a.arena, from.Type)
	c.annex = a
	return c
}

// tooMany reports whether that many members of a hash or set take the large form
// whatever they are.
func (m *editing) tooMany(n int) bool {
	switch f := &m.p.Forms; m.c.typ {
	case op.TypeHash:
		return n > f.HashEntries
	case op.TypeSet:
		return n > max(f.SetInts, f.SetEntries)
	}
	return false
}

// putWhole makes whole the content of k, whatever was there. Its members are
// copied.
func (t *Tx) putWhole(k Key, whole *op.Coll, deadlineMs int64) {
	t.sole = false // who asks changedHere is told
	u := t.editBlind(k)
	live := u.x.exists() && !t.expired(&u.x.state)
	t.endFormer(u)
	plain := stripped(*whole)
	m := &editing{e: t.e, t: t, p: t.p, s: u.s, tb: u.t, db: u.db, x: u.x, c: u.x.of(plain.Type)}
	switch {
	case t.p.Merging && plain.Type == op.TypeList:
		plain = m.placed(plain)
	case plain.Type == op.TypeStream: // where it comes from it was made at another time
		plain.Elem[op.Aux] = slices.DeleteFunc(plain.Elem[op.Aux], func(el op.Elem) bool { return el.Key[0] == auxMade })
	}
	if plain.Type == op.TypeZSet && form(plain.Form) != formLarge {
		t.p.Forms.plainZeros(plain.Elem[op.Main])
	}
	dot := t.emit(func(b *op.Builder) clock.Stamp { return b.Whole(u.db, u.x.key, plain.Append(nil)) })
	if t.p.Merging && plain.Type != op.TypeStream {
		if m.c == nil {
			m.c = newContent(u.t.arena, plain.Type)
		}
		t.toFront(u.x, m.c)
		if plain.Type == op.TypeList {
			m.addList(&plain, dot)
		} else {
			m.addWhole(&plain, dot)
		}
	} else {
		if !t.p.Merging {
			t.dropColls(u)
		}
		m.build(&plain)
		t.toFront(u.x, m.c)
		if m.mergesStream() {
			m.stampEntries(dot)
		}
	}
	t.writeDeadline(u, deadlineMs)
	t.touchMade(u.x, live)
	t.done(k, u)
}

func (t *Tx) emitDrop(u *undo) {
	t.emit(func(b *op.Builder) clock.Stamp { return b.Drop(u.db, u.x.key, t.seenVector()) })
}

// seenVector is what a removal has seen; nil where nobody asks.
func (t *Tx) seenVector() clock.Vector {
	if !t.p.Merging {
		return nil
	}
	return t.e.sink.Vector()
}

// encoding is the name under which OBJECT ENCODING knows the form.
func (c *content) encoding() string {
	if c.form == formInts {
		return "intset"
	}
	if c.form == formPacked {
		return "listpack"
	}
	switch c.typ {
	case op.TypeHash, op.TypeSet:
		return "hashtable"
	case op.TypeZSet:
		return "skiplist"
	case op.TypeList:
		return "quicklist"
	}
	return "stream"
}

// applyColl applies an op about a collection.
func (e *Engine) applyColl(o *op.Op, p *Params, nowMs int64) {
	h := e.hash(o.Key)
	s := e.shardOf(h)
	tb := e.table(s, o.DB)
	x, ok := e.opened(s, tb, h, o.Key)
	if !ok {
		if o.Kind == op.Take || o.Kind == op.Cut || o.Kind == op.Drop || o.Kind == op.Meta && p.Merging {
			return
		}
		x.word = e.wordMade(s, x, p, nowMs)
	}
	if x.coll.contains(o, p) {
		return
	}
	m := editing{e: e, p: p, s: s, tb: tb, db: o.DB, x: x}
	e.settle(s, tb, o.DB, x, p, nowMs, func(st *op.KeyState) bool {
		c := x.of(o.Type)
		known := p.Merging && c != nil && x.shared() && o.Kind != op.Whole && o.Kind != op.Drop
		if m.c = c; known {
			x.touched = touch{known: true, c: c, before: m.birthOf(o)}
		}
		m.apply(o)
		if m.c = c; known {
			x.touched.after = m.birthOf(o)
		}
		m.each(func() {
			if m.c.empty() {
				m.drop()
			}
		})
		x.flags &^= fHasRow
		return true
	})
}

// drop frees the collection under change.
func (m *editing) drop() {
	if m.c != nil {
		m.tb.free(m.c)
		m.x.remove(m.c)
		m.c = nil
	}
}

// dropColls frees all collections of the entry.
func (m *editing) dropColls() { m.each(m.drop) }

// each calls fn with each collection of the entry under change in turn.
func (m *editing) each(fn func()) {
	for _, c := range m.x.colls() {
		m.c = c
		fn()
	}
}

// turnTo goes on with the collection of a type, which is made where there is
// none.
func (m *editing) turnTo(typ op.Type) {
	if m.c = m.x.of(typ); m.c != nil {
		return
	}
	if !m.p.Merging {
		m.dropColls() // there is but one
	}
	m.c = newContent(m.tb.arena, typ)
	if m.p.Merging {
		newStream(m.c)
	}
	m.x.add(m.c)
}

// take makes a collection out of what a row or a copy says, and of the type that
// has what m goes on with.
func (m *editing) rebuilt(from *op.Coll) {
	m.c = m.x.of(from.Type)
	m.drop()
	m.build(from)
	m.x.add(m.c)
}

// apply changes the collection as an op says.
func (m *editing) apply(o *op.Op) {
	switch o.Kind {
	case op.Drop:
		if m.p.Merging && o.Seen != nil {
			m.each(func() { m.dropSeen(o.Seen) })
			return
		}
		m.dropColls()
		return
	case op.Whole:
		whole, err := op.DecodeColl(o.Raw)
		if err != nil {
			return // checked where it came in
		}
		if m.p.Merging {
			if m.turnTo(whole.Type); whole.Type == op.TypeList {
				m.addList(&whole, o.Stamp)
			} else {
				m.addWhole(&whole, o.Stamp)
			}
			return
		}
		m.dropColls()
		m.build(&whole)
		m.x.add(m.c)
		if whole.Type == op.TypeList {
			m.c.asOf = o.Stamp.At
		}
		return
	}
	if m.p.Merging && (o.Kind == op.Meta || o.Kind == op.Take && len(o.Floors) == 0) && m.x.of(o.Type) == nil {
		return // of what is gone
	}
	m.turnTo(o.Type)
	if m.mergesStream() && (o.Kind == op.Meta || o.Part != op.Main) {
		m.applyStream(o)
		return
	}
	if o.Part == op.Main && m.merges() {
		if o.Type != op.TypeStream || o.Kind != op.Put || validStreamElem(op.Main, o.Elem) {
			m.applyMember(o)
		}
		return
	}
	if m.mergesList() && (o.Kind == op.Put || o.Kind == op.Take) {
		m.applyElement(o)
		return
	}
	if o.Type == op.TypeList && (o.Kind == op.Put || o.Kind == op.Take) {
		return // by place, but nothing merges here
	}
	switch o.Kind {
	case op.Put:
		if o.Type == op.TypeZSet {
			if len(o.Elem.Val) == scoreLen {
				m.putScored(o.Elem.Key, scoreOf(o.Elem.Val), o.Elem.Ext)
			}
			return
		}
		m.put(o.Part, o.Elem)
	case op.Take:
		m.take(o.Part, o.Elem.Key)
	case op.Insert:
		if o.Rank <= m.c.main.Len() {
			m.listInsert(o.Rank, o.Elem)
		}
	case op.Cut:
		if o.Rank+o.N <= m.c.main.Len() {
			m.listCut(o.Rank, o.N)
		}
	case op.Meta:
		m.setMeta(bytes.Clone(o.Raw))
	}
}

// stripped is a collection without what merging notes: a Whole op says anew
// when its members were written.
func stripped(c op.Coll) op.Coll {
	for p := range c.Elem {
		c.Elem[p] = slices.Clone(c.Elem[p])
		for i := range c.Elem[p] {
			if ext := &c.Elem[p][i].Ext; op.Part(p) == op.Main {
				*ext = appendDeadline(nil, fieldDeadline(*ext))
			} else {
				*ext = nil
			}
		}
	}
	c.Elem[op.Hidden] = nil
	return c
}
