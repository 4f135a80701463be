package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// region is one geocache process and a client for it.
type region struct {
	name, title, lat, lon string

	binary, dir, log string
	addr             string
	client           *redis.Client
	cmd              *exec.Cmd
	exited           chan error // one value per process
}

// prepare takes a port and a directory. The port is free now; whoever takes it
// before the start makes the start fail with a clear message.
func (r *region) prepare(binary, dir string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.addr = ln.Addr().String()
	r.binary, r.dir = binary, filepath.Join(dir, r.name)
	r.log = r.dir + ".log"
	r.client = redis.NewClient(&redis.Options{Addr: r.addr, MaxRetries: -1})
	return errors.Join(ln.Close(), os.Mkdir(r.dir, 0o755))
}

// start runs the process with sibling as its sibling and waits until it
// answers.
func (r *region) start(ctx context.Context, sibling *region) error {
	_, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(r.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	r.cmd = exec.Command(r.binary, "server", "--bind", "127.0.0.1", "--port", port, "--dir", r.dir,
		"--region", r.name, "--region-location", r.lat, r.lon, "--region-endpoint", r.addr,
		"--sibling", sibling.name, sibling.addr, sibling.lat, sibling.lon)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	err = r.cmd.Start()
	if err = errors.Join(err, log.Close()); err != nil {
		r.cmd = nil
		return err
	}
	exited := make(chan error, 1)
	r.exited = exited
	cmd := r.cmd
	go func() { exited <- cmd.Wait() }()
	return until(ctx, 20*time.Second, r.title+" answers", func() (bool, error) {
		select {
		case err := <-exited:
			exited <- err
			return false, fmt.Errorf("%s ended: %w", r.title, err)
		default:
		}
		return r.client.Ping(ctx).Err() == nil, nil
	})
}

// signal ends the process and waits for it.
func (r *region) signal(sig syscall.Signal) error {
	if r.cmd == nil {
		return nil
	}
	cmd := r.cmd
	r.cmd = nil
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-r.exited:
		return nil
	case <-time.After(10 * time.Second):
		return errors.Join(fmt.Errorf("%s does not end", r.title), cmd.Process.Kill())
	}
}

// end ends whatever is left at the end of the demo.
func (r *region) end() error {
	return errors.Join(r.signal(syscall.SIGTERM), r.client.Close())
}

// lastWords prints the end of the region's log.
func (r *region) lastWords(out io.Writer) error {
	text, err := os.ReadFile(r.log)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	const most = 20
	lines = lines[max(0, len(lines)-most):]
	_, err = fmt.Fprintf(out, "\nlog of %s:\n%s\n", r.title, bytes.Join(lines, []byte("\n")))
	return err
}

// closest asks this region for the region closest to a place.
func (r *region) closest(ctx context.Context, lat, lon string) (endpoint string, err error) {
	return r.client.Do(ctx, "closest", lat, lon).Text()
}

// digest is the digest of all data.
func (r *region) digest(ctx context.Context) (string, error) {
	reply, err := r.client.Do(ctx, "region", "digest").Result()
	if err != nil {
		return "", err
	}
	m, ok := reply.(map[any]any)
	if !ok {
		return "", fmt.Errorf("REGION DIGEST answered %T", reply)
	}
	return strings.TrimSpace(fmt.Sprint(m["digest"])), nil
}

// until polls ok, and says what did not come true in time.
func until(ctx context.Context, patience time.Duration, what string, ok func() (bool, error)) error {
	const pollEvery = 10 * time.Millisecond
	for end := time.Now().Add(patience); ; {
		done, err := ok()
		if err != nil || done {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}
