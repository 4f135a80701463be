package command

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"geocache/engine"
	"geocache/resp"
)

// MemoryInfo describes the memory of the process, in bytes, for MEMORY.
type MemoryInfo struct {
	Used, Peak, Startup, Clients int64 // by accounting
	Log                          int64 // memory of the log's tail
	Live, Mapped                 int64 // of the data's blocks and pages
	Resident                     int64 // of the process; 0 where the system does not tell
	Heap                         int64 // of Go
	Limit                        int64 // maxmemory
	Snapshots                    int64 // what they keep, in Used but not counted for maxmemory
	Litter                       int64 // large removed collections that are not freed yet
}

func memoryRows() []Row {
	const complexity = "O(1)"
	allShards := []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}
	return []Row{{
		Name: "memory", Arity: -2,
		Doc: Doc{
			Summary: "Contains commands that tell where memory goes.",
			Since:   "4.0.0", Group: "server", Complexity: "Depends on subcommand.",
		},
		Subs: []Row{
			{
				Name: "doctor", Arity: 2, Flags: Control, Run: memoryDoctor,
				Doc: Doc{Summary: "Says what is unusual about memory, in words.", Since: "4.0.0", Group: "server", Complexity: complexity, Tips: allShards},
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale | Control, Run: memoryHelp,
				Doc: Doc{Summary: "Explains the subcommands.", Since: "4.0.0", Group: "server", Complexity: complexity},
			},
			{
				Name: "malloc-stats", Arity: 2, Flags: Control, Run: memoryMallocStats,
				Doc: Doc{
					Summary: "Lists what each shard holds.", Since: "4.0.0", Group: "server",
					Complexity: "O(N) where N is the number of shards", Tips: allShards,
				},
			},
			{
				Name: "purge", Arity: 2, Flags: Control, Run: memoryPurge,
				Doc: Doc{
					Summary: "Gives memory that is not in use back to the system, soon.", Since: "4.0.0", Group: "server", Complexity: complexity,
					Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
				},
			},
			{
				Name: "stats", Arity: 2, Flags: Walk, Run: memoryStats,
				Doc: Doc{Summary: "Returns figures of memory.", Since: "4.0.0", Group: "server", Complexity: complexity, Tips: allShards},
			},
			{
				Name: "usage", Arity: -3, Flags: ReadOnly, Keys: []KeySpec{At(2, RO)}, Run: memoryUsage,
				Doc: Doc{
					Summary: "Returns how many bytes a key takes.", Since: "4.0.0", Group: "server",
					Complexity: "O(1): collections are not sampled, their size is known",
					Args:       []Arg{keyArg(0), optional(Arg{Name: "count", Type: ArgInteger, Token: "SAMPLES"})},
				},
			},
		},
	}}
}

// memoryUsage takes SAMPLES as Redis does, and needs none.
func memoryUsage(c *Ctx) {
	for i := 3; i < len(c.Args); i += 2 {
		if !isWord(c.Args[i], "SAMPLES") || i+1 == len(c.Args) {
			c.Fail(resp.ErrSyntax)
			return
		}
		switch n, err := strconv.ParseInt(string(c.Args[i+1]), 10, 64); {
		case err != nil:
			c.Fail(resp.ErrNotInt)
			return
		case n < 0:
			c.Fail(resp.ErrSyntax)
			return
		}
	}
	info, ok := c.Tx.Info(c.Key(2))
	if !ok {
		c.Out.Null()
		return
	}
	c.Out.Int(info.Bytes)
}

// keyOverhead is what a small key takes beside its own bytes and its value's:
// the head of its record and its share of the table.
const keyOverhead = 16

