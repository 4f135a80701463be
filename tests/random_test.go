package tests

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// randomRequests are requests to be made at random. A word h1, l1, s1, z1, x1,
// b1 or p1 is a key that most likely holds a hash, list, set, ...; n:number,
// i:index, f:float, m:member, d:stream id and o:bit offset stand for values. Of
// words with | between one is taken, nothing where that is empty; + behind a
// word repeats it. Left out is what has no order, or breaks ties as it likes.
var randomRequests = strings.Split(strings.TrimSpace(`
HSET h1 m m m m
HSET h1 m n
HSETNX h1 m m
HMGET h1 m+
HDEL h1 m+
HINCRBY h1 m n
HINCRBYFLOAT h1 m f
HSTRLEN h1 m
LPUSH|RPUSH|LPUSHX l1 m+
RPUSH l1 m+
LPOP|RPOP l1 i|
LRANGE l1 i i
LSET l1 i m
LINSERT l1 BEFORE|AFTER m m
LREM l1 i m
LTRIM l1 i i
LPOS l1 m RANK i COUNT i
LMOVE l1 l1 LEFT|RIGHT LEFT|RIGHT
LMPOP 2 l1 l1 LEFT|RIGHT COUNT i
SADD s1 m+
SADD s1 n+
SREM s1 m+
SMOVE s1 s1 m
SINTERSTORE|SUNIONSTORE|SDIFFSTORE s1 s1 s1
SINTERCARD 2 s1 s1 LIMIT i
ZADD z1 NX|XX|GT|LT||| CH| f m f m
ZADD z1 f m f m f m
ZADD z1 XX| INCR f m
ZINCRBY z1 f m
ZREM z1 m+
ZMSCORE z1 m+
ZRANK|ZREVRANK z1 m
ZRANGE z1 i i REV| WITHSCORES|
ZRANGEBYSCORE z1 f f WITHSCORES| LIMIT i i
ZCOUNT z1 f f
ZPOPMIN|ZPOPMAX z1 i|
ZREMRANGEBYRANK z1 i i
ZRANGESTORE z1 z1 i i REV|
ZUNIONSTORE|ZINTERSTORE z1 2 z1 z1 WEIGHTS f f AGGREGATE SUM|MIN|MAX
ZUNIONSTORE|ZINTERSTORE|ZDIFFSTORE z1 2 z1 s1
ZUNION|ZINTER|ZDIFF 2 z1 z1 WITHSCORES
XADD x1 MAXLEN|MINID ~|= i d m m
XADD x1 d m m
XADD x1 d m m m m
XRANGE x1 d d COUNT i
XDEL x1 d+
XTRIM x1 MAXLEN|MINID ~|= i
XGROUP CREATE x1 g d MKSTREAM|
XREADGROUP GROUP g c COUNT i STREAMS x1 >|d
XACK x1 g d+
XINFO GROUPS x1
SET b1 m
SETBIT b1 o 0|1
GETBIT b1 o
BITCOUNT b1 i i BIT|BYTE|foo|
BITPOS b1 0|1 i i BIT|BYTE|
BITOP AND|OR|XOR b1 b1 b1
BITFIELD b1 OVERFLOW SAT|FAIL|WRAP INCRBY i8|u5|i31 o i SET u4|i16 o n GET u7|i63 o
APPEND b1 m
SETRANGE b1 i m
INCRBY b1 n
INCRBYFLOAT b1 f
LCS b1 b1
PFADD p1 m+
PFADD p1 n+
PFMERGE p1 p1 p1
PFCOUNT p1 p1
SORT l1 ALPHA ASC|DESC LIMIT 0 i
SORT l1 BY nosort GET b* STORE l1
SORT l1
DEL h1|l1|s1|z1|x1|b1|p1
COPY h1|l1|s1|z1|x1|b1|p1 h1|l1|s1|z1|x1|b1|p1 REPLACE|
EXPIRE h1|l1|s1|z1|x1|b1|p1 10000
PERSIST h1|l1|s1|z1|x1|b1|p1
`), "\n")

const randomKeys = "hlszxbp"

