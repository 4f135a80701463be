package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"geocache/engine"
	"geocache/resp"
)

// smallForms makes collections large after few members.
var smallForms = engine.Forms{HashEntries: 6, HashValue: 12, SetInts: 6, SetEntries: 6, SetValue: 12}

func texts(v resp.Value) []string {
	list := make([]string, len(v.Elems))
	for i, e := range v.Elems {
		list[i] = e.Text
	}
	return list
}

// TestSetsAgainstModel compares sets of all forms with maps of Go.
func TestSetsAgainstModel(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHarness(t)
			h.configure(func(p *engine.Params) { p.Forms = smallForms })
			m := setModel{h: h, rnd: rand.New(rand.NewPCG(seed, 3)), sets: map[string]map[string]bool{}}
			for range 1500 {
				m.step()
			}
		})
	}
}

type setModel struct {
	h    *harness
	rnd  *rand.Rand
	sets map[string]map[string]bool
}

func (m *setModel) key() string { return string(rune('a' + m.rnd.IntN(5))) }

func (m *setModel) member() string {
	if m.rnd.IntN(3) > 0 {
		return fmt.Sprint(m.rnd.IntN(24) - 4)
	}
	return strings.Repeat("m", 1+m.rnd.IntN(15))
}

// some are several of what pick gives.
func (m *setModel) some(pick func() string) []string {
	list := make([]string, 1+m.rnd.IntN(4))
	for i := range list {
		list[i] = pick()
	}
	return list
}

func (m *setModel) want(got string, format string, args ...any) {
	m.h.t.Helper()
	if want := fmt.Sprintf(format, args...); got != want {
		m.h.t.Fatalf("got %s, want %s", got, want)
	}
}

func (m *setModel) put(k string, s map[string]bool) {
	if delete(m.sets, k); len(s) > 0 {
		m.sets[k] = s
	}
}

// with is a copy of the set under k.
func (m *setModel) with(k string) map[string]bool {
	s := map[string]bool{}
	for e := range m.sets[k] {
		s[e] = true
	}
	return s
}

func sortedKeys(s map[string]bool) []string {
	list := []string{}
	for e := range s {
		list = append(list, e)
	}
	slices.Sort(list)
	return list
}

func (m *setModel) same(request []string, s map[string]bool) {
	m.h.t.Helper()
	got := texts(m.h.exec(request)[0])
	slices.Sort(got)
	if want := sortedKeys(s); !slices.Equal(got, want) {
		m.h.t.Fatalf("%q: got %q, want %q", request, got, want)
	}
}

func (m *setModel) step() {
	k, s := m.key(), map[string]bool(nil)
	switch s = m.with(k); m.rnd.IntN(8) {
	case 0, 1:
		add, was := m.some(m.member), len(s)
		for _, e := range add {
			s[e] = true
		}
		m.want(m.h.doArgs(append([]string{"SADD", k}, add...)...), ":%d", len(s)-was)
	case 2:
		rem, was := m.some(m.member), len(s)
		for _, e := range rem {
			delete(s, e)
		}
		m.want(m.h.doArgs(append([]string{"SREM", k}, rem...)...), ":%d", was-len(s))
	case 3:
		n := m.rnd.IntN(4)
		got := texts(m.h.exec([]string{"SPOP", k, fmt.Sprint(n)})[0])
		if len(got) != min(n, len(s)) {
			m.h.t.Fatalf("SPOP %d of %d gave %q", n, len(s), got)
		}
		for _, e := range got {
			if !s[e] {
				m.h.t.Fatalf("SPOP gave %q, which is not there", e)
			}
			delete(s, e)
		}
	case 4:
		m.draws(k, s)
	case 5:
		to, e := m.key(), m.member()
		m.want(m.h.doArgs("SMOVE", k, to, e), ":%d", oneIf(s[e]))
		if s[e] && to != k {
			delete(s, e)
			dst := m.with(to)
			dst[e] = true
			m.put(to, dst)
		}
	default:
		m.combine()
		return
	}
	m.put(k, s)
	m.same([]string{"SMEMBERS", k}, s)
	m.want(m.h.doArgs("SCARD", k), ":%d", len(s))
}

// draws checks SRANDMEMBER with counts of both signs.
func (m *setModel) draws(k string, s map[string]bool) {
	n := m.rnd.IntN(12)
	got := texts(m.h.exec([]string{"SRANDMEMBER", k, fmt.Sprint(n)})[0])
	different := map[string]bool{}
	for _, e := range got {
		different[e] = s[e]
	}
	if len(different) != min(n, len(s)) || slices.Contains(got, "") {
		m.h.t.Fatalf("SRANDMEMBER %d of %q gave %q", n, sortedKeys(s), got)
	}
	got = append(got, texts(m.h.exec([]string{"SRANDMEMBER", k, fmt.Sprint(-n)})[0])...)
	for _, e := range got {
		if !s[e] {
			m.h.t.Fatalf("SRANDMEMBER gave %q, which is not there", e)
		}
	}
	if len(s) > 0 && len(got) != n+min(n, len(s)) {
		m.h.t.Fatalf("SRANDMEMBER -%d gave %d", n, len(got)-min(n, len(s)))
	}
}

