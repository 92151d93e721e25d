package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/graylane/graylane"
	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/integration/internal/fleet"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
	"github.com/graylane/graylane/lane"
	"github.com/graylane/graylane/resolver"
)

// byHeader lets every request name its version.
const byHeader = `gray: v1
default: v1
rules:
- {name: asked-for, by: header.x-gray-version}
`

// traffic is a service's providers, its consumer, and what the judge needs.
type traffic struct {
	t        *testing.T
	servers  []string
	service  string
	recorder *judge.Recorder
	ids      atomic.Int64 // of requests

	http  *http.Client
	say   hello.HelloClient
	views map[string]*resolver.View // by protocol

	mu        sync.Mutex // guards what follows
	facts     judge.Facts
	protocols map[string]string // by address
	told      map[string]int64  // by address: when it was told to end, until a list shows that
	shown     []time.Duration   // how long that took
}

// updated is the hook that notes whose end a list shows.
func (f *traffic) updated(v *resolver.View, st *resolver.State) {
	now := f.recorder.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for addr, at := range f.told {
		if f.protocols[addr] == v.Protocol() && !lists(st, addr) {
			f.shown = append(f.shown, time.Duration(now-at))
			delete(f.told, addr)
		}
	}
}

func lists(st *resolver.State, addr string) bool {
	for _, in := range st.Snapshot.All() {
		if in.Addr == addr {
			return true
		}
	}
	return false
}

// listWithin is how old a list may be if nodes do not tell of a change: it is read again
// every 10 s, give or take 2. Of some 175 restarts in place, 3 were told of by the end of
// the process alone, which serves on for 10 s.
const listWithin = 13 * time.Second

// newTraffic starts a consumer of the service that knows all servers, until the
// end of the test.
func newTraffic(t *testing.T, servers []string, service string) *traffic {
	t.Helper()
	f := &traffic{
		t: t, servers: servers, service: service,
		recorder: judge.NewRecorder(1_000_000), views: map[string]*resolver.View{},
		facts:     judge.Facts{RulesWithin: 5 * time.Second, ListWithin: listWithin},
		protocols: map[string]string{}, told: map[string]int64{},
	}
	client, err := graylane.Open(t.Context(), graylane.WithServers(servers...),
		graylane.WithHooks(f.recorder.Hooks()),
		graylane.WithHooks(resolver.Hooks{OnUpdate: f.updated}))
	require.NoError(t, err)
	r := client.Resolver()
	f.http = httpx.NewClient(r)
	conn, err := grpcx.NewClient(r, service, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	f.say = hello.NewHelloClient(conn)
	conn.Connect()
	for _, protocol := range fleet.Protocols() {
		f.views[protocol], err = r.View(r.Service(service), protocol)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		f.http.CloseIdleConnections()
		assert.NoError(t, conn.Close())
		assert.NoError(t, client.Close())
	})
	return f
}

// provide starts a provider; nil addrs: anywhere.
func (f *traffic) provide(version string, addrs map[string]string) *fleet.Process {
	f.t.Helper()
	from := f.recorder.Now()
	p := fleet.Start(f.t, fleet.Provider{Servers: f.servers, Service: f.service, Version: version, Addrs: addrs})
	f.mu.Lock()
	defer f.mu.Unlock()
	for protocol, addr := range p.Addrs {
		f.protocols[addr] = protocol
		f.facts.Instances = append(f.facts.Instances, judge.Instance{Service: f.service, Addr: addr, Version: version, From: from})
	}
	return p
}

// terminate asks a provider to end, and tells the judge.
func (f *traffic) terminate(p *fleet.Process) {
	f.t.Helper()
	now := f.recorder.Now()
	f.mu.Lock()
	for _, addr := range p.Addrs {
		f.told[addr] = now
		for i := range f.facts.Instances {
			if in := &f.facts.Instances[i]; in.Addr == addr && in.Until == 0 {
				in.Until = now
			}
		}
	}
	f.mu.Unlock()
	require.NoError(f.t, p.Terminate())
}

// publish sends the service's document to a node, and waits until the consumer
// follows it.
func (f *traffic) publish(a admin, text string) {
	f.t.Helper()
	p := judge.Publication{Service: f.service, Text: text, Sent: f.recorder.Now()}
	a.publish(f.service, text)
	p.Answered = f.recorder.Now()
	f.mu.Lock()
	f.facts.Publications = append(f.facts.Publications, p)
	f.mu.Unlock()
	f.await("the document", func(st *resolver.State) bool { return st.Revision() == p.Revision() })
}

// sees waits until the consumer knows n instances of each protocol.
func (f *traffic) sees(n int) {
	f.t.Helper()
	f.await(fmt.Sprint(n, " instances"), func(st *resolver.State) bool { return st.Snapshot.Len() == n })
}

