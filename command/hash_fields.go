package command

import (
	"geocache/engine"
	"geocache/resp"
)

// Fields with deadlines: the HEXPIRE family of Redis 7.4, and HGETEX, HSETEX
// and HGETDEL of 8.0. As in Redis all but HSETEX look at the key's type before
// they look at their arguments.

// maxFieldMs is the latest deadline that a field of Redis' can have, in
// milliseconds since the epoch.
const maxFieldMs = (1<<48 - 1) >> 2

// fieldTime reads a time that fields get, in units of unitMs, as milliseconds
// since the epoch.
func (c *Ctx) fieldTime(arg []byte, unitMs int64, from base) (int64, resp.Error) {
	n, ok := resp.ParseInt(arg)
	start := from.ms(c)
	switch {
	case !ok:
		return 0, resp.ErrNotInt
	case n < 0:
		return 0, resp.ErrExpireNegative
	case n > maxFieldMs/unitMs || n*unitMs > maxFieldMs-start:
		return 0, resp.InvalidExpire(c.Row.FullName())
	}
	return max(n*unitMs+start, 1), "" // 0 would be none
}

// fieldTTL is fieldTime for an option that takes a time.
func (c *Ctx) fieldTTL(form ttlForm, arg []byte) (int64, resp.Error) {
	unitMs, from := int64(1), fromNow
	if form&ttlSeconds != 0 {
		unitMs = 1000
	}
	if form&ttlAbsolute != 0 {
		from = fromEpoch
	}
	return c.fieldTime(arg, unitMs, from)
}

// fieldsAt reads FIELDS numfields field ... from argument i to the end. bad is
// the error for a number that is none, or not positive.
func (c *Ctx) fieldsAt(i int, bad resp.Error) (fields [][]byte, err resp.Error) {
	if i+1 >= len(c.Args) || c.word(i) != "fields" {
		return nil, resp.ErrFieldsMissing
	}
	n, ok := resp.ParseInt(c.Args[i+1])
	fields = c.Args[i+2:]
	switch {
	case !ok || n < 1:
		return nil, bad
	case n != int64(len(fields)):
		return nil, resp.ErrFieldsMatch
	}
	return fields, ""
}

// Answers about a field that has no value to show.
const (
	fieldUnmet   = 0
	fieldDone    = 1
	fieldDeleted = 2 // by a deadline that has passed
	fieldEndless = -1
	fieldMissing = -2
)

// changeFields calls step for each field of a hash, and then tells what the
// steps did: by event that deadlines were set, or that fields were deleted. A
// step gets the field's value and deadline as they are then, and replies.
func (c *Ctx) changeFields(k engine.Key, fields [][]byte, event string, step func(name, val []byte, deadlineMs int64, ok bool) (answer int64)) {
	c.Out.Array(len(fields))
	done, deleted := 0, 0
	for _, name := range fields {
		h, _ := c.Tx.HashToEdit(k) // anew, for steps change it; the type is known
		val, ms, ok := h.GetWithDeadline(name)
		switch step(name, val, ms, ok) {
		case fieldDone:
			done++
		case fieldDeleted:
			deleted++
		}
	}
	c.fieldEvents(k, done, deleted, event)
}

// fieldEvents tells that the deadlines of fields were set, or that fields were
// deleted.
func (c *Ctx) fieldEvents(k engine.Key, done, deleted int, event string) {
	switch {
	case deleted > 0:
		c.Event(engine.EventHash, "hdel", k)
		c.eventIfGone(k)
	case done > 0:
		c.Event(engine.EventHash, event, k)
	}
}

// setFieldDeadline gives a field that is there a deadline, or with 0 takes it
// away; one that has passed deletes the field.
func (c *Ctx) setFieldDeadline(k engine.Key, name []byte, ms int64) (answer int64) {
	if ms != 0 && ms <= c.NowMs() {
		return c.deleteField(k, name)
	}
	_ = c.Tx.HashSetDeadline(k, name, ms)
	return fieldDone
}

func (c *Ctx) deleteField(k engine.Key, name []byte) (answer int64) {
	_, _ = c.Tx.HashDelete(k, name)
	return fieldDeleted
}

