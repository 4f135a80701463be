package rdbvalue

import (
	"bytes"
	"reflect"
	"testing"

	"geocache/engine"
	"geocache/op"
	"geocache/rdb"
)

const nowMs = 1_000_000

func strings(list ...string) (els []op.Elem) {
	for _, s := range list {
		els = append(els, op.Elem{Key: []byte(s)})
	}
	return els
}

func coll(typ op.Type, els ...op.Elem) *op.Coll {
	c := &op.Coll{Type: typ}
	c.Elem[op.Main] = els
	return c
}

func scoredElem(score float64, member string) op.Elem {
	return engine.ScoredElem(score, []byte(member))
}

func timed(name, val string, ms int64) op.Elem {
	return op.Elem{Key: []byte(name), Val: []byte(val), Ext: engine.AppendFieldDeadline(nil, ms)}
}

// stream has a group with two consumers, at one of whom something is pending.
func stream() *op.Coll {
	m := engine.MakeStream()
	for i := range uint64(250) {
		if i%100 == 0 {
			m.BeginNode()
		}
		m.Add(engine.StreamID{Ms: 5, Seq: i + 1}, [][]byte{[]byte("f"), {byte(i)}})
	}
	m.Tail(engine.StreamID{Ms: 5, Seq: 201}, [][]byte{[]byte("f"), nil}, 50, 0, 568)
	g := m.Group([]byte("g"), engine.StreamID{Ms: 5, Seq: 7}, 7)
	a := m.Consumer(&g, []byte("a"), 100, 90)
	m.Consumer(&g, []byte("b"), 200, -1)
	m.Pending(&a, engine.StreamPending{ID: engine.StreamID{Ms: 5, Seq: 3}, DeliveredMs: 80, Deliveries: 2})
	m.Group([]byte("h"), engine.StreamID{}, engine.UnknownRead)
	return m.Coll(engine.StreamID{Ms: 9}, engine.StreamID{Ms: 4}, 300)
}

// TestThereAndBack sends values through a DUMP payload.
func TestThereAndBack(t *testing.T) {
	for _, c := range []*op.Coll{
		coll(op.TypeList, op.Elem{Val: []byte("x")}, op.Elem{Val: []byte{}}, op.Elem{Val: []byte("12")}, op.Elem{Val: []byte("x")}),
		coll(op.TypeSet, strings("b", "a", "7")...),
		coll(op.TypeHash, timed("f", "v", 0), timed("g", "w", nowMs+5), timed("h", "", nowMs+3)),
		coll(op.TypeHash, timed("f", "v", 0)),
		coll(op.TypeZSet, scoredElem(-2.5, "z"), scoredElem(0, "a"), scoredElem(0, "b"), scoredElem(1e300, "c")),
	} {
		payload, err := rdb.AppendDump(nil, Of(nil, c))
		if err != nil {
			t.Fatal(err)
		}
		v, err := rdb.ReadDump(payload)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Coll(v, nowMs)
		if err != nil || !same(back, c) {
			t.Errorf("type %d: %v, %+v, want %+v", c.Type, err, back, c)
		}
	}
	if s, ok := Of([]byte("text"), nil).(rdb.String); !ok || string(s) != "text" {
		t.Errorf("a string is %v", s)
	}
}

func same(a, b *op.Coll) bool {
	for p := range a.Elem {
		if len(a.Elem[p]) != len(b.Elem[p]) {
			return false
		}
		for i, x := range a.Elem[p] {
			y := b.Elem[p][i]
			if !bytes.Equal(x.Key, y.Key) || !bytes.Equal(x.Val, y.Val) || !bytes.Equal(x.Ext, y.Ext) {
				return false
			}
		}
	}
	return a.Type == b.Type && bytes.Equal(a.Meta, b.Meta)
}

func TestStreamThereAndBack(t *testing.T) {
	c := stream()
	payload, err := rdb.AppendDump(nil, Of(nil, c))
	if err != nil {
		t.Fatal(err)
	}
	v, err := rdb.ReadDump(payload)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Coll(v, nowMs)
	if err != nil || !same(back, c) {
		t.Fatalf("%v: %+v, want %+v", err, back, c)
	}
	s := engine.ReadStream(back)
	if s.Len() != 250 || s.LastID.Ms != 9 || s.MaxDeletedID.Ms != 4 || s.Added != 300 || len(s.Groups) != 2 {
		t.Errorf("%+v", s)
	}
	g := s.Groups[0]
	if len(g.Pending) != 1 || len(g.Consumers) != 2 || !reflect.DeepEqual(g.Consumers[0].Pending, g.Pending) || g.Consumers[1].ActiveMs != -1 {
		t.Errorf("%+v", g)
	}
}

// TestExpiredFields: what has expired is left out, and perhaps nothing is left.
func TestExpiredFields(t *testing.T) {
	c, err := Coll(Of(nil, coll(op.TypeHash, timed("f", "v", nowMs), timed("g", "w", nowMs+1))), nowMs)
	if err != nil || len(c.Elem[op.Main]) != 1 || Expired(c) {
		t.Errorf("%v: %+v", err, c)
	}
	if c, err = Coll(Of(nil, coll(op.TypeHash, timed("f", "v", nowMs))), nowMs); err != nil || !Expired(c) {
		t.Errorf("%v: %+v", err, c)
	}
	if c, _ = Coll(Of(nil, engine.MakeStream().Coll(engine.StreamID{}, engine.StreamID{}, 0)), nowMs); Expired(c) {
		t.Error("an empty stream is no key")
	}
}
