package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"geocache/persist"
	"geocache/server"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Verify a data directory without changing it",
		Long: `Verify every record of a data directory (the one that the parameter dir names)
while no server runs on it. Exits with 1 if anything is damaged.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return check(cmd.OutOrStdout(), args[0])
		},
	}
}

var errDamaged = errors.New("the data directory is damaged: restore it from a backup, or move it away and let a sibling fill the region anew")

func check(out io.Writer, dir string) error {
	if info, err := os.Stat(server.StorePath(dir)); err == nil && info.IsDir() {
		dir = server.StorePath(dir)
	}
	store, err := persist.OpenPebble(dir, persist.PebbleOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	r, err := persist.Check(store)
	err = errors.Join(err, store.Close())
	if _, werr := io.WriteString(out, report(dir, r)); werr != nil {
		return werr
	}
	if err == nil && r.ProblemCount > 0 {
		err = errDamaged
	}
	return err
}

func report(dir string, r persist.Report) string {
	var b strings.Builder
	ended := "without a clean end"
	if r.Clean {
		ended = "cleanly"
	}
	fmt.Fprintf(&b, "directory    %s, closed %s\n", dir, ended)
	fmt.Fprintf(&b, "region       %s\n", r.Identity.Region)
	fmt.Fprintf(&b, "rows         %d, %d bytes\n", r.Rows, r.RowBytes)
	fmt.Fprintf(&b, "log          %d records from %d on, %d bytes\n", r.LogEnd-r.LogFirst, r.LogFirst, r.LogBytes)
	fmt.Fprintf(&b, "checkpoint   at log position %d\n", r.CheckpointPos)
	fmt.Fprintf(&b, "members      %s\n", strings.Join(r.Members, " "))
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem      %v\n", p)
	}
	if more := r.ProblemCount - len(r.Problems); more > 0 {
		fmt.Fprintf(&b, "problem      and %d more\n", more)
	}
	if r.ProblemCount == 0 {
		b.WriteString("no problems found\n")
	}
	return b.String()
}
