//go:build !slabdebug && !race

package slab

// checks is empty in ordinary builds.
type checks struct{}

func (*checks) alloc(Ref)           {}
func (*checks) reuse(*page, uint16) {}
func (*checks) use(Ref)             {}
func (*checks) free(*page, Ref)     {}
func (*checks) retire(*page)        {}
func (*checks) fork(*Arena, *Fork)  {}
func (*checks) endFork(*Fork)       {}
