package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"
)

// The register machine that a few string keys are, as Porcupine's model: each
// operation is legal on a state or not, and leads to one next state.

const (
	linearKeys    = 3
	linearClients = 6
)

// cell is one key. The token is known from the time that a client was told it
// for the present value; a write whose reply shows none makes it unknown.
type cell struct {
	exists bool
	value  string
	token  string
}

type linearState [linearKeys]cell

type linearOp struct {
	name       string // of the command; "multi" is INCR key, APPEND key+1, GET key+2
	key        int
	arg, token string
}

// linearReply is what the client saw; of several values joined by commas.
type linearReply struct {
	value   string
	token   string
	null    bool
	failure string // error text
}

var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, output any) (bool, any) {
		s, op, r := state.(linearState), input.(linearOp), output.(linearReply)
		legal := s.apply(op, r)
		return legal, s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// apply performs op and reports whether r is its reply.
func (s *linearState) apply(op linearOp, r linearReply) bool {
	c := &s[op.key]
	switch op.name {
	case "get":
		return *c == cell{} && r.null || c.exists && !r.null && r.value == c.value
	case "set":
		*c = cell{exists: true, value: op.arg}
		return r.value == "OK"
	case "del":
		had := c.exists
		*c = cell{}
		return r.value == map[bool]string{true: "1", false: "0"}[had]
	case "incr":
		value, failure := c.incr()
		return r.value == value && r.failure == failure
	case "append":
		return r.value == c.append(op.arg)
	case "gets":
		return c.gets(r)
	case "cas":
		return c.cas(op, r)
	case "multi":
		value, failure := c.incr()
		if failure != "" {
			value = failure
		}
		length := s[(op.key+1)%linearKeys].append(op.arg)
		last := s[(op.key+2)%linearKeys]
		if !last.exists {
			last.value = "nil"
		}
		return r.value == strings.Join([]string{value, length, last.value}, ",")
	}
	panic("no such operation: " + op.name)
}

const notInteger = "ERR value is not an integer or out of range"

func (c *cell) incr() (value, failure string) {
	n := int64(0)
	if c.exists {
		var err error
		if n, err = strconv.ParseInt(c.value, 10, 64); err != nil || strconv.FormatInt(n, 10) != c.value {
			return "", notInteger
		}
	}
	*c = cell{exists: true, value: strconv.FormatInt(n+1, 10)}
	return c.value, ""
}

func (c *cell) append(arg string) (length string) {
	*c = cell{exists: true, value: c.value + arg}
	return strconv.Itoa(len(c.value))
}

// gets learns the token of the value if nobody knew it.
func (c *cell) gets(r linearReply) bool {
	if !c.exists || r.null {
		return !c.exists && r.null
	}
	if c.token == "" {
		c.token = r.token
	}
	return c.value == r.value && c.token == r.token
}

// cas may succeed only with the token of the present value. While that is
// unknown nobody can hold it: who was told it made it known.
func (c *cell) cas(op linearOp, r linearReply) bool {
	holds := c.exists && c.token != "" && c.token == op.token || !c.exists && op.token == "0"
	if !holds {
		return r.null
	}
	*c = cell{exists: true, value: op.arg, token: r.token}
	return !r.null && r.token != "" && r.token != op.token
}

// TestLinearizable runs clients against few keys and looks for an order of
// their operations that explains every reply.
func TestLinearizable(t *testing.T) {
	s := startServer(t)
	var clients [linearClients]*redis.Client
	for i := range clients {
		clients[i] = s.Client()
	}
	cas := clients[0].Do(context.Background(), "GETS", "probe").Err()
	withCAS := cas == nil || errors.Is(cas, redis.Nil)
	if !withCAS {
		t.Logf("SKIP: no GETS and CAS here: %v", cas)
	}
	end := time.Now().Add(budget(t, 8*time.Second))
	rounds, operations := 0, 0
	for ; rounds < 5 || time.Now().Before(end); rounds++ {
		history := linearRound(clients[:], rounds, withCAS)
		operations += len(history)
		switch porcupine.CheckOperationsTimeout(linearModel, history, 20*time.Second) {
		case porcupine.Illegal:
			t.Fatalf("round %d is not linearizable:\n%s", rounds, describe(history))
		case porcupine.Unknown:
			t.Logf("round %d: no verdict in time", rounds)
		}
	}
	t.Logf("%d rounds, %d operations", rounds, operations)
}

func describe(history []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "client %d [%d, %d] %+v -> %+v\n", op.ClientId, op.Call, op.Return, op.Input, op.Output)
	}
	return b.String()
}

// linearRound runs one set of clients on keys of their own.
func linearRound(clients []*redis.Client, round int, withCAS bool) []porcupine.Operation {
	const opsEach = 40
	histories := make([][]porcupine.Operation, len(clients))
	began := time.Now()
	var wg sync.WaitGroup
	for id, c := range clients {
		l := linearClient{id: id, c: c, prefix: fmt.Sprintf("linear:%d:", round), withCAS: withCAS,
			rng: rand.New(rand.NewPCG(uint64(round), uint64(id)))}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range opsEach {
				op := l.choose()
				call := time.Since(began).Nanoseconds()
				reply := l.do(op)
				histories[id] = append(histories[id], porcupine.Operation{
					ClientId: id, Input: op, Call: call, Output: reply, Return: time.Since(began).Nanoseconds()})
			}
		}()
	}
	wg.Wait()
	var all []porcupine.Operation
	for _, h := range histories {
		all = append(all, h...)
	}
	return all
}

