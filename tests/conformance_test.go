package tests

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const scriptsDir = "../command/conformance"

// TestConformance runs the scripts against geocache, as either version of Redis
// it can be, and against real servers, so that the scripts cannot drift from
// what Redis does.
func TestConformance(t *testing.T) {
	for _, compat := range []string{"7.2", "7.0"} {
		t.Run("geocache-"+compat, func(t *testing.T) {
			runScripts(t, func(t *testing.T) target {
				s := startServer(t, "--compat-version", compat, "--enable-debug-command", "local")
				return target{addr: s.Addr(), ours: true, version: compat}
			})
		})
	}
	t.Run("redis", func(t *testing.T) {
		runScripts(t, func(t *testing.T) target {
			s := redisServer(t, "--save", "", "--enable-debug-command", "local")
			s.Start()
			return target{addr: s.Addr(), version: serverVersion(t, s.Addr())}
		})
	})
	t.Run("external", func(t *testing.T) {
		addr := os.Getenv("TEST_REDIS")
		if addr == "" {
			t.Skip("TEST_REDIS names no server")
		}
		runScripts(t, func(t *testing.T) target {
			c := dial(t, "tcp", addr)
			defer func() { _ = c.Close() }()
			c.Expect("+OK", "FLUSHALL")
			return target{addr: addr, version: serverVersion(t, addr),
				ours: strings.Contains(c.Do("INFO", "server").Text, "geocache")}
		})
	})
}

// target is a server that scripts run against.
type target struct {
	addr    string
	ours    bool
	version string // of Redis, as its INFO says
}

// compat is the version whose replies are expected of the target.
func (g target) compat() string {
	if versionLess(g.version, "7.2") {
		return "7.0"
	}
	return "7.2"
}

func serverVersion(t *testing.T, addr string) string {
	t.Helper()
	c := dial(t, "tcp", addr)
	defer func() { _ = c.Close() }()
	m := regexp.MustCompile(`redis_version:([0-9.]+)`).FindStringSubmatch(c.Do("INFO", "server").Text)
	if m == nil {
		t.Fatal("INFO shows no redis_version")
	}
	return m[1]
}

// versionLess compares by numbers: 7.0.15 is less than 7.2, 7.10 is not.
func versionLess(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}

// runScripts runs every script, each against a server of its own.
func runScripts(t *testing.T, start func(*testing.T) target) {
	files, err := filepath.Glob(filepath.Join(scriptsDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no scripts in %s", scriptsDir)
	}
	checked, skipped := 0, 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := parseScript(string(text))
			if err != nil {
				t.Fatalf("%s:%v", file, err)
			}
			r := runner{t: t, file: filepath.Base(file), target: start(t), conns: map[string]*Conn{}}
			r.run(steps)
			checked += r.checked
			skipped += r.skipped
		})
	}
	t.Logf("%d replies checked in %d scripts, %d requests not meant for this server", checked, len(files), skipped)
	if checked == 0 && !t.Failed() && !t.Skipped() {
		t.Log("SKIP: no script ran")
	}
}

// A step is a line of a script that does something.
type step struct {
	line  int
	kind  stepKind
	args  []string       // of a request
	text  string         // exact reply, connection, protocol
	match *regexp.Regexp // reply that varies
	cond  conditions
}

type stepKind int

const (
	stepRequest stepKind = iota // send args
	stepReply                   // read one reply, want text or match
	stepConn
	stepProto
	stepReset
	stepSleep
)

// conditions hold for the block of lines they stand in.
type conditions struct {
	ours   bool
	since  string
	compat string
}

func (c conditions) meets(g target) bool {
	switch {
	case g.ours:
		return c.compat == "" || c.compat == g.compat()
	case c.ours || (c.since != "" && versionLess(g.version, c.since)):
		return false
	}
	return c.compat == "" || c.compat == g.compat()
}

