package command

import (
	"math"

	"geocache/engine"
	"geocache/resp"
)

// This file is what makes streams shorter: the trimming of XADD and XTRIM, and
// what becomes of the references that consumer groups have to removed entries.

// trim is what XADD and XTRIM are asked to do.
type trim struct {
	by     trimBy
	approx bool
	maxLen int64
	minID  engine.StreamID
	limit  int64 // entries that may go at most, 0 for no limit
	refs   references

	// XADD alone.
	id       newStreamID
	existing bool // NOMKSTREAM
}

type trimBy uint8

const (
	trimNothing trimBy = iota
	trimLength
	trimID
)

// references says what becomes of pending entries whose stream entry goes.
type references uint8

const (
	refsUnsaid references = iota
	refsKeep              // they stay
	refsDrop              // they go, too
	// refsNone: only an entry goes that every group has read and acknowledged.
	refsNone
)

// referenceWord reads KEEPREF, DELREF or ACKED in lower case.
func referenceWord(w string) references {
	switch w {
	case "keepref":
		return refsKeep
	case "delref":
		return refsDrop
	case "acked":
		return refsNone
	}
	return refsUnsaid
}

// trimOf is the command whose options are read.
type trimOf uint8

const (
	trimOfXTrim trimOf = iota
	trimOfXAdd
)

// parseTrim reads the options of XADD, up to the id, which is at argument at,
// or of XTRIM.
func (c *Ctx) parseTrim(of trimOf) (o trim, at int, fail resp.Error) {
	limited := false
	for at = 2; at < len(c.Args); at++ {
		w, more := c.word(at), len(c.Args)-1-at
		switch {
		case of == trimOfXAdd && w == "*":
			o.id, _ = parseNewStreamID(c.Args[at])
			return o, at, o.settle(c, of, limited)
		case w == "maxlen" && more > 0:
			at, fail = o.parseLength(c, at)
		case w == "minid" && more > 0:
			at, fail = o.parseID(c, at)
		case w == "limit" && more > 0:
			at++
			limited = true
			fail = o.parseLimit(c.Args[at])
		case w == "nomkstream" && of == trimOfXAdd:
			o.existing = true
		case referenceWord(w) != refsUnsaid && o.refs == refsUnsaid:
			o.refs = referenceWord(w)
		case of == trimOfXAdd && referenceWord(w) == refsUnsaid:
			var ok bool
			if o.id, ok = parseNewStreamID(c.Args[at]); !ok {
				return o, at, resp.ErrStreamID
			}
			return o, at, o.settle(c, of, limited)
		default:
			fail = resp.ErrSyntax
		}
		if fail != "" {
			return o, at, fail
		}
	}
	return o, at, o.settle(c, of, limited)
}

// howExact reads ~ or = behind the option at argument i and returns where the
// threshold stands.
func (o *trim) howExact(c *Ctx, i int) (at int, fail resp.Error) {
	if o.by != trimNothing {
		return i, resp.ErrTrimTwice
	}
	o.approx = false
	if i+2 < len(c.Args) {
		switch string(cText(c.Args[i+1])) {
		case "~":
			o.approx = true
			return i + 2, ""
		case "=":
			return i + 2, ""
		}
	}
	return i + 1, ""
}

func (o *trim) parseLength(c *Ctx, i int) (at int, fail resp.Error) {
	if at, fail = o.howExact(c, i); fail != "" {
		return at, fail
	}
	o.by = trimLength
	var ok bool
	if o.maxLen, ok = resp.ParseInt(c.Args[at]); !ok {
		return at, resp.ErrNotInt
	}
	if o.maxLen < 0 {
		return at, resp.ErrTrimLength
	}
	return at, ""
}

func (o *trim) parseID(c *Ctx, i int) (at int, fail resp.Error) {
	if at, fail = o.howExact(c, i); fail != "" {
		return at, fail
	}
	o.by = trimID
	var ok bool
	if o.minID, ok = parseStreamID(c.Args[at], 0); !ok {
		return at, resp.ErrStreamID
	}
	return at, ""
}

