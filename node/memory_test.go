package node

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMemoryBound: used memory stays below 1.02 maxmemory and the largest
// value while sizes change, however little time there is to evict, and a
// collection that is removed counts until it is freed and no longer.
func TestMemoryBound(t *testing.T) {
	r := newRig(t, "appendonly no", "maxmemory 8mb", "maxmemory-policy allkeys-lru")
	us := int64(0)
	r.opts.Micros = func() int64 { us += 1000; return us } // each step is over the budget
	const limit, largest = 8 << 20, 64 << 10
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		size := 1 + rnd.IntN(50<<(i/2000))
		if size > largest {
			size = largest
		}
		r.do(fmt.Sprintf("SET k%d %s", rnd.IntN(100_000), strings.Repeat("x", size)))
		if used := baseBytes + r.engine.UsedBytes(); used > limit+limit/50+largest {
			t.Fatalf("%d bytes used after %d commands", used, i)
		}
		if i%100 == 0 {
			r.tick(10)
		}
	}
	r.do("FLUSHALL", "CONFIG SET maxmemory 0")
	for i := range 3000 {
		r.do(fmt.Sprintf("SADD s member:%09d", i))
	}
	full := r.engine.UsedBytes()
	r.do("UNLINK s")
	if used := r.engine.UsedBytes(); used < full/2 || r.engine.Litter() != 1 {
		t.Fatalf("%d of %d bytes used, %d collections wait", used, full, r.engine.Litter())
	}
	for range 50 {
		r.tick(10)
	}
	if used := r.engine.UsedBytes(); used != 0 || r.MappedBytes() != 0 {
		t.Fatalf("%d bytes used, %d mapped without data", used, r.MappedBytes())
	}
}

// TestTarget: data makes room for pages before they hold what they may, and by
// more the more they hold; once they do, by several times what they are beyond,
// as otherwise a cache whose sizes change outgrows its bound.
func TestTarget(t *testing.T) {
	const limit = 1000 << 20
	for _, c := range []struct{ excess, least, most int64 }{
		{-limit / 10, limit, limit},
		{-limit / 50, limit, limit},
		{-limit / 100, limit * 95 / 100, limit * 97 / 100},
		{0, limit * 90 / 100, limit * 93 / 100},
		{limit / 10, limit * 90 / 100, limit * 90 / 100},
		{limit, limit * 90 / 100, limit * 90 / 100},
	} {
		if got := targetOf(limit, c.excess); got < c.least || got > c.most {
			t.Errorf("pages %d bytes beyond their bound: target %d, want %d to %d", c.excess, got, c.least, c.most)
		}
	}
}
