package nacostest

import (
	"context"
	"encoding/json"
	"time"
)

// Request is one message that passes the server: a request of a client, a push to
// one, or the client's answer to a push.
type Request struct {
	// Type is the name of the gRPC message, such as "InstanceRequest" or
	// "NotifySubscriberRequest"; of an HTTP request it is method and path, such
	// as "PUT /nacos/v3/admin/ns/instance".
	Type string
	// ConnectionID tells the gRPC connection; it is empty for HTTP.
	ConnectionID string
	// Module is the connection's label "module": "naming" or "config". It is
	// empty before the connection is set up, and for HTTP.
	Module string
	// Headers are those of the gRPC message's metadata, of an HTTP request the
	// first value of each. They are read-only.
	Headers map[string]string
	// Body is the message's JSON; of an HTTP request it is nil. It is read-only.
	Body json.RawMessage
	// Push is set for what the server sends by itself.
	Push bool
	// Reply is set for what a client answers to that. Unless it passes it is
	// lost, and the push counts as not acknowledged.
	Reply bool
}

// Intercept asks f about every message before it is processed; nil ends that. f
// is called concurrently and must not block: waiting is what Delay and Drop are
// for. Messages already being processed are not affected.
func (s *Server) Intercept(f func(Request) Action) {
	if f == nil {
		s.intercept.Store(nil)
		return
	}
	s.intercept.Store(&f)
}

// decide asks the interceptor and waits as it says. The error is the context's.
func (s *Server) decide(ctx context.Context, r Request) (Action, error) {
	f := s.intercept.Load()
	if f == nil {
		return Action{}, nil
	}
	a := (*f)(r)
	if a.delay > 0 {
		timer := time.NewTimer(a.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
	if a.kind == drop && !r.Push && !r.Reply {
		<-ctx.Done()
		return a, ctx.Err()
	}
	return a, nil
}
