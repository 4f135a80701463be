package command

import (
	"net/netip"
	"strings"
	"testing"

	"geocache/config"
	"geocache/resp"
)

func TestPingEchoSelect(t *testing.T) {
	h, _, _ := newFake(t)
	h.run([]step{
		{"ping", "+PONG"},
		{"PING hi", `"hi"`},
		{`ping ""`, `""`},
		{"ping a b", "-ERR wrong number of arguments for 'ping' command"},
		{"echo hi", `"hi"`},
		{"select 15", "+OK"},
		{"select 16", "-ERR DB index is out of range"},
		{"select -1", "-ERR DB index is out of range"},
		{"select 2147483648", "-ERR value is out of range, value must between -2147483648 and 2147483647"},
		{"select x", "-ERR value is not an integer or out of range"},
		{"select 9223372036854775808", "-ERR value is not an integer or out of range"},
	})
	if h.db != 15 {
		t.Errorf("database %d", h.db)
	}
}

func TestQuitAndReset(t *testing.T) {
	h, s, _ := newFake(t)
	h.run([]step{{"quit now", "+OK"}})
	if have := did(&s.did); have != "[close]" {
		t.Error(have)
	}
	h.out.SetProto(3)
	h.run([]step{{"reset", "+RESET"}})
	if have := did(&s.did); have != "[reset]" || h.out.Proto() != 2 {
		t.Error(have, h.out.Proto())
	}
}

