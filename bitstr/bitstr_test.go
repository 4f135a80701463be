package bitstr

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func bitAt(b []byte, i int64) uint8 {
	if i/8 >= int64(len(b)) {
		return 0
	}
	return b[i/8] >> (7 - i%8) & 1
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		switch random.IntN(4) {
		case 0:
			b[i] = 0xff
		case 1:
			b[i] = byte(random.Uint32())
		}
	}
	return b
}

// covered is Range.span bit by bit.
func covered(b []byte, r Range) (places []int64) {
	length := int64(len(b))
	if r.Unit == Bits {
		length *= 8
	}
	end := func(i int64) int64 {
		if i < 0 {
			i = max(0, length+i)
		}
		return i
	}
	last := end(r.End)
	if r.OpenEnd {
		last = length
	}
	for i := end(r.Start); i <= last && i < length; i++ {
		if r.Unit == Bits {
			places = append(places, i)
			continue
		}
		for k := range int64(8) {
			places = append(places, i*8+k)
		}
	}
	return places
}

func TestCountAndPosition(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		b := randomBytes(random, random.IntN(50))
		if random.IntN(4) == 0 {
			b = bytes.Repeat([]byte{byte(-random.IntN(2))}, len(b))
		}
		r := Range{Start: random.Int64N(900) - 450, End: random.Int64N(900) - 450, Unit: Unit(random.IntN(2))}
		if r.Unit == Bytes {
			r.Start /= 7
			r.End /= 7
		}
		if random.IntN(4) == 0 {
			r = Range{Start: r.Start, OpenEnd: true}
		}
		var count int64
		position := [2]int64{-1, -1}
		places := covered(b, r)
		for _, i := range places {
			bit := bitAt(b, i)
			count += int64(bit)
			if position[bit] < 0 {
				position[bit] = i
			}
		}
		if position[0] < 0 && r.OpenEnd && len(places) > 0 {
			position[0] = int64(len(b)) * 8
		}
		if r.Start < 0 && r.End < 0 && r.Start > r.End {
			count = 0
		}
		if got := Count(b, r); got != count {
			t.Fatalf("%x %+v: %d set, want %d", b, r, got, count)
		}
		for bit, want := range position {
			if got := Position(b, uint8(bit), r); got != want {
				t.Fatalf("%x %+v: bit %d at %d, want %d", b, r, bit, got, want)
			}
		}
	}
}

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		in        string
		ones      int64
		set, zero int64
	}{
		{"", 0, -1, -1}, {"foobar", 26, 1, 0}, {"\xff\xff", 16, 0, 16}, {"\x00\x00", 0, -1, 0},
	} {
		b := []byte(c.in)
		if Count(b, Whole()) != c.ones || Position(b, 1, Whole()) != c.set || Position(b, 0, Whole()) != c.zero {
			t.Errorf("%q: %d, %d, %d", c.in, Count(b, Whole()), Position(b, 1, Whole()), Position(b, 0, Whole()))
		}
	}
}

// naive is Combine for one bit.
func naive(op Op, sources []uint8) bool {
	all, others := 0, 0
	for i, s := range sources {
		all += int(s)
		if i > 0 {
			others += int(s)
		}
	}
	first := sources[0] == 1
	switch op {
	case And:
		return all == len(sources)
	case Or:
		return all > 0
	case Xor:
		return all%2 == 1
	case Not:
		return !first
	case One:
		return all == 1
	case Diff:
		return first && others == 0
	case Diff1:
		return !first && others > 0
	}
	return first && others > 0
}

func TestCombine(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		for op := And; op <= AndOr; op++ {
			least, most := op.Sources()
			sources := make([][]byte, least+random.IntN(4))
			if most > 0 {
				sources = sources[:most]
			}
			length := 0
			for i := range sources {
				n := random.IntN(70)
				if random.IntN(100) == 0 {
					n += chunk
				}
				sources[i] = randomBytes(random, n)
				length = max(length, n)
			}
			got := Combine(op, randomBytes(random, random.IntN(100)), sources...)
			if len(got) != length {
				t.Fatalf("operator %d: %d bytes, want %d", op, len(got), length)
			}
			bit := make([]uint8, len(sources))
			for i := range int64(length) * 8 {
				for k, s := range sources {
					bit[k] = bitAt(s, i)
				}
				if want := naive(op, bit); want != (bitAt(got, i) == 1) {
					t.Fatalf("operator %d, bit %d of %v: want %v", op, i, bit, want)
				}
			}
		}
	}
}

func TestParseOp(t *testing.T) {
	for i, name := range []string{"and", "OR", "xOr", "not", "one", "diff", "diff1", "andor"} {
		if op, ok := ParseOp([]byte(name)); !ok || op != Op(i) {
			t.Errorf("%s: %d, %v", name, op, ok)
		}
	}
	for _, name := range []string{"", "nand", "difference", "an"} {
		if _, ok := ParseOp([]byte(name)); ok {
			t.Errorf("%s is taken", name)
		}
	}
}

