package slab

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkArena allocates and frees single blocks in an arena that holds many.
func BenchmarkArena(b *testing.B) {
	const held = 1 << 17
	b.Run("one size", func(b *testing.B) { benchmarkChurn(b, held, func(*rand.Rand) int { return 100 }) })
	b.Run("many sizes", func(b *testing.B) { benchmarkChurn(b, held, func(r *rand.Rand) int { return 1 + r.IntN(400) }) })
	b.Run("few blocks", func(b *testing.B) { benchmarkChurn(b, 1<<10, func(*rand.Rand) int { return 100 }) })
}

// benchmarkChurn counts an Alloc and a Free as one operation.
func benchmarkChurn(b *testing.B, held int, size func(*rand.Rand) int) {
	r := rand.New(rand.NewPCG(1, 2))
	a := New(Heap())
	refs := make([]Ref, held)
	for i := range refs {
		refs[i] = a.Alloc(size(r))
	}
	plan := make([]struct{ victim, size int }, 1<<16)
	for i := range plan {
		plan[i].victim, plan[i].size = r.IntN(held), size(r)
	}
	b.ResetTimer()
	for i := range b.N {
		p := plan[i%len(plan)]
		a.Free(refs[p.victim])
		refs[p.victim] = a.Alloc(p.size)
	}
}

// BenchmarkStack allocates a thousand blocks and frees them, over and over.
func BenchmarkStack(b *testing.B) {
	a := New(Heap())
	var refs [1000]Ref
	for i := 0; i < b.N; i += len(refs) {
		for j := range refs {
			refs[j] = a.Alloc(64)
		}
		for _, r := range refs {
			a.Free(r)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	a := New(Heap())
	refs := make([]Ref, 1024)
	for i := range refs {
		refs[i] = a.Alloc(100)
	}
	sum := 0
	for i := range b.N {
		sum += int(a.Bytes(refs[i%len(refs)])[i%100])
	}
	if sum < 0 {
		b.Fatal(sum)
	}
}

func BenchmarkLarge(b *testing.B) {
	a := New(Heap())
	for range b.N {
		a.Free(a.Alloc(100000))
	}
}
