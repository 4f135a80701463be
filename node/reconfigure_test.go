package node

import (
	"testing"

	"geocache/clock"
	"geocache/config"
	"geocache/persist"
)

// CONFIG SET inside EXEC changes what the tx around it runs on: it must not
// wait for that tx, and what the tx writes must go where it then says.
func TestConfigSetInsideExec(t *testing.T) {
	r := newRig(t, "appendonly no")
	const ok, queued = "+OK\r\n", "+QUEUED\r\n"
	run := func(want string, requests ...string) {
		t.Helper()
		if got := r.do(requests...); got != want {
			t.Errorf("%q: got %q, want %q", requests, got, want)
		}
	}
	crash := func() {
		r.settle()
		r = r.reopen(r.store.Crash(func(int) int { return 0 }))
	}
	run(ok+queued+queued+"*2\r\n"+ok+ok, "MULTI", "SET a 1", "CONFIG SET maxmemory-policy allkeys-lru", "EXEC")
	run(ok+queued+queued+queued+"*3\r\n"+ok+ok+ok, "MULTI", "SET b 2", "CONFIG SET appendonly yes", "SET c 3", "EXEC")
	run(":3\r\n", "INCR b")
	crash()
	run("*3\r\n$1\r\n1\r\n$1\r\n3\r\n$1\r\n3\r\n", "MGET a b c")
	run(ok+queued+queued+queued+"*3\r\n"+ok+ok+ok, "MULTI", "SET b 5", "CONFIG SET appendonly no", "SET c 6", "EXEC")
	run("*2\r\n$1\r\n5\r\n$1\r\n6\r\n", "MGET b c")
	run(ok, "CONFIG SET appendonly yes")
	crash()
	run("*3\r\n$1\r\n1\r\n$1\r\n5\r\n$1\r\n6\r\n", "MGET a b c")
}

// reopen is a new node over another store.
func (r *rig) reopen(store *persist.MemStore) *rig {
	r.t.Helper()
	conf, err := config.Load(config.Sources{WorkingDir: "/"}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	opts := r.opts
	opts.Config = conf
	n := &rig{t: r.t, wall: clock.NewManual(r.wall.NowMs()), store: store}
	opts.OpenStore = n.openStore
	if n.Node, err = Open(opts); err != nil {
		r.t.Fatal(err)
	}
	n.s = n.connect()
	return n
}
