package command

// globMatch reports whether s matches a glob pattern as Redis reads it: * any
// bytes, ? one byte, [a-c] [^a] classes, \ takes the next byte literally. Bytes
// compare as they are; a class that is never closed ends with the pattern.
//
// Only the last * is ever tried at a later place: what stands before it has
// matched as early as possible, and starting later cannot help the rest. So
// the time is bounded by the product of the lengths, whatever the pattern.
// Redis bounds it otherwise: no string matches beyond maxGlobStars.
func globMatch(pattern []byte, s string) bool {
	if len(s) == 0 {
		return len(pattern) == 0
	}
	p, i := 0, 0
	star, resume := -1, 0 // the pattern behind the last *, and where to try it next
	stars := 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			if p == len(pattern) {
				return true
			}
			if stars++; stars > maxGlobStars {
				return false
			}
			star, resume = p, i
			continue
		}
		if p < len(pattern) {
			if n, ok := globOne(pattern[p:], s[i]); ok {
				p += n
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		resume++
		p, i = star, resume
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// GlobMatch reports whether s matches a glob pattern as Redis reads it, for
// patterns of channels.
func GlobMatch(pattern []byte, s string) bool { return globMatch(pattern, s) }

// maxGlobStars is how many runs of * a match may get past.
const maxGlobStars = 1000

// globOne matches c with the element at the front of a pattern that is not
// empty and does not start with *. n is how long the element is.
func globOne(pattern []byte, c byte) (n int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return globClass(pattern, c)
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
	}
	return 1, pattern[0] == c
}

// globClass matches c with the class at the front of pattern. Ranges compare
// signed bytes and may be given from high to low, as in Redis on x86.
func globClass(pattern []byte, c byte) (n int, ok bool) {
	i, not, match := 1, false, false
	if i < len(pattern) && pattern[i] == '^' {
		not = true
		i++
	}
	for i < len(pattern) && pattern[i] != ']' {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			match = match || pattern[i] == c
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := int8(pattern[i]), int8(pattern[i+2])
			if low > high {
				low, high = high, low
			}
			i += 2
			match = match || low <= int8(c) && int8(c) <= high
		default:
			match = match || pattern[i] == c
		}
		i++
	}
	return min(i+1, len(pattern)), match != not
}
