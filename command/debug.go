package command

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"

	"geocache/config"
	"geocache/engine"
	"geocache/resp"
)

// Debug is what DEBUG's subcommands see of the region. Its methods block, and
// wait for locks on data.
type Debug interface {
	// Reload writes the snapshot file, forgets all data and loads the file,
	// each unless m says otherwise. Other sessions wait meanwhile.
	Reload(m ReloadMode) error
	// LoadLog forgets all data and recovers it from rows and log, as a start
	// does. Other sessions wait meanwhile.
	LoadLog() error
	// Digest is Redis' signature of all data, in hex.
	Digest() (string, error)
	// DigestValues are those of the values of keys, zeros for missing ones.
	DigestValues(keys []engine.Key) ([]string, error)
	// Object describes a key; resp.ErrNoSuchKey where it is missing.
	Object(k engine.Key) (ObjectInfo, error)
	// Tables counts the keys of a database.
	Tables(db int) (engine.DBInfo, error)
	// Populate makes those keys that are missing.
	Populate(p Population) error
	// Log writes a line to the server's log.
	Log(text string)
}

// ReloadMode says what DEBUG RELOAD leaves out, and whether keys of the file
// replace those that are there.
type ReloadMode struct{ NoSave, NoFlush, Merge Switch }

// Population is what DEBUG POPULATE makes: the keys <Prefix>:0 to
// <Prefix>:<Count-1> with values of SizeBytes, 0 for as many as it takes.
type Population struct {
	DB        int
	Count     int64
	Prefix    string
	SizeBytes int64
}

// ObjectInfo describes a key's value.
type ObjectInfo struct {
	Encoding        string
	SerializedBytes int // of its dump, without type, version and checksum
	IdleMs          int64
	// Elements of a collection whose encoding has a hash table, else -1.
	Elements int
}

func debugRow() Row {
	return Row{
		Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading | Stale | Control, Run: debug,
		Doc: Doc{
			Summary: "A container for commands that help to test a server.",
			Since:   "1.0.0", Group: "server", Complexity: "Depends on subcommand.",
		},
	}
}

// debugSub is a subcommand of DEBUG. DEBUG is one row, as in Redis: its
// subcommands are no commands of their own.
type debugSub struct {
	name     string
	min, max int // arguments after the name; max -1 is any number
	usage    string
	help     []string
	run      func(*Ctx)
}

func debugSubs() []debugSub {
	return []debugSub{
		{"DIGEST", 0, 0, "", []string{"Answer a signature of all data; equal data has the same here and in Redis."}, debugDigest},
		{"DIGEST-VALUE", 1, -1, " <key> [<key> ...]", []string{"Answer a signature of each key's value."}, debugDigestValue},
		{"ERROR", 1, 1, " <string>", []string{"Answer an error with this text."}, debugError},
		{"HTSTATS", 1, 2, " <dbid>", []string{"Count the keys of a database, and those with a deadline."}, debugTables},
		{"HTSTATS-KEY", 1, 2, " <key>", []string{"Count the elements of a collection that is not packed."}, debugTableOf},
		{"LOADAOF", 0, 0, "", []string{"Recover the data from the log and the rows on disk."}, debugLoadLog},
		{"LOG", 1, 1, " <message>", []string{"Write a message to the server's log."}, debugLog},
		{"OBJECT", 1, 2, " <key>", []string{"Describe how a key's value is kept."}, debugObject},
		{"POPULATE", 1, 3, " <count> [<prefix>] [<size>]", []string{
			"Make <count> string keys, named key:<num> or <prefix>:<num>, with values of",
			"<size> bytes. Keys that exist are left alone.",
		}, debugPopulate},
		{"PROTOCOL", 1, 1, " <type>", []string{
			"Answer a value of one type: string, integer, double, bignum, null, array,",
			"set, map, attrib, push, verbatim, true or false.",
		}, debugProtocol},
		{"QUICKLIST-PACKED-THRESHOLD", 1, 1, " <size>", []string{
			"Is accepted and checked; lists here keep elements of every size alike.",
		}, debugPackedThreshold},
		{"RELOAD", 0, -1, " [NOSAVE] [NOFLUSH] [MERGE]", []string{
			"Write the snapshot file, unless NOSAVE is given, forget all data, unless",
			"NOFLUSH is given, and load the file. With MERGE its keys replace existing ones.",
		}, debugReload},
		{"SET-ACTIVE-EXPIRE", 1, 1, " <0|1>", []string{
			"Leave expired keys that nobody reads where they are, or reclaim them again.",
		}, debugActiveExpire},
		{"SLEEP", 1, 1, " <seconds>", []string{"Make this connection wait. Fractions are good."}, debugSleep},
	}
}

