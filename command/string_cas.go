package command

import (
	"geocache/clock"
	"geocache/engine"
	"geocache/resp"
)

// A CAS token is the stamp of the value (of a counter: a digest of its stamps).
// A value that this very tx wrote has no stamp until commit, so its token is
// patched into the reply then, under the locks. This needs an offset into the
// session's output that stays good from the handler to the commit: tokens have
// a fixed width, nothing before them may change its length meanwhile (whoever
// wraps replies, as EXEC does, announces its count beforehand and does not use
// a Mark), and output of the tx leaves only after the commit. A tx that runs
// again has dropped its hooks; its caller truncates the output.

// placeholder stands where a token will be.
const placeholder = "000000000000000000000000000000000"

// token appends a token as a bulk string by the means of show, which gets the
// function that puts it in.
func (c *Ctx) token(show func(func(clock.Stamp))) {
	out := c.Out
	out.BulkString(placeholder)
	at := out.Len() - len("\r\n") - clock.TokenLen
	show(func(s clock.Stamp) {
		var buf [clock.TokenLen]byte
		out.PatchBytes(at, s.AppendToken(buf[:0]))
	})
}

// gets is GETS key: the value and its CAS token, or null.
func gets(c *Ctx) {
	val, found, err := c.Tx.GetString(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case !found:
		c.Out.NullArray()
		return
	}
	c.Out.Array(2)
	c.Out.Bulk(val)
	c.token(func(put func(clock.Stamp)) { c.Tx.ShowToken(c.Key(1), put) })
}

// cas is CAS key token value [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]: it sets the
// value if the key still has that token (0: if it is missing) and answers the
// new token, else null.
func cas(c *Ctx) {
	absent := string(c.Args[2]) == "0"
	want, ok := clock.ParseToken(c.Args[2])
	if !ok && !absent {
		c.Fail(resp.ErrCASToken)
		return
	}
	var t ttl
	for i := 4; i < len(c.Args); {
		n := t.take(c.Args, i, c.word(i), ttlTimes|ttlKeep)
		if n == 0 {
			c.Fail(resp.ErrSyntax)
			return
		}
		i += n
	}
	exp, fail := c.expiry(t)
	if fail != "" {
		c.Fail(fail)
		return
	}
	k := c.Key(1)
	same, found := c.Tx.TokenIs(k, want)
	if found == absent || found && !same {
		c.Out.Null()
		return
	}
	c.Tx.ShowsStamps()
	s := c.setString(k, c.Args[3], exp, t)
	c.token(func(put func(clock.Stamp)) { c.Tx.ShowStamp(s, put) })
}

// digest is DIGEST key.
func digest(c *Ctx) {
	val, found, err := c.Tx.GetString(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
	case !found:
		c.Out.Null()
	default:
		var buf [digestLen]byte
		c.Out.Bulk(appendDigest(buf[:0], val))
	}
}

// delEXKeyUse is how DELEX uses its key: it reads it only for a condition.
func delEXKeyUse(args [][]byte) KeyFlags {
	if len(args) > 2 {
		return RW | Access | Delete
	}
	return RM | Delete
}

// delEX is DELEX key [IFEQ|IFNE|IFDEQ|IFDNE x].
func delEX(c *Ctx) {
	var q condition
	if len(c.Args) > 2 {
		if len(c.Args) != 4 {
			c.Fail(resp.WrongArity(c.Row.FullName()))
			return
		}
		n, fail := q.take(c.Args, 2, c.word(2))
		if fail == "" && n != 2 {
			fail = resp.ErrSyntax
		}
		if fail != "" {
			c.Fail(fail)
			return
		}
	}
	c.deleteIf(q)
}

// delIfEq is DELIFEQ key value.
func delIfEq(c *Ctx) { c.deleteIf(condition{condIfEq, c.Args[2]}) }

func (c *Ctx) deleteIf(q condition) {
	met, err := q.met(c, c.Key(1))
	switch {
	case err == engine.ErrWrongType:
		c.Fail(resp.ErrConditionNoString)
	case err != nil:
		c.FailWith(err)
	case met && c.deleteKey(c.Key(1)):
		c.Out.Int(1)
	default:
		c.Out.Int(0)
	}
}
