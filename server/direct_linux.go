package server

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls of an event loop that do not block, made without telling Go's
// scheduler: that costs a twentieth of a small command, and it would take the loop's
// processor away where a call is long by its standards. The memory that they are
// given is no longer used once they return.

// readNow reads from a socket that does not block.
func readNow(fd int, p []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), err
}

// writeNow writes to a socket that does not block. p is not empty.
func writeNow(fd int, p []byte) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), err
}

// readyNow is an epoll_wait that does not wait.
func readyNow(epoll int, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	return int(n), err
}
