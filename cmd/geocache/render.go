package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// render prints a reply for people and shell scripts: scalars a line each, maps
// as aligned lines of name and value, lists of maps with an empty line between.
func render(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if _, isMap := e.(map[any]any); isMap && i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(render(e))
		}
	case map[any]any:
		renderMap(&b, v)
	default:
		b.WriteString(scalar(v))
		b.WriteByte('\n')
	}
	return b.String()
}

func renderMap(b *strings.Builder, m map[any]any) {
	type line struct{ name, value string }
	var lines []line
	width := 0
	for k, v := range m {
		value := scalar(v)
		switch v.(type) {
		case []any, map[any]any:
			value = strings.ReplaceAll(strings.TrimSpace(render(v)), "\n", ", ")
		}
		lines = append(lines, line{scalar(k), value})
		width = max(width, len(scalar(k)))
	}
	// go-redis loses the order of fields; the name leads.
	slices.SortFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(rank(x.name), rank(y.name)), cmp.Compare(x.name, y.name))
	})
	for _, l := range lines {
		fmt.Fprintf(b, "%-*s  %s\n", width, l.name, l.value)
	}
}

func rank(name string) int {
	if i := slices.Index([]string{"name", "region", "endpoint", "state"}, name); i >= 0 {
		return i
	}
	return 4
}

func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
