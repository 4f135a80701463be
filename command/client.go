package command

import (
	"math"
	"strings"

	"geocache/resp"
)

// Flags that most subcommands of CLIENT share.
const (
	clientFlags      = NoScript | Loading | Stale | Control
	clientAdminFlags = clientFlags | Admin
)

// onOff documents the argument of CLIENT NO-EVICT and its like.
func onOff(name string) Arg {
	return Arg{Name: name, Type: ArgOneOf, Args: []Arg{
		tokenArg("on"),
		tokenArg("off"),
	}}
}

func clientRow() Row {
	return Row{
		Name: "client", Arity: -2,
		Doc: Doc{
			Summary: "A container for commands about client connections.",
			Since:   "2.4.0", Group: "connection", Complexity: "Depends on subcommand.",
		},
		Subs: []Row{
			{
				Name: "getname", Arity: 2, Flags: clientFlags, ACL: CatConnection, Run: clientGetName,
				Doc: Doc{
					Summary: "Returns the name of the connection.",
					Since:   "2.6.9", Group: "connection", Complexity: "O(1)",
				},
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale | Control, ACL: CatConnection, Run: containerHelp,
				Doc: Doc{Summary: helpSummary, Since: "5.0.0", Group: "connection", Complexity: "O(1)"},
			},
			{
				Name: "id", Arity: 2, Flags: clientFlags, ACL: CatConnection, Run: clientID,
				Doc: Doc{
					Summary: "Returns the number of the connection.",
					Since:   "5.0.0", Group: "connection", Complexity: "O(1)",
				},
			},
			{
				Name: "info", Arity: 2, Flags: clientFlags, ACL: CatConnection, Run: clientInfo,
				Doc: Doc{
					Summary: "Describes the connection.",
					Since:   "6.2.0", Group: "connection", Complexity: "O(1)",
					Tips: []string{"nondeterministic_output"},
				},
			},
			clientKillRow(),
			{
				Name: "list", Arity: -2, Flags: clientAdminFlags, ACL: CatConnection, Run: clientList,
				Doc: Doc{
					Summary: "Describes all connections, or some.",
					Since:   "2.4.0", Group: "connection", Complexity: "O(N) where N is the number of client connections",
					Tips: []string{"nondeterministic_output"},
					History: []History{
						{"2.8.12", "Added unique client `id` field."},
						{"5.0.0", "Added optional `TYPE` filter."},
						{"6.0.0", "Added `user` field."},
						{"6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."},
						{"7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."},
						{"7.0.3", "Added `ssub` field."},
					},
					Args: []Arg{
						{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "5.0.0", Optional: Optional, Args: []Arg{
							tokenArg("normal"),
							tokenArg("master"),
							tokenArg("replica"),
							tokenArg("pubsub"),
						}},
						{Name: "client-id", Type: ArgInteger, Token: "ID", Since: "6.2.0", Optional: Optional, Multiple: Multiple},
					},
				},
			},
			{
				Name: "maint_notifications", Arity: -3, Flags: clientFlags, ACL: CatConnection, Run: clientMaintNotifications,
				Doc: Doc{
					Summary: "Accepts a client's wish to hear of maintenance, of which there is none to tell.",
					Since:   "8.4.0", Group: "connection", Complexity: "O(1)",
					Args: []Arg{
						onOff("enabled"),
						{Name: "parameter", Type: ArgBlock, Optional: Optional, Multiple: Multiple, Args: []Arg{
							strArg("name"),
							strArg("value"),
						}},
					},
				},
			},
			{
				Name: "no-evict", Arity: 3, Flags: clientAdminFlags, ACL: CatConnection, Run: clientNoEvict,
				Doc: Doc{
					Summary: "Exempts the connection from being closed for memory.",
					Since:   "7.0.0", Group: "connection", Complexity: "O(1)",
					Args: []Arg{onOff("enabled")},
				},
			},
			{
				Name: "no-touch", Arity: 3, Flags: clientFlags, ACL: CatConnection, Run: clientNoTouch,
				Doc: Doc{
					Summary: "Keeps the connection's commands from counting as use of the keys they read.",
					Since:   "7.2.0", Group: "connection", Complexity: "O(1)",
					Args: []Arg{onOff("enabled")},
				},
			},
			{
				Name: "pause", Arity: -3, Flags: clientAdminFlags, ACL: CatConnection, Run: clientPause,
				Doc: Doc{
					Summary: "Holds back commands of all clients for a time in milliseconds.",
					Since:   "3.0.0", Group: "connection", Complexity: "O(1)",
					History: []History{{"6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."}},
					Args: []Arg{
						intArg("timeout"),
						{Name: "mode", Type: ArgOneOf, Since: "6.2.0", Optional: Optional, Args: []Arg{
							tokenArg("write"),
							tokenArg("all"),
						}},
					},
				},
			},
			{
				Name: "reply", Arity: 3, Flags: clientFlags, ACL: CatConnection, Run: clientReply,
				Doc: Doc{
					Summary: "Chooses whether the connection gets replies.",
					Since:   "3.2.0", Group: "connection", Complexity: "O(1)",
					Args: []Arg{{Name: "action", Type: ArgOneOf, Args: []Arg{
						tokenArg("on"),
						tokenArg("off"),
						tokenArg("skip"),
					}}},
				},
			},
			{
				Name: "setinfo", Arity: 4, Flags: clientFlags, ACL: CatConnection, Run: clientSetInfo,
				Doc: Doc{
					Summary: "Notes the name or version of the client's library.",
					Since:   "7.2.0", Group: "connection", Complexity: "O(1)",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
					Args: []Arg{{Name: "attr", Type: ArgOneOf, Args: []Arg{
						{Name: "libname", Type: ArgString, Token: "LIB-NAME"},
						{Name: "libver", Type: ArgString, Token: "LIB-VER"},
					}}},
				},
			},
			{
				Name: "setname", Arity: 3, Flags: clientFlags, ACL: CatConnection, Run: clientSetName,
				Doc: Doc{
					Summary: "Names the connection.",
					Since:   "2.6.9", Group: "connection", Complexity: "O(1)",
					Tips: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
					Args: []Arg{strArg("connection-name")},
				},
			},
			{
				Name: "unblock", Arity: -3, Flags: clientAdminFlags, ACL: CatConnection, Run: clientUnblock,
				Doc: Doc{
					Summary: "Ends the wait of another connection's blocking command.",
					Since:   "5.0.0", Group: "connection", Complexity: "O(log N) where N is the number of client connections",
					Args: []Arg{
						intArg("client-id"),
						{Name: "unblock-type", Type: ArgOneOf, Optional: Optional, Args: []Arg{
							tokenArg("timeout"),
							tokenArg("error"),
						}},
					},
				},
			},
			{
				Name: "unpause", Arity: 2, Flags: clientAdminFlags, ACL: CatConnection, Run: clientUnpause,
				Doc: Doc{
					Summary: "Lets go what CLIENT PAUSE holds back.",
					Since:   "6.2.0", Group: "connection", Complexity: "O(N) Where N is the number of paused clients",
				},
			},
		},
	}
}

