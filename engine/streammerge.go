package engine

import (
	"bytes"

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
		m.putStream(op.Aux, o.Elem)
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
		if validStreamElem(op.Aux, el) && el.Key[0] == auxGroup {
			m.putAux(el)
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
		m.t.unresolved = append(m.t.unresolved, unresolved{m, id})
	}
}
