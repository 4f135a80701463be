package persist

import (
	"errors"
	"fmt"
	"sync"

	"geocache/clock"
)

// DB is a region's disk, opened for writing.
type DB struct {
	// Log is never nil.
	Log *Log

	store    Store
	fail     *failure
	replayTo uint64 // end of the log at open

	mu           sync.Mutex
	running      bool // a checkpoint, or DeleteAll
	mark         mark
	carryKeys    []KeyID // of a failed checkpoint
	carryFlushed []int
	carryMoved   map[KeyID][]KeyID
}

// Options shape a DB.
type Options struct {
	Log LogOptions
}

// Recovery is what a start finds.
type Recovery struct {
	Identity Identity // zero for a new store
	// Clean says that the last run ended with CloseClean: nothing that was
	// committed is missing. Otherwise the region begins a new incarnation.
	Clean         bool
	Vector        clock.Vector // at CheckpointPos; ReplayLog raises it further
	CheckpointPos uint64
	// LastReading is the greatest reading that meta/ knows of: the stored
	// bound or one of Vector's.
	LastReading clock.Reading
	DBMap       []int // nil for each database its own
}

// Open takes over a store and says what is in it. Nothing is changed when the
// data is damaged or of a newer version; otherwise the clean mark is removed
// durably before Open returns.
func Open(store Store, o Options) (*DB, Recovery, error) {
	h, err := readHead(store)
	if err != nil {
		return nil, Recovery{}, err
	}
	db := &DB{store: store, fail: &failure{}, mark: h.mark, replayTo: h.bounds.end}
	db.Log = newLog(store, db.fail, o.Log, h.bounds)
	var b Batch
	setRecord(&b, metaFormat, encodeUint(storeFormat))
	b.Delete([]byte(metaClean))
	if err := db.commitDurably(&b); err != nil {
		return nil, Recovery{}, fmt.Errorf("persist: open for writing: %w", err)
	}
	r := Recovery{
		Identity: h.identity, Clean: h.clean, Vector: h.mark.vector.Clone(),
		CheckpointPos: h.mark.pos, LastReading: h.bound, DBMap: h.dbMap,
	}
	for _, at := range r.Vector {
		r.LastReading = max(r.LastReading, at)
	}
	return db, r, nil
}

// head is what stands in meta/ and at the two ends of the log.
type head struct {
	identity Identity
	clean    bool
	bound    clock.Reading
	mark     mark
	dbMap    []int
	bounds   logBounds
}

// logBounds are the two ends of the log and the bytes written before each.
type logBounds struct {
	first, end      uint64
	dropped, stored uint64
}

// readHead reads and cross-checks without changing anything.
func readHead(s Store) (h head, err error) {
	if err := checkStoreFormat(s); err != nil {
		return h, err
	}
	var errs [5]error
	var bound, cleanEnd uint64
	h.identity, _, errs[0] = getRecord(s, metaIdentity, decodeIdentity)
	bound, _, errs[1] = getRecord(s, metaBound, decodeUint)
	h.mark, _, errs[2] = getRecord(s, metaCheckpoint, decodeMark)
	h.dbMap, _, errs[3] = getRecord(s, metaDBMap, decodeDBMap)
	cleanEnd, h.clean, errs[4] = getRecord(s, metaClean, decodeUint)
	if err := errors.Join(errs[:]...); err != nil {
		return h, err
	}
	h.bound = clock.Reading(bound)
	if h.bounds, err = readBounds(s, h.mark.pos); err != nil {
		return h, err
	}
	if h.clean && cleanEnd != h.bounds.end {
		return h, damage(fmt.Sprintf("the last run closed with the log ending at %d, it ends at %d", cleanEnd, h.bounds.end), []byte(metaClean), nil)
	}
	return h, nil
}

// checkStoreFormat refuses a newer layout, and data without any.
func checkStoreFormat(s Store) error {
	v, found, err := getRecord(s, metaFormat, decodeUint)
	if err != nil {
		return err
	}
	if found {
		if v > storeFormat {
			return &NewerFormatError{Where: metaFormat, Found: v, Known: storeFormat}
		}
		return nil
	}
	for _, prefix := range []string{logPrefix, metaPrefix, rowPrefix} {
		lower, upper := prefixBounds(prefix)
		err := walk(s, lower, upper, func(key, _ []byte) error {
			return damage("data without a format record", key, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readBounds finds the ends of the log and checks that it reaches from the
// checkpoint position on.
func readBounds(s Store, checkpoint uint64) (b logBounds, err error) {
	lower, upper := prefixBounds(logPrefix)
	it, err := s.Iter(lower, upper)
	if err != nil {
		return b, err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	if !it.SeekGE(lower) {
		return logBounds{first: checkpoint + 1, end: checkpoint + 1}, nil
	}
	g, err := readGroup(it)
	if err != nil {
		return b, err
	}
	b.first, b.dropped = g.first, g.before
	if b.first > checkpoint+1 {
		return b, damage(fmt.Sprintf("the log begins at %d, after the checkpoint at %d", b.first, checkpoint), it.Key(), nil)
	}
	it.SeekLT(upper)
	if g, err = readGroup(it); err != nil {
		return b, err
	}
	b.end, b.stored = g.last()+1, g.before+g.size
	if b.end <= checkpoint {
		return b, damage(fmt.Sprintf("the log ends at %d, before the checkpoint at %d", g.last(), checkpoint), it.Key(), nil)
	}
	return b, nil
}

// LoadRows yields every row in key order. The slices are valid during fn.
func (db *DB) LoadRows(fn func(dbNum int, key, row []byte) error) error {
	lower, upper := prefixBounds(rowPrefix)
	return walk(db.store, lower, upper, func(key, value []byte) error {
		dbNum, name, err := parseRowKey(key)
		if err != nil {
			return err
		}
		return fn(dbNum, name, value)
	})
}

// ReplayLog yields the records after the checkpoint position that were in the
// log at open. Rows may already show some of them. fn may keep rec, which must
// not be modified.
func (db *DB) ReplayLog(fn func(pos uint64, rec []byte) error) error {
	from := db.CheckpointPos() + 1
	if from >= db.replayTo {
		return nil
	}
	return walkGroups(db.store, from, func(g group) error {
		for i, rec := range g.recs {
			pos := g.first + uint64(i)
			if pos < from {
				continue
			}
			if pos >= db.replayTo {
				return errStop
			}
			if err := fn(pos, rec); err != nil {
				return fmt.Errorf("log record %d: %w", pos, err)
			}
		}
		return nil
	})
}

// CloseClean writes and syncs what waits, leaves the mark that lets the next
// start go on with this incarnation, and closes the store. Nobody appends or
// drives a step any more.
func (db *DB) CloseClean() error {
	err := db.seal()
	return errors.Join(err, db.store.Close())
}

func (db *DB) seal() error {
	for more := true; more; {
		var err error
		if more, err = db.Log.WriteStep(); err != nil {
			return err
		}
	}
	if err := db.Log.SyncStep(); err != nil {
		return err
	}
	return db.setDurably(metaClean, encodeUint(db.Log.End()))
}

// Close closes the store without the mark of a clean end.
func (db *DB) Close() error { return db.store.Close() }

// Metrics are the store's.
func (db *DB) Metrics() Metrics { return db.store.Metrics() }
