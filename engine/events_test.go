package engine

import (
	"fmt"
	"strings"
	"testing"

	"geocache/clock"
)

// listening is a region that hears of events.
type listening struct {
	*region
	classes EventClass
	heard   []string
}

func newListening(wall *clock.Manual, p Params) *listening {
	l := &listening{region: newRegion("a", wall, 4, 4, p), classes: ^EventClass(0)}
	l.e = New(Options{Shards: 4, Databases: 4, Seed: 1, Rand: clock.NewRand(1), Origin: l.origin, Sink: l, Params: p})
	l.tx = l.e.NewTx()
	return l
}

func (l *listening) WantedEvents() EventClass { return l.classes }

func (l *listening) Event(name string, k Key) {
	l.heard = append(l.heard, fmt.Sprintf("%s=%d:%s", name, k.DB, k.Name))
}

// want compares what was heard since the last call.
func (l *listening) want(t *testing.T, what, want string) {
	t.Helper()
	if got := strings.Join(l.heard, " "); got != want {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
	l.heard = nil
}

func (l *listening) set(name string, exp Expiry) {
	_ = l.do(func(t *Tx) { t.SetString(key(name), []byte("v"), exp) }, name)
}

func TestEventsOfTheEngine(t *testing.T) {
	for what, p := range map[string]Params{"alone": alone(), "merging": merging()} {
		t.Run(what, func(t *testing.T) {
			wall := clock.NewManual(startMs)
			l := newListening(wall, p)
			l.set("k", NoDeadline())
			l.set("k", NoDeadline())
			l.want(t, "made once", "new=0:k")
			_ = l.do(func(tx *Tx) { tx.Rename(key("k"), key("m")); tx.Copy(key("m"), key("k")); tx.Copy(key("m"), key("k")) }, "k", "m")
			l.want(t, "renamed and copied", "new=0:m new=0:k new=0:k")
			l.get("none")
			_ = l.do(func(tx *Tx) { tx.Look(key("none")); tx.Exists(key("none")) }, "none")
			l.want(t, "missed", "keymiss=0:none keymiss=0:none")

			l.set("t", DeadlineAt(startMs+5))
			l.heard = nil
			wall.Advance(10)
			_ = l.do(func(tx *Tx) {
				tx.SetString(key("n"), nil, NoDeadline())
				tx.SetString(key("t"), nil, DeadlineAt(startMs+15))
			}, "n", "t")
			l.want(t, "overwritten when expired", "new=0:n expired=0:t new=0:t")
			wall.Advance(10)
			for range 1000 {
				l.e.ExpireStep(wall.NowMs(), nil)
			}
			l.want(t, "expired", "expired=0:t")
		})
	}
}

func TestEventsOfATx(t *testing.T) {
	l := newListening(clock.NewManual(startMs), alone())
	l.classes = EventString | EventHash
	name := []byte("k")
	_ = l.do(func(tx *Tx) {
		tx.Event(EventString, "set", Key{2, name})
		tx.Event(EventGeneric, "del", Key{2, name})
		tx.Event(EventHash, "hset", Key{2, name})
		if len(l.heard) > 0 {
			t.Error("heard before commit")
		}
		name[0] = 'x' // names are the caller's
	}, "k")
	l.want(t, "commit", "set=2:k hset=2:k")
	err := l.do(func(tx *Tx) {
		tx.Event(EventString, "set", key("k"))
		panic(&NeedRow{})
	}, "k")
	if _, undone := err.(*NeedRow); !undone {
		t.Error(err)
	}
	l.want(t, "undone", "")
}

func TestEventsOfEviction(t *testing.T) {
	p := alone()
	p.Policy = policy("allkeys-random")
	l := newListening(clock.NewManual(startMs), p)
	l.set("k", NoDeadline())
	l.heard = nil
	if l.e.EvictStep(startMs) == 0 {
		t.Fatal("nothing was evicted")
	}
	l.want(t, "evicted", "evicted=0:k")
}
