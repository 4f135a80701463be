package command

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

// Union, intersection and difference of sorted sets. Sets take part, with 1
// for a score.

// combining is what is made of several sorted sets.
type combining uint8

const (
	combineUnion combining = iota
	combineInter
	combineDiff
)

// aggregate makes one score of those that a member has in several sorted sets.
type aggregate func(a, b float64) float64

// sumOf is the sum, with 0 for that of opposite infinities.
func sumOf(a, b float64) float64 { return numberOr0(a + b) }

// lesser and greater compare as C does: of what is NaN and what is not, they
// keep the first.
func lesser(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func greater(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

func numberOr0(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// input is one of the keys that are combined.
type input struct {
	scored *engine.Scored  // one of the two,
	plain  *engine.Members // or none where the key is missing
	weight float64
}

func (in *input) len() int {
	if in.plain != nil {
		return in.plain.Len()
	}
	return in.scored.Len()
}

// each visits the members with their weighted scores.
func (in *input) each(fn func(member []byte, score float64) bool) {
	switch {
	case in.plain != nil:
		in.plain.Each(func(member, _ []byte) bool { return fn(member, in.weight) })
	case in.scored != nil:
		in.scored.Ascend(0, func(member []byte, score float64) bool { return fn(member, score*in.weight) })
	}
}

// score is the weighted score of a member.
func (in *input) score(member []byte) (score float64, ok bool) {
	if in.plain != nil {
		return in.weight, in.plain.Has(member)
	}
	score, ok = in.scored.Score(member)
	return score * in.weight, ok
}

// combineQuery is what ZUNION and its kin ask for.
type combineQuery struct {
	how        combining
	inputs     []input
	aggregate  aggregate
	withScores bool
	cardOnly   bool
	limit      int64 // of cardOnly; 0 is none
}

func zUnion(c *Ctx)      { c.showCombined(combineUnion) }
func zInter(c *Ctx)      { c.showCombined(combineInter) }
func zDiff(c *Ctx)       { c.showCombined(combineDiff) }
func zUnionStore(c *Ctx) { c.storeCombined(combineUnion, "zunionstore") }
func zInterStore(c *Ctx) { c.storeCombined(combineInter, "zinterstore") }
func zDiffStore(c *Ctx)  { c.storeCombined(combineDiff, "zdiffstore") }

func (c *Ctx) showCombined(how combining) {
	q, fail := c.parseCombine(1, combineQuery{how: how})
	if fail != "" {
		c.Fail(fail)
		return
	}
	found := q.sorted()
	c.Out.Array(len(found) * c.pairWidth(q.withScores))
	for i := range found {
		if q.withScores {
			c.pair(found[i].Member, found[i].Score)
		} else {
			c.Out.Bulk(found[i].Member)
		}
	}
}

func (c *Ctx) storeCombined(how combining, event string) {
	q, fail := c.parseCombine(2, combineQuery{how: how})
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.storeMembers(c.Key(1), q.sorted(), event)
}

func zInterCard(c *Ctx) {
	q, fail := c.parseCombine(1, combineQuery{how: combineInter, cardOnly: true})
	if fail != "" {
		c.Fail(fail)
		return
	}
	n := int64(0)
	q.inter(func([]byte, float64) bool {
		n++
		return n != q.limit
	})
	c.Out.Int(n)
}

// parseCombine reads the arguments from the number of keys on, which is
// argument at, and looks the keys up: their types come before the options.
func (c *Ctx) parseCombine(at int, q combineQuery) (combineQuery, resp.Error) {
	n, ok := resp.ParseInt(c.Args[at])
	switch {
	case !ok:
		return q, resp.ErrNotInt
	case n < 1:
		return q, resp.NoInputKeys(c.Row.FullName())
	case n > int64(len(c.Args)-at-1):
		return q, resp.ErrSyntax
	}
	q.inputs, q.aggregate = make([]input, n), sumOf
	for i := range q.inputs {
		in, err := c.input(c.Key(at + 1 + i))
		if err != nil {
			return q, reply(err)
		}
		q.inputs[i] = in
	}
	fail := c.combineOptions(at+1+int(n), at == 2, &q)
	if q.how != combineDiff {
		slices.SortStableFunc(q.inputs, func(a, b input) int { return cmp.Compare(a.len(), b.len()) })
	}
	return q, fail
}

func (c *Ctx) input(k engine.Key) (in input, err error) {
	in.weight = 1
	if info, ok := c.Tx.Info(k); ok && info.Type == engine.TypeSet {
		in.plain, err = c.Tx.Set(k)
		return in, err
	}
	in.scored, err = c.Tx.ZSet(k)
	return in, err
}

// combineOptions reads the options from argument i on.
func (c *Ctx) combineOptions(i int, storing bool, q *combineQuery) resp.Error {
	weighted := q.how != combineDiff && !q.cardOnly
	for i < len(c.Args) {
		left := len(c.Args) - i - 1
		switch w := c.word(i); {
		case w == "weights" && weighted && left >= len(q.inputs):
			for j := range q.inputs {
				weight, ok := resp.ParseFloat(c.Args[i+1+j])
				if !ok {
					return resp.ErrWeight
				}
				q.inputs[j].weight = weight
			}
			i += 1 + len(q.inputs)
		case w == "aggregate" && weighted && left >= 1:
			switch c.word(i + 1) {
			case "sum":
				q.aggregate = sumOf
			case "min":
				q.aggregate = lesser
			case "max":
				q.aggregate = greater
			default:
				return resp.ErrSyntax
			}
			i += 2
		case w == "withscores" && !storing && !q.cardOnly:
			q.withScores = true
			i++
		case w == "limit" && q.cardOnly && left >= 1:
			limit, ok := resp.ParseInt(c.Args[i+1])
			if !ok || limit < 0 {
				return resp.ErrLimitNegative
			}
			q.limit = limit
			i += 2
		default:
			return resp.ErrSyntax
		}
	}
	return ""
}

// sorted is the result, in memory of its own, in the order of a sorted set.
func (q *combineQuery) sorted() []engine.MemberScore {
	var found memberBag
	switch q.how {
	case combineUnion:
		q.union(&found)
	case combineInter:
		q.inter(func(member []byte, score float64) bool {
			found.add(member, score)
			return true
		})
	case combineDiff:
		q.diff(&found)
	}
	slices.SortFunc(found.list, func(a, b engine.MemberScore) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), bytes.Compare(a.Member, b.Member))
	})
	return found.list
}

