package engine

import (
	"fmt"
	"testing"

	"geocache/clock"
)

// TestLookAhead looks ahead for keys of all kinds, in tables below and above the
// size from which it is worth it, also while a shard is locked: nothing changes,
// no lock stays, and it says what it should.
func TestLookAhead(t *testing.T) {
	for _, c := range []struct {
		records int
		worth   bool
	}{{0, false}, {aheadFrom - 1, false}, {aheadFrom, true}, {4 * aheadFrom, true}} {
		r := newRegion("a", clock.NewManual(startMs), 2, 2, alone())
		name := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i) }
		full := r.e.shards[0]
		for i := 0; full.dbs[0] == nil && c.records > 0 || c.records > 0 && full.dbs[0].entries < c.records; i++ {
			if k := name(i); r.e.shardOf(r.e.hash(k)) == full {
				r.do(func(tx *Tx) { tx.SetString(Key{0, k}, []byte("v"), NoDeadline()) }, string(k))
			}
		}
		before := r.e.UsedBytes()
		var keys []Key
		for i := range 3 * MostAhead { // some in the other shard, and some twice
			keys = append(keys, Key{0, name(i / 2)})
		}
		missing := []Key{{0, []byte("missing")}, {0, nil}, {1, []byte("elsewhere")}, {0, name(0)}, {0, name(1)}, {0, name(2)}}
		for _, keys := range [][]Key{keys, keys[:1], missing, nil} {
			inFull := 0
			for _, k := range keys[:min(len(keys), MostAhead)] {
				if k.DB == 0 && r.e.shardOf(r.e.hash(k.Name)) == full {
					inFull++
				}
			}
			if got := r.e.LookAhead(keys); got != (c.worth && inFull > 0) {
				t.Errorf("%d records, %d of %d keys there: worth is %v", c.records, inFull, len(keys), got)
			}
			r.e.WithWorld(func() { r.e.lookAheadHeld(keys) })
			full.mu.Lock() // by somebody else
			if r.e.LookAhead(keys) {
				t.Error("a locked shard was looked at")
			}
			full.mu.Unlock()
		}
		if used := r.e.UsedBytes(); used != before {
			t.Errorf("looking ahead changed what is used from %d to %d", before, used)
		}
	}
}
