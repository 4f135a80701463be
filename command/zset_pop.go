package command

import (
	"geocache/engine"
	"geocache/resp"
)

// popShape is how the reply to a pop names what was popped.
type popShape uint8

const (
	popFlat   popShape = iota // member, score, ...
	popPairs                  // [member, score], ...
	popKeyed                  // key, member, score
	popNested                 // key, [[member, score], ...]
)

// scorePops is what is popped: count members from the first of the keys that is
// there.
type scorePops struct {
	keys  [][]byte
	way   direction // upward: the lowest scores
	count int
	shape popShape
}

func zPopMin(c *Ctx) { c.popScores(upward) }
func zPopMax(c *Ctx) { c.popScores(downward) }

func (c *Ctx) popScores(way direction) {
	p := scorePops{keys: c.Args[1:2], way: way, count: 1}
	switch {
	case len(c.Args) > 3:
		c.Fail(resp.ErrSyntax)
		return
	case len(c.Args) == 3:
		n, ok := resp.ParseInt(c.Args[2])
		if !ok || n < 0 {
			c.Fail(resp.ErrNotPositive)
			return
		}
		p.count = int(n)
		if c.Out.Proto() == 3 {
			p.shape = popPairs
		}
	}
	if !c.popFirstScores(p) {
		c.Out.Array(0)
	}
}

func zMPop(c *Ctx) {
	p, fail := c.parseScorePops(1)
	switch {
	case fail != "":
		c.Fail(fail)
	case !c.popFirstScores(p):
		c.Out.NullArray()
	}
}

func bZPopMin(c *Ctx) { c.bZPop(upward) }
func bZPopMax(c *Ctx) { c.bZPop(downward) }

func (c *Ctx) bZPop(way direction) {
	end := len(c.Args) - 1
	c.popScoresWithin(scorePops{keys: c.Args[1:end], way: way, count: 1, shape: popKeyed}, c.Args[end])
}

func bZMPop(c *Ctx) {
	p, fail := c.parseScorePops(2)
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.popScoresWithin(p, c.Args[1])
}

// parseScorePops reads ZMPOP's arguments from the number of keys on, which is
// argument at.
func (c *Ctx) parseScorePops(at int) (p scorePops, fail resp.Error) {
	p = scorePops{count: 1, shape: popNested}
	n, ok := resp.ParseInt(c.Args[at])
	if !ok || n < 1 {
		return p, resp.ErrNumKeys
	}
	rest := c.Args[at+1:]
	if n >= int64(len(rest)) {
		return p, resp.ErrSyntax
	}
	p.keys, rest = rest[:n], rest[n:]
	switch {
	case isWord(rest[0], "MIN"):
		p.way = upward
	case isWord(rest[0], "MAX"):
		p.way = downward
	default:
		return p, resp.ErrSyntax
	}
	switch opts := rest[1:]; {
	case len(opts) == 0:
		return p, ""
	case len(opts) == 1, !isWord(opts[0], "COUNT"):
		return p, resp.ErrSyntax
	default:
		count, ok := resp.ParseInt(opts[1])
		if !ok || count < 1 {
			return p, resp.ErrCountNotPositive
		}
		if len(opts) > 2 {
			return p, resp.ErrSyntax
		}
		p.count = int(count)
		return p, ""
	}
}

// popScoresWithin is popFirstScores that waits for a sorted set.
func (c *Ctx) popScoresWithin(p scorePops, timeout []byte) {
	deadlineMs, fail := deadlineIn(c, timeout)
	if fail != "" {
		c.Fail(fail)
		return
	}
	if c.popFirstScores(p) {
		return
	}
	c.Block(Block{
		Keys: c.keysNamed(p.keys), Type: engine.TypeZSet, DeadlineMs: deadlineMs,
		Timeout: func(c *Ctx) { c.Out.NullArray() },
	})
}

// popFirstScores pops from the first sorted set that is there, and reports
// whether it has replied.
func (c *Ctx) popFirstScores(p scorePops) bool {
	var z *engine.Scored
	k, found, replied := c.firstThere(p.keys, func(k engine.Key) (there bool, err error) {
		z, err = c.Tx.ZSetToEdit(k)
		return z != nil, err
	})
	if found {
		c.popOffScores(k, z, p)
	}
	return replied
}

// popOffScores pops from k, which is z, and replies.
func (c *Ctx) popOffScores(k engine.Key, z *engine.Scored, p scorePops) {
	n := min(p.count, z.Len())
	switch p.shape {
	case popFlat:
		c.Out.Array(2 * n)
	case popPairs:
		c.Out.Array(n)
	case popKeyed:
		c.Out.Array(2*n + 1)
		c.Out.Bulk(k.Name)
	case popNested:
		c.Out.Array(2)
		c.Out.Bulk(k.Name)
		c.Out.Array(n)
	}
	left := z.Len() - n
	event, rank := "zpopmin", 0
	if p.way == downward {
		event, rank = "zpopmax", left
	}
	eachRanked(z, p.way, rank, n, func(member []byte, score float64) {
		if p.shape == popPairs || p.shape == popNested {
			c.Out.Array(2)
		}
		c.Out.Bulk(member)
		c.Out.Double(score)
	})
	if err := c.Tx.ZSetRemoveRange(k, rank, n); err != nil {
		c.FailWith(err)
		return
	}
	c.tellRemoved(event, k, n, left)
}
