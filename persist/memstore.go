package persist

import (
	"bytes"
	"slices"
	"sort"
	"sync"
)

// MemStore is a deterministic Store in memory that can crash and fail the way
// a disk does. It is what seeded simulations run on.
//
// It keeps two states: what is synced, and what is visible, which is the
// synced state plus the batches applied since.
type MemStore struct {
	mu       sync.Mutex
	visible  []*memRow // ascending; never changed in place once published
	synced   []*memRow
	unsynced []*Batch
	pending  int // bytes of unsynced
	written  uint64
	faults   Faults
	failed   error
	closed   bool
}

type memRow struct{ key, value []byte }

// maxUnsyncedBytes bounds the batches kept for Crash; beyond it a MemStore
// counts everything as synced, as an operating system writes back what is old.
const maxUnsyncedBytes = 64 << 20

// Faults are what a MemStore does wrong on purpose. The zero value is health.
type Faults struct {
	WriteErr      error // every Apply fails and changes nothing
	SyncErr       error // every sync fails; after that the store stays failed
	CapacityBytes int   // Apply beyond this many bytes of keys and values fails; 0 for no limit
}

// NewMemStore is an empty store.
func NewMemStore() *MemStore { return &MemStore{} }

// Inject replaces the faults from now on.
func (m *MemStore) Inject(f Faults) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = f
}

// Crash ends this store and returns what a disk would hold after a power
// failure: everything synced and the first k of the unsynced batches, with k
// chosen by pick(n) from [0, n). The new store has no faults.
func (m *MemStore) Crash(pick func(n int) int) *MemStore {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	rows := m.synced
	for _, b := range m.unsynced[:pick(len(m.unsynced)+1)] {
		rows = applyRows(rows, b)
	}
	return &MemStore{visible: rows, synced: rows}
}

// Reopen ends this store and returns one with everything applied, as after an
// orderly end of the process.
func (m *MemStore) Reopen() *MemStore {
	return m.Crash(func(n int) int { return n - 1 })
}

// Get implements Store.
func (m *MemStore) Get(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if i, ok := findRow(m.visible, key); ok {
		return bytes.Clone(m.visible[i].value), nil
	}
	return nil, ErrNotFound
}

// Apply implements Store.
func (m *MemStore) Apply(b *Batch, mode SyncMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return err
	}
	if m.faults.WriteErr != nil {
		return m.faults.WriteErr
	}
	rows := applyRows(m.visible, b)
	if m.faults.CapacityBytes > 0 && rowBytes(rows) > m.faults.CapacityBytes {
		return ErrDiskFull
	}
	m.visible = rows
	m.unsynced = append(m.unsynced, b.clone())
	m.pending += b.Bytes()
	m.written += uint64(b.Bytes())
	if m.pending > maxUnsyncedBytes {
		m.settle()
	}
	if mode == Sync {
		return m.sync()
	}
	return nil
}

// Sync implements Store.
func (m *MemStore) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(); err != nil {
		return err
	}
	return m.sync()
}

func (m *MemStore) usable() error {
	if m.closed {
		return ErrClosed
	}
	return m.failed
}

func (m *MemStore) sync() error {
	if m.faults.SyncErr != nil {
		m.failed = m.faults.SyncErr
		return m.failed
	}
	m.settle()
	return nil
}

func (m *MemStore) settle() {
	m.synced, m.unsynced, m.pending = m.visible, nil, 0
}

// Iter implements Store.
func (m *MemStore) Iter(lower, upper []byte) (Iterator, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	lo, _ := findRow(m.visible, lower)
	hi, _ := findRow(m.visible, upper)
	return &memIter{rows: m.visible[lo:max(lo, hi)], at: -1}, nil
}

// Metrics implements Store.
func (m *MemStore) Metrics() Metrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Metrics{DiskBytes: uint64(rowBytes(m.visible)), WrittenBytes: m.written}
}

// Close implements Store.
func (m *MemStore) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func findRow(rows []*memRow, key []byte) (int, bool) {
	return sort.Find(len(rows), func(i int) int { return bytes.Compare(key, rows[i].key) })
}

func rowBytes(rows []*memRow) (n int) {
	for _, r := range rows {
		n += len(r.key) + len(r.value)
	}
	return n
}

// applyRows returns rows changed by b; rows itself stays as it is, because
// iterators and the synced state look at it.
func applyRows(rows []*memRow, b *Batch) []*memRow {
	rows = slices.Clone(rows)
	_ = b.each(func(kind batchKind, x, y []byte) error {
		i, found := findRow(rows, x)
		switch {
		case kind == batchDeleteRange:
			j, _ := findRow(rows, y)
			rows = slices.Delete(rows, i, max(i, j))
		case kind == batchDelete && found:
			rows = slices.Delete(rows, i, i+1)
		case kind == batchSet && found:
			rows[i] = &memRow{rows[i].key, bytes.Clone(y)}
		case kind == batchSet:
			rows = slices.Insert(rows, i, &memRow{bytes.Clone(x), bytes.Clone(y)})
		}
		return nil
	})
	return rows
}

type memIter struct {
	rows []*memRow
	at   int
}

func (it *memIter) valid() bool { return it.at >= 0 && it.at < len(it.rows) }

func (it *memIter) SeekGE(key []byte) bool {
	it.at, _ = findRow(it.rows, key)
	return it.valid()
}

func (it *memIter) SeekLT(key []byte) bool {
	it.at, _ = findRow(it.rows, key)
	it.at--
	return it.valid()
}

func (it *memIter) Next() bool {
	it.at = min(it.at+1, len(it.rows))
	return it.valid()
}

func (it *memIter) Key() []byte            { return it.rows[it.at].key }
func (it *memIter) Value() ([]byte, error) { return it.rows[it.at].value, nil }
func (it *memIter) Close() error           { return nil }
