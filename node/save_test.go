package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"testing"

	"geocache/command"
	"geocache/config"
	"geocache/persist"
	"geocache/rdb"
	"geocache/resp"
)

// memFiles is a data directory in memory.
type memFiles struct {
	files map[string][]byte
	err   error // of the next saves
}

func newMemFiles() *memFiles { return &memFiles{files: map[string][]byte{}} }

func (m *memFiles) save(name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := errors.Join(write(&b), m.err); err != nil {
		return err
	}
	m.files[name] = b.Bytes()
	return nil
}

func (m *memFiles) load(name string, read func(io.Reader) error) error {
	b, ok := m.files[name]
	if !ok {
		return fs.ErrNotExist
	}
	return read(bytes.NewReader(b))
}

// keys is the file's content as "db/key=value".
func (m *memFiles) keys(t *testing.T) map[string]string {
	t.Helper()
	keys := map[string]string{}
	b, ok := m.files["dump.rdb"]
	if !ok {
		return nil
	}
	for r := rdb.NewReader(bytes.NewReader(b)); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys[fmt.Sprintf("%d/%s", e.DB, e.Key)] = string(e.Value.(rdb.String))
	}
}

// saveRig is a rig with files, whose spawned work waits until run is called.
type saveRig struct {
	*rig
	files *memFiles
	work  []func()
	stops int
}

// open makes a node over the files and store of the rig.
func (r *saveRig) open(options ...string) error {
	r.t.Helper()
	conf, err := config.Load(config.Sources{Options: options, WorkingDir: "/"}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	o := r.opts
	o.Config, o.SaveFile, o.LoadFile = conf, r.files.save, r.files.load
	o.OpenStore = func() (persist.Store, error) {
		r.store = r.store.Reopen()
		return r.store, nil
	}
	o.Spawn = func(fn func()) { r.work = append(r.work, fn) }
	o.Stop = func() { r.stops++ }
	n, err := Open(o)
	if err == nil {
		r.Node, r.s = n, nil
		r.s = r.connect()
	}
	return err
}

func newSaveRig(t *testing.T, options ...string) *saveRig {
	t.Helper()
	r := &saveRig{rig: newRig(t, "appendonly no"), files: newMemFiles()}
	r.restart(options...)
	return r
}

// restart opens anew without saying goodbye.
func (r *saveRig) restart(options ...string) {
	r.t.Helper()
	if err := r.open(options...); err != nil {
		r.t.Fatal(err)
	}
}

// run does the spawned work and lets the session go on.
func (r *saveRig) run() string {
	r.t.Helper()
	for len(r.work) > 0 {
		fn := r.work[0]
		r.work = r.work[1:]
		fn()
		r.s.Resume()
	}
	return string(r.s.Output())
}

func (r *saveRig) want(want string, requests ...string) {
	r.t.Helper()
	if have := r.do(requests...) + r.run(); have != want {
		r.t.Errorf("%q: have %q, want %q", requests, have, want)
	}
}

const ok = "+OK\r\n"

func TestSaveAndLoad(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "databases 4")
	r.want(strings.Repeat(ok, 4), "SET a 1", "SET b two PX 5000", "SET soon x PX 100", "SELECT 3")
	r.want(ok+":2\r\n"+ok, "SET c 3", "INCRBY a 2", "SELECT 0")
	r.expect("persistence", map[string]string{"rdb_changes_since_last_save": "5", "rdb_saves": "0", "rdb_last_save_time": "1700000000"})
	r.wall.Advance(2000)
	r.want(ok, "SAVE")
	r.want(":1700000002\r\n", "LASTSAVE")
	r.expect("persistence", map[string]string{
		"rdb_changes_since_last_save": "0", "rdb_saves": "1", "rdb_last_save_time": "1700000002", "rdb_last_bgsave_status": "ok",
		"rdb_last_bgsave_time_sec": "-1", "rdb_bgsave_in_progress": "0",
	})
	if want := map[string]string{"0/a": "1", "0/b": "two", "3/c": "3", "3/a": "2"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}
	r.restart("appendonly no", "databases 4")
	r.want("$1\r\n1\r\n:3000\r\n:2\r\n", "GET a", "PTTL b", "DBSIZE")
	r.expect("persistence", map[string]string{"rdb_last_load_keys_loaded": "4", "rdb_last_load_keys_expired": "0", "rdb_changes_since_last_save": "0"})
	r.wall.Advance(3000)
	r.restart("appendonly no", "databases 4")
	r.want("$-1\r\n:1\r\n", "GET b", "DBSIZE")
	r.expect("persistence", map[string]string{"rdb_last_load_keys_loaded": "3", "rdb_last_load_keys_expired": "1"})

	if err := r.open("appendonly no", "databases 3"); err == nil || !strings.Contains(err.Error(), "dump.rdb") || !strings.Contains(err.Error(), "database 3, but only 3") {
		t.Error(err)
	}
	r.restart("appendonly no", "databases 4", "dbfilename other.rdb")
	r.want(":0\r\n", "DBSIZE")
	r.restart("appendonly yes", "databases 4")
	r.want(":0\r\n", "DBSIZE")
	r.files.files["dump.rdb"][12] ^= 1
	if err := r.open("appendonly no"); err == nil || !strings.Contains(err.Error(), "loading the snapshot file dump.rdb: rdb: ") {
		t.Error(err)
	}
}

