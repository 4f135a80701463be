package node

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"geocache/clock"
	"geocache/config"
	"geocache/engine"
	"geocache/lru"
	"geocache/op"
	"geocache/persist"
	"geocache/resp"
)

// disk is the node's side of package persist.
type disk struct {
	db atomic.Pointer[persist.DB] // nil: nothing is kept
	// foundedAt is the first log position after the founding.
	foundedAt atomic.Uint64
	identity  atomic.Pointer[persist.Identity]
	recovery  recoveryInfo
	rowWaits  atomic.Int32 // rounds in which sessions that wait for rows are resumed
	// writing keeps the log-writer's steps apart.
	writing sync.Mutex
	// life is held for reading by whoever uses the store without being a
	// session's tx, and for writing while it is closed.
	life sync.RWMutex
	// unlogged is set while memory holds what neither log nor rows do: a copy
	// that came in, or data from before the log began.
	unlogged atomic.Bool

	checkpoint struct {
		sync.Mutex
		run     *persist.Checkpoint
		vector  clock.Vector
		lastMs  int64 // when the last began, or when there was nothing to do
		bytes   int64 // of the log when the last one began
		failing bool
		count   int64
		doneMs  int64 // when the last ended, and how long it took
		tookMs  int64
	}
}

type recoveryInfo struct {
	known         bool // the store has held this region's data before
	keys, batches int64
	micros        int64
	clean         bool
}

func (n *Node) syncPolicy(s *config.Snapshot) persist.Policy {
	switch {
	case !s.AppendOnly:
		return persist.No // the log serves siblings; SyncLog still syncs it
	case s.AppendFsync == config.FsyncAlways:
		return persist.Always
	case s.AppendFsync == config.FsyncNo:
		return persist.No
	}
	return persist.EverySec
}

// regionName is the region's name; without one the data is that of a lone
// cache.
func regionName(s *config.Snapshot) string {
	if s.Region == "" {
		return "local"
	}
	return s.Region
}

