//go:build !linux || race

package server

import "geocache/slab"

// pages returns the memory that the keyspace lives in. The race detector sees
// only the Go heap, and other systems' mappings are not worth their code.
func pages() slab.Source { return slab.Heap() }