func (q *combineQuery) union(found *memberBag) {
	largest := q.inputs[len(q.inputs)-1].len()
	var at map[string]int // where a member is that others may have, too
	if len(q.inputs) > 1 {
		at = make(map[string]int, largest)
	}
	found.grow(largest)
	for i := range q.inputs {
		q.inputs[i].each(func(member []byte, score float64) bool {
			score = numberOr0(score)
			if j, met := at[string(member)]; met {
				found.list[j].Score = q.aggregate(found.list[j].Score, score)
				return true
			}
			if len(q.inputs) > 1 {
				at[string(member)] = len(found.list)
			}
			found.add(member, score)
			return true
		})
	}
}

// inter visits the members of the smallest input that are in all others, until
// fn is false.
func (q *combineQuery) inter(fn func(member []byte, score float64) bool) {
	q.inputs[0].each(func(member []byte, score float64) bool {
		score = numberOr0(score)
		for i := range q.inputs[1:] {
			more, ok := q.inputs[1+i].score(member)
			if !ok {
				return true
			}
			score = q.aggregate(score, more)
		}
		return fn(member, score)
	})
}

func (q *combineQuery) diff(found *memberBag) {
	q.inputs[0].each(func(member []byte, score float64) bool {
		for i := range q.inputs[1:] {
			if _, ok := q.inputs[1+i].score(member); ok {
				return true
			}
		}
		found.add(member, score)
		return true
	})
}
