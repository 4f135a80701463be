package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"geocache/config"

	"github.com/redis/go-redis/v9"
)

// inProcess is a whole server run by the test itself.
type inProcess struct {
	client *redis.Client
	ended  chan error
}

func runServer(t *testing.T, secure *tls.Config, addr string, pairs ...config.Pair) *inProcess {
	t.Helper()
	conf := loadConfig(t, pairs...)
	p := &inProcess{ended: make(chan error, 1)}
	p.client = redis.NewClient(&redis.Options{Addr: addr, Password: "pw", TLSConfig: secure, MaxRetries: -1})
	go func() { p.ended <- Run(Options{Config: conf, Version: "test", Stdout: io.Discard}) }()
	t.Cleanup(func() {
		p.client.ShutdownNoSave(context.Background())
		select {
		case err := <-p.ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("SHUTDOWN does not end the server")
		}
		_ = p.client.Close()
	})
	within(t, 10*time.Second, "the server answers", func() bool {
		select {
		case err := <-p.ended:
			t.Fatalf("ended: %v", err)
		default:
		}
		return p.client.Ping(t.Context()).Err() == nil
	})
	return p
}

// Two whole regions over TLS with client certificates and a password.
func TestRegionsOverTLS(t *testing.T) {
	a := newAuthority(t)
	a.make("server", a.cert)
	a.make("client", a.cert)
	names := []string{"a", "b"}
	ports := twoPorts(t)
	var regions []*inProcess
	for i, name := range names {
		sibling := fmt.Sprintf("%s 127.0.0.1:%d", names[1-i], ports[1-i])
		pairs := append(a.pairs(ports[i], "yes"),
			config.Pair{Name: "region", Value: name}, config.Pair{Name: "sibling", Value: sibling}, config.Pair{Name: "sibling-tls", Value: "yes"},
			config.Pair{Name: "requirepass", Value: "pw"}, config.Pair{Name: "sibling-auth-pass", Value: "pw"})
		regions = append(regions, runServer(t, a.client(true), "127.0.0.1:"+strconv.Itoa(ports[i]), pairs...))
	}
	for i := range 50 {
		if err := regions[i%2].client.Incr(t.Context(), "n").Err(); err != nil {
			t.Fatal(err)
		}
	}
	within(t, 20*time.Second, "both count to 50", func() bool {
		x, errX := regions[0].client.Get(t.Context(), "n").Int()
		y, errY := regions[1].client.Get(t.Context(), "n").Int()
		return errX == nil && errY == nil && x == 50 && y == 50
	})

	// New certificates reach new connections.
	addr := "127.0.0.1:" + strconv.Itoa(ports[0])
	before := serial(t, addr, a.client(true))
	a.make("newer", a.cert)
	err := regions[0].client.Do(t.Context(), "config", "set", "tls-cert-file", a.path("newer.crt"), "tls-key-file", a.path("newer.key")).Err()
	if after := serial(t, addr, a.client(true)); err != nil || after == before {
		t.Errorf("certificate %s as before, %v", after, err)
	}
	if err := regions[0].client.ConfigSet(t.Context(), "tls-cert-file", a.path("none")).Err(); err == nil {
		t.Error("a certificate that is not there was accepted")
	}
}

func serial(t *testing.T, addr string, c *tls.Config) string {
	t.Helper()
	sock, err := tls.Dial("tcp", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	return sock.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func twoPorts(t *testing.T) [2]int {
	t.Helper()
	first := freePort(t)
	hold, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(first))
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	return [2]int{first, freePort(t)}
}
