package node

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"geocache/command"
	"geocache/persist"
	"geocache/pubsub"
	"geocache/replicate"
)

// infoSections is INFO: its sections in Redis' order, ours last. Names and
// meanings are Redis' where Redis has the field; docs/INFO.md is made of it.
func infoSections() []infoSection {
	return []infoSection{
		{"Server", inDefault, infoServer()},
		{"Clients", inDefault, infoClients()},
		{"Memory", inDefault, infoMemory()},
		{"Persistence", inDefault, infoPersistence()},
		{"Stats", inDefault, infoStats()},
		{"Replication", inDefault, infoReplication()},
		{"CPU", inDefault, infoCPU()},
		{"Modules", inDefault, nil},
		{"Commandstats", inAll, []infoField{
			{"cmdstat_<command>", "Of a command or subcommand: calls, microseconds in all and per call, calls refused before they ran, calls that ran and failed.", commandLines},
		}},
		{"Errorstats", inDefault, []infoField{
			{"errorstat_<code>", "Error replies that begin with this code.", func(v *infoView) any {
				counts := v.stats.errors()
				var lines []infoLine
				for _, code := range slices.Sorted(maps.Keys(counts)) {
					lines = append(lines, infoLine{"errorstat_" + code, fmt.Sprintf("count=%d", counts[code])})
				}
				return lines
			}},
		}},
		{"Latencystats", inAll, nil},
		{"Cluster", inDefault, []infoField{
			{"cluster_enabled", "0: siblings are no Redis Cluster.", func(*infoView) any { return 0 }},
		}},
		{"Keyspace", inDefault, []infoField{
			{"db<number>", "Of a database that is not empty: keys, keys with a deadline, and the milliseconds these have left on average, estimated by the expiry cycle (0 before it has met any).", databaseLines},
		}},
		{"Regions", inDefault, infoRegions()},
		{"Log", inDefault, infoLog()},
		{"Store", inDefault, infoStore()},
	}
}

