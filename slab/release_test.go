package slab

import "testing"

// TestReleaseSome: an arena of many sizes is given back in pieces, and can be
// used again.
func TestReleaseSome(t *testing.T) {
	src := newCountingSource(t)
	a := New(src)
	for round := range 2 {
		for i := range 5000 {
			a.Alloc(1 + i*37%3000)
			if i%500 == 0 {
				a.Free(a.Alloc(40_000))
				a.Alloc(100_000)
			}
		}
		steps := 1
		for before := a.MappedBytes(); !a.ReleaseSome(256 << 10); steps++ {
			if gone := before - a.MappedBytes(); gone > 512<<10 {
				t.Fatalf("%d bytes in one step", gone)
			}
			before = a.MappedBytes()
		}
		if src.bytes != 0 || a.MappedBytes() != 0 || a.Blocks() != 0 || steps < 10 {
			t.Fatalf("round %d: %d bytes stay mapped after %d steps", round, src.bytes, steps)
		}
	}
}
