// Package config owns geocache's parameters: one table of names, types,
// defaults and documentation, from which loading, CONFIG GET, SET and REWRITE,
// redis.conf.example and docs/CONFIG.md all derive.
//
// It must not know what a parameter does. It reads no file, environment or
// socket: texts come in through Sources and Files, effects leave through hooks.
//
// Invariants: a *Snapshot never changes after it is published, slices inside it
// included; the table never changes after New or Load; a value that is in a
// snapshot has passed its row's check and loads back from the lines that
// Rewrite writes for it.
//
// Locks: Config.mu serialises Set and guards the hooks; hooks run under it, so
// a hook must not call Set or OnChange. Config.Load takes no lock.
package config

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Config is the running configuration. Safe for concurrent use.
type Config struct {
	table       *table
	ineffective []string
	included    map[*Param]bool

	current atomic.Pointer[Snapshot]

	mu    sync.Mutex
	hooks []hook
}

// Pair is one parameter and its value, both as clients write them.
type Pair struct{ Name, Value string }

// Caller says who asks for a change, as far as that decides what is allowed.
type Caller struct {
	// Local: the client is connected over loopback or a unix socket.
	Local bool
	// Loading: the data is still being loaded.
	Loading bool
}

// Hook applies a change. It sees the values before and after the whole CONFIG
// SET; an error refuses all of it, and its text becomes the reason the client
// reads. A hook that fails must have changed nothing.
type Hook func(old, new *Snapshot) error

type hook struct {
	params []*Param
	apply  Hook
}

// New returns the defaults.
func New() *Config {
	t := newTable()
	c := &Config{table: t, included: map[*Param]bool{}}
	c.current.Store(t.defaults())
	return c
}

// Load returns the present values. They never change; load again for newer
// ones. Costs one atomic read.
func (c *Config) Load() *Snapshot { return c.current.Load() }

// Params returns the table, in the order of the documentation.
func (c *Config) Params() []Param {
	list := make([]Param, len(c.table.params))
	for i, p := range c.table.params {
		list[i] = *p
	}
	return list
}

// Ineffective returns the sorted names of the parameters that were explicitly
// given at start and that do nothing here.
func (c *Config) Ineffective() []string { return slices.Clone(c.ineffective) }

// WithoutEffect returns the names of those parameters among the pairs that do
// nothing here.
func (c *Config) WithoutEffect(pairs []Pair) []string {
	var names []string
	for _, pair := range pairs {
		if p := c.table.lookup(pair.Name); p != nil && p.Effect == EffectNone {
			names = append(names, p.Name)
		}
	}
	return names
}

// Sensitive reports whether values of the parameter must not be logged. Unknown
// names are not sensitive.
func (c *Config) Sensitive(name string) bool {
	p := c.table.lookup(name)
	return p != nil && p.Flags&Sensitive != 0
}

// OnChange registers a hook for changes of one parameter. It panics for a name
// that is not in the table.
func (c *Config) OnChange(name string, apply Hook) { c.OnChangeOf([]string{name}, apply) }

// OnChangeOf registers one hook for several parameters: it runs once for a
// CONFIG SET that changes any of them. Hooks run in the order of registration.
func (c *Config) OnChangeOf(names []string, apply Hook) {
	h := hook{apply: apply}
	for _, name := range names {
		p := c.table.lookup(name)
		if p == nil {
			panic("config: hook for unknown parameter " + name)
		}
		h.params = append(h.params, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, h)
}

// Get answers CONFIG GET: every parameter that a pattern matches, once, sorted.
// Aliases are parameters of their own here, as in Redis. A pattern without
// glob characters is answered under the name the client wrote, and is the only
// way to see hidden parameters.
func (c *Config) Get(patterns []string) []Pair {
	snap := c.Load()
	seen := map[string]bool{}
	var pairs []Pair
	add := func(name string, p *Param) {
		if key := strings.ToLower(name); !seen[key] {
			seen[key] = true
			pairs = append(pairs, Pair{name, p.value.get(snap)})
		}
	}
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "[*?") {
			if p := c.table.lookup(pattern); p != nil {
				add(pattern, p)
			}
			continue
		}
		folded := strings.ToLower(pattern)
		for name, p := range c.table.byName {
			if p.Flags&Hidden != 0 {
				continue
			}
			if ok, err := path.Match(folded, name); ok && err == nil {
				add(name, p)
			}
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int { return cmp.Compare(a.Name, b.Name) })
	return pairs
}

// Set answers CONFIG SET: all pairs or none. The error is a *SetError.
func (c *Config) Set(pairs []Pair, caller Caller) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.Load()
	params, err := c.settable(old, pairs, caller)
	if err != nil {
		return err
	}
	next := old.clone()
	for i, p := range params {
		if err := p.set(next, p.splitValue(pairs[i].Value), replace); err != nil {
			return &SetError{Kind: Refused, Argument: p.Name, Reason: err.Error()}
		}
	}
	if p, err := c.table.check(next); err != nil {
		return &SetError{Kind: Refused, Argument: p.Name, Reason: err.Error()}
	}
	if err := c.runHooks(old, next, params); err != nil {
		return err
	}
	c.current.Store(next)
	return nil
}

// settable finds the parameters of the pairs and refuses what may not be set at
// all, in Redis' order of checks.
func (c *Config) settable(old *Snapshot, pairs []Pair, caller Caller) ([]*Param, error) {
	params := make([]*Param, 0, len(pairs))
	for _, pair := range pairs {
		p := c.table.lookup(pair.Name)
		if p == nil {
			return nil, &SetError{Kind: Unknown, Argument: pair.Name}
		}
		refuse := func(reason string) ([]*Param, error) {
			return nil, &SetError{Kind: Refused, Argument: pair.Name, Reason: reason}
		}
		same := p.holds(old, pair.Value)
		switch {
		case p.Flags&Immutable != 0 && !same:
			return refuse(reasonImmutable)
		case p.Flags&Protected != 0 && !old.EnableProtectedConfigs.Allows(caller):
			return refuse(reasonProtected)
		case caller.Loading && p.Flags&DenyLoading != 0:
			return nil, &SetError{Kind: Loading, Argument: pair.Name}
		case slices.Contains(params, p):
			return refuse(reasonDuplicate)
		}
		params = append(params, p)
	}
	return params, nil
}

// runHooks runs the hooks of what changed; when one fails, those that had run
// are run back, newest first. A hook that cannot go back has nobody left to
// tell, so its error is dropped in favour of the first.
func (c *Config) runHooks(old, next *Snapshot, params []*Param) error {
	changed := func(p *Param) bool {
		return slices.Contains(params, p) && p.value.get(old) != p.value.get(next)
	}
	var done []Hook
	for _, h := range c.hooks {
		at := slices.IndexFunc(h.params, changed)
		if at < 0 {
			continue
		}
		if err := h.apply(old, next); err != nil {
			for _, undo := range slices.Backward(done) {
				_ = undo(next, old)
			}
			return &SetError{Kind: Refused, Argument: h.params[at].Name, Reason: err.Error()}
		}
		done = append(done, h.apply)
	}
	return nil
}

// clone returns a copy to be changed and then published. Slices are shared:
// codecs replace them and never write into them.
func (s *Snapshot) clone() *Snapshot {
	n := *s
	n.unused = maps.Clone(s.unused)
	return &n
}
