package engine

import (
	"bytes"

	"geocache/clock"
	"geocache/op"
)

// This file is for commands that take or replace a value as a whole, whatever
// its type: DUMP, RESTORE, SORT STORE, and those that edit a string's bytes.

// SetRaw makes val, which is copied, the value of k, whatever was there. OBJECT
// ENCODING answers raw for it, as for every string that was edited in place.
func (t *Tx) SetRaw(k Key, val []byte, exp Expiry) clock.Stamp {
	return t.setOwned(k, bytes.Clone(val), exp, fRaw)
}

// Content is the value under k without regard to its type: a string, or a copy
// of a collection. It leaves recency and hit counters alone.
func (t *Tx) Content(k Key) (str []byte, coll *op.Coll, ok bool) {
	x := t.value(k)
	switch {
	case x == nil:
		return nil, nil, false
	case x.coll == nil:
		return t.text(x), nil, true
	}
	whole := x.coll.export()
	return nil, &whole, true
}

// PutColl makes a collection, whose members are copied and of which there is at
// least one unless it is a stream, the value of k, whatever was there. It has
// the deadline given in milliseconds since the epoch, 0 for none.
func (t *Tx) PutColl(k Key, coll *op.Coll, deadlineMs int64) { t.putWhole(k, coll, deadlineMs) }

// SetUse says how k, which must be there, was used before it came here: so many
// milliseconds ago, and so often as OBJECT FREQ counts.
func (t *Tx) SetUse(k Key, idleMs int64, freq uint8) {
	x := t.lookup(k)
	t.setWord(x, t.p.Policy.Known(t.now, idleMs, freq))
}
