package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	decoderBuffer = 64 << 10
	// chunk is how much a claimed length may reserve before bytes arrive.
	chunk = 1 << 20
)

// decoder reads the small parts that everything consists of, from a stream
// (which it sums up) or from memory (which strings then alias).
type decoder struct {
	in   io.Reader // nil where window is all there is
	sum  checksum  // of what was read from in, but for window[summed:pos]
	base int64     // offset of window[0]

	window      []byte
	pos, summed int // read and summed up so far

	// Where strings are read to that nobody keeps.
	first, second, block, packed []byte
}

func streamDecoder(in io.Reader) decoder {
	return decoder{in: in, window: make([]byte, 0, decoderBuffer)}
}

// offset is how many bytes were read.
func (d *decoder) offset() int64 { return d.base + int64(d.pos) }

func (d *decoder) checksum() checksum {
	d.sum.add(d.window[d.summed:d.pos])
	d.summed = d.pos
	return d.sum
}

func (d *decoder) damaged(at int64, reason string) error { return &FormatError{at, reason} }

// truncated is the error of an input of n bytes that should go on.
func truncated(n int64) error { return fmt.Errorf("%w, at offset %d", ErrTruncated, n) }

// take reads up to 16 bytes, valid until anything else is read.
func (d *decoder) take(n int) ([]byte, error) {
	if len(d.window)-d.pos < n {
		if err := d.refill(n); err != nil {
			return nil, err
		}
	}
	d.pos += n
	return d.window[d.pos-n : d.pos : d.pos], nil
}

// refill moves what is left to the front of the window and adds to it, until
// n bytes are there.
func (d *decoder) refill(n int) error {
	if d.in == nil {
		d.pos = len(d.window)
		return truncated(d.offset())
	}
	d.checksum()
	d.base += int64(d.pos)
	have := copy(d.window[:cap(d.window)], d.window[d.pos:])
	d.pos, d.summed = 0, 0
	more, err := io.ReadAtLeast(d.in, d.window[have:cap(d.window)], n-have)
	d.window = d.window[:have+more]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		d.pos = len(d.window)
		return truncated(d.offset())
	}
	return err
}

