package op

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"geocache/clock"
)

func FuzzParseBatch(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		h := Header{Origin: clock.NewOrigin("a", 1), First: 1000}
		b := Builder{Origin: h.Origin}
		for range 1 + rnd.IntN(4) {
			buildOp(rnd, &b, h)
		}
		h.Count = b.Len()
		f.Add(AppendBatch(nil, h, b.Body()))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBatch(raw)
		if err != nil {
			return
		}
		n := 0
		for range b.Ops() {
			n++
		}
		if ok := b.Check() == nil; ok != (n == b.Count && len(raw) > 0) && ok {
			t.Fatalf("checked, but %d ops of %d", n, b.Count)
		}
		if !bytes.Equal(AppendBatch(nil, b.Header, b.body), raw) {
			// Only a number spelled with needless bytes may come back shorter.
			again, err := ParseBatch(AppendBatch(nil, b.Header, b.body))
			if err != nil || again.Last() != b.Last() {
				t.Fatal("the header does not survive")
			}
		}
	})
}

func FuzzKeyState(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		s := randomState(rnd)
		f.Add(s.Append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := DecodeKeyState(raw)
		if err != nil {
			return
		}
		once := s.Append(nil)
		again, err := DecodeKeyState(once)
		if err != nil || !bytes.Equal(again.Append(nil), once) {
			t.Fatalf("%v: does not survive: %+v", err, s)
		}
	})
}

func FuzzNum(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		f.Add(randomNum(rnd).Append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, _, err := DecodeNum(raw)
		if err != nil {
			return
		}
		again, rest, err := DecodeNum(n.Append(nil))
		if err != nil || len(rest) > 0 || !again.Equal(n) {
			t.Fatalf("%v: %+v became %+v", err, n, again)
		}
		n.Clamp()
		n.Add(n)
		n.Sub(n)
	})
}
