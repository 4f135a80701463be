package node

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestLookAhead sends pipelines of all sorts of requests about a keyspace large
// enough for looking ahead, at once to one server and one by one to another: the
// answers are the same.
func TestLookAhead(t *testing.T) {
	const keys = 250_000
	whole, single := newRig(t, "appendonly no"), newRig(t, "appendonly no")
	for at := 0; at < keys; at += 1000 {
		words := "MSET"
		for i := range 1000 {
			words += fmt.Sprintf(" key:%d %d", at+i, i)
		}
		for _, r := range []*rig{whole, single} {
			r.s.Feed([]byte(request(words)))
			r.s.Output()
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	name := func() string { return fmt.Sprintf("key:%d", rnd.IntN(keys+1000)) }
	requests := []func() string{
		func() string { return request("GET " + name()) },
		func() string { return request("SET " + name() + " " + name()) },
		func() string { return request("DEL " + name() + " " + name()) },
		func() string { return request("MGET " + name() + " " + name() + " " + name()) },
		func() string { return request("RENAME " + name() + " " + name()) },
		func() string { return request("RPUSH " + name() + " a b") },
		func() string { return request(fmt.Sprintf("SELECT %d", rnd.IntN(2))) },
		func() string { return request("PING") },
		func() string { return request("GET") },
		func() string { return "GET " + name() + "\r\n" },
		func() string { return request("MULTI") + request("INCR "+name()) + request("EXEC") },
	}
	looked := 0
	for range 3000 {
		var all []byte
		var answers []byte
		for range 1 + rnd.IntN(40) {
			one := []byte(requests[rnd.IntN(len(requests))]())
			all = append(all, one...)
			single.s.Feed(one)
			answers = append(answers, single.s.Output()...)
		}
		whole.s.Feed(all)
		if got := whole.s.Output(); !bytes.Equal(got, answers) {
			t.Fatalf("%q\nis answered\n%q\none by one\n%q", all, got, answers)
		}
		if whole.s.shut == 0 {
			looked++
		}
	}
	if looked == 0 {
		t.Error("nothing was ever looked ahead for")
	}
}

// TestLookAheadNot: nothing is looked at for who has not logged in, nor where one
// key follows itself, and where there is little of a keyspace seldom.
func TestLookAheadNot(t *testing.T) {
	r := newRig(t, "appendonly no")
	get := [][]byte{[]byte("GET"), []byte("a")}
	same, other := []byte(request("GET a")+request("GET c")), []byte(request("GET b")+request("GET c"))
	r.s.lookAhead(get, same)
	if r.s.shut != 0 {
		t.Error("the keyspace was asked about a key that follows itself")
	}
	if n := r.s.lookAhead(get, other); n != len(other) || r.s.shut != shutFor {
		t.Errorf("%d of %d bytes, shut for %d", n, len(other), r.s.shut)
	}
	r.s.shut, r.s.authenticated = 0, false
	r.s.lookAhead(get, other)
	if r.s.shut != 0 {
		t.Error("the keyspace was asked before a login")
	}
}
