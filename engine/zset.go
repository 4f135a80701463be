package engine

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"slices"
	"sort"

	"geocache/op"
	"geocache/tree"
)

// A sorted set keeps its members in the order of score and name: the keys of
// its main tree are the score, in a form whose bytes sort as the numbers do,
// and the member. A large one has an index beside it that leads from a member
// to its score, and so to its place; SCAN goes by the order of the index.

const scoreLen = 8

// appendScore appends a score in a form whose bytes sort as numbers do, save
// that -0 stands before 0.
func appendScore(dst []byte, score float64) []byte {
	b := math.Float64bits(score)
	if b>>63 != 0 {
		b = ^b
	} else {
		b |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, b)
}

// appendScoreKey is appendScore for keys of the main tree, where both zeros are
// one: of equal scores the names decide.
func appendScoreKey(dst []byte, score float64) []byte {
	if score == 0 {
		score = 0
	}
	return appendScore(dst, score)
}

// scoreOf reads what appendScore wrote.
func scoreOf(form []byte) float64 {
	b := binary.BigEndian.Uint64(form)
	if b>>63 != 0 {
		b &^= 1 << 63
	} else {
		b = ^b
	}
	return math.Float64frombits(b)
}

// scoreForm is the score of an element of the main tree: what its key has, or
// what its value has, which only that of -0 needs.
func scoreForm(key, val []byte) []byte {
	if len(val) == scoreLen {
		return val
	}
	return key[:scoreLen]
}

func elemScore(el tree.Elem) float64 { return scoreOf(scoreForm(el.Key, el.Val)) }

func negativeZero(score float64) bool { return score == 0 && math.Signbit(score) }

// signedZero is the value of an element of the main tree, nil for all scores
// but -0.
func signedZero(score float64) []byte {
	if !negativeZero(score) {
		return nil
	}
	return appendScore(nil, score)
}

// scoredPlace is a member that was looked for: its score, and where it is, or
// would be, in the main tree of a small set and in the index of a large one,
// which has entry for it until the index changes.
type scoredPlace struct {
	score float64
	at    int
	entry tree.Elem
	found bool
}

func (c *content) locateScored(member []byte) (p scoredPlace) {
	if c.form == formLarge {
		var buf [96]byte
		ix, at, found := c.aux.Find(hashKey(buf[:0], member))
		if found {
			p.score = scoreOf(ix.Val)
		}
		p.at, p.entry, p.found = at, ix, found
		return p
	}
	c.main.Ascend(0, func(e tree.Elem) bool {
		if p.found = bytes.Equal(e.Key[scoreLen:], member); p.found {
			p.score = elemScore(e)
			return false
		}
		p.at++
		return true
	})
	return p
}

// rankOf is the rank of a member that was found at p.
func (c *content) rankOf(p scoredPlace, member []byte) int {
	if c.form != formLarge {
		return p.at
	}
	var buf [96]byte
	rank, _ := c.main.Seek(p.key(buf[:0], member))
	return rank
}

// key is that of the member, which was found at p, in the main tree.
func (p *scoredPlace) key(dst, member []byte) []byte {
	return append(appendScoreKey(dst, p.score), member...)
}

// findScored is where a member is in the main tree; rank means nothing where
// it is not found.
func (c *content) findScored(member []byte) (el tree.Elem, rank int, found bool) {
	p := c.locateScored(member)
	if !p.found {
		return el, 0, false
	}
	rank = c.rankOf(p, member)
	return c.main.At(rank), rank, true
}

// putScored gives a member a score and reports whether it is new. Nothing is
// emitted.
func (m *editing) putScored(member []byte, score float64, ext []byte) (added bool) {
	p := m.c.locateScored(member)
	if p.found && math.Float64bits(p.score) == math.Float64bits(score) && bytes.Equal(m.c.main.At(m.c.rankOf(p, member)).Ext, ext) {
		return false
	}
	m.moveScored(p, member, score, ext)
	return !p.found
}

// moveScored puts the member that was looked for, at p, where its score
// belongs.
func (m *editing) moveScored(p scoredPlace, member []byte, score float64, ext []byte) {
	if !p.found && m.growScored(member) {
		p = m.c.locateScored(member)
	}
	var buf, ibuf [96]byte
	el := tree.Elem{Key: append(appendScoreKey(buf[:0], score), member...), Val: signedZero(score), Ext: ext}
	if m.c.form == formLarge {
		entry := tree.Elem{Key: hashKey(ibuf[:0], member), Val: scoreForm(el.Key, el.Val)}
		if p.found {
			m.overwrite(&m.c.aux, p.at, p.entry, entry)
		} else {
			m.insert(&m.c.aux, p.at, entry)
		}
	}
	if p.found {
		m.removeScored(p, member)
	}
	m.insertKey(&m.c.main, el)
}

