// Package slab allocates the blocks that the keyspace lives in, outside the Go
// heap: the collector sees a page table, never the data. It must not know what
// a block holds, nor where page memory comes from (a Source, given by the
// owner). There is nothing unsafe here; all memory is slices of what the
// Source handed out.
//
// The idea. An Arena takes chunks (up to 1 MB) from its Source and cuts them
// into pages of up to 64 KB, each for blocks of one size class. The classes
// stand so close that a block wastes a few bytes, or 6 % above 512 bytes. There
// are many classes and many arenas, and each class has a page that is not full;
// so the more a class holds, the longer its pages are, and a small arena uses
// fewer classes. A Ref is a page number and the block's place in the page in
// 4-byte granules: it stays 32 bits wide, survives the growth of every table,
// and means nothing outside its arena. A block above 32 KB has a mapping and a
// page number of its own.
//
//	Ref  = page number (18 bits) | granule (14 bits)
//	page = blocks handed out once, some free now (linked through their own
//	       first two bytes) | fresh memory, not touched yet
//
// Pages with room hang in lists by how full they are, and Alloc takes the
// fullest: the emptier ones drain by themselves. Where that is not enough, the
// arena picks pages to be emptied, the emptiest first, as long as the other
// pages of the class can take all their blocks and still keep 1/32 free. Such
// a page is sparse: Alloc does not use it until the class has no other room.
// The owner walks its handles and moves the blocks that are Sparse; a move never
// makes another page sparse without a whole page being saved by it, so moving
// ends.
//
// A page without blocks can serve any class. A few of these stay hot, the
// others' memory goes back to the Source by Discard, and a chunk of such pages
// by Unmap. A few large blocks stay likewise: filling new memory from the system
// takes several times as long as copying a value. While an arena grows, the pages
// after the one that fills are made ready by Warm.
//
// Invariants, per class: room is the number of free places in its pages that
// are not sparse, moving the number of blocks in those that are; marking a page
// leaves room >= moving; a page is in the list of its fullness, in that of the
// sparse ones, or full and in none. Over all: LiveBytes <= MappedBytes.
//
// Locks: none. An arena belongs to its owner's lock; arenas share nothing but
// the Source, which must bear concurrent calls.
//
// With the build tag slabdebug, or race, freed memory is filled with a pattern,
// which is checked before the memory is used again, and each Ref is checked
// against the set of live blocks.
package slab

import (
	"encoding/binary"
	"math"
)

// Ref names a block of an Arena. 0 is none.
type Ref uint32

// Source gives page memory. Its methods are called by many arenas at once.
type Source interface {
	// Map returns zeroed memory, aligned to the system's pages. It does not
	// fail: a system that has no memory left ends the process.
	Map(bytes int) []byte
	// Discard gives the physical memory of p back; p stays usable, its contents
	// are undefined. p is a part of a mapping, aligned to 4 KB.
	Discard(p []byte)
	// Warm asks for physical memory for p, which is about to be used, in its own
	// time; p may be in use already, or discarded or unmapped.
	Warm(p []byte)
	// Unmap ends a mapping that Map returned.
	Unmap(p []byte)
}

const (
	granuleBytes = 4
	granuleBits  = 14
	pageBytes    = granuleBytes << granuleBits
	maxPages     = 1 << (32 - granuleBits)
	chunkPages   = 16
	systemPage   = 4096
	maxBlock     = 1 << 30
)

// pools is how many lengths pages have: the multiples of the system's page.
const pools = pageBytes / systemPage

// pageCost is what a page costs in bytes beside its memory: its entry in the
// table, and its part in the work.
const pageCost = 256

// The lists of a class: pages by fullness in eighths, then the sparse ones. A
// full page is in no list.
const (
	fills  = 8
	sparse = fills
	full   = fills + 1
	lists  = fills + 1
)

