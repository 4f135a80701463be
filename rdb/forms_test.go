package rdb

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// payload ends a type byte and a value as DUMP does.
func payload(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(slices.Clone(b), 9)
	var sum checksum
	sum.add(b)
	return binary.LittleEndian.AppendUint64(b, uint64(sum))
}

// rawString is a string as it stands.
func rawString(s string) string {
	var w Writer
	w.length(uint64(len(s)))
	return string(w.buf) + s
}

func rawLength(n int) string {
	var w Writer
	w.length(uint64(n))
	return string(w.buf)
}

// oldInt is an integer of a ziplist in its smallest form.
func oldInt(v int64) []byte {
	switch {
	case v >= 0 && v <= 12:
		return []byte{byte(zipTiny + v)}
	case int64(int8(v)) == v:
		return []byte{zipInt8, byte(v)}
	case int64(int16(v)) == v:
		return binary.LittleEndian.AppendUint16([]byte{zipInt16}, uint16(v))
	case v >= -1<<23 && v < 1<<23:
		return []byte{zipInt24, byte(v), byte(v >> 8), byte(v >> 16)}
	case int64(int32(v)) == v:
		return binary.LittleEndian.AppendUint32([]byte{zipInt32}, uint32(v))
	}
	return binary.LittleEndian.AppendUint64([]byte{zipInt64}, uint64(v))
}

func packZiplist(texts ...string) string {
	b := make([]byte, ziplistHeader)
	previous, last := 0, ziplistHeader
	for _, s := range texts {
		last = len(b)
		if previous < longPrevious {
			b = append(b, byte(previous))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, longPrevious), uint32(previous))
		}
		v, ok := exactInt([]byte(s))
		switch {
		case ok:
			b = append(b, oldInt(v)...)
		case len(s) < 1<<6:
			b = append(append(b, byte(len(s))), s...)
		case len(s) < 1<<14:
			b = append(append(b, 0x40|byte(len(s)>>8), byte(len(s))), s...)
		default:
			b = append(binary.BigEndian.AppendUint32(append(b, 0x80), uint32(len(s))), s...)
		}
		previous = len(b) - last
	}
	b = append(b, blockEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], uint32(last))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(texts)))
	return string(b)
}

func packListpack(texts ...string) string {
	b := make([]byte, listpackHeader)
	for _, s := range texts {
		b = appendPacked(b, []byte(s))
	}
	b = append(b, blockEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(len(texts)))
	return string(b)
}

func packZipmap(texts ...string) string {
	b := []byte{byte(min(len(texts)/2, manyPairs))}
	for i, s := range texts {
		if len(s) < longMapText {
			b = append(b, byte(len(s)))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, longMapText), uint32(len(s)))
		}
		if i%2 == 1 {
			b = append(b, 3)
		}
		b = append(b, s...)
		if i%2 == 1 {
			b = append(b, "..."...)
		}
	}
	return string(append(b, blockEnd))
}

func packIntset(width int, list ...int64) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(width))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, v := range list {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:width]...)
	}
	return string(b)
}

// form is a value in one of the forms of Redis.
type form struct {
	name string
	code byte
	body string
	want Value
}

func oneAfterTheOther(texts []string) string {
	var b strings.Builder
	for _, s := range texts {
		b.WriteString(rawString(s))
	}
	return b.String()
}

func bytesOf(texts []string) [][]byte {
	list := make([][]byte, len(texts))
	for i, s := range texts {
		list[i] = []byte(s)
	}
	return list
}

