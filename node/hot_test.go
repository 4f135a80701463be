package node

import (
	"fmt"
	"strings"
	"testing"
)

// TestHotPathAllocations: garbage per command is what a cache's tail latency
// is made of.
func TestHotPathAllocations(t *testing.T) {
	get := "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
	set := "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$64\r\n" + strings.Repeat("v", 64) + "\r\n"
	for _, c := range []struct {
		name, persistence, input string
		allocs                   float64
	}{
		{"GET", "no", get, 0},
		{"GET logged", "yes", get, 0},
		{"GET missing", "no", "*2\r\n$3\r\nget\r\n$2\r\nno\r\n", 0},
		{"16 GET", "no", strings.Repeat(get, 16), 0},
		{"PING", "no", "PING\r\n", 0},
		{"SET over a value", "no", set, 0},
		{"SET over a value, logged", "yes", set, 2},
		{"INCR", "no", request("INCR n"), 0},
		{"HSET over a field", "no", request("HSET h f v"), 0},
		{"LPUSH and LPOP", "no", request("LPUSH l v") + request("LPUSH l v") + request("LPOP l") + request("RPOP l"), 0},
		{"SADD and SREM", "no", request("SADD s b") + request("SREM s b"), 0},
		{"ZADD and ZREM", "no", request("ZADD z 1 b") + request("ZREM z b"), 0},
		{"MSET of ten", "no", request("MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h2 8 i 9 j 0"), 0},
	} {
		r := newRig(t, "appendonly "+c.persistence)
		r.do("SET k v", "RPUSH l a b c", "SADD s a", "ZADD z 0 a", "HSET h f w")
		input := []byte(c.input)
		n := testing.AllocsPerRun(1000, func() {
			r.s.Feed(input)
			r.s.Output()
		})
		if n > c.allocs {
			t.Errorf("%s: %v allocations, want %v at most", c.name, n, c.allocs)
		}
	}
}

// TestPauseHoldsExpiry: while clients are paused expired keys read as missing
// and stay where they are.
func TestPauseHoldsExpiry(t *testing.T) {
	r := newRig(t, "appendonly no")
	r.do("SET a 1 PX 10", "SET b 1 PX 10", "CLIENT PAUSE 5000 WRITE")
	r.wall.Advance(20)
	if got := r.do("GET a", "DBSIZE"); got != "$-1\r\n:2\r\n" {
		t.Errorf("paused: %q", got)
	}
	r.tick(10)
	if n := r.engine.Stats().ExpiredKeys; n != 0 {
		t.Errorf("%d keys reclaimed under CLIENT PAUSE", n)
	}
	r.do("CLIENT UNPAUSE", "GET a")
	r.tick(10)
	if n := r.engine.Stats().ExpiredKeys; n != 2 {
		t.Errorf("%d keys reclaimed after the pause, want 2", n)
	}
	r.do("CLIENT PAUSE 50 ALL")
	r.tick(10)
	r.do("SET c 1 PX 10")
	r.tick(10)
	if n := r.engine.Stats().ExpiredKeys; n != 3 {
		t.Errorf("%d keys reclaimed after a pause that ran out, want 3", n)
	}
}

// TestUnauthenticatedOutput: who has not said the password cannot make the
// server keep replies.
func TestUnauthenticatedOutput(t *testing.T) {
	r := newRig(t, "appendonly no", "requirepass secret")
	for n := range 10_000 {
		r.s.Feed([]byte("GET k\r\n"))
		if r.s.Closing() {
			if n < 100 {
				t.Errorf("closed after %d replies", n)
			}
			return
		}
	}
	t.Error("the session is still open")
}

// TestPipelineClock: the commands of one pipeline go by the time at which each
// begins, or a few fast ones before it.
func TestPipelineClock(t *testing.T) {
	r := newRig(t, "appendonly no")
	micros := r.opts.Micros
	r.opts.Micros = func() int64 { r.wall.Advance(1); return micros() }
	r.s.Feed([]byte(fmt.Sprintf("SET k v PX 20\r\nGET k\r\n%sGET k\r\n", strings.Repeat("PING\r\n", 30*fastRun))))
	if got, want := string(r.s.Output()), "+OK\r\n$1\r\nv\r\n"+strings.Repeat("+PONG\r\n", 30*fastRun)+"$-1\r\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestVectorWithoutLog: what was written while nothing was logged is in the
// vector, also once it is.
func TestVectorWithoutLog(t *testing.T) {
	r := newRig(t, "appendonly no")
	if v := r.commit.Vector(); len(v) > 0 {
		t.Errorf("an empty region has the vector %v", v)
	}
	r.do("SET a 1", "SET a 2")
	own := r.identity().Origin
	first := r.commit.Vector()[own]
	if first == 0 {
		t.Fatal("own changes are not in the vector")
	}
	r.do("SET a 3")
	later := r.commit.Vector()[own]
	if later <= first {
		t.Errorf("the vector went from %d to %d", first, later)
	}
	r.do("CONFIG SET appendonly yes")
	if _, v := r.commit.position(); v[own] < later {
		t.Errorf("the log begins at %d, behind %d", v[own], later)
	}
	r.do("SET a 4")
	if v := r.commit.Vector(); v[own] <= later {
		t.Errorf("logged at %d, not after %d", v[own], later)
	}
}