// TestSaveSwitchesDatabases: what was changed meanwhile comes in the order of
// the changes, from any database.
func TestSaveSwitchesDatabases(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "databases 4")
	r.want(strings.Repeat(ok, 6), "SET a 1", "SET b 1", "SELECT 3", "SET a 3", "SET b 3", "SELECT 0")
	if have := r.do("BGSAVE", "SET a 9", "SELECT 3", "DEL a", "SET c 9", "SELECT 0", "DEL b", "SWAPDB 0 3"); !strings.HasSuffix(have, ":1\r\n"+ok) {
		t.Errorf("%q", have)
	}
	r.run()
	want := map[string]string{"0/a": "1", "0/b": "1", "3/a": "3", "3/b": "3"}
	if have := r.files.keys(t); !maps.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
	r.restart("appendonly no", "databases 4")
	r.want("$1\r\n1\r\n:2\r\n"+ok+"$1\r\n3\r\n:2\r\n", "GET b", "DBSIZE", "SELECT 3", "GET a", "DBSIZE")
}

// TestBackgroundSave: what is sent after BGSAVE is not in the file.
func TestBackgroundSave(t *testing.T) {
	r := newSaveRig(t, "appendonly no")
	const started, running = "+Background saving started\r\n", "-ERR Background save already in progress\r\n"
	if have := r.do("SET a 1", "BGSAVE", "APPEND a 2", "FLUSHALL", "SET b 1", "BGSAVE", "BGSAVE SCHEDULE"); have != ok+started+":2\r\n"+ok+ok+running+running {
		t.Errorf("%q", have)
	}
	r.wall.Advance(7000)
	r.expect("persistence", map[string]string{"rdb_bgsave_in_progress": "1", "rdb_current_bgsave_time_sec": "7", "rdb_changes_since_last_save": "1"})
	r.run()
	r.expect("persistence", map[string]string{
		"rdb_bgsave_in_progress": "0", "rdb_current_bgsave_time_sec": "-1", "rdb_last_bgsave_time_sec": "7", "rdb_changes_since_last_save": "1", "rdb_saves": "1",
	})
	if want := map[string]string{"0/a": "1"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}
	r.want("-ERR syntax error\r\n", "BGSAVE now")

	// SAVE meets it, and it meets SAVE.
	if have := r.do("BGSAVE", "SAVE"); have != started {
		t.Errorf("%q", have)
	}
	bgsave, save := r.work[0], r.work[1]
	save()
	r.s.Resume()
	if have := string(r.s.Output()); have != running {
		t.Errorf("%q", have)
	}
	bgsave()
	r.work = nil

	// Inside EXEC it comes later.
	r.want(ok+"+QUEUED\r\n+QUEUED\r\n*2\r\n+Background saving scheduled\r\n"+ok, "MULTI", "BGSAVE", "SET c 3", "EXEC")
	r.tick(1)
	r.run()
	if want := map[string]string{"0/b": "1", "0/c": "3"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}
	r.tick(1)
	if len(r.work) != 0 {
		t.Error("the scheduled snapshot is written twice")
	}
}

