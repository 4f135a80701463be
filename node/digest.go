package node

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"geocache/rdb"
)

// digest is the signature of data that DEBUG DIGEST answers. It is computed as
// Redis does, so that it tells whether two servers hold the same.
type digest [sha1.Size]byte

// add takes p in, in whatever order it comes with others.
func (d *digest) add(p []byte) {
	sum := sha1.Sum(p)
	for i, b := range sum {
		d[i] ^= b
	}
}

// mix takes p in as the next of a sequence.
func (d *digest) mix(p []byte) {
	d.add(p)
	*d = sha1.Sum(d[:])
}

func (d *digest) mixNumber(v int) { d.mix(binary.BigEndian.AppendUint32(nil, uint32(v))) }

func (d *digest) String() string { return hex.EncodeToString(d[:]) }

// Redis' numbers of its types.
const (
	digestString = iota
	digestList
	digestSet
	digestZSet
	digestHash
	_ // modules
	digestStream
)

// expireMark is taken in where a key has a deadline, whatever it is.
const expireMark = "!!expire!!"

// value takes a key's value in, and whether it has a deadline.
func (d *digest) value(e rdb.Entry) error {
	var err error
	switch v := e.Value.(type) {
	case rdb.String:
		d.mixNumber(digestString)
		d.mix(v)
	case rdb.List:
		d.mixNumber(digestList)
		err = rdb.Each(v.Elements, d.mix)
	case rdb.Set:
		d.mixNumber(digestSet)
		err = rdb.Each(v.Members, d.add)
	case rdb.ZSet:
		d.mixNumber(digestZSet)
		err = rdb.Each(v.Members, d.scored)
	case rdb.Hash:
		d.mixNumber(digestHash)
		err = rdb.Each(v.Fields, d.field)
	case *rdb.Stream:
		d.mixNumber(digestStream)
		err = rdb.Each(v.Entries, d.streamEntry)
	default:
		err = fmt.Errorf("a value of type %T has no digest", v)
	}
	if e.DeadlineMs != 0 {
		d.add([]byte(expireMark))
	}
	return err
}

func (d *digest) scored(m rdb.Scored) {
	var one digest
	one.mix(m.Member)
	one.mix(scoreText(m.Score))
	d.add(one[:])
}

// scoreText is what C's %.17g prints.
func scoreText(f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return []byte("inf")
	case math.IsInf(f, -1):
		return []byte("-inf")
	}
	return strconv.AppendFloat(nil, f, 'g', 17, 64)
}

func (d *digest) field(f rdb.Field) {
	var one digest
	one.mix(f.Name)
	one.mix(f.Value)
	d.add(one[:])
}

func (d *digest) streamEntry(e rdb.StreamEntry) {
	d.mix([]byte(strconv.FormatUint(e.ID.Ms, 10) + "." + strconv.FormatUint(e.ID.Seq, 10)))
	for _, text := range e.Fields {
		d.mix(text)
	}
}

// dataDigest is the digest of whole databases, whose entries come one database
// after the other, in ascending order.
type dataDigest struct {
	sum  digest
	next int // the first database that no entry was of
}

func (d *dataDigest) add(e rdb.Entry) error {
	if e.DB >= d.next {
		d.sum.mixNumber(e.DB)
		d.next = e.DB + 1
	}
	var one digest
	one.mix(e.Key)
	if err := one.value(e); err != nil {
		return err
	}
	d.sum.add(one[:])
	return nil
}
