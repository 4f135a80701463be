package sim

import (
	"bytes"
	"fmt"
	"strings"

	"geocache/clock"
	"geocache/op"
	"geocache/resp"
)

// key names a key of a database.
type key struct {
	db   int
	name string
}

// The tracked keys, all of database 0. Registers see every string command but
// counters; mixed counters see SET, DEL and increments; pure counters see
// increments only; pairs are written together; the watched key is only written
// under WATCH.
var (
	registers     = []string{"r1", "r2", "r3", "r4"}
	mixedCounters = []string{"c1", "c2"}
	pureCounters  = []string{"n1", "n2"}
	pair          = []string{"p1", "p2"}
	watchedKey    = "w1"
	trackedKeys   = tracked()
)

func tracked() (ks []key) {
	for _, names := range [][]string{registers, mixedCounters, pureCounters, pair, {watchedKey}} {
		for _, n := range names {
			ks = append(ks, key{0, n})
		}
	}
	return ks
}

func (w *world) keys() []key { return trackedKeys }

func (w *world) pick(names []string) string { return names[w.rnd.IntN(len(names))] }

// value is a text nobody else writes; some are long enough that the log grows.
func (w *world) value() string {
	w.history.values++
	v := fmt.Sprintf("value-%d", w.history.values)
	if w.chance(w.plan.bigValues) {
		v += strings.Repeat(".", 1000+w.rnd.IntN(40_000))
	}
	return v
}

// single is a tracked call of one command.
func single(args ...string) call {
	what := strings.Join(args, " ")
	if len(what) > 60 {
		what = what[:60] + "..."
	}
	return call{what: what, bytes: request(args...), replies: 1, track: true}
}

// transaction is a tracked call of commands between MULTI and EXEC.
func transaction(commands ...[]string) call {
	k := call{bytes: request("MULTI"), replies: len(commands) + 2, track: true}
	for _, args := range commands {
		k.bytes = append(k.bytes, request(args...)...)
		k.what += single(args...).what + "; "
	}
	k.bytes = append(k.bytes, request("EXEC")...)
	k.what += "EXEC"
	return k
}

// when is a random deadline option: past quickly, or not at all while the
// simulation lasts.
func (w *world) when() (option, value string) {
	soon := int64(30 + w.rnd.IntN(2500))
	nowMs := epochMs + w.nowUs/1000
	switch w.rnd.IntN(5) {
	case 0:
		return "EX", "1000"
	case 1:
		return "PXAT", fmt.Sprint(nowMs + soon)
	case 2:
		return "EXAT", fmt.Sprint(nowMs/1000 + 1 + soon/1000)
	}
	return "PX", fmt.Sprint(soon)
}

// trackedCall is the next request of a client whose writes the model follows.
func (c *client) trackedCall() call {
	w := c.w
	switch n := w.rnd.IntN(100); {
	case n < 42:
		return c.registerCall()
	case n < 60:
		return c.counterCall()
	case n < 72:
		return c.pureCall()
	case n < 88:
		return c.pairCall()
	default:
		return c.watchCall()
	}
}

func (c *client) registerCall() call {
	w := c.w
	k := w.pick(registers)
	set := []string{"SET", k, w.value()}
	switch w.rnd.IntN(24) {
	case 0, 1, 2, 3:
		return single(set...)
	case 4:
		return single(append(set, "KEEPTTL")...)
	case 5, 6:
		opt, v := w.when()
		return single(append(set, opt, v)...)
	case 7:
		return single(append(set, w.pick([]string{"NX", "XX", "GET"}))...)
	case 8, 9:
		return single("GET", k)
	case 10:
		return single("APPEND", k, "+"+fmt.Sprint(w.rnd.IntN(100)))
	case 11:
		return single("SETRANGE", k, fmt.Sprint(w.rnd.IntN(12)), "xyz")
	case 12, 13:
		return single("DEL", k)
	case 14:
		_, v := w.when()
		return single("PEXPIRE", k, v[:min(len(v), 4)])
	case 15:
		return single("PEXPIREAT", k, fmt.Sprint(epochMs+w.nowUs/1000+int64(w.rnd.IntN(2500))))
	case 16:
		return single("PERSIST", k)
	case 17:
		opt, v := w.when()
		return single("GETEX", k, opt, v)
	case 18:
		return single("RENAME", k, w.pick(registers))
	case 19:
		return single("COPY", k, w.pick(registers), "REPLACE")
	case 20:
		return single("MSET", registers[0], w.value(), registers[1], w.value())
	case 21:
		return transaction(set, []string{"DEL", w.pick(registers)}, []string{"SET", w.pick(registers), w.value(), "PX", "700"})
	default:
		return c.casCall(k)
	}
}

