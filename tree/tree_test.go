package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/slab"
)

// model is a tree beside the plain slice that it should equal.
type model struct {
	t      testing.TB
	tree   Tree
	elems  []Elem
	sorted bool
	// Elements put and removed one by one: the ways to do so take turns.
	changed, popped int
}

func newModel(t testing.TB, shape Shape) *model {
	return &model{t: t, tree: Tree{A: slab.New(slab.Heap()), Shape: shape}}
}

func (m *model) insert(rank int, e Elem) {
	m.tree.Insert(rank, e)
	m.elems = slices.Insert(m.elems, rank, e)
}

// put inserts or replaces by key.
func (m *model) put(e Elem) {
	rank, found := m.tree.Seek(e.Key)
	want, known := slices.BinarySearchFunc(m.elems, e.Key, func(e Elem, k []byte) int { return bytes.Compare(e.Key, k) })
	if rank != want || found != known {
		m.t.Fatalf("Seek(%.20q) = %d, %v, want %d, %v", e.Key, rank, found, want, known)
	}
	switch m.changed++; {
	case found && m.changed%2 == 0:
		m.replace(rank, e)
	case found:
		m.tree.DeleteKey(e.Key)
		m.tree.InsertKey(e)
		m.elems[rank] = e
	case m.changed%2 == 0:
		m.insert(rank, e)
	default:
		m.tree.InsertKey(e)
		m.elems = slices.Insert(m.elems, rank, e)
	}
}

func (m *model) replace(rank int, e Elem) {
	m.tree.Replace(rank, e)
	m.elems[rank] = e
}

func (m *model) deleteRange(rank, n int) {
	switch {
	case n != 1:
		m.tree.DeleteRange(rank, n)
	case m.popped%3 == 0:
		m.popped++
		m.tree.Delete(rank)
	case m.popped%3 == 1 && m.sorted:
		m.popped++
		m.tree.DeleteKey(m.elems[rank].Key)
	default:
		m.popped++
		if got := m.tree.Pop(rank, []byte("before")); string(got) != "before"+string(m.elems[rank].Val) {
			m.t.Fatalf("Pop(%d) gives %.30q, want the value %.20q", rank, got, m.elems[rank].Val)
		}
	}
	m.elems = slices.Delete(m.elems, rank, rank+n)
}

func equal(a, b Elem) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Val, b.Val) && bytes.Equal(a.Ext, b.Ext)
}

// check compares the tree with the slice, and its account with the arena's, whose only user it is.
func (m *model) check() {
	m.t.Helper()
	if err := m.tree.Check(); err != nil {
		m.t.Fatal(err)
	}
	if m.tree.Len() != len(m.elems) || m.tree.MemBytes() != m.tree.A.LiveBytes() {
		m.t.Fatalf("Len %d of %d, MemBytes %d of %d", m.tree.Len(), len(m.elems), m.tree.MemBytes(), m.tree.A.LiveBytes())
	}
	root, rest := DecodeRoot(append(m.tree.Root.Append(nil), 7))
	if again := (&Tree{A: m.tree.A, Root: root}); len(rest) != 1 || again.MemBytes() != m.tree.MemBytes() {
		m.t.Fatalf("root %+v reads as %+v", m.tree.Root, root)
	}
	m.tree.Root = root
	i := 0
	m.tree.Ascend(0, func(e Elem) bool {
		if !equal(e, m.elems[i]) {
			m.t.Fatalf("element %d of %d is %.40q, want %.40q", i, len(m.elems), e, m.elems[i])
		}
		i++
		return true
	})
	if i != len(m.elems) {
		m.t.Fatalf("Ascend ended at %d of %d", i, len(m.elems))
	}
}

// probe looks at some rank in all ways.
func (m *model) probe(rng *rand.Rand) {
	m.t.Helper()
	if len(m.elems) == 0 {
		return
	}
	rank := rng.IntN(len(m.elems))
	if e := m.tree.At(rank); !equal(e, m.elems[rank]) {
		m.t.Fatalf("At(%d) = %.40q, want %.40q", rank, e, m.elems[rank])
	}
	if m.tree.Shape == Keyed {
		e, at, found := m.tree.Scan(m.elems[rank].Key)
		if m.sorted {
			e, at, found = m.tree.Find(m.elems[rank].Key)
		}
		if !found || !equal(e, m.elems[at]) || (m.sorted && at != rank) {
			m.t.Fatalf("Find of %d = %d, %v", rank, at, found)
		}
	}
	for i, left := rank, 40; i < len(m.elems) && left > 0; left-- {
		m.tree.Ascend(i, func(e Elem) bool {
			if !equal(e, m.elems[i]) {
				m.t.Fatalf("Ascend from %d: wrong at %d", rank, i)
			}
			i++
			return i%7 != 0
		})
	}
	seen, n := 0, rng.IntN(len(m.elems)-rank+1)
	m.tree.Values(rank, n, func(val []byte) {
		if string(val) != string(m.elems[rank+seen].Val) {
			m.t.Fatalf("Values from %d: wrong at %d", rank, rank+seen)
		}
		seen++
	})
	if seen != n {
		m.t.Fatalf("%d Values from %d, want %d", seen, rank, n)
	}
	i := rank
	m.tree.Descend(rank, func(e Elem) bool {
		if !equal(e, m.elems[i]) {
			m.t.Fatalf("Descend from %d: wrong at %d", rank, i)
		}
		i--
		return rank-i < 500
	})
	if i >= 0 && rank-i < 500 {
		m.t.Fatalf("Descend from %d ended at %d", rank, i)
	}
}

