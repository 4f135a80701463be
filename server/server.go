package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geocache/clock"
	"geocache/command"
	"geocache/config"
	"geocache/node"
	"geocache/persist"
	"geocache/resp"
)

const (
	// stopPatience is what commands being run get at shutdown, and then again
	// what clients get to read their last replies.
	stopPatience = 2 * time.Second
	// storeDir is where the store is inside `dir`.
	storeDir = "store"
)

// StorePath is the store's directory inside a data directory.
func StorePath(dataDir string) string { return filepath.Join(dataDir, storeDir) }

// ErrForced is what Run returns when a second signal cut the shutdown short:
// the process is to end at once.
var ErrForced = errors.New("server: shutdown was cut short by a second signal")

// Options are what a server is started with.
type Options struct {
	Config *config.Config
	// ConfigFile is the absolute path of the configuration file, empty if
	// there is none.
	ConfigFile string
	Version    string
	// Stdout takes the log while no logfile is configured.
	Stdout io.Writer
	// OwnProcess, where set, is given the log before anything runs, for what
	// belongs to the process and not to one of its servers.
	OwnProcess func(*slog.Logger)
}

// Server is one running region with its sockets.
type Server struct {
	opts   Options
	conf   *config.Config
	log    *slog.Logger
	node   *node.Node
	hub    *hub
	listen *listeners
	loops  *loops
	pace   *heapPace
	// running is node from when it serves.
	running atomic.Pointer[node.Node]
	links   *links
	boss    supervisor

	wakeLog, wakeLinks, wakeTimers bell
	stop                           chan struct{}
	stopOnce                       sync.Once
}

// Run serves until a signal or SHUTDOWN asks to end.
func Run(o Options) error {
	log, file, err := newLog(o.Config, o.Stdout)
	if err != nil {
		return err
	}
	if o.OwnProcess != nil {
		o.OwnProcess(log)
	}
	s := &Server{
		opts: o, conf: o.Config, log: log, stop: make(chan struct{}),
		wakeLog: newBell(), wakeLinks: newBell(), wakeTimers: newBell(),
	}
	err = s.run()
	if err != nil {
		log.Error("geocache ends", "error", err)
	}
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}

func (s *Server) run() error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)

	done := make(chan error, 1)
	go func() { done <- s.live() }()
	for asked := false; ; {
		select {
		case err := <-done:
			return err
		case sig := <-signals:
			if asked {
				return ErrForced
			}
			asked = true
			s.log.Info("signal received, shutting down", "signal", sig.String())
			go s.obey(sig)
		}
	}
}

// obey ends the server as shutdown-on-sigint or shutdown-on-sigterm says. Where
// the node refuses it goes on, until the second signal.
func (s *Server) obey(sig os.Signal) {
	snap := s.conf.Load()
	flags := snap.ShutdownOnSigterm
	if sig == syscall.SIGINT {
		flags = snap.ShutdownOnSigint
	}
	if n := s.running.Load(); n != nil {
		if err := n.PrepareStop(shutdownMode(flags)); err != nil {
			s.log.Error("the signal is not obeyed; a second one ends the server in any case")
			return
		}
	}
	s.askStop()
}

func shutdownMode(f config.ShutdownFlags) (m command.ShutdownMode) {
	switch {
	case f&config.ShutdownSave != 0:
		m.Save = command.Yes
	case f&config.ShutdownNoSave != 0:
		m.Save = command.No
	}
	if f&config.ShutdownNow != 0 {
		m.Now = command.On
	}
	if f&config.ShutdownForce != 0 {
		m.Force = command.On
	}
	return m
}

func (s *Server) askStop() { s.stopOnce.Do(func() { close(s.stop) }) }

