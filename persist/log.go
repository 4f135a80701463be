package persist

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// Policy says when the log is synced; it is appendfsync.
type Policy uint32

const (
	// EverySec leaves syncing to SyncStep, driven once a second.
	EverySec Policy = iota
	// Always syncs every group.
	Always
	// No leaves it to the operating system; SyncStep, driven rarely, hands it
	// what Pebble still holds.
	No
)

// Defaults and limits of the log.
const (
	DefaultTailBytes    = 32 << 20
	DefaultBacklogBytes = 64 << 20
	// MaxRecordLen bounds one record; the node asks before it commits.
	MaxRecordLen = 1 << 30

	// chunkBytes is where a chunk of the memory tail ends, and so a group.
	chunkBytes    = 512 << 10
	minChunkBytes = 4 << 10
	// recordOverhead is what a waiting record costs beside its bytes.
	recordOverhead = 16
)

// LogOptions shape a log. Zero values take the defaults.
type LogOptions struct {
	Policy Policy
	// TailBytes is how much of what is written stays readable from memory at
	// first; see SetTailBytes.
	TailBytes int64
	// BacklogBytes is how much may wait to be written before Full.
	BacklogBytes int64
	// OnAppend is called after every Append, under the caller's locks: it may
	// only set a flag or wake the log-writer, never block.
	OnAppend func()
	// OnDurable is called without locks by the step that made everything up
	// to pos durable. Steps that overlap may call it out of order.
	OnDurable func(pos uint64)
	// OnDrained is called without locks when a log that was Full no longer is.
	OnDrained func()
}

// Log is the ordered batches of a region.
//
// Append, Full, Read and the position getters may be called from any
// goroutine. WriteStep belongs to one log-writer at a time; SyncStep may run
// beside it. Appending never waits for the disk: the bound is Full, which the
// node's gate asks before it lets a write in.
type Log struct {
	store Store
	fail  *failure
	opts  LogOptions

	policy  atomic.Uint32
	first   atomic.Uint64 // oldest position kept
	end     atomic.Uint64 // position of the next record; set under mu
	written atomic.Uint64 // last position in the store
	durable atomic.Uint64 // last position that survives a crash; set under mu
	retain  atomic.Uint64 // positions from here on are still needed
	keep    atomic.Int64  // the memory tail's budget in bytes
	backlog atomic.Int64  // bytes appended and not written, with overhead
	full    atomic.Bool   // somebody was told so
	groups  atomic.Uint64 // groups written since open
	stored  atomic.Uint64 // group bytes ever written
	dropped atomic.Uint64 // group bytes ever cut

	mu     sync.Mutex
	chunks []*chunk // ascending, no gaps; whatever is not written is here
	tail   int64    // bytes in chunks

	// Owned by the log-writer.
	batch   Batch
	scratch []byte
}

// chunk holds consecutive records. Its bytes are only ever appended to, so a
// slice of them stays valid for as long as somebody holds it.
type chunk struct {
	first uint64
	data  []byte
	ends  []uint32
}

// end is the position after the chunk's last record.
func (c *chunk) end() uint64 { return c.first + uint64(len(c.ends)) }

// start is where the record at pos begins in data.
func (c *chunk) start(pos uint64) uint32 {
	if pos == c.first {
		return 0
	}
	return c.ends[pos-c.first-1]
}

func newLog(store Store, fail *failure, o LogOptions, b logBounds) *Log {
	o.TailBytes = orDefault(o.TailBytes, DefaultTailBytes)
	o.BacklogBytes = orDefault(o.BacklogBytes, DefaultBacklogBytes)
	l := &Log{store: store, fail: fail, opts: o}
	l.policy.Store(uint32(o.Policy))
	l.first.Store(b.first)
	l.end.Store(b.end)
	l.written.Store(b.end - 1)
	l.durable.Store(b.end - 1)
	l.retain.Store(math.MaxUint64)
	l.keep.Store(o.TailBytes)
	l.stored.Store(b.stored)
	l.dropped.Store(b.dropped)
	return l
}

