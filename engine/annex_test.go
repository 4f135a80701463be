package engine

import (
	"fmt"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// fillSet adds members from a number up to another to a set of database 0.
func (r *region) fillSet(name string, from, to int) {
	for from < to {
		r.do(func(tx *Tx) {
			var batch [][]byte
			for ; from < to && len(batch) < 1000; from++ {
				batch = append(batch, fmt.Appendf(nil, "member:%09d", from))
			}
			tx.SetAdd(key(name), batch...)
		}, name)
	}
}

// TestRenameOfMillion: neither the rename nor the removal of a set of a million
// members looks at them: blocks are neither made nor freed, and the log gets
// some bytes.
func TestRenameOfMillion(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 64, 2, alone())
	const members = 1_000_000
	r.fillSet("big", 0, members)
	if n := len(annexesOf(r.e)); n != 1 {
		t.Fatalf("%d annexes", n)
	}
	for r.e.SweepLitter() {
	}
	a := annexesOf(r.e)[0]
	blocks, bytes, used := a.arena.Blocks(), a.arena.LiveBytes(), r.e.UsedBytes()
	logged := len(r.own)
	names := []string{"big", "elsewhere", "third"}
	for i, name := range names[1:] {
		r.do(func(tx *Tx) {
			if !tx.Rename(key(names[i]), key(name)) {
				t.Error("not there")
			}
		}, names[i], name)
	}
	other := Key{1, []byte("other")}
	err := r.tx.Run(Scope{Keys: []Key{key("third"), key("big"), other}}, startMs, func(tx *Tx) {
		tx.Rename(key("third"), other)
		s, _ := tx.Set(other)
		if s.Len() != members || !s.Has([]byte("member:000500000")) || tx.Exists(key("third")) || tx.Exists(key("big")) {
			t.Errorf("%d members", s.Len())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if list := annexesOf(r.e); len(list) != 1 || list[0] != a || a.arena.Blocks() != blocks || a.arena.LiveBytes() != bytes {
		t.Error("the members were copied")
	}
	for _, b := range r.own[logged:] {
		if len(b.Raw) > 200 {
			t.Errorf("%d bytes logged for a rename", len(b.Raw))
		}
	}
	if now := r.e.UsedBytes(); now < used-200 || now > used+200 {
		t.Errorf("%d bytes used, %d before", now, used)
	}
	checkAccounts(t, r.e)
	r.tx.Run(Scope{Keys: []Key{other}}, startMs, func(tx *Tx) { tx.Delete(other) })
	if a.arena.Blocks() != blocks || len(annexesOf(r.e)) != 0 || r.e.Litter() != 1 || r.e.UsedBytes() < used-1000 {
		t.Error("the removal has freed what it removed")
	}
	steps := 0
	for was := r.e.UsedBytes(); r.e.SweepLitter(); steps++ {
		now := r.e.UsedBytes()
		if was-now > 2*releaseBytes {
			t.Fatalf("a step gave back %d bytes", was-now)
		}
		was = now
	}
	if r.e.UsedBytes() != 0 || r.e.Litter() != 0 || r.e.Stats().LitterFreed != 1 {
		t.Errorf("after %d steps %d bytes are used and %d collections wait", steps, r.e.UsedBytes(), r.e.Litter())
	}
}

func annexesOf(e *Engine) (list []*annex) {
	for _, s := range e.shards {
		for _, t := range s.dbs {
			if t == nil {
				continue
			}
			for _, a := range t.annexes {
				if a != nil {
					list = append(list, a)
				}
			}
		}
	}
	return list
}

// TestRenameUndone: a rename that is undone, over a key that was there, leaves
// both as they were, whatever followed it.
func TestRenameUndone(t *testing.T) {
	for _, members := range []int{10, 2000, 100_000} { // copied, moved, with an annex
		for _, shards := range []int{1, 64} {
			r := newRegion("a", clock.NewManual(startMs), shards, 1, alone())
			r.fillSet("s", 0, members)
			r.fillSet("d", 5, 5+members)
			want := r.digest()
			for round := range 4 {
				r.do(func(tx *Tx) {
					tx.Rename(key("s"), key("d"))
					tx.SetRemove(key("d"), []byte("member:000000003"))
					if round == 1 {
						tx.Delete(key("d"))
					}
					if round == 2 {
						tx.Rename(key("d"), key("e"))
						tx.SetAdd(key("s"), []byte("x"))
						tx.Rename(key("e"), key("s"))
					}
					if round < 3 {
						panic(&NeedRow{})
					}
				}, "s", "d", "e")
				if round < 3 && r.digest() != want {
					t.Fatalf("%d members, round %d: not as before", members, round)
				}
				for r.e.SweepLitter() {
				}
				checkAccounts(t, r.e)
			}
			r.do(func(tx *Tx) {
				d, _ := tx.Set(key("d"))
				if d.Len() != members-1 || tx.Exists(key("s")) {
					t.Errorf("%d of %d members", d.Len(), members-1)
				}
			}, "s", "d")
			again := newRegion("b", clock.NewManual(startMs), 4, 1, alone())
			for _, b := range r.own {
				if err := again.e.Apply(b, FromLog, startMs); err != nil {
					t.Fatal(err)
				}
			}
			if again.digest() != r.digest() {
				t.Errorf("%d members: the log tells something else", members)
			}
			for again.e.SweepLitter() {
			}
			checkAccounts(t, again.e)
		}
	}
}

// TestAnnexComesAndGoes: a collection gets memory of its own as it grows, keeps
// what it holds, and gives it up as it shrinks; a flush takes it along.
func TestAnnexComesAndGoes(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	r.e.annexFrom = 2000
	for round := range 3 {
		r.fillSet("s", 0, 500)
		if len(annexesOf(r.e)) != 1 {
			t.Fatal("no annex")
		}
		want := r.digest()
		en, _ := r.e.State(RowKey{0, "s"})
		st, err := op.DecodeKeyState(en.State)
		if err != nil || len(st.Colls[0].Elem[op.Main]) != 500 {
			t.Fatal(err)
		}
		for i := range 499 {
			r.do(func(tx *Tx) { tx.SetRemove(key("s"), fmt.Appendf(nil, "member:%09d", i)) }, "s")
		}
		if len(annexesOf(r.e)) != 0 {
			t.Fatal("an annex for one member")
		}
		r.fillSet("s", 0, 500)
		if r.digest() != want {
			t.Fatal("other members")
		}
		if round == 1 {
			r.world(func(tx *Tx) { tx.FlushDB(0) })
			for r.e.ReleaseDiscard() {
			}
		}
		for r.e.Sweep(nil) {
		}
		checkAccounts(t, r.e)
	}
}