// forms are values in all forms that Redis from 2.2 to 8 has written.
func forms() []form {
	texts := []string{"a", "0", "12", "13", "-1", "127", "-129", "40000", "-40000", "8000000", "-2147483648", "2147483648",
		"-9223372036854775808", "9223372036854775807", "01", "", "x y", strings.Repeat("q", 63), strings.Repeat("r", 64),
		strings.Repeat("s", 253), strings.Repeat("t", 300), strings.Repeat("u", 5000), strings.Repeat("v", 20000), "end"}
	list := List{len(texts), seqOf(bytesOf(texts))}
	set := Set{len(texts), seqOf(bytesOf(texts))}
	var fields []Field
	for i := 0; i < len(texts); i += 2 {
		fields = append(fields, Field{Name: []byte(texts[i]), Value: []byte(texts[i+1])})
	}
	hash := Hash{Len: len(fields), Fields: seqOf(fields)}
	scores := []string{"1", "-0.5", "inf", "-inf", "1e300", "100000", "3.0000000000000001e-05"}
	numbers := []float64{1, -0.5, math.Inf(1), math.Inf(-1), 1e300, 100000, 3.0000000000000001e-05}
	oldScores := []string{"\x011", "\x04-0.5", "\xfe", "\xff", "\x051e300", "\x06100000", "\x163.0000000000000001e-05"}
	var zpairs []string
	var scored []Scored
	ztext, zbinary := rawLength(len(scores)), rawLength(len(scores))
	for i, s := range scores {
		zpairs = append(zpairs, texts[i], s)
		scored = append(scored, Scored{[]byte(texts[i]), numbers[i]})
		ztext += rawString(texts[i]) + oldScores[i]
		zbinary += rawString(texts[i]) + string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(numbers[i])))
	}
	zset := ZSet{len(scored), seqOf(scored)}
	ints := func(list ...int64) Set {
		var texts []string
		for _, v := range list {
			texts = append(texts, fmt.Sprint(v))
		}
		return Set{len(list), seqOf(bytesOf(texts))}
	}
	node1, node2, node3 := texts[:10], texts[10:11], texts[11:]
	return append([]form{
		{"list", typeList, rawLength(len(texts)) + oneAfterTheOther(texts), list},
		{"list ziplist", typeListZiplist, rawString(packZiplist(texts...)), list},
		{"quicklist", typeListQuicklist, rawLength(4) + rawString(packZiplist(node1...)) + rawString(packZiplist(node2...)) +
			rawString(packZiplist()) + rawString(packZiplist(node3...)), list},
		{"quicklist 2", typeListQuicklist2, rawLength(4) + "\x02" + rawString(packListpack(node1...)) + "\x01" + rawString(node2[0]) +
			"\x02" + rawString(packListpack()) + "\x02" + rawString(packListpack(node3...)), list},
		{"set", typeSet, rawLength(len(texts)) + oneAfterTheOther(texts), set},
		{"intset 16", typeSetIntset, rawString(packIntset(2, -32768, -1, 0, 32767)), ints(-32768, -1, 0, 32767)},
		{"intset 32", typeSetIntset, rawString(packIntset(4, -1<<31, 5)), ints(-1<<31, 5)},
		{"intset 64", typeSetIntset, rawString(packIntset(8, math.MinInt64, math.MaxInt64)), ints(math.MinInt64, math.MaxInt64)},
		{"set listpack", typeSetListpack, rawString(packListpack(texts...)), set},
		{"hash", typeHash, rawLength(len(texts)/2) + oneAfterTheOther(texts), hash},
		{"hash zipmap", typeHashZipmap, rawString(packZipmap(texts...)), hash},
		{"hash ziplist", typeHashZiplist, rawString(packZiplist(texts...)), hash},
		{"hash listpack", typeHashListpack, rawString(packListpack(texts...)), hash},
		{"zset text", typeZSetText, ztext, zset},
		{"zset", typeZSet, zbinary, zset},
		{"zset ziplist", typeZSetZiplist, rawString(packZiplist(zpairs...)), zset},
		{"zset listpack", typeZSetListpack, rawString(packListpack(zpairs...)), zset},
	}, append(timedForms(), streamForms()...)...)
}

