package server

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"geocache/config"
)

func TestPlaces(t *testing.T) {
	conf := loadConfig(t, config.Pair{Name: "bind", Value: "* -::* 127.0.0.1 -::1 -name"}, config.Pair{Name: "tls-port", Value: "7"})
	s := conf.Load()
	want := []place{
		{plainTCP, "tcp4", "0.0.0.0:6379", false},
		{plainTCP, "tcp6", "[::]:6379", true},
		{plainTCP, "tcp", "127.0.0.1:6379", false},
		{plainTCP, "tcp", "[::1]:6379", true},
		{plainTCP, "tcp", "name:6379", true},
	}
	got := places(s)
	if len(got) != 10 || !reflect.DeepEqual(got[:5], want) || got[5] != (place{tlsTCP, "tcp4", "0.0.0.0:7", false}) {
		t.Errorf("%+v", got)
	}
}

func TestRebind(t *testing.T) {
	r, addr := startTCP(t)
	old := dial(t, "tcp", addr)
	old.send("echo first\n") // who waits to be accepted is lost with the socket
	old.expect("first")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	set := func(name, value string) *config.Snapshot {
		t.Helper()
		c := loadConfig(t, config.Pair{Name: "bind", Value: "127.0.0.1"}, config.Pair{Name: name, Value: value})
		return c.Load()
	}
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	if err := r.listen.listen(set("port", port)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("%v", err)
	}
	c := dial(t, "tcp", addr)
	c.send("echo back\n")
	c.expect("back")

	next := freePort(t)
	if err := r.listen.listen(set("port", strconv.Itoa(next))); err != nil {
		t.Fatal(err)
	}
	c = dial(t, "tcp", fmt.Sprintf("127.0.0.1:%d", next))
	c.send("echo new\n")
	c.expect("new")
	old.send("echo old\n")
	old.expect("old")
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("the old port still answers")
	}
}

func TestOptionalAddresses(t *testing.T) {
	port := freePort(t)
	for bind, ok := range map[string]bool{"127.0.0.1 -192.0.2.77": true, "127.0.0.1 192.0.2.77": false} {
		r := newRig(t, config.Pair{Name: "bind", Value: bind}, config.Pair{Name: "port", Value: strconv.Itoa(port)})
		if err := r.listen.listen(r.conf.Load()); (err == nil) != ok {
			t.Errorf("bind %s: %v", bind, err)
		}
		r.listen.close()
	}
}

// flakyListener fails a few times, as when descriptors run out.
type flakyListener struct {
	net.Listener
	failures atomic.Int32
}

func (f *flakyListener) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, syscall.EMFILE
	}
	return f.Listener.Accept()
}

func TestAcceptGoesOnAfterErrors(t *testing.T) {
	r := newRig(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	flaky := &flakyListener{Listener: ln}
	flaky.failures.Store(4)
	go r.listen.acceptLoop(place{}, flaky)
	c := dial(t, "tcp", ln.Addr().String())
	c.send("echo a\n")
	c.expect("a")
}
