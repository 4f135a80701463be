package resp

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// Error is an error reply without its leading '-': a code in capitals, a space, a text. The texts of this file are the
// contract with clients and equal Redis' wherever Redis has one.
type Error string

// Error returns the whole reply text.
func (e Error) Error() string { return string(e) }

// Code returns the first word, the key under which INFO errorstats counts.
func (e Error) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Values and arguments.
const (
	ErrWrongType       Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrSyntax          Error = "ERR syntax error"
	ErrNotInt          Error = "ERR value is not an integer or out of range"
	ErrNotFloat        Error = "ERR value is not a valid float"
	ErrOutOfRange      Error = "ERR value is out of range"
	ErrNotPositive     Error = "ERR value is out of range, must be positive"
	ErrNotInt32        Error = "ERR value is out of range, value must between -2147483648 and 2147483647"
	ErrIndexRange      Error = "ERR index out of range"
	ErrNumKeys         Error = "ERR numkeys should be greater than 0"
	ErrTooManyKeys     Error = "ERR Number of keys can't be greater than number of args"
	ErrInvalidCursor   Error = "ERR invalid cursor"
	ErrNoSuchKey       Error = "ERR no such key"
	ErrSameObject      Error = "ERR source and destination objects are the same"
	ErrBusyKey         Error = "BUSYKEY Target key name already exists."
	ErrTimeoutNotInt   Error = "ERR timeout is not an integer or out of range"
	ErrTimeoutNotFloat Error = "ERR timeout is not a float or out of range"
	ErrTimeoutRange    Error = "ERR timeout is out of range"
	ErrTimeoutNegative Error = "ERR timeout is negative"
)

// Databases.
const (
	ErrDBRange         Error = "ERR DB index is out of range"
	ErrInvalidFirstDB  Error = "ERR invalid first DB index"
	ErrInvalidSecondDB Error = "ERR invalid second DB index"
	ErrSwapDBSiblings  Error = "ERR SWAPDB is not allowed while siblings are configured"
	ErrFlushSyncing    Error = "LOADING This region is taking in a full copy of a sibling: flush once that is complete"
)

// Strings, counters, LCS.
const (
	ErrOverflow          Error = "ERR increment or decrement would overflow"
	ErrDecrOverflow      Error = "ERR decrement would overflow"
	ErrIncrNaN           Error = "ERR increment would produce NaN or Infinity"
	ErrValueNaN          Error = "ERR value is NaN or Infinity"
	ErrStringTooLong     Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrOffsetRange       Error = "ERR offset is out of range"
	ErrBitOffset         Error = "ERR bit offset is not an integer or out of range"
	ErrBit               Error = "ERR bit is not an integer or out of range"
	ErrLCSNotStrings     Error = "ERR The specified keys must contain string values"
	ErrLCSLenAndIdx      Error = "ERR If you want both the length and indexes, please just use IDX."
	ErrLCSStringTooLong  Error = "ERR String too long for LCS"
	ErrLCSMemory         Error = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
	ErrConditionNoString Error = "ERR Key should be of string type if conditions are specified"
	ErrDigestFormat      Error = "ERR must be exactly 16 hexadecimal characters"
	ErrInvalidNumKeys    Error = "ERR invalid numkeys value"
	ErrPairCount         Error = "ERR wrong number of key-value pairs"
	ErrENXNoExpire       Error = "ERR ENX flag requires an expiration"
	ErrCASToken          Error = "ERR invalid CAS token"
	ErrIncrBounds        Error = "ERR LBOUND can't be greater than UBOUND"
)

// Bits and HyperLogLogs.
const (
	ErrBitArgument     Error = "ERR The bit argument must be 1 or 0."
	ErrBitOpNot        Error = "ERR BITOP NOT must be called with a single source key."
	ErrFieldType       Error = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	ErrFieldOverflow   Error = "ERR Invalid OVERFLOW type specified"
	ErrFieldReadOnly   Error = "ERR BITFIELD_RO only supports the GET subcommand"
	ErrNotHyperLogLog  Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	ErrHyperLogLogBad  Error = "INVALIDOBJ Corrupted HLL object detected"
	ErrHyperLogLogForm Error = "ERR HLL encoding is not sparse"
	ErrNoSuchSketch    Error = "ERR The specified key does not exist"
)

