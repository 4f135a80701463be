package engine

import (
	"slices"

	"geocache/clock"
	"geocache/op"
)

// Key names a key: a database number as SELECT knows it, and the name. The
// name is not kept.
type Key struct {
	DB   int
	Name []byte
}

// Scope says which keys a tx will touch.
type Scope struct {
	Keys []Key
	// World locks every shard: for commands that touch data without naming
	// keys, and need it to stand still.
	World bool
	// Walk locks nothing at first: for commands that only read, shard by
	// shard (SCAN, KEYS, DBSIZE).
	Walk bool
}

// Tx is the only door to data. It belongs to one session and is used again and
// again; between Run calls it holds nothing. It is not safe for concurrent
// use.
//
// Byte slices that methods return are valid until Run's function returns, and
// must not be modified.
type Tx struct {
	e   *Engine
	p   *Params
	now int64
	// NoTouch leaves recency alone (CLIENT NO-TOUCH, OBJECT).
	NoTouch bool

	locked []int // shard numbers, ascending
	world  bool
	walk   bool
	ops    op.Builder
	undo   []undo
	tables []tableUndo
	// dbMapWas is the database map before the first SwapDB of this tx.
	dbMapWas []int
	// flushed are the stored databases whose rows this tx made void.
	flushed []int
	hooks   []func()
	first   clock.Reading // of the committed batch, for hooks
	changed []Key2
	waits   txWaits

	// What collections were before: see coll.go.
	collUndo []collUndo
	kept     []byte
	// frees are trees that nobody uses once the tx is committed.
	frees []content
}

// Key2 is a changed key by database number, for watchers.
type Key2 struct {
	DB  int
	Key string
}

// undo remembers an entry as it was before the tx changed it.
type undo struct {
	s   *shard
	t   *table
	db  int // stored
	x   *entry
	was entry
}

// NeedRow ends a run that met values which lie on disk: the caller fetches
// the rows without locks, hands them to RestoreRow and runs again.
type NeedRow struct{ Rows []RowKey }

func (n *NeedRow) Error() string { return "engine: value lies on disk" }

// NewTx makes a tx of e.
func (e *Engine) NewTx() *Tx { return &Tx{e: e} }

// Run locks what sc names, runs fn with the time frozen at nowMs, serves those
// who wait for what it changed, commits all changes as one batch, and unlocks.
// The only errors are *NeedRow and *NeedKeys: then nothing has changed and fn
// will be called anew by the next Run. fn must not block.
func (t *Tx) Run(sc Scope, nowMs int64, fn func(*Tx)) (err error) {
	t.acquire(sc)
	t.now = nowMs
	t.begin()
	defer func() {
		if r := recover(); r != nil {
			t.rollback()
			t.resumeWaits()
			t.finish()
			switch need := r.(type) {
			case *NeedRow:
				err = need
			case *NeedKeys:
				err = need
			default:
				panic(r)
			}
			return
		}
		t.finish()
	}()
	fn(t)
	t.serveWaiters()
	t.commit()
	t.endWaits()
	return nil
}

// begin takes up the settings in force.
func (t *Tx) begin() {
	t.p = t.e.params.Load()
	t.ops.Origin = t.e.Origin()
}

// CommitSoFar commits what the tx has done as a batch of its own and goes on,
// under the settings then in force. EXEC does so around a command that changes
// what consumes ops.
func (t *Tx) CommitSoFar() {
	t.noteReady(noKey)
	t.commit()
	t.forget()
	t.begin()
}

func (t *Tx) acquire(sc Scope) {
	t.locked = t.locked[:0]
	t.world, t.walk = sc.World, sc.Walk && !sc.World
	switch {
	case t.world:
		for i, s := range t.e.shards {
			s.mu.Lock()
			t.locked = append(t.locked, i)
		}
	case t.walk:
	case len(sc.Keys) == 1:
		s := t.e.shardOf(t.e.hash(sc.Keys[0].Name))
		s.mu.Lock()
		t.locked = append(t.locked, s.index)
	default:
		for _, k := range sc.Keys {
			t.locked = append(t.locked, t.e.shardOf(t.e.hash(k.Name)).index)
		}
		slices.Sort(t.locked)
		t.locked = slices.Compact(t.locked)
		for _, i := range t.locked {
			t.e.shards[i].mu.Lock()
		}
	}
}

