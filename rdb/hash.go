package rdb

import "encoding/binary"

// Hash is the content of a hash.
type Hash struct {
	Len int // as List's
	// MinDeadlineMs is not after the first deadline of a field, 0 where no
	// field has one: then servers before Redis 7.4 load the hash. It is 0 too
	// in what was read: its fields tell.
	MinDeadlineMs int64
	Fields        Seq[Field]
}

// Field is one field of a hash.
type Field struct {
	Name, Value []byte
	DeadlineMs  int64 // in milliseconds since the epoch, 0 for none
}

// maxFieldDeadlineMs is what Redis 7.4 can hold.
const maxFieldDeadlineMs = 1<<48 - 2

func (h Hash) typeByte() byte {
	if h.MinDeadlineMs != 0 {
		return typeHashTimed
	}
	return typeHash
}

func (h Hash) write(w *Writer) {
	if h.MinDeadlineMs == 0 {
		writeCounted(w, h.Len, h.Fields, func(f Field) {
			if f.DeadlineMs != 0 {
				w.fail(errMinDeadline)
			}
			w.string(f.Name)
			w.string(f.Value)
		})
		return
	}
	w.uint64(uint64(h.MinDeadlineMs))
	writeCounted(w, h.Len, h.Fields, func(f Field) {
		left := int64(0) // from the first deadline, and 1 more
		if f.DeadlineMs != 0 {
			if left = f.DeadlineMs - h.MinDeadlineMs + 1; left <= 0 {
				w.fail(errMinDeadline)
			}
		}
		w.length(uint64(left))
		w.string(f.Name)
		w.string(f.Value)
	})
}

func (h Hash) check(c *checker) error {
	for f, err := range h.Fields {
		if err != nil {
			return err
		}
		c.name(f.Name)
	}
	return nil
}

func readHash(d *decoder, code byte) (Value, func() error, error) {
	if code != typeHash {
		return readPackedHash(d, code, 2)
	}
	n, err := d.count()
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func(Field)) error {
		for range n {
			f, err := d.field()
			if err != nil {
				return err
			}
			emit(f)
		}
		return nil
	})
	return Hash{Len: n, Fields: seq}, finish, nil
}

// field reads a name and a value.
func (d *decoder) field() (f Field, err error) {
	if f.Name, err = d.string(&d.first); err == nil {
		f.Value, err = d.string(&d.second)
	}
	return f, err
}

// readPackedHash reads a block of names and values, and deadlines where a
// tuple has three.
func readPackedHash(d *decoder, code byte, tuple int) (Value, func() error, error) {
	w, err := d.blockOf(code)
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func(Field)) error {
		var t [3]element
		return d.tuples(w, t[:tuple], func() error {
			f := Field{Name: t[0].string(&d.first), Value: t[1].string(&d.second), DeadlineMs: t[2].num}
			if tuple == 3 && (!t[2].number || !validFieldDeadline(uint64(f.DeadlineMs))) {
				return d.damaged(d.offset(), "impossible deadline of a field")
			}
			emit(f)
			return nil
		})
	})
	return Hash{Len: tuplesClaimed(w, tuple), Fields: seq}, finish, nil
}

func validFieldDeadline(ms uint64) bool { return ms <= maxFieldDeadlineMs }

func readPackedTimedHash(d *decoder, code byte) (Value, func() error, error) {
	if code == typeHashPacked {
		if _, err := d.take(8); err != nil { // the first deadline, which the fields tell too
			return nil, nil, err
		}
	}
	return readPackedHash(d, code, 3)
}

// readTimedHash reads fields after their deadlines: absolute in the early form,
// then counted from the first deadline, which is 1.
func readTimedHash(d *decoder, code byte) (Value, func() error, error) {
	from := uint64(1)
	if code == typeHashTimed {
		b, err := d.take(8)
		if err != nil {
			return nil, nil, err
		}
		if from = binary.LittleEndian.Uint64(b); !validFieldDeadline(from) {
			return nil, nil, d.damaged(d.offset(), "impossible deadline of a field")
		}
	}
	n, err := d.count()
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func(Field)) error {
		for range n {
			left, err := d.length()
			if err != nil {
				return err
			}
			f, err := d.field()
			if err != nil {
				return err
			}
			if left != 0 {
				f.DeadlineMs = int64(from + left - 1)
				if !validFieldDeadline(left) || !validFieldDeadline(uint64(f.DeadlineMs)) {
					return d.damaged(d.offset(), "impossible deadline of a field")
				}
			}
			emit(f)
		}
		return nil
	})
	return Hash{Len: n, Fields: seq}, finish, nil
}
