package nacosconn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	// requestTimeout is the most that one request may take, whatever its context
	// says: a hung server must not hold a caller for longer.
	requestTimeout = 3 * time.Second
	// maxMessage bounds what we read in one message, in bytes. A list of 10,000
	// instances with as much metadata as Nacos allows has 14 MB, one of 40,000
	// usual ones too. Nothing is read of a message that says that it is longer.
	maxMessage = 16 << 20

	window = 1 << 20 // HTTP/2 flow control, bytes: one long list without waiting
)

var errOneShot = errors.New("nacos: a connection is used once")

// Conn is one established connection. Requests may be sent concurrently, as long
// as it lives.
type Conn struct {
	session *Session
	server  server
	local   netip.Addr
	remote  netip.Addr
	cc      *grpc.ClientConn
	unary   auto.RequestClient
	born    time.Time

	// stream is written by the goroutine that sets the connection up and, after
	// that, by receive alone.
	stream auto.BiRequestStream_RequestBiStreamClient
	acked  chan struct{} // closed when the server has taken us in

	urgent, usual turns
	silence       silence

	used    atomic.Int64  // nanoseconds from born to the last sign of life
	suspect chan struct{} // holds one element when the health should be checked now
	reset   chan server   // holds one element when the server wants to be rid of us

	stop context.CancelFunc // ends the stream
	once sync.Once
	lost chan struct{}
	err  error // why lost; written before lost is closed
	done sync.WaitGroup
}

// newConn makes a connection over an open socket. Nothing is sent yet.
func newConn(s *Session, to server, socket net.Conn) (*Conn, error) {
	c := &Conn{
		session: s, server: to, born: time.Now(),
		acked: make(chan struct{}), suspect: make(chan struct{}, 1), reset: make(chan server, 1),
		lost: make(chan struct{}),
	}
	c.local, c.remote = addrOf(socket.LocalAddr()), addrOf(socket.RemoteAddr())
	security := insecure.NewCredentials()
	if s.config.TLS != nil {
		security = credentials.NewTLS(s.config.TLS)
	}
	// To Nacos the HTTP/2 connection is our identity. gRPC must not replace it
	// behind our back: the new one would be a stranger without registrations.
	var taken atomic.Bool
	dial := func(context.Context, string) (net.Conn, error) {
		if taken.Swap(true) {
			return nil, errOneShot
		}
		return socket, nil
	}
	cc, err := grpc.NewClient("passthrough:///"+to.grpc(),
		grpc.WithTransportCredentials(security), grpc.WithContextDialer(dial), grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	if err != nil {
		return nil, err
	}
	c.cc, c.unary = cc, auto.NewRequestClient(cc)
	return c, nil
}

// addrOf is the IP address of one end, invalid if it has none.
func addrOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Loopback reports whether the server is on this machine's loopback interface.
func (c *Conn) Loopback() bool { return c.remote.IsLoopback() }

// Lost is closed when the connection is gone; another one may be there already.
func (c *Conn) Lost() <-chan struct{} { return c.lost }

// fail ends the connection; the first reason stays.
func (c *Conn) fail(reason error) {
	c.once.Do(func() {
		c.err = c.server.failure(reason)
		close(c.lost)
		if c.stop != nil {
			c.stop()
		}
	})
}

// close ends the connection and waits for its goroutine.
func (c *Conn) close() {
	c.fail(ErrClosed)
	_ = c.cc.Close() // says only that it was closed before
	c.done.Wait()
}

func (c *Conn) touch() { c.used.Store(int64(time.Since(c.born))) }

func (c *Conn) idle() time.Duration { return time.Since(c.born) - time.Duration(c.used.Load()) }

func (c *Conn) clientIP() string {
	if !c.local.IsValid() {
		return ""
	}
	return c.local.String()
}

func (c *Conn) endpoint() Endpoint { return Endpoint{c.server.http(), c.session.config.TLS} }

// call sends a request and reads its answer into out. A request that the server
// forbids is sent once more if there are better credentials.
func (c *Conn) call(ctx context.Context, req rpc_request.IRequest, out answer) error {
	headers, err := c.headers(ctx)
	if err != nil {
		return err
	}
	err = c.send(ctx, headers, req, out)
	var refused *ServerError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.Code == codeUnregistered:
		c.fail(err)
	case refused.Code == codeForbidden && c.session.config.Credentials != nil:
		better, failed := c.refresh(ctx, headers)
		if failed != nil {
			return failed
		}
		if better {
			return c.try(ctx, req, out)
		}
	}
	return err
}

// headers are those of the credentials, nil without any.
func (c *Conn) headers(ctx context.Context) (map[string]string, error) {
	cred := c.session.config.Credentials
	if cred == nil {
		return nil, nil
	}
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	h, err := cred.Headers(limited, c.endpoint())
	if err != nil {
		return nil, c.server.failure(err)
	}
	return h, nil
}

// refresh reports whether there are better headers than those that were refused.
func (c *Conn) refresh(ctx context.Context, refused map[string]string) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	better, err := c.session.config.Credentials.Refresh(limited, c.endpoint(), refused)
	if err != nil {
		return false, c.server.failure(err)
	}
	return better, nil
}

// try is call without a second try.
func (c *Conn) try(ctx context.Context, req rpc_request.IRequest, out answer) error {
	headers, err := c.headers(ctx)
	if err != nil {
		return err
	}
	return c.send(ctx, headers, req, out)
}

func (c *Conn) send(ctx context.Context, headers map[string]string, req rpc_request.IRequest, out answer) error {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	name := req.GetRequestType()
	p, err := encode(name, c.clientIP(), headers, req)
	if err != nil {
		return err
	}
	sent := time.Now()
	resp, err := c.unary.Request(limited, p)
	switch {
	case err == nil:
		c.touch()
		if _, check := out.(*healthAnswer); !check {
			c.silence.answered()
		}
		return censor(decode(c.server.grpc(), name, resp, out), headers)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case status.Code(err) == codes.DeadlineExceeded && sameDeadline(ctx, limited):
		<-ctx.Done() // the server has watched the deadline too, and was a bit early
		return context.Cause(ctx)
	case status.Code(err) == codes.DeadlineExceeded:
		err = &silentError{name, requestTimeout, err}
		if c.silence.unanswered(sent) {
			c.fail(err)
		}
		select {
		case c.suspect <- struct{}{}:
		default:
		}
		return &connError{c.server, err}
	}
	return c.server.failure(err)
}

func sameDeadline(a, b context.Context) bool {
	da, ok := a.Deadline()
	db, _ := b.Deadline()
	return ok && da.Equal(db)
}

// receive reads the stream until it ends. It is the connection's one goroutine:
// what the server sends is handed over and answered in order.
func (c *Conn) receive() {
	for {
		p, err := c.stream.Recv()
		if err != nil {
			c.fail(err)
			return
		}
		c.touch()
		m, err := decodePush(p.GetMetadata().GetType(), p.GetBody().GetValue())
		if err != nil {
			c.session.report(c.server.failure(err))
		}
		if m.typ == typeSetupAck {
			select {
			case <-c.acked:
			default:
				close(c.acked)
			}
			continue
		}
		c.session.deliver(c, &m)
		// A message that we cannot read is acknowledged too: the server would
		// send it again and again, and it would not get better.
		if reply, err := m.reply(c.clientIP()); err == nil {
			err = c.stream.Send(reply)
			if err != nil {
				c.fail(err)
				return
			}
		}
		if m.reset != nil {
			select {
			case c.reset <- *m.reset:
			default:
			}
		}
	}
}
