package nacosconn

import "time"

// settled is how long a connection has to live before what went wrong earlier is
// forgotten: a server that takes everybody in and drops them is no better than
// one that refuses.
const settled = 10 * time.Second

// pace says how long to wait before the next connection.
type pace struct{ backoff Backoff }

// failed counts a round of servers that could not be connected to.
func (p *pace) failed() time.Duration { return p.backoff.Next() }

// lost counts a connection that ended after a time.
func (p *pace) lost(lived time.Duration) time.Duration {
	if lived >= settled {
		p.backoff.Reset()
	}
	return p.backoff.Next()
}

// reset counts a connection that the server wanted to end after a time. The first
// of these is obeyed at once.
func (p *pace) reset(lived time.Duration) time.Duration {
	first := lived >= settled || p.backoff.failures == 0
	d := p.lost(lived)
	if first {
		return 0
	}
	return d
}
