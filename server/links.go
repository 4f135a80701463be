package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"geocache/config"
	"geocache/geo"
	"geocache/node"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// linkNode is what links need of a node.
type linkNode interface {
	Siblings() []node.Sibling
	TakeFrames() []node.Frame
	LinkUp(peer string)
	LinkDown(peer string, err error)
	LinkRefused(peer string, err error)
	LinkSample(peer string, o geo.Outcome, rtt time.Duration)
}

const (
	// linkConns is how many frames to one sibling may be in flight: enough to
	// keep a link of 150 ms busy.
	linkConns = 8
	// Bounds of what waits for a link. What is dropped counts as lost on the
	// way, and the protocol sends it again: after a pause, so there is room for
	// more frames than it keeps unacknowledged.
	linkQueueFrames = 2048
	linkQueueBytes  = 64 << 20

	linkCallTimeout = 10 * time.Second
	linkDialTimeout = 5 * time.Second
	// probeTimeout leaves room for TCP, TLS and login over the longest way
	// around the world.
	probeTimeout = 2 * time.Second
	// Probes measure round trips and find out whether a sibling is there. They
	// begin close together and come apart while the answer stays the same.
	firstProbe    = 100 * time.Millisecond
	probeUpEvery  = 500 * time.Millisecond
	probeDownMost = 2 * time.Second
	// failuresToDown is how many probes must fail in a row.
	failuresToDown = 3
)

// links are the connections to all siblings.
type links struct {
	node linkNode
	conf *config.Config
	log  *slog.Logger
	// reloads counts changes of what a link is made of.
	reloads atomic.Uint64

	mu     sync.Mutex
	byName map[string]*link
}

func newLinks(n linkNode, conf *config.Config, log *slog.Logger) *links {
	l := &links{node: n, conf: conf, log: log, byName: map[string]*link{}}
	conf.OnChangeOf([]string{
		"sibling-auth-user", "sibling-auth-pass", "sibling-tls", "sibling-allow-plaintext",
		"tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-client-cert-file", "tls-client-key-file",
		"tls-client-key-file-pass", "tls-ca-cert-file", "tls-ca-cert-dir", "tls-protocols",
	}, func(_, _ *config.Snapshot) error {
		l.reloads.Add(1)
		return nil
	})
	return l
}

// LogClients lets what go-redis has to say go to log. It is for the whole
// process, and so for its owner to call, before any server has links.
func LogClients(log *slog.Logger) { redis.SetLogger(quietRedis{log}) }

// quietRedis keeps go-redis from writing to the standard error: what matters of
// a failed call is in its error.
type quietRedis struct{ log *slog.Logger }

// Printf implements go-redis' logger.
func (q quietRedis) Printf(_ context.Context, format string, v ...any) {
	q.log.Debug("go-redis: " + fmt.Sprintf(format, v...))
}

// step brings links in line with the siblings and hands out frames.
func (l *links) step() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reconcile()
	for _, f := range l.node.TakeFrames() {
		if k := l.byName[f.Peer]; k != nil {
			k.offer(f.Data)
		}
	}
}

func (l *links) reconcile() {
	siblings, reloads := l.node.Siblings(), l.reloads.Load()
	for name, k := range l.byName {
		stays := slices.ContainsFunc(siblings, func(s node.Sibling) bool {
			return s.Name == name && s.Endpoint == k.endpoint && s.Generation == k.generation && k.reloads == reloads
		})
		if !stays {
			k.close()
			delete(l.byName, name)
		}
	}
	for _, s := range siblings {
		if l.byName[s.Name] == nil {
			l.byName[s.Name] = l.open(s, reloads)
		}
	}
}

// close ends all links.
func (l *links) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.SortedFunc(maps.Keys(l.byName), cmp.Compare[string]) {
		l.byName[name].close()
		delete(l.byName, name)
	}
}

// link is the way to one sibling.
type link struct {
	name, endpoint, self string
	generation, reloads  uint64
	node                 linkNode
	log                  *slog.Logger
	client               *redis.Client
	dials                atomic.Int64
	delivered            atomic.Int64 // frames that the sibling answered
	refused              atomic.Bool  // it answered the last one with an error
	cancel               context.CancelFunc

	queue  chan []byte
	queued atomic.Int64 // bytes
	up     atomic.Bool
}

func (l *links) open(s node.Sibling, reloads uint64) *link {
	snap := l.conf.Load()
	ctx, cancel := context.WithCancel(context.Background())
	k := &link{
		name: s.Name, endpoint: s.Endpoint, self: snap.Region, generation: s.Generation, reloads: reloads,
		node: l.node, log: l.log.With("sibling", s.Name), cancel: cancel, queue: make(chan []byte, linkQueueFrames),
	}
	k.client = redis.NewClient(&redis.Options{
		Addr: s.Endpoint, Username: snap.SiblingAuthUser, Password: snap.SiblingAuthPass, Protocol: 2,
		ClientName: "sibling-" + snap.Region, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   k.dialer(snap),
		DialTimeout:              linkDialTimeout, DialerRetries: 1, MaxRetries: -1,
		ReadTimeout: linkCallTimeout, WriteTimeout: linkCallTimeout, ContextTimeoutEnabled: true,
		PoolSize: linkConns + 1, MaxActiveConns: linkConns + 1, // one for probes
	})
	for range linkConns {
		go k.work(ctx)
	}
	go k.probe(ctx)
	return k
}

