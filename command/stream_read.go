package command

import (
	"cmp"
	"math"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

// This file is XREAD and XREADGROUP.

// streamRead is what they are asked to do.
type streamRead struct {
	grouped bool // XREADGROUP
	keys    [][]byte
	ids     [][]byte // as given; they end the arguments
	count   int64    // 0 for all
	blocks  bool
	// deadlineMs ends the wait, 0 never does.
	deadlineMs int64

	group, consumer []byte
	noAck           bool
	claims          bool // CLAIM
	claimIdleMs     int64
	againMs         int64 // when there will be something to claim, 0: nothing is known of it
}

func xRead(c *Ctx)      { c.readStreams(false) }
func xReadGroup(c *Ctx) { c.readStreams(true) }

func (c *Ctx) readStreams(grouped bool) {
	r := streamRead{grouped: grouped}
	if fail := r.parse(c); fail != "" {
		c.Fail(fail)
		return
	}
	from, ok := r.resolve(c)
	if !ok {
		return
	}
	if r.serve(c, from) {
		return
	}
	if !r.blocks {
		c.Out.NullArray()
		return
	}
	r.wait(c, from)
}

// blockedCount is the COUNT of a read that waited without one, in Redis 7.0.
const blockedCount = 1000

func (r *streamRead) parse(c *Ctx) (fail resp.Error) {
	for i := 1; i < len(c.Args) && fail == ""; i++ {
		var ok bool
		w, more := c.word(i), len(c.Args)-1-i
		switch {
		case w == "block" && more > 0:
			i++
			r.blocks = true
			ms, isInt := resp.ParseInt(c.Args[i])
			if !isInt {
				return resp.ErrTimeoutNotInt
			}
			r.deadlineMs, fail = deadlineAfter(c, ms)
		case w == "count" && more > 0:
			i++
			if r.count, ok = resp.ParseInt(c.Args[i]); !ok {
				return resp.ErrNotInt
			}
			r.count = max(r.count, 0)
		case w == "streams" && more > 0:
			return r.parseStreams(c, c.Args[i+1:])
		case w == "group" && more > 1:
			if !r.grouped {
				return resp.ErrXReadGroup
			}
			r.group, r.consumer = c.Args[i+1], c.Args[i+2]
			i += 2
		case w == "noack":
			if !r.grouped {
				return resp.ErrXReadNoAck
			}
			r.noAck = true
		case w == "claim" && more > 0:
			i++
			fail = r.parseClaim(c.Args[i])
		default:
			return resp.ErrSyntax
		}
	}
	if fail == "" {
		fail = resp.ErrSyntax // without STREAMS
	}
	return fail
}

func (r *streamRead) parseClaim(arg []byte) resp.Error {
	if !r.grouped {
		return resp.ErrXReadClaim
	}
	r.claims = true
	var ok bool
	if r.claimIdleMs, ok = resp.ParseInt(arg); !ok {
		return resp.ErrReadIdle
	}
	if r.claimIdleMs < 0 {
		return resp.ErrReadIdleNegative
	}
	return ""
}

// parseStreams reads what follows STREAMS.
func (r *streamRead) parseStreams(c *Ctx, args [][]byte) resp.Error {
	if len(args)%2 != 0 {
		id := "$"
		if r.grouped {
			id = ">"
		}
		return resp.UnbalancedStreams(c.Out.Compat(), c.Row.Name, id)
	}
	if r.grouped && r.group == nil {
		return resp.ErrGroupMissing
	}
	r.keys, r.ids = args[:len(args)/2], args[len(args)/2:]
	if r.count == 0 && c.Woken == On && c.Out.Compat() == resp.Compat70 {
		r.count = blockedCount
	}
	return ""
}

// readFrom is where the read of one stream begins: behind after. fresh is >:
// what no consumer of the group has been given.
type readFrom struct {
	after engine.StreamID
	fresh bool
}

// resolve finds where each read begins. Where ok is false it has replied.
func (r *streamRead) resolve(c *Ctx) (from []readFrom, ok bool) {
	from = make([]readFrom, len(r.keys))
	for i, name := range r.keys {
		s, err := r.stream(c, engine.Key{DB: c.DB, Name: name})
		fail := resp.Error("")
		switch {
		case err != nil && r.grouped && c.Woken == On && c.Out.Compat() == resp.Compat70:
			fail = resp.ErrStreamGone
		case err != nil:
			c.FailWith(err)
			return nil, false
		case r.grouped:
			from[i], fail = r.resolveInGroup(c, s, i)
		default:
			from[i], fail = resolveRead(s, r.ids[i])
		}
		if fail != "" {
			c.Fail(fail)
			return nil, false
		}
	}
	return from, true
}

// stream looks a stream up; XREADGROUP writes.
func (r *streamRead) stream(c *Ctx, k engine.Key) (*engine.Stream, error) {
	if r.grouped {
		return c.Tx.StreamToEdit(k)
	}
	return c.Tx.Stream(k)
}

func resolveRead(s *engine.Stream, arg []byte) (from readFrom, fail resp.Error) {
	var ok bool
	switch string(cText(arg)) {
	case ">":
		return from, resp.ErrXReadNew
	case "$":
		if s != nil {
			from.after = s.LastID()
		}
		return from, ""
	case "+":
		if s.Len() > 0 {
			from.after, _ = s.TopID().Prev()
		} else if s != nil {
			from.after = s.LastID()
		}
		return from, ""
	}
	if from.after, ok = parseStreamID(arg, 0); !ok {
		return from, resp.ErrStreamID
	}
	return from, ""
}

func (r *streamRead) resolveInGroup(c *Ctx, s *engine.Stream, i int) (from readFrom, fail resp.Error) {
	if _, ok := s.Group(r.group); !ok {
		return from, r.noGroup(c, s, i)
	}
	var ok bool
	switch string(cText(r.ids[i])) {
	case ">":
		from.fresh = true
		return from, ""
	case "$":
		return from, resp.ErrGroupReadDollar
	}
	if from.after, ok = parseStreamID(r.ids[i], 0); !ok {
		return from, resp.ErrStreamID
	}
	from.fresh = from.after == engine.LastStreamID() // as Redis takes it
	return from, ""
}

// noGroup is the error where the group is missing; 7.0 has others for a client
// that waited for it.
func (r *streamRead) noGroup(c *Ctx, s *engine.Stream, i int) resp.Error {
	switch {
	case c.Woken == Off || c.Out.Compat() != resp.Compat70:
		return resp.NoGroupToRead(r.keys[i], r.group)
	case s == nil:
		return resp.ErrStreamGone
	}
	return resp.ErrGroupGone
}

// serve replies with what there is to read, and reports whether there was
// anything.
func (r *streamRead) serve(c *Ctx, from []readFrom) bool {
	start := c.Out.Len()
	list, n := r.begin(c.Out), 0
	for i, name := range r.keys {
		k := engine.Key{DB: c.DB, Name: name}
		served := false
		if r.grouped {
			served = r.serveGroup(c, k, from[i])
		} else {
			served = r.serveOne(c, k, from[i].after)
		}
		if served {
			n++
		}
	}
	if n == 0 {
		c.Out.Truncate(start)
		return false
	}
	c.Out.EndArray(list, n)
	return true
}

// begin begins the reply: a map in RESP3, an array of pairs in RESP2.
func (r *streamRead) begin(w *resp.Writer) resp.Mark {
	if w.Proto() == 3 {
		return w.MapLater()
	}
	return w.ArrayLater()
}

// beginStream replies with the name of a stream that there is something of.
func beginStream(w *resp.Writer, name []byte) {
	if w.Proto() != 3 {
		w.Array(2)
	}
	w.Bulk(name)
}

func (r *streamRead) serveOne(c *Ctx, k engine.Key, after engine.StreamID) bool {
	s, err := c.Tx.StreamToEdit(k) // it has counted as read
	if err != nil || s.Len() == 0 || s.TopID().Compare(after) <= 0 {
		return false
	}
	beginStream(c.Out, k.Name)
	list, n := c.Out.ArrayLater(), 0
	first, _ := after.Next()
	s.Ascend(first, func(id engine.StreamID, f engine.StreamFields) bool {
		c.streamEntry(id, f)
		n++
		return int64(n) != r.count
	})
	c.Out.EndArray(list, n)
	return true
}

// wait waits for more to read. What stands for an id that is yet to come is
// replaced by the id it means now.
func (r *streamRead) wait(c *Ctx, from []readFrom) {
	if !r.grouped {
		for i := range r.ids {
			r.ids[i] = appendStreamID(nil, from[i].after)
		}
	}
	b := Block{
		Keys: c.keysNamed(r.keys), Type: engine.TypeStream, DeadlineMs: r.deadlineMs, AgainMs: r.againMs,
		Timeout: func(c *Ctx) { c.Out.NullArray() },
	}
	if r.grouped {
		b.Missing = On
	}
	c.Block(b)
}

// groupReader serves one stream of an XREADGROUP.
type groupReader struct {
	*streamRead
	c        *Ctx
	e        *engine.StreamEdit
	k        engine.Key
	g        engine.StreamGroup
	consumer engine.StreamConsumer
	left     int64 // entries still wanted, negative for all
	got      bool
}

// serveGroup replies with what the consumer gets of one stream, and notes that
// it got it.
func (r *streamRead) serveGroup(c *Ctx, k engine.Key, from readFrom) bool {
	s, err := c.Tx.StreamToEdit(k)
	if err != nil {
		return false
	}
	g, ok := s.Group(r.group)
	if !ok {
		return false
	}
	news := s.Len() > 0 && s.TopID().Compare(g.Last) > 0
	var claimable []engine.StreamPending
	if from.fresh && r.claims {
		claimable = r.claimable(c, s, &g)
	}
	served := !from.fresh || news || len(claimable) > 0
	if !served && (c.Woken == On || c.Out.Compat() == resp.Compat70) {
		return false // it does not even note that the consumer was here
	}
	e := c.editStreamAt(k)
	rd := groupReader{streamRead: r, c: c, e: e, k: k, g: g, left: r.count}
	if r.count == 0 {
		rd.left = -1
	}
	rd.meet()
	switch {
	case !served:
	case !from.fresh:
		rd.history(from.after)
	default:
		rd.deliver(claimable)
	}
	c.touchConsumer(e, &rd.consumer, rd.got)
	e.Done()
	return served
}

// meet finds the consumer, or makes it.
func (rd *groupReader) meet() {
	var ok bool
	if rd.consumer, ok = rd.e.Consumer(&rd.g, rd.streamRead.consumer); !ok {
		rd.consumer = rd.c.addConsumer(rd.e, &rd.g, rd.k, rd.streamRead.consumer)
	}
}

// history replies with what is pending at the consumer behind an id. An entry
// that is gone has no fields.
func (rd *groupReader) history(after engine.StreamID) {
	c := rd.c
	beginStream(c.Out, rd.k.Name)
	first, _ := after.Next() // after is not the last id
	var pending []engine.StreamPending
	rd.e.PendingOf(&rd.consumer, first, func(p engine.StreamPending) bool {
		pending = append(pending, p)
		return int64(len(pending)) != rd.left
	})
	c.Out.Array(len(pending))
	for _, p := range pending {
		f, there := rd.e.Entry(p.ID)
		if !there {
			c.Out.Array(2)
			c.streamID(p.ID)
			c.Out.NullArray()
			continue
		}
		c.streamEntry(p.ID, f)
		p.DeliveredMs = c.NowMs()
		p.Deliveries++
		rd.e.PutPending(&rd.consumer, p)
	}
}

// claimable is what has been pending for so long that the reader may have it,
// the longest first.
func (r *streamRead) claimable(c *Ctx, s *engine.Stream, g *engine.StreamGroup) (list []engine.StreamPending) {
	latest := c.NowMs() - r.claimIdleMs
	s.Pending(g, engine.StreamID{}, func(p engine.StreamPending) bool {
		if _, there := s.Entry(p.ID); !there {
			return true
		}
		if p.DeliveredMs <= latest {
			list = append(list, p)
		} else if ms := p.DeliveredMs + r.claimIdleMs; ms > 0 && (r.againMs == 0 || ms < r.againMs) {
			r.againMs = ms
		}
		return true
	})
	slices.SortStableFunc(list, func(a, b engine.StreamPending) int { return cmp.Compare(a.DeliveredMs, b.DeliveredMs) })
	if r.count > 0 {
		list = list[:min(len(list), int(min(r.count, math.MaxInt32)))]
	}
	return list
}

// deliver replies with what is claimed and then with what is new.
func (rd *groupReader) deliver(claimed []engine.StreamPending) {
	c := rd.c
	beginStream(c.Out, rd.k.Name)
	list, n := c.Out.ArrayLater(), 0
	for _, p := range claimed {
		f, _ := rd.e.Entry(p.ID)
		c.Out.Array(4)
		c.streamEntryParts(p.ID, f)
		c.Out.Int(c.NowMs() - p.DeliveredMs)
		c.Out.Int(int64(p.Deliveries))
		p.DeliveredMs = c.NowMs()
		p.Deliveries++
		rd.e.PutPending(&rd.consumer, p)
		n++
	}
	if rd.left > 0 {
		rd.left -= int64(n)
	}
	if rd.left != 0 {
		n += rd.news()
	}
	rd.got = n > 0
	c.Out.EndArray(list, n)
}

// news replies with what no consumer has been given.
func (rd *groupReader) news() int {
	c := rd.c
	var ids []engine.StreamID
	first, ok := rd.g.Last.Next()
	if !ok {
		return 0
	}
	rd.e.Ascend(first, func(id engine.StreamID, f engine.StreamFields) bool {
		if rd.claims {
			c.Out.Array(4)
		} else {
			c.Out.Array(2)
		}
		c.streamEntryParts(id, f)
		if rd.claims {
			c.Out.Int(0)
			c.Out.Int(0)
		}
		advance(c.Out.Compat(), &rd.e.Stream, &rd.g, id)
		ids = append(ids, id)
		return int64(len(ids)) != rd.left
	})
	if len(ids) == 0 {
		return 0
	}
	rd.e.PutGroup(&rd.g)
	if !rd.noAck {
		for _, id := range ids {
			rd.e.PutPending(&rd.consumer, engine.StreamPending{ID: id, DeliveredMs: c.NowMs(), Deliveries: 1})
		}
	}
	return len(ids)
}
