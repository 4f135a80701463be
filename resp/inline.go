package resp

// splitInline appends the words of line to args by the quoting rules of Redis' sdssplitargs: "..." with \n \r \t \a \b
// \xHH and \c for any other c, '...' with \' only, and a closing quote must end its word. Words are unquoted in place
// and alias line. Unlike in Redis, whose C strings end there, a NUL is a byte like any other. It returns false for
// unbalanced quotes.
func splitInline(args [][]byte, line []byte) ([][]byte, bool) {
	r := 0
	for {
		for r < len(line) && isSpace(line[r]) {
			r++
		}
		if r == len(line) {
			return args, true
		}
		start := r
		end, next, ok := unquoteWord(line, start)
		if !ok {
			return args, false
		}
		args = append(args, line[start:end:end])
		r = next
	}
}

// unquoteWord reads one word at line[r:] and writes its value to line[r:end]; next is where reading goes on. The value
// is never longer than its source, so writing stays behind reading.
func unquoteWord(line []byte, r int) (end, next int, ok bool) {
	w := r
	var quote byte
	for r < len(line) {
		c := line[r]
		switch {
		case quote == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return w, r, true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
			r++
			continue
		case quote != 0 && c == quote:
			r++
			return w, r, r == len(line) || isSpace(line[r])
		case quote == '"' && c == '\\' && r+1 < len(line):
			c, r = unescape(line, r)
		case quote == '\'' && c == '\\' && r+1 < len(line) && line[r+1] == '\'':
			c = '\''
			r++
		}
		line[w] = c
		w++
		r++
	}
	return w, r, quote == 0
}

// unescape returns the byte that the backslash sequence at line[r:] stands for and the offset of its last byte.
func unescape(line []byte, r int) (c byte, last int) {
	switch c = line[r+1]; c {
	case 'x':
		if r+3 < len(line) {
			hi, lo := hexDigit(line[r+2]), hexDigit(line[r+3])
			if hi >= 0 && lo >= 0 {
				return byte(hi<<4 | lo), r + 3
			}
		}
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'b':
		c = '\b'
	case 'a':
		c = '\a'
	}
	return c, r + 1
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isSpace is C's isspace in the C locale.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
