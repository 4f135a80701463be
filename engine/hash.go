package engine

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"slices"

	"geocache/op"
	"geocache/tree"
)

// Forms are the sizes up to which collections keep their small form, by Redis'
// configuration parameters of these names.
type Forms struct {
	HashEntries, HashValue int // hash-max-listpack-entries, -value
	SetInts                int // set-max-intset-entries
	SetEntries, SetValue   int // set-max-listpack-entries, -value; 0 entries: there is no such form
	ZSetEntries, ZSetValue int // zset-max-listpack-entries, -value
	// ListSize is list-max-listpack-size: elements, or negative for a size
	// class from -1 (4 KB) to -5 (64 KB). 0 means that every list is large.
	ListSize int
}

// Members is a hash, set or sorted set as a tx sees it. It is valid until the
// tx changes the key or ends; the slices it hands out are, too.
type Members struct {
	c   *content
	now int64
}

// Hash is the hash under k, nil for a missing key. It counts as a read.
func (t *Tx) Hash(k Key) (*Members, error) { return t.members(t.collection(k, op.TypeHash)) }

// HashToEdit is Hash for a command that goes on to change k: it leaves recency
// and hit counters alone.
func (t *Tx) HashToEdit(k Key) (*Members, error) { return t.members(t.present(k, op.TypeHash)) }

func (t *Tx) members(c *content, err error) (*Members, error) {
	if c == nil {
		return nil, err
	}
	c.view = Scored{Members{c, t.now}}
	return &c.view.Members, nil
}

// Len is the number of members. A field that has expired counts until it is
// reclaimed, as in Redis.
func (m *Members) Len() int {
	if m == nil {
		return 0
	}
	return m.c.main.Len()
}

// expiredField reports whether an annotation names a deadline that has passed.
func expiredField(ext []byte, nowMs int64) bool {
	d := fieldDeadline(ext)
	return d != 0 && d <= nowMs
}

// Get is the value of a field; ok is false where it is missing or expired.
func (m *Members) Get(field []byte) (val []byte, ok bool) {
	val, _, ok = m.GetWithDeadline(field)
	return val, ok
}

// GetWithDeadline is Get with the field's deadline in milliseconds since the
// epoch, 0 for none.
func (m *Members) GetWithDeadline(field []byte) (val []byte, deadlineMs int64, ok bool) {
	if m == nil {
		return nil, 0, false
	}
	el, _, found := m.c.find(field)
	if !found || expiredField(el.Ext, m.now) {
		return nil, 0, false
	}
	return el.Val, fieldDeadline(el.Ext), true
}

// Has reports whether a field or member is there.
func (m *Members) Has(member []byte) bool {
	_, ok := m.Get(member)
	return ok
}

// Each visits fields with their values, or members, until fn is false. fn must
// not change the key.
func (m *Members) Each(fn func(member, val []byte) bool) {
	if m == nil {
		return
	}
	m.c.main.Ascend(0, func(el tree.Elem) bool {
		return expiredField(el.Ext, m.now) || fn(m.c.memberOf(el.Key), el.Val)
	})
}

// At is the field or member at a rank of the internal order, for random picks;
// ok is false where it has expired.
func (m *Members) At(rank int) (member, val []byte, ok bool) {
	el := m.c.main.At(rank)
	return m.c.memberOf(el.Key), el.Val, !expiredField(el.Ext, m.now)
}

// Live lists the ranks of the fields that have not expired, nil where that is
// all of them.
func (m *Members) Live() []int {
	if m == nil || m.c.fieldTTLs == 0 || m.c.nextFieldMs > m.now {
		return nil
	}
	live, rank := make([]int, 0, m.c.main.Len()), 0
	m.c.main.Ascend(0, func(el tree.Elem) bool {
		if !expiredField(el.Ext, m.now) {
			live = append(live, rank)
		}
		rank++
		return true
	})
	return live
}

// Expiring reports whether any field has a deadline.
func (m *Members) Expiring() bool { return m != nil && m.c.fieldTTLs > 0 }

