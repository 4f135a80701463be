package node

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"geocache/config"
	"geocache/persist"
)

var update = flag.Bool("update", false, "write docs/INFO.md")

// redisFields is what INFO everything shows on Redis 7.0.15.
const redisFields = `redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock
multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id tcp_port server_time_usec
uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file io_threads_active
connected_clients cluster_connections maxclients client_recent_max_input_buffer client_recent_max_output_buffer
blocked_clients tracking_clients clients_in_timeout_table used_memory used_memory_human used_memory_rss
used_memory_rss_human used_memory_peak used_memory_peak_human used_memory_peak_perc used_memory_overhead
used_memory_startup used_memory_dataset used_memory_dataset_perc allocator_allocated allocator_active
allocator_resident total_system_memory total_system_memory_human used_memory_lua used_memory_vm_eval
used_memory_lua_human used_memory_scripts_eval number_of_cached_scripts number_of_functions number_of_libraries
used_memory_vm_functions used_memory_vm_total used_memory_vm_total_human used_memory_functions used_memory_scripts
used_memory_scripts_human maxmemory maxmemory_human maxmemory_policy allocator_frag_ratio allocator_frag_bytes
allocator_rss_ratio allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes mem_fragmentation_ratio
mem_fragmentation_bytes mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers
mem_clients_slaves mem_clients_normal mem_cluster_links mem_aof_buffer mem_allocator active_defrag_running
lazyfree_pending_objects lazyfreed_objects loading async_loading current_cow_peak current_cow_size
current_cow_size_age current_fork_perc current_save_keys_processed current_save_keys_total
rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status
rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec rdb_saves rdb_last_cow_size rdb_last_load_keys_expired
rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled aof_last_rewrite_time_sec
aof_current_rewrite_time_sec aof_last_bgrewrite_status aof_rewrites aof_rewrites_consecutive_failures
aof_last_write_status aof_last_cow_size module_fork_in_progress module_fork_last_cow_size aof_current_size
aof_base_size aof_pending_rewrite aof_buffer_length aof_pending_bio_fsync aof_delayed_fsync
total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes instantaneous_input_kbps
instantaneous_output_kbps instantaneous_input_repl_kbps instantaneous_output_repl_kbps rejected_connections
sync_full sync_partial_ok sync_partial_err expired_keys expired_stale_perc expired_time_cap_reached_count
expire_cycle_cpu_milliseconds evicted_keys evicted_clients total_eviction_exceeded_time
current_eviction_exceeded_time keyspace_hits keyspace_misses pubsub_channels pubsub_patterns pubsubshard_channels
latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys active_defrag_hits
active_defrag_misses active_defrag_key_hits active_defrag_key_misses total_active_defrag_time
current_active_defrag_time tracking_total_keys tracking_total_items tracking_total_prefixes
unexpected_error_replies total_error_replies dump_payload_sanitizations total_reads_processed
total_writes_processed io_threaded_reads_processed io_threaded_writes_processed reply_buffer_shrinks
reply_buffer_expands role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset
second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen
used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children used_cpu_sys_main_thread
used_cpu_user_main_thread cmdstat_<command> errorstat_<code> latency_percentiles_usec_<command> cluster_enabled
db<number>`

