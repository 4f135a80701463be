package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// version is the Redis whose suite is run.
const version = "7.0.15"

// errNoSuite says that the suite cannot be had on this machine.
var errNoSuite = errors.New("it cannot be had")

// sourcesList is where Debian keeps the source package.
const sourcesList = `Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`

// findSource returns the directory of a Redis source tree: REDIS_SRC, or one
// fetched before, or one fetched now.
func findSource(ctx context.Context, work string) (string, error) {
	if dir := os.Getenv("REDIS_SRC"); dir != "" {
		if !isSource(dir) {
			return "", fmt.Errorf("REDIS_SRC=%s has no tests/test_helper.tcl", dir)
		}
		return dir, nil
	}
	dir := filepath.Join(work, "redis-"+version)
	if isSource(dir) {
		return dir, nil
	}
	if err := fetchSource(ctx, work); err != nil {
		return "", fmt.Errorf("%w: REDIS_SRC is not set and the source package cannot be fetched: %w", errNoSuite, err)
	}
	return dir, nil
}

func isSource(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "tests", "test_helper.tcl"))
	return err == nil
}

// fetchSource lets apt-get, which checks signatures, download the source
// package, with lists and caches of its own: the machine's are left alone.
func fetchSource(ctx context.Context, work string) error {
	work, err := filepath.Abs(work)
	if err != nil {
		return err
	}
	apt := filepath.Join(work, "apt")
	for _, dir := range []string{"sources", "lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(apt, "sources", "redis.sources"), []byte(sourcesList), 0o644); err != nil {
		return err
	}
	get := func(words ...string) error {
		args := append([]string{"-q", "-o", "Dir::Etc::sourcelist=/dev/null",
			"-o", "Dir::Etc::sourceparts=" + filepath.Join(apt, "sources"),
			"-o", "Dir::State::lists=" + filepath.Join(apt, "lists"),
			"-o", "Dir::Cache=" + filepath.Join(apt, "cache")}, words...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Dir = apt
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", words[0], err, lastLine(string(text)))
		}
		return nil
	}
	if err := get("update"); err != nil {
		return err
	}
	if err := get("source", "--download-only", "redis"); err != nil {
		return err
	}
	return unpackTests(filepath.Join(apt, "redis_"+version+".orig.tar.gz"), work)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// maxFileBytes bounds a file of the suite.
const maxFileBytes = 64 << 20

// unpackTests unpacks the suite from the archive, and nothing else.
func unpackTests(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case !strings.HasPrefix(h.Name, "redis-"+version+"/tests/"):
		case h.Typeflag == tar.TypeDir:
			err = root.MkdirAll(filepath.Clean(h.Name), 0o755)
		case h.Typeflag == tar.TypeReg:
			err = unpackFile(root, filepath.Clean(h.Name), r)
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(r, maxFileBytes))
	return errors.Join(err, out.Close())
}
