// Package rdbvalue says how the engine's values and those of Redis' files and
// DUMP payloads correspond. It owns nothing but that: package rdb does not know
// the engine, and the engine does not know Redis' formats.
//
// It must not know commands, keys or where bytes come from. It has no state and
// no locks.
package rdbvalue

import (
	"bytes"
	"slices"

	"geocache/engine"
	"geocache/op"
	"geocache/rdb"
)

// Of is the value of a key as rdb writes it: the string, or where there is one
// the collection. It aliases them and can be ranged over any number of times.
func Of(str []byte, coll *op.Coll) rdb.Value {
	if coll == nil {
		return rdb.String(str)
	}
	els := coll.Elem[op.Main]
	switch coll.Type {
	case op.TypeHash:
		return rdb.Hash{Len: len(els), MinDeadlineMs: minDeadline(els), Fields: sequence(els, field)}
	case op.TypeList:
		return rdb.List{Len: len(els), Elements: sequence(els, element)}
	case op.TypeSet:
		return rdb.Set{Len: len(els), Members: sequence(els, member)}
	case op.TypeZSet:
		return rdb.ZSet{Len: len(els), Members: highestFirst(els)}
	}
	return ofStream(coll)
}

// sequence hands over elements one at a time.
func sequence[T any](els []op.Elem, of func(*op.Elem) T) rdb.Seq[T] {
	return func(yield func(T, error) bool) {
		for i := range els {
			if !yield(of(&els[i]), nil) {
				return
			}
		}
	}
}

func element(el *op.Elem) []byte { return el.Val }

func member(el *op.Elem) []byte { return el.Key }

func field(el *op.Elem) rdb.Field {
	return rdb.Field{Name: el.Key, Value: el.Val, DeadlineMs: engine.FieldDeadline(el.Ext)}
}

func scored(el *op.Elem) rdb.Scored {
	member, score := engine.ElemScore(el)
	return rdb.Scored{Member: member, Score: score}
}

// highestFirst is the order in which Redis loads a sorted set fastest.
func highestFirst(els []op.Elem) rdb.Seq[rdb.Scored] {
	return func(yield func(rdb.Scored, error) bool) {
		for i := range slices.Backward(els) {
			if !yield(scored(&els[i]), nil) {
				return
			}
		}
	}
}

// minDeadline is the first deadline of a field, 0 for none.
func minDeadline(els []op.Elem) (ms int64) {
	for i := range els {
		if d := engine.FieldDeadline(els[i].Ext); d != 0 && (ms == 0 || d < ms) {
			ms = d
		}
	}
	return ms
}

// Coll is a value, which must not be a String, as the engine takes it in. It is
// copied. Fields whose deadline has passed at nowMs are left out; where nothing
// is left the Coll has no elements and the key no right to be. Duplicates stay:
// the engine will have fewer members then. An error is that of v's elements.
func Coll(v rdb.Value, nowMs int64) (*op.Coll, error) {
	var c op.Coll
	var err error
	els := &c.Elem[op.Main]
	switch v := v.(type) {
	case rdb.Hash:
		c.Type = op.TypeHash
		err = rdb.Each(v.Fields, func(f rdb.Field) {
			if f.DeadlineMs == 0 || f.DeadlineMs > nowMs {
				*els = append(*els, op.Elem{
					Key: bytes.Clone(f.Name), Val: bytes.Clone(f.Value), Ext: engine.AppendFieldDeadline(nil, f.DeadlineMs),
				})
			}
		})
	case rdb.List:
		c.Type = op.TypeList
		err = rdb.Each(v.Elements, func(val []byte) { *els = append(*els, op.Elem{Val: bytes.Clone(val)}) })
	case rdb.Set:
		c.Type = op.TypeSet
		err = rdb.Each(v.Members, func(m []byte) { *els = append(*els, op.Elem{Key: bytes.Clone(m)}) })
	case rdb.ZSet:
		c.Type = op.TypeZSet
		err = rdb.Each(v.Members, func(m rdb.Scored) {
			*els = append(*els, engine.ScoredElem(m.Score, m.Member))
		})
		slices.SortFunc(*els, func(a, b op.Elem) int { return bytes.Compare(a.Key, b.Key) })
	case *rdb.Stream:
		return streamColl(v)
	}
	return &c, err
}

// Expired reports whether all that Coll was given has expired: then there is no
// key.
func Expired(c *op.Coll) bool { return c.Type != op.TypeStream && len(c.Elem[op.Main]) == 0 }
