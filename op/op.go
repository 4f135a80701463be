// Package op owns the smallest changes that disk and siblings see: the closed
// list of op kinds, the batch that carries the ops of one command, and the
// state of one key as rows and state transfers store it.
//
// An op is absolute and idempotent: it says what a cell is now, never "do it
// again". Its stamp is its batch's first reading plus its place in the batch.
// Numbers in this package are on disks and wires: lists are append-only.
//
// The package knows nothing of engines, disks or networks. Decoding treats its
// input as hostile: bounded, never a panic. Decoded slices alias the input.
package op

import (
	"encoding/binary"
	"errors"
	"math"

	"geocache/clock"
)

// Kind numbers an op. The list is closed and append-only.
type Kind uint8

// The op kinds.
const (
	// Set writes a string's value cell and, unless it keeps the deadline, the
	// deadline cell under the same stamp.
	Set Kind = 1
	// Deadline writes only the deadline cell.
	Deadline Kind = 2
	// Remove kills what its origin had seen of a key: value cells up to a
	// stamp, and of each counter run the part named by its floors.
	Remove Kind = 3
	// Count states one origin's subtotal of a counter.
	Count Kind = 4
	// Flush removes, in one database, everything that a vector covers: what
	// its origin had seen. Counter runs are removed by Remove ops beside it.
	Flush Kind = 5
	// State carries the whole state of one key, to be joined with what the
	// receiver holds.
	State Kind = 6
	// SwapDB states the map from database numbers to stored databases. It
	// exists only where no sibling is configured.
	SwapDB Kind = 7
	// Put makes a member of a collection what the op says.
	Put Kind = 8
	// Take removes a member of a collection.
	Take Kind = 9
	// Insert puts elements into a list at a rank; it and Cut are the only ops
	// that are not idempotent, and exist only where no sibling is configured.
	Insert Kind = 10
	// Cut removes a run of list elements.
	Cut Kind = 11
	// Drop removes a key's collections, with a vector only what it covers.
	Drop Kind = 12
	// Meta states what a collection knows beside its members.
	Meta Kind = 13
	// Whole replaces a key's content by a collection.
	Whole Kind = 14
	// CountMember states one origin's subtotal of a member that counts.
	CountMember Kind = 15
	// Expire sets the deadline of the cells of a member that its origin had
	// seen.
	Expire Kind = 16
	// Patch writes bytes into a living string, zeros before them where it was
	// shorter, under a new stamp. It does nothing to any other key, and exists
	// only where no sibling is configured.
	Patch Kind = 17
	// Rename gives the collection of a key to another, whatever was there, and
	// takes the deadline off. It does not say what the collection is, and exists
	// only where no sibling is configured.
	Rename Kind = 18
	// Raise gives a HyperLogLog registers, of which the greater stay. It names
	// the birth that they belong to, which may be the op itself.
	Raise Kind = 19

	maxKind = Raise
)

// Kinds is the set of kinds this build understands, as a bit mask; siblings
// compare it before they exchange batches.
func Kinds() uint64 { return 1<<(maxKind+1) - 2 }

// Limits on decoded input.
const (
	MaxDBs    = 1 << 14
	MaxKeyLen = 512 << 20
	// MaxRefs bounds the subtotals or floors of one key: 255 regions with
	// some 256 live incarnations each.
	MaxRefs = 1 << 16
)

// ErrMalformed says that bytes are not a batch, an op or a key state.
var ErrMalformed = errors.New("op: malformed")

// provisional is set in a reading that its batch has not received yet; the
// lower bits are then the op's place in the batch. Such a reading is greater
// than every real one, as the one that replaces it will be.
const provisional clock.Reading = 1 << 63

// IsProvisional reports whether r still waits for its batch's commit.
func IsProvisional(r clock.Reading) bool { return r&provisional != 0 }

// Resolve is the real reading of r in a batch that begins at first; a real
// reading stays as it is.
func Resolve(r, first clock.Reading) clock.Reading {
	if r&provisional == 0 {
		return r
	}
	return first + r&^provisional
}

