package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file merges lists, where siblings are configured. Each element has a
// place, a byte string that no other element ever has, and stands in the order
// of places: so all pushes are kept, in one order everywhere. A place is made of
// components, each smaller or greater than its neighbours' by its digit; who
// makes several elements in one command gives them one digit and number, so that
// they stay together. A removal names places, or what was pushed when; as batches
// arrive in causal order nothing has to be remembered of them. The annotation of
// an element is the stamp of its push, that of its value (LSET), and its place.

const (
	extPlace   = 0x10
	placeHead  = 1 + 16 + 16 // of an annotation: flag and stamps
	digitLen   = 8
	placeLen   = digitLen + 8 + 8 + 4 // digit, origin, number, place in the command
	firstDigit = 1 << 63
	digitStep  = 1 << 32
)

// mergesList reports whether the elements have places.
func (m *editing) mergesList() bool { return m.p.Merging && m.c.typ == op.TypeList }

func placeExt(pushed, set clock.Stamp, place []byte) []byte {
	return append(clock.AppendStamp(clock.AppendStamp([]byte{extPlace}, pushed), set), place...)
}

func placeOf(ext []byte) []byte { return ext[placeHead:] }

// placeStamps are the stamps of an element's push and of its value.
func placeStamps(ext []byte) (pushed, set clock.Stamp) {
	pushed, ext = getStamp(ext[1:])
	set, _ = getStamp(ext)
	return pushed, set
}

func component(digit uint64, origin clock.Origin, number uint64, nth int) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, placeLen), digit)
	b = binary.BigEndian.AppendUint64(b, uint64(origin))
	b = binary.BigEndian.AppendUint64(b, number)
	return binary.BigEndian.AppendUint32(b, uint32(nth))
}

func digitOf(component []byte) uint64 { return binary.BigEndian.Uint64(component) }

// between is what to put before a new component, and its digit, for places
// between two others, of which either may be missing.
func between(left, right []byte) (prefix []byte, digit uint64) {
	switch {
	case left == nil && right == nil:
		return nil, firstDigit
	case right == nil:
		return nil, digitOf(left) + digitStep
	case left == nil:
		return nil, digitOf(right) - digitStep
	}
	if l, r := digitOf(left), digitOf(right); r-l > 1 {
		return nil, l + (r-l)/2
	}
	if bytes.HasPrefix(right, left) {
		return left, digitOf(right[len(left):]) - digitStep
	}
	return left, firstDigit
}

// givePlaces gives the elements of a list from before the first sibling their
// places, the same in every region that has the list.
func (m *editing) givePlaces() {
	n := m.c.main.Len()
	if n == 0 || len(m.c.main.At(0).Ext) > 0 {
		return
	}
	founding := m.e.foundingStamp()
	for i := range n {
		val := bytes.Clone(m.c.main.At(i).Val)
		place := component(firstDigit+uint64(i)*digitStep, 0, 0, 0)
		m.replace(&m.c.main, i, tree.Elem{Val: val, Ext: placeExt(founding, founding, place)})
	}
}

// find is where the element with a place is, or would be.
func (m *editing) findPlace(place []byte) (rank int, found bool) {
	m.givePlaces()
	n := m.c.main.Len()
	rank = sort.Search(n, func(i int) bool { return bytes.Compare(placeOf(m.c.main.At(i).Ext), place) >= 0 })
	return rank, rank < n && bytes.Equal(placeOf(m.c.main.At(rank).Ext), place)
}

// newPlaces are places for n elements before index i, in order.
func (m *editing) newPlaces(i, n int) [][]byte {
	m.givePlaces()
	var left, right []byte
	if i > 0 {
		left = bytes.Clone(placeOf(m.c.main.At(i - 1).Ext))
	}
	if i < m.c.main.Len() {
		right = placeOf(m.c.main.At(i).Ext)
	}
	prefix, digit := between(left, right)
	number := m.e.rand.Uint64()
	places := make([][]byte, n)
	for j := range places {
		places[j] = append(slices.Clip(prefix), component(digit, m.e.Origin(), number, j)...)
	}
	return places
}

// mergeInsert puts vals, in their order, before index i, and tells the log.
func (m *editing) mergeInsert(i int, vals [][]byte) {
	for j, place := range m.newPlaces(i, len(vals)) {
		dot := m.t.ops.Next()
		m.listInsert(i+j, op.Elem{Val: vals[j], Ext: placeExt(dot, dot, place)})
		m.emitPut(op.Main, op.Elem{Key: place, Val: vals[j]})
		m.t.unplaced = append(m.t.unplaced, unresolved{m: m, c: m.c, name: place})
	}
}

// mergeCut removes n elements from index i on, and tells the log.
func (m *editing) mergeCut(i, n int) {
	m.givePlaces()
	for j := range n {
		place := bytes.Clone(placeOf(m.c.main.At(i + j).Ext))
		m.emitTake(op.Main, place)
	}
	m.listCut(i, n)
}

