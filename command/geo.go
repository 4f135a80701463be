package command

import (
	"geocache/engine"
	"geocache/geo"
	"geocache/resp"
)

// Places are members of sorted sets whose scores are geo hashes.

// parsePlace reads a longitude and a latitude that a geo set takes.
func parsePlace(lon, lat []byte) (p geo.Point, h geo.Hash, fail resp.Error) {
	x, ok := resp.ParseFloat(lon)
	y, also := resp.ParseFloat(lat)
	if !ok || !also {
		return p, 0, resp.ErrNotFloat
	}
	p = geo.Point{Lat: y, Lon: x}
	if h, ok = geo.EncodeHash(p); !ok {
		return p, 0, resp.LonLatRange(x, y)
	}
	return p, h, ""
}

func geoAdd(c *Ctx) {
	i, o := 2, scoreOptions(0)
	for ; i < len(c.Args); i++ {
		more := scoreOption(c.word(i))
		if more&(scoreNX|scoreXX|scoreCH) == 0 {
			break
		}
		o |= more
	}
	triples := c.Args[i:]
	if len(triples) == 0 || len(triples)%3 != 0 || o.has(scoreNX|scoreXX) {
		c.Fail(resp.ErrSyntax)
		return
	}
	members := make([]engine.MemberScore, 0, len(triples)/3)
	for j := 0; j < len(triples); j += 3 {
		_, h, fail := parsePlace(triples[j], triples[j+1])
		if fail != "" {
			c.Fail(fail)
			return
		}
		members = append(members, engine.MemberScore{Member: triples[j+2], Score: h.Score()})
	}
	c.putScores(members, o)
}

// place is where a member is.
func place(z *engine.Scored, member []byte) (h geo.Hash, ok bool) {
	score, ok := z.Score(member)
	return geo.HashOfScore(score), ok
}

func geoDist(c *Ctx) {
	unit := geo.Meters
	switch {
	case len(c.Args) > 5:
		c.Fail(resp.ErrSyntax)
		return
	case len(c.Args) == 5:
		u, ok := geo.ParseUnit(c.Args[4])
		if !ok {
			c.Fail(resp.ErrUnit)
			return
		}
		unit = u
	}
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	from, ok := place(z, c.Args[2])
	to, also := place(z, c.Args[3])
	if !ok || !also {
		c.Out.Null()
		return
	}
	c.distance(geo.DistanceMeters(from.Point(), to.Point()) / unit.Meters())
}

// distance replies with a distance in the unit asked for.
func (c *Ctx) distance(d float64) {
	var buf [48]byte
	c.Out.Bulk(resp.AppendDistance(buf[:0], d, c.Out.Compat()))
}

func geoHash(c *Ctx) {
	c.eachPlace(func() { c.Out.Null() }, func(h geo.Hash) {
		var buf [16]byte
		c.Out.Bulk(h.AppendText(buf[:0]))
	})
}

func geoPos(c *Ctx) {
	c.eachPlace(func() { c.Out.NullArray() }, func(h geo.Hash) { c.point(h.Point()) })
}

// eachPlace replies with what show says of the members' places.
func (c *Ctx) eachPlace(missing func(), show func(geo.Hash)) {
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		if h, ok := place(z, member); ok {
			show(h)
		} else {
			missing()
		}
	}
}

// point replies with longitude and latitude.
func (c *Ctx) point(p geo.Point) {
	var buf [48]byte
	c.Out.Array(2)
	c.Out.DoubleText(resp.AppendFixed(buf[:0], p.Lon))
	c.Out.DoubleText(resp.AppendFixed(buf[:0], p.Lat))
}
