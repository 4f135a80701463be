package rdb

import "slices"

// The LZF format (Marc Lehmann's LibLZF) is a sequence of runs. A first byte
// below 32 announces so many literal bytes and one more. Above, its upper
// three bits are the length of a match less 2, where 7 adds the next byte; its
// lower five bits are the high bits of the distance back less 1, whose low
// byte follows.
const (
	literalLimit = 32
	longMatch    = 7
	// maxLZFRatio is by how much a run can grow: three bytes make 264.
	maxLZFRatio = 88
)

// decompressLZF unpacks exactly size bytes in place of buf; ok is false where p
// is not that.
func decompressLZF(buf, p []byte, size int) (out []byte, ok bool) {
	out = slices.Grow(buf[:0], size)
	for len(p) > 0 {
		c := int(p[0])
		p = p[1:]
		if c < literalLimit {
			n := c + 1
			if n > len(p) || n > size-len(out) {
				return nil, false
			}
			out = append(out, p[:n]...)
			p = p[n:]
			continue
		}
		n := c >> 5
		if n == longMatch {
			if len(p) == 0 {
				return nil, false
			}
			n += int(p[0])
			p = p[1:]
		}
		n += 2
		if len(p) == 0 {
			return nil, false
		}
		from := len(out) - (c&0x1f<<8 | int(p[0])) - 1
		p = p[1:]
		if from < 0 || n > size-len(out) {
			return nil, false
		}
		// A match may reach into what it makes itself: byte by byte.
		for i := range n {
			out = append(out, out[from+i])
		}
	}
	return out, len(out) == size
}
