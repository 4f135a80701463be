package persist

import (
	"fmt"
	"slices"
	"strings"

	"geocache/clock"
	"geocache/op"
)

// Report is what Check found.
type Report struct {
	Identity      Identity
	Clean         bool
	CheckpointPos uint64
	Vector        clock.Vector
	Rows          uint64
	RowBytes      uint64
	LogFirst      uint64 // records [LogFirst, LogEnd) are kept
	LogEnd        uint64
	LogBytes      uint64
	Members       []string // ascending
	// Problems are the first maxProblems of ProblemCount.
	Problems     []error
	ProblemCount int
}

const maxProblems = 100

func (r *Report) problem(err error) {
	r.ProblemCount++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, err)
	}
}

// Check reads the whole store and verifies every record: checksums, a log
// without gaps, decodable batches and rows, and a vector that fits the
// checkpoint position. It changes nothing. What is damaged is in the report;
// the error says that the check itself could not go on.
func Check(s Store) (Report, error) {
	var r Report
	h, err := readHead(s)
	if err != nil {
		r.problem(err)
	}
	r.Identity, r.Clean, r.CheckpointPos, r.Vector = h.identity, h.clean, h.mark.pos, h.mark.vector
	r.LogFirst, r.LogEnd, r.LogBytes = h.bounds.first, h.bounds.end, h.bounds.stored-h.bounds.dropped
	log := logChecker{report: &r}
	// Everything between the least and the greatest key that can be.
	err = walk(s, []byte{0}, []byte{0xff, 0xff}, func(key, value []byte) error {
		switch {
		case strings.HasPrefix(string(key), logPrefix):
			log.group(key, value)
		case strings.HasPrefix(string(key), rowPrefix):
			r.row(key, value)
		case strings.HasPrefix(string(key), metaPrefix):
			r.meta(string(key), value)
		default:
			r.problem(damage("unknown key", key, nil))
		}
		return nil
	})
	slices.Sort(r.Members)
	return r, err
}

func (r *Report) row(key, value []byte) {
	r.Rows++
	r.RowBytes += uint64(len(key) + len(value))
	if _, _, err := parseRowKey(key); err != nil {
		r.problem(err)
	} else if _, err := op.DecodeKeyState(value); err != nil {
		r.problem(damage("unreadable row", key, err))
	}
}

// meta checks the records that readHead did not: those with a name.
func (r *Report) meta(key string, value []byte) {
	switch key {
	case metaFormat, metaIdentity, metaClean, metaBound, metaCheckpoint, metaDBMap:
		return
	}
	var err error
	if name, ok := strings.CutPrefix(key, metaMember); ok {
		r.Members = append(r.Members, name)
		_, err = decodeRecord(key, value)
	} else if strings.HasPrefix(key, metaCursor) {
		_, err = parseRecord(key, value, decodeCursor)
	} else {
		err = damage("unknown record", []byte(key), nil)
	}
	if err != nil {
		r.problem(err)
	}
}

// logChecker follows the groups in order.
type logChecker struct {
	report *Report
	want   uint64 // position the next group must begin at, 0 before the first
	before uint64 // bytes that it must name
}

func (c *logChecker) group(key, value []byte) {
	g, err := decodeGroup(key, value)
	if err != nil {
		c.report.problem(err)
		c.want = 0
		return
	}
	if c.want != 0 && g.first != c.want {
		c.report.problem(damage(fmt.Sprintf("log record %d is missing", c.want), key, nil))
	} else if c.want != 0 && g.before != c.before {
		c.report.problem(damage(fmt.Sprintf("log group counts %d bytes before it instead of %d", g.before, c.before), key, nil))
	}
	c.want, c.before = g.last()+1, g.before+g.size
	for i, rec := range g.recs {
		c.record(g.first+uint64(i), rec)
	}
}

// record checks one batch. The checkpoint's vector covers exactly the batches
// up to its position.
func (c *logChecker) record(pos uint64, rec []byte) {
	b, err := op.ParseBatch(rec)
	if err == nil {
		err = b.Check()
	}
	if err != nil {
		c.report.problem(damage("unreadable batch", logKey(pos), err))
		return
	}
	stamp := clock.Stamp{At: b.Last(), Origin: b.Origin}
	if covered := c.report.Vector.Covers(stamp); covered != (pos <= c.report.CheckpointPos) {
		what := "batch before the checkpoint is not covered by its vector"
		if covered {
			what = "batch after the checkpoint is already covered by its vector"
		}
		c.report.problem(damage(what, logKey(pos), nil))
	}
}
