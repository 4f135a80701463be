package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"geocache/resp"

	"github.com/redis/go-redis/v9"
)

const (
	readyWait = 20 * time.Second // from start to the first PONG, recovery included
	stopWait  = 15 * time.Second // from SIGTERM to the end of the process
	replyWait = 30 * time.Second // for one reply
	logTail   = 60               // lines of log shown with a failure
)

// buildDir holds the binary for the time of the test run.
var buildDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "geocache-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	redis.SetLogger(noLog{})
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// noLog drops what go-redis says about servers that were killed on purpose.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// binary builds geocache at its first use.
var binary = sync.OnceValues(func() (string, error) {
	out := filepath.Join(buildDir, "geocache")
	args := append([]string{"build", "-o", out}, buildFlags...)
	cmd := exec.Command("go", append(args, "./cmd/geocache")...)
	cmd.Dir = ".."
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, text)
	}
	return out, nil
})

// portRange is where servers listen: below the ports that the system gives to
// outgoing connections, so that nobody takes the port of a server that is being
// restarted.
var portRange = sync.OnceValues(func() (lo, hi int) {
	lo, hi = 21000, 31999
	if v := os.Getenv("TEST_PORTS"); v != "" {
		if _, err := fmt.Sscanf(v, "%d-%d", &lo, &hi); err != nil || hi < lo {
			panic("TEST_PORTS must be LOW-HIGH, not " + v)
		}
	}
	return lo, hi
})

var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// freePort returns a loopback port that nobody listens on, and keeps it from
// other tests until this one ends.
func freePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	lo, hi := portRange()
	start := rand.IntN(hi - lo + 1)
	for i := range hi - lo + 1 {
		port := lo + (start+i)%(hi-lo+1)
		if ports.taken[port] {
			continue
		}
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		_ = l.Close()
		ports.taken[port] = true
		t.Cleanup(func() {
			ports.Lock()
			defer ports.Unlock()
			delete(ports.taken, port)
		})
		return port
	}
	t.Fatalf("no free port between %d and %d", lo, hi)
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Server is one server process with a port and a data directory that it keeps
// over restarts. It is used by the goroutine of one test, but for the methods
// that make connections.
type Server struct {
	t    testing.TB
	path string
	args []string // beside port and dir
	log  string   // file with what it wrote, over all its lives

	Port int
	Dir  string

	cmd    *exec.Cmd
	exited chan struct{} // closed when the present process has ended
}

// startServer starts geocache with options in the command line style of Redis
// ("--appendfsync", "always"). The process is stopped at the end of the test,
// which fails when the server did not end well or its log shows a panic or a
// race.
func startServer(t testing.TB, options ...string) *Server {
	t.Helper()
	s := newServer(t, options...)
	s.Start()
	return s
}

// newServer prepares a server without starting it.
func newServer(t testing.TB, options ...string) *Server {
	t.Helper()
	if other := os.Getenv("TEST_SERVER"); other != "" {
		return prepare(t, other, nil, options)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return prepare(t, path, []string{"server"}, options)
}

// redisServer prepares a real redis-server, or skips the test.
func redisServer(t testing.TB, options ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIP: redis-server is not installed, nothing to compare with")
	}
	return prepare(t, path, nil, options)
}

func prepare(t testing.TB, path string, subcommand, options []string) *Server {
	t.Helper()
	port := freePort(t)
	dir := t.TempDir()
	s := &Server{t: t, path: path, Port: port, Dir: filepath.Join(dir, "data"), log: filepath.Join(dir, "log")}
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.args = append(s.args, subcommand...)
	s.args = append(s.args, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.Dir)
	s.args = append(s.args, options...)
	t.Cleanup(s.cleanup)
	return s
}

// Start starts the process and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.launch()
	s.awaitReady()
}

func (s *Server) launch() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(s.path, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GEOCACHE_") }),
		"GORACE=halt_on_error=1")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
}

func (s *Server) awaitReady() {
	s.t.Helper()
	deadline := time.Now().Add(readyWait)
	for time.Now().Before(deadline) {
		if !s.Running() {
			s.t.Fatalf("the server ended while starting: %v\n%s", s.cmd.ProcessState, s.LogTail())
		}
		if s.answers() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("the server does not answer after %v\n%s", readyWait, s.LogTail())
}

// answers reports whether PING gets a reply that does not say "still loading".
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return false
	}
	c := &Conn{Conn: conn}
	defer func() { _ = c.Close() }()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	v, err := c.readWithin(time.Second)
	return err == nil && (v.Err() == nil || !strings.HasPrefix(v.Text, "LOADING"))
}

// Running reports whether the process lives.
func (s *Server) Running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Addr is the host:port that it listens on.
func (s *Server) Addr() string { return loopback(s.Port) }

// Signal sends a signal to the process.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
}

// Kill ends the process as a crash of it would.
func (s *Server) Kill() {
	s.t.Helper()
	s.Signal(syscall.SIGKILL)
	<-s.exited
}

