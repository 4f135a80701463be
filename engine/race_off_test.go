//go:build !race

package engine

// effort divides the size of the long tests.
const effort = 1
