package rdb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// realRedis is a redis-server that listens on a socket in its directory only.
type realRedis struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	done chan error
}

func startRedis(t *testing.T, dir string) *realRedis {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIP: redis-server is not installed; files are not exchanged with it")
	}
	r := &realRedis{t: t, dir: dir, done: make(chan error, 1)}
	log := &bytes.Buffer{}
	r.cmd = exec.Command(path, "--port", "0", "--unixsocket", "s", "--dir", dir, "--save", "", "--appendonly", "no",
		"--enable-debug-command", "yes", "--sanitize-dump-payload", "yes")
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // it may have ended by itself
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if out, err := r.cli("", "PING"); err == nil && out == "PONG" {
			return r
		}
		select {
		case <-r.done:
			t.Fatalf("redis-server ended:\n%s", log)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
	}
}

// cli runs a command; input, if any, is its last argument.
func (r *realRedis) cli(input string, args ...string) (string, error) {
	flags := []string{"-s", filepath.Join(r.dir, "s")}
	if input != "" {
		flags = append(flags, "-x")
	}
	cmd := exec.Command("redis-cli", append(flags, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	return strings.TrimSuffix(string(out), "\n"), err
}

func (r *realRedis) do(args ...string) string {
	r.t.Helper()
	out, err := r.cli("", args...)
	if err != nil {
		r.t.Fatalf("%q: %v", args, err)
	}
	return out
}

func (r *realRedis) stop() {
	r.t.Helper()
	_, _ = r.cli("", "SHUTDOWN", "NOSAVE") // the connection breaks
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
}

// exchanged are entries that both sides hold.
func exchanged() []Entry {
	future := time.Now().Add(time.Hour).UnixMilli()
	var list []Entry
	for i, s := range samples() {
		if i == 0 {
			continue // redis-cli -x has no way to say ""
		}
		e := Entry{Key: fmt.Appendf(nil, "key:%02d", i), Value: String(s)}
		if i%3 == 0 {
			e.DeadlineMs = future + int64(i)
		}
		if i%2 == 0 {
			e.DB = 9
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return a.DB - b.DB })
	return list
}

// TestRedisLoadsOurs hands a file to a real server.
func TestRedisLoadsOurs(t *testing.T) {
	dir, list := t.TempDir(), exchanged()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), file(t, list), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRedis(t, dir)
	defer r.stop()
	for _, e := range list {
		db := fmt.Sprint(e.DB)
		if have := r.do("-n", db, "GET", string(e.Key)); have != string(e.Value.(String)) {
			t.Errorf("%s: %.40q", e.Key, have)
		}
		want := fmt.Sprint(e.DeadlineMs)
		if e.DeadlineMs == 0 {
			want = "-1"
		}
		if have := r.do("-n", db, "PEXPIRETIME", string(e.Key)); have != want {
			t.Errorf("%s: deadline %s, want %s", e.Key, have, want)
		}
	}
}

// TestWeLoadRedis reads what a real server saves, compressed and not, with
// recency and without.
func TestWeLoadRedis(t *testing.T) {
	for _, options := range []string{"", "rdbcompression no", "maxmemory-policy allkeys-lru", "maxmemory-policy allkeys-lfu"} {
		dir, list := t.TempDir(), exchanged()
		r := startRedis(t, dir)
		if options != "" {
			r.do(append([]string{"CONFIG", "SET"}, strings.Fields(options)...)...)
		}
		text := strings.Repeat("so much the same, again and again; ", 5000)
		for i := range 40 {
			text += fmt.Sprint(i*i*i) + text[i*7:i*11]
		}
		list = append(list, Entry{DB: 9, Key: []byte("text"), Value: String(text)})
		for _, e := range list {
			db := fmt.Sprint(e.DB)
			if out, err := r.cli(string(e.Value.(String)), "-n", db, "SET", string(e.Key)); err != nil || out != "OK" {
				t.Fatalf("%s: %q, %v", e.Key, out, err)
			}
			if e.DeadlineMs != 0 {
				r.do("-n", db, "PEXPIREAT", string(e.Key), fmt.Sprint(e.DeadlineMs))
			}
		}
		r.do("SAVE")
		r.stop()
		b, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		have, err := entries(b)
		byKey := func(a, b Entry) int { return bytes.Compare(a.Key, b.Key) }
		slices.SortFunc(have, byKey)
		slices.SortFunc(list, byKey)
		if err != nil || !same(have, list) {
			t.Errorf("%q: %v; %d entries, want %d", options, err, len(have), len(list))
		}
	}
}
