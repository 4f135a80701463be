package config

import (
	"slices"
	"strings"
)

// Bounds of what one load reads.
const (
	maxIncludeDepth = 16
	maxIncludes     = 1024
)

// Files is how a configuration reaches the file system.
type Files interface {
	// ReadFile returns the text of a file.
	ReadFile(name string) (string, error)
	// Glob returns the sorted names of the files a shell pattern matches.
	Glob(pattern string) ([]string, error)
}

// Sources is everything a configuration is made of. ParseArgs fills File,
// ReadStdin and Options; the caller adds the rest.
type Sources struct {
	File       string // empty: none
	ReadStdin  bool   // the caller is to put the standard input into Stdin
	Stdin      string
	Environ    []string // NAME=value; only GEOCACHE_* is read
	Options    []string // one configuration line per option
	WorkingDir string   // absolute: the default of dir, and what a relative dir starts from
}

// ParseArgs reads the arguments after the command's name, as redis-server does:
// a file first, if it does not start with a dash; "-" first or last reads the
// standard input; "--name value..." for each option, where a value may be part
// of the same argument and --save may stand without one. Mistakes show when
// Load reads the lines.
func ParseArgs(args []string) Sources {
	var src Sources
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		src.File, args = args[0], args[1:]
	}
	last := len(args) - 1
	expectName := true
	for i, arg := range args {
		name, isOption := strings.CutPrefix(arg, "--")
		switch {
		case arg == "-" && (i == 0 || i == last):
			src.ReadStdin = true
		case isOption && expectName:
			src.Options = append(src.Options, name)
			words, _ := splitArgs(name)
			expectName = len(words) > 1
			if !expectName && strings.EqualFold(name, "save") && (i == last || strings.HasPrefix(args[i+1], "--")) {
				src.Options[len(src.Options)-1] += ` ""`
				expectName = true
			}
		case len(src.Options) == 0:
			src.Options = append(src.Options, quote(arg))
		default:
			src.Options[len(src.Options)-1] += " " + quote(arg)
			expectName = true
		}
	}
	return src
}

// Load makes a configuration of the file, the standard input, the environment
// and the options, later ones winning. The error is a *LoadError.
func Load(src Sources, files Files) (*Config, error) {
	c := New()
	l := &loader{
		table: c.table, files: files, included: c.included,
		snap: c.Load().clone(), given: map[*Param]*LoadError{},
	}
	if src.WorkingDir != "" {
		l.snap.Dir = src.WorkingDir
	}
	if err := l.all(src); err != nil {
		return nil, err
	}
	if p, err := c.table.check(l.snap); err != nil {
		at := LoadError{}
		if given := l.given[p]; given != nil {
			at = *given
		}
		at.Reason = err.Error()
		return nil, &at
	}
	for p := range l.given {
		if p.Effect == EffectNone {
			l.ineffective = append(l.ineffective, p.Name)
		}
	}
	slices.Sort(l.ineffective)
	c.ineffective = slices.Compact(l.ineffective)
	c.current.Store(l.snap)
	return c, nil
}

// loader is one Load under way.
type loader struct {
	table       *table
	files       Files
	snap        *Snapshot
	given       map[*Param]*LoadError // where a parameter was last given, as an error would name it
	included    map[*Param]bool
	ineffective []string
	includes    int
}

func (l *loader) all(src Sources) error {
	if src.File != "" {
		if err := l.file(src.File, LoadError{Kind: FromFile}, 0); err != nil {
			return err
		}
	}
	if err := l.text(src.Stdin, LoadError{Kind: FromStdin}, 0); err != nil {
		return err
	}
	for _, variable := range src.Environ {
		if err := l.environment(variable); err != nil {
			return err
		}
	}
	for i, option := range src.Options {
		at := LoadError{Kind: FromOptions, Line: i + 1, Text: strings.Trim(option, blanks)}
		if err := l.line(at, 0); err != nil {
			return err
		}
	}
	return nil
}

