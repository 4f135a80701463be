package lru

// Word is what the engine keeps for each entry. The upper bits tell its three forms apart:
//
//	0  | 31 bits: time of use in ticks of 25 ms, wrapping after 1.7 years
//	10 | 22 bits: minute of the last use, wrapping after 7.9 years | 8 bits: logarithmic use counter
//	11 | 1 bit: used since it was made | 15 bits: State's clock at the last use | 14 bits: its minute, wrapping after 11 days
//
// Idle times beyond a wrap read as the remainder, as Redis' do beyond its 194 days.
type Word uint32

const (
	formMask     Word = 3 << 30
	timeBit      Word = 1 << 31 // clear in words that hold a time
	frequencyTag Word = 2 << 30
	adaptiveTag  Word = 3 << 30

	reusedBit Word = 1 << 29

	tickMs   = 25 // divides a second, so that an idle time of whole seconds reads as just that
	tickMask = 1<<31 - 1
	// slackTicks is how far a word may lie ahead of now (a clock set back, a time read before a lock was waited for)
	// before it counts as nearly one wrap old: one hour, taken off the far end of the range.
	slackTicks = 3600 * 1000 / tickMs

	minuteMs     = 60 * 1000
	minuteMask   = 1<<22 - 1
	slackMinutes = 60

	clockShift         = 14
	clockMask          = 1<<15 - 1
	adaptiveMinuteMask = 1<<clockShift - 1

	countBits    = 8
	maxCount     = 1<<countBits - 1
	initialCount = 5 // a new entry gets the chance to be used again; Redis' LFU_INIT_VAL
)

func timeWord(nowMs int64) Word { return Word(floorDiv(nowMs, tickMs) & tickMask) }

func frequencyWord(nowMs int64, count uint8) Word {
	return frequencyTag | Word(floorDiv(nowMs, minuteMs)&minuteMask)<<countBits | Word(count)
}

func adaptiveWord(nowMs int64, clock uint32) Word {
	return adaptiveTag | Word(clock&clockMask)<<clockShift | Word(floorDiv(nowMs, minuteMs)&adaptiveMinuteMask)
}

func (w Word) holdsTime() bool      { return w&timeBit == 0 }
func (w Word) holdsFrequency() bool { return w&formMask == frequencyTag }
func (w Word) adaptive() bool       { return w&formMask == adaptiveTag }
func (w Word) reused() bool         { return w.adaptive() && w&reusedBit != 0 }

// IdleMs is the time since the entry was last used (under LRM: written), in steps of the word's resolution: 25 ms, or a
// minute where the word does not hold a time.
func (w Word) IdleMs(nowMs int64) int64 {
	if !w.holdsTime() {
		return int64(w.idleMinutes(nowMs)) * minuteMs
	}
	ticks := (uint32(floorDiv(nowMs, tickMs)) - uint32(w)) & tickMask
	if ticks > tickMask-slackTicks {
		return 0
	}
	return int64(ticks) * tickMs
}

// IdleSeconds is IdleMs in whole seconds, as OBJECT IDLETIME answers it.
func (w Word) IdleSeconds(nowMs int64) int64 { return w.IdleMs(nowMs) / 1000 }

// Freq is the logarithmic use counter after decay, as OBJECT FREQ answers it. A word that holds no count stands for
// an entry that was new at its time of use.
func (w Word) Freq(nowMs int64, pr Params) uint8 {
	count := uint8(initialCount)
	if w.holdsFrequency() {
		count = uint8(w)
	}
	if pr.LFUDecayMinutes < 1 {
		return count
	}
	periods := w.IdleMs(nowMs) / minuteMs / int64(pr.LFUDecayMinutes)
	return count - uint8(min(periods, int64(count)))
}

// lastUseMs is the time of use rounded down to the word's resolution. The same word gives the same time whenever it is
// asked, until it wraps.
func (w Word) lastUseMs(nowMs int64) int64 {
	resolutionMs := int64(tickMs)
	if !w.holdsTime() {
		resolutionMs = minuteMs
	}
	return floorDiv(nowMs, resolutionMs)*resolutionMs - w.IdleMs(nowMs)
}

func (w Word) idleMinutes(nowMs int64) uint32 {
	mask, then := uint32(minuteMask), uint32(w>>countBits)
	if w.adaptive() {
		mask, then = adaptiveMinuteMask, uint32(w)
	}
	minutes := (uint32(floorDiv(nowMs, minuteMs)) - then) & mask
	if minutes > mask-slackMinutes {
		return 0
	}
	return minutes
}

// increment counts a use with probability 1/(uses above the initial value * factor + 1), as Redis' LFULogIncr.
func increment(count uint8, rnd uint32, pr Params) uint8 {
	if count == maxCount {
		return count
	}
	base := uint64(max(int(count)-initialCount, 0))
	odds := base*uint64(max(pr.LFULogFactor, 0)) + 1
	if uint64(rnd) <= (1<<32-1)/odds {
		count++
	}
	return count
}

// floorDiv keeps time monotonic across zero, which simulated clocks may cross.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
