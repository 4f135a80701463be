package command

import (
	"math"
	"strconv"

	"geocache/engine"
	"geocache/resp"
)

// This file looks at what is pending in consumer groups, and moves it from one
// consumer to another.

// pendingQuery is what XPENDING asks for.
type pendingQuery struct {
	summary    bool
	idleMs     int64
	start, end engine.StreamID
	count      int64
	consumer   []byte // nil for all
}

func (c *Ctx) parsePending() (q pendingQuery, fail resp.Error) {
	if len(c.Args) == 3 {
		return pendingQuery{summary: true}, ""
	}
	if len(c.Args) < 6 || len(c.Args) > 9 {
		return q, resp.ErrSyntax
	}
	at, ok := 3, false
	if isWord(c.Args[3], "IDLE") {
		if q.idleMs, ok = resp.ParseInt(c.Args[4]); !ok {
			return q, resp.ErrNotInt
		}
		if len(c.Args) < 8 {
			return q, resp.ErrSyntax
		}
		at = 5
	}
	if q.count, ok = resp.ParseInt(c.Args[at+2]); !ok {
		return q, resp.ErrNotInt
	}
	if q.start, fail = parseStreamStart(c.Args[at]); fail != "" {
		return q, fail
	}
	if q.end, fail = parseStreamEnd(c.Args[at+1]); fail != "" {
		return q, fail
	}
	if at+3 < len(c.Args) {
		q.consumer = c.Args[at+3]
	}
	return q, ""
}

func xPending(c *Ctx) {
	q, fail := c.parsePending()
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.Stream(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	g, ok := s.Group(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.NoGroup(c.Args[1], c.Args[2]))
	case q.summary:
		c.pendingSummary(s, &g)
	default:
		c.pendingList(s, &g, &q)
	}
}

func (c *Ctx) pendingSummary(s *engine.Stream, g *engine.StreamGroup) {
	total := s.NumPending(g)
	c.Out.Array(4)
	c.Out.Int(int64(total))
	if total == 0 {
		c.Out.Null()
		c.Out.Null()
		c.Out.NullArray()
		return
	}
	s.Pending(g, engine.StreamID{}, func(p engine.StreamPending) bool {
		c.streamID(p.ID)
		return false
	})
	c.streamID(s.LastPending(g).ID)
	list, n := c.Out.ArrayLater(), 0
	s.Consumers(g, func(consumer engine.StreamConsumer) bool {
		if pending := s.NumPendingOf(&consumer); pending > 0 {
			c.Out.Array(2)
			c.Out.Bulk(consumer.Name)
			c.Out.BulkString(strconv.Itoa(pending))
			n++
		}
		return true
	})
	c.Out.EndArray(list, n)
}

func (c *Ctx) pendingList(s *engine.Stream, g *engine.StreamGroup, q *pendingQuery) {
	walk := func(fn func(engine.StreamPending) bool) { s.Pending(g, q.start, fn) }
	if q.consumer != nil {
		consumer, ok := s.Consumer(g, q.consumer)
		if !ok {
			c.Out.Array(0)
			return
		}
		walk = func(fn func(engine.StreamPending) bool) { s.PendingOf(&consumer, q.start, fn) }
	}
	list, n := c.Out.ArrayLater(), 0
	if q.count > 0 {
		walk(func(p engine.StreamPending) bool {
			if p.ID.Compare(q.end) > 0 {
				return false
			}
			idle := c.NowMs() - p.DeliveredMs
			if q.idleMs != 0 && idle < q.idleMs {
				return true
			}
			c.Out.Array(4)
			c.streamID(p.ID)
			c.Out.Bulk(s.ConsumerName(&p))
			c.Out.Int(max(idle, 0))
			c.Out.Int(int64(p.Deliveries))
			n++
			return int64(n) < q.count
		})
	}
	c.Out.EndArray(list, n)
}

