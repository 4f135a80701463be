package engine

import (
	"slices"

	"geocache/clock"
	"geocache/op"
	"geocache/tree"
)

// This file is about keys that hold values of more than one type, made by
// regions that did not know of each other. Each type merges by itself: a string
// in the key's state, a collection in a content of its own. Clients see the one
// with the newest birth, and the others once that has nothing left. A birth is
// the stamp of the oldest write of which there is still something. So it needs no
// room and no op, is the same wherever the same has arrived, and what a region
// does to what it sees can only make it newer. Who removes or replaces a key
// removes all that is under it.
//
// The content that clients see, or the newest one behind a string, is the
// entry's coll; all others are its others.

// openColls opens what a record has of collections.
func (x *entry) openColls(t *table, b []byte) {
	more := b[0]&collMore != 0
	b = x.own.open(t, b)
	x.coll, x.others = &x.own, nil
	for more {
		c := new(content)
		more = b[0]&collMore != 0
		b = c.open(t, b)
		x.others = append(x.others, c)
	}
}

// appendColls appends the collections of x as its record has them.
func (x *entry) appendColls(dst []byte) []byte {
	at := len(dst)
	dst = x.coll.append(dst)
	for _, c := range x.others {
		dst[at] |= collMore
		at = len(dst)
		dst = c.append(dst)
	}
	return dst
}

// colls lists the collections of x, for a walk that may change which these are.
func (x *entry) colls() []*content {
	switch {
	case x.coll == nil:
		return nil
	case len(x.others) == 0:
		x.single[0] = x.coll
		return x.single[:]
	}
	return append([]*content{x.coll}, x.others...)
}

// of is the collection of a type, or nil.
func (x *entry) of(typ op.Type) *content {
	if x.coll == nil || x.coll.typ == typ {
		return x.coll
	}
	for _, c := range x.others {
		if c.typ == typ {
			return c
		}
	}
	return nil
}

func (x *entry) holds(c *content) bool {
	return c != nil && (x.coll == c || slices.Contains(x.others, c))
}

// without lists the others of an entry whose coll c becomes.
func (x *entry) without(c *content) (rest []*content) {
	if x.coll != nil && x.coll != c {
		rest = append(rest, x.coll)
	}
	for _, have := range x.others {
		if have != c {
			rest = append(rest, have)
		}
	}
	return rest
}

// add gives x a collection of a type that it does not have.
func (x *entry) add(c *content) {
	if x.coll == nil {
		x.coll = c
		return
	}
	x.others = append(slices.Clip(x.others), c)
}

// remove takes a collection out of x.
func (x *entry) remove(c *content) {
	x.coll, x.others = headOf(x.without(c))
}

func headOf(list []*content) (head *content, others []*content) {
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], list[1:]
}

// collBytes is the memory of the collections of x.
func (x *entry) collBytes() (n int64) {
	if x.coll != nil {
		n = x.coll.memBytes()
		for _, c := range x.others {
			n += c.memBytes()
		}
	}
	return n
}

// expiring reports whether members of any collection have deadlines.
func (x *entry) expiring() bool {
	return x.coll != nil && x.coll.fieldTTLs > 0 || slices.ContainsFunc(x.others, func(c *content) bool { return c.fieldTTLs > 0 })
}

// shared reports whether there is, or may come to be, more to see under x than
// what is seen.
func (x *entry) shared() bool { return x.coll != nil && (len(x.others) > 0 || exists(&x.state)) }

// Alone reports whether k, where it is there, has nothing under it that clients
// would see if they took away all members of what they see.
func (t *Tx) Alone(k Key) bool {
	x := t.lookup(k)
	return x == nil || !x.shared()
}

// clashes reports whether x has values of several types.
func (x *entry) clashes() bool {
	if !x.shared() {
		return false
	}
	n := 0
	if exists(&x.state) {
		n++
	}
	for _, c := range x.colls() {
		if !c.bare() {
			n++
		}
	}
	return n > 1
}

// Clash is a key that came to hold values of several types.
type Clash struct {
	DB    int // number
	Name  string
	Shown Type
}

// TakeClash hands over the last clash, and how many there were since it was last
// called.
func (e *Engine) TakeClash() (last Clash, n int) {
	c := &e.clash
	c.Lock()
	defer c.Unlock()
	last, n = c.last, c.n
	c.last, c.n = Clash{}, 0
	return last, n
}

// noteClash counts a clash. The shard is locked.
func (e *Engine) noteClash(db int, x *entry) {
	e.stats.typesClashed.Add(1)
	c := &e.clash
	c.Lock()
	defer c.Unlock()
	c.last = Clash{e.number(db), string(x.key), x.typeName()}
	c.n++
}

