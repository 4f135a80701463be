package rdb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Stream is the content of a stream. The id of its first entry is that of the
// first of Entries. The fields between Entries and Groups stand behind the
// entries in a file, so there they are known when Entries has been ranged over.
type Stream struct {
	// Entries come in the order of their ids. A Writer ranges over them twice.
	Entries      Seq[StreamEntry]
	Len          int // number of Entries
	LastID       StreamID
	Tail         StreamNode // of what was read the newest, a Writer ignores it
	MaxDeletedID StreamID   // 0-0 where none was deleted
	EntriesAdded uint64     // over all time
	// ActiveTimes has to be set where a consumer's ActiveMs differs from its
	// SeenMs and is to be written: only Redis 7.2 and newer load that.
	ActiveTimes bool
	NumGroups   int
	Groups      Seq[StreamGroup]
}

// StreamID is milliseconds and a number.
type StreamID struct{ Ms, Seq uint64 }

const streamIDBytes = 16

func (a StreamID) compare(b StreamID) int {
	return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq))
}

func (a StreamID) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, a.Ms), a.Seq)
}

// readStreamID reads the form that sorts.
func readStreamID(b []byte) StreamID {
	return StreamID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// StreamEntry is one entry; Fields are names and values in turn. Begins: it is
// the first of a node; a Writer begins others where one becomes too large.
type StreamEntry struct {
	ID     StreamID
	Fields [][]byte
	Begins bool
}

// StreamNode is what a node that may take further entries is like.
type StreamNode struct {
	Master           StreamID
	Names            [][]byte // of the first entry, each before an empty value
	Entries, Deleted int      // the deleted ones are among the entries
	Bytes            int
}

// StreamGroup is one consumer group. Each of its Pending is pending at exactly
// one of its Consumers.
type StreamGroup struct {
	Name         []byte
	LastID       StreamID
	EntriesRead  int64 // -1 where not known
	NumPending   int
	Pending      Seq[StreamPending] // in order of ids
	NumConsumers int
	Consumers    Seq[StreamConsumer]
}

// StreamPending is an entry that was delivered and not acknowledged.
type StreamPending struct {
	ID          StreamID
	DeliveredMs int64 // the last time, in milliseconds since the epoch
	Deliveries  uint64
}

// StreamConsumer is one consumer of a group. Moments are in milliseconds since
// the epoch.
type StreamConsumer struct {
	Name     []byte
	SeenMs   int64 // tried to read, claim, ...
	ActiveMs int64 // succeeded with that, -1 for never
	// Pending are in order of ids. A Writer uses only those.
	NumPending int
	Pending    Seq[StreamPending]
}

// unknownRead is EntriesRead where it is not known.
const unknownRead = -1

// Faults of a stream.
const (
	errStreamBlock = damage("a stream's listpack is damaged")
	errStreamOrder = damage("the ids of a stream are not in order")
	errStreamCount = damage("a stream does not have as many entries as it claims")
	errStreamID    = damage("the id of a stream's part is damaged")
	errPending     = damage("the pending entries of a group and of its consumers differ")
)

func (s *Stream) check(*checker) error {
	for _, err := range s.Entries {
		if err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for g, err := range s.Groups {
		if err != nil {
			return err
		}
		if names[string(g.Name)] {
			return &FormatError{0, errDuplicate.Error()}
		}
		names[string(g.Name)] = true
		if err := g.check(); err != nil {
			return err
		}
	}
	return nil
}

func (g *StreamGroup) check() error {
	names := map[string]bool{}
	for consumer, err := range g.Consumers {
		if err != nil {
			return err
		}
		if names[string(consumer.Name)] {
			return &FormatError{0, errDuplicate.Error()}
		}
		names[string(consumer.Name)] = true
	}
	return nil
}

// streamReader reads a stream into s.
type streamReader struct {
	d       *decoder
	code    byte
	s       *Stream
	count   int
	first   StreamID // of the entries
	last    StreamID // of the entries so far, deleted ones too
	node    streamNode
	pending []StreamPending
	owned   []bool // by index in pending: a consumer has it
}

func readStream(d *decoder, code byte) (Value, func() error, error) {
	nodes, err := d.count()
	if err != nil {
		return nil, nil, err
	}
	r := &streamReader{d: d, code: code, s: &Stream{}}
	var finishEntries, finishGroups func() error
	r.s.Entries, finishEntries = once(func(emit func(StreamEntry)) error { return r.entries(nodes, emit) })
	r.s.Groups, finishGroups = once(func(emit func(StreamGroup)) error {
		if err := finishEntries(); err != nil {
			return err
		}
		for range r.s.NumGroups {
			if err := r.group(emit); err != nil {
				return err
			}
		}
		return nil
	})
	return r.s, finishGroups, nil
}

// entries reads the blocks of entries and what follows them.
func (r *streamReader) entries(nodes int, emit func(StreamEntry)) error {
	for range nodes {
		if err := r.readNode(emit); err != nil {
			return err
		}
	}
	for _, name := range r.node.names {
		r.s.Tail.Names = append(r.s.Tail.Names, bytes.Clone(name), nil)
	}
	return r.tail()
}

// tail reads what is known of the stream as a whole.
func (r *streamReader) tail() (err error) {
	t := r.s
	if t.Len, err = r.d.count(); err != nil {
		return err
	}
	if t.LastID, err = r.id(); err != nil {
		return err
	}
	t.EntriesAdded = uint64(t.Len) // Redis' guess where the file does not say
	if r.code != typeStream {
		if _, err = r.id(); err != nil { // of the first entry
			return err
		}
		if t.MaxDeletedID, err = r.id(); err != nil {
			return err
		}
		if t.EntriesAdded, err = r.d.length(); err != nil {
			return err
		}
	}
	if t.NumGroups, err = r.d.count(); err != nil {
		return err
	}
	if t.Len != r.count {
		return r.d.damaged(r.d.offset(), errStreamCount.Error())
	}
	if t.LastID.compare(r.last) < 0 {
		return r.d.damaged(r.d.offset(), errStreamOrder.Error())
	}
	return nil
}

// id reads two lengths.
func (r *streamReader) id() (id StreamID, err error) {
	if id.Ms, err = r.d.length(); err == nil {
		id.Seq, err = r.d.length()
	}
	return id, err
}

// group reads one group.
func (r *streamReader) group(emit func(StreamGroup)) (err error) {
	g := StreamGroup{EntriesRead: unknownRead}
	if g.Name, err = r.d.keep(); err != nil {
		return err
	}
	if g.LastID, err = r.id(); err != nil {
		return err
	}
	if r.code != typeStream {
		n, err := r.d.length()
		if err != nil {
			return err
		}
		if g.EntriesRead = int64(n); g.EntriesRead < unknownRead {
			return r.d.damaged(r.d.offset(), "an impossible number of entries that a group has read")
		}
	} else {
		g.EntriesRead = r.guessRead(g.LastID)
	}
	if err := r.readPending(); err != nil {
		return err
	}
	g.NumPending = len(r.pending)
	g.Pending, _ = once(func(emit func(StreamPending)) error {
		for _, p := range r.pending {
			emit(p)
		}
		return nil
	})
	if g.NumConsumers, err = r.d.count(); err != nil {
		return err
	}
	var finish func() error
	g.Consumers, finish = once(func(emit func(StreamConsumer)) error { return r.consumers(g.NumConsumers, emit) })
	emit(g)
	return finish()
}

// guessRead is what Redis 7.0 takes for the entries that a group of a stream
// of an older Redis has read: nothing was ever deleted from the stream, as far
// as is known.
func (r *streamReader) guessRead(last StreamID) int64 {
	switch {
	case r.s.EntriesAdded == 0:
		return 0
	case last == r.s.LastID:
		return int64(r.s.EntriesAdded)
	case last.compare(r.first) < 0:
		return 0
	case last == r.first:
		return 1
	}
	return unknownRead
}

// readPending reads what is pending in a group.
func (r *streamReader) readPending() error {
	n, err := r.d.count()
	if err != nil {
		return err
	}
	r.pending, r.owned = r.pending[:0], r.owned[:0]
	for i := range n {
		p := StreamPending{}
		if p.ID, err = r.rawID(); err != nil {
			return err
		}
		ms, err := r.d.uint64()
		if err != nil {
			return err
		}
		p.DeliveredMs = int64(ms)
		if p.Deliveries, err = r.d.length(); err != nil {
			return err
		}
		if i > 0 && p.ID.compare(r.pending[i-1].ID) <= 0 {
			return r.d.damaged(r.d.offset(), errStreamOrder.Error())
		}
		r.pending, r.owned = append(r.pending, p), append(r.owned, false)
	}
	return nil
}

// rawID reads the form that sorts.
func (r *streamReader) rawID() (StreamID, error) {
	b, err := r.d.take(streamIDBytes)
	if err != nil {
		return StreamID{}, err
	}
	return readStreamID(b), nil
}

// consumers reads the consumers of a group.
func (r *streamReader) consumers(n int, emit func(StreamConsumer)) error {
	for range n {
		if err := r.consumer(emit); err != nil {
			return err
		}
	}
	if slices.Contains(r.owned, false) {
		return r.d.damaged(r.d.offset(), errPending.Error())
	}
	return nil
}

func (r *streamReader) consumer(emit func(StreamConsumer)) (err error) {
	c := StreamConsumer{}
	if c.Name, err = r.d.keep(); err != nil {
		return err
	}
	ms, err := r.d.uint64()
	if err != nil {
		return err
	}
	c.SeenMs, c.ActiveMs = int64(ms), int64(ms)
	if r.code == typeStream3 {
		if ms, err = r.d.uint64(); err != nil {
			return err
		}
		c.ActiveMs = int64(ms)
		r.s.ActiveTimes = r.s.ActiveTimes || c.ActiveMs != c.SeenMs
	}
	if c.NumPending, err = r.d.count(); err != nil {
		return err
	}
	var finish func() error
	c.Pending, finish = once(func(emit func(StreamPending)) error {
		for range c.NumPending {
			if err := r.own(emit); err != nil {
				return err
			}
		}
		return nil
	})
	emit(c)
	return finish()
}

// own reads one entry that is pending at a consumer.
func (r *streamReader) own(emit func(StreamPending)) error {
	id, err := r.rawID()
	if err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(r.pending, id, func(p StreamPending, id StreamID) int { return p.ID.compare(id) })
	if !found || r.owned[i] {
		return r.d.damaged(r.d.offset(), errPending.Error())
	}
	r.owned[i] = true
	emit(r.pending[i])
	return nil
}
