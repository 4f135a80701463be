package persist

// SyncMode says what Apply waits for.
type SyncMode uint8

const (
	// NoSync returns once the batch is in the store's order; a crash may take
	// it, together with everything applied after it.
	NoSync SyncMode = iota
	// Sync returns once this batch and everything applied before it survives
	// a crash.
	Sync
)

// Store is a small ordered store. Get, Iter, Sync and Metrics may be called
// from any goroutine, also while one Apply runs; two Applies may run at once
// and are then ordered one after the other.
type Store interface {
	// Get returns a copy of the value, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Apply makes all changes of b, in their order, or none.
	Apply(b *Batch, mode SyncMode) error
	// Iter walks the keys in [lower, upper) as they are now.
	Iter(lower, upper []byte) (Iterator, error)
	// Sync makes everything applied before the call survive a crash. After
	// it failed, the store refuses every change until it is opened anew.
	Sync() error
	Metrics() Metrics
	Close() error
}

// Iterator stands before its first key until it is moved. It is used by one
// goroutine.
type Iterator interface {
	// SeekGE moves to the first key at or after key, SeekLT to the last key
	// before it, Next to the following key. They report whether there is one;
	// Close tells an error from an end.
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Next() bool
	// Key and Value are valid until the iterator moves.
	Key() []byte
	Value() ([]byte, error)
	// Close returns the first error that ended a move early.
	Close() error
}

// Metrics is what INFO shows of a store, in bytes.
type Metrics struct {
	DiskBytes     uint64 // files on disk
	CacheBytes    uint64 // block cache in use
	MemtableBytes uint64 // memtables in use
	WrittenBytes  uint64 // written to disk since open: write-ahead, flushes, compactions
}

type batchKind uint8

const (
	batchSet batchKind = iota
	batchDelete
	batchDeleteRange
)

// batchOp points into its batch's buffer: x is the key or lower bound, y the
// value or upper bound.
type batchOp struct {
	kind       batchKind
	start      int
	lenX, lenY int
}

// Batch is a list of changes. The zero value is ready. Arguments are copied.
type Batch struct {
	ops []batchOp
	buf []byte
}

func (b *Batch) add(kind batchKind, x, y []byte) {
	b.ops = append(b.ops, batchOp{kind, len(b.buf), len(x), len(y)})
	b.buf = append(append(b.buf, x...), y...)
}

// Set gives key a value.
func (b *Batch) Set(key, value []byte) { b.add(batchSet, key, value) }

// Delete removes key.
func (b *Batch) Delete(key []byte) { b.add(batchDelete, key, nil) }

// DeleteRange removes every key in [lower, upper).
func (b *Batch) DeleteRange(lower, upper []byte) { b.add(batchDeleteRange, lower, upper) }

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes is the size of all keys and values.
func (b *Batch) Bytes() int { return len(b.buf) }

// maxIdleBatchBytes is how much memory an emptied batch keeps.
const maxIdleBatchBytes = 4 << 20

// Reset empties the batch for further use.
func (b *Batch) Reset() {
	b.ops, b.buf = b.ops[:0], b.buf[:0]
	if cap(b.buf) > maxIdleBatchBytes {
		b.buf = nil
	}
}

// each yields the changes in order; the slices alias the batch.
func (b *Batch) each(fn func(kind batchKind, x, y []byte) error) error {
	for _, o := range b.ops {
		mid := o.start + o.lenX
		if err := fn(o.kind, b.buf[o.start:mid], b.buf[mid:mid+o.lenY]); err != nil {
			return err
		}
	}
	return nil
}

// rotate moves the changes from place n on before the first n.
func (b *Batch) rotate(n int) {
	b.ops = append(append(make([]batchOp, 0, len(b.ops)), b.ops[n:]...), b.ops[:n]...)
}

func (b *Batch) clone() *Batch {
	return &Batch{ops: append([]batchOp(nil), b.ops...), buf: append([]byte(nil), b.buf...)}
}
