package command

import (
	"fmt"
	"strings"
	"testing"

	"geocache/engine"
	"geocache/resp"
)

func TestZAdd(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"zadd z 1 a 2 b", ":2"},
		{"zadd z 1 a 3 b 4 c", ":1"},
		{"zadd z ch 1 a 5 b 6 d", ":2"},
		{"zrange z 0 -1 withscores", `["a", "1", "c", "4", "b", "5", "d", "6"]`},
		{"zadd z nx 9 a 9 e", ":1"},
		{"zadd z xx 9 a 9 f", ":0"},
		{"zadd z gt ch 1 a 10 a", ":1"},
		{"zadd z lt ch 11 a", ":0"},
		{"zadd z gt ch 1 g", ":1"},
		{"zadd z incr 2.5 g", `"3.5"`},
		{"zadd z lt incr 1 g", "nil"},
		{"zadd z nx incr 1 g", "nil"},
		{"zadd none xx 1 a", ":0"},
		{"exists none", ":0"},
		{"zincrby z inf g", `"inf"`},
		{"zincrby z -inf g", "-" + string(resp.ErrScoreNaN)},
		{"zadd z incr 1 a 2 b", "-" + string(resp.ErrZAddIncr)},
		{"zadd z nx xx 1 a", "-" + string(resp.ErrZAddNXXX)},
		{"zadd z gt lt 1 a", "-" + string(resp.ErrZAddCompare)},
		{"zadd z nx gt 1 a", "-" + string(resp.ErrZAddCompare)},
		{"zadd z 1 a x b", "-" + string(resp.ErrNotFloat)},
		{"zadd z nx", "-" + string(resp.WrongArity("zadd"))},
		{"zadd z nx ch", "-" + string(resp.ErrSyntax)},
		{"set s x", "+OK"},
		{"zadd s 1 a", "-" + string(resp.ErrWrongType)},
		{"zincrby s x a", "-" + string(resp.ErrNotFloat)},
	})
}

// TestZAddUnchanged sees that what changes nothing leaves no batch.
func TestZAddUnchanged(t *testing.T) {
	h := newHarness(t)
	h.do("zadd z 1 a 2 b")
	n := len(h.log)
	for _, request := range []string{
		"zadd z 1 a", "zadd z nx 5 a", "zadd z xx 5 c", "zadd z gt 1 a", "zincrby z 0 a", "zrem z none",
		"zremrangebyrank z 5 9", "zremrangebyscore z 5 9", "zpopmin z 0", "zmpop 1 none min",
	} {
		if h.do(request); len(h.log) != n {
			t.Errorf("%s: a batch of %d ops", request, h.log[len(h.log)-1])
		}
	}
}

func TestZRank(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"zadd z 1 a 2 b 2 c", ":3"},
		{"zrank z c", ":2"},
		{"zrevrank z c", ":0"},
		{"zrank z none", "nil"},
		{"zrank none a", "nil"},
		{"zrank z b withscore", `[:1, "2"]`},
		{"zrank z none withscore", "*nil"},
		{"zrank z b withscores", "-" + string(resp.ErrSyntax)},
		{"zrank z b withscore x", "-" + string(resp.ErrSyntax)},
	})
	h.out.SetProto(3)
	h.run([]step{{"zrevrank z b withscore", "[:1, ,2]"}, {"zrank z none withscore", "_"}})
}

// TestZRangeForms asks for the same members in all the ways there are, with a
// small form and a large one.
func TestZRangeForms(t *testing.T) {
	for _, entries := range []int{0, 100} {
		h := newHarness(t)
		h.configure(func(p *engine.Params) { p.Forms.ZSetEntries, p.Forms.ZSetValue = entries, 64 })
		for i := range 50 {
			h.do(fmt.Sprintf("zadd z %d m%02d", i, i))
			h.do(fmt.Sprintf("zadd names 0 m%02d", i))
		}
		up, down := `["m10", "m11"]`, `["m11", "m10"]`
		for request, want := range map[string]string{
			"zrange z 10 11":                               up,
			"zrange z -40 -39":                             up,
			"zrange z 38 39 rev":                           down,
			"zrevrange z 38 39":                            down,
			"zrange z 10 11 byscore":                       up,
			"zrange z (9 (12 byscore":                      up,
			"zrange z 11 10 byscore rev":                   down,
			"zrange z -inf +inf byscore limit 10 2":        up,
			"zrangebyscore z 9.5 11.5":                     up,
			"zrangebyscore z 10 inf limit 0 2":             up,
			"zrevrangebyscore z 11 (9":                     down,
			"zrevrangebyscore z 13 -inf limit 2 2":         down,
			"zrange names [m10 [m11 bylex":                 up,
			"zrange names (m09 (m12 bylex":                 up,
			"zrange names [m11 [m10 bylex rev":             down,
			"zrangebylex names (m09 + limit 0 2":           up,
			"zrevrangebylex names (m12 - limit 0 2":        down,
			"zrange names - + bylex limit 10 2":            up,
			"zrange z 20 10":                               "[]",
			"zrange z 50 60":                               "[]",
			"zrangebyscore z 10 11 limit 2 5":              "[]",
			"zrangebyscore z 10 11 limit -1 5":             "[]",
			"zrangebyscore z 10 11 limit 0 0":              "[]",
			"zcount z 10 (12":                              ":2",
			"zlexcount names [m10 (m12":                    ":2",
			"zcount z 12 10":                               ":0",
			"zrange z 10 11 byscore withscores limit 1 -1": `["m11", "11"]`,
			"zrange z 0 1 limit 0 1":                       "-" + string(resp.ErrLimitOfRanks),
			"zrange z - + bylex withscores":                "-" + string(resp.ErrWithScoresByName),
			"zrange z a b":                                 "-" + string(resp.ErrNotInt),
			"zrange z a b byscore":                         "-" + string(resp.ErrScoreRange),
			"zrange z a b bylex":                           "-" + string(resp.ErrNameRange),
			"zrange z 0 1 byscore bylex":                   "-" + string(resp.ErrSyntax),
			"zrevrange z 0 1 rev":                          "-" + string(resp.ErrSyntax),
		} {
			if got := h.do(request); got != want {
				t.Errorf("up to %d entries: %s\n got %s\nwant %s", entries, request, got, want)
			}
		}
		h.run([]step{
			{"zrangestore d z 10 12", ":3"},
			{"zrange d 0 -1 withscores", `["m10", "10", "m11", "11", "m12", "12"]`},
			{"zremrangebyrank z 0 9", ":10"},
			{"zremrangebyscore z (20 +inf", ":29"},
			{"zremrangebylex names [m05 +", ":45"},
			{"zcard z", ":11"},
			{"zcard names", ":5"},
			{"zrank z m15", ":5"},
			{"zrangestore d z 20 30", ":0"},
			{"exists d", ":0"},
		})
	}
}

