package nacosconn

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// oldServer does not acknowledge a setup, as Nacos before 2.3, and can refuse.
type oldServer struct {
	auto.UnimplementedRequestServer
	auto.UnimplementedBiRequestStreamServer
	refusals  int64 // health checks that find the connection unknown
	forbidden int64 // other requests that are forbidden
	setups    atomic.Int64
	checks    atomic.Int64
	others    atomic.Int64
	token     atomic.Value    // the last request's
	asks      []*auto.Payload // sent to the client once it has introduced itself
	replies   chan *auto.Payload
	bomb      *auto.Payload // answers who subscribes
}

func (o *oldServer) run(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer()
	auto.RegisterRequestServer(srv, o)
	auto.RegisterBiRequestStreamServer(srv, o)
	var served sync.WaitGroup
	served.Go(func() { assert.NoError(t, srv.Serve(l)) })
	t.Cleanup(func() {
		srv.Stop()
		served.Wait()
	})
	return httpAddr(l.Addr().(*net.TCPAddr).Port)
}

func (o *oldServer) Request(_ context.Context, p *auto.Payload) (*auto.Payload, error) {
	ok := map[string]any{"resultCode": 200, "success": true}
	refusal := func(code int) (*auto.Payload, error) {
		return encode(typeError, "", nil, map[string]any{"resultCode": 500, "errorCode": code})
	}
	switch p.GetMetadata().GetType() {
	case "ServerCheckRequest":
		return encode("ServerCheckResponse", "", nil, ok)
	case "HealthCheckRequest":
		if o.checks.Add(1) <= o.refusals {
			return refusal(codeUnregistered)
		}
		return encode("HealthCheckResponse", "", nil, ok)
	case "ServiceQueryRequest":
		return nil, status.Error(codes.DeadlineExceeded, "too late")
	}
	if o.bomb != nil && strings.Contains(string(p.GetBody().GetValue()), `"subscribe":true`) {
		return o.bomb, nil
	}
	o.token.Store(p.GetMetadata().GetHeaders()["accessToken"])
	if o.others.Add(1) <= o.forbidden {
		return refusal(codeForbidden)
	}
	return encode("SubscribeServiceResponse", "", nil, ok)
}

func (o *oldServer) RequestBiStream(s auto.BiRequestStream_RequestBiStreamServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	o.setups.Add(1)
	for _, p := range o.asks {
		if err := s.Send(p); err != nil {
			return err
		}
	}
	for {
		p, err := s.Recv()
		if err != nil {
			return err
		}
		o.replies <- p
	}
}

// counted are credentials that count how often they were renewed.
type counted struct {
	final   bool // nothing better is to be had
	renewed atomic.Int64
	refused atomic.Value // the last token that was refused
}

func (c *counted) Headers(context.Context, Endpoint) (map[string]string, error) {
	return map[string]string{"accessToken": "token " + strconv.FormatInt(c.renewed.Load(), 10)}, nil
}

func (c *counted) Refresh(_ context.Context, _ Endpoint, refused map[string]string) (bool, error) {
	c.refused.Store(refused["accessToken"])
	c.renewed.Add(1)
	return !c.final, nil
}
