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
	return &mappings{idle: map[int][][]byte{}, doomed: chores{do: unmap}, cold: chores{do: warm}}
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
	mu     sync.Mutex // guards region and idle; nothing slow is done under it
	region []byte     // the rest of the newest region
	idle   map[int][][]byte

	// Unmapping half a gigabyte takes tens of milliseconds, the first use of a
	// page at times ten, and the caller holds a shard.
	doomed, cold chores
}

// chores are what a goroutine of their own does to memory, which ends with them.
type chores struct {
	do func([]byte)

	mu   sync.Mutex
	list [][]byte
	busy bool // there is the goroutine
}

// add leaves p to the goroutine, unless so many wait already; 0 is any number.
func (c *chores) add(p []byte, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if most > 0 && len(c.list) >= most {
		return
	}
	c.list = append(c.list, p)
	if !c.busy {
		c.busy = true
		go c.run()
	}
}

func (c *chores) run() {
	for {
		c.mu.Lock()
		list := c.list
		c.list = nil
		c.busy = len(list) > 0
		c.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, p := range list {
			c.do(p)
		}
	}
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
	m.doomed.add(p, 0)
}

func unmap(p []byte) {
	if err := unix.Munmap(p); err != nil {
		panic("server: unmap: " + err.Error())
	}
}

// warmPages is how many may wait to be made ready; more are left cold.
const warmPages = 256

// Warm implements slab.Source.
func (m *mappings) Warm(p []byte) { m.cold.add(p, warmPages) }

func warm(p []byte) {
	_ = unix.Madvise(p, unix.MADV_POPULATE_WRITE) // else it is done when p is used
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
