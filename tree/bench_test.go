package tree

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"geocache/slab"
)

// memory is what the elements of a tree take, on average.
func memory(t *Tree) float64 { return float64(t.MemBytes()) / float64(t.Len()) }

// TestMemory holds the sizes that the representation is made for.
func TestMemory(t *testing.T) {
	const n = 40_000
	rng := rand.New(rand.NewPCG(9, 9))
	list := func(place func(i int) int) float64 {
		x := Tree{A: slab.New(slab.Heap()), Shape: Sequence}
		for i := range n {
			x.Insert(place(i), Elem{Val: make([]byte, 16)})
		}
		return memory(&x)
	}
	set := func(key func(i int) []byte, val int) float64 {
		x := Tree{A: slab.New(slab.Heap()), Shape: Keyed}
		for i := range n {
			k := key(i)
			if rank, found := x.Seek(k); !found {
				x.Insert(rank, Elem{Key: k, Val: make([]byte, val)})
			}
		}
		return memory(&x)
	}
	hash := Tree{A: slab.New(slab.Heap()), Shape: Keyed}
	for i := range 10 {
		hash.Insert(i, Elem{Key: fmt.Appendf(nil, "field%03d", i), Val: make([]byte, 16)})
	}
	for _, c := range []struct {
		name     string
		got, max float64
	}{
		{"hash of 10 fields of 8 and 16 bytes", memory(&hash) * 10, 264},
		{"16 bytes appended", list(func(i int) int { return i }), 17.5},
		{"16 bytes prepended", list(func(int) int { return 0 }), 17.5},
		{"16 bytes inserted anywhere", list(func(i int) int { return rng.IntN(i + 1) }), 18.5},
		{"28 bytes in order", set(func(i int) []byte { return fmt.Appendf(nil, "key:%08d", i) }, 16), 31.5},
		{"28 bytes in random order", set(func(int) []byte { return randomKey(rng, 12) }, 16), 33},
		{"28 bytes as numbered members in random order", set(func(i int) []byte { return numbered(i, n) }, 8), 33},
	} {
		t.Logf("%-46s %6.2f bytes", c.name, c.got)
		if c.got > c.max {
			t.Errorf("%s: %.2f bytes, want %.2f at most", c.name, c.got, c.max)
		}
	}
}

func randomKey(rng *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n]
}

// numbered gives 20-byte keys of numbers that jump over the whole range.
func numbered(i, n int) []byte {
	return fmt.Appendf(nil, "member:%013d", uint64(i)*2654435761%uint64(n))
}

// sizes that show how a cost grows.
var sizes = []int{1000, 30_000, 1_000_000}

func numberedTree(n int) *Tree {
	x := &Tree{A: slab.New(slab.Heap()), Shape: Keyed}
	for i := range n {
		x.Insert(i, Elem{Key: fmt.Appendf(nil, "member:%013d", i), Val: make([]byte, 8)})
	}
	return x
}

func sequence(n int) *Tree {
	x := &Tree{A: slab.New(slab.Heap()), Shape: Sequence}
	for i := range n {
		x.Insert(i, Elem{Val: make([]byte, 16)})
	}
	return x
}

func perSize(b *testing.B, f func(b *testing.B, n int)) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) { f(b, n) })
	}
}

func BenchmarkFind(b *testing.B) {
	perSize(b, func(b *testing.B, n int) {
		x := numberedTree(n)
		keys := make([][]byte, 4096)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range keys {
			keys[i] = fmt.Appendf(nil, "member:%013d", rng.IntN(n))
		}
		for i := 0; b.Loop(); i++ {
			if _, _, found := x.Find(keys[i&4095]); !found {
				b.Fatal("lost")
			}
		}
	})
}

// BenchmarkInsertDelete keeps the size at n.
func BenchmarkInsertDelete(b *testing.B) {
	perSize(b, func(b *testing.B, n int) {
		x := numberedTree(n)
		rng := rand.New(rand.NewPCG(1, 1))
		val := make([]byte, 8)
		key := fmt.Appendf(nil, "member:%013d+", 0)
		for b.Loop() {
			k := rng.IntN(n)
			for at := len(key) - 2; at >= 7; at-- {
				key[at] = byte('0' + k%10)
				k /= 10
			}
			rank, _ := x.Seek(key)
			x.Insert(rank, Elem{Key: key, Val: val})
			x.Delete(rank)
		}
	})
}