// page is a page, a large block, or a number not in use.
type page struct {
	mem   []byte
	chunk *chunk // nil: a large block of its own mapping, or a number not in use
	// size is a block's, in bytes; 0 while the page has no class. Of an idle
	// large block it is the part that has memory.
	size       uint32
	next, prev uint32 // neighbours in the page's list, by number
	live       uint16 // blocks
	capacity   uint16 // blocks the page has place for
	free       uint16 // granule of the first free block, plus one; 0: none
	fresh      uint16 // granule from which no block was handed out yet
	touched    uint16 // granule from which memory was not used since Map or Discard
	low, high  uint16 // the page changes lists when live falls below low or reaches high
	class      uint8
	list       uint8
}

// pool holds the pages of one length that have no class.
type pool struct {
	hot, cold uint32 // lists; the cold pages are discarded
	coldPages int
	usedPages int // pages of this length with a class
}

// chunk is memory got in one piece and cut into pages.
type chunk struct {
	pool    *pool
	mem     []byte
	numbers []uint32 // of its pages
	used    int      // pages that have a class
}

// warmPages are the cold pages numbers[next:end] of a chunk.
type warmPages struct {
	chunk     *chunk
	next, end int
}

type class struct {
	current uint32 // the fullest page with room; 0: none
	heads   [lists]uint32
	room    int64
	moving  int64
	places  int64 // in all its pages
}

// Arena is a set of blocks. Use New.
type Arena struct {
	src     Source
	pages   []page   // by number; number 0 is not used
	numbers []uint32 // numbers below len(pages) that name nothing
	classes []class  // up to the largest class ever used
	open    int      // classes that have pages

	pools    [pools]pool // of pages of 1, 2, ... system pages
	hotBytes int64       // of the hot pages

	idle                  []uint32 // freed large blocks kept for reuse, the oldest first
	idleBytes, largeBytes int64    // of these; of the live large blocks

	liveBytes, mappedBytes, sparseBytes int64
	// At the last page that was taken when there were more than ever.
	mostMapped int64
	grewIn     *pool
	warm       warmPages
	blocks     int
	forks      []*Fork
	checks     checks
}

// New returns an empty arena, which holds no memory of src yet.
func New(src Source) *Arena { return &Arena{src: src} }

// LiveBytes is the sum of the class sizes of the live blocks.
func (a *Arena) LiveBytes() int64 { return a.liveBytes }

// MappedBytes is the memory that the arena keeps from the system: the pages'
// used parts (memory that was mapped but never used costs nothing and is not
// counted) and the large blocks.
func (a *Arena) MappedBytes() int64 { return a.mappedBytes }

// Blocks is the number of live blocks.
func (a *Arena) Blocks() int { return a.blocks }

// SparseBytes is the sum of the class sizes of the blocks for which Sparse is
// true; while it is 0 a mover has nothing to do.
func (a *Arena) SparseBytes() int64 { return a.sparseBytes }

// Alloc returns a new block of at least n bytes, 1 <= n <= 1<<30, with
// undefined contents. It panics when all page numbers are taken: some 10 GB of
// blocks up to 32 KB, more of large ones.
func (a *Arena) Alloc(n int) Ref {
	if n > maxSmall {
		return a.allocLarge(n)
	}
	k := classOf(n)
	if k >= len(a.classes) || a.classes[k].current == 0 {
		k = a.choose(k)
	}
	return a.allocSmall(k)
}

// allocSmall returns a new block of class k.
func (a *Arena) allocSmall(k int) Ref {
	if k >= len(a.classes) {
		a.classes = append(a.classes, make([]class, k+1-len(a.classes))...)
	}
	c := &a.classes[k]
	p := c.current
	if p == 0 {
		p = a.refill(k)
	}
	if a.Forked() {
		a.keep(p)
	}
	pg := &a.pages[p]
	var at uint16
	if pg.free != 0 {
		at = pg.free - 1
		pg.free = binary.LittleEndian.Uint16(pg.mem[int(at)*granuleBytes:])
		a.checks.reuse(pg, at)
	} else {
		at = pg.fresh
		pg.fresh += uint16(pg.size / granuleBytes)
		if pg.fresh > pg.touched {
			a.touch(pg)
		}
	}
	pg.live++
	c.room--
	a.blocks++
	a.liveBytes += int64(pg.size)
	r := Ref(p<<granuleBits | uint32(at))
	a.checks.alloc(r)
	if pg.live == pg.high {
		a.relist(p)
	}
	return r
}

