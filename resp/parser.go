// Package resp owns everything of the Redis protocol: the request parser with its limits, the RESP2 and RESP3 replies,
// the text of every error a client can see, Redis' number syntax, and a reply decoder for tests and tools.
//
// It must not know commands, sessions, sockets or data. Bytes come in, bytes go out.
//
// Invariants: the outcome of parsing depends on the bytes alone, never on how they were cut into reads; memory held for
// an unfinished request grows with the bytes received, never with the lengths they announce; bytes from outside give
// errors, never panics.
//
// Nothing here takes a lock: a Parser and a Writer each belong to one session at a time.
package resp

import (
	"bytes"
	"math"
)

const (
	// maxLineLen is Redis' PROTO_INLINE_MAX_SIZE: bytes of an inline request or a length line before its end of line.
	maxLineLen = 64 << 10
	// maxArgs is the largest argument count a header may announce (INT_MAX since Redis 7.0).
	maxArgs = math.MaxInt32
	// argOverhead is what one argument costs in memory besides its bytes: its span and its slice header.
	argOverhead = 40
	// maxKeptArgs bounds the argument slots a parser keeps between requests.
	maxKeptArgs = 1024

	defaultMaxBulkLen     = 512 << 20
	defaultMaxQueryBuffer = 1 << 30

	untrustedMaxArgs    = 10
	untrustedMaxBulkLen = 16 << 10
)

// Trust says whether the peer may send requests of any permitted size.
type Trust uint8

const (
	// Trusted is a connection that has authenticated or need not.
	Trusted Trust = iota
	// Untrusted is a connection that has yet to authenticate: requests of at most 10 arguments of 16 KB each.
	Untrusted
)

// Limits bounds the requests of one connection. Zero fields mean Redis' defaults.
type Limits struct {
	MaxBulkLen     int64 // bytes of one argument: proto-max-bulk-len, default 512 MB
	MaxQueryBuffer int64 // memory of one unfinished request: client-query-buffer-limit, default 1 GB
	Trust          Trust
}

// ProtocolError says why a connection cannot be read any further. It must be closed after the reply, if there is one.
type ProtocolError struct {
	text   string
	silent bool
}

// Error returns Redis' text, "Protocol error: ...", without an error code.
func (e *ProtocolError) Error() string { return e.text }

// Reply returns what to send before closing. It is false where Redis closes without a word (query buffer limit).
func (e *ProtocolError) Reply() (Error, bool) {
	if e.silent {
		return "", false
	}
	return Error("ERR " + e.text), true
}

// These values are never written to.
var (
	errInlineTooBig   = &ProtocolError{text: "Protocol error: too big inline request"}
	errQuotes         = &ProtocolError{text: "Protocol error: unbalanced quotes in request"}
	errCountLine      = &ProtocolError{text: "Protocol error: too big mbulk count string"}
	errCount          = &ProtocolError{text: "Protocol error: invalid multibulk length"}
	errUntrustedCount = &ProtocolError{text: "Protocol error: unauthenticated multibulk length"}
	errBulkLine       = &ProtocolError{text: "Protocol error: too big bulk count string"}
	errBulkLen        = &ProtocolError{text: "Protocol error: invalid bulk length"}
	errUntrustedBulk  = &ProtocolError{text: "Protocol error: unauthenticated bulk length"}
	errQueryBuffer    = &ProtocolError{text: "client-query-buffer-limit exceeded", silent: true}
)

// span is one argument of the request in progress, as offsets from the start of the request.
type span struct{ start, end int }

// Parser cuts a byte stream into requests. The zero value is ready and has Redis' default limits.
type Parser struct {
	limits Limits
	strict bool // the limits may refuse what short takes

	// The request in progress. Offsets count from its first byte.
	left    int64  // arguments still missing; 0 while the header is
	spans   []span // arguments found so far
	pos     int    // start of the line or payload being read
	scanned int    // no end of line before this offset in the line at pos
	bulkLen int    // length of the payload at pos, when inBulk
	inBulk  bool
	need    int // buffer length below which another look is useless

	args [][]byte // handed out by Next
}

// SetLimits replaces the limits; they hold from the next length that is read on.
func (p *Parser) SetLimits(l Limits) {
	p.limits = l
	tight := func(limit int64) bool { return limit != 0 && limit < shortTotal }
	p.strict = tight(l.MaxBulkLen) || tight(l.MaxQueryBuffer)
}