// timedForms are hashes with deadlines of fields.
func timedForms() []form {
	const first = 1 << 41
	fields := []Field{{[]byte("a"), []byte("1"), first + 5}, {[]byte("b"), []byte("x"), 0}, {[]byte("7"), []byte(""), first}}
	hash := Hash{3, first, seqOf(fields)}
	moment := string(binary.LittleEndian.AppendUint64(nil, first))
	var early, late string
	var packed []string
	for _, f := range fields {
		names := rawString(string(f.Name)) + rawString(string(f.Value))
		left := 0
		if f.DeadlineMs != 0 {
			left = int(f.DeadlineMs - first + 1)
		}
		early += rawLength(int(f.DeadlineMs)) + names
		late += rawLength(left) + names
		packed = append(packed, string(f.Name), string(f.Value), fmt.Sprint(f.DeadlineMs))
	}
	return []form{
		{"timed hash, early", typeHashTimedEarly, rawLength(3) + early, hash},
		{"timed hash listpack, early", typeHashPackedEarly, rawString(packListpack(packed...)), hash},
		{"timed hash", typeHashTimed, moment + rawLength(3) + late, hash},
		{"timed hash listpack", typeHashPacked, moment + rawString(packListpack(packed...)), hash},
	}
}

// streamForms are one stream in all its forms.
func streamForms() []form {
	id := func(ms, seq uint64) string { return string(StreamID{ms, seq}.append(nil)) }
	moment := func(ms uint64) string { return string(binary.LittleEndian.AppendUint64(nil, ms)) }
	nodes := rawLength(2) +
		rawString(id(5, 1)) + rawString(packListpack("2", "1", "1", "f", "0",
		"2", "0", "0", "v", "4",
		"1", "0", "1", "1", "gone", "x", "6",
		"0", "1", "-1", "2", "f", "1", "g", "2", "8")) +
		rawString(id(9, 9)) + rawString(packListpack("1", "0", "2", "1", "2", "0", "2", "0", "0", "3", "4", "5"))
	entries := []StreamEntry{
		{StreamID{5, 1}, bytesOf([]string{"f", "v"}), true},
		{StreamID{6, 0}, bytesOf([]string{"f", "1", "g", "2"}), false},
		{StreamID{9, 9}, bytesOf([]string{"1", "3", "2", "4"}), true},
	}
	pel := rawLength(2) + id(5, 1) + moment(100) + rawLength(1) + id(9, 9) + moment(200) + rawLength(3)
	consumers := func(active string) string {
		return rawLength(2) + rawString("one") + moment(300) + active + rawLength(1) + id(9, 9) +
			rawString("two") + moment(300) + active + rawLength(1) + id(5, 1)
	}
	pending := []StreamPending{{StreamID{5, 1}, 100, 1}, {StreamID{9, 9}, 200, 3}}
	want := func(added uint64, read, activeMs int64, deleted StreamID) *Stream {
		return &Stream{
			Entries: seqOf(entries), Len: 3, LastID: StreamID{9, 9}, MaxDeletedID: deleted, EntriesAdded: added,
			ActiveTimes: activeMs != 300, NumGroups: 1,
			Groups: seqOf([]StreamGroup{{
				Name: []byte("g"), LastID: StreamID{9, 9}, EntriesRead: read, NumPending: 2, Pending: seqOf(pending), NumConsumers: 2,
				Consumers: seqOf([]StreamConsumer{
					{[]byte("one"), 300, activeMs, 1, seqOf(pending[1:])},
					{[]byte("two"), 300, activeMs, 1, seqOf(pending[:1])},
				}),
			}}),
		}
	}
	ids := rawLength(3) + rawLength(9) + rawLength(9)
	newIDs := ids + rawLength(5) + rawLength(1) + rawLength(5) + rawLength(2) + rawLength(4)
	group := rawLength(1) + rawString("g") + rawLength(9) + rawLength(9)
	return []form{
		{"stream", typeStream, nodes + ids + group + pel + consumers(""), want(3, 3, 300, StreamID{})},
		{"stream 2", typeStream2, nodes + newIDs + group + rawLength(4) + pel + consumers(""), want(4, 4, 300, StreamID{5, 2})},
		{"stream 3", typeStream3, nodes + newIDs + group + rawLength(-1) + pel + consumers(moment(1<<64-1)), want(4, -1, -1, StreamID{5, 2})},
	}
}

