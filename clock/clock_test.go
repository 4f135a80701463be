package clock

import (
	"testing"
)

func TestHLCIncreasesWhateverTheWallDoes(t *testing.T) {
	w := NewManual(1000)
	h := NewHLC(w, 0)
	prev := Reading(0)
	for i, step := range []int64{0, 5, -500, 0, 1, 100, -1} {
		w.Advance(step)
		n := i%3 + 1
		r := h.Take(n)
		if r <= prev {
			t.Fatalf("step %d: %d after %d", i, r, prev)
		}
		prev = r + Reading(n) - 1
	}
	h.Observe(ReadingAt(5000))
	if r := h.Take(1); r <= ReadingAt(5000) {
		t.Fatalf("took %d below an observed reading", r)
	}
}

func TestTokenRoundTrip(t *testing.T) {
	s := Stamp{ReadingAt(1700000000000) + 7, NewOrigin("toronto", 123456789)}
	tok := s.AppendToken(nil)
	if len(tok) != TokenLen {
		t.Fatalf("token of %d bytes", len(tok))
	}
	got, ok := ParseToken(tok)
	if !ok || got != s {
		t.Fatalf("got %v %v, want %v", got, ok, s)
	}
	for _, bad := range []string{"", "0", string(tok[:32]), "zz" + string(tok[2:])} {
		if _, ok := ParseToken([]byte(bad)); ok {
			t.Errorf("%q parsed", bad)
		}
	}
}

func TestVector(t *testing.T) {
	a, b := NewOrigin("a", 1), NewOrigin("b", 1)
	v := Vector{a: 10}
	w := Vector{a: 5, b: 3}
	if v.CoversAll(w) || !v.Covers(Stamp{10, a}) || v.Covers(Stamp{11, a}) || !v.Covers(Stamp{}) {
		t.Fatal("coverage is wrong")
	}
	m := Min(v, w)
	if !m.Equal(Vector{a: 5}) {
		t.Fatalf("min is %v", m)
	}
	v.Merge(w)
	if !v.Equal(Vector{a: 10, b: 3}) {
		t.Fatalf("merge is %v", v)
	}
	got, rest, err := DecodeVector(append(v.Append(nil), 'x'))
	if err != nil || string(rest) != "x" || !got.Equal(v) {
		t.Fatalf("decoded %v %q %v", got, rest, err)
	}
}

func FuzzDecodeVector(f *testing.F) {
	f.Add(Vector{NewOrigin("a", 1): 10}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, _, err := DecodeVector(b)
		if err != nil {
			return
		}
		again, _, err := DecodeVector(v.Append(nil))
		if err != nil || !again.Equal(v) {
			t.Fatalf("%v became %v (%v)", v, again, err)
		}
	})
}
