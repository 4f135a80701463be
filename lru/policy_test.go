package lru

import (
	"math/rand/v2"
	"testing"
)

// base is a time in 2026, so that tests run over realistic clock values.
const base = int64(1_790_000_000_000)

const (
	secondMs = int64(1000)
	hourMs   = 3600 * secondMs
	dayMs    = 24 * hourMs
)

func allPolicies() []Policy {
	var all []Policy
	for p := range policyCount {
		all = append(all, p)
	}
	return all
}

func TestPolicyNames(t *testing.T) {
	for _, p := range allPolicies() {
		got, ok := ParsePolicy(p.String())
		if !ok || got != p {
			t.Errorf("ParsePolicy(%q) = %v, %v", p.String(), got, ok)
		}
	}
	for _, bad := range []string{"", "lru", "allkeys-ttl", "ALLKEYS-LRU", "unknown"} {
		if p, ok := ParsePolicy(bad); ok {
			t.Errorf("ParsePolicy(%q) = %v", bad, p)
		}
	}
	if s := Policy(200).String(); s != "unknown" {
		t.Errorf("String of no policy = %q", s)
	}
	if !VolatileTTL.Volatile() || AllkeysLFU.Volatile() || NoEviction.Volatile() {
		t.Error("Volatile is wrong")
	}
	if NoEviction.Kind() != KindNone || VolatileLRM.Kind() != KindLRM || Policy(200).Kind() != KindNone {
		t.Error("Kind is wrong")
	}
}

func TestIdleTime(t *testing.T) {
	pr := DefaultParams()
	for _, p := range []Policy{NoEviction, AllkeysLRU, AllkeysLRM, AllkeysRandom, VolatileTTL} {
		for _, idleMs := range []int64{0, 1, 31, 32, 999, 1000, 1500, hourMs, 30 * dayMs, 365 * dayMs, 600 * dayMs} {
			w := p.Init(base)
			got := w.IdleMs(base + idleMs)
			if got > idleMs+tickMs || got < idleMs-tickMs {
				t.Errorf("%v idle %d ms reads as %d", p, idleMs, got)
			}
		}
		if s := p.Init(base).IdleSeconds(base + 10*secondMs); s != 10 {
			t.Errorf("%v: idle 10 s reads as %d s", p, s)
		}
		read := p.OnRead(p.Init(base), base+hourMs, 0, pr)
		want := int64(0)
		if p.Kind() == KindLRM {
			want = 3600
		}
		if s := read.IdleSeconds(base + hourMs); s != want {
			t.Errorf("%v: idle after a read is %d s, want %d", p, s, want)
		}
		if s := p.OnWrite(p.Init(base), base+hourMs, 0, pr).IdleSeconds(base + hourMs); s != 0 {
			t.Errorf("%v: idle after a write is %d s", p, s)
		}
	}
}

func TestClockSetBackIsNotIdleness(t *testing.T) {
	for _, p := range []Policy{AllkeysLRU, AllkeysLFU} {
		if idle := p.Init(base).IdleMs(base - 10*60*secondMs); idle != 0 {
			t.Errorf("%v: a word from the future is idle for %d ms", p, idle)
		}
	}
}

func TestTimesAroundZero(t *testing.T) {
	w := AllkeysLRU.Init(-5 * secondMs)
	if s := w.IdleSeconds(5 * secondMs); s != 10 {
		t.Errorf("idle across zero = %d s", s)
	}
}

func TestScoreOrder(t *testing.T) {
	pr := DefaultParams()
	for _, p := range []Policy{AllkeysLRU, VolatileLRM} {
		old, young := p.Init(base), p.Init(base+secondMs)
		now := base + hourMs
		if p.Score(old, 0, now, pr) <= p.Score(young, 0, now, pr) {
			t.Errorf("%v: the older word must go first", p)
		}
		if p.Score(old, 0, now, pr) != p.Score(old, 0, now+dayMs, pr) {
			t.Errorf("%v: a score kept in a pool must not age", p)
		}
	}
	if VolatileTTL.Score(0, base+1, base, pr) <= VolatileTTL.Score(0, base+2, base, pr) {
		t.Error("the earlier deadline must go first")
	}
	if VolatileTTL.Score(0, 0, base, pr) != 0 {
		t.Error("no deadline must score lowest")
	}
	rare, often := AllkeysLFU.Init(base), frequencyWord(base, 40)
	if AllkeysLFU.Score(rare, 0, base, pr) <= AllkeysLFU.Score(often, 0, base, pr) {
		t.Error("the rarer entry must go first")
	}
	noDecay := Params{LFUDecayMinutes: 0}
	if AllkeysLFU.Score(frequencyWord(base-hourMs, 9), 0, base, noDecay) <= AllkeysLFU.Score(frequencyWord(base, 9), 0, base, noDecay) {
		t.Error("of equal frequencies the longer idle must go first")
	}
	if AllkeysRandom.Score(rare, 5, base, pr) != AllkeysRandom.Score(often, 6, base, pr) {
		t.Error("random must not prefer")
	}
}

