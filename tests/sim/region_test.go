package sim

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"geocache/clock"
	"geocache/config"
	"geocache/engine"
	"geocache/node"
	"geocache/op"
	"geocache/persist"
	"geocache/resp"
)

// region is one simulated machine: a disk, a wall clock, and a node while it
// runs.
type region struct {
	w      *world
	name   string
	port   int
	medium medium
	wall   *clock.Manual
	skewMs int64
	seed   uint64

	n       *node.Node // nil while down
	life    int        // changes with every start and end
	lives   int        // starts so far
	opening bool
	startUs int64
	bornMs  int64 // wall time of the first start
	ended   ending
	conns   []*conn

	writing, linking bool  // a step is queued
	diskBroken       bool  // faults are injected
	diskFailed       bool  // the node has met one
	drainedUs        int64 // everything committed before is written
	durableUs        int64 // everything committed before is synced
	slowUs           int64 // what a disk access takes at most
}

func (r *region) up() bool { return r.n != nil }

// clockNow sets the wall clock; it goes before every call into the node.
func (r *region) clockNow() int64 {
	t := epochMs + r.w.nowUs/1000 + r.skewMs
	r.wall.Set(t)
	return t
}

func (r *region) synced() { r.durableUs = r.drainedUs }

// soon schedules fn for this life of the node.
func (r *region) soon(d int64, fn func()) {
	life := r.life
	r.w.after(d, func() {
		if r.life == life && r.up() {
			r.clockNow()
			fn()
		}
	})
}

// every runs fn about every d microseconds while the node lives.
func (r *region) every(d int64, fn func()) {
	var again func()
	again = func() {
		fn()
		r.soon(d+r.w.upTo(d/8), again)
	}
	r.soon(r.w.upTo(d), again)
}

func (r *region) configuration() (*config.Config, error) {
	p := &r.w.plan
	lines := []string{
		"region " + r.name, fmt.Sprintf("port %d", r.port), "databases 2", "shards 4",
		"appendfsync " + p.fsync, "max-clock-skew-ms 500", "checkpoint-log-size 1mb",
		fmt.Sprintf("default-ttl %d", p.defaultTTLSeconds),
		// Some collections of the load are beyond these, some below.
		"hash-max-listpack-entries 8", "hash-max-listpack-value 20", "list-max-listpack-size 8",
		"set-max-intset-entries 8", "set-max-listpack-entries 8", "set-max-listpack-value 20",
		"zset-max-listpack-entries 8", "zset-max-listpack-value 20",
	}
	if p.maxMemory > 0 {
		lines = append(lines, fmt.Sprintf("maxmemory %d", p.maxMemory), "maxmemory-policy "+p.policy)
	}
	if p.password != "" {
		lines = append(lines, "requirepass "+p.password, "sibling-auth-pass "+p.password)
	}
	for _, s := range r.w.regions {
		if s != r {
			lines = append(lines, fmt.Sprintf("sibling %s 127.0.0.1:%d", s.name, s.port))
		}
	}
	return config.Load(config.Sources{Options: lines, WorkingDir: "/sim"}, nil)
}

// start opens a node over what the disk holds.
func (r *region) start() {
	w := r.w
	conf, err := r.configuration()
	if err != nil {
		w.fail("%s: configuration: %v", r.name, err)
		return
	}
	r.life++
	r.lives++
	r.startUs = w.nowUs
	r.writing, r.linking, r.diskFailed, r.diskBroken = false, false, false, false
	r.drainedUs, r.durableUs = w.nowUs, w.nowUs
	r.opening = true
	nowMs := r.clockNow()
	if r.bornMs == 0 {
		r.bornMs = nowMs
	} else if r.forgets() {
		r.skewMs += r.bornMs - nowMs
		r.clockNow()
	}
	r.seed++
	n, err := node.Open(node.Options{
		Config: conf, Wall: r.wall, Seed: r.seed,
		Micros: func() int64 { return w.nowUs - r.startUs + second },
		OpenStore: func() (persist.Store, error) {
			s, err := r.medium.open()
			return &watchedStore{s, r}, err
		},
		Spawn: func(fn func()) { r.soon(w.upTo(r.slowUs+ms), fn) },
		Log:   slog.New(logHandler{w, r}), RunID: strings.Repeat("0", 40),
		WakeLog: r.wakeLog, WakeLinks: r.wakeLinks,
		RewriteConfig: nil, Stop: func() {},
		Process: func() node.ProcessInfo { return node.ProcessInfo{} },
		Faults:  w.plan.fault.planted(),
	})
	r.opening = false
	if err != nil {
		w.fail("%s: start: %v", r.name, err)
		return
	}
	r.n = n
	r.checkOrigin()
	w.note(r.name, "started as %v with %v", n.Engine().Origin(), r.vector())
	r.every(10*ms, n.Tick)
	r.every(second-100*ms, n.SyncLog)
	r.every(20*ms, r.checkpoint)
	r.every(10*ms, r.wakeLinks)
	// The calls above may have asked to be woken before n was known.
	r.writing, r.linking = false, false
	r.wakeLog()
	r.wakeLinks()
	w.startProbes(r)
}

