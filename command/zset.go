package command

import (
	"math"
	"strconv"

	"geocache/engine"
	"geocache/resp"
)

// scoreOptions are ZADD's.
type scoreOptions uint8

const (
	scoreNX scoreOptions = 1 << iota
	scoreXX
	scoreGT
	scoreLT
	scoreCH
	scoreIncr
)

func scoreOption(w string) scoreOptions {
	switch w {
	case "nx":
		return scoreNX
	case "xx":
		return scoreXX
	case "gt":
		return scoreGT
	case "lt":
		return scoreLT
	case "ch":
		return scoreCH
	case "incr":
		return scoreIncr
	}
	return 0
}

func (o scoreOptions) has(all scoreOptions) bool { return o&all == all }

func zAdd(c *Ctx) {
	i, o := 2, scoreOptions(0)
	for ; i < len(c.Args); i++ {
		more := scoreOption(c.word(i))
		if more == 0 {
			break
		}
		o |= more
	}
	pairs := c.Args[i:]
	switch {
	case len(pairs) == 0 || len(pairs)%2 != 0:
		c.Fail(resp.ErrSyntax)
		return
	case o.has(scoreNX | scoreXX):
		c.Fail(resp.ErrZAddNXXX)
		return
	case o.has(scoreNX) && o&(scoreGT|scoreLT) != 0, o.has(scoreGT | scoreLT):
		c.Fail(resp.ErrZAddCompare)
		return
	case o.has(scoreIncr) && len(pairs) > 2:
		c.Fail(resp.ErrZAddIncr)
		return
	}
	var few [4]engine.MemberScore
	members := few[:0]
	for j := 0; j < len(pairs); j += 2 {
		score, ok := resp.ParseFloat(pairs[j])
		if !ok {
			c.Fail(resp.ErrNotFloat)
			return
		}
		members = append(members, engine.MemberScore{Member: pairs[j+1], Score: score})
	}
	c.putScores(members, o)
}

func zIncrBy(c *Ctx) {
	// As in Redis the words that ZADD knows are not numbers that went wrong.
	if scoreOption(c.word(2)) != 0 {
		c.Fail(resp.ErrSyntax)
		return
	}
	delta, ok := resp.ParseFloat(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotFloat)
		return
	}
	c.putScores([]engine.MemberScore{{Member: c.Args[3], Score: delta}}, scoreIncr)
}

// decide is the score that a member gets, NaN included, or not ok where it
// stays as it is.
func (o scoreOptions) decide(wanted, was float64, there bool) (score float64, ok bool) {
	switch {
	case !there:
		return wanted, o&scoreXX == 0
	case o&scoreNX != 0:
		return 0, false
	}
	if o&scoreIncr != 0 {
		wanted += was
	}
	if o&scoreLT != 0 && wanted >= was || o&scoreGT != 0 && wanted <= was {
		return 0, false
	}
	return wanted, true
}

// putScores is ZADD on key 1, once members and scores are known.
func (c *Ctx) putScores(members []engine.MemberScore, o scoreOptions) {
	for i := range members {
		members[i].Incr = o.has(scoreIncr)
	}
	last, met, nan := 0.0, false, false
	added, moved, err := c.Tx.ZSetUpdate(c.Key(1), members, func(wanted, was float64, there bool) (float64, bool) {
		score, ok := o.decide(wanted, was, there)
		if math.IsNaN(score) {
			nan = true
			return 0, false
		}
		if ok {
			last, met = score, true
		}
		return score, ok
	})
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case nan:
		c.Fail(resp.ErrScoreNaN)
		return
	}
	event := "zadd"
	if o&scoreIncr != 0 {
		event = "zincr"
	}
	if added+moved > 0 {
		c.Event(engine.EventZSet, event, c.Key(1))
	}
	switch {
	case o&scoreIncr != 0 && met:
		c.Out.Double(last)
	case o&scoreIncr != 0:
		c.Out.Null()
	case o&scoreCH != 0:
		c.Out.Int(int64(added + moved))
	default:
		c.Out.Int(int64(added))
	}
}

func zRem(c *Ctx) {
	z, err := c.Tx.ZSetToEdit(c.Key(1))
	n, size := 0, z.Len()
	if z != nil {
		n, err = c.Tx.ZSetRemove(c.Key(1), c.Args[2:]...)
	}
	if err != nil {
		c.FailWith(err)
		return
	}
	c.tellRemoved("zrem", c.Key(1), n, size-n)
	c.Out.Int(int64(n))
}

