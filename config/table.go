package config

import (
	"math"
	"strings"
)

// group is a section of the table and of the documentation.
type group struct {
	name   string
	params []*Param
}

// groups is the table. Sizes, limits, ranges and defaults are Redis 7.2's
// wherever Redis has the parameter.
func groups() []group {
	return []group{
		{"Network", networkParams()},
		{"TLS", tlsParams()},
		{"General", generalParams()},
		{"Security", securityParams()},
		{"Memory and expiry", memoryParams()},
		{"Disk", diskParams()},
		{"Regions", regionParams()},
		{"Observation", observationParams()},
		{"Data structures", structureParams()},
		{"Without effect: Redis' persistence", unusedDiskParams()},
		{"Without effect: Redis' replication", unusedReplicaParams()},
		{"Without effect: Redis Cluster", unusedClusterParams()},
		{"Without effect: process and system", unusedSystemParams()},
	}
}

const maxInt = math.MaxInt32

func networkParams() []*Param {
	return []*Param{
		field("bind", words(16, reasonBindCount), []string{"*", "-::*"}, func(s *Snapshot) *[]string { return &s.Bind },
			"Addresses to listen on; one with a leading dash may be missing on the machine. None closes the TCP ports."),
		field("port", integer(0, 65535), 6379, func(s *Snapshot) *int { return &s.Port },
			"TCP port for clients and sibling regions; 0 listens on none."),
		field("unixsocket", anyText(), "", func(s *Snapshot) *string { return &s.UnixSocket },
			"Path of a unix socket to listen on as well.").with(Immutable).example("/run/geocache.sock"),
		field("unixsocketperm", octal(0o777), 0, func(s *Snapshot) *int { return &s.UnixSocketPerm },
			"Access mode of the unix socket; 0 leaves it to the umask.").with(Immutable),
		field("protected-mode", yesNo(), true, func(s *Snapshot) *bool { return &s.ProtectedMode },
			"While no password is set, refuse clients that do not come over loopback."),
		field("tcp-backlog", integer(0, maxInt), 511, func(s *Snapshot) *int { return &s.TCPBacklog },
			"Length of the queue of connections not yet accepted.").with(Immutable),
		field("timeout", integer(0, maxInt), 0, func(s *Snapshot) *int { return &s.TimeoutSeconds },
			"Seconds after which an idle client is closed; 0 keeps it."),
		field("tcp-keepalive", integer(0, maxInt), 300, func(s *Snapshot) *int { return &s.TCPKeepaliveSeconds },
			"Seconds between TCP keepalive probes; 0 sends none."),
		field("maxclients", integer(1, math.MaxUint32), 10000, func(s *Snapshot) *int { return &s.MaxClients },
			"Most clients connected at one time."),
		field("io-threads", integer(1, 128), 1, func(s *Snapshot) *int { return &s.IOThreads },
			"Event loops, each in a thread, among which TCP and unix sockets are shared out on Linux. With one, commands run in the order in which they arrive, whatever connection they come on; more use more processors. TLS has a goroutine for each connection.").with(Immutable),
		field("proto-max-bulk-len", size(1<<20), 512<<20, func(s *Snapshot) *int64 { return &s.ProtoMaxBulkLen },
			"Largest single argument of a request, and largest string value."),
		field("client-query-buffer-limit", size(1<<20), 1<<30, func(s *Snapshot) *int64 { return &s.ClientQueryBufLimit },
			"Most bytes of unprocessed requests one client may have queued before it is closed."),
		field("client-output-buffer-limit", outputLimits(), defaultOutputLimits(), func(s *Snapshot) *OutputLimits { return &s.ClientOutputBufLimits },
			"Closes a client whose unread replies exceed the hard size, or the soft size for the given seconds; 0 is no limit. Clients with subscriptions are of the class pubsub, all others of the class normal; replica has no clients yet."),
		field("maxmemory-clients", sizeOrPercent(), 0, func(s *Snapshot) *int64 { return &s.MaxMemoryClients },
			"Memory for all clients together, also as a percentage of maxmemory; beyond it the largest are closed, but for those with CLIENT NO-EVICT; 0 is no limit, less than 128kb counts as that."),
		unused("bind-source-addr", anyText(), "", "Links to siblings leave from the address the system chooses."),
	}
}

