package node

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"geocache/clock"
	"geocache/command"
	"geocache/engine"
	"geocache/op"
)

// waitRows wait for strings, as BLPOP does for lists:
//
//	TPOP key [key ...] ms     takes the value of the first that is there
//	TMOVE from to ms          makes to's value from's, and removes from
//	TGONE key ms              answers once the key is not there
//	TNOTE key counter ms      reads key, unless it is "no"; counts its attempts
func waitRows() []command.Row {
	doc := command.Doc{Group: "test", Summary: "Waits.", Since: "1.0.0"}
	row := func(name string, arity int, run func(*command.Ctx)) command.Row {
		return command.Row{
			Name: name, Arity: arity, Flags: command.Write | command.Blocking, Doc: doc, Run: run,
			Keys: []command.KeySpec{{Flags: command.RW | command.Update, Index: 1, Last: -2, Step: 1}},
		}
	}
	return []command.Row{row("tpop", -3, tpop), row("tmove", 4, tmove), row("tgone", 3, tgone), row("tnote", 4, tnote)}
}

// block waits for keys until the last argument says.
func block(c *command.Ctx, missing command.Switch, keys ...engine.Key) {
	b := command.Block{
		Keys: keys, Type: engine.TypeString, Missing: missing,
		Timeout: func(c *command.Ctx) { c.Out.NullArray() },
	}
	if ms, _ := strconv.ParseInt(string(c.Args[len(c.Args)-1]), 10, 64); ms > 0 {
		b.DeadlineMs = c.NowMs() + ms
	}
	c.Block(b)
}

func tpop(c *command.Ctx) {
	var keys []engine.Key
	for i := 1; i < len(c.Args)-1; i++ {
		keys = append(keys, c.Key(i))
	}
	for i, k := range keys {
		if v, ok, _ := c.Tx.GetString(k); ok {
			c.Out.Array(2)
			c.Out.Bulk(c.Args[i+1])
			c.Out.Bulk(v)
			c.Tx.Delete(k)
			return
		}
	}
	block(c, command.Off, keys...)
}

func tmove(c *command.Ctx) {
	v, ok, _ := c.Tx.GetString(c.Key(1))
	if !ok {
		block(c, command.Off, c.Key(1))
		return
	}
	c.Out.Bulk(v)
	c.Tx.Copy(c.Key(1), c.Key(2))
	c.Tx.Delete(c.Key(1))
}

func tgone(c *command.Ctx) {
	if c.Tx.Exists(c.Key(1)) {
		block(c, command.On, c.Key(1))
		return
	}
	c.Out.SimpleString("GONE")
}

func tnote(c *command.Ctx) {
	if _, err := c.Tx.Incr(c.Key(2), 1); err != nil {
		c.FailWith(err)
		return
	}
	v, ok, _ := c.Tx.GetString(c.Key(1))
	if !ok || string(v) == "no" {
		block(c, command.Off, c.Key(1))
		return
	}
	c.Out.Bulk(v)
}

// waitRig is a rig whose sessions are resumed when they are woken.
type waitRig struct{ *rig }

func newWaitRig(t *testing.T, options ...string) waitRig {
	return waitRig{newRig(t, append([]string{"appendonly no"}, options...)...)}
}

// waitClient is a client of a waitRig.
type waitClient struct {
	*Session
	r     *rig
	wakes atomic.Int32
}

func (r waitRig) client() *waitClient {
	c := &waitClient{r: r.rig}
	c.Session = r.Connect(ConnInfo{Remote: "127.0.0.1:7", Local: "127.0.0.1:6379"}, func() { c.wakes.Add(1) })
	return c
}

// send feeds requests and returns what leaves at once.
func (c *waitClient) send(requests ...string) string { return clean(c.r.on(c.Session).do(requests...)) }

// got is what leaves after a wake; without one nothing may.
func (c *waitClient) got() string {
	if c.wakes.Swap(0) > 0 {
		c.Resume()
	}
	return clean(string(c.Output()))
}

func clean(reply string) string { return strings.TrimSpace(strings.ReplaceAll(reply, "\r\n", " ")) }

// is compares what clients have got.
func (r waitRig) is(c *waitClient, want string) {
	r.t.Helper()
	if have := c.got(); have != want {
		r.t.Errorf("client %d has got %q, want %q", c.ID(), have, want)
	}
}

