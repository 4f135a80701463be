package engine

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// This file enumerates short histories of one key in three regions and holds
// the engine against a model that is written from the merge rules alone: it
// knows events, their stamps and what each had seen, and no cell, floor or
// subtotal.
//
// That these tests can fail was tried by planting, one at a time: a join that
// drops floors, one that compares value stamps backwards, a FLUSH that marks
// everything as dead, floors forgotten without asking the vector, and an
// INCR that leaves the deadline cell of a former life alone.

type verb uint8

const (
	vSet verb = iota
	vSetEx
	vSetKeep
	vSetSketch
	vIncr
	vPFAdd
	vDel
	vExpire
	vPersist
	vFlush
	verbs
)

func (v verb) String() string {
	return [...]string{"SET", "SETEX", "KEEPTTL", "SET HLL", "INCR", "PFADD", "DEL", "EXPIRE", "PERSIST", "FLUSH"}[v]
}

// step is one choice of a history: region does verb after pulling all that
// the regions in pull (a bit mask) have.
type step struct {
	region int
	pull   int
	verb   verb
}

func (s step) String() string { return fmt.Sprintf("%c<-%03b %v", 'A'+s.region, s.pull, s.verb) }

// event is what the model knows of a step; its number is its stamp order.
type event struct {
	verb     verb
	seen     uint // events, as bits
	value    int64
	lineage  int   // INCR: the SET it had seen, -1 for none
	birth    int   // PFADD: whose registers it raises
	idle     bool  // it was refused, or there was nothing to do
	cell     bool  // writes the deadline cell
	deadline int64 // what it writes there
}

type view struct {
	exists   bool
	value    int64
	deadline int64
	base     int // the living SET, -1 for none
	// elements is which events a HyperLogLog has counted; 0 for other strings.
	elements uint
	birth    int // the newest of its births
}

func has(set uint, i int) bool { return set>>i&1 != 0 }

func (v verb) sets() bool { return v <= vSetSketch }

// alive reports whether a birth that set has outlived all removals in it.
func alive(events []event, set uint, birth, newest int) bool {
	for i, ev := range events {
		if has(set, i) && has(ev.seen, birth) && (ev.verb == vDel && !ev.idle || ev.verb == vFlush) {
			return false
		}
	}
	return birth > newest
}

// is reports whether val is what v says.
func (v *view) is(val string) bool {
	if v.elements == 0 {
		return val == strconv.FormatInt(v.value, 10)
	}
	var want []int
	for i := range bits.Len(v.elements) {
		if has(v.elements, i) {
			want = append(want, i)
		}
	}
	return bytes.Equal(registers([]byte(val)), registers(sketchOf(want...)))
}

// see is the outcome of a set of events by the rules.
func see(events []event, set uint) view {
	v := view{base: -1}
	newest, cell := -1, -1
	for i, ev := range events {
		if !has(set, i) || ev.idle {
			continue
		}
		if ev.verb.sets() {
			newest = i
		}
		if ev.cell {
			cell = i
		}
	}
	if newest >= 0 {
		v.base = newest
		for i, ev := range events {
			if has(set, i) && (ev.verb == vDel && !ev.idle && i > newest || ev.verb == vFlush && has(ev.seen, newest)) {
				v.base = -1
			}
		}
	}
	if v.base >= 0 {
		v.exists, v.value = true, events[v.base].value
	}
	for i, ev := range events {
		if !has(set, i) || ev.idle || ev.verb != vPFAdd {
			continue
		}
		if ev.birth == v.base || !events[ev.birth].verb.sets() && alive(events, set, ev.birth, newest) {
			v.exists, v.elements, v.birth = true, v.elements|1<<i, max(v.birth, ev.birth)
		}
	}
	if v.base >= 0 && events[v.base].verb == vSetSketch {
		v.elements, v.birth = v.elements|1<<v.base, max(v.birth, v.base)
	}
	for i, inc := range events {
		if !has(set, i) || inc.idle || inc.verb != vIncr {
			continue
		}
		counts := inc.lineage == v.base || v.base < 0 && inc.lineage == newest
		for j, ev := range events {
			if !has(set, j) || !has(ev.seen, i) {
				continue
			}
			if ev.verb == vDel && !ev.idle || ev.verb == vFlush || ev.verb.sets() && inc.lineage < 0 {
				counts = false
			}
		}
		if counts {
			v.exists = true
			v.value += inc.value
		}
	}
	if v.exists && cell >= 0 {
		v.deadline = events[cell].deadline
		for i, ev := range events {
			if has(set, i) && (ev.verb == vDel && !ev.idle && i > cell || ev.verb == vFlush && has(ev.seen, cell)) {
				v.deadline = 0
			}
		}
	}
	return v
}

