package command

import (
	"errors"

	"geocache/config"
	"geocache/resp"
)

const configFlags = Admin | NoScript | Loading | Stale | Control

func configRow() Row {
	tips := []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	return Row{
		Name: "config", Arity: -2,
		Doc: Doc{
			Summary: "A container for commands about the server's configuration.",
			Since:   "2.0.0", Group: "server", Complexity: "Depends on subcommand.",
		},
		Subs: []Row{
			{
				Name: "get", Arity: -3, Flags: configFlags, Run: configGet,
				Doc: Doc{
					Summary: "Returns the parameters whose names match.",
					Since:   "2.0.0", Group: "server", Complexity: "O(N) when N is the number of configuration parameters provided",
					History: []History{{"7.0.0", "Added the ability to pass multiple pattern parameters in one call"}},
					Args: []Arg{{Name: "parameter", Type: ArgBlock, Multiple: Multiple, Args: []Arg{
						strArg("parameter"),
					}}},
				},
			},
			{
				Name: "help", Arity: 2, Flags: Loading | Stale | Control, Run: containerHelp,
				Doc: Doc{Summary: helpSummary, Since: "5.0.0", Group: "server", Complexity: "O(1)"},
			},
			{
				Name: "resetstat", Arity: 2, Flags: configFlags, Run: configResetStat,
				Doc: Doc{
					Summary: "Sets the counters that INFO shows back to zero.",
					Since:   "2.0.0", Group: "server", Complexity: "O(1)",
					Tips: tips,
				},
			},
			{
				Name: "rewrite", Arity: 2, Flags: configFlags, Run: configRewrite,
				Doc: Doc{
					Summary: "Writes the present parameters to the configuration file.",
					Since:   "2.8.0", Group: "server", Complexity: "O(1)",
					Tips: tips,
				},
			},
			{
				Name: "set", Arity: -4, Flags: configFlags | World, Run: configSet,
				Doc: Doc{
					Summary: "Sets parameters: all of those given, or none.",
					Since:   "2.0.0", Group: "server", Complexity: "O(N) when N is the number of configuration parameters provided",
					Tips:    tips,
					History: []History{{"7.0.0", "Added the ability to set multiple parameters in one call."}},
					Args: []Arg{{Name: "data", Type: ArgBlock, Multiple: Multiple, Args: []Arg{
						strArg("parameter"),
						strArg("value"),
					}}},
				},
			},
		},
	}
}

func configGet(c *Ctx) {
	var patterns []string
	for _, arg := range c.Args[2:] {
		patterns = append(patterns, string(arg))
	}
	pairs := c.Host.Config().Get(patterns)
	c.Out.Map(len(pairs))
	for _, p := range pairs {
		c.Out.BulkString(p.Name)
		c.Out.BulkString(p.Value)
	}
}

func configSet(c *Ctx) {
	words := c.Args[2:]
	if len(words)%2 != 0 {
		c.Fail(resp.ErrSyntax)
		return
	}
	var pairs []config.Pair
	for ; len(words) > 0; words = words[2:] {
		pairs = append(pairs, config.Pair{Name: string(words[0]), Value: string(words[1])})
	}
	if err := c.Host.ConfigSet(pairs, c.caller(), c.InExec); err != nil {
		c.failConfig(err)
		return
	}
	c.Out.OK()
}

// failConfig replies with why CONFIG SET changed nothing.
func (c *Ctx) failConfig(err error) {
	var refused *config.SetError
	if !errors.As(err, &refused) {
		c.FailWith(err)
		return
	}
	switch refused.Kind {
	case config.Unknown:
		c.Fail(resp.ConfigUnknown(refused.Argument))
	case config.Loading:
		c.Fail(resp.ErrLoading)
	default:
		c.Fail(resp.ConfigSetFailed(refused.Argument, refused.Reason))
	}
}

func configRewrite(c *Ctx) {
	if err := c.Host.ConfigRewrite(); err != nil {
		c.FailWith(err)
		return
	}
	c.Out.OK()
}

func configResetStat(c *Ctx) {
	c.Host.ResetStats()
	c.Out.OK()
}