func (k *link) close() {
	k.cancel()
	if err := k.client.Close(); err != nil {
		k.log.Debug("closing a link failed", "error", err)
	}
}

// offer queues a frame, or drops it.
func (k *link) offer(data []byte) {
	size := int64(len(data))
	if k.queued.Add(size) > linkQueueBytes {
		k.queued.Add(-size)
		return
	}
	select {
	case k.queue <- data:
	default:
		k.queued.Add(-size)
	}
}

func (k *link) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-k.queue:
			k.queued.Add(-int64(len(data)))
			if !k.up.Load() {
				continue
			}
			k.deliver(ctx, data)
		}
	}
}

func (k *link) deliver(ctx context.Context, data []byte) {
	call, cancel := context.WithTimeout(ctx, linkCallTimeout)
	defer cancel()
	err := k.client.Do(call, "region", "frame", k.self, data).Err()
	var refusal redis.Error
	switch {
	case ctx.Err() != nil: // the link is being closed
	case err == nil:
		k.delivered.Add(1)
		if k.refused.Load() && k.refused.Swap(false) {
			k.node.LinkRefused(k.name, nil)
		}
	case errors.As(err, &refusal): // the sibling is well; the protocol sends again
		k.delivered.Add(1)
		if !k.refused.Swap(true) {
			k.log.Warn("the sibling refuses frames", "endpoint", k.endpoint, "error", err)
		}
		k.node.LinkRefused(k.name, err)
	default:
		k.log.Debug("a frame was not delivered", "error", err)
		k.node.LinkSample(k.name, outcome(err), 0)
	}
}

// probe calls the sibling again and again and decides whether the link is up.
func (k *link) probe(ctx context.Context) {
	pause, failures, told := time.Duration(0), 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		delivered := k.delivered.Load()
		rtt, err := k.ping(ctx)
		if ctx.Err() != nil {
			return
		}
		if k.delivered.Load() != delivered {
			err = nil // late behind frames, on a narrow line
		}
		k.node.LinkSample(k.name, outcome(err), rtt)
		if (err == nil) != (failures == 0) || pause == 0 {
			pause = firstProbe / 2
		}
		if err == nil {
			failures, told = 0, false
			pause = min(2*pause, probeUpEvery)
			if !k.up.Swap(true) {
				k.log.Info("sibling link up", "endpoint", k.endpoint)
				k.node.LinkUp(k.name)
			}
			continue
		}
		failures++
		pause = min(2*pause, probeDownMost)
		if failures >= failuresToDown && !told {
			told = true
			k.up.Store(false)
			k.log.Warn("sibling link down", "endpoint", k.endpoint, "error", err)
			k.node.LinkDown(k.name, err)
		}
	}
}

// ping returns the round trip, or 0 if there was a dial in it.
func (k *link) ping(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dials, start := k.dials.Load(), time.Now()
	err := k.client.Ping(ctx).Err()
	if err != nil || k.dials.Load() != dials {
		return 0, err
	}
	return time.Since(start), nil
}

func outcome(err error) geo.Outcome {
	switch {
	case err == nil:
		return geo.OK
	case errors.Is(err, syscall.ECONNREFUSED):
		return geo.Refused
	}
	return geo.Failed
}

// errPlaintext refuses to send data over a network unprotected.
var errPlaintext = errors.New("sibling is not on loopback: set sibling-tls, sibling-auth-pass or sibling-allow-plaintext yes")

// dialer connects as the configuration of that moment asks. The configuration
// has checked literal addresses; what a name resolves to shows only here.
func (k *link) dialer(s *config.Snapshot) func(context.Context, string, string) (net.Conn, error) {
	plaintextOK := s.SiblingTLS || s.SiblingAuthPass != "" || s.SiblingAllowPlaintext
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		k.dials.Add(1)
		ctx, cancel := context.WithTimeout(ctx, linkDialTimeout)
		defer cancel()
		sock, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if tcp, ok := sock.RemoteAddr().(*net.TCPAddr); !plaintextOK && !(ok && tcp.IP.IsLoopback()) {
			return nil, errors.Join(errPlaintext, sock.Close())
		}
		if !s.SiblingTLS {
			return sock, nil
		}
		c, err := clientTLS(s, addr)
		if err != nil {
			return nil, errors.Join(err, sock.Close())
		}
		secure := tls.Client(sock, c)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, sock.Close())
		}
		return secure, nil
	}
}
