package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"geocache/op"
	"geocache/tree"
)

// StreamEdit is a stream under change. Its methods as a Stream show it as it is
// by then. What is given to its methods must not be memory of the engine.
type StreamEdit struct {
	Stream
	t       *Tx
	m       *editing
	k       Key
	changed bool // the log will hear of it
	entries bool // some came or went
	touched bool // it will not
	was     streamMeta
	scratch [128]byte
}

// EditStream begins a change of the stream under k, which is made where there is
// none: then something has to be put in. What the key held before must be a
// stream or nothing. The caller ends with Done.
func (t *Tx) EditStream(k Key) (*StreamEdit, error) {
	m, err := t.change(k, op.TypeStream)
	if err != nil {
		return nil, err
	}
	meta := decodeStreamMeta(m.c.meta)
	return &StreamEdit{Stream: Stream{m.c, meta}, t: t, m: m, k: k, was: meta}, nil
}

// Done completes the change. One that only moved the moments of consumers is no
// change to anybody else, as in Redis.
func (e *StreamEdit) Done() {
	if e.streamMeta != e.was {
		e.m.setMeta(e.streamMeta.encode())
		e.m.emitMeta()
		e.changed = true
	}
	switch {
	case e.changed:
		seen := len(e.t.changed)
		e.m.done(e.k)
		for i := range e.t.changed[seen:] {
			e.t.changed[seen+i].quiet = !e.entries && e.t.edited(e.m.x).stood
		}
	case e.touched:
		e.t.keepQuietly(e.t.edited(e.m.x))
	}
}

// Add appends an entry of the names and values in items; id is greater than
// LastID. Redis would begin another node for it where the newest one has
// maxEntries entries, or maxBytes bytes with this one; 0 is no limit.
func (e *StreamEdit) Add(id StreamID, items [][]byte, maxEntries, maxBytes int) {
	flags := byte(0)
	if e.Len() == 0 {
		e.tailEntries = tailFull
	}
	if e.give(id, items, maxEntries, maxBytes) {
		flags = entryStartsNode
		e.nodes++
	}
	e.last = id
	e.added++
	b := appendEntry(id.append(e.scratch[:0]), flags, items)
	el := op.Elem{Key: b[:streamIDLen], Val: b[streamIDLen:]}
	if e.m.mergesStream() {
		e.m.mergePut(el)
	} else {
		e.m.insert(&e.c.main, e.Len(), tree.Elem(el))
	}
	e.m.emitPut(op.Main, el)
	e.changed, e.entries = true, true
}

// Remove removes an entry and reports whether it was there.
func (e *StreamEdit) Remove(id StreamID) bool {
	rank, found := e.rankOf(id)
	if !found {
		return false
	}
	tr := &e.c.main
	el := tr.At(rank)
	starts, hasNext, nextStarts := rank == 0 || startsNode(el.Val), rank+1 < tr.Len(), false
	if hasNext {
		nextStarts = startsNode(tr.At(rank + 1).Val)
	}
	if e.m.mergesStream() {
		key := bytes.Clone(el.Key)
		e.m.mergeTake(key)
		e.m.emitTake(op.Main, key)
	} else {
		e.m.emitTake(op.Main, el.Key)
		e.m.remove(tr, rank)
	}
	e.changed, e.entries = true, true
	switch {
	case starts && !hasNext:
		e.nodes, e.tailEntries = e.nodes-1, tailFull
	case starts && nextStarts:
		e.nodes--
	case starts && rank > 0:
		e.markStart(rank)
		fallthrough
	default:
		e.gone(id)
	}
	return true
}

// markStart lets the entry at rank begin what is left of its node.
func (e *StreamEdit) markStart(rank int) {
	el := e.c.main.At(rank)
	b := append(append(e.scratch[:0], el.Key...), el.Val...)
	b[streamIDLen] |= entryStartsNode
	with := op.Elem{Key: b[:streamIDLen], Val: b[streamIDLen:], Ext: bytes.Clone(el.Ext)}
	e.m.replace(&e.c.main, rank, tree.Elem(with))
	if !e.m.mergesStream() { // nodes are each region's own
		e.m.emitPut(op.Main, with)
	}
}

