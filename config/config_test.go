package config

import (
	"errors"
	"flag"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write redis.conf.example and docs/CONFIG.md")

// memFiles is a file system in a map.
type memFiles map[string]string

func (m memFiles) ReadFile(name string) (string, error) {
	text, ok := m[name]
	if !ok {
		return "", errors.New("No such file or directory")
	}
	return text, nil
}

func (m memFiles) Glob(pattern string) ([]string, error) {
	var names []string
	for name := range m {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func loadText(text string) (*Config, error) {
	return Load(Sources{File: "c", WorkingDir: "/w"}, memFiles{"c": text})
}

func mustLoad(t *testing.T, text string) *Config {
	t.Helper()
	c, err := loadText(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func one(t *testing.T, c *Config, name string) string {
	t.Helper()
	pairs := c.Get([]string{name})
	if len(pairs) != 1 {
		t.Fatalf("CONFIG GET %s: %v", name, pairs)
	}
	return pairs[0].Value
}

func TestGenerated(t *testing.T) {
	for file, want := range map[string]string{"../redis.conf.example": Example(), "../docs/CONFIG.md": Docs()} {
		if *update {
			if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the table generates (%v): run go test ./config -update", file, err)
		}
	}
}

func TestExampleLoads(t *testing.T) {
	text := Example()
	c := mustLoad(t, text)
	if got := one(t, c, "bind"); got != "127.0.0.1 -::1" {
		t.Errorf("bind %q", got)
	}
	// With every commented default taken literally nothing changes but what has
	// an example of its own.
	_, rows, _ := strings.Cut(text, "\n####")
	var all strings.Builder
	for line := range strings.SplitSeq(rows, "\n") {
		bare := strings.TrimPrefix(line, "# ")
		if args, ok := splitArgs(bare); ok && len(args) > 1 && args[0] == strings.ToLower(args[0]) && c.table.lookup(args[0]) != nil {
			all.WriteString(bare + "\n")
		}
	}
	d := mustLoad(t, all.String())
	for _, p := range d.table.params {
		got, want := p.value.get(d.Load()), p.value.get(c.Load())
		if p.Example == "" && got != want {
			t.Errorf("%s: example loads as %q, default is %q", p.Name, got, want)
		}
	}
}

func TestEveryRedisParameterIsKnown(t *testing.T) {
	c := New()
	raw, err := os.ReadFile("testdata/redis72.txt")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{ // deliberate differences
		"appendonly": "yes", "dir": ".", "bind": "* -::*",
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
		name, want, _ := strings.Cut(line, "\t")
		if own, ok := ours[name]; ok {
			want = own
		}
		pairs := c.Get([]string{name})
		if len(pairs) != 1 || pairs[0].Value != want {
			t.Errorf("%s: %v, Redis has %q", name, pairs, want)
		}
	}
}

func TestSplitArgs(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
		ok   bool
	}{
		{`a  b`, []string{"a", "b"}, true},
		{`a "b c" 'd e'`, []string{"a", "b c", "d e"}, true},
		{`"\x41\n\"\q" '\'\n'`, []string{"A\n\"q", `'\n`}, true},
		{`"\x1"`, []string{"x1"}, true},
		{"\"\\x\x10\x11\"", []string{"x\x10\x11"}, true},
		{`a"b c"`, []string{"ab c"}, true},
		{`""`, []string{""}, true},
		{`"a"b`, nil, false},
		{`"a`, nil, false},
		{`'a`, nil, false},
		{`"a\`, nil, false},
		{``, nil, true},
	} {
		got, ok := splitArgs(tt.line)
		if ok != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q %v", tt.line, got, ok)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for _, tt := range []struct{ line, reason string }{
		{"foo bar", reasonDirective},
		{"port", reasonArgs},
		{"port 1 2", reasonArgs},
		{"port abc", reasonInteger},
		{"port 010", reasonInteger},
		{"port 99999999", "argument must be between 0 and 65535 inclusive"},
		{`port "abc`, reasonQuotes},
		{"save 10", reasonSave},
		{"save 0 1", reasonSave},
		{"maxmemory 1zz", reasonMemory},
		{"maxmemory 1bk", reasonMemory},
		{"maxmemory 20000000000gb", "argument must be between 0 and 9223372036854775807 inclusive"},
		{"maxmemory-clients 101%", "percentage argument must be less or equal to 100"},
		{"maxmemory-clients -5%", reasonPercent},
		{"appendonly maybe", reasonBool},
		{"appendfsync sometimes", "argument(s) must be one of the following: everysec, always, no"},
		{"client-output-buffer-limit foo 1 1 1", reasonLimitClass},
		{"client-output-buffer-limit normal 1 1", reasonLimitCount},
		{"client-output-buffer-limit normal 1 1 -1", reasonLimitValue},
		{"bind 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8", reasonBindCount},
		{"unixsocketperm 999", reasonOctal},
		{"unixsocketperm 1777", "argument must be between 0 and 777 inclusive"},
		{"notify-keyspace-events Z", reasonEvents},
		{"latency-tracking-info-percentiles 1 200", reasonPercentile},
		{"latency-tracking-info-percentiles a", reasonPercentiles},
		{"shutdown-on-sigint save nosave", reasonShutdown},
		{"oom-score-adj-values 1 2 5000", reasonOOMScore},
		{"oom-score-adj-values 1", reasonArgs},
		{"proc-title-template {foo}", reasonTitle},
		{"dbfilename a/b", reasonDBFilename},
		{"cluster-enabled yes", "cluster mode is not supported by geocache"},
		{"replicaof 127.0.0.1 6379", "replicas are not supported by geocache; see sibling"},
		{"aclfile users.acl", "ACL files are not supported by geocache"},
		{"rename-command GET G", "directive not supported by geocache"},
		{"region-location 91 0", "latitude must be a number between -90 and 90"},
		{"region-location 0 nan", "longitude must be a number between -180 and 180"},
		{"region 9x", "region name must start with a letter and hold 1 to 64 letters, digits, '-', '_' or '.'"},
		{"region-endpoint host", "endpoint must be HOST:PORT with a port from 1 to 65535"},
		{"sibling a", reasonArgs},
		{"sibling a 127.0.0.1:1 5", reasonArgs},
		{"sibling a 127.0.0.1:1", "a region with siblings needs a name: set region"},
		{"include nowhere", "can't open config file 'nowhere': No such file or directory"},
	} {
		_, err := loadText("# comment\n\n" + tt.line + "\n")
		var le *LoadError
		if !errors.As(err, &le) {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		want := "*** FATAL CONFIG FILE ERROR ***\nReading the configuration file, at line 3\n>>> '" + tt.line + "'\n" + tt.reason
		if err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", tt.line, err, want)
		}
	}
}

func TestLoadErrorPlaces(t *testing.T) {
	files := memFiles{"main": "include sub", "sub": "\nhz x", "loop": "include loop"}
	for want, src := range map[string]Sources{
		"Reading the included file 'sub', at line 2\n>>> 'hz x'\n":           {File: "main"},
		"Reading the standard input, at line 1\n>>> 'hz x'\n":                {Stdin: "hz x"},
		"Reading the environment, at GEOCACHE_HZ\n>>> 'GEOCACHE_HZ=x'\n":     {Environ: []string{"GEOCACHE_HZ=x"}},
		"Reading the environment, at GEOCACHE_NOPE\n>>> 'GEOCACHE_NOPE=x'\n": {Environ: []string{"GEOCACHE_NOPE=x"}},
		"Reading the command line, at option 2\n>>> 'hz \"x\"'\n":            ParseArgs([]string{"--port", "1", "--hz", "x"}),
		">>> '\"-p\" \"7\"'\nBad directive":                                  ParseArgs([]string{"-p", "7"}),
		">>> 'include loop'\ntoo many":                                       {File: "loop"},
		"can't open config file 'none'":                                      {File: "none"},
	} {
		_, err := Load(src, files)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in:\n%v", want, err)
		}
	}
}

func TestParseArgs(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want Sources
	}{
		{nil, Sources{}},
		{[]string{"a.conf", "--port", "7000"}, Sources{File: "a.conf", Options: []string{`port "7000"`}}},
		{[]string{"a.conf", "-"}, Sources{File: "a.conf", ReadStdin: true}},
		{[]string{"-", "--port 7", "--hz", "9"}, Sources{ReadStdin: true, Options: []string{"port 7", `hz "9"`}}},
		{[]string{"--save", "100", "100", "--save", ""}, Sources{Options: []string{`save "100" "100"`, `save ""`}}},
		{[]string{"--save", "--appendfsync", "always"}, Sources{Options: []string{`save ""`, `appendfsync "always"`}}},
		{[]string{"--save"}, Sources{Options: []string{`save ""`}}},
		{[]string{"--port", "--hz", "9"}, Sources{Options: []string{`port "--hz" "9"`}}},
		{[]string{"--requirepass", "--x", "--port", "1"}, Sources{Options: []string{`requirepass "--x"`, `port "1"`}}},
	} {
		if got := ParseArgs(tt.args); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v", tt.args, got)
		}
	}
}

func TestPrecedenceAndLists(t *testing.T) {
	files := memFiles{
		"main":       "hz 20\nHZ 30\nsave 900 1\nsave 60 10\ninclude conf.d/*\ninclude none.d/*\ndir data\nslave-priority 7\nactivedefrag no\nlist-max-ziplist-value 3\n",
		"conf.d/one": "port 7001\n# c\n",
		"conf.d/two": "maxmemory 1gb\ndatabases 4",
	}
	src := ParseArgs([]string{"main", "--save", "5", "5", "--port", "7003"})
	src.Environ = []string{"HOME=/", "GEOCACHE_PORT=7002", "GEOCACHE_MAXMEMORY=2gb", "GEOCACHE_SERVER_CPULIST=1"}
	src.WorkingDir = "/w"
	c, err := Load(src, files)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Load()
	if one(t, c, "hz") != "30" || s.Port != 7003 || s.MaxMemory != 2<<30 || s.Databases != 4 || s.Dir != "/w/data" {
		t.Errorf("%+v", s)
	}
	if want := []SavePoint{{900, 1}, {60, 10}, {5, 5}}; !slices.Equal(s.Save, want) {
		t.Errorf("save %v", s.Save)
	}
	if got := one(t, c, "replica-priority"); got != "7" {
		t.Errorf("alias: %s", got)
	}
	want := []string{"activedefrag", "hz", "list-max-ziplist-value", "replica-priority", "server_cpulist"}
	if got := c.Ineffective(); !slices.Equal(got, want) {
		t.Errorf("ineffective %v", got)
	}
	for text, want := range map[string]string{"save 1 1\nsave ''\nsave 5 5": "5 5", "save 1 1\nsave \"\"": "", "": "3600 1 300 100 60 10000"} {
		if got := one(t, mustLoad(t, text), "save"); got != want {
			t.Errorf("%q: save %q", text, got)
		}
	}
}

func TestSiblings(t *testing.T) {
	text := "region toronto\nsibling sp 127.0.0.1:7001 -23.5505 -46.6333\nsibling fra [::1]:7002\nsibling sp localhost:7003\n"
	c := mustLoad(t, text)
	want := []Sibling{{Name: "sp", Endpoint: "localhost:7003"}, {Name: "fra", Endpoint: "[::1]:7002"}}
	if got := c.Load().Siblings; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if err := c.Set([]Pair{{"sibling", "a 127.0.0.1:1 1.5 -2 b 127.0.0.1:2"}}, Caller{}); err != nil {
		t.Fatal(err)
	}
	if got := one(t, c, "sibling"); got != "a 127.0.0.1:1 1.5 -2 b 127.0.0.1:2" {
		t.Errorf("%q", got)
	}
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{"region r\nsibling r 127.0.0.1:1", false},
		{"region r\nsibling s 127.0.0.1.evil.com:1", false},
		{"region r\nsibling s 10.0.0.1:1", false},
		{"region r\nsibling s 10.0.0.1:1\nsibling-tls yes", true},
		{"region r\nsibling s 10.0.0.1:1\nsibling-auth-pass x", true},
		{"region r\nsibling s 10.0.0.1:1\nsibling-allow-plaintext yes", true},
		{"region r\nsibling s 127.9.0.1:1", true},
	} {
		if _, err := loadText(tt.text); (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}

func TestSetErrors(t *testing.T) {
	c := New()
	local := Caller{Local: true}
	for _, tt := range []struct {
		pairs  []Pair
		caller Caller
		want   SetError
	}{
		{[]Pair{{"foo", "1"}}, local, SetError{Kind: Unknown, Argument: "foo"}},
		{[]Pair{{"hz", "20"}, {"port", "abc"}}, local, SetError{Argument: "port", Reason: reasonInteger}},
		{[]Pair{{"databases", "3"}}, local, SetError{Argument: "databases", Reason: reasonImmutable}},
		{[]Pair{{"hz", "20"}, {"HZ", "30"}}, local, SetError{Argument: "HZ", Reason: reasonDuplicate}},
		{[]Pair{{"lua-time-limit", "20"}, {"busy-reply-threshold", "30"}}, local, SetError{Argument: "busy-reply-threshold", Reason: reasonDuplicate}},
		{[]Pair{{"dir", "/tmp"}}, local, SetError{Argument: "dir", Reason: reasonProtected}},
		{[]Pair{{"appendonly", "no"}}, Caller{Loading: true}, SetError{Kind: Loading, Argument: "appendonly"}},
		{[]Pair{{"save", " "}}, local, SetError{Argument: "save", Reason: reasonSave}},
		{[]Pair{{"default-ttl", "20"}, {"max-ttl", "10"}}, local, SetError{Argument: "default-ttl", Reason: "default-ttl must not exceed max-ttl"}},
	} {
		before := c.Load()
		err := c.Set(tt.pairs, tt.caller)
		var se *SetError
		if !errors.As(err, &se) || *se != tt.want {
			t.Errorf("%v: %v", tt.pairs, err)
		}
		if c.Load() != before {
			t.Errorf("%v: changed", tt.pairs)
		}
	}
	if err := c.Set([]Pair{{"databases", "16"}, {"rdbchecksum", "YES"}}, local); err != nil {
		t.Errorf("present value: %v", err)
	}
	p := mustLoad(t, "enable-protected-configs local")
	if err := p.Set([]Pair{{"dbfilename", "x.rdb"}}, Caller{}); err == nil {
		t.Error("protected, not local: accepted")
	}
	if err := p.Set([]Pair{{"dbfilename", "x.rdb"}}, local); err != nil || p.Load().DBFilename != "x.rdb" {
		t.Errorf("protected, local: %v", err)
	}
}

func TestForms(t *testing.T) {
	c := New()
	for _, tt := range []struct{ name, value, want string }{
		{"hz", "1000", "500"},
		{"hz", "0", "1"},
		{"maxmemory", "", "0"},
		{"maxmemory", "1K", "1000"},
		{"maxmemory", "1Kb", "1024"},
		{"maxmemory-clients", "5%", "5%"},
		{"maxmemory-clients", "0%", "0"},
		{"notify-keyspace-events", "nmtdexzhslg", "glshzxetdnm"},
		{"notify-keyspace-events", "KEg$lshzxetd", "AKE"},
		{"notify-keyspace-events", "KEmnt", "tnKEm"},
		{"latency-tracking-info-percentiles", "50.0 99.123456789 100", "50 99.123457 100"},
		{"latency-tracking-info-percentiles", "", ""},
		{"client-output-buffer-limit", "replica 1mb 1k 3 normal 1 2 3", "normal 1 2 3 slave 1048576 1000 3 pubsub 33554432 8388608 60"},
		{"shutdown-on-sigint", "force now", "now force"},
		{"shutdown-on-sigint", "default now", "now"},
		{"save", "", ""},
		{"bind", "", ""},
		{"maxmemory-policy", "ALLKEYS-LRM", "allkeys-lrm"},
	} {
		if err := c.Set([]Pair{{tt.name, tt.value}}, Caller{}); err != nil {
			t.Errorf("%s %q: %v", tt.name, tt.value, err)
		}
		if got := one(t, c, tt.name); got != tt.want {
			t.Errorf("%s %q: %q", tt.name, tt.value, got)
		}
	}
	if c.Set([]Pair{{"shutdown-on-sigint", ""}}, Caller{}) == nil {
		t.Error("empty shutdown flags accepted")
	}
}

func TestGet(t *testing.T) {
	c := New()
	got := c.Get([]string{"maxmemory-s*", "MaxMemory-Samples", "HZ", "hz", "*-max-z?plist-value", "[", "key-load-delay", "rdb-key-save-d*"})
	want := []string{"HZ", "hash-max-ziplist-value", "key-load-delay", "maxmemory-samples", "zset-max-ziplist-value"}
	var names []string
	for _, p := range got {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

func TestHooks(t *testing.T) {
	c := New()
	var log []string
	hook := func(name string, fail error) Hook {
		return func(old, new *Snapshot) error {
			if old.TCPKeepaliveSeconds < new.TCPKeepaliveSeconds {
				log = append(log, name)
				return fail
			}
			log = append(log, "undo "+name)
			return nil
		}
	}
	c.OnChangeOf([]string{"tcp-keepalive", "timeout"}, hook("both", nil))
	c.OnChange("port", hook("port", nil))
	c.OnChange("tcp-keepalive", hook("tcp-keepalive", errors.New("no")))
	err := c.Set([]Pair{{"timeout", "5"}, {"tcp-keepalive", "500"}}, Caller{})
	var se *SetError
	if !errors.As(err, &se) || *se != (SetError{Argument: "tcp-keepalive", Reason: "no"}) {
		t.Error(err)
	}
	if want := []string{"both", "tcp-keepalive", "undo both"}; !slices.Equal(log, want) {
		t.Errorf("%v", log)
	}
	if s := c.Load(); s.TCPKeepaliveSeconds != 300 || s.TimeoutSeconds != 0 {
		t.Error("not rolled back")
	}
	log = nil
	if err := c.Set([]Pair{{"timeout", "0"}}, Caller{}); err != nil || log != nil {
		t.Errorf("unchanged value: %v %v", err, log)
	}
}

func TestConcurrentSetAndLoad(t *testing.T) {
	c := New()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if err := c.Set([]Pair{{"tcp-keepalive", "20"}, {"timeout", "20"}, {"rdbcompression", "no"}}, Caller{}); err != nil {
					t.Error(err)
				}
				if s := c.Load(); s.TCPKeepaliveSeconds != 20 || s.TimeoutSeconds != 20 {
					t.Error("torn")
				}
				c.Get([]string{"*"})
			}
		})
	}
	wg.Wait()
}

func TestRewrite(t *testing.T) {
	old := "# top\nport 7000\nsave 900 1\nsave 60 10\n\n# mid\nslave-priority 5\nfuture yes\nHZ 10\n"
	c := mustLoad(t, strings.Replace(old, "future yes\n", "", 1))
	if err := c.Set([]Pair{{"save", "5 5"}, {"maxmemory", "100mb"}, {"requirepass", "a \"b"}, {"replica-priority", "100"}}, Caller{}); err != nil {
		t.Fatal(err)
	}
	got := c.Rewrite(old)
	want := "# top\nport 7000\nsave 5 5\n\n# mid\nreplica-priority 100\n# ??? future yes\nhz 10\n\n" + signature +
		"\nrequirepass \"a \\\"b\"\nmaxmemory 100mb\ndir \"/w\"\n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if again := c.Rewrite(got); again != got {
		t.Errorf("second rewrite:\n%s", again)
	}
}

