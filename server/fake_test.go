package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geocache/config"
)

func TestMain(m *testing.M) {
	LogClients(quietLog())
	os.Exit(m.Run())
}

func quietLog() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fakeSession speaks lines: "echo X", "big N" (N bytes), "park" (until woken),
// "stall" (until gate is closed, whoever drives it), "quit".
type fakeSession struct {
	wake func()
	gate chan struct{}
	// echoed is told of every echo, in the order in which they run.
	echoed func(arg string)

	// Driven by the transport.
	in, out []byte
	taken   int
	closing bool
	parked  bool
	fed     int

	mu       sync.Mutex
	pushes   []string // to be delivered by Resume
	unpark   bool
	kill     bool
	closed   chan struct{}
	commands int
	driving  int // goroutines inside: never more than one
	unsent   atomic.Int64
}

func (f *fakeSession) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.driving++; f.driving > 1 {
		panic("two goroutines drive one session")
	}
	f.out = f.out[f.taken:]
	f.taken = 0
}

func (f *fakeSession) leave() {
	f.mu.Lock()
	f.driving--
	f.mu.Unlock()
}

func (f *fakeSession) Awaits() int { return 0 }

func (f *fakeSession) Feed(p []byte) {
	f.enter()
	defer f.leave()
	f.in = append(f.in, p...)
	f.fed += len(p)
	f.run()
}

func (f *fakeSession) run() {
	for !f.parked && !f.closing {
		line, rest, ok := bytes.Cut(f.in, []byte("\n"))
		if !ok {
			return
		}
		word, arg, _ := strings.Cut(string(line), " ")
		f.in = rest
		f.mu.Lock()
		f.commands++
		f.mu.Unlock()
		switch word {
		case "stall":
			<-f.gate
		case "echo":
			f.echoed(arg)
			f.out = append(f.out, arg+"\n"...)
		case "big":
			n, _ := strconv.Atoi(arg)
			f.out = append(append(f.out, bytes.Repeat([]byte("x"), n-1)...), '\n')
		case "park":
			f.parked = true
		case "quit":
			f.out = append(f.out, "bye\n"...)
			f.closing = true
		}
	}
}

func (f *fakeSession) Resume() {
	f.enter()
	defer f.leave()
	f.mu.Lock()
	for _, p := range f.pushes {
		f.out = append(f.out, p+"\n"...)
	}
	f.pushes = nil
	if f.unpark {
		f.parked, f.unpark = false, false
		f.out = append(f.out, "unparked\n"...)
	}
	f.closing = f.closing || f.kill
	f.mu.Unlock()
	f.run()
}

func (f *fakeSession) Unsent(bytes int) { f.unsent.Store(int64(bytes)) }

func (f *fakeSession) Output() []byte {
	f.enter()
	defer f.leave()
	f.taken = len(f.out)
	return f.out
}

func (f *fakeSession) Closing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kill || f.closing && len(f.out) == f.taken
}

func (f *fakeSession) InputEnded() {
	f.enter()
	defer f.leave()
	f.closing = true
}

func (f *fakeSession) Close() { close(f.closed) }

func (f *fakeSession) push(text string) {
	f.mu.Lock()
	f.pushes = append(f.pushes, text)
	f.mu.Unlock()
	f.wake()
}

func (f *fakeSession) ran() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commands
}

// rig is a hub with listeners over fake sessions.
type rig struct {
	t          *testing.T
	conf       *config.Config
	hub        *hub
	goroutines bool // plain connections have goroutines, as on systems without event loops
	listen     *listeners
	sessions   chan *fakeSession

	mu     sync.Mutex
	echoes []string
}

func (r *rig) echoed(arg string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.echoes = append(r.echoes, arg)
}

func newRig(t *testing.T, pairs ...config.Pair) *rig {
	t.Helper()
	r := &rig{t: t, conf: loadConfig(t, pairs...), sessions: make(chan *fakeSession, 2000)}
	r.hub = newHub(quietLog(), func(_ net.Conn, _ transport, wake func()) session {
		f := &fakeSession{wake: wake, gate: make(chan struct{}), echoed: r.echoed, closed: make(chan struct{})}
		r.sessions <- f
		return f
	})
	r.listen = newListeners(quietLog(), r.hub, r.conf)
	t.Cleanup(func() {
		r.listen.close()
		r.hub.stopReading(time.Second)
		r.hub.closeAll(100 * time.Millisecond)
	})
	return r
}

func loadConfig(t *testing.T, pairs ...config.Pair) *config.Config {
	t.Helper()
	src := config.Sources{WorkingDir: t.TempDir()}
	for _, p := range pairs {
		src.Options = append(src.Options, p.Name+" "+p.Value)
	}
	conf, err := config.Load(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

func (r *rig) start() {
	r.t.Helper()
	if !r.goroutines {
		if err := r.hub.startLoops(r.conf.Load().IOThreads); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.listen.listen(r.conf.Load()); err != nil {
		r.t.Fatal(err)
	}
	r.listen.serve()
}

// freePort returns a TCP port that is free now.
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

func onPort(t *testing.T) (addr string, pairs []config.Pair) {
	port := freePort(t)
	return fmt.Sprintf("127.0.0.1:%d", port), []config.Pair{{Name: "bind", Value: "127.0.0.1"}, {Name: "port", Value: strconv.Itoa(port)}}
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, network, addr string) *client {
	t.Helper()
	sock, err := net.DialTimeout(network, addr, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return wrapClient(t, sock)
}

func wrapClient(t *testing.T, sock net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { _ = sock.Close() })
	if err := sock.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t, sock, bufio.NewReader(sock)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(line string) {
	c.t.Helper()
	got, err := c.r.ReadString('\n')
	if err != nil || got != line+"\n" {
		c.t.Fatalf("got %.60q, %v; want %q", got, err, line)
	}
}

func (c *client) expectEOF() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("got %.60q, %v; want the end", rest, err)
	}
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

func closedSoon(t *testing.T, f *fakeSession) {
	t.Helper()
	select {
	case <-f.closed:
	case <-time.After(3 * time.Second):
		t.Fatal("the session was not closed")
	}
}
