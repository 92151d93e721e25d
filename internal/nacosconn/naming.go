package nacosconn

import (
	"context"
	"errors"
	"fmt"

	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	registerInstance   = "registerInstance"
	deregisterInstance = "deregisterInstance"
	batchRegister      = "batchRegisterInstance"
)

type instanceAnswer struct{ result }

func (*instanceAnswer) typeName() string { return "InstanceResponse" }

type batchAnswer struct{ result }

func (*batchAnswer) typeName() string { return "BatchInstanceResponse" }

type subscribeAnswer struct {
	result
	Info *ServiceInfo `json:"serviceInfo"`
}

func (*subscribeAnswer) typeName() string { return "SubscribeServiceResponse" }

type queryAnswer struct {
	result
	Info *ServiceInfo `json:"serviceInfo"`
}

func (*queryAnswer) typeName() string { return "QueryServiceResponse" }

func (c *Conn) namespace() string {
	if c.session.config.Public() {
		return "public"
	}
	return c.session.config.Namespace
}

// Register makes the instances all that this connection announces of a service,
// whatever it announced before. There is no other way to add or remove one; with
// none of them it withdraws the service.
func (c *Conn) Register(ctx context.Context, group, service string, instances []model.Instance) error {
	switch len(instances) {
	case 0:
		req := rpc_request.NewInstanceRequest(c.namespace(), service, group, deregisterInstance,
			model.Instance{Ephemeral: true, Metadata: map[string]string{}})
		return c.call(ctx, req, &instanceAnswer{})
	case 1:
		req := rpc_request.NewInstanceRequest(c.namespace(), service, group, registerInstance, instances[0])
		return c.call(ctx, req, &instanceAnswer{})
	}
	req := rpc_request.NewBatchInstanceRequest(c.namespace(), service, group, batchRegister, instances)
	return c.call(ctx, req, &batchAnswer{})
}

// Subscribe asks for pushes about a service and returns its list. The list comes
// from a cache of the server and may be 0.6 s old: it must not overrule a push
// that arrived after the request was sent.
func (c *Conn) Subscribe(ctx context.Context, group, service string) (ServiceInfo, error) {
	var a subscribeAnswer
	err := c.call(ctx, rpc_request.NewSubscribeServiceRequest(c.namespace(), service, group, "", true), &a)
	if status.Code(err) == codes.ResourceExhausted {
		// The list is too long. A push of it would end the connection, and with it
		// everything else that the connection holds.
		return ServiceInfo{}, errors.Join(err, c.Unsubscribe(ctx, group, service))
	}
	if err != nil {
		return ServiceInfo{}, err
	}
	return c.list("SubscribeServiceRequest", a.Info)
}

// Unsubscribe ends the pushes about a service.
func (c *Conn) Unsubscribe(ctx context.Context, group, service string) error {
	return c.call(ctx, rpc_request.NewSubscribeServiceRequest(c.namespace(), service, group, "", false), &subscribeAnswer{})
}

// Query returns the list of a service, as old as Subscribe's may be.
func (c *Conn) Query(ctx context.Context, group, service string) (ServiceInfo, error) {
	var a queryAnswer
	if err := c.call(ctx, rpc_request.NewServiceQueryRequest(c.namespace(), service, group, "", false, 0), &a); err != nil {
		return ServiceInfo{}, err
	}
	return c.list("ServiceQueryRequest", a.Info)
}

func (c *Conn) list(request string, info *ServiceInfo) (ServiceInfo, error) {
	if info == nil || info.Hosts == nil {
		return ServiceInfo{}, fmt.Errorf("nacos %s: answer to %s holds no list", c.server.grpc(), request)
	}
	return *info, nil
}
