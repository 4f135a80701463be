package command

import (
	"math"

	"geocache/engine"
	"geocache/resp"
)

// The hash commands but those about fields' deadlines, which are in
// hash_fields.go.

func hGet(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.field(h, c.Args[2])
}

// field replies with the value of a field, or null.
func (c *Ctx) field(h *engine.Members, name []byte) { c.bulkOrNull(h.Get(name)) }

func (c *Ctx) bulkOrNull(val []byte, ok bool) {
	if ok {
		c.Out.Bulk(val)
	} else {
		c.Out.Null()
	}
}

func hMGet(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		c.field(h, name)
	}
}

func hGetAll(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	all, n := c.Out.MapLater(), 0
	h.Each(func(name, val []byte) bool {
		c.Out.Bulk(name)
		c.Out.Bulk(val)
		n++
		return true
	})
	c.Out.EndArray(all, n)
}

func hKeys(c *Ctx) { c.eachField(func(name, _ []byte) { c.Out.Bulk(name) }) }
func hVals(c *Ctx) { c.eachField(func(_, val []byte) { c.Out.Bulk(val) }) }

func (c *Ctx) eachField(show func(name, val []byte)) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	all, n := c.Out.ArrayLater(), 0
	h.Each(func(name, val []byte) bool {
		show(name, val)
		n++
		return true
	})
	c.Out.EndArray(all, n)
}

// hLen counts fields that have expired, too, until they are reclaimed.
func hLen(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(h.Len()))
}

func hStrLen(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	val, _ := h.Get(c.Args[2])
	c.Out.Int(int64(len(val)))
}

func hExists(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(oneIf(h.Has(c.Args[2])))
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func hSet(c *Ctx) {
	if added, ok := c.setPairsOfHash(); ok {
		c.Out.Int(int64(added))
	}
}

func hMSet(c *Ctx) {
	if _, ok := c.setPairsOfHash(); ok {
		c.Out.OK()
	}
}

// setPairsOfHash sets the fields of HSET and HMSET; ok is false after an error.
func (c *Ctx) setPairsOfHash() (added int, ok bool) {
	if len(c.Args)%2 != 0 {
		c.Fail(resp.WrongArity(c.Row.FullName()))
		return 0, false
	}
	added, err := c.Tx.HashSet(c.Key(1), c.Args[2:], engine.FieldChange{})
	if err != nil {
		c.FailWith(err)
		return 0, false
	}
	c.Event(engine.EventHash, "hset", c.Key(1))
	return added, true
}

func hSetNX(c *Ctx) {
	h, err := c.Tx.HashToEdit(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case h.Has(c.Args[2]):
		c.Out.Int(0)
		return
	}
	if _, err := c.Tx.HashSet(c.Key(1), c.Args[2:], engine.FieldChange{}); err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventHash, "hset", c.Key(1))
	c.Out.Int(1)
}

func hDel(c *Ctx) {
	n, err := c.Tx.HashDelete(c.Key(1), c.Args[2:]...)
	if err != nil {
		c.FailWith(err)
		return
	}
	if n > 0 {
		c.Event(engine.EventHash, "hdel", c.Key(1))
		c.eventIfGone(c.Key(1))
	}
	c.Out.Int(int64(n))
}

// eventIfGone tells of the end of a key whose members were all taken away.
func (c *Ctx) eventIfGone(k engine.Key) {
	if !c.has(k) {
		c.Event(engine.EventGeneric, "del", k)
	}
}

func hIncrBy(c *Ctx) {
	delta, ok := resp.ParseInt(c.Args[3])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	sum, err := c.Tx.HashIncr(c.Key(1), c.Args[2], delta)
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventHash, "hincrby", c.Key(1))
	c.Out.Int(sum)
}

func hIncrByFloat(c *Ctx) {
	delta, ok := engine.ParseFloat(c.Args[3])
	switch {
	case !ok:
		c.Fail(resp.ErrNotFloat)
		return
	case delta.IsInf():
		c.Fail(resp.ErrValueNaN)
		return
	}
	sum, err := c.Tx.HashIncrFloat(c.Key(1), c.Args[2], c.Args[3])
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventHash, "hincrbyfloat", c.Key(1))
	c.Out.Bulk(sum)
}

// hScan is HSCAN; fields come with their values unless NOVALUES is given.
func hScan(c *Ctx) {
	h, err := c.Tx.Hash(c.Key(1))
	c.scanCollection(h, err, scannedFields, func(w *resp.Writer, val []byte) { w.Bulk(val) })
}

// hRandField is HRANDFIELD key [count [WITHVALUES]].
func hRandField(c *Ctx) {
	if len(c.Args) == 2 {
		h, err := c.Tx.Hash(c.Key(1))
		c.drawOne(h, err)
		return
	}
	count, fail := c.drawCount(2)
	withValues := len(c.Args) == 4 && c.word(3) == "withvalues"
	switch {
	case fail != "":
	case len(c.Args) > 3 && !withValues:
		fail = resp.ErrSyntax
	case withValues && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		fail = resp.ErrOutOfRange
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	h, err := c.Tx.Hash(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	width := 1
	if withValues && c.Out.Proto() == 2 {
		width = 2
	}
	c.draw(h, count, width, func(name, val []byte) {
		if withValues && c.Out.Proto() > 2 {
			c.Out.Array(2)
		}
		c.Out.Bulk(name)
		if withValues {
			c.Out.Bulk(val)
		}
	})
}
