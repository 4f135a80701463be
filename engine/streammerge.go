package engine

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file merges streams, where siblings are configured. Entries are members
// like those of a hash (cells.go): of two with one id the later one shows, and a
// removal takes only what it had seen. Last id and counts only grow. Consumers and
// what is pending at them belong to the region that delivers.
//
// That a stream was made is a dot, too, which the removal of the stream takes: so
// one without entries is there in every region, or in none. The dots of a stream
// lie in its second tree, under auxMade. A stream from before the first sibling has
// no such element; one of which only entries are left that a removal had not seen
// has one without dots.
//
// A group has cells: a dot for each XGROUP CREATE or SETID, and how far the group
// has come since. Who reads moves the cells that it sees, forward only; DESTROY
// takes them, and a group without cells is gone. So a removal wins over what reads
// at the same time, and the farthest position holds.

// mergesStream reports whether this is a stream whose entries have cells.
func (m *editing) mergesStream() bool { return m.p.Merging && m.c.typ == op.TypeStream }

// Own is the least id from id on that this region may give by itself: where
// siblings are configured the low 16 bits of the number are the region's, so
// that no two give one id. ok is false where there is none.
func (e *StreamEdit) Own(id StreamID) (own StreamID, ok bool) {
	if !e.m.mergesStream() {
		return id, true
	}
	const mask = 1<<16 - 1
	region := uint64(e.m.e.Origin().Region())
	own = StreamID{id.Ms, id.Seq&^mask | region}
	if own.Seq >= id.Seq && !own.IsZero() {
		return own, true
	}
	if own.Seq > math.MaxUint64-mask-1 {
		return StreamID{id.Ms + 1, region}, id.Ms != math.MaxUint64
	}
	own.Seq += mask + 1
	return own, true
}

// groupCell is a position of a group since it was made or set.
type groupCell struct {
	dot  clock.Stamp
	last StreamID
	read int64
}

// move takes in a position, if it is a farther one.
func (c *groupCell) move(last StreamID, read int64) {
	if by := last.Compare(c.last); by > 0 || by == 0 && read > c.read {
		c.last, c.read = last, read
	}
}

// groupCellsOf are the cells of a group.
func groupCellsOf(el tree.Elem, founding clock.Stamp) (cells []groupCell) {
	if len(el.Ext) == 0 {
		g := groupOf(el)
		return []groupCell{{founding, g.Last, g.Read}}
	}
	for b := el.Ext; len(b) > stampBytes+streamIDLen; {
		var c groupCell
		c.dot, b = getStamp(b)
		c.last = streamIDOf(b)
		c.read, b = readVarint(b[streamIDLen:])
		cells = append(cells, c)
	}
	return cells
}

const stampBytes = 16

func appendGroupCells(dst []byte, cells []groupCell) []byte {
	for _, c := range cells {
		dst = binary.AppendVarint(c.last.append(clock.AppendStamp(dst, c.dot)), c.read)
	}
	return dst
}

// groupCells are the cells of the group under a key of the second tree, none
// where it is not there.
func (m *editing) groupCells(key []byte) []groupCell {
	el, _, found := m.c.aux.Find(key)
	if !found {
		return nil
	}
	return groupCellsOf(el, m.e.foundingStamp())
}

// seeGroup notes what the op that comes next has seen of a group.
func (m *editing) seeGroup(cells []groupCell) {
	m.sees = nil
	for _, c := range cells {
		m.sees = append(m.sees, c.dot)
	}
}

func withoutDots(cells []groupCell, gone func(clock.Stamp) bool) []groupCell {
	return slices.DeleteFunc(cells, func(c groupCell) bool { return gone(c.dot) })
}

func addGroupCell(cells []groupCell, c groupCell) []groupCell {
	if slices.ContainsFunc(cells, func(have groupCell) bool { return have.dot == c.dot }) {
		return cells
	}
	return append(cells, c)
}

// saveGroup makes the group under a key what its cells say. A new one gets the
// number ref.
func (m *editing) saveGroup(key []byte, cells []groupCell, ref uint32) {
	have, rank, found := m.c.aux.Find(key)
	switch {
	case len(cells) == 0:
		m.takeAux(key)
		return
	case found:
		ref = groupOf(have).ref // consumers hang on it
	}
	farthest := cells[0]
	for _, c := range cells[1:] {
		farthest.move(c.last, c.read)
	}
	g := StreamGroup{Last: farthest.last, Read: farthest.read, ref: ref}
	m.place(&m.c.aux, rank, found, tree.Elem{Key: key, Val: g.val(nil), Ext: appendGroupCells(nil, cells)})
}

// groupMade, in the annotation of a Put op, says that the group is made or set,
// not read from.
const groupMade = 1

