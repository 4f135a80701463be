package engine

import "geocache/lru"

// standing is the record of a plain string under k that a direct change may
// write over, and the string in it. ok is false where there is none, or where
// more has to be asked: then the entry is opened.
func (t *Tx) standing(k Key) (s *shard, r rec, val []byte, ok bool) {
	if !t.sole || !t.home.is(k) || t.p.Policy.Kind() == lru.KindTinyLFU {
		return nil, r, nil, false
	}
	s, tb, _ := t.locate(k)
	if r, ok = t.home.at(tb); !ok || !unobserved(s, tb) {
		return nil, r, nil, false
	}
	f := r.flags()
	if f&(fLive|fColl|fFull|fOnDisk|fToken|fRoom) != fLive || f&fDeadline != 0 && r.expired(t.now) {
		return nil, r, nil, false
	}
	n, v, at := r.lengths()
	at += n + f.fieldsLen()
	return s, r, r.b[at : at+v : at+v], true
}

// writeOver makes val the string of a standing record, whose length it has; the
// op was told. flags are as setOwned has them. The deadline stays.
func (t *Tx) writeOver(s *shard, r rec, old, val []byte, flags recFlags) {
	r.setFlags(s.queueRow(r.flags()&^(fMade|fHasRow|fTold)|flags, r.t.db, r.key(), t.p))
	if !t.NoTouch {
		r.setWord(t.p.Policy.OnWrite(r.word(), t.now, t.dice(t.home.hash), t.p.LRU))
	}
	copy(old, val)
	t.home.open = false
	t.changes++
}

// unobserved reports whether nobody in a shard asks for what a key was before its
// change: who watches, who waits, and snapshots of the table.
func unobserved(s *shard, tb *table) bool {
	return len(s.watches)+len(s.waits)+len(tb.walks) == 0
}

// isDirect reports whether a tx that is sole has made direct changes only, or
// none, and nobody waits to hear of them.
func (t *Tx) isDirect() bool {
	return len(t.undo)+len(t.tables)+len(t.hooks)+len(t.frees) == 0
}

// commitDirect is what is left to do of commit after direct changes.
func (t *Tx) commitDirect() {
	n := t.ops.Len()
	if n == 0 {
		return
	}
	t.countChanges()
	t.first = t.e.sink.Commit(n, t.ops.Body())
	t.ops.Reset()
	t.changes, t.unseen = 0, 0
	t.patches = reuse(t.patches)
	t.emptyKept()
}
