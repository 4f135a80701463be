package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/clock"
	"geocache/op"
)

// streamModel is a stream in plain Go values.
type streamModel struct {
	nodes      []modelNode
	last, gone StreamID
	added      uint64
	groups     map[string]*groupModel
}

type modelNode struct {
	given int // with those removed since
	ids   []StreamID
}

type groupModel struct {
	last      StreamID
	consumers map[string]int64 // when they were active
	pending   map[StreamID]pendingModel
}

type pendingModel struct {
	consumer string
	at       int64
	times    uint64
}

func (m *streamModel) clone() *streamModel {
	c := *m
	c.nodes = nil
	for _, n := range m.nodes {
		c.nodes = append(c.nodes, modelNode{n.given, slices.Clone(n.ids)})
	}
	c.groups = map[string]*groupModel{}
	for name, g := range m.groups {
		c.groups[name] = &groupModel{g.last, clone2(g.consumers), clone2(g.pending)}
	}
	return &c
}

func clone2[K comparable, V any](m map[K]V) map[K]V {
	c := map[K]V{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (m *streamModel) ids() (ids []StreamID) {
	for _, n := range m.nodes {
		ids = append(ids, n.ids...)
	}
	return ids
}

const modelNodeEntries = 4

func (m *streamModel) add(id StreamID) {
	if n := len(m.nodes); n == 0 || m.nodes[n-1].given == modelNodeEntries {
		m.nodes = append(m.nodes, modelNode{})
	}
	tail := &m.nodes[len(m.nodes)-1]
	tail.given++
	tail.ids = append(tail.ids, id)
	m.last = id
	m.added++
}

// remove removes an entry. The engine fills no node up from which the ones
// behind it have gone; Redis does.
func (m *streamModel) remove(id StreamID) {
	for i := range m.nodes {
		n := &m.nodes[i]
		at := slices.Index(n.ids, id)
		if at < 0 {
			continue
		}
		if n.ids = slices.Delete(n.ids, at, at+1); len(n.ids) == 0 {
			wasTail := i == len(m.nodes)-1
			if m.nodes = slices.Delete(m.nodes, i, i+1); wasTail && i > 0 {
				m.nodes[i-1].given = modelNodeEntries
			}
		}
		return
	}
}

func entryItems(id StreamID) [][]byte {
	return [][]byte{[]byte("name"), fmt.Appendf(nil, "value of %d", id.Seq), {}, []byte("x")}
}

// streamStep changes the stream and the model alike.
func streamStep(t *testing.T, tx *Tx, rnd *rand.Rand, m *streamModel) {
	e, err := tx.EditStream(key("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Done()
	ids := m.ids()
	pick := func() StreamID {
		if len(ids) == 0 {
			return StreamID{1, 1}
		}
		return ids[rnd.IntN(len(ids))]
	}
	group := fmt.Sprint("g", rnd.IntN(3))
	consumer := fmt.Sprint("c", rnd.IntN(3))
	g, there := e.Group([]byte(group))
	gm := m.groups[group]
	if there != (gm != nil) {
		t.Fatalf("group %s: %v", group, there)
	}
	c, met := StreamConsumer{}, false
	if there {
		c, met = e.Consumer(&g, []byte(consumer))
	}
	switch what := rnd.IntN(16); {
	case what < 5:
		id := StreamID{m.last.Ms + rnd.Uint64N(2), m.last.Seq + 1}
		e.Add(id, entryItems(id), modelNodeEntries, 0)
		m.add(id)
	case what < 7:
		id := pick()
		if e.Remove(id) != slices.Contains(ids, id) {
			t.Fatalf("Remove(%v)", id)
		}
		m.remove(id)
		e.SetMaxDeletedID(id)
		m.gone = id
	case what == 7 && rnd.IntN(3) == 0:
		n := rnd.IntN(len(ids) + 1)
		e.TrimHead(n)
		for _, id := range ids[:n] {
			m.remove(id)
		}
		if n == len(ids) {
			m.nodes = nil
		}
	case !there:
		e.AddGroup([]byte(group), pick(), UnknownRead)
		last, _ := e.Group([]byte(group))
		m.groups[group] = &groupModel{last.Last, map[string]int64{}, map[StreamID]pendingModel{}}
	case what == 8 && rnd.IntN(4) == 0:
		e.DropGroup(&g)
		delete(m.groups, group)
	case !met:
		e.AddConsumer(&g, []byte(consumer), 5, -1)
		gm.consumers[consumer] = -1
	case what == 9:
		e.DropConsumer(&c)
		delete(gm.consumers, consumer)
		for id, p := range gm.pending {
			if p.consumer == consumer {
				delete(gm.pending, id)
			}
		}
	case what == 10:
		id := pick()
		_, want := gm.pending[id]
		if e.Acknowledge(&g, id) != want {
			t.Fatalf("Acknowledge(%v): not %v", id, want)
		}
		delete(gm.pending, id)
	case what == 11:
		g.Last = pick()
		gm.last = g.Last
		e.PutGroup(&g)
	case what == 12:
		c.ActiveMs = rnd.Int64N(1000)
		gm.consumers[consumer] = c.ActiveMs
		e.PutConsumer(&c)
	default:
		p := StreamPending{ID: pick(), DeliveredMs: rnd.Int64N(1 << 40), Deliveries: rnd.Uint64N(300)}
		e.PutPending(&c, p)
		gm.pending[p.ID] = pendingModel{consumer, p.DeliveredMs, p.Deliveries}
	}
}

func checkStream(t *testing.T, r *region, m *streamModel) {
	t.Helper()
	err := r.do(func(tx *Tx) {
		s, err := tx.Stream(key("s"))
		if err != nil || s == nil {
			t.Fatal(s, err)
		}
		ids := m.ids()
		if s.Len() != len(ids) || s.LastID() != m.last || s.Added() != m.added || s.MaxDeletedID() != m.gone || s.Nodes() != len(m.nodes) {
			t.Fatalf("%d entries in %d nodes, %v %d %v; want %d in %d, %v %d %v", s.Len(), s.Nodes(), s.LastID(), s.Added(), s.MaxDeletedID(),
				len(ids), len(m.nodes), m.last, m.added, m.gone)
		}
		checkEntries(t, s, ids)
		checkNodes(t, s, m)
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range m.groups {
				if !yield(name) {
					return
				}
			}
		})
		if s.NumGroups() != len(names) {
			t.Fatalf("%d groups, want %v", s.NumGroups(), names)
		}
		i := 0
		s.Groups(func(g StreamGroup) bool {
			if string(g.Name) != names[i] {
				t.Fatalf("group %s, want %s", g.Name, names[i])
			}
			i++
			checkGroup(t, s, &g, m.groups[string(g.Name)])
			return true
		})
	}, "s")
	if err != nil {
		t.Fatal(err)
	}
}

func checkEntries(t *testing.T, s *Stream, ids []StreamID) {
	t.Helper()
	var up, down []StreamID
	s.Ascend(StreamID{}, func(id StreamID, f StreamFields) bool {
		up = append(up, id)
		var items [][]byte
		f.Each(func(item []byte) { items = append(items, bytes.Clone(item)) })
		if want := entryItems(id); !slices.EqualFunc(items, want, bytes.Equal) || f.Len() != len(want) {
			t.Fatalf("%v has %q", id, items)
		}
		return true
	})
	s.Descend(LastStreamID(), func(id StreamID, _ StreamFields) bool {
		down = append(down, id)
		return true
	})
	slices.Reverse(down)
	if !slices.Equal(up, ids) || !slices.Equal(down, ids) {
		t.Fatalf("entries %v and %v, want %v", up, down, ids)
	}
	if len(ids) > 0 && (s.FirstID() != ids[0] || s.TopID() != ids[len(ids)-1]) {
		t.Fatal(s.FirstID(), s.TopID())
	}
}

// checkNodes holds what may go whole against the model.
func checkNodes(t *testing.T, s *Stream, m *streamModel) {
	t.Helper()
	ids := m.ids()
	for _, limit := range []int{0, 1, 3, len(ids) / 2, len(ids)} {
		for _, upTo := range []StreamID{{}, LastStreamID(), s.idAt(len(ids) / 2)} {
			want := 0
			for _, n := range m.nodes {
				if want+len(n.ids) > limit || n.ids[len(n.ids)-1].Compare(upTo) > 0 {
					break
				}
				want += len(n.ids)
			}
			if got := s.WholeNodes(limit, upTo); got != want {
				t.Fatalf("WholeNodes(%d, %v) = %d, want %d of %v", limit, upTo, got, want, m.nodes)
			}
		}
	}
}

func checkGroup(t *testing.T, s *Stream, g *StreamGroup, m *groupModel) {
	t.Helper()
	if g.Last != m.last || s.NumConsumers(g) != len(m.consumers) || s.NumPending(g) != len(m.pending) {
		t.Fatalf("group %s: %v, %d consumers, %d pending; want %v", g.Name, g.Last, s.NumConsumers(g), s.NumPending(g), m)
	}
	of := map[string]int{}
	before := StreamID{}
	s.Pending(g, StreamID{}, func(p StreamPending) bool {
		name := string(s.ConsumerName(&p))
		if want := m.pending[p.ID]; want != (pendingModel{name, p.DeliveredMs, p.Deliveries}) || p.ID.Compare(before) <= 0 {
			t.Fatalf("pending %v at %s, want %v", p, name, want)
		}
		before = p.ID
		of[name]++
		return true
	})
	if len(m.pending) > 0 && s.LastPending(g).ID != before {
		t.Fatal(s.LastPending(g))
	}
	s.Consumers(g, func(c StreamConsumer) bool {
		n := 0
		s.PendingOf(&c, StreamID{}, func(p StreamPending) bool {
			if !p.Of(&c) {
				t.Fatalf("%v is not at %s", p, c.Name)
			}
			n++
			return true
		})
		active, ok := m.consumers[string(c.Name)]
		if !ok || active != c.ActiveMs || n != of[string(c.Name)] || s.NumPendingOf(&c) != n {
			t.Fatalf("consumer %s: %d pending, active %d; want %d, %d", c.Name, n, c.ActiveMs, of[string(c.Name)], active)
		}
		return true
	})
}

// TestStreams changes a stream in transactions of which a third is undone, and
// compares it with plain Go values; the log replayed elsewhere gives the same,
// and so does a copy.
func TestStreams(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runStream(t, seed) })
	}
}