func (o *trim) parseLimit(arg []byte) resp.Error {
	var ok bool
	if o.limit, ok = resp.ParseInt(arg); !ok {
		return resp.ErrNotInt
	}
	if o.limit < 0 {
		return resp.ErrTrimLimit
	}
	return ""
}

// Approximate trimming ends after so many nodes, or entries, unless LIMIT says
// otherwise.
const (
	trimNodes       = 100
	trimEntries     = 10_000
	trimEntriesMost = 1_000_000
)

// settle checks the options against each other and sets what is left out.
func (o *trim) settle(c *Ctx, of trimOf, limited bool) resp.Error {
	switch {
	case o.limit > 0 && o.by == trimNothing:
		return resp.ErrTrimLimitAlone
	case of == trimOfXTrim && o.by == trimNothing:
		return resp.ErrTrimMissing
	case limited && !o.approx:
		return resp.ErrTrimLimitExact
	case !limited && o.approx:
		per := c.Host.Config().Load().StreamNodeMaxEntries
		switch {
		case per <= 0:
			o.limit = trimEntries
		case per > trimEntriesMost/trimNodes:
			o.limit = trimEntriesMost
		default:
			o.limit = trimNodes * per
		}
	}
	return ""
}

// apply trims a stream and returns how many entries have gone.
func (o *trim) apply(e *engine.StreamEdit) int {
	n := o.candidates(e)
	switch {
	case n <= 0:
		return 0
	case o.refs == refsNone:
		return o.removeAcknowledged(e, n)
	case o.refs == refsDrop:
		dropReferences(e, n)
	}
	e.TrimHead(n)
	return n
}

// candidates is the number of entries at the start of the stream that are to go.
func (o *trim) candidates(e *engine.StreamEdit) int {
	most, upTo, some := math.MaxInt, engine.LastStreamID(), true
	switch o.by {
	case trimNothing:
		return 0
	case trimLength:
		most = e.Len() - int(min(o.maxLen, int64(e.Len())))
	case trimID:
		upTo, some = o.minID.Prev()
	}
	switch {
	case !some || most == 0:
		return 0
	case !o.approx && o.by == trimID:
		return e.Before(o.minID)
	case !o.approx:
		return most
	case o.limit > 0:
		most = min(most, int(o.limit))
	}
	return e.WholeNodes(most, upTo)
}

// firstIDs are the ids of the first n entries.
func firstIDs(e *engine.StreamEdit, n int) []engine.StreamID {
	ids := make([]engine.StreamID, 0, n)
	e.Ascend(engine.StreamID{}, func(id engine.StreamID, _ engine.StreamFields) bool {
		ids = append(ids, id)
		return len(ids) < n
	})
	return ids
}

// removeAcknowledged removes n entries, or those of the first n where nodes go
// whole, that no group needs.
func (o *trim) removeAcknowledged(e *engine.StreamEdit, n int) (removed int) {
	look := n
	switch {
	case o.approx:
	case o.by == trimLength:
		look = e.Len()
	}
	for _, id := range firstIDs(e, look) {
		if removed == n {
			break
		}
		if !referenced(&e.Stream, id) && e.Remove(id) {
			removed++
		}
	}
	return removed
}

// dropReferences ends what is pending of the first n entries.
func dropReferences(e *engine.StreamEdit, n int) {
	if e.NumGroups() == 0 {
		return
	}
	for _, id := range firstIDs(e, n) {
		unreference(e, id)
	}
}

// groups are the groups of a stream, with names of their own.
func groupsOf(s *engine.Stream) (groups []engine.StreamGroup) {
	s.Groups(func(g engine.StreamGroup) bool {
		groups = append(groups, g)
		return true
	})
	return groups
}

// referenced reports whether a group has not read an entry, or has it pending.
func referenced(s *engine.Stream, id engine.StreamID) (yes bool) {
	s.Groups(func(g engine.StreamGroup) bool {
		if yes = g.Last.Compare(id) < 0; !yes {
			_, yes = s.PendingAt(&g, id)
		}
		return !yes
	})
	return yes
}

// unreference takes an entry off the pending lists of all groups.
func unreference(e *engine.StreamEdit, id engine.StreamID) (found bool) {
	for _, g := range groupsOf(&e.Stream) {
		if e.Acknowledge(&g, id) {
			found = true
		}
	}
	return found
}

