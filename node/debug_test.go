package node

import (
	"math"
	"strings"
	"testing"

	"geocache/rdb"
)

// The digests below are what redis-server 7.0.15 answers for the same data.

const digestOfThree = "976b965448ea9666c221270b4843f8a326101338"

func (r *saveRig) debugDigest(want string) {
	r.t.Helper()
	r.do("DEBUG DIGEST")
	if out := r.run(); out != "+"+want+"\r\n" {
		r.t.Errorf("digest %q, want %s", out, want)
	}
}

// ok runs a command that parks and wants OK.
func (r *saveRig) ok(request string) {
	r.t.Helper()
	r.do(request)
	if out := r.run(); out != "+OK\r\n" {
		r.t.Fatalf("%s: %q", request, out)
	}
}

// fails runs a command that parks and wants an error.
func (r *saveRig) fails(request, prefix string) {
	r.t.Helper()
	r.do(request)
	if out := r.run(); !strings.HasPrefix(out, prefix) {
		r.t.Errorf("%s: %q", request, out)
	}
}

func (r *saveRig) threeKeys() {
	r.t.Helper()
	r.do("SET a 1", "SET b x EX 1000", "SELECT 9", "SET c 2", "SELECT 0")
}

func TestDebugReload(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "enable-debug-command yes")
	r.threeKeys()
	r.debugDigest(digestOfThree)
	r.ok("DEBUG RELOAD")
	r.debugDigest(digestOfThree)
	r.want(":1000\r\n", "TTL b")

	r.do("SET a changed", "SET more 1")
	r.ok("DEBUG RELOAD NOSAVE")
	r.debugDigest(digestOfThree)

	r.do("SET a changed", "SET more 1")
	r.fails("DEBUG RELOAD NOSAVE NOFLUSH", "-ERR Error trying to load the RDB dump")
	r.ok("DEBUG RELOAD NOSAVE NOFLUSH MERGE")
	r.want("$1\r\n1\r\n", "GET more")
	r.want("$1\r\n1\r\n", "GET a")

	r.files.err = errNoFiles
	r.fails("DEBUG RELOAD", "-ERR")
	r.want("$1\r\n1\r\n", "GET a")
}

func TestDebugLoadLog(t *testing.T) {
	r := newSaveRig(t, "appendonly yes", "enable-debug-command yes")
	r.threeKeys()
	r.ok("DEBUG LOADAOF")
	r.debugDigest(digestOfThree)
	r.settle() // into rows
	r.do("SET a changed", "SET a 1")
	r.ok("DEBUG LOADAOF")
	r.debugDigest(digestOfThree)
	r.do("SET later 1")
	r.settle()
	r.restart("appendonly yes")
	r.want(":2\r\n", "EXISTS a later")

	// Without a log the store serves for the moment.
	r = newSaveRig(t, "appendonly no", "enable-debug-command yes")
	r.threeKeys()
	for range 2 {
		r.ok("DEBUG LOADAOF")
		r.debugDigest(digestOfThree)
	}
	r.do("SET more 1")
	r.restart("appendonly yes")
	r.want(":0\r\n", "DBSIZE")
}

