package command

import (
	"bytes"
	"errors"

	"geocache/engine"
	"geocache/hll"
	"geocache/resp"
)

// hyperLogLogRows are the commands that estimate how many different elements
// were seen.
func hyperLogLogRows() []Row {
	doc := func(complexity, summary string, args ...Arg) Doc {
		return Doc{Summary: summary, Since: "2.8.9", Group: "hyperloglog", Complexity: complexity, Args: args}
	}
	return []Row{
		{
			Name: "pfadd", Arity: -2, Flags: Write | DenyOOM | Fast, ACL: CatHyperLogLog, Keys: One(RW | Insert), Run: pfAdd,
			Doc: doc("O(1) for each element.", "Counts elements in a HyperLogLog, which is made where there is none.",
				keyArg(0), optional(many(strArg("element")))),
		},
		{
			Name: "pfcount", Arity: -2, Flags: ReadOnly | MayReplicate, ACL: CatHyperLogLog,
			Keys: []KeySpec{From(1, 1, RW|Access)}, Run: pfCount,
			Doc: doc("O(1) for one key; O(N) where N is the number of keys, with a greater constant, for several.",
				"Estimates how many different elements the HyperLogLogs have seen together.", many(keyArg(0))),
		},
		{
			Name: "pfmerge", Arity: -2, Flags: Write | DenyOOM, ACL: CatHyperLogLog,
			Keys: []KeySpec{At(1, RW|Access|Insert), From(2, 1, RO|Access)}, Run: pfMerge,
			Doc: doc("O(N) where N is the number of keys, with a great constant.", "Merges HyperLogLogs into the first one.",
				named(keyArg(0), "destkey"), optional(many(named(keyArg(1), "sourcekey")))),
		},
		{
			Name: "pfdebug", Arity: 3, Flags: Write | DenyOOM | Admin, ACL: CatHyperLogLog,
			Keys: []KeySpec{At(2, RW|Access)}, Run: pfDebug,
			Doc: doc("N/A", "Looks into a HyperLogLog, for tests.", strArg("subcommand"), keyArg(0)),
		},
		{
			Name: "pfselftest", Arity: 1, Flags: Admin | Control, ACL: CatHyperLogLog, Run: pfSelfTest,
			Doc: doc("N/A", "Tests the implementation of HyperLogLogs."),
		},
	}
}

// failHLL replies with what package hll refused, or the engine.
func (c *Ctx) failHLL(err error) {
	switch {
	case errors.Is(err, hll.ErrInvalid):
		c.Fail(resp.ErrNotHyperLogLog)
	case errors.Is(err, hll.ErrCorrupt):
		c.Fail(resp.ErrHyperLogLogBad)
	case errors.Is(err, hll.ErrNotSparse):
		c.Fail(resp.ErrHyperLogLogForm)
	default:
		c.FailWith(err)
	}
}

// sketch is the HyperLogLog under k, which must not be changed, and whether it is
// there.
func (c *Ctx) sketch(k engine.Key) (b []byte, found bool, err error) {
	val, found, err := c.Tx.Peek(k)
	if err != nil || !found {
		return nil, false, err
	}
	if err := hll.Check(val); err != nil {
		return nil, false, err
	}
	return val, true, nil
}

func (c *Ctx) sparseLimit() int { return int(c.Host.Config().Load().HLLSparseMaxBytes) }

func pfAdd(c *Ctx) {
	k := c.Key(1)
	b, found, err := c.sketch(k)
	if err != nil {
		c.failHLL(err)
		return
	}
	changed, elems := !found, c.Args[2:]
	if found {
		for len(elems) > 0 && hll.Covers(b, elems[0]) {
			elems = elems[1:]
		}
		if len(elems) == 0 {
			c.Tx.MakeRaw(k)
			c.Out.Int(0)
			return
		}
		b = bytes.Clone(b)
	} else {
		b = hll.New()
		hll.Invalidate(b)
	}
	var raised []byte // for siblings
	if c.Tx.Merging() {
		raised = hll.New()
	}
	for _, elem := range elems {
		var higher bool
		if b, higher, err = hll.Add(b, elem, c.sparseLimit()); err != nil {
			c.failHLL(err)
			return
		}
		if higher && raised != nil {
			raised, _, _ = hll.Add(raised, elem, c.sparseLimit()) // which has no damage to refuse
		}
		changed = changed || higher
	}
	if !changed {
		c.Tx.MakeRaw(k)
		c.Out.Int(0)
		return
	}
	c.Tx.RaiseSketch(k, b, raised)
	c.Event(engine.EventString, "pfadd", k)
	c.Out.Int(1)
}

