package engine

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file merges members of hashes, sets, sorted sets and streams, where
// siblings are configured. It follows the observed-remove sets with dots
// (Bieniusa et al. 2012): a write gives a member a cell, named by the write's
// stamp, its dot; a write or removal takes away the cells that it had seen, and
// names them. So an addition wins over a removal that had not seen it, and
// nothing has to be remembered of what is gone: batches arrive in causal order,
// and a copy is held against the vector it was taken at. Of several cells the
// one with the latest dot is seen by clients.
//
// What HINCRBY and the like add is kept in runs, as for strings (merge.go): one
// per origin and the cell that the increments had seen. They count while that
// cell is the visible one, or while there is none; who replaces or removes a
// member names how far it had seen each run.

// cell is one value of a member.
type cell struct {
	dot   clock.Stamp
	val   []byte
	dlDot clock.Stamp // of the deadline
	dlMs  int64       // 0 for none
}

// member is all that merging knows of a member.
type member struct {
	cells []cell      // ascending by dot
	runs  op.KeyState // its Subs and Floors only
}

// Flags of an annotation beyond extDeadline.
const (
	extDot     = 2 // 16 bytes: the dot of the only cell, whose value is the member's
	extDLDot   = 4 // 16 bytes: the deadline's stamp, where it is not the dot
	extComplex = 8 // all cells and runs, encoded; no other field counts
)

// state is what is known of a member that was found, or that is hidden.
func (c *content) state(el tree.Elem, found bool, founding clock.Stamp) member {
	if !found {
		return member{}
	}
	val := el.Val
	if c.typ == op.TypeZSet {
		val = scoreForm(el.Key, el.Val)
	}
	ext, flags := el.Ext, byte(0)
	one := cell{dot: founding, val: val}
	if len(ext) > 0 {
		flags, ext = ext[0], ext[1:]
	}
	if flags&extDeadline != 0 {
		one.dlMs, ext = int64(binary.LittleEndian.Uint64(ext)), ext[8:]
	}
	if flags&extComplex != 0 {
		return decodeMember(ext)
	}
	if flags&extDot != 0 {
		one.dot, ext = getStamp(ext)
	}
	one.dlDot = one.dot
	if flags&extDLDot != 0 {
		one.dlDot, _ = getStamp(ext)
	}
	return member{cells: []cell{one}}
}

func getStamp(b []byte) (clock.Stamp, []byte) {
	return clock.Stamp{At: clock.Reading(binary.BigEndian.Uint64(b)), Origin: clock.Origin(binary.BigEndian.Uint64(b[8:]))}, b[16:]
}

// appendExt encodes a member's annotation; deadlineMs is what clients see.
func (m *member) appendExt(dst []byte, deadlineMs int64) []byte {
	flags := byte(0)
	at := len(dst)
	dst = append(dst, 0)
	if deadlineMs != 0 {
		flags |= extDeadline
		dst = binary.LittleEndian.AppendUint64(dst, uint64(deadlineMs))
	}
	if len(m.cells) != 1 || len(m.runs.Subs)+len(m.runs.Floors) > 0 {
		dst[at] = flags | extComplex
		return m.append(dst)
	}
	c := &m.cells[0]
	flags |= extDot
	dst = clock.AppendStamp(dst, c.dot)
	if c.dlDot != c.dot {
		flags |= extDLDot
		dst = clock.AppendStamp(dst, c.dlDot)
	}
	dst[at] = flags
	return dst
}

func (m *member) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(m.cells)))
	for i := range m.cells {
		c := &m.cells[i]
		dst = clock.AppendStamp(clock.AppendStamp(dst, c.dot), c.dlDot)
		dst = binary.AppendVarint(dst, c.dlMs)
		dst = append(binary.AppendUvarint(dst, uint64(len(c.val))), c.val...)
	}
	runs := op.KeyState{Subs: m.runs.Subs, Floors: m.runs.Floors}
	return runs.Append(dst)
}

func decodeMember(b []byte) (m member) {
	d := op.NewOwnReader(b)
	n := d.Uvarint(math.MaxInt32)
	for i := uint64(0); i < n && !d.Bad(); i++ {
		m.cells = append(m.cells, cell{dot: d.Stamp(), dlDot: d.Stamp(), dlMs: d.Varint(), val: d.Bytes(math.MaxInt32)})
	}
	runs, err := op.DecodeOwnState(d.Rest())
	if d.Bad() || err != nil {
		return member{} // it came from a copy that was damaged
	}
	m.runs = runs
	return m
}