func fill(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
	}
	return b
}

// someLen is mostly small, sometimes around limits, at times huge.
func someLen(rng *rand.Rand) int {
	switch rng.IntN(200) {
	case 0:
		return rng.IntN(200_000)
	case 1, 2, 3:
		return rng.IntN(3000)
	case 4, 5, 6, 7, 8, 9:
		return 50 + rng.IntN(100)
	}
	return rng.IntN(24)
}

func someElem(rng *rand.Rand, shape Shape) Elem {
	e := Elem{Val: fill(rng, someLen(rng))}
	if rng.IntN(4) == 0 {
		e.Ext = fill(rng, 1+rng.IntN(20))
		if rng.IntN(20) == 0 {
			e.Ext = fill(rng, 200)
		}
	}
	if shape == Keyed {
		e.Key = someKey(rng)
	}
	return e
}

// someKey has keys with common starts of all lengths, also beyond what a separator holds.
func someKey(rng *rand.Rand) []byte {
	switch rng.IntN(30) {
	case 0:
		return append(bytes.Repeat([]byte("x"), 2000), fill(rng, 3)...)
	case 1, 2, 3:
		return append(bytes.Repeat([]byte("k"), rng.IntN(80)), fill(rng, 3)...)
	case 4:
		return fill(rng, rng.IntN(2))
	}
	return fmt.Appendf(nil, "field:%06d", rng.IntN(100_000))
}

func TestModel(t *testing.T) {
	for _, shape := range []Shape{Keyed, Sequence} {
		for _, order := range []string{"sorted", "unsorted"} {
			if shape == Sequence && order == "sorted" {
				continue
			}
			t.Run(fmt.Sprint(shape, order), func(t *testing.T) {
				for seed := range uint64(3) {
					testModel(t, shape, order == "sorted", rand.New(rand.NewPCG(seed, 2)))
				}
			})
		}
	}
}

func testModel(t *testing.T, shape Shape, sorted bool, rng *rand.Rand) {
	m := newModel(t, shape)
	m.sorted = sorted
	for round := range 40 {
		growing := rng.IntN(100) < 70
		for range rng.IntN(400) {
			m.step(rng, growing)
		}
		if rng.IntN(3) == 0 && len(m.elems) > 0 {
			rank := rng.IntN(len(m.elems))
			m.deleteRange(rank, rng.IntN(len(m.elems)-rank+1))
		}
		m.check()
		m.probe(rng)
		if round%10 == 9 {
			m.deleteRange(0, len(m.elems))
			m.check()
		}
	}
}

func (m *model) step(rng *rand.Rand, growing bool) {
	n := len(m.elems)
	e := someElem(rng, m.tree.Shape)
	switch {
	case n > 0 && rng.IntN(10) < 3 || (!growing && n > 0):
		m.deleteRange(rng.IntN(n), 1)
	case m.sorted:
		m.put(e)
	case n > 0 && rng.IntN(5) == 0:
		m.replace(rng.IntN(n), e)
	default:
		m.insert([...]int{0, n, rng.IntN(n + 1)}[rng.IntN(3)], e)
	}
}

// TestDeleteRange cuts every kind of range out of trees of three levels.
func TestDeleteRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, shape := range []Shape{Keyed, Sequence} {
		for range 5 {
			m := newModel(t, shape)
			m.sorted = shape == Keyed
			for i := range 8000 {
				e := Elem{Val: fill(rng, 3+rng.IntN(60))}
				if shape == Keyed {
					e.Key = fmt.Appendf(nil, "%08d", i)
				}
				m.insert(i, e)
			}
			for range 12 {
				if len(m.elems) == 0 {
					break
				}
				rank := rng.IntN(len(m.elems))
				n := rng.IntN(len(m.elems) - rank + 1)
				if rng.IntN(2) == 0 {
					n = min(n, rng.IntN(200))
				}
				m.deleteRange(rank, n)
				m.check()
				m.probe(rng)
			}
		}
	}
}

