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
	if x == nil {
		return false, false
	}
	return !unstamped(&x.state) && tokenOf(&x.state) == want, true
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
	if !unstamped(&x.state) {
		fn(tokenOf(&x.state))
		return true
	}
	s := x.state
	s.Subs, s.Floors = slices.Clone(s.Subs), slices.Clone(s.Floors)
	t.OnCommit(func() {
		resolve(&s, t.first)
		fn(tokenOf(&s))
	})
	return true
}

// ShowStamp hands s, which a method of this tx returned, to fn under the locks
// once the batch has its stamps.
func (t *Tx) ShowStamp(s clock.Stamp, fn func(clock.Stamp)) {
	t.OnCommit(func() {
		s.At = op.Resolve(s.At, t.first)
		fn(s)
	})
}

// unstamped reports whether the token of s waits for its batch's stamps.
func unstamped(s *op.KeyState) bool {
	if op.IsProvisional(s.ValueStamp.At) {
		return true
	}
	return slices.ContainsFunc(s.Subs, func(c op.Sub) bool { return op.IsProvisional(c.At) || op.IsProvisional(c.Born) })
}
