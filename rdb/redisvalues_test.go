package rdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// client speaks to the server; it is for what redis-cli cannot say.
func (r *realRedis) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: filepath.Join(r.dir, "s"), Protocol: 2})
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// judge asks a real server.
type judge struct {
	t *testing.T
	c *redis.Client
}

func newJudge(t *testing.T, dir string) *judge {
	return &judge{t, startRedis(t, dir).client()}
}

func (j *judge) do(args ...any) any {
	j.t.Helper()
	v, err := j.c.Do(context.Background(), args...).Result()
	if err != nil {
		j.t.Fatalf("%.200q: %v", fmt.Sprint(args...), err)
	}
	return v
}

// all runs many commands at once.
func (j *judge) all(commands [][]any) {
	j.t.Helper()
	for len(commands) > 0 {
		n := min(len(commands), 10000)
		p := j.c.Pipeline()
		for _, args := range commands[:n] {
			p.Do(context.Background(), args...)
		}
		if _, err := p.Exec(context.Background()); err != nil {
			j.t.Fatal(err)
		}
		commands = commands[n:]
	}
}

func (j *judge) dump(key string) string {
	j.t.Helper()
	return j.do("DUMP", key).(string)
}

// sight is what a client can see of a key.
func (j *judge) sight(key string) string {
	j.t.Helper()
	s := fmt.Sprint(j.do("OBJECT", "ENCODING", key), j.do("DEBUG", "DIGEST-VALUE", key))
	if j.do("TYPE", key) == "stream" {
		info := j.do("XINFO", "STREAM", key, "FULL", "COUNT", 0).([]any)
		for i := 0; i < len(info); i += 2 {
			if !strings.HasPrefix(info[i].(string), "radix-tree") {
				s += fmt.Sprint(info[i], ":", info[i+1], "\n")
			}
		}
	}
	return s
}

// built are the keys that commands makes.
func (j *judge) built() (keys []string) {
	rng := rand.New(rand.NewPCG(3, 4))
	var commands [][]any
	add := func(key string, args ...any) {
		commands = append(commands, append([]any{args[0], key}, args[1:]...))
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	}
	something := func(i int) any {
		switch i % 5 {
		case 0:
			return rng.Int64() >> (rng.UintN(64))
		case 1:
			return -(rng.Int64() >> (rng.UintN(64)))
		case 2:
			return word(rng.IntN(64))
		}
		return fmt.Sprint("element ", i)
	}
	for _, n := range []int{1, 2, 100, 127, 128, 129, 511, 512, 513, 5000} {
		for i := range n {
			add(fmt.Sprint("list:", n), "RPUSH", something(i))
			add(fmt.Sprint("ints:", n), "SADD", rng.Int64()>>(rng.UintN(64)))
			add(fmt.Sprint("shorts:", n), "SADD", int16(rng.Uint32()))
			add(fmt.Sprint("set:", n), "SADD", fmt.Sprint(something(i), i))
			add(fmt.Sprint("hash:", n), "HSET", fmt.Sprint(something(i), i), something(i+2))
			add(fmt.Sprint("zset:", n), "ZADD", rng.NormFloat64()*1e10, fmt.Sprint(something(i), i))
			add(fmt.Sprint("ranks:", n), "ZADD", i, fmt.Sprint(i))
			add(fmt.Sprint("stream:", n), "XADD", fmt.Sprint(i/3+1, "-", i%3), "a", something(i), "b", i)
			add(fmt.Sprint("mixed:", n), "XADD", fmt.Sprint(uint64(i)*1e15+1, "-", ^uint64(0)-uint64(i)), fmt.Sprint("name", i%2), something(i), i%4, i)
		}
	}
	for _, n := range []int{63, 64, 65, 4095, 4096, 5000, 70000, 3 << 20} {
		key := fmt.Sprint(":long", n)
		add("list"+key, "RPUSH", word(n), "x", word(n), 17)
		add("set"+key, "SADD", word(n), "x")
		add("hash"+key, "HSET", "x", word(n), "y", 5)
		add("zset"+key, "ZADD", 0.1, word(n), "-inf", "low", "+inf", "high", "-0", "zero")
		add("stream"+key, "XADD", "*", "x", word(n))
		add("stream"+key, "XADD", "*", word(n), "x", "y", "z")
		add("stream"+key, "XADD", "*", word(n), "x", "y", "z")
	}
	add("empty texts", "RPUSH", "", "", "x")
	add("empty field", "HSET", "", "")
	add("empty entry", "XADD", "5-5", "", "")
	j.all(commands)
	return append(keys, j.builtStreams()...)
}

