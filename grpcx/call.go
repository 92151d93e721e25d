package grpcx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	gbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// cell is what the package knows about one call. It travels in the call's
// context, from the interceptors to the picker.
//
// But for the end of an attempt it needs no lock: gRPC makes the attempts of a call one
// after the other, under a lock of its own, and calls Done of one before it picks for
// the next. The interceptors read it when gRPC has returned; of a stream, which may go on with
// another attempt then, only if it could not be opened.
type cell struct {
	request request
	skip    skip          // of the current pick
	call    resolver.Call // the newest attempt
	made    bool          // an attempt was made: its decision stands
	stream  bool

	// end ends the attempt; nil for streams. Timer does so when its time is over.
	end   context.CancelCauseFunc
	timer *time.Timer

	view *resolver.View // of the newest pick, nil before the first
	err  error          // why that pick found nothing

	// mu guards the end of call: a stream's reader may find that the answer has
	// begun while gRPC ends the stream on another goroutine.
	mu      sync.Mutex
	running bool // call has an attempt that is not done
}

// begin notes that an attempt is made.
func (c *cell) begin(call resolver.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.call, c.running = call, true
	if c.stream {
		c.call.Streaming()
	} else if d := c.call.Timeout(); d > 0 {
		end := c.end
		c.timer = time.AfterFunc(d, func() { end(&resolver.LimitError{After: d}) })
	}
}

// answered notes that a stream's answer has begun. gRPC makes no other attempt then.
func (c *cell) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		c.call.Answered()
	}
}

type cellKey struct{}

// newCell writes what the context carries onto the outgoing metadata, and
// returns a context with that metadata and a new cell.
func newCell(ctx context.Context, method string) (context.Context, *cell) {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if lane.Injects(ctx, carrier(md)) {
		if md == nil {
			md = metadata.MD{}
		}
		lane.Inject(ctx, carrier(md))
		ctx = metadata.NewOutgoingContext(ctx, md)
	}
	c := &cell{request: request{
		method: method,
		user:   lane.UserOf(ctx, carrier(md)),
		lane:   lane.Of(carrier(md)),
		md:     md,
	}}
	return context.WithValue(ctx, cellKey{}, c), c
}

// done ends an attempt.
func (c *cell) done(ctx context.Context, info gbalancer.DoneInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	if c.timer != nil {
		c.timer.Stop()
	}
	if info.Err == nil && !info.BytesSent {
		// gRPC picks anew, and nothing was decided for good.
		c.call.Done(ctx, resolver.Outcome{Err: errUnsent})
		return
	}
	c.made = true
	o := resolver.Outcome{Err: info.Err}
	if late := (*resolver.LimitError)(nil); info.Err != nil && errors.As(context.Cause(ctx), &late) {
		o.Err = late
		c.call.Done(ctx, o)
		return
	}
	if status.Code(info.Err) == codes.Canceled && !info.BytesReceived {
		o.Err = fmt.Errorf("%w: %w", context.Canceled, info.Err) // errors.Is knows no codes
	}
	switch code := status.Code(info.Err); {
	case info.Err == nil || info.BytesReceived:
		o = resolver.Outcome{Status: int(code)}
	case code != codes.Unavailable && code != codes.DeadlineExceeded:
		// It failed on this side: a message that is too large, say.
		o.Err = fmt.Errorf("%w: %w", resolver.ErrGivenUp, info.Err)
	case !info.BytesSent && code == codes.Unavailable:
		o.Err = fmt.Errorf("%w: %w", resolver.ErrUnsent, info.Err)
	}
	if vs := info.Trailer[serving.VersionHeader]; len(vs) > 0 {
		o.Version = vs[0]
	}
	o.Leaving = len(info.Trailer[serving.LeavingHeader]) > 0
	c.call.Done(ctx, o)
}

// explain gives an error of gRPC its cause, if the call failed for want of an
// instance.
func (c *cell) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	code := status.Code(err)
	if c.view == nil && code == codes.Unavailable && !errors.As(err, new(*callError)) {
		return newError(codes.FailedPrecondition, errOtherPolicy, err)
	}
	if c.err == nil {
		return err
	}
	cause := c.err
	if errors.Is(cause, resolver.ErrNotReady) {
		// gRPC has ended the wait, maybe before ctx; the view knows what it was for.
		ended, end := context.WithCancelCause(ctx)
		end(err)
		if late := c.view.Ready(ended); late != nil {
			cause = late
		}
	}
	if errors.Is(cause, balancer.ErrUnknownTarget) {
		code = codes.InvalidArgument
	}
	return newError(code, cause, err)
}

func unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, c := newCell(ctx, method)
	for attempt := ctx; ; attempt = c.again(ctx) {
		err := c.attempt(attempt, func(ctx context.Context) error { return invoke(ctx, method, req, reply, cc, opts...) })
		if err == nil || !c.retry(ctx, err) {
			return c.explain(ctx, err)
		}
	}
}

func streamClient(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, c := newCell(ctx, method)
	c.stream = true
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return &clientStream{ClientStream: s, cell: c}, nil
}

// clientStream notices when the answer begins.
type clientStream struct {
	grpc.ClientStream
	cell  *cell
	begun bool // used by the reader alone
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && !s.begun {
		s.begun = true
		s.cell.answered()
	}
	return err
}
