package resp

import (
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"+OK\r\n", "+OK"},
		{"-ERR x y\r\n", "-ERR x y"},
		{":-5\r\n", ":-5"},
		{"$4\r\na\r\"\xff\r\n", `"a\r\"\xff"`},
		{"$-1\r\n", "nil"},
		{"*-1\r\n", "*nil"},
		{"_\r\n", "_"},
		{"*0\r\n", "[]"},
		{"*2\r\n:1\r\n*1\r\n$0\r\n\r\n", `[:1, [""]]`},
		{"~1\r\n+a\r\n", "~[+a]"},
		{">2\r\n+a\r\n:1\r\n", ">[+a, :1]"},
		{"%2\r\n+a\r\n:1\r\n+b\r\n#t\r\n", "%{+a: :1, +b: #t}"},
		{"#f\r\n", "#f"},
		{",0.5\r\n", ",0.5"},
		{",-inf\r\n", ",-inf"},
		{",nan\r\n", ",nan"},
		{"(-123456789012345678901234567890\r\n", "(-123456789012345678901234567890"},
		{"=6\r\ntxt:hi\r\n", `=txt:"hi"`},
		{"!5\r\nERR x\r\n", `!"ERR x"`},
		{"|1\r\n+ttl\r\n:3\r\n*1\r\n:1\r\n", "|{+ttl: :3} [:1]"},
	} {
		v, n, err := Decode([]byte(c.in + "+rest\r\n"))
		if err != nil || n != len(c.in) || v.String() != c.want {
			t.Errorf("%q: %s, %d, %v; want %s", c.in, v, n, err, c.want)
		}
		for i := range len(c.in) {
			if _, n, err := Decode([]byte(c.in[:i])); n != 0 || err != nil {
				t.Errorf("%q cut at %d: %d, %v", c.in, i, n, err)
			}
		}
	}
	v, _, _ := Decode([]byte("-ERR x\r\n"))
	if v.Err() != Error("ERR x") || v.IsNull() {
		t.Error("error reply")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, in := range []string{"\r\n", "+a\n", "?\r\n", ":x\r\n", ":+1\r\n", "$-2\r\n", "$x\r\n", "$1\r\nabc", "~-1\r\n", "*?\r\n",
		"$1073741825\r\n", "*9223372036854775807\r\n", "#x\r\n", ",x\r\n", "(1a\r\n", "(\r\n", "=2\r\nab\r\n", "_x\r\n",
		strings.Repeat("*1\r\n", maxDecodeDepth+2) + ":1\r\n", strings.Repeat("|0\r\n", 100) + ":1\r\n",
		"+" + strings.Repeat("x", maxDecodeLineLen+1)} {
		if v, n, err := Decode([]byte(in)); err == nil {
			t.Errorf("%.30q accepted: %s, %d", in, v, n)
		}
	}
}

// What the Writer writes, Decode reads.
func TestDecodeWriter(t *testing.T) {
	for proto, want := range map[int]string{
		2: `[nil, *nil, "0.25", :1, "12", "hi", ["k", :1]]`,
		3: `[_, _, ,0.25, #t, (12, =txt:"hi", %{"k": :1}]`,
	} {
		var w Writer
		w.SetProto(proto)
		w.Array(7)
		w.Null()
		w.NullArray()
		w.Double(0.25)
		w.Bool(true)
		w.BigNumber("12")
		w.Verbatim("txt", "hi")
		w.Map(1)
		w.BulkString("k")
		w.Int(1)
		v, n, err := Decode(w.Bytes())
		if err != nil || n != w.Len() || v.String() != want {
			t.Errorf("RESP%d: %s, %v", proto, v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"*2\r\n:1\r\n$1\r\na\r\n", "%1\r\n+a\r\n,1.5\r\n", "|1\r\n+a\r\n_\r\n=6\r\ntxt:hi\r\n", "*1000000000\r\n",
		strings.Repeat("*1\r\n", 70), "(1\r\n", "$-1\r\n", "!3\r\nERR\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, n, err := Decode(data)
		if err != nil || n == 0 {
			return
		}
		again, m, err := Decode(data[:n])
		if err != nil || m != n || again.String() != v.String() {
			t.Fatalf("%q: %s %d, alone %s %d %v", data, v, n, again, m, err)
		}
		for i := 0; i < n; i += n/50 + 1 {
			if _, m, err := Decode(data[:i]); m != 0 || err != nil {
				t.Fatalf("%q cut at %d: %d %v", data, i, m, err)
			}
		}
	})
}