func TestSavePoints(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "save 60 2", "save 10 5")
	saves := func(want string) {
		t.Helper()
		r.tick(1)
		r.run()
		r.expect("persistence", map[string]string{"rdb_saves": want})
	}
	r.do("SET a 1")
	r.wall.Advance(100_000)
	saves("0")
	r.do("SET a 2")
	saves("1")
	r.do("MSET a 1 b 2 c 3 d 4 e 5")
	saves("1")
	r.wall.Advance(10_001)
	saves("2")

	// After a failure writes stop, and it is tried again after a while.
	r.files.err = errors.New("disk full")
	r.do("MSET a 1 b 2 c 3 d 4 e 5")
	r.wall.Advance(10_001)
	saves("2")
	misconf := "-" + string(resp.ErrMisconfRDB) + "\r\n"
	r.expect("persistence", map[string]string{"rdb_last_bgsave_status": "err"})
	r.want(misconf+"$1\r\n1\r\n", "SET a 2", "GET a")
	r.want("-ERR\r\n"+misconf, "SAVE", "SET a 2")
	r.want(ok+ok+ok, "CONFIG SET stop-writes-on-bgsave-error no", "SET a 2", "CONFIG SET stop-writes-on-bgsave-error yes")
	r.files.err = nil
	saves("2")
	r.wall.Advance(5001)
	saves("3")
	r.want(ok, "SET a 2")

	// save "" and appendonly yes need none.
	r.wall.Advance(1_000_000)
	r.do("MSET a 1 b 2 c 3 d 4 e 5")
	if err := r.conf.Set([]config.Pair{{Name: "save", Value: ""}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	saves("3")
	r.restart("appendonly yes", "save 1 1")
	r.do("SET a 1")
	r.wall.Advance(1_000_000)
	saves("0")
	r.files.err = errors.New("disk full")
	r.want("+Background saving started\r\n", "BGSAVE")
	r.want(ok, "SET a 2") // the log has it
}

func TestSaveAtShutdown(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "save 60 2")
	r.do("SET a 1")
	other := r.connect()

	// Refused: everybody goes on.
	r.files.err = errors.New("disk full")
	r.do("SHUTDOWN")
	r.s.Feed([]byte("GET a\r\n"))
	if have := r.run(); have != "-"+string(resp.ErrShutdown)+"\r\n$1\r\n1\r\n" || r.stops != 0 {
		t.Errorf("%q, %d stops", have, r.stops)
	}
	r.want(ok, "SET a 2")
	r.files.err = nil

	// What arrives while the end is prepared waits; what slipped through is
	// saved in the end.
	if err := r.PrepareStop(command.ShutdownMode{}); err != nil {
		t.Fatal(err)
	}
	other.Feed([]byte("SET b 1\r\n"))
	if out := other.Output(); len(out) != 0 {
		t.Errorf("a command ran after the last snapshot: %q", out)
	}
	if want := map[string]string{"0/a": "2"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}
	r.ending.Store(false)
	other.Resume()
	r.ending.Store(true)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"0/a": "2", "0/b": "1"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}

	for _, c := range []struct {
		options, words string
		fail           error
		saved, stopped bool
	}{
		{"appendonly no|save 1 1", "SHUTDOWN", nil, true, true},
		{"appendonly no|save 1 1", "SHUTDOWN NOSAVE", nil, false, true},
		{"appendonly no|save 1 1", "SHUTDOWN FORCE", errors.New("full"), false, true},
		{"appendonly no|save 1 1", "SHUTDOWN NOSAVE", errors.New("full"), false, true},
		{"appendonly no|save 1 1", "SHUTDOWN ABORT", nil, false, false},
		{"appendonly no", "SHUTDOWN", nil, true, true},
		{`appendonly no|save ""`, "SHUTDOWN", nil, false, true},
		{`appendonly no|save ""`, "SHUTDOWN SAVE", nil, true, true},
		{`appendonly no|save ""`, "SHUTDOWN SAVE", errors.New("full"), false, false},
		{"appendonly yes|save 1 1", "SHUTDOWN", nil, false, true},
		{"appendonly yes|save 1 1", "SHUTDOWN SAVE", nil, true, true},
	} {
		r := newSaveRig(t, strings.Split(c.options, "|")...)
		r.files.err = c.fail
		r.do("SET a 1", c.words)
		r.run()
		if saved := r.files.keys(t) != nil; saved != c.saved || (r.stops == 1) != c.stopped {
			t.Errorf("%s, %s: saved %v, stopped %v", c.options, c.words, saved, r.stops == 1)
		}
	}
}