// clone makes m independent of the memory of the tree.
func (m *member) clone() {
	m.cells = slices.Clone(m.cells)
	for i := range m.cells {
		m.cells[i].val = bytes.Clone(m.cells[i].val)
	}
}

// top is the cell that clients see, or nil.
func (m *member) top() *cell {
	if len(m.cells) == 0 {
		return nil
	}
	return &m.cells[len(m.cells)-1]
}

// shown is the cell that clients see, deadlines aside, or nil. Who counted from
// missing after its deadline had found it expired, and may have reclaimed it
// without a word: then it is gone.
func (m *member) shown() *cell {
	top := m.top()
	if top != nil && top.dlMs != 0 && slices.ContainsFunc(m.runs.Subs, func(r op.Sub) bool {
		_, none := remainder(&m.runs, &r)
		return r.Lineage.IsZero() && r.Born.Ms() >= top.dlMs && !none
	}) {
		return nil
	}
	return top
}

// visible is what clients see of m in a collection of type typ.
func (m *member) visible(typ op.Type) (val []byte, deadlineMs int64, ok bool) {
	top := m.shown()
	var lineage clock.Stamp
	if top != nil {
		val, deadlineMs, ok, lineage = top.val, top.dlMs, true, top.dot
	}
	sum, counts := op.Num{}, false
	for i := range m.runs.Subs {
		r := &m.runs.Subs[i]
		if top != nil && r.Lineage != lineage {
			continue
		}
		if n, none := remainder(&m.runs, r); !none {
			sum, counts = sum.Add(n), true
		}
	}
	if !counts {
		return val, deadlineMs, ok
	}
	return addTo(typ, val, sum), deadlineMs, true
}

// addTo is a member's value with increments added to it.
func addTo(typ op.Type, val []byte, sum op.Num) []byte {
	if typ == op.TypeZSet {
		score := 0.0
		if len(val) == scoreLen {
			score = scoreOf(val)
		}
		f, _ := sum.BigFloat().Float64()
		if score += f; math.IsNaN(score) {
			score = 0
		}
		if score == 0 && len(val) == scoreLen && scoreOf(val) == 0 {
			return val // nothing was added, not even to the sign
		}
		return appendScore(nil, score)
	}
	if v, ok := parseInt(val); ok {
		sum = sum.Add(op.Int(v))
	} else if f, ok := ParseFloat(val); ok && !f.IsInf() {
		sum = sum.Add(op.Float(f))
	}
	if sum.IsFloat() {
		return FormatFloat(sum.BigFloat())
	}
	v, _ := sum.Clamp()
	return appendInt(nil, v)
}

// dots names the cells of m.
func (m *member) dots() []clock.Stamp {
	var list []clock.Stamp
	for i := range m.cells {
		list = append(list, m.cells[i].dot)
	}
	return list
}

// drop takes the cells away that dots names and cuts the runs at floors.
func (m *member) drop(dots []clock.Stamp, floors []op.Floor) {
	m.cells = slices.DeleteFunc(slices.Clone(m.cells), func(c cell) bool { return slices.Contains(dots, c.dot) })
	for i := range floors {
		m.cut(floors[i])
	}
}

func (m *member) cut(f op.Floor) { m.runs.Floors, _ = joinFloor(m.runs.Floors, f) }

// add gives m a cell.
func (m *member) add(c cell) {
	at, found := slices.BinarySearchFunc(m.cells, c.dot, func(a cell, dot clock.Stamp) int {
		switch {
		case a.dot.Less(dot):
			return -1
		case dot.Less(a.dot):
			return 1
		}
		return 0
	})
	if found {
		return
	}
	m.cells = slices.Insert(slices.Clip(m.cells), at, c)
}

// count takes in what an origin has counted.
func (m *member) count(run op.Sub) { m.runs.Subs, _ = joinSub(m.runs.Subs, run) }

// seenBy takes away the cells that gone says a DEL, a FLUSH or a copy had seen.
// What a removal had seen of runs it names by itself.
func (m *member) seenBy(gone func(clock.Stamp) bool) {
	m.cells = slices.DeleteFunc(slices.Clone(m.cells), func(c cell) bool { return gone(c.dot) })
}

