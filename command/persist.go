package command

import "geocache/resp"

// Replies of commands that only begin something.
const (
	saveStarted      = "Background saving started"
	saveScheduled    = "Background saving scheduled"
	rewriteStarted   = "Background append only file rewriting started"
	rewriteScheduled = "Background append only file rewriting scheduled"
)

func persistRows() []Row {
	return []Row{
		{
			Name: "save", Arity: 1, Flags: Admin | NoScript | NoMulti | NoAsyncLoading | Control, Run: save,
			Doc: Doc{
				Summary: "Writes all data to the snapshot file and replies when it is there. Unlike in Redis other connections go on meanwhile.",
				Since:   "1.0.0", Group: "server", Complexity: "O(N) where N is the total number of keys in all databases",
			},
		},
		{
			Name: "bgsave", Arity: -1, Flags: Admin | NoScript | NoAsyncLoading | Control, Run: bgsave,
			Doc: Doc{
				Summary: "Writes the data of this moment to the snapshot file in the background.",
				Since:   "1.0.0", Group: "server", Complexity: "O(1)",
				History: []History{{"3.2.2", "Added the `SCHEDULE` option."}},
				Args:    []Arg{since("3.2.2", optional(tokenArg("schedule")))},
			},
		},
		{
			Name: "lastsave", Arity: 1, Flags: Loading | Stale | Fast | Control, ACL: CatAdmin | CatDangerous, Run: lastsave,
			Doc: Doc{
				Summary: "Returns the Unix time of the last snapshot that was completed.",
				Since:   "1.0.0", Group: "server", Complexity: "O(1)",
				Tips: []string{"nondeterministic_output"},
			},
		},
		{
			Name: "bgrewriteaof", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading | Control, Run: bgrewriteaof,
			Doc: Doc{
				Summary: "Starts a checkpoint, after which the log on disk is short. Without a log it does nothing.",
				Since:   "1.0.0", Group: "server", Complexity: "O(1)",
			},
		},
	}
}

func save(c *Ctx) { awaitOK(c, c.Host.Save) }

// bgsave takes the snapshot before it replies, as Redis forks then, so that
// what a client sends next is not in it; inside EXEC, which holds locks, soon
// after.
func bgsave(c *Ctx) {
	if len(c.Args) > 2 || len(c.Args) == 2 && !isWord(c.Args[1], "SCHEDULE") {
		c.Fail(resp.ErrSyntax)
		return
	}
	when, reply := SaveNow, saveStarted
	if c.InExec == On {
		when, reply = SaveLater, saveScheduled
	}
	begin(c, c.Host.SaveInBackground(when), reply)
}

func lastsave(c *Ctx) { c.Out.Int(c.Host.LastSaveMs() / 1000) }

func bgrewriteaof(c *Ctx) {
	reply := rewriteStarted
	if c.InExec == On {
		reply = rewriteScheduled
	}
	begin(c, c.Host.RewriteLog(), reply)
}

func begin(c *Ctx, err error, reply string) {
	if err != nil {
		c.FailWith(err)
		return
	}
	c.Out.SimpleString(reply)
}
