package sim

import (
	"fmt"
	"strings"
)

// The keys of the mixed load that hold collections. The name of most fixes their
// type.
var (
	hashes = []string{"h1", "h2", "h3"}
	sets   = []string{"s1", "s2", "s3"}
	zsets  = []string{"z1", "z2", "z3"}
	lists  = []string{"l1", "l2", "l3"}
	// Of streams the digest knows the entries and groups, not their consumers.
	streams = []string{"x1", "x2", "x3"}
	// HyperLogLogs are no collections, but have elements all the same.
	sketches = []string{"y1", "y2", "y3"}
	// Keys of any type, which regions that do not know of each other give several.
	anything = []string{"t1", "t2", "t3"}
)

// member is the name of one element: mostly one of a few that everybody uses,
// sometimes one of many, and then some are long.
func (w *world) member() string {
	if w.chance(0.7) {
		return string(rune('a' + w.rnd.IntN(5)))
	}
	n := w.rnd.IntN(40)
	if n%8 == 0 {
		return fmt.Sprint(n, strings.Repeat("-", 30))
	}
	return fmt.Sprint(n)
}

// members are one to three, at times enough to leave the compact form.
func (w *world) members() (ms []string) {
	n := 1 + w.rnd.IntN(3)
	if w.chance(0.1) {
		n = 6 + w.rnd.IntN(20)
	}
	for range n {
		ms = append(ms, w.member())
	}
	return ms
}

// pairs puts a second word to every member, before or behind it.
func pairs(ms []string, second func(m string) (a, b string)) (words []string) {
	for _, m := range ms {
		a, b := second(m)
		words = append(words, a, b)
	}
	return words
}

// collectionCommand is a command on one or two collections of one type.
func (w *world) collectionCommand() []string {
	if w.plan.sketches && w.chance(0.3) {
		return w.sketchCommand(w.pick(sketches), w.pick(sketches))
	}
	switch w.rnd.IntN(5) {
	case 0:
		return w.hashCommand(w.pick(hashes), w.pick(hashes))
	case 1:
		return w.setCommand(w.pick(sets), w.pick(sets))
	case 2:
		return w.zsetCommand(w.pick(zsets), w.pick(zsets))
	case 3:
		return w.listCommand(w.pick(lists), w.pick(lists))
	}
	return w.streamCommand(w.pick(streams), w.pick(streams))
}

// anyCommand is a command of any type on one or two keys that may be of another.
func (w *world) anyCommand() []string {
	a, b := w.pick(anything), w.pick(anything)
	switch w.rnd.IntN(8) {
	case 0:
		return w.hashCommand(a, b)
	case 1:
		return w.setCommand(a, b)
	case 2:
		return w.zsetCommand(a, b)
	case 3:
		return w.listCommand(a, b)
	case 4:
		return w.streamCommand(a, b)
	case 5:
		return []string{"DEL", a}
	}
	switch w.rnd.IntN(9) {
	case 0, 1:
		return []string{"SET", a, fmt.Sprint(w.rnd.IntN(100))}
	case 2:
		opt, v := w.when()
		return []string{"SET", a, w.value(), opt, v}
	case 3, 4:
		return []string{"INCR", a}
	case 5:
		return []string{"APPEND", a, "7"}
	case 6:
		return append([]string{"PFADD", a}, w.members()...)
	case 7:
		return []string{"PFMERGE", a, b}
	}
	return []string{"SETBIT", a, "9", "1"}
}

// streamID is an id near now, which other regions may give, too.
func (w *world) streamID() string {
	return fmt.Sprintf("%d-%d", epochMs+w.nowUs/1000/50*50, 1+w.rnd.IntN(3))
}

func (w *world) streamCommand(a, b string) []string {
	switch w.rnd.IntN(17) {
	case 15:
		return []string{"XGROUP", "DESTROY", a, "g"}
	case 16:
		return []string{"XGROUP", "SETID", a, "g", w.pick([]string{"0", "$"})}
	case 0, 1, 2:
		return []string{"XADD", a, "*", w.member(), w.member()}
	case 3, 4:
		return []string{"XADD", a, w.streamID(), w.member(), w.member()}
	case 5:
		return []string{"XADD", a, "MAXLEN", "10", "*", w.member(), w.member()}
	case 6:
		return []string{"XTRIM", a, "MAXLEN", fmt.Sprint(w.rnd.IntN(8))}
	case 7:
		return []string{"XDEL", a, w.streamID(), w.streamID()}
	case 8:
		return []string{"XTRIM", a, "MINID", w.streamID()}
	case 9:
		return []string{"XGROUP", "CREATE", a, "g", "0", "MKSTREAM"}
	case 10, 11:
		return []string{"XREADGROUP", "GROUP", "g", w.member(), "COUNT", "2", "STREAMS", a, ">"}
	case 12:
		return []string{"XACK", a, "g", w.streamID(), w.streamID()}
	case 13:
		return []string{"XRANGE", a, "-", "+"}
	}
	return w.wholeCommand(a, b)
}

