// Package replicate owns the sibling protocol: who is linked to whom, what a
// sibling lacks, what is sent again, when a received batch may be applied and
// when a whole state travels instead of a log. It is a state machine: frames,
// times and news of the own log go in, frames to send and calls on Host come
// out. It has no goroutine, socket, disk or clock of its own, is driven from one
// goroutine and has no locks. It must not know engines, disks, nodes or
// geography.
//
// Nouns. A Core is one region's end of all its links; a peer is one configured
// sibling. A session is one agreement of two cores, made by a handshake of
// hellos and named by both sides' tokens: a frame of another session is stale
// and dropped. A report is a core's regular word to a peer: what it has applied,
// synced and received, its clock, what it misses; every heartbeat is a report.
// A mark is a log position with a vector that covers all before it. A transfer
// is a walk over all keys for a peer that the log can no longer serve.
//
// Contract with the transport. Frames of at most about MaxFrameBytes may be
// lost, delayed, duplicated and reordered; nothing but speed depends on it. A
// Step that returns an error means a malformed or hostile frame: the link is to
// be cut. Ready is called after every Step, Tick and LogGrew. Between LinkDown and LinkUp nothing is sent.
//
// Contract with the host. Log positions are dense, one per batch. A batch is in
// the log no later than the vector shows it. HLCNow is asked before Vector, and
// every own write at or below that reading must be in the vector then. Slices
// handed to Apply and ApplyState belong to the caller's frame: the host copies.
//
// Invariants.
//   - Apply sees an origin's batches in order, each once, and only when all that
//     it depends on is applied.
//   - What a peer reported as applied or synced only grows within a session, and
//     a session never outlives an incarnation at either end.
//   - The vector moves by Apply and StateDone, never by a part of a transfer.
//   - No batch stamped beyond the clock bound is applied, and none is skipped.
//
// Limit. A region that takes writes while it receives a copy keeps them, and so
// keeps what it joined even when the copy's source is emptied before its log
// confirmed all of it. Such a key differs between regions until it is written
// again. It takes a spent log budget at the source within the transfer.
//
// Bounds. Per peer: unacknowledged frames (WindowBytes; then the log waits),
// received batches that cannot be applied yet (BufferBytes; then they are dropped
// and sent again later), pieces of large messages (MaxMessageBytes; then the
// oldest message is dropped), transfer chunks (WindowBytes). Marks are thinned at
// maxMarks, which only costs reading.
package replicate
