// Command compat runs the test suite of Redis 7.0.15, which is written in Tcl,
// with geocache in the place of its server. It runs one unit a process, prints
// how many tests of each passed, failed and were skipped, and exits with 1 if
// any failed that skipped.txt does not list.
//
// The suite is Redis' and is not kept here: REDIS_SRC names a source tree of
// Redis 7.0.15, else Debian's source package is fetched with apt-get into the
// work directory. Where neither can be had it says so and exits with 0.
//
//	compat -server bin/geocache [-units "unit/type/string ..."] [-slow]
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
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	o := options{out: os.Stdout}
	units := flag.String("units", "", "run only these, separated by spaces")
	flag.StringVar(&o.server, "server", "bin/geocache", "the geocache binary")
	flag.StringVar(&o.redis, "redis", "", "run this redis-server instead, to see what the suite itself does here")
	flag.StringVar(&o.work, "work", "bin/compat", "directory for the suite, its servers' data and logs")
	flag.StringVar(&o.lists, "lists", "tests/compat", "directory with units.txt and skipped.txt")
	flag.DurationVar(&o.limit, "limit", 6*time.Minute, "what a unit may take")
	flag.BoolVar(&o.slow, "slow", false, "run tests that are tagged slow as well")
	flag.BoolVar(&o.once, "once", false, "do not run a unit that failed once more")
	flag.IntVar(&o.basePort, "baseport", 24100, "first of the ports that servers listen on, and 32 below")
	counts := flag.String("counts", "", "file that the numbers of passed and failed are appended to")
	flag.Parse()
	o.units = strings.Fields(*units)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	total, err := run(ctx, o)
	stop()
	if errors.Is(err, errNoSuite) {
		fmt.Println("SKIP: Redis' test suite is not run:", err)
		return
	}
	if err == nil && *counts != "" {
		err = os.WriteFile(*counts, fmt.Appendf(nil, "%d %d\n", total.passed, total.failed()), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
	}
	if err != nil || total.failed() > 0 || total.passed == 0 {
		os.Exit(1)
	}
}

// options are what a run is told on the command line.
type options struct {
	server, redis string
	work, lists   string
	units         []string
	limit         time.Duration
	slow, once    bool
	basePort      int
	out           io.Writer
}

// run runs the units and prints a line for each, and the total.
func run(ctx context.Context, o options) (total result, err error) {
	units, skips, err := readLists(o.lists)
	if err != nil {
		return total, err
	}
	if len(o.units) > 0 {
		units = o.units
	}
	s, err := prepare(ctx, o)
	if err != nil {
		return total, err
	}
	fmt.Fprintf(o.out, "%-26s %7s %7s %7s %8s\n", "unit", "passed", "failed", "skipped", "seconds")
	for _, unit := range units {
		r, err := s.tryUnit(ctx, unit, skips[unit])
		if err != nil {
			return total, err
		}
		total.add(r)
	}
	fmt.Fprintf(o.out, "%-26s %7d %7d %7d\n", "total", total.passed, total.failed(), total.skipped)
	return total, nil
}

// tryUnit runs a unit and prints what came of it. One that failed is run once
// more, and that counts: many tests wait for fixed times, which a busy machine
// does not keep.
func (s *suite) tryUnit(ctx context.Context, unit string, skips []skip) (r result, err error) {
	for range 2 {
		begin := time.Now()
		if r, err = s.runUnit(ctx, unit, skips); err != nil {
			return r, err
		}
		fmt.Fprintf(s.out, "%-26s %7d %7d %7d %8.1f\n", unit, r.passed, r.failed(), r.skipped, time.Since(begin).Seconds())
		for _, f := range r.failures {
			fmt.Fprintln(s.out, "  FAIL", strings.ReplaceAll(strings.TrimSpace(f), "\n", "\n       "))
		}
		if r.failed() == 0 || s.once {
			break
		}
	}
	return r, nil
}

// suite is a copy of Redis' tests with a server to run them against.
type suite struct {
	options
	tree string // has src/redis-server and tests/
	logs string
}

