package nacosconn

import (
	"context"
	"errors"
	"maps"
	"net"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
)

const (
	setupTimeout = 3 * time.Second // for each step: socket, server check, setup
	setupPoll    = 20 * time.Millisecond

	clientVersion = "Graylane-Go"
	labelSource   = "source"
	labelModule   = "module"
)

// setupRequest adds to the SDK's type what makes the server tell us when it has
// taken the connection in.
type setupRequest struct {
	*rpc_request.ConnectionSetupRequest
	AbilityTable map[string]bool `json:"abilityTable"`
}

type serverCheckAnswer struct {
	result
	Negotiates bool `json:"supportAbilityNegotiation"`
}

func (*serverCheckAnswer) typeName() string { return "ServerCheckResponse" }

type healthAnswer struct{ result }

func (*healthAnswer) typeName() string { return "HealthCheckResponse" }

// connect dials a server and introduces us. The connection lives until it fails
// or ctx ends.
func (s *Session) connect(ctx context.Context, to server) (*Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	socket, err := (&net.Dialer{}).DialContext(dialing, "tcp", to.dial())
	if err != nil {
		return nil, &connError{to, err}
	}
	c, err := newConn(s, to, socket)
	if err != nil {
		_ = socket.Close()
		return nil, &connError{to, err}
	}
	if err := c.introduce(ctx); err != nil {
		c.close()
		_ = socket.Close() // if gRPC never asked for it
		return nil, to.failure(err)
	}
	return c, nil
}

// introduce does the handshake: is the server up, who we are, does it know us.
func (c *Conn) introduce(ctx context.Context) error {
	var check serverCheckAnswer
	if err := c.try(ctx, rpc_request.NewServerCheckRequest(), &check); err != nil {
		return starting(err)
	}
	streaming, stop := context.WithCancel(ctx)
	c.stop = stop
	stream, err := auto.NewBiRequestStreamClient(c.cc).RequestBiStream(streaming)
	if err != nil {
		return err
	}
	c.stream = stream
	p, err := c.setup(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(p); err != nil {
		return err
	}
	c.done.Go(c.receive)
	if check.Negotiates {
		return c.awaitAck(ctx)
	}
	return c.pollUntilKnown(ctx)
}

// setup is the message that introduces us.
func (c *Conn) setup(ctx context.Context) (*auto.Payload, error) {
	headers, err := c.headers(ctx)
	if err != nil {
		return nil, err
	}
	config := &c.session.config
	req := setupRequest{rpc_request.NewConnectionSetupRequest(), map[string]bool{}}
	req.ClientVersion = clientVersion
	req.Tenant = config.Namespace
	req.Labels = map[string]string{labelSource: "sdk", labelModule: string(c.session.module)}
	maps.Copy(req.Labels, config.Labels)
	return encode(req.GetRequestType(), c.clientIP(), headers, req)
}

func (c *Conn) awaitAck(ctx context.Context) error {
	t := time.NewTimer(setupTimeout)
	defer t.Stop()
	select {
	case <-c.acked:
		return nil
	case <-c.lost:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return &silentError{"ConnectionSetupRequest", setupTimeout, context.DeadlineExceeded}
	}
}

// pollUntilKnown waits for a server that does not acknowledge a setup: it takes
// the connection in by and by and refuses requests until then.
func (c *Conn) pollUntilKnown(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, setupTimeout,
		&silentError{"ConnectionSetupRequest", setupTimeout, context.DeadlineExceeded})
	defer cancel()
	for {
		err := c.try(limited, rpc_request.NewHealthCheckRequest(), &healthAnswer{})
		var refused *ServerError
		if !errors.As(err, &refused) || refused.Code != codeUnregistered {
			return err
		}
		if !Pause(limited, c.lost, setupPoll) {
			if err := context.Cause(limited); err != nil {
				return err
			}
			return c.err
		}
	}
}

// starting gives a server that is not ready yet a readable reason.
func starting(err error) error {
	var refused *ServerError
	if errors.As(err, &refused) && refused.Code >= codeStarting && refused.Code < 400 {
		return errors.New("the server is starting")
	}
	return err
}

// checkHealth asks the server for a sign of life; without one the connection is
// lost, and the answer is no.
func (c *Conn) checkHealth(ctx context.Context) bool {
	err := c.try(ctx, rpc_request.NewHealthCheckRequest(), &healthAnswer{})
	if err != nil && ctx.Err() == nil {
		c.fail(err)
	}
	return err == nil
}
