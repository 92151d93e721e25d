package explain

import (
	"errors"
	"fmt"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

// Input is a request as files and forms have it. What is null is absent.
type Input struct {
	ID      string               `json:"id"`
	Method  string               `json:"method"`
	Path    string               `json:"path"`
	Headers map[string][]*string `json:"headers"`
	Cookies map[string]*string   `json:"cookies"`
	Query   map[string][]*string `json:"query"`
	User    string               `json:"user"`
	Lane    string               `json:"lane"`
	Caller  map[string]*string   `json:"caller"`
	Slot    *int                 `json:"slot"`
}

// Request is one request to explain. It implements [config.Request].
type Request struct {
	in      Input
	headers map[string][]string // by name in lower case, all spellings together
	cookies map[string]string
	query   map[string]string // the first of each name
	caller  map[string]string
	slot    int  // of a split that draws it
	drawn   bool // by us, since the request has none
}

var _ config.Request = (*Request)(nil)

// ParseRequest reads a request, one JSON object, see NewRequest.
func ParseRequest(line []byte, index int) (*Request, error) {
	var in Input
	if err := decode(line, &in); err != nil {
		return nil, err
	}
	return NewRequest(in, index)
}

// NewRequest returns the request of an input, the index-th of its kind: if it says
// no slot it gets one by that, so that the shares of many come out right.
func NewRequest(in Input, index int) (*Request, error) {
	r := &Request{in: in}
	if in.ID == "" {
		return nil, errors.New("field id is missing")
	}
	switch {
	case in.Slot == nil || *in.Slot == -1: // an answer's word for none
		r.slot, r.drawn = balancer.SlotAt(uint64(index), 0), true //nolint:gosec // a line's number
	case *in.Slot < 0 || *in.Slot >= config.Slots:
		return nil, fmt.Errorf("field slot: %d is not from 0 to %d", *in.Slot, config.Slots-1)
	default:
		r.slot = *in.Slot
	}
	r.cookies, r.caller = present(in.Cookies), present(in.Caller)
	r.headers = make(map[string][]string, len(in.Headers))
	for name, values := range in.Headers {
		lower := config.NewHeaderName(name).Lower
		for _, v := range values {
			if v != nil {
				r.headers[lower] = append(r.headers[lower], *v)
			}
		}
	}
	r.query = make(map[string]string, len(in.Query))
	for name, values := range in.Query {
		for _, v := range values {
			if v != nil {
				r.query[name] = *v
				break
			}
		}
	}
	return r, nil
}

// ID returns the name that the request was given.
func (r *Request) ID() string { return r.in.ID }

// Caller returns the labels of its caller, read-only.
func (r *Request) Caller() map[string]string { return r.caller }

// Slot returns the slot of a split that draws it, and whether it was drawn here,
// since the request says none.
func (r *Request) Slot() (slot int, drawn bool) { return r.slot, r.drawn }

// Header implements [config.Request].
func (r *Request) Header(n config.HeaderName) (string, bool) {
	if values := r.headers[n.Lower]; len(values) == 1 {
		return values[0], true
	}
	return "", false
}

// Cookie implements [config.Request].
func (r *Request) Cookie(name string) (string, bool) { v, ok := r.cookies[name]; return v, ok }

// Query implements [config.Request].
func (r *Request) Query(name string) (string, bool) { v, ok := r.query[name]; return v, ok }

// Path implements [config.Request].
func (r *Request) Path() string { return r.in.Path }

// Method implements [config.Request].
func (r *Request) Method() string { return r.in.Method }

// Lane implements [config.Request].
func (r *Request) Lane() string { return r.in.Lane }

// User implements [config.Request]: the user that the request names, or else that of
// its header.
func (r *Request) User() string {
	if r.in.User != "" {
		return r.in.User
	}
	v, _ := r.Header(config.NewHeaderName(lane.HeaderUser))
	return v
}
