package command

import (
	"geocache/engine"
	"geocache/resp"
)

// The plain string commands; SET's options are in string_set.go, counters in
// string_count.go, digests and CAS in string_cas.go, LCS in lcs.go.

func get(c *Ctx) { c.get(1) }

// get replies with the string under argument i, or null; ok is false after an
// error.
func (c *Ctx) get(i int) (found, ok bool) {
	val, found, err := c.Tx.GetString(c.Key(i))
	switch {
	case err != nil:
		c.FailWith(err)
		return false, false
	case found:
		c.Out.Bulk(val)
	default:
		c.Out.Null()
	}
	return found, true
}

func getDel(c *Ctx) {
	if found, _ := c.get(1); found {
		c.deleteKey(c.Key(1))
	}
}

func mget(c *Ctx) {
	c.Out.Array(len(c.Args) - 1)
	for i := 1; i < len(c.Args); i++ {
		if val, ok, err := c.Tx.GetString(c.Key(i)); ok && err == nil {
			c.Out.Bulk(val)
		} else {
			c.Out.Null() // of another type too
		}
	}
}

func strLen(c *Ctx) {
	val, _, err := c.Tx.GetString(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(len(val)))
}

// getRange is GETRANGE and SUBSTR. As in Redis an end before the beginning
// means the first byte, unless start lies behind it.
func getRange(c *Ctx) {
	start, ok1 := resp.ParseInt(c.Args[2])
	end, ok2 := resp.ParseInt(c.Args[3])
	if !ok1 || !ok2 {
		c.Fail(resp.ErrNotInt)
		return
	}
	val, _, err := c.Tx.GetString(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	n := int64(len(val))
	if start < 0 && end < 0 && start > end {
		c.Out.Bulk(nil)
		return
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		c.Out.Bulk(nil)
		return
	}
	c.Out.Bulk(val[start : end+1])
}

func setRange(c *Ctx) {
	offset, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrNotInt)
		return
	case offset < 0:
		c.Fail(resp.ErrOffsetRange)
		return
	}
	if len(c.Args[3]) > 0 && !c.fits(offset, len(c.Args[3])) {
		if _, _, err := c.Tx.Peek(c.Key(1)); err != nil {
			c.FailWith(err)
			return
		}
		c.Fail(resp.ErrStringTooLong)
		return
	}
	n, err := c.Tx.SetRange(c.Key(1), int(offset), c.Args[3])
	if err != nil {
		c.FailWith(err)
		return
	}
	if len(c.Args[3]) > 0 {
		c.Event(engine.EventString, "setrange", c.Key(1))
	}
	c.Out.Int(int64(n))
}

func appendString(c *Ctx) {
	old, _, err := c.Tx.Peek(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if len(old) > 0 && !c.fits(int64(len(old)), len(c.Args[2])) {
		c.Fail(resp.ErrStringTooLong)
		return
	}
	n, err := c.Tx.Append(c.Key(1), c.Args[2])
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventString, "append", c.Key(1))
	c.Out.Int(int64(n))
}

// fits reports whether a string of n more bytes at offset is within
// proto-max-bulk-len.
func (c *Ctx) fits(offset int64, n int) bool {
	limit := c.Host.Config().Load().ProtoMaxBulkLen
	return offset <= limit-int64(n)
}

// has reports whether k is there, and does not touch it.
func (c *Ctx) has(k engine.Key) bool {
	_, ok := c.Tx.Deadline(k)
	return ok
}
