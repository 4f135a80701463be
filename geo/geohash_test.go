package geo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// sicily holds members and the scores that Redis 7.0.15 gave them.
var sicily = []struct {
	name string
	at   Point
	hash Hash
}{
	{"edge4", Point{35.202, 12.75}, 3475717121729652},
	{"edge3", Point{35.202, 17.25}, 3477786790676054},
	{"Palermo", Point{38.115556, 13.361389}, 3479099956230698},
	{"edge1", Point{38.788135, 12.758489}, 3479273021651468},
	{"Catania", Point{37.502669, 15.087269}, 3479447370796909},
	{"edge2", Point{38.788135, 17.241510}, 3481342659049484},
}

// TestHashAsRedis compares with ZSCORE, GEOHASH, GEOPOS and GEODIST of Redis 7.0.15 after GEOADD.
func TestHashAsRedis(t *testing.T) {
	palermo := Hash(3479099956230698).Point()
	for _, c := range []struct {
		in       Point
		score    float64
		text     string
		lon, lat string
		distance string // to Palermo
	}{
		{Point{38.115556, 13.361389}, 3479099956230698, "sqc8b49rny0", "13.36138933897018433", "38.11555639549629859", "0.0000"},
		{Point{37.502669, 15.087269}, 3479447370796909, "sqdtr74hyu0", "15.08726745843887329", "37.50266842333162032", "166274.1516"},
		{Point{85.05112878, 180}, 13510798882111488, "bp05b5048p0", "180.00000000000000000", "85.05112877999999910", "6307362.7206"},
		{Point{-85.05112878, -180}, 0, "00bh0hbj200", "-179.99999731779098511", "-85.05112751263942528", "14784257.5187"},
		{Point{0, 0}, 3377699720527872, "s0000000000", "0.00000268220901489", "0.00000126736058093", "4454733.0204"},
		{Point{0.00001, -0.00001}, 1876499844737709, "ebpbpbpbpc0", "-0.00000804662704468", "0.00000887152405227", "4454732.5463"},
		{Point{-33.5, 179.9999}, 3289458472106162, "rfpcrvxbme0", "179.99990075826644897", "-33.49999899065774400", "18712342.4683"},
	} {
		h, ok := EncodeHash(c.in)
		if !ok || h.Score() != c.score {
			t.Errorf("%v: score %f, want %f", c.in, h.Score(), c.score)
		}
		if HashOfScore(c.score) != h {
			t.Errorf("%v: the score gives another hash", c.in)
		}
		if got := string(h.AppendText(nil)); got != c.text {
			t.Errorf("%v: text %s, want %s", c.in, got, c.text)
		}
		p := h.Point()
		if lon, lat := fmt.Sprintf("%.17f", p.Lon), fmt.Sprintf("%.17f", p.Lat); lon != c.lon || lat != c.lat {
			t.Errorf("%v: at %s, %s, want %s, %s", c.in, lon, lat, c.lon, c.lat)
		}
		if got := strconv.FormatFloat(DistanceMeters(palermo, p), 'f', 4, 64); got != c.distance {
			t.Errorf("%v: %s from Palermo, want %s", c.in, got, c.distance)
		}
	}
}

// TestForeignScores reads scores that no GEOADD wrote, which give these places in Redis 7.0.15.
func TestForeignScores(t *testing.T) {
	const lowest = -85.05112751263942528
	for score, want := range map[float64]Point{
		-5:               {MaxGeoLatitude, 180},
		9.3e18:           {MaxGeoLatitude, 180},
		9007199254740992: {lowest, 180},
		1e300:            {lowest, -179.99999731779098511},
		-1e300:           {lowest, 180},
		math.Inf(1):      {lowest, -179.99999731779098511},
		math.Inf(-1):     {lowest, 180},
	} {
		if got := HashOfScore(score).Point(); got != want {
			t.Errorf("%v: %v, want %v", score, got, want)
		}
	}
}

func TestEncodeHashRefuses(t *testing.T) {
	for _, p := range []Point{{86, 0}, {-85.06, 0}, {0, 180.1}, {0, -181}, {math.NaN(), 0}, {0, math.NaN()}, {math.Inf(1), 0}} {
		if _, ok := EncodeHash(p); ok {
			t.Errorf("%v is taken", p)
		}
	}
}

// search does what GEOSEARCH does with the members above, in the order of Redis.
func search(a Area, unit Unit) string {
	var found []string
	for _, r := range a.Ranges() {
		for _, m := range sicily {
			if score := m.hash.Score(); score < r.Min || score >= r.Max {
				continue
			}
			if meters, ok := a.Contains(m.hash.Point()); ok {
				found = append(found, fmt.Sprintf("%s %.4f", m.name, meters/unit.Meters()))
			}
		}
	}
	return strings.Join(found, " ")
}

