package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"geocache/config"
)

// effects lists every parameter that promises an effect, with the tests that
// fail when it has none: file:test, relative to the repository. The test's file
// must name the parameter.
var effects = map[string]string{
	"bind":                       "tests/effects_test.go:TestEffectBind",
	"port":                       "cmd/geocache/main_test.go:TestConfigRewriteAndRebind",
	"unixsocket":                 "tests/protocol_test.go:TestProtocolUnixSocket",
	"unixsocketperm":             "tests/protocol_test.go:TestProtocolUnixSocket",
	"protected-mode":             "node/effects_test.go:TestProtectedModeParameter",
	"tcp-backlog":                "server/effects_linux_test.go:TestSocketParameters",
	"io-threads":                 "server/eventloop_linux_test.go:TestIOThreads",
	"timeout":                    "node/effects_test.go:TestTimeoutParameter",
	"tcp-keepalive":              "server/effects_linux_test.go:TestSocketParameters",
	"maxclients":                 "tests/protocol_test.go:TestProtocolConnections",
	"proto-max-bulk-len":         "node/effects_test.go:TestSessionsFollowParameters",
	"client-query-buffer-limit":  "node/effects_test.go:TestClientQueryBufferLimitParameter",
	"client-output-buffer-limit": "node/effects_test.go:TestOutputLimits",
	"maxmemory-clients":          "node/effects_test.go:TestMaxmemoryClients",
	"notify-keyspace-events":     "node/pubsub_test.go:TestEventsAreConfigured",

	"tls-port":                 "tests/protocol_test.go:TestProtocolTLS",
	"tls-cert-file":            "server/run_test.go:TestRegionsOverTLS",
	"tls-key-file":             "server/run_test.go:TestRegionsOverTLS",
	"tls-key-file-pass":        "server/effects_test.go:TestTLSParameters",
	"tls-client-cert-file":     "server/effects_test.go:TestTLSParameters",
	"tls-client-key-file":      "server/effects_test.go:TestTLSParameters",
	"tls-client-key-file-pass": "server/effects_test.go:TestTLSParameters",
	"tls-ca-cert-file":         "server/tls_test.go:TestTLSMistakes",
	"tls-ca-cert-dir":          "server/effects_test.go:TestTLSParameters",
	"tls-auth-clients":         "server/tls_test.go:TestTLS",
	"tls-protocols":            "server/effects_test.go:TestTLSParameters",

	"daemonize":           "cmd/geocache/main_test.go:TestDaemonize",
	"supervised":          "tests/effects_test.go:TestEffectSupervised",
	"pidfile":             "cmd/geocache/main_test.go:TestLife",
	"loglevel":            "server/small_test.go:TestTextLog",
	"logfile":             "server/small_test.go:TestJSONLogFile",
	"log-format":          "server/small_test.go:TestJSONLogFile",
	"databases":           "node/effects_test.go:TestSessionsFollowParameters",
	"compat-version":      "node/effects_test.go:TestSessionsFollowParameters",
	"shutdown-on-sigint":  "tests/effects_test.go:TestEffectShutdownOnSignal",
	"shutdown-on-sigterm": "tests/effects_test.go:TestEffectShutdownOnSignal",

	"requirepass":              "node/effects_test.go:TestRequirepassParameter",
	"enable-debug-command":     "node/effects_test.go:TestAccessParameters",
	"enable-protected-configs": "node/effects_test.go:TestAccessParameters",

	"maxmemory":                   "node/effects_test.go:TestEvictionParameters",
	"maxmemory-policy":            "node/effects_test.go:TestEvictionParameters",
	"maxmemory-samples":           "node/effects_test.go:TestEvictionParameters",
	"maxmemory-eviction-tenacity": "node/effects_test.go:TestEvictionParameters",
	"lfu-log-factor":              "node/effects_test.go:TestEvictionParameters",
	"lfu-decay-time":              "node/effects_test.go:TestEvictionParameters",
	"active-expire-effort":        "node/effects_test.go:TestExpiryParameters",
	"default-ttl":                 "node/effects_test.go:TestExpiryParameters",
	"max-ttl":                     "node/effects_test.go:TestExpiryParameters",

	"dir":                         "tests/effects_test.go:TestEffectSnapshots",
	"dbfilename":                  "tests/effects_test.go:TestEffectSnapshots",
	"save":                        "tests/effects_test.go:TestEffectSnapshots",
	"stop-writes-on-bgsave-error": "tests/effects_test.go:TestEffectSnapshots",
	"appendonly":                  "node/effects_test.go:TestAppendonlyParameter",
	"appendfsync":                 "node/effects_test.go:TestLogParameters",
	"checkpoint-log-size":         "node/effects_test.go:TestLogParameters",
	"pebble-cache-size":           "tests/effects_test.go:TestEffectStoreMemory",
	"pebble-memtable-size":        "tests/effects_test.go:TestEffectStoreMemory",

	"region":                  "node/effects_test.go:TestPlaceParameters",
	"region-location":         "node/effects_test.go:TestPlaceParameters",
	"region-endpoint":         "node/effects_test.go:TestPlaceParameters",
	"sibling":                 "node/effects_test.go:TestSiblingParameter",
	"sibling-auth-user":       "tests/effects_test.go:TestEffectSiblingLogin",
	"sibling-auth-pass":       "tests/effects_test.go:TestEffectSiblingLogin",
	"sibling-tls":             "server/run_test.go:TestRegionsOverTLS",
	"sibling-allow-plaintext": "server/links_test.go:TestLinkRefusesPlaintext",
	"geoip-file":              "tests/effects_test.go:TestEffectGeoIP",
	"log-retention-size":      "node/effects_test.go:TestLogParameters",
	"max-clock-skew-ms":       "node/effects_test.go:TestMaxClockSkewParameter",

	"shards": "node/effects_test.go:TestShardsParameter",

	"hash-max-listpack-entries": "node/forms_test.go:TestFormParameters",
	"hash-max-listpack-value":   "node/forms_test.go:TestFormParameters",
	"list-max-listpack-size":    "node/forms_test.go:TestFormParameters",
	"set-max-intset-entries":    "node/forms_test.go:TestFormParameters",
	"set-max-listpack-entries":  "node/forms_test.go:TestFormParameters",
	"set-max-listpack-value":    "node/forms_test.go:TestFormParameters",
	"zset-max-listpack-entries": "node/forms_test.go:TestFormParameters",
	"zset-max-listpack-value":   "node/forms_test.go:TestFormParameters",
	"hll-sparse-max-bytes":      "node/forms_test.go:TestFormParameters",
	"stream-node-max-bytes":     "node/forms_test.go:TestFormParameters",
	"stream-node-max-entries":   "node/forms_test.go:TestFormParameters",
}

