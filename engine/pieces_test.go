package engine

import "testing"

// TestPieces: a list gives back what it was given, the last first, and no value
// is moved by those that come after it.
func TestPieces(t *testing.T) {
	var p pieces[int]
	if _, ok := p.pop(); ok {
		t.Fatal("a value of an empty list")
	}
	const n = 5*pieceLen + 7
	for i := range pieceLen {
		p.add(i)
	}
	first := &p[0][0]
	for i := pieceLen; i < n; i++ {
		p.add(i)
	}
	if len(p) != 6 || &p[0][0] != first {
		t.Fatalf("%d pieces, the first value moved: %v", len(p), &p[0][0] != first)
	}
	for i := n - 1; i >= 0; i-- {
		if v, ok := p.pop(); !ok || v != i {
			t.Fatalf("got %d %v, want %d", v, ok, i)
		}
		if i%3 == 0 { // it goes on growing where it was
			p.add(-1)
			if v, _ := p.pop(); v != -1 {
				t.Fatalf("got %d", v)
			}
		}
	}
	if _, ok := p.pop(); ok || len(p) != 0 {
		t.Fatal("values are left")
	}
}
