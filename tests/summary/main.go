// Command summary reads the output of `go test -json` on its standard input and
// prints what a person wants of it: the line of each package, all that failing
// tests wrote, why tests were skipped, and last how many passed and failed. It
// exits with 1 if anything failed, or if nothing ran.
//
// With -counts FILE the two numbers are also added to that file.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	countsFile := flag.String("counts", "", "file that the numbers are appended to")
	flag.Parse()
	s := summary{out: bufio.NewWriter(os.Stdout), output: map[testID][]string{}}
	err := s.read(os.Stdin)
	fmt.Fprintf(s.out, "%d passed, %d failed\n", s.passed, s.failed)
	_ = s.out.Flush()
	if err == nil && *countsFile != "" {
		err = appendCounts(*countsFile, s.passed, s.failed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || s.failed > 0 || s.passed == 0 {
		os.Exit(1)
	}
}

func appendCounts(name string, passed, failed int) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%d %d\n", passed, failed); err != nil {
		return err
	}
	return f.Close()
}

// event is a line of go test's stream.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

type testID struct{ pkg, test string }

type summary struct {
	out            *bufio.Writer
	output         map[testID][]string // what each running test wrote
	failedIn       map[string]bool
	passed, failed int
}

func (s *summary) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			// What the go command itself says is not JSON.
			fmt.Fprintln(s.out, lines.Text())
			continue
		}
		s.event(e)
	}
	return lines.Err()
}

func (s *summary) event(e event) {
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		s.output[id] = append(s.output[id], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(id, e.Action)
		} else {
			s.endTest(id, e.Action)
		}
		_ = s.out.Flush()
	case "build-fail":
		s.print(id)
	}
}

func (s *summary) endTest(id testID, action string) {
	switch action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.markFailed(id.pkg)
		s.print(id)
	case "skip":
		fmt.Fprintf(s.out, "SKIP %s %s:%s\n", id.pkg, id.test, s.reason(id))
	}
	delete(s.output, id)
}

// endPackage counts a package that failed outside any test, as one that does
// not build or was stopped by its time limit.
func (s *summary) endPackage(id testID, action string) {
	if action == "fail" {
		if !s.failedIn[id.pkg] {
			s.failed++
		}
		for running := range s.output {
			if running.pkg == id.pkg && running != id {
				s.print(running)
			}
		}
	}
	s.print(id)
}

func (s *summary) markFailed(pkg string) {
	if s.failedIn == nil {
		s.failedIn = map[string]bool{}
	}
	s.failedIn[pkg] = true
}

func (s *summary) print(id testID) {
	for _, line := range s.output[id] {
		if line != "PASS\n" && line != "FAIL\n" {
			fmt.Fprint(s.out, line)
		}
	}
	delete(s.output, id)
}

// reason is what a test said before it was skipped.
func (s *summary) reason(id testID) string {
	var said []string
	for _, line := range s.output[id] {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	return " " + strings.Join(said, " ")
}
