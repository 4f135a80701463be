package tests

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestProtocolErrors sends what no client should. Each gets the answer that
// Redis gives, the connection ends, and the server goes on for everybody else.
func TestProtocolErrors(t *testing.T) {
	s := startServer(t)
	bystander := s.Dial()
	long := strings.Repeat("1", 70<<10)
	cases := []struct{ name, raw, want string }{
		{"largest bulk length", "*1\r\n$9223372036854775807\r\nx", "invalid bulk length"},
		{"bulk length beyond 64 bits", "*1\r\n$9223372036854775808\r\nx", "invalid bulk length"},
		{"bulk length over the limit", "*1\r\n$536870913\r\nx", "invalid bulk length"},
		{"negative bulk length", "*1\r\n$-5\r\n", "invalid bulk length"},
		{"null bulk", "*1\r\n$-1\r\n", "invalid bulk length"},
		{"bulk length is no number", "*1\r\n$abc\r\n", "invalid bulk length"},
		{"count over the limit", "*2147483648\r\n", "invalid multibulk length"},
		{"largest count", "*9223372036854775807\r\n", "invalid multibulk length"},
		{"count is no number", "*1x\r\n", "invalid multibulk length"},
		{"simple string as argument", "*1\r\n+PING\r\n", "expected '$', got '+'"},
		{"count line without end", "*" + long, "too big mbulk count string"},
		{"length line without end", "*1\r\n$" + long, "too big bulk count string"},
		{"inline line without end", long, "too big inline request"},
		{"inline quotes", "SET k \"v\r\n", "unbalanced quotes in request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, "tcp", s.Addr())
			conn.Send(c.raw)
			conn.ExpectReply("-ERR Protocol error: " + c.want)
			conn.ExpectClosed()
			bystander.Expect("+PONG", "PING")
		})
	}
}

// TestProtocolEmpty sends requests without a command: they get no reply.
func TestProtocolEmpty(t *testing.T) {
	c := startServer(t).Dial()
	for _, raw := range []string{"*0\r\n", "*-1\r\n", "*-10\r\n", "\r\n", "\n", "   \r\n", `""` + "\r\n"} {
		c.Send(raw)
		if raw == `""`+"\r\n" {
			c.ExpectReply(`-ERR unknown command '', with args beginning with: `)
		}
		c.Expect("+PONG", "PING")
	}
}

func TestProtocolInline(t *testing.T) {
	c := startServer(t).Dial()
	for _, step := range []struct{ raw, want string }{
		{"PING\r\n", "+PONG"},
		{"ping\n", "+PONG"},
		{"  SET  key   'single \"quoted\"'  \r\n", "+OK"},
		{"GET key\r\n", `"single \"quoted\""`},
		{"SET key \"\\x00\\n\\\"\"\r\n", "+OK"},
		{"GET key\r\n", `"\x00\n\""`},
		{"ECHO \"\"\r\n", `""`},
		{"\r\n\r\nPING\r\n", "+PONG"},
	} {
		c.Send(step.raw)
		c.ExpectReply(step.want)
	}
}

// TestProtocolBeforeAuth holds clients that have not said the password to small
// requests.
func TestProtocolBeforeAuth(t *testing.T) {
	s := startServer(t, "--requirepass", "secret")
	for _, c := range []struct{ raw, want string }{
		{"*11\r\n", "unauthenticated multibulk length"},
		{"*1\r\n$16385\r\n", "unauthenticated bulk length"},
	} {
		conn := s.Dial()
		conn.Send(c.raw)
		conn.ExpectReply("-ERR Protocol error: " + c.want)
		conn.ExpectClosed()
	}
	c := s.Dial()
	c.Expect("-NOAUTH Authentication required.", "GET", "k")
	if v := c.Do("HELLO", "3"); !strings.HasPrefix(v.Text, "NOAUTH HELLO must be called with the client already authenticated") {
		t.Errorf("HELLO before AUTH: %s", v)
	}
	c.Expect("-WRONGPASS invalid username-password pair or user is disabled.", "AUTH", "wrong")
	c.Expect("+OK", "AUTH", "secret")
	c.Expect("+OK", "SET", "k", strings.Repeat("v", 20000))
	c.Expect(":0", append([]string{"DEL"}, distinct("d", 11)...)...)
}

