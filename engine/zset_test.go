package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"geocache/clock"
)

// ranked is a sorted set as a plain Go value.
type ranked []MemberScore

func (z ranked) sorted() ranked {
	slices.SortFunc(z, func(a, b MemberScore) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), bytes.Compare(a.Member, b.Member))
	})
	return z
}

func (z ranked) index(member []byte) int {
	return slices.IndexFunc(z, func(m MemberScore) bool { return bytes.Equal(m.Member, member) })
}

// TestZSetChanges changes a sorted set by rule, by ranges of ranks and as a
// whole, in transactions of which half are undone, and compares it with a plain
// value; the log replayed elsewhere gives the same.
func TestZSetChanges(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runZSet(t, seed) })
	}
}

func runZSet(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	p := alone()
	p.Forms = testForms
	r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
	var have ranked
	for range 300 {
		want, undo := slices.Clone(have), rnd.IntN(2) == 0
		err := r.do(func(tx *Tx) {
			for range 1 + rnd.IntN(3) {
				want = changeRanked(t, tx, rnd, want)
			}
			if undo {
				panic(&NeedRow{})
			}
		}, "z")
		if (err != nil) != undo {
			t.Fatal(err)
		}
		if !undo {
			have = want
		}
		compareRanked(t, r, rnd, have)
	}
	again := newRegion("b", clock.NewManual(startMs), 2, 2, p)
	again.replay(t, r)
	compareRanked(t, again, rnd, have)
}

