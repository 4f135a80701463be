package persist

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// toy is an engine with the two properties that persist builds on: changes are
// idempotent, and what changed since the last checkpoint is known.
type toy struct {
	cells   map[KeyID]op.KeyState
	dirty   map[KeyID]bool
	flushed map[int]bool
	vector  clock.Vector

	onWritten func(db int, key, row []byte)
}

func newToy() *toy {
	return &toy{cells: map[KeyID]op.KeyState{}, dirty: map[KeyID]bool{}, flushed: map[int]bool{}, vector: clock.Vector{}}
}

// outlives says which keys a flush leaves: as if a sibling had written them
// meanwhile.
func outlives(key string) bool { return strings.HasPrefix(key, "s") }

func (e *toy) apply(t testing.TB, rec []byte) {
	b, err := op.ParseBatch(rec)
	if err != nil {
		t.Fatal(err)
	}
	for o := range b.Ops() {
		k := KeyID{o.DB, string(o.Key)}
		switch o.Kind {
		case op.Set:
			if e.cells[k].ValueStamp.Less(o.Stamp) {
				e.cells[k] = op.KeyState{ValueStamp: o.Stamp, Value: bytes.Clone(o.Value)}
			}
			e.dirty[k] = true
		case op.Remove:
			if e.cells[k].ValueStamp.Less(o.Stamp) {
				delete(e.cells, k)
			}
			e.dirty[k] = true
		case op.Flush:
			e.flushed[o.DB] = true
			for k, c := range e.cells {
				if k.DB != o.DB {
					continue
				}
				if c.ValueStamp.Less(o.Stamp) && !outlives(k.Key) {
					delete(e.cells, k)
				} else {
					e.dirty[k] = true
				}
			}
		}
	}
	e.vector.Raise(b.Origin, b.Last())
}

func (e *toy) TakeDirty() (keys []KeyID, flushed []int) {
	for k := range e.dirty {
		keys = append(keys, k)
	}
	for d := range e.flushed {
		flushed = append(flushed, d)
	}
	e.dirty, e.flushed = map[KeyID]bool{}, map[int]bool{}
	return keys, flushed
}

func (e *toy) Moved(int, []byte) []KeyID { return nil }

func (e *toy) AppendRow(dst []byte, db int, key []byte) ([]byte, bool) {
	c, ok := e.cells[KeyID{db, string(key)}]
	if !ok {
		return dst, false
	}
	return c.Append(dst), true
}

func (e *toy) RowWritten(db int, key, row []byte) {
	if e.onWritten != nil {
		e.onWritten(db, key, row)
	}
}

func (e *toy) DBMap() []int { return []int{1, 0} }

func (e *toy) show() string {
	keys := make([]KeyID, 0, len(e.cells))
	for k := range maps.Keys(e.cells) {
		keys = append(keys, k)
	}
	var sb strings.Builder
	for _, k := range sortedKeys(keys) {
		c := e.cells[k]
		fmt.Fprintf(&sb, "%d/%s=%s@%s\n", k.DB, k.Key, c.Value, c.ValueStamp)
	}
	return sb.String()
}

func sortedKeys(keys []KeyID) []KeyID {
	for i := range keys {
		for j := i; j > 0 && compareKeys(keys[j-1], keys[j]) > 0; j-- {
			keys[j-1], keys[j] = keys[j], keys[j-1]
		}
	}
	return keys
}

// world is one region's disk under test, and what it should hold.
type world struct {
	t    testing.TB
	r    *rand.Rand
	disk disk
	s    Store
	db   *DB
	cp   *Checkpoint
	toy  *toy
	// records[i] is what was appended at position i+1.
	records [][]byte
	reading clock.Reading
	origin  clock.Origin
	last    clock.Reading // of origin's last batch
}

func newWorld(t testing.TB, r *rand.Rand, d disk) *world {
	w := &world{t: t, r: r, disk: d, reading: 1000}
	w.open(0)
	return w
}

