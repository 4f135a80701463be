package node

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/rdb"
	"geocache/rdbvalue"
	"geocache/resp"
)

// debugging is what DEBUG does to the region (command.Debug). All of it runs
// where blocking is allowed.
type debugging struct{ n *Node }

// Debug implements command.Host.
func (n *Node) Debug() command.Debug { return debugging{n} }

// Log implements command.Debug.
func (d debugging) Log(text string) { d.n.log.Warn("DEBUG LOG", "message", text) }

// alone runs fn while commands that have not begun wait, and nobody
// reconfigures.
func (n *Node) alone(fn func() error) error {
	n.reconfigure.Lock()
	defer n.reconfigure.Unlock()
	n.saves.reloading.Store(true)
	defer n.resumeAll()
	defer n.saves.reloading.Store(false)
	return fn()
}

// Reload implements command.Debug. To siblings, and to the log, it is what the
// commands would be that flush and set the keys anew.
func (d debugging) Reload(m command.ReloadMode) error {
	n := d.n
	if n.opts.LoadFile == nil {
		return resp.ErrReload
	}
	return n.alone(func() error {
		if m.NoSave == command.Off && n.saveInTurn() != nil {
			return resp.ErrNoReason
		}
		mode := replaceKeys
		switch {
		case m.NoFlush == command.Off:
			if err := n.flushAll(); err != nil {
				return err
			}
		case m.Merge == command.Off:
			mode = refuseKeys
		}
		file := n.conf.Load().DBFilename
		if err := n.opts.LoadFile(file, func(in io.Reader) error { return n.decodeSnapshot(in, mode) }); err != nil {
			n.log.Error("DEBUG RELOAD failed", "file", file, "error", err)
			return resp.ErrReload
		}
		n.log.Warn("DB reloaded by DEBUG RELOAD")
		return nil
	})
}

// flushAll removes everything, as FLUSHALL does.
func (n *Node) flushAll() error {
	return n.engine.NewTx().Run(engine.Scope{World: true}, n.wall.NowMs(), func(tx *engine.Tx) {
		for db := range n.engine.Databases() {
			tx.FlushDB(db)
		}
	})
}

// LoadLog implements command.Debug. Where no log is kept the data goes to a
// store and back, which is then emptied again. Where it cannot be recovered the
// server ends, as Redis does: there is none to go on with.
func (d debugging) LoadLog() error {
	n := d.n
	return n.alone(func() error {
		snap := n.conf.Load()
		if len(snap.Siblings) > 0 {
			n.log.Error("DEBUG LOADAOF is for a region without siblings")
			return resp.ErrLoadLog
		}
		recoverAll := n.openDisk
		if !snap.AppendOnly {
			if err := n.storeAll(snap); err != nil {
				n.log.Error("DEBUG LOADAOF failed", "error", err)
				return resp.ErrLoadLog
			}
			recoverAll = n.takeBack
		}
		for n.WriteLog() {
		}
		err := n.detachDisk(snap)
		if err == nil {
			err = n.flushAll()
		}
		if err == nil {
			err = recoverAll()
		}
		if err != nil {
			n.log.Error("DEBUG LOADAOF failed: the server ends", "error", err)
			n.opts.Stop()
			return resp.ErrLoadLog
		}
		n.engine.Configure(n.params(n.conf.Load()))
		n.log.Warn("data recovered by DEBUG LOADAOF")
		return nil
	})
}

// storeAll attaches a store to a region that keeps no log, and writes all rows.
func (n *Node) storeAll(snap *config.Snapshot) error {
	logged := *snap
	logged.AppendOnly = true
	if err := n.attachDisk(&logged); err != nil {
		return err
	}
	return n.checkpointNow()
}

// takeBack recovers what storeAll wrote, and empties the store.
func (n *Node) takeBack() error {
	db, rec, err := n.openStore(n.conf.Load())
	if err != nil {
		return err
	}
	if _, err = n.recover(db, rec); err == nil {
		err = db.DeleteAll(n.identity(), nil)
	}
	n.engine.TakeDirty() // nobody writes rows from here on
	return errors.Join(err, db.CloseClean())
}