// removeScored takes the member that was found at p out of the main tree.
func (m *editing) removeScored(p scoredPlace, member []byte) {
	if m.c.form != formLarge {
		m.remove(&m.c.main, p.at)
		return
	}
	var buf [96]byte
	m.removeKey(&m.c.main, p.key(buf[:0], member))
}

// takeScored removes the member that was found at p.
func (m *editing) takeScored(p scoredPlace, member []byte) {
	if m.c.form == formLarge {
		var buf [96]byte
		m.removeKey(&m.c.aux, hashKey(buf[:0], member))
	}
	m.removeScored(p, member)
}

// unindex takes a member out of the index.
func (m *editing) unindex(member []byte) {
	if m.c.form != formLarge {
		return
	}
	var buf [96]byte
	if _, rank, found := m.c.aux.Find(hashKey(buf[:0], member)); found {
		m.remove(&m.c.aux, rank)
	}
}

// growScored makes an index where one more member calls for it, and reports
// whether it has.
func (m *editing) growScored(member []byte) bool {
	if m.c.form == formLarge || !m.p.Forms.fullScored(m.c.main.Len(), member) {
		return false
	}
	m.index()
	return true
}

// fullScored reports whether a small sorted set with n members has to become a
// large one to take in another.
func (f *Forms) fullScored(n int, member []byte) bool {
	return n >= f.ZSetEntries || len(member) > f.ZSetValue
}

// signsZero reports whether a sorted set, nil for one to be made, knows -0 from
// 0 once the member that was looked for, at p, is in it.
func (c *content) signsZero(p scoredPlace, member []byte, f *Forms) bool {
	switch {
	case c == nil:
		return f.fullScored(0, member)
	case c.form == formLarge:
		return true
	}
	return !p.found && f.fullScored(c.main.Len(), member)
}

// PlainZeros makes 0 of each -0 among the scores that Redis would forget the
// sign of: a small sorted set, where whole numbers are kept as such, does not
// know -0, and stays small until there are too many members, or in the order
// in which they are added one that is too long.
func (t *Tx) PlainZeros(members []MemberScore) {
	for i := range members {
		if t.p.Forms.fullScored(len(members)-1, members[i].Member) {
			return
		}
		if members[i].Score == 0 {
			members[i].Score = 0
		}
	}
}

// plainZeros does for a sorted set that is put as a whole what Redis does once
// it is complete: it has another form then, which knows -0 or does not.
func (f *Forms) plainZeros(els []op.Elem) {
	if len(els) > f.ZSetEntries || slices.ContainsFunc(els, func(el op.Elem) bool { return len(el.Key)-scoreLen > f.ZSetValue }) {
		return
	}
	for i := range els {
		els[i].Val = nil
	}
}

// index gives a sorted set its large form.
func (m *editing) index() {
	m.rebuild(formLarge, func(from *content) {
		from.main.Ascend(0, func(el tree.Elem) bool {
			el = tree.Elem{Key: bytes.Clone(el.Key), Val: bytes.Clone(el.Val), Ext: bytes.Clone(el.Ext)}
			m.c.main.Insert(m.c.main.Len(), el)
			ikey := hashKey(nil, el.Key[scoreLen:])
			at, _ := m.c.aux.Seek(ikey)
			m.c.aux.Insert(at, tree.Elem{Key: ikey, Val: scoreForm(el.Key, el.Val)})
			return true
		})
	})
}

// ZSetGrow gives the sorted set under k, which must be there, its large form.
// Only OBJECT ENCODING tells, so nobody is told of it.
func (t *Tx) ZSetGrow(k Key) {
	if c, _ := t.present(k, op.TypeZSet); c.form == formLarge {
		return
	}
	t.sole = false // no op tells commit that there is something to do
	u := t.edit(k)
	m := editing{e: t.e, t: t, p: t.p, s: u.s, tb: u.t, db: u.db, x: u.x, c: u.x.coll}
	m.index()
	if !u.changed {
		u.changed, u.uncapped = true, true
	}
}

// growTo gives a collection its large form whatever its size.
func (m *editing) growTo() {
	if m.c.form == formLarge {
		return
	}
	switch m.c.typ {
	case op.TypeHash, op.TypeSet:
		m.toLarge()
	case op.TypeZSet:
		m.index()
	default:
		m.c.form = formLarge
	}
}