// casCall writes with the token seen last, or asks for one.
func (c *client) casCall(k string) call {
	token := c.tokens[k]
	if token == "" {
		ask := single("GETS", k)
		ask.done = func(vs []resp.Value) {
			if v := vs[0]; len(v.Elems) == 2 {
				c.tokens[k] = v.Elems[1].Text
			}
		}
		return ask
	}
	delete(c.tokens, k)
	cas := single("CAS", k, token, c.w.value())
	cas.done = func(vs []resp.Value) {
		st, there := c.finished.before[key{0, k}]
		present := there && st.Dead.Less(st.ValueStamp)
		switch v := vs[0]; {
		case v.Err() != nil:
		case v.IsNull() && present && st.ValueStamp.String() == token && st.DeadlineMs == 0:
			c.w.fail("%s: CAS refused although %s has the token", c.name, k)
		case !v.IsNull() && (!present || st.ValueStamp.String() != token):
			c.w.fail("%s: CAS on %s accepted with a token that is not the value's: %v", c.name, k, st)
		case !v.IsNull():
			if _, ok := clock.ParseToken([]byte(v.Text)); !ok {
				c.w.fail("%s: CAS answered %q for a token", c.name, v.Text)
			}
		}
	}
	return cas
}

func (c *client) counterCall() call {
	w := c.w
	k := w.pick(mixedCounters)
	switch w.rnd.IntN(8) {
	case 0:
		return single("SET", k, fmt.Sprint(w.rnd.IntN(1000)))
	case 1:
		return single("DEL", k)
	case 2:
		return single("GET", k)
	case 3:
		d := int64(w.rnd.IntN(20))
		return counting(single("DECRBY", k, fmt.Sprint(d)), k, -d*quarter)
	case 4:
		d := int64(w.rnd.IntN(20))
		return counting(single("INCRBYFLOAT", k, fmt.Sprintf("%d.25", d)), k, d*quarter+1)
	default:
		d := int64(w.rnd.IntN(50))
		return counting(single("INCRBY", k, fmt.Sprint(d)), k, d*quarter)
	}
}

// quarter: increments are counted in quarters, which floats hold exactly.
const quarter = 4

func counting(k call, name string, quarters int64) call {
	if k.deltas == nil {
		k.deltas = map[string]int64{}
	}
	k.deltas[name] += quarters
	return k
}

func (c *client) pureCall() call {
	w := c.w
	d := int64(1 + w.rnd.IntN(9))
	if w.rnd.IntN(3) > 0 {
		return counting(single("INCRBY", pureCounters[0], fmt.Sprint(d)), pureCounters[0], d*quarter)
	}
	k := transaction([]string{"INCRBY", pureCounters[0], fmt.Sprint(d)}, []string{"INCR", pureCounters[1]})
	return counting(counting(k, pureCounters[0], d*quarter), pureCounters[1], quarter)
}

