package pubsub

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sort"
	"strings"
	"testing"
)

func match(pattern []byte, s string) bool {
	ok, err := path.Match(string(pattern), s)
	return err == nil && ok
}

func deliveries(r *Registry[string], k Kind, channel string) (list []string, n int) {
	n = r.Publish(k, channel, func(s string, via Kind, pattern string) {
		list = append(list, fmt.Sprintf("%s:%d:%s", s, via, pattern))
	})
	return list, n
}

func TestRegistry(t *testing.T) {
	r := New[string](match)
	if r.Heard(Channel) || r.Unsubscribe("a", Channel, "x") != 0 {
		t.Error("a new registry knows somebody")
	}
	for _, s := range []struct {
		who  string
		kind Kind
		name string
		want int
	}{{"a", Channel, "x", 1}, {"a", Channel, "x", 1}, {"a", Pattern, "*", 1}, {"b", Pattern, "x*", 1}, {"b", Channel, "x", 1}, {"a", Channel, "y", 2}, {"c", Shard, "x", 1}, {"b", Pattern, "", 2}} {
		if got := r.Subscribe(s.who, s.kind, s.name); got != s.want {
			t.Errorf("%v: %d", s, got)
		}
	}
	if list, n := deliveries(r, Channel, "x"); n != 4 || strings.Join(list, " ") != "a:0: b:0: a:1:* b:1:x*" {
		t.Error(n, list)
	}
	if list, n := deliveries(r, Shard, "x"); n != 1 || list[0] != "c:2:" {
		t.Error(n, list)
	}
	if list, n := deliveries(r, Channel, ""); n != 2 || strings.Join(list, " ") != "a:1:* b:1:" {
		t.Error(n, list)
	}
	if r.Reach(Channel, "y") != 2 || r.Subscribers(Channel, "x") != 2 || r.Subscribers(Channel, "z") != 0 {
		t.Error("counts", r.Reach(Channel, "y"), r.Subscribers(Channel, "x"))
	}
	if got := r.Active(Channel, nil); !slices.Equal(got, []string{"x", "y"}) {
		t.Error(got)
	}
	if got := r.Active(Channel, []byte("y*")); !slices.Equal(got, []string{"y"}) {
		t.Error(got)
	}
	if r.Size(Channel) != 2 || r.Size(Pattern) != 3 || r.Size(Shard) != 1 || r.Peers() != 3 {
		t.Error("sizes", r.Size(Channel), r.Size(Pattern), r.Size(Shard), r.Peers())
	}
	if got := r.Unsubscribe("a", Channel, "x"); got != 1 || r.Subscribers(Channel, "x") != 1 {
		t.Error(got)
	}
	if got := r.Names("a", Channel); !slices.Equal(got, []string{"y"}) || r.Names("z", Channel) != nil {
		t.Error(got)
	}
	r.Drop("a")
	r.Drop("a")
	r.Drop("b")
	if r.Heard(Channel) || !r.Heard(Shard) || r.Peers() != 1 {
		t.Error("dropped subscribers are still there")
	}
}

// TestRegistryModel compares against plain sets.
func TestRegistryModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := New[int](match)
	type sub struct {
		who  int
		kind Kind
		name string
	}
	model := map[sub]bool{}
	for range 20000 {
		s := sub{rnd.IntN(5), Kind(rnd.IntN(int(kinds))), string(rune('a' + rnd.IntN(6)))}
		want := 0
		switch op := rnd.IntN(20); {
		case op == 0:
			r.Drop(s.who)
			for m := range model {
				if m.who == s.who {
					delete(model, m)
				}
			}
			continue
		case op < 10:
			model[s] = true
		default:
			delete(model, s)
		}
		for m := range model {
			if m.who == s.who && m.kind == s.kind {
				want++
			}
		}
		got := 0
		if model[s] {
			got = r.Subscribe(s.who, s.kind, s.name)
		} else {
			got = r.Unsubscribe(s.who, s.kind, s.name)
		}
		if got != want {
			t.Fatalf("%v: %d, want %d", s, got, want)
		}
		names, peers, reach := map[string]bool{}, map[int]bool{}, 0
		for m := range model {
			peers[m.who] = true
			if m.kind == s.kind {
				names[m.name] = true
			}
			if m.name == s.name && (m.kind == Channel || m.kind == Pattern) {
				reach++
			}
		}
		list := r.Active(s.kind, nil)
		sort.Strings(list)
		if len(list) != len(names) || r.Size(s.kind) != len(names) || r.Peers() != len(peers) || r.Reach(Channel, s.name) != reach {
			t.Fatalf("%v: active %v, peers %d, reach %d; want %v, %d, %d", s, list, r.Peers(), r.Reach(Channel, s.name), names, len(peers), reach)
		}
	}
}