func memoryStats(c *Ctx) {
	m, dbs := c.Host.Memory(), c.Tx.DBInfos()
	keys := int64(0)
	for _, d := range dbs {
		keys += int64(d.Keys)
	}
	mark, n := c.Out.MapLater(), 0
	integer := func(name string, v int64) {
		c.Out.BulkString(name)
		c.Out.Int(v)
		n++
	}
	double := func(name string, v float64) {
		c.Out.BulkString(name)
		c.Out.Double(v)
		n++
	}
	overhead := m.Startup + m.Clients + m.Snapshots + keys*keyOverhead
	integer("peak.allocated", m.Peak)
	integer("total.allocated", m.Used)
	integer("startup.allocated", m.Startup)
	integer("replication.backlog", 0)
	integer("clients.slaves", 0)
	integer("clients.normal", m.Clients)
	integer("cluster.links", 0)
	integer("aof.buffer", m.Log)
	integer("lua.caches", 0)
	integer("functions.caches", 0)
	memoryOfDatabases(c, dbs)
	n += len(dbs)
	integer("overhead.total", overhead)
	integer("keys.count", keys)
	integer("keys.bytes-per-key", (m.Used-m.Startup)/max(keys, 1))
	integer("dataset.bytes", max(m.Used-overhead, 0))
	double("dataset.percentage", 100*ratio(max(m.Used-overhead, 0), m.Used-m.Startup))
	double("peak.percentage", 100*ratio(m.Used, m.Peak))
	integer("allocator.allocated", m.Live)
	integer("allocator.active", m.Mapped)
	integer("allocator.resident", m.Mapped)
	double("allocator-fragmentation.ratio", ratio(m.Mapped, m.Live))
	integer("allocator-fragmentation.bytes", m.Mapped-m.Live)
	double("allocator-rss.ratio", 1)
	integer("allocator-rss.bytes", 0)
	double("rss-overhead.ratio", ratio(m.Resident, m.Mapped))
	integer("rss-overhead.bytes", m.Resident-m.Mapped)
	double("fragmentation", ratio(m.Resident, m.Used))
	integer("fragmentation.bytes", m.Resident-m.Used)
	c.Out.EndArray(mark, n)
}

func memoryOfDatabases(c *Ctx, dbs map[int]engine.DBInfo) {
	numbers := make([]int, 0, len(dbs))
	for db := range dbs {
		numbers = append(numbers, db)
	}
	slices.Sort(numbers)
	for _, db := range numbers {
		c.Out.BulkString("db." + strconv.Itoa(db))
		c.Out.Map(2)
		c.Out.BulkString("overhead.hashtable.main")
		c.Out.Int(int64(dbs[db].Keys) * keyOverhead)
		c.Out.BulkString("overhead.hashtable.expires") // deadlines lie with the keys
		c.Out.Int(0)
	}
}

// ratio is part divided by whole, 0 where there is nothing.
func ratio(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return math.Round(float64(part)/float64(whole)*1e4) / 1e4
}

// From here on memory counts as unusual: figures below doctorFloor say nothing.
const (
	doctorFloor = 5 << 20
	muchPeak    = 1.5
	muchFrag    = 1.4
	muchHeap    = 64 << 20
)

func memoryDoctor(c *Ctx) {
	m := c.Host.Memory()
	if m.Used < doctorFloor {
		c.Out.Verbatim("txt", "There is too little data for its memory to say anything.")
		return
	}
	var findings []string
	say := func(format string, args ...any) { findings = append(findings, fmt.Sprintf("* "+format, args...)) }
	if ratio(m.Peak, m.Used) > muchPeak {
		say("Peak: used memory was %.1f times what it is now. What was given up then goes back to the system in the background.", ratio(m.Peak, m.Used))
	}
	if m.Live > doctorFloor && ratio(m.Mapped, m.Live) > muchFrag {
		say("Fragmentation: pages hold %.1f times the bytes of their blocks. Blocks are moved together in the background; it lasts while sizes keep changing.", ratio(m.Mapped, m.Live))
	}
	if m.Heap > muchHeap && m.Heap > m.Used {
		say("Go heap: at %d MB it is larger than the data. Large requests and replies, or the log's tail, pass through it.", m.Heap>>20)
	}
	if m.Clients > m.Used/2 {
		say("Clients: their buffers are more than half of used memory. CLIENT LIST shows whose.")
	}
	if m.Litter > 0 {
		say("Removed data: %d large collections are still being freed.", m.Litter)
	}
	if m.Limit > 0 && m.Used-m.Snapshots > m.Limit {
		say("Limit: used memory is over maxmemory.")
	}
	if len(findings) == 0 {
		findings = []string{"Nothing about memory is unusual."}
	}
	c.Out.Verbatim("txt", strings.Join(findings, "\n"))
}

func memoryMallocStats(c *Ctx) {
	var b strings.Builder
	for i, m := range c.Host.Engine().Memory() {
		fmt.Fprintf(&b, "shard %d: %d bytes in blocks, %d in pages, %d to be moved\n", i, m.Live, m.Mapped, m.Sparse)
	}
	c.Out.Verbatim("txt", b.String())
}

func memoryPurge(c *Ctx) {
	c.Host.PurgeMemory()
	c.Out.OK()
}

func memoryHelp(c *Ctx) {
	c.Out.Help([]string{
		"MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"DOCTOR",
		"    What is unusual about memory, in words.",
		"MALLOC-STATS",
		"    What each shard holds.",
		"PURGE",
		"    Gives memory that is not in use back to the system, soon.",
		"STATS",
		"    Figures of memory.",
		"USAGE <key> [SAMPLES <count>]",
		"    Bytes that <key> takes. Nothing is sampled: sizes are known.",
		"HELP",
		"    This text.",
	})
}
