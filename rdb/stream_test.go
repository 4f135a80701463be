package rdb

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

// TestLargeIsNeverWhole sends large collections from a Writer to a Reader and
// looks at how much memory all that takes.
func TestLargeIsNeverWhole(t *testing.T) {
	const n = 1 << 20
	members := func(yield func([]byte, error) bool) {
		b := append(make([]byte, 0, 32), "member:"...)
		for i := range n {
			if !yield(strconv.AppendInt(b[:7], int64(i), 10), nil) {
				return
			}
		}
	}
	fields := func(yield func(StreamEntry, error) bool) {
		e := StreamEntry{Fields: [][]byte{[]byte("name"), []byte("value")}}
		for i := range n {
			e.ID.Ms = uint64(i + 1)
			if !yield(e, nil) {
				return
			}
		}
	}
	for _, v := range []Value{
		List{n, members}, Set{n, members},
		&Stream{Entries: fields, Len: n, LastID: StreamID{n, 0}, EntriesAdded: n},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in, out := io.Pipe()
		go func() {
			w := NewWriter(out)
			w.SelectDB(0, 1, 0)
			_ = w.Entry(Entry{Key: []byte("k"), Value: v})
			_ = out.CloseWithError(w.Close()) // nil is the end
		}()
		e, err := NewReader(in).Next()
		if err != nil {
			t.Fatal(err)
		}
		have := 0
		for range elements(e.Value) {
			have++
		}
		runtime.ReadMemStats(&after)
		_ = in.Close()
		if used := after.TotalAlloc - before.TotalAlloc; have != n || used > 4<<20 {
			t.Errorf("%T: %d elements, %d bytes were allocated", v, have, used)
		}
	}
}

// TestWrongCounts are owners that do not keep their word.
func TestWrongCounts(t *testing.T) {
	two := bytesOf([]string{"a", "b"})
	entries := []StreamEntry{{ID: StreamID{1, 1}, Fields: two}}
	broken := func(yield func([]byte, error) bool) { yield(nil, errFull) }
	for i, v := range []Value{
		List{3, seqOf(two)}, List{1, seqOf(two)}, Set{0, seqOf(two)},
		&Stream{Entries: seqOf(entries), Len: 2},
	} {
		b, err := AppendDump([]byte("x"), v)
		var count *CountError
		if !errors.As(err, &count) || string(b) != "x" {
			t.Errorf("%d: %q, %v", i, b, err)
		}
	}
	if _, err := AppendDump(nil, List{1, broken}); !errors.Is(err, errFull) {
		t.Error(err)
	}
	late := Hash{1, 100, seqOf([]Field{{DeadlineMs: 99}})}
	if _, err := AppendDump(nil, late); !errors.Is(err, errMinDeadline) {
		t.Error(err)
	}
	late.MinDeadlineMs = 0
	if _, err := AppendDump(nil, late); !errors.Is(err, errMinDeadline) {
		t.Error(err)
	}
}

// TestOldestForm: what no old server can load is written only where it must be.
func TestOldestForm(t *testing.T) {
	id := StreamID{1, 1}
	for _, c := range []struct {
		v       Value
		code    byte
		version int
	}{
		{String("x"), typeString, 9}, {List{}, typeList, 9}, {Set{}, typeSet, 9}, {ZSet{}, typeZSet, 9}, {Hash{}, typeHash, 9},
		{Hash{MinDeadlineMs: 1}, typeHashTimed, 12},
		{&Stream{LastID: id}, typeStream, 9}, {&Stream{LastID: id, EntriesAdded: 1}, typeStream2, 10},
		{&Stream{LastID: id, MaxDeletedID: id}, typeStream2, 10}, {&Stream{NumGroups: 1}, typeStream2, 10},
		{&Stream{NumGroups: 1, ActiveTimes: true}, typeStream3, 11},
	} {
		if have := c.v.typeByte(); have != c.code || versionOf(have) != c.version {
			t.Errorf("%v: type %d of version %d", c.v, have, versionOf(have))
		}
	}
}

func BenchmarkDump(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		members := bytesOf(make([]string, n))
		for i := range members {
			members[i] = fmt.Append(members[i], "member:", i)
		}
		set := Set{n, seqOf(members)}
		payload, err := AppendDump(nil, set)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint("append ", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := AppendDump(payload[:0], set); err != nil {
					b.Fatal(err)
				}
			}
		})
		whole := slices.Clone(payload)
		b.Run(fmt.Sprint("read ", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := ReadDump(whole); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
