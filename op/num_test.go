package op

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func (n Num) bigInt() *big.Int {
	i := new(big.Int).Lsh(big.NewInt(n.hi), 64)
	return i.Add(i, new(big.Int).SetUint64(n.lo))
}

func TestIntegersAgainstBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	small := func() Num { // sums stay within 128 bits
		return Num{hi: int64(rnd.Uint64()) >> (1 + rnd.IntN(63)), lo: rnd.Uint64()}
	}
	for range 20000 {
		a, b := small(), small()
		if got, want := a.Add(b).bigInt(), new(big.Int).Add(a.bigInt(), b.bigInt()); got.Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v", a.bigInt(), b.bigInt(), got)
		}
		if got, want := a.Sub(b).bigInt(), new(big.Int).Sub(a.bigInt(), b.bigInt()); got.Cmp(want) != 0 {
			t.Fatalf("%v - %v = %v", a.bigInt(), b.bigInt(), got)
		}
		v, clamped := a.Clamp()
		switch i := a.bigInt(); {
		case i.IsInt64():
			if clamped || v != i.Int64() {
				t.Fatalf("clamp of %v: %d %v", i, v, clamped)
			}
		case !clamped || i.Sign() > 0 != (v == math.MaxInt64):
			t.Fatalf("clamp of %v: %d %v", i, v, clamped)
		}
		if a.Equal(b) != (a.bigInt().Cmp(b.bigInt()) == 0) || !a.Equal(a) {
			t.Fatal("equality")
		}
	}
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got, clamped := Int(v).Clamp(); got != v || clamped || Int(v).IsZero() != (v == 0) {
			t.Errorf("%d: %d %v", v, got, clamped)
		}
	}
}

func TestFloatsAgainstBig(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		a, b := randomNum(rnd), randomNum(rnd)
		if !a.IsFloat() && !b.IsFloat() {
			continue
		}
		for _, c := range []struct{ got, want *big.Float }{
			{a.Add(b).BigFloat(), new(big.Float).SetPrec(FloatPrec).Add(a.BigFloat(), b.BigFloat())},
			{a.Sub(b).BigFloat(), new(big.Float).SetPrec(FloatPrec).Sub(a.BigFloat(), b.BigFloat())},
		} {
			if c.got.Cmp(c.want) != 0 || c.got.Prec() != FloatPrec {
				t.Fatalf("%v, want %v", c.got, c.want)
			}
		}
		if a.Equal(b) {
			if a.BigFloat().Cmp(b.BigFloat()) != 0 {
				t.Fatal("equality")
			}
		}
	}
}

func TestNumRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		n := randomNum(rnd)
		got, rest, err := DecodeNum(append(n.Append(nil), 7))
		if err != nil || len(rest) != 1 || !got.Equal(n) {
			t.Fatalf("%v %x: %+v, want %+v", err, rest, got, n)
		}
	}
	beyond := new(big.Float).SetMantExp(big.NewFloat(0.5), 1<<16)
	if _, _, err := DecodeNum(Float(beyond).Append(nil)); err == nil {
		t.Error("a number far beyond a long double is accepted")
	}
}
