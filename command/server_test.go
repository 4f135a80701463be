package command

import (
	"net/netip"
	"strings"
	"testing"

	"geocache/config"
	"geocache/resp"
)

func TestTimeAndInfo(t *testing.T) {
	h, _, _ := newFake(t)
	h.run([]step{
		{"time", `["1700000000", "42"]`},
		{"time x", "-ERR wrong number of arguments for 'time' command"},
		{"info", `"[]"`},
		{"INFO Server CLIENTS", `"[\"server\" \"clients\"]"`},
	})
	h.out.SetProto(3)
	h.run([]step{{"info", `=txt:"[]"`}})
}

func TestShutdown(t *testing.T) {
	h, _, host := newFake(t)
	for _, c := range []struct{ request, asked string }{
		{"shutdown", "[shutdown {Save:0 Now:0 Force:0 Abort:0}]"},
		{"shutdown nosave", "[shutdown {Save:2 Now:0 Force:0 Abort:0}]"},
		{"shutdown SAVE now force", "[shutdown {Save:1 Now:1 Force:1 Abort:0}]"},
		{"shutdown nosave nosave", "[shutdown {Save:2 Now:0 Force:0 Abort:0}]"},
	} {
		if v := h.exec(strings.Fields(c.request)); len(v) != 0 {
			t.Errorf("%s: answers %v", c.request, v)
		}
		if have := did(&host.did); have != c.asked {
			t.Errorf("%s: %s, want %s", c.request, have, c.asked)
		}
	}
	h.run([]step{{"shutdown abort", "+OK"}, {"shutdown abort abort", "+OK"}})
	did(&host.did)
	for _, request := range []string{"shutdown save nosave", "shutdown nosave save", "shutdown abort now", "shutdown save abort", "shutdown foo"} {
		h.run([]step{{request, "-ERR syntax error"}})
	}
	if have := did(&host.did); have != "[]" {
		t.Error(have)
	}
	host.err = resp.ErrShutdownAbsent
	h.run([]step{{"shutdown abort", "-ERR No shutdown in progress."}})
	host.err = resp.ErrShutdown
	h.run([]step{{"shutdown", "-ERR Errors trying to SHUTDOWN. Check logs."}})
}

