package engine

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"geocache/clock"
)

// item is what the model knows of a key.
type item struct {
	val      string
	deadline int64
}

type model []map[string]item // by database number

func (m model) clone() model {
	c := make(model, len(m))
	for i := range m {
		c[i] = maps.Clone(m[i])
	}
	return c
}

func (m model) get(k Key, now int64) (item, bool) {
	it, ok := m[k.DB][string(k.Name)]
	if ok && it.deadline != 0 && it.deadline <= now {
		return item{}, false
	}
	return it, ok
}

// modify is what a write that keeps a live key's deadline leaves.
func (m model) modify(k Key, val string, now int64) {
	it, _ := m.get(k, now)
	m[k.DB][string(k.Name)] = item{val, it.deadline}
}

const modelDBs = 3

func modelKey(rnd *rand.Rand) Key {
	return Key{rnd.IntN(modelDBs), []byte("key" + strconv.Itoa(rnd.IntN(12)))}
}

// command is one random command: it acts on tx and model and complains where
// they differ.
func command(rnd *rand.Rand, keys []Key, world, swaps bool) func(*Tx, model) error {
	k, dst := keys[rnd.IntN(len(keys))], keys[rnd.IntN(len(keys))]
	num, text := rnd.Int64N(1000)-300, strings.Repeat("x", rnd.IntN(60))
	ttl, choice := rnd.Int64N(4000), rnd.IntN(13)
	if world && rnd.IntN(3) == 0 {
		choice = 20 + rnd.IntN(2)
	}
	name := string(k.Name)
	return func(t *Tx, m model) error {
		now := t.NowMs()
		it, there := m.get(k, now)
		switch choice {
		case 0, 1:
			t.SetString(k, []byte(strconv.FormatInt(num, 10)), NoDeadline())
			m[k.DB][name] = item{strconv.FormatInt(num, 10), 0}
		case 2:
			t.SetString(k, []byte(text), DeadlineAt(now+1+ttl))
			m[k.DB][name] = item{text, now + 1 + ttl}
		case 3:
			t.SetString(k, []byte(text), KeepDeadline())
			m.modify(k, text, now)
		case 4:
			if n, err := t.Append(k, []byte(text)); err != nil || n != len(it.val)+len(text) {
				return fmt.Errorf("append: %d %v", n, err)
			}
			m.modify(k, it.val+text, now)
		case 5:
			val := []byte(it.val)
			for len(val) < 7 {
				val = append(val, 0)
			}
			copy(val[5:], "yz")
			t.SetRange(k, 5, []byte("yz"))
			m.modify(k, string(val), now)
		case 6, 7:
			cur, ok := int64(0), true
			if there {
				cur, ok = parseInt([]byte(it.val))
			}
			got, err := t.Incr(k, num)
			if ok != (err == nil) || ok && got != cur+num {
				return fmt.Errorf("incr %q by %d: %d %v", it.val, num, got, err)
			}
			if ok {
				m.modify(k, strconv.FormatInt(cur+num, 10), now)
			}
		case 8:
			if t.Delete(k) != there {
				return errors.New("delete")
			}
			delete(m[k.DB], name)
		case 9:
			if t.SetDeadline(k, now+1+ttl) != there {
				return errors.New("deadline")
			}
			if there {
				m[k.DB][name] = item{it.val, now + 1 + ttl}
			}
		case 10:
			if t.SetDeadline(k, 0) != there {
				return errors.New("persist")
			}
			if there {
				m[k.DB][name] = item{it.val, 0}
			}
		case 11:
			if k.DB == dst.DB && string(dst.Name) == name {
				return nil
			}
			if t.Copy(k, dst) != there {
				return errors.New("copy")
			}
			if there {
				t.Delete(k)
				delete(m[k.DB], name)
				m[dst.DB][string(dst.Name)] = it
			}
		case 12:
			v, ok, _ := t.GetString(k)
			if ok != there || string(v) != it.val {
				return fmt.Errorf("get: %q %v, want %q %v", v, ok, it.val, there)
			}
		case 20:
			t.FlushDB(k.DB)
			m[k.DB] = map[string]item{}
		case 21:
			if swaps {
				t.SwapDB(k.DB, dst.DB)
				m[k.DB], m[dst.DB] = m[dst.DB], m[k.DB]
			}
		}
		return nil
	}
}

// checkModel compares everything that can be read.
func checkModel(r *region, m model, rows map[RowKey][]byte) error {
	now := r.wall.NowMs()
	for db := range m {
		live := map[string]bool{}
		for n := range 12 {
			k := Key{db, []byte("key" + strconv.Itoa(n))}
			want, there := m.get(k, now)
			var bad error
			run := func(t *Tx) {
				v, ok, _ := t.GetString(k)
				d, _ := t.Deadline(k)
				bad = nil
				if ok != there || string(v) != want.val || d != want.deadline {
					bad = fmt.Errorf("db %d %s: %q %v %d, want %q %v %d", db, k.Name, v, ok, d, want.val, there, want.deadline)
				}
			}
			if err := retry(r, Scope{Keys: []Key{k}}, rows, run); err != nil {
				return err
			}
			if bad != nil {
				return bad
			}
			if there {
				live[string(k.Name)] = true
			}
		}
		seen := map[string]bool{}
		var random string
		var found bool
		r.tx.Run(Scope{Walk: true}, now, func(t *Tx) {
			for c := t.Scan(db, 0, 3, func(it Item) { seen[it.Key] = true }); c != 0; {
				c = t.Scan(db, c, 3, func(it Item) { seen[it.Key] = true })
			}
			random, found = t.RandomKey(db)
		})
		if !maps.Equal(seen, live) {
			return fmt.Errorf("db %d: scan shows %v, want %v", db, seen, live)
		}
		if found != (len(live) > 0) || found && !live[random] {
			return fmt.Errorf("db %d: random key %q %v of %v", db, random, found, live)
		}
	}
	return nil
}

