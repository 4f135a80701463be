package command

import (
	"testing"

	"geocache/resp"
)

func TestPersist(t *testing.T) {
	for _, c := range []struct {
		words  []string
		inExec Switch
		err    error
		want   string
		did    string
	}{
		{[]string{"save"}, Off, nil, "+OK\r\n", "[save]"},
		{[]string{"save"}, Off, resp.ErrNoReason, "-ERR\r\n", "[save]"},
		{[]string{"bgsave"}, Off, nil, "+Background saving started\r\n", "[bgsave 0]"},
		{[]string{"bgsave", "Schedule"}, Off, nil, "+Background saving started\r\n", "[bgsave 0]"},
		{[]string{"bgsave"}, On, nil, "+Background saving scheduled\r\n", "[bgsave 1]"},
		{[]string{"bgsave"}, Off, resp.ErrSaveRunning, "-ERR Background save already in progress\r\n", "[bgsave 0]"},
		{[]string{"bgsave", "x"}, Off, nil, "-ERR syntax error\r\n", "[]"},
		{[]string{"bgsave", "schedule", "x"}, Off, nil, "-ERR syntax error\r\n", "[]"},
		{[]string{"lastsave"}, Off, nil, ":1700000000\r\n", "[]"},
		{[]string{"bgrewriteaof"}, Off, nil, "+Background append only file rewriting started\r\n", "[rewrite]"},
		{[]string{"bgrewriteaof"}, On, nil, "+Background append only file rewriting scheduled\r\n", "[rewrite]"},
		{[]string{"bgrewriteaof"}, Off, resp.ErrRewriteRunning, "-ERR Background append only file rewriting already in progress\r\n", "[rewrite]"},
	} {
		h, _, host := newFake(t)
		host.err = c.err
		ctx, fail := h.ctx(c.words...)
		if fail != "" {
			t.Fatal(c.words, fail)
		}
		ctx.InExec = c.inExec
		ctx.Row.Run(ctx)
		if have := string(h.out.Bytes()); have != c.want {
			t.Errorf("%q: %q, want %q", c.words, have, c.want)
		}
		if have := did(&host.did); have != c.did {
			t.Errorf("%q did %s, want %s", c.words, have, c.did)
		}
	}
}