// BitOpSources returns the error of BITOP for an operator, in capitals, that needs two source keys.
func BitOpSources(operator string) Error {
	return Error("ERR BITOP " + operator + " must be called with at least two source keys.")
}

// UnknownSketchCommand returns the error of PFDEBUG for a subcommand that does not exist.
func UnknownSketchCommand(name []byte) Error {
	return Error("ERR Unknown PFDEBUG subcommand '" + cString(name, len(name)) + "'")
}

// SelfTestFailed returns the error of PFSELFTEST; cause says what went wrong.
func SelfTestFailed(cause string) Error { return Error("TESTFAILED " + cause) }

// SORT, DUMP, RESTORE, WAIT.
const (
	ErrSortNotFloat   Error = "ERR One or more scores can't be converted into double"
	ErrRestoreTTL     Error = "ERR Invalid TTL value, must be >= 0"
	ErrRestoreIdle    Error = "ERR Invalid IDLETIME value, must be >= 0"
	ErrRestoreFreq    Error = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	ErrRestoreFooter  Error = "ERR DUMP payload version or checksum are wrong"
	ErrRestoreFormat  Error = "ERR Bad data format"
	ErrWaitAppendOnly Error = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
)

// Hashes, fields with deadlines, sets.
const (
	ErrHashNotInt       Error = "ERR hash value is not an integer"
	ErrHashNotFloat     Error = "ERR hash value is not a float"
	ErrLimitNegative    Error = "ERR LIMIT can't be negative"
	ErrFieldsMissing    Error = "ERR Mandatory argument FIELDS is missing or not at the right position"
	ErrFieldsPositive   Error = "ERR Number of fields must be a positive integer"
	ErrNumFields        Error = "ERR Parameter `numFields` should be greater than 0"
	ErrFieldsMatch      Error = "ERR The `numfields` parameter must match the number of arguments"
	ErrFieldsInvalid    Error = "ERR invalid number of fields"
	ErrExpireNegative   Error = "ERR invalid expire time, must be >= 0"
	ErrExpireMissing    Error = "ERR missing expire time"
	ErrFieldConditions  Error = "ERR Only one of FXX or FNX arguments can be specified"
	ErrFieldExpirations Error = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
)

// UnknownArgument returns the error of HSETEX for an option that does not exist.
func UnknownArgument(arg []byte) Error {
	return Error("ERR unknown argument: " + cString(arg, len(arg)))
}

// Streams.
const (
	ErrStreamID         Error = "ERR Invalid stream ID specified as stream command argument"
	ErrStreamIDZero     Error = "ERR The ID specified in XADD must be greater than 0-0"
	ErrStreamIDSmall    Error = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	ErrStreamExhausted  Error = "ERR The stream has exhausted the last possible ID, unable to add more items"
	ErrStreamTooLarge   Error = "ERR Elements are too large to be stored"
	ErrTrimTwice        Error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	ErrTrimLength       Error = "ERR The MAXLEN argument must be >= 0."
	ErrTrimLimit        Error = "ERR The LIMIT argument must be >= 0."
	ErrTrimLimitAlone   Error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	ErrTrimLimitExact   Error = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	ErrTrimMissing      Error = "ERR syntax error, XTRIM must be called with a trimming strategy"
	ErrIntervalStart    Error = "ERR invalid start ID for the interval"
	ErrIntervalEnd      Error = "ERR invalid end ID for the interval"
	ErrXReadGroup       Error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadNoAck       Error = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadClaim       Error = "ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead."
	ErrXReadNew         Error = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	ErrGroupMissing     Error = "ERR Missing GROUP option for XREADGROUP"
	ErrGroupReadDollar  Error = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	ErrGroupExists      Error = "BUSYGROUP Consumer Group name already exists"
	ErrGroupNoKey       Error = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
	ErrGroupGone        Error = "NOGROUP the consumer group this client was blocked on no longer exists"
	ErrStreamGone       Error = "UNBLOCKED the stream key no longer exists"
	ErrEntriesRead      Error = "ERR value for ENTRIESREAD must be positive or -1"
	ErrEntriesAdded     Error = "ERR entries_added must be positive"
	ErrSetIDDeletedArg  Error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	ErrSetIDDeleted     Error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
	ErrSetIDTop         Error = "ERR The ID specified in XSETID is smaller than the target stream top item"
	ErrSetIDAdded       Error = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	ErrClaimIdle        Error = "ERR Invalid min-idle-time argument for XCLAIM"
	ErrClaimIdleOption  Error = "ERR Invalid IDLE option argument for XCLAIM"
	ErrClaimTime        Error = "ERR Invalid TIME option argument for XCLAIM"
	ErrClaimRetries     Error = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
	ErrAutoClaimIdle    Error = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
	ErrAutoClaimCount   Error = "ERR COUNT must be > 0"
	ErrReadIdle         Error = "ERR min-idle-time is not an integer"
	ErrReadIdleNegative Error = "ERR min-idle-time must be a positive integer"
	ErrIDsPositive      Error = "ERR Number of IDs must be a positive integer"
	ErrIDsMatch         Error = "ERR The `numids` parameter must match the number of arguments"
	ErrIDsMissing       Error = "ERR IDS option is required"
)