// pairCall writes both keys of the pair, or reads them and demands that they
// are equal.
func (c *client) pairCall() call {
	w := c.w
	switch w.rnd.IntN(7) {
	case 0, 1, 2:
		v := w.value()
		return transaction([]string{"SET", pair[0], v}, []string{"SET", pair[1], v})
	case 3:
		return transaction([]string{"DEL", pair[0]}, []string{"DEL", pair[1]})
	}
	k := transaction([]string{"GET", pair[0]}, []string{"GET", pair[1]})
	k.done = func(vs []resp.Value) {
		v := vs[3]
		if len(v.Elems) != 2 || c.finished.syncing || w.lossy() {
			return
		}
		if a, b := v.Elems[0], v.Elems[1]; a.IsNull() != b.IsNull() || a.Text != b.Text {
			c.w.fail("%s: a transaction is visible in part: %s", c.name, brief(v))
		}
	}
	return k
}

// watchCall watches the key, or writes it on condition that it did not change.
func (c *client) watchCall() call {
	if c.watched == nil {
		k := single("WATCH", watchedKey)
		k.done = func(vs []resp.Value) {
			if vs[0].Err() == nil {
				st := c.finished.start[key{0, watchedKey}]
				c.watched = &st
			}
		}
		return k
	}
	was := *c.watched
	k := transaction([]string{"SET", watchedKey, c.w.value()})
	k.done = func(vs []resp.Value) {
		st := c.finished.before[key{0, watchedKey}]
		ran := len(vs[2].Elems) == 1
		// A lone cache may evict the key as soon as EXEC has written it.
		if ran && !sameValue(was, st) && !c.w.lossy() {
			c.w.fail("%s: EXEC ran although the watched key changed", c.name)
		}
	}
	return k
}

func sameValue(a, b op.KeyState) bool {
	evicted := len(a.Value) == 0 || len(b.Value) == 0 // then only the stamp tells
	return a.ValueStamp == b.ValueStamp && (evicted || bytes.Equal(a.Value, b.Value))
}

// mixedCall is the next request of a client in database 1, where everything
// goes and only convergence is asked for.
func (c *client) mixedCall() call {
	w := c.w
	keys := []string{"m1", "m2", "m3", "m4", "m5", "m6"}
	a, b := w.pick(keys), w.pick(keys)
	pick := func() []string {
		switch {
		case w.chance(0.4):
			return w.anyCommand()
		case w.chance(0.6):
			return w.collectionCommand()
		}
		switch w.rnd.IntN(22) {
		case 0, 1:
			return []string{"SET", a, fmt.Sprint(w.rnd.IntN(100))}
		case 2, 3:
			opt, v := w.when()
			return []string{"SET", a, w.value(), opt, v}
		case 4:
			return []string{"APPEND", a, fmt.Sprint(w.rnd.IntN(10))}
		case 5, 6:
			return []string{"INCR", a}
		case 7:
			return []string{"INCRBYFLOAT", a, "0.1"}
		case 8:
			return []string{"DEL", a}
		case 9:
			return []string{"RENAME", a, b}
		case 10:
			return []string{"COPY", a, b, "REPLACE"}
		case 11, 12:
			return []string{"PEXPIRE", a, fmt.Sprint(w.rnd.IntN(1500))}
		case 13:
			return []string{"PERSIST", a}
		case 14:
			return []string{"GETDEL", a}
		case 15:
			return []string{"SETRANGE", a, "3", "q"}
		case 16:
			return []string{"GETEX", a, "PX", "300"}
		case 17:
			return []string{"SET", a, "7", "KEEPTTL"}
		case 18:
			return []string{"SETBIT", a, "9", "1"}
		case 19:
			if w.rnd.IntN(4) == 0 {
				return []string{"FLUSHDB"}
			}
			return []string{"MSET", a, "1", b, "2"}
		}
		return []string{"GET", a}
	}
	var k call
	switch w.rnd.IntN(6) {
	case 0:
		k = transaction(pick(), pick(), pick())
	case 1: // pipelined
		k = single(pick()...)
		for range w.rnd.IntN(4) {
			more := single(pick()...)
			k.what, k.bytes, k.replies = k.what+" | "+more.what, append(k.bytes, more.bytes...), k.replies+1
		}
	default:
		k = single(pick()...)
	}
	k.track = false
	return k
}