// TestSaveGivenUp: a shutdown does not wait for a snapshot in the background.
func TestSaveGivenUp(t *testing.T) {
	r := newSaveRig(t, "appendonly no")
	r.do("SET a 1", "BGSAVE", "SET a 2")
	stopped := make(chan error)
	go func() { stopped <- r.PrepareStop(command.ShutdownMode{}) }()
	for !r.saves.giveUp.Load() {
	}
	r.work[0]()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"0/a": "2"}; !maps.Equal(r.files.keys(t), want) {
		t.Errorf("have %v, want %v", r.files.keys(t), want)
	}
	if r.saves.view().failing {
		t.Error("a snapshot that was given up counts as failed")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLoadWithSiblings: the file founds a deployment, and never comes back to
// one.
func TestLoadWithSiblings(t *testing.T) {
	r := newSaveRig(t, "appendonly no")
	r.want(ok+ok+ok, "SET a 1", "SET b 1", "SAVE")
	deployed := []string{"appendonly no", "region here", "sibling there 127.0.0.1:1"}
	r.restart(deployed...)
	if id := r.identity(); id.Deployment == 0 || !id.DeploymentFirm {
		t.Errorf("identity %+v", id)
	}
	r.want("$1\r\n1\r\n:1\r\n", "GET a", "DEL b")
	r.settle()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.restart(deployed...)
	r.want("$1\r\n1\r\n$-1\r\n", "GET a", "GET b")
	r.expect("persistence", map[string]string{"rdb_last_load_keys_loaded": "0"})
}

// TestSaveEvicted: values that eviction left on disk are in the file.
func TestSaveEvicted(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "region here", "sibling there 127.0.0.1:1", "maxmemory-policy allkeys-lru")
	value := strings.Repeat("v", 100)
	for i := range 10 {
		r.want(ok, fmt.Sprintf("SET k%d %s", i, value))
	}
	r.wall.Advance(61_000)
	r.settle()
	for r.engine.EvictStep(r.wall.NowMs()) > 0 {
	}
	if n := r.engine.Stats().EvictedToDisk; n != 10 {
		t.Fatalf("%d values evicted", n)
	}
	r.want(":1\r\n"+ok, "DEL k0", "SAVE")
	keys := r.files.keys(t)
	if len(keys) != 9 || keys["0/k9"] != value {
		t.Errorf("%d keys: %v", len(keys), keys)
	}
}

