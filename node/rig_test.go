package node

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"geocache/clock"
	"geocache/config"
	"geocache/persist"
)

// rig is a node with a clock of its own.
type rig struct {
	*Node
	t     testing.TB
	wall  *clock.Manual
	store *persist.MemStore
	s     *Session
}

func newRig(t testing.TB, options ...string) *rig {
	t.Helper()
	conf, err := config.Load(config.Sources{Options: options, WorkingDir: "/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, wall: clock.NewManual(1_700_000_000_000), store: persist.NewMemStore()}
	r.Node, err = Open(Options{
		Config: conf, Wall: r.wall, Micros: func() int64 { return r.wall.NowMs() * 1000 }, Seed: 1,
		OpenStore: r.openStore,
		Spawn:     func(f func()) { f() },
		Log:       slog.New(slog.DiscardHandler), RunID: strings.Repeat("ab", 20),
		WakeLog: func() {}, WakeLinks: func() {}, Stop: func() {},
		Commands: waitRows(),
		Process: func() ProcessInfo {
			return ProcessInfo{
				PID: 42, Version: "9.9", OS: "plan9", Arch: "mips", Executable: "/x/geocache", ConfigFile: "/x/g.conf", TCPPort: 6379,
				RSSBytes: 4 << 20, UserCPUMicros: 1_500_000, SysCPUMicros: 2, HeapBytes: 3 << 20, TotalMemoryBytes: 8 << 30,
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.s = r.connect()
	return r
}

// openStore opens the rig's store again, as a closed directory can be.
func (r *rig) openStore() (persist.Store, error) {
	r.store = r.store.Reopen()
	return r.store, nil
}

func (r *rig) connect() *Session {
	return r.Connect(ConnInfo{Remote: "127.0.0.1:5", Local: "127.0.0.1:6379"}, func() {})
}

// do runs requests, words with single spaces between, and returns the replies.
func (r *rig) do(requests ...string) string {
	r.t.Helper()
	done := make(chan string)
	go func() {
		for _, q := range requests {
			words := strings.Fields(q)
			b := fmt.Appendf(nil, "*%d\r\n", len(words))
			for _, w := range words {
				b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
			}
			r.s.Feed(b)
		}
		done <- string(r.s.Output())
	}()
	select {
	case out := <-done:
		return out
	case <-time.After(20 * time.Second):
		r.t.Fatalf("%q does not end", requests)
		return ""
	}
}

func (r *rig) tick(n int) {
	for range n {
		r.wall.Advance(10)
		r.Tick()
	}
}

// settle writes everything to disk.
func (r *rig) settle() {
	for r.WriteLog() {
	}
	r.SyncLog()
	for range 10 {
		for r.Checkpoint() {
		}
		for r.WriteLog() {
		}
	}
}
