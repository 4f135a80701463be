package node

import "sync/atomic"

// turn is a kind of work during which others may have to wait.
type turn uint8

// The kinds, in the order of INFO.
const (
	commandTurn turn = iota // a command, EXEC or script
	applyTurn               // a sibling's batch
	expireTurn
	evictTurn
	sweepTurn
	checkpointTurn
	turnKinds
)

var turnNames = [turnKinds]string{"command", "apply", "expire", "evict", "sweep", "checkpoint"}

// turns are the longest times that one step of each kind took, in microseconds.
type turns [turnKinds]atomic.Int64

// note takes the length of a step.
func (t *turns) note(kind turn, micros int64) {
	for {
		longest := t[kind].Load()
		if micros <= longest || t[kind].CompareAndSwap(longest, micros) {
			return
		}
	}
}

// ThreadUse is what the system tells of the thread that asks.
type ThreadUse struct {
	ID        int   // 0: not known
	CPUMicros int64 // processor time that it has had
}

const (
	// stintMicros is how old a stint becomes: to read one costs as much as a
	// small command.
	stintMicros = 500
	// suspectMicros is the length from which a turn is looked at closely.
	suspectMicros = 1000
)

// stint is where a thread stood at some time, so that a turn that is long can be
// told from one whose thread had to wait for a processor.
type stint struct {
	sinceMicros int64
	use         ThreadUse
}

// stints keeps the newest stint of the threads that do one kind of work. Where
// these are several, turns are now and then taken for as long as they seem.
type stints struct{ last atomic.Pointer[stint] }

// keep is called where turns begin.
func (st *stints) keep(n *Node, nowMicros int64) {
	if last := st.last.Load(); last != nil && nowMicros-last.sinceMicros < stintMicros || n.opts.Thread == nil {
		return
	}
	st.last.Store(&stint{nowMicros, n.opts.Thread()})
}

// begin begins a stint and a turn now, where a step got the lock that it waited
// for, and returns the time.
func (st *stints) begin(n *Node) (nowMicros int64) {
	nowMicros = n.opts.Micros()
	if n.opts.Thread != nil {
		st.last.Store(&stint{nowMicros, n.opts.Thread()})
	}
	return nowMicros
}

// note takes a turn that has just ended: how long it took by the clock, and how
// much processor time it had.
func (st *stints) note(n *Node, kind turn, startMicros, endMicros int64) {
	elapsed := endMicros - startMicros
	n.stats.elapsed.note(kind, elapsed)
	n.stats.turns.note(kind, st.used(n, startMicros, elapsed))
}

// used is the processor time of such a turn, or slightly more; where the thread
// is not known it is the elapsed time.
func (st *stints) used(n *Node, startMicros, elapsed int64) int64 {
	last := st.last.Load()
	if elapsed < suspectMicros || last == nil || last.sinceMicros > startMicros {
		return elapsed
	}
	use := n.opts.Thread()
	if use.ID == 0 || use.ID != last.use.ID {
		return elapsed
	}
	return min(elapsed, use.CPUMicros-last.use.CPUMicros)
}

// longest is the longest of all kinds.
func (t *turns) longest() int64 {
	micros := int64(0)
	for i := range t {
		micros = max(micros, t[i].Load())
	}
	return micros
}
