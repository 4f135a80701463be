package config

import (
	"math"
	"strconv"
	"strings"
)

// The rows below keep Redis' configuration files and tools working; their
// values are checked and answered and do nothing.

const (
	whyLog     = "The write-ahead log in Pebble replaces the append-only file."
	whyRDB     = "Snapshots are always written uncompressed, with a checksum, and synced at their end."
	whyReplica = "There are no replicas inside a region; siblings replace them."
	whyCluster = "There is no Redis Cluster mode."
	whyThreads = "Go schedules the threads."
	whyDefrag  = "Values do not live in a C allocator."
	whyTest    = "A switch of Redis' own tests."
	whyFree    = "Values are always freed in the background, by Go's collector."
	whySlowlog = "There is no SLOWLOG yet."
	whyLatency = "There are no latency histograms yet."
)

func unusedDiskParams() []*Param {
	return []*Param{
		unused("appendfilename", text(noPath(reasonAOFFilename, reasonAOFEmpty)), "appendonly.aof", whyLog).with(Immutable),
		unused("appenddirname", text(noPath(reasonAOFDirname, reasonAOFNoDir)), "appendonlydir", whyLog).with(Immutable),
		unused("auto-aof-rewrite-percentage", integer(0, maxInt), 100, whyLog),
		unused("auto-aof-rewrite-min-size", size(0), 64<<20, whyLog),
		unused("aof-rewrite-incremental-fsync", yesNo(), true, whyLog),
		unused("aof-load-truncated", yesNo(), true, whyLog),
		unused("aof-use-rdb-preamble", yesNo(), true, whyLog),
		unused("aof-timestamp-enabled", yesNo(), false, whyLog),
		unused("aof-disable-auto-gc", yesNo(), false, whyLog),
		unused("no-appendfsync-on-rewrite", yesNo(), false, whyLog),
		unused("rdbcompression", yesNo(), true, whyRDB),
		unused("rdbchecksum", yesNo(), true, whyRDB).with(Immutable),
		unused("rdb-save-incremental-fsync", yesNo(), true, whyRDB),
		unused("rdb-del-sync-files", yesNo(), false, whyReplica),
		unused("rdb-key-save-delay", integer(math.MinInt32, maxInt), 0, whyTest).with(Hidden),
		unused("key-load-delay", integer(math.MinInt32, maxInt), 0, whyTest).with(Hidden),
		unused("loading-process-events-interval-bytes", integer(1024, maxInt), 2<<20, whyTest).with(Hidden),
		unused("sanitize-dump-payload", choice("no", "yes", "clients"), "no", "Payloads are always checked in full."),
	}
}

func unusedReplicaParams() []*Param {
	return []*Param{
		unused("replicaof", replicaOf(), "", "Refused unless empty or \"no one\": "+whyReplica).with(Immutable).alias("slaveof"),
		unused("masterauth", anyText(), "", whyReplica).with(Sensitive),
		unused("masteruser", anyText(), "", whyReplica).with(Sensitive),
		unused("replica-announce-ip", anyText(), "", whyReplica).alias("slave-announce-ip"),
		unused("replica-announce-port", integer(0, 65535), 0, whyReplica).alias("slave-announce-port"),
		unused("replica-announced", yesNo(), true, whyReplica),
		unused("replica-ignore-disk-write-errors", yesNo(), false, whyReplica),
		unused("replica-ignore-maxmemory", yesNo(), true, whyReplica).alias("slave-ignore-maxmemory"),
		unused("replica-lazy-flush", yesNo(), false, whyReplica).alias("slave-lazy-flush"),
		unused("replica-priority", integer(0, maxInt), 100, whyReplica).alias("slave-priority"),
		unused("replica-read-only", yesNo(), true, whyReplica).alias("slave-read-only"),
		unused("replica-serve-stale-data", yesNo(), true, whyReplica).alias("slave-serve-stale-data"),
		unused("repl-backlog-size", size(1), 1<<20, whyReplica),
		unused("repl-backlog-ttl", integer[int64](0, math.MaxInt64), 3600, whyReplica),
		unused("repl-disable-tcp-nodelay", yesNo(), false, whyReplica),
		unused("repl-diskless-load", choice("disabled", "on-empty-db", "swapdb"), "disabled", whyReplica).with(DenyLoading),
		unused("repl-diskless-sync", yesNo(), true, whyReplica),
		unused("repl-diskless-sync-delay", integer(0, maxInt), 5, whyReplica),
		unused("repl-diskless-sync-max-replicas", integer(0, maxInt), 0, whyReplica),
		unused("repl-ping-replica-period", integer(1, maxInt), 10, whyReplica).alias("repl-ping-slave-period"),
		unused("repl-timeout", integer(1, maxInt), 60, whyReplica),
		unused("min-replicas-to-write", integer(0, maxInt), 0, whyReplica).alias("min-slaves-to-write"),
		unused("min-replicas-max-lag", integer(0, maxInt), 10, whyReplica).alias("min-slaves-max-lag"),
		unused("propagation-error-behavior", choice("ignore", "panic", "panic-on-replicas"), "ignore", whyReplica),
	}
}

