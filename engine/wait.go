package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// This file lets commands wait for keys to change (BLPOP and the like). A
// Waiter has a place in the queue of each of its keys. The tx that changes a
// key runs the commands of its waiters again, oldest first, before it commits
// and before it lets go of a lock; what no tx changed (a sibling's batch, an
// expired key) is noted, and a tx of the node's serves those who wait for it.
//
// Locks: queues belong to their shard's lock. A waiter may be served only by
// who holds the locks of its whole scope, so there is one at a time. Its own
// mutex, below all shard locks, decides between that tx, which holds it from
// the attempt to its end, and whoever gives the wait up without any lock.

// Waiter is one command's wait. The fields in capitals are set before
// Tx.Wait and never change; it owns what they refer to.
type Waiter struct {
	// Keys are those whose change may end the wait.
	Keys []Key
	// Scope is what Serve touches, Keys included.
	Scope []Key
	// Type is what a key must be for another attempt; with Missing, one that is
	// gone or of another type is worth an attempt too.
	Type    Type
	Missing bool
	// Serve runs the command again and reports whether that ended the wait. It
	// may be called for a tx that is undone later.
	Serve func(*Tx) bool
	// Served is called under the locks once the batch of an attempt that ended
	// the wait is committed. It must not block.
	Served func()

	places []*place // guarded by the locks of the keys' shards
	seq    uint64   // order of arrival
	taken  bool     // served by a tx under way; guarded by the locks of Scope

	mu    sync.Mutex
	state waitState
}

type waitState uint8

const (
	waitNot    waitState = iota // Tx.Wait's tx is not committed
	waitOn                      // may be served
	waitServed                  // has been
	waitEnded                   // has been given up
)

// End gives the wait up, unless it has ended well, and reports whether it has:
// then nobody has served it or will. It takes no shard lock; Forget has to
// follow.
func (w *Waiter) End() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == waitOn {
		w.state = waitEnded
	}
	return w.state == waitEnded
}

// place is a waiter's place in the queue of one key.
type place struct {
	w          *Waiter
	s          *shard
	key        watchKey
	prev, next *place
	left       bool // the queue
}

// queue is who waits for one key, oldest first.
type queue struct{ head, tail *place }

// waits is who waits for keys of one shard.
type waits map[watchKey]*queue

func (s *shard) enqueue(w *Waiter, key watchKey) {
	q := s.waits[key]
	if q == nil {
		if s.waits == nil {
			s.waits = waits{}
		}
		q = &queue{}
		s.waits[key] = q
	}
	p := &place{w: w, s: s, key: key, prev: q.tail}
	if q.tail == nil {
		q.head = p
	} else {
		q.tail.next = p
	}
	q.tail = p
	w.places = append(w.places, p)
}

