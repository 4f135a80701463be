package command

import (
	"bytes"
	"slices"
	"testing"
)

// transactionSession notes what the rows ask of the session.
type transactionSession struct {
	Session
	h     *harness
	calls []string
}

func (s *transactionSession) note(call string) {
	s.calls = append(s.calls, call)
	s.h.out.OK()
}

func (s *transactionSession) BeginMulti() { s.note("begin") }
func (s *transactionSession) Discard()    { s.note("discard") }
func (s *transactionSession) Exec()       { s.note("exec") }
func (s *transactionSession) Unwatch()    { s.calls = append(s.calls, "unwatch") }
func (s *transactionSession) Watch(keys [][]byte) {
	s.note("watch " + string(bytes.Join(keys, []byte(" "))))
}

// TestTransactionRows checks that each row asks for its own work and that one
// reply results.
func TestTransactionRows(t *testing.T) {
	h := newHarness(t)
	s := &transactionSession{h: h}
	h.sess = s
	h.run([]step{
		{"MULTI", "+OK"},
		{"exec", "+OK"},
		{"DISCARD", "+OK"},
		{"WATCH a b", "+OK"},
		{"UNWATCH", "+OK"},
		{"WATCH", "-ERR wrong number of arguments for 'watch' command"},
		{"EXEC x", "-ERR wrong number of arguments for 'exec' command"},
	})
	want := []string{"begin", "exec", "discard", "watch a b", "unwatch"}
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
