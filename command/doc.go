package command

import "strings"

// Builders for the documentation in rows, so that a row reads like its syntax.

func keyArg(spec int) Arg       { return Arg{Name: "key", Type: ArgKey, KeySpec: spec} }
func strArg(name string) Arg    { return Arg{Name: name, Type: ArgString} }
func intArg(name string) Arg    { return Arg{Name: name, Type: ArgInteger} }
func named(a Arg, n string) Arg { a.Name = n; return a }
func optional(a Arg) Arg        { a.Optional = Optional; return a }
func many(a Arg) Arg            { a.Multiple = Multiple; return a }
func since(v string, a Arg) Arg { a.Since = v; return a }

// tokenArg is a word that stands for itself.
func tokenArg(name string) Arg {
	return Arg{Name: name, Type: ArgToken, Token: strings.ToUpper(name)}
}

func oneOf(name string, choices ...Arg) Arg {
	return Arg{Name: name, Type: ArgOneOf, Args: choices}
}

// timeArg is the argument of EX, PX, EXAT or PXAT.
func timeArg(token string) Arg {
	a := Arg{Token: token, Type: ArgInteger, Name: "seconds"}
	if strings.HasPrefix(token, "PX") {
		a.Name = "milliseconds"
	}
	if strings.HasSuffix(token, "AT") {
		a.Type, a.Name = ArgUnix, "unix-time-"+a.Name
	}
	return a
}

// firstWord is the part of a hyphenated name before the first hyphen, as a
// token.
func firstWord(name string) string {
	w, _, _ := strings.Cut(name, "-")
	return strings.ToUpper(w)
}

// blockArg is several arguments that stand together.
func blockArg(name string, parts ...Arg) Arg {
	return Arg{Name: name, Type: ArgBlock, Args: parts}
}

func withToken(token string, a Arg) Arg { a.Token = token; return a }

// repeatedToken is a that may stand several times, its token each time.
func repeatedToken(a Arg) Arg { a.Multiple = MultipleToken; return a }

func tips(d Doc, list ...string) Doc { d.Tips = list; return d }

func history(d Doc, list ...History) Doc { d.History = list; return d }

func deprecated(d Doc, since, replacedBy string) Doc {
	d.DeprecatedSince, d.ReplacedBy = since, replacedBy
	return d
}
