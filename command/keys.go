package command

import (
	"bytes"
	"math"
	"slices"

	"geocache/engine"
	"geocache/lru"
	"geocache/resp"
)

// keyRows are the commands for keys of any type.
func keyRows() []Row {
	return slices.Concat(keyspaceRows(), moveRows(), flushRows(), expireRows(), scanRows(), objectRows())
}

func keyspaceRows() []Row {
	everywhere := []string{"request_policy:multi_shard", "response_policy:agg_sum"}
	return []Row{
		{
			Name: "del", Arity: -2, Flags: Write, ACL: CatKeyspace, Keys: []KeySpec{From(1, 1, RM|Delete)}, Run: del,
			Doc: Doc{
				Summary: "Removes keys.",
				Since:   "1.0.0", Group: "generic",
				Complexity: "O(N), where N is the number of keys.",
				Tips:       everywhere, Args: []Arg{many(keyArg(0))},
			},
		},
		{
			Name: "unlink", Arity: -2, Flags: Write | Fast, ACL: CatKeyspace, Keys: []KeySpec{From(1, 1, RM|Delete)}, Run: del,
			Doc: Doc{
				Summary: "Removes keys; their memory may be freed later.",
				Since:   "4.0.0", Group: "generic",
				Complexity: "O(1) for every key.",
				Tips:       everywhere, Args: []Arg{many(keyArg(0))},
			},
		},
		{
			Name: "exists", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: []KeySpec{From(1, 1, RO)}, Run: existing,
			Doc: Doc{
				Summary: "Counts which of the keys exist.",
				Since:   "1.0.0", Group: "generic",
				Complexity: "O(N), where N is the number of keys.",
				Tips:       everywhere, Args: []Arg{many(keyArg(0))},
				History: []History{{"3.0.3", "More than one `key`."}},
			},
		},
		{
			Name: "touch", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: []KeySpec{From(1, 1, RO)}, Run: touch,
			Doc: Doc{
				Summary: "Counts which of the keys exist, and marks them as used now.",
				Since:   "3.2.1", Group: "generic",
				Complexity: "O(N), where N is the number of keys.",
				Tips:       everywhere, Args: []Arg{many(keyArg(0))},
			},
		},
		{
			Name: "type", Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: One(RO), Run: typeOf,
			Doc: Doc{
				Summary: "Tells which type of value a key holds.",
				Since:   "1.0.0", Group: "generic", Complexity: "O(1)",
				Args: []Arg{keyArg(0)},
			},
		},
	}
}

func moveRows() []Row {
	renameArgs := []Arg{keyArg(0), named(keyArg(1), "newkey")}
	return []Row{
		{
			Name: "rename", Arity: 3, Flags: Write, ACL: CatKeyspace,
			Keys: []KeySpec{At(1, RW|Access|Delete), At(2, OW|Update)}, Run: rename,
			Doc: Doc{
				Summary: "Gives a key another name; what had that name is overwritten.",
				Since:   "1.0.0", Group: "generic", Complexity: "O(1)", Args: renameArgs,
			},
		},
		{
			Name: "renamenx", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace,
			Keys: []KeySpec{At(1, RW|Access|Delete), At(2, OW|Insert)}, Run: renameNX,
			Doc: Doc{
				Summary: "Gives a key another name, unless that is in use.",
				Since:   "1.0.0", Group: "generic", Complexity: "O(1)", Args: renameArgs,
				History: []History{{"3.2.0", "Equal names are no error any more."}},
			},
		},
		{
			Name: "copy", Arity: -3, Flags: Write | DenyOOM, ACL: CatKeyspace,
			Keys: []KeySpec{At(1, RO|Access), At(2, OW|Update)}, Run: copyKey, Scope: copyScope,
			Doc: Doc{
				Summary: "Copies a key with its deadline, also to another database.",
				Since:   "6.2.0", Group: "generic",
				Complexity: "O(N) for collections, where N is the number of elements; O(1) for strings.",
				Args: []Arg{
					named(keyArg(0), "source"),
					named(keyArg(1), "destination"),
					{Name: "destination-db", Type: ArgInteger, Token: "DB", Optional: Optional},
					optional(tokenArg("replace")),
				},
			},
		},
		{
			Name: "move", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace,
			Keys: One(RW | Access | Update), Run: move, Scope: moveScope,
			Doc: Doc{
				Summary: "Moves a key to another database, unless it has such a key.",
				Since:   "1.0.0", Group: "generic", Complexity: "O(1)",
				Args: []Arg{keyArg(0), intArg("db")},
			},
		},
		{
			Name: "swapdb", Arity: 3, Flags: Write | Fast | World, ACL: CatKeyspace | CatDangerous, Run: swapDB,
			Doc: Doc{
				Summary: "Exchanges two databases for all clients.",
				Since:   "4.0.0", Group: "server",
				Complexity: "O(N), where N is the number of clients that watch or wait for keys of the two.",
				Args:       []Arg{intArg("index1"), intArg("index2")},
			},
		},
	}
}

