package nacostest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// client speaks the protocol with nothing in between.
type client struct {
	t      testing.TB
	cc     *grpc.ClientConn
	stream auto.BiRequestStream_RequestBiStreamClient
	pushes chan message
	ended  chan error
}

type message struct {
	Type string
	Body map[string]any
}

func payload(typ, body string) *auto.Payload {
	return &auto.Payload{Metadata: &auto.Metadata{Type: typ}, Body: &anypb.Any{Value: []byte(body)}}
}

func decode(tb testing.TB, p *auto.Payload) message {
	tb.Helper()
	m := message{Type: p.GetMetadata().GetType()}
	require.NoError(tb, json.Unmarshal(p.GetBody().GetValue(), &m.Body))
	return m
}

// dial connects, but does not set up.
func dial(tb testing.TB, grpcAddr string) *client {
	tb.Helper()
	cc, err := grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	require.NoError(tb, err)
	c := &client{t: tb, cc: cc, pushes: make(chan message, 1000), ended: make(chan error, 1)}
	tb.Cleanup(c.close)
	return c
}

// connect sets up a connection whose pushes are acknowledged.
func connect(t *testing.T, grpcAddr, module string) *client {
	t.Helper()
	c := dial(t, grpcAddr)
	c.setup(`{"clientVersion":"test","labels":{"module":"` + module + `"},"abilityTable":{}}`)
	require.Equal(t, "SetupAckRequest", c.await().Type)
	return c
}

func (c *client) setup(body string) {
	c.t.Helper()
	stream, err := auto.NewBiRequestStreamClient(c.cc).RequestBiStream(context.Background())
	require.NoError(c.t, err)
	require.NoError(c.t, stream.Send(payload("ConnectionSetupRequest", body)))
	c.stream = stream
	go func() {
		for {
			p, err := stream.Recv()
			if err != nil {
				c.ended <- err
				return
			}
			m := message{Type: p.GetMetadata().GetType()}
			if json.Unmarshal(p.GetBody().GetValue(), &m.Body) != nil {
				m.Type = "unreadable"
			}
			if id, ok := m.Body["requestId"].(string); ok {
				ack, _ := json.Marshal(map[string]any{"requestId": id, "resultCode": 200, "success": true})
				_ = stream.Send(payload(strings.Replace(m.Type, "Request", "Response", 1), string(ack)))
			}
			c.pushes <- m
		}
	}()
}

func (c *client) close() {
	if c.cc == nil {
		return
	}
	_ = c.cc.Close()
	c.cc = nil
	if c.stream != nil {
		c.t.Log("stream of the client ended:", <-c.ended)
	}
}

// pushesClosed returns a channel that has the error with which the stream ended.
func (c *client) pushesClosed() <-chan error {
	c.stream = nil // close need not wait for it
	return c.ended
}

func (c *client) try(ctx context.Context, typ, body string) (*auto.Payload, error) {
	return auto.NewRequestClient(c.cc).Request(ctx, payload(typ, body))
}

func (c *client) call(typ, body string) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	p, err := c.try(ctx, typ, body)
	require.NoError(c.t, err, "%s %s", typ, body)
	return decode(c.t, p)
}

// await returns the next push.
func (c *client) await() message {
	c.t.Helper()
	select {
	case m := <-c.pushes:
		return m
	case <-time.After(patience):
		require.FailNow(c.t, "no push came")
		return message{}
	}
}

// hosts returns the next pushed list as "ip:port metadata".
func (c *client) hosts() []string {
	c.t.Helper()
	m := c.await()
	require.Equal(c.t, "NotifySubscriberRequest", m.Type)
	return hostsOf(c.t, m)
}

func hostsOf(tb testing.TB, m message) []string {
	tb.Helper()
	b, err := json.Marshal(m.Body["serviceInfo"])
	require.NoError(tb, err)
	var info struct {
		Hosts []struct {
			IP       string            `json:"ip"`
			Metadata map[string]string `json:"metadata"`
		} `json:"hosts"`
	}
	require.NoError(tb, json.Unmarshal(b, &info))
	list := []string{}
	for _, h := range info.Hosts {
		list = append(list, h.IP+" "+h.Metadata["version"])
	}
	return list
}

const (
	svcBody       = `"namespace":"public","groupName":"DEFAULT_GROUP","serviceName":"user"`
	subscribeBody = `{` + svcBody + `,"subscribe":true,"clusters":""}`
	queryBody     = `{` + svcBody + `}`
)

func registerBody(instance string) string {
	return `{` + svcBody + `,"type":"registerInstance","instance":` + instance + `}`
}

func (c *client) register(ip, version string) {
	c.t.Helper()
	m := c.call("InstanceRequest", registerBody(`{"ip":"`+ip+`","port":80,"metadata":{"version":"`+version+`"}}`))
	require.Equal(c.t, "InstanceResponse", m.Type)
	require.Equal(c.t, true, m.Body["success"])
}

// curl sends a form and returns status and body.
func curl(t *testing.T, method, addr, path, form string, header ...string) (int, string) {
	t.Helper()
	var body io.Reader
	target := "http://" + addr + path
	if method == http.MethodPost || method == http.MethodPut {
		body = strings.NewReader(form)
	} else if form != "" {
		target += "?" + form
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}
