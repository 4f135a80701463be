package persist

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"geocache/clock"
	"geocache/op"
)

func testIdentity() Identity {
	o := clock.NewOrigin("toronto", 5)
	return Identity{Region: "toronto", Origin: o, Deployment: 77, DeploymentFirm: true, Founding: clock.Stamp{At: 9, Origin: o}}
}

func TestMetaSurvives(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk) {
		db, rec, err := Open(d.open(t), Options{})
		if err != nil || !rec.Identity.IsZero() || rec.Clean || rec.CheckpointPos != 0 || rec.LastReading != 0 {
			t.Fatalf("%+v %v", rec, err)
		}
		id, acked := testIdentity(), clock.Vector{7: 8}
		for _, err := range []error{
			db.SetIdentity(id), db.SetBound(500), db.SetMember("a", []byte("A")), db.SetMember("b", nil),
			db.SetMember("c", []byte("C")), db.SetCursor("a", acked), db.SetCursor("c", acked), db.DeleteMember("c"),
			db.CloseClean(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		db, rec, err = Open(d.open(t), Options{})
		if err != nil || rec.Identity != id || !rec.Clean || rec.LastReading != 500 || rec.DBMap != nil {
			t.Fatalf("%+v %v", rec, err)
		}
		members, err := db.Members()
		if err != nil || !maps.EqualFunc(members, map[string][]byte{"a": []byte("A"), "b": nil}, bytes.Equal) {
			t.Fatal(members, err)
		}
		cursors, err := db.Cursors()
		if err != nil || len(cursors) != 1 || !cursors["a"].Equal(acked) {
			t.Fatal(cursors, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db, rec, err = Open(d.open(t), Options{})
		if err != nil || rec.Clean {
			t.Fatal("an open store still counts as cleanly closed", err)
		}
		_ = db.Close()
	})
}

// setBatch is the record of one SET of key in database 0.
func setBatch(w *toy, t testing.TB, at clock.Reading, key string) []byte {
	var b op.Builder
	b.SetValue(0, []byte(key), []byte("v"))
	rec := op.AppendBatch(nil, op.Header{Origin: 1, First: at, Count: 1}, b.Body())
	w.apply(t, rec)
	return rec
}

func TestCheckpointWritesRowsInOrder(t *testing.T) {
	_, db := openMem(t, LogOptions{})
	e := newToy()
	for i, k := range []string{"c", "a", "b"} {
		db.Log.Append(setBatch(e, t, clock.Reading(i+1), k))
	}
	written := ""
	e.onWritten = func(dbNum int, key, row []byte) {
		if stored, err := db.GetRow(dbNum, key); err != nil || !bytes.Equal(stored, row) {
			t.Errorf("told of a row that is not there: %v", err)
		}
		written += string(key)
	}
	cp, err := db.StartCheckpoint(e, 3, e.vector)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.StartCheckpoint(e, 3, e.vector); !errors.Is(err, ErrCheckpointRunning) {
		t.Fatal(err)
	}
	if done, err := cp.Step(10); done || err != nil || cp.Behind() != 3 {
		t.Fatalf("rows went ahead of the log: behind %d, %v", cp.Behind(), err)
	}
	if _, err := db.GetRow(0, []byte("a")); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	writeAll(t, db.Log)
	for done := false; !done; {
		if done, err = cp.Step(10); err != nil {
			t.Fatal(err)
		}
	}
	if written != "abc" {
		t.Fatalf("told of rows %q", written)
	}
	if cp.Behind() != 0 || db.CheckpointPos() != 3 || db.Log.First() != 4 || db.Log.Durable() != 3 {
		t.Fatal("the checkpoint did not end as it should")
	}
	row, err := db.GetRow(0, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := op.DecodeKeyState(row); err != nil || string(st.Value) != "v" {
		t.Fatal(st, err)
	}
	var keys []string
	err = db.LoadRows(func(_ int, key, _ []byte) error { keys = append(keys, string(key)); return nil })
	if err != nil || !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Fatal(keys, err)
	}
	for _, pos := range []uint64{2, 4} {
		if _, err := db.StartCheckpoint(e, pos, e.vector); err == nil {
			t.Fatalf("checkpoint at %d after one at 3 with the log ending at 4", pos)
		}
	}
}

func TestFailedCheckpointLeavesEverythingToTheNext(t *testing.T) {
	s, db := openMem(t, LogOptions{})
	e := newToy()
	db.Log.Append(setBatch(e, t, 1, "gone"))
	writeAll(t, db.Log)
	runCheckpoint(t, db, e)
	delete(e.cells, KeyID{0, "gone"})
	e.flushed[0] = true
	db.Log.Append(setBatch(e, t, 2, "new"))
	writeAll(t, db.Log)

	cp, err := db.StartCheckpoint(e, 2, e.vector)
	if err != nil {
		t.Fatal(err)
	}
	s.Inject(Faults{WriteErr: errDisk})
	if _, err := cp.Step(10); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	if _, err := cp.Step(10); !errors.Is(err, errDisk) {
		t.Fatal("a failed checkpoint went on")
	}
	cp.Abort()
	s.Inject(Faults{})
	if cp, err = db.StartCheckpoint(e, 2, e.vector); err != nil {
		t.Fatal(err)
	}
	cp.Abort()
	runCheckpoint(t, db, e)
	if _, err := db.GetRow(0, []byte("gone")); !errors.Is(err, ErrNotFound) {
		t.Fatal("the flush was lost with the failed checkpoint")
	}
	if _, err := db.GetRow(0, []byte("new")); err != nil {
		t.Fatal("a key was lost with the failed checkpoint")
	}
}

func TestDeleteAllEmptiesTheRegion(t *testing.T) {
	eachDisk(t, func(t *testing.T, d disk) {
		db, _, err := Open(d.open(t), Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := newToy()
		db.Log.Append(setBatch(e, t, 1, "a"))
		writeAll(t, db.Log)
		runCheckpoint(t, db, e)
		db.Log.Append(setBatch(e, t, 2, "b"))
		if err := db.DeleteAll(testIdentity(), nil); !errors.Is(err, ErrLogBehind) {
			t.Fatal(err)
		}
		writeAll(t, db.Log)
		cp, err := db.StartCheckpoint(e, 2, e.vector)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.DeleteAll(testIdentity(), nil); !errors.Is(err, ErrCheckpointRunning) {
			t.Fatal(err)
		}
		cp.Abort()
		if err := errors.Join(db.SetCursor("x", nil), db.DeleteAll(testIdentity(), clock.Vector{3: 4})); err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Log.Read(2, 1); !errors.Is(err, ErrCut) || db.Log.Stats().DiskBytes != 0 {
			t.Fatal("the log is still there")
		}
		if pos := db.Log.Append(setBatch(e, t, 3, "c")); pos != 3 {
			t.Fatalf("positions went back to %d", pos)
		}
		if err := db.CloseClean(); err != nil {
			t.Fatal(err)
		}
		db, rec, err := Open(d.open(t), Options{})
		if err != nil || rec.Identity != testIdentity() || !rec.Clean || rec.CheckpointPos != 2 || !rec.Vector.Equal(clock.Vector{3: 4}) {
			t.Fatalf("%+v %v", rec, err)
		}
		n := 0
		err = errors.Join(
			db.LoadRows(func(int, []byte, []byte) error { n += 100; return nil }),
			db.ReplayLog(func(uint64, []byte) error { n++; return nil }))
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		_ = db.Close()
	})
}

// filled is a store with rows, a log around the checkpoint, and every record
// of meta/, closed clean.
func filled(t testing.TB) *MemStore {
	s, db := openMem(t, LogOptions{})
	e := newToy()
	err := errors.Join(db.SetIdentity(testIdentity()), db.SetBound(1), db.SetMember("m", []byte("M")), db.SetCursor("m", clock.Vector{1: 1}))
	for i := range 6 {
		db.Log.Append(setBatch(e, t, clock.Reading(i+1), string(rune('a'+i))))
		writeAll(t, db.Log)
		if i == 2 {
			db.Log.SetRetain(2)
			runCheckpoint(t, db, e)
		}
	}
	if err = errors.Join(err, db.CloseClean()); err != nil {
		t.Fatal(err)
	}
	return s.Reopen()
}

func TestCheckSeesEveryDamage(t *testing.T) {
	rep, err := Check(filled(t))
	if err != nil || rep.ProblemCount != 0 || rep.Rows != 3 || rep.LogFirst != 2 || rep.LogEnd != 7 || !rep.Clean ||
		rep.CheckpointPos != 3 || !slices.Equal(rep.Members, []string{"m"}) || rep.Identity != testIdentity() {
		t.Fatalf("%+v %v", rep, err)
	}
	var keys [][]byte
	_ = walk(filled(t), []byte{0}, []byte{0xff}, func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
	expect := func(what string, key []byte, change func(b *Batch, value []byte)) {
		t.Helper()
		s := filled(t)
		v, err := s.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		change(&b, v)
		if err := s.Apply(&b, Sync); err != nil {
			t.Fatal(err)
		}
		rep, err := Check(s)
		if err != nil || rep.ProblemCount == 0 {
			t.Errorf("%s of %s was not seen (%v)", what, showKey(key), err)
			return
		}
		var d *DamageError
		var n *NewerFormatError
		if !errors.As(rep.Problems[0], &d) && !errors.As(rep.Problems[0], &n) {
			t.Errorf("%s of %s: %v", what, showKey(key), rep.Problems[0])
		}
	}
	for _, k := range keys {
		expect("truncation", k, func(b *Batch, v []byte) { b.Set(k, v[:len(v)-1]) })
		if bytes.HasPrefix(k, []byte(rowPrefix)) {
			continue // a row's checksum is Pebble's
		}
		for i := range 3 {
			expect("a flipped bit", k, func(b *Batch, v []byte) { v[(len(v)-1)*i/2] ^= 4; b.Set(k, v) })
		}
	}
	expect("loss", logKey(4), func(b *Batch, _ []byte) { b.Delete(logKey(4)) })
	expect("loss", logKey(6), func(b *Batch, _ []byte) { b.Delete(logKey(6)) })
	expect("loss", []byte(metaCheckpoint), func(b *Batch, _ []byte) { b.Delete([]byte(metaCheckpoint)) })
	expect("loss", []byte(metaFormat), func(b *Batch, _ []byte) { b.Delete([]byte(metaFormat)) })
	expect("misplacement", logKey(6), func(b *Batch, v []byte) { b.Set(logKey(7), v) })
	expect("a stray key", logKey(6), func(b *Batch, v []byte) { b.Set([]byte("zzz"), v) })
	expect("a wrong vector", []byte(metaCheckpoint), func(b *Batch, _ []byte) {
		setRecord(b, metaCheckpoint, encodeMark(mark{3, clock.Vector{1: 2}}))
	})
	expect("a greater vector", []byte(metaCheckpoint), func(b *Batch, _ []byte) {
		setRecord(b, metaCheckpoint, encodeMark(mark{3, clock.Vector{1: 4}}))
	})
}

func TestOpenRefusesDamageAndChangesNothing(t *testing.T) {
	for name, change := range map[string]func(b *Batch){
		"log ends before checkpoint": func(b *Batch) { b.DeleteRange(logKey(3), logKey(9)) },
		"log begins after it":        func(b *Batch) { b.DeleteRange(logKey(0), logKey(5)) },
		"tail cut after clean end":   func(b *Batch) { b.Delete(logKey(6)) },
		"bound":                      func(b *Batch) { b.Set([]byte(metaBound), []byte("xxxxxxxxxxxxx")) },
		"newer layout":               func(b *Batch) { setRecord(b, metaFormat, encodeUint(storeFormat+1)) },
	} {
		s := filled(t)
		var b Batch
		change(&b)
		if err := s.Apply(&b, Sync); err != nil {
			t.Fatal(err)
		}
		before := dump(t, s)
		var d *DamageError
		var n *NewerFormatError
		_, _, err := Open(s, Options{})
		if !errors.As(err, &d) && !errors.As(err, &n) {
			t.Errorf("%s: %v", name, err)
		}
		if dump(t, s) != before {
			t.Errorf("%s: Open changed the store", name)
		}
	}
	s := filled(t)
	var b Batch
	b.Delete(logKey(5))
	if err := s.Apply(&b, Sync); err != nil {
		t.Fatal(err)
	}
	db, _, err := Open(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var d *DamageError
	if err := db.ReplayLog(func(uint64, []byte) error { return nil }); !errors.As(err, &d) {
		t.Fatalf("a gap was replayed: %v", err)
	}
	if _, _, err := db.Log.Read(5, 10); !errors.As(err, &d) {
		t.Fatalf("a gap was read: %v", err)
	}
	if err := db.ReplayLog(func(uint64, []byte) error { return errDisk }); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
}

func TestDBMapIsCheckpointed(t *testing.T) {
	s, db := openMem(t, LogOptions{})
	runCheckpoint(t, db, newToy())
	_, rec, err := Open(s.Reopen(), Options{})
	if err != nil || !slices.Equal(rec.DBMap, []int{1, 0}) {
		t.Fatal(rec, err)
	}
}

func FuzzDecodeGroup(f *testing.F) {
	key := logKey(5)
	f.Add(appendGroup(nil, key, 9, []byte("abc"), []uint32{11, 11, 13}, 10), false)
	f.Add(appendGroup(nil, key, 0, nil, []uint32{0}, 0), true)
	f.Fuzz(func(t *testing.T, value []byte, reseal bool) {
		if reseal && len(value) > sumLen { // look behind the checksum
			sealed := append([]byte{groupVersion}, value[1:]...)
			putSum(sealed, key)
			value = sealed
		}
		g, err := decodeGroup(key, value)
		if err != nil {
			return
		}
		var data []byte
		var ends []uint32
		for _, r := range g.recs {
			data = append(data, r...)
			ends = append(ends, uint32(len(data)))
		}
		again, err := decodeGroup(key, appendGroup(nil, key, g.before, data, ends, 0))
		if err != nil || again.before != g.before || !slices.EqualFunc(again.recs, g.recs, bytes.Equal) {
			t.Fatalf("%+v became %+v: %v", g, again, err)
		}
	})
}

func putSum(value, key []byte) {
	sum := checksum(key, value[1+sumLen:])
	for i := range sumLen {
		value[1+i] = byte(sum >> (24 - 8*i))
	}
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add(encodeIdentity(testIdentity()))
	f.Add(encodeMark(mark{3, clock.Vector{1: 2}}))
	f.Add(encodeDBMap([]int{1, 0, 2}))
	f.Add(encodeRecord(metaBound, encodeUint(7)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := decodeIdentity(b); err == nil && !bytes.Equal(encodeIdentity(id), b) {
			t.Fatalf("identity %+v", id)
		}
		if m, err := decodeMark(b); err == nil {
			if again, err := decodeMark(encodeMark(m)); err != nil || again.pos != m.pos || !again.vector.Equal(m.vector) {
				t.Fatalf("mark %+v", m)
			}
		}
		if dbs, err := decodeDBMap(b); err == nil {
			if again, err := decodeDBMap(encodeDBMap(dbs)); err != nil || !slices.Equal(again, dbs) {
				t.Fatalf("database map %v", dbs)
			}
		}
		if p, err := decodeRecord(metaBound, b); err == nil && !bytes.Equal(encodeRecord(metaBound, p), b) {
			t.Fatalf("record %q", p)
		}
		_, _ = decodeCursor(b)
		_, _ = decodeUint(b)
	})
}
