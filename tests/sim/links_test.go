package sim

import (
	"geocache/geo"
	"geocache/node"
	"geocache/resp"
)

// link is the way from one region to another: the connections that the first
// dials. Each direction fails by itself.
type link struct {
	from, to *region
	conn     *conn // session at to
	failures int
	up       bool // as from's transport sees it

	cut               bool
	loss, dup         float64
	delayUs, jitterUs int64
}

const (
	probeEvery     = 300 * ms
	failuresToDown = 3
)

// pass reports whether one thing gets through.
func (l *link) pass() bool { return !l.cut && l.to.up() && !l.from.w.chance(l.loss) }

func (l *link) travelUs() int64 { return l.delayUs + l.from.w.upTo(l.jitterUs) }

// transmit sends a frame as a client would: a command on a session of the
// receiver. Frames overtake each other as on the many connections of a link.
func (w *world) transmit(r *region, f node.Frame) {
	l := w.links[[2]string{r.name, f.Peer}]
	if l == nil || !l.up {
		return
	}
	copies := 1
	if w.chance(l.dup) {
		copies = 2
	}
	life := r.life
	for range copies {
		w.after(l.travelUs(), func() {
			if !l.pass() {
				if r.life == life && r.up() {
					r.clockNow()
					r.n.LinkSample(f.Peer, geo.Failed, 0)
				}
				return
			}
			l.deliver(f.Data)
		})
	}
}

func (l *link) deliver(data []byte) {
	if l.conn == nil || l.conn.s == nil {
		l.conn = l.to.connect(func(v resp.Value) {
			if err := v.Err(); err != nil {
				l.from.w.note(l.from.name, "%s answers a frame: %v", l.to.name, err)
				if l.from.up() {
					l.from.clockNow()
					l.from.n.LinkSample(l.to.name, geo.Failed, 0)
				}
			}
		}, func() {})
		if pass := l.from.w.plan.password; pass != "" {
			l.conn.send(request("AUTH", pass))
		}
	}
	if l.conn.s != nil {
		l.conn.send(request("REGION", "FRAME", l.from.name, string(data)))
	}
}

// startProbes watches r's links for this life of its node, as the transport
// does.
func (w *world) startProbes(r *region) {
	for _, peer := range w.regions {
		l := w.links[[2]string{r.name, peer.name}]
		if l == nil {
			continue
		}
		l.up, l.failures = false, 0
		r.every(probeEvery, func() { l.probe() })
	}
}

func (l *link) probe() {
	r := l.from
	rtt := l.travelUs() + l.travelUs() + ms
	there, back := l.pass(), l.pass()
	if there && back {
		r.soon(rtt, func() {
			l.failures = 0
			r.n.LinkSample(l.to.name, geo.OK, duration(rtt))
			if !l.up {
				l.up = true
				r.w.note(r.name, "link to %s up", l.to.name)
				r.n.LinkUp(l.to.name)
			}
		})
		return
	}
	how := geo.Failed
	if !l.to.up() {
		how = geo.Refused
	}
	r.n.LinkSample(l.to.name, how, 0)
	if l.failures++; l.failures == failuresToDown && l.up {
		l.up = false
		r.w.note(r.name, "link to %s down", l.to.name)
		r.n.LinkDown(l.to.name, errInjected)
	}
}
