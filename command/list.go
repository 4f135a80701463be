package command

import (
	"bytes"
	"math"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

func lPush(c *Ctx)  { c.push(engine.Left) }
func rPush(c *Ctx)  { c.push(engine.Right) }
func lPushX(c *Ctx) { c.pushExisting(engine.Left) }
func rPushX(c *Ctx) { c.pushExisting(engine.Right) }

func (c *Ctx) push(end engine.End) {
	n, err := c.Tx.ListPush(c.Key(1), end, c.Args[2:]...)
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventList, pushedAt(end), c.Key(1))
	c.Out.Int(int64(n))
}

func (c *Ctx) pushExisting(end engine.End) {
	l, err := c.Tx.ListToEdit(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
	case l == nil:
		c.Out.Int(0)
	default:
		c.push(end)
	}
}

// pushedAt and poppedAt name the events of the two ends.
func pushedAt(end engine.End) string {
	if end == engine.Left {
		return "lpush"
	}
	return "rpush"
}

func poppedAt(end engine.End) string {
	if end == engine.Left {
		return "lpop"
	}
	return "rpop"
}

func lPop(c *Ctx) { c.pop(engine.Left) }
func rPop(c *Ctx) { c.pop(engine.Right) }

func (c *Ctx) pop(end engine.End) {
	if len(c.Args) > 3 {
		c.Fail(resp.WrongArity(c.Row.FullName()))
		return
	}
	if len(c.Args) == 3 {
		c.popCounted(end)
		return
	}
	val, left, err := c.Tx.ListPop(c.Key(1), end)
	switch {
	case err != nil:
		c.FailWith(err)
	case val == nil:
		c.Out.Null()
	default:
		c.Out.Bulk(val)
		c.popped(c.Key(1), end, left)
	}
}

func (c *Ctx) popCounted(end engine.End) {
	n, ok := resp.ParseInt(c.Args[2])
	if !ok || n < 0 {
		c.Fail(resp.ErrNotPositive)
		return
	}
	l, err := c.Tx.ListToEdit(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
	case l == nil:
		c.Out.NullArray()
	default:
		n = min(n, int64(l.Len()))
		c.Out.Array(int(n))
		c.popOff(c.Key(1), l, end, int(n))
	}
}

// popped tells that elements were taken off an end of k.
func (c *Ctx) popped(k engine.Key, end engine.End, left int) {
	c.Event(engine.EventList, poppedAt(end), k)
	c.tellIfGone(k, left)
}

// popOff replies with n elements of a list, the one at the end first, and
// removes them.
func (c *Ctx) popOff(k engine.Key, l *engine.Elements, end engine.End, n int) {
	if n == 0 {
		return
	}
	left := n
	reply := func(val []byte) bool {
		c.Out.Bulk(val)
		left--
		return left > 0
	}
	size, at := l.Len(), 0
	if end == engine.Left {
		l.Ascend(0, reply)
	} else {
		at = size - n
		l.Descend(size-1, reply)
	}
	c.cut(k, size, engine.Span{At: at, Len: n})
	c.popped(k, end, size-n)
}

// cut removes spans, the last one first, from a list of a known size. All of a
// list goes as DEL takes it, at once however long it is.
func (c *Ctx) cut(k engine.Key, size int, spans ...engine.Span) {
	if len(spans) == 1 && spans[0].Len == size && c.Tx.Alone(k) {
		c.Tx.Delete(k)
		return
	}
	// The caller has seen that k is a list.
	_ = c.Tx.ListRemove(k, spans...)
}

// tellIfGone is for a command that may have left a collection without members.
func (c *Ctx) tellIfGone(k engine.Key, members int) {
	if members == 0 {
		c.Event(engine.EventGeneric, "del", k)
	}
}

func lLen(c *Ctx) {
	l, err := c.Tx.List(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(l.Len()))
}

