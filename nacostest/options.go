package nacostest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// grpcPortOffset lies between the HTTP and the gRPC port of a Nacos.
const grpcPortOffset = 1000

// DefaultPushDelay is how long a change of a service waits for further ones.
const DefaultPushDelay = 20 * time.Millisecond

// DefaultTokenTTL is how long the token of a login is valid.
const DefaultTokenTTL = 5 * time.Hour

// Option changes how a server is started.
type Option func(*options)

type options struct {
	addr      string
	pushDelay time.Duration
	auth      *auth // nil: nobody needs to log in
	tokenTTL  time.Duration
}

func newOptions(opts []Option) (options, error) {
	o := options{pushDelay: DefaultPushDelay, tokenTTL: DefaultTokenTTL}
	for _, opt := range opts {
		opt(&o)
	}
	var errs []error
	if o.addr != "" {
		a, err := netip.ParseAddrPort(o.addr)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("address %q: want ip:port", o.addr))
		case a.Port() == 0 || int(a.Port())+grpcPortOffset > 65535:
			errs = append(errs, fmt.Errorf("address %q: the port must lie between 1 and %d, gRPC is %d above it",
				o.addr, 65535-grpcPortOffset, grpcPortOffset))
		}
	}
	if o.pushDelay < 0 {
		errs = append(errs, fmt.Errorf("push delay %v is negative", o.pushDelay))
	}
	if o.auth != nil && (o.auth.user == "" || o.auth.password == "") {
		errs = append(errs, errors.New("auth: user and password must not be empty"))
	}
	if o.tokenTTL <= 0 {
		errs = append(errs, fmt.Errorf("token TTL %v is not positive", o.tokenTTL))
	}
	if len(errs) > 0 {
		return o, fmt.Errorf("nacostest: %w", errors.Join(errs...))
	}
	if o.auth != nil {
		o.auth.ttl = o.tokenTTL
	}
	return o, nil
}

// WithAddr serves HTTP at addr, an "ip:port", and gRPC 1000 ports above. The
// default is a free pair of ports of 127.0.0.1.
func WithAddr(addr string) Option { return func(o *options) { o.addr = addr } }

// WithPushDelay sets how long the server waits after a change of a service
// before it pushes the list; changes within that time are merged. 500 ms
// imitate Nacos, 1.5 s an instance registered at another node of a cluster. The
// default is DefaultPushDelay.
func WithPushDelay(d time.Duration) Option { return func(o *options) { o.pushDelay = d } }

// WithAuth lets in only who has logged in with the user's name and password, at
// the endpoints of Nacos 2 and 3, and sends the token of that with each request,
// over gRPC and over HTTP. The user may do everything. The server's own methods
// need no token.
func WithAuth(user, password string) Option {
	return func(o *options) { o.auth = &auth{user: user, password: password, tokens: map[string]time.Time{}} }
}

// WithTokenTTL sets how long the token of a login is valid, with WithAuth. The
// login says so in whole seconds, rounded up. The default is DefaultTokenTTL.
func WithTokenTTL(d time.Duration) Option { return func(o *options) { o.tokenTTL = d } }
