package engine

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// mesh is regions whose clocks differ, with everything that merging meets:
// deadlines that pass, keys reclaimed and forgotten at different times. There
// is no model here, only the demand that all end up equal.
type mesh struct {
	regions []*region
	sent    []int      // per region, own batches that are in batches
	batches []op.Batch // in the order of their making
	order   [][]int    // per region, batches in the order of application
	known   []map[int]bool
	upto    []clock.Vector // per batch, its region's vector after it
	from    []int          // per batch, its region
}

func newMesh(n int, p Params) *mesh {
	m := &mesh{}
	for i := range n {
		wall := clock.NewManual(startMs + int64(i)*37)
		m.regions = append(m.regions, newRegion("r"+strconv.Itoa(i), wall, 2, 2, p))
		m.known = append(m.known, map[int]bool{})
	}
	m.sent, m.order = make([]int, n), make([][]int, n)
	return m
}

// collect registers what region r has committed.
func (m *mesh) collect(r int) {
	for reg := m.regions[r]; m.sent[r] < len(reg.own); m.sent[r]++ {
		i := len(m.batches)
		m.batches = append(m.batches, reg.own[m.sent[r]])
		m.upto = append(m.upto, reg.vector.Clone())
		m.from = append(m.from, r)
		m.known[r][i] = true
		m.order[r] = append(m.order[r], i)
	}
}

// pull brings r up to a random part of what s has.
func (m *mesh) pull(r, s, n int) {
	for _, i := range m.order[s] {
		if m.known[r][i] {
			continue
		}
		if n--; n < 0 {
			return
		}
		m.known[r][i] = true
		m.order[r] = append(m.order[r], i)
		m.regions[r].receive(m.batches[i])
	}
}

func (m *mesh) stable(r int) clock.Vector {
	v := m.regions[r].vector
	for s := range m.regions {
		if s == r {
			continue
		}
		acknowledged := clock.Vector{}
		for i, from := range m.from {
			if from == s && m.known[r][i] {
				acknowledged = m.upto[i]
			}
		}
		v = clock.Min(v, acknowledged)
	}
	return v
}

// setReclaimLimit lets keys go whose deadline all clocks have passed.
func (m *mesh) setReclaimLimit() {
	limit := int64(math.MaxInt64)
	for _, r := range m.regions {
		limit = min(limit, r.hlc.Now().Ms())
	}
	for _, r := range m.regions {
		r.e.SetReclaimLimit(limit)
	}
}

func (m *mesh) act(rnd *rand.Rand, r *region) {
	now := r.wall.NowMs()
	k, l := Key{rnd.IntN(2), []byte{'a' + byte(rnd.IntN(3))}}, Key{0, []byte("d")}
	soon, by := now+1+rnd.Int64N(60), rnd.Int64N(9)-3
	sc := Scope{Keys: []Key{k, l}, World: rnd.IntN(25) == 0}
	r.tx.Run(sc, now, func(t *Tx) {
		if sc.World {
			t.FlushDB(k.DB)
		}
		for range 1 + rnd.IntN(3) {
			switch rnd.IntN(14) {
			case 0:
				t.SetString(k, strconv.AppendInt(nil, by, 10), NoDeadline())
			case 1:
				t.SetString(k, strconv.AppendInt(nil, by, 10), DeadlineAt(soon))
			case 2:
				t.SetString(k, strconv.AppendInt(nil, by, 10), KeepDeadline())
			case 3, 4, 5:
				t.Incr(k, by)
			case 6:
				t.IncrFloat(k, []byte("0.25"))
			case 7:
				t.Delete(k)
			case 8:
				t.SetDeadline(k, soon)
			case 9:
				t.SetDeadline(k, 0)
			case 10:
				if t.Copy(k, l) {
					t.Delete(k)
				}
			case 11, 12:
				pfAdd(t, k, element(rnd.IntN(6))) // refused where another string is
			case 13:
				t.SetString(k, sketchOf(rnd.IntN(6)), NoDeadline())
			}
		}
	})
}

func TestConvergenceWithDeadlines(t *testing.T) {
	p := merging()
	for seed := range uint64(1500 / effort) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		m := newMesh(2+int(seed%3), p)
		n := len(m.regions)
		for range 60 {
			i := rnd.IntN(n)
			r := m.regions[i]
			switch rnd.IntN(8) {
			case 0, 1, 2:
				m.act(rnd, r)
			case 3, 4:
				m.pull(i, rnd.IntN(n), 1+rnd.IntN(10))
			case 5:
				r.wall.Advance(rnd.Int64N(70))
			case 6:
				m.setReclaimLimit()
				expireAll(r)
			case 7:
				r.e.ForgetRemovals(m.stable(i), 1+rnd.IntN(10))
			}
			m.collect(i)
			checkAccounts(t, r.e)
		}
		// All clocks come to the same time, and everything arrives.
		end := int64(0)
		for _, r := range m.regions {
			end = max(end, r.wall.NowMs())
		}
		end += rnd.Int64N(40)
		for range 2 {
			for i, r := range m.regions {
				r.wall.Set(end)
				for s := range m.regions {
					m.pull(i, s, math.MaxInt)
				}
			}
		}
		for i, r := range m.regions {
			if r.err != nil {
				t.Fatal(r.err)
			}
			if !r.vector.Equal(m.regions[0].vector) {
				t.Fatal("not everything arrived")
			}
			if r.digest() != m.regions[0].digest() {
				for _, k := range []string{"a", "b", "c", "d"} {
					t.Logf("%s: %+v\n%+v", k, m.regions[0].state(k), r.state(k))
				}
				t.Fatalf("seed %d: regions 0 and %d differ", seed, i)
			}
		}
		// Long after, nothing is left but what lives.
		for range 3 {
			for i, r := range m.regions {
				r.wall.Set(end + 2*orphanMs)
				m.setReclaimLimit()
				expireAll(r)
				m.collect(i)
				for s := range m.regions {
					m.pull(i, s, math.MaxInt)
				}
			}
		}
		for i, r := range m.regions {
			for r.e.ForgetRemovals(m.regions[0].vector.Clone(), 100) > 0 {
			}
			live, entries := 0, 0
			for _, s := range r.e.shards {
				for _, tb := range s.dbs {
					if tb != nil {
						live, entries = live+tb.live, entries+tb.entries
					}
				}
			}
			if live != entries || r.digest() != m.regions[0].digest() {
				t.Fatalf("seed %d: region %d keeps %d entries for %d keys", seed, i, entries, live)
			}
		}
	}
}
