package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"geocache/clock"
	"geocache/tree"
)

// TestFieldDeadlines changes a hash whose fields have deadlines, undoes half of
// it, and lets time pass: fields go when their time has come, in small and in
// large hashes, and the schedule of a large one never differs from what its
// fields say.
func TestFieldDeadlines(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runFieldDeadlines(t, seed) })
	}
}

type timedField struct {
	val string
	ms  int64
}

func runFieldDeadlines(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	p := alone()
	p.Recording, p.Forms = true, testForms
	if seed%3 == 0 {
		p.Forms.HashEntries = 1000
	}
	wall := clock.NewManual(startMs)
	r := newRegion("a", wall, 4, 2, p)
	k := Key{0, []byte("h")}
	have := map[string]timedField{}
	for range 400 {
		next, now := clone(have), wall.NowMs()
		for f, v := range next {
			if v.ms != 0 && v.ms <= now {
				delete(next, f)
			}
		}
		undo := rnd.IntN(2) == 0
		_ = r.do(func(tx *Tx) {
			for range 1 + rnd.IntN(5) {
				changeField(t, tx, rnd, k, next, now)
			}
			if undo {
				panic(&NeedRow{})
			}
		}, "h")
		if !undo {
			have = next
		}
		checkFields(t, r, k, have, now)
		wall.Advance(int64(rnd.IntN(3)))
		if rnd.IntN(3) == 0 {
			for range 4 * r.e.databases {
				r.e.ExpireStep(wall.NowMs(), nil)
			}
			checkReclaimed(t, r, k, have, wall.NowMs())
		}
	}
}

// changeField makes one random change, to the hash and to the model.
func changeField(t *testing.T, tx *Tx, rnd *rand.Rand, k Key, model map[string]timedField, now int64) {
	f, v := fmt.Sprint(rnd.IntN(30)), fmt.Sprint(rnd.IntN(1000))
	ms := now + 1 + int64(rnd.IntN(20))
	was, there := model[f]
	var err error
	switch rnd.IntN(6) {
	case 0:
		_, err = tx.HashSet(k, [][]byte{[]byte(f), []byte(v)}, FieldChange{})
		model[f] = timedField{v, 0}
	case 1, 2:
		_, err = tx.HashSet(k, [][]byte{[]byte(f), []byte(v)}, FieldChange{DeadlineMs: ms})
		model[f] = timedField{v, ms}
	case 3:
		_, err = tx.HashSet(k, [][]byte{[]byte(f), []byte(v)}, FieldChange{Keep: true})
		model[f] = timedField{v, was.ms}
	case 4:
		_, err = tx.HashDelete(k, []byte(f))
		delete(model, f)
	default:
		if there {
			err = tx.HashSetDeadline(k, []byte(f), ms)
			model[f] = timedField{was.val, ms}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkFields(t *testing.T, r *region, k Key, model map[string]timedField, now int64) {
	t.Helper()
	_ = r.do(func(tx *Tx) {
		h, err := tx.Hash(k)
		if err != nil {
			t.Fatal(err)
		}
		live := 0
		for f, want := range model {
			val, ms, ok := h.GetWithDeadline([]byte(f))
			alive := want.ms == 0 || want.ms > now
			if alive {
				live++
			}
			if ok != alive || ok && (string(val) != want.val || ms != want.ms) {
				t.Fatalf("field %s is %q until %d (%v), want %v", f, val, ms, ok, want)
			}
		}
		n := 0
		h.Each(func(_, _ []byte) bool { n++; return true })
		if n != live {
			t.Fatalf("%d live fields, want %d", n, live)
		}
		if ranks := h.Live(); ranks != nil && len(ranks) != live || ranks == nil && h.Len() != live {
			t.Fatalf("ranks %v of %d fields, want %d", ranks, h.Len(), live)
		}
		checkSchedule(t, h)
	}, "h")
}

// checkSchedule compares the schedule and the counters with the fields.
func checkSchedule(t *testing.T, h *Members) {
	t.Helper()
	if h == nil {
		return
	}
	timed := 0
	h.c.main.Ascend(0, func(el tree.Elem) bool {
		d := fieldDeadline(el.Ext)
		if d == 0 {
			return true
		}
		timed++
		if d < h.c.nextFieldMs {
			t.Fatalf("a field is due at %d, before %d", d, h.c.nextFieldMs)
		}
		if _, found := h.c.aux.Seek(dueKey(nil, d, h.c.memberOf(el.Key))); found != (h.c.form == formLarge) {
			t.Fatalf("in the schedule: %v", found)
		}
		return true
	})
	if timed != h.c.fieldTTLs || h.c.form == formLarge && timed != h.c.aux.Len() {
		t.Fatalf("%d fields have deadlines, %d are counted, %d scheduled", timed, h.c.fieldTTLs, h.c.aux.Len())
	}
}

// checkReclaimed expects that no expired field is left.
func checkReclaimed(t *testing.T, r *region, k Key, model map[string]timedField, now int64) {
	t.Helper()
	checkFields(t, r, k, model, now)
	_ = r.do(func(tx *Tx) {
		h, _ := tx.Hash(k)
		live := 0
		for _, v := range model {
			if v.ms == 0 || v.ms > now {
				live++
			}
		}
		if h.Len() != live || tx.Exists(k) != (live > 0) {
			t.Fatalf("%d fields are left, want %d", h.Len(), live)
		}
	}, "h")
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "-1": -1, "10": 10, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%s is read as %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "x", "0x1", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "99999999999999999999", "-9223372036854775808 ",
	} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}
