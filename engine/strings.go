package engine

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
	"geocache/tree"
)

// Errors of string commands; the caller words them for clients.
var (
	ErrWrongType  = errors.New("engine: key holds another type")
	ErrNotInteger = errors.New("engine: value is not an integer")
	ErrNotFloat   = errors.New("engine: value is not a float")
	ErrOverflow   = errors.New("engine: increment would overflow")
	ErrNaN        = errors.New("engine: increment would produce NaN or Infinity")

	ErrHashNotInteger = errors.New("engine: hash value is not an integer")
	ErrHashNotFloat   = errors.New("engine: hash value is not a float")
)

// Expiry says what a write does to the deadline.
type Expiry struct {
	kind expiryKind
	ms   int64
}

type expiryKind uint8

const (
	expiryNone expiryKind = iota
	expiryKeep
	expiryAt
	expiryInherit
)

// NoDeadline leaves the key without a deadline, or with default-ttl's.
func NoDeadline() Expiry { return Expiry{} }

// KeepDeadline leaves the deadline cell alone (KEEPTTL).
func KeepDeadline() Expiry { return Expiry{kind: expiryKeep} }

// DeadlineAt sets the deadline in milliseconds since the epoch, 0 for none
// whatever default-ttl says.
func DeadlineAt(ms int64) Expiry { return Expiry{kind: expiryAt, ms: ms} }

// modify keeps an existing key's deadline; a key made anew gets default-ttl's.
var modify = Expiry{kind: expiryInherit}

// GetString is the string under k; ok is false for a missing key.
func (t *Tx) GetString(k Key) (val []byte, ok bool, err error) {
	x := t.value(k)
	if x == nil {
		t.missed(k)
		return nil, false, nil
	}
	t.e.stats.hits.Add(1)
	if !x.coll.gone() {
		return nil, false, ErrWrongType
	}
	t.touchRead(x)
	return t.text(x), true, nil
}

// Peek is GetString for commands that only compare: it leaves recency and the
// hit counters alone.
func (t *Tx) Peek(k Key) (val []byte, ok bool, err error) {
	x := t.value(k)
	if x == nil {
		return nil, false, nil
	}
	if !x.coll.gone() {
		return nil, false, ErrWrongType
	}
	return t.text(x), true, nil
}

// text is the visible string of x.
func (t *Tx) text(x *entry) []byte {
	v, clamped := visibleString(&x.state)
	if clamped {
		t.e.stats.clamped.Add(1)
	}
	return v
}

func (t *Tx) touchRead(x *entry) { t.touch(x, lru.Policy.OnRead) }

func (t *Tx) touchWrite(x *entry) { t.touch(x, lru.Policy.OnWrite) }

func (t *Tx) touch(x *entry, on func(lru.Policy, lru.Word, int64, uint32, lru.Params) lru.Word) {
	switch {
	case t.NoTouch:
	case t.p.Policy.Kind() == lru.KindTinyLFU:
		t.setWord(x, t.e.wordUsed(x, t.now))
	default:
		t.setWord(x, on(t.p.Policy, x.word, t.now, t.dice(x.hash), t.p.LRU))
	}
}

// dice is as good as random for the use of a key at this time.
func (t *Tx) dice(hash uint64) uint32 { return uint32(hash>>16) ^ uint32(t.now)*0x9e3779b1 }

// setWord notes a use at once: a use is not undone.
func (t *Tx) setWord(x *entry, w lru.Word) {
	if w != x.word {
		x.word = w
		if x.ref != 0 {
			x.t.rec(x.ref).setWord(w)
		}
	}
}

// touchMade is touchWrite for a key that may be new, and then starts afresh.
func (t *Tx) touchMade(x *entry, wasLive bool) {
	if wasLive {
		t.touchWrite(x)
		return
	}
	x.word = t.e.wordMade(t.e.shardOf(x.hash), x, t.p, t.now)
}

// SetString makes val, which is copied, the value of k whatever was there. It
// returns the stamp of the value, which is provisional until commit.
func (t *Tx) SetString(k Key, val []byte, exp Expiry) clock.Stamp {
	return t.setOwned(k, val, exp, 0)
}