func defaultOutputLimits() OutputLimits {
	return OutputLimits{
		Replica: OutputLimit{256 << 20, 64 << 20, 60},
		PubSub:  OutputLimit{32 << 20, 8 << 20, 60},
	}
}

func tlsParams() []*Param {
	return []*Param{
		field("tls-port", integer(0, 65535), 0, func(s *Snapshot) *int { return &s.TLSPort },
			"TCP port that speaks TLS; 0 listens on none."),
		field("tls-cert-file", anyText(), "", func(s *Snapshot) *string { return &s.TLSCertFile },
			"Certificate shown to clients, in PEM form."),
		field("tls-key-file", anyText(), "", func(s *Snapshot) *string { return &s.TLSKeyFile },
			"Private key of tls-cert-file, in PEM form."),
		field("tls-key-file-pass", anyText(), "", func(s *Snapshot) *string { return &s.TLSKeyFilePass },
			"Password of tls-key-file, if it is encrypted.").with(Sensitive),
		field("tls-client-cert-file", anyText(), "", func(s *Snapshot) *string { return &s.TLSClientCertFile },
			"Certificate shown to siblings; by default tls-cert-file."),
		field("tls-client-key-file", anyText(), "", func(s *Snapshot) *string { return &s.TLSClientKeyFile },
			"Private key of tls-client-cert-file."),
		field("tls-client-key-file-pass", anyText(), "", func(s *Snapshot) *string { return &s.TLSClientKeyFilePass },
			"Password of tls-client-key-file, if it is encrypted.").with(Sensitive),
		field("tls-ca-cert-file", anyText(), "", func(s *Snapshot) *string { return &s.TLSCACertFile },
			"Certificates of the authorities that clients' and siblings' certificates are checked against."),
		field("tls-ca-cert-dir", anyText(), "", func(s *Snapshot) *string { return &s.TLSCACertDir },
			"Directory of such certificates."),
		field("tls-auth-clients", enum[TLSAuth]("no", "yes", "optional"), TLSAuthYes, func(s *Snapshot) *TLSAuth { return &s.TLSAuthClients },
			"Whether a client must show a certificate; optional checks one that is shown."),
		field("tls-protocols", anyText(), "", func(s *Snapshot) *string { return &s.TLSProtocols },
			"TLS versions allowed, such as \"TLSv1.2 TLSv1.3\"; empty allows these two."),
		unused("tls-ciphers", anyText(), "", "Go's TLS chooses the ciphers of TLS 1.2."),
		unused("tls-ciphersuites", anyText(), "", "Go's TLS chooses the ciphers of TLS 1.3."),
		unused("tls-dh-params-file", anyText(), "", "Go's TLS uses elliptic curves only."),
		unused("tls-prefer-server-ciphers", yesNo(), false, "Go's TLS orders the ciphers."),
		unused("tls-session-caching", yesNo(), true, "Go's TLS resumes sessions with tickets."),
		unused("tls-session-cache-size", integer(0, maxInt), 20480, "Go's TLS resumes sessions with tickets."),
		unused("tls-session-cache-timeout", integer(0, maxInt), 300, "Go's TLS resumes sessions with tickets."),
		unused("tls-replication", yesNo(), false, "See sibling-tls."),
		unused("tls-cluster", yesNo(), false, "There is no cluster bus."),
	}
}

