package config

import (
	"slices"
	"strconv"
	"strings"
)

// maxNameLen bounds region names: they travel in stamps, logs and replies.
const maxNameLen = 64

// regionName admits what can stand in a config line, an INFO field and a
// sibling list without quotes. Starting with a letter tells it from a
// coordinate.
func regionName(name string) error {
	valid := len(name) > 0 && len(name) <= maxNameLen && isLetter(name[0])
	for i := 0; valid && i < len(name); i++ {
		valid = isLetter(name[i]) || isDigit(name[i]) || strings.IndexByte("-_.", name[i]) >= 0
	}
	if !valid {
		return refusalf("region name must start with a letter and hold 1 to %d letters, digits, '-', '_' or '.'", maxNameLen)
	}
	return nil
}

func optional(check func(string) error) func(string) error {
	return func(arg string) error {
		if arg == "" {
			return nil
		}
		return check(arg)
	}
}

// hostPort wants host:port or [address]:port.
func hostPort(arg string) error {
	host, port := splitHostPort(arg)
	n, ok := parseInt(port)
	if host == "" || strings.ContainsAny(host, " \t\r\n\"'/") || !ok || n < 1 || n > 65535 {
		return refusal("endpoint must be HOST:PORT with a port from 1 to 65535")
	}
	return nil
}

// splitHostPort returns an empty host for what is not host:port.
func splitHostPort(arg string) (host, port string) {
	i := strings.LastIndexByte(arg, ':')
	if i < 0 {
		return "", ""
	}
	host, port = arg[:i], arg[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(inner, ":") {
			return "", ""
		}
		return inner, port
	}
	if strings.Contains(host, ":") {
		return "", ""
	}
	return host, port
}

// isLoopback is about literals only: a name other than localhost may resolve to
// anything.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") || host == "::1" {
		return true
	}
	parts := strings.Split(host, ".")
	if len(parts) != 4 || parts[0] != "127" {
		return false
	}
	for _, part := range parts {
		if n, ok := parseInt(part); !ok || n < 0 || n > 255 {
			return false
		}
	}
	return true
}

func isLetter(ch byte) bool { return (ch|0x20) >= 'a' && (ch|0x20) <= 'z' }
func isDigit(ch byte) bool  { return ch >= '0' && ch <= '9' }

func parseLocation(lat, lon string) (Location, error) {
	a, err := degrees("latitude", lat, 90)
	if err != nil {
		return Location{}, err
	}
	b, err := degrees("longitude", lon, 180)
	if err != nil {
		return Location{}, err
	}
	return Location{Lat: a, Lon: b, Known: true}, nil
}

func degrees(what, arg string, limit float64) (float64, error) {
	v, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(v >= -limit && v <= limit) {
		return 0, refusalf("%s must be a number between -%g and %g", what, limit, limit)
	}
	return v, nil
}

func (l Location) words() []string {
	if !l.Known {
		return nil
	}
	return []string{strconv.FormatFloat(l.Lat, 'f', -1, 64), strconv.FormatFloat(l.Lon, 'f', -1, 64)}
}

func location() codec[Location] {
	return codec[Location]{
		doc: "latitude and longitude in degrees", multi: true,
		parse: func(args []string, _ Location, _ mode) (Location, error) {
			switch len(args) {
			case 0:
				return Location{}, nil
			case 2:
				return parseLocation(args[0], args[1])
			}
			return Location{}, refusal(reasonArgs)
		},
		get: func(v Location) string { return strings.Join(v.words(), " ") },
		lines: func(v Location) []string {
			if !v.Known {
				return nil
			}
			return []string{strings.Join(v.words(), " ")}
		},
	}
}

func siblings() codec[[]Sibling] {
	lines := func(v []Sibling) []string {
		var out []string
		for _, s := range v {
			out = append(out, strings.Join(append([]string{s.Name, s.Endpoint}, s.Location.words()...), " "))
		}
		return out
	}
	return codec[[]Sibling]{
		doc: "name, endpoint and optionally latitude and longitude; repeatable", multi: true, list: true,
		parse: parseSiblings,
		get:   func(v []Sibling) string { return strings.Join(lines(v), " ") },
		lines: lines,
	}
}

// parseSiblings reads any number of siblings. A name given again replaces the
// earlier one where it stands.
func parseSiblings(args []string, old []Sibling, m mode) ([]Sibling, error) {
	var v []Sibling
	if m == extend && len(args) > 0 {
		v = slices.Clone(old)
	}
	for len(args) > 0 {
		if len(args) < 2 {
			return nil, refusal(reasonArgs)
		}
		s := Sibling{Name: args[0], Endpoint: args[1]}
		if err := regionName(s.Name); err != nil {
			return nil, err
		}
		if err := hostPort(s.Endpoint); err != nil {
			return nil, err
		}
		args = args[2:]
		if len(args) > 0 && regionName(args[0]) != nil {
			if len(args) < 2 {
				return nil, refusal(reasonArgs)
			}
			var err error
			if s.Location, err = parseLocation(args[0], args[1]); err != nil {
				return nil, err
			}
			args = args[2:]
		}
		if i := slices.IndexFunc(v, func(o Sibling) bool { return o.Name == s.Name }); i >= 0 {
			v[i] = s
		} else {
			v = append(v, s)
		}
	}
	return v, nil
}

// checkTogether refuses combinations that no row can see alone; it returns the
// name of the parameter to blame.
func checkTogether(s *Snapshot) (name string, err error) {
	for _, sib := range s.Siblings {
		host, _ := splitHostPort(sib.Endpoint)
		switch {
		case s.Region == "":
			return "sibling", refusal("a region with siblings needs a name: set region")
		case sib.Name == s.Region:
			return "sibling", refusalf("sibling '%s' has this region's own name", sib.Name)
		case !isLoopback(host) && !s.SiblingTLS && s.SiblingAuthPass == "" && !s.SiblingAllowPlaintext:
			return "sibling", refusalf("sibling '%s' is not on loopback: set sibling-tls, sibling-auth-pass or sibling-allow-plaintext yes", sib.Name)
		}
	}
	if s.MaxTTLSeconds > 0 && s.DefaultTTLSeconds > s.MaxTTLSeconds {
		return "default-ttl", refusal("default-ttl must not exceed max-ttl")
	}
	return "", nil
}

// SiblingsPair is the CONFIG SET pair that makes list the siblings.
func SiblingsPair(list []Sibling) Pair { return Pair{"sibling", siblings().get(list)} }
