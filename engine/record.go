package engine

import (
	"encoding/binary"
	"slices"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
	"geocache/slab"
	"geocache/tree"
)

// A key rests as one record, a block of its table's arena:
//
//	[u32 next] [u32 word] [u16 flags] [uvarint klen] [uvarint blen]
//	[key] ([u48 deadline]) ([u64 stamp]) [body]
//
// next chains the records of a bucket. The body of a plain string is its bytes.
// With fFull the body begins with the length of an encoded op.KeyState and the
// state itself, for whatever one stamp cannot say: tombstones, counters, cells
// of different age. With fColl there follow the roots of the collection's
// trees. A string of many bytes always has room for deadline and stamp, so that
// setting one does not move it, and the block may be longer than the record,
// so that APPEND seldom copies.
//
// The stamp is that of value and deadline cell. An entry without one reads as
// stamped by the region's founding (DESIGN section 8, First sibling).

type recFlags uint16

const (
	fLive     recFlags = 1 << iota // with content, as DBSIZE counts
	fDeadline                      // the deadline field is there and in force
	fRoom                          // deadline and stamp fields are there in any case
	fStamp                         // the stamp field is there and says something
	fFull                          // the body begins with an op.KeyState
	fColl                          // the body ends with a collection
	fRuns                          // there are counter runs, or births of HyperLogLogs
	fFields                        // fields of a hash have deadlines
	fDirty                         // queued for the checkpoint
	fHasRow                        // the row in Pebble holds this value
	fOnDisk                        // the value was evicted to its row; it reads as a digest of it
	fTold                          // nobody waits to hear that it has expired
	fRaw                           // OBJECT ENCODING says raw whatever the length
	fToken                         // somebody holds a CAS token of this value: its stamp is kept
	fCopied                        // the copy that comes in has named it
	fShadow                        // clients see no collection: see content.gone
)

// fText, of a string: OBJECT ENCODING never says int. The bit means something
// else of a collection.
const fText = fShadow

// fMade are the flags that tell how a string was made.
const fMade = fRaw | fText

const (
	recNext  = 0
	recWord  = 4
	recFlag  = 8
	recKLen  = 10
	deadLen  = 6
	stampLen = 8
	// roomFrom is the length from which a string has room for its fields.
	roomFrom = 1024
)

// rec is a record where it lies. It is valid until its table changes.
type rec struct {
	t   *table
	ref slab.Ref
	b   []byte
}

func (r rec) next() slab.Ref      { return slab.Ref(binary.LittleEndian.Uint32(r.b[recNext:])) }
func (r rec) setNext(n slab.Ref)  { binary.LittleEndian.PutUint32(r.b[recNext:], uint32(n)) }
func (r rec) word() lru.Word      { return lru.Word(binary.LittleEndian.Uint32(r.b[recWord:])) }
func (r rec) setWord(w lru.Word)  { binary.LittleEndian.PutUint32(r.b[recWord:], uint32(w)) }
func (r rec) flags() recFlags     { return recFlags(binary.LittleEndian.Uint16(r.b[recFlag:])) }
func (r rec) setFlags(f recFlags) { binary.LittleEndian.PutUint16(r.b[recFlag:], uint16(f)) }
func (r rec) has(f recFlags) bool { return r.flags()&f == f }

// lengths are those of key and body, and where the key begins.
func (r rec) lengths() (klen, blen, at int) {
	if k, v := r.b[recKLen], r.b[recKLen+1]; k < 0x80 && v < 0x80 {
		return int(k), int(v), recKLen + 2
	}
	k, n := binary.Uvarint(r.b[recKLen:])
	v, m := binary.Uvarint(r.b[recKLen+n:])
	return int(k), int(v), recKLen + n + m
}

func (r rec) key() []byte {
	k, _, at := r.lengths()
	return r.b[at : at+k : at+k]
}

// is compares the key.
func (r rec) is(key []byte) bool {
	if len(key) < 0x80 && r.b[recKLen] != byte(len(key)) {
		return false
	}
	return string(r.key()) == string(key)
}

// fieldsLen is the length of the deadline and stamp fields.
func (f recFlags) fieldsLen() int {
	if f&fRoom != 0 {
		return deadLen + stampLen
	}
	n := 0
	if f&fDeadline != 0 {
		n = deadLen
	}
	if f&fStamp != 0 {
		n += stampLen
	}
	return n
}

// deadline is the deadline in force in milliseconds, 0 for none.
func (r rec) deadline() int64 {
	if !r.has(fDeadline) {
		return 0
	}
	k, _, at := r.lengths()
	return getDeadline(r.b[at+k:])
}

