package engine

import (
	"slices"

	"geocache/clock"
	"geocache/op"
)

// This file is where concurrent changes to a string, a counter or a key's
// deadline meet; HyperLogLogs do in sketch.go, members of collections in
// cells.go and listmerge.go. A key's state is a join semilattice: value and
// deadline cells ordered by stamp, a removal mark that only rises, and per
// (lineage, origin) counter runs and floors of which the later replaces the
// earlier. Every function here is therefore commutative, associative and
// idempotent, which merge_test.go enumerates.

// baseAlive reports whether the newest SET outlived every removal.
func baseAlive(s *op.KeyState) bool {
	return s.Dead.Less(s.ValueStamp) && s.Flushed.Less(s.ValueStamp)
}

// relevant reports whether a run of this lineage counts for the visible value:
// on a living base the runs that had seen it, on none what survives on
// nothing.
func relevant(s *op.KeyState, lineage clock.Stamp) bool {
	if baseAlive(s) {
		return lineage == s.ValueStamp
	}
	return lineage.IsZero() || lineage == s.ValueStamp
}

// remainder is what of run c its floors leave; none says that nothing is left.
func remainder(s *op.KeyState, c *op.Sub) (n op.Num, none bool) {
	for i := range s.Floors {
		f := &s.Floors[i]
		if f.Origin != c.Origin || f.Lineage != c.Lineage {
			continue
		}
		if f.At >= c.At {
			return op.Num{}, true
		}
		if f.At >= c.Born {
			return c.Total.Sub(f.Total), false
		}
	}
	return c.Total, false
}

// exists reports whether the key has visible content, deadlines aside.
func exists(s *op.KeyState) bool {
	if baseAlive(s) || len(s.Sketches) > 0 {
		return true
	}
	for i := range s.Subs {
		if c := &s.Subs[i]; relevant(s, c.Lineage) {
			if _, none := remainder(s, c); !none {
				return true
			}
		}
	}
	return false
}

// deadlineOf is the deadline in force in milliseconds, 0 for none.
func deadlineOf(s *op.KeyState) int64 {
	if s.Dead.Less(s.DeadlineStamp) {
		return s.DeadlineMs
	}
	return 0
}

// counted reports whether a run adds to the visible value.
func counted(s *op.KeyState) bool {
	for i := range s.Subs {
		if c := &s.Subs[i]; relevant(s, c.Lineage) {
			if _, none := remainder(s, c); !none {
				return true
			}
		}
	}
	return false
}

// visibleString is the string that clients read: the value cell, a HyperLogLog,
// or the sum of base and runs. clamped says that the sum left 64 bits. The
// result must not be modified.
func visibleString(s *op.KeyState) (val []byte, clamped bool) {
	if len(s.Sketches) > 0 {
		return visibleSketch(s), false
	}
	if !counted(s) {
		return s.Value, false
	}
	sum := op.Num{}
	if baseAlive(s) {
		if v, ok := parseInt(s.Value); ok {
			sum = op.Int(v)
		} else if f, ok := ParseFloat(s.Value); ok && !f.IsInf() {
			sum = op.Float(f)
		}
	}
	for i := range s.Subs {
		if c := &s.Subs[i]; relevant(s, c.Lineage) {
			if n, none := remainder(s, c); !none {
				sum = sum.Add(n)
			}
		}
	}
	if sum.IsFloat() {
		return FormatFloat(sum.BigFloat()), false
	}
	v, clamped := sum.Clamp()
	return appendInt(nil, v), clamped
}

// applyOp joins one op's change of a key into s and reports whether anything
// changed. Flush needs the batch's vector: applyFlush.
func applyOp(s *op.KeyState, o *op.Op) bool {
	switch o.Kind {
	case op.Set:
		d := op.KeyState{ValueStamp: o.Stamp, Value: o.Value}
		if !o.KeepDeadline {
			d.DeadlineStamp, d.DeadlineMs = o.Stamp, o.DeadlineMs
		}
		return join(s, &d)
	case op.Deadline:
		return join(s, &op.KeyState{DeadlineStamp: o.Stamp, DeadlineMs: o.DeadlineMs})
	case op.Remove:
		return join(s, &op.KeyState{Dead: o.Upto, Floors: o.Floors})
	case op.Count:
		return join(s, &op.KeyState{Subs: []op.Sub{o.Sub}})
	case op.Raise:
		return join(s, &op.KeyState{Sketches: []op.Sketch{{Birth: o.Birth, Value: o.Value}}})
	}
	return false
}

// applyFlush removes from s what its origin had seen, counter runs excepted,
// which Remove ops beside it name, and reports whether s changed.
func applyFlush(s *op.KeyState, seen func(clock.Stamp) bool) bool {
	changed := false
	if baseAlive(s) && seen(s.ValueStamp) {
		s.Flushed = s.ValueStamp
		changed = true
	}
	if s.DeadlineMs != 0 && seen(s.DeadlineStamp) {
		s.DeadlineMs = 0
		changed = true
	}
	if changed {
		normalize(s)
	}
	return changed
}

