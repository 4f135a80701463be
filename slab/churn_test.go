package slab

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestChurn lets the sizes of the data change, as a day's traffic does, with a
// mover at work, and bounds what the arena keeps for what it holds.
func TestChurn(t *testing.T) {
	const (
		budget = 32 << 20 // a shard of 1 GB in 32
		most   = 1.12
	)
	if checked {
		t.Skip("takes a minute with checks; the other tests go the same ways")
	}
	r := rand.New(rand.NewPCG(3, 3))
	m := newModel(t)
	phases := []struct{ from, to int }{{20, 120}, {100, 400}, {400, 3000}, {64, 65}, {20, 6000}, {200, 240}, {8, 40}}
	for _, ph := range phases {
		moved, freed := 0, 0
		// Twice the budget passes through: nearly all old blocks go.
		for written := 0; written < 2*budget; {
			n := ph.from + r.IntN(ph.to-ph.from)
			for m.bytes+int64(n) > budget && len(m.refs) > 0 {
				m.free(m.refs[r.IntN(len(m.refs))])
				freed++
			}
			m.alloc(n, byte(n))
			written += n
		}
		for m.a.SparseBytes() > 0 {
			moved += m.move()
		}
		m.verify()
		ratio := float64(m.a.MappedBytes()) / float64(m.a.LiveBytes())
		t.Logf("sizes %d to %d: mapped/live %.3f, %d freed, %d moved", ph.from, ph.to, ratio, freed, moved)
		if ratio > most {
			t.Errorf("sizes %d to %d: mapped/live is %.3f", ph.from, ph.to, ratio)
		}
	}
}

// TestSmallArenaOfManySizes bounds what an arena keeps beyond its blocks where
// each of many sizes has little.
func TestSmallArenaOfManySizes(t *testing.T) {
	const budget = 750 << 10 // a shard of 50 MB in 64
	for _, c := range []struct {
		from, to float64
		most     int64 // bytes
	}{{16, 64, 90 << 10}, {16, 200, 110 << 10}, {100, 4000, 200 << 10}, {1000, 20_000, 160 << 10}, {16, 20_000, 210 << 10}} {
		r := rand.New(rand.NewPCG(6, 6))
		m := newModel(t)
		for n, written := 0, 0; written < 20*budget; n++ {
			size := int(c.from * math.Pow(c.to/c.from, r.Float64()))
			for m.bytes+int64(size) > budget {
				m.free(m.refs[r.IntN(len(m.refs))])
			}
			m.alloc(size, byte(n))
			written += size
			if n%100 == 0 {
				m.settle()
			}
		}
		m.settle()
		m.verify()
		waste := m.a.MappedBytes() - m.a.LiveBytes()
		t.Logf("sizes %.0f to %.0f: %d KB beyond %d KB", c.from, c.to, waste>>10, m.a.LiveBytes()>>10)
		if waste > c.most {
			t.Errorf("sizes %.0f to %.0f: %d KB beyond the blocks, at most %d KB wanted", c.from, c.to, waste>>10, c.most>>10)
		}
	}
}

// TestMovingFreesPages: deleting most blocks at random leaves every page in use;
// moving the rest brings the pages back, and moves a block once.
func TestMovingFreesPages(t *testing.T) {
	for _, size := range []int{16, 200, 1000, 5000, 20000, 32000} {
		r := rand.New(rand.NewPCG(4, uint64(size)))
		m := newModel(t)
		for m.bytes < 16<<20 && len(m.refs) < 200000 {
			m.alloc(size, byte(m.bytes))
		}
		for rest := m.bytes / 5; m.bytes > rest; {
			m.free(m.refs[r.IntN(len(m.refs))])
		}
		blocks, before := len(m.refs), m.a.MappedBytes()
		moved := 0
		for m.a.SparseBytes() > 0 {
			moved += m.move()
		}
		m.verify()
		ratio := float64(m.a.MappedBytes()) / float64(m.bytes)
		t.Logf("size %d: %d KB to %d KB, mapped/live %.3f, moved %d of %d",
			size, before>>10, m.a.MappedBytes()>>10, ratio, moved, blocks)
		if ratio > 1.20 || moved > blocks*5/4 {
			t.Errorf("size %d: mapped/live %.3f, moved %d of %d", size, ratio, moved, blocks)
		}
	}
}

// TestMovingUnderTraffic: a mover that takes a few steps between writes keeps up
// and never undoes itself.
func TestMovingUnderTraffic(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := newModel(t)
	for range 40000 {
		m.alloc(100, 1)
	}
	for len(m.refs) > 15000 {
		m.free(m.refs[r.IntN(len(m.refs))])
	}
	cursor, moved := 0, 0
	for i := range 100000 {
		m.free(m.refs[r.IntN(len(m.refs))])
		m.alloc(100, byte(i))
		cursor = (cursor + 1) % len(m.refs)
		if ref := m.refs[cursor]; m.a.Sparse(ref) {
			m.alloc(100, m.live[ref].seed)
			m.free(ref)
			moved++
		}
	}
	m.verify()
	ratio := float64(m.a.MappedBytes()) / float64(m.bytes)
	t.Logf("mapped/live %.3f, moved %d", ratio, moved)
	if ratio > 1.2 {
		t.Errorf("mapped/live is %.3f", ratio)
	}
}

// TestLargeBlocksStayWarm: a value that is written again and again does not go
// to the source each time, nor does much memory stay for that.
func TestLargeBlocksStayWarm(t *testing.T) {
	m := newModel(t)
	r := m.alloc(100000, 1)
	for i := range 10 {
		maps := len(m.src.mapped)
		next := m.alloc(100000-i*5000, 2)
		m.free(r)
		r = next
		if i > 1 && len(m.src.mapped) != maps {
			t.Fatal("a block of fitting size was not used again")
		}
		m.verify()
	}
	m.free(r)
	m.free(m.alloc(50<<20, 3))
	m.verify()
	if m.a.MappedBytes() > idleFloor {
		t.Fatalf("%d bytes stay", m.a.MappedBytes())
	}
}

func TestMisusePanics(t *testing.T) {
	a := New(Heap())
	small, large := a.Alloc(10), a.Alloc(100000)
	a.Free(small)
	a.Free(large)
	for name, f := range map[string]func(){
		"free of small twice": func() { a.Free(small) },
		"free of large twice": func() { a.Free(large) },
		"free of none":        func() { a.Free(0) },
		"free of a far page":  func() { a.Free(1 << 31) },
		"no bytes":            func() { a.Alloc(0) },
		"negative":            func() { a.Alloc(-1) },
		"too many bytes":      func() { a.Alloc(maxBlock + 1) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
