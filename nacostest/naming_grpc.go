package nacostest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/graylane/graylane/registry"
)

// host is an instance in the protocol's JSON.
type host struct {
	InstanceID  string            `json:"instanceId,omitempty"`
	IP          string            `json:"ip"`
	Port        int               `json:"port"`
	Weight      float64           `json:"weight"`
	Healthy     bool              `json:"healthy"`
	Enabled     bool              `json:"enabled"`
	Ephemeral   bool              `json:"ephemeral"`
	ClusterName string            `json:"clusterName"`
	ServiceName string            `json:"serviceName"`
	Metadata    map[string]string `json:"metadata"`

	// In milliseconds; they mean nothing for instances of a connection.
	HeartBeatInterval int    `json:"instanceHeartBeatInterval"`
	HeartBeatTimeout  int    `json:"instanceHeartBeatTimeOut"`
	DeleteTimeout     int    `json:"ipDeleteTimeout"`
	IDGenerator       string `json:"instanceIdGenerator,omitempty"`

	noCluster bool // the client named none, not even an empty one
}

// UnmarshalJSON fills in what Nacos assumes of absent fields.
func (h *host) UnmarshalJSON(b []byte) error {
	type plain host
	p := struct {
		plain
		ClusterName *string `json:"clusterName"`
	}{plain: plain{Weight: 1, Healthy: true, Enabled: true, Ephemeral: true}}
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	*h = host(p.plain)
	if h.noCluster = p.ClusterName == nil; !h.noCluster {
		h.ClusterName = *p.ClusterName
	}
	return nil
}

func newHost(id registry.Service, in Instance) host {
	h := host{
		InstanceID: in.id, IP: in.IP, Port: in.Port, Weight: in.Weight, Healthy: in.Healthy, Enabled: in.Enabled,
		Ephemeral: in.Ephemeral, ClusterName: in.Cluster, ServiceName: id.Group + "@@" + id.Name, Metadata: in.Metadata,
		HeartBeatInterval: 5000, HeartBeatTimeout: 15000, DeleteTimeout: 30000,
	}
	if len(in.Metadata) == 0 {
		h.Metadata, h.IDGenerator = map[string]string{}, "simple"
	}
	return h
}

// instance returns what a connection registers: always ephemeral.
func (h *host) instance(id registry.Service) Instance {
	named := h.ClusterName
	if h.noCluster {
		named = "null"
	}
	return Instance{
		IP: h.IP, Port: h.Port, Cluster: cmp.Or(h.ClusterName, registry.DefaultCluster), Weight: h.Weight,
		Healthy: h.Healthy, Enabled: h.Enabled, Ephemeral: true, Metadata: h.Metadata,
		id: cmp.Or(h.InstanceID, fmt.Sprintf("%s#%d#%s#%s@@%s", h.IP, h.Port, named, id.Group, id.Name)),
	}
}

const badPort = "Param 'port' is illegal, the value should be between 0 and 65535."

func (h *host) check() error {
	if h.Port < 0 || h.Port > 65535 {
		return illegal(badPort)
	}
	length := 0
	for k, v := range h.Metadata {
		length += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	if length > registry.MaxMetadata {
		return illegal(fmt.Sprintf("Param 'Metadata' is illegal, the param length should not exceed %d.", registry.MaxMetadata))
	}
	return checkNames("ip", h.IP, "cluster", h.ClusterName)
}

// illegal is what the check of parameters answers.
func illegal(message string) error { return refused(codeInvalid, "Param check invalid:"+message) }

// checkNames takes names and values in turn and refuses values with characters
// that Nacos does not allow.
func checkNames(pairs ...string) error {
	if message := illegalName(pairs...); message != "" {
		return illegal(message)
	}
	return nil
}

func illegalName(pairs ...string) string {
	for pair := range slices.Chunk(pairs, 2) {
		if !legal(pair[1]) {
			return fmt.Sprintf("Param '%s' is illegal, illegal characters should not appear in the param.", pair[0])
		}
	}
	return ""
}

func legal(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-:@%", r)
	})
}

