package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"geocache/config"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert = a.make("ca", nil)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// make writes name.crt and name.key.
func (a *authority) make(name string, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer := key
	if parent == nil {
		parent = c
	} else {
		signer = a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, made
}

func (a *authority) client(withCert bool) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
	if withCert {
		pair, err := tls.LoadX509KeyPair(a.path("client.crt"), a.path("client.key"))
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

func (a *authority) pairs(port int, auth string) []config.Pair {
	return []config.Pair{
		{Name: "bind", Value: "127.0.0.1"}, {Name: "port", Value: "0"}, {Name: "tls-port", Value: strconv.Itoa(port)},
		{Name: "tls-cert-file", Value: a.path("server.crt")}, {Name: "tls-key-file", Value: a.path("server.key")},
		{Name: "tls-ca-cert-file", Value: a.path("ca.crt")}, {Name: "tls-auth-clients", Value: auth},
	}
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.make("server", a.cert)
	a.make("client", a.cert)
	for _, test := range []struct {
		auth     string
		withCert bool
		ok       bool
	}{{"no", false, true}, {"optional", false, true}, {"optional", true, true}, {"yes", true, true}, {"yes", false, false}} {
		port := freePort(t)
		r := newRig(t, a.pairs(port, test.auth)...)
		c, err := serverTLS(r.conf.Load())
		if err != nil {
			t.Fatal(err)
		}
		r.listen.secure.Store(c)
		r.start()
		raw := dial(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		secure := wrapClient(t, tls.Client(raw.Conn, a.client(test.withCert)))
		_, err = secure.Write([]byte("echo s\nbig 3000000\n"))
		if err == nil {
			_, err = secure.r.Peek(1)
		}
		if (err == nil) != test.ok {
			t.Fatalf("auth %s, certificate %v: %v", test.auth, test.withCert, err)
		}
		f := <-r.sessions
		if !test.ok {
			closedSoon(t, f)
		} else {
			secure.expect("s")
			secure.expect(strings.Repeat("x", 3000000-1))
			f.push("news")
			secure.expect("news")
			secure.send("quit\n")
			secure.expect("bye")
			secure.expectEOF()
		}
		r.listen.close()
	}
}

// A handshake that never comes does not count for ever, and output written
// before it waits.
func TestTLSWithoutHandshake(t *testing.T) {
	a := newAuthority(t)
	a.make("server", a.cert)
	port := freePort(t)
	r := newRig(t, a.pairs(port, "no")...)
	c, err := serverTLS(r.conf.Load())
	if err != nil {
		t.Fatal(err)
	}
	r.listen.secure.Store(c)
	r.start()
	raw := dial(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	f := <-r.sessions
	f.push("early")
	raw.send("echo plain text is no handshake\n")
	closedSoon(t, f)
}

func TestTLSMistakes(t *testing.T) {
	a := newAuthority(t)
	a.make("server", a.cert)
	base := a.pairs(1, "yes")
	change := func(name, value string) []config.Pair {
		list := append([]config.Pair{}, base...)
		return append(list, config.Pair{Name: name, Value: value})
	}
	for _, pairs := range [][]config.Pair{
		change("tls-cert-file", a.path("none")), change("tls-key-file", a.path("ca.key")),
		change("tls-ca-cert-file", `""`), change("tls-ca-cert-file", a.path("server.key")),
		change("tls-protocols", `"TLSv1.2 SSLv3"`), change("tls-protocols", `"TLSv1.1 TLSv1.3"`),
		change("tls-cert-file", `""`),
	} {
		if _, err := serverTLS(loadConfig(t, pairs...).Load()); err == nil {
			t.Errorf("accepted %v", pairs[len(pairs)-1])
		}
	}
	s := loadConfig(t, change("tls-protocols", `"TLSv1.3"`)...).Load()
	if c, err := serverTLS(s); err != nil || c.MinVersion != tls.VersionTLS13 || c.MaxVersion != tls.VersionTLS13 {
		t.Errorf("%v", err)
	}
}