func TestFrequencyDecay(t *testing.T) {
	w := frequencyWord(base, 100)
	for _, c := range []struct {
		minutes int64
		decay   int
		want    uint8
	}{{0, 1, 100}, {1, 1, 99}, {60, 1, 40}, {60, 10, 94}, {200, 1, 0}, {60 * 24 * 365, 1, 0}, {200, 0, 100}, {200, -1, 100}} {
		if got := w.Freq(base+c.minutes*minuteMs, Params{LFUDecayMinutes: c.decay}); got != c.want {
			t.Errorf("100 after %d minutes with decay %d = %d, want %d", c.minutes, c.decay, got, c.want)
		}
	}
}

// TestFrequencyGrowth holds the counter against the table in Redis' documentation: with factor 10, 100 hits give 10,
// 1000 give 18, 100 000 give 142 and a million saturate it; with factor 0 some 250 hits do.
func TestFrequencyGrowth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	grow := func(factor, hits int) float64 {
		const runs = 20
		sum := 0
		pr := Params{LFULogFactor: factor, LFUDecayMinutes: 1}
		for range runs {
			w := AllkeysLFU.Init(base)
			for range hits {
				w = AllkeysLFU.OnRead(w, base, rng.Uint32(), pr)
			}
			sum += int(w.Freq(base, pr))
		}
		return float64(sum) / runs
	}
	for _, c := range []struct {
		factor, hits int
		low, high    float64
	}{{10, 100, 8, 12}, {10, 1000, 16, 21}, {10, 100_000, 130, 155}, {10, 1_000_000, 254, 255}, {0, 250, 255, 255}, {-3, 250, 255, 255}, {100, 1000, 9, 14}} {
		if got := grow(c.factor, c.hits); got < c.low || got > c.high {
			t.Errorf("factor %d, %d hits: counter %.1f, want %.0f to %.0f", c.factor, c.hits, got, c.low, c.high)
		}
	}
}

// TestWordsSurvivePolicyChange drives one word through random policies and times: nothing it says may be absurd.
func TestWordsSurvivePolicyChange(t *testing.T) {
	pr := DefaultParams()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		now := base + rng.Int64N(dayMs)
		made := now
		w := Policy(rng.IntN(int(policyCount))).Init(now)
		for range 20 {
			now += rng.Int64N(hourMs)
			p := Policy(rng.IntN(int(policyCount)))
			if idle := w.IdleMs(now); idle < 0 || idle > now-made+minuteMs {
				t.Fatalf("word %#x made at %d is idle for %d ms at %d", w, made, idle, now)
			}
			before := w.Freq(now, pr)
			switch rng.IntN(3) {
			case 0:
				w = p.OnRead(w, now, rng.Uint32(), pr)
			case 1:
				w = p.OnWrite(w, now, rng.Uint32(), pr)
			}
			if after := w.Freq(now, pr); p.Kind() == KindLFU && (after < before || after > before+1) {
				t.Fatalf("frequency went from %d to %d in one use", before, after)
			}
			p.Score(w, 0, now, pr)
		}
	}
	lfu := AllkeysLFU.Init(base)
	if s := lfu.IdleSeconds(base + 10*60*secondMs); s != 600 {
		t.Errorf("idle of a frequency word = %d s, want 600", s)
	}
	if f := AllkeysLRU.Init(base).Freq(base, pr); f != initialCount {
		t.Errorf("frequency of a time word = %d, want that of a new entry", f)
	}
}

func TestPool(t *testing.T) {
	var p Pool
	if _, _, ok := p.Take(); ok {
		t.Fatal("an empty pool gave a candidate")
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		offered := map[uint64]uint64{}
		for range 50 {
			handle, score := rng.Uint64N(40), rng.Uint64N(30)
			p.Offer(handle, score)
			offered[handle] = score
			if p.Len() > poolSize {
				t.Fatalf("pool holds %d", p.Len())
			}
		}
		last, seen := ^uint64(0), map[uint64]bool{}
		for {
			handle, score, ok := p.Take()
			if !ok {
				break
			}
			if score > last || seen[handle] || offered[handle] != score {
				t.Fatalf("took %d with score %d after %d (offered %d, seen %v)", handle, score, last, offered[handle], seen[handle])
			}
			last, seen[handle] = score, true
		}
	}
}

func TestPoolKeepsTheBest(t *testing.T) {
	var p Pool
	for i := range uint64(100) {
		p.Offer(i, i*7%100)
	}
	for want := uint64(99); want > 99-poolSize; want-- {
		if _, score, ok := p.Take(); !ok || score != want {
			t.Fatalf("took score %d, want %d", score, want)
		}
	}
	p.Offer(1, 1)
	p.Reset()
	if p.Len() != 0 {
		t.Error("Reset left candidates")
	}
}

func BenchmarkOnRead(b *testing.B) {
	pr := DefaultParams()
	for _, p := range []Policy{AllkeysLRU, AllkeysLRM, AllkeysLFU} {
		b.Run(p.String(), func(b *testing.B) {
			w := p.Init(base)
			now := base
			for i := 0; b.Loop(); i++ {
				now++
				w = p.OnRead(w, now, uint32(i)*2654435761, pr)
			}
		})
	}
}

func BenchmarkPoolRound(b *testing.B) {
	var p Pool
	rng := rand.New(rand.NewPCG(7, 8))
	for b.Loop() {
		for range 5 {
			p.Offer(rng.Uint64(), rng.Uint64())
		}
		p.Take()
	}
}
