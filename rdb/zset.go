package rdb

import (
	"math"
	"strconv"
)

// ZSet is the content of a sorted set. Redis saves, and loads fastest, the
// highest score first.
type ZSet struct {
	Len     int // as List's
	Members Seq[Scored]
}

// Scored is a member of a sorted set. A score is not NaN.
type Scored struct {
	Member []byte
	Score  float64
}

func (ZSet) typeByte() byte { return typeZSet }

func (z ZSet) write(w *Writer) {
	writeCounted(w, z.Len, z.Members, func(m Scored) {
		w.string(m.Member)
		w.uint64(math.Float64bits(m.Score))
	})
}

func (z ZSet) check(c *checker) error {
	for m, err := range z.Members {
		if err != nil {
			return err
		}
		c.name(m.Member)
	}
	return nil
}

const errScore = damage("a score is not a number")

func readZSet(d *decoder, code byte) (Value, func() error, error) {
	if code == typeZSetZiplist || code == typeZSetListpack {
		return readPackedZSet(d, code)
	}
	score := d.score
	if code == typeZSetText {
		score = d.textScore
	}
	n, err := d.count()
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func(Scored)) error {
		for range n {
			m := Scored{}
			if m.Member, err = d.string(&d.first); err != nil {
				return err
			}
			if m.Score, err = score(); err != nil {
				return err
			}
			if math.IsNaN(m.Score) {
				return d.damaged(d.offset(), errScore.Error())
			}
			emit(m)
		}
		return nil
	})
	return ZSet{n, seq}, finish, nil
}

func (d *decoder) score() (float64, error) {
	bits, err := d.uint64()
	return math.Float64frombits(bits), err
}

// Lengths of a score's text that stand for a score themselves.
const (
	scoreNaN      = 253
	scoreInfinite = 254
	scoreNegative = 255 // infinite too
)

// textScore reads a score as Redis before 4.0 wrote it.
func (d *decoder) textScore() (float64, error) {
	n, err := d.byte()
	switch {
	case err != nil:
		return 0, err
	case n == scoreNaN:
		return math.NaN(), nil
	case n == scoreInfinite:
		return math.Inf(1), nil
	case n == scoreNegative:
		return math.Inf(-1), nil
	}
	b, err := d.bytes(uint64(n), &d.second)
	if err != nil {
		return 0, err
	}
	return parseScore(b), nil
}

// parseScore is NaN where b is no number.
func parseScore(b []byte) float64 {
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// readPackedZSet reads a block of members and scores.
func readPackedZSet(d *decoder, code byte) (Value, func() error, error) {
	w, err := d.blockOf(code)
	if err != nil {
		return nil, nil, err
	}
	seq, finish := once(func(emit func(Scored)) error {
		var t [2]element
		return d.tuples(w, t[:], func() error {
			m := Scored{t[0].string(&d.first), float64(t[1].num)}
			if !t[1].number {
				m.Score = parseScore(t[1].text)
			}
			if math.IsNaN(m.Score) {
				return d.damaged(d.offset(), errScore.Error())
			}
			emit(m)
			return nil
		})
	})
	return ZSet{tuplesClaimed(w, 2), seq}, finish, nil
}
