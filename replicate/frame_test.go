package replicate

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/op"
)

func TestFrameCompressesWhenItPays(t *testing.T) {
	payload := []byte(strings.Repeat("the same again and ", 400))
	b := appendFrame(kindBatches, "toronto", 7, payload)
	if len(b) > len(payload)/4 {
		t.Errorf("%d bytes for %d", len(b), len(payload))
	}
	f, err := parseFrame(b)
	if err != nil || f.from != "toronto" || f.session != 7 || f.kind != kindBatches || !bytes.Equal(f.payload, payload) {
		t.Errorf("%+v %v", f, err)
	}
	if name, err := Sender(b); name != "toronto" || err != nil {
		t.Errorf("sender %q %v", name, err)
	}
	var ve *VersionError
	if b[0] = 9; func() bool { _, err := parseFrame(b); return !errors.As(err, &ve) }() || ve.Version != 9 {
		t.Error("another protocol version must be told apart")
	}
}

func sampleHello() hello {
	o := clock.NewOrigin("toronto", 5)
	return hello{token: 3, echo: 4, knows: true, seq: 9, kinds: op.Kinds(), origin: o, deployment: 77, firm: true,
		intent: IntentMerge, verdict: verdictOK, reading: clock.ReadingAt(12), transfer: 8, former: []uint64{1, 2},
		applied: clock.Vector{o: 10}, synced: clock.Vector{o: 9}}
}

func sampleReport() report {
	o := clock.NewOrigin("toronto", 5)
	return report{seq: 2, got: 1, sentUs: 100, echoUs: 50, echoHeldUs: 3, state: remoteClock, reading: 99,
		applied: clock.Vector{o: 10}, synced: clock.Vector{o: 9}, have: clock.Vector{o: 12}, credit: 1000,
		nacks: []nack{{o, 12, 14}}, transfer: 6, next: 2, beyond: 5, sending: 7, troubled: 1,
		heartbeat: true, heard: []uint16{1, 500}, attachment: []byte("somewhere")}
}

func sampleState() stateChunk {
	ks := op.KeyState{ValueStamp: clock.Stamp{At: 5, Origin: clock.NewOrigin("a", 1)}, Value: []byte("v")}
	return stateChunk{id: 1, seq: 3, reading: 4, vector: clock.Vector{1: 2}, holds: clock.Vector{7: 5}, entries: []StateEntry{{DB: 2, Key: []byte("k"), State: ks.Append(nil)}}}
}

func TestPayloadsRoundTrip(t *testing.T) {
	h := sampleHello()
	if got, err := parseHello(h.append(nil)); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v %v", got, err)
	}
	r := sampleReport()
	if got, err := parseReport(r.append(nil)); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v %v", got, err)
	}
	s := sampleState()
	if got, err := parseState(s.append(nil)); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v %v", got, err)
	}
	end := stateChunk{id: 1, seq: 4, last: true, vector: clock.Vector{1: 2}}
	if got, err := parseState(end.append(nil)); err != nil || !reflect.DeepEqual(got, end) {
		t.Errorf("%+v %v", got, err)
	}
	for _, whole := range [][]byte{h.append(nil), r.append(nil), s.append(nil)} {
		for n := range len(whole) {
			_, e1 := parseHello(whole[:n])
			_, e2 := parseReport(whole[:n])
			_, e3 := parseState(whole[:n])
			if e1 == nil && e2 == nil && e3 == nil {
				t.Errorf("a payload cut at %d of %d parses", n, len(whole))
			}
		}
	}
}

// linkedPair is two linked cores, and the session's frames can be forged with
// the returned function as if bb had sent them to aa.
func linkedPair(t *testing.T) (*sim, func(k kind, payload []byte) error) {
	t.Helper()
	s := newSim(21, "aa", "bb")
	s.run(500_000_000)
	s.check(t)
	return s, func(k kind, payload []byte) error {
		n := s.nodes["aa"]
		return n.core.Step("bb", appendFrame(k, "bb", n.core.peers["bb"].session(), payload), s.localUs(n))
	}
}

