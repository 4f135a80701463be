package command

import (
	"math"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

// Random picks for HRANDFIELD, SRANDMEMBER and ZRANDMEMBER.

// maxDraws bounds a reply with repetitions. Redis goes on until its memory or
// the client gives out.
const maxDraws = 1 << 24

// drawCount reads argument i, how many members are asked for: that many
// different ones, or where it is negative as many draws with repetition.
func (c *Ctx) drawCount(i int) (int64, resp.Error) {
	n, ok := resp.ParseInt(c.Args[i])
	switch {
	case !ok:
		return 0, resp.ErrNotInt
	case n < -math.MaxInt64:
		return 0, resp.IntRange(-math.MaxInt64, math.MaxInt64)
	}
	return n, ""
}

// drawOne replies with a random member, null where there is none.
func (c *Ctx) drawOne(m *engine.Members, err error) {
	if err != nil {
		c.FailWith(err)
		return
	}
	live := m.Live()
	n := drawable(m, live)
	if n == 0 {
		c.Out.Null()
		return
	}
	name, _, _ := m.At(ranked(live, c.Tx.Random(n)))
	c.Out.Bulk(name)
}

// draw replies with an array of members drawn; show appends one, which is width
// elements of the array.
func (c *Ctx) draw(m *engine.Members, count int64, width int, show func(name, val []byte)) {
	live := m.Live()
	n := drawable(m, live)
	switch {
	case n == 0 || count == 0:
		c.Out.Array(0)
	case count < -maxDraws:
		c.Fail(resp.ErrOutOfRange)
	case count < 0:
		c.Out.Array(int(-count) * width)
		for range -count {
			name, val, _ := m.At(ranked(live, c.Tx.Random(n)))
			show(name, val)
		}
	case count >= int64(n):
		c.Out.Array(n * width)
		m.Each(func(name, val []byte) bool {
			show(name, val)
			return true
		})
	default:
		c.Out.Array(int(count) * width)
		for _, rank := range c.distinct(int(count), n) {
			name, val, _ := m.At(ranked(live, rank))
			show(name, val)
		}
	}
}

// drawable is how many members there are to draw from. live is m.Live().
func drawable(m *engine.Members, live []int) int {
	if live != nil {
		return len(live)
	}
	return m.Len()
}

// ranked is the rank of the ith member of those to draw from.
func ranked(live []int, i int) int {
	if live != nil {
		return live[i]
	}
	return i
}

// distinct draws count different numbers below n, which is larger, in
// ascending order.
func (c *Ctx) distinct(count, n int) []int {
	drawn := make([]int, 0, count)
	if count > n/3 {
		for i := 0; len(drawn) < count; i++ {
			if c.Tx.Random(n-i) < count-len(drawn) {
				drawn = append(drawn, i)
			}
		}
		return drawn
	}
	taken := make(map[int]struct{}, count)
	for len(drawn) < count {
		i := c.Tx.Random(n)
		if _, again := taken[i]; !again {
			taken[i] = struct{}{}
			drawn = append(drawn, i)
		}
	}
	slices.Sort(drawn)
	return drawn
}
