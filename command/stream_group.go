package command

import (
	"geocache/engine"
	"geocache/resp"
)

// This file makes and removes consumer groups and consumers, and acknowledges.

// xGroupOptions is what XGROUP CREATE and SETID are asked to do.
type xGroupOptions struct {
	make bool // MKSTREAM
	read int64
}

func (c *Ctx) parseXGroup() (o xGroupOptions, fail resp.Error) {
	o.read = engine.UnknownRead
	create := c.Row.Name == "create"
	for i := 5; i < len(c.Args); i++ {
		w := c.word(i)
		switch {
		case w == "mkstream" && create:
			o.make = true
		case w == "entriesread" && i+1 < len(c.Args):
			i++
			var ok bool
			if o.read, ok = resp.ParseInt(c.Args[i]); !ok {
				return o, resp.ErrNotInt
			}
			if o.read < engine.UnknownRead {
				return o, resp.ErrEntriesRead
			}
		default:
			return o, resp.SubcommandSyntax("xgroup", c.Args[1])
		}
	}
	return o, ""
}

// existing finds the stream and its group for a subcommand of XGROUP. Where ok
// is false it has replied.
func (c *Ctx) xGroup() (s *engine.Stream, g engine.StreamGroup, ok bool) {
	s, err := c.Tx.StreamToEdit(c.Key(2))
	switch {
	case err != nil:
		c.FailWith(err)
	case s == nil:
		c.Fail(resp.ErrGroupNoKey)
	default:
		if g, ok = s.Group(c.Args[3]); !ok {
			c.Fail(resp.NoGroupOf(c.Args[2], c.Args[3]))
		}
	}
	return s, g, ok
}

const (
	xGroupCreateMost = 8 // arguments
	xGroupSetIDMost  = 7
)

func xGroupCreate(c *Ctx) {
	o, fail := c.parseXGroup()
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.StreamToEdit(c.Key(2))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case s == nil && !o.make:
		c.Fail(resp.ErrGroupNoKey)
		return
	case len(c.Args) > xGroupCreateMost:
		c.Fail(resp.SubcommandSyntax("xgroup", c.Args[1]))
		return
	}
	last, ok := engine.StreamID{}, true
	if string(cText(c.Args[4])) != "$" {
		last, ok = parseStreamID(c.Args[4], 0)
	} else if s != nil {
		last = s.LastID()
	}
	if !ok {
		c.Fail(resp.ErrStreamID)
		return
	}
	if _, there := s.Group(c.Args[3]); there {
		c.Fail(resp.ErrGroupExists)
		return
	}
	if e := c.editStreamAt(c.Key(2)); e != nil {
		e.AddGroup(c.Args[3], last, o.read)
		e.Done()
		c.Event(engine.EventStream, "xgroup-create", c.Key(2))
		c.Out.OK()
	}
}

func xGroupSetID(c *Ctx) {
	o, fail := c.parseXGroup()
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, g, ok := c.xGroup()
	if !ok {
		return
	}
	if len(c.Args) > xGroupSetIDMost {
		c.Fail(resp.SubcommandSyntax("xgroup", c.Args[1]))
		return
	}
	g.Read = o.read
	if string(cText(c.Args[4])) == "$" {
		g.Last = s.LastID()
	} else if g.Last, ok = specialStreamID(c.Args[4]); !ok {
		if g.Last, ok = parseStreamID(c.Args[4], 0); !ok {
			c.Fail(resp.ErrStreamID)
			return
		}
	}
	if e := c.editStreamAt(c.Key(2)); e != nil {
		e.SetGroup(&g)
		e.Done()
		c.Event(engine.EventStream, "xgroup-setid", c.Key(2))
		c.Out.OK()
	}
}

func xGroupDestroy(c *Ctx) {
	s, err := c.Tx.StreamToEdit(c.Key(2))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case s == nil:
		c.Fail(resp.ErrGroupNoKey)
		return
	}
	g, ok := s.Group(c.Args[3])
	if !ok {
		c.Out.Int(0)
		return
	}
	if e := c.editStreamAt(c.Key(2)); e != nil {
		e.DropGroup(&g)
		e.Done()
		c.Event(engine.EventStream, "xgroup-destroy", c.Key(2))
		c.Out.Int(1)
	}
}

func xGroupCreateConsumer(c *Ctx) {
	s, g, ok := c.xGroup()
	if !ok {
		return
	}
	if _, there := s.Consumer(&g, c.Args[4]); there {
		c.Out.Int(0)
		return
	}
	if e := c.editStreamAt(c.Key(2)); e != nil {
		c.addConsumer(e, &g, c.Key(2), c.Args[4])
		e.Done()
		c.Out.Int(1)
	}
}

// never is the moment at which a new consumer was active.
const never = -1

// addConsumer makes a consumer of a group.
func (c *Ctx) addConsumer(e *engine.StreamEdit, g *engine.StreamGroup, k engine.Key, name []byte) engine.StreamConsumer {
	c.Event(engine.EventStream, "xgroup-createconsumer", k)
	active := int64(never)
	if c.Out.Compat() == resp.Compat70 {
		active = c.NowMs()
	}
	return e.AddConsumer(g, name, c.NowMs(), active)
}

// touchConsumer notes that a consumer is here, and whether it got something.
// 7.0 knows only the former.
func (c *Ctx) touchConsumer(e *engine.StreamEdit, consumer *engine.StreamConsumer, got bool) {
	was := *consumer
	consumer.SeenMs = c.NowMs()
	if got || c.Out.Compat() == resp.Compat70 {
		consumer.ActiveMs = c.NowMs()
	}
	if consumer.SeenMs != was.SeenMs || consumer.ActiveMs != was.ActiveMs {
		e.TouchConsumer(consumer)
	}
}

func xGroupDelConsumer(c *Ctx) {
	s, g, ok := c.xGroup()
	if !ok {
		return
	}
	consumer, ok := s.Consumer(&g, c.Args[4])
	if !ok {
		c.Out.Int(0)
		return
	}
	pending := s.NumPendingOf(&consumer)
	if e := c.editStreamAt(c.Key(2)); e != nil {
		e.DropConsumer(&consumer)
		e.Done()
		c.Event(engine.EventStream, "xgroup-delconsumer", c.Key(2))
		c.Out.Int(int64(pending))
	}
}

func xAck(c *Ctx) {
	s, err := c.Tx.StreamToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	g, ok := s.Group(c.Args[2])
	if !ok {
		c.Out.Int(0)
		return
	}
	ids, fail := parseStreamIDs(c.Args[3:])
	if fail != "" {
		c.Fail(fail)
		return
	}
	e := c.editStream()
	if e == nil {
		return
	}
	n := 0
	for _, id := range ids {
		if e.Acknowledge(&g, id) {
			n++
		}
	}
	e.Done()
	c.Out.Int(int64(n))
}