// distinct returns n names.
func distinct(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = prefix + strconv.Itoa(i)
	}
	return names
}

// TestProtocolSlowSender sends a request a byte at a time, beside clients that
// must not notice.
func TestProtocolSlowSender(t *testing.T) {
	s := startServer(t)
	slow, quick := s.Dial(), s.Dial()
	for i, b := range request("SET", "key", "value") {
		slow.Send(string(b))
		if i%8 == 0 {
			quick.Expect("+PONG", "PING")
		}
		time.Sleep(time.Millisecond)
	}
	slow.ExpectReply("+OK")
	quick.Expect(`"value"`, "GET", "key")
}

// TestProtocolHalfCommand closes connections in the middle of a request at
// every byte; what was not sent whole has no effect.
func TestProtocolHalfCommand(t *testing.T) {
	s := startServer(t)
	raw := string(request("SET", "key", "value"))
	for n := range len(raw) - 1 {
		c := s.Dial()
		c.Send(raw[:n+1])
		if n%2 == 0 {
			_ = c.Close()
		}
	}
	c := s.Dial()
	c.Expect("nil", "GET", "key")
	// A client that closes only its sending side still gets its replies.
	half := s.Dial()
	half.Send(strings.Repeat(string(request("PING")), 3))
	if err := half.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		half.ExpectReply("+PONG")
	}
	half.ExpectClosed()
}

// TestProtocolPipeline sends 10,000 commands before it reads a reply, in pieces
// that end anywhere.
func TestProtocolPipeline(t *testing.T) {
	const n = 10_000
	c := startServer(t).Dial()
	var raw []byte
	for i := range n / 2 {
		raw = append(raw, request("SET", "k"+strconv.Itoa(i%100), strconv.Itoa(i))...)
		raw = append(raw, request("GET", "k"+strconv.Itoa(i%100))...)
	}
	sent := make(chan error, 1)
	go func() {
		for len(raw) > 0 {
			piece := min(len(raw), 1013)
			if _, err := c.Write(raw[:piece]); err != nil {
				sent <- err
				return
			}
			raw = raw[piece:]
		}
		sent <- nil
	}()
	for i := range n / 2 {
		c.ExpectReply("+OK")
		c.ExpectReply(strconv.Quote(strconv.Itoa(i)))
		if t.Failed() {
			t.Fatalf("after %d replies", 2*i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	c.Expect("+PONG", "PING")
}

// TestProtocolBigValues moves 64 MB in one argument and one reply.
func TestProtocolBigValues(t *testing.T) {
	const size = 64 << 20
	s := startServer(t)
	c := s.Dial()
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i * 7)
	}
	c.Expect("+OK", "SET", "big", string(value))
	c.Expect(":"+strconv.Itoa(size), "STRLEN", "big")
	c.Expect(strconv.Quote("mid"), "ECHO", "mid")
	if got := c.Do("GETRANGE", "big", "33554432", "33554435").Text; got != string(value[33554432:33554436]) {
		t.Errorf("GETRANGE gives %x", got)
	}
	if got := c.Do("GET", "big").Text; got != string(value) {
		t.Errorf("GET gives %d other bytes", len(got))
	}
	c.Expect(":"+strconv.Itoa(size+4), "APPEND", "big", "tail")
	c.Expect(":1", "DEL", "big")
	// A length that was promised but never sent must not cost that memory.
	before := infoInt(t, c, "memory", "used_memory_rss")
	for range 20 {
		s.Dial().Send("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$536870912\r\nx")
	}
	c.Expect("nil", "GET", "big")
	if grown := infoInt(t, c, "memory", "used_memory_rss") - before; grown > 512<<20 {
		t.Errorf("twenty promises of 512 MB cost %d MB", grown>>20)
	}
}

// TestProtocolClientThatNeverReads is closed at its output limit; others do not
// notice.
func TestProtocolClientThatNeverReads(t *testing.T) {
	s := startServer(t, "--client-output-buffer-limit", "normal", "8mb", "0", "0")
	c := s.Dial()
	c.Expect("+OK", "SET", "big", strings.Repeat("v", 1<<20))
	deaf := s.Dial()
	get := request("GET", "big")
	_ = deaf.SetWriteDeadline(time.Now().Add(replyWait))
	for range 100 {
		if _, err := deaf.Write(get); err != nil {
			break
		}
	}
	eventually(t, replyWait, "the client that does not read is closed", func() bool {
		return infoInt(t, c, "clients", "connected_clients") == 1
	})
	_ = deaf.SetReadDeadline(time.Now().Add(replyWait))
	n, err := io.Copy(io.Discard, deaf)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is still open")
	}
	if n > 60<<20 {
		t.Errorf("%d MB came before the end", n>>20)
	}
	c.Expect("+PONG", "PING")
}

