package node

import (
	"cmp"
	"slices"
)

// This file bounds what clients may take: client-output-buffer-limit and
// maxmemory-clients.

// outputBytes is what the client has not read: replies here, messages that wait
// to join them, and what the transport still holds.
func (s *Session) outputBytes() int64 {
	return s.pub.outBytes.Load() + s.mail.bytes.Load() + s.pub.unsent.Load()
}

// memory is the session's memory by accounting. Any goroutine may ask.
func (s *Session) memory() int64 {
	return sessionBytes + s.pub.inBytes.Load() + s.outputBytes() + s.pub.multiBytes.Load() + s.pub.listenBytes.Load()
}

// Unsent is told by the transport, from any goroutine, how many bytes of what
// Output handed over the system has not taken yet.
func (s *Session) Unsent(bytes int) { s.pub.unsent.Store(int64(bytes)) }

// overOutput reports whether the client is to be closed for what it has not
// read: the hard size at once, the soft one after its time. Who comes back
// below the soft size in between begins anew, as in Redis.
func (s *Session) overOutput() bool {
	over := s.pastOutputLimit()
	if over {
		s.n.noteOverrun(s)
	}
	return over
}

func (n *Node) noteOverrun(s *Session) {
	n.stats.outputLimit.Add(1)
	n.log.Warn("closing a client that reached its output buffer limit", "client", s.Line())
}

// pastOutputLimit is overOutput without a word. Any goroutine may ask.
func (s *Session) pastOutputLimit() bool {
	limits := &s.n.conf.Load().ClientOutputBufLimits
	l := limits.Normal
	if s.subscriptions() > 0 {
		l = limits.PubSub
	}
	size := s.outputBytes()
	over := l.Hard > 0 && size >= l.Hard
	if !over {
		if l.Soft == 0 || size < l.Soft {
			s.pub.softSinceMs.Store(0)
			return false
		}
		now := s.n.wall.NowMs()
		s.pub.softSinceMs.CompareAndSwap(0, now)
		over = now-s.pub.softSinceMs.Load() > l.SoftSeconds*1000
	}
	return over
}

// bookStep is the grain of registry.booked: sessions with small buffers never
// touch what all of them share.
const bookStep = 16 << 10

// book notes the growth of the session's buffers and looks at all clients when
// it may be too much for maxmemory-clients.
func (s *Session) book() {
	size := (s.memory() - sessionBytes) &^ (bookStep - 1)
	grown := size - s.booked
	if grown == 0 {
		return
	}
	s.booked = size
	all := s.n.clients.booked.Add(grown)
	limit := s.n.clientsLimit()
	if grown > 0 && limit > 0 && all+int64(s.n.clients.count())*sessionBytes >= limit {
		s.n.fitClients()
	}
}

// minClientsBytes is the least that maxmemory-clients means, as in Redis, so
// that a bad value can still be corrected by a client.
const minClientsBytes = 128 << 10

// clientsLimit is maxmemory-clients in bytes; 0 is no limit.
func (n *Node) clientsLimit() int64 {
	snap := n.conf.Load()
	limit := snap.MaxMemoryClients
	if limit < 0 {
		limit = snap.MaxMemory / 100 * -limit
	}
	if limit == 0 {
		return 0
	}
	return max(limit, minClientsBytes)
}

// fitClients closes the largest clients until all together are below
// maxmemory-clients. Those with CLIENT NO-EVICT count and stay.
func (n *Node) fitClients() {
	limit := n.clientsLimit()
	if limit == 0 {
		return
	}
	type client struct {
		s     *Session
		bytes int64
	}
	var list []client
	total := int64(0)
	for _, s := range n.clients.all() {
		if s.killed.Load() {
			continue
		}
		c := client{s, s.memory()}
		total += c.bytes
		if !s.pub.noEvict.Load() {
			list = append(list, c)
		}
	}
	if total < limit {
		return
	}
	slices.SortStableFunc(list, func(a, b client) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, c := range list {
		if total < limit {
			return
		}
		n.stats.evictedClients.Add(1)
		n.log.Warn("closing a client: all together reached maxmemory-clients", "client", c.s.Line())
		c.s.kill()
		total -= c.bytes
	}
}
