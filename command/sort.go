package command

import (
	"bytes"
	"cmp"
	"slices"

	"geocache/engine"
	"geocache/op"
	"geocache/resp"
)

// sortRows are SORT and SORT_RO.
func sortRows() []Row {
	const complexity = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N)."
	pattern := func(name, token string) Arg {
		return withToken(token, optional(Arg{Name: name, Type: ArgPattern, Display: "pattern", KeySpec: 1}))
	}
	args := []Arg{
		keyArg(0), pattern("by-pattern", "BY"),
		withToken("LIMIT", optional(blockArg("limit", intArg("offset"), intArg("count")))),
		repeatedToken(pattern("get-pattern", "GET")),
		optional(oneOf("order", tokenArg("asc"), tokenArg("desc"))),
		optional(Arg{Name: "sorting", Type: ArgToken, Token: "ALPHA"}),
	}
	patterns := KeySpec{Flags: RO | Access, Unknown: true, Notes: "The keys that BY and GET lead to, which the elements name"}
	store := KeySpec{Flags: OW | Update, Unknown: true, Notes: "The key after STORE, which may stand anywhere"}
	return []Row{
		{
			Name: "sort", Arity: -2, Flags: Write | DenyOOM, ACL: CatSet | CatSortedSet | CatList | CatDangerous,
			Keys: []KeySpec{At(1, RO|Access), patterns, store}, MoreKeys: sortStoreKey, Wide: sortUsesPatterns, Run: sort,
			Doc: Doc{
				Summary: "Sorts the elements of a list, set or sorted set, and may store the result.",
				Since:   "1.0.0", Group: "generic", Complexity: complexity,
				Args: append(slices.Clone(args), withToken("STORE", optional(named(keyArg(2), "destination")))),
			},
		},
		{
			Name: "sort_ro", Arity: -2, Flags: ReadOnly, ACL: CatSet | CatSortedSet | CatList | CatDangerous,
			Keys: []KeySpec{At(1, RO|Access), patterns}, Wide: sortUsesPatterns, Run: sort,
			Doc: Doc{
				Summary: "Answers the sorted elements of a list, set or sorted set.",
				Since:   "7.0.0", Group: "generic", Complexity: complexity, Args: args,
			},
		},
	}
}

// sortOptions are what SORT is to do.
type sortOptions struct {
	desc, alpha   bool
	offset, count int64
	by            []byte // pattern; nil: the element itself
	unsorted      bool   // BY has no place for the element
	get           [][]byte
	store         int // index of the argument, 0 for none
}