// While data is replaced other sessions wait, and go on after it.
func TestDebugReloadHoldsOthers(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "enable-debug-command yes")
	r.threeKeys()
	other := r.connect()
	err := r.alone(func() error {
		other.Feed([]byte("GET a\r\n"))
		if out := other.Output(); len(out) > 0 {
			t.Errorf("a command ran: %q", out)
		}
		return nil
	})
	other.Resume()
	if out := string(other.Output()); err != nil || out != "$1\r\n1\r\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestDebugKeys(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "enable-debug-command yes")
	r.threeKeys()
	ask := func(request, want string) {
		t.Helper()
		r.do(request)
		if out := r.run(); !strings.Contains(out, want) {
			t.Errorf("%s: %q lacks %q", request, out, want)
		}
	}
	ask("DEBUG DIGEST-VALUE a b nosuch", "*3\r\n+b4fc66738120fba0b5aa500ab5c2bf89cea1c5da\r\n"+
		"+0745672cb1bf060476eedeb8a28f5ffe1ff5a2be\r\n+0000000000000000000000000000000000000000\r\n")
	ask("DEBUG OBJECT a", "refcount:1 encoding:int serializedlength:2 ")
	ask("DEBUG OBJECT nosuch", "-ERR no such key")
	ask("DEBUG HTSTATS-KEY a", "-ERR The value stored")
	ask("DEBUG HTSTATS 0", "number of elements: 2")
	r.ok("DEBUG POPULATE 1000 p 10")
	r.want(":1002\r\n", "DBSIZE")
	r.want("$10\r\nvalue:7\x00\x00\x00\r\n", "GET p:7")
	r.ok("DEBUG POPULATE 2")
	r.want("$7\r\nvalue:1\r\n", "GET key:1")
}

func seq[T any](list ...T) rdb.Seq[T] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func TestDigestOfTypes(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		want string
		e    rdb.Entry
	}{
		{"d6856a458d410a3034958671bb106b8697f1c633", rdb.Entry{Value: rdb.List{Len: 3, Elements: seq(b("one"), b("two"), b("3"))}}},
		{"59972ab52e96f6d8bccb960e676357a6a688bd03", rdb.Entry{Value: rdb.Set{Len: 3, Members: seq(b("3"), b("m2"), b("m1"))}}},
		{"42027beb59e6f76415dbf2a6a8760b9942d5eec7", rdb.Entry{Value: rdb.ZSet{Len: 7, Members: seq(
			rdb.Scored{Member: b("a"), Score: 0.1}, rdb.Scored{Member: b("b"), Score: 3},
			rdb.Scored{Member: b("c"), Score: math.Inf(1)}, rdb.Scored{Member: b("d"), Score: math.Inf(-1)},
			rdb.Scored{Member: b("e"), Score: 1e21}, rdb.Scored{Member: b("f"), Score: -2.5},
			rdb.Scored{Member: b("g"), Score: 123456789})}}},
		{"1a829079a3445502afb36a8ae43b17b66216b9c6", rdb.Entry{DeadlineMs: 1, Value: rdb.Hash{Len: 2, Fields: seq(
			rdb.Field{Name: b("f2"), Value: b("2")}, rdb.Field{Name: b("f1"), Value: b("v1")})}}},
		{"3a1d9187c2573d766a71ee347c0ffb73e98ff32d", rdb.Entry{Value: &rdb.Stream{Len: 2, Entries: seq(
			rdb.StreamEntry{ID: rdb.StreamID{Ms: 5, Seq: 1}, Fields: [][]byte{b("f"), b("v"), b("g"), b("w")}},
			rdb.StreamEntry{ID: rdb.StreamID{Ms: 6}, Fields: [][]byte{b("f"), b("7")}})}}},
	} {
		var d digest
		if err := d.value(c.e); err != nil || d.String() != c.want {
			t.Errorf("%T: %s, %v, want %s", c.e.Value, d.String(), err, c.want)
		}
	}
}

// TestDebugWhileInputComes: the work of a command that parks begins when the
// memory of its request has been used for other input.
func TestDebugWhileInputComes(t *testing.T) {
	r := newSaveRig(t, "appendonly no", "enable-debug-command yes")
	r.do("SET abcdefgh 1", "SADD bcdefghi a")
	ask := func(request string) string {
		input := []byte(request + "\r\n")
		r.s.Feed(input)
		for i := range input {
			input[i] = 'z'
		}
		return r.run()
	}
	for _, request := range []string{"DEBUG DIGEST-VALUE abcdefgh bcdefghi nosuch", "DEBUG OBJECT abcdefgh", "DEBUG HTSTATS-KEY bcdefghi"} {
		if got, want := ask(request), r.do(request)+r.run(); got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}