// Need returns the total length buf should have at the next call of Next for it to get any further, 0 if none is known.
// It follows what the peer announced: a hint for reading, not a size to allocate at once.
func (p *Parser) Need() int { return p.need }

// Next parses one request from the front of buf. It returns the arguments and the bytes consumed, or n == 0 and nil
// arguments when the request is unfinished; then it must be called again with the same bytes (at any address) and more
// behind them. Nothing is scanned twice.
//
// The arguments alias buf and have no spare capacity; the slice that holds them is reused by the next call. Quoted
// inline arguments are unquoted in place, so buf belongs to the parser during the call. Empty inline lines and requests
// of zero or a negative count give no arguments with n > 0, to be skipped without a reply, as Redis does. An error is
// always a *ProtocolError; the connection is then beyond repair.
func (p *Parser) Next(buf []byte) (args [][]byte, n int, err error) {
	if len(buf) == 0 || len(buf) < p.need {
		return nil, 0, nil
	}
	if p.left == 0 {
		if buf[0] != '*' {
			return p.inline(buf)
		}
		if p.scanned == 0 && !p.strict {
			if args, n := short(p.args[:0], buf); n > 0 {
				p.args = args
				return args, n, nil
			}
		}
		count, ok, err := p.length(buf, errCountLine)
		switch {
		case err != nil:
			return nil, 0, err
		case !ok:
			return nil, 0, nil
		case count.bad || count.n > maxArgs:
			return nil, 0, errCount
		case count.n > untrustedMaxArgs && p.limits.Trust == Untrusted:
			return nil, 0, errUntrustedCount
		case count.n <= 0:
			n = p.pos
			p.reset()
			return p.args[:0], n, nil
		}
		p.left = count.n
	}
	for p.left > 0 {
		if !p.inBulk {
			if ok, err := p.bulkHeader(buf); !ok {
				return nil, 0, err
			}
		}
		end := p.pos + p.bulkLen
		// Redis takes any two bytes for the line end after a payload.
		if len(buf) < end+2 {
			p.need = end + 2
			return nil, 0, nil
		}
		p.spans = append(p.spans, span{p.pos, end})
		p.pos, p.scanned, p.inBulk = end+2, end+2, false
		p.left--
	}
	return p.finish(buf)
}

const (
	// shortArgs and shortLen are how many arguments of how many bytes short takes, shortTotal is more than they can be
	// together with what they cost. All are well below what an Untrusted peer may send.
	shortArgs, shortLen = 9, 999
	shortTotal          = 16 << 10
)

// short parses, in one pass and without taking notes, a request of few short arguments that is there as a whole, and appends
// these to args. n is 0 where it is not like that, and Next has to look closer.
func short(args [][]byte, buf []byte) (_ [][]byte, n int) {
	if len(buf) < 4 || buf[0] != '*' || buf[1]-'1' >= shortArgs || buf[2] != '\r' {
		return nil, 0
	}
	at := 4
	for left := buf[1] - '0'; left > 0; left-- {
		if len(buf)-at < 6 || buf[at] != '$' {
			return nil, 0
		}
		size := int(buf[at+1] - '0')
		switch {
		case size > 9:
			return nil, 0
		case buf[at+2] == '\r':
			at += 4
		case size == 0:
			return nil, 0
		default:
			for at += 2; buf[at] != '\r'; at++ {
				digit := int(buf[at] - '0')
				if size = size*10 + digit; digit > 9 || size > shortLen || len(buf)-at < 4 {
					return nil, 0
				}
			}
			at += 2
		}
		end := at + size
		if len(buf) < end+2 {
			return nil, 0
		}
		args = append(args, buf[at:end:end])
		at = end + 2
	}
	return args, at
}

// SecondWord is the second argument of the request at the front of buf, which aliases buf, and the length of the request.
// The length is 0 where the request is not a short one (see short) that is there as a whole, and the argument nil where
// there is none.
func SecondWord(buf []byte) (word []byte, n int) {
	var room [shortArgs][]byte
	args, n := short(room[:0], buf)
	if len(args) > 1 {
		word = args[1]
	}
	return word, n
}

