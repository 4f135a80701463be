package slab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// countingSource is the heap with a count of what is mapped; it spoils what is
// discarded or unmapped, so that use of it shows.
type countingSource struct {
	t        testing.TB
	mapped   map[*byte]int
	bytes    int
	discards int
	warmed   [][]byte
}

func newCountingSource(t testing.TB) *countingSource {
	return &countingSource{t: t, mapped: map[*byte]int{}}
}

func (s *countingSource) Map(n int) []byte {
	p := make([]byte, n)
	s.mapped[&p[0]] = n
	s.bytes += n
	return p
}

func (s *countingSource) Discard(p []byte) {
	if len(p)%systemPage != 0 {
		s.t.Fatalf("discard of %d bytes", len(p))
	}
	clear(p)
	s.discards++
}

func (s *countingSource) Warm(p []byte) {
	if len(p)%systemPage != 0 {
		s.t.Fatalf("%d bytes to be made ready", len(p))
	}
	s.warmed = append(s.warmed, p)
}

func (s *countingSource) Unmap(p []byte) {
	if s.mapped[&p[0]] != len(p) {
		s.t.Fatalf("unmap of %d bytes that were not mapped so", len(p))
	}
	delete(s.mapped, &p[0])
	s.bytes -= len(p)
	for i := range p {
		p[i] = 0xEE
	}
}

// model holds an arena beside what it should contain.
type model struct {
	t     testing.TB
	src   *countingSource
	a     *Arena
	live  map[Ref]block
	refs  []Ref // the keys of live, for choosing one
	bytes int64
}

type block struct {
	n    int // bytes asked for
	seed byte
	slot int // index in refs
}

func newModel(t testing.TB) *model {
	src := newCountingSource(t)
	return &model{t: t, src: src, a: New(src), live: map[Ref]block{}}
}

// fill writes a pattern to all of a short block and to places in a long one, the
// first and the last bytes among them.
func fill(p []byte, seed byte) {
	for i := 0; i < len(p); i += 1 + len(p)/64 {
		p[i] = seed + byte(i*7)
	}
	p[len(p)-1] = seed
}

func intact(p []byte, seed byte) bool {
	last := len(p) - 1
	for i := 0; i < last; i += 1 + len(p)/64 {
		if p[i] != seed+byte(i*7) {
			return false
		}
	}
	return p[last] == seed
}

func (m *model) alloc(n int, seed byte) Ref {
	r := m.a.Alloc(n)
	if r == 0 {
		m.t.Fatal("no reference")
	}
	if _, ok := m.live[r]; ok {
		m.t.Fatalf("%x handed out twice", r)
	}
	p := m.a.Bytes(r)
	if !Fits(n, len(p)) || cap(p) != len(p) || len(p) < n {
		m.t.Fatalf("block for %d bytes has %d, capacity %d, class %d", n, len(p), cap(p), ClassSize(n))
	}
	fill(p, seed)
	m.live[r] = block{n, seed, len(m.refs)}
	m.refs = append(m.refs, r)
	m.bytes += int64(len(p))
	return r
}

func (m *model) check(r Ref) {
	b := m.live[r]
	if !intact(m.a.Bytes(r), b.seed) {
		m.t.Fatalf("block %x of %d bytes changed", r, b.n)
	}
}

func (m *model) free(r Ref) {
	m.check(r)
	m.bytes -= int64(len(m.a.Bytes(r)))
	slot, last := m.live[r].slot, m.refs[len(m.refs)-1]
	m.refs[slot] = last
	b := m.live[last]
	b.slot = slot
	m.live[last] = b
	m.refs = m.refs[:len(m.refs)-1]
	delete(m.live, r)
	m.a.Free(r)
}

// move does what the owner of an arena does with sparse blocks, in one walk,
// and returns the number of blocks moved.
func (m *model) move() int {
	moved := 0
	for _, r := range append([]Ref(nil), m.refs...) {
		if !m.a.Sparse(r) {
			continue
		}
		b := m.live[r]
		to := m.alloc(b.n, b.seed)
		if m.a.Sparse(to) {
			m.t.Fatalf("a block of %d bytes was moved to a sparse page", b.n)
		}
		m.free(r)
		moved++
	}
	return moved
}

// settle moves until nothing is sparse.
func (m *model) settle() {
	most := 64 * (len(m.refs) + 1)
	for m.a.SparseBytes() > 0 {
		if most -= m.move(); most < 0 {
			m.t.Fatal("the moving does not end")
		}
	}
}

