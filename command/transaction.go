package command

// transactionRows only name the work of a transaction: queueing, watching, the
// abort rules and their replies are the session's.
func transactionRows() []Row {
	return []Row{
		{
			Name: "multi", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | Control | Unqueued,
			ACL: CatTransaction, Run: func(c *Ctx) { c.Sess.BeginMulti() },
			Doc: Doc{
				Summary: "Starts a transaction: the commands that follow are queued until EXEC.",
				Since:   "1.2.0", Group: "transactions", Complexity: "O(1)",
			},
		},
		{
			Name: "exec", Arity: 1, Flags: NoScript | Loading | Stale | SkipSlowlog | Control | Unqueued | EndsMulti,
			ACL: CatTransaction, Run: func(c *Ctx) { c.Sess.Exec() },
			Doc: Doc{
				Summary: "Runs the queued commands as one, unless a watched key has changed.",
				Since:   "1.2.0", Group: "transactions", Complexity: "The sum of the queued commands' complexities.",
			},
		},
		{
			Name: "discard", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | Control | Unqueued,
			ACL: CatTransaction, Run: func(c *Ctx) { c.Sess.Discard() },
			Doc: Doc{
				Summary: "Drops the queued commands and ends the transaction.",
				Since:   "2.0.0", Group: "transactions", Complexity: "O(N), where N is the number of queued commands.",
			},
		},
		{
			Name: "watch", Arity: -2, Flags: NoScript | Loading | Stale | Fast | AllowBusy | Control | Unqueued,
			ACL: CatTransaction, Keys: []KeySpec{From(1, 1, RO)}, Run: func(c *Ctx) { c.Sess.Watch(c.Args[1:]) },
			Doc: Doc{
				Summary: "Makes the next EXEC depend on these keys staying as they are.",
				Since:   "2.2.0", Group: "transactions", Complexity: "O(1) for every key.",
				Args: []Arg{many(keyArg(0))},
			},
		},
		{
			Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | Control,
			ACL: CatTransaction, Run: unwatch,
			Doc: Doc{
				Summary: "Forgets all watched keys.",
				Since:   "2.2.0", Group: "transactions", Complexity: "O(1)",
			},
		},
	}
}

// unwatch inside MULTI is queued like any command; EXEC itself has forgotten
// the watched keys by then.
func unwatch(c *Ctx) {
	c.Sess.Unwatch()
	c.Out.OK()
}
