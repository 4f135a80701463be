//go:build slabdebug || race

package slab

import "testing"

// checked says that the arena checks its use.
const checked = true

// TestWritesAfterFreeAreFound in a block used again, in a page given up, in a
// large block, and by its stale Ref.
func TestWritesAfterFreeAreFound(t *testing.T) {
	for _, size := range []int{4, 50, 1000, 100000} {
		a := New(Heap())
		a.Alloc(size) // keeps the page
		r := a.Alloc(size)
		stale := a.Bytes(r)
		a.Free(r)
		for _, b := range stale[linkBytes:] {
			if b != poison {
				t.Fatalf("size %d: freed memory is not poisoned", size)
			}
		}
		if !panics(func() { a.Bytes(r) }) || !panics(func() { a.Free(r) }) {
			t.Errorf("size %d: a stale reference works", size)
		}
		stale[len(stale)-1] = 1
		if !panics(func() { a.Alloc(size) }) {
			t.Errorf("size %d: a write after free was not seen by Alloc", size)
		}
	}
}

// TestWritesAfterFreeAreFoundLate: also where the block is not used again before
// its page is given up.
func TestWritesAfterFreeAreFoundLate(t *testing.T) {
	for _, size := range []int{4, 50, 1000} {
		a := New(Heap())
		keep, r := a.Alloc(size), a.Alloc(size)
		stale := a.Bytes(r)
		a.Free(r)
		stale[linkBytes] = 1
		if !panics(func() { a.Free(keep) }) {
			t.Errorf("size %d: a write after free was not seen as the page went", size)
		}
	}
}
