package node

import (
	"net/netip"

	"geocache/command"
	"geocache/resp"
)

// This file is what handlers may do to the session that runs them
// (command.Session).

// ID implements command.Session.
func (s *Session) ID() int64 { return s.id }

// Proto implements command.Session.
func (s *Session) Proto() int { return s.out.Proto() }

// SetProto implements command.Session.
func (s *Session) SetProto(v int) {
	s.out.SetProto(v)
	s.pub.proto.Store(int32(v))
}

// DB implements command.Session.
func (s *Session) DB() int { return int(s.pub.db.Load()) }

// SelectDB implements command.Session.
func (s *Session) SelectDB(db int) { s.pub.db.Store(int32(db)) }

// Name implements command.Session.
func (s *Session) Name() string {
	s.pub.mu.Lock()
	defer s.pub.mu.Unlock()
	return s.pub.mu.name
}

// SetName implements command.Session.
func (s *Session) SetName(name string) {
	s.pub.mu.Lock()
	defer s.pub.mu.Unlock()
	s.pub.mu.name = name
}

// SetLib implements command.Session.
func (s *Session) SetLib(attribute, value string) {
	s.pub.mu.Lock()
	defer s.pub.mu.Unlock()
	if attribute == "lib-name" {
		s.pub.mu.libName = value
	} else {
		s.pub.mu.libVer = value
	}
}

// Authenticate implements command.Session. The only user is the default one,
// with requirepass as its password; without one any password will do.
func (s *Session) Authenticate(user, password []byte) error {
	want := s.n.conf.Load().RequirePass
	if string(user) != defaultUser || want != "" && !equalConstantTime(password, want) {
		s.n.stats.authFailures.Add(1)
		return resp.ErrWrongPass
	}
	s.authenticated = true
	s.setLimits()
	return nil
}

// equalConstantTime compares without telling by its duration where the two
// differ.
func equalConstantTime(a []byte, b string) bool {
	diff := len(a) ^ len(b)
	for i := range a {
		c := byte(0)
		if i < len(b) {
			c = b[i]
		}
		diff |= int(a[i] ^ c)
	}
	return diff == 0
}

// Authenticated implements command.Session.
func (s *Session) Authenticated() bool { return s.authenticated }

// SetNoEvict implements command.Session.
func (s *Session) SetNoEvict(v command.Switch) { s.pub.noEvict.Store(v == command.On) }

// SetNoTouch implements command.Session.
func (s *Session) SetNoTouch(v command.Switch) {
	s.noTouch = v == command.On
	s.pub.noTouch.Store(s.noTouch)
}

// SetReply implements command.Session.
func (s *Session) SetReply(m command.ReplyMode) {
	switch m {
	case command.ReplySkip:
		if s.replyMode != command.ReplyOff {
			s.skipReplies = 2 // this one, which says nothing, and the next
		}
	default:
		s.replyMode = m
		s.skipReplies = 0
	}
}

// CloseAfterReply implements command.Session.
func (s *Session) CloseAfterReply() { s.closing = true }

// Reset implements command.Session: the connection as it was at first.
func (s *Session) Reset() {
	s.discard()
	s.unsubscribeAll()
	s.SetProto(2)
	s.SelectDB(0)
	s.SetName("")
	s.SetNoEvict(command.Off)
	s.SetNoTouch(command.Off)
	s.SetReply(command.ReplyOn)
	s.authenticated = s.n.conf.Load().RequirePass == ""
	s.setLimits()
}

// IP implements command.Session.
func (s *Session) IP() netip.Addr {
	ap, err := netip.ParseAddrPort(s.info.Remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// awaited is how Await's work ended.
type awaited struct {
	result any
	err    error
}

// Await implements command.Session.
func (s *Session) Await(work func() (any, error)) (done bool, result any, err error) {
	if a := s.awaited; a != nil {
		s.awaited = nil
		return true, a.result, a.err
	}
	s.parked = parkFetching
	s.pub.blocked.Store(true)
	s.fetching.Store(true)
	s.n.opts.Spawn(func() {
		result, err := work()
		s.awaited = &awaited{result, err}
		s.fetching.Store(false)
		s.wake()
	})
	return false, nil, nil
}

// SleepUntil implements command.Session.
func (s *Session) SleepUntil(unixMs int64) { s.sleepUntilMs = unixMs }
