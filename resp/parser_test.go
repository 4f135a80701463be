package resp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

// crashPacket kills any process that lets redcon v1.6.2's parser read it.
const crashPacket = "*1\r\n$9223372036854775807\r\nx"

// parseAll feeds data to a parser in chunks that end at the given offsets and returns the requests, one per line, and
// the error text. The buffer moves with every chunk, so that a parser that keeps pointers is found out.
func parseAll(limits Limits, data []byte, cuts ...int) (requests []string, consumed int, err error) {
	var p Parser
	p.SetLimits(limits)
	for _, cut := range append(cuts, len(data)) {
		buf := bytes.Clone(data[consumed:cut])
		for len(buf) > 0 {
			args, n, err := p.Next(buf)
			if err != nil {
				return requests, consumed, err
			}
			if n == 0 {
				if args != nil {
					panic("arguments of an unfinished request")
				}
				break
			}
			requests = append(requests, fmt.Sprintf("%q", args))
			buf = buf[n:]
			consumed += n
		}
	}
	return requests, consumed, nil
}

// Every reply here was taken from redis-server 7.0.15.
func TestParserAgainstRedis(t *testing.T) {
	long := strings.Repeat("A", maxLineLen)
	for _, c := range []struct {
		in, requests, err string
	}{
		{crashPacket, "", "invalid bulk length"},
		{"*-5\r\nPING\r\n", `[] ["PING"]`, ""},
		{"*0\r\nPING\r\n", `[] ["PING"]`, ""},
		{"*01\r\n", "", "invalid multibulk length"},
		{"*+1\r\n", "", "invalid multibulk length"},
		{"* 1\r\n", "", "invalid multibulk length"},
		{"*\r\n", "", "invalid multibulk length"},
		{"*-0\r\n", "", "invalid multibulk length"},
		{"*2147483647\r\n", "", ""},
		{"*2147483648\r\n", "", "invalid multibulk length"},
		{"*99999999999999999999\r\n", "", "invalid multibulk length"},
		{"*1\r\n\r\n", "", "expected '$', got ' '"},
		{"*1\r\nPING\r\n", "", "expected '$', got 'P'"},
		{"*1\r\n*1\r\n", "", "expected '$', got '*'"},
		{"*1\r\n$-1\r\n", "", "invalid bulk length"},
		{"*1\r\n$4x\r\nPING\r\n", "", "invalid bulk length"},
		{"*1\r\n$0\r\n\r\n", `[""]`, ""},
		{"*1\r\n$536870912\r\n", "", ""},
		{"*1\r\n$536870913\r\n", "", "invalid bulk length"},
		{"*1\r\n$4\r\nPINGxy*1\r\n$4\r\nPING\r\n", `["PING"] ["PING"]`, ""},
		{"*1\rx$4\rxPING\r\n", `["PING"]`, ""},
		{"*1\n$4\nPING\n", "", ""},
		{"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n", `["GET" "0123456789"]`, ""},
		{"PING \"a\r\n", "", "unbalanced quotes in request"},
		{"PING \"a\"b\r\n", "", "unbalanced quotes in request"},
		{"ECHO a\"b\"c\r\n", "", "unbalanced quotes in request"},
		{"PING \"a\\\r\n", "", "unbalanced quotes in request"},
		{`ECHO "\x41\n\q\x4"` + "\r\n", `["ECHO" "A\nqx4"]`, ""},
		{`ECHO 'a\'b\n'` + "\r\n", `["ECHO" "a'b\\n"]`, ""},
		{`ECHO a"b c"` + "\r\n", `["ECHO" "ab c"]`, ""},
		{`ECHO ""` + "\r\n", `["ECHO" ""]`, ""},
		{`"\a\b\t\r\\\"" x` + "\n", `["\a\b\t\r\\\"" "x"]`, ""},
		{"ECHO a\vb\f\r\n", `["ECHO" "a\vb\f"]`, ""},
		{"PING\ra\n", `["PING" "a"]`, ""},
		{"\r\n\r\n \r\n\nPING\n", `[] [] [] [] ["PING"]`, ""},
		{long, "", ""},
		{long + "A", "", "too big inline request"},
		{long + "\n", fmt.Sprintf("[%q]", long), ""},
		{"*" + strings.Repeat("1", maxLineLen), "", "too big mbulk count string"},
		{"*1\r\n$" + strings.Repeat("1", maxLineLen), "", "too big bulk count string"},
	} {
		everyByte := make([]int, len(c.in))
		for i := range everyByte {
			everyByte[i] = i
		}
		if len(c.in) > 1000 {
			everyByte = []int{1, 700, len(c.in) - 1}
		}
		for _, cuts := range [][]int{nil, everyByte} {
			requests, _, err := parseAll(Limits{}, []byte(c.in), cuts...)
			if got := strings.Join(requests, " "); got != c.requests {
				t.Errorf("%.60q: got %s, want %s", c.in, got, c.requests)
			}
			text := ""
			var pe *ProtocolError
			if errors.As(err, &pe) {
				text = strings.TrimPrefix(pe.Error(), "Protocol error: ")
				if reply, ok := pe.Reply(); !ok || string(reply) != "ERR "+pe.Error() {
					t.Errorf("%.60q: reply %q, %v", c.in, reply, ok)
				}
			}
			if text != c.err {
				t.Errorf("%.60q: error %q, want %q", c.in, text, c.err)
			}
		}
	}
}

