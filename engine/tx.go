package engine

import (
	"bytes"
	"slices"

	"geocache/clock"
	"geocache/lru"
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
	// Sole: Keys is one key, and fn is one command about it. Once it has begun
	// to change that nothing makes it run again: see Tx.direct.
	Sole bool
}

// Tx is the only door to data. It belongs to one session and is used again and
// again; between Run calls it holds nothing. It is not safe for concurrent
// use.
//
// Byte slices that methods return are valid until Run's function returns or the
// tx changes the key, and must not be modified.
type Tx struct {
	e   *Engine
	p   *Params
	now int64
	// NoTouch leaves recency alone (CLIENT NO-TOUCH, OBJECT).
	NoTouch bool

	locked []int // shard numbers, ascending
	home   home
	world  bool
	walk   bool
	// sole says that changes may be direct, direct that the one under way is. It
	// is made at once and not undone, which spares small commands half of their
	// cost: nothing that could end the run comes after it.
	sole, direct bool
	one          undo // of a direct change
	ops          op.Builder
	undo         []undo
	tables       []tableUndo
	// dbMapWas is the database map before the first SwapDB of this tx.
	dbMapWas []int
	// flushed are the stored databases whose rows this tx made void.
	flushed []int
	hooks   []func()
	first   clock.Reading // of the committed batch, for hooks
	changes int           // of keys
	unseen  int           // ops that clients see nothing of
	// changed are the changed keys of shards where anybody watches or waits.
	changed []Key2
	waits   txWaits

	// undoOf finds the changes of a tx that has many: by hash the last one,
	// numbered from 1, which knows the one before.
	undoOf map[uint64]int
	// opened are the entries handed out; used is how many of them are.
	opened []*entry
	used   int
	// looked is the entry of the last lookup, which a change of its key goes on
	// with.
	looked *entry

	// What collections were before: see coll.go.
	collUndo []collUndo
	kept     []byte
	// patches are bytes that were changed in records before the commit.
	patches []patchUndo
	// unresolved are members that wait for the batch's stamps.
	unresolved []unresolved
	// unplaced are list elements that do, by their places.
	unplaced []unresolved
	// frees are trees that nobody uses once the tx is committed.
	frees []oldTrees
	moves []movedRow
}

// Key2 is a changed key by database number, for watchers.
type Key2 struct {
	DB  int
	Key string
	// quiet: no entry of the stream came or went, which is all that watchers hear
	// of in Redis.
	quiet bool
}

// undo is an entry that the tx changes, and what it was before. Its record is
// written at commit, so that undoing needs nothing but to forget it.
type undo struct {
	s   *shard
	t   *table
	num int // database number
	db  int // stored
	x   *entry
	was entryState
	// changed is set by done: there is something to write.
	changed bool
	stood   bool // live when the change under way began
	// shown says that the record was written before the commit, so that walks
	// of this tx meet it; before is what it was, nil for none.
	shown  bool
	before []byte
	// sameHash is the number of an earlier change, see Tx.undoOf.
	sameHash int
	// uncapped: max-ttl does not hold for the key as it is now.
	uncapped bool
}

// entryState is what of an entry a change may change.
type entryState struct {
	state  op.KeyState
	coll   *content
	others []*content
	word   lru.Word
	flags  recFlags
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
	t.sole = sc.Sole && !t.p.Merging && t.p.MaxTTLMs == 0
	done := false
	defer func() {
		if !done {
			err = t.failed(recover())
		}
	}()
	fn(t)
	if t.sole && t.isDirect() {
		t.commitDirect()
	} else {
		t.serveWaiters()
		t.commit()
		t.endWaits()
	}
	t.finish()
	done = true
	return nil
}

