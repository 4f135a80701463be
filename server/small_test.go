package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geocache/config"
)

func TestFloorPercent(t *testing.T) {
	const floor = 32 << 20
	for live, want := range map[uint64]int{0: 800, 1 << 20: 800, 4 << 20: 700, 16 << 20: 100, 1 << 30: 100} {
		got := floorPercent(live, floor)
		if got != want {
			t.Errorf("%d live: %d, want %d", live, got, want)
		}
		if goal := live * uint64(100+got) / 100; live < floor/2 && goal > floor {
			t.Errorf("%d live: grows to %d", live, goal)
		}
	}
	if got := floorPercent(1<<20, minFloor); got != defaultPercent {
		t.Errorf("at the lowest floor: %d", got)
	}
}

func TestTextLog(t *testing.T) {
	var out bytes.Buffer
	conf := loadConfig(t)
	log, _, err := newLog(conf, &out)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("hidden")
	log.With("a", 1).WithGroup("g").Info("hello", "b", "two words", "c", "", "err", errors.New("x=y"), slog.Group("in", "d", 3))
	if err := conf.Set([]config.Pair{{Name: "loglevel", Value: "warning"}}, config.Caller{}); err != nil {
		t.Fatal(err)
	}
	log.Info("hidden")
	log.Warn("multi\nline", "k", "a\nb")
	want := ` notice hello a=1 g.b="two words" g.c="" g.err="x=y" g.in.d=3` + "\n"
	if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "hidden") || !strings.Contains(got, `k="a\nb"`) {
		t.Errorf("%s", got)
	}
}

func TestJSONLogFile(t *testing.T) {
	conf := loadConfig(t, config.Pair{Name: "log-format", Value: "json"}, config.Pair{Name: "logfile", Value: "x.log"})
	log, file, err := newLog(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello", "n", 1)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(conf.Load().Dir, "x.log"))
	if err != nil || !bytes.Contains(text, []byte(`"level":"notice","msg":"hello","n":1`)) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestReplaceFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(name, "new"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	info, err2 := os.Stat(name)
	if err != nil || err2 != nil || string(text) != "new" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q %v %v %v", text, info.Mode(), err, err2)
	}
	if list, err := os.ReadDir(filepath.Dir(name)); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if err := replaceFile(filepath.Join(name, "below a file"), "x"); err == nil {
		t.Error("no error")
	}
}

func TestSupervisor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	sock, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	for mode, told := range map[config.Supervisor]bool{config.SupervisorSystemd: true, config.SupervisorAuto: true, config.SupervisorNone: false} {
		newSupervisor(mode, quietLog()).tell("READY=1\n")
		if err := sock.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := sock.Read(buf)
		if got := err == nil && string(buf[:n]) == "READY=1\n"; got != told {
			t.Errorf("mode %d: %v, %v", mode, got, err)
		}
	}
}

func TestProcessNumbers(t *testing.T) {
	s := &Server{conf: loadConfig(t)}
	p := s.process()
	if p.PID != os.Getpid() || p.RSSBytes < 1<<20 || p.TotalMemoryBytes < 1<<20 || p.HeapBytes < 1<<10 || p.UserCPUMicros+p.SysCPUMicros <= 0 {
		t.Errorf("%+v", p)
	}
}

func TestMaxClientsFitsTheLimit(t *testing.T) {
	conf := loadConfig(t, config.Pair{Name: "maxclients", Value: "100000000"})
	if err := fitMaxClients(conf, quietLog()); err != nil {
		t.Fatal(err)
	}
	fits := conf.Load().MaxClients
	if fits < 1 || fits >= 100000000 {
		t.Errorf("maxclients %d", fits)
	}
	err := conf.Set([]config.Pair{{Name: "maxclients", Value: "100000001"}}, config.Caller{})
	if err == nil || !strings.Contains(err.Error(), "not able to handle the specified number of clients") {
		t.Errorf("%v", err)
	}
}
