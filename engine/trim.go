package engine

import (
	"geocache/op"
	"geocache/tree"
)

// This file removes most of a large collection by what is left of it: the rest
// becomes a collection of its own, and the old one is garbage as a whole. So the
// time is that of the smaller part, and a tx that may be undone keeps no copy of
// the larger.

// trimFrom is from how many members on that is done.
const trimFrom = 512

// trim removes spans, which come in descending order, from the collection c of
// k, where that is less work than to take away its members, and reports whether
// it was. With siblings each removal has to be told.
func (t *Tx) trim(k Key, c *content, spans ...Span) bool {
	n := c.main.Len()
	removed := 0
	for _, s := range spans {
		removed += s.Len
	}
	switch {
	case t.p.Merging || removed < trimFrom || removed < n-removed:
		return false
	case removed == n:
		return t.Delete(k)
	}
	left := op.Coll{Type: c.typ, Form: uint8(c.form), AsOf: c.asOf}
	els := make([]op.Elem, 0, n-removed)
	at := 0
	for i := range len(spans) + 1 {
		end, next := n, n
		if i < len(spans) {
			s := spans[len(spans)-1-i]
			end, next = s.At, s.At+s.Len
		}
		if at < end {
			c.main.Ascend(at, func(el tree.Elem) bool {
				el = t.keep(el)
				els = append(els, op.Elem(el))
				at++
				return at < end
			})
		}
		at = next
	}
	left.Elem[op.Main] = els
	deadline, _ := t.Deadline(k)
	t.putWhole(k, &left, deadline)
	return true
}
