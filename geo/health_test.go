package geo

import (
	"math/rand/v2"
	"testing"
)

// downs counts how often a link with the given loss is declared down in n samples.
func downs(loss float64, n int, seed uint64) (downs int, h health) {
	rng := rand.New(rand.NewPCG(seed, 9))
	h = newHealth()
	for range n {
		was := h.state
		outcome := OK
		if rng.Float64() < loss {
			outcome = Failed
		}
		h.observe(outcome, 0)
		if h.state == Down && was != Down {
			downs++
		}
	}
	return downs, h
}

func TestNoFlappingUnderLoss(t *testing.T) {
	const seeds, samples = 200, 5000
	for _, loss := range []float64{0.01, 0.05, 0.1, 0.2, 0.3} {
		total := 0
		for seed := range uint64(seeds) {
			n, _ := downs(loss, samples, seed)
			if n > 1 {
				t.Errorf("loss %v seed %d: down %d times in %d samples", loss, seed, n, samples)
			}
			total += n
		}
		// At one sample a second, one false alarm in 100 000 is less than one a day.
		if total > seeds*samples/100_000 {
			t.Errorf("loss %v: down %d times in %d samples", loss, total, seeds*samples)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	settled := func() health {
		_, h := downs(0, 200, 1)
		return h
	}
	steps := func(h health, outcomes ...Outcome) State {
		for _, o := range outcomes {
			h.observe(o, 0)
		}
		return h.state
	}
	for _, c := range []struct {
		name     string
		start    health
		outcomes []Outcome
		want     State
	}{
		{"new", newHealth(), nil, Connecting},
		{"one success", newHealth(), []Outcome{OK}, Connecting},
		{"two successes", newHealth(), []Outcome{OK, OK}, Up},
		{"success, failure, success", newHealth(), []Outcome{OK, Failed, OK}, Connecting},
		{"new and one failure", newHealth(), []Outcome{Failed}, Connecting},
		{"new and refused", newHealth(), []Outcome{Refused, Refused, Refused}, Down},
		{"two failures", settled(), []Outcome{Failed, Failed}, Up},
		{"three failures", settled(), []Outcome{Failed, Failed, Failed}, Down},
		{"failures with a success between", settled(), []Outcome{Failed, Failed, OK, Failed, Failed}, Up},
		{"back after one success", settled(), []Outcome{Failed, Failed, Failed, OK}, Down},
		{"back after two", settled(), []Outcome{Failed, Failed, Failed, OK, OK}, Up},
		{"two in a row are needed", settled(), []Outcome{Failed, Failed, Failed, OK, Failed, OK}, Down},
	} {
		if got := steps(c.start, c.outcomes...); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	_, lossy := downs(0.3, 1000, 1)
	if got := steps(lossy, Failed, Failed, Failed, Failed); got != Up {
		t.Errorf("four failures on a lossy link: %v", got)
	}
	if got := steps(lossy, Refused, Refused, Refused); got != Down {
		t.Errorf("refused three times on a lossy link: %v", got)
	}
}

func TestOutageIsNotLoss(t *testing.T) {
	_, h := downs(0, 500, 1)
	before := h.loss
	for range 100 {
		h.observe(Failed, 0)
	}
	h.observe(OK, 0)
	h.observe(OK, 0)
	if h.state != Up || h.loss > before {
		t.Errorf("after an outage: %v, loss %v, before %v", h.state, h.loss, before)
	}
}

func TestEveryOutageIsNoticed(t *testing.T) {
	for _, loss := range []float64{0, 0.1, 0.3, 0.6, 0.9} {
		_, h := downs(loss, 2000, 4)
		n := 0
		for h.state != Down {
			h.observe(Failed, 0)
			if n++; n > 150 {
				t.Fatalf("loss %v: still up after %d failures", loss, n)
			}
		}
	}
}
