package command

import (
	"math"
	"strconv"
	"strings"

	"geocache/config"
	"geocache/resp"
)

func serverRows() []Row {
	return []Row{
		commandRow(),
		configRow(),
		{
			Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading | Stale | Control, Run: debug,
			Doc: Doc{
				Summary: "A container for commands that help to test a server.",
				Since:   "1.0.0", Group: "server", Complexity: "Depends on subcommand.",
			},
		},
		{
			Name: "info", Arity: -1, Flags: Loading | Stale | Walk, ACL: CatDangerous, Run: info,
			Doc: Doc{
				Summary: "Describes the server and what it did, in sections of fields.",
				Since:   "1.0.0", Group: "server", Complexity: "O(1)",
				Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
				History: []History{{"7.0.0", "Added support for taking multiple section arguments."}},
				Args:    []Arg{optional(many(strArg("section")))},
			},
		},
		{
			Name: "shutdown", Arity: -1, Flags: Admin | NoScript | Loading | Stale | NoMulti | AllowBusy | Control, Run: shutdown,
			Doc: Doc{
				Summary: "Writes what is not on disk yet and ends the server.",
				Since:   "1.0.0", Group: "server",
				Complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
				History:    []History{{"7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."}},
				Args: []Arg{
					{Name: "save-selector", Type: ArgOneOf, Optional: Optional, Args: []Arg{
						tokenArg("nosave"),
						tokenArg("save"),
					}},
					since("7.0.0", optional(tokenArg("now"))),
					since("7.0.0", optional(tokenArg("force"))),
					since("7.0.0", optional(tokenArg("abort"))),
				},
			},
		},
		{
			Name: "time", Arity: 1, Flags: Loading | Stale | Fast | Control, Run: timeOfDay,
			Doc: Doc{
				Summary: "Returns the server's time: Unix seconds, and the microseconds of the present one.",
				Since:   "2.6.0", Group: "server", Complexity: "O(1)",
				Tips: []string{"nondeterministic_output"},
			},
		},
	}
}

func timeOfDay(c *Ctx) {
	us := c.Host.NowMicros()
	c.Out.Array(2)
	c.Out.BulkString(strconv.FormatInt(us/1e6, 10))
	c.Out.BulkString(strconv.FormatInt(us%1e6, 10))
}

func info(c *Ctx) {
	var sections []string
	for _, arg := range c.Args[1:] {
		sections = append(sections, strings.ToLower(string(arg)))
	}
	c.Out.Verbatim("txt", c.Host.Info(sections, c.Tx.DBInfos))
}

// shutdown leaves no reply where the server ends.
func shutdown(c *Ctx) {
	m, ok := parseShutdown(c.Args[1:])
	if !ok {
		c.Fail(resp.ErrSyntax)
		return
	}
	host := c.Host // c is another command's by the time the work begins
	switch done, err := c.Sess.Await(func() error { return host.Shutdown(m) }); {
	case !done:
	case err != nil:
		c.FailWith(err)
	case m.Abort == On:
		c.Out.OK()
	}
}

func parseShutdown(args [][]byte) (m ShutdownMode, ok bool) {
	save, nosave := false, false
	for _, arg := range args {
		switch {
		case isWord(arg, "SAVE"):
			save, m.Save = true, Yes
		case isWord(arg, "NOSAVE"):
			nosave, m.Save = true, No
		case isWord(arg, "NOW"):
			m.Now = On
		case isWord(arg, "FORCE"):
			m.Force = On
		case isWord(arg, "ABORT"):
			m.Abort = On
		default:
			return m, false
		}
	}
	alone := ShutdownMode{Abort: On}
	return m, !(save && nosave) && (m.Abort == Off || m == alone)
}

// caller is the session as configuration sees it. Redis too takes a unix socket
// and the loopback addresses for local.
func (c *Ctx) caller() config.Caller {
	ip := c.Sess.IP()
	return config.Caller{Local: !ip.IsValid() || ip.Unmap().IsLoopback()}
}

// maxSleepSec bounds DEBUG SLEEP, so that its end can be told in milliseconds.
const maxSleepSec = 1 << 31

// debug is one row, as in Redis: its subcommands are no commands of their own.
// SLEEP parks the session that asks and, unlike Redis, nobody else.
func debug(c *Ctx) {
	if !c.Host.Config().Load().EnableDebugCommand.Allows(c.caller()) {
		c.Fail(resp.DebugRefused("DEBUG", "enable-debug-command"))
		return
	}
	switch sub := c.Args[1]; {
	case isWord(sub, "HELP") && len(c.Args) == 2:
		c.Out.Help([]string{
			"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
			"SET-ACTIVE-EXPIRE <0|1>",
			helpIndent + "Leave expired keys that nobody reads where they are, or reclaim them again.",
			"SLEEP <seconds>",
			helpIndent + "Make this connection wait. Fractions are good.",
			"HELP",
			helpIndent + helpSummary,
		})
	case isWord(sub, "SLEEP") && len(c.Args) == 3:
		sec, ok := resp.ParseFloat(c.Args[2])
		if !ok || sec > maxSleepSec {
			c.Fail(resp.ErrNotFloat)
			return
		}
		c.Sess.SleepUntil(c.Host.NowMicros()/1000 + int64(math.Ceil(max(sec, 0)*1000)))
		c.Out.OK()
	case isWord(sub, "SET-ACTIVE-EXPIRE") && len(c.Args) == 3:
		n, ok := resp.ParseInt(c.Args[2])
		if !ok {
			c.Fail(resp.ErrNotInt)
			return
		}
		s := On
		if n == 0 {
			s = Off
		}
		c.Host.SetActiveExpire(s)
		c.Out.OK()
	default:
		c.Fail(resp.SubcommandSyntax("debug", sub))
	}
}
