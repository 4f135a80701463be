// Package command owns the command table and the handlers, one file per group
// (string.go, keys.go, ...). A command is one Row: arity, flags, ACL
// categories, key specs, documentation and the function that runs it. What
// COMMAND answers, arity errors, key extraction, transaction and memory rules
// are functions of the row; command names stand nowhere else.
//
// A handler evaluates one command: it reads and writes data through Ctx.Tx and
// appends its reply to Ctx.Out. It never blocks, never does I/O, and knows of
// sessions and the region only what the interfaces Session and Host say.
//
// The table is built once by New and never changes; it has no locks.
package command

import (
	"geocache/engine"
	"geocache/resp"
)

// Flags say how dispatch treats a row. Their names are those of COMMAND.
type Flags uint32

// Flags that COMMAND shows.
const (
	Write Flags = 1 << iota
	ReadOnly
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	NoAuth
	Fast
	NoMulti
	AllowBusy
	NoMandatoryKeys
	NoAsyncLoading
	MovableKeys
)

// Flags that are dispatch's own.
const (
	// World rows write or read data without naming keys and need all of it
	// to stand still.
	World Flags = 1 << (iota + 20)
	// Walk rows only read, shard by shard, without naming keys.
	Walk
	// Control rows touch no data; they run outside any tx even inside EXEC.
	Control
	// Unqueued rows run at once inside MULTI (EXEC, DISCARD, ...).
	Unqueued
	// EndsMulti marks EXEC: gates judge it by what is queued.
	EndsMulti
	// SelectsDB rows change what database later commands mean.
	SelectsDB
	// Replication rows belong to sibling links.
	Replication
	// MayReplicate rows read, and yet may change something: they wait where
	// writes are paused.
	MayReplicate
	// WhileSubscribed rows are open to a RESP2 client that has subscriptions.
	WhileSubscribed
)

// ACL is a set of explicit ACL categories; the rest follow from flags.
type ACL uint32

// Key flags and access of a key spec, as COMMAND shows them.
type KeyFlags uint16

const (
	RO KeyFlags = 1 << iota
	RW
	OW
	RM
	Access
	Update
	Insert
	Delete
	NotKey
	Incomplete
	VariableFlags
)

// KeySpec says where keys stand among the arguments. Begin is an index or a
// keyword; then either a range or a count.
type KeySpec struct {
	Flags KeyFlags
	Notes string

	// Begin: a fixed index, or the argument after Keyword, searched from
	// Index on (from the end backwards where Index is negative).
	Index   int
	Keyword string

	// Range: Last relative to the first key (negative: from the end, -1 the
	// last argument), Step, and Limit as Redis' "limit".
	Last, Step, Limit int
	// Count: where CountStep > 0, the argument at the begin index plus
	// CountAt holds the number of keys, which start at FirstKey after it.
	CountAt, FirstKey, CountStep int
	// Unknown: the position cannot be said (SORT's patterns).
	Unknown bool
}

// One is a spec of the single key at index 1.
func One(f KeyFlags) []KeySpec { return []KeySpec{At(1, f)} }

// At is a spec of the single key at index i.
func At(i int, f KeyFlags) KeySpec { return KeySpec{Flags: f, Index: i, Last: 0, Step: 1} }

// From is a spec of every step-th argument from index i to the last.
func From(i, step int, f KeyFlags) KeySpec { return KeySpec{Flags: f, Index: i, Last: -1, Step: step} }

// Counted is a spec of keys that follow their number at index i.
func Counted(i, step int, f KeyFlags) KeySpec {
	return KeySpec{Flags: f, Index: i, CountAt: 0, FirstKey: 1, CountStep: step}
}

