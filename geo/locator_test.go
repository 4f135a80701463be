package geo

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"testing"
)

// mmdb writes a small MaxMind database: an IPv6 tree of 24-bit records, IPv4 under ::/96.
type mmdb struct {
	nodes [][2]int // child node, or -1 nothing, or -2-offset into data
	data  []byte
}

func (m *mmdb) add(prefix string, record []byte) {
	if len(m.nodes) == 0 {
		m.nodes = append(m.nodes, [2]int{-1, -1})
	}
	p := netip.MustParsePrefix(prefix)
	addr, bits := p.Addr(), p.Bits()
	raw := addr.As16()
	if addr.Is4() {
		four := addr.As4()
		raw = [16]byte{}
		copy(raw[12:], four[:])
		bits += 96
	}
	node := 0
	for i := range bits {
		bit := int(raw[i/8] >> (7 - i%8) & 1)
		if i == bits-1 {
			m.nodes[node][bit] = -2 - len(m.data)
			break
		}
		if m.nodes[node][bit] < 0 {
			m.nodes[node][bit] = len(m.nodes)
			m.nodes = append(m.nodes, [2]int{-1, -1})
		}
		node = m.nodes[node][bit]
	}
	m.data = append(m.data, record...)
}

func (m *mmdb) bytes() []byte {
	var out []byte
	for _, node := range m.nodes {
		for _, child := range node {
			value := child
			if child == -1 {
				value = len(m.nodes)
			} else if child < -1 {
				value = -2 - child + len(m.nodes) + 16
			}
			out = append(out, byte(value>>16), byte(value>>8), byte(value))
		}
	}
	out = append(out, make([]byte, 16)...)
	out = append(out, m.data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return append(out, mmdbMap(
		"node_count", mmdbUint(len(m.nodes)), "record_size", mmdbUint(24), "ip_version", mmdbUint(6),
		"database_type", mmdbString("test"), "binary_format_major_version", mmdbUint(2), "binary_format_minor_version", mmdbUint(0),
	)...)
}

func mmdbString(s string) []byte { return append([]byte{2<<5 | byte(len(s))}, s...) }

func mmdbUint(n int) []byte { return binary.BigEndian.AppendUint16([]byte{5<<5 | 2}, uint16(n)) }

func mmdbDouble(f float64) []byte {
	return binary.BigEndian.AppendUint64([]byte{3<<5 | 8}, math.Float64bits(f))
}

// mmdbMap takes names, as strings, and encoded values in turn.
func mmdbMap(pairs ...any) []byte {
	out := []byte{7<<5 | byte(len(pairs)/2)}
	for _, p := range pairs {
		if name, ok := p.(string); ok {
			out = append(out, mmdbString(name)...)
		} else {
			out = append(out, p.([]byte)...)
		}
	}
	return out
}

func located(lat, lon float64) []byte {
	return mmdbMap("location", mmdbMap("latitude", mmdbDouble(lat), "longitude", mmdbDouble(lon)))
}

func testDatabase() []byte {
	var m mmdb
	m.add("177.0.0.0/8", located(saoPaulo.Lat, saoPaulo.Lon))
	m.add("2607:f2c0::/32", located(toronto.Lat, toronto.Lon))
	m.add("10.0.0.0/8", mmdbMap("country", mmdbString("none")))
	m.add("11.0.0.0/8", located(91, 0))
	m.add("12.0.0.0/8", mmdbMap("location", mmdbMap("latitude", mmdbDouble(1))))
	m.add("13.0.0.0/8", mmdbString("not a map"))
	m.add("14.0.0.0/8", located(math.NaN(), 0))
	return m.bytes()
}

func TestLocator(t *testing.T) {
	l, err := NewLocator(testDatabase())
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]Point{
		"177.10.20.30": saoPaulo, "::ffff:177.10.20.30": saoPaulo, "2607:f2c0:1::5": toronto, "2607:f2c0:1::5%eth0": toronto,
	} {
		if p, ok := l.Locate(netip.MustParseAddr(addr)); !ok || p != want {
			t.Errorf("%s is at %v, %v", addr, p, ok)
		}
	}
	for _, addr := range []string{"10.1.1.1", "11.1.1.1", "12.1.1.1", "13.1.1.1", "14.1.1.1", "15.1.1.1", "127.0.0.1", "::1", "2001:db8::1"} {
		if p, ok := l.Locate(netip.MustParseAddr(addr)); ok {
			t.Errorf("%s is at %v", addr, p)
		}
	}
	if _, ok := l.Locate(netip.Addr{}); ok {
		t.Error("no address was located")
	}
}

func TestLocatorRefusesOtherFiles(t *testing.T) {
	whole := testDatabase()
	for _, bad := range [][]byte{nil, []byte("not a database"), whole[:len(whole)/2], []byte("\xab\xcd\xefMaxMind.com")} {
		if l, err := NewLocator(bad); l != nil || !errors.Is(err, ErrDatabase) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func FuzzLocator(f *testing.F) {
	f.Add(testDatabase(), []byte{177, 1, 1, 1})
	f.Add(testDatabase()[100:], []byte{0x26, 0x07, 0xf2, 0xc0, 15: 1})
	f.Fuzz(func(t *testing.T, db, ip []byte) {
		l, err := NewLocator(db)
		if err != nil {
			return
		}
		addr, _ := netip.AddrFromSlice(ip)
		if p, ok := l.Locate(addr); ok && p.Validate() != nil {
			t.Fatalf("%v is at %v", addr, p)
		}
	})
}