// parseScript reads a script. Lines are:
//
//	# comment
//	> SET key "a value"     a request, quoted as redis-cli does, followed by
//	+OK                     its reply in the form of resp.Value.String, or
//	~ ^:[0-9]+$             a regular expression for it, or
//	(none)                  nothing: no reply is read now
//	< >["message", "a"]     one more reply or push is read
//	@conn b                 switches to another connection, opened at need
//	@proto 3                HELLO 3
//	@sleep 30               milliseconds
//	@reset                  FLUSHALL, all connections are closed
//	@ours                   until the next empty line: only for geocache
//	@since 7.2              until the next empty line: not for an older Redis
//	@compat 7.0             until the next empty line: only where the server is,
//	                        or behaves as, this version
func parseScript(text string) ([]step, error) {
	var steps []step
	var cond conditions
	wantReply := false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		s := step{line: i + 1, cond: cond}
		fail := func(err error) error { return fmt.Errorf("%d: %w", i+1, err) }
		var err error
		switch {
		case wantReply && line == "":
			return nil, fail(fmt.Errorf("a request without its reply; write (none) if there is none"))
		case wantReply && line == "(none)":
			wantReply = false
			continue
		case wantReply:
			s.kind, wantReply = stepReply, false
			err = s.expect(line)
		case line == "":
			cond = conditions{}
			continue
		case strings.HasPrefix(line, "# ") || line == "#":
			continue
		case strings.HasPrefix(line, "> "):
			s.args, err = splitArgs(line[2:])
			wantReply = true
		case strings.HasPrefix(line, "< "):
			s.kind = stepReply
			err = s.expect(line[2:])
		case line[0] == '@':
			var acts bool
			if acts, err = s.directive(line, &cond); err == nil && !acts {
				continue
			}
		default:
			err = fmt.Errorf("neither a request nor a directive: %q", line)
		}
		if err != nil {
			return nil, fail(err)
		}
		steps = append(steps, s)
	}
	if wantReply {
		return nil, fmt.Errorf("the last request has no reply")
	}
	return steps, nil
}

func (s *step) expect(line string) (err error) {
	if pattern, ok := strings.CutPrefix(line, "~ "); ok {
		s.match, err = regexp.Compile(pattern)
		return err
	}
	s.text = line
	return nil
}

// directive reads an @ line; acts is false for one that only sets conditions.
func (s *step) directive(line string, cond *conditions) (acts bool, err error) {
	word, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	s.text = arg
	switch word {
	case "@conn":
		s.kind = stepConn
	case "@proto":
		s.kind = stepProto
	case "@reset":
		s.kind = stepReset
	case "@sleep":
		s.kind = stepSleep
		_, err = strconv.Atoi(arg)
	case "@ours":
		cond.ours = true
		return false, nil
	case "@since":
		cond.since = arg
		return false, nil
	case "@compat":
		if arg != "7.0" && arg != "7.2" {
			return false, fmt.Errorf("@compat is 7.0 or 7.2, not %q", arg)
		}
		cond.compat = arg
		return false, nil
	default:
		return false, fmt.Errorf("unknown directive %s", word)
	}
	if needsArg := word != "@reset"; needsArg == (arg == "") {
		return false, fmt.Errorf("%s: wrong number of arguments", word)
	}
	return true, err
}

// runner runs one script.
type runner struct {
	t      *testing.T
	file   string
	target target
	conns  map[string]*Conn
	name   string // of the connection in use
	last   []string

	checked, skipped, failed int
}

const (
	mainConn    = "a"
	maxFailures = 25 // per script; what follows is mostly consequence
)

func (r *runner) run(steps []step) {
	r.name = mainConn
	for _, s := range steps {
		if r.failed >= maxFailures {
			r.t.Errorf("%s: more than %d failures, the rest is left out", r.file, maxFailures)
			return
		}
		if !s.cond.meets(r.target) {
			if s.kind == stepRequest {
				r.skipped++
			}
			continue
		}
		r.step(s)
	}
}

func (r *runner) step(s step) {
	switch s.kind {
	case stepRequest:
		r.last = s.args
		r.conn().Send(string(request(s.args...)))
	case stepReply:
		r.reply(s)
	case stepConn:
		r.name = s.text
	case stepProto:
		if v := r.conn().Do("HELLO", s.text); v.Err() != nil {
			r.t.Fatalf("%s:%d: HELLO %s: %s", r.file, s.line, s.text, v)
		}
	case stepReset:
		r.reset()
	case stepSleep:
		ms, _ := strconv.Atoi(s.text)
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
}

func (r *runner) reply(s step) {
	v, err := r.conn().readWithin(replyWait)
	if err != nil {
		r.t.Fatalf("%s:%d: %.200q: %v", r.file, s.line, r.last, err)
	}
	r.checked++
	got := v.String()
	switch {
	case s.match != nil && !s.match.MatchString(got):
		r.failed++
		r.t.Errorf("%s:%d: %.200q\n got   %s\n want  %s", r.file, s.line, r.last, got, s.match)
	case s.match == nil && got != s.text:
		r.failed++
		r.t.Errorf("%s:%d: %.200q\n got   %s\n want  %s", r.file, s.line, r.last, got, s.text)
	}
}

func (r *runner) conn() *Conn {
	c := r.conns[r.name]
	if c == nil {
		conn, err := net.DialTimeout("tcp", r.target.addr, 5*time.Second)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = conn.Close() })
		c = &Conn{Conn: conn, t: r.t}
		r.conns[r.name] = c
	}
	return c
}