// Stop ends the process as an operator would, and fails the test if it does not
// end in time and with success.
func (s *Server) Stop() {
	s.t.Helper()
	if !s.Running() {
		return
	}
	s.Signal(syscall.SIGCONT)
	s.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopWait):
		s.Signal(syscall.SIGQUIT) // for the stacks in the log
		time.Sleep(time.Second)
		s.Kill()
		s.t.Errorf("the server did not end within %v of SIGTERM\n%s", stopWait, excerpt(s.Log(), "SIGQUIT"))
		return
	}
	if !s.cmd.ProcessState.Success() {
		s.t.Errorf("the server ended with %v\n%s", s.cmd.ProcessState, s.LogTail())
	}
}

func (s *Server) cleanup() {
	s.Stop()
	log := s.Log()
	for _, sign := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(log, sign) {
			s.t.Errorf("the server's log shows %q\n%s", sign, excerpt(log, sign))
			return
		}
	}
	if s.t.Failed() {
		s.t.Logf("log of %s\n%s", s.Addr(), s.LogTail())
	}
}

// excerpt is the part of a log that a sign of trouble begins.
func excerpt(log, sign string) string {
	const size = 16 << 10
	at := max(0, strings.Index(log, sign))
	return log[at:min(len(log), at+size)]
}

// Log is all that the server wrote, over all its lives.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Error(err)
	}
	return string(text)
}

// LogTail is the end of the log.
func (s *Server) LogTail() string {
	lines := strings.Split(strings.TrimRight(s.Log(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}

// Client is a go-redis client with the defaults of that library.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr()})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Dial opens a plain connection.
func (s *Server) Dial() *Conn {
	s.t.Helper()
	return dial(s.t, "tcp", s.Addr())
}

// Conn is a connection whose bytes the test determines itself. Its methods fail
// the test; the ones that return errors do not. A goroutine other than the
// test's own uses the latter only.
type Conn struct {
	net.Conn
	t   testing.TB
	buf []byte
}

func dial(t testing.TB, network, addr string) *Conn {
	t.Helper()
	conn, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Conn{Conn: conn, t: t}
}

// Do sends a request and returns its reply.
func (c *Conn) Do(args ...string) resp.Value {
	c.t.Helper()
	c.Send(string(request(args...)))
	return c.Reply()
}

// Expect sends a request and wants this reply, in the form of resp.Value.String.
func (c *Conn) Expect(want string, args ...string) {
	c.t.Helper()
	if got := c.Do(args...).String(); got != want {
		c.t.Errorf("%.100q: reply %.200s, want %s", args, got, want)
	}
}

// ExpectReply wants this as the next reply.
func (c *Conn) ExpectReply(want string) {
	c.t.Helper()
	if got := c.Reply().String(); got != want {
		c.t.Errorf("reply %.200s, want %s", got, want)
	}
}

// Send writes bytes as they are.
func (c *Conn) Send(raw string) {
	c.t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(replyWait))
	if _, err := c.Write([]byte(raw)); err != nil {
		c.t.Fatal(err)
	}
}

// Reply returns the next reply or push.
func (c *Conn) Reply() resp.Value {
	c.t.Helper()
	v, err := c.readWithin(replyWait)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// TryDo sends a request and returns its reply.
func (c *Conn) TryDo(args ...string) (resp.Value, error) {
	if _, err := c.Write(request(args...)); err != nil {
		return resp.Value{}, err
	}
	return c.readWithin(replyWait)
}

// readWithin returns the next reply.
func (c *Conn) readWithin(wait time.Duration) (resp.Value, error) {
	_ = c.SetReadDeadline(time.Now().Add(wait))
	chunk := make([]byte, 64<<10)
	for {
		if len(c.buf) > 0 {
			v, n, err := resp.Decode(c.buf)
			if err != nil {
				return v, fmt.Errorf("%w: %.100q", err, c.buf)
			}
			if n > 0 {
				c.buf = c.buf[n:]
				return v, nil
			}
		}
		n, err := c.Read(chunk)
		c.buf = append(c.buf, chunk[:n]...)
		if err != nil && n == 0 {
			return resp.Value{}, err
		}
	}
}

// ExpectClosed wants the server to close the connection with nothing more said.
func (c *Conn) ExpectClosed() {
	c.t.Helper()
	v, err := c.readWithin(replyWait)
	var timeout net.Error
	switch {
	case err == nil:
		c.t.Errorf("reply %s, want a closed connection", v)
	case errors.As(err, &timeout) && timeout.Timeout():
		c.t.Error("the connection is still open")
	}
}

// request encodes a command.
func request(args ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.Bytes()
}

// eventually polls until the condition holds, and fails the test if it does not
// within the time.
func eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// budget is the time that a load test may spend: short, unless the environment
// asks for more.
func budget(t testing.TB, short time.Duration) time.Duration {
	t.Helper()
	v := os.Getenv("TEST_SECONDS")
	if v == "" {
		return short
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("TEST_SECONDS must be a number of seconds, not %q", v)
	}
	return time.Duration(n) * time.Second
}