func runStream(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	p := alone()
	r := newRegion("a", clock.NewManual(startMs), 4, 2, p)
	m := &streamModel{groups: map[string]*groupModel{}}
	_ = r.do(func(tx *Tx) {
		e, _ := tx.EditStream(key("s"))
		e.Add(StreamID{1, 1}, entryItems(StreamID{1, 1}), modelNodeEntries, 0)
		m.add(StreamID{1, 1})
		e.Done()
	}, "s")
	for range 400 {
		next, undo := m.clone(), rnd.IntN(3) == 0
		err := r.do(func(tx *Tx) {
			for range 1 + rnd.IntN(4) {
				streamStep(t, tx, rnd, next)
			}
			if undo {
				panic(&NeedRow{})
			}
		}, "s")
		if (err != nil) != undo {
			t.Fatal(err)
		}
		if !undo {
			m = next
		}
		checkStream(t, r, m)
	}
	checkAccounts(t, r.e)
	again := newRegion("b", clock.NewManual(startMs), 2, 2, p)
	again.replay(t, r)
	checkStream(t, again, m)
	var whole *op.Coll
	_ = r.do(func(tx *Tx) { _, whole, _ = tx.Content(key("s")) }, "s")
	copied := newRegion("c", clock.NewManual(startMs), 2, 2, p)
	_ = copied.do(func(tx *Tx) { tx.PutColl(key("s"), whole, Expiry{}) }, "s")
	checkStream(t, copied, m)
}

