package resp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/redcon"
)

// Writer collects the replies of one session in a growing buffer that it owns. The zero value speaks RESP2 with the
// formats of Redis 7.2. Containers are written as a header followed by their elements; it is the caller who sees that
// as many follow as were announced.
type Writer struct {
	buf    []byte
	resp3  bool
	compat Compat
}

// Proto returns the protocol version, 2 or 3.
func (w *Writer) Proto() int {
	if w.resp3 {
		return 3
	}
	return 2
}

// SetProto chooses the protocol of what is appended from now on; 3 is RESP3, anything else RESP2.
func (w *Writer) SetProto(version int) { w.resp3 = version == 3 }

// Compat returns the Redis release whose formats are written.
func (w *Writer) Compat() Compat { return w.compat }

// SetCompat chooses the Redis release whose formats are written from now on.
func (w *Writer) SetCompat(c Compat) { w.compat = c }

// Len returns the number of bytes collected.
func (w *Writer) Len() int { return len(w.buf) }

// Truncate drops all but the first n bytes, to undo replies. It does nothing if there are not more than n.
func (w *Writer) Truncate(n int) {
	if n >= 0 && n < len(w.buf) {
		w.buf = w.buf[:n]
	}
}

// Bytes returns the bytes collected. They belong to the Writer and are valid until the next call that changes it.
func (w *Writer) Bytes() []byte { return w.buf }

// Reset drops the bytes collected and keeps the buffer.
func (w *Writer) Reset() { w.buf = w.buf[:0] }

// Take hands the buffer with the bytes collected over to the caller and leaves the Writer empty.
func (w *Writer) Take() []byte {
	b := w.buf
	w.buf = nil
	return b
}

// Lend gives the Writer, which must be empty, memory to write into: it owns buf until Take.
func (w *Writer) Lend(buf []byte) { w.buf = buf[:0] }

// Raw appends bytes that are encoded already.
func (w *Writer) Raw(b []byte) { w.buf = append(w.buf, b...) }

// PatchBytes overwrites bytes that were appended at offset, for fields of fixed width whose value comes late. Offsets
// behind a Mark move when EndArray has to widen the header. A range that was not appended is a bug of the caller.
func (w *Writer) PatchBytes(offset int, b []byte) {
	copy(w.buf[offset:offset+len(b)], b)
}

// OK appends +OK.
func (w *Writer) OK() { w.buf = redcon.AppendOK(w.buf) }

// SimpleString appends a status reply; CR and LF become spaces.
func (w *Writer) SimpleString(s string) { w.buf = redcon.AppendString(w.buf, s) }

// Error appends an error reply. As in Redis line ends at the end are dropped, others become spaces.
func (w *Writer) Error(e Error) {
	w.buf = redcon.AppendError(w.buf, strings.TrimRight(string(e), "\r\n"))
}

// Int appends an integer.
func (w *Writer) Int(n int64) { w.buf = redcon.AppendInt(w.buf, n) }

// Bulk appends a copy of b as a bulk string; nil is the empty string, not null.
func (w *Writer) Bulk(b []byte) {
	n := len(b)
	if n > 99 {
		w.buf = redcon.AppendBulk(w.buf, b)
		return
	}
	// What most replies consist of: the header is written in place.
	w.buf = slices.Grow(w.buf, n+shortBulk)
	at := len(w.buf)
	head := w.buf[at : at+shortBulk : at+shortBulk]
	head[0] = '$'
	i := 1
	if n > 9 {
		head[i] = byte('0' + n/10)
		i++
	}
	head[i], head[i+1], head[i+2] = byte('0'+n%10), '\r', '\n'
	buf := append(w.buf[:at+i+3], b...)
	w.buf = append(buf, '\r', '\n')
}

// shortBulk is the most that surrounds a bulk string of two digits' length.
const shortBulk = len("$99\r\n\r\n")

// BulkString appends s as a bulk string.
func (w *Writer) BulkString(s string) { w.buf = redcon.AppendBulkString(w.buf, s) }

// Null appends the null of a missing value: $-1, in RESP3 _.
func (w *Writer) Null() {
	if w.resp3 {
		w.buf = append(w.buf, "_\r\n"...)
		return
	}
	w.buf = redcon.AppendNull(w.buf)
}

// NullArray appends the null of a missing array: *-1, in RESP3 _.
func (w *Writer) NullArray() {
	if w.resp3 {
		w.buf = append(w.buf, "_\r\n"...)
		return
	}
	w.buf = append(w.buf, "*-1\r\n"...)
}

// Array begins an array of n elements.
func (w *Writer) Array(n int) { w.buf = redcon.AppendArray(w.buf, n) }

// Map begins a map of key and value pairs, in RESP2 an array of twice as many elements.
func (w *Writer) Map(pairs int) { w.header(kindMap, pairs) }

// Set begins a set of n elements, in RESP2 an array.
func (w *Writer) Set(n int) { w.header(kindSet, n) }

