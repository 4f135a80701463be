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
	cursor  uint64
	count   int
	pattern []byte // nil: every key
	typ     []byte // nil: every type
}

func (c *Ctx) scanOptions() (o scanOptions, err resp.Error) {
	o.count = scanDefaultCount
	ok := false
	if o.cursor, ok = parseCursor(c.Args[1]); !ok {
		return o, resp.ErrInvalidCursor
	}
	for i := 2; i < len(c.Args); i += 2 {
		if i+1 == len(c.Args) {
			return o, resp.ErrSyntax
		}
		switch val := c.Args[i+1]; c.word(i) {
		case "count":
			n, ok := resp.ParseInt(val)
			if !ok {
				return o, resp.ErrNotInt
			}
			if n < 1 {
				return o, resp.ErrSyntax
			}
			o.count = int(min(n, math.MaxInt))
		case "match":
			o.pattern = val
		case "type":
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
	return o.pattern == nil || matchesAll(o.pattern) || globMatch(o.pattern, it.Key)
}

// matchesAll is the pattern that Redis does not even look at, so that it
// matches the empty key too.
func matchesAll(pattern []byte) bool { return len(pattern) == 1 && pattern[0] == '*' }

func scan(c *Ctx) {
	o, err := c.scanOptions()
	if err != "" {
		c.Fail(err)
		return
	}
	// The cursor comes first in the reply and last in the walk.
	found, n := resp.Writer{}, 0
	next := c.Tx.Scan(c.DB, o.cursor, o.count, func(it engine.Item) {
		if o.wants(it) {
			found.BulkString(it.Key)
			n++
		}
	})
	c.Out.Array(2)
	c.Out.BulkString(strconv.FormatUint(next, 10))
	c.Out.Array(n)
	c.Out.Raw(found.Bytes())
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
