package geo

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"time"

	"github.com/hashicorp/serf/coordinate"
)

const (
	coordinateDimensions = 8
	// maxCoordinateError is what a region starts with that has not measured anything.
	maxCoordinateError = 1.5
	// maxCoordinateSeconds bounds every length in a coordinate. A sibling's nonsense may mislead, but not overflow.
	maxCoordinateSeconds = 60

	coordinateVersion = 1
	// CoordinateSize is the length of an encoded Coordinate in bytes.
	CoordinateSize = 1 + 8*(coordinateDimensions+3)
)

// Coordinate is a region's place in the space of round trips. All lengths are seconds; Error is without unit and falls
// from 1.5 as the region learns. It is a value: comparing and copying are safe.
type Coordinate struct {
	Vec        [coordinateDimensions]float64
	Error      float64
	Adjustment float64
	Height     float64
}

// ErrCoordinate is returned for an encoded coordinate that is cut short, of another version, or out of bounds.
var ErrCoordinate = errors.New("geo: malformed network coordinate")

// AppendCoordinate appends the encoding of c, CoordinateSize bytes, to dst.
func AppendCoordinate(dst []byte, c Coordinate) []byte {
	dst = append(dst, coordinateVersion)
	for _, f := range c.fields() {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return dst
}

// ParseCoordinate decodes the coordinate at the front of b and returns what follows it. It keeps nothing of b.
func ParseCoordinate(b []byte) (c Coordinate, rest []byte, err error) {
	if len(b) < CoordinateSize || b[0] != coordinateVersion {
		return Coordinate{}, nil, ErrCoordinate
	}
	var fields [coordinateDimensions + 3]float64
	for i := range fields {
		fields[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[1+8*i:]))
	}
	copy(c.Vec[:], fields[:])
	c.Error, c.Adjustment, c.Height = fields[coordinateDimensions], fields[coordinateDimensions+1], fields[coordinateDimensions+2]
	if !c.valid() {
		return Coordinate{}, nil, ErrCoordinate
	}
	return c, b[CoordinateSize:], nil
}

// PredictRTT estimates the round trip between two regions. ok is false as long as one of them has measured nothing.
func PredictRTT(a, b Coordinate) (rtt time.Duration, ok bool) {
	if !a.trained() || !b.trained() {
		return 0, false
	}
	return a.toSerf().DistanceTo(b.toSerf()), true
}

// trained reports whether any measurement has gone into the coordinate. The zero Coordinate has none.
func (c Coordinate) trained() bool { return c.Height > 0 && c.Error < maxCoordinateError }

// valid refuses NaN and infinities, which compare false, and anything out of bounds.
func (c Coordinate) valid() bool {
	for _, f := range c.fields() {
		if !(math.Abs(f) <= maxCoordinateSeconds) {
			return false
		}
	}
	return c.Error >= 0 && c.Error <= maxCoordinateError && c.Height > 0
}

// fields is the order of the encoding.
func (c Coordinate) fields() [coordinateDimensions + 3]float64 {
	var f [coordinateDimensions + 3]float64
	copy(f[:], c.Vec[:])
	f[coordinateDimensions], f[coordinateDimensions+1], f[coordinateDimensions+2] = c.Error, c.Adjustment, c.Height
	return f
}

func (c Coordinate) toSerf() *coordinate.Coordinate {
	return &coordinate.Coordinate{Vec: c.Vec[:], Error: c.Error, Adjustment: c.Adjustment, Height: c.Height}
}

func fromSerf(s *coordinate.Coordinate) Coordinate {
	c := Coordinate{Error: s.Error, Adjustment: s.Adjustment, Height: s.Height}
	copy(c.Vec[:], s.Vec)
	return c
}

// vivaldi moves the own coordinate as round trips are measured. It is not safe for concurrent use.
type vivaldi struct {
	client *coordinate.Client
	home   Coordinate
}

// newVivaldi starts a short way from the origin, in a direction drawn from the region's name. Regions that all start at
// one point are pushed apart at random by the library, which a run repeated from a seed would not repeat.
func newVivaldi(region string) *vivaldi {
	cfg := coordinate.DefaultConfig()
	cfg.Dimensionality = coordinateDimensions
	cfg.VivaldiErrorMax = maxCoordinateError
	client, err := coordinate.NewClient(cfg)
	if err != nil {
		panic("geo: " + err.Error()) // the configuration above is constant
	}
	home := fromSerf(client.GetCoordinate())
	const spreadSeconds = 1e-3
	hash := fnv.New64a()
	hash.Write([]byte(region))
	for i := range home.Vec {
		hash.Write([]byte{byte(i)})
		home.Vec[i] = spreadSeconds * (float64(hash.Sum64()>>11)/(1<<53) - 0.5)
	}
	v := &vivaldi{client: client, home: home}
	v.goHome()
	return v
}

// observe learns from one round trip to a region with the given coordinate.
func (v *vivaldi) observe(region string, other Coordinate, rtt time.Duration) {
	// The library reports a round trip of zero to global metrics; below a microsecond nothing is to be learnt.
	rtt = max(rtt, time.Microsecond)
	if _, err := v.client.Update(region, other.toSerf(), rtt); err != nil {
		return // beyond the 10 s that the library believes: no measurement of distance
	}
	if !fromSerf(v.client.GetCoordinate()).valid() {
		v.goHome()
	}
}

func (v *vivaldi) coordinate() Coordinate { return fromSerf(v.client.GetCoordinate()) }

func (v *vivaldi) forget(region string) { v.client.ForgetNode(region) }

func (v *vivaldi) goHome() {
	if err := v.client.SetCoordinate(v.home.toSerf()); err != nil {
		panic("geo: " + err.Error()) // home is finite and of the client's dimension
	}
}