func TestZPopShapes(t *testing.T) {
	h := newHarness(t)
	h.do("zadd z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h")
	h.run([]step{
		{"zpopmin z", `["a", "1"]`},
		{"zpopmax z 2", `["h", "8", "g", "7"]`},
		{"zmpop 2 none z min count 2", `["z", [["b", "2"], ["c", "3"]]]`},
		{"bzpopmax none z 0", `["z", "f", "6"]`},
		{"zmpop 1 none max", "*nil"},
		{"zpopmin none", "[]"},
	})
	h.out.SetProto(3)
	h.run([]step{
		{"zpopmin z", `["d", ,4]`},
		{"zpopmin z 5", `[["e", ,5]]`},
		{"exists z", ":0"},
		{"zpopmin z 1", "[]"},
		{"zmpop 1 z min", "_"},
	})
}

// TestBZPopWaits looks at what a command that found nothing asks for.
func TestBZPopWaits(t *testing.T) {
	h := newHarness(t)
	c, _ := h.ctx("bzmpop", "0.5", "2", "a", "b", "min")
	if err := h.tx.Run(engine.Scope{Keys: c.Scope(nil)}, h.clock.NowMs(), func(*engine.Tx) { c.Row.Run(c) }); err != nil {
		t.Fatal(err)
	}
	b := c.TakeBlock()
	if b == nil || len(b.Keys) != 2 || b.Type != engine.TypeZSet || b.DeadlineMs != testStartMs+500 {
		t.Fatalf("waits for %+v", b)
	}
	b.Timeout(c)
	if got := h.out.Bytes(); string(got) != "*-1\r\n" {
		t.Errorf("timeout replies %q", got)
	}
}

func TestZCombine(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"zadd a 1 x 2 y 3 z", ":3"},
		{"zadd b 10 y 20 z 30 w", ":3"},
		{"sadd s y v", ":2"},
		{"zunion 2 a b withscores", `["x", "1", "y", "12", "z", "23", "w", "30"]`},
		{"zunion 2 a s weights 2 10 aggregate max withscores", `["x", "2", "z", "6", "v", "10", "y", "10"]`},
		{"zinter 2 a b aggregate min withscores", `["y", "2", "z", "3"]`},
		{"zinter 2 s b withscores", `["y", "11"]`},
		{"zdiff 2 a b withscores", `["x", "1"]`},
		{"zdiff 2 a none", `["x", "y", "z"]`},
		{"zintercard 2 a b", ":2"},
		{"zintercard 2 a b limit 1", ":1"},
		{"zintercard 2 a none", ":0"},
		{"zunionstore a 2 a b", ":4"},
		{"zinterstore d 2 a b weights 0 1", ":3"},
		{"zrange d 0 -1 withscores", `["y", "10", "z", "20", "w", "30"]`},
		{"zdiffstore d 2 a a", ":0"},
		{"exists d", ":0"},
		{"zunion 0 a", "-" + string(resp.NoInputKeys("zunion"))},
		{"zunion 3 a b", "-" + string(resp.ErrSyntax)},
		{"zdiff 2 a b weights 1 1", "-" + string(resp.ErrSyntax)},
		{"zunionstore d 1 a withscores", "-" + string(resp.ErrSyntax)},
		{"zintercard 1 a limit -1", "-" + string(resp.ErrLimitNegative)},
		{"zunion 1 a weights x", "-" + string(resp.ErrWeight)},
	})
}

// TestZSetDocs reads a few syntaxes as the manual prints them.
func TestZSetDocs(t *testing.T) {
	h := newHarness(t)
	for name, want := range map[string]string{
		"zadd":     "ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
		"zrange":   "ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
		"zunion":   "ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]",
		"bzpopmin": "BZPOPMIN key [key ...] timeout",
	} {
		if got := h.table.Find(name).Syntax(); !strings.EqualFold(got, want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
}
