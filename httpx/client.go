package httpx

import (
	"errors"
	"net/http"

	"github.com/graylane/graylane/resolver"
)

// maxRedirects is that of net/http.
const maxRedirects = 10

// NewClient returns a client for URLs "http://service/path", "https://…" and
// "h2c://…" over a new [Transport]. All of its fields may be changed before its
// first use.
//
// A redirect within the service is followed, and picks anew. One to another host
// or scheme is returned as it is: whether that host is a service or a site, only
// the caller knows.
//
// Errors of the pick stay visible inside the *url.Error: errors.Is finds
// resolver.ErrUnknownService, resolver.ErrNotReady, balancer.ErrNoInstance and
// the like. Bound a request by its context rather than by Client.Timeout:
// net/http replaces an error by a text if that timeout has passed.
func NewClient(r *resolver.Resolver, opts ...Option) *http.Client {
	return &http.Client{Transport: NewTransport(r, opts...), CheckRedirect: checkRedirect}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	if from.Scheme == schemeH2C && req.URL.Scheme == schemeHTTP {
		req.URL.Scheme = schemeH2C // the server does not know the one from the other
	}
	if req.URL.Host != from.Host || req.URL.Scheme != from.Scheme {
		return http.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return errors.New("httpx: stopped after 10 redirects")
	}
	return nil
}
