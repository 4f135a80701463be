package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
)

// maxAuxBytes bounds a note about the file; Redis' are a few bytes long.
const maxAuxBytes = 1 << 20

// Reader reads one file. Its first error stays.
type Reader struct {
	d       decoder
	version int
	db      int
	finish  func() error // of the value that was returned last
	err     error
}

// NewReader makes a reader of in, which may be read beyond the end of the
// file's data.
func NewReader(in io.Reader) *Reader {
	return &Reader{d: streamDecoder(in), finish: nothingLeft}
}

// Version is the format version that the file gives, 0 before the first Next.
func (r *Reader) Version() int { return r.version }

// Offset is how many bytes have been read.
func (r *Reader) Offset() int64 { return r.d.offset() }

// Next is the next key. It returns io.EOF at the end, after the checksum was
// found right. Redis 7.0 loads no key where a collection has no elements,
// which only a faulty server has written.
func (r *Reader) Next() (Entry, error) {
	if r.err == nil {
		r.err = r.finish()
		r.finish = nothingLeft
	}
	if r.err == nil && r.version == 0 {
		r.err = r.header()
	}
	if r.err != nil {
		return Entry{}, r.err
	}
	e, err := r.next()
	if err != nil {
		r.err = err
		return Entry{}, err
	}
	return e, nil
}

func (r *Reader) next() (e Entry, err error) {
	e.DB = -1
	for e.DB < 0 {
		at := r.d.offset()
		code, err := r.d.byte()
		if err != nil {
			return e, err
		}
		switch code {
		case opEOF:
			return e, r.end()
		case opExpireMs:
			var ms uint64
			if ms, err = r.d.uint64(); err == nil {
				e.DeadlineMs = deadline(int64(ms))
			}
		case opExpireSec:
			var b []byte
			if b, err = r.d.take(4); err == nil {
				e.DeadlineMs = deadline(int64(int32(binary.LittleEndian.Uint32(b))) * 1000)
			}
		case opSelectDB:
			err = r.selectDB(at)
		case opAux:
			err = r.skipAux()
		case opResizeDB:
			err = r.skipLengths(2)
		case opSlotInfo:
			err = r.skipLengths(3)
		case opIdle:
			err = r.skipLengths(1)
		case opFreq:
			_, err = r.d.byte()
		default:
			e.DB = r.db
			err = r.key(&e, at, code)
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// key reads a key and its value, whose type byte was at offset at.
func (r *Reader) key(e *Entry, at int64, code byte) (err error) {
	read := readerOf(code)
	if read == nil {
		return &UnsupportedError{at, code}
	}
	if e.Key, err = r.d.keep(); err != nil {
		return err
	}
	v, finish, err := read(&r.d, code)
	if err != nil {
		return err
	}
	e.Value, r.finish = v, finish
	return nil
}

// deadline is ms in the words of Entry. Redis writes -1 for none; what lies at
// or before 1970 has passed long ago.
func deadline(ms int64) int64 {
	if ms == -1 {
		return 0
	}
	return max(ms, 1)
}

func (r *Reader) header() error {
	var own []byte
	b, err := r.d.bytes(uint64(headerLen), &own)
	if err != nil {
		return err
	}
	if string(b[:len(magic)]) != magic {
		return &FormatError{0, "wrong signature: not an RDB file"}
	}
	v, err := strconv.ParseUint(string(b[len(magic):]), 10, 16)
	if err != nil || v < oldestVersion || v > newestVersion {
		return &FormatError{int64(len(magic)), fmt.Sprintf("format version %q is not between %d and %d", b[len(magic):], oldestVersion, newestVersion)}
	}
	r.version = int(v)
	return nil
}

// end checks the checksum; 0 says that the writer made none.
func (r *Reader) end() error {
	at, sum := r.d.offset(), uint64(r.d.checksum())
	stored, err := r.d.uint64()
	if err != nil {
		return err
	}
	if stored != 0 && stored != sum {
		return &FormatError{at, fmt.Sprintf("wrong checksum: the file says %016x, its content %016x", stored, sum)}
	}
	return io.EOF
}

func (r *Reader) selectDB(at int64) error {
	n, err := r.d.length()
	if err != nil {
		return err
	}
	if n > 1<<31-1 {
		return &FormatError{at, "impossible database number"}
	}
	r.db = int(n)
	return nil
}

func (r *Reader) skipAux() error {
	for range 2 {
		at := r.d.offset()
		b, err := r.d.string(&r.d.first)
		if err != nil {
			return err
		}
		if len(b) > maxAuxBytes {
			return &FormatError{at, "a note about the file is too long"}
		}
	}
	return nil
}

func (r *Reader) skipLengths(n int) error {
	for range n {
		if _, err := r.d.length(); err != nil {
			return err
		}
	}
	return nil
}