func clientKillRow() Row {
	return Row{
		Name: "kill", Arity: -3, Flags: clientAdminFlags, ACL: CatConnection, Run: clientKill,
		Doc: Doc{
			Summary: "Closes connections.",
			Since:   "2.4.0", Group: "connection", Complexity: "O(N) where N is the number of client connections",
			History: []History{
				{"2.8.12", "Added new filter format."},
				{"2.8.12", "`ID` option."},
				{"3.2.0", "Added `master` type in for `TYPE` option."},
				{"5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."},
				{"6.2.0", "`LADDR` option."},
				{"7.4.0", "`MAXAGE` option."},
			},
			Args: []Arg{{Name: "filter", Type: ArgOneOf, Args: []Arg{
				{Name: "old-format", Type: ArgString, Display: "ip:port", DeprecatedSince: "2.8.12"},
				{Name: "new-format", Type: ArgOneOf, Multiple: Multiple, Args: []Arg{
					{Name: "client-id", Type: ArgInteger, Token: "ID", Since: "2.8.12", Optional: Optional},
					{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "2.8.12", Optional: Optional, Args: []Arg{
						tokenArg("normal"),
						since("3.2.0", tokenArg("master")),
						tokenArg("slave"),
						since("5.0.0", tokenArg("replica")),
						tokenArg("pubsub"),
					}},
					{Name: "username", Type: ArgString, Token: "USER", Optional: Optional},
					{Name: "addr", Type: ArgString, Token: "ADDR", Display: "ip:port", Optional: Optional},
					{Name: "laddr", Type: ArgString, Token: "LADDR", Display: "ip:port", Since: "6.2.0", Optional: Optional},
					{Name: "skipme", Type: ArgOneOf, Token: "SKIPME", Optional: Optional, Args: []Arg{
						tokenArg("yes"),
						tokenArg("no"),
					}},
					{Name: "maxage", Type: ArgInteger, Token: "MAXAGE", Since: "7.4.0", Optional: Optional},
				}},
			}}},
		},
	}
}