// absent says why fields of Redis are left out.
var absent = []struct{ names, why string }{
	{"redis_git_sha1 redis_git_dirty redis_build_id gcc_version atomicvar_api monotonic_clock multiplexing_api", "They describe Redis' own build; see geocache_version and go_version."},
	{"process_supervised", "See the configuration."},
	{"hz configured_hz", "Background work has a fixed pace."},
	{"lru_clock", "Recency is kept in another form."},
	{"cluster_connections mem_cluster_links", "There is no Redis Cluster bus."},
	{"tracking_clients tracking_total_keys tracking_total_items tracking_total_prefixes", "There is no CLIENT TRACKING."},
	{"used_memory_lua used_memory_lua_human used_memory_vm_eval used_memory_scripts_eval number_of_cached_scripts number_of_functions number_of_libraries used_memory_vm_functions used_memory_vm_total used_memory_vm_total_human used_memory_functions used_memory_scripts used_memory_scripts_human", "There are no scripts and functions."},
	{"allocator_rss_ratio allocator_rss_bytes", "Pages that are not in use are given back: allocator_resident is allocator_active."},
	{"active_defrag_running active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses total_active_defrag_time current_active_defrag_time", "Memory is not defragmented."},
	{"mem_replication_backlog mem_total_replication_buffers mem_clients_slaves slave_expires_tracked_keys sync_full sync_partial_ok sync_partial_err repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen", "There are no replicas; siblings are in the sections Regions and Log."},
	{"instantaneous_input_repl_kbps instantaneous_output_repl_kbps", "The rates of sibling traffic are not sampled; see its totals."},
	{"mem_aof_buffer", "The log is not in used_memory; see log_tail_bytes."},
	{"async_loading", "Data is never loaded while commands run on older data."},
	{"current_cow_peak current_cow_size current_cow_size_age current_fork_perc latest_fork_usec total_forks rdb_last_cow_size aof_last_cow_size module_fork_in_progress module_fork_last_cow_size used_cpu_sys_children used_cpu_user_children", "The server does not fork."},
	{"current_save_keys_processed current_save_keys_total", "How far a snapshot has come is not counted."},
	{"aof_rewrite_scheduled aof_rewrites_consecutive_failures aof_base_size aof_pending_rewrite", "Checkpoints cut the log; it is never rewritten as a whole."},
	{"aof_pending_bio_fsync aof_delayed_fsync", "See log_written and log_durable."},
	{"expired_stale_perc", "It is not estimated."},
	{"total_eviction_exceeded_time current_eviction_exceeded_time", "Time over the limit is not measured."},
	{"migrate_cached_sockets", "There is no MIGRATE."},
	{"dump_payload_sanitizations", "There is no RESTORE."},
	{"unexpected_error_replies", "There are no replicas and log replay to get one."},
	{"total_reads_processed total_writes_processed io_threaded_reads_processed io_threaded_writes_processed used_cpu_sys_main_thread used_cpu_user_main_thread", "Sockets are not served by one main thread and its helpers."},
	{"reply_buffer_shrinks reply_buffer_expands", "Reply buffers have no size of their own to change."},
	{"latency_percentiles_usec_<command>", "Percentiles are not measured; the section is there and empty."},
}

// TestInfoManual checks that docs/INFO.md is what the table says.
func TestInfoManual(t *testing.T) {
	const file = "../docs/INFO.md"
	want := infoManual()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || string(have) != want {
		t.Errorf("%s is not what the table generates (%v): run go test ./node -update", file, err)
	}
}

func infoManual() string {
	var b strings.Builder
	b.WriteString(`# INFO

Generated from the table in package node. Sections come in this order, as in Redis 7; INFO without arguments
shows all but those marked, INFO all and INFO everything show every section, an unknown section shows nothing.
Names and meanings are Redis' where Redis has the field. A line that has nothing to say is left out: what the
system does not tell, and what speaks of data on disk where none is kept. <Angle brackets> stand for what varies.
`)
	known := strings.Fields(redisFields)
	for _, s := range infoSections() {
		fmt.Fprintf(&b, "\n## %s\n\n", s.title)
		if s.extent != inDefault {
			b.WriteString("Only if asked for.\n\n")
		}
		if len(s.fields) == 0 {
			b.WriteString("Always empty.\n")
			continue
		}
		b.WriteString("| field | in Redis 7.0 | meaning |\n|---|---|---|\n")
		for _, f := range s.fields {
			also := ""
			if slices.Contains(known, f.name) {
				also = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, also, f.doc)
		}
	}
	b.WriteString("\n## Fields of Redis 7.0 that are absent\n\n| field | why |\n|---|---|\n")
	for _, a := range absent {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(a.names, " ", "` `"), a.why)
	}
	return b.String()
}

