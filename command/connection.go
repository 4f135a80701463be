package command

import (
	"bytes"
	"math"

	"geocache/config"
	"geocache/resp"
)

func connectionRows() []Row {
	return []Row{
		{
			Name: "auth", Arity: -2, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | Control,
			ACL: CatConnection, Run: auth,
			Doc: Doc{
				Summary: "Logs the connection in.",
				Since:   "1.0.0", Group: "connection", Complexity: "O(N) where N is the number of passwords defined for the user",
				History: []History{{"6.0.0", "Added ACL style (username and password)."}},
				Args: []Arg{
					{Name: "username", Type: ArgString, Since: "6.0.0", Optional: Optional},
					strArg("password"),
				},
			},
		},
		clientRow(),
		{
			Name: "echo", Arity: 2, Flags: Loading | Stale | Fast | Control,
			ACL: CatConnection, Run: echo,
			Doc: Doc{
				Summary: "Answers with its argument.",
				Since:   "1.0.0", Group: "connection", Complexity: "O(1)",
				Args: []Arg{strArg("message")},
			},
		},
		{
			Name: "hello", Arity: -1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | Control,
			ACL: CatConnection, Run: hello,
			Doc: Doc{
				Summary: "Greets the server: chooses the protocol, and may log in and name the connection.",
				Since:   "6.0.0", Group: "connection", Complexity: "O(1)",
				History: []History{{"6.2.0", "`protover` made optional; when called without arguments the command reports the current connection's context."}},
				Args: []Arg{{Name: "arguments", Type: ArgBlock, Optional: Optional, Args: []Arg{
					intArg("protover"),
					{Name: "auth", Type: ArgBlock, Token: "AUTH", Optional: Optional, Args: []Arg{
						strArg("username"),
						strArg("password"),
					}},
					{Name: "clientname", Type: ArgString, Token: "SETNAME", Optional: Optional},
				}}},
			},
		},
		{
			Name: "ping", Arity: -1, Flags: Fast | Control | WhileSubscribed,
			ACL: CatConnection, Run: ping,
			Doc: Doc{
				Summary: "Answers PONG, or its argument: shows that the server lives.",
				Since:   "1.0.0", Group: "connection", Complexity: "O(1)",
				Tips: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
				Args: []Arg{optional(strArg("message"))},
			},
		},
		{
			Name: "quit", Arity: -1, Flags: AllowBusy | NoScript | Loading | Stale | Fast | NoAuth | Control | WhileSubscribed | Unqueued,
			ACL: CatConnection, Run: quit,
			Doc: Doc{
				Summary: "Closes the connection once its replies have left.",
				Since:   "1.0.0", Group: "connection", Complexity: "O(1)",
				DeprecatedSince: "7.2.0", ReplacedBy: "just closing the connection",
			},
		},
		{
			Name: "reset", Arity: 1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy | Control | WhileSubscribed | Unqueued,
			ACL: CatConnection, Run: reset,
			Doc: Doc{
				Summary: "Makes the connection as it was when it was new.",
				Since:   "6.2.0", Group: "connection", Complexity: "O(1)",
			},
		},
		{
			Name: "select", Arity: 2, Flags: Loading | Stale | Fast | Control,
			ACL: CatConnection, Run: selectDB,
			Doc: Doc{
				Summary: "Chooses the connection's database.",
				Since:   "1.0.0", Group: "connection", Complexity: "O(1)",
				Args: []Arg{intArg("index")},
			},
		},
	}
}

func ping(c *Ctx) {
	switch {
	case len(c.Args) > 2:
		c.Fail(resp.WrongArity(c.Row.FullName()))
	case c.Sess.OnlyListens():
		c.Out.Array(2)
		c.Out.BulkString("pong")
		c.Out.Bulk(bytes.Join(c.Args[1:], nil))
	case len(c.Args) == 1:
		c.Out.SimpleString("PONG")
	default:
		c.Out.Bulk(c.Args[1])
	}
}

