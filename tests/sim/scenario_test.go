package sim

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"

	"geocache/clock"
	"geocache/command"
	"geocache/engine"
	"geocache/node"
	"geocache/op"
	"geocache/persist"
	"geocache/replicate"
)

// fault is a bug planted to see the checkers find it. Most sit around the
// product; the others are what the layers offer tests. A server has none.
type fault uint8

const (
	faultNone           fault = iota
	faultLyingSync            // the store acknowledges syncs that it did not do
	faultLostRow              // a start does not see one of the rows
	faultForgetIdentity       // after a power failure neither identity nor clock is as it was
	faultEarlierSet           // a merge in which a sibling's SET never replaces a value
	faultAllOlderWins         // all regions agree on a value that is not the newest
	faultLostCursor           // a sender believes that a sibling has everything
	faultAckUnapplied         // a receiver acknowledges what it has not applied
)

// planted are the faults that layers below the node are asked for.
func (f fault) planted() node.Faults {
	switch f {
	case faultEarlierSet:
		return node.Faults{Engine: engine.FaultEarlierSet}
	case faultLostCursor:
		return node.Faults{Replicate: replicate.FaultLoseCursor}
	case faultAckUnapplied:
		return node.Faults{Replicate: replicate.FaultAckUnapplied}
	}
	return node.Faults{}
}

// plan is what a seed decides before the first event.
type plan struct {
	regions           int
	pebble            bool
	fault             fault
	fsync             string
	password          string
	maxMemory         int
	policy            string
	defaultTTLSeconds int
	bigValues         float64
	thinkUs           int64
	breakUs           int64 // length of phase one
	diskFaults        bool
	sketches          bool
	skews             bool
	wipes             bool
	crashes           int // per thousand turns
	partitions        int
}

func choose[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func newPlan(r *rand.Rand, regions int) plan {
	p := plan{
		regions: regions,
		fsync:   choose(r, "always", "everysec", "everysec"),
		thinkUs: choose(r, 8*ms, 25*ms, 60*ms),
		breakUs: 2*second + r.Int64N(2*second),
		skews:   r.IntN(3) == 0, wipes: regions > 1 && r.IntN(8) == 0,
		diskFaults: r.IntN(4) == 0,
		crashes:    choose(r, 0, 10, 30),
		partitions: choose(r, 0, 20, 60),
	}
	if r.IntN(4) == 0 {
		p.password = "secret"
	}
	if r.IntN(3) == 0 {
		p.bigValues = 0.3
	}
	if r.IntN(4) == 0 {
		p.maxMemory = 1<<20 + 32<<10
		if p.bigValues > 0 {
			p.maxMemory = 1<<20 + 256<<10 // room for the largest values, not for all
		}
		p.policy = choose(r, "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl")
	}
	if r.IntN(10) == 0 {
		p.defaultTTLSeconds = 2
	}
	return p
}

// newWorld builds regions and links; nothing runs yet.
func newWorld(seed uint64, p plan) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 0x51)), plan: p, links: map[[2]string]*link{}}
	w.history.init()
	for i := range p.regions {
		r := &region{w: w, name: "region" + string(rune('a'+i)), port: 7000 + i, wall: clock.NewManual(epochMs), seed: w.rnd.Uint64() >> 8}
		r.medium = &memMedium{persist.NewMemStore()}
		if p.pebble {
			r.medium = &pebbleMedium{}
		}
		w.regions = append(w.regions, r)
	}
	for _, a := range w.regions {
		for _, b := range w.regions {
			if a != b {
				w.links[[2]string{a.name, b.name}] = &link{from: a, to: b}
			}
		}
	}
	return w
}

// eachLink visits the links in a fixed order.
func (w *world) eachLink(fn func(*link)) {
	for _, a := range w.regions {
		for _, b := range w.regions {
			if l := w.links[[2]string{a.name, b.name}]; l != nil {
				fn(l)
			}
		}
	}
}