// resolve replaces the provisional stamps of m.
func (m *member) resolve(first clock.Reading) {
	m.cells = slices.Clone(m.cells)
	for i := range m.cells {
		m.cells[i].dot.At = op.Resolve(m.cells[i].dot.At, first)
		m.cells[i].dlDot.At = op.Resolve(m.cells[i].dlDot.At, first)
	}
	m.runs.Subs, m.runs.Floors = slices.Clone(m.runs.Subs), slices.Clone(m.runs.Floors)
	resolve(&m.runs, first)
}

// merges reports whether the members have cells.
func (m *editing) merges() bool {
	return m.p.Merging && m.c.typ != op.TypeList
}

// load is what is known of a member, visible or not. It aliases the trees.
func (m *editing) load(name []byte) (st member, found bool) {
	el, _, found := m.c.find(name)
	if found {
		return m.c.state(el, true, m.e.foundingStamp()), true
	}
	if el, _, hidden := m.c.hidden.Find(name); hidden {
		return decodeMember(el.Val), false
	}
	return member{}, false
}

// save makes a member what st says.
func (m *editing) save(name []byte, st *member) {
	st.clone()
	if len(st.runs.Subs)+len(st.runs.Floors) > 0 {
		m.c.counts = true
	}
	if len(st.runs.Floors) > 0 {
		m.e.buryMember(m.s, m.db, m.x.key, name)
	}
	val, deadlineMs, ok := st.visible(m.c.typ)
	if ok {
		val = bytes.Clone(val)
		ext := st.appendExt(nil, deadlineMs)
		old, rank, found := m.c.find(name)
		switch m.c.typ {
		case op.TypeZSet:
			m.moveScored(m.c.locateScored(name), name, scoreOf(val), ext)
		case op.TypeStream:
			m.place(&m.c.main, rank, found, tree.Elem{Key: name, Val: val, Ext: ext})
		default:
			m.placeFound(op.Elem{Key: name, Val: val, Ext: ext}, old, rank, found)
		}
		m.hide(name, nil)
		return
	}
	if el, rank, found := m.c.find(name); found {
		m.takeAt(el, rank)
	}
	if len(st.runs.Subs)+len(st.runs.Floors) > 0 {
		m.hide(name, st.append(nil))
	} else {
		m.hide(name, nil)
	}
}

// hide keeps what is known of a member that is not visible; nil is nothing.
func (m *editing) hide(name, state []byte) {
	tr := &m.c.hidden
	_, rank, found := tr.Find(name)
	switch {
	case state != nil:
		m.place(tr, rank, found, tree.Elem{Key: name, Val: state})
	case found:
		m.remove(tr, rank)
	}
}

// floors names, for a write or removal, what had been seen of the runs.
func (m *member) floors() []op.Floor { return floorsOf(&m.runs) }

// mergePut is put where members have cells: a local write, whose op is emitted
// next and says what the write had seen.
func (m *editing) mergePut(el op.Elem) (added bool) {
	st, found := m.load(el.Key)
	m.sees, m.floors = st.dots(), st.floors()
	st.drop(m.sees, m.floors)
	dot := m.t.ops.Next()
	st.add(cell{dot: dot, val: el.Val, dlDot: dot, dlMs: fieldDeadline(el.Ext)})
	m.save(el.Key, &st)
	m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: bytes.Clone(el.Key)})
	return !found
}

// refresh writes a member again that is there, as el says it is: no client sees
// a change, but a removal that has not seen it leaves it.
func (m *editing) refresh(el op.Elem) {
	if m.merges() {
		m.mergePut(el)
		m.emitPut(op.Main, el)
		m.unseen()
	}
}

// unseen completes a change of one op that siblings and the disk have to know
// of, but no client.
func (m *editing) unseen() {
	m.t.edited(m.x).changed = true
	m.x.flags &^= fHasRow
	m.t.unseen++
}

// mergeTake is take where members have cells.
func (m *editing) mergeTake(name []byte) (had bool) {
	st, found := m.load(name)
	m.sees, m.floors = st.dots(), st.floors()
	st.drop(m.sees, m.floors)
	m.save(name, &st)
	return found
}

// unresolved is a member that waits for its batch's stamps.
type unresolved struct {
	m    *editing
	c    *content // of m then: it may have gone on to another type
	name []byte
	aux  bool // name is a key of the second tree
}

// turn makes m go on with the collection, and reports whether it is still there.
func (u *unresolved) turn() bool {
	u.m.c = u.c
	return u.m.x.holds(u.c) && !u.m.tb.dropped
}

