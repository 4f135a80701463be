package engine

import (
	"slices"

	"geocache/clock"
	"geocache/op"
)

// This file takes in a copy of a sibling's whole data. What the sibling had
// applied when the copy began is in the copy or was removed, and the removal
// may be forgotten everywhere by now: so what is here, is covered and is not in
// the copy goes. What is not covered stays and is joined.

// JoinCopy takes in part of the copy called id, whose source had applied
// covered when it began. Nothing goes to the Sink and no batch may be applied
// until EndCopy. JoinCopy and EndCopy belong to one goroutine; the slices are
// not kept. After a *NeedRow, as from Apply, either is to be called again.
func (e *Engine) JoinCopy(id uint64, covered clock.Vector, entries []StateEntry, nowMs int64) error {
	e.beginCopy(id)
	return e.eachState(entries, func(en StateEntry, st op.KeyState) {
		x := e.changeKey(en.DB, en.Key, e.params.Load(), nowMs, func(m *editing) bool {
			have := &m.x.state
			if have.ValueStamp == st.ValueStamp && baseAlive(have) {
				st.Value = have.Value // the same value, perhaps evicted to its row
			}
			rest := beyond(*have, covered)
			// What was raised beyond the copy stays with the births that it has.
			rest.Sketches = slices.DeleteFunc(slices.Clone(have.Sketches), func(k op.Sketch) bool {
				_, named := slices.BinarySearchFunc(st.Sketches, k, op.CompareSketches)
				return covered.Covers(k.Birth) && !named
			})
			join(&rest, &st)
			*have = rest
			m.each(func() {
				if !slices.ContainsFunc(st.Colls, func(whole op.Coll) bool { return whole.Type == m.c.typ }) {
					m.beyond(covered)
				}
			})
			for i := range st.Colls {
				whole := &st.Colls[i]
				switch m.c = m.x.of(whole.Type); {
				case m.c == nil || !e.params.Load().Merging:
					m.rebuilt(whole)
				case m.mergesList():
					m.joinList(whole, covered)
				default:
					m.joinCopy(whole, covered)
				}
			}
			return true
		})
		if x.ref != 0 {
			s := e.shardOf(x.hash)
			r := s.dbs[en.DB].rec(x.ref)
			r.setFlags(r.flags() | fCopied)
		}
	})
}

// beginCopy takes older marks away where id is a copy not met before.
func (e *Engine) beginCopy(id uint64) {
	if id == e.copying.id {
		return
	}
	e.copying.id = id
	for _, s := range e.shards {
		s.mu.Lock()
		for _, t := range s.dbs {
			if t != nil {
				t.each(func(r rec) { r.setFlags(r.flags() &^ fCopied) })
			}
		}
		s.mu.Unlock()
	}
}

// EndCopy drops what covered covers of the keys that the copy did not name.
// Calling it again for the same copy changes nothing.
func (e *Engine) EndCopy(id uint64, covered clock.Vector, nowMs int64) error {
	var rows []RowKey
	e.beginCopy(id) // an empty copy names nothing
	if e.copying.ended == id {
		return nil
	}
	p := e.params.Load()
	for _, s := range e.shards {
		s.mu.Lock()
		for db, t := range s.dbs {
			if t == nil {
				continue
			}
			e.eachBucket(t, func(r rec) {
				if r.has(fCopied) {
					return
				}
				if r.flags().away() {
					rows = append(rows, RowKey{db, string(r.key())})
					return
				}
				x := e.openedRec(s, r)
				m := editing{e: e, p: p, s: s, tb: t, db: db, x: x}
				e.settle(s, t, db, x, p, nowMs, func(st *op.KeyState) bool {
					*st = beyond(*st, covered)
					m.each(func() { m.beyond(covered) })
					return true
				})
			})
		}
		s.mu.Unlock()
	}
	if len(rows) > 0 {
		return &NeedRow{rows}
	}
	e.copying.ended = id
	return nil
}
