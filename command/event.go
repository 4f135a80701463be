package command

import "geocache/engine"

// Event says what the command does to k, by Redis' name for it
// (notify-keyspace-events). Clients hear of it at commit, in the order of the
// calls.
func (c *Ctx) Event(class engine.EventClass, name string, k engine.Key) {
	c.Tx.Event(class, name, k)
}
