// Package node is one region without sockets: sessions, dispatch and its
// gates, commit, parking, checkpoints, the glue to siblings, and the wiring of
// everything below.
//
// Nouns: a Node is the region; a Session is one client connection's state; the
// commit log is where stamp and log position are taken together. The road of a
// write is told in docs/ARCHITECTURE.md; it runs Session.Feed (session.go),
// gates (gates.go), run (dispatch.go), commitLog (commit.go), output and hold
// (session.go).
//
// The package knows nothing of sockets, files or goroutines: work that may
// block goes to Options.Spawn or is a step that the server (or a simulator)
// drives: Tick, WriteLog, SyncLog, Checkpoint, TakeFrames.
//
// Locks, outermost first: Node.preparing (a shutdown), Node.repl.mu (the
// sibling protocol), Node.stirring, engine shard locks, commitLog.mu; messages
// are published under shard locks, hence the registry of subscriptions comes
// after them, and its lock is held while messages go into mail. Session state
// belongs to the goroutine that drives the session; what others may touch of it
// is atomic or under Session.mail.mu, a leaf. Node.clients.mu, Node.pause.mu and
// Node.saves are leaves.
package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"geocache/clock"
	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/lru"
	"geocache/persist"
	"geocache/pubsub"
	"geocache/replicate"
	"geocache/resp"
	"geocache/slab"
)

// Options are what a node needs from the world around it.
type Options struct {
	Config *config.Config
	Wall   clock.Wall
	// Micros measures durations, in microseconds.
	Micros func() int64
	// Thread describes the calling thread; it may be nil.
	Thread func() ThreadUse
	Seed   uint64
	// OpenStore opens the data directory; it is called when persistence or a
	// sibling makes it necessary.
	OpenStore func() (persist.Store, error)
	// Pages is the memory of the keyspace; nil means the Go heap.
	Pages slab.Source
	// Spawn runs work that may block.
	Spawn func(func())
	Log   *slog.Logger
	RunID string // 40 hex digits
	GeoIP []byte // a MaxMind-format database, or nil
	// WakeLog and WakeLinks say, from any goroutine and without blocking, that
	// WriteLog or TakeFrames has work.
	WakeLog   func()
	WakeLinks func()
	// WakeTimers says, likewise, that WakeTimed is due sooner than it was. It
	// may be nil where Tick's pace will do.
	WakeTimers func()
	// RewriteConfig hands the configuration file's text to rewrite and
	// replaces the file with the result.
	RewriteConfig func(rewrite func(old string) string) error
	// SaveFile replaces a file of the data directory by what write gives,
	// durably, or leaves it as it was; LoadFile hands one to read, or returns
	// fs.ErrNotExist. Without them snapshots are neither written nor loaded.
	SaveFile func(name string, write func(io.Writer) error) error
	LoadFile func(name string, read func(io.Reader) error) error
	// Stop asks the server to end, after SHUTDOWN; it does not block.
	Stop func()
	// FreeHeap gives what is free of the Go heap back to the system. Without it
	// MEMORY PURGE leaves the heap alone.
	FreeHeap func()
	// Process describes the process for INFO.
	Process func() ProcessInfo
	// Commands are rows of a test's own.
	Commands []command.Row
	// Faults are planted by tests that want to see the checkers find them.
	Faults Faults
}

// Faults are mistakes in the layers below; the zero value has none.
type Faults struct {
	Engine    engine.Fault
	Replicate replicate.Fault
}

// ProcessInfo is what only the process itself knows.
type ProcessInfo struct {
	PID                    int
	Version                string // of geocache
	OS, Arch               string
	Executable, ConfigFile string
	TCPPort                int
	RSSBytes               int64
	UserCPUMicros          int64
	SysCPUMicros           int64
	HeapBytes              int64
	GCCycles               int64
	GCPauseMicros          int64
	TotalMemoryBytes       int64
}

// Node is one region.
type Node struct {
	opts     Options
	conf     *config.Config
	table    *command.Table
	engine   *engine.Engine
	commit   *commitLog
	log      *slog.Logger
	wall     clock.Wall
	rand     *clock.Rand
	disk     disk
	repl     repl
	clients  registry
	pause    pause
	pubsub   *pubsub.Registry[*Session]
	stirring stirring
	buffers  buffers
	stats    stats
	saves    saves
	startMs  int64

	loading  atomic.Bool
	stopping atomic.Bool
	noExpire atomic.Bool // DEBUG SET-ACTIVE-EXPIRE 0
	// ending: a shutdown is under way, and commands wait. preparing is held
	// while it is decided, over every other lock.
	ending    atomic.Bool
	preparing sync.Mutex
	// The stints of commands, of Tick, of siblings' batches and of checkpoints.
	commanding, ticking, linking, writing stints
	// evictMore is set where eviction stopped because its time was up.
	evictMore atomic.Bool
	// clashesTold is when tellClashes last looked, in milliseconds.
	clashesTold int64
	excess      atomic.Int64 // see allowExcess
	// reconfigure serialises CONFIG SET and REGION ADD and REMOVE. It is taken
	// before every other lock, but by CONFIG SET inside EXEC, which holds the
	// world and therefore only tries it.
	reconfigure struct {
		sync.Mutex
		worldHeld bool // by whoever holds the mutex
	}
}

