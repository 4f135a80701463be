package node

import "container/heap"

// timers are the sessions to be woken at a time, soonest first; each has one
// place at most.
type timers []*Session

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (t timers) Len() int { return len(t) }

// Less wakes those of the same moment in the order they came.
func (t timers) Less(i, j int) bool {
	a, b := t[i], t[j]
	return a.timer.atMs < b.timer.atMs || a.timer.atMs == b.timer.atMs && a.timer.order < b.timer.order
}

func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer.place, t[j].timer.place = i+1, j+1
}

// Push appends a session.
func (t *timers) Push(x any) {
	s := x.(*Session)
	*t = append(*t, s)
	s.timer.place = len(*t)
}

// Pop takes the last off.
func (t *timers) Pop() any {
	last := len(*t) - 1
	s := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	s.timer.place = 0
	return s
}

// timer is a session's place among the timers, guarded by the registry's lock.
type timer struct {
	atMs  int64
	order int64
	place int // one more than its index; 0: none
}

// wakeAt has s woken at a time, in milliseconds since the epoch.
func (n *Node) wakeAt(s *Session, atMs int64) {
	r := &n.clients
	r.Lock()
	r.unscheduleLocked(s)
	r.timed++
	s.timer.atMs, s.timer.order = atMs, r.timed
	heap.Push(&r.timers, s)
	first := r.timers[0] == s
	r.Unlock()
	if first {
		n.opts.WakeTimers()
	}
}

// unschedule gives up the time that s was to be woken at.
func (r *registry) unschedule(s *Session) {
	r.Lock()
	defer r.Unlock()
	r.unscheduleLocked(s)
}

func (r *registry) unscheduleLocked(s *Session) {
	if s.timer.place != 0 {
		heap.Remove(&r.timers, s.timer.place-1)
	}
}

// WakeTimed wakes the sessions whose time has come and returns when the next
// one's does, in milliseconds since the epoch; 0 if there is none. Tick calls
// it too; a server that calls it at that time, and when WakeTimers says so,
// ends waits to the millisecond.
func (n *Node) WakeTimed() (nextMs int64) {
	r := &n.clients
	now := n.wall.NowMs()
	var list []*Session
	r.Lock()
	for len(r.timers) > 0 && r.timers[0].timer.atMs <= now {
		list = append(list, heap.Pop(&r.timers).(*Session))
	}
	if len(r.timers) > 0 {
		nextMs = r.timers[0].timer.atMs
	}
	r.Unlock()
	for _, s := range list {
		s.wake()
	}
	return nextMs
}
