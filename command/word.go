package command

// isWord reports whether arg is the given keyword in any case. Only ASCII
// letters fold, as in Redis.
func isWord(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, ch := range arg {
		if upper(ch) != upper(word[i]) {
			return false
		}
	}
	return true
}

func upper(ch byte) byte {
	if 'a' <= ch && ch <= 'z' {
		return ch - 'a' + 'A'
	}
	return ch
}

// parseSwitch reads ON or OFF.
func parseSwitch(arg []byte) (s Switch, ok bool) {
	switch {
	case isWord(arg, "ON"):
		return On, true
	case isWord(arg, "OFF"):
		return Off, true
	}
	return Off, false
}

// printable reports whether b holds only ASCII characters that show, which is
// what CLIENT LIST can carry without quotes.
func printable(b []byte) bool {
	for _, ch := range b {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}
