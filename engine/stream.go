package engine

import (
	"cmp"
	"encoding/binary"
	"math"

	"geocache/op"
	"geocache/tree"
)

// A stream keeps its entries under their ids, and in its other tree all that
// its consumer groups are, under keys that begin with a letter:
//
//	G name          a group: last delivered id, entries read, its number g
//	C g name        a consumer: its number c, when it was seen and active
//	I g c           the name of consumer c
//	P g id          an entry delivered and not acknowledged: c, when, how often
//	Q g c id        the same by consumer, without a value
//	M               that the stream was made, see streammerge.go
//
// where g and c are 32-bit hashes of the names, so that they are the same
// wherever a group is made; I and Q follow from C and P and are in no op. How
// many entries are pending, or consumers there are, is a difference of ranks.
//
// Redis packs entries into nodes, and approximate trimming removes nodes whole.
// There are no nodes here, but an entry is marked where one would begin.

// StreamID is the id of an entry: milliseconds and a number.
type StreamID struct{ Ms, Seq uint64 }

// LastStreamID is the greatest id there can be.
func LastStreamID() StreamID { return StreamID{math.MaxUint64, math.MaxUint64} }

// Compare is negative where a comes before b, 0 where they are equal.
func (a StreamID) Compare(b StreamID) int {
	return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq))
}

// IsZero reports whether a is 0-0, which no entry has.
func (a StreamID) IsZero() bool { return a == StreamID{} }

// Next is the id behind a; ok is false where there is none.
func (a StreamID) Next() (next StreamID, ok bool) {
	if a.Seq == math.MaxUint64 {
		return StreamID{a.Ms + 1, 0}, a.Ms != math.MaxUint64
	}
	return StreamID{a.Ms, a.Seq + 1}, true
}

// Prev is the id before a; ok is false where there is none.
func (a StreamID) Prev() (prev StreamID, ok bool) {
	if a.Seq == 0 {
		return StreamID{a.Ms - 1, math.MaxUint64}, a.Ms != 0
	}
	return StreamID{a.Ms, a.Seq - 1}, true
}

const streamIDLen = 16

func (a StreamID) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, a.Ms), a.Seq)
}

func streamIDOf(b []byte) StreamID {
	return StreamID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// StreamFields are the names and values of an entry, in turn.
type StreamFields struct{ b []byte }

// Len is the number of names and values.
func (f StreamFields) Len() int {
	n, _ := binary.Uvarint(f.b)
	return int(n)
}

// Each visits names and values in their order.
func (f StreamFields) Each(fn func(item []byte)) {
	n, at := binary.Uvarint(f.b)
	for rest := f.b[at:]; n > 0; n-- {
		size, at := binary.Uvarint(rest)
		fn(rest[at : at+int(size)])
		rest = rest[at+int(size):]
	}
}

// The value of an entry: a byte of flags and the fields.
const (
	entryStartsNode = 1 << iota
)

func appendEntry(dst []byte, flags byte, items [][]byte) []byte {
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(items)))
	for _, item := range items {
		dst = append(binary.AppendUvarint(dst, uint64(len(item))), item...)
	}
	return dst
}

func fieldsOf(val []byte) StreamFields { return StreamFields{val[1:]} }

func startsNode(val []byte) bool { return val[0]&entryStartsNode != 0 }

// streamMeta is what a stream knows beside its entries.
type streamMeta struct {
	last       StreamID // greatest id ever given
	maxDeleted StreamID // greatest id that XDEL took
	added      uint64   // entries ever added
	nodes      int
	streamTail
}

func (s *streamMeta) encode() []byte {
	b := make([]byte, 0, 3*streamIDLen+40)
	b = s.maxDeleted.append(s.last.append(b))
	b = binary.AppendUvarint(b, s.added)
	b = binary.AppendUvarint(b, uint64(s.nodes))
	b = binary.AppendUvarint(b, uint64(s.tailEntries))
	b = binary.AppendUvarint(b, uint64(s.tailBytes))
	if s.tailEntries == tailFull {
		return b
	}
	b = binary.AppendUvarint(b, uint64(s.tailDeleted))
	return binary.LittleEndian.AppendUint64(s.master.append(b), s.names)
}