// blocked compares the number of blocked clients.
func (r waitRig) blocked(want int) {
	r.t.Helper()
	if info := r.do("INFO clients"); !strings.Contains(info, fmt.Sprintf("\r\nblocked_clients:%d\r\n", want)) {
		r.t.Errorf("%d clients should be blocked: %s", want, info)
	}
	places := 0
	for _, s := range r.clients.all() {
		if s.pub.wait.Load() != nil {
			places++
		}
	}
	if places != want {
		r.t.Errorf("%d sessions wait, want %d", places, want)
	}
}

func TestWaitersAreServedInOrderOfArrival(t *testing.T) {
	r := newWaitRig(t)
	a, b, c := r.client(), r.client(), r.client()
	for _, x := range []*waitClient{a, b, c} {
		if out := x.send("TPOP k l 0"); out != "" {
			t.Fatal(out)
		}
	}
	r.blocked(3)
	r.want("+OK", "SET k 1")
	r.is(a, "*2 $1 k $1 1")
	r.is(b, "")
	r.want(":0", "EXISTS k")
	r.do("SET l 2", "SET k 3", "SET k 4")
	r.is(c, "*2 $1 k $1 3")
	r.is(b, "*2 $1 l $1 2")
	r.want("$1\r\n4", "GET k")
	r.blocked(0)
	if r.engine.NewTx().HasWaiters() {
		t.Error("places are left in the queues")
	}
}

func TestWaitersOfAnExec(t *testing.T) {
	r := newWaitRig(t)
	a, b := r.client(), r.client()
	a.send("TPOP k 0")
	b.send("TPOP k 0")
	out := r.do("MULTI", "SET k 1", "SET k 2", "GET k", "TPOP none 0", "EXEC")
	if !strings.HasSuffix(out, "$1\r\n2\r\n*-1\r\n") {
		t.Errorf("EXEC is disturbed by waiters, or waits: %q", out)
	}
	r.is(a, "*2 $1 k $1 2")
	r.is(b, "")
	r.do("MULTI", "SET k 3", "DEL k", "EXEC")
	r.is(b, "")
	r.do("MULTI", "SET k 4", "CONFIG SET maxmemory 0", "GET k", "EXEC")
	r.is(b, "*2 $1 k $1 4")
}

// TestExpiredWhenServed: what an EXEC leaves is handed out at the time of its
// end, and what has expired by then, or lies expired on the other side of a
// SWAPDB, to nobody.
func TestExpiredWhenServed(t *testing.T) {
	r := newWaitRig(t, "enable-debug-command yes")
	a := r.client()
	a.send("TPOP k 0")
	r.do("MULTI", "SET k x PX 100", "DEBUG SLEEP 0.2", "EXEC")
	r.wall.Advance(200)
	r.WakeTimed()
	r.s.Resume()
	r.s.Output()
	r.is(a, "")
	r.do("DEBUG SET-ACTIVE-EXPIRE 0", "SELECT 1", "SET k y PX 10")
	r.wall.Advance(11)
	r.do("SWAPDB 0 1")
	r.is(a, "")
	r.blocked(1)
}

func TestServingWakesMore(t *testing.T) {
	r := newWaitRig(t)
	var chain []*waitClient
	for i := 9; i >= 0; i-- {
		c := r.client()
		c.send(fmt.Sprintf("TMOVE k%d k%d 0", i, i+1))
		chain = append(chain, c)
	}
	r.want("+OK", "SET k0 x")
	for _, c := range chain {
		r.is(c, "$1 x")
	}
	r.want("$1\r\nx", "GET k10")
	r.want(":1", "DBSIZE")
}

// TestWiderScopeUndoes: a waiter needs keys in other shards, so what wakes it
// is undone and runs again, with nothing done twice.
func TestWiderScopeUndoes(t *testing.T) {
	r := newWaitRig(t)
	for i := range 30 {
		c := r.client()
		c.send(fmt.Sprintf("TPOP a%d b%d c%d 0", i, i, i))
		r.want(fmt.Sprintf(":%d", i+1), "INCRBY sum 1")
		reply := r.do("MULTI", fmt.Sprintf("APPEND b%d x", i), fmt.Sprintf("APPEND b%d y", i), "EXEC")
		if !strings.HasSuffix(reply, "*2\r\n:1\r\n:2\r\n") {
			t.Fatalf("%q", reply)
		}
		r.is(c, fmt.Sprintf("*2 $%d b%d $2 xy", len(fmt.Sprint("b", i)), i))
		c.send(fmt.Sprintf("TPOP a%d b%d 0", i, i))
		r.want(":3", fmt.Sprintf("APPEND b%d abc", i))
		r.is(c, fmt.Sprintf("*2 $%d b%d $3 abc", len(fmt.Sprint("b", i)), i))
	}
}