func (s *shard) dequeue(p *place) {
	q := s.waits[p.key]
	if p.prev == nil {
		q.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		q.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	if q.head == nil {
		delete(s.waits, p.key)
	}
}

// waiting is what the engine knows of waits beyond its shards.
type waiting struct {
	places atomic.Int64 // in all queues
	seq    atomic.Uint64

	// ready are keys with waiters that changed without a tx, in order, once
	// each.
	ready struct {
		sync.Mutex
		keys []watchKey
		set  map[watchKey]bool
	}
}

// txWaits is what a tx knows of the waits it ends.
type txWaits struct {
	seen  int        // of Tx.changed, those that noteReady has looked at
	ready []watchKey // changed keys with waiters, in order, once each
	taken []*Waiter  // whose wait the tx ends; their mutexes are held
}

// NeedKeys ends a run that met a waiter whose command needs more keys than are
// locked: the caller runs again with these as well.
type NeedKeys struct{ Keys []Key }

func (n *NeedKeys) Error() string { return "engine: a waiter needs keys that are not locked" }

// Wait queues w for its keys, which the scope names, once the tx commits.
func (t *Tx) Wait(w *Waiter) {
	t.OnCommit(func() {
		w.seq = t.e.waiting.seq.Add(1)
		for i, k := range w.Keys {
			if slices.ContainsFunc(w.Keys[:i], k.same) {
				continue
			}
			s, _, _ := t.locate(k)
			s.enqueue(w, watchKey{k.DB, string(k.Name)})
			t.e.waiting.places.Add(1)
		}
		w.mu.Lock()
		w.state = waitOn
		w.mu.Unlock()
	})
}

func (k Key) same(other Key) bool { return k.DB == other.DB && string(k.Name) == string(other.Name) }

// Forget takes w, which has been served or ended, out of all queues.
func (e *Engine) Forget(w *Waiter) {
	for _, p := range w.places {
		p.s.mu.Lock()
		e.leave(p)
		p.s.mu.Unlock()
	}
}

// leave takes a place, whose shard is locked, out of its queue.
func (e *Engine) leave(p *place) {
	if p.left {
		return
	}
	p.left = true
	p.s.dequeue(p)
	e.waiting.places.Add(-1)
}

// HasWaiters reports whether any command waits for a key.
func (t *Tx) HasWaiters() bool { return t.e.waiting.places.Load() > 0 }

// RequireWaiters ends the run unless everything is locked and in memory that
// serving the waiters of these keys may need, and the waiters of what those
// change in turn. It is for runs that must not be undone half way.
func (t *Tx) RequireWaiters(keys []Key) {
	if !t.HasWaiters() {
		return
	}
	met := map[*Waiter]bool{}
	for keys = slices.Clone(keys); len(keys) > 0; keys = keys[1:] {
		s, _, _ := t.locate(keys[0])
		q := s.waits[watchKey{keys[0].DB, string(keys[0].Name)}]
		for p := q.first(); p != nil; p = p.next {
			if !met[p.w] {
				met[p.w] = true
				t.holdScope(p.w)
				keys = append(keys, p.w.Scope...)
			}
		}
	}
	for w := range met {
		for _, k := range w.Scope {
			t.Require(k)
		}
	}
}

func (q *queue) first() *place {
	if q == nil {
		return nil
	}
	return q.head
}

// holdScope ends the run if a key of w's scope is not locked.
func (t *Tx) holdScope(w *Waiter) {
	if t.world {
		return
	}
	for _, k := range w.Scope {
		if _, ok := slices.BinarySearch(t.locked, t.e.shardOf(t.e.hash(k.Name)).index); !ok {
			panic(&NeedKeys{w.Scope})
		}
	}
}

// Stir serves those who wait for keys that have changed before (see
// TakeReady).
func (t *Tx) Stir(keys []Key) {
	for _, k := range keys {
		t.ready(watchKey{k.DB, string(k.Name)})
	}
}

// ready notes a key of a locked shard for serveWaiters if anybody waits.
func (t *Tx) ready(key watchKey) {
	s := t.e.shardOf(t.e.hash([]byte(key.key)))
	if s.waits[key] != nil && !slices.Contains(t.waits.ready, key) {
		t.waits.ready = append(t.waits.ready, key)
	}
}

// readyDB notes all keys of a database number that are waited for, in order of
// arrival. The scope is the world.
func (t *Tx) readyDB(db int) {
	var list []*place
	for _, s := range t.e.shards {
		for key, q := range s.waits {
			if key.db == db {
				list = append(list, q.head)
			}
		}
	}
	slices.SortFunc(list, func(a, b *place) int {
		return cmp.Or(cmp.Compare(a.w.seq, b.w.seq), strings.Compare(a.key.key, b.key.key))
	})
	for _, p := range list {
		t.ready(p.key)
	}
}

// noteReady notes what has changed since it was last called, but for the key
// whose waiters are being served: those who come later in its queue have their
// turn anyway.
func (t *Tx) noteReady(serving watchKey) {
	if t.HasWaiters() {
		for _, k := range t.changed[t.waits.seen:] {
			if key := (watchKey{k.DB, k.Key}); key != serving {
				t.ready(key)
			}
		}
	}
	t.waits.seen = len(t.changed)
}

// noKey is equal to no key.
var noKey = watchKey{db: -1}

// serveWaiters serves those who wait for what this tx changed, and for what
// serving them changes.
func (t *Tx) serveWaiters() {
	t.noteReady(noKey)
	for len(t.waits.ready) > 0 {
		key := t.waits.ready[0]
		t.waits.ready = slices.Delete(t.waits.ready, 0, 1)
		t.serveKey(key)
	}
}

// serveKey makes an attempt with each waiter of a key that is worth one.
func (t *Tx) serveKey(key watchKey) {
	k := Key{key.db, []byte(key.key)}
	s, _, _ := t.locate(k)
	info, there := t.Info(k)
	for p := s.waits[key].first(); p != nil; p = p.next {
		w := p.w
		if !w.Missing && (!there || info.Type != w.Type) || w.taken {
			continue
		}
		t.holdScope(w)
		t.attempt(w, key)
		info, there = t.Info(k)
	}
}

// attempt lets w try again. Where it finds nothing it stays, and what it
// changed wakes nobody.
func (t *Tx) attempt(w *Waiter, serving watchKey) {
	w.mu.Lock()
	if w.state != waitOn {
		w.mu.Unlock()
		return
	}
	w.taken = true
	t.waits.taken = append(t.waits.taken, w)
	if w.Serve(t) {
		t.noteReady(serving)
		return
	}
	t.waits.seen = len(t.changed)
	t.waits.taken = t.waits.taken[:len(t.waits.taken)-1]
	w.taken = false
	w.mu.Unlock()
}

// endWaits lets the waiters go that the committed tx has served.
func (t *Tx) endWaits() {
	for _, w := range t.waits.taken {
		for _, p := range w.places {
			t.e.leave(p)
		}
		w.taken, w.state = false, waitServed
		w.mu.Unlock()
		w.Served()
	}
	t.waits.reset()
}

// resumeWaits leaves those waiting whom a tx served that has been undone.
func (t *Tx) resumeWaits() {
	for _, w := range t.waits.taken {
		w.taken = false
		w.mu.Unlock()
	}
	t.waits.reset()
}

func (t *txWaits) reset() {
	t.seen, t.ready, t.taken = 0, reuse(t.ready), reuse(t.taken)
}

// changedAlone is told of a change that no tx made: watchers are told, and
// waiters will be by a tx that the node runs. The key's shard is locked.
func (e *Engine) changedAlone(db int, key []byte) {
	e.touchWatched(db, key)
	if e.waiting.places.Load() == 0 {
		return
	}
	wk := watchKey{db, string(key)}
	if e.shardOf(e.hash(key)).waits[wk] != nil {
		e.noteAlone(wk)
	}
}

func (e *Engine) noteAlone(key watchKey) {
	r := &e.waiting.ready
	r.Lock()
	defer r.Unlock()
	if r.set[key] {
		return
	}
	if r.set == nil {
		r.set = map[watchKey]bool{}
	}
	r.set[key] = true
	r.keys = append(r.keys, key)
}

// TakeReady hands over the keys with waiters that changed without a tx: a
// sibling's batch, an expired key. A tx over them calls Stir.
func (e *Engine) TakeReady() []Key {
	r := &e.waiting.ready
	r.Lock()
	defer r.Unlock()
	if len(r.keys) == 0 {
		return nil
	}
	keys := make([]Key, len(r.keys))
	for i, k := range r.keys {
		keys[i] = Key{k.db, []byte(k.key)}
	}
	r.keys = r.keys[:0]
	clear(r.set)
	return keys
}

// Stirred gives keys back that TakeReady handed over and nobody has served.
func (e *Engine) Stirred(keys []Key) {
	for _, k := range keys {
		e.noteAlone(watchKey{k.DB, string(k.Name)})
	}
}

// stirAll is changedAlone for all keys. The world is locked.
func (e *Engine) stirAll() {
	for _, s := range e.shards {
		for key := range s.waits {
			e.noteAlone(key)
		}
	}
}
