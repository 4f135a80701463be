package command

import (
	"math"

	"geocache/engine"
	"geocache/resp"
)

// expireRows are the commands around deadlines.
func expireRows() []Row {
	set := func(name, introduced, summary string, amount Arg, unitMs int64, from base) Row {
		return Row{
			Name: name, Arity: -3, Flags: Write | Fast, ACL: CatKeyspace, Keys: One(RW | Update),
			Run: func(c *Ctx) { expire(c, unitMs, from) },
			Doc: Doc{
				Summary: summary, Since: introduced, Group: "generic", Complexity: "O(1)",
				History: []History{{"7.0.0", "The `NX`, `XX`, `GT` and `LT` options."}},
				Args: []Arg{
					keyArg(0), amount,
					optional(since("7.0.0", oneOf("condition", tokenArg("nx"), tokenArg("xx"), tokenArg("gt"), tokenArg("lt")))),
				},
			},
		}
	}
	get := func(name, since, summary string, unitMs int64, from base, doc Doc) Row {
		doc.Summary, doc.Since, doc.Group, doc.Complexity = summary, since, "generic", "O(1)"
		doc.Args = []Arg{keyArg(0)}
		return Row{
			Name: name, Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Keys: One(RO | Access),
			Run: func(c *Ctx) { deadline(c, unitMs, from) }, Doc: doc,
		}
	}
	ttl := Doc{
		Tips:    []string{"nondeterministic_output"},
		History: []History{{"2.8.0", "The reply -2 for a missing key."}},
	}
	return []Row{
		set("expire", "1.0.0", "Sets how many seconds a key has left.", intArg("seconds"), 1000, fromNow),
		set("pexpire", "2.6.0", "Sets how many milliseconds a key has left.", intArg("milliseconds"), 1, fromNow),
		set("expireat", "1.2.0", "Sets the Unix time in seconds at which a key ends.", Arg{Name: "unix-time-seconds", Type: ArgUnix}, 1000, fromEpoch),
		set("pexpireat", "2.6.0", "Sets the Unix time in milliseconds at which a key ends.", Arg{Name: "unix-time-milliseconds", Type: ArgUnix}, 1, fromEpoch),
		get("ttl", "1.0.0", "Returns how many seconds a key has left.", 1000, fromNow, ttl),
		get("pttl", "2.6.0", "Returns how many milliseconds a key has left.", 1, fromNow, ttl),
		get("expiretime", "7.0.0", "Returns the Unix time in seconds at which a key ends.", 1000, fromEpoch, Doc{}),
		get("pexpiretime", "7.0.0", "Returns the Unix time in milliseconds at which a key ends.", 1, fromEpoch, Doc{}),
		{
			Name: "persist", Arity: 2, Flags: Write | Fast, ACL: CatKeyspace, Keys: One(RW | Update), Run: persist,
			Doc: Doc{
				Summary: "Takes a key's deadline away.",
				Since:   "2.2.0", Group: "generic", Complexity: "O(1)",
				Args: []Arg{keyArg(0)},
			},
		},
	}
}

// base is what a time in a request or reply counts from.
type base uint8

const (
	fromEpoch base = iota
	fromNow
)

func (b base) ms(c *Ctx) int64 {
	if b == fromNow {
		return c.NowMs()
	}
	return 0
}

// expireIf is a set of EXPIRE's options.
type expireIf uint8

const (
	ifNone    expireIf = 1 << iota // NX
	ifAny                          // XX
	ifGreater                      // GT
	ifLess                         // LT
)

// expireIf reads the options from argument i on.
func (c *Ctx) expireIf(i int) (expireIf, resp.Error) {
	all := expireIf(0)
	for ; i < len(c.Args); i++ {
		switch c.word(i) {
		case "nx":
			all |= ifNone
		case "xx":
			all |= ifAny
		case "gt":
			all |= ifGreater
		case "lt":
			all |= ifLess
		default:
			return 0, resp.UnsupportedOption(c.Args[i])
		}
	}
	switch {
	case all&ifNone != 0 && all != ifNone:
		return 0, resp.ErrExpireNXConflict
	case all&ifGreater != 0 && all&ifLess != 0:
		return 0, resp.ErrExpireGTLTConflict
	}
	return all, ""
}

// allows reports whether a deadline may follow the present one, of which 0 says
// that there is none; that counts as later than any.
func (o expireIf) allows(presentMs, nextMs int64) bool {
	switch {
	case o&ifNone != 0 && presentMs != 0,
		o&ifAny != 0 && presentMs == 0,
		o&ifGreater != 0 && (presentMs == 0 || nextMs <= presentMs),
		o&ifLess != 0 && presentMs != 0 && nextMs >= presentMs:
		return false
	}
	return true
}

// expire is the EXPIRE family: argument 2 counts units of unitMs.
func expire(c *Ctx, unitMs int64, from base) {
	cond, err := c.expireIf(3)
	if err != "" {
		c.Fail(err)
		return
	}
	n, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	start := from.ms(c)
	if n > math.MaxInt64/unitMs || n < math.MinInt64/unitMs || n*unitMs > math.MaxInt64-start {
		c.Fail(resp.InvalidExpire(c.Row.FullName()))
		return
	}
	key, next := c.Key(1), n*unitMs+start
	present, ok := c.Tx.Deadline(key)
	switch {
	case !ok || !cond.allows(present, next):
		c.Out.Int(0)
		return
	case next <= c.NowMs():
		c.deleteKey(key)
	default:
		c.Tx.SetDeadline(key, next)
		c.Event(engine.EventGeneric, "expire", key)
	}
	c.Out.Int(1)
}

// deadline is the TTL family, which rounds to the nearest unit.
func deadline(c *Ctx, unitMs int64, from base) {
	if !c.Tx.Exists(c.Key(1)) {
		c.Out.Int(-2)
		return
	}
	ms, _ := c.Tx.Deadline(c.Key(1))
	if ms == 0 {
		c.Out.Int(-1)
		return
	}
	ms -= from.ms(c)
	n := ms / unitMs
	if ms%unitMs >= (unitMs+1)/2 && unitMs > 1 {
		n++
	}
	c.Out.Int(n)
}

func persist(c *Ctx) {
	if ms, _ := c.Tx.Deadline(c.Key(1)); ms == 0 {
		c.Out.Int(0)
		return
	}
	c.Tx.SetDeadline(c.Key(1), 0)
	c.Event(engine.EventGeneric, "persist", c.Key(1))
	c.Out.Int(1)
}
