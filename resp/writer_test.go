package resp

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

func TestWriter(t *testing.T) {
	for _, c := range []struct {
		name         string
		write        func(w *Writer)
		resp2, resp3 string
	}{
		{"ok", (*Writer).OK, "+OK\r\n", "+OK\r\n"},
		{"simple", func(w *Writer) { w.SimpleString("a\r\nb") }, "+a  b\r\n", "+a  b\r\n"},
		{"error", func(w *Writer) { w.Error("ERR a\nb\r\n") }, "-ERR a b\r\n", "-ERR a b\r\n"},
		{"int", func(w *Writer) { w.Int(math.MinInt64) }, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"},
		{"bulk", func(w *Writer) { w.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
		{"nil bulk", func(w *Writer) { w.Bulk(nil) }, "$0\r\n\r\n", "$0\r\n\r\n"},
		{"bulk string", func(w *Writer) { w.BulkString("0123456789") }, "$10\r\n0123456789\r\n", "$10\r\n0123456789\r\n"},
		{"null", (*Writer).Null, "$-1\r\n", "_\r\n"},
		{"null array", (*Writer).NullArray, "*-1\r\n", "_\r\n"},
		{"array", func(w *Writer) { w.Array(12) }, "*12\r\n", "*12\r\n"},
		{"map", func(w *Writer) { w.Map(3) }, "*6\r\n", "%3\r\n"},
		{"set", func(w *Writer) { w.Set(3) }, "*3\r\n", "~3\r\n"},
		{"push", func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n"},
		{"attribute", func(w *Writer) { w.Attribute(1) }, "", "|1\r\n"},
		{"double", func(w *Writer) { w.Double(0.1) }, "$3\r\n0.1\r\n", ",0.1\r\n"},
		{"infinity", func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{"true", func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{"false", func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{"big", func(w *Writer) { w.BigNumber("-12") }, "$3\r\n-12\r\n", "(-12\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "hi") }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		{"strings", func(w *Writer) { w.StringArray([]string{"a", ""}) }, "*2\r\n$1\r\na\r\n$0\r\n\r\n", "*2\r\n$1\r\na\r\n$0\r\n\r\n"},
		{"help", func(w *Writer) { w.Help([]string{"X <y>.", "    z"}) }, "*2\r\n+X <y>.\r\n+    z\r\n", "*2\r\n+X <y>.\r\n+    z\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte("+X\r\n")) }, "+X\r\n", "+X\r\n"},
		{"empty later", func(w *Writer) { w.EndArray(w.SetLater(), 0) }, "*0\r\n", "~0\r\n"},
		{"map later", func(w *Writer) {
			m := w.MapLater()
			w.BulkString("k")
			w.Int(1)
			w.EndArray(m, 1)
		}, "*2\r\n$1\r\nk\r\n:1\r\n", "%1\r\n$1\r\nk\r\n:1\r\n"},
	} {
		for proto, want := range map[int]string{2: c.resp2, 3: c.resp3} {
			var w Writer
			w.SetProto(proto)
			c.write(&w)
			if got := string(w.Bytes()); got != want || w.Proto() != proto {
				t.Errorf("%s in RESP%d: %q, want %q", c.name, proto, got, want)
			}
		}
	}
}

func TestWriterLaterNestedAndWide(t *testing.T) {
	var w, want Writer
	w.OK()
	want.OK()
	outer := w.ArrayLater()
	want.Array(1000)
	for range 1000 {
		inner := w.ArrayLater()
		want.Array(12)
		for i := range 12 {
			w.Int(int64(i))
			want.Int(int64(i))
		}
		w.EndArray(inner, 12)
	}
	w.EndArray(outer, 1000)
	if string(w.Bytes()) != string(want.Bytes()) {
		t.Error("an array closed later differs from one announced")
	}
}

func TestWriterBuffer(t *testing.T) {
	var w Writer
	w.OK()
	mark := w.Len()
	w.BulkString("token:0000")
	w.PatchBytes(mark+len("$10\r\ntoken:"), []byte("1234"))
	if got := string(w.Bytes()); got != "+OK\r\n$10\r\ntoken:1234\r\n" {
		t.Errorf("patched: %q", got)
	}
	w.Truncate(mark)
	w.Truncate(mark + 1)
	taken := w.Take()
	w.Int(1)
	if string(taken) != "+OK\r\n" || string(w.Bytes()) != ":1\r\n" {
		t.Errorf("taken %q, left %q", taken, w.Bytes())
	}
	w.Reset()
	w.OK()
	if string(w.Bytes()) != "+OK\r\n" {
		t.Errorf("after a reset: %q", w.Bytes())
	}
}

// TestBulkLengths: bulk strings of all lengths, whatever room there is.
func TestBulkLengths(t *testing.T) {
	for n := range 130 {
		w := Writer{buf: make([]byte, 0, n%11)}
		val := strings.Repeat("v", n)
		w.Bulk([]byte(val))
		w.Bulk([]byte(val))
		if want := strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", n, val), 2); string(w.Bytes()) != want {
			t.Errorf("%q, want %q", w.Bytes(), want)
		}
	}
}

func TestWriterDoesNotAllocate(t *testing.T) {
	var w Writer
	value := []byte("value")
	allocs := testing.AllocsPerRun(1000, func() {
		w.Reset()
		m := w.ArrayLater()
		w.Bulk(value)
		w.Int(123456)
		w.Double(0.25)
		w.Error(ErrWrongType)
		w.EndArray(m, 4)
	})
	if allocs > 0 {
		t.Errorf("%v allocations per reply", allocs)
	}
}

// RESP3 is ours because redcon's encoders know RESP2 only.
func TestRedconWritesRESP2Only(t *testing.T) {
	var b []byte
	b = redcon.AppendNull(b)
	b = redcon.AppendBulkFloat(b, 0.5)
	b = redcon.AppendAny(b, map[string]any{"k": true})
	if want := "$-1\r\n$3\r\n0.5\r\n*2\r\n$1\r\nk\r\n$1\r\n1\r\n"; string(b) != want {
		t.Errorf("redcon has changed: %q", b)
	}
}

func TestFormatDouble(t *testing.T) {
	for _, c := range []struct {
		f            float64
		want70, want string
	}{
		{0, "0", "0"},
		{math.Copysign(0, -1), "-0", "-0"},
		{1, "1", "1"},
		{-3, "-3", "-3"},
		{0.1, "0.10000000000000001", "0.1"},
		{3.14, "3.1400000000000001", "3.14"},
		{-123.456, "-123.456", "-123.456"},
		{1e10, "10000000000", "10000000000"},
		{1e15, "1000000000000000", "1000000000000000"},
		{1e17, "1e+17", "100000000000000000"},
		{1e20, "1e+20", "1e+20"},
		{1.5e300, "1.5000000000000001e+300", "1.5e+300"},
		{0.0001, "0.0001", "0.0001"},
		{0.00001, "1.0000000000000001e-05", "0.00001"},
		{0.000001, "9.9999999999999995e-07", "0.000001"},
		{0.0000001, "9.9999999999999995e-08", "1e-7"},
		{1.25e-7, "1.2499999999999999e-07", "1.25e-7"},
		{5e-324, "4.9406564584124654e-324", "5e-324"},
		{math.Pi, "3.1415926535897931", "3.141592653589793"},
		{math.MaxFloat64, "1.7976931348623157e+308", "1.7976931348623157e+308"},
		{math.Inf(1), "inf", "inf"},
		{math.Inf(-1), "-inf", "-inf"},
		{math.NaN(), "nan", "nan"},
	} {
		if got := FormatDouble(c.f, Compat70); got != c.want70 {
			t.Errorf("7.0: %v gives %s, want %s", c.f, got, c.want70)
		}
		if got := FormatDouble(c.f, Compat72); got != c.want {
			t.Errorf("7.2: %v gives %s, want %s", c.f, got, c.want)
		}
	}
}

func TestParseInt(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "-1": -1, "10": 10, "9223372036854775807": math.MaxInt64,
		"-9223372036854775808": math.MinInt64} {
		if got, ok := ParseInt([]byte(in)); !ok || got != want {
			t.Errorf("%q: %d %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "0x1", "00", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "18446744073709551616", "1\x00"} {
		if got, ok := ParseInt([]byte(in)); ok {
			t.Errorf("%q accepted as %d", in, got)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for in, want := range map[string]float64{"1": 1, "+1": 1, "-1.5e3": -1500, ".5": .5, "5.": 5, "0": 0, "0e400": 0,
		"-0.0": math.Copysign(0, -1), "0x10": 16, "-0X1.8p1": -3, "0xep0": 14, "inf": math.Inf(1), "-INF": math.Inf(-1),
		"+Infinity": math.Inf(1), "5e-324": 5e-324, "007": 7} {
		if got, ok := ParseFloat([]byte(in)); !ok || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%q: %v %v", in, got, ok)
		}
	}
	for _, in := range []string{"", " 1", "1 ", "nan", "-NaN", "1_0", "0x_1p0", "1e", "e1", "0x", "0xg", "1e999",
		"-1e999", "1e-999", "0x1p-9999", "infi", "1\x00", "--1", "."} {
		if got, ok := ParseFloat([]byte(in)); ok {
			t.Errorf("%q accepted as %v", in, got)
		}
	}
}

// TestParseBound holds to what ZCOUNT of Redis 7.0.15 takes and refuses.
func TestParseBound(t *testing.T) {
	for in, want := range map[string]float64{"": 0, " 1": 1, "\t-1": -1, "1e999": math.Inf(1), "-1e999": math.Inf(-1),
		"1e-999": 0, "0x10": 16, "+inf": math.Inf(1), "INFINITY": math.Inf(1), "0x1p99999": math.Inf(1), "0x1p-99999": 0,
		"2\x00x": 2, "\x00": 0} {
		for _, open := range []string{"", "("} {
			if got, exclusive, ok := ParseBound([]byte(open + in)); !ok || got != want || exclusive != (open != "") {
				t.Errorf("%q: %v %v %v", open+in, got, exclusive, ok)
			}
		}
	}
	for _, in := range []string{"1 ", "nan", "0x", "   ", "( ", "((1", "1x", "e5", "+", ".", "-", "nan(1)", "1_0"} {
		if got, _, ok := ParseBound([]byte(in)); ok {
			t.Errorf("%q accepted as %v", in, got)
		}
	}
}

func TestAppendFixed(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {180, "180"}, {100, "100"}, {-0.5, "-0.5"}, {1e21, "1000000000000000000000"},
		{13.36138933897018433, "13.36138933897018433"}, {85.05112878, "85.0511287799999991"}, {-1e-20, "0"}, {math.Inf(-1), "-inf"},
	} {
		if got := string(AppendFixed([]byte("x"), c.f)); got != "x"+c.want {
			t.Errorf("%v gives %s, want %s", c.f, got, c.want)
		}
	}
}

func TestAppendDistance(t *testing.T) {
	for _, c := range []struct {
		f            float64
		want70, want string
	}{
		{0, "0.0000", "0.0000"},
		{166274.15156960033, "166274.1516", "166274.1516"},
		{190.44242984775784, "190.4424", "190.4424"},
		{0.00025, "0.0003", "0.0002"}, // a little more than it says, but its product with 10^4 is 2.5
		{1e300, fmt.Sprintf("%.4f", 1e300), fmt.Sprintf("%.4f", 1e300)},
	} {
		if got := string(AppendDistance(nil, c.f, Compat70)); got != c.want70 {
			t.Errorf("7.0: %v gives %s, want %s", c.f, got, c.want70)
		}
		if got := string(AppendDistance(nil, c.f, Compat72)); got != c.want {
			t.Errorf("7.2: %v gives %s, want %s", c.f, got, c.want)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	value := []byte(strings.Repeat("v", 64))
	var w Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		w.Bulk(value)
		w.Int(42)
	}
}
