//go:build !slabdebug && !race

package slab

// checked says that the arena checks its use.
const checked = false
