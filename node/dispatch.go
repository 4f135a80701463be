package node

import (
	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/resp"
)

// parkReason says what a parked session waits for.
type parkReason uint8

const (
	notParked    parkReason = iota
	parkPaused              // CLIENT PAUSE, or a shutdown that saves
	parkFetching            // a value that lies on disk, or Await's work
	parkLogFull             // the log-writer has fallen behind
	parkRows                // values that may leave memory once their rows are written
	parkSleeping            // DEBUG SLEEP
	parkWaiting             // keys that change
)

func compatOf(s *config.Snapshot) resp.Compat {
	if s.Compat == config.Compat70 {
		return resp.Compat70
	}
	return resp.Compat72
}

// execute runs one command, or queues or refuses it; false means that the
// session has parked and the same command is to be executed again.
func (s *Session) execute(args [][]byte) bool {
	if s.fetching.Load() {
		return false
	}
	s.parked = notParked
	if s.pub.blocked.Load() {
		s.pub.blocked.Store(false)
	}
	s.takeMail()
	s.mark = s.out.Len()
	row, rejection := s.lookup(args)
	if rejection != "" {
		s.reject(row, rejection)
		return s.replied()
	}
	s.turnTo(row)
	s.ctx.Begin(args, row, int(s.pub.db.Load()))
	rejection, why := s.gate(row)
	switch {
	case why != notParked:
		s.parked = why
		s.pub.blocked.Store(true)
		s.n.clients.park(s)
		// What it waits for may have ended before it was in the list.
		if _, still := s.gate(row); still == notParked {
			s.wake()
		}
		return false
	case rejection != "":
		s.reject(row, rejection)
		return s.replied()
	case s.multi.active && !row.Has(command.Unqueued):
		s.queue(row, args)
		return s.replied()
	}
	if s.pub.lastRow.Load() != row { // a store costs as much as a lock
		s.pub.lastRow.Store(row)
	}
	return s.call(row) && s.replied()
}

// lookup is Table.Lookup, which it saves where a command follows one of its kind.
func (s *Session) lookup(args [][]byte) (*command.Row, resp.Error) {
	if last := s.pub.lastRow.Load(); last != nil && last.Fits(args) {
		return last, ""
	}
	return s.n.table.Lookup(args)
}

// reject replies with a refusal; inside MULTI it spoils the transaction, and a
// refused EXEC ends it. row is nil where the request names none.
func (s *Session) reject(row *command.Row, err resp.Error) {
	if row != nil {
		s.n.stats.of(row).rejected.Add(1)
	}
	switch {
	case row != nil && row.Has(command.EndsMulti):
		s.discard()
		err = resp.ExecAbort(err)
	case s.multi.active:
		s.multi.spoiled = true
	}
	s.out.Error(err)
	s.n.stats.failed(err.Code())
}

// call runs the row's handler in a tx of the right scope; false means parked.
func (s *Session) call(row *command.Row) bool {
	start := s.micros
	if row.Has(command.Control) {
		row.Run(&s.ctx)
		if s.parked != notParked {
			return false // EXEC waits for a value on disk
		}
		s.account(row, start)
		return true
	}
	sc := engine.Scope{World: s.ctx.NeedsWorld(), Walk: row.Has(command.Walk)}
	if !sc.World && !sc.Walk {
		s.keys = s.ctx.Scope(s.keys[:0])
		sc.Keys, sc.Walk = s.keys, len(s.keys) == 0
		sc.Sole = len(s.keys) == 1
	}
	ran := s.run(sc, s.runFn)
	s.forgetKeys()
	if !ran {
		return false
	}
	if s.wait != nil {
		s.parkWaiting()
		return false
	}
	s.account(row, start)
	return true
}

// maxKeptKeys is how many keys a session keeps room for.
const maxKeptKeys = 256

// forgetKeys lets go of the input that the keys of the last command lie in.
func (s *Session) forgetKeys() {
	if len(s.keys) > maxKeptKeys {
		s.keys = nil
	}
	clear(s.keys)
}