func lIndex(c *Ctx) {
	l, err := c.Tx.List(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if l == nil {
		c.Out.Null()
		return
	}
	i, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	if at, there := indexIn(i, l.Len()); there {
		c.Out.Bulk(l.At(at))
	} else {
		c.Out.Null()
	}
}

// indexIn is the index that i, counted from the end where it is negative,
// means; ok is false outside.
func indexIn(i int64, size int) (at int, ok bool) {
	if i < 0 {
		i += int64(size)
	}
	return int(i), 0 <= i && i < int64(size)
}

// rangeIn is what the inclusive range from start to stop, counted from the end
// where negative, covers of size elements.
func rangeIn(start, stop int64, size int) engine.Span {
	if start < 0 {
		start = max(start+int64(size), 0)
	}
	if stop < 0 {
		stop += int64(size)
	}
	stop = min(stop, int64(size)-1)
	if start > stop {
		return engine.Span{}
	}
	return engine.Span{At: int(start), Len: int(stop - start + 1)}
}

// startStop reads the range in arguments 2 and 3.
func (c *Ctx) startStop() (start, stop int64, ok bool) {
	start, ok = resp.ParseInt(c.Args[2])
	if ok {
		stop, ok = resp.ParseInt(c.Args[3])
	}
	if !ok {
		c.Fail(resp.ErrNotInt)
	}
	return start, stop, ok
}

func lRange(c *Ctx) {
	start, stop, ok := c.startStop()
	if !ok {
		return
	}
	l, err := c.Tx.List(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	in := rangeIn(start, stop, l.Len())
	c.Out.Array(in.Len)
	if in.Len > 0 {
		l.Values(in.At, in.Len, c.Out.Bulk)
	}
}

func lSet(c *Ctx) {
	l, err := c.Tx.ListToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if l == nil {
		c.Fail(resp.ErrNoSuchKey)
		return
	}
	i, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	at, there := indexIn(i, l.Len())
	if !there {
		c.Fail(resp.ErrIndexRange)
		return
	}
	if err := c.Tx.ListSet(c.Key(1), at, c.Args[3]); err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventList, "lset", c.Key(1))
	c.Out.OK()
}

func lInsert(c *Ctx) {
	after := 0
	switch {
	case isWord(c.Args[2], "AFTER"):
		after = 1
	case !isWord(c.Args[2], "BEFORE"):
		c.Fail(resp.ErrSyntax)
		return
	}
	l, err := c.Tx.ListToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if l == nil {
		c.Out.Int(0)
		return
	}
	pivot := matches(l, c.Args[3], search{limit: 1})
	if len(pivot) == 0 {
		c.Out.Int(-1)
		return
	}
	n, err := c.Tx.ListInsert(c.Key(1), pivot[0]+after, c.Args[4])
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventList, "linsert", c.Key(1))
	c.Out.Int(int64(n))
}

// search says which elements of a list are looked for.
type search struct {
	backward bool // from the end
	skip     int  // matches not wanted
	limit    int  // matches wanted, 0 for all
	look     int  // elements to look at, 0 for all
}

// matches are the indexes of what equals val, in the order they were met.
func matches(l *engine.Elements, val []byte, s search) (found []int) {
	size := l.Len()
	if size == 0 {
		return nil
	}
	at, step, looked := 0, 1, 0
	visit, from := l.Ascend, 0
	if s.backward {
		at, step = size-1, -1
		visit, from = l.Descend, size-1
	}
	visit(from, func(have []byte) bool {
		if bytes.Equal(have, val) {
			if s.skip > 0 {
				s.skip--
			} else {
				found = append(found, at)
			}
		}
		at += step
		looked++
		return (s.limit == 0 || len(found) < s.limit) && looked != s.look
	})
	return found
}