// TestInfoOfRedis accounts for every field of Redis: it is shown, or absent
// for a reason.
func TestInfoOfRedis(t *testing.T) {
	shown, seen := map[string]bool{}, map[string]bool{}
	for _, s := range infoSections() {
		for _, f := range s.fields {
			if shown[f.name] || f.doc == "" {
				t.Errorf("%s stands twice or is not documented", f.name)
			}
			shown[f.name] = true
		}
	}
	for _, a := range absent {
		for _, name := range strings.Fields(a.names) {
			if shown[name] || seen[name] || a.why == "" {
				t.Errorf("%s is listed as absent, but shown, listed twice or without a reason", name)
			}
			seen[name] = true
		}
	}
	for _, name := range strings.Fields(redisFields) {
		if !shown[name] && !seen[name] {
			t.Errorf("%s is neither shown nor listed as absent", name)
		}
		delete(seen, name)
	}
	for name := range seen {
		t.Errorf("%s is listed as absent, but Redis does not have it", name)
	}
}

// fields is INFO's answer by field; what stands in front of the text is
// checked to be its length.
func (r *rig) fields(sections string) map[string]string {
	r.t.Helper()
	head, text, _ := strings.Cut(r.do("INFO "+sections), "\r\n")
	if head != fmt.Sprintf("$%d", len(text)-2) {
		r.t.Fatalf("INFO %s begins with %q before %d bytes", sections, head, len(text))
	}
	m := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if _, twice := m[name]; twice || !ok {
			r.t.Errorf("line %q stands twice or has no colon", line)
		}
		m[name] = value
	}
	return m
}

// expect compares fields.
func (r *rig) expect(sections string, want map[string]string) {
	r.t.Helper()
	have := r.fields(sections)
	for name, v := range want {
		if have[name] != v {
			r.t.Errorf("%s is %q, want %q", name, have[name], v)
		}
	}
}

func TestInfoSections(t *testing.T) {
	r := newRig(t, "appendonly no")
	titles := func(sections string) string {
		_, text, _ := strings.Cut(r.do("INFO "+sections), "\r\n")
		var list []string
		for i, part := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n\r\n") {
			head, _, _ := strings.Cut(part, "\r\n")
			if !strings.HasPrefix(head, "# ") && (head != "" || i > 0) {
				t.Errorf("INFO %s: section begins with %q", sections, head)
			}
			list = append(list, strings.TrimPrefix(head, "# "))
		}
		return strings.Join(list, " ")
	}
	const (
		first = "Server Clients Memory Persistence Stats Replication CPU Modules "
		ours  = " Regions Log Store"
	)
	for _, c := range []struct{ sections, want string }{
		{"", first + "Errorstats Cluster Keyspace" + ours},
		{"default", first + "Errorstats Cluster Keyspace" + ours},
		{"keyspace commandstats default", first + "Commandstats Errorstats Cluster Keyspace" + ours},
		{"all", first + "Commandstats Errorstats Latencystats Cluster Keyspace" + ours},
		{"everything", first + "Commandstats Errorstats Latencystats Cluster Keyspace" + ours},
		{"cpu nosuch MEMORY cpu", "Memory CPU"},
		{"modules", "Modules"},
		{"nosuch", ""},
		{"store log", "Log Store"},
	} {
		if have := titles(c.sections); have != c.want {
			t.Errorf("INFO %s shows %q, want %q", c.sections, have, c.want)
		}
	}
	if have := r.do("INFO cluster"); have != "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n" {
		t.Errorf("INFO cluster is %q", have)
	}
	if have := r.do("INFO nosuch"); have != "$0\r\n\r\n" {
		t.Errorf("an unknown section is %q", have)
	}
}