// linearClient is one client; it remembers the tokens that it was told.
type linearClient struct {
	id      int
	c       *redis.Client
	prefix  string
	rng     *rand.Rand
	withCAS bool
	tokens  [linearKeys]string
}

func (l *linearClient) choose() linearOp {
	names := []string{"get", "get", "set", "incr", "incr", "append", "del", "multi"}
	if l.withCAS {
		names = append(names, "gets", "gets", "cas", "cas")
	}
	op := linearOp{name: names[l.rng.IntN(len(names))], key: l.rng.IntN(linearKeys)}
	switch op.name {
	case "set", "cas":
		op.arg = strconv.Itoa(l.id*1000 + l.rng.IntN(1000))
	case "append", "multi":
		op.arg = string(rune('0' + l.rng.IntN(10)))
	}
	if op.name == "cas" {
		op.token = l.tokens[op.key]
		if op.token == "" || l.rng.IntN(5) == 0 {
			op.token = "0"
		}
	}
	return op
}

func (l *linearClient) key(i int) string { return l.prefix + strconv.Itoa(i%linearKeys) }

func (l *linearClient) do(op linearOp) linearReply {
	ctx, cancel := context.WithTimeout(context.Background(), replyWait)
	defer cancel()
	key := l.key(op.key)
	switch op.name {
	case "get", "del", "incr":
		return replyOf(l.c.Do(ctx, op.name, key).Result())
	case "set", "append":
		return replyOf(l.c.Do(ctx, op.name, key, op.arg).Result())
	case "gets":
		v, err := l.c.Do(ctx, op.name, key).Result()
		r := replyOf(v, err)
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			r.value, r.token = fmt.Sprint(pair[0]), fmt.Sprint(pair[1])
			l.tokens[op.key] = r.token
		}
		return r
	case "cas":
		r := replyOf(l.c.Do(ctx, op.name, key, op.token, op.arg).Result())
		r.token, r.value = r.value, ""
		if !r.null {
			l.tokens[op.key] = r.token
		}
		return r
	}
	cmds, err := l.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "incr", key)
		p.Do(ctx, "append", l.key(op.key+1), op.arg)
		p.Do(ctx, "get", l.key(op.key+2))
		return nil
	})
	if len(cmds) != 3 {
		return replyOf(nil, err)
	}
	var seen []string
	for _, cmd := range cmds {
		r := replyOf(cmd.(*redis.Cmd).Result())
		switch {
		case r.failure != "":
			seen = append(seen, r.failure)
		case r.null:
			seen = append(seen, "nil")
		default:
			seen = append(seen, r.value)
		}
	}
	return linearReply{value: strings.Join(seen, ",")}
}

func replyOf(v any, err error) linearReply {
	switch {
	case errors.Is(err, redis.Nil):
		return linearReply{null: true}
	case err != nil:
		return linearReply{failure: err.Error()}
	}
	return linearReply{value: fmt.Sprint(v)}
}

// TestLinearModel shows that the model refuses what must not happen.
func TestLinearModel(t *testing.T) {
	type step struct {
		op    linearOp
		reply linearReply
	}
	set := func(v string) step { return step{linearOp{name: "set", arg: v}, linearReply{value: "OK"}} }
	gets := func(v, token string) step {
		return step{linearOp{name: "gets"}, linearReply{value: v, token: token}}
	}
	cas := func(token, v string, r linearReply) step {
		return step{linearOp{name: "cas", token: token, arg: v}, r}
	}
	null := linearReply{null: true}
	for _, c := range []struct {
		name  string
		steps []step
		legal bool
	}{
		{"read own write", []step{set("1"), {linearOp{name: "get"}, linearReply{value: "1"}}}, true},
		{"stale read", []step{set("1"), set("2"), {linearOp{name: "get"}, linearReply{value: "1"}}}, false},
		{"lost write", []step{set("1"), {linearOp{name: "get"}, null}}, false},
		{"increment twice alike", []step{{linearOp{name: "incr"}, linearReply{value: "1"}}, {linearOp{name: "incr"}, linearReply{value: "1"}}}, false},
		{"cas", []step{set("1"), gets("1", "t"), cas("t", "2", linearReply{token: "u"}), gets("2", "u")}, true},
		{"cas twice with one token", []step{set("1"), gets("1", "t"), cas("t", "2", linearReply{token: "u"}), cas("t", "3", linearReply{token: "v"})}, false},
		{"cas over a write", []step{set("1"), gets("1", "t"), set("2"), cas("t", "3", linearReply{token: "u"})}, false},
		{"cas refused for nothing", []step{set("1"), gets("1", "t"), cas("t", "3", null)}, false},
		{"cas of a missing key", []step{cas("0", "1", linearReply{token: "t"}), cas("0", "1", null)}, true},
		{"token changes by itself", []step{set("1"), gets("1", "t"), gets("1", "u")}, false},
		{"half a transaction", []step{{linearOp{name: "multi", arg: "9"}, linearReply{value: "1,1,nil"}}, {linearOp{name: "get", key: 1}, null}}, false},
	} {
		var history []porcupine.Operation
		for i, s := range c.steps {
			history = append(history, porcupine.Operation{Input: s.op, Call: int64(2 * i), Output: s.reply, Return: int64(2*i + 1)})
		}
		if porcupine.CheckOperations(linearModel, history) != c.legal {
			t.Errorf("%s: the model says otherwise than %v", c.name, c.legal)
		}
	}
}