// Op is one decoded op. Which fields count depends on Kind. Key, Value and
// Raw alias the batch.
type Op struct {
	Kind  Kind
	Stamp clock.Stamp
	DB    int
	Key   []byte

	Value        []byte // Set, Patch. Raise: a HyperLogLog with the registers
	Offset       int    // Patch: where in the string Value goes
	KeepDeadline bool   // Set: the deadline cell is not written
	KeepStamp    bool   // Set: somebody holds the stamp as a CAS token
	DeadlineMs   int64  // Set, Deadline, Expire: milliseconds since the epoch, 0 for none

	Birth  clock.Stamp // Raise: whose registers it raises
	Upto   clock.Stamp // Remove: value cells not later than this are gone
	Floors []Floor     // Remove, Put, Take
	Sub    Sub         // Count, CountMember; Sub.Origin and Sub.At are the op's own
	Raw    []byte      // State: an encoded KeyState. Whole: an encoded Coll. Meta: the bytes
	DBMap  []int       // SwapDB

	Seen clock.Vector // Flush, Drop: what its origin had applied; nil for all there is

	Type Type          // Put, Take, Meta, Whole, CountMember, Expire
	Part Part          // Put, Take, Insert: the tree of the collection
	Elem Elem          // Put, Take, Insert, CountMember, Expire: the member
	Rank int           // Insert, Cut
	N    int           // Cut
	Sees []clock.Stamp // Put, Take, Expire: the cells of the member that were seen

	ToDB int    // Rename
	To   []byte // Rename: the new key
}

// Sub is what one origin has counted on one base: Total since Born. A later
// At replaces an earlier one. Lineage is the stamp of the value cell that the
// increments had seen, zero when they started from nothing.
type Sub struct {
	Lineage clock.Stamp
	Origin  clock.Origin
	Born    clock.Reading
	At      clock.Reading
	Total   Num
}

// Floor is the part of a run that a removal had seen: all of it up to At,
// which came to Total.
type Floor struct {
	Lineage clock.Stamp
	Origin  clock.Origin
	At      clock.Reading
	Total   Num
}

// Builder collects the ops of one batch. The zero value is ready.
type Builder struct {
	Origin clock.Origin // of the provisional stamps handed out

	body     []byte
	n        int
	setFlags int // where the flags of the last Set op are
}

// Reset empties the builder and keeps its memory, unless that is large.
func (b *Builder) Reset() {
	if cap(b.body) > 64<<10 {
		b.body = nil
	}
	b.body, b.n, b.setFlags = b.body[:0], 0, 0
}

// Len is the number of ops.
func (b *Builder) Len() int { return b.n }

// Body is the encoded ops; it belongs to the builder until Reset.
func (b *Builder) Body() []byte { return b.body }

// Stamp reserves the next op's provisional stamp without writing an op; it is
// how a tx stamps memory when nothing consumes ops.
func (b *Builder) Stamp() clock.Stamp {
	s := clock.Stamp{At: provisional | clock.Reading(b.n), Origin: b.Origin}
	b.n++
	return s
}

func (b *Builder) start(k Kind, db int, key []byte) clock.Stamp {
	b.body = append(b.body, byte(k))
	b.body = binary.AppendUvarint(b.body, uint64(db))
	b.body = appendBytes(b.body, key)
	return b.Stamp()
}

// member starts an op about a member of a collection.
func (b *Builder) member(k Kind, db int, key []byte, t Type, p Part) clock.Stamp {
	s := b.start(k, db, key)
	b.body = append(b.body, byte(t), byte(p))
	return s
}

// Seen is what a write or removal had seen of a member: it takes that away.
type Seen struct {
	Cells  []clock.Stamp
	Floors []Floor
}

// Put appends a Put op: the member e, of which it replaces what seen names.
func (b *Builder) Put(db int, key []byte, t Type, p Part, e Elem, seen Seen) clock.Stamp {
	s := b.member(Put, db, key, t, p)
	b.body = e.append(b.body)
	b.sees(seen.Cells)
	b.floors(seen.Floors)
	return s
}

// Take appends a Take op: of the member named by elemKey goes what seen names,
// where siblings are configured, and otherwise all.
func (b *Builder) Take(db int, key []byte, t Type, p Part, elemKey []byte, seen Seen) clock.Stamp {
	s := b.member(Take, db, key, t, p)
	b.body = appendBytes(b.body, elemKey)
	b.sees(seen.Cells)
	b.floors(seen.Floors)
	return s
}

