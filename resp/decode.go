package resp

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
)

const (
	maxDecodeDepth   = 64
	maxDecodeLen     = 1 << 30 // bytes of a bulk, elements of a container
	minEncodedLen    = 3       // the shortest reply is "_\r\n"
	decodePrealloc   = 64
	maxDecodeLineLen = 1 << 20
)

// Errors of Decode.
var (
	ErrDecodeSyntax = errors.New("resp: malformed reply")
	ErrDecodeLimit  = errors.New("resp: reply exceeds the decoder's limits")
)

// Value is one decoded reply.
type Value struct {
	// Kind is the type byte. Null is '_' whatever its spelling; NullKind tells which.
	Kind     byte
	NullKind byte    // '_', '$' or '*' where Kind is '_'
	Text     string  // simple string, error, bulk, big number; a verbatim string without its format
	Format   string  // format of a verbatim string
	Int      int64   // integer; 1 or 0 for a boolean
	Float    float64 // double
	Elems    []Value // elements; keys and values alternate in a map
	Attrs    []Value // attributes that preceded the reply, keys and values alternating
}

// IsNull reports whether the reply is a null of any spelling.
func (v Value) IsNull() bool { return v.Kind == '_' }

// Err returns the error reply as an Error, nil if the reply is none.
func (v Value) Err() error {
	if v.Kind == '-' || v.Kind == '!' {
		return Error(v.Text)
	}
	return nil
}

// Decode reads one RESP2 or RESP3 reply from the front of b. It returns the bytes consumed, 0 if the reply is not
// complete yet. Nothing in v aliases b. Nesting is limited and memory grows with the bytes present.
func Decode(b []byte) (v Value, n int, err error) {
	d := decoder{b: b}
	v, ok, err := d.value(0)
	if err != nil || !ok {
		return Value{}, 0, err
	}
	return v, d.pos, nil
}

type decoder struct {
	b   []byte
	pos int
}

// value reads one reply; ok is false while bytes are missing.
func (d *decoder) value(depth int) (v Value, ok bool, err error) {
	if depth > maxDecodeDepth {
		return v, false, ErrDecodeLimit
	}
	line, ok, err := d.line()
	if !ok || err != nil {
		return v, false, err
	}
	if len(line) == 0 {
		return v, false, ErrDecodeSyntax
	}
	v.Kind = line[0]
	text := line[1:]
	switch v.Kind {
	case '+', '-':
		v.Text = string(text)
	case '(':
		if !isDecimal(text) {
			return v, false, ErrDecodeSyntax
		}
		v.Text = string(text)
	case ':':
		v.Int, ok = ParseInt(text)
	case ',':
		v.Float, ok = decodeDouble(text)
	case '#':
		ok = len(text) == 1 && (text[0] == 't' || text[0] == 'f')
		if ok && text[0] == 't' {
			v.Int = 1
		}
	case '_':
		ok = len(text) == 0
		v.NullKind = '_'
	case '$', '!', '=':
		return d.blob(v, text)
	case '*', '~', '>', '%', '|':
		return d.container(v, text, depth)
	default:
		ok = false
	}
	if !ok {
		return v, false, ErrDecodeSyntax
	}
	return v, true, nil
}

func (d *decoder) line() (line []byte, ok bool, err error) {
	rest := d.b[d.pos:]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 {
		if len(rest) > maxDecodeLineLen {
			return nil, false, ErrDecodeLimit
		}
		return nil, false, nil
	}
	if i == 0 || rest[i-1] != '\r' {
		return nil, false, ErrDecodeSyntax
	}
	d.pos += i + 1
	return rest[:i-1], true, nil
}

// size reads a length; null is true for RESP2's -1.
func size(text []byte) (n int, null bool, err error) {
	n64, ok := ParseInt(text)
	switch {
	case !ok || n64 < -1:
		return 0, false, ErrDecodeSyntax
	case n64 > maxDecodeLen:
		return 0, false, ErrDecodeLimit
	}
	return int(n64), n64 == -1, nil
}

