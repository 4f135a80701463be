package command

import (
	"fmt"
	"strconv"
	"testing"

	"geocache/engine"
)

// The benchmarks below grow a hash or a set: what the manual calls O(1) may
// cost more cache misses in a large one, but must not follow its size.

var benchSizes = []int{10, 1_000, 100_000, 1_000_000}

// benchForms are Redis' defaults.
var benchForms = engine.Forms{
	HashEntries: 512, HashValue: 64, SetInts: 512, SetEntries: 128, SetValue: 64,
	ZSetEntries: 128, ZSetValue: 64, ListSize: -2,
}

// runner runs one request again and again, as a tx of its own each time.
type runner struct {
	h     *harness
	c     *Ctx
	scope engine.Scope
}

func (h *harness) prepare(args ...string) *runner {
	c, fail := h.ctx(args...)
	if fail != "" {
		h.t.Fatal(fail)
	}
	return &runner{h, c, engine.Scope{Keys: c.Scope(nil), Walk: c.Row.Has(Walk)}}
}

func (r *runner) run() {
	r.h.out.Reset()
	if err := r.h.tx.Run(r.scope, testStartMs, func(*engine.Tx) { r.c.Row.Run(r.c) }); err != nil {
		r.h.t.Fatal(err)
	}
}

// benchGrown measures a request against collections of several sizes. Argument
// at, if any, becomes a member that is there, another each time.
func benchGrown(b *testing.B, at int, add []string, request ...string) {
	for _, size := range benchSizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newHarness(b)
			h.configure(func(p *engine.Params) { p.Recording, p.Forms = false, benchForms })
			fill := h.prepare(add...)
			name := func(dst []byte, i int) []byte { return fmt.Appendf(dst[:0], "member:%08d", i*7919%size) }
			for i := range size {
				fill.c.Args[2] = name(fill.c.Args[2], i)
				fill.run()
			}
			r := h.prepare(request...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if at > 0 {
					r.c.Args[at] = name(r.c.Args[at], i)
				}
				r.run()
			}
		})
	}
}

func benchHash(b *testing.B, at int, request ...string) {
	benchGrown(b, at, []string{"hset", "key", "field", "value"}, request...)
}

func benchSet(b *testing.B, at int, request ...string) {
	benchGrown(b, at, []string{"sadd", "key", "member"}, request...)
}

func BenchmarkHGet(b *testing.B)       { benchHash(b, 2, "hget", "key", "field") }
func BenchmarkHSet(b *testing.B)       { benchHash(b, 2, "hset", "key", "field", "VALUE") }
func BenchmarkHSetLonger(b *testing.B) { benchHash(b, 2, "hset", "key", "field", "longer value") }
func BenchmarkHScan(b *testing.B)      { benchHash(b, 0, "hscan", "key", "0", "count", "10") }
func BenchmarkHRandField(b *testing.B) { benchHash(b, 0, "hrandfield", "key", "5") }
func BenchmarkHExpire(b *testing.B) {
	benchHash(b, 5, "hexpire", "key", "100", "fields", "1", "field")
}
func BenchmarkSIsMember(b *testing.B)   { benchSet(b, 2, "sismember", "key", "member") }
func BenchmarkSAddPresent(b *testing.B) { benchSet(b, 2, "sadd", "key", "member") }
func BenchmarkSRandMember(b *testing.B) { benchSet(b, 0, "srandmember", "key") }
func BenchmarkSInterOneSmall(b *testing.B) {
	benchSet(b, 0, "sinter", "key", "nothing")
}

// BenchmarkSPop takes members of large sets and puts them back.
func BenchmarkSPop(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newHarness(b)
			h.configure(func(p *engine.Params) { p.Recording, p.Forms = false, benchForms })
			add, pop := h.prepare("sadd", "key", "member"), h.prepare("spop", "key")
			put := func(i int) {
				add.c.Args[2] = fmt.Appendf(add.c.Args[2][:0], "member:%08d", i)
				add.run()
			}
			for i := range size {
				put(i)
			}
			b.ReportAllocs()
			for i := size; b.Loop(); i++ {
				pop.run()
				put(i)
			}
		})
	}
}
