package nacostest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Codes in the answers over HTTP.
const (
	httpSuccess      = 0
	httpMissing      = 10000
	httpBadWeight    = 21001
	httpNoInstance   = 21003
	httpNoService    = 21004
	httpNotFound     = 20004
	httpConflict     = 20005
	httpServerFailed = 30000
)

// result is the envelope of every answer over HTTP.
type result struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

// httpError is an error that the client is told: as a result, or in plain words
// where Nacos does so.
type httpError struct {
	status, code  int
	message, data string
	plain         bool // only the message
}

func (e *httpError) Error() string { return e.message }

func plainError(message string) error {
	return &httpError{status: http.StatusBadRequest, message: message, plain: true}
}

// httpHandler serves what operators use. Nacos serves the console's requests on
// a port of its own, here it is the same.
func (s *Server) httpHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, s.auth.guarded(func(w http.ResponseWriter, r *http.Request) {
			data, err := do(r)
			writeResult(w, data, err)
		}))
	}
	ready := func(w http.ResponseWriter, _ *http.Request) { writeResult(w, "ok", nil) }
	mux.HandleFunc("GET /nacos/v3/admin/core/state/readiness", ready)
	mux.HandleFunc("GET /v3/console/health/readiness", ready)
	mux.HandleFunc("POST /nacos/v3/auth/user/login", s.auth.login(http.StatusForbidden))
	mux.HandleFunc("POST /nacos/v1/auth/users/login", s.auth.login(http.StatusInternalServerError))
	s.handleOld(mux)

	for _, path := range []string{"/nacos/v3/client/ns/instance", "/nacos/v3/admin/ns/instance"} {
		handle("POST "+path, s.httpRegister)
		handle("DELETE "+path, s.httpDeregister)
	}
	handle("GET /nacos/v3/client/ns/instance/list", s.httpVisible)
	handle("GET /nacos/v3/admin/ns/instance/list", s.httpInstances)
	handle("PUT /nacos/v3/admin/ns/instance", s.httpEdit)
	handle("PUT /v3/console/ns/instance", s.httpEdit)

	handle("GET /nacos/v3/client/cs/config", s.httpClientConfig)
	handle("GET /nacos/v3/admin/cs/config/list", s.httpListConfigs)
	for _, path := range []string{"/nacos/v3/admin/cs/config", "/v3/console/cs/config"} {
		handle("GET "+path, s.httpConfig)
		handle("POST "+path, s.httpPublish)
		handle("DELETE "+path, s.httpRemove)
	}
	return s.intercepted(mux)
}

// intercepted asks the interceptor first.
func (s *Server) intercepted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers := make(map[string]string, len(r.Header))
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		a, err := s.decide(r.Context(), Request{Type: r.Method + " " + r.URL.Path, Headers: headers})
		if err != nil {
			return // The client is gone or the server stops: nobody reads an answer.
		}
		do := next
		if a.kind == fail || a.kind == refuse {
			do = a.failing()
		}
		if a.kind != lose && a.rewrite == nil {
			do.ServeHTTP(w, r)
			return
		}
		answer := recorder{header: w.Header(), status: http.StatusOK}
		do.ServeHTTP(&answer, r)
		if a.kind == lose {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(answer.status)
		// It fails only if the client is gone.
		_, _ = w.Write(a.rewritten(answer.body.Bytes()))
	})
}

func (a Action) failing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := http.StatusInternalServerError
		if a.code >= 400 && a.code < 600 {
			status = a.code
		}
		writeJSON(w, status, result{Code: a.code, Message: a.message})
	})
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func writeResult(w http.ResponseWriter, data any, err error) {
	if err == nil {
		writeJSON(w, http.StatusOK, result{httpSuccess, "success", data})
		return
	}
	e, ok := errors.AsType[*httpError](err)
	switch {
	case !ok:
		writeJSON(w, http.StatusInternalServerError, result{httpServerFailed, err.Error(), nil})
	case e.plain:
		http.Error(w, e.message, e.status)
	case e.data == "":
		writeJSON(w, e.status, result{e.code, e.message, nil})
	default:
		writeJSON(w, e.status, result{e.code, e.message, e.data})
	}
}

// writeStatus answers as the framework below Nacos does.
func writeStatus(w http.ResponseWriter, r *http.Request, status int) {
	writeJSON(w, status, struct {
		Timestamp string `json:"timestamp"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Path      string `json:"path"`
	}{time.Now().UTC().Format("2006-01-02T15:04:05.000-07:00"), status, http.StatusText(status), r.URL.Path})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// It fails only if the client is gone.
	_ = json.NewEncoder(w).Encode(v)
}

// required returns form values, in the order of their names.
func required(r *http.Request, names ...string) ([]string, error) {
	values := make([]string, len(names))
	for i, name := range names {
		if values[i] = r.FormValue(name); values[i] == "" {
			return nil, missing(name, "String")
		}
	}
	return values, nil
}

func missing(name, typ string) error {
	return &httpError{
		status: http.StatusBadRequest, code: httpMissing, message: "parameter missing",
		data: fmt.Sprintf("Required parameter '%s' type %s is not present", name, typ),
	}
}
