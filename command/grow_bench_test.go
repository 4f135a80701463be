package command

import (
	"fmt"
	"strconv"
	"testing"

	"geocache/engine"
)

// The benchmarks below grow what the others do not: lists, streams, strings,
// the keyspace, and several collections at once. What the manual calls O(1), or
// O(N) in what is asked for, must not follow the size.

// benchFilled measures a request against what fill makes of several sizes. step
// changes the arguments before each run.
func benchFilled(b *testing.B, fill func(h *harness, size int), step func(args [][]byte, i, size int), request ...string) {
	for _, size := range benchSizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newHarness(b)
			h.configure(func(p *engine.Params) { p.Recording, p.Forms = false, benchForms })
			fill(h, size)
			r := h.prepare(request...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if step != nil {
					step(r.c.Args, i, size)
				}
				r.run()
			}
		})
	}
}

// each runs a request for 0 to n-1, with argument at as format says.
func (h *harness) each(n, at int, format string, request ...string) {
	r := h.prepare(request...)
	for i := range n {
		r.c.Args[at] = fmt.Appendf(r.c.Args[at][:0], format, i)
		if at == 1 {
			r.scope.Keys = r.c.Scope(r.scope.Keys[:0])
		}
		r.run()
	}
}

// setArg is a step that gives argument at a number that goes all over the size.
func setArg(at int, format string) func([][]byte, int, int) {
	return func(args [][]byte, i, size int) {
		args[at] = fmt.Appendf(args[at][:0], format, i*7919%size)
	}
}

func fillList(h *harness, size int) { h.each(size, 2, "element:%08d", "rpush", "key", "") }

func BenchmarkLIndexHead(b *testing.B) { benchFilled(b, fillList, nil, "lindex", "key", "3") }
func BenchmarkLIndexTail(b *testing.B) { benchFilled(b, fillList, nil, "lindex", "key", "-3") }
func BenchmarkLIndexMiddle(b *testing.B) {
	benchFilled(b, fillList, setArg(2, "%d"), "lindex", "key", "")
}
func BenchmarkLSet(b *testing.B) {
	benchFilled(b, fillList, setArg(2, "%d"), "lset", "key", "", "element:xxxxxxxx")
}
func BenchmarkLRangeTail(b *testing.B) { benchFilled(b, fillList, nil, "lrange", "key", "-10", "-1") }
func BenchmarkLRangeMiddle(b *testing.B) {
	benchFilled(b, fillList, func(args [][]byte, i, size int) {
		at := i * 7919 % size
		args[2] = strconv.AppendInt(args[2][:0], int64(at), 10)
		args[3] = strconv.AppendInt(args[3][:0], int64(at+9), 10)
	}, "lrange", "key", "", "")
}
func BenchmarkLPosHead(b *testing.B) {
	benchFilled(b, fillList, nil, "lpos", "key", "element:00000003")
}
func BenchmarkLPosMaxLen(b *testing.B) {
	benchFilled(b, fillList, nil, "lpos", "key", "none", "rank", "-1", "maxlen", "10")
}
func BenchmarkRPopLPush(b *testing.B) { benchFilled(b, fillList, nil, "rpoplpush", "key", "key") }

func fillStream(h *harness, size int) { h.each(size, 2, "%d-1", "xadd", "key", "", "field", "value") }

func BenchmarkXRange(b *testing.B) {
	benchFilled(b, fillStream, setArg(2, "%d"), "xrange", "key", "", "+", "count", "10")
}
func BenchmarkXRevRange(b *testing.B) {
	benchFilled(b, fillStream, setArg(2, "%d"), "xrevrange", "key", "", "-", "count", "10")
}
func BenchmarkXRead(b *testing.B) {
	benchFilled(b, fillStream, setArg(5, "%d"), "xread", "count", "10", "streams", "key", "")
}
func BenchmarkXLen(b *testing.B) { benchFilled(b, fillStream, nil, "xlen", "key") }
func BenchmarkXDelNone(b *testing.B) {
	benchFilled(b, fillStream, setArg(2, "%d-2"), "xdel", "key", "")
}
func BenchmarkXAddTrimmed(b *testing.B) {
	// One comes and one goes.
	benchFilled(b, fillStream, func(args [][]byte, i, size int) {
		args[3] = strconv.AppendInt(args[3][:0], int64(size), 10)
		args[4] = fmt.Appendf(args[4][:0], "%d-1", size+i)
	}, "xadd", "key", "maxlen", "", "", "field", "value")
}

func fillString(h *harness, size int) {
	r := h.prepare("setrange", "key", strconv.Itoa(size*8-1), "x")
	r.run()
}

func BenchmarkGetRange(b *testing.B) {
	benchFilled(b, fillString, setArg(2, "%d"), "getrange", "key", "", "20")
}
func BenchmarkGetRangeTail(b *testing.B) {
	benchFilled(b, fillString, nil, "getrange", "key", "-20", "-1")
}
func BenchmarkGetBit(b *testing.B) { benchFilled(b, fillString, setArg(2, "%d"), "getbit", "key", "") }
func BenchmarkSetBit(b *testing.B) {
	benchFilled(b, fillString, func(args [][]byte, i, size int) {
		args[2] = strconv.AppendInt(args[2][:0], int64(i*7919%size), 10)
		args[3][0] = '0' + byte(i&1)
	}, "setbit", "key", "", "0")
}
func BenchmarkStrLen(b *testing.B) { benchFilled(b, fillString, nil, "strlen", "key") }

// fillSets makes a set of the size and one of ten of its members.
func fillSets(h *harness, size int) {
	h.each(size, 2, "member:%08d", "sadd", "key", "")
	h.each(10, 2, "member:%08d", "sadd", "few", "")
}

func BenchmarkSInterFewLast(b *testing.B)  { benchFilled(b, fillSets, nil, "sinter", "key", "few") }
func BenchmarkSInterFewFirst(b *testing.B) { benchFilled(b, fillSets, nil, "sinter", "few", "key") }
func BenchmarkSInterCardLimit(b *testing.B) {
	benchFilled(b, fillSets, nil, "sintercard", "2", "key", "key", "limit", "10")
}
func BenchmarkSDiffFew(b *testing.B) { benchFilled(b, fillSets, nil, "sdiff", "few", "key") }
func BenchmarkSScan(b *testing.B) {
	benchFilled(b, fillSets, nil, "sscan", "key", "0", "count", "10")
}

// BenchmarkHSetNew adds and removes a field.
func BenchmarkHSetNew(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			h := newHarness(b)
			h.configure(func(p *engine.Params) { p.Recording, p.Forms = false, benchForms })
			h.each(size, 2, "field:%08d", "hset", "key", "", "value")
			add, del := h.prepare("hset", "key", "field:new", "value"), h.prepare("hdel", "key", "field:new")
			b.ReportAllocs()
			for b.Loop() {
				add.run()
				del.run()
			}
		})
	}
}

// BenchmarkScan walks a keyspace ten keys at a time.
func BenchmarkScan(b *testing.B) {
	benchFilled(b, func(h *harness, size int) { h.each(size, 1, "key:%08d", "set", "", "value") }, nil, "scan", "0", "count", "10")
}
