package engine

import (
	"bytes"
	"math"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file merges streams, where siblings are configured. Entries are members
// like those of a hash (cells.go): of two with one id the later one shows, and a
// removal takes only what it had seen. What a stream knows beside them only
// grows. Groups are known everywhere; consumers and what is pending at them
// belong to the region that delivers. Whether a stream without entries is there
// is each region's own, and no part of the digest.

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

// putGroup takes in what another region says of a group: of two positions the
// farther one holds, for what was read anywhere is read.
func (m *editing) putGroup(el op.Elem) {
	if !validStreamElem(op.Aux, el) {
		return
	}
	if have, _, found := m.c.aux.Find(el.Key); found {
		here, there := groupOf(have), groupOf(tree.Elem(el))
		if c := there.Last.Compare(here.Last); c < 0 || c == 0 && there.Read <= here.Read {
			return
		}
		there.ref = here.ref // consumers hang on it
		el.Val = there.val(nil)
	}
	m.putAux(el)
}

// applyStream applies an op of a sibling, or of the log, about what a stream
// knows beside its entries.
func (m *editing) applyStream(o *op.Op) {
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
	case len(o.Elem.Key) == 0:
	case o.Elem.Key[0] == auxGroup && o.Kind == op.Put:
		m.putGroup(o.Elem)
	case o.Elem.Key[0] == auxGroup || o.Elem.Key[0] == auxPending && o.Kind == op.Take:
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

// addStream gives a stream what a Whole op says beside the entries.
func (m *editing) addStream(whole *op.Coll) {
	for _, el := range whole.Elem[op.Aux] {
		if len(el.Key) > 0 && el.Key[0] == auxGroup {
			m.putGroup(el)
		}
	}
	m.growMeta(whole.Meta)
}

// stampEntries gives the entries of a stream that was stated whole by this tx
// the stamp of that op.
func (m *editing) stampEntries(dot clock.Stamp) {
	ext := (&member{cells: []cell{{dot: dot, dlDot: dot}}}).appendExt(nil, 0)
	for i := range m.c.main.Len() {
		el := m.c.main.At(i)
		id := bytes.Clone(el.Key)
		m.replace(&m.c.main, i, tree.Elem{Key: id, Val: bytes.Clone(el.Val), Ext: ext})
		m.t.unresolved = append(m.t.unresolved, unresolved{m, m.c, id})
	}
}