// TestEffectsAreShown: no parameter promises what no test looks at.
func TestEffectsAreShown(t *testing.T) {
	known := map[string]bool{}
	for _, p := range config.New().Params() {
		if p.Effect != config.Effective {
			continue
		}
		known[p.Name] = true
		shown, ok := effects[p.Name]
		if !ok {
			t.Errorf("%s promises an effect that no test shows: list one, or mark it as unused", p.Name)
			continue
		}
		file, test, _ := strings.Cut(shown, ":")
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Error(err)
			continue
		}
		body := regexp.MustCompile(`(?s)\nfunc ` + test + `\(t \*testing\.T\) \{\n.*?\n}\n`).FindString(string(text))
		named := regexp.MustCompile(`\b` + p.Name + `\b`)
		if body == "" || !named.MatchString(body) && !(file != "tests/effects_test.go" && named.Match(text)) {
			t.Errorf("%s: %s is not there or does not name it", p.Name, shown)
		}
	}
	for name := range effects {
		if !known[name] {
			t.Errorf("%s is listed, but there is no such parameter of effect", name)
		}
	}
}

// TestEffectOfNone: a parameter without effect is named in the log, at start
// and by CONFIG SET.
func TestEffectOfNone(t *testing.T) {
	s := startServer(t, "--io-threads-do-reads", "yes", "--maxmemory", "100mb")
	line := func() string {
		var found []string
		for l := range strings.SplitSeq(s.Log(), "\n") {
			if strings.Contains(l, "without effect") {
				found = append(found, l)
			}
		}
		return strings.Join(found, "\n")
	}
	if l := line(); !strings.Contains(l, "io-threads-do-reads") || strings.Contains(l, "maxmemory") {
		t.Errorf("the log says %q", l)
	}
	s.Dial().Expect("+OK", "CONFIG", "SET", "activedefrag", "yes", "maxmemory", "200mb")
	if l := line(); !strings.Contains(l, "activedefrag") || strings.Contains(l, "maxmemory") {
		t.Errorf("the log says %q", l)
	}
}

