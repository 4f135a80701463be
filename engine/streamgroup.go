package engine

import (
	"bytes"
	"encoding/binary"

	"geocache/op"
	"geocache/tree"
)

// Letters of the keys in a stream's second tree, see stream.go.
const (
	auxConsumer   = 'C'
	auxGroup      = 'G'
	auxMade       = 'M'
	auxName       = 'I'
	auxPending    = 'P'
	auxConsumerAt = 1 + auxRefLen
	auxPendingOf  = 'Q'
	auxRefLen     = 4
)

// UnknownRead is Group.Read where it is not known.
const UnknownRead = -1

// StreamGroup is a consumer group. Name is what it was looked up by, or memory
// of the stream where it was met on a walk.
type StreamGroup struct {
	Name []byte
	Last StreamID // delivered
	Read int64    // entries read by then, or UnknownRead
	ref  uint32
}

// StreamConsumer is a consumer of a group. Moments are in milliseconds since
// the epoch.
type StreamConsumer struct {
	Name     []byte
	SeenMs   int64 // tried to read or claim
	ActiveMs int64 // succeeded with that, -1 for never
	group    uint32
	ref      uint32
}

// StreamPending is an entry that was delivered and not acknowledged.
type StreamPending struct {
	ID          StreamID
	DeliveredMs int64 // the last time, in milliseconds since the epoch
	Deliveries  uint64
	group       uint32
	consumer    uint32
}

// Of reports whether p is pending at c.
func (p *StreamPending) Of(c *StreamConsumer) bool {
	return p.group == c.group && p.consumer == c.ref
}

// auxKey begins a key that belongs to a group.
func auxKey(dst []byte, letter byte, group uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, letter), group)
}

func consumerKey(dst []byte, group uint32, name []byte) []byte {
	return append(auxKey(dst, auxConsumer, group), name...)
}

func nameKey(dst []byte, group, consumer uint32) []byte {
	return binary.BigEndian.AppendUint32(auxKey(dst, auxName, group), consumer)
}

func pendingKey(dst []byte, group uint32, id StreamID) []byte {
	return id.append(auxKey(dst, auxPending, group))
}

func pendingOfKey(dst []byte, group, consumer uint32) []byte {
	return binary.BigEndian.AppendUint32(auxKey(dst, auxPendingOf, group), consumer)
}

// readVarint cuts a number off b; where there is none it is 0.
func readVarint(b []byte) (v int64, rest []byte) {
	v, n := binary.Varint(b)
	return v, b[max(n, 0):]
}

func (g *StreamGroup) val(dst []byte) []byte {
	return binary.AppendVarint(binary.BigEndian.AppendUint32(g.Last.append(dst), g.ref), g.Read)
}

func groupOf(el tree.Elem) StreamGroup {
	read, _ := readVarint(el.Val[streamIDLen+auxRefLen:])
	return StreamGroup{
		Name: el.Key[1:], Last: streamIDOf(el.Val), Read: read,
		ref: binary.BigEndian.Uint32(el.Val[streamIDLen:]),
	}
}

func (c *StreamConsumer) val(dst []byte) []byte {
	dst = binary.AppendVarint(binary.BigEndian.AppendUint32(dst, c.ref), c.SeenMs)
	return binary.AppendVarint(dst, c.ActiveMs)
}

func consumerOf(el tree.Elem) StreamConsumer {
	c := StreamConsumer{
		Name: el.Key[auxConsumerAt:], group: binary.BigEndian.Uint32(el.Key[1:]), ref: binary.BigEndian.Uint32(el.Val),
	}
	var rest []byte
	c.SeenMs, rest = readVarint(el.Val[auxRefLen:])
	c.ActiveMs, _ = readVarint(rest)
	return c
}

func (p *StreamPending) val(dst []byte) []byte {
	dst = binary.AppendVarint(binary.BigEndian.AppendUint32(dst, p.consumer), p.DeliveredMs)
	return binary.AppendUvarint(dst, p.Deliveries)
}

func pendingOf(el tree.Elem) StreamPending {
	p := StreamPending{
		ID: streamIDOf(el.Key[1+auxRefLen:]), group: binary.BigEndian.Uint32(el.Key[1:]),
		consumer: binary.BigEndian.Uint32(el.Val),
	}
	var rest []byte
	p.DeliveredMs, rest = readVarint(el.Val[auxRefLen:])
	p.Deliveries, _ = binary.Uvarint(rest)
	return p
}