// serviceInfo is a service's list in the protocol's JSON.
type serviceInfo struct {
	Name                     string          `json:"name"`
	GroupName                string          `json:"groupName"`
	Clusters                 string          `json:"clusters"`
	CacheMillis              int             `json:"cacheMillis"`
	Hosts                    json.RawMessage `json:"hosts"`
	LastRefTime              int64           `json:"lastRefTime"`
	Checksum                 string          `json:"checksum"`
	AllIPs                   bool            `json:"allIps"`
	ReachProtectionThreshold bool            `json:"reachProtectionThreshold"`
	Valid                    bool            `json:"valid"`
}

// info returns the list as subscribers and queries see it: enabled instances,
// healthy or not, in the clusters named, separated by commas; "" is all.
func (n *naming) info(id registry.Service, clusters string, healthyOnly bool) (serviceInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.infoLocked(id, clusters, healthyOnly)
}

func (n *naming) infoLocked(id registry.Service, clusters string, healthyOnly bool) (serviceInfo, error) {
	info := serviceInfo{
		Name: id.Name, GroupName: id.Group, Clusters: clusters, CacheMillis: 10000,
		Hosts: json.RawMessage("[]"), LastRefTime: time.Now().UnixMilli(), Valid: true,
	}
	svc := n.services[id]
	if svc == nil {
		return info, nil
	}
	if clusters != "" || healthyOnly {
		hosts, err := json.Marshal(svc.visible(clusters, healthyOnly))
		info.Hosts = hosts
		return info, err
	}
	if svc.hosts == nil {
		hosts, err := json.Marshal(svc.visible("", false))
		if err != nil {
			return info, err
		}
		svc.hosts = hosts
	}
	info.Hosts = svc.hosts
	return info, nil
}

func (svc *service) visible(clusters string, healthyOnly bool) []host {
	hosts := []host{}
	var names []string
	if clusters != "" {
		names = strings.Split(clusters, ",")
	}
	for _, in := range svc.build() {
		if !in.Enabled || healthyOnly && !in.Healthy || names != nil && !slices.Contains(names, in.Cluster) {
			continue
		}
		hosts = append(hosts, newHost(svc.id, in))
	}
	return hosts
}

// pushBody returns a push of the service's list, nil if the connection does not
// subscribe to it any more.
func (n *naming) pushBody(c *conn, id registry.Service, requestID string) ([]byte, error) {
	n.mu.Lock()
	svc := n.services[id]
	if svc == nil {
		n.mu.Unlock()
		return nil, nil
	}
	clusters, ok := svc.subscribers[c]
	if !ok {
		n.mu.Unlock()
		return nil, nil
	}
	info, err := n.infoLocked(id, clusters, false)
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Headers     struct{}    `json:"headers"`
		RequestID   string      `json:"requestId"`
		ServiceInfo serviceInfo `json:"serviceInfo"`
		Module      string      `json:"module"`
	}{RequestID: requestID, ServiceInfo: info, Module: "naming"})
}

// namingRequest is the part that all naming requests share.
type namingRequest struct {
	Namespace   string `json:"namespace"`
	ServiceName string `json:"serviceName"`
	GroupName   string `json:"groupName"`
}

func (r *namingRequest) service() registry.Service {
	return registry.Service{Namespace: r.Namespace, Group: r.GroupName, Name: r.ServiceName}
}

func (r *namingRequest) check() error {
	switch {
	case r.ServiceName == "":
		return &failure{resultCode: codeFailed, errorCode: codeFailed, message: "Param 'serviceName' is illegal, serviceName is blank"}
	case r.GroupName == "":
		return &failure{resultCode: codeFailed, errorCode: codeFailed, message: "Param 'groupName' is illegal, groupName is blank"}
	}
	return checkNames("namespaceId", r.Namespace, "serviceName", r.ServiceName, "groupName", r.GroupName)
}

func notAClient(c *conn) error {
	return &failure{
		resultCode: codeNotAClient, errorCode: codeNotAClient,
		message: fmt.Sprintf("errCode: -401, errMsg: Client [%s] connection already disconnect, can't register ephemeral instance. ", c.id),
	}
}

func unsupported(message string) error {
	return &failure{resultCode: codeInvalid, errorCode: codeInvalid, message: message}
}

type instanceRequest struct {
	namingRequest
	Type     string `json:"type"`
	Instance *host  `json:"instance"`
}

type instanceAnswer struct {
	response
	Type string `json:"type,omitempty"`
}