func TestEffectBind(t *testing.T) {
	s := startServer(t)
	c := s.Dial()
	other := "127.0.0.2:" + strconv.Itoa(s.Port)
	c.Expect("+OK", "CONFIG", "SET", "bind", "127.0.0.2")
	dial(t, "tcp", other).Expect("+PONG", "PING")
	if s.answers() {
		t.Error("the address that was left still answers")
	}
	c.Expect("+OK", "CONFIG", "SET", "bind", "127.0.0.1")
	s.Dial().Expect("+PONG", "PING")
}

// TestEffectSupervised: with supervised systemd the server says so when it has
// nobody to tell.
func TestEffectSupervised(t *testing.T) {
	const complaint = "NOTIFY_SOCKET is not set"
	for _, mode := range []string{"systemd", "no"} {
		s := startServer(t, "--supervised", mode)
		if have := strings.Contains(s.Log(), complaint); have != (mode == "systemd") {
			t.Errorf("supervised %s: the log says %q: %v", mode, complaint, have)
		}
	}
}

// TestEffectSnapshots: save, dbfilename and dir decide when a snapshot is
// written and where, and stop-writes-on-bgsave-error what happens when it
// cannot be.
func TestEffectSnapshots(t *testing.T) {
	s := startServer(t, "--appendonly", "no", "--save", "1", "2", "--dbfilename", "first.rdb", "--enable-protected-configs", "yes")
	c := s.Dial()
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	first := filepath.Join(s.Dir, "first.rdb")
	c.Expect("+OK", "SET", "a", "1")
	time.Sleep(2500 * time.Millisecond)
	if exists(first) {
		t.Error("save 1 2 writes a snapshot after one change")
	}
	c.Expect("+OK", "SET", "b", "1")
	eventually(t, 10*time.Second, "save 1 2 writes a snapshot after two changes", func() bool { return exists(first) })

	elsewhere := filepath.Join(s.Dir, "elsewhere")
	if v := c.Do("CONFIG", "SET", "dir", elsewhere); v.Err() == nil {
		t.Error("a dir that does not exist is taken")
	}
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	c.Expect("+OK", "CONFIG", "SET", "dir", elsewhere, "dbfilename", "second.rdb", "save", "")
	c.Expect("+OK", "SAVE")
	if !exists(filepath.Join(elsewhere, "second.rdb")) {
		t.Error("SAVE writes no snapshot in the new dir")
	}

	if err := os.RemoveAll(elsewhere); err != nil {
		t.Fatal(err)
	}
	c.Expect("+OK", "CONFIG", "SET", "save", "3600 1")
	_ = c.Do("BGSAVE")
	refused := func() bool { return strings.HasPrefix(c.Do("SET", "c", "1").Text, "MISCONF") }
	eventually(t, 10*time.Second, "writes are refused after a snapshot that failed", refused)
	c.Expect("+OK", "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	c.Expect("+OK", "SET", "c", "1")
	c.Expect("+OK", "CONFIG", "SET", "dir", s.Dir)
}

// TestEffectShutdownOnSignal: what a signal leaves behind is what
// shutdown-on-sigterm and shutdown-on-sigint say.
func TestEffectShutdownOnSignal(t *testing.T) {
	for _, c := range []struct {
		signal        syscall.Signal
		save          string
		sigterm       string
		sigint        string
		wantsSnapshot bool
	}{
		{syscall.SIGTERM, "", "default", "default", false},
		{syscall.SIGTERM, "", "save", "default", true},
		{syscall.SIGTERM, "3600 1", "nosave now", "save", false},
		{syscall.SIGINT, "3600 1", "nosave", "default", true},
		{syscall.SIGINT, "3600 1", "save", "nosave force", false},
	} {
		s := newServer(t, "--appendonly", "no", "--save", c.save)
		s.args = append(append(append(s.args, "--shutdown-on-sigterm"), strings.Fields(c.sigterm)...), "--shutdown-on-sigint")
		s.args = append(s.args, strings.Fields(c.sigint)...)
		s.Start()
		s.Dial().Expect("+OK", "SET", "a", "1")
		s.Signal(c.signal)
		eventually(t, stopWait, "the signal ends the server", func() bool { return !s.Running() })
		_, err := os.Stat(filepath.Join(s.Dir, "dump.rdb"))
		if (err == nil) != c.wantsSnapshot {
			t.Errorf("%+v: snapshot: %v", c, err)
		}
	}
}

// TestEffectStoreMemory: pebble-cache-size and pebble-memtable-size bound what
// INFO shows of the store's memory.
func TestEffectStoreMemory(t *testing.T) {
	s := newServer(t)
	base := slices.Clone(s.args)
	const mb = 1 << 20
	run := func(cache, memtable string, writes int) (cacheBytes, memtableBytes int) {
		s.args = append(slices.Clone(base), "--pebble-cache-size", cache, "--pebble-memtable-size", memtable, "--checkpoint-log-size", "1mb")
		s.Start()
		c := s.Dial()
		value := strings.Repeat("0123456789abcdef", 64<<10/16)
		for i := range writes { // of 64 KB
			c.Expect("+OK", "SET", "k"+strconv.Itoa(i), value+strconv.Itoa(i))
		}
		shown := func(name string) int {
			_, rest, _ := strings.Cut(c.Do("INFO", "store").Text, name+":")
			number, _, _ := strings.Cut(rest, "\r\n")
			n, _ := strconv.Atoi(number)
			return n
		}
		for range 15 { // a look every tenth of a second
			cacheBytes = max(cacheBytes, shown("store_cache_bytes"))
			memtableBytes = max(memtableBytes, shown("store_memtable_bytes"))
			time.Sleep(100 * time.Millisecond)
		}
		_ = c.Close()
		s.Stop()
		return cacheBytes, memtableBytes
	}
	_, small := run("1mb", "1mb", 160)
	_, large := run("1mb", "32mb", 160)
	if small > 5*mb || large < 8*mb {
		t.Errorf("ten megabytes of writes take %d bytes of memtables with pebble-memtable-size 1mb, %d with 32mb", small, large)
	}
	// The starts read what is on disk.
	small, _ = run("1mb", "1mb", 0)
	large, _ = run("64mb", "1mb", 0)
	if small > 3*mb || large <= small {
		t.Errorf("the block cache holds %d bytes with pebble-cache-size 1mb, %d with 64mb", small, large)
	}
}

// TestEffectSiblingLogin: links log in with sibling-auth-user and
// sibling-auth-pass, of the moment.
func TestEffectSiblingLogin(t *testing.T) {
	d := prepareRegions(t, 2, "--requirepass", "pw", "--appendonly", "no")
	a, b := d.regions[0], d.regions[1]
	a.args = append(a.args, "--sibling", sites()[1].name, b.Addr(), "--sibling-auth-pass", "wrong")
	b.args = append(b.args, "--sibling", sites()[0].name, a.Addr(), "--sibling-auth-pass", "pw")
	a.Start()
	b.Start()
	ca := a.Dial()
	ca.Expect("+OK", "AUTH", "pw")
	linkError := func() string {
		text := ""
		for _, r := range ca.Do("REGION", "LIST").Elems {
			text += field(r, "link-error").Text
		}
		return text
	}
	up := func() bool { return linkError() == "" }
	down := func() bool { return strings.Contains(linkError(), "WRONGPASS") }
	eventually(t, noticeWait, "a wrong sibling-auth-pass is told", down)
	ca.Expect("+OK", "CONFIG", "SET", "sibling-auth-pass", "pw")
	eventually(t, noticeWait, "the right sibling-auth-pass is used", up)
	ca.Expect("+OK", "CONFIG", "SET", "sibling-auth-user", "nobody")
	eventually(t, noticeWait, "a wrong sibling-auth-user is told", down)
	ca.Expect("+OK", "CONFIG", "SET", "sibling-auth-user", "default")
	eventually(t, noticeWait, "the right sibling-auth-user is used", up)
}

// TestEffectGeoIP: CLOSEST IP answers from geoip-file, which may come, change
// and go at run time.
func TestEffectGeoIP(t *testing.T) {
	places, err := filepath.Abs("testdata/places.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "--region", "toronto", "--region-location", "43.6532", "-79.3832", "--region-endpoint", "t.example:1", "--geoip-file", places)
	s.args = append(s.args, "--sibling", "saopaulo", "127.0.0.1:1", "-23.5505", "-46.6333")
	s.Start()
	c := s.Dial()
	distance := func() string {
		v := c.Do("CLOSEST", "IP", "177.10.20.30", "WITHDETAILS")
		return field(v, "distance-km").String()
	}
	known := distance()
	if known == "nil" || strings.HasPrefix(known, "0") {
		t.Errorf("geoip-file: the address is %s km away", known)
	}
	c.Expect("+OK", "CONFIG", "SET", "geoip-file", "")
	if without := distance(); without == known {
		t.Errorf("without geoip-file the address is %s km away too", without)
	}
	if v := c.Do("CONFIG", "SET", "geoip-file", "/none"); v.Err() == nil || !strings.Contains(v.Text, "no such file") {
		t.Errorf("a geoip-file that is not there: %s", v)
	}
	c.Expect("+OK", "CONFIG", "SET", "geoip-file", places)
	if again := distance(); again != known {
		t.Errorf("geoip-file again: %s km, %s before", again, known)
	}
}

// TestEffectRewrite: what CONFIG SET and REGION ADD and REMOVE changed is there
// after CONFIG REWRITE and a restart, in the file and not only in the data.
func TestEffectRewrite(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(s.Dir, "geocache.conf")
	text := "# kept\nregion toronto\nsibling saopaulo 127.0.0.1:1 -23.5505 -46.6333\nmaxmemory 1gb\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.args = slices.Insert(s.args, 1, file)
	s.Start()
	c := s.Dial()
	c.Expect("+OK", "REGION", "ADD", "tokyo", "127.0.0.1:2", "35.5", "139.5")
	c.Expect("+OK", "REGION", "REMOVE", "saopaulo")
	c.Expect("+OK", "CONFIG", "SET", "maxmemory", "2gb", "timeout", "77", "save", "10 20", "region-location", "1 2")
	c.Expect("+OK", "CONFIG", "REWRITE")
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"# kept", `region "toronto"`, "sibling tokyo 127.0.0.1:2 35.5 139.5", "timeout 77", "save 10 20", "region-location 1 2"} {
		if !slices.Contains(strings.Split(string(have), "\n"), line) {
			t.Errorf("the file lacks %q:\n%s", line, have)
		}
	}
	if strings.Contains(string(have), "saopaulo") {
		t.Errorf("the removed sibling is still in the file:\n%s", have)
	}
	before := c.Do("CONFIG", "GET", "*").String()
	_ = c.Close()
	s.Stop()
	s.Start()
	c = s.Dial()
	if after := c.Do("CONFIG", "GET", "*").String(); after != before {
		t.Errorf("CONFIG GET is %s\nafter the restart, and was %s", after, before)
	}
}