// runTx is the function of a single command's tx; it may run more than once.
func (s *Session) runTx(tx *engine.Tx) {
	s.out.Truncate(s.mark)
	s.takeMail()
	s.mark = s.out.Len()
	s.ctx.Tx = tx
	s.ctx.Row.Run(&s.ctx)
	s.wait = nil
	if b := s.ctx.TakeBlock(); b != nil {
		s.await(tx, b)
	}
	s.ctx.Tx = nil
}

// maxFetches bounds how often one command may find its values evicted again
// before it runs: memory is too small for them then.
const maxFetches = 100

// run executes fn in a tx; where a value lies on disk the session parks until
// it is fetched.
func (s *Session) run(sc engine.Scope, fn func(*engine.Tx)) bool {
	if err := s.fetchErr; err != nil {
		s.fetchErr = nil
		s.out.Error(resp.Wrap(err))
		return true
	}
	s.tx.NoTouch = s.noTouch
	err := runWide(s.tx, sc, s.nowMs(), fn)
	if err == nil {
		s.fetches = 0
		return true
	}
	s.out.Truncate(s.mark)
	s.wait = nil
	need := err.(*engine.NeedRow)
	if s.fetches++; s.fetches > maxFetches {
		s.fetches = 0
		s.out.Error(resp.ErrOOM)
		return true
	}
	// Whatever else the command names is fetched in the same go.
	need.Rows = append(need.Rows, s.n.engine.Evicted(sc.Keys)...)
	s.parked = parkFetching
	s.pub.blocked.Store(true)
	s.fetching.Store(true)
	s.n.fetchRows(need, func(err error) {
		s.fetchErr = err
		s.fetching.Store(false)
		s.wake()
	})
	return false
}

// tally counts a session's commands of one row until they are told to the
// counters that all share, which costs more than a small command.
type tally struct {
	row           *command.Row
	calls, micros int64
	// untimed of the calls have run since startMicros, and the clock has not been
	// read since.
	untimed     int
	startMicros int64
}

// fastRun is how many fast commands of one row, back to back, share a reading of
// the clock: it costs a twentieth of such a command.
const fastRun = 8

// turnTo tells of the commands so far if row is another than theirs.
func (s *Session) turnTo(row *command.Row) {
	if s.tally.row != row {
		s.tell()
		s.tally.row = row
	}
}

// tell adds what was counted to the shared counters.
func (s *Session) tell() {
	t := &s.tally
	if t.calls == 0 {
		return
	}
	s.time()
	of := s.n.stats.of(t.row)
	of.calls.Add(t.calls)
	of.micros.Add(t.micros)
	t.calls, t.micros = 0, 0
}

// time reads the clock for the commands that have run since it was read.
func (s *Session) time() {
	t, n := &s.tally, s.n
	if t.untimed == 0 {
		return
	}
	t.untimed = 0
	s.micros = n.opts.Micros()
	t.micros += s.micros - t.startMicros
	if !t.row.Has(command.Control) || t.row.Has(command.EndsMulti) {
		n.commanding.note(n, commandTurn, t.startMicros, s.micros)
	}
	n.commanding.keep(n, s.micros)
}

// account books the finished command: calls, time, errors.
func (s *Session) account(row *command.Row, startMicros int64) {
	s.turnTo(row)
	t := &s.tally
	if t.calls++; t.untimed == 0 {
		t.startMicros = startMicros
	}
	if t.untimed++; t.untimed == fastRun || !row.Has(command.Fast) {
		s.time()
	}
	if b := s.out.Bytes(); len(b) > s.mark && b[s.mark] == '-' {
		s.n.stats.of(row).failed.Add(1)
		s.n.stats.failed(errorCode(b[s.mark+1:]))
	}
}

// errorCode is the first word of an error reply.
func errorCode(b []byte) string {
	for i, c := range b {
		if c == ' ' || c == '\r' {
			return string(b[:i])
		}
	}
	return string(b)
}

// replied applies CLIENT REPLY to what the command appended; it is always
// true.
func (s *Session) replied() bool {
	switch {
	case s.replyMode == command.ReplyOff:
		s.out.Truncate(s.mark)
	case s.skipReplies > 0:
		s.skipReplies--
		if s.skipReplies == 0 {
			s.out.Truncate(s.mark)
		}
	}
	return true
}
