package main

import (
	"bytes"
	"regexp"
	"strings"
)

// result is what became of one unit's tests, or of all.
type result struct {
	passed   int
	skipped  int      // by name, or by a tag
	names    []string // of those skipped by name
	failures []string // name and message
}

func (r *result) failed() int { return len(r.failures) }

func (r *result) add(o result) {
	r.passed += o.passed
	r.skipped += o.skipped
	r.failures = append(r.failures, o.failures...)
}

// parser reads the suite's output as it comes: lines that begin with a status
// in brackets, and after [err] the message, up to the next status.
type parser struct {
	unit    string
	last    string // the last status line
	partial []byte
	failing bool // lines that follow belong to the last failure's message
	result  result
}

var status = regexp.MustCompile(`^\[([a-zA-Z0-9/]+)( [a-z]+)?\]: ?(.*)`)

// duration is what follows the name of a test that passed.
var duration = regexp.MustCompile(` \(\d+ ms\)$`)

// Write implements io.Writer.
func (p *parser) Write(b []byte) (int, error) {
	p.partial = append(p.partial, b...)
	for {
		i := bytes.IndexByte(p.partial, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.line(string(p.partial[:i]))
		p.partial = p.partial[i+1:]
	}
}

// maxMessage bounds the lines of one failure's message.
const maxMessage = 8

// stack is the line that a Tcl stack trace begins with; before it the message
// stands whole, while above that the suite has cut ten characters off.
const stack = "    while executing"

func (p *parser) line(l string) {
	m := status.FindStringSubmatch(l)
	if m == nil {
		p.message(l)
		return
	}
	before := p.last
	p.last, p.failing = l, false
	switch text := m[3]; m[1] {
	case "TIMEOUT":
		p.last = before
		p.result.failures = append(p.result.failures, "no test ended for a while, after: "+before)
	case "ok":
		p.last = duration.ReplaceAllString(text, "")
		p.result.passed++
	case "skip":
		p.result.skipped++
		p.result.names = append(p.result.names, text)
	case "ignore":
		p.result.skipped++
	case "err", "exception":
		p.failing = true
		p.result.failures = append(p.result.failures, text)
	}
}

// message takes a line that follows a failure.
func (p *parser) message(l string) {
	if !p.failing {
		return
	}
	f := &p.result.failures[len(p.result.failures)-1]
	if strings.Contains(l, "The End") || l == stack || strings.Count(*f, "\n") == maxMessage {
		p.failing = false
		return
	}
	*f += "\n" + strings.TrimRight(l, " ")
}

// end returns what came of the unit.
func (p *parser) end() result {
	if len(p.partial) > 0 {
		p.line(string(p.partial))
	}
	return p.result
}
