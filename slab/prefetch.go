package slab

// cacheLine is what the processor loads at a time.
const cacheLine = 64

// Prefetch has the processor load the beginning of b while the caller goes on,
// so that a read that comes soon does not wait for memory. Nothing else
// happens.
func Prefetch(b []byte) { prefetch(&b[0]) }

// Prefetch is the same for the first two cache lines of a live block.
func (a *Arena) Prefetch(r Ref) {
	b := a.Bytes(r)
	prefetch(&b[0])
	if len(b) > cacheLine {
		prefetch(&b[cacheLine])
	}
}
