package server

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"syscall"

	"geocache/config"
	"geocache/resp"
)

// reservedFiles are the descriptors kept for what is no client: the store, the
// log, listening sockets, links to siblings.
const reservedFiles = 512

// openFiles returns how many files the process may open, after asking for want.
func openFiles(want uint64) (uint64, error) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0, err
	}
	if lim.Cur >= want {
		return lim.Cur, nil
	}
	raised := syscall.Rlimit{Cur: want, Max: max(want, lim.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return want, nil
	}
	raised = syscall.Rlimit{Cur: min(want, lim.Max), Max: lim.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return lim.Cur, nil // the old limit still holds
	}
	return raised.Cur, nil
}

// fitMaxClients raises the limit of open files so that maxclients fit, or else
// lowers maxclients, as Redis does at start.
func fitMaxClients(conf *config.Config, log *slog.Logger) error {
	want := uint64(conf.Load().MaxClients) + reservedFiles
	have, err := openFiles(want)
	if err != nil {
		log.Warn("the limit of open files is unknown", "error", err)
		return nil
	}
	if have < want {
		if have <= reservedFiles {
			return fmt.Errorf("only %d open files are allowed: raise the limit with ulimit -n to at least %d", have, want)
		}
		fits := have - reservedFiles
		log.Warn("maxclients lowered to what the limit of open files allows; raise it with ulimit -n",
			"maxclients", fits, "openfiles", have, "needed", want)
		if err := conf.Set([]config.Pair{{Name: "maxclients", Value: strconv.FormatUint(fits, 10)}}, config.Caller{}); err != nil {
			return err
		}
	}
	conf.OnChange("maxclients", func(_, next *config.Snapshot) error {
		want := uint64(next.MaxClients) + reservedFiles
		have, err := openFiles(want)
		if err == nil && have < want {
			err = errors.New(resp.ReasonMaxClients(int64(have) - reservedFiles))
		}
		return err
	})
	return nil
}