// claim is what XCLAIM and XAUTOCLAIM are asked to do.
type claim struct {
	ids       []engine.StreamID
	minIdleMs int64
	// deliveredMs is the moment of delivery that the entries get.
	deliveredMs int64
	retries     int64 // -1: counted on
	force       bool
	justID      bool
	last        engine.StreamID // LASTID

	start engine.StreamID // XAUTOCLAIM
	count int64
}

// parseClaimIDs reads the arguments of XCLAIM.
func (c *Ctx) parseClaimIDs() (o claim, fail resp.Error) {
	var ok bool
	if o.minIdleMs, ok = resp.ParseInt(c.Args[4]); !ok {
		return o, resp.ErrClaimIdle
	}
	i := 5
	for ; i < len(c.Args); i++ {
		id, isID := parseStreamID(c.Args[i], 0)
		if !isID {
			break
		}
		o.ids = append(o.ids, id)
	}
	o.retries, o.deliveredMs = -1, -1
	for ; i < len(c.Args); i++ {
		last := i+1 == len(c.Args)
		switch w := c.word(i); {
		case w == "force":
			o.force = true
		case w == "justid":
			o.justID = true
		case last:
			return o, resp.UnknownClaimOption(c.Args[i])
		default:
			i++
			if fail = o.option(c, w, i); fail != "" {
				return o, fail
			}
		}
	}
	if o.deliveredMs < 0 || o.deliveredMs > c.NowMs() {
		o.deliveredMs = c.NowMs()
	}
	return o, ""
}

// option reads an option of XCLAIM whose value is argument i.
func (o *claim) option(c *Ctx, name string, i int) resp.Error {
	n, isInt := resp.ParseInt(c.Args[i])
	switch name {
	case "idle":
		if !isInt {
			return resp.ErrClaimIdleOption
		}
		o.deliveredMs = c.NowMs() - n
	case "time":
		if !isInt {
			return resp.ErrClaimTime
		}
		o.deliveredMs = n
	case "retrycount":
		if !isInt {
			return resp.ErrClaimRetries
		}
		o.retries = n
	case "lastid":
		var ok bool
		if o.last, ok = parseStreamID(c.Args[i], 0); !ok {
			return resp.ErrStreamID
		}
	default:
		return resp.UnknownClaimOption(c.Args[i-1])
	}
	return ""
}

// claimer claims entries for a consumer.
type claimer struct {
	*claim
	c        *Ctx
	e        *engine.StreamEdit
	g        engine.StreamGroup
	consumer engine.StreamConsumer
	met      bool
	got      bool
}

// claimGroup begins a claim in the stream and group of the arguments. Where ok
// is false it has replied.
func (c *Ctx) claimGroup(o *claim) (cl claimer, ok bool) {
	s, err := c.Tx.StreamToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return cl, false
	}
	g, ok := s.Group(c.Args[2])
	if !ok {
		c.Fail(resp.NoGroup(c.Args[1], c.Args[2]))
		return cl, false
	}
	return claimer{claim: o, c: c, g: g}, true
}

// begin makes the change start. From 7.2 on the consumer is there whether it
// gets anything or not.
func (cl *claimer) begin() bool {
	if cl.e = cl.c.editStream(); cl.e == nil {
		return false
	}
	if cl.c.Out.Compat() != resp.Compat70 {
		cl.meet()
	}
	return true
}

func (cl *claimer) meet() {
	if cl.met {
		return
	}
	name, ok := cl.c.Args[3], false
	if cl.consumer, ok = cl.e.Consumer(&cl.g, name); !ok {
		cl.consumer = cl.c.addConsumer(cl.e, &cl.g, cl.c.Key(1), name)
	}
	cl.met = true
}

// end completes the change.
func (cl *claimer) end() {
	if cl.met {
		cl.c.touchConsumer(cl.e, &cl.consumer, cl.got)
	}
	cl.e.Done()
}

// take gives a pending entry, whose stream entry is there, to the consumer, and
// replies with it.
func (cl *claimer) take(p engine.StreamPending) {
	cl.meet()
	cl.got = true
	p.DeliveredMs = cl.deliveredMs
	switch {
	case cl.retries >= 0:
		p.Deliveries = uint64(cl.retries)
	case !cl.justID:
		p.Deliveries++
	}
	cl.e.PutPending(&cl.consumer, p)
	if cl.justID {
		cl.c.streamID(p.ID)
		return
	}
	f, _ := cl.e.Entry(p.ID)
	cl.c.streamEntry(p.ID, f)
}

