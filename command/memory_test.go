package command

import (
	"strings"
	"testing"
)

func TestMemory(t *testing.T) {
	h, _, host := newFake(t)
	host.memory = MemoryInfo{Used: 3 << 20, Peak: 4 << 20, Startup: 1 << 20, Clients: 1000, Live: 2 << 20, Mapped: 3 << 20, Resident: 30 << 20}
	h.run([]step{
		{"memory usage nosuch", "nil"},
		{"memory usage nosuch samples x", "-ERR value is not an integer or out of range"},
		{"memory usage nosuch samples -1", "-ERR syntax error"},
		{"memory usage nosuch samples", "-ERR syntax error"},
		{"memory usage nosuch simples 5", "-ERR syntax error"},
		{"set k 0123456789", "+OK"},
		{"memory usage k", ":26"},
		{"memory usage k samples 0", ":26"},
		{"memory purge", "+OK"},
		{"memory malloc", "-ERR unknown subcommand 'malloc'. Try MEMORY HELP."},
	})
	if len(host.did) != 1 || host.did[0] != "purge" {
		t.Error(host.did)
	}
	stats := h.do("memory stats")
	for _, want := range []string{
		"peak.allocated:4194304", "total.allocated:3145728", "keys.count:1", "db.0:", "overhead.hashtable.main:16",
		"allocator-fragmentation.ratio:1.5", "fragmentation:10",
	} {
		if !strings.Contains(strings.NewReplacer(`"`, "", ", :", ":", ", ", ":", "[", "").Replace(stats), want) {
			t.Errorf("no %s in %s", want, stats)
		}
	}
	if s := h.do("memory doctor"); !strings.Contains(s, "too little data") {
		t.Error(s)
	}
	host.memory = MemoryInfo{Used: 30 << 20, Peak: 300 << 20, Live: 20 << 20, Mapped: 30 << 20, Heap: 90 << 20, Clients: 20 << 20, Limit: 20 << 20, Litter: 2}
	s := h.do("memory doctor")
	for _, want := range []string{"Peak", "Fragmentation", "Go heap", "Clients", "Removed data", "Limit"} {
		if !strings.Contains(s, want) {
			t.Errorf("the doctor does not see %s: %s", want, s)
		}
	}
	host.memory = MemoryInfo{Used: 30 << 20, Peak: 30 << 20, Live: 20 << 20, Mapped: 21 << 20}
	if s := h.do("memory doctor"); !strings.Contains(s, "Nothing") {
		t.Error(s)
	}
	if s := h.do("memory malloc-stats"); !strings.Contains(s, "shard 0: ") {
		t.Error(s)
	}
}
