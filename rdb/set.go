package rdb

// Set is the content of a set.
type Set struct {
	Len     int // as List's
	Members Seq[[]byte]
}

func (Set) typeByte() byte { return typeSet }

func (s Set) write(w *Writer) { writeTexts(w, s.Len, s.Members) }

func (s Set) check(c *checker) error {
	for b, err := range s.Members {
		if err != nil {
			return err
		}
		c.name(b)
	}
	return nil
}

func readSet(d *decoder, code byte) (Value, func() error, error) {
	read := func() (int, Seq[[]byte], func() error, error) { return readBlockTexts(d, code) }
	if code == typeSet {
		read = func() (int, Seq[[]byte], func() error, error) { return readTexts(d) }
	}
	n, seq, finish, err := read()
	return Set{n, seq}, finish, err
}