// combine checks SINTER, SUNION and SDIFF, their counts, and what is stored.
func (m *setModel) combine() {
	keys := m.some(m.key)
	first := m.with(keys[0])
	inter, union, diff := m.with(keys[0]), first, m.with(keys[0])
	for _, k := range keys[1:] {
		other := m.sets[k]
		for e := range inter {
			if !other[e] {
				delete(inter, e)
			}
		}
		for e := range other {
			union[e] = true
			delete(diff, e)
		}
	}
	kind := m.rnd.IntN(3)
	name, want := []string{"SINTER", "SUNION", "SDIFF"}[kind], []map[string]bool{inter, union, diff}[kind]
	m.same(append([]string{name}, keys...), want)
	card := append([]string{name + "CARD", fmt.Sprint(len(keys))}, keys...)
	m.want(m.h.doArgs(card...), ":%d", len(want))
	limit := 1 + m.rnd.IntN(6)
	m.want(m.h.doArgs(append(card, "LIMIT", fmt.Sprint(limit))...), ":%d", min(limit, len(want)))
	dst := m.key()
	m.want(m.h.doArgs(append([]string{name + "STORE", dst}, keys...)...), ":%d", len(want))
	m.put(dst, want)
	m.same([]string{"SMEMBERS", dst}, want)
}

// TestMembersScanned checks that what is there from the first HSCAN or SSCAN to
// the last is shown, whatever comes and goes, and however large that makes the
// collection.
func TestMembersScanned(t *testing.T) {
	for _, kind := range []struct{ scan, add, remove string }{{"HSCAN", "HSET", "HDEL"}, {"SSCAN", "SADD", "SREM"}} {
		t.Run(kind.scan, func(t *testing.T) {
			h := newHarness(t)
			h.configure(func(p *engine.Params) { p.Forms = smallForms })
			add := func(i int) {
				request := []string{kind.add, "k", fmt.Sprint("m", i)}
				if kind.add == "HSET" {
					request = append(request, fmt.Sprint("v", i))
				}
				h.exec(request)
			}
			for i := range 300 {
				add(i)
			}
			seen := map[string]bool{}
			for cursor, round := "0", 0; ; round++ {
				v := h.exec([]string{kind.scan, "k", cursor, "COUNT", "7"})[0]
				for _, e := range texts(v.Elems[1]) {
					seen[e] = true
				}
				if cursor = v.Elems[0].Text; cursor == "0" {
					break
				}
				add(1000 + round)
				h.exec([]string{kind.remove, "k", fmt.Sprint("m", 200+round)})
			}
			for i := range 200 {
				if m := fmt.Sprint("m", i); !seen[m] {
					t.Errorf("%s was not shown", m)
				}
			}
		})
	}
}

// TestDrawsAreFair draws often and expects no member to be preferred.
func TestDrawsAreFair(t *testing.T) {
	const members, rounds = 20, 20_000
	for _, forms := range []engine.Forms{smallForms, {HashEntries: 512, HashValue: 64, SetEntries: 128, SetValue: 64}} {
		h := newHarness(t)
		h.configure(func(p *engine.Params) { p.Forms = forms })
		for i := range members {
			h.exec([]string{"SADD", "s", fmt.Sprint("m", i)})
			h.exec([]string{"HSET", "h", fmt.Sprint("m", i), "v"})
		}
		for _, request := range [][]string{
			{"SRANDMEMBER", "s", "-5"}, {"SRANDMEMBER", "s", "3"}, {"SRANDMEMBER", "s", "15"}, {"SRANDMEMBER", "s"},
			{"HRANDFIELD", "h", "-5"}, {"HRANDFIELD", "h", "3"}, {"HRANDFIELD", "h", "15"}, {"HRANDFIELD", "h"},
		} {
			count, total := map[string]int{}, 0
			for total < rounds {
				v := h.exec(request)[0]
				drawn := texts(v)
				if len(v.Elems) == 0 {
					drawn = []string{v.Text}
				}
				for _, m := range drawn {
					count[m]++
					total++
				}
			}
			mean := total / members
			for m, n := range count {
				if n < mean*8/10 || n > mean*12/10 {
					t.Errorf("%q gave %s %d times of %d", request, m, n, total)
				}
			}
			if len(count) != members {
				t.Errorf("%q never gave %d members", request, members-len(count))
			}
		}
	}
}
