package persist

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"geocache/clock"
)

// Rows is what a checkpoint asks of the keys in memory.
//
// A key's state may be visible to AppendRow only once the batch that made it
// has its log position: the checkpoint relies on it to write no row ahead of
// the log.
type Rows interface {
	// TakeDirty hands over, and forgets, the keys changed since the last call
	// and the databases flushed since then. Of a flushed database every row
	// goes whose key is not in keys, so a key that outlived the flush must be.
	// Memory must not be dropped in favour of a row before RowWritten.
	TakeDirty() (keys []KeyID, flushedDBs []int)
	// AppendRow appends the key's present state. live is false when there is
	// nothing left to remember of the key, tombstones included. It may call
	// GetRow.
	AppendRow(dst []byte, db int, key []byte) (row []byte, live bool)
	// Moved lists, once, keys that have got what the key had: a row of the key
	// that AppendRow gave before is not to be in the store without newer rows
	// of them, for then a crash would leave what was moved to nobody.
	Moved(db int, key []byte) []KeyID
	// RowWritten says that the store answers row for key from now on. The
	// slices are valid during the call.
	RowWritten(db int, key, row []byte)
	// DBMap is the stored database that each database number shows, nil for
	// each its own.
	DBMap() []int
}

// maxStepBytes ends a checkpoint step early, so that large values do not pile
// up in one batch.
const maxStepBytes = 4 << 20

// Checkpoint writes changed keys to their rows, a step at a time, and then
// moves the checkpoint position and cuts the log. One runs at a time, driven
// by one goroutine.
type Checkpoint struct {
	db     *DB
	rows   Rows
	mark   mark
	dbMap  []int
	keys   []KeyID // all to write, ascending
	next   int     // first of keys that is not in the store
	spans  []span  // rest of the flushed databases, ascending
	phase  phase
	err    error
	batch  Batch // rows of keys[next:taken], not applied while prepared
	taken  int
	ready  bool   // batch is prepared
	behind uint64 // log position that must be written before batch
	buf    []byte
	// early are keys whose rows go ahead of that of keys[taken], of which asked
	// says that they are known.
	early []KeyID
	asked bool
	// moved is what Moved has said of keys whose rows are not in the store yet,
	// carried what it said to a checkpoint that failed, and joined are all keys
	// that it named.
	moved, carried map[KeyID][]KeyID
	joined         []KeyID
}

type phase uint8

const (
	phaseRows phase = iota
	phaseMark
	phaseCut
	phaseDone
)

// span is what is left to delete of a flushed database.
type span struct {
	db   int
	from []byte
}

// StartCheckpoint takes the dirty keys. pos and vector are of one moment: every
// change up to log position pos is in memory and, where its row is older, in
// the dirty set taken here; vector covers the same.
func (db *DB) StartCheckpoint(rows Rows, pos uint64, vector clock.Vector) (*Checkpoint, error) {
	if err := db.fail.get(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	if db.running {
		db.mu.Unlock()
		return nil, ErrCheckpointRunning
	}
	if old := db.mark.pos; pos < old || pos >= db.Log.End() {
		db.mu.Unlock()
		return nil, fmt.Errorf("persist: checkpoint at %d, outside of [%d, %d)", pos, old, db.Log.End())
	}
	db.running = true
	keys, flushed, moved := db.carryKeys, db.carryFlushed, db.carryMoved
	db.carryKeys, db.carryFlushed, db.carryMoved = nil, nil, nil
	db.mu.Unlock()

	newKeys, newFlushed := rows.TakeDirty()
	keys, flushed = append(keys, newKeys...), append(flushed, newFlushed...)
	slices.SortFunc(keys, compareKeys)
	slices.Sort(flushed)
	c := &Checkpoint{
		db: db, rows: rows, mark: mark{pos, vector.Clone()}, dbMap: slices.Clone(rows.DBMap()),
		keys: slices.Compact(keys), behind: pos, carried: moved,
	}
	for _, d := range slices.Compact(flushed) {
		c.spans = append(c.spans, span{d, appendRowKey(nil, d, "")})
	}
	return c, nil
}

func compareKeys(a, b KeyID) int {
	if a.DB != b.DB {
		return a.DB - b.DB
	}
	return strings.Compare(a.Key, b.Key)
}

// Step does the next piece: at most maxKeys rows, or the checkpoint record
// with its sync, or the cut of the log. Without an error, a step that is not
// done may have waited for the log-writer: see Behind.
//
// An error ends the checkpoint, and its keys go to the next one. An error
// together with done says that only the cut failed; the next one repeats it.
func (c *Checkpoint) Step(maxKeys int) (done bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	switch c.phase {
	case phaseRows:
		err = c.stepRows(max(maxKeys, 1))
	case phaseMark:
		err = c.stepMark()
	case phaseCut:
		c.phase = phaseDone
		c.release(nil, nil, nil)
		return true, c.db.CutStep()
	case phaseDone:
		return true, nil
	}
	if err != nil {
		c.fail(err)
	}
	return false, err
}

// Behind is the log position that WriteStep must reach before the next Step
// can do something, or 0.
func (c *Checkpoint) Behind() uint64 {
	if c.phase > phaseMark || c.db.Log.Written() >= c.behind {
		return 0
	}
	return c.behind
}

// Abort gives the checkpoint up; its keys go to the next one.
func (c *Checkpoint) Abort() {
	if c.err == nil && c.phase != phaseDone {
		c.fail(errors.New("persist: checkpoint aborted"))
	}
}

// fail hands everything back. Rows already written are merely written again;
// so are spans, for the keys within them come along.
func (c *Checkpoint) fail(err error) {
	c.err = err
	if c.phase > phaseMark {
		c.release(nil, nil, nil)
		return
	}
	for k, list := range c.moved {
		if c.carried == nil {
			c.carried = map[KeyID][]KeyID{}
		}
		c.carried[k] = append(list, c.carried[k]...)
	}
	c.release(append(c.keys, c.joined...), c.flushed(), c.carried)
}

// flushed are the flushed databases, finished ones included.
func (c *Checkpoint) flushed() (dbs []int) {
	for _, s := range c.spans {
		dbs = append(dbs, s.db)
	}
	return dbs
}

func (c *Checkpoint) release(keys []KeyID, flushed []int, moved map[KeyID][]KeyID) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.running = false
	c.db.carryKeys, c.db.carryFlushed, c.db.carryMoved = keys, flushed, moved
}

