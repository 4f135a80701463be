package node

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"geocache/clock"
)

// BenchmarkKeyspace runs pipelines of 16 requests, and requests of 16 keys,
// about random keys of keyspaces from what the first cache holds to what none
// does. One iteration is one key.
func BenchmarkKeyspace(b *testing.B) {
	const depth = 16
	for _, size := range []int{1000, 30_000, 100_000, 1_000_000} {
		r := newRig(b, "appendonly no")
		r.opts.Micros = clock.System{}.Micros
		name := func(i int) string { return fmt.Sprintf("key:%012d", i) }
		value := fmt.Sprintf("%064d", 1)
		for i := range size {
			r.s.Feed([]byte(request("SET " + name(i) + " " + value)))
			r.s.Output()
		}
		rnd := rand.New(rand.NewPCG(1, uint64(size)))
		inputs := func(one func() string) (in [][]byte) {
			for range 1 << 13 {
				in = append(in, []byte(one()))
			}
			return in
		}
		pipeline := func(verb, rest string) func() string {
			return func() (in string) {
				for range depth {
					in += request(verb + " " + name(rnd.IntN(size)) + " " + rest)
				}
				return in
			}
		}
		many := func(verb, rest string) func() string {
			return func() string {
				words := verb
				for range depth {
					words += " " + name(rnd.IntN(size)) + " " + rest
				}
				return request(words)
			}
		}
		for _, c := range []struct {
			name string
			one  func() string
		}{
			{"GET", pipeline("GET", "")}, {"SET", pipeline("SET", value)},
			{"MGET", many("MGET", "")}, {"MSET", many("MSET", value)},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				in := inputs(c.one)
				b.ResetTimer()
				for i := 0; i < b.N; i += depth {
					r.s.Feed(in[i/depth%len(in)])
					r.s.Output()
				}
			})
		}
	}
}
