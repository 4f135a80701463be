package command

import "slices"

// streamRows are the stream commands.
func streamRows() []Row {
	return slices.Concat(streamEntryRows(), streamReadRows(), streamGroupRows(), streamInfoRows())
}

func streamDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "stream", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

// symbolArg is a sign that stands for itself.
func symbolArg(name, sign string) Arg { return Arg{Name: name, Type: ArgToken, Token: sign} }

// trimArg documents the trimming of XADD and XTRIM, referenceArg what becomes of
// references.
func trimArg() Arg {
	return blockArg("trim",
		oneOf("strategy", tokenArg("maxlen"), since("6.2.0", tokenArg("minid"))),
		optional(oneOf("operator", symbolArg("equal", "="), symbolArg("approximately", "~"))),
		strArg("threshold"),
		since("6.2.0", optional(withToken("LIMIT", intArg("count")))))
}

func referenceArg() Arg {
	return since("8.2.0", optional(oneOf("condition", tokenArg("keepref"), tokenArg("delref"), tokenArg("acked"))))
}

func idsArg() Arg { return withToken("IDS", blockArg("ids", intArg("numids"), many(strArg("id")))) }

const perEntry = "O(1) for each entry, whatever the length of the stream."

func streamEntryRows() []Row {
	ranges := func(name, summary string, run func(*Ctx), ends ...Arg) Row {
		return Row{
			Name: name, Arity: -4, Flags: ReadOnly, ACL: CatStream, Keys: One(RO | Access), Run: run,
			Doc: history(streamDoc("5.0.0", "O(log(N)+M) where N is the length of the stream and M is the number of entries in the answer.",
				summary, append(append([]Arg{keyArg(0)}, ends...), countArg("count"))...),
				History{"6.2.0", "Added exclusive ranges."}),
		}
	}
	return []Row{
		{
			Name: "xadd", Arity: -5, Flags: Write | DenyOOM | Fast, ACL: CatStream, Keys: One(RW | Update), Run: xAdd,
			Doc: tips(history(streamDoc("5.0.0", "O(log(N)) where N is the length of the stream, and O(1) for each entry that trimming removes.",
				"Appends an entry to a stream, which is made if need be.",
				keyArg(0), since("6.2.0", optional(tokenArg("nomkstream"))), referenceArg(), optional(trimArg()),
				oneOf("id-selector", symbolArg("auto-id", "*"), strArg("id")), many(blockArg("data", strArg("field"), strArg("value")))),
				History{"6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option."},
				History{"7.0.0", "Added support for the `<ms>-*` explicit ID form."},
				History{"8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."}), "nondeterministic_output"),
		},
		{
			Name: "xtrim", Arity: -4, Flags: Write, ACL: CatStream, Keys: One(RW | Delete), Run: xTrim,
			Doc: tips(history(streamDoc("5.0.0", "O(N) where N is the number of entries removed.",
				"Removes entries from the start of a stream.", keyArg(0), trimArg(), referenceArg()),
				History{"6.2.0", "Added the `MINID` trimming strategy and the `LIMIT` option."},
				History{"8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."}), "nondeterministic_output"),
		},
		{
			Name: "xdel", Arity: -3, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Delete), Run: xDel,
			Doc: streamDoc("5.0.0", perEntry, "Removes entries from a stream.", keyArg(0), many(strArg("id"))),
		},
		{
			Name: "xdelex", Arity: -5, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Delete), Run: xDelEx,
			Doc: streamDoc("8.2.0", perEntry, "Removes entries from a stream, with regard to the groups that have them pending.",
				keyArg(0), referenceArg(), idsArg()),
		},
		{
			Name: "xsetid", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatStream, Keys: One(RW | Update), Run: xSetID,
			Doc: history(streamDoc("5.0.0", "O(1)", "Sets what a stream knows of its past.", keyArg(0), strArg("last-id"),
				since("7.0.0", optional(withToken("ENTRIESADDED", intArg("entries-added")))),
				since("7.0.0", optional(withToken("MAXDELETEDID", strArg("max-deleted-id"))))),
				History{"7.0.0", "Added the `entries_added` and `max_deleted_entry_id` arguments."}),
		},
		{
			Name: "xlen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatStream, Keys: One(RO), Run: xLen,
			Doc: streamDoc("5.0.0", "O(1)", "Counts the entries of a stream.", keyArg(0)),
		},
		ranges("xrange", "Answers the entries of a stream from one id to another.", xRange, strArg("start"), strArg("end")),
		ranges("xrevrange", "Answers the entries of a stream from one id down to another.", xRevRange, strArg("end"), strArg("start")),
	}
}

