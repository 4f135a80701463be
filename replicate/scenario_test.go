package replicate

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func (s *sim) check(t *testing.T) {
	t.Helper()
	if s.failure != "" {
		t.Fatal(s.failure)
	}
}

func (s *sim) syncAll() {
	for _, n := range s.nodes {
		n.host.sync()
	}
}

func (s *sim) block(a, b string) {
	s.blocked[[2]string{a, b}], s.blocked[[2]string{b, a}] = true, true
}

func (s *sim) peer(at, name string) PeerStatus {
	for _, p := range s.nodes[at].core.Peers() {
		if p.Name == name {
			return p
		}
	}
	return PeerStatus{}
}

// joinLate runs a deployment whose logs are cut and adds an empty region.
func joinLate(seed uint64, f Fault) *sim {
	s := newSim(seed, "aa", "bb")
	s.autoSync = true
	for range 300 {
		s.writeSome(s.nodes["aa"])
		s.writeSome(s.nodes["bb"])
		if s.rnd.IntN(4) == 0 {
			s.step()
		}
	}
	s.mustConverge(3 * time.Second)
	s.syncAll()
	s.run(500 * time.Millisecond)
	for _, n := range s.nodes {
		n.host.cut(n.core.RetainFrom())
		if len(n.host.log) > 0 {
			s.fail("%s: log not cut", n.name)
		}
	}
	s.setFault(f)
	s.loss, s.dup, s.jitterUs = 0.1, 0.1, 30_000
	s.add("cc", 7)
	for _, old := range []string{"aa", "bb"} {
		s.connect(old, "cc")
		s.connect("cc", old)
	}
	for range 60 {
		s.step()
		s.writeSome(s.nodes[s.names[s.rnd.IntN(3)]])
		if seed%5 == 0 && s.rnd.IntN(20) == 0 {
			n := s.nodes["cc"]
			n.core.LinkDown("aa", s.localUs(n))
			n.core.LinkUp("aa", s.localUs(n))
		}
	}
	s.heal()
	s.mustConverge(8 * time.Second)
	return s
}

func TestTransferToLateRegion(t *testing.T) {
	for seed := range uint64(40) {
		s := joinLate(seed, FaultNone)
		s.check(t)
		for _, n := range s.nodes {
			if len(n.host.emptied) > 0 {
				t.Fatalf("seed %d: %s was emptied: %+v", seed, n.name, n.host.emptied)
			}
			if n.host.id.Firmness != Firm && seed%5 != 0 {
				t.Logf("seed %d: %s still tentative", seed, n.name)
			}
		}
	}
	if joinLate(1, FaultForgetTransferVector).failure == "" {
		t.Error("a transfer that does not raise the vector goes unnoticed")
	}
}

func TestMemberBehindTheCutLogIsEmptied(t *testing.T) {
	s := newSim(3, "aa", "bb", "cc")
	s.autoSync = true
	for range 50 {
		s.writeSome(s.nodes["aa"])
		s.writeSome(s.nodes["bb"])
	}
	s.mustConverge(3 * time.Second)
	s.run(500 * time.Millisecond)
	s.block("aa", "bb")
	s.block("cc", "bb")
	s.run(4 * time.Second)
	if st := s.peer("aa", "bb").State; st != StateDown {
		t.Errorf("state of a silent sibling is %s", st)
	}
	for range 20 {
		s.writeSome(s.nodes["aa"])
		s.writeSome(s.nodes["bb"])
		s.step()
	}
	s.run(300 * time.Millisecond)
	s.syncAll()
	// The budget is spent on both sides of the partition.
	for _, n := range s.nodes {
		n.host.cut(n.host.LogEnd())
	}
	s.writeSome(s.nodes["bb"])
	lost := s.writes[:0:0]
	for _, w := range s.writes {
		if !(w.reg.stamp.Origin == s.nodes["bb"].host.id.Origin && w.reg.stamp.At > s.nodes["aa"].host.vec[w.reg.stamp.Origin]) {
			lost = append(lost, w)
		}
	}
	s.writes = lost // what bb wrote alone is given up, not merged
	clear(s.blocked)
	s.mustConverge(15 * time.Second)
	s.check(t)
	if len(s.nodes["aa"].host.emptied) != 0 || len(s.nodes["cc"].host.emptied) != 0 {
		t.Errorf("the wrong region was emptied")
	}
	if e := s.nodes["bb"].host.emptied; len(e) != 1 || e[0].UnsentBatches != 1 || e[0].UnsentBytes == 0 {
		t.Errorf("emptied: %+v", e)
	}
	s.run(time.Second)
	for _, at := range s.names {
		for _, name := range s.names {
			if at != name && s.peer(at, name).State != StateUp {
				t.Errorf("%s sees %s %s", at, name, s.peer(at, name).State)
			}
		}
	}
}