// NoGroup returns the error for a stream or consumer group that does not exist.
func NoGroup(key, group []byte) Error {
	return Error("NOGROUP No such key '" + cString(key, len(key)) + "' or consumer group '" + cString(group, len(group)) + "'")
}

// NoGroupToRead is NoGroup for XREADGROUP.
func NoGroupToRead(key, group []byte) Error {
	return NoGroup(key, group) + " in XREADGROUP with GROUP option"
}

// NoGroupOf returns the error for a consumer group that the stream does not have.
func NoGroupOf(key, group []byte) Error {
	return Error("NOGROUP No such consumer group '" + cString(group, len(group)) + "' for key name '" + cString(key, len(key)) + "'")
}

// UnbalancedStreams returns the error for keys and ids of XREAD or XREADGROUP that do not pair; command is its name in
// lower case and id what may stand for an id.
func UnbalancedStreams(c Compat, command, id string) Error {
	if c == Compat70 {
		return "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
	}
	return Error("ERR Unbalanced '" + command + "' list of streams: for each stream key an ID or '" + id + "' must be specified.")
}

// UnknownClaimOption returns the error for an option of XCLAIM that does not exist.
func UnknownClaimOption(option []byte) Error {
	return Error("ERR Unrecognized XCLAIM option '" + cString(option, len(option)) + "'")
}

// Lists.
const (
	ErrRankZero       Error = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	ErrNegativeCount  Error = "ERR COUNT can't be negative"
	ErrNegativeMaxLen Error = "ERR MAXLEN can't be negative"
)

// Sorted sets.
const (
	ErrScoreNaN         Error = "ERR resulting score is not a number (NaN)"
	ErrZAddNXXX         Error = "ERR XX and NX options at the same time are not compatible"
	ErrZAddCompare      Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	ErrZAddIncr         Error = "ERR INCR option supports a single increment-element pair"
	ErrScoreRange       Error = "ERR min or max is not a float"
	ErrNameRange        Error = "ERR min or max not valid string range item"
	ErrLimitOfRanks     Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	ErrWithScoresByName Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	ErrWeight           Error = "ERR weight value is not a float"
)

// NoInputKeys returns the error for a command over several sorted sets that names none.
func NoInputKeys(command string) Error {
	return Error("ERR at least 1 input key is needed for '" + command + "' command")
}

// Geo.
const (
	ErrUnit           Error = "ERR unsupported unit provided. please use M, KM, FT, MI"
	ErrRadius         Error = "ERR need numeric radius"
	ErrRadiusNegative Error = "ERR radius cannot be negative"
	ErrBoxWidth       Error = "ERR need numeric width"
	ErrBoxHeight      Error = "ERR need numeric height"
	ErrBoxNegative    Error = "ERR height or width cannot be negative"
	ErrGeoMember      Error = "ERR could not decode requested zset member"
	ErrGeoCount       Error = "ERR COUNT must be > 0"
	ErrGeoAny         Error = "ERR the ANY argument requires COUNT argument"
	ErrVertices       Error = "ERR invalid number of vertices"
	ErrFewVertices    Error = "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"
	ErrStoreOfRadius  Error = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	ErrStoreOfSearch  Error = "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
)

// LonLatRange returns the error for coordinates that a geo set cannot hold.
func LonLatRange(lon, lat float64) Error {
	dst := append(appendSixDigits([]byte("ERR invalid longitude,latitude pair "), lon), ',')
	return Error(appendSixDigits(dst, lat))
}

func appendSixDigits(dst []byte, f float64) []byte {
	if math.IsInf(f, 0) {
		return AppendDouble(dst, f, Compat70)
	}
	return strconv.AppendFloat(dst, f, 'f', 6, 64)
}

