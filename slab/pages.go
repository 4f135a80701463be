package slab

import (
	"math"
	"slices"
)

// What happens when a page is taken, changes its fullness, or loses its last
// block. None of it is on the way of an ordinary Alloc or Free.

// refill gives class k a page with room: a new one, or, before the arena grows,
// one that was to be emptied.
func (a *Arena) refill(k int) uint32 {
	c := &a.classes[k]
	p := c.heads[sparse]
	if p == 0 {
		p = a.takePage(c.poolOf(classBytes(k)))
		a.carve(p, k)
		a.warmNext(p)
		if c.places == 0 {
			a.open++
		}
		c.places += int64(a.pages[p].capacity)
		c.room += int64(a.pages[p].capacity)
	} else {
		a.unlink(&c.heads[sparse], p)
		pg := &a.pages[p]
		c.moving -= int64(pg.live)
		a.sparseBytes -= int64(pg.live) * int64(pg.size)
		c.room += int64(pg.capacity - pg.live)
	}
	a.list(c, p)
	return p
}

// poolOf is the pool for the next page of a class of blocks of size bytes: the
// one with the least waste, if all of the class were in such pages and the last
// of them half empty.
func (c *class) poolOf(size int) int {
	best, least := pools-1, int64(math.MaxInt64)
	bytes := c.places * int64(size)
	for i := (size - 1) / systemPage; i < pools; i++ {
		page := (i + 1) * systemPage
		waste := int64(page/2) + bytes*int64(page%size+pageCost)/int64(page)
		if waste < least {
			best, least = i, waste
		}
	}
	return best
}

// carve makes p, which has no class, an empty page of class k.
func (a *Arena) carve(p uint32, k int) {
	pg := &a.pages[p]
	size := classBytes(k)
	pg.size, pg.class = uint32(size), uint8(k)
	pg.capacity = uint16(len(pg.mem) / size)
	pg.free, pg.fresh, pg.live = 0, 0, 0
	end := roundUp(int(pg.capacity)*size, systemPage)
	if rest := int(pg.touched)*granuleBytes - end; rest > 0 {
		a.src.Discard(pg.mem[end : end+rest])
		a.mappedBytes -= int64(rest)
		pg.touched = uint16(end / granuleBytes)
	}
}

// list puts a page that is in no list into that of its fullness.
func (a *Arena) list(c *class, p uint32) {
	pg := &a.pages[p]
	live, capacity := int(pg.live), int(pg.capacity)
	if live == capacity {
		pg.list, pg.low, pg.high = full, pg.capacity, never
	} else {
		fill := live * fills / capacity
		pg.list = uint8(fill)
		pg.low = uint16(max(1, (fill*capacity+fills-1)/fills))
		pg.high = uint16(((fill+1)*capacity + fills - 1) / fills)
		a.link(&c.heads[fill], p)
	}
	c.setCurrent()
}

// setCurrent chooses the page that Alloc takes from.
func (c *class) setCurrent() {
	c.current = 0
	for fill := fills - 1; fill >= 0 && c.current == 0; fill-- {
		c.current = c.heads[fill]
	}
}

// relist moves a page into the list of its fullness.
func (a *Arena) relist(p uint32) {
	pg := &a.pages[p]
	c := &a.classes[pg.class]
	if pg.list != full {
		a.unlink(&c.heads[pg.list], p)
	}
	a.list(c, p)
}

// shrunk follows the frees of a page below the range of its list.
func (a *Arena) shrunk(p uint32) {
	pg := &a.pages[p]
	c := &a.classes[pg.class]
	if pg.live == 0 {
		if pg.list != sparse {
			c.room -= int64(pg.capacity)
		}
		if pg.list != full { // as a page of one block was
			a.unlink(&c.heads[pg.list], p)
		}
		if c.places -= int64(pg.capacity); c.places == 0 {
			a.open--
		}
		c.setCurrent()
		a.retire(p)
	} else {
		a.relist(p)
	}
	a.thin(c)
}

// thin marks the emptiest page of the class as sparse, if all blocks then find
// place in the others and leave 1/32 of all places free.
func (a *Arena) thin(c *class) {
	fill := 0
	for fill < fills && c.heads[fill] == 0 {
		fill++
	}
	if fill == fills {
		return
	}
	p := c.heads[fill]
	pg := &a.pages[p]
	if c.room-c.moving-int64(pg.capacity) < c.places/32 {
		return
	}
	a.unlink(&c.heads[fill], p)
	a.link(&c.heads[sparse], p)
	pg.list, pg.low, pg.high = sparse, 1, never
	c.room -= int64(pg.capacity - pg.live)
	c.moving += int64(pg.live)
	a.sparseBytes += int64(pg.live) * int64(pg.size)
	c.setCurrent()
}

// takePage returns a page without a class from a pool, the hot ones first.
func (a *Arena) takePage(which int) uint32 {
	po := &a.pools[which]
	if po.hot == 0 && po.cold == 0 {
		a.mapChunk(po, (which+1)*systemPage)
	}
	p := po.hot
	if p != 0 {
		a.unhot(po, p)
	} else {
		p = po.cold
		a.unlink(&po.cold, p)
		po.coldPages--
	}
	a.pages[p].chunk.used++
	po.usedPages++
	return p
}

// An arena that grows has the system make its next pages ready while one fills: a
// first use may take the system milliseconds, during which whoever owns the arena
// would hold up others. What is ready and not used is no more than a warmPart of
// the arena. A pool that has warmShare of it, or grew before, will soon need pages.
// They come several at a time, since asking costs more than a page.
const (
	warmPart  = 128
	warmShare = 8
)

