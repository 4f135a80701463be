package rdb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// file is what a Writer makes of entries, which are in order of databases.
func file(t testing.TB, entries []Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Aux("redis-ver", "7.0.0")
	db := -1
	for _, e := range entries {
		if e.DB != db {
			db = e.DB
			w.SelectDB(db, 1, 0)
		}
		if err := w.Entry(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entries reads a file; the error is nil at a proper end.
func entries(b []byte) (list []Entry, err error) {
	r := NewReader(bytes.NewReader(b))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		if e.Value, err = held(e.Value); err != nil {
			return list, err
		}
		list = append(list, e)
	}
}

func same(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool {
		return x.DB == y.DB && bytes.Equal(x.Key, y.Key) && x.DeadlineMs == y.DeadlineMs && text(x.Value) == text(y.Value)
	})
}

// samples are strings around every border of the encodings.
func samples() []string {
	list := []string{
		"", "0", "-0", "00", "+1", " 1", "-1", "127", "128", "-128", "-129", "32767", "32768", "-32768", "-32769",
		"2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "abc", "\x00\xff\r\n",
	}
	for _, n := range []int{11, 12, 63, 64, 16383, 16384, writerBuffer - 1, writerBuffer, writerBuffer + 1, chunk, chunk + 1, 3*chunk + 7} {
		list = append(list, strings.Repeat("x", n))
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	var want []Entry
	for i, s := range samples() {
		want = append(want,
			Entry{DB: i / 4, Key: []byte("key " + s), Value: String(s)},
			Entry{DB: i / 4, Key: []byte(s), DeadlineMs: 1_700_000_000_000 + int64(i), Value: String("v")})
	}
	have, err := entries(file(t, want))
	if err != nil || !same(have, want) {
		t.Errorf("%v; %d entries, want %d", err, len(have), len(want))
	}
}

// golden is byte for byte what Redis writes for these keys but for its notes
// about the file.
const golden = "524544495330303039" +
	"fa" + "0972656469732d766572" + "05372e302e30" +
	"fe00" + "fb0100" +
	"00" + "0161" + "c0ff" + // a: -1
	"00" + "0162" + "c12c01" + // b: 300
	"fc" + "0068e5cf8b010000" + "00" + "0163" + "c2a0860100" + // c: 100000 until 1.7e12
	"fe03" + "fb0100" +
	"00" + "c001" + "03616263" + // "1": abc
	"ff"

func TestGolden(t *testing.T) {
	list := []Entry{
		{Key: []byte("a"), Value: String("-1")},
		{Key: []byte("b"), Value: String("300")},
		{Key: []byte("c"), DeadlineMs: 1_700_000_000_000, Value: String("100000")},
		{DB: 3, Key: []byte("1"), Value: String("abc")},
	}
	b := file(t, list)
	if have := hex.EncodeToString(b[:len(b)-8]); have != golden {
		t.Errorf("have %s\nwant %s", have, golden)
	}
	if have, err := entries(b); err != nil || !same(have, list) {
		t.Errorf("%v, %v", have, err)
	}
}

func TestChecksum(t *testing.T) {
	var c checksum
	c.add([]byte("12345"))
	c.add([]byte("6789"))
	if c != 0xe9c6d914c4b8d9ca {
		t.Errorf("%016x", c)
	}
}

// with is a file of version v with this body and no checksum.
func with(v, body string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(body, " ", ""))
	if err != nil {
		panic(err)
	}
	return append(append([]byte(magic+v), b...), make([]byte, 8)...)
}

func TestReader(t *testing.T) {
	one := func(key, value string, deadlineMs int64) []Entry {
		return []Entry{{Key: []byte(key), DeadlineMs: deadlineMs, Value: String(value)}}
	}
	for _, c := range []struct {
		name string
		file []byte
		want []Entry
		err  string
	}{
		{name: "empty", file: with("0006", "ff")},
		{name: "oldest form", file: with("0006", "fe00 00 0161 0162 ff"), want: one("a", "b", 0)},
		{name: "newest form", file: with("0012", "fa 0161 0162 fe00 f4 010203 fb 0100 00 0161 0162 ff"), want: one("a", "b", 0)},
		{name: "idle", file: with("0009", "f8 4100 00 0161 0162 ff"), want: one("a", "b", 0)},
		{name: "freq", file: with("0009", "f9 ff 00 0161 0162 ff"), want: one("a", "b", 0)},
		{name: "seconds", file: with("0009", "fd 01000000 00 0161 0162 ff"), want: one("a", "b", 1000)},
		{name: "milliseconds", file: with("0009", "fc 0700000000000000 00 0161 0162 ff"), want: one("a", "b", 7)},
		{name: "no deadline", file: with("0009", "fc ffffffffffffffff 00 0161 0162 ff"), want: one("a", "b", 0)},
		{name: "deadline before 1970", file: with("0009", "fc feffffffffffffff 00 0161 0162 ff"), want: one("a", "b", 1)},
		{name: "deadline 1970", file: with("0009", "fd 00000000 00 0161 0162 ff"), want: one("a", "b", 1)},
		{name: "a deadline is one key's", file: with("0009", "fd 01000000 00 0161 0162 00 0162 0162 ff"),
			want: append(one("a", "b", 1000), one("b", "b", 0)...)},
		{name: "long lengths", file: with("0009", "00 8000000001 61 810000000000000001 62 ff"), want: one("a", "b", 0)},
		{name: "LZF", file: with("0009", "00 0161 c3 05 0c 00 61 e0 02 00 ff"), want: one("a", strings.Repeat("a", 12), 0)},

		{name: "nothing", file: nil, err: "rdb: the file ends too early, at offset 0"},
		{name: "half a header", file: []byte("REDIS00"), err: "rdb: the file ends too early, at offset 7"},
		{name: "not an RDB file", file: []byte("# geocache configuration"), err: "rdb: offset 0: wrong signature: not an RDB file"},
		{name: "too old", file: with("0005", "ff"), err: `rdb: offset 5: format version "0005" is not between 6 and 12`},
		{name: "too new", file: with("0013", "ff"), err: `rdb: offset 5: format version "0013" is not between 6 and 12`},
		{name: "no version", file: with("1e+1", "ff"), err: `rdb: offset 5: format version "1e+1" is not between 6 and 12`},
		{name: "module", file: with("0010", "fe00 07 0161 ff"), err: "rdb: offset 11: type byte 7 (module 2) is not supported"},
		{name: "function", file: with("0010", "f5 0161 ff"), err: "rdb: offset 9: type byte 245 (function library) is not supported"},
		{name: "nonsense", file: with("0010", "c8"), err: "rdb: offset 9: type byte 200 (unknown) is not supported"},
		{name: "encoding for a length", file: with("0010", "fe c0 ff"), err: "rdb: offset 10: a length is missing"},
		{name: "unknown encoding", file: with("0010", "00 c4 ff"), err: "rdb: offset 10: unknown encoding of a string: 4"},
		{name: "unknown length", file: with("0010", "00 82 ff"), err: "rdb: offset 10: unknown form of a length"},
		{name: "huge string", file: with("0010", "00 81 7fffffffffffffff"), err: "rdb: offset 19: a string is longer than 2 GB"},
		{name: "long string", file: with("0010", "00 80 7fffffff"), err: "rdb: the file ends too early, at offset 23"},
		{name: "huge database", file: with("0010", "fe 80 ffffffff"), err: "rdb: offset 9: impossible database number"},
		{name: "LZF bomb", file: with("0010", "00 0161 c3 01 80 7fffffff 00"), err: "rdb: offset 12: a compressed string claims an impossible length"},
		{name: "LZF from before", file: with("0010", "00 0161 c3 04 05 00 61 20 01 ff"), err: "rdb: offset 12: a compressed string is damaged"},
		{name: "LZF too short", file: with("0010", "00 0161 c3 02 05 00 61 ff"), err: "rdb: offset 12: a compressed string is damaged"},
		{name: "LZF too long", file: with("0010", "00 0161 c3 05 0b 00 61 e0 02 00 ff"), err: "rdb: offset 12: a compressed string is damaged"},
		{name: "no end", file: []byte(magic + "0009"), err: "rdb: the file ends too early, at offset 9"},
	} {
		have, err := entries(c.file)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != c.err || !same(have, c.want) {
			t.Errorf("%s: %v, %q, want %v, %q", c.name, have, text, c.want, c.err)
		}
	}
}

// TestDamage changes and cuts a file everywhere: that never passes unnoticed.
func TestDamage(t *testing.T) {
	b := file(t, []Entry{{Key: []byte("key"), Value: String("value")}, {DB: 1, Key: []byte("k"), DeadlineMs: 5, Value: String("12345")}})
	for i := range b {
		if _, err := entries(b[:i]); err == nil {
			t.Errorf("cut at %d passes", i)
		}
		for _, flip := range []byte{1, 0x80} {
			bad := slices.Clone(b)
			bad[i] ^= flip
			if _, err := entries(bad); err == nil {
				t.Errorf("damage at %d passes", i)
			}
		}
	}
}

// failing takes so many bytes.
type failing struct{ left int }

var errFull = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	w := NewWriter(&failing{left: 1000})
	w.SelectDB(0, 1, 0)
	if err := w.Entry(Entry{Key: []byte("k"), Value: String(make([]byte, 1<<20))}); !errors.Is(err, errFull) {
		t.Errorf("Entry: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
}

// slow gives one byte at a time.
type slow struct{ b []byte }

func (s *slow) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	p[0] = s.b[0]
	s.b = s.b[1:]
	return 1, nil
}

func TestSlowInput(t *testing.T) {
	r := NewReader(&slow{file(t, []Entry{{Key: []byte("k"), Value: String(strings.Repeat("v", 3000))}})})
	e, err := r.Next()
	if err != nil || len(e.Value.(String)) != 3000 || r.Version() != oldVersion {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// FuzzReader reads anything: no panic, no more memory than the input warrants,
// and what was read survives being written.
func FuzzReader(f *testing.F) {
	f.Add(file(f, []Entry{{Key: []byte("a"), Value: String("1")}, {DB: 2, Key: []byte("b"), DeadlineMs: 7, Value: String("x")}}))
	f.Add(with("0009", "00 0161 c3 05 0c 00 61 e0 02 00 ff"))
	f.Add(with("0012", "fa 0161 0162 fe00 f4 010203 fb 0100 f8 4100 f9 01 00 0161 0162 ff"))
	for _, form := range forms() {
		f.Add([]byte(magic + "0012" + string(form.code) + rawString("k") + form.body + "\xff" + strings.Repeat("\x00", 8)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := entries(b)
		total := 0
		for _, e := range list {
			total += len(e.Key) + len(text(e.Value))
		}
		if total > (len(b)+1)*maxLZFRatio*64 {
			t.Fatalf("%d bytes of text from %d", total, len(b))
		}
		if err != nil {
			return
		}
		slices.SortStableFunc(list, func(a, b Entry) int { return a.DB - b.DB })
		if again, err := entries(file(t, list)); err != nil || !same(again, list) {
			t.Fatalf("%v: %v, want %v", err, again, list)
		}
	})
}

// FuzzLZF compares with a packer that only knows literals, and unpacks
// anything.
func FuzzLZF(f *testing.F) {
	f.Add([]byte("\x00a\xe0\x02\x00"), uint16(12))
	f.Fuzz(func(t *testing.T, p []byte, size uint16) {
		if out, ok := decompressLZF(nil, p, int(size)); ok && len(out) != int(size) {
			t.Fatal(len(out))
		}
		var packed []byte
		for rest := p; len(rest) > 0; {
			n := min(len(rest), literalLimit)
			packed = append(append(packed, byte(n-1)), rest[:n]...)
			rest = rest[n:]
		}
		if out, ok := decompressLZF(nil, packed, len(p)); !ok || !bytes.Equal(out, p) {
			t.Fatalf("%q: %q", p, out)
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	value := make(String, 64)
	for i := range value {
		value[i] = byte(rng.Uint32())
	}
	w := NewWriter(io.Discard)
	w.SelectDB(0, 1, 0)
	b.SetBytes(64)
	for b.Loop() {
		if err := w.Entry(Entry{Key: []byte("key:000000012345"), Value: value}); err != nil {
			b.Fatal(err)
		}
	}
}