func fields() (all []Field) {
	for n := uint8(1); n <= 64; n++ {
		all = append(all, Field{Signed: true, Bits: n})
		if n < 64 {
			all = append(all, Field{Bits: n})
		}
	}
	return all
}

func TestParseField(t *testing.T) {
	for _, want := range fields() {
		letter := "u"
		if want.Signed {
			letter = "i"
		}
		if f, ok := ParseField(fmt.Appendf(nil, "%s%d", letter, want.Bits)); !ok || f != want {
			t.Errorf("%v: %v, %v", want, f, ok)
		}
	}
	for _, name := range []string{"", "u", "i0", "u0", "u64", "i65", "i08", "x8", "8", "i-1", "i+1", "u100", "U8", "i1x"} {
		if f, ok := ParseField([]byte(name)); ok {
			t.Errorf("%s is %v", name, f)
		}
	}
}

func TestGetAndPut(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	for range 300 {
		for _, f := range fields() {
			b := randomBytes(random, 12+random.IntN(20))
			offset := random.Int64N(int64(len(b))*8 + 20)
			var want uint64
			for i := range int64(f.Bits) {
				want = want<<1 | uint64(bitAt(b, offset+i))
			}
			if got := f.Get(b, offset); got != f.extend(want) {
				t.Fatalf("%+v at %d of %x: %d, want %d", f, offset, b, got, f.extend(want))
			}
			if f.End(offset) > int64(len(b)) {
				continue
			}
			after, v := bytes.Clone(b), int64(random.Uint64())
			f.Put(after[:f.End(offset)], offset, v)
			for i := range int64(len(b)) * 8 {
				want := bitAt(b, i)
				if i >= offset && i < offset+int64(f.Bits) {
					want = uint8(uint64(v) >> (int64(f.Bits) - 1 - (i - offset)) & 1)
				}
				if bitAt(after, i) != want {
					t.Fatalf("%+v at %d: bit %d is wrong", f, offset, i)
				}
			}
		}
	}
}

// TestOverflow compares with arithmetic that does not overflow.
func TestOverflow(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 11))
	pick := func(f Field) int64 {
		edges := []int64{0, 1, -1, f.min(), f.max(), f.max() - 1, f.min() + 1, math.MaxInt64, math.MinInt64, int64(random.Uint64())}
		return edges[random.IntN(len(edges))]
	}
	for range 500 {
		for _, f := range fields() {
			value, increment := f.extend(uint64(pick(f))&(1<<(f.Bits-1)<<1-1)), pick(f)
			check(t, f, new(big.Int).Add(big.NewInt(value), big.NewInt(increment)), func(mode Overflow) (int64, bool) {
				return f.Add(value, increment, mode)
			})
			set := big.NewInt(increment)
			if !f.Signed {
				set.SetUint64(uint64(increment))
			}
			if f.Signed && f.Bits < 64 && f.max()-increment < 0 && increment < 0 {
				// Redis takes it for too large.
				if v, ok := f.Fit(increment, Saturate); !ok || v != f.max() {
					t.Fatalf("%+v: %d ends at %d", f, increment, v)
				}
				continue
			}
			check(t, f, set, func(mode Overflow) (int64, bool) { return f.Fit(increment, mode) })
		}
	}
}

func check(t *testing.T, f Field, exact *big.Int, got func(Overflow) (int64, bool)) {
	t.Helper()
	least, most := big.NewInt(f.min()), big.NewInt(f.max())
	nearest := exact
	if exact.Cmp(most) > 0 {
		nearest = most
	} else if exact.Cmp(least) < 0 {
		nearest = least
	}
	fits := nearest == exact
	low := new(big.Int).And(exact, new(big.Int).SetUint64(1<<(f.Bits-1)<<1-1)).Uint64()
	if v, ok := got(Wrap); !ok || v != f.extend(low) {
		t.Fatalf("%+v: %v wraps to %d", f, exact, v)
	}
	if v, ok := got(Saturate); !ok || v != nearest.Int64() {
		t.Fatalf("%+v: %v ends at %d, want %v", f, exact, v, nearest)
	}
	if v, ok := got(Fail); ok != fits || ok && v != exact.Int64() {
		t.Fatalf("%+v: %v gives %d, %v", f, exact, v, ok)
	}
}

func BenchmarkKernels(b *testing.B) {
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	dst := make([]byte, 1<<20)
	b.Run("count", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for b.Loop() {
			Count(x, Whole())
		}
	})
	b.Run("position", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for b.Loop() {
			Position(x, 1, Whole())
		}
	})
	for name, op := range map[string]Op{"and": And, "xor": Xor, "one": One, "diff": Diff, "not": Not} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(1 << 20)
			sources := [][]byte{x, y}
			if op == Not {
				sources = sources[:1]
			}
			for b.Loop() {
				Combine(op, dst, sources...)
			}
		})
	}
}
