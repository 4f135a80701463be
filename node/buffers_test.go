package node

import (
	"fmt"
	"strings"
	"testing"
)

func TestBuffers(t *testing.T) {
	var p buffers
	small, large := p.get(1), p.get(100_000)
	if cap(small) != minBuffer || cap(large) != 128<<10 || len(large) != 0 {
		t.Errorf("%d and %d bytes", cap(small), cap(large))
	}
	p.put(large[:7])
	p.put(small)
	if b := p.get(20_000); cap(b) != cap(large) || len(b) != 0 {
		t.Errorf("another buffer: %d of %d bytes", len(b), cap(b))
	}
	if b := p.get(0); cap(b) != cap(small) || p.kept != 0 || len(p.free) != 0 {
		t.Errorf("%d bytes, %d kept", cap(b), p.kept)
	}
	if b := p.get(maxBuffer + 1); cap(b) != maxBuffer+1 {
		t.Errorf("%d bytes", cap(b))
	}
	for range 100 {
		p.put(make([]byte, 0, 1<<20))
		p.put(make([]byte, 0, maxBuffer+1))
		p.put(nil)
	}
	if p.kept != keptBytes || len(p.free) != keptBytes>>20 {
		t.Errorf("%d buffers with %d bytes are kept", len(p.free), p.kept)
	}
}

// TestIdleSessionHasNoBuffers: what it used is there for others.
func TestIdleSessionHasNoBuffers(t *testing.T) {
	r := newRig(t)
	set := request("SET k " + strings.Repeat("x", 100_000))
	r.s.Feed([]byte(set[:70_000]))
	if cap(r.s.in) < 70_000 || len(r.s.Output()) != 0 {
		t.Errorf("%d bytes of input have room", cap(r.s.in))
	}
	r.s.Feed([]byte(set[70_000:] + request("GET k")))
	want := fmt.Sprintf("+OK\r\n$100000\r\n%s\r\n", strings.Repeat("x", 100_000))
	if got := string(r.s.Output()); got != want {
		t.Errorf("%d bytes of output, want %d", len(got), len(want))
	}
	r.s.Output()
	if r.s.in != nil || cap(r.s.out.Bytes()) != 0 || len(r.buffers.free) != 2 {
		t.Errorf("the session keeps %d and %d bytes, %d buffers are free", cap(r.s.in), cap(r.s.out.Bytes()), len(r.buffers.free))
	}
	inputs := [][]byte{[]byte(set[:70_000]), []byte(set[70_000:]), []byte(request("GET k"))}
	allocs := testing.AllocsPerRun(100, func() {
		for _, in := range inputs {
			r.s.Feed(in)
			r.s.Output()
			r.s.Output()
		}
	})
	// The engine's: the op and what holds the value.
	if allocs > 3 {
		t.Errorf("%v allocations for each pair of commands", allocs)
	}
}