func clientGetName(c *Ctx) {
	if name := c.Sess.Name(); name != "" {
		c.Out.BulkString(name)
		return
	}
	c.Out.Null()
}

func clientSetName(c *Ctx) {
	if !printable(c.Args[2]) {
		c.Fail(resp.ErrClientName)
		return
	}
	c.Sess.SetName(string(c.Args[2]))
	c.Out.OK()
}

func clientSetInfo(c *Ctx) {
	attribute := c.Args[2]
	if !isWord(attribute, "lib-name") && !isWord(attribute, "lib-ver") {
		c.Fail(resp.UnrecognizedOption(attribute))
		return
	}
	if !printable(c.Args[3]) {
		c.Fail(resp.ClientInfoChars(attribute))
		return
	}
	c.Sess.SetLib(strings.ToLower(string(attribute)), string(c.Args[3]))
	c.Out.OK()
}

func clientID(c *Ctx) { c.Out.Int(c.Sess.ID()) }

func clientInfo(c *Ctx) { c.Out.Verbatim("txt", c.Sess.Line()+"\n") }

func clientNoEvict(c *Ctx) { c.switchWith(c.Sess.SetNoEvict) }

func clientNoTouch(c *Ctx) { c.switchWith(c.Sess.SetNoTouch) }

// switchWith hands ON or OFF, the argument after the subcommand, to set.
func (c *Ctx) switchWith(set func(Switch)) {
	s, ok := parseSwitch(c.Args[2])
	if !ok {
		c.Fail(resp.ErrSyntax)
		return
	}
	set(s)
	c.Out.OK()
}

// clientReply answers only ON, as Redis: the other modes already apply to it.
func clientReply(c *Ctx) {
	switch mode := c.Args[2]; {
	case isWord(mode, "ON"):
		c.Sess.SetReply(ReplyOn)
		c.Out.OK()
	case isWord(mode, "OFF"):
		c.Sess.SetReply(ReplyOff)
	case isWord(mode, "SKIP"):
		c.Sess.SetReply(ReplySkip)
	default:
		c.Fail(resp.ErrSyntax)
	}
}

func clientPause(c *Ctx) {
	mode := PauseAll
	switch len(c.Args) {
	case 3:
	case 4:
		switch {
		case isWord(c.Args[3], "WRITE"):
			mode = PauseWrites
		case !isWord(c.Args[3], "ALL"):
			c.Fail(resp.ErrPauseMode)
			return
		}
	default:
		c.Fail(resp.SubcommandSyntax("client", c.Args[1]))
		return
	}
	nowMs := c.Host.NowMicros() / 1000
	ms, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Fail(resp.ErrTimeoutNotInt)
	case ms < 0:
		c.Fail(resp.ErrTimeoutNegative)
	case ms > math.MaxInt64-nowMs:
		c.Fail(resp.ErrTimeoutRange)
	default:
		c.Host.Pause(nowMs+ms, mode)
		c.Out.OK()
	}
}

func clientUnpause(c *Ctx) {
	c.Host.Unpause()
	c.Out.OK()
}

func clientUnblock(c *Ctx) {
	asError := Off
	switch len(c.Args) {
	case 3:
	case 4:
		switch {
		case isWord(c.Args[3], "ERROR"):
			asError = On
		case !isWord(c.Args[3], "TIMEOUT"):
			c.Fail(resp.ErrUnblockReason)
			return
		}
	default:
		c.Fail(resp.SubcommandSyntax("client", c.Args[1]))
		return
	}
	id, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Fail(resp.ErrNotInt)
		return
	}
	n := int64(0)
	if c.Host.Unblock(id, asError) {
		n = 1
	}
	c.Out.Int(n)
}

