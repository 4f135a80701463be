package command

import (
	"math"

	"geocache/engine"
	"geocache/resp"
)

// ttl is the expiry option of SET, GETEX, MSETEX, INCREX and CAS.
type ttl struct {
	form ttlForm
	arg  []byte // of the forms that take a time
}

// ttlForm is the word of an expiry option; forms are bits so that a command can
// say which it takes.
type ttlForm uint8

const (
	ttlEX ttlForm = 1 << iota
	ttlPX
	ttlEXAT
	ttlPXAT
	ttlKeep
	ttlPersist

	ttlTimes    = ttlEX | ttlPX | ttlEXAT | ttlPXAT
	ttlSeconds  = ttlEX | ttlEXAT
	ttlAbsolute = ttlEXAT | ttlPXAT
)

func ttlWord(w string) ttlForm {
	switch w {
	case "ex":
		return ttlEX
	case "px":
		return ttlPX
	case "exat":
		return ttlEXAT
	case "pxat":
		return ttlPXAT
	case "keepttl":
		return ttlKeep
	case "persist":
		return ttlPersist
	}
	return 0
}

// take reads the expiry option called w at args[i], if it is one of those
// allowed, and returns how many arguments it has: 0 where it does not fit. As
// in Redis the same form may be said again, and the last one counts.
func (t *ttl) take(args [][]byte, i int, w string, allowed ttlForm) int {
	f := ttlWord(w)
	switch {
	case f&allowed == 0, t.form|f != f:
		return 0
	case f&ttlTimes == 0:
		t.form = f
		return 1
	case i+1 >= len(args):
		return 0
	}
	t.form, t.arg = f, args[i+1]
	return 2
}

// deadline is the time that t, which takes one, says, in milliseconds since the
// epoch.
func (c *Ctx) deadline(t ttl) (ms int64, err resp.Error) {
	ms, ok := resp.ParseInt(t.arg)
	if !ok {
		return 0, resp.ErrNotInt
	}
	if ms <= 0 || t.form&ttlSeconds != 0 && ms > math.MaxInt64/1000 {
		return 0, resp.InvalidExpire(c.Row.FullName())
	}
	if t.form&ttlSeconds != 0 {
		ms *= 1000
	}
	if t.form&ttlAbsolute == 0 {
		if ms > math.MaxInt64-c.NowMs() {
			return 0, resp.InvalidExpire(c.Row.FullName())
		}
		ms += c.NowMs()
	}
	return ms, ""
}

// expiry is what a write with option t does to the deadline.
func (c *Ctx) expiry(t ttl) (engine.Expiry, resp.Error) {
	switch {
	case t.form == ttlKeep:
		return engine.KeepDeadline(), ""
	case t.form&ttlTimes == 0:
		return engine.NoDeadline(), ""
	}
	ms, err := c.deadline(t)
	return engine.DeadlineAt(ms), err
}

// word is argument i in lower case, for comparison with option names; it is
// empty for what is longer than any of them.
func (c *Ctx) word(i int) string {
	var buf [16]byte
	if len(c.Args[i]) > len(buf) {
		return ""
	}
	return string(lower(buf[:0], c.Args[i]))
}