func echo(c *Ctx) { c.Out.Bulk(c.Args[1]) }

func quit(c *Ctx) {
	c.Out.OK()
	c.Sess.CloseAfterReply()
}

func reset(c *Ctx) {
	c.Sess.Reset()
	c.Out.SimpleString("RESET")
}

func selectDB(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok:
		c.Fail(resp.ErrNotInt)
	case n < math.MinInt32 || n > math.MaxInt32:
		c.Fail(resp.ErrNotInt32)
	case n < 0 || n >= int64(c.Host.Config().Load().Databases):
		c.Fail(resp.ErrDBRange)
	default:
		c.Sess.SelectDB(int(n))
		c.Out.OK()
	}
}

// defaultUser is who AUTH with a password alone means.
const defaultUser = "default"

func auth(c *Ctx) {
	user, password := []byte(defaultUser), c.Args[1]
	switch len(c.Args) {
	case 2:
		if c.Host.Config().Load().RequirePass == "" {
			c.Fail(resp.ErrAuthNoPassword)
			return
		}
	case 3:
		user, password = c.Args[1], c.Args[2]
	default:
		c.Fail(resp.ErrSyntax)
		return
	}
	if err := c.Sess.Authenticate(user, password); err != nil {
		c.FailWith(err)
		return
	}
	c.Out.OK()
}

// greeting is what a HELLO asks for.
type greeting struct {
	proto          int // 0: as it is
	login          Switch
	user, password []byte
	rename         Switch
	name           []byte
}

// parseHello reads everything before anything is done, as Redis does: a wrong
// option leaves the session as it was.
func parseHello(args [][]byte) (g greeting, err resp.Error) {
	if len(args) == 0 {
		return g, ""
	}
	n, ok := resp.ParseInt(args[0])
	switch {
	case !ok:
		return g, resp.ErrProtoNotInt
	case n < 2 || n > 3:
		return g, resp.ErrNoProto
	}
	g.proto = int(n)
	for args = args[1:]; len(args) > 0; {
		switch {
		case isWord(args[0], "AUTH") && len(args) > 2:
			g.login, g.user, g.password = On, args[1], args[2]
			args = args[3:]
		case isWord(args[0], "SETNAME") && len(args) > 1:
			g.rename, g.name = On, args[1]
			if !printable(g.name) {
				return g, resp.ErrClientName
			}
			args = args[2:]
		default:
			return g, resp.HelloSyntax(args[0])
		}
	}
	return g, ""
}

func hello(c *Ctx) {
	g, bad := parseHello(c.Args[1:])
	if bad != "" {
		c.Fail(bad)
		return
	}
	if g.login == On {
		if err := c.Sess.Authenticate(g.user, g.password); err != nil {
			c.FailWith(err)
			return
		}
	}
	if !c.Sess.Authenticated() {
		c.Fail(resp.HelloNoAuth(c.Out.Compat()))
		return
	}
	if g.rename == On {
		c.Sess.SetName(string(g.name))
	}
	if g.proto != 0 {
		c.Sess.SetProto(g.proto)
	}
	c.Out.Map(7)
	c.Out.BulkString("server")
	c.Out.BulkString("redis")
	c.Out.BulkString("version")
	c.Out.BulkString(RedisVersion(c.Host.Config().Load().Compat))
	c.Out.BulkString("proto")
	c.Out.Int(int64(c.Sess.Proto()))
	c.Out.BulkString("id")
	c.Out.Int(c.Sess.ID())
	c.Out.BulkString("mode")
	c.Out.BulkString("standalone")
	c.Out.BulkString("role")
	c.Out.BulkString("master")
	c.Out.BulkString("modules")
	c.Out.Array(0)
}

// RedisVersion is the release that HELLO and INFO name: the last of the series
// that compat-version imitates.
func RedisVersion(compat config.Compat) string {
	if compat == config.Compat70 {
		return "7.0.15"
	}
	return "7.2.11"
}