func streamReadRows() []Row {
	keys := func(from int) []KeySpec {
		return []KeySpec{{Flags: RO | Access, Keyword: "STREAMS", Index: from, Last: -1, Step: 1, Limit: 2}}
	}
	count, block := countArg("count"), optional(withToken("BLOCK", intArg("milliseconds")))
	streams := withToken("STREAMS", blockArg("streams", many(keyArg(0)), many(strArg("id"))))
	return []Row{
		{
			Name: "xread", Arity: -4, Flags: ReadOnly | Blocking, ACL: CatStream, Keys: keys(1), Run: xRead,
			Doc: streamDoc("5.0.0", "O(log(N)+M) for each stream, where N is its length and M is the number of entries in the answer.",
				"Answers the entries of streams behind given ids, and waits for some if asked to.", count, block, streams),
		},
		{
			Name: "xreadgroup", Arity: -7, Flags: Write | Blocking, ACL: CatStream, Keys: keys(4), Run: xReadGroup,
			Doc: history(streamDoc("5.0.0", "O(M*log(N)) for each stream, where N is its length and M is the number of entries in the answer.",
				"Gives a consumer the entries of streams that nobody else in its group has, or again those it already has.",
				withToken("GROUP", blockArg("group-block", strArg("group"), strArg("consumer"))), count, block,
				since("8.4.0", optional(withToken("CLAIM", intArg("min-idle-time")))), optional(tokenArg("noack")), streams),
				History{"8.4.0", "Added the `CLAIM` option."}),
		},
	}
}

func streamGroupRows() []Row {
	const perID = "O(log(N)) for each id, where N is the number of pending entries."
	group, consumer := strArg("group"), strArg("consumer")
	return []Row{
		xGroupRow(),
		{
			Name: "xack", Arity: -4, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Update), Run: xAck,
			Doc: streamDoc("5.0.0", perID, "Says that a group is done with entries that were delivered to it.",
				keyArg(0), group, many(strArg("id"))),
		},
		{
			Name: "xackdel", Arity: -6, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Delete), Run: xAckDel,
			Doc: streamDoc("8.2.0", perID, "Says that a group is done with entries, and removes them from the stream.",
				keyArg(0), group, referenceArg(), idsArg()),
		},
		{
			Name: "xpending", Arity: -3, Flags: ReadOnly, ACL: CatStream, Keys: One(RO | Access), Run: xPending,
			Doc: tips(history(streamDoc("5.0.0", "O(log(N)+M) where N is the number of pending entries and M is the number that is looked at.",
				"Tells what was delivered to a group that it is not done with.",
				keyArg(0), group, optional(blockArg("filters", since("6.2.0", optional(withToken("IDLE", intArg("min-idle-time")))),
					strArg("start"), strArg("end"), intArg("count"), optional(consumer)))),
				History{"6.2.0", "Added the `IDLE` option and exclusive range intervals."}), "nondeterministic_output"),
		},
		{
			Name: "xclaim", Arity: -6, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Update), Run: xClaim,
			Doc: tips(streamDoc("5.0.0", perID, "Makes pending entries those of another consumer.",
				keyArg(0), group, consumer, strArg("min-idle-time"), many(strArg("id")),
				optional(withToken("IDLE", intArg("ms"))),
				optional(Arg{Name: "unix-time-milliseconds", Type: ArgUnix, Token: "TIME"}),
				optional(withToken("RETRYCOUNT", intArg("count"))), optional(tokenArg("force")), optional(tokenArg("justid")),
				optional(withToken("LASTID", strArg("lastid")))), "nondeterministic_output"),
		},
		{
			Name: "xautoclaim", Arity: -6, Flags: Write | Fast, ACL: CatStream, Keys: One(RW | Delete), Run: xAutoClaim,
			Doc: tips(history(streamDoc("6.2.0", "O(M*log(N)) where N is the number of pending entries and M is the number that is looked at.",
				"Makes those pending entries that nobody cares for those of another consumer.",
				keyArg(0), group, consumer, strArg("min-idle-time"), strArg("start"), countArg("count"), optional(tokenArg("justid"))),
				History{"7.0.0", "Added an element to the reply array, containing deleted entries the command cleared from the PEL"}),
				"nondeterministic_output"),
		},
	}
}

