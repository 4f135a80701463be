package geo

import "math"

// Unit is a unit of length of the geo commands.
type Unit uint8

// The units that Redis knows.
const (
	Meters Unit = iota
	Kilometers
	Feet
	Miles
)

// ParseUnit reads a unit's name in any case.
func ParseUnit(name []byte) (Unit, bool) {
	var buf [2]byte
	if len(name) > len(buf) {
		return 0, false
	}
	for i, c := range name {
		buf[i] = c | 0x20
	}
	switch string(buf[:len(name)]) {
	case "m":
		return Meters, true
	case "km":
		return Kilometers, true
	case "ft":
		return Feet, true
	case "mi":
		return Miles, true
	}
	return 0, false
}

// Meters is the unit's length.
func (u Unit) Meters() float64 {
	switch u {
	case Kilometers:
		return 1000
	case Feet:
		return 0.3048
	case Miles:
		return 1609.34
	}
	return 1
}

// ScoreRange is an interval of scores: Min <= score < Max.
type ScoreRange struct{ Min, Max float64 }

// Area is what GEOSEARCH searches: a circle, a box or a polygon. Make it with one of the functions below.
type Area struct {
	center   Point
	bounds   rect    // lies around the shape; its longitudes may go beyond 180 degrees
	reach    float64 // meters from the center to the farthest point
	contains func(a *Area, p Point, meters float64) bool

	halfWidth, halfHeight float64 // of a box, in meters
	vertices              []Point // of a polygon
}

// Circle returns the area within a distance of the center, its edge included. The center is one that EncodeHash takes, the
// radius is not negative.
func Circle(center Point, radiusMeters float64) Area {
	return Area{
		center: center, bounds: boundsAround(center, radiusMeters, radiusMeters), reach: radiusMeters,
		contains: func(a *Area, _ Point, meters float64) bool { return meters <= a.reach },
	}
}

// Box returns the area of a width, measured along the latitude of the point in question, and a height, around a center that
// EncodeHash takes. Its edges belong to it.
func Box(center Point, widthMeters, heightMeters float64) Area {
	halfWidth, halfHeight := widthMeters/2, heightMeters/2
	return Area{
		center: center, bounds: boundsAround(center, halfWidth, halfHeight),
		reach:     math.Sqrt(halfWidth*halfWidth + halfHeight*halfHeight),
		halfWidth: halfWidth, halfHeight: halfHeight,
		contains: (*Area).boxContains,
	}
}

// Polygon returns the area within the edges between the vertices, of which there are at least three, all such as EncodeHash
// takes them; the last is joined to the first. Edges are straight on a map of degrees and do not cross longitude 180. Its
// center, from which distances count, is the middle of the vertices on the globe (BYPOLYGON of Valkey 9.0). The Area keeps
// the slice.
func Polygon(vertices []Point) Area {
	a := Area{vertices: vertices, bounds: rect{min: vertices[0], max: vertices[0]}, contains: (*Area).polygonContains}
	var x, y, z float64
	for _, v := range vertices {
		a.bounds.min = Point{min(a.bounds.min.Lat, v.Lat), min(a.bounds.min.Lon, v.Lon)}
		a.bounds.max = Point{max(a.bounds.max.Lat, v.Lat), max(a.bounds.max.Lon, v.Lon)}
		sinLat, cosLat := math.Sincos(radians(v.Lat))
		sinLon, cosLon := math.Sincos(radians(v.Lon))
		x += cosLat * cosLon
		y += cosLat * sinLon
		z += sinLat
	}
	a.center = Point{
		Lat: max(-MaxGeoLatitude, min(degrees(math.Atan2(z, math.Hypot(x, y))), MaxGeoLatitude)),
		Lon: max(-MaxLongitude, min(degrees(math.Atan2(y, x)), MaxLongitude)),
	}
	for _, corner := range []Point{a.bounds.min, a.bounds.max,
		{a.bounds.min.Lat, a.bounds.max.Lon}, {a.bounds.max.Lat, a.bounds.min.Lon}} {
		a.reach = max(a.reach, DistanceMeters(a.center, corner))
	}
	return a
}

// Contains tells whether a point is in the area, and how far it is from the center.
func (a *Area) Contains(p Point) (meters float64, ok bool) {
	meters = DistanceMeters(a.center, p)
	return meters, a.contains(a, p, meters)
}

