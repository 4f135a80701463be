package tests

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The limits of TestHitRatio keep it to a few minutes.
const (
	hitRequests   = 150_000 // a longer trace is cut there
	hitValueBytes = 1024
	hitLeastKeys  = 1000 // below that the servers' shards and pools decide, not their policies
	tuneRounds    = 5
)

// TestHitRatio replays the traces (*.txt.gz, one key a line) in the directory that TEST_TRACES names against geocache and a
// redis-server, as a client with a cache does: GET, and SET where it missed. Every server gets the maxmemory at which it ends
// with the number of keys to compare; keys are numbered, so that entries cost the same throughout.
func TestHitRatio(t *testing.T) {
	dir := os.Getenv("TEST_TRACES")
	if dir == "" {
		t.Skip("TEST_TRACES is not set")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.txt.gz"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no traces in %s: %v", dir, err)
	}
	quiet := []string{"--appendonly", "no", "--save", ""}
	real := redisServer(t, quiet...)
	real.Start()
	ours := startServer(t, quiet...)
	fmt.Printf("through the protocol, %d-byte values, the first %d requests of each trace; hits in percent, (keys held at the end)\n"+
		"%-20s %7s %18s %18s %8s %18s %8s\n", hitValueBytes, hitRequests,
		"trace", "keys", "Redis allkeys-lru", "allkeys-lru", "gain", "allkeys-wtinylfu", "gain")
	for _, path := range paths {
		stream, distinct := readKeys(t, path)
		for _, keys := range hitSizes(distinct) {
			base := replay(t, real, "allkeys-lru", keys, stream)
			same := replay(t, ours, "allkeys-lru", keys, stream)
			best := replay(t, ours, "allkeys-wtinylfu", keys, stream)
			fmt.Printf("%-20s %7d %18v %18v %+8.2f %18v %+8.2f\n", filepath.Base(path), keys, base, same, same.percent-base.percent, best, best.percent-base.percent)
			if same.percent < base.percent-0.5 {
				t.Errorf("%s, %d keys: allkeys-lru hits %v, Redis %v", path, keys, same, base)
			}
			if best.percent < base.percent-1 {
				t.Errorf("%s, %d keys: allkeys-wtinylfu hits %v, Redis %v", path, keys, best, base)
			}
		}
	}
}

// hitSizes are 5 and 20 % of the distinct keys, and the least that is compared, where they are apart.
func hitSizes(distinct int) []int {
	sizes := []int{hitLeastKeys}
	for _, percent := range []int{5, 20} {
		if n := distinct * percent / 100; n > 2*sizes[len(sizes)-1] {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

func readKeys(t *testing.T, path string) (stream []int, distinct int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for lines := bufio.NewScanner(unzipped); lines.Scan() && len(stream) < hitRequests; {
		key, _, _ := strings.Cut(lines.Text(), " ")
		if _, ok := ids[key]; !ok {
			ids[key] = len(ids)
		}
		stream = append(stream, ids[key])
	}
	return stream, len(ids)
}

type hitRatio struct {
	percent float64
	keys    int
}

func (r hitRatio) String() string { return fmt.Sprintf("%.2f (%d)", r.percent, r.keys) }

// replay returns the share of all requests that hit. It starts over with another maxmemory when the server did not end with
// the keys wanted: tables that grow, and are freed by FLUSHALL, cost some too.
func replay(t *testing.T, s *Server, policy string, keys int, stream []int) hitRatio {
	t.Helper()
	c := dialCache(t, s)
	defer c.conn.Close()
	c.do("CONFIG", "SET", "maxmemory-policy", policy)
	limit, each := c.measure(keys)
	for round := 1; ; round++ {
		c.do("FLUSHALL")
		c.do("CONFIG", "SET", "maxmemory", strconv.Itoa(limit))
		hits := 0
		for _, key := range stream {
			if c.get(key) {
				hits++
			} else {
				c.set(key)
			}
		}
		r := hitRatio{100 * float64(hits) / float64(len(stream)), c.size()}
		off := keys - r.keys
		if max(off, -off) <= keys/500 || round == tuneRounds {
			return r
		}
		limit += off * each
	}
}

// cacheClient speaks to a server without the cost of a full client; thousands of round trips a second count here.
type cacheClient struct {
	t     *testing.T
	conn  net.Conn
	in    *bufio.Reader
	out   []byte
	value []byte
}

func dialCache(t *testing.T, s *Server) *cacheClient {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return &cacheClient{t: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10), value: bytes.Repeat([]byte("v"), hitValueBytes)}
}

// measure returns the memory that so many keys take, and what one of them takes.
func (c *cacheClient) measure(keys int) (all, each int) {
	c.t.Helper()
	c.do("CONFIG", "SET", "maxmemory", "0")
	c.do("FLUSHALL")
	empty := c.used()
	for key := range keys {
		c.set(key)
	}
	all = c.used()
	return all, (all - empty) / keys
}

func (c *cacheClient) used() int {
	for line := range strings.Lines(c.do("INFO", "memory")) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			used, err := strconv.Atoi(n)
			if err != nil {
				c.t.Fatal(err)
			}
			return used
		}
	}
	c.t.Fatal("INFO memory without used_memory")
	return 0
}

func (c *cacheClient) size() int {
	n, err := strconv.Atoi(c.do("DBSIZE"))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *cacheClient) get(key int) bool { return c.do("GET", fmt.Sprintf("key:%08d", key)) != "" }

func (c *cacheClient) set(key int) {
	if got := c.do("SET", fmt.Sprintf("key:%08d", key), string(c.value)); got != "OK" {
		c.t.Fatalf("SET answers %q", got)
	}
}

// do sends a request and returns its reply, which is a line or a bulk string; a null is "".
func (c *cacheClient) do(args ...string) string {
	c.t.Helper()
	c.out = fmt.Appendf(c.out[:0], "*%d\r\n", len(args))
	for _, a := range args {
		c.out = fmt.Appendf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
	c.check(c.conn.SetDeadline(time.Now().Add(replyWait)))
	_, err := c.conn.Write(c.out)
	c.check(err)
	line, err := c.in.ReadString('\n')
	c.check(err)
	kind, rest := line[0], strings.TrimRight(line[1:], "\r\n")
	switch kind {
	case '-':
		c.t.Fatalf("%s answers %s", args[0], rest)
	case '$':
		n, err := strconv.Atoi(rest)
		c.check(err)
		if n < 0 {
			return ""
		}
		bulk := make([]byte, n+2)
		for read := 0; read < len(bulk); {
			m, err := c.in.Read(bulk[read:])
			c.check(err)
			read += m
		}
		return string(bulk[:n])
	}
	return rest
}

func (c *cacheClient) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
