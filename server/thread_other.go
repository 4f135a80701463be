//go:build !linux

package server

import "geocache/node"

// threadUse implements node.Options.Thread: not known here.
func threadUse() node.ThreadUse { return node.ThreadUse{} }
