package engine

import "bytes"

// EventClass is a set of classes of keyspace events, as notify-keyspace-events
// names them.
type EventClass uint16

const (
	EventGeneric EventClass = 1 << iota // g
	EventString                         // $
	EventList                           // l
	EventSet                            // s
	EventHash                           // h
	EventZSet                           // z
	EventExpired                        // x
	EventEvicted                        // e
	EventStream                         // t
	EventModule                         // d
	EventMiss                           // m
	EventNew                            // n
)

// Events is told what happens to keys. A Sink that implements it is told.
type Events interface {
	// WantedEvents is what Event is to be called for. It may change at any time.
	WantedEvents() EventClass
	// Event is called with shard locks held, once the change is committed and
	// in the order of the commits. It must not call back into the engine; the
	// key's name is only valid during the call.
	Event(name string, k Key)
}

// Event says what the tx does to k, for those who listen to keyspace events.
// It is told at commit, in the order of the calls, and never if the tx is
// undone.
func (t *Tx) Event(class EventClass, name string, k Key) {
	to := t.e.listener(class)
	if to == nil {
		return
	}
	k.Name = bytes.Clone(k.Name)
	t.OnCommit(func() { to.Event(name, k) })
}

// event tells at once of what the engine does on its own, outside of any
// command's tx. The shard of the key is locked.
func (e *Engine) event(class EventClass, name string, storedDB int, key []byte) {
	if to := e.listener(class); to != nil {
		to.Event(name, Key{e.number(storedDB), key})
	}
}

// missed counts a read that found nothing, and tells of it.
func (t *Tx) missed(k Key) {
	t.e.stats.misses.Add(1)
	t.Event(EventMiss, "keymiss", k)
}

// begins notes, ahead of a change, whether the key is there, and tells of the
// end of an expired one whose place a new one takes.
func (t *Tx) begins(k Key, u *undo, live bool) *undo {
	u.stood = live && !t.expired(&u.x.state)
	if live && !u.stood {
		t.Event(EventExpired, "expired", k)
	}
	return u
}

// appeared tells of a key that is there after a change and was not before.
func (t *Tx) appeared(k Key, u *undo) {
	if !u.stood && u.x.exists() {
		t.Event(EventNew, "new", k)
	}
}

// replaced tells of a key that takes the place of another which is removed
// first, as RENAME does; where there is none, appeared tells.
func (t *Tx) replaced(k Key) {
	if t.lookup(k) != nil {
		t.Event(EventNew, "new", k)
	}
}

// listener is who is told of events of a class, or nil.
func (e *Engine) listener(class EventClass) Events {
	if e.events == nil || e.events.WantedEvents()&class == 0 {
		return nil
	}
	return e.events
}
