package nacostest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/graylane/graylane/registry"
)

// formService reads which service a request is about.
func formService(r *http.Request) (registry.Service, error) {
	v, err := required(r, "serviceName")
	if err != nil {
		return registry.Service{}, err
	}
	svc := registry.Service{Namespace: r.FormValue("namespaceId"), Group: r.FormValue("groupName"), Name: v[0]}.WithDefaults()
	if bad := illegalName("namespaceId", svc.Namespace, "groupName", svc.Group, "serviceName", svc.Name); bad != "" {
		return svc, plainError(bad)
	}
	return svc, nil
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
	if bad := illegalName("ip", in.IP, "cluster", in.Cluster); bad != "" {
		return svc, in, plainError(bad)
	}
	port := r.FormValue("port")
	if port == "" {
		return svc, in, missing("port", "Integer")
	}
	if in.Port, err = strconv.Atoi(port); err != nil || in.Port < 0 || in.Port > 65535 {
		return svc, in, plainError(badPort)
	}
	if w := r.FormValue("weight"); w != "" {
		if in.Weight, err = strconv.ParseFloat(w, 64); err != nil {
			return svc, in, fmt.Errorf("weight %q is not a number", w)
		}
		if !(in.Weight >= 0 && in.Weight <= registry.MaxWeight/1000) { // NaN is neither
			return svc, in, &httpError{
				status: http.StatusBadRequest, code: httpBadWeight, message: "weight error",
				data: "instance format invalid: The weights range from 0.0 to 10000.0",
			}
		}
	}
	for name, to := range map[string]*bool{"healthy": &in.Healthy, "enabled": &in.Enabled, "ephemeral": &in.Ephemeral} {
		v := cmp.Or(r.FormValue(name), "true")
		if *to, err = strconv.ParseBool(v); err != nil {
			return svc, in, fmt.Errorf("invalid boolean value %q of %s", v, name)
		}
	}
	in.Metadata, err = formMetadata(r.FormValue("metadata"))
	return svc, in, err
}

// formMetadata reads metadata as JSON or as "key=value,key=value".
func formMetadata(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	var m map[string]string
	if json.Unmarshal([]byte(s), &m) == nil {
		return m, nil
	}
	m = map[string]string{}
	for pair := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, errors.New("metadata is neither JSON nor key=value pairs")
		}
		m[k] = v
	}
	return m, nil
}

// httpRegister registers an instance that needs heartbeats, or is one.
func (s *Server) httpRegister(r *http.Request) (any, error) {
	svc, in, err := formInstance(r)
	if err != nil {
		return nil, err
	}
	p := httpPublisher(in)
	if r.FormValue("heartBeat") == "true" {
		if !s.naming.beat(p, svc) {
			return nil, &httpError{status: http.StatusOK, code: httpNoInstance, message: "instance not found"}
		}
		return "ok", nil
	}
	pub := publication{instances: []Instance{in}}
	if in.Ephemeral {
		pub.beat = time.Now()
	}
	s.naming.publish(p, svc, pub)
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
			status: http.StatusBadRequest, code: httpNoService, message: "instance error",
			data: fmt.Sprintf("service not found, namespace: %s, service: Service{namespace='%s', group='%s', name='%s', ephemeral=%t, revision=0}",
				svc.Namespace, svc.Namespace, svc.Group, svc.Name, in.Ephemeral),
		}
	}
	return "ok", nil
}

// httpVisible lists what subscribers see, of the default cluster if the request
// names none. The parameter healthyOnly changes nothing, as in Nacos 3.1.
func (s *Server) httpVisible(r *http.Request) (any, error) {
	svc, err := formService(r)
	if err != nil {
		return nil, err
	}
	clusters := cmp.Or(r.FormValue("clusterName"), registry.DefaultCluster)
	info, err := s.naming.info(svc, clusters, false)
	return info.Hosts, err
}

// httpInstances lists all instances of one cluster.
func (s *Server) httpInstances(r *http.Request) (any, error) {
	svc, err := formService(r)
	if err != nil {
		return nil, err
	}
	all := s.Instances(svc)
	if len(all) == 0 {
		return nil, notFound(fmt.Sprintf("service %s@@%s is not found!", svc.Group, svc.Name))
	}
	cluster := cmp.Or(r.FormValue("clusterName"), registry.DefaultCluster)
	all = slices.DeleteFunc(all, func(in Instance) bool { return in.Cluster != cluster })
	if len(all) == 0 {
		return nil, notFound(fmt.Sprintf("cluster %s is not found!", cluster))
	}
	hosts := make([]host, len(all))
	for i := range all {
		hosts[i] = newHost(svc, all[i])
	}
	return hosts, nil
}

func notFound(data string) error {
	return &httpError{status: http.StatusNotFound, code: httpServerFailed, message: "server error", data: data}
}
