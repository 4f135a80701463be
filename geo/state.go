package geo

// State is what REGION LIST and CLOSEST show of a region. The set is closed; the order has no meaning.
type State uint8

const (
	// Connecting: not enough has been heard yet to call the region up or down.
	Connecting State = iota
	Up
	// Down: it does not answer.
	Down
	// Draining: it works, but an operator wants clients to go elsewhere.
	Draining
	// Syncing: a state transfer into it is not complete, so reads may show part of what happened.
	Syncing
	// Full: it takes no more batches for want of memory and disk.
	Full
	// Clock: its clock is too far off, so its batches wait.
	Clock
	// Suspended: it was left behind and must rejoin empty.
	Suspended
	stateCount
)

var stateNames = [stateCount]string{
	Connecting: "connecting",
	Up:         "up",
	Down:       "down",
	Draining:   "draining",
	Syncing:    "syncing",
	Full:       "full",
	Clock:      "clock",
	Suspended:  "suspended",
}

func (s State) String() string {
	if s >= stateCount {
		return "unknown"
	}
	return stateNames[s]
}

// condition reports whether s is one that a region's node declares, as opposed to one found out by observing it.
func (s State) condition() bool {
	return s == Up || s == Syncing || s == Full || s == Clock || s == Suspended
}

// worstTier is the tier of regions that do not answer.
const worstTier = 3

// tier is how much a client should want a region in this state; lower is better. A draining region is asked before one
// that does not answer at all.
func (s State) tier() int {
	switch s {
	case Up:
		return 0
	case Syncing, Full, Clock, Suspended:
		return 1
	case Draining:
		return 2
	default:
		return worstTier
	}
}

// Drain is the operator's wish, as REGION DRAIN ON|OFF gives it.
type Drain uint8

const (
	DrainOff Drain = iota
	DrainOn
)
