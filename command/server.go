package command

import (
	"strconv"
	"strings"

	"geocache/config"
	"geocache/resp"
)

func serverRows() []Row {
	return []Row{
		commandRow(),
		configRow(),
		debugRow(),
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
	switch done, _, err := c.Sess.Await(func() (any, error) { return nil, host.Shutdown(m) }); {
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