// reset flushes over a connection that no earlier line can have put into
// another state.
func (r *runner) reset() {
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = map[string]*Conn{}
	r.name = mainConn
	r.conn().Expect("+OK", "FLUSHALL")
	_ = r.conn().Close()
	r.conns = map[string]*Conn{}
}

// splitArgs splits a line as redis-cli does: words at spaces, 'single' quotes
// literal but for \', "double" quotes with \n \r \t \b \a \xHH \" \\.
func splitArgs(line string) ([]string, error) {
	var args []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return args, nil
		}
		var arg strings.Builder
		for line != "" && line[0] != ' ' && line[0] != '\t' {
			var err error
			switch line[0] {
			case '"':
				line, err = doubleQuoted(&arg, line[1:])
			case '\'':
				line, err = singleQuoted(&arg, line[1:])
			default:
				arg.WriteByte(line[0])
				line = line[1:]
			}
			if err != nil {
				return nil, err
			}
		}
		args = append(args, arg.String())
	}
}

func doubleQuoted(arg *strings.Builder, line string) (rest string, err error) {
	escapes := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'a': '\a'}
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '"':
			return line[i+1:], nil
		case ch == '\\' && i+3 < len(line) && line[i+1] == 'x':
			n, err := strconv.ParseUint(line[i+2:i+4], 16, 8)
			if err != nil {
				return "", err
			}
			arg.WriteByte(byte(n))
			i += 3
		case ch == '\\' && i+1 < len(line):
			i++
			if special, ok := escapes[line[i]]; ok {
				arg.WriteByte(special)
			} else {
				arg.WriteByte(line[i])
			}
		default:
			arg.WriteByte(ch)
		}
	}
	return "", fmt.Errorf("unbalanced quotes")
}

func singleQuoted(arg *strings.Builder, line string) (rest string, err error) {
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\'':
			return line[i+1:], nil
		case ch == '\\' && i+1 < len(line) && line[i+1] == '\'':
			i++
			arg.WriteByte('\'')
		default:
			arg.WriteByte(ch)
		}
	}
	return "", fmt.Errorf("unbalanced quotes")
}

// TestConformanceScripts shows that a script which is wrong fails.
func TestConformanceScripts(t *testing.T) {
	good := "# a comment\n> SET k \"a\\x00b\" 'c d'\n+OK\n@conn b\n> BLPOP l 0\n(none)\n\n@since 7.2\n@compat 7.2\n> GET k\n~ ^\"a\n\n> PING\n+PONG\n< >[\"x\"]\n"
	steps, err := parseScript(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps[0].args, "|"); got != "SET|k|a\x00b|c d" {
		t.Errorf("arguments %q", got)
	}
	last := steps[len(steps)-1]
	if last.kind != stepReply || last.text != `>["x"]` || last.cond != (conditions{}) {
		t.Errorf("last step %+v", last)
	}
	for _, bad := range []string{"> GET k\n\n", "> GET k", "GET k\n", "@nothing\n", "@compat 6\n", "@sleep x\n", "@conn\n", "@reset now\n", "> GET \"k\n+OK\n", "> GET k\n~ (\n"} {
		if _, err := parseScript(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
	old, present, ours := target{version: "7.0.15"}, target{version: "7.2.5"}, target{version: "7.0", ours: true}
	for _, c := range []struct {
		cond                  conditions
		old, present, oursOld bool
	}{
		{conditions{}, true, true, true},
		{conditions{ours: true}, false, false, true},
		{conditions{since: "7.2"}, false, true, true},
		{conditions{compat: "7.0"}, true, false, true},
		{conditions{compat: "7.2"}, false, true, false},
	} {
		if c.cond.meets(old) != c.old || c.cond.meets(present) != c.present || c.cond.meets(ours) != c.oursOld {
			t.Errorf("conditions %+v are judged wrongly", c.cond)
		}
	}
}
