package engine

import (
	"strconv"
	"sync"
	"testing"

	"geocache/clock"
	"geocache/lru"
)

// evicting is a region that holds so many keys at most.
type evicting struct {
	*region
	limit int
}

func (r *evicting) set(k Key) {
	r.tx.Run(Scope{Keys: []Key{k}}, r.wall.NowMs(), func(t *Tx) { t.SetString(k, []byte("v"), NoDeadline()) })
	for r.size() > r.limit && r.e.EvictStep(r.wall.NowMs()) > 0 {
	}
}

func (r *evicting) size() (n int) {
	for _, s := range r.e.shards {
		n += s.contenders(&Params{})
	}
	return n
}

func numbered(db, i int) Key { return Key{db, strconv.AppendInt(nil, int64(i), 10)} }

// use reads a key and reports whether it was there.
func (r *evicting) use(k Key) (ok bool) {
	r.tx.Run(Scope{Keys: []Key{k}}, r.wall.NowMs(), func(t *Tx) { _, ok, _ = t.GetString(k) })
	return ok
}

// TestEvictionSparesTheUsed: keys that are used all the time outlive a stream
// of others, though they are sampled again and again and were candidates once.
// Keys of one name in two databases are two.
func TestEvictionSparesTheUsed(t *testing.T) {
	for _, name := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-wtinylfu"} {
		p := alone()
		p.Policy = policy(name)
		r := &evicting{newRegion("a", clock.NewManual(startMs), 64, 2, p), 400}
		for i := range 40 {
			r.set(numbered(0, i))
			r.set(numbered(1, i))
		}
		lost := 0
		for i := range 20_000 {
			r.wall.Advance(100)
			if k := numbered(0, i%40); !r.use(k) {
				lost++
				r.set(k)
			}
			r.set(numbered(0, 1000+i))
		}
		if lost > 20 {
			t.Errorf("%s: keys in use were evicted %d times", name, lost)
		}
		for i := range 40 {
			if r.use(numbered(1, i)) {
				t.Errorf("%s: key %d of the other database was never evicted", name, i)
			}
		}
		checkAccounts(t, r.e)
	}
}

// TestAdaptiveStateComesAndGoes: it is made and counted when the policy comes
// into force, begins anew when it does so again or keys are flushed, and is
// given back under another policy.
func TestAdaptiveStateComesAndGoes(t *testing.T) {
	p := alone()
	p.Policy = lru.AllkeysLRU
	r := &evicting{newRegion("a", clock.NewManual(startMs), 4, 2, p), 100}
	fill := func() {
		for i := range 300 {
			r.set(numbered(0, i))
			r.use(numbered(0, i/2))
			r.wall.Advance(10)
		}
		if n := r.size(); n != r.limit {
			t.Fatalf("%d keys left of %d", n, r.limit)
		}
		checkAccounts(t, r.e)
	}
	fill()
	if r.e.groups[0].state != nil {
		t.Fatal("a state without need")
	}
	p.Policy = lru.AllkeysWTinyLFU
	r.e.Configure(p)
	fill()
	was := r.e.groups[0].state
	p.Policy = lru.AllkeysLFU
	r.e.Configure(p)
	fill()
	p.Policy = lru.AllkeysWTinyLFU
	r.e.Configure(p)
	fill()
	now := r.e.groups[0].state
	if was == nil || now == was {
		t.Fatal("the state is that of an earlier term")
	}
	r.world(func(tx *Tx) { tx.FlushDB(0) })
	fill()
	if r.e.groups[0].state == now {
		t.Error("the state outlived the keys")
	}
	p.Policy = lru.NoEviction
	r.e.Configure(p)
	r.e.ExpireStep(startMs, nil)
	r.world(func(tx *Tx) { tx.FlushDB(0) })
	if used := r.e.UsedBytes(); used != 0 {
		t.Errorf("%d bytes left", used)
	}
}

// TestNoTouchLeavesTheAdaptiveWord: CLIENT NO-TOUCH is no use.
func TestNoTouchLeavesTheAdaptiveWord(t *testing.T) {
	p := alone()
	p.Policy = lru.AllkeysWTinyLFU
	r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
	set(r, "v", NoDeadline())
	word := func() lru.Word {
		rc, _ := r.e.shards[0].dbs[0].find(r.e.hash([]byte("k")), []byte("k"))
		return rc.word()
	}
	was := word()
	r.tx.NoTouch = true
	r.get("k")
	set(r, "w", NoDeadline())
	if word() != was {
		t.Error("a read or write without touch changed the word")
	}
	r.tx.NoTouch = false
	r.get("k")
	if word() == was {
		t.Error("a read did not change the word")
	}
}

// TestAdaptiveInParallel: sessions, eviction, flushes and changes of the policy
// at once.
func TestAdaptiveInParallel(t *testing.T) {
	p := alone()
	p.Policy = lru.AllkeysWTinyLFU
	sink := &lockedSink{hlc: clock.NewHLC(clock.NewManual(startMs), 0)}
	e := New(Options{Shards: 64, Databases: 2, Rand: clock.NewRand(1), Origin: 1, Sink: sink, Params: p})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			tx := e.NewTx()
			for i := range 3000 {
				k := numbered(i%2, (i*7+g)%500)
				tx.Run(Scope{Keys: []Key{k}}, startMs+int64(i), func(t *Tx) {
					if _, ok, _ := t.GetString(k); !ok {
						t.SetString(k, []byte("v"), NoDeadline())
					}
				})
				if i%3 == 0 {
					e.EvictStep(startMs + int64(i))
				}
				if i%500 == 0 {
					tx.Run(Scope{World: true}, startMs, func(t *Tx) { t.FlushDB(g % 2) })
					other := p
					other.Policy = lru.Policy(i / 500 % 4)
					e.Configure(other)
					e.ExpireStep(startMs, nil)
					e.Configure(p)
				}
			}
		})
	}
	wg.Wait()
	checkAccounts(t, e)
}