func TestAuth(t *testing.T) {
	h, s, _ := newFake(t)
	const unset = "-ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?"
	const wrong = "-WRONGPASS invalid username-password pair or user is disabled."
	h.run([]step{
		{"auth secret", unset},
		{"auth default anything", "+OK"},
		{"auth nobody x", wrong},
		{"auth a b c", "-ERR syntax error"},
		{"auth", "-ERR wrong number of arguments for 'auth' command"},
	})
	s.user, s.password = "", "secret"
	if err := h.config.Set([]config.Pair{{Name: "requirepass", Value: "secret"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	h.run([]step{{"auth wrong", wrong}, {"auth default wrong", wrong}})
	if s.Authenticated() {
		t.Error("logged in with the wrong password")
	}
	h.run([]step{{"auth secret", "+OK"}})
	if !s.Authenticated() {
		t.Error("not logged in")
	}
}

func TestHello(t *testing.T) {
	h, s, _ := newFake(t)
	const tail = `"id", :7, "mode", "standalone", "role", "master", "modules", []]`
	h.run([]step{
		{"hello", `["server", "redis", "version", "7.2.11", "proto", :2, ` + tail},
		{"hello 3", `%{"server": "redis", "version": "7.2.11", "proto": :3, "id": :7, "mode": "standalone", "role": "master", "modules": []}`},
		{"hello", `%{"server": "redis", "version": "7.2.11", "proto": :3, "id": :7, "mode": "standalone", "role": "master", "modules": []}`},
		{"hello 2 setname bob", `["server", "redis", "version", "7.2.11", "proto", :2, ` + tail},
		{"hello x", "-ERR Protocol version is not an integer or out of range"},
		{"hello 1", "-NOPROTO unsupported protocol version"},
		{"hello 4", "-NOPROTO unsupported protocol version"},
		{"hello 3 foo", "-ERR Syntax error in HELLO option 'foo'"},
		{"hello 3 auth a", "-ERR Syntax error in HELLO option 'auth'"},
		{"hello 3 setname", "-ERR Syntax error in HELLO option 'setname'"},
		{"hello 3 setname x foo", "-ERR Syntax error in HELLO option 'foo'"},
		{"hello 3 auth nobody x setname eve", "-WRONGPASS invalid username-password pair or user is disabled."},
	})
	if v := h.exec([]string{"hello", "3", "setname", "a b"})[0].String(); v != "-"+string(resp.ErrClientName) {
		t.Error(v)
	}
	if s.name != "bob" || h.out.Proto() != 2 {
		t.Errorf("a HELLO that failed left name %q, protocol %d", s.name, h.out.Proto())
	}

	s.user, s.password = "", "secret"
	h.run([]step{{"hello 3", "-" + string(resp.HelloNoAuth(resp.Compat72))}})
	if h.out.Proto() != 2 {
		t.Error("protocol changed without a login")
	}
	if v := h.do("hello 3 SETNAME x AUTH default secret"); !strings.HasPrefix(v, "%{") {
		t.Error(v)
	}
	if !s.Authenticated() || s.name != "x" {
		t.Error("not logged in and named")
	}

	setCompat70(h)
	if v := h.do("hello"); !strings.Contains(v, `"version": "7.0.15"`) {
		t.Error(v)
	}
}

// setCompat70 makes the server imitate Redis 7.0.
func setCompat70(h *harness) {
	h.t.Helper()
	h.out.SetCompat(resp.Compat70)
	if err := h.config.Set([]config.Pair{{Name: "compat-version", Value: "7.0"}}, config.Caller{}); err != nil {
		h.t.Fatal(err)
	}
}

func TestClientSelf(t *testing.T) {
	h, s, _ := newFake(t)
	h.run([]step{
		{"client id", ":7"},
		{"client getname", "nil"},
		{"client setname bob", "+OK"},
		{"client getname", `"bob"`},
		{"client info", `"id=7 name=bob\n"`},
		{`client setname ""`, "+OK"},
		{"client getname", "nil"},
		{"client setname é", "-" + string(resp.ErrClientName)},
		{"client setinfo LIB-Name redis-py(5)", "+OK"},
		{"client setinfo lib-ver 5.0", "+OK"},
		{"client setinfo foo x", "-ERR Unrecognized option 'foo'"},
		{"client setinfo lib-name é", "-ERR lib-name cannot contain spaces, newlines or special characters."},
		{"client no-evict on", "+OK"},
		{"client no-evict OFF", "+OK"},
		{"client no-evict x", "-ERR syntax error"},
		{"client no-touch On", "+OK"},
		{"client no-touch x", "-ERR syntax error"},
		{"client reply on", "+OK"},
		{"client reply x", "-ERR syntax error"},
		{"client maint_notifications on moving-endpoint-type internal-ip", "+OK"},
		{"client maint_notifications off", "+OK"},
		{"client maint_notifications maybe", "-ERR syntax error"},
		{"client maint_notifications on moving-endpoint-type", "-ERR syntax error"},
		{"client", "-ERR wrong number of arguments for 'client' command"},
		{"client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP."},
	})
	for _, mode := range []string{"off", "SKIP"} {
		if v := h.exec([]string{"client", "reply", mode}); len(v) != 0 {
			t.Errorf("CLIENT REPLY %s answers %v", mode, v)
		}
	}
	want := "[lib-name=redis-py(5) lib-ver=5.0 no-evict 1 no-evict 0 no-touch 1 reply 0 reply 1 reply 2]"
	if have := did(&s.did); have != want {
		t.Errorf("\n got %s\nwant %s", have, want)
	}
	if v := h.exec([]string{"client", "setname", "a\nb"})[0].String(); v != "-"+string(resp.ErrClientName) {
		t.Error(v)
	}
	h.out.SetProto(3)
	h.run([]step{{"client info", `=txt:"id=7 name=\n"`}, {"client getname", "_"}})
}

func TestClientListKill(t *testing.T) {
	h, _, host := newFake(t)
	for _, c := range []struct{ request, reply, asked string }{
		{"client list", `"id=7 a\nid=8 b\n"`, "list"},
		{"client list type slave", `"id=7 a\nid=8 b\n"`, "list Type:replica"},
		{"client list TYPE Normal", `"id=7 a\nid=8 b\n"`, "list Type:normal"},
		{"client list id 8 7", `"id=7 a\nid=8 b\n"`, "list IDs:8,7"},
		{"client list type foo", "-ERR Unknown client type 'foo'", ""},
		{"client list type", "-ERR syntax error", ""},
		{"client list type normal x", "-ERR syntax error", ""},
		{"client list id", "-ERR syntax error", ""},
		{"client list id x", "-ERR Invalid client ID", ""},
		{"client list id 1 x", "-ERR Invalid client ID", ""},
		{"client list foo", "-ERR syntax error", ""},

		{"client kill 1.2.3.4:5", "+OK", "kill Addr:1.2.3.4:5"},
		{"client kill id", "-ERR No such client", "kill Addr:id"},
		{"client kill id 8", ":1", "kill IDs:8 SkipMe:1"},
		{"client kill id 9 id 8", ":1", "kill IDs:8 SkipMe:1"},
		{"client kill id 9 skipme no", ":0", "kill IDs:9"},
		{"client kill skipme yes type pubsub", ":0", "kill Type:pubsub SkipMe:1"},
		{"client kill type master", ":0", "kill Type:master SkipMe:1"},
		{"client kill addr 1.2.3.4:5 laddr 6.7.8.9:10", ":1", "kill Addr:1.2.3.4:5 LAddr:6.7.8.9:10 SkipMe:1"},
		{"client kill user default maxage 100", ":0", "kill User:default MaxAgeSec:100 SkipMe:1"},
		{"client kill id x", "-ERR client-id should be greater than 0", ""},
		{"client kill id 0", "-ERR client-id should be greater than 0", ""},
		{"client kill id 8 type", "-ERR syntax error", ""},
		{"client kill type foo", "-ERR Unknown client type 'foo'", ""},
		{"client kill user nobody", "-ERR No such user 'nobody'", ""},
		{"client kill skipme x", "-ERR syntax error", ""},
		{"client kill maxage x", "-ERR maxage is not an integer or out of range", ""},
		{"client kill maxage 0", "-ERR maxage should be greater than 0", ""},
		{"client kill foo bar", "-ERR syntax error", ""},
		{"client kill", "-ERR wrong number of arguments for 'client|kill' command", ""},

		{"client pause 100", "+OK", "pause 100 1"},
		{"client pause 0 all", "+OK", "pause 0 1"},
		{"client pause 100 write", "+OK", "pause 100 0"},
		{"client pause x", "-ERR timeout is not an integer or out of range", ""},
		{"client pause -1", "-ERR timeout is negative", ""},
		{"client pause 9223372036854775807", "-ERR timeout is out of range", ""},
		{"client pause x foo", "-ERR CLIENT PAUSE mode must be WRITE or ALL", ""},
		{"client pause 1 all x", "-ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.", ""},
		{"client unpause", "+OK", "unpause"},

		{"client unblock 8", ":1", "unblock 8 0"},
		{"client unblock 9 timeout", ":0", "unblock 9 0"},
		{"client unblock 8 ERROR", ":1", "unblock 8 1"},
		{"client unblock x", "-ERR value is not an integer or out of range", ""},
		{"client unblock x foo", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR", ""},
		{"client unblock 8 error x", "-ERR unknown subcommand or wrong number of arguments for 'unblock'. Try CLIENT HELP.", ""},
	} {
		h.run([]step{{c.request, c.reply}})
		if have := strings.Trim(did(&host.did), "[]"); have != c.asked {
			t.Errorf("%s: host was asked %q, want %q", c.request, have, c.asked)
		}
	}
}

func TestCallerIsLocal(t *testing.T) {
	for ip, want := range map[string]bool{
		"": true, "127.0.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "2001:db8::1": false,
	} {
		s := &fakeSession{}
		if ip != "" {
			s.ip = netip.MustParseAddr(ip)
		}
		c := &Ctx{Sess: s}
		if c.caller().Local != want {
			t.Errorf("%q: local is %v", ip, !want)
		}
	}
}
