package command

import (
	"cmp"
	"slices"

	"geocache/engine"
	"geocache/geo"
	"geocache/resp"
)

// geoForm is what distinguishes the commands that search places.
type geoForm struct {
	source  int // argument of the key that is searched
	options int // the first option
	byPoint bool
	byName  bool // around a member
	noStore bool // GEORADIUS_RO and its kin
	keyed   bool // GEOSEARCHSTORE
}

// around reports whether center and radius stand in front of the options, as
// in GEORADIUS and its kin.
func (f *geoForm) around() bool { return f.byPoint || f.byName }

func geoRadius(c *Ctx) { c.searchPlaces(geoForm{source: 1, options: 6, byPoint: true}) }
func geoRadiusRO(c *Ctx) {
	c.searchPlaces(geoForm{source: 1, options: 6, byPoint: true, noStore: true})
}
func geoRadiusByMember(c *Ctx) {
	c.searchPlaces(geoForm{source: 1, options: 5, byName: true})
}
func geoRadiusByMemberRO(c *Ctx) {
	c.searchPlaces(geoForm{source: 1, options: 5, byName: true, noStore: true})
}
func geoSearch(c *Ctx)      { c.searchPlaces(geoForm{source: 1, options: 2}) }
func geoSearchStore(c *Ctx) { c.searchPlaces(geoForm{source: 2, options: 3, keyed: true}) }

// geoShape is the shape of the area that is searched.
type geoShape uint8

const (
	noShape geoShape = iota
	circle
	box
	polygon
)

// geoQuery is what a search asks for. Lengths are in meters.
type geoQuery struct {
	geoForm
	z *engine.Scored

	center   geo.Point
	centered byte // 'm' around a member, 'p' around a point
	shape    geoShape
	radius   float64
	width    float64
	height   float64
	vertices []geo.Point
	unit     geo.Unit

	order     direction
	count     int64 // 0 is all
	any       bool  // the first count that are found will do
	withDist  bool
	withHash  bool
	withCoord bool

	store     int // argument of the destination, 0 for none
	storeDist bool
}

// placed is a member found.
type placed struct {
	member []byte
	score  float64
	meters float64
	at     geo.Point
}

