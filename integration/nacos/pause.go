package nacos

import (
	"fmt"
	"syscall"
)

// Pause stops the node as it stands: its ports still accept connections, and
// nothing is answered, as by a machine that hangs. Resume lets it go on.
func (n *Node) Pause() error { return n.process().signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (n *Node) Resume() error { return n.process().signal(syscall.SIGCONT) }

// signal sends a signal to the whole process group.
func (p *process) signal(s syscall.Signal) error {
	if p.ended() { // the group's number may belong to others by now
		return errExited
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		return fmt.Errorf("nacos: %s: %w", s, err)
	}
	return nil
}