// stepRows prepares a batch of rows or applies the one prepared, as soon as
// the log holds whatever the rows show. Store order is crash order, so a row
// never outlives the log records behind it.
func (c *Checkpoint) stepRows(maxKeys int) error {
	if !c.ready {
		c.prepare(maxKeys)
	}
	if err := c.db.fail.get(); err != nil {
		return err
	}
	if c.Behind() != 0 {
		return nil
	}
	if c.batch.Len() > 0 {
		if err := c.db.store.Apply(&c.batch, NoSync); err != nil {
			return fmt.Errorf("persist: write rows: %w", err)
		}
		if err := c.batch.each(c.tellWritten); err != nil {
			return err
		}
	}
	maps.DeleteFunc(c.moved, func(k KeyID, _ []KeyID) bool { return !c.asked || k != c.keys[c.taken] })
	c.next, c.ready = c.taken, false
	if c.next == len(c.keys) {
		c.phase = phaseMark
	}
	return nil
}

func (c *Checkpoint) tellWritten(kind batchKind, x, y []byte) error {
	if kind != batchSet {
		return nil
	}
	dbNum, key, err := parseRowKey(x)
	if err == nil {
		c.rows.RowWritten(dbNum, key, y)
	}
	return err
}

// prepare fills the batch with the next rows, behind the range deletions of
// flushed databases up to the same key: a key that outlived a flush is never
// gone from disk in between.
func (c *Checkpoint) prepare(maxKeys int) {
	c.batch.Reset()
	var rowKey []byte
	i := c.next
	for ; i < len(c.keys) && i < c.next+maxKeys && c.batch.Bytes() < maxStepBytes; i++ {
		k := c.keys[i]
		if !c.asked {
			c.early, c.asked = c.moves(k, i), true
		}
		for len(c.early) > 0 && c.batch.Bytes() < maxStepBytes {
			c.appendRow(c.early[0], i)
			c.early = c.early[1:]
		}
		if len(c.early) > 0 {
			break
		}
		c.appendRow(k, i)
		c.asked = false
		rowKey = appendRowKey(rowKey[:0], k.DB, k.Key)
	}
	c.taken = i
	rows := c.batch.Len()
	upTo := append(rowKey, 0) // just above the last key taken
	for j := range c.spans {
		s := &c.spans[j]
		end := dbEnd(s.db)
		if i < len(c.keys) && string(upTo) < string(end) {
			end = upTo
		}
		if string(s.from) < string(end) {
			c.batch.DeleteRange(s.from, end)
			s.from = end
		}
	}
	c.batch.rotate(rows)
	c.behind = max(c.mark.pos, c.db.Log.End()-1)
	c.ready = true
}

