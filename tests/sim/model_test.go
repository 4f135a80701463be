package sim

import (
	"math/big"

	"geocache/clock"
)

// kind is what a write did to one cell of a key.
type kind uint8

const (
	wrote   kind = iota // the value
	dated               // the deadline
	removed             // the key, as far as its region had seen it
	counted             // an increment
)

// write is one observed change of one cell.
type write struct {
	key    key
	kind   kind
	region *region
	life   int
	stamp  clock.Stamp  // of the cell
	batch  clock.Stamp  // of the end of its batch
	seen   clock.Vector // what its region had applied before
	what   string

	value      string // wrote
	kept       bool   // wrote: the deadline stayed as it was
	deadlineMs int64  // dated
	lineage    clock.Stamp
	delta      int64 // counted, in quarters

	acked    bool
	ackUs    int64
	voided   bool // its region was to lose everything
	promised bool // acknowledged, and nothing that happened since excuses its loss
}

// history is everything that was observed.
type history struct {
	writes []*write
	values int
	stamps map[clock.Stamp]string
	newest map[clock.Origin]clock.Reading
	ended  map[clock.Origin]ending
}

func (h *history) init() {
	h.stamps, h.newest, h.ended = map[clock.Stamp]string{}, map[clock.Origin]clock.Reading{}, map[clock.Origin]ending{}
}

// observe checks that stamps increase per origin and that none is used twice.
func (h *history) observe(r *region, k *call, batch clock.Stamp) {
	if last := h.newest[batch.Origin]; batch.At <= last {
		r.w.fail("%s: stamp %v of %s is not above %v of the same origin", r.name, batch, k.what, last)
	}
	h.newest[batch.Origin] = batch.At
	for _, w := range k.writes {
		if w.batch != batch || w.kind == dated || w.kind == removed && w.stamp == batch {
			continue // a SET writes two cells under one stamp; a lone cache's removals show none
		}
		was, used := h.stamps[w.stamp]
		if used && was != w.key.name {
			r.w.fail("%s: stamp %v of %s was given to %s before", r.name, w.stamp, k.what, was)
		}
		h.stamps[w.stamp] = w.key.name
	}
}

// endLife settles what is promised of a life's writes.
func (h *history) endLife(r *region, how ending, safeUs int64) {
	h.ended[r.n.Engine().Origin()] = how
	always := r.w.plan.fsync == "always"
	for _, w := range h.writes {
		switch {
		case w.region != r:
		case how == endedWiped:
			w.voided, w.promised = true, false // of all its lives
		case w.life == r.life:
			w.promised = w.acked && !w.voided && (always || how == endedCleanly || w.ackUs < safeUs)
		}
	}
}

// void takes back what is promised of a region's writes so far.
func (h *history) void(r *region) {
	for _, w := range h.writes {
		if w.region == r {
			w.voided, w.promised = true, false
		}
	}
}

// settle promises what lives that go on have acknowledged.
func (h *history) settle() {
	for _, w := range h.writes {
		if w.region.up() && w.life == w.region.life {
			w.promised = w.acked && !w.voided
		}
	}
}

// expected is what a key must be once a vector is applied everywhere.
type expected struct {
	exists     bool
	mayBeGone  bool // an expiry may have come first
	numeric    bool
	number     *big.Rat
	text       string
	deadlineMs int64
	why        string
}

// expect applies the merge rules to the surviving writes of k.
func (h *history) expect(k key, v clock.Vector, nowMs int64) (x expected) {
	var value, death, deadline *write
	later := func(have, w *write) *write {
		if have == nil || have.stamp.Less(w.stamp) {
			return w
		}
		return have
	}
	var live []*write
	for _, w := range h.writes {
		if w.key != k || !v.Covers(w.batch) {
			continue
		}
		live = append(live, w)
		switch w.kind {
		case wrote:
			value = later(value, w)
		case removed:
			death = later(death, w)
		case dated:
			deadline = later(deadline, w)
		}
	}
	alive := value != nil && (death == nil || death.stamp.Less(value.stamp))
	sum, counts := new(big.Rat), false
	for _, w := range live {
		if w.kind == counted && h.counts(w, live, value, alive) {
			sum.Add(sum, big.NewRat(w.delta, quarter))
			counts = true
		}
	}
	x.exists = alive || counts
	if alive {
		x.text, x.why = value.value, value.what
	}
	if counts {
		x.numeric = true
		x.number = sum
		if base, ok := new(big.Rat).SetString(x.text); alive && ok {
			x.number.Add(x.number, base)
		}
	}
	if deadline != nil && (death == nil || death.stamp.Less(deadline.stamp)) {
		x.deadlineMs = deadline.deadlineMs
	}
	if x.deadlineMs != 0 && x.deadlineMs <= nowMs {
		x.exists = false
	}
	for _, w := range live {
		if w.kind == dated && w.deadlineMs != 0 && w.deadlineMs <= nowMs && value != nil && (value.kept || !w.stamp.Less(value.stamp)) {
			x.mayBeGone = true
		}
	}
	return x
}

// counts reports whether increment w is part of the visible number: it had
// seen the value in force, or nothing where there is none, and no removal that
// had seen it survived.
func (h *history) counts(w *write, live []*write, value *write, alive bool) bool {
	base := clock.Stamp{}
	if value != nil {
		base = value.stamp
	}
	if w.lineage != base && (alive || !w.lineage.IsZero()) {
		return false
	}
	for _, other := range live {
		ends := other.kind == removed || other.kind == wrote && w.lineage.IsZero()
		if ends && (other.seen.Covers(w.stamp) || other.stamp.Origin == w.stamp.Origin && w.stamp.Less(other.stamp)) {
			return false
		}
	}
	return true
}

// sum is what all surviving increments of a pure counter come to.
func (h *history) sum(k key, v clock.Vector) *big.Rat {
	n := new(big.Rat)
	for _, w := range h.writes {
		if w.key == k && w.kind == counted && v.Covers(w.batch) {
			n.Add(n, big.NewRat(w.delta, quarter))
		}
	}
	return n
}
