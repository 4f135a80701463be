package server

import (
	"errors"
	"log/slog"
	"net"
	"os"

	"geocache/config"
)

// supervisor tells the supervising process what the server does. The zero value
// tells nobody.
type supervisor struct {
	socket string
	log    *slog.Logger
}

func newSupervisor(mode config.Supervisor, log *slog.Logger) supervisor {
	socket := os.Getenv("NOTIFY_SOCKET")
	switch mode {
	case config.SupervisorSystemd:
		if socket == "" {
			log.Warn("supervised systemd, but NOTIFY_SOCKET is not set")
		}
		return supervisor{socket, log}
	case config.SupervisorAuto:
		return supervisor{socket, log}
	case config.SupervisorUpstart:
		log.Warn("supervised upstart is accepted without effect")
	}
	return supervisor{log: log}
}

// tell sends one state, as sd_notify(3) does.
func (s supervisor) tell(state string) {
	if s.socket == "" {
		return
	}
	// A leading @, an abstract socket, is understood by package net.
	sock, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err == nil {
		_, err = sock.Write([]byte(state))
		err = errors.Join(err, sock.Close())
	}
	if err != nil {
		s.log.Warn("the supervisor could not be told", "state", state, "error", err)
	}
}