// changeRanked makes one random change to z and to its plain value.
func changeRanked(t *testing.T, tx *Tx, rnd *rand.Rand, z ranked) ranked {
	t.Helper()
	some := func() (ms ranked) {
		for range 1 + rnd.IntN(6) {
			m := MemberScore{Member: []byte(fmt.Sprint("m", rnd.IntN(30))), Score: float64(rnd.IntN(9) - 4)}
			if z := ms.index(m.Member); z < 0 {
				ms = append(ms, m)
			}
		}
		return ms
	}
	var err error
	switch rnd.IntN(5) {
	case 0:
		z = some().sorted()
		tx.ZSetReplace(key("z"), z)
	case 1:
		if len(z) > 0 {
			at := rnd.IntN(len(z))
			n := rnd.IntN(len(z) - at + 1)
			err = tx.ZSetRemoveRange(key("z"), at, n)
			z = slices.Delete(z, at, at+n)
		}
	default:
		z, err = updateRanked(t, tx, z, some())
	}
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// updateRanked adds to scores, but leaves members alone that would get a
// negative one, and negative scores that are new.
func updateRanked(t *testing.T, tx *Tx, z, by ranked) (ranked, error) {
	t.Helper()
	added, moved := 0, 0
	for _, m := range by {
		i := z.index(m.Member)
		switch {
		case i < 0 && m.Score >= 0:
			z = append(z, m)
			added++
		case i >= 0 && z[i].Score+m.Score >= 0 && m.Score != 0:
			z[i].Score += m.Score
			moved++
		}
	}
	gotAdded, gotMoved, err := tx.ZSetUpdate(key("z"), by, func(wanted, was float64, there bool) (float64, bool) {
		if !there {
			was = 0
		}
		return wanted + was, wanted+was >= 0
	})
	if gotAdded != added || gotMoved != moved {
		t.Fatalf("added %d, moved %d; want %d and %d", gotAdded, gotMoved, added, moved)
	}
	return z.sorted(), err
}

func compareRanked(t *testing.T, r *region, rnd *rand.Rand, want ranked) {
	t.Helper()
	if err := r.do(func(tx *Tx) {
		z, err := tx.ZSet(key("z"))
		if err != nil || z.Len() != len(want) {
			t.Fatalf("%d members, %v; want %d", z.Len(), err, len(want))
		}
		if z == nil {
			return
		}
		i := 0
		z.Ascend(0, func(member []byte, score float64) bool {
			if !bytes.Equal(member, want[i].Member) || score != want[i].Score {
				t.Fatalf("%s %v at %d, want %v", member, score, i, want[i])
			}
			i++
			return true
		})
		for i, m := range want {
			rank, score, ok := z.Rank(m.Member)
			if rank != i || score != m.Score || !ok {
				t.Fatalf("%s: rank %d, score %v, %v; want %d and %v", m.Member, rank, score, ok, i, m.Score)
			}
		}
		bound := float64(rnd.IntN(12)-3) / 2
		below := countRanked(want, func(m MemberScore) bool { return m.Score < bound })
		upTo := countRanked(want, func(m MemberScore) bool { return m.Score <= bound })
		if z.RankOfScore(bound) != below || z.RankAfterScore(bound) != upTo {
			t.Fatalf("%v: %d below, %d up to it; want %d and %d", bound, z.RankOfScore(bound), z.RankAfterScore(bound), below, upTo)
		}
	}, "z"); err != nil {
		t.Fatal(err)
	}
}

func countRanked(z ranked, fn func(MemberScore) bool) (n int) {
	for _, m := range z {
		if fn(m) {
			n++
		}
	}
	return n
}

// TestZSetRankOfName asks for places by name, among equal scores and among
// scores that rise with the names, where Redis' own answer is as good.
func TestZSetRankOfName(t *testing.T) {
	for _, step := range []float64{0, 1} {
		r := newRegion("a", clock.NewManual(startMs), 4, 2, alone())
		err := r.do(func(tx *Tx) {
			for i := range 20 {
				if _, err := tx.ZSetPut(key("z"), fmt.Appendf(nil, "m%02d", 2*i), step*float64(i)); err != nil {
					t.Fatal(err)
				}
			}
			z, _ := tx.ZSet(key("z"))
			for name, want := range map[string]int{"": 0, "m": 0, "m00": 0, "m01": 1, "m09": 5, "m10": 5, "m10\x00": 6, "m38": 19, "m39": 20, "n": 20} {
				if got := z.RankOfName([]byte(name)); got != want {
					t.Errorf("%q: rank %d, want %d", name, got, want)
				}
			}
			if got := z.RankAfterScore(math.Inf(1)); got != 20 {
				t.Errorf("%d members up to infinity, want 20", got)
			}
		}, "z")
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestZSetReplaceDefaultTTL replaces a key that has a deadline: the new one has
// none but the default.
func TestZSetReplaceDefaultTTL(t *testing.T) {
	for _, ttl := range []int64{0, 5000} {
		p := alone()
		p.DefaultTTLMs = ttl
		r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
		want := int64(0)
		if ttl > 0 {
			want = startMs + ttl
		}
		err := r.do(func(tx *Tx) {
			tx.SetString(key("z"), []byte("x"), DeadlineAt(startMs+100))
			tx.ZSetReplace(key("z"), []MemberScore{{Member: []byte("a"), Score: 1}})
			if ms, ok := tx.Deadline(key("z")); ms != want || !ok {
				t.Errorf("deadline %d, %v; want %d", ms, ok, want)
			}
		}, "z")
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestNegativeZero: -0 is equal to 0 and ordered by its name, but a large sorted
// set keeps its sign: when it grows, in what the log and a row have, and in
// another region. A small one takes 0 for it, as Redis does.
func TestNegativeZero(t *testing.T) {
	minus := math.Copysign(0, -1)
	long := bytes.Repeat([]byte("l"), 30)
	put := func(members ...MemberScore) func(*Tx) {
		return func(tx *Tx) {
			tx.ZSetUpdate(key("z"), members, func(wanted, _ float64, _ bool) (float64, bool) { return wanted, true })
		}
	}
	of := func(name string, score float64) MemberScore { return MemberScore{Member: []byte(name), Score: score} }
	grown := put(of("b", minus), MemberScore{Member: long, Score: 7}, of("c", minus), of("a", 0), of("d", minus))
	for _, c := range []struct {
		name string
		do   []func(*Tx)
		want string // without long
	}{
		{"small", []func(*Tx){put(of("b", minus), of("a", 1)), put(of("a", minus))}, "a=0 b=0"},
		{"growing", []func(*Tx){grown}, "a=0 b=0 c=-0 d=-0"},
		{"equal scores", []func(*Tx){grown, put(of("a", minus), of("c", 0))}, "a=0 b=0 c=-0 d=-0"},
		{"set anew", []func(*Tx){grown, put(of("a", 1), of("c", 1)), put(of("a", minus), of("c", 0))}, "a=-0 b=0 c=0 d=-0"},
		{"removed", []func(*Tx){grown, func(tx *Tx) { tx.ZSetRemove(key("z"), []byte("c")) }, put(of("c", 0))}, "a=0 b=0 c=0 d=-0"},
		{"replaced", []func(*Tx){func(tx *Tx) { tx.ZSetReplace(key("z"), []MemberScore{of("a", minus), {Member: long, Score: 7}}) }}, "a=-0"},
		{"replaced, small", []func(*Tx){func(tx *Tx) { tx.ZSetReplace(key("z"), []MemberScore{of("a", minus)}) }}, "a=0"},
	} {
		for _, p := range []Params{alone(), merging()} {
			t.Run(fmt.Sprint(c.name, " merging:", p.Merging), func(t *testing.T) {
				p.Forms = testForms
				r := newRegion("a", clock.NewManual(startMs), 2, 1, p)
				for _, fn := range c.do {
					r.do(fn, "z")
					r.do(func(tx *Tx) { // undone, the set is as before
						fn(tx)
						tx.ZSetReplace(key("z"), []MemberScore{of("a", 3)})
						panic(&NeedRow{})
					}, "z")
				}
				twin := newRegion("b", clock.NewManual(startMs), 2, 1, p)
				for _, b := range r.own {
					if p.Merging {
						twin.receive(b)
					} else if err := twin.e.Apply(b, FromLog, startMs); err != nil {
						t.Fatal(err)
					}
				}
				row, ok := r.e.Row(RowKey{0, "z"})
				again := newRegion("a", clock.NewManual(startMs), 2, 1, p)
				if err := again.e.LoadRows([]StateEntry{{Key: []byte("z"), State: row.State}}, startMs); err != nil || !ok {
					t.Fatal(err, ok)
				}
				for i, r := range []*region{r, twin, again} {
					shown := strings.ReplaceAll(r.members("z"), " "+string(long)+"=7", "")
					if shown != c.want {
						t.Errorf("%d: %s, want %s", i, shown, c.want)
					}
					for _, pair := range strings.Fields(shown) {
						member, want, _ := strings.Cut(pair, "=")
						r.do(func(tx *Tx) {
							z, _ := tx.ZSet(key("z"))
							if score, ok := z.Score([]byte(member)); !ok || fmt.Sprint(score) != want {
								t.Errorf("%d: score of %s: %v, %v", i, member, score, ok)
							}
							if rank, score, ok := z.Rank([]byte(member)); !ok || fmt.Sprint(score) != want || z.RankOfScore(score) > rank || z.RankAfterScore(score) <= rank {
								t.Errorf("%d: rank of %s: %d, %v, %v", i, member, rank, score, ok)
							}
						}, "z")
					}
					checkAccounts(t, r.e)
				}
				if r.digest() != twin.digest() || r.err != nil || twin.err != nil {
					t.Error("the regions differ", r.err, twin.err)
				}
			})
		}
	}
}

// TestZSetGrow: another form is no change to those who watch or wait, nor for
// max-ttl; undone it is as before.
func TestZSetGrow(t *testing.T) {
	for _, maxTTL := range []int64{0, 1000} { // without one a change may be direct
		growZSet(t, maxTTL)
	}
}

func growZSet(t *testing.T, maxTTL int64) {
	p := alone()
	p.Forms, p.KeepRows = testForms, true
	r := newRegion("a", clock.NewManual(startMs), 2, 1, p)
	r.do(func(tx *Tx) {
		for i := range 5 {
			tx.ZSetPut(key("z"), []byte{'a' + byte(i)}, float64(i))
		}
	}, "z")
	was, deadline, batches := r.members("z"), r.deadline("z"), len(r.own)
	encoding := func() (name string) {
		r.do(func(tx *Tx) { name, _ = tx.Encoding(key("z")) }, "z")
		return name
	}
	p.MaxTTLMs = maxTTL
	r.e.params.Store(&p)
	for _, undone := range []bool{true, false, false} {
		sole := Scope{Keys: []Key{key("z")}, Sole: !undone}
		r.tx.Run(sole, r.wall.NowMs(), func(tx *Tx) {
			tx.ZSetGrow(key("z"))
			if undone {
				panic(&NeedRow{})
			}
		})
		want := "skiplist"
		if undone {
			want = "listpack"
		}
		if got := encoding(); got != want || r.members("z") != was || r.deadline("z") != deadline || len(r.own) != batches {
			t.Fatalf("undone %v: %s, %s, deadline %d, %d batches", undone, got, r.members("z"), r.deadline("z"), len(r.own))
		}
		checkAccounts(t, r.e)
	}
}
