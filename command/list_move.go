package command

import (
	"bytes"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

// This file moves elements between lists, pops from the first of several, and
// waits for elements.

// parseEnd reads LEFT or RIGHT.
func parseEnd(arg []byte) (end engine.End, ok bool) {
	switch {
	case isWord(arg, "LEFT"):
		return engine.Left, true
	case isWord(arg, "RIGHT"):
		return engine.Right, true
	}
	return 0, false
}

// listMove is what LMOVE and its kin are asked to do.
type listMove struct {
	from, to engine.End
	// several: the reply is an array. count elements are moved, or as many as
	// there are unless exact is set.
	several    bool
	count      int
	exact      bool
	keepsOrder bool // of the source; else one by one
	blocks     bool
	deadlineMs int64
}

func lMove(c *Ctx)     { c.moveAsSaid(listMove{}) }
func bLMove(c *Ctx)    { c.moveAsSaid(listMove{blocks: true}) }
func lMoveM(c *Ctx)    { c.moveAsSaid(listMove{several: true}) }
func bLMoveM(c *Ctx)   { c.moveAsSaid(listMove{several: true, blocks: true}) }
func rPopLPush(c *Ctx) { c.move(listMove{from: engine.Right, to: engine.Left, count: 1}) }
func bRPopLPush(c *Ctx) {
	c.moveWithin(listMove{from: engine.Right, to: engine.Left, count: 1, blocks: true}, c.Args[3])
}

// moveAsSaid reads ends, timeout and what LMOVEM adds, and moves.
func (c *Ctx) moveAsSaid(m listMove) {
	var ok, okTo bool
	m.from, ok = parseEnd(c.Args[3])
	m.to, okTo = parseEnd(c.Args[4])
	if !ok || !okTo {
		c.Fail(resp.ErrSyntax)
		return
	}
	m.count = 1
	next := 5
	if m.blocks {
		next++
	}
	if fail := m.howMany(c.Args[next:]); fail != "" {
		c.Fail(fail)
		return
	}
	if m.blocks {
		c.moveWithin(m, c.Args[5])
		return
	}
	c.move(m)
}

// howMany reads LMOVEM's last arguments, all of which may be missing.
func (m *listMove) howMany(args [][]byte) resp.Error {
	if len(args) == 0 {
		return ""
	}
	if len(args) != 3 {
		return resp.ErrSyntax
	}
	m.exact, m.keepsOrder = isWord(args[0], "EXACTLY"), isWord(args[2], "BULK")
	if !m.exact && !isWord(args[0], "COUNT") || !m.keepsOrder && !isWord(args[2], "OBO") {
		return resp.ErrSyntax
	}
	v, ok := resp.ParseInt(args[1])
	if !ok || v <= 0 {
		return resp.ErrCountNotPositive
	}
	m.count = int(v)
	return ""
}

// moveWithin moves with a timeout.
func (c *Ctx) moveWithin(m listMove, timeout []byte) {
	var fail resp.Error
	if m.deadlineMs, fail = deadlineIn(c, timeout); fail != "" {
		c.Fail(fail)
		return
	}
	c.move(m)
}

// move does what m says with the lists at arguments 1 and 2.
func (c *Ctx) move(m listMove) {
	src, dst := c.Key(1), c.Key(2)
	l, err := c.Tx.ListToEdit(src)
	if err != nil {
		c.FailWith(err)
		return
	}
	if l == nil || m.exact && l.Len() < m.count {
		c.moveNothing(m)
		return
	}
	d, err := c.Tx.ListToEdit(dst)
	if err != nil {
		c.FailWith(err)
		return
	}
	m.count = min(m.count, l.Len())
	block := m.block(l)
	if m.several {
		c.Out.Array(len(block))
	}
	for _, val := range block {
		c.Out.Bulk(val)
	}
	c.transfer(m, block, l.Len(), d.Len())
}

// moveNothing replies where there is not enough to move, or waits for more.
func (c *Ctx) moveNothing(m listMove) {
	none := (*resp.Writer).Null
	if m.several {
		none = (*resp.Writer).NullArray
	}
	if m.blocks {
		c.awaitList(none, m.deadlineMs, c.Key(1))
	} else {
		none(c.Out)
	}
}

// block copies what is to be moved, in the order it will have.
func (m *listMove) block(l *engine.Elements) [][]byte {
	block := make([][]byte, 0, m.count)
	at := 0
	if m.from == engine.Right {
		at = l.Len() - m.count
	}
	l.Ascend(at, func(val []byte) bool {
		block = append(block, bytes.Clone(val))
		return len(block) < m.count
	})
	// One by one, each goes in front of those before it where it is put at the
	// left, and comes first where it is taken from the right.
	if !m.keepsOrder && m.from == m.to {
		slices.Reverse(block)
	}
	return block
}

// transfer puts the block into the destination and takes it off the source, in
// this order: a list that is both must not go in between.
func (c *Ctx) transfer(m listMove, block [][]byte, srcLen, dstLen int) {
	src, dst := c.Key(1), c.Key(2)
	same := bytes.Equal(src.Name, dst.Name)
	at := 0
	if m.to == engine.Right {
		at = dstLen
	}
	if _, err := c.Tx.ListInsert(dst, at, block...); err != nil {
		c.FailWith(err) // not the list it was a moment ago
		return
	}
	c.Event(engine.EventList, pushedAt(m.to), dst)
	size, off := srcLen, engine.Span{Len: len(block)}
	if m.from == engine.Right {
		off.At = srcLen - len(block)
	}
	if same {
		size += len(block)
		if m.to == engine.Left {
			off.At += len(block)
		}
	}
	c.cut(src, size, off)
	c.popped(src, m.from, size-len(block))
}

func lMPop(c *Ctx) {
	if p, ok := c.parseMultiPop(1); ok && !c.popFirst(p) {
		c.Out.NullArray()
	}
}

func bLMPop(c *Ctx) {
	if p, ok := c.parseMultiPop(2); ok {
		c.popWithin(p, c.Args[1])
	}
}

func bLPop(c *Ctx) {
	c.popWithin(pops{keys: c.Args[1 : len(c.Args)-1], end: engine.Left}, c.Args[len(c.Args)-1])
}
func bRPop(c *Ctx) {
	c.popWithin(pops{keys: c.Args[1 : len(c.Args)-1], end: engine.Right}, c.Args[len(c.Args)-1])
}

// pops is what is popped: count elements from the first of the keys that is
// there, or with count 0 one, which is no array in the reply then.
type pops struct {
	keys  [][]byte
	end   engine.End
	count int
}

// parseMultiPop reads LMPOP's arguments from the number of keys on, which is
// argument at.
func (c *Ctx) parseMultiPop(at int) (p pops, ok bool) {
	fail := resp.ErrSyntax
	rest := c.Args[at+1:]
	n, isInt := resp.ParseInt(c.Args[at])
	switch {
	case !isInt || n <= 0:
		fail = resp.ErrNumKeys
	case n < int64(len(rest)):
		p.keys = rest[:n]
		p.end, ok = parseEnd(rest[n])
	}
	if !ok {
		c.Fail(fail)
		return p, false
	}
	p.count = 1
	if opts := rest[n+1:]; len(opts) > 0 {
		if len(opts) < 2 || !isWord(opts[0], "COUNT") {
			c.Fail(resp.ErrSyntax)
			return p, false
		}
		v, isInt := resp.ParseInt(opts[1])
		switch {
		case !isInt || v <= 0:
			c.Fail(resp.ErrCountNotPositive)
			return p, false
		case len(opts) > 2:
			c.Fail(resp.ErrSyntax)
			return p, false
		}
		p.count = int(v)
	}
	return p, true
}

// popFirst pops from the first list that is there, and reports whether it has
// replied.
func (c *Ctx) popFirst(p pops) bool {
	var l *engine.Elements
	k, found, replied := c.firstThere(p.keys, func(k engine.Key) (there bool, err error) {
		l, err = c.Tx.ListToEdit(k)
		return l != nil, err
	})
	if found {
		c.Out.Array(2)
		c.Out.Bulk(k.Name)
		n := min(max(p.count, 1), l.Len())
		if p.count > 0 {
			c.Out.Array(n)
		}
		c.popOff(k, l, p.end, n)
	}
	return replied
}

// popWithin is popFirst that waits for a list.
func (c *Ctx) popWithin(p pops, timeout []byte) {
	deadlineMs, fail := deadlineIn(c, timeout)
	if fail != "" {
		c.Fail(fail)
		return
	}
	if c.popFirst(p) {
		return
	}
	c.awaitList((*resp.Writer).NullArray, deadlineMs, c.keysNamed(p.keys)...)
}

// awaitList waits for one of the keys to be a list with elements. Where that
// is not allowed, denied replies.
func (c *Ctx) awaitList(denied func(*resp.Writer), deadlineMs int64, keys ...engine.Key) {
	c.Block(Block{
		Keys: keys, Type: engine.TypeList, DeadlineMs: deadlineMs,
		Timeout: func(c *Ctx) {
			if c.InExec == On {
				denied(c.Out)
			} else {
				c.Out.NullArray()
			}
		},
	})
}