// live is the server's life from first to last.
func (s *Server) live() error {
	snap := s.conf.Load()
	s.announce(snap)
	s.boss = newSupervisor(snap.Supervised, s.log)
	if err := fitMaxClients(s.conf, s.log); err != nil {
		return err
	}
	s.pace = newHeapPace(snap, s.log)
	removePid, err := writePidFile(inDir(snap.Dir, snap.PidFile))
	if err != nil {
		return err
	}
	err = s.open(snap)
	if err == nil {
		s.ready()
		<-s.stop
		err = s.shutdown()
	}
	return errors.Join(err, removePid())
}

func (s *Server) announce(snap *config.Snapshot) {
	s.log.Info(fmt.Sprintf("geocache %s starting, PID: %d", s.opts.Version, os.Getpid()), "go", goVersion())
	if s.opts.ConfigFile == "" {
		s.log.Info("no configuration file: defaults, environment and options apply")
	} else {
		s.log.Info("configuration loaded", "file", s.opts.ConfigFile)
	}
	if names := s.conf.Ineffective(); len(names) > 0 {
		s.log.Info("parameters accepted without effect", "names", names)
	}
	if snap.Region != "" {
		s.log.Info("region", "name", snap.Region, "siblings", len(snap.Siblings))
	}
}

func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "unknown"
}

// open takes the addresses first, so that a wrong one is noticed before the
// data is touched; clients wait in the kernel's queue until the data is loaded.
func (s *Server) open(snap *config.Snapshot) error {
	s.hub = newHub(s.log, s.connect)
	if err := s.hub.startLoops(snap.IOThreads); err != nil {
		return err
	}
	s.listen = newListeners(s.log, s.hub, s.conf)
	if snap.TLSPort != 0 {
		if err := s.loadTLS(snap); err != nil {
			return err
		}
	}
	if err := s.listen.listen(snap); err != nil {
		s.listen.close()
		return err
	}
	if s.listen.count() == 0 {
		return errors.New("configured to not listen anywhere")
	}
	n, err := s.openNode(snap)
	if err != nil {
		s.listen.close()
		return err
	}
	s.node = n
	s.hookListeners()
	s.hookFiles()
	s.links = newLinks(n, s.conf, s.log)
	s.loops = startLoops(n, s.links, s.wakeLog, s.wakeLinks, s.wakeTimers)
	s.loops.every(paceEvery, nil, func() { s.pace.step(n.MappedBytes()) })
	s.log.Info("Server initialized")
	s.running.Store(n)
	s.listen.serve()
	return nil
}

func (s *Server) openNode(snap *config.Snapshot) (*node.Node, error) {
	var id [20]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	places, err := geoIP(snap)
	if err != nil {
		return nil, fmt.Errorf("geoip-file: %w", err)
	}
	wall := clock.System{}
	o := node.Options{
		Config: s.conf, Wall: wall, Micros: wall.Micros, Thread: threadUse, Seed: clock.SystemSeed(),
		OpenStore: s.openStore, Pages: pages(),
		Spawn: func(f func()) { go f() }, FreeHeap: debug.FreeOSMemory,
		Log: s.log, RunID: hex.EncodeToString(id[:]), GeoIP: places,
		WakeLog: s.wakeLog.ring, WakeLinks: s.wakeLinks.ring, WakeTimers: s.wakeTimers.ring,
		SaveFile: s.saveFile, LoadFile: s.loadFile,
		Stop: s.askStop, Process: s.process,
	}
	if s.opts.ConfigFile != "" {
		o.RewriteConfig = s.rewriteConfig
	}
	return node.Open(o)
}

// geoIP reads geoip-file; nil without one.
func geoIP(snap *config.Snapshot) ([]byte, error) {
	if snap.GeoIPFile == "" {
		return nil, nil
	}
	return os.ReadFile(inDir(snap.Dir, snap.GeoIPFile))
}