// Scan visits about count members from cursor on and returns the next cursor, 0
// at the end. What is there from the first call to the last is visited at least
// once. A small collection comes whole, as in Redis. A sorted set's val is the
// score in the form that ScoreOf reads.
func (m *Members) Scan(cursor uint64, count int, fn func(member, val []byte)) uint64 {
	if m == nil {
		return 0
	}
	visit := func(member []byte, el tree.Elem) {
		if !expiredField(el.Ext, m.now) {
			fn(member, el.Val)
		}
	}
	if m.c.form != formLarge {
		m.c.main.Ascend(0, func(el tree.Elem) bool {
			if m.c.typ == op.TypeZSet {
				el.Val = scoreForm(el.Key, el.Val)
			}
			visit(m.c.memberOf(el.Key), el)
			return true
		})
		return 0
	}
	tr := &m.c.main
	if m.c.typ == op.TypeZSet {
		tr = &m.c.aux
	}
	at, _ := tr.Seek(binary.BigEndian.AppendUint32(nil, uint32(cursor)))
	next, seen, last := uint64(0), 0, uint32(0)
	tr.Ascend(at, func(el tree.Elem) bool {
		h := binary.BigEndian.Uint32(el.Key)
		if seen >= count && h != last {
			next = uint64(h)
			return false
		}
		last = h
		seen++
		visit(el.Key[hashLen:], el)
		return true
	})
	return next
}

// FieldChange is what HashSet does about a field's deadline.
type FieldChange struct {
	// DeadlineMs is the new deadline, 0 for none.
	DeadlineMs int64
	// Keep leaves the deadline as it is (KEEPTTL).
	Keep bool
}

// HashSet makes fields have values, which are pairs, and returns how many of
// the fields are new.
func (t *Tx) HashSet(k Key, pairs [][]byte, ch FieldChange) (added int, err error) {
	m, err := t.change(k, op.TypeHash)
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		ms := ch.DeadlineMs
		old, rank, found := m.c.find(pairs[i])
		switch {
		case !found, expiredField(old.Ext, t.now):
			added++
		case ch.Keep:
			ms = fieldDeadline(old.Ext)
		}
		el := op.Elem{Key: pairs[i], Val: pairs[i+1], Ext: t.keepDeadline(ms)}
		m.putFound(el, old, rank, found)
		m.emitPut(op.Main, el)
	}
	m.done(k)
	return added, nil
}

// keepDeadline is the annotation with a field's deadline, in memory that lasts as
// long as the tx.
func (t *Tx) keepDeadline(ms int64) []byte {
	if ms == 0 {
		return nil
	}
	var ext [16]byte
	return t.keepBytes(appendDeadline(ext[:0], ms))
}

// HashDelete removes fields and returns how many were there.
func (t *Tx) HashDelete(k Key, fields ...[]byte) (removed int, err error) {
	return t.takeMembers(k, op.TypeHash, fields)
}

// takeMembers removes members of a hash or set.
func (t *Tx) takeMembers(k Key, typ op.Type, members [][]byte) (removed int, err error) {
	c, err := t.present(k, typ)
	if c == nil {
		return 0, err
	}
	var m *editing
	for _, member := range members {
		el, rank, found := c.find(member)
		if !found {
			continue
		}
		if m == nil {
			m = t.toChange(k, typ)
			c = m.c // which holds the same, until it is changed
		}
		if !expiredField(el.Ext, t.now) {
			removed++
		}
		m.takeFound(el, rank)
		m.emitTake(op.Main, member)
	}
	if m != nil {
		m.done(k)
	}
	return removed, nil
}

// HashSetDeadline sets the deadline of a field that is there, 0 for none.
func (t *Tx) HashSetDeadline(k Key, field []byte, ms int64) error {
	m, err := t.change(k, op.TypeHash)
	if err != nil {
		return err
	}
	if old, rank, found := m.c.find(field); found && m.merges() {
		m.expireMember(field, ms)
	} else if found {
		el := op.Elem{Key: field, Val: append([]byte(nil), old.Val...), Ext: appendDeadline(nil, ms)}
		m.putFound(el, old, rank, true)
		m.emitPut(op.Main, el)
	}
	m.done(k)
	return nil
}

// HashIncr adds delta to the integer in a field, which counts as 0 where it is
// missing. The field keeps its deadline.
func (t *Tx) HashIncr(k Key, field []byte, delta int64) (int64, error) {
	c, err := t.present(k, op.TypeHash)
	if err != nil {
		return 0, err
	}
	if c == nil {
		if t.p.Merging {
			return delta, t.hashCount(k, field, op.Int(delta))
		}
		_, err = t.HashSet(k, [][]byte{field, appendInt(nil, delta)}, FieldChange{})
		return delta, err
	}
	cur, ms := int64(0), int64(0)
	old, rank, found := c.find(field)
	if found && !expiredField(old.Ext, t.now) {
		ok := false
		if cur, ok = parseInt(old.Val); !ok {
			return 0, ErrHashNotInteger
		}
		ms = fieldDeadline(old.Ext)
	}
	sum, err := addInt(cur, delta)
	if err != nil {
		return 0, err
	}
	if t.p.Merging {
		return sum, t.hashCount(k, field, op.Int(delta))
	}
	m := t.toChange(k, op.TypeHash)
	var text [20]byte
	el := op.Elem{Key: field, Val: t.keepBytes(appendInt(text[:0], sum)), Ext: t.keepDeadline(ms)}
	m.putFound(el, old, rank, found)
	m.emitPut(op.Main, el)
	m.done(k)
	return sum, nil
}