func debug(c *Ctx) {
	if !c.Host.Config().Load().EnableDebugCommand.Allows(c.caller()) {
		c.Fail(resp.DebugRefused("DEBUG", "enable-debug-command"))
		return
	}
	name, args := c.Args[1], len(c.Args)-2
	subs := debugSubs()
	if isWord(name, "HELP") && args == 0 {
		debugHelp(c, subs)
		return
	}
	for _, s := range subs {
		if isWord(name, s.name) && args >= s.min && (s.max < 0 || args <= s.max) {
			s.run(c)
			return
		}
	}
	c.Fail(resp.SubcommandSyntax("debug", name))
}

func debugHelp(c *Ctx, subs []debugSub) {
	lines := []string{"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for _, s := range subs {
		lines = append(lines, s.name+s.usage)
		for _, h := range s.help {
			lines = append(lines, helpIndent+h)
		}
	}
	c.Out.Help(append(lines, "HELP", helpIndent+helpSummary))
}

// await runs work while the session is parked; ok is false where the handler
// is to return, having replied or because it is called anew. Inside EXEC,
// which holds the locks that the work needs, it refuses.
func await[T any](c *Ctx, work func() (T, error)) (v T, ok bool) {
	if c.InExec == On {
		c.Fail(resp.ErrNotInMulti)
		return v, false
	}
	done, result, err := c.Sess.Await(func() (any, error) { return work() })
	switch {
	case !done:
		return v, false
	case err != nil:
		c.FailWith(err)
		return v, false
	}
	return result.(T), true
}

// lastingKey is Key for work that is awaited: input may overwrite the request
// meanwhile.
func (c *Ctx) lastingKey(i int) engine.Key {
	k := c.Key(i)
	k.Name = bytes.Clone(k.Name)
	return k
}

// awaitOK is await of work without a result; the reply is OK.
func awaitOK(c *Ctx, work func() error) {
	if _, ok := await(c, func() (struct{}, error) { return struct{}{}, work() }); ok {
		c.Out.OK()
	}
}

func debugDigest(c *Ctx) {
	if text, ok := await(c, c.Host.Debug().Digest); ok {
		c.Out.SimpleString(text)
	}
}

func debugDigestValue(c *Ctx) {
	host := c.Host
	keys := make([]engine.Key, 0, len(c.Args)-2)
	for i := range c.Args[2:] {
		keys = append(keys, c.lastingKey(i+2))
	}
	list, ok := await(c, func() ([]string, error) { return host.Debug().DigestValues(keys) })
	if !ok {
		return
	}
	c.Out.Array(len(list))
	for _, text := range list {
		c.Out.SimpleString(text)
	}
}

// debugError is the one error whose text is the client's own.
func debugError(c *Ctx) { c.Fail(resp.Error(c.Args[2])) }

func debugLog(c *Ctx) {
	c.Host.Debug().Log(string(c.Args[2]))
	c.Out.OK()
}

func debugTables(c *Ctx) {
	db, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	host := c.Host
	if db < 0 || db >= int64(host.Engine().Databases()) {
		c.Fail(resp.ErrTablesDB)
		return
	}
	if info, ok := await(c, func() (engine.DBInfo, error) { return host.Debug().Tables(int(db)) }); ok {
		c.Out.Verbatim("txt", "[Dictionary HT]\n"+tableText(info.Keys)+"[Expires HT]\n"+tableText(info.Expires))
	}
}

func tableText(elements int) string {
	const head = "Hash table 0 stats (main hash table):\n"
	if elements == 0 {
		return head + "No stats available for empty dictionaries\n"
	}
	return head + fmt.Sprintf(" number of elements: %d\n", elements)
}

// objectOf is OBJECT and HTSTATS-KEY's view of the key at argument 2.
func objectOf(c *Ctx) (ObjectInfo, bool) {
	host, k := c.Host, c.lastingKey(2)
	return await(c, func() (ObjectInfo, error) { return host.Debug().Object(k) })
}

func debugTableOf(c *Ctx) {
	switch o, ok := objectOf(c); {
	case !ok:
	case o.Elements < 0:
		c.Fail(resp.ErrNoTable)
	default:
		c.Out.Verbatim("txt", tableText(o.Elements))
	}
}

// lruClockMask is the width of the seconds that Redis shows as lru.
const lruClockMask = 1<<24 - 1

// debugObject shows no address: one that is made of the key's name stays the
// same while the value is changed in place, which is all it can be used for.
func debugObject(c *Ctx) {
	o, ok := objectOf(c)
	if !ok {
		return
	}
	h := fnv.New64a()
	_, _ = h.Write(c.Args[2])
	used := (c.Host.NowMicros()/1000 - o.IdleMs) / 1000
	c.Out.SimpleString(fmt.Sprintf("Value at:0x%x refcount:1 encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d",
		h.Sum64()>>16, o.Encoding, o.SerializedBytes, used&lruClockMask, o.IdleMs/1000))
}

