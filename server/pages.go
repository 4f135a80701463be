//go:build linux && !race

package server

import (
	"sync"

	"golang.org/x/sys/unix"

	"geocache/slab"
)

// pages returns the memory that the keyspace lives in: mapped from the system,
// unknown to the Go heap.
func pages() slab.Source {
	m := &mappings{idle: map[int][][]byte{}, cold: make(chan []byte, warmPages)}
	go m.warm()
	return m
}

// warmPages is how many may wait to be made ready; more are left cold.
const warmPages = 256

// Warm implements slab.Source.
func (m *mappings) Warm(p []byte) {
	select {
	case m.cold <- p:
	default:
	}
}

func (m *mappings) warm() {
	for p := range m.cold {
		_ = unix.Madvise(p, unix.MADV_POPULATE_WRITE) // else it is done when p is used
	}
}

const (
	rangeUnit   = 64 << 10 // lengths of ranges are multiples of it
	regionBytes = 64 << 20
	// ownMapping is the length from which a range is a mapping of its own.
	ownMapping = 4 << 20
)

// mappings is anonymous memory. The kernel allows a process some 65,000
// mappings, and the Go heap needs some of them; so shorter ranges are cut out of
// regions that stay mapped: a range that is given back loses its memory, and its
// addresses wait for the next Map of the same length. Addresses so kept cost
// nothing else, and are never more than were in use at once of each length.
type mappings struct {
	mu     sync.Mutex // guards all below; nothing slow is done under it
	region []byte     // the rest of the newest region
	idle   map[int][][]byte
	cold   chan []byte // pages to be made ready
	// doomed are mappings that wait for sweep. To unmap half a gigabyte takes
	// tens of milliseconds, and the caller holds a shard.
	doomed   [][]byte
	sweeping bool
}

// Map implements slab.Source. The capacity of the result is the whole range.
func (m *mappings) Map(bytes int) []byte {
	length := (bytes + rangeUnit - 1) / rangeUnit * rangeUnit
	if length >= ownMapping {
		return mapAnonymous(length)[:bytes]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if idle := m.idle[length]; len(idle) > 0 {
		p := idle[len(idle)-1]
		m.idle[length] = idle[:len(idle)-1]
		return p[:bytes]
	}
	if len(m.region) < length {
		m.abandonRegion()
		m.region = mapAnonymous(regionBytes)
	}
	p := m.region[:bytes:length]
	m.region = m.region[length:]
	return p
}

// abandonRegion makes ranges of one unit of what is left of the region.
func (m *mappings) abandonRegion() {
	for len(m.region) > 0 {
		m.idle[rangeUnit] = append(m.idle[rangeUnit], m.region[:rangeUnit:rangeUnit])
		m.region = m.region[rangeUnit:]
	}
}

// Discard implements slab.Source; the memory is zero afterwards.
func (m *mappings) Discard(p []byte) {
	if len(p) == 0 {
		return
	}
	if err := unix.Madvise(p, unix.MADV_DONTNEED); err != nil {
		clear(p) // memory locked by the system's administrator stays
	}
}

// Unmap implements slab.Source.
func (m *mappings) Unmap(p []byte) {
	p = p[:cap(p)]
	if len(p) < ownMapping {
		m.Discard(p)
		m.mu.Lock()
		m.idle[len(p)] = append(m.idle[len(p)], p)
		m.mu.Unlock()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doomed = append(m.doomed, p)
	if !m.sweeping {
		m.sweeping = true
		go m.sweep()
	}
}

// sweep unmaps until nothing is left to unmap.
func (m *mappings) sweep() {
	for {
		m.mu.Lock()
		doomed := m.doomed
		m.doomed = nil
		m.sweeping = len(doomed) > 0
		m.mu.Unlock()
		if len(doomed) == 0 {
			return
		}
		for _, p := range doomed {
			if err := unix.Munmap(p); err != nil {
				panic("server: unmap: " + err.Error())
			}
		}
	}
}

// mapAnonymous maps memory, or ends the process, as the Go heap does when the
// system has none left.
func mapAnonymous(length int) []byte {
	p, err := unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		panic("server: out of memory: " + err.Error())
	}
	// Huge pages would undo Discard. A kernel without them refuses, which is as well.
	_ = unix.Madvise(p, unix.MADV_NOHUGEPAGE)
	return p
}
