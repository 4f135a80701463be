package command

import (
	"math"
	"math/big"

	"geocache/engine"
	"geocache/op"
	"geocache/resp"
)

func incr(c *Ctx) { c.incrBy(1) }
func decr(c *Ctx) { c.incrBy(-1) }

func incrBy(c *Ctx) {
	delta, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	c.incrBy(delta)
}

func decrBy(c *Ctx) {
	delta, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrNotInt)
	case delta == math.MinInt64:
		c.Fail(resp.ErrDecrOverflow)
	default:
		c.incrBy(-delta)
	}
}

func (c *Ctx) incrBy(delta int64) {
	sum, err := c.Tx.Incr(c.Key(1), delta)
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventString, "incrby", c.Key(1))
	c.Out.Int(sum)
}

func incrByFloat(c *Ctx) {
	sum, err := c.Tx.IncrFloat(c.Key(1), c.Args[2])
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventString, "incrbyfloat", c.Key(1))
	c.Out.Bulk(sum)
}

// incrOptions are INCREX's options. Numbers are indexes of arguments, 0 where
// not given, until it is known whether they are integers or floats.
type incrOptions struct {
	by, low, high int
	float         bool
	saturate, enx bool
	ttl           ttl
}

func (c *Ctx) parseIncrEX() (o incrOptions, err resp.Error) {
	for i := 2; i < len(c.Args); {
		w := c.word(i)
		var number *int
		switch w {
		case "saturate":
			o.saturate = true
		case "enx":
			o.enx = true
		case "byint", "byfloat":
			if o.by != 0 {
				return o, resp.ErrSyntax
			}
			number, o.float = &o.by, w == "byfloat"
		case "lbound":
			number = &o.low
		case "ubound":
			number = &o.high
		default:
			n := o.ttl.take(c.Args, i, w, ttlTimes|ttlPersist)
			if n == 0 {
				return o, resp.ErrSyntax
			}
			i += n
			continue
		}
		i++
		if number != nil {
			if i == len(c.Args) {
				return o, resp.ErrSyntax
			}
			*number = i
			i++
		}
	}
	switch {
	case o.enx && o.ttl.form == ttlPersist:
		return o, resp.ErrSyntax
	case o.enx && o.ttl.form == 0:
		return o, resp.ErrENXNoExpire
	}
	return o, ""
}

