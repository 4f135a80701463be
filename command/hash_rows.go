package command

import "slices"

// hashRows are the hash commands.
func hashRows() []Row {
	return slices.Concat(hashReadRows(), hashWriteRows(), hashDeadlineRows(), hashFieldsRows())
}

func hashDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "hash", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

// fieldArg and fieldValuesArg document field, and field value [field value ...].
func fieldArg() Arg { return strArg("field") }

func fieldValuesArg() Arg {
	return many(Arg{Name: "data", Type: ArgBlock, Args: []Arg{fieldArg(), strArg("value")}})
}

// fieldsArg documents FIELDS numfields and what follows it.
func fieldsArg(listed ...Arg) Arg {
	return Arg{Name: "fields", Type: ArgBlock, Token: "FIELDS", Args: append([]Arg{intArg("numfields")}, listed...)}
}

func hashReadRows() []Row {
	const perHash = "O(N) where N is the number of fields of the hash."
	unordered := func(d Doc) Doc { return tips(d, "nondeterministic_output_order") }
	return []Row{
		{
			Name: "hget", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO | Access), Run: hGet,
			Doc: hashDoc("2.0.0", "O(1)", "Answers the value of a field of a hash.", keyArg(0), fieldArg()),
		},
		{
			Name: "hmget", Arity: -3, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO | Access), Run: hMGet,
			Doc: hashDoc("2.0.0", "O(N) where N is the number of fields asked for.",
				"Answers the values of several fields of a hash.", keyArg(0), many(fieldArg())),
		},
		{
			Name: "hgetall", Arity: 2, Flags: ReadOnly, ACL: CatHash, Keys: One(RO | Access), Run: hGetAll,
			Doc: unordered(hashDoc("2.0.0", perHash, "Answers all fields of a hash with their values.", keyArg(0))),
		},
		{
			Name: "hkeys", Arity: 2, Flags: ReadOnly, ACL: CatHash, Keys: One(RO | Access), Run: hKeys,
			Doc: unordered(hashDoc("2.0.0", perHash, "Answers the names of all fields of a hash.", keyArg(0))),
		},
		{
			Name: "hvals", Arity: 2, Flags: ReadOnly, ACL: CatHash, Keys: One(RO | Access), Run: hVals,
			Doc: unordered(hashDoc("2.0.0", perHash, "Answers the values of all fields of a hash.", keyArg(0))),
		},
		{
			Name: "hlen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO), Run: hLen,
			Doc: hashDoc("2.0.0", "O(1)", "Counts the fields of a hash.", keyArg(0)),
		},
		{
			Name: "hstrlen", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO), Run: hStrLen,
			Doc: hashDoc("3.2.0", "O(1)", "Answers the length of the value of a field of a hash.", keyArg(0), fieldArg()),
		},
		{
			Name: "hexists", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO), Run: hExists,
			Doc: hashDoc("2.0.0", "O(1)", "Tells whether a hash has a field.", keyArg(0), fieldArg()),
		},
		{
			Name: "hrandfield", Arity: -2, Flags: ReadOnly, ACL: CatHash, Keys: One(RO | Access), Run: hRandField,
			Doc: tips(hashDoc("6.2.0", "O(N) where N is the number of fields answered.",
				"Answers random fields of a hash.", keyArg(0),
				optional(Arg{Name: "options", Type: ArgBlock, Args: []Arg{intArg("count"), optional(tokenArg("withvalues"))}})),
				"nondeterministic_output"),
		},
		{
			Name: "hscan", Arity: -3, Flags: ReadOnly, ACL: CatHash, Keys: One(RO | Access), Run: hScan,
			Doc: tips(hashDoc("2.8.0", scanComplexity, "Lists some of the fields of a hash and a cursor to go on from.",
				scanArgs(since("7.4.0", optional(tokenArg("novalues"))))...), "nondeterministic_output"),
		},
	}
}

// scanComplexity and scanArgs document HSCAN, SSCAN and ZSCAN.
const scanComplexity = "O(1) for every call, O(N) for all calls until the cursor is 0 again, where N is the number of elements."

func scanArgs(more ...Arg) []Arg {
	return append([]Arg{
		keyArg(0), intArg("cursor"),
		optional(Arg{Name: "pattern", Type: ArgPattern, Token: "MATCH"}),
		optional(Arg{Name: "count", Type: ArgInteger, Token: "COUNT"}),
	}, more...)
}