// join merges t into s and reports whether s changed. Slices of t may be kept
// by s: they must not be modified afterwards.
func join(s, t *op.KeyState) bool {
	changed := false
	if s.ValueStamp.Less(t.ValueStamp) {
		s.ValueStamp, s.Value = t.ValueStamp, t.Value
		changed = true
	}
	switch {
	case s.DeadlineStamp.Less(t.DeadlineStamp):
		s.DeadlineStamp, s.DeadlineMs = t.DeadlineStamp, t.DeadlineMs
		changed = true
	case s.DeadlineStamp == t.DeadlineStamp && t.DeadlineMs == 0 && s.DeadlineMs != 0:
		s.DeadlineMs = 0 // a FLUSH took it away
		changed = true
	}
	if s.Dead.Less(t.Dead) {
		s.Dead = t.Dead
		changed = true
	}
	if s.Flushed.Less(t.Flushed) && !t.Flushed.Less(s.ValueStamp) {
		s.Flushed = t.Flushed
		changed = true
	}
	for i := range t.Subs {
		c := &t.Subs[i]
		if !c.Lineage.IsZero() && c.Lineage.Less(s.ValueStamp) {
			continue // of an older value: goes with it
		}
		joined := false
		s.Subs, joined = joinSub(s.Subs, *c)
		changed = changed || joined
	}
	for i := range t.Floors {
		f := &t.Floors[i]
		if !f.Lineage.IsZero() && f.Lineage.Less(s.ValueStamp) {
			continue
		}
		joined := false
		s.Floors, joined = joinFloor(s.Floors, *f)
		changed = changed || joined
	}
	for i := range t.Sketches {
		joined := joinSketch(s, t.Sketches[i])
		changed = changed || joined
	}
	if changed {
		normalize(s)
	}
	return changed
}

// joinSub and joinFloor take in one run or floor, of which the later stays, and
// report whether the list changed. An undo may hold the old one.
func joinSub(list []op.Sub, c op.Sub) ([]op.Sub, bool) {
	at, found := slices.BinarySearchFunc(list, c, op.CompareSubs)
	return putLater(list, c, at, found, found && list[at].At >= c.At)
}

func joinFloor(list []op.Floor, f op.Floor) ([]op.Floor, bool) {
	at, found := slices.BinarySearchFunc(list, f, op.CompareFloors)
	return putLater(list, f, at, found, found && list[at].At >= f.At)
}

func putLater[T any](list []T, v T, at int, found, late bool) ([]T, bool) {
	switch {
	case late:
		return list, false
	case !found:
		return slices.Insert(slices.Clip(list), at, v), true
	}
	list = slices.Clone(list)
	list[at] = v
	return list, true
}

// normalize drops what can no longer matter: runs, floors and the flush mark of
// older values, the bytes of a removed value, and what births have gone.
func normalize(s *op.KeyState) {
	older := func(l clock.Stamp) bool { return !l.IsZero() && l.Less(s.ValueStamp) }
	if len(s.Subs) > 0 && slices.ContainsFunc(s.Subs, func(c op.Sub) bool { return older(c.Lineage) }) {
		s.Subs = slices.DeleteFunc(slices.Clone(s.Subs), func(c op.Sub) bool { return older(c.Lineage) })
	}
	if len(s.Floors) > 0 && slices.ContainsFunc(s.Floors, func(f op.Floor) bool { return older(f.Lineage) }) {
		s.Floors = slices.DeleteFunc(slices.Clone(s.Floors), func(f op.Floor) bool { return older(f.Lineage) })
	}
	if s.Flushed.Less(s.ValueStamp) {
		s.Flushed = clock.Stamp{}
	}
	if !baseAlive(s) {
		s.Value = nil
	}
	if len(s.Sketches) > 0 {
		dropSketches(s)
	}
}

// floorsOf names, for a removal, every run of s that still counts for
// something, hidden ones included, and every birth of a HyperLogLog.
func floorsOf(s *op.KeyState) []op.Floor {
	var fs []op.Floor
	for i := range s.Subs {
		c := &s.Subs[i]
		if _, none := remainder(s, c); !none {
			fs = append(fs, op.Floor{Lineage: c.Lineage, Origin: c.Origin, At: c.At, Total: c.Total})
		}
	}
	return birthFloors(fs, s)
}

// survivors are the floors that a SET names: runs that started from nothing.
// Those on older values go with the value.
func survivors(fs []op.Floor) []op.Floor {
	return slices.DeleteFunc(fs, func(f op.Floor) bool { return !f.Lineage.IsZero() })
}

// expiryMark is the removal mark that ends an expired value and its deadline.
func expiryMark(s *op.KeyState) clock.Stamp {
	if s.ValueStamp.Less(s.DeadlineStamp) {
		return s.DeadlineStamp
	}
	return s.ValueStamp
}

// removal reports whether s carries knowledge that ForgetRemovals may drop:
// removal marks, floors, or cells of a key that is not there.
func removal(s *op.KeyState) bool {
	return !s.Dead.IsZero() || !s.Flushed.IsZero() || len(s.Floors) > 0 || !exists(s)
}

