package nacosconn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_response"
	"google.golang.org/protobuf/types/known/anypb"
)

// Types of messages that have no constant in the SDK.
const (
	typeError         = "ErrorResponse"
	typeSetupAck      = "SetupAckRequest"
	typeDetection     = "ClientDetectionRequest"
	typeReset         = "ConnectResetRequest"
	typeServiceChange = "NotifySubscriberRequest"
	typeConfigChange  = "ConfigChangeNotifyRequest"
)

// The types below are what we read. The SDK's have embedded pointers, nil where a
// message leaves the fields out, and lack fields that servers send.

// result is what every answer has.
type result struct {
	ResultCode int    `json:"resultCode"`
	ErrorCode  int    `json:"errorCode"`
	Success    *bool  `json:"success"`
	Message    string `json:"message"`
}

func (r *result) ok() bool {
	if r.Success != nil {
		return *r.Success
	}
	return r.ResultCode == 200
}

func (r *result) code() int {
	if r.ErrorCode != 0 {
		return r.ErrorCode
	}
	return r.ResultCode
}

func (r *result) common() *result { return r }

// answer is an answer to one of our requests.
type answer interface {
	common() *result
	typeName() string
}

// ServiceInfo is the list of a service's instances as Nacos sends it.
type ServiceInfo struct {
	Name      string `json:"name"`
	GroupName string `json:"groupName"`
	// Hosts is never nil in what this package hands out.
	Hosts []Host `json:"hosts"`
}

// Host is one instance as Nacos sends it. Nothing in it is checked.
type Host struct {
	IP       string            `json:"ip"`
	Port     int64             `json:"port"`
	Weight   Float             `json:"weight"`
	Healthy  bool              `json:"healthy"`
	Enabled  bool              `json:"enabled"`
	Cluster  string            `json:"clusterName"`
	Metadata map[string]string `json:"metadata"`
}

// Float is a number of a Java server, which writes some of them as strings: "NaN",
// "Infinity". One instance with an odd weight must not make the list unreadable.
type Float float64

// UnmarshalJSON implements [json.Unmarshaler]. What is no number is NaN.
func (f *Float) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range it is ±Inf
		v = math.NaN()
	}
	*f = Float(v)
	return nil
}

func (i *ServiceInfo) check() error {
	switch {
	case i == nil:
		return errors.New("no serviceInfo")
	case i.Name == "" || i.GroupName == "":
		return errors.New("serviceInfo without a name")
	case i.Hosts == nil:
		return fmt.Errorf("serviceInfo of %s without hosts", i.Name)
	}
	return nil
}

// ConfigKey names a document. Tenant is the namespace, "" for the public one.
type ConfigKey struct {
	DataID string `json:"dataId"`
	Group  string `json:"group"`
	Tenant string `json:"tenant"`
}

// push is a request of the server: at most one of the fields after the ID is set.
type push struct {
	typ     string
	id      string
	service *ServiceInfo
	config  *ConfigKey
	reset   *server // a zero server: whichever is next
}

// decodePush reads a request of the server. With an error the push still has its
// type and, where it could be read, its ID.
func decodePush(typ string, body []byte) (push, error) {
	var m struct {
		RequestID   string       `json:"requestId"`
		ServiceInfo *ServiceInfo `json:"serviceInfo"`
		ServerIP    string       `json:"serverIp"`
		ServerPort  string       `json:"serverPort"`
		ConfigKey
	}
	p := push{typ: typ}
	err := unmarshal(body, &m)
	p.id = m.RequestID
	if err != nil {
		return p, fmt.Errorf("%s: %w", typ, err)
	}
	switch typ {
	case typeServiceChange:
		if err := m.ServiceInfo.check(); err != nil {
			return p, fmt.Errorf("%s: %w", typ, err)
		}
		p.service = m.ServiceInfo
	case typeConfigChange:
		if m.DataID == "" || m.Group == "" {
			return p, fmt.Errorf("%s: no dataId or group", typ)
		}
		p.config = &m.ConfigKey
	case typeReset:
		p.reset = &server{}
		if m.ServerIP != "" {
			s, err := parseServer(hostPort(m.ServerIP, m.ServerPort))
			if err != nil {
				return p, fmt.Errorf("%s: %w", typ, err)
			}
			p.reset = &s
		}
	case typeDetection, typeSetupAck:
	default:
		return p, fmt.Errorf("request of unknown type %q", typ)
	}
	return p, nil
}

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// reply is our answer to a request of the server.
func (p *push) reply(clientIP string) (*auto.Payload, error) {
	typ := strings.TrimSuffix(p.typ, "Request") + "Response"
	return encode(typ, clientIP, nil, &rpc_response.Response{ResultCode: 200, Success: true, RequestId: p.id})
}

func encode(typ, clientIP string, headers map[string]string, body any) (*auto.Payload, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("nacos: encode %s: %w", typ, err)
	}
	return &auto.Payload{
		Metadata: &auto.Metadata{Type: typ, ClientIp: clientIP, Headers: headers},
		Body:     &anypb.Any{Value: b},
	}, nil
}

// maxElements bounds the elements of a message, counted as its commas. A list of
// 20,000 instances with 30 labels each has that many. Without it, 16 MiB of empty
// instances would become half a gigabyte.
const maxElements = 1 << 20

func unmarshal(body []byte, out any) error {
	if n := bytes.Count(body, []byte{','}); n > maxElements {
		return fmt.Errorf("the message has %d elements, more than %d", n, maxElements)
	}
	return json.Unmarshal(body, out)
}

// decode reads the answer to a request into out, and returns a refusal as
// *ServerError.
func decode(server, request string, p *auto.Payload, out answer) error {
	typ := p.GetMetadata().GetType()
	body := p.GetBody().GetValue()
	if typ != out.typeName() {
		var r result
		if typ != typeError {
			return fmt.Errorf("nacos %s: answer to %s has type %q", server, request, typ)
		}
		if err := unmarshal(body, &r); err != nil {
			return fmt.Errorf("nacos %s: answer to %s: %w", server, request, err)
		}
		return &ServerError{server, request, typ, r.code(), r.Message}
	}
	if err := unmarshal(body, out); err != nil {
		return fmt.Errorf("nacos %s: answer to %s: %w", server, request, err)
	}
	if r := out.common(); !r.ok() {
		return &ServerError{server, request, typ, r.code(), r.Message}
	}
	return nil
}
