package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// writerBuffer is how much is written at a time.
const writerBuffer = 64 << 10

// CountError is a collection that handed over more or fewer elements than it
// said: what was written is of no use.
type CountError struct{ Want, Have int }

func (e *CountError) Error() string {
	return fmt.Sprintf("rdb: a collection of %d elements has %d", e.Want, e.Have)
}

var errMinDeadline = errors.New("rdb: a field has a deadline before the first of its hash")

// Writer writes one file. The first error stays, and Close returns it.
type Writer struct {
	out   io.Writer // nil where buf takes it all
	buf   []byte
	sum   checksum
	db    int
	err   error
	small [16]byte
}

// NewWriter begins a file.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, buf: make([]byte, 0, writerBuffer), db: -1}
	w.write(fmt.Appendf(nil, "%s%04d", magic, oldVersion))
	return w
}

// Aux writes a named note about the file.
func (w *Writer) Aux(name, text string) {
	w.byte(opAux)
	w.string([]byte(name))
	w.string([]byte(text))
}

// SelectDB says that the entries that follow belong to database db, which has
// so many keys, and so many of them with a deadline.
func (w *Writer) SelectDB(db, keys, expires int) {
	w.byte(opSelectDB)
	w.length(uint64(db))
	w.byte(opResizeDB)
	w.length(uint64(keys))
	w.length(uint64(expires))
	w.db = db
}

// Entry writes a key of the selected database, and reports an error early so
// that a long walk can end.
func (w *Writer) Entry(e Entry) error {
	if e.DB != w.db {
		panic("rdb: an entry of a database that is not selected")
	}
	if e.DeadlineMs != 0 {
		w.byte(opExpireMs)
		w.uint64(uint64(e.DeadlineMs))
	}
	w.byte(e.Value.typeByte())
	w.string(e.Key)
	e.Value.write(w)
	return w.err
}

// Close ends the file with its checksum. It does not close what it wrote to.
func (w *Writer) Close() error {
	w.byte(opEOF)
	w.flush()
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(w.sum))
	w.flush()
	return w.err
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) byte(b byte) { w.write(append(w.small[:0], b)) }

// uint64 writes what has 8 bytes whatever its size: moments, scores.
func (w *Writer) uint64(v uint64) { w.write(binary.LittleEndian.AppendUint64(w.small[:0], v)) }

// length writes n in its shortest form.
func (w *Writer) length(n uint64) {
	p := w.small[:0]
	switch {
	case n < 1<<6:
		p = append(p, len6<<6|byte(n))
	case n < 1<<14:
		p = append(p, len14<<6|byte(n>>8), byte(n))
	case n < 1<<32:
		p = binary.BigEndian.AppendUint32(append(p, len32), uint32(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, len64), n)
	}
	w.write(p)
}

func (w *Writer) write(p []byte) {
	if w.out != nil && len(w.buf)+len(p) > writerBuffer {
		w.flush()
		if len(p) > writerBuffer {
			w.send(p)
			return
		}
	}
	w.buf = append(w.buf, p...)
}

func (w *Writer) flush() {
	w.send(w.buf)
	w.buf = w.buf[:0]
}

func (w *Writer) send(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	w.sum.add(p)
	_, w.err = w.out.Write(p)
}
