package command

import "slices"

// listRows are the list commands.
func listRows() []Row {
	return slices.Concat(listEndRows(), listReadRows(), listEditRows(), listMoveRows(), listBlockingRows())
}

func listDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "list", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

// endArg documents the choice of a list's end.
func endArg(name string) Arg { return oneOf(name, tokenArg("left"), tokenArg("right")) }

// countArg documents COUNT n where it may be left out.
func countArg(name string) Arg {
	return optional(Arg{Name: name, Type: ArgInteger, Token: "COUNT"})
}

func timeoutArg() Arg { return Arg{Name: "timeout", Type: ArgDouble} }

// movedKeys are the keys of LMOVE and its kin, movedArgs their documentation.
func movedKeys() []KeySpec { return []KeySpec{At(1, RW|Access|Delete), At(2, RW|Insert)} }

func movedArgs(more ...Arg) []Arg {
	return append([]Arg{named(keyArg(0), "source"), named(keyArg(1), "destination")}, more...)
}

func listEndRows() []Row {
	const (
		perPushed = "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
		perPopped = "O(N) where N is the number of elements returned"
	)
	push := func(name, since, more, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatList, Keys: One(RW | Insert), Run: run,
			Doc: history(listDoc(since, perPushed, summary, keyArg(0), many(strArg("element"))),
				History{more, "Accepts multiple `element` arguments."}),
		}
	}
	pop := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -2, Flags: Write | Fast, ACL: CatList, Keys: One(RW | Access | Delete), Run: run,
			Doc: history(listDoc("1.0.0", perPopped, summary, keyArg(0), since("6.2.0", optional(intArg("count")))),
				History{"6.2.0", "Added the `count` argument."}),
		}
	}
	return []Row{
		push("lpush", "1.0.0", "2.4.0", "Puts elements at the head of a list, which is made if need be.", lPush),
		push("rpush", "1.0.0", "2.4.0", "Puts elements at the tail of a list, which is made if need be.", rPush),
		push("lpushx", "2.2.0", "4.0.0", "Puts elements at the head of a list that exists.", lPushX),
		push("rpushx", "2.2.0", "4.0.0", "Puts elements at the tail of a list that exists.", rPushX),
		pop("lpop", "Takes elements off the head of a list. A list that is left empty goes.", lPop),
		pop("rpop", "Takes elements off the tail of a list. A list that is left empty goes.", rPop),
		{
			Name: "lmpop", Arity: -4, Flags: Write, ACL: CatList, Keys: []KeySpec{Counted(1, 1, RW|Access|Delete)}, Run: lMPop,
			Doc: listDoc("7.0.0", "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
				"Takes elements off an end of the first list that is there. A list that is left empty goes.",
				intArg("numkeys"), many(keyArg(0)), endArg("where"), countArg("count")),
		},
	}
}

func listReadRows() []Row {
	return []Row{
		{
			Name: "llen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatList, Keys: One(RO), Run: lLen,
			Doc: listDoc("1.0.0", "O(1)", "Answers the length of a list.", keyArg(0)),
		},
		{
			Name: "lrange", Arity: 4, Flags: ReadOnly, ACL: CatList, Keys: One(RO | Access), Run: lRange,
			Doc: listDoc("1.0.0", "O(log(L)+N) where L is the length of the list and N is the number of elements in the range.",
				"Answers the elements in a range of a list.", keyArg(0), intArg("start"), intArg("stop")),
		},
		{
			Name: "lindex", Arity: 3, Flags: ReadOnly, ACL: CatList, Keys: One(RO | Access), Run: lIndex,
			Doc: listDoc("1.0.0", "O(log(N)) where N is the length of the list.",
				"Answers the element at an index of a list.", keyArg(0), intArg("index")),
		},
		{
			Name: "lpos", Arity: -3, Flags: ReadOnly, ACL: CatList, Keys: One(RO | Access), Run: lPos,
			Doc: listDoc("6.0.6", "O(N) where N is the number of elements that are looked at.",
				"Answers the indexes at which an element stands in a list.", keyArg(0), strArg("element"),
				optional(Arg{Name: "rank", Type: ArgInteger, Token: "RANK"}), countArg("num-matches"),
				optional(Arg{Name: "len", Type: ArgInteger, Token: "MAXLEN"})),
		},
	}
}

