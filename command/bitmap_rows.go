package command

import "geocache/bitstr"

// bitmapRows are the commands for strings as rows of bits.
func bitmapRows() []Row {
	return []Row{
		{
			Name: "setbit", Arity: 4, Flags: Write | DenyOOM, ACL: CatBitmap, Keys: One(RW | Access | Update), Run: setBit,
			Doc: bitmapDoc("2.2.0", "O(1)", "Sets or clears one bit of a string and answers what it was.",
				keyArg(0), intArg("offset"), intArg("value")),
		},
		{
			Name: "getbit", Arity: 3, Flags: ReadOnly | Fast, ACL: CatBitmap, Keys: One(RO | Access), Run: getBit,
			Doc: bitmapDoc("2.2.0", "O(1)", "Answers one bit of a string.", keyArg(0), intArg("offset")),
		},
		{
			Name: "bitcount", Arity: -2, Flags: ReadOnly, ACL: CatBitmap, Keys: One(RO | Access), Run: bitCount,
			Doc: history(bitmapDoc("2.6.0", "O(N)", "Counts the bits that are set in a string, or in a part of it.",
				keyArg(0), optional(blockArg("range", intArg("start"), intArg("end"), bitUnitArg()))),
				History{"7.0.0", "Added the `BYTE|BIT` option."}),
		},
		{
			Name: "bitpos", Arity: -3, Flags: ReadOnly, ACL: CatBitmap, Keys: One(RO | Access), Run: bitPos,
			Doc: history(bitmapDoc("2.8.7", "O(N)", "Finds the first set or clear bit of a string, or of a part of it.",
				keyArg(0), intArg("bit"), optional(blockArg("range", intArg("start"),
					optional(blockArg("end-unit-block", intArg("end"), bitUnitArg()))))),
				History{"7.0.0", "Added the `BYTE|BIT` option."}),
		},
		{
			Name: "bitop", Arity: -4, Flags: Write | DenyOOM, ACL: CatBitmap,
			Keys: []KeySpec{At(2, OW|Update), From(3, 1, RO|Access)}, Run: bitOp,
			Doc: history(bitmapDoc("2.6.0", "O(N)", "Combines strings bit by bit and stores the result.",
				oneOf("operation", bitOperators()...), named(keyArg(0), "destkey"), many(keyArg(1))),
				History{"8.2.0", "Added the `DIFF`, `DIFF1`, `ANDOR` and `ONE` operations."}),
		},
		{
			Name: "bitfield", Arity: -2, Flags: Write | DenyOOM, ACL: CatBitmap,
			Keys: One(RW | Update | Access | VariableFlags), VaryKeys: bitFieldUse, Run: bitField,
			Doc: bitmapDoc("3.2.0", "O(1) for each subcommand specified",
				"Reads and changes integers of any width anywhere in a string.",
				keyArg(0), optional(many(oneOf("operation", bitFieldGetArg(), blockArg("write",
					optional(withToken("OVERFLOW", oneOf("overflow-block", tokenArg("wrap"), tokenArg("sat"), tokenArg("fail")))),
					oneOf("write-operation",
						withToken("SET", blockArg("set-block", strArg("encoding"), intArg("offset"), intArg("value"))),
						withToken("INCRBY", blockArg("incrby-block", strArg("encoding"), intArg("offset"), intArg("increment"))))))))),
		},
		{
			Name: "bitfield_ro", Arity: -2, Flags: ReadOnly | Fast, ACL: CatBitmap, Keys: One(RO | Access), Run: bitFieldRO,
			Doc: bitmapDoc("6.0.0", "O(1) for each subcommand specified", "Reads integers of any width anywhere in a string.",
				keyArg(0), repeatedToken(optional(bitFieldGetArg()))),
		},
	}
}

func bitmapDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Summary: summary, Since: since, Group: "bitmap", Complexity: complexity, Args: args}
}

func bitUnitArg() Arg {
	return since("7.0.0", optional(oneOf("unit", tokenArg("byte"), tokenArg("bit"))))
}

func bitFieldGetArg() Arg {
	return withToken("GET", blockArg("get-block", strArg("encoding"), intArg("offset")))
}

// bitOperators are the words for BITOP's operators, in the order of bitstr.
func bitOperators() []Arg {
	var list []Arg
	for op := bitstr.And; op <= bitstr.AndOr; op++ {
		a := tokenArg(op.String())
		if op >= bitstr.One {
			a = since("8.2.0", a)
		}
		list = append(list, a)
	}
	return list
}
