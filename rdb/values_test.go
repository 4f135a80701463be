package rdb

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// seqOf hands over a slice.
func seqOf[T any](list []T) Seq[T] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// hold takes a sequence as a slice of its own.
func hold[T any](seq Seq[T], clone func(T) T) ([]T, error) {
	var list []T
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		list = append(list, clone(v))
	}
	return list, nil
}

// held is v in memory, to be ranged over again and again, with a right Len.
func held(v Value) (Value, error) {
	switch v := v.(type) {
	case List:
		list, err := hold(v.Elements, bytes.Clone)
		return List{len(list), seqOf(list)}, err
	case Set:
		list, err := hold(v.Members, bytes.Clone)
		return Set{len(list), seqOf(list)}, err
	case Hash:
		first := int64(0)
		list, err := hold(v.Fields, func(f Field) Field {
			if f.DeadlineMs != 0 && (first == 0 || f.DeadlineMs < first) {
				first = f.DeadlineMs
			}
			return Field{bytes.Clone(f.Name), bytes.Clone(f.Value), f.DeadlineMs}
		})
		return Hash{len(list), first, seqOf(list)}, err
	case ZSet:
		list, err := hold(v.Members, func(m Scored) Scored { return Scored{bytes.Clone(m.Member), m.Score} })
		return ZSet{len(list), seqOf(list)}, err
	case *Stream:
		return heldStream(v)
	}
	return v, nil
}

func heldStream(s *Stream) (*Stream, error) {
	list, err := hold(s.Entries, func(e StreamEntry) StreamEntry {
		e.Fields = slices.Clone(e.Fields)
		for i, f := range e.Fields {
			e.Fields[i] = bytes.Clone(f)
		}
		return e
	})
	if err != nil {
		return nil, err
	}
	same := func(p StreamPending) StreamPending { return p }
	var failed error
	groups, err := hold(s.Groups, func(g StreamGroup) StreamGroup {
		pending, err := hold(g.Pending, same)
		if err != nil {
			failed = err
		}
		consumers, err := hold(g.Consumers, func(c StreamConsumer) StreamConsumer {
			pending, err := hold(c.Pending, same)
			if err != nil {
				failed = err
			}
			c.Pending = seqOf(pending)
			c.Name = bytes.Clone(c.Name)
			return c
		})
		if err != nil {
			failed = err
		}
		g.Name, g.Pending, g.Consumers = bytes.Clone(g.Name), seqOf(pending), seqOf(consumers)
		return g
	})
	if err == nil {
		err = failed
	}
	own := *s
	own.Entries, own.Groups = seqOf(list), seqOf(groups)
	return &own, err
}

// text is all there is to v, which is held, as text.
func text(v Value) string {
	var b strings.Builder
	switch v := v.(type) {
	case String:
		fmt.Fprintf(&b, "%q", []byte(v))
	case List:
		fmt.Fprintf(&b, "list %d", v.Len)
		texts(&b, v.Elements)
	case Set:
		fmt.Fprintf(&b, "set %d", v.Len)
		texts(&b, v.Members)
	case Hash:
		fmt.Fprintf(&b, "hash %d", v.Len)
		for f := range v.Fields {
			fmt.Fprintf(&b, " %q:%q:%d", f.Name, f.Value, f.DeadlineMs)
		}
	case ZSet:
		fmt.Fprintf(&b, "zset %d", v.Len)
		for m := range v.Members {
			fmt.Fprintf(&b, " %q:%v", m.Member, m.Score)
		}
	case *Stream:
		fmt.Fprintf(&b, "stream %d last %v deleted %v added %d", v.Len, v.LastID, v.MaxDeletedID, v.EntriesAdded)
		for e := range v.Entries {
			fmt.Fprintf(&b, "\n%v %q", e.ID, e.Fields)
		}
		for g := range v.Groups {
			fmt.Fprintf(&b, "\ngroup %q %v %d", g.Name, g.LastID, g.EntriesRead)
			for p := range g.Pending {
				fmt.Fprintf(&b, " %v", p)
			}
			for c := range g.Consumers {
				fmt.Fprintf(&b, "\nconsumer %q %d %d", c.Name, c.SeenMs, c.ActiveMs)
				for p := range c.Pending {
					fmt.Fprintf(&b, " %v", p)
				}
			}
		}
	}
	return b.String()
}

func texts(b *strings.Builder, seq Seq[[]byte]) {
	for e := range seq {
		fmt.Fprintf(b, " %q", e)
	}
}
