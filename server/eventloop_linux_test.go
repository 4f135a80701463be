package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"geocache/config"
)

func startLoopsTCP(t *testing.T, ioThreads string) (*rig, string) {
	addr, pairs := onPort(t)
	r := newRig(t, append(pairs, config.Pair{Name: "io-threads", Value: ioThreads})...)
	r.start()
	return r, addr
}

// TestIOThreads: connections are shared out among so many loops, so that one
// that is busy holds up only its own.
func TestIOThreads(t *testing.T) {
	for threads, goesOn := range map[string]bool{"1": false, "2": true} {
		r, addr := startLoopsTCP(t, threads)
		busy := dial(t, "tcp", addr)
		f := <-r.sessions
		busy.send("stall\n")
		within(t, 2*time.Second, "stalled", func() bool { return f.ran() == 1 })
		other := dial(t, "tcp", addr)
		g := <-r.sessions
		other.send("echo a\n")
		if goesOn {
			other.expect("a")
		} else if time.Sleep(50 * time.Millisecond); g.ran() != 0 {
			t.Error("one loop runs two commands at a time")
		}
		close(f.gate)
		if !goesOn {
			other.expect("a")
		}
	}
}

// TestLoopKeepsOrder: what came in while a loop was busy runs in the order in
// which it came, over all connections.
func TestLoopKeepsOrder(t *testing.T) {
	r, addr := startLoopsTCP(t, "1")
	busy := dial(t, "tcp", addr)
	f := <-r.sessions
	clients := make([]*client, 50)
	for i := range clients {
		clients[i] = dial(t, "tcp", addr)
		clients[i].send("echo hello\n")
		clients[i].expect("hello")
	}
	r.mu.Lock()
	r.echoes = nil
	r.mu.Unlock()
	busy.send("stall\n")
	within(t, 2*time.Second, "stalled", func() bool { return f.ran() == 1 })
	var want []string
	for i := range clients {
		c := clients[i*7%len(clients)] // neither by age nor by descriptor
		word := fmt.Sprint(i)
		want = append(want, word)
		c.send("echo " + word + "\n")
	}
	close(f.gate)
	for i, word := range want {
		clients[i*7%len(clients)].expect(word)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.echoes, want) {
		t.Errorf("ran as %v", r.echoes)
	}
}

// TestLoopEnds: nothing of a loop is left, and waking what it served does no
// harm.
func TestLoopEnds(t *testing.T) {
	r, addr := startLoopsTCP(t, "1")
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	c.send("park\n")
	within(t, 2*time.Second, "parked", func() bool { return f.ran() == 1 })
	r.listen.close()
	r.hub.stopReading(time.Second)
	r.hub.closeAll(time.Second)
	c.expectEOF()
	select {
	case <-r.hub.carriers[0].(*eventLoop).done:
	default:
		t.Error("the loop still runs")
	}
	f.wake()
}