func TestRelayWhereALinkIsMissing(t *testing.T) {
	s := newSim(5, "aa", "bb", "cc")
	s.run(time.Second)
	s.block("aa", "cc")
	s.run(4 * time.Second)
	s.write(s.nodes["aa"], 1)
	s.write(s.nodes["cc"], 2)
	began := s.nowUs
	s.mustConverge(time.Second)
	s.check(t)
	if took := s.nowUs - began; took > 300_000 {
		t.Errorf("relaying took %d us, more than a hop more", took)
	}
	s.syncAll()
	s.run(time.Second)
	if got := s.nodes["aa"].core.Stable(); !got.Equal(s.nodes["aa"].host.vec) {
		// cc cannot acknowledge to aa: nothing may be called stable.
		if len(got) > 0 && got.CoversAll(s.nodes["aa"].host.vec) {
			t.Errorf("stable without cc's word: %v", got)
		}
	} else {
		t.Error("stable without cc's word")
	}
}

func TestCatchUpShipsOnlyWhatIsMissing(t *testing.T) {
	s := newSim(6, "aa", "bb")
	a := s.nodes["aa"]
	a.host.bigger = 200
	for range 2000 {
		s.write(a, s.rnd.IntN(toyKeys))
	}
	s.mustConverge(5 * time.Second)
	s.block("aa", "bb")
	s.run(5 * time.Second)
	missing := 0
	for range 300 {
		s.write(a, s.rnd.IntN(toyKeys))
		missing += len(a.host.log[len(a.host.log)-1])
	}
	s.run(3 * time.Second)
	before := s.peer("aa", "bb").Traffic.RawOut
	s.wireBytes = 0
	clear(s.blocked)
	s.mustConverge(3 * time.Second)
	s.check(t)
	shipped := s.peer("aa", "bb").Traffic.RawOut - before
	if shipped > int64(missing)+int64(missing)/5+3000 {
		t.Errorf("shipped %d bytes for %d missing", shipped, missing)
	}
	if lag := s.peer("aa", "bb").LagOutMs; lag < 0 {
		t.Errorf("lag %d", lag)
	}
}

func TestLagAndBacklogWhileCutOff(t *testing.T) {
	s := newSim(7, "aa", "bb")
	s.run(time.Second)
	s.block("aa", "bb")
	for range 10 {
		s.write(s.nodes["aa"], 1)
	}
	s.run(2 * time.Second)
	p := s.peer("aa", "bb")
	if p.LagOutMs < 1900 || p.LagOutMs > 2100 || p.BacklogBatches != 10 || p.BacklogBytes < 500 {
		t.Errorf("lag out %d ms, backlog %d", p.LagOutMs, p.BacklogBatches)
	}
	if in := s.peer("bb", "aa").LagInMs; in < 1900 || in > 2300 {
		t.Errorf("lag in %d ms", in)
	}
	clear(s.blocked)
	s.mustConverge(3 * time.Second)
	s.run(300 * time.Millisecond)
	p = s.peer("aa", "bb")
	if p.LagOutMs != 0 || p.BacklogBatches != 0 || p.RTTUs < 40_000 || p.RTTUs > 60_000 {
		t.Errorf("at rest: %+v", p)
	}
	s.check(t)
}

