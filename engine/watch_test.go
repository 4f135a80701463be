package engine

import (
	"strings"
	"testing"

	"geocache/clock"
)

func TestWatch(t *testing.T) {
	const soon = startMs + 50
	put := func(tx *Tx) { tx.SetString(key("k"), []byte("v"), NoDeadline()) }
	short := func(tx *Tx) { tx.SetString(key("k"), []byte("v"), DeadlineAt(soon)) }
	add := func(tx *Tx) { tx.SetAdd(key("k"), []byte("a")) }
	score := func(tx *Tx) { tx.ZSetPut(key("k"), []byte("a"), 1) }
	unseen := func(act func(*Tx)) func(*region) {
		return func(r *region) {
			was := r.e.Changes()
			if r.do(act, "k"); r.e.Changes() != was {
				t.Error("what changes nothing was counted")
			}
		}
	}
	for _, c := range []struct {
		name   string
		before func(*Tx)
		reads  bool // the key reads as expired when it is watched
		act    func(r *region)
		dirty  bool
	}{
		{"written", put, false, func(r *region) { r.do(put, "k") }, true},
		{"made", nil, false, func(r *region) { r.do(put, "k") }, true},
		{"only read", put, false, func(r *region) { r.get("k") }, false},
		{"member added again", add, false, unseen(add), false},
		{"score set again", score, false, unseen(score), false},
		{"another key", put, false, func(r *region) { r.do(func(t *Tx) { t.Incr(key("l"), 1) }, "l") }, false},
		{"deleted", put, false, func(r *region) { r.do(func(t *Tx) { t.Delete(key("k")) }, "k") }, true},
		{"deadline", put, false, func(r *region) { r.do(func(t *Tx) { t.SetDeadline(key("k"), soon) }, "k") }, true},
		{"flushed", put, false, func(r *region) { r.world(func(t *Tx) { t.FlushDB(0) }) }, true},
		{"flushed but missing", nil, false, func(r *region) { r.world(func(t *Tx) { t.FlushDB(0) }) }, false},
		{"swapped away", put, false, func(r *region) { r.world(func(t *Tx) { t.SwapDB(0, 1) }) }, true},
		{"swapped but missing", nil, false, func(r *region) { r.world(func(t *Tx) { t.SwapDB(0, 1) }) }, false},
		{"an expired key swapped in", nil, false, func(r *region) {
			other := Key{DB: 1, Name: []byte("k")}
			r.world(func(t *Tx) { t.SetString(other, []byte("v"), DeadlineAt(soon)) })
			r.wall.Set(soon)
			r.world(func(t *Tx) { t.SwapDB(0, 1) })
		}, false},
		{"expired since, swapped for another", short, false, func(r *region) {
			other := Key{DB: 1, Name: []byte("k")}
			r.world(func(t *Tx) { t.SetString(other, []byte("v"), DeadlineAt(soon)) })
			r.wall.Set(soon)
			r.world(func(t *Tx) { t.SwapDB(0, 1) })
		}, true},
		{"expired before, swapped for another", short, true, func(r *region) {
			other := Key{DB: 1, Name: []byte("k")}
			r.world(func(t *Tx) { t.SetString(other, []byte("v"), DeadlineAt(soon)) })
			r.world(func(t *Tx) { t.SwapDB(0, 1) })
		}, false},
		{"expired since", short, false, func(r *region) { r.wall.Set(soon) }, true},
		{"expired and reclaimed", short, false, func(r *region) { r.wall.Set(soon); expireAll(r) }, true},
		{"expired before", short, true, func(r *region) {}, false},
		{"expired before, reclaimed since", short, true, func(r *region) {
			r.e.SetReclaimLimit(1 << 62)
			expireAll(r)
		}, false},
		{"expired before, made since", short, true, func(r *region) { r.do(put, "k") }, true},
	} {
		for _, p := range []Params{alone(), merging()} {
			if p.Merging && strings.Contains(c.name, "swapped") {
				continue
			}
			r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
			if c.before != nil {
				r.do(c.before, "k")
			}
			if c.reads {
				r.wall.Set(soon)
				r.e.SetReclaimLimit(0)
			}
			var w Watch
			r.do(func(t *Tx) { t.WatchKey(&w, key("k")) }, "k")
			c.act(r)
			if r.do(func(t *Tx) { t.CheckExpired(&w) }, "k"); w.Dirty() != c.dirty {
				t.Errorf("%s (merging %v): dirty %v", c.name, p.Merging, w.Dirty())
			}
			r.e.Unwatch(&w)
			for _, s := range r.e.shards {
				if len(s.watches) > 0 {
					t.Errorf("%s: the watch is still there", c.name)
				}
			}
		}
	}
}

// TestWatchOfALaterLife: what was told of one deadline says nothing of the
// next one.
func TestWatchOfALaterLife(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	r.e.SetReclaimLimit(0)
	live := func() {
		r.do(func(tx *Tx) { tx.SetString(key("k"), nil, DeadlineAt(r.wall.NowMs()+10)) }, "k")
	}
	check := func(w *Watch) bool {
		r.do(func(tx *Tx) { tx.CheckExpired(w) }, "k")
		return w.Dirty()
	}
	live()
	var early, late, next Watch
	r.do(func(tx *Tx) { tx.WatchKey(&early, key("k")) }, "k")
	r.wall.Advance(20)
	r.do(func(tx *Tx) { tx.WatchKey(&late, key("k")) }, "k")
	if !check(&early) || check(&late) {
		t.Error("who watched a living key must hear of its end, who watched an expired one must not")
	}
	live()
	r.do(func(tx *Tx) { tx.WatchKey(&next, key("k")) }, "k")
	r.wall.Advance(20)
	if !check(&next) {
		t.Error("the second deadline was not told")
	}
}