// randomWord is what a word of a request stands for.
func randomWord(rnd *rand.Rand, word string) string {
	some := func(of ...string) string { return of[rnd.IntN(len(of))] }
	switch word {
	case "n":
		return some("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "x", "1.5", fmt.Sprint(rnd.IntN(400)-200))
	case "i":
		return some(fmt.Sprint(rnd.IntN(6)), fmt.Sprint(rnd.IntN(16)-8))
	case "f":
		return some(fmt.Sprint(rnd.IntN(9)-4), "1.5", "-0", "0.1", "1e17", "-2.25", "inf", "3.0000001", "nan")
	case "m":
		return some(fmt.Sprint(rnd.IntN(30)-5), string(rune('a'+rnd.IntN(8))), "", "01", strings.Repeat("x", 60+rnd.IntN(10)))
	case "d":
		return fmt.Sprintf("%d-%d", rnd.IntN(60), rnd.IntN(3))
	case "o":
		return fmt.Sprint(rnd.IntN(100))
	}
	if len(word) == 2 && word[1] == '1' && strings.Contains(randomKeys, word[:1]) {
		kind := word[:1]
		if rnd.IntN(30) == 0 && kind != "p" { // registers that others wrote to are anything
			kind = string(randomKeys[rnd.IntN(len(randomKeys)-1)])
		}
		return kind + fmt.Sprint(1+rnd.IntN(2))
	}
	return word
}

func randomRequest(rnd *rand.Rand) (words []string) {
	for _, w := range strings.Fields(randomRequests[rnd.IntN(len(randomRequests))]) {
		n := 1
		if len(w) > 1 && strings.HasSuffix(w, "+") {
			w, n = w[:len(w)-1], 1+rnd.IntN(4)
		}
		choice := strings.Split(w, "|")
		one := choice[rnd.IntN(len(choice))]
		for ; n > 0 && one != ""; n-- {
			words = append(words, randomWord(rnd, one))
		}
	}
	return words
}

// TestRandomRequests makes the same random requests of geocache and of a real
// redis-server, in both protocols and with several limits of small forms, and
// compares all replies, and the encodings and digests of what they leave.
// TEST_SECONDS makes it longer.
func TestRandomRequests(t *testing.T) {
	theirs := redisServer(t, "--save", "", "--enable-debug-command", "local")
	theirs.Start()
	if v := serverVersion(t, theirs.Addr()); !strings.HasPrefix(v, "7.0.") {
		t.Skip("SKIP: replies are compared with those of Redis 7.0, not ", v)
	}
	ours := startServer(t, "--compat-version", "7.0", "--enable-debug-command", "local")
	conns := [2]*Conn{theirs.Dial(), ours.Dial()}
	var done [][]string
	failed := false
	compare := func(requests ...[]string) {
		raw := strings.Builder{}
		for _, r := range requests {
			raw.Write(request(r...))
		}
		for _, c := range conns {
			c.Send(raw.String())
		}
		for _, r := range requests {
			want, got := conns[0].Reply().String(), conns[1].Reply().String()
			if got != want && !failed {
				failed = true
				t.Errorf("%.300q\n redis %.300s\n ours  %.300s", r, want, got)
				for _, before := range done[max(0, len(done)-200):] {
					if slices.ContainsFunc(before[1:], func(w string) bool { return len(w) == 2 && slices.Contains(r[1:], w) }) {
						t.Logf("%.200q", before)
					}
				}
			}
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed ", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	n, end := 0, time.Now().Add(budget(t, 3*time.Second))
	for round := 0; !failed && time.Now().Before(end); round++ {
		if round%20 == 0 {
			done = nil
			limits := []string{"FLUSHALL", "HELLO 2|3", "CONFIG SET hash-max-listpack-entries 128|3", "CONFIG SET zset-max-listpack-entries 128|3|0",
				"CONFIG SET zset-max-listpack-value 64|5", "CONFIG SET set-max-intset-entries 512|3", "CONFIG SET list-max-listpack-size -2|3",
				"CONFIG SET stream-node-max-entries 100|3", "CONFIG SET stream-node-max-bytes 4096|120", "CONFIG SET hll-sparse-max-bytes 3000|60"}
			for _, line := range limits {
				words := strings.Fields(line)
				last := strings.Split(words[len(words)-1], "|")
				words[len(words)-1] = last[rnd.IntN(len(last))]
				for _, c := range conns {
					c.Do(words...)
				}
			}
		}
		batch := make([][]string, 50)
		for i := range batch {
			batch[i] = randomRequest(rnd)
		}
		n += len(batch)
		compare(batch...)
		done = append(done, batch...)
		var states [][]string
		for _, kind := range randomKeys {
			for _, k := range []string{string(kind) + "1", string(kind) + "2"} {
				states = append(states, []string{"OBJECT", "ENCODING", k}, []string{"TTL", k}, []string{"DEBUG", "DIGEST-VALUE", k})
			}
		}
		compare(states...)
	}
	t.Log(n, " requests")
}
