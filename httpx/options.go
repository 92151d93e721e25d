package httpx

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/graylane/graylane/internal/serving"
	"github.com/graylane/graylane/registry"
)

// MaxIdleConns is how many idle connections a client keeps to each instance.
// Below its peak of concurrent requests, a client would open and close
// connections all the time.
const MaxIdleConns = 1024

const (
	dialTimeout      = 3 * time.Second  // how long a connection may take to be opened
	handshakeTimeout = 3 * time.Second  // how long TLS may take after that
	continueTimeout  = 1 * time.Second  // how long a body waits for "100 Continue", if the request asks for it
	keepAlive        = 30 * time.Second // between probes of a quiet connection
	idleTimeout      = 90 * time.Second // after which an idle connection is closed

	// An HTTP/2 connection carries all requests to its instance: if the instance
	// vanishes without a word, none may wait for the kernel to notice.
	pingAfter   = 10 * time.Second // of silence while requests run
	pingTimeout = 5 * time.Second
)

// Option configures a client or a Transport.
type Option func(*options)

type options struct {
	base *http.Transport
}

// WithTransport makes copies of base carry the requests to the instances, with
// its timeouts, limits, dial function and TLS settings: root certificates, client
// certificates, and a ServerName to verify in place of each service's. A
// DialTLSContext verifies as it likes. The protocol is that of the URL, and no
// proxy is used, whatever base says. Its limits hold for each scheme, and for
// https each service, on its own.
//
// Without it connections are opened within 3 s, closed after 90 s without a
// request, and up to MaxIdleConns are kept for each instance; a HTTP/2 connection
// that is silent for 10 s is probed, and given up after another 5 s.
func WithTransport(base *http.Transport) Option {
	return func(o *options) {
		if base != nil {
			o.base = base
		}
	}
}

func newOptions(opts []Option) options {
	o := options{base: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
		TLSHandshakeTimeout:   handshakeTimeout,
		ExpectContinueTimeout: continueTimeout,
		MaxIdleConnsPerHost:   MaxIdleConns,
		IdleConnTimeout:       idleTimeout,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// transport returns what carries requests to the instances, in one of the
// protocols.
func (o options) transport(protocols http.Protocols) *http.Transport {
	t := o.base.Clone()
	t.Proxy = nil
	t.TLSNextProto = nil
	t.Protocols = &protocols
	return t
}

// ServerOption configures Handler, Serve or ServeListener.
type ServerOption func(*serverOptions)

type serverOptions struct {
	serving.Options
	tls *tls.Config
}

// WithCarried names the headers that travel on with a request's context, in
// place of lane.DefaultHeaders. What lane.Carriable refuses is left out.
func WithCarried(names ...string) ServerOption {
	return func(o *serverOptions) { o.Carry(names) }
}

// WithVersion says the version of this server: it is WithLabels for the label
// version.
func WithVersion(version string) ServerOption {
	return WithLabels(map[string]string{registry.KeyVersion: version})
}

// WithLabels says the labels of this server, besides those it was given already.
// Serve announces them; they beat the registrar's. They are not what rules of
// this process see as caller.*: give graylane.Open those.
func WithLabels(labels map[string]string) ServerOption {
	return func(o *serverOptions) { maps.Copy(o.Labels, labels) }
}

// WithLinger sets how long Serve serves on after it has withdrawn the instance,
// so that consumers that have not heard of it yet do not fail. Default: until no
// request came for 2 s, 10 s at most. Negative: not at all.
func WithLinger(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.Linger = d }
}

// WithDrainTimeout sets how long Serve waits, after the linger, for running
// requests to end. Default: 10 s.
func WithDrainTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.DrainTimeout = d }
}

// WithTLS makes Serve speak TLS, with HTTP/2 for those that can. The certificate
// must name the service, for that is what clients of this package verify. The
// configuration is not changed.
func WithTLS(c *tls.Config) ServerOption {
	return func(o *serverOptions) { o.tls = c }
}

// WithOnError makes Serve report what does not end it: that the registry cannot
// be reached, or did not confirm the withdrawal. It must not block.
func WithOnError(fn func(error)) ServerOption {
	return func(o *serverOptions) { o.OnError = fn }
}

func newServerOptions(opts []ServerOption) serverOptions {
	o := serverOptions{Options: serving.NewOptions()}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}
