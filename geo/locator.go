package geo

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// ErrDatabase is wrapped by every error of NewLocator.
var ErrDatabase = errors.New("not a usable GeoIP database")

// Locator finds the place of an internet address in a MaxMind-format city database.
type Locator struct{ db *maxminddb.Reader }

// NewLocator reads a database. It keeps db and reads from it later, so the caller must not change it.
func NewLocator(db []byte) (*Locator, error) {
	reader, err := maxminddb.OpenBytes(db)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	return &Locator{reader}, nil
}

// Locate is the place of an address; ok is false if the database does not know it.
func (l *Locator) Locate(addr netip.Addr) (p Point, ok bool) {
	if !addr.IsValid() {
		return Point{}, false
	}
	var record struct {
		Location struct {
			Lat *float64 `maxminddb:"latitude"`
			Lon *float64 `maxminddb:"longitude"`
		} `maxminddb:"location"`
	}
	if err := l.db.Lookup(addr.Unmap().WithZone("")).Decode(&record); err != nil {
		return Point{}, false
	}
	if record.Location.Lat == nil || record.Location.Lon == nil {
		return Point{}, false
	}
	p = Point{Lat: *record.Location.Lat, Lon: *record.Location.Lon}
	if p.Validate() != nil {
		return Point{}, false
	}
	return p, true
}
