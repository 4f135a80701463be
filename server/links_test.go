package server

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"geocache/config"
	"geocache/geo"
	"geocache/node"
	"geocache/resp"
)

// frameSession answers what a link sends and keeps the frames.
type frameSession struct {
	got    chan string
	parser resp.Parser
	in     []byte
	out    resp.Writer
	taken  bool
}

func (f *frameSession) Awaits() int { return 0 }

func (f *frameSession) Feed(p []byte) {
	f.in = append(f.in, p...)
	for {
		args, n, err := f.parser.Next(f.in)
		if n == 0 || err != nil {
			return
		}
		words := make([]string, len(args))
		for i, a := range args {
			words[i] = string(a)
		}
		f.in = f.in[n:]
		switch strings.ToLower(words[0]) {
		case "ping":
			f.out.SimpleString("PONG")
		case "hello":
			f.out.Error(resp.UnknownCommand(nil))
		case "region":
			f.got <- strings.Join(words, " ")
			f.out.OK()
		default:
			f.out.OK()
		}
	}
}

func (f *frameSession) Output() []byte {
	if f.taken {
		f.out.Reset()
	}
	f.taken = f.out.Len() > 0
	return f.out.Bytes()
}

func (f *frameSession) Resume()       {}
func (f *frameSession) Unsent(int)    {}
func (f *frameSession) Closing() bool { return false }
func (f *frameSession) InputEnded()   {}
func (f *frameSession) Close()        {}

// fakeLinkNode has one sibling.
type fakeLinkNode struct {
	mu       sync.Mutex
	siblings []node.Sibling
	frames   []node.Frame
	ups      int
	downs    int
	lastErr  error
	rtts     int
	outcomes map[geo.Outcome]int
}

func (f *fakeLinkNode) Siblings() []node.Sibling {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.siblings
}

func (f *fakeLinkNode) TakeFrames() []node.Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.frames
	f.frames = nil
	return out
}

func (f *fakeLinkNode) LinkUp(string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ups++
}

func (f *fakeLinkNode) LinkRefused(string, error) {}

func (f *fakeLinkNode) LinkDown(_ string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downs++
	f.lastErr = err
}

func (f *fakeLinkNode) LinkSample(_ string, o geo.Outcome, rtt time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outcomes == nil {
		f.outcomes = map[geo.Outcome]int{}
	}
	f.outcomes[o]++
	if rtt > 0 {
		f.rtts++
	}
}

func (f *fakeLinkNode) state() (ups, downs, rtts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ups, f.downs, f.rtts
}

// sibling listens on addr until the returned function is called.
func startSibling(t *testing.T, addr string, got chan string) (stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(quietLog(), func(net.Conn, transport, func()) session { return &frameSession{got: got} })
	l := newListeners(quietLog(), h, loadConfig(t))
	go l.acceptLoop(place{}, ln)
	return func() {
		_ = ln.Close()
		h.stopReading(time.Second)
		for _, c := range h.all() {
			c.abandon()
		}
	}
}

func TestLink(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	got := make(chan string, 1000)
	stop := startSibling(t, addr, got)
	n := &fakeLinkNode{siblings: []node.Sibling{{Name: "b", Endpoint: addr}}}
	l := newLinks(n, loadConfig(t, config.Pair{Name: "region", Value: "a"}), quietLog())
	defer l.close()
	l.step()
	within(t, 3*time.Second, "up, with round trips", func() bool { ups, _, rtts := n.state(); return ups == 1 && rtts > 1 })

	for i := range 100 {
		n.frames = append(n.frames, node.Frame{Peer: "b", Data: fmt.Append(nil, i)})
	}
	n.frames = append(n.frames, node.Frame{Peer: "nobody", Data: []byte("x")})
	l.step()
	seen := map[string]bool{}
	for range 100 {
		select {
		case f := <-got:
			seen[f] = true
		case <-time.After(3 * time.Second):
			t.Fatalf("%d frames arrived", len(seen))
		}
	}
	if !seen["region frame a 0"] || !seen["region frame a 99"] {
		t.Errorf("%v", seen)
	}

	stop()
	within(t, 5*time.Second, "down", func() bool { _, downs, _ := n.state(); return downs == 1 })
	n.mu.Lock()
	refused := n.outcomes[geo.Refused]
	n.mu.Unlock()
	if refused == 0 {
		t.Error("a refused connection was not told as such")
	}
	defer startSibling(t, addr, got)()
	within(t, 5*time.Second, "up again", func() bool { ups, _, _ := n.state(); return ups == 2 })

	n.mu.Lock()
	n.siblings = []node.Sibling{{Name: "b", Endpoint: addr, Generation: 1}}
	n.mu.Unlock()
	before := l.byName["b"]
	l.step()
	if l.byName["b"] == before {
		t.Error("a sibling removed and added again keeps its link")
	}
	within(t, 5*time.Second, "the new link is up", func() bool { ups, _, _ := n.state(); return ups == 3 })

	n.mu.Lock()
	n.siblings = nil
	n.mu.Unlock()
	l.step()
	if len(l.byName) != 0 {
		t.Error("the link to a removed sibling stays")
	}
}

// A name may resolve to anything: plain text is refused after the dial too.
func TestLinkRefusesPlaintext(t *testing.T) {
	ip := outsideAddress(t)
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Skipf("SKIP: %v", err)
	}
	defer ln.Close()
	n := &fakeLinkNode{siblings: []node.Sibling{{Name: "b", Endpoint: ln.Addr().String()}}}
	l := newLinks(n, loadConfig(t, config.Pair{Name: "region", Value: "a"}), quietLog())
	defer l.close()
	l.step()
	within(t, 5*time.Second, "refused", func() bool { _, downs, _ := n.state(); return downs == 1 })
	n.mu.Lock()
	if !errors.Is(n.lastErr, errPlaintext) {
		t.Errorf("%v", n.lastErr)
	}
	n.mu.Unlock()
	// What is allowed, by sibling-allow-plaintext, is spoken.
	if err := l.conf.Set([]config.Pair{{Name: "sibling-allow-plaintext", Value: "yes"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	l.step()
	said := make(chan int)
	go func() {
		buf := make([]byte, 100)
		for {
			sock, err := ln.Accept()
			if err != nil {
				return
			}
			if n, _ := sock.Read(buf); n > 0 {
				said <- n
				return
			}
		}
	}()
	select {
	case <-said:
	case <-time.After(5 * time.Second):
		t.Error("sibling-allow-plaintext yes says nothing")
	}
}

func outsideAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok && !p.IP.IsLoopback() && p.IP.To4() != nil {
			return p.IP.String()
		}
	}
	t.Skip("SKIP: only loopback addresses here")
	return ""
}

func TestLinkQueueIsBounded(t *testing.T) {
	k := &link{queue: make(chan []byte, linkQueueFrames)}
	for range 2 * linkQueueFrames {
		k.offer(make([]byte, 10))
	}
	if len(k.queue) != linkQueueFrames || k.queued.Load() != 10*linkQueueFrames {
		t.Errorf("%d frames, %d bytes", len(k.queue), k.queued.Load())
	}
	k = &link{queue: make(chan []byte, linkQueueFrames)}
	big := make([]byte, linkQueueBytes/4)
	for range 10 {
		k.offer(big)
	}
	if len(k.queue) != 4 || k.queued.Load() != linkQueueBytes {
		t.Errorf("%d frames, %d bytes", len(k.queue), k.queued.Load())
	}
}
