package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/graylane/graylane/config"
	confignacos "github.com/graylane/graylane/config/nacos"
	"github.com/graylane/graylane/integration/nacos"
	"github.com/graylane/graylane/internal/judge"
)

// providerProcess is a provider that runs, or did.
type providerProcess struct {
	*process
	providerRole

	line *Line // to Nacos; nil: none
	gone bool
}

// provide starts the i-th provider; nil addrs: anywhere. It replaces the one that
// has been the i-th.
func (r *run) provide(ctx context.Context, i int, version string, addrs map[string]string) error {
	role := providerRole{
		Servers: r.Nacos.Addrs(), Service: r.service, Version: version, Name: fmt.Sprintf("%s-%d", version, i+1),
		Addrs: addrs, Sends: filepath.Join(r.dir, fmt.Sprintf("sends-%d", i)),
	}
	p := &providerProcess{}
	if r.ProviderLines {
		line, err := NewLine(ctx, role.Servers)
		if err != nil {
			return err
		}
		r.lines = append(r.lines, line)
		role.Servers, p.line = line.Addrs, line
	}
	from := r.now()
	proc, err := spawn(ctx, role.role())
	if err != nil {
		return err
	}
	p.process = proc
	if err := p.hear(ctx, &role.Addrs); err != nil {
		return errors.Join(fmt.Errorf("provider %s: %w", role.Name, err))
	}
	p.providerRole = role
	for len(r.providers) <= i {
		r.providers = append(r.providers, nil)
	}
	r.providers[i] = p
	for protocol, service := range map[string]string{"http": httpService(r.service), "grpc": grpcService(r.service)} {
		r.facts.Instances = append(r.facts.Instances,
			judge.Instance{Service: service, Addr: role.Addrs[protocol], Version: version, From: from})
	}
	return nil
}

func (r *providerRole) role() role { return role{Provider: r} }

// ends notes that a provider is about to end.
func (r *run) ends(p *providerProcess) {
	p.gone = true
	for i := range r.facts.Instances {
		in := &r.facts.Instances[i]
		if in.Until == 0 && (in.Addr == p.Addrs["http"] || in.Addr == p.Addrs["grpc"]) {
			in.Until = r.now()
		}
	}
}

// killProvider is kill -9.
func (r *run) killProvider(i int) {
	r.ends(r.providers[i])
	r.providers[i].kill()
}

// terminate asks a provider to end, as an orchestrator does, and waits for that.
func (r *run) terminate(i int) error {
	p := r.providers[i]
	r.ends(p)
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.wait(patience); err != nil {
		return fmt.Errorf("provider %s: %w", p.Name, err)
	}
	return nil
}

// behave makes a provider fail, hang, or be slow.
func (p *providerProcess) behave(ctx context.Context, b behaviour) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Addrs["control"], bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// sent returns how often each request of the run arrived anywhere.
func (r *run) sent() (map[string]int, error) {
	sends := map[string]int{}
	for i := range r.providers {
		text, err := os.ReadFile(filepath.Join(r.dir, fmt.Sprintf("sends-%d", i)))
		if err != nil {
			return nil, err
		}
		for id := range strings.Lines(string(text)) {
			sends[strings.TrimSuffix(id, "\n")]++
		}
	}
	return sends, nil
}

// publish puts the document of both services into Nacos. Refused: it is bad, and
// no client may follow it.
func (r *run) publish(ctx context.Context, text string, refused bool) error {
	if r.publisher == nil {
		c, err := confignacos.New(confignacos.Config{Servers: r.Nacos.Addrs()}, confignacos.WithGroup(config.DefaultGroup))
		if err != nil {
			return err
		}
		r.publisher = c
	}
	for _, service := range []string{httpService(r.service), grpcService(r.service)} {
		p := judge.Publication{Service: service, Text: text, Sent: r.now(), Refused: refused}
		err := r.await(ctx, "the document to be stored", func() error {
			return r.publisher.Publish(ctx, "gray."+service+".yaml", []byte(text), "")
		})
		if err != nil {
			return err
		}
		p.Answered = r.now()
		r.facts.Publications = append(r.facts.Publications, p)
	}
	return nil
}

// listed waits until each of the nodes lists n instances of each service.
func (r *run) listed(ctx context.Context, nodes []*nacos.Node, n int) error {
	return r.await(ctx, fmt.Sprintf("%d registrations on %d nodes", n, len(nodes)), func() error {
		return list(ctx, nodes, r.service, n)
	})
}

// list fails unless each of the nodes lists n instances of each service.
func list(ctx context.Context, nodes []*nacos.Node, base string, n int) error {
	for _, node := range nodes {
		if err := lists(ctx, node, base, n); err != nil {
			return err
		}
	}
	return nil
}

// alive returns how many providers run.
func (r *run) alive() int {
	n := 0
	for _, p := range r.providers {
		if !p.gone {
			n++
		}
	}
	return n
}

// lists fails unless the node lists n instances of each of the services.
func lists(ctx context.Context, node *nacos.Node, base string, n int) error {
	for _, service := range []string{httpService(base), grpcService(base)} {
		var answer struct{ Data []json.RawMessage }
		err := get(ctx, "http://"+node.Addr()+"/nacos/v3/client/ns/instance/list?"+url.Values{"serviceName": {service}}.Encode(), &answer)
		if err != nil {
			return err
		}
		if len(answer.Data) != n {
			return fmt.Errorf("%s lists %d instances of %s", node.Addr(), len(answer.Data), service)
		}
	}
	return nil
}

// watch lets the fault last, from its beginning on.
func (r *run) watch(ctx context.Context) error { return pause(ctx, r.Watch-r.sinceInjected()) }

// settle lets the load go on after the last event.
func (r *run) settle(ctx context.Context) error { return pause(ctx, 2*time.Second) }
