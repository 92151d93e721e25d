package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/registry"
)

// What an operator sees of one node.
type admin struct {
	t    *testing.T
	node *nacos.Node
}

// listed returns the version of each address that the node lists.
func (a admin) listed(service string) (map[string]string, error) {
	var hosts []struct {
		IP       string
		Port     int
		Metadata map[string]string
	}
	err := a.get("/nacos/v3/client/ns/instance/list", url.Values{"serviceName": {service}}, &hosts)
	versions := map[string]string{}
	for _, h := range hosts {
		addr := net.JoinHostPort(h.IP, strconv.Itoa(h.Port))
		if was, twice := versions[addr]; twice && was != h.Metadata[registry.KeyVersion] {
			return nil, fmt.Errorf("%s is listed with versions %s and %s", addr, was, h.Metadata[registry.KeyVersion])
		}
		versions[addr] = h.Metadata[registry.KeyVersion]
	}
	return versions, err
}

// publishers returns the connections that announce a service, and how many
// instances each.
func (a admin) publishers(service string) (map[string]int, error) {
	return a.clients("publisher", service)
}

// subscribers returns the node's own connections that are pushed a service.
func (a admin) subscribers(service string) (map[string]int, error) {
	return a.clients("subscriber", service)
}

func (a admin) clients(kind, service string) (map[string]int, error) {
	var clients []struct{ ClientID string }
	err := a.get("/nacos/v3/admin/ns/client/service/"+kind+"/list", url.Values{
		"serviceName": {service}, "groupName": {registry.DefaultGroup}, "namespaceId": {registry.DefaultNamespace},
	}, &clients)
	count := map[string]int{}
	for _, c := range clients {
		count[c.ClientID]++
	}
	return count, err
}

// connection is what a node says of one of its own.
type connection struct {
	MetaInfo struct{ Labels map[string]string }
}

// connections returns the node's own, by ID.
func (a admin) connections() (map[string]connection, error) {
	var all map[string]connection
	err := a.get("/nacos/v3/admin/core/loader/current", nil, &all)
	return all, err
}

// connected reports whether the node holds a connection that has a label.
func (a admin) connected(label, value string) (bool, error) {
	all, err := a.connections()
	for _, c := range all {
		if c.MetaInfo.Labels[label] == value {
			return true, nil
		}
	}
	return false, err
}

// publish sends a service's document to the node, as the console does, and again
// while it is refused: for some seconds after the node that led was killed, no
// other leads.
func (a admin) publish(service, text string) {
	a.t.Helper()
	form := url.Values{"dataId": {config.ServiceDocID(service)}, "groupName": {config.DefaultGroup}, "type": {"yaml"}, "content": {text}}
	took := a.await("publish", func() error { return a.do(http.MethodPost, "/nacos/v3/admin/cs/config", form, nil) })
	if took > time.Second {
		figure(a.t, "a publish was accepted after %s", rounded(took))
	}
}

// await waits until what the node says is as wanted, and returns how long that
// took.
func (a admin) await(what string, wanted func() error) time.Duration {
	a.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		err := wanted()
		if err == nil {
			return time.Since(began)
		}
		require.Less(a.t, time.Since(began), patience, "node %s: %s: %v", a.node.Addr(), what, err)
	}
}

func (a admin) get(path string, query url.Values, out any) error {
	return a.do(http.MethodGet, path, query, out)
}

// do makes a request and reads the answer's data into out.
func (a admin) do(method, path string, form url.Values, out any) error {
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	to, body := "http://"+a.node.Addr()+path, form.Encode()
	if method == http.MethodGet {
		to, body = to+"?"+body, ""
	}
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Code int
		Data json.RawMessage
	}
	if err := json.Unmarshal(text, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Code != 0 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Data, out)
}