func getDeadline(b []byte) int64 {
	return int64(binary.LittleEndian.Uint32(b)) | int64(binary.LittleEndian.Uint16(b[4:]))<<32
}

func putDeadline(b []byte, ms int64) {
	binary.LittleEndian.PutUint32(b, uint32(ms))
	binary.LittleEndian.PutUint16(b[4:], uint16(ms>>32))
}

// maxDeadlineMs is what the field can hold; a later one lives in a full state,
// and the field says this one.
const maxDeadlineMs = 1<<48 - 1

func (r rec) expired(nowMs int64) bool {
	d := r.deadline()
	return d != 0 && d <= nowMs
}

// typ is the type that clients see.
func (r rec) typ() op.Type {
	if !r.has(fColl) || r.has(fShadow) {
		return op.TypeString
	}
	return op.Type(r.coll()[0] & collType)
}

// coll is the part of the body with the collections.
func (r rec) coll() []byte {
	body := r.body()
	if r.has(fFull) {
		_, body = splitState(body)
	}
	return body
}

// splitState divides a body that begins with an encoded state.
func splitState(body []byte) (state, rest []byte) {
	n, m := binary.Uvarint(body)
	return body[m : m+int(n)], body[m+int(n):]
}

func (r rec) body() []byte {
	k, v, at := r.lengths()
	at += k + r.flags().fieldsLen()
	return r.b[at : at+v : at+v]
}

// entry is an opened record, or a key that has none yet: what code works with
// while it holds the shard's lock. Its key, and the values of its state, alias
// the record, or what the tx was given.
type entry struct {
	hash uint64
	key  []byte
	t    *table
	ref  slab.Ref // 0: not in the table

	state op.KeyState
	coll  *content // nil for a string
	// others are collections that coll hides: see clash.go. A change makes another
	// slice of it.
	others []*content
	word   lru.Word
	flags  recFlags // of the record, where it is not said by state and coll
	// keepStamp: the value that is being written has a stamp that somebody
	// holds as a CAS token.
	keepStamp bool

	// keyAt and valueAt are where key and value lie in the record, if they
	// still are what was opened there.
	keyAt, valueAt int
	own            content     // what coll points to where it came from the record
	single         [1]*content // what colls lists where it is one
	enc            [120]byte   // for encoding it
	editing        editing     // where a collection is under change
	touched        touch       // by the batch that is applied
}

// away reports whether what merging has to know of a record lies on disk: of a
// collection, or of a HyperLogLog, whose births count as runs.
func (f recFlags) away() bool { return f&fOnDisk != 0 && f&(fColl|fRuns) != 0 }

// kept are the flags that state and coll do not say.
const kept = fDirty | fHasRow | fOnDisk | fTold | fMade | fToken | fCopied

// open makes x the opened form of r.
func (x *entry) open(e *Engine, r rec, hash uint64) {
	f := r.flags()
	k, v, at := r.lengths()
	x.t, x.hash, x.ref, x.word, x.flags, x.keepStamp = r.t, hash, r.ref, r.word(), f&kept, false
	x.key, x.keyAt = r.b[at:at+k:at+k], at
	at += k
	fields := r.b[at:]
	at += f.fieldsLen()
	x.valueAt = at
	body := r.b[at : at+v : at+v]
	x.coll, x.others = nil, nil
	x.state = op.KeyState{}
	if f&fFull != 0 {
		state, rest := splitState(body)
		st, err := op.DecodeOwnState(state)
		if err != nil {
			panic("engine: a record's state is damaged")
		}
		x.state, body = st, rest
	}
	if f&fColl != 0 {
		x.openColls(r.t, body)
		x.own.behind = f&fShadow != 0 && !x.own.bare()
	}
	if f&fFull != 0 {
		return
	}
	stamp := e.foundingStamp()
	if f&fStamp != 0 {
		skip := 0
		if f&(fRoom|fDeadline) != 0 {
			skip = deadLen
		}
		stamp = e.unpack(binary.LittleEndian.Uint64(fields[skip:]))
	}
	if f&fColl == 0 {
		x.state.ValueStamp, x.state.Value = stamp, body
	}
	if f&fDeadline != 0 {
		x.state.DeadlineMs = getDeadline(fields)
	}
	// A collection that never had a deadline has none to date: the founding
	// may be a stamp that no vector covers.
	if f&(fColl|fStamp|fDeadline) != fColl {
		x.state.DeadlineStamp = stamp
	}
}

