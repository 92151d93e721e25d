package nacostest

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Types of the messages that belong to the connection and of the pushes.
const (
	typeServerCheck      = "ServerCheckRequest"
	typeSetup            = "ConnectionSetupRequest"
	typeSetupAck         = "SetupAckRequest"
	typeDetection        = "ClientDetectionRequest"
	typeReset            = "ConnectResetRequest"
	typeNotifySubscriber = "NotifySubscriberRequest"
	typeConfigChange     = "ConfigChangeNotifyRequest"
)

// grpcService is the server's face towards gRPC.
type grpcService struct {
	auto.UnimplementedRequestServer
	auto.UnimplementedBiRequestStreamServer
	server   *Server
	handlers map[string]handler
}

// handler processes one type of unary request.
type handler struct {
	answerType string
	open       bool // needs no token
	// empty returns an answer that says nothing.
	empty func() answer
	// do returns an answer with each error that it could tell itself.
	do func(s *Server, c *conn, body []byte) (answer, error)
}

// handle makes a handler from a function that has decoded values.
func handle[Q any, A any, PA interface {
	*A
	answer
}](answerType string, do func(*Server, *conn, *Q) (PA, error)) handler {
	return handler{
		answerType: answerType,
		empty:      func() answer { return PA(new(A)) },
		do: func(s *Server, c *conn, body []byte) (answer, error) {
			var q Q
			if err := json.Unmarshal(body, &q); err != nil {
				return nil, &failure{
					resultCode: codeFailed, errorCode: codeUnreadable,
					message: "errCode: 101, errMsg: Nacos deserialize failed. " + err.Error(),
				}
			}
			a, err := do(s, c, &q)
			if a == nil {
				a = new(A)
			}
			return a, err
		},
	}
}

// newHandlers returns one handler for each unary request of a client that is set
// up.
func newHandlers() map[string]handler {
	health := handle("HealthCheckResponse", (*Server).healthCheck)
	health.open = true
	return map[string]handler{
		"HealthCheckRequest":        health,
		"InstanceRequest":           handle("InstanceResponse", (*Server).instance),
		"PersistentInstanceRequest": handle("InstanceResponse", (*Server).persistentInstance),
		"BatchInstanceRequest":      handle("BatchInstanceResponse", (*Server).batchInstance),
		"SubscribeServiceRequest":   handle("SubscribeServiceResponse", (*Server).subscribeService),
		"ServiceQueryRequest":       handle("QueryServiceResponse", (*Server).queryService),
		"ServiceListRequest":        handle("ServiceListResponse", (*Server).listServices),
		"ConfigQueryRequest":        handle("ConfigQueryResponse", (*Server).queryConfig),
		"ConfigPublishRequest":      handle("ConfigPublishResponse", (*Server).publishConfig),
		"ConfigRemoveRequest":       handle("ConfigRemoveResponse", (*Server).removeConfig),
		"ConfigBatchListenRequest":  handle("ConfigChangeBatchListenResponse", (*Server).listenConfigs),
	}
}

type healthCheckRequest struct{}

func (*Server) healthCheck(*conn, *healthCheckRequest) (*response, error) { return &response{}, nil }

type serverCheckAnswer struct {
	response
	ConnectionID              string `json:"connectionId"`
	SupportAbilityNegotiation bool   `json:"supportAbilityNegotiation"`
}

