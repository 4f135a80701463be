package rdb

// List is the content of a list.
type List struct {
	// Len is the number of elements. Where a value was read it is what the
	// file claims, or -1 where that says nothing; from ReadDump it is right.
	Len      int
	Elements Seq[[]byte]
}

func (List) typeByte() byte { return typeList }

func (l List) write(w *Writer) { writeTexts(w, l.Len, l.Elements) }

func (l List) check(c *checker) error {
	for _, err := range l.Elements {
		if err != nil {
			return err
		}
		c.count++
	}
	return nil
}

// Kinds of nodes of a quicklist.
const (
	nodePlain  = 1 // one element
	nodePacked = 2 // a listpack
)

func readList(d *decoder, code byte) (Value, func() error, error) {
	switch code {
	case typeList:
		n, seq, finish, err := readTexts(d)
		return List{n, seq}, finish, err
	case typeListZiplist:
		n, seq, finish, err := readBlockTexts(d, code)
		return List{n, seq}, finish, err
	}
	nodes, err := d.count()
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func([]byte)) error {
		for range nodes {
			if err := d.node(code, emit); err != nil {
				return err
			}
		}
		return nil
	})
	return List{unknownLen, seq}, finish, nil
}

// node reads one node of a quicklist.
func (d *decoder) node(code byte, emit func([]byte)) error {
	if code == typeListQuicklist2 {
		at := d.offset()
		kind, err := d.length()
		switch {
		case err != nil:
			return err
		case kind == nodePlain:
			b, err := d.string(&d.first)
			if err == nil {
				emit(b)
			}
			return err
		case kind != nodePacked:
			return d.damaged(at, "unknown kind of a list's node")
		}
	}
	w, err := d.blockOf(code)
	if err != nil {
		return err
	}
	return d.texts(w, emit)
}

// texts emits all elements of a block.
func (d *decoder) texts(w block, emit func([]byte)) error {
	var t [1]element
	return d.tuples(w, t[:], func() error {
		emit(t[0].string(&d.first))
		return nil
	})
}

// readTexts reads strings one after the other.
func readTexts(d *decoder) (n int, seq Seq[[]byte], finish func() error, err error) {
	if n, err = d.count(); err != nil {
		return 0, nil, nil, err
	}
	seq, finish = once(func(emit func([]byte)) error {
		for range n {
			b, err := d.string(&d.first)
			if err != nil {
				return err
			}
			emit(b)
		}
		return nil
	})
	return n, seq, finish, nil
}

// readBlockTexts reads strings in a block.
func readBlockTexts(d *decoder, code byte) (n int, seq Seq[[]byte], finish func() error, err error) {
	w, err := d.blockOf(code)
	if err != nil {
		return 0, nil, nil, err
	}
	seq, finish = once(func(emit func([]byte)) error { return d.texts(w, emit) })
	return w.claimed(), seq, finish, nil
}

// writeTexts writes n strings one after the other.
func writeTexts(w *Writer, n int, seq Seq[[]byte]) {
	writeCounted(w, n, seq, w.string)
}

// writeCounted writes a number and so many elements.
func writeCounted[T any](w *Writer, n int, seq Seq[T], write func(T)) {
	w.length(uint64(n))
	seen := 0
	for v, err := range seq {
		if err != nil {
			w.fail(err)
		}
		if w.err != nil {
			return
		}
		write(v)
		seen++
	}
	if seen != n {
		w.fail(&CountError{Want: n, Have: seen})
	}
}
