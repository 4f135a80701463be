package engine

import (
	"bytes"
	"strconv"
	"sync"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// TestMassExpiry lets very many keys expire at once: every step does a bounded
// amount of work, and all memory comes back.
func TestMassExpiry(t *testing.T) {
	n := 1_000_000 / effort
	if testing.Short() {
		n = 100_000 / effort
	}
	for _, p := range []Params{alone(), merging()} {
		if p.Merging {
			n /= 5
		}
		r := newRegion("a", clock.NewManual(startMs), 64, 16, p)
		for i := range n {
			k := Key{i % 3, strconv.AppendInt(nil, int64(i), 10)}
			r.tx.Run(Scope{Keys: []Key{k}}, startMs, func(t *Tx) { t.SetString(k, []byte("v"), DeadlineAt(startMs+10)) })
		}
		r.own = nil
		r.wall.Advance(10)
		steps, total := 0, 0
		for total < n {
			met, reclaimed := r.e.ExpireStep(r.wall.NowMs(), nil)
			total += reclaimed
			if met > 2*expireKeys {
				t.Fatalf("one step met %d keys", met)
			}
			if steps++; steps > n/4+100_000 {
				t.Fatalf("%d of %d reclaimed after %d steps", total, n, steps)
			}
		}
		if got := r.e.Stats().ExpiredKeys; got != int64(n) {
			t.Errorf("%d keys counted as expired, want %d", got, n)
		}
		for r.e.ForgetRemovals(r.vector.Clone(), 1000) > 0 {
		}
		if used := r.e.UsedBytes(); used != 0 || len(r.e.DBInfos()) != 0 {
			t.Errorf("%d bytes left", used)
		}
	}
}

func TestEvictionByPolicy(t *testing.T) {
	for _, name := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl", "allkeys-wtinylfu", "volatile-wtinylfu", "noeviction"} {
		p := alone()
		p.Policy = policy(name)
		r := newRegion("a", clock.NewManual(startMs), 64, 2, p)
		for i := range 50 {
			exp := NoDeadline()
			if i%2 == 0 {
				exp = DeadlineAt(startMs + 1_000_000 + int64(i))
			}
			k := strconv.Itoa(i)
			r.do(func(tx *Tx) { tx.SetString(key(k), bytes.Repeat([]byte("v"), 100), exp) }, k)
		}
		n := 0
		for used := r.e.UsedBytes(); ; n++ {
			freed := r.e.EvictStep(startMs)
			if used -= freed; used != r.e.UsedBytes() {
				t.Fatalf("%s: freed %d bytes, but %d are used", name, freed, r.e.UsedBytes())
			}
			if freed == 0 {
				break
			}
		}
		want := map[string]int{"allkeys-lru": 50, "allkeys-lfu": 50, "allkeys-random": 50, "volatile-lru": 25, "volatile-ttl": 25, "allkeys-wtinylfu": 50, "volatile-wtinylfu": 25}[name]
		if n != want || r.e.Stats().EvictedKeys != int64(want) {
			t.Errorf("%s: %d keys evicted, want %d", name, n, want)
		}
		checkAccounts(t, r.e)
		again := newRegion("a", r.wall, 4, 2, p)
		for _, b := range r.own {
			again.e.Apply(b, FromLog, startMs)
		}
		if again.digest() != r.digest() {
			t.Errorf("%s: a replay brings evicted keys back", name)
		}
	}
}

// TestEvictedToDisk follows one key through every write there is.
func TestEvictedToDisk(t *testing.T) {
	p := merging()
	p.KeepRows, p.EvictToDisk, p.Policy = true, true, policy("allkeys-lru")
	long := "a value of more than a few bytes"
	for name, c := range map[string]struct {
		act    func(*Tx)
		want   string
		onDisk bool
	}{
		"SET":    {func(tx *Tx) { tx.SetString(key("k"), []byte("w"), NoDeadline()) }, "w", false},
		"DEL":    {func(tx *Tx) { tx.Delete(key("k")) }, "", false},
		"EXPIRE": {func(tx *Tx) { tx.SetDeadline(key("k"), startMs+1000) }, long, true},
		"APPEND": {func(tx *Tx) { tx.Append(key("k"), []byte("!")) }, long + "!", false},
		"EXISTS": {func(tx *Tx) { tx.Exists(key("k")) }, long, true},
	} {
		r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
		set(r, long, NoDeadline())
		digest := r.digest()
		rows := evictAll(t, r)
		if r.digest() != digest {
			t.Errorf("%s: eviction changed the digest", name)
		}
		if en, _ := r.e.State(RowKey{0, "k"}); !en.Evicted {
			t.Fatalf("%s: not evicted", name)
		}
		if err := retry(r, Scope{Keys: []Key{key("k")}}, rows, c.act); err != nil {
			t.Fatal(name, err)
		}
		if en, _ := r.e.State(RowKey{0, "k"}); en.Evicted != c.onDisk {
			t.Errorf("%s: on disk %v", name, en.Evicted)
		}
		var got string
		if err := retry(r, Scope{Keys: []Key{key("k")}}, rows, func(tx *Tx) {
			v, _, _ := tx.GetString(key("k"))
			got = string(v)
		}); err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
		checkAccounts(t, r.e)
	}
}

