package command

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"geocache/engine"
	"geocache/resp"
)

// condition is what SET, DELEX and MSETEX ask of a key before they change it.
// The zero condition is always met.
type condition struct {
	kind condKind
	arg  []byte // value or digest, of the IF forms
}

type condKind uint8

const (
	condNone condKind = iota
	condNX
	condXX
	condIfEq
	condIfNe
	condIfDigestEq
	condIfDigestNe
)

func condWord(w string) condKind {
	switch w {
	case "nx":
		return condNX
	case "xx":
		return condXX
	case "ifeq":
		return condIfEq
	case "ifne":
		return condIfNe
	case "ifdeq":
		return condIfDigestEq
	case "ifdne":
		return condIfDigestNe
	}
	return condNone
}

// take reads the condition called w at args[i] and returns how many arguments
// it has: 0 where it is none or does not go with the one before. As in Redis NX
// and XX may be said again.
func (q *condition) take(args [][]byte, i int, w string) (n int, err resp.Error) {
	k := condWord(w)
	switch {
	case k == condNone, q.kind != condNone && q.kind != k:
		return 0, ""
	case k == condNX, k == condXX:
		q.kind = k
		return 1, ""
	case q.kind == k, i+1 >= len(args):
		return 0, ""
	}
	q.kind, q.arg = k, args[i+1]
	if (k == condIfDigestEq || k == condIfDigestNe) && !isDigest(q.arg) {
		return 0, resp.ErrDigestFormat
	}
	return 2, ""
}

// met reports whether k fulfils q. A missing key equals nothing.
func (q *condition) met(c *Ctx, k engine.Key) (bool, error) {
	switch q.kind {
	case condNone:
		return true, nil
	case condNX, condXX:
		return c.has(k) == (q.kind == condXX), nil
	}
	val, ok, err := c.Tx.Peek(k)
	if err != nil {
		return false, err
	}
	switch q.kind {
	case condIfEq:
		return ok && bytes.Equal(val, q.arg), nil
	case condIfNe:
		return !ok || !bytes.Equal(val, q.arg), nil
	case condIfDigestEq:
		return ok && sameDigest(val, q.arg), nil
	default:
		return !ok || !sameDigest(val, q.arg), nil
	}
}

// digestLen is the length of DIGEST's answer: XXH3-64 in hex, leading zeros
// included.
const digestLen = 16

func appendDigest(dst, val []byte) []byte {
	const digits = "0123456789abcdef"
	h := xxh3.Hash(val)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[h>>shift&15])
	}
	return dst
}

func isDigest(b []byte) bool {
	for _, ch := range b {
		if (ch < '0' || ch > '9') && (ch|0x20 < 'a' || ch|0x20 > 'f') {
			return false
		}
	}
	return len(b) == digestLen
}

// sameDigest compares without regard to the case of digest's letters.
func sameDigest(val, digest []byte) bool {
	var buf [digestLen]byte
	return bytes.EqualFold(appendDigest(buf[:0], val), digest)
}
