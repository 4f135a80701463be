package slab

// Heap returns a source of Go memory: for tests, for systems without mappings
// of our own, and under the race detector, which sees no other memory.
func Heap() Source { return heap{} }

type heap struct{}

func (heap) Map(bytes int) []byte { return make([]byte, bytes) }
func (heap) Discard([]byte)       {}
func (heap) Warm([]byte)          {}
func (heap) Unmap([]byte)         {}
