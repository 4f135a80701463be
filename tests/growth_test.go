package tests

import (
	"fmt"
	"strconv"
	"testing"
)

// grown are the commands whose cost may not grow with the collection faster than
// it does in Redis. Most of these are O(1) there and a walk down a tree of some
// 60 branches here, which takes as many steps at a thousand members as Redis
// takes, and at ten million two or three more; what both pay is memory that is no
// longer in the processor's cache.
var grown = [][]string{
	{"HGET", "hash", "key:__rand_int__"}, {"HSET", "hash", "key:__rand_int__", "value"}, {"HINCRBY", "counts", "key:__rand_int__", "1"},
	{"SISMEMBER", "set", "key:__rand_int__"}, {"SRANDMEMBER", "set"},
	{"ZSCORE", "zset", "key:__rand_int__"}, {"ZADD", "zset", "__rand_int__", "key:__rand_int__"},
	{"ZRANK", "zset", "key:__rand_int__"}, {"ZRANGE", "zset", "__rand_int__", "+inf", "BYSCORE", "LIMIT", "0", "1"},
	{"LINDEX", "list", "-3"}, {"LPOS", "list", "nothing", "MAXLEN", "10"}, {"XRANGE", "stream", "__rand_int__", "+", "COUNT", "1"},
}

const (
	grownFrom, grownUpto = 1_000, 1_000_000 // members, unless MEMBERS says otherwise
	// grownMore is how much more the time of a command may grow than in Redis, where
	// it is not below Redis' even so.
	grownMore = 1.3
)

// TestGrowth shows what commands cost while their collection grows, beside a
// redis-server.
func TestGrowth(t *testing.T) {
	d := startDuel(t, benchTool(t), inMemory(), inMemory(), "command", "members", "Redis us", "geocache us")
	var first, last map[string][2]float64
	from := 0
	for upto := grownFrom; upto <= envInt(t, "MEMBERS", grownUpto); from, upto = upto, upto*10 {
		for _, s := range []*Server{d.its, d.ours} {
			grow(t, s, from, upto)
		}
		last = map[string][2]float64{}
		for _, c := range grown {
			last[c[0]] = d.cost(t, c, upto)
		}
		if first == nil {
			first = last
		}
	}
	for _, c := range grown {
		its, ours := last[c[0]][0]/first[c[0]][0], last[c[0]][1]/first[c[0]][1]
		fmt.Printf("%-12s takes %.2f times as long in Redis, %.2f in geocache\n", c[0], its, ours)
		if ours > its*grownMore && last[c[0]][1] > last[c[0]][0] {
			t.Errorf("%s grows from 1 to %.2f, in Redis to %.2f", c[0], ours, its)
		}
	}
}

// grow adds the members from one number up to another to each collection.
func grow(t *testing.T, s *Server, from, upto int) {
	t.Helper()
	for _, appendTo := range []func(buf []byte, i int) []byte{
		func(buf []byte, i int) []byte { return appendRequest(buf, "HSET", "hash", keyName(i), "value") },
		func(buf []byte, i int) []byte { return appendRequest(buf, "HSET", "counts", keyName(i), "1") },
		func(buf []byte, i int) []byte { return appendRequest(buf, "SADD", "set", keyName(i)) },
		func(buf []byte, i int) []byte {
			return appendRequest(buf, "ZADD", "zset", strconv.Itoa(scatter(i)), keyName(i))
		},
		func(buf []byte, i int) []byte { return appendRequest(buf, "RPUSH", "list", keyName(i)) },
		func(buf []byte, i int) []byte {
			return appendRequest(buf, "XADD", "stream", fmt.Sprintf("%d-1", i+1), "field", "value")
		},
	} {
		err := load(s, upto-from, func(buf []byte, i int) []byte { return appendTo(buf, from+i) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// cost is how many microseconds a command takes in Redis and here, the median of
// three; it prints them.
func (d *duel) cost(t *testing.T, command []string, members int) (micros [2]float64) {
	t.Helper()
	const requests = 200_000
	options := append([]string{"-P", "16", "-r", strconv.Itoa(members)}, command...)
	var took [2][]float64
	for range 3 {
		for i, s := range []*Server{d.its, d.ours} {
			perSecond, err := d.run(s, command[0], requests, options...)
			if err != nil {
				t.Fatal(err)
			}
			took[i] = append(took[i], 1e6/perSecond)
		}
	}
	micros = [2]float64{median(took[0]), median(took[1])}
	fmt.Printf("%-12s %9d %12.2f %12.2f %6.2f\n", command[0], members, micros[0], micros[1], micros[0]/micros[1])
	return micros
}
