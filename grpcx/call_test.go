package grpcx

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestOnlyAnAttemptThatWasMadeFixesTheDecision(t *testing.T) {
	lost := status.Error(codes.Unavailable, "connection reset")
	answer := status.Error(codes.NotFound, "no such greeting")
	tests := map[string]struct {
		info gbalancer.DoneInfo
		want resolver.Outcome
		made bool
	}{
		"never sent":      {gbalancer.DoneInfo{}, resolver.Outcome{Err: errUnsent}, false},
		"could not send":  {gbalancer.DoneInfo{Err: lost}, resolver.Outcome{Err: fmt.Errorf("%w: %w", resolver.ErrUnsent, lost)}, true},
		"sent, no answer": {gbalancer.DoneInfo{Err: lost, BytesSent: true}, resolver.Outcome{Err: lost}, true},
		"answered with an error": {
			gbalancer.DoneInfo{
				Err: answer, BytesSent: true, BytesReceived: true,
				Trailer: metadata.Pairs("x-app-version", "v3"),
			},
			resolver.Outcome{Status: int(codes.NotFound), Version: "v3"},
			true,
		},
		"answered": {gbalancer.DoneInfo{BytesSent: true, BytesReceived: true}, resolver.Outcome{}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []resolver.Outcome
			reg := memory.New()
			reg.Set(registry.Service{Name: "greeter"}, registry.NewInstance("127.0.0.1:1"))
			r, err := resolver.New(reg, nil, resolver.WithHooks(resolver.Hooks{
				OnDone: func(_ context.Context, _ resolver.Call, o resolver.Outcome, _ time.Duration) { got = append(got, o) },
			}))
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Close()) }()
			v, err := r.View(r.Service("greeter"), protocol)
			require.NoError(t, err)

			ctx, c := newCell(t.Context(), "/pkg.Service/Method")
			c.call, err = v.Pick(ctx, &c.request, nil)
			require.NoError(t, err)
			c.done(ctx, test.info)
			assert.Equal(t, []resolver.Outcome{test.want}, got)
			assert.Equal(t, test.made, c.made)
		})
	}
}

func TestHealthChecksAreNoRequests(t *testing.T) {
	in := newIncoming(newServerOptions(nil))
	call := func(method string) {
		_, err := in.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: method},
			func(context.Context, any) (any, error) { return nil, nil })
		require.NoError(t, err)
	}
	call(healthpb.Health_Check_FullMethodName)
	require.True(t, in.lastRequest().IsZero())
	call("/pkg.Service/Method")
	require.WithinDuration(t, time.Now(), in.lastRequest(), time.Minute)
}

func TestACallErrorHasAStatusAndAllItsCauses(t *testing.T) {
	cause := errors.New("nobody there")
	tests := map[string]struct {
		grpc error
		text string
	}{
		"gRPC said nothing":      {nil, "nobody there"},
		"gRPC repeats the cause": {status.Error(codes.Unavailable, "balancer: nobody there"), "balancer: nobody there"},
		"gRPC says something":    {status.Error(codes.Canceled, "closing"), "closing: nobody there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := newError(codes.Aborted, cause, test.grpc)
			require.ErrorIs(t, err, cause)
			if test.grpc != nil {
				require.ErrorIs(t, err, test.grpc)
			}
			s, ok := status.FromError(err)
			require.True(t, ok)
			assert.Equal(t, codes.Aborted, s.Code())
			assert.Equal(t, test.text, s.Message())
		})
	}
}

func TestAValueThatGRPCRefusesStaysBehind(t *testing.T) {
	ctx, c := newCell(lane.With(lane.WithUser(t.Context(), "用户"), "blue"), "/a.B/C")
	md, _ := metadata.FromOutgoingContext(ctx)
	assert.Equal(t, metadata.MD{"x-gray-lane": {"blue"}, "baggage": {"gray-lane=blue"}}, md)
	assert.Equal(t, "用户", c.request.User(), "the rules of this process see it")
}