// scenario is one seed from start to verdict.
func (w *world) scenario() {
	w.eachLink(func(l *link) {
		l.loss, l.dup = choose(w.rnd, 0, 0.02, 0.1), choose(w.rnd, 0, 0.1)
		l.delayUs, l.jitterUs = ms+w.upTo(60*ms), w.upTo(30*ms)
	})
	for _, r := range w.regions {
		r.slowUs = choose(w.rnd, 0, 0, 3*ms, 40*ms)
		if w.chance(0.15) && len(w.regions) > 1 {
			w.after(w.upTo(w.plan.breakUs/2), r.startIfDown) // joins late
		} else {
			r.start()
		}
	}
	w.breaking = true
	for _, r := range w.regions {
		w.newClient(r, 1, 0)
		w.newClient(r, 2, 0)
		w.newClient(r, 3, 1)
	}
	end := w.nowUs + w.plan.breakUs
	for w.nowUs < end && w.failure == "" {
		w.run(10 * ms)
		w.breakSomething()
	}
	w.breaking = false
	w.heal()
	w.verify()
}

func (r *region) startIfDown() {
	if !r.up() && r.w.failure == "" {
		r.start()
	}
}

// breakSomething takes a turn of phase one.
func (w *world) breakSomething() {
	p := &w.plan
	r := w.regions[w.rnd.IntN(len(w.regions))]
	if w.rnd.IntN(1000) < p.crashes {
		w.breakRegion(r)
	}
	if w.rnd.IntN(1000) < p.partitions && len(w.regions) > 1 {
		w.eachLink(func(l *link) {
			if (l.from == r || l.to == r) && w.chance(0.6) {
				l.cut = w.chance(0.5)
			}
		})
		w.note(r.name, "links cut or mended")
	}
	if p.skews && w.rnd.IntN(1000) < 15 {
		r.skewMs = choose[int64](w.rnd, -2000, -300, 0, 0, 200, 1500)
		w.note(r.name, "clock is off by %d ms", r.skewMs)
	}
	if p.diskFaults && !p.pebble && w.rnd.IntN(1000) < 6 && r.up() {
		r.medium.broken(choose(w.rnd, persist.Faults{WriteErr: errInjected}, persist.Faults{SyncErr: errInjected}, persist.Faults{CapacityBytes: 1}))
		r.diskBroken = true
		w.note(r.name, "disk breaks")
		// Only a restart over a good disk ends it.
		w.after(w.upTo(600*ms), func() {
			r.crash(endedPower)
			w.after(w.upTo(300*ms), r.startIfDown)
		})
	}
}

func (w *world) breakRegion(r *region) {
	if !r.up() {
		r.start()
		return
	}
	how := w.rnd.IntN(10)
	switch {
	case how < 2:
		r.restartCleanly()
	case how < 4:
		r.killWritten()
	case how < 6:
		r.crash(endedKilled)
	case how == 6 && w.plan.wipes && w.othersUp(r):
		r.crash(endedWiped)
	default:
		r.crash(endedPower)
	}
	w.after(w.upTo(800*ms), r.startIfDown)
}

// othersUp reports whether some other region runs and has data.
func (w *world) othersUp(r *region) bool {
	return slices.ContainsFunc(w.regions, func(o *region) bool { return o != r && o.up() && len(o.vector()) > 0 })
}

// heal makes everything good again.
func (w *world) heal() {
	w.note("world", "heals")
	w.eachLink(func(l *link) { l.cut, l.loss, l.dup, l.jitterUs = false, 0, 0, 2*ms })
	for _, r := range w.regions {
		r.skewMs, r.slowUs = 0, 0
		if r.diskFailed || r.diskBroken {
			r.crash(endedPower)
		}
		r.medium.broken(persist.Faults{})
		r.startIfDown()
	}
}

// Bounds of virtual time within which a healed deployment is equal, and idle.
const (
	convergeWithin = 15 * second
	rejoinWithin   = 60 * second // where a region has to empty itself first
	idleWithin     = 30 * second
)

