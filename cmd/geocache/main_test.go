package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the program itself when a test asks for it, so that the tests
// need no build of their own.
func TestMain(m *testing.M) {
	if os.Getenv("_GEOCACHE_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "_GEOCACHE_TEST_MAIN=1")
	return cmd
}

// running is a server process.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	port int
	log  *bytes.Buffer
	done chan error
}

func freePort(t *testing.T) int {
	t.Helper()
	// Below the ports that the system hands out, and different in every process.
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			if err := ln.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Skip("SKIP: no free port")
	return 0
}

func start(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	r := &running{t: t, port: freePort(t), log: &bytes.Buffer{}, done: make(chan error, 1)}
	args = append([]string{"server", "--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--dir", dir}, args...)
	r.cmd = program(context.Background(), args...)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may have ended by itself
		if t.Failed() {
			t.Logf("log of %d:\n%s", r.cmd.Process.Pid, r.log)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if sock, err := r.dial(); err == nil {
			_ = sock.Close()
			return r
		}
		select {
		case err := <-r.done:
			t.Fatalf("ended: %v\n%s", err, r.log)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("not ready")
		}
	}
}

func (r *running) dial() (net.Conn, error) {
	return net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
}

// say sends inline commands, ends the input and returns all replies.
func (r *running) say(text string) string {
	r.t.Helper()
	sock, err := r.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	defer sock.Close()
	_, err = io.WriteString(sock, text)
	err = errors.Join(err, sock.(*net.TCPConn).CloseWrite(), sock.SetDeadline(time.Now().Add(10*time.Second)))
	replies, rerr := io.ReadAll(sock)
	if err = errors.Join(err, rerr); err != nil {
		r.t.Fatal(err)
	}
	return string(replies)
}

func (r *running) terminate() error {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatal("SIGTERM does not end it")
		return nil
	}
}

func TestLife(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "--appendfsync", "always", "--pidfile", "here.pid")
	if text, err := os.ReadFile(filepath.Join(dir, "here.pid")); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(r.cmd.Process.Pid) {
		t.Errorf("pidfile %q, %v", text, err)
	}
	if got := r.say("SET a 1\r\nGET a\r\n"); got != "+OK\r\n$1\r\n1\r\n" {
		t.Errorf("%q", got)
	}
	if err := r.terminate(); err != nil {
		t.Errorf("exit: %v", err)
	}
	for _, line := range []string{fmt.Sprintf(" PID: %d", r.cmd.Process.Pid), "Ready to accept connections", "bye bye"} {
		if !strings.Contains(r.log.String(), line) {
			t.Errorf("log lacks %q:\n%s", line, r.log)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "here.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pidfile is left: %v", err)
	}
	r = start(t, dir)
	if got := r.say("GET a\r\n"); got != "$1\r\n1\r\n" {
		t.Errorf("after restart %q", got)
	}
	r.say("SHUTDOWN\r\n")
	if err := <-r.done; err != nil {
		t.Errorf("SHUTDOWN: %v", err)
	}
	out, err := program(context.Background(), "check", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "no problems found") || !strings.Contains(string(out), "closed cleanly") {
		t.Errorf("check: %v\n%s", err, out)
	}
}

