package rdb

import "strconv"

// Redis keeps a small collection as one block of bytes and saves it as it is:
// listpack, ziplist, zipmap, intset.

// element is one string of a block, or a number that stands for its text.
type element struct {
	text   []byte // in the block
	num    int64
	number bool
}

// string is the element as text, valid as long as the block or until *buf is
// used again.
func (e element) string(buf *[]byte) []byte {
	if !e.number {
		return e.text
	}
	*buf = strconv.AppendInt((*buf)[:0], e.num, 10)
	return *buf
}

// block walks over the elements of a block and checks it on the way.
type block interface {
	// claimed is how many elements there should be, unknownLen where the block
	// does not say.
	claimed() int
	// next is the next element; more is false after the last, when the block
	// was found right as a whole.
	next() (e element, more bool, err error)
}

// damage is what is wrong with a block.
type damage string

func (d damage) Error() string { return string(d) }

// openBlock makes the walk over b in the form of a type of value.
func openBlock(code byte, b []byte) (block, error) {
	switch code {
	case typeListZiplist, typeListQuicklist, typeZSetZiplist, typeHashZiplist:
		return openZiplist(b)
	case typeSetIntset:
		return openIntset(b)
	case typeHashZipmap:
		return openZipmap(b)
	}
	return openListpack(b)
}

// blockOf reads the block that a value of a type, or a part of it, consists of.
func (d *decoder) blockOf(code byte) (block, error) {
	at := d.offset()
	b, err := d.string(&d.block)
	if err != nil {
		return nil, err
	}
	w, err := openBlock(code, b)
	if err != nil {
		return nil, d.damaged(at, err.Error())
	}
	return w, nil
}

// tuples hands over the elements of w in groups of len(t), which is what emit
// finds in t.
func (d *decoder) tuples(w block, t []element, emit func() error) error {
	for {
		for i := range t {
			e, more, err := w.next()
			if err == nil && !more {
				if i == 0 {
					return nil
				}
				err = damage("a block ends inside a pair")
			}
			if err != nil {
				return d.damaged(d.offset(), err.Error())
			}
			t[i] = e
		}
		if err := emit(); err != nil {
			return err
		}
	}
}

// tuplesClaimed is how many groups of n elements w should have.
func tuplesClaimed(w block, n int) int {
	if claimed := w.claimed(); claimed != unknownLen {
		return claimed / n
	}
	return unknownLen
}