// setOwned is SetString with flags of the record.
func (t *Tx) setOwned(k Key, val []byte, exp Expiry, flags recFlags) clock.Stamp {
	if t.sole && t.setOver(k, val, exp, flags) {
		return unstamped
	}
	u := t.editBlind(k)
	s := &u.x.state
	live := u.x.exists() && !t.expired(s)
	if u.x.coll != nil {
		t.dropAll(u)
	}
	keep := (exp.kind == expiryKeep || exp.kind == expiryInherit) && live
	deadline := exp.ms
	if t.p.DefaultTTLMs > 0 && (exp.kind == expiryNone || exp.kind != expiryAt && !live) {
		deadline = t.now + t.p.DefaultTTLMs
	}
	if len(s.Subs) > 0 {
		if fs := survivors(floorsOf(s)); len(fs) > 0 {
			t.removeSeen(u, clock.Stamp{}, fs)
		}
	}
	if !t.p.Merging {
		s.Subs, s.Floors, s.Sketches = nil, nil, nil
	}
	var st clock.Stamp
	switch {
	case !t.p.Recording:
		st = t.ops.Stamp()
	case keep:
		st = t.ops.SetValue(u.db, k.Name, val)
	default:
		st = t.ops.Set(u.db, k.Name, val, deadline)
	}
	s.ValueStamp, s.Value = st, val
	if !keep {
		s.DeadlineStamp, s.DeadlineMs = st, deadline
	}
	normalize(s)
	u.x.flags = u.x.flags&^(fMade|fHasRow|fOnDisk|fToken) | flags
	t.touchMade(u.x, live)
	t.done(k, u)
	return st
}

// setOver is setOwned where the new value is written over the old one.
func (t *Tx) setOver(k Key, val []byte, exp Expiry, flags recFlags) bool {
	plain := exp == Expiry{}
	if exp.kind == expiryAt || plain && t.p.DefaultTTLMs > 0 {
		return false
	}
	s, r, old, ok := t.standing(k)
	if !ok || len(old) != len(val) || plain && r.has(fDeadline) {
		return false
	}
	switch {
	case !t.p.Recording:
		t.ops.Stamp()
	case plain:
		t.ops.Set(r.t.db, k.Name, val, 0)
	default:
		t.ops.SetValue(r.t.db, k.Name, val)
	}
	t.writeOver(s, r, old, val, flags)
	return true
}

func (t *Tx) expired(s *op.KeyState) bool { return expiredAt(s, t.now) }

// removeState emits a Remove that names floors and applies it to u's entry.
func (t *Tx) removeState(u *undo, floors []op.Floor) {
	st := t.emit(func(b *op.Builder) clock.Stamp { return b.Remove(u.db, u.x.key, floors) })
	join(&u.x.state, &op.KeyState{Dead: st, Floors: floors})
	u.x.flags &^= fMade | fHasRow | fOnDisk | fToken
}

// removeSeen emits a RemoveSeen and applies it to u's entry.
func (t *Tx) removeSeen(u *undo, seen clock.Stamp, floors []op.Floor) {
	t.emit(func(b *op.Builder) clock.Stamp { return b.RemoveSeen(u.db, u.x.key, seen, floors) })
	join(&u.x.state, &op.KeyState{Dead: seen, Floors: floors})
	u.x.flags &^= fMade | fHasRow | fOnDisk | fToken
}

// Append adds val to the end of the string and returns the new length.
func (t *Tx) Append(k Key, val []byte) (int, error) {
	x, err := t.stringValue(k)
	if err != nil {
		return 0, err
	}
	var old []byte
	if x != nil {
		old = t.text(x)
	}
	if t.patch(k, x, len(old), val) {
		return len(old) + len(val), nil
	}
	// Spare capacity behind old is this entry's alone: see entry.
	v := append(old, val...)
	flags := fRaw
	if x == nil {
		flags = 0
	}
	t.setOwned(k, v, modify, flags)
	return len(v), nil
}

// SetRange overwrites the string from offset on, zero-padding a shorter one,
// and returns the new length. An empty val on a missing key makes nothing.
func (t *Tx) SetRange(k Key, offset int, val []byte) (int, error) {
	x, err := t.stringValue(k)
	if err != nil {
		return 0, err
	}
	var old []byte
	if x != nil {
		old = t.text(x)
	}
	if len(val) == 0 {
		return len(old), nil
	}
	n := max(len(old), offset+len(val))
	if t.patch(k, x, offset, val) {
		return n, nil
	}
	v := make([]byte, n)
	overwrite(v, copy(v, old), offset, val)
	t.setOwned(k, v, modify, fRaw)
	return n, nil
}

