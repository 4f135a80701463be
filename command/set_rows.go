package command

import "slices"

// setRows are the set commands.
func setRows() []Row {
	return slices.Concat(setMemberRows(), setRandomRows(), setAlgebraRows(), setStoreRows())
}

func setDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "set", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

func memberArg() Arg { return strArg("member") }

func setMemberRows() []Row {
	return []Row{
		{
			Name: "sadd", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatSet, Keys: One(RW | Insert), Run: sAdd,
			Doc: history(setDoc("1.0.0", "O(1) for each member, so O(N) for N members.",
				"Adds members to a set, which is made if need be.", keyArg(0), many(memberArg())),
				History{"2.4.0", "Accepts multiple `member` arguments."}),
		},
		{
			Name: "srem", Arity: -3, Flags: Write | Fast, ACL: CatSet, Keys: One(RW | Delete), Run: sRem,
			Doc: history(setDoc("1.0.0", "O(N) where N is the number of members to remove.",
				"Removes members of a set. A set that is left empty goes.", keyArg(0), many(memberArg())),
				History{"2.4.0", "Accepts multiple `member` arguments."}),
		},
		{
			Name: "smove", Arity: 4, Flags: Write | Fast, ACL: CatSet, Keys: []KeySpec{At(1, RW|Access|Delete), At(2, RW|Insert)}, Run: sMove,
			Doc: setDoc("1.0.0", "O(1)", "Moves a member from a set to another. A set that is left empty goes.",
				named(keyArg(0), "source"), named(keyArg(1), "destination"), memberArg()),
		},
		{
			Name: "sismember", Arity: 3, Flags: ReadOnly | Fast, ACL: CatSet, Keys: One(RO), Run: sIsMember,
			Doc: setDoc("1.0.0", "O(1)", "Tells whether a set has a member.", keyArg(0), memberArg()),
		},
		{
			Name: "smismember", Arity: -3, Flags: ReadOnly | Fast, ACL: CatSet, Keys: One(RO | Access), Run: sMIsMember,
			Doc: setDoc("6.2.0", "O(N) where N is the number of members asked for.",
				"Tells which of several members a set has.", keyArg(0), many(memberArg())),
		},
		{
			Name: "scard", Arity: 2, Flags: ReadOnly | Fast, ACL: CatSet, Keys: One(RO), Run: sCard,
			Doc: setDoc("1.0.0", "O(1)", "Counts the members of a set.", keyArg(0)),
		},
		{
			Name: "smembers", Arity: 2, Flags: ReadOnly, ACL: CatSet, Keys: One(RO | Access), Run: sMembers,
			Doc: tips(setDoc("1.0.0", "O(N) where N is the number of members of the set.",
				"Answers all members of a set.", keyArg(0)), "nondeterministic_output_order"),
		},
		{
			Name: "sscan", Arity: -3, Flags: ReadOnly, ACL: CatSet, Keys: One(RO | Access), Run: sScan,
			Doc: tips(setDoc("2.8.0", scanComplexity, "Lists some of the members of a set and a cursor to go on from.",
				scanArgs()...), "nondeterministic_output"),
		},
	}
}

func setRandomRows() []Row {
	const perMember = "O(1) without a count, else O(N) where N is the count."
	return []Row{
		{
			Name: "spop", Arity: -2, Flags: Write | Fast, ACL: CatSet, Keys: One(RW | Access | Delete), Run: sPop,
			Doc: tips(history(setDoc("1.0.0", perMember, "Takes random members out of a set. A set that is left empty goes.",
				keyArg(0), since("3.2.0", optional(intArg("count")))),
				History{"3.2.0", "Added the `count` argument."}), "nondeterministic_output"),
		},
		{
			Name: "srandmember", Arity: -2, Flags: ReadOnly, ACL: CatSet, Keys: One(RO | Access), Run: sRandMember,
			Doc: tips(history(setDoc("1.0.0", perMember, "Answers random members of a set.",
				keyArg(0), since("2.6.0", optional(intArg("count")))),
				History{"2.6.0", "Added the optional `count` argument."}), "nondeterministic_output"),
		},
	}
}

const (
	interComplexity = "O(N*M) at worst, where N is the number of members of the smallest set and M is the number of sets."
	unionComplexity = "O(N) where N is the number of members of all sets."
)

func setAlgebraRows() []Row {
	reply := func(name, complexity, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -2, Flags: ReadOnly, ACL: CatSet, Keys: []KeySpec{From(1, 1, RO|Access)}, Run: run,
			Doc: tips(setDoc("1.0.0", complexity, summary, many(keyArg(0))), "nondeterministic_output_order"),
		}
	}
	card := func(name, since, complexity, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: ReadOnly, ACL: CatSet, Keys: []KeySpec{Counted(1, 1, RO|Access)}, Run: run,
			Doc: setDoc(since, complexity, summary, intArg("numkeys"), many(keyArg(0)),
				optional(Arg{Name: "limit", Type: ArgInteger, Token: "LIMIT"})),
		}
	}
	return []Row{
		reply("sinter", interComplexity, "Answers the members that all of several sets have.", sInter),
		reply("sunion", unionComplexity, "Answers the members that any of several sets has.", sUnion),
		reply("sdiff", unionComplexity, "Answers the members of a set that none of several other sets has.", sDiff),
		card("sintercard", "7.0.0", interComplexity, "Counts the members that all of several sets have.", sInterCard),
		card("sunioncard", "8.10.0", unionComplexity, "Counts the members that any of several sets has.", sUnionCard),
		card("sdiffcard", "8.10.0", unionComplexity, "Counts the members of a set that none of several other sets has.", sDiffCard),
	}
}

func setStoreRows() []Row {
	store := func(name, complexity, summary string, flags KeyFlags, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: Write | DenyOOM, ACL: CatSet,
			Keys: []KeySpec{At(1, flags), From(2, 1, RO|Access)}, Run: run,
			Doc: setDoc("1.0.0", complexity, summary, named(keyArg(0), "destination"), many(keyArg(1))),
		}
	}
	return []Row{
		store("sinterstore", interComplexity, "Stores the members that all of several sets have as a set.", RW|Update, sInterStore),
		store("sunionstore", unionComplexity, "Stores the members that any of several sets has as a set.", OW|Update, sUnionStore),
		store("sdiffstore", unionComplexity, "Stores the members of a set that none of several other sets has as a set.", OW|Update, sDiffStore),
	}
}