// CountMember appends a CountMember op; lineage is the cell that was seen. A run
// that begins with this op has born zero.
func (b *Builder) CountMember(db int, key []byte, t Type, elemKey []byte, lineage, born clock.Stamp, total Num) clock.Stamp {
	s := b.member(CountMember, db, key, t, Main)
	b.body = appendBytes(b.body, elemKey)
	b.body = appendRef(b.body, lineage)
	b.body = appendRef(b.body, born)
	b.body = total.Append(b.body)
	return s
}

// Expire appends an Expire op; deadlineMs 0 means none.
func (b *Builder) Expire(db int, key []byte, t Type, elemKey []byte, deadlineMs int64, sees []clock.Stamp) clock.Stamp {
	s := b.member(Expire, db, key, t, Main)
	b.body = appendBytes(b.body, elemKey)
	b.body = binary.AppendVarint(b.body, deadlineMs)
	b.sees(sees)
	return s
}

// Next is the provisional stamp that the next op will have.
func (b *Builder) Next() clock.Stamp {
	return clock.Stamp{At: provisional | clock.Reading(b.n), Origin: b.Origin}
}

// Insert appends an Insert op: e is put before the element of that rank.
func (b *Builder) Insert(db int, key []byte, rank int, e Elem) clock.Stamp {
	s := b.start(Insert, db, key)
	b.body = binary.AppendUvarint(b.body, uint64(rank))
	b.body = e.append(b.body)
	return s
}

// Cut appends a Cut op: n elements go, from rank on.
func (b *Builder) Cut(db int, key []byte, rank, n int) clock.Stamp {
	s := b.start(Cut, db, key)
	b.body = binary.AppendUvarint(b.body, uint64(rank))
	b.body = binary.AppendUvarint(b.body, uint64(n))
	return s
}

// Drop appends a Drop op; seen is what its origin had applied, nil where no
// sibling is configured.
func (b *Builder) Drop(db int, key []byte, seen clock.Vector) clock.Stamp {
	s := b.start(Drop, db, key)
	if seen == nil {
		b.body = append(b.body, dropAll)
		return s
	}
	b.body = seen.Append(append(b.body, dropSeen))
	return s
}

const (
	dropAll = iota
	dropSeen
)

// Rename appends a Rename op.
func (b *Builder) Rename(db int, key []byte, toDB int, to []byte) clock.Stamp {
	s := b.start(Rename, db, key)
	b.body = binary.AppendUvarint(b.body, uint64(toDB))
	b.body = appendBytes(b.body, to)
	return s
}

// Meta appends a Meta op.
func (b *Builder) Meta(db int, key []byte, t Type, meta []byte) clock.Stamp {
	s := b.start(Meta, db, key)
	b.body = appendBytes(append(b.body, byte(t)), meta)
	return s
}

// Whole appends a Whole op carrying an encoded Coll.
func (b *Builder) Whole(db int, key, raw []byte) clock.Stamp {
	s := b.start(Whole, db, key)
	b.body = appendBytes(b.body, raw)
	return s
}

func (b *Builder) sees(list []clock.Stamp) {
	b.body = binary.AppendUvarint(b.body, uint64(len(list)))
	for _, s := range list {
		b.body = appendRef(b.body, s)
	}
}

const (
	setWritesDeadline = 1 << iota
	setHasDeadline
	setKeepsStamp
)

// Set appends a Set op that writes both cells; deadlineMs 0 means none.
func (b *Builder) Set(db int, key, value []byte, deadlineMs int64) clock.Stamp {
	s := b.start(Set, db, key)
	b.setFlags = len(b.body)
	if deadlineMs == 0 {
		b.body = append(b.body, setWritesDeadline)
	} else {
		b.body = append(b.body, setWritesDeadline|setHasDeadline)
		b.body = binary.AppendVarint(b.body, deadlineMs)
	}
	b.body = appendBytes(b.body, value)
	return s
}

// SetValue appends a Set op that leaves the deadline cell alone.
func (b *Builder) SetValue(db int, key, value []byte) clock.Stamp {
	s := b.start(Set, db, key)
	b.setFlags = len(b.body)
	b.body = append(b.body, 0)
	b.body = appendBytes(b.body, value)
	return s
}

// Patch appends a Patch op: val is written at offset, in bytes.
func (b *Builder) Patch(db int, key []byte, offset int, val []byte) clock.Stamp {
	s := b.start(Patch, db, key)
	b.body = binary.AppendUvarint(b.body, uint64(offset))
	b.body = appendBytes(b.body, val)
	return s
}

