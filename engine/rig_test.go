package engine

import (
	"testing"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
)

// region is one engine with the least a node does around it: clock, vector
// and a log of batches. It is the Sink of its engine.
type region struct {
	e      *Engine
	tx     *Tx
	wall   *clock.Manual
	hlc    *clock.HLC
	origin clock.Origin
	vector clock.Vector
	prev   clock.Reading
	own    []op.Batch // in the order of their commit
	err    error
}

const startMs = 1_750_000_000_000

func merging() Params {
	return Params{Policy: policy("noeviction"), LRU: lru.DefaultParams(), Merging: true, Recording: true}
}

func alone() Params {
	p := merging()
	p.Merging = false
	return p
}

func policy(name string) lru.Policy {
	p, ok := lru.ParsePolicy(name)
	if !ok {
		panic(name)
	}
	return p
}

func newRegion(name string, wall *clock.Manual, shards, dbs int, p Params) *region {
	r := &region{wall: wall, hlc: clock.NewHLC(wall, 0), origin: clock.NewOrigin(name, 1), vector: clock.Vector{}}
	r.e = New(Options{Shards: shards, Databases: dbs, Seed: 1, Rand: clock.NewRand(1), Origin: r.origin, Sink: r, Params: p})
	r.tx = r.e.NewTx()
	return r
}

func (r *region) Commit(n int, body []byte) clock.Reading {
	first := r.hlc.Take(n)
	h := op.Header{Origin: r.origin, First: first, Count: n, Prev: r.prev}
	r.prev = h.Last()
	r.vector.Raise(r.origin, h.Last())
	if len(body) > 0 {
		b, err := op.ParseBatch(op.AppendBatch(nil, h, body))
		if err == nil {
			err = b.Check()
		}
		if err != nil {
			r.err = err
		}
		r.own = append(r.own, b)
	}
	return first
}

func (r *region) Applied(b op.Batch) { r.vector.Raise(b.Origin, b.Last()) }

func (r *region) Vector() clock.Vector { return r.vector }

func (r *region) receive(b op.Batch) {
	r.hlc.Observe(b.Last())
	if err := r.e.Apply(b, FromSibling, r.wall.NowMs()); err != nil {
		r.err = err
	}
}

// replay applies the log of another region, as a start does, at its time.
func (r *region) replay(t *testing.T, of *region) {
	t.Helper()
	for _, b := range of.own {
		if err := r.e.Apply(b, FromLog, of.wall.NowMs()); err != nil {
			t.Fatal(err)
		}
	}
}

// do runs fn over the named keys of database 0.
func (r *region) do(fn func(*Tx), names ...string) error {
	sc := Scope{}
	for _, n := range names {
		sc.Keys = append(sc.Keys, key(n))
	}
	return r.tx.Run(sc, r.wall.NowMs(), fn)
}

func (r *region) world(fn func(*Tx)) error {
	return r.tx.Run(Scope{World: true}, r.wall.NowMs(), fn)
}

func key(name string) Key { return Key{Name: []byte(name)} }

func (r *region) get(name string) (val string, ok bool) {
	r.do(func(t *Tx) {
		v, there, _ := t.GetString(key(name))
		val, ok = string(v), there
	}, name)
	return val, ok
}

func (r *region) deadline(name string) (ms int64) {
	r.do(func(t *Tx) { ms, _ = t.Deadline(key(name)) }, name)
	return ms
}

func (r *region) state(name string) op.KeyState {
	en, ok := r.e.State(RowKey{0, name})
	if !ok {
		return op.KeyState{}
	}
	s, err := op.DecodeKeyState(en.State)
	if err != nil {
		panic(err)
	}
	return s
}

func (r *region) digest() uint64 { return r.e.Digest(r.wall.NowMs()) }

// checkAccounts recomputes every counter from scratch.
func checkAccounts(t *testing.T, e *Engine) {
	t.Helper()
	used := int64(0)
	for _, g := range e.groups {
		if g.state != nil {
			used += int64(g.state.Bytes())
		}
	}
	for _, s := range e.shards {
		for db, tb := range s.dbs {
			if tb == nil {
				continue
			}
			var n, live, ttls, runs, away int
			cost := tb.segmentBytes()
			tb.each(func(r rec) {
				n++
				x := e.openedRec(s, r)
				cost += int64(len(r.b))
				cost += x.collBytes()
				if r.flags().away() {
					away++
				}
				if x.shared() {
					if front, behind := e.front(x); front != x.coll || behind != x.coll.behind {
						t.Fatalf("%q shows a %s, not the newest of all", x.key, x.typeName())
					}
				}
				if x.exists() {
					live++
					if deadlineOf(&x.state) != 0 {
						ttls++
					}
				}
				if len(x.state.Subs)+len(x.state.Sketches) > 0 {
					runs++
				}
				if op.IsProvisional(x.state.ValueStamp.At) || op.IsProvisional(x.state.Dead.At) || op.IsProvisional(x.state.Flushed.At) || op.IsProvisional(x.state.DeadlineStamp.At) {
					t.Fatalf("provisional stamp left in %q", x.key)
				}
			})
			if n != tb.entries || live != tb.live || ttls != tb.ttls || cost != tb.counted || runs != tb.runs || away != tb.away {
				t.Fatalf("db %d: counted entries %d live %d ttls %d runs %d away %d cost %d, kept %d %d %d %d %d %d",
					db, n, live, ttls, runs, away, cost, tb.entries, tb.live, tb.ttls, tb.runs, tb.away, tb.counted)
			}
			used += cost
		}
	}
	for _, a := range e.garbage.annexes {
		used += a.counted
	}
	if used != e.UsedBytes() {
		t.Fatalf("used bytes drifted: counted %d, kept %d", used, e.UsedBytes())
	}
}