// TestUndoneFlush: a transaction that meets a value on disk after FLUSHDB, in
// another database, and after changes in both.
func TestUndoneFlush(t *testing.T) {
	p := alone()
	p.KeepRows, p.EvictToDisk, p.Policy = true, true, policy("allkeys-lru")
	r := newRegion("a", clock.NewManual(startMs), 2, 2, p)
	set(r, "a value that will be evicted", NoDeadline())
	rows := evictAll(t, r)
	other := func(n string) Key { return Key{1, []byte(n)} }
	r.world(func(tx *Tx) { tx.SetString(other("x"), []byte("12345"), NoDeadline()) })
	r.e.TakeDirty()
	digest, used := r.digest(), r.e.UsedBytes()
	err := r.world(func(tx *Tx) {
		tx.SetString(other("x"), bytes.Repeat([]byte("y"), 300), NoDeadline())
		tx.SetString(other("new"), bytes.Repeat([]byte("y"), 300), NoDeadline())
		tx.FlushDB(1)
		tx.SetString(other("x"), []byte("z"), NoDeadline())
		tx.FlushDB(1)
		tx.SwapDB(0, 1)
		tx.SwapDB(0, 1)
		tx.GetString(key("k"))
	})
	if _, ok := err.(*NeedRow); !ok {
		t.Fatal(err)
	}
	if r.digest() != digest || r.e.UsedBytes() != used {
		t.Errorf("digest or memory differ: used %d, was %d", r.e.UsedBytes(), used)
	}
	if _, flushed := r.e.TakeDirty(); len(flushed) > 0 {
		t.Error("rows of a database are void that was not flushed")
	}
	checkAccounts(t, r.e)
	if _, ok := rows[RowKey{0, "k"}]; !ok {
		t.Error("no row")
	}
}

// TestAppendSharesNothing: APPEND uses spare capacity; nobody else may see it.
func TestAppendSharesNothing(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	app := func(k, v string) { r.do(func(tx *Tx) { tx.Append(key(k), []byte(v)) }, k) }
	app("a", "12345678")
	app("a", "9")
	r.do(func(tx *Tx) { tx.Copy(key("a"), key("b")) }, "a", "b")
	app("a", "AAAA")
	app("b", "BBBB")
	func() {
		defer func() { recover() }()
		r.do(func(tx *Tx) { tx.Append(key("a"), []byte("undone")); panic("a handler's bug") }, "a")
	}()
	app("a", "C")
	for k, want := range map[string]string{"a": "123456789AAAAC", "b": "123456789BBBB"} {
		if v, _ := r.get(k); v != want {
			t.Errorf("%s: %q, want %q", k, v, want)
		}
	}
}

// lockedSink is a Sink for parallel committers; it notes the log order.
type lockedSink struct {
	mu     sync.Mutex
	hlc    *clock.HLC
	firsts []clock.Reading
	bodies [][]byte
}

func (s *lockedSink) Commit(n int, body []byte) clock.Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.hlc.Take(n)
	s.firsts = append(s.firsts, first)
	s.bodies = append(s.bodies, op.AppendBatch(nil, op.Header{Origin: 1, First: first, Count: n}, body))
	return first
}

func (s *lockedSink) Applied(op.Batch) {}

func (s *lockedSink) Vector() clock.Vector { return clock.Vector{} }

