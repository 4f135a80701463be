package engine

import (
	"slices"

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
	case !t.trims(n, removed):
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
				if c.typ == op.TypeSet {
					el.Key = c.memberOf(el.Key)
				}
				els = append(els, op.Elem(t.keep(el)))
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

// trims reports whether so many of n members go by what is left.
func (t *Tx) trims(n, removed int) bool {
	return !t.p.Merging && removed >= trimFrom && removed >= n-removed
}

// trimAny is trim for n members of a set that are chosen at random, after fn was
// called with each.
func (t *Tx) trimAny(k Key, c *content, n int, fn func(member []byte)) bool {
	size := c.main.Len()
	if !t.trims(size, n) {
		return false
	}
	var spans []Span
	at := 0
	c.main.Ascend(0, func(el tree.Elem) bool {
		if t.Random(size-at) < n {
			n--
			fn(c.memberOf(el.Key))
			if last := len(spans) - 1; last >= 0 && spans[last].At+spans[last].Len == at {
				spans[last].Len++
			} else {
				spans = append(spans, Span{at, 1})
			}
		}
		at++
		return n > 0
	})
	slices.Reverse(spans)
	return t.trim(k, c, spans...)
}
