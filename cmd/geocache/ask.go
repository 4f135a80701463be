package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/spf13/cobra"
)

// target is the server that a client command asks.
type target struct {
	host, socket   string
	port           int
	user, password string
	tls            bool
	ca             string
}

const askTimeout = 10 * time.Second

// flags adds what every client command takes, with redis-cli's names where it
// has them; -h stays help.
func (t *target) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&t.host, "host", "127.0.0.1", "server to ask")
	f.IntVarP(&t.port, "port", "p", 6379, "its port")
	f.StringVarP(&t.socket, "socket", "s", "", "its unix socket, instead of host and port")
	f.StringVar(&t.user, "user", "", "user to log in as")
	f.StringVarP(&t.password, "pass", "a", "", "password to log in with (default $REDISCLI_AUTH)")
	f.BoolVar(&t.tls, "tls", false, "use TLS")
	f.StringVar(&t.ca, "cacert", "", "file of the authority that signed the server's certificate")
}

func (t *target) client() (*redis.Client, error) {
	o := &redis.Options{
		Addr: net.JoinHostPort(t.host, strconv.Itoa(t.port)), Username: t.user, Password: t.password,
		Protocol: 3, MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.Password == "" {
		o.Password = os.Getenv("REDISCLI_AUTH")
	}
	if t.socket != "" {
		o.Network, o.Addr = "unix", t.socket
	}
	if t.tls {
		o.TLSConfig = &tls.Config{ServerName: t.host, MinVersion: tls.VersionTLS12}
		if t.ca != "" {
			text, err := os.ReadFile(t.ca)
			if err != nil {
				return nil, err
			}
			o.TLSConfig.RootCAs = x509.NewCertPool()
			if !o.TLSConfig.RootCAs.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("no certificate in %s", t.ca)
			}
		}
	}
	return redis.NewClient(o), nil
}

// ask sends one command and prints the reply.
func (t *target) ask(cmd *cobra.Command, words ...any) error {
	client, err := t.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	reply, err := client.Do(ctx, words...).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	if err == nil {
		_, err = fmt.Fprint(cmd.OutOrStdout(), render(reply))
	}
	return errors.Join(err, client.Close())
}

func closestCommand() *cobra.Command {
	t := &target{}
	var by, ip string
	var count int
	var maxLagMs int64
	var details bool
	cmd := &cobra.Command{
		Use:   "closest [LAT LON]",
		Short: "Print the endpoint of the nearest region that is up",
		Long: `Print the endpoint of the nearest region that is up, seen from a place in degrees
or, without one, from the address of this client.`,
		Example: `  geocache closest 45.5017 -73.5673
  geocache closest -23.5505 -46.6333 --count 2 --details --port 7000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return errors.New("closest takes a latitude and a longitude, or nothing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			words := []any{"closest"}
			for _, arg := range args {
				words = append(words, strings.TrimSpace(arg))
			}
			if ip != "" {
				words = append(words, "ip", ip)
			}
			if by != "" {
				words = append(words, "by", by)
			}
			if count > 0 {
				words = append(words, "count", count)
			}
			if maxLagMs > 0 {
				words = append(words, "maxlag", maxLagMs)
			}
			if details {
				words = append(words, "withdetails")
			}
			return t.ask(cmd, words...)
		},
	}
	t.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&by, "by", "", "rank by distance or rtt")
	f.StringVar(&ip, "ip", "", "place of this address instead of coordinates")
	f.IntVar(&count, "count", 0, "print so many regions, nearest first")
	f.Int64Var(&maxLagMs, "maxlag", 0, "only regions at most so many milliseconds behind")
	f.BoolVar(&details, "details", false, "print distance, round trip, lag and state too")
	return cmd
}

func regionCommand() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{Use: "region", Short: "Show and change the regions of a deployment"}
	t.flags(cmd)
	sub := func(use, short string, args cobra.PositionalArgs, words ...any) {
		cmd.AddCommand(&cobra.Command{
			Use: use, Short: short, Args: args,
			RunE: func(c *cobra.Command, args []string) error {
				line := append([]any{"region"}, words...)
				for _, arg := range args {
					line = append(line, strings.TrimSpace(arg))
				}
				return t.ask(c, line...)
			},
		})
	}
	sub("list", "List all regions as the asked one sees them", cobra.NoArgs, "list")
	sub("info [NAME]", "Describe one region", cobra.MaximumNArgs(1), "info")
	sub("add NAME HOST:PORT [LAT LON] [MERGE|EMPTY]", "Add a sibling to the asked region", cobra.RangeArgs(2, 5), "add")
	sub("remove NAME", "Remove a sibling from the asked region", cobra.ExactArgs(1), "remove")
	sub("digest", "Print the digest of all data and what it contains", cobra.NoArgs, "digest")
	sub("drain ON|OFF", "Take the asked region out of CLOSEST's answers, or back in", cobra.ExactArgs(1), "drain")
	return cmd
}