func TestRewriteWithInclude(t *testing.T) {
	files := memFiles{
		"main": "port 7000\ninclude sub\nsave 9 9\nhz 20\n",
		"sub":  "port 7001\nsave 900 1\nrequirepass x\nregion r\nsibling a 127.0.0.1:1\n",
	}
	src := Sources{File: "main", WorkingDir: "/w"}
	c, err := Load(src, files)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set([]Pair{{"port", "6379"}, {"requirepass", ""}, {"sibling", "b 127.0.0.1:2"}}, Caller{}); err != nil {
		t.Fatal(err)
	}
	files["main"] = c.Rewrite(files["main"])
	again, err := Load(src, files)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Load(), again.Load()) {
		t.Errorf("differs after:\n%s", files["main"])
	}
}

func FuzzLoadRewrite(f *testing.F) {
	f.Add(Example(), "maxmemory", "5gb")
	f.Add("save 1 1\nsave ''\nbind a 'b c' \"\"\ndir x\ndir y\n", "save", "1 2 3 4")
	f.Add("client-output-buffer-limit normal 1 2 3\nshutdown-on-sigint now\nunixsocketperm 700", "notify-keyspace-events", "KEA")
	f.Add("region a\nsibling b 127.0.0.1:1 1e-7 -0\nsibling c [::1]:5\nrequirepass \"\\x00\xff\"", "latency-tracking-info-percentiles", "1e-9 50")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		c, err := loadText(text)
		if err != nil {
			return
		}
		// CONFIG SET may be refused; the round trip must hold either way.
		_ = c.Set([]Pair{{name, value}}, Caller{})
		if strings.Contains(strings.ToLower(text), "include") {
			return // reads the same text again and again
		}
		rewritten := c.Rewrite(text)
		again, err := loadText(rewritten)
		if err != nil {
			t.Fatalf("%v\n%s", err, rewritten)
		}
		// All values by their CONFIG GET form: nil and empty lists are one.
		if a, b := c.Get([]string{"*"}), again.Get([]string{"*"}); !slices.Equal(a, b) {
			for i := range a {
				if a[i] != b[i] {
					t.Errorf("%v became %v", a[i], b[i])
				}
			}
		}
		if twice := again.Rewrite(rewritten); twice != rewritten {
			t.Fatalf("rewrite is not stable:\n%q\n%q", rewritten, twice)
		}
	})
}

