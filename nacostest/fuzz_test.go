package nacostest

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"
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
