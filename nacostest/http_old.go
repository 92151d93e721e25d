package nacostest

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
)

// handleOld serves what is left of the older API: as much as clients still ask
// for.
func (s *Server) handleOld(mux *http.ServeMux) {
	mux.HandleFunc("GET /nacos/v1/ns/operator/metrics", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "UP"})
	})
	for _, pattern := range []string{
		"PUT /nacos/v1/ns/instance", "PUT /nacos/v2/ns/instance", "GET /nacos/v1/cs/configs",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { writeStatus(w, r, http.StatusGone) })
	}
	mux.HandleFunc("POST /nacos/v1/ns/instance", s.auth.guarded(s.oldInstance))
	mux.HandleFunc("DELETE /nacos/v1/ns/instance", s.auth.guarded(s.oldInstance))
}

// oldInstance registers or removes an instance, as clients do with persistent
// ones.
func (s *Server) oldInstance(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"serviceName", "ip", "port"} {
		if r.FormValue(name) == "" {
			http.Error(w, fmt.Sprintf("Param '%s' is required.", name), http.StatusBadRequest)
			return
		}
	}
	if group, name, ok := strings.Cut(r.Form.Get("serviceName"), "@@"); ok {
		r.Form.Set("groupName", group)
		r.Form.Set("serviceName", name)
	}
	r.Form.Set("enabled", cmp.Or(r.Form.Get("enable"), r.Form.Get("enabled")))
	svc, in, err := formInstance(r)
	if err != nil {
		writeResult(w, nil, err)
		return
	}
	pub := publication{}
	if r.Method == http.MethodPost {
		in.id = fmt.Sprintf("%s#%d#%s#%s@@%s", in.IP, in.Port, in.Cluster, svc.Group, svc.Name)
		pub.instances = []Instance{in}
	}
	s.naming.publish(httpPublisher(in), svc, pub)
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	_, _ = w.Write([]byte("ok")) // it fails only if the client is gone
}