func generalParams() []*Param {
	shutdown := "What a shutdown by this signal does: save or nosave writes a snapshot or none, whatever save says; force ends even if the data cannot be written; now waits for no replica, as there are none."
	return []*Param{
		field("daemonize", yesNo(), false, func(s *Snapshot) *bool { return &s.Daemonize },
			"Start again in the background, detached from the terminal.").with(Immutable),
		field("supervised", enum[Supervisor]("upstart", "systemd", "auto", "no"), SupervisorNone, func(s *Snapshot) *Supervisor { return &s.Supervised },
			"Tell the supervising process when the server is ready: systemd and auto do, over NOTIFY_SOCKET; upstart is taken for no.").with(Immutable),
		field("pidfile", anyText(), "", func(s *Snapshot) *string { return &s.PidFile },
			"File that holds the process id while the server runs.").with(Immutable).example("/run/geocache.pid"),
		field("loglevel", enum[LogLevel]("debug", "verbose", "notice", "warning", "nothing"), LogNotice, func(s *Snapshot) *LogLevel { return &s.LogLevel },
			"Least severity that is logged."),
		field("logfile", anyText(), "", func(s *Snapshot) *string { return &s.LogFile },
			"File for log lines; empty writes to the standard output.").with(Immutable),
		field("log-format", enum[LogFormat]("text", "json"), LogText, func(s *Snapshot) *LogFormat { return &s.LogFormat },
			"Form of log lines.").with(Immutable),
		field("databases", integer(1, maxInt), 16, func(s *Snapshot) *int { return &s.Databases },
			"Number of databases that SELECT can choose.").with(Immutable),
		unused("hz", rate(1, 500), 10, "Background work runs a hundred times a second and does more when there is more to do."),
		field("compat-version", enum[Compat]("7.0", "7.2"), Compat72, func(s *Snapshot) *Compat { return &s.Compat },
			"Redis version whose encodings, error texts and number formats clients see where the two differ."),
		field("shutdown-on-sigint", shutdownFlags(), 0, func(s *Snapshot) *ShutdownFlags { return &s.ShutdownOnSigint }, shutdown),
		field("shutdown-on-sigterm", shutdownFlags(), 0, func(s *Snapshot) *ShutdownFlags { return &s.ShutdownOnSigterm }, shutdown),
	}
}

func securityParams() []*Param {
	access := []string{"no", "yes", "local"}
	return []*Param{
		field("requirepass", anyText(), "", func(s *Snapshot) *string { return &s.RequirePass },
			"Password of the default user; empty asks for none.").with(Sensitive),
		field("enable-debug-command", enum[Access](access...), AccessNo, func(s *Snapshot) *Access { return &s.EnableDebugCommand },
			"Who may use DEBUG; local are clients over loopback and the unix socket.").with(Immutable),
		field("enable-protected-configs", enum[Access](access...), AccessNo, func(s *Snapshot) *Access { return &s.EnableProtectedConfigs },
			"Who may change dir and dbfilename at run time.").with(Immutable),
		unused("enable-module-command", choice(access...), "no", "There are no modules.").with(Immutable),
		unused("aclfile", text(onlyEmpty("ACL files are not supported by geocache")), "",
			"Refused unless empty: users come from requirepass.").with(Immutable),
		unused("acl-pubsub-default", choice("allchannels", "resetchannels"), "resetchannels", "Users come from requirepass."),
		unused("acllog-max-len", integer[int64](0, math.MaxInt64), 128, "There is no ACL log."),
	}
}

// onlyEmpty refuses values that it would be dangerous to accept and ignore.
func onlyEmpty(reason string) func(string) error {
	return optional(func(string) error { return refusal(reason) })
}

