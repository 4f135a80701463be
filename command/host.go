package command

import (
	"net/netip"

	"geocache/config"
	"geocache/engine"
	"geocache/pubsub"
	"geocache/resp"
)

// Session is what handlers see of the session that runs the command.
type Session interface {
	ID() int64
	// IP is the client's address; the zero Addr over a unix socket.
	IP() netip.Addr
	Proto() int
	// SetProto chooses the protocol of replies, the one to the running command
	// included.
	SetProto(int)
	DB() int
	SelectDB(int)
	Name() string
	SetName(string)
	SetLib(attribute, value string)
	// Authenticate checks the credentials and makes the session theirs.
	Authenticate(user, password []byte) error
	Authenticated() bool
	SetNoEvict(Switch)
	SetNoTouch(Switch)
	SetReply(ReplyMode)
	// CloseAfterReply ends the connection once the output so far has left.
	CloseAfterReply()
	// Reset does what RESET does, but for the reply.
	Reset()
	// Line is the session as CLIENT INFO shows it, without a newline.
	Line() string
	// Await runs work that may block while the session is parked. The handler,
	// which must be a Control row's and not run inside EXEC, returns without a
	// reply and is called anew once the work has ended; then done is set, and
	// the rest is what the work came to. The work must not use the words of the
	// request, nor the Ctx: both are gone while it runs.
	Await(work func() (any, error)) (done bool, result any, err error)
	// SleepUntil parks the session: the reply to the running command leaves,
	// and the next command runs, at that time.
	SleepUntil(unixMs int64)

	// Subscribe and Unsubscribe append a message for each name; without names
	// Unsubscribe ends all subscriptions of the kind.
	Subscribe(k pubsub.Kind, names [][]byte)
	Unsubscribe(k pubsub.Kind, names [][]byte)
	// OnlyListens reports that messages are all the client expects: it speaks
	// RESP2 and has subscriptions.
	OnlyListens() bool
	// Publish sends a message, inside EXEC once that commits, and returns how
	// many subscriptions it reaches.
	Publish(k pubsub.Kind, channel, message []byte) int

	// The transaction of the session. BeginMulti, Discard, Watch and Exec
	// append the command's reply, an error where it may not stand here.
	BeginMulti()
	Discard()
	Watch([][]byte)
	Unwatch()
	// Exec runs the queued commands.
	Exec()
}

// Switch is on or off.
type Switch uint8

const (
	Off Switch = iota
	On
)

// ReplyMode is CLIENT REPLY's mode.
type ReplyMode uint8

const (
	ReplyOn ReplyMode = iota
	ReplyOff
	ReplySkip
)

// ClientFilter selects the sessions that match all of its fields, for CLIENT
// LIST and KILL. Zero fields select all.
type ClientFilter struct {
	IDs       []int64
	Addr      string // ip:port, or the socket's path and ":0"
	LAddr     string
	User      string
	Type      string // "normal", "master", "replica" or "pubsub"
	MaxAgeSec int64  // connected for at least so long
	SkipMe    Switch
}

// PauseMode is what CLIENT PAUSE holds back.
type PauseMode uint8

const (
	PauseWrites PauseMode = iota
	PauseAll
)

