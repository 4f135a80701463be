package node

import (
	"strings"
	"testing"
)

// TestCollectionsOnDisk: with siblings collections leave memory once their rows
// are written; commands, snapshots and a restart find them whole.
func TestCollectionsOnDisk(t *testing.T) {
	deployed := []string{"appendonly no", "region here", "sibling there 127.0.0.1:1", "maxmemory-policy allkeys-wtinylfu"}
	r := newSaveRig(t, deployed...)
	long := strings.Repeat("v", 100)
	r.do("HSET h f "+long, "RPUSH l apple banana cherry", "SADD s xylophone yacht", "SADD i 1 2 3", "ZADD z 1 a 2 b", "XADD x 1-1 f v")
	evict := func(want int64) {
		t.Helper()
		r.wall.Advance(61_000)
		r.settle()
		before := r.engine.Stats().EvictedToDisk
		for r.engine.EvictStep(r.wall.NowMs()) > 0 {
		}
		if n := r.engine.Stats().EvictedToDisk - before; n != want {
			t.Fatalf("%d collections evicted, want %d", n, want)
		}
	}
	evict(6)
	r.want(":1\r\n+zset\r\n:-1\r\n", "EXISTS h", "TYPE z", "TTL l")
	evict(0)
	r.want("$100\r\n"+long+"\r\n:3\r\n:1\r\n$6\r\nintset\r\n$1\r\n2\r\n:1\r\n",
		"HGET h f", "LLEN l", "SISMEMBER s yacht", "OBJECT ENCODING i", "ZSCORE z b", "XLEN x")
	evict(6)
	r.want(":1\r\n:4\r\n:1\r\n:1\r\n", "HSET h g w", "RPUSH l d", "DEL s", "PEXPIRE z 1000000")
	evict(3) // those that came back, less the removed one
	r.want(ok, "SAVE")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.restart(deployed...)
	whole := func(r *saveRig) {
		t.Helper()
		r.want(":2\r\n$1\r\nd\r\n:0\r\n:3\r\n$1\r\n2\r\n:1\r\n",
			"HLEN h", "LINDEX l 3", "EXISTS s", "SCARD i", "ZSCORE z b", "XLEN x")
	}
	whole(r)
	fresh := newSaveRig(t, "appendonly no")
	fresh.files = r.files
	fresh.restart("appendonly no")
	whole(fresh)
}
