package config

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mode says how a directive meets the value before it.
type mode uint8

const (
	// replace: the first directive of a name, the environment, CONFIG SET.
	replace mode = iota
	// extend: a further directive of the same name, which lists add to.
	extend
)

// codec is a type of parameter. parse gets the value before and must not write
// into its slices. get is CONFIG GET's form. lines is the argument text of the
// file lines that bring the value back; none for an empty value, which the
// argument "" stands for.
type codec[T any] struct {
	doc   string
	multi bool // takes any number of arguments
	list  bool // directives of one name add up
	parse func(args []string, old T, m mode) (T, error)
	get   func(T) string
	lines func(T) []string
}

// single makes a codec of one argument, written as it is read.
func single[T any](doc string, parse func(string) (T, error), get func(T) string) codec[T] {
	return codec[T]{
		doc:   doc,
		parse: func(args []string, _ T, _ mode) (T, error) { return parse(args[0]) },
		get:   get,
		lines: func(v T) []string { return []string{get(v)} },
	}
}

func yesNo() codec[bool] {
	return single("yes, no", func(arg string) (bool, error) {
		switch strings.ToLower(arg) {
		case "yes":
			return true, nil
		case "no":
			return false, nil
		}
		return false, refusal(reasonBool)
	}, func(v bool) string {
		if v {
			return "yes"
		}
		return "no"
	})
}

type number interface{ ~int | ~int64 }

func integer[T number](lo, hi T) codec[T] {
	return single(rangeDoc("integer", int64(lo), int64(hi)), func(arg string) (T, error) {
		v, ok := parseInt(arg)
		if !ok {
			return 0, refusal(reasonInteger)
		}
		if v < int64(lo) || v > int64(hi) {
			return 0, refusalf("argument must be between %d and %d inclusive", lo, hi)
		}
		return T(v), nil
	}, func(v T) string { return strconv.FormatInt(int64(v), 10) })
}

func powerOfTwo(hi int) codec[int] {
	c := integer(1, hi)
	parse := c.parse
	c.doc = "power of two, 1 to " + strconv.Itoa(hi)
	c.parse = func(args []string, old int, m mode) (int, error) {
		v, err := parse(args, old, m)
		if err == nil && v&(v-1) != 0 {
			err = refusal("argument must be a power of two")
		}
		return v, err
	}
	return c
}

func rangeDoc(kind string, lo, hi int64) string {
	switch {
	case lo <= math.MinInt32 && hi >= math.MaxInt32:
		return kind
	case hi >= math.MaxInt32:
		return kind + " from " + strconv.FormatInt(lo, 10)
	default:
		return kind + " " + strconv.FormatInt(lo, 10) + " to " + strconv.FormatInt(hi, 10)
	}
}

// parseInt takes what Redis' string2ll takes: no plus sign, no leading zero, no
// minus zero.
func parseInt(arg string) (int64, bool) {
	v, err := strconv.ParseInt(arg, 10, 64)
	return v, err == nil && strconv.FormatInt(v, 10) == arg
}

func octal(hi int) codec[int] {
	return single("octal 0 to "+strconv.FormatInt(int64(hi), 8), func(arg string) (int, error) {
		v, err := strconv.ParseInt(arg, 8, 32)
		if err != nil {
			return 0, refusal(reasonOctal)
		}
		if v < 0 || v > int64(hi) {
			return 0, refusalf("argument must be between 0 and %o inclusive", hi)
		}
		return int(v), nil
	}, func(v int) string { return strconv.FormatInt(int64(v), 8) })
}

// rate is hz: outside its range it is moved inside, as Redis does.
func rate(lo, hi int) codec[int] {
	c := integer(0, math.MaxInt32)
	c.doc = rangeDoc("integer", int64(lo), int64(hi))
	parse := c.parse
	c.parse = func(args []string, old int, m mode) (int, error) {
		v, err := parse(args, old, m)
		return min(max(v, lo), hi), err
	}
	return c
}