// exists reports whether the key has visible content, deadlines aside.
func (x *entry) exists() bool { return !x.coll.gone() || exists(&x.state) }

// typ is the type that clients see.
func (x *entry) typ() op.Type {
	if !x.coll.gone() {
		return x.coll.typ
	}
	return op.TypeString
}

// rec is the record of an entry that is in the table.
func (t *table) rec(ref slab.Ref) rec { return rec{t, ref, t.arena.Bytes(ref)} }

// unstamped is the stamp of an entry that has none, before there is a founding.
var unstamped = clock.Stamp{At: 1}

// foundingStamp is what an entry without a stamp reads as.
func (e *Engine) foundingStamp() clock.Stamp {
	if s := e.founding.Load(); s != nil {
		return *s
	}
	return unstamped
}

// SetFounding says when this region got its first sibling: entries that were
// there count as written then. The caller holds the world.
func (e *Engine) SetFounding(s clock.Stamp) {
	if s.IsZero() {
		e.founding.Store(nil)
		return
	}
	e.founding.Store(&s)
}

// Stamps are packed into 64 bits: a number of the origin, and the reading since
// packEpoch. What does not fit is kept in a full state.
const (
	packEpoch   = clock.Reading(1_577_836_800_000) << 16 // 2020, in milliseconds
	packBits    = 56
	maxOrigins  = 255
	packUnknown = ^uint64(0)
)

// pack is s in 64 bits, or packUnknown where it does not fit.
func (e *Engine) pack(s clock.Stamp) uint64 {
	if s.At < packEpoch || s.At-packEpoch >= 1<<packBits {
		return packUnknown
	}
	i := slices.Index(*e.origins.Load(), s.Origin)
	if i < 0 {
		if i = e.numberOrigin(s.Origin); i < 0 {
			return packUnknown
		}
	}
	return uint64(i)<<packBits | uint64(s.At-packEpoch)
}

// numberOrigin gives an origin its number, or -1 where there are too many.
func (e *Engine) numberOrigin(o clock.Origin) int {
	e.originsMu.Lock()
	defer e.originsMu.Unlock()
	list := *e.origins.Load()
	if i := slices.Index(list, o); i >= 0 || len(list) >= maxOrigins {
		return i
	}
	longer := append(slices.Clip(list), o)
	e.origins.Store(&longer)
	return len(list)
}

func (e *Engine) unpack(v uint64) clock.Stamp {
	return clock.Stamp{At: clock.Reading(v&(1<<packBits-1)) + packEpoch, Origin: (*e.origins.Load())[v>>packBits]}
}

// shape is how a record of x looks, before it is written.
type shape struct {
	flags    recFlags
	deadline int64
	stamp    uint64
	state    []byte // encoded, with fFull
	coll     []byte // encoded, with fColl
	body     int    // its length
	size     int
}

// plain reports whether one stamp says all there is to say of the cells.
func plain(s *op.KeyState, coll *content) bool {
	if !s.Dead.IsZero() || !s.Flushed.IsZero() || len(s.Subs)+len(s.Floors)+len(s.Sketches) > 0 || s.DeadlineMs > maxDeadlineMs || s.DeadlineMs < 0 {
		return false
	}
	return coll == nil || s.ValueStamp.IsZero()
}

