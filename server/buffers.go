package server

import "sync"

// Read buffers come in classes, each four times the one before.
const (
	minReadBuf     = 16 << 10
	readBufClasses = 4 // 16 KB, 64 KB, 256 KB, 1 MB
)

// buffers lends read buffers, so that a connection owns one only while it is
// being read.
type buffers struct {
	classes [readBufClasses]sync.Pool
}

func newBuffers() *buffers {
	b := &buffers{}
	for i := range b.classes {
		size := minReadBuf << (2 * i)
		b.classes[i].New = func() any {
			buf := make([]byte, size)
			return &buf
		}
	}
	return b
}

func (b *buffers) get(class int) *[]byte      { return b.classes[class].Get().(*[]byte) }
func (b *buffers) put(class int, buf *[]byte) { b.classes[class].Put(buf) }

// nextClass chooses the buffer after n bytes arrived in one of the class: one
// that was filled asks for more, one that stayed a quarter empty for less.
func nextClass(class, n int) int {
	switch size := minReadBuf << (2 * class); {
	case n == size && class < readBufClasses-1:
		return class + 1
	case n < size/4 && class > 0:
		return class - 1
	}
	return class
}
