// Package pubsub owns who listens to what: channels, patterns and shard
// channels, and their subscribers. It knows nothing of what a subscriber is or
// how a message reaches it: subscribers are values that can be compared, and
// Publish hands each to the caller's function.
//
// Invariants: a name is known while it has subscribers, and no longer; all
// subscribers get the messages in one order, which is that of the Publish
// calls; one subscriber's copies of a message come in a fixed order: by channel
// first, then by pattern.
//
// One lock guards a registry. It is held while Publish calls its function,
// which must not call back and must not wait.
package pubsub

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Kind is what a name stands for.
type Kind uint8

const (
	Channel Kind = iota
	Pattern
	Shard // a shard channel, in a namespace of its own

	kinds
)

// Registry knows the subscriptions of one server.
type Registry[S comparable] struct {
	match func(pattern []byte, channel string) bool

	mu     sync.Mutex
	byName [kinds]map[string]*topic[S]
	topics [kinds]roster[*topic[S]]
	names  map[S]*[kinds]roster[string] // what each subscriber listens to
	size   [kinds]atomic.Int64          // topics
	peers  atomic.Int64                 // subscribers
}

// topic is a name with its subscribers.
type topic[S comparable] struct {
	name        string
	subscribers roster[S]
}

// New makes a registry whose patterns are read by match.
func New[S comparable](match func(pattern []byte, channel string) bool) *Registry[S] {
	r := &Registry[S]{match: match, names: map[S]*[kinds]roster[string]{}}
	for k := range r.byName {
		r.byName[k] = map[string]*topic[S]{}
	}
	return r
}

// Subscribe makes s listen to name and returns how many names of the kind it
// listens to now.
func (r *Registry[S]) Subscribe(s S, k Kind, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.names[s]
	if own == nil {
		own = &[kinds]roster[string]{}
		r.names[s] = own
		r.peers.Add(1)
	}
	if own[k].add(name) {
		t := r.byName[k][name]
		if t == nil {
			t = &topic[S]{name: name}
			r.byName[k][name] = t
			r.topics[k].add(t)
			r.size[k].Add(1)
		}
		t.subscribers.add(s)
	}
	return len(own[k].list)
}

// Unsubscribe ends s's listening to name, if it did, and returns how many names
// of the kind are left to it.
func (r *Registry[S]) Unsubscribe(s S, k Kind, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.names[s]
	if own == nil {
		return 0
	}
	if own[k].remove(name) {
		r.leave(s, k, name)
		r.forgetIdle(s, own)
	}
	return len(own[k].list)
}

// Drop ends all that s listens to.
func (r *Registry[S]) Drop(s S) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.names[s]
	if own == nil {
		return
	}
	for k := range kinds {
		for _, name := range own[k].list {
			r.leave(s, k, name)
		}
		own[k] = roster[string]{}
	}
	r.forgetIdle(s, own)
}

// leave takes s out of the topic of a name that it listened to.
func (r *Registry[S]) leave(s S, k Kind, name string) {
	t := r.byName[k][name]
	t.subscribers.remove(s)
	if len(t.subscribers.list) == 0 {
		delete(r.byName[k], name)
		r.topics[k].remove(t)
		r.size[k].Add(-1)
	}
}

func (r *Registry[S]) forgetIdle(s S, own *[kinds]roster[string]) {
	for k := range own {
		if len(own[k].list) > 0 {
			return
		}
	}
	delete(r.names, s)
	r.peers.Add(-1)
}

// Names are what s listens to.
func (r *Registry[S]) Names(s S, k Kind) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.names[s]
	if own == nil {
		return nil
	}
	return slices.Clone(own[k].list)
}

// Publish calls deliver for each subscription that a message to a channel, or
// shard channel, reaches, and returns how many. The message came by name, or by
// the pattern where via is Pattern.
func (r *Registry[S]) Publish(k Kind, channel string, deliver func(s S, via Kind, pattern string)) int {
	if !r.Heard(k) {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	if t := r.byName[k][channel]; t != nil {
		n = len(t.subscribers.list)
		for _, s := range t.subscribers.list {
			deliver(s, k, "")
		}
	}
	if k != Channel {
		return n
	}
	for _, t := range r.topics[Pattern].list {
		if !r.match([]byte(t.name), channel) {
			continue
		}
		n += len(t.subscribers.list)
		for _, s := range t.subscribers.list {
			deliver(s, Pattern, t.name)
		}
	}
	return n
}

// Heard reports whether a message could reach anybody at all.
func (r *Registry[S]) Heard(k Kind) bool {
	return r.size[k].Load() > 0 || k == Channel && r.size[Pattern].Load() > 0
}

// Reach is what Publish would return now.
func (r *Registry[S]) Reach(k Kind, channel string) int {
	return r.Publish(k, channel, func(S, Kind, string) {})
}

// Active lists the names of a kind that match the pattern; nil matches all.
func (r *Registry[S]) Active(k Kind, pattern []byte) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, t := range r.topics[k].list {
		if pattern == nil || r.match(pattern, t.name) {
			names = append(names, t.name)
		}
	}
	return names
}

// Subscribers is how many listen to exactly this name.
func (r *Registry[S]) Subscribers(k Kind, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.byName[k][name]; t != nil {
		return len(t.subscribers.list)
	}
	return 0
}

// Size is how many names of a kind have subscribers.
func (r *Registry[S]) Size(k Kind) int { return int(r.size[k].Load()) }

// Peers is how many subscribers there are.
func (r *Registry[S]) Peers() int { return int(r.peers.Load()) }