func TestRewriteLog(t *testing.T) {
	const started = "+Background append only file rewriting started\r\n"
	r := newSaveRig(t, "appendonly no")
	r.want(started, "BGREWRITEAOF")
	r.restart("appendonly yes", "checkpoint-log-size 1gb")
	r.want(ok+started, "SET a 1", "BGREWRITEAOF")
	r.settle()
	r.expect("persistence", map[string]string{"aof_rewrites": "1", "aof_rewrite_in_progress": "0"})
	r.want(ok+"+QUEUED\r\n*1\r\n+Background append only file rewriting scheduled\r\n", "MULTI", "BGREWRITEAOF", "EXEC")
	r.stats.checkpoint.Store(&checkpointState{running: true})
	r.want("-ERR Background append only file rewriting already in progress\r\n", "BGREWRITEAOF")
}

// TestNoFiles: without a place for files nothing is saved, and says so.
func TestNoFiles(t *testing.T) {
	r := newRig(t, "appendonly no", "save 1 1")
	if err := r.Save(); !errors.Is(err, resp.ErrNoReason) {
		t.Error(err)
	}
	r.do("SET a 1")
	r.wall.Advance(10_000)
	r.tick(1)
	if st := r.saves.view(); st.busy || st.triedMs != 0 {
		t.Errorf("%+v", st)
	}
	if err := r.PrepareStop(command.ShutdownMode{}); err != nil {
		t.Error(err)
	}
}

// FLUSHALL leaves a snapshot without keys where save points count.
func TestSaveAfterFlush(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "save 100 100")
	r.do("SET a 1", "SAVE")
	r.run()
	r.do("SET b 1", "FLUSHALL")
	r.expect("persistence", map[string]string{"rdb_changes_since_last_save": "0"})
	r.tick(1)
	r.do("SET c 1")
	if out := r.do("BGSAVE"); !strings.Contains(out, "+Background saving started") {
		t.Error(out)
	}
	r.run()
	if keys := r.files.keys(t); len(keys) != 0 {
		t.Errorf("the snapshot after FLUSHALL has %v", keys)
	}
	r.tick(1)
	r.run()
	if keys := r.files.keys(t); len(keys) != 1 {
		t.Errorf("the snapshot of BGSAVE has %v", keys)
	}
	r = newSaveRig(t, "appendonly no", `save ""`)
	r.do("FLUSHALL")
	r.tick(1)
	if len(r.work) != 0 {
		t.Error("a snapshot without save points")
	}
}

// TestSnapshotMemoryCounts: what changes while a snapshot waits to be written is
// kept as it was, and that is in used_memory, but no reason to evict.
func TestSnapshotMemoryCounts(t *testing.T) {
	r := newSaveRig(t, "appendonly no")
	const size = 100_000
	r.want(ok, "SET k "+strings.Repeat("a", size))
	number := func(field string) int64 {
		_, rest, _ := strings.Cut(r.do("INFO memory"), "\n"+field+":")
		text, _, _ := strings.Cut(rest, "\r")
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before, data := number("used_memory"), number("used_memory_dataset")
	if kept := number("mem_not_counted_for_evict"); kept != 0 {
		t.Errorf("%d bytes are kept without a snapshot", kept)
	}
	if reply := r.do("BGSAVE", "SET k "+strings.Repeat("b", size)); !strings.HasPrefix(reply, "+Background saving started") {
		t.Fatal(reply)
	}
	kept := number("mem_not_counted_for_evict")
	if more := number("used_memory") - before; kept < size || more < kept || number("used_memory_dataset")-data > size/10 {
		t.Errorf("%d bytes are kept, %d more are used, the data has %d, once %d", kept, more, number("used_memory_dataset"), data)
	}
	limit := strconv.FormatInt(before+size/2, 10)
	r.want(strings.Repeat(ok, 2)+"$1\r\nb\r\n", "CONFIG SET maxmemory "+limit+" maxmemory-policy allkeys-lru", "SET other v", "GETRANGE k 0 0")
	r.run()
	if kept := number("mem_not_counted_for_evict"); kept != 0 {
		t.Errorf("%d bytes are kept when it is written", kept)
	}
	if keys := r.files.keys(t); len(keys) != 1 || keys["0/k"] != strings.Repeat("a", size) {
		t.Errorf("%d keys in the file", len(keys))
	}
}