// applyGroup applies an op about a group.
func (m *editing) applyGroup(o *op.Op) {
	if o.Kind == op.Put && !validStreamElem(op.Aux, o.Elem) {
		return
	}
	cells := m.groupCells(o.Elem.Key)
	seen := func(dot clock.Stamp) bool { return slices.Contains(o.Sees, dot) }
	if o.Kind == op.Take {
		m.saveGroup(o.Elem.Key, withoutDots(cells, seen), 0)
		return
	}
	g := groupOf(tree.Elem(o.Elem))
	if len(o.Elem.Ext) > 0 && o.Elem.Ext[0] == groupMade {
		cells = addGroupCell(withoutDots(cells, seen), groupCell{o.Stamp, g.Last, g.Read})
	}
	for i := range cells {
		if seen(cells[i].dot) {
			cells[i].move(g.Last, g.Read)
		}
	}
	m.saveGroup(o.Elem.Key, cells, g.ref)
}

// made are the dots of a stream.
func (c *content) made(founding clock.Stamp) (dots []clock.Stamp) {
	el, _, found := c.aux.Find([]byte{auxMade})
	if !found {
		return []clock.Stamp{founding}
	}
	return madeDots(el.Ext)
}

func madeDots(ext []byte) (dots []clock.Stamp) {
	for b := ext; len(b) >= stampBytes; {
		var dot clock.Stamp
		dot, b = getStamp(b)
		dots = append(dots, dot)
	}
	return dots
}

// saveMade gives a stream its dots.
func (m *editing) saveMade(dots []clock.Stamp) {
	var ext []byte
	for _, dot := range dots {
		ext = clock.AppendStamp(ext, dot)
	}
	_, rank, found := m.c.aux.Find([]byte{auxMade})
	m.place(&m.c.aux, rank, found, tree.Elem{Key: []byte{auxMade}, Ext: ext})
}

// addMade gives a stream one more dot.
func (m *editing) addMade(dot clock.Stamp) {
	if dots := m.c.made(m.e.foundingStamp()); !slices.Contains(dots, dot) {
		m.saveMade(append(dots, dot))
	}
}

// stampStream makes a dot for a stream that the tx has made, and tells the log.
func (m *editing) stampStream() {
	m.saveMade([]clock.Stamp{m.t.ops.Next()})
	m.emitPut(op.Aux, op.Elem{Key: []byte{auxMade}})
	m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: []byte{auxMade}, aux: true})
}

// newStream is an empty stream that no region is known to have made.
func newStream(c *content) *content {
	if c.typ == op.TypeStream {
		c.aux.Insert(0, tree.Elem{Key: []byte{auxMade}})
	}
	return c
}

// over reports whether nothing is left of a stream: no entry, no group, no dot.
func (c *content) over() bool {
	if c.main.Len() > 0 || c.aux.Len() != 1 {
		return false
	}
	el := c.aux.At(0)
	return el.Key[0] == auxMade && len(el.Ext) == 0
}

// groupKeys lists the groups of a stream by their keys.
func (c *content) groupKeys() (keys [][]byte) {
	c.each([]byte{auxGroup}, []byte{auxGroup}, func(el tree.Elem) bool {
		keys = append(keys, bytes.Clone(el.Key))
		return true
	})
	return keys
}

// dropMade takes what gone says from the dots of a stream and its groups.
func (m *editing) dropMade(gone func(clock.Stamp) bool) {
	m.saveMade(slices.DeleteFunc(m.c.made(m.e.foundingStamp()), gone))
	for _, key := range m.c.groupKeys() {
		m.saveGroup(key, withoutDots(m.groupCells(key), gone), 0)
	}
}

// resolveAux gives what lies in the second tree the stamps of the committed batch.
func (m *editing) resolveAux(key []byte, first clock.Reading) {
	el, _, found := m.c.aux.Find(key)
	switch {
	case !found:
	case key[0] == auxMade:
		dots := madeDots(el.Ext)
		for i := range dots {
			dots[i].At = op.Resolve(dots[i].At, first)
		}
		m.saveMade(dots)
	default:
		cells := m.groupCells(key)
		for i := range cells {
			cells[i].dot.At = op.Resolve(cells[i].dot.At, first)
		}
		m.saveGroup(key, cells, 0)
	}
}

// streamBirth is the birth of a stream without entries: that of its oldest dot.
func (c *content) streamBirth(founding clock.Stamp) (oldest clock.Stamp) {
	if _, _, found := c.aux.Find([]byte{auxMade}); !found {
		return founding
	}
	c.aux.Ascend(0, func(el tree.Elem) bool {
		oldest = earlier(oldest, auxBirth(el, founding))
		return el.Key[0] <= auxMade // which comes last
	})
	return oldest
}

// auxBirth is the oldest dot of an element of a stream's second tree, zero for one
// without dots.
func auxBirth(el tree.Elem, founding clock.Stamp) (oldest clock.Stamp) {
	switch el.Key[0] {
	case auxMade:
		for _, dot := range madeDots(el.Ext) {
			oldest = earlier(oldest, dot)
		}
	case auxGroup:
		for _, g := range groupCellsOf(el, founding) {
			oldest = earlier(oldest, g.dot)
		}
	}
	return oldest
}

