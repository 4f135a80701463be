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

// turns are the longest times that one step of each kind took, locks and all,
// in microseconds.
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

// noteTurn is note for a step that began at startMicros and ends now.
func (n *Node) noteTurn(kind turn, startMicros int64) {
	n.stats.turns.note(kind, n.opts.Micros()-startMicros)
}

// longest is the longest of all kinds.
func (t *turns) longest() int64 {
	micros := int64(0)
	for i := range t {
		micros = max(micros, t[i].Load())
	}
	return micros
}
