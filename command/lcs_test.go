package command

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// naiveLCS is the textbook table, with Redis' choice where both ways are as
// good: back in the second string.
func naiveLCS(a, b string) (common string, runs []string) {
	l := make([][]int, len(a)+1)
	for i := range l {
		l[i] = make([]int, len(b)+1)
		for j := range l[i] {
			switch {
			case i == 0 || j == 0:
			case a[i-1] == b[j-1]:
				l[i][j] = l[i-1][j-1] + 1
			default:
				l[i][j] = max(l[i-1][j], l[i][j-1])
			}
		}
	}
	i, j, n := len(a), len(b), 0
	emit := func() {
		if n > 0 {
			runs = append(runs, fmt.Sprintf("[[:%d, :%d], [:%d, :%d], :%d]", i, i+n-1, j, j+n-1, n))
			common = a[i:i+n] + common
		}
		n = 0
	}
	for i > 0 && j > 0 {
		switch {
		case a[i-1] == b[j-1]:
			i, j, n = i-1, j-1, n+1
			continue
		default:
			emit()
			if l[i-1][j] > l[i][j-1] {
				i--
			} else {
				j--
			}
		}
	}
	emit()
	return common, runs
}

func TestLCSAgainstTable(t *testing.T) {
	h := newHarness(t)
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, r.IntN(160))
		kinds := 1 + r.IntN(6)
		for i := range b {
			b[i] = "abcdefg"[r.IntN(kinds)]
		}
		return string(b)
	}
	for range 300 {
		a, b := text(), text()
		h.doArgs("MSET", "a", a, "b", b)
		common, runs := naiveLCS(a, b)
		for request, want := range map[string]string{
			"LCS a b":                  fmt.Sprintf("%q", common),
			"LCS a b LEN":              fmt.Sprintf(":%d", len(common)),
			"LCS a b IDX WITHMATCHLEN": fmt.Sprintf(`["matches", [%s], "len", :%d]`, strings.Join(runs, ", "), len(common)),
		} {
			if got := h.do(request); got != want {
				t.Fatalf("%s of %q and %q\n got %s\nwant %s", request, a, b, got, want)
			}
		}
	}
}

// TestLCSIsBounded runs the largest tables that Redis would allow by default:
// they must stay small and quick, for the locks are held.
func TestLCSIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ACGT"[r.IntN(4)]
		}
		return b
	}
	for _, size := range [][2]int{{11_000, 11_000}, {8, 14_000_000}, {0, 1_000_000}} {
		a, b := text(size[0]), text(size[1])
		if lcsTableBytes(len(a), len(b)) > 512<<20 {
			t.Fatalf("%v is refused anyway", size)
		}
		tb := newLCSTable(a, b, keepRows)
		if cap(tb.rows) > 32<<20 {
			t.Errorf("%v takes %d bytes", size, cap(tb.rows))
		}
		n := 0
		tb.walkBack(func(_, _, run int) { n += run })
		if n != tb.length {
			t.Errorf("%v: walked %d of %d", size, n, tb.length)
		}
	}
}

func TestLCSTableBytes(t *testing.T) {
	for _, c := range []struct {
		n, m int
		want uint64
	}{{0, 0, 4}, {1, 2, 24}, {1 << 31, 1 << 31, math.MaxUint64}, {1<<62 - 1, 16, math.MaxUint64}} {
		if got := lcsTableBytes(c.n, c.m); got != c.want {
			t.Errorf("%d, %d: %d, want %d", c.n, c.m, got, c.want)
		}
	}
}