func xTrim(c *Ctx) {
	o, _, fail := c.parseTrim(trimOfXTrim)
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.StreamToEdit(c.Key(1))
	if err != nil || s == nil {
		c.zeroOr(err)
		return
	}
	e := c.editStream()
	if e == nil {
		return
	}
	n := o.apply(e)
	e.Done()
	if n > 0 {
		c.Event(engine.EventStream, "xtrim", c.Key(1))
	}
	c.Out.Int(int64(n))
}

// Replies of XDELEX and XACKDEL for each id.
const (
	delMissing    = -1
	delDone       = 1
	delReferenced = 2
)

// delEx is what XDELEX and XACKDEL are asked to do.
type delEx struct {
	refs references
	ids  []engine.StreamID
}

// parseDelEx reads their options from argument i on.
func (c *Ctx) parseDelEx(i int) (o delEx, fail resp.Error) {
	var ids [][]byte
	for i < len(c.Args) {
		w, rest := c.word(i), c.Args[i+1:]
		i++
		switch {
		case referenceWord(w) != refsUnsaid && o.refs == refsUnsaid:
			o.refs = referenceWord(w)
		case w == "ids" && len(rest) > 0:
			n, ok := resp.ParseInt(rest[0])
			if !ok || n < 1 {
				return o, resp.ErrIDsPositive
			}
			if n > int64(len(rest)-1) {
				return o, resp.ErrIDsMatch
			}
			ids = rest[1 : 1+n]
			i += 1 + int(n)
		default:
			return o, resp.ErrSyntax
		}
	}
	if ids == nil {
		return o, resp.ErrIDsMissing
	}
	o.ids, fail = parseStreamIDs(ids)
	return o, fail
}

// remove deals with one entry, which may be gone and still referenced, and
// returns what to reply.
func (o *delEx) remove(e *engine.StreamEdit, id engine.StreamID) (code int64) {
	if o.refs == refsDrop {
		unreference(e, id)
	}
	if o.refs == refsNone && referenced(&e.Stream, id) {
		return delReferenced
	}
	if !removeEntry(e, id) {
		return delMissing
	}
	return delDone
}

func xDelEx(c *Ctx) {
	o, fail := c.parseDelEx(2)
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.StreamToEdit(c.Key(1))
	switch {
	case err != nil:
		c.FailWith(err)
		return
	case s == nil:
		c.allMissing(len(o.ids))
		return
	}
	e := c.editStream()
	if e == nil {
		return
	}
	before := e.Len()
	c.Out.Array(len(o.ids))
	for _, id := range o.ids {
		code := o.remove(e, id)
		if _, there := e.Entry(id); !there && code == delReferenced {
			code = delMissing
		}
		c.Out.Int(code)
	}
	c.removedFrom(e, before)
}

// removedFrom completes a change that began at so many entries.
func (c *Ctx) removedFrom(e *engine.StreamEdit, before int) {
	e.Done()
	if e.Len() < before {
		c.Event(engine.EventStream, "xdel", c.Key(1))
	}
}

func (c *Ctx) allMissing(n int) {
	c.Out.Array(n)
	for range n {
		c.Out.Int(delMissing)
	}
}

func xAckDel(c *Ctx) {
	o, fail := c.parseDelEx(3)
	if fail != "" {
		c.Fail(fail)
		return
	}
	s, err := c.Tx.StreamToEdit(c.Key(1))
	if err != nil {
		c.FailWith(err)
		return
	}
	g, ok := s.Group(c.Args[2])
	if !ok {
		c.allMissing(len(o.ids))
		return
	}
	e := c.editStream()
	if e == nil {
		return
	}
	before := e.Len()
	c.Out.Array(len(o.ids))
	for _, id := range o.ids {
		if !e.Acknowledge(&g, id) {
			c.Out.Int(delMissing)
			continue
		}
		code := o.remove(e, id)
		if code == delMissing {
			code = delDone // it was acknowledged, and has gone before
		}
		c.Out.Int(code)
	}
	c.removedFrom(e, before)
}
