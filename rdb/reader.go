package rdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	readerBuffer = 64 << 10
	// maxAuxBytes bounds a note about the file; Redis' are a few bytes long.
	maxAuxBytes = 1 << 20
)

// Reader reads one file.
type Reader struct {
	in      *bufio.Reader
	sum     checksum
	offset  int64
	version int
	db      int
	small   [8]byte
}

// NewReader makes a reader of in, which may be read beyond the end of the
// file's data.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, readerBuffer), sum: newChecksum()}
}

// Version is the format version that the file gives, 0 before the first Next.
func (r *Reader) Version() int { return r.version }

// Offset is how many bytes have been read.
func (r *Reader) Offset() int64 { return r.offset }

// Next is the next key, which the caller may keep. It returns io.EOF at the
// end, after the checksum was found right.
func (r *Reader) Next() (Entry, error) {
	if r.version == 0 {
		if err := r.header(); err != nil {
			return Entry{}, err
		}
	}
	deadlineMs := int64(0)
	for {
		at := r.offset
		b, err := r.take(1)
		if err != nil {
			return Entry{}, err
		}
		switch code := b[0]; code {
		case opEOF:
			return Entry{}, r.end()
		case opExpireMs:
			if b, err = r.take(8); err == nil {
				deadlineMs = deadline(int64(binary.LittleEndian.Uint64(b)))
			}
		case opExpireSec:
			if b, err = r.take(4); err == nil {
				deadlineMs = deadline(int64(int32(binary.LittleEndian.Uint32(b))) * 1000)
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
			_, err = r.take(1)
		default:
			e := Entry{DB: r.db, DeadlineMs: deadlineMs}
			if e.Key, e.Value, err = r.key(at, code); err != nil {
				return Entry{}, err
			}
			return e, nil
		}
		if err != nil {
			return Entry{}, err
		}
	}
}

// key reads a key and its value, whose type byte was at offset at.
func (r *Reader) key(at int64, code byte) (key []byte, v Value, err error) {
	value := valueReader(code)
	if value == nil {
		return nil, nil, &UnsupportedError{at, code}
	}
	if key, err = r.string(); err == nil {
		v, err = value(r)
	}
	return key, v, err
}

// valueReader reads values of a type, nil for an unknown one.
func valueReader(code byte) func(*Reader) (Value, error) {
	switch code {
	case typeString:
		return readString
	}
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
	b, err := r.bytes(uint64(headerLen))
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
	at, sum := r.offset, r.sum.sum
	b, err := r.take(8)
	if err != nil {
		return err
	}
	if stored := binary.LittleEndian.Uint64(b); stored != 0 && stored != sum {
		return &FormatError{at, fmt.Sprintf("wrong checksum: the file says %016x, its content %016x", stored, sum)}
	}
	return io.EOF
}

func (r *Reader) selectDB(at int64) error {
	n, err := r.length()
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
		at := r.offset
		b, err := r.string()
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
		if _, err := r.length(); err != nil {
			return err
		}
	}
	return nil
}

// length reads a length where no special encoding may stand.
func (r *Reader) length() (uint64, error) {
	at := r.offset
	n, encoded, err := r.lengthOrEncoding()
	if err == nil && encoded {
		err = &FormatError{at, "a length is missing"}
	}
	return n, err
}

func (r *Reader) lengthOrEncoding() (n uint64, encoded bool, err error) {
	at := r.offset
	b, err := r.take(1)
	if err != nil {
		return 0, false, err
	}
	first := b[0]
	switch first >> 6 {
	case len6:
		return uint64(first), false, nil
	case len14:
		b, err = r.take(1)
		if err != nil {
			return 0, false, err
		}
		return uint64(first&0x3f)<<8 | uint64(b[0]), false, nil
	case lenEn:
		return uint64(first & 0x3f), true, nil
	}
	switch first {
	case len32:
		if b, err = r.take(4); err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(b)), false, nil
	case len64:
		if b, err = r.take(8); err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(b), false, nil
	}
	return 0, false, &FormatError{at, "unknown form of a length"}
}

// take reads up to 8 bytes, valid until the next take.
func (r *Reader) take(n int) ([]byte, error) {
	b := r.small[:n]
	return b, r.fill(b)
}

// chunk is how much a claimed length may reserve before bytes arrive.
const chunk = 1 << 20

// bytes reads n bytes; memory grows with what arrives.
func (r *Reader) bytes(n uint64) ([]byte, error) {
	if n > MaxStringBytes {
		return nil, &FormatError{r.offset, "a string is longer than 2 GB"}
	}
	left := int(n)
	b := make([]byte, min(left, chunk))
	if err := r.fill(b); err != nil {
		return nil, err
	}
	for left -= len(b); left > 0; {
		have, more := len(b), min(left, len(b))
		b = append(b, make([]byte, more)...)
		if err := r.fill(b[have:]); err != nil {
			return nil, err
		}
		left -= more
	}
	return b, nil
}

func (r *Reader) fill(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.offset += int64(n)
	r.sum.add(b[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w, at offset %d", ErrTruncated, r.offset)
	}
	return err
}
