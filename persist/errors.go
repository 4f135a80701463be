package persist

import (
	"errors"
	"fmt"
	"sync/atomic"
)

var (
	// ErrNotFound says that the store has no such key.
	ErrNotFound = errors.New("persist: not found")
	// ErrClosed says that the store was closed, or crashed by its test.
	ErrClosed = errors.New("persist: store is closed")
	// ErrCut says that the log no longer reaches back to the position asked.
	ErrCut = errors.New("persist: log is cut there")
	// ErrDiskFull is what a MemStore answers at its capacity.
	ErrDiskFull = errors.New("persist: no space left on device")
	// ErrCheckpointRunning refuses what needs the checkpoint to be over.
	ErrCheckpointRunning = errors.New("persist: a checkpoint is running")
	// ErrLogBehind refuses what needs every record to be written.
	ErrLogBehind = errors.New("persist: the log has unwritten records")
)

// DamageError says that stored bytes are not what was written.
type DamageError struct {
	What  string // what is wrong
	Where string // key or file
	Todo  string // what the operator can do
	Err   error  // cause, may be nil
}

func (e *DamageError) Error() string {
	s := "damaged data: " + e.What + " at " + e.Where
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + e.Todo
}

func (e *DamageError) Unwrap() error { return e.Err }

const todoRestore = "restore this region's directory from a backup, or move it away and let a sibling fill the region anew"

func damage(what string, key []byte, err error) *DamageError {
	return &DamageError{What: what, Where: showKey(key), Todo: todoRestore, Err: err}
}

// LockedError says that another process holds the directory.
type LockedError struct {
	Dir string
	Err error
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by another process: %v", e.Dir, e.Err)
}

func (e *LockedError) Unwrap() error { return e.Err }

// NewerFormatError says that a later version of this program wrote the data.
type NewerFormatError struct {
	Where        string
	Found, Known uint64
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("%s has format version %d and this program knows versions up to %d: run the version that wrote it, or a later one",
		e.Where, e.Found, e.Known)
}

// FailedError is the sticky failure of the log: what was tried and why it
// went wrong.
type FailedError struct {
	Op  string
	Err error
}

func (e *FailedError) Error() string { return "persist: " + e.Op + ": " + e.Err.Error() }

func (e *FailedError) Unwrap() error { return e.Err }

// failure remembers the first error set.
type failure struct{ p atomic.Pointer[FailedError] }

// get is nil as long as nothing failed.
func (f *failure) get() error {
	if e := f.p.Load(); e != nil {
		return e
	}
	return nil
}

// set records a failure unless there is one, and returns the one that counts.
func (f *failure) set(op string, err error) error {
	f.p.CompareAndSwap(nil, &FailedError{Op: op, Err: err})
	return f.get()
}
