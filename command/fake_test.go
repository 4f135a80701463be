package command

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"geocache/config"
	"geocache/engine"
	"geocache/pubsub"
	"geocache/resp"
)

// fakeSession is a session that remembers what handlers did to it.
type fakeSession struct {
	h        *harness
	ip       netip.Addr
	name     string
	user     string
	password string // of the user "default"
	listens  bool
	did      []string
}

func (s *fakeSession) note(format string, args ...any) {
	s.did = append(s.did, fmt.Sprintf(format, args...))
}

func (s *fakeSession) ID() int64      { return 7 }
func (s *fakeSession) IP() netip.Addr { return s.ip }
func (s *fakeSession) Proto() int     { return s.h.out.Proto() }
func (s *fakeSession) SetProto(v int) { s.h.out.SetProto(v) }
func (s *fakeSession) DB() int        { return s.h.db }
func (s *fakeSession) SelectDB(n int) { s.h.db = n }
func (s *fakeSession) Name() string   { return s.name }
func (s *fakeSession) SetName(n string) {
	s.name = n
}
func (s *fakeSession) SetLib(attribute, value string) { s.note("%s=%s", attribute, value) }
func (s *fakeSession) Authenticate(user, password []byte) error {
	if string(user) != defaultUser || string(password) != s.password && s.password != "" {
		return resp.ErrWrongPass
	}
	s.user = string(user)
	return nil
}
func (s *fakeSession) Authenticated() bool  { return s.user != "" || s.password == "" }
func (s *fakeSession) SetNoEvict(v Switch)  { s.note("no-evict %d", v) }
func (s *fakeSession) SetNoTouch(v Switch)  { s.note("no-touch %d", v) }
func (s *fakeSession) SetReply(m ReplyMode) { s.note("reply %d", m) }
func (s *fakeSession) CloseAfterReply()     { s.note("close") }
func (s *fakeSession) Reset() {
	s.h.out.SetProto(2)
	s.note("reset")
}
func (s *fakeSession) Line() string { return "id=7 name=" + s.name }
func (s *fakeSession) Await(work func() (any, error)) (bool, any, error) {
	v, err := work()
	return true, v, err
}
func (s *fakeSession) SleepUntil(ms int64) { s.note("sleep %d", ms-s.h.clock.NowMs()) }
func (s *fakeSession) Subscribe(k pubsub.Kind, names [][]byte) {
	s.note("subscribe %d %s", k, names)
}
func (s *fakeSession) Unsubscribe(k pubsub.Kind, names [][]byte) {
	s.note("unsubscribe %d %s", k, names)
}
func (s *fakeSession) OnlyListens() bool { return s.listens }
func (s *fakeSession) Publish(k pubsub.Kind, channel, message []byte) int {
	s.note("publish %d %s %s", k, channel, message)
	return 3
}
func (s *fakeSession) InMulti() bool  { return false }
func (s *fakeSession) BeginMulti()    { s.note("multi") }
func (s *fakeSession) Discard()       { s.note("discard") }
func (s *fakeSession) Watch([][]byte) { s.note("watch") }
func (s *fakeSession) Unwatch()       { s.note("unwatch") }
func (s *fakeSession) Exec()          { s.note("exec") }

// fakeHost is a region that remembers what handlers asked of it. Errors are
// what the next call that can fail returns.
type fakeHost struct {
	memory MemoryInfo
	harnessHost
	err     error
	regions fakeRegions
	pubsub  *pubsub.Registry[int]
	did     []string
}

func (f *fakeHost) note(format string, args ...any) {
	f.did = append(f.did, fmt.Sprintf(format, args...))
}

func (f *fakeHost) Debug() Debug     { return fakeDebug{f} }
func (f *fakeHost) NowMicros() int64 { return f.h.clock.NowMs()*1000 + 42 }
func (f *fakeHost) ClientLines(c ClientFilter) []string {
	f.note("list%s", filterText(c))
	return []string{"id=7 a", "id=8 b"}
}
func (f *fakeHost) KillClients(c ClientFilter, _ Session) int {
	f.note("kill%s", filterText(c))
	if c.Addr == "1.2.3.4:5" || len(c.IDs) == 1 && c.IDs[0] == 8 {
		return 1
	}
	return 0
}

// filterText shows the fields of a filter that are set.
func filterText(c ClientFilter) (text string) {
	if len(c.IDs) > 0 {
		text = " IDs:" + strings.ReplaceAll(strings.Trim(fmt.Sprint(c.IDs), "[]"), " ", ",")
	}
	for _, f := range []struct{ name, value string }{
		{"Addr", c.Addr}, {"LAddr", c.LAddr}, {"User", c.User}, {"Type", c.Type},
	} {
		if f.value != "" {
			text += " " + f.name + ":" + f.value
		}
	}
	if c.MaxAgeSec != 0 {
		text += fmt.Sprintf(" MaxAgeSec:%d", c.MaxAgeSec)
	}
	if c.SkipMe == On {
		text += " SkipMe:1"
	}
	return text
}

