package command

import "slices"

// zsetRows are the sorted set commands.
func zsetRows() []Row {
	return slices.Concat(zsetEditRows(), zsetReadRows(), zsetRangeRows(), zsetOldRangeRows(), zsetRemoveRows(), zsetPopRows(), zsetCombineRows())
}

func zsetDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "sorted-set", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

func doubleArg(name string) Arg { return Arg{Name: name, Type: ArgDouble} }

func withScoresArg() Arg { return optional(tokenArg("withscores")) }

// limitArg documents LIMIT offset count.
func limitArg() Arg {
	return optional(Arg{Name: "limit", Type: ArgBlock, Token: "LIMIT", Args: []Arg{intArg("offset"), intArg("count")}})
}

func sortByArg() Arg { return optional(oneOf("sortby", tokenArg("byscore"), tokenArg("bylex"))) }

// endArgs document the ends of a range: low and high, of type t.
func endArgs(t ArgType, low, high string) []Arg {
	return []Arg{keyArg(0), {Name: low, Type: t}, {Name: high, Type: t}}
}

func zsetEditRows() []Row {
	const flags = Write | DenyOOM | Fast
	return []Row{
		{
			Name: "zadd", Arity: -4, Flags: flags, ACL: CatSortedSet, Keys: One(RW | Update), Run: zAdd,
			Doc: history(zsetDoc("1.2.0", "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
				"Gives members of a sorted set their scores; the set and members are made if need be.",
				keyArg(0),
				since("3.0.2", optional(oneOf("condition", tokenArg("nx"), tokenArg("xx")))),
				since("6.2.0", optional(oneOf("comparison", tokenArg("gt"), tokenArg("lt")))),
				since("3.0.2", optional(Arg{Name: "change", Type: ArgToken, Token: "CH"})),
				since("3.0.2", optional(Arg{Name: "increment", Type: ArgToken, Token: "INCR"})),
				many(Arg{Name: "data", Type: ArgBlock, Args: []Arg{doubleArg("score"), strArg("member")}})),
				History{"2.4.0", "Accepts multiple elements."},
				History{"3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."},
				History{"6.2.0", "Added the `GT` and `LT` options."}),
		},
		{
			Name: "zincrby", Arity: 4, Flags: flags, ACL: CatSortedSet, Keys: One(RW | Access | Update), Run: zIncrBy,
			Doc: zsetDoc("1.2.0", "O(log(N)) where N is the number of elements in the sorted set.",
				"Adds to the score of a member, which counts as 0 where it is missing.",
				keyArg(0), intArg("increment"), strArg("member")),
		},
	}
}

func zsetReadRows() []Row {
	const flags = ReadOnly | Fast
	rank := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: flags, ACL: CatSortedSet, Keys: One(RO | Access), Run: run,
			Doc: history(zsetDoc("2.0.0", "O(log(N))", summary, keyArg(0), strArg("member"),
				since("7.2.0", optional(tokenArg("withscore")))),
				History{"7.2.0", "Added the optional `WITHSCORE` argument."}),
		}
	}
	return []Row{
		{
			Name: "zcard", Arity: 2, Flags: flags, ACL: CatSortedSet, Keys: One(RO), Run: zCard,
			Doc: zsetDoc("1.2.0", "O(1)", "Counts the members of a sorted set.", keyArg(0)),
		},
		{
			Name: "zscore", Arity: 3, Flags: flags, ACL: CatSortedSet, Keys: One(RO | Access), Run: zScore,
			Doc: zsetDoc("1.2.0", "O(1)", "Answers the score of a member.", keyArg(0), strArg("member")),
		},
		{
			Name: "zmscore", Arity: -3, Flags: flags, ACL: CatSortedSet, Keys: One(RO | Access), Run: zMScore,
			Doc: zsetDoc("6.2.0", "O(N) where N is the number of members being requested.",
				"Answers the scores of several members.", keyArg(0), many(strArg("member"))),
		},
		rank("zrank", "Answers how many members have a lower place than this one.", zRank),
		rank("zrevrank", "Answers how many members have a higher place than this one.", zRevRank),
		{
			Name: "zrandmember", Arity: -2, Flags: ReadOnly, ACL: CatSortedSet, Keys: One(RO | Access), Run: zRandMember,
			Doc: tips(zsetDoc("6.2.0", "O(N) where N is the number of members returned.",
				"Draws members of a sorted set at random.", keyArg(0),
				optional(Arg{Name: "options", Type: ArgBlock, Args: []Arg{intArg("count"), withScoresArg()}})),
				"nondeterministic_output"),
		},
		{
			Name: "zscan", Arity: -3, Flags: ReadOnly, ACL: CatSortedSet, Keys: One(RO | Access), Run: zScan,
			Doc: tips(zsetDoc("2.8.0", "O(1) for every call, O(N) for all calls until the cursor is 0 again, where N is the number of members.",
				"Lists some members of a sorted set with their scores and a cursor to go on from.", keyArg(0), intArg("cursor"),
				Arg{Name: "pattern", Type: ArgPattern, Token: "MATCH", Optional: Optional}, countArg("count")),
				"nondeterministic_output"),
		},
	}
}