// wholeCommand treats a as one thing; b is of the same type.
func (w *world) wholeCommand(a, b string) []string {
	switch w.rnd.IntN(8) {
	case 0, 1:
		return []string{"DEL", a}
	case 2:
		return []string{"RENAME", a, b}
	case 3:
		return []string{"COPY", a, b, "REPLACE"}
	case 4:
		return []string{"COPY", a, b}
	case 5:
		return []string{"PERSIST", a}
	}
	return []string{"PEXPIRE", a, fmt.Sprint(w.rnd.IntN(1500))}
}

func (w *world) hashCommand(a, b string) []string {
	switch w.rnd.IntN(12) {
	case 0, 1, 2:
		return append([]string{"HSET", a}, pairs(w.members(), func(m string) (string, string) { return m, fmt.Sprint(w.rnd.IntN(100)) })...)
	case 3, 4:
		return append([]string{"HDEL", a}, w.members()...)
	case 5, 6:
		return []string{"HINCRBY", a, w.member(), fmt.Sprint(w.rnd.IntN(20) - 5)}
	case 7:
		return []string{"HINCRBYFLOAT", a, w.member(), "0.25"}
	case 8:
		return []string{"HPEXPIRE", a, fmt.Sprint(w.rnd.IntN(1500)), "FIELDS", "2", w.member(), w.member()}
	case 9:
		return []string{w.pick([]string{"HPERSIST", "HTTL"}), a, "FIELDS", "1", w.member()}
	case 10:
		return []string{"HGETALL", a}
	}
	return w.wholeCommand(a, b)
}

func (w *world) setCommand(a, b string) []string {
	switch w.rnd.IntN(11) {
	case 0, 1, 2:
		return append([]string{"SADD", a}, w.members()...)
	case 3, 4:
		return append([]string{"SREM", a}, w.members()...)
	case 5, 6:
		return []string{"SMOVE", a, b, w.member()}
	case 7:
		return []string{"SPOP", a, fmt.Sprint(w.rnd.IntN(4))}
	case 8:
		return []string{w.pick([]string{"SUNIONSTORE", "SDIFFSTORE"}), a, a, b}
	case 9:
		return []string{"SMEMBERS", a}
	}
	return w.wholeCommand(a, b)
}

func (w *world) zsetCommand(a, b string) []string {
	switch w.rnd.IntN(11) {
	case 0, 1, 2:
		return append([]string{"ZADD", a}, pairs(w.members(), func(m string) (string, string) { return fmt.Sprint(w.rnd.IntN(100)), m })...)
	case 3, 4:
		return []string{"ZINCRBY", a, fmt.Sprint(w.rnd.IntN(9) - 3), w.member()}
	case 5, 6:
		return append([]string{"ZREM", a}, w.members()...)
	case 7:
		return []string{w.pick([]string{"ZPOPMIN", "ZPOPMAX"}), a, fmt.Sprint(1 + w.rnd.IntN(3))}
	case 8:
		return []string{"ZUNIONSTORE", a, "2", a, b}
	case 9:
		return []string{"ZRANGE", a, "0", "-1", "WITHSCORES"}
	}
	return w.wholeCommand(a, b)
}

func (w *world) sketchCommand(a, b string) []string {
	switch w.rnd.IntN(10) {
	case 0, 1, 2, 3, 4:
		return append([]string{"PFADD", a}, w.members()...)
	case 5:
		return []string{"PFMERGE", a, b}
	case 6:
		return []string{"PFCOUNT", a}
	case 7:
		return []string{"PFCOUNT", a, b}
	}
	return w.wholeCommand(a, b)
}

func (w *world) listCommand(a, b string) []string {
	side := func() string { return w.pick([]string{"LEFT", "RIGHT"}) }
	switch w.rnd.IntN(13) {
	case 0, 1:
		return append([]string{"RPUSH", a}, w.members()...)
	case 2, 3:
		return append([]string{"LPUSH", a}, w.members()...)
	case 4:
		return []string{w.pick([]string{"LPOP", "RPOP"}), a, fmt.Sprint(1 + w.rnd.IntN(3))}
	case 5, 6:
		return []string{"LINSERT", a, w.pick([]string{"BEFORE", "AFTER"}), w.member(), w.member()}
	case 7:
		return []string{"LSET", a, fmt.Sprint(w.rnd.IntN(6) - 3), w.member()}
	case 8:
		return []string{"LREM", a, fmt.Sprint(w.rnd.IntN(5) - 2), w.member()}
	case 9:
		return []string{"LTRIM", a, fmt.Sprint(w.rnd.IntN(3)), fmt.Sprint(-1 - w.rnd.IntN(3))}
	case 10:
		return []string{"LMOVE", a, b, side(), side()}
	case 11:
		return []string{"LRANGE", a, "0", "-1"}
	}
	return w.wholeCommand(a, b)
}
