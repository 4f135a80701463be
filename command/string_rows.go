package command

import "slices"

// stringRows are the string commands.
func stringRows() []Row {
	return slices.Concat(stringReadRows(), stringSetRows(), stringEditRows(), stringCountRows(), stringCASRows())
}

func stringReadRows() []Row {
	return []Row{
		{
			Name: "get", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Keys: One(RO | Access), Run: get,
			Doc: stringDoc("1.0.0", "O(1)", "Answers the string value of a key.", keyArg(0)),
		},
		{
			Name: "mget", Arity: -2, Flags: ReadOnly | Fast, ACL: CatString, Keys: []KeySpec{From(1, 1, RO|Access)}, Run: mget,
			Doc: tips(stringDoc("1.0.0", "O(N) where N is the number of keys.",
				"Answers the string values of several keys at once.", many(keyArg(0))), "request_policy:multi_shard"),
		},
		{
			Name: "getdel", Arity: 2, Flags: Write | Fast, ACL: CatString, Keys: One(RW | Access | Delete), Run: getDel,
			Doc: stringDoc("6.2.0", "O(1)", "Answers the string value of a key and deletes the key.", keyArg(0)),
		},
		{
			Name: "getex", Arity: -2, Flags: Write | Fast, ACL: CatString, Keys: One(RW | Access | Update), Run: getEX,
			Doc: stringDoc("6.2.0", "O(1)", "Answers the string value of a key and sets or removes its deadline.",
				keyArg(0), expirationArg(tokenArg("persist"))),
		},
		{
			Name: "getrange", Arity: 4, Flags: ReadOnly, ACL: CatString, Keys: One(RO | Access), Run: getRange,
			Doc: stringDoc("2.4.0", "O(N) where N is the length of the answer.",
				"Answers a part of the string value of a key.", keyArg(0), intArg("start"), intArg("end")),
		},
		{
			Name: "substr", Arity: 4, Flags: ReadOnly, ACL: CatString, Keys: One(RO | Access), Run: getRange,
			Doc: deprecated(stringDoc("1.0.0", "O(N) where N is the length of the answer.",
				"Answers a part of the string value of a key.", keyArg(0), intArg("start"), intArg("end")),
				"2.0.0", "`GETRANGE`"),
		},
		{
			Name: "strlen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Keys: One(RO), Run: strLen,
			Doc: stringDoc("2.2.0", "O(1)", "Answers the length of the string value of a key.", keyArg(0)),
		},
		{
			Name: "lcs", Arity: -3, Flags: ReadOnly, ACL: CatString,
			Keys: []KeySpec{{Flags: RO | Access, Index: 1, Last: 1, Step: 1}}, Run: lcs,
			Doc: stringDoc("7.0.0", "O(N*M) where N and M are the lengths of the two strings.",
				"Finds the longest subsequence that two strings have in common.",
				named(keyArg(0), "key1"), named(keyArg(0), "key2"), optional(tokenArg("len")), optional(tokenArg("idx")),
				optional(Arg{Name: "min-match-len", Type: ArgInteger, Token: "MINMATCHLEN"}), optional(tokenArg("withmatchlen"))),
		},
	}
}