// resolveMembers gives members the stamps of the committed batch.
func (t *Tx) resolveMembers() {
	if len(t.unresolved) == 0 {
		return
	}
	done := len(t.collUndo)
	for _, u := range t.unresolved {
		if !u.turn() {
			continue
		}
		if u.aux {
			u.m.resolveAux(u.name, t.first)
			continue
		}
		st, found := u.m.load(u.name)
		if !found && len(st.runs.Subs)+len(st.runs.Floors) == 0 {
			continue
		}
		st.resolve(t.first)
		u.m.save(u.name, &st)
	}
	t.collUndo = t.collUndo[:done]
	t.unresolved = reuse(t.unresolved)
}

// applyMember applies an op about a member that has cells.
func (m *editing) applyMember(o *op.Op) {
	st, _ := m.load(o.Elem.Key)
	switch o.Kind {
	case op.Put:
		st.drop(o.Sees, o.Floors)
		st.add(cell{dot: o.Stamp, val: o.Elem.Val, dlDot: o.Stamp, dlMs: fieldDeadline(o.Elem.Ext)})
	case op.Take:
		st.drop(o.Sees, o.Floors)
	case op.CountMember:
		st.count(o.Sub)
	case op.Expire:
		st.cells = slices.Clone(st.cells)
		for i := range st.cells {
			if c := &st.cells[i]; slices.Contains(o.Sees, c.dot) && c.dlDot.Less(o.Stamp) {
				c.dlDot, c.dlMs = o.Stamp, o.DeadlineMs
			}
		}
	}
	m.save(o.Elem.Key, &st)
}

// countMember adds delta to a member in this region's run.
func (m *editing) countMember(name []byte, delta op.Num) {
	st, _ := m.load(name)
	run := op.Sub{Origin: m.e.Origin(), Total: delta}
	if top := st.shown(); top != nil {
		run.Lineage = top.dot
	}
	born := clock.Stamp{}
	if at, found := slices.BinarySearchFunc(st.runs.Subs, run, op.CompareSubs); found {
		if _, none := remainder(&st.runs, &st.runs.Subs[at]); !none {
			run.Born = st.runs.Subs[at].Born
			run.Total = st.runs.Subs[at].Total.Add(delta)
			born = clock.Stamp{At: run.Born, Origin: run.Origin}
		}
	}
	s := m.t.emit(func(b *op.Builder) clock.Stamp {
		return b.CountMember(m.db, m.x.key, m.c.typ, name, run.Lineage, born, run.Total)
	})
	run.At = s.At
	if born.IsZero() {
		run.Born = s.At
	}
	st.count(run)
	m.save(name, &st)
	m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: bytes.Clone(name)})
}

// expireMember sets the deadline of a member that is there, 0 for none.
func (m *editing) expireMember(name []byte, ms int64) {
	st, _ := m.load(name)
	if len(st.cells) == 0 { // increments alone have no deadline: their sum becomes a value
		val, _, _ := st.visible(m.c.typ)
		el := op.Elem{Key: name, Val: bytes.Clone(val), Ext: appendDeadline(nil, ms)}
		m.mergePut(el)
		m.emitPut(op.Main, el)
		return
	}
	sees := st.dots()
	s := m.t.emit(func(b *op.Builder) clock.Stamp { return b.Expire(m.db, m.x.key, m.c.typ, name, ms, sees) })
	st.cells = slices.Clone(st.cells)
	for i := range st.cells {
		st.cells[i].dlDot, st.cells[i].dlMs = s, ms
	}
	m.save(name, &st)
	m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: bytes.Clone(name)})
}

// expireCells takes a field away whose deadline has passed, with all that was
// counted on it: no increment may show again what clients have seen end. Nor does
// one that is stamped later than the deadline, for stamps can be ahead of the
// clock, and who counts on a field that has expired takes it away first. It is an
// op where siblings may not take the same: a later removal, which will not name
// what was counted, may come to them before they reclaim the field; an older
// value, written at the same time, may come after they have.
func (m *editing) expireCells(name []byte) {
	st, _ := m.load(name)
	sees, floors := st.dots(), st.floors()
	st.drop(sees, floors)
	m.save(name, &st)
	if len(floors) > 0 || len(sees) > 1 {
		m.e.expire.ops.Take(m.db, m.x.key, m.c.typ, op.Main, name, op.Seen{Cells: sees, Floors: floors})
	}
}

