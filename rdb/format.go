package rdb

import (
	"errors"
	"fmt"
	"hash/crc64"
)

// Versions of the format. A Writer writes oldVersion, which every server since
// Redis 5 loads, as long as values fit it.
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

const typeString = 0

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
		1: "list", 2: "set", 3: "sorted set", 4: "hash", 5: "sorted set 2", 6: "module", 7: "module 2",
		9: "hash zipmap", 10: "list ziplist", 11: "set intset", 12: "sorted set ziplist", 13: "hash ziplist",
		14: "list quicklist", 15: "stream listpacks", 16: "hash listpack", 17: "sorted set listpack",
		18: "list quicklist 2", 19: "stream listpacks 2", 20: "set listpack", 21: "stream listpacks 3",
		22: "hash with field deadlines, early form", 23: "hash listpack with field deadlines, early form",
		24: "hash with field deadlines", 25: "hash listpack with field deadlines",
		opFunction: "function library", opFunctionGA: "function library, early form", opModuleAux: "module data",
	}
	if s, ok := names[b]; ok {
		return s
	}
	return "unknown"
}

// Value is the content of a key: String, and other types as they come.
type Value interface {
	// typeByte is the type the Writer stores it as.
	typeByte() byte
	write(*Writer)
}

// Entry is one key.
type Entry struct {
	DB         int
	Key        []byte
	DeadlineMs int64 // in milliseconds since the epoch, 0 for none
	Value      Value
}

// jones is the polynomial of Redis' CRC-64, bits reversed.
const jones = 0x95ac9329ac4bc9b5

// checksum is Redis' CRC-64, which unlike hash/crc64 begins with 0 and inverts
// nothing.
type checksum struct {
	table *crc64.Table
	sum   uint64
}

func newChecksum() checksum { return checksum{table: crc64.MakeTable(jones)} }

func (c *checksum) add(p []byte) { c.sum = ^crc64.Update(^c.sum, c.table, p) }