// builtStreams are streams with a past.
func (j *judge) builtStreams() []string {
	var commands [][]any
	do := func(args ...any) { commands = append(commands, args) }
	for i := range 500 {
		do("XADD", "groups", fmt.Sprint(i+1, "-1"), "f", i)
	}
	do("XDEL", "groups", "1-1", "250-1", "500-1", "301-1", "499-1")
	do("XGROUP", "CREATE", "groups", "none", "0")
	do("XGROUP", "CREATE", "groups", "end", "$")
	do("XGROUP", "CREATE", "groups", "g", "0")
	do("XGROUP", "CREATE", "groups", "read", "17-1", "ENTRIESREAD", 17)
	do("XGROUP", "CREATECONSUMER", "groups", "end", "idle")
	do("XREADGROUP", "GROUP", "g", "one", "COUNT", 40, "STREAMS", "groups", ">")
	do("XREADGROUP", "GROUP", "g", "two", "COUNT", 50, "STREAMS", "groups", ">")
	do("XREADGROUP", "GROUP", "g", "one", "COUNT", 10, "STREAMS", "groups", ">")
	do("XREADGROUP", "GROUP", "read", "12345", "STREAMS", "groups", ">")
	do("XACK", "groups", "g", "3-1", "77-1")
	do("XCLAIM", "groups", "g", "three", 0, "5-1", "50-1", "TIME", 12345, "RETRYCOUNT", 70)
	do("XDEL", "groups", "6-1")
	do("XADD", "gone", "7-7", "f", "v")
	do("XDEL", "gone", "7-7")
	do("XGROUP", "CREATE", "made", "g", "$", "MKSTREAM")
	do("XADD", "one", "7-7", "f", "v")
	do("XGROUP", "CREATE", "one", "g", "7-7")
	for i := range 350 {
		do("XADD", "trimmed", fmt.Sprint(i+1), "f", i)
	}
	do("XTRIM", "trimmed", "MAXLEN", 100)
	do("XSETID", "trimmed", "1000-5", "ENTRIESADDED", 900, "MAXDELETEDID", "999-0")
	j.all(commands)
	return []string{"groups", "gone", "made", "one", "trimmed"}
}

// again reads what a payload holds and makes a payload of that.
func again(t testing.TB, payload string) (Value, string) {
	t.Helper()
	v, err := ReadDump([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	length := lenOf(v)
	if v, err = held(v); err != nil {
		t.Fatal(err)
	}
	if lenOf(v) != length {
		t.Fatalf("%d elements, told %d", lenOf(v), length)
	}
	b, err := AppendDump([]byte("before"), v)
	if err != nil {
		t.Fatal(err)
	}
	return v, strings.TrimPrefix(string(b), "before")
}

func lenOf(v Value) int {
	switch v := v.(type) {
	case List:
		return v.Len
	case Set:
		return v.Len
	case Hash:
		return v.Len
	case ZSet:
		return v.Len
	case *Stream:
		return v.Len
	}
	return 0
}

// TestDumpsOfRedis reads payloads of a real server in all its forms, and has it
// restore ours: it must see the same, in the same encoding.
func TestDumpsOfRedis(t *testing.T) {
	j := newJudge(t, t.TempDir())
	keys := j.built()
	for _, key := range keys {
		v, ours := again(t, j.dump(key))
		if _, err := j.c.Do(context.Background(), "RESTORE", "copy", 0, ours, "REPLACE").Result(); err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if have, want := j.sight("copy"), j.sight(key); have != want {
			t.Errorf("%s:\nhave %.500s\nwant %.500s", key, have, want)
		}
		back, _ := again(t, ours)
		if text(back) != text(v) {
			t.Errorf("%s: ours reads as\n%.500s\nnot\n%.500s", key, text(back), text(v))
		}
	}
	t.Logf("%d keys", len(keys))
}

// TestFilesOfValues exchanges whole files.
func TestFilesOfValues(t *testing.T) {
	dir, dir2 := t.TempDir(), t.TempDir()
	j := newJudge(t, dir)
	keys := j.built()
	j.do("SAVE")
	b, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := entries(b)
	if err != nil || len(list) != len(keys) {
		t.Fatalf("%v; %d keys, want %d", err, len(list), len(keys))
	}
	ours := file(t, list)
	if back, err := entries(ours); err != nil || !same(back, list) {
		t.Errorf("ours reads differently: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir2, "dump.rdb"), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	j2 := newJudge(t, dir2)
	for _, key := range keys {
		if have, want := j2.sight(key), j.sight(key); have != want {
			t.Errorf("%s:\nhave %.500s\nwant %.500s", key, have, want)
		}
	}
}

// TestRedisThresholds has the server decide by other thresholds than it has by
// default.
func TestRedisThresholds(t *testing.T) {
	j := newJudge(t, t.TempDir())
	for _, size := range []any{0, 1, 5000} {
		for _, name := range []string{"hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries", "list-max-listpack-size", "stream-node-max-entries"} {
			j.do("CONFIG", "SET", name, size)
		}
		j.do("FLUSHALL")
		for _, key := range j.built() {
			_, ours := again(t, j.dump(key))
			j.do("RESTORE", "copy", 0, ours, "REPLACE")
			if have, want := j.sight("copy"), j.sight(key); have != want {
				t.Errorf("%v: %s:\nhave %.500s\nwant %.500s", size, key, have, want)
			}
		}
	}
}