// sortOptions reads the options. Where one does not fit, what was read of the
// others is good.
func (c *Ctx) sortOptions() (o sortOptions, err resp.Error) {
	o.count = -1
	for i := 2; i < len(c.Args); i++ {
		left := len(c.Args) - i - 1
		switch w := c.word(i); {
		case w == "asc":
			o.desc = false
		case w == "desc":
			o.desc = true
		case w == "alpha":
			o.alpha = true
		case w == "limit" && left >= 2:
			var ok1, ok2 bool
			o.offset, ok1 = resp.ParseInt(c.Args[i+1])
			if o.count, ok2 = resp.ParseInt(c.Args[i+2]); !ok1 || !ok2 {
				return o, resp.ErrNotInt
			}
			i += 2
		case w == "store" && left >= 1 && c.Row.Has(Write):
			i++
			o.store = i
		case w == "by" && left >= 1:
			i++
			o.by, o.unsorted = c.Args[i], bytes.IndexByte(c.Args[i], '*') < 0
		case w == "get" && left >= 1:
			i++
			o.get = append(o.get, c.Args[i])
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, ""
}

// sortStoreKey finds the destination, which no key spec can name.
func sortStoreKey(row *Row, args [][]byte) []KeyAt {
	c := Ctx{Args: args, Row: row}
	if o, _ := c.sortOptions(); o.store > 0 {
		return []KeyAt{{o.store, OW | Update}}
	}
	return nil
}

// sortUsesPatterns reports whether SORT reads keys that only the elements name.
func sortUsesPatterns(row *Row, args [][]byte) bool {
	c := Ctx{Args: args, Row: row}
	o, _ := c.sortOptions()
	named := func(pattern []byte) bool { return bytes.IndexByte(pattern, '*') >= 0 }
	return named(o.by) || slices.ContainsFunc(o.get, named)
}

// sorted is an element with what it is ranked by.
type sorted struct {
	elem  []byte
	score float64
	text  []byte // nil: there is none
}

func sort(c *Ctx) {
	o, fail := c.sortOptions()
	if fail != "" {
		c.Fail(fail)
		return
	}
	info, found := c.Tx.Info(c.Key(1))
	switch info.Type {
	case engine.TypeList, engine.TypeSet, engine.TypeZSet:
	default:
		if found {
			c.Fail(resp.ErrWrongType)
			return
		}
	}
	if o.unsorted && info.Type == engine.TypeSet && o.store > 0 {
		// A set has no order of its own that would be the same everywhere.
		o.unsorted, o.alpha, o.by = false, true, nil
	}
	if info.Type == engine.TypeZSet {
		c.Tx.ZSetGrow(c.Key(1)) // as Redis does, SORT_RO too
	}
	elems, start, end := c.sortElements(info.Type, &o)
	list := make([]sorted, len(elems))
	for i, e := range elems {
		list[i].elem = e
	}
	if !o.unsorted {
		if !c.sortScores(list, &o) {
			c.Fail(resp.ErrSortNotFloat)
			return
		}
		slices.SortStableFunc(list, o.compare)
	}
	list = list[start:end]
	if o.store > 0 {
		c.sortStore(list, &o)
		return
	}
	c.Out.Array(len(list) * max(len(o.get), 1))
	c.sortResults(list, &o, func(val []byte, found bool) {
		if found {
			c.Out.Bulk(val)
		} else {
			c.Out.Null()
		}
	})
}

// sortElements lists the elements under the key, and says which of them, once
// sorted, LIMIT leaves: from start to before end. What has an order and is not
// to be sorted is read only where it is wanted.
func (c *Ctx) sortElements(typ engine.Type, o *sortOptions) (elems [][]byte, start, end int) {
	k := c.Key(1)
	take := func(val []byte) bool {
		elems = append(elems, val)
		return !o.unsorted || typ == engine.TypeSet || len(elems) < end-start
	}
	switch typ {
	case engine.TypeList:
		l, _ := c.Tx.List(k)
		start, end = o.window(l.Len())
		walk(l.Len(), start, end, o, func(at int) { l.Ascend(at, take) }, func(at int) { l.Descend(at, take) })
	case engine.TypeZSet:
		z, _ := c.Tx.ZSet(k)
		start, end = o.window(z.Len())
		scored := func(member []byte, _ float64) bool { return take(member) }
		walk(z.Len(), start, end, o, func(at int) { z.Ascend(at, scored) }, func(at int) { z.Descend(at, scored) })
	case engine.TypeSet:
		s, _ := c.Tx.Set(k)
		s.Each(func(member, _ []byte) bool { return take(member) })
		start, end = o.window(s.Len())
		return elems, start, end
	default:
		c.Tx.Exists(k) // counts as a miss
	}
	if o.unsorted {
		return elems, 0, len(elems)
	}
	return elems, start, end
}

// walk visits what is wanted of n elements in order.
func walk(n, start, end int, o *sortOptions, up, down func(at int)) {
	switch {
	case n == 0, o.unsorted && start == end:
	case !o.unsorted:
		up(0)
	case o.desc:
		down(n - 1 - start)
	default:
		up(start)
	}
}

// window is what LIMIT leaves of n elements.
func (o *sortOptions) window(n int) (start, end int) {
	start = int(min(max(o.offset, 0), int64(n)))
	if o.count < 0 {
		return start, n
	}
	return start, start + int(min(o.count, int64(n-start)))
}

// sortScores finds what the elements are ranked by; false where that has to be
// a number and is not.
func (c *Ctx) sortScores(list []sorted, o *sortOptions) bool {
	all := true
	for i := range list {
		e := &list[i]
		val := e.elem
		if o.by != nil {
			var found bool
			if val, found = c.byPattern(o.by, e.elem); !found {
				continue
			}
		}
		if o.alpha {
			if o.store == 0 {
				val, _, _ = bytes.Cut(val, []byte{0}) // C compares what is only shown
			}
			e.text = val
			if val == nil {
				e.text = []byte{} // there is one, which is empty
			}
			continue
		}
		var ok bool
		if e.score, ok = sortScore(val); !ok {
			all = false
		}
	}
	return all
}

// sortScore reads a number as C's strtod does: nothing at all is 0, spaces may
// stand before it, and what follows a NUL does not count.
func sortScore(val []byte) (f float64, ok bool) {
	val, _, _ = bytes.Cut(val, []byte{0})
	if len(val) == 0 {
		return 0, true
	}
	return resp.ParseFloat(bytes.TrimLeft(val, " \t\n\v\f\r"))
}

func (o *sortOptions) compare(a, b sorted) int {
	var n int
	switch {
	case !o.alpha:
		if n = cmp.Compare(a.score, b.score); n == 0 {
			n = bytes.Compare(a.elem, b.elem)
		}
	case a.text == nil || b.text == nil:
		n = cmp.Compare(presence(a.text), presence(b.text))
	default:
		n = bytes.Compare(a.text, b.text)
	}
	if o.desc {
		return -n
	}
	return n
}

func presence(text []byte) int {
	if text == nil {
		return 0
	}
	return 1
}

// byPattern is the value that a pattern leads to from an element: the key that
// has the element in the place of "*", or its field named after "->". "#" is
// the element itself.
func (c *Ctx) byPattern(pattern, elem []byte) (val []byte, found bool) {
	if len(pattern) == 1 && pattern[0] == '#' {
		return elem, true
	}
	before, after, ok := bytes.Cut(pattern, []byte{'*'})
	if !ok {
		return nil, false
	}
	after, field, isField := bytes.Cut(after, []byte("->"))
	if isField && len(field) == 0 {
		after, isField = pattern[len(before)+1:], false
	}
	k := engine.Key{DB: c.DB, Name: slices.Concat(before, elem, after)}
	if isField {
		h, err := c.Tx.Hash(k)
		if h == nil || err != nil {
			return nil, false
		}
		return h.Get(field)
	}
	val, found, err := c.Tx.GetString(k)
	return val, found && err == nil
}

// sortResults hands over what is answered for each element.
func (c *Ctx) sortResults(list []sorted, o *sortOptions, take func(val []byte, found bool)) {
	for _, e := range list {
		if len(o.get) == 0 {
			take(e.elem, true)
		}
		for _, pattern := range o.get {
			take(c.byPattern(pattern, e.elem))
		}
	}
}

// sortStore makes the result a list; what is missing becomes an empty element.
func (c *Ctx) sortStore(list []sorted, o *sortOptions) {
	dst := c.Key(o.store)
	result := op.Coll{Type: op.TypeList}
	c.sortResults(list, o, func(val []byte, _ bool) {
		result.Elem[op.Main] = append(result.Elem[op.Main], op.Elem{Val: bytes.Clone(val)})
	})
	n := len(result.Elem[op.Main])
	if n == 0 {
		c.deleteKey(dst)
	} else {
		c.Tx.PutColl(dst, &result, engine.NoDeadline())
		c.Event(engine.EventList, "sortstore", dst)
	}
	c.Out.Int(int64(n))
}
