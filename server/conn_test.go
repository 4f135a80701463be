package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geocache/config"
)

func startTCP(t *testing.T) (*rig, string) {
	addr, pairs := onPort(t)
	r := newRig(t, pairs...)
	r.start()
	return r, addr
}

// testLinger is the patience with slow readers that are being closed.
const testLinger = 300 * time.Millisecond

// eachCarrier runs a test with event loops and with goroutines.
func eachCarrier(t *testing.T, test func(t *testing.T, r *rig, addr string)) {
	for _, c := range []struct {
		name       string
		goroutines bool
		loops      string
	}{{"goroutines", true, "1"}, {"loop", false, "1"}, {"loops", false, "3"}} {
		t.Run(c.name, func(t *testing.T) {
			addr, pairs := onPort(t)
			r := newRig(t, append(pairs, config.Pair{Name: "io-threads", Value: c.loops})...)
			r.goroutines = c.goroutines
			r.hub.linger = testLinger
			r.start()
			test(t, r, addr)
		})
	}
}

func TestPipeline(t *testing.T) {
	eachCarrier(t, testPipeline)
}

func testPipeline(t *testing.T, _ *rig, addr string) {
	c := dial(t, "tcp", addr)
	var in strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&in, "echo %d\n", i)
	}
	c.send(in.String())
	for i := range 5000 {
		c.expect(fmt.Sprint(i))
	}
	c.send("echo half")
	time.Sleep(20 * time.Millisecond)
	c.send(" a line\n")
	c.expect("half a line")
	c.send("quit\necho never\n")
	c.expect("bye")
	c.expectEOF()
}

// A client that writes everything before it reads anything must not lock up,
// whatever fits into the sockets.
func TestWriteAllThenRead(t *testing.T) {
	eachCarrier(t, testWriteAllThenRead)
}

func testWriteAllThenRead(t *testing.T, _ *rig, addr string) {
	c := dial(t, "tcp", addr)
	const n, size = 20000, 2000
	c.send(strings.Repeat(fmt.Sprintf("big %d\n%s", size, strings.Repeat("echo y\n", 50)), n/50))
	c.send("quit\n")
	got, err := io.ReadAll(c.r)
	if want := n/50*size + n*2 + len("bye\n"); err != nil || len(got) != want {
		t.Fatalf("%d bytes, %v; want %d", len(got), err, want)
	}
}

func TestHalfClosed(t *testing.T) {
	eachCarrier(t, testHalfClosed)
}

func testHalfClosed(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	c.send("echo 1\nbig 8000000\necho 2\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	c.expect("1")
	c.expect(strings.Repeat("x", 8000000-1))
	c.expect("2")
	c.expectEOF()
	closedSoon(t, <-r.sessions)
}

func TestVanishWhileParked(t *testing.T) {
	eachCarrier(t, testVanishWhileParked)
}

func testVanishWhileParked(t *testing.T, r *rig, addr string) {
	for _, leave := range []func(net.Conn) error{
		net.Conn.Close,
		func(s net.Conn) error {
			if err := s.(*net.TCPConn).SetLinger(0); err != nil { // a reset
				return err
			}
			return s.Close()
		},
	} {
		c := dial(t, "tcp", addr)
		f := <-r.sessions
		c.send("park\n")
		within(t, time.Second, "parked", func() bool { return f.ran() == 1 })
		if err := leave(c.Conn); err != nil {
			t.Fatal(err)
		}
		closedSoon(t, f)
		f.wake() // a late one does no harm
	}
}

func TestWakeAndPush(t *testing.T) {
	eachCarrier(t, testWakeAndPush)
}

func testWakeAndPush(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	c.send("park\necho after\n")
	within(t, time.Second, "parked", func() bool { return f.ran() == 1 })
	f.push("news")
	c.expect("news")
	f.mu.Lock()
	f.unpark = true
	f.mu.Unlock()
	f.wake()
	c.expect("unparked")
	c.expect("after")

	// Pushes from many goroutines while requests run: none lost.
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				f.push("p")
			}
		})
	}
	c.send(strings.Repeat("echo p\n", each))
	for range (writers + 1) * each {
		c.expect("p")
	}
	wg.Wait()
}