func TestParserLimits(t *testing.T) {
	untrusted := Limits{Trust: Untrusted}
	for _, c := range []struct {
		limits Limits
		in     string
		want   *ProtocolError
	}{
		{untrusted, "*11\r\n", errUntrustedCount},
		{untrusted, "*10\r\n", nil},
		{untrusted, "*1\r\n$16385\r\n", errUntrustedBulk},
		{untrusted, "*1\r\n$16384\r\n", nil},
		{Limits{MaxBulkLen: 5}, "*1\r\n$6\r\n", errBulkLen},
		{Limits{MaxBulkLen: 5}, "*1\r\n$5\r\n", nil},
		{Limits{MaxQueryBuffer: 1000}, "*1\r\n$2000\r\n", errQueryBuffer},
		{Limits{MaxQueryBuffer: 1000}, "*99\r\n" + strings.Repeat("$0\r\n\r\n", 99), errQueryBuffer},
		{Limits{MaxBulkLen: math.MaxInt64, MaxQueryBuffer: math.MaxInt64}, crashPacket, errQueryBuffer},
	} {
		_, _, err := parseAll(c.limits, []byte(c.in))
		var got *ProtocolError
		errors.As(err, &got)
		if got != c.want {
			t.Errorf("%+v %.40q: %v, want %v", c.limits, c.in, got, c.want)
		}
	}
	if _, ok := errQueryBuffer.Reply(); ok {
		t.Error("Redis closes without a reply at the query buffer limit")
	}
}

func TestParserNeed(t *testing.T) {
	var p Parser
	head := []byte("*2\r\n$3\r\nSET\r\n$100000\r\n")
	if _, n, err := p.Next(head); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if want := len(head) + 100002; p.Need() != want {
		t.Fatalf("need %d, want %d", p.Need(), want)
	}
	full := append(bytes.Clone(head), make([]byte, 100002)...)
	args, n, err := p.Next(full)
	if err != nil || n != len(full) || len(args) != 2 || len(args[1]) != 100000 || p.Need() != 0 {
		t.Fatal(len(args), n, err, p.Need())
	}
	if &args[1][0] != &full[len(head)] || cap(args[1]) != len(args[1]) {
		t.Error("arguments must alias the buffer and have no spare capacity")
	}
}

// A slow sender must not make the parser start over: the work for one request is linear in its bytes.
func TestParserScansOnce(t *testing.T) {
	var p Parser
	var b bytes.Buffer
	const count = 100_000
	fmt.Fprintf(&b, "*%d\r\n", count)
	for range count {
		b.WriteString("$1\r\nx\r\n")
	}
	data, n := b.Bytes(), 0
	for end := 64; n == 0; end = min(end+64, len(data)) {
		args, got, err := p.Next(data[:end])
		if err != nil {
			t.Fatal(err)
		}
		if n = got; n > 0 && len(args) != count {
			t.Fatalf("%d arguments", len(args))
		}
	}
	if cap(p.args) > maxKeptArgs || cap(p.spans) > maxKeptArgs {
		t.Error("one huge request must not hold memory for good")
	}
}

func TestParserHugeHeaderAllocatesNothing(t *testing.T) {
	data := []byte("*1000000\r\n$1\r\nx\r\n$500000000\r\nabc")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parsers := make([]Parser, 100)
	for i := range parsers {
		if _, n, err := parsers[i].Next(data); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes for 100 announcements", grown)
	}
}