const (
	zsetRangeCost  = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."
	zsetRemoveCost = "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements removed."
)

func zsetRangeRows() []Row {
	return []Row{
		{
			Name: "zrange", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Keys: One(RO | Access), Run: zRange,
			Doc: history(zsetDoc("1.2.0", zsetRangeCost, "Answers the members within a range of ranks, scores or names.",
				append(endArgs(ArgString, "start", "stop"),
					since("6.2.0", sortByArg()), since("6.2.0", optional(tokenArg("rev"))), since("6.2.0", limitArg()), withScoresArg())...),
				History{"6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options."}),
		},
		{
			Name: "zrangestore", Arity: -5, Flags: Write | DenyOOM, ACL: CatSortedSet, Keys: []KeySpec{At(1, OW|Update), At(2, RO|Access)}, Run: zRangeStore,
			Doc: zsetDoc("6.2.0", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
				"Makes another sorted set of the members within a range.",
				named(keyArg(0), "dst"), named(keyArg(1), "src"), strArg("min"), strArg("max"),
				sortByArg(), optional(tokenArg("rev")), limitArg()),
		},
		{
			Name: "zcount", Arity: 4, Flags: ReadOnly | Fast, ACL: CatSortedSet, Keys: One(RO | Access), Run: zCount,
			Doc: zsetDoc("2.0.0", "O(log(N)) with N being the number of elements in the sorted set.",
				"Counts the members within a range of scores.", endArgs(ArgDouble, "min", "max")...),
		},
		{
			Name: "zlexcount", Arity: 4, Flags: ReadOnly | Fast, ACL: CatSortedSet, Keys: One(RO | Access), Run: zLexCount,
			Doc: zsetDoc("2.8.9", "O(log(N)) with N being the number of elements in the sorted set.",
				"Counts the members within a range of names, where all scores are equal.", endArgs(ArgString, "min", "max")...),
		},
	}
}

// zsetOldRangeRows are what ZRANGE does as well.
func zsetOldRangeRows() []Row {
	old := func(name string, run func(*Ctx), replacedBy string, d Doc) Row {
		return Row{
			Name: name, Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Keys: One(RO | Access), Run: run,
			Doc: deprecated(d, "6.2.0", replacedBy),
		}
	}
	return []Row{
		old("zrevrange", zRevRange, "`ZRANGE` with the `REV` argument",
			zsetDoc("1.2.0", zsetRangeCost, "Answers the members within a range of ranks, the highest first.",
				append(endArgs(ArgInteger, "start", "stop"), withScoresArg())...)),
		old("zrangebyscore", zRangeByScore, "`ZRANGE` with the `BYSCORE` argument",
			history(zsetDoc("1.0.5", zsetRangeCost, "Answers the members within a range of scores.",
				append(endArgs(ArgDouble, "min", "max"), since("2.0.0", withScoresArg()), limitArg())...),
				History{"2.0.0", "Added the `WITHSCORES` modifier."})),
		old("zrevrangebyscore", zRevRangeByScore, "`ZRANGE` with the `REV` and `BYSCORE` arguments",
			history(zsetDoc("2.2.0", zsetRangeCost, "Answers the members within a range of scores, the highest first.",
				append(endArgs(ArgDouble, "max", "min"), withScoresArg(), limitArg())...),
				History{"2.1.6", "`min` and `max` can be exclusive."})),
		old("zrangebylex", zRangeByLex, "`ZRANGE` with the `BYLEX` argument",
			zsetDoc("2.8.9", zsetRangeCost, "Answers the members within a range of names, where all scores are equal.",
				append(endArgs(ArgString, "min", "max"), limitArg())...)),
		old("zrevrangebylex", zRevRangeByLex, "`ZRANGE` with the `REV` and `BYLEX` arguments",
			zsetDoc("2.8.9", zsetRangeCost, "Answers the members within a range of names in reverse, where all scores are equal.",
				append(endArgs(ArgString, "max", "min"), limitArg())...)),
	}
}

func zsetRemoveRows() []Row {
	within := func(name, since, summary string, args []Arg, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: 4, Flags: Write, ACL: CatSortedSet, Keys: One(RW | Delete), Run: run,
			Doc: zsetDoc(since, zsetRemoveCost, summary, args...),
		}
	}
	return []Row{
		{
			Name: "zrem", Arity: -3, Flags: Write | Fast, ACL: CatSortedSet, Keys: One(RW | Delete), Run: zRem,
			Doc: history(zsetDoc("1.2.0", "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
				"Removes members of a sorted set. A set that is left empty goes.", keyArg(0), many(strArg("member"))),
				History{"2.4.0", "Accepts multiple elements."}),
		},
		within("zremrangebyrank", "2.0.0", "Removes the members within a range of ranks. A set that is left empty goes.",
			endArgs(ArgInteger, "start", "stop"), zRemRangeByRank),
		within("zremrangebyscore", "1.2.0", "Removes the members within a range of scores. A set that is left empty goes.",
			endArgs(ArgDouble, "min", "max"), zRemRangeByScore),
		within("zremrangebylex", "2.8.9", "Removes the members within a range of names, where all scores are equal. A set that is left empty goes.",
			endArgs(ArgString, "min", "max"), zRemRangeByLex),
	}
}

