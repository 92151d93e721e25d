package grpcx

import (
	"context"
	"errors"
	"maps"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// attempt makes an attempt of a unary call. gRPC itself may make further ones within it.
func (c *cell) attempt(ctx context.Context, invoke func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	c.end = end
	err := invoke(ctx)
	if late := (*resolver.LimitError)(nil); err != nil && errors.As(context.Cause(ctx), &late) {
		return status.Error(codes.DeadlineExceeded, late.Error())
	}
	return err
}

// retry reports whether a unary call that failed is made again, by resolver.Call.Retry:
// it failed with Unavailable, or in the time that `limits` gives an attempt, and its
// context is marked as idempotent. What was not sent, gRPC has sent again by itself.
func (c *cell) retry(ctx context.Context, err error) bool {
	code := status.Code(err)
	if !c.made || c.err != nil || code != codes.Unavailable && code != codes.DeadlineExceeded {
		return false
	}
	return c.call.Retry(ctx, resolver.Outcome{Err: err}, resolver.Idempotent(ctx))
}

// again returns the context of an attempt that is not the first.
func (c *cell) again(ctx context.Context) context.Context {
	md := maps.Clone(c.request.md)
	if md == nil {
		md = metadata.MD{}
	}
	md[lane.HeaderAttempt] = []string{lane.Retry}
	return metadata.NewOutgoingContext(ctx, md)
}
