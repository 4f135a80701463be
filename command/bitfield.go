package command

import (
	"geocache/bitstr"
	"geocache/engine"
	"geocache/resp"
)

// bitFieldStep is one subcommand of BITFIELD.
type bitFieldStep struct {
	kind     bitFieldKind
	field    bitstr.Field
	at       int64 // in bits
	value    int64 // of SET and INCRBY
	overflow bitstr.Overflow
}

type bitFieldKind uint8

const (
	fieldGet bitFieldKind = iota
	fieldSet
	fieldIncrBy
)

// operands is how many arguments follow a subcommand's name.
func (k bitFieldKind) operands() int {
	if k == fieldGet {
		return 2
	}
	return 3
}

func bitFieldWord(arg []byte) (k bitFieldKind, ok bool) {
	switch {
	case isWord(arg, "GET"):
		return fieldGet, true
	case isWord(arg, "SET"):
		return fieldSet, true
	case isWord(arg, "INCRBY"):
		return fieldIncrBy, true
	}
	return 0, false
}

func overflowWord(arg []byte) (o bitstr.Overflow, ok bool) {
	switch {
	case isWord(arg, "WRAP"):
		return bitstr.Wrap, true
	case isWord(arg, "SAT"):
		return bitstr.Saturate, true
	case isWord(arg, "FAIL"):
		return bitstr.Fail, true
	}
	return 0, false
}

// bitFieldSteps reads the subcommands.
func (c *Ctx) bitFieldSteps() (steps []bitFieldStep, err resp.Error) {
	overflow := bitstr.Wrap
	for i := 2; i < len(c.Args); {
		left := c.Args[i+1:]
		if isWord(c.Args[i], "OVERFLOW") && len(left) > 0 {
			var ok bool
			if overflow, ok = overflowWord(left[0]); !ok {
				return nil, resp.ErrFieldOverflow
			}
			i += 2
			continue
		}
		kind, ok := bitFieldWord(c.Args[i])
		if !ok || len(left) < kind.operands() {
			return nil, resp.ErrSyntax
		}
		s := bitFieldStep{kind: kind, overflow: overflow}
		if s.field, ok = bitstr.ParseField(left[0]); !ok {
			return nil, resp.ErrFieldType
		}
		if s.at, err = c.bitOffset(left[1], On, s.field.Bits); err != "" {
			return nil, err
		}
		if kind != fieldGet {
			if s.value, ok = resp.ParseInt(left[2]); !ok {
				return nil, resp.ErrNotInt
			}
		}
		steps = append(steps, s)
		i += 1 + kind.operands()
	}
	return steps, ""
}

// bitFieldUse tells a BITFIELD that only reads from one that writes.
func bitFieldUse(args [][]byte) KeyFlags {
	for i := 2; i < len(args); {
		kind, ok := bitFieldWord(args[i])
		switch {
		case isWord(args[i], "OVERFLOW"):
			i += 2
		case !ok || kind != fieldGet:
			return RW | Access | Update
		default:
			i += 1 + kind.operands()
		}
	}
	return RO | Access
}

func bitFieldRO(c *Ctx) {
	steps, fail := c.bitFieldSteps()
	for i := range steps {
		if fail == "" && steps[i].kind != fieldGet {
			fail = resp.ErrFieldReadOnly
		}
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.bitFieldRead(steps)
}

// bitFieldRead answers subcommands that are all GET.
func (c *Ctx) bitFieldRead(steps []bitFieldStep) {
	val, _, err := c.Tx.GetString(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.Array(len(steps))
	for _, s := range steps {
		c.Out.Int(s.field.Get(val, s.at))
	}
}

// bitField writes all changes in one piece. As in Redis the string grows to hold
// the furthest field that is written, even where that write then fails.
func bitField(c *Ctx) {
	steps, fail := c.bitFieldSteps()
	if fail != "" {
		c.Fail(fail)
		return
	}
	from, end := int64(-1), int64(0)
	for _, s := range steps {
		if s.kind != fieldGet {
			end = max(end, s.field.End(s.at))
			if from < 0 || s.at/8 < from {
				from = s.at / 8
			}
		}
	}
	if from < 0 {
		c.bitFieldRead(steps)
		return
	}
	val, _, err := c.Tx.Peek(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	w := bitWindow{old: val}
	w.begin(from, end)
	grows, changed := end > int64(len(val)), false
	mark := c.Out.Len()
	c.Out.Array(len(steps))
	for _, s := range steps {
		answer, differs, ok := s.run(&w)
		changed = changed || ok && (differs || grows && s.kind != fieldGet)
		if ok {
			c.Out.Int(answer)
		} else {
			c.Out.Null()
		}
	}
	if !changed && !grows {
		c.Tx.MakeRaw(c.Key(1))
		return
	}
	if err := w.store(c); err != nil {
		c.Out.Truncate(mark)
		c.FailWith(err)
		return
	}
	if changed {
		c.Event(engine.EventString, "setbit", c.Key(1))
	}
}

// run does one subcommand. It returns its answer and whether a number is
// another than before; ok is false where it would overflow and must not.
func (s *bitFieldStep) run(w *bitWindow) (answer int64, differs, ok bool) {
	was := w.get(s.field, s.at)
	now := was
	switch s.kind {
	case fieldGet:
		return was, false, true
	case fieldSet:
		now, ok = s.field.Fit(s.value, s.overflow)
		answer = was
	case fieldIncrBy:
		now, ok = s.field.Add(was, s.value, s.overflow)
		answer = now
	}
	if ok {
		w.put(s.field, s.at, now)
	}
	return answer, now != was, ok
}

// bitWindow is a string of which a part, in bytes from from on, is being changed.
type bitWindow struct {
	old, part []byte
	from      int64
}

// begin takes the part that will be changed.
func (w *bitWindow) begin(from, end int64) {
	w.from, w.part = from, make([]byte, end-from)
	if from < int64(len(w.old)) {
		copy(w.part, w.old[from:])
	}
}

// get reads a field, changed or not.
func (w *bitWindow) get(f bitstr.Field, at int64) int64 {
	var around [9]byte // what 64 bits may touch
	first := at / 8
	if first < int64(len(w.old)) {
		copy(around[:], w.old[first:])
	}
	if skip := w.from - first; skip < 0 {
		if -skip < int64(len(w.part)) {
			copy(around[:], w.part[-skip:])
		}
	} else if skip < int64(len(around)) {
		copy(around[skip:], w.part)
	}
	return f.Get(around[:], at%8)
}

// put writes a field that lies in the part.
func (w *bitWindow) put(f bitstr.Field, at, v int64) { f.Put(w.part, at-w.from*8, v) }

// store makes the part the string's.
func (w *bitWindow) store(c *Ctx) error {
	_, err := c.Tx.SetRange(c.Key(1), int(w.from), w.part)
	return err
}