// Open builds a node and recovers its data.
func Open(o Options) (*Node, error) {
	table, err := command.New(o.Commands...)
	if err != nil {
		return nil, err
	}
	if o.WakeTimers == nil {
		o.WakeTimers = func() {}
	}
	snap := o.Config.Load()
	n := &Node{opts: o, conf: o.Config, table: table, log: o.Log, wall: o.Wall, rand: clock.NewRand(o.Seed), startMs: o.Wall.NowMs()}
	n.stats.init(table)
	n.saves.init(n.startMs)
	n.clients.init()
	n.pubsub = pubsub.New[*Session](command.GlobMatch)
	n.commit = newCommitLog(clock.NewHLC(o.Wall, 0))
	n.openEvents()
	n.engine = engine.New(engine.Options{
		Shards: snap.Shards, Databases: snap.Databases, Seed: o.Seed, Rand: n.rand, Sink: n.commit, Fault: o.Faults.Engine,
		Pages: o.Pages,
	})
	n.stirring.tx = n.engine.NewTx()
	if err := n.openDisk(); err != nil {
		return nil, err
	}
	n.engine.Configure(n.params(n.conf.Load()))
	if err := n.loadSnapshot(); err != nil {
		return nil, err
	}
	if err := n.openRegions(); err != nil {
		return nil, err
	}
	n.hookConfig()
	n.allowExcess()
	return n, nil
}

// params derives the engine's settings from the configuration and from what
// consumes ops now.
func (n *Node) params(s *config.Snapshot) engine.Params {
	policy, ok := lru.ParsePolicy(s.MaxMemoryPolicy)
	if !ok {
		policy = lru.NoEviction
	}
	merging := len(s.Siblings) > 0
	persistent := n.disk.db.Load() != nil
	return engine.Params{
		Policy:       policy,
		LRU:          lru.Params{Samples: s.MaxMemorySamples, LFULogFactor: s.LFULogFactor, LFUDecayMinutes: s.LFUDecayTimeMinutes},
		DefaultTTLMs: s.DefaultTTLSeconds * 1000,
		MaxTTLMs:     s.MaxTTLSeconds * 1000,
		Forms:        forms(s),
		Merging:      merging,
		Recording:    persistent,
		KeepRows:     persistent,
		EvictToDisk:  merging,
	}
}

// forms are the sizes up to which collections keep their small forms. Redis 7.0
// has none for lists, and for sets only that of integers.
func forms(s *config.Snapshot) engine.Forms {
	f := engine.Forms{
		HashEntries: int(s.HashMaxListpackEntries), HashValue: int(s.HashMaxListpackValue),
		SetInts: int(s.SetMaxIntsetEntries), SetEntries: int(s.SetMaxListpackEntries), SetValue: int(s.SetMaxListpackValue),
		ZSetEntries: int(s.ZSetMaxListpackEntries), ZSetValue: int(s.ZSetMaxListpackValue),
		ListSize: s.ListMaxListpackSize,
	}
	switch {
	case s.Compat == config.Compat70:
		f.SetEntries, f.ListSize = 0, 0
	case f.ListSize == 0:
		f.ListSize = 1
	}
	return f
}

