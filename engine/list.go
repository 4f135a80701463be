package engine

import (
	"bytes"
	"slices"

	"geocache/op"
	"geocache/tree"
)

// Elements is a list as a tx sees it. It is valid until the tx changes the key
// or ends; the slices it hands out are, too.
type Elements content

// List is the list under k, nil for a missing key. It counts as a read.
func (t *Tx) List(k Key) (*Elements, error) { return elements(t.collection(k, op.TypeList)) }

// ListToEdit is List for a command that goes on to change k: it leaves recency
// and hit counters alone.
func (t *Tx) ListToEdit(k Key) (*Elements, error) { return elements(t.present(k, op.TypeList)) }

func elements(c *content, err error) (*Elements, error) {
	return (*Elements)(c), err
}

// Len is the number of elements, 0 for nil.
func (l *Elements) Len() int {
	if l == nil {
		return 0
	}
	return l.main.Len()
}

// At is the element at an index from 0, which must be there.
func (l *Elements) At(i int) []byte { return l.main.At(i).Val }

// Ascend visits elements from an index to the end until fn is false.
func (l *Elements) Ascend(i int, fn func(val []byte) bool) {
	l.main.Ascend(i, func(el tree.Elem) bool { return fn(el.Val) })
}

// Values visits n elements from an index on, which must be there.
func (l *Elements) Values(i, n int, fn func(val []byte)) { l.main.Values(i, n, fn) }

// Descend visits elements from an index to the start until fn is false.
func (l *Elements) Descend(i int, fn func(val []byte) bool) {
	l.main.Descend(i, func(el tree.Elem) bool { return fn(el.Val) })
}

// ListInsert puts vals, in their order, before the element that has the index
// i; i may be the length. It returns the new length. What the key held before
// must be a list or nothing.
func (t *Tx) ListInsert(k Key, i int, vals ...[]byte) (length int, err error) {
	m, err := t.change(k, op.TypeList)
	if err != nil {
		return 0, err
	}
	if m.mergesList() {
		m.mergeInsert(i, vals)
	} else {
		for n, val := range vals {
			m.listInsert(i+n, op.Elem{Val: val})
			m.emitInsert(i+n, op.Elem{Val: val})
		}
	}
	length = m.c.main.Len()
	m.done(k)
	return length, nil
}

// ListPush is ListInsert of each val at the same end, one after the other, so
// that the last one is the outermost.
func (t *Tx) ListPush(k Key, end End, vals ...[]byte) (length int, err error) {
	m, err := t.change(k, op.TypeList)
	if err != nil {
		return 0, err
	}
	switch {
	case m.mergesList() && end == Left:
		back := slices.Clone(vals)
		slices.Reverse(back)
		m.mergeInsert(0, back)
		vals = nil
	case m.mergesList():
		m.mergeInsert(m.c.main.Len(), vals)
		vals = nil
	}
	for _, val := range vals {
		at := 0
		if end == Right {
			at = m.c.main.Len()
		}
		m.listInsert(at, op.Elem{Val: val})
		m.emitInsert(at, op.Elem{Val: val})
	}
	length = m.c.main.Len()
	m.done(k)
	return length, nil
}

// End is an end of a list.
type End uint8

const (
	Left End = iota
	Right
)

// Span is elements of a list that stand together.
type Span struct{ At, Len int }

// ListRemove removes spans, which must be there, hold something and come in
// descending order.
func (t *Tx) ListRemove(k Key, spans ...Span) error {
	if c, err := t.present(k, op.TypeList); err != nil || c != nil && t.trim(k, c, spans...) {
		return err
	}
	m, err := t.change(k, op.TypeList)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if m.mergesList() {
			m.mergeCut(s.At, s.Len)
			continue
		}
		m.listCut(s.At, s.Len)
		m.emitCut(s.At, s.Len)
	}
	m.done(k)
	return nil
}

// ListPop takes the element off an end of a list and returns how many are left.
// There is no element, val nil, where there is no list. val is valid until the
// tx ends, whatever it changes.
func (t *Tx) ListPop(k Key, end End) (val []byte, left int, err error) {
	c, err := t.present(k, op.TypeList)
	if c == nil {
		return nil, 0, err
	}
	m := t.toChange(k, op.TypeList)
	left = m.c.main.Len() - 1
	at := 0
	if end == Right {
		at = left
	}
	if m.mergesList() {
		m.givePlaces()
		m.emitTake(op.Main, bytes.Clone(placeOf(m.c.main.At(at).Ext)))
	}
	val = m.pop(&m.c.main, at)
	m.listForm()
	if !m.mergesList() {
		m.emitCut(at, 1)
	}
	m.done(k)
	return val, left, nil
}

// ListSet replaces the element at index i, which must be there.
func (t *Tx) ListSet(k Key, i int, val []byte) error {
	m, err := t.change(k, op.TypeList)
	if err != nil {
		return err
	}
	if m.mergesList() {
		m.mergeSet(i, val)
		m.done(k)
		return nil
	}
	m.listCut(i, 1)
	m.emitCut(i, 1)
	m.listInsert(i, op.Elem{Val: val})
	m.emitInsert(i, op.Elem{Val: val})
	m.done(k)
	return nil
}

func (m *editing) listInsert(i int, el op.Elem) {
	m.insert(&m.c.main, i, tree.Elem{Val: el.Val, Ext: el.Ext})
	m.listForm()
}

func (m *editing) listCut(i, n int) {
	m.removeRange(&m.c.main, i, n)
	m.listForm()
}

// listForm follows the size of a list: Redis keeps it in one listpack up to the
// limit, and turns back to one once it fits into half of it.
func (m *editing) listForm() {
	was := m.c.form
	limit, size := m.p.Forms.listLimit(), int(m.c.main.MemBytes())
	if m.p.Forms.ListSize > 0 {
		limit, size = m.p.Forms.ListSize, m.c.main.Len()
	}
	switch {
	case size > limit:
		m.c.form = formLarge
	case size <= limit/2:
		m.c.form = formPacked
	}
	if m.c.form != was && m.t != nil {
		m.t.logUndo(collUndo{kind: undoForm, c: m.c, rank: int(was)})
	}
}

// listLimit is the size in bytes that a negative list-max-listpack-size stands for.
func (f *Forms) listLimit() int {
	if f.ListSize < 0 {
		return 4096 << min(-f.ListSize-1, 4)
	}
	return 0
}