func (f *traffic) await(what string, wanted func(*resolver.State) bool) {
	f.t.Helper()
	for protocol, view := range f.views {
		ctx, reached := context.WithCancel(within(f.t))
		err := view.Watch(ctx, func(st *resolver.State) {
			if wanted(st) {
				reached()
			}
		})
		require.ErrorIs(f.t, err, context.Canceled, "%s: waiting for %s", protocol, what)
	}
}

// flow makes rate requests a second over each protocol, every other one of which
// asks for v2, until stop is called, which waits for the last answers.
func (f *traffic) flow(rate int) (stop func()) {
	const workers = 4
	ctx, cancel := context.WithCancel(f.t.Context())
	var all sync.WaitGroup
	for _, protocol := range fleet.Protocols() {
		for range workers {
			all.Go(func() {
				tick := time.NewTicker(workers * time.Second / time.Duration(rate))
				defer tick.Stop()
				for i := 0; ; i++ {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						f.ask(context.WithoutCancel(ctx), protocol, []string{"", "v2"}[i%2])
					}
				}
			})
		}
	}
	return func() { cancel(); all.Wait() }
}

// passes waits for so many more requests.
func (f *traffic) passes(n int64) {
	f.t.Helper()
	until := f.ids.Load() + n
	require.Eventually(f.t, func() bool { return f.ids.Load() >= until }, patience, 10*time.Millisecond)
}

// ask makes one request, recorded.
func (f *traffic) ask(ctx context.Context, protocol, version string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := judge.Request{
		ID: fmt.Sprint(protocol, "-", f.ids.Add(1)), Protocol: protocol, Service: f.service,
		Method: http.MethodGet, Path: "/hello", Headers: map[string]string{},
	}
	if version != "" {
		r.Headers[lane.HeaderVersion] = version
	}
	call := f.get
	if protocol == "grpc" {
		r.Method, r.Path, call = http.MethodPost, hello.Hello_Say_FullMethodName, f.call
	}
	ctx, answered := f.recorder.Begin(ctx, r)
	answered(call(ctx, r))
}

func (f *traffic) get(ctx context.Context, r judge.Request) (version string, err error) {
	return fleet.Get(ctx, f.http, r)
}

func (f *traffic) call(ctx context.Context, r judge.Request) (version string, err error) {
	reply, err := f.say.Say(metadata.NewOutgoingContext(ctx, metadata.New(r.Headers)), &hello.HelloRequest{})
	return reply.GetVersion(), err
}

// flawless lets the judge look at every request so far, prints its sum, and
// forgets them. Nothing may flow meanwhile.
func (f *traffic) flawless(what string) {
	f.t.Helper()
	log, err := f.recorder.Log()
	require.NoError(f.t, err)
	f.recorder.Forget()
	f.mu.Lock()
	defer f.mu.Unlock()
	report, err := judge.Judge(f.facts, log)
	require.NoError(f.t, err)
	failures := f.failures(log)
	figure(f.t, "%s: %d requests, %d failed, %d misrouted, %d by an old list; answers by version %v",
		what, report.Requests, report.Failed, report.Misrouted, report.Late, report.Versions)
	assert.Zero(f.t, report.Failed, "failed: %s", strings.Join(failures[:min(len(failures), 10)], "\n"))
	assert.Zero(f.t, report.Misrouted, "misrouted: %s", strings.Join(report.Convictions(5), "\n"))
	assert.Zero(f.t, report.Late, "attempts under rules or lists that were too old: %s", strings.Join(f.late(report), "\n"))
	assert.Positive(f.t, report.Versions["v1"])
	assert.Positive(f.t, report.Versions["v2"])
}

// failures says of each request that failed when it began, as seen from the end
// of the instance that it was sent to. The caller holds mu.
func (f *traffic) failures(log []judge.Attempt) []string {
	var out []string
	for i := range log {
		if a := &log[i]; a.Last && a.Error != "" {
			out = append(out, f.tell(a)+": "+a.Error)
		}
	}
	return out
}

// late says the same of the first and the last attempts that came too late.
func (f *traffic) late(report *judge.Report) []string {
	var out []string
	for i := range report.Verdicts {
		if v := &report.Verdicts[i]; v.Late {
			out = append(out, f.tell(&v.Attempt)+", rules "+v.Attempt.Rules)
		}
	}
	return slices.Concat(out[:min(len(out), 5)], out[max(len(out)-5, 0):])
}

func (f *traffic) tell(a *judge.Attempt) string {
	when := ""
	for _, in := range f.facts.Instances {
		if in.Addr == a.Addr && in.Until != 0 && in.Until <= a.Begin {
			when = fmt.Sprintf(", %s after it was told to end", rounded(time.Duration(a.Begin-in.Until)))
		}
	}
	return fmt.Sprintf("%s at %s by list %d%s", a.ID, a.Addr, a.List, when)
}