// TrimHead removes the first n entries, which must be there.
func (e *StreamEdit) TrimHead(n int) {
	if n == 0 {
		return
	}
	tr, rank, nodes := &e.c.main, 0, 0
	tr.Ascend(0, func(el tree.Elem) bool {
		if rank == n {
			if startsNode(el.Val) {
				nodes++
			}
			return false
		}
		if rank > 0 && startsNode(el.Val) {
			nodes++
		}
		rank++
		e.gone(streamIDOf(el.Key))
		if !e.m.mergesStream() {
			e.m.emitTake(op.Main, el.Key)
		}
		return true
	})
	if n == tr.Len() {
		nodes, e.tailEntries = e.nodes, tailFull
	}
	e.nodes -= nodes
	e.changed, e.entries = true, true
	if !e.m.mergesStream() {
		e.m.removeRange(tr, 0, n)
		return
	}
	for range n {
		key := bytes.Clone(tr.At(0).Key)
		e.m.mergeTake(key)
		e.m.emitTake(op.Main, key)
	}
}

// SetLastID makes id what LastID answers.
func (e *StreamEdit) SetLastID(id StreamID) { e.last = id; e.changed = true }

// SetAdded makes n what Added answers.
func (e *StreamEdit) SetAdded(n uint64) { e.added = n }

// SetMaxDeletedID makes id what MaxDeletedID answers.
func (e *StreamEdit) SetMaxDeletedID(id StreamID) { e.maxDeleted = id }

func (e *StreamEdit) put(key, val []byte) {
	el := op.Elem{Key: key, Val: val}
	e.m.putAux(el)
	e.m.emitPut(op.Aux, el)
	e.changed = true
}

func (e *StreamEdit) take(key []byte) {
	e.m.takeAux(key)
	e.m.emitTake(op.Aux, key)
	e.changed = true
}

// AddGroup makes a group, of a name that no other has.
func (e *StreamEdit) AddGroup(name []byte, last StreamID, read int64) StreamGroup {
	taken := map[uint32]bool{}
	e.Groups(func(g StreamGroup) bool {
		taken[g.ref] = true
		return true
	})
	g := StreamGroup{Name: name, Last: last, Read: read, ref: uint32(xxh3.Hash(name))}
	for taken[g.ref] {
		g.ref++
	}
	e.SetGroup(&g)
	return g
}

// PutGroup makes a group, which is there and has come farther, what g says.
func (e *StreamEdit) PutGroup(g *StreamGroup) {
	key := append([]byte{auxGroup}, g.Name...)
	if !e.m.mergesStream() {
		e.put(key, g.val(nil))
		return
	}
	cells := e.m.groupCells(key)
	e.m.seeGroup(cells)
	for i := range cells {
		cells[i].move(g.Last, g.Read)
	}
	e.m.saveGroup(key, cells, g.ref)
	e.m.emitPut(op.Aux, op.Elem{Key: key, Val: g.val(nil)})
	e.changed = true
}

// SetGroup makes a group what g says, whether or not it is there, in every region
// whatever is read there meanwhile.
func (e *StreamEdit) SetGroup(g *StreamGroup) {
	key := append([]byte{auxGroup}, g.Name...)
	if !e.m.mergesStream() {
		e.put(key, g.val(nil))
		return
	}
	e.m.seeGroup(e.m.groupCells(key))
	e.m.saveGroup(key, []groupCell{{e.t.ops.Next(), g.Last, g.Read}}, g.ref)
	e.m.emitPut(op.Aux, op.Elem{Key: key, Val: g.val(nil), Ext: []byte{groupMade}})
	e.t.unresolved = append(e.t.unresolved, unresolved{m: e.m, c: e.m.c, name: key, aux: true})
	e.changed = true
}

// DropGroup removes a group with all that it has.
func (e *StreamEdit) DropGroup(g *StreamGroup) {
	key := append([]byte{auxGroup}, g.Name...)
	if e.m.mergesStream() {
		e.m.seeGroup(e.m.groupCells(key))
	}
	e.take(key)
}

