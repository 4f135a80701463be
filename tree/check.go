package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"geocache/slab"
)

// checker walks a whole tree and adds up what it finds.
type checker struct {
	t      *Tree
	sorted bool // all keys are above the ones before them
	bytes  int64
	count  int // of elements so far
	seps   []boundary
}

// boundary is a separator with the keys around it, to be judged when it is known whether keys are in order.
type boundary struct{ before, sep, after []byte }

// Check looks for broken invariants, in O(n). It is for tests.
func (t *Tree) Check() error {
	if t.Root.ref == 0 {
		if t.Root != (Root{}) {
			return fmt.Errorf("empty tree with root %+v", t.Root)
		}
		return nil
	}
	c := checker{t: t, sorted: true}
	if err := c.node(int(t.Root.height), t.Root.ref, t.Root.count); err != nil {
		return err
	}
	if mem := t.MemBytes(); c.bytes != mem {
		return fmt.Errorf("blocks of %d bytes, root says %d", c.bytes, mem)
	}
	c.order()
	for _, s := range c.seps {
		if c.sorted && (bytes.Compare(s.before, s.sep) >= 0 || bytes.Compare(s.sep, s.after) > 0) {
			return fmt.Errorf("separator %q between %q and %q", s.sep, s.before, s.after)
		}
	}
	return nil
}

// order finds out whether the keys are in order.
func (c *checker) order() {
	var last []byte
	first := true
	c.t.Ascend(0, func(e Elem) bool {
		c.sorted = first || bytes.Compare(last, e.Key) < 0
		last, first = e.Key, false
		return c.sorted
	})
}

func (c *checker) node(level int, ref slab.Ref, count int) error {
	b := c.t.A.Bytes(ref)
	c.bytes += int64(len(b))
	if level == 0 {
		return c.leaf(b, count)
	}
	in := c.t.view(ref, level)
	if in.n == 0 || (ref == c.t.Root.ref && in.n == 1) {
		return fmt.Errorf("inner node at level %d with %d children", level, in.n)
	}
	used := c.t.used(&in)
	if used > innerMax || !slab.Fits(used, len(b)) {
		return fmt.Errorf("inner node of %d bytes in a block of %d", used, len(b))
	}
	if got := in.sum(in.n); got != count {
		return fmt.Errorf("%d elements below a node at level %d, %d expected", got, level, count)
	}
	for i := range in.n {
		if err := c.node(level-1, in.ref(i), in.count(i)); err != nil {
			return err
		}
		if i > 0 && c.t.Shape == Keyed {
			c.separator(&in, level, i)
		}
	}
	return nil
}

func (c *checker) separator(in *inner, level, i int) {
	after := c.t.firstKey(level-1, in.ref(i))
	sep, far := in.sep(i)
	if far {
		sep = after
	}
	c.seps = append(c.seps, boundary{c.t.lastKey(level-1, in.ref(i-1), in.count(i-1)), sep, after})
}

func (c *checker) leaf(b []byte, count int) error {
	t := c.t
	end := t.leafEnd(b)
	side := within
	switch {
	case c.count == 0:
		side = atStart
	case c.count+count == t.Root.count:
		side = atEnd
	}
	c.count += count
	switch {
	case count < 1:
		return fmt.Errorf("leaf of %d elements", count)
	case end > len(b) || !slab.Fits(end, len(b)) && t.tooRoomy(end, len(b), side):
		return fmt.Errorf("leaf of %d bytes in a block of %d", end, len(b))
	case end > leafMax[t.Shape] && count > 1:
		return fmt.Errorf("%d elements in a leaf of %d bytes", count, end)
	case binary.LittleEndian.Uint16(b) == 0 && count > 1:
		return fmt.Errorf("%d elements in a leaf without an end", count)
	case isEven(b) && (end-leafHead)%count != 0:
		return fmt.Errorf("%d even elements in %d bytes", count, end)
	}
	off := leafHead
	for i := range count {
		if off >= end {
			return fmt.Errorf("leaf ends after %d of %d elements", i, count)
		}
		next := t.skip(b, off)
		if isEven(b) && next-off != (end-leafHead)/count {
			return fmt.Errorf("element %d of %d bytes in an even leaf", i, next-off)
		}
		off = next
	}
	if off != end {
		return fmt.Errorf("leaf ends at %d instead of %d", off, end)
	}
	return nil
}
