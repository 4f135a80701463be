package rdb

import (
	"errors"
	"fmt"
	"hash/crc64"
	"iter"
)

// Versions of the format. A Writer writes oldVersion, which every server since
// Redis 5 loads; whether a server knows a value is said by the value's type.
const (
	oldestVersion = 6
	newestVersion = 12
	oldVersion    = 9
)

// A file begins with a word and four digits of version.
const (
	magic     = "REDIS"
	headerLen = len(magic) + 4
)

// Opcodes stand where a type byte could.
const (
	opSlotInfo   = 244
	opFunction   = 245
	opFunctionGA = 246
	opModuleAux  = 247
	opIdle       = 248
	opFreq       = 249
	opAux        = 250
	opResizeDB   = 251
	opExpireMs   = 252
	opExpireSec  = 253
	opSelectDB   = 254
	opEOF        = 255
)

// Types of values.
const (
	typeString          = 0
	typeList            = 1
	typeSet             = 2
	typeZSetText        = 3 // scores as text
	typeHash            = 4
	typeZSet            = 5
	typeHashZipmap      = 9
	typeListZiplist     = 10
	typeSetIntset       = 11
	typeZSetZiplist     = 12
	typeHashZiplist     = 13
	typeListQuicklist   = 14
	typeStream          = 15 // of Redis 5
	typeHashListpack    = 16
	typeZSetListpack    = 17
	typeListQuicklist2  = 18
	typeStream2         = 19 // of Redis 7.0
	typeSetListpack     = 20
	typeStream3         = 21 // of Redis 7.2
	typeHashTimedEarly  = 22 // with field deadlines; of release candidates of Redis 7.4
	typeHashPackedEarly = 23
	typeHashTimed       = 24 // of Redis 7.4
	typeHashPacked      = 25
)

// versionOf is the version of the format that brought a type.
func versionOf(typeByte byte) int {
	switch {
	case typeByte > typeStream3:
		return 12
	case typeByte > typeStream2:
		return 11
	case typeByte > typeStream:
		return 10
	}
	return oldVersion
}

// First bytes of a length: two bits say the form.
const (
	len6  = 0
	len14 = 1
	lenEx = 2 // 32 or 64 bits by the whole byte
	lenEn = 3 // not a length: a special encoding of a string

	len32   = 0x80
	len64   = 0x81
	special = lenEn << 6 // plus one of enc
)

// Special encodings of a string.
const (
	encInt8 = iota
	encInt16
	encInt32
	encLZF
)

// MaxStringBytes bounds one key or value.
const MaxStringBytes = 1<<31 - 1

// ErrTruncated is where a file ends before its end mark.
var ErrTruncated = errors.New("rdb: the file ends too early")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	Offset int64 // of the byte at which what is wrong begins
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("rdb: offset %d: %s", e.Offset, e.Reason) }

// UnsupportedError names something that Redis writes and this version does
// not read.
type UnsupportedError struct {
	Offset int64
	Type   byte // type of value or opcode
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("rdb: offset %d: type byte %d (%s) is not supported", e.Offset, e.Type, typeName(e.Type))
}

// typeName names type bytes and opcodes of Redis.
func typeName(b byte) string {
	names := map[byte]string{
		6: "module", 7: "module 2",
		opFunction: "function library", opFunctionGA: "function library, early form", opModuleAux: "module data",
	}
	if s, ok := names[b]; ok {
		return s
	}
	return "unknown"
}

// Value is the content of a key: String, List, Set, Hash, ZSet or *Stream.
type Value interface {
	// typeByte is the type the Writer stores it as.
	typeByte() byte
	write(*Writer)
	// check reads a value to its end and reports what is wrong with it.
	check(*checker) error
}

// Seq hands over the elements of a collection one at a time. An error is its
// last step. Slices in an element are valid until the next step.
//
// One that was read can be ranged over once, before Next is called, and what
// is not taken is read over. Where one collection has several, they are taken
// in the order of their fields. Duplicates in a file are for its taker to
// refuse, who meets them when putting elements in their place; ReadDump
// refuses them itself.
type Seq[T any] = iter.Seq2[T, error]

// Each hands over the elements of a sequence up to its first error.
func Each[T any](seq Seq[T], take func(T)) error {
	for v, err := range seq {
		if err != nil {
			return err
		}
		take(v)
	}
	return nil
}

// unknownLen is the Len of a collection whose form does not tell.
const unknownLen = -1

// Entry is one key. What a Reader returns in Value is valid until its next
// Next, but a String, like the key, may be kept.
type Entry struct {
	DB         int
	Key        []byte
	DeadlineMs int64 // in milliseconds since the epoch, 0 for none
	Value      Value
}

// jones is the polynomial of Redis' CRC-64, bits reversed.
const jones = 0x95ac9329ac4bc9b5

var jonesTable = crc64.MakeTable(jones)

// checksum is Redis' CRC-64, which unlike hash/crc64 begins with 0 and inverts
// nothing.
type checksum uint64

func (c *checksum) add(p []byte) { *c = ^checksum(crc64.Update(uint64(^*c), jonesTable, p)) }
