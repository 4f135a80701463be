package command

import (
	"bytes"
	"math"
	"strconv"

	"geocache/engine"
	"geocache/resp"
)

// parseStreamID reads <ms> or <ms>-<seq>, where missing stands for a number
// that is left out. It takes neither - nor +.
func parseStreamID(arg []byte, missing uint64) (id engine.StreamID, ok bool) {
	if len(arg) >= streamIDMaxLen {
		return id, false
	}
	ms, seq, has := bytes.Cut(cText(arg), []byte{'-'})
	id.Seq = missing
	if id.Ms, ok = parseStreamNumber(ms); ok && has {
		id.Seq, ok = parseStreamNumber(seq)
	}
	return id, ok
}

const streamIDMaxLen = 128

// cText is what a C string of b holds: up to the first NUL.
func cText(b []byte) []byte {
	if nul := bytes.IndexByte(b, 0); nul >= 0 {
		return b[:nul]
	}
	return b
}

// parseStreamNumber reads as C's strtoull does where the number is not in its
// shortest form, for Redis uses that: spaces, signs and zeros may lead it.
func parseStreamNumber(b []byte) (n uint64, ok bool) {
	if v, isInt := resp.ParseInt(b); isInt {
		return uint64(v), v >= 0
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	minus := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		minus = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 || b[0] < '0' || b[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 64)
	if minus {
		n = -n
	}
	return n, err == nil
}

// parseStreamBound reads an end of an interval: an id, - or +. With an opening
// bracket the id itself is outside; then step goes to the next one inside.
func parseStreamBound(arg []byte, missing uint64, step func(engine.StreamID) (engine.StreamID, bool), none resp.Error) (engine.StreamID, resp.Error) {
	open := len(arg) > 1 && arg[0] == '('
	if open {
		arg = arg[1:]
	} else if special, ok := specialStreamID(arg); ok {
		return special, ""
	}
	id, ok := parseStreamID(arg, missing)
	if !ok {
		return id, resp.ErrStreamID
	}
	if open {
		if id, ok = step(id); !ok {
			return id, none
		}
	}
	return id, ""
}

// specialStreamID reads - and +.
func specialStreamID(arg []byte) (id engine.StreamID, ok bool) {
	switch string(cText(arg)) {
	case "-":
		return id, true
	case "+":
		return engine.LastStreamID(), true
	}
	return id, false
}

func parseStreamStart(arg []byte) (engine.StreamID, resp.Error) {
	return parseStreamBound(arg, 0, engine.StreamID.Next, resp.ErrIntervalStart)
}

func parseStreamEnd(arg []byte) (engine.StreamID, resp.Error) {
	return parseStreamBound(arg, math.MaxUint64, engine.StreamID.Prev, resp.ErrIntervalEnd)
}

// parseStreamIDs reads ids of entries.
func parseStreamIDs(args [][]byte) (ids []engine.StreamID, fail resp.Error) {
	ids = make([]engine.StreamID, len(args))
	for i, arg := range args {
		var ok bool
		if ids[i], ok = parseStreamID(arg, 0); !ok {
			return nil, resp.ErrStreamID
		}
	}
	return ids, ""
}

func appendStreamID(dst []byte, id engine.StreamID) []byte {
	return strconv.AppendUint(append(strconv.AppendUint(dst, id.Ms, 10), '-'), id.Seq, 10)
}

// streamID replies with an id.
func (c *Ctx) streamID(id engine.StreamID) {
	var buf [48]byte
	c.Out.Bulk(appendStreamID(buf[:0], id))
}

// streamEntry replies with an entry.
func (c *Ctx) streamEntry(id engine.StreamID, f engine.StreamFields) {
	c.Out.Array(2)
	c.streamEntryParts(id, f)
}

func (c *Ctx) streamEntryParts(id engine.StreamID, f engine.StreamFields) {
	c.streamID(id)
	c.Out.Array(f.Len())
	f.Each(c.Out.Bulk)
}

// newStreamID is what XADD is asked to give as id.
type newStreamID struct {
	id engine.StreamID
	// auto: the server chooses it; autoSeq: only the number.
	auto, autoSeq bool
}

func parseNewStreamID(arg []byte) (n newStreamID, ok bool) {
	if string(arg) == "*" {
		return newStreamID{auto: true}, true
	}
	if ms, found := bytes.CutSuffix(cText(arg), []byte("-*")); found && len(arg) < streamIDMaxLen {
		n.autoSeq = true
		n.id.Ms, ok = parseStreamNumber(ms)
		return n, ok
	}
	n.id, ok = parseStreamID(arg, 0)
	return n, ok
}

// behind is the id to give behind the last one of e.
func (n newStreamID) behind(e *engine.StreamEdit, nowMs int64) (engine.StreamID, resp.Error) {
	last := e.LastID()
	next, ok := last.Next()
	switch {
	case !ok:
		return next, resp.ErrStreamExhausted
	case n.auto:
		if uint64(nowMs) > last.Ms {
			next = engine.StreamID{Ms: uint64(nowMs)}
		}
		if next, ok = e.Own(next); !ok {
			return next, resp.ErrStreamExhausted
		}
		return next, ""
	case n.autoSeq:
		ms := n.id.Ms
		if ms == last.Ms {
			n.id = next // of the next millisecond where numbers are used up
		}
		if n.id, ok = e.Own(n.id); !ok || n.id.Ms != ms {
			return next, resp.ErrStreamIDSmall
		}
	}
	if n.id.Compare(last) <= 0 {
		return n.id, resp.ErrStreamIDSmall
	}
	return n.id, ""
}

// maxStreamEntryBytes is what names and values of an entry may have together.
const maxStreamEntryBytes = 1 << 30

func xAdd(c *Ctx) {
	o, at, fail := c.parseTrim(trimOfXAdd)
	if fail != "" {
		c.Fail(fail)
		return
	}
	items := c.Args[min(at+1, len(c.Args)):]
	if len(items) < 2 || len(items)%2 != 0 {
		c.Fail(resp.WrongArity(c.Row.FullName()))
		return
	}
	if !o.id.auto && !o.id.autoSeq && o.id.id.IsZero() {
		c.Fail(resp.ErrStreamIDZero)
		return
	}
	if o.existing {
		if s, err := c.Tx.StreamToEdit(c.Key(1)); err == nil && s == nil {
			c.Out.Null()
			return
		}
	}
	if bytesIn(items) > maxStreamEntryBytes {
		c.Fail(resp.ErrStreamTooLarge)
		return
	}
	// From here on only an id can be wrong, and that no new stream refuses.
	e := c.editStream()
	if e == nil {
		return
	}
	id, fail := o.id.behind(e, c.NowMs())
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.appendEntry(e, id, items, &o)
	c.streamID(id)
}

func bytesIn(items [][]byte) (n int) {
	for _, item := range items {
		n += len(item)
	}
	return n
}

// appendEntry adds an entry and trims the stream.
func (c *Ctx) appendEntry(e *engine.StreamEdit, id engine.StreamID, items [][]byte, o *trim) {
	conf := c.Host.Config().Load()
	e.Add(id, items, int(conf.StreamNodeMaxEntries), int(conf.StreamNodeMaxBytes))
	trimmed := o.apply(e)
	e.Done()
	c.Event(engine.EventStream, "xadd", c.Key(1))
	if trimmed > 0 {
		c.Event(engine.EventStream, "xtrim", c.Key(1))
	}
}

func xLen(c *Ctx) {
	s, err := c.Tx.Stream(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(s.Len()))
}

func xRange(c *Ctx)    { c.streamRange(2, 3, (*engine.Stream).Ascend) }
func xRevRange(c *Ctx) { c.streamRange(3, 2, (*engine.Stream).Descend) }

// streamRange replies with the entries from the id at one argument to that at
// another, in the direction of walk.
func (c *Ctx) streamRange(low, high int, walk func(*engine.Stream, engine.StreamID, func(engine.StreamID, engine.StreamFields) bool)) {
	start, fail := parseStreamStart(c.Args[low])
	if fail != "" {
		c.Fail(fail)
		return
	}
	end, fail := parseStreamEnd(c.Args[high])
	if fail != "" {
		c.Fail(fail)
		return
	}
	count, fail := c.parseRangeCount()
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.Stream(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
	case s == nil:
		c.Out.Array(0)
	case count == 0:
		c.Out.NullArray()
	default:
		from := start
		if low > high {
			from = end
		}
		list, n := c.Out.ArrayLater(), 0
		if start.Compare(end) <= 0 {
			walk(s, from, func(id engine.StreamID, f engine.StreamFields) bool {
				if id.Compare(start) < 0 || id.Compare(end) > 0 {
					return false
				}
				c.streamEntry(id, f)
				n++
				return int64(n) != count
			})
		}
		c.Out.EndArray(list, n)
	}
}

// parseRangeCount reads COUNT of XRANGE; -1 means all.
func (c *Ctx) parseRangeCount() (count int64, fail resp.Error) {
	count = -1
	for i := 4; i < len(c.Args); i += 2 {
		if !isWord(c.Args[i], "COUNT") || i+1 == len(c.Args) {
			return 0, resp.ErrSyntax
		}
		v, ok := resp.ParseInt(c.Args[i+1])
		if !ok {
			return 0, resp.ErrNotInt
		}
		count = max(v, 0)
	}
	return count, ""
}

func xDel(c *Ctx) {
	s, err := c.Tx.StreamToEdit(c.Key(1))
	if err != nil || s == nil {
		c.zeroOr(err)
		return
	}
	ids, fail := parseStreamIDs(c.Args[2:])
	if fail != "" {
		c.Fail(fail)
		return
	}
	n := 0
	if e := c.editStream(); e != nil {
		for _, id := range ids {
			if removeEntry(e, id) {
				n++
			}
		}
		e.Done()
	}
	if n > 0 {
		c.Event(engine.EventStream, "xdel", c.Key(1))
	}
	c.Out.Int(int64(n))
}

// removeEntry is what XDEL does to an entry.
func removeEntry(e *engine.StreamEdit, id engine.StreamID) bool {
	if !e.Remove(id) {
		return false
	}
	if id.Compare(e.MaxDeletedID()) > 0 {
		e.SetMaxDeletedID(id)
	}
	return true
}

// zeroOr replies with 0, or with an error if there is one.
func (c *Ctx) zeroOr(err error) {
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(0)
}

// editStream begins a change of the stream at argument 1. It replies where it
// returns nil.
func (c *Ctx) editStream() *engine.StreamEdit { return c.editStreamAt(c.Key(1)) }

func (c *Ctx) editStreamAt(k engine.Key) *engine.StreamEdit {
	e, err := c.Tx.EditStream(k)
	if err != nil {
		c.FailWith(err)
		return nil
	}
	return e
}

func xSetID(c *Ctx) {
	o, fail := c.parseSetID()
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.StreamToEdit(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case s == nil:
		c.Fail(resp.ErrNoSuchKey)
		return
	}
	switch {
	case c.Out.Compat() != resp.Compat70 && o.id.Compare(s.MaxDeletedID()) < 0:
		fail = resp.ErrSetIDDeleted
	case s.Len() > 0 && o.id.Compare(s.TopID()) < 0:
		fail = resp.ErrSetIDTop
	case s.Len() > 0 && o.added >= 0 && o.added < int64(s.Len()):
		fail = resp.ErrSetIDAdded
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	e := c.editStream()
	if e == nil {
		return
	}
	e.SetLastID(o.id)
	if o.added >= 0 {
		e.SetAdded(uint64(o.added))
	}
	if !o.maxDeleted.IsZero() {
		e.SetMaxDeletedID(o.maxDeleted)
	}
	e.Done()
	c.Event(engine.EventStream, "xsetid", c.Key(1))
	c.Out.OK()
}

// setID is what XSETID is asked to do; added is -1 where it says nothing of it.
type setID struct {
	id, maxDeleted engine.StreamID
	added          int64
}

func (c *Ctx) parseSetID() (o setID, fail resp.Error) {
	var ok bool
	o.added = -1
	if o.id, ok = parseStreamID(c.Args[2], 0); !ok {
		return o, resp.ErrStreamID
	}
	for i := 3; i < len(c.Args); i += 2 {
		w := c.word(i)
		if i+1 == len(c.Args) {
			return o, resp.ErrSyntax
		}
		switch w {
		case "entriesadded":
			if o.added, ok = resp.ParseInt(c.Args[i+1]); !ok {
				return o, resp.ErrNotInt
			}
			if o.added < 0 {
				return o, resp.ErrEntriesAdded
			}
		case "maxdeletedid":
			if o.maxDeleted, ok = parseStreamID(c.Args[i+1], 0); !ok {
				return o, resp.ErrStreamID
			}
			if o.id.Compare(o.maxDeleted) < 0 {
				return o, resp.ErrSetIDDeletedArg
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, ""
}