func hashWriteRows() []Row {
	const perPair = "O(1) for each field, so O(N) for N fields."
	return []Row{
		{
			Name: "hset", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Update), Run: hSet,
			Doc: history(hashDoc("2.0.0", perPair, "Sets fields of a hash, which is made if need be.", keyArg(0), fieldValuesArg()),
				History{"4.0.0", "Accepts multiple `field` and `value` arguments."}),
		},
		{
			Name: "hmset", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Update), Run: hMSet,
			Doc: deprecated(hashDoc("2.0.0", perPair, "Sets fields of a hash, which is made if need be.", keyArg(0), fieldValuesArg()),
				"4.0.0", "`HSET` with multiple field-value pairs"),
		},
		{
			Name: "hsetnx", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Insert), Run: hSetNX,
			Doc: hashDoc("2.0.0", "O(1)", "Sets a field of a hash that does not have it.", keyArg(0), fieldArg(), strArg("value")),
		},
		{
			Name: "hdel", Arity: -3, Flags: Write | Fast, ACL: CatHash, Keys: One(RW | Delete), Run: hDel,
			Doc: history(hashDoc("2.0.0", "O(N) where N is the number of fields to remove.",
				"Removes fields of a hash. A hash that is left empty goes.", keyArg(0), many(fieldArg())),
				History{"2.4.0", "Accepts multiple `field` arguments."}),
		},
		{
			Name: "hincrby", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Access | Update), Run: hIncrBy,
			Doc: hashDoc("2.0.0", "O(1)", "Adds to the integer value of a field of a hash; a missing field counts as 0.",
				keyArg(0), fieldArg(), intArg("increment")),
		},
		{
			Name: "hincrbyfloat", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Access | Update), Run: hIncrByFloat,
			Doc: hashDoc("2.6.0", "O(1)", "Adds to the floating point value of a field of a hash; a missing field counts as 0.",
				keyArg(0), fieldArg(), Arg{Name: "increment", Type: ArgDouble}),
		},
	}
}

// hashDeadlineRows are the commands that are about fields' deadlines alone.
func hashDeadlineRows() []Row {
	const perField = "O(N) where N is the number of fields named."
	set := func(name, summary string, amount Arg, unitMs int64, from base) Row {
		return Row{
			Name: name, Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Update),
			Run: func(c *Ctx) { hExpire(c, unitMs, from) },
			Doc: hashDoc("7.4.0", perField, summary, keyArg(0), amount,
				optional(oneOf("condition", tokenArg("nx"), tokenArg("xx"), tokenArg("gt"), tokenArg("lt"))),
				fieldsArg(many(fieldArg()))),
		}
	}
	get := func(name, summary string, unitMs int64, from base, more ...string) Row {
		return Row{
			Name: name, Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Keys: One(RO | Access),
			Run: func(c *Ctx) { hDeadline(c, unitMs, from) },
			Doc: tips(hashDoc("7.4.0", perField, summary, keyArg(0), fieldsArg(many(fieldArg()))), more...),
		}
	}
	at := func(unit string) Arg { return Arg{Name: "unix-time-" + unit, Type: ArgUnix} }
	const varies = "nondeterministic_output"
	return []Row{
		set("hexpire", "Sets how many seconds fields of a hash have left.", intArg("seconds"), 1000, fromNow),
		set("hpexpire", "Sets how many milliseconds fields of a hash have left.", intArg("milliseconds"), 1, fromNow),
		set("hexpireat", "Sets the Unix time in seconds at which fields of a hash end.", at("seconds"), 1000, fromEpoch),
		set("hpexpireat", "Sets the Unix time in milliseconds at which fields of a hash end.", at("milliseconds"), 1, fromEpoch),
		get("httl", "Answers how many seconds fields of a hash have left.", 1000, fromNow, varies),
		get("hpttl", "Answers how many milliseconds fields of a hash have left.", 1, fromNow, varies),
		get("hexpiretime", "Answers the Unix time in seconds at which fields of a hash end.", 1000, fromEpoch),
		get("hpexpiretime", "Answers the Unix time in milliseconds at which fields of a hash end.", 1, fromEpoch),
		{
			Name: "hpersist", Arity: -5, Flags: Write | Fast, ACL: CatHash, Keys: One(RW | Update), Run: hPersist,
			Doc: hashDoc("7.4.0", perField, "Takes the deadlines of fields of a hash away.", keyArg(0), fieldsArg(many(fieldArg()))),
		},
	}
}

// hashFieldsRows are the commands that read or write fields and their deadlines
// together.
func hashFieldsRows() []Row {
	const perField = "O(N) where N is the number of fields named."
	return []Row{
		{
			Name: "hgetex", Arity: -5, Flags: Write | Fast, ACL: CatHash, Keys: One(RW | Access | Update), Run: hGetEX,
			Doc: hashDoc("8.0.0", perField, "Answers the values of fields of a hash and sets or removes their deadlines.",
				keyArg(0), expirationArg(tokenArg("persist")), fieldsArg(many(fieldArg()))),
		},
		{
			Name: "hsetex", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Keys: One(RW | Update), Run: hSetEX,
			Doc: hashDoc("8.0.0", perField, "Sets fields of a hash and their deadlines.", keyArg(0),
				optional(oneOf("condition", tokenArg("fnx"), tokenArg("fxx"))),
				expirationArg(tokenArg("keepttl")), fieldsArg(fieldValuesArg())),
		},
		{
			Name: "hgetdel", Arity: -5, Flags: Write | Fast, ACL: CatHash, Keys: One(RW | Access | Delete), Run: hGetDel,
			Doc: hashDoc("8.0.0", perField, "Answers the values of fields of a hash and removes them. A hash that is left empty goes.",
				keyArg(0), fieldsArg(many(fieldArg()))),
		},
	}
}
