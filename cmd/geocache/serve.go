package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"geocache/config"
	"geocache/server"

	"github.com/spf13/cobra"
)

func serverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "server [redis.conf] [--name value...] [-]",
		Short: "Run a region",
		Long: `Run a region. The configuration has Redis' form, in a file, on the standard
input (-), in the environment (GEOCACHE_MAXMEMORY=1gb) and as options; later
sources win. redis.conf.example and docs/CONFIG.md list all parameters.`,
		Example: `  geocache server
  geocache server redis.conf --port 7000 --appendfsync always
  geocache server --save 100 100 --maxmemory 1gb
  echo 'port 7000' | geocache server -`,
		// Options are configuration lines; cobra must not read them.
		DisableFlagParsing: true,
		ValidArgsFunction:  completeServer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				switch args[0] {
				case "-h", "--help":
					return cmd.Help()
				case "-v", "--version":
					_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
					return err
				}
			}
			return serve(args, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func completeServer(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(word) == 0 || word[0] != '-' {
		if len(args) == 0 {
			return []string{"conf"}, cobra.ShellCompDirectiveFilterFileExt
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, p := range config.New().Params() {
		if p.Flags&config.Hidden == 0 && p.Effect == config.Effective {
			names = append(names, "--"+p.Name+"\t"+p.Doc)
		}
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

func serve(args []string, stdin io.Reader, stdout io.Writer) error {
	src := config.ParseArgs(args)
	src.Environ = os.Environ()
	var err error
	if src.WorkingDir, err = os.Getwd(); err != nil {
		return err
	}
	if src.ReadStdin {
		text, err := io.ReadAll(stdin)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		src.Stdin = string(text)
	}
	conf, err := config.Load(src, diskFiles{})
	if err != nil {
		return err
	}
	snap := conf.Load()
	if info, err := os.Stat(snap.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("can't use '%s' as data directory: it does not exist or is no directory", snap.Dir)
	}
	if snap.Daemonize && snap.Supervised == config.SupervisorNone && os.Getenv(daemonMark) == "" {
		return daemonize(src.Stdin)
	}
	o := server.Options{Config: conf, Version: version, Stdout: stdout, OwnProcess: server.LogClients}
	if src.File != "" {
		if o.ConfigFile, err = filepath.Abs(src.File); err != nil {
			return err
		}
	}
	return server.Run(o)
}

// daemonMark tells the detached process that it is one. It has no GEOCACHE_
// in front: those are parameters.
const daemonMark = "_GEOCACHE_DAEMON"

// daemonize starts this program again with the same arguments, in a session of
// its own and without the terminal, and does not wait for it.
func daemonize(stdin string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("daemonize: %w", err)
	}
	child := exec.Command(exe, os.Args[1:]...)
	child.Env = append(os.Environ(), daemonMark+"=1")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("daemonize: %w", err)
	}
	child.Stdin = r
	if err := child.Start(); err != nil {
		return errors.Join(fmt.Errorf("daemonize: %w", err), r.Close(), w.Close())
	}
	_, err = io.WriteString(w, stdin)
	return errors.Join(err, w.Close(), r.Close(), child.Process.Release())
}

// diskFiles is the file system as config wants it.
type diskFiles struct{}

// ReadFile implements config.Files. The caller names the file in its message.
func (diskFiles) ReadFile(name string) (string, error) {
	text, err := os.ReadFile(name)
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return string(text), err
}

// Glob implements config.Files.
func (diskFiles) Glob(pattern string) ([]string, error) {
	names, err := filepath.Glob(pattern)
	slices.Sort(names)
	return names, err
}