// Request serves the unary requests.
func (g *grpcService) Request(ctx context.Context, p *auto.Payload) (*auto.Payload, error) {
	s, c := g.server, connOf(ctx)
	typ, body := p.GetMetadata().GetType(), p.GetBody().GetValue()
	c.alive(time.Now())

	a, err := s.decide(ctx, Request{
		Type: typ, ConnectionID: c.id, Module: c.module(), Headers: p.GetMetadata().GetHeaders(), Body: body,
	})
	if err != nil {
		return nil, status.FromContextError(err).Err()
	}
	h, known := g.handlers[typ]
	answerType, result := h.answerType, answer(nil)
	switch {
	case a.kind == refuse && known:
		result, err = h.empty(), refused(a.code, a.message)
	case a.kind == fail || a.kind == refuse:
		err = &failure{resultCode: codeFailed, errorCode: a.code, message: a.message}
	case typ == typeServerCheck:
		answerType = "ServerCheckResponse"
		result = &serverCheckAnswer{ConnectionID: c.id, SupportAbilityNegotiation: true}
	case !known:
		err = &failure{resultCode: codeFailed, errorCode: codeNoHandler, message: "RequestHandler Not Found"}
	default:
		if _, ok := c.connection(); !ok {
			err = errUnregistered
			break
		}
		if why := s.auth.refusal(p.GetMetadata().GetHeaders()[headerToken]); why != "" && !h.open {
			result, err = h.empty(), refused(codeForbidden, why)
			break
		}
		result, err = h.do(s, c, body)
	}
	if err != nil {
		common, typed := failed(err)
		if typed {
			*result.base() = common
		} else {
			answerType, result = "ErrorResponse", &common
		}
	} else {
		r := result.base()
		r.ResultCode, r.Success = codeSuccess, true
	}
	out, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	if a.kind == lose {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return payload(answerType, a.rewritten(out)), nil
}

var errUnregistered = &failure{
	resultCode: codeFailed, errorCode: codeUnregistered, message: "Connection is unregistered.",
}

type setupRequest struct {
	ClientVersion string            `json:"clientVersion"`
	Tenant        string            `json:"tenant"`
	Labels        map[string]string `json:"labels"`
	AbilityTable  map[string]any    `json:"abilityTable"` // nil: the client does not negotiate
}

// RequestBiStream serves the stream on which a client sets up the connection,
// gets its pushes, and acknowledges them. The connection may outlive it; it is
// found dead when it does not answer.
func (g *grpcService) RequestBiStream(stream auto.BiRequestStream_RequestBiStreamServer) error {
	s, ctx := g.server, stream.Context()
	c := connOf(ctx)
	setup, err := s.awaitSetup(ctx, c, stream)
	if err != nil {
		c.kill()
		return err
	}
	if setup.AbilityTable != nil {
		c.enqueue(push{typ: typeSetupAck})
	}

	ctx, cancel := context.WithCancel(ctx)
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel()
	// Why sending ended is seen below, where the stream is received from.
	sender.Go(func() { _ = (&pusher{server: s, conn: c, stream: stream}).run(ctx) })
	for {
		p, err := stream.Recv()
		if err != nil {
			return nil // the end of the stream is the client's business
		}
		reply := Request{
			Type: p.GetMetadata().GetType(), ConnectionID: c.id, Module: c.module(),
			Headers: p.GetMetadata().GetHeaders(), Body: p.GetBody().GetValue(), Reply: true,
		}
		if a, err := s.decide(ctx, reply); err != nil || a.kind != pass {
			continue // a context that has ended is seen above
		}
		c.alive(time.Now())
		var ack struct {
			RequestID string `json:"requestId"`
		}
		if json.Unmarshal(reply.Body, &ack) == nil {
			c.acknowledged(ack.RequestID)
		}
	}
}

// awaitSetup reads the first message, which must be the setup.
func (s *Server) awaitSetup(ctx context.Context, c *conn, stream auto.BiRequestStream_RequestBiStreamServer) (*setupRequest, error) {
	p, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if _, ok := c.connection(); ok {
		return nil, status.Error(codes.FailedPrecondition, "the connection is already set up")
	}
	typ, body := p.GetMetadata().GetType(), p.GetBody().GetValue()
	var setup setupRequest
	if typ != typeSetup {
		return nil, status.Errorf(codes.InvalidArgument, "want %s, got %q", typeSetup, typ)
	}
	if err := json.Unmarshal(body, &setup); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "unreadable %s: %v", typeSetup, err)
	}
	a, err := s.decide(ctx, Request{Type: typ, ConnectionID: c.id, Module: setup.Labels["module"], Headers: p.GetMetadata().GetHeaders(), Body: body})
	switch {
	case err != nil:
		return nil, status.FromContextError(err).Err()
	case a.kind == fail || a.kind == refuse:
		return nil, status.Error(codes.Unavailable, a.message)
	}
	c.alive(time.Now())
	info := &Connection{
		ID: c.id, RemoteAddr: c.remote, Module: setup.Labels["module"],
		ClientVersion: setup.ClientVersion, Namespace: setup.Tenant, Labels: setup.Labels,
	}
	if info.Module == "naming" {
		s.naming.join(c)
	}
	s.configs.join(c)
	// Only now, or a request that comes before could be refused. Should the
	// connection end before it, nobody else takes it out again.
	if !c.setUp(info) {
		s.leave(c)
		return nil, status.Error(codes.Unavailable, "the connection has ended")
	}
	return &setup, nil
}

// leave forgets all that depends on the connection.
func (s *Server) leave(c *conn) {
	s.naming.leave(c)
	s.configs.leave(c)
}
