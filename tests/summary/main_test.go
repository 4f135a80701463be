package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	stream := strings.Join([]string{
		`{"Action":"start","Package":"p"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"    quiet\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: wrong\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestB"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"=== RUN   TestC\n"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: no tool\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestC"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
		`{"Action":"fail","Package":"p"}`,
		`{"Action":"output","Package":"q","Output":"panic: test timed out\n"}`,
		`{"Action":"output","Package":"q","Test":"TestD","Output":"    half done\n"}`,
		`{"Action":"fail","Package":"q"}`,
		`warning: not JSON`,
	}, "\n")
	var out strings.Builder
	s := summary{out: bufio.NewWriter(&out), output: map[testID][]string{}}
	if err := s.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	_ = s.out.Flush()
	if s.passed != 1 || s.failed != 2 {
		t.Errorf("%d passed, %d failed; want 1 and 2", s.passed, s.failed)
	}
	for _, want := range []string{"b_test.go:1: wrong", "SKIP p TestC: c_test.go:1: no tool", "FAIL\tp", "timed out", "half done", "warning: not JSON"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "quiet") {
		t.Errorf("output of a test that passed is shown:\n%s", out.String())
	}
}