// Scored is a sorted set as a tx sees it, in the order of score and member. It
// is valid until the tx changes the key or ends; the slices it hands out are,
// too. Its methods, Len excepted, must not be called on nil.
type Scored struct{ Members }

// ScoreOf reads the score that Scan gives a visitor.
func ScoreOf(val []byte) float64 { return scoreOf(val) }

// ZSet is the sorted set under k, nil for a missing key. It counts as a read.
func (t *Tx) ZSet(k Key) (*Scored, error) { return t.scored(t.collection(k, op.TypeZSet)) }

// ZSetToEdit is ZSet for a command that goes on to change k: it leaves recency
// and hit counters alone.
func (t *Tx) ZSetToEdit(k Key) (*Scored, error) { return t.scored(t.present(k, op.TypeZSet)) }

func (t *Tx) scored(c *content, err error) (*Scored, error) {
	if c == nil {
		return nil, err
	}
	c.view = Scored{Members{c, t.now}}
	return &c.view, nil
}

// Len is the number of members, 0 for nil.
func (z *Scored) Len() int {
	if z == nil {
		return 0
	}
	return z.c.main.Len()
}

// Score is the score of a member.
func (z *Scored) Score(member []byte) (score float64, ok bool) {
	if z == nil {
		return 0, false
	}
	p := z.c.locateScored(member)
	return p.score, p.found
}

// Rank is the place of a member, from 0 for the lowest, and its score.
func (z *Scored) Rank(member []byte) (rank int, score float64, ok bool) {
	p := z.c.locateScored(member)
	if !p.found {
		return 0, 0, false
	}
	return z.c.rankOf(p, member), p.score, true
}

// AtRank is the member at a place, which must be there.
func (z *Scored) AtRank(rank int) (member []byte, score float64) {
	el := z.c.main.At(rank)
	return el.Key[scoreLen:], elemScore(el)
}

// Ascend visits members upward from a place until fn is false.
func (z *Scored) Ascend(rank int, fn func(member []byte, score float64) bool) {
	z.c.main.Ascend(rank, func(el tree.Elem) bool { return fn(el.Key[scoreLen:], elemScore(el)) })
}

// Descend visits members downward from a place until fn is false.
func (z *Scored) Descend(rank int, fn func(member []byte, score float64) bool) {
	z.c.main.Descend(rank, func(el tree.Elem) bool { return fn(el.Key[scoreLen:], elemScore(el)) })
}

// RankOfScore is the number of members with a score below score: the place of
// the first that is not.
func (z *Scored) RankOfScore(score float64) int {
	if math.IsInf(score, -1) {
		return 0
	}
	var buf [scoreLen]byte
	rank, _ := z.c.main.Seek(appendScoreKey(buf[:0], score))
	return rank
}

// RankAfterScore is the number of members with a score of at most score.
func (z *Scored) RankAfterScore(score float64) int {
	if math.IsInf(score, 1) {
		return z.Len()
	}
	return z.RankOfScore(math.Nextafter(score, math.Inf(1)))
}

// RankOfName is, in a set whose members all have one score, the place of the
// first member that is not below name. In other sets, where Redis leaves open
// what it is, it is a place with that property among its neighbours.
func (z *Scored) RankOfName(name []byte) int {
	n := z.Len()
	if n == 0 {
		return 0
	}
	first := z.c.main.At(0).Key[:scoreLen]
	if bytes.Equal(first, z.c.main.At(n - 1).Key[:scoreLen]) {
		var buf [96]byte
		rank, _ := z.c.main.Seek(append(append(buf[:0], first...), name...))
		return rank
	}
	return sort.Search(n, func(i int) bool { return bytes.Compare(z.c.main.At(i).Key[scoreLen:], name) >= 0 })
}

// MemberScore is a member of a sorted set with its score.
type MemberScore struct {
	Member []byte
	Score  float64
	// Incr says that Score is what the rule adds to the score that is there.
	Incr bool
}

// ScoreRule says what becomes of a member that a score is wanted for: the score
// that it gets, or not ok where it stays as it is. was is its score so far,
// where it is there.
type ScoreRule func(wanted, was float64, there bool) (score float64, ok bool)

