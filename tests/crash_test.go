package tests

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"
)

// crashWriter is one connection that writes without a pause until its server
// dies, and knows what it was promised. Each of its steps adds one to a counter,
// sets a key of its own, and sets a pair of keys in one transaction.
type crashWriter struct {
	id    int
	sent  int // steps sent, over all lives of the server
	acked int // steps acknowledged

	ackedAt []time.Time // of each step, where asked for
}

func (w *crashWriter) counter() string    { return fmt.Sprintf("counter:%d", w.id) }
func (w *crashWriter) key(n int) string   { return fmt.Sprintf("key:%d:%d", w.id, n) }
func (w *crashWriter) left() string       { return fmt.Sprintf("left:%d", w.id) }
func (w *crashWriter) right() string      { return fmt.Sprintf("right:%d", w.id) }
func (w *crashWriter) value(n int) string { return fmt.Sprintf("%d.%d", w.id, n) }

// run writes until the connection breaks. Steps are pipelined by depth, so that
// a crash also finds commands that wait behind others.
func (w *crashWriter) run(c *Conn, depth int) error {
	for {
		var raw []byte
		for range depth {
			w.sent++
			n := strconv.Itoa(w.sent)
			raw = append(raw, request("INCR", w.counter())...)
			raw = append(raw, request("SET", w.key(w.sent), w.value(w.sent))...)
			raw = append(raw, request("MULTI")...)
			raw = append(raw, request("SET", w.left(), n)...)
			raw = append(raw, request("SET", w.right(), n)...)
			raw = append(raw, request("EXEC")...)
		}
		if _, err := c.Write(raw); err != nil {
			return nil
		}
		for range depth {
			for range 6 {
				v, err := c.readWithin(replyWait)
				if err != nil {
					return nil
				}
				if v.Err() != nil {
					return fmt.Errorf("writer %d: %w", w.id, v.Err())
				}
			}
			w.acked++
			w.ackedAt = append(w.ackedAt, time.Now())
		}
	}
}

// crashRound starts the writers, kills the server after a time and waits for
// the writers to notice.
func crashRound(t *testing.T, s *Server, writers []*crashWriter, life time.Duration) (killedAt time.Time) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, len(writers))
	for i, w := range writers {
		c := s.Dial()
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs <- w.run(c, 1+i*4)
		}()
	}
	time.Sleep(life)
	killedAt = time.Now()
	s.Kill()
	wg.Wait()
	for range writers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	return killedAt
}

func newCrashWriters(n int) []*crashWriter {
	writers := make([]*crashWriter, n)
	for i := range writers {
		writers[i] = &crashWriter{id: i}
	}
	return writers
}

// survived reads how many steps of the writer each kind of key shows.
func (w *crashWriter) survived(t *testing.T, c *Conn) (counter, keys, left, right int) {
	t.Helper()
	number := func(key string) int {
		v := c.Do("GET", key)
		if v.IsNull() {
			return 0
		}
		n, err := strconv.Atoi(v.Text)
		if err != nil {
			t.Fatalf("%s holds %s", key, v)
		}
		return n
	}
	counter, left, right = number(w.counter()), number(w.left()), number(w.right())
	keys = w.prefix(t, c)
	return counter, keys, left, right
}

// prefix returns how many of the writer's own keys there are, and fails the test
// where one is missing before another, or has a wrong value.
func (w *crashWriter) prefix(t *testing.T, c *Conn) int {
	t.Helper()
	const group = 500
	n, ended := 0, false
	for from := 1; from <= w.sent; from += group {
		args := []string{"MGET"}
		for i := from; i < from+group && i <= w.sent; i++ {
			args = append(args, w.key(i))
		}
		for i, v := range c.Do(args...).Elems {
			switch {
			case v.IsNull():
				ended = true
			case ended:
				t.Errorf("writer %d: %s is there, but not all before it", w.id, w.key(from+i))
				return n
			case v.Text != w.value(from+i):
				t.Errorf("writer %d: %s is %s", w.id, w.key(from+i), v)
			default:
				n++
			}
		}
	}
	return n
}