// replicaOf admits only the ways to say that this is no replica.
func replicaOf() codec[string] {
	c := anyText()
	c.multi = true
	c.parse = func(args []string, _ string, _ mode) (string, error) {
		switch {
		case len(args) == 0:
			return "", nil
		case len(args) != 2:
			return "", refusal(reasonArgs)
		case strings.EqualFold(args[0], "no") && strings.EqualFold(args[1], "one"):
			return "", nil
		}
		return "", refusal("replicas are not supported by geocache; see sibling")
	}
	return c
}

func unusedClusterParams() []*Param {
	return []*Param{
		unused("cluster-enabled", noCluster(), false, "Refused unless no: "+whyCluster).with(Immutable),
		unused("cluster-config-file", anyText(), "nodes.conf", whyCluster).with(Immutable),
		unused("cluster-port", integer(0, 65535), 0, whyCluster).with(Immutable),
		unused("cluster-announce-ip", anyText(), "", whyCluster),
		unused("cluster-announce-port", integer(0, 65535), 0, whyCluster),
		unused("cluster-announce-tls-port", integer(0, 65535), 0, whyCluster),
		unused("cluster-announce-bus-port", integer(0, 65535), 0, whyCluster),
		unused("cluster-announce-hostname", text(hostname), "", whyCluster),
		unused("cluster-announce-human-nodename", text(nodename), "", whyCluster),
		unused("cluster-preferred-endpoint-type", choice("ip", "hostname", "unknown-endpoint"), "ip", whyCluster),
		unused("cluster-node-timeout", integer[int64](0, math.MaxInt64), 15000, whyCluster),
		unused("cluster-migration-barrier", integer(0, maxInt), 1, whyCluster),
		unused("cluster-allow-replica-migration", yesNo(), true, whyCluster),
		unused("cluster-allow-reads-when-down", yesNo(), false, whyCluster),
		unused("cluster-allow-pubsubshard-when-down", yesNo(), true, whyCluster),
		unused("cluster-require-full-coverage", yesNo(), true, whyCluster),
		unused("cluster-link-sendbuf-limit", size(0), 0, whyCluster),
		unused("cluster-replica-no-failover", yesNo(), false, whyCluster).alias("cluster-slave-no-failover"),
		unused("cluster-replica-validity-factor", integer(0, maxInt), 10, whyCluster).alias("cluster-slave-validity-factor"),
	}
}

func noCluster() codec[bool] {
	c := yesNo()
	parse := c.parse
	c.parse = func(args []string, old bool, m mode) (bool, error) {
		v, err := parse(args, old, m)
		if err == nil && v {
			err = refusal("cluster mode is not supported by geocache")
		}
		return v, err
	}
	return c
}

func hostname(arg string) error {
	if len(arg) >= 256 {
		return refusal(reasonHostnameLen)
	}
	for i := range len(arg) {
		if ch := arg[i]; !isLetter(ch) && !isDigit(ch) && ch != '-' && ch != '.' {
			return refusal(reasonHostname)
		}
	}
	return nil
}

func nodename(arg string) error {
	for i := range len(arg) {
		if ch := arg[i]; ch <= ' ' || ch > '~' || strings.IndexByte("!\"#$%&'()*+,/:;<=>?@[\\]^{|}~", ch) >= 0 {
			return refusal(reasonNodename)
		}
	}
	return nil
}

