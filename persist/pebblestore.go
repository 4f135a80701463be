package persist

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// PebbleOptions size a Pebble store. Zero values take the defaults named.
type PebbleOptions struct {
	CacheBytes    int64 // block cache, default 16 MB
	MemtableBytes int64 // all memtables together, default 64 MB, at least 1 MB
	// ReadOnly opens without the right to change anything.
	ReadOnly bool
	// FS is the file system; nil is the machine's.
	FS vfs.FS
	// Logger receives what Pebble reports as an error, one line each, from any
	// goroutine; nil drops it.
	Logger func(line string)
}

const (
	defaultCacheBytes    = 16 << 20
	defaultMemtableBytes = 64 << 20
	minMemtableBytes     = 1 << 20
	// memtables is how many may exist: one that fills, one that is flushed.
	// When both are full a write waits, and the log's memory tail absorbs it.
	memtables     = 2
	maxOpenFiles  = 256
	bloomBits     = 10
	pebbleFormat  = pebble.FormatValueSeparation
	formatMarker  = "marker.format-version."
	corruptPebble = "Pebble found its files corrupt"
)

// pebbleStore is the Store of production.
//
// Pebble answers a failed write-ahead log by Logger.Fatalf, called by the
// committing goroutine after it let go of every lock, and must not be written
// to after that: here it becomes an error that sticks.
type pebbleStore struct {
	db     *pebble.DB
	lock   *pebble.Lock
	dir    string
	failed failure
	closed atomic.Bool
}

// OpenPebble opens or creates a store in dir. A directory that another process
// holds is a *LockedError, one written by a later version a
// *NewerFormatError, a broken one a *DamageError.
func OpenPebble(dir string, o PebbleOptions) (Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if !o.ReadOnly {
		if err := o.FS.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
	}
	lock, err := lockDir(dir, o.FS)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(dir, o.FS); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	cache := pebble.NewCache(orDefault(o.CacheBytes, defaultCacheBytes))
	defer cache.Unref()
	db, err := pebble.Open(dir, pebbleOptions(o, cache, lock))
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = &DamageError{What: corruptPebble, Where: dir, Todo: todoRestore, Err: err}
		} else {
			err = fmt.Errorf("data directory %s: %w", dir, err)
		}
		return nil, errors.Join(err, lock.Close())
	}
	return &pebbleStore{db: db, lock: lock, dir: dir}, nil
}

func orDefault(v, otherwise int64) int64 {
	if v <= 0 {
		return otherwise
	}
	return v
}

func pebbleOptions(o PebbleOptions, cache *pebble.Cache, lock *pebble.Lock) *pebble.Options {
	logger := pebbleLogger{o.Logger}
	p := &pebble.Options{
		Cache:                       cache,
		FS:                          o.FS,
		FormatMajorVersion:          pebbleFormat,
		Lock:                        lock,
		Logger:                      logger,
		MaxOpenFiles:                maxOpenFiles,
		MemTableSize:                uint64(max(orDefault(o.MemtableBytes, defaultMemtableBytes), minMemtableBytes) / memtables),
		MemTableStopWritesThreshold: memtables,
		ReadOnly:                    o.ReadOnly,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { logger.Errorf("background work: %v", err) },
			// Pebble's default ends the process; here the read that met the
			// damage reports it.
			DataCorruption: func(info pebble.DataCorruptionInfo) { logger.Errorf("%s", info) },
		},
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	return p
}

// lockDir takes the directory's lock and tells "held by somebody" from what
// else can go wrong with a lock file.
func lockDir(dir string, fs vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	if err == nil {
		return lock, nil
	}
	var no syscall.Errno
	if errors.As(err, &no) && no != syscall.EAGAIN && no != syscall.EWOULDBLOCK {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return nil, &LockedError{Dir: dir, Err: err}
}

// checkFormat reads the version from the name of Pebble's marker file,
// marker.format-version.<iteration>.<version>; the highest iteration counts.
func checkFormat(dir string, fs vfs.FS) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", dir, err)
	}
	var iteration, version uint64
	for _, name := range names {
		rest, ok := strings.CutPrefix(fs.PathBase(name), formatMarker)
		if !ok {
			continue
		}
		a, b, _ := strings.Cut(rest, ".")
		i, err1 := strconv.ParseUint(a, 10, 64)
		v, err2 := strconv.ParseUint(b, 10, 64)
		if err1 == nil && err2 == nil && i >= iteration {
			iteration, version = i, v
		}
	}
	if version > uint64(pebbleFormat) {
		return &NewerFormatError{Where: dir, Found: version, Known: uint64(pebbleFormat)}
	}
	return nil
}

