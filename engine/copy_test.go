package engine

import (
	"testing"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
)

// A copy takes away what its source had seen and no longer has, on keys that
// it names and on others, and leaves what the source had not seen.
func TestCopyDropsWhatItsSourceRemoved(t *testing.T) {
	a, b := clock.NewOrigin("a", 1), clock.NewOrigin("b", 1)
	at := func(o clock.Origin, ms int64) clock.Stamp { return clock.Stamp{At: clock.ReadingAt(ms), Origin: o} }
	e := New(Options{Shards: 4, Databases: 1, Seed: 1, Rand: clock.NewRand(1), Params: Params{Merging: true}})
	states := func(m map[string]op.KeyState) (es []StateEntry) {
		for k, s := range m {
			es = append(es, StateEntry{Key: []byte(k), State: s.Append(nil)})
		}
		return es
	}
	set := func(s clock.Stamp, v string) op.KeyState { return op.KeyState{ValueStamp: s, Value: []byte(v)} }
	counted := op.KeyState{Subs: []op.Sub{{Origin: a, Born: clock.ReadingAt(90), At: clock.ReadingAt(90), Total: op.Int(3)}}}
	err := e.ApplyStates(states(map[string]op.KeyState{
		"removed":      set(at(a, 10), "old"),
		"counted anew": set(at(a, 11), "70"), // removed since, then counted from nothing
		"unseen":       set(at(b, 95), "new"),
		"kept":         set(at(a, 12), "same"),
	}), 0)
	if err != nil {
		t.Fatal(err)
	}
	covered := clock.Vector{a: clock.ReadingAt(100), b: clock.ReadingAt(50)}
	copied := states(map[string]op.KeyState{"counted anew": counted, "kept": set(at(a, 12), "same"), "more": set(at(b, 40), "more")})
	for range 2 { // chunks and their end may come twice
		if err := e.JoinCopy(7, covered, copied, 0); err != nil {
			t.Fatal(err)
		}
	}
	e.EndCopy(7, covered, 0)
	e.EndCopy(7, covered, 0)
	want := map[string]string{"counted anew": "3", "unseen": "new", "kept": "same", "more": "more"}
	have := map[string]string{}
	entries := 0
	e.eachEntry(func(_ int, x *entry) {
		entries++
		if exists(&x.state) {
			v, _ := visibleString(&x.state)
			have[string(x.key)] = string(v)
		}
	})
	for k, v := range want {
		if have[k] != v {
			t.Errorf("%s is %q, want %q", k, have[k], v)
		}
	}
	if len(have) != len(want) || entries != len(want) {
		t.Errorf("%d entries, %v", entries, have)
	}
}

// A copy may name a key whose value was evicted to its row: it stays evicted,
// and the digest stays that of the value.
func TestCopyOverEvictedValue(t *testing.T) {
	origin := clock.NewOrigin("a", 1)
	e := New(Options{Shards: 1, Databases: 1, Seed: 1, Rand: clock.NewRand(1), Params: Params{
		Policy: lru.AllkeysLRU, LRU: lru.DefaultParams(), Merging: true, EvictToDisk: true,
	}})
	state := op.KeyState{ValueStamp: clock.Stamp{At: clock.ReadingAt(10), Origin: origin}, Value: []byte("a value longer than its digest")}
	rows := []StateEntry{{Key: []byte("k"), State: state.Append(nil)}}
	if err := e.LoadRows(rows, 0); err != nil {
		t.Fatal(err)
	}
	want := e.Digest(0)
	if e.EvictStep(0) == 0 || len(e.Evicted([]Key{{Name: []byte("k")}})) != 1 {
		t.Fatal("nothing was evicted")
	}
	covered := clock.Vector{origin: clock.ReadingAt(100)}
	if err := e.JoinCopy(1, covered, rows, 0); err != nil {
		t.Fatal(err)
	}
	e.EndCopy(1, covered, 0)
	if got := e.Digest(0); got != want {
		t.Errorf("digest %x after the copy, %x before", got, want)
	}
}