func (w *world) verify() {
	within := convergeWithin
	if w.plan.wipes {
		within = rejoinWithin
	}
	if !w.until(within, w.equal) {
		w.fail("no convergence within %d s: %s", within/second, w.describe())
		return
	}
	w.plantOlder()
	// Short deadlines pass, tombstones are forgotten.
	w.run(3500 * ms)
	if !w.until(idleWithin, func() bool { return w.equal() && w.restless() == "" }) {
		w.fail("not idle within %d s: %s%s", idleWithin/second, w.restless(), w.describe())
		return
	}
	w.history.settle()
	w.checkStates()
	w.checkValues()
	for _, r := range w.regions {
		if w.failure == "" {
			r.restartCleanly()
		}
	}
}

// equal reports whether all regions hold the same.
func (w *world) equal() bool {
	first := ""
	for i, r := range w.regions {
		if !r.up() {
			return false
		}
		r.clockNow()
		d, v := r.n.Digest()
		if all := fmt.Sprintf("%016x %s", d, v); i == 0 {
			first = all
		} else if all != first {
			return false
		}
	}
	return true
}

// onlyFloors reports whether of a key nothing is left but what merging has to
// know of its members' increments.
func onlyFloors(en engine.ExportEntry) bool {
	st, err := op.DecodeKeyState(en.State)
	text := en.Evicted || len(st.Value)+len(st.Subs)+len(st.Sketches) > 0
	return err == nil && !text && len(st.Colls) > 0 && !slices.ContainsFunc(st.Colls, func(c op.Coll) bool {
		return len(c.Elem[op.Main]) > 0 || len(c.Elem[op.Hidden]) == 0
	})
}

// restless is what is not yet as it should be in a healed deployment, or "".
func (w *world) restless() string {
	for _, r := range w.regions {
		if !r.up() {
			return r.name + " is down"
		}
		for _, info := range r.n.List() {
			if f := unsettled(info); f != "" {
				return r.name + " of " + info.Name + ": " + f
			}
		}
		live, all := 0, 0
		for _, d := range r.n.Engine().DBInfos() {
			live += d.Keys
		}
		r.n.Engine().Export(0, 1<<30, func(en engine.ExportEntry) {
			// Floors of members that counted may stay for long.
			if !onlyFloors(en) {
				all++
			}
		})
		if live != all {
			return fmt.Sprintf("%s has %d entries for %d keys: %s", r.name, all, live, r.leftovers())
		}
	}
	return ""
}

func unsettled(info command.RegionInfo) string {
	for _, f := range info.Fields {
		switch v := f.Value; f.Name {
		case "state", "link":
			if v != "up" {
				return fmt.Sprintf("%s is %v", f.Name, v)
			}
		case "backlog-batches", "in-flight-bytes", "lag-out-ms":
			if v != int64(0) {
				return fmt.Sprintf("%s is %v", f.Name, v)
			}
		}
	}
	return ""
}

// leftovers shows entries that clients cannot see.
func (r *region) leftovers() string {
	var sb strings.Builder
	r.n.Engine().Export(0, 1<<30, func(en engine.ExportEntry) {
		if st, err := op.DecodeKeyState(en.State); err == nil && sb.Len() < 2000 {
			st.Value = nil
			fmt.Fprintf(&sb, "\n    %d/%s %+v", en.DB, en.Key, st)
		}
	})
	return sb.String()
}

func (w *world) describe() string {
	var sb strings.Builder
	for _, r := range w.regions {
		if !r.up() {
			fmt.Fprintf(&sb, "\n  %s down", r.name)
			continue
		}
		d, v := r.n.Digest()
		fmt.Fprintf(&sb, "\n  %s %016x %s", r.name, d, v)
		for _, info := range r.n.List() {
			fmt.Fprintf(&sb, "\n    %s", info.Name)
			for _, f := range info.Fields {
				fmt.Fprintf(&sb, " %s=%v", f.Name, f.Value)
			}
		}
	}
	return sb.String()
}

