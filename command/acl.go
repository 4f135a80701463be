package command

// ACL categories, by Redis' names. Those that follow from flags and groups are
// added when COMMAND asks (see Categories).
const (
	CatKeyspace ACL = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
	CatReplication
)

var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
	"replication",
}

// Categories is the row's full set of ACL categories: the explicit ones and
// those that Redis derives from flags.
func (r *Row) Categories() ACL {
	a := r.ACL
	if r.Has(Write) {
		a |= CatWrite
	}
	if r.Has(ReadOnly) && r.ACL&CatScripting == 0 {
		a |= CatRead
	}
	if r.Has(Admin) {
		a |= CatAdmin | CatDangerous
	}
	if r.Has(PubSub) {
		a |= CatPubSub
	}
	if r.Has(Blocking) {
		a |= CatBlocking
	}
	if r.Has(Replication) {
		a |= CatReplication
	}
	if r.Has(Fast) {
		a |= CatFast
	} else {
		a |= CatSlow
	}
	return a
}

// Names lists the categories in Redis' order.
func (a ACL) Names() []string {
	var ns []string
	for i, n := range categoryNames {
		if a&(1<<i) != 0 {
			ns = append(ns, n)
		}
	}
	return ns
}