func TestParserDoesNotAllocate(t *testing.T) {
	var p Parser
	const request = "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$5\r\nhello\r\n"
	const inline = "SET key \"va\\x41lue\"\r\n"
	data := make([]byte, len(request)+len(inline))
	allocs := testing.AllocsPerRun(1000, func() {
		copy(data, request+inline) // anew, for inline arguments are unquoted in place
		if _, n, _ := p.Next(data[:20]); n != 0 {
			t.Fatal("part of a request")
		}
		if args, n, _ := p.Next(data); n != len(request) || len(args) != 3 {
			t.Fatal("not parsed")
		}
		if args, n, _ := p.Next(data[len(request):]); n != len(inline) || len(args) != 3 {
			t.Fatal("inline not parsed")
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations per round", allocs)
	}
}

// The reason why redcon's parser never sees bytes that ours has not framed.
func TestRedconParserPanicsOnCrashPacket(t *testing.T) {
	crashed := func() (crashed bool) {
		defer func() { crashed = recover() != nil }()
		redcon.NewReader(strings.NewReader(crashPacket)).ReadCommand()
		return false
	}()
	if !crashed {
		t.Error("redcon has been repaired: DESIGN's reason for a parser of our own has changed")
	}
	if _, _, err := parseAll(Limits{}, []byte(crashPacket)); err != errBulkLen {
		t.Errorf("ours: %v", err)
	}
}

// checkSecondWord holds SecondWord to what Next says of the request at the front of data.
func checkSecondWord(t *testing.T, limits Limits, data []byte) {
	t.Helper()
	word, n := SecondWord(data)
	if n == 0 {
		return
	}
	var p Parser
	p.SetLimits(limits)
	args, m, err := p.Next(data)
	if err != nil || n != m || len(args) > 1 && !bytes.Equal(word, args[1]) || len(args) < 2 && word != nil {
		t.Fatalf("SecondWord(%q) = %q, %d where Next has %q, %d, %v", data, word, n, args, m, err)
	}
}

func TestSecondWord(t *testing.T) {
	for _, c := range []struct {
		in, word string
		n        int
	}{
		{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nrest", "k", 20},
		{"*1\r\n$4\r\nPING\r\n", "", 14},
		{"*2\r\n$3\r\nGET\r\n$1\r\n", "", 0},
		{"PING\r\n", "", 0},
		{"", "", 0},
	} {
		if word, n := SecondWord([]byte(c.in)); string(word) != c.word || n != c.n {
			t.Errorf("SecondWord(%q) = %q, %d", c.in, word, n)
		}
		checkSecondWord(t, Limits{}, []byte(c.in))
	}
}

func FuzzParser(f *testing.F) {
	for _, s := range []string{crashPacket, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*0\r\n", "set a \"b\\x41\\n\" 'c\\''\r\n",
		"*1\r\n\r\n", "*-1\r\n\r\n*1\r\n$0\r\n\r\n", "*3\r\n$99999999999\r\n", "\x00\"\n"} {
		f.Add([]byte(s), uint16(3), uint16(7), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut1, cut2 uint16, untrusted bool) {
		limits := Limits{MaxBulkLen: 1000, MaxQueryBuffer: 100_000}
		if untrusted {
			limits.Trust = Untrusted
		}
		checkSecondWord(t, limits, data)
		whole, n, err := parseAll(limits, data)
		a, b := int(cut1)%(len(data)+1), int(cut2)%(len(data)+1)
		for _, cuts := range [][]int{{min(a, b), max(a, b)}, sequence(len(data))} {
			split, m, err2 := parseAll(limits, data, cuts...)
			if !slices.Equal(whole, split) || n != m || (err == nil) != (err2 == nil) ||
				err != nil && err.Error() != err2.Error() {
				t.Fatalf("whole: %q %d %v\nsplit: %q %d %v", whole, n, err, split, m, err2)
			}
		}
	})
}

// sequence returns every offset of a short input, a few of a long one.
func sequence(n int) []int {
	step := n/500 + 1
	var cuts []int
	for i := 0; i < n; i += step {
		cuts = append(cuts, i)
	}
	return cuts
}

func BenchmarkParser(b *testing.B) {
	for _, c := range []struct{ name, request string }{
		{"get", "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n"},
		{"set64", "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n" + strings.Repeat("v", 64) + "\r\n"},
		{"inline", "GET key:000000000001\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			pipeline := []byte(strings.Repeat(c.request, 16))
			b.SetBytes(int64(len(c.request)))
			b.ReportAllocs()
			var p Parser
			for i := 0; i < b.N; i += 16 {
				for buf := pipeline; len(buf) > 0; {
					_, n, err := p.Next(buf)
					if err != nil || n == 0 {
						b.Fatal(n, err)
					}
					buf = buf[n:]
				}
			}
		})
	}
}
