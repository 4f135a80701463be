package node

// Info implements command.Host.
func (n *Node) Info(sections []string) string { return "# Server\r\n" }
