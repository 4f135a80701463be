package engine

import (
	"bytes"
	"slices"

	"github.com/zeebo/xxh3"

	"geocache/op"
	"geocache/tree"
)

// This file reads a stream out of an op.Coll, and makes one: for files, which
// have no tx.

// StreamCopy is a stream outside of the engine.
type StreamCopy struct {
	LastID, MaxDeletedID StreamID
	Added                uint64
	Groups               []StreamGroupCopy // in the order of their names
	entries              []op.Elem
}

// StreamGroupCopy is a group with all that it has.
type StreamGroupCopy struct {
	StreamGroup
	Pending   []StreamPending // in the order of ids
	Consumers []StreamConsumerCopy
}

// StreamConsumerCopy is a consumer with what is pending at it, in the order of
// ids.
type StreamConsumerCopy struct {
	StreamConsumer
	Pending []StreamPending
}

// ReadStream reads a stream's content. It aliases c.
func ReadStream(c *op.Coll) *StreamCopy {
	meta := decodeStreamMeta(c.Meta)
	s := &StreamCopy{LastID: meta.last, MaxDeletedID: meta.maxDeleted, Added: meta.added, entries: c.Elem[op.Main]}
	aux := c.Elem[op.Aux]
	for i := range under(aux, []byte{auxGroup}) {
		s.Groups = append(s.Groups, readGroup(aux, groupOf(tree.Elem(aux[i]))))
	}
	return s
}

func readGroup(aux []op.Elem, group StreamGroup) StreamGroupCopy {
	g := StreamGroupCopy{StreamGroup: group}
	at := map[uint32][]StreamPending{}
	for i := range under(aux, auxKey(nil, auxPending, group.ref)) {
		p := pendingOf(tree.Elem(aux[i]))
		g.Pending = append(g.Pending, p)
		at[p.consumer] = append(at[p.consumer], p)
	}
	for i := range under(aux, auxKey(nil, auxConsumer, group.ref)) {
		c := consumerOf(tree.Elem(aux[i]))
		g.Consumers = append(g.Consumers, StreamConsumerCopy{c, at[c.ref]})
	}
	return g
}

// under visits the indexes of the elements, which are in order, whose keys have
// a prefix.
func under(els []op.Elem, prefix []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		from, _ := slices.BinarySearchFunc(els, prefix, func(el op.Elem, key []byte) int { return bytes.Compare(el.Key, key) })
		for i := from; i < len(els) && bytes.HasPrefix(els[i].Key, prefix); i++ {
			if !yield(i) {
				return
			}
		}
	}
}

// Len is the number of entries.
func (s *StreamCopy) Len() int { return len(s.entries) }

// Each visits the entries in the order of their ids until fn is false; some
// begin a node of Redis'.
func (s *StreamCopy) Each(fn func(id StreamID, f StreamFields, begins bool) bool) {
	for _, el := range s.entries {
		if !fn(streamIDOf(el.Key), fieldsOf(el.Val), startsNode(el.Val)) {
			return
		}
	}
}

// StreamMaker makes a stream's content: entries first, in the order of their
// ids, then groups, each with its consumers and what is pending at them. What
// it is given is copied.
type StreamMaker struct {
	coll   op.Coll
	meta   streamMeta
	groups map[uint32]bool
	taken  map[[2]uint32]bool // numbers of groups and their consumers
	begins bool               // the next entry begins a node
}

// MakeStream begins.
func MakeStream() *StreamMaker {
	return &StreamMaker{
		coll: op.Coll{Type: op.TypeStream, Form: uint8(formLarge)}, groups: map[uint32]bool{}, taken: map[[2]uint32]bool{},
		meta: streamMeta{streamTail: streamTail{tailEntries: tailFull}},
	}
}

// BeginNode says that the next entry begins another node of Redis'.
func (m *StreamMaker) BeginNode() { m.begins = true }

// Add appends an entry of names and values in turn.
func (m *StreamMaker) Add(id StreamID, items [][]byte) {
	flags := byte(0)
	if m.begins || m.meta.nodes == 0 {
		flags = entryStartsNode
		m.meta.nodes++
		m.begins = false
	}
	m.coll.Elem[op.Main] = append(m.coll.Elem[op.Main], op.Elem{Key: id.append(nil), Val: appendEntry(nil, flags, items)})
}

// Tail describes the newest node, which takes further entries; without it the
// next one begins another. The node has so many bytes and was given so many
// entries, some of which are gone, the first under the id master and with names
// (and empty values) as in first.
func (m *StreamMaker) Tail(master StreamID, first [][]byte, entries, gone, bytes int) {
	t := &m.meta.streamTail
	*t = streamTail{tailEntries: entries, tailDeleted: gone, master: master, names: namesDigest(first)}
	t.tailBytes = bytes - t.bytes()
}

// Group makes a group, of a name that no other has.
func (m *StreamMaker) Group(name []byte, last StreamID, read int64) StreamGroup {
	g := StreamGroup{Name: name, Last: last, Read: read, ref: uint32(xxh3.Hash(name))}
	for m.groups[g.ref] {
		g.ref++
	}
	m.groups[g.ref] = true
	m.aux(append([]byte{auxGroup}, name...), g.val(nil))
	return g
}

// Consumer makes a consumer of a group, of a name that no other has in it.
func (m *StreamMaker) Consumer(g *StreamGroup, name []byte, seenMs, activeMs int64) StreamConsumer {
	c := StreamConsumer{Name: name, SeenMs: seenMs, ActiveMs: activeMs, group: g.ref, ref: uint32(xxh3.Hash(name))}
	for m.taken[[2]uint32{c.group, c.ref}] {
		c.ref++
	}
	m.taken[[2]uint32{c.group, c.ref}] = true
	m.aux(consumerKey(nil, c.group, name), c.val(nil))
	return c
}

// Pending makes an entry pending at a consumer.
func (m *StreamMaker) Pending(c *StreamConsumer, p StreamPending) {
	p.group, p.consumer = c.group, c.ref
	m.aux(pendingKey(nil, p.group, p.ID), p.val(nil))
}

func (m *StreamMaker) aux(key, val []byte) {
	m.coll.Elem[op.Aux] = append(m.coll.Elem[op.Aux], op.Elem{Key: key, Val: val})
}

// Coll ends. The maker must not be used any more.
func (m *StreamMaker) Coll(last, maxDeleted StreamID, added uint64) *op.Coll {
	m.meta.last, m.meta.maxDeleted, m.meta.added = last, maxDeleted, added
	m.coll.Meta = m.meta.encode()
	slices.SortFunc(m.coll.Elem[op.Aux], func(a, b op.Elem) int { return bytes.Compare(a.Key, b.Key) })
	return &m.coll
}