// finish lets go of everything.
func (t *Tx) finish() {
	t.forget()
	for _, i := range t.locked {
		t.e.shards[i].mu.Unlock()
	}
	t.locked = t.locked[:0]
	t.p = nil
}

// forget drops what the tx remembers of its changes.
func (t *Tx) forget() {
	t.undo = reuse(t.undo)
	t.tables, t.dbMapWas, t.flushed = reuse(t.tables), nil, t.flushed[:0]
	t.hooks = reuse(t.hooks)
	t.changed = reuse(t.changed)
	t.waits.seen = 0
	t.ops.Reset()
	t.collUndo = reuse(t.collUndo)
	t.frees = reuse(t.frees)
	if cap(t.kept) > 64<<10 {
		t.kept = nil
	}
	t.kept = t.kept[:0]
}

// reuse empties s and keeps its memory, unless that is large.
func reuse[T any](s []T) []T {
	if cap(s) > 1024 {
		return nil
	}
	clear(s)
	return s[:0]
}

// commit stamps the batch, resolves the provisional stamps it left in memory
// and marks watchers.
func (t *Tx) commit() {
	if len(t.undo) == 0 && t.ops.Len() == 0 && len(t.hooks) == 0 {
		return
	}
	t.capDeadlines()
	t.countChanges()
	if n := t.ops.Len(); n > 0 {
		t.first = t.e.sink.Commit(n, t.ops.Body())
		for i := range t.undo {
			resolve(&t.undo[i].x.state, t.first)
		}
	}
	for i := range t.frees {
		freeTrees(&t.frees[i])
	}
	for _, h := range t.hooks {
		h()
	}
	for i := range t.undo {
		t.bury(&t.undo[i])
	}
	for _, k := range t.changed {
		t.e.touchWatched(k.DB, k.Key)
	}
}

// resolve replaces the provisional readings in s.
func resolve(s *op.KeyState, first clock.Reading) {
	s.ValueStamp.At = op.Resolve(s.ValueStamp.At, first)
	s.DeadlineStamp.At = op.Resolve(s.DeadlineStamp.At, first)
	s.Dead.At = op.Resolve(s.Dead.At, first)
	s.Flushed.At = op.Resolve(s.Flushed.At, first)
	for i := range s.Subs {
		c := &s.Subs[i]
		c.Lineage.At = op.Resolve(c.Lineage.At, first)
		c.Born = op.Resolve(c.Born, first)
		c.At = op.Resolve(c.At, first)
	}
	for i := range s.Floors {
		f := &s.Floors[i]
		f.Lineage.At = op.Resolve(f.Lineage.At, first)
		f.At = op.Resolve(f.At, first)
	}
}

// rollback puts every changed entry back as it was.
func (t *Tx) rollback() {
	t.undoColls()
	// Tables first: the bytes they come back with are those they left with.
	for i := len(t.tables) - 1; i >= 0; i-- {
		u := t.tables[i]
		u.s.dbs[u.stored] = u.t
		t.e.used.Add(u.t.cost)
	}
	for _, db := range t.flushed {
		delete(t.e.flushed, db)
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		u := &t.undo[i]
		switch {
		case u.was.flags&inTable == 0 && u.x.flags&inTable != 0:
			u.t.remove(u.x)
		case u.was.flags&inTable != 0 && u.x.flags&inTable == 0:
			u.t.insert(u.x)
		}
		u.x.state, u.x.word = u.was.state, u.was.word
		const contents = rawEncoding | onDisk | hasRow | expiryTold
		u.x.flags = u.x.flags&^contents | u.was.flags&contents
		t.e.used.Add(u.t.account(u.x))
	}
	if t.dbMapWas != nil {
		copy(t.e.dbMap, t.dbMapWas)
	}
}

// OnCommit registers fn to be called under the locks once the batch has its
// stamps; replies that show a stamp are completed there.
func (t *Tx) OnCommit(fn func()) { t.hooks = append(t.hooks, fn) }

// NowMs is the time of the command.
func (t *Tx) NowMs() int64 { return t.now }

