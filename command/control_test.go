package command

import (
	"strings"
	"testing"

	"geocache/resp"
)

// FuzzControl sends words to the commands that touch no data: whatever stands
// there, the reply is well formed. Words are split at spaces.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{
		"closest 1 2 count 3 withdetails by rtt maxlag 5", "closest ip ::1", "closest 0",
		"region add a b:1 1 2 merge", "region info x", "region frame a b",
		"client kill id 8 skipme no maxage 5 type slave", "client list id 1 2", "client pause 9223372036854775807 all",
		"client unblock 1 error", "client setinfo lib-name x", "client reply skip", "client maint_notifications on a b",
		"hello 3 auth default x setname y", "auth a b", "select 3",
		"command getkeys msetex 3 a b", "command getkeysandflags set a b get", "command docs client|kill",
		"command list filterby pattern [a-", "command info config", "config set a b c", "config get [", "config set save 900",
		"debug sleep 1e400", "shutdown nosave now", "info everything",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h, s, host := newFake(t)
		s.password = "secret"
		host.regions.answers = []ClosestAnswer{{Name: "a", Endpoint: "b:1", DistanceKm: -1}}
		words := strings.Split(line, " ")
		c, fail := h.ctx(words...)
		if fail != "" || !c.Row.Has(Control) || c.Row.Doc.Group == "transactions" {
			return
		}
		for _, proto := range []int{2, 3} {
			h.out.Reset()
			h.out.SetProto(proto)
			c.Tx = nil
			c.Row.Run(c)
			for b := h.out.Bytes(); len(b) > 0; {
				_, n, err := resp.Decode(b)
				if err != nil || n == 0 {
					t.Fatalf("%q in protocol %d: %v in %q", words, proto, err, b)
				}
				b = b[n:]
			}
		}
	})
}
