package node

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"geocache/clock"
)

// mailOf resumes s, as its wake asks for, and returns what comes out.
func mailOf(s *Session) string {
	s.Resume()
	return string(s.Output())
}

// message is a message in RESP2, or as a push.
func message(kind string, words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%d\r\n", kind, len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func TestMessagesWakeTheirReceivers(t *testing.T) {
	r := newRig(t)
	wakes := 0
	s := r.Connect(ConnInfo{Remote: "127.0.0.1:6"}, func() { wakes++ })
	r.on(s).do("SUBSCRIBE ch")
	if got := r.do("PUBLISH ch 1", "PUBLISH ch 2"); got != ":1\r\n:1\r\n" {
		t.Errorf("publish: %q", got)
	}
	want := message("*", "message", "ch", "1") + message("*", "message", "ch", "2")
	if wakes != 1 || s.outputBytes() != int64(len(want)) {
		t.Errorf("%d wakes, %d bytes of output; want 1, %d", wakes, s.outputBytes(), len(want))
	}
	if got := mailOf(s); got != want {
		t.Errorf("mail %q", got)
	}
	if got := mailOf(s); got != "" || s.outputBytes() != 0 {
		t.Errorf("mail came twice: %q", got)
	}
}

// TestMessagesComeBeforeLaterReplies: what was published before a command ran
// is not behind its reply, in MULTI neither.
func TestMessagesComeBeforeLaterReplies(t *testing.T) {
	r := newRig(t)
	s := r.connect()
	r.on(s).do("HELLO 3", "SUBSCRIBE ch")
	push := message(">", "message", "ch", "x")
	for _, request := range []string{"PING", "GET k", "DBSIZE", "CONFIG RESETSTAT"} {
		r.do("PUBLISH ch x")
		if got := r.on(s).do(request); !strings.HasPrefix(got, push) || got == push {
			t.Errorf("%s: %q", request, got)
		}
	}
	r.on(s).do("MULTI", "GET k")
	r.do("PUBLISH ch x")
	if got := r.on(s).do("EXEC"); got != push+"*1\r\n_\r\n" {
		t.Errorf("EXEC: %q", got)
	}
	r.do("PUBLISH ch x")
	r.on(s).do("CLIENT REPLY OFF")
	r.do("PUBLISH ch x")
	if got := r.on(s).do("PING"); got != push {
		t.Errorf("without replies: %q", got)
	}
}