// retry runs fn as a node does: what lies on disk is fetched, and fn runs
// again. A run that ended so must have left no trace.
func retry(r *region, sc Scope, rows map[RowKey][]byte, fn func(*Tx)) error {
	for range 100 {
		digest, used, dbMap := r.digest(), r.e.UsedBytes(), r.e.DBMap()
		committed := len(r.own)
		err := r.tx.Run(sc, r.wall.NowMs(), fn)
		var need *NeedRow
		if !errors.As(err, &need) {
			return err
		}
		if d := r.digest(); d != digest || !slices.Equal(dbMap, r.e.DBMap()) || len(r.own) != committed || r.e.UsedBytes() > used {
			return fmt.Errorf("rollback left traces: used %d, was %d", r.e.UsedBytes(), used)
		}
		for _, k := range need.Rows {
			if rows[k] == nil {
				return fmt.Errorf("row %v was never written", k)
			}
			if err := r.e.RestoreRow(k, rows[k]); err != nil {
				return err
			}
		}
	}
	return errors.New("the run never came to an end")
}

// TestModel drives an engine and a model with random transactions.
func TestModel(t *testing.T) {
	rowsKept := merging()
	rowsKept.KeepRows, rowsKept.EvictToDisk, rowsKept.Policy = true, true, policy("allkeys-lru")
	rowsAlone := rowsKept
	rowsAlone.Merging = false
	silent := alone()
	silent.Recording = false
	for name, p := range map[string]Params{
		"alone": alone(), "silent": silent, "merging": merging(), "rows": rowsKept, "rows alone": rowsAlone,
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range max(20/effort, uint64(2)) {
				runModel(t, p, seed)
			}
		})
	}
}

func runModel(t *testing.T, p Params, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRegion("a", clock.NewManual(startMs), 4, modelDBs, p)
	m := model{{}, {}, {}}
	rows := map[RowKey][]byte{}
	for n := range 600 {
		r.wall.Advance(rnd.Int64N(200))
		keys := []Key{modelKey(rnd), modelKey(rnd), modelKey(rnd)}
		sc := Scope{Keys: keys, World: rnd.IntN(20) == 0}
		var cmds []func(*Tx, model) error
		for range 1 + rnd.IntN(4) {
			cmds = append(cmds, command(rnd, keys, sc.World, !p.Merging))
		}
		var after model
		var bad error
		err := retry(r, sc, rows, func(t *Tx) {
			after, bad = m.clone(), nil
			for _, c := range cmds {
				if err := c(t, after); err != nil && bad == nil {
					bad = err
				}
			}
		})
		if err == nil {
			err = bad
		}
		m = after
		if err == nil && n%5 == 0 {
			err = checkModel(r, m, rows)
		}
		if err == nil {
			err = r.err
		}
		if err != nil {
			t.Fatalf("seed %d, tx %d: %v", seed, n, err)
		}
		switch rnd.IntN(10) {
		case 0:
			expireAll(r)
		case 1:
			r.e.ForgetRemovals(r.vector.Clone(), 5)
		case 2:
			if p.EvictToDisk {
				dirty, flushed := r.e.TakeDirty()
				maps.DeleteFunc(rows, func(k RowKey, _ []byte) bool { return slices.Contains(flushed, k.DB) })
				for _, k := range dirty {
					if en, ok := r.e.Row(k); ok && !en.Evicted {
						rows[k] = en.State
						r.e.RowWritten(en.StateEntry)
					} else if !ok {
						delete(rows, k)
					}
				}
				for range rnd.IntN(10) {
					r.e.EvictStep(r.wall.NowMs())
				}
			}
		}
		checkAccounts(t, r.e)
	}
	if p.Recording && !p.EvictToDisk {
		checkReplay(t, r, seed)
	}
}

// checkReplay applies the log of r to other engines in several ways.
func checkReplay(t *testing.T, r *region, seed uint64) {
	t.Helper()
	var states []StateEntry
	for c := r.e.Export(0, 100, func(en ExportEntry) { states = append(states, en.StateEntry) }); c != 0; {
		c = r.e.Export(c, 100, func(en ExportEntry) { states = append(states, en.StateEntry) })
	}
	// Under the other mode stamps, and so CAS tokens, differ.
	p := alone()
	p.Merging = r.e.Params().Merging
	for _, newer := range []bool{false, true} {
		f := newRegion("a", r.wall, 8, modelDBs, p)
		if newer {
			if err := f.e.ApplyStates(states, r.wall.NowMs()); err != nil {
				t.Fatal(err)
			}
			f.e.SetDBMap(r.e.DBMap())
			if f.digest() != r.digest() {
				t.Fatalf("seed %d: states alone do not give the digest", seed)
			}
		}
		for range 2 {
			f.replay(t, r)
			if f.digest() != r.digest() {
				t.Fatalf("seed %d: replay gives another digest (merging %v, over newer states %v)", seed, p.Merging, newer)
			}
		}
		checkAccounts(t, f.e)
		if f.err != nil || len(f.own) > 0 {
			t.Fatal("a replay went to the sink")
		}
	}
}