func listEditRows() []Row {
	return []Row{
		{
			Name: "lset", Arity: 4, Flags: Write | DenyOOM, ACL: CatList, Keys: One(RW | Update), Run: lSet,
			Doc: listDoc("1.0.0", "O(log(N)) where N is the length of the list.",
				"Replaces the element at an index of a list.", keyArg(0), intArg("index"), strArg("element")),
		},
		{
			Name: "linsert", Arity: 5, Flags: Write | DenyOOM, ACL: CatList, Keys: One(RW | Insert), Run: lInsert,
			Doc: listDoc("2.2.0", "O(N) where N is the number of elements before the pivot.",
				"Puts an element before or after another one of a list.", keyArg(0),
				oneOf("where", tokenArg("before"), tokenArg("after")), strArg("pivot"), strArg("element")),
		},
		{
			Name: "lrem", Arity: 4, Flags: Write, ACL: CatList, Keys: One(RW | Delete), Run: lRem,
			Doc: listDoc("1.0.0", "O(N+M*log(N)) where N is the length of the list and M is the number of elements removed.",
				"Removes elements equal to the given one from a list. A list that is left empty goes.",
				keyArg(0), intArg("count"), strArg("element")),
		},
		{
			Name: "ltrim", Arity: 4, Flags: Write, ACL: CatList, Keys: One(RW | Delete), Run: lTrim,
			Doc: listDoc("1.0.0", "O(log(L)+N) where L is the length of the list and N is the number of elements removed.",
				"Removes what lies outside a range of a list. A list that is left empty goes.",
				keyArg(0), intArg("start"), intArg("stop")),
		},
	}
}

func listMoveRows() []Row {
	return []Row{
		{
			Name: "lmove", Arity: 5, Flags: Write | DenyOOM, ACL: CatList, Keys: movedKeys(), Run: lMove,
			Doc: listDoc("6.2.0", "O(1)",
				"Takes an element off an end of a list and puts it at an end of another. A list that is left empty goes.",
				movedArgs(endArg("wherefrom"), endArg("whereto"))...),
		},
		{
			Name: "rpoplpush", Arity: 3, Flags: Write | DenyOOM, ACL: CatList, Keys: movedKeys(), Run: rPopLPush,
			Doc: deprecated(listDoc("1.2.0", "O(1)",
				"Takes the last element off a list and puts it first into another. A list that is left empty goes.", movedArgs()...),
				"6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
		},
		{
			Name: "lmovem", Arity: -5, Flags: Write | DenyOOM, ACL: CatList, Keys: movedKeys(), Run: lMoveM,
			Doc: listDoc("8.10.0", "O(N) where N is the number of elements moved.",
				"Moves several elements from an end of a list to an end of another. A list that is left empty goes.",
				movedArgs(endArg("wherefrom"), endArg("whereto"), howManyArg())...),
		},
	}
}

// howManyArg documents what LMOVEM moves, and in which order.
func howManyArg() Arg {
	return optional(Arg{Name: "how-many", Type: ArgBlock, Args: []Arg{
		oneOf("selector", Arg{Name: "count", Type: ArgInteger, Token: "COUNT"}, Arg{Name: "exactly", Type: ArgInteger, Token: "EXACTLY"}),
		oneOf("ordering", tokenArg("obo"), tokenArg("bulk")),
	}})
}

func listBlockingRows() []Row {
	double := History{"6.0.0", "`timeout` is interpreted as a double instead of an integer."}
	pop := func(name, summary string, run func(*Ctx)) Row {
		return Row{
			Name: name, Arity: -3, Flags: Write | Blocking, ACL: CatList,
			Keys: []KeySpec{{Flags: RW | Access | Delete, Index: 1, Last: -2, Step: 1}}, Run: run,
			Doc: history(listDoc("2.0.0", "O(N) where N is the number of provided keys.", summary, many(keyArg(0)), timeoutArg()), double),
		}
	}
	return []Row{
		pop("blpop", "Takes the first element off the first list that is there, and waits for one if need be.", bLPop),
		pop("brpop", "Takes the last element off the first list that is there, and waits for one if need be.", bRPop),
		{
			Name: "blmpop", Arity: -5, Flags: Write | Blocking, ACL: CatList, Keys: []KeySpec{Counted(2, 1, RW|Access|Delete)}, Run: bLMPop,
			Doc: listDoc("7.0.0", "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
				"Takes elements off an end of the first list that is there, and waits for one if need be.",
				timeoutArg(), intArg("numkeys"), many(keyArg(0)), endArg("where"), countArg("count")),
		},
		{
			Name: "blmove", Arity: 6, Flags: Write | DenyOOM | Blocking, ACL: CatList, Keys: movedKeys(), Run: bLMove,
			Doc: listDoc("6.2.0", "O(1)", "Moves an element from an end of a list to an end of another, and waits for one if need be.",
				movedArgs(endArg("wherefrom"), endArg("whereto"), timeoutArg())...),
		},
		{
			Name: "brpoplpush", Arity: 4, Flags: Write | DenyOOM | Blocking, ACL: CatList, Keys: movedKeys(), Run: bRPopLPush,
			Doc: deprecated(history(listDoc("2.2.0", "O(1)",
				"Takes the last element off a list and puts it first into another, and waits for one if need be.",
				movedArgs(timeoutArg())...), double), "6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
		},
		{
			Name: "blmovem", Arity: -6, Flags: Write | DenyOOM | Blocking, ACL: CatList, Keys: movedKeys(), Run: bLMoveM,
			Doc: listDoc("8.10.0", "O(N) where N is the number of elements moved.",
				"Moves several elements from an end of a list to an end of another, and waits until there are enough if need be.",
				movedArgs(endArg("wherefrom"), endArg("whereto"), timeoutArg(), howManyArg())...),
		},
	}
}
