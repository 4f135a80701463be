package geo

import "math"

// MaxGeoLatitude is the highest latitude that a geo set takes, where the square Mercator map ends. Its longitudes are those
// of a Point.
const MaxGeoLatitude = 85.05112878

const (
	// hashSteps is the number of times that a geo set's hash halves either axis.
	hashSteps = 26
	// textLen is the number of characters of a geohash text. The last one stands for bits that a hash does not have.
	textLen      = 11
	textAlphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
)

// Hash is a point of a geo set as its sorted set has it for a score: 26 bits of latitude and 26 of longitude, interleaved.
type Hash uint64

// EncodeHash returns the hash of a point. ok is false for a point outside of what a geo set takes, and for NaN.
func EncodeHash(p Point) (h Hash, ok bool) {
	if !(math.Abs(p.Lat) <= MaxGeoLatitude && math.Abs(p.Lon) <= MaxLongitude) {
		return 0, false
	}
	return Hash(encodeCell(p, geoLimits, hashSteps).bits), true
}

// HashOfScore reads any score as a hash, also one that no GEOADD wrote; it converts as Redis does on x86.
func HashOfScore(score float64) Hash {
	const top = 1 << 63
	switch {
	case math.Abs(score) < top:
		return Hash(int64(score))
	case score >= top && score < 2*top:
		return Hash(uint64(int64(score-top)) ^ top)
	case score > 0:
		return 0
	}
	return top
}

// Score is the hash as a score. It is exact for what EncodeHash returns.
func (h Hash) Score() float64 { return float64(h) }

// Point is the middle of the cell that the hash stands for.
func (h Hash) Point() Point {
	r := cell{bits: uint64(h), step: hashSteps}.rect(geoLimits)
	clamp := func(v, limit float64) float64 { return max(-limit, min(v, limit)) }
	return Point{
		Lat: clamp((r.min.Lat+r.max.Lat)/2, MaxGeoLatitude),
		Lon: clamp((r.min.Lon+r.max.Lon)/2, MaxLongitude),
	}
}

// AppendText appends the geohash text of 11 characters that other systems know. They halve all 180 degrees of latitude, so the
// point is encoded anew.
func (h Hash) AppendText(dst []byte) []byte {
	standard := encodeCell(h.Point(), rect{Point{-90, -180}, Point{90, 180}}, hashSteps).bits
	for i := 1; i < textLen; i++ {
		dst = append(dst, textAlphabet[standard>>(2*hashSteps-5*i)&31])
	}
	return append(dst, textAlphabet[0])
}

// rect is an area between two latitudes and two longitudes.
type rect struct{ min, max Point }

var geoLimits = rect{Point{-MaxGeoLatitude, -MaxLongitude}, Point{MaxGeoLatitude, MaxLongitude}}

// cell is one of the 4^step cells of the map: step bits of latitude (the lower of each pair) and of longitude. A point on the
// northern or eastern edge of the map has one bit more, as in Redis.
type cell struct {
	bits uint64
	step uint8
}

func encodeCell(p Point, limits rect, step uint8) cell {
	size := float64(uint64(1) << step)
	lat := (p.Lat - limits.min.Lat) / (limits.max.Lat - limits.min.Lat) * size
	lon := (p.Lon - limits.min.Lon) / (limits.max.Lon - limits.min.Lon) * size
	return cellAt(uint32(lat), uint32(lon), step)
}

func cellAt(lat, lon uint32, step uint8) cell {
	return cell{bits: spread(lat) | spread(lon)<<1, step: step}
}

// position is the inverse of cellAt.
func (c cell) position() (lat, lon uint32) { return gather(c.bits), gather(c.bits >> 1) }

// rect returns the cell's area. The conversions keep the compiler from fusing operations, which would round otherwise.
func (c cell) rect(limits rect) rect {
	lat, lon := c.position()
	height, width := limits.max.Lat-limits.min.Lat, limits.max.Lon-limits.min.Lon
	size := float64(uint64(1) << c.step)
	return rect{
		min: Point{
			Lat: limits.min.Lat + float64(float64(lat)/size*height),
			Lon: limits.min.Lon + float64(float64(lon)/size*width),
		},
		max: Point{
			Lat: limits.min.Lat + float64(float64(lat+1)/size*height),
			Lon: limits.min.Lon + float64(float64(lon+1)/size*width),
		},
	}
}

// moved returns the cell some cells to the north and east; the map wraps around in both directions.
func (c cell) moved(north, east int) cell {
	lat, lon := c.position()
	mask := uint32(1)<<c.step - 1
	if north != 0 {
		lat = (lat + uint32(north)) & mask
	}
	if east != 0 {
		lon = (lon + uint32(east)) & mask
	}
	return cellAt(lat, lon, c.step)
}

// scores returns the scores of the points in the cell.
func (c cell) scores() ScoreRange {
	shift := 2 * (hashSteps - c.step)
	return ScoreRange{Min: float64(c.bits << shift), Max: float64((c.bits + 1) << shift)}
}

// spread puts the bits of v on the even places of 64.
func spread(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	x = (x | x<<2) & 0x3333333333333333
	return (x | x<<1) & 0x5555555555555555
}

// gather takes the bits on the even places.
func gather(x uint64) uint32 {
	x &= 0x5555555555555555
	x = (x | x>>1) & 0x3333333333333333
	x = (x | x>>2) & 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}
