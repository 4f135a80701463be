package engine

import (
	"slices"

	"geocache/clock"
	"geocache/op"
)

// TokenIs compares want with the CAS token of k, without touching it; found is
// false for a missing key. A value that this very tx wrote has no token yet.
func (t *Tx) TokenIs(k Key, want clock.Stamp) (same, found bool) {
	x := t.lookup(k)
	if x == nil || !x.coll.gone() {
		return false, x != nil
	}
	return !t.unstamped(x) && !awaitsStamp(&x.state) && tokenOf(&x.state) == want, true
}

// ShowToken hands the CAS token of k's present value to fn and reports whether
// k is there. Where this very tx wrote the value, its token is known only once
// the batch has its stamps: fn then runs under the locks, with the token of
// the value that k had at the call, whatever is written to k after it.
func (t *Tx) ShowToken(k Key, fn func(token clock.Stamp)) bool {
	x := t.lookup(k)
	if x == nil {
		return false
	}
	if t.unstamped(x) {
		x = t.giveStamp(k)
	}
	if !awaitsStamp(&x.state) {
		fn(tokenOf(&x.state))
		return true
	}
	s := x.state
	s.Subs, s.Floors = slices.Clone(s.Subs), slices.Clone(s.Floors)
	if len(s.Sketches) > 0 { // their token depends on the registers
		detach(&s)
	}
	t.OnCommit(func() {
		resolve(&s, t.first)
		fn(tokenOf(&s))
	})
	return true
}

// ShowsStamps says, ahead of a change, that ShowStamp will be asked for its stamp.
func (t *Tx) ShowsStamps() { t.sole = false }

// ShowStamp hands s, which a method of this tx returned, to fn under the locks
// once the batch has its stamps.
func (t *Tx) ShowStamp(s clock.Stamp, fn func(clock.Stamp)) {
	for i := range t.undo {
		if x := t.undo[i].x; x.state.ValueStamp == s {
			x.flags |= fToken
			t.ops.KeepStamp(s)
		}
	}
	t.OnCommit(func() {
		s.At = op.Resolve(s.At, t.first)
		fn(s)
	})
}

// giveStamp writes the value of k anew, so that it has a stamp of its own and
// keeps it: where no sibling is configured, values have none until asked.
func (t *Tx) giveStamp(k Key) *entry {
	t.ShowsStamps()
	u := t.edit(k)
	val := u.x.state.Value
	u.x.state.ValueStamp = t.emit(func(b *op.Builder) clock.Stamp { return b.SetValue(u.db, u.x.key, val) })
	t.ops.KeepStamp(u.x.state.ValueStamp)
	if u.x.state.DeadlineMs != 0 {
		t.writeDeadline(u, u.x.state.DeadlineMs)
	} else {
		u.x.state.DeadlineStamp = u.x.state.ValueStamp
	}
	u.x.flags |= fToken
	t.done(k, u)
	return u.x
}

// unstamped reports whether the entry has no stamp of its own, which no token
// can name.
func (t *Tx) unstamped(x *entry) bool {
	return !t.p.Merging && x.flags&fToken == 0 && len(x.state.Subs)+len(x.state.Sketches) == 0
}

// awaitsStamp reports whether the token of s waits for its batch's stamps.
func awaitsStamp(s *op.KeyState) bool {
	if op.IsProvisional(s.ValueStamp.At) {
		return true
	}
	return slices.ContainsFunc(s.Sketches, func(k op.Sketch) bool { return op.IsProvisional(k.Birth.At) }) ||
		slices.ContainsFunc(s.Subs, func(c op.Sub) bool { return op.IsProvisional(c.At) || op.IsProvisional(c.Born) })
}
