package server

import (
	"golang.org/x/sys/unix"

	"geocache/node"
)

// threadUse implements node.Options.Thread.
func threadUse() node.ThreadUse {
	var cpu unix.Timespec
	id := unix.Gettid()
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &cpu) != nil || unix.Gettid() != id {
		return node.ThreadUse{}
	}
	return node.ThreadUse{ID: id, CPUMicros: cpu.Nano() / 1000}
}
