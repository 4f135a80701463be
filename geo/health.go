package geo

import "math"

// Outcome is how one exchange with a region ended.
type Outcome uint8

const (
	// OK: it answered.
	OK Outcome = iota
	// Failed: no answer in time, or the link broke.
	Failed
	// Refused: its machine answered that nobody listens. Loss on the way cannot look like this.
	Refused
)

const (
	// failuresToDown is how many samples must fail in a row, at least, before a region is down.
	failuresToDown = 3
	// successesToUp is how many must succeed in a row before it is up.
	successesToUp = 2
	// silenceToDownMs is how long a region may leave everything unanswered, whatever the samples say. Probes should be
	// no further apart than a fifteenth of it, so that a lossy link has its chance.
	silenceToDownMs = 15_000
	// clockGapMs between two ticks means that the caller's process or clock stood still or jumped, not that a region was
	// silent.
	clockGapMs = silenceToDownMs / 2

	// chanceOfFalseAlarm is how improbable a run of failures must be, at the link's usual loss, to be taken for an outage.
	chanceOfFalseAlarm = 1e-6
	// initialLoss is assumed of a new link; lossWeight is what one sample changes in the estimate.
	initialLoss = 0.1
	lossWeight  = 1.0 / 32
)

// health decides whether a region answers. A fixed number of failures would either flap on a lossy link or be slow on a
// clean one, so the run of failures that means "down" follows from the loss seen so far: three on a clean link, a dozen
// where every third sample is lost.
type health struct {
	state State // Connecting, Up or Down

	failures  int // in a row, refusals among them
	refusals  int // in a row
	successes int // in a row
	loss      float64
	heardMs   int64 // time of the last success, or of the first tick
	watched   bool  // heardMs is set
}

func newHealth() health { return health{state: Connecting, loss: initialLoss} }

func (h *health) observe(o Outcome, nowMs int64) {
	if o == OK {
		h.succeed(nowMs)
		return
	}
	h.successes = 0
	h.failures++
	h.refusals++
	if o != Refused {
		h.refusals = 0
	}
	if h.refusals >= failuresToDown || h.failures >= h.runToDown() {
		h.state = Down
	}
}

func (h *health) succeed(nowMs int64) {
	if h.state != Down {
		// A run of failures that ends in a success was loss. The failures of an outage say nothing about loss.
		for range min(h.failures, h.runToDown()) {
			h.loss += (1 - h.loss) * lossWeight
		}
		h.loss -= h.loss * lossWeight
	}
	h.failures, h.refusals = 0, 0
	h.successes++
	h.heardMs, h.watched = nowMs, true
	if h.successes >= successesToUp {
		h.state = Up
	}
}

// runToDown is the shortest run of failures that loss alone would hardly bring about.
func (h *health) runToDown() int {
	run := math.Ceil(math.Log(chanceOfFalseAlarm) / math.Log(min(max(h.loss, 1e-3), 0.9)))
	return max(failuresToDown, int(run))
}

// tick applies the limit of silence. skippedMs is how much of the time since the last tick does not count.
func (h *health) tick(nowMs, skippedMs int64) {
	if !h.watched {
		h.heardMs, h.watched = nowMs, true
	}
	h.heardMs += skippedMs
	if nowMs-h.heardMs >= silenceToDownMs {
		h.state = Down
		h.successes = 0
	}
}
