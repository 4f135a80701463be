package command

import (
	"geocache/clock"
	"geocache/engine"
	"geocache/resp"
)

// setOptions are SET's options behind the value.
type setOptions struct {
	cond condition
	get  bool
	ttl  ttl
}

// parseSet reads SET's options.
func (c *Ctx) parseSet() (o setOptions, err resp.Error) {
	for i := 3; i < len(c.Args); {
		w := c.word(i)
		if w == "get" {
			o.get = true
			i++
			continue
		}
		n, err := o.cond.take(c.Args, i, w)
		if err != "" {
			return o, err
		}
		if n == 0 {
			n = o.ttl.take(c.Args, i, w, ttlTimes|ttlKeep)
		}
		if n == 0 {
			return o, resp.ErrSyntax
		}
		i += n
	}
	return o, ""
}

func set(c *Ctx) {
	if len(c.Args) == 3 {
		c.setString(c.Key(1), c.Args[2], engine.NoDeadline(), ttl{})
		c.Out.OK()
		return
	}
	o, fail := c.parseSet()
	var exp engine.Expiry
	if fail == "" {
		exp, fail = c.expiry(o.ttl)
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	// The condition is asked before GET replies: an error must stand alone.
	met, err := o.cond.met(c, c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if o.get {
		if _, ok := c.get(1); !ok {
			return
		}
	}
	if met {
		c.setString(c.Key(1), c.Args[2], exp, o.ttl)
	}
	switch {
	case o.get:
	case met:
		c.Out.OK()
	default:
		c.Out.Null()
	}
}

func getSet(c *Ctx) {
	if _, ok := c.get(1); ok {
		c.setString(c.Key(1), c.Args[2], engine.NoDeadline(), ttl{})
	}
}

func setNX(c *Ctx) {
	if c.has(c.Key(1)) {
		c.Out.Int(0)
		return
	}
	c.setString(c.Key(1), c.Args[2], engine.NoDeadline(), ttl{})
	c.Out.Int(1)
}

func setEX(c *Ctx)  { c.setExpiring(ttlEX) }
func pSetEX(c *Ctx) { c.setExpiring(ttlPX) }

func (c *Ctx) setExpiring(f ttlForm) {
	t := ttl{f, c.Args[2]}
	exp, fail := c.expiry(t)
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.setString(c.Key(1), c.Args[3], exp, t)
	c.Out.OK()
}

func mset(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Fail(resp.WrongArity(c.Row.FullName()))
		return
	}
	c.setPairs(c.Args[1:], engine.NoDeadline(), ttl{})
	c.Out.OK()
}

func msetNX(c *Ctx) {
	if len(c.Args)%2 == 0 {
		c.Fail(resp.WrongArity(c.Row.FullName()))
		return
	}
	if !c.pairsMeet(c.Args[1:], condNX) {
		c.Out.Int(0)
		return
	}
	c.setPairs(c.Args[1:], engine.NoDeadline(), ttl{})
	c.Out.Int(1)
}

func (c *Ctx) setPairs(pairs [][]byte, exp engine.Expiry, t ttl) {
	for i := 0; i < len(pairs); i += 2 {
		c.setString(engine.Key{DB: c.DB, Name: pairs[i]}, pairs[i+1], exp, t)
	}
}

// pairsMeet reports whether all keys of pairs are there (condXX), none is
// (condNX), or nobody asks.
func (c *Ctx) pairsMeet(pairs [][]byte, kind condKind) bool {
	if kind == condNone {
		return true
	}
	for i := 0; i < len(pairs); i += 2 {
		if c.has(engine.Key{DB: c.DB, Name: pairs[i]}) != (kind == condXX) {
			return false
		}
	}
	return true
}

// msetEX is MSETEX numkeys key value ... [NX|XX] [EX s|...|KEEPTTL].
func msetEX(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok || n <= 0:
		c.Fail(resp.ErrInvalidNumKeys)
		return
	case n > int64(len(c.Args)-2)/2:
		c.Fail(resp.ErrPairCount)
		return
	}
	pairs := c.Args[2 : 2+2*n]
	var cond condition
	var t ttl
	for i := 2 + 2*int(n); i < len(c.Args); {
		w := c.word(i)
		used := t.take(c.Args, i, w, ttlTimes|ttlKeep)
		if k := condWord(w); used == 0 && (k == condNX || k == condXX) {
			used, _ = cond.take(c.Args, i, w)
		}
		if used == 0 {
			c.Fail(resp.ErrSyntax)
			return
		}
		i += used
	}
	exp, fail := c.expiry(t)
	if fail != "" {
		c.Fail(fail)
		return
	}
	if !c.pairsMeet(pairs, cond.kind) {
		c.Out.Int(0)
		return
	}
	c.setPairs(pairs, exp, t)
	c.Out.Int(1)
}

// getEX is GETEX. As in Redis the time is looked at only where the key is
// there, and an absolute time that has passed deletes the key.
func getEX(c *Ctx) {
	var t ttl
	for i := 2; i < len(c.Args); {
		n := t.take(c.Args, i, c.word(i), ttlTimes|ttlPersist)
		if n == 0 {
			c.Fail(resp.ErrSyntax)
			return
		}
		i += n
	}
	k := c.Key(1)
	val, found, err := c.Tx.GetString(k)
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case !found:
		c.Out.Null()
		return
	}
	var deadline int64
	if t.form&ttlTimes != 0 {
		var fail resp.Error
		if deadline, fail = c.deadline(t); fail != "" {
			c.Fail(fail)
			return
		}
	}
	c.Out.Bulk(val)
	if t.form != 0 {
		c.setDeadline(k, deadline)
	}
}

// setDeadline gives a key that is there a deadline, or with 0 takes it away; a
// deadline that has passed deletes it.
func (c *Ctx) setDeadline(k engine.Key, ms int64) {
	now, _ := c.Tx.Deadline(k)
	if ms != 0 && ms <= c.NowMs() {
		c.deleteKey(k)
		return
	}
	if ms != now {
		c.Tx.SetDeadline(k, ms)
	}
	switch {
	case ms != 0:
		c.Event(engine.EventGeneric, "expire", k)
	case now != 0:
		c.Event(engine.EventGeneric, "persist", k)
	}
}

// setString makes val the value of k, and tells of it and of the deadline that t
// gives it.
func (c *Ctx) setString(k engine.Key, val []byte, exp engine.Expiry, t ttl) clock.Stamp {
	s := c.Tx.SetString(k, val, exp)
	c.Event(engine.EventString, "set", k)
	if t.form&ttlTimes != 0 {
		c.Event(engine.EventGeneric, "expire", k)
	}
	return s
}

// setKeyUse tells a SET that only writes its key from one that shows or compares
// what was there.
func setKeyUse(args [][]byte) KeyFlags {
	for _, arg := range args[min(3, len(args)):] {
		for _, word := range [...]string{"GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"} {
			if isWord(arg, word) {
				return RW | Access | Update
			}
		}
	}
	return OW | Update
}
