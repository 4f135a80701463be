package engine

import (
	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file is for commands that take or replace a value as a whole, whatever
// its type: DUMP, RESTORE, SORT STORE, and those that edit a string's bytes.

// SetRaw makes val, which must stay as it is until the tx ends, the value of k,
// whatever was there. OBJECT ENCODING answers raw for it, as for every string
// that was edited in place.
func (t *Tx) SetRaw(k Key, val []byte, exp Expiry) clock.Stamp {
	return t.setOwned(k, val, exp, fRaw)
}

// MakeRaw is SetRaw of the string that k, which must be there, has already: only
// OBJECT ENCODING and recency are others, so nobody is told of it. Like a use it
// is not undone.
func (t *Tx) MakeRaw(k Key) {
	x := t.lookup(k)
	x.flags |= fRaw
	if x.ref != 0 {
		r := x.t.rec(x.ref)
		r.setFlags(r.flags() | fRaw)
	}
	t.touchWrite(x)
}

// Content is the value under k without regard to its type: a string, or a
// collection. It is valid until the tx changes any key, and leaves recency and
// hit counters alone.
func (t *Tx) Content(k Key) (str []byte, coll *op.Coll, ok bool) {
	x := t.value(k)
	switch {
	case x == nil:
		return nil, nil, false
	case x.coll.gone():
		return t.text(x), nil, true
	}
	whole := x.coll.members(func(b []byte) []byte { return b })
	return nil, &whole, true
}

// PutColl makes a collection, whose members are copied and of which there is at
// least one unless it is a stream, the value of k, whatever was there. It
// returns how many members that has: fewer where some of them are the same. Of
// exp only NoDeadline and DeadlineAt make sense.
func (t *Tx) PutColl(k Key, coll *op.Coll, exp Expiry) (members int) {
	deadline := exp.ms
	if exp.kind != expiryAt {
		deadline = t.defaultDeadline()
	}
	t.putWhole(k, coll, deadline)
	return t.changedHere(k).x.coll.main.Len()
}

// Uncap keeps max-ttl from the deadline of k until k is changed again: a value
// that comes from elsewhere keeps the time that it has left.
func (t *Tx) Uncap(k Key) {
	if u := t.changedHere(k); u != nil {
		u.uncapped = true
	}
}

// changedHere is what the tx has done to k, nil where it has not changed it.
func (t *Tx) changedHere(k Key) *undo {
	_, tb, h := t.locate(k)
	return t.changedEntry(tb, h, k.Name)
}

// SetUse says how k, which must be there, was used before it came here: so many
// milliseconds ago, and so often as OBJECT FREQ counts.
func (t *Tx) SetUse(k Key, idleMs int64, freq uint8) {
	x := t.lookup(k)
	t.setWord(x, t.p.Policy.Known(t.now, idleMs, freq))
}

// The forms of what op.Coll holds, for those who make or read one.

// ScoredElem is a member of a sorted set.
func ScoredElem(score float64, member []byte) op.Elem {
	key := appendScoreKey(make([]byte, 0, scoreLen+len(member)), score)
	return op.Elem{Key: append(key, member...), Val: signedZero(score)}
}

// ElemScore is the member and the score that ScoredElem was given.
func ElemScore(el *op.Elem) (member []byte, score float64) {
	return el.Key[scoreLen:], elemScore(tree.Elem(*el))
}

// AppendFieldDeadline appends the note that a hash's field has a deadline in
// milliseconds since the epoch; for 0, that it has none.
func AppendFieldDeadline(dst []byte, ms int64) []byte { return appendDeadline(dst, ms) }

// FieldDeadline is the deadline in a field's note, 0 for none.
func FieldDeadline(note []byte) int64 { return fieldDeadline(note) }
