package config

import (
	"errors"
	"fmt"
	"strings"
)

// The reasons a value is refused, in the words Redis' clients know. The text
// around them belongs to whoever formats the reply.
const (
	reasonImmutable   = "can't set immutable config"
	reasonProtected   = "can't set protected config"
	reasonDuplicate   = "duplicate parameter"
	reasonArgs        = "wrong number of arguments"
	reasonDirective   = "Bad directive or wrong number of arguments"
	reasonQuotes      = "Unbalanced quotes in configuration line"
	reasonBool        = "argument must be 'yes' or 'no'"
	reasonInteger     = "argument couldn't be parsed into an integer"
	reasonOctal       = "argument couldn't be parsed as an octal number"
	reasonMemory      = "argument must be a memory value"
	reasonPercent     = "argument must be a memory or percent value"
	reasonSave        = "Invalid save parameters"
	reasonBindCount   = "Too many bind addresses specified."
	reasonLimitCount  = "Wrong number of arguments in buffer limit configuration."
	reasonLimitClass  = "Invalid client class specified in buffer limit configuration."
	reasonLimitValue  = "Error in hard, soft or soft_seconds setting in buffer limit configuration."
	reasonEvents      = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
	reasonOOMScore    = "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
	reasonTitle       = "template format is invalid or contains unknown variables"
	reasonPercentiles = "Invalid latency-tracking-info-percentiles parameters"
	reasonPercentile  = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
	reasonShutdown    = "shutdown options SAVE and NOSAVE can't be used simultaneously"
	reasonDBFilename  = "dbfilename can't be a path, just a filename"
	reasonAOFFilename = "appendfilename can't be a path, just a filename"
	reasonAOFDirname  = "appenddirname can't be a path, just a dirname"
	reasonAOFEmpty    = "appendfilename can't be empty"
	reasonAOFNoDir    = "appenddirname can't be empty"
	reasonHostname    = "Hostnames may only contain alphanumeric characters, hyphens or dots"
	reasonHostnameLen = "Hostnames must be less than 256 characters"
	reasonNodename    = "Announced human node name contained invalid character"
)

// SetErrorKind says which reply a *SetError asks for.
type SetErrorKind uint8

const (
	// Refused: the argument is known, and Reason says what is wrong.
	Refused SetErrorKind = iota
	// Unknown: there is no parameter of that name.
	Unknown
	// Loading: not while the data is being loaded.
	Loading
)

// SetError is why a CONFIG SET changed nothing.
type SetError struct {
	Kind     SetErrorKind
	Argument string // the parameter's name
	Reason   string // Redis' words; empty unless Kind is Refused
}

// Error is for logs; clients read the text that the reply's formatter builds
// from the fields.
func (e *SetError) Error() string {
	switch e.Kind {
	case Unknown:
		return "config: unknown parameter " + e.Argument
	case Loading:
		return "config: " + e.Argument + " cannot be set while loading"
	default:
		return "config: " + e.Argument + ": " + e.Reason
	}
}

// SourceKind is the place a directive came from.
type SourceKind uint8

const (
	FromFile SourceKind = iota
	FromInclude
	FromStdin
	FromEnvironment
	FromOptions
)

// LoadError is why a configuration was not loaded; it names the place and the
// directive. Its text is what the user sees, in Redis' form.
type LoadError struct {
	Kind   SourceKind
	Source string // file or environment variable, where there is one
	Line   int    // from 1; of the command line, the number of the option
	Text   string // the directive as read; empty when no directive is to blame
	Reason string
}

func (e *LoadError) Error() string {
	var b strings.Builder
	b.WriteString("*** FATAL CONFIG FILE ERROR ***\n")
	switch {
	case e.Text == "":
	case e.Kind == FromInclude:
		fmt.Fprintf(&b, "Reading the included file '%s', at line %d\n", e.Source, e.Line)
	case e.Kind == FromStdin:
		fmt.Fprintf(&b, "Reading the standard input, at line %d\n", e.Line)
	case e.Kind == FromEnvironment:
		fmt.Fprintf(&b, "Reading the environment, at %s\n", e.Source)
	case e.Kind == FromOptions:
		fmt.Fprintf(&b, "Reading the command line, at option %d\n", e.Line)
	default:
		fmt.Fprintf(&b, "Reading the configuration file, at line %d\n", e.Line)
	}
	if e.Text != "" {
		fmt.Fprintf(&b, ">>> '%s'\n", e.Text)
	}
	b.WriteString(e.Reason)
	return b.String()
}

// refusal is why a value is not taken; its text is what the client reads.
func refusal(reason string) error { return errors.New(reason) }

func refusalf(format string, args ...any) error { return fmt.Errorf(format, args...) }