// hookConfig makes CONFIG SET take effect.
func (n *Node) hookConfig() {
	n.conf.OnChangeOf([]string{
		"maxmemory-policy", "maxmemory-samples", "lfu-log-factor", "lfu-decay-time", "default-ttl", "max-ttl", "compat-version",
		"hash-max-listpack-entries", "hash-max-listpack-value", "list-max-listpack-size", "set-max-intset-entries",
		"set-max-listpack-entries", "set-max-listpack-value", "zset-max-listpack-entries", "zset-max-listpack-value",
	}, func(_, next *config.Snapshot) error {
		n.withWorld(func() { n.engine.Configure(n.params(next)) })
		return nil
	})
	n.conf.OnChange("appendfsync", func(_, next *config.Snapshot) error {
		if db := n.disk.db.Load(); db != nil {
			db.Log.SetPolicy(n.syncPolicy(next))
			n.opts.WakeLog()
		}
		return nil
	})
	n.conf.OnChange("appendonly", n.switchAppendOnly)
	n.conf.OnChange("notify-keyspace-events", func(_, next *config.Snapshot) error {
		n.commit.events.configure(next.NotifyKeyspaceEvents)
		return nil
	})
	n.conf.OnChange("maxmemory", func(_, _ *config.Snapshot) error {
		n.allowExcess()
		return nil
	})
	n.conf.OnChangeOf([]string{"region-location", "region-endpoint", "port", "tls-port"}, n.describeSelf)
	n.conf.OnChange("dir", func(_, _ *config.Snapshot) error {
		if n.disk.db.Load() != nil {
			return refusal(resp.ReasonDirInUse)
		}
		return nil
	})
	n.conf.OnChange("sibling", func(_, _ *config.Snapshot) error {
		if n.repl.changing.Load() {
			return nil
		}
		return refusal("siblings change through REGION ADD and REGION REMOVE")
	})
}

// refusal is why a CONFIG SET changes nothing, in words for the client.
func refusal(reason string) error { return errors.New(reason) }

// withWorld runs fn while nothing changes; reconfigure is held.
func (n *Node) withWorld(fn func()) {
	if n.reconfigure.worldHeld {
		fn()
		return
	}
	n.engine.WithWorld(fn)
}

// Tick does everything that time asks for; the server calls it about every
// 10 ms.
func (n *Node) Tick() {
	now := n.wall.NowMs()
	n.endPause(now)
	n.WakeTimed()
	n.stir()
	n.expireCycle(now)
	n.sweepMemory()
	if n.evictMore.Swap(false) {
		n.fitMemory(&n.ticking)
	}
	n.forgetRemovals()
	n.sweepClients(now)
	n.tickLinks()
	n.sample(now)
	n.savePoints(now)
	n.tellClashes(now)
}

// clashLogMs is how often a line may tell of keys of several types.
const clashLogMs = 1000

// tellClashes belongs to Tick.
func (n *Node) tellClashes(nowMs int64) {
	if since := nowMs - n.clashesTold; since >= 0 && since < clashLogMs {
		return
	}
	n.clashesTold = nowMs
	if last, count := n.engine.TakeClash(); count > 0 {
		n.log.Warn("regions gave a key several types, of which clients see one", "db", last.DB, "key", last.Name, "shown", last.Shown, "keys", count)
	}
}

// forgetBatch bounds one Tick's tombstone work.
const forgetBatch = 4096

func (n *Node) forgetRemovals() {
	if !n.engine.Params().Merging {
		return
	}
	if stable := n.stable(); len(stable) > 0 {
		n.engine.ForgetRemovals(stable, forgetBatch)
	}
}

// expireSteps bounds the keys one Tick looks at for expiry at effort 1; at
// higher effort it is a multiple.
const expireSteps = 64

// expireCycle reclaims expired keys: as long as more than a tenth of what it
// meets has expired it goes on, up to a quarter of the time between ticks, as
// Redis' adaptive cycle does.
func (n *Node) expireCycle(nowMs int64) {
	if n.noExpire.Load() || n.loading.Load() {
		return
	}
	effort := n.conf.Load().ActiveExpireEffort
	const tickMicros = 10_000
	budget := int64(tickMicros) * int64(25+2*(effort-1)) / 100
	start := n.opts.Micros()
	at := start
	n.ticking.keep(n, at)
	was := at
	waited := func() { was = n.ticking.begin(n) }
	for met, reclaimed := 0, 0; ; {
		was = at
		m, r := n.engine.ExpireStep(nowMs, waited)
		met, reclaimed = met+m, reclaimed+r
		at = n.opts.Micros()
		n.ticking.note(n, expireTurn, was, at)
		n.ticking.keep(n, at)
		spent := at - start
		if spent > budget {
			n.stats.expireCapped.Add(1)
		} else if m > 0 && (met < expireSteps*effort || reclaimed*10 >= met) {
			continue
		}
		n.stats.expireMicros.Add(spent)
		return
	}
}

// Close ends the node: everything acknowledged is on disk when it returns. The
// caller has stopped all sessions and drivers.
func (n *Node) Close() error {
	n.stopping.Store(true)
	err := n.finishSaves()
	if db := n.disk.db.Load(); db != nil {
		if e := db.CloseClean(); e != nil {
			err = errors.Join(err, fmt.Errorf("close data directory: %w", e))
		}
	}
	return err
}

// Engine, Config and Table serve handlers.
func (n *Node) Engine() *engine.Engine { return n.engine }

// Config is the region's configuration.
func (n *Node) Config() *config.Config { return n.conf }

// Table is the command table.
func (n *Node) Table() *command.Table { return n.table }
