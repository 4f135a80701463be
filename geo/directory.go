package geo

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxRegions bounds a directory, its own region included.
	MaxRegions = 128
	// maxRTT is the longest round trip that is taken for one.
	maxRTT = time.Minute
	// rttWeight is what one sample changes in a smoothed round trip, as in TCP.
	rttWeight = 1.0 / 8
)

// Errors of the Directory. They are broken calls or broken siblings, not texts for clients.
var (
	ErrUnknownRegion  = errors.New("geo: no such region")
	ErrTooManyRegions = errors.New("geo: too many regions")
	ErrSelf           = errors.New("geo: not possible for the own region")
	ErrState          = errors.New("geo: this state is observed, not declared")
	ErrRTT            = errors.New("geo: round trip out of range")
)

// Member is a region as the configuration or a membership change names it.
type Member struct {
	Name     string
	Endpoint string // host:port that clients are told
	Point    Point  // valid only if Located
	Located  bool
}

// Directory is the one writable view of a deployment's regions. All methods may be called concurrently.
type Directory struct {
	current atomic.Pointer[Snapshot]

	mu struct {
		sync.Mutex
		members  map[string]*member
		reported map[pair]time.Duration // replaced, never changed: snapshots share it
		network  *vivaldi
		tickMs   int64 // of the last Tick
		ticked   bool
	}
	self string
}

type member struct {
	Member
	health    health
	condition State // Up, or what the node declared
	drain     Drain

	rttMs         float64 // smoothed, from here; Unknown before the first
	lagMs         int64   // Unknown before the first
	coordinate    Coordinate
	hasCoordinate bool
}

// pair is a measured direction between two regions.
type pair struct{ from, to string }

// NewDirectory makes the directory of the region self, which is up, and alone at first.
func NewDirectory(self Member) (*Directory, error) {
	d := &Directory{self: self.Name}
	d.mu.members = map[string]*member{}
	d.mu.network = newVivaldi(self.Name)
	if err := d.Put(self); err != nil {
		return nil, err
	}
	return d, nil
}

// Load is the present state of all regions. It takes no lock.
func (d *Directory) Load() *Snapshot { return d.current.Load() }