func (d *decoder) blob(v Value, text []byte) (Value, bool, error) {
	n, null, err := size(text)
	switch {
	case err != nil:
		return v, false, err
	case null && v.Kind != '$':
		return v, false, ErrDecodeSyntax
	case null:
		return Value{Kind: '_', NullKind: '$'}, true, nil
	}
	rest := d.b[d.pos:]
	if len(rest) < n+2 {
		return v, false, nil
	}
	if rest[n] != '\r' || rest[n+1] != '\n' {
		return v, false, ErrDecodeSyntax
	}
	d.pos += n + 2
	v.Text = string(rest[:n])
	if v.Kind == '=' {
		if n < 4 || v.Text[3] != ':' {
			return v, false, ErrDecodeSyntax
		}
		v.Format, v.Text = v.Text[:3], v.Text[4:]
	}
	return v, true, nil
}

func (d *decoder) container(v Value, text []byte, depth int) (Value, bool, error) {
	n, null, err := size(text)
	switch {
	case err != nil:
		return v, false, err
	case null && v.Kind != '*':
		return v, false, ErrDecodeSyntax
	case null:
		return Value{Kind: '_', NullKind: '*'}, true, nil
	}
	if v.Kind == '%' || v.Kind == '|' {
		n *= 2
	}
	if n > (len(d.b)-d.pos)/minEncodedLen {
		return v, false, nil
	}
	elems := make([]Value, 0, min(n, decodePrealloc))
	for range n {
		e, ok, err := d.value(depth + 1)
		if !ok || err != nil {
			return v, false, err
		}
		elems = append(elems, e)
	}
	if v.Kind != '|' {
		v.Elems = elems
		return v, true, nil
	}
	// Attributes belong to the reply that follows them.
	v, ok, err := d.value(depth + 1)
	if !ok || err != nil {
		return v, false, err
	}
	v.Attrs = append(elems, v.Attrs...)
	return v, true, nil
}

func decodeDouble(text []byte) (float64, bool) {
	if string(text) == "nan" || string(text) == "-nan" {
		return math.NaN(), true
	}
	return ParseFloat(text)
}

func isDecimal(text []byte) bool {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// String returns the reply in one line that shows every difference a client could see: +simple, -error, :1, "bulk",
// nil ($-1), *nil (*-1), _ (RESP3), ,1.5, #t, (123, !"error", =txt:"text", [array], ~[set], >[push], %{key: value},
// with |{key: value} before a reply that has attributes.
func (v Value) String() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v Value) write(b *strings.Builder) {
	if len(v.Attrs) > 0 {
		b.WriteByte('|')
		writePairs(b, v.Attrs)
		b.WriteByte(' ')
	}
	switch v.Kind {
	case '+', '-', '(':
		b.WriteByte(v.Kind)
		b.WriteString(v.Text)
	case ':':
		b.WriteByte(':')
		b.WriteString(strconv.FormatInt(v.Int, 10))
	case '$':
		writeQuoted(b, v.Text)
	case '!':
		b.WriteByte('!')
		writeQuoted(b, v.Text)
	case '=':
		b.WriteString("=" + v.Format + ":")
		writeQuoted(b, v.Text)
	case '_':
		b.WriteString(map[byte]string{'$': "nil", '*': "*nil"}[v.NullKind])
		if v.NullKind == '_' {
			b.WriteByte('_')
		}
	case ',':
		b.WriteString("," + FormatDouble(v.Float, Compat72))
	case '#':
		b.WriteString([]string{"#f", "#t"}[v.Int&1])
	case '%':
		b.WriteByte('%')
		writePairs(b, v.Elems)
	case '*':
		writeList(b, v.Elems)
	case '~', '>':
		b.WriteByte(v.Kind)
		writeList(b, v.Elems)
	}
}

func writeList(b *strings.Builder, elems []Value) {
	b.WriteByte('[')
	for i, e := range elems {
		if i > 0 {
			b.WriteString(", ")
		}
		e.write(b)
	}
	b.WriteByte(']')
}

func writePairs(b *strings.Builder, elems []Value) {
	b.WriteByte('{')
	for i, e := range elems {
		switch {
		case i%2 == 1:
			b.WriteString(": ")
		case i > 0:
			b.WriteString(", ")
		}
		e.write(b)
	}
	b.WriteByte('}')
}

// writeQuoted quotes as redis-cli does, so that binary values stay readable and unambiguous.
func writeQuoted(b *strings.Builder, s string) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\' || c == '"':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c > '~':
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
