package replicate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geocache/clock"
	"geocache/op"
)

var update = flag.Bool("update", false, "write testdata anew")

// shortVector prints a vector with region names and readings counted from the
// simulation's first millisecond.
func (s *sim) shortVector(v clock.Vector) string {
	var parts []string
	for _, o := range v.Origins() {
		name := "?"
		for _, n := range s.names {
			if clock.RegionID(n) == o.Region() {
				name = n
			}
		}
		parts = append(parts, fmt.Sprintf("%s:%s", name, shortReading(v[o])))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func shortReading(r clock.Reading) string {
	if r == 0 {
		return "start"
	}
	return fmt.Sprintf("%d.%d", r.Ms()-1_700_000_000_000, uint16(r))
}

// tell puts a frame into one line; tokens and clocks are left out.
func (s *sim) tell(b []byte) string {
	f, err := parseFrame(b)
	if err != nil {
		return err.Error()
	}
	switch f.kind {
	case kindHello:
		h, _ := parseHello(f.payload)
		return fmt.Sprintf("hello answers=%t knows=%t deployment=%d firm=%t data=%t verdict=%d applied=%s",
			h.echo != 0, h.knows, h.deployment, h.firm, h.hasData, h.verdict, s.shortVector(h.applied))
	case kindReport:
		r, _ := parseReport(f.payload)
		line := fmt.Sprintf("report %d got=%d state=%d applied+%s synced+%s", r.seq, r.got, r.state, s.shortVector(r.applied), s.shortVector(r.synced))
		if len(r.have) > 0 {
			line += " have=" + s.shortVector(r.have)
		}
		for _, n := range r.nacks {
			line += fmt.Sprintf(" missing=(%s,%s]", shortReading(n.from), shortReading(n.to))
		}
		if r.transfer != 0 {
			line += fmt.Sprintf(" chunks<%d", r.next)
		}
		if r.heartbeat {
			line += fmt.Sprintf(" heartbeat hears=%d", len(r.heard))
		}
		return line
	case kindState:
		c, _ := parseState(f.payload)
		if c.last {
			return fmt.Sprintf("state %d end %s", c.seq, s.shortVector(c.vector))
		}
		return fmt.Sprintf("state %d with %d keys", c.seq, len(c.entries))
	case kindBatches:
		line := "batches"
		r := newReader(f.payload)
		for len(r.Rest()) > 0 {
			b, _ := op.ParseBatch(r.Bytes(1 << 30))
			line += fmt.Sprintf(" %s(%s..%s]", s.shortVector(clock.Vector{b.Origin: b.Last()}), shortReading(b.Prev), shortReading(b.Last()))
		}
		return line
	}
	return "?"
}

func TestGoldenConversations(t *testing.T) {
	for name, play := range map[string]func(s *sim){
		"handshake-and-write": func(s *sim) {
			s.run(100 * time.Millisecond)
			s.write(s.nodes["aa"], 1, 2)
			s.run(60 * time.Millisecond)
			s.syncAll()
			s.run(60 * time.Millisecond)
		},
		"lost-frame": func(s *sim) {
			s.run(400 * time.Millisecond)
			s.quiet = false
			s.loss = 1
			s.write(s.nodes["aa"], 1)
			s.step()
			s.loss = 0
			s.write(s.nodes["aa"], 2)
			s.run(150 * time.Millisecond)
		},
		"transfer": func(s *sim) {
			for k := range 6 {
				s.write(s.nodes["aa"], k)
			}
			s.syncAll()
			s.nodes["aa"].host.cut(7)
			s.autoSync = true
			s.run(400 * time.Millisecond)
		},
		"refused": func(s *sim) {
			for _, n := range s.nodes {
				s.write(n, 1)
				n.host.id.Firmness = Firm
			}
			s.run(150 * time.Millisecond)
		},
	} {
		s := newSim(1, "aa", "bb")
		s.exportBytes = 150
		s.quiet = name == "lost-frame"
		var sb strings.Builder
		s.tap = func(from string, o Outgoing, lost bool) {
			mark := ""
			if lost {
				mark = " LOST"
			}
			fmt.Fprintf(&sb, "%4d ms %s>%s %s%s\n", s.nowUs/1000, from, o.Peer, s.tell(o.Frame), mark)
		}
		play(s)
		s.check(t)
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(sb.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if sb.String() != string(want) {
			t.Errorf("%s: the conversation is now\n%s", name, sb.String())
		}
	}
}