// applyStream applies an op of a sibling, or of the log, about what a stream
// knows beside its entries.
func (m *editing) applyStream(o *op.Op) {
	switch {
	case o.Kind == op.Meta || len(o.Elem.Key) == 0:
	case o.Elem.Key[0] == auxGroup:
		m.applyGroup(o)
		return
	case o.Elem.Key[0] == auxMade:
		m.addMade(o.Stamp)
		return
	}
	if o.Stamp.Origin.Region() == m.e.Origin().Region() { // its own log
		switch o.Kind {
		case op.Meta:
			m.setMeta(bytes.Clone(o.Raw))
		case op.Put:
			m.putStream(op.Aux, o.Elem)
		case op.Take:
			m.takeAux(o.Elem.Key)
		}
		return
	}
	switch {
	case o.Kind == op.Meta:
		m.growMeta(o.Raw)
	case len(o.Elem.Key) > 0 && o.Elem.Key[0] == auxPending && o.Kind == op.Take:
		// What was acknowledged elsewhere is not waited for here.
		m.takeAux(o.Elem.Key)
	}
}

// growMeta takes in what another region knows of the stream. How entries lie in
// nodes is this one's affair.
func (m *editing) growMeta(raw []byte) {
	here, there := decodeStreamMeta(m.c.meta), decodeStreamMeta(raw)
	if here.last.Compare(there.last) < 0 {
		here.last = there.last
	}
	if here.maxDeleted.Compare(there.maxDeleted) < 0 {
		here.maxDeleted = there.maxDeleted
	}
	here.added = max(here.added, there.added)
	here.nodes, here.tailEntries = max(here.nodes, 1), tailFull
	m.setMeta(here.encode())
}

// addStream gives a stream what a Whole op with the stamp dot says beside the
// entries.
func (m *editing) addStream(whole *op.Coll, dot clock.Stamp) {
	m.addMade(dot)
	for _, el := range whole.Elem[op.Aux] {
		if len(el.Key) > 0 && el.Key[0] == auxGroup && validStreamElem(op.Aux, el) {
			g := groupOf(tree.Elem(el))
			m.saveGroup(el.Key, addGroupCell(m.groupCells(el.Key), groupCell{dot, g.Last, g.Read}), g.ref)
		}
	}
	m.growMeta(whole.Meta)
}

// joinStream takes in what a copy says of a stream beside the entries. gone is
// what its source had seen.
func (m *editing) joinStream(from *op.Coll, gone func(clock.Stamp) bool) {
	m.dropMade(gone)
	for _, el := range from.Elem[op.Aux] {
		switch {
		case len(el.Key) == 0:
		case el.Key[0] == auxMade:
			for _, dot := range madeDots(el.Ext) {
				m.addMade(dot)
			}
		case el.Key[0] == auxGroup && validStreamElem(op.Aux, el):
			cells := m.groupCells(el.Key)
			for _, c := range groupCellsOf(tree.Elem(el), unstamped) {
				cells = addGroupCell(cells, c)
				for i := range cells {
					if cells[i].dot == c.dot {
						cells[i].move(c.last, c.read)
					}
				}
			}
			m.saveGroup(el.Key, cells, groupOf(tree.Elem(el)).ref)
		}
	}
	m.growMeta(from.Meta)
}

// dateStream is Engine.date for what a stream has beside its entries.
func dateStream(c *op.Coll, founding clock.Stamp) {
	aux := c.Elem[op.Aux]
	for i := range aux {
		if el := &aux[i]; el.Key[0] == auxGroup && len(el.Ext) == 0 {
			el.Ext = appendGroupCells(nil, groupCellsOf(tree.Elem(*el), founding))
		}
	}
	at, found := slices.BinarySearchFunc(aux, []byte{auxMade}, func(el op.Elem, key []byte) int { return bytes.Compare(el.Key, key) })
	if !found {
		c.Elem[op.Aux] = slices.Insert(aux, at, op.Elem{Key: []byte{auxMade}, Ext: clock.AppendStamp(nil, founding)})
	}
}

// stampEntries gives the entries of a stream that was stated whole by this tx,
// and what else has dots, the stamp of that op.
func (m *editing) stampEntries(dot clock.Stamp) {
	m.saveMade([]clock.Stamp{dot})
	keys := append(m.c.groupKeys(), []byte{auxMade})
	for _, key := range keys {
		if key[0] == auxGroup {
			cells := m.groupCells(key)
			cells[0].dot = dot
			m.saveGroup(key, cells, 0)
		}
		m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: key, aux: true})
	}
	ext := (&member{cells: []cell{{dot: dot, dlDot: dot}}}).appendExt(nil, 0)
	for i := range m.c.main.Len() {
		el := m.c.main.At(i)
		id := bytes.Clone(el.Key)
		m.replace(&m.c.main, i, tree.Elem{Key: id, Val: bytes.Clone(el.Val), Ext: ext})
		m.t.unresolved = append(m.t.unresolved, unresolved{m: m, c: m.c, name: id})
	}
}
