package nacostest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/graylane/graylane/registry"
)

// formService reads which service a request is about.
func formService(r *http.Request) (registry.Service, error) {
	v, err := required(r, "serviceName")
	if err != nil {
		return registry.Service{}, err
	}
	return registry.Service{Namespace: r.FormValue("namespaceId"), Group: r.FormValue("groupName"), Name: v[0]}.WithDefaults(), nil
}

// formInstance reads service and instance of a request. What is not given has
// Nacos's defaults.
func formInstance(r *http.Request) (registry.Service, Instance, error) {
	svc, err := formService(r)
	if err != nil {
		return svc, Instance{}, err
	}
	v, err := required(r, "ip")
	if err != nil {
		return svc, Instance{}, err
	}
	in := Instance{IP: v[0], Cluster: r.FormValue("clusterName"), Weight: 1}.normal()
	if r.FormValue("port") == "" {
		return svc, in, missing("port", "Integer")
	}
	if in.Port, err = strconv.Atoi(r.FormValue("port")); err != nil || in.Port < 0 || in.Port > 65535 {
		return svc, in, badInstance("Param 'port' is illegal, the value should be between 0 and 65535.")
	}
	if w := r.FormValue("weight"); w != "" {
		in.Weight, err = strconv.ParseFloat(w, 64)
		if err != nil || !(in.Weight >= 0 && in.Weight <= registry.MaxWeight/1000) {
			return svc, in, &httpError{
				http.StatusBadRequest, httpBadWeight, "weight error",
				"instance format invalid: The weights range from 0.0 to 10000.0",
			}
		}
	}
	for name, to := range map[string]*bool{"healthy": &in.Healthy, "enabled": &in.Enabled, "ephemeral": &in.Ephemeral} {
		if *to, err = strconv.ParseBool(cmp.Or(r.FormValue(name), "true")); err != nil {
			return svc, in, badInstance(fmt.Sprintf("Param '%s' is illegal: %v", name, err))
		}
	}
	if m := r.FormValue("metadata"); m != "" {
		if err := json.Unmarshal([]byte(m), &in.Metadata); err != nil {
			return svc, in, badInstance("Param 'metadata' is illegal: " + err.Error())
		}
	}
	return svc, in, nil
}

func badInstance(data string) error {
	return &httpError{http.StatusBadRequest, codeInvalid, "instance error", data}
}

func (s *Server) httpRegister(r *http.Request) (any, error) {
	svc, in, err := formInstance(r)
	if err != nil {
		return nil, err
	}
	s.Register(svc, in)
	return "ok", nil
}

func (s *Server) httpDeregister(r *http.Request) (any, error) {
	svc, in, err := formInstance(r)
	if err != nil {
		return nil, err
	}
	s.Deregister(svc, in)
	return "ok", nil
}

func (s *Server) httpEdit(r *http.Request) (any, error) {
	svc, in, err := formInstance(r)
	if err != nil {
		return nil, err
	}
	if !s.Edit(svc, in) {
		return nil, &httpError{
			http.StatusBadRequest, httpNoInstance, "instance error",
			fmt.Sprintf("service not found, namespace: %s, service: Service{namespace='%s', group='%s', name='%s', ephemeral=%t, revision=0}",
				svc.Namespace, svc.Namespace, svc.Group, svc.Name, in.Ephemeral),
		}
	}
	return "ok", nil
}

// httpInstances lists what subscribers see, or all.
func (s *Server) httpInstances(all bool) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		svc, err := formService(r)
		if err != nil {
			return nil, err
		}
		if !all {
			info, err := s.naming.info(svc, r.FormValue("clusterName"), r.FormValue("healthyOnly") == "true")
			return info.Hosts, err
		}
		hosts := []host{}
		for _, in := range s.Instances(svc) {
			hosts = append(hosts, newHost(svc, in))
		}
		return hosts, nil
	}
}