// openDisk opens the data directory if anything consumes ops, recovers what is
// there, and settles who this region is.
func (n *Node) openDisk() error {
	snap := n.conf.Load()
	if !snap.AppendOnly && len(snap.Siblings) == 0 {
		id := persist.Identity{Region: regionName(snap), Origin: clock.NewOrigin(regionName(snap), uint64(n.wall.NowMs()))}
		n.setIdentity(id)
		n.engine.SetOrigin(id.Origin)
		n.commit.attach(nil, id.Origin, nil, nil)
		return nil
	}
	db, rec, err := n.openStore(snap)
	if err != nil {
		return err
	}
	siblings, err := rememberedSiblings(db, snap.Siblings)
	if err == nil {
		err = n.setSiblings(siblings)
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	snap = n.conf.Load()
	if rec, err = n.dropHalfCopy(db, rec); err != nil {
		return errors.Join(err, db.Close())
	}
	n.engine.Configure(n.params(snap))
	vector, err := n.recover(db, rec)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if err := n.settleIdentity(db, rec, snap, vector); err != nil {
		return errors.Join(err, db.Close())
	}
	n.disk.db.Store(db)
	n.engine.SetOrigin(n.identity().Origin)
	n.commit.attach(db.Log, n.identity().Origin, vector, vector)
	if len(n.conf.Load().Siblings) > 0 {
		db.Log.SetRetain(0) // until siblings have said what they hold
	} else {
		db.Log.SetRetain(math.MaxUint64)
		db.Log.SetTailBytes(0)
	}
	return nil
}

func (n *Node) identity() persist.Identity { return *n.disk.identity.Load() }

func (n *Node) setIdentity(id persist.Identity) {
	n.disk.identity.Store(&id)
	n.engine.SetFounding(id.Founding)
}

func (n *Node) openStore(snap *config.Snapshot) (*persist.DB, persist.Recovery, error) {
	store, err := n.opts.OpenStore()
	if err != nil {
		return nil, persist.Recovery{}, err
	}
	db, rec, err := persist.Open(store, persist.Options{Log: persist.LogOptions{
		Policy:    n.syncPolicy(snap),
		OnAppend:  n.opts.WakeLog,
		OnDurable: n.logDurable,
		OnDrained: n.resumeAll,
	}})
	if err != nil {
		return nil, rec, errors.Join(err, store.Close())
	}
	return db, rec, nil
}

// dropHalfCopy empties a region whose copy of a sibling's data never became
// whole; it will get a new one.
func (n *Node) dropHalfCopy(db *persist.DB, rec persist.Recovery) (persist.Recovery, error) {
	members, err := db.Members()
	if err != nil || members[metaCopying] == nil {
		return rec, err
	}
	n.log.Warn("the copy of a sibling's data was not complete: beginning empty")
	id := rec.Identity
	id.Origin = n.newOrigin(id.Region, id.Origin.Incarnation())
	if err := errors.Join(db.DeleteAll(id, clock.Vector{}), db.DeleteMember(metaCopying)); err != nil {
		return rec, err
	}
	return persist.Recovery{Identity: id, Clean: true, LastReading: rec.LastReading}, nil
}

// loadBatch is how many rows are handed to the engine at a time.
const loadBatch = 256

// recover loads rows and replays the log tail; it returns the vector.
func (n *Node) recover(db *persist.DB, rec persist.Recovery) (clock.Vector, error) {
	start, now := n.opts.Micros(), n.wall.NowMs()
	info := &n.disk.recovery
	info.clean, info.known = rec.Clean, !rec.Identity.IsZero()
	n.engine.SetDBMap(rec.DBMap)
	n.engine.SetFounding(rec.Identity.Founding)
	n.engine.SetOrigin(rec.Identity.Origin)
	var rows []engine.StateEntry
	flush := func() error {
		err := n.engine.LoadRows(rows, now)
		info.keys += int64(len(rows))
		rows = rows[:0]
		return err
	}
	err := db.LoadRows(func(num int, key, row []byte) error {
		rows = append(rows, engine.StateEntry{DB: num, Key: append([]byte(nil), key...), State: append([]byte(nil), row...)})
		if len(rows) == loadBatch {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return nil, fmt.Errorf("load rows: %w", err)
	}
	// What the log's tail changes is newer than its row.
	p := n.engine.Params()
	p.KeepRows = true
	n.engine.Configure(p)
	vector := rec.Vector.Clone()
	n.commit.hlc.Observe(rec.LastReading)
	err = db.ReplayLog(func(pos uint64, raw []byte) error {
		b, err := op.ParseBatch(raw)
		if err == nil {
			err = b.Check()
		}
		if err == nil {
			n.replayAs(p, b, rec.Identity.Founding, pos)
			err = n.engine.Apply(b, engine.FromLog, now)
		}
		if err != nil {
			return fmt.Errorf("log position %d: %w", pos, err)
		}
		vector.Raise(b.Origin, b.Last())
		n.commit.hlc.Observe(b.Last())
		info.batches++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replay log: %w", err)
	}
	n.engine.Configure(p)
	n.commit.hlc.Observe(n.engine.LastReading())
	info.micros = n.opts.Micros() - start
	if rec.Identity.IsZero() {
		n.log.Info("the data directory is new")
		return vector, nil
	}
	n.log.Info("data loaded", "keys", info.keys, "batches", info.batches, "seconds", float64(info.micros)/1e6, "clean", rec.Clean)
	return vector, nil
}

// settleIdentity decides which incarnation this start continues or begins.
func (n *Node) settleIdentity(db *persist.DB, rec persist.Recovery, snap *config.Snapshot, vector clock.Vector) error {
	id, name := rec.Identity, regionName(snap)
	hasData := !rec.Identity.IsZero() && len(vector) > 0
	switch {
	case id.IsZero():
		id = persist.Identity{Region: name, Origin: n.newOrigin(name, 0)}
	case id.Region != name && id.Region != regionName(&config.Snapshot{}) && id.Deployment != 0:
		return fmt.Errorf("the data directory belongs to region %q, but the configuration says region %q", id.Region, name)
	case id.Region != name:
		id.Region, id.Origin = name, n.newOrigin(name, 0)
	case !rec.Clean:
		// The log's tail may be gone: stamps and subtotals of the lost part
		// must not be used twice.
		id.Origin = n.newOrigin(name, id.Origin.Incarnation())
	}
	if len(snap.Siblings) > 0 {
		n.found(&id, hasData, vector)
	}
	n.setIdentity(id)
	return db.SetIdentity(id)
}

// replayAs gives the engine the settings under which b, at a log position, was
// made: before the founding nothing merged, and stamps were not kept.
func (n *Node) replayAs(p engine.Params, b op.Batch, founding clock.Stamp, pos uint64) {
	if !p.Merging {
		return
	}
	if b.Origin.Region() == founding.Origin.Region() && b.Last() <= founding.At {
		p.Merging = false
		n.disk.foundedAt.Store(pos + 1)
	}
	if p.Merging != n.engine.Params().Merging {
		n.engine.Configure(p)
	}
}

// newOrigin begins an incarnation after the one before.
func (n *Node) newOrigin(name string, before uint64) clock.Origin {
	return clock.NewOrigin(name, max(uint64(n.wall.NowMs()), before+1))
}

// found makes the region part of a deployment when it gets its first sibling.
func (n *Node) found(id *persist.Identity, hasData bool, vector clock.Vector) {
	if id.Deployment != 0 {
		return
	}
	id.Deployment = n.rand.Uint64() | 1
	id.DeploymentFirm = hasData
	// Without a log nothing was written before, by this life of the region or an
	// earlier one: batches of that come back from siblings, and did merge.
	id.Founding = clock.Stamp{At: 1, Origin: id.Origin}
	// One that the vector covers, so that whoever has this region's data has
	// seen it.
	newest := clock.Reading(0)
	for o, r := range vector {
		if r > newest {
			newest, id.Founding = r, clock.Stamp{At: r, Origin: o}
		}
	}
}

// logDurable is called when the log is safe up to pos: held output may leave.
func (n *Node) logDurable(pos uint64) {
	n.commit.durable(pos)
	n.releaseHeld(pos)
}

// WriteLog writes what waits in the log; it is the log-writer's step.
func (n *Node) WriteLog() (more bool) {
	n.disk.life.RLock()
	defer n.disk.life.RUnlock()
	db := n.disk.db.Load()
	if db == nil {
		return false
	}
	n.disk.writing.Lock()
	defer n.disk.writing.Unlock()
	more, err := db.Log.WriteStep()
	if err != nil {
		n.diskFailed(err)
		return false
	}
	return more
}

// LogAwaited reports whether output waits for the log, so that it is to be
// written at once.
func (n *Node) LogAwaited() bool {
	db := n.disk.db.Load()
	return db != nil && (db.Log.Policy() == persist.Always || db.Log.Full())
}

// SyncLog makes the written log durable; it is due once a second.
func (n *Node) SyncLog() {
	n.disk.life.RLock()
	defer n.disk.life.RUnlock()
	db := n.disk.db.Load()
	if db == nil {
		return
	}
	if err := db.Log.SyncStep(); err != nil {
		n.diskFailed(err)
		return
	}
	n.keepBound(db)
	n.stats.noteStore(db.Metrics())
}

// boundEveryMs is how old the clock bound on disk may grow.
const boundEveryMs = 5_000

// keepBound stores how far the clock has come, so that a start with a wall
// clock set back goes on from there. What a crash takes after that was stamped
// by an incarnation that ends with it, so the bound need not be ahead; if it
// were, siblings would hold back the writes after a restart for as long.
func (n *Node) keepBound(db *persist.DB) {
	last := n.commit.hlc.Last()
	if last < clock.Reading(n.stats.clockBound.Load()) {
		return
	}
	if err := db.SetBound(last); err == nil {
		n.stats.clockBound.Store(uint64(last + clock.ReadingAt(boundEveryMs)))
	}
}

// diskFailed is told of every failure and logs the first.
func (n *Node) diskFailed(err error) {
	if n.stats.diskFailed.CompareAndSwap(false, true) {
		n.log.Error("writing to the data directory failed: writes are refused from now on", "error", err)
		n.resumeAll()
	}
}

// diskError is why writes must be refused, or nil.
func (n *Node) diskError() error {
	if db := n.disk.db.Load(); db != nil {
		return db.Log.Failed()
	}
	return nil
}

// Checkpoint pacing.
const (
	checkpointRows    = 256 // keys a step writes
	checkpointEveryMs = 60_000
)

// Checkpoint does the next piece of a checkpoint, starting one when it is
// due; more says that it wants to go on at once.
func (n *Node) Checkpoint() (more bool) {
	db := n.disk.db.Load()
	if db == nil {
		return false
	}
	c := &n.disk.checkpoint
	c.Lock()
	defer c.Unlock()
	defer n.noteCheckpoint()
	defer func() { n.resumeRows(more) }()
	if c.run == nil && !n.startCheckpoint(db) {
		return false
	}
	if c.run.Behind() != 0 {
		n.WriteLog()
		return n.diskError() == nil
	}
	done, err := c.run.Step(checkpointRows)
	switch {
	case err != nil:
		if !c.failing {
			n.log.Error("checkpoint failed", "error", err)
		}
		c.failing = true
		c.run = nil
		return false
	case done:
		n.checkpointDone(c.vector)
		c.run = nil
		return false
	}
	return true
}

// awaitRows reports whether there is hope that a checkpoint makes values
// evictable, and if so sees to it that whoever parks on it is resumed.
func (n *Node) awaitRows() bool {
	db, p := n.disk.db.Load(), n.engine.Params()
	if db == nil || !p.EvictToDisk || p.Policy.Kind() == lru.KindNone {
		return false
	}
	c := n.stats.checkpoint.Load()
	if c != nil && c.failing ||
		(c == nil || !c.running) && db.Log.End()-1 == db.CheckpointPos() && !n.disk.unlogged.Load() {
		return false
	}
	n.disk.rowWaits.Store(rowRounds)
	return true
}

// rowRounds is how often waiters for rows are resumed between checkpoint steps:
// one of the first round may not have parked yet.
const rowRounds = 2

// resumeRows lets sessions that wait for rows look again, after a checkpoint's
// step. more says that another follows at once.
func (n *Node) resumeRows(more bool) {
	left := n.disk.rowWaits.Load()
	if left == 0 {
		return
	}
	if !more {
		n.disk.rowWaits.CompareAndSwap(left, left-1)
	}
	n.resumeAll()
}

// checkpointNow runs a whole checkpoint, for those who need rows and vector on
// disk before they go on.
func (n *Node) checkpointNow() error {
	db := n.disk.db.Load()
	c := &n.disk.checkpoint
	c.Lock()
	defer c.Unlock()
	defer n.noteCheckpoint()
	if c.run != nil {
		c.run.Abort()
		c.run = nil
	}
	c.lastMs = n.wall.NowMs()
	pos, vector := n.commit.position()
	run, err := db.StartCheckpoint(rowSource{n}, pos, vector)
	for done := false; err == nil && !done; {
		if run.Behind() != 0 {
			n.WriteLog()
			err = n.diskError()
			continue
		}
		done, err = run.Step(checkpointRows)
	}
	if err == nil {
		n.checkpointDone(vector)
	}
	return err
}

// wantCheckpoint asks for a checkpoint that begins after this call, and returns
// the number of those done by now or under way: it is done when
// checkpointedSince says so.
func (n *Node) wantCheckpoint() int64 {
	c := &n.disk.checkpoint
	c.Lock()
	defer c.Unlock()
	n.stats.wantRows.Store(true)
	if c.run != nil {
		return c.count + 1
	}
	return c.count
}

func (n *Node) checkpointedSince(number int64) bool {
	c := &n.disk.checkpoint
	c.Lock()
	defer c.Unlock()
	if c.count > number {
		return true
	}
	if c.run == nil {
		n.stats.wantRows.Store(true) // the one wanted failed, or was given up
	}
	return false
}

// checkpointDone books a finished checkpoint. The caller holds its lock.
func (n *Node) checkpointDone(v clock.Vector) {
	c := &n.disk.checkpoint
	c.failing = false
	c.count++
	c.doneMs = n.wall.NowMs()
	c.tookMs = c.doneMs - c.lastMs
	n.commit.raiseSynced(v)
}

// noteCheckpoint shows INFO, which must not wait for a checkpoint's writes,
// how it goes. The caller holds its lock.
func (n *Node) noteCheckpoint() {
	c := &n.disk.checkpoint
	n.stats.checkpoint.Store(&checkpointState{
		running: c.run != nil, failing: c.failing, count: c.count, startMs: c.lastMs, doneMs: c.doneMs, tookMs: c.tookMs,
	})
}

// startCheckpoint begins a checkpoint if the log has grown enough since the
// last, or enough time has passed, or eviction waits for rows.
func (n *Node) startCheckpoint(db *persist.DB) bool {
	c := &n.disk.checkpoint
	now := n.wall.NowMs()
	pos, vector := n.commit.position()
	unlogged := n.disk.unlogged.Load()
	if pos == db.CheckpointPos() && !unlogged {
		c.lastMs = now
		return false
	}
	grown := n.commit.appended() - c.bytes
	wanted := n.stats.wantRows.Swap(false)
	if !wanted && grown < n.conf.Load().CheckpointLogSize && now-c.lastMs < checkpointEveryMs {
		return false
	}
	db.Log.SetRetain(n.retainWithin(db))
	n.disk.unlogged.Store(false)
	run, err := db.StartCheckpoint(rowSource{n}, pos, vector)
	if err != nil {
		n.disk.unlogged.Store(unlogged)
		if !c.failing {
			n.log.Error("checkpoint failed", "error", err)
		}
		c.failing = true
		return false
	}
	c.run, c.vector, c.lastMs, c.bytes = run, vector, now, n.commit.appended()
	return true
}

// retainWithin is from where on the log is kept for siblings: all that they
// have not acknowledged, unless that is over its budget.
func (n *Node) retainWithin(db *persist.DB) uint64 {
	budget := n.conf.Load().LogRetentionSize
	if size := int64(db.Log.Stats().DiskBytes); size > budget && n.Configured() {
		n.log.Warn("the log kept for siblings is over its budget and is cut: a sibling that lacks it has to rejoin empty",
			"bytes", size, "log-retention-size", budget)
		return math.MaxUint64
	}
	return n.retainFrom()
}

// rowSource gives the engine's changed keys to a checkpoint.
type rowSource struct{ n *Node }

// TakeDirty implements persist.Rows.
func (r rowSource) TakeDirty() ([]persist.KeyID, []int) {
	keys, flushed := r.n.engine.TakeDirty()
	ids := make([]persist.KeyID, len(keys))
	for i, k := range keys {
		ids[i] = persist.KeyID{DB: k.DB, Key: k.Key}
	}
	return ids, flushed
}

// AppendRow implements persist.Rows.
func (r rowSource) AppendRow(dst []byte, db int, key []byte) ([]byte, bool) {
	start := r.n.opts.Micros()
	r.n.writing.keep(r.n, start)
	en, ok := r.n.engine.Row(engine.RowKey{DB: db, Key: string(key)})
	r.n.writing.note(r.n, checkpointTurn, start, r.n.opts.Micros())
	if !ok {
		return dst, false
	}
	if en.Evicted {
		en.State = r.n.withRowValue(en)
	}
	return append(dst, en.State...), true
}

// Moved implements persist.Rows.
func (r rowSource) Moved(db int, key []byte) (ids []persist.KeyID) {
	for _, k := range r.n.engine.Moved(engine.RowKey{DB: db, Key: string(key)}) {
		ids = append(ids, persist.KeyID{DB: k.DB, Key: k.Key})
	}
	return ids
}

// DBMap implements persist.Rows.
func (r rowSource) DBMap() []int { return r.n.engine.DBMap() }

// RowWritten implements persist.Rows: from now on the value may be evicted to
// its row.
func (r rowSource) RowWritten(db int, key, row []byte) {
	r.n.engine.RowWritten(engine.StateEntry{DB: db, Key: key, State: row})
}

// withRowValue completes a state whose value was evicted from its older row.
func (n *Node) withRowValue(en engine.ExportEntry) []byte {
	st, err := op.DecodeKeyState(en.State)
	if err != nil {
		return en.State
	}
	row, err := n.disk.db.Load().GetRow(en.DB, en.Key)
	if err != nil {
		return en.State
	}
	old, err := op.DecodeKeyState(row)
	if err != nil || !engine.Fill(&st, &old) {
		return en.State
	}
	return st.Append(nil)
}

// withRows calls fn, and again with the collections that it asks for fetched
// from disk.
func (n *Node) withRows(fn func() error) error {
	for {
		err := fn()
		need, ok := err.(*engine.NeedRow)
		if !ok {
			return err
		}
		if err := n.fetchNow(need); err != nil {
			return err
		}
	}
}

// fetchRows brings evicted values back and then runs done.
func (n *Node) fetchRows(need *engine.NeedRow, done func(error)) {
	n.opts.Spawn(func() { done(n.fetchNow(need)) })
}

// fetchNow is fetchRows for whoever may block.
func (n *Node) fetchNow(need *engine.NeedRow) error {
	db := n.disk.db.Load()
	for _, k := range need.Rows {
		row, err := db.GetRow(k.DB, []byte(k.Key))
		if err == nil {
			err = n.engine.RestoreRow(k, row)
		}
		if err != nil {
			n.log.Error("a value that was evicted to disk cannot be read", "key", k.Key, "error", err)
			return err
		}
	}
	return nil
}

// switchAppendOnly is CONFIG SET appendonly, both ways.
func (n *Node) switchAppendOnly(old, next *config.Snapshot) error {
	if old.AppendOnly == next.AppendOnly {
		return nil
	}
	if db := n.disk.db.Load(); db != nil && len(next.Siblings) > 0 {
		db.Log.SetPolicy(n.syncPolicy(next)) // siblings need the store anyway
		return nil
	}
	if next.AppendOnly {
		return n.attachDisk(next)
	}
	return n.detachDisk(next)
}

// attachDisk begins to keep data that so far was only in memory: what the
// directory holds is replaced, and everything here is written by the next
// checkpoint.
func (n *Node) attachDisk(next *config.Snapshot) error {
	db, _, err := n.openStore(next)
	if err != nil {
		return err
	}
	id := n.identity()
	_, vector := n.commit.position()
	if err := db.DeleteAll(id, nil); err != nil {
		return errors.Join(err, db.Close())
	}
	n.withWorld(func() {
		_, vector = n.commit.position()
		n.disk.db.Store(db)
		n.commit.attach(db.Log, id.Origin, vector, nil)
		n.engine.Configure(n.params(next))
		n.engine.MarkDirty()
		n.disk.unlogged.Store(true)
	})
	n.stats.wantRows.Store(true)
	return nil
}

// detachDisk stops keeping data; what is on disk stays as it is.
func (n *Node) detachDisk(next *config.Snapshot) error {
	db := n.disk.db.Load()
	if db == nil {
		return nil
	}
	c := &n.disk.checkpoint
	if !n.reconfigure.worldHeld {
		c.Lock()
	} else if !c.TryLock() { // a checkpoint may be waiting for the world
		return refusal(resp.ReasonBusy)
	}
	defer c.Unlock()
	n.withWorld(func() {
		_, vector := n.commit.position()
		n.disk.db.Store(nil)
		n.engine.DropEvicted()
		n.commit.attach(nil, n.identity().Origin, vector, vector)
		n.engine.Configure(n.params(next))
	})
	if c.run != nil {
		c.run.Abort()
		c.run = nil
	}
	n.releaseHeld(math.MaxUint64)
	n.disk.life.Lock()
	defer n.disk.life.Unlock()
	return db.CloseClean()
}
