package pubsub

// roster is a set that is walked often: in the order of arrival until something
// leaves, whose place the last one takes.
type roster[T comparable] struct {
	list []T
	at   map[T]int
}

// add reports whether v is new.
func (r *roster[T]) add(v T) bool {
	if _, known := r.at[v]; known {
		return false
	}
	if r.at == nil {
		r.at = map[T]int{}
	}
	r.at[v] = len(r.list)
	r.list = append(r.list, v)
	return true
}

// remove reports whether v was there.
func (r *roster[T]) remove(v T) bool {
	i, known := r.at[v]
	if !known {
		return false
	}
	var zero T
	last := len(r.list) - 1
	r.list[i] = r.list[last]
	r.at[r.list[i]] = i
	r.list[last] = zero
	r.list = r.list[:last]
	delete(r.at, v)
	return true
}