// TestAttemptsThatFindNothing: who stays keeps the place, and what the attempt
// changed wakes nobody, not even for ever.
func TestAttemptsThatFindNothing(t *testing.T) {
	r := newWaitRig(t)
	a, b := r.client(), r.client()
	a.send("TNOTE k count 0")
	b.send("TNOTE k count 0")
	r.want("+OK", "SET k no")
	r.is(a, "")
	r.want("$1\r\n4", "GET count")
	r.want("+OK", "SET k yes")
	r.is(a, "$3 yes")
	r.is(b, "$3 yes")
	r.want("$1\r\n6", "GET count")
}

func TestWaitersMindTypeAndAbsence(t *testing.T) {
	r := newWaitRig(t)
	a := r.client()
	r.do("SET k 1")
	a.send("TGONE k 0")
	r.do("SET k 2")
	r.is(a, "")
	r.do("FLUSHALL")
	r.is(a, "+GONE")
	r.do("SET k 1 PX 25")
	a.send("TGONE k 0")
	r.tick(2)
	r.is(a, "")
	r.tick(3)
	r.is(a, "+GONE")
	b := r.client()
	b.send("SELECT 1", "TPOP k 0")
	r.do("SET k there")
	r.is(b, "")
	r.do("SWAPDB 0 1")
	r.is(b, "*2 $1 k $5 there")
	b.send("TPOP k 0")
	r.do("SET j 1", "RENAME j k", "COPY k k DB 1")
	r.is(b, "*2 $1 k $1 1")
}

func TestWaitEndsByTime(t *testing.T) {
	r := newWaitRig(t)
	a := r.client()
	if out := a.send("PING", "TPOP k 15", "PING"); out != "+PONG" {
		t.Error(out)
	}
	if next := r.WakeTimed(); next != r.wall.NowMs()+16 {
		t.Errorf("the next time is %d, now %d", next, r.wall.NowMs())
	}
	r.wall.Advance(15)
	r.WakeTimed()
	r.is(a, "")
	r.wall.Advance(1)
	if next := r.WakeTimed(); next != 0 {
		t.Error("a time is left", next)
	}
	r.is(a, "*-1 +PONG")
	r.blocked(0)
	r.do("SET k 1")
	r.want("$1\r\n1", "GET k")
	a.send("CLIENT REPLY SKIP", "TPOP none 5")
	r.tick(1)
	r.is(a, "")
	if out := a.send("PING"); out != "+PONG" {
		t.Error(out)
	}
}

func TestClientUnblock(t *testing.T) {
	r := newWaitRig(t)
	a := r.client()
	id := strconv.FormatInt(a.ID(), 10)
	r.want(":0", "CLIENT UNBLOCK "+id)
	a.send("TPOP k 0", "PING")
	if line := r.do("CLIENT LIST ID " + id); !strings.Contains(line, " flags=b ") || !strings.Contains(line, " cmd=tpop ") {
		t.Error(line)
	}
	r.want(":1", "CLIENT UNBLOCK "+id)
	r.want(":0", "CLIENT UNBLOCK "+id+" ERROR")
	r.is(a, "*-1 +PONG")
	a.send("TPOP k 0")
	r.want(":1", "CLIENT UNBLOCK "+id+" ERROR")
	r.do("SET k 1")
	r.is(a, "-UNBLOCKED client unblocked via CLIENT UNBLOCK")
	r.want("$1\r\n1", "GET k")
	// Inside EXEC the locks of the key are held.
	r.do("DEL k")
	a.send("TPOP k 0")
	out := r.do("MULTI", "CLIENT UNBLOCK "+id, "SET k 2", "EXEC")
	if !strings.HasSuffix(out, ":1\r\n+OK\r\n") {
		t.Error(out)
	}
	r.is(a, "*-1")
	r.want(":0", "CLIENT UNBLOCK 999")
}

// TestWaitersThatLeave: a job is not given to somebody who is gone.
func TestWaitersThatLeave(t *testing.T) {
	r := newWaitRig(t)
	killed, ended, closed, last := r.client(), r.client(), r.client(), r.client()
	for _, c := range []*waitClient{killed, ended, closed, last} {
		c.send("TPOP k 0")
	}
	r.want(":1", fmt.Sprintf("CLIENT KILL ID %d", killed.ID()))
	ended.InputEnded()
	closed.Close()
	r.do("SET k 1")
	r.is(last, "*2 $1 k $1 1")
	killed.Close()
	ended.Close()
	if r.engine.NewTx().HasWaiters() {
		t.Error("places are left in the queues")
	}
	r.blocked(0)
}