// Raise appends a Raise op; registers is a HyperLogLog. A birth that is zero is
// the op itself.
func (b *Builder) Raise(db int, key []byte, birth clock.Stamp, registers []byte) clock.Stamp {
	s := b.start(Raise, db, key)
	b.body = appendRef(b.body, birth)
	b.body = appendBytes(b.body, registers)
	return s
}

// KeepStamp says of the last op, a Set with the stamp s, that somebody holds
// its stamp as a CAS token: it is kept also where no sibling is configured. Of
// any other stamp nothing is said.
func (b *Builder) KeepStamp(s clock.Stamp) {
	if b.n > 0 && s.At == provisional|clock.Reading(b.n-1) && b.setFlags < len(b.body) && b.setFlags > 0 {
		b.body[b.setFlags] |= setKeepsStamp
	}
}

// Deadline appends a Deadline op; 0 means none.
func (b *Builder) Deadline(db int, key []byte, deadlineMs int64) clock.Stamp {
	s := b.start(Deadline, db, key)
	b.body = binary.AppendVarint(b.body, deadlineMs)
	return s
}

// Remove appends a Remove op that kills every value cell stamped before it.
func (b *Builder) Remove(db int, key []byte, floors []Floor) clock.Stamp {
	s := b.start(Remove, db, key)
	b.body = append(b.body, removeBefore)
	b.floors(floors)
	return s
}

// RemoveSeen appends a Remove op that kills value cells only up to the one
// that was seen (zero: none was), as FLUSH does.
func (b *Builder) RemoveSeen(db int, key []byte, seen clock.Stamp, floors []Floor) clock.Stamp {
	s := b.start(Remove, db, key)
	b.body = appendRef(append(b.body, removeSeen), seen)
	b.floors(floors)
	return s
}

const (
	removeBefore = iota
	removeSeen
)

func (b *Builder) floors(floors []Floor) {
	b.body = binary.AppendUvarint(b.body, uint64(len(floors)))
	for _, f := range floors {
		b.body = appendRef(b.body, f.Lineage)
		b.body = appendRef(b.body, clock.Stamp{At: f.At, Origin: f.Origin})
		b.body = f.Total.Append(b.body)
	}
}

// Count appends a Count op. A run that begins with this op has born zero.
func (b *Builder) Count(db int, key []byte, lineage, born clock.Stamp, total Num) clock.Stamp {
	s := b.start(Count, db, key)
	b.body = appendRef(b.body, lineage)
	b.body = appendRef(b.body, born)
	b.body = total.Append(b.body)
	return s
}

// Flush appends a Flush op; seen is what its origin had applied.
func (b *Builder) Flush(db int, seen clock.Vector) clock.Stamp {
	s := b.start(Flush, db, nil)
	b.body = seen.Append(b.body)
	return s
}

// State appends a State op carrying an encoded KeyState.
func (b *Builder) State(db int, key, raw []byte) clock.Stamp {
	s := b.start(State, db, key)
	b.body = appendBytes(b.body, raw)
	return s
}

// SwapDB appends a SwapDB op: dbs[i] is the stored database that number i
// shows.
func (b *Builder) SwapDB(dbs []int) clock.Stamp {
	s := b.start(SwapDB, 0, nil)
	b.body = binary.AppendUvarint(b.body, uint64(len(dbs)))
	for _, d := range dbs {
		b.body = binary.AppendUvarint(b.body, uint64(d))
	}
	return s
}

func appendBytes(dst, p []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	return append(dst, p...)
}

// A reference to a stamp: none, absolute, or an op of the same batch (whose
// stamp is not known while the batch is built).
const (
	refNone = iota
	refAbsolute
	refInBatch
)

func appendRef(dst []byte, s clock.Stamp) []byte {
	switch {
	case s.IsZero():
		return append(dst, refNone)
	case IsProvisional(s.At):
		return binary.AppendUvarint(append(dst, refInBatch), uint64(s.At&^provisional))
	default:
		return clock.AppendStamp(append(dst, refAbsolute), s)
	}
}

