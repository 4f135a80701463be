package command

import (
	"geocache/engine"
	"geocache/resp"
)

// xInfo finds the stream of a subcommand of XINFO. Where it is nil it has
// replied.
func (c *Ctx) xInfo() *engine.Stream {
	s, err := c.Tx.Stream(c.Key(2))
	switch {
	case err != nil:
		c.FailWith(err)
	case s == nil:
		c.Fail(resp.ErrNoSuchKey)
	}
	return s
}

// infoInt, infoID and infoNumber reply with a pair of a map.
func (c *Ctx) infoInt(name string, n int64) {
	c.Out.BulkString(name)
	c.Out.Int(n)
}

func (c *Ctx) infoID(name string, id engine.StreamID) {
	c.Out.BulkString(name)
	c.streamID(id)
}

// infoNumber is null where the number is not known.
func (c *Ctx) infoNumber(name string, n int64, known bool) {
	c.Out.BulkString(name)
	if known {
		c.Out.Int(n)
	} else {
		c.Out.Null()
	}
}

func xInfoStream(c *Ctx) {
	s := c.xInfo()
	if s == nil {
		return
	}
	if len(c.Args) == 3 {
		c.infoStream(s)
		return
	}
	counted := len(c.Args) == 6
	if len(c.Args) != 4 && !counted || !isWord(c.Args[3], "FULL") || counted && !isWord(c.Args[4], "COUNT") {
		c.Fail(resp.SubcommandSyntax("xinfo", c.Args[1]))
		return
	}
	count, ok := int64(infoEntries), true
	if counted {
		if count, ok = resp.ParseInt(c.Args[5]); !ok {
			c.Fail(resp.ErrNotInt)
			return
		}
	}
	if count < 0 {
		count = infoEntries
	}
	c.infoStreamFull(s, count)
}

// infoEntries is how many entries XINFO STREAM FULL shows unless COUNT says
// otherwise, where 0 means all.
const infoEntries = 10

// infoCommon replies with what both forms of XINFO STREAM begin with.
func (c *Ctx) infoCommon(s *engine.Stream) {
	c.infoInt("length", int64(s.Len()))
	c.infoInt("radix-tree-keys", int64(s.Nodes()))
	c.infoInt("radix-tree-nodes", int64(s.Nodes())+1)
	c.infoID("last-generated-id", s.LastID())
	c.infoID("max-deleted-entry-id", s.MaxDeletedID())
	c.infoInt("entries-added", int64(s.Added()))
	c.infoID("recorded-first-entry-id", s.FirstID())
}

func (c *Ctx) infoStream(s *engine.Stream) {
	c.Out.Map(10)
	c.infoCommon(s)
	c.infoInt("groups", int64(s.NumGroups()))
	c.Out.BulkString("first-entry")
	c.infoEntry(s, s.FirstID())
	c.Out.BulkString("last-entry")
	c.infoEntry(s, s.TopID())
}

func (c *Ctx) infoEntry(s *engine.Stream, id engine.StreamID) {
	if f, ok := s.Entry(id); ok {
		c.streamEntry(id, f)
	} else {
		c.Out.Null()
	}
}

func (c *Ctx) infoStreamFull(s *engine.Stream, count int64) {
	c.Out.Map(9)
	c.infoCommon(s)
	c.Out.BulkString("entries")
	list, n := c.Out.ArrayLater(), 0
	s.Ascend(engine.StreamID{}, func(id engine.StreamID, f engine.StreamFields) bool {
		c.streamEntry(id, f)
		n++
		return int64(n) != count
	})
	c.Out.EndArray(list, n)
	c.Out.BulkString("groups")
	groups := groupsOf(s)
	c.Out.Array(len(groups))
	for i := range groups {
		c.infoGroupFull(s, &groups[i], count)
	}
}

