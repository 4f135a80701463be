package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"geocache/node"
)

// process describes this process for INFO. What the system does not tell is 0.
func (s *Server) process() node.ProcessInfo {
	snap := s.conf.Load()
	p := node.ProcessInfo{
		PID: os.Getpid(), Version: s.opts.Version, OS: runtime.GOOS, Arch: runtime.GOARCH,
		ConfigFile: s.opts.ConfigFile, TCPPort: snap.Port,
		RSSBytes: residentBytes(), HeapBytes: heapBytes(), TotalMemoryBytes: machineBytes(),
	}
	p.GCCycles, p.GCPauseMicros = collections()
	if p.TCPPort == 0 {
		p.TCPPort = snap.TLSPort
	}
	if exe, err := os.Executable(); err == nil {
		p.Executable = exe
	}
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) == nil {
		p.UserCPUMicros, p.SysCPUMicros = use.Utime.Nano()/1000, use.Stime.Nano()/1000
	}
	return p
}

func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

func machineBytes() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}

// writePidFile returns how to remove it.
func writePidFile(path string) (remove func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o644); err != nil {
		return nil, fmt.Errorf("pidfile: %w", err)
	}
	return func() error {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}, nil
}

// replaceFile writes a file so that a crash leaves the old or the new text.
func replaceFile(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	return replaceBy(path, tmp, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// replaceBy fills tmp, which it closes, and puts it, durably, in the place of
// path, whose mode it takes over; or removes it.
func replaceBy(path string, tmp *os.File, write func(io.Writer) error) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	err := write(tmp)
	if err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// saveFile lends a file of the data directory to a snapshot. What a crash
// leaves of it is overwritten by the next.
func (s *Server) saveFile(name string, write func(io.Writer) error) error {
	dir := s.conf.Load().Dir
	tmp, err := os.Create(inDir(dir, "temp-"+name))
	if err != nil {
		return err
	}
	return replaceBy(inDir(dir, name), tmp, write)
}

// loadFile lends a file of the data directory for reading.
func (s *Server) loadFile(name string, read func(io.Reader) error) error {
	file, err := os.Open(inDir(s.conf.Load().Dir, name))
	if err != nil {
		return err
	}
	return errors.Join(read(file), file.Close())
}