// history is one run of three engines beside the model.
type history struct {
	t       *testing.T
	wall    *clock.Manual
	regions []*region
	known   []uint  // per region, events applied
	order   [][]int // per region, events in the order of their application
	events  []event
	batches []*op.Batch // nil where the event turned out to do nothing
	steps   []step
	// eager regions forget removals as soon as they may: after every step.
	eager bool
	after []clock.Vector // per event, the vector of its region
}

const theKey = "k"

func newHistory(t *testing.T, eager bool) *history {
	h := &history{t: t, eager: eager, wall: clock.NewManual(startMs), known: make([]uint, 3), order: make([][]int, 3)}
	for _, name := range []string{"a", "b", "c"} {
		h.regions = append(h.regions, newRegion(name, h.wall, 1, 1, merging()))
	}
	return h
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("%v: %s", h.steps, fmt.Sprintf(format, args...))
}

// deliver applies event i in region r.
func (h *history) deliver(r, i int) {
	if has(h.known[r], i) {
		return
	}
	if h.batches[i] != nil {
		h.regions[r].receive(*h.batches[i])
	}
	h.known[r] |= 1 << i
	h.order[r] = append(h.order[r], i)
}

func (h *history) pull(r, from int) {
	for _, i := range h.order[from] {
		h.deliver(r, i)
	}
}

// take does one step and checks what its region shows.
func (h *history) take(s step) {
	h.steps = append(h.steps, s)
	for from := range 3 {
		if has(uint(s.pull), from) {
			h.pull(s.region, from)
		}
	}
	h.wall.Advance(1)
	r, i := h.regions[s.region], len(h.events)
	before := see(h.events, h.known[s.region])
	ev := event{verb: s.verb, seen: h.known[s.region], lineage: before.base, birth: i}
	deadline := h.wall.NowMs() + int64(i+1)*1_000_000
	committed, err := len(r.own), error(nil)
	switch s.verb {
	case vSet, vSetEx, vSetKeep:
		ev.value = int64(i+1) * 1000
		exp := NoDeadline()
		ev.cell = true
		if s.verb == vSetEx {
			exp, ev.deadline = DeadlineAt(deadline), deadline
		} else if s.verb == vSetKeep {
			exp, ev.cell = KeepDeadline(), !before.exists
		}
		r.do(func(t *Tx) { t.SetString(key(theKey), strconv.AppendInt(nil, ev.value, 10), exp) }, theKey)
	case vSetSketch:
		ev.cell = true
		r.do(func(t *Tx) { t.SetString(key(theKey), sketchOf(i), NoDeadline()) }, theKey)
	case vIncr:
		ev.value, ev.cell = 1<<i, !before.exists
		r.do(func(t *Tx) { _, err = t.Incr(key(theKey), ev.value) }, theKey)
		if before.elements != 0 {
			if err == nil {
				h.fail("a HyperLogLog was counted on")
			}
			ev.idle, err = true, nil
		}
	case vPFAdd:
		ev.cell = !before.exists
		if before.elements != 0 {
			ev.birth = before.birth
		}
		r.do(func(t *Tx) { err = pfAdd(t, key(theKey), element(i)) }, theKey)
		if before.exists && before.elements == 0 {
			if err == nil {
				h.fail("elements were added to another string")
			}
			ev.idle, err = true, nil
		}
	case vDel:
		r.do(func(t *Tx) { t.Delete(key(theKey)) }, theKey)
	case vExpire:
		ev.cell, ev.deadline = before.exists, deadline
		r.do(func(t *Tx) { t.SetDeadline(key(theKey), deadline) }, theKey)
	case vPersist:
		ev.cell = before.exists
		r.do(func(t *Tx) { t.SetDeadline(key(theKey), 0) }, theKey)
	case vFlush:
		r.world(func(t *Tx) { t.FlushDB(0) })
	}
	if s.verb == vDel && !before.exists {
		ev.idle = true
	}
	if err != nil {
		h.fail("%v", err)
	}
	h.events = append(h.events, ev)
	h.batches = append(h.batches, nil)
	if len(r.own) > committed {
		h.batches[i] = &r.own[len(r.own)-1]
	}
	h.known[s.region] |= 1 << i
	h.order[s.region] = append(h.order[s.region], i)
	h.after = append(h.after, r.vector.Clone())
	h.check(r, h.known[s.region], "after the step")
	if h.eager {
		r.e.ForgetRemovals(h.stable(s.region), 100)
		h.check(r, h.known[s.region], "after forgetting early")
	}
}

