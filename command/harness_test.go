package command

import (
	"fmt"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/config"
	"geocache/engine"
	"geocache/op"
	"geocache/resp"
)

// harness runs commands against an engine as dispatch does, without sessions,
// gates or a log. Fields may be changed between commands.
type harness struct {
	t      testing.TB
	table  *Table
	engine *engine.Engine
	config *config.Config
	clock  *clock.Manual
	params engine.Params
	hlc    *clock.HLC
	tx     *engine.Tx
	out    resp.Writer
	db     int
	host   Host
	sess   Session
	// log is the batches committed, by number of ops.
	log []int
}

// testStartMs is the time at which every harness starts.
const testStartMs = 1_700_000_000_000

func newHarness(t testing.TB) *harness {
	t.Helper()
	table, err := New()
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, table: table, config: config.New(), clock: clock.NewManual(testStartMs)}
	h.hlc = clock.NewHLC(h.clock, 0)
	h.params = engine.Params{Recording: true}
	h.engine = engine.New(engine.Options{
		Shards: 8, Databases: 16, Seed: 1, Rand: clock.NewRand(1),
		Origin: clock.NewOrigin("here", 1), Sink: (*harnessSink)(h), Params: h.params,
	})
	h.tx = h.engine.NewTx()
	h.host = harnessHost{h: h}
	return h
}

// harnessSink stamps batches and forgets them.
type harnessSink harness

func (s *harnessSink) Commit(n int, _ []byte) clock.Reading {
	s.log = append(s.log, n)
	return s.hlc.Take(n)
}
func (s *harnessSink) Applied(op.Batch)     {}
func (s *harnessSink) Vector() clock.Vector { return clock.Vector{} }

// harnessHost answers what handlers ask of the region; what it lacks panics.
type harnessHost struct {
	Host
	h *harness
}

func (h harnessHost) Table() *Table          { return h.h.table }
func (h harnessHost) Engine() *engine.Engine { return h.h.engine }
func (h harnessHost) Config() *config.Config { return h.h.config }
func (h harnessHost) Flushed()               {}

// configure changes the engine's settings.
func (h *harness) configure(change func(*engine.Params)) {
	change(&h.params)
	h.engine.WithWorld(func() { h.engine.Configure(h.params) })
}

// ctx prepares one request; fail is the reply where lookup refuses it.
func (h *harness) ctx(args ...string) (c *Ctx, fail resp.Error) {
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	row, fail := h.table.Lookup(words)
	return &Ctx{Args: words, Row: row, Out: &h.out, Tx: h.tx, DB: h.db, Sess: h.sess, Host: h.host}, fail
}

// exec runs requests as one tx, as EXEC does, and returns all replies.
func (h *harness) exec(requests ...[]string) []resp.Value {
	h.t.Helper()
	var cs []*Ctx
	sc := engine.Scope{}
	h.out.Reset()
	for _, r := range requests {
		c, fail := h.ctx(r...)
		if fail != "" {
			c.Fail(fail)
			return h.replies()
		}
		sc.Keys = c.Scope(sc.Keys)
		sc.World = sc.World || c.NeedsWorld()
		sc.Walk = sc.Walk || c.Row.Has(Walk)
		cs = append(cs, c)
	}
	if len(cs) == 1 && cs[0].Row.Has(Control) {
		cs[0].Tx = nil
		cs[0].Row.Run(cs[0])
		return h.replies()
	}
	if err := h.tx.Run(sc, h.clock.NowMs(), func(*engine.Tx) {
		h.out.Reset()
		for _, c := range cs {
			c.Row.Run(c)
		}
	}); err != nil {
		h.t.Fatalf("%v: %v", requests, err)
	}
	return h.replies()
}

// do runs one command and returns its reply in the form of resp.Value.String.
// The request is split at spaces; "" stands for an empty argument.
func (h *harness) do(request string) string {
	h.t.Helper()
	args := strings.Fields(request)
	for i, a := range args {
		if a == `""` {
			args[i] = ""
		}
	}
	return h.doArgs(args...)
}

func (h *harness) doArgs(args ...string) string {
	h.t.Helper()
	v := h.exec(args)
	if len(v) != 1 {
		h.t.Fatalf("%q: %d replies", args, len(v))
	}
	return v[0].String()
}

func (h *harness) replies() (vs []resp.Value) {
	h.t.Helper()
	for b := h.out.Bytes(); len(b) > 0; {
		v, n, err := resp.Decode(b)
		if err != nil || n == 0 {
			h.t.Fatalf("undecodable reply %q: %v", b, err)
		}
		vs, b = append(vs, v), b[n:]
	}
	return vs
}

// step is a request and the reply it must get.
type step struct{ request, want string }

// run does steps in order.
func (h *harness) run(steps []step) {
	h.t.Helper()
	for _, s := range steps {
		if got := h.do(s.request); got != s.want {
			h.t.Errorf("%s\n got %s\nwant %s", s.request, got, s.want)
		}
	}
}

// ms is a time after the start, for requests with absolute times.
func ms(after int64) string { return fmt.Sprint(testStartMs + after) }