// tellRemoved tells of members that went, if any did, and of how many are left.
func (c *Ctx) tellRemoved(event string, k engine.Key, n, left int) {
	if n == 0 {
		return
	}
	c.Event(engine.EventZSet, event, k)
	c.tellIfGone(k, left)
}

func zCard(c *Ctx) {
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(int64(z.Len()))
}

func zScore(c *Ctx) {
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.showScore(z, c.Args[2])
}

func zMScore(c *Ctx) {
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		c.showScore(z, member)
	}
}

// showScore replies with the score of a member, null where it is not there.
func (c *Ctx) showScore(z *engine.Scored, member []byte) {
	if score, ok := z.Score(member); ok {
		c.Out.Double(score)
	} else {
		c.Out.Null()
	}
}

func zRank(c *Ctx)    { c.rank(false) }
func zRevRank(c *Ctx) { c.rank(true) }

func (c *Ctx) rank(reversed bool) {
	withScore := len(c.Args) > 3
	if withScore && (len(c.Args) > 4 || !isWord(c.Args[3], "WITHSCORE")) {
		c.Fail(resp.ErrSyntax)
		return
	}
	z, err := c.Tx.ZSet(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	rank, score, ok := 0, 0.0, false
	if z != nil {
		rank, score, ok = z.Rank(c.Args[2])
	}
	if reversed {
		rank = z.Len() - 1 - rank
	}
	switch {
	case !ok && withScore:
		c.Out.NullArray()
	case !ok:
		c.Out.Null()
	case withScore:
		c.Out.Array(2)
		c.Out.Int(int64(rank))
		c.Out.Double(score)
	default:
		c.Out.Int(int64(rank))
	}
}

func zRandMember(c *Ctx) {
	count, withScores := int64(0), len(c.Args) > 3
	if len(c.Args) > 2 {
		n, fail := c.drawCount(2)
		switch {
		case fail != "":
		case len(c.Args) > 4 || withScores && !isWord(c.Args[3], "WITHSCORES"):
			fail = resp.ErrSyntax
		case withScores && (n < -math.MaxInt64/2 || n > math.MaxInt64/2):
			fail = resp.ErrOutOfRange
		}
		if fail != "" {
			c.Fail(fail)
			return
		}
		count = n
	}
	z, err := c.Tx.ZSet(c.Key(1))
	var from *engine.Members
	if z != nil {
		from = &z.Members
	}
	switch {
	case len(c.Args) == 2:
		c.drawOne(from, err)
	case err != nil:
		c.FailWith(err)
	default:
		c.draw(from, count, c.pairWidth(withScores), func(name, _ []byte) {
			if !withScores {
				c.Out.Bulk(name)
				return
			}
			score, _ := z.Score(name)
			c.pair(name, score)
		})
	}
}

// pairWidth is how many elements of an array a member takes that is shown with
// its score or without.
func (c *Ctx) pairWidth(withScores bool) int {
	if withScores && c.Out.Proto() == 2 {
		return 2
	}
	return 1
}

// pair shows a member with its score: in RESP3 as an array of its own.
func (c *Ctx) pair(member []byte, score float64) {
	if c.Out.Proto() == 3 {
		c.Out.Array(2)
	}
	c.Out.Bulk(member)
	c.Out.Double(score)
}

func zScan(c *Ctx) {
	z, err := c.Tx.ZSet(c.Key(1))
	small := false
	if z != nil {
		name, _ := c.Tx.Encoding(c.Key(1))
		small = name == "listpack"
	}
	c.scanCollection(z, err, scannedMembers, func(w *resp.Writer, val []byte) {
		var buf [32]byte
		w.Bulk(appendScanned(buf[:0], engine.ScoreOf(val), small, w.Compat()))
	})
}

// appendScanned appends a score as ZSCAN shows it: of a small sorted set as its
// listpack keeps it, where whole numbers are integers, of a large one with 17
// digits whatever the version.
func appendScanned(dst []byte, score float64, small bool, compat resp.Compat) []byte {
	switch {
	case !small:
		compat = resp.Compat70
	case score == math.Trunc(score) && math.Abs(score) <= math.MaxInt64/2:
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return resp.AppendDouble(dst, score, compat)
}
