package command

import (
	"bytes"

	"geocache/engine"
	"geocache/resp"
)

// Ranges of sorted sets: by rank, by score, and by name where all scores are
// equal. Whatever it is by, an interval is a run of ranks.

// intervalBy is what the ends of an interval are.
type intervalBy uint8

const (
	byAny intervalBy = iota // what the arguments say
	byRank
	byScore
	byName
)

// direction is the order of a reply.
type direction uint8

const (
	anyWay direction = iota // what the arguments say
	upward
	downward
)

type scoreEnd struct {
	score float64
	open  bool
}

// nameEnd is a name, or what lies below (beyond -1) or above (1) all names.
type nameEnd struct {
	name   []byte
	open   bool
	beyond int8
}

// interval is a part of a sorted set.
type interval struct {
	by          intervalBy
	fromTop     bool // ranks count from the highest
	start, stop int64
	low, high   scoreEnd
	first, last nameEnd
}

// parseInterval reads the ends of an interval, the lower one first.
func parseInterval(by intervalBy, low, high []byte) (v interval, fail resp.Error) {
	v.by = by
	ok, also := false, false
	switch by {
	case byScore:
		v.low.score, v.low.open, ok = resp.ParseBound(low)
		v.high.score, v.high.open, also = resp.ParseBound(high)
		fail = resp.ErrScoreRange
	case byName:
		v.first, ok = parseNameEnd(low)
		v.last, also = parseNameEnd(high)
		fail = resp.ErrNameRange
	default:
		v.start, ok = resp.ParseInt(low)
		v.stop, also = resp.ParseInt(high)
		fail = resp.ErrNotInt
	}
	if ok && also {
		return v, ""
	}
	return v, fail
}

// parseNameEnd reads -, +, [name or (name. A NUL ends the first two, as in C.
func parseNameEnd(b []byte) (e nameEnd, ok bool) {
	if len(b) == 0 {
		return e, false
	}
	alone := len(b) == 1 || b[1] == 0
	switch b[0] {
	case '-':
		return nameEnd{beyond: -1}, alone
	case '+':
		return nameEnd{beyond: 1}, alone
	case '[', '(':
		return nameEnd{name: b[1:], open: b[0] == '('}, true
	}
	return e, false
}

// ranks is where the interval lies in z: n members from rank on.
func (v *interval) ranks(z *engine.Scored) (rank, n int) {
	end := 0
	switch v.by {
	case byScore:
		rank, end = v.low.place(z, v.low.open), v.high.place(z, !v.high.open)
	case byName:
		rank, end = v.first.place(z, v.first.open), v.last.place(z, !v.last.open)
	default:
		return v.spanOf(z.Len())
	}
	return rank, max(0, end-rank)
}

// place is the number of members below the end, or with above set, of those not
// above it.
func (e scoreEnd) place(z *engine.Scored, above bool) int {
	if above {
		return z.RankAfterScore(e.score)
	}
	return z.RankOfScore(e.score)
}

func (e nameEnd) place(z *engine.Scored, above bool) int {
	switch {
	case e.beyond < 0:
		return 0
	case e.beyond > 0:
		return z.Len()
	case above:
		return z.RankOfName(append(bytes.Clone(e.name), 0)) // what comes next
	}
	return z.RankOfName(e.name)
}

// spanOf is ranks for ranks, which are negative where they count from the end.
func (v *interval) spanOf(size int) (rank, n int) {
	start, stop, all := v.start, v.stop, int64(size)
	if start < 0 {
		start = max(0, start+all)
	}
	if stop < 0 {
		stop += all
	}
	stop = min(stop, all-1)
	if start > stop {
		return 0, 0
	}
	n = int(stop - start + 1)
	if v.fromTop {
		return int(all-1-start) - n + 1, n
	}
	return int(start), n
}

// rangeQuery is what ZRANGE and its kin ask for.
type rangeQuery struct {
	interval
	way           direction
	withScores    bool
	offset, limit int64 // of intervals that are not by rank; a negative limit is none
}

// parseRange reads the arguments of a range command from argument at on, the
// key. What q has settled already is no option any more; storing commands show
// no scores.
func (c *Ctx) parseRange(at int, q rangeQuery, storing bool) (rangeQuery, resp.Error) {
	q.limit = -1
	for i := at + 3; i < len(c.Args); i++ {
		switch w := c.word(i); {
		case w == "withscores" && !storing:
			q.withScores = true
		case w == "limit" && i+2 < len(c.Args):
			offset, ok := resp.ParseInt(c.Args[i+1])
			limit, also := resp.ParseInt(c.Args[i+2])
			if !ok || !also {
				return q, resp.ErrNotInt
			}
			q.offset, q.limit = offset, limit
			i += 2
		case w == "rev" && q.way == anyWay:
			q.way = downward
		case w == "bylex" && q.by == byAny:
			q.by = byName
		case w == "byscore" && q.by == byAny:
			q.by = byScore
		default:
			return q, resp.ErrSyntax
		}
	}
	if q.by == byAny {
		q.by = byRank
	}
	if q.limit != -1 && q.by == byRank {
		return q, resp.ErrLimitOfRanks
	}
	if q.withScores && q.by == byName {
		return q, resp.ErrWithScoresByName
	}
	low, high := c.Args[at+1], c.Args[at+2]
	if q.way == downward && q.by != byRank {
		low, high = high, low
	}
	var fail resp.Error
	q.interval, fail = parseInterval(q.by, low, high)
	q.fromTop = q.way == downward
	return q, fail
}

