package nacostest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"

	"github.com/graylane/graylane/registry"
)

// FuzzHandlers: whatever a client sends, it gets an answer that can be written,
// and what it left behind can be listed and pushed.
func FuzzHandlers(f *testing.F) {
	handlers := newHandlers()
	types := slices.Sorted(maps.Keys(handlers))
	for i := range types {
		for _, body := range []string{
			``, `null`, `{}`, `[]`, `{"instance":null,"instances":[null]}`,
			`{"namespace":"n","groupName":"g","serviceName":"s","type":"registerInstance","subscribe":true,"pageNo":-1,"pageSize":-1,"instance":{"ip":"::1","port":1,"weight":1e308,"metadata":null}}`,
			`{"namespace":"n","groupName":"g","serviceName":"s","type":"batchRegisterInstance","instances":[{"ip":"1.1.1.1"},{"ip":"1.1.1.1"},null]}`,
			`{"tenant":"public","group":"g","dataId":"d","content":"c","additionMap":null,"configListenContexts":[{"dataId":"d","group":"g","md5":""}]}`,
			`{"pageNo":9223372036854775807,"pageSize":9223372036854775807}`,
		} {
			f.Add(uint8(i), body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		s := &Server{naming: newNaming(time.Hour), configs: newConfigs()}
		c := newConn("1", "127.0.0.1:1", time.Now())
		s.naming.join(c)
		s.configs.join(c)
		a, err := handlers[types[int(which)%len(types)]].do(s, c, []byte(body))
		if err == nil {
			if _, err := json.Marshal(a); err != nil {
				t.Fatalf("answer %+v: %v", a, err)
			}
		}
		for id := range s.naming.services {
			if _, err := s.naming.pushBody(c, id, "1"); err != nil {
				t.Fatalf("push of %v: %v", id, err)
			}
			if _, err := s.naming.info(id, "x", true); err != nil {
				t.Fatalf("query of %v: %v", id, err)
			}
		}
		s.leave(c)
		s.naming.sweep(time.Now().Add(time.Hour))
	})
}

// FuzzHTTP: whatever an HTTP client sends, it gets an answer that is one, and
// what it left behind can be pushed to everybody.
func FuzzHTTP(f *testing.F) {
	paths := []string{
		"/nacos/v1/auth/users/login", "/nacos/v1/ns/instance", "/nacos/v3/auth/user/login",
		"/nacos/v3/client/ns/instance", "/nacos/v3/client/ns/instance/list", "/nacos/v3/admin/ns/instance",
		"/nacos/v3/admin/ns/instance/list", "/nacos/v3/client/cs/config", "/nacos/v3/admin/cs/config",
		"/nacos/v3/admin/cs/config/list",
	}
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}
	for path := range paths {
		for method := range methods {
			for _, form := range []string{
				"", "serviceName=s&ip=1.1.1.1&port=1&weight=0.5&metadata=a%3Db", "serviceName=g@@s&ip=::1&port=1&weight=NaN&enable=false",
				"serviceName=s&ip=1.1.1.1&port=1&heartBeat=true&metadata={\"a\":\"b\"}", "serviceName=s&ip=1.1.1.1&port=1&ephemeral=false",
				"dataId=d&groupName=g&content=c&type=yaml", "dataId=*&groupName=[&pageNo=-1&pageSize=9223372036854775807",
				"pageNo=9223372036854775807&pageSize=2", "username=u&password=p", "a=%zz;b",
			} {
				f.Add(uint8(path), uint8(method), form)
			}
		}
	}
	f.Fuzz(func(t *testing.T, path, method uint8, form string) {
		s := &Server{naming: newNaming(time.Hour), configs: newConfigs()}
		subscriber := newConn("1", "127.0.0.1:1", time.Now())
		s.naming.join(subscriber)
		svc := registry.Service{Name: "s"}.WithDefaults()
		s.naming.subscribe(subscriber, svc, "", true)
		s.Register(svc, NewInstance("10.0.0.1", 80, nil))
		r := httptest.NewRequestWithContext(t.Context(), methods[int(method)%len(methods)], paths[int(path)%len(paths)], strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if r.Method == http.MethodGet || r.Method == http.MethodDelete {
			r.URL.RawQuery = form
		}
		w := httptest.NewRecorder()
		s.httpHandler().ServeHTTP(w, r)
		if isJSON := w.Header().Get("Content-Type") == "application/json"; w.Code < 200 || isJSON && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s %q: answer %d %q", r.Method, r.URL.Path, form, w.Code, w.Body)
		}
		for id := range s.naming.services {
			s.naming.subscribe(subscriber, id, "", true)
			if _, err := s.naming.pushBody(subscriber, id, "1"); err != nil {
				t.Fatalf("push of %v after %q: %v", id, form, err)
			}
		}
		s.naming.sweep(time.Now().Add(time.Hour))
	})
}

