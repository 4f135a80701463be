package config

import (
	"fmt"
	"strings"
)

const blanks = " \t\r\n"

// splitArgs splits a line into arguments as Redis' configuration and inline
// commands do: blanks separate; "double quotes" know \n \r \t \b \a \xHH and
// escaped characters; 'single quotes' know only \'. A closing quote must be
// followed by a blank or the end. It reports false for unbalanced quotes.
func splitArgs(line string) (args []string, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, true
		}
		arg, next, ok := oneArg(line, i)
		if !ok {
			return nil, false
		}
		args = append(args, arg)
		i = next
	}
}

func oneArg(line string, i int) (arg string, next int, ok bool) {
	var b strings.Builder
	for i < len(line) && !isSpace(line[i]) {
		quote := line[i]
		if quote != '"' && quote != '\'' {
			b.WriteByte(quote)
			i++
			continue
		}
		if i, ok = quoted(&b, line, i+1, quote); !ok {
			return "", 0, false
		}
		if i < len(line) && !isSpace(line[i]) {
			return "", 0, false
		}
	}
	return b.String(), i, true
}

// quoted reads up to the closing quote and returns the place after it.
func quoted(b *strings.Builder, line string, i int, quote byte) (next int, ok bool) {
	for ; i < len(line); i++ {
		ch := line[i]
		switch {
		case ch == quote:
			return i + 1, true
		case ch != '\\' || i+1 == len(line):
			b.WriteByte(ch)
		case quote == '\'':
			if line[i+1] == '\'' {
				i++
			}
			b.WriteByte(line[i])
		case line[i+1] == 'x' && i+3 < len(line) && hexDigit(line[i+2]) >= 0 && hexDigit(line[i+3]) >= 0:
			b.WriteByte(byte(hexDigit(line[i+2])<<4 | hexDigit(line[i+3])))
			i += 3
		default:
			i++
			b.WriteByte(unescape(line[i]))
		}
	}
	return 0, false
}

func unescape(ch byte) byte {
	switch ch {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return ch
}

// hexDigit returns -1 for what is none.
func hexDigit(ch byte) int {
	switch {
	case ch >= '0' && ch <= '9':
		return int(ch - '0')
	case ch >= 'a' && ch <= 'f':
		return int(ch-'a') + 10
	case ch >= 'A' && ch <= 'F':
		return int(ch-'A') + 10
	}
	return -1
}

func isSpace(ch byte) bool { return ch == ' ' || (ch >= '\t' && ch <= '\r') }

// quote is the inverse of splitArgs for one argument, always in double quotes.
func quote(arg string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(arg); i++ {
		switch ch := arg[i]; ch {
		case '\\', '"':
			b.WriteByte('\\')
			b.WriteByte(ch)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\a':
			b.WriteString(`\a`)
		case '\b':
			b.WriteString(`\b`)
		default:
			if ch < ' ' || ch > '~' {
				fmt.Fprintf(&b, `\x%02x`, ch)
			} else {
				b.WriteByte(ch)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteIfNeeded leaves alone what splitArgs reads back unchanged.
func quoteIfNeeded(arg string) string {
	q := quote(arg)
	if arg == "" || len(q) != len(arg)+2 || strings.ContainsAny(arg, ` '`) {
		return q
	}
	return arg
}

func quoteAll(args []string) string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = quoteIfNeeded(arg)
	}
	return strings.Join(out, " ")
}
