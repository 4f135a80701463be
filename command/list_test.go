package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"geocache/engine"
)

// TestListsAgainstSlices does the same to lists and to slices.
func TestListsAgainstSlices(t *testing.T) {
	h := newHarness(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	lists := map[string][]string{}
	text := func(s []string) string {
		quoted := make([]string, len(s))
		for i, v := range s {
			quoted[i] = `"` + v + `"`
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	for range 4000 {
		k := string('a' + rune(rnd.IntN(2)))
		l, v, n := lists[k], fmt.Sprint(rnd.IntN(6)), rnd.IntN(4)
		at := slices.Index(l, v)
		var request string
		switch rnd.IntN(8) {
		case 0:
			request, l = "LPUSH "+k+" "+v+" x", append([]string{"x", v}, l...)
		case 1:
			request, l = "RPUSH "+k+" "+v+" y", append(l, v, "y")
		case 2:
			request, l = fmt.Sprintf("LPOP %s %d", k, n), l[min(n, len(l)):]
		case 3:
			request, l = fmt.Sprintf("RPOP %s %d", k, n), l[:max(len(l)-n, 0)]
		case 4:
			request = "LINSERT " + k + " BEFORE " + v + " z"
			if at >= 0 {
				l = slices.Insert(l, at, "z")
			}
		case 5:
			request = "LREM " + k + " 0 " + v
			l = slices.DeleteFunc(l, func(have string) bool { return have == v })
		case 6:
			request = fmt.Sprintf("LTRIM %s %d -%d", k, n-2, 1+n/2)
			from, to := n-2, len(l)-1-n/2
			if from < 0 {
				from = max(len(l)+from, 0)
			}
			if from > to {
				l = nil
			} else {
				l = l[from : to+1]
			}
		default:
			request = fmt.Sprintf("LMOVEM %s %s RIGHT LEFT COUNT %d BULK", k, k, n+1)
			cut := max(len(l)-n-1, 0)
			l = slices.Concat(l[cut:], l[:cut])
		}
		h.do(request)
		lists[k] = slices.Clone(l)
		if have := h.do("LRANGE " + k + " 0 -1"); have != text(l) {
			t.Fatalf("%s\n got %s\nwant %s", request, have, text(l))
		}
		exists := ":0"
		if len(l) > 0 {
			exists = ":1"
		}
		if have := h.do("EXISTS " + k); have != exists {
			t.Fatalf("%s: EXISTS is %s", request, have)
		}
	}
}

// TestBlockInExec: where nobody may wait the timeout's reply is given at once.
func TestBlockInExec(t *testing.T) {
	h := newHarness(t)
	for request, want := range map[string]string{
		"BLPOP k 0":                      "*nil",
		"BLMOVE k l LEFT LEFT 0":         "nil",
		"BLMOVEM k l LEFT LEFT 0":        "*nil",
		"BLMPOP 0 1 k LEFT":              "*nil",
		"BRPOPLPUSH k l 1.5":             "nil",
		"BLPOP k 9223372036854775807":    "-ERR timeout is out of range",
		"BRPOP k 9000000000000000":       "+", // waits
		"BLMOVE k l LEFT LEFT 1e-4000":   "+",
		"BLMOVE k l LEFT LEFT 1e-500000": "-ERR timeout is not a float or out of range",
	} {
		c, _ := h.ctx(strings.Fields(request)...)
		if want != "+" {
			c.InExec = On
		}
		h.out.Reset()
		if err := h.tx.Run(engine.Scope{Keys: c.Scope(nil)}, testStartMs, func(*engine.Tx) { c.Row.Run(c) }); err != nil {
			t.Fatal(err)
		}
		b := c.TakeBlock()
		switch {
		case want == "+" && (b == nil || b.DeadlineMs <= testStartMs || h.out.Len() > 0):
			t.Errorf("%s does not wait: %+v, %q", request, b, h.out.Bytes())
		case want != "+" && (b != nil || h.replies()[0].String() != want):
			t.Errorf("%s: %q, want %s", request, h.out.Bytes(), want)
		}
	}
}