// HashIncrFloat is HashIncr for numbers with a fraction; delta is text. It
// returns the text of the sum.
func (t *Tx) HashIncrFloat(k Key, field, delta []byte) ([]byte, error) {
	h, err := t.HashToEdit(k)
	if err != nil {
		return nil, err
	}
	cur, ok := new(big.Float).SetPrec(op.FloatPrec), true
	if val, has := h.Get(field); has {
		if cur, ok = ParseFloat(val); !ok {
			return nil, ErrHashNotFloat
		}
	}
	text, err := addFloat(cur, delta)
	if err != nil {
		return nil, err
	}
	if t.p.Merging {
		d, _ := ParseFloat(delta)
		if err = t.hashCount(k, field, op.Float(d)); err != nil {
			return nil, err
		}
		h, err = t.HashToEdit(k)
		val, _ := h.Get(field)
		return val, err
	}
	_, err = t.HashSet(k, [][]byte{field, text}, FieldChange{Keep: true})
	return text, err
}

// hashCount adds delta to a field in this region's run.
func (t *Tx) hashCount(k Key, field []byte, delta op.Num) error {
	m, err := t.change(k, op.TypeHash)
	if err != nil {
		return err
	}
	if el, rank, found := m.c.find(field); found && expiredField(el.Ext, t.now) {
		m.takeFound(el, rank)
		m.emitTake(op.Main, field)
	}
	m.countMember(field, delta)
	m.done(k)
	return nil
}

// A large hash keeps the deadlines of its fields in aux, by time, so that those
// that have passed are found without a walk. A key there is 8 bytes of deadline
// and the field.
const dueLen = 8

func dueKey(dst []byte, deadlineMs int64, field []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(deadlineMs)), field...)
}

func dueMs(key []byte) int64 { return int64(binary.BigEndian.Uint64(key)) }

// schedule follows the deadline of a field, of which 0 is none.
func (m *editing) schedule(field []byte, wasMs, nowMs int64) {
	if wasMs == nowMs || m.c.form != formLarge {
		return
	}
	var buf [64]byte
	if wasMs != 0 {
		if _, rank, found := m.c.aux.Find(dueKey(buf[:0], wasMs, field)); found {
			m.remove(&m.c.aux, rank)
		}
	}
	if nowMs != 0 {
		key := dueKey(buf[:0], nowMs, field)
		if rank, found := m.c.aux.Seek(key); !found {
			m.insert(&m.c.aux, rank, tree.Elem{Key: key})
		}
	}
}

// scheduleAll counts the deadlines of a hash that has just become large, and
// makes its schedule.
func (m *editing) scheduleAll() {
	if m.c.typ != op.TypeHash {
		return
	}
	var due [][]byte
	m.c.main.Ascend(0, func(el tree.Elem) bool {
		if d := fieldDeadline(el.Ext); d != 0 {
			due = append(due, dueKey(nil, d, m.c.memberOf(el.Key)))
		}
		return true
	})
	slices.SortFunc(due, bytes.Compare)
	for i, key := range due {
		m.c.aux.Insert(i, tree.Elem{Key: key})
	}
	if m.c.fieldTTLs, m.c.nextFieldMs = len(due), 0; len(due) > 0 {
		m.c.nextFieldMs = dueMs(due[0])
	}
}

// expireFields takes away at most max fields whose deadline has passed and
// returns how many. It belongs to no tx and is mostly no op: the deadline is the
// same everywhere, and so is what readers see.
func (m *editing) expireFields(nowMs int64, max int) (removed int) {
	var due [][]byte
	next := int64(0) // the earliest deadline of those that stay
	if m.c.form == formLarge {
		m.c.aux.Ascend(0, func(el tree.Elem) bool {
			if next = dueMs(el.Key); next > nowMs || len(due) == max {
				return false
			}
			due = append(due, bytes.Clone(el.Key[dueLen:]))
			return true
		})
	} else {
		m.c.main.Ascend(0, func(el tree.Elem) bool {
			d := fieldDeadline(el.Ext)
			switch {
			case d == 0:
			case d <= nowMs && len(due) < max:
				due = append(due, bytes.Clone(el.Key))
			case next == 0 || d < next:
				next = d
			}
			return true
		})
	}
	for _, field := range due {
		if m.merges() {
			m.expireCells(field)
		} else {
			m.take(op.Main, field)
		}
	}
	if m.c.fieldTTLs > 0 {
		m.c.nextFieldMs = next
	}
	return len(due)
}
