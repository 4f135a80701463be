package engine

import "sync/atomic"

// Watch is one session's interest in whether keys change (WATCH). Its key set
// belongs to the session; Dirty may be read from anywhere.
type Watch struct {
	dirty atomic.Bool
	keys  []watchKey
}

// Dirty reports whether a watched key was changed since it was watched.
func (w *Watch) Dirty() bool { return w.dirty.Load() }

// watchKey is a key by database number, as clients name it.
type watchKey struct {
	db  int
	key string
}

// WatchKey adds k to w. A key that reads as expired right now may vanish
// without making w dirty, as in Redis: it is reclaimed first.
func (t *Tx) WatchKey(w *Watch, k Key) {
	t.lookup(k)
	s, tb, h := t.locate(k)
	wk := watchKey{k.DB, string(k.Name)}
	for _, have := range w.keys {
		if have == wk {
			return
		}
	}
	if r, ok := tb.find(h, k.Name); ok && r.has(fLive) && r.expired(t.now) {
		// Cannot be reclaimed yet (a sibling's clock): it already counts as
		// missing, so its end must not touch the watch. Those who watched
		// while it was there hear of it now.
		if !r.has(fTold) {
			t.e.touchWatched(k.DB, k.Name)
		}
		r.setFlags(r.flags() | fTold)
	}
	w.keys = append(w.keys, wk)
	s.watches[wk] = append(s.watches[wk], w)
}

// Unwatch ends all of w's interest and makes it clean.
func (e *Engine) Unwatch(w *Watch) {
	for _, wk := range w.keys {
		s := e.shardOf(e.hash([]byte(wk.key)))
		s.mu.Lock()
		ws := s.watches[wk]
		for i, have := range ws {
			if have == w {
				ws[i] = ws[len(ws)-1]
				ws = ws[:len(ws)-1]
				break
			}
		}
		if len(ws) == 0 {
			delete(s.watches, wk)
		} else {
			s.watches[wk] = ws
		}
		s.mu.Unlock()
	}
	w.keys = w.keys[:0]
	w.dirty.Store(false)
}

// WatchedKeys lists what w watches, for the scope of its EXEC.
func (w *Watch) WatchedKeys() []Key {
	ks := make([]Key, len(w.keys))
	for i, wk := range w.keys {
		ks[i] = Key{wk.db, []byte(wk.key)}
	}
	return ks
}

// CheckExpired makes w dirty if a watched key has expired since. EXEC calls it
// with the watched keys in its scope.
func (t *Tx) CheckExpired(w *Watch) {
	for _, wk := range w.keys {
		_, tb, h := t.locate(Key{wk.db, []byte(wk.key)})
		r, ok := tb.find(h, []byte(wk.key))
		if ok && r.has(fLive) && !r.has(fTold) && r.expired(t.now) {
			w.dirty.Store(true)
		}
	}
}

// touchWatched makes the watchers of a key dirty. Its shard is locked.
func (e *Engine) touchWatched(db int, key []byte) {
	s := e.shardOf(e.hash(key))
	if len(s.watches) == 0 {
		return
	}
	for _, w := range s.watches[watchKey{db, string(key)}] {
		w.dirty.Store(true)
	}
}

// touchFlushed makes watchers of existing keys of a database dirty, and those
// who wait for them be served.
func (e *Engine) touchFlushed(t *Tx, db, stored int) {
	t.readyDB(db)
	t.show()
	e.touchIf(func(s *shard, wk watchKey) bool {
		_, ok := t.counted(s, stored, wk.key)
		return wk.db == db && ok
	})
}

// touchSwapped makes watchers of keys that exist on either side of a SWAPDB
// dirty, as Redis does. An expired key that comes in their place counts as
// missing, so its end must not touch them. Those who wait for keys of either
// side are served.
func (e *Engine) touchSwapped(t *Tx, a, b int) {
	t.readyDB(a)
	t.readyDB(b)
	t.show()
	da, db := t.stored(a), t.stored(b)
	var stale []rec
	e.touchIf(func(s *shard, wk watchKey) bool {
		here, there := da, db
		switch wk.db {
		case a:
		case b:
			here, there = db, da
		default:
			return false
		}
		x, leaves := t.counted(s, here, wk.key)
		y, comes := t.counted(s, there, wk.key)
		if comes && y.expired(t.now) {
			stale = append(stale, y)
			comes = false
		}
		return comes || leaves && (!x.has(fTold) || !x.expired(t.now))
	})
	for _, y := range stale {
		y.setFlags(y.flags() | fTold)
	}
}

func (e *Engine) touchIf(hit func(*shard, watchKey) bool) {
	for _, s := range e.shards {
		for wk, ws := range s.watches {
			if hit(s, wk) {
				for _, w := range ws {
					w.dirty.Store(true)
				}
			}
		}
	}
}

// counted is the record of a key that DBSIZE counts, expired or not.
func (t *Tx) counted(s *shard, stored int, key string) (r rec, ok bool) {
	if tb := s.dbs[stored]; tb != nil {
		r, ok = tb.find(t.e.hash([]byte(key)), []byte(key))
	}
	return r, ok && r.has(fLive)
}