// checkOrigin demands a new incarnation wherever the end of the one before may
// have been lost.
func (r *region) checkOrigin() {
	h := &r.w.history
	o := r.n.Engine().Origin()
	if prev, ok := h.ended[o]; ok && prev != endedCleanly && r.w.plan.fault == faultNone {
		r.w.fail("%s: goes on as %v after it %s", r.name, o, prev)
	}
}

// forgets reports whether this start suffers faultForgetIdentity.
func (r *region) forgets() bool {
	return r.w.plan.fault == faultForgetIdentity && r.ended == endedPower
}

func (r *region) wakeLog() {
	if r.writing || r.opening {
		return
	}
	r.writing = true
	r.soon(r.w.upTo(r.slowUs+ms), r.writeLog)
}

func (r *region) writeLog() {
	r.writing = false
	if r.n.WriteLog() {
		r.wakeLog()
		return
	}
	r.drained()
}

// drained notes that everything committed so far is written.
func (r *region) drained() {
	if !r.diskFailed {
		r.drainedUs = r.w.nowUs
		if r.w.plan.fsync == "always" {
			r.durableUs = r.w.nowUs
		}
	}
}

// checkpoint does one step at a time, so that a crash can come between two.
func (r *region) checkpoint() {
	if r.n.Checkpoint() {
		r.soon(r.w.upTo(r.slowUs+ms), r.checkpoint)
	}
}

func (r *region) wakeLinks() {
	if r.linking || r.opening {
		return
	}
	r.linking = true
	r.soon(r.w.upTo(ms), func() {
		r.linking = false
		for _, f := range r.n.TakeFrames() {
			r.w.transmit(r, f)
		}
	})
}

// ending is how a life of a node ended.
type ending string

const (
	endedCleanly ending = "ended cleanly"
	endedKilled  ending = "was killed"
	endedPower   ending = "lost power"
	endedWiped   ending = "lost its disk"
)

// crash ends the node without warning.
func (r *region) crash(how ending) {
	if !r.up() {
		return
	}
	safe := r.durableUs
	if how == endedKilled {
		safe = r.drainedUs
	}
	r.w.note(r.name, "%s; safe before %.3f", how, float64(safe)/1e6)
	r.end(how, safe)
	switch how {
	case endedKilled:
		r.medium.processDies()
	case endedPower:
		r.medium.powerFail(r.w.rnd)
	case endedWiped:
		r.medium.wipe()
	}
}

// end books the end of this life: clients lose their connections, and what
// was acknowledged before safeUs is promised.
func (r *region) end(how ending, safeUs int64) {
	r.w.history.endLife(r, how, safeUs)
	r.ended = how
	r.n = nil
	r.life++
	for _, c := range r.conns {
		c.lost()
	}
	r.conns = nil
}

// restartCleanly shuts the node down in good order and demands that the next
// one reads as this one did.
func (r *region) restartCleanly() {
	w := r.w
	if r.diskFailed || r.diskBroken {
		r.crash(endedPower)
		r.start()
		return
	}
	r.clockNow()
	want, vector := r.n.Digest()
	n := r.n
	r.end(endedCleanly, w.nowUs+1)
	if err := n.Close(); err != nil {
		w.fail("%s: close: %v", r.name, err)
		return
	}
	r.medium.processDies()
	w.note(r.name, "ended cleanly with digest %016x", want)
	r.start()
	if w.failure == "" {
		r.compare("a clean restart", want, vector)
	}
}

// killWritten kills the process once its log is written: nothing is lost then,
// and recovery must equal memory.
func (r *region) killWritten() {
	r.clockNow()
	for r.n.WriteLog() {
	}
	r.drained()
	want, vector := r.n.Digest()
	failed := r.diskFailed || r.diskBroken
	r.crash(endedKilled)
	r.start()
	if r.w.failure == "" && !failed {
		r.compare("a kill with the log written", want, vector)
	}
}

