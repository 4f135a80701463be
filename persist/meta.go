package persist

import (
	"encoding/binary"
	"errors"
	"strings"

	"geocache/clock"
	"geocache/op"
)

// Records of meta/. Each is: version 1 byte, crc32c 4 bytes over key and
// payload, payload.
const (
	metaFormat     = metaPrefix + "format"
	metaIdentity   = metaPrefix + "identity"
	metaClean      = metaPrefix + "clean"
	metaBound      = metaPrefix + "bound"
	metaCheckpoint = metaPrefix + "checkpoint"
	metaDBMap      = metaPrefix + "dbmap"
	metaMember     = metaPrefix + "member/"
	metaCursor     = metaPrefix + "cursor/"

	metaVersion = 1
	// storeFormat is the version of the store's whole layout.
	storeFormat = 1
)

// MaxNameLen bounds region and member names, in bytes.
const MaxNameLen = 1 << 10

// errMeta says that a record's payload is not what its kind holds.
var errMeta = errors.New("malformed record")

// Identity is who this region is.
type Identity struct {
	Region         string
	Origin         clock.Origin // of the present incarnation
	Deployment     uint64       // 0 for none yet
	DeploymentFirm bool         // false while the id may still give way to a sibling's
	// Founding is what was newest when the region got its first sibling, which
	// entries without a stamp read as; zero before that. A reading of 1 says
	// that its log was empty then.
	Founding clock.Stamp
}

// IsZero reports whether the store has no identity yet.
func (id Identity) IsZero() bool { return id == Identity{} }

func encodeIdentity(id Identity) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(id.Origin))
	b = binary.BigEndian.AppendUint64(b, id.Deployment)
	firm := byte(0)
	if id.DeploymentFirm {
		firm = 1
	}
	b = append(b, firm)
	b = clock.AppendStamp(b, id.Founding)
	return append(b, id.Region...)
}

func decodeIdentity(b []byte) (Identity, error) {
	const fixed = 8 + 8 + 1 + clock.StampLen
	if len(b) < fixed || len(b) > fixed+MaxNameLen || b[16] > 1 {
		return Identity{}, errMeta
	}
	return Identity{
		Origin:         clock.Origin(binary.BigEndian.Uint64(b)),
		Deployment:     binary.BigEndian.Uint64(b[8:]),
		DeploymentFirm: b[16] == 1,
		Founding: clock.Stamp{
			At:     clock.Reading(binary.BigEndian.Uint64(b[17:])),
			Origin: clock.Origin(binary.BigEndian.Uint64(b[25:])),
		},
		Region: string(b[fixed:]),
	}, nil
}

// mark is the checkpoint record: rows and vector hold everything up to pos.
type mark struct {
	pos    uint64
	vector clock.Vector
}

func encodeMark(m mark) []byte { return m.vector.Append(encodeUint(m.pos)) }

func decodeMark(b []byte) (mark, error) {
	if len(b) < 8 {
		return mark{}, errMeta
	}
	v, rest, err := clock.DecodeVector(b[8:])
	if err == nil && len(rest) != 0 {
		err = errMeta
	}
	return mark{binary.BigEndian.Uint64(b), v}, err
}

func encodeUint(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func decodeUint(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, errMeta
	}
	return binary.BigEndian.Uint64(b), nil
}

func decodeCursor(b []byte) (clock.Vector, error) {
	v, rest, err := clock.DecodeVector(b)
	if err == nil && len(rest) != 0 {
		err = errMeta
	}
	return v, err
}

func encodeDBMap(dbs []int) []byte {
	b := binary.AppendUvarint(nil, uint64(len(dbs)))
	for _, db := range dbs {
		b = binary.AppendUvarint(b, uint64(db))
	}
	return b
}

func decodeDBMap(b []byte) ([]int, error) {
	var n uint64
	if !takeUvarint(&b, &n) || n > op.MaxDBs {
		return nil, errMeta
	}
	dbs := make([]int, n)
	for i := range dbs {
		var db uint64
		if !takeUvarint(&b, &db) || db >= op.MaxDBs {
			return nil, errMeta
		}
		dbs[i] = int(db)
	}
	if len(b) != 0 {
		return nil, errMeta
	}
	return dbs, nil
}

func encodeRecord(key string, payload []byte) []byte {
	b := make([]byte, 1+sumLen, 1+sumLen+len(payload))
	b[0] = metaVersion
	binary.BigEndian.PutUint32(b[1:], checksum([]byte(key), payload))
	return append(b, payload...)
}