// size is a number of bytes with an optional unit; 1k is 1000 and 1kb 1024.
func size(lo int64) codec[int64] {
	c := single("size", func(arg string) (int64, error) {
		v, ok := ParseMemory(arg)
		if !ok {
			return 0, refusal(reasonMemory)
		}
		return checkSize(v, lo)
	}, func(v int64) string { return strconv.FormatInt(v, 10) })
	c.lines = func(v int64) []string { return []string{formatMemory(v)} }
	return c
}

func checkSize(v uint64, lo int64) (int64, error) {
	if v < uint64(lo) || v > math.MaxInt64 {
		return 0, refusalf("argument must be between %d and %d inclusive", lo, int64(math.MaxInt64))
	}
	return int64(v), nil
}

// sizeOrPercent stores a percentage as its negative.
func sizeOrPercent() codec[int64] {
	format := func(v int64, bytes func(int64) string) string {
		if v < 0 {
			return strconv.FormatInt(-v, 10) + "%"
		}
		return bytes(v)
	}
	c := single("size or percentage", func(arg string) (int64, error) {
		if v, ok := ParseMemory(arg); ok {
			return checkSize(v, 0)
		}
		digits, isPercent := strings.CutSuffix(arg, "%")
		v, ok := parseInt(digits)
		if !isPercent || !ok || v < 0 {
			return 0, refusal(reasonPercent)
		}
		if v > 100 {
			return 0, refusal("percentage argument must be less or equal to 100")
		}
		return -v, nil
	}, func(v int64) string {
		return format(v, func(v int64) string { return strconv.FormatInt(v, 10) })
	})
	c.lines = func(v int64) []string { return []string{format(v, formatMemory)} }
	return c
}

// ParseMemory reads Redis' memory values. What does not fit is MaxUint64, which
// no range admits, where Redis would wrap around.
func ParseMemory(arg string) (uint64, bool) {
	digits := strings.TrimRight(arg, "bBkKmMgG")
	var factor uint64
	switch strings.ToLower(arg[len(digits):]) {
	case "", "b":
		factor = 1
	case "k":
		factor = 1000
	case "kb":
		factor = 1 << 10
	case "m":
		factor = 1000 * 1000
	case "mb":
		factor = 1 << 20
	case "g":
		factor = 1000 * 1000 * 1000
	case "gb":
		factor = 1 << 30
	default:
		return 0, false
	}
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseUint("0"+digits, 10, 64)
	if err != nil || v > math.MaxUint64/factor {
		return math.MaxUint64, true
	}
	return v * factor, true
}

// formatMemory uses the largest unit that divides the value.
func formatMemory(v int64) string {
	for _, unit := range []struct {
		name  string
		shift uint
	}{{"gb", 30}, {"mb", 20}, {"kb", 10}} {
		if v != 0 && v&(1<<unit.shift-1) == 0 {
			return strconv.FormatInt(v>>unit.shift, 10) + unit.name
		}
	}
	return strconv.FormatInt(v, 10)
}

// choice is one of the names; the value is the name.
func choice(names ...string) codec[string] {
	return single(strings.Join(names, ", "), func(arg string) (string, error) {
		i, err := indexOf(names, arg)
		if err != nil {
			return "", err
		}
		return names[i], nil
	}, func(v string) string { return v })
}

// enum is one of the names; the value is its index.
func enum[E ~uint8](names ...string) codec[E] {
	return single(strings.Join(names, ", "), func(arg string) (E, error) {
		i, err := indexOf(names, arg)
		return E(i), err
	}, func(v E) string { return names[v] })
}

func indexOf(names []string, arg string) (int, error) {
	i := slices.Index(names, strings.ToLower(arg))
	if i < 0 {
		return 0, refusalf("argument(s) must be one of the following: %s", strings.Join(names, ", "))
	}
	return i, nil
}

// text is any string; an empty one needs no line unless it is not the default.
func text(check func(string) error) codec[string] {
	c := single("string", func(arg string) (string, error) { return arg, check(arg) },
		func(v string) string { return v })
	c.lines = func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{quote(v)}
	}
	return c
}

