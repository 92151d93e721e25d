package nacostest

import (
	"errors"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxMessage is the largest message in bytes: enough for a list of 20,000
// instances.
const maxMessage = 64 << 20

// Codes of the protocol.
const (
	codeSuccess      = 200
	codeFailed       = 500
	codeInvalid      = 400
	codeNotFound     = 300
	codeUnregistered = 301
	codeNoHandler    = 302
	codeNotAClient   = -401
	codeUnreadable   = 502
)

// response is the part that all answers share. Nacos does not repeat the request
// ID in it.
type response struct {
	ResultCode int    `json:"resultCode"`
	ErrorCode  int    `json:"errorCode"`
	Message    string `json:"message,omitempty"`
	Success    bool   `json:"success"`
}

func (r *response) base() *response { return r }

// answer is a pointer to a struct that embeds response.
type answer interface{ base() *response }

// failure is an error that the client is told.
type failure struct {
	resultCode, errorCode int
	message               string
	// typed: in the answer that belongs to the request, not in an ErrorResponse.
	typed bool
}

func (f *failure) Error() string { return f.message }

// refused is a failure in the request's own answer.
func refused(errorCode int, message string) *failure {
	return &failure{codeFailed, errorCode, message, true}
}

// failed turns any error into the answer's common part.
func failed(err error) (response, bool) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{resultCode: codeFailed, errorCode: codeFailed, message: err.Error()}
	}
	return response{ResultCode: f.resultCode, ErrorCode: f.errorCode, Message: f.message}, f.typed
}

func payload(typ string, body []byte) *auto.Payload {
	return &auto.Payload{Metadata: &auto.Metadata{Type: typ}, Body: &anypb.Any{Value: body}}
}
