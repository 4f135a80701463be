package hll

import "strconv"

// Limits of the runs.
const (
	maxShortZeros = 64
	maxSparseRank = 32
	maxRankRun    = 4
)

// run is one opcode of the sparse form: length registers of one rank, 0 for both kinds of zeros.
type run struct {
	length int
	rank   uint8
	size   int // bytes of the opcode
}

// readRun reads the opcode at the front of b, which is not empty. ok is false if its second byte is missing.
func readRun(b []byte) (r run, ok bool) {
	switch op := b[0]; {
	case op&0x80 != 0:
		return run{length: int(op&3) + 1, rank: op>>2&31 + 1, size: 1}, true
	case op&0x40 == 0:
		return run{length: int(op) + 1, size: 1}, true
	case len(b) < 2:
		return run{}, false
	default:
		return run{length: int(op&0x3f)<<8 + int(b[1]) + 1, size: 2}, true
	}
}

func appendZeros(b []byte, length int) []byte {
	if length > maxShortZeros {
		return append(b, 0x40|byte((length-1)>>8), byte(length-1))
	}
	return append(b, byte(length-1))
}

func rankRun(rank uint8, length int) byte { return 0x80 | (rank-1)<<2 | byte(length-1) }

// appendRun appends length registers of one rank; length may be 0, and up to maxRankRun where rank is not 0.
func appendRun(b []byte, rank uint8, length int) []byte {
	switch {
	case length == 0:
		return b
	case rank == 0:
		return appendZeros(b, length)
	}
	return append(b, rankRun(rank, length))
}

// walk calls f for each run of a sparse value. It returns ErrCorrupt, after part of the calls, if the runs do not cover the
// registers exactly; f never sees a register beyond them.
func walk(b []byte, f func(index, length int, rank uint8)) error {
	index := 0
	for p := headerSize; p < len(b); {
		r, ok := readRun(b[p:])
		if !ok || index+r.length > Registers {
			return ErrCorrupt
		}
		f(index, r.length, r.rank)
		index += r.length
		p += r.size
	}
	if index != Registers {
		return ErrCorrupt
	}
	return nil
}

// spot is where a register lies in a sparse value.
type spot struct {
	run
	at    int // offset of the opcode
	prev  int // offset of the one before, or of itself
	first int // index of its first register
}

// find looks a register up.
func find(b []byte, index int) (s spot, err error) {
	s.at, s.prev = headerSize, headerSize
	for s.at < len(b) {
		r, ok := readRun(b[s.at:])
		if !ok {
			break
		}
		if index < s.first+r.length {
			s.run = r
			return s, nil
		}
		s.prev = s.at
		s.at += r.size
		s.first += r.length
	}
	return s, ErrCorrupt
}

// raiseSparse sets one register to rank if it is lower. The run that holds it is split, and the neighbourhood is joined
// again, exactly as Redis does, so that equal histories give equal bytes.
func raiseSparse(b []byte, index int, rank uint8, sparseMaxBytes int) ([]byte, bool, error) {
	if rank > maxSparseRank {
		return promote(b, index, rank)
	}
	s, err := find(b, index)
	if err != nil {
		return b, false, err
	}
	if s.rank >= rank {
		return b, false, nil
	}
	var buf [5]byte // zeros, rank, zeros
	split := appendRun(buf[:0], s.rank, index-s.first)
	split = append(split, rankRun(rank, 1))
	split = appendRun(split, s.rank, s.first+s.length-1-index)
	grown := len(split) - s.size
	if grown > 0 && len(b)+grown > sparseMaxBytes {
		return promote(b, index, rank)
	}
	b = splice(b, s.at, s.size, split)
	return joinRuns(b, s.prev), true, nil
}

// splice replaces size bytes of b at offset at.
func splice(b []byte, at, size int, by []byte) []byte {
	end := len(b)
	switch grown := len(by) - size; {
	case grown > 0:
		b = append(b, by[:grown]...) // for their number, not for what they are
		copy(b[at+len(by):], b[at+size:end])
	case grown < 0:
		copy(b[at+len(by):], b[at+size:])
		b = b[:end+grown]
	}
	copy(b[at:], by)
	return b
}

// joinRuns joins neighbouring runs of one rank in the five steps from offset p on that Redis takes.
func joinRuns(b []byte, p int) []byte {
	for steps := 5; steps > 0 && p < len(b); steps-- {
		r, ok := readRun(b[p:])
		if !ok {
			break
		}
		if r.rank > 0 && p+1 < len(b) && b[p+1]&0x80 != 0 {
			next, _ := readRun(b[p+1:])
			if length := r.length + next.length; next.rank == r.rank && length <= maxRankRun {
				b[p+1] = rankRun(r.rank, length)
				b = append(b[:p], b[p+1:]...)
				continue // with the joined run
			}
		}
		p += r.size
	}
	return b
}

// promote makes the value dense and raises one register there.
func promote(b []byte, index int, rank uint8) ([]byte, bool, error) {
	dense, err := ToDense(b)
	if err != nil {
		return b, false, err
	}
	return dense, raiseDense(dense, index, rank), nil
}

// Decode appends the runs of a sparse value as PFDEBUG DECODE shows them: "z:63 Z:16000 v:2,1".
func Decode(dst, b []byte) ([]byte, error) {
	if err := Check(b); err != nil {
		return dst, err
	}
	if EncodingOf(b) != Sparse {
		return dst, ErrNotSparse
	}
	for p := headerSize; p < len(b); {
		r, ok := readRun(b[p:])
		if !ok {
			return dst, ErrCorrupt
		}
		if p > headerSize {
			dst = append(dst, ' ')
		}
		switch {
		case r.rank > 0:
			dst = append(dst, "v:"...)
			dst = strconv.AppendInt(dst, int64(r.rank), 10)
			dst = append(dst, ',')
		case r.size == 1:
			dst = append(dst, "z:"...)
		default:
			dst = append(dst, "Z:"...)
		}
		dst = strconv.AppendInt(dst, int64(r.length), 10)
		p += r.size
	}
	return dst, nil
}