// Digest implements command.Debug.
func (d debugging) Digest() (string, error) {
	var sum dataDigest
	if err := d.n.eachEntry(d.n.engine.BeginSnapshot(d.n.wall.NowMs()), sum.add); err != nil {
		return "", err
	}
	return sum.sum.String(), nil
}

// keyTx runs fn in a tx over keys, with values that lie on disk brought back
// first.
func (n *Node) keyTx(keys []engine.Key, fn func(*engine.Tx)) error {
	tx := n.engine.NewTx()
	for range maxFetches {
		err := tx.Run(engine.Scope{Keys: keys}, n.wall.NowMs(), fn)
		var need *engine.NeedRow
		if !errors.As(err, &need) {
			return err
		}
		if err := n.fetchNow(need); err != nil {
			return resp.Wrap(err)
		}
	}
	return resp.ErrOOM
}

// entryOf is a key as a snapshot has it; its value is valid inside the tx.
func entryOf(tx *engine.Tx, k engine.Key) (e rdb.Entry, ok bool) {
	str, coll, ok := tx.Content(k)
	if !ok {
		return e, false
	}
	e = rdb.Entry{DB: k.DB, Key: k.Name, Value: rdbvalue.Of(str, coll)}
	e.DeadlineMs, _ = tx.Deadline(k)
	return e, true
}

// DigestValues implements command.Debug.
func (d debugging) DigestValues(keys []engine.Key) (list []string, err error) {
	txErr := d.n.keyTx(keys, func(tx *engine.Tx) {
		list, err = list[:0], nil
		for _, k := range keys {
			var sum digest
			if e, ok := entryOf(tx, k); ok {
				err = errors.Join(err, sum.value(e))
			}
			list = append(list, sum.String())
		}
	})
	return list, errors.Join(txErr, err)
}

// dumpOverhead is the type, version and checksum of a dump.
const dumpOverhead = 11

// Object implements command.Debug.
func (d debugging) Object(k engine.Key) (o command.ObjectInfo, err error) {
	txErr := d.n.keyTx([]engine.Key{k}, func(tx *engine.Tx) {
		e, ok := entryOf(tx, k)
		if !ok {
			err = resp.ErrNoSuchKey
			return
		}
		var dump []byte
		if dump, err = rdb.AppendDump(nil, e.Value); err != nil {
			return
		}
		info, _ := tx.Info(k)
		o = command.ObjectInfo{SerializedBytes: len(dump) - dumpOverhead, IdleMs: info.IdleMs, Elements: -1}
		o.Encoding, _ = tx.Encoding(k)
		if o.Encoding == "hashtable" || o.Encoding == "skiplist" {
			o.Elements = elementsOf(e.Value)
		}
	})
	if txErr != nil {
		err = txErr
	}
	return o, err
}

func elementsOf(v rdb.Value) int {
	switch v := v.(type) {
	case rdb.Hash:
		return v.Len
	case rdb.Set:
		return v.Len
	case rdb.ZSet:
		return v.Len
	}
	return 0
}

// Tables implements command.Debug.
func (d debugging) Tables(db int) (engine.DBInfo, error) { return d.n.engine.DBInfos()[db], nil }

// populateBatch is how many keys are made at a time.
const populateBatch = 256

// Populate implements command.Debug.
func (d debugging) Populate(p command.Population) error {
	for first := int64(0); first < p.Count; first += populateBatch {
		var keys []engine.Key
		for i := first; i < min(first+populateBatch, p.Count); i++ {
			keys = append(keys, engine.Key{DB: p.DB, Name: fmt.Appendf(nil, "%s:%d", p.Prefix, i)})
		}
		err := d.n.keyTx(keys, func(tx *engine.Tx) {
			for i, k := range keys {
				if !tx.Exists(k) {
					tx.SetString(k, populateValue(first+int64(i), p.SizeBytes), engine.DeadlineAt(0))
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func populateValue(i, sizeBytes int64) []byte {
	v := strconv.AppendInt([]byte("value:"), i, 10)
	if sizeBytes == 0 {
		return v
	}
	whole := make([]byte, sizeBytes)
	copy(whole, v)
	return whole
}
