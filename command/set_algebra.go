package command

import (
	"cmp"
	"slices"

	"geocache/engine"
	"geocache/resp"
)

// Intersections, unions and differences: as replies, as numbers, and stored.

// combine calls fn for the members of a combination of sets, each once, until
// fn is false. Missing sets are nil.
type combine func(sets []*engine.Members, fn func(member []byte) bool)

func sInter(c *Ctx) { c.replySets(intersect) }
func sUnion(c *Ctx) { c.replySets(unite) }
func sDiff(c *Ctx)  { c.replySets(subtract) }

func sInterStore(c *Ctx) { c.storeSets(intersect, "sinterstore") }
func sUnionStore(c *Ctx) { c.storeSets(unite, "sunionstore") }
func sDiffStore(c *Ctx)  { c.storeSets(subtract, "sdiffstore") }

func sInterCard(c *Ctx) { c.countSets(intersect) }
func sUnionCard(c *Ctx) { c.countSets(unite) }
func sDiffCard(c *Ctx)  { c.countSets(subtract) }

// sets are the sets under keys. One of another type is an error whatever the
// result would be.
func (c *Ctx) sets(keys [][]byte) ([]*engine.Members, error) {
	sets := make([]*engine.Members, len(keys))
	for i, name := range keys {
		s, err := c.Tx.Set(engine.Key{DB: c.DB, Name: name})
		if err != nil {
			return nil, err
		}
		sets[i] = s
	}
	return sets, nil
}

func (c *Ctx) replySets(how combine) {
	sets, err := c.sets(c.Args[1:])
	if err != nil {
		c.FailWith(err)
		return
	}
	list, n := c.Out.SetLater(), 0
	how(sets, func(member []byte) bool {
		c.Out.Bulk(member)
		n++
		return true
	})
	c.Out.EndArray(list, n)
}

// countSets is SINTERCARD numkeys key ... [LIMIT n] and its kin; a limit of 0
// is none.
func (c *Ctx) countSets(how combine) {
	keys, limit, fail := c.countedSets()
	if fail != "" {
		c.Fail(fail)
		return
	}
	sets, err := c.sets(keys)
	if err != nil {
		c.FailWith(err)
		return
	}
	n := int64(0)
	how(sets, func([]byte) bool {
		n++
		return n != limit
	})
	c.Out.Int(n)
}

func (c *Ctx) countedSets() (keys [][]byte, limit int64, err resp.Error) {
	n, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok || n < 1:
		return nil, 0, resp.ErrNumKeys
	case n > int64(len(c.Args)-2):
		return nil, 0, resp.ErrTooManyKeys
	}
	for i := 2 + int(n); i < len(c.Args); i += 2 {
		if c.word(i) != "limit" || i+1 == len(c.Args) {
			return nil, 0, resp.ErrSyntax
		}
		if limit, ok = resp.ParseInt(c.Args[i+1]); !ok || limit < 0 {
			return nil, 0, resp.ErrLimitNegative
		}
	}
	return c.Args[2 : 2+n], limit, ""
}

// storeSets makes a combination the value of the key at argument 1, whatever
// was there; an empty one deletes it.
func (c *Ctx) storeSets(how combine, event string) {
	sets, err := c.sets(c.Args[2:])
	if err != nil {
		c.FailWith(err)
		return
	}
	var all gathered
	how(sets, func(member []byte) bool {
		all.add(member)
		return true
	})
	members, dst := all.list(), c.Key(1)
	c.Out.Int(int64(len(members)))
	if len(members) == 0 {
		c.deleteKey(dst)
		return
	}
	c.Tx.SetReplace(dst, members)
	c.Event(engine.EventSet, event, dst)
}

// gathered collects copies of byte strings in one piece of memory.
type gathered struct {
	bytes []byte
	ends  []int
}

func (g *gathered) add(b []byte) {
	g.bytes = append(g.bytes, b...)
	g.ends = append(g.ends, len(g.bytes))
}

// list is what was added; nothing may be added afterwards.
func (g *gathered) list() [][]byte {
	all, start := make([][]byte, len(g.ends)), 0
	for i, end := range g.ends {
		all[i] = g.bytes[start:end:end]
		start = end
	}
	return all
}

// byLen is sets, the smallest first.
func byLen(sets []*engine.Members) []*engine.Members {
	sets = slices.Clone(sets)
	slices.SortStableFunc(sets, func(a, b *engine.Members) int { return cmp.Compare(a.Len(), b.Len()) })
	return sets
}

// intersect looks the members of the smallest set up in the others.
func intersect(sets []*engine.Members, fn func(member []byte) bool) {
	sets = byLen(sets)
	sets[0].Each(func(member, _ []byte) bool {
		for _, s := range sets[1:] {
			if !s.Has(member) {
				return true
			}
		}
		return fn(member)
	})
}

// unite goes on from the largest set; of the members of the others only those
// that it lacks have to be remembered.
func unite(sets []*engine.Members, fn func(member []byte) bool) {
	sets = byLen(sets)
	largest, rest := sets[len(sets)-1], sets[:len(sets)-1]
	more := true
	largest.Each(func(member, _ []byte) bool {
		more = fn(member)
		return more
	})
	seen := map[string]struct{}{}
	for _, s := range rest {
		if !more {
			return
		}
		s.Each(func(member, _ []byte) bool {
			if _, again := seen[string(member)]; again || largest.Has(member) {
				return true
			}
			if len(rest) > 1 {
				seen[string(member)] = struct{}{}
			}
			more = fn(member)
			return more
		})
	}
}

// subtract takes the shorter way: the members of the first set are looked up in
// the others, or those of the others in the first.
func subtract(sets []*engine.Members, fn func(member []byte) bool) {
	first, rest := sets[0], byLen(sets[1:])
	total := 0
	for _, s := range rest {
		total += s.Len()
	}
	if first.Len() <= total/max(len(rest), 1) {
		first.Each(func(member, _ []byte) bool {
			for i := len(rest) - 1; i >= 0; i-- { // the largest is the likeliest
				if rest[i].Has(member) {
					return true
				}
			}
			return fn(member)
		})
		return
	}
	gone := map[string]struct{}{}
	for _, s := range rest {
		s.Each(func(member, _ []byte) bool {
			if first.Has(member) {
				gone[string(member)] = struct{}{}
			}
			return true
		})
	}
	first.Each(func(member, _ []byte) bool {
		_, skip := gone[string(member)]
		return skip || fn(member)
	})
}
