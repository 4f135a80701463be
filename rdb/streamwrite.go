package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// nodeBytes bounds a node where no entry begins another.
const nodeBytes = 256 << 10

var errStreamEntry = errors.New("rdb: an entry of a stream is larger than 1 GB")

// typeByte is the oldest form that holds the stream. That of Redis 5 cannot say
// what was deleted, and leaves to a guess what a group has read.
func (s *Stream) typeByte() byte {
	switch {
	case s.ActiveTimes:
		return typeStream3
	case s.NumGroups > 0 || s.MaxDeletedID != StreamID{} || s.EntriesAdded != uint64(s.Len):
		return typeStream2
	}
	return typeStream
}

func (s *Stream) write(w *Writer) {
	nodes := 0
	first := s.pack(w, func(StreamID, []byte) { nodes++ })
	w.length(uint64(nodes))
	s.pack(w, func(id StreamID, node []byte) {
		nodes--
		w.length(streamIDBytes)
		w.rawID(id)
		w.length(uint64(len(node)))
		w.write(node)
	})
	if nodes != 0 {
		w.fail(&CountError{Want: nodes})
	}
	form := s.typeByte()
	w.length(uint64(s.Len))
	w.id(s.LastID)
	if form != typeStream {
		w.id(first)
		w.id(s.MaxDeletedID)
		w.length(s.EntriesAdded)
	}
	if s.NumGroups == 0 {
		w.length(0)
		return
	}
	writeCounted(w, s.NumGroups, s.Groups, func(g StreamGroup) { g.write(w, form) })
}

func (g *StreamGroup) write(w *Writer, form byte) {
	w.string(g.Name)
	w.id(g.LastID)
	w.length(uint64(g.EntriesRead))
	writeCounted(w, g.NumPending, g.Pending, func(p StreamPending) {
		w.rawID(p.ID)
		w.uint64(uint64(p.DeliveredMs))
		w.length(p.Deliveries)
	})
	writeCounted(w, g.NumConsumers, g.Consumers, func(c StreamConsumer) {
		w.string(c.Name)
		w.uint64(uint64(c.SeenMs))
		if form == typeStream3 {
			w.uint64(uint64(c.ActiveMs))
		}
		writeCounted(w, c.NumPending, c.Pending, func(p StreamPending) { w.rawID(p.ID) })
	})
}

// id writes an id as two lengths.
func (w *Writer) id(id StreamID) {
	w.length(id.Ms)
	w.length(id.Seq)
}

// rawID writes an id in the form that sorts.
func (w *Writer) rawID(id StreamID) { w.write(id.append(w.small[:0])) }

// pack makes nodes of the entries, and returns the id of the first.
func (s *Stream) pack(w *Writer, emit func(StreamID, []byte)) (first StreamID) {
	seen := 0
	var n nodePacker
	for e, err := range s.Entries {
		size := 0
		for _, f := range e.Fields {
			size += len(f)
		}
		if size > maxBlockBytes {
			err = errStreamEntry
		}
		if err != nil {
			w.fail(err)
		}
		if w.err != nil {
			return first
		}
		if seen == 0 {
			first = e.ID
		}
		if n.count > 0 && (e.Begins || len(n.head)+len(n.body)+size >= nodeBytes) {
			emit(n.master, n.node())
			n.count = 0
		}
		n.add(e)
		seen++
	}
	if n.count > 0 {
		emit(n.master, n.node())
	}
	if seen != s.Len {
		w.fail(&CountError{Want: s.Len, Have: seen})
	}
	return first
}

// nodePacker gathers the entries of one node.
type nodePacker struct {
	count    int
	master   StreamID
	names    [][]byte // of the first entry
	elements int      // in head and body
	// head are the names and what is around them; body are the entries; out is
	// the whole.
	head, body, out []byte
}

func (n *nodePacker) add(e StreamEntry) {
	if n.count == 0 {
		n.begin(e)
	}
	n.count++
	same := n.hasNames(e.Fields)
	flags, elements := int64(0), int64(entryHead)
	if same {
		flags = entrySameNames
	}
	b := appendPackedInt(n.body, flags)
	b = appendPackedInt(b, int64(e.ID.Ms-n.master.Ms))
	b = appendPackedInt(b, int64(e.ID.Seq-n.master.Seq))
	if !same {
		b = appendPackedInt(b, int64(len(e.Fields)/2))
		elements++
	}
	for i, f := range e.Fields {
		if same && i%2 == 0 {
			continue
		}
		b = appendPacked(b, f)
		elements++
	}
	n.body = appendPackedInt(b, elements)
	n.elements += int(elements) + 1
}

// begin starts a node with its first entry.
func (n *nodePacker) begin(e StreamEntry) {
	fields := len(e.Fields) / 2
	n.master, n.body = e.ID, n.body[:0]
	n.head = appendPackedInt(n.head[:0], int64(fields))
	n.names = slices.Grow(n.names, fields)[:fields]
	for i := range fields {
		n.names[i] = append(n.names[i][:0], e.Fields[2*i]...)
		n.head = appendPacked(n.head, n.names[i])
	}
	n.head = appendPackedInt(n.head, 0)
	n.elements = 2 + 1 + fields + 1
}

func (n *nodePacker) hasNames(fields [][]byte) bool {
	if len(fields) != 2*len(n.names) {
		return false
	}
	for i, name := range n.names {
		if !bytes.Equal(name, fields[2*i]) {
			return false
		}
	}
	return true
}

// node is the listpack of the node, valid until the next.
func (n *nodePacker) node() []byte {
	b := append(n.out[:0], make([]byte, listpackHeader)...)
	b = appendPackedInt(b, int64(n.count))
	b = appendPackedInt(b, 0) // none is deleted
	b = append(append(b, n.head...), n.body...)
	b = append(b, blockEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(min(n.elements, manyElements)))
	n.out = b
	return b
}
