package geo

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

var (
	saoPaulo = Point{-23.5505, -46.6333}
	toronto  = Point{43.6532, -79.3832}
	montreal = Point{45.5017, -73.5673}
	// halfwayKm is half the circumference of Redis' sphere, the longest distance there is.
	halfwayKm = math.Pi * earthRadiusMeters / 1000
)

func randomPoint(rng *rand.Rand) Point {
	return Point{Lat: rng.Float64()*180 - 90, Lon: rng.Float64()*360 - 180}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		name   string
		a, b   Point
		wantKm float64
		within float64
	}{
		// The first three as GEODIST of Redis 7.0.15 gives them.
		{"São Paulo to Toronto", saoPaulo, toronto, 8188.3706, 1e-3},
		{"Montreal to Toronto", montreal, toronto, 504.4046, 1e-3},
		{"Montreal to São Paulo", montreal, saoPaulo, 8149.8074, 1e-3},
		{"nowhere", toronto, toronto, 0, 0},
		{"one place on both sides of the antimeridian", Point{10, 180}, Point{10, -180}, 0, 1e-6},
		{"across the antimeridian", Point{0, 179.5}, Point{0, -179.5}, halfwayKm / 180, 1e-6},
		{"one pole, two longitudes", Point{90, 0}, Point{90, 123}, 0, 1e-6},
		{"pole to pole", Point{90, 10}, Point{-90, -77}, halfwayKm, 1e-6},
		{"pole to equator", Point{-90, 0}, Point{0, 55}, halfwayKm / 2, 1e-6},
		{"antipodes", Point{30, 40}, Point{-30, -140}, halfwayKm, 1e-3},
	} {
		if got := DistanceKm(c.a, c.b); math.Abs(got-c.wantKm) > c.within {
			t.Errorf("%s: %.6f km, want %.6f", c.name, got, c.wantKm)
		}
	}
}

func TestDistanceIsAMetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		a, b, c := randomPoint(rng), randomPoint(rng), randomPoint(rng)
		ab, bc, ac := DistanceKm(a, b), DistanceKm(b, c), DistanceKm(a, c)
		if ab != DistanceKm(b, a) {
			t.Fatalf("not symmetric: %v %v", a, b)
		}
		if !(ab >= 0 && ab <= halfwayKm+1e-9) {
			t.Fatalf("%v to %v = %v km", a, b, ab)
		}
		if ac > ab+bc+1e-6 {
			t.Fatalf("triangle: %v %v %v", a, b, c)
		}
		if DistanceKm(a, a) != 0 {
			t.Fatalf("%v is away from itself", a)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, p := range []Point{{}, {90, 180}, {-90, -180}, saoPaulo} {
		if err := p.Validate(); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		p        Point
		argument string
		limit    float64
	}{
		{Point{90.0001, 0}, "latitude", 90}, {Point{-91, 500}, "latitude", 90}, {Point{nan, 0}, "latitude", 90}, {Point{-inf, 0}, "latitude", 90},
		{Point{0, 180.5}, "longitude", 180}, {Point{0, -181}, "longitude", 180}, {Point{0, nan}, "longitude", 180}, {Point{0, inf}, "longitude", 180},
	} {
		var e *RangeError
		if err := c.p.Validate(); !errors.As(err, &e) || e.Argument != c.argument || e.Limit != c.limit {
			t.Errorf("%v: %v", c.p, err)
		}
	}
	if got, want := (Point{91, 0}).Validate().Error(), "latitude 91 is outside -90..90"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}
