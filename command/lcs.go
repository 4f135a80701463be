package command

import (
	"encoding/binary"
	"math"
	"math/bits"

	"geocache/resp"
)

// lcs is LCS. The work is done under the locks, so the sizes are bounded as in
// Redis: by the table of 32-bit numbers that Redis would allocate, although
// ours takes one bit per number.
func lcs(c *Ctx) {
	a, _, err := c.Tx.GetString(c.Key(1))
	var b []byte
	if err == nil {
		b, _, err = c.Tx.GetString(c.Key(2))
	}
	if err != nil {
		c.Fail(resp.ErrLCSNotStrings)
		return
	}
	var onlyLen, idx, withLen bool
	minLen := int64(0)
	for i := 3; i < len(c.Args); i++ {
		switch c.word(i) {
		case "len":
			onlyLen = true
		case "idx":
			idx = true
		case "withmatchlen":
			withLen = true
		case "minmatchlen":
			i++
			if i == len(c.Args) {
				c.Fail(resp.ErrSyntax)
				return
			}
			n, ok := resp.ParseInt(c.Args[i])
			if !ok {
				c.Fail(resp.ErrNotInt)
				return
			}
			minLen = n
		default:
			c.Fail(resp.ErrSyntax)
			return
		}
	}
	switch limit := c.Host.Config().Load().ProtoMaxBulkLen; {
	case idx && onlyLen:
		c.Fail(resp.ErrLCSLenAndIdx)
	case int64(len(a)) >= math.MaxUint32-1 || int64(len(b)) >= math.MaxUint32-1:
		c.Fail(resp.ErrLCSStringTooLong)
	case lcsTableBytes(len(a), len(b)) > uint64(limit):
		c.Fail(resp.ErrLCSMemory)
	case onlyLen:
		c.Out.Int(int64(newLCSTable(a, b, countOnly).length))
	case idx:
		c.lcsMatches(newLCSTable(a, b, keepRows), minLen, withLen)
	default:
		t := newLCSTable(a, b, keepRows)
		common := make([]byte, t.length)
		at := t.length
		t.walkBack(func(i, j, n int) {
			at -= n
			copy(common[at:], a[i:i+n])
		})
		c.Out.Bulk(common)
	}
}

// lcsMatches replies as LCS IDX: the runs of the common string from the last to
// the first, as they lie in both strings.
func (c *Ctx) lcsMatches(t *lcsTable, minLen int64, withLen bool) {
	c.Out.Map(2)
	c.Out.BulkString("matches")
	list, n := c.Out.ArrayLater(), 0
	t.walkBack(func(i, j, length int) {
		if int64(length) < minLen {
			return
		}
		n++
		if withLen {
			c.Out.Array(3)
		} else {
			c.Out.Array(2)
		}
		for _, start := range [2]int{i, j} {
			c.Out.Array(2)
			c.Out.Int(int64(start))
			c.Out.Int(int64(start + length - 1))
		}
		if withLen {
			c.Out.Int(int64(length))
		}
	})
	c.Out.EndArray(list, n)
	c.Out.BulkString("len")
	c.Out.Int(int64(t.length))
}

// lcsTableBytes is the size of Redis' table, saturating.
func lcsTableBytes(n, m int) uint64 {
	hi, lo := bits.Mul64(uint64(n+1), uint64(m+1))
	if hi != 0 || lo > math.MaxUint64/4 {
		return math.MaxUint64
	}
	return lo * 4
}

// lcsTable holds the differences of the table L(i,j), the length of the longest
// common subsequence of the first i bytes of one string and the first j of the
// other, computed 64 at a time (Crochemore et al., 2001; Hyyrö, 2004). The bits
// run along the shorter string: row j has bit i-1 clear where L(i,j) is greater
// than L(i-1,j).
type lcsTable struct {
	short, long []byte
	swapped     bool // short is the second string
	length      int
	stride      int    // bytes per row
	rows        []byte // row j at j*stride, little-endian; nil if not kept
}

type lcsRows uint8

const (
	countOnly lcsRows = iota
	keepRows
)

func newLCSTable(a, b []byte, keep lcsRows) *lcsTable {
	t := &lcsTable{short: a, long: b}
	if len(a) > len(b) {
		t.short, t.long, t.swapped = b, a, true
	}
	words := (len(t.short) + 63) / 64
	t.stride = (len(t.short) + 7) / 8
	var where [256][]uint64 // positions of each byte in short
	for i, ch := range t.short {
		if where[ch] == nil {
			where[ch] = make([]uint64, words)
		}
		where[ch][i/64] |= 1 << (i % 64)
	}
	row := make([]uint64, words)
	for i := range row {
		row[i] = math.MaxUint64
	}
	if keep == keepRows {
		t.rows = make([]byte, 0, (len(t.long)+1)*t.stride+8)
		t.keep(row)
	}
	for _, ch := range t.long {
		if mask := where[ch]; mask != nil {
			var carry uint64
			for i, v := range row {
				u := v & mask[i]
				var sum uint64
				sum, carry = bits.Add64(v, u, carry)
				row[i] = sum | v&^mask[i]
			}
		}
		if keep == keepRows {
			t.keep(row)
		}
	}
	t.length = len(t.short)
	for i, v := range row {
		if rest := len(t.short) - i*64; rest < 64 {
			v &= 1<<rest - 1
		}
		t.length -= bits.OnesCount64(v)
	}
	return t
}

// keep appends row, as many bytes of it as count.
func (t *lcsTable) keep(row []uint64) {
	end := len(t.rows) + t.stride
	for _, v := range row {
		t.rows = binary.LittleEndian.AppendUint64(t.rows, v)
	}
	t.rows = t.rows[:end]
}

// at is L(i, j), i counting in the short string.
func (t *lcsTable) at(i, j int) int {
	row := t.rows[j*t.stride:][:t.stride]
	n := i
	for i >= 64 {
		n -= bits.OnesCount64(binary.LittleEndian.Uint64(row))
		row, i = row[8:], i-64
	}
	for ; i >= 8; i -= 8 {
		n -= bits.OnesCount8(row[0])
		row = row[1:]
	}
	if i > 0 {
		n -= bits.OnesCount8(row[0] & (1<<i - 1))
	}
	return n
}

// walkBack calls fn for every run of bytes that the common string takes from
// both strings side by side: where it starts in the first and the second, and
// its length. It goes from the ends to the beginnings, and where both ways are
// as good it goes back in the second string, as Redis does.
func (t *lcsTable) walkBack(fn func(first, second, n int)) {
	i, j, run := len(t.short), len(t.long), 0
	emit := func() {
		switch {
		case run == 0:
		case t.swapped:
			fn(j, i, run)
		default:
			fn(i, j, run)
		}
		run = 0
	}
	for i > 0 && j > 0 {
		if t.short[i-1] == t.long[j-1] {
			i, j, run = i-1, j-1, run+1
			continue
		}
		emit()
		backInShort, backInLong := t.at(i-1, j), t.at(i, j-1)
		if backInShort > backInLong || backInShort == backInLong && t.swapped {
			i--
		} else {
			j--
		}
	}
	emit()
}
