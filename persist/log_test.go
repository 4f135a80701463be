package persist

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func openMem(t testing.TB, o LogOptions) (*MemStore, *DB) {
	t.Helper()
	s := NewMemStore()
	db, _, err := Open(s, Options{Log: o})
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

func writeAll(t testing.TB, l *Log) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = l.WriteStep(); err != nil {
			t.Fatal(err)
		}
	}
}

// Many appenders, one row and one sync for everybody who waits.
func TestGroupCommit(t *testing.T) {
	wakes, durable := 0, []uint64(nil)
	var mu sync.Mutex
	s, db := openMem(t, LogOptions{
		Policy:    Always,
		OnAppend:  func() { mu.Lock(); wakes++; mu.Unlock() },
		OnDurable: func(pos uint64) { durable = append(durable, pos) },
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				pos := db.Log.Append([]byte("some record"))
				recs, _, err := db.Log.Read(pos, 1)
				if err != nil || len(recs) != 1 {
					t.Errorf("own record at %d: %v", pos, err)
				}
			}
		})
	}
	wg.Wait()
	if db.Log.Written() != 0 || db.Log.Durable() != 0 {
		t.Fatal("appending wrote")
	}
	writeAll(t, db.Log)
	if st := db.Log.Stats(); st.Groups != 1 || st.Written != 800 || st.Durable != 800 || st.BacklogBytes != 0 || st.Records != 800 {
		t.Fatalf("%+v", st)
	}
	if len(durable) != 1 || durable[0] != 800 || wakes != 800 {
		t.Fatalf("durable %v, %d wakes", durable, wakes)
	}
	n := 0
	if err := walkGroups(s, 1, func(g group) error { n += len(g.recs); return nil }); err != nil || n != 800 {
		t.Fatal(n, err)
	}
}

// Appenders, writer, syncer and readers at once, for the race detector.
func TestLogInParallel(t *testing.T) {
	_, db := openMem(t, LogOptions{TailBytes: 4 << 10})
	l := db.Log
	const each = 3000
	var appenders, others sync.WaitGroup
	for a := range 4 {
		appenders.Go(func() {
			for i := range each {
				l.Append(fmt.Appendf(nil, "%d:%d:%s", a, i, bytes.Repeat([]byte("x"), i%200)))
			}
		})
	}
	stop := make(chan struct{})
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	others.Go(func() {
		for running() {
			if _, err := l.WriteStep(); err != nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		for running() {
			if err := l.SyncStep(); err != nil {
				t.Error(err)
			}
			l.SetPolicy((l.Policy() + 1) % 3)
			l.Stats()
		}
	})
	seen := [4]int{}
	others.Go(func() {
		for next := uint64(1); next <= 4*each; {
			recs, n, err := l.Read(next, 1000)
			if err != nil {
				t.Error(err)
				return
			}
			for _, rec := range recs {
				var a, i int
				if _, err := fmt.Sscanf(string(rec), "%d:%d:", &a, &i); err != nil || i != seen[a] {
					t.Errorf("record %q, expected number %d", rec, seen[a])
					return
				}
				seen[a]++
			}
			next = n
		}
		close(stop)
	})
	appenders.Wait()
	others.Wait()
}

func TestBacklogBoundAndDrain(t *testing.T) {
	drained := 0
	_, db := openMem(t, LogOptions{BacklogBytes: 1 << 20, OnDrained: func() { drained++ }})
	l := db.Log
	rec := make([]byte, 100<<10)
	for !l.Full() {
		l.Append(rec)
	}
	if n := l.Stats().BacklogBytes; n < 1<<20 || n > 1<<20+200<<10 {
		t.Fatalf("full at %d bytes", n)
	}
	writeAll(t, l)
	writeAll(t, l)
	if drained != 1 || l.Full() {
		t.Fatalf("drained %d times", drained)
	}
}

func TestTailIsBoundedAndDiskGoesOn(t *testing.T) {
	_, db := openMem(t, LogOptions{TailBytes: 1 << 20})
	l := db.Log
	rec := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 10<<10) }
	for i := range 500 {
		l.Append(rec(i))
		if i%7 == 0 {
			writeAll(t, l)
		}
	}
	writeAll(t, l)
	if n := l.Stats().TailBytes; n > 1<<20 || n < 256<<10 {
		t.Fatalf("tail of %d bytes", n)
	}
	for next := uint64(1); next < l.End(); {
		recs, n, err := l.Read(next, 64<<10)
		if err != nil || len(recs) == 0 || len(recs) > 7 {
			t.Fatalf("read at %d: %d records, %v", next, len(recs), err)
		}
		for i, r := range recs {
			if !bytes.Equal(r, rec(int(next)-1+i)) {
				t.Fatalf("wrong record at %d", next+uint64(i))
			}
		}
		next = n
	}
	l.SetTailBytes(0)
	l.Append(rec(500))
	writeAll(t, l)
	if n := l.Stats().TailBytes; n != 0 {
		t.Fatalf("tail of %d bytes without a budget", n)
	}
	big := make([]byte, 3<<20)
	pos := l.Append(big)
	if recs, _, err := l.Read(pos, 1); err != nil || len(recs) != 1 || len(recs[0]) != len(big) {
		t.Fatal("a record beyond maxBytes must still come")
	}
}