// GeoFrom returns the error for a geo search without a center; command is as the client wrote it.
func GeoFrom(command []byte) Error {
	return Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + cString(command, len(command)))
}

// GeoBy returns the error for a geo search without a shape.
func GeoBy(command []byte) Error {
	return Error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + cString(command, len(command)))
}

// Expiry and OBJECT.
const (
	ErrExpireNXConflict   Error = "ERR NX and XX, GT or LT options at the same time are not compatible"
	ErrExpireGTLTConflict Error = "ERR GT and LT options at the same time are not compatible"
	ErrNoLFU              Error = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	ErrLFUNoIdleTime      Error = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
)

// Gates: what is refused before a command runs.
const (
	ErrNoAuth         Error = "NOAUTH Authentication required."
	ErrProtected      Error = "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside."
	ErrMaxClients     Error = "ERR max number of clients reached"
	ErrOOM            Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrLoading        Error = "LOADING Redis is loading the dataset in memory"
	ErrBusyScript     Error = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	ErrReadOnly       Error = "READONLY You can't write against a read only replica."
	ErrMisconfRDB     Error = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	ErrClusterOff     Error = "ERR This instance has cluster support disabled"
	ErrUnblocked      Error = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	ErrSaveRunning    Error = "ERR Background save already in progress"
	ErrRewriteRunning Error = "ERR Background append only file rewriting already in progress"
	ErrNoReason       Error = "ERR" // the log has more
	ErrShutdown       Error = "ERR Errors trying to SHUTDOWN. Check logs."
	ErrShutdownAbsent Error = "ERR No shutdown in progress."
	ErrSiblingOnly    Error = "NOPERM this command is for sibling regions only"
)

// MisconfAOF returns the refusal of writes after the log could not be written; cause is the system's error text.
func MisconfAOF(cause string) Error { return Error("MISCONF Errors writing to the AOF file: " + cause) }

// Authentication and permissions.
const (
	ErrWrongPass      Error = "WRONGPASS invalid username-password pair or user is disabled."
	ErrAuthNoPassword Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	ErrProtoNotInt    Error = "ERR Protocol version is not an integer or out of range"
	ErrNoProto        Error = "NOPROTO unsupported protocol version"
)

// HelloNoAuth returns the refusal of a HELLO that leaves the connection unauthenticated.
func HelloNoAuth(c Compat) Error {
	form := "HELLO <proto> AUTH <user> <pass>"
	if c == Compat70 {
		form = "HELLO AUTH <user> <pass>"
	}
	return Error("NOAUTH HELLO must be called with the client already authenticated, otherwise the " + form +
		" option can be used to authenticate the client and select the RESP protocol version at the same time")
}

// HelloSyntax returns the error for a HELLO option that is unknown or lacks its arguments.
func HelloSyntax(option []byte) Error {
	return Error("ERR Syntax error in HELLO option '" + cString(option, len(option)) + "'")
}

// NoPermCommand returns the refusal of a command by ACL; command is its full name ("config|set").
func NoPermCommand(c Compat, user, command string) Error {
	if c == Compat70 {
		return Error("NOPERM this user has no permissions to run the '" + command + "' command")
	}
	return Error("NOPERM User " + user + " has no permissions to run the '" + command + "' command")
}

// NoPermKey returns the refusal of a key by ACL.
func NoPermKey(c Compat) Error {
	if c == Compat70 {
		return "NOPERM this user has no permissions to access one of the keys used as arguments"
	}
	return "NOPERM No permissions to access a key"
}

// NoPermChannel returns the refusal of a channel by ACL.
func NoPermChannel(c Compat) Error {
	if c == Compat70 {
		return "NOPERM this user has no permissions to access one of the channels used as arguments"
	}
	return "NOPERM No permissions to access a channel"
}

// Transactions.
const (
	ErrMultiNested    Error = "ERR MULTI calls can not be nested"
	ErrExecNoMulti    Error = "ERR EXEC without MULTI"
	ErrDiscardNoMulti Error = "ERR DISCARD without MULTI"
	ErrWatchInMulti   Error = "ERR WATCH inside MULTI is not allowed"
	ErrNotInMulti     Error = "ERR Command not allowed inside a transaction"
	ErrExecAbort      Error = "EXECABORT Transaction discarded because of previous errors."
)

