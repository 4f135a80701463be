package geo

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Unknown stands for a distance, round trip or lag that nobody knows.
const Unknown = -1

// Region is a member and what the own region knew of it when the snapshot was taken.
type Region struct {
	Member
	Self  bool
	State State
	RTTMs float64 // round trip from the own region, smoothed; last known if it is down; 0 for itself; or Unknown
	LagMs int64   // replication lag towards it, last known; 0 for itself; or Unknown

	coordinate    Coordinate
	hasCoordinate bool
}

// Snapshot is all regions at one moment. It never changes.
type Snapshot struct {
	self     string
	regions  []Region // by name
	reported map[pair]time.Duration
}

// Regions are all regions, by name. The slice belongs to the snapshot and is only to be read.
func (s *Snapshot) Regions() []Region { return s.regions }

// Get finds a region by name.
func (s *Snapshot) Get(name string) (Region, bool) {
	i, ok := s.find(name)
	if !ok {
		return Region{}, false
	}
	return s.regions[i], true
}

// Self is the own region.
func (s *Snapshot) Self() Region {
	r, _ := s.Get(s.self)
	return r
}

// RTTMs is the round trip between two regions: measured from here, else as one of the two reported it, else predicted,
// else Unknown. A region is 0 from itself.
func (s *Snapshot) RTTMs(from, to string) float64 {
	f, fromOK := s.find(from)
	t, toOK := s.find(to)
	if !fromOK || !toOK {
		return Unknown
	}
	return s.rttMs(&s.regions[f], &s.regions[t])
}

func (s *Snapshot) rttMs(from, to *Region) float64 {
	switch {
	case from.Name == to.Name:
		return 0
	case from.Self && to.RTTMs != Unknown:
		return to.RTTMs
	case to.Self && from.RTTMs != Unknown:
		return from.RTTMs
	}
	if rtt, ok := s.reported[pair{from.Name, to.Name}]; ok {
		return toMs(rtt)
	}
	if rtt, ok := s.reported[pair{to.Name, from.Name}]; ok {
		return toMs(rtt)
	}
	if from.hasCoordinate && to.hasCoordinate {
		if rtt, ok := PredictRTT(from.coordinate, to.coordinate); ok {
			return toMs(rtt)
		}
	}
	return Unknown
}

func (s *Snapshot) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.regions, name, func(r Region, name string) int { return strings.Compare(r.Name, name) })
}

// Order is what CLOSEST ranks by.
type Order uint8

const (
	// ByDistance ranks by great-circle distance from the point.
	ByDistance Order = iota
	// ByRTT ranks by round trip from the region nearest the point.
	ByRTT
)

// Query is one CLOSEST.
type Query struct {
	Point    Point // valid; used only if Located
	Located  bool  // false: the question is asked from where the own region is
	By       Order
	MaxLagMs int64 // regions further behind, or with unknown lag, or down, are left out; 0: no limit
	Count    int   // at most so many answers; 0: all
}

// Ranked is one answer. Each number may be Unknown.
type Ranked struct {
	Name       string
	Endpoint   string
	DistanceKm float64
	RTTMs      float64 // from the region nearest the point
	LagMs      int64
	State      State
}

// Rank answers a Query, best first. Regions that are up exclude all others; those that answer but are syncing, full, out
// of time or suspended exclude the draining, and these the unreachable ones. So when all are down the nearest comes
// first regardless. Unknown distances and round trips come last, ties in order of name. The result is empty if
// MaxLagMs leaves nothing, or for a point that is none.
func (s *Snapshot) Rank(q Query) []Ranked {
	if q.Located && q.Point.Validate() != nil {
		return nil
	}
	base := s.nearest(q)
	best := worstTier
	ranked := make([]Ranked, 0, len(s.regions))
	for i := range s.regions {
		r := &s.regions[i]
		tier := r.State.tier()
		if tier > best || !r.within(q.MaxLagMs) {
			continue
		}
		if tier < best {
			best, ranked = tier, ranked[:0]
		}
		ranked = append(ranked, Ranked{
			Name: r.Name, Endpoint: r.Endpoint, DistanceKm: s.distanceKm(q, r), RTTMs: s.rttMs(base, r), LagMs: r.LagMs, State: r.State,
		})
	}
	slices.SortStableFunc(ranked, func(a, b Ranked) int { return compareRanked(q.By, a, b) })
	if q.Count > 0 && len(ranked) > q.Count {
		ranked = ranked[:q.Count]
	}
	return ranked
}

// nearest is the region that stands for the point in questions of round trip, whatever its state.
func (s *Snapshot) nearest(q Query) *Region {
	i, _ := s.find(s.self)
	if !q.Located {
		return &s.regions[i]
	}
	best, bestKm := &s.regions[i], float64(Unknown)
	for i := range s.regions {
		km := s.distanceKm(q, &s.regions[i])
		if km != Unknown && (bestKm == Unknown || km < bestKm) {
			best, bestKm = &s.regions[i], km
		}
	}
	return best
}

func (s *Snapshot) distanceKm(q Query, r *Region) float64 {
	from := q.Point
	if !q.Located {
		self := s.Self()
		if r.Self {
			return 0
		}
		if !self.Located {
			return Unknown
		}
		from = self.Point
	}
	if !r.Located {
		return Unknown
	}
	return DistanceKm(from, r.Point)
}

// within reports whether a limit of lag keeps the region. What is down applies nothing, so its last lag is no lag.
func (r *Region) within(maxLagMs int64) bool {
	if maxLagMs == 0 {
		return true
	}
	answers := r.State != Down && r.State != Connecting
	return answers && r.LagMs != Unknown && r.LagMs <= maxLagMs
}

// compareRanked orders by the wanted measure, then, for round trips, by distance where the first is unknown to both, then
// by name.
func compareRanked(by Order, a, b Ranked) int {
	if by == ByRTT {
		if c := compareKnown(a.RTTMs, b.RTTMs); c != 0 {
			return c
		}
		if a.RTTMs != Unknown {
			return strings.Compare(a.Name, b.Name)
		}
	}
	if c := compareKnown(a.DistanceKm, b.DistanceKm); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// compareKnown puts Unknown behind every number.
func compareKnown(a, b float64) int {
	if (a == Unknown) != (b == Unknown) {
		return cmp.Compare(b, a) // the unknown one, being negative, goes last
	}
	return cmp.Compare(a, b)
}
