package main

import (
	"errors"
	"fmt"

	"github.com/graylane/graylane/balancer"
	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
)

// wireRequest is a request as files have it. What is null is absent.
type wireRequest struct {
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

// request is one request to explain. It implements [config.Request].
type request struct {
	wire    wireRequest
	headers map[string][]string // by name in lower case, all spellings together
	cookies map[string]string
	query   map[string]string // the first of each name
	caller  map[string]string
	slot    int  // of a split that draws it
	drawn   bool // by us, since the request has none
}

var _ config.Request = (*request)(nil)

// parseRequest reads the request of a line, the index-th of its file.
func parseRequest(line []byte, index int) (*request, error) {
	r := &request{}
	if err := decode(line, &r.wire); err != nil {
		return nil, err
	}
	if r.wire.ID == "" {
		return nil, errors.New("field id is missing")
	}
	switch {
	case r.wire.Slot == nil || *r.wire.Slot == -1: // an answer's word for none
		r.slot, r.drawn = balancer.SlotAt(uint64(index), 0), true //nolint:gosec // a line's number
	case *r.wire.Slot < 0 || *r.wire.Slot >= config.Slots:
		return nil, fmt.Errorf("field slot: %d is not from 0 to %d", *r.wire.Slot, config.Slots-1)
	default:
		r.slot = *r.wire.Slot
	}
	r.cookies, r.caller = present(r.wire.Cookies), present(r.wire.Caller)
	r.headers = make(map[string][]string, len(r.wire.Headers))
	for name, values := range r.wire.Headers {
		lower := config.NewHeaderName(name).Lower
		for _, v := range values {
			if v != nil {
				r.headers[lower] = append(r.headers[lower], *v)
			}
		}
	}
	r.query = make(map[string]string, len(r.wire.Query))
	for name, values := range r.wire.Query {
		for _, v := range values {
			if v != nil {
				r.query[name] = *v
				break
			}
		}
	}
	return r, nil
}

func (r *request) Header(n config.HeaderName) (string, bool) {
	if values := r.headers[n.Lower]; len(values) == 1 {
		return values[0], true
	}
	return "", false
}

func (r *request) Cookie(name string) (string, bool) { v, ok := r.cookies[name]; return v, ok }
func (r *request) Query(name string) (string, bool)  { v, ok := r.query[name]; return v, ok }
func (r *request) Path() string                      { return r.wire.Path }
func (r *request) Method() string                    { return r.wire.Method }
func (r *request) Lane() string                      { return r.wire.Lane }

func (r *request) User() string {
	if r.wire.User != "" {
		return r.wire.User
	}
	v, _ := r.Header(config.NewHeaderName(lane.HeaderUser))
	return v
}
