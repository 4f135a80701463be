package command

import (
	"math"

	"geocache/resp"
)

// waitRows are the commands that wait for what was written to be safe. Nothing
// acknowledges writes but this region's disk: there are no replicas.
func waitRows() []Row {
	tips := []string{"request_policy:all_shards", "response_policy:agg_min"}
	return []Row{
		{
			Name: "wait", Arity: 3, ACL: CatConnection, Run: wait,
			Doc: Doc{
				Summary: "Waits until replicas have acknowledged the connection's writes, and returns how many have.",
				Since:   "3.0.0", Group: "generic", Complexity: "O(1)", Tips: tips,
				Args: []Arg{intArg("numreplicas"), intArg("timeout")},
			},
		},
		{
			Name: "waitaof", Arity: 4, Flags: NoScript | Control, ACL: CatConnection, Run: waitAOF,
			Doc: Doc{
				Summary: "Waits until the connection's writes are on disk, here and at replicas.",
				Since:   "7.2.0", Group: "generic", Complexity: "O(1)", Tips: tips,
				Args: []Arg{intArg("numlocal"), intArg("numreplicas"), intArg("timeout")},
			},
		},
	}
}

func wait(c *Ctx) {
	want, ok := resp.ParseInt(c.Args[1])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	timeoutMs, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrTimeoutNotInt)
		return
	}
	deadline, fail := deadlineAfter(c, timeoutMs)
	if fail != "" {
		c.Fail(fail)
		return
	}
	none := func(c *Ctx) { c.Out.Int(0) }
	if want <= 0 {
		none(c)
		return
	}
	c.Block(Block{DeadlineMs: deadline, Timeout: none})
}

// waitAOF syncs the log rather than wait for its turn; only for replicas, of
// which there are none, does it wait.
func waitAOF(c *Ctx) {
	local, ok1 := resp.ParseInt(c.Args[1])
	replicas, ok2 := resp.ParseInt(c.Args[2])
	timeoutMs, ok3 := resp.ParseInt(c.Args[3])
	logged := c.Host.Config().Load().AppendOnly
	switch {
	case !ok1 || !ok2:
		c.Fail(resp.ErrNotInt)
		return
	case local < 0 || local > 1:
		c.Fail(resp.IntRange(0, 1))
		return
	case replicas < 0:
		c.Fail(resp.ErrNotPositive)
		return
	case !ok3:
		c.Fail(resp.ErrTimeoutNotInt)
		return
	case timeoutMs < 0:
		c.Fail(resp.ErrTimeoutNegative)
		return
	case local > 0 && !logged:
		c.Fail(resp.ErrWaitAppendOnly)
		return
	}
	synced := int64(0)
	if logged && c.InExec == Off {
		host := c.Host
		if _, ok := await(c, func() (struct{}, error) { return struct{}{}, host.MakeDurable() }); !ok {
			return
		}
		synced = 1
	}
	if replicas > 0 && c.InExec == Off {
		until := int64(math.MaxInt64)
		if now := c.Host.NowMicros() / 1000; timeoutMs > 0 && timeoutMs < until-now {
			until = now + timeoutMs
		}
		c.Sess.SleepUntil(until)
	}
	c.Out.Array(2)
	c.Out.Int(synced)
	c.Out.Int(0)
}
