package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"geocache/engine"
	"geocache/op"
	"geocache/rdb"
	"geocache/rdbvalue"
)

// loadSnapshot fills the region from dbfilename, as Redis does at its start
// with appendonly no. A store that has kept this region's data before, for its
// siblings, is newer and knows what was removed: then the file is left alone,
// for its values would come back from the dead.
func (n *Node) loadSnapshot() error {
	snap := n.conf.Load()
	switch {
	case n.opts.LoadFile == nil:
		return nil
	case snap.AppendOnly:
		n.mentionSnapshot(snap.DBFilename)
		return nil
	case n.disk.recovery.known:
		n.log.Info("the snapshot file is not loaded: the data directory has newer data", "file", snap.DBFilename)
		return nil
	}
	start := n.opts.Micros()
	n.loading.Store(true)
	defer n.loading.Store(false)
	err := n.opts.LoadFile(snap.DBFilename, func(in io.Reader) error { return n.decodeSnapshot(in, replaceKeys) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("loading the snapshot file %s: %w", snap.DBFilename, err)
	}
	s := &n.saves
	s.Lock()
	s.state.savedChanges = n.engine.Changes()
	st := s.state
	s.Unlock()
	n.log.Info("DB loaded from disk", "file", snap.DBFilename, "keys", st.loadedKeys, "expired", st.expiredKeys,
		"seconds", float64(n.opts.Micros()-start)/1e6)
	return n.foundWithData(st.loadedKeys)
}

// mentionSnapshot warns whoever turns the log on and expects the first start to
// bring the data of the file, which Redis does not do either.
func (n *Node) mentionSnapshot(file string) {
	nothing := func(io.Reader) error { return nil }
	if n.disk.recovery.known || n.opts.LoadFile(file, nothing) != nil {
		return
	}
	n.log.Warn("the snapshot file is not loaded under appendonly yes; to take its data over, start with appendonly no once and then CONFIG SET appendonly yes",
		"file", file)
}

// foundWithData makes a deployment that was just founded one that holds data,
// so that it is not joined to another by accident.
func (n *Node) foundWithData(keys int64) error {
	db, id := n.disk.db.Load(), n.identity()
	if db == nil || keys == 0 || id.Deployment == 0 || id.DeploymentFirm {
		return nil
	}
	id.DeploymentFirm = true
	n.setIdentity(id)
	return db.SetIdentity(id)
}

// Bounds of what is handed to the engine at a time.
const (
	loadKeys  = 256
	loadBytes = 1 << 20
)

// loadMode says what becomes of a key that is there when the file has it too.
type loadMode uint8

const (
	replaceKeys loadMode = iota
	refuseKeys
)

var errKeyExists = errors.New("the file has a key that exists")

// decodeSnapshot reads an RDB file into the engine. Expired keys are left out.
func (n *Node) decodeSnapshot(in io.Reader, mode loadMode) error {
	r := rdb.NewReader(in)
	l := snapshotLoader{n: n, tx: n.engine.NewTx(), nowMs: n.wall.NowMs(), mode: mode}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if e.DB >= n.engine.Databases() {
			return fmt.Errorf("the file has a database %d, but only %d are configured (databases)", e.DB, n.engine.Databases())
		}
		if err := l.add(e); err != nil {
			return err
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	s := &n.saves
	s.Lock()
	s.state.loadedKeys, s.state.expiredKeys = l.loaded, l.expired
	s.Unlock()
	return nil
}

// snapshotLoader gathers keys and writes them as local transactions.
type snapshotLoader struct {
	n               *Node
	tx              *engine.Tx
	nowMs           int64
	mode            loadMode
	batch           []loadedKey
	bytes           int
	loaded, expired int64
}

// loadedKey is a key to be written: a string, or where there is one a
// collection.
type loadedKey struct {
	key        engine.Key
	str        []byte
	coll       *op.Coll
	deadlineMs int64
}

func (l *snapshotLoader) add(e rdb.Entry) error {
	if e.DeadlineMs != 0 && e.DeadlineMs <= l.nowMs {
		l.expired++
		return nil
	}
	k := loadedKey{key: engine.Key{DB: e.DB, Name: e.Key}, deadlineMs: e.DeadlineMs}
	if str, isString := e.Value.(rdb.String); isString {
		k.str = str
		l.bytes += len(str)
	} else {
		var err error
		if k.coll, err = rdbvalue.Coll(e.Value, l.nowMs); err != nil {
			return err
		}
		if rdbvalue.Expired(k.coll) {
			l.expired++
			return nil
		}
		l.bytes += collBytes(k.coll)
	}
	l.batch = append(l.batch, k)
	l.bytes += len(e.Key)
	if len(l.batch) < loadKeys && l.bytes < loadBytes {
		return nil
	}
	return l.flush()
}

// collBytes is about what a collection takes on its way.
func collBytes(c *op.Coll) (n int) {
	for _, els := range c.Elem {
		for i := range els {
			n += len(els[i].Key) + len(els[i].Val)
		}
	}
	return n
}

func (l *snapshotLoader) flush() error {
	sc := engine.Scope{Keys: make([]engine.Key, len(l.batch))}
	for i := range l.batch {
		sc.Keys[i] = l.batch[i].key
	}
	var refused error
	err := l.tx.Run(sc, l.nowMs, func(tx *engine.Tx) {
		for i := range l.batch {
			if refused = l.put(tx, &l.batch[i]); refused != nil {
				return
			}
		}
	})
	if err := cmp.Or(err, refused); err != nil {
		return err
	}
	l.loaded += int64(len(l.batch))
	clear(l.batch)
	l.batch, l.bytes = l.batch[:0], 0
	// Where siblings will want to know, the log must not pile up in memory.
	for l.n.WriteLog() {
	}
	return l.n.diskError()
}

// put writes one key. It keeps the time that the file gives it.
func (l *snapshotLoader) put(tx *engine.Tx, k *loadedKey) error {
	if l.mode == refuseKeys && tx.Exists(k.key) {
		return errKeyExists
	}
	exp := engine.DeadlineAt(k.deadlineMs)
	if k.coll == nil {
		tx.SetString(k.key, k.str, exp)
	} else if claimed := len(k.coll.Elem[op.Main]); tx.PutColl(k.key, k.coll, exp) != claimed {
		return fmt.Errorf("key %q: an element comes twice", k.key.Name)
	}
	tx.Uncap(k.key)
	return nil
}