func TestOwnMessagesComeBehindTheReply(t *testing.T) {
	r := newRig(t, "notify-keyspace-events KA")
	r.do("HELLO 3", "SUBSCRIBE ch __keyspace@0__:k")
	push := func(n string) string { return message(">", "message", "ch", n) }
	if got, want := r.do("PUBLISH ch 1", "PUBLISH ch 2"), ":1\r\n"+push("1")+":1\r\n"+push("2"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	set := message(">", "message", "__keyspace@0__:k", "set")
	if got := r.do("SET k v"); got != "+OK\r\n"+set {
		t.Errorf("%q", got)
	}
	got := r.do("MULTI", "SET k 1", "PUBLISH ch 3", "SET k 2", "EXEC")
	if want := "*3\r\n+OK\r\n:1\r\n+OK\r\n" + set + push("3") + set; !strings.HasSuffix(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSlowReceiversAreClosed(t *testing.T) {
	r := newRig(t, "client-output-buffer-limit pubsub 1000 400 2")
	hard, soft := r.connect(), r.connect()
	r.on(hard).do("SUBSCRIBE hard")
	r.on(soft).do("SUBSCRIBE soft")
	big := strings.Repeat("x", 500)
	r.do("PUBLISH hard " + big)
	if hard.Closing() {
		t.Error("closed below the limit")
	}
	if got := r.do("PUBLISH hard "+big, "PUBSUB NUMSUB hard"); !hard.Closing() || hard.memory() > 4<<10 {
		t.Errorf("not closed at the limit: %q, %d bytes", got, hard.memory())
	}
	hard.Resume()
	if out := hard.Output(); out != nil {
		t.Errorf("a closed client still gets %q", out)
	}
	hard.Close()
	if got := r.do("PUBSUB NUMSUB hard"); !strings.Contains(got, ":0") {
		t.Errorf("still subscribed: %q", got)
	}
	if n := r.stats.outputLimit.Load(); n != 1 {
		t.Errorf("%d closed at the output limit", n)
	}
	r.do("PUBLISH soft " + big)
	r.tick(150)
	if soft.Closing() {
		t.Error("closed before the soft limit's time")
	}
	r.tick(200)
	if !soft.Closing() {
		t.Error("not closed after the soft limit's time")
	}
	soft.Close()
}

// TestSubscriptionsAreBounded: they count as the client's memory.
func TestSubscriptionsAreBounded(t *testing.T) {
	r := newRig(t)
	was := r.s.memory()
	r.do("SUBSCRIBE a b b", "PSUBSCRIBE *", "SSUBSCRIBE s")
	if grown := r.s.memory() - was; grown < 4*subscriptionBytes || grown > 5*subscriptionBytes {
		t.Errorf("four subscriptions count %d bytes", grown)
	}
	r.do("UNSUBSCRIBE a nosuch", "PUNSUBSCRIBE", "SUNSUBSCRIBE")
	r.do("UNSUBSCRIBE")
	if r.s.memory() != was || r.s.subscribed {
		t.Errorf("%d bytes left", r.s.memory()-was)
	}
	r.do("SUBSCRIBE a", "RESET")
	if r.s.memory() != was || r.pubsub.Peers() != 0 {
		t.Errorf("%d bytes left, %d subscribers", r.s.memory()-was, r.pubsub.Peers())
	}
}

func TestSubscribersAreClientsOfTheirOwnType(t *testing.T) {
	r := newRig(t, "timeout 1")
	s := r.connect()
	r.on(s).do("SUBSCRIBE a b", "PSUBSCRIBE *")
	line := s.Line()
	if !strings.Contains(line, " flags=P ") || !strings.Contains(line, " sub=2 psub=1 ssub=0 ") {
		t.Error(line)
	}
	if got := r.do("CLIENT LIST TYPE pubsub"); !strings.Contains(got, fmt.Sprintf("id=%d ", s.id)) || strings.Count(got, " addr=") != 1 {
		t.Errorf("%q", got)
	}
	if got := r.do("CLIENT LIST TYPE normal"); strings.Contains(got, fmt.Sprintf("id=%d ", s.id)) {
		t.Errorf("%q", got)
	}
	info := r.do("INFO everything")
	for _, want := range []string{"pubsub_clients:1\r\n", "pubsub_channels:2\r\n", "pubsub_patterns:1\r\n", "pubsubshard_channels:0\r\n"} {
		if !strings.Contains(info, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	r.tick(300)
	if s.Closing() || !r.s.Closing() {
		t.Error("timeout is for those who do not listen")
	}
	r.s = r.connect()
	if got := r.do("CLIENT KILL TYPE pubsub", "PUBSUB NUMPAT"); got != ":1\r\n:0\r\n" || !s.Closing() {
		t.Errorf("%q", got)
	}
}

// TestHeldMessages: with appendfsync always no message shows a write that is
// not durable.
func TestHeldMessages(t *testing.T) {
	r := newRig(t, "appendfsync always", "notify-keyspace-events EA")
	s := r.connect()
	r.on(s).do("SUBSCRIBE __keyevent@0__:set")
	if got := r.do("SET k v"); got != "" {
		t.Errorf("an early reply %q", got)
	}
	if got := mailOf(s); got != "" {
		t.Errorf("an early message %q", got)
	}
	r.settle()
	if got := mailOf(s); got != message("*", "message", "__keyevent@0__:set", "k") {
		t.Errorf("%q", got)
	}
}

func TestEventsAreConfigured(t *testing.T) {
	r := newRig(t)
	s := r.connect()
	r.on(s).do("PSUBSCRIBE *")
	for _, c := range []struct{ classes, want string }{
		{"", ""}, {"A", ""}, {"KE", ""}, {"Kg", ""},
		{"K$", message("*", "pmessage", "*", "__keyspace@2__:k", "set")},
		{"AE", message("*", "pmessage", "*", "__keyevent@2__:set", "k")},
	} {
		r.do("SELECT 2", "SET k v")
		if got := r.do("MULTI", "CONFIG SET notify-keyspace-events "+c.classes+" ", "EXEC"); c.classes != "" && !strings.HasSuffix(got, "*1\r\n+OK\r\n") {
			t.Errorf("%q", got)
		}
		mailOf(s)
		r.do("SET k v")
		if got := mailOf(s); got != c.want {
			t.Errorf("%s: %q, want %q", c.classes, got, c.want)
		}
		r.do("DISCARD")
	}
}

// TestMessagesHaveOneOrder publishes from several sessions at once: all
// receivers see the same order, and each publisher's own.
func TestMessagesHaveOneOrder(t *testing.T) {
	r := newRig(t)
	const publishers, receivers, each = 4, 3, 200
	var got [receivers]*Session
	for i := range got {
		got[i] = r.connect()
		r.on(got[i]).do("SUBSCRIBE ch")
	}
	var wg sync.WaitGroup
	for p := range publishers {
		s := r.connect()
		wg.Go(func() {
			for i := range each {
				text := fmt.Sprintf("%d-%d", p, i)
				s.Feed(fmt.Appendf(nil, "PUBLISH ch %s\r\n", text))
				s.Output()
			}
		})
	}
	var texts [receivers]strings.Builder
	var done sync.WaitGroup
	for i, s := range got {
		done.Go(func() {
			rnd := clock.NewRand(uint64(i))
			for strings.Count(texts[i].String(), "message\r\n") < publishers*each {
				if rnd.IntN(2) == 0 {
					s.Feed(nil)
					texts[i].Write(s.Output())
				} else {
					texts[i].WriteString(mailOf(s))
				}
			}
		})
	}
	wg.Wait()
	done.Wait()
	for i := range texts {
		if texts[i].String() != texts[0].String() {
			t.Fatal("two receivers saw different orders")
		}
	}
	next := [publishers]int{}
	for _, line := range strings.Split(texts[0].String(), "\r\n") {
		var p, n int
		if c, _ := fmt.Sscanf(line, "%d-%d", &p, &n); c == 2 {
			if n != next[p] {
				t.Fatalf("publisher %d: %d after %d", p, n, next[p]-1)
			}
			next[p]++
		}
	}
}
