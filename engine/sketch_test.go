package engine

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"geocache/clock"
	"geocache/hll"
	"geocache/lru"
)

// element is the name of what event i adds to HyperLogLogs.
func element(i int) []byte { return strconv.AppendInt([]byte("e"), int64(i), 10) }

// sketchOf is a HyperLogLog of the elements of some events.
func sketchOf(events ...int) []byte {
	b := hll.New()
	for _, i := range events {
		b, _, _ = hll.Add(b, element(i), 3000)
	}
	return b
}

// registers is what a HyperLogLog says, whatever its form; nil for any other
// string.
func registers(b []byte) []byte {
	var u hll.Union
	if u.Merge(b) != nil {
		return nil
	}
	return bytes.Clone(u.Registers())
}

// pfAdd is PFADD of one element.
func pfAdd(t *Tx, k Key, elem []byte) error {
	val, found, err := t.Peek(k)
	if err != nil {
		return err
	}
	b := hll.New()
	if found {
		if hll.Check(val) != nil {
			return errors.New("not a HyperLogLog")
		}
		b = bytes.Clone(val)
	}
	b, changed, err := hll.Add(b, elem, 3000)
	if err != nil || !changed {
		return err
	}
	raised, _, _ := hll.Add(hll.New(), elem, 3000)
	t.RaiseSketch(k, b, raised)
	return nil
}

// A HyperLogLog goes to its row and comes back, and neither digest nor token
// tells where it is.
func TestSketchOnDisk(t *testing.T) {
	p := merging()
	p.Policy, p.LRU, p.EvictToDisk, p.KeepRows = lru.AllkeysLRU, lru.DefaultParams(), true, true
	wall := clock.NewManual(startMs)
	a, b := newRegion("a", wall, 1, 1, p), newRegion("b", wall, 1, 1, merging())
	add := func(r *region, i int) {
		t.Helper()
		if err := r.do(func(t *Tx) { pfAdd(t, key("k"), element(i)) }, "k"); err != nil {
			t.Fatal(err)
		}
	}
	add(a, 0)
	add(b, 1)
	a.receive(b.own[0]) // a second birth
	before := a.state("k")
	if len(before.Sketches) != 2 {
		t.Fatalf("%d births, not 2", len(before.Sketches))
	}
	keys, _ := a.e.TakeDirty()
	row, _ := a.e.Row(keys[0])
	a.e.RowWritten(row.StateEntry)
	token, digest := tokenOf(&before), a.digest()
	if a.e.EvictStep(wall.NowMs()) == 0 || len(a.e.Evicted([]Key{key("k")})) != 1 {
		t.Fatal("it was not evicted")
	}
	checkAccounts(t, a.e)
	if got := a.digest(); got != digest {
		t.Error("its digest is another one")
	}
	if en, ok := a.e.State(keys[0]); !ok || !en.Evicted {
		t.Error("its state is not said to be evicted")
	}
	if same, _ := tokenIs(a, token); !same {
		t.Error("its token is another one")
	}
	// What a sibling raises needs it in memory.
	add(b, 2)
	var need *NeedRow
	if err := a.e.Apply(b.own[1], FromSibling, wall.NowMs()); !errors.As(err, &need) {
		t.Fatalf("raised on disk: %v", err)
	}
	if err := a.do(func(t *Tx) { pfAdd(t, key("k"), element(3)) }, "k"); !errors.As(err, &need) {
		t.Fatalf("added to on disk: %v", err)
	}
	if err := a.e.RestoreRow(need.Rows[0], row.State); err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, a.e)
	a.receive(b.own[1])
	add(a, 3)
	val, ok := a.get("k")
	if !ok || !bytes.Equal(registers([]byte(val)), registers(sketchOf(0, 1, 2, 3))) {
		t.Error("elements are missing")
	}
	// The row is no longer the value.
	if a.e.EvictStep(wall.NowMs()) != 0 {
		t.Error("a value was evicted to an older row")
	}
}

func tokenIs(r *region, want clock.Stamp) (same, found bool) {
	r.do(func(t *Tx) { same, found = t.TokenIs(key("k"), want) }, "k")
	return same, found
}

// A removal that the source of a copy has not seen holds, though the copy has
// what it removed.
func TestCopyWithARemovedSketch(t *testing.T) {
	wall := clock.NewManual(startMs)
	a, b := newRegion("a", wall, 1, 1, merging()), newRegion("b", wall, 1, 1, merging())
	a.do(func(t *Tx) { pfAdd(t, key("k"), element(0)) }, "k")
	a.do(func(t *Tx) { pfAdd(t, key("l"), element(0)) }, "l")
	for _, batch := range a.own {
		b.receive(batch)
	}
	covered := a.vector.Clone()
	b.do(func(t *Tx) { t.Delete(key("k")) }, "k")
	b.do(func(t *Tx) { pfAdd(t, key("l"), element(1)) }, "l")
	var copied []StateEntry
	for _, k := range []string{"k", "l"} {
		en, _ := a.e.State(RowKey{0, k})
		copied = append(copied, en.StateEntry)
	}
	if err := b.e.JoinCopy(1, covered, copied, wall.NowMs()); err != nil {
		t.Fatal(err)
	}
	if err := b.e.EndCopy(1, covered, wall.NowMs()); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.get("k"); ok {
		t.Error("the copy brought back what was removed")
	}
	if val, _ := b.get("l"); !bytes.Equal(registers([]byte(val)), registers(sketchOf(0, 1))) {
		t.Error("the copy took away what it had not seen")
	}
	for _, batch := range b.own {
		a.receive(batch)
	}
	if a.digest() != b.digest() {
		t.Error("the regions differ")
	}
}

// A damaged HyperLogLog, of which PFADD may still find the register that it
// raises, is written as a whole.
func TestDamagedSketch(t *testing.T) {
	wall := clock.NewManual(startMs)
	a, b := newRegion("a", wall, 1, 1, merging()), newRegion("b", wall, 1, 1, merging())
	damaged := append(sketchOf(0, 1), 0)
	a.do(func(t *Tx) { t.SetString(key("k"), damaged, NoDeadline()) }, "k")
	for i := range 5 {
		if err := a.do(func(t *Tx) { pfAdd(t, key("k"), element(i)) }, "k"); err != nil {
			t.Fatal(err)
		}
	}
	for _, batch := range a.own {
		b.receive(batch)
	}
	here, _ := a.get("k")
	there, _ := b.get("k")
	if here == string(damaged) || here != there || a.digest() != b.digest() {
		t.Errorf("%q here, %q there", here, there)
	}
}

// PFMERGE of what a SET's HyperLogLog has already leaves the same state where it
// ran and where its op arrives: tokens tell what was raised from what was set.
func TestRaisingNothing(t *testing.T) {
	wall := clock.NewManual(startMs)
	a, b := newRegion("a", wall, 1, 1, merging()), newRegion("b", wall, 1, 1, merging())
	a.do(func(t *Tx) { t.SetString(key("k"), sketchOf(0, 1), NoDeadline()) }, "k")
	a.do(func(t *Tx) { t.RaiseSketch(key("k"), sketchOf(0, 1), sketchOf(1)) }, "k")
	for _, batch := range a.own {
		b.receive(batch)
	}
	if a.digest() != b.digest() {
		t.Errorf("%+v here, %+v there", a.state("k"), b.state("k"))
	}
}