// Push begins an out-of-band message of n elements, in RESP2 an array.
func (w *Writer) Push(n int) { w.header(kindPush, n) }

// Attribute begins attributes of the reply that follows. RESP2 has none and nothing is written: the caller must then
// leave the pairs out too.
func (w *Writer) Attribute(pairs int) {
	if w.resp3 {
		w.header(kindAttribute, pairs)
	}
}

// StringArray appends an array of bulk strings.
func (w *Writer) StringArray(list []string) {
	w.Array(len(list))
	for _, s := range list {
		w.BulkString(s)
	}
}

// Double appends a double: in RESP2 a bulk string.
func (w *Writer) Double(f float64) {
	var scratch [32]byte
	text := AppendDouble(scratch[:0], f, w.compat)
	if !w.resp3 {
		w.Bulk(text)
		return
	}
	w.buf = append(w.buf, ',')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, "\r\n"...)
}

// DoubleText appends a double given in decimal, which may be more precise than a float64: in RESP2 a bulk string.
func (w *Writer) DoubleText(decimal []byte) {
	if !w.resp3 {
		w.Bulk(decimal)
		return
	}
	w.buf = append(w.buf, ',')
	w.buf = append(w.buf, decimal...)
	w.buf = append(w.buf, "\r\n"...)
}

// Bool appends a truth value: in RESP2 the integer 1 or 0.
func (w *Writer) Bool(b bool) {
	reply := ":0\r\n"
	switch {
	case w.resp3 && b:
		reply = "#t\r\n"
	case w.resp3:
		reply = "#f\r\n"
	case b:
		reply = ":1\r\n"
	}
	w.buf = append(w.buf, reply...)
}

// BigNumber appends an integer of any size, given in decimal: in RESP2 a bulk string.
func (w *Writer) BigNumber(decimal string) {
	if !w.resp3 {
		w.BulkString(decimal)
		return
	}
	w.buf = append(w.buf, '(')
	w.buf = append(w.buf, decimal...)
	w.buf = append(w.buf, "\r\n"...)
}

// Verbatim appends text with a hint of its format, three characters such as "txt" or "mkd": in RESP2 a bulk string.
func (w *Writer) Verbatim(ext, text string) {
	if !w.resp3 {
		w.BulkString(text)
		return
	}
	w.count('=', len(ext)+1+len(text))
	w.buf = append(w.buf, ext...)
	w.buf = append(w.buf, ':')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, "\r\n"...)
}

// Help appends the reply of a HELP subcommand: a status reply per line.
func (w *Writer) Help(lines []string) {
	w.Array(len(lines))
	for _, line := range lines {
		w.SimpleString(line)
	}
}

// Kinds of containers, by their RESP3 type byte.
const (
	kindArray     byte = '*'
	kindMap       byte = '%'
	kindSet       byte = '~'
	kindPush      byte = '>'
	kindAttribute byte = '|'
)

func (w *Writer) header(kind byte, n int) {
	kind, n = w.shape(kind, n)
	w.count(kind, n)
}

func (w *Writer) count(kind byte, n int) {
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.buf = append(w.buf, "\r\n"...)
}

// shape translates a container and its size to the protocol in use.
func (w *Writer) shape(kind byte, n int) (byte, int) {
	if w.resp3 {
		return kind, n
	}
	if kind == kindMap {
		n *= 2
	}
	return kindArray, n
}

// Mark is an open container whose size is not known yet. Marks are closed innermost first.
type Mark struct {
	offset int
	kind   byte
}

// openHeader is what stands in the buffer for an open container; EndArray widens it where the size has more digits.
const openHeader = "*0\r\n"

// ArrayLater begins an array whose size EndArray tells.
func (w *Writer) ArrayLater() Mark { return w.later(kindArray) }

// SetLater begins a set whose size EndArray tells.
func (w *Writer) SetLater() Mark { return w.later(kindSet) }

// MapLater begins a map whose number of pairs EndArray tells.
func (w *Writer) MapLater() Mark { return w.later(kindMap) }

func (w *Writer) later(kind byte) Mark {
	m := Mark{offset: len(w.buf), kind: kind}
	w.buf = append(w.buf, openHeader...)
	return m
}

// EndArray closes a container that has n elements, or n pairs where it is a map.
func (w *Writer) EndArray(m Mark, n int) {
	kind, n := w.shape(m.kind, n)
	var scratch [24]byte
	header := append(scratch[:0], kind)
	header = strconv.AppendInt(header, int64(n), 10)
	header = append(header, "\r\n"...)
	if wider := len(header) - len(openHeader); wider > 0 {
		end := len(w.buf)
		w.buf = append(w.buf, header[:wider]...) // any bytes: room at the end
		copy(w.buf[m.offset+len(header):], w.buf[m.offset+len(openHeader):end])
	}
	copy(w.buf[m.offset:], header)
}
