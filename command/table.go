package command

import (
	"fmt"
	"strconv"
	"strings"

	"geocache/engine"
	"geocache/resp"
)

// Table is the set of rows. It is immutable after New.
type Table struct {
	rows   []*Row
	byName map[string]*Row
	all    int // rows with their subcommands
}

// New builds the table of all groups, and of more where a test brings some.
func New(more ...Row) (*Table, error) {
	return build(
		more,
		connectionRows(), stringRows(), keyRows(), transactionRows(),
		serverRows(), memoryRows(), persistRows(), regionRows(), pubSubRows(), listRows(), hashRows(), setRows(),
		zsetRows(), geoRows(), streamRows(),
		bitmapRows(), hyperLogLogRows(), sortRows(), dumpRows(), waitRows(),
	)
}

// build checks rows against each other and themselves: a faulty table must not
// start.
func build(groups ...[]Row) (*Table, error) {
	t := &Table{byName: map[string]*Row{}}
	for _, g := range groups {
		for i := range g {
			r := &g[i]
			if _, dup := t.byName[r.Name]; dup {
				return nil, fmt.Errorf("command: %s has two rows", r.Name)
			}
			if err := check(r); err != nil {
				return nil, err
			}
			r.index = t.number()
			r.plainKeys = hasPlainKeys(r)
			seen := map[string]bool{}
			for j := range r.Subs {
				s := &r.Subs[j]
				s.parent, s.index = r, t.number()
				s.plainKeys = hasPlainKeys(s)
				if seen[s.Name] {
					return nil, fmt.Errorf("command: %s has two rows", s.FullName())
				}
				seen[s.Name] = true
				if err := check(s); err != nil {
					return nil, err
				}
			}
			t.rows = append(t.rows, r)
			t.byName[r.Name] = r
		}
	}
	return t, nil
}

// number is the next row's index.
func (t *Table) number() int {
	t.all++
	return t.all - 1
}

// Len is how many rows there are, subcommands included.
func (t *Table) Len() int { return t.all }

func check(r *Row) error {
	bad := func(why string) error { return fmt.Errorf("command: row %s: %s", r.FullName(), why) }
	switch {
	case r.Name == "" || strings.ToLower(r.Name) != r.Name:
		return bad("name is not lower case")
	case r.Arity == 0:
		return bad("no arity")
	case r.Run == nil && len(r.Subs) == 0:
		return bad("neither handler nor subcommands")
	case r.Has(Write) && r.Has(ReadOnly):
		return bad("write and readonly")
	case r.Has(DenyOOM) && !r.Has(Write):
		return bad("denyoom without write")
	case r.Has(World) && r.Has(Walk):
		return bad("world and walk")
	case r.Flags&(Write|ReadOnly) == 0 && len(r.Keys) > 0 && !r.Has(Control):
		return bad("keys without write or readonly")
	case r.Doc.Group == "" || r.Doc.Summary == "" || r.Doc.Since == "":
		return bad("undocumented")
	}
	for i, k := range r.Keys {
		least := r.Arity
		if least < 0 {
			least = -least
		}
		rest := i > 0 && k.Last < 0 // those behind the first key, if any (PFMERGE)
		if k.Keyword == "" && !k.Unknown && !rest && k.Index >= least && !r.Has(NoMandatoryKeys) && k.Flags&NotKey == 0 {
			return bad("key spec outside the arity")
		}
	}
	return nil
}

// Rows lists the rows in table order.
func (t *Table) Rows() []*Row { return t.rows }

// Lookup finds the row of a request. A container resolves to its subcommand
// where there is one by the second word. err is the reply to send otherwise:
// unknown command, unknown subcommand, wrong arity; the row comes along only
// with the last.
func (t *Table) Lookup(args [][]byte) (*Row, resp.Error) {
	var buf [64]byte
	r := t.byName[string(lower(buf[:0], args[0]))]
	if r == nil {
		return nil, resp.UnknownCommand(args)
	}
	if len(r.Subs) > 0 && len(args) > 1 {
		s := r.Sub(args[1])
		if s == nil {
			return nil, resp.UnknownSubcommand(r.Name, args[1])
		}
		r = s
	}
	if !r.takes(len(args)) || r.Run == nil {
		return r, resp.WrongArity(r.FullName())
	}
	return r, ""
}

// Fits reports whether Lookup answers args with r, which it may deny where it
// would have to look closer. It costs less than Lookup.
func (r *Row) Fits(args [][]byte) bool {
	name := args[0]
	if len(name) != len(r.Name) || r.parent != nil || r.Run == nil || len(r.Subs) > 0 || !r.takes(len(args)) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != r.Name[i] {
			return false
		}
	}
	return true
}

