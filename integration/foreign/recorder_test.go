package foreign

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/graylane/graylane/nacostest"
)

// message is what a client sent, taken apart: "type", "header:NAME" and the paths
// of the body's JSON.
type message map[string]any

// recorder keeps the first message of each kind that a client sends.
type recorder struct {
	mu     sync.Mutex // guards the rest
	first  map[string]message
	pushes map[string]string // the types of pushes, by connection and request ID
	news   chan struct{}     // closed and replaced when a kind is added
}

func record(srv *nacostest.Server) *recorder {
	r := &recorder{first: map[string]message{}, pushes: map[string]string{}, news: make(chan struct{})}
	srv.Intercept(r.take)
	return r
}

func (r *recorder) take(q nacostest.Request) nacostest.Action {
	var body map[string]any
	if q.Body != nil && json.Unmarshal(q.Body, &body) != nil {
		return nacostest.Fail(500, "not JSON")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	push := fmt.Sprint(q.ConnectionID, " ", body["requestId"])
	if q.Push {
		r.pushes[push] = q.Type
		return nacostest.Pass()
	}
	kind := q.Type
	switch {
	case q.Reply:
		kind = "reply to " + r.pushes[push]
	case q.Type == "ConnectionSetupRequest":
		kind += " " + q.Module
	default:
		for _, name := range []string{"type", "subscribe", "listen"} {
			if v, ok := body[name]; ok {
				kind = fmt.Sprintf("%s %s=%v", kind, name, v)
			}
		}
	}
	if _, ok := r.first[kind]; ok {
		return nacostest.Pass()
	}
	m := message{"type": q.Type}
	for name, v := range q.Headers {
		m["header:"+name] = v
	}
	m.flatten("", body)
	r.first[kind] = m
	close(r.news)
	r.news = make(chan struct{})
	return nacostest.Pass()
}

// flatten adds the leaves of a JSON value under their paths. An empty object or
// list is a leaf.
func (m message) flatten(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			m.flatten(strings.TrimPrefix(path+"."+name, "."), x)
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for i, x := range v {
			m.flatten(fmt.Sprintf("%s[%d]", path, i), x)
		}
		if len(v) > 0 {
			return
		}
	}
	m[path] = v
}

// has reports whether all kinds were sent; if not, news tells of the next one.
func (r *recorder) has(kinds ...string) (all bool, news <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, kind := range kinds {
		if _, ok := r.first[kind]; !ok {
			return false, r.news
		}
	}
	return true, r.news
}

func (r *recorder) messages() map[string]message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}
