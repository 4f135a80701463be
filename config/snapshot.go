package config

// Snapshot is one consistent set of values. Nobody may change it or its slices.
// Fields with a unit in the parameter's documentation carry it in their name;
// sizes are bytes.
type Snapshot struct {
	// Network.
	Bind                  []string
	Port                  int
	UnixSocket            string
	UnixSocketPerm        int
	ProtectedMode         bool
	TCPBacklog            int
	TimeoutSeconds        int
	TCPKeepaliveSeconds   int
	MaxClients            int
	IOThreads             int
	ProtoMaxBulkLen       int64
	ClientQueryBufLimit   int64
	ClientOutputBufLimits OutputLimits
	MaxMemoryClients      int64 // negative: a percentage of MaxMemory
	NotifyKeyspaceEvents  string

	// TLS.
	TLSPort              int
	TLSCertFile          string
	TLSKeyFile           string
	TLSKeyFilePass       string
	TLSClientCertFile    string
	TLSClientKeyFile     string
	TLSClientKeyFilePass string
	TLSCACertFile        string
	TLSCACertDir         string
	TLSAuthClients       TLSAuth
	TLSProtocols         string

	// General.
	Daemonize         bool
	Supervised        Supervisor
	PidFile           string
	LogLevel          LogLevel
	LogFile           string
	LogFormat         LogFormat
	Databases         int
	Compat            Compat
	ShutdownOnSigint  ShutdownFlags
	ShutdownOnSigterm ShutdownFlags

	// Security.
	RequirePass            string
	EnableDebugCommand     Access
	EnableProtectedConfigs Access

	// Memory and expiry.
	MaxMemory                 int64
	MaxMemoryPolicy           string
	MaxMemorySamples          int
	MaxMemoryEvictionTenacity int
	LFULogFactor              int
	LFUDecayTimeMinutes       int
	ActiveExpireEffort        int
	DefaultTTLSeconds         int64
	MaxTTLSeconds             int64

	// Disk.
	Dir        string
	DBFilename string
	Save       []SavePoint
	// StopWritesOnSaveError refuses writes after a snapshot failed.
	StopWritesOnSaveError bool
	AppendOnly            bool
	AppendFsync           Fsync
	CheckpointLogSize     int64
	PebbleCacheSize       int64
	PebbleMemtableSize    int64

	// Regions.
	Region                string
	RegionLocation        Location
	RegionEndpoint        string
	Siblings              []Sibling
	SiblingAuthUser       string
	SiblingAuthPass       string
	SiblingTLS            bool
	SiblingAllowPlaintext bool
	GeoIPFile             string
	LogRetentionSize      int64
	MaxClockSkewMs        int64

	// Data structures. See package engine for what they decide.
	Shards                 int
	HLLSparseMaxBytes      int64
	HashMaxListpackEntries int64
	HashMaxListpackValue   int64
	ListMaxListpackSize    int
	SetMaxIntsetEntries    int64
	SetMaxListpackEntries  int64
	SetMaxListpackValue    int64
	ZSetMaxListpackEntries int64
	ZSetMaxListpackValue   int64
	StreamNodeMaxBytes     int64
	StreamNodeMaxEntries   int64

	// unused holds the values of parameters without effect, by name.
	unused map[string]any
}

// Fsync is when a commit is synced.
type Fsync uint8

const (
	FsyncEverySec Fsync = iota
	FsyncAlways
	FsyncNo
)

// TLSAuth is whether clients need a certificate.
type TLSAuth uint8

const (
	TLSAuthNo TLSAuth = iota
	TLSAuthYes
	TLSAuthOptional
)

// Supervisor is who is told when the server is ready.
type Supervisor uint8

const (
	SupervisorUpstart Supervisor = iota
	SupervisorSystemd
	SupervisorAuto
	SupervisorNone
)

// LogLevel is the least severity logged.
type LogLevel uint8

const (
	LogDebug LogLevel = iota
	LogVerbose
	LogNotice
	LogWarning
	LogNothing
)

// LogFormat is the form of log lines.
type LogFormat uint8

const (
	LogText LogFormat = iota
	LogJSON
)

// Compat is the Redis version whose observable details are shown.
type Compat uint8

const (
	Compat70 Compat = iota
	Compat72
)

// Access is who may use a guarded feature.
type Access uint8

const (
	AccessNo Access = iota
	AccessYes
	AccessLocal
)

// Allows reports whether the caller is among those.
func (a Access) Allows(c Caller) bool {
	return a == AccessYes || (a == AccessLocal && c.Local)
}

// ShutdownFlags are the options a signal's shutdown runs with; 0 is the default
// shutdown.
type ShutdownFlags uint8

const (
	ShutdownSave ShutdownFlags = 1 << iota
	ShutdownNoSave
	ShutdownNow
	ShutdownForce
)

// SavePoint asks for a snapshot after Seconds with at least Changes changes.
type SavePoint struct{ Seconds, Changes int64 }

// OutputLimit bounds one class of clients; zero means no limit.
type OutputLimit struct{ Hard, Soft, SoftSeconds int64 }

// OutputLimits bounds the output of every class of clients.
type OutputLimits struct{ Normal, Replica, PubSub OutputLimit }

// Location is a place in degrees; Known tells the equator from no answer.
type Location struct {
	Lat, Lon float64
	Known    bool
}

// Sibling is one configured sibling region; Endpoint is host:port.
type Sibling struct {
	Name, Endpoint string
	Location       Location
}