func stringSetRows() []Row {
	return []Row{
		{
			Name: "set", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Keys: One(RW | Access | Update | VariableFlags), VaryKeys: setKeyUse, Run: set,
			Doc: history(stringDoc("1.0.0", "O(1)", "Makes a string the value of a key, whatever was there.",
				keyArg(0), strArg("value"),
				conditionArg("2.6.12", tokenArg("nx"), tokenArg("xx"), since("8.4.0", ifArg("ifeq-value")), since("8.4.0", ifArg("ifne-value")),
					since("8.4.0", ifArg("ifdeq-digest")), since("8.4.0", ifArg("ifdne-digest"))),
				since("6.2.0", optional(tokenArg("get"))),
				optional(oneOf("expiration",
					since("2.6.12", timeArg("EX")), since("2.6.12", timeArg("PX")),
					since("6.2.0", timeArg("EXAT")), since("6.2.0", timeArg("PXAT")), since("6.0.0", tokenArg("keepttl"))))),
				History{"2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."},
				History{"6.0.0", "Added the `KEEPTTL` option."},
				History{"6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."},
				History{"7.0.0", "Allowed the `NX` and `GET` options to be used together."},
				History{"8.4.0", "Added the `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE` options."}),
		},
		{
			Name: "setex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: One(OW | Update), Run: setEX,
			Doc: stringDoc("2.0.0", "O(1)", "Sets the string value of a key and its time to live in seconds.",
				keyArg(0), intArg("seconds"), strArg("value")),
		},
		{
			Name: "psetex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: One(OW | Update), Run: pSetEX,
			Doc: stringDoc("2.6.0", "O(1)", "Sets the string value of a key and its time to live in milliseconds.",
				keyArg(0), intArg("milliseconds"), strArg("value")),
		},
		{
			Name: "setnx", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Keys: One(OW | Insert), Run: setNX,
			Doc: stringDoc("1.0.0", "O(1)", "Sets the string value of a key that does not exist.", keyArg(0), strArg("value")),
		},
		{
			Name: "getset", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Keys: One(RW | Access | Update), Run: getSet,
			Doc: deprecated(stringDoc("1.0.0", "O(1)", "Sets the string value of a key and answers the value before.",
				keyArg(0), strArg("value")), "6.2.0", "`SET` with the `!GET` argument"),
		},
		{
			Name: "mset", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Keys: []KeySpec{From(1, 2, OW|Update)}, Run: mset,
			Doc: tips(stringDoc("1.0.1", "O(N) where N is the number of keys.", "Sets several keys at once.", pairsArg()),
				"request_policy:multi_shard", "response_policy:all_succeeded"),
		},
		{
			Name: "msetnx", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Keys: []KeySpec{From(1, 2, OW|Insert)}, Run: msetNX,
			Doc: stringDoc("1.0.1", "O(N) where N is the number of keys.", "Sets several keys at once if none of them exists.", pairsArg()),
		},
		{
			Name: "msetex", Arity: -4, Flags: Write | DenyOOM, ACL: CatString, Keys: []KeySpec{Counted(1, 2, OW|Update)}, Run: msetEX,
			Doc: stringDoc("8.4.0", "O(N) where N is the number of keys.", "Sets several keys at once, with one deadline for all.",
				intArg("numkeys"), pairsArg(), conditionArg("", tokenArg("nx"), tokenArg("xx")), expirationArg(tokenArg("keepttl"))),
		},
	}
}

func stringEditRows() []Row {
	return []Row{
		{
			Name: "append", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Keys: One(RW | Insert), Run: appendString,
			Doc: stringDoc("2.0.0", "O(1) amortized, for a short value appended to a string of any length.",
				"Appends to the string value of a key, or makes it.", keyArg(0), strArg("value")),
		},
		{
			Name: "setrange", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Keys: One(RW | Update), Run: setRange,
			Doc: stringDoc("2.2.0", "O(M) where M is the length of the string.",
				"Overwrites a part of the string value of a key, from an offset on.", keyArg(0), intArg("offset"), strArg("value")),
		},
		{
			Name: "delex", Arity: -2, Flags: Write | Fast, ACL: CatString, Keys: One(RW | Delete | VariableFlags),
			VaryKeys: delEXKeyUse, Run: delEX,
			Doc: stringDoc("8.4.0", "O(1) for IFEQ and IFNE, O(N) for IFDEQ and IFDNE where N is the length of the string.",
				"Deletes a key if its value or the digest of its value compares as asked.",
				keyArg(0), conditionArg("", ifArg("ifeq-value"), ifArg("ifne-value"), ifArg("ifdeq-digest"), ifArg("ifdne-digest"))),
		},
		{
			Name: "delifeq", Arity: 3, Flags: Write | Fast, ACL: CatString, Keys: One(RW | Access | Delete), Run: delIfEq,
			Doc: stringDoc("8.1.0", "O(1)", "Deletes a key if its value is the one given.", keyArg(0), strArg("value")),
		},
		{
			Name: "digest", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Keys: One(RO | Access), Run: digest,
			Doc: stringDoc("8.4.0", "O(N) where N is the length of the string.",
				"Answers the XXH3 digest of the string value of a key, in hexadecimal.", keyArg(0)),
		},
	}
}