// shape decides on the form of x's record.
func (e *Engine) shape(x *entry, p *Params) shape {
	s := &x.state
	sh := shape{flags: x.flags & kept, deadline: deadlineOf(s)}
	if sh.deadline != 0 {
		sh.deadline = min(max(sh.deadline, 1), maxDeadlineMs)
	}
	if x.exists() {
		sh.flags |= fLive
		if sh.deadline != 0 {
			sh.flags |= fDeadline
		}
	}
	if len(s.Subs)+len(s.Sketches) > 0 {
		sh.flags |= fRuns
	}
	founding := e.foundingStamp()
	full := !plain(s, x.coll) || sh.flags&fLive == 0
	if !full && (p.Merging || x.flags&fToken != 0) {
		// Stamps count. Cells that were written together are told by one.
		stamp := s.ValueStamp
		if x.coll != nil {
			stamp = s.DeadlineStamp
		}
		switch {
		case s.DeadlineStamp != stamp && !(s.DeadlineMs == 0 && s.DeadlineStamp.IsZero() && x.coll != nil):
			full = true
		case stamp != founding && !stamp.IsZero():
			if sh.stamp = e.pack(stamp); sh.stamp == packUnknown {
				full = true
			} else {
				sh.flags |= fStamp
			}
		}
	}
	if full {
		sh.flags = sh.flags&^fStamp | fFull
		sh.state = s.Append(nil)
		sh.body = uvarintLen(uint64(len(sh.state))) + len(sh.state)
	} else if x.coll == nil {
		sh.body = len(s.Value)
		if sh.body >= roomFrom {
			sh.flags |= fRoom
		}
	}
	if x.coll != nil {
		sh.flags = sh.flags&^fText | fColl
		if x.coll.gone() {
			sh.flags |= fShadow
		}
		if x.expiring() {
			sh.flags |= fFields
		}
		sh.coll = x.appendColls(x.enc[:0])
		sh.body += len(sh.coll)
	}
	sh.size = recKLen + uvarintLen(uint64(len(x.key))) + uvarintLen(uint64(sh.body)) + len(x.key) + sh.flags.fieldsLen() + sh.body
	return sh
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// write lays x out in b, which has room. Neither key nor body may alias b at
// another place; next stays what it is.
func (sh *shape) write(b []byte, x *entry) {
	binary.LittleEndian.PutUint32(b[recWord:], uint32(x.word))
	binary.LittleEndian.PutUint16(b[recFlag:], uint16(sh.flags))
	at := recKLen + binary.PutUvarint(b[recKLen:], uint64(len(x.key)))
	at += binary.PutUvarint(b[at:], uint64(sh.body))
	at += copyTo(b[at:], x.key)
	if sh.flags&(fDeadline|fRoom) != 0 {
		putDeadline(b[at:], sh.deadline)
		at += deadLen
	}
	if sh.flags&(fStamp|fRoom) != 0 {
		binary.LittleEndian.PutUint64(b[at:], sh.stamp)
		at += stampLen
	}
	if sh.flags&fFull != 0 {
		at += binary.PutUvarint(b[at:], uint64(len(sh.state)))
		at += copy(b[at:], sh.state)
	} else if sh.flags&fColl == 0 {
		copyTo(b[at:], x.state.Value)
	}
	copy(b[at:], sh.coll)
}

// copyTo is copy that sees where nothing has to move.
func copyTo(dst, src []byte) int {
	if len(src) > 0 && &dst[0] == &src[0] {
		return len(src)
	}
	return copy(dst, src)
}

// store writes an entry to its record, makes, moves or removes that, and
// brings the table's counters into line. Whatever of x aliased the record
// aliases the new one afterwards.
func (e *Engine) store(t *table, x *entry, p *Params) {
	was := recFlags(0)
	if x.ref != 0 {
		r := t.rec(x.ref)
		was = r.flags()
		if !p.Merging && x.rewrite(r, was) {
			return
		}
	}
	if !x.exists() && (!p.Merging || blank(&x.state) && x.coll == nil) {
		t.count(was, 0)
		if x.ref != 0 {
			x.key = append([]byte(nil), x.key...)
			t.remove(x.hash, x.ref)
			t.arena.Free(x.ref)
			x.ref = 0
		}
		x.state.Value = nil
		return
	}
	t.adopt(x.coll, x.key)
	for _, c := range x.others {
		t.adopt(c, x.key)
	}
	sh := e.shape(x, p)
	t.count(was, sh.flags)
	switch {
	case x.ref == 0:
		x.t, x.ref = t, t.arena.Alloc(sh.size)
		sh.write(t.arena.Bytes(x.ref), x)
		t.insert(x.hash, x.ref)
	case t.fits(x.ref, sh.size, sh.moves(x, t)):
		sh.write(t.arena.Bytes(x.ref), x)
	default:
		old := x.ref
		x.ref = t.arena.Alloc(sh.grown(t.arena, old))
		sh.write(t.arena.Bytes(x.ref), x)
		t.replace(x.hash, old, x.ref)
		t.arena.Free(old)
	}
	r := t.rec(x.ref)
	k, v, at := r.lengths()
	x.key, x.keyAt = r.b[at:at+k:at+k], at
	at += k + sh.flags.fieldsLen()
	x.valueAt = at
	switch {
	case len(x.state.Value)+len(x.state.Sketches) == 0:
	case sh.flags&fFull == 0:
		x.state.Value = r.b[at : at+v : at+v]
	default:
		// They lie inside the encoded state now.
		state, _ := splitState(r.b[at:])
		if st, err := op.DecodeOwnState(state); err == nil {
			x.state.Value, x.state.Sketches = st.Value, st.Sketches
		}
	}
}

// rewrite writes a short string, or what there is of a collection, over one of
// the same length, where the record says no more than before, and reports
// whether it could. r is the record of x, was are its flags.
func (x *entry) rewrite(r rec, was recFlags) bool {
	if x.coll != nil {
		return x.rewriteColl(r, was)
	}
	s, now := &x.state, x.flags&kept|fLive
	deadline := deadlineOf(s)
	if deadline != 0 {
		now |= fDeadline
	}
	k, n, at := r.lengths()
	if (was^now)&^kept != 0 || now&fToken != 0 || n != len(s.Value) || n == 0 || n >= roomFrom || !plain(s, nil) {
		return false
	}
	r.setWord(x.word)
	r.setFlags(now)
	x.key, x.keyAt = r.b[at:at+k:at+k], at
	at += k
	if now&fDeadline != 0 {
		putDeadline(r.b[at:], deadline)
		at += deadLen
	}
	v := r.b[at : at+n : at+n]
	copyTo(v, s.Value)
	s.Value, x.valueAt = v, at
	return true
}

// rewriteColl is rewrite for a collection.
func (x *entry) rewriteColl(r rec, was recFlags) bool {
	c, now := x.coll, x.flags&kept&^fText|fLive|fColl
	if c.fieldTTLs > 0 {
		now |= fFields
	}
	deadline := deadlineOf(&x.state)
	if deadline != 0 {
		now |= fDeadline
	}
	if (was^now)&^(kept&^fText) != 0 || now&fToken != 0 || c.gone() || len(x.others) > 0 || !plain(&x.state, c) {
		return false
	}
	r.t.adopt(c, x.key) // which may number its annex anew
	k, n, at := r.lengths()
	body := at + k + now.fieldsLen()
	// Where it does not fit, what it has overwritten is written anew.
	if len(c.append(r.b[body:body:body+n])) != n {
		return false
	}
	r.setWord(x.word)
	r.setFlags(now)
	if now&fDeadline != 0 {
		putDeadline(r.b[at+k:], deadline)
	}
	x.key, x.keyAt, x.valueAt = r.b[at:at+k:at+k], at, body
	return true
}

// moves reports whether writing x over its own record would have to move a key
// or value that it still holds.
func (sh *shape) moves(x *entry, t *table) bool {
	b := t.arena.Bytes(x.ref)
	at := recKLen + uvarintLen(uint64(len(x.key))) + uvarintLen(uint64(sh.body))
	if at != x.keyAt && len(x.key) > 0 && &b[x.keyAt] == &x.key[0] {
		return true
	}
	if sh.flags&(fFull|fColl) != 0 {
		return false // what is encoded lies elsewhere
	}
	at += len(x.key) + sh.flags.fieldsLen()
	return at != x.valueAt && len(x.state.Value) > 0 && x.valueAt < len(b) && &b[x.valueAt] == &x.state.Value[0]
}

// grown is the size of a new block for a record that outgrew its old one: a
// large string gets room to grow further.
func (sh *shape) grown(a *slab.Arena, old slab.Ref) int {
	if sh.flags&fRoom != 0 && sh.size > len(a.Bytes(old)) {
		return sh.size + min(sh.size, max(1<<20, sh.size/8))
	}
	return sh.size
}

// fits reports whether a record of size bytes may stay in its block: it must
// not be too large, nor leave much of it unused.
func (t *table) fits(ref slab.Ref, size int, moves bool) bool {
	have := len(t.arena.Bytes(ref))
	if moves || size > have {
		return false
	}
	want := slab.ClassSize(size)
	return slab.Fits(size, have) || size >= roomFrom && have <= 2*want+1<<20
}

// room is the value of x where it lies in its record, at n bytes, which are not
// fewer than it has: those beyond it hold anything. ok is false where the
// record has no room for them, or says more of the key than a plain string.
func (x *entry) room(n int) (v []byte, ok bool) {
	have := x.state.Value
	if x.ref == 0 || x.coll != nil || len(have) == 0 || !plain(&x.state, nil) || uvarintLen(uint64(n)) != uvarintLen(uint64(len(have))) {
		return nil, false
	}
	r := x.t.rec(x.ref)
	f, end := r.flags(), x.valueAt+n
	if f&(fRoom|fFull) != fRoom || end > len(r.b) || &r.b[x.valueAt] != &have[0] {
		return nil, false
	}
	return r.b[x.valueAt:end:end], true
}

// patch applies a Patch op, to a living string only.
func (x *entry) patch(o *op.Op) bool {
	s := &x.state
	if x.coll != nil || !baseAlive(s) || !s.ValueStamp.Less(o.Stamp) {
		return false
	}
	were := len(s.Value)
	n := max(were, o.Offset+len(o.Value))
	v, ok := x.room(n)
	if !ok {
		v = make([]byte, n)
		copy(v, s.Value)
	}
	overwrite(v, were, o.Offset, o.Value)
	s.Value, s.ValueStamp = v, o.Stamp
	normalize(s)
	return true
}

// open and append are how a collection rests in its record. open returns what
// follows it.
func (c *content) open(t *table, b []byte) (rest []byte) {
	// Field by field: content is large, and this is on the road of every command.
	c.typ, c.form, c.away, c.behind = op.Type(b[0]&collType), form(b[1]&collForm), b[1]&collAway != 0, false
	c.counts = b[0]&collCounts != 0
	shape := tree.Keyed
	if c.typ == op.TypeList {
		shape = tree.Sequence
	}
	a, more := t.arena, b[1]
	b = b[2:]
	c.annex = nil
	if more&collAnnex != 0 {
		n, m := binary.Uvarint(b)
		c.annex = t.annexes[n-1]
		a, b = c.annex.arena, b[m:]
	}
	c.main, c.aux = tree.Tree{A: a, Shape: shape}, tree.Tree{A: a, Shape: tree.Keyed}
	c.hidden = tree.Tree{A: a, Shape: tree.Keyed}
	c.meta, c.fieldTTLs, c.nextFieldMs, c.digest, c.asOf, c.view = nil, 0, 0, 0, 0, Scored{}
	if c.away {
		c.digest = binary.LittleEndian.Uint64(b)
		b = b[digestLen:]
	} else {
		c.main.Root, b = tree.DecodeRoot(b)
	}
	if more&collAux != 0 {
		c.aux.Root, b = tree.DecodeRoot(b)
	}
	if more&collTTLs != 0 {
		n, m := binary.Uvarint(b)
		c.fieldTTLs, c.nextFieldMs = int(n), int64(binary.LittleEndian.Uint64(b[m:]))
		b = b[m+8:]
	}
	if more&collMeta != 0 {
		n, m := binary.Uvarint(b)
		c.meta = append([]byte(nil), b[m:m+int(n)]...)
		b = b[m+int(n):]
	}
	if more&collRare != 0 {
		c.asOf = clock.Reading(binary.LittleEndian.Uint64(b))
		c.hidden.Root, b = tree.DecodeRoot(b[8:])
	}
	return b
}

// The type's byte also says whether members count, and whether another collection
// follows.
const (
	collType   = 1<<6 - 1
	collCounts = 1 << 6
	collMore   = 1 << 7
)

// The form's byte also says what else there is. With collAway there are a
// digest, and no trees.
const (
	collForm  = 1<<2 - 1
	collAnnex = 1 << 2 // the number of the annex with the trees
)

const (
	collAway = 1 << (iota + 3)
	collAux
	collTTLs
	collMeta
	collRare // asOf, and hidden members
)

func (c *content) append(dst []byte) []byte {
	more := byte(0)
	if c.away {
		more |= collAway
	}
	if c.aux.Len() > 0 {
		more |= collAux
	}
	if c.fieldTTLs > 0 {
		more |= collTTLs
	}
	if len(c.meta) > 0 {
		more |= collMeta
	}
	if c.asOf != 0 || c.hidden.Len() > 0 {
		more |= collRare
	}
	if c.annex != nil {
		more |= collAnnex
	}
	typ := byte(c.typ)
	if c.counts {
		typ |= collCounts
	}
	dst = append(dst, typ, byte(c.form)|more)
	if c.annex != nil {
		dst = binary.AppendUvarint(dst, uint64(c.annex.number))
	}
	if c.away {
		dst = binary.LittleEndian.AppendUint64(dst, c.digest)
	} else {
		dst = c.main.Root.Append(dst)
	}
	if more&collAux != 0 {
		dst = c.aux.Root.Append(dst)
	}
	if more&collTTLs != 0 {
		dst = binary.AppendUvarint(dst, uint64(c.fieldTTLs))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.nextFieldMs))
	}
	if more&collMeta != 0 {
		dst = append(binary.AppendUvarint(dst, uint64(len(c.meta))), c.meta...)
	}
	if more&collRare != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.asOf))
		dst = c.hidden.Root.Append(dst)
	}
	return dst
}