// prepare lays the tree out as the suite expects it: it starts src/redis-server
// and calls the tools beside it.
func prepare(ctx context.Context, o options) (*suite, error) {
	if _, err := exec.LookPath("tclsh"); err != nil {
		return nil, fmt.Errorf("%w: tclsh is not installed", errNoSuite)
	}
	source, err := findSource(ctx, o.work)
	if err != nil {
		return nil, err
	}
	work, err := filepath.Abs(o.work)
	if err != nil {
		return nil, err
	}
	s := &suite{options: o, tree: filepath.Join(work, "tree"), logs: filepath.Join(work, "logs")}
	if err := os.RemoveAll(s.tree); err != nil {
		return nil, err
	}
	for _, dir := range []string{filepath.Join(s.tree, "src"), s.logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.CopyFS(filepath.Join(s.tree, "tests"), os.DirFS(filepath.Join(source, "tests"))); err != nil {
		return nil, err
	}
	for _, tool := range []string{"redis-cli", "redis-benchmark", "redis-check-rdb", "redis-check-aof"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // what needs it fails, and says so
		}
		if err := os.Symlink(path, filepath.Join(s.tree, "src", tool)); err != nil {
			return nil, err
		}
	}
	return s, s.writeServer()
}

// writeServer writes the script that is started in the place of Redis' server.
// What differs from geocache's defaults comes from the environment, which the
// suite's own configuration may still override.
func (s *suite) writeServer() error {
	script := "#!/bin/sh\nexport GEOCACHE_COMPAT_VERSION=7.0\nexec %s server \"$@\"\n"
	path := s.server
	if s.redis != "" {
		script, path = "#!/bin/sh\nexec %s \"$@\"\n", s.redis
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	return os.WriteFile(filepath.Join(s.tree, "src", "redis-server"), fmt.Appendf(nil, script, quoted), 0o755)
}

// stuckSeconds is when the suite gives a unit up in which no test ends.
const stuckSeconds = 90

// skipArgs tell the suite what not to run.
func (s *suite) skipArgs(skips []skip) (args []string) {
	var tags []string
	if !s.slow {
		tags = append(tags, "-slow")
	}
	if s.redis == "" {
		for _, k := range skips {
			if tag, ok := k.tag(); ok {
				tags = append(tags, "-"+tag)
			} else {
				args = append(args, "--skiptest", k.test)
			}
		}
	}
	if len(tags) > 0 {
		args = append(args, "--tags", strings.Join(tags, " "))
	}
	return args
}

// portsPerUnit is how many ports the suite may choose from.
const portsPerUnit = 800

// runUnit runs one unit in a process group of its own, so that servers that it
// leaves behind end with it.
func (s *suite) runUnit(ctx context.Context, unit string, skips []skip) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	args := []string{"tests/test_helper.tcl", "--clients", "1", "--durable", "--single", unit, "--timeout", fmt.Sprint(stuckSeconds),
		"--baseport", fmt.Sprint(s.basePort), "--portcount", fmt.Sprint(portsPerUnit)}
	args = append(args, s.skipArgs(skips)...)
	log, err := os.Create(filepath.Join(s.logs, strings.ReplaceAll(unit, "/", "-")+".log"))
	if err != nil {
		return result{}, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, "tclsh", args...)
	cmd.Dir = s.tree
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GEOCACHE_") }),
		"TERM=dumb")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	p := parser{unit: unit}
	cmd.Stdout = io.MultiWriter(log, &p)
	cmd.Stderr = cmd.Stdout
	err = cmd.Run()
	if cmd.Process == nil {
		return result{}, err
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // none is left where all went well
	r := p.end()
	switch {
	case ctx.Err() != nil:
		r.failures = append(r.failures, fmt.Sprintf("the unit did not end within %v, during or after: %s", s.limit, p.last))
	case err != nil && len(r.failures) == 0:
		r.failures = append(r.failures, "the suite ended with: "+err.Error())
	case s.redis == "" && len(r.failures) == 0: // else tests may not have been reached
		r.failures = append(r.failures, unused(skips, r.names)...)
	}
	return r, nil
}