// AddConsumer makes a consumer of a group, of a name that no other has in it.
func (e *StreamEdit) AddConsumer(g *StreamGroup, name []byte, seenMs, activeMs int64) StreamConsumer {
	c := StreamConsumer{Name: name, SeenMs: seenMs, ActiveMs: activeMs, group: g.ref, ref: uint32(xxh3.Hash(name))}
	var buf [16]byte
	for {
		if _, taken := e.c.aux.Seek(nameKey(buf[:0], c.group, c.ref)); !taken {
			break
		}
		c.ref++
	}
	e.PutConsumer(&c)
	return c
}

// PutConsumer makes a consumer, which is there, what c says.
func (e *StreamEdit) PutConsumer(c *StreamConsumer) {
	e.put(consumerKey(nil, c.group, c.Name), c.val(nil))
}

// TouchConsumer is PutConsumer for a change of moments alone that the log need
// not hear of.
func (e *StreamEdit) TouchConsumer(c *StreamConsumer) {
	e.m.putAux(op.Elem{Key: consumerKey(nil, c.group, c.Name), Val: c.val(nil)})
	e.touched = true
}

// DropConsumer removes a consumer with all that is pending at it.
func (e *StreamEdit) DropConsumer(c *StreamConsumer) {
	e.take(consumerKey(nil, c.group, c.Name))
}

// PutPending makes an entry pending at a consumer, of whose group it is, as p
// says; it may have been pending at another one.
func (e *StreamEdit) PutPending(c *StreamConsumer, p StreamPending) {
	p.group, p.consumer = c.group, c.ref
	key := pendingKey(e.scratch[:0], p.group, p.ID)
	e.put(key, p.val(key[len(key):]))
}

// Acknowledge removes a pending entry of a group and reports whether it was
// there.
func (e *StreamEdit) Acknowledge(g *StreamGroup, id StreamID) bool {
	if _, ok := e.PendingAt(g, id); !ok {
		return false
	}
	e.take(pendingKey(e.scratch[:0], g.ref, id))
	return true
}

// putStream is put for streams, whose elements come from disk or from a sibling
// where it is called.
func (m *editing) putStream(part op.Part, el op.Elem) (added bool) {
	switch {
	case !validStreamElem(part, el):
		return false
	case part == op.Aux:
		return m.putAux(el)
	}
	_, rank, found := m.c.main.Find(el.Key)
	m.place(&m.c.main, rank, found, tree.Elem(el))
	return !found
}

// takeStream is take for streams.
func (m *editing) takeStream(part op.Part, key []byte) bool {
	if part == op.Aux {
		return m.takeAux(key)
	}
	_, rank, found := m.c.main.Find(key)
	if found {
		m.remove(&m.c.main, rank)
	}
	return found
}

func validStreamElem(part op.Part, el op.Elem) bool {
	if part == op.Main {
		return len(el.Key) == streamIDLen && validEntry(el.Val)
	}
	if len(el.Key) == 0 {
		return false
	}
	klen, vlen := len(el.Key)-1-auxRefLen, len(el.Val)
	switch el.Key[0] {
	case auxGroup:
		return vlen >= streamIDLen+auxRefLen
	case auxConsumer:
		return klen >= 0 && vlen >= auxRefLen
	case auxPending:
		return klen == streamIDLen && vlen >= auxRefLen
	case auxName:
		return klen == auxRefLen
	case auxPendingOf:
		return klen == auxRefLen+streamIDLen
	case auxMade:
		return len(el.Key) == 1
	}
	return false
}

// validEntry reports whether val is what appendEntry writes.
func validEntry(val []byte) bool {
	if len(val) == 0 {
		return false
	}
	n, at := binary.Uvarint(val[1:])
	if at <= 0 || n%2 != 0 {
		return false
	}
	rest := val[1+at:]
	for ; n > 0; n-- {
		size, at := binary.Uvarint(rest)
		if at <= 0 || size > uint64(len(rest)-at) {
			return false
		}
		rest = rest[at+int(size):]
	}
	return len(rest) == 0
}
