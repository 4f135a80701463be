package server

import (
	"net"
	"syscall"
	"testing"
	"time"

	"geocache/config"

	"golang.org/x/sys/unix"
)

// TestSocketParameters asks the system what became of tcp-backlog and
// tcp-keepalive.
func TestSocketParameters(t *testing.T) {
	addr, pairs := onPort(t)
	r := newRig(t, append(pairs, config.Pair{Name: "tcp-backlog", Value: "77"}, config.Pair{Name: "tcp-keepalive", Value: "60"})...)
	r.start()
	var listening net.Listener
	for _, ln := range r.listen.open {
		listening = ln
	}
	raw, err := listening.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			// Of a listening socket this field is the length of its queue.
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err != nil || info.Sacked != 77 {
				t.Errorf("tcp-backlog 77: %+v, %v", info, err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	idle := func() (on, seconds int) {
		_ = dial(t, "tcp", addr)
		<-r.sessions
		within(t, time.Second, "the connection is known", func() bool { return len(r.hub.all()) == 1 })
		c := r.hub.all()[0].(*loopConn)
		asked := make(chan struct{})
		c.loop.post(func() {
			defer close(asked)
			on, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			seconds, _ = unix.GetsockoptInt(c.fd, unix.SOL_TCP, unix.TCP_KEEPIDLE)
		})
		<-asked
		c.abandon()
		return on, seconds
	}
	if on, seconds := idle(); on != 1 || seconds != 60 {
		t.Errorf("tcp-keepalive 60: on %d, %d seconds", on, seconds)
	}
	if err := r.conf.Set([]config.Pair{{Name: "tcp-keepalive", Value: "0"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	if on, _ := idle(); on != 0 {
		t.Error("tcp-keepalive 0 sends probes")
	}
}
