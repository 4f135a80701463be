package server

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"geocache/command"
	"geocache/config"
)

// encrypt writes name.pem, the key under a password.
func (a *authority) encrypt(name, pass string) string {
	a.t.Helper()
	text, err := os.ReadFile(a.path(name + ".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	//lint:ignore SA1019 the form that tls-key-file-pass is for
	block, err = x509.EncryptPEMBlock(rand.Reader, block.Type, block.Bytes, []byte(pass), x509.PEMCipherAES256)
	if err == nil {
		err = os.WriteFile(a.path(name+".pem"), pem.EncodeToMemory(block), 0o600)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return a.path(name + ".pem")
}

// TestTLSParameters: each of the files and passwords is the one that is used.
func TestTLSParameters(t *testing.T) {
	a := newAuthority(t)
	a.make("server", a.cert)
	a.make("client", a.cert)
	load := func(pairs ...config.Pair) *config.Snapshot {
		return loadConfig(t, append(a.pairs(1, "yes"), pairs...)...).Load()
	}
	subject := func(c *tls.Config, err error) string {
		t.Helper()
		if err != nil {
			return err.Error()
		}
		cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return cert.Subject.CommonName
	}
	const endpoint = "127.0.0.1:1"

	key := config.Pair{Name: "tls-key-file", Value: a.encrypt("server", "secret")}
	if have := subject(serverTLS(load(key, config.Pair{Name: "tls-key-file-pass", Value: "secret"}))); have != "server" {
		t.Errorf("tls-key-file-pass: %s", have)
	}
	for _, pass := range []string{`""`, "wrong"} {
		if _, err := serverTLS(load(key, config.Pair{Name: "tls-key-file-pass", Value: pass})); err == nil {
			t.Errorf("tls-key-file-pass %s opens the key", pass)
		}
	}

	if have := subject(clientTLS(load(), endpoint)); have != "server" {
		t.Errorf("siblings are shown %s", have)
	}
	own := []config.Pair{{Name: "tls-client-cert-file", Value: a.path("client.crt")}, {Name: "tls-client-key-file", Value: a.path("client.key")}}
	if have := subject(clientTLS(load(own...), endpoint)); have != "client" {
		t.Errorf("tls-client-cert-file, tls-client-key-file: siblings are shown %s", have)
	}
	own[1].Value = a.encrypt("client", "other")
	if _, err := clientTLS(load(own...), endpoint); err == nil {
		t.Error("an encrypted key is opened without tls-client-key-file-pass")
	}
	own = append(own, config.Pair{Name: "tls-client-key-file-pass", Value: "other"})
	if have := subject(clientTLS(load(own...), endpoint)); have != "client" {
		t.Errorf("tls-client-key-file-pass: %s", have)
	}

	dir := t.TempDir()
	text, err := os.ReadFile(a.path("ca.crt"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "any.name"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	none := config.Pair{Name: "tls-ca-cert-file", Value: `""`}
	if _, err := serverTLS(load(none)); err == nil {
		t.Error("clients' certificates are checked against nobody's")
	}
	c, err := serverTLS(load(none, config.Pair{Name: "tls-ca-cert-dir", Value: dir}))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	if !c.ClientCAs.Equal(pool) {
		t.Error("tls-ca-cert-dir: the authorities are not those of the directory")
	}

	c, err = serverTLS(load(config.Pair{Name: "tls-protocols", Value: "TLSv1.3"}))
	if err != nil || c.MinVersion != tls.VersionTLS13 || c.MaxVersion != tls.VersionTLS13 {
		t.Errorf("tls-protocols TLSv1.3: %+v, %v", c, err)
	}
}

// TestUnsent: a session knows what its client has not read.
func TestUnsent(t *testing.T) {
	r, addr := startTCP(t)
	c := dial(t, "tcp", addr)
	f := <-r.sessions
	const size = 30_000_000
	c.send("big 30000000\n")
	within(t, 5*time.Second, "the transport holds the reply", func() bool {
		n := f.unsent.Load()
		return n > size/4 && n < size
	})
	if n, err := io.CopyN(io.Discard, c.r, size); err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	within(t, 5*time.Second, "the transport holds nothing", func() bool { return f.unsent.Load() == 0 })
}

func TestShutdownMode(t *testing.T) {
	for flags, want := range map[config.ShutdownFlags]command.ShutdownMode{
		0:                                        {},
		config.ShutdownSave | config.ShutdownNow: {Save: command.Yes, Now: command.On},
		config.ShutdownNoSave:                    {Save: command.No},
		config.ShutdownForce | config.ShutdownNow: {Now: command.On, Force: command.On},
	} {
		if have := shutdownMode(flags); have != want {
			t.Errorf("flags %d: %+v, want %+v", flags, have, want)
		}
	}
}