// stable is what every region has applied for all that r knows, each vector
// taken from the last step that r has of it: what came before has arrived.
func (h *history) stable(r int) clock.Vector {
	v := h.regions[r].vector
	for m := range 3 {
		acknowledged := clock.Vector{}
		for i, s := range h.steps {
			if s.region == m && has(h.known[r], i) {
				acknowledged = h.after[i]
			}
		}
		if m != r {
			v = clock.Min(v, acknowledged)
		}
	}
	return v
}

// check holds what r shows against the model.
func (h *history) check(r *region, set uint, when string) {
	h.t.Helper()
	if r.err != nil {
		h.fail("%s: %v", when, r.err)
	}
	want := see(h.events, set)
	val, ok := r.get(theKey)
	if ok != want.exists || ok && !want.is(val) {
		h.fail("%s: shows %q %v, the rules say %d %v\nstate %+v", when, val, ok, want.value, want.exists, r.state(theKey))
	}
	if d := r.deadline(theKey); d != want.deadline {
		h.fail("%s: deadline %d, the rules say %d\nstate %+v", when, d, want.deadline, r.state(theKey))
	}
}

func (h *history) all() uint { return 1<<len(h.events) - 1 }

// converge delivers everything everywhere and demands one outcome.
func (h *history) converge(when string) {
	h.t.Helper()
	for r := range 3 {
		for from := range 3 {
			h.pull(r, from)
		}
	}
	digest := h.regions[0].digest()
	for i, r := range h.regions {
		h.check(r, h.all(), fmt.Sprintf("%s, region %c", when, 'A'+i))
		if r.digest() != digest {
			h.fail("%s: digests differ", when)
		}
	}
}

// everyOrder runs fn on fresh regions that got all batches, one for each
// order that respects causality.
func (h *history) everyOrder(fn func(*region)) {
	var walk func(done uint, order []int)
	walk = func(done uint, order []int) {
		if len(order) == len(h.events) {
			r := newRegion("d", h.wall, 1, 1, merging())
			for _, i := range order {
				if h.batches[i] != nil {
					r.receive(*h.batches[i])
				}
			}
			fn(r)
			return
		}
		for i, ev := range h.events {
			if !has(done, i) && ev.seen&^done == 0 {
				walk(done|1<<i, append(order, i))
			}
		}
	}
	walk(0, nil)
}

func encoded(s op.KeyState) []byte { return s.Append(nil) }

func joined(states ...op.KeyState) op.KeyState {
	var s op.KeyState
	for i := range states {
		c := states[i]
		join(&s, &c)
	}
	return s
}

// checkJoin tries the laws of a join on the states that the regions hold.
func (h *history) checkJoin() {
	h.t.Helper()
	a, b, c := h.regions[0].state(theKey), h.regions[1].state(theKey), h.regions[2].state(theKey)
	if !bytes.Equal(encoded(joined(a, b)), encoded(joined(b, a))) {
		h.fail("join is not commutative:\n%+v\n%+v\n%+v\n%+v", a, b, joined(a, b), joined(b, a))
	}
	if !bytes.Equal(encoded(joined(joined(a, b), c)), encoded(joined(a, joined(b, c)))) {
		h.fail("join is not associative:\n%+v\n%+v\n%+v", a, b, c)
	}
	abc := joined(a, b, c)
	for _, s := range []op.KeyState{a, b, c, abc} {
		again := abc
		if join(&again, &s) || !bytes.Equal(encoded(again), encoded(abc)) {
			h.fail("join is not idempotent: %+v into %+v", s, abc)
		}
	}
	want := see(h.events, h.all())
	val, _ := visibleString(&abc)
	if exists(&abc) != want.exists || want.exists && (!want.is(string(val)) || deadlineOf(&abc) != want.deadline) {
		h.fail("joined states show %q, deadline %d, the rules say %+v", val, deadlineOf(&abc), want)
	}
}

// forgetIn lets the regions in mask forget what everybody has.
func (h *history) forgetIn(mask int) {
	stable := h.regions[0].vector.Clone()
	for i, r := range h.regions {
		if has(uint(mask), i) {
			r.e.ForgetRemovals(stable, 100)
			h.check(r, h.all(), "after forgetting")
		}
	}
}

