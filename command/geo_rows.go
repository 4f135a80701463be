package command

import "slices"

// geoRows are the commands for places.
func geoRows() []Row { return slices.Concat(geoPlaceRows(), geoSearchRows(), geoRadiusRows()) }

func geoDoc(since, complexity, summary string, args ...Arg) Doc {
	return Doc{Group: "geo", Since: since, Complexity: complexity, Summary: summary, Args: args}
}

func pointArgs() []Arg { return []Arg{doubleArg("longitude"), doubleArg("latitude")} }

func unitArg() Arg {
	unit := Arg{Name: "unit", Type: ArgOneOf}
	for _, name := range []string{"m", "km", "ft", "mi"} {
		unit.Args = append(unit.Args, Arg{Name: name, Type: ArgToken, Token: name})
	}
	return unit
}

func geoPlaceRows() []Row {
	const one = "O(log(N)) for each member requested, where N is the number of elements in the sorted set."
	return []Row{
		{
			Name: "geoadd", Arity: -5, Flags: Write | DenyOOM, ACL: CatGeo, Keys: One(RW | Update), Run: geoAdd,
			Doc: history(geoDoc("3.2.0", "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
				"Gives members of a geo set their places; the set and members are made if need be.",
				keyArg(0),
				since("6.2.0", optional(oneOf("condition", tokenArg("nx"), tokenArg("xx")))),
				since("6.2.0", optional(Arg{Name: "change", Type: ArgToken, Token: "CH"})),
				many(Arg{Name: "data", Type: ArgBlock, Args: append(pointArgs(), strArg("member"))})),
				History{"6.2.0", "Added the `CH`, `NX` and `XX` options."}),
		},
		{
			Name: "geodist", Arity: -4, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoDist,
			Doc: geoDoc("3.2.0", "O(log(N))", "Answers how far apart two members are.",
				keyArg(0), strArg("member1"), strArg("member2"), optional(unitArg())),
		},
		{
			Name: "geohash", Arity: -2, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoHash,
			Doc: geoDoc("3.2.0", one, "Answers the places of members as geohash texts.", keyArg(0), optional(many(strArg("member")))),
		},
		{
			Name: "geopos", Arity: -2, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoPos,
			Doc: geoDoc("3.2.0", one, "Answers longitudes and latitudes of members.", keyArg(0), optional(many(strArg("member")))),
		},
	}
}

// centerArg documents where a search is centered.
func centerArg() Arg {
	return oneOf("from",
		Arg{Name: "member", Type: ArgString, Token: "FROMMEMBER"},
		Arg{Name: "fromlonlat", Type: ArgBlock, Token: "FROMLONLAT", Args: pointArgs()})
}

// shapeArg documents the shape of a search around a center.
func shapeArg() Arg {
	return oneOf("by",
		Arg{Name: "circle", Type: ArgBlock, Args: []Arg{{Name: "radius", Type: ArgDouble, Token: "BYRADIUS"}, unitArg()}},
		Arg{Name: "box", Type: ArgBlock, Args: []Arg{{Name: "width", Type: ArgDouble, Token: "BYBOX"}, doubleArg("height"), unitArg()}})
}

func areaArg() Arg {
	return oneOf("area",
		Arg{Name: "around", Type: ArgBlock, Args: []Arg{centerArg(), shapeArg()}},
		since("9.0.0", Arg{Name: "polygon", Type: ArgBlock, Args: []Arg{
			{Name: "num-vertices", Type: ArgInteger, Token: "BYPOLYGON"},
			many(Arg{Name: "vertices", Type: ArgBlock, Args: pointArgs()}),
		}}))
}

func orderArg() Arg { return optional(oneOf("order", tokenArg("asc"), tokenArg("desc"))) }

// placeCountArg documents COUNT n [ANY].
func placeCountArg() Arg {
	return optional(Arg{Name: "count-block", Type: ArgBlock, Args: []Arg{
		{Name: "count", Type: ArgInteger, Token: "COUNT"}, since("6.2.0", optional(tokenArg("any"))),
	}})
}

func placeDetailArgs() []Arg {
	return []Arg{optional(tokenArg("withcoord")), optional(tokenArg("withdist")), optional(tokenArg("withhash"))}
}