// touch is what a batch did to a key of several types, where it did so to one
// member at most. Births are zero where there is nothing.
type touch struct {
	known         bool
	c             *content    // with the member, nil for none
	before, after clock.Stamp // births of the member
}

// arrange decides what clients see of x, which has changed by a batch or by
// time. text was the birth of its string.
func (e *Engine) arrange(x *entry, text clock.Stamp, ch touch) {
	if x.coll == nil {
		return
	}
	if len(x.others) == 0 && (x.coll.bare() || !exists(&x.state)) {
		x.coll.behind = false
		return
	}
	if ch.known && e.steady(x, text, ch) {
		return
	}
	front, behind := e.front(x)
	if front != x.coll {
		x.coll, x.others = front, x.without(front)
	}
	front.behind = behind
}

// steady reports whether it is certain, without a walk over all members, that a
// change has left the order of births as it was.
func (e *Engine) steady(x *entry, text clock.Stamp, ch touch) bool {
	if now := stringBirth(&x.state); now != text && (text.IsZero() || now.Less(text) || !x.coll.behind) {
		return false
	}
	c, founding := ch.c, e.foundingStamp()
	switch first := ch.before.IsZero() && c != nil && c.main.Len() == 1; {
	case c != nil && c.main.Len() == 0 || first:
		return false
	case c == nil || ch.before == ch.after:
		return true
	case ch.after.IsZero() || !ch.before.IsZero() && ch.before.Less(ch.after):
		// The birth of c is what it was, or later if that was the oldest member.
		return c == x.coll && !c.behind || c.anyBorn(founding, func(born clock.Stamp) bool { return !ch.before.Less(born) })
	case c != x.coll:
		return true // what is hidden has become older
	}
	for _, hidden := range x.others {
		if !hidden.bare() && !hidden.anyBorn(founding, func(born clock.Stamp) bool { return born.Less(ch.after) }) {
			return false
		}
	}
	return c.behind || text.Less(ch.after)
}

// anyBorn reports whether any member has a birth that is wanted.
func (c *content) anyBorn(founding clock.Stamp, wanted func(clock.Stamp) bool) (found bool) {
	c.main.Ascend(0, func(el tree.Elem) bool {
		found = wanted(c.born(el, founding))
		return !found
	})
	return found
}

// front is the collection of x with the newest birth, and whether the string is
// newer.
func (e *Engine) front(x *entry) (front *content, behind bool) {
	founding := e.foundingStamp()
	var newest clock.Stamp
	for _, c := range x.colls() {
		if c.bare() {
			continue
		}
		born := c.birth(founding)
		if front == nil || newer(born, c.typ, newest, front.typ) {
			front, newest = c, born
		}
	}
	if front == nil {
		return x.coll, false
	}
	return front, exists(&x.state) && !stringBirth(&x.state).Less(newest)
}

// birth is the stamp of the oldest write of which c, which is not bare, still has
// something.
func (c *content) birth(founding clock.Stamp) (oldest clock.Stamp) {
	if c.main.Len() == 0 {
		return c.streamBirth(founding)
	}
	c.main.Ascend(0, func(el tree.Elem) bool {
		oldest = earlier(oldest, c.born(el, founding))
		return true
	})
	return oldest
}

// earlier is the earlier of two stamps, of which zero is none.
func earlier(a, b clock.Stamp) clock.Stamp {
	if a.IsZero() || !b.IsZero() && b.Less(a) {
		return b
	}
	return a
}

// born is the stamp of the write that gave a member what clients see of it, but
// for increments, or of the first of these where there is nothing else. What is
// under that may have expired, and then not every region has reclaimed it.
func (c *content) born(el tree.Elem, founding clock.Stamp) clock.Stamp {
	ext := el.Ext
	switch {
	case len(ext) == 0:
		return founding
	case c.typ == op.TypeList:
		pushed, _ := placeStamps(ext)
		return pushed
	case ext[0]&^extDeadline == extDot: // most are such
		dot, _ := getStamp(ext[1+8*int(ext[0]&extDeadline):])
		return dot
	}
	st := c.state(el, true, founding)
	if top := st.shown(); top != nil {
		return top.dot
	}
	return runsBirth(&st.runs, func(*op.Sub) bool { return true })
}

// birthOf is the birth of the member that an op is about, zero where it is not
// there.
func (m *editing) birthOf(o *op.Op) clock.Stamp {
	if o.Part != op.Main || o.Kind == op.Meta {
		return clock.Stamp{}
	}
	var el tree.Elem
	var found bool
	if m.c.typ == op.TypeList {
		var rank int
		if rank, found = m.findPlace(o.Elem.Key); found {
			el = m.c.main.At(rank)
		}
	} else {
		el, _, found = m.c.find(o.Elem.Key)
	}
	if !found {
		return clock.Stamp{}
	}
	return m.c.born(el, m.e.foundingStamp())
}

