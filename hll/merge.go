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