// TestStreamElems refuses what no stream has.
func TestStreamElems(t *testing.T) {
	good := appendEntry(nil, 0, entryItems(StreamID{1, 1}))
	if !validStreamElem(op.Main, op.Elem{Key: StreamID{1, 1}.append(nil), Val: good}) {
		t.Fatal("a good entry")
	}
	for i := range good {
		if validStreamElem(op.Main, op.Elem{Key: StreamID{1, 1}.append(nil), Val: good[:i]}) {
			t.Fatalf("%d bytes of an entry", i)
		}
	}
	for _, el := range []op.Elem{{}, {Key: []byte("G")}, {Key: []byte("Cabc")}, {Key: []byte("Pabcd")}, {Key: []byte("?")},
		{Key: pendingKey(nil, 1, StreamID{}), Val: []byte{1}}} {
		if validStreamElem(op.Aux, el) {
			t.Errorf("%q", el.Key)
		}
	}
}

func BenchmarkStreamAdd(b *testing.B) {
	p := alone()
	p.Recording = false
	r := newRegion("a", clock.NewManual(startMs), 4, 1, p)
	sc := Scope{Keys: []Key{key("s")}}
	items := [][]byte{[]byte("myfield"), []byte("data")}
	b.ReportAllocs()
	for b.Loop() {
		_ = r.tx.Run(sc, startMs, func(tx *Tx) {
			e, _ := tx.EditStream(sc.Keys[0])
			id, _ := e.LastID().Next()
			e.Add(id, items, 100, 4096)
			e.Done()
		})
	}
	_ = r.tx.Run(sc, startMs, func(tx *Tx) {
		s, _ := tx.Stream(sc.Keys[0])
		b.ReportMetric(float64(s.c.memBytes())/float64(s.Len()), "B/entry")
	})
}