// each visits what is asked for in its order, after telling fn's caller by size
// how many members that are.
func (q *rangeQuery) each(z *engine.Scored, size func(n int), fn func(member []byte, score float64)) {
	rank, n := q.ranks(z)
	if q.by != byRank {
		rank, n = q.limited(rank, n)
	}
	size(n)
	eachRanked(z, q.way, rank, n, fn)
}

// eachRanked visits n members from rank on, the highest first where the way is
// downward.
func eachRanked(z *engine.Scored, way direction, rank, n int, fn func(member []byte, score float64)) {
	if n == 0 {
		return
	}
	left := n
	visit := func(member []byte, score float64) bool {
		fn(member, score)
		left--
		return left > 0
	}
	if way == downward {
		z.Descend(rank+n-1, visit)
	} else {
		z.Ascend(rank, visit)
	}
}

// limited applies LIMIT. As in Redis a negative offset leaves nothing.
func (q *rangeQuery) limited(rank, n int) (int, int) {
	if q.offset < 0 || q.offset >= int64(n) {
		return rank, 0
	}
	keep := n - int(q.offset)
	if q.limit >= 0 {
		keep = int(min(q.limit, int64(keep)))
	}
	if q.way == downward {
		return rank + n - int(q.offset) - keep, keep
	}
	return rank + int(q.offset), keep
}

func zRange(c *Ctx)        { c.showRange(rangeQuery{}) }
func zRevRange(c *Ctx)     { c.showRange(rangeQuery{interval: interval{by: byRank}, way: downward}) }
func zRangeByScore(c *Ctx) { c.showRange(rangeQuery{interval: interval{by: byScore}, way: upward}) }
func zRevRangeByScore(c *Ctx) {
	c.showRange(rangeQuery{interval: interval{by: byScore}, way: downward})
}
func zRangeByLex(c *Ctx)      { c.showRange(rangeQuery{interval: interval{by: byName}, way: upward}) }
func zRevRangeByLex(c *Ctx)   { c.showRange(rangeQuery{interval: interval{by: byName}, way: downward}) }
func zCount(c *Ctx)           { c.countRange(byScore) }
func zLexCount(c *Ctx)        { c.countRange(byName) }
func zRemRangeByRank(c *Ctx)  { c.removeRange(byRank, "zremrangebyrank") }
func zRemRangeByScore(c *Ctx) { c.removeRange(byScore, "zremrangebyscore") }
func zRemRangeByLex(c *Ctx)   { c.removeRange(byName, "zremrangebylex") }

// showRange replies with the members that q and the arguments ask for.
func (c *Ctx) showRange(q rangeQuery) {
	q, fail := c.parseRange(1, q, false)
	if fail != "" {
		c.Fail(fail)
		return
	}
	z, err := c.Tx.ZSet(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case z == nil:
		c.Out.Array(0)
		return
	}
	width := c.pairWidth(q.withScores)
	q.each(z, func(n int) { c.Out.Array(n * width) }, func(member []byte, score float64) {
		if q.withScores {
			c.pair(member, score)
		} else {
			c.Out.Bulk(member)
		}
	})
}

func zRangeStore(c *Ctx) {
	q, fail := c.parseRange(2, rangeQuery{}, true)
	if fail != "" {
		c.Fail(fail)
		return
	}
	z, err := c.Tx.ZSet(c.Key(2))
	if err != nil {
		c.FailWith(err)
		return
	}
	var found memberBag
	if z != nil {
		q.each(z, found.grow, found.add)
	}
	c.Tx.PlainZeros(found.list)
	c.storeMembers(c.Key(1), found.list, "zrangestore")
}

// memberBag collects members in memory of its own.
type memberBag struct {
	list []engine.MemberScore
	text []byte
}

// grow makes room for n members.
func (b *memberBag) grow(n int) { b.list = make([]engine.MemberScore, 0, n) }

func (b *memberBag) add(member []byte, score float64) {
	start := len(b.text)
	b.text = append(b.text, member...) // members before keep the old array
	b.list = append(b.list, engine.MemberScore{Member: b.text[start:len(b.text):len(b.text)], Score: score})
}

// storeMembers makes members the value of k, which ends where there is none,
// and replies with their number.
func (c *Ctx) storeMembers(k engine.Key, members []engine.MemberScore, event string) {
	if len(members) > 0 {
		c.Tx.ZSetReplace(k, members)
		c.Event(engine.EventZSet, event, k)
	} else if c.Tx.Delete(k) {
		c.Event(engine.EventGeneric, "del", k)
	}
	c.Out.Int(int64(len(members)))
}

func (c *Ctx) countRange(by intervalBy) {
	v, fail := parseInterval(by, c.Args[2], c.Args[3])
	if fail != "" {
		c.Fail(fail)
		return
	}
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	n := 0
	if z != nil {
		_, n = v.ranks(z)
	}
	c.Out.Int(int64(n))
}

func (c *Ctx) removeRange(by intervalBy, event string) {
	v, fail := parseInterval(by, c.Args[2], c.Args[3])
	if fail != "" {
		c.Fail(fail)
		return
	}
	z, err := c.Tx.ZSetToEdit(c.Key(1))
	rank, n, left := 0, 0, 0
	if z != nil {
		rank, n = v.ranks(z)
		left = z.Len() - n
	}
	if err == nil {
		err = c.Tx.ZSetRemoveRange(c.Key(1), rank, n)
	}
	if err != nil {
		c.FailWith(err)
		return
	}
	c.tellRemoved(event, c.Key(1), n, left)
	c.Out.Int(int64(n))
}