func TestDebug(t *testing.T) {
	h, s, host := newFake(t)
	refused := "-" + string(resp.DebugRefused("DEBUG", "enable-debug-command"))
	h.run([]step{{"debug sleep 0", refused}, {"debug help", refused}, {"debug", "-ERR wrong number of arguments for 'debug' command"}})

	allow := func(value string) {
		t.Helper()
		loaded, err := config.Load(config.Sources{Options: []string{"enable-debug-command " + value}, WorkingDir: "/"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.config = loaded
	}
	allow("local")
	unknown := func(sub string) string {
		return "-ERR unknown subcommand or wrong number of arguments for '" + sub + "'. Try DEBUG HELP."
	}
	h.run([]step{
		{"debug sleep 0.25", "+OK"},
		{"debug SLEEP -1", "+OK"},
		{"debug sleep x", "-ERR value is not a valid float"},
		{"debug sleep 1e300", "-ERR value is not a valid float"},
		{"debug sleep", unknown("sleep")},
		{"debug sleep 1 2", unknown("sleep")},
		{"debug set-active-expire 0", "+OK"},
		{"debug set-active-expire 1", "+OK"},
		{"debug set-active-expire x", "-ERR value is not an integer or out of range"},
		{"debug set-active-expire", unknown("set-active-expire")},
		{"debug nope", unknown("nope")},
		{"debug help x", unknown("help")},
	})
	if have := did(&s.did); have != "[sleep 250 sleep 0]" {
		t.Error(have)
	}
	if have := did(&host.did); have != "[active-expire 0 active-expire 1]" {
		t.Error(have)
	}
	if v := h.do("debug help"); !strings.Contains(v, "SLEEP <seconds>") {
		t.Error(v)
	}
	testDebugSubs(h, host, unknown)
	s.ip = netip.MustParseAddr("10.1.2.3")
	h.run([]step{{"debug sleep 0", refused}})
	allow("yes")
	h.run([]step{{"debug sleep 0", "+OK"}})
}

func testDebugSubs(h *harness, host *fakeHost, unknown func(string) string) {
	h.t.Helper()
	h.run([]step{
		{"debug reload", "+OK"},
		{"debug RELOAD nosave MERGE NoFlush", "+OK"},
		{"debug reload fast", "-ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."},
		{"debug loadaof", "+OK"},
		{"debug loadaof now", unknown("loadaof")},
		{"debug digest", "+d1"},
		{"debug digest-value a b", "[+, +]"},
		{"debug digest-value", unknown("digest-value")},
		{"debug error OOPS", "-OOPS"},
		{"debug log hello", "+OK"},
		{"debug htstats-key k", "-ERR The value stored at the specified key is not represented using an hash table"},
		{"debug htstats 99", "-ERR Out of range database"},
		{"debug htstats x", "-ERR value is not an integer or out of range"},
		{"debug populate 5", "+OK"},
		{"debug populate 5 p 3", "+OK"},
		{"debug populate -1", "-ERR value is out of range, must be positive"},
		{"debug populate 1 p 1000000000000", "-ERR value is out of range, must be positive"},
		{"debug quicklist-packed-threshold 100b", "+OK"},
		{"debug quicklist-packed-threshold 0", "+OK"},
		{"debug quicklist-packed-threshold 5gb", "-ERR argument must be a memory value bigger than 1 and smaller than 4gb"},
		{"debug quicklist-packed-threshold b", "+OK"},
		{"debug protocol integer", ":12345"},
		{"debug protocol push", "-ERR RESP2 is not supported by this command"},
		{"debug protocol true", ":1"},
		{"debug protocol nothing", "-" + string(resp.ErrProtocolType)},
	})
	if have := did(&host.did); have != "[reload {0 0 0} reload {1 1 1} loadlog log hello populate {0 5 key 0} populate {0 5 p 3}]" {
		h.t.Error(have)
	}
	if v := h.do("debug htstats 0"); !strings.Contains(v, "number of elements: 3") || !strings.Contains(v, "No stats available") {
		h.t.Error(v)
	}
	if v := h.do("debug object ab"); !strings.Contains(v, "encoding:raw serializedlength:9") || !strings.Contains(v, "lru_seconds_idle:5") {
		h.t.Error(v)
	}
	host.err = resp.ErrReload
	h.run([]step{{"debug reload", "-" + string(resp.ErrReload)}})
	h.out.Reset()
	c, _ := h.ctx("debug", "digest")
	c.InExec = On
	debug(c)
	if v := h.replies()[0]; v.String() != "-"+string(resp.ErrNotInMulti) {
		h.t.Error(v)
	}
}

func TestConfig(t *testing.T) {
	h, _, host := newFake(t)
	h.run([]step{
		{"config get maxmemory", `["maxmemory", "0"]`},
		{"config get MAXMEMORY nosuch timeout maxmemory", `["MAXMEMORY", "0", "timeout", "0"]`},
		{"config get nosuch", "[]"},
		{"config set maxmemory 1mb timeout 5", "+OK"},
		{"config get maxmemory timeout", `["maxmemory", "1048576", "timeout", "5"]`},
		{"config set timeout", "-ERR wrong number of arguments for 'config|set' command"},
		{"config set timeout 1 maxmemory", "-ERR syntax error"},
		{"config set nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
		{"config set timeout 1 nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
		{"config set timeout 1 maxmemory abc", "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value"},
		{"config set timeout 1 timeout 2", "-ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter"},
		{"config set databases 17", "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"},
		{"config set databases 16", "+OK"},
		{"config set dir /tmp", "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"},
		{"config get timeout", `["timeout", "5"]`},
		{"config resetstat", "+OK"},
		{"config rewrite", "+OK"},
		{"config get", "-ERR wrong number of arguments for 'config|get' command"},
		{"config foo", "-ERR unknown subcommand 'foo'. Try CONFIG HELP."},
	})
	if have := did(&host.did); have != "[resetstats]" {
		t.Error(have)
	}
	host.err = resp.ErrNoConfigFile
	h.run([]step{{"config rewrite", "-ERR The server is running without a config file"}})
	host.err = resp.ConfigRewriteFailed(errDisk.Error())
	h.run([]step{{"config rewrite", "-ERR Rewriting config file: no space left on device"}})

	c, _ := h.ctx("config", "set", "dir", "x")
	h.out.Reset()
	c.failConfig(&config.SetError{Kind: config.Loading, Argument: "dir"})
	c.failConfig(errDisk)
	if v := h.replies(); v[0].String() != "-"+string(resp.ErrLoading) || v[1].String() != "-ERR no space left on device" {
		t.Error(v)
	}
	h.out.SetProto(3)
	h.run([]step{{"config get timeout", `%{"timeout": "5"}`}, {"config get nosuch", "%{}"}})
}

func TestCommandInfo(t *testing.T) {
	h, _, _ := newFake(t)
	h.run([]step{
		{"command info get nosuch get|x", `[["get", :2, [+readonly, +fast], :1, :1, :1, [+@read, +@string, +@fast], [], ` +
			`[["flags", [+RO, +access], "begin_search", ["type", "index", "spec", ["index", :1]], ` +
			`"find_keys", ["type", "range", "spec", ["lastkey", :0, "keystep", :1, "limit", :0]]]], []], nil, nil]`},
		{"command info CONFIG|Get", `[["config|get", :-3, [+admin, +noscript, +loading, +stale], :0, :0, :0, ` +
			`[+@admin, +@slow, +@dangerous], [], [], []]]`},
		{"command count x", "-ERR wrong number of arguments for 'command|count' command"},
		{"command foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP."},
	})
	all := h.exec([]string{"command"})[0]
	info := h.exec([]string{"command", "info"})[0]
	count := h.exec([]string{"command", "count"})[0]
	docs := h.exec([]string{"command", "docs"})[0]
	list := h.exec([]string{"command", "list"})[0]
	n := len(h.table.Rows())
	if len(all.Elems) != n || len(info.Elems) != n || count.Int != int64(n) || len(docs.Elems) != 2*n || len(list.Elems) != n {
		t.Errorf("%d rows: COMMAND %d, INFO %d, COUNT %d, DOCS %d, LIST %d", n,
			len(all.Elems), len(info.Elems), count.Int, len(docs.Elems), len(list.Elems))
	}
	h.out.SetProto(3)
	h.run([]step{
		{"command info mset nosuch", `[["mset", :-3, ~[+write, +denyoom], :1, :-1, :2, ~[+@write, +@string, +@slow], ` +
			`~["request_policy:multi_shard", "response_policy:all_succeeded"], ` +
			`~[%{"flags": ~[+OW, +update], "begin_search": %{"type": "index", "spec": %{"index": :1}}, ` +
			`"find_keys": %{"type": "range", "spec": %{"lastkey": :-1, "keystep": :2, "limit": :0}}}], ~[]], _]`},
	})
	if v := h.do("command info client"); !strings.HasPrefix(v, `[["client", :-2, ~[], :0, :0, :0, ~[+@slow], ~[], ~[], [["client|getname", :2, `) {
		t.Error(v)
	}
}

// TestKeySpecForms shows the forms that no row has yet.
func TestKeySpecForms(t *testing.T) {
	var w resp.Writer
	w.SetProto(3)
	for _, c := range []struct {
		spec KeySpec
		want string
	}{
		{Counted(2, 1, RO|Access), `%{"flags": ~[+RO, +access], "begin_search": %{"type": "index", "spec": %{"index": :2}}, ` +
			`"find_keys": %{"type": "keynum", "spec": %{"keynumidx": :0, "firstkey": :1, "keystep": :1}}}`},
		{KeySpec{Flags: RO, Keyword: "STREAMS", Index: 1, Last: -1, Step: 1, Limit: 2},
			`%{"flags": ~[+RO], "begin_search": %{"type": "keyword", "spec": %{"keyword": "STREAMS", "startfrom": :1}}, ` +
				`"find_keys": %{"type": "range", "spec": %{"lastkey": :-1, "keystep": :1, "limit": :2}}}`},
		{KeySpec{Flags: OW | Update, Unknown: true, Notes: "why"},
			`%{"notes": "why", "flags": ~[+OW, +update], "begin_search": %{"type": "unknown", "spec": %{}}, ` +
				`"find_keys": %{"type": "unknown", "spec": %{}}}`},
	} {
		w.Reset()
		writeKeySpec(&w, &c.spec)
		v, _, err := resp.Decode(w.Bytes())
		if err != nil || v.String() != c.want {
			t.Errorf("%v\n got %s\nwant %s", err, v, c.want)
		}
	}
}

func TestCommandDocs(t *testing.T) {
	h, _, _ := newFake(t)
	h.out.SetProto(3)
	summary := func(name string) string { return h.table.Find(name).Doc.Summary }
	h.run([]step{
		{"command docs echo nosuch", `%{"echo": %{"summary": "` + summary("echo") + `", "since": "1.0.0", "group": "connection", ` +
			`"complexity": "O(1)", "arguments": [%{"name": "message", "type": "string", "display_text": "message"}]}}`},
		{"command docs nosuch", "%{}"},
		{"command docs client|unblock", `%{"client|unblock": %{"summary": "` + summary("client|unblock") + `", "since": "5.0.0", ` +
			`"group": "connection", "complexity": "O(log N) where N is the number of client connections", "arguments": [` +
			`%{"name": "client-id", "type": "integer", "display_text": "client-id"}, ` +
			`%{"name": "unblock-type", "type": "oneof", "flags": ~[+optional], "arguments": [` +
			`%{"name": "timeout", "type": "pure-token", "display_text": "timeout", "token": "TIMEOUT"}, ` +
			`%{"name": "error", "type": "pure-token", "display_text": "error", "token": "ERROR"}]}]}}`},
		{"command docs quit", `%{"quit": %{"summary": "` + summary("quit") + `", "since": "1.0.0", "group": "connection", ` +
			`"complexity": "O(1)", "doc_flags": ~[+deprecated], "deprecated_since": "7.2.0", "replaced_by": "just closing the connection"}}`},
	})
	for _, part := range []string{
		`"history": ~[["2.8.12", "Added new filter format."], `,
		`{"name": "old-format", "type": "string", "display_text": "ip:port", "deprecated_since": "2.8.12"}`,
		`{"name": "client-id", "type": "integer", "display_text": "client-id", "token": "ID", "since": "2.8.12", "flags": ~[+optional]}`,
		`{"name": "new-format", "type": "oneof", "flags": ~[+multiple], "arguments": [`,
	} {
		if v := h.do("command docs client|kill"); !strings.Contains(v, part) {
			t.Errorf("no %s in\n%s", part, v)
		}
	}
	if v := h.do("command docs config"); !strings.Contains(v, `"subcommands": %{"config|get": %{"summary": `) {
		t.Error(v)
	}
	if v := h.do("command docs get"); !strings.Contains(v, `{"name": "key", "type": "key", "display_text": "key", "key_spec_index": :0}`) {
		t.Error(v)
	}
	setCompat70(h)
	if v := h.do("command docs get"); !strings.Contains(v, `{"name": "key", "type": "key", "key_spec_index": :0}`) {
		t.Error(v)
	}
}

func TestCommandList(t *testing.T) {
	h, _, _ := newFake(t)
	h.run([]step{
		{"command list filterby module x", "[]"},
		{"command list FilterBy Pattern SETE*", `["setex"]`},
		{"command list filterby pattern config|re*", `["config|resetstat", "config|rewrite"]`},
		{"command list filterby aclcat nosuch", "[]"},
		{"command list filterby aclcat @transaction", "[]"},
		{"command list filterby foo x", "-ERR syntax error"},
		{"command list filterby pattern", "-ERR syntax error"},
		{"command list filterby pattern a b", "-ERR syntax error"},
		{"command list foo", "-ERR syntax error"},
	})
	v := h.exec([]string{"command", "list", "filterby", "aclcat", "TRANSACTION"})[0]
	if len(v.Elems) != 5 {
		t.Error(v)
	}
	if v := h.do("command list"); strings.Contains(v, "|") {
		t.Error("subcommands without a filter: ", v)
	}
}

func TestGetKeys(t *testing.T) {
	h, _, _ := newFake(t)
	h.run([]step{
		{"command getkeys get a", `["a"]`},
		{`command getkeys get ""`, `[""]`},
		{"command getkeys mset a 1 b 2", `["a", "b"]`},
		{"command getkeys del a b c", `["a", "b", "c"]`},
		{"command getkeys copy a b DB 1", `["a", "b"]`},
		{"command getkeys msetex 2 a 1 b 2 EX 5", `["a", "b"]`},
		{"command getkeys msetex 3 a 1 b 2", "-ERR Invalid arguments specified for command"},
		{"command getkeys msetex x a 1", "-ERR Invalid arguments specified for command"},
		{"command getkeys nosuch a", "-ERR Invalid command specified"},
		{"command getkeys config nosuch", "-ERR Invalid command specified"},
		{"command getkeys config get a", "-ERR The command has no key arguments"},
		{"command getkeys echo a", "-ERR The command has no key arguments"},
		{"command getkeys get a b", "-ERR Invalid number of arguments specified for command"},
		{"command getkeys", "-ERR wrong number of arguments for 'command|getkeys' command"},
		{"command getkeys get", "-ERR Invalid number of arguments specified for command"},
		{"command getkeysandflags rename a b", `[["a", [+RW, +access, +delete]], ["b", [+OW, +update]]]`},
		{"command getkeysandflags msetnx a 1 b 2", `[["a", [+OW, +insert]], ["b", [+OW, +insert]]]`},
		{"command getkeysandflags set a 1", `[["a", [+OW, +update]]]`},
		{"command getkeysandflags set a 1 EX 10 GET", `[["a", [+RW, +access, +update]]]`},
	})
	h.out.SetProto(3)
	h.run([]step{{"command getkeysandflags get a", `[["a", ~[+RO, +access]]]`}})
}

func TestHelp(t *testing.T) {
	h, _, _ := newFake(t)
	for container, want := range map[string]string{
		"client":  "+PAUSE timeout [WRITE | ALL], +    ",
		"command": "+(no subcommand), +    ",
		"config":  "+SET parameter value [parameter value ...], +    ",
		"region":  "+ADD name host:port [latitude longitude] [MERGE | EMPTY], +    ",
	} {
		v := h.do(container + " help")
		head := "[+" + strings.ToUpper(container) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, "
		if !strings.HasPrefix(v, head) || !strings.Contains(v, want) || !strings.Contains(v, "+HELP, +    "+helpSummary) {
			t.Error(v)
		}
		h.run([]step{{container + " help x", "-ERR wrong number of arguments for '" + container + "|help' command"}})
	}
}

func TestSyntax(t *testing.T) {
	table := eachRow(t, func(*Row) {})
	for name, want := range map[string]string{
		"get":          "GET key",
		"hello":        "HELLO [protover [AUTH username password] [SETNAME clientname]]",
		"client|list":  "CLIENT LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
		"client|reply": "CLIENT REPLY <ON | OFF | SKIP>",
		"command|list": "COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
		"closest":      "CLOSEST [latitude longitude | IP address] [BY <DISTANCE | RTT>] [COUNT count] [MAXLAG ms] [WITHDETAILS]",
		"client|kill":  "CLIENT KILL <ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> ...>",
	} {
		if have := table.Find(name).Syntax(); have != want {
			t.Errorf("\n got %s\nwant %s", have, want)
		}
	}
	a := Arg{Name: "x", Type: ArgString, Token: "T", Multiple: MultipleToken}
	if have := a.syntax(); have != "T x [T x ...]" {
		t.Error(have)
	}
}
