package geo

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exactSin is the sine of an angle by its series, with 200 bits.
func exactSin(angle *big.Float) *big.Float {
	sum, term := new(big.Float).SetPrec(200), new(big.Float).SetPrec(200).Set(angle)
	square := new(big.Float).SetPrec(200).Mul(angle, angle)
	for n := int64(1); n < 120; n += 2 {
		sum.Add(sum, term)
		term.Mul(term, square)
		term.Quo(term, new(big.Float).SetInt64(-(n+1)*(n+2)))
	}
	return sum
}

func wide(f float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(f) }

// TestTrigRounding holds sine, cosine and arcsine against series: nearly all are the nearest number, none is far from it.
func TestTrigRounding(t *testing.T) {
	halfPi, _, err := big.ParseFloat("1.57079632679489661923132169163975144209858469968755291048747229615390820314", 10, 200, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	const rounds = 10_000
	other := map[string]int{}
	check := func(name string, arg, got float64, exact *big.Float) {
		if want, _ := exact.Float64(); got != want {
			other[name]++
			if other[name] < 10 {
				t.Logf("%s(%v) is %v, want %v", name, arg, got, want)
			}
			if got != math.Nextafter(want, got) {
				t.Errorf("%s(%v) is %v, want %v", name, arg, got, want)
			}
		}
	}
	for i := range rounds {
		angle := (rnd.Float64()*2 - 1) * math.Pi
		if i%4 == 0 {
			angle = math.Copysign(math.Exp(-30*rnd.Float64()), angle)
		}
		if i%4 == 1 { // two places beside longitude 180
			angle = math.Copysign(math.Pi-math.Exp(-30*rnd.Float64()), angle)
		}
		check("sin", angle, sin(angle), exactSin(wide(angle)))
		angle = math.Remainder(angle, math.Pi)
		check("cos", angle, cos(angle), exactSin(new(big.Float).Sub(halfPi, wide(math.Abs(angle)))))
		// The arcsine is right if the sines half a unit beside it lie around the number.
		f := math.Abs(math.Sin(angle))
		got := asin(f)
		within := func(units float64) bool { // in the last place
			low, high := wide((got-math.Nextafter(got, 0))*units), wide((math.Nextafter(got, 4)-got)*units)
			low.Sub(wide(got), low)
			high.Add(wide(got), high)
			return exactSin(low).Cmp(wide(f)) <= 0 && (high.Cmp(halfPi) >= 0 || exactSin(high).Cmp(wide(f)) >= 0)
		}
		if !within(0.5) {
			other["asin"]++
		}
		if !within(1) {
			t.Errorf("asin(%v) is %v", f, got)
		}
	}
	for name, n := range other {
		if n > rounds/2000 {
			t.Errorf("%s: %d of %d are not the nearest number", name, n, rounds)
		}
	}
	t.Log(other)
	for _, f := range []float64{0, 1} {
		if asin(f) != math.Asin(f) || sin(f*math.Pi/2) != f || math.Abs(cos(f*math.Pi/2)-math.Cos(f*math.Pi/2)) > 1e-19 {
			t.Errorf("at %v: asin %v, sin %v, cos %v", f, asin(f), sin(f*math.Pi/2), cos(f*math.Pi/2))
		}
	}
}

func BenchmarkDistance(b *testing.B) {
	from, sum := Point{Lat: 48.8566, Lon: 2.3522}, 0.0
	for i := range b.N {
		sum += DistanceMeters(from, Point{Lat: float64(i%85) + 0.3, Lon: float64(i%170) + 0.7})
	}
	if math.IsNaN(sum) {
		b.Fatal(sum)
	}
}
