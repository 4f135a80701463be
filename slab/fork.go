package slab

import "slices"

// Fork shows an arena as it was at one moment, while it goes on changing, as a
// fork of a process shows its memory: a page is copied before the first write
// into it. It is read through Arena, of which only Bytes is of use.
//
// The lock of the arena that it is of is needed until Detach or End.
type Fork struct {
	Arena *Arena
	of    *Arena
	own   []bool // by page: Arena has memory of its own, or nothing that anybody will read
	next  int    // page to be detached

	src  Source
	maps [][]byte // that copies lie in
	room []byte   // what is left of the last
}

// forkMap is how much memory a fork maps for copies at a time, in bytes.
const forkMap = 1 << 20

// Fork begins a fork, to be ended by End and Free. It takes time for each page, but none
// for what is in it. While there is a fork ReleaseSome must not be called.
func (a *Arena) Fork() *Fork {
	f := &Fork{Arena: &Arena{pages: slices.Clone(a.pages)}, of: a, own: make([]bool, len(a.pages)), src: a.src}
	for p := range f.own {
		if pg := &f.Arena.pages[p]; pg.live == 0 {
			pg.mem, f.own[p] = nil, true
		}
	}
	f.Arena.checks.fork(a, f)
	a.forks = append(a.forks, f)
	return f
}

// End ends a fork and whatever was read of it.
func (f *Fork) End() {
	f.Arena.checks.endFork(f)
	f.leave()
	f.Arena.pages = nil
}

// Free gives the memory of a fork that has ended back, without a lock.
func (f *Fork) Free() {
	for _, m := range f.maps {
		f.src.Unmap(m)
	}
	f.maps, f.room = nil, nil
}

// Detach makes a fork independent of its arena, at the cost of copying all that has
// not been.
func (f *Fork) Detach() {
	for !f.DetachSome(1 << 30) {
	}
}

// DetachSome goes on with Detach by about so many bytes, and reports whether that
// was all.
func (f *Fork) DetachSome(bytes int) (done bool) {
	for ; f.next < len(f.own) && bytes > 0; f.next++ {
		if !f.own[f.next] {
			f.keep(uint32(f.next))
			bytes -= f.Arena.pages[f.next].used()
		}
	}
	if f.next < len(f.own) {
		return false
	}
	f.leave()
	return true
}

func (f *Fork) leave() {
	if f.of != nil {
		f.of.forks = slices.DeleteFunc(f.of.forks, func(g *Fork) bool { return g == f })
		f.of = nil
	}
}

// keep copies a page for the fork, if it has not been.
func (f *Fork) keep(p uint32) {
	if int(p) >= len(f.own) || f.own[p] {
		return
	}
	f.own[p] = true
	pg := &f.Arena.pages[p]
	pg.mem = f.copyOf(pg.mem[:pg.used()])
}

func (f *Fork) copyOf(b []byte) []byte {
	if len(b) > len(f.room) {
		m := f.src.Map(max(forkMap, roundUp(len(b), systemPage)))
		f.maps, f.room = append(f.maps, m), m
		if next := roundUp(len(b), systemPage); next < len(m) {
			f.src.Warm(m[next:])
		}
	}
	made := f.room[:len(b):len(b)]
	f.room = f.room[roundUp(len(b), systemPage):]
	copy(made, b)
	return made
}

// used is the part of a page that has been blocks, in bytes.
func (pg *page) used() int {
	if pg.chunk == nil {
		return int(pg.size) // a large block
	}
	return int(pg.fresh) * granuleBytes
}

// Forked reports whether there is a fork.
func (a *Arena) Forked() bool { return len(a.forks) > 0 }

// Writing is to be called before a block is written to that was not allocated
// just now: forks still show what it was.
func (a *Arena) Writing(r Ref) {
	if a.Forked() {
		a.keep(uint32(r >> granuleBits))
	}
}

// keep is called before page p changes.
func (a *Arena) keep(p uint32) {
	for _, f := range a.forks {
		f.keep(p)
	}
}