// TestInfoIsDocumented shows as many fields as possible and finds each line in
// the table, and each entry of the table among the lines.
func TestInfoIsDocumented(t *testing.T) {
	r := newRig(t, "region here", "region-location 1 2", "sibling there 127.0.0.1:7000 3 4")
	r.do("SET a 1 EX 100", "NOSUCH", "CONFIG GET port")
	r.settle()
	r.tick(20)
	r.store.Inject(persist.Faults{SyncErr: errors.New("no\nluck")})
	r.do("SET a 2")
	r.settle()
	have := r.fields("everything")
	matched := map[string]bool{}
	for _, s := range infoSections() {
		for _, f := range s.fields {
			re := regexp.MustCompile("^" + regexp.MustCompile("<[a-z]+>").ReplaceAllString(f.name, "[A-Za-z0-9_|-]+") + "$")
			shown := false
			for name := range have {
				if re.MatchString(name) {
					shown, matched[name] = true, true
				}
			}
			if !shown {
				t.Errorf("%s is never shown", f.name)
			}
		}
	}
	for name := range have {
		if !matched[name] {
			t.Errorf("%s is not in the table", name)
		}
	}
	for name, want := range map[string]string{
		"log_failed": "1", "aof_last_write_status": "err", "region": "here", "region_location": "1,2", "siblings": "1", "siblings_up": "0",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	if !strings.Contains(have["log_error"], "no luck") {
		t.Errorf("log_error is %q", have["log_error"])
	}
	if !strings.HasPrefix(have["sibling0"], "name=there,link=down,lag_in_ms=-1,") {
		t.Errorf("sibling0 is %q", have["sibling0"])
	}
}

func TestInfoCounts(t *testing.T) {
	r := newRig(t, "appendonly no", "maxclients 2")
	other := r.connect()
	if refused := r.connect(); !refused.Closing() && len(refused.Output()) == 0 {
		t.Error("maxclients let a third client in")
	}
	r.do("SET a 1", "SET b 2 PX 100000", "GET a", "GET a", "GET none", "NOSUCH", "LCS a", "CONFIG GET port", "WATCH a")
	r.do("AUTH nobody wrong")
	r.wall.Advance(2500)
	r.expect("everything", map[string]string{
		"redis_version": "7.2.11", "geocache_version": "9.9", "os": "plan9 mips", "process_id": "42", "run_id": strings.Repeat("ab", 20),
		"uptime_in_seconds": "2", "server_time_usec": "1700000002500000", "config_file": "/x/g.conf", "tcp_port": "6379",
		"connected_clients": "3", "maxclients": "2", "watching_clients": "1", "blocked_clients": "0",
		"total_connections_received": "3", "rejected_connections": "1", "total_commands_processed": "8",
		"keyspace_hits": "2", "keyspace_misses": "1", "acl_access_denied_auth": "1", "total_error_replies": "3",
		"errorstat_ERR": "count=2", "errorstat_WRONGPASS": "count=1",
		"cmdstat_set":        "calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
		"cmdstat_lcs":        "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
		"cmdstat_auth":       "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
		"cmdstat_config|get": "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0",
		"db0":                "keys=2,expires=1,avg_ttl=0",
		"aof_enabled":        "0", "aof_last_write_status": "ok", "aof_current_size": "", "aof_rewrites": "", "rdb_saves": "0", "log_active": "0", "store_open": "0", "log_end": "",
		"role": "master", "connected_slaves": "0", "master_replid": strings.Repeat("ab", 20), "used_cpu_user": "1.500000", "used_cpu_sys": "0.000002",
		"siblings": "0", "region": "local",
	})
	r.do("CONFIG RESETSTAT")
	r.expect("everything", map[string]string{
		"total_connections_received": "0", "rejected_connections": "0", "total_commands_processed": "1", "keyspace_hits": "0",
		"total_error_replies": "0", "errorstat_ERR": "", "cmdstat_set": "", "acl_access_denied_auth": "0", "db0": "keys=2,expires=1,avg_ttl=0",
	})
	other.Close()
	r.expect("clients", map[string]string{"connected_clients": "2"})
	r.do("CONFIG SET compat-version 7.0")
	r.expect("server", map[string]string{"redis_version": "7.0.15"})
}

// TestInfoInMulti: INFO counts databases, whose locks a MULTI's writes hold.
func TestInfoInMulti(t *testing.T) {
	r := newRig(t, "appendonly no")
	have := r.do("MULTI", "SET a 1", "SELECT 3", "SET b 2", "INFO keyspace", "SWAPDB 0 5", "INFO keyspace", "EXEC")
	for _, want := range []string{
		"db0:keys=1,expires=0,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n",
		"db3:keys=1,expires=0,avg_ttl=0\r\ndb5:keys=1,expires=0,avg_ttl=0\r\n",
	} {
		if !strings.Contains(have, want) {
			t.Errorf("%q lacks %q", have, want)
		}
	}
}

func TestInfoRates(t *testing.T) {
	r := newRig(t, "appendonly no")
	r.tick(20)
	for range 32 {
		r.do(slices.Repeat([]string{"PING"}, 10)...)
		r.tick(10)
	}
	r.expect("stats", map[string]string{
		"instantaneous_ops_per_sec": "100", "instantaneous_input_kbps": "1.37", "instantaneous_output_kbps": "0.68",
	})
	r.do("CONFIG RESETSTAT")
	r.tick(200)
	r.expect("stats", map[string]string{"instantaneous_ops_per_sec": "0", "instantaneous_input_kbps": "0.00"})
	r.wall.Advance(-5000) // a clock set back
	r.tick(40)
	r.expect("stats", map[string]string{"instantaneous_ops_per_sec": "0"})
}

func TestInfoMemory(t *testing.T) {
	r := newRig(t, "appendonly no", "maxmemory 100mb", "maxmemory-policy allkeys-lru")
	empty := r.fields("memory")
	if empty["used_memory_startup"] != "1048576" || empty["used_memory_dataset"] != "0" {
		t.Errorf("an empty server: %v", empty)
	}
	r.do("SET k " + strings.Repeat("x", 1<<20))
	peak := r.fields("memory")["used_memory"]
	r.do("DEL k")
	r.expect("memory", map[string]string{
		"used_memory": empty["used_memory"], "used_memory_peak": peak, "used_memory_peak_human": "2.01M",
		"maxmemory": "104857600", "maxmemory_human": "100.00M", "maxmemory_policy": "allkeys-lru",
		"used_memory_rss": "4194304", "used_memory_rss_human": "4.00M", "mem_fragmentation_ratio": "3.99",
		// The 26 bytes are this INFO.
		"mem_clients_normal": "2074", "mem_not_counted_for_evict": "0", "used_memory_overhead": "1050650",
		"used_memory_dataset_perc": "0.00%", "total_system_memory_human": "8.00G", "mem_allocator": "geocache-slab",
	})
	// Commands queued for EXEC are memory too.
	r.do("MULTI", "SET k "+strings.Repeat("x", 10_000))
	if n := r.clients.totals().bytes; n < 2048+10_000 {
		t.Errorf("10000 bytes queued, %d counted", n)
	}
	r.do("DISCARD")
	if n := r.clients.totals().bytes; n > 2048+100 {
		t.Errorf("nothing queued, %d counted", n)
	}
}

// TestInfoPeak: the peak is found between two INFOs.
func TestInfoPeak(t *testing.T) {
	r := newRig(t, "appendonly no")
	r.tick(20)
	r.do("SET k " + strings.Repeat("x", 1<<20))
	r.tick(20)
	r.do("DEL k")
	r.tick(20)
	m := r.fields("memory")
	if m["used_memory_peak_human"] != "2.01M" || m["used_memory_human"] != "1.00M" || !strings.HasPrefix(m["used_memory_peak_perc"], "49.9") {
		t.Errorf("peak %s (%s), now %s", m["used_memory_peak_human"], m["used_memory_peak_perc"], m["used_memory_human"])
	}
}

func TestInfoExpiry(t *testing.T) {
	r := newRig(t, "appendonly no")
	for i := range 100 {
		r.do(fmt.Sprintf("SET k%d x PX %d", i, 50_000+i*1000))
		r.do(fmt.Sprintf("SET short%d x PX 5", i))
	}
	r.tick(200)
	r.expect("stats", map[string]string{"expired_keys": "100"})
	var keys, expires, ttl int
	if _, err := fmt.Sscanf(r.fields("keyspace")["db0"], "keys=%d,expires=%d,avg_ttl=%d", &keys, &expires, &ttl); err != nil {
		t.Fatal(err)
	}
	// 50 to 149 seconds were set and two have passed.
	if keys != 100 || expires != 100 || ttl < 85_000 || ttl > 110_000 {
		t.Errorf("%d keys, %d with a deadline, %d ms left on average", keys, expires, ttl)
	}
}

func TestInfoDisk(t *testing.T) {
	r := newRig(t, "checkpoint-log-size 1mb")
	r.do("SET a 1", "SET b 2")
	r.expect("everything", map[string]string{
		"log_end": "3", "log_written": "0", "log_durable": "0", "log_checkpoint": "0", "log_batches": "2", "log_sync": "everysec",
		"rdb_changes_since_last_save": "2", "rdb_saves": "0", "rdb_last_bgsave_time_sec": "-1", "rdb_last_save_time": "1700000000",
		"aof_rewrites": "0", "aof_last_rewrite_time_sec": "-1",
		"aof_enabled": "1", "loading": "0", "recovery_clean": "0", "recovered_batches": "0", "store_open": "1", "log_active": "1",
	})
	if b := r.fields("log")["log_backlog_bytes"]; b == "0" {
		t.Error("two batches wait, and the backlog is 0")
	}
	r.wall.Advance(61_000)
	r.settle()
	r.expect("everything", map[string]string{
		"log_end": "3", "log_written": "2", "log_durable": "2", "log_checkpoint": "2", "log_backlog_bytes": "0", "log_failed": "0",
		"rdb_changes_since_last_save": "2", "aof_rewrites": "1", "aof_last_rewrite_time_sec": "0",
		"aof_rewrite_in_progress": "0", "aof_current_rewrite_time_sec": "-1", "aof_last_bgrewrite_status": "ok", "aof_buffer_length": "0",
	})
	r.do("SET c 3")
	r.wall.Advance(61_000)
	for r.WriteLog() {
	}
	r.store.Inject(persist.Faults{WriteErr: errors.New("full")})
	for r.Checkpoint() {
	}
	r.expect("persistence", map[string]string{"aof_last_bgrewrite_status": "err", "aof_rewrites": "1"})
}

// TestInfoRestart shows what a start found.
func TestInfoRestart(t *testing.T) {
	r := newRig(t)
	r.do("SET a 1", "SET b 2")
	r.wall.Advance(61_000)
	r.settle()
	r.do("SET c 3")
	store := r.store
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Load(config.Sources{WorkingDir: "/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := r.opts
	o.Config = conf
	o.OpenStore = func() (persist.Store, error) { return store.Reopen(), nil }
	if r.Node, err = Open(o); err != nil {
		t.Fatal(err)
	}
	r.s = r.connect()
	r.expect("everything", map[string]string{
		"recovery_clean": "1", "recovered_batches": "1", "recovered_keys": "2", "db0": "keys=3,expires=0,avg_ttl=0",
	})
}

func TestInfoNumbers(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 1023: "1023B", 1024: "1.00K", 1536: "1.50K", 1<<20 - 1: "1024.00K", 1 << 20: "1.00M", 5 << 30: "5.00G", 1 << 41: "2.00T",
		3 << 50: "3.00P", 1 << 62: "4096.00P",
	} {
		if have := human(n); have != want {
			t.Errorf("human(%d) is %s, want %s", n, have, want)
		}
	}
	if a, b := percent(1, 3), percent(0, 0); a != "33.33%" || b != "0.00%" {
		t.Error(a, b)
	}
}