func (d *decoder) byte() (byte, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (d *decoder) uint64() (uint64, error) {
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// bytes reads n bytes, to *buf where that does not alias memory. It grows with
// what arrives.
func (d *decoder) bytes(n uint64, buf *[]byte) ([]byte, error) {
	if n > MaxStringBytes {
		return nil, d.damaged(d.offset(), "a string is longer than 2 GB")
	}
	left := int(n)
	if d.in == nil {
		if left > len(d.window)-d.pos {
			return nil, d.refill(left)
		}
		d.pos += left
		return d.window[d.pos-left : d.pos : d.pos], nil
	}
	if cap(*buf) > chunk {
		*buf = nil // one large string is no reason to hold on to it
	}
	b := (*buf)[:0]
	for left > 0 {
		part := min(left, max(chunk, len(b)))
		b = slices.Grow(b, part)[:len(b)+part]
		if err := d.fill(b[len(b)-part:]); err != nil {
			return nil, err
		}
		left -= part
	}
	*buf = b
	return b, nil
}

// fill reads from the stream, past the window where that is empty.
func (d *decoder) fill(b []byte) error {
	n := copy(b, d.window[d.pos:])
	d.pos += n
	b = b[n:]
	if len(b) < cap(d.window) {
		if len(b) == 0 {
			return nil
		}
		if err := d.refill(len(b)); err != nil {
			return err
		}
		d.pos = copy(b, d.window)
		return nil
	}
	d.checksum()
	n, err := io.ReadFull(d.in, b)
	d.sum.add(b[:n])
	d.base += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(d.offset())
	}
	return err
}

// length reads a length where no special encoding may stand.
func (d *decoder) length() (uint64, error) {
	at := d.offset()
	n, encoded, err := d.lengthOrEncoding()
	if err == nil && encoded {
		err = d.damaged(at, "a length is missing")
	}
	return n, err
}

// count reads how many elements are claimed to follow.
func (d *decoder) count() (int, error) {
	at := d.offset()
	n, err := d.length()
	if err == nil && n > 1<<62 {
		err = d.damaged(at, "an impossible number of elements")
	}
	return int(n), err
}

func (d *decoder) lengthOrEncoding() (n uint64, encoded bool, err error) {
	at := d.offset()
	first, err := d.byte()
	if err != nil {
		return 0, false, err
	}
	switch first >> 6 {
	case len6:
		return uint64(first), false, nil
	case len14:
		b, err := d.byte()
		return uint64(first&0x3f)<<8 | uint64(b), false, err
	case lenEn:
		return uint64(first & 0x3f), true, nil
	}
	switch first {
	case len32:
		b, err := d.take(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(b)), false, nil
	case len64:
		b, err := d.take(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(b), false, nil
	}
	return 0, false, d.damaged(at, "unknown form of a length")
}

// keep reads a string for good.
func (d *decoder) keep() ([]byte, error) {
	var own []byte
	b, err := d.string(&own)
	return b, err
}

// string reads a string in any encoding. It is valid until *buf is used again.
func (d *decoder) string(buf *[]byte) ([]byte, error) {
	at := d.offset()
	n, encoded, err := d.lengthOrEncoding()
	if err != nil {
		return nil, err
	}
	if !encoded {
		return d.bytes(n, buf)
	}
	if n == encLZF {
		return d.compressed(at, buf)
	}
	if n > encInt32 {
		return nil, d.damaged(at, "unknown encoding of a string: "+strconv.FormatUint(n, 10))
	}
	b, err := d.take(1 << n)
	if err != nil {
		return nil, err
	}
	*buf = strconv.AppendInt((*buf)[:0], signed(b), 10)
	return *buf, nil
}

// signed is the little-endian integer of up to 8 bytes.
func signed(b []byte) int64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	unused := 64 - 8*len(b)
	return int64(v<<unused) >> unused
}

// compressed reads a string that LZF made smaller.
func (d *decoder) compressed(at int64, buf *[]byte) ([]byte, error) {
	packed, err := d.length()
	if err != nil {
		return nil, err
	}
	size, err := d.length()
	if err != nil {
		return nil, err
	}
	if size > MaxStringBytes || packed > MaxStringBytes || size > packed*maxLZFRatio {
		return nil, d.damaged(at, "a compressed string claims an impossible length")
	}
	p, err := d.bytes(packed, &d.packed)
	if err != nil {
		return nil, err
	}
	if cap(*buf) > chunk {
		*buf = nil
	}
	b, ok := decompressLZF(*buf, p, int(size))
	if !ok {
		return nil, d.damaged(at, "a compressed string is damaged")
	}
	*buf = b
	return b, nil
}

// valueReader begins to read a value; finish reads what is left of it.
type valueReader func(d *decoder, code byte) (v Value, finish func() error, err error)

// readerOf reads values of a type, nil for an unknown one.
func readerOf(code byte) valueReader {
	switch code {
	case typeString:
		return readString
	case typeList, typeListZiplist, typeListQuicklist, typeListQuicklist2:
		return readList
	case typeSet, typeSetIntset, typeSetListpack:
		return readSet
	case typeZSetText, typeZSet, typeZSetZiplist, typeZSetListpack:
		return readZSet
	case typeHash, typeHashZipmap, typeHashZiplist, typeHashListpack:
		return readHash
	case typeHashTimed, typeHashTimedEarly:
		return readTimedHash
	case typeHashPacked, typeHashPackedEarly:
		return readPackedTimedHash
	case typeStream, typeStream2, typeStream3:
		return readStream
	}
	return nil
}

func nothingLeft() error { return nil }

// once makes a sequence of what read emits. It can be ranged over once, and
// reads on to its end where its taker stops. finish is for after that, or
// reads over everything where nobody ranged.
func once[T any](read func(emit func(T)) error) (seq Seq[T], finish func() error) {
	begun := false
	var failed error
	run := func(yield func(T, error) bool) {
		begun = true
		wanted := true
		failed = read(func(v T) { wanted = wanted && yield(v, nil) })
		if failed != nil && wanted {
			var none T
			yield(none, failed)
		}
	}
	seq = func(yield func(T, error) bool) {
		if begun {
			panic("rdb: elements that were read over are asked for")
		}
		run(yield)
	}
	finish = func() error {
		if !begun {
			run(func(T, error) bool { return false })
		}
		return failed
	}
	return seq, finish
}
