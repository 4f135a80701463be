// Package persist owns a region's disk: one ordered store that holds
//
//	log/   the log: groups of batches, one store row per group
//	row/   each key's newest checkpointed state
//	meta/  identity, clock bound, checkpoint position and vector, members
//
// and the rules by which these survive a crash. A batch is opaque here except
// to Check; so is a key's state. The package knows nothing of engines,
// siblings, sessions or commands, and it has no goroutine, timer or clock:
// everything is a step that somebody drives (Log.WriteStep, Log.SyncStep,
// Checkpoint.Step), so that a simulator can.
//
// Invariants:
//
//   - Log positions are dense: 1, 2, 3, ... for the life of the store, less
//     the tail that a crash takes.
//   - What a store keeps over a crash is everything synced and a prefix of what
//     was applied after that. So a row is applied only after the log records
//     whose effects it shows: a batch never survives in part.
//   - Rows are at least as new as the checkpoint position says, and the log
//     reaches from there on without a gap.
//   - After a failed log write or a failed sync nothing is reported durable
//     any more; only a restart ends that.
//
// Locks: Log.mu guards the memory tail and DB.mu the dirty set handed over by
// failed checkpoints. Neither is held over I/O, and neither is taken inside
// the other.
package persist
