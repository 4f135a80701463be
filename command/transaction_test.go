package command

import (
	"slices"
	"testing"
)

// transactionSession notes what the rows ask of the session.
type transactionSession struct {
	Session
	h     *harness
	multi bool
	calls []string
}

func (s *transactionSession) note(call string) { s.calls = append(s.calls, call) }

func (s *transactionSession) InMulti() bool { return s.multi }
func (s *transactionSession) BeginMulti()   { s.multi = true; s.note("begin") }
func (s *transactionSession) Discard()      { s.multi = false; s.note("discard") }
func (s *transactionSession) Unwatch()      { s.note("unwatch") }
func (s *transactionSession) Watch(keys [][]byte) {
	for _, k := range keys {
		s.note("watch " + string(k))
	}
}

func (s *transactionSession) Exec() {
	s.multi = false
	s.note("exec")
	s.h.out.Array(0)
}

func TestTransactionRows(t *testing.T) {
	h := newHarness(t)
	s := &transactionSession{h: h}
	h.sess = s
	h.run([]step{
		{"EXEC", "-ERR EXEC without MULTI"},
		{"DISCARD", "-ERR DISCARD without MULTI"},
		{"UNWATCH", "+OK"},
		{"WATCH", "-ERR wrong number of arguments for 'watch' command"},
		{"WATCH a b", "+OK"},
		{"MULTI", "+OK"},
		{"MULTI", "-ERR MULTI calls can not be nested"},
		{"WATCH c", "-ERR WATCH inside MULTI is not allowed"},
		{"DISCARD", "+OK"},
		{"multi", "+OK"},
		{"exec", "[]"},
		{"EXEC x", "-ERR wrong number of arguments for 'exec' command"},
	})
	want := []string{"unwatch", "watch a", "watch b", "begin", "discard", "begin", "exec"}
	if !slices.Equal(s.calls, want) {
		t.Errorf("the session was asked for %q, want %q", s.calls, want)
	}
}

// TestUnqueued checks which rows run at once inside MULTI.
func TestUnqueued(t *testing.T) {
	h := newHarness(t)
	for _, name := range []string{"multi", "exec", "discard", "watch"} {
		if !h.table.Find(name).Has(Unqueued | Control) {
			t.Errorf("%s would be queued", name)
		}
	}
	if h.table.Find("unwatch").Has(Unqueued) {
		t.Error("UNWATCH would not be queued")
	}
}
