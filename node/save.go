package node

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/persist"
	"geocache/rdb"
	"geocache/rdbvalue"
	"geocache/resp"
)

// This file writes snapshots, the files of Redis' kind that SAVE, BGSAVE,
// save points and a shutdown leave (docs/adr/0006); load.go reads them.

// saves is what the node knows of its snapshots.
type saves struct {
	// giveUp makes the snapshot being written in the background fail.
	giveUp atomic.Bool
	// failing: the last one in the background failed, and writes may have to
	// be refused.
	failing atomic.Bool
	// last: the one of a shutdown was written, and has to be the last word.
	last atomic.Bool
	// reloading: all data is being replaced, and commands wait.
	reloading atomic.Bool

	sync.Mutex           // a leaf, over what follows
	idle       sync.Cond // state.busy has ended
	state      saveState
}

// saveState is a copy of everything INFO shows of snapshots. Times are in
// milliseconds since the epoch.
type saveState struct {
	busy         bool // one is being taken or written
	inBackground bool // that one, and not for SAVE or a shutdown
	scheduled    bool // by BGSAVE inside EXEC, or SCHEDULE, or FLUSHALL
	flushed      bool // the one scheduled is FLUSHALL's
	forFlush     bool // the one under way is
	beganMs      int64
	savedMs      int64 // the last that succeeded; the start before the first
	triedMs      int64 // the last in the background that began
	tookMs       int64 // of the last in the background, -1 before the first
	failing      bool
	count        int64
	savedChanges int64 // engine.Changes at the last that succeeded

	loadedKeys, expiredKeys int64 // of the start
}

func (s *saves) init(nowMs int64) {
	s.idle.L = s
	s.state = saveState{savedMs: nowMs, tookMs: -1}
}

func (s *saves) view() saveState {
	s.Lock()
	defer s.Unlock()
	return s.state
}

// saveKind says for whom a snapshot is written.
type saveKind uint8

const (
	inForeground saveKind = iota // SAVE, a shutdown
	inBackground                 // BGSAVE, a save point
)

var (
	errNoFiles = errors.New("this region has no place for files")
	errGivenUp = errors.New("given up: the server ends")
)

// LastSaveMs implements command.Host.
func (n *Node) LastSaveMs() int64 { return n.saves.view().savedMs }

// Save implements command.Host. It blocks.
func (n *Node) Save() error {
	n.saves.awaitFlush()
	if !n.beginSave(inForeground) {
		return resp.ErrSaveRunning
	}
	if n.writeSnapshot(inForeground, n.engine.BeginSnapshot(n.wall.NowMs())) != nil {
		return resp.ErrNoReason
	}
	return nil
}

// SaveInBackground implements command.Host.
func (n *Node) SaveInBackground(when command.SaveTime) error {
	if when == command.SaveLater {
		s := &n.saves
		s.Lock()
		defer s.Unlock()
		if s.state.inBackground {
			return resp.ErrSaveRunning
		}
		s.state.scheduled = true
		return nil
	}
	n.saves.ownFlush()
	if !n.startSave() {
		return n.saves.followFlush()
	}
	return nil
}

// ownFlush makes FLUSHALL's snapshot, where it has not begun, one that was
// asked for.
func (s *saves) ownFlush() {
	s.Lock()
	defer s.Unlock()
	s.state.flushed = false
}

// Flushed implements command.Host: where save points count, FLUSHALL has a
// snapshot written, as in Redis, so that a start does not bring back what was
// removed. Unlike there it is written soon after the reply.
func (n *Node) Flushed() {
	if len(n.activeSavePoints()) == 0 {
		return
	}
	s := &n.saves
	s.Lock()
	defer s.Unlock()
	s.state.scheduled, s.state.flushed = true, true
	s.state.savedChanges = n.engine.Changes()
}

// awaitFlush waits for the end of a snapshot that nobody asked for.
func (s *saves) awaitFlush() {
	s.Lock()
	defer s.Unlock()
	for s.state.forFlush {
		s.idle.Wait()
	}
}

// followFlush books a snapshot after the one that is being written, where
// nobody asked for that.
func (s *saves) followFlush() error {
	s.Lock()
	defer s.Unlock()
	if !s.state.forFlush {
		return resp.ErrSaveRunning
	}
	s.state.scheduled = true
	return nil
}

// startSave takes a snapshot now and writes it in the background; false where
// one is being written already.
func (n *Node) startSave() bool {
	if !n.beginSave(inBackground) {
		return false
	}
	snap := n.engine.BeginSnapshot(n.wall.NowMs())
	n.log.Info("background saving started")
	n.opts.Spawn(func() { _ = n.writeSnapshot(inBackground, snap) }) // logged, and shown by INFO
	return true
}

