package persist

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a store that can crash: MemStore, or Pebble on its crashable files.
type disk interface {
	open(t testing.TB) Store
	crash(t testing.TB, r *rand.Rand)
}

type memDisk struct{ s *MemStore }

func (d *memDisk) open(testing.TB) Store {
	if d.s == nil {
		d.s = NewMemStore()
	} else {
		d.s = d.s.Reopen()
	}
	return d.s
}

func (d *memDisk) crash(_ testing.TB, r *rand.Rand) { d.s = d.s.Crash(r.IntN) }

type pebbleDisk struct {
	fs *vfs.MemFS
	s  Store
}

func (d *pebbleDisk) open(t testing.TB) Store {
	if d.fs == nil {
		d.fs = vfs.NewCrashableMem()
		if err := d.fs.MkdirAll("", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenPebble("data", PebbleOptions{FS: d.fs, MemtableBytes: minMemtableBytes, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d.s = s
	return s
}

func (d *pebbleDisk) crash(_ testing.TB, r *rand.Rand) {
	clone := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
	_ = d.s.Close()
	d.fs = clone
}

func eachDisk(t *testing.T, fn func(t *testing.T, d disk)) {
	t.Run("mem", func(t *testing.T) { fn(t, &memDisk{}) })
	t.Run("pebble", func(t *testing.T) { fn(t, &pebbleDisk{}) })
}

func dump(t testing.TB, s Store) string {
	var sb strings.Builder
	err := walk(s, []byte{0}, []byte{0xff}, func(k, v []byte) error {
		fmt.Fprintf(&sb, "%s=%s ", k, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sb.String()
}

func TestStoreOrdersAndFindsKeys(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk) {
		s := d.open(t)
		defer s.Close()
		var b Batch
		for _, k := range []string{"d", "b", "a", "c", "e"} {
			b.Set([]byte(k), []byte("1"))
		}
		b.DeleteRange([]byte("b"), []byte("d"))
		b.Set([]byte("c"), []byte("2"))
		b.Delete([]byte("e"))
		if err := s.Apply(&b, Sync); err != nil {
			t.Fatal(err)
		}
		if got := dump(t, s); got != "a=1 c=2 d=1 " {
			t.Fatal(got)
		}
		if _, err := s.Get([]byte("b")); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if v, err := s.Get([]byte("c")); err != nil || string(v) != "2" {
			t.Fatal(v, err)
		}
		it, err := s.Iter([]byte("b"), []byte("d"))
		if err != nil {
			t.Fatal(err)
		}
		if it.SeekLT([]byte("c")) || !it.SeekLT([]byte("z")) || string(it.Key()) != "c" || it.Next() {
			t.Fatal("seeks leave the bounds")
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		if m := s.Metrics(); m.DiskBytes == 0 || m.WrittenBytes == 0 {
			t.Fatalf("%+v", m)
		}
	})
}

func TestCrashKeepsSyncedAndAPrefix(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk) {
		r := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			s := d.open(t)
			var b Batch
			b.DeleteRange([]byte("k"), []byte("l"))
			for i := range 10 {
				b.Set(fmt.Appendf(nil, "k%02d", i), nil)
				mode := NoSync
				if i == 4 {
					mode = Sync
				}
				if err := s.Apply(&b, mode); err != nil {
					t.Fatal(err)
				}
				b.Reset()
			}
			d.crash(t, r)
			s = d.open(t)
			n := strings.Count(dump(t, s), "=")
			want := ""
			for i := range n {
				want += fmt.Sprintf("k%02d= ", i)
			}
			if got := dump(t, s); n < 5 || got != want {
				t.Fatalf("after the crash: %s", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestMemStoreFaults(t *testing.T) {
	s := NewMemStore()
	var b Batch
	b.Set([]byte("a"), bytes.Repeat([]byte("x"), 100))
	s.Inject(Faults{CapacityBytes: 50})
	if err := s.Apply(&b, NoSync); !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	s.Inject(Faults{WriteErr: boom})
	if err := s.Apply(&b, NoSync); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	s.Inject(Faults{})
	if err := s.Apply(&b, NoSync); err != nil {
		t.Fatal(err)
	}
	s.Inject(Faults{SyncErr: boom})
	if err := s.Sync(); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	s.Inject(Faults{})
	if err := s.Sync(); !errors.Is(err, boom) {
		t.Fatalf("a failed sync did not stick: %v", err)
	}
	if dump(t, s.Crash(func(int) int { return 0 })) != "" {
		t.Fatal("unsynced data survived")
	}
	if err := s.Sync(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestOpenPebbleRefusals(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenPebble(dir, PebbleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := OpenPebble(dir, PebbleOptions{}); !errors.As(err, &locked) {
		t.Fatalf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/"+formatMarker+"000999.999", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var newer *NewerFormatError
	if _, err := OpenPebble(dir, PebbleOptions{}); !errors.As(err, &newer) || newer.Found != 999 {
		t.Fatalf("newer format: %v", err)
	}
	if err := os.Remove(dir + "/" + formatMarker + "000999.999"); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenPebble(dir, PebbleOptions{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	var b Batch
	b.Set([]byte("a"), nil)
	if err := s.Apply(&b, NoSync); err == nil {
		t.Fatal("a read-only store was changed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPebble(dir+"/none", PebbleOptions{ReadOnly: true}); err == nil {
		t.Fatal("read-only open of nothing")
	}
	if _, err := s.Get(nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestOpenPebbleReportsDamage(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenPebble(dir, PebbleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	for i := range 1000 {
		b.Set(fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte("v"), 100))
	}
	if err := errors.Join(s.Apply(&b, Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	// Opening replays the write-ahead log into a table; a second one reads it.
	if s, err = OpenPebble(dir, PebbleOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(dir + "/*.sst")
	if err != nil || len(tables) == 0 {
		t.Fatal("no table on disk", err)
	}
	for _, name := range tables {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data[:len(data)/2] {
			data[i] ^= 0x55
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var damaged *DamageError
	if s, err = OpenPebble(dir, PebbleOptions{}); err == nil {
		err = walk(s, []byte{0}, []byte{0xff}, func(_, _ []byte) error { return nil })
		_ = s.Close()
	}
	if !errors.As(err, &damaged) {
		t.Fatalf("broken tables: %v", err)
	}
	manifests, err := filepath.Glob(dir + "/MANIFEST-*")
	if err != nil || len(manifests) == 0 {
		t.Fatal("no manifest", err)
	}
	for _, name := range manifests {
		if err := os.WriteFile(name, []byte("nonsense"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the first failure must let go of the lock
		if _, err := OpenPebble(dir, PebbleOptions{}); err == nil || errors.As(err, new(*LockedError)) {
			t.Fatalf("broken manifest: %v", err)
		}
	}
}

// walFS counts what reaches the operating system of the write-ahead log and
// can make it fail.
type walFS struct {
	vfs.FS
	written, syncs atomic.Int64
	broken         atomic.Bool
}

type walFile struct {
	vfs.File
	fs *walFS
}

var errDisk = errors.New("disk is gone")

func (w *walFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".log") {
		f = &walFile{f, w}
	}
	return f, err
}

func (w *walFS) Unwrap() vfs.FS { return w.FS }

func (f *walFile) Write(p []byte) (int, error) {
	f.fs.written.Add(int64(len(p)))
	if f.fs.broken.Load() {
		return 0, errDisk
	}
	return f.File.Write(p)
}

func (f *walFile) sync(err error) error {
	f.fs.syncs.Add(1)
	if f.fs.broken.Load() {
		return errDisk
	}
	return err
}

func (f *walFile) Sync() error     { return f.sync(f.File.Sync()) }
func (f *walFile) SyncData() error { return f.sync(f.File.SyncData()) }

// Under everysec a step a second must bring even a small record to the
// operating system and sync it: Pebble on its own keeps it in memory.
func TestEverySecSyncsOnceAndWhole(t *testing.T) {
	fs := &walFS{FS: vfs.NewMem()}
	s, err := OpenPebble("data", PebbleOptions{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	db, _, err := Open(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before, syncs := fs.written.Load(), fs.syncs.Load()
	for range 50 {
		db.Log.Append([]byte("record"))
		if _, err := db.Log.WriteStep(); err != nil {
			t.Fatal(err)
		}
	}
	if fs.syncs.Load() != syncs || db.Log.Durable() != 0 {
		t.Fatal("synced before SyncStep")
	}
	for range 3 {
		if err := db.Log.SyncStep(); err != nil {
			t.Fatal(err)
		}
	}
	if n := fs.syncs.Load() - syncs; n != 1 {
		t.Fatalf("%d syncs for one second's work", n)
	}
	if n := fs.written.Load() - before; n < 50*6 || db.Log.Durable() != 50 {
		t.Fatalf("%d bytes reached the system, durable up to %d", n, db.Log.Durable())
	}
}

func TestPebbleWriteFailureSticks(t *testing.T) {
	for _, policy := range []Policy{Always, EverySec} {
		fs := &walFS{FS: vfs.NewMem()}
		var lines atomic.Int64
		s, err := OpenPebble("data", PebbleOptions{FS: fs, Logger: func(string) { lines.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		db, _, err := Open(s, Options{Log: LogOptions{Policy: policy}})
		if err != nil {
			t.Fatal(err)
		}
		fs.broken.Store(true)
		db.Log.Append([]byte("record"))
		_, err1 := db.Log.WriteStep()
		err2 := db.Log.SyncStep()
		if err1 == nil && err2 == nil || db.Log.Failed() == nil || db.Log.Durable() != 0 {
			t.Fatalf("policy %d: %v %v, durable %d", policy, err1, err2, db.Log.Durable())
		}
		fs.broken.Store(false)
		if _, err := db.Log.WriteStep(); err == nil || lines.Load() == 0 {
			t.Fatal("the failure did not stick, or was silent")
		}
		if err := s.Sync(); err == nil {
			t.Fatal("store recovered")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
