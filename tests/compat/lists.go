package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// skip is a line of skipped.txt: a test that is not run.
type skip struct {
	test   string // its name, a pattern after a slash, or "tag:" and a tag of tests
	reason string
}

func (k skip) tag() (string, bool) { return strings.CutPrefix(k.test, "tag:") }

// reasons are the only ones that a test may be skipped for, each followed by a
// colon and the details.
var reasons = []string{
	"internals",          // it looks at what clients of Redis cannot observe in ours
	"replication-stream", // it reads what Redis sends to replicas, or needs a replica
	"server-surface",     // it uses a command that issue brings
}

// readLists reads the units to run, in order, and by unit what to skip.
func readLists(dir string) ([]string, map[string][]skip, error) {
	lines, err := readLines(filepath.Join(dir, "units.txt"))
	if err != nil {
		return nil, nil, err
	}
	skips := map[string][]skip{}
	rows, err := readLines(filepath.Join(dir, "skipped.txt"))
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		unit, k, err := parseSkip(row)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(lines, unit) {
			return nil, nil, fmt.Errorf("skipped.txt: %q is not in units.txt", unit)
		}
		skips[unit] = append(skips[unit], k)
	}
	return lines, skips, nil
}

func parseSkip(row string) (unit string, k skip, err error) {
	f := strings.Split(row, "\t")
	if len(f) != 3 {
		return "", k, fmt.Errorf("skipped.txt: %q has not three columns separated by tabs", row)
	}
	class, details, _ := strings.Cut(f[2], ": ")
	if !slices.Contains(reasons, class) || details == "" {
		return "", k, fmt.Errorf("skipped.txt: the reason %q is not one of %q with details", f[2], reasons)
	}
	if p, ok := strings.CutPrefix(f[1], "/"); ok {
		if _, err := regexp.Compile(p); err != nil {
			return "", k, fmt.Errorf("skipped.txt: %w", err)
		}
	}
	return f[0], skip{test: f[1], reason: f[2]}, nil
}

// readLines returns the lines of a file but for empty ones and comments.
func readLines(name string) ([]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool {
		return strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#")
	}), nil
}

// unused returns a failure for each skip that fits none of the tests that were
// skipped: the test was renamed, or never was.
func unused(skips []skip, skipped []string) (failures []string) {
	for _, k := range skips {
		if _, ok := k.tag(); ok {
			continue // the suite does not name what it leaves out for a tag
		}
		fits := func(name string) bool { return name == k.test }
		if p, ok := strings.CutPrefix(k.test, "/"); ok {
			fits = regexp.MustCompile(p).MatchString
		}
		if !slices.ContainsFunc(skipped, fits) {
			failures = append(failures, fmt.Sprintf("skipped.txt lists %q, which is no test of this unit", k.test))
		}
	}
	return failures
}
