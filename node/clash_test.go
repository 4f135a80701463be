package node

import (
	"log/slog"
	"strings"
	"testing"

	"geocache/clock"
	"geocache/engine"
	"geocache/op"
)

// TestKeyOfTwoTypes: a key that a sibling gave another type is told of, and when
// the last sibling leaves, what was hidden goes.
func TestKeyOfTwoTypes(t *testing.T) {
	r := newRig(t, "appendonly no", "region here", "sibling there 127.0.0.1:1")
	var log strings.Builder
	r.log = slog.New(slog.NewTextHandler(&log, nil))
	r.want(":1", "SADD k a")
	there := clock.NewOrigin("there", 1)
	b := op.Builder{Origin: there}
	b.Put(0, []byte("k"), op.TypeHash, op.Main, op.Elem{Key: []byte("f"), Val: []byte("v")}, op.Seen{})
	r.wall.Advance(2000)
	h := op.Header{Origin: there, First: clock.ReadingAt(r.wall.NowMs()), Count: b.Len()}
	batch, err := op.ParseBatch(op.AppendBatch(nil, h, b.Body()))
	if err == nil {
		err = r.engine.Apply(batch, engine.FromSibling, r.wall.NowMs())
	}
	if err != nil {
		t.Fatal(err)
	}
	r.want("+hash", "TYPE k")
	r.Tick()
	r.Tick()
	if n := strings.Count(log.String(), "key=k shown=hash keys=1"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
	if info := r.do("INFO regions"); !strings.Contains(info, "conflicts_types:1\r\n") {
		t.Error(info)
	}
	r.want("+OK", "REGION REMOVE there")
	r.want(":1", "HDEL k f")
	r.want("+none", "TYPE k")
}
