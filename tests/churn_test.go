package tests

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// churnPhases are the sizes of the values that come one after the other while a
// cache is full, in bytes: what one kind of traffic leaves half empty, the next
// has little use for.
var churnPhases = [][2]int{
	{16, 64}, {100, 4000}, {2000, 6000}, {16, 4000}, {60, 120}, {1000, 20_000}, {16, 200}, {10_000, 90_000}, {100, 101},
}

const (
	churnClients = 4
	// What a server may hold beside data, and its part of maxmemory for pages
	// that are not full.
	residentBeside = 64 << 20
	residentShare  = 0.15
)

// TestResidentUnderChurn lets the sizes of a full cache's data change and bounds
// the resident size. CHURN is for how many seconds, CHURN_MB is maxmemory.
func TestResidentUnderChurn(t *testing.T) {
	if len(buildFlags) > 0 {
		t.Skip("under the race detector data lies in the Go heap")
	}
	limit := int64(envInt(t, "CHURN_MB", 50)) << 20
	lasts := time.Duration(envInt(t, "CHURN", 20)) * time.Second
	s := startServer(t, append(inMemory(), "--maxmemory", strconv.FormatInt(limit, 10), "--maxmemory-policy", "allkeys-lru")...)

	errs := make(chan error)
	end := time.Now().Add(lasts)
	for i := range churnClients {
		go func() { errs <- churn(s, uint64(i), limit, end, lasts) }()
	}
	bound := limit + int64(float64(limit)*residentShare) + residentBeside
	var most int64
	var then string
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for running, n := churnClients, 0; running > 0; n++ {
		select {
		case err := <-errs:
			if err != nil {
				t.Error(err)
			}
			running--
		case <-look.C:
		}
		if now := statusBytes(t, s, "VmRSS"); now > most {
			most, then = now, memoryFigures(t, s)
		}
		if n%100 == 0 {
			t.Log(memoryFigures(t, s))
		}
	}
	t.Logf("at most %d KB resident, %d KB are allowed; then %s", most>>10, bound>>10, then)
	if most > bound {
		t.Errorf("resident size is %d KB, at most %d KB are allowed", most>>10, bound>>10)
	}
}

// memoryFigures tells where memory is.
func memoryFigures(t *testing.T, s *Server) string {
	text := fmt.Sprintf("rss=%d KB file=%d KB", statusBytes(t, s, "VmRSS")>>10, statusBytes(t, s, "RssFile")>>10)
	for _, f := range []string{"used_memory", "allocator_allocated", "allocator_active", "allocator_sparse_bytes", "go_heap_bytes"} {
		text += fmt.Sprintf(" %s=%d KB", f, infoNumber(t, s, f)>>10)
	}
	return text + fmt.Sprintf(" evicted=%d", infoNumber(t, s, "evicted_keys"))
}

// churn writes, over and over, strings and collections whose sizes follow
// churnPhases, until end.
func churn(s *Server, seed uint64, limit int64, end time.Time, lasts time.Duration) error {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 64<<10)
	r := rand.New(rand.NewPCG(seed, 7))
	var buf []byte
	for left := time.Until(end); left > 0; left = time.Until(end) {
		phase := churnPhases[int64(lasts-left)*int64(len(churnPhases))/int64(lasts)]
		requests := 0
		for buf = buf[:0]; len(buf) < 64<<10 && requests < 200; requests++ {
			buf = appendChurn(buf, r, phase, limit)
		}
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		for range requests {
			if err := skipReply(in); err != nil {
				return err
			}
		}
	}
	return nil
}

var churnBytes = strings.Repeat("x", 128<<10)

// appendChurn appends a request; the strings of a phase are more than limit.
func appendChurn(buf []byte, r *rand.Rand, phase [2]int, limit int64) []byte {
	lo, hi := float64(phase[0]), float64(phase[1])
	value := churnBytes[:int(lo*math.Pow(hi/lo, r.Float64()))]
	key := strconv.Itoa(r.IntN(int(3 * limit / int64(phase[0]))))
	coll := strconv.Itoa(r.IntN(2000))
	switch k := r.IntN(100); {
	case k < 75:
		return appendRequest(buf, "SET", "string:"+key, value)
	case k < 80:
		return appendRequest(buf, "SET", "string:"+key, value, "PX", strconv.Itoa(1+r.IntN(3000)))
	case k < 85:
		return appendRequest(buf, "DEL", "string:"+key)
	case k < 88:
		return appendRequest(buf, "HSET", "hash:"+coll, key, value)
	case k < 90:
		return appendRequest(buf, "RPUSH", "list:"+coll, value)
	case k < 93:
		return appendRequest(buf, "LTRIM", "list:"+coll, "1", "20")
	case k < 95:
		return appendRequest(buf, "ZADD", "zset:"+coll, key, value)
	case k < 97:
		return appendRequest(buf, "ZREMRANGEBYRANK", "zset:"+coll, "0", "10")
	case k < 98:
		return appendRequest(buf, "APPEND", "string:"+key, value)
	default:
		return appendRequest(buf, "DEL", []string{"hash:", "list:", "zset:"}[r.IntN(3)]+coll)
	}
}
