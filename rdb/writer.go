package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
)

// writerBuffer is how much is written at a time.
const writerBuffer = 64 << 10

// Writer writes one file. The first error stays, and Close returns it.
type Writer struct {
	out   io.Writer
	buf   []byte
	sum   checksum
	db    int
	err   error
	small [16]byte
}

// NewWriter begins a file in the oldest version that holds every Value of this
// package.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, buf: make([]byte, 0, writerBuffer), sum: newChecksum(), db: -1}
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
		w.write(binary.LittleEndian.AppendUint64(w.small[:0], uint64(e.DeadlineMs)))
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
	w.buf = binary.LittleEndian.AppendUint64(w.buf, w.sum.sum)
	w.flush()
	return w.err
}

func (w *Writer) byte(b byte) { w.write(append(w.small[:0], b)) }

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
	if len(w.buf)+len(p) > writerBuffer {
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