// Row is all that is known of a command before it runs.
type Row struct {
	Name  string // lower case; of a subcommand, its own word
	Arity int    // with the name (of a subcommand: both words) counted; negative: at least
	Flags Flags
	ACL   ACL
	Keys  []KeySpec
	Doc   Doc
	Run   func(*Ctx)
	Subs  []Row // a container has subcommands and usually no Run
	// VaryKeys says how args use the keys whose spec has VariableFlags.
	VaryKeys func(args [][]byte) KeyFlags
	// MoreKeys finds keys among the arguments that no key spec can name.
	MoreKeys func(r *Row, args [][]byte) []KeyAt
	// Wide reports whether the command touches keys that its arguments do not
	// name, and needs all data to stand still as a World row does.
	Wide func(r *Row, args [][]byte) bool
	// Scope, where set, replaces key specs for locking: for commands whose
	// keys lie in several databases (COPY, MOVE).
	Scope func(*Ctx) []engine.Key

	parent *Row
	index  int // among all rows of the table
	// plainKeys: one range of arguments holds all keys (see hasPlainKeys).
	plainKeys bool
}

// Index numbers the rows of a table, subcommands included, from 0; see
// Table.Len.
func (r *Row) Index() int { return r.index }

// FullName is the name errors and COMMAND use: "config|get".
func (r *Row) FullName() string {
	if r.parent != nil {
		return r.parent.Name + "|" + r.Name
	}
	return r.Name
}

// Has reports whether all of f are set.
func (r *Row) Has(f Flags) bool { return r.Flags&f == f }

// Doc is what COMMAND DOCS answers and docs/COMMANDS.md prints.
type Doc struct {
	Summary    string
	Since      string
	Group      string
	Complexity string
	Tips       []string
	History    []History
	Args       []Arg
	// DeprecatedSince and ReplacedBy mark a deprecated command.
	DeprecatedSince, ReplacedBy string
}

// History is one change to a command since it was introduced.
type History struct{ Version, Change string }

// ArgType is a documented argument's type, in COMMAND DOCS' words.
type ArgType string

const (
	ArgString  ArgType = "string"
	ArgInteger ArgType = "integer"
	ArgDouble  ArgType = "double"
	ArgKey     ArgType = "key"
	ArgPattern ArgType = "pattern"
	ArgUnix    ArgType = "unix-time"
	ArgToken   ArgType = "pure-token"
	ArgOneOf   ArgType = "oneof"
	ArgBlock   ArgType = "block"
)

// Arg is one documented argument.
type Arg struct {
	Name    string
	Type    ArgType
	Token   string
	Display string
	Since   string
	// DeprecatedSince marks an argument that new clients should not send.
	DeprecatedSince string

	KeySpec  int // index of the key spec, for ArgKey
	Optional Presence
	Multiple Repeat
	Args     []Arg // of ArgOneOf and ArgBlock
}

// Presence says whether an argument may be left out.
type Presence uint8

const (
	Required Presence = iota
	Optional
)

// Repeat says how often an argument may stand.
type Repeat uint8

const (
	Once Repeat = iota
	Multiple
	// MultipleToken repeats the token as well.
	MultipleToken
)

// Ctx is one command on its way: what a handler may use. It is valid during
// Run only.
type Ctx struct {
	// Args are the command's words, the name (of a subcommand: both words)
	// included. They alias the session's input.
	Args [][]byte
	Row  *Row
	Out  *resp.Writer
	// Tx is nil for Control rows.
	Tx   *engine.Tx
	DB   int
	Sess Session
	Host Host
	// InExec is on where EXEC runs the command: locks on data are held.
	InExec Switch
	// Woken is on where a command that waited runs again: see Block.
	Woken Switch
	block *Block
}

// Begin makes c that of a new command of the same session, outside of EXEC. It
// writes no more than differs.
func (c *Ctx) Begin(args [][]byte, row *Row, db int) {
	c.Args, c.DB = args, db
	if c.Row != row {
		c.Row = row
	}
	c.InExec, c.Woken = Off, Off
	if c.block != nil {
		c.block = nil
	}
}

// Key is argument i as a key of the session's database.
func (c *Ctx) Key(i int) engine.Key { return engine.Key{DB: c.DB, Name: c.Args[i]} }

// NowMs is the frozen time of the command.
func (c *Ctx) NowMs() int64 { return c.Tx.NowMs() }

// Fail replies with err.
func (c *Ctx) Fail(err resp.Error) { c.Out.Error(err) }