// checkStates is what operators see: digests through sessions, states.
func (w *world) checkStates() {
	first := ""
	for i, r := range w.regions {
		reply := r.ask("REGION", "DIGEST")
		if w.failure != "" {
			return
		}
		if d := brief(reply); i == 0 {
			first = d
		} else if d != first {
			w.fail("%s: REGION DIGEST is %s, elsewhere %s", r.name, d, first)
		}
	}
}

// checkValues reads every tracked key in every region and compares it with
// what the acknowledged and surviving writes come to.
func (w *world) checkValues() {
	v := w.regions[0].vector()
	for _, wr := range w.history.writes {
		if wr.promised && !v.Covers(wr.batch) {
			w.fail("%s: %q was acknowledged at %.3f with stamp %v and is lost", wr.region.name, wr.what, float64(wr.ackUs)/1e6, wr.stamp)
		}
	}
	for _, k := range w.keys() {
		x := w.history.expect(k, v, epochMs+w.nowUs/1000)
		for _, r := range w.regions {
			if w.failure == "" {
				w.checkKey(r, k, x, v)
			}
		}
	}
}

// lossy reports whether keys may vanish: a lone cache evicts them whole.
func (w *world) lossy() bool { return len(w.regions) == 1 && w.plan.maxMemory > 0 }

func (w *world) checkKey(r *region, k key, x expected, v clock.Vector) {
	got := r.ask("GET", k.name)
	if w.failure != "" {
		return
	}
	lossy := w.lossy()
	counter := slices.Contains(mixedCounters, k.name) || slices.Contains(pureCounters, k.name)
	switch {
	case w.plan.defaultTTLSeconds > 0 && counter, lossy && (counter || got.IsNull()):
	case got.IsNull():
		if x.exists && !x.mayBeGone {
			w.fail("%s: %s is missing, should be %q by %q", r.name, k.name, x.text, x.why)
		}
	case !x.exists:
		w.fail("%s: %s is %q, should be missing", r.name, k.name, brief(got))
	case x.numeric:
		if n, ok := new(big.Rat).SetString(got.Text); !ok || n.Cmp(x.number) != 0 {
			w.fail("%s: %s is %q, should be %s on %q by %q", r.name, k.name, brief(got), x.number.RatString(), x.text, x.why)
		}
	case got.Text != x.text:
		w.fail("%s: %s is %q, should be %.40q by %q", r.name, k.name, brief(got), x.text, x.why)
	default:
		if at := r.ask("PEXPIRETIME", k.name).Int; max(at, 0) != x.deadlineMs && w.failure == "" && at != -2 {
			w.fail("%s: %s expires at %d, should at %d", r.name, k.name, at, x.deadlineMs)
		}
	}
	if slices.Contains(pureCounters, k.name) && w.plan.defaultTTLSeconds == 0 && !lossy && !got.IsNull() {
		if n, ok := new(big.Rat).SetString(got.Text); !ok || n.Cmp(w.history.sum(k, v)) != 0 {
			w.fail("%s: %s is %q, the increments come to %s", r.name, k.name, got.Text, w.history.sum(k, v).RatString())
		}
	}
}

// plantOlder puts an older write of a register over the newest in all regions,
// as a merge that gets the order wrong everywhere would.
func (w *world) plantOlder() {
	if w.plan.fault != faultAllOlderWins {
		return
	}
	for _, name := range registers {
		k := key{0, name}
		st, ok := w.regions[0].state(k)
		if !ok || !st.Dead.Less(st.ValueStamp) || st.DeadlineMs != 0 {
			continue
		}
		for _, old := range w.history.writes {
			if old.key != k || old.kind != wrote || !old.stamp.Less(st.ValueStamp) || old.value == string(st.Value) {
				continue
			}
			wrong := op.KeyState{ValueStamp: clock.Stamp{At: st.ValueStamp.At, Origin: st.ValueStamp.Origin + 1}, Value: []byte(old.value)}
			for _, r := range w.regions {
				err := r.n.Engine().ApplyStates([]engine.StateEntry{{DB: 0, Key: []byte(name), State: wrong.Append(nil)}}, r.clockNow())
				if err != nil {
					w.fail("%s: plant: %v", r.name, err)
				}
			}
			return
		}
	}
}
