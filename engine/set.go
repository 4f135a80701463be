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
		if _, _, found := m.c.find(member); found {
			continue
		}
		el := op.Elem{Key: member}
		m.put(op.Main, el)
		m.emitPut(op.Main, el)
		added++
	}
	if added == 0 {
		return 0, nil
	}
	m.done(k)
	return added, nil
}

// SetRemove removes members and returns how many were there.
func (t *Tx) SetRemove(k Key, members ...[]byte) (removed int, err error) {
	return t.takeMembers(k, op.TypeSet, members)
}

// admitMember gives a set the form that it needs to take in one more member,
// and reports whether that changed places.
func (m *editing) admitMember(member []byte) bool {
	c, f := m.c, &m.p.Forms
	if c.form == formLarge {
		return false
	}
	_, isInt := parseInt(member)
	if c.main.Len() == 0 && c.form == formPacked && isInt && f.SetInts > 0 {
		c.form = formInts
		return true
	}
	switch {
	case c.form == formInts && isInt && c.main.Len() < f.SetInts:
		return false
	case c.form == formInts && !isInt && c.main.Len() < f.SetEntries && len(member) <= f.SetValue && m.widest() <= f.SetValue:
		m.rebuild(formPacked, func(from *content) {
			from.main.Ascend(0, func(el tree.Elem) bool {
				m.c.main.Insert(m.c.main.Len(), tree.Elem{Key: bytes.Clone(el.Key), Ext: bytes.Clone(el.Ext)})
				return true
			})
		})
		return true
	case c.form == formPacked && c.main.Len() < f.SetEntries && len(member) <= f.SetValue:
		return false
	}
	m.toLarge()
	return true
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
