package server

import (
	"bytes"
	"os"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"geocache/slab"
)

// TestPages: memory comes zeroed whatever was in it before, also where several
// arenas ask at once.
func TestPages(t *testing.T) {
	src := pages()
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			for round := range 4 {
				for _, n := range []int{4096, 64 << 10, 68 << 10, 1 << 20, 3<<20 + 4096, 4 << 20, 5<<20 + 4096} {
					p := src.Map(n)
					if len(p) != n || len(bytes.Trim(p, "\x00")) != 0 {
						t.Errorf("round %d: %d bytes mapped for %d, or not zero", round, len(p), n)
						return
					}
					for i := 0; i < n; i += 512 {
						p[i] = byte(id + 1)
					}
					src.Discard(p[:4096])
					for i := 4096; i < n; i += 512 {
						if p[i] != byte(id+1) {
							t.Errorf("somebody else wrote to a range of %d bytes", n)
							return
						}
					}
					src.Unmap(p)
				}
			}
		})
	}
	wg.Wait()
}

// TestPagesGoBack: what an arena gives back leaves the process.
func TestPagesGoBack(t *testing.T) {
	if pages() == slab.Heap() {
		t.Skip("the keyspace is in the Go heap")
	}
	a := slab.New(pages())
	debug.FreeOSMemory() // what other tests left would go meanwhile
	before := residentBytes()
	const slack = 8 << 20 // what the test itself and the collector take
	for _, size := range []int{200, 50000, 6 << 20} {
		var refs []slab.Ref
		for a.LiveBytes() < 48<<20 {
			r := a.Alloc(size)
			clear(a.Bytes(r))
			refs = append(refs, r)
		}
		if grown := residentBytes() - before; grown < 44<<20 || grown > 48<<20+slack {
			t.Errorf("blocks of %d: %d MB live, %d MB resident", size, a.LiveBytes()>>20, grown>>20)
		}
		for _, r := range refs {
			a.Free(r)
		}
		deadline := time.Now().Add(5 * time.Second)
		for residentBytes()-before > slack && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if kept := residentBytes() - before; kept > slack {
			t.Errorf("blocks of %d: %d MB resident after all were freed", size, kept>>20)
		}
	}
}

// TestPagesAreFewMappings: the kernel's limit on a process' mappings is not
// used up by ranges that come and go between others.
func TestPagesAreFewMappings(t *testing.T) {
	src := pages()
	if src == slab.Heap() {
		t.Skip("the keyspace is in the Go heap")
	}
	var ranges [][]byte
	for range 20000 {
		ranges = append(ranges, src.Map(52<<10))
	}
	for i := 0; i < len(ranges); i += 2 {
		src.Unmap(ranges[i])
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	if n := bytes.Count(maps, []byte("\n")); n > 1000 {
		t.Fatalf("%d mappings", n)
	}
}

// BenchmarkPages writes and frees a large block: what a page fault costs.
func BenchmarkPages(b *testing.B) {
	a := slab.New(pages())
	value := make([]byte, 100000)
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		r := a.Alloc(len(value))
		copy(a.Bytes(r), value)
		a.Free(r)
	}
}