// eachMember calls fn with every member, visible or hidden, and saves what it
// makes of it.
func (m *editing) eachMember(fn func(name []byte, st *member)) {
	for _, name := range m.names(func(tree.Elem) bool { return true }) {
		st, _ := m.load(name)
		fn(name, &st)
		m.save(name, &st)
	}
}

// dropSeen applies a DEL or FLUSH of an origin that had applied v.
func (m *editing) dropSeen(v clock.Vector) {
	if m.mergesList() {
		m.dropPlaces(m.covered(v))
		return
	}
	gone := m.covered(v)
	m.eachMember(func(_ []byte, st *member) { st.seenBy(gone) })
	if m.c.typ == op.TypeStream {
		m.dropMade(gone)
	}
}

// joinCopy takes in the collection of a copy whose source had applied v.
func (m *editing) joinCopy(from *op.Coll, v clock.Vector) {
	theirs, gone := map[string]bool{}, m.covered(v)
	take := func(name []byte, st member) {
		have, _ := m.load(name)
		have.seenBy(gone)
		have.runs = beyond(have.runs, v)
		for _, c := range st.cells {
			have.add(c)
		}
		for _, r := range st.runs.Subs {
			have.count(r)
		}
		for _, f := range st.runs.Floors {
			have.cut(f)
		}
		m.save(name, &have)
	}
	shape := content{typ: from.Type}
	for _, el := range from.Elem[op.Main] {
		name := el.Key
		if from.Type == op.TypeZSet {
			name = el.Key[scoreLen:]
		}
		theirs[string(name)] = true
		take(name, shape.state(tree.Elem(el), true, unstamped))
	}
	for _, el := range from.Elem[op.Hidden] {
		theirs[string(el.Key)] = true
		take(el.Key, decodeMember(el.Val))
	}
	m.eachMember(func(name []byte, st *member) {
		if !theirs[string(name)] {
			st.seenBy(gone)
			st.runs = beyond(st.runs, v)
		}
	})
	if from.Type == op.TypeStream {
		m.joinStream(from, gone)
	}
}

// addWhole gives members the values of a Whole op with the stamp dot. What was
// there before went with a Drop op.
func (m *editing) addWhole(whole *op.Coll, dot clock.Stamp) {
	for _, el := range whole.Elem[op.Main] {
		name, val := el.Key, el.Val
		if whole.Type == op.TypeZSet {
			name, val = el.Key[scoreLen:], scoreForm(el.Key, el.Val)
		}
		st, _ := m.load(name)
		st.add(cell{dot: dot, val: val, dlDot: dot, dlMs: fieldDeadline(el.Ext)})
		m.save(name, &st)
		if m.t != nil {
			m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: bytes.Clone(name)})
		}
	}
	if whole.Type == op.TypeStream {
		m.addStream(whole, dot)
	}
}

// dropAll removes, for a local DEL, all members. Where any counted, the content
// stays to know of their runs.
func (t *Tx) dropAll(u *undo) {
	var left []*content
	for _, c := range u.x.colls() {
		m := &editing{e: t.e, t: t, p: t.p, s: u.s, tb: u.t, db: u.db, x: u.x, c: c}
		if runs := t.runsLeft(m, u.t); runs != nil {
			left = append(left, runs)
		}
	}
	t.emitDrop(u)
	t.dropColls(u)
	if head, others := headOf(left); head != nil {
		t.setColls(u.x, head, others, left...)
	}
	t.unresolvedHidden(u)
}

// unresolvedHidden notes that hidden members of an entry may wait for stamps.
func (t *Tx) unresolvedHidden(u *undo) {
	for _, c := range u.x.colls() {
		m := &editing{e: t.e, t: t, p: t.p, s: u.s, tb: u.t, db: u.db, x: u.x, c: c}
		c.hidden.Ascend(0, func(el tree.Elem) bool {
			t.unresolved = append(t.unresolved, unresolved{m: m, c: m.c, name: bytes.Clone(el.Key)})
			return true
		})
	}
}

// runsLeft names, for a removal of the collection m, what it had seen of runs,
// and returns content for a table that knows of them; nil where there are none.
func (t *Tx) runsLeft(m *editing, in *table) *content {
	return m.runsLeft(in, func(name []byte, floors []op.Floor) {
		t.emit(func(b *op.Builder) clock.Stamp {
			return b.Take(m.db, m.x.key, m.c.typ, op.Main, name, op.Seen{Floors: floors})
		})
	})
}