// TestDrain empties large trees one by one, which must leave no sparse nodes behind on the way.
func TestDrain(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, from := range []string{"front", "back", "anywhere"} {
		m := newModel(t, Keyed)
		m.sorted = true
		const n = 4000
		for i := range n {
			m.insert(i, Elem{Key: fmt.Appendf(nil, "%08d", i), Val: fill(rng, 8)})
		}
		full := m.tree.MemBytes() / n
		for len(m.elems) > 0 {
			m.deleteRange(map[string]int{"front": 0, "back": len(m.elems) - 1, "anywhere": rng.IntN(len(m.elems))}[from], 1)
			if left := len(m.elems); left%500 == 0 {
				m.check()
				if left > 0 && m.tree.MemBytes()/int64(left) > full+3 {
					t.Errorf("%s: %d bytes each of %d left, %d at first", from, m.tree.MemBytes()/int64(left), left, full)
				}
			}
		}
	}
}

func TestReplaceLighter(t *testing.T) {
	m := newModel(t, Sequence)
	for i := range 3000 {
		m.insert(i, Elem{Val: make([]byte, 700)})
	}
	for i := range 3000 {
		m.replace(i, Elem{Val: []byte("12345678")})
	}
	m.check()
	if got := float64(m.tree.MemBytes()) / 3000; got > 9.7 {
		t.Errorf("%.1f bytes for each element of 9", got)
	}
}

func TestHugeKeys(t *testing.T) {
	m := newModel(t, Keyed)
	m.sorted = true
	start := bytes.Repeat([]byte("huge"), 50_000)
	for i := range 40 {
		m.put(Elem{Key: fmt.Appendf(start[:len(start):len(start)], "%04d", i*7919%1000), Val: []byte("v")})
		m.put(Elem{Key: fmt.Appendf(nil, "%04d", i)})
	}
	m.check()
	if extra := m.tree.MemBytes() - 40*int64(len(start)); extra > 40*5000 {
		t.Errorf("%d bytes above the keys", extra)
	}
	for len(m.elems) > 0 {
		m.deleteRange(len(m.elems)/2, min(8, len(m.elems)-len(m.elems)/2))
		m.check()
	}
}

func TestFreeSome(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{0, 1, 10, 300, 12_000} {
		for _, step := range []int{0, 1, 3, 1000} {
			m := newModel(t, Sequence)
			for i := range n {
				m.insert(i, Elem{Val: fill(rng, rng.IntN(40))})
			}
			calls := m.tree.A.Blocks()/max(step, 1) + 1
			for !m.tree.FreeSome(step) {
				calls--
				if calls < 0 || m.tree.MemBytes() != m.tree.A.LiveBytes() {
					t.Fatalf("%d elements by %d: MemBytes %d, live %d", n, step, m.tree.MemBytes(), m.tree.A.LiveBytes())
				}
				m.tree.Root, _ = DecodeRoot(m.tree.Root.Append(nil))
			}
			if m.tree.A.Blocks() != 0 || m.tree.Root != (Root{}) {
				t.Errorf("%d elements by %d: %d blocks left", n, step, m.tree.A.Blocks())
			}
		}
	}
}

// TestMove thins out an arena of many trees and lets Move gather what is left.
func TestMove(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	a := slab.New(slab.Heap())
	trees := make([]*model, 30)
	for i := range trees {
		m := &model{t: t, tree: Tree{A: a, Shape: Shape(i % 2)}}
		for range 1500 {
			e := Elem{Val: fill(rng, rng.IntN(60))}
			if m.tree.Shape == Keyed {
				e.Key = fill(rng, 8)
			}
			m.insert(rng.IntN(len(m.elems)+1), e)
		}
		trees[i] = m
	}
	for i, m := range trees {
		if i%5 != 0 {
			m.deleteRange(0, len(m.elems))
		}
	}
	before := a.MappedBytes()
	for pass := range 3 {
		for _, m := range trees {
			for at, step := 0, 1+pass*7; at < m.tree.Len(); {
				next := m.tree.Move(at, step)
				if next <= at {
					t.Fatalf("Move(%d) = %d", at, next)
				}
				at = next
			}
		}
	}
	// Each of some 80 classes keeps a page or two.
	if mapped := a.MappedBytes(); mapped > before*6/10 {
		t.Errorf("%d bytes mapped for %d, %d before", mapped, a.LiveBytes(), before)
	}
	var sum int64
	for _, m := range trees {
		if err := m.tree.Check(); err != nil {
			t.Fatal(err)
		}
		sum += m.tree.MemBytes()
		for i, e := range m.elems {
			if !equal(m.tree.At(i), e) {
				t.Fatalf("element %d changed", i)
			}
		}
	}
	if sum != a.LiveBytes() {
		t.Errorf("trees of %d bytes in an arena of %d", sum, a.LiveBytes())
	}
}