// TestSearchAsRedis compares with GEOSEARCH s FROMLONLAT 15 37 ... WITHDIST of Redis 7.0.15, not sorted.
func TestSearchAsRedis(t *testing.T) {
	center := Point{Lat: 37, Lon: 15}
	for _, m := range sicily {
		if h, ok := EncodeHash(m.at); !ok || h != m.hash {
			t.Fatalf("%s has %d", m.name, h)
		}
	}
	km, mi := Kilometers.Meters(), Miles.Meters()
	for _, c := range []struct {
		area Area
		unit Unit
		want string
	}{
		{Circle(center, 200*km), Kilometers, "Palermo 190.4424 Catania 56.4413"},
		{Box(center, 400*km, 400*km), Kilometers, "Palermo 190.4424 edge1 279.7405 Catania 56.4413 edge2 279.7403"},
		{Box(center, 100*km, 400*km), Kilometers, "Catania 56.4413"},
		{Circle(center, 150*mi), Miles, "Palermo 118.3357 Catania 35.0711"},
		{Circle(center, 0), Meters, ""},
	} {
		if got := search(c.area, c.unit); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestPolygon(t *testing.T) {
	triangle := Polygon([]Point{{37, 14.5}, {37, 16}, {38.2, 15}})
	if got := search(triangle, Kilometers); !strings.HasPrefix(got, "Catania ") || strings.Count(got, " ") != 1 {
		t.Errorf("a triangle around Catania: %s", got)
	}
	notched := Polygon([]Point{{35, 12}, {39, 12}, {39, 18}, {35, 18}, {35, 16}, {38, 16}, {38, 14.5}, {35, 14.5}})
	if got := search(notched, Kilometers); strings.Contains(got, "Catania") || strings.Count(got, ".") != len(sicily)-1 {
		t.Errorf("a frame with a notch that leaves Catania out: %s", got)
	}
	if got, want := search(Polygon([]Point{{35, 12}, {35, 18}, {39, 18}, {39, 12}}), Meters), len(sicily); strings.Count(got, ".") != want {
		t.Errorf("a frame around all: %s", got)
	}
	// Of a square on the equator the center is the middle.
	square := Polygon([]Point{{-1, 9}, {-1, 11}, {1, 11}, {1, 9}})
	if meters, ok := square.Contains(Point{0, 10}); !ok || meters > 1e-3 {
		t.Errorf("the middle is %v m from the center, %v", meters, ok)
	}
	if _, ok := square.Contains(Point{0, 11.001}); ok {
		t.Error("a point beside the square is in it")
	}
}

// TestRangesHoldTheArea takes random points: whichever is in the area has its score in exactly one range.
func TestRangesHoldTheArea(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range 4000 {
		center := Point{Lat: random.Float64()*160 - 80, Lon: random.Float64()*340 - 170}
		size := math.Pow(10, 1+5*random.Float64()) // up to 1000 km
		degrees := size / 111e3
		areas := []Area{Circle(center, size), Box(center, size, 2*size*random.Float64())}
		if math.Abs(center.Lat)+degrees < 85 && math.Abs(center.Lon)+2*degrees < 180 {
			areas = append(areas, Polygon([]Point{
				{center.Lat - degrees, center.Lon - degrees},
				{center.Lat + degrees*random.Float64(), center.Lon + 2*degrees},
				{center.Lat + degrees, center.Lon - degrees*random.Float64()}}))
		}
		for i := range areas {
			ranges := areas[i].Ranges()
			if len(ranges) > 9 {
				t.Fatalf("%d ranges", len(ranges))
			}
			for range 20 {
				p := Point{Lat: center.Lat + degrees*(2*random.Float64()-1), Lon: center.Lon + 2*degrees*(2*random.Float64()-1)}
				h, ok := EncodeHash(p)
				if !ok {
					continue
				}
				if _, ok := areas[i].Contains(h.Point()); !ok {
					continue
				}
				hits := 0
				for _, r := range ranges {
					if r.Min <= h.Score() && h.Score() < r.Max {
						hits++
					}
				}
				if hits != 1 {
					t.Fatalf("area %d around %v, %v m: %v lies in %d ranges", i, center, size, p, hits)
				}
			}
		}
	}
}

// TestExtremeAreas only asks for an end and for no more ranges than there can be.
func TestExtremeAreas(t *testing.T) {
	for _, center := range []Point{{MaxGeoLatitude, 180}, {-MaxGeoLatitude, -180}, {0, 0}, {MaxGeoLatitude, 0}} {
		for _, size := range []float64{0, 5e-324, 1e-300, 1, 1e7, 3e7, 1e300, math.Inf(1)} {
			for _, a := range []Area{Circle(center, size), Box(center, size, 1), Box(center, 1, size), Box(center, size, size)} {
				if n := len(a.Ranges()); n < 1 || n > 9 {
					t.Errorf("%v, %v m: %d ranges", center, size, n)
				}
			}
		}
	}
}

func TestParseUnit(t *testing.T) {
	for name, want := range map[string]float64{"m": 1, "KM": 1000, "Mi": 1609.34, "ft": 0.3048} {
		if u, ok := ParseUnit([]byte(name)); !ok || u.Meters() != want {
			t.Errorf("%s: %v, %v", name, u.Meters(), ok)
		}
	}
	for _, name := range []string{"", "k", "mm", "kmh", "meters"} {
		if _, ok := ParseUnit([]byte(name)); ok {
			t.Errorf("%s is taken", name)
		}
	}
}

func BenchmarkArea(b *testing.B) {
	a := Circle(Point{37, 15}, 200e3)
	p := Hash(3479447370796909).Point()
	b.Run("ranges", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.Ranges()
		}
	})
	b.Run("contains", func(b *testing.B) {
		for b.Loop() {
			a.Contains(p)
		}
	})
}