// runsLeft gives tell the members that counted, and how far.
func (m *editing) runsLeft(in *table, tell func(name []byte, floors []op.Floor)) *content {
	if !m.merges() {
		return nil
	}
	var left *content
	for _, name := range m.counting() {
		st, _ := m.load(name)
		if len(st.runs.Subs)+len(st.runs.Floors) == 0 {
			continue
		}
		floors := st.floors()
		tell(name, floors)
		st.drop(st.dots(), floors)
		if left == nil {
			left = newContent(in.arena, m.c.typ)
		}
		rank, _ := left.hidden.Seek(name)
		left.hidden.Insert(rank, tree.Elem{Key: name, Val: st.append(nil)})
		m.e.buryMember(m.s, m.db, m.x.key, name)
	}
	return left
}

// counting lists the members that may have runs.
func (m *editing) counting() [][]byte {
	return m.names(func(el tree.Elem) bool { return len(el.Ext) > 0 && el.Ext[0]&extComplex != 0 })
}

// names lists the visible members that are wanted, and all hidden ones.
func (m *editing) names(wanted func(tree.Elem) bool) (names [][]byte) {
	m.c.main.Ascend(0, func(el tree.Elem) bool {
		if wanted(el) {
			names = append(names, bytes.Clone(m.c.memberOf(el.Key)))
		}
		return true
	})
	m.c.hidden.Ascend(0, func(el tree.Elem) bool {
		names = append(names, bytes.Clone(el.Key))
		return true
	})
	return names
}

// beyond takes away, at the end of a copy that lacks the key, what v covers.
func (m *editing) beyond(v clock.Vector) {
	if m.c == nil {
		return
	}
	if m.mergesList() {
		m.dropPlaces(m.covered(v))
	} else {
		gone := m.covered(v)
		m.eachMember(func(_ []byte, st *member) {
			st.seenBy(gone)
			st.runs = beyond(st.runs, v)
		})
		if m.c.typ == op.TypeStream {
			m.dropMade(gone)
		}
	}
	if m.c != nil && m.c.empty() {
		m.drop()
	}
}

// contentSum is a hash over what clients can read of a collection, whatever the
// form it is kept in. Fields whose deadline has passed are gone for clients.
func (c *content) contentSum(nowMs int64) uint64 {
	sum := xxh3.Hash([]byte{byte(c.typ)})
	var buf []byte
	add := func(name, val []byte, deadlineMs int64, at int) {
		buf = binary.AppendUvarint(buf[:0], uint64(at))
		buf = append(binary.AppendUvarint(buf, uint64(len(name))), name...)
		buf = append(binary.AppendUvarint(buf, uint64(len(val))), val...)
		buf = binary.AppendVarint(buf, deadlineMs)
		sum += xxh3.Hash(buf) // a sum: the order of the walk does not matter
	}
	at := 0
	c.main.Ascend(0, func(el tree.Elem) bool {
		if c.typ == op.TypeList {
			at++
		}
		val := el.Val
		if c.typ == op.TypeStream && len(val) > 0 {
			val = val[1:] // where nodes begin is each region's own
		}
		if !expiredField(el.Ext, nowMs) {
			add(c.memberOf(el.Key), val, fieldDeadline(el.Ext), at)
		}
		if c.typ == op.TypeZSet {
			add(el.Key, nil, 0, 0)
		}
		return true
	})
	if c.typ == op.TypeStream {
		c.each([]byte{auxGroup}, []byte{auxGroup}, func(el tree.Elem) bool {
			g := groupOf(el)
			add(el.Key, g.Last.append(nil), g.Read, -1) // no entry is there
			return true
		})
	}
	return sum
}

// date makes an exported collection say of every member when it was written: one
// without a stamp reads as written at this region's founding, and whoever takes
// it in has another.
func (e *Engine) date(c *op.Coll) {
	founding := e.foundingStamp()
	for i := range c.Elem[op.Main] {
		el := &c.Elem[op.Main][i]
		switch {
		case c.Type == op.TypeList:
			if len(el.Ext) == 0 {
				el.Ext = placeExt(founding, founding, component(firstDigit+uint64(i)*digitStep, 0, 0, 0))
			}
		case len(el.Ext) == 0 || el.Ext[0]&(extDot|extComplex) == 0:
			ms := fieldDeadline(el.Ext)
			m := member{cells: []cell{{dot: founding, dlDot: founding, dlMs: ms}}}
			el.Ext = m.appendExt(nil, ms)
		}
	}
	if c.Type == op.TypeStream {
		dateStream(c, founding)
	}
}