func memoryParams() []*Param {
	return []*Param{
		field("maxmemory", size(0), 0, func(s *Snapshot) *int64 { return &s.MaxMemory },
			"Memory for data; beyond it keys are evicted or writes refused, as maxmemory-policy says; 0 is no limit."),
		field("maxmemory-policy", choice("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "volatile-lrm",
			"allkeys-lru", "allkeys-lfu", "allkeys-random", "allkeys-lrm", "noeviction", "volatile-wtinylfu", "allkeys-wtinylfu"), "noeviction",
			func(s *Snapshot) *string { return &s.MaxMemoryPolicy },
			"What is evicted first: volatile policies take keys with a deadline only; lru least recently used, lrm least recently modified, lfu least often used, ttl soonest to expire; wtinylfu weighs how recent against how often, and notices which of them the traffic rewards."),
		field("maxmemory-samples", integer(1, maxInt), 5, func(s *Snapshot) *int { return &s.MaxMemorySamples },
			"Keys compared for one eviction; more is closer to the exact order and slower."),
		field("maxmemory-eviction-tenacity", integer(0, 100), 10, func(s *Snapshot) *int { return &s.MaxMemoryEvictionTenacity },
			"How long one command may be held up by evictions: 0 not at all, 10 half a millisecond, 99 two minutes, 100 as long as it takes."),
		field("lfu-log-factor", integer(0, maxInt), 10, func(s *Snapshot) *int { return &s.LFULogFactor },
			"How slowly a key's use counter saturates."),
		field("lfu-decay-time", integer(0, maxInt), 1, func(s *Snapshot) *int { return &s.LFUDecayTimeMinutes },
			"Minutes after which a key's use counter drops by one; 0 keeps it."),
		field("active-expire-effort", integer(1, 10), 1, func(s *Snapshot) *int { return &s.ActiveExpireEffort },
			"How hard the background looks for expired keys."),
		field("default-ttl", integer[int64](0, maxTTL), 0, func(s *Snapshot) *int64 { return &s.DefaultTTLSeconds },
			"Seconds to live for keys written without a deadline; 0 lets them live on."),
		field("max-ttl", integer[int64](0, maxTTL), 0, func(s *Snapshot) *int64 { return &s.MaxTTLSeconds },
			"Longest time to live in seconds; longer ones are shortened; 0 is no limit."),
		unused("lazyfree-lazy-eviction", yesNo(), false, whyFree),
		unused("lazyfree-lazy-expire", yesNo(), false, whyFree),
		unused("lazyfree-lazy-server-del", yesNo(), false, whyFree),
		unused("lazyfree-lazy-user-del", yesNo(), false, whyFree),
		unused("lazyfree-lazy-user-flush", yesNo(), false, whyFree),
	}
}

// maxTTL is a hundred years in seconds: more than any cache, less than any
// overflow in milliseconds.
const maxTTL = 100 * 366 * 86400

func diskParams() []*Param {
	return []*Param{
		field("dir", directory(), ".", func(s *Snapshot) *string { return &s.Dir },
			"Directory of the data. While the store is open it takes no other value.").with(Protected | DenyLoading | Forced),
		field("dbfilename", text(noPath(reasonDBFilename, "")), "dump.rdb", func(s *Snapshot) *string { return &s.DBFilename },
			"Snapshot file in dir, of Redis' kind: SAVE and BGSAVE write it, and while appendonly is no save points and a shutdown, and a start loads it.").with(Protected),
		field("save", savePoints(), []SavePoint{{3600, 1}, {300, 100}, {60, 10000}}, func(s *Snapshot) *[]SavePoint { return &s.Save },
			"While appendonly is no, write a snapshot after this many seconds with at least so many changes, and at a shutdown; \"\" never does."),
		field("stop-writes-on-bgsave-error", yesNo(), true, func(s *Snapshot) *bool { return &s.StopWritesOnSaveError },
			"While appendonly is no and save is not empty, refuse writes after a snapshot in the background failed, until one succeeds."),
		field("appendonly", yesNo(), true, func(s *Snapshot) *bool { return &s.AppendOnly },
			"Keep every write in the log on disk. Redis' default is no.").with(DenyLoading),
		field("appendfsync", enum[Fsync]("everysec", "always", "no"), FsyncEverySec, func(s *Snapshot) *Fsync { return &s.AppendFsync },
			"When the log is synced: before the reply, every second, or when the system likes."),
		field("checkpoint-log-size", size(1<<20), 64<<20, func(s *Snapshot) *int64 { return &s.CheckpointLogSize },
			"Size of the log at which a checkpoint is written; bounds the work of a restart."),
		field("pebble-cache-size", size(1<<20), 32<<20, func(s *Snapshot) *int64 { return &s.PebbleCacheSize },
			"Memory for the block cache of the store.").with(Immutable),
		field("pebble-memtable-size", size(1<<20), 16<<20, func(s *Snapshot) *int64 { return &s.PebbleMemtableSize },
			"Memory for one write buffer of the store.").with(Immutable),
	}
}

