package command

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"geocache/engine"
	"geocache/resp"
)

// scanDefaultCount is how many keys one SCAN looks at unless COUNT says
// otherwise.
const scanDefaultCount = 10

// scanRows are the commands that walk the keys of a database without naming
// them.
func scanRows() []Row {
	return []Row{
		{
			Name: "scan", Arity: -2, Flags: ReadOnly | Walk, ACL: CatKeyspace, Run: scan,
			Doc: Doc{
				Summary: "Lists some of the keys of the database and a cursor to go on from.",
				Since:   "2.8.0", Group: "generic",
				Complexity: "O(1) for every call, O(N) for all calls until the cursor is 0 again, where N is the number of keys.",
				Tips:       []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
				History:    []History{{"6.0.0", "The `TYPE` option."}},
				Args: []Arg{
					intArg("cursor"),
					{Name: "pattern", Type: ArgPattern, Token: "MATCH", Optional: Optional},
					{Name: "count", Type: ArgInteger, Token: "COUNT", Optional: Optional},
					{Name: "type", Type: ArgString, Token: "TYPE", Since: "6.0.0", Optional: Optional},
				},
			},
		},
		{
			Name: "keys", Arity: 2, Flags: ReadOnly | Walk, ACL: CatKeyspace | CatDangerous, Run: keys,
			Doc: Doc{
				Summary: "Lists all keys that match a pattern.",
				Since:   "1.0.0", Group: "generic",
				Complexity: "O(N), where N is the number of keys in the database.",
				Tips:       []string{"request_policy:all_shards", "nondeterministic_output_order"},
				Args:       []Arg{{Name: "pattern", Type: ArgPattern}},
			},
		},
		{
			Name: "randomkey", Arity: 1, Flags: ReadOnly | Walk, ACL: CatKeyspace, Run: randomKey,
			Doc: Doc{
				Summary: "Returns a random key of the database.",
				Since:   "1.0.0", Group: "generic", Complexity: "O(1)",
				Tips: []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"},
			},
		},
		{
			Name: "dbsize", Arity: 1, Flags: ReadOnly | Fast | Walk, ACL: CatKeyspace, Run: dbSize,
			Doc: Doc{
				Summary: "Counts the keys of the database.",
				Since:   "1.0.0", Group: "server", Complexity: "O(1)",
				Tips: []string{"request_policy:all_shards", "response_policy:agg_sum"},
			},
		},
	}
}

// scanOptions is what a SCAN asks for.
type scanOptions struct {
	count    int
	pattern  []byte // nil: every key
	typ      []byte // nil: every type
	noValues bool
}

// scanned is what a command of the SCAN family walks; it decides on its options.
type scanned uint8

const (
	scannedKeys scanned = iota
	scannedFields
	scannedMembers // of a set or sorted set
)

// scanOptions reads the options of a SCAN from argument i on.
func (c *Ctx) scanOptions(i int, of scanned) (o scanOptions, err resp.Error) {
	o.count = scanDefaultCount
	for ; i < len(c.Args); i++ {
		w := c.word(i)
		if w == "novalues" && of == scannedFields {
			o.noValues = true
			continue
		}
		if i++; i == len(c.Args) {
			return o, resp.ErrSyntax
		}
		switch val := c.Args[i]; {
		case w == "count":
			n, ok := resp.ParseInt(val)
			if !ok {
				return o, resp.ErrNotInt
			}
			if n < 1 {
				return o, resp.ErrSyntax
			}
			o.count = int(min(n, math.MaxInt))
		case w == "match":
			o.pattern = val
		case w == "type" && of == scannedKeys:
			o.typ = val
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, ""
}

// parseCursor reads a cursor as C's strtoul does, for Redis uses that: a sign,
// leading zeros and no digits at all are good, a leading space is not.
func parseCursor(b []byte) (uint64, bool) {
	if nul := bytes.IndexByte(b, 0); nul >= 0 {
		b = b[:nul]
	}
	if len(b) == 0 {
		return 0, true
	}
	digits := b
	if b[0] == '-' || b[0] == '+' {
		digits = b[1:]
	}
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if b[0] == '-' {
		n = -n
	}
	return n, err == nil
}

func (o *scanOptions) wants(it engine.Item) bool {
	if o.typ != nil && !strings.EqualFold(string(o.typ), string(it.Type)) {
		return false
	}
	return o.matches(it.Key)
}

func (o *scanOptions) matches(name string) bool {
	return o.pattern == nil || matchesAll(o.pattern) || globMatch(o.pattern, name)
}

// matchesAll is the pattern that Redis does not even look at, so that it
// matches the empty key too.
func matchesAll(pattern []byte) bool { return len(pattern) == 1 && pattern[0] == '*' }

func scan(c *Ctx) {
	cursor, ok := parseCursor(c.Args[1])
	if !ok {
		c.Fail(resp.ErrInvalidCursor)
		return
	}
	o, err := c.scanOptions(2, scannedKeys)
	if err != "" {
		c.Fail(err)
		return
	}
	found, n := resp.Writer{}, 0
	next := c.Tx.Scan(c.DB, cursor, o.count, func(it engine.Item) {
		if o.wants(it) {
			found.BulkString(it.Key)
			n++
		}
	})
	c.scanReply(next, n, &found)
}

// scanReply replies with what a SCAN found. The cursor comes first in the reply
// and last in the walk.
func (c *Ctx) scanReply(next uint64, n int, found *resp.Writer) {
	c.Out.Array(2)
	c.Out.BulkString(strconv.FormatUint(next, 10))
	c.Out.Array(n)
	c.Out.Raw(found.Bytes())
}

// collection is what HSCAN, SSCAN and ZSCAN walk.
type collection interface {
	Len() int
	Scan(cursor uint64, count int, fn func(member, val []byte)) (next uint64)
}

// scanCollection is HSCAN, SSCAN and ZSCAN once the key was looked up. show
// appends what stands behind a member in the reply; nil shows members alone. As
// in Redis a missing key is found before the options are read.
func (c *Ctx) scanCollection(in collection, err error, of scanned, show func(w *resp.Writer, val []byte)) {
	cursor, ok := parseCursor(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrInvalidCursor)
		return
	case err != nil:
		c.FailWith(err)
		return
	case in.Len() == 0:
		c.scanReply(0, 0, &resp.Writer{})
		return
	}
	o, fail := c.scanOptions(3, of)
	if fail != "" {
		c.Fail(fail)
		return
	}
	found, n := resp.Writer{}, 0
	found.SetCompat(c.Out.Compat())
	next := in.Scan(cursor, o.count, func(member, val []byte) {
		if o.pattern != nil && !o.matches(string(member)) {
			return
		}
		found.Bulk(member)
		n++
		if show != nil && !o.noValues {
			show(&found, val)
			n++
		}
	})
	c.scanReply(next, n, &found)
}

func keys(c *Ctx) {
	o := scanOptions{pattern: c.Args[1]}
	list, n := c.Out.ArrayLater(), 0
	c.Tx.EachKey(c.DB, func(it engine.Item) {
		if o.wants(it) {
			c.Out.BulkString(it.Key)
			n++
		}
	})
	c.Out.EndArray(list, n)
}

func randomKey(c *Ctx) {
	key, ok := c.Tx.RandomKey(c.DB)
	if !ok {
		c.Out.Null()
		return
	}
	c.Out.BulkString(key)
}

func dbSize(c *Ctx) { c.Out.Int(int64(c.Tx.Size(c.DB))) }