// pfCount keeps the estimate of a single key in its value, as Redis does: asked
// again it costs nothing until something is added. Between regions that would be
// a SET, which takes away what others add meanwhile.
func pfCount(c *Ctx) {
	if len(c.Args) > 2 {
		c.pfCountUnion()
		return
	}
	val, found, err := c.Tx.GetString(c.Key(1))
	if err == nil && found {
		err = hll.Check(val)
	}
	switch {
	case err != nil:
		c.failHLL(err)
		return
	case !found:
		c.Out.Int(0)
		return
	}
	card, known := hll.Cached(val)
	if known {
		c.Tx.MakeRaw(c.Key(1))
	} else {
		if card, err = hll.Count(val); err != nil {
			c.failHLL(err)
			return
		}
		if !c.Tx.Merging() {
			b := bytes.Clone(val)
			hll.SetCached(b, card)
			c.Tx.Rewrite(c.Key(1), b)
		}
	}
	c.Out.Int(int64(card))
}

func (c *Ctx) pfCountUnion() {
	var u hll.Union
	for i := 1; i < len(c.Args); i++ {
		val, found, err := c.Tx.GetString(c.Key(i))
		if err == nil && found {
			err = u.Merge(val)
		}
		if err != nil {
			c.failHLL(err)
			return
		}
	}
	c.Out.Int(int64(u.Count()))
}

// pfMerge merges into the first key, which counts as a source too.
func pfMerge(c *Ctx) {
	var u, raised hll.Union
	for i := 1; i < len(c.Args); i++ {
		val, found, err := c.Tx.Peek(c.Key(i))
		if err == nil && found {
			err = u.Merge(val)
			if i > 1 && err == nil && c.Tx.Merging() {
				err = raised.Merge(val)
			}
		}
		if err != nil {
			c.failHLL(err)
			return
		}
	}
	k := c.Key(1)
	b, found, err := c.sketch(k)
	if err == nil {
		if b = bytes.Clone(b); !found {
			b = hll.New()
		}
		b, err = u.StoreIn(b, c.sparseLimit())
	}
	if err != nil {
		c.failHLL(err)
		return
	}
	var news []byte // for siblings
	if c.Tx.Merging() {
		news = raised.Encode(c.sparseLimit())
	}
	c.Tx.RaiseSketch(k, b, news)
	c.Event(engine.EventString, "pfadd", k)
	c.Out.OK()
}

func pfDebug(c *Ctx) {
	k := c.Key(2)
	b, found, err := c.sketch(k)
	switch {
	case err != nil:
		c.failHLL(err)
		return
	case !found:
		c.Fail(resp.ErrNoSuchSketch)
		return
	}
	c.Tx.MakeRaw(k)
	switch c.word(1) {
	case "getreg":
		if b, _, err = c.makeDense(k, b); err == nil {
			c.Out.Array(hll.Registers)
			for i := range hll.Registers {
				c.Out.Int(int64(hll.Register(b, i)))
			}
		}
	case "decode":
		var text []byte
		if text, err = hll.Decode(nil, b); err == nil {
			c.Out.Bulk(text)
		}
	case "encoding":
		c.Out.SimpleString(hll.EncodingOf(b).String())
	case "todense":
		var was hll.Encoding
		if _, was, err = c.makeDense(k, b); err == nil {
			c.Out.Int(int64(was - hll.Dense))
		}
	default:
		err = resp.UnknownSketchCommand(c.Args[1])
	}
	if err != nil {
		c.failHLL(err)
	}
}

// makeDense gives the HyperLogLog under k the dense encoding, and returns which
// it had.
func (c *Ctx) makeDense(k engine.Key, b []byte) (dense []byte, was hll.Encoding, err error) {
	was = hll.EncodingOf(b)
	if was == hll.Dense {
		return b, was, nil
	}
	if dense, err = hll.ToDense(b); err == nil {
		c.Tx.RaiseSketch(k, dense, dense)
	}
	return dense, was, err
}

// pfSelfTest runs beside everything else, as it takes part of a second; inside
// EXEC everything waits for it.
func pfSelfTest(c *Ctx) {
	test := func() error {
		if err := hll.SelfTest(); err != nil {
			return resp.SelfTestFailed(err.Error())
		}
		return nil
	}
	if c.InExec == Off {
		awaitOK(c, test)
	} else if err := test(); err != nil {
		c.FailWith(err)
	} else {
		c.Out.OK()
	}
}