// noPath refuses slashes, and empty names if there is a reason for that.
func noPath(reason, ifEmpty string) func(string) error {
	return func(arg string) error {
		if arg == "" && ifEmpty != "" {
			return refusal(ifEmpty)
		}
		if strings.Contains(arg, "/") {
			return refusal(reason)
		}
		return nil
	}
}

func regionParams() []*Param {
	return []*Param{
		field("region", text(optional(regionName)), "", func(s *Snapshot) *string { return &s.Region },
			"Name of this region; needed with siblings.").with(Immutable).example("toronto"),
		field("region-location", location(), Location{}, func(s *Snapshot) *Location { return &s.RegionLocation },
			"Place of this region, for CLOSEST.").example("43.6532 -79.3832"),
		field("region-endpoint", text(optional(hostPort)), "", func(s *Snapshot) *string { return &s.RegionEndpoint },
			"Endpoint of this region that clients and siblings are told.").example("cache.toronto.example:6379"),
		field("sibling", siblings(), nil, func(s *Snapshot) *[]Sibling { return &s.Siblings },
			"Another region of the deployment; one line each.").example("saopaulo 127.0.0.1:7001 -23.5505 -46.6333"),
		field("sibling-auth-user", anyText(), "", func(s *Snapshot) *string { return &s.SiblingAuthUser },
			"User that links to siblings log in as; empty is the default user."),
		field("sibling-auth-pass", anyText(), "", func(s *Snapshot) *string { return &s.SiblingAuthPass },
			"Password that links to siblings log in with.").with(Sensitive),
		field("sibling-tls", yesNo(), false, func(s *Snapshot) *bool { return &s.SiblingTLS },
			"Use TLS for links to siblings."),
		field("sibling-allow-plaintext", yesNo(), false, func(s *Snapshot) *bool { return &s.SiblingAllowPlaintext },
			"Allow links that leave the machine with neither TLS nor a password."),
		field("geoip-file", anyText(), "", func(s *Snapshot) *string { return &s.GeoIPFile },
			"Database in MaxMind's format that tells CLOSEST where a client's address is."),
		field("log-retention-size", size(1<<20), 1<<30, func(s *Snapshot) *int64 { return &s.LogRetentionSize },
			"Most log kept on disk for siblings that have not caught up."),
		field("max-clock-skew-ms", integer[int64](1, 3600*1000), 5000, func(s *Snapshot) *int64 { return &s.MaxClockSkewMs },
			"Milliseconds that a sibling's clock may be ahead before its writes have to wait here. Within it the region whose clock is ahead wins concurrent writes; the default bears machines whose clocks nobody synchronises, and stops a clock that is plainly wrong."),
	}
}

