package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// TestPatch changes large strings in place against a model, undoes some of it,
// and replays the log into another engine, from any batch on a second time.
func TestPatch(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 2, 1, alone())
	replica := newRegion("b", clock.NewManual(startMs), 2, 1, alone())
	rnd := rand.New(rand.NewPCG(1, 2))
	model := map[string][]byte{}
	names := []string{"a", "b", "c"}
	patches := 0
	for i := range 4000 {
		was := map[string][]byte{}
		for k, v := range model {
			was[k] = bytes.Clone(v)
		}
		undone := rnd.IntN(4) == 0
		func() {
			defer func() {
				if r := recover(); r != nil {
					if r != "undone" {
						panic(r)
					}
					model = was
				}
			}()
			r.tx.Run(Scope{World: true}, startMs, func(tx *Tx) {
				for range 1 + rnd.IntN(4) {
					randomEdit(t, rnd, tx, names[rnd.IntN(len(names))], model)
				}
				if undone {
					panic("undone")
				}
			})
		}()
		for _, name := range names {
			if v, ok := r.get(name); v != string(model[name]) || ok != (model[name] != nil) {
				t.Fatalf("step %d: %q has %d bytes, there %v; want %d", i, name, len(v), ok, len(model[name]))
			}
		}
		checkAccounts(t, r.e)
	}
	replay := func(own []op.Batch) {
		t.Helper()
		for _, b := range own {
			for o := range b.Ops() {
				if o.Kind == op.Patch {
					patches++
				}
			}
			if err := replica.e.Apply(b, FromLog, startMs); err != nil {
				t.Fatal(err)
			}
		}
		checkAccounts(t, replica.e)
		for _, name := range names {
			if v, _ := replica.get(name); v != string(model[name]) {
				t.Fatalf("replayed: %q has %d bytes, want %d", name, len(v), len(model[name]))
			}
		}
	}
	replay(r.own)
	for range 5 {
		replay(r.own[rnd.IntN(len(r.own)):])
	}
	if patches == 0 || r.err != nil {
		t.Fatalf("%d patches, %v", patches, r.err)
	}
}

// randomEdit does something to k, in the tx and in the model.
func randomEdit(t *testing.T, rnd *rand.Rand, tx *Tx, name string, model map[string][]byte) {
	k, v := key(name), model[name]
	some := bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, 1+rnd.IntN(300))
	offset := rnd.IntN(len(v) + 1 + rnd.IntN(50))
	switch rnd.IntN(30) {
	case 0:
		model[name] = bytes.Repeat(some, 1+rnd.IntN(100))
		tx.SetString(k, model[name], DeadlineAt(int64(rnd.IntN(2))*(startMs+1e6)))
	case 1:
		delete(model, name)
		tx.Delete(k)
	case 2:
		other := fmt.Sprint(string('a' + rune(rnd.IntN(3))))
		if v != nil && other != name {
			model[other] = bytes.Clone(v)
			tx.Copy(k, key(other))
		}
	case 3:
		clear(model)
		tx.FlushDB(0)
	case 4:
		tx.show()
	case 5, 6, 7, 8, 9, 10, 11:
		model[name] = append(bytes.Clone(v), some...)
		if n, err := tx.Append(k, some); n != len(v)+len(some) || err != nil {
			t.Fatalf("APPEND: %d, %v; want %d", n, err, len(v)+len(some))
		}
	case 12, 13, 14:
		edited := append(bytes.Clone(v), "x"...)[:max(len(v), 1)]
		for range 1 + rnd.IntN(4) {
			at := rnd.IntN(len(edited))
			copy(edited[at:], some[:1+rnd.IntN(len(some))])
		}
		model[name] = edited
		tx.Rewrite(k, edited)
	default:
		longer := make([]byte, max(len(v), offset+len(some)))
		copy(longer, v)
		copy(longer[offset:], some)
		model[name] = longer
		if n, err := tx.SetRange(k, offset, some); n != len(longer) || err != nil {
			t.Fatalf("SETRANGE: %d, %v; want %d", n, err, len(longer))
		}
	}
	if got, _, _ := tx.Peek(k); !bytes.Equal(got, model[name]) {
		t.Fatalf("%q in the tx: %d bytes, want %d", name, len(got), len(model[name]))
	}
}

// TestRewriteIsSmall: what differs is what the log gets.
func TestRewriteIsSmall(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 1, 1, alone())
	val := bytes.Repeat([]byte("0123456789ab"), 1000)
	for range 2 { // the second one is edited where it lies
		val[15], val[9000], val[9001] = val[15]+1, val[9000]+1, val[9001]+1
		if err := r.do(func(tx *Tx) { tx.Rewrite(key("k"), val) }, "k"); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	for o := range r.own[1].Ops() {
		sizes = append(sizes, len(o.Value))
	}
	if len(r.own) != 2 || !slices.Equal(sizes, []int{1, 2}) {
		t.Errorf("%d batches, the second with ops of %v bytes", len(r.own), sizes)
	}
	if v, _ := r.get("k"); v != string(val) {
		t.Error("another value")
	}
}

// BenchmarkPatch changes strings of 8 MB.
func BenchmarkPatch(b *testing.B) {
	for name, edit := range map[string]func(*Tx, int){
		"append":   func(tx *Tx, _ int) { tx.Append(key("k"), []byte("ten bytes.")) },
		"setrange": func(tx *Tx, i int) { tx.SetRange(key("k"), i*4096%(8<<20), []byte("ten bytes.")) },
	} {
		b.Run(name, func(b *testing.B) {
			p := alone()
			p.Recording = false
			r := newRegion("a", clock.NewManual(startMs), 1, 1, p)
			r.do(func(tx *Tx) { tx.SetString(key("k"), make([]byte, 8<<20), NoDeadline()) }, "k")
			i := 0
			for b.Loop() {
				r.do(func(tx *Tx) { edit(tx, i) }, "k")
				i++
			}
		})
	}
}
