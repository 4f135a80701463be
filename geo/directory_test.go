package geo

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func at(name string, p Point) Member {
	return Member{Name: name, Endpoint: name + ".example:6379", Point: p, Located: true}
}

// mesh is a directory of São Paulo (self), Toronto and Montreal, all up.
func mesh(t *testing.T) *Directory {
	t.Helper()
	d, err := NewDirectory(at("saopaulo", saoPaulo))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []Member{at("toronto", toronto), at("montreal", montreal)} {
		if err := d.Put(m); err != nil {
			t.Fatal(err)
		}
		bring(t, d, m.Name, Up)
	}
	return d
}

// bring feeds samples until the region is in the state, Up or Down.
func bring(t *testing.T, d *Directory, name string, want State) {
	t.Helper()
	outcome := OK
	if want == Down {
		outcome = Refused
	}
	for range 4 {
		if err := d.Observe(name, outcome, 0, Unknown, 0); err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, d, name, want)
}

func wantState(t *testing.T, d *Directory, name string, want State) {
	t.Helper()
	if r, ok := d.Load().Get(name); !ok || r.State != want {
		t.Fatalf("%s is %v, want %v", name, r.State, want)
	}
}

// names is a ranking as "a b c".
func names(ranked []Ranked) string {
	var all []string
	for _, r := range ranked {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func wantRank(t *testing.T, d *Directory, q Query, want string) {
	t.Helper()
	if got := names(d.Load().Rank(q)); got != want {
		t.Fatalf("Rank(%+v) = %q, want %q", q, got, want)
	}
}

func from(p Point) Query { return Query{Point: p, Located: true} }

func TestClosestByDistance(t *testing.T) {
	d := mesh(t)
	wantRank(t, d, from(montreal), "montreal toronto saopaulo")
	wantRank(t, d, from(toronto), "toronto montreal saopaulo")
	wantRank(t, d, from(Point{-90, 0}), "saopaulo toronto montreal")
	wantRank(t, d, Query{}, "saopaulo montreal toronto") // Montreal is 39 km nearer to São Paulo
	q := from(montreal)
	q.Count = 1
	wantRank(t, d, q, "montreal")

	first := d.Load().Rank(from(toronto))[1]
	want := Ranked{Name: "montreal", Endpoint: "montreal.example:6379", DistanceKm: DistanceKm(toronto, montreal), RTTMs: Unknown, LagMs: Unknown, State: Up}
	if first != want {
		t.Errorf("got %+v, want %+v", first, want)
	}
	if got := d.Load().Rank(from(Point{91, 0})); got != nil {
		t.Errorf("ranked from no point: %v", got)
	}
}

func TestDownRegionsArePassedOver(t *testing.T) {
	d := mesh(t)
	bring(t, d, "montreal", Down)
	wantRank(t, d, from(montreal), "toronto saopaulo")
	bring(t, d, "toronto", Down)
	wantRank(t, d, from(montreal), "saopaulo")
	bring(t, d, "montreal", Up)
	wantRank(t, d, from(montreal), "montreal saopaulo")
}

func TestConditionsRankBehindUp(t *testing.T) {
	for _, s := range []State{Syncing, Full, Clock, Suspended} {
		d := mesh(t)
		set := func(name string, s State) {
			t.Helper()
			if err := d.SetState(name, s); err != nil {
				t.Fatal(err)
			}
		}
		set("montreal", s)
		wantState(t, d, "montreal", s)
		wantRank(t, d, from(montreal), "toronto saopaulo")
		set("toronto", s)
		set("saopaulo", s)
		wantRank(t, d, from(montreal), "montreal toronto saopaulo")
		bring(t, d, "montreal", Down) // no answer outweighs any condition
		wantRank(t, d, from(montreal), "toronto saopaulo")
		d.Observe("montreal", OK, 0, Unknown, 0)
		d.Observe("montreal", OK, 0, Unknown, 0)
		wantState(t, d, "montreal", s)
		set("montreal", Up)
		wantRank(t, d, from(montreal), "montreal")
	}
}

func TestDrain(t *testing.T) {
	d := mesh(t)
	drain := func(name string, on Drain) {
		t.Helper()
		if err := d.SetDrain(name, on); err != nil {
			t.Fatal(err)
		}
	}
	drain("montreal", DrainOn)
	wantState(t, d, "montreal", Draining)
	wantRank(t, d, from(montreal), "toronto saopaulo")
	drain("saopaulo", DrainOn)
	wantState(t, d, "saopaulo", Draining)
	bring(t, d, "toronto", Down)
	wantRank(t, d, from(toronto), "montreal saopaulo") // better than one that does not answer
	drain("montreal", DrainOff)
	wantRank(t, d, from(toronto), "montreal")
}

func TestAllDownAnswersTheNearest(t *testing.T) {
	d, err := NewDirectory(at("a", saoPaulo))
	if err != nil {
		t.Fatal(err)
	}
	d.Put(at("b", toronto))
	d.Put(at("c", montreal))
	for _, name := range []string{"b", "c"} {
		bring(t, d, name, Down)
	}
	// The own region is always up to itself; as others would see it is tested on a snapshot without it.
	s := d.Load()
	s = &Snapshot{self: "a", regions: append([]Region(nil), s.regions...)}
	s.regions[0].State = Down
	if got := names(s.Rank(from(montreal))); got != "c b a" {
		t.Errorf("all down: %q", got)
	}
	if got := s.Rank(Query{Point: montreal, Located: true, MaxLagMs: 1000}); len(got) != 0 {
		t.Errorf("what is down cannot keep a limit of lag: %v", got)
	}
}

func TestMaxLag(t *testing.T) {
	d := mesh(t)
	observeLag := func(name string, lagMs int64) {
		t.Helper()
		if err := d.Observe(name, OK, 0, lagMs, 0); err != nil {
			t.Fatal(err)
		}
	}
	q := from(montreal)
	q.MaxLagMs = 100
	wantRank(t, d, q, "saopaulo") // the others' lag is unknown
	observeLag("toronto", 100)
	observeLag("montreal", 101)
	wantRank(t, d, q, "toronto saopaulo")
	observeLag("montreal", 5)
	observeLag("toronto", Unknown)                  // not measured this time
	d.Observe("montreal", Failed, 0, 10_000_000, 0) // a failure measures nothing
	wantRank(t, d, q, "montreal toronto saopaulo")
}

func TestClosestByRTT(t *testing.T) {
	d := mesh(t)
	byRTT := func(p Point) Query { return Query{Point: p, Located: true, By: ByRTT} }
	for range 50 {
		d.Observe("toronto", OK, 120*time.Millisecond, Unknown, 0)
		d.Observe("montreal", OK, 150*time.Millisecond, Unknown, 0)
	}
	// The region nearest the point is 0 from itself, whatever the path between the others.
	wantRank(t, d, byRTT(saoPaulo), "saopaulo toronto montreal")
	wantRank(t, d, Query{By: ByRTT}, "saopaulo toronto montreal")
	// From Montreal only the way to São Paulo is known, by its symmetry.
	wantRank(t, d, byRTT(montreal), "montreal saopaulo toronto")
	if err := d.ObserveMatrix("montreal", "toronto", 9*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	wantRank(t, d, byRTT(montreal), "montreal toronto saopaulo")
	if got := d.Load().RTTMs("toronto", "montreal"); got != 9 {
		t.Errorf("the way back = %v ms", got)
	}
	// Down, it is still the place that round trips are counted from.
	bring(t, d, "montreal", Down)
	wantRank(t, d, byRTT(montreal), "toronto saopaulo")
	if got := d.Load().Rank(byRTT(montreal)); got[0].RTTMs != 9 || math.Abs(got[1].RTTMs-150) > 1 {
		t.Errorf("round trips from a region that is down: %+v", got)
	}
	if got := d.Load().RTTMs("toronto", "nowhere"); got != Unknown {
		t.Errorf("round trip to nowhere = %v", got)
	}
}

func TestPredictedRTT(t *testing.T) {
	names, rtt := world()
	dirs := make([]*Directory, len(names))
	for i, name := range names {
		dirs[i], _ = NewDirectory(Member{Name: name})
		for _, other := range names {
			dirs[i].Put(Member{Name: other})
		}
	}
	rng := rand.New(rand.NewPCG(11, 1))
	for range 5000 {
		i, j := rng.IntN(len(names)), rng.IntN(len(names))
		if i == j {
			continue
		}
		if err := dirs[i].SetCoordinate(names[j], dirs[j].Coordinate()); err != nil {
			t.Fatal(err)
		}
		dirs[i].Observe(names[j], OK, rtt(i, j), Unknown, 0)
	}
	for i := 1; i < len(names); i++ {
		for j := 1; j < i; j++ { // seen from region 0 these pairs are nobody's measurement
			got, want := dirs[0].Load().RTTMs(names[i], names[j]), toMs(rtt(i, j))
			if math.Abs(got-want) > 0.25*want {
				t.Errorf("%s to %s: %.1f ms predicted, is %.1f", names[i], names[j], got, want)
			}
		}
	}
}

func TestUnlocatedRegions(t *testing.T) {
	d := mesh(t)
	d.Put(Member{Name: "a-nowhere"})
	d.Put(Member{Name: "b-nowhere"})
	bring(t, d, "a-nowhere", Up)
	bring(t, d, "b-nowhere", Up)
	wantRank(t, d, from(toronto), "toronto montreal saopaulo a-nowhere b-nowhere")
	d.Put(Member{Name: "saopaulo"}) // the own region loses its place
	wantRank(t, d, Query{}, "saopaulo a-nowhere b-nowhere montreal toronto")
	d.Put(at("b-nowhere", Point{44, -79}))
	wantRank(t, d, from(toronto), "toronto b-nowhere montreal a-nowhere saopaulo")
}

func TestTiesGoByName(t *testing.T) {
	d, _ := NewDirectory(at("m", toronto))
	for _, name := range []string{"z", "a", "k"} {
		d.Put(at(name, toronto))
		bring(t, d, name, Up)
	}
	wantRank(t, d, from(montreal), "a k m z")
	wantRank(t, d, Query{By: ByRTT}, "m a k z")
}

// TestRankProperties checks on random meshes that a ranking is a sorted selection that does not depend on the order in
// which regions were added.
func TestRankProperties(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var members []Member
		for i := range 1 + rng.IntN(12) {
			members = append(members, Member{Name: fmt.Sprintf("r%02d", i), Point: randomPoint(rng), Located: rng.IntN(5) > 0})
		}
		downs := rng.Uint64()
		build := func(order []int) *Snapshot {
			d, _ := NewDirectory(members[0])
			for _, i := range order {
				d.Put(members[i])
			}
			for i, m := range members[1:] {
				bring(t, d, m.Name, []State{Up, Down}[downs>>i&1])
			}
			return d.Load()
		}
		q := Query{Point: randomPoint(rng), Located: rng.IntN(4) > 0, By: Order(rng.IntN(2)), Count: rng.IntN(5)}
		got := build(rng.Perm(len(members))).Rank(q)
		if again := build(rng.Perm(len(members))).Rank(q); !reflect.DeepEqual(got, again) {
			t.Fatalf("seed %d: %v and %v", seed, got, again)
		}
		if len(got) == 0 {
			t.Fatalf("seed %d: no answer", seed)
		}
		if q.Count > 0 && len(got) > q.Count {
			t.Fatalf("seed %d: %d answers, asked for %d", seed, len(got), q.Count)
		}
		for i := range got {
			if got[i].State != Up {
				t.Fatalf("seed %d: %v though the own region is up", seed, got[i])
			}
			if i > 0 && q.By == ByDistance && got[i].DistanceKm != Unknown && (got[i-1].DistanceKm > got[i].DistanceKm || got[i-1].DistanceKm == Unknown) {
				t.Fatalf("seed %d: not sorted: %v", seed, got)
			}
		}
	}
}

func TestSilence(t *testing.T) {
	d := mesh(t)
	tick := func(fromMs, toMs int64) {
		for ms := fromMs; ms <= toMs; ms += 1000 {
			d.Tick(ms)
		}
	}
	d.Observe("toronto", OK, 0, Unknown, 1000)
	d.Observe("montreal", OK, 0, Unknown, 9000)
	tick(1000, 15_000)
	wantState(t, d, "toronto", Up)
	tick(16_000, 16_000)
	wantState(t, d, "toronto", Down)
	wantState(t, d, "montreal", Up)
	wantState(t, d, "saopaulo", Up)
	d.Put(at("new", Point{}))
	tick(17_000, 31_000)
	wantState(t, d, "new", Connecting)
	tick(32_000, 32_000)
	wantState(t, d, "new", Down)
}

func TestClockJumpIsNotSilence(t *testing.T) {
	for _, jumpMs := range []int64{3_600_000, -3_600_000} {
		d := mesh(t)
		now := int64(10_000_000)
		d.Observe("toronto", OK, 0, Unknown, now)
		d.Observe("montreal", OK, 0, Unknown, now)
		d.Tick(now)
		d.Tick(now + jumpMs)
		d.Tick(now + jumpMs + 1000)
		wantState(t, d, "toronto", Up)
		for ms := now + jumpMs; ms < now+jumpMs+silenceToDownMs+1000; ms += 1000 {
			d.Tick(ms)
		}
		wantState(t, d, "toronto", Down)
	}
}

func TestDirectoryErrors(t *testing.T) {
	d := mesh(t)
	var rangeError *RangeError
	for name, c := range map[string]struct{ got, want error }{
		"observe unknown":      {d.Observe("x", OK, 0, 0, 0), ErrUnknownRegion},
		"observe self":         {d.Observe("saopaulo", OK, 0, 0, 0), ErrSelf},
		"negative rtt":         {d.Observe("toronto", OK, -1, 0, 0), ErrRTT},
		"huge rtt":             {d.Observe("toronto", OK, time.Hour, 0, 0), ErrRTT},
		"remove self":          {d.Remove("saopaulo"), ErrSelf},
		"remove unknown":       {d.Remove("x"), ErrUnknownRegion},
		"declare down":         {d.SetState("toronto", Down), ErrState},
		"declare draining":     {d.SetState("toronto", Draining), ErrState},
		"state of unknown":     {d.SetState("x", Full), ErrUnknownRegion},
		"drain unknown":        {d.SetDrain("x", DrainOn), ErrUnknownRegion},
		"coordinate self":      {d.SetCoordinate("saopaulo", d.Coordinate()), ErrSelf},
		"coordinate malformed": {d.SetCoordinate("toronto", Coordinate{Height: math.NaN()}), ErrCoordinate},
		"matrix self":          {d.ObserveMatrix("saopaulo", "toronto", 1), ErrSelf},
		"matrix loop":          {d.ObserveMatrix("toronto", "toronto", 1), ErrSelf},
		"matrix unknown from":  {d.ObserveMatrix("x", "toronto", 1), ErrUnknownRegion},
		"matrix unknown to":    {d.ObserveMatrix("toronto", "x", 1), ErrUnknownRegion},
		"matrix rtt":           {d.ObserveMatrix("toronto", "montreal", -1), ErrRTT},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if err := d.Put(at("bad", Point{Lat: 91})); !errors.As(err, &rangeError) {
		t.Errorf("a place beyond the pole: %v", err)
	}
	if _, err := NewDirectory(at("bad", Point{Lon: math.NaN()})); !errors.As(err, &rangeError) {
		t.Errorf("an own place that is none: %v", err)
	}
	for i := range MaxRegions {
		d.Put(Member{Name: fmt.Sprint(i)})
	}
	if err := d.Put(Member{Name: "one more"}); !errors.Is(err, ErrTooManyRegions) || len(d.Load().Regions()) != MaxRegions {
		t.Errorf("a directory of %d regions: %v", len(d.Load().Regions()), err)
	}
}

func TestRemoveForgets(t *testing.T) {
	d := mesh(t)
	d.Observe("toronto", OK, 100*time.Millisecond, 5, 0)
	d.ObserveMatrix("montreal", "toronto", 9*time.Millisecond)
	before := d.Load()
	if err := d.Remove("toronto"); err != nil {
		t.Fatal(err)
	}
	wantRank(t, d, from(toronto), "montreal saopaulo")
	d.Put(at("toronto", toronto))
	r, _ := d.Load().Get("toronto")
	if r.State != Connecting || r.RTTMs != Unknown || r.LagMs != Unknown || d.Load().RTTMs("montreal", "toronto") != Unknown {
		t.Errorf("a region added anew is not new: %+v", r)
	}
	if before.RTTMs("montreal", "toronto") != 9 || before.RTTMs("saopaulo", "toronto") != 100 {
		t.Error("an old snapshot changed")
	}
	if !d.Load().Self().Self || d.Load().Self().Name != "saopaulo" {
		t.Error("the own region is not itself")
	}
}

func TestStateNames(t *testing.T) {
	want := "connecting up down draining syncing full clock suspended"
	var got []string
	for s := range stateCount {
		got = append(got, s.String())
	}
	if strings.Join(got, " ") != want || stateCount.String() != "unknown" {
		t.Errorf("states are %v", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	d := mesh(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range int64(200) {
				d.Observe("toronto", Outcome(n%3), time.Millisecond, n, n)
				d.SetCoordinate("montreal", d.Coordinate())
				d.ObserveMatrix("toronto", "montreal", time.Duration(n+1))
				d.Put(Member{Name: fmt.Sprint(i)})
				d.Tick(n)
				d.Load().Rank(Query{Point: montreal, Located: true, By: ByRTT})
				d.Remove(fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
}

func BenchmarkRank(b *testing.B) {
	d, _ := NewDirectory(at("self", saoPaulo))
	for i := range 4 {
		d.Put(at(fmt.Sprint(i), Point{Lat: float64(10 * i)}))
		for range 2 {
			d.Observe(fmt.Sprint(i), OK, time.Millisecond, 0, 0)
		}
	}
	for b.Loop() {
		d.Load().Rank(Query{Point: montreal, Located: true, Count: 1})
	}
}
