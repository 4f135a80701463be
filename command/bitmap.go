package command

import (
	"strings"

	"geocache/bitstr"
	"geocache/engine"
	"geocache/resp"
)

// Strings as rows of bits; BITFIELD is in bitfield.go.

// bitOffset reads the place of a field of so many bits, which with hashes may
// count in fields ("#2"). A place beyond the largest string is refused.
func (c *Ctx) bitOffset(arg []byte, hashes Switch, bits uint8) (int64, resp.Error) {
	unit := int64(1)
	if hashes == On && len(arg) > 0 && arg[0] == '#' {
		arg, unit = arg[1:], int64(bits)
	}
	n, ok := resp.ParseInt(arg)
	limit := c.Host.Config().Load().ProtoMaxBulkLen
	if !ok || n < 0 || n > limit*8/unit || n*unit>>3 >= limit {
		return 0, resp.ErrBitOffset
	}
	return n * unit, ""
}

// oneBit is the field that SETBIT and GETBIT know.
var oneBit = bitstr.Field{Bits: 1}

// setBit writes only where it changes something: a bit, or the length. As in
// Redis the string becomes raw in any case.
func setBit(c *Ctx) {
	at, fail := c.bitOffset(c.Args[2], Off, 1)
	bit, ok := resp.ParseInt(c.Args[3])
	if fail == "" && (!ok || bit&^1 != 0) {
		fail = resp.ErrBit
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	val, _, err := c.Tx.Peek(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	w := bitWindow{old: val}
	was := w.get(oneBit, at)
	if was != bit || oneBit.End(at) > int64(len(val)) {
		w.begin(at/8, oneBit.End(at))
		w.put(oneBit, at, bit)
		if err := w.store(c); err != nil {
			c.FailWith(err)
			return
		}
		c.Event(engine.EventString, "setbit", c.Key(1))
	} else {
		c.Tx.MakeRaw(c.Key(1))
	}
	c.Out.Int(was)
}

func getBit(c *Ctx) {
	at, fail := c.bitOffset(c.Args[2], Off, 1)
	if fail != "" {
		c.Fail(fail)
		return
	}
	val, _, err := c.Tx.GetString(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Int(oneBit.Get(val, at))
}

// bitRange reads start, end and unit; without any the range is everything. As in
// Redis a wrong unit is noticed before or after a wrong end.
func bitRange(args [][]byte, first unitCheck) (r bitstr.Range, err resp.Error) {
	if len(args) == 0 {
		return bitstr.Whole(), ""
	}
	if len(args) > 3 {
		return r, resp.ErrSyntax
	}
	var startOK, unitOK bool
	endOK := true
	r.Start, startOK = resp.ParseInt(args[0])
	if r.OpenEnd = len(args) == 1; !r.OpenEnd {
		r.End, endOK = resp.ParseInt(args[1])
	}
	if unitOK = len(args) < 3 || isWord(args[2], "BYTE"); !unitOK && isWord(args[2], "BIT") {
		r.Unit, unitOK = bitstr.Bits, true
	}
	switch {
	case !startOK, !endOK && (unitOK || first == unitLast):
		return r, resp.ErrNotInt
	case !unitOK:
		return r, resp.ErrSyntax
	}
	return r, ""
}

type unitCheck uint8

const (
	unitLast unitCheck = iota
	unitBeforeEnd
)

// bits is the string under the first key for a command that reads a range of it,
// whose parsing ended with fail; ok is false where it has replied. Redis 7.0
// looks at the key first, and minds the range only where there is one.
func (c *Ctx) bits(fail resp.Error, missing int64) (val []byte, ok bool) {
	early := c.Out.Compat() == resp.Compat70
	if fail != "" && !early {
		c.Fail(fail)
		return nil, false
	}
	val, found, err := c.Tx.GetString(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
	case !found:
		c.Out.Int(missing)
	case fail != "":
		c.Fail(fail)
	default:
		return val, true
	}
	return nil, false
}

func bitCount(c *Ctx) {
	r, fail := bitRange(c.Args[2:], unitLast)
	if len(c.Args) == 3 {
		fail = resp.ErrSyntax
	}
	// Redis 7.0 sees that such a range is empty before it reads the unit.
	if len(c.Args) == 5 && fail == resp.ErrSyntax && r.Start < 0 && r.End < r.Start && c.Out.Compat() == resp.Compat70 {
		fail = ""
	}
	if val, ok := c.bits(fail, 0); ok {
		c.Out.Int(bitstr.Count(val, r))
	}
}

func bitPos(c *Ctx) {
	bit, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrNotInt)
		return
	case bit&^1 != 0:
		c.Fail(resp.ErrBitArgument)
		return
	}
	r, fail := bitRange(c.Args[3:], unitBeforeEnd)
	if val, ok := c.bits(fail, -bit); ok {
		c.Out.Int(bitstr.Position(val, uint8(bit), r))
	}
}

func bitOp(c *Ctx) {
	op, ok := bitstr.ParseOp(c.Args[1])
	if !ok {
		c.Fail(resp.ErrSyntax)
		return
	}
	switch least, most := op.Sources(); {
	case most > 0 && len(c.Args)-3 > most:
		c.Fail(resp.ErrBitOpNot)
		return
	case len(c.Args)-3 < least:
		c.Fail(resp.BitOpSources(strings.ToUpper(op.String())))
		return
	}
	sources := make([][]byte, 0, len(c.Args)-3)
	for i := 3; i < len(c.Args); i++ {
		val, _, err := c.Tx.GetString(c.Key(i))
		if err != nil {
			c.FailWith(err)
			return
		}
		sources = append(sources, val)
	}
	result := bitstr.Combine(op, nil, sources...)
	if len(result) == 0 {
		c.deleteKey(c.Key(2))
	} else {
		c.Tx.SetRaw(c.Key(2), result, engine.NoDeadline())
		c.Event(engine.EventString, "set", c.Key(2))
	}
	c.Out.Int(int64(len(result)))
}
