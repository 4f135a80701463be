package config

import "strings"

// Param is one row of the table.
type Param struct {
	Name    string
	Aliases []string // older names; answered by CONFIG GET too
	Group   string
	Type    string // for people: kind and range
	Default string // as CONFIG GET shows it
	Example string // argument text for documentation where the default shows nothing
	Flags   Flags
	Effect  Effect
	Doc     string // what it does, or why nothing

	value value
}

// Flags restrict CONFIG GET and SET.
type Flags uint8

const (
	// Immutable: CONFIG SET takes the present value only.
	Immutable Flags = 1 << iota
	// Protected: CONFIG SET needs enable-protected-configs.
	Protected
	// Sensitive: a secret; never in logs.
	Sensitive
	// Hidden: for tests; not listed by patterns or documentation.
	Hidden
	// DenyLoading: not to be set while the data is being loaded.
	DenyLoading
	// Forced: always written by REWRITE.
	Forced
)

// Effect tells parameters that do something from those only kept for Redis'
// tools and files.
type Effect uint8

const (
	// Effective: the parameter does what its Doc says.
	Effective Effect = iota
	// EffectNone: accepted, checked and answered, without effect; Doc says why.
	EffectNone
)

// value is a typed place in a snapshot.
type value interface {
	reset(*Snapshot)
	set(s *Snapshot, args []string, m mode) error
	get(*Snapshot) string
	lines(*Snapshot) []string
	doc() string
	multi() bool
	list() bool
}

type slot[T any] struct {
	codec codec[T]
	def   T
	load  func(*Snapshot) T
	store func(*Snapshot, T)
}

func (v *slot[T]) reset(s *Snapshot)          { v.store(s, v.def) }
func (v *slot[T]) get(s *Snapshot) string     { return v.codec.get(v.load(s)) }
func (v *slot[T]) lines(s *Snapshot) []string { return v.codec.lines(v.load(s)) }
func (v *slot[T]) doc() string                { return v.codec.doc }
func (v *slot[T]) multi() bool                { return v.codec.multi }
func (v *slot[T]) list() bool                 { return v.codec.list }

func (v *slot[T]) set(s *Snapshot, args []string, m mode) error {
	parsed, err := v.codec.parse(args, v.load(s), m)
	if err == nil {
		v.store(s, parsed)
	}
	return err
}

// field is a row of effect: its value is a field of Snapshot.
func field[T any](name string, c codec[T], def T, at func(*Snapshot) *T, doc string) *Param {
	return &Param{Name: name, Doc: doc, value: &slot[T]{
		codec: c, def: def,
		load:  func(s *Snapshot) T { return *at(s) },
		store: func(s *Snapshot, v T) { *at(s) = v },
	}}
}

// unused is a row without effect: its value is kept for CONFIG GET only.
func unused[T any](name string, c codec[T], def T, why string) *Param {
	return &Param{Name: name, Doc: why, Effect: EffectNone, value: &slot[T]{
		codec: c, def: def,
		load:  func(s *Snapshot) T { return s.unused[name].(T) },
		store: func(s *Snapshot, v T) { s.unused[name] = v },
	}}
}

func (p *Param) with(f Flags) *Param             { p.Flags |= f; return p }
func (p *Param) alias(names ...string) *Param    { p.Aliases = names; return p }
func (p *Param) example(arguments string) *Param { p.Example = arguments; return p }

// splitValue makes arguments of CONFIG SET's single value, as Redis does: every
// single space separates.
func (p *Param) splitValue(v string) []string {
	if !p.value.multi() {
		return []string{v}
	}
	return strings.Split(v, " ")
}

// set parses the arguments into s, which must not be published yet.
func (p *Param) set(s *Snapshot, args []string, m mode) error {
	if p.value.multi() {
		if len(args) == 1 && args[0] == "" {
			args = nil
		}
	} else if len(args) != 1 {
		return refusal(reasonArgs)
	}
	return p.value.set(s, args, m)
}

// holds reports whether v is a way to write the present value.
func (p *Param) holds(s *Snapshot, v string) bool {
	n := s.clone()
	return p.set(n, p.splitValue(v), replace) == nil && p.value.get(n) == p.value.get(s)
}

// table is all rows and their names.
type table struct {
	params []*Param
	byName map[string]*Param // lower case; aliases included
}

// lookup returns nil for an unknown name.
func (t *table) lookup(name string) *Param { return t.byName[strings.ToLower(name)] }

func (t *table) defaults() *Snapshot {
	s := &Snapshot{unused: map[string]any{}}
	for _, p := range t.params {
		p.value.reset(s)
	}
	return s
}

// check refuses values that only together are wrong.
func (t *table) check(s *Snapshot) (*Param, error) {
	name, err := checkTogether(s)
	if err != nil {
		return t.lookup(name), err
	}
	return nil, nil
}

// newTable panics for a name that stands for two rows.
func newTable() *table {
	t := &table{byName: map[string]*Param{}}
	for _, g := range groups() {
		for _, p := range g.params {
			p.Group, p.Type = g.name, p.value.doc()
			for _, name := range append([]string{p.Name}, p.Aliases...) {
				if t.byName[name] != nil {
					panic("config: two rows named " + name)
				}
				t.byName[name] = p
			}
			t.params = append(t.params, p)
		}
	}
	def := t.defaults()
	for _, p := range t.params {
		p.Default = p.value.get(def)
	}
	return t
}
