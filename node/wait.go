package node

import (
	"bytes"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/engine"
	"geocache/resp"
)

// This file lets a session wait for keys to change: the node's side of
// engine.Waiter. The command's next attempts run in the transactions of others;
// what they reply is kept here until the session goes on.

// wait is a command that waits. What it replies is written by the tx that
// serves it and is the session's once served is set.
type wait struct {
	engine.Waiter
	s          *Session
	row        *command.Row
	args       [][]byte
	db         int
	deadlineMs int64        // over with the end of this millisecond, as in Redis; 0: never
	againMs    atomic.Int64 // when an attempt is worth it though no key has changed, 0: never
	timeout    func(*command.Ctx)
	out        resp.Writer
	served     atomic.Bool
	end        atomic.Int32 // waitEnd: how it ends if nobody has served it
}

type waitEnd = int32

const (
	endNot     waitEnd = iota
	endTimeout         // the reply is the timeout's
	endError           // CLIENT UNBLOCK ERROR
	endSilent          // nobody is left to read a reply
)

// await queues the running command, which has called Ctx.Block.
func (s *Session) await(tx *engine.Tx, b *command.Block) {
	w := &wait{
		s: s, row: s.ctx.Row, args: cloneArgs(s.ctx.Args), db: s.ctx.DB,
		deadlineMs: b.DeadlineMs, timeout: b.Timeout,
	}
	w.againMs.Store(b.AgainMs)
	w.out.SetProto(s.out.Proto())
	w.out.SetCompat(s.out.Compat())
	for _, k := range b.Keys {
		w.Keys = append(w.Keys, engine.Key{DB: k.DB, Name: bytes.Clone(k.Name)})
	}
	c := command.Ctx{Args: w.args, Row: w.row, DB: w.db, Sess: s, Host: s.n}
	w.Scope = c.Scope(nil)
	w.Type, w.Missing = b.Type, b.Missing == command.On
	w.Serve, w.Served = w.attempt, w.wake
	tx.Wait(&w.Waiter)
	s.wait = w
}

// attempt implements engine.Waiter.Serve.
func (w *wait) attempt(tx *engine.Tx) bool {
	if w.s.killed.Load() {
		return false
	}
	w.out.Reset()
	c := command.Ctx{
		Args: w.args, Row: w.row, Out: &w.out, Tx: tx, DB: w.db, Sess: w.s, Host: w.s.n, Woken: command.On,
	}
	w.row.Run(&c)
	b := c.TakeBlock()
	if b != nil {
		w.againMs.Store(b.AgainMs)
	}
	return b == nil
}

// wake implements engine.Waiter.Served.
func (w *wait) wake() {
	w.served.Store(true)
	w.s.wake()
}

// parkWaiting stops the session until its wait ends.
func (s *Session) parkWaiting() {
	s.parked = parkWaiting
	s.pub.blocked.Store(true)
	s.pub.wait.Store(s.wait)
	s.scheduleWait()
}

// lookAgainMs is how soon a wait looks whether the attempt was made that it has
// asked for.
const lookAgainMs = 20

// scheduleWait has the session woken when its wait ends, or is worth an attempt
// though no key has changed. That attempt is made by the next stir.
func (s *Session) scheduleWait() {
	w := s.wait
	next, now := int64(math.MaxInt64), s.n.wall.NowMs()
	if w.deadlineMs != 0 {
		next = min(w.deadlineMs, math.MaxInt64-1) + 1
	}
	if again := w.againMs.Load(); again != 0 {
		if again <= now {
			s.n.engine.Stirred(w.Keys)
			again = now + lookAgainMs
		}
		next = min(next, again)
	}
	if next != math.MaxInt64 {
		s.n.wakeAt(s, next)
	}
}

// endWait replies if the wait is over, and reports whether it is.
func (s *Session) endWait() bool {
	w := s.wait
	if w.deadlineMs != 0 && s.n.wall.NowMs() > w.deadlineMs {
		w.end.CompareAndSwap(endNot, endTimeout)
	}
	s.mark = s.out.Len()
	switch end := w.end.Load(); {
	case end != endNot && w.End():
		if end == endError {
			s.out.Error(resp.ErrUnblocked)
		} else {
			c := command.Ctx{Args: w.args, Row: w.row, Out: &s.out, DB: w.db, Sess: s, Host: s.n}
			w.timeout(&c)
		}
	case w.served.Load():
		s.out.Raw(w.out.Bytes())
	default:
		if w.againMs.Load() != 0 {
			s.scheduleWait()
		}
		return false
	}
	s.forgetWait()
	s.account(w.row, s.micros)
	return s.replied()
}

// giveUp ends the wait of a session whose client is gone.
func (s *Session) giveUp() {
	if s.wait != nil {
		s.wait.end.Store(endSilent)
		s.wait.End()
		s.forgetWait()
	}
}

func (s *Session) forgetWait() {
	s.n.engine.Forget(&s.wait.Waiter)
	s.n.clients.unschedule(s)
	s.wait = nil
	s.pub.wait.Store(nil)
	s.pub.blocked.Store(false)
}

// Unblock implements command.Host.
func (n *Node) Unblock(id int64, asError command.Switch) bool {
	end := endTimeout
	if asError == command.On {
		end = endError
	}
	for _, s := range n.clients.named([]int64{id}) {
		w := s.pub.wait.Load()
		if w != nil && w.end.CompareAndSwap(endNot, end) && w.End() {
			s.wake()
			return true
		}
	}
	return false
}

// maxWidenings is after how many wider lock sets a tx takes the world.
const maxWidenings = 8

// runWide runs fn in tx, with more locks where those whom it serves need them.
func runWide(tx *engine.Tx, sc engine.Scope, nowMs int64, fn func(*engine.Tx)) error {
	for tries := 0; ; tries++ {
		err := tx.Run(sc, nowMs, fn)
		need, ok := err.(*engine.NeedKeys)
		if !ok {
			return err
		}
		sc.Keys = append(slices.Clip(sc.Keys), need.Keys...)
		sc.World = tries >= maxWidenings
	}
}

// stirring serves those who wait for what changed without a command.
type stirring struct {
	sync.Mutex
	tx *engine.Tx
}

// stir serves those who wait for keys that a sibling, or time, has changed.
// While commands that write have to wait, so do they.
func (n *Node) stir() {
	if n.pause.holds(true) || n.ending.Load() || n.diskError() != nil {
		return
	}
	if db := n.disk.db.Load(); db != nil && db.Log.Full() {
		return
	}
	keys := n.engine.TakeReady()
	if len(keys) == 0 {
		return
	}
	n.stirring.Lock()
	err := runWide(n.stirring.tx, engine.Scope{Keys: keys}, n.wall.NowMs(), func(tx *engine.Tx) { tx.Stir(keys) })
	n.stirring.Unlock()
	if need, ok := err.(*engine.NeedRow); ok {
		n.fetchRows(need, func(err error) {
			if err == nil {
				n.engine.Stirred(keys)
				n.stir()
			}
		})
	}
}