func anyText() codec[string] { return text(func(string) error { return nil }) }

// directory is a path that a relative argument is taken from, as if the server
// changed its directory with every directive.
func directory() codec[string] {
	c := anyText()
	c.doc = "path"
	c.parse = func(args []string, old string, _ mode) (string, error) {
		if path.IsAbs(args[0]) {
			return path.Clean(args[0]), nil
		}
		return path.Join(old, args[0]), nil
	}
	return c
}

// words is a list of arguments on one line.
func words(limit int, tooMany string) codec[[]string] {
	return codec[[]string]{
		doc: "list", multi: true,
		parse: func(args []string, _ []string, _ mode) ([]string, error) {
			if len(args) > limit {
				return nil, refusal(tooMany)
			}
			return slices.Clone(args), nil
		},
		get: func(v []string) string { return strings.Join(v, " ") },
		lines: func(v []string) []string {
			if len(v) == 0 {
				return nil
			}
			return []string{quoteAll(v)}
		},
	}
}

func shutdownFlags() codec[ShutdownFlags] {
	names := []string{"default", "save", "nosave", "now", "force"}
	get := func(v ShutdownFlags) string {
		var set []string
		for i, name := range names[1:] {
			if v&(1<<i) != 0 {
				set = append(set, name)
			}
		}
		if set == nil {
			return names[0]
		}
		return strings.Join(set, " ")
	}
	return codec[ShutdownFlags]{
		doc: "flags: " + strings.Join(names, ", "), multi: true,
		parse: func(args []string, _ ShutdownFlags, _ mode) (ShutdownFlags, error) {
			var v ShutdownFlags
			if len(args) == 0 {
				args = []string{""}
			}
			for _, arg := range args {
				i, err := indexOf(names, arg)
				if err != nil {
					return 0, err
				}
				v |= 1 << i >> 1
			}
			if v&ShutdownSave != 0 && v&ShutdownNoSave != 0 {
				return 0, refusal(reasonShutdown)
			}
			return v, nil
		},
		get:   get,
		lines: func(v ShutdownFlags) []string { return []string{get(v)} },
	}
}

func savePoints() codec[[]SavePoint] {
	points := func(v []SavePoint) []string {
		var out []string
		for _, p := range v {
			out = append(out, strconv.FormatInt(p.Seconds, 10)+" "+strconv.FormatInt(p.Changes, 10))
		}
		return out
	}
	return codec[[]SavePoint]{
		doc: "pairs of seconds and changes", multi: true, list: true,
		parse: func(args []string, old []SavePoint, m mode) ([]SavePoint, error) {
			if len(args)%2 != 0 {
				return nil, refusal(reasonSave)
			}
			var v []SavePoint
			if m == extend && len(args) > 0 {
				v = slices.Clone(old)
			}
			for i := 0; i < len(args); i += 2 {
				seconds, err1 := strconv.ParseInt(args[i], 10, 64)
				changes, err2 := strconv.ParseInt(args[i+1], 10, 32)
				if err1 != nil || err2 != nil || seconds < 1 || changes < 0 {
					return nil, refusal(reasonSave)
				}
				v = append(v, SavePoint{seconds, changes})
			}
			return v, nil
		},
		get:   func(v []SavePoint) string { return strings.Join(points(v), " ") },
		lines: points,
	}
}

func outputLimits() codec[OutputLimits] {
	classes := func(v OutputLimits, format func(int64) string) []string {
		line := func(name string, l OutputLimit) string {
			return name + " " + format(l.Hard) + " " + format(l.Soft) + " " + strconv.FormatInt(l.SoftSeconds, 10)
		}
		return []string{line("normal", v.Normal), line("slave", v.Replica), line("pubsub", v.PubSub)}
	}
	return codec[OutputLimits]{
		doc: "class, hard size, soft size, soft seconds; repeatable", multi: true,
		parse: parseOutputLimits,
		get: func(v OutputLimits) string {
			return strings.Join(classes(v, func(n int64) string { return strconv.FormatInt(n, 10) }), " ")
		},
		lines: func(v OutputLimits) []string {
			lines := classes(v, formatMemory)
			lines[1] = "replica" + strings.TrimPrefix(lines[1], "slave")
			return lines
		},
	}
}

