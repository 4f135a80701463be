package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"geocache/engine"
	"geocache/op"
)

// TestRenameSurvivesCrash: collections are renamed without being written to the
// log. Whatever a checkpoint under way has written when the process ends, every
// member is found again, where it was at the end of the log that is left.
func TestRenameSurvivesCrash(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { crashAmidRenames(t, seed) })
	}
}

func crashAmidRenames(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 5))
	r := newRig(t)
	for range 3 {
		shown := map[uint64]string{}
		note := func() { shown[r.disk.db.Load().Log.End()] = r.shown() }
		for range 150 {
			r.do(renameCommand(rnd))
			note()
			if rnd.IntN(4) == 0 {
				r.WriteLog()
			}
			r.stepCheckpoint(t, rnd)
		}
		db := r.disk.db.Load()
		if rnd.IntN(2) == 0 {
			for r.WriteLog() {
			}
			db.Log.SyncStep()
		}
		r = r.reopen(r.store.Crash(rnd.IntN))
		end := r.disk.db.Load().Log.End()
		want, ok := shown[end]
		if got := r.shown(); ok && got != want {
			t.Fatalf("after the crash, at log position %d:\n%s\nbefore it:\n%s", end, got, want)
		} else if !ok && end != 1 {
			t.Fatalf("nothing is known of log position %d", end)
		}
	}
}

// shown is what there is to see, in short.
func (r *rig) shown() string {
	var lines []string
	_ = r.engine.BeginSnapshot(r.wall.NowMs()).Each(func(k *engine.SnapshotKey) error {
		line := fmt.Sprintf("%d/%s %d %s:", k.DB, k.Key, k.DeadlineMs, k.Value)
		if k.Coll != nil {
			var members []string
			for _, el := range k.Coll.Elem[op.Main] {
				members = append(members, fmt.Sprintf(" %.1s%.1s", el.Key, el.Val))
			}
			if k.Coll.Type != op.TypeList {
				slices.Sort(members)
			}
			line += fmt.Sprint(k.Coll.Type, members)
		}
		lines = append(lines, line)
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// renameCommand is a request about few keys, many of which hold much.
func renameCommand(rnd *rand.Rand) string {
	key := func() string { return fmt.Sprintf("%c", 'a'+rnd.IntN(5)) }
	big := strings.Repeat("x", 6000)
	switch rnd.IntN(14) {
	case 0, 1, 2:
		return fmt.Sprintf("SADD %s %d%s", key(), rnd.IntN(9), big)
	case 3:
		return fmt.Sprintf("SREM %s %d%s", key(), rnd.IntN(9), big)
	case 4, 5:
		return fmt.Sprintf("RPUSH %s %d%s", key(), rnd.IntN(9), big)
	case 6:
		return fmt.Sprintf("LPOP %s", key())
	case 7:
		return fmt.Sprintf("DEL %s", key())
	case 8:
		return fmt.Sprintf("SELECT %d", rnd.IntN(2))
	case 9:
		return fmt.Sprintf("MOVE %s %d", key(), rnd.IntN(2))
	case 10:
		switch rnd.IntN(6) {
		case 0:
			return "FLUSHDB"
		case 1:
			return fmt.Sprintf("SET %s v", key())
		case 2:
			return fmt.Sprintf("HSET %s f v", key())
		}
	}
	return fmt.Sprintf("RENAME %s %s", key(), key())
}

// stepCheckpoint does the next step of a checkpoint, of one row, or begins one.
func (r *rig) stepCheckpoint(t *testing.T, rnd *rand.Rand) {
	c := &r.disk.checkpoint
	switch {
	case c.run == nil && rnd.IntN(10) == 0:
		pos, vector := r.commit.position()
		if db := r.disk.db.Load(); pos == db.CheckpointPos() {
			return
		} else if run, err := db.StartCheckpoint(rowSource{r.Node}, pos, vector); err != nil {
			t.Fatal(err)
		} else {
			c.run = run
		}
	case c.run == nil, rnd.IntN(3) == 0:
	case rnd.IntN(40) == 0:
		c.run.Abort()
		c.run = nil
	case c.run.Behind() != 0:
		r.WriteLog()
	default:
		done, err := c.run.Step(1)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			c.run = nil
		}
	}
}