// messages is a stream of a client that sends these and ends.
type messages struct {
	auto.BiRequestStream_RequestBiStreamServer
	ctx  context.Context
	rest []*auto.Payload
	sent []*auto.Payload
}

func (m *messages) Context() context.Context { return m.ctx }

func (m *messages) Send(p *auto.Payload) error {
	m.sent = append(m.sent, p)
	return nil
}

func (m *messages) Recv() (*auto.Payload, error) {
	if len(m.rest) == 0 {
		return nil, io.EOF
	}
	p := m.rest[0]
	m.rest = m.rest[1:]
	return p, nil
}

// FuzzStream: whatever a client sends as its setup and as a reply, nothing of it
// is left when the stream and the connection have ended.
func FuzzStream(f *testing.F) {
	for _, setup := range []string{
		``, `null`, `[]`, `{"labels":{"module":"naming"},"abilityTable":{}}`, `{"labels":null,"abilityTable":null}`, `{"labels":{"module":"config"},"tenant":"x"}`,
	} {
		for _, reply := range []string{``, `null`, `{"requestId":"1"}`, `{"requestId":1}`, `[]`} {
			f.Add(typeSetup, setup, reply)
		}
	}
	f.Fuzz(func(t *testing.T, typ, setup, reply string) {
		s := &Server{naming: newNaming(time.Hour), configs: newConfigs()}
		s.conns = newConns(s.leave)
		c := newConn("1", "127.0.0.1:1", time.Now())
		stream := &messages{
			ctx:  context.WithValue(t.Context(), connKey{}, c),
			rest: []*auto.Payload{payload(typ, []byte(setup)), payload("", []byte(reply)), {}},
		}
		g := &grpcService{server: s, handlers: newHandlers()}
		err := g.RequestBiStream(stream)
		if _, ok := c.connection(); ok != (err == nil) {
			t.Fatalf("set up: %t, error: %v", ok, err)
		}
		c.end()
		s.leave(c)
		if len(s.naming.clients)+len(s.configs.clients) != 0 {
			t.Fatal("the connection left something behind")
		}
	})
}

// FuzzRewrite: the helpers leave what they do not understand as it is, and JSON
// stays JSON.
func FuzzRewrite(f *testing.F) {
	for _, body := range []string{
		``, `null`, `{}`, `{"serviceInfo":null}`, `{"serviceInfo":{"hosts":null,"lastRefTime":"x"}}`,
		`{"serviceInfo":{"hosts":[1,{},[]]},"lastModified":1}`, `{"a":1e999}`,
	} {
		f.Add(body, 1)
	}
	a := Clock(time.UnixMilli(7))
	f.Fuzz(func(t *testing.T, body string, n int) {
		out := a.And(KeepHosts(n)).rewritten([]byte(body))
		if json.Valid([]byte(body)) != json.Valid(out) || !json.Valid(out) && string(out) != body {
			t.Fatalf("%q became %q", body, out)
		}
	})
}
