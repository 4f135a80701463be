package command

import (
	"fmt"
	"math"
	"testing"

	"geocache/engine"
)

func TestExpireConditions(t *testing.T) {
	for _, c := range []struct {
		options string
		present int64 // 0: none
		next    int64
		set     bool
	}{
		{"", 0, 100, true},
		{"", 100, 50, true},
		{"NX", 0, 100, true},
		{"NX", 50, 100, false},
		{"XX", 0, 100, false},
		{"XX", 50, 100, true},
		{"GT", 0, 100, false},
		{"GT", 100, 100, false},
		{"GT", 100, 101, true},
		{"GT", 100, 99, false},
		{"LT", 0, 100, true},
		{"LT", 100, 100, false},
		{"LT", 100, 101, false},
		{"LT", 100, 99, true},
		{"XX GT", 0, 100, false},
		{"XX GT", 100, 101, true},
		{"XX LT", 0, 100, false},
		{"lt xx", 100, 99, true},
		{"NX nx", 0, 100, true},
	} {
		h := newHarness(t)
		h.do("SET k v")
		want := int64(-1)
		if c.present != 0 {
			want = testStartMs + c.present
			h.do(fmt.Sprintf("PEXPIREAT k %d", want))
		}
		reply := ":0"
		if c.set {
			reply, want = ":1", testStartMs+c.next
		}
		if got := h.do(fmt.Sprintf("PEXPIRE k %d %s", c.next, c.options)); got != reply {
			t.Errorf("%+v: %s", c, got)
		}
		if got := h.do("PEXPIRETIME k"); got != fmt.Sprintf(":%d", want) {
			t.Errorf("%+v: deadline %s, want %d", c, got, want)
		}
	}
}

func TestExpireErrors(t *testing.T) {
	h := newHarness(t)
	const nx = "-ERR NX and XX, GT or LT options at the same time are not compatible"
	h.run([]step{
		{"EXPIRE nokey x foo", "-ERR Unsupported option foo"},
		{"EXPIRE nokey x NX GT LT", nx},
		{"EXPIRE nokey x NX XX", nx},
		{"EXPIRE nokey x GT LT", "-ERR GT and LT options at the same time are not compatible"},
		{"EXPIRE nokey x", "-ERR value is not an integer or out of range"},
		{"EXPIRE nokey 10", ":0"},
		{fmt.Sprintf("EXPIRE nokey %d", math.MaxInt64/1000+1), "-ERR invalid expire time in 'expire' command"},
		{fmt.Sprintf("EXPIRE nokey %d", math.MinInt64/1000-1), "-ERR invalid expire time in 'expire' command"},
		{fmt.Sprintf("EXPIRE nokey %d", int64(math.MaxInt64/1000)), "-ERR invalid expire time in 'expire' command"},
		{fmt.Sprintf("EXPIREAT nokey %d", int64(math.MaxInt64/1000)), ":0"},
		{fmt.Sprintf("EXPIREAT nokey %d", math.MaxInt64/1000+1), "-ERR invalid expire time in 'expireat' command"},
		{fmt.Sprintf("PEXPIRE nokey %d", int64(math.MaxInt64)), "-ERR invalid expire time in 'pexpire' command"},
		{fmt.Sprintf("PEXPIRE nokey %d", math.MaxInt64-testStartMs), ":0"},
		{fmt.Sprintf("PEXPIRE nokey %d", math.MaxInt64-testStartMs+1), "-ERR invalid expire time in 'pexpire' command"},
		{fmt.Sprintf("PEXPIRE nokey %d", math.MinInt64), ":0"},
		{"TTL nokey", ":-2"},
		{"PEXPIRETIME nokey", ":-2"},
		{"PERSIST nokey", ":0"},
	})
}

func TestExpireFarAndPast(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"SET k v", "+OK"},
		{fmt.Sprintf("PEXPIREAT k %d", int64(math.MaxInt64)), ":1"},
		{"PEXPIRETIME k", fmt.Sprintf(":%d", int64(math.MaxInt64))},
		{"EXPIRETIME k", fmt.Sprintf(":%d", math.MaxInt64/1000+1)},
		{"PTTL k", fmt.Sprintf(":%d", math.MaxInt64-testStartMs)},
		{"GET k", `"v"`},
		{"PERSIST k", ":1"},
		{"PERSIST k", ":0"},
	})
	for _, r := range []string{
		"EXPIRE k 0", "EXPIRE k -1", "PEXPIRE k -1", "EXPIREAT k 0", "EXPIREAT k -5", "PEXPIREAT k 0", "PEXPIREAT k " + ms(0),
		fmt.Sprintf("PEXPIRE k %d", math.MinInt64), fmt.Sprintf("PEXPIREAT k %d", math.MinInt64),
	} {
		h.run([]step{{"SET k v", "+OK"}, {r, ":1"}, {"EXISTS k", ":0"}, {"DBSIZE", ":0"}, {r, ":0"}})
	}
}

func TestTTLRounding(t *testing.T) {
	h := newHarness(t)
	h.do("SET k v")
	for left, want := range map[int64]string{1: ":0", 499: ":0", 500: ":1", 999: ":1", 1499: ":1", 1500: ":2", 10_000: ":10"} {
		h.do("PEXPIREAT k " + ms(left))
		if got := h.do("TTL k"); got != want {
			t.Errorf("TTL %d ms before the end is %s, want %s", left, got, want)
		}
	}
	h.do("PEXPIREAT k " + ms(10_000))
	h.clock.Advance(9_999)
	h.run([]step{{"PTTL k", ":1"}, {"GET k", `"v"`}})
	h.clock.Advance(1)
	h.run([]step{{"PTTL k", ":-2"}, {"GET k", "nil"}, {"EXPIRE k 10", ":0"}, {"PERSIST k", ":0"}})
}

func TestMaxTTLCapsExpire(t *testing.T) {
	h := newHarness(t)
	h.configure(func(p *engine.Params) { p.MaxTTLMs = 1000 })
	h.run([]step{
		{"SET k v", "+OK"},
		{"PTTL k", ":1000"},
		{"PEXPIRE k 5000", ":1"},
		{"PTTL k", ":1000"},
		{"PERSIST k", ":1"},
		{"PTTL k", ":1000"},
		{fmt.Sprintf("PEXPIREAT k %d", int64(math.MaxInt64)), ":1"},
		{"PTTL k", ":1000"},
		{"PEXPIRE k 10", ":1"},
		{"PTTL k", ":10"},
		{"RENAME k l", "+OK"},
		{"PTTL l", ":10"},
	})
}