// compare demands what was there before. A lone region reclaims expired keys
// without an op: where its clock was set back meanwhile, they return.
func (r *region) compare(after string, want uint64, vector string) {
	if len(r.w.regions) == 1 && r.w.plan.skews {
		return
	}
	if got, v := r.n.Digest(); got != want || v != vector {
		r.w.fail("%s: recovery differs from memory after %s: digest %016x at %s, was %016x at %s", r.name, after, got, v, want, vector)
	}
}

// vector is what the region has applied.
func (r *region) vector() clock.Vector {
	for _, f := range r.n.List()[0].Fields {
		if f.Name == "vector" {
			return parseVector(f.Value.(string))
		}
	}
	return nil
}

func parseVector(s string) clock.Vector {
	v := clock.Vector{}
	for _, word := range strings.Fields(strings.Trim(s, "{}")) {
		if st, ok := clock.ParseToken([]byte(word)); ok {
			v.Raise(st.Origin, st.At)
		}
	}
	return v
}

// state is the merge state of a key; ok is false where nothing is known.
func (r *region) state(k key) (op.KeyState, bool) {
	en, ok := r.n.Engine().State(engine.RowKey{DB: k.db, Key: k.name})
	if !ok {
		return op.KeyState{}, false
	}
	st, err := op.DecodeKeyState(en.State)
	if err != nil {
		r.w.fail("%s: state of %v: %v", r.name, k, err)
	}
	return st, true
}

// conn is a connection to a node: its session, and who reads the replies.
type conn struct {
	r       *region
	s       *node.Session
	queued  bool // a pump is due
	in      []byte
	handle  func(resp.Value) // of every reply
	closed  func()
	observe func(run func()) // around everything that may execute commands
}

// connect opens a session; remote ports tell clients apart in the log.
func (r *region) connect(handle func(resp.Value), closed func()) *conn {
	c := &conn{r: r, handle: handle, closed: closed, observe: func(run func()) { run() }}
	info := node.ConnInfo{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 40000).String(), Local: "127.0.0.1:1"}
	r.clockNow()
	c.s = r.n.Connect(info, c.wake)
	r.conns = append(r.conns, c)
	return c
}

func (c *conn) wake() {
	if c.queued {
		return
	}
	c.queued = true
	c.r.soon(c.r.w.upTo(ms/2), func() {
		c.queued = false
		if c.s == nil {
			return
		}
		c.observe(c.s.Resume)
		c.read()
	})
}

// send feeds one request, whole or in two pieces.
func (c *conn) send(b []byte) {
	c.r.clockNow()
	c.observe(func() {
		if cut := c.r.w.rnd.IntN(4 * len(b)); cut < len(b) {
			c.s.Feed(b[:cut])
			c.s.Feed(b[cut:])
			return
		}
		c.s.Feed(b)
	})
	c.read()
}

// read takes what may leave and hands out whole replies.
func (c *conn) read() {
	if c.s == nil {
		return
	}
	c.in = append(c.in, c.s.Output()...)
	for {
		v, n, err := resp.Decode(c.in)
		if err != nil {
			c.r.w.fail("%s: reply %q: %v", c.r.name, c.in, err)
			return
		}
		if n == 0 {
			break
		}
		c.in = c.in[n:]
		c.handle(v)
	}
	if c.s != nil && c.s.Closing() {
		c.close()
	}
}

// close ends the connection from either side.
func (c *conn) close() {
	if c.s == nil {
		return
	}
	c.s.Close()
	for i, have := range c.r.conns {
		if have == c {
			c.r.conns = append(c.r.conns[:i:i], c.r.conns[i+1:]...)
			break
		}
	}
	c.lost()
}

// lost is the end of a connection whose node may be gone.
func (c *conn) lost() {
	c.s = nil
	c.closed()
}

// ask runs one command on a session of its own and waits for the reply.
func (r *region) ask(args ...string) resp.Value {
	var got []resp.Value
	c := r.connect(func(v resp.Value) { got = append(got, v) }, func() {})
	want := 1
	if r.w.plan.password != "" {
		c.send(request("AUTH", r.w.plan.password))
		want++
	}
	c.send(request(args...))
	for r.up() && c.s != nil && len(got) < want && r.w.failure == "" {
		r.w.run(5 * ms)
	}
	if len(got) < want {
		r.w.fail("%s: no reply to %q", r.name, args)
		return resp.Value{}
	}
	c.close()
	return got[want-1]
}

// request encodes a command.
func request(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}