// TestForms reads every form, from a payload and from a file, and writes it.
func TestForms(t *testing.T) {
	for _, f := range forms() {
		b := payload([]byte(string(f.code) + f.body))
		if f.code >= 0x80 {
			t.Fatal(f.code)
		}
		v, ours := again(t, string(b))
		if have, want := text(v), text(f.want); have != want {
			t.Errorf("%s:\nhave %.1000s\nwant %.1000s", f.name, have, want)
		}
		if back, _ := again(t, ours); text(back) != text(f.want) {
			t.Errorf("%s, written by us:\nhave %.1000s\nwant %.1000s", f.name, text(back), text(f.want))
		}
		body := hex.EncodeToString([]byte(string(f.code) + rawString("k") + f.body))
		list, err := entries(with("0012", "00 0161 0162"+body+body+"00 0162 0163 ff"))
		if err != nil || len(list) != 4 || text(list[1].Value) != text(f.want) || text(list[2].Value) != text(f.want) {
			t.Errorf("%s in a file: %v, %d keys", f.name, err, len(list))
		}
	}
}

// TestRedisReadsForms lets a real server judge whether the forms are its own.
func TestRedisReadsForms(t *testing.T) {
	j := newJudge(t, t.TempDir())
	j.do("CONFIG", "SET", "hash-max-listpack-value", 100000, "zset-max-listpack-value", 100000)
	for _, f := range forms() {
		if f.code >= typeSetListpack {
			continue // of newer servers
		}
		_, ours := again(t, string(payload([]byte(string(f.code)+f.body))))
		j.do("RESTORE", "theirs", 0, payload([]byte(string(f.code)+f.body)), "REPLACE")
		j.do("RESTORE", "ours", 0, ours, "REPLACE")
		if have, want := j.sight("ours"), j.sight("theirs"); have != want {
			t.Errorf("%s:\nhave %.500s\nwant %.500s", f.name, have, want)
		}
	}
}

