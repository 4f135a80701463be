package node

import (
	"geocache/command"
	"geocache/engine"
	"geocache/resp"
)

// multi is the transaction of a session.
type multi struct {
	active  bool
	spoiled bool // a command was refused: EXEC aborts
	queue   []queued
	flags   command.Flags // of all queued rows
	bytes   int64
	begun   bool  // EXEC has run, though perhaps not to its end
	db      int32 // selected when it began
}

type queued struct {
	row  *command.Row
	args [][]byte
}

// queue keeps a command for EXEC.
func (s *Session) queue(row *command.Row, args [][]byte) {
	m := &s.multi
	for _, a := range args {
		m.bytes += int64(len(a)) + 24
	}
	if m.bytes > s.n.conf.Load().ClientQueryBufLimit {
		s.n.log.Warn("closing a client whose transaction reached the query buffer limit", "client", s.Line())
		s.closing = true
		return
	}
	// Once spoiled nothing will run; Redis stops keeping commands then.
	if !m.spoiled {
		m.queue = append(m.queue, queued{row, cloneArgs(args)})
		m.flags |= row.Flags
		s.pub.multiBytes.Store(m.bytes)
	}
	s.pub.queued.Store(int32(len(m.queue)))
	s.out.SimpleString("QUEUED")
}

// BeginMulti implements command.Session.
func (s *Session) BeginMulti() {
	if s.multi.active {
		s.out.Error(resp.ErrMultiNested)
		return
	}
	s.multi.active = true
	s.pub.queued.Store(0)
	s.out.OK()
}

// Discard implements command.Session.
func (s *Session) Discard() {
	if !s.multi.active {
		s.out.Error(resp.ErrDiscardNoMulti)
		return
	}
	s.discard()
	s.out.OK()
}

// discard ends the transaction and all watches.
func (s *Session) discard() {
	s.multi = multi{}
	s.pub.queued.Store(-1)
	s.pub.multiBytes.Store(0)
	s.Unwatch()
}

// Watch implements command.Session.
func (s *Session) Watch(keys [][]byte) {
	if s.multi.active {
		s.out.Error(resp.ErrWatchInMulti)
		return
	}
	db := int(s.pub.db.Load())
	var sc engine.Scope
	for _, k := range keys {
		sc.Keys = append(sc.Keys, engine.Key{DB: db, Name: k})
	}
	// Watching reads no values, so the run cannot be asked to fetch one.
	_ = s.tx.Run(sc, s.n.wall.NowMs(), func(tx *engine.Tx) {
		for _, k := range sc.Keys {
			tx.WatchKey(&s.watch, k)
		}
	})
	s.pub.watching.Store(int32(len(s.watch.WatchedKeys())))
	s.out.OK()
}

// Unwatch implements command.Session. Queued in a transaction it has nothing to
// do: EXEC ends all watches itself, and holds the locks that this would take.
func (s *Session) Unwatch() {
	if s.multi.active {
		return
	}
	s.n.engine.Unwatch(&s.watch)
	s.pub.watching.Store(0)
}

// Exec implements command.Session: all queued commands in one tx over the
// union of their keys, leaving one batch.
func (s *Session) Exec() {
	m := &s.multi
	switch {
	case !m.active:
		s.out.Error(resp.ErrExecNoMulti)
		return
	case m.spoiled:
		s.discard()
		s.out.Error(resp.ErrExecAbort)
		return
	case s.watch.Dirty():
		s.discard()
		s.out.NullArray()
		return
	}
	if !m.begun {
		// A run that is undone for a value on disk may have selected another.
		m.begun, m.db = true, s.pub.db.Load()
	}
	s.pub.db.Store(m.db)
	outer := s.ctx
	ran := s.run(s.execScope(), s.runQueued)
	s.ctx = outer
	if ran {
		s.discard()
	}
}

// execScope is the union of the queued commands' keys and the watched ones, or
// the world where a queued command names no keys or may change the database
// that later ones mean.
func (s *Session) execScope() engine.Scope {
	sc := engine.Scope{Keys: s.watch.WatchedKeys()}
	db := int(s.pub.db.Load())
	for _, q := range s.multi.queue {
		switch {
		case q.row.Flags&(command.World|command.Walk|command.SelectsDB) != 0:
			sc.World = true
		case q.row.Has(command.Control):
		default:
			c := command.Ctx{Args: q.args, Row: q.row, DB: db, Sess: s, Host: s.n}
			sc.Keys = c.Scope(sc.Keys)
			sc.World = sc.World || c.NeedsWorld()
		}
	}
	sc.Walk = len(sc.Keys) == 0
	return sc
}

// runQueued is the function of EXEC's tx.
func (s *Session) runQueued(tx *engine.Tx) {
	s.out.Truncate(s.mark)
	s.takeMail()
	s.mark = s.out.Len()
	tx.CheckExpired(&s.watch)
	if s.watch.Dirty() {
		s.out.NullArray()
		return
	}
	// Values on disk are asked for before anything runs: a command without a
	// tx (CLIENT SETNAME) must not run twice.
	s.require(tx)
	s.out.Array(len(s.multi.queue))
	execMark := s.mark
	for _, q := range s.multi.queue {
		s.mark = s.out.Len()
		s.turnTo(q.row)
		start := s.n.opts.Micros()
		s.ctx = command.Ctx{Args: q.args, Row: q.row, Out: &s.out, DB: int(s.pub.db.Load()), Sess: s, Host: s.n, InExec: command.On}
		if !q.row.Has(command.Control) {
			s.ctx.Tx = tx
		}
		reconfigures := q.row.Has(command.Control | command.World)
		if reconfigures {
			tx.CommitSoFar()
		}
		q.row.Run(&s.ctx)
		if reconfigures {
			tx.CommitSoFar()
		}
		s.account(q.row, start)
	}
	s.mark = execMark
	if tx.HasWaiters() {
		// A DEBUG SLEEP among the commands counts as over.
		tx.SetNow(max(s.n.wall.NowMs(), s.sleepUntilMs))
	}
}

// require ends the run unless all that the queued commands name, and all that
// serving those who wait for it may need, is locked and in memory.
func (s *Session) require(tx *engine.Tx) {
	db := int(s.pub.db.Load())
	for _, q := range s.multi.queue {
		if q.row.Has(command.Control) {
			continue
		}
		c := command.Ctx{Args: q.args, Row: q.row, DB: db, Sess: s, Host: s.n}
		keys := c.Scope(nil)
		for _, k := range keys {
			tx.Require(k)
		}
		tx.RequireWaiters(keys)
	}
}