func debugPopulate(c *Ctx) {
	p := Population{DB: c.DB, Prefix: "key"}
	var ok bool
	if p.Count, ok = parseAtMost(c.Args[2], math.MaxInt64); !ok {
		c.Fail(resp.ErrNotPositive)
		return
	}
	if len(c.Args) > 3 {
		p.Prefix = string(c.Args[3])
	}
	if len(c.Args) > 4 {
		if p.SizeBytes, ok = parseAtMost(c.Args[4], c.Host.Config().Load().ProtoMaxBulkLen); !ok {
			c.Fail(resp.ErrNotPositive)
			return
		}
	}
	host := c.Host
	awaitOK(c, func() error { return host.Debug().Populate(p) })
}

func parseAtMost(arg []byte, limit int64) (int64, bool) {
	v, ok := resp.ParseInt(arg)
	return v, ok && v >= 0 && v <= limit
}

// maxPackedThreshold is where Redis' own setting ends.
const maxPackedThreshold = 1 << 32

func debugPackedThreshold(c *Ctx) {
	if v, ok := config.ParseMemory(string(c.Args[2])); !ok || v > maxPackedThreshold {
		c.Fail(resp.ErrPackedThreshold)
		return
	}
	c.Out.OK()
}

func debugReload(c *Ctx) {
	var m ReloadMode
	for _, arg := range c.Args[2:] {
		switch {
		case isWord(arg, "MERGE"):
			m.Merge = On
		case isWord(arg, "NOFLUSH"):
			m.NoFlush = On
		case isWord(arg, "NOSAVE"):
			m.NoSave = On
		default:
			c.Fail(resp.ErrReloadOption)
			return
		}
	}
	host := c.Host
	awaitOK(c, func() error { return host.Debug().Reload(m) })
}

func debugLoadLog(c *Ctx) { awaitOK(c, c.Host.Debug().LoadLog) }

func debugActiveExpire(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	s := On
	if n == 0 {
		s = Off
	}
	c.Host.SetActiveExpire(s)
	c.Out.OK()
}

// maxSleepSec bounds DEBUG SLEEP, so that its end can be told in milliseconds.
const maxSleepSec = 1 << 31

// debugSleep parks the session that asks and, unlike Redis, nobody else.
func debugSleep(c *Ctx) {
	sec, ok := resp.ParseFloat(c.Args[2])
	if !ok || sec > maxSleepSec {
		c.Fail(resp.ErrNotFloat)
		return
	}
	c.Sess.SleepUntil(c.Host.NowMicros()/1000 + int64(math.Ceil(max(sec, 0)*1000)))
	c.Out.OK()
}

// debugProtocol answers what clients' authors test their parsers with; the
// values are Redis'.
func debugProtocol(c *Ctx) {
	out := c.Out
	switch name := c.Args[2]; {
	case isWord(name, "STRING"):
		out.BulkString("Hello World")
	case isWord(name, "INTEGER"):
		out.Int(12345)
	case isWord(name, "DOUBLE"):
		out.Double(3.141)
	case isWord(name, "NULL"):
		out.Null()
	case isWord(name, "ARRAY"):
		out.Array(3)
		debugNumbers(c)
	case isWord(name, "SET"):
		out.Set(3)
		debugNumbers(c)
	case isWord(name, "MAP"):
		out.Map(3)
		for i := range 3 {
			out.Int(int64(i))
			out.Bool(i == 1)
		}
	case isWord(name, "ATTRIB"):
		debugAttribute(c)
	case isWord(name, "PUSH"):
		debugPush(c)
	case isWord(name, "TRUE"):
		out.Bool(true)
	case isWord(name, "FALSE"):
		out.Bool(false)
	case isWord(name, "VERBATIM"):
		out.Verbatim("txt", "This is a verbatim\nstring")
	case isWord(name, "BIGNUM"):
		out.BigNumber("1234567999999999999999999999999999999")
	default:
		c.Fail(resp.ErrProtocolType)
	}
}

func debugNumbers(c *Ctx) {
	for i := range 3 {
		c.Out.Int(int64(i))
	}
}

func debugAttribute(c *Ctx) {
	if c.Out.Proto() == 3 {
		c.Out.Attribute(1)
		c.Out.BulkString("key-popularity")
		c.Out.Array(2)
		c.Out.BulkString("key:123")
		c.Out.Int(90)
	}
	c.Out.BulkString("Some real reply following the attribute")
}

// debugPush sends a reply as well: a push is none.
func debugPush(c *Ctx) {
	if c.Out.Proto() != 3 {
		c.Fail(resp.ErrNeedsRESP3)
		return
	}
	c.Out.Push(2)
	c.Out.BulkString("server-cpu-usage")
	c.Out.Int(42)
	c.Out.BulkString("Some real reply following the push reply")
}