// finish is what every history is put through once its steps are done; turn
// varies the choices that are not enumerated.
func (h *history) finish(turn int) {
	h.checkJoin()
	var digests []uint64
	h.everyOrder(func(r *region) {
		h.check(r, h.all(), "in another order")
		digests = append(digests, r.digest())
	})
	h.converge("in the end")
	for _, d := range digests {
		if d != h.regions[0].digest() {
			h.fail("another order has another digest")
		}
	}
	h.forgetIn(turn % 8)
	turn /= 8
	// Two more steps, in regions that forgot and regions that did not, the
	// second one without having seen the first.
	first := step{region: turn % 3, verb: verb(turn / 3 % int(verbs))}
	h.take(first)
	h.take(step{region: (first.region + 1) % 3, verb: verb(turn / 24 % int(verbs))})
	h.converge("after forgetting in some regions")
	h.forgetIn(7)
	for i, r := range h.regions {
		checkAccounts(h.t, r.e)
		tb := r.e.shards[0].dbs[0]
		x, _ := r.e.opened(r.e.shards[0], tb, r.e.hash([]byte(theKey)), []byte(theKey))
		switch there := see(h.events, h.all()).exists; {
		case !there && tb.entries != 0:
			h.fail("region %c keeps a tombstone that everybody has: %+v", 'A'+i, x.state)
		case there && (baseAlive(&x.state) && !x.state.Dead.IsZero() || len(x.state.Floors) > len(x.state.Subs)):
			// A floor stays only where it cuts a run that goes on counting.
			h.fail("region %c keeps removals that everybody has: %+v", 'A'+i, x.state)
		}
	}
	h.converge("after forgetting everywhere")
}

// nextSteps are the choices for a step after those of a history; regions that
// have not acted yet are alike, so only the first of them is tried.
func nextSteps(steps []step) []step {
	acted := 0
	for _, s := range steps {
		acted |= 1 << s.region
	}
	var next []step
	for r := range 3 {
		if r > 0 && !has(uint(acted), r-1) {
			break
		}
		for pull := range 8 {
			if has(uint(pull), r) || pull&^acted != 0 {
				continue
			}
			for v := range verbs {
				next = append(next, step{r, pull, v})
			}
		}
	}
	return next
}

func TestEveryShortHistory(t *testing.T) {
	turn, ran := 0, 0
	var walk func(steps []step, depth int)
	walk = func(steps []step, depth int) {
		if depth == 0 {
			for _, eager := range []bool{false, true} {
				h := newHistory(t, eager)
				for _, s := range steps {
					h.take(s)
				}
				h.finish(turn)
				turn += 7919 // a prime walks through all combinations of the rest
				ran++
			}
			return
		}
		for _, s := range nextSteps(steps) {
			walk(append(slices.Clip(steps), s), depth-1)
		}
	}
	depths := 3
	if effort > 1 {
		depths = 2
	}
	for depth := 1; depth <= depths; depth++ {
		walk(nil, depth)
	}
	t.Logf("%d histories", ran)
}

// TestNamedHistories runs histories that are too long to be enumerated and
// once went, or might go, wrong.
func TestNamedHistories(t *testing.T) {
	const a, b, c = 0, 1, 2
	for name, steps := range map[string][]step{
		"FLUSH does not kill a deadline it has not seen": {
			{a, 0, vSetEx}, {b, 1, vExpire}, {a, 0, vSetKeep}, {c, 1, vSetKeep}, {a, 0, vFlush}},
		"removed while unseen increments are on their way": {
			{a, 0, vSet}, {b, 1, vIncr}, {a, 2, vIncr}, {b, 0, vIncr}, {a, 0, vDel}, {c, 3, vIncr}},
		"KEEPTTL on a counter": {
			{a, 0, vIncr}, {a, 0, vExpire}, {b, 1, vIncr}, {a, 2, vSetKeep}, {c, 1, vDel}},
		"two births, of which a removal saw one": {
			{a, 0, vPFAdd}, {b, 0, vPFAdd}, {c, 1, vPFAdd}, {c, 0, vDel}, {b, 5, vPFAdd}, {a, 6, vPFAdd}},
		"registers of a SET that is removed meanwhile": {
			{a, 0, vSetSketch}, {b, 1, vPFAdd}, {a, 0, vPFAdd}, {c, 3, vDel}, {b, 1, vPFAdd}, {a, 4, vPFAdd}},
		"a SET between two births": {
			{a, 0, vPFAdd}, {b, 0, vSet}, {c, 0, vPFAdd}, {a, 4, vPFAdd}, {b, 0, vDel}},
		"deadline set on what is removed meanwhile": {
			{a, 0, vIncr}, {b, 1, vDel}, {a, 0, vExpire}, {c, 3, vIncr}, {c, 0, vSetKeep}},
	} {
		t.Run(name, func(t *testing.T) {
			for turn := range 8 * 3 * 8 * 8 {
				h := newHistory(t, turn%2 == 0)
				for _, s := range steps {
					h.take(s)
				}
				h.finish(turn)
			}
		})
	}
}

func TestRandomLongerHistories(t *testing.T) {
	n := 15_000 / effort
	if testing.Short() {
		n = 1500 / effort
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for range n {
		h := newHistory(t, rnd.IntN(2) == 0)
		for range 4 + rnd.IntN(3) {
			next := nextSteps(h.steps)
			h.take(next[rnd.IntN(len(next))])
		}
		h.finish(rnd.IntN(1 << 20))
	}
}
