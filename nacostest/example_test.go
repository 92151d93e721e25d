package nacostest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/graylane/graylane/nacostest"
)

// logInto returns the status and the answer of a login.
func logInto(srv *nacostest.Server) (int, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://"+srv.Addr()+"/nacos/v3/auth/user/login?username=nacos&password=secret", http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// The login is down for the first request.
func ExampleServer_Intercept() {
	srv := nacostest.Run(t{}, nacostest.WithAuth("nacos", "secret"))
	defer srv.Close()
	var logins atomic.Int32
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "POST /nacos/v3/auth/user/login" && logins.Add(1) == 1 {
			return nacostest.Fail(http.StatusServiceUnavailable, "login is down")
		}
		return nacostest.Pass()
	})
	for range 2 {
		status, _, err := logInto(srv)
		fmt.Println(status, err)
	}
	// Output:
	// 503 <nil>
	// 200 <nil>
}

func ExampleRewrite() {
	srv := nacostest.Run(t{}, nacostest.WithAuth("nacos", "secret"))
	defer srv.Close()
	srv.Intercept(func(nacostest.Request) nacostest.Action {
		return nacostest.Rewrite(func(json.RawMessage) json.RawMessage {
			return json.RawMessage(`{"accessToken":[],"tokenTtl":-1}`)
		})
	})
	fmt.Println(logInto(srv))
	// Output: 200 {"accessToken":[],"tokenTtl":-1} <nil>
}

// A node that has just started and whose clock is behind: its lists are short,
// and a client that goes by clocks believes none of them.
func ExampleAction_And() {
	srv := nacostest.Run(t{})
	defer srv.Close()
	started := nacostest.KeepHosts(1).And(nacostest.Clock(time.Now().Add(-time.Minute)))
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		switch r.Type {
		case "NotifySubscriberRequest", "SubscribeServiceRequest", "ServiceQueryRequest":
			return started
		default:
			return nacostest.Pass()
		}
	})
}
