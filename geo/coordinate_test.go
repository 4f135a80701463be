package geo

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestCoordinateRoundTrip(t *testing.T) {
	c := newVivaldi("toronto").coordinate()
	b := AppendCoordinate([]byte("x"), c)
	if len(b) != 1+CoordinateSize {
		t.Fatalf("encoded in %d bytes", len(b)-1)
	}
	got, rest, err := ParseCoordinate(append(b[1:], "rest"...))
	if err != nil || got != c || string(rest) != "rest" {
		t.Fatalf("got %v, rest %q, %v", got, rest, err)
	}
}

func TestCoordinateRefused(t *testing.T) {
	good := newVivaldi("toronto").coordinate()
	for name, spoil := range map[string]func(*Coordinate){
		"nan":             func(c *Coordinate) { c.Vec[3] = math.NaN() },
		"infinite":        func(c *Coordinate) { c.Vec[0] = math.Inf(-1) },
		"far away":        func(c *Coordinate) { c.Vec[0] = 61 },
		"nan error":       func(c *Coordinate) { c.Error = math.NaN() },
		"negative error":  func(c *Coordinate) { c.Error = -0.1 },
		"error too large": func(c *Coordinate) { c.Error = 1.6 },
		"no height":       func(c *Coordinate) { c.Height = 0 },
		"adjustment":      func(c *Coordinate) { c.Adjustment = math.Inf(1) },
	} {
		bad := good
		spoil(&bad)
		if _, _, err := ParseCoordinate(AppendCoordinate(nil, bad)); !errors.Is(err, ErrCoordinate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := AppendCoordinate(nil, good)
	for n := range whole {
		if _, _, err := ParseCoordinate(whole[:n]); err == nil {
			t.Errorf("%d bytes were enough", n)
		}
	}
	whole[0]++
	if _, _, err := ParseCoordinate(whole); err == nil {
		t.Error("an unknown version was read")
	}
}

func FuzzParseCoordinate(f *testing.F) {
	f.Add(AppendCoordinate(nil, newVivaldi("a").coordinate()))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, rest, err := ParseCoordinate(b)
		if err != nil {
			return
		}
		if again := AppendCoordinate(nil, c); string(again)+string(rest) != string(b) {
			t.Fatalf("%x decodes and encodes to %x", b, again)
		}
		v := newVivaldi("self")
		for range 20 {
			v.observe("b", c, 10*time.Millisecond)
		}
		if !v.coordinate().valid() {
			t.Fatalf("%v led the own coordinate astray: %v", c, v.coordinate())
		}
		if rtt, ok := PredictRTT(v.coordinate(), c); ok && rtt < 0 {
			t.Fatalf("predicted %v", rtt)
		}
	})
}

// world is five regions on a plane of round trips, each with access links of its own.
func world() (names []string, rtt func(i, j int) time.Duration) {
	type site struct{ x, y, access float64 }
	sites := []site{{0, 0, 2}, {140, 10, 5}, {60, 80, 1}, {20, 120, 3}, {200, 90, 2}}
	for i := range sites {
		names = append(names, fmt.Sprintf("region-%d", i))
	}
	return names, func(i, j int) time.Duration {
		a, b := sites[i], sites[j]
		ms := math.Hypot(a.x-b.x, a.y-b.y) + a.access + b.access
		return time.Duration(ms * float64(time.Millisecond))
	}
}

func TestVivaldiPredictsUnmeasuredPair(t *testing.T) {
	names, rtt := world()
	run := func(seed uint64) []*vivaldi {
		rng := rand.New(rand.NewPCG(seed, 3))
		nodes := make([]*vivaldi, len(names))
		for i, name := range names {
			nodes[i] = newVivaldi(name)
		}
		for range 5000 {
			i, j := rng.IntN(len(names)), rng.IntN(len(names))
			if i == j || i+j == 1 { // 0 and 1 never measure each other
				continue
			}
			jitter := time.Duration(rng.Int64N(int64(2 * time.Millisecond)))
			nodes[i].observe(names[j], nodes[j].coordinate(), rtt(i, j)+jitter)
		}
		return nodes
	}
	for seed := range uint64(10) {
		nodes, again := run(seed), run(seed)
		for i := range names {
			if nodes[i].coordinate() != again[i].coordinate() {
				t.Fatalf("seed %d: two runs differ", seed)
			}
			for j := range i {
				got, ok := PredictRTT(nodes[i].coordinate(), nodes[j].coordinate())
				want := rtt(i, j)
				if !ok || math.Abs(float64(got-want)) > 0.25*float64(want) {
					t.Errorf("seed %d: %s to %s predicted as %v, is %v", seed, names[i], names[j], got, want)
				}
			}
		}
	}
}

func TestNothingPredictedBeforeMeasuring(t *testing.T) {
	a, b := newVivaldi("a"), newVivaldi("b")
	if a.coordinate() == b.coordinate() {
		t.Fatal("two regions start at one point")
	}
	if rtt, ok := PredictRTT(a.coordinate(), b.coordinate()); ok {
		t.Fatalf("predicted %v out of nothing", rtt)
	}
	if _, ok := PredictRTT(a.coordinate(), Coordinate{}); ok {
		t.Fatal("predicted towards the zero coordinate")
	}
	a.observe("b", b.coordinate(), time.Minute) // beyond belief
	a.observe("b", b.coordinate(), 0)
	if !a.coordinate().valid() {
		t.Fatal("a strange round trip spoilt the coordinate")
	}
}