// verify compares the arena's figures and lists with the model.
func (m *model) verify() {
	m.t.Helper()
	a := m.a
	if a.LiveBytes() != m.bytes || a.Blocks() != len(m.live) {
		m.t.Fatalf("%d bytes in %d blocks, want %d in %d", a.LiveBytes(), a.Blocks(), m.bytes, len(m.live))
	}
	var touched, sparseBytes int64
	room, moving, places := map[uint8]int64{}, map[uint8]int64{}, map[uint8]int64{}
	for i := range a.pages {
		pg := &a.pages[i]
		switch {
		case pg.chunk == nil:
			touched += int64(pg.size)
			continue
		case pg.size == 0:
			touched += int64(pg.touched) * granuleBytes
			continue
		}
		touched += int64(pg.touched) * granuleBytes
		places[pg.class] += int64(pg.capacity)
		if pg.live == 0 || pg.live > pg.capacity || pg.live < pg.low || pg.live >= pg.high {
			m.t.Fatalf("page %d has %d of %d blocks, its list is %d", i, pg.live, pg.capacity, pg.list)
		}
		if pg.list == sparse {
			moving[pg.class] += int64(pg.live)
			sparseBytes += int64(pg.live) * int64(pg.size)
		} else {
			room[pg.class] += int64(pg.capacity - pg.live)
		}
	}
	if touched != a.MappedBytes() || sparseBytes != a.SparseBytes() {
		m.t.Fatalf("mapped %d, sparse %d, want %d, %d", a.MappedBytes(), a.SparseBytes(), touched, sparseBytes)
	}
	if int(a.MappedBytes()) > m.src.bytes || a.LiveBytes() > a.MappedBytes() {
		m.t.Fatalf("live %d, mapped %d, source gave %d", a.LiveBytes(), a.MappedBytes(), m.src.bytes)
	}
	for k := range a.classes {
		c, k8 := &a.classes[k], uint8(k)
		if c.room != room[k8] || c.moving != moving[k8] || c.places != places[k8] {
			m.t.Fatalf("class %d: room %d moving %d places %d, want %d %d %d",
				k, c.room, c.moving, c.places, room[k8], moving[k8], places[k8])
		}
	}
}

func TestClasses(t *testing.T) {
	last := 0
	for n := 1; n <= maxSmall; n++ {
		size := ClassSize(n)
		switch {
		case size < n || size < last || size%granuleBytes != 0 || ClassSize(size) != size:
			t.Fatalf("%d bytes cost %d, the size before %d", n, size, last)
		case n <= fineEnd && size >= n+4, n > fineEnd && n <= middleEnd && size >= n+8:
			t.Fatalf("%d bytes cost %d", n, size)
		case size != last && n > middleEnd && size-last > last>>wideBits:
			t.Fatalf("a class of %d follows one of %d", size, last)
		}
		last = size
	}
	if last != maxSmall {
		t.Fatalf("the last class is %d", last)
	}
	for k := range allClasses {
		if got := classOf(classBytes(k)); got != k || classOf(classBytes(k)-3) != k {
			t.Fatalf("class %d, of %d bytes, reads as %d", k, classBytes(k), got)
		}
		size, coarser := classBytes(k), classBytes(coarse(k))
		if more := coarser - size; more < 0 || size <= 64 && more > 4 || size > 64 && more > max(12, size/5) || !Fits(size, coarser) {
			t.Fatalf("for %d bytes an arena of many sizes uses %d", size, coarser)
		}
	}
	for _, n := range []int{maxSmall + 1, 1 << 20, 1<<20 + 1, maxBlock} {
		if size := ClassSize(n); size < n || size >= n+systemPage || size%systemPage != 0 {
			t.Fatalf("%d bytes cost %d", n, size)
		}
	}
}

// release gives the whole arena back.
func (m *model) release() {
	for !m.a.ReleaseSome(1 << 20) {
	}
}

func TestEmptyArenaHoldsNothing(t *testing.T) {
	m := newModel(t)
	m.release()
	if m.src.bytes != 0 || m.a.MappedBytes() != 0 || m.a.Blocks() != 0 {
		t.Fatal("an empty arena holds memory")
	}
	m.alloc(10, 1)
	if m.src.bytes != systemPage || m.a.MappedBytes() != systemPage {
		t.Fatalf("one block maps %d, counted %d", m.src.bytes, m.a.MappedBytes())
	}
	m.alloc(100000, 1)
	m.release()
	if len(m.src.mapped) != 0 || m.a.MappedBytes() != 0 || m.a.LiveBytes() != 0 || m.a.Blocks() != 0 {
		t.Fatal("a released arena holds memory")
	}
	m.live, m.refs, m.bytes = map[Ref]block{}, nil, 0
	m.alloc(10, 2)
	m.verify()
}

