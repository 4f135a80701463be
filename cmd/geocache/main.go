// Command geocache runs a region and asks running ones.
//
// It owns arguments, files named on the command line, and what is printed; what
// a server does is in package server.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

const version = "0.1.0"

func main() {
	root := rootCommand()
	root.SetArgs(shieldNumbers(os.Args[1:]))
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "geocache",
		Short:         "A cache for Redis clients that lives in several regions at once",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.AddCommand(serverCommand(), closestCommand(), regionCommand(), checkCommand(), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

func versionLine() string {
	line := "geocache v" + version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return line
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			line += " commit " + s.Value
		}
	}
	return line + " " + info.GoVersion
}

// shieldNumbers puts a blank before arguments like -23.55, which would be taken
// for flags. Whoever parses a number trims it. The server's arguments are its
// own.
func shieldNumbers(args []string) []string {
	if len(args) > 0 && args[0] == "server" {
		return args
	}
	out := make([]string, len(args))
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && strings.IndexByte("0123456789.", arg[1]) >= 0 {
			arg = " " + arg
		}
		out[i] = arg
	}
	return out
}