// Append copies rec, which has at most MaxRecordLen bytes, to the memory tail
// and returns its position. It does no I/O. The node calls it under its commit
// lock, which gives the region's batches their one order.
func (l *Log) Append(rec []byte) uint64 {
	l.backlog.Add(int64(len(rec)) + recordOverhead)
	l.mu.Lock()
	pos := l.end.Load()
	c := l.openChunk(pos, len(rec))
	c.data = append(c.data, rec...)
	c.ends = append(c.ends, uint32(len(c.data)))
	l.tail += int64(len(rec))
	l.end.Store(pos + 1)
	l.mu.Unlock()
	if l.opts.OnAppend != nil {
		l.opts.OnAppend()
	}
	return pos
}

// openChunk returns the chunk for the record at pos; mu is held. A busy log
// gets its chunks in full size at once, an idle one starts small.
func (l *Log) openChunk(pos uint64, n int) *chunk {
	size := minChunkBytes
	if k := len(l.chunks); k > 0 {
		c := l.chunks[k-1]
		if len(c.data)+n <= chunkBytes {
			return c
		}
		size = chunkBytes
	}
	c := &chunk{first: pos, data: make([]byte, 0, max(size, n))}
	l.chunks = append(l.chunks, c)
	return c
}

// First is the oldest position that can be read.
func (l *Log) First() uint64 { return l.first.Load() }

// End is the position that the next record will get: [First, End) is readable.
func (l *Log) End() uint64 { return l.end.Load() }

// Written is the last position handed to the store; it survives the end of
// the process only once it is Durable.
func (l *Log) Written() uint64 { return l.written.Load() }

// Durable is the last position that survives a crash.
func (l *Log) Durable() uint64 { return l.durable.Load() }

// Policy is the present policy.
func (l *Log) Policy() Policy { return Policy(l.policy.Load()) }

// SetPolicy changes the policy from the next step on. After a change to Always
// the next WriteStep syncs what was written before.
func (l *Log) SetPolicy(p Policy) { l.policy.Store(uint32(p)) }

// SetRetain keeps positions from pos on over later checkpoints, for siblings
// that still need them. After a start nothing is kept until it is called.
func (l *Log) SetRetain(pos uint64) { l.retain.Store(pos) }

// SetTailBytes changes how much of what is written stays readable from memory,
// from the next WriteStep that writes on. Without siblings nobody reads it, and
// 0 keeps nothing.
func (l *Log) SetTailBytes(n int64) { l.keep.Store(n) }

// Failed is the error that stopped the log for good, or nil.
func (l *Log) Failed() error { return l.fail.get() }

// Full reports whether so much waits to be written that the node must hold
// writes back. Whoever is told so hears OnDrained once half of it is written.
func (l *Log) Full() bool {
	if l.backlog.Load() < l.opts.BacklogBytes {
		return false
	}
	l.full.Store(true)
	// The writer may have drained between the two lines above and not seen
	// the flag.
	if l.drained() {
		l.full.Store(false)
		return false
	}
	return true
}

func (l *Log) drained() bool { return l.backlog.Load() <= l.opts.BacklogBytes/2 }