// mergeSet replaces the element at index i, and tells the log.
func (m *editing) mergeSet(i int, val []byte) {
	m.givePlaces()
	was := m.c.main.At(i).Ext
	place := bytes.Clone(placeOf(was))
	pushed, set := placeStamps(was)
	m.sees = []clock.Stamp{set}
	m.replace(&m.c.main, i, tree.Elem{Val: val, Ext: placeExt(pushed, m.t.ops.Next(), place)})
	m.emitPut(op.Main, op.Elem{Key: place, Val: val})
	m.t.unplaced = append(m.t.unplaced, unresolved{m: m, c: m.c, name: place})
}

// resolvePlaces gives elements the stamps of the committed batch.
func (t *Tx) resolvePlaces() {
	done := len(t.collUndo)
	for _, u := range t.unplaced {
		if !u.turn() {
			continue
		}
		if rank, found := u.m.findPlace(u.name); found {
			el := u.m.c.main.At(rank)
			pushed, set := placeStamps(el.Ext)
			pushed.At, set.At = op.Resolve(pushed.At, t.first), op.Resolve(set.At, t.first)
			u.m.replace(&u.m.c.main, rank, tree.Elem{Val: bytes.Clone(el.Val), Ext: placeExt(pushed, set, u.name)})
		}
	}
	t.collUndo = t.collUndo[:done]
	t.unplaced = reuse(t.unplaced)
}

// applyElement applies an op about an element that has a place.
func (m *editing) applyElement(o *op.Op) {
	rank, found := m.findPlace(o.Elem.Key)
	switch {
	case o.Kind == op.Take && found:
		m.listCut(rank, 1)
	case o.Kind != op.Put:
	case !found && len(o.Sees) == 0:
		m.listInsert(rank, op.Elem{Val: o.Elem.Val, Ext: placeExt(o.Stamp, o.Stamp, o.Elem.Key)})
	case found && len(o.Sees) > 0:
		// LSET: the later one stays, and one of a removed element is lost.
		if pushed, set := placeStamps(m.c.main.At(rank).Ext); set.Less(o.Stamp) {
			m.replace(&m.c.main, rank, tree.Elem{Val: o.Elem.Val, Ext: placeExt(pushed, o.Stamp, o.Elem.Key)})
		}
	}
}

// addList gives a list the elements of a Whole op, which come with their places.
func (m *editing) addList(whole *op.Coll, dot clock.Stamp) {
	for _, el := range whole.Elem[op.Main] {
		if len(el.Ext) < placeHead {
			continue
		}
		place := placeOf(el.Ext)
		if rank, found := m.findPlace(place); !found {
			m.listInsert(rank, op.Elem{Val: el.Val, Ext: placeExt(dot, dot, place)})
			if m.t != nil {
				m.t.unplaced = append(m.t.unplaced, unresolved{m: m, c: m.c, name: bytes.Clone(place)})
			}
		}
	}
}

// placed gives the elements of a list that is stated whole their places.
func (m *editing) placed(whole op.Coll) op.Coll {
	els := slices.Clone(whole.Elem[op.Main])
	number := m.e.rand.Uint64()
	for i := range els {
		els[i].Ext = placeExt(clock.Stamp{}, clock.Stamp{}, component(firstDigit+uint64(i)*digitStep, m.e.Origin(), number, 0))
	}
	whole.Elem[op.Main] = els
	return whole
}

// dropPlaces removes the elements whose dots gone covers.
func (m *editing) dropPlaces(gone func(clock.Stamp) bool) {
	m.givePlaces()
	for i := m.c.main.Len() - 1; i >= 0; i-- {
		if pushed, _ := placeStamps(m.c.main.At(i).Ext); gone(pushed) {
			m.listCut(i, 1)
		}
	}
}

// covered is what a removal that had applied v has seen.
func (m *editing) covered(v clock.Vector) func(clock.Stamp) bool {
	founding := m.e.foundingStamp()
	return func(s clock.Stamp) bool { return v.Covers(s) || s == founding || s == unstamped }
}

// joinList takes in the list of a copy whose source had applied v.
func (m *editing) joinList(from *op.Coll, v clock.Vector) {
	other := editing{e: m.e, p: m.p, s: m.s, tb: m.tb, db: m.db, x: &entry{}}
	other.build(from)
	other.givePlaces()
	theirs := map[string]bool{}
	other.c.main.Ascend(0, func(el tree.Elem) bool {
		theirs[string(placeOf(el.Ext))] = true
		return true
	})
	m.givePlaces()
	gone := m.covered(v)
	for i := m.c.main.Len() - 1; i >= 0; i-- {
		ext := m.c.main.At(i).Ext
		if pushed, _ := placeStamps(ext); gone(pushed) && !theirs[string(placeOf(ext))] {
			m.listCut(i, 1)
		}
	}
	for i := range other.c.main.Len() {
		el := other.c.main.At(i)
		val, ext := bytes.Clone(el.Val), bytes.Clone(el.Ext)
		rank, found := m.findPlace(placeOf(ext))
		if !found {
			m.listInsert(rank, op.Elem{Val: val, Ext: ext})
			continue
		}
		_, here := placeStamps(m.c.main.At(rank).Ext)
		if _, there := placeStamps(ext); here.Less(there) {
			m.replace(&m.c.main, rank, tree.Elem{Val: val, Ext: ext})
		}
	}
	m.tb.free(other.c)
}