func (f *fakeHost) HasUser(name string) bool { return name == defaultUser }
func (f *fakeHost) Pause(untilMs int64, m PauseMode) {
	f.note("pause %d %d", untilMs-f.h.clock.NowMs(), m)
}
func (f *fakeHost) Unpause() { f.note("unpause") }
func (f *fakeHost) Unblock(id int64, asError Switch) bool {
	f.note("unblock %d %d", id, asError)
	return id == 8
}
func (f *fakeHost) ConfigSet(pairs []config.Pair, caller config.Caller, _ Switch) error {
	return f.h.config.Set(pairs, caller)
}
func (f *fakeHost) ConfigRewrite() error { return f.err }
func (f *fakeHost) ResetStats()          { f.note("resetstats") }
func (f *fakeHost) Info(sections []string, _ func() map[int]engine.DBInfo) string {
	return fmt.Sprintf("%q", sections)
}
func (f *fakeHost) Shutdown(m ShutdownMode) error {
	f.note("shutdown %+v", m)
	return f.err
}
func (f *fakeHost) Save() error {
	f.note("save")
	return f.err
}
func (f *fakeHost) SaveInBackground(t SaveTime) error {
	f.note("bgsave %d", t)
	return f.err
}
func (f *fakeHost) Flushed()          { f.note("flushed") }
func (f *fakeHost) LastSaveMs() int64 { return 1_700_000_000_999 }
func (f *fakeHost) RewriteLog() error {
	f.note("rewrite")
	return f.err
}
func (f *fakeHost) Subscriptions() Subscriptions { return f.pubsub }
func (f *fakeHost) Memory() MemoryInfo           { return f.memory }
func (f *fakeHost) PurgeMemory()                 { f.note("purge") }
func (f *fakeHost) SetActiveExpire(s Switch)     { f.note("active-expire %d", s) }
func (f *fakeHost) Regions() Regions             { return &f.regions }

// fakeRegions is a deployment of two regions.
type fakeRegions struct {
	infos   []RegionInfo
	answers []ClosestAnswer
	query   ClosestQuery
	added   RegionSpec
	err     error
	refused resp.Error
	did     []string
}

func (r *fakeRegions) List() []RegionInfo { return r.infos }
func (r *fakeRegions) Add(s RegionSpec) error {
	r.added = s
	return r.err
}
func (r *fakeRegions) Remove(name string) error {
	r.did = append(r.did, "remove "+name)
	return r.err
}
func (r *fakeRegions) SetDrain(s Switch) { r.did = append(r.did, fmt.Sprintf("drain %d", s)) }
func (r *fakeRegions) Digest() (uint64, string) {
	return 0xabc, "toronto:5"
}
func (r *fakeRegions) Closest(q ClosestQuery) ([]ClosestAnswer, resp.Error) {
	r.query = q
	return r.answers[:min(q.Count, len(r.answers))], r.refused
}
func (r *fakeRegions) Frame(from string, frame []byte) error {
	r.did = append(r.did, fmt.Sprintf("frame %s %q", from, frame))
	return r.err
}
func (r *fakeRegions) Syncing() bool    { return false }
func (r *fakeRegions) Configured() bool { return len(r.infos) > 1 }

// newFake is a harness whose session and host are fakes.
func newFake(t testing.TB) (h *harness, s *fakeSession, host *fakeHost) {
	t.Helper()
	h = newHarness(t)
	s = &fakeSession{h: h, ip: netip.MustParseAddr("127.0.0.1")}
	host = &fakeHost{harnessHost: harnessHost{h: h}, pubsub: pubsub.New[int](globMatch)}
	h.sess, h.host = s, host
	return h, s, host
}

// did returns and forgets what was noted, as one text.
func did(list *[]string) string {
	text := fmt.Sprint(*list)
	*list = nil
	return text
}

var errDisk = errors.New("no space left on device")

// fakeDebug notes what DEBUG asks for.
type fakeDebug struct{ f *fakeHost }

func (d fakeDebug) Reload(m ReloadMode) error {
	d.f.note("reload %v", m)
	return d.f.err
}
func (d fakeDebug) LoadLog() error {
	d.f.note("loadlog")
	return d.f.err
}
func (d fakeDebug) Digest() (string, error) { return "d1", d.f.err }
func (d fakeDebug) DigestValues(keys []engine.Key) ([]string, error) {
	return make([]string, len(keys)), d.f.err
}
func (d fakeDebug) Object(k engine.Key) (ObjectInfo, error) {
	return ObjectInfo{Encoding: "raw", SerializedBytes: 9, IdleMs: 5000, Elements: len(k.Name) - 2}, d.f.err
}
func (d fakeDebug) Tables(int) (engine.DBInfo, error) { return engine.DBInfo{Keys: 3}, d.f.err }
func (d fakeDebug) Populate(p Population) error {
	d.f.note("populate %v", p)
	return d.f.err
}
func (d fakeDebug) Log(text string) { d.f.note("log %s", text) }
