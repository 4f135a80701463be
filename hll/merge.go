package hll

// Union gathers the greatest registers of several values, for PFMERGE and for PFCOUNT of several keys. The zero Union is
// empty.
type Union struct {
	ranks [Registers]uint8
	dense bool
}

// Merge takes a value in. After an error the Union may hold part of it.
func (u *Union) Merge(b []byte) error {
	if err := Check(b); err != nil {
		return err
	}
	if EncodingOf(b) == Sparse {
		return walk(b, func(index, length int, rank uint8) {
			for ; rank > 0 && length > 0; length-- {
				u.ranks[index] = max(u.ranks[index], rank)
				index++
			}
		})
	}
	u.dense = true
	const mask = 1<<registerLen - 1
	ranks := u.ranks[:]
	for p := b[headerSize:]; len(p) >= 3 && len(ranks) >= 4; p, ranks = p[3:], ranks[4:] {
		v := uint(p[0]) | uint(p[1])<<8 | uint(p[2])<<16
		ranks[0] = max(ranks[0], uint8(v&mask))
		ranks[1] = max(ranks[1], uint8(v>>6&mask))
		ranks[2] = max(ranks[2], uint8(v>>12&mask))
		ranks[3] = max(ranks[3], uint8(v>>18&mask))
	}
	return nil
}

// Registers returns the registers, a byte each. They are the Union's own.
func (u *Union) Registers() []byte { return u.ranks[:] }

// Count estimates the number of different elements of all values together.
func (u *Union) Count() uint64 {
	var h histogram
	for _, rank := range u.ranks {
		h[rank&(1<<registerLen-1)]++
	}
	return h.estimate()
}

// StoreIn raises the registers of b, which is New or the destination of PFMERGE, to those of the Union and marks its estimate
// out of date. b becomes dense if one of the merged values was, or by growing over sparseMaxBytes. The result is b changed
// in place, or a new slice; after an error b may hold part of the Union.
func (u *Union) StoreIn(b []byte, sparseMaxBytes int) ([]byte, error) {
	if err := Check(b); err != nil {
		return b, err
	}
	var err error
	if u.dense {
		if b, err = ToDense(b); err != nil {
			return b, err
		}
	}
	for index, rank := range u.ranks {
		if rank == 0 {
			continue
		}
		if b, _, err = raise(b, index, rank, sparseMaxBytes); err != nil {
			return b, err
		}
	}
	Invalidate(b)
	return b, nil
}

// fewBytes is the length up to which Join raises the registers of a sparse value one by one.
const fewBytes = 64

// Join raises the registers of b to those of other. Both are values that Valid accepts. b becomes dense if other is, or by
// growing over sparseMaxBytes, and its estimate is out of date if any register was raised. The result is b changed in place,
// or a new slice; which runs a sparse result has depends on the order of Joins.
func Join(b, other []byte, sparseMaxBytes int) (result []byte, changed bool, err error) {
	if EncodingOf(other) == Dense || EncodingOf(b) == Sparse && len(other) > fewBytes {
		return joinAll(b, other, sparseMaxBytes)
	}
	werr := walk(other, func(index, length int, rank uint8) {
		for ; rank > 0 && length > 0 && err == nil; length-- {
			var higher bool
			b, higher, err = raise(b, index, rank, sparseMaxBytes)
			changed = changed || higher
			index++
		}
	})
	if err == nil {
		err = werr
	}
	if changed {
		Invalidate(b)
	}
	return b, changed, err
}

// joinAll is Join by way of a Union.
func joinAll(b, other []byte, sparseMaxBytes int) (result []byte, changed bool, err error) {
	var u Union
	if err := u.Merge(b); err != nil {
		return b, false, err
	}
	was := u.ranks
	if err := u.Merge(other); err != nil {
		return b, false, err
	}
	if u.ranks == was && (!u.dense || EncodingOf(b) == Dense) {
		return b, false, nil
	}
	result = u.Encode(sparseMaxBytes)
	if u.ranks == was {
		copy(result[cardOffset:headerSize], b[cardOffset:headerSize])
		return result, false, nil
	}
	return result, true, nil
}

// Encode returns a value with the registers of the Union, whose estimate is out of date. It is dense if one of the merged
// values was, or where the sparse form would take more than sparseMaxBytes.
func (u *Union) Encode(sparseMaxBytes int) []byte {
	if !u.dense {
		if b, ok := u.sparse(sparseMaxBytes); ok {
			return b
		}
	}
	b := make([]byte, denseSize)
	copy(b, magic)
	Invalidate(b)
	for index, rank := range u.ranks {
		if rank > 0 {
			setRegister(b, index, rank)
		}
	}
	return b
}

// sparse is the shortest sparse form; ok is false where there is none of at most so many bytes.
func (u *Union) sparse(most int) (b []byte, ok bool) {
	b = New()[:headerSize]
	for index := 0; index < Registers; {
		rank, end := u.ranks[index], index+1
		for end < Registers && u.ranks[end] == rank && (rank == 0 || end-index < maxRankRun) {
			end++
		}
		if rank > maxSparseRank || len(b) > most {
			return nil, false
		}
		b = appendRun(b, rank, end-index)
		index = end
	}
	Invalidate(b)
	return b, len(b) <= most
}