// beginSave books the right to write; writeSnapshot gives it back.
func (n *Node) beginSave(kind saveKind) bool {
	s := &n.saves
	s.Lock()
	defer s.Unlock()
	if s.state.busy {
		return false
	}
	s.state.busy = true
	s.state.beganMs = n.wall.NowMs()
	s.state.forFlush = s.state.flushed
	s.state.scheduled, s.state.flushed = false, false // what is taken now is not older
	if kind == inBackground {
		s.state.inBackground = true
		s.state.triedMs = s.state.beganMs
	}
	return true
}

// writeSnapshot writes snap to dbfilename and books how it went, as Redis
// does: a failing SAVE does not stop writes, a good one lets them go on.
func (n *Node) writeSnapshot(kind saveKind, snap *engine.Snapshot) error {
	defer snap.End() // where nothing has come to reading it
	err, file := errNoFiles, n.conf.Load().DBFilename
	if n.opts.SaveFile != nil {
		err = n.opts.SaveFile(file, func(w io.Writer) error { return n.encodeSnapshot(w, kind, snap) })
	}
	now := n.wall.NowMs()
	s := &n.saves
	s.Lock()
	defer s.Unlock()
	s.state.busy, s.state.inBackground, s.state.forFlush = false, false, false
	s.idle.Broadcast()
	if kind == inBackground {
		s.state.tookMs = max(now-s.state.beganMs, 0)
	}
	if err != nil {
		if kind == inBackground && !errors.Is(err, errGivenUp) {
			s.fails(true)
		}
		n.log.Error("saving failed", "file", file, "error", err)
		return err
	}
	s.fails(false)
	s.state.count++
	s.state.savedMs = now
	s.state.savedChanges = max(s.state.savedChanges, snap.Changes)
	n.log.Info("DB saved on disk", "file", file)
	return nil
}

func (s *saves) fails(v bool) {
	s.state.failing = v
	s.failing.Store(v)
}

