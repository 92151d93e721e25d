package promx_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
	"github.com/graylane/graylane/telemetry/promx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// documents is a config.Source in memory.
type documents struct {
	mu      sync.Mutex
	docs    map[string]config.Doc
	changed chan struct{} // closed, and replaced, with each change
}

func newDocuments() *documents {
	return &documents{docs: map[string]config.Doc{}, changed: make(chan struct{})}
}

func (d *documents) put(id string, doc config.Doc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.docs[id] = doc
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *documents) Watch(ctx context.Context, dataID string, fn func(config.Doc)) error {
	for last, first := (config.Doc{}), true; ; first = false {
		d.mu.Lock()
		doc, changed := d.docs[dataID], d.changed
		d.mu.Unlock()
		if first || doc.MD5 != last.MD5 {
			last = doc
			fn(doc)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// world is a registry, a source of documents, and a resolver over both that is counted.
type world struct {
	*memory.Registry
	*documents
	metrics  *promx.Metrics
	resolver *resolver.Resolver
	gatherer *prometheus.Registry
	updated  sync.Map // the services whose first update was counted
}

func newWorld(tb testing.TB, opts ...promx.Option) *world {
	tb.Helper()
	w := &world{
		Registry: memory.New(), documents: newDocuments(),
		metrics: promx.New(opts...), gatherer: prometheus.NewPedanticRegistry(),
	}
	require.NoError(tb, w.gatherer.Register(w.metrics))
	var err error
	w.resolver, err = resolver.New(w.Registry, w.documents, resolver.WithHooks(w.metrics.Hooks()), resolver.WithSlowStart(0),
		resolver.WithHooks(resolver.Hooks{
			OnUpdate: func(v *resolver.View, _ *resolver.State) { w.updated.Store(v.Service(), true) },
		}))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, w.resolver.Close()) })
	return w
}

// rules puts a document, and waits until the view has it.
func (w *world) rules(tb testing.TB, v *resolver.View, text string) {
	tb.Helper()
	doc := config.NewDoc([]byte(text))
	w.put(config.ServiceDocID(v.Service().Name), doc)
	require.NoError(tb, waitFor(tb.Context(), v, func(s *resolver.State) bool { return s.Revision() == doc.MD5 }))
}

// waitFor waits until a view's state is as it should be.
func waitFor(ctx context.Context, v *resolver.View, is func(*resolver.State) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ok := false
	err := v.Watch(ctx, func(s *resolver.State) {
		if ok = ok || is(s); ok {
			cancel()
		}
	})
	if ok {
		return nil
	}
	return err
}

// open opens a view of a service that has instances of these versions.
func (w *world) open(tb testing.TB, service, protocol string, versions ...string) *resolver.View {
	tb.Helper()
	s := w.resolver.Service(service)
	w.Set(s, instances(versions...)...)
	v, err := w.resolver.View(s, protocol)
	require.NoError(tb, err)
	require.NoError(tb, v.Ready(tb.Context()))
	for updated := false; !updated; runtime.Gosched() { // a state is in force before its hooks are called
		_, updated = w.updated.Load(v.Service())
	}
	return v
}

// instances returns one instance of each version.
func instances(versions ...string) []registry.Instance {
	list := make([]registry.Instance, len(versions))
	for i, version := range versions {
		list[i] = registry.NewInstance(addr(i))
		list[i].Metadata = map[string]string{registry.KeyVersion: version}
	}
	return list
}

func addr(i int) string { return fmt.Sprintf("10.0.%d.%d:80", i/250, i%250) }

// series returns the series of a metric, by the values of their labels in the labels'
// alphabetical order. Of a histogram it counts the observations.
func (w *world) series(tb testing.TB, metric string) map[string]float64 {
	tb.Helper()
	families, err := w.gatherer.Gather()
	require.NoError(tb, err)
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			out[strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

// some returns those that are not 0.
func some(series map[string]float64) map[string]float64 {
	maps.DeleteFunc(series, func(_ string, v float64) bool { return v == 0 })
	return series
}

// request asks with headers, as a user.
type request struct {
	header map[string]string
	user   string
	lane   string
}

func (r request) Header(name config.HeaderName) (string, bool) {
	v, ok := r.header[name.Lower]
	return v, ok
}
func (request) Cookie(string) (string, bool) { return "", false }
func (request) Query(string) (string, bool)  { return "", false }
func (request) Path() string                 { return "/" }
func (request) Method() string               { return "GET" }
func (r request) User() string               { return r.user }
func (r request) Lane() string               { return r.lane }

func asking(version string) request {
	return request{header: map[string]string{lane.HeaderVersion: version}}
}

// send makes one request with one attempt, which ends as o says.
func send(tb testing.TB, v *resolver.View, r request, o resolver.Outcome) error {
	tb.Helper()
	c, err := v.Pick(tb.Context(), r, nil)
	if err == nil {
		c.Done(tb.Context(), o)
	}
	return err
}