// file reads a file, or all that a pattern names: none is fine for a pattern.
// at carries the kind of source for the lines, and the directive that names the
// file, if any, for a file that cannot be read.
func (l *loader) file(name string, at LoadError, depth int) error {
	names := []string{name}
	fail := func(name string, err error) error {
		at.Reason = "can't open config file '" + name + "': " + err.Error()
		return &at
	}
	if strings.ContainsAny(name, "*?[") {
		var err error
		if names, err = l.files.Glob(name); err != nil {
			return fail(name, err)
		}
	}
	for _, name := range names {
		text, err := l.files.ReadFile(name)
		if err != nil {
			return fail(name, err)
		}
		lines := LoadError{Kind: FromFile, Source: name}
		if depth > 0 {
			lines.Kind = FromInclude
		}
		if err := l.text(text, lines, depth); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) text(text string, at LoadError, depth int) error {
	line := 0
	for raw := range strings.SplitSeq(text, "\n") {
		line++
		at.Line, at.Text = line, strings.Trim(raw, blanks)
		if at.Text == "" || at.Text[0] == '#' {
			continue
		}
		if err := l.line(at, depth); err != nil {
			return err
		}
	}
	return nil
}

// line reads the directive at.Text.
func (l *loader) line(at LoadError, depth int) error {
	args, ok := splitArgs(at.Text)
	if !ok {
		return at.because(reasonQuotes)
	}
	if len(args) == 0 {
		return nil
	}
	name := strings.ToLower(args[0])
	if p := l.table.lookup(name); p != nil {
		m := replace
		if l.given[p] != nil {
			m = extend
		}
		values := args[1:]
		if p.value.multi() && len(values) == 1 && values[0] != "" {
			// Several words may come as one, as Redis allows.
			if values, ok = splitArgs(values[0]); !ok {
				return at.because(reasonQuotes)
			}
		}
		return l.give(p, values, m, at, depth)
	}
	switch {
	case name == "include" && len(args) == 2:
		if l.includes++; depth == maxIncludeDepth || l.includes > maxIncludes {
			return at.because("too many or too deeply nested include directives")
		}
		return l.file(args[1], at, depth+1)
	case isDeprecated(name) && len(args) == 2:
		l.ineffective = append(l.ineffective, name)
		return nil
	case isUnsupported(name):
		return at.because("directive not supported by geocache")
	}
	return at.because(reasonDirective)
}

func (l *loader) give(p *Param, args []string, m mode, at LoadError, depth int) error {
	if err := p.set(l.snap, args, m); err != nil {
		return at.because(err.Error())
	}
	l.given[p] = &at
	if depth > 0 {
		l.included[p] = true
	}
	return nil
}

// environment reads GEOCACHE_NAME=value with underscores for dashes. The value
// is taken as CONFIG SET takes it, except that lists may be quoted, and
// replaces what files said.
func (l *loader) environment(variable string) error {
	name, value, _ := strings.Cut(variable, "=")
	key, ok := strings.CutPrefix(name, "GEOCACHE_")
	if !ok {
		return nil
	}
	at := LoadError{Kind: FromEnvironment, Source: name, Text: variable}
	p := l.table.lookup(strings.ReplaceAll(key, "_", "-"))
	if p == nil {
		p = l.table.lookup(key) // Redis' few names with underscores
	}
	if p == nil {
		return at.because(reasonDirective)
	}
	if p.Flags&Sensitive != 0 {
		at.Text = name
	}
	args := []string{value}
	if p.value.multi() {
		if args, ok = splitArgs(value); !ok {
			return at.because(reasonQuotes)
		}
	}
	return l.give(p, args, replace, at, 0)
}

func (e LoadError) because(reason string) error {
	e.Reason = reason
	return &e
}

// isDeprecated: Redis still reads these and ignores them.
func isDeprecated(name string) bool {
	return name == "list-max-ziplist-entries" || name == "list-max-ziplist-value" || name == "lua-replicate-commands"
}

// isUnsupported: directives of Redis that name something to be done rather than
// a value, so that ignoring them would be a lie.
func isUnsupported(name string) bool {
	return name == "user" || name == "rename-command" || name == "loadmodule" || name == "sentinel"
}