func geoSearchRows() []Row {
	const cost = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape"
	changes := []History{
		{"7.0.0", "Added support for uppercase unit names."},
		{"9.0.0", "Added the `BYPOLYGON` option, as Valkey has it."},
	}
	return []Row{
		{
			Name: "geosearch", Arity: -7, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoSearch,
			Doc: history(geoDoc("6.2.0", cost, "Answers the members within a circle, a box or a polygon.",
				slices.Concat([]Arg{keyArg(0), areaArg(), orderArg(), placeCountArg()}, placeDetailArgs())...), changes...),
		},
		{
			Name: "geosearchstore", Arity: -8, Flags: Write | DenyOOM, ACL: CatGeo, Keys: []KeySpec{At(1, OW|Update), At(2, RO|Access)}, Run: geoSearchStore,
			Doc: history(geoDoc("6.2.0", cost, "Makes a sorted set of the members within a circle, a box or a polygon.",
				named(keyArg(0), "destination"), named(keyArg(1), "source"), areaArg(), orderArg(), placeCountArg(),
				optional(tokenArg("storedist"))), changes...),
		},
	}
}

// geoRadiusRows are what GEOSEARCH and GEOSEARCHSTORE do as well.
func geoRadiusRows() []Row {
	const (
		cost     = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index."
		search   = "`GEOSEARCH` with the "
		orStore  = "`GEOSEARCH` and `GEOSEARCHSTORE` with the "
		byRadius = "`BYRADIUS` argument"
		byMember = "`BYRADIUS` and `FROMMEMBER` arguments"
	)
	var (
		newAny  = History{"6.2.0", "Added the `ANY` option for `COUNT`."}
		newCase = History{"7.0.0", "Added support for uppercase unit names."}
	)
	store := since("3.2.0", optional(oneOf("store",
		Arg{Name: "storekey", Type: ArgKey, Token: "STORE", KeySpec: 1},
		Arg{Name: "storedistkey", Type: ArgKey, Token: "STOREDIST", KeySpec: 2})))
	args := func(center []Arg, more ...Arg) []Arg {
		return slices.Concat([]Arg{keyArg(0)}, center, []Arg{doubleArg("radius"), unitArg()}, placeDetailArgs(),
			[]Arg{placeCountArg(), orderArg()}, more)
	}
	stored := func(from int) []KeySpec {
		return []KeySpec{
			At(1, RO|Access),
			{Flags: OW | Update, Keyword: "STORE", Index: from, Step: 1},
			{Flags: OW | Update, Keyword: "STOREDIST", Index: from, Step: 1},
		}
	}
	member := []Arg{strArg("member")}
	return []Row{
		{
			Name: "georadius", Arity: -6, Flags: Write | DenyOOM, ACL: CatGeo, Keys: stored(6), Run: geoRadius,
			Doc: deprecated(history(geoDoc("3.2.0", cost, "Answers the members within a distance of a point, or makes a sorted set of them.",
				args(pointArgs(), store)...), newAny, newCase), "6.2.0", orStore+byRadius),
		},
		{
			Name: "georadius_ro", Arity: -6, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoRadiusRO,
			Doc: deprecated(history(geoDoc("3.2.10", cost, "Answers the members within a distance of a point.",
				args(pointArgs())...), newAny, newCase), "6.2.0", search+byRadius),
		},
		{
			Name: "georadiusbymember", Arity: -5, Flags: Write | DenyOOM, ACL: CatGeo, Keys: stored(5), Run: geoRadiusByMember,
			Doc: deprecated(history(geoDoc("3.2.0", cost, "Answers the members within a distance of a member, or makes a sorted set of them.",
				args(member, store)...), newAny, newCase), "6.2.0", orStore+byMember),
		},
		{
			Name: "georadiusbymember_ro", Arity: -5, Flags: ReadOnly, ACL: CatGeo, Keys: One(RO | Access), Run: geoRadiusByMemberRO,
			Doc: deprecated(history(geoDoc("3.2.10", cost, "Answers the members within a distance of a member.",
				args(member)...), newAny, newCase), "6.2.0", search+byMember),
		},
	}
}