// Bytes returns the whole block, which is at least as long as was asked for:
// ClassSize of that. The slice is valid until the block is freed or the arena
// released.
func (a *Arena) Bytes(r Ref) []byte {
	pg := &a.pages[r>>granuleBits]
	at := uint32(r) % (1 << granuleBits) * granuleBytes
	a.checks.use(r)
	return pg.mem[at : at+pg.size : at+pg.size]
}

// Free ends a block. It panics for a Ref that cannot be a live block's.
func (a *Arena) Free(r Ref) {
	p, at := uint32(r>>granuleBits), uint16(r%(1<<granuleBits))
	pg := &a.pages[p]
	if pg.chunk == nil {
		a.freeLarge(r)
		return
	}
	if pg.live == 0 || at >= pg.fresh {
		panic("slab: free of a block that is not live")
	}
	a.Writing(r)
	a.checks.free(pg, r)
	binary.LittleEndian.PutUint16(pg.mem[int(at)*granuleBytes:], pg.free)
	pg.free = at + 1
	pg.live--
	a.blocks--
	a.liveBytes -= int64(pg.size)
	c := &a.classes[pg.class]
	if pg.list == sparse {
		c.moving--
		a.sparseBytes -= int64(pg.size)
	} else {
		c.room++
	}
	if pg.live < pg.low {
		a.shrunk(p)
	}
}

// Sparse reports whether r lies in a page that a mover should empty: the other
// pages of its class have room for all its blocks. The next Alloc of the same
// size gives a place that is not sparse.
func (a *Arena) Sparse(r Ref) bool { return a.pages[r>>granuleBits].list == sparse }

// Move copies a block that is Sparse to a place of the same size that is not,
// frees it, and returns the new block.
func (a *Arena) Move(r Ref) Ref {
	made := a.allocSmall(int(a.pages[r>>granuleBits].class))
	copy(a.Bytes(made), a.Bytes(r))
	a.Free(r)
	return made
}

// unmapCost is what an Unmap counts for in ReleaseSome, in bytes: it is a system
// call, even where no memory is left to give back.
const unmapCost = 32 << 10

// ReleaseSome gives pages back until about so many bytes are gone, or as much
// work done, and reports whether that was all: the arena is empty then and can
// be used again. Once it was called, only it and MappedBytes are of use until it
// has.
func (a *Arena) ReleaseSome(bytes int64) (done bool) {
	if a.Forked() {
		panic("slab: release of an arena that has forks")
	}
	for len(a.pages) > 0 && bytes > 0 {
		last := len(a.pages) - 1
		pg := &a.pages[last]
		gone := int64(0)
		switch {
		case pg.chunk == nil && pg.mem != nil:
			gone = int64(pg.size)
			bytes -= unmapCost
			a.src.Unmap(pg.mem)
		case pg.chunk != nil:
			gone = int64(pg.touched) * granuleBytes
			if pg.chunk.numbers[0] == uint32(last) {
				bytes -= unmapCost
				a.src.Unmap(pg.chunk.mem)
			}
		}
		a.mappedBytes -= gone
		bytes -= gone
		a.pages = a.pages[:last]
	}
	if len(a.pages) > 0 {
		return false
	}
	*a = Arena{src: a.src}
	return true
}

// number takes a page number that names nothing.
func (a *Arena) number() uint32 {
	if n := len(a.numbers); n > 0 {
		p := a.numbers[n-1]
		a.numbers = a.numbers[:n-1]
		return p
	}
	if len(a.pages) == 0 {
		a.pages = append(a.pages, page{})
	}
	if len(a.pages) == maxPages {
		panic("slab: arena is full")
	}
	a.pages = append(a.pages, page{})
	return uint32(len(a.pages) - 1)
}

// touch accounts for the memory up to the page's fresh mark.
func (a *Arena) touch(pg *page) {
	was := pg.touched
	pg.touched = uint16(roundUp(int(pg.fresh), systemPage/granuleBytes))
	a.mappedBytes += int64(pg.touched-was) * granuleBytes
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// never is a limit that live does not reach.
const never = math.MaxUint16
