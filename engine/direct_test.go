package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"geocache/clock"
	"geocache/lru"
	"geocache/op"
)

// directCommand is a random command about one key: what it answers is all that
// a client would hear.
func directCommand(rnd *rand.Rand, k Key) func(*Tx) string {
	val := fmt.Append(nil, rnd.IntN(2000))
	long := bytes.Repeat(val, 1+rnd.IntN(400))
	member := fmt.Append(nil, "m", rnd.IntN(300))
	end := End(rnd.IntN(2))
	n := rnd.IntN(1 << 20)
	score := float64(rnd.IntN(50))
	fields := [][]byte{member, val, fmt.Append(nil, "m", rnd.IntN(300)), long}
	many := [][]byte{member, val, long, {}}
	switch rnd.IntN(20) {
	case 0:
		exp := []Expiry{NoDeadline(), NoDeadline(), KeepDeadline(), DeadlineAt(startMs + int64(rnd.IntN(60_000)))}[rnd.IntN(4)]
		return func(t *Tx) string { t.SetString(k, val, exp); return "" }
	case 1, 2:
		return func(t *Tx) string { return fmt.Sprint(t.Incr(k, int64(n%2000-900))) }
	case 3:
		return func(t *Tx) string { return fmt.Sprint(t.Append(k, val)) }
	case 4:
		return func(t *Tx) string { return fmt.Sprint(t.SetRange(k, n%3000, val)) }
	case 5, 6:
		return func(t *Tx) string { return fmt.Sprint(t.ListPush(k, end, many[:1+n%4]...)) }
	case 7, 8, 9:
		return func(t *Tx) string {
			v, left, err := t.ListPop(k, end)
			return fmt.Sprintf("%q %v %d %v", v, v == nil, left, err)
		}
	case 10:
		return func(t *Tx) string {
			l, err := t.ListToEdit(k)
			if err != nil || l == nil {
				return fmt.Sprint(err)
			}
			at := n % l.Len()
			if n%2 == 0 {
				return fmt.Sprint(t.ListRemove(k, Span{At: at, Len: 1 + n%7*(l.Len()-1-at)/7}))
			}
			return fmt.Sprint(t.ListSet(k, at, val))
		}
	case 11, 12:
		return func(t *Tx) string {
			var ch FieldChange
			if n%8 == 0 {
				ch.DeadlineMs = startMs + 30_000
			}
			return fmt.Sprint(t.HashSet(k, fields[:2+n%2*2], ch))
		}
	case 13:
		return func(t *Tx) string { return fmt.Sprint(t.HashDelete(k, member)) }
	case 14:
		return func(t *Tx) string { return fmt.Sprint(t.SetAdd(k, many[:1+n%3]...)) }
	case 15:
		return func(t *Tx) string { return fmt.Sprint(t.SetRemove(k, member, val)) }
	case 16:
		return func(t *Tx) string { return fmt.Sprint(t.ZSetPut(k, member, score)) }
	case 17:
		return func(t *Tx) string { return fmt.Sprint(t.ZSetRemove(k, member, val)) }
	case 18:
		return func(t *Tx) string {
			if n%3 == 0 {
				return fmt.Sprint(t.Delete(k))
			}
			return fmt.Sprint(t.SetDeadline(k, startMs+int64(n%60_000)*int64(n%4/3)))
		}
	}
	return func(t *Tx) string {
		v, ok, err := t.GetString(k)
		info, _ := t.Info(k)
		enc, _ := t.Encoding(k)
		return fmt.Sprintf("%q %v %v %s %d %s", v, ok, err, info.Type, info.DeadlineMs, enc)
	}
}

