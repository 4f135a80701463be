package node

import (
	"geocache/command"
	"geocache/config"
	"geocache/resp"
)

// This file is what handlers may do to the region they run in (command.Host);
// sessions are in clients.go, siblings in regions.go, INFO in info.go.

// NowMicros implements command.Host.
func (n *Node) NowMicros() int64 { return n.wall.NowMicros() }

// HasUser implements command.Host.
func (n *Node) HasUser(name string) bool { return name == defaultUser }

// ConfigSet implements command.Host.
func (n *Node) ConfigSet(pairs []config.Pair, caller config.Caller, inExec command.Switch) error {
	if inExec == command.Off {
		n.reconfigure.Lock()
	} else if !n.reconfigure.TryLock() {
		return &config.SetError{Argument: pairs[0].Name, Reason: resp.ReasonBusy}
	}
	defer n.reconfigure.Unlock()
	n.reconfigure.worldHeld = inExec == command.On
	defer func() { n.reconfigure.worldHeld = false }()
	caller.Loading = n.loading.Load()
	err := n.conf.Set(pairs, caller)
	if names := n.conf.WithoutEffect(pairs); err == nil && len(names) > 0 {
		n.log.Info("parameters accepted without effect", "names", names)
	}
	return err
}

// ConfigRewrite implements command.Host.
func (n *Node) ConfigRewrite() error {
	if n.opts.RewriteConfig == nil {
		return resp.ErrNoConfigFile
	}
	if err := n.opts.RewriteConfig(n.conf.Rewrite); err != nil {
		n.log.Warn("CONFIG REWRITE failed", "error", err)
		return resp.ConfigRewriteFailed(err.Error())
	}
	n.log.Info("CONFIG REWRITE executed with success")
	return nil
}

// SetActiveExpire implements command.Host.
func (n *Node) SetActiveExpire(v command.Switch) { n.noExpire.Store(v == command.Off) }

// Shutdown implements command.Host: everything acknowledged is made durable,
// then the server is asked to end. It blocks.
func (n *Node) Shutdown(m command.ShutdownMode) error {
	if m.Abort == command.On {
		return resp.ErrShutdownAbsent
	}
	if err := n.PrepareStop(m); err != nil {
		return err
	}
	if !n.stopping.CompareAndSwap(false, true) {
		return nil
	}
	n.log.Info("user requested shutdown")
	for _, s := range n.clients.all() {
		s.killed.Store(true)
	}
	n.opts.Stop()
	return nil
}