// encodeSnapshot writes snap as an RDB file.
func (n *Node) encodeSnapshot(out io.Writer, kind saveKind, snap *engine.Snapshot) error {
	w := rdb.NewWriter(out)
	w.Aux("redis-ver", command.RedisVersion(n.conf.Load().Compat))
	w.Aux("redis-bits", strconv.Itoa(strconv.IntSize))
	w.Aux("ctime", strconv.FormatInt(n.wall.NowMs()/1000, 10))
	w.Aux("used-mem", strconv.FormatInt(n.UsedBytes(), 10))
	selected := -1 // what was preserved may belong to any database
	err := n.eachEntry(snap, func(e rdb.Entry) error {
		if kind == inBackground && n.saves.giveUp.Load() {
			return errGivenUp
		}
		if e.DB != selected {
			selected = e.DB
			w.SelectDB(e.DB, snap.DBs[e.DB].Keys, snap.DBs[e.DB].Expires)
		}
		return w.Entry(e)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// eachEntry hands over the keys of a snapshot, and ends it. An entry is valid
// during the call.
func (n *Node) eachEntry(snap *engine.Snapshot, take func(rdb.Entry) error) error {
	return snap.Each(func(k *engine.SnapshotKey) error {
		if k.OnDisk != nil {
			if ok, err := n.readEvicted(k); !ok || err != nil {
				return err
			}
		}
		return take(rdb.Entry{DB: k.DB, Key: []byte(k.Key), DeadlineMs: k.DeadlineMs, Value: rdbvalue.Of(k.Value, k.Coll)})
	})
}

// readEvicted completes k from its row; ok is false where the key has gone
// meanwhile.
func (n *Node) readEvicted(k *engine.SnapshotKey) (ok bool, err error) {
	n.disk.life.RLock()
	defer n.disk.life.RUnlock()
	db := n.disk.db.Load()
	if db == nil {
		return false, nil // the store was closed, and what was only there is gone
	}
	row, err := db.GetRow(k.OnDisk.Row.DB, []byte(k.OnDisk.Row.Key))
	if errors.Is(err, persist.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		ok, err = k.ReadRow(row)
	}
	if err != nil {
		return false, fmt.Errorf("value of %q on disk: %w", k.Key, err)
	}
	return ok, nil
}

// saveRetryMs is how long a save point waits after a failure, as in Redis.
const saveRetryMs = 5000

// savePoints starts a snapshot that is due; it belongs to Tick.
func (n *Node) savePoints(nowMs int64) {
	st := n.saves.view()
	if st.busy || n.ending.Load() || st.failing && nowMs-st.triedMs <= saveRetryMs {
		return
	}
	if st.scheduled {
		n.startSave()
		return
	}
	changes := n.engine.Changes() - st.savedChanges
	for _, p := range n.activeSavePoints() {
		if changes >= p.Changes && nowMs-st.savedMs > p.Seconds*1000 {
			n.log.Info(fmt.Sprintf("%d changes in %d seconds. Saving...", p.Changes, p.Seconds))
			n.startSave()
			return
		}
	}
}

// activeSavePoints are the configured save points where they count: the log
// makes them superfluous, which unlike Redis' is on unless told otherwise.
func (n *Node) activeSavePoints() []config.SavePoint {
	snap := n.conf.Load()
	if snap.AppendOnly || n.opts.SaveFile == nil {
		return nil
	}
	return snap.Save
}

// saveError is why writes must be refused, or nothing.
func (n *Node) saveError() resp.Error {
	if n.saves.failing.Load() && n.conf.Load().StopWritesOnSaveError && len(n.activeSavePoints()) > 0 {
		return resp.ErrMisconfRDB
	}
	return ""
}

// RewriteLog implements command.Host: what Redis does to its log a checkpoint
// does to ours.
func (n *Node) RewriteLog() error {
	if n.disk.db.Load() == nil {
		return nil
	}
	if c := n.stats.checkpoint.Load(); c != nil && c.running {
		return resp.ErrRewriteRunning
	}
	n.stats.wantRows.Store(true)
	return nil
}

// MakeDurable implements command.Host.
func (n *Node) MakeDurable() error {
	if db := n.disk.db.Load(); db != nil {
		for last := db.Log.End() - 1; db.Log.Written() < last && n.WriteLog(); {
		}
		n.SyncLog()
	}
	return n.diskError()
}

// PrepareStop does what has to succeed before the server may end, unless it is
// forced: what was acknowledged must be possible to write, and the snapshot of
// a shutdown is written. From its start commands wait, so that none changes
// what was saved; where it fails they go on. It blocks.
func (n *Node) PrepareStop(m command.ShutdownMode) error {
	n.preparing.Lock()
	defer n.preparing.Unlock()
	if n.ending.Swap(true) {
		return nil // it was done before
	}
	err := n.saveForEnd(m)
	if err == nil {
		return nil
	}
	if m.Force == command.On {
		n.log.Error("shutting down although data cannot be written", "error", err)
		return nil
	}
	n.log.Error("shutdown refused: data cannot be written", "error", err)
	n.ending.Store(false)
	n.resumeAll()
	return resp.ErrShutdown
}

// saveForEnd writes the snapshot of a shutdown where one is due.
func (n *Node) saveForEnd(m command.ShutdownMode) error {
	if err := n.diskError(); err != nil {
		return err
	}
	if m.Save == command.No || m.Save == command.Default && len(n.activeSavePoints()) == 0 {
		return nil
	}
	err := n.saveLast()
	n.saves.last.Store(err == nil)
	return err
}

// saveLast writes a snapshot whatever else is being written.
func (n *Node) saveLast() error {
	n.saves.giveUp.Store(true)
	n.awaitSaveTurn()
	n.saves.giveUp.Store(false)
	return n.writeSnapshot(inForeground, n.engine.BeginSnapshot(n.wall.NowMs()))
}

// saveInTurn writes a snapshot once no other is being written.
func (n *Node) saveInTurn() error {
	n.awaitSaveTurn()
	return n.writeSnapshot(inForeground, n.engine.BeginSnapshot(n.wall.NowMs()))
}

// awaitSaveTurn books the right to write once nobody else does; writeSnapshot
// gives it back.
func (n *Node) awaitSaveTurn() {
	s := &n.saves
	s.Lock()
	defer s.Unlock()
	for s.state.busy {
		s.idle.Wait()
	}
	s.state.busy, s.state.beganMs = true, n.wall.NowMs()
	s.state.scheduled, s.state.flushed = false, false
}

// finishSaves is the end of all saving, when nothing else runs any more: what
// is being written is given up, and what slipped past the snapshot of the
// shutdown, by a command that ran already, is saved after all.
func (n *Node) finishSaves() error {
	s := &n.saves
	if st := s.view(); s.last.Load() && (st.flushed || n.engine.Changes() != st.savedChanges) {
		return n.saveLast()
	}
	s.giveUp.Store(true)
	s.Lock()
	defer s.Unlock()
	for s.state.busy {
		s.idle.Wait()
	}
	return nil
}