// ExecAbort returns the reply of an EXEC that a gate refused as a whole; cause is the gate's error.
func ExecAbort(cause Error) Error {
	text := strings.TrimPrefix(string(cause), "ERR ")
	return Error("EXECABORT Transaction discarded because of: " + text)
}

// ErrShardSubscribe refuses SSUBSCRIBE inside MULTI.
const ErrShardSubscribe Error = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"

// SubscribedOnly returns the refusal of a command on a RESP2 connection that has subscriptions.
func SubscribedOnly(command string) Error {
	return Error("ERR Can't execute '" + command + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
}

// Lookup and arity.

// UnknownCommand returns the error for a request whose first argument names no command. As in Redis it shows 128 bytes
// of the name and starts no further argument once 128 bytes of arguments are shown.
func UnknownCommand(args [][]byte) Error {
	var b strings.Builder
	b.WriteString("ERR unknown command '")
	if len(args) > 0 {
		b.WriteString(cString(args[0], 128))
		args = args[1:]
	}
	b.WriteString("', with args beginning with: ")
	start := b.Len()
	for _, arg := range args {
		room := 128 - (b.Len() - start)
		if room <= 0 {
			break
		}
		b.WriteString("'" + cString(arg, room) + "' ")
	}
	return Error(b.String())
}

// UnknownSubcommand returns the error for a container command whose subcommand does not exist.
func UnknownSubcommand(container string, subcommand []byte) Error {
	return Error("ERR unknown subcommand '" + cString(subcommand, 128) + "'. Try " + strings.ToUpper(container) + " HELP.")
}

// SubcommandSyntax returns the error of a handler that does not accept its subcommand's arguments.
func SubcommandSyntax(container string, subcommand []byte) Error {
	return Error("ERR unknown subcommand or wrong number of arguments for '" + cString(subcommand, 128) + "'. Try " +
		strings.ToUpper(container) + " HELP.")
}

// WrongArity returns the error for a wrong number of arguments; command is the full name in lower case ("config|get").
func WrongArity(command string) Error {
	return Error("ERR wrong number of arguments for '" + command + "' command")
}

// InvalidExpire returns the error for a time to live that is not positive or overflows.
func InvalidExpire(command string) Error {
	return Error("ERR invalid expire time in '" + command + "' command")
}

// UnsupportedOption returns the error for an option of the EXPIRE family that does not exist.
func UnsupportedOption(option []byte) Error {
	return Error("ERR Unsupported option " + cString(option, len(option)))
}

// IntRange returns the error for an integer outside lowest and highest.
func IntRange(lowest, highest int64) Error {
	return Error("ERR value is out of range, value must between " + strconv.FormatInt(lowest, 10) + " and " +
		strconv.FormatInt(highest, 10))
}

// COMMAND.
const (
	ErrInvalidCommand   Error = "ERR Invalid command specified"
	ErrNoKeyArguments   Error = "ERR The command has no key arguments"
	ErrGetKeysArity     Error = "ERR Invalid number of arguments specified for command"
	ErrGetKeysArguments Error = "ERR Invalid arguments specified for command"
	ErrNoConfigFile     Error = "ERR The server is running without a config file"
	ErrSlowlogCount     Error = "ERR count should be greater than or equal to -1"
	ErrCountNotPositive Error = "ERR count should be greater than 0"
)

// CONFIG.

// ConfigUnknown returns the error of CONFIG SET for a parameter that does not exist.
func ConfigUnknown(parameter string) Error {
	return Error("ERR Unknown option or number of arguments for CONFIG SET - '" + parameter + "'")
}

// ConfigSetFailed returns the error of CONFIG SET for a parameter that refuses its value; reason may be empty.
func ConfigSetFailed(parameter, reason string) Error {
	text := "ERR CONFIG SET failed (possibly related to argument '" + parameter + "')"
	if reason != "" {
		text += " - " + reason
	}
	return Error(text)
}

// ConfigRewriteFailed returns the error of CONFIG REWRITE; cause is the system's error text.
func ConfigRewriteFailed(cause string) Error { return Error("ERR Rewriting config file: " + cause) }

// Reasons of ConfigSetFailed that have their cause outside the configuration.
const (
	ReasonBind     = "Failed to bind to specified addresses."
	ReasonListen   = "Unable to listen on this port. Check server logs."
	ReasonTLS      = "Unable to update TLS configuration. Check server logs."
	ReasonDirInUse = "The store is open in the present directory."
	ReasonBusy     = "The server is being reconfigured. Try again."
)

// ReasonMaxClients is the reason for more clients than the limit of open files leaves room for.
func ReasonMaxClients(fits int64) string {
	return "The operating system is not able to handle the specified number of clients, try with " + strconv.FormatInt(fits, 10)
}

// DebugRefused returns the refusal of DEBUG or MODULE; option names the parameter that would permit it.
func DebugRefused(command, option string) Error {
	return Error("ERR " + command + " command not allowed. If the " + option +
		` option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`)
}

// DEBUG.
const (
	ErrProtocolType    Error = "ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
	ErrNeedsRESP3      Error = "ERR RESP2 is not supported by this command"
	ErrPackedThreshold Error = "ERR argument must be a memory value bigger than 1 and smaller than 4gb"
	ErrReloadOption    Error = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."
	ErrReload          Error = "ERR Error trying to load the RDB dump, check server logs"
	ErrLoadLog         Error = "ERR Error trying to load the AOF files, check server logs"
	ErrTablesDB        Error = "ERR Out of range database"
	ErrNoTable         Error = "ERR The value stored at the specified key is not represented using an hash table"
)

// CLIENT.
const (
	ErrClientName          Error = "ERR Client names cannot contain spaces, newlines or special characters."
	ErrClientIDPositive    Error = "ERR client-id should be greater than 0"
	ErrInvalidClientID     Error = "ERR Invalid client ID"
	ErrNoSuchClient        Error = "ERR No such client"
	ErrMaxAgeNotInt        Error = "ERR maxage is not an integer or out of range"
	ErrMaxAgePositive      Error = "ERR maxage should be greater than 0"
	ErrPauseMode           Error = "ERR CLIENT PAUSE mode must be WRITE or ALL"
	ErrUnblockReason       Error = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
	ErrClientCachingNoMode Error = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)

// NoSuchUser returns the error for a user name that ACL does not know.
func NoSuchUser(name []byte) Error {
	return Error("ERR No such user '" + cString(name, len(name)) + "'")
}

// UnknownClientType returns the error of CLIENT KILL and LIST for a TYPE that does not exist.
func UnknownClientType(name []byte) Error {
	return Error("ERR Unknown client type '" + cString(name, len(name)) + "'")
}

// UnrecognizedOption returns the error of CLIENT SETINFO for an attribute that does not exist.
func UnrecognizedOption(option []byte) Error {
	return Error("ERR Unrecognized option '" + cString(option, len(option)) + "'")
}

// ClientInfoChars returns the error of CLIENT SETINFO for a value with forbidden characters.
func ClientInfoChars(attribute []byte) Error {
	return Error("ERR " + cString(attribute, len(attribute)) + " cannot contain spaces, newlines or special characters.")
}

// Regions and CLOSEST, which Redis does not have.
const (
	ErrLatitude          Error = "ERR invalid latitude: must be a number from -90 to 90"
	ErrLongitude         Error = "ERR invalid longitude: must be a number from -180 to 180"
	ErrNoRegion          Error = "ERR this server has no region name: set 'region' in its configuration"
	ErrNoRegionLocation  Error = "ERR no region has a location: set 'region-location' and the siblings' coordinates"
	ErrInvalidAddress    Error = "ERR invalid IP address"
	ErrRegionFrame       Error = "ERR malformed sibling frame"
	ErrSiblingIsItself   Error = "ERR a region cannot be its own sibling"
	ErrRegionBothHave    Error = "ERR both regions hold data: say which side is emptied, or MERGE"
	ErrSiblingUnsafeLink Error = "ERR a sibling link off loopback needs TLS or a password"
)

// NoSuchRegion returns the error for a region name that is not configured.
func NoSuchRegion(name []byte) Error {
	return Error("ERR No such region '" + cString(name, len(name)) + "'")
}

// RegionExists returns the error for a region name that is configured already.
func RegionExists(name []byte) Error {
	return Error("ERR Region '" + cString(name, len(name)) + "' already exists")
}

// Wrap returns an error reply around the text of an error from a lower layer.
func Wrap(err error) Error { return Error("ERR " + err.Error()) }

// cString returns what C's %.*s shows of b: at most limit bytes, none from the first NUL on.
func cString(b []byte, limit int) string {
	b = b[:min(len(b), limit)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