func (c *Ctx) infoGroupFull(s *engine.Stream, g *engine.StreamGroup, count int64) {
	c.Out.Map(7)
	c.Out.BulkString("name")
	c.Out.Bulk(g.Name)
	c.infoID("last-delivered-id", g.Last)
	c.infoProgress(s, g)
	c.infoInt("pel-count", int64(s.NumPending(g)))
	c.Out.BulkString("pending")
	list, n := c.Out.ArrayLater(), 0
	s.Pending(g, engine.StreamID{}, func(p engine.StreamPending) bool {
		c.Out.Array(4)
		c.streamID(p.ID)
		c.Out.Bulk(s.ConsumerName(&p))
		c.Out.Int(p.DeliveredMs)
		c.Out.Int(int64(p.Deliveries))
		n++
		return int64(n) != count
	})
	c.Out.EndArray(list, n)
	c.Out.BulkString("consumers")
	c.Out.Array(s.NumConsumers(g))
	s.Consumers(g, func(consumer engine.StreamConsumer) bool {
		c.infoConsumerFull(s, &consumer, count)
		return true
	})
}

// infoProgress replies with how far a group has come.
func (c *Ctx) infoProgress(s *engine.Stream, g *engine.StreamGroup) {
	c.infoNumber("entries-read", g.Read, g.Read != engine.UnknownRead)
	behind, known := lag(c.Out.Compat(), s, g)
	c.infoNumber("lag", behind, known)
}

func (c *Ctx) infoConsumerFull(s *engine.Stream, consumer *engine.StreamConsumer, count int64) {
	newer := c.Out.Compat() != resp.Compat70
	pairs := 4
	if newer {
		pairs = 5
	}
	c.Out.Map(pairs)
	c.Out.BulkString("name")
	c.Out.Bulk(consumer.Name)
	c.infoInt("seen-time", consumer.SeenMs)
	if newer {
		c.infoInt("active-time", consumer.ActiveMs)
	}
	c.infoInt("pel-count", int64(s.NumPendingOf(consumer)))
	c.Out.BulkString("pending")
	list, n := c.Out.ArrayLater(), 0
	s.PendingOf(consumer, engine.StreamID{}, func(p engine.StreamPending) bool {
		c.Out.Array(3)
		c.streamID(p.ID)
		c.Out.Int(p.DeliveredMs)
		c.Out.Int(int64(p.Deliveries))
		n++
		return int64(n) != count
	})
	c.Out.EndArray(list, n)
}

func xInfoGroups(c *Ctx) {
	s := c.xInfo()
	if s == nil {
		return
	}
	groups := groupsOf(s)
	c.Out.Array(len(groups))
	for i := range groups {
		g := &groups[i]
		c.Out.Map(6)
		c.Out.BulkString("name")
		c.Out.Bulk(g.Name)
		c.infoInt("consumers", int64(s.NumConsumers(g)))
		c.infoInt("pending", int64(s.NumPending(g)))
		c.infoID("last-delivered-id", g.Last)
		c.infoProgress(s, g)
	}
}

func xInfoConsumers(c *Ctx) {
	s := c.xInfo()
	if s == nil {
		return
	}
	g, ok := s.Group(c.Args[3])
	if !ok {
		c.Fail(resp.NoGroupOf(c.Args[2], c.Args[3]))
		return
	}
	newer := c.Out.Compat() != resp.Compat70
	pairs := 3
	if newer {
		pairs = 4
	}
	c.Out.Array(s.NumConsumers(&g))
	s.Consumers(&g, func(consumer engine.StreamConsumer) bool {
		c.Out.Map(pairs)
		c.Out.BulkString("name")
		c.Out.Bulk(consumer.Name)
		c.infoInt("pending", int64(s.NumPendingOf(&consumer)))
		c.infoInt("idle", max(c.NowMs()-consumer.SeenMs, 0))
		if newer {
			inactive := consumer.ActiveMs
			if inactive != never {
				inactive = max(c.NowMs()-inactive, 0)
			}
			c.infoInt("inactive", inactive)
		}
		return true
	})
}