// incrEX is INCREX: it answers the value and the increment applied to it. A
// sum out of bounds changes nothing, or with SATURATE becomes the bound. Where
// siblings add to the same counter meanwhile, the bounds hold for what was
// seen here.
func incrEX(c *Ctx) {
	o, fail := c.parseIncrEX()
	var deadline int64
	if fail == "" && o.ttl.form&ttlTimes != 0 {
		deadline, fail = c.deadline(o.ttl)
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	var changed bool
	if o.float {
		changed = c.incrFloatWithin(o)
	} else {
		changed = c.incrIntWithin(o)
	}
	if !changed || o.ttl.form == 0 {
		return
	}
	if now, _ := c.Tx.Deadline(c.Key(1)); !o.enx || now == 0 {
		c.setDeadline(c.Key(1), deadline)
	}
}

// incrIntWithin does INCREX BYINT but for the deadline and reports whether the
// increment was applied.
func (c *Ctx) incrIntWithin(o incrOptions) bool {
	by, low, high := int64(1), int64(math.MinInt64), int64(math.MaxInt64)
	for _, n := range []struct {
		arg int
		v   *int64
	}{{o.by, &by}, {o.low, &low}, {o.high, &high}} {
		if n.arg == 0 {
			continue
		}
		v, ok := resp.ParseInt(c.Args[n.arg])
		if !ok {
			c.Fail(resp.ErrNotInt)
			return false
		}
		*n.v = v
	}
	if low > high {
		c.Fail(resp.ErrIncrBounds)
		return false
	}
	val, found, err := c.Tx.Peek(c.Key(1))
	cur, ok := int64(0), true
	if found {
		cur, ok = resp.ParseInt(val)
	}
	switch {
	case err != nil:
		c.FailWith(err)
		return false
	case !ok:
		c.Fail(resp.ErrNotInt)
		return false
	}
	sum := cur + by
	over, under := by > 0 && sum < cur, by < 0 && sum > cur
	over, under = over || !under && sum > high, under || !over && sum < low
	if over || under {
		if !o.saturate {
			c.Out.Array(2)
			c.Out.Int(cur)
			c.Out.Int(0)
			return false
		}
		sum = high
		if under {
			sum = low
		}
	}
	applied := sum - cur
	if (applied > 0) != (sum > cur) && sum != cur {
		c.Fail(resp.ErrOverflow) // from one end of the range to the other
		return false
	}
	if sum, err = c.Tx.Incr(c.Key(1), applied); err != nil {
		c.FailWith(err)
		return false
	}
	c.Event(engine.EventString, "incrby", c.Key(1))
	c.Out.Array(2)
	c.Out.Int(sum)
	c.Out.Int(applied)
	return true
}

// maxLongDouble is the greatest number that INCRBYFLOAT can hold.
func maxLongDouble() *big.Float {
	f := new(big.Float).SetPrec(op.FloatPrec).SetUint64(math.MaxUint64)
	return f.SetMantExp(f, 1<<14-op.FloatPrec)
}

// floatDigits is how many decimal digits carry a float of op.FloatPrec bits
// without loss.
const floatDigits = 21

// incrFloatWithin does INCREX BYFLOAT but for the deadline and reports whether
// the increment was applied.
func (c *Ctx) incrFloatWithin(o incrOptions) bool {
	by, high := big.NewFloat(1), maxLongDouble()
	low := new(big.Float).Neg(high)
	for _, n := range []struct {
		arg int
		v   **big.Float
	}{{o.by, &by}, {o.low, &low}, {o.high, &high}} {
		if n.arg == 0 {
			continue
		}
		f, ok := engine.ParseFloat(c.Args[n.arg])
		if !ok {
			c.Fail(resp.ErrNotFloat)
			return false
		}
		*n.v = f
	}
	if low.Cmp(high) > 0 {
		c.Fail(resp.ErrIncrBounds)
		return false
	}
	val, found, err := c.Tx.Peek(c.Key(1))
	cur, ok := new(big.Float).SetPrec(op.FloatPrec), true
	if found {
		cur, ok = engine.ParseFloat(val)
	}
	switch {
	case err != nil:
		c.FailWith(err)
		return false
	case !ok:
		c.Fail(resp.ErrNotFloat)
		return false
	case cur.IsInf() || by.IsInf():
		c.Fail(resp.ErrIncrNaN)
		return false
	}
	sum := new(big.Float).SetPrec(op.FloatPrec).Add(cur, by)
	applied := by
	if bound := outside(sum, low, high); bound != nil {
		if !o.saturate {
			c.Out.Array(2)
			c.Out.DoubleText(engine.FormatFloat(cur))
			c.Out.DoubleText([]byte("0"))
			return false
		}
		if bound.IsInf() {
			c.Fail(resp.ErrIncrNaN)
			return false
		}
		applied = new(big.Float).SetPrec(op.FloatPrec).Sub(bound, cur)
	}
	text, err := c.Tx.IncrFloat(c.Key(1), applied.Append(nil, 'e', floatDigits))
	if err != nil {
		c.FailWith(err)
		return false
	}
	c.Event(engine.EventString, "incrbyfloat", c.Key(1))
	c.Out.Array(2)
	c.Out.DoubleText(text)
	c.Out.DoubleText(engine.FormatFloat(applied))
	return true
}

// outside is the bound that f lies beyond, or nil. No bound lies beyond what a
// long double holds.
func outside(f, low, high *big.Float) *big.Float {
	limit := maxLongDouble()
	switch {
	case f.Cmp(high) > 0:
		return high
	case f.Cmp(low) < 0:
		return low
	case f.Cmp(limit) > 0:
		return limit
	case f.Cmp(limit.Neg(limit)) < 0:
		return limit
	}
	return nil
}