// SetNow reads the time anew, between the commands of one EXEC.
func (t *Tx) SetNow(ms int64) { t.now = ms }

// stored is the stored database behind a database number.
func (t *Tx) stored(db int) int { return t.e.dbMap[db] }

// locate is the place of a key: its shard must be locked.
func (t *Tx) locate(k Key) (*shard, *table, uint64) {
	h := t.e.hash(k.Name)
	s := t.e.shardOf(h)
	if !t.world {
		if _, ok := slices.BinarySearch(t.locked, s.index); !ok {
			panic("engine: tx touches a key that its scope does not name: " + string(k.Name))
		}
	}
	return s, t.e.table(s, t.stored(k.DB)), h
}

// lookup is the live entry of k, or nil. An expired one is reclaimed where
// that is allowed.
func (t *Tx) lookup(k Key) *entry {
	s, tb, h := t.locate(k)
	x := tb.find(h, k.Name)
	if x == nil || x.flags&countedLive == 0 {
		return nil
	}
	if d := deadlineOf(&x.state); d != 0 && d <= t.now {
		if len(t.undo) == 0 && !t.e.announces(x, t.p) {
			t.e.reclaim(s, tb, t.stored(k.DB), x, t.now)
		}
		return nil
	}
	return x
}

// value is lookup for those who need the content: it ends the run if that
// lies on disk.
func (t *Tx) value(k Key) *entry {
	x := t.lookup(k)
	if x != nil && x.flags&onDisk != 0 {
		panic(&NeedRow{[]RowKey{{t.stored(k.DB), x.key}}})
	}
	return x
}

// edit is the entry of k for a change: found or made, remembered for undo. The
// caller changes it and then calls done.
func (t *Tx) edit(k Key) *undo {
	s, tb, h := t.locate(k)
	x := tb.find(h, k.Name)
	if x != nil && x.flags&onDisk != 0 {
		panic(&NeedRow{[]RowKey{{t.stored(k.DB), x.key}}})
	}
	if x == nil {
		x = &entry{hash: h, key: string(k.Name), word: t.p.Policy.Init(t.now)}
	}
	t.undo = append(t.undo, undo{s: s, t: tb, db: t.stored(k.DB), x: x, was: *x})
	if x.flags&inTable == 0 {
		tb.insert(x)
	}
	return &t.undo[len(t.undo)-1]
}

// done completes a change: an entry without content and without merge state
// leaves the table, counters follow, watchers will hear of it.
func (t *Tx) done(k Key, u *undo) {
	if !t.p.Merging && !u.x.exists() {
		u.t.remove(u.x)
	}
	if !t.expired(&u.x.state) {
		u.x.flags &^= expiryTold
	}
	t.e.account(u.s, u.t, u.db, u.x, t.p)
	t.changed = append(t.changed, Key2{k.DB, u.x.key})
}

// bury queues a fresh removal to be forgotten later.
func (t *Tx) bury(u *undo) {
	if t.p.Merging && removedSince(&u.was.state, &u.x.state) {
		t.e.bury(u.s, u.db, u.x)
	}
}

// capDeadlines holds every key the tx leaves behind to max-ttl.
func (t *Tx) capDeadlines() {
	if t.p.MaxTTLMs == 0 {
		return
	}
	latest := t.now + t.p.MaxTTLMs
	for i := range len(t.undo) {
		u := &t.undo[i]
		if u.x.flags&countedLive == 0 || u.s.dbs[u.db] != u.t {
			continue // removed, or flushed with its table
		}
		if d := deadlineOf(&u.x.state); d == 0 || d > latest {
			s := t.emit(func(b *op.Builder) clock.Stamp { return b.Deadline(u.db, []byte(u.x.key), latest) })
			u.x.state.DeadlineStamp, u.x.state.DeadlineMs = s, latest
			t.e.account(u.s, u.t, u.db, u.x, t.p)
		}
	}
}

// emit appends an op, or only takes its stamp where nothing consumes ops.
func (t *Tx) emit(fn func(*op.Builder) clock.Stamp) clock.Stamp {
	if !t.p.Recording {
		return t.ops.Stamp()
	}
	return fn(&t.ops)
}
