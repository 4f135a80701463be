package command

import (
	"fmt"
	"strconv"
	"testing"

	"geocache/engine"
)

// The benchmarks below grow a sorted set: what the manual calls O(log(N)) may
// only cost a little more in one a thousand times larger.

// benchZSet measures a request against sorted sets of several sizes whose
// scores are 0, 1, 2, ... Of the arguments, member becomes one that is there
// and score some score, another each time; 0 leaves them.
func benchZSet(b *testing.B, member, score int, request ...string) {
	for _, size := range benchSizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newHarness(b)
			h.configure(func(p *engine.Params) { p.Recording, p.Forms = false, benchForms })
			fill := h.prepare("zadd", "key", "score", "member")
			args := func(c *Ctx, member, score, i int) {
				if at := i * 7919 % size; member > 0 {
					c.Args[member] = fmt.Appendf(c.Args[member][:0], "member:%08d", at)
				}
				if score > 0 {
					c.Args[score] = fmt.Appendf(c.Args[score][:0], "%d", i*7919%size)
				}
			}
			for i := range size {
				args(fill.c, 3, 2, i)
				fill.run()
			}
			r := h.prepare(request...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				args(r.c, member, score, i)
				r.run()
			}
		})
	}
}

func BenchmarkZScore(b *testing.B)  { benchZSet(b, 2, 0, "zscore", "key", "member") }
func BenchmarkZRank(b *testing.B)   { benchZSet(b, 2, 0, "zrank", "key", "member") }
func BenchmarkZIncrBy(b *testing.B) { benchZSet(b, 3, 0, "zincrby", "key", "0.5", "member") }
func BenchmarkZCount(b *testing.B)  { benchZSet(b, 0, 2, "zcount", "key", "0", "+inf") }
func BenchmarkZRange(b *testing.B)  { benchZSet(b, 0, 2, "zrange", "key", "0", "5") }
func BenchmarkZRangeByScore(b *testing.B) {
	benchZSet(b, 0, 2, "zrangebyscore", "key", "0", "+inf", "limit", "0", "10")
}
func BenchmarkZRandMember(b *testing.B) { benchZSet(b, 0, 0, "zrandmember", "key", "5") }
func BenchmarkZScan(b *testing.B)       { benchZSet(b, 0, 0, "zscan", "key", "0", "count", "10") }
func BenchmarkZInterOneSmall(b *testing.B) {
	benchZSet(b, 0, 0, "zinter", "2", "key", "nothing")
}
