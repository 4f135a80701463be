package node

import "testing"

// TestTurnsOfStoppedThreads: a turn is the time in which its thread ran, where
// that is known.
func TestTurnsOfStoppedThreads(t *testing.T) {
	var now ThreadUse
	n := &Node{opts: Options{Thread: func() ThreadUse { return now }}}
	for _, c := range []struct {
		name         string
		stint, end   ThreadUse
		at, from, to int64
		want         int64
	}{
		{"stopped", ThreadUse{7, 100}, ThreadUse{7, 1300}, 1000, 1100, 9100, 1200},
		{"busy", ThreadUse{7, 100}, ThreadUse{7, 9100}, 1000, 1100, 9100, 8000},
		{"another thread", ThreadUse{7, 100}, ThreadUse{8, 200}, 1000, 1100, 9100, 8000},
		{"not known", ThreadUse{}, ThreadUse{}, 1000, 1100, 9100, 8000},
		{"stint within the turn", ThreadUse{7, 100}, ThreadUse{7, 200}, 1200, 1100, 9100, 8000},
		{"short", ThreadUse{7, 100}, ThreadUse{7, 101}, 1000, 1100, 1200, 100},
	} {
		var st stints
		now = c.stint
		st.keep(n, c.at)
		now = ThreadUse{ID: 99}
		st.keep(n, c.at+stintMicros-1) // the stint is young enough
		now = c.end
		n.stats.resetTurns()
		st.note(n, evictTurn, c.from, c.to)
		if got, elapsed := n.stats.turns.longest(), n.stats.elapsed.longest(); got != c.want || elapsed != c.to-c.from {
			t.Errorf("%s: %d microseconds of %d, want %d of %d", c.name, got, elapsed, c.want, c.to-c.from)
		}
	}
	none, st := &Node{}, stints{}
	st.keep(none, 1000)
	st.note(none, evictTurn, 1000, 5000)
	if got := none.stats.turns.longest(); got != 4000 {
		t.Errorf("without knowledge of threads a turn of 4000 microseconds reads %d", got)
	}
}
