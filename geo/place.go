// Package geo knows where things are and how far apart: places on the globe, the directory of a deployment's regions
// with their health and round trips, the ranking behind CLOSEST, and the arithmetic of geo sets.
//
// Nouns: a [Point] is a place on the globe; a [Member] is a region as configured; a [Region] is a member with what is
// known of it at one moment; a [Snapshot] holds all regions of that moment and ranks them; the [Directory] is fed with
// observations and publishes snapshots; a [Coordinate] is a region's place in the space of round trips (Vivaldi), from
// which pairs are predicted that nobody measured; a [Locator] finds the place of an address in a MaxMind database; a [Hash]
// is a point as a sorted set holds it, an [Area] what GEOSEARCH searches.
//
// It must not know sockets, links, frames or commands: samples, times and bytes come in as arguments, and client-visible
// texts are made elsewhere from its typed errors. Times are milliseconds of one clock, that of the caller.
//
// Invariants: a snapshot never changes. A region goes up or down only on several samples. Everything a sibling reports is
// bounded and finite before it is stored.
//
// Locks: Directory.mu guards what is observed and is held for the few microseconds of a change; readers take no lock, they
// load the current snapshot. Snapshots, Points, Coordinates and the Locator may be shared freely.
package geo

import (
	"fmt"
	"math"
)

// earthRadiusMeters is the radius Redis' geo commands use, so that CLOSEST and GEODIST agree.
const earthRadiusMeters = 6372797.560856

// Limits of a Point, in degrees.
const (
	MaxLatitude  = 90
	MaxLongitude = 180
)

// Point is a place on the globe in degrees, north and east positive. Unlike Redis' geo sets it may be at a pole.
type Point struct{ Lat, Lon float64 }

// RangeError says which coordinate of a Point lies outside -Limit..Limit. NaN and infinities do.
type RangeError struct {
	Argument string // "latitude" or "longitude"
	Value    float64
	Limit    float64
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("%s %v is outside -%v..%v", e.Argument, e.Value, e.Limit, e.Limit)
}

// Validate returns a *RangeError for the first coordinate out of range.
func (p Point) Validate() error {
	if !(math.Abs(p.Lat) <= MaxLatitude) {
		return &RangeError{Argument: "latitude", Value: p.Lat, Limit: MaxLatitude}
	}
	if !(math.Abs(p.Lon) <= MaxLongitude) {
		return &RangeError{Argument: "longitude", Value: p.Lon, Limit: MaxLongitude}
	}
	return nil
}

// DistanceKm is DistanceMeters in kilometers.
func DistanceKm(a, b Point) float64 { return DistanceMeters(a, b) / 1000 }

// DistanceMeters is the great-circle distance between two valid points (haversine on Redis' sphere). It is exactly symmetric.
func DistanceMeters(a, b Point) float64 {
	latA, latB := radians(a.Lat), radians(b.Lat)
	u := sin((latB - latA) / 2)
	v := sin((radians(b.Lon) - radians(a.Lon)) / 2)
	h := float64(u*u) + float64(cos(latA)*cos(latB)*v*v) // not fused, for the same digits everywhere
	return 2 * earthRadiusMeters * asin(math.Sqrt(min(h, 1)))
}

func radians(degrees float64) float64 { return degrees * (math.Pi / 180) }