// parseOutputLimits changes the classes that are named and no others.
func parseOutputLimits(args []string, v OutputLimits, _ mode) (OutputLimits, error) {
	if len(args)%4 != 0 {
		return v, refusal(reasonLimitCount)
	}
	for i := 0; i < len(args); i += 4 {
		var class *OutputLimit
		switch strings.ToLower(args[i]) {
		case "normal":
			class = &v.Normal
		case "replica", "slave":
			class = &v.Replica
		case "pubsub":
			class = &v.PubSub
		default:
			return v, refusal(reasonLimitClass)
		}
		hard, ok1 := parseLimit(args[i+1])
		soft, ok2 := parseLimit(args[i+2])
		seconds, err := strconv.ParseInt(args[i+3], 10, 32)
		if !ok1 || !ok2 || err != nil || seconds < 0 {
			return v, refusal(reasonLimitValue)
		}
		*class = OutputLimit{hard, soft, seconds}
	}
	return v, nil
}

// parseLimit is a size of any amount that can be counted.
func parseLimit(arg string) (int64, bool) {
	v, ok := ParseMemory(arg)
	return int64(v), ok && v <= math.MaxInt64
}

// keyspaceEvents keeps the classes in Redis' order; A stands for all but n and m.
func keyspaceEvents() codec[string] {
	const all, order = "g$lshzxetd", "g$lshzxetdnKEm"
	return codec[string]{
		doc: "event classes",
		parse: func(args []string, _ string, _ mode) (string, error) {
			flags := args[0]
			if i := strings.IndexFunc(flags, func(r rune) bool { return !strings.ContainsRune("A"+order, r) }); i >= 0 {
				return "", refusal(reasonEvents)
			}
			flags = strings.ReplaceAll(flags, "A", all)
			canonical := strings.Map(func(r rune) rune {
				if strings.ContainsRune(flags, r) {
					return r
				}
				return -1
			}, order)
			if rest, ok := strings.CutPrefix(canonical, all); ok {
				canonical = "A" + rest
			}
			return canonical, nil
		},
		get: func(v string) string { return v },
		lines: func(v string) []string {
			if v == "" {
				return nil
			}
			return []string{quote(v)}
		},
	}
}

func percentiles() codec[[]float64] {
	get := func(v []float64) string {
		out := make([]string, len(v))
		for i, p := range v {
			s := strconv.FormatFloat(p, 'f', 6, 64)
			out[i] = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
		}
		return strings.Join(out, " ")
	}
	return codec[[]float64]{
		doc: "list of percentages", multi: true,
		parse: func(args []string, _ []float64, _ mode) ([]float64, error) {
			var v []float64
			for _, arg := range args {
				p, err := strconv.ParseFloat(arg, 64)
				if err != nil || math.IsNaN(p) {
					return nil, refusal(reasonPercentiles)
				}
				if p < 0 || p > 100 {
					return nil, refusal(reasonPercentile)
				}
				v = append(v, math.Round(p*1e6)/1e6)
			}
			return v, nil
		},
		get: get,
		lines: func(v []float64) []string {
			if len(v) == 0 {
				return nil
			}
			return []string{get(v)}
		},
	}
}

// oomScores is Redis' triple; a row without effect keeps it as text.
func oomScores() codec[string] {
	return codec[string]{
		doc: "three integers -2000 to 2000", multi: true,
		parse: func(args []string, _ string, _ mode) (string, error) {
			if len(args) != 3 {
				return "", refusal(reasonArgs)
			}
			for _, arg := range args {
				if v, err := strconv.ParseInt(arg, 10, 64); err != nil || v < -2000 || v > 2000 {
					return "", refusal(reasonOOMScore)
				}
			}
			return strings.Join(args, " "), nil
		},
		get:   func(v string) string { return v },
		lines: func(v string) []string { return []string{v} },
	}
}
