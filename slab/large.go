package slab

import "slices"

// A freed large block keeps its memory, idle, while idle blocks are few and no
// more than a share of the live large blocks. An arena with nearly no blocks may
// keep up to idleFloor: less by a part of its blocks, because there are many
// arenas where there is much.
const (
	idleFloor  = 128 << 10 // bytes
	floorShare = 4
	idleShare  = 16
	idleBlocks = 16
)

// idleMost is what idle blocks may be, in bytes.
func (a *Arena) idleMost() int64 {
	return max(idleFloor-a.liveBytes/floorShare, 0) + a.largeBytes/idleShare
}

func (a *Arena) allocLarge(n int) Ref {
	if n > maxBlock {
		panic("slab: block too large")
	}
	size := ClassSize(n)
	p := a.takeIdle(size)
	if p == 0 {
		p = a.number()
		a.pages[p] = page{mem: a.src.Map(size), list: full}
	}
	pg := &a.pages[p]
	if int(pg.size) > size {
		a.src.Discard(pg.mem[size:pg.size])
	}
	a.mappedBytes += int64(size) - int64(pg.size)
	a.liveBytes += int64(size)
	a.largeBytes += int64(size)
	a.blocks++
	pg.size, pg.live = uint32(size), 1
	r := Ref(p << granuleBits)
	a.checks.alloc(r)
	return r
}

// takeIdle returns an idle block whose mapping fits size and is not more than
// twice as long, or 0.
func (a *Arena) takeIdle(size int) uint32 {
	for i, p := range a.idle {
		pg := &a.pages[p]
		if len(pg.mem) >= size && len(pg.mem)/2 <= size {
			a.idle = slices.Delete(a.idle, i, i+1)
			a.idleBytes -= int64(pg.size)
			a.checks.reuse(pg, 0)
			return p
		}
	}
	return 0
}

func (a *Arena) freeLarge(r Ref) {
	p := uint32(r >> granuleBits)
	pg := &a.pages[p]
	if pg.live == 0 || r%(1<<granuleBits) != 0 {
		panic("slab: free of a block that is not live")
	}
	a.Writing(r)
	a.checks.free(pg, r)
	size := int64(pg.size)
	pg.live = 0
	a.blocks--
	a.liveBytes -= size
	a.largeBytes -= size
	limit := a.idleMost()
	if size > limit {
		a.unmapLarge(p)
	} else {
		a.idle = append(a.idle, p)
		a.idleBytes += size
	}
	for a.idleBytes > limit || len(a.idle) > idleBlocks {
		oldest := a.idle[0]
		a.idle = slices.Delete(a.idle, 0, 1)
		a.idleBytes -= int64(a.pages[oldest].size)
		a.unmapLarge(oldest)
	}
}

func (a *Arena) unmapLarge(p uint32) {
	pg := &a.pages[p]
	a.mappedBytes -= int64(pg.size)
	a.src.Unmap(pg.mem)
	*pg = page{}
	a.numbers = append(a.numbers, p)
}
