package kit

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
)

// Nacos is a server to use.
type Nacos struct {
	// Addr is the "host:port" for graylane.WithServers.
	Addr     string
	embedded *nacostest.Server
}

// OpenNacos returns the Nacos at NACOS_ADDR, or starts one. It needs one Close.
func OpenNacos() (*Nacos, error) {
	if addr := os.Getenv("NACOS_ADDR"); addr != "" {
		return &Nacos{Addr: addr}, nil
	}
	server, err := nacostest.Start()
	if err != nil {
		return nil, err
	}
	return &Nacos{Addr: server.Addr(), embedded: server}, nil
}

// docs is where operators keep documents in Nacos.
const docs = "/nacos/v3/admin/cs/config"

// Publish publishes the rules of a service, as an operator's curl does.
func (n *Nacos) Publish(ctx context.Context, service, rules string) error {
	form := document(service)
	form.Set("type", "yaml")
	form.Set("content", rules)
	return n.do(ctx, http.MethodPost, docs, form.Encode())
}

// Remove deletes the rules of a service.
func (n *Nacos) Remove(ctx context.Context, service string) error {
	return n.do(ctx, http.MethodDelete, docs+"?"+document(service).Encode(), "")
}

func document(service string) url.Values {
	return url.Values{"dataId": {config.ServiceDocID(service)}, "groupName": {config.DefaultGroup}}
}

func (n *Nacos) do(ctx context.Context, method, path, form string) error {
	addr, _, _ := strings.Cut(n.Addr, ",") // any node of a cluster will do
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, strings.NewReader(form))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return nil
}

// Close ends an embedded Nacos.
func (n *Nacos) Close() {
	http.DefaultClient.CloseIdleConnections()
	if n.embedded != nil {
		n.embedded.Close()
	}
}