// overwrite writes val into v at offset; of v only so many bytes were there, and
// what follows them up to offset becomes zeros.
func overwrite(v []byte, were, offset int, val []byte) {
	if offset > were {
		clear(v[were:offset])
	}
	copy(v[offset:], val)
}

// patch writes val into a large string where it lies, if its record allows
// that, and keeps what it overwrites for undo. x is what stringValue told of k.
func (t *Tx) patch(k Key, x *entry, offset int, val []byte) bool {
	if x == nil || t.p.Merging {
		return false
	}
	u := t.edit(k)
	s := &u.x.state
	were := len(s.Value)
	v, ok := u.x.room(max(were, offset+len(val)))
	if !ok || u.shown {
		return false
	}
	if offset < were {
		t.patches = append(t.patches, patchUndo{u.x, offset, t.keep(tree.Elem{Val: v[offset:min(offset+len(val), were)]}).Val})
	}
	overwrite(v, were, offset, val)
	s.Value = v
	s.ValueStamp = t.emit(func(b *op.Builder) clock.Stamp { return b.Patch(u.db, k.Name, offset, val) })
	u.x.flags = u.x.flags&^(fHasRow|fToken) | fRaw
	t.touchMade(u.x, true)
	t.done(k, u)
	return true
}

const (
	// patchGap is how many equal bytes end a run of different ones.
	patchGap = 16
	// maxPatches is how many runs are written apart; with more the whole value
	// is.
	maxPatches = 64
)

// Rewrite is SetRaw for a value made from the one under k, whose deadline stays:
// of a large one only the bytes that differ are written.
func (t *Tx) Rewrite(k Key, val []byte) {
	x, err := t.stringValue(k)
	if err == nil && x != nil && t.rewrite(k, x, t.text(x), val) {
		return
	}
	t.SetRaw(k, val, KeepDeadline())
}

func (t *Tx) rewrite(k Key, x *entry, old, val []byte) bool {
	if len(old) != len(val) {
		return false
	}
	n := 0
	for at := firstDifference(old, val); at < len(val); n++ {
		end := at + 1
		for i := end; i < len(val) && i-end < patchGap; i++ {
			if old[i] != val[i] {
				end = i + 1
			}
		}
		if n == maxPatches || !t.patch(k, x, at, val[at:end]) {
			return false
		}
		at = end + firstDifference(old[end:], val[end:])
	}
	return n > 0
}

// firstDifference is an index into a and b, which are equally long, and their
// length where they are equal.
func firstDifference(a, b []byte) int {
	const block = 256 // compared at a time, which is many times faster
	i := 0
	for i+block <= len(a) && bytes.Equal(a[i:i+block], b[i:i+block]) {
		i += block
	}
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i
}

// patchUndo is what a patch overwrote.
type patchUndo struct {
	x   *entry
	at  int // in the value
	was []byte
}

// undoPatches gives records that were patched their bytes back. Their lengths
// are what they were: they are written at commit.
func (t *Tx) undoPatches() {
	for i := len(t.patches) - 1; i >= 0; i-- {
		p := &t.patches[i]
		if p.x.t.dropped {
			continue // in a table that is gone again
		}
		if v := p.x.t.rec(p.x.ref).body(); p.at < len(v) { // else of what the tx itself had added
			copy(v[p.at:], p.was)
		}
	}
}

// Incr adds delta to the integer under k and returns the sum. A missing key
// counts as 0.
func (t *Tx) Incr(k Key, delta int64) (int64, error) {
	if sum, done, err := t.incrOver(k, delta); done || err != nil {
		return sum, err
	}
	x, err := t.stringValue(k)
	if err != nil {
		return 0, err
	}
	cur := int64(0)
	if x != nil {
		v, ok := parseInt(t.text(x))
		if !ok {
			return 0, ErrNotInteger
		}
		cur = v
	}
	sum, err := addInt(cur, delta)
	if err != nil {
		return 0, err
	}
	if t.p.Merging {
		t.count(k, op.Int(delta))
	} else {
		var text [20]byte
		t.setOwned(k, t.keepBytes(appendInt(text[:0], sum)), modify, 0)
	}
	return sum, nil
}

// incrOver is Incr where the sum is written over the number; done is false where
// it cannot be.
func (t *Tx) incrOver(k Key, delta int64) (sum int64, done bool, err error) {
	s, r, old, ok := t.standing(k)
	if !ok {
		return 0, false, nil
	}
	cur, isInt := parseInt(old)
	if !isInt {
		return 0, false, ErrNotInteger
	}
	if sum, err = addInt(cur, delta); err != nil {
		return 0, false, err
	}
	var text [20]byte
	val := appendInt(text[:0], sum)
	if len(val) != len(old) {
		return 0, false, nil
	}
	if t.p.Recording {
		t.ops.SetValue(r.t.db, k.Name, val)
	} else {
		t.ops.Stamp()
	}
	t.writeOver(s, r, old, val, 0)
	return sum, true, nil
}

