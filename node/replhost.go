package node

import (
	"encoding/json"
	"errors"

	"geocache/clock"
	"geocache/engine"
	"geocache/op"
	"geocache/persist"
	"geocache/replicate"
)

// host is what the sibling protocol sees of this region. Its calls come from
// within the core, with repl.mu held.
type host struct{ n *Node }

func (h host) Vector() clock.Vector  { return h.n.commit.Vector() }
func (h host) Synced() clock.Vector  { return h.n.commit.Synced() }
func (h host) HLCNow() clock.Reading { return h.n.commit.now() }
func (h host) WallMs() int64         { return h.n.wall.NowMs() }

// LogFirst leaves out what was written before the founding: its stamps are not
// kept, so a sibling that lacks it takes a copy, in which they read as the
// founding's.
func (h host) LogFirst() uint64 {
	return max(h.n.disk.db.Load().Log.First(), h.n.disk.foundedAt.Load())
}

func (h host) LogEnd() uint64 { return h.n.disk.db.Load().Log.End() }

func (h host) ReadLog(from uint64, maxBytes int) ([][]byte, uint64, error) {
	recs, next, err := h.n.disk.db.Load().Log.Read(from, maxBytes)
	if errors.Is(err, persist.ErrCut) {
		err = replicate.ErrCut
	}
	return recs, next, err
}

func (h host) Apply(b op.Batch) error {
	n := h.n
	if !n.fitMemory(&n.linking) {
		return replicate.ErrFull
	}
	if err := n.diskError(); err != nil {
		return err
	}
	if n.disk.db.Load().Log.Full() {
		return replicate.ErrFull
	}
	start := n.opts.Micros()
	n.linking.keep(n, start)
	if err := n.withRows(func() error { return n.engine.Apply(b, engine.FromSibling, n.wall.NowMs()) }); err != nil {
		return err
	}
	n.linking.note(n, applyTurn, start, n.opts.Micros())
	n.stir()
	return nil
}

func (h host) ExportState(cursor uint64, maxBytes int) ([]replicate.StateEntry, uint64, error) {
	var out []replicate.StateEntry
	next := h.n.engine.Export(cursor, maxBytes, func(en engine.ExportEntry) {
		state := en.State
		if en.Evicted {
			state = nil // completed below, without locks
		}
		out = append(out, replicate.StateEntry{DB: en.DB, Key: en.Key, State: state})
	})
	for i := range out {
		if out[i].State != nil {
			continue
		}
		en, ok := h.n.engine.State(engine.RowKey{DB: out[i].DB, Key: string(out[i].Key)})
		if !ok {
			en.State = (&op.KeyState{}).Append(nil)
		} else if en.Evicted {
			en.State = h.n.withRowValue(en)
		}
		out[i].State = en.State
	}
	return out, next, nil
}

func (h host) ApplyState(c replicate.Copy, entries []replicate.StateEntry) error {
	if !h.n.fitMemory(&h.n.linking) {
		return replicate.ErrFull
	}
	if !h.n.repl.mu.copying {
		if err := h.n.markCopying(true); err != nil {
			return err
		}
	}
	es := make([]engine.StateEntry, len(entries))
	for i, e := range entries {
		es[i] = engine.StateEntry{DB: e.DB, Key: e.Key, State: e.State}
	}
	err := h.n.withRows(func() error { return h.n.engine.JoinCopy(c.ID, c.Vector, es, h.n.wall.NowMs()) })
	h.n.disk.unlogged.Store(true)
	return err
}

// StateDone makes the transferred state durable together with the vector that
// covers it, before anything that builds on it enters the log. The rows, of
// which there may be millions, are left to a checkpoint of their own first, so
// that the protocol does not stand still for long.
func (h host) StateDone(c replicate.Copy) error {
	n := h.n
	r := &n.repl
	v := c.Vector
	if !v.Equal(r.mu.ending) {
		if err := n.withRows(func() error { return n.engine.EndCopy(c.ID, v, n.wall.NowMs()) }); err != nil {
			return err
		}
		n.disk.unlogged.Store(true)
		r.mu.ending, r.mu.endingFrom = v.Clone(), n.wantCheckpoint()
	}
	if !n.checkpointedSince(r.mu.endingFrom) {
		return replicate.ErrNotYet
	}
	n.engine.WithWorld(func() { n.commit.raise(v) })
	if err := n.checkpointNow(); err != nil {
		return err
	}
	r.mu.ending = nil
	return nil
}

func (h host) Identity() replicate.Identity {
	id := h.n.identity()
	r := replicate.Identity{Region: id.Region, Origin: id.Origin, Deployment: id.Deployment, Former: h.n.repl.mu.former}
	if id.DeploymentFirm {
		r.Firmness = replicate.Firm
	}
	if len(h.n.engine.DBInfos()) > 0 || len(h.n.commit.Vector()) > 0 {
		r.Content = replicate.HasData
	}
	return r
}

// maxFormer is how many replaced deployment ids are remembered.
const maxFormer = 16

func (h host) AdoptDeployment(id uint64, f replicate.Firmness) error {
	n := h.n
	mine := n.identity()
	if mine.DeploymentFirm && mine.Deployment != id {
		former := append(n.repl.mu.former, mine.Deployment)
		former = former[max(0, len(former)-maxFormer):]
		b, err := json.Marshal(former)
		if err == nil {
			err = n.disk.db.Load().SetMember(metaFormer, b)
		}
		if err != nil {
			return err
		}
		n.repl.mu.former = former
	}
	mine.Deployment, mine.DeploymentFirm = id, f == replicate.Firm
	if err := n.disk.db.Load().SetIdentity(mine); err != nil {
		return err
	}
	n.setIdentity(mine)
	return nil
}

// Empty drops all data and begins a new incarnation. Writers are kept out by
// the world lock for as long as the one durable change takes.
func (h host) Empty(e replicate.Emptying) error {
	n := h.n
	n.log.Warn("this region drops its data and rejoins empty", "for", e.Peer, "why", e.Why,
		"unsent-batches", e.UnsentBatches, "unsent-bytes", e.UnsentBytes, "held-elsewhere", e.HeldElsewhere.String())
	c := &n.disk.checkpoint
	c.Lock()
	defer c.Unlock()
	if c.run != nil {
		c.run.Abort()
		c.run = nil
	}
	n.disk.writing.Lock()
	defer n.disk.writing.Unlock()
	db := n.disk.db.Load()
	id := n.identity()
	id.Origin = n.newOrigin(id.Region, id.Origin.Incarnation())
	id.DeploymentFirm = false
	id.Deployment = n.rand.Uint64() | 1
	var err error
	n.engine.WithWorld(func() {
		for more := true; more && err == nil; {
			more, err = db.Log.WriteStep()
		}
		if err == nil {
			err = db.DeleteAll(id, clock.Vector{})
		}
		if err != nil {
			return
		}
		n.engine.Clear()
		n.engine.SetOrigin(id.Origin)
		n.commit.attach(db.Log, id.Origin, clock.Vector{}, clock.Vector{})
	})
	if err != nil {
		return err
	}
	n.setIdentity(id)
	return nil
}