// TestStreamMeta: what a stream knows of its newest node lasts; where a build
// that kept less of it wrote, or what it wrote is cut, the node counts as full.
func TestStreamMeta(t *testing.T) {
	meta := streamMeta{last: StreamID{7, 3}, maxDeleted: StreamID{2, 1}, added: 900, nodes: 4}
	meta.tailEntries = tailFull
	if got := decodeStreamMeta(meta.encode()); got != meta {
		t.Errorf("%+v, want %+v", got, meta)
	}
	full := meta
	items := [][]byte{[]byte("f"), []byte("v")}
	if !meta.give(StreamID{7, 3}, items, 100, 0) || meta.give(StreamID{8, 0}, items, 100, 0) {
		t.Error("the first entry begins a node, the second does not")
	}
	meta.gone(StreamID{7, 2})
	meta.gone(StreamID{7, 3})
	if got := decodeStreamMeta(meta.encode()); got != meta || got.tailDeleted != 1 {
		t.Errorf("%+v, want %+v", got, meta)
	}
	b := meta.encode()
	for n := len(b) - 1; n > len(b)-26; n-- {
		if got := decodeStreamMeta(b[:n]); got != full {
			t.Errorf("%d of %d bytes: %+v", n, len(b), got)
		}
	}
}

// TestTouchedConsumersStay: moments of consumers of any length are kept by a
// command about one key, though nobody is told of them.
func TestTouchedConsumersStay(t *testing.T) {
	r := newRegion("a", clock.NewManual(startMs), 2, 1, alone())
	k, g := key("x"), []byte("g")
	name := func(i int) []byte { return fmt.Appendf(nil, "consumer-%03d", i) }
	other := r.e.NewTx() // to which the key is what its record says
	edit := func(fn func(e *StreamEdit)) {
		r.tx, other = other, r.tx
		r.tx.Run(Scope{Keys: []Key{k}, Sole: true}, startMs, func(tx *Tx) {
			e, err := tx.EditStream(k)
			if err != nil {
				t.Fatal(err)
			}
			fn(e)
			e.Done()
		})
	}
	const consumers = 8 // one leaf, which moves as it grows
	edit(func(e *StreamEdit) {
		made := e.AddGroup(g, StreamID{}, 0)
		for i := range consumers {
			e.AddConsumer(&made, name(i), 1, -1)
		}
	})
	for i := range consumers {
		edit(func(e *StreamEdit) {
			group, _ := e.Group(g)
			c, ok := e.Consumer(&group, name(i))
			if !ok {
				t.Fatalf("consumer %d is gone", i)
			}
			c.SeenMs, c.ActiveMs = startMs+int64(i), startMs+int64(i)
			e.TouchConsumer(&c)
		})
	}
	edit(func(e *StreamEdit) {
		group, _ := e.Group(g)
		for i := range consumers {
			if c, ok := e.Consumer(&group, name(i)); !ok || c.SeenMs != startMs+int64(i) {
				t.Errorf("consumer %d: %+v, %v", i, c, ok)
			}
		}
	})
	checkAccounts(t, r.e)
}