func databaseLines(v *infoView) any {
	dbs := v.counts()
	var lines []infoLine
	for _, db := range slices.Sorted(maps.Keys(dbs)) {
		d := dbs[db]
		lines = append(lines, infoLine{"db" + strconv.Itoa(db), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", d.Keys, d.Expires, d.AvgTTLMs)})
	}
	return lines
}

func infoServer() []infoField {
	return []infoField{
		{"redis_version", "The Redis release whose behaviour compat-version chooses.", func(v *infoView) any { return command.RedisVersion(v.conf.Compat) }},
		{"redis_mode", "Always standalone.", func(*infoView) any { return "standalone" }},
		{"geocache_version", "The release of geocache.", func(v *infoView) any { return v.proc.Version }},
		{"os", "Operating system and processor architecture.", func(v *infoView) any { return v.proc.OS + " " + v.proc.Arch }},
		{"arch_bits", "Width of an address.", func(*infoView) any { return strconv.IntSize }},
		{"go_version", "The Go release the server was built with.", func(*infoView) any { return runtime.Version() }},
		{"process_id", "Process id.", func(v *infoView) any { return v.proc.PID }},
		{"run_id", "40 random hex digits, new at every start.", func(v *infoView) any { return v.n.opts.RunID }},
		{"tcp_port", "The port clients connect to; the TLS port where there is no other.", func(v *infoView) any { return v.proc.TCPPort }},
		{"server_time_usec", "The server's time of day, in microseconds since 1970.", func(v *infoView) any { return v.n.NowMicros() }},
		{"uptime_in_seconds", "Seconds since the start.", func(v *infoView) any { return v.uptimeSeconds() }},
		{"uptime_in_days", "The same in whole days.", func(v *infoView) any { return v.uptimeSeconds() / 86400 }},
		{"executable", "Path of the running program.", func(v *infoView) any { return v.proc.Executable }},
		{"config_file", "Path of the configuration file; empty without one.", func(v *infoView) any { return v.proc.ConfigFile }},
		{"io_threads_active", "Always 0: there are no I/O threads of Redis' kind.", func(*infoView) any { return 0 }},
	}
}

func (v *infoView) uptimeSeconds() int64 { return max(v.nowMs-v.n.startMs, 0) / 1000 }

func infoClients() []infoField {
	return []infoField{
		{"connected_clients", "Open connections, those of siblings and those about to be refused included.", func(v *infoView) any { return v.clients.count }},
		{"maxclients", "The configured limit.", func(v *infoView) any { return v.conf.MaxClients }},
		{"client_recent_max_input_buffer", "Bytes of the largest input buffer now.", func(v *infoView) any { return v.clients.maxIn }},
		{"client_recent_max_output_buffer", "Bytes of the largest output buffer now.", func(v *infoView) any { return v.clients.maxOut }},
		{"blocked_clients", "Connections whose command waits: for keys to change, CLIENT PAUSE, a value on disk, the log, DEBUG SLEEP.", func(v *infoView) any { return v.clients.blocked }},
		{"pubsub_clients", "Connections with subscriptions.", func(v *infoView) any { return v.n.pubsub.Peers() }},
		{"clients_in_timeout_table", "Connections of these whose wait ends at a time.", func(v *infoView) any { return v.clients.timed }},
		{"watching_clients", "Connections that WATCH keys.", func(v *infoView) any { return v.clients.watching }},
	}
}

func infoMemory() []infoField {
	overhead := func(v *infoView) int64 { return baseBytes + v.clients.bytes + v.snapshots }
	rss := func(f func(v *infoView) any) func(v *infoView) any {
		return func(v *infoView) any {
			if v.proc.RSSBytes == 0 {
				return nil // the system does not tell
			}
			return f(v)
		}
	}
	return []infoField{
		{"used_memory", "Bytes by accounting: keys and values with their overhead, tombstones, connections and their buffers, what a snapshot that is being written keeps, a fixed base. Neither the log's memory nor the store's is in it; see the sections Log and Store.", func(v *infoView) any { return v.used }},
		{"used_memory_human", "The same, for reading.", func(v *infoView) any { return human(v.used) }},
		{"used_memory_rss", "Resident bytes of the process.", rss(func(v *infoView) any { return v.proc.RSSBytes })},
		{"used_memory_rss_human", "The same, for reading.", rss(func(v *infoView) any { return human(v.proc.RSSBytes) })},
		{"used_memory_peak", "The largest used_memory since the start, sampled ten times a second and at INFO.", func(v *infoView) any { return v.peak }},
		{"used_memory_peak_human", "The same, for reading.", func(v *infoView) any { return human(v.peak) }},
		{"used_memory_peak_perc", "used_memory as a percentage of its peak.", func(v *infoView) any { return percent(v.used, v.peak) }},
		{"used_memory_overhead", "The part of used_memory that is not data: base, connections and snapshots. Unlike in Redis what a key costs beside its bytes counts as data.", func(v *infoView) any { return overhead(v) }},
		{"used_memory_startup", "used_memory of an empty server without connections: the fixed base.", func(*infoView) any { return baseBytes }},
		{"used_memory_dataset", "used_memory less used_memory_overhead.", func(v *infoView) any { return v.used - overhead(v) }},
		{"used_memory_dataset_perc", "used_memory_dataset as a percentage of used_memory less used_memory_startup.", func(v *infoView) any {
			return percent(v.used-overhead(v), v.used-baseBytes)
		}},
		{"go_heap_bytes", "What the process holds for the Go heap: data, the log's memory and garbage not yet collected.", func(v *infoView) any { return v.proc.HeapBytes }},
		{"total_system_memory", "Memory of the machine.", func(v *infoView) any { return v.proc.TotalMemoryBytes }},
		{"total_system_memory_human", "The same, for reading.", func(v *infoView) any { return human(v.proc.TotalMemoryBytes) }},
		{"maxmemory", "The configured limit; 0 is none.", func(v *infoView) any { return v.conf.MaxMemory }},
		{"maxmemory_human", "The same, for reading.", func(v *infoView) any { return human(v.conf.MaxMemory) }},
		{"maxmemory_policy", "The configured eviction policy.", func(v *infoView) any { return v.conf.MaxMemoryPolicy }},
		{"allocator_allocated", "Bytes of the blocks that keys and values live in, outside the Go heap. This and the next fields are as of the last tick.", func(v *infoView) any { return v.memory.Live }},
		{"allocator_active", "Bytes of the pages that hold these blocks.", func(v *infoView) any { return v.memory.Mapped }},
		{"allocator_resident", "The same: pages that are not in use are given back.", func(v *infoView) any { return v.memory.Mapped }},
		{"allocator_frag_ratio", "allocator_active divided by allocator_allocated.", func(v *infoView) any { return fraction(v.memory.Mapped, v.memory.Live) }},
		{"allocator_frag_bytes", "allocator_active less allocator_allocated.", func(v *infoView) any { return v.memory.Mapped - v.memory.Live }},
		{"allocator_sparse_bytes", "Bytes of blocks that are to be moved, so that their pages come free.", func(v *infoView) any { return v.memory.Sparse }},
		{"rss_overhead_ratio", "used_memory_rss divided by allocator_resident.", rss(func(v *infoView) any { return fraction(v.proc.RSSBytes, v.memory.Mapped) })},
		{"rss_overhead_bytes", "used_memory_rss less allocator_resident: program, Go heap, stacks, and the store's buffers.", rss(func(v *infoView) any { return v.proc.RSSBytes - v.memory.Mapped })},
		{"shards", "Slices of the keyspace, each with a lock and memory of its own.", func(v *infoView) any { return len(v.n.engine.Memory()) }},
		{"shard_bytes", "Bytes of blocks and pages of the smallest and the largest shard, and on average.", shardLine},
		{"lazyfree_pending_objects", "Large removed collections that are not freed yet; until then they count as used.", func(v *infoView) any { return v.n.engine.Litter() }},
		{"go_gc_cycles", "Collections of the Go heap since the start.", func(v *infoView) any { return v.proc.GCCycles }},
		{"go_gc_pause_usec", "Time that these stopped everything, in microseconds, in all.", func(v *infoView) any { return v.proc.GCPauseMicros }},
		{"mem_fragmentation_ratio", "used_memory_rss divided by used_memory. Garbage, the log and the store are in the former only.", rss(func(v *infoView) any {
			return float64(v.proc.RSSBytes) / float64(v.used)
		})},
		{"mem_fragmentation_bytes", "used_memory_rss less used_memory.", rss(func(v *infoView) any { return v.proc.RSSBytes - v.used })},
		{"mem_not_counted_for_evict", "The part of used_memory that maxmemory does not bound: what is kept for a snapshot that is being written, above all of keys that have changed since it began.", func(v *infoView) any { return v.snapshots }},
		{"mem_clients_normal", "Memory of connections and their buffers.", func(v *infoView) any { return v.clients.bytes }},
		{"mem_allocator", "Always geocache-slab: blocks of mapped memory, outside the Go heap.", func(*infoView) any { return "geocache-slab" }},
	}
}

// fraction is part divided by whole, 1 where there is nothing.
func fraction(part, whole int64) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

func shardLine(v *infoView) any {
	list := v.n.engine.Memory()
	least, most := list[0], list[0]
	for _, m := range list {
		if m.Live < least.Live {
			least = m
		}
		if m.Live > most.Live {
			most = m
		}
	}
	n := int64(len(list))
	return fmt.Sprintf("min_live=%d,min_mapped=%d,max_live=%d,max_mapped=%d,avg_live=%d,avg_mapped=%d",
		least.Live, least.Mapped, most.Live, most.Mapped, v.memory.Live/n, v.memory.Mapped/n)
}

func infoPersistence() []infoField {
	// Where nothing is kept there is nothing to say of it.
	kept := func(f func(v *infoView) any) func(v *infoView) any {
		return func(v *infoView) any {
			if v.db == nil {
				return nil
			}
			return f(v)
		}
	}
	appending := func(f func(v *infoView) any) func(v *infoView) any {
		return kept(func(v *infoView) any {
			if !v.conf.AppendOnly {
				return nil
			}
			return f(v)
		})
	}
	return []infoField{
		{"loading", "1 while data is loaded from disk.", func(v *infoView) any { return v.n.loading.Load() }},
		{"rdb_changes_since_last_save", "Changes of keys since the last snapshot, by commands and by siblings; since the start before the first.", func(v *infoView) any {
			return max(v.n.engine.Changes()-v.saves.savedChanges, 0)
		}},
		{"rdb_bgsave_in_progress", "1 while a snapshot is written in the background.", func(v *infoView) any { return v.saves.inBackground }},
		{"rdb_last_save_time", "When the last snapshot was complete, in seconds since 1970; the start of the server before the first.", func(v *infoView) any { return v.saves.savedMs / 1000 }},
		{"rdb_last_bgsave_status", "ok, or err if the last snapshot in the background failed.", func(v *infoView) any { return okErr(v.saves.failing) }},
		{"rdb_last_bgsave_time_sec", "Seconds the last snapshot in the background took; -1 before the first.", func(v *infoView) any {
			if v.saves.tookMs < 0 {
				return -1
			}
			return v.saves.tookMs / 1000
		}},
		{"rdb_current_bgsave_time_sec", "Seconds the snapshot in the background has taken so far; -1 if none is written.", func(v *infoView) any {
			if !v.saves.inBackground {
				return -1
			}
			return max(v.nowMs-v.saves.beganMs, 0) / 1000
		}},
		{"rdb_saves", "Snapshots written since the start.", func(v *infoView) any { return v.saves.count }},
		{"rdb_last_load_keys_expired", "Keys of the snapshot loaded at the start that had expired and were left out.", func(v *infoView) any { return v.saves.expiredKeys }},
		{"rdb_last_load_keys_loaded", "Keys that the start read from a snapshot.", func(v *infoView) any { return v.saves.loadedKeys }},
		{"aof_enabled", "1 under appendonly yes: the log is kept for restarts.", func(v *infoView) any { return v.conf.AppendOnly }},
		{"aof_rewrite_in_progress", "1 while a checkpoint runs, which does for the log what rewriting does in Redis.", func(v *infoView) any { return v.checkpoint.running }},
		{"aof_last_rewrite_time_sec", "Seconds the last checkpoint took; -1 before the first.", kept(func(v *infoView) any {
			if v.checkpoint.count == 0 {
				return -1
			}
			return v.checkpoint.tookMs / 1000
		})},
		{"aof_current_rewrite_time_sec", "Seconds the running checkpoint has taken; -1 if none runs.", kept(func(v *infoView) any {
			if !v.checkpoint.running {
				return -1
			}
			return max(v.nowMs-v.checkpoint.startMs, 0) / 1000
		})},
		{"aof_last_bgrewrite_status", "ok, or err if the last checkpoint failed.", func(v *infoView) any { return okErr(v.checkpoint.failing) }},
		{"aof_rewrites", "Checkpoints finished since the start.", kept(func(v *infoView) any { return v.checkpoint.count })},
		{"aof_last_write_status", "err once writing or syncing the log has failed; writes are refused from then on.", func(v *infoView) any {
			return okErr(v.n.diskError() != nil)
		}},
		{"aof_current_size", "Bytes of the log on disk.", appending(func(v *infoView) any { return v.log.DiskBytes })},
		{"aof_buffer_length", "Bytes that wait to be written to the log.", appending(func(v *infoView) any { return v.log.BacklogBytes })},
	}
}

func infoStats() []infoField {
	traffic := func(of func(t *replicate.Traffic) int64) func(v *infoView) any {
		return func(v *infoView) any {
			sum := int64(0)
			for i := range v.peers {
				sum += of(&v.peers[i].Traffic)
			}
			return sum
		}
	}
	return []infoField{
		{"total_connections_received", "Connections accepted, refused ones included.", func(v *infoView) any { return v.stats.connections.Load() }},
		{"total_commands_processed", "Commands that ran.", func(v *infoView) any { return v.stats.commands() }},
		{"instantaneous_ops_per_sec", "Commands per second over the last 1.6 seconds.", func(v *infoView) any { return v.stats.opsPerSec.Load() }},
		{"total_net_input_bytes", "Bytes read from connections, siblings' frames included.", func(v *infoView) any { return v.stats.netIn.Load() }},
		{"total_net_output_bytes", "Bytes handed to connections.", func(v *infoView) any { return v.stats.netOut.Load() }},
		{"total_net_repl_input_bytes", "Bytes of the siblings' frames that arrived. CONFIG RESETSTAT leaves it.", traffic(func(t *replicate.Traffic) int64 { return t.WireIn })},
		{"total_net_repl_output_bytes", "Bytes of the frames sent to siblings, which leave over links of their own. CONFIG RESETSTAT leaves it.", traffic(func(t *replicate.Traffic) int64 { return t.WireOut })},
		{"instantaneous_input_kbps", "Kilobytes read per second over the last 1.6 seconds.", func(v *infoView) any { return float64(v.stats.inBytesPerSec.Load()) / 1024 }},
		{"instantaneous_output_kbps", "Kilobytes handed out per second over the last 1.6 seconds.", func(v *infoView) any { return float64(v.stats.outBytesPerSec.Load()) / 1024 }},
		{"rejected_connections", "Connections refused because of maxclients or protected mode.", func(v *infoView) any { return v.stats.rejected.Load() }},
		{"expired_keys", "Keys reclaimed because their deadline had passed.", func(v *infoView) any { return v.engine.ExpiredKeys }},
		{"lazyfreed_objects", "Large removed collections that were freed behind the commands that removed them; small ones are freed at once, and not counted.", func(v *infoView) any { return v.engine.LitterFreed }},
		{"expired_time_cap_reached_count", "Runs of the expiry cycle that their time limit ended.", func(v *infoView) any { return v.stats.expireCapped.Load() }},
		{"engine_longest_turn_usec", "The longest time since the start or CONFIG RESETSTAT that one step held others up: a command from the end of the one before to its own, or a step of background work, in microseconds. It is processor time where the system tells it of the thread: without waiting for a lock or for a processor.", func(v *infoView) any { return v.stats.turns.longest() }},
		{"engine_longest_elapsed_usec", "The same by the clock, waiting included.", func(v *infoView) any { return v.stats.elapsed.longest() }},
		{"engine_longest_<kind>_usec", "The longest turn of one kind of work: command, apply (a sibling's batch), expire, evict, sweep (giving memory back), checkpoint (one row).", func(v *infoView) any {
			var lines []infoLine
			for i := range v.stats.turns {
				lines = append(lines, infoLine{"engine_longest_" + turnNames[i] + "_usec", strconv.FormatInt(v.stats.turns[i].Load(), 10)})
			}
			return lines
		}},
		{"expire_cycle_cpu_milliseconds", "Time spent in the expiry cycle.", func(v *infoView) any { return v.stats.expireMicros.Load() / 1000 }},
		{"evicted_keys", "Keys removed to stay within maxmemory.", func(v *infoView) any { return v.engine.EvictedKeys }},
		{"evicted_to_disk_keys", "Values dropped from memory to stay within maxmemory, whose rows remain.", func(v *infoView) any { return v.engine.EvictedToDisk }},
		{"evicted_clients", "Connections closed at maxmemory-clients.", func(v *infoView) any { return v.stats.evictedClients.Load() }},
		{"keyspace_hits", "Lookups for reading that found the key.", func(v *infoView) any { return v.engine.KeyspaceHits }},
		{"keyspace_misses", "Lookups for reading that did not.", func(v *infoView) any { return v.engine.KeyspaceMisses }},
		{"pubsub_channels", "Channels that are subscribed to by name.", func(v *infoView) any { return v.n.pubsub.Size(pubsub.Channel) }},
		{"pubsub_patterns", "Patterns that are subscribed to.", func(v *infoView) any { return v.n.pubsub.Size(pubsub.Pattern) }},
		{"pubsubshard_channels", "Shard channels that are subscribed to.", func(v *infoView) any { return v.n.pubsub.Size(pubsub.Shard) }},
		{"acl_access_denied_auth", "Failed authentications.", func(v *infoView) any { return v.stats.authFailures.Load() }},
		{"total_error_replies", "Error replies.", func(v *infoView) any { return v.stats.errorReplies.Load() }},
		{"client_query_buffer_limit_disconnections", "Connections closed at client-query-buffer-limit.", func(v *infoView) any { return v.stats.queryLimit.Load() }},
		{"client_output_buffer_limit_disconnections", "Connections closed at client-output-buffer-limit.", func(v *infoView) any { return v.stats.outputLimit.Load() }},
	}
}

func infoReplication() []infoField {
	return []infoField{
		{"role", "Always master: every region takes writes. Siblings are in the section Regions.", func(*infoView) any { return "master" }},
		{"connected_slaves", "Always 0: siblings are no replicas.", func(*infoView) any { return 0 }},
		{"master_failover_state", "Always no-failover.", func(*infoView) any { return "no-failover" }},
		{"master_replid", "The run id: nothing can be resumed from another run's.", func(v *infoView) any { return v.n.opts.RunID }},
		{"master_replid2", "Always zeros, as of a server that was never a replica.", func(*infoView) any { return strings.Repeat("0", 40) }},
		{"master_repl_offset", "Always 0: no replication stream of Redis' kind is produced.", func(*infoView) any { return 0 }},
		{"second_repl_offset", "Always -1, as of a server that was never a replica.", func(*infoView) any { return -1 }},
		{"repl_backlog_active", "Always 0.", func(*infoView) any { return 0 }},
	}
}

func infoCPU() []infoField {
	seconds := func(micros int64) string { return fmt.Sprintf("%.6f", float64(micros)/1e6) }
	return []infoField{
		{"used_cpu_sys", "Seconds of processor time the system spent for the process.", func(v *infoView) any { return seconds(v.proc.SysCPUMicros) }},
		{"used_cpu_user", "Seconds of processor time the process spent itself.", func(v *infoView) any { return seconds(v.proc.UserCPUMicros) }},
	}
}

func infoRegions() []infoField {
	return []infoField{
		{"region", "Name of this region; local where none is configured.", func(v *infoView) any { return v.self.Name }},
		{"region_endpoint", "The address that clients are told.", func(v *infoView) any { return v.self.Endpoint }},
		{"region_location", "Latitude and longitude, if configured.", func(v *infoView) any {
			if !v.self.Located {
				return nil
			}
			return fmt.Sprintf("%g,%g", v.self.Point.Lat, v.self.Point.Lon)
		}},
		{"region_state", "up, or draining after REGION DRAIN ON.", func(v *infoView) any { return v.self.State.String() }},
		{"region_syncing", "1 while a full copy is taken in: atomicity and causal order are not promised meanwhile.", func(v *infoView) any { return v.n.Syncing() }},
		{"origin", "Region id and incarnation that this region's changes are stamped with.", func(v *infoView) any { return v.n.engine.Origin().String() }},
		{"deployment", "Id of the deployment in hex; zeros where there never was a sibling.", func(v *infoView) any {
			return fmt.Sprintf("%016x", v.n.identity().Deployment)
		}},
		{"vector", "Per origin, the stamp up to which everything is applied here.", func(v *infoView) any { return v.n.commit.Vector().String() }},
		{"siblings", "Configured siblings.", func(v *infoView) any { return len(v.n.Siblings()) }},
		{"siblings_up", "Siblings whose link is up.", func(v *infoView) any {
			up := 0
			for _, p := range v.peers {
				up += zeroOne(p.State == replicate.StateUp)
			}
			return up
		}},
		{"sibling<number>", "Of a sibling: name; state of the link; lag_in_ms, how old what we have of it is (-1 unknown); lag_out_ms, how long our oldest change unknown to it has waited; smoothed round trip in milliseconds; batches and estimated bytes it still lacks; bytes sent and unacknowledged; bytes received and waiting; bytes travelled in and out; batches applied, sent, received again, and dropped for want of room.", siblingLines},
		{"conflicts_clamped", "Times that a merged counter was found beyond 64 bits and shown as the end of the range.", func(v *infoView) any { return v.engine.ConflictsClamped }},
		{"conflicts_value_lost", "Values received from siblings that lost against a newer one here.", func(v *infoView) any { return v.engine.ConflictsValueLost }},
		{"conflicts_types", "Times that a key came to hold values of several types, of which clients see the newest; a start counts the keys that it finds.", func(v *infoView) any { return v.engine.ConflictsTypes }},
	}
}

func siblingLines(v *infoView) any {
	var lines []infoLine
	for i := range v.peers {
		p := &v.peers[i]
		t := &p.Traffic
		lines = append(lines, infoLine{"sibling" + strconv.Itoa(i), fmt.Sprintf(
			"name=%s,link=%s,lag_in_ms=%d,lag_out_ms=%d,rtt_ms=%.2f,backlog_batches=%d,backlog_bytes=%d,in_flight_bytes=%d,held_bytes=%d,"+
				"bytes_in=%d,bytes_out=%d,applied=%d,sent=%d,duplicates=%d,dropped=%d",
			p.Name, p.State, p.LagInMs, p.LagOutMs, float64(p.RTTUs)/1000, p.BacklogBatches, p.BacklogBytes, p.InFlightBytes, p.HeldBytes,
			t.WireIn, t.WireOut, t.Applied, t.Sent, t.Duplicates, t.Dropped)})
	}
	return lines
}

// inLog makes a field of the sections Log and Store, which are empty but for
// their first line where nothing is kept.
func inLog(name, doc string, value func(v *infoView) any) infoField {
	return infoField{name, doc, func(v *infoView) any {
		if v.db == nil {
			return nil
		}
		return value(v)
	}}
}

func infoLog() []infoField {
	return []infoField{
		{"log_active", "1 while batches are logged: under appendonly yes, or with siblings.", func(v *infoView) any { return v.db != nil }},
		inLog("log_sync", "When the log is synced: always, everysec or no.", func(v *infoView) any {
			return map[persist.Policy]string{persist.Always: "always", persist.EverySec: "everysec", persist.No: "no"}[v.db.Log.Policy()]
		}),
		inLog("log_first", "Oldest position kept.", func(v *infoView) any { return v.log.First }),
		inLog("log_end", "Position of the next batch.", func(v *infoView) any { return v.log.End }),
		inLog("log_written", "Last position handed to the store.", func(v *infoView) any { return v.log.Written }),
		inLog("log_durable", "Last position that survives a crash.", func(v *infoView) any { return v.log.Durable }),
		inLog("log_checkpoint", "Position up to which a finished checkpoint covers everything.", func(v *infoView) any { return v.log.End - 1 - v.changes }),
		inLog("log_retain", "Position from which siblings still need the log; absent without siblings.", func(v *infoView) any {
			if pos := v.n.retainFrom(); pos != math.MaxUint64 {
				return pos
			}
			return nil
		}),
		inLog("log_batches", "Batches kept.", func(v *infoView) any { return v.log.Records }),
		inLog("log_disk_bytes", "Bytes of the log on disk.", func(v *infoView) any { return v.log.DiskBytes }),
		inLog("log_backlog_bytes", "Bytes that wait to be written.", func(v *infoView) any { return v.log.BacklogBytes }),
		inLog("log_tail_bytes", "Memory of the log: what waits to be written, and what siblings can read without the disk.", func(v *infoView) any { return v.log.TailBytes }),
		inLog("log_groups", "Groups of batches written since the start.", func(v *infoView) any { return v.log.Groups }),
		inLog("log_failed", "1 once a write or sync failed: writes are refused until a restart.", func(v *infoView) any { return v.n.diskError() != nil }),
		inLog("log_error", "Why, if it failed.", func(v *infoView) any {
			if err := v.n.diskError(); err != nil {
				return strings.Join(strings.Fields(err.Error()), " ")
			}
			return nil
		}),
		inLog("recovered_keys", "Keys that the start read from their rows.", func(v *infoView) any { return v.n.disk.recovery.keys }),
		inLog("recovered_batches", "Batches that the start replayed.", func(v *infoView) any { return v.n.disk.recovery.batches }),
		inLog("recovery_milliseconds", "Time the start took to load data.", func(v *infoView) any { return v.n.disk.recovery.micros / 1000 }),
		inLog("recovery_clean", "1 if the run before ended cleanly.", func(v *infoView) any { return v.n.disk.recovery.clean }),
	}
}

func infoStore() []infoField {
	return []infoField{
		{"store_open", "1 while the data directory's store is in use. The other figures of this section are a second old at most.", func(v *infoView) any { return v.db != nil }},
		inLog("store_disk_bytes", "Bytes of the store's files.", func(v *infoView) any { return v.store.DiskBytes }),
		inLog("store_cache_bytes", "Memory of the block cache.", func(v *infoView) any { return v.store.CacheBytes }),
		inLog("store_memtable_bytes", "Memory of the memtables.", func(v *infoView) any { return v.store.MemtableBytes }),
		inLog("store_written_bytes", "Bytes written to disk since the start: write-ahead, flushes, compactions.", func(v *infoView) any { return v.store.WrittenBytes }),
	}
}