// someSize favours small blocks and reaches all classes and large blocks.
func someSize(r *rand.Rand) int {
	switch r.IntN(20) {
	case 0:
		return 1 + r.IntN(3*maxSmall)
	case 1, 2, 3:
		return 1 + r.IntN(4096)
	default:
		return 1 + r.IntN(300)
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newModel(t)
		target := 0
		for i := range 60000 {
			if i%10000 == 0 {
				target = []int{20000, 1000, 5000, 0}[r.IntN(4)]
			}
			switch k := r.IntN(10); {
			case len(m.refs) == 0 || k < 7 && len(m.refs) < target || k < 3:
				m.alloc(someSize(r), byte(r.Uint32()))
			case k < 9:
				m.free(m.refs[r.IntN(len(m.refs))])
			default:
				ref := m.refs[r.IntN(len(m.refs))]
				b := m.live[ref]
				m.check(ref)
				b.seed++
				fill(m.a.Bytes(ref), b.seed)
				m.live[ref] = b
			}
			if i%5000 == 0 {
				m.verify()
				m.move()
				m.verify()
			}
		}
		for len(m.refs) > 0 {
			m.free(m.refs[len(m.refs)-1])
		}
		m.verify()
		if m.a.MappedBytes() > 3*pageBytes+idleFloor {
			t.Fatalf("seed %d: an emptied arena keeps %d bytes", seed, m.a.MappedBytes())
		}
		m.release()
		if len(m.src.mapped) != 0 {
			t.Fatal("memory is left after the release")
		}
	}
}

// FuzzArena reads four bytes an operation: what, and a size or a victim.
func FuzzArena(f *testing.F) {
	f.Add([]byte{0, 0, 10, 0, 0, 0, 10, 0, 1, 0, 0, 0, 3, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{0, 0x80, 0, 1, 0, 0, 1, 1, 1, 0, 7, 0}, 50))
	f.Add(bytes.Repeat([]byte{4, 0x40, 200, 1, 5, 0, 3, 0, 2, 0, 0, 0}, 20))
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := newModel(t)
		for ops = ops[:min(len(ops), 4*200)]; len(ops) >= 4; ops = ops[4:] {
			arg := int(binary.BigEndian.Uint16(ops[1:3]))
			switch ops[0] % 6 {
			case 0:
				m.alloc(arg+1, ops[3])
			case 1:
				if len(m.refs) > 0 {
					m.free(m.refs[arg%len(m.refs)])
				}
			case 2:
				m.move()
			case 3:
				m.verify()
			case 4: // many of one size
				for range min(int(ops[3]), 1+(1<<17)/(arg+1)) {
					m.alloc(arg+1, ops[3])
				}
			case 5: // most of them go
				for i := 0; i < len(m.refs); i++ {
					if i%8 != arg%8 {
						m.free(m.refs[i])
					}
				}
			}
		}
		m.settle()
		m.verify()
	})
}

// TestWarmLeavesUsedPages: what was made ready and is not wanted after all goes
// back to the source, and nothing else does, in an arena that grows and has
// pages of several lengths coming back in between.
func TestWarmLeavesUsedPages(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := newModel(t)
		for m.a.MappedBytes() < 48<<20 {
			size := []int{60, 300, 1500, 7000, 20_000}[r.IntN(5)]
			first := len(m.refs)
			for range (1 + r.IntN(2<<20)) / size {
				m.alloc(size, byte(size))
			}
			if r.IntN(2) == 0 { // pages of these become free, in some order
				for n := len(m.refs) - first; n > 0; n-- {
					m.free(m.refs[first+r.IntN(len(m.refs)-first)])
				}
			}
		}
		for _, ref := range m.refs {
			m.check(ref)
		}
		m.verify()
	}
}

// TestWarm: an arena that grows has its next pages made ready, one that has been
// larger or is small has not.
func TestWarm(t *testing.T) {
	src := newCountingSource(t)
	a := New(src)
	var refs []Ref
	// fill reports how many pages were taken, and of how many the first block was
	// ready.
	fill := func(upto int64) (taken, ready int) {
		src.warmed = nil
		for a.MappedBytes() < upto {
			used := a.pools[pools-1].usedPages
			r := a.Alloc(100)
			refs = append(refs, r)
			if a.pools[pools-1].usedPages == used {
				continue
			}
			taken++
			first := &a.Bytes(r)[0]
			for _, p := range src.warmed {
				for at := 0; at < len(p); at += pageBytes {
					if &p[at] == first {
						ready++
					}
				}
			}
		}
		return taken, ready
	}
	if fill(warmPart * systemPage / 2); len(src.warmed) > 0 {
		t.Errorf("%d pages of a small arena", len(src.warmed))
	}
	const large = warmPart * pageBytes
	fill(large)
	fill(2 * large)
	// Now two and more at a time.
	taken, ready := fill(6 * large)
	bytes := 0
	for _, p := range src.warmed {
		bytes += len(p)
		if int64(len(p)) > a.MappedBytes()/warmPart {
			t.Errorf("%d bytes at once where the arena has %d", len(p), a.MappedBytes())
		}
	}
	if taken < 300 || ready < taken*7/8 || bytes > 5*large || len(src.warmed) > taken/2 {
		t.Errorf("%d of %d pages were ready; they have %d bytes, in %d steps", ready, taken, bytes, len(src.warmed))
	}
	for _, r := range refs[len(refs)/2:] {
		a.Free(r)
	}
	refs = refs[:len(refs)/2]
	if fill(a.mostMapped - pageBytes); len(src.warmed) > 0 {
		t.Errorf("%d pages of an arena that was larger", len(src.warmed))
	}
}
