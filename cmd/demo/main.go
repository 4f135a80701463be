// Command demo shows the product's main job on this machine: two regions, a
// counter that loses nothing, a client sent to the nearest region, and a region
// that dies, is missed by nobody, returns and catches up. It exits with 1 if
// anything that it shows turns out false.
//
// It owns the processes and directories that it makes, and ends and removes
// them whatever happens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// demoTime bounds the whole run.
const demoTime = 3 * time.Minute

func main() {
	binary := flag.String("binary", "", "geocache binary to show; default: build one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	if err := run(ctx, os.Stdout, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, binary string) (err error) {
	dir, err := os.MkdirTemp("", "geocache-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if binary == "" {
		binary = filepath.Join(dir, "geocache")
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, "geocache/cmd/geocache")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, text)
		}
	}
	saoPaulo := &region{name: "saopaulo", title: "São Paulo", lat: "-23.5505", lon: "-46.6333"}
	toronto := &region{name: "toronto", title: "Toronto", lat: "43.6532", lon: "-79.3832"}
	for _, r := range []*region{saoPaulo, toronto} {
		if err := r.prepare(binary, dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.end()) }()
	}
	d := &show{ctx: ctx, out: out, started: time.Now(), saoPaulo: saoPaulo, toronto: toronto}
	for i, scene := range []struct {
		title string
		play  func() error
	}{
		{"Two regions start, siblings of each other", d.start},
		{"Three writers in São Paulo count one key to 250 with CAS", d.count},
		{"A client in Montreal asks for the closest region, and writes there", d.montreal},
		{"Toronto is killed; São Paulo carries on", d.kill},
		{"Toronto returns and catches up", d.comeBack},
	} {
		d.printf("\n%d. %s\n", i+1, scene.title)
		if err := scene.play(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", scene.title, err), saoPaulo.lastWords(out), toronto.lastWords(out))
		}
	}
	d.printf("\nAll of this was true. It took %.1f s.\n", time.Since(d.started).Seconds())
	return nil
}