// appendRow adds a key's row to the batch, and the rows of those that have got
// what it had since it was asked for its moves. at is the place of the key that
// the batch has come to.
func (c *Checkpoint) appendRow(k KeyID, at int) {
	for work := []KeyID{k}; len(work) > 0; {
		k = work[len(work)-1]
		work = work[:len(work)-1]
		rowKey := appendRowKey(nil, k.DB, k.Key)
		row, live := c.rows.AppendRow(c.buf[:0], k.DB, rowKey[len(rowPrefix)+2:])
		if live {
			c.batch.Set(rowKey, row)
		} else {
			c.batch.Delete(rowKey)
		}
		if c.buf = row; cap(row) > maxIdleBatchBytes {
			c.buf = nil
		}
		work = append(work, c.moves(k, at)...)
	}
}

// moves are the keys whose rows have to be in the store no later than that of k,
// and to be read after it was asked for them.
func (c *Checkpoint) moves(k KeyID, at int) []KeyID {
	list := append(c.carried[k], c.rows.Moved(k.DB, []byte(k.Key))...)
	if len(list) == 0 {
		return nil
	}
	delete(c.carried, k)
	if c.moved == nil {
		c.moved = map[KeyID][]KeyID{}
	}
	c.moved[k] = append(c.moved[k], list...)
	c.joined = append(c.joined, list...)
	for _, to := range list {
		if len(c.spans) > 0 && compareKeys(to, c.keys[at]) > 0 {
			// The deletion of what was flushed has not come there: once more.
			if i, found := slices.BinarySearchFunc(c.keys, to, compareKeys); !found {
				c.keys = slices.Insert(c.keys, i, to)
			}
		}
	}
	return list
}

// stepMark makes the rows count: from here on recovery starts at pos.
func (c *Checkpoint) stepMark() error {
	var b Batch
	setRecord(&b, metaCheckpoint, encodeMark(c.mark))
	if c.dbMap == nil {
		b.Delete([]byte(metaDBMap))
	} else {
		setRecord(&b, metaDBMap, encodeDBMap(c.dbMap))
	}
	if err := c.db.commitDurably(&b); err != nil {
		return fmt.Errorf("persist: end checkpoint: %w", err)
	}
	c.db.mu.Lock()
	c.db.mark = c.mark
	c.db.mu.Unlock()
	c.phase = phaseCut
	return nil
}

// CutStep removes log records that are checkpointed and that SetRetain does
// not hold. Every checkpoint ends with it; it is driven alone when retain rose.
func (db *DB) CutStep() error {
	upTo := db.CheckpointPos()
	if retain := db.Log.retain.Load(); retain <= upTo {
		upTo = max(retain, 1) - 1
	}
	return db.Log.cut(upTo)
}

// CheckpointPos is the log position up to which rows hold everything.
func (db *DB) CheckpointPos() uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.mark.pos
}

// GetRow returns a copy of the key's row, or ErrNotFound. A key that is dirty
// is newer in memory than here.
func (db *DB) GetRow(dbNum int, key []byte) ([]byte, error) {
	return db.store.Get(appendRowKey(nil, dbNum, string(key)))
}

// DeleteAll empties the region in one durable change: all rows, the whole log,
// all cursors and the database map go; id and vector are what it is from now
// on. Positions go on. The node keeps writers out and has driven WriteStep to
// the end, else ErrLogBehind; a running checkpoint is ErrCheckpointRunning.
func (db *DB) DeleteAll(id Identity, vector clock.Vector) error {
	end := db.Log.End()
	if db.Log.Written() != end-1 {
		return ErrLogBehind
	}
	db.mu.Lock()
	if db.running {
		db.mu.Unlock()
		return ErrCheckpointRunning
	}
	db.running = true
	db.mu.Unlock()

	m := mark{end - 1, vector.Clone()}
	var b Batch
	for _, prefix := range []string{rowPrefix, logPrefix, metaCursor} {
		b.DeleteRange(prefixBounds(prefix))
	}
	b.Delete([]byte(metaDBMap))
	setRecord(&b, metaIdentity, encodeIdentity(id))
	setRecord(&b, metaCheckpoint, encodeMark(m))
	err := db.commitDurably(&b)
	if err == nil {
		db.Log.forget(end)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.running = false
	if err != nil {
		return fmt.Errorf("persist: empty the region: %w", err)
	}
	db.mark, db.carryKeys, db.carryFlushed, db.carryMoved = m, nil, nil, nil
	return nil
}
