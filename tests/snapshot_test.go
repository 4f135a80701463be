package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lend copies a snapshot from one server's directory to another's.
func lend(t *testing.T, from, to *Server) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from.Dir, "dump.rdb"))
	if err == nil {
		err = os.WriteFile(filepath.Join(to.Dir, "dump.rdb"), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotTravels carries data from geocache to Redis and back in files
// that the end of each leaves.
func TestSnapshotTravels(t *testing.T) {
	theirs := redisServer(t, "--save", "3600", "1")
	ours := startServer(t, "--appendonly", "no", "--save", "3600", "1")
	deadline := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	long := strings.Repeat("again and again ", 10_000)
	fill := func(s *Server, prefix string) {
		c := s.Dial()
		for i := range 1000 {
			c.Expect("+OK", "SET", fmt.Sprint(prefix, i), fmt.Sprint(i*i*i))
		}
		c.Expect("+OK", "SET", prefix+"long", long)
		c.Expect("+OK", "SET", prefix+"soon", "x", "PX", "1")
		c.Expect("+OK", "SELECT", "9")
		c.Expect("+OK", "SET", prefix+"late", "\x00\xff", "PXAT", deadline)
		s.Stop()
	}
	check := func(s *Server, prefix string) {
		t.Helper()
		c := s.Dial()
		for i := range 1000 {
			if v := c.Do("GET", fmt.Sprint(prefix, i)); v.Text != fmt.Sprint(i*i*i) {
				t.Fatalf("%s%d is %s", prefix, i, v)
			}
		}
		if v := c.Do("GET", prefix+"long"); v.Text != long {
			t.Errorf("%d bytes of %d", len(v.Text), len(long))
		}
		if v := c.Do("GET", prefix+"soon"); !v.IsNull() {
			t.Errorf("an expired key is back: %s", v)
		}
		c.Expect("+OK", "SELECT", "9")
		if v := c.Do("GET", prefix+"late"); v.Text != "\x00\xff" {
			t.Errorf("late is %s", v)
		}
		c.Expect(":"+deadline, "PEXPIRETIME", prefix+"late")
	}
	fill(ours, "a")
	lend(t, ours, theirs)
	theirs.Start()
	check(theirs, "a")
	fill(theirs, "b")
	lend(t, theirs, ours)
	ours.Start()
	check(ours, "a")
	check(ours, "b")
}

// TestSnapshotAtSignal ends servers under load: nothing acknowledged is
// missing from the snapshot.
func TestSnapshotAtSignal(t *testing.T) {
	for round := range 3 {
		s := startServer(t, "--appendonly", "no", "--save", "3600", "1")
		const writers = 8
		var acked [writers]int
		var wg sync.WaitGroup
		for i := range writers {
			c := s.Dial()
			wg.Go(func() {
				for {
					v, err := c.TryDo("INCR", "n"+strconv.Itoa(i))
					if err != nil || v.Err() != nil {
						return
					}
					acked[i]++
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if round == 0 {
			s.Signal(syscall.SIGINT)
		} else {
			s.Signal(syscall.SIGTERM)
		}
		wg.Wait()
		eventually(t, stopWait, "the server has ended", func() bool { return !s.Running() })
		s.Start()
		c := s.Dial()
		for i := range writers {
			if n, _ := strconv.Atoi(c.Do("GET", "n"+strconv.Itoa(i)).Text); n < acked[i] {
				t.Errorf("%d INCRs were acknowledged, %d are there", acked[i], n)
			}
		}
	}
}

// TestSnapshotRefused: a server that cannot save stays, unless forced.
func TestSnapshotRefused(t *testing.T) {
	s := startServer(t, "--appendonly", "no", "--save", "3600", "1")
	if err := os.MkdirAll(filepath.Join(s.Dir, "dump.rdb", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := s.Dial()
	c.Expect("+OK", "SET", "a", "1")
	c.Expect("-ERR Errors trying to SHUTDOWN. Check logs.", "SHUTDOWN")
	c.Expect("-ERR", "SAVE")
	c.Expect("+OK", "SET", "a", "2")
	c.Expect("+Background saving started", "BGSAVE")
	eventually(t, replyWait, "writes are refused", func() bool {
		return strings.HasPrefix(c.Do("SET", "b", "3").Text, "MISCONF Redis is configured to save RDB snapshots")
	})
	if files, err := filepath.Glob(filepath.Join(s.Dir, "temp-*")); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	s.Signal(syscall.SIGTERM)
	eventually(t, replyWait, "the signal is refused", func() bool { return strings.Contains(s.Log(), "the signal is not obeyed") })
	if v := c.Do("GET", "a"); v.Text != "2" {
		t.Errorf("a is %s", v)
	}
	c.Send("SHUTDOWN FORCE\r\n")
	eventually(t, stopWait, "the server has ended", func() bool { return !s.Running() })
}

// TestSnapshotDamaged: a start does not go on without the data.
func TestSnapshotDamaged(t *testing.T) {
	s := newServer(t, "--appendonly", "no")
	if err := os.WriteFile(filepath.Join(s.Dir, "dump.rdb"), []byte("REDIS0009\xfe\x00\x07"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.launch()
	eventually(t, readyWait, "the server has ended", func() bool { return !s.Running() })
	if want := "loading the snapshot file dump.rdb: rdb: offset 11: type byte 7 (module 2) is not supported"; !strings.Contains(s.Log(), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.LogTail())
	}
}
