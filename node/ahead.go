package node

import (
	"geocache/engine"
	"geocache/resp"
)

// shutFor is how many readings of input pass before the keyspace's size is looked
// at again, where looking ahead was not worth it.
const shutFor = 64

// lookAhead has the engine look ahead for the requests at the front of buf, which
// come after the one that args are of, and returns the length of those. It takes
// their second words for keys, as they are of most commands; of others nothing is
// found, which costs time and nothing else. For a client that has yet to log in
// nothing is looked at.
func (s *Session) lookAhead(args [][]byte, buf []byte) (n int) {
	if s.shut > 0 {
		s.shut--
		return len(buf)
	}
	if !s.authenticated {
		return len(buf)
	}
	key, size := resp.SecondWord(buf)
	if size == 0 || len(args) > 1 && string(key) == string(args[1]) {
		return len(buf) // one key's record is found once
	}
	var room [engine.MostAhead]engine.Key
	keys, db := room[:0], int(s.pub.db.Load())
	for {
		keys = append(keys, engine.Key{DB: db, Name: key})
		n += size
		if len(keys) == cap(keys) {
			break
		}
		if key, size = resp.SecondWord(buf[n:]); size == 0 {
			n = len(buf)
			break
		}
	}
	if !s.n.engine.LookAhead(keys) {
		s.shut = shutFor
	}
	return n
}
