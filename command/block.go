package command

import (
	"math"
	"math/big"

	"geocache/engine"
	"geocache/resp"
)

// Block says how a command that found nothing to do waits.
type Block struct {
	// Keys are those whose change may end the wait; the row's scope has them.
	Keys []engine.Key
	// Type is the type a changed key must have to be worth another run; with
	// Missing, so is a key that is gone or of another type.
	Type    engine.Type
	Missing Switch
	// DeadlineMs ends the wait, in milliseconds since the epoch; 0 never does.
	DeadlineMs int64
	// AgainMs is when another run is worth it though no key has changed, in
	// milliseconds since the epoch; 0 is never.
	AgainMs int64
	// Timeout replies where the wait ended without result, or may not begin.
	// The Ctx it gets has no Tx.
	Timeout func(*Ctx)
}

// Block makes the command wait: the handler returns without having replied,
// and runs again, with Woken set, in the tx that changed one of the keys. There
// it may call Block once more and stays in its place. Where commands may not
// wait (in EXEC), the timeout's reply is given at once.
func (c *Ctx) Block(b Block) {
	if c.InExec == On {
		b.Timeout(c)
		return
	}
	c.block = &b
}

// TakeBlock is what Block was last called with, or nil; it is forgotten.
func (c *Ctx) TakeBlock() *Block {
	b := c.block
	c.block = nil
	return b
}

// deadlineIn is the deadline that a timeout in seconds, fractions allowed,
// means now; 0, the text for no timeout, means none. A fraction of a
// millisecond counts as one, as in Redis.
func deadlineIn(c *Ctx, arg []byte) (deadlineMs int64, err resp.Error) {
	if n, ok := resp.ParseInt(arg); ok && 0 <= n && n < math.MaxInt32 {
		return deadlineAfter(c, n*1000)
	}
	sec, ok := engine.ParseFloat(arg)
	if !ok {
		return 0, resp.ErrTimeoutNotFloat
	}
	if sec.IsInf() && sec.Signbit() {
		return 0, resp.ErrTimeoutNegative
	}
	ms := new(big.Float).Mul(sec, big.NewFloat(1000))
	if ms.Cmp(big.NewFloat(math.MaxInt64)) > 0 {
		if c.Out.Compat() == resp.Compat70 {
			return 0, resp.ErrTimeoutNegative // it overflows there
		}
		return 0, resp.ErrTimeoutRange
	}
	whole, accuracy := ms.Int64()
	if accuracy == big.Below {
		whole++
	}
	return deadlineAfter(c, whole)
}

// deadlineAfter is deadlineIn for milliseconds.
func deadlineAfter(c *Ctx, ms int64) (deadlineMs int64, err resp.Error) {
	switch {
	case ms < 0:
		return 0, resp.ErrTimeoutNegative
	case ms == 0:
		return 0, ""
	case ms > math.MaxInt64-c.NowMs() && c.Out.Compat() == resp.Compat70:
		return 0, "" // for ever, there
	case ms > math.MaxInt64-c.NowMs():
		return 0, resp.ErrTimeoutRange
	}
	return c.NowMs() + ms, ""
}

// keysNamed are the keys of these names in the session's database.
func (c *Ctx) keysNamed(names [][]byte) []engine.Key {
	keys := make([]engine.Key, len(names))
	for i, name := range names {
		keys[i] = engine.Key{DB: c.DB, Name: name}
	}
	return keys
}

// firstThere looks for the first key of these names that open says is there.
// replied says that the search is over: with a key, or with the reply to what
// open fails with.
func (c *Ctx) firstThere(names [][]byte, open func(engine.Key) (there bool, err error)) (k engine.Key, found, replied bool) {
	for _, name := range names {
		k = engine.Key{DB: c.DB, Name: name}
		there, err := open(k)
		switch {
		case err != nil && c.Woken == On && c.Out.Compat() == resp.Compat70:
			continue // 7.0 looks only at the key that woke it
		case err != nil:
			c.FailWith(err)
			return k, false, true
		case there:
			return k, true, true
		}
	}
	return k, false, false
}