func observationParams() []*Param {
	const most = math.MaxInt64
	return []*Param{
		unused("slowlog-log-slower-than", integer[int64](-1, most), 10000, whySlowlog),
		unused("slowlog-max-len", integer[int64](0, most), 128, whySlowlog),
		unused("latency-monitor-threshold", integer[int64](0, most), 0, "There is no LATENCY command yet."),
		unused("latency-tracking", yesNo(), true, whyLatency),
		unused("latency-tracking-info-percentiles", percentiles(), []float64{50, 99, 99.9}, whyLatency),
		field("notify-keyspace-events", keyspaceEvents(), "", func(s *Snapshot) *string { return &s.NotifyKeyspaceEvents },
			"What happens to keys and is published: K on channels __keyspace@<db>__:<key>, E on __keyevent@<db>__:<event>, of the classes g generic, $ string, l list, s set, h hash, z sorted set, x expired, e evicted, t stream, d module, m missed, n new; A is g$lshzxetd. Empty publishes nothing."),
		unused("tracking-table-max-keys", integer[int64](0, most), 1000000, "There is no CLIENT TRACKING yet."),
		unused("busy-reply-threshold", integer[int64](0, most), 5000, "There are no scripts yet.").alias("lua-time-limit"),
	}
}

func structureParams() []*Param {
	const most = math.MaxInt64
	return []*Param{
		field("shards", powerOfTwo(4096), 64, func(s *Snapshot) *int { return &s.Shards },
			"Slices of the keyspace that can be locked independently.").with(Immutable),
		field("hash-max-listpack-entries", integer[int64](0, most), 512, func(s *Snapshot) *int64 { return &s.HashMaxListpackEntries },
			"Fields up to which a hash keeps its small form.").alias("hash-max-ziplist-entries"),
		field("hash-max-listpack-value", size(0), 64, func(s *Snapshot) *int64 { return &s.HashMaxListpackValue },
			"Length of fields and values up to which a hash keeps its small form.").alias("hash-max-ziplist-value"),
		field("list-max-listpack-size", integer(math.MinInt32, maxInt), -2, func(s *Snapshot) *int { return &s.ListMaxListpackSize },
			"Elements up to which a list keeps its small form; negative, its size: -1 is 4 KB, -2 8 KB, to -5, 64 KB.").alias("list-max-ziplist-size"),
		unused("list-compress-depth", integer(0, maxInt), 0, "Lists are kept uncompressed."),
		field("set-max-intset-entries", integer[int64](0, most), 512, func(s *Snapshot) *int64 { return &s.SetMaxIntsetEntries },
			"Members up to which a set of integers keeps the form for those."),
		field("set-max-listpack-entries", integer[int64](0, most), 128, func(s *Snapshot) *int64 { return &s.SetMaxListpackEntries },
			"Members up to which a set keeps its small form. Redis 7.0 has no such form."),
		field("set-max-listpack-value", size(0), 64, func(s *Snapshot) *int64 { return &s.SetMaxListpackValue },
			"Length of members up to which a set keeps its small form."),
		field("zset-max-listpack-entries", integer[int64](0, most), 128, func(s *Snapshot) *int64 { return &s.ZSetMaxListpackEntries },
			"Members up to which a sorted set keeps its small form.").alias("zset-max-ziplist-entries"),
		field("zset-max-listpack-value", size(0), 64, func(s *Snapshot) *int64 { return &s.ZSetMaxListpackValue },
			"Length of members up to which a sorted set keeps its small form.").alias("zset-max-ziplist-value"),
		field("hll-sparse-max-bytes", size(0), 3000, func(s *Snapshot) *int64 { return &s.HLLSparseMaxBytes },
			"Largest HyperLogLog that is kept in the sparse form, in bytes. What siblings add is taken in up to 3000."),
		field("stream-node-max-bytes", size(0), 4096, func(s *Snapshot) *int64 { return &s.StreamNodeMaxBytes },
			"Size of the nodes that approximate trimming of streams removes whole, 0 for no limit."),
		field("stream-node-max-entries", integer[int64](0, most), 100, func(s *Snapshot) *int64 { return &s.StreamNodeMaxEntries },
			"Entries in the nodes that approximate trimming of streams removes whole, 0 for no limit."),
	}
}
