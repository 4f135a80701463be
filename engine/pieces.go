package engine

// pieces is a list that grows under a shard's lock: nothing is copied when it
// does, however long it is.
type pieces[T any] [][]T

// pieceLen is how many values a piece but the first holds.
const pieceLen = 1024

func (p *pieces[T]) add(v T) {
	list := *p
	if n := len(list); n == 0 || len(list[n-1]) == pieceLen {
		var piece []T // the first grows: most lists are short
		if n > 0 {
			piece = make([]T, 0, pieceLen)
		}
		list = append(list, piece)
	}
	last := &list[len(list)-1]
	*last = append(*last, v)
	*p = list
}

// pop takes the last value; ok is false where there is none.
func (p *pieces[T]) pop() (v T, ok bool) {
	list := *p
	if len(list) == 0 {
		return v, false
	}
	last := &list[len(list)-1]
	n := len(*last) - 1
	v, (*last)[n] = (*last)[n], v
	if *last = (*last)[:n]; n == 0 {
		list[len(list)-1] = nil
		*p = list[:len(list)-1]
	}
	return v, true
}