// infoInt is a numeric field of INFO.
func infoInt(t *testing.T, c *Conn, section, field string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + field + `:(\d+)`).FindStringSubmatch(c.Do("INFO", section).Text)
	if m == nil {
		t.Fatalf("INFO %s shows no %s", section, field)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestProtocolConnections opens and closes many connections in every manner,
// and wants nothing of them left.
func TestProtocolConnections(t *testing.T) {
	s := startServer(t, "--maxclients", "200")
	c := s.Dial()
	for round := range 20 {
		var conns []net.Conn
		for i := range 100 {
			conn, err := net.DialTimeout("tcp", s.Addr(), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
			if i%2 == 0 {
				_, _ = conn.Write([]byte("PING\r\n"))
			}
		}
		for i, conn := range conns {
			if tcp := conn.(*net.TCPConn); (i+round)%3 == 0 {
				_ = tcp.SetLinger(0) // a reset instead of an orderly end
			}
			_ = conn.Close()
		}
		eventually(t, replyWait, "closed connections are forgotten", func() bool {
			return infoInt(t, c, "clients", "connected_clients") == 1
		})
	}
	// At the limit one more is refused, and told why.
	var last *Conn
	for range 199 {
		last = s.Dial()
	}
	last.Expect("+PONG", "PING")
	refused := s.Dial()
	refused.ExpectReply("-ERR max number of clients reached")
	refused.ExpectClosed()
	c.Expect("+PONG", "PING")
}

// TestProtocolUnixSocket talks over a socket in the file system, which is gone
// after the end.
func TestProtocolUnixSocket(t *testing.T) {
	// A unix socket's path has to be short.
	dir, err := os.MkdirTemp("", "gc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	s := startServer(t, "--unixsocket", path, "--unixsocketperm", "700")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if perm := info.Mode().Perm(); perm != 0o700 {
		t.Errorf("the socket's mode is %o", perm)
	}
	c := dial(t, "unix", path)
	c.Expect("+OK", "SET", "k", "v")
	s.Dial().Expect(`"v"`, "GET", "k")
	_ = c.Close()
	s.Stop()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestProtocolTLS talks over TLS, with and without a certificate of the client.
func TestProtocolTLS(t *testing.T) {
	dir := t.TempDir()
	cert, pool := selfSigned(t, dir)
	port := strconv.Itoa(freePort(t))
	s := startServer(t, "--tls-port", port,
		"--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"),
		"--tls-ca-cert-file", filepath.Join(dir, "cert.pem"), "--tls-auth-clients", "yes")
	addr := "127.0.0.1:" + port
	with := &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	client := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: with})
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), replyWait)
	defer cancel()
	value := strings.Repeat("tls", 1<<20)
	if err := client.Set(ctx, "k", value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(ctx, "k").Result(); err != nil || got != value {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	pipe := client.Pipeline()
	for i := range 1000 {
		pipe.Set(ctx, "p"+strconv.Itoa(i), i, 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Error(err)
	}
	without := &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	bare, err := tls.Dial("tcp", addr, without)
	if err == nil {
		// In TLS 1.3 the refusal comes after the client's last word.
		_ = bare.SetDeadline(time.Now().Add(replyWait))
		_, _ = bare.Write([]byte("PING\r\n"))
		_, err = bufio.NewReader(bare).ReadString('\n')
		_ = bare.Close()
	}
	if err == nil {
		t.Error("a client without a certificate was served")
	}
	// Plain bytes at the TLS port end that connection only.
	plain := dial(t, "tcp", addr)
	plain.Send("PING\r\n")
	_ = plain.SetReadDeadline(time.Now().Add(replyWait))
	if text, _ := io.ReadAll(plain); strings.Contains(string(text), "PONG") {
		t.Error("the TLS port answers in plain text")
	}
	s.Dial().Expect("+PONG", "PING")
}

// selfSigned writes cert.pem and key.pem, good for both ends of a connection.
func selfSigned(t *testing.T, dir string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "geocache test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, text := range map[string][]byte{"cert.pem": certPEM, "key.pem": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, pool
}

// TestProtocolHello switches protocols back and forth on one connection.
func TestProtocolHello(t *testing.T) {
	c := startServer(t).Dial()
	c.Expect("nil", "GET", "missing")
	hello := c.Do("HELLO", "3")
	if hello.Kind != '%' {
		t.Fatalf("HELLO 3 replies %s", hello)
	}
	for _, want := range []string{`"server": "redis"`, `"proto": :3`, `"mode": "standalone"`, `"role": "master"`, `"modules": [`} {
		if !strings.Contains(hello.String(), want) {
			t.Errorf("HELLO 3 lacks %s: %s", want, hello)
		}
	}
	c.Expect("_", "GET", "missing")
	c.Expect("-NOPROTO unsupported protocol version", "HELLO", "4")
	c.Expect("_", "GET", "missing")
	c.Expect("+OK", "MULTI")
	c.Expect("+QUEUED", "GET", "missing")
	c.Expect("[_]", "EXEC")
	if hello := c.Do("HELLO", "2", "SETNAME", "me"); hello.Kind != '*' {
		t.Errorf("HELLO 2 replies %s", hello)
	}
	c.Expect("nil", "GET", "missing")
	c.Expect(`"me"`, "CLIENT", "GETNAME")
	c.Expect("+RESET", "RESET")
	c.Expect("nil", "CLIENT", "GETNAME")
}

// TestGoRedis uses each group as a program does, with go-redis' defaults.
func TestGoRedis(t *testing.T) {
	s := startServer(t)
	c := s.Client()
	ctx, cancel := context.WithTimeout(context.Background(), 2*replyWait)
	defer cancel()
	check := func(t *testing.T, what string, got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	t.Run("connection", func(t *testing.T) {
		pong, err := c.Ping(ctx).Result()
		check(t, "PING", pong, err, "PONG")
		conn := c.Conn()
		defer func() { _ = conn.Close() }()
		id, err := conn.ClientID(ctx).Result()
		check(t, "CLIENT ID", id > 0, err, true)
		ok, err := conn.ClientSetName(ctx, "tester").Result()
		check(t, "CLIENT SETNAME", ok, err, true)
		list, err := c.ClientList(ctx).Result()
		check(t, "CLIENT LIST", strings.Contains(list, "name=tester"), err, true)
		n, err := c.ClientKillByFilter(ctx, "ID", strconv.FormatInt(id, 10)).Result()
		check(t, "CLIENT KILL", n, err, 1)
		check(t, "after CLIENT KILL", conn.Ping(ctx).Err() != nil, nil, true)
	})
	t.Run("strings", func(t *testing.T) {
		set, err := c.Set(ctx, "s", "v", time.Minute).Result()
		check(t, "SET", set, err, "OK")
		old, err := c.SetArgs(ctx, "s", "w", redis.SetArgs{Get: true, KeepTTL: true}).Result()
		check(t, "SET GET KEEPTTL", old, err, "v")
		nx, err := c.SetNX(ctx, "s", "x", 0).Result()
		check(t, "SET NX", nx, err, false)
		_, err = c.Get(ctx, "missing").Result()
		check(t, "GET of a missing key", errors.Is(err, redis.Nil), nil, true)
		n, err := c.IncrBy(ctx, "n", 41).Result()
		check(t, "INCRBY", n, err, 41)
		f, err := c.IncrByFloat(ctx, "n", 0.5).Result()
		check(t, "INCRBYFLOAT", f, err, 41.5)
		ok, err := c.MSet(ctx, "a", 1, "b", 2).Result()
		check(t, "MSET", ok, err, "OK")
		vals, err := c.MGet(ctx, "a", "missing", "b").Result()
		check(t, "MGET", vals, err, "[1 <nil> 2]")
		l, err := c.Append(ctx, "a", "23").Result()
		check(t, "APPEND", l, err, 3)
		part, err := c.GetRange(ctx, "a", -2, -1).Result()
		check(t, "GETRANGE", part, err, "23")
		old, err = c.GetDel(ctx, "a").Result()
		check(t, "GETDEL", old, err, "123")
		cas, err := c.Do(ctx, "GETS", "s").Slice()
		check(t, "GETS", len(cas), err, 2)
		if len(cas) == 2 {
			token, err := c.Do(ctx, "CAS", "s", cas[1], "y").Result()
			check(t, "CAS", token != nil && token != cas[1], err, true)
			_, err = c.Do(ctx, "CAS", "s", cas[1], "z").Result()
			check(t, "CAS with an old token", errors.Is(err, redis.Nil), nil, true)
		}
	})
	t.Run("keys", func(t *testing.T) {
		check(t, "MSET", nil, c.MSet(ctx, "key:1", 1, "key:2", 2, "key:3", 3).Err(), "<nil>")
		ttl, err := c.TTL(ctx, "key:1").Result()
		check(t, "TTL", ttl, err, time.Duration(-1))
		ok, err := c.PExpire(ctx, "key:1", 20*time.Millisecond).Result()
		check(t, "PEXPIRE", ok, err, true)
		eventually(t, replyWait, "key:1 expires", func() bool { return c.Exists(ctx, "key:1").Val() == 0 })
		kind, err := c.Type(ctx, "key:2").Result()
		check(t, "TYPE", kind, err, "string")
		renamed, err := c.Rename(ctx, "key:2", "key:4").Result()
		check(t, "RENAME", renamed, err, "OK")
		copied, err := c.Copy(ctx, "key:4", "key:5", 0, false).Result()
		check(t, "COPY", copied, err, 1)
		var found []string
		iter := c.Scan(ctx, 0, "key:*", 2).Iterator()
		for iter.Next(ctx) {
			found = append(found, iter.Val())
		}
		check(t, "SCAN", len(found), iter.Err(), 3)
		enc, err := c.ObjectEncoding(ctx, "key:4").Result()
		check(t, "OBJECT ENCODING", enc, err, "int")
		n, err := c.Unlink(ctx, "key:3", "key:4", "key:5").Result()
		check(t, "UNLINK", n, err, 3)
	})
	t.Run("transactions", func(t *testing.T) {
		cmds, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "t", 1, 0)
			p.Incr(ctx, "t")
			p.SetRange(ctx, "t", -1, "x")
			return nil
		})
		check(t, "EXEC with an error inside", len(cmds), nil, 3)
		check(t, "EXEC error", err, nil, "ERR offset is out of range")
		check(t, "the rest of EXEC", c.Get(ctx, "t").Val(), nil, "2")
		err = c.Watch(ctx, func(tx *redis.Tx) error {
			if err := c.Set(ctx, "t", "intruder", 0).Err(); err != nil {
				return err
			}
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "t", "mine", 0)
				return nil
			})
			return err
		}, "t")
		check(t, "WATCH", errors.Is(err, redis.TxFailedErr), nil, true)
		check(t, "after WATCH", c.Get(ctx, "t").Val(), nil, "intruder")
	})
	t.Run("server", func(t *testing.T) {
		commands, err := c.Command(ctx).Result()
		check(t, "COMMAND", len(commands) > 60 && commands["get"].ReadOnly, err, true)
		keys, err := c.CommandGetKeys(ctx, "MSET", "a", 1, "b", 2).Result()
		check(t, "COMMAND GETKEYS", keys, err, "[a b]")
		old, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
		check(t, "CONFIG GET", old, err, "map[maxmemory-policy:noeviction]")
		check(t, "CONFIG SET", nil, c.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err(), "<nil>")
		info, err := c.Info(ctx).Result()
		check(t, "INFO", strings.Contains(info, "redis_version:"), err, true)
		now, err := c.Time(ctx).Result()
		check(t, "TIME", time.Since(now).Abs() < time.Minute, err, true)
		size, err := c.DBSize(ctx).Result()
		check(t, "DBSIZE", size > 0, err, true)
		check(t, "FLUSHALL", nil, c.FlushAll(ctx).Err(), "<nil>")
		size, err = c.DBSize(ctx).Result()
		check(t, "DBSIZE after FLUSHALL", size, err, 0)
	})
}