func unusedSystemParams() []*Param {
	facilities := []string{"user"}
	for i := range 8 {
		facilities = append(facilities, "local"+strconv.Itoa(i))
	}
	const title = "{title} {listen-addr} {server-mode}"
	return []*Param{
		unused("io-threads-do-reads", yesNo(), false, "Each of io-threads reads, runs commands and writes.").with(Immutable),
		unused("server_cpulist", anyText(), "", whyThreads).with(Immutable),
		unused("bio_cpulist", anyText(), "", whyThreads).with(Immutable),
		unused("aof_rewrite_cpulist", anyText(), "", whyThreads).with(Immutable),
		unused("bgsave_cpulist", anyText(), "", whyThreads).with(Immutable),
		unused("activerehashing", yesNo(), true, "Tables always grow a piece at a time."),
		unused("activedefrag", yesNo(), false, whyDefrag),
		unused("active-defrag-ignore-bytes", size(1), 100<<20, whyDefrag),
		unused("active-defrag-threshold-lower", integer(0, 1000), 10, whyDefrag),
		unused("active-defrag-threshold-upper", integer(0, 1000), 100, whyDefrag),
		unused("active-defrag-cycle-min", integer(1, 99), 1, whyDefrag),
		unused("active-defrag-cycle-max", integer(1, 99), 25, whyDefrag),
		unused("active-defrag-max-scan-fields", integer[int64](1, math.MaxInt64), 1000, whyDefrag),
		unused("jemalloc-bg-thread", yesNo(), true, whyDefrag),
		unused("dynamic-hz", yesNo(), true, "Background work already follows the load."),
		unused("shutdown-timeout", integer(0, maxInt), 10, whyReplica),
		unused("syslog-enabled", yesNo(), false, "Logs go to logfile; a supervisor forwards them.").with(Immutable),
		unused("syslog-ident", anyText(), "redis", "Logs go to logfile.").with(Immutable),
		unused("syslog-facility", choice(facilities...), "local0", "Logs go to logfile.").with(Immutable),
		unused("always-show-logo", yesNo(), false, "There is no logo.").with(Immutable),
		unused("set-proc-title", yesNo(), true, "The process title stays as it was started.").with(Immutable),
		unused("proc-title-template", text(titleTemplate), title, "The process title stays as it was started."),
		unused("crash-log-enabled", yesNo(), true, "Go's runtime reports crashes."),
		unused("crash-memcheck-enabled", yesNo(), true, "Go's runtime reports crashes."),
		unused("use-exit-on-panic", yesNo(), false, whyTest).with(Hidden),
		unused("enable-debug-assert", yesNo(), false, whyTest).with(Hidden | Immutable),
		unused("watchdog-period", integer(0, maxInt), 0, whyTest).with(Hidden),
		unused("lua-enable-deprecated-api", yesNo(), false, whyTest).with(Hidden | Immutable),
		unused("disable-thp", yesNo(), true, "Go's runtime manages huge pages.").with(Immutable),
		unused("oom-score-adj", choice("no", "yes", "relative", "absolute"), "no", "Set it in the service's unit."),
		unused("oom-score-adj-values", oomScores(), "0 200 800", "Set it in the service's unit."),
		unused("socket-mark-id", integer[int64](0, math.MaxUint32), 0, "Sockets are not marked.").with(Immutable),
		unused("ignore-warnings", anyText(), "", "There are no warnings to silence."),
		unused("locale-collate", anyText(), "", "Strings compare by their bytes."),
	}
}

// titleTemplate checks the variables in braces, and that there is any title.
func titleTemplate(arg string) error {
	if strings.Trim(arg, blanks) == "" {
		return refusal(reasonTitle)
	}
	for rest := arg; ; {
		_, after, open := strings.Cut(rest, "{")
		if !open {
			return nil
		}
		name, tail, closed := strings.Cut(after, "}")
		switch name {
		case "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file":
		default:
			closed = false
		}
		if !closed {
			return refusal(reasonTitle)
		}
		rest = tail
	}
}
