package tests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// This file loads servers with much data, fast, and watches how they answer
// meanwhile.

func keyName(i int) string { return fmt.Sprintf("key:%012d", i) }

func value64(i int) string { return fmt.Sprintf("%064d", i) }

func value16(i int) string { return fmt.Sprintf("value:%010d", i) }

// scatter gives the numbers from 0 on in an order without a pattern, as long as
// they are below a prime.
func scatter(i int) int { return int(uint64(i) * 2_654_435_761 % 4_294_967_291) }

// appendRequest appends a request in RESP.
func appendRequest(buf []byte, args ...string) []byte {
	buf = fmt.Appendf(buf, "*%d\r\n", len(args))
	for _, a := range args {
		buf = append(strconv.AppendInt(append(buf, '$'), int64(len(a)), 10), "\r\n"...)
		buf = append(append(buf, a...), "\r\n"...)
	}
	return buf
}

func appendSet(buf []byte, i int) []byte { return appendRequest(buf, "SET", keyName(i), value64(i)) }

func appendHash(buf []byte, i int) []byte {
	args := []string{"HSET", keyName(i)}
	for f := range 10 {
		args = append(args, fmt.Sprintf("field%03d", f), value16(i*10+f))
	}
	return appendRequest(buf, args...)
}

// loadWindow bounds the requests under way at a time.
const loadWindow = 2_000

// load sends the requests 0 to n-1 in a pipeline and wants a reply of one line,
// and no error, to each.
func load(s *Server, n int, appendTo func(buf []byte, i int) []byte) error {
	l, err := newLoader(s)
	if err != nil {
		return err
	}
	defer l.close()
	return l.load(n, appendTo)
}

// loader is a connection for such requests.
type loader struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

func newLoader(s *Server) (*loader, error) {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return nil, err
	}
	return &loader{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (l *loader) close() { _ = l.conn.Close() }

func (l *loader) load(n int, appendTo func(buf []byte, i int) []byte) error {
	for first := 0; first < n; first += loadWindow {
		last := min(first+loadWindow, n)
		l.buf = l.buf[:0]
		for i := first; i < last; i++ {
			l.buf = appendTo(l.buf, i)
		}
		// The replies of a window fit into the sockets' buffers.
		if _, err := l.conn.Write(l.buf); err != nil {
			return err
		}
		for range last - first {
			if err := skipReply(l.in); err != nil {
				return err
			}
		}
	}
	return nil
}

// skipReply reads a reply of one line, which is to be no error.
func skipReply(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if line[0] == '-' {
		return errors.New(strings.TrimSpace(string(line)))
	}
	return nil
}

// writeAtRate overwrites random keys below n for so long. Neighbours of the fill
// would lie beside each other in a server that has one heap for all keys.
func writeAtRate(s *Server, n, perSecond int, d time.Duration) error {
	const pieces = 100 // a second
	l, err := newLoader(s)
	if err != nil {
		return err
	}
	defer l.close()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / pieces) {
		if err := l.load(perSecond/pieces, func(buf []byte, _ int) []byte { return appendSet(buf, rand.IntN(n)) }); err != nil {
			return err
		}
	}
	return nil
}

// watchers are the clients of watch.
const watchers = 2

// watch reads random keys below n, one after the other, while work is done, and
// returns how long each read took.
func watch(s *Server, n int, work func() error) ([]time.Duration, error) {
	var stop atomic.Bool
	type seen struct {
		lats []time.Duration
		err  error
	}
	done := make(chan seen)
	for range watchers {
		go func() {
			lats, err := readUntil(s, n, &stop)
			done <- seen{lats, err}
		}()
	}
	err := work()
	stop.Store(true)
	var all []time.Duration
	for range watchers {
		w := <-done
		all, err = append(all, w.lats...), errors.Join(err, w.err)
	}
	return all, err
}

func readUntil(s *Server, n int, stop *atomic.Bool) (lats []time.Duration, err error) {
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	var buf []byte
	for !stop.Load() {
		buf = appendRequest(buf[:0], "GET", keyName(rand.IntN(n)))
		began := time.Now()
		if _, err := conn.Write(buf); err != nil {
			return lats, err
		}
		head, err := in.ReadSlice('\n')
		if err != nil {
			return lats, err
		}
		size, err := strconv.Atoi(string(bytes.TrimSpace(head[1:])))
		if head[0] != '$' || err != nil {
			return lats, fmt.Errorf("GET: %q", head)
		}
		if size >= 0 {
			if _, err := io.CopyN(io.Discard, in, int64(size)+2); err != nil {
				return lats, err
			}
		}
		lats = append(lats, time.Since(began))
		time.Sleep(100 * time.Microsecond)
	}
	return lats, nil
}

// p999 is the 99.9th percentile in milliseconds.
func p999(lats []time.Duration) float64 {
	slices.Sort(lats)
	return lats[len(lats)*999/1000].Seconds() * 1000
}

// awaitEmpty waits until the server's database has no key left.
func awaitEmpty(s *Server, limit time.Duration) error {
	conn := s.Dial()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		v, err := conn.TryDo("DBSIZE")
		if err != nil {
			return err
		}
		if v.Int == 0 {
			return nil
		}
	}
	return fmt.Errorf("keys are left after %v", limit)
}

// residentBytes is the process's resident size once it has come to rest.
func residentBytes(t *testing.T, s *Server) int64 {
	t.Helper()
	time.Sleep(2 * time.Second)
	return statusBytes(t, s, "VmRSS")
}

// statusBytes is a field of the process's status, in bytes.
func statusBytes(t *testing.T, s *Server, field string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skipf("SKIP: resident sizes are read from /proc: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), field+":")
	kb, err := strconv.ParseInt(strings.Fields(rest + " x")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// infoNumber is a field of INFO, unknown where there is none.
func infoNumber(t *testing.T, s *Server, field string) int64 {
	t.Helper()
	c := s.Dial()
	text := c.Do("INFO").Text
	_ = c.Close() // nothing is on its way
	_, rest, ok := strings.Cut(text, "\n"+field+":")
	if !ok {
		return unknown
	}
	rest, _, _ = strings.Cut(rest, "\r\n")
	v, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		t.Fatalf("%s:%s", field, rest)
	}
	return v
}