func (a *Area) boxContains(p Point, _ float64) bool {
	north := earthRadiusMeters * math.Abs(radians(p.Lat)-radians(a.center.Lat))
	return north <= a.halfHeight && DistanceMeters(p, Point{Lat: p.Lat, Lon: a.center.Lon}) <= a.halfWidth
}

// polygonContains counts the edges to the east of the point: it is inside if they are an odd number.
func (a *Area) polygonContains(p Point, _ float64) bool {
	inside := false
	from := a.vertices[len(a.vertices)-1]
	for _, to := range a.vertices {
		if (to.Lat > p.Lat) != (from.Lat > p.Lat) {
			along := float64((from.Lon-to.Lon)*(p.Lat-to.Lat)) / (from.Lat - to.Lat)
			if p.Lon < along+to.Lon {
				inside = !inside
			}
		}
		from = to
	}
	return inside
}

// Ranges returns the scores of all points that may be in the area, at most nine intervals without overlap, in the order in
// which Redis looks through them: replies that are not sorted show it.
func (a *Area) Ranges() []ScoreRange {
	step := stepForRadius(a.reach, a.center.Lat)
	home := encodeCell(a.center, geoLimits, step)
	if step > 1 && !a.coveredAround(home) {
		step--
		home = encodeCell(a.center, geoLimits, step)
	}
	ranges := make([]ScoreRange, 0, len(around)+1)
	ranges = append(ranges, home.scores())
	r := home.rect(geoLimits)
	for _, way := range around {
		if step >= 2 && a.needless(r, way[0], way[1]) {
			continue
		}
		next := home.moved(way[0], way[1]).scores()
		// On the coarsest map the neighbours to both sides are the same.
		if next != ranges[len(ranges)-1] {
			ranges = append(ranges, next)
		}
	}
	return ranges
}

// around is the way to the eight neighbours of a cell, as steps north and east.
var around = [...][2]int{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}}

// coveredAround tells whether the cell and its neighbours reach as far as the area does.
func (a *Area) coveredAround(home cell) bool {
	return home.moved(1, 0).rect(geoLimits).max.Lat >= a.bounds.max.Lat &&
		home.moved(-1, 0).rect(geoLimits).min.Lat <= a.bounds.min.Lat &&
		home.moved(0, 1).rect(geoLimits).max.Lon >= a.bounds.max.Lon &&
		home.moved(0, -1).rect(geoLimits).min.Lon <= a.bounds.min.Lon
}

// needless tells whether the area ends within the home cell on a side that a neighbour lies on.
func (a *Area) needless(home rect, north, east int) bool {
	return north < 0 && home.min.Lat < a.bounds.min.Lat || north > 0 && home.max.Lat > a.bounds.max.Lat ||
		east < 0 && home.min.Lon < a.bounds.min.Lon || east > 0 && home.max.Lon > a.bounds.max.Lon
}

// boundsAround returns the degrees around a shape of that half width and height. Its broader side is the one away from the
// equator.
func boundsAround(center Point, halfWidthMeters, halfHeightMeters float64) rect {
	lat := degrees(halfHeightMeters / earthRadiusMeters)
	far := center.Lat + lat
	if center.Lat < 0 {
		far = center.Lat - lat
	}
	lon := degrees(halfWidthMeters / earthRadiusMeters / math.Cos(radians(far)))
	return rect{min: Point{center.Lat - lat, center.Lon - lon}, max: Point{center.Lat + lat, center.Lon + lon}}
}

func degrees(radians float64) float64 { return radians / (math.Pi / 180) }

// stepForRadius returns how often the map is halved for cells of at least about the radius.
func stepForRadius(meters, lat float64) uint8 {
	const mercatorMax = 20037726.37 // half of the map's width in meters
	if meters == 0 {
		return hashSteps
	}
	step := -1 // the cells around are to hold the range in most cases
	for ; meters < mercatorMax; meters *= 2 {
		step++
	}
	switch lat = math.Abs(lat); { // meridians come closer towards the poles
	case lat > 80:
		step -= 2
	case lat > 66:
		step--
	}
	return uint8(max(1, min(step, hashSteps)))
}