// TestParallelCommitters: log order is stamp order, and a replay of the log
// gives what memory holds.
func TestParallelCommitters(t *testing.T) {
	p := merging()
	p.Policy, p.KeepRows = policy("allkeys-lru"), true
	sink := &lockedSink{hlc: clock.NewHLC(clock.NewManual(startMs), 0)}
	e := New(Options{Shards: 4, Databases: 2, Rand: clock.NewRand(1), Origin: 1, Sink: sink, Params: p})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			tx := e.NewTx()
			for i := range 1500 {
				a, b := key(strconv.Itoa(i%7)), key(strconv.Itoa((i+g)%11))
				tx.Run(Scope{Keys: []Key{a, b}}, startMs+int64(i), func(t *Tx) {
					switch i % 5 {
					case 0:
						t.SetString(a, []byte("7"), DeadlineAt(startMs+int64(i)+40))
					case 1:
						t.Delete(b)
					default:
						t.Incr(a, 1)
						t.Incr(b, 1)
					}
				})
				switch {
				case i%300 == 0:
					tx.Run(Scope{World: true}, startMs, func(t *Tx) { t.FlushDB(0) })
				case i%50 == 0:
					e.ExpireStep(startMs+int64(i), nil)
					e.ForgetRemovals(clock.Vector{}, 10)
					e.TakeDirty()
					e.Digest(startMs)
					e.Configure(p)
				}
			}
		})
	}
	wg.Wait()
	for i := 1; i < len(sink.firsts); i++ {
		if sink.firsts[i] <= sink.firsts[i-1] {
			t.Fatal("log order is not stamp order")
		}
	}
	checkAccounts(t, e)
	again := New(Options{Shards: 4, Databases: 2, Rand: clock.NewRand(1), Origin: 1, Sink: sink, Params: p})
	for _, raw := range sink.bodies {
		b, err := op.ParseBatch(raw)
		if err != nil || b.Check() != nil {
			t.Fatal(err)
		}
		if err := again.Apply(b, FromLog, startMs); err != nil {
			t.Fatal(err)
		}
	}
	if e.Digest(startMs+2000) != again.Digest(startMs+2000) {
		t.Error("the replay differs from memory")
	}
}

func BenchmarkTx(b *testing.B) {
	silent := alone()
	silent.Recording = false
	for _, p := range []struct {
		name   string
		params Params
	}{{"silent", silent}, {"recording", alone()}, {"merging", merging()}} {
		for _, c := range []struct {
			name string
			fn   func(*Tx, Key)
		}{
			{"GET", func(t *Tx, k Key) { t.GetString(k) }},
			{"SET", func(t *Tx, k Key) { t.SetString(k, []byte("a value of some bytes"), NoDeadline()) }},
			{"INCR", func(t *Tx, k Key) { t.Incr(k, 1) }},
		} {
			b.Run(c.name+"/"+p.name, func(b *testing.B) {
				e := New(Options{Databases: 16, Rand: clock.NewRand(1), Origin: 1, Sink: &benchSink{}, Params: p.params})
				tx := e.NewTx()
				keys := make([]Key, 1000)
				for i := range keys {
					keys[i] = key("key:" + strconv.Itoa(i))
					tx.Run(Scope{Keys: keys[i : i+1]}, startMs, func(t *Tx) { t.SetString(keys[i], []byte("1"), NoDeadline()) })
				}
				b.ReportAllocs()
				i := 0
				run := func(t *Tx) { c.fn(t, keys[i]) }
				for b.Loop() {
					i = (i + 1) % len(keys)
					tx.Run(Scope{Keys: keys[i : i+1]}, startMs, run)
				}
			})
		}
	}
}

type benchSink struct{ last clock.Reading }

func (s *benchSink) Commit(n int, _ []byte) clock.Reading {
	s.last += clock.Reading(n)
	return s.last - clock.Reading(n) + 1
}

func (s *benchSink) Applied(op.Batch) {}

func (s *benchSink) Vector() clock.Vector { return nil }

// TestReplayMeetsFormerLife: a lone region reclaims an expired key without an
// op, and what is made of it later does not end with the former life.
func TestReplayMeetsFormerLife(t *testing.T) {
	h := [][]byte{[]byte("f"), []byte("v")}
	for name, make := range map[string]func(*Tx){
		"HSET":  func(t *Tx) { t.HashSet(key("k"), h, FieldChange{}) },
		"SADD":  func(t *Tx) { t.SetAdd(key("k"), h...) },
		"RPUSH": func(t *Tx) { t.ListPush(key("k"), Right, h...) },
		"COPY":  func(t *Tx) { t.SetReplace(key("k"), h) },
	} {
		for before, first := range map[string]func(*Tx){
			"string": func(t *Tx) { t.SetString(key("k"), []byte("x"), DeadlineAt(startMs+10)) },
			"hash": func(t *Tx) {
				t.HashSet(key("k"), [][]byte{[]byte("old"), nil}, FieldChange{})
				t.SetDeadline(key("k"), startMs+10)
			},
		} {
			r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
			r.e.SetReclaimLimit(1 << 62)
			r.do(first, "k")
			r.wall.Advance(20)
			expireAll(r)
			r.do(make, "k")
			again := newRegion("a", r.wall, 1, 1, alone())
			again.replay(t, r)
			if again.digest() != r.digest() || again.members("k") != r.members("k") {
				t.Errorf("%s after a %s: replayed as %q, was %q", name, before, again.members("k"), r.members("k"))
			}
			again.do(func(t *Tx) { t.Delete(key("k")) }, "k")
			checkAccounts(t, again.e)
			if again.digest() != newRegion("b", r.wall, 1, 1, alone()).digest() {
				t.Errorf("%s after a %s: something is left below", name, before)
			}
		}
	}
}
