package rdb

import (
	"encoding/binary"
	"strconv"
)

// String is the content of a string key.
type String []byte

func (String) typeByte() byte { return typeString }

func (s String) write(w *Writer) { w.string(s) }

func (String) check(*checker) error { return nil }

func readString(d *decoder, _ byte) (Value, func() error, error) {
	b, err := d.keep()
	return String(b), nothingLeft, err
}

// maxIntText is the length up to which Redis looks for an integer.
const maxIntText = 11

// string writes b as Redis does: the decimal text of a 32-bit integer as that,
// all else as it is.
func (w *Writer) string(b []byte) {
	if len(b) > maxIntText || !w.integer(b) {
		w.length(uint64(len(b)))
		w.write(b)
	}
}

// integer writes b as an integer if it is exactly the text of one.
func (w *Writer) integer(b []byte) bool {
	v, ok := exactInt(b)
	if !ok || int64(int32(v)) != v {
		return false
	}
	p := w.small[:0]
	switch {
	case int64(int8(v)) == v:
		p = append(p, special+encInt8, byte(v))
	case int64(int16(v)) == v:
		p = binary.LittleEndian.AppendUint16(append(p, special+encInt16), uint16(v))
	default:
		p = binary.LittleEndian.AppendUint32(append(p, special+encInt32), uint32(v))
	}
	w.write(p)
	return true
}

// maxInt64Text is the length of the longest text of an integer.
const maxInt64Text = 20

// exactInt is the integer that is written as b and not otherwise.
func exactInt(b []byte) (v int64, ok bool) {
	if len(b) == 0 || len(b) > maxInt64Text || b[0] > '9' {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	var text [maxInt64Text]byte
	return v, err == nil && string(strconv.AppendInt(text[:0], v, 10)) == string(b)
}