// A record larger than Pebble's memtables, through a crash.
func TestHugeRecord(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk) {
		db, _, err := Open(d.open(t), Options{Log: LogOptions{Policy: Always, TailBytes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		huge := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		for _, rec := range [][]byte{[]byte("a"), huge, []byte("z")} {
			db.Log.Append(rec)
		}
		writeAll(t, db.Log)
		d.crash(t, rand.New(rand.NewPCG(1, 2)))
		if db, _, err = Open(d.open(t), Options{}); err != nil {
			t.Fatal(err)
		}
		recs, next, err := db.Log.Read(2, 1<<30)
		if err != nil || next != 4 || !bytes.Equal(recs[0], huge) || string(recs[1]) != "z" {
			t.Fatal(len(recs), next, err)
		}
		_ = db.Close()
	})
}

func TestNothingIsDurableAfterAFailure(t *testing.T) {
	for name, f := range map[string]Faults{
		"write": {WriteErr: errDisk}, "sync": {SyncErr: errDisk}, "full": {CapacityBytes: 10},
	} {
		t.Run(name, func(t *testing.T) {
			var told []uint64
			s, db := openMem(t, LogOptions{Policy: Always, OnDurable: func(pos uint64) { told = append(told, pos) }})
			l := db.Log
			l.Append([]byte("a"))
			writeAll(t, l)
			l.Append([]byte("b"))
			s.Inject(f)
			_, err := l.WriteStep()
			var failed *FailedError
			if !errors.As(err, &failed) || l.Failed() == nil {
				t.Fatalf("got %v", err)
			}
			s.Inject(Faults{})
			l.Append([]byte("c"))
			if _, err := l.WriteStep(); err == nil {
				t.Fatal("wrote on after a failure")
			}
			if err := l.SyncStep(); err == nil {
				t.Fatal("synced on after a failure")
			}
			l.madeDurable(2) // a step that overlapped the failure
			if err := db.SetBound(1); err == nil {
				t.Fatal("meta went on after a failure")
			}
			if _, err := db.StartCheckpoint(newToy(), 1, nil); err == nil {
				t.Fatal("checkpoint after a failure")
			}
			if l.Durable() != 1 || len(told) != 1 {
				t.Fatalf("durable %d, told %v", l.Durable(), told)
			}
			if err := db.CloseClean(); err == nil {
				t.Fatal("closed clean after a failure")
			}
			_, rec, err := Open(s.Reopen(), Options{})
			if err != nil || rec.Clean {
				t.Fatalf("clean %v, %v", rec.Clean, err)
			}
		})
	}
}

func TestChangeToAlwaysSyncsWhatWasWritten(t *testing.T) {
	_, db := openMem(t, LogOptions{Policy: No})
	db.Log.Append([]byte("a"))
	writeAll(t, db.Log)
	if db.Log.Durable() != 0 {
		t.Fatal("durable without a sync")
	}
	db.Log.SetPolicy(Always)
	writeAll(t, db.Log)
	if db.Log.Durable() != 1 {
		t.Fatal("not synced")
	}
}

func TestCutKeepsWhatIsRetained(t *testing.T) {
	_, db := openMem(t, LogOptions{TailBytes: 1})
	l := db.Log
	for i := range 20 {
		l.Append(fmt.Appendf(nil, "%02d", i+1))
		if i%4 == 3 {
			writeAll(t, l) // groups 1-4, 5-8, 9-12, 13-16, 17-20
		}
	}
	full := l.Stats().DiskBytes
	l.SetRetain(7)
	runCheckpoint(t, db, newToy())
	if l.First() != 5 {
		t.Fatalf("log begins at %d: position 7 is in the group 5-8", l.First())
	}
	if recs, _, err := l.Read(7, 1); err != nil || string(recs[0]) != "07" {
		t.Fatal(recs, err)
	}
	if _, _, err := l.Read(4, 1); !errors.Is(err, ErrCut) {
		t.Fatal(err)
	}
	if got := l.Stats().DiskBytes; got != full/5*4 {
		t.Fatalf("%d of %d bytes left", got, full)
	}
	l.SetRetain(0)
	if err := db.CutStep(); err != nil || l.First() != 5 {
		t.Fatal("retain 0 keeps everything", err)
	}
	l.SetRetain(21)
	if err := db.CutStep(); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.First != 21 || st.DiskBytes != 0 || st.Records != 0 {
		t.Fatalf("%+v", st)
	}
	if recs, next, err := l.Read(21, 1); err != nil || len(recs) != 0 || next != 21 {
		t.Fatal(recs, next, err)
	}
}

// runCheckpoint drives a whole checkpoint at the present end of the log.
func runCheckpoint(t testing.TB, db *DB, e *toy) {
	t.Helper()
	cp, err := db.StartCheckpoint(e, db.Log.End()-1, e.vector)
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		if done, err = cp.Step(10); err != nil {
			t.Fatal(err)
		}
		writeAll(t, db.Log)
	}
}

// One record through Append and WriteStep, by how many share a group.
func BenchmarkAppendWrite(b *testing.B) {
	for _, perGroup := range []int{1, 16, 1000} {
		b.Run(fmt.Sprintf("group=%d", perGroup), func(b *testing.B) {
			s, err := OpenPebble(b.TempDir(), PebbleOptions{})
			if err != nil {
				b.Fatal(err)
			}
			db, _, err := Open(s, Options{Log: LogOptions{TailBytes: 8 << 20}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			rec := bytes.Repeat([]byte("r"), 120)
			b.SetBytes(int64(len(rec)))
			b.ReportAllocs()
			for i := range b.N {
				db.Log.Append(rec)
				if i%perGroup == perGroup-1 {
					if _, err := db.Log.WriteStep(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// What a command pays under the commit lock.
func BenchmarkAppend(b *testing.B) {
	_, db := openMem(b, LogOptions{TailBytes: 1, BacklogBytes: 1})
	rec := bytes.Repeat([]byte("r"), 120)
	b.SetBytes(int64(len(rec)))
	for range b.N {
		db.Log.Append(rec)
		if db.Log.backlog.Load() > 16<<20 {
			b.StopTimer()
			writeAll(b, db.Log)
			b.StartTimer()
		}
	}
}