func (s *Server) openStore() (persist.Store, error) {
	snap := s.conf.Load()
	dir := StorePath(snap.Dir)
	s.log.Info("opening the data directory", "path", dir)
	return persist.OpenPebble(dir, persist.PebbleOptions{
		CacheBytes:    snap.PebbleCacheSize,
		MemtableBytes: 2 * snap.PebbleMemtableSize, // one that fills, one being flushed
		Logger:        func(line string) { s.log.Warn("store: " + line) },
	})
}

// connect opens a client's session.
func (s *Server) connect(sock net.Conn, kind transport, wake func()) session {
	info := node.ConnInfo{Remote: sock.RemoteAddr().String(), Local: sock.LocalAddr().String()}
	switch kind {
	case unixSocket:
		info.Kind = node.Unix
	case tlsTCP:
		info.Kind = node.TLS
	default:
		info.Kind = node.TCP
	}
	return s.node.Connect(info, wake)
}

func (s *Server) ready() {
	for _, kind := range s.listen.kinds() {
		s.log.Info("Ready to accept connections", "transport", [...]string{"tcp", "unix", "tls"}[kind])
	}
	s.boss.tell("READY=1\nSTATUS=Ready to accept connections\n")
}

// rewriteConfig lends the configuration file to CONFIG REWRITE.
func (s *Server) rewriteConfig(rewrite func(old string) string) error {
	old, err := os.ReadFile(s.opts.ConfigFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return replaceFile(s.opts.ConfigFile, rewrite(string(old)))
}

// loadTLS makes new connections meet the certificates that are on disk now.
func (s *Server) loadTLS(snap *config.Snapshot) error {
	c, err := serverTLS(snap)
	if err != nil {
		return err
	}
	s.listen.secure.Store(c)
	return nil
}

// hookListeners makes CONFIG SET of addresses and certificates take effect. The
// reasons that clients read are short, as Redis'; the log has the rest.
func (s *Server) hookListeners() {
	refuse := func(reason string, err error) error {
		s.log.Warn("CONFIG SET refused: "+reason, "error", err)
		return errors.New(reason)
	}
	s.conf.OnChangeOf([]string{
		"tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-ca-cert-file", "tls-ca-cert-dir",
		"tls-auth-clients", "tls-protocols", "tls-port",
	}, func(_, next *config.Snapshot) error {
		if next.TLSPort == 0 {
			return nil
		}
		if err := s.loadTLS(next); err != nil {
			return refuse(resp.ReasonTLS, err)
		}
		return nil
	})
	s.conf.OnChangeOf([]string{"bind", "port", "tls-port"}, func(old, next *config.Snapshot) error {
		err := s.listen.listen(next)
		switch {
		case err == nil:
			return nil
		case !slices.Equal(old.Bind, next.Bind):
			return refuse(resp.ReasonBind, err)
		}
		return refuse(resp.ReasonListen, err)
	})
}

// hookFiles makes CONFIG SET of other files take effect.
func (s *Server) hookFiles() {
	s.conf.OnChange("geoip-file", func(_, next *config.Snapshot) error {
		file, err := geoIP(next)
		if err == nil {
			err = s.node.SetGeoIP(file)
		}
		return systemReason(err)
	})
	s.conf.OnChange("dir", func(_, next *config.Snapshot) error {
		info, err := os.Stat(next.Dir)
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		return systemReason(err)
	})
}

// systemReason is the system's own words for what went wrong, as Redis shows
// them, where it was the system.
func systemReason(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

// shutdown ends in an order that loses nothing that was acknowledged: no new
// clients, no new commands, the log to disk, the last replies, then the store.
func (s *Server) shutdown() error {
	s.boss.tell("STOPPING=1\n")
	s.listen.close()
	s.hub.stopReading(stopPatience)
	s.loops.end()
	for s.node.WriteLog() {
	}
	s.node.SyncLog()
	s.hub.closeAll(stopPatience)
	s.links.close()
	if err := s.node.Close(); err != nil {
		return err
	}
	s.log.Info("geocache is now ready to exit, bye bye")
	return nil
}