// streamContainerDoc documents a command whose work its subcommands do.
func streamContainerDoc(summary string) Doc {
	return streamDoc("5.0.0", "That of the subcommand.", summary)
}

func streamHelpRow() Row {
	return Row{
		Name: "help", Arity: 2, Flags: Loading | Stale | Control, ACL: CatStream, Run: containerHelp,
		Doc: streamDoc("5.0.0", "O(1)", "Explains the subcommands."),
	}
}

func xGroupRow() Row {
	id := oneOf("id-selector", strArg("id"), symbolArg("new-id", "$"))
	group, consumer := strArg("group"), strArg("consumer")
	read := func(name string) Arg {
		return optional(Arg{Name: name, Display: "entries-read", Type: ArgInteger, Token: "ENTRIESREAD"})
	}
	sub := func(name, since string, arity int, flags Flags, access KeyFlags, summary string, run func(*Ctx), args ...Arg) Row {
		return Row{
			Name: name, Arity: arity, Flags: Write | flags, ACL: CatStream, Keys: []KeySpec{At(2, RW|access)}, Run: run,
			Doc: streamDoc(since, "O(log(N)) where N is the number of groups and consumers.", summary, append([]Arg{keyArg(0), group}, args...)...),
		}
	}
	readHistory := History{"7.0.0", "Added the `entries_read` named argument."}
	create := sub("create", "5.0.0", -5, DenyOOM, Insert, "Makes a group.", xGroupCreate, id, optional(tokenArg("mkstream")), read("entriesread"))
	create.Doc = history(create.Doc, readHistory)
	setID := sub("setid", "5.0.0", -5, 0, Update, "Sets what was delivered to a group last.", xGroupSetID, id, read("entriesread"))
	setID.Doc = history(setID.Doc, readHistory)
	destroy := sub("destroy", "5.0.0", 4, 0, Delete, "Removes a group.", xGroupDestroy)
	destroy.Doc.Complexity = "O(N) where N is the number of the group's pending entries."
	remove := sub("delconsumer", "5.0.0", 5, 0, Delete, "Removes a consumer from a group, with all that is pending at it.", xGroupDelConsumer, consumer)
	remove.Doc.Complexity = "O(N*log(M)) where N is the number of the consumer's pending entries and M that of the group's."
	return Row{
		Name: "xgroup", Arity: -2, Doc: streamContainerDoc("Contains commands about consumer groups."),
		Subs: []Row{
			create,
			sub("createconsumer", "6.2.0", 5, DenyOOM, Insert, "Makes a consumer of a group.", xGroupCreateConsumer, consumer),
			remove, destroy, streamHelpRow(), setID,
		},
	}
}

func streamInfoRows() []Row {
	sub := func(name string, arity int, complexity, summary string, run func(*Ctx), args ...Arg) Row {
		return Row{
			Name: name, Arity: arity, Flags: ReadOnly, ACL: CatStream, Keys: []KeySpec{At(2, RO|Access)}, Run: run,
			Doc: streamDoc("5.0.0", complexity, summary, append([]Arg{keyArg(0)}, args...)...),
		}
	}
	consumers := sub("consumers", 4, "O(N*log(M)) where N is the number of consumers and M is the number of pending entries.",
		"Describes the consumers of a group.", xInfoConsumers, strArg("group"))
	consumers.Doc = tips(history(consumers.Doc, History{"7.2.0", "Added the `inactive` field, and changed the meaning of `idle`."}),
		"nondeterministic_output")
	groups := sub("groups", 3, "O(N*log(M)) where N is the number of groups and M is the number of pending entries.",
		"Describes the groups of a stream.", xInfoGroups)
	groups.Doc = history(groups.Doc, History{"7.0.0", "Added the `entries-read` and `lag` fields"})
	stream := sub("stream", -3, "O(log(N)) where N is the length of the stream; with FULL, O(M) where M is what is shown.",
		"Describes a stream.", xInfoStream, optional(blockArg("full-block", tokenArg("full"), countArg("count"))))
	stream.Doc = history(stream.Doc, History{"6.0.0", "Added the `FULL` modifier."},
		History{"7.0.0", "Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields"},
		History{"7.2.0", "Added the `active-time` field, and changed the meaning of `seen-time`."})
	return []Row{{
		Name: "xinfo", Arity: -2, Doc: streamContainerDoc("Contains commands that describe streams."),
		Subs: []Row{consumers, groups, streamHelpRow(), stream},
	}}
}