// Put adds a member, or gives the one of that name a new endpoint and place. It returns a *RangeError for a bad place.
func (d *Directory) Put(m Member) error {
	if m.Located {
		if err := m.Point.Validate(); err != nil {
			return err
		}
	} else {
		m.Point = Point{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.mu.members[m.Name]; ok {
		old.Member = m
	} else {
		if len(d.mu.members) >= MaxRegions {
			return ErrTooManyRegions
		}
		added := &member{Member: m, health: newHealth(), condition: Up, rttMs: Unknown, lagMs: Unknown}
		if m.Name == d.self {
			added.health.state, added.rttMs, added.lagMs = Up, 0, 0
		}
		d.mu.members[m.Name] = added
	}
	d.publish()
	return nil
}

// Remove forgets a member and all that was measured of it. The own region stays.
func (d *Directory) Remove(name string) error {
	if name == d.self {
		return ErrSelf
	}
	return d.change(name, func(*member) error {
		delete(d.mu.members, name)
		d.mu.network.forget(name)
		kept := maps.Clone(d.mu.reported)
		maps.DeleteFunc(kept, func(p pair, _ time.Duration) bool { return p.from == name || p.to == name })
		d.mu.reported = kept
		return nil
	})
}

// Observe takes one sample of the link to a sibling. rtt and lagMs count only with OK; an rtt of 0 or a lagMs of Unknown
// means that this sample did not measure it. nowMs comes from the clock that Tick uses.
func (d *Directory) Observe(name string, o Outcome, rtt time.Duration, lagMs, nowMs int64) error {
	if name == d.self {
		return ErrSelf
	}
	if rtt < 0 || rtt > maxRTT {
		return ErrRTT
	}
	return d.change(name, func(m *member) error {
		m.health.observe(o, nowMs)
		if o != OK {
			return nil
		}
		if lagMs >= 0 {
			m.lagMs = lagMs
		}
		if rtt == 0 {
			return nil
		}
		sampleMs := toMs(rtt)
		if m.rttMs == Unknown {
			m.rttMs = sampleMs
		}
		m.rttMs += (sampleMs - m.rttMs) * rttWeight
		if m.hasCoordinate {
			d.mu.network.observe(name, m.coordinate, rtt)
		}
		return nil
	})
}

// Tick declares down what has been silent too long. It is due about once a second; after a pause of several seconds,
// which can only be the caller's own, the silence meanwhile does not count.
func (d *Directory) Tick(nowMs int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	skippedMs := int64(0)
	if gapMs := nowMs - d.mu.tickMs; d.mu.ticked && (gapMs < 0 || gapMs >= clockGapMs) {
		skippedMs = gapMs
	}
	d.mu.tickMs, d.mu.ticked = nowMs, true
	changed := false
	for name, m := range d.mu.members {
		if name == d.self {
			continue
		}
		was := m.health.state
		m.health.tick(nowMs, skippedMs)
		changed = changed || m.health.state != was
	}
	if changed {
		d.publish()
	}
}

// SetState declares a region's condition: Up (nothing special), Syncing, Full, Clock or Suspended. It shows while the
// region answers and is not draining.
func (d *Directory) SetState(name string, s State) error {
	if !s.condition() {
		return ErrState
	}
	return d.change(name, func(m *member) error {
		m.condition = s
		return nil
	})
}

// SetDrain takes a region out of the answers, or back in.
func (d *Directory) SetDrain(name string, drain Drain) error {
	return d.change(name, func(m *member) error {
		m.drain = drain
		return nil
	})
}

// SetCoordinate stores the coordinate that a sibling sent.
func (d *Directory) SetCoordinate(name string, c Coordinate) error {
	if name == d.self {
		return ErrSelf
	}
	if !c.valid() {
		return ErrCoordinate
	}
	return d.change(name, func(m *member) error {
		m.coordinate, m.hasCoordinate = c, true
		return nil
	})
}

// Coordinate is the own region's, to be sent to siblings.
func (d *Directory) Coordinate() Coordinate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.network.coordinate()
}

// ObserveMatrix stores the round trip from one region to another as the region from reported it.
func (d *Directory) ObserveMatrix(from, to string, rtt time.Duration) error {
	if from == d.self || from == to {
		return ErrSelf
	}
	if rtt <= 0 || rtt > maxRTT {
		return ErrRTT
	}
	return d.change(from, func(*member) error {
		if d.mu.members[to] == nil {
			return ErrUnknownRegion
		}
		reported := maps.Clone(d.mu.reported)
		if reported == nil {
			reported = map[pair]time.Duration{}
		}
		reported[pair{from, to}] = rtt
		d.mu.reported = reported
		return nil
	})
}

// change applies f to a member under the lock and publishes the result.
func (d *Directory) change(name string, f func(*member) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.mu.members[name]
	if !ok {
		return ErrUnknownRegion
	}
	if err := f(m); err != nil {
		return err
	}
	d.publish()
	return nil
}

// publish replaces the snapshot. The caller holds mu.
func (d *Directory) publish() {
	own := d.mu.members[d.self]
	own.coordinate, own.hasCoordinate = d.mu.network.coordinate(), true
	regions := make([]Region, 0, len(d.mu.members))
	for _, m := range d.mu.members {
		regions = append(regions, m.region(d.self))
	}
	slices.SortFunc(regions, func(a, b Region) int { return strings.Compare(a.Name, b.Name) })
	d.current.Store(&Snapshot{self: d.self, regions: regions, reported: d.mu.reported})
}

func (m *member) region(self string) Region {
	return Region{
		Member: m.Member, Self: m.Name == self, State: m.state(), RTTMs: m.rttMs, LagMs: m.lagMs,
		coordinate: m.coordinate, hasCoordinate: m.hasCoordinate,
	}
}

// state is the worst that is known: no answer, then drained, then what the node declared.
func (m *member) state() State {
	switch {
	case m.health.state != Up:
		return m.health.state
	case m.drain == DrainOn:
		return Draining
	default:
		return m.condition
	}
}

func toMs(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
