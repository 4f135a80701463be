package sim

import (
	"bytes"
	"math/rand/v2"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"geocache/persist"
)

// medium is what survives a process: persist's deterministic store, or Pebble
// on its crashable file system.
type medium interface {
	open() (persist.Store, error)
	// powerFail ends the open store and keeps what was synced and a prefix of
	// the rest; processDies keeps everything that was applied.
	powerFail(r *rand.Rand)
	processDies()
	// broken injects faults until the store is opened anew.
	broken(f persist.Faults)
	wipe()
}

type memMedium struct{ s *persist.MemStore }

func (m *memMedium) open() (persist.Store, error) { return m.s, nil }

func (m *memMedium) powerFail(r *rand.Rand)  { m.s = m.s.Crash(r.IntN) }
func (m *memMedium) processDies()            { m.s = m.s.Reopen() }
func (m *memMedium) broken(f persist.Faults) { m.s.Inject(f) }
func (m *memMedium) wipe()                   { m.s = persist.NewMemStore() }

type pebbleMedium struct {
	fs     *vfs.MemFS
	opened persist.Store
}

func (m *pebbleMedium) open() (persist.Store, error) {
	if m.fs == nil {
		m.fs = vfs.NewCrashableMem()
	}
	s, err := persist.OpenPebble("store", persist.PebbleOptions{FS: m.fs, CacheBytes: 1 << 20, MemtableBytes: 2 << 20})
	m.opened = s
	return s, err
}

func (m *pebbleMedium) crash(percent int, r *rand.Rand) {
	clone := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
	_ = m.opened.Close() // a clean end has closed it
	m.fs = clone
}

func (m *pebbleMedium) powerFail(r *rand.Rand) { m.crash(r.IntN(101), r) }

// processDies syncs first: Pebble keeps the last block of its write-ahead log
// in the process.
func (m *pebbleMedium) processDies() { _ = m.opened.Close() }

func (m *pebbleMedium) broken(persist.Faults) {}
func (m *pebbleMedium) wipe()                 { _ = m.opened.Close(); m.fs = nil }

// watchedStore is a region's store as its node sees it. It notes what is safe,
// and lies where a plan says so.
type watchedStore struct {
	persist.Store
	r *region
}

func (s *watchedStore) Apply(b *persist.Batch, mode persist.SyncMode) error {
	if s.r.w.plan.fault == faultLyingSync {
		mode = persist.NoSync
	}
	err := s.Store.Apply(b, mode)
	switch {
	case err != nil:
		s.r.diskFailed = true
	case mode == persist.Sync:
		s.r.synced()
	}
	return err
}

func (s *watchedStore) Sync() error {
	err := s.Store.Sync()
	if err != nil {
		s.r.diskFailed = true
	} else {
		s.r.synced()
	}
	return err
}

// amnesia are the records that faultForgetIdentity takes away.
var amnesia = []string{"meta/identity", "meta/bound"}

func (s *watchedStore) Get(key []byte) ([]byte, error) {
	if s.r.opening && s.r.forgets() && slices.Contains(amnesia, string(key)) {
		return nil, persist.ErrNotFound
	}
	return s.Store.Get(key)
}

// Iter hides a row from a start under faultLostRow.
func (s *watchedStore) Iter(lower, upper []byte) (persist.Iterator, error) {
	it, err := s.Store.Iter(lower, upper)
	if s.r.opening && s.r.w.plan.fault == faultLostRow && bytes.HasPrefix(lower, []byte("row/")) {
		it = &blindIterator{Iterator: it}
	}
	return it, err
}

// blindIterator passes over the second key.
type blindIterator struct {
	persist.Iterator
	moves int
}

func (b *blindIterator) Next() bool {
	if b.moves++; b.moves == 1 && !b.Iterator.Next() {
		return false
	}
	return b.Iterator.Next()
}
