package sim

import (
	"bytes"
	"fmt"
	"strings"

	"geocache/clock"
	"geocache/op"
	"geocache/resp"
)

// client is one connection's user: it sends a request, waits for the reply,
// thinks, and goes on; it stays with its region and comes back after a crash.
type client struct {
	w    *world
	name string
	r    *region
	db   int
	c    *conn
	busy *call
	// What it remembers of earlier replies, by key.
	tokens  map[string]string
	watched *op.KeyState
	// finished is the call whose replies are being looked at.
	finished *call
}

// call is a request under way.
type call struct {
	what    string
	bytes   []byte
	replies int // expected
	got     []resp.Value
	track   bool // look at the stamps its writes get
	deltas  map[string]int64
	done    func([]resp.Value)
	writes  []*write
	start   map[key]op.KeyState // the tracked keys as the request arrived
	before  map[key]op.KeyState // and as it was executed
	syncing bool
}

func (w *world) newClient(r *region, n, db int) {
	c := &client{w: w, name: fmt.Sprintf("%s.%d", r.name, n), r: r, db: db, tokens: map[string]string{}}
	w.clients = append(w.clients, c)
	var again func()
	again = func() {
		if !w.breaking {
			return
		}
		c.step()
		w.after(ms/2+w.upTo(w.plan.thinkUs), again)
	}
	w.after(w.upTo(w.plan.thinkUs), again)
}

func (c *client) step() {
	switch {
	case !c.r.up() || c.busy != nil:
	case c.c == nil:
		c.tokens, c.watched = map[string]string{}, nil
		c.c = c.r.connect(c.reply, c.gone)
		c.c.observe = c.around
		greeting := call{what: "greeting", replies: 1, bytes: request("SELECT", fmt.Sprint(c.db))}
		if pass := c.w.plan.password; pass != "" {
			greeting.bytes = append(request("AUTH", pass), greeting.bytes...)
			greeting.replies = 2
		}
		c.issue(greeting)
	case c.db == 0:
		c.issue(c.trackedCall())
	default:
		c.issue(c.mixedCall())
	}
}

func (c *client) issue(k call) {
	c.busy = &k
	if strings.HasSuffix(k.what, "EXEC") {
		c.watched = nil // every transaction ends all watches
	}
	c.c.send(k.bytes)
}

// gone is called when the connection ended; what was under way stays unknown.
func (c *client) gone() {
	if c.busy != nil {
		c.w.note(c.name, "no answer to %s", c.busy.what)
	}
	c.busy, c.c = nil, nil
}

func (c *client) reply(v resp.Value) {
	k := c.busy
	if k == nil {
		c.w.fail("%s: a reply that nobody waits for: %+v", c.name, v)
		return
	}
	k.got = append(k.got, v)
	if len(k.got) < k.replies {
		return
	}
	for _, wr := range k.writes {
		wr.acked, wr.ackUs = true, c.w.nowUs
	}
	c.w.note(c.name, "%s -> %s", k.what, brief(v))
	c.busy, c.finished = nil, k
	if k.done != nil {
		k.done(k.got)
	}
}

func brief(v resp.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case len(v.Elems) > 0:
		var ws []string
		for _, e := range v.Elems {
			ws = append(ws, brief(e))
		}
		return "[" + strings.Join(ws, " ") + "]"
	case v.Kind == ':':
		return fmt.Sprint(v.Int)
	case len(v.Text) > 40:
		return v.Text[:40] + "..."
	}
	return v.Text
}