// pebbleLogger passes errors on and drops chatter.
type pebbleLogger struct{ line func(string) }

func (l pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	if l.line != nil {
		l.line("pebble: " + fmt.Sprintf(format, args...))
	}
}

// fatalPebble carries a Fatalf out of Pebble.
type fatalPebble struct{ error }

// Fatalf panics: guarded catches it where a commit failed; anywhere else it is
// a broken invariant of Pebble and ends the process, as Pebble demands.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	panic(fatalPebble{fmt.Errorf(format, args...)})
}

// guarded runs a change and makes its failure stick.
func (s *pebbleStore) guarded(change func() error) (err error) {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.failed.get(); err != nil {
		return err
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatalPebble:
			err = s.failed.set("commit", r.error)
		default:
			panic(r)
		}
	}()
	return change()
}

func (s *pebbleStore) Get(key []byte) ([]byte, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, s.readErr(err)
	}
	v = bytes.Clone(v)
	return v, closer.Close()
}

func (s *pebbleStore) Apply(b *Batch, mode SyncMode) error {
	return s.guarded(func() error {
		pb := s.db.NewBatchWithSize(b.Bytes() + 16*b.Len() + 64)
		err := b.each(func(kind batchKind, x, y []byte) error {
			switch kind {
			case batchSet:
				return pb.Set(x, y, nil)
			case batchDelete:
				return pb.Delete(x, nil)
			default:
				return pb.DeleteRange(x, y, nil)
			}
		})
		if err != nil {
			return errors.Join(err, pb.Close())
		}
		opts := pebble.NoSync
		if mode == Sync {
			opts = pebble.Sync
		}
		if err := s.db.Apply(pb, opts); err != nil {
			return err // the batch may still be in use inside Pebble
		}
		return pb.Close()
	})
}

// Sync appends an empty record with a sync. Pebble keeps the last, partly
// filled block of its write-ahead log in its own memory until a sync is asked
// for; this call is what brings unsynced batches to the operating system too.
func (s *pebbleStore) Sync() error {
	return s.guarded(func() error { return s.db.LogData(nil, pebble.Sync) })
}

func (s *pebbleStore) Iter(lower, upper []byte) (Iterator, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, s.readErr(err)
	}
	return &pebbleIter{it, s}, nil
}

func (s *pebbleStore) readErr(err error) error {
	if err != nil && pebble.IsCorruptionError(err) {
		return &DamageError{What: corruptPebble, Where: s.dir, Todo: todoRestore, Err: err}
	}
	return err
}

func (s *pebbleStore) Metrics() Metrics {
	if s.closed.Load() {
		return Metrics{}
	}
	m := s.db.Metrics()
	out := Metrics{
		DiskBytes:     m.DiskSpaceUsage(),
		CacheBytes:    uint64(m.BlockCache.Size),
		MemtableBytes: m.MemTable.Size,
		WrittenBytes:  m.WAL.BytesWritten,
	}
	for _, l := range m.Levels {
		out.WrittenBytes += l.TableBytesFlushed + l.TableBytesCompacted + l.BlobBytesFlushed + l.BlobBytesCompacted
	}
	return out
}

// Close syncs and closes. A store that failed is left as it is, its directory
// locked until the process ends: Pebble's own close would wait for a write that
// never comes, and nobody may write behind its back.
func (s *pebbleStore) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	if s.failed.get() != nil {
		return nil
	}
	return errors.Join(s.db.Close(), s.lock.Close())
}

type pebbleIter struct {
	it *pebble.Iterator
	s  *pebbleStore
}

func (i *pebbleIter) SeekGE(key []byte) bool { return i.it.SeekGE(key) }
func (i *pebbleIter) SeekLT(key []byte) bool { return i.it.SeekLT(key) }
func (i *pebbleIter) Next() bool             { return i.it.Next() }
func (i *pebbleIter) Key() []byte            { return i.it.Key() }

func (i *pebbleIter) Value() ([]byte, error) {
	v, err := i.it.ValueAndErr()
	return v, i.s.readErr(err)
}

func (i *pebbleIter) Close() error {
	err := i.it.Error()
	return i.s.readErr(errors.Join(err, i.it.Close()))
}