func zsetPopRows() []Row {
	const (
		popped   = RW | Access | Delete
		one      = "O(log(N)) with N being the number of elements in the sorted set."
		several  = "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."
		ofMany   = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped."
		asDouble = "`timeout` is interpreted as a double instead of an integer."
	)
	where := oneOf("where", tokenArg("min"), tokenArg("max"))
	pop := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -2, Flags: Write | Fast, ACL: CatSortedSet, Keys: One(popped), Run: run,
			Doc: zsetDoc("5.0.0", several, summary, keyArg(0), optional(intArg("count"))),
		}
	}
	blocking := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: Write | Fast | Blocking, ACL: CatSortedSet,
			Keys: []KeySpec{{Flags: popped, Index: 1, Last: -2, Step: 1}}, Run: run,
			Doc: history(zsetDoc("5.0.0", one, summary, many(keyArg(0)), timeoutArg()), History{"6.0.0", asDouble}),
		}
	}
	return []Row{
		pop("zpopmin", "Removes and answers the members with the lowest scores. A set that is left empty goes.", zPopMin),
		pop("zpopmax", "Removes and answers the members with the highest scores. A set that is left empty goes.", zPopMax),
		blocking("bzpopmin", "Removes and answers the member with the lowest score of the first set that is there, and waits for one if need be.", bZPopMin),
		blocking("bzpopmax", "Removes and answers the member with the highest score of the first set that is there, and waits for one if need be.", bZPopMax),
		{
			Name: "zmpop", Arity: -4, Flags: Write, ACL: CatSortedSet, Keys: []KeySpec{Counted(1, 1, popped)}, Run: zMPop,
			Doc: zsetDoc("7.0.0", ofMany, "Removes and answers members with the lowest or highest scores of the first set that is there.",
				intArg("numkeys"), many(keyArg(0)), where, countArg("count")),
		},
		{
			Name: "bzmpop", Arity: -5, Flags: Write | Blocking, ACL: CatSortedSet, Keys: []KeySpec{Counted(2, 1, popped)}, Run: bZMPop,
			Doc: zsetDoc("7.0.0", ofMany, "Removes and answers members with the lowest or highest scores of the first set that is there, and waits for one if need be.",
				timeoutArg(), intArg("numkeys"), many(keyArg(0)), where, countArg("count")),
		},
	}
}

func zsetCombineRows() []Row {
	const (
		unionCost = "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set."
		interCost = "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set."
		diffCost  = "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set."
	)
	weighing := []Arg{
		optional(Arg{Name: "weight", Type: ArgInteger, Token: "WEIGHTS", Multiple: Multiple}),
		optional(Arg{Name: "aggregate", Type: ArgOneOf, Token: "AGGREGATE", Args: []Arg{tokenArg("sum"), tokenArg("min"), tokenArg("max")}}),
	}
	show := func(name, cost, summary string, run func(*Ctx), args ...Arg) Row {
		return Row{
			Name: name, Arity: -3, Flags: ReadOnly, ACL: CatSortedSet, Keys: []KeySpec{Counted(1, 1, RO|Access)}, Run: run,
			Doc: zsetDoc("6.2.0", cost, summary, slices.Concat([]Arg{intArg("numkeys"), many(keyArg(0))}, args, []Arg{withScoresArg()})...),
		}
	}
	store := func(name, since, cost, summary string, run func(*Ctx), args ...Arg) Row {
		return Row{
			Name: name, Arity: -4, Flags: Write | DenyOOM, ACL: CatSortedSet, Keys: []KeySpec{At(1, OW|Update), Counted(2, 1, RO|Access)}, Run: run,
			Doc: zsetDoc(since, cost, summary, append([]Arg{named(keyArg(0), "destination"), intArg("numkeys"), many(keyArg(1))}, args...)...),
		}
	}
	return []Row{
		show("zunion", unionCost, "Answers the members that any of several sorted sets has.", zUnion, weighing...),
		show("zinter", interCost, "Answers the members that all of several sorted sets have.", zInter, weighing...),
		show("zdiff", diffCost, "Answers the members of the first sorted set that no other one has.", zDiff),
		store("zunionstore", "2.0.0", unionCost, "Makes a sorted set of the members that any of several has.", zUnionStore, weighing...),
		store("zinterstore", "2.0.0", interCost, "Makes a sorted set of the members that all of several have.", zInterStore, weighing...),
		store("zdiffstore", "6.2.0", diffCost, "Makes a sorted set of the members of the first one that no other one has.", zDiffStore),
		{
			Name: "zintercard", Arity: -3, Flags: ReadOnly, ACL: CatSortedSet, Keys: []KeySpec{Counted(1, 1, RO|Access)}, Run: zInterCard,
			Doc: zsetDoc("7.0.0", "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
				"Counts the members that all of several sorted sets have.",
				intArg("numkeys"), many(keyArg(0)), optional(Arg{Name: "limit", Type: ArgInteger, Token: "LIMIT"})),
		},
	}
}
