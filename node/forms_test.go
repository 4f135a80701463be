package node

import (
	"strings"
	"testing"
)

// TestFormParameters: the sizes up to which collections keep their small form,
// and strings of HyperLogLogs and nodes of streams theirs.
func TestFormParameters(t *testing.T) {
	r := newRig(t, "appendonly no")
	for _, c := range []struct{ set, small, more, before, after string }{
		{"hash-max-listpack-entries 2", "HSET k a 1 b 2", "HSET k c 3", "listpack", "hashtable"},
		{"hash-max-listpack-value 3", "HSET k a 123", "HSET k b 1234", "listpack", "hashtable"},
		{"list-max-listpack-size 2", "RPUSH k a b", "RPUSH k c", "listpack", "quicklist"},
		{"set-max-intset-entries 2", "SADD k 1 2", "SADD k 3", "intset", "hashtable"},
		{"set-max-listpack-entries 2", "SADD k a b", "SADD k c", "listpack", "hashtable"},
		{"set-max-listpack-value 3", "SADD k abc", "SADD k abcd", "listpack", "hashtable"},
		{"zset-max-listpack-entries 2", "ZADD k 1 a 2 b", "ZADD k 3 c", "listpack", "skiplist"},
		{"zset-max-listpack-value 3", "ZADD k 1 abc", "ZADD k 1 abcd", "listpack", "skiplist"},
		{"hll-sparse-max-bytes 0", "PFADD k", "PFADD k a b c", "sparse", "dense"},
	} {
		r.do("FLUSHALL")
		r.want("+OK", "CONFIG SET "+c.set)
		ask := "OBJECT ENCODING k"
		if strings.HasPrefix(c.set, "hll") {
			ask = "PFDEBUG ENCODING k"
		}
		r.do(c.small)
		if have := r.do(ask); !strings.Contains(have, c.before) {
			t.Errorf("%s: %s makes it %q", c.set, c.small, have)
		}
		r.do(c.more)
		if have := r.do(ask); !strings.Contains(have, c.after) {
			t.Errorf("%s: %s makes it %q", c.set, c.more, have)
		}
	}
	for _, set := range []string{"stream-node-max-entries 2", "stream-node-max-bytes 100"} {
		r.do("FLUSHALL", "CONFIG SET stream-node-max-entries 100 stream-node-max-bytes 4096", "CONFIG SET "+set)
		for range 12 {
			r.do("XADD k * f vvvvvvvvvvvvvvvv")
		}
		if have := r.do("XTRIM k MAXLEN ~ 3"); have == ":0\r\n" {
			t.Errorf("%s: nothing could be trimmed by whole nodes", set)
		}
	}
}