// TestCrashAlways kills the server in the middle of load, again and again: with
// appendfsync always nothing that was acknowledged may be missing, nothing may
// be there that was not sent, and no transaction in part.
func TestCrashAlways(t *testing.T) {
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	writers := newCrashWriters(6)
	end := time.Now().Add(budget(t, 12*time.Second))
	rounds := 0
	for ; rounds < 3 || time.Now().Before(end); rounds++ {
		s.Start()
		crashRound(t, s, writers, 100*time.Millisecond+time.Duration(rand.IntN(500))*time.Millisecond)
		s.Start()
		c := s.Dial()
		for _, w := range writers {
			counter, keys, left, right := w.survived(t, c)
			for what, n := range map[string]int{"counter": counter, "keys": keys, "left": left, "right": right} {
				if n < w.acked || n > w.sent {
					t.Errorf("round %d, writer %d: %s shows %d steps; %d were acknowledged, %d sent", rounds, w.id, what, n, w.acked, w.sent)
				}
			}
			if left != right {
				t.Errorf("round %d, writer %d: half a transaction: %d and %d", rounds, w.id, left, right)
			}
			if keys > counter {
				t.Errorf("round %d, writer %d: step %d without the one before it, %d", rounds, w.id, keys, counter)
			}
			w.continueFrom(c, counter)
		}
		s.Kill()
		if t.Failed() {
			return
		}
	}
	acked := 0
	for _, w := range writers {
		acked += w.acked
	}
	t.Logf("%d rounds, %d steps acknowledged, all there", rounds, acked)
	if acked == 0 {
		t.Error("nothing was acknowledged")
	}
}

// continueFrom gives the writer what a crash left it: what is there is there.
// The commands of a step may have survived in part, so it is made whole.
func (w *crashWriter) continueFrom(c *Conn, n int) {
	w.sent, w.acked = n, n
	if n > 0 {
		c.Expect("+OK", "MSET", w.key(n), w.value(n), w.left(), strconv.Itoa(n), w.right(), strconv.Itoa(n))
	}
}

// TestCrashEverySecond kills the server under load: what each connection loses
// is a tail, and no more than the last second, with some more for a machine
// that is busy.
func TestCrashEverySecond(t *testing.T) {
	const slack = 500 * time.Millisecond
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "everysec")
	s.Start()
	writers := newCrashWriters(4)
	killedAt := crashRound(t, s, writers, 2500*time.Millisecond)
	s.Start()
	c := s.Dial()
	total, lost := 0, 0
	for _, w := range writers {
		due := 0
		for _, at := range w.ackedAt {
			if killedAt.Sub(at) > time.Second+slack {
				due++
			}
		}
		counter, keys, left, right := w.survived(t, c)
		for what, n := range map[string]int{"counter": counter, "keys": keys, "left": left, "right": right} {
			if n < due || n > w.sent {
				t.Errorf("writer %d: %s shows %d steps; %d are older than a second, %d were sent", w.id, what, n, due, w.sent)
			}
		}
		if left != right {
			t.Errorf("writer %d: half a transaction: %d and %d", w.id, left, right)
		}
		// The three parts of a step were written in this order.
		if keys > counter || counter > keys+1 || left > keys || keys > left+1 {
			t.Errorf("writer %d: no prefix: counter %d, keys %d, pair %d", w.id, counter, keys, left)
		}
		total += w.acked
		lost += max(0, w.acked-left)
	}
	t.Logf("%d steps acknowledged, %d lost with the last second", total, lost)
}

// TestCrashCleanStop loses nothing on SIGTERM, whatever the policy.
func TestCrashCleanStop(t *testing.T) {
	for _, policy := range []string{"always", "everysec", "no"} {
		t.Run(policy, func(t *testing.T) {
			s := startServer(t, "--appendonly", "yes", "--appendfsync", policy)
			c := s.Dial()
			for i := range 1000 {
				c.Send(string(request("SET", "key:"+strconv.Itoa(i), strconv.Itoa(i), "PX", "10000000")))
			}
			for range 1000 {
				c.ExpectReply("+OK")
			}
			c.Expect(":1", "DEL", "key:7")
			s.Stop()
			s.Start()
			c = s.Dial()
			c.Expect(":999", "DBSIZE")
			c.Expect("nil", "GET", "key:7")
			c.Expect(`"999"`, "GET", "key:999")
			if ms := c.Do("PTTL", "key:999").Int; ms <= 0 || ms > 10000000 {
				t.Errorf("PTTL %d after the restart", ms)
			}
		})
	}
}