// IncrFloat adds delta, the text of a number, to the number under k and
// returns the text of the sum.
func (t *Tx) IncrFloat(k Key, delta []byte) ([]byte, error) {
	x, err := t.stringValue(k)
	if err != nil {
		return nil, err
	}
	cur, ok := new(big.Float).SetPrec(op.FloatPrec), true
	if x != nil {
		if cur, ok = ParseFloat(t.text(x)); !ok {
			return nil, ErrNotFloat
		}
	}
	text, err := addFloat(cur, delta)
	if err != nil {
		return nil, err
	}
	if t.p.Merging {
		d, _ := ParseFloat(delta)
		t.count(k, op.Float(d))
		return t.text(t.value(k)), nil
	}
	t.setOwned(k, text, modify, fText)
	return text, nil
}

// addInt is a + b within 64 bits.
func addInt(a, b int64) (int64, error) {
	sum := a + b
	if (b > 0 && sum < a) || (b < 0 && sum > a) {
		return 0, ErrOverflow
	}
	return sum, nil
}

// addFloat is the text of cur plus delta, a text itself.
func addFloat(cur *big.Float, delta []byte) ([]byte, error) {
	d, ok := ParseFloat(delta)
	if !ok {
		return nil, ErrNotFloat
	}
	if cur.IsInf() || d.IsInf() {
		return nil, ErrNaN
	}
	sum := new(big.Float).SetPrec(op.FloatPrec).Add(cur, d)
	if sum.IsInf() || sum.MantExp(nil) > maxFloatExp {
		return nil, ErrNaN
	}
	return FormatFloat(sum), nil
}

// stringValue is the entry of k for a command that wants a string, nil for a
// missing key.
func (t *Tx) stringValue(k Key) (*entry, error) {
	x := t.value(k)
	if x != nil && !x.coll.gone() {
		return nil, ErrWrongType
	}
	return x, nil
}

// count adds delta to this region's run on the visible base of k.
func (t *Tx) count(k Key, delta op.Num) {
	u := t.edit(k)
	s := &u.x.state
	fresh := t.begun(u)
	run := op.Sub{Origin: t.e.Origin(), Total: delta}
	if baseAlive(s) {
		run.Lineage = s.ValueStamp
	}
	at, found := slices.BinarySearchFunc(s.Subs, run, op.CompareSubs)
	born := clock.Stamp{}
	if found {
		if _, none := remainder(s, &s.Subs[at]); !none {
			run.Born = s.Subs[at].Born
			run.Total = s.Subs[at].Total.Add(delta)
			born = clock.Stamp{At: run.Born, Origin: run.Origin}
		}
	}
	st := t.emit(func(b *op.Builder) clock.Stamp { return b.Count(u.db, k.Name, run.Lineage, born, run.Total) })
	run.At = st.At
	if born.IsZero() {
		run.Born = st.At
	}
	join(s, &op.KeyState{Subs: []op.Sub{run}})
	t.endMerged(k, u, fresh)
}

// begun reports whether a string that is about to be counted on, or to be given
// registers, begins with that; what has expired goes first.
func (t *Tx) begun(u *undo) (fresh bool) {
	s := &u.x.state
	fresh = !exists(s) || t.expired(s)
	if t.expired(s) {
		if u.x.coll != nil {
			t.dropAll(u)
		}
		t.removeSeen(u, expiryMark(s), floorsOf(s))
	}
	return fresh
}

// endMerged completes such a change.
func (t *Tx) endMerged(k Key, u *undo, fresh bool) {
	if fresh {
		// As SET does: a deadline cell left by the key's former life, here or
		// in a region that has not forgotten it yet, must not count.
		deadline := int64(0)
		if t.p.DefaultTTLMs > 0 {
			deadline = t.now + t.p.DefaultTTLMs
		}
		t.writeDeadline(u, deadline)
	}
	t.touchMade(u.x, !fresh)
	t.done(k, u)
}

// MaxStringLen bounds what Append and SetRange may build; the caller checks
// it against proto-max-bulk-len first.
const MaxStringLen = math.MaxInt32
