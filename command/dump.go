package command

import (
	"errors"
	"math"

	"geocache/engine"
	"geocache/rdb"
	"geocache/rdbvalue"
	"geocache/resp"
)

// dumpRows are the commands that carry values from one server to another.
func dumpRows() []Row {
	restoreArgs := []Arg{
		keyArg(0), intArg("ttl"), strArg("serialized-value"),
		since("3.0.0", optional(tokenArg("replace"))), since("5.0.0", optional(tokenArg("absttl"))),
		since("5.0.0", withToken("IDLETIME", optional(intArg("seconds")))),
		since("5.0.0", withToken("FREQ", optional(intArg("frequency")))),
	}
	const restoreCost = "O(N*M), where N is the number of elements and M their average size; O(N*M*log(N)) for sorted sets."
	return []Row{
		{
			Name: "dump", Arity: 2, Flags: ReadOnly, ACL: CatKeyspace, Keys: One(RO | Access), Run: dump,
			Doc: Doc{
				Summary: "Returns the value of a key in the form that RESTORE takes.",
				Since:   "2.6.0", Group: "generic",
				Complexity: "O(N*M), where N is the number of elements and M their average size.",
				Tips:       []string{"nondeterministic_output"}, Args: []Arg{keyArg(0)},
			},
		},
		{
			Name: "restore", Arity: -4, Flags: Write | DenyOOM, ACL: CatKeyspace | CatDangerous, Keys: One(OW | Update), Run: restore,
			Doc: Doc{
				Summary: "Makes a key of what DUMP returned.",
				Since:   "2.6.0", Group: "generic", Complexity: restoreCost, Args: restoreArgs,
				History: []History{
					{"3.0.0", "Added the `REPLACE` modifier."},
					{"5.0.0", "Added the `ABSTTL` modifier."},
					{"5.0.0", "Added the `IDLETIME` and `FREQ` options."},
				},
			},
		},
	}
}

func dump(c *Ctx) {
	k := c.Key(1)
	if !c.Tx.Touch(k) {
		c.Out.Null()
		return
	}
	str, coll, _ := c.Tx.Content(k)
	v := rdbvalue.Of(str, coll)
	if s, isStream := v.(*rdb.Stream); isStream && c.Out.Compat() == resp.Compat70 {
		s.ActiveTimes = false // Redis 7.0 does not know them
	}
	payload, err := rdb.AppendDump(nil, v)
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Bulk(payload)
}

// restoreOptions are RESTORE's options. Numbers are -1 where not given.
type restoreOptions struct {
	replace, absolute bool
	idleSec, freq     int64
}

func (c *Ctx) restoreOptions() (o restoreOptions, err resp.Error) {
	o.idleSec, o.freq = -1, -1
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch w := c.word(i); {
		case w == "replace":
			o.replace = true
		case w == "absttl":
			o.absolute = true
		case w == "idletime" && more && o.freq == -1:
			i++
			if o.idleSec, err = numberWithin(c.Args[i], math.MaxInt64, resp.ErrRestoreIdle); err != "" {
				return o, err
			}
		case w == "freq" && more && o.idleSec == -1:
			i++
			if o.freq, err = numberWithin(c.Args[i], math.MaxUint8, resp.ErrRestoreFreq); err != "" {
				return o, err
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, ""
}

// numberWithin reads a number from 0 to most; outside is the error for others.
func numberWithin(arg []byte, most int64, outside resp.Error) (int64, resp.Error) {
	switch n, ok := resp.ParseInt(arg); {
	case !ok:
		return 0, resp.ErrNotInt
	case n < 0 || n > most:
		return 0, outside
	default:
		return n, ""
	}
}

// restore checks everything before it changes anything. A deadline that has
// passed leaves no key.
func restore(c *Ctx) {
	k := c.Key(1)
	o, fail := c.restoreOptions()
	if fail == "" && !o.replace && c.has(k) {
		fail = resp.ErrBusyKey
	}
	var deadline int64
	if fail == "" {
		deadline, fail = c.restoreDeadline(o)
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	v, err := rdb.ReadDump(c.Args[3])
	switch {
	case errors.Is(err, rdb.ErrDumpFooter):
		c.Fail(resp.ErrRestoreFooter)
		return
	case err != nil:
		c.Fail(resp.ErrRestoreFormat)
		return
	}
	if deadline != 0 && deadline <= c.NowMs() || !c.putValue(k, v, deadline) {
		c.deleteKey(k)
		c.Out.OK()
		return
	}
	c.Tx.Uncap(k)
	c.restoreUse(k, o)
	c.Event(engine.EventGeneric, "restore", k)
	c.Out.OK()
}

// restoreDeadline is the deadline that the ttl argument means, 0 for none.
func (c *Ctx) restoreDeadline(o restoreOptions) (int64, resp.Error) {
	ttl, err := numberWithin(c.Args[2], math.MaxInt64, resp.ErrRestoreTTL)
	if err != "" || ttl == 0 || o.absolute {
		return ttl, err
	}
	return ttl + c.NowMs(), "" // which overflows into the past, as in Redis
}

// putValue makes v, of a payload that was checked, the value of k; false where
// all of it has expired.
func (c *Ctx) putValue(k engine.Key, v rdb.Value, deadlineMs int64) bool {
	if s, isString := v.(rdb.String); isString {
		c.Tx.SetString(k, s, engine.DeadlineAt(deadlineMs))
		return true
	}
	coll, err := rdbvalue.Coll(v, c.NowMs())
	if err != nil || rdbvalue.Expired(coll) {
		return false
	}
	c.Tx.PutColl(k, coll, engine.DeadlineAt(deadlineMs))
	return true
}

// restoreUse takes over what RESTORE says of the key's use, where the policy
// ranks by it.
func (c *Ctx) restoreUse(k engine.Key, o restoreOptions) {
	const maxIdleMs = 1 << 40
	switch lfu := ranksByFrequency(c); {
	case lfu && o.freq >= 0:
		c.Tx.SetUse(k, 0, uint8(o.freq))
	case !lfu && o.idleSec >= 0:
		c.Tx.SetUse(k, min(o.idleSec, maxIdleMs/1000)*1000, 0)
	}
}