func flushRows() []Row {
	doc := func(summary, complexity string) Doc {
		return Doc{
			Summary: summary, Since: "1.0.0", Group: "server", Complexity: complexity,
			Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
			History: []History{{"4.0.0", "The `ASYNC` option."}, {"6.2.0", "The `SYNC` option."}},
			Args: []Arg{optional(oneOf("flush-type",
				since("4.0.0", tokenArg("async")), since("6.2.0", tokenArg("sync"))))},
		}
	}
	return []Row{
		{
			Name: "flushdb", Arity: -1, Flags: Write | World, ACL: CatKeyspace | CatDangerous,
			Run: func(c *Ctx) { flush(c, c.DB, c.DB+1) },
			Doc: doc("Removes all keys of the database.", "O(N), where N is the number of keys in the database."),
		},
		{
			Name: "flushall", Arity: -1, Flags: Write | World, ACL: CatKeyspace | CatDangerous,
			Run: flushEverything,
			Doc: doc("Removes all keys of all databases.", "O(N), where N is the number of keys in all databases."),
		},
	}
}

func del(c *Ctx) { c.Out.Int(count(c, c.deleteKey)) }

// deleteKey removes k, tells of it, and reports whether it was there.
func (c *Ctx) deleteKey(k engine.Key) bool {
	if !c.Tx.Delete(k) {
		return false
	}
	c.Event(engine.EventGeneric, "del", k)
	return true
}

func existing(c *Ctx) { c.Out.Int(count(c, c.Tx.Exists)) }

func touch(c *Ctx) { c.Out.Int(count(c, c.Tx.Touch)) }

// count is for how many of the arguments, repeated ones included, fn is true.
func count(c *Ctx, fn func(engine.Key) bool) int64 {
	n := int64(0)
	for i := 1; i < len(c.Args); i++ {
		if fn(c.Key(i)) {
			n++
		}
	}
	return n
}

func typeOf(c *Ctx) {
	c.Tx.Exists(c.Key(1))
	info, ok := c.Tx.Info(c.Key(1))
	if !ok {
		c.Out.SimpleString("none")
		return
	}
	c.Out.SimpleString(string(info.Type))
}

func rename(c *Ctx) {
	src, dst := c.Key(1), c.Key(2)
	if !c.has(src) {
		c.Fail(resp.ErrNoSuchKey)
		return
	}
	if !bytes.Equal(src.Name, dst.Name) {
		c.renameKey(src, dst)
	}
	c.Out.OK()
}

func renameNX(c *Ctx) {
	src, dst := c.Key(1), c.Key(2)
	switch {
	case !c.has(src):
		c.Fail(resp.ErrNoSuchKey)
	case c.has(dst): // which is src itself, perhaps
		c.Out.Int(0)
	default:
		c.renameKey(src, dst)
		c.Out.Int(1)
	}
}

func (c *Ctx) renameKey(src, dst engine.Key) {
	c.Tx.Rename(src, dst)
	c.Event(engine.EventGeneric, "rename_from", src)
	c.Event(engine.EventGeneric, "rename_to", dst)
}

