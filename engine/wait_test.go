package engine

import (
	"errors"
	"testing"

	"geocache/clock"
)

// taker is a waiter that takes the first of its keys that is a string.
type taker struct {
	Waiter
	got   string
	calls int
	done  bool
}

func newTaker(keys ...Key) *taker {
	w := &taker{}
	w.Keys, w.Scope, w.Type = keys, keys, TypeString
	w.Serve = func(tx *Tx) bool {
		w.calls++
		for _, k := range keys {
			if v, ok, _ := tx.Peek(k); ok {
				w.got = string(v)
				return tx.Delete(k)
			}
		}
		return false
	}
	w.Served = func() { w.done = true }
	return w
}

// apart is two keys of different shards.
func apart(t *testing.T, e *Engine) (a, b Key) {
	t.Helper()
	a = Key{0, []byte("a")}
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h"} {
		b = Key{0, []byte(name)}
		if e.shardOf(e.hash(a.Name)) != e.shardOf(e.hash(b.Name)) {
			return a, b
		}
	}
	t.Fatal("no two shards")
	return a, b
}

func (r *region) wait(t *testing.T, w *taker) {
	t.Helper()
	if err := r.tx.Run(Scope{Keys: w.Keys}, startMs, func(tx *Tx) { tx.Wait(&w.Waiter) }); err != nil {
		t.Fatal(err)
	}
}

// TestNeedKeysUndoes: a run that cannot serve a waiter leaves no trace, on data
// or waiters; with the keys it asked for it serves all.
func TestNeedKeysUndoes(t *testing.T) {
	r := newRegion("here", clock.NewManual(startMs), 8, 1, alone())
	a, b := apart(t, r.e)
	near, far := newTaker(a), newTaker(b, a)
	r.wait(t, near)
	r.wait(t, far)
	set := func(tx *Tx) { tx.SetString(a, []byte("1"), NoDeadline()) }
	again := func(tx *Tx) {
		set(tx)
		tx.OnCommit(func() {})
	}
	if err := r.tx.Run(Scope{Keys: []Key{a}}, startMs, set); err != nil || near.got != "1" || !near.done || far.calls != 0 {
		t.Fatalf("%v, near %+v, far %+v", err, near, far)
	}
	r.wait(t, near)
	near.done, near.calls = false, 0
	// far is older than near now.
	err := r.tx.Run(Scope{Keys: []Key{a}}, startMs, again)
	var need *NeedKeys
	if !errors.As(err, &need) || len(need.Keys) != 2 || near.calls+far.calls != 0 {
		t.Fatalf("%v after %d and %d attempts", err, near.calls, far.calls)
	}
	if err := r.tx.Run(Scope{Keys: need.Keys}, startMs, func(tx *Tx) {
		if tx.Exists(a) {
			t.Error("the run that was undone left its key")
		}
		again(tx)
	}); err != nil || far.got != "1" || !far.done || near.done {
		t.Fatalf("%v, near %+v, far %+v", err, near, far)
	}
	if far.End() || !near.End() || !near.End() {
		t.Error("End does not tell who was served")
	}
	r.e.Forget(&near.Waiter)
	r.e.Forget(&far.Waiter)
	if r.tx.HasWaiters() {
		t.Error("places are left")
	}
}

// TestUndoneAttempt: an attempt that was made before the run was undone counts
// as not made.
func TestUndoneAttempt(t *testing.T) {
	r := newRegion("here", clock.NewManual(startMs), 8, 1, alone())
	a, b := apart(t, r.e)
	first, second := newTaker(a), newTaker(b, a)
	r.wait(t, first)
	r.wait(t, second)
	c := newTaker(a)
	c.Scope = []Key{a, b}
	r.wait(t, c)
	// first is served, then c needs b: both are as before.
	twice := func(tx *Tx) {
		tx.SetString(a, []byte("x"), NoDeadline())
	}
	if !second.End() {
		t.Fatal("second was served")
	}
	r.e.Forget(&second.Waiter)
	first.Serve = func(tx *Tx) bool { // leaves the key, so that c has its turn
		first.calls++
		return true
	}
	if _, ok := r.tx.Run(Scope{Keys: []Key{a}}, startMs, twice).(*NeedKeys); !ok || first.calls != 1 || first.done || c.done {
		t.Fatalf("first %+v, c %+v", first, c)
	}
	if err := r.tx.Run(Scope{Keys: []Key{a, b}}, startMs, twice); err != nil || first.calls != 2 || !first.done || c.got != "x" || !c.done {
		t.Fatalf("%v, first %+v, c %+v", err, first, c)
	}
}

// TestRequireWaiters: what must not be undone asks for everything before.
func TestRequireWaiters(t *testing.T) {
	r := newRegion("here", clock.NewManual(startMs), 8, 1, alone())
	a, b := apart(t, r.e)
	w := newTaker(a)
	w.Scope = []Key{a, b}
	r.wait(t, w)
	for _, sc := range []Scope{{Keys: []Key{a}}, {Keys: []Key{a, b}}, {World: true}} {
		ran := false
		err := r.tx.Run(sc, startMs, func(tx *Tx) {
			tx.RequireWaiters([]Key{a})
			ran = true
		})
		if _, need := err.(*NeedKeys); need != (len(sc.Keys) == 1) || ran == need {
			t.Errorf("%v: %v", sc, err)
		}
	}
}
