package rdb

import "strconv"

// A stream's entries are saved in nodes, each an id and a listpack: the number
// of entries and of deleted ones that are still in it; the number of fields of
// the first entry, their names, 0; the entries. An entry is its flags, the
// distance of its id from the node's (milliseconds and number), unless it has
// the names of the first the number of its fields, its names and values (or
// just values), and how many elements that was.
const (
	entryDeleted   = 1
	entrySameNames = 2

	entryHead = 3 // flags and distance
)

// streamNode walks over the elements of a node.
type streamNode struct {
	lp     *listpack
	master StreamID
	names  [][]byte // of the first entry
	fields [][]byte // of the one being read
	// Digits of names and fields that are numbers.
	nameText, text []byte
}

// readNode reads one node.
func (r *streamReader) readNode(emit func(StreamEntry)) error {
	at := r.d.offset()
	key, err := r.d.string(&r.d.first)
	if err != nil {
		return err
	}
	if len(key) != streamIDBytes {
		return r.d.damaged(at, errStreamID.Error())
	}
	n := &r.node
	n.master = readStreamID(key)
	b, err := r.d.string(&r.d.block)
	if err != nil {
		return err
	}
	if n.lp, err = openListpack(b); err == nil {
		err = r.nodeEntries(len(b), emit)
	}
	if err != nil {
		return r.d.damaged(at, err.Error())
	}
	return nil
}

// nodeEntries reads the entries of a node of so many bytes.
func (r *streamReader) nodeEntries(bytes int, emit func(StreamEntry)) error {
	n := &r.node
	live, err := n.int(0, bytes)
	if err != nil {
		return err
	}
	deleted, err := n.int(0, bytes)
	if err != nil {
		return err
	}
	names, err := n.int(1, bytes)
	if err != nil {
		return err
	}
	n.nameText = n.nameText[:0]
	if n.names, err = n.strings(n.names[:0], names, &n.nameText); err != nil {
		return err
	}
	if _, err = n.int(0, 0); err != nil {
		return err
	}
	r.s.Tail = StreamNode{Master: n.master, Entries: live + deleted, Deleted: deleted, Bytes: bytes}
	begins := true
	for range live + deleted {
		id, flags, err := n.entry(bytes)
		if err != nil {
			return err
		}
		if (r.count > 0 || r.last != StreamID{}) && id.compare(r.last) <= 0 {
			return errStreamOrder
		}
		r.last = id
		if flags&entryDeleted != 0 {
			deleted--
			continue
		}
		if r.count == 0 {
			r.first = id
		}
		r.count++
		emit(StreamEntry{id, n.fields, begins})
		begins = false
	}
	if _, more, err := n.lp.next(); more || err != nil || deleted != 0 {
		return errStreamBlock
	}
	return nil
}

// entry reads one entry; its fields are in n.fields.
func (n *streamNode) entry(bytes int) (id StreamID, flags int, err error) {
	if flags, err = n.int(0, entryDeleted|entrySameNames); err != nil {
		return id, 0, err
	}
	ms, err := n.distance()
	if err != nil {
		return id, 0, err
	}
	seq, err := n.distance()
	if err != nil {
		return id, 0, err
	}
	id = StreamID{n.master.Ms + ms, n.master.Seq + seq}
	elements := entryHead
	n.text = n.text[:0]
	if flags&entrySameNames != 0 {
		elements += len(n.names)
		err = n.valuesOf(n.names)
	} else {
		var fields int
		if fields, err = n.int(1, bytes); err != nil {
			return id, 0, err
		}
		elements += 1 + 2*fields
		n.fields, err = n.strings(n.fields[:0], 2*fields, &n.text)
	}
	if err != nil {
		return id, 0, err
	}
	_, err = n.int(elements, elements)
	return id, flags, err
}

// valuesOf reads the values of names into n.fields.
func (n *streamNode) valuesOf(names [][]byte) (err error) {
	n.fields = n.fields[:0]
	for _, name := range names {
		n.fields = append(n.fields, name)
		if n.fields, err = n.strings(n.fields, 1, &n.text); err != nil {
			return err
		}
	}
	return nil
}

// element reads the next element.
func (n *streamNode) element() (element, error) {
	e, more, err := n.lp.next()
	if err == nil && !more {
		err = errStreamBlock
	}
	return e, err
}

// int reads a number between two bounds.
func (n *streamNode) int(low, high int) (int, error) {
	e, err := n.element()
	if err == nil && (!e.number || e.num < int64(low) || e.num > int64(high)) {
		err = errStreamBlock
	}
	return int(e.num), err
}

// distance reads half of an id, less that of the node; it may wrap around.
func (n *streamNode) distance() (uint64, error) {
	e, err := n.element()
	if err == nil && !e.number {
		err = errStreamBlock
	}
	return uint64(e.num), err
}

// strings appends the next count elements to list; digits go to text.
func (n *streamNode) strings(list [][]byte, count int, text *[]byte) ([][]byte, error) {
	for range count {
		e, err := n.element()
		if err != nil {
			return list, err
		}
		s := e.text
		if e.number {
			// What earlier elements have in text stays when that grows.
			from := len(*text)
			*text = strconv.AppendInt(*text, e.num, 10)
			s = (*text)[from:]
		}
		list = append(list, s)
	}
	return list, nil
}