// databaseArg reads a database number that may be out of range only in words
// that Redis has for it.
func databaseArg(c *Ctx, arg []byte) (int, resp.Error) {
	n, ok := resp.ParseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInt
	case n < math.MinInt32 || n > math.MaxInt32:
		return 0, resp.ErrNotInt32
	case n < 0 || n >= int64(c.Host.Engine().Databases()):
		return 0, resp.ErrDBRange
	}
	return int(n), ""
}

// copyArgs is where COPY copies to, and whether over what is there.
func copyArgs(c *Ctx) (dst engine.Key, replace bool, err resp.Error) {
	dst = c.Key(2)
	for i := 3; i < len(c.Args); i++ {
		switch w := c.word(i); {
		case w == "replace":
			replace = true
		case w == "db" && i+1 < len(c.Args):
			i++
			if dst.DB, err = databaseArg(c, c.Args[i]); err != "" {
				return dst, false, err
			}
		default:
			return dst, false, resp.ErrSyntax
		}
	}
	if dst.DB == c.DB && bytes.Equal(dst.Name, c.Args[1]) {
		return dst, false, resp.ErrSameObject
	}
	return dst, replace, ""
}

// copyScope names no keys where the request is in error: it reads none.
func copyScope(c *Ctx) []engine.Key {
	dst, _, err := copyArgs(c)
	if err != "" {
		return nil
	}
	return []engine.Key{c.Key(1), dst}
}

func copyKey(c *Ctx) {
	dst, replace, err := copyArgs(c)
	switch src := c.Key(1); {
	case err != "":
		c.Fail(err)
	case !c.Tx.Touch(src), !replace && c.has(dst):
		c.Out.Int(0)
	default:
		c.Tx.Copy(src, dst)
		c.Event(engine.EventGeneric, "copy_to", dst)
		c.Out.Int(1)
	}
}

func moveArgs(c *Ctx) (dst engine.Key, err resp.Error) {
	db, err := databaseArg(c, c.Args[2])
	if err == "" && db == c.DB {
		err = resp.ErrSameObject
	}
	return engine.Key{DB: db, Name: c.Args[1]}, err
}

func moveScope(c *Ctx) []engine.Key {
	dst, err := moveArgs(c)
	if err != "" {
		return nil
	}
	return []engine.Key{c.Key(1), dst}
}

func move(c *Ctx) {
	dst, err := moveArgs(c)
	switch src := c.Key(1); {
	case err != "":
		c.Fail(err)
	case !c.has(src), c.has(dst):
		c.Out.Int(0)
	default:
		c.Tx.Rename(src, dst)
		c.Event(engine.EventGeneric, "move_from", src)
		c.Event(engine.EventGeneric, "move_to", dst)
		c.Out.Int(1)
	}
}

func swapDB(c *Ctx) {
	a, errA := databaseArg(c, c.Args[1])
	b, errB := databaseArg(c, c.Args[2])
	switch {
	case errA != "" && errA != resp.ErrDBRange:
		c.Fail(resp.ErrInvalidFirstDB)
	case errB != "" && errB != resp.ErrDBRange:
		c.Fail(resp.ErrInvalidSecondDB)
	case errA != "" || errB != "":
		c.Fail(resp.ErrDBRange)
	case c.Host.Regions().Configured():
		c.Fail(resp.ErrSwapDBSiblings)
	default:
		c.Tx.SwapDB(a, b)
		c.Out.OK()
	}
}

// flush empties the databases from first up to end. ASYNC and SYNC differ in
// nothing a client can see: old tables are let go of whole.
func flushEverything(c *Ctx) {
	if flush(c, 0, c.Host.Engine().Databases()) {
		c.Tx.OnCommit(c.Host.Flushed)
	}
}

func flush(c *Ctx, first, end int) (done bool) {
	switch {
	case len(c.Args) > 2, len(c.Args) == 2 && c.word(1) != "async" && c.word(1) != "sync":
		c.Fail(resp.ErrSyntax)
		return false
	case c.Host.Regions().Syncing():
		c.Fail(resp.ErrFlushSyncing)
		return false
	}
	for db := first; db < end; db++ {
		c.Tx.FlushDB(db)
	}
	c.Out.OK()
	return true
}