// instances checks the request and returns what is to be registered, none to
// deregister.
func (r *instanceRequest) instances() ([]Instance, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Instance == nil {
		return nil, unsupported("Instance can not be null.")
	}
	if err := r.Instance.check(); err != nil {
		return nil, err
	}
	switch r.Type {
	case "registerInstance":
		return []Instance{r.Instance.instance(r.service())}, nil
	case "deregisterInstance":
		return nil, nil
	default:
		return nil, unsupported("Unsupported request type " + r.Type)
	}
}

// instance registers one instance of a connection, which replaces all it had in
// the service, or takes away all it had, whatever instance is named.
func (s *Server) instance(c *conn, r *instanceRequest) (*instanceAnswer, error) {
	list, err := r.instances()
	if err != nil {
		return nil, err
	}
	if !s.naming.publish(publisher{conn: c}, r.service(), publication{instances: list}) {
		return nil, notAClient(c)
	}
	return &instanceAnswer{Type: r.Type}, nil
}

// persistentInstance registers or takes away an instance that no connection
// holds.
func (s *Server) persistentInstance(_ *conn, r *instanceRequest) (*instanceAnswer, error) {
	list, err := r.instances()
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Ephemeral = false
	}
	named := r.Instance.instance(r.service())
	named.Ephemeral = false
	s.naming.publish(httpPublisher(named), r.service(), publication{instances: list})
	return &instanceAnswer{Type: r.Type}, nil
}

type batchRequest struct {
	namingRequest
	Type      string `json:"type"`
	Instances []host `json:"instances"`
}

// batchInstance replaces all that a connection has in a service.
func (s *Server) batchInstance(c *conn, r *batchRequest) (*instanceAnswer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.Type != "batchRegisterInstance" {
		return nil, unsupported("Unsupported request type " + r.Type)
	}
	if r.Instances == nil {
		return nil, &failure{
			resultCode: codeFailed, errorCode: codeFailed,
			message: `Cannot invoke "java.util.List.iterator()" because "instances" is null`,
		}
	}
	list := make([]Instance, 0, len(r.Instances))
	for i := range r.Instances {
		if err := r.Instances[i].check(); err != nil {
			return nil, err
		}
		list = append(list, r.Instances[i].instance(r.service()))
	}
	if !s.naming.publish(publisher{conn: c}, r.service(), publication{instances: list}) {
		return nil, notAClient(c)
	}
	return &instanceAnswer{Type: r.Type}, nil
}

type subscribeRequest struct {
	namingRequest
	Subscribe bool   `json:"subscribe"`
	Clusters  string `json:"clusters"`
}

type serviceAnswer struct {
	response
	ServiceInfo *serviceInfo `json:"serviceInfo,omitempty"`
}

func (s *Server) subscribeService(c *conn, r *subscribeRequest) (*serviceAnswer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if !s.naming.subscribe(c, r.service(), r.Clusters, r.Subscribe) {
		return nil, notAClient(c)
	}
	info, err := s.naming.info(r.service(), r.Clusters, false)
	return &serviceAnswer{response: response{Message: "success"}, ServiceInfo: &info}, err
}

type queryRequest struct {
	namingRequest
	Cluster     string `json:"cluster"`
	HealthyOnly bool   `json:"healthyOnly"`
}

func (s *Server) queryService(_ *conn, r *queryRequest) (*serviceAnswer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	info, err := s.naming.info(r.service(), r.Cluster, r.HealthyOnly)
	return &serviceAnswer{ServiceInfo: &info}, err
}

type listRequest struct {
	namingRequest
	PageNo   int `json:"pageNo"`
	PageSize int `json:"pageSize"`
}

type listAnswer struct {
	response
	Count        int      `json:"count"`
	ServiceNames []string `json:"serviceNames"`
}

func (s *Server) listServices(_ *conn, r *listRequest) (*listAnswer, error) {
	names := s.naming.names(r.Namespace, r.GroupName)
	return &listAnswer{Count: len(names), ServiceNames: page(names, r.PageNo, r.PageSize)}, nil
}

// names returns the services of a group, sorted.
func (n *naming) names(namespace, group string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := []string{}
	for id, svc := range n.services {
		if id.Namespace == namespace && id.Group == group && svc.everListed {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}