// around runs something that may execute the call under way, and learns from
// the key states before and after what was written under which stamps.
func (c *client) around(run func()) {
	k := c.busy
	if k == nil || !k.track {
		run()
		return
	}
	r := c.r
	before, seen := r.states(), r.vector()
	nowMs := r.clockNow()
	if k.start == nil {
		k.start = before
	}
	if len(k.writes) == 0 { // not executed so far: a held reply comes this way again
		k.before = before
	}
	k.syncing = k.syncing || r.n.Syncing()
	run()
	after, own := r.vector(), r.n.Engine().Origin()
	k.syncing = k.syncing || r.n.Syncing()
	if after[own] == seen[own] {
		return
	}
	b := changes{c: c, call: k, seen: seen, nowMs: nowMs, batch: clock.Stamp{At: after[own], Origin: own}}
	for _, name := range c.w.keys() {
		st, there := r.state(name)
		was, wasThere := before[name]
		b.add(name, was, wasThere, st, there)
	}
	c.w.history.observe(r, k, b.batch)
}

// states are those of all tracked keys that are known.
func (r *region) states() map[key]op.KeyState {
	m := map[key]op.KeyState{}
	for _, k := range r.w.keys() {
		if st, ok := r.state(k); ok {
			m[k] = st
		}
	}
	return m
}

// changes turns differences of key states into writes.
type changes struct {
	c     *client
	call  *call
	seen  clock.Vector
	batch clock.Stamp
	nowMs int64
	// changed counts the keys that stamp found changed.
	changed int
}

func (b *changes) put(w write) {
	w.region, w.life, w.batch, w.seen, w.what = b.c.r, b.c.r.life, b.batch, b.seen, b.call.what
	b.call.writes = append(b.call.writes, &w)
	b.c.w.history.writes = append(b.c.w.history.writes, &w)
}

// fresh reports whether s was given to this call.
func (b *changes) fresh(s clock.Stamp) bool {
	return s.Origin == b.batch.Origin && s.At > b.seen[s.Origin] && s.At <= b.batch.At
}

// stamp gives a lone region's state, whose cells have no stamps of their own,
// one of its batch's where the call has changed it.
func (b *changes) stamp(was op.KeyState, wasThere bool, st *op.KeyState, there bool) {
	st.ValueStamp, st.DeadlineStamp, st.Dead = clock.Stamp{}, clock.Stamp{}, clock.Stamp{}
	if !there || wasThere && bytes.Equal(was.Value, st.Value) && was.DeadlineMs == st.DeadlineMs {
		return
	}
	own := clock.Stamp{At: b.batch.At - clock.Reading(b.changed), Origin: b.batch.Origin}
	b.changed++
	st.DeadlineStamp = own
	if !wasThere || !bytes.Equal(was.Value, st.Value) {
		st.ValueStamp = own
	}
}

func (b *changes) add(k key, was op.KeyState, wasThere bool, st op.KeyState, there bool) {
	merging := len(b.c.w.regions) > 1
	if !merging {
		b.stamp(was, wasThere, &st, there)
	}
	if b.fresh(st.ValueStamp) {
		b.put(write{key: k, kind: wrote, stamp: st.ValueStamp, value: string(st.Value), kept: st.DeadlineStamp != st.ValueStamp})
	}
	if b.fresh(st.DeadlineStamp) {
		b.put(write{key: k, kind: dated, stamp: st.DeadlineStamp, deadlineMs: st.DeadlineMs})
	}
	switch {
	case b.fresh(st.Dead):
		b.put(write{key: k, kind: removed, stamp: st.Dead})
	case !merging && wasThere && !there && !(was.DeadlineMs != 0 && was.DeadlineMs <= b.nowMs):
		b.put(write{key: k, kind: removed, stamp: b.batch})
	}
	for _, sub := range st.Subs {
		if s := (clock.Stamp{At: sub.At, Origin: sub.Origin}); b.fresh(s) {
			b.put(write{key: k, kind: counted, stamp: s, lineage: sub.Lineage, delta: b.call.deltas[k.name]})
		}
	}
	if d := b.call.deltas[k.name]; !merging && d != 0 && b.fresh(st.ValueStamp) {
		b.put(write{key: k, kind: counted, stamp: st.ValueStamp, delta: d})
	}
}
