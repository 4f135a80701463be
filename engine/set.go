package engine

import (
	"bytes"

	"geocache/op"
	"geocache/tree"
)

// Set is the set under k, nil for a missing key. It counts as a read.
func (t *Tx) Set(k Key) (*Members, error) { return t.members(t.collection(k, op.TypeSet)) }

// SetToEdit is Set for a command that goes on to change k: it leaves recency
// and hit counters alone.
func (t *Tx) SetToEdit(k Key) (*Members, error) { return t.members(t.present(k, op.TypeSet)) }

// SetAdd adds members and returns how many are new.
func (t *Tx) SetAdd(k Key, members ...[]byte) (added int, err error) {
	m, err := t.change(k, op.TypeSet)
	if err != nil {
		return 0, err
	}
	for _, member := range members {
		_, rank, found := m.c.find(member)
		if found {
			m.refresh(op.Elem{Key: member})
			continue
		}
		el := op.Elem{Key: member}
		m.putFound(el, tree.Elem{}, rank, false)
		m.emitPut(op.Main, el)
		added++
	}
	if added > 0 {
		m.done(k)
	}
	return added, nil
}

// SetRemove removes members and returns how many were there.
func (t *Tx) SetRemove(k Key, members ...[]byte) (removed int, err error) {
	return t.takeMembers(k, op.TypeSet, members)
}

// SetPop takes n random members out of a set, which has as many, and calls fn
// with each. It does nothing where there is no set.
func (t *Tx) SetPop(k Key, n int, fn func(member []byte)) error {
	c, err := t.present(k, op.TypeSet)
	if c == nil {
		return err
	}
	if n = min(n, c.main.Len()); n == c.main.Len() && t.Alone(k) {
		c.main.Ascend(0, func(el tree.Elem) bool {
			fn(c.memberOf(el.Key))
			return true
		})
		t.Delete(k)
		return nil
	}
	if t.trimAny(k, c, n, fn) {
		return nil
	}
	m, err := t.change(k, op.TypeSet)
	if err != nil {
		return err
	}
	var member []byte // a copy, for the op is told once the member is gone
	for range n {
		rank := t.Random(m.c.main.Len())
		el := m.c.main.At(rank)
		member = append(member[:0], m.c.memberOf(el.Key)...)
		fn(member)
		m.takeFound(el, rank)
		m.emitTake(op.Main, member)
	}
	m.done(k)
	return nil
}

// SetReplace makes a set of members, which differ and are copied, the value of
// k, whatever was there. There must be one at least.
func (t *Tx) SetReplace(k Key, members [][]byte) {
	els := make([]op.Elem, len(members))
	for i, member := range members {
		els[i].Key = member
	}
	whole := op.Coll{Type: op.TypeSet}
	whole.Elem[op.Main] = els
	t.putWhole(k, &whole, t.defaultDeadline())
}

// defaultDeadline is the deadline of a key that is made, 0 for none.
func (t *Tx) defaultDeadline() int64 {
	if t.p.DefaultTTLMs > 0 {
		return t.now + t.p.DefaultTTLMs
	}
	return 0
}

// admitMember gives a set the form that it needs to take in one more member,
// and reports whether it had that.
func (m *editing) admitMember(member []byte) bool {
	c, f := m.c, &m.p.Forms
	if c.form == formLarge {
		return true
	}
	_, isInt := parseInt(member)
	if c.main.Len() == 0 && c.form == formPacked && isInt && f.SetInts > 0 {
		c.form = formInts
		return false
	}
	switch {
	case c.form == formInts && isInt && c.main.Len() < f.SetInts:
		return true
	case c.form == formInts && !isInt && c.main.Len() < f.SetEntries && len(member) <= f.SetValue && m.widest() <= f.SetValue:
		m.rebuild(formPacked, func(from *content) {
			from.main.Ascend(0, func(el tree.Elem) bool {
				m.c.main.Insert(m.c.main.Len(), tree.Elem{Key: bytes.Clone(el.Key), Ext: bytes.Clone(el.Ext)})
				return true
			})
		})
		return false
	case c.form == formPacked && c.main.Len() < f.SetEntries && len(member) <= f.SetValue:
		return true
	}
	m.toLarge()
	return false
}

// widest is the length of the longest member of a set of integers, which is
// one of its ends.
func (m *editing) widest() int {
	n := m.c.main.Len()
	if n == 0 {
		return 0
	}
	return max(len(m.c.main.At(0).Key), len(m.c.main.At(n-1).Key))
}