// bulkHeader reads the length line of the next argument and checks it against the limits.
func (p *Parser) bulkHeader(buf []byte) (ok bool, err error) {
	first := p.pos
	size, ok, err := p.length(buf, errBulkLine)
	if !ok {
		return false, err
	}
	if buf[first] != '$' {
		return false, unexpectedByte(buf[first])
	}
	maxLen, maxQuery := p.limits.MaxBulkLen, p.limits.MaxQueryBuffer
	if maxLen == 0 {
		maxLen = defaultMaxBulkLen
	}
	if maxQuery == 0 {
		maxQuery = defaultMaxQueryBuffer
	}
	switch {
	case size.bad || size.n < 0 || size.n > maxLen:
		return false, errBulkLen
	case size.n > untrustedMaxBulkLen && p.limits.Trust == Untrusted:
		return false, errUntrustedBulk
	case size.n > maxQuery-int64(p.pos)-2-int64(len(p.spans)+1)*argOverhead || size.n > math.MaxInt-int64(p.pos)-2:
		return false, errQueryBuffer
	}
	p.bulkLen, p.inBulk = int(size.n), true
	return true, nil
}

func unexpectedByte(c byte) *ProtocolError {
	if c == '\r' || c == '\n' {
		c = ' '
	}
	return &ProtocolError{text: "Protocol error: expected '$', got '" + string([]byte{c}) + "'"}
}

// number is the value of a length line; bad where Redis' string2ll refuses it.
type number struct {
	n   int64
	bad bool
}

// length reads the line at p.pos, a type byte and a number, and moves p.pos behind it. ok is false while the line is
// unfinished. As in Redis the line ends at '\r' and the byte after it is not looked at.
func (p *Parser) length(buf []byte, tooBig *ProtocolError) (v number, ok bool, err error) {
	// The common case in one pass: a few digits, and the line end is there. Everything else takes the general way.
	for i := p.pos + 1; i < len(buf)-1 && i < p.pos+9; i++ {
		c := buf[i]
		if c == '\r' && i > p.pos+1 {
			p.pos, p.scanned = i+2, i+2
			return v, true, nil
		}
		if c < '0' || c > '9' || c == '0' && i == p.pos+1 {
			break
		}
		v.n = v.n*10 + int64(c-'0')
	}
	end, err := p.lineEnd(buf, '\r', tooBig)
	if err != nil || end < 0 {
		return number{}, false, err
	}
	if end+2 > len(buf) {
		p.scanned, p.need = end, end+2
		return number{}, false, nil
	}
	// The line may be empty where an argument is expected: its only byte is then the '\r' itself.
	v.n, ok = ParseInt(buf[min(p.pos+1, end):end])
	v.bad = !ok
	p.pos, p.scanned = end+2, end+2
	return v, true, nil
}

// lineEnd returns the offset of the first c at or after p.pos, -1 while there is none, tooBig once there cannot be one
// within maxLineLen. The window makes the answer independent of how much has been read behind the line.
func (p *Parser) lineEnd(buf []byte, c byte, tooBig *ProtocolError) (int, error) {
	from := max(p.pos, p.scanned)
	window := min(len(buf), p.pos+maxLineLen+1)
	if from < window {
		if i := bytes.IndexByte(buf[from:window], c); i >= 0 {
			return from + i, nil
		}
	}
	if len(buf)-p.pos > maxLineLen {
		return -1, tooBig
	}
	p.scanned, p.need = len(buf), len(buf)+1
	return -1, nil
}

func (p *Parser) finish(buf []byte) ([][]byte, int, error) {
	args, n := p.args[:0], p.pos
	for _, s := range p.spans {
		args = append(args, buf[s.start:s.end:s.end])
	}
	p.keep(args)
	p.reset()
	return args, n, nil
}

// keep remembers args for reuse, unless one huge request would then hold its memory for the connection's life.
func (p *Parser) keep(args [][]byte) {
	if cap(args) > maxKeptArgs {
		args = nil
	}
	p.args = args
}

func (p *Parser) reset() {
	spans := p.spans[:0]
	if cap(spans) > maxKeptArgs {
		spans = nil
	}
	p.left, p.spans, p.pos, p.scanned, p.bulkLen, p.inBulk, p.need = 0, spans, 0, 0, 0, false, 0
}

func (p *Parser) inline(buf []byte) ([][]byte, int, error) {
	end, err := p.lineEnd(buf, '\n', errInlineTooBig)
	if err != nil || end < 0 {
		return nil, 0, err
	}
	line := buf[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	args, ok := splitInline(p.args[:0], line)
	if !ok {
		return nil, 0, errQuotes
	}
	p.keep(args)
	p.reset()
	return args, end + 1, nil
}