func TestDeployments(t *testing.T) {
	firmWithData := func(intentA, intentB Intent) *sim {
		s := newSim(8)
		s.autoSync = true
		for i, name := range []string{"aa", "bb"} {
			n := s.add(name, uint64(50-i))
			n.host.id.Firmness = Firm
			s.boot(n)
			s.write(n, i, 5)
		}
		for _, l := range []struct {
			from, to string
			intent   Intent
		}{{"aa", "bb", intentA}, {"bb", "aa", intentB}} {
			n := s.nodes[l.from]
			n.up[l.to] = true
			s.must(n.core.AddPeer(l.to, PeerOptions{Intent: l.intent}))
			n.core.LinkUp(l.to, s.localUs(n))
		}
		s.run(2 * time.Second)
		return s
	}
	s := firmWithData(IntentNone, IntentNone)
	for _, at := range s.names {
		other := s.names[0]
		if at == other {
			other = s.names[1]
		}
		p := s.peer(at, other)
		if p.State != StateRefused || !strings.Contains(p.Reason, "MERGE") {
			t.Errorf("%s: %s %q", at, p.State, p.Reason)
		}
	}
	s.check(t)

	s = firmWithData(IntentMerge, IntentNone)
	s.mustConverge(time.Second)
	s.check(t)
	if a, b := s.nodes["aa"].host.id, s.nodes["bb"].host.id; a.Deployment != 49 || b.Deployment != 49 {
		t.Errorf("merged into %+v %+v", a, b)
	}

	s = firmWithData(IntentNone, IntentEmpty)
	keep := maps.Clone(s.nodes["aa"].host.regs)
	s.run(time.Second)
	if b := s.nodes["bb"].host; b.id.Deployment != 50 || len(b.emptied) != 1 || !maps.Equal(b.regs, keep) {
		t.Errorf("bb was to be emptied: %+v %+v", b.id, b.emptied)
	}
	if len(s.nodes["aa"].host.emptied) > 0 || s.peer("aa", "bb").State != StateUp {
		t.Errorf("aa: %+v", s.peer("aa", "bb"))
	}
	s.check(t)

	s = firmWithData(IntentEmpty, IntentEmpty)
	if s.peer("aa", "bb").State != StateRefused || len(s.nodes["aa"].host.emptied)+len(s.nodes["bb"].host.emptied) > 0 {
		t.Error("two regions told to empty themselves must do nothing")
	}
}

func TestMergeOfDeploymentsWithCutLogs(t *testing.T) {
	s := newSim(13, "aa", "bb")
	s.autoSync = true
	for range 40 {
		s.writeSome(s.nodes["aa"])
		s.writeSome(s.nodes["bb"])
	}
	s.mustConverge(2 * time.Second)
	c := s.add("cc", 3)
	c.host.id.Firmness = Firm
	s.boot(c)
	for range 40 {
		s.writeSome(c)
	}
	s.syncAll()
	s.run(time.Second)
	for _, n := range s.nodes {
		n.host.cut(n.host.LogEnd())
	}
	for _, name := range []string{"aa", "bb"} {
		s.connect(name, "cc")
		s.connect("cc", name)
	}
	s.run(time.Second)
	if st := s.peer("cc", "aa").State; st != StateRefused {
		t.Errorf("state before MERGE: %s", st)
	}
	s.must(s.nodes["aa"].core.AddPeer("cc", PeerOptions{Intent: IntentMerge}))
	s.mustConverge(8 * time.Second)
	s.run(3 * time.Second)
	s.check(t)
	for _, n := range s.nodes {
		if n.host.id.Deployment != 3 || len(n.host.emptied) > 0 {
			t.Errorf("%+v %+v", n.host.id, n.host.emptied)
		}
		for _, p := range n.core.Peers() {
			if p.State != StateUp {
				t.Errorf("%s: %s is %s %s", n.name, p.Name, p.State, p.Reason)
			}
		}
	}
}