// idle reports whether p has been pending long enough.
func (cl *claimer) idle(p *engine.StreamPending) bool {
	return cl.minIdleMs <= 0 || cl.c.NowMs()-p.DeliveredMs >= cl.minIdleMs
}

func xClaim(c *Ctx) {
	o := claim{}
	cl, ok := c.claimGroup(&o)
	if !ok {
		return
	}
	var fail resp.Error
	if o, fail = c.parseClaimIDs(); fail != "" {
		c.Fail(fail)
		return
	}
	if !cl.begin() {
		return
	}
	if o.last.Compare(cl.g.Last) > 0 {
		cl.g.Last = o.last
		cl.e.PutGroup(&cl.g)
	}
	list, n := c.Out.ArrayLater(), 0
	for _, id := range o.ids {
		p, pending := cl.e.PendingAt(&cl.g, id)
		if _, there := cl.e.Entry(id); !there {
			cl.e.Acknowledge(&cl.g, id)
			continue
		}
		if !pending && o.force {
			p = engine.StreamPending{ID: id, Deliveries: 1}
		} else if !pending || !cl.idle(&p) {
			continue
		}
		cl.take(p)
		n++
	}
	c.Out.EndArray(list, n)
	cl.end()
}

// autoClaimTries is how many pending entries XAUTOCLAIM looks at for each that
// it may claim.
const autoClaimTries = 10

func (c *Ctx) parseAutoClaim() (o claim, fail resp.Error) {
	var ok bool
	if o.minIdleMs, ok = resp.ParseInt(c.Args[4]); !ok {
		return o, resp.ErrAutoClaimIdle
	}
	if o.start, fail = parseStreamStart(c.Args[5]); fail != "" {
		return o, fail
	}
	o.count, o.retries, o.deliveredMs = 100, -1, c.NowMs()
	for i := 6; i < len(c.Args); i++ {
		switch w := c.word(i); {
		case w == "count" && i+1 < len(c.Args):
			i++
			o.count, ok = resp.ParseInt(c.Args[i])
			if !ok || o.count < 1 || o.count > math.MaxInt64/streamIDBytes {
				return o, resp.ErrAutoClaimCount
			}
		case w == "justid":
			o.justID = true
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, ""
}

// streamIDBytes is what Redis stores of an id.
const streamIDBytes = 16

func xAutoClaim(c *Ctx) {
	o, fail := c.parseAutoClaim()
	if fail != "" {
		c.Fail(fail)
		return
	}
	cl, ok := c.claimGroup(&o)
	if !ok || !cl.begin() {
		return
	}
	next, list := cl.look()
	c.Out.Array(3)
	c.streamID(next)
	entries, n := c.Out.ArrayLater(), 0
	var gone []engine.StreamID
	for _, p := range list {
		if _, there := cl.e.Entry(p.ID); !there {
			cl.e.Acknowledge(&cl.g, p.ID)
			gone = append(gone, p.ID)
			continue
		}
		cl.take(p)
		n++
	}
	c.Out.EndArray(entries, n)
	c.Out.Array(len(gone))
	for _, id := range gone {
		c.streamID(id)
	}
	cl.end()
}

// look finds what XAUTOCLAIM claims, or drops because it is gone, and where the
// next call goes on, 0-0 at the end.
func (cl *claimer) look() (next engine.StreamID, list []engine.StreamPending) {
	tries, left := cl.count*autoClaimTries, cl.count
	cl.e.Pending(&cl.g, cl.start, func(p engine.StreamPending) bool {
		if tries == 0 || left == 0 {
			next = p.ID
			return false
		}
		tries--
		if _, there := cl.e.Entry(p.ID); !there || cl.idle(&p) {
			list = append(list, p)
			left--
		}
		return true
	})
	return next, list
}