// hExpire is the HEXPIRE family: argument 2 counts units of unitMs.
func hExpire(c *Ctx, unitMs int64, from base) {
	k := c.Key(1)
	if _, err := c.Tx.HashToEdit(k); err != nil {
		c.FailWith(err)
		return
	}
	next, fail := c.fieldTime(c.Args[2], unitMs, from)
	cond, at := expireIf(0), 3
	switch c.word(3) {
	case "nx":
		cond, at = ifNone, 4
	case "xx":
		cond, at = ifAny, 4
	case "gt":
		cond, at = ifGreater, 4
	case "lt":
		cond, at = ifLess, 4
	}
	var fields [][]byte
	if fail == "" {
		fields, fail = c.fieldsAt(at, resp.ErrNumFields)
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	c.changeFields(k, fields, "hexpire", func(name, _ []byte, present int64, ok bool) (answer int64) {
		switch {
		case !ok:
			answer = fieldMissing
		case cond.allows(present, next):
			answer = c.setFieldDeadline(k, name, next)
		}
		c.Out.Int(answer)
		return answer
	})
}

// fieldsOf reads FIELDS numfields field ... behind the key, once that was looked
// at with err. It has replied where it is not ok.
func (c *Ctx) fieldsOf(err error) (fields [][]byte, ok bool) {
	if err != nil {
		c.FailWith(err)
		return nil, false
	}
	fields, fail := c.fieldsAt(2, resp.ErrFieldsPositive)
	if fail != "" {
		c.Fail(fail)
	}
	return fields, fail == ""
}

// hDeadline is the HTTL family. Seconds are rounded up.
func hDeadline(c *Ctx, unitMs int64, from base) {
	h, err := c.Tx.Hash(c.Key(1))
	fields, ok := c.fieldsOf(err)
	if !ok {
		return
	}
	c.Out.Array(len(fields))
	for _, name := range fields {
		_, ms, ok := h.GetWithDeadline(name)
		switch {
		case !ok:
			c.Out.Int(fieldMissing)
		case ms == 0:
			c.Out.Int(fieldEndless)
		default:
			c.Out.Int((ms - from.ms(c) + unitMs - 1) / unitMs)
		}
	}
}

func hPersist(c *Ctx) {
	k := c.Key(1)
	_, err := c.Tx.HashToEdit(k)
	fields, ok := c.fieldsOf(err)
	if !ok {
		return
	}
	c.changeFields(k, fields, "hpersist", func(name, _ []byte, present int64, ok bool) (answer int64) {
		switch {
		case !ok:
			answer = fieldMissing
		case present == 0:
			answer = fieldEndless
		default:
			answer = c.setFieldDeadline(k, name, 0)
		}
		c.Out.Int(answer)
		return answer
	})
}

// hGetEX is HGETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST] FIELDS n field ...
func hGetEX(c *Ctx) {
	k := c.Key(1)
	if _, err := c.Tx.Hash(k); err != nil {
		c.FailWith(err)
		return
	}
	form, at := ttlWord(c.word(2))&(ttlTimes|ttlPersist), 2
	var next int64
	var fail resp.Error
	switch {
	case form == ttlPersist:
		at = 3
	case form != 0:
		at = 4
		next, fail = c.fieldTTL(form, c.Args[3])
	}
	var fields [][]byte
	if fail == "" {
		fields, fail = c.fieldsAt(at, resp.ErrFieldsPositive)
	}
	if fail != "" {
		c.Fail(fail)
		return
	}
	event := "hexpire"
	if form == ttlPersist {
		event = "hpersist"
	}
	c.changeFields(k, fields, event, func(name, val []byte, present int64, ok bool) (answer int64) {
		c.bulkOrNull(val, ok)
		if !ok || form == 0 || form == ttlPersist && present == 0 {
			return fieldUnmet
		}
		return c.setFieldDeadline(k, name, next)
	})
}

// hGetDel is HGETDEL key FIELDS n field ...
func hGetDel(c *Ctx) {
	k := c.Key(1)
	_, err := c.Tx.Hash(k)
	fields, ok := c.fieldsOf(err)
	if !ok {
		return
	}
	c.changeFields(k, fields, "", func(name, val []byte, _ int64, ok bool) (answer int64) {
		if c.bulkOrNull(val, ok); !ok {
			return fieldMissing
		}
		return c.deleteField(k, name)
	})
}

// setFieldsOptions are HSETEX's options.
type setFieldsOptions struct {
	cond  condKind // condNX for FNX, condXX for FXX
	form  ttlForm
	next  int64 // the deadline, where form takes a time
	pairs [][]byte
}

func (c *Ctx) parseSetFields() (o setFieldsOptions, err resp.Error) {
	for i := 2; i < len(c.Args); i++ {
		w := c.word(i)
		switch form := ttlWord(w) & (ttlTimes | ttlKeep); {
		case w == "fields":
			o.pairs, err = c.fieldPairs(i)
			return o, err
		case w == "fnx", w == "fxx":
			if o.cond != condNone {
				return o, resp.ErrFieldConditions
			}
			o.cond = condWord(w[1:])
		case form == 0:
			return o, resp.UnknownArgument(c.Args[i])
		case o.form != 0:
			return o, resp.ErrFieldExpirations
		case form == ttlKeep:
			o.form = form
		default:
			o.form = form
			if i++; i == len(c.Args) {
				return o, resp.ErrExpireMissing
			}
			if o.next, err = c.fieldTTL(form, c.Args[i]); err != "" {
				return o, err
			}
		}
	}
	return o, resp.WrongArity(c.Row.FullName())
}

// fieldPairs reads FIELDS numfields field value ... from argument i to the end.
func (c *Ctx) fieldPairs(i int) ([][]byte, resp.Error) {
	if i+3 >= len(c.Args) {
		return nil, resp.WrongArity(c.Row.FullName())
	}
	n, ok := resp.ParseInt(c.Args[i+1])
	pairs := c.Args[i+2:]
	switch {
	case !ok || n < 1:
		return nil, resp.ErrFieldsInvalid
	case len(pairs)%2 != 0 || n != int64(len(pairs)/2):
		return nil, resp.WrongArity(c.Row.FullName())
	}
	return pairs, ""
}

// hSetEX is HSETEX key [FNX|FXX] [EX s|...|KEEPTTL] FIELDS n field value ...: 1
// where all fields were set, 0 where none was because of the condition.
func hSetEX(c *Ctx) {
	o, fail := c.parseSetFields()
	if fail != "" {
		c.Fail(fail)
		return
	}
	k := c.Key(1)
	h, err := c.Tx.HashToEdit(k)
	if err == nil && !fieldsMeet(h, o.pairs, o.cond) {
		c.Out.Int(0)
		return
	}
	past := o.form&ttlTimes != 0 && o.next <= c.NowMs()
	change := engine.FieldChange{DeadlineMs: o.next, Keep: o.form == ttlKeep}
	if past {
		change.DeadlineMs = 0
	}
	if err == nil {
		_, err = c.Tx.HashSet(k, o.pairs, change)
	}
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Event(engine.EventHash, "hset", k)
	c.Out.Int(1)
	switch {
	case past:
		deleted, _ := c.Tx.HashDelete(k, everyOther(o.pairs)...)
		c.fieldEvents(k, 0, deleted, "")
	case o.form&ttlTimes != 0:
		c.fieldEvents(k, len(o.pairs)/2, 0, "hexpire")
	}
}

// fieldsMeet reports whether all fields of pairs are there (condXX), none is
// (condNX), or nobody asks.
func fieldsMeet(h *engine.Members, pairs [][]byte, cond condKind) bool {
	for i := 0; i < len(pairs) && cond != condNone; i += 2 {
		if h.Has(pairs[i]) != (cond == condXX) {
			return false
		}
	}
	return true
}

// everyOther is the first of each pair.
func everyOther(pairs [][]byte) [][]byte {
	firsts := make([][]byte, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		firsts = append(firsts, pairs[i])
	}
	return firsts
}