func TestPauseHoldsWaking(t *testing.T) {
	r := newWaitRig(t)
	a, b := r.client(), r.client()
	r.do("SET k x PX 5")
	a.send("TGONE k 0")
	b.send("TPOP j 0")
	r.do("CLIENT PAUSE 50 WRITE")
	p := r.client()
	p.send("SET j 1")
	r.tick(3)
	r.is(a, "")
	r.is(b, "")
	r.tick(5)
	if p.got() != "+OK" {
		t.Error("a write was not resumed after the pause")
	}
	r.tick(2)
	r.is(a, "+GONE")
	r.is(b, "*2 $1 j $1 1")
}

// TestWokenReplyWaitsForDisk: with appendfsync always the reply of who was
// woken leaves when the batch that woke it is durable.
func TestWokenReplyWaitsForDisk(t *testing.T) {
	r := waitRig{newRig(t, "appendfsync always")}
	a := r.client()
	a.send("TPOP k 0")
	pos := r.disk.db.Load().Log.End()
	r.s.Feed([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n"))
	if end := r.disk.db.Load().Log.End(); end != pos+1 {
		t.Errorf("%d batches of one command that wakes another", end-pos)
	}
	r.is(a, "")
	r.settle()
	r.is(a, "*2 $1 k $1 1")
}

// TestSiblingWakes: what a sibling wrote is handed out at once, in a batch of
// ours.
func TestSiblingWakes(t *testing.T) {
	r := waitRig{newRig(t)}
	a, b := r.client(), r.client()
	a.send("TMOVE k l 0")
	b.send("TPOP l k 0")
	before := r.disk.db.Load().Log.End()
	origin := clock.NewOrigin("elsewhere", 1)
	body := op.Builder{Origin: origin}
	body.Set(0, []byte("k"), []byte("v"), 0)
	h := op.Header{Origin: origin, First: clock.ReadingAt(r.wall.NowMs()), Count: 1}
	batch, err := op.ParseBatch(op.AppendBatch(nil, h, body.Body()))
	if err == nil {
		err = host{r.Node}.Apply(batch)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.is(a, "$1 v")
	r.is(b, "*2 $1 l $1 v")
	if end := r.disk.db.Load().Log.End(); end != before+2 {
		t.Errorf("%d batches for a sibling's write and what it woke", end-before)
	}
}

// TestWaitersUnderLoad: each value is taken exactly once, whoever times out,
// unblocks or leaves meanwhile.
func TestWaitersUnderLoad(t *testing.T) {
	r := newWaitRig(t)
	const takers, values = 8, 400
	var taken sync.Map
	var count atomic.Int64
	var all sync.WaitGroup
	stop := make(chan struct{})
	for i := range takers {
		all.Go(func() {
			woken := make(chan struct{}, 1)
			s := r.Connect(ConnInfo{Remote: "127.0.0.1:7", Local: "127.0.0.1:6379"}, func() {
				select {
				case woken <- struct{}{}:
				default:
				}
			})
			defer s.Close()
			for {
				q := fmt.Sprintf("TPOP a%d b%d c 0\r\n", i%3, i%2)
				s.Feed([]byte(q))
				out := string(s.Output())
				for out == "" {
					select {
					case <-woken:
					case <-stop:
						return
					}
					s.Resume()
					out = string(s.Output())
				}
				if f := strings.Fields(out); f[0] == "*2" {
					if _, twice := taken.LoadOrStore(f[4], i); twice {
						t.Errorf("%s is taken twice", f[4])
					}
					count.Add(1)
				}
			}
		})
	}
	all.Go(func() {
		s := r.connect()
		for i := range values {
			keys := [...]string{"a0", "a1", "a2", "b0", "b1", "c"}
			for out := ""; !strings.Contains(out, "+OK"); {
				s.Feed(fmt.Appendf(nil, "SET %s v%d NX\r\nCLIENT UNBLOCK %d\r\n", keys[i%len(keys)], i, 2+i%takers))
				out = string(s.Output())
			}
		}
		for count.Load() < values && !t.Failed() {
			s.Feed([]byte("PING\r\n"))
			s.Output()
		}
		close(stop)
	})
	all.Wait()
	if count.Load() != values {
		t.Errorf("%d of %d values were taken", count.Load(), values)
	}
	if r.engine.NewTx().HasWaiters() {
		t.Error("places are left in the queues")
	}
}
