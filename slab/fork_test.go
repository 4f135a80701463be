package slab

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestFork changes an arena at random, by blocks of all sizes, while forks of
// it begin, are read, are detached and end: each shows what was there when it
// began, until its end, also where the arena is released.
func TestFork(t *testing.T) {
	type fork struct {
		*Fork
		blocks map[Ref][]byte // as they were
	}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := New(Heap())
		blocks := map[Ref][]byte{} // what the arena holds
		var refs []Ref
		var forks []fork
		size := func() int {
			switch r.IntN(20) {
			case 0:
				return 1 + r.IntN(100_000)
			case 1, 2:
				return 1 + r.IntN(4000)
			}
			return 1 + r.IntN(60)
		}
		write := func(ref Ref) {
			b := a.Bytes(ref)
			for i := range min(len(b), 40) {
				b[r.IntN(len(b))] = byte(i + r.IntN(256))
			}
			blocks[ref] = bytes.Clone(b)
		}
		check := func(f fork) {
			for ref, was := range f.blocks {
				if !bytes.Equal(f.Arena.Bytes(ref), was) {
					t.Fatalf("seed %d: block %#x of a fork has changed", seed, ref)
				}
			}
		}
		for step := range 3000 {
			switch k := r.IntN(1000); {
			case k < 480 || len(refs) == 0:
				ref := a.Alloc(size())
				refs = append(refs, ref)
				write(ref)
			case k < 700:
				ref := refs[r.IntN(len(refs))]
				a.Writing(ref)
				write(ref)
			case k < 980:
				i := r.IntN(len(refs))
				a.Free(refs[i])
				delete(blocks, refs[i])
				refs[i] = refs[len(refs)-1]
				refs = refs[:len(refs)-1]
			case k < 986:
				for i, ref := range refs {
					if a.Sparse(ref) {
						moved := a.Move(ref)
						blocks[moved] = blocks[ref]
						delete(blocks, ref)
						refs[i] = moved
					}
				}
			case k < 992 && len(forks) < 3:
				f := fork{a.Fork(), map[Ref][]byte{}}
				for ref, b := range blocks {
					f.blocks[ref] = bytes.Clone(b)
				}
				forks = append(forks, f)
			case len(forks) > 0:
				i := r.IntN(len(forks))
				check(forks[i])
				switch {
				case k < 995:
					forks[i].DetachSome(10_000)
				case k < 997:
					forks[i].Detach()
				default:
					forks[i].End()
					forks[i].Free()
					forks = append(forks[:i], forks[i+1:]...)
				}
			}
			if step%500 == 0 {
				for _, f := range forks {
					check(f)
				}
			}
		}
		for _, f := range forks {
			f.Detach()
		}
		for !a.ReleaseSome(1 << 20) {
		}
		for _, f := range forks {
			check(f)
			f.End()
			f.Free()
		}
	}
}

// TestForkPanics: memory that a fork shows is not released.
func TestForkPanics(t *testing.T) {
	a := New(Heap())
	a.Alloc(10)
	f := a.Fork()
	defer func() {
		if recover() == nil {
			t.Error("an arena was released under a fork")
		}
		f.End()
		f.Free()
		for !a.ReleaseSome(1 << 20) {
		}
	}()
	a.ReleaseSome(1 << 20)
}

// BenchmarkFork begins and ends a fork of an arena with 20 MB of small blocks.
func BenchmarkFork(b *testing.B) {
	a := New(Heap())
	for range 1_000_000 {
		a.Alloc(20)
	}
	for b.Loop() {
		f := a.Fork()
		f.End()
		f.Free()
	}
}
