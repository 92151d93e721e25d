package grpcx

import (
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane/config"
)

// request is what rules may ask about a call. It implements config.Request.
type request struct {
	method     string // "/pkg.Service/Method"
	user, lane string
	md         metadata.MD // as it is sent, and not written any more
}

// Header returns a metadata key that was sent once.
func (r *request) Header(name config.HeaderName) (string, bool) {
	if vs := r.md[name.Lower]; len(vs) == 1 {
		return vs[0], true
	}
	return "", false
}

// Cookie is always absent.
func (*request) Cookie(string) (string, bool) { return "", false }

// Query is always absent.
func (*request) Query(string) (string, bool) { return "", false }

// Path is the full method.
func (r *request) Path() string { return r.method }

// Method is POST, as on the wire.
func (*request) Method() string { return "POST" }

// User is who the call is made for.
func (r *request) User() string { return r.user }

// Lane is the lane that the call is in.
func (r *request) Lane() string { return r.lane }

// carrier is metadata as package lane sees it.
type carrier metadata.MD

// Values implements lane.Carrier.
func (c carrier) Values(name string) []string { return c[name] }

// Set implements lane.Carrier. A value that gRPC would refuse, and the call with
// it, stays behind, and so does the one that it replaces.
func (c carrier) Set(name, value string) {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			delete(c, name)
			return
		}
	}
	c[name] = []string{value}
}