// WriteStep writes one group of waiting records as one store row and, under
// Always, syncs it. It reports whether more records wait. A failure is final:
// see Failed.
func (l *Log) WriteStep() (more bool, err error) {
	if err := l.fail.get(); err != nil {
		return false, err
	}
	policy := l.Policy()
	first := l.written.Load() + 1
	data, ends, base := l.waiting(first)
	if len(ends) == 0 {
		if policy == Always {
			err = l.SyncStep()
		}
		return false, err
	}
	key := logKey(first)
	l.scratch = appendGroup(l.scratch[:0], key, l.stored.Load(), data, ends, base)
	l.batch.Reset()
	l.batch.Set(key, l.scratch)
	mode := NoSync
	if policy == Always {
		mode = Sync
	}
	if err := l.store.Apply(&l.batch, mode); err != nil {
		return false, l.fail.set("write log", err)
	}
	last := first + uint64(len(ends)) - 1
	l.stored.Add(uint64(len(l.scratch)))
	if cap(l.scratch) > maxIdleBatchBytes {
		l.scratch = nil
	}
	l.groups.Add(1)
	l.written.Store(last)
	l.backlog.Add(-int64(len(data)) - recordOverhead*int64(len(ends)))
	l.trim()
	if mode == Sync {
		l.madeDurable(last)
	}
	if l.full.Load() && l.drained() && l.full.CompareAndSwap(true, false) && l.opts.OnDrained != nil {
		l.opts.OnDrained()
	}
	return last+1 < l.end.Load(), nil
}

// waiting returns the unwritten records of the oldest chunk that has some:
// their bytes, their ends in the chunk, and where in the chunk they start.
func (l *Log) waiting(first uint64) (data []byte, ends []uint32, base uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first >= l.end.Load() {
		return nil, nil, 0
	}
	c := l.chunkAt(first)
	base = c.start(first)
	return c.data[base:], c.ends[first-c.first:], base
}

// chunkAt finds the chunk that holds pos, or nil; mu is held. It looks from
// the young end, where writers and live siblings are.
func (l *Log) chunkAt(pos uint64) *chunk {
	for i := len(l.chunks) - 1; i >= 0; i-- {
		if c := l.chunks[i]; c.first <= pos {
			return c
		}
	}
	return nil
}

// trim drops written chunks beyond the tail's budget, the oldest first.
func (l *Log) trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for ; n < len(l.chunks); n++ {
		c := l.chunks[n]
		if l.tail <= l.keep.Load() || c.end() > l.written.Load()+1 {
			break
		}
		l.tail -= int64(len(c.data))
		l.chunks[n] = nil
	}
	l.chunks = l.chunks[n:]
}

// SyncStep makes everything written durable. Under EverySec it is driven once
// a second; without news it does nothing.
func (l *Log) SyncStep() error {
	if err := l.fail.get(); err != nil {
		return err
	}
	w := l.written.Load()
	if w <= l.durable.Load() {
		return nil
	}
	if err := l.store.Sync(); err != nil {
		return l.fail.set("sync log", err)
	}
	l.madeDurable(w)
	return nil
}

// madeDurable reports positions up to pos as durable, unless the log failed.
func (l *Log) madeDurable(pos uint64) {
	l.mu.Lock()
	news := pos > l.durable.Load() && l.fail.get() == nil
	if news {
		l.durable.Store(pos)
	}
	l.mu.Unlock()
	if news && l.opts.OnDurable != nil {
		l.opts.OnDurable(pos)
	}
}

// Read returns records from position from on: at least one if there is one,
// and no more than maxBytes beyond it. next is where to go on. Records appended
// and not yet written are included. The records must not be modified; they
// stay valid for as long as they are held. A position before First is ErrCut.
func (l *Log) Read(from uint64, maxBytes int) (recs [][]byte, next uint64, err error) {
	if from < l.first.Load() {
		return nil, from, ErrCut
	}
	recs, inMemory := l.readTail(from, maxBytes)
	if !inMemory {
		recs, err = l.readStore(from, maxBytes)
	}
	return recs, from + uint64(len(recs)), err
}

// readTail reads from memory; ok is false if from lies before the tail.
func (l *Log) readTail(from uint64, maxBytes int) (recs [][]byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.end.Load()
	if from >= end {
		return nil, true
	}
	size := 0
	for pos := from; pos < end; {
		c := l.chunkAt(pos)
		if c == nil {
			return nil, false
		}
		for ; pos < c.end(); pos++ {
			a, b := c.start(pos), c.ends[pos-c.first]
			if size += int(b - a); size > maxBytes && len(recs) > 0 {
				return recs, true
			}
			recs = append(recs, c.data[a:b:b])
		}
	}
	return recs, true
}