// under is the range of ranks of the keys with a prefix, which is not all 0xff.
func (c *content) under(prefix []byte) (from, to int) {
	from, _ = c.aux.Seek(prefix)
	var buf [32]byte
	next := append(buf[:0], prefix...)
	for i := len(next) - 1; ; i-- {
		next[i]++
		if next[i] != 0 {
			break
		}
	}
	to, _ = c.aux.Seek(next)
	return from, to
}

// count is the number of keys with a prefix.
func (c *content) count(prefix []byte) int {
	from, to := c.under(prefix)
	return to - from
}

// each visits the keys with a prefix, from one of them on, until fn is false.
func (c *content) each(prefix, from []byte, fn func(tree.Elem) bool) {
	rank, _ := c.aux.Seek(from)
	c.aux.Ascend(rank, func(el tree.Elem) bool { return bytes.HasPrefix(el.Key, prefix) && fn(el) })
}

// Groups visits the groups in the order of their names until fn is false.
func (s *Stream) Groups(fn func(g StreamGroup) bool) {
	prefix := []byte{auxGroup}
	s.c.each(prefix, prefix, func(el tree.Elem) bool { return fn(groupOf(el)) })
}

// NumGroups is the number of groups.
func (s *Stream) NumGroups() int { return s.c.count([]byte{auxGroup}) }

// Group is the group with a name; ok is false on nil, too.
func (s *Stream) Group(name []byte) (g StreamGroup, ok bool) {
	if s == nil {
		return g, false
	}
	var buf [64]byte
	el, _, found := s.c.aux.Find(append(append(buf[:0], auxGroup), name...))
	if !found {
		return g, false
	}
	g = groupOf(el)
	g.Name = name
	return g, true
}

// Consumers visits the consumers of a group in the order of their names until
// fn is false.
func (s *Stream) Consumers(g *StreamGroup, fn func(c StreamConsumer) bool) {
	var buf [16]byte
	prefix := auxKey(buf[:0], auxConsumer, g.ref)
	s.c.each(prefix, prefix, func(el tree.Elem) bool { return fn(consumerOf(el)) })
}

// NumConsumers is the number of consumers of a group.
func (s *Stream) NumConsumers(g *StreamGroup) int {
	var buf [16]byte
	return s.c.count(auxKey(buf[:0], auxConsumer, g.ref))
}

// Consumer is the consumer of a group with a name.
func (s *Stream) Consumer(g *StreamGroup, name []byte) (c StreamConsumer, ok bool) {
	var buf [64]byte
	el, _, found := s.c.aux.Find(consumerKey(buf[:0], g.ref, name))
	if !found {
		return c, false
	}
	c = consumerOf(el)
	c.Name = name
	return c, true
}

// ConsumerName is the name of the consumer at whom p is pending.
func (s *Stream) ConsumerName(p *StreamPending) []byte {
	var buf [16]byte
	el, _, _ := s.c.aux.Find(nameKey(buf[:0], p.group, p.consumer))
	return el.Val
}

// NumPending is the number of pending entries of a group.
func (s *Stream) NumPending(g *StreamGroup) int {
	var buf [16]byte
	return s.c.count(auxKey(buf[:0], auxPending, g.ref))
}

// NumPendingOf is the number of pending entries of a consumer.
func (s *Stream) NumPendingOf(c *StreamConsumer) int {
	var buf [16]byte
	return s.c.count(pendingOfKey(buf[:0], c.group, c.ref))
}

// Pending visits the pending entries of a group from an id on until fn is
// false.
func (s *Stream) Pending(g *StreamGroup, from StreamID, fn func(p StreamPending) bool) {
	var buf, first [32]byte
	s.c.each(auxKey(buf[:0], auxPending, g.ref), pendingKey(first[:0], g.ref, from),
		func(el tree.Elem) bool { return fn(pendingOf(el)) })
}

// LastPending is the pending entry of a group with the greatest id; there is
// one.
func (s *Stream) LastPending(g *StreamGroup) StreamPending {
	var buf [16]byte
	_, end := s.c.under(auxKey(buf[:0], auxPending, g.ref))
	return pendingOf(s.c.aux.At(end - 1))
}

