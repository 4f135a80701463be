package command

import (
	"geocache/pubsub"
	"geocache/resp"
)

// Flags that the commands of subscribers share.
const subscriberFlags = PubSub | NoScript | Loading | Stale | Control | WhileSubscribed

func pubSubRows() []Row {
	return []Row{
		subscribeRow("subscribe", "2.0.0", pubsub.Channel, "Listens to channels.", strArg("channel")),
		subscribeRow("psubscribe", "2.0.0", pubsub.Pattern, "Listens to all channels whose names match a pattern.", patternArg()),
		subscribeRow("ssubscribe", "7.0.0", pubsub.Shard, "Listens to shard channels.", strArg("shardchannel")),
		unsubscribeRow("unsubscribe", "2.0.0", pubsub.Channel, "Stops listening to channels; to all of them where none is named.", strArg("channel")),
		unsubscribeRow("punsubscribe", "2.0.0", pubsub.Pattern, "Stops listening by patterns; by all of them where none is named.", patternArg()),
		unsubscribeRow("sunsubscribe", "7.0.0", pubsub.Shard, "Stops listening to shard channels; to all of them where none is named.", strArg("shardchannel")),
		publishRow("publish", "2.0.0", pubsub.Channel, nil,
			"O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
			strArg("channel")),
		publishRow("spublish", "7.0.0", pubsub.Shard, One(NotKey),
			"O(N) where N is the number of clients subscribed to the receiving shard channel.",
			strArg("shardchannel")),
		pubSubRow(),
	}
}

func patternArg() Arg { return Arg{Name: "pattern", Type: ArgPattern} }

// shardKeys are the shard channels among the arguments: cluster clients route
// by them.
func shardKeys(k pubsub.Kind) []KeySpec {
	if k != pubsub.Shard {
		return nil
	}
	return []KeySpec{From(1, 1, NotKey)}
}

func subscribeRow(name, since string, k pubsub.Kind, summary string, what Arg) Row {
	return Row{
		Name: name, Arity: -2, Flags: subscriberFlags, Keys: shardKeys(k),
		Run: func(c *Ctx) {
			if k == pubsub.Shard && c.InExec == On {
				c.Fail(resp.ErrShardSubscribe)
				return
			}
			c.Sess.Subscribe(k, c.Args[1:])
		},
		Doc: Doc{
			Summary: summary, Since: since, Group: "pubsub",
			Complexity: "O(N) where N is the number of names.",
			Args:       []Arg{many(what)},
		},
	}
}

func unsubscribeRow(name, since string, k pubsub.Kind, summary string, what Arg) Row {
	return Row{
		Name: name, Arity: -1, Flags: subscriberFlags, Keys: shardKeys(k),
		Run: func(c *Ctx) { c.Sess.Unsubscribe(k, c.Args[1:]) },
		Doc: Doc{
			Summary: summary, Since: since, Group: "pubsub",
			Complexity: "O(N) where N is the number of names.",
			Args:       []Arg{optional(many(what))},
		},
	}
}

func publishRow(name, since string, k pubsub.Kind, keys []KeySpec, complexity string, channel Arg) Row {
	return Row{
		Name: name, Arity: 3, Flags: PubSub | Loading | Stale | Fast | MayReplicate | Control, Keys: keys,
		Run: func(c *Ctx) { c.Out.Int(int64(c.Sess.Publish(k, c.Args[1], c.Args[2]))) },
		Doc: Doc{
			Summary: "Sends a message to those who listen, and returns how many it reached.",
			Since:   since, Group: "pubsub", Complexity: complexity,
			Args: []Arg{channel, strArg("message")},
		},
	}
}

func pubSubRow() Row {
	const flags = PubSub | Loading | Stale | Control
	sub := func(name, since string, arity int, summary, complexity string, run func(*Ctx), args ...Arg) Row {
		return Row{
			Name: name, Arity: arity, Flags: flags, Run: run,
			Doc: Doc{Summary: summary, Since: since, Group: "pubsub", Complexity: complexity, Args: args},
		}
	}
	return Row{
		Name: "pubsub", Arity: -2,
		Doc: Doc{
			Summary: "A container for commands that look at subscriptions.",
			Since:   "2.8.0", Group: "pubsub", Complexity: "Depends on subcommand.",
		},
		Subs: []Row{
			sub("channels", "2.8.0", -2, "Lists the channels that have listeners by name.",
				"O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
				func(c *Ctx) { activeChannels(c, pubsub.Channel) }, optional(patternArg())),
			{
				Name: "help", Arity: 2, Flags: Loading | Stale | Control, Run: containerHelp,
				Doc: Doc{Summary: helpSummary, Since: "6.2.0", Group: "pubsub", Complexity: "O(1)"},
			},
			sub("numpat", "2.8.0", 2, "Counts the patterns that have listeners.", "O(1)",
				func(c *Ctx) { c.Out.Int(int64(c.Host.Subscriptions().Size(pubsub.Pattern))) }),
			sub("numsub", "2.8.0", -2, "Counts the listeners of channels, without those by patterns.",
				"O(N) for the NUMSUB subcommand, where N is the number of requested channels",
				func(c *Ctx) { listeners(c, pubsub.Channel) }, optional(many(strArg("channel")))),
			sub("shardchannels", "7.0.0", -2, "Lists the shard channels that have listeners.",
				"O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
				func(c *Ctx) { activeChannels(c, pubsub.Shard) }, optional(patternArg())),
			sub("shardnumsub", "7.0.0", -2, "Counts the listeners of shard channels.",
				"O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
				func(c *Ctx) { listeners(c, pubsub.Shard) }, optional(many(strArg("shardchannel")))),
		},
	}
}

func activeChannels(c *Ctx, k pubsub.Kind) {
	var pattern []byte
	switch len(c.Args) {
	case 2:
	case 3:
		pattern = c.Args[2]
	default:
		c.Fail(resp.SubcommandSyntax("pubsub", c.Args[1]))
		return
	}
	c.Out.StringArray(c.Host.Subscriptions().Active(k, pattern))
}

// listeners answers names and numbers in turn, in RESP3 too, as Redis.
func listeners(c *Ctx, k pubsub.Kind) {
	names := c.Args[2:]
	c.Out.Array(2 * len(names))
	for _, name := range names {
		c.Out.Bulk(name)
		c.Out.Int(int64(c.Host.Subscriptions().Subscribers(k, string(name))))
	}
}