func TestRemovedRegionReturnsOnlyEmpty(t *testing.T) {
	s := newSim(9, "aa", "bb")
	s.autoSync = true
	s.write(s.nodes["aa"], 1)
	s.write(s.nodes["bb"], 2)
	s.mustConverge(2 * time.Second)
	s.check(t)
	a, b := s.nodes["aa"], s.nodes["bb"]
	a.core.RemovePeer("bb")
	gone := a.core.Removed()
	if len(gone) != 1 || gone[0].Origin != b.host.id.Origin {
		t.Fatalf("removed: %+v", gone)
	}
	if err := a.core.Step("bb", []byte{1}, s.localUs(a)); err == nil {
		t.Error("a frame of a removed region is taken")
	}
	if a.core.RetainFrom() != a.host.LogEnd() {
		t.Error("a removed region holds the log")
	}
	s.net = nil
	s.cfg.Removed = gone
	s.boot(a)
	s.run(time.Second)
	if p := s.peer("aa", "bb"); p.State != StateRefused || !strings.Contains(p.Reason, "removed") {
		t.Errorf("%s %q", p.State, p.Reason)
	}
	if p := s.peer("bb", "aa"); p.State != StateRefused || !strings.Contains(p.Reason, "EMPTY") {
		t.Errorf("%s %q", p.State, p.Reason)
	}
	s.must(b.core.AddPeer("aa", PeerOptions{Intent: IntentEmpty}))
	s.run(2 * time.Second)
	s.mustConverge(2 * time.Second)
	s.check(t)
	if len(b.host.emptied) != 1 || s.peer("aa", "bb").State != StateUp || len(a.core.Removed()) != 0 {
		t.Errorf("%+v %+v", b.host.emptied, s.peer("aa", "bb"))
	}
}

func TestLargeBatchTravelsInParts(t *testing.T) {
	s := newSim(10, "aa", "bb")
	s.autoSync = true
	s.run(500 * time.Millisecond)
	s.loss, s.dup, s.jitterUs = 0.2, 0.1, 20_000
	a := s.nodes["aa"]
	a.host.bigger = 5 << 20
	s.write(a, 1)
	s.write(a, 2)
	a.host.bigger = 0
	s.write(a, 3)
	s.mustConverge(20 * time.Second)
	s.check(t)

	// The same by transfer.
	s.syncAll()
	s.run(time.Second)
	a.host.cut(a.core.RetainFrom())
	s.add("cc", 7)
	s.connect("aa", "cc")
	s.connect("cc", "aa")
	s.loss = 0.05
	s.mustConverge(20 * time.Second)
	s.check(t)
}

func TestClockAheadWaitsAndDragsNobody(t *testing.T) {
	s := newSim(11, "aa", "bb")
	s.run(time.Second)
	s.nodes["aa"].host.skewMs = 3000
	s.write(s.nodes["aa"], 1)
	s.run(time.Second)
	b := s.nodes["bb"]
	if b.host.applied != 0 {
		t.Error("a batch from the future was applied")
	}
	if st := s.peer("bb", "aa").State; st != StateClock {
		t.Errorf("state %s at the receiver", st)
	}
	if st := s.peer("aa", "bb").State; st != StateClock {
		t.Errorf("state %s at the sender", st)
	}
	before := s.wireBytes
	s.run(time.Second)
	if spent := s.wireBytes - before; spent > 4000 {
		t.Errorf("%d bytes while waiting for a clock", spent)
	}
	if ahead := b.host.hlc.Now().Ms() - s.wallMs(); ahead > 500 {
		t.Errorf("dragged %d ms", ahead)
	}
	s.mustConverge(3 * time.Second)
	s.check(t)
}

func TestFullRegionResumes(t *testing.T) {
	s := newSim(12, "aa", "bb", "cc")
	s.run(time.Second)
	s.nodes["bb"].host.full = true
	for range 200 {
		s.writeSome(s.nodes["aa"])
		s.writeSome(s.nodes["cc"])
		s.step()
	}
	s.run(time.Second)
	if !s.nodes["bb"].core.Full() || s.peer("aa", "bb").State != StateFull {
		t.Errorf("full: %v, %s", s.nodes["bb"].core.Full(), s.peer("aa", "bb").State)
	}
	s.nodes["bb"].host.full = false
	s.mustConverge(3 * time.Second)
	s.check(t)
}