// readStore reads from disk. A cut that runs meanwhile may take what is asked;
// that is ErrCut, not damage.
func (l *Log) readStore(from uint64, maxBytes int) (recs [][]byte, err error) {
	size := 0
	err = walkGroups(l.store, from, func(g group) error {
		for _, r := range g.recs[from+uint64(len(recs))-g.first:] {
			if size += len(r); size > maxBytes && len(recs) > 0 {
				return errStop
			}
			recs = append(recs, r)
		}
		return nil
	})
	if from < l.first.Load() {
		return nil, ErrCut
	}
	if len(recs) == 0 && err == nil {
		err = damage("the log record is missing", logKey(from), nil)
	}
	return recs, err
}

// errStop ends a walk early and well.
var errStop = errors.New("stop")

// walkGroups yields the group that holds from, and those after it, each a copy
// of its own. It reports a gap as damage.
func walkGroups(store Store, from uint64, fn func(group) error) (err error) {
	it, err := store.Iter(prefixBounds(logPrefix))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	ok := it.SeekLT(logKey(from+1)) || it.SeekGE(logKey(from))
	for want := from; ok; ok = it.Next() {
		g, err := readGroup(it)
		if err != nil {
			return err
		}
		if g.first > want || g.last() < want {
			return damage(fmt.Sprintf("log record %d is missing", want), it.Key(), nil)
		}
		if err := fn(g); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
		want = g.last() + 1
	}
	return nil
}

// readGroup decodes a copy of the group under the iterator.
func readGroup(it Iterator) (group, error) {
	v, err := it.Value()
	if err != nil {
		return group{}, err
	}
	return decodeGroup(it.Key(), append([]byte(nil), v...))
}

// cut removes whole groups of positions up to and including upTo. Readers see
// the new First before the records go.
func (l *Log) cut(upTo uint64) error {
	if upTo < l.first.Load() {
		return nil
	}
	first, before, err := l.cutPoint(upTo)
	if err != nil || first <= l.first.Load() {
		return err
	}
	var b Batch
	b.DeleteRange(logKey(0), logKey(first))
	l.first.Store(first)
	if err := l.store.Apply(&b, NoSync); err != nil {
		return fmt.Errorf("persist: cut log: %w", err)
	}
	l.dropped.Store(before)
	return nil
}

// cutPoint is the start of the first group that must stay, and the bytes of
// all groups before it.
func (l *Log) cutPoint(upTo uint64) (first, before uint64, err error) {
	err = walkGroups(l.store, upTo, func(g group) error {
		first, before = g.first, g.before
		if g.last() <= upTo {
			first, before = g.last()+1, g.before+g.size
		}
		return errStop
	})
	return first, before, err
}

// LogStats is what INFO shows of the log.
type LogStats struct {
	First, End, Written, Durable uint64 // positions
	Records                      uint64 // kept, waiting ones included
	DiskBytes                    uint64 // group bytes kept on disk
	BacklogBytes                 int64  // waiting to be written
	TailBytes                    int64  // readable from memory
	Groups                       uint64 // written since open
}

// Stats is a snapshot of the counters.
func (l *Log) Stats() LogStats {
	l.mu.Lock()
	tail := l.tail
	l.mu.Unlock()
	s := LogStats{
		First: l.first.Load(), End: l.end.Load(), Written: l.written.Load(), Durable: l.durable.Load(),
		BacklogBytes: l.backlog.Load(), TailBytes: tail, Groups: l.groups.Load(),
	}
	s.Records = s.End - s.First
	s.DiskBytes = l.stored.Load() - min(l.stored.Load(), l.dropped.Load())
	return s
}

// forget drops everything before end, which the store has dropped already.
func (l *Log) forget(end uint64) {
	l.first.Store(end)
	l.dropped.Store(l.stored.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chunks, l.tail = nil, 0
}