func objectRows() []Row {
	sub := func(name, since, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Keys: []KeySpec{At(2, RO)}, Run: run,
			Doc: Doc{
				Summary: summary, Since: since, Group: "generic", Complexity: "O(1)",
				Tips: []string{"nondeterministic_output"}, Args: []Arg{keyArg(0)},
			},
		}
	}
	return []Row{{
		Name: "object", Arity: -2,
		Doc: Doc{
			Summary: "Contains commands that look behind a key.",
			Since:   "2.2.3", Group: "generic", Complexity: "That of the subcommand.",
		},
		Subs: []Row{
			sub("encoding", "2.2.3", "Tells how a key's value is stored.", objectEncoding),
			sub("freq", "4.0.0", "Returns how often a key is used, on a logarithmic scale.", objectFreq),
			{
				Name: "help", Arity: 2, Flags: Loading | Stale | Control, ACL: CatKeyspace, Run: objectHelp,
				Doc: Doc{Summary: "Explains the subcommands.", Since: "6.2.0", Group: "generic", Complexity: "O(1)"},
			},
			sub("idletime", "2.2.3", "Returns how many seconds ago a key was used.", objectIdleTime),
			sub("refcount", "2.2.3", "Returns how many references a key's value has.", objectRefCount),
		},
	}}
}

func objectEncoding(c *Ctx) {
	if !c.Tx.Look(c.Key(2)) {
		c.Out.Null()
		return
	}
	name, _ := c.Tx.Encoding(c.Key(2))
	c.Out.BulkString(name)
}

func objectFreq(c *Ctx) {
	switch info, ok := objectInfo(c); {
	case !ok:
		c.Out.Null()
	case !ranksByFrequency(c):
		c.Fail(resp.ErrNoLFU)
	default:
		c.Out.Int(int64(info.Freq))
	}
}

func objectIdleTime(c *Ctx) {
	switch info, ok := objectInfo(c); {
	case !ok:
		c.Out.Null()
	case ranksByFrequency(c):
		c.Fail(resp.ErrLFUNoIdleTime)
	default:
		c.Out.Int(info.IdleMs / 1000)
	}
}

// objectRefCount: values are never shared between keys, but for the small
// integers this is what Redis says of its shared ones.
func objectRefCount(c *Ctx) {
	if !c.Tx.Look(c.Key(2)) {
		c.Out.Null()
		return
	}
	refs := int64(1)
	if name, _ := c.Tx.Encoding(c.Key(2)); name == "int" && sharesIntegers(c) {
		if v, _, _ := c.Tx.Peek(c.Key(2)); len(v) <= sharedDigits && v[0] != '-' {
			refs = math.MaxInt32
		}
	}
	c.Out.Int(refs)
}

// sharedDigits: Redis shares the integers 0 to 9999.
const sharedDigits = 4

// sharesIntegers reports whether Redis would: not where values need recency of
// their own for eviction.
func sharesIntegers(c *Ctx) bool {
	if c.Host.Config().Load().MaxMemory == 0 {
		return true
	}
	k := c.Host.Engine().Params().Policy.Kind()
	return k != lru.KindLRU && k != lru.KindLFU
}

func objectInfo(c *Ctx) (engine.Info, bool) {
	c.Tx.Look(c.Key(2))
	return c.Tx.Info(c.Key(2))
}

func ranksByFrequency(c *Ctx) bool { return c.Host.Engine().Params().Policy.Kind() == lru.KindLFU }

func objectHelp(c *Ctx) {
	c.Out.Help([]string{
		"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"ENCODING <key>",
		"    How the value of <key> is stored.",
		"FREQ <key>",
		"    How often <key> is used: a number that grows with the logarithm of its",
		"    recent uses. Only under an LFU maxmemory-policy.",
		"IDLETIME <key>",
		"    Seconds since <key> was last used. Not under an LFU maxmemory-policy.",
		"REFCOUNT <key>",
		"    References to the value of <key>: always 1, no two keys share one.",
		"HELP",
		"    This text.",
	})
}