// What a slow reader has not read stays in the session, commands go on, and a
// kill ends the connection although the socket is full.
func TestSlowReader(t *testing.T) {
	eachCarrier(t, testSlowReader)
}

func testSlowReader(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	const size = 8 << 20 // three are more than the sockets hold
	c.send(strings.Repeat(fmt.Sprintf("big %d\n", size), 3))
	within(t, 5*time.Second, "three replies pending", func() bool { return f.ran() == 3 })
	c.send("echo still\n")
	within(t, 2*time.Second, "the fourth command", func() bool { return f.ran() == 4 })
	f.mu.Lock()
	f.kill = true
	f.mu.Unlock()
	f.wake()
	closedSoon(t, f)
	if n, err := io.Copy(io.Discard, c.r); err == nil && n > 3*size {
		t.Error("everything arrived")
	}
}

// A reader that is slow but alive gets everything, however long it takes.
func TestSlowReaderAfterQuit(t *testing.T) {
	eachCarrier(t, testSlowReaderAfterQuit)
}

func testSlowReaderAfterQuit(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	const size = 12 << 20
	c.send(fmt.Sprintf("big %d\nquit\n", size))
	got := 0
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		n, err := io.CopyN(io.Discard, c.r, size/16)
		got += int(n)
		if err != nil {
			if took := time.Since(start); got != size+len("bye\n") || took < 2*testLinger {
				t.Errorf("%d bytes after %v, %v", got, took, err)
			}
			return
		}
	}
}

func TestManyConnections(t *testing.T) {
	eachCarrier(t, testManyConnections)
}

func testManyConnections(t *testing.T, r *rig, addr string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				c := dial(t, "tcp", addr)
				c.send("echo a\n")
				c.expect("a")
				_ = c.Close()
			}
		})
	}
	wg.Wait()
	within(t, 3*time.Second, "all gone", func() bool { return len(r.hub.all()) == 0 })
}

func TestShutdownDeliversReplies(t *testing.T) {
	eachCarrier(t, testShutdownDeliversReplies)
}

func testShutdownDeliversReplies(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	parked := dial(t, "tcp", addr)
	g := <-r.sessions
	parked.send("park\n")
	c.send("echo 1\nbig 9000000\n")
	within(t, 2*time.Second, "both ran", func() bool { return f.ran() == 2 && g.ran() == 1 })
	r.listen.close()
	r.hub.stopReading(time.Second)
	done := make(chan struct{})
	go func() {
		r.hub.closeAll(3 * time.Second)
		close(done)
	}()
	c.expect("1")
	c.expect(strings.Repeat("x", 9000000-1))
	c.expectEOF()
	parked.expectEOF()
	<-done
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("still listening")
	}
}

// A client that reads nothing does not hold up the end.
func TestShutdownLeavesSlowReaders(t *testing.T) {
	eachCarrier(t, testShutdownLeavesSlowReaders)
}

func testShutdownLeavesSlowReaders(t *testing.T, r *rig, addr string) {
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	c.send("big 30000000\n")
	within(t, 2*time.Second, "ran", func() bool { return f.ran() == 1 })
	r.listen.close()
	r.hub.stopReading(time.Second)
	start := time.Now()
	r.hub.closeAll(200 * time.Millisecond)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	closedSoon(t, f)
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, config.Pair{Name: "port", Value: "0"}, config.Pair{Name: "unixsocket", Value: path}, config.Pair{Name: "unixsocketperm", Value: "700"})
	r.start()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	c := dial(t, "unix", path)
	c.send("echo u\n")
	c.expect("u")
	r.listen.close()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket file is left")
	}

	// What is no socket is not removed.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newRig(t, config.Pair{Name: "port", Value: "0"}, config.Pair{Name: "unixsocket", Value: file})
	if err := other.listen.listen(other.conf.Load()); err == nil {
		t.Error("bound over a file")
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, []byte("precious")) {
		t.Errorf("%q, %v", text, err)
	}
}
