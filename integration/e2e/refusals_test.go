package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/resolver"
)

// The caller's deadlines.
const (
	shortDeadline = 2 * time.Second  // that it ends at
	longDeadline  = 10 * time.Second // that it ends long before
)

func TestRequestsWithoutAnInstanceFailInTime(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*stage) *consumer
		ask  ask
		want error
		code codes.Code // over gRPC
	}{
		{name: "unknown service", make: func(s *stage) *consumer { return s.consume() }, want: resolver.ErrUnknownService, code: codes.Unavailable},
		{name: "all disabled", make: (*stage).consumeDisabled, want: balancer.ErrNoInstance, code: codes.Unavailable},
		{name: "no instance", make: (*stage).consumeStrict, ask: ask{version: "v9"}, want: balancer.ErrNoInstance, code: codes.Unavailable},
		{name: "unknown target", make: (*stage).consumeStrict, ask: ask{version: "not a name"}, want: balancer.ErrUnknownTarget, code: codes.InvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEachServer(t, func(s *stage) {
				t := s.t
				consumer := c.make(s)
				for _, protocol := range protocols() {
					took, err := consumer.fails(protocol, c.ask, longDeadline)
					require.ErrorIs(t, err, c.want)
					if protocol == "grpc" {
						assert.Equal(t, c.code, status.Code(err))
					}
					assert.Less(t, took, longDeadline/2, "not at the deadline: all is known")
					figure(t, "%s: %s: %v", protocol, took.Round(100*time.Microsecond), err)
				}
				s.verdict()
			})
		})
	}
}

// consumeStrict returns a consumer of a service that has v1, and whose rules make
// sure that who asks for another version is refused.
func (s *stage) consumeStrict() *consumer {
	s.t.Helper()
	s.provide("v1", nil)
	c := s.consume()
	c.sees(1)
	c.follows(s.publish("gray: v1\ndefault: v1\nrules:\n- {name: asked-for, by: header.x-gray-version, missing: fail}\n"))
	return c
}

// consumeDisabled returns a consumer of a service whose only instances an
// operator took out of traffic. It believes an empty list at once: by default they
// would be held, since they still answer.
func (s *stage) consumeDisabled() *consumer {
	s.t.Helper()
	p := s.provide("v1", nil)
	c := s.consume(graylane.WithHold(0))
	c.sees(1)
	for _, protocol := range protocols() {
		addr := p.servers[protocol].addr
		s.ended(addr, s.recorder.Now())
		s.edit(addr, func(h *host) { h.Enabled = false })
		c.awaitOn(protocol, "the instance to leave", func(st *resolver.State) bool { return servesFor(st, addr) == nobody })
	}
	return c
}

func TestRequestsWithoutNacosFailInTime(t *testing.T) {
	gone, err := nacostest.Start()
	require.NoError(t, err)
	gone.Close()
	s := newStage(t, server{addr: gone.Addr()})
	c := s.consume()
	for _, protocol := range protocols() {
		took, err := c.fails(protocol, ask{}, shortDeadline)
		require.ErrorIs(t, err, resolver.ErrNotReady)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.GreaterOrEqual(t, took, shortDeadline-100*time.Millisecond)
		require.ErrorContains(t, err, "nacos "+gone.GRPCAddr()+": connection refused")
		figure(t, "%s: %s: %v", protocol, took.Round(time.Millisecond), err)
	}
	s.verdict()
}

// fails makes a request that must fail, and returns how and after what time.
func (c *consumer) fails(protocol string, a ask, deadline time.Duration) (time.Duration, error) {
	c.stage.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(c.stage.t.Context(), deadline)
	defer cancel()
	_, err := c.do(ctx, protocol, a)
	took := time.Since(start)
	require.Error(c.stage.t, err)
	assert.Less(c.stage.t, took, deadline+10*time.Second, "the caller's deadline")
	return took, err
}