// warmNext does so after page p was taken from its pool and carved: until then it
// looks cold. An arena that has been larger, as under churn, has memory of other
// uses coming back.
func (a *Arena) warmNext(p uint32) {
	c := a.pages[p].chunk
	if w := &a.warm; w.chunk == c {
		if i := slices.Index(c.numbers[w.next:w.end], p); i >= 0 {
			w.next += i + 1
		}
	}
	if a.mappedBytes <= a.mostMapped {
		return
	}
	po, bytes := c.pool, len(a.pages[p].mem)
	again := a.grewIn == po
	a.mostMapped, a.grewIn = a.mappedBytes, po
	part := int(a.mappedBytes/warmPart) / systemPage * systemPage
	if part == 0 || !again && int64(po.usedPages*bytes) < a.mappedBytes/warmShare {
		return
	}
	if w := &a.warm; w.next < w.end {
		if w.chunk.pool == po {
			return
		}
		size := len(w.chunk.mem) / len(w.chunk.numbers)
		a.src.Discard(w.chunk.mem[w.next*size : w.end*size]) // pages of another length suit better now
	}
	if po.cold == 0 {
		a.mapChunk(po, bytes)
	}
	a.warm = a.coldFrom(po.cold, max(part/bytes, 1))
	begin := a.warm.next * bytes
	a.src.Warm(a.warm.chunk.mem[begin:min(begin+part, a.warm.end*bytes)])
}

// coldFrom is the cold page p and those after it in its chunk, up to most.
func (a *Arena) coldFrom(p uint32, most int) warmPages {
	c := a.pages[p].chunk
	begin := slices.Index(c.numbers, p)
	end := begin + 1
	for end < len(c.numbers) && end-begin < most {
		if pg := &a.pages[c.numbers[end]]; pg.size != 0 || pg.touched != 0 {
			break
		}
		end++
	}
	return warmPages{c, begin, end}
}

// mapChunk adds cold pages: one to a pool that has none, then as many as there
// are, up to a whole chunk.
func (a *Arena) mapChunk(po *pool, bytes int) {
	pages := min(max(po.usedPages, 1), chunkPages)
	c := &chunk{pool: po, mem: a.src.Map(pages * bytes), numbers: make([]uint32, pages)}
	for i := pages - 1; i >= 0; i-- {
		p := a.number()
		c.numbers[i] = p
		a.pages[p] = page{mem: c.mem[i*bytes : (i+1)*bytes], chunk: c}
		a.link(&po.cold, p)
	}
	po.coldPages += pages
}

// Hot pages of all lengths together are no more than hotFloor bytes and a share
// of the arena's memory.
const (
	hotFloor = 16 << 10
	hotShare = 64
)

// retire takes a page without blocks out of its class. It stays hot, in place of
// pages that came to be so earlier.
func (a *Arena) retire(p uint32) {
	pg := &a.pages[p]
	a.checks.retire(pg)
	pg.size, pg.list = 0, 0
	pg.chunk.used--
	po := pg.chunk.pool
	po.usedPages--
	a.link(&po.hot, p)
	a.hotBytes += int64(pg.touched) * granuleBytes
	limit := hotFloor + a.mappedBytes/hotShare
	for i := range a.pools {
		if other := &a.pools[i]; other != po {
			a.coolTo(other, limit)
		}
	}
	a.coolTo(po, limit)
}

// coolTo takes hot pages of a pool until those of all are no more than limit
// bytes.
func (a *Arena) coolTo(po *pool, limit int64) {
	for a.hotBytes > limit && po.hot != 0 {
		p := po.hot
		a.unhot(po, p)
		a.cool(po, p)
	}
}

// unhot takes a page from its pool's hot ones.
func (a *Arena) unhot(po *pool, p uint32) {
	a.unlink(&po.hot, p)
	a.hotBytes -= int64(a.pages[p].touched) * granuleBytes
}

// cool gives the memory of a page without a class back to the system, and its
// chunk too, if no page of it is used and enough others remain.
func (a *Arena) cool(po *pool, p uint32) {
	pg := &a.pages[p]
	bytes := int(pg.touched) * granuleBytes
	a.src.Discard(pg.mem[:bytes])
	a.mappedBytes -= int64(bytes)
	pg.touched = 0
	a.link(&po.cold, p)
	po.coldPages++
	if c := pg.chunk; c.used == 0 && po.coldPages >= len(c.numbers)+chunkPages {
		a.unmapChunk(c)
	}
}

func (a *Arena) unmapChunk(c *chunk) {
	po := c.pool
	if a.warm.chunk == c {
		a.warm = warmPages{}
	}
	for _, p := range c.numbers {
		pg := &a.pages[p]
		if pg.touched > 0 {
			a.unhot(po, p)
			a.mappedBytes -= int64(pg.touched) * granuleBytes
		} else {
			a.unlink(&po.cold, p)
			po.coldPages--
		}
		*pg = page{}
		a.numbers = append(a.numbers, p)
	}
	a.src.Unmap(c.mem)
}

// link puts p at the head of a list.
func (a *Arena) link(head *uint32, p uint32) {
	pg := &a.pages[p]
	pg.prev, pg.next = 0, *head
	if pg.next != 0 {
		a.pages[pg.next].prev = p
	}
	*head = p
}

func (a *Arena) unlink(head *uint32, p uint32) {
	pg := &a.pages[p]
	if pg.prev != 0 {
		a.pages[pg.prev].next = pg.next
	} else {
		*head = pg.next
	}
	if pg.next != 0 {
		a.pages[pg.next].prev = pg.prev
	}
}