func TestHostileFramesAreErrors(t *testing.T) {
	s, forge := linkedPair(t)
	a := s.nodes["aa"]
	now := s.localUs(a)
	batch := func(h op.Header) []byte {
		var body op.Builder
		for i := range h.Count {
			body.Set(0, []byte{byte(i)}, []byte("x"), 0)
		}
		return appendBytes(nil, op.AppendBatch(nil, h, body.Body()))
	}
	wrongOrigin := sampleHello()
	for name, err := range map[string]error{
		"empty":            a.core.Step("bb", nil, now),
		"unknown peer":     a.core.Step("zz", appendFrame(kindReport, "zz", 0, nil), now),
		"other sender":     a.core.Step("bb", appendFrame(kindReport, "zz", 0, nil), now),
		"claims to be us":  a.core.Step("bb", appendFrame(kindReport, "aa", 0, nil), now),
		"foreign origin":   a.core.Step("bb", appendFrame(kindHello, "bb", 0, wrongOrigin.append(nil)), now),
		"empty report":     forge(kindReport, nil),
		"broken batch":     forge(kindBatches, []byte{3, 1, 2, 3}),
		"broken state":     forge(kindState, []byte{1}),
		"broken part":      forge(kindPart, []byte{1}),
		"our own name":     forge(kindBatches, batch(op.Header{Origin: a.host.id.Origin, First: clock.ReadingAt(s.wallMs()), Count: 1})),
		"truncated length": forge(kindBatches, []byte{0xff}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := s.nodes["bb"].host.id.Origin
	if err := forge(kindBatches, batch(op.Header{Origin: o, First: 100, Count: 5})); err != nil {
		t.Fatal(err)
	}
	if err := forge(kindBatches, batch(op.Header{Origin: o, First: 102, Count: 8, Prev: 101})); err == nil {
		t.Error("an overlapping batch is taken")
	}
	if err := a.core.AddPeer("aa", PeerOptions{}); err == nil {
		t.Error("a region is its own sibling")
	}
	if err := a.core.AddPeer("", PeerOptions{}); err == nil {
		t.Error("a nameless sibling")
	}
	if err := a.core.SetAttachment(make([]byte, maxAttachment+1)); err == nil {
		t.Error("an endless attachment")
	}
	s.check(t)
}

func TestNamesWithTheSameHashAreRefused(t *testing.T) {
	s := newSim(22, "aa")
	seen := map[uint16]string{}
	for i := 0; ; i++ {
		name := "r" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		if other, ok := seen[clock.RegionID(name)]; ok {
			s.must(s.nodes["aa"].core.AddPeer(other, PeerOptions{}))
			if err := s.nodes["aa"].core.AddPeer(name, PeerOptions{}); err == nil {
				t.Errorf("%s and %s have the same hash", other, name)
			}
			return
		}
		seen[clock.RegionID(name)] = name
	}
}

func TestSiblingWithOtherOpKindsIsPaused(t *testing.T) {
	s, _ := linkedPair(t)
	a, b := s.nodes["aa"], s.nodes["bb"]
	pa := a.core.peers["bb"]
	old := pa.info
	old.kinds, old.echo, old.seq, old.reading = op.Kinds()&^4, pa.token, old.seq+1000, a.host.HLCNow()+1
	if err := a.core.Step("bb", appendFrame(kindHello, "bb", 0, old.append(nil)), s.localUs(a)); err != nil {
		t.Fatal(err)
	}
	if p := s.peer("aa", "bb"); p.State != StateVersion || !strings.Contains(p.Reason, "op kinds") {
		t.Errorf("%s %q", p.State, p.Reason)
	}
	s.write(a, 1)
	s.blocked[[2]string{"bb", "aa"}] = true
	s.run(1_000_000_000)
	if b.host.applied != 0 {
		t.Error("batches went to a sibling that lacks a kind")
	}
	clear(s.blocked)
	s.boot(b) // upgraded
	s.mustConverge(3_000_000_000)
	s.check(t)
}

func TestWaitingBatchesAreBounded(t *testing.T) {
	s, forge := linkedPair(t)
	a := s.nodes["aa"]
	a.core.cfg.BufferBytes = 5000
	o := s.nodes["bb"].host.id.Origin
	for i := range clock.Reading(1000) {
		var body op.Builder
		body.Set(0, []byte{1}, []byte("x"), 0)
		raw := op.AppendBatch(nil, op.Header{Origin: o, First: 1000 + 2*i, Count: 1, Prev: 999 + 2*i}, body.Body())
		if err := forge(kindBatches, appendBytes(nil, raw)); err != nil {
			t.Fatal(err)
		}
	}
	p := s.peer("aa", "bb")
	if p.HeldBytes > 5000 || p.Traffic.Dropped == 0 {
		t.Errorf("holds %d bytes, dropped %d", p.HeldBytes, p.Traffic.Dropped)
	}
	for i := range uint64(1000) {
		pt := part{kind: kindBatches, id: i, total: 10 << 20, bytes: make([]byte, partBytes)}
		a.core.cfg.MaxMessageBytes = 10 << 20
		if err := forge(kindPart, pt.append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.core.peers["bb"].parts); n > maxAssembly {
		t.Errorf("%d messages in parts", n)
	}
}

func FuzzStep(f *testing.F) {
	h, r, st := sampleHello(), sampleReport(), sampleState()
	var body op.Builder
	body.Set(0, []byte("k"), []byte("v"), 0)
	raw := op.AppendBatch(nil, op.Header{Origin: clock.NewOrigin("bb", 1), First: 9, Count: 1}, body.Body())
	f.Add(byte(kindHello), h.append(nil))
	f.Add(byte(kindReport), r.append(nil))
	f.Add(byte(kindState), st.append(nil))
	f.Add(byte(kindBatches), appendBytes(nil, raw))
	pt := part{kind: kindState, id: 1, total: MaxFrameBytes + 1, index: 1, bytes: make([]byte, 33)}
	f.Add(byte(kindPart), pt.append(nil))
	f.Add(byte(0), appendFrame(kindReport, "bb", 1, r.append(nil)))
	f.Fuzz(func(t *testing.T, k byte, payload []byte) {
		s := newSim(1, "aa", "bb")
		s.run(200_000_000)
		n := s.nodes["aa"]
		frame := payload
		if k != 0 {
			frame = appendFrame(kind(k), "bb", n.core.peers["bb"].session(), payload)
		}
		// The toy host's own complaints do not count: a liar within the
		// protocol can say anything of its own origins.
		_ = n.core.Step("bb", frame, s.localUs(n))
		n.core.Tick(s.localUs(n) + 20_000)
		n.core.Ready()
		n.core.Peers()
		n.core.Stable()
		n.core.RetainFrom()
	})
}

func FuzzParseFrame(f *testing.F) {
	f.Add(appendFrame(kindBatches, "toronto", 7, bytes.Repeat([]byte("again"), 200)))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := parseFrame(b)
		if err == nil {
			if len(fr.payload) > MaxFrameBytes {
				t.Fatal("payload beyond its bound")
			}
			again, err := parseFrame(appendFrame(fr.kind, fr.from, fr.session, fr.payload))
			if err != nil || !bytes.Equal(again.payload, fr.payload) || again.from != fr.from {
				t.Fatalf("%v: %+v became %+v", err, fr, again)
			}
		}
	})
}
