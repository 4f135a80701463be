// Package server owns everything between a node and its machine: listening
// sockets, client connections, TLS, links to sibling regions, the loops that
// drive the node's steps, signals, logging, and the process' limits.
//
// It must not know commands, keys or frames: bytes go into a session and bytes
// come out of it.
//
// Invariants:
//
//   - A session is driven by one goroutine at a time: plain connections by their
//     event loop, TLS under conn.mu. Nobody waits for a socket: what the kernel
//     does not take at once is kept by the loop until there is room, or with TLS
//     left to a goroutine that exists only as long as there is a rest.
//   - A connection's next output is taken from its session only after the last
//     has left for the kernel, so what a slow reader has not read stays in the
//     session, where client-output-buffer-limit counts it.
//   - The loops run as long as clients are being served. At shutdown reading
//     ends first, then the loops, then what they had left is written, and only
//     then the last replies leave and the node is closed.
//
// Locks, outermost first: conn.mu, outbox.mu. hub.mu, listeners.mu, links.mu,
// link.mu, eventLoop.mu and mappings.mu are leaves, and only listeners.mu (bind
// and listen), eventLoop.mu (its bell) and mappings.mu (mmap) are held over
// system calls, which do not wait.
package server
