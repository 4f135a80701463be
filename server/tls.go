package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"geocache/config"
)

// serverTLS builds what clients meet on tls-port.
func serverTLS(s *config.Snapshot) (*tls.Config, error) {
	if s.TLSCertFile == "" || s.TLSKeyFile == "" {
		return nil, errors.New("tls-port needs tls-cert-file and tls-key-file")
	}
	cert, err := keyPair(s.Dir, s.TLSCertFile, s.TLSKeyFile, s.TLSKeyFilePass)
	if err != nil {
		return nil, err
	}
	c, err := baseTLS(s)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{cert}
	if c.ClientCAs, err = authorities(s); err != nil {
		return nil, err
	}
	switch s.TLSAuthClients {
	case config.TLSAuthNo:
	case config.TLSAuthOptional:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	default:
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.ClientAuth != tls.NoClientCert && c.ClientCAs == nil {
		return nil, errors.New("tls-auth-clients needs tls-ca-cert-file or tls-ca-cert-dir")
	}
	return c, nil
}

// clientTLS builds what siblings at endpoint meet.
func clientTLS(s *config.Snapshot, endpoint string) (*tls.Config, error) {
	c, err := baseTLS(s)
	if err != nil {
		return nil, err
	}
	if c.RootCAs, err = authorities(s); err != nil {
		return nil, err
	}
	if c.ServerName, _, err = net.SplitHostPort(endpoint); err != nil {
		return nil, err
	}
	certFile, keyFile, pass := s.TLSClientCertFile, s.TLSClientKeyFile, s.TLSClientKeyFilePass
	if certFile == "" {
		certFile, keyFile, pass = s.TLSCertFile, s.TLSKeyFile, s.TLSKeyFilePass
	}
	if certFile != "" {
		cert, err := keyPair(s.Dir, certFile, keyFile, pass)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

func baseTLS(s *config.Snapshot) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	lowest, highest := uint16(0), uint16(0)
	seen := map[uint16]bool{}
	for _, word := range strings.Fields(s.TLSProtocols) {
		var v uint16
		switch strings.ToLower(word) {
		case "tlsv1":
			v = tls.VersionTLS10
		case "tlsv1.1":
			v = tls.VersionTLS11
		case "tlsv1.2":
			v = tls.VersionTLS12
		case "tlsv1.3":
			v = tls.VersionTLS13
		default:
			return nil, fmt.Errorf("tls-protocols: unknown version %q", word)
		}
		seen[v] = true
		if lowest == 0 || v < lowest {
			lowest = v
		}
		highest = max(highest, v)
	}
	if int(highest)-int(lowest) >= len(seen) && highest != 0 {
		return nil, errors.New("tls-protocols: the versions must follow one another")
	}
	if highest != 0 {
		c.MinVersion, c.MaxVersion = lowest, highest
	}
	return c, nil
}

// authorities is nil where none are configured.
func authorities(s *config.Snapshot) (*x509.CertPool, error) {
	var files []string
	if s.TLSCACertFile != "" {
		files = append(files, inDir(s.Dir, s.TLSCACertFile))
	}
	if s.TLSCACertDir != "" {
		dir := inDir(s.Dir, s.TLSCACertDir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("tls-ca-cert-dir: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	found := false
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("certificates of authorities: %w", err)
		}
		found = pool.AppendCertsFromPEM(text) || found
	}
	if !found {
		return nil, errors.New("no certificate of an authority in " + strings.Join(files, ", "))
	}
	return pool, nil
}

func keyPair(dir, certFile, keyFile, pass string) (tls.Certificate, error) {
	cert, err := os.ReadFile(inDir(dir, certFile))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(inDir(dir, keyFile))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("private key: %w", err)
	}
	if pass != "" {
		if key, err = decryptKey(key, pass); err != nil {
			return tls.Certificate{}, fmt.Errorf("private key %s: %w", keyFile, err)
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// decryptKey opens a key encrypted the old way, inside PEM; for the newer
// PKCS #8 form Go has no code.
func decryptKey(text []byte, pass string) ([]byte, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("not in PEM form")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("encrypted PKCS #8 is not supported: convert it with openssl rsa -aes256 -traditional, or store it unencrypted")
	//lint:ignore SA1019 weak, but it is the form that Redis' users have on disk
	case !x509.IsEncryptedPEMBlock(block):
		return text, nil
	}
	//lint:ignore SA1019 see above
	der, err := x509.DecryptPEMBlock(block, []byte(pass))
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
}