// TestDirectAgrees: commands that change at once what nobody undoes leave,
// answer and log the same as others; whatever else happens to the shard between
// them, and whoever of several sessions is next.
func TestDirectAgrees(t *testing.T) {
	silent := alone()
	silent.Recording = false
	rows, busy := alone(), alone()
	rows.KeepRows = true
	busy.Policy = lru.AllkeysWTinyLFU
	small := alone()
	small.Forms = Forms{HashEntries: 8, HashValue: 32, SetInts: 8, SetEntries: 8, ListSize: -1}
	for name, p := range map[string]Params{"alone": alone(), "silent": silent, "rows": rows, "tinylfu": busy, "small": small, "merging": merging()} {
		t.Run(name, func(t *testing.T) {
			for seed := range max(12/effort, uint64(2)) {
				directAgrees(t, p, seed)
			}
		})
	}
}

func directAgrees(t *testing.T, p Params, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	direct, other := newRegion("a", clock.NewManual(startMs), 2, 2, p), newRegion("a", clock.NewManual(startMs), 2, 2, p)
	direct.e.annexFrom, other.e.annexFrom = 8<<10, 8<<10
	sessions := []*Tx{direct.tx, direct.e.NewTx(), direct.e.NewTx()}
	at := 0
	for step := range 5000 {
		if rnd.IntN(4) == 0 {
			at = rnd.IntN(len(sessions))
		}
		name := []byte{byte('a' + rnd.IntN(5))}
		if rnd.IntN(3) > 0 {
			name[0] = 'a'
		}
		k := Key{DB: rnd.IntN(8) / 7, Name: name}
		cmd := directCommand(rnd, k)
		var got, want string
		now := direct.wall.NowMs()
		if err := sessions[at].Run(Scope{Keys: []Key{k}, Sole: true}, now, func(tx *Tx) { got = cmd(tx) }); err != nil {
			t.Fatal(err)
		}
		if err := other.tx.Run(Scope{Keys: []Key{k}}, now, func(tx *Tx) { want = cmd(tx) }); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("seed %d, step %d, key %s: directly %s, else %s", seed, step, name, got, want)
		}
		disturb(direct, rand.New(rand.NewPCG(seed, uint64(step))))
		disturb(other, rand.New(rand.NewPCG(seed, uint64(step))))
		if step%50 == 0 {
			if direct.digest() != other.digest() {
				t.Fatalf("seed %d, step %d: the contents differ", seed, step)
			}
			checkAccounts(t, direct.e)
		}
	}
	same := func(a, b op.Batch) bool { return bytes.Equal(a.Raw, b.Raw) }
	if direct.err != nil || !slices.EqualFunc(direct.own, other.own, same) {
		t.Fatalf("seed %d: the logs differ, %v", seed, direct.err)
	}
	if direct.e.Changes() != other.e.Changes() {
		t.Errorf("seed %d: %d changes, else %d", seed, direct.e.Changes(), other.e.Changes())
	}
}

// disturb does to a region, now and then, what goes on beside commands.
func disturb(r *region, rnd *rand.Rand) {
	switch rnd.IntN(150) {
	case 0:
		r.wall.Advance(rnd.Int64N(3000))
	case 1:
		expireAll(r)
	case 2, 3:
		for range 20 {
			r.e.Sweep(nil)
		}
	case 4:
		r.world(func(tx *Tx) { tx.FlushDB(rnd.IntN(2)) })
	case 5:
		r.do(func(tx *Tx) { tx.Rename(key("a"), key("b")) }, "a", "b")
	case 6:
		r.do(func(tx *Tx) { tx.Delete(key("a")); panic(&NeedKeys{}) }, "a")
	case 7:
		if r.e.Params().KeepRows {
			keys, _ := r.e.TakeDirty()
			for _, k := range keys {
				if en, ok := r.e.Row(k); ok {
					r.e.RowWritten(en.StateEntry)
				}
			}
		}
	case 8:
		p := r.e.Params()
		p.DefaultTTLMs = 40_000 - p.DefaultTTLMs
		r.e.Configure(p)
	case 9:
		for c := r.e.Export(0, 10, func(ExportEntry) {}); c != 0; {
			c = r.e.Export(c, 10, func(ExportEntry) {})
		}
	}
}
