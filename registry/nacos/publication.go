package nacos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/model"

	"github.com/graylane/graylane/internal/nacosconn"
	"github.com/graylane/graylane/registry"
)

const (
	// firstLook is when, give or take a fifth, we look how the registry lists what
	// it has just accepted; its answers lag by 0.6 s. What it lists may still be
	// the copy of a lost connection, which it keeps for up to 35 s.
	firstLook = 2500 * time.Millisecond
	// verifyEvery is how often, give or take a fifth, we look again.
	verifyEvery = 40 * time.Second
	// perListed is how much later we look for each instance that was listed when we
	// last did: all of them look, and each gets the whole list.
	perListed = 50 * time.Millisecond
)

// publication keeps what the server holds of one service equal to what this
// process wants: one set per connection, sent as a whole, since Nacos knows no
// other way to have several. It has one goroutine, run.
type publication struct {
	client  *Client
	service registry.Service
	wake    chan struct{} // holds one element when the desired set has changed

	mu       sync.Mutex      // guards the rest
	members  []*registration // the desired set, in order of registration
	revision uint64          // of the desired set
	on       *nacosconn.Conn // the connection that may hold something; nil: none
	accepted uint64          // the revision that it has accepted
	err      error           // why the last try failed, nil if it did not
	changed  chan struct{}   // closed and replaced when accepted, on or err change
}

func newPublication(c *Client, s registry.Service) *publication {
	return &publication{client: c, service: s, wake: make(chan struct{}, 1), changed: make(chan struct{})}
}

// desire says that the desired set has changed and returns its new revision. The
// caller holds mu.
func (p *publication) desire() uint64 {
	p.revision++
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return p.revision
}

// holds reports whether the server has accepted a revision. The caller holds mu.
func (p *publication) holds(revision uint64) bool { return p.on != nil && p.accepted >= revision }

// outcome records how a try ended, and wakes who waits.
func (p *publication) outcome(on *nacosconn.Conn, accepted uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on, p.accepted, p.err = on, accepted, err
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until done, which is called under mu, says so or fails.
func (p *publication) await(ctx context.Context, id string, done func() (bool, error)) error {
	for {
		p.mu.Lock()
		ok, err := done()
		reason, changed := p.err, p.changed
		p.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
			continue
		case <-p.client.life.Done():
			return registry.ErrClosed
		case <-ctx.Done():
		}
		if reason == nil {
			// The context has ended, so this does not wait.
			reason = p.client.session.Ready(ctx)
		}
		if reason == nil {
			reason = context.Cause(ctx)
			return fmt.Errorf("nacos: %s of %v: no answer yet: %w", id, p.service, reason)
		}
		return fmt.Errorf("nacos: %s of %v: %w: %w", id, p.service, reason, context.Cause(ctx))
	}
}

// run is the publication's goroutine. It ends when nothing is desired or held any
// more, or with the client.
func (p *publication) run(ctx context.Context) {
	var backoff nacosconn.Backoff
	look, listed := firstLook, 0
	for ctx.Err() == nil {
		conn, changed := p.client.session.Current()
		p.mu.Lock()
		moved := p.on != nil && p.on != conn
		p.mu.Unlock()
		if moved { // what the last connection held goes with it
			p.outcome(nil, 0, nil)
		}
		if p.finished() {
			return
		}
		if conn == nil {
			p.sleep(ctx, changed)
			continue
		}
		set, revision, behind := p.desired(conn)
		if !behind {
			backoff.Reset()
			if p.rest(ctx, conn, changed, look+time.Duration(listed)*perListed) {
				listed = p.verify(ctx, conn)
				look = verifyEvery
			}
			continue
		}
		err := conn.Register(ctx, p.service.Group, p.service.Name, set)
		if err == nil {
			look = firstLook
			p.outcome(conn, revision, nil)
			continue
		}
		p.outcome(conn, p.acceptedSoFar(), err)
		if ctx.Err() == nil {
			p.client.report(p.service, err)
			nacosconn.Pause(ctx, conn.Lost(), backoff.Next())
		}
	}
}

// finished ends a publication that has nothing to do any more.
func (p *publication) finished() bool {
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.members) > 0 || p.on != nil && p.accepted != p.revision {
		return false
	}
	delete(p.client.publications, p.service)
	return true
}

// desired returns the desired set, and whether conn has yet to accept it. From
// here on conn counts as holding something.
func (p *publication) desired(conn *nacosconn.Conn) (set []model.Instance, revision uint64, behind bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on == conn && p.accepted == p.revision {
		return nil, p.revision, false
	}
	if p.on != conn {
		p.on, p.accepted = conn, 0
	}
	for _, r := range p.members {
		set = append(set, announced(&r.instance))
	}
	return set, p.revision, true
}

func (p *publication) acceptedSoFar() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// sleep waits for a wish, a connection, or the end.
func (p *publication) sleep(ctx context.Context, changed <-chan struct{}) {
	select {
	case <-p.wake:
	case <-changed:
	case <-ctx.Done():
	}
}

// rest waits for a wish or another connection. It returns true after a while, give or take
// a fifth: then it is time to look whether the registry still lists what it has accepted.
func (p *publication) rest(ctx context.Context, conn *nacosconn.Conn, changed <-chan struct{}, after time.Duration) bool {
	look := time.NewTimer(nacosconn.Jitter(after))
	defer look.Stop()
	select {
	case <-p.wake:
	case <-changed:
	case <-conn.Lost():
	case <-ctx.Done():
	case <-look.C:
		return true
	}
	return false
}