func decodeStreamMeta(b []byte) (s streamMeta) {
	if len(b) < 2*streamIDLen {
		return streamMeta{streamTail: streamTail{tailEntries: tailFull}}
	}
	s.last, s.maxDeleted = streamIDOf(b), streamIDOf(b[streamIDLen:])
	b = b[2*streamIDLen:]
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		return v
	}
	s.added = next()
	s.nodes, s.tailEntries, s.tailBytes = int(next()), int(next()), int(next())
	s.tailDeleted = int(next())
	if len(b) < streamIDLen+8 { // full, or from a build that did not know
		s.streamTail = streamTail{tailEntries: tailFull}
		return s
	}
	s.master, s.names = streamIDOf(b), binary.LittleEndian.Uint64(b[streamIDLen:])
	return s
}

// Stream is a stream as a tx sees it. It is valid until the tx changes the key
// or ends; the slices it hands out are valid until the tx changes any key. Its
// methods, Len excepted, must not be called on nil.
type Stream struct {
	c *content
	streamMeta
}

// Stream is the stream under k, nil for a missing key. It counts as a read.
func (t *Tx) Stream(k Key) (*Stream, error) { return streamOf(t.collection(k, op.TypeStream)) }

// StreamToEdit is Stream for a command that goes on to change k: it leaves
// recency and hit counters alone.
func (t *Tx) StreamToEdit(k Key) (*Stream, error) { return streamOf(t.present(k, op.TypeStream)) }

func streamOf(c *content, err error) (*Stream, error) {
	if c == nil {
		return nil, err
	}
	return &Stream{c, decodeStreamMeta(c.meta)}, nil
}

// Len is the number of entries, 0 for nil.
func (s *Stream) Len() int {
	if s == nil {
		return 0
	}
	return s.c.main.Len()
}

// LastID is the greatest id that was ever given.
func (s *Stream) LastID() StreamID { return s.last }

// MaxDeletedID is the greatest id that XDEL took, 0-0 for none.
func (s *Stream) MaxDeletedID() StreamID { return s.maxDeleted }

// Added is the number of entries ever added.
func (s *Stream) Added() uint64 { return s.added }

// Nodes is the number of nodes in which Redis would keep the entries.
func (s *Stream) Nodes() int { return s.nodes }

// FirstID is the id of the first entry, 0-0 where there is none.
func (s *Stream) FirstID() StreamID { return s.idAt(0) }

// TopID is the id of the last entry, 0-0 where there is none.
func (s *Stream) TopID() StreamID { return s.idAt(s.Len() - 1) }

func (s *Stream) idAt(rank int) StreamID {
	if rank < 0 || rank >= s.Len() {
		return StreamID{}
	}
	return streamIDOf(s.c.main.At(rank).Key)
}

// Entry is the entry with an id.
func (s *Stream) Entry(id StreamID) (f StreamFields, ok bool) {
	var buf [streamIDLen]byte
	el, _, found := s.c.main.Find(id.append(buf[:0]))
	if !found {
		return f, false
	}
	return fieldsOf(el.Val), true
}

// rankOf is the number of entries before id.
func (s *Stream) rankOf(id StreamID) (rank int, found bool) {
	var buf [streamIDLen]byte
	return s.c.main.Seek(id.append(buf[:0]))
}

// Ascend visits entries from an id upward until fn is false.
func (s *Stream) Ascend(from StreamID, fn func(id StreamID, f StreamFields) bool) {
	rank, _ := s.rankOf(from)
	s.c.main.Ascend(rank, func(el tree.Elem) bool { return fn(streamIDOf(el.Key), fieldsOf(el.Val)) })
}

// Descend visits entries from an id downward until fn is false.
func (s *Stream) Descend(from StreamID, fn func(id StreamID, f StreamFields) bool) {
	rank, found := s.rankOf(from)
	if !found {
		rank--
	}
	if rank >= 0 {
		s.c.main.Descend(rank, func(el tree.Elem) bool { return fn(streamIDOf(el.Key), fieldsOf(el.Val)) })
	}
}

// WholeNodes is the number of entries in the nodes that may go whole from the
// start of the stream, where at most limit entries may go and none behind an id.
func (s *Stream) WholeNodes(limit int, upTo StreamID) (entries int) {
	seen := 0
	s.c.main.Ascend(0, func(el tree.Elem) bool {
		if startsNode(el.Val) {
			entries = seen
		}
		seen++
		return seen <= limit && streamIDOf(el.Key).Compare(upTo) <= 0
	})
	if seen == s.Len() && seen <= limit && s.TopID().Compare(upTo) <= 0 {
		entries = seen
	}
	return entries
}

// Before is the number of entries whose id is below one.
func (s *Stream) Before(id StreamID) int {
	n, _ := s.rankOf(id)
	return n
}