// ZSetUpdate gives members the scores that rule decides on, in order, and
// returns how many of them are new and how many have another score than before.
// A key whose members the rule all refuses is not made.
func (t *Tx) ZSetUpdate(k Key, members []MemberScore, rule ScoreRule) (added, moved int, err error) {
	c, err := t.present(k, op.TypeZSet)
	if err != nil {
		return 0, 0, err
	}
	var m *editing
	for i := range members {
		member, p := members[i].Member, scoredPlace{}
		if c != nil {
			p = c.locateScored(member)
		}
		score, ok := rule(members[i].Score, p.score, p.found)
		same := p.found && score == p.score
		if !ok || same && !t.p.Merging {
			continue
		}
		switch {
		case same:
			score = p.score // a zero keeps its sign
		case score == 0 && !c.signsZero(p, member, &t.p.Forms):
			score = 0
		}
		if m == nil {
			if m, err = t.change(k, op.TypeZSet); err != nil {
				return 0, 0, err
			}
			if c != nil && c != m.c {
				p = m.c.locateScored(member)
			}
			c = m.c
		}
		var buf [scoreLen]byte
		el := op.Elem{Key: member, Val: t.keepBytes(appendScore(buf[:0], score))}
		if same && !members[i].Incr {
			m.refresh(el)
			continue
		}
		switch by := members[i].Score; {
		case !m.merges():
			m.moveScored(p, member, score, nil)
			m.emitPut(op.Main, el)
		case members[i].Incr && !math.IsInf(by, 0) && !math.IsInf(score, 0):
			m.countMember(member, op.Float(big.NewFloat(by)))
		default:
			m.mergePut(el)
			m.emitPut(op.Main, el)
		}
		switch {
		case !p.found:
			added++
		case same:
			m.unseen()
		default:
			moved++
		}
	}
	if added+moved > 0 {
		m.done(k)
	}
	return added, moved, nil
}

// ZSetPut gives a member a score and reports whether it is new.
func (t *Tx) ZSetPut(k Key, member []byte, score float64) (added bool, err error) {
	n, _, err := t.ZSetUpdate(k, []MemberScore{{Member: member, Score: score}}, func(wanted, _ float64, _ bool) (float64, bool) {
		return wanted, true
	})
	return n == 1, err
}

// ZSetRemove removes members and returns how many were there.
func (t *Tx) ZSetRemove(k Key, members ...[]byte) (removed int, err error) {
	c, err := t.present(k, op.TypeZSet)
	if c == nil {
		return 0, err
	}
	var m *editing
	for _, member := range members {
		p := c.locateScored(member)
		if !p.found {
			continue
		}
		if m == nil {
			if m, err = t.change(k, op.TypeZSet); err != nil {
				return 0, err
			}
			c = m.c
		}
		if m.merges() {
			m.mergeTake(member)
		} else {
			m.takeScored(p, member)
		}
		m.emitTake(op.Main, member)
		removed++
	}
	if m != nil {
		m.done(k)
	}
	return removed, nil
}

// ZSetRemoveRange removes the n members from rank on, which must be there.
func (t *Tx) ZSetRemoveRange(k Key, rank, n int) error {
	if n == 0 {
		return nil
	}
	if c, err := t.present(k, op.TypeZSet); err != nil || c != nil && t.trim(k, c, Span{rank, n}) {
		return err
	}
	m, err := t.change(k, op.TypeZSet)
	if err != nil {
		return err
	}
	for i := range n {
		if m.merges() {
			member := bytes.Clone(m.c.main.At(rank).Key[scoreLen:])
			m.mergeTake(member)
			m.emitTake(op.Main, member)
			continue
		}
		member := m.c.main.At(rank + i).Key[scoreLen:]
		m.emitTake(op.Main, member)
		m.unindex(member)
	}
	if !m.merges() {
		m.removeRange(&m.c.main, rank, n)
	}
	m.done(k)
	return nil
}

// ZSetReplace makes a sorted set of members, which differ and are copied, the
// value of k, whatever was there. There must be one at least.
func (t *Tx) ZSetReplace(k Key, members []MemberScore) {
	size := 0
	for i := range members {
		size += scoreLen + len(members[i].Member)
	}
	whole, keys := op.Coll{Type: op.TypeZSet}, make([]byte, 0, size)
	els := make([]op.Elem, len(members))
	for i := range members {
		start := len(keys)
		keys = append(appendScoreKey(keys, members[i].Score), members[i].Member...)
		els[i].Key, els[i].Val = keys[start:len(keys):len(keys)], signedZero(members[i].Score)
	}
	whole.Elem[op.Main] = els
	deadlineMs := int64(0)
	if t.p.DefaultTTLMs > 0 {
		deadlineMs = t.now + t.p.DefaultTTLMs
	}
	t.putWhole(k, &whole, deadlineMs)
}
