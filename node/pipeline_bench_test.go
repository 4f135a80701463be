package node

import (
	"fmt"
	"strings"
	"testing"

	"geocache/clock"
)

// request is words with single spaces between, as a client sends them.
func request(words string) string {
	fields := strings.Fields(words)
	b := fmt.Appendf(nil, "*%d\r\n", len(fields))
	for _, w := range fields {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return string(b)
}

// BenchmarkPipeline runs what redis-benchmark sends by default, 16 requests at
// a time, through a session: all of the server but the socket. One iteration is
// one request, or one of each that is named.
func BenchmarkPipeline(b *testing.B) {
	const (
		depth   = 16
		maxList = 100_000 // elements; then the list begins anew
	)
	fill := func(n int) []string {
		return []string{"DEL mylist", "RPUSH mylist" + strings.Repeat(" VXK", n)}
	}
	for _, c := range []struct {
		name, request string
		setup         []string
	}{
		{"PING", "PING", nil},
		{"SET", "SET key:__rand_int__ VXK", nil},
		{"GET", "GET key:__rand_int__", []string{"SET key:__rand_int__ VXK"}},
		{"INCR", "INCR counter:__rand_int__", nil},
		{"LPUSH", "LPUSH mylist VXK", fill(1)},
		{"RPUSH", "RPUSH mylist VXK", fill(1)},
		{"LPOP", "LPOP mylist", fill(maxList)},
		{"RPOP", "RPOP mylist", fill(maxList)},
		{"LPUSH+LPOP", "LPUSH mylist VXK\nLPOP mylist", fill(maxList)},
		{"RPUSH+RPOP", "RPUSH mylist VXK\nRPOP mylist", fill(maxList)},
		{"SADD+SPOP", "SADD myset element:__rand_int__\nSPOP myset", nil},
		{"ZADD+ZPOPMIN", "ZADD myzset 0 element:__rand_int__\nZPOPMIN myzset", nil},
		{"SADD", "SADD myset element:__rand_int__", nil},
		{"HSET", "HSET myhash element:__rand_int__ VXK", nil},
		{"SPOP", "SPOP myset", nil},
		{"ZADD", "ZADD myzset 0 element:__rand_int__", nil},
		{"ZPOPMIN", "ZPOPMIN myzset", nil},
		{"LRANGE_100", "LRANGE mylist 0 99", fill(maxList)},
		{"LRANGE_600", "LRANGE mylist 0 599", fill(maxList)},
		{"MSET", "MSET" + strings.Repeat(" key:__rand_int__ VXK", 10), nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, "appendonly no")
			r.opts.Micros = clock.System{}.Micros
			setup := func() {
				for _, q := range c.setup {
					r.s.Feed([]byte(request(q)))
				}
				r.s.Output()
			}
			setup()
			requests := ""
			for _, q := range strings.Split(c.request, "\n") {
				requests += request(q)
			}
			input := []byte(strings.Repeat(requests, depth))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += depth {
				if i%maxList < depth && len(c.setup) > 1 && i > 0 {
					b.StopTimer()
					setup()
					b.StartTimer()
				}
				r.s.Feed(input)
				r.s.Output()
			}
		})
	}
}