func (c *Ctx) searchPlaces(f geoForm) {
	z, err := c.Tx.ZSet(c.Key(f.source))
	if err != nil {
		c.FailWith(err)
		return
	}
	q := geoQuery{geoForm: f, z: z}
	if f.keyed {
		q.store = 1
	}
	fail := c.geoCenter(&q)
	if fail == "" {
		fail = c.geoOptions(&q)
	}
	if fail == "" {
		fail = q.check(c.Args[0])
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	var found []placed
	if z != nil {
		found = q.search()
	}
	if q.store != 0 {
		c.storePlaces(&q, found)
		return
	}
	c.showPlaces(&q, found)
}

// geoCenter reads center and radius of GEORADIUS and its kin. Around a member
// of a missing key neither matters.
func (c *Ctx) geoCenter(q *geoQuery) (fail resp.Error) {
	switch {
	case !q.around(), q.byName && q.z == nil:
		return ""
	case q.byPoint:
		q.center, _, fail = parsePlace(c.Args[2], c.Args[3])
	default:
		fail = q.aroundMember(c.Args[2])
	}
	if fail != "" {
		return fail
	}
	return q.circle(c.Args[q.options-2], c.Args[q.options-1])
}

func (q *geoQuery) aroundMember(member []byte) resp.Error {
	h, ok := place(q.z, member)
	if !ok {
		return resp.ErrGeoMember
	}
	q.center = h.Point()
	return ""
}

// circle reads a radius and its unit.
func (q *geoQuery) circle(radius, unit []byte) resp.Error {
	r, ok := resp.ParseFloat(radius)
	switch {
	case !ok:
		return resp.ErrRadius
	case r < 0:
		return resp.ErrRadiusNegative
	}
	if q.unit, ok = geo.ParseUnit(unit); !ok {
		return resp.ErrUnit
	}
	q.shape, q.radius = circle, r*q.unit.Meters()
	return ""
}

func (q *geoQuery) box(width, height, unit []byte) resp.Error {
	w, ok := resp.ParseFloat(width)
	if !ok {
		return resp.ErrBoxWidth
	}
	h, ok := resp.ParseFloat(height)
	switch {
	case !ok:
		return resp.ErrBoxHeight
	case w < 0 || h < 0:
		return resp.ErrBoxNegative
	}
	if q.unit, ok = geo.ParseUnit(unit); !ok {
		return resp.ErrUnit
	}
	q.shape, q.width, q.height = box, w*q.unit.Meters(), h*q.unit.Meters()
	return ""
}

// polygon reads the number of vertices and these, and returns how many
// arguments that are.
func (q *geoQuery) polygon(args [][]byte) (taken int, fail resp.Error) {
	n, ok := resp.ParseInt(args[0])
	switch points := int64(len(args)-1) / 2; {
	case !ok:
		return 0, resp.ErrVertices
	case n < 3 || n > points:
		return 0, resp.ErrFewVertices
	}
	taken = 1 + 2*int(n)
	q.vertices = make([]geo.Point, 0, n)
	for i := 1; i < taken; i += 2 {
		p, _, fail := parsePlace(args[i], args[i+1])
		if fail != "" {
			return 0, fail
		}
		q.vertices = append(q.vertices, p)
	}
	q.shape = polygon
	return taken, ""
}

// geoOptions reads the options.
func (c *Ctx) geoOptions(q *geoQuery) resp.Error {
	for i := q.options; i < len(c.Args); i++ {
		w, rest := c.word(i), c.Args[i+1:]
		if q.switchOn(w) {
			continue
		}
		taken, fail := 0, resp.Error("")
		switch {
		case w == "count" && len(rest) > 0:
			taken, fail = 1, q.counted(rest[0])
		case (w == "store" || w == "storedist") && len(rest) > 0 && q.around() && !q.noStore:
			taken, q.store, q.storeDist = 1, i+1, w == "storedist"
		case !q.around():
			taken, fail = q.searchOption(w, rest)
		default:
			fail = resp.ErrSyntax
		}
		if fail != "" {
			return fail
		}
		i += taken
	}
	return ""
}

// switchOn takes in an option that is a single word.
func (q *geoQuery) switchOn(w string) bool {
	switch {
	case w == "withdist":
		q.withDist = true
	case w == "withhash":
		q.withHash = true
	case w == "withcoord":
		q.withCoord = true
	case w == "any":
		q.any = true
	case w == "asc":
		q.order = upward
	case w == "desc":
		q.order = downward
	case w == "storedist" && q.keyed:
		q.storeDist = true
	default:
		return false
	}
	return true
}

func (q *geoQuery) counted(arg []byte) resp.Error {
	n, ok := resp.ParseInt(arg)
	switch {
	case !ok:
		return resp.ErrNotInt
	case n <= 0:
		return resp.ErrGeoCount
	}
	q.count = n
	return ""
}

// searchOption reads center and shape of GEOSEARCH; the same may be said again.
func (q *geoQuery) searchOption(w string, rest [][]byte) (taken int, fail resp.Error) {
	may := func(arguments int, s geoShape) bool {
		return len(rest) >= arguments && (q.shape == noShape || q.shape == s)
	}
	switch {
	case w == "frommember" && len(rest) >= 1 && q.centered != 'p' && q.shape != polygon:
		q.centered = 'm'
		if q.z == nil {
			return 1, ""
		}
		return 1, q.aroundMember(rest[0])
	case w == "fromlonlat" && len(rest) >= 2 && q.centered != 'm' && q.shape != polygon:
		q.centered = 'p'
		q.center, _, fail = parsePlace(rest[0], rest[1])
		return 2, fail
	case w == "byradius" && may(2, circle):
		return 2, q.circle(rest[0], rest[1])
	case w == "bybox" && may(3, box):
		return 3, q.box(rest[0], rest[1], rest[2])
	case w == "bypolygon" && may(2, polygon) && q.centered == 0:
		return q.polygon(rest)
	}
	return 0, resp.ErrSyntax
}

// check refuses options that do not go together or are missing; command is as
// the client wrote it.
func (q *geoQuery) check(command []byte) resp.Error {
	shows := q.withDist || q.withHash || q.withCoord
	switch {
	case q.store != 0 && shows && q.keyed:
		return resp.ErrStoreOfSearch
	case q.store != 0 && shows:
		return resp.ErrStoreOfRadius
	case !q.around() && q.centered == 0 && q.shape != polygon:
		return resp.GeoFrom(command)
	case !q.around() && q.shape == noShape:
		return resp.GeoBy(command)
	case q.any && q.count == 0:
		return resp.ErrGeoAny
	}
	return ""
}

// search finds the places in the area, in the order asked for, and no more than
// count of them.
func (q *geoQuery) search() []placed {
	area := q.area()
	limit := int64(0)
	if q.any {
		limit = q.count
	}
	var found []placed
	for _, r := range area.Ranges() {
		if limit > 0 && int64(len(found)) >= limit {
			break
		}
		q.z.Ascend(q.z.RankOfScore(r.Min), func(member []byte, score float64) bool {
			if score >= r.Max {
				return false
			}
			at := geo.HashOfScore(score).Point()
			if meters, ok := area.Contains(at); ok {
				found = append(found, placed{member, score, meters, at})
			}
			return limit == 0 || int64(len(found)) < limit
		})
	}
	order := q.order
	if order == anyWay && q.count > 0 && !q.any {
		order = upward
	}
	if order != anyWay {
		slices.SortStableFunc(found, func(a, b placed) int {
			if order == downward {
				a, b = b, a
			}
			return cmp.Compare(a.meters, b.meters)
		})
	}
	if q.count > 0 && q.count < int64(len(found)) {
		found = found[:q.count]
	}
	return found
}

func (q *geoQuery) area() geo.Area {
	switch q.shape {
	case box:
		return geo.Box(q.center, q.width, q.height)
	case polygon:
		return geo.Polygon(q.vertices)
	}
	return geo.Circle(q.center, q.radius)
}

func (c *Ctx) showPlaces(q *geoQuery, found []placed) {
	fields := 1
	for _, with := range []bool{q.withDist, q.withHash, q.withCoord} {
		if with {
			fields++
		}
	}
	c.Out.Array(len(found))
	for i := range found {
		p := &found[i]
		if fields > 1 {
			c.Out.Array(fields)
		}
		c.Out.Bulk(p.member)
		if q.withDist {
			c.distance(p.meters / q.unit.Meters())
		}
		if q.withHash {
			c.Out.Int(int64(geo.HashOfScore(p.score)))
		}
		if q.withCoord {
			c.point(p.at)
		}
	}
}

func (c *Ctx) storePlaces(q *geoQuery, found []placed) {
	var members memberBag
	members.grow(len(found))
	for i := range found {
		score := found[i].score
		if q.storeDist {
			score = found[i].meters / q.unit.Meters()
		}
		members.add(found[i].member, score)
	}
	event := "georadiusstore"
	if q.keyed {
		event = "geosearchstore"
	}
	c.storeMembers(c.Key(q.store), members.list, event)
}
