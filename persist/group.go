package persist

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
)

// A group is one row of the log: the records from its key's position on.
//
//	version  1 byte
//	crc32c   4 bytes, over the key and all that follows
//	before   uvarint, bytes of all groups ever written before this one
//	count    uvarint, at least 1
//	lengths  count uvarints
//	records
const groupVersion = 1

// errGroup says that bytes are not a group.
var errGroup = errors.New("malformed group")

const sumLen = 4

// group is a decoded group. Its records alias the value it was read from.
type group struct {
	first  uint64 // position of recs[0]
	before uint64
	size   uint64 // bytes of the encoding
	recs   [][]byte
}

// last is the position of the last record.
func (g *group) last() uint64 { return g.first + uint64(len(g.recs)) - 1 }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum covers a stored value together with the key it belongs to, so that
// a value in a wrong place is damage too.
func checksum(key, payload []byte) uint32 {
	t := castagnoli()
	return crc32.Update(crc32.Update(0, t, key), t, payload)
}

// appendGroup encodes records that lie one after another in data, the i-th
// ending at ends[i]-base.
func appendGroup(dst, key []byte, before uint64, data []byte, ends []uint32, base uint32) []byte {
	dst = append(dst, groupVersion, 0, 0, 0, 0)
	body := len(dst)
	dst = binary.AppendUvarint(dst, before)
	dst = binary.AppendUvarint(dst, uint64(len(ends)))
	from := base
	for _, end := range ends {
		dst = binary.AppendUvarint(dst, uint64(end-from))
		from = end
	}
	dst = append(dst, data...)
	binary.BigEndian.PutUint32(dst[body-sumLen:], checksum(key, dst[body:]))
	return dst
}

// decodeGroup reads a group; key is its stored key. Nothing is allocated
// beyond a small multiple of len(value).
func decodeGroup(key, value []byte) (group, error) {
	pos, ok := parseLogKey(key)
	if !ok {
		return group{}, damage("log key of a wrong length", key, nil)
	}
	g := group{first: pos, size: uint64(len(value))}
	if err := g.decode(key, value); err != nil {
		return group{}, damage("unreadable log group", key, err)
	}
	return g, nil
}

func (g *group) decode(key, value []byte) error {
	if len(value) < 1+sumLen {
		return errGroup
	}
	if value[0] != groupVersion {
		return &NewerFormatError{Where: showKey(key), Found: uint64(value[0]), Known: groupVersion}
	}
	b := value[1+sumLen:]
	if checksum(key, b) != binary.BigEndian.Uint32(value[1:]) {
		return errors.New("checksum does not match")
	}
	var count uint64
	if !takeUvarint(&b, &g.before) || !takeUvarint(&b, &count) {
		return errGroup
	}
	if count == 0 || count > uint64(len(b)) || g.first == 0 || count > math.MaxUint64-g.first {
		return errGroup
	}
	g.recs = make([][]byte, count)
	data := b
	for range count {
		var n uint64
		if !takeUvarint(&data, &n) {
			return errGroup
		}
	}
	for i := range g.recs {
		var n uint64
		takeUvarint(&b, &n)
		if n > uint64(len(data)) {
			return errGroup
		}
		g.recs[i] = slices.Clip(data[:n])
		data = data[n:]
	}
	if len(data) != 0 {
		return errGroup
	}
	return nil
}

// takeUvarint moves a uvarint from the front of b to v.
func takeUvarint(b *[]byte, v *uint64) bool {
	x, n := binary.Uvarint(*b)
	if n <= 0 {
		return false
	}
	*v, *b = x, (*b)[n:]
	return true
}
