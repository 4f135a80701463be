package command

import (
	"strings"
	"testing"
)

func TestGlobMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "a", true},
		{"*", "", false}, // Redis' rule: callers treat a lone * themselves
		{"a*", "a", true},
		{"a**", "a", true},
		{"*a", "a", true},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*c", "abbbc", true},
		{"a*bc", "abbbc", true},
		{"a*b*c", "axbxbxc", true},
		{"a*b*d", "axbxbxc", false},
		{"*ab*ab", "abxab", true},
		{"*ab*ab", "abab", true},
		{"*ab*ab", "aab", false},
		{"?", "a", true},
		{"?", "", false},
		{"??", "a", false},
		{"[abc]", "b", true},
		{"[^abc]", "b", false},
		{"[^abc]", "d", true},
		{"[a-c]", "b", true},
		{"[c-a]", "b", true},
		{"[a-c]x", "bx", true},
		{"[\\a-c]", "b", false},
		{"[\\a-c]", "-", true},
		{"[a\\]]", "]", true},
		{"[]", "]", false},
		{"[^]", "a", true},
		{"[a", "a", true},
		{"[a-", "-", true},
		{"[a-", "b", false},
		{"[", "[", false},
		{"[^", "x", true},
		{"[\\", "\\", true},
		{"\\", "\\", true},
		{"\\a", "a", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"[\xe0-\xef]", "\xe4", true},
		{"[a-\xff]", "\x10", true}, // signed: from -1 to 'a'
		{"[a-\xff]", "z", false},
	} {
		if got := globMatch([]byte(c.pattern), c.s); got != c.want {
			t.Errorf("globMatch(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// TestGlobBounded fails by taking forever where * backtracks over *.
func TestGlobBounded(t *testing.T) {
	s := strings.Repeat("a", 20_000)
	for _, p := range []string{
		strings.Repeat("a*", 2000) + "b",
		strings.Repeat("*a", 2000) + "b",
		strings.Repeat("?*", 2000) + "b",
		strings.Repeat("*[a-b]", 2000) + "b",
	} {
		if globMatch([]byte(p), s) {
			t.Errorf("%.10q... matches", p)
		}
	}
}

// slowGlob is the definition of matching, by recursion over *.
func slowGlob(pattern []byte, s string) bool {
	switch {
	case len(pattern) == 0:
		return s == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], s) || s != "" && slowGlob(pattern, s[1:])
	case s == "":
		return false
	}
	n, ok := globOne(pattern, s[0])
	return ok && slowGlob(pattern[n:], s[1:])
}

func TestGlobStars(t *testing.T) {
	for stars, want := range map[int]bool{1000: true, 1001: false} {
		if got := globMatch([]byte(strings.Repeat("*?", stars)), strings.Repeat("a", stars)); got != want {
			t.Errorf("%d stars match: %v", stars, got)
		}
	}
}

func FuzzGlobMatch(f *testing.F) {
	for _, p := range []string{"a*b", "[a-", "[^\\]]*?", "*\\", "**[", "[]-a]", "\\"} {
		f.Add([]byte(p), "a]b")
	}
	f.Fuzz(func(t *testing.T, pattern []byte, s string) {
		if len(pattern) > 24 || len(s) > 24 {
			return
		}
		want := slowGlob(pattern, s)
		if s == "" && len(pattern) > 0 {
			want = false
		}
		if got := globMatch(pattern, s); got != want {
			t.Errorf("globMatch(%q, %q) = %v", pattern, s, got)
		}
	})
}
