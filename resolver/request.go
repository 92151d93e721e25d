package resolver

import (
	"context"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

type requestKey struct{}

// WithRequest returns a context in which the rules of switches are asked about
// req. The server sides of httpx and grpcx make one for each request.
func WithRequest(ctx context.Context, req config.Request) context.Context {
	return context.WithValue(ctx, requestKey{}, req)
}

type hashKey struct{}

// WithHashKey returns a context whose requests go to the instance that owns key,
// where instances are picked by hash: by a document's `balance: {hash: FIELD}`, in
// place of that field, or by WithPolicy(config.Hash). An empty key is none, and so is
// one of more than config.MaxValue bytes.
func WithHashKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, hashKey{}, key)
}

// requestOf returns the request that a context belongs to.
func requestOf(ctx context.Context) config.Request {
	if req, ok := ctx.Value(requestKey{}).(config.Request); ok {
		return received{req, ctx}
	}
	return carried{ctx}
}

// received is a request that a server has received. What package lane says of user
// and lane goes before what the request said: the application may have changed it.
type received struct {
	config.Request
	ctx context.Context //nolint:containedctx // it lives as long as one question
}

// User implements config.Request.
func (r received) User() string {
	if user := lane.User(r.ctx); user != "" {
		return user
	}
	return r.Request.User()
}

// Lane implements config.Request.
func (r received) Lane() string { return lane.From(r.ctx) }

// carried is what a context knows without a request.
type carried struct {
	ctx context.Context //nolint:containedctx // it lives as long as one question
}

// Header implements config.Request.
func (c carried) Header(name config.HeaderName) (string, bool) { return lane.Header(c.ctx, name.Lower) }

// Cookie implements config.Request.
func (carried) Cookie(string) (string, bool) { return "", false }

// Query implements config.Request.
func (carried) Query(string) (string, bool) { return "", false }

// Path implements config.Request.
func (carried) Path() string { return "" }

// Method implements config.Request.
func (carried) Method() string { return "" }

// User implements config.Request.
func (c carried) User() string { return lane.User(c.ctx) }

// Lane implements config.Request.
func (c carried) Lane() string { return lane.From(c.ctx) }