func stringCountRows() []Row {
	const flags = Write | DenyOOM | Fast
	return []Row{
		{
			Name: "incr", Arity: 2, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: incr,
			Doc: stringDoc("1.0.0", "O(1)", "Adds one to the integer value of a key; a missing key counts as 0.", keyArg(0)),
		},
		{
			Name: "decr", Arity: 2, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: decr,
			Doc: stringDoc("1.0.0", "O(1)", "Subtracts one from the integer value of a key; a missing key counts as 0.", keyArg(0)),
		},
		{
			Name: "incrby", Arity: 3, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: incrBy,
			Doc: stringDoc("1.0.0", "O(1)", "Adds to the integer value of a key; a missing key counts as 0.",
				keyArg(0), intArg("increment")),
		},
		{
			Name: "decrby", Arity: 3, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: decrBy,
			Doc: stringDoc("1.0.0", "O(1)", "Subtracts from the integer value of a key; a missing key counts as 0.",
				keyArg(0), intArg("decrement")),
		},
		{
			Name: "incrbyfloat", Arity: 3, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: incrByFloat,
			Doc: stringDoc("2.6.0", "O(1)", "Adds to the floating point value of a key; a missing key counts as 0.",
				keyArg(0), Arg{Name: "increment", Type: ArgDouble}),
		},
		{
			Name: "increx", Arity: -2, Flags: flags, ACL: CatString, Keys: One(RW | Access | Update), Run: incrEX,
			Doc: stringDoc("8.8.0", "O(1)", "Adds to the number under a key within bounds, and sets its deadline.",
				keyArg(0),
				optional(oneOf("increment", Arg{Name: "float", Type: ArgDouble, Token: "BYFLOAT"}, Arg{Name: "integer", Type: ArgInteger, Token: "BYINT"})),
				optional(tokenArg("saturate")),
				optional(Arg{Name: "lowerbound", Type: ArgString, Token: "LBOUND"}),
				optional(Arg{Name: "upperbound", Type: ArgString, Token: "UBOUND"}),
				expirationArg(tokenArg("persist")), optional(tokenArg("enx"))),
		},
	}
}

func stringCASRows() []Row {
	return []Row{
		{
			Name: "gets", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Keys: One(RO | Access), Run: gets,
			Doc: stringDoc("1.0.0", "O(1)", "Answers the string value of a key and its token for CAS.", keyArg(0)),
		},
		{
			Name: "cas", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatString, Keys: One(RW | Access | Update), Run: cas,
			Doc: stringDoc("1.0.0", "O(1)",
				"Sets the string value of a key that still has the token given (0: that is missing) and answers the new token.",
				keyArg(0), strArg("token"), strArg("value"), expirationArg(tokenArg("keepttl"))),
		},
	}
}

// stringDoc documents a string command.
func stringDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "string", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

// pairsArg documents key value [key value ...].
func pairsArg() Arg {
	return many(Arg{Name: "data", Type: ArgBlock, Args: []Arg{keyArg(0), strArg("value")}})
}

// ifArg documents a comparing condition; its token is the name's first word.
func ifArg(name string) Arg { return Arg{Name: name, Type: ArgString, Token: firstWord(name)} }

// conditionArg documents the choice of conditions.
func conditionArg(version string, choices ...Arg) Arg {
	return since(version, optional(oneOf("condition", choices...)))
}

// expirationArg documents the choice of EX, PX, EXAT, PXAT and last.
func expirationArg(last Arg) Arg {
	return optional(oneOf("expiration", timeArg("EX"), timeArg("PX"), timeArg("EXAT"), timeArg("PXAT"), last))
}
