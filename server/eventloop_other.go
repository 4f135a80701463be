//go:build !linux

package server

// startEventLoop returns none: a goroutine for each connection does its work.
func startEventLoop(*hub) (carrier, error) { return nil, nil }
