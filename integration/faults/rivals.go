package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/bufbuild/httplb"
	"github.com/bufbuild/httplb/health"
	hresolver "github.com/bufbuild/httplb/resolver"
	"github.com/nacos-group/nacos-sdk-go/v2/clients"               //nolint:depguard // the SDK is what rivals find their instances by
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client" //nolint:depguard // as above
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	gresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/stats"
	_ "google.golang.org/grpc/xds" // outlier_detection_experimental

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/internal/hello"
	"github.com/graylane/graylane/internal/judge"
)

// The rivals find instances by the SDK's subscription, all in the same way. They
// know no versions: each takes all instances for equal.

// naming returns a client of the SDK, with the settings of its documentation.
func (c *consumer) naming() (naming_client.INamingClient, error) {
	p := vo.NacosClientParam{ClientConfig: constant.NewClientConfig(constant.WithLogDir(c.Dir+"/log"),
		constant.WithCacheDir(c.Dir+"/cache"), constant.WithNotLoadCacheAtStart(true), constant.WithLogLevel("error"))}
	for _, addr := range c.Servers {
		host, text, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, err
		}
		p.ServerConfigs = append(p.ServerConfigs, *constant.NewServerConfig(host, port))
	}
	return clients.NewNamingClient(p)
}

// subscribe calls fn with the addresses of the instances that may be used, at
// first and after each change.
func (c *consumer) subscribe(fn func(addrs []string)) (naming_client.INamingClient, error) {
	sdk, err := c.naming()
	if err != nil {
		return nil, err
	}
	return sdk, sdk.Subscribe(&vo.SubscribeParam{ServiceName: c.service(), SubscribeCallback: func(list []model.Instance, err error) {
		if err != nil {
			return
		}
		addrs := make([]string, 0, len(list))
		for _, in := range list {
			if in.Healthy && in.Enable && in.Weight > 0 {
				addrs = append(addrs, joinPort(in.Ip, int(in.Port))) //nolint:gosec // a port
			}
		}
		fn(addrs)
	}})
}

// retryPolicy says that calls may be sent again, as a GET may, and that no more than
// about every tenth is: what our clients do by default.
const retryPolicy = `"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
	"retryableStatusCodes": ["UNAVAILABLE"]}}],
	"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}`

// outlierPolicy ejects whoever fails half of its requests, as the gRFC (A50) has
// it, but each second, and of few instances and requests.
const outlierPolicy = `[{"outlier_detection_experimental": {
	"interval": "1s", "baseEjectionTime": "10s", "maxEjectionTime": "60s", "maxEjectionPercent": 50,
	"failurePercentageEjection": {"threshold": 50, "enforcementPercentage": 100, "minimumHosts": 2, "requestVolume": 10},
	"childPolicy": [{"round_robin": {}}]}}]`

func (c *consumer) connectGRPC() (client, error) {
	policy := `[{"round_robin": {}}]`
	if c.Client == GRPCOutlier {
		policy = outlierPolicy
	}
	conn, err := grpc.NewClient("sdk:///"+c.service(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithResolvers(&builder{c}),
		grpc.WithStatsHandler(attempts{}),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": `+policy+`, `+retryPolicy+`}`))
	if err != nil {
		return nil, err
	}
	return &grpcClient{say: hello.NewHelloClient(conn), end: func() { _ = conn.Close() }}, nil
}

// builder is gRPC's resolver over the subscription.
type builder struct{ *consumer }

func (*builder) Scheme() string { return "sdk" }

func (b *builder) Build(_ gresolver.Target, cc gresolver.ClientConn, _ gresolver.BuildOptions) (gresolver.Resolver, error) {
	_, err := b.subscribe(func(addrs []string) {
		var s gresolver.State
		for _, addr := range addrs {
			s.Endpoints = append(s.Endpoints, gresolver.Endpoint{Addresses: []gresolver.Address{{Addr: addr}}})
		}
		_ = cc.UpdateState(s) // bad ones are gRPC's to report
	})
	return b, err
}

func (*builder) ResolveNow(gresolver.ResolveNowOptions) {}
func (*builder) Close()                                 {}

// attempts notes each try of a call.
type attempts struct{}

func (attempts) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (attempts) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if end, ok := s.(*stats.End); ok {
		tried(ctx, end.BeginTime, end.EndTime, end.Error)
	}
}
func (attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (attempts) HandleConn(context.Context, stats.ConnStats)                       {}

// connectHTTPLB probes each second. The probe's timeout is longer than that, for
// in this version the probing ends after its first round if it is not.
func (c *consumer) connectHTTPLB() client {
	h := httplb.NewClient(httplb.WithResolver(subscription{c}), httplb.WithNoProxy(),
		httplb.WithHealthChecks(health.NewPollingChecker(
			health.PollingCheckerConfig{PollingInterval: time.Second, Timeout: 2 * time.Second},
			health.NewSimpleProber(httpx.HealthPath))))
	return &httpClient{do: h.Do, end: func() { _ = h.Close() }}
}

// subscription is httplb's resolver.
type subscription struct{ *consumer }

// New implements hresolver.Resolver.
func (s subscription) New(_ context.Context, _, _ string, r hresolver.Receiver, _ <-chan struct{}) io.Closer {
	_, err := s.subscribe(func(addrs []string) {
		out := make([]hresolver.Address, len(addrs))
		for i, addr := range addrs {
			out[i].HostPort = addr
		}
		r.OnResolve(out)
	})
	if err != nil {
		r.OnResolveError(err)
	}
	return io.NopCloser(nil)
}

// naive is what the SDK's documentation leads to: ask it for an instance, and call
// that with net/http; when it fails, ask once more.
type naive struct {
	sdk     naming_client.INamingClient
	service string
	http    *http.Client
}

func (c *consumer) connectNaive() (client, error) {
	sdk, err := c.subscribe(func([]string) {})
	if err != nil {
		return nil, err
	}
	return &naive{sdk: sdk, service: c.service(), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}}, nil
}

func (n *naive) call(ctx context.Context, r *judge.Request) (version string, err error) {
	tries := 2
	if r.Method != http.MethodGet {
		tries = 1
	}
	for range tries {
		start := time.Now()
		version, err = n.try(ctx, r)
		tried(ctx, start, time.Now(), err)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return version, err
}

func (n *naive) try(ctx context.Context, r *judge.Request) (version string, err error) {
	in, err := n.sdk.SelectOneHealthyInstance(vo.SelectOneHealthInstanceParam{ServiceName: n.service})
	if err != nil {
		return "", fmt.Errorf("the SDK: %w", err)
	}
	if in == nil {
		return "", errors.New("the SDK has no instance")
	}
	req, err := newRequest(ctx, r, joinPort(in.Ip, int(in.Port))) //nolint:gosec // a port
	if err != nil {
		return "", err
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return "", err
	}
	return read(resp)
}

func (*naive) close() {}
