package rdb

import (
	"encoding/binary"
	"strconv"
)

// String is the content of a string key.
type String []byte

func (String) typeByte() byte { return typeString }

func (s String) write(w *Writer) { w.string(s) }

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
	v, err := strconv.ParseInt(string(b), 10, 32)
	var text [maxIntText]byte
	if err != nil || string(strconv.AppendInt(text[:0], v, 10)) != string(b) {
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

func readString(r *Reader) (Value, error) {
	b, err := r.string()
	return String(b), err
}

// string reads a string in any encoding.
func (r *Reader) string() ([]byte, error) {
	at := r.offset
	n, encoded, err := r.lengthOrEncoding()
	if err != nil {
		return nil, err
	}
	if !encoded {
		return r.bytes(n)
	}
	switch n {
	case encInt8:
		b, err := r.take(1)
		if err != nil {
			return nil, err
		}
		return strconv.AppendInt(nil, int64(int8(b[0])), 10), nil
	case encInt16:
		b, err := r.take(2)
		if err != nil {
			return nil, err
		}
		return strconv.AppendInt(nil, int64(int16(binary.LittleEndian.Uint16(b))), 10), nil
	case encInt32:
		b, err := r.take(4)
		if err != nil {
			return nil, err
		}
		return strconv.AppendInt(nil, int64(int32(binary.LittleEndian.Uint32(b))), 10), nil
	case encLZF:
		return r.compressed(at)
	}
	return nil, &FormatError{at, "unknown encoding of a string: " + strconv.FormatUint(n, 10)}
}

// compressed reads a string that LZF made smaller.
func (r *Reader) compressed(at int64) ([]byte, error) {
	packed, err := r.length()
	if err != nil {
		return nil, err
	}
	size, err := r.length()
	if err != nil {
		return nil, err
	}
	if size > MaxStringBytes || size > packed*maxLZFRatio {
		return nil, &FormatError{at, "a compressed string claims an impossible length"}
	}
	p, err := r.bytes(packed)
	if err != nil {
		return nil, err
	}
	b, ok := decompressLZF(p, int(size))
	if !ok {
		return nil, &FormatError{at, "a compressed string is damaged"}
	}
	return b, nil
}