// Whoever got a reply finds its write after the restart, and every reply that
// was begun arrived whole.
func TestTerminateUnderLoad(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "--appendfsync", "always")
	const clients, burst = 10, 20
	acked := make([]int, clients)
	var wg sync.WaitGroup
	for i := range clients {
		sock, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer sock.Close()
		wg.Go(func() {
			in := bufio.NewReader(sock)
			request := strings.Repeat(fmt.Sprintf("INCR c%d\r\n", i), burst)
			for {
				if _, err := io.WriteString(sock, request); err != nil {
					return
				}
				for range burst {
					line, err := in.ReadString('\n')
					if err != nil && line == "" {
						return
					}
					acked[i]++
					if line != fmt.Sprintf(":%d\r\n", acked[i]) {
						t.Errorf("client %d: reply %q after %d", i, line, acked[i]-1)
						return
					}
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	if err := r.terminate(); err != nil {
		t.Errorf("exit: %v", err)
	}
	wg.Wait()
	r = start(t, dir)
	for i, n := range acked {
		reply := r.say(fmt.Sprintf("INCRBY c%d 0\r\n", i))
		kept, err := strconv.Atoi(strings.Trim(reply, ":\r\n"))
		if n == 0 || err != nil || kept < n || kept > n+burst {
			t.Errorf("client %d: %d acknowledged, %q kept, %v", i, n, reply, err)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(file, []byte("port 7000\nmaxmemori 1gb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"server", file}, []string{"at line 2", "maxmemori 1gb"}},
		{[]string{"server", "--port", "x"}, []string{"port", `"x"`, "option 1"}},
		{[]string{"server", "/no/such/file"}, []string{"can't open config file '/no/such/file': no such file or directory"}},
		{[]string{"server", "--port", "0"}, []string{"not listen anywhere"}},
		{[]string{"server", "--dir", "/no/such/dir"}, []string{"/no/such/dir"}},
		{[]string{"check", "/no/such/dir"}, []string{"/no/such/dir"}},
		{[]string{"closest", "1"}, []string{"latitude and a longitude"}},
		{[]string{"nonsense"}, []string{"nonsense"}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		out, err := program(ctx, test.args...).CombinedOutput()
		cancel()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%v: %v", test.args, err)
		}
		for _, want := range test.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%v: no %q in\n%s", test.args, want, out)
			}
		}
	}
}

func TestBusyPortLeavesTheDataAlone(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	out, err := program(context.Background(), "server", "--bind", "127.0.0.1", "--port", port, "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "could not create server TCP listening socket 127.0.0.1:"+port) {
		t.Errorf("%v\n%s", err, out)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

func TestDaemonize(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	cmd := program(context.Background(), "server", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("daemonize yes\nbind 127.0.0.1\nport %d\ndir %s\npidfile d.pid\nlogfile d.log\n", port, dir))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	pid := 0
	for end := time.Now().Add(20 * time.Second); pid == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(dir, "d.pid"))
		if err == nil {
			pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
	}
	if pid == 0 {
		t.Fatal("no pidfile")
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }() // it should be gone
	if sid, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		if fields := strings.Fields(string(sid)); fields[5] != strconv.Itoa(pid) {
			t.Errorf("not the leader of its session: %s", sid)
		}
	}
	log := filepath.Join(dir, "d.log")
	waitFor(t, log, "Ready to accept connections")
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, log, "bye bye")
}

func waitFor(t *testing.T, file, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err := os.ReadFile(file); err == nil && strings.Contains(string(got), text) {
			return
		}
	}
	t.Fatalf("%s never says %q", file, text)
}

func TestConfigRewriteAndRebind(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.conf")
	if err := os.WriteFile(file, []byte("# mine\nmaxmemory 100mb\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	r := &running{t: t, port: port, log: &bytes.Buffer{}, done: make(chan error, 1)}
	r.cmd = program(context.Background(), "server", file, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir)
	r.cmd.Stdout = r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	defer func() { _ = r.cmd.Process.Kill() }() // it should be gone
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if sock, err := r.dial(); err == nil {
			_ = sock.Close()
			break
		}
	}
	if got := r.say("CONFIG SET maxmemory 200mb\r\nCONFIG REWRITE\r\n"); got != "+OK\r\n+OK\r\n" {
		t.Errorf("%q", got)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "# mine\nmaxmemory 209715200\n") && !strings.HasPrefix(string(text), "# mine\nmaxmemory 200mb\n") {
		t.Errorf("%s, %v", text, err)
	}
	next := freePort(t)
	if got := r.say(fmt.Sprintf("CONFIG SET port %d\r\n", next)); got != "+OK\r\n" {
		t.Errorf("%q", got)
	}
	r.port = next
	if got := r.say("PING\r\n"); got != "+PONG\r\n" {
		t.Errorf("%q", got)
	}
	if err := r.terminate(); err != nil {
		t.Error(err)
	}
}

func TestClientCommands(t *testing.T) {
	r := start(t, t.TempDir(), "--region", "saopaulo", "--region-location", "-23.5505", "-46.6333", "--region-endpoint", "sp.example:6379")
	port := strconv.Itoa(r.port)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"closest", "-23.5", "-46.6", "-p", port}, "sp.example:6379\n"},
		{[]string{"closest", "-p", port, "--details", "-23.5", "-46.6"}, "saopaulo"},
		{[]string{"region", "list", "--port", port}, "saopaulo"},
		{[]string{"region", "info", "--port", port}, "saopaulo"},
		{[]string{"region", "digest", "--port", port}, "digest"},
		{[]string{"version"}, "geocache v" + version},
		{[]string{"server", "--help"}, "redis.conf"},
		{[]string{"--help"}, "closest"},
		{[]string{"completion", "bash"}, "geocache"},
		{[]string{"__complete", "server", "--maxmem"}, "--maxmemory"},
	} {
		out, err := program(context.Background(), test.args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%v: %v\n%s", test.args, err, out)
		}
	}
	out, err := program(context.Background(), "closest", "99", "0", "-p", port).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "latitude") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := r.terminate(); err != nil {
		t.Error(err)
	}
}

func TestRender(t *testing.T) {
	got := render([]any{
		map[any]any{"state": "up", "region": "a", "lag-ms": 1.5},
		map[any]any{"region": "b", "list": []any{"x", int64(2)}},
	})
	want := "region  a\nstate   up\nlag-ms  1.5\n\nregion  b\nlist    x, 2\n"
	if got != want {
		t.Errorf("%q", got)
	}
}
