//go:build slabdebug || race

package slab

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
)

// poison is what freed memory is filled with.
const poison = 0xDB

// linkBytes at the start of a free block belong to its page's free list.
const linkBytes = 2

// checks knows the live blocks and finds writes to freed ones.
type checks struct {
	live map[Ref]struct{}
	// was is what a fork's pages held when it began.
	was [][]byte
}

// alloc is called with each new block.
func (c *checks) alloc(r Ref) {
	if c.live == nil {
		c.live = map[Ref]struct{}{}
	}
	if _, ok := c.live[r]; ok {
		panic("slab: a live block was handed out again")
	}
	c.live[r] = struct{}{}
}

// reuse is called with a block of the free list, or an idle large one, that is
// about to be handed out.
func (c *checks) reuse(pg *page, at uint16) { checkPoison(blockOf(pg, Ref(at))) }

// use is called with every Ref whose bytes are asked for.
func (c *checks) use(r Ref) {
	if _, ok := c.live[r]; !ok {
		panic("slab: use of a block that is not live")
	}
}

func (c *checks) free(pg *page, r Ref) {
	c.use(r)
	delete(c.live, r)
	block := blockOf(pg, r)
	for i := range block {
		block[i] = poison
	}
}

// retire is called with a page whose blocks are all free.
func (c *checks) retire(pg *page) {
	for at := pg.free; at != 0; {
		block := blockOf(pg, Ref(at-1))
		checkPoison(block)
		at = binary.LittleEndian.Uint16(block)
	}
}

// fork is called with a new fork.
func (c *checks) fork(a *Arena, f *Fork) {
	c.live = maps.Clone(a.checks.live)
	for p := range f.Arena.pages {
		pg := &f.Arena.pages[p]
		c.was = append(c.was, slices.Clone(pg.mem[:min(len(pg.mem), pg.used())]))
	}
}

// endFork finds writes of which the fork was not told.
func (c *checks) endFork(f *Fork) {
	for p, was := range c.was {
		if pg := &f.Arena.pages[p]; pg.mem != nil && !bytes.Equal(pg.mem[:len(was)], was) {
			panic("slab: a block was written to without a word to the fork")
		}
	}
}

func blockOf(pg *page, r Ref) []byte {
	at := uint32(r) % (1 << granuleBits) * granuleBytes
	return pg.mem[at : at+pg.size]
}

func checkPoison(block []byte) {
	for _, b := range block[linkBytes:] {
		if b != poison {
			panic("slab: a freed block was written to")
		}
	}
}
