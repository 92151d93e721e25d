package nacosconn

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/status"
)

// ErrClosed says that the session was used after its Close.
var ErrClosed = errors.New("nacos: session closed")

var errPlain = errors.New("the credentials travel in plain text; set TLS, or see to it that nobody listens")

// Codes of a ServerError that callers tell apart.
const (
	codeStarting     = 300 // of an ErrorResponse; of a ConfigQueryResponse it means "no such document"
	codeUnregistered = 301 // the server does not know this connection
	codeForbidden    = 403
)

// ServerError is a refusal: the server answered, and the answer is no.
type ServerError struct {
	Server  string // host:port of its gRPC port
	Request string // "InstanceRequest"
	Type    string // type of the answer, "ErrorResponse" or the request's own
	Code    int    // Nacos's error code, or its result code where it gave none
	Message string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("nacos %s: %s refused: %.500s (code %d)", e.Server, e.Request, e.Message, e.Code)
}

// censor takes the values of headers out of a refusal: a server may quote the token
// that it refuses.
func censor(err error, headers map[string]string) error {
	if refused, ok := errors.AsType[*ServerError](err); ok {
		for _, secret := range headers {
			refused.Message = without(refused.Message, secret)
		}
	}
	return err
}

// without returns text with a secret replaced by stars.
func without(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}

// connError is why there is no connection to one server.
type connError struct {
	server server
	err    error
}

// Error names the port rule where the reason may be the wrong port.
func (e *connError) Error() string {
	var op *net.OpError
	var silent *silentError
	hint := ""
	if errors.As(e.err, &op) || errors.As(e.err, &silent) {
		hint = fmt.Sprintf(" (gRPC port = HTTP port + %d)", grpcOffset)
	}
	return fmt.Sprintf("nacos %s: %s%s", e.server.grpc(), brief(e.err), hint)
}

func (e *connError) Unwrap() error { return e.err }

// failure returns err as a connError, unless it names the server already.
func (s server) failure(err error) error {
	var conn *connError
	var refused *ServerError
	if errors.As(err, &conn) || errors.As(err, &refused) {
		return err
	}
	return &connError{s, err}
}

// brief leaves out what connError says anyway: "dial tcp 127.0.0.1:9848: connect: ".
func brief(err error) string {
	var errno syscall.Errno
	var op *net.OpError
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	if st, ok := status.FromError(err); ok {
		return st.Message()
	}
	return err.Error()
}

// silentError is a request that got no answer in time.
type silentError struct {
	request string
	after   time.Duration
	err     error
}

func (e *silentError) Error() string {
	return fmt.Sprintf("no answer to %s within %v", e.request, e.after)
}

func (e *silentError) Unwrap() error { return e.err }