// BenchmarkInsertRandom builds a tree of b.N elements in random order.
func BenchmarkInsertRandom(b *testing.B) {
	x := &Tree{A: slab.New(slab.Heap()), Shape: Keyed}
	rng := rand.New(rand.NewPCG(1, 1))
	val, key := make([]byte, 8), make([]byte, 20)
	for b.Loop() {
		binary.LittleEndian.PutUint64(key, rng.Uint64())
		rank, _ := x.Seek(key)
		x.Insert(rank, Elem{Key: key, Val: val})
	}
	b.ReportMetric(float64(x.MemBytes())/float64(x.Len()), "B/elem")
	b.ReportMetric(float64(x.A.MappedBytes())/float64(x.Len()), "mappedB/elem")
}

func BenchmarkReplace(b *testing.B) {
	perSize(b, func(b *testing.B, n int) {
		x := numberedTree(n)
		rng := rand.New(rand.NewPCG(1, 1))
		val := make([]byte, 8)
		for b.Loop() {
			rank := rng.IntN(n)
			x.Replace(rank, Elem{Key: x.At(rank).Key, Val: val})
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	x := &Tree{A: slab.New(slab.Heap()), Shape: Sequence}
	val := make([]byte, 16)
	for b.Loop() {
		x.Insert(x.Len(), Elem{Val: val})
	}
}

func BenchmarkPrepend(b *testing.B) {
	x := &Tree{A: slab.New(slab.Heap()), Shape: Sequence}
	val := make([]byte, 16)
	for b.Loop() {
		x.Insert(0, Elem{Val: val})
	}
}

// BenchmarkQueue appends at the back and takes from the front of a list that stays at n.
func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := sequence(n)
			val := make([]byte, 16)
			for b.Loop() {
				x.Insert(x.Len(), Elem{Val: val})
				x.Delete(0)
			}
		})
	}
}

// BenchmarkHash fills small hashes, as HSET does one field at a time.
func BenchmarkHash(b *testing.B) {
	a := slab.New(slab.Heap())
	var fields [10][]byte
	for i := range fields {
		fields[i] = fmt.Appendf(nil, "field%03d", i)
	}
	val := make([]byte, 16)
	for b.Loop() {
		x := Tree{A: a, Shape: Keyed}
		for _, f := range fields {
			if _, _, found := x.Scan(f); !found {
				x.Insert(x.Len(), Elem{Key: f, Val: val})
			}
		}
		x.FreeSome(1)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{10, 128} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := numberedTree(n)
			last := append([]byte(nil), x.At(n-1).Key...)
			for b.Loop() {
				if _, _, found := x.Scan(last); !found {
					b.Fatal("lost")
				}
			}
		})
	}
}

func BenchmarkAt(b *testing.B) {
	perSize(b, func(b *testing.B, n int) {
		x := sequence(n)
		rng := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			x.At(rng.IntN(n))
		}
	})
}

// BenchmarkAtEnd is for an element near the end, as LINDEX -3.
func BenchmarkAtEnd(b *testing.B) {
	perSize(b, func(b *testing.B, n int) {
		x := sequence(n)
		for b.Loop() {
			x.At(n - 3)
		}
	})
}

func BenchmarkAscend(b *testing.B) {
	benchmarkWalk(b, func(x *Tree, f func(Elem) bool) { x.Ascend(0, f) })
}

func BenchmarkDescend(b *testing.B) {
	benchmarkWalk(b, func(x *Tree, f func(Elem) bool) { x.Descend(x.Len(), f) })
}

// benchmarkWalk reports the time of one element.
func benchmarkWalk(b *testing.B, walk func(x *Tree, f func(Elem) bool)) {
	x := numberedTree(100_000)
	b.ResetTimer()
	for done := 0; done < b.N; {
		walk(x, func(Elem) bool {
			done++
			return done < b.N
		})
	}
}