// decodeRecord returns the payload, aliasing b.
func decodeRecord(key string, b []byte) ([]byte, error) {
	if len(b) < 1+sumLen {
		return nil, damage("truncated record", []byte(key), nil)
	}
	if b[0] != metaVersion {
		return nil, &NewerFormatError{Where: key, Found: uint64(b[0]), Known: metaVersion}
	}
	payload := b[1+sumLen:]
	if checksum([]byte(key), payload) != binary.BigEndian.Uint32(b[1:]) {
		return nil, damage("record with a wrong checksum", []byte(key), nil)
	}
	return payload, nil
}

func setRecord(b *Batch, key string, payload []byte) {
	b.Set([]byte(key), encodeRecord(key, payload))
}

// parseRecord checks a stored record and decodes its payload.
func parseRecord[T any](key string, b []byte, decode func([]byte) (T, error)) (v T, err error) {
	payload, err := decodeRecord(key, b)
	if err != nil {
		return v, err
	}
	if v, err = decode(payload); err != nil {
		return v, damage("unreadable record", []byte(key), err)
	}
	return v, nil
}

// getRecord reads one record; found is false if there is none.
func getRecord[T any](s Store, key string, decode func([]byte) (T, error)) (v T, found bool, err error) {
	b, err := s.Get([]byte(key))
	if errors.Is(err, ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	v, err = parseRecord(key, b, decode)
	return v, err == nil, err
}

// listRecords reads all records below prefix, by the rest of their keys.
func listRecords[T any](s Store, prefix string, decode func([]byte) (T, error)) (map[string]T, error) {
	out := map[string]T{}
	lower, upper := prefixBounds(prefix)
	err := walk(s, lower, upper, func(key, value []byte) error {
		v, err := parseRecord(string(key), value, decode)
		out[strings.TrimPrefix(string(key), prefix)] = v
		return err
	})
	return out, err
}

// walk yields the keys in [lower, upper); the slices are valid during fn.
func walk(s Store, lower, upper []byte, fn func(key, value []byte) error) (err error) {
	it, err := s.Iter(lower, upper)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	for ok := it.SeekGE(lower); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			return err
		}
		if err := fn(it.Key(), v); err != nil {
			return err
		}
	}
	return nil
}

// SetIdentity stores who this region is, durably.
func (db *DB) SetIdentity(id Identity) error {
	return db.setDurably(metaIdentity, encodeIdentity(id))
}

// SetBound stores, durably, a reading that the region's clock has come to; a
// start goes on above it.
func (db *DB) SetBound(r clock.Reading) error {
	return db.setDurably(metaBound, encodeUint(uint64(r)))
}

// SetMember stores what is known of the deployment's member called name,
// durably. The blob is opaque here.
func (db *DB) SetMember(name string, blob []byte) error {
	return db.setDurably(metaMember+name, blob)
}

// DeleteMember removes a member and its cursor, durably.
func (db *DB) DeleteMember(name string) error {
	var b Batch
	b.Delete([]byte(metaMember + name))
	b.Delete([]byte(metaCursor + name))
	return db.commitDurably(&b)
}

// Members are the stored members by name.
func (db *DB) Members() (map[string][]byte, error) {
	return listRecords(db.store, metaMember, func(b []byte) ([]byte, error) {
		return append([]byte(nil), b...), nil
	})
}

// SetCursor stores what a sibling has acknowledged as synced. It is not synced
// by itself: an older cursor only makes the region keep more.
func (db *DB) SetCursor(sibling string, acked clock.Vector) error {
	var b Batch
	setRecord(&b, metaCursor+sibling, acked.Append(nil))
	return db.store.Apply(&b, NoSync)
}

// Cursors are the stored cursors by sibling.
func (db *DB) Cursors() (map[string]clock.Vector, error) {
	return listRecords(db.store, metaCursor, decodeCursor)
}

func (db *DB) setDurably(key string, payload []byte) error {
	var b Batch
	setRecord(&b, key, payload)
	return db.commitDurably(&b)
}

// commitDurably applies b and syncs. A failed apply changed nothing and may be
// tried again; a failed sync is final, as for the log.
func (db *DB) commitDurably(b *Batch) error {
	if err := db.fail.get(); err != nil {
		return err
	}
	written := db.Log.Written()
	if err := db.store.Apply(b, NoSync); err != nil {
		return err
	}
	if err := db.store.Sync(); err != nil {
		return db.fail.set("sync", err)
	}
	db.Log.madeDurable(written)
	return nil
}
