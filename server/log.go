package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"geocache/config"
)

// Redis' levels on slog's scale.
const (
	levelVerbose = slog.LevelInfo - 2
	levelNothing = slog.LevelError + 100
)

func slogLevel(l config.LogLevel) slog.Level {
	switch l {
	case config.LogDebug:
		return slog.LevelDebug
	case config.LogVerbose:
		return levelVerbose
	case config.LogWarning:
		return slog.LevelWarn
	case config.LogNothing:
		return levelNothing
	}
	return slog.LevelInfo
}

func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warning"
	case l >= slog.LevelInfo:
		return "notice"
	case l >= levelVerbose:
		return "verbose"
	}
	return "debug"
}

// newLog opens the log that the configuration asks for; closer is the log file,
// if there is one. The level follows CONFIG SET.
func newLog(conf *config.Config, stdout io.Writer) (log *slog.Logger, closer io.Closer, err error) {
	s := conf.Load()
	w := stdout
	if s.LogFile != "" {
		f, err := os.OpenFile(inDir(s.Dir, s.LogFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("can't open the log file: %w", err)
		}
		w, closer = f, f
	}
	level := &slog.LevelVar{}
	level.Set(slogLevel(s.LogLevel))
	conf.OnChange("loglevel", func(_, next *config.Snapshot) error {
		level.Set(slogLevel(next.LogLevel))
		return nil
	})
	if s.LogFormat == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: jsonLevel})), closer, nil
	}
	return slog.New(&lineHandler{sink: &lineSink{w: w}, level: level, pid: os.Getpid()}), closer, nil
}

func jsonLevel(groups []string, a slog.Attr) slog.Attr {
	if l, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(levelName(l))
	}
	return a
}

// lineHandler writes one line per record: process id, local time, level,
// message, then attributes as name=value.
type lineHandler struct {
	sink   *lineSink
	level  slog.Leveler
	pid    int
	prefix string // of attribute names, from groups
	attrs  string // rendered
}

type lineSink struct {
	mu sync.Mutex
	w  io.Writer
}

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 160)
	b = strconv.AppendInt(b, int64(h.pid), 10)
	b = append(b, ' ')
	b = r.Time.AppendFormat(b, "2006-01-02 15:04:05.000")
	b = append(b, ' ')
	b = append(b, levelName(r.Level)...)
	b = append(b, ' ')
	b = append(b, r.Message...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.prefix, a)
		return true
	})
	b = append(b, '\n')
	h.sink.mu.Lock()
	defer h.sink.mu.Unlock()
	_, err := h.sink.w.Write(b)
	return err
}

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	b := []byte(h.attrs)
	for _, a := range attrs {
		b = appendAttr(b, h.prefix, a)
	}
	n.attrs = string(b)
	return &n
}

// WithGroup implements slog.Handler.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	n := *h
	if name != "" {
		n.prefix += name + "."
	}
	return &n
}

func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			b = appendAttr(b, prefix, inner)
		}
		return b
	}
	b = append(b, ' ')
	b = append(b, prefix...)
	b = append(b, a.Key...)
	b = append(b, '=')
	if v.Kind() == slog.KindTime {
		return v.Time().AppendFormat(b, time.RFC3339Nano)
	}
	text := v.String()
	if text == "" || strings.ContainsFunc(text, needsQuotes) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

// needsQuotes: what would make a line ambiguous or break it.
func needsQuotes(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f }
