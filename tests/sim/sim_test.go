package sim

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// runSeed runs one seed and returns its world.
func runSeed(seed uint64, p plan, verbose func(string)) *world {
	w := newWorld(seed, p)
	w.verbose = verbose
	w.scenario()
	return w
}

// planOf is what a seed does with so many regions.
func planOf(seed uint64, regions int) plan {
	p := newPlan(rand.New(rand.NewPCG(seed, uint64(regions))), regions)
	p.sketches = seed%3 == 1 // which leaves the seeds that found something as they were
	return p
}

// seeds are those to run: SIM_SEED's, or the first n.
func seeds(t *testing.T, n int) (list []uint64, verbose func(string)) {
	if s := os.Getenv("SIM_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SIM_SEED: %v", err)
		}
		return []uint64{seed}, func(line string) { t.Log(line) }
	}
	if s := os.Getenv("SIM_SEEDS"); s != "" {
		count, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SIM_SEEDS: %v", err)
		}
		n = count
	} else if testing.Short() || raceEnabled {
		n = max(n/10, 2)
	}
	for i := range n {
		list = append(list, uint64(i+1))
	}
	return list, nil
}

// mostFailures ends a run that fails everywhere.
const mostFailures = 5

func simulate(t *testing.T, regions, count int, pebble bool) {
	list, verbose := seeds(t, count)
	failed := 0
	for _, seed := range list {
		p := planOf(seed, regions)
		p.pebble = pebble
		w := runSeed(seed, p, verbose)
		if w.failure != "" {
			t.Errorf("seed %d, %+v\n%s\nlast events:%s", seed, p, w.failure, w.lastEvents())
			if failed++; failed == mostFailures {
				t.Fatal("giving up")
			}
		}
	}
}

func TestSimOneRegion(t *testing.T)    { simulate(t, 1, 100, false) }
func TestSimThreeRegions(t *testing.T) { simulate(t, 3, 80, false) }
func TestSimTwoRegions(t *testing.T)   { simulate(t, 2, 24, false) }
func TestSimFiveRegions(t *testing.T)  { simulate(t, 5, 4, false) }

// The same over Pebble on its crashable file system.
func TestSimPebbleOneRegion(t *testing.T)    { simulate(t, 1, 4, true) }
func TestSimPebbleThreeRegions(t *testing.T) { simulate(t, 3, 4, true) }

// Seeds that found a bug stay.
func TestSimFoundSeeds(t *testing.T) {
	for name, found := range map[string]struct {
		regions int
		seed    uint64
	}{
		"after a crash stamps ran ten seconds ahead":             {3, 3},
		"the same with skewed clocks":                            {3, 5},
		"a wiped region, copied to while it reads another's log": {3, 90},
		"a field incremented with a stamp beyond its deadline":   {2, 39},
		"a damaged HyperLogLog of which PFADD raises a register": {3, 74},
		"PFMERGE of what a SET's HyperLogLog has already":        {3, 217},
	} {
		t.Run(name, func(t *testing.T) {
			if w := runSeed(found.seed, planOf(found.seed, found.regions), nil); w.failure != "" {
				t.Errorf("seed %d: %s\nlast events:%s", found.seed, w.failure, w.lastEvents())
			}
		})
	}
}

// A seed must replay event for event.
func TestSimReplays(t *testing.T) {
	last := uint64(4)
	if testing.Short() || raceEnabled {
		last = 1
	}
	for seed := uint64(1); seed <= last; seed++ {
		a := runSeed(seed, planOf(seed, 3), nil)
		b := runSeed(seed, planOf(seed, 3), nil)
		if a.hash != b.hash || a.traced != b.traced {
			t.Errorf("seed %d: two runs differ: %d events and %d", seed, a.traced, b.traced)
		}
	}
}

// The checkers must find planted bugs, and within a few seeds.
func TestSimFindsPlantedFaults(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector finds nothing more here: all of it is one goroutine")
	}
	for f, name := range map[fault]string{
		faultLyingSync: "unsynced acknowledgement", faultLostRow: "lost row", faultForgetIdentity: "stamps used again",
		faultEarlierSet: "wrong merge", faultAllOlderWins: "wrong merge everywhere",
		faultLostCursor: "lost cursor", faultAckUnapplied: "acknowledged before applied",
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 40; seed++ {
				p := planOf(seed, 3)
				p.fault, p.crashes, p.partitions = f, 30, 60
				if f == faultLyingSync {
					p.fsync = "always"
				}
				if w := runSeed(seed, p, nil); w.failure != "" {
					t.Logf("found with seed %d: %s", seed, firstLine(w.failure))
					p.fault = faultNone
					if w := runSeed(seed, p, nil); w.failure != "" {
						t.Errorf("seed %d fails without it, too: %s", seed, w.failure)
					}
					return
				}
			}
			t.Error("not found")
		})
	}
}

func firstLine(s string) string {
	for i, c := range s {
		if c == '\n' {
			return s[:i]
		}
	}
	return s
}
