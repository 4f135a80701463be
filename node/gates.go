package node

import (
	"geocache/command"
	"geocache/resp"
)

// gate asks, in Redis' order, everything that may refuse or postpone a
// command before it runs or is queued.
func (s *Session) gate(row *command.Row) (refusal resp.Error, park parkReason) {
	n := s.n
	writes, denyOOM := row.Has(command.Write), row.Has(command.DenyOOM)
	mayReplicate := row.Has(command.MayReplicate)
	if row.Has(command.EndsMulti) && s.multi.active {
		writes = writes || s.multi.flags&command.Write != 0
		denyOOM = denyOOM || s.multi.flags&command.DenyOOM != 0
		mayReplicate = mayReplicate || s.multi.flags&command.MayReplicate != 0
	}
	if !s.authenticated && !row.Has(command.NoAuth) {
		return resp.ErrNoAuth, notParked
	}
	if row.Has(command.Replication) && !n.Configured() {
		return resp.ErrSiblingOnly, notParked
	}
	if s.multi.active && row.Has(command.NoMulti) {
		return resp.ErrNotInMulti, notParked
	}
	if !n.fitMemory(&n.commanding) {
		if denyOOM || s.multi.active && !row.Has(command.Unqueued) {
			if n.awaitRows() {
				return "", parkRows
			}
			return resp.ErrOOM, notParked
		}
	}
	if writes {
		if err := n.diskError(); err != nil {
			return resp.MisconfAOF(err.Error()), notParked
		}
		if err := n.saveError(); err != "" {
			return err, notParked
		}
	}
	if s.subscribed && !row.Has(command.WhileSubscribed) && s.OnlyListens() {
		return resp.SubscribedOnly(row.FullName()), notParked
	}
	if n.pause.holds(writes || mayReplicate) || n.ending.Load() || n.saves.reloading.Load() {
		return "", parkPaused
	}
	if writes {
		if db := n.disk.db.Load(); db != nil && db.Log.Full() {
			return "", parkLogFull
		}
	}
	return "", notParked
}