// decodeOp reads one op from the front of d. first and origin are the batch's.
func (d *Reader) op(first clock.Reading, origin clock.Origin, index int) Op {
	o := Op{Kind: Kind(d.Byte()), Stamp: clock.Stamp{At: first + clock.Reading(index), Origin: origin}}
	db := d.Uvarint(MaxDBs - 1)
	o.DB = int(db)
	o.Key = d.Bytes(MaxKeyLen)
	ref := func() clock.Stamp {
		switch d.Byte() {
		case refNone:
			return clock.Stamp{}
		case refAbsolute:
			return d.Stamp()
		case refInBatch:
			if index > 0 {
				return clock.Stamp{At: first + clock.Reading(d.Uvarint(uint64(index-1))), Origin: origin}
			}
		}
		d.Fail()
		return clock.Stamp{}
	}
	floors := func() {
		n := d.Uvarint(MaxRefs)
		for i := uint64(0); i < n && !d.bad; i++ {
			f := Floor{Lineage: ref()}
			seen := ref()
			f.At, f.Origin = seen.At, seen.Origin
			f.Total = d.Num()
			o.Floors = append(o.Floors, f)
		}
	}
	sees := func() {
		n := d.Uvarint(MaxRefs)
		for i := uint64(0); i < n && !d.bad; i++ {
			o.Sees = append(o.Sees, ref())
		}
	}
	count := func() {
		o.Sub = Sub{Lineage: ref(), Origin: origin, At: o.Stamp.At, Born: o.Stamp.At}
		if born := ref(); !born.IsZero() {
			o.Sub.Born = born.At
		}
		o.Sub.Total = d.Num()
	}
	switch o.Kind {
	case Set:
		flags := d.Byte()
		o.KeepDeadline = flags&setWritesDeadline == 0
		if flags&setHasDeadline != 0 {
			o.DeadlineMs = d.Varint()
		}
		o.KeepStamp = flags&setKeepsStamp != 0
		if flags &^= setWritesDeadline | setHasDeadline | setKeepsStamp; flags != 0 {
			d.Fail()
		}
		o.Value = d.Bytes(math.MaxInt32)
	case Patch:
		o.Offset = int(d.Uvarint(math.MaxInt32))
		o.Value = d.Bytes(math.MaxInt32 - uint64(o.Offset))
	case Raise:
		if o.Birth = ref(); o.Birth.IsZero() {
			o.Birth = o.Stamp
		}
		o.Value = d.Bytes(math.MaxInt32)
	case Deadline:
		o.DeadlineMs = d.Varint()
	case Remove:
		switch d.Byte() {
		case removeBefore:
			o.Upto = o.Stamp
		case removeSeen:
			o.Upto = ref()
		default:
			d.Fail()
		}
		floors()
	case Count:
		count()
	case Flush:
		o.Seen = d.Vector()
		// What its own batch did before it is seen as well.
		o.Seen.Raise(origin, o.Stamp.At-1)
	case State:
		o.Raw = d.Bytes(math.MaxInt32)
	case SwapDB:
		n := d.Uvarint(MaxDBs)
		for i := uint64(0); i < n && !d.bad; i++ {
			o.DBMap = append(o.DBMap, int(d.Uvarint(MaxDBs-1)))
		}
	case Put, Take:
		o.Type, o.Part = d.collType(), d.part()
		if o.Kind == Put {
			o.Elem = d.elem()
		} else {
			o.Elem.Key = d.Bytes(math.MaxInt32)
		}
		sees()
		floors()
	case CountMember, Expire:
		o.Type, o.Part = d.collType(), d.part()
		o.Elem.Key = d.Bytes(math.MaxInt32)
		if o.Kind == Expire {
			o.DeadlineMs = d.Varint()
			sees()
			break
		}
		count()
	case Insert:
		o.Type = TypeList
		o.Rank = int(d.Uvarint(math.MaxInt32))
		o.Elem = d.elem()
	case Cut:
		o.Type = TypeList
		o.Rank = int(d.Uvarint(math.MaxInt32))
		o.N = int(d.Uvarint(math.MaxInt32))
	case Drop:
		switch d.Byte() {
		case dropAll:
		case dropSeen:
			o.Seen = d.Vector()
			// What its own batch did before it is seen as well.
			o.Seen.Raise(origin, o.Stamp.At-1)
		default:
			d.Fail()
		}
	case Rename:
		o.ToDB, o.To = int(d.Uvarint(MaxDBs-1)), d.Bytes(MaxKeyLen)
	case Meta:
		o.Type = d.collType()
		o.Raw = d.Bytes(math.MaxInt32)
	case Whole:
		o.Raw = d.Bytes(math.MaxInt32)
	default:
		d.Fail()
	}
	return o
}