func lRem(c *Ctx) {
	count, ok := c.magnitude(c.Args[2])
	if !ok {
		return
	}
	l, err := c.Tx.ListToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	s := search{backward: count < 0, limit: int(max(count, -count, 0))}
	found := matches(l, c.Args[3], s)
	if !s.backward {
		slices.Reverse(found)
	}
	size := l.Len()
	if len(found) > 0 {
		c.cut(c.Key(1), size, spansOf(found)...)
		c.Event(engine.EventList, "lrem", c.Key(1))
		c.tellIfGone(c.Key(1), size-len(found))
	}
	c.Out.Int(int64(len(found)))
}

// magnitude reads an integer whose sign says from which end. Redis 7.0 takes
// the lowest one, too, which has no absolute value, and then does not count.
func (c *Ctx) magnitude(arg []byte) (v int64, ok bool) {
	v, ok = resp.ParseInt(arg)
	switch {
	case !ok:
		c.Fail(resp.ErrNotInt)
	case v == math.MinInt64 && c.Out.Compat() != resp.Compat70:
		c.Fail(resp.IntRange(-math.MaxInt64, math.MaxInt64))
		ok = false
	}
	return v, ok
}

// spansOf joins descending indexes to spans.
func spansOf(indexes []int) (spans []engine.Span) {
	for _, i := range indexes {
		if n := len(spans); n > 0 && spans[n-1].At == i+1 {
			spans[n-1].At--
			spans[n-1].Len++
		} else {
			spans = append(spans, engine.Span{At: i, Len: 1})
		}
	}
	return spans
}

func lTrim(c *Ctx) {
	start, stop, ok := c.startStop()
	if !ok {
		return
	}
	l, err := c.Tx.ListToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	if l != nil {
		size := l.Len()
		in := rangeIn(start, stop, size)
		spans := []engine.Span{{At: in.At + in.Len, Len: size - in.At - in.Len}, {At: 0, Len: in.At}}
		spans = slices.DeleteFunc(spans, func(s engine.Span) bool { return s.Len == 0 })
		if len(spans) > 0 {
			c.cut(c.Key(1), size, spans...)
		}
		c.Event(engine.EventList, "ltrim", c.Key(1))
		c.tellIfGone(c.Key(1), in.Len)
	}
	c.Out.OK()
}

func lPos(c *Ctx) {
	s, counted, ok := c.parsePos()
	if !ok {
		return
	}
	l, err := c.Tx.List(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	found := matches(l, c.Args[2], s)
	switch {
	case counted:
		c.Out.Array(len(found))
		for _, at := range found {
			c.Out.Int(int64(at))
		}
	case len(found) == 0:
		c.Out.Null()
	default:
		c.Out.Int(int64(found[0]))
	}
}

// parsePos reads LPOS' options; counted is set by COUNT.
func (c *Ctx) parsePos() (s search, counted, ok bool) {
	s.limit = 1
	for i := 3; i < len(c.Args); i += 2 {
		var v int64
		var fail resp.Error
		name := c.word(i)
		if i+1 == len(c.Args) {
			name = ""
		}
		switch name {
		case "rank":
			if v, ok = c.magnitude(c.Args[i+1]); !ok {
				return s, false, false
			}
			if v == 0 {
				fail = resp.ErrRankZero
			}
			s.backward, s.skip = v < 0, int(max(v, -v, 1))-1
		case "count":
			v, fail = notNegative(c.Args[i+1], resp.ErrNegativeCount)
			s.limit, counted = int(v), true
		case "maxlen":
			v, fail = notNegative(c.Args[i+1], resp.ErrNegativeMaxLen)
			s.look = int(v)
		default:
			fail = resp.ErrSyntax
		}
		if fail != "" {
			c.Fail(fail)
			return s, false, false
		}
	}
	return s, counted, true
}

// notNegative reads an integer; whatever it is not, the error is the same.
func notNegative(arg []byte, otherwise resp.Error) (int64, resp.Error) {
	v, ok := resp.ParseInt(arg)
	if !ok || v < 0 {
		return 0, otherwise
	}
	return v, ""
}
