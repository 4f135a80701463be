package command

import (
	"geocache/engine"
	"geocache/resp"
)

// This file counts the entries that a group has read, and those it has not,
// without looking at them: from what was ever added, and only where no XDEL has
// torn a hole that may be in the way.

// holes reports whether XDEL may have taken an entry from an id on.
func holes(s *engine.Stream, from engine.StreamID) bool {
	hole := s.MaxDeletedID()
	return s.Len() > 0 && !hole.IsZero() && s.FirstID().Compare(hole) <= 0 && from.Compare(hole) <= 0
}

// everUpTo is the number of entries ever added up to an id, where that can be
// known.
func everUpTo(s *engine.Stream, id engine.StreamID) (n int64, ok bool) {
	added := int64(s.Added())
	switch {
	case added == 0:
		return 0, true
	case s.Len() == 0 && id.Compare(s.LastID()) <= 0, id == s.LastID():
		return added, true
	case id.Compare(s.LastID()) > 0:
		return 0, false
	}
	first := s.FirstID()
	if hole := s.MaxDeletedID(); !hole.IsZero() && hole.Compare(first) >= 0 {
		return 0, false
	}
	switch id.Compare(first) {
	case -1:
		return added - int64(s.Len()), true
	case 0:
		return added - int64(s.Len()) + 1, true
	}
	return 0, false
}

// advance notes that a group has been given the entry with an id.
func advance(v resp.Compat, s *engine.Stream, g *engine.StreamGroup, id engine.StreamID) {
	if id.Compare(g.Last) <= 0 {
		return
	}
	counts := !holes(s, id)
	if v != resp.Compat70 {
		counts = g.Last.Compare(s.FirstID()) >= 0 && !holes(s, g.Last)
	}
	if g.Read != engine.UnknownRead && counts {
		g.Read++
	} else if s.Added() > 0 {
		n, ok := everUpTo(s, id)
		if !ok {
			n = engine.UnknownRead
		}
		g.Read = n
	}
	g.Last = id
}

// lag is the number of entries that a group has yet to read, where that can be
// known.
func lag(v resp.Compat, s *engine.Stream, g *engine.StreamGroup) (n int64, ok bool) {
	if s.Added() == 0 {
		return 0, true
	}
	if v != resp.Compat70 {
		first := s.FirstID()
		switch {
		case s.Len() == 0:
			return 0, true
		case g.Last.Compare(first) < 0 && s.MaxDeletedID().Compare(first) < 0:
			return int64(s.Len()), true
		}
	}
	read := g.Read
	if read == engine.UnknownRead || holes(s, g.Last) {
		if read, ok = everUpTo(s, g.Last); !ok {
			return 0, false
		}
	}
	return int64(s.Added()) - read, true
}