// removedSince reports whether b knows of a removal that a does not.
func removedSince(a, b *op.KeyState) bool {
	return a.Dead != b.Dead || a.Flushed != b.Flushed || exists(a) && !exists(b) ||
		!slices.EqualFunc(a.Floors, b.Floors, func(f, g op.Floor) bool {
			return f.At == g.At && f.Origin == g.Origin && f.Lineage == g.Lineage
		})
}

// forget drops removal knowledge from s. The caller knows that every member
// has applied the removals and that all it wrote before has arrived here;
// stable says up to where that is so. forget reports whether nothing is left,
// so that the key can go altogether.
func forget(s *op.KeyState, stable clock.Vector) (empty bool) {
	if baseAlive(s) {
		if !s.Dead.Less(s.DeadlineStamp) {
			s.DeadlineStamp, s.DeadlineMs = clock.Stamp{}, 0
		}
		s.Dead = clock.Stamp{}
	} else if !exists(s) && stable.Covers(s.ValueStamp) && stable.Covers(s.DeadlineStamp) {
		s.ValueStamp, s.Flushed, s.Dead = clock.Stamp{}, clock.Stamp{}, clock.Stamp{}
		s.DeadlineStamp, s.DeadlineMs = clock.Stamp{}, 0
	}
	forgetRuns(s, stable)
	return blank(s)
}

// forgetOfColl is forget for the state beside a collection.
func forgetOfColl(s *op.KeyState, stable clock.Vector) {
	if !s.Dead.Less(s.DeadlineStamp) {
		s.DeadlineStamp, s.DeadlineMs = clock.Stamp{}, 0
	}
	switch {
	case baseAlive(s):
		s.Dead = clock.Stamp{}
	case !exists(s) && stable.Covers(s.ValueStamp):
		s.ValueStamp, s.Flushed, s.Dead = clock.Stamp{}, clock.Stamp{}, clock.Stamp{}
	}
	forgetRuns(s, stable)
}

// forgetRuns drops floors, and the runs that they leave nothing of.
func forgetRuns(s *op.KeyState, stable clock.Vector) {
	if len(s.Floors) > 0 {
		s.Subs = slices.DeleteFunc(slices.Clone(s.Subs), func(c op.Sub) bool {
			_, none := remainder(s, &c)
			return none && stable.Covers(clock.Stamp{At: c.At, Origin: c.Origin})
		})
		s.Floors = slices.DeleteFunc(slices.Clone(s.Floors), func(f op.Floor) bool {
			bites := slices.ContainsFunc(s.Subs, func(c op.Sub) bool {
				return c.Origin == f.Origin && c.Lineage == f.Lineage && f.At >= c.Born
			})
			return !bites && stable.Covers(clock.Stamp{At: f.At, Origin: f.Origin})
		})
	}
}

// beyond is what s holds that v does not cover.
func beyond(s op.KeyState, v clock.Vector) op.KeyState {
	if v.Covers(s.ValueStamp) {
		s.ValueStamp, s.Value = clock.Stamp{}, nil
	}
	if v.Covers(s.DeadlineStamp) {
		s.DeadlineStamp, s.DeadlineMs = clock.Stamp{}, 0
	}
	// A floor does not say when it was made: a removal beyond v may have made it.
	floors := v.Covers(s.Dead)
	if floors {
		s.Dead = clock.Stamp{}
	}
	if v.Covers(s.Flushed) {
		s.Flushed = clock.Stamp{}
	}
	s.Subs = slices.DeleteFunc(slices.Clone(s.Subs), func(c op.Sub) bool {
		return v.Covers(clock.Stamp{At: c.At, Origin: c.Origin})
	})
	s.Floors = slices.DeleteFunc(slices.Clone(s.Floors), func(f op.Floor) bool {
		return floors && v.Covers(clock.Stamp{At: f.At, Origin: f.Origin})
	})
	s.Sketches = slices.DeleteFunc(slices.Clone(s.Sketches), func(k op.Sketch) bool { return v.Covers(k.Birth) })
	return s
}

// blank reports whether nothing at all is known of a key.
func blank(s *op.KeyState) bool {
	return s.ValueStamp.IsZero() && s.Dead.IsZero() && s.Flushed.IsZero() && s.DeadlineStamp.IsZero() && len(s.Subs) == 0 && len(s.Floors) == 0 && len(s.Sketches) == 0
}

// tokenOf is the CAS token of a visible state: the stamp of a plain value, for
// a counter a digest of the stamps of base and runs, for a HyperLogLog whose
// registers merge one of its births and registers.
func tokenOf(s *op.KeyState) clock.Stamp {
	if len(s.Sketches) > 0 {
		return sketchToken(s)
	}
	if !counted(s) {
		return s.ValueStamp
	}
	h := newStampDigest()
	if baseAlive(s) {
		h.add(s.ValueStamp)
	}
	for i := range s.Subs {
		c := &s.Subs[i]
		if !relevant(s, c.Lineage) {
			continue
		}
		if _, none := remainder(s, c); !none {
			h.add(clock.Stamp{At: c.At, Origin: c.Origin})
		}
	}
	return h.sum()
}
