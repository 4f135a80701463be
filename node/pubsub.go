package node

import (
	"sync"
	"sync/atomic"

	"geocache/command"
	"geocache/pubsub"
	"geocache/resp"
)

// This file delivers messages: what a session hears of, and how that reaches
// its output, which belongs to another goroutine than the publisher's.

// pubSubWords are the first words of messages, by kind.
var pubSubWords = [...]struct{ subscribe, unsubscribe, message string }{
	pubsub.Channel: {"subscribe", "unsubscribe", "message"},
	pubsub.Pattern: {"psubscribe", "punsubscribe", "pmessage"},
	pubsub.Shard:   {"ssubscribe", "sunsubscribe", "smessage"},
}

// subscriptionBytes is what a subscription costs beyond its name, by
// accounting: entries in a handful of maps and lists.
const subscriptionBytes = 200

// Subscribe implements command.Session.
func (s *Session) Subscribe(k pubsub.Kind, names [][]byte) {
	for _, name := range names {
		had := s.pub.listens[k].Load()
		n := s.n.pubsub.Subscribe(s, k, string(name))
		s.setListens(k, n)
		if n > int(had) {
			s.pub.listenBytes.Add(int64(len(name)) + subscriptionBytes)
		}
		s.confirm(k, pubSubWords[k].subscribe, name)
	}
	s.mark = s.out.Len()
}

// Unsubscribe implements command.Session.
func (s *Session) Unsubscribe(k pubsub.Kind, names [][]byte) {
	if len(names) == 0 {
		for _, name := range s.n.pubsub.Names(s, k) {
			names = append(names, []byte(name))
		}
		if len(names) == 0 {
			s.confirm(k, pubSubWords[k].unsubscribe, nil)
		}
	}
	for _, name := range names {
		had := s.pub.listens[k].Load()
		n := s.n.pubsub.Unsubscribe(s, k, string(name))
		s.setListens(k, n)
		if n < int(had) {
			s.pub.listenBytes.Add(-int64(len(name)) - subscriptionBytes)
		}
		s.confirm(k, pubSubWords[k].unsubscribe, name)
	}
	s.mark = s.out.Len()
}

// confirm appends the answer for one name; like every message it leaves also
// where CLIENT REPLY silences replies, which is why the callers move the mark.
func (s *Session) confirm(k pubsub.Kind, word string, name []byte) {
	s.out.Push(3)
	s.out.BulkString(word)
	if name == nil {
		s.out.Null()
	} else {
		s.out.Bulk(name)
	}
	n := s.pub.listens[pubsub.Channel].Load() + s.pub.listens[pubsub.Pattern].Load()
	if k == pubsub.Shard {
		n = s.pub.listens[pubsub.Shard].Load()
	}
	s.out.Int(int64(n))
}

func (s *Session) setListens(k pubsub.Kind, n int) {
	s.pub.listens[k].Store(int32(n))
	s.subscribed = s.subscriptions() > 0
}

// subscriptions is how many there are of all kinds.
func (s *Session) subscriptions() (n int32) {
	for k := range s.pub.listens {
		n += s.pub.listens[k].Load()
	}
	return n
}

// unsubscribeAll ends all subscriptions without a word, as RESET does.
func (s *Session) unsubscribeAll() {
	if !s.subscribed {
		return
	}
	s.n.pubsub.Drop(s)
	for k := range s.pub.listens {
		s.pub.listens[k].Store(0)
	}
	s.subscribed = false
	s.pub.listenBytes.Store(0)
}

// OnlyListens implements command.Session.
func (s *Session) OnlyListens() bool { return s.subscribed && s.out.Proto() == 2 }

// Publish implements command.Session. Inside EXEC the message takes its place
// among the keyspace events of the transaction.
func (s *Session) Publish(k pubsub.Kind, channel, message []byte) int {
	if s.ctx.InExec == command.Off {
		return s.n.publish(k, string(channel), message)
	}
	n := s.n.pubsub.Reach(k, string(channel))
	if n > 0 {
		s.tx.OnCommit(func() { s.n.publish(k, string(channel), message) })
	}
	return n
}

// Subscriptions implements command.Host.
func (n *Node) Subscriptions() command.Subscriptions { return n.pubsub }

// publish hands a message to all who listen and returns how many times. It may
// be called under every other lock of the node.
func (n *Node) publish(k pubsub.Kind, channel string, message []byte) int {
	p := posting{channel: channel, message: message}
	return n.pubsub.Publish(k, channel, func(s *Session, via pubsub.Kind, pattern string) {
		s.deliver(p.encoded(via, pattern, s.pub.proto.Load() == 3))
	})
}

// posting is a message on its way, encoded once for all receivers that get it
// in the same form.
type posting struct {
	channel string
	message []byte
	via     pubsub.Kind
	pattern string
	text    [2][]byte // in RESP2 and RESP3, for via and pattern
}

func (p *posting) encoded(via pubsub.Kind, pattern string, resp3 bool) []byte {
	if via != p.via || pattern != p.pattern {
		p.via, p.pattern, p.text = via, pattern, [2][]byte{}
	}
	proto := 2
	if resp3 {
		proto = 3
	}
	text := &p.text[proto-2]
	if *text == nil {
		*text = p.encode(proto)
	}
	return *text
}

func (p *posting) encode(proto int) []byte {
	var w resp.Writer
	w.SetProto(proto)
	if p.via == pubsub.Pattern {
		w.Push(4)
		w.BulkString(pubSubWords[p.via].message)
		w.BulkString(p.pattern)
	} else {
		w.Push(3)
		w.BulkString(pubSubWords[p.via].message)
	}
	w.BulkString(p.channel)
	w.Bulk(p.message)
	return w.Take()
}

// mail is what others have for a session's output, until the goroutine that
// drives the session takes it. Its bytes count as output at once.
type mail struct {
	bytes atomic.Int64
	mu    struct {
		sync.Mutex
		list [][]byte
	}
}

// deliver gives the session a message, or closes it where it has left too much
// unread. text may be shared and never changes. Any goroutine may call it, under
// any lock.
func (s *Session) deliver(text []byte) {
	m := &s.mail
	m.mu.Lock()
	first := len(m.mu.list) == 0
	if !s.killed.Load() {
		m.mu.list = append(m.mu.list, text)
		m.bytes.Add(int64(len(text)))
	}
	m.mu.Unlock()
	if s.pastOutputLimit() && s.killed.CompareAndSwap(false, true) {
		s.overran.Store(true)
		s.dropMail()
		first = true
	}
	if first {
		s.wake()
	}
}

func (s *Session) dropMail() {
	m := &s.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.list = nil
	m.bytes.Store(0)
}

// takeMail appends what has been delivered. Where it is called under the locks
// of a tx, nothing that the tx reads is newer than the messages before its
// reply.
func (s *Session) takeMail() {
	m := &s.mail
	if m.bytes.Load() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, text := range m.mu.list {
		s.out.Raw(text)
		m.mu.list[i] = nil
	}
	m.mu.list = m.mu.list[:0]
	s.pub.outBytes.Store(int64(s.out.Len() - s.taken))
	m.bytes.Store(0)
}
