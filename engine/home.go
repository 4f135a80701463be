package engine

import (
	"sync"

	"geocache/slab"
)

// shardLock guards a shard. It knows which tx had it last: to that one the shard
// is as it left it.
type shardLock struct {
	sync.Mutex
	last *Tx
}

func (l *shardLock) Lock() {
	l.Mutex.Lock()
	l.last = nil
}

func (l *shardLock) TryLock() bool {
	if !l.Mutex.TryLock() {
		return false
	}
	l.last = nil
	return true
}

// tryRead is TryLock for somebody who changes nothing, until endRead.
func (l *shardLock) tryRead() bool { return l.Mutex.TryLock() }

func (l *shardLock) endRead() { l.Mutex.Unlock() }

// lockFor is Lock for t, and reports whether t was the last to have the lock.
func (l *shardLock) lockFor(t *Tx) (undisturbed bool) {
	l.Mutex.Lock()
	if l.last == t {
		return true
	}
	l.last = t
	return false
}

// maxHome is the longest name that a home remembers.
const maxHome = 64

// home is what a tx knows of the key of its scope, where that is one. It keeps
// this between runs, for as long as nobody else has the shard: who works through
// a pipeline about one key finds and opens its record once.
type home struct {
	key  []byte // as the scope has it; nil for scopes of other sizes
	name [maxHome]byte
	n    int // length of name, 0 for none
	hash uint64
	s    *shard
	t    *table
	ref  slab.Ref // of the record, if it is known
	// open says that x is the record opened, a living one.
	open bool
	x    entry
}

// goHome locks the shard of a scope's only key and returns its number.
func (t *Tx) goHome(key []byte) int {
	h := &t.home
	h.key = key
	if h.n == 0 || string(h.name[:h.n]) != string(key) {
		h.hash = t.e.hash(key)
		h.s = t.e.shardOf(h.hash)
		h.n = 0
		if len(key) <= maxHome {
			h.n = copy(h.name[:], key)
		}
		h.leave()
	}
	if !h.s.mu.lockFor(t) {
		h.leave()
	}
	return h.s.index
}

// is tells by its memory whether k is the key.
func (h *home) is(k Key) bool {
	return len(k.Name) > 0 && len(h.key) == len(k.Name) && &h.key[0] == &k.Name[0]
}

// leave forgets the record.
func (h *home) leave() { h.ref, h.open = 0, false }

// stored follows the record of x, which a direct change has written.
func (h *home) stored(x *entry) {
	if x != &h.x || x.ref == 0 {
		h.leave()
		return
	}
	h.ref = x.ref
}

// at is the record of the home's key in tb; ok is false where there is none.
func (h *home) at(tb *table) (r rec, ok bool) {
	if h.ref != 0 && h.t == tb {
		return tb.rec(h.ref), true
	}
	h.leave()
	if r, ok = tb.find(h.hash, h.key); ok {
		h.t, h.ref = tb, r.ref
	}
	return r, ok
}

// standingOpen is the living entry of k if it is still open from before, or nil.
func (t *Tx) standingOpen(k Key, tb *table) *entry {
	h := &t.home
	if !h.open || h.x.t != tb || !h.is(k) || t.expired(&h.x.state) {
		return nil
	}
	return &h.x
}

// find is the record of k in tb; ok is false where there is none.
func (t *Tx) find(k Key, tb *table, hash uint64) (r rec, ok bool) {
	if t.home.is(k) {
		return t.home.at(tb)
	}
	return tb.find(hash, k.Name)
}

// openedFor opens the record of k, which find has found.
func (t *Tx) openedFor(k Key, r rec, hash uint64) *entry {
	x := (*entry)(nil)
	if h := &t.home; h.is(k) {
		x = &h.x
		h.open = r.has(fLive)
	} else {
		x = t.fresh()
	}
	x.open(t.e, r, hash)
	return x
}