// failed undoes a run that has panicked with why, and is the error of one that
// has to be run again.
func (t *Tx) failed(why any) error {
	t.rollback()
	t.home.leave()
	t.resumeWaits()
	t.finish()
	switch need := why.(type) {
	case *NeedRow:
		return need
	case *NeedKeys:
		return need
	case nil:
		return nil // the goroutine ends, as tests do
	}
	panic(why)
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
	t.home.key = nil
	t.world, t.walk = sc.World, sc.Walk && !sc.World
	switch {
	case t.world:
		for i, s := range t.e.shards {
			s.mu.Lock()
			t.locked = append(t.locked, i)
		}
	case t.walk:
	case len(sc.Keys) == 1:
		t.locked = append(t.locked, t.goHome(sc.Keys[0].Name))
	default:
		for _, k := range sc.Keys {
			t.locked = append(t.locked, t.e.shardOf(t.e.hash(k.Name)).index)
		}
		slices.Sort(t.locked)
		t.locked = slices.Compact(t.locked)
		for _, i := range t.locked {
			t.e.shards[i].mu.Lock()
		}
		t.e.lookAheadHeld(sc.Keys)
	}
}

// finish lets go of everything.
func (t *Tx) finish() {
	t.forget()
	for _, i := range t.locked {
		t.e.shards[i].mu.Unlock()
	}
	t.locked = t.locked[:0]
	t.home.key = nil
	t.p = nil
}

// forget drops what the tx remembers of its changes.
func (t *Tx) forget() {
	if len(t.opened) > maxOpened {
		t.opened = t.opened[:maxOpened]
	}
	t.used, t.looked = 0, nil
	t.direct = false
	if t.ops.Len() == 0 && len(t.undo)+len(t.tables)+len(t.hooks) == 0 {
		return // nothing was changed
	}
	if len(t.undo)+len(t.tables) > 0 {
		t.home.leave()
	}
	t.undo = reuse(t.undo)
	t.tables, t.dbMapWas, t.flushed = reuse(t.tables), nil, t.flushed[:0]
	t.hooks = reuse(t.hooks)
	t.changed, t.changes = reuse(t.changed), 0
	t.unseen = 0
	t.waits.seen = 0
	if len(t.undoOf) > 0 {
		clear(t.undoOf)
	}
	t.ops.Reset()
	t.collUndo = reuse(t.collUndo)
	t.patches = reuse(t.patches)
	t.unresolved = reuse(t.unresolved)
	t.unplaced = reuse(t.unplaced)
	t.frees = reuse(t.frees)
	t.moves = reuse(t.moves)
	t.emptyKept()
}

func (t *Tx) emptyKept() {
	if cap(t.kept) > 64<<10 {
		t.kept = nil
	}
	t.kept = t.kept[:0]
}

// maxOpened is how many entries a tx keeps for its next run.
const maxOpened = 64

// fresh is an entry to open a record in, or for a key that has none. It lasts
// as long as the tx.
func (t *Tx) fresh() *entry {
	if t.used == len(t.opened) {
		t.opened = append(t.opened, &entry{})
	}
	x := t.opened[t.used]
	t.used++
	return x
}

// reuse empties s and keeps its memory, unless that is large.
func reuse[T any](s []T) []T {
	if len(s) == 0 {
		return s
	}
	return emptied(s)
}

func emptied[T any](s []T) []T {
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
		t.resolveMembers()
		t.resolvePlaces()
	}
	for i := range t.undo {
		if u := &t.undo[i]; u.changed && !u.t.dropped {
			t.e.put(u.s, u.t, u.db, u.x, t.p)
		} else if c := u.x.coll; c != nil && c.annex != nil && c.annex.t != u.t {
			c.annex.t.free(c) // it was moved to a table that is gone
		}
	}
	t.noteMoves()
	t.freeTrees()
	for _, h := range t.hooks {
		h()
	}
	for i := range t.undo {
		t.bury(&t.undo[i])
	}
	for _, k := range t.changed {
		if k.quiet {
			continue
		}
		t.e.touchWatched(k.DB, []byte(k.Key))
	}
	for i := range t.tables {
		t.e.discard(t.tables[i].t)
	}
}

