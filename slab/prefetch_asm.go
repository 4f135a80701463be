//go:build amd64 || arm64

package slab

// prefetch starts to load the cache line of p and does not wait for it.
//
//go:noescape
func prefetch(p *byte)