// open recovers and compares: at least the first durable records must be
// there, and memory must be what exactly the records found make of it.
func (w *world) open(durable uint64) Recovery {
	w.t.Helper()
	w.s, w.cp = w.disk.open(w.t), nil
	if rep, err := Check(w.s); err != nil || rep.ProblemCount != 0 {
		w.t.Fatalf("check: %v %v", err, rep.Problems)
	}
	db, rec, err := Open(w.s, Options{Log: LogOptions{
		Policy:    Policy(w.r.IntN(3)),
		TailBytes: 1 + int64(w.r.IntN(400)), BacklogBytes: 1000,
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	end := db.Log.End()
	if end-1 < durable || end-1 > uint64(len(w.records)) {
		w.t.Fatalf("log ends at %d, durable was %d of %d", end, durable, len(w.records))
	}
	w.records = w.records[:end-1]
	w.toy = newToy()
	w.toy.vector = rec.Vector.Clone()
	var prev []byte
	err = db.LoadRows(func(dbNum int, key, row []byte) error {
		full := appendRowKey(nil, dbNum, string(key))
		if bytes.Compare(prev, full) >= 0 {
			w.t.Fatal("rows out of order")
		}
		prev = full
		c, err := op.DecodeKeyState(bytes.Clone(row))
		w.toy.cells[KeyID{dbNum, string(key)}] = c
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	next := rec.CheckpointPos + 1
	err = db.ReplayLog(func(pos uint64, b []byte) error {
		if pos != next || !bytes.Equal(b, w.records[pos-1]) {
			w.t.Fatalf("replayed %d, expected %d", pos, next)
		}
		next++
		w.toy.apply(w.t, b)
		return nil
	})
	if err != nil || next != end {
		w.t.Fatalf("replay ended before %d of %d: %v", next, end, err)
	}
	want := newToy()
	for _, b := range w.records {
		want.apply(w.t, b)
	}
	if got, want := w.toy.show(), want.show(); got != want {
		w.t.Fatalf("recovered\n%sinstead of\n%s", got, want)
	}
	if !w.toy.vector.Equal(want.vector) {
		w.t.Fatalf("vector %v instead of %v", w.toy.vector, want.vector)
	}
	if !rec.Clean {
		w.reading += 100
		w.origin, w.last = clock.NewOrigin("r", uint64(w.reading)), 0
	}
	return rec
}

func (w *world) commit() {
	var b op.Builder
	for range 1 + w.r.IntN(3) {
		db := w.r.IntN(3)
		key := fmt.Appendf(nil, "%c%d", "ks"[w.r.IntN(2)], w.r.IntN(8))
		switch n := w.r.IntN(20); {
		case n == 0:
			b.Flush(db, w.toy.vector)
		case n < 5:
			b.Remove(db, key, nil)
		default:
			b.SetValue(db, key, bytes.Repeat([]byte{byte('a' + n)}, w.r.IntN(40)))
		}
	}
	h := op.Header{Origin: w.origin, First: w.reading, Count: b.Len(), Prev: w.last}
	rec := op.AppendBatch(nil, h, b.Body())
	w.reading += clock.Reading(b.Len())
	w.last = h.Last()
	w.toy.apply(w.t, rec)
	w.records = append(w.records, rec)
	if pos := w.db.Log.Append(rec); pos != uint64(len(w.records)) {
		w.t.Fatalf("position %d instead of %d", pos, len(w.records))
	}
}

func (w *world) read() {
	l := w.db.Log
	from := uint64(w.r.IntN(len(w.records) + 2))
	recs, next, err := l.Read(from, w.r.IntN(300))
	if from < l.First() {
		if !errors.Is(err, ErrCut) {
			w.t.Fatalf("read of %d before %d: %v", from, l.First(), err)
		}
		return
	}
	if err != nil || next != from+uint64(len(recs)) || (len(recs) == 0) != (from >= l.End()) {
		w.t.Fatalf("read of %d in [%d, %d): %d records, next %d, %v", from, l.First(), l.End(), len(recs), next, err)
	}
	for i, rec := range recs {
		if !bytes.Equal(rec, w.records[from-1+uint64(i)]) {
			w.t.Fatalf("wrong record at %d", from+uint64(i))
		}
	}
}

func (w *world) checkpointStep() {
	if w.cp == nil {
		cp, err := w.db.StartCheckpoint(w.toy, w.db.Log.End()-1, w.toy.vector)
		if err != nil {
			w.t.Fatal(err)
		}
		w.cp = cp
	}
	done, err := w.cp.Step(1 + w.r.IntN(4))
	if err != nil && w.db.Log.Failed() == nil && !errors.Is(err, errDisk) {
		w.t.Fatal(err)
	}
	if done || err != nil {
		w.cp = nil
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) step() {
	switch n := w.r.IntN(100); {
	case n < 40:
		if !w.db.Log.Full() {
			w.commit()
		}
	case n < 62:
		_, err := w.db.Log.WriteStep()
		w.must(err)
	case n < 65:
		w.must(w.db.Log.SyncStep())
	case n < 80:
		w.checkpointStep()
	case n < 81:
		if w.cp != nil {
			w.cp.Abort()
			w.cp = nil
		}
	case n < 83:
		w.db.Log.SetRetain(uint64(w.r.IntN(len(w.records) + 2)))
		w.must(w.db.CutStep())
	case n < 84:
		w.db.Log.SetPolicy(Policy(w.r.IntN(3)))
	case n < 86:
		w.checkpointFault()
	case n < 97:
		w.read()
	case n < 99:
		durable := w.db.Log.Durable()
		w.disk.crash(w.t, w.r)
		w.open(durable)
	default:
		w.must(w.db.CloseClean())
		if rec := w.open(uint64(len(w.records))); !rec.Clean {
			w.t.Fatal("a clean end was not seen")
		}
	}
}

// checkpointFault lets a checkpoint step meet a failed write, which must not
// lose dirty keys.
func (w *world) checkpointFault() {
	m, ok := w.s.(*MemStore)
	if !ok {
		return
	}
	m.Inject(Faults{WriteErr: errDisk})
	w.checkpointStep()
	m.Inject(Faults{})
}

func runWorld(t *testing.T, seed uint64, d disk, steps int) {
	w := newWorld(t, rand.New(rand.NewPCG(seed, 7)), d)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range steps {
		w.step()
	}
	w.must(w.db.CloseClean())
	w.open(uint64(len(w.records)))
	_ = w.db.Close()
}

func TestRandomLivesRecover(t *testing.T) {
	for seed := range uint64(400) {
		runWorld(t, seed, &memDisk{}, 400)
	}
}

func TestRandomLivesRecoverOnPebble(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		runWorld(t, seed, &pebbleDisk{}, 250)
	}
}

// A crash after every single step of a checkpoint, with a flush and keys that
// outlive it.
func TestCrashAtEveryCheckpointStep(t *testing.T) {
	eachDisk(t, func(t *testing.T, _ disk) {
		for at := range 14 {
			for seed := range uint64(4) {
				d := disk(&memDisk{})
				if strings.HasSuffix(t.Name(), "pebble") {
					d = &pebbleDisk{}
				}
				w := newWorld(t, rand.New(rand.NewPCG(seed, uint64(at))), d)
				for range 40 {
					w.commit()
				}
				w.drain()
				for w.checkpointStep(); w.cp != nil; w.checkpointStep() {
				}
				var b op.Builder
				b.Flush(1, w.toy.vector)
				rec := op.AppendBatch(nil, op.Header{Origin: w.origin, First: w.reading, Count: 1, Prev: w.last}, b.Body())
				w.last = w.reading
				w.reading++
				w.toy.apply(t, rec)
				w.records = append(w.records, rec)
				w.db.Log.Append(rec)
				w.commit()
				for i := 0; i < at; i++ {
					if w.cp == nil && i > 0 {
						break
					}
					w.checkpointStep()
					w.commit()
					if i%2 == 0 {
						_, err := w.db.Log.WriteStep()
						w.must(err)
					}
				}
				durable := w.db.Log.Durable()
				w.disk.crash(t, w.r)
				w.open(durable)
				_ = w.db.Close()
			}
		}
	})
}

func (w *world) drain() {
	for more := true; more; {
		var err error
		more, err = w.db.Log.WriteStep()
		w.must(err)
	}
}