// TestRewriteEveryParameter changes each parameter to something else and loads
// the rewritten default file.
func TestRewriteEveryParameter(t *testing.T) {
	candidates := []string{"yes", "no", "1", "2", "77", "2mb", "x", "a b c", "1 2 3", "5 6", "always", "text", "json", "warning", "7.0",
		"local", "nosave now", "normal 1 2 3", "user", "ip", "hostname", "systemd", "optional", "swapdb", "panic", "clients", "allchannels",
		"allkeys-lru", "absolute", "KEA", "{title}", "127.0.0.1:5", "b 127.0.0.1:9 3 4", "10 20", "", "9 8", "4096"}
	c := mustLoad(t, "enable-protected-configs yes\nregion a\nsibling-allow-plaintext yes\n")
	base := c.Load()
	for _, p := range c.table.params {
		changed := false
		for _, v := range candidates {
			next := base.clone()
			if p.set(next, p.splitValue(v), replace) != nil {
				continue
			}
			if _, err := c.table.check(next); err != nil || p.value.get(next) == p.value.get(base) {
				continue
			}
			changed = true
			c.current.Store(next)
			again := mustLoad(t, c.Rewrite("# empty\n"))
			if !reflect.DeepEqual(again.Load(), next) {
				t.Errorf("%s %q does not survive:\n%s", p.Name, v, c.Rewrite(""))
			}
		}
		if !changed && p.Name != "aclfile" && p.Name != "replicaof" && p.Name != "cluster-enabled" {
			t.Errorf("%s: no candidate changes it", p.Name)
		}
	}
}