// takes reports whether the row's arity admits n arguments.
func (r *Row) takes(n int) bool {
	if r.Arity > 0 {
		return n == r.Arity
	}
	return n >= -r.Arity
}

// Sub is the subcommand row called name, in any case, or nil.
func (r *Row) Sub(name []byte) *Row {
	var buf [64]byte
	n := string(lower(buf[:0], name))
	for i := range r.Subs {
		if r.Subs[i].Name == n {
			return &r.Subs[i]
		}
	}
	return nil
}

// Find is the row named "set" or "config|get", or nil.
func (t *Table) Find(name string) *Row {
	first, sub, isSub := strings.Cut(strings.ToLower(name), "|")
	r := t.byName[first]
	if r == nil || !isSub {
		return r
	}
	return r.Sub([]byte(sub))
}

// lower appends b in lower case; names longer than dst's room allocate, which
// only wrong ones are.
func lower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// KeyAt is one key of a request: its argument's index and how it is used.
type KeyAt struct {
	Index int
	Flags KeyFlags
}

// KeyIndexes appends where the keys of args stand, by the row's specs. ok is
// false where a count argument is not a number in range.
func (r *Row) KeyIndexes(dst []KeyAt, args [][]byte) (keys []KeyAt, ok bool) {
	for i := range r.Keys {
		s := &r.Keys[i]
		if s.Flags&NotKey != 0 || s.Unknown {
			continue
		}
		first := s.begin(args)
		if first <= 0 {
			continue
		}
		flags := s.Flags
		if flags&VariableFlags != 0 && r.VaryKeys != nil {
			flags = r.VaryKeys(args)
		}
		if s.CountStep > 0 {
			at := first + s.CountAt
			if at >= len(args) {
				return dst, false
			}
			n, err := strconv.Atoi(string(args[at]))
			if err != nil || n < 0 || n > len(args) {
				return dst, false
			}
			for j := range n {
				k := first + s.FirstKey + j*s.CountStep
				if k >= len(args) {
					return dst, false
				}
				dst = append(dst, KeyAt{k, flags})
			}
			continue
		}
		last := s.last(first, len(args))
		for k := first; k <= last && k < len(args); k += s.Step {
			dst = append(dst, KeyAt{k, flags})
		}
	}
	if r.MoreKeys != nil {
		dst = append(dst, r.MoreKeys(r, args)...)
	}
	return dst, true
}

// last is the index of the last key of n arguments, the first one given.
func (s *KeySpec) last(first, n int) int {
	switch {
	case s.Last >= 0:
		return first + s.Last
	case s.Limit > 1:
		return first + (n-first)/s.Limit - 1
	}
	return n + s.Last
}

// hasPlainKeys reports whether all keys of a row are a range of arguments that
// begins at a fixed place.
func hasPlainKeys(r *Row) bool {
	if len(r.Keys) != 1 || r.MoreKeys != nil || r.Scope != nil {
		return false
	}
	s := &r.Keys[0]
	return s.Flags&NotKey == 0 && !s.Unknown && s.Keyword == "" && s.CountStep == 0 && s.Index > 0
}

// begin is the index of the first key, 0 where the spec does not apply.
func (s *KeySpec) begin(args [][]byte) int {
	if s.Keyword == "" {
		if s.Index >= len(args) {
			return 0
		}
		return s.Index
	}
	if s.Index >= 0 {
		for i := s.Index; i < len(args)-1; i++ {
			if isWord(args[i], s.Keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := len(args) + s.Index; i > 0; i-- {
		if isWord(args[i], s.Keyword) {
			return i + 1
		}
	}
	return 0
}

// NeedsWorld reports whether all data has to stand still for the command.
func (c *Ctx) NeedsWorld() bool {
	return c.Row.Has(World) || c.Row.Wide != nil && c.Row.Wide(c.Row, c.Args)
}

// Scope appends the keys that the command will touch, for its tx.
func (c *Ctx) Scope(dst []engine.Key) []engine.Key {
	if c.Row.Scope != nil {
		return append(dst, c.Row.Scope(c)...)
	}
	if c.Row.plainKeys {
		s := &c.Row.Keys[0]
		if s.Last == 0 && s.Index < len(c.Args) { // as most have it
			return append(dst, c.Key(s.Index))
		}
		last := s.last(s.Index, len(c.Args))
		for i := s.Index; i <= last && i < len(c.Args); i += s.Step {
			dst = append(dst, c.Key(i))
		}
		return dst
	}
	var buf [8]KeyAt
	at, _ := c.Row.KeyIndexes(buf[:0], c.Args)
	for _, k := range at {
		dst = append(dst, c.Key(k.Index))
	}
	return dst
}
