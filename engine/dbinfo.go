package engine

// This file counts databases, for INFO.

// DBInfo counts one database.
type DBInfo struct {
	Keys, Expires int
	// AvgTTLMs is an estimate of what the keys with a deadline have left, 0
	// where the expiry cycle has met none yet.
	AvgTTLMs int64
}

// DBInfos counts the databases that hold keys, by number, one shard after the
// other. It must not be called inside a tx, which has DBInfos of its own.
func (e *Engine) DBInfos() map[int]DBInfo {
	t := Tx{e: e, walk: true}
	return t.DBInfos()
}

// DBInfos counts the databases that hold keys, by number. It is a walk.
func (t *Tx) DBInfos() map[int]DBInfo {
	stored := make([]DBInfo, t.e.databases)
	var dbMap []int
	for _, s := range t.e.shards {
		unlock := t.walkLock(s)
		for i, tb := range s.dbs {
			if tb != nil {
				stored[i].Keys += tb.live
				stored[i].Expires += tb.ttls
			}
		}
		dbMap = append(dbMap[:0], t.e.dbMap...)
		unlock()
	}
	m := map[int]DBInfo{}
	for i, db := range dbMap {
		if c := stored[db]; c.Keys > 0 {
			if c.Expires > 0 {
				c.AvgTTLMs = t.e.avgTTLMs[db].Load()
			}
			m[i] = c
		}
	}
	return m
}

// ttlSample is what one visit of the expiry cycle saw of the time left.
type ttlSample struct{ sumMs, keys int64 }

func (s *ttlSample) add(deadlineMs, nowMs int64) {
	if left := deadlineMs - nowMs; left > 0 {
		s.sumMs += left
		s.keys++
	}
}

// ttlWeight is how many samples the running average remembers, as in Redis.
const ttlWeight = 50

// sampleTTL updates the running average of a stored database.
func (e *Engine) sampleTTL(db int, s ttlSample) {
	if s.keys == 0 {
		return
	}
	avg, now := e.avgTTLMs[db].Load(), s.sumMs/s.keys
	if avg != 0 {
		now = avg + (now-avg)/ttlWeight
	}
	e.avgTTLMs[db].Store(now)
}
