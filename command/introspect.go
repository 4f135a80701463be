package command

import (
	"math"
	"strings"

	"geocache/resp"
)

const introspectFlags = Loading | Stale | Control

// helpSummary documents every HELP.
const helpSummary = "Lists the subcommands."

func commandRow() Row {
	getKeysArgs := []Arg{
		strArg("command"),
		optional(many(strArg("arg"))),
	}
	namesArgs := []Arg{optional(many(strArg("command-name")))}
	const complexity = "O(N) where N is the number of commands to look up"
	return Row{
		Name: "command", Arity: -1, Flags: introspectFlags, ACL: CatConnection, Run: commandAll,
		Doc: Doc{
			Summary: "Describes all commands to clients.",
			Since:   "2.8.13", Group: "server", Complexity: "O(N) where N is the total number of commands",
			Tips: []string{"nondeterministic_output_order"},
		},
		Subs: []Row{
			{
				Name: "count", Arity: 2, Flags: introspectFlags, ACL: CatConnection, Run: commandCount,
				Doc: Doc{
					Summary: "Returns the number of commands.",
					Since:   "2.8.13", Group: "server", Complexity: "O(1)",
				},
			},
			{
				Name: "docs", Arity: -2, Flags: introspectFlags, ACL: CatConnection, Run: commandDocs,
				Doc: Doc{
					Summary: "Documents commands: arguments, history, cost.",
					Since:   "7.0.0", Group: "server", Complexity: complexity,
					Tips: []string{"nondeterministic_output_order"},
					Args: namesArgs,
				},
			},
			{
				Name: "getkeys", Arity: -3, Flags: introspectFlags, ACL: CatConnection, Run: commandGetKeys,
				Doc: Doc{
					Summary: "Returns the keys of a whole command.",
					Since:   "2.8.13", Group: "server", Complexity: "O(N) where N is the number of arguments to the command",
					Args: getKeysArgs,
				},
			},
			{
				Name: "getkeysandflags", Arity: -3, Flags: introspectFlags, ACL: CatConnection, Run: commandGetKeysAndFlags,
				Doc: Doc{
					Summary: "Returns the keys of a whole command and what it does to them.",
					Since:   "7.0.0", Group: "server", Complexity: "O(N) where N is the number of arguments to the command",
					Args: getKeysArgs,
				},
			},
			{
				Name: "help", Arity: 2, Flags: introspectFlags, ACL: CatConnection, Run: containerHelp,
				Doc: Doc{Summary: helpSummary, Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			},
			{
				Name: "info", Arity: -2, Flags: introspectFlags, ACL: CatConnection, Run: commandInfo,
				Doc: Doc{
					Summary: "Describes commands to clients.",
					Since:   "2.8.13", Group: "server", Complexity: complexity,
					Tips:    []string{"nondeterministic_output_order"},
					History: []History{{"7.0.0", "Allowed to be called with no argument to get info on all commands."}},
					Args:    namesArgs,
				},
			},
			{
				Name: "list", Arity: -2, Flags: introspectFlags, ACL: CatConnection, Run: commandList,
				Doc: Doc{
					Summary: "Returns the names of all commands, or of some.",
					Since:   "7.0.0", Group: "server", Complexity: "O(N) where N is the total number of commands",
					Tips: []string{"nondeterministic_output_order"},
					Args: []Arg{{Name: "filterby", Type: ArgOneOf, Token: "FILTERBY", Optional: Optional, Args: []Arg{
						{Name: "module-name", Type: ArgString, Token: "MODULE"},
						{Name: "category", Type: ArgString, Token: "ACLCAT"},
						{Name: "pattern", Type: ArgPattern, Token: "PATTERN"},
					}}},
				},
			},
		},
	}
}

func commandCount(c *Ctx) { c.Out.Int(int64(len(c.Host.Table().Rows()))) }

func commandAll(c *Ctx) {
	rows := c.Host.Table().Rows()
	c.Out.Array(len(rows))
	for _, r := range rows {
		writeInfo(c.Out, r)
	}
}

func commandInfo(c *Ctx) {
	names := c.Args[2:]
	if len(names) == 0 {
		commandAll(c)
		return
	}
	c.Out.Array(len(names))
	for _, name := range names {
		if r := c.Host.Table().Find(string(name)); r != nil {
			writeInfo(c.Out, r)
		} else {
			c.Out.Null()
		}
	}
}

func commandDocs(c *Ctx) {
	t := c.Host.Table()
	rows := t.Rows()
	if names := c.Args[2:]; len(names) > 0 {
		rows = nil
		for _, name := range names {
			if r := t.Find(string(name)); r != nil {
				rows = append(rows, r)
			}
		}
	}
	c.Out.Map(len(rows))
	for _, r := range rows {
		writeDocs(c.Out, r)
	}
}

// commandList lists commands alone, or the subcommands too where a filter may
// pick them, as Redis.
func commandList(c *Ctx) {
	want := func(*Row) bool { return true }
	if words := c.Args[2:]; len(words) > 0 {
		if want = listWanted(words); want == nil {
			c.Fail(resp.ErrSyntax)
			return
		}
	}
	var names []string
	for _, r := range c.Host.Table().Rows() {
		if want(r) {
			names = append(names, r.FullName())
		}
		if len(c.Args) == 2 {
			continue
		}
		for i := range r.Subs {
			if want(&r.Subs[i]) {
				names = append(names, r.Subs[i].FullName())
			}
		}
	}
	c.Out.StringArray(names)
}

// listWanted is the filter that words ask for, nil where they make none.
func listWanted(words [][]byte) func(*Row) bool {
	if len(words) != 3 || !isWord(words[0], "FILTERBY") {
		return nil
	}
	value := words[2]
	switch {
	case isWord(words[1], "MODULE"):
		return func(*Row) bool { return false }
	case isWord(words[1], "ACLCAT"):
		cat := category(value)
		return func(r *Row) bool { return r.Categories()&cat != 0 }
	case isWord(words[1], "PATTERN"):
		pattern := lower(nil, value)
		return func(r *Row) bool { return globMatch(pattern, r.FullName()) }
	}
	return nil
}

// category is the ACL category of that name, in any case, or none.
func category(name []byte) ACL {
	for i, n := range categoryNames {
		if isWord(name, n) {
			return 1 << i
		}
	}
	return 0
}

func commandGetKeys(c *Ctx) {
	keys, ok := c.keysAsked()
	if !ok {
		return
	}
	c.Out.Array(len(keys))
	for _, k := range keys {
		c.Out.Bulk(c.Args[2+k.Index])
	}
}

func commandGetKeysAndFlags(c *Ctx) {
	keys, ok := c.keysAsked()
	if !ok {
		return
	}
	c.Out.Array(len(keys))
	for _, k := range keys {
		c.Out.Array(2)
		c.Out.Bulk(c.Args[2+k.Index])
		writeStatuses(c.Out, k.Flags.names())
	}
}

// keysAsked finds the keys of the command that stands behind COMMAND GETKEYS;
// where there are none it has replied.
func (c *Ctx) keysAsked() (keys []KeyAt, ok bool) {
	args := c.Args[2:]
	r := c.Host.Table().byName[string(lower(nil, args[0]))]
	if r != nil && len(r.Subs) > 0 && len(args) > 1 {
		r = r.Sub(args[1])
	}
	switch {
	case r == nil:
		c.Fail(resp.ErrInvalidCommand)
		return nil, false
	case !r.hasKeys():
		c.Fail(resp.ErrNoKeyArguments)
		return nil, false
	case !r.takes(len(args)):
		c.Fail(resp.ErrGetKeysArity)
		return nil, false
	}
	keys, ok = r.KeyIndexes(nil, args)
	if ok && len(keys) > 0 {
		return keys, true
	}
	if r.Has(NoMandatoryKeys) {
		c.Out.Array(0)
	} else {
		c.Fail(resp.ErrGetKeysArguments)
	}
	return nil, false
}

func (r *Row) hasKeys() bool {
	for i := range r.Keys {
		if r.Keys[i].Flags&NotKey == 0 {
			return true
		}
	}
	return false
}

// flagNames are the flags that COMMAND shows, in Redis' order.
var flagNames = [...]struct {
	flag Flags
	name string
}{
	{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"}, {PubSub, "pubsub"},
	{NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"}, {Stale, "stale"},
	{SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Fast, "fast"}, {NoAuth, "no_auth"},
	{NoMandatoryKeys, "no_mandatory_keys"}, {NoAsyncLoading, "no_async_loading"}, {NoMulti, "no_multi"},
	{MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"},
}

func (f Flags) names() []string {
	var ns []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			ns = append(ns, n.name)
		}
	}
	return ns
}

var keyFlagNames = [...]string{
	"RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

func (f KeyFlags) names() []string {
	var ns []string
	for i, n := range keyFlagNames {
		if f&(1<<i) != 0 {
			ns = append(ns, n)
		}
	}
	return ns
}

func writeStatuses(w *resp.Writer, names []string) {
	w.Set(len(names))
	for _, n := range names {
		w.SimpleString(n)
	}
}

func writeBulks(w *resp.Writer, texts []string) {
	w.Set(len(texts))
	for _, s := range texts {
		w.BulkString(s)
	}
}

// writeInfo appends one command as COMMAND INFO shows it.
func writeInfo(w *resp.Writer, r *Row) {
	first, last, step, movable := legacyRange(r.Keys)
	flags := r.Flags
	if movable {
		flags |= MovableKeys
	}
	w.Array(10)
	w.BulkString(r.FullName())
	w.Int(int64(r.Arity))
	writeStatuses(w, flags.names())
	w.Int(int64(first))
	w.Int(int64(last))
	w.Int(int64(step))
	cats := r.Categories().Names()
	w.Set(len(cats))
	for _, cat := range cats {
		w.SimpleString("@" + cat)
	}
	writeBulks(w, r.Doc.Tips)
	w.Set(len(r.Keys))
	for i := range r.Keys {
		writeKeySpec(w, &r.Keys[i])
	}
	if len(r.Subs) == 0 {
		w.Set(0)
		return
	}
	w.Array(len(r.Subs))
	for i := range r.Subs {
		writeInfo(w, &r.Subs[i])
	}
}

// isRange reports whether the spec is one that clients before Redis 7 could
// understand.
func (s *KeySpec) isRange() bool { return s.Keyword == "" && !s.Unknown && s.CountStep == 0 }

// legacyRange is what COMMAND told before there were key specs: the first key,
// the last (negative: from the end) and the step, zeros where no range says so.
// movable is set where these leave keys out.
func legacyRange(specs []KeySpec) (first, last, step int, movable bool) {
	if len(specs) == 1 && specs[0].isRange() {
		s := &specs[0]
		return s.Index, s.lastIndex(), s.Step, s.Flags&Incomplete != 0
	}
	first, prev := math.MaxInt, 0
	for i := range specs {
		s := &specs[i]
		if !s.isRange() || s.Step != 1 || prev != 0 && prev != s.Index-1 {
			movable = true
			continue
		}
		if s.Flags&Incomplete != 0 {
			movable = true
		}
		first = min(first, s.Index)
		// As unsigned numbers: -1 lies behind every index.
		last = int(int32(max(uint32(last), uint32(s.lastIndex()))))
		prev = last
	}
	if first == math.MaxInt {
		return 0, 0, 0, movable
	}
	return first, last, 1, movable
}

// lastIndex is the index of a range's last key, negative from the end.
func (s *KeySpec) lastIndex() int {
	if s.Last < 0 {
		return s.Last
	}
	return s.Index + s.Last
}

func writeKeySpec(w *resp.Writer, s *KeySpec) {
	pairs := 3
	if s.Notes != "" {
		pairs++
	}
	w.Map(pairs)
	if s.Notes != "" {
		w.BulkString("notes")
		w.BulkString(s.Notes)
	}
	w.BulkString("flags")
	writeStatuses(w, s.Flags.names())

	w.BulkString("begin_search")
	switch {
	case s.Unknown:
		writeSearch(w, "unknown")
	case s.Keyword != "":
		writeSearch(w, "keyword")
		w.Map(2)
		w.BulkString("keyword")
		w.BulkString(s.Keyword)
		writeNumber(w, "startfrom", s.Index)
	default:
		writeSearch(w, "index")
		w.Map(1)
		writeNumber(w, "index", s.Index)
	}

	w.BulkString("find_keys")
	switch {
	case s.Unknown:
		writeSearch(w, "unknown")
	case s.CountStep > 0:
		writeSearch(w, "keynum")
		w.Map(3)
		writeNumber(w, "keynumidx", s.CountAt)
		writeNumber(w, "firstkey", s.FirstKey)
		writeNumber(w, "keystep", s.CountStep)
	default:
		writeSearch(w, "range")
		w.Map(3)
		writeNumber(w, "lastkey", s.Last)
		writeNumber(w, "keystep", s.Step)
		writeNumber(w, "limit", s.Limit)
	}
}

// writeSearch begins one half of a key spec; but for "unknown" its map follows.
func writeSearch(w *resp.Writer, kind string) {
	w.Map(2)
	w.BulkString("type")
	w.BulkString(kind)
	w.BulkString("spec")
	if kind == "unknown" {
		w.Map(0)
	}
}

func writeNumber(w *resp.Writer, name string, n int) {
	w.BulkString(name)
	w.Int(int64(n))
}

// fields appends a map whose size shows only at its end.
type fields struct {
	w    *resp.Writer
	mark resp.Mark
	n    int
}

func beginFields(w *resp.Writer) *fields { return &fields{w: w, mark: w.MapLater()} }

// key begins a pair; its value must follow.
func (f *fields) key(name string) {
	f.w.BulkString(name)
	f.n++
}

// text adds a pair unless the value is empty.
func (f *fields) text(name, value string) {
	if value != "" {
		f.key(name)
		f.w.BulkString(value)
	}
}

func (f *fields) end() { f.w.EndArray(f.mark, f.n) }

// writeDocs appends one command as COMMAND DOCS shows it: its name, and a map.
func writeDocs(w *resp.Writer, r *Row) {
	w.BulkString(r.FullName())
	d := &r.Doc
	f := beginFields(w)
	f.text("summary", d.Summary)
	f.text("since", d.Since)
	f.text("group", d.Group)
	f.text("complexity", d.Complexity)
	if d.DeprecatedSince != "" {
		f.key("doc_flags")
		writeStatuses(w, []string{"deprecated"})
	}
	f.text("deprecated_since", d.DeprecatedSince)
	f.text("replaced_by", d.ReplacedBy)
	if len(d.History) > 0 {
		f.key("history")
		w.Set(len(d.History))
		for _, h := range d.History {
			w.StringArray([]string{h.Version, h.Change})
		}
	}
	if len(d.Args) > 0 {
		f.key("arguments")
		writeArgs(w, d.Args)
	}
	if len(r.Subs) > 0 {
		f.key("subcommands")
		w.Map(len(r.Subs))
		for i := range r.Subs {
			writeDocs(w, &r.Subs[i])
		}
	}
	f.end()
}

func writeArgs(w *resp.Writer, args []Arg) {
	w.Array(len(args))
	for i := range args {
		writeArg(w, &args[i])
	}
}

func writeArg(w *resp.Writer, a *Arg) {
	f := beginFields(w)
	f.text("name", a.Name)
	f.text("type", string(a.Type))
	if !a.nested() && w.Compat() != resp.Compat70 {
		f.text("display_text", a.display())
	}
	if a.Type == ArgKey {
		f.key("key_spec_index")
		w.Int(int64(a.KeySpec))
	}
	f.text("token", a.Token)
	f.text("since", a.Since)
	f.text("deprecated_since", a.DeprecatedSince)
	if flags := a.flagNames(); len(flags) > 0 {
		f.key("flags")
		writeStatuses(w, flags)
	}
	if a.nested() {
		f.key("arguments")
		writeArgs(w, a.Args)
	}
	f.end()
}

func (a *Arg) nested() bool { return a.Type == ArgOneOf || a.Type == ArgBlock }

func (a *Arg) display() string {
	if a.Display != "" {
		return a.Display
	}
	return a.Name
}

func (a *Arg) flagNames() []string {
	var ns []string
	if a.Optional == Optional {
		ns = append(ns, "optional")
	}
	if a.Multiple != Once {
		ns = append(ns, "multiple")
	}
	if a.Multiple == MultipleToken {
		ns = append(ns, "multiple_token")
	}
	return ns
}

// Syntax is the command with its arguments as manuals write them:
// "CLIENT PAUSE timeout [WRITE | ALL]".
func (r *Row) Syntax() string {
	words := []string{strings.ToUpper(strings.ReplaceAll(r.FullName(), "|", " "))}
	for i := range r.Doc.Args {
		words = append(words, r.Doc.Args[i].syntax())
	}
	return strings.Join(words, " ")
}

func (a *Arg) syntax() string {
	s := a.body()
	once := s
	if a.Token != "" && a.Type != ArgToken {
		s = a.Token + " " + s
	}
	switch {
	case a.Multiple != Once && a.Type == ArgOneOf:
		s += " ..."
	case a.Multiple == Multiple:
		s += " [" + once + " ...]"
	case a.Multiple == MultipleToken:
		s += " [" + s + " ...]"
	}
	if a.Optional == Optional {
		return "[" + s + "]"
	}
	return s
}

// body is the argument without its token, and once.
func (a *Arg) body() string {
	var parts []string
	for i := range a.Args {
		parts = append(parts, a.Args[i].syntax())
	}
	switch {
	case a.Type == ArgToken:
		return a.Token
	case a.Type == ArgBlock:
		return strings.Join(parts, " ")
	case a.Type == ArgOneOf && a.Optional == Optional && a.Token == "" && a.Multiple == Once:
		return strings.Join(parts, " | ")
	case a.Type == ArgOneOf:
		return "<" + strings.Join(parts, " | ") + ">"
	}
	return a.display()
}

// containerHelp answers the HELP of a container from its rows, in Redis' form.
func containerHelp(c *Ctx) {
	r := c.Row.parent
	name := strings.ToUpper(r.Name)
	lines := []string{name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	if r.Run != nil {
		lines = append(lines, "(no subcommand)", helpIndent+r.Doc.Summary)
	}
	for i := range r.Subs {
		s := &r.Subs[i]
		lines = append(lines, strings.TrimPrefix(s.Syntax(), name+" "), helpIndent+s.Doc.Summary)
	}
	c.Out.Help(lines)
}

const helpIndent = "    "
