package command

import (
	"geocache/engine"
	"geocache/resp"
)

// The commands of one set, and SMOVE; SINTER and its kin are in set_algebra.go.

func sAdd(c *Ctx) {
	n, err := c.Tx.SetAdd(c.Key(1), c.Args[2:]...)
	if err != nil {
		c.FailWith(err)
		return
	}
	if n > 0 {
		c.Event(engine.EventSet, "sadd", c.Key(1))
	}
	c.Out.Int(int64(n))
}

func sRem(c *Ctx) {
	n, err := c.Tx.SetRemove(c.Key(1), c.Args[2:]...)
	if err != nil {
		c.FailWith(err)
		return
	}
	if n > 0 {
		c.Event(engine.EventSet, "srem", c.Key(1))
		c.eventIfGone(c.Key(1))
	}
	c.Out.Int(int64(n))
}

// sMove is SMOVE. As in Redis a missing source is found before the destination
// is looked at, and moving within one set changes nothing.
func sMove(c *Ctx) {
	src, dst, member := c.Key(1), c.Key(2), c.Args[3]
	from, err := c.Tx.SetToEdit(src)
	if err == nil && from == nil {
		c.Out.Int(0)
		return
	}
	if err == nil {
		_, err = c.Tx.SetToEdit(dst)
	}
	if err != nil {
		c.FailWith(err)
		return
	}
	has := from.Has(member)
	c.Out.Int(oneIf(has))
	if !has || string(src.Name) == string(dst.Name) {
		return
	}
	if _, err := c.Tx.SetRemove(src, member); err == nil {
		c.Event(engine.EventSet, "srem", src)
		c.eventIfGone(src)
	}
	if n, _ := c.Tx.SetAdd(dst, member); n > 0 {
		c.Event(engine.EventSet, "sadd", dst)
	}
}

func sIsMember(c *Ctx) {
	s, err := c.Tx.Set(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(oneIf(s.Has(c.Args[2])))
}

func sMIsMember(c *Ctx) {
	s, err := c.Tx.Set(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.Out.Int(oneIf(s.Has(member)))
	}
}

func sCard(c *Ctx) {
	s, err := c.Tx.Set(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(s.Len()))
}

func sMembers(c *Ctx) {
	s, err := c.Tx.Set(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Set(s.Len())
	s.Each(func(member, _ []byte) bool {
		c.Out.Bulk(member)
		return true
	})
}

func sScan(c *Ctx) {
	s, err := c.Tx.Set(c.Key(1))
	c.scanCollection(s, err, scannedMembers, nil)
}

// sPop is SPOP key [count].
func sPop(c *Ctx) {
	count := int64(1)
	if len(c.Args) > 2 {
		n, ok := resp.ParseInt(c.Args[2])
		switch {
		case len(c.Args) > 3:
			c.Fail(resp.ErrSyntax)
			return
		case !ok || n < 0:
			c.Fail(resp.ErrNotPositive)
			return
		}
		count = n
	}
	k := c.Key(1)
	s, err := c.Tx.Set(k)
	if err != nil {
		c.FailWith(err)
		return
	}
	n := int(min(count, int64(s.Len())))
	switch {
	case len(c.Args) > 2:
		c.Out.Set(n)
	case n == 0:
		c.Out.Null()
	}
	if n == 0 {
		return
	}
	if err := c.Tx.SetPop(k, n, c.Out.Bulk); err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventSet, "spop", k)
	c.eventIfGone(k)
}

// sRandMember is SRANDMEMBER key [count].
func sRandMember(c *Ctx) {
	if len(c.Args) == 2 {
		s, err := c.Tx.Set(c.Key(1))
		c.drawOne(s, err)
		return
	}
	if len(c.Args) > 3 {
		c.Fail(resp.ErrSyntax)
		return
	}
	count, fail := c.drawCount(2)
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.Set(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.draw(s, count, 1, func(member, _ []byte) { c.Out.Bulk(member) })
}
