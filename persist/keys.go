package persist

import (
	"encoding/binary"
	"fmt"
)

// The three keyspaces. Numbers in keys are big-endian, so that key order is
// number order.
const (
	logPrefix  = "log/"
	metaPrefix = "meta/"
	rowPrefix  = "row/"
)

// KeyID names one key of one stored database.
type KeyID struct {
	DB  int
	Key string
}

func logKey(pos uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(logPrefix), pos)
}

// parseLogKey reads the position from a log key.
func parseLogKey(key []byte) (pos uint64, ok bool) {
	if len(key) != len(logPrefix)+8 || string(key[:len(logPrefix)]) != logPrefix {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[len(logPrefix):]), true
}

func appendRowKey(dst []byte, db int, key string) []byte {
	dst = append(dst, rowPrefix...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(db))
	return append(dst, key...)
}

// dbEnd is the least key above all rows of db.
func dbEnd(db int) []byte { return appendRowKey(nil, db+1, "") }

// parseRowKey splits a key within the rows' bounds; the result aliases it.
func parseRowKey(key []byte) (db int, name []byte, err error) {
	const head = len(rowPrefix) + 2
	if len(key) < head {
		return 0, nil, damage("row key of a wrong length", key, nil)
	}
	return int(binary.BigEndian.Uint16(key[len(rowPrefix):])), key[head:], nil
}

// prefixBounds are the bounds of a keyspace.
func prefixBounds(prefix string) (lower, upper []byte) {
	lower, upper = []byte(prefix), []byte(prefix)
	upper[len(upper)-1]++
	return lower, upper
}

// showKey prints a stored key for an operator.
func showKey(key []byte) string {
	if pos, ok := parseLogKey(key); ok {
		return fmt.Sprintf("%s%d", logPrefix, pos)
	}
	return fmt.Sprintf("%q", key)
}
