package node

import (
	"slices"
	"sync"
)

const (
	// minBuffer is the least that a buffer is made for, and maxBuffer the most
	// that is kept for others.
	minBuffer = 16 << 10
	maxBuffer = 4 << 20
	// keptBuffers bounds how many are kept, as many as one turn of an event loop
	// may borrow; keptBytes bounds their bytes together.
	keptBuffers = 256
	keptBytes   = 16 << 20
)

// buffers lends sessions memory for input that is not complete and for output,
// so that an idle session has none and a busy one does not make it anew for
// every large value.
type buffers struct {
	mu   sync.Mutex
	free [][]byte // the last one given back is taken first
	kept int      // bytes
}

// get is an empty buffer with room for n bytes.
func (p *buffers) get(n int) []byte {
	if b := p.take(n); b != nil {
		return b
	}
	size := minBuffer
	for size < n && size < maxBuffer {
		size *= 2
	}
	return make([]byte, 0, max(size, n))
}

// take is a buffer that is kept, with room for n bytes, or nil.
func (p *buffers) take(n int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.free) - 1; i >= 0; i-- {
		if b := p.free[i]; cap(b) >= n {
			p.kept -= cap(b)
			p.free = slices.Delete(p.free, i, i+1)
			return b
		}
	}
	return nil
}

// put takes a buffer back, wherever it came from.
func (p *buffers) put(b []byte) {
	if cap(b) < minBuffer || cap(b) > maxBuffer {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < keptBuffers && p.kept+cap(b) <= keptBytes {
		p.free = append(p.free, b[:0])
		p.kept += cap(b)
	}
}