// FuzzDump reads anything: no panic, no more memory than the input warrants;
// what was taken has no error left, and survives being written.
func FuzzDump(f *testing.F) {
	for _, form := range forms() {
		f.Add([]byte(string(form.code) + form.body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ReadDump(payload(b))
		if err != nil {
			return
		}
		length := lenOf(v)
		if v, err = held(v); err != nil || lenOf(v) != length {
			t.Fatalf("%v: %d elements, not %d, after the check", err, lenOf(v), length)
		}
		if n := len(text(v)); n > (len(b)+1)*maxLZFRatio*64 {
			t.Fatalf("%d bytes of text from %d", n, len(b))
		}
		ours, err := AppendDump(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if back, _ := again(t, string(ours)); text(back) != text(v) {
			t.Fatalf("%s\n%s", text(back), text(v))
		}
	})
}

// TestUntaken reads on past values that nobody takes, or not to their end.
func TestUntaken(t *testing.T) {
	body := ""
	for i, f := range forms() {
		body += string(f.code) + rawString(fmt.Sprint("k", i)) + f.body
	}
	b := with("0012", hex.EncodeToString([]byte(body))+"ff")
	for _, take := range []func(Value){
		func(Value) {},
		func(v Value) {
			for range elements(v) {
				break
			}
		},
		func(v Value) {
			if s, ok := v.(*Stream); ok {
				for g := range s.Groups {
					for c := range g.Consumers {
						for range c.Pending {
							break
						}
						break
					}
				}
			}
		},
	} {
		r := NewReader(strings.NewReader(string(b)))
		n := 0
		for ; ; n++ {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || string(e.Key) != fmt.Sprint("k", n) {
				t.Fatalf("%d: %q, %v", n, e.Key, err)
			}
			take(e.Value)
		}
		if n != len(forms()) {
			t.Errorf("%d values", n)
		}
	}
}

// elements steps through any collection.
func elements(v Value) func(func() bool) {
	return func(yield func() bool) {
		switch v := v.(type) {
		case List:
			v.Elements(func([]byte, error) bool { return yield() })
		case Set:
			v.Members(func([]byte, error) bool { return yield() })
		case Hash:
			v.Fields(func(Field, error) bool { return yield() })
		case ZSet:
			v.Members(func(Scored, error) bool { return yield() })
		case *Stream:
			v.Entries(func(StreamEntry, error) bool { return yield() })
		}
	}
}

// TestHostileDumps are payloads that a client could make up.
func TestHostileDumps(t *testing.T) {
	many := rawLength(1<<62 + 1)
	for name, body := range map[string]string{
		"nothing after the type":   "\x01",
		"empty list":               "\x01\x00",
		"empty quicklist":          "\x0e\x00",
		"empty nodes":              "\x12\x01\x02" + rawString(packListpack()),
		"empty set":                "\x02\x00",
		"empty intset":             "\x0b" + rawString(packIntset(2)),
		"empty hash":               "\x0d" + rawString(packZiplist()),
		"empty zset":               "\x05\x00",
		"huge list":                "\x01" + many + "\x01a",
		"long list":                "\x01\x03\x01a\x01b",
		"something behind":         "\x01\x01\x01a\x00",
		"string and more":          "\x00\x01ab",
		"half a pair":              "\x0d" + rawString(packZiplist("a")),
		"two thirds":               "\x17" + rawString(packListpack("a", "b")),
		"set twice":                "\x02\x02\x01a\x01a",
		"intset twice":             "\x0b" + rawString(packIntset(2, 1, 1)),
		"intset not in order":      "\x0b" + rawString(packIntset(2, 2, 1)),
		"intset of odd width":      "\x0b" + rawString("\x03\x00\x00\x00\x01\x00\x00\x00abc"),
		"intset too long":          "\x0b" + rawString("\x02\x00\x00\x00\x01\x00\x00\x00abcd"),
		"set listpack twice":       "\x14" + rawString(packListpack("a", "b", "a")),
		"hash field twice":         "\x04\x02\x01a\x01b\x01a\x01c",
		"hash number twice":        "\x04\x02\x011\x01b\xc0\x01\x01c",
		"zipmap twice":             "\x09" + rawString(packZipmap("a", "b", "a", "c")),
		"zset member twice":        "\x11" + rawString(packListpack("a", "1", "a", "2")),
		"zset NaN":                 "\x05\x01\x01a\x01\x00\x00\x00\x00\x00\xf8\x7f",
		"zset old NaN":             "\x03\x01\x01a\xfd",
		"zset NaN text":            "\x11" + rawString(packListpack("a", "nan")),
		"zset score not a number":  "\x11" + rawString(packListpack("a", "one")),
		"list node of what":        "\x12\x01\x03\x01a",
		"deadline too late":        "\x18" + "\xff\xff\xff\xff\xff\xff\x00\x00" + "\x01\x01\x01a\x01b",
		"deadline wraps":           "\x18" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x01" + rawLength(-1) + "\x01a\x01b",
		"deadline below zero":      "\x17" + rawString(packListpack("a", "b", "-1")),
		"deadline a text":          "\x17" + rawString(packListpack("a", "b", "c")),
		"compressed bomb":          "\x00\xc3\x01\x80\x7f\xff\xff\xff\x00",
		"module":                   "\x07\x01\x00",
		"unknown":                  "\x63\x01\x00",
		"stream without rest":      "\x0f\x00",
		"stream with a long key":   "\x0f\x01" + rawString("12345678901234567") + rawString(packListpack("0", "0", "1", "f", "0")) + "\x00\x00\x00\x00",
		"stream with no names":     "\x0f\x01" + rawString("1234567890123456") + rawString(packListpack("0", "0", "0", "0")) + "\x00\x00\x00\x00",
		"stream count is wrong":    "\x0f\x00\x01\x05\x05\x00",
		"stream group twice":       "\x0f\x00\x00\x05\x05\x02" + strings.Repeat("\x01g\x00\x00\x00\x00", 2),
		"stream consumer twice":    "\x0f\x00\x00\x05\x05\x01\x01g\x00\x00\x00\x02" + strings.Repeat("\x01c12345678\x00", 2),
		"stream pending of nobody": "\x0f\x00\x00\x05\x05\x01\x01g\x00\x00\x011234567890123456" + "12345678\x01" + "\x00",
		"stream pending unknown":   "\x0f\x00\x00\x05\x05\x01\x01g\x00\x00\x00\x01\x01c12345678\x011234567890123456",
		"stream many groups":       "\x0f\x00\x00\x05\x05" + many,
	} {
		v, err := ReadDump(payload([]byte(body)))
		var format *FormatError
		var unsupported *UnsupportedError
		if !errors.As(err, &format) && !errors.As(err, &unsupported) && !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	good := payload([]byte("\x00\x01a"))
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 4
		if _, err := ReadDump(bad); !errors.Is(err, ErrDumpFooter) {
			t.Errorf("damage at %d: %v", i, err)
		}
		if _, err := ReadDump(good[:i]); !errors.Is(err, ErrDumpFooter) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	newer := append([]byte("\x00\x01a"), 13, 0)
	var sum checksum
	sum.add(newer)
	if _, err := ReadDump(binary.LittleEndian.AppendUint64(newer, uint64(sum))); !errors.Is(err, ErrDumpFooter) {
		t.Error(err)
	}
}

// TestRedisAgrees changes payloads at random and compares with a real server:
// what we take it takes too, and sees the same.
func TestRedisAgrees(t *testing.T) {
	j := newJudge(t, t.TempDir())
	j.do("CONFIG", "SET", "hash-max-listpack-value", 100000, "zset-max-listpack-value", 100000)
	firstID := regexp.MustCompile("recorded-first-entry-id:.*")
	taken, stricter := 0, 0
	for seed, f := range forms() {
		if f.code >= typeSetListpack {
			continue
		}
		for i := range 400 {
			b := mutated(uint64(seed*1000+i), []byte(string(f.code)+f.body))
			_, theirs := j.c.Do(context.Background(), "RESTORE", "theirs", 0, payload(b), "REPLACE").Result()
			v, err := ReadDump(payload(b))
			if err != nil {
				if theirs == nil {
					stricter++
				}
				continue
			}
			if v, err = held(v); err != nil {
				t.Fatalf("%s: %v after the check", f.name, err)
			}
			if theirs != nil {
				t.Errorf("%s, %d: %v, but we take %.200s\n%x", f.name, i, theirs, text(v), b)
				continue
			}
			taken++
			ours, err := AppendDump(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			j.do("RESTORE", "ours", 0, ours, "REPLACE")
			// The first id is told by the entries, whatever else a payload says.
			if have, want := firstID.ReplaceAllString(j.sight("ours"), ""), firstID.ReplaceAllString(j.sight("theirs"), ""); have != want {
				t.Errorf("%s, %d:\nhave %.800s\nwant %.800s", f.name, i, have, want)
			}
		}
	}
	t.Logf("both take %d, only the server %d", taken, stricter)
}

// mutated is b with a few bytes changed, the more likely where its structure is.
func mutated(seed uint64, b []byte) []byte {
	rnd := seed*0x9e3779b97f4a7c15 + 1
	next := func(n int) int {
		rnd ^= rnd << 13
		rnd ^= rnd >> 7
		rnd ^= rnd << 17
		return int(rnd % uint64(n))
	}
	for range 1 + next(3) {
		at := 1 + next(min(len(b)-1, 400))
		switch next(4) {
		case 0:
			b[at] ^= 1 << next(8)
		case 1:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff, 0xfe}[next(6)]
		case 2:
			b[at]++
		default:
			b[at] = b[1+next(len(b)-1)]
		}
	}
	return b
}