// PendingOf visits the pending entries of a consumer from an id on until fn is
// false.
func (s *Stream) PendingOf(c *StreamConsumer, from StreamID, fn func(p StreamPending) bool) {
	var buf, first [32]byte
	prefix := pendingOfKey(buf[:0], c.group, c.ref)
	s.c.each(prefix, from.append(append(first[:0], prefix...)), func(el tree.Elem) bool {
		p, _ := s.pending(c.group, streamIDOf(el.Key[len(prefix):]))
		return fn(p)
	})
}

// PendingAt is the pending entry of a group with an id.
func (s *Stream) PendingAt(g *StreamGroup, id StreamID) (p StreamPending, ok bool) {
	return s.pending(g.ref, id)
}

func (s *Stream) pending(group uint32, id StreamID) (p StreamPending, ok bool) {
	var buf [32]byte
	el, _, found := s.c.aux.Find(pendingKey(buf[:0], group, id))
	if !found {
		return p, false
	}
	return pendingOf(el), true
}

// putAux is put for a stream's second tree: what follows from an element
// follows it.
func (m *editing) putAux(el op.Elem) (added bool) {
	var buf [32]byte
	tr := &m.c.aux
	old, _, found := tr.Find(el.Key)
	switch {
	case el.Key[0] == auxConsumer && !found:
		m.placeAux(nameKey(buf[:0], binary.BigEndian.Uint32(el.Key[1:]), binary.BigEndian.Uint32(el.Val)), el.Key[auxConsumerAt:])
	case el.Key[0] == auxPending:
		was := StreamPending{}
		if found {
			was = pendingOf(old)
		}
		now := pendingOf(tree.Elem(el))
		if found && was.consumer != now.consumer {
			m.dropAux(was.ID.append(pendingOfKey(buf[:0], was.group, was.consumer)))
		}
		if !found || was.consumer != now.consumer {
			m.placeAux(now.ID.append(pendingOfKey(buf[:0], now.group, now.consumer)), nil)
		}
	}
	rank, found := tr.Seek(el.Key) // what follows may stand before it
	m.place(tr, rank, found, tree.Elem(el))
	return !found
}

func (m *editing) placeAux(key, val []byte) {
	_, rank, found := m.c.aux.Find(key)
	m.place(&m.c.aux, rank, found, tree.Elem{Key: key, Val: val})
}

func (m *editing) dropAux(key []byte) {
	if rank, found := m.c.aux.Seek(key); found {
		m.remove(&m.c.aux, rank)
	}
}

// dropUnder removes all keys with a prefix.
func (m *editing) dropUnder(prefix []byte) {
	from, to := m.c.under(prefix)
	m.removeRange(&m.c.aux, from, to-from)
}

// takeAux is take for a stream's second tree.
func (m *editing) takeAux(key []byte) bool {
	el, _, found := m.c.aux.Find(key)
	if !found {
		return false
	}
	var buf [32]byte
	switch key[0] {
	case auxGroup:
		g := groupOf(el).ref
		for _, letter := range []byte{auxConsumer, auxName, auxPending, auxPendingOf} {
			m.dropUnder(auxKey(buf[:0], letter, g))
		}
	case auxConsumer:
		c := consumerOf(el)
		m.dropPendingOf(&c)
		m.dropAux(nameKey(buf[:0], c.group, c.ref))
	case auxPending:
		p := pendingOf(el)
		m.dropAux(p.ID.append(pendingOfKey(buf[:0], p.group, p.consumer)))
	}
	m.dropAux(key)
	return true
}

// dropPendingOf removes what is pending at a consumer.
func (m *editing) dropPendingOf(c *StreamConsumer) {
	var buf, pbuf [32]byte
	prefix := pendingOfKey(buf[:0], c.group, c.ref)
	from, to := m.c.under(prefix)
	ids := make([]StreamID, 0, to-from)
	m.c.each(prefix, prefix, func(el tree.Elem) bool {
		ids = append(ids, streamIDOf(el.Key[len(prefix):]))
		return true
	})
	for _, id := range ids {
		m.dropAux(pendingKey(pbuf[:0], c.group, id))
	}
	m.dropUnder(prefix)
}
