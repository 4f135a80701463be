package rdbvalue

import (
	"geocache/engine"
	"geocache/op"
	"geocache/rdb"
)

func fromID(id rdb.StreamID) engine.StreamID { return engine.StreamID(id) }

func toID(id engine.StreamID) rdb.StreamID { return rdb.StreamID(id) }

// list hands over what a slice holds.
func list[F, T any](all []F, of func(*F) T) rdb.Seq[T] {
	return func(yield func(T, error) bool) {
		for i := range all {
			if !yield(of(&all[i]), nil) {
				return
			}
		}
	}
}

func ofStream(coll *op.Coll) rdb.Value {
	s := engine.ReadStream(coll)
	v := &rdb.Stream{
		Entries: entries(s), Len: s.Len(), LastID: toID(s.LastID), MaxDeletedID: toID(s.MaxDeletedID), EntriesAdded: s.Added,
		NumGroups: len(s.Groups), Groups: list(s.Groups, group),
	}
	for i := range s.Groups {
		for j := range s.Groups[i].Consumers {
			c := &s.Groups[i].Consumers[j]
			v.ActiveTimes = v.ActiveTimes || c.ActiveMs != c.SeenMs
		}
	}
	return v
}

func entries(s *engine.StreamCopy) rdb.Seq[rdb.StreamEntry] {
	return func(yield func(rdb.StreamEntry, error) bool) {
		var e rdb.StreamEntry
		s.Each(func(id engine.StreamID, f engine.StreamFields, begins bool) bool {
			e.ID, e.Fields, e.Begins = toID(id), e.Fields[:0], begins
			f.Each(func(item []byte) { e.Fields = append(e.Fields, item) })
			return yield(e, nil)
		})
	}
}

func group(g *engine.StreamGroupCopy) rdb.StreamGroup {
	return rdb.StreamGroup{
		Name: g.Name, LastID: toID(g.Last), EntriesRead: g.Read,
		NumPending: len(g.Pending), Pending: list(g.Pending, pending),
		NumConsumers: len(g.Consumers), Consumers: list(g.Consumers, consumer),
	}
}

func consumer(c *engine.StreamConsumerCopy) rdb.StreamConsumer {
	return rdb.StreamConsumer{
		Name: c.Name, SeenMs: c.SeenMs, ActiveMs: c.ActiveMs,
		NumPending: len(c.Pending), Pending: list(c.Pending, pending),
	}
}

func pending(p *engine.StreamPending) rdb.StreamPending {
	return rdb.StreamPending{ID: toID(p.ID), DeliveredMs: p.DeliveredMs, Deliveries: p.Deliveries}
}

func streamColl(v *rdb.Stream) (*op.Coll, error) {
	m := engine.MakeStream()
	if err := rdb.Each(v.Entries, func(e rdb.StreamEntry) {
		if e.Begins {
			m.BeginNode()
		}
		m.Add(fromID(e.ID), e.Fields)
	}); err != nil {
		return nil, err
	}
	if t := v.Tail; t.Entries > 0 {
		m.Tail(fromID(t.Master), t.Names, t.Entries, t.Deleted, t.Bytes)
	}
	err := rdb.Each(v.Groups, func(g rdb.StreamGroup) {
		made := m.Group(g.Name, fromID(g.LastID), g.EntriesRead)
		// A fault in a group's part is that of the groups as a whole as well.
		_ = rdb.Each(g.Consumers, func(c rdb.StreamConsumer) {
			at := m.Consumer(&made, c.Name, c.SeenMs, c.ActiveMs)
			_ = rdb.Each(c.Pending, func(p rdb.StreamPending) {
				m.Pending(&at, engine.StreamPending{ID: fromID(p.ID), DeliveredMs: p.DeliveredMs, Deliveries: p.Deliveries})
			})
		})
	})
	return m.Coll(fromID(v.LastID), fromID(v.MaxDeletedID), v.EntriesAdded), err
}
