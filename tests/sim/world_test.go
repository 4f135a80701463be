package sim

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	epochMs = 1_700_000_000_000
	ms      = int64(1000) // in microseconds, the unit of virtual time
	second  = 1000 * ms
)

// event is something due.
type event struct {
	atUs  int64
	order int
	fn    func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].atUs < q[j].atUs || q[i].atUs == q[j].atUs && q[i].order < q[j].order
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// traceLines is how many of the last events a failure shows.
const traceLines = 60

// world is one simulation.
type world struct {
	rnd     *rand.Rand
	plan    plan
	nowUs   int64
	queue   events
	order   int
	regions []*region
	links   map[[2]string]*link
	clients []*client
	history history

	breaking bool // phase one
	failure  string
	trace    [traceLines]string
	traced   int
	hash     uint64 // of all events, for replay
	verbose  func(string)
}

// after runs fn in d microseconds.
func (w *world) after(d int64, fn func()) {
	w.order++
	heap.Push(&w.queue, event{w.nowUs + max(d, 0), w.order, fn})
}

// upTo is a random number of microseconds below n.
func (w *world) upTo(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return w.rnd.Int64N(n)
}

func (w *world) chance(p float64) bool { return p > 0 && w.rnd.Float64() < p }

// step runs the next event and reports whether there is one before endUs.
func (w *world) step(endUs int64) bool {
	if len(w.queue) == 0 || w.queue[0].atUs > endUs || w.failure != "" {
		return false
	}
	e := heap.Pop(&w.queue).(event)
	w.nowUs = e.atUs
	e.fn()
	return true
}

// run lets d microseconds pass.
func (w *world) run(d int64) {
	end := w.nowUs + d
	for w.step(end) {
	}
	w.nowUs = max(w.nowUs, end)
}

// until runs in small steps until cond holds, for at most d microseconds, and
// reports whether it came to hold.
func (w *world) until(d int64, cond func() bool) bool {
	for end := w.nowUs + d; w.failure == "" && w.nowUs < end; {
		if cond() {
			return true
		}
		w.run(50 * ms)
	}
	return w.failure == "" && cond()
}

func (w *world) note(who, format string, args ...any) {
	line := fmt.Sprintf("%9.3f %s: ", float64(w.nowUs)/1e6, who) + fmt.Sprintf(format, args...)
	w.trace[w.traced%traceLines] = line
	w.traced++
	h := fnv.New64a()
	h.Write([]byte(line))
	w.hash = w.hash*1099511628211 ^ h.Sum64()
	if w.verbose != nil {
		w.verbose(line)
	}
}

func (w *world) fail(format string, args ...any) {
	if w.failure != "" {
		return
	}
	w.failure = fmt.Sprintf("at %.3f s: ", float64(w.nowUs)/1e6) + fmt.Sprintf(format, args...)
}

// lastEvents is the end of the trace.
func (w *world) lastEvents() string {
	var sb strings.Builder
	for i := max(0, w.traced-traceLines); i < w.traced; i++ {
		sb.WriteString("\n  ")
		sb.WriteString(w.trace[i%traceLines])
	}
	return sb.String()
}

// logHandler takes what nodes log into the trace.
type logHandler struct {
	w *world
	r *region
}

func (h logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h logHandler) WithGroup(string) slog.Handler                { return h }

func (h logHandler) Handle(_ context.Context, rec slog.Record) error {
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key != "seconds" {
			line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		return true
	})
	h.w.note(h.r.name, "[%v] %s", rec.Level, line)
	switch {
	case strings.Contains(line, "drops its data") && h.w.plan.wipes:
		h.w.history.void(h.r) // it lost its disk, or joined somebody who did
	case strings.Contains(line, "drops its data"):
		h.w.fail("%s: %s", h.r.name, line)
	case strings.Contains(line, "frame was refused"):
		h.w.fail("%s: %s", h.r.name, line)
	}
	return nil
}

// errInjected is what broken disks and links answer.
var errInjected = errors.New("injected fault")

func duration(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