// stringBirth is the birth of a string, zero where there is none.
func stringBirth(s *op.KeyState) clock.Stamp {
	if baseAlive(s) {
		return s.ValueStamp
	}
	return earlier(oldestSketch(s), runsBirth(s, func(c *op.Sub) bool { return relevant(s, c.Lineage) }))
}

// runsBirth is when the oldest run that counts and that is wanted began.
func runsBirth(s *op.KeyState, wanted func(*op.Sub) bool) (oldest clock.Stamp) {
	for i := range s.Subs {
		c := &s.Subs[i]
		if _, none := remainder(s, c); !none && wanted(c) {
			oldest = earlier(oldest, clock.Stamp{At: c.Born, Origin: c.Origin})
		}
	}
	return oldest
}

// frontOf is the collection that clients see of a row, nil for a string.
func frontOf(st *op.KeyState) (shown *op.Coll) {
	var newest clock.Stamp
	for i := range st.Colls {
		c, born := &st.Colls[i], clock.Stamp{}
		if c.Type != op.TypeStream && len(c.Elem[op.Main]) == 0 {
			continue
		}
		shape := content{typ: c.Type}
		for _, el := range c.Elem[op.Main] {
			born = earlier(born, shape.born(tree.Elem(el), unstamped))
		}
		if len(c.Elem[op.Main]) == 0 {
			for _, el := range c.Elem[op.Aux] {
				born = earlier(born, auxBirth(tree.Elem(el), unstamped))
			}
		}
		if shown == nil || newer(born, c.Type, newest, shown.Type) {
			shown, newest = c, born
		}
	}
	if shown != nil && exists(st) && !stringBirth(st).Less(newest) {
		return nil
	}
	return shown
}

// newer reports whether clients see a collection of one birth and type rather
// than one of another.
func newer(born clock.Stamp, typ op.Type, than clock.Stamp, thanTyp op.Type) bool {
	return than.Less(born) || than == born && thanTyp < typ
}

// DropHidden leaves of every key what clients see of it: no sibling is configured
// any more. The caller holds the world.
func (e *Engine) DropHidden() {
	p := e.params.Load()
	for _, s := range e.shards {
		for db, t := range s.dbs {
			if t == nil {
				continue
			}
			e.eachBucket(t, func(r rec) {
				if !r.has(fColl) {
					return
				}
				if x := e.openedRec(s, r); x.shared() {
					e.preserve(t, x)
					t.showOnly(x)
					e.put(s, t, db, x, p)
				}
			})
		}
	}
}

// showOnly leaves of x what clients see.
func (t *table) showOnly(x *entry) {
	switch {
	case !x.shared():
		return
	case x.coll.gone():
		for _, c := range x.colls() {
			t.free(c)
		}
		x.coll, x.others = nil, nil
	default:
		for _, c := range x.others {
			t.free(c)
		}
		x.others = nil
		x.state = op.KeyState{DeadlineStamp: x.state.DeadlineStamp, DeadlineMs: deadlineOf(&x.state)}
	}
}

// setColls gives x other collections, of which made are new.
func (t *Tx) setColls(x *entry, coll *content, others []*content, made ...*content) {
	t.logUndo(collUndo{kind: undoColls, x: x, had: &hadColls{coll: x.coll, others: x.others, made: made}})
	x.coll, x.others = coll, others
}

// toFront makes c, which is new if x does not hold it, the collection that
// clients see.
func (t *Tx) toFront(x *entry, c *content) {
	switch {
	case x.coll == c:
	case x.holds(c):
		t.setColls(x, c, x.without(c))
	default:
		t.setColls(x, c, x.without(c), c)
	}
	c.behind = false
}

// uncover lets clients see, once c has lost its last member, what was hidden.
func (t *Tx) uncover(u *undo, c *content) {
	x := u.x
	if c.empty() {
		t.frees = append(t.frees, oldTrees{u.t, *c})
		head, others := headOf(x.without(c))
		t.setColls(x, head, others)
	}
	if !x.shared() {
		return
	}
	front, behind := t.e.front(x)
	if front != x.coll {
		t.setColls(x, front, x.without(front))
	}
	front.behind = behind
}

// hadColls are the collections that an entry had.
type hadColls struct {
	coll     *content
	others   []*content
	made     []*content // in their place
	from     *entry     // undoMove: it had what x has, as fromColl
	fromColl *content
}
