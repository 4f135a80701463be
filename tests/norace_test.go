//go:build !race

package tests

// buildFlags make the binary under test watch for races when its tests do.
var buildFlags []string
