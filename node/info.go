package node

import (
	"fmt"
	"strings"

	"geocache/command"
	"geocache/config"
	"geocache/engine"
	"geocache/geo"
	"geocache/persist"
	"geocache/replicate"
)

// This file is INFO but for its fields, which are the table in infofields.go.

// Info implements command.Host: the text in the form, order and section rules
// of Redis 7. An unknown section gives nothing. It waits for nobody that does
// I/O: what lies behind such locks is shown as it was last noted.
func (n *Node) Info(sections []string, counts func() map[int]engine.DBInfo) string {
	v := n.infoView(counts)
	var sb strings.Builder
	for _, sec := range infoSections() {
		if !sec.wanted(sections) {
			continue
		}
		if sb.Len() > 0 {
			sb.WriteString("\r\n")
		}
		fmt.Fprintf(&sb, "# %s\r\n", sec.title)
		for _, f := range sec.fields {
			f.write(&sb, v)
		}
	}
	return sb.String()
}

// infoSection is one section; its name is its title in lower case.
type infoSection struct {
	title  string
	extent infoExtent
	fields []infoField
}

// infoExtent says which of INFO's collective names include a section.
type infoExtent uint8

const (
	inDefault infoExtent = iota // default, all and everything
	inAll                       // all and everything
)

func (s *infoSection) wanted(sections []string) bool {
	if len(sections) == 0 {
		return s.extent == inDefault
	}
	for _, name := range sections {
		switch name {
		case "all", "everything":
			return true
		case "default":
			if s.extent == inDefault {
				return true
			}
		case strings.ToLower(s.title):
			return true
		}
	}
	return false
}

// infoField is one line, or a family of lines.
type infoField struct {
	// name is what stands before the colon. Of a family the word in angle
	// brackets varies.
	name string
	doc  string // one line, for docs/INFO.md
	// value is a string, an integer, a float of two places, or the lines of
	// a family; nil leaves the field out.
	value func(v *infoView) any
}

// infoLine is one line of a family.
type infoLine struct{ name, value string }

func (f *infoField) write(sb *strings.Builder, v *infoView) {
	switch x := f.value(v).(type) {
	case nil:
	case []infoLine:
		for _, l := range x {
			fmt.Fprintf(sb, "%s:%s\r\n", l.name, l.value)
		}
	case float64:
		fmt.Fprintf(sb, "%s:%.2f\r\n", f.name, x)
	case bool:
		fmt.Fprintf(sb, "%s:%d\r\n", f.name, zeroOne(x))
	default:
		fmt.Fprintf(sb, "%s:%v\r\n", f.name, x)
	}
}

func zeroOne(v bool) int {
	if v {
		return 1
	}
	return 0
}

// infoView is what fields are made of, gathered once.
type infoView struct {
	n          *Node
	stats      *stats
	conf       *config.Snapshot
	proc       ProcessInfo
	nowMs      int64
	engine     engine.Stats
	clients    clientTotals
	used, peak int64
	snapshots  int64 // see Engine.SnapshotBytes
	memory     engine.Memory
	counts     func() map[int]engine.DBInfo

	db         *persist.DB // nil: nothing is kept, and log and store are zero
	log        persist.LogStats
	changes    uint64 // batches after the checkpoint
	store      persist.Metrics
	checkpoint checkpointState
	saves      saveState
	self       geo.Region
	peers      []replicate.PeerStatus
}

func (n *Node) infoView(counts func() map[int]engine.DBInfo) *infoView {
	v := &infoView{
		n: n, stats: &n.stats, conf: n.conf.Load(), proc: n.opts.Process(), nowMs: n.wall.NowMs(),
		engine: n.engine.Stats(), clients: n.clients.totals(), counts: counts,
		db: n.disk.db.Load(), self: n.repl.dir.Load().Self(),
	}
	v.snapshots = n.engine.SnapshotBytes()
	v.used = n.usedBeside(v.clients.bytes, v.snapshots)
	v.peak = n.stats.notePeak(v.used)
	v.memory = n.memory()
	if v.db != nil {
		v.log = v.db.Log.Stats()
		v.changes = v.log.End - 1 - min(v.log.End-1, v.db.CheckpointPos())
		if m := n.stats.store.Load(); m != nil {
			v.store = *m
		}
		if c := n.stats.checkpoint.Load(); c != nil {
			v.checkpoint = *c
		}
	}
	v.saves = n.saves.view()
	if p := n.stats.peers.Load(); p != nil {
		v.peers = *p
	}
	return v
}

// clientTotals are sums and maxima over all sessions.
type clientTotals struct {
	count, blocked, timed, watching int
	bytes                           int64 // of sessions and their buffers
	maxIn, maxOut                   int64
}

func (r *registry) totals() (t clientTotals) {
	r.Lock()
	defer r.Unlock()
	t.count, t.timed = len(r.sessions), len(r.timers)
	for _, s := range r.sessions {
		in, out := s.pub.inBytes.Load(), s.outputBytes()
		t.bytes += s.memory()
		t.maxIn, t.maxOut = max(t.maxIn, in), max(t.maxOut, out)
		t.blocked += zeroOne(s.pub.blocked.Load())
		t.watching += zeroOne(s.pub.watching.Load() > 0)
	}
	return t
}

// human is a size in Redis' short form.
func human(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%dB", n)
	}
	f, unit := float64(n)/(1<<10), 0
	for f >= 1<<10 && unit < len(humanUnits)-1 {
		f /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.2f%c", f, humanUnits[unit])
}

const humanUnits = "KMGTP"

// percent is part of whole with two places and a sign; 0 of nothing.
func percent(part, whole int64) string {
	if whole == 0 {
		whole, part = 1, 0
	}
	return fmt.Sprintf("%.2f%%", float64(part)/float64(whole)*100)
}

// okErr is Redis' word for whether the last try went well.
func okErr(failed bool) string {
	if failed {
		return "err"
	}
	return "ok"
}

// commandLines are the cmdstat_ lines of every command that was asked for.
func commandLines(v *infoView) any {
	var lines []infoLine
	add := func(r *command.Row) {
		st := v.stats.of(r)
		calls, micros, rejected, failed := st.calls.Load(), st.micros.Load(), st.rejected.Load(), st.failed.Load()
		if calls == 0 && rejected == 0 && failed == 0 {
			return
		}
		lines = append(lines, infoLine{
			"cmdstat_" + r.FullName(),
			fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
				calls, micros, float64(micros)/float64(max(calls, 1)), rejected, failed),
		})
	}
	for _, r := range v.n.table.Rows() {
		add(r)
		for i := range r.Subs {
			add(&r.Subs[i])
		}
	}
	return lines
}
