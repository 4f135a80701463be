package node

import (
	"strconv"
	"strings"
	"sync/atomic"

	"geocache/engine"
	"geocache/pubsub"
)

// events publishes what happens to keys, as notify-keyspace-events says.
type events struct {
	classes  atomic.Uint32 // engine.EventClass; none where nothing is published
	channels atomic.Uint32 // keyspaceChannel and keyeventChannel
	heard    func() bool
	publish  func(channel string, message []byte)
}

const (
	keyspaceChannel uint32 = 1 << iota
	keyeventChannel
)

// eventClasses are the letters of notify-keyspace-events.
var eventClasses = map[rune]engine.EventClass{
	'g': engine.EventGeneric, '$': engine.EventString, 'l': engine.EventList, 's': engine.EventSet,
	'h': engine.EventHash, 'z': engine.EventZSet, 'x': engine.EventExpired, 'e': engine.EventEvicted,
	't': engine.EventStream, 'd': engine.EventModule, 'm': engine.EventMiss, 'n': engine.EventNew,
}

// allClasses is what A stands for.
const allClasses = "g$lshzxetd"

// configure takes over the value of notify-keyspace-events.
func (v *events) configure(letters string) {
	var classes engine.EventClass
	channels := uint32(0)
	for _, r := range strings.ReplaceAll(letters, "A", allClasses) {
		switch r {
		case 'K':
			channels |= keyspaceChannel
		case 'E':
			channels |= keyeventChannel
		}
		classes |= eventClasses[r]
	}
	if channels == 0 {
		classes = 0
	}
	v.channels.Store(channels)
	v.classes.Store(uint32(classes))
}

// WantedEvents implements engine.Events.
func (c *commitLog) WantedEvents() engine.EventClass {
	return engine.EventClass(c.events.classes.Load())
}

// Event implements engine.Events.
func (c *commitLog) Event(name string, k engine.Key) {
	v := &c.events
	if !v.heard() {
		return
	}
	suffix := "@" + strconv.Itoa(k.DB) + "__:"
	channels := v.channels.Load()
	if channels&keyspaceChannel != 0 {
		v.publish("__keyspace"+suffix+string(k.Name), []byte(name))
	}
	if channels&keyeventChannel != 0 {
		v.publish("__keyevent"+suffix+name, k.Name)
	}
}

// openEvents connects the commit log with those who listen.
func (n *Node) openEvents() {
	v := &n.commit.events
	v.heard = func() bool { return n.pubsub.Heard(pubsub.Channel) }
	v.publish = func(channel string, message []byte) { n.publish(pubsub.Channel, channel, message) }
	v.configure(n.conf.Load().NotifyKeyspaceEvents)
}