func TestRootSizes(t *testing.T) {
	m := newModel(t, Keyed)
	if got := len(m.tree.Root.Append(nil)); got != 1 {
		t.Errorf("empty root of %d bytes", got)
	}
	for i := range 2000 {
		m.insert(i, Elem{Key: []byte("field"), Val: []byte("value")})
		if got := len(m.tree.Root.Append(nil)); got > 14 || (i < 60 && got > 5) {
			t.Fatalf("root of %d bytes after %d elements", got, i+1)
		}
	}
}

func TestLimits(t *testing.T) {
	for shape, size := range leafMax {
		if slab.ClassSize(size) != size || size-leafHead >= leafLimit {
			t.Errorf("leafMax[%d] = %d", shape, size)
		}
	}
}

func TestRanksOutside(t *testing.T) {
	m := newModel(t, Sequence)
	m.insert(0, Elem{Val: []byte("a")})
	for _, f := range []func(){
		func() { m.tree.At(1) }, func() { m.tree.At(-1) }, func() { m.tree.Insert(2, Elem{}) },
		func() { m.tree.DeleteRange(0, 2) }, func() { m.tree.Replace(1, Elem{}) }, func() { m.tree.DeleteRange(0, -1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
	m.check()
}

// FuzzTree reads operations from bytes: what, where, how long.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Add(bytes.Repeat([]byte("\x00\xf0\x11"), 200))
	f.Add(bytes.Repeat([]byte("\x01\x80\xf8\x05\x10\x01"), 150))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) == 0 {
			return
		}
		kind := ops[0]
		m := newModel(t, Shape(kind&1))
		m.sorted = kind&1 == 0 && kind&2 == 0
		for ops = ops[1:min(len(ops), 3000)]; len(ops) >= 3; ops = ops[3:] {
			m.fuzzStep(ops[0], ops[1], int(ops[2]))
		}
		m.check()
		m.probe(rand.New(rand.NewPCG(uint64(kind), 1)))
		for !m.tree.FreeSome(3) {
		}
		if m.tree.A.Blocks() != 0 {
			t.Errorf("%d blocks left", m.tree.A.Blocks())
		}
	})
}

func (m *model) fuzzStep(what, at byte, size int) {
	n := len(m.elems)
	rank := int(at) * n / 255
	e := Elem{Val: bytes.Repeat([]byte{at}, size*size/40)}
	if m.tree.Shape == Keyed {
		e.Key = bytes.Repeat([]byte{at}, size%90)
	}
	if what&32 != 0 {
		e.Ext = []byte{what, at}
	}
	switch what % 8 {
	case 5:
		rank = min(rank, n-1)
		if rank >= 0 && !m.sorted {
			m.replace(rank, e)
		}
	case 6:
		m.deleteRange(rank, min(size, n-rank))
	case 7:
		m.tree.Move(rank, size)
	default:
		if m.sorted {
			m.put(e)
		} else {
			m.insert(rank, e)
		}
	}
}

// TestCopyTo: a copy in another arena has the same elements and accounts, and a
// life of its own.
func TestCopyTo(t *testing.T) {
	for _, n := range []int{0, 1, 5, 200, 5000} {
		from := Tree{A: slab.New(slab.Heap())}
		for i := range n {
			from.Insert(i, Elem{Key: fmt.Appendf(nil, "key:%08d", i), Val: make([]byte, i%70)})
		}
		if n > 10 {
			from.Insert(n/2, Elem{Key: []byte("key:"), Val: make([]byte, 100_000)})
		}
		to := from.CopyTo(slab.New(slab.Heap()))
		from.DeleteRange(0, from.Len()/2)
		if err := to.Check(); err != nil {
			t.Fatal(err)
		}
		if to.Len() < n || to.MemBytes() != to.A.LiveBytes() {
			t.Fatalf("%d elements in %d bytes of %d", to.Len(), to.MemBytes(), to.A.LiveBytes())
		}
		for i := range n {
			at := i
			if n > 10 && i >= n/2 {
				at++
			}
			if e := to.At(at); string(e.Key) != fmt.Sprintf("key:%08d", i) || len(e.Val) != i%70 {
				t.Fatalf("element %d is %q", at, e.Key)
			}
		}
		for !to.FreeSome(7) {
		}
		if to.A.Blocks() != 0 {
			t.Fatal("blocks are left")
		}
	}
}