// Host is what handlers see of the region they run in. Errors of its methods,
// as of Session's and Regions', are resp.Errors where Redis has a text for
// them; ConfigSet's is a *config.SetError.
type Host interface {
	Table() *Table
	Engine() *engine.Engine
	Config() *config.Config

	// NowMicros is the time of day in microseconds since the Unix epoch.
	NowMicros() int64

	// Sessions.

	// ClientLines shows sessions as Line does: in the order of f.IDs where it
	// names any, else by age.
	ClientLines(f ClientFilter) []string
	// KillClients closes what matches and returns how many; me is the caller,
	// whose own reply still leaves.
	KillClients(f ClientFilter, me Session) int
	// HasUser reports whether ACL knows the user.
	HasUser(name string) bool
	// Pause holds commands back. A pause that is on already is only ever made
	// longer and stricter.
	Pause(untilMs int64, mode PauseMode)
	Unpause()
	// Unblock ends the wait of a parked session; asError says how.
	Unblock(id int64, asError Switch) bool

	// ConfigSet applies all pairs or none, with their effects. Whether data is
	// being loaded is the host's to add to the caller.
	ConfigSet(pairs []config.Pair, caller config.Caller, inExec Switch) error
	// ConfigRewrite writes the configuration file.
	ConfigRewrite() error
	ResetStats()
	// Info is the text of INFO for the sections wanted, in lower case; none
	// are the default ones. counts counts the databases; it is the running
	// tx's, so that INFO can stand among the writes of a MULTI.
	Info(sections []string, counts func() map[int]engine.DBInfo) string
	// Shutdown begins the end of the server, or with Abort gives it up. Where
	// it returns nil no further command of any session runs. It may block.
	Shutdown(ShutdownMode) error

	// Save writes a snapshot. It blocks.
	Save() error
	// SaveInBackground writes a snapshot of the data as it is, or of a moment
	// soon.
	SaveInBackground(SaveTime) error
	// Flushed says that FLUSHALL has emptied every database. It is called when
	// that is committed, under the locks.
	Flushed()
	// LastSaveMs is when the last snapshot was complete, in milliseconds since
	// the epoch; before the first, when the server started.
	LastSaveMs() int64
	// RewriteLog makes the log on disk as short as it can be, soon. Where none
	// is kept it does nothing.
	RewriteLog() error

	// MakeDurable syncs the log, up to what is in it now. It blocks.
	MakeDurable() error

	Subscriptions() Subscriptions

	Memory() MemoryInfo
	// PurgeMemory gives memory that is not in use back to the system, soon.
	PurgeMemory()

	// SetActiveExpire stops and restarts the reclaiming of expired keys that
	// nobody reads, for tests.
	SetActiveExpire(Switch)
	Debug() Debug

	Regions() Regions
}

// Subscriptions tells who listens to what, see package pubsub.
type Subscriptions interface {
	Active(k pubsub.Kind, pattern []byte) []string
	Subscribers(k pubsub.Kind, name string) int
	Size(k pubsub.Kind) int
}

// ShutdownMode says what SHUTDOWN does first.
type ShutdownMode struct {
	Save  Choice
	Now   Switch
	Force Switch
	Abort Switch
}

// SaveTime is when a snapshot is taken.
type SaveTime uint8

const (
	SaveNow SaveTime = iota
	// SaveLater is once locks are free and no other snapshot is written.
	SaveLater
)

// Choice is yes, no, or what the configuration says.
type Choice uint8

const (
	Default Choice = iota
	Yes
	No
)

// Regions is what REGION and CLOSEST handlers see of the deployment.
type Regions interface {
	// List describes every region, this one first.
	List() []RegionInfo
	// Add makes a sibling; it is remembered over restarts.
	Add(r RegionSpec) error
	Remove(name string) error
	SetDrain(Switch)
	// Digest is the digest of all data and the vector it was taken at.
	Digest() (digest uint64, vector string)
	Closest(q ClosestQuery) ([]ClosestAnswer, resp.Error)
	// Frame takes in a sibling's frame.
	Frame(from string, frame []byte) error
	// Syncing is set while this region takes in a full copy.
	Syncing() bool
	// Configured reports whether there are siblings.
	Configured() bool
}

// RegionSpec is what REGION ADD says of a sibling.
type RegionSpec struct {
	Name, Endpoint string
	Lat, Lon       float64
	Located        Switch
	Join           JoinMode
}

// JoinMode says what happens where both regions already hold data.
type JoinMode uint8

const (
	// JoinRefuse links only regions of which one is empty.
	JoinRefuse JoinMode = iota
	// JoinMerge joins both.
	JoinMerge
	// JoinEmpty empties this region first.
	JoinEmpty
)

// RegionInfo is one region as REGION LIST and INFO show it, in field order.
type RegionInfo struct {
	Name   string
	Fields []Field
}

// Field is one named value of a RegionInfo: an int64, a float64 or a string.
type Field struct {
	Name  string
	Value any
}

// ClosestQuery is CLOSEST's question.
type ClosestQuery struct {
	Lat, Lon float64
	Located  Switch // off: ask from the client's address, or from here
	ClientIP string
	ByRTT    Switch
	Count    int
	MaxLagMs int64 // 0: any
}

// ClosestAnswer is one region of CLOSEST's answer.
type ClosestAnswer struct {
	Name, Endpoint string
	DistanceKm     float64 // these three: negative where unknown
	RTTMs          float64
	LagMs          float64
	State          string
}