// freeTrees frees what the tx has made useless.
func (t *Tx) freeTrees() {
	for i := range t.frees {
		if f := &t.frees[i]; !f.t.dropped {
			f.t.free(&f.c)
			t.e.use(f.t)
		}
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
	for i := range s.Sketches {
		birth := &s.Sketches[i].Birth
		birth.At = op.Resolve(birth.At, first)
	}
}

// rollback leaves everything as it was. Records were not written yet, but for
// those shown and patched; trees were changed in place and may lie elsewhere
// now.
func (t *Tx) rollback() {
	t.undoColls()
	for i := len(t.tables) - 1; i >= 0; i-- {
		u := t.tables[i]
		if made := u.s.dbs[u.stored]; made != nil {
			t.e.used.Add(-made.counted)
			made.dropped = true
			t.e.discard(made)
		}
		u.s.dbs[u.stored] = u.t
		u.t.dropped = false
		t.e.used.Add(u.t.counted)
	}
	for _, db := range t.flushed {
		delete(t.e.flushed, db)
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		u := &t.undo[i]
		if u.t.dropped {
			continue // in a table that is gone again
		}
		if u.shown {
			t.hide(u)
		}
		if u.was.coll != nil {
			u.x.state, u.x.coll, u.x.others, u.x.word, u.x.flags = u.was.state, u.was.coll, u.was.others, u.was.word, u.was.flags
			t.e.store(u.t, u.x, t.p)
		}
		t.e.use(u.t)
	}
	t.undoPatches()
	if t.dbMapWas != nil {
		copy(t.e.dbMap, t.dbMapWas)
	}
}

// show writes what the tx has changed so far to the records, so that a walk
// meets it. It is rare, and what the records were is copied.
func (t *Tx) show() {
	for i := range t.undo {
		u := &t.undo[i]
		if u.t.dropped || !u.changed {
			continue
		}
		if !u.shown {
			u.shown = true
			if u.x.ref != 0 {
				u.before = append([]byte(nil), u.t.rec(u.x.ref).b...)
			}
			u.was.detach()
		}
		u.x.detach()
		t.e.store(u.t, u.x, t.p)
		t.e.use(u.t)
	}
}

// hide puts the record of an entry back as it was before show.
func (t *Tx) hide(u *undo) {
	now := recFlags(0)
	if u.x.ref != 0 {
		now = u.t.rec(u.x.ref).flags()
		u.t.remove(u.x.hash, u.x.ref)
		u.t.arena.Free(u.x.ref)
		u.x.ref = 0
	}
	was := recFlags(0)
	if u.before != nil {
		u.x.ref = u.t.arena.Alloc(len(u.before))
		copy(u.t.arena.Bytes(u.x.ref), u.before)
		u.t.insert(u.x.hash, u.x.ref)
		r := u.t.rec(u.x.ref)
		was = r.flags()
		u.x.key = r.key()
	}
	u.t.count(now, was)
}

// detach makes an entry independent of its record's memory.
func (x *entry) detach() {
	x.key = bytes.Clone(x.key)
	detach(&x.state)
}

func (s *entryState) detach() { detach(&s.state) }

func detach(s *op.KeyState) {
	s.Value = bytes.Clone(s.Value)
	s.Sketches = slices.Clone(s.Sketches)
	for i := range s.Sketches {
		s.Sketches[i].Value = bytes.Clone(s.Sketches[i].Value)
	}
}

// OnCommit registers fn to be called under the locks once the batch has its
// stamps; replies that show a stamp are completed there.
func (t *Tx) OnCommit(fn func()) { t.hooks = append(t.hooks, fn) }

// Merging reports whether siblings are configured.
func (t *Tx) Merging() bool { return t.p.Merging }

// NowMs is the time of the command.
func (t *Tx) NowMs() int64 { return t.now }

// SetNow reads the time anew, between the commands of one EXEC.
func (t *Tx) SetNow(ms int64) { t.now = ms }

// stored is the stored database behind a database number.
func (t *Tx) stored(db int) int { return t.e.dbMap[db] }

// locate is the place of a key: its shard must be locked.
func (t *Tx) locate(k Key) (*shard, *table, uint64) {
	if h := &t.home; h.is(k) {
		return h.s, t.e.table(h.s, t.stored(k.DB)), h.hash
	}
	h := t.e.hash(k.Name)
	s := t.e.shardOf(h)
	if !t.world && !t.holds(s) {
		panic("engine: tx touches a key that its scope does not name: " + string(k.Name))
	}
	return s, t.e.table(s, t.stored(k.DB)), h
}

// holds reports whether a tx that is not over the world has locked s.
func (t *Tx) holds(s *shard) bool {
	if len(t.locked) == 1 {
		return t.locked[0] == s.index
	}
	_, ok := slices.BinarySearch(t.locked, s.index)
	return ok
}

// changedEntry is the entry of a key that the tx has changed already, or nil.
func (t *Tx) changedEntry(tb *table, h uint64, name []byte) *undo {
	if len(t.undo) == 0 {
		return nil
	}
	if len(t.undo) <= manyUndos {
		for i := range t.undo {
			if u := &t.undo[i]; u.x.hash == h && u.t == tb && string(u.x.key) == string(name) {
				return u
			}
		}
		return nil
	}
	for i := t.undoOf[h]; i != 0; i = t.undo[i-1].sameHash {
		if u := &t.undo[i-1]; u.t == tb && string(u.x.key) == string(name) {
			return u
		}
	}
	return nil
}

// manyUndos is from how many changes on a tx looks them up in a map.
const manyUndos = 8

// remember is the undo record of an entry that the tx has not changed so far.
func (t *Tx) remember(k Key, s *shard, x *entry) *undo {
	if n := len(t.undo); n < cap(t.undo) {
		t.undo = t.undo[:n+1] // which reuse has cleared
	} else {
		t.undo = append(t.undo, undo{})
	}
	n := len(t.undo)
	u := &t.undo[n-1]
	u.s, u.t, u.num, u.db, u.x = s, x.t, k.DB, x.t.db, x
	if n > manyUndos {
		if t.undoOf == nil {
			t.undoOf = map[uint64]int{}
		}
		if n == manyUndos+1 {
			for i := range n - 1 {
				t.index(i)
			}
		}
		t.index(n - 1)
	}
	return u
}

// index enters a change in undoOf.
func (t *Tx) index(i int) {
	u := &t.undo[i]
	u.sameHash = t.undoOf[u.x.hash]
	t.undoOf[u.x.hash] = i + 1
}

// lookup is the live entry of k, or nil. An expired one is reclaimed where
// that is allowed.
func (t *Tx) lookup(k Key) *entry {
	s, tb, h := t.locate(k)
	if u := t.changedEntry(tb, h, k.Name); u != nil {
		if !u.x.exists() || t.expired(&u.x.state) {
			return nil
		}
		return u.x
	}
	x := t.standingOpen(k, tb)
	if x == nil {
		r, ok := t.find(k, tb, h)
		if !ok || !r.has(fLive) {
			return nil
		}
		if r.expired(t.now) {
			if len(t.undo) == 0 && !t.e.announces(r, t.p) {
				t.home.leave()
				t.e.reclaim(s, tb, t.stored(k.DB), r, t.now)
			}
			return nil
		}
		x = t.openedFor(k, r, h)
	}
	t.looked = x
	return x
}

// value is lookup for those who need the content: it ends the run if that
// lies on disk.
func (t *Tx) value(k Key) *entry {
	x := t.lookup(k)
	if x != nil && x.flags&fOnDisk != 0 {
		panic(&NeedRow{[]RowKey{{t.stored(k.DB), string(x.key)}}})
	}
	return x
}

// needAway ends the run if k is a collection whose members lie on disk: how a
// change of it merges with those of other regions depends on them.
func (t *Tx) needAway(x *entry, db int) {
	if x.coll != nil && x.coll.away {
		panic(&NeedRow{[]RowKey{{db, string(x.key)}}})
	}
}

// edit is the entry of k for a change: found or made, remembered for undo. The
// caller changes it and then calls done.
func (t *Tx) edit(k Key) *undo {
	u := t.openFor(k)
	if u.x.flags&fOnDisk != 0 {
		panic(&NeedRow{[]RowKey{{u.db, string(u.x.key)}}})
	}
	t.e.preserve(u.t, u.x)
	return u
}

// editBlind is edit for writes that do not look at the old value, so that it
// may stay on disk.
func (t *Tx) editBlind(k Key) *undo {
	u := t.openFor(k)
	t.e.preserve(u.t, u.x)
	return u
}

// openFor is the entry of k for edit and editBlind.
func (t *Tx) openFor(k Key) *undo {
	t.direct = false
	s, tb, h := t.locate(k)
	if u := t.changedEntry(tb, h, k.Name); u != nil {
		u.uncapped = false
		return t.begins(k, u, u.x.exists())
	}
	x, live := t.looked, true
	t.looked = nil
	if x == nil || x.hash != h || x.t != tb || string(x.key) != string(k.Name) {
		x = t.standingOpen(k, tb)
	}
	if x == nil {
		r, ok := t.find(k, tb, h)
		if !ok {
			x = t.fresh()
			*x = entry{hash: h, key: k.Name, t: tb, word: t.p.Policy.Init(t.now)}
			return t.remember(k, s, x)
		}
		x = t.openedFor(k, r, h)
		live = r.has(fLive)
	}
	t.needAway(x, tb.db)
	if t.sole && live && t.lasts(s, x) {
		t.direct = true
		u := &t.one
		u.s, u.t, u.num, u.db, u.x, u.stood = s, tb, k.DB, tb.db, x, true
		return u
	}
	u := t.remember(k, s, x)
	if x.coll != nil || t.p.Merging { // else nobody asks
		u.was = entryState{state: x.state, coll: x.coll, others: x.others, word: x.word, flags: x.flags}
	}
	return t.begins(k, u, live)
}

// lasts reports whether a direct change of x, which is live, would do: nobody asks
// for what it was, nobody waits for it, and its stamp says nothing.
func (t *Tx) lasts(s *shard, x *entry) bool {
	return unobserved(s, x.t) && x.flags&(fOnDisk|fToken) == 0 &&
		plain(&x.state, x.coll) && !x.shared() && !t.expired(&x.state)
}

// done completes a change: watchers and waiters will hear of it.
func (t *Tx) done(k Key, u *undo) {
	if !t.expired(&u.x.state) {
		u.x.flags &^= fTold
	}
	t.changes++
	if t.direct {
		t.keepQuietly(u)
		return
	}
	u.changed = true
	t.appeared(k, u)
	if len(u.s.watches)+len(u.s.waits) > 0 {
		t.changed = append(t.changed, Key2{DB: k.DB, Key: string(u.x.key)})
	}
}

// keepQuietly completes a change that nobody hears of.
func (t *Tx) keepQuietly(u *undo) {
	if !t.direct {
		u.changed = true
		return
	}
	t.direct = false
	t.e.put(u.s, u.t, u.db, u.x, t.p)
	t.home.stored(u.x)
}

// bury queues a fresh removal to be forgotten later.
func (t *Tx) bury(u *undo) {
	if t.p.Merging && (removedSince(&u.was.state, &u.x.state) || !u.x.exists()) {
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
		if !u.x.exists() || u.t.dropped || !u.changed || u.uncapped {
			continue // removed, or flushed with its table
		}
		if d := deadlineOf(&u.x.state); d == 0 || d > latest {
			s := t.emit(func(b *op.Builder) clock.Stamp { return b.Deadline(u.db, u.x.key, latest) })
			u.x.state.DeadlineStamp, u.x.state.DeadlineMs = s, latest
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
