package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geocache/config"
)

// place is one address to listen on.
type place struct {
	kind     transport
	network  string // tcp, tcp4, tcp6, unix
	address  string
	optional bool // may be missing on this machine
}

// places lists what the configuration asks for.
func places(s *config.Snapshot) []place {
	var list []place
	add := func(kind transport, port int) {
		if port == 0 {
			return
		}
		for _, bind := range s.Bind {
			host, optional := strings.CutPrefix(bind, "-")
			p := place{kind: kind, network: "tcp", optional: optional}
			switch host {
			case "*":
				p.network, host = "tcp4", "0.0.0.0"
			case "::*":
				p.network, host = "tcp6", "::"
			}
			p.address = net.JoinHostPort(host, strconv.Itoa(port))
			list = append(list, p)
		}
	}
	add(plainTCP, s.Port)
	add(tlsTCP, s.TLSPort)
	if s.UnixSocket != "" {
		list = append(list, place{kind: unixSocket, network: "unix", address: inDir(s.Dir, s.UnixSocket)})
	}
	return list
}

// inDir resolves a path of the configuration: relative ones start from dir, as
// in Redis, which changes into it.
func inDir(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// listeners owns the listening sockets.
type listeners struct {
	log    *slog.Logger
	hub    *hub
	conf   *config.Config
	secure atomic.Pointer[tls.Config]

	mu      sync.Mutex
	open    map[place]net.Listener
	serving bool
	closed  bool
}

func newListeners(log *slog.Logger, h *hub, conf *config.Config) *listeners {
	return &listeners{log: log, hub: h, conf: conf, open: map[place]net.Listener{}}
}

// listen makes the open sockets those that the configuration asks for. What is
// already open stays open; when a new address cannot be had, everything is as
// before and the error says which.
func (l *listeners) listen(s *config.Snapshot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	wanted := places(s)
	// An address being left may overlap one being taken, so it goes first.
	var left []place
	for p, ln := range l.open {
		if !slices.Contains(wanted, p) {
			l.shut(p, ln)
			left = append(left, p)
		}
	}
	var taken []place
	for _, p := range wanted {
		if l.open[p] != nil {
			continue
		}
		ln, err := l.bind(p, s)
		if err == nil && ln != nil {
			l.open[p] = ln
			taken = append(taken, p)
		}
		if err != nil {
			return errors.Join(err, l.restore(taken, left))
		}
	}
	if l.serving {
		l.serveAll(taken)
	}
	return nil
}

// restore undoes half a change.
func (l *listeners) restore(taken, left []place) error {
	for _, p := range taken {
		l.shut(p, l.open[p])
	}
	var failed error
	for _, p := range left {
		ln, err := l.bind(p, l.conf.Load())
		if err != nil || ln == nil {
			failed = errors.Join(failed, err)
			continue
		}
		l.open[p] = ln
		if l.serving {
			l.serveAll([]place{p})
		}
	}
	return failed
}

func (l *listeners) shut(p place, ln net.Listener) {
	delete(l.open, p)
	if err := ln.Close(); err != nil {
		l.log.Warn("closing a listening socket failed", "address", p.address, "error", err)
	}
}

// bind returns no listener for an optional address that the machine lacks.
func (l *listeners) bind(p place, s *config.Snapshot) (net.Listener, error) {
	if p.kind == unixSocket {
		return bindUnix(p.address, s)
	}
	// Keepalive is set at accept, so that CONFIG SET reaches new connections.
	ln, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), p.network, p.address)
	if err != nil {
		if absent(err) || p.optional && errors.Is(err, syscall.EADDRNOTAVAIL) {
			l.log.Debug("an address does not exist here", "address", p.address, "error", err)
			return nil, nil
		}
		return nil, fmt.Errorf("could not create server TCP listening socket %s: %w", p.address, err)
	}
	l.setBacklog(ln, s.TCPBacklog)
	return ln, nil
}

// absent: the machine does not know this kind of address at all.
func absent(err error) bool {
	for _, e := range []error{syscall.EAFNOSUPPORT, syscall.EPFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.ENOPROTOOPT, syscall.ESOCKTNOSUPPORT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// setBacklog repeats listen(2), which only changes the queue's length. Go asks
// for the system's maximum, so a failure costs nothing.
func (l *listeners) setBacklog(ln net.Listener, backlog int) {
	if backlog == 0 {
		return
	}
	var listenErr error
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), backlog) })
	}
	if err = errors.Join(err, listenErr); err != nil {
		l.log.Debug("tcp-backlog not applied", "error", err)
	}
}

// bindUnix replaces a socket file that a crash left behind.
func bindUnix(path string, s *config.Snapshot) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove old unix socket: %w", err)
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("could not create unix socket %s: %w", path, err)
	}
	if s.UnixSocketPerm != 0 {
		if err := os.Chmod(path, os.FileMode(s.UnixSocketPerm)); err != nil {
			return nil, errors.Join(fmt.Errorf("unixsocketperm: %w", err), ln.Close())
		}
	}
	return ln, nil
}

// serve begins to accept; until then clients wait in the kernel's queue.
func (l *listeners) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving = true
	all := make([]place, 0, len(l.open))
	for p := range l.open {
		all = append(all, p)
	}
	l.serveAll(all)
}

func (l *listeners) serveAll(list []place) {
	for _, p := range list {
		go l.acceptLoop(p, l.open[p])
	}
}

// count returns how many sockets are open.
func (l *listeners) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// kinds returns the transports that are open, in their order.
func (l *listeners) kinds() []transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []transport
	for _, kind := range []transport{plainTCP, unixSocket, tlsTCP} {
		for p := range l.open {
			if p.kind == kind {
				list = append(list, kind)
				break
			}
		}
	}
	return list
}

// close ends listening for good.
func (l *listeners) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for p, ln := range l.open {
		l.shut(p, ln)
	}
}

// Pauses after a failed accept: file descriptors run out, and come back when
// clients leave.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

func (l *listeners) acceptLoop(p place, ln net.Listener) {
	pause := minAcceptPause
	for {
		sock, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if pause == minAcceptPause {
				l.log.Warn("accepting client connections failed", "address", p.address, "error", err)
			}
			time.Sleep(pause)
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = minAcceptPause
		l.setKeepalive(sock)
		var secure *tls.Config
		if p.kind == tlsTCP {
			secure = l.secure.Load()
		}
		l.hub.accept(sock.(streamConn), p.kind, secure)
	}
}

// setKeepalive is best effort: probes find dead clients, not more.
func (l *listeners) setKeepalive(sock net.Conn) {
	tcp, ok := sock.(*net.TCPConn)
	if !ok {
		return
	}
	idle := time.Duration(l.conf.Load().TCPKeepaliveSeconds) * time.Second
	if idle <= 0 {
		return
	}
	// As Redis: probes at a third of the time, three unanswered end it.
	keep := net.KeepAliveConfig{Enable: true, Idle: idle, Interval: max(idle/3, time.Second), Count: 3}
	if err := tcp.SetKeepAliveConfig(keep); err != nil {
		l.log.Debug("tcp-keepalive not applied", "error", err)
	}
}