// clientType is the type of that name as ClientFilter spells it.
func clientType(name []byte) (canonical string, err resp.Error) {
	for _, t := range [...]string{"normal", "master", "replica", "pubsub"} {
		if isWord(name, t) {
			return t, ""
		}
	}
	if isWord(name, "slave") {
		return "replica", ""
	}
	return "", resp.UnknownClientType(name)
}

func clientList(c *Ctx) {
	f, err := listFilter(c.Args[2:])
	if err != "" {
		c.Fail(err)
		return
	}
	var b strings.Builder
	for _, line := range c.Host.ClientLines(f) {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	c.Out.Verbatim("txt", b.String())
}

func listFilter(args [][]byte) (f ClientFilter, err resp.Error) {
	switch {
	case len(args) == 0:
		return f, ""
	case len(args) == 2 && isWord(args[0], "TYPE"):
		f.Type, err = clientType(args[1])
		return f, err
	case len(args) > 1 && isWord(args[0], "ID"):
		for _, arg := range args[1:] {
			id, ok := resp.ParseInt(arg)
			if !ok {
				return f, resp.ErrInvalidClientID
			}
			f.IDs = append(f.IDs, id)
		}
		return f, ""
	}
	return f, resp.ErrSyntax
}

// clientKill knows two forms: an address alone, which may be the caller's own
// and answers OK, and filters, which spare the caller and answer a number.
func clientKill(c *Ctx) {
	if len(c.Args) == 3 {
		if c.Host.KillClients(ClientFilter{Addr: string(c.Args[2])}, c.Sess) == 0 {
			c.Fail(resp.ErrNoSuchClient)
			return
		}
		c.Out.OK()
		return
	}
	f, err := killFilter(c.Host, c.Args[2:])
	if err != "" {
		c.Fail(err)
		return
	}
	c.Out.Int(int64(c.Host.KillClients(f, c.Sess)))
}

// killFilter reads option and value pairs. Of an option given twice the last
// counts.
func killFilter(h Host, args [][]byte) (f ClientFilter, err resp.Error) {
	f.SkipMe = On
	for ; len(args) > 0; args = args[2:] {
		if len(args) < 2 {
			return f, resp.ErrSyntax
		}
		if err := f.option(h, args[0], args[1]); err != "" {
			return f, err
		}
	}
	return f, ""
}

func (f *ClientFilter) option(h Host, name, value []byte) (err resp.Error) {
	switch {
	case isWord(name, "ID"):
		id, ok := resp.ParseInt(value)
		if !ok || id < 1 {
			return resp.ErrClientIDPositive
		}
		f.IDs = []int64{id}
	case isWord(name, "MAXAGE"):
		n, ok := resp.ParseInt(value)
		if !ok {
			return resp.ErrMaxAgeNotInt
		}
		if n < 1 {
			return resp.ErrMaxAgePositive
		}
		f.MaxAgeSec = n
	case isWord(name, "TYPE"):
		f.Type, err = clientType(value)
		return err
	case isWord(name, "ADDR"):
		f.Addr = string(value)
	case isWord(name, "LADDR"):
		f.LAddr = string(value)
	case isWord(name, "USER"):
		if !h.HasUser(string(value)) {
			return resp.NoSuchUser(value)
		}
		f.User = string(value)
	case isWord(name, "SKIPME") && isWord(value, "YES"):
		f.SkipMe = On
	case isWord(name, "SKIPME") && isWord(value, "NO"):
		f.SkipMe = Off
	default:
		return resp.ErrSyntax
	}
	return ""
}

// clientMaintNotifications says yes to every parameter: clients take an error
// for a broken server, and without a maintenance event there is nothing to send.
func clientMaintNotifications(c *Ctx) {
	if _, ok := parseSwitch(c.Args[2]); !ok || len(c.Args)%2 == 0 {
		c.Fail(resp.ErrSyntax)
		return
	}
	c.Out.OK()
}
