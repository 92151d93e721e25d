package nacosconn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/graylane/graylane/nacostest"
)

const (
	password = "p&ü-pass word"
	token    = "eyJhbGciOi-token"
)

func assertNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{password, url.QueryEscape(password), token} {
		assert.NotContains(t, text, secret)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	cred := UserPassword("u", password)
	u := cred.(*userPassword)
	u.headers = hide(map[string]string{"accessToken": token})
	cfg := Config{Servers: []string{"127.0.0.1:1"}, Credentials: cred}
	s := open(t, cfg, ModuleNaming, Handler{})
	require.NoError(t, s.Close())
	for _, v := range []any{cred, cfg, &cfg, []Credentials{cred}, map[string]any{"c": cfg}, struct{ C *Config }{&cfg}, s} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			assertNoSecret(t, fmt.Sprintf(verb, v))
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		b, _ := json.Marshal(v)
		assertNoSecret(t, out.String()+string(b))
	}
}

func TestErrorsHideWhatAServerQuotes(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusFound, http.StatusOK} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			form, err := url.ParseQuery(string(body))
			assert.NoError(t, err)
			w.Header().Set("Location", "http://elsewhere.invalid/?"+form.Get("password"))
			w.WriteHeader(status)
			_, err = fmt.Fprintf(w, "%s %s", body, form.Get("password"))
			assert.NoError(t, err)
		}))
		_, err := UserPassword("u", password).Headers(t.Context(), Endpoint{Addr: strings.TrimPrefix(srv.URL, "http://")})
		srv.Close()
		require.ErrorContains(t, err, `login of user "u"`)
		assertNoSecret(t, err.Error())
	}

	p := &auto.Payload{Metadata: &auto.Metadata{Type: typeError}, Body: &anypb.Any{
		Value: []byte(`{"resultCode":500,"errorCode":403,"message":"token ` + token + ` invalid` + strings.Repeat("!", 10_000) + `"}`),
	}}
	err := censor(decode("s:1", "ServiceQueryRequest", p, &queryAnswer{}), map[string]string{"accessToken": token, "empty": ""})
	require.ErrorContains(t, err, "token *** invalid!")
	assertNoSecret(t, err.Error())
	assert.Less(t, len(err.Error()), 1000, "a server's words are cut")
}

// Requests quote nothing either: a real session is refused, logged out and in.
func TestErrorsOfASessionHideSecrets(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", password))
	var quoted atomic.Value
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "ServiceQueryRequest" {
			quoted.Store(r.Headers["accessToken"])
			return nacostest.Fail(500, "odd: "+r.Headers["accessToken"])
		}
		return nacostest.Pass()
	})
	s := open(t, Config{Servers: []string{srv.Addr()}, Credentials: UserPassword("u", password)}, ModuleNaming, Handler{})
	_, err := connected(t, s).Query(within(t, patience), "G", "s")
	require.ErrorContains(t, err, "odd: ***")
	require.NotEmpty(t, quoted.Load())
	assert.NotContains(t, err.Error(), quoted.Load())
}

func TestRevokedTokenBringsOneLoginForAll(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", password))
	var logins atomic.Int64
	var refused atomic.Bool
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if strings.HasPrefix(r.Type, "POST /nacos/v1/auth/") {
			logins.Add(1)
			if refused.Load() {
				return nacostest.Fail(403, "no")
			}
		}
		return nacostest.Pass()
	})
	s := open(t, Config{Servers: []string{srv.Addr()}, Credentials: UserPassword("u", password)}, ModuleNaming, Handler{})
	c := connected(t, s)
	all := func(check func(error)) {
		var asking sync.WaitGroup
		for range 100 {
			asking.Go(func() {
				_, err := c.Query(context.WithoutCancel(t.Context()), "G", "s")
				check(err)
			})
		}
		asking.Wait()
	}
	all(func(err error) { assert.NoError(t, err) })
	assert.EqualValues(t, 1, logins.Load())
	srv.RevokeTokens()
	all(func(err error) { assert.NoError(t, err, "the request is repeated with the new token") })
	assert.EqualValues(t, 2, logins.Load())

	// The password has changed.
	u := s.config.Credentials.(*userPassword)
	u.mu.Lock()
	u.refreshed = time.Now().Add(-refreshPause)
	u.mu.Unlock()
	refused.Store(true)
	srv.RevokeTokens()
	start := time.Now()
	for range 5 {
		all(func(err error) { assert.Error(t, err) })
	}
	assert.LessOrEqual(t, logins.Load()-2, 1+int64(time.Since(start)/refusalPause), "one login in a second, not 500")
	assert.GreaterOrEqual(t, logins.Load(), int64(3))
}

func TestUnreachableLoginIsNotRepeatedAtOnce(t *testing.T) {
	e := Endpoint{Addr: refusing(t).String()}
	c := UserPassword("u", password).(*userPassword)
	_, first := c.Headers(t.Context(), e)
	require.ErrorContains(t, first, "connection refused")
	_, second := c.Headers(t.Context(), e)
	assert.Same(t, first, second)
}

func TestCredentialsInPlainTextAreReportedOnceUnlessTheServerIsNear(t *testing.T) {
	var seen errorsOf
	srv := nacostest.Run(t)
	s := open(t, Config{Servers: []string{srv.Addr()}, Credentials: &counted{}}, ModuleNaming, Handler{OnError: seen.add})
	near := connected(t, s)
	require.NoError(t, s.Close()) // its goroutine is gone
	assert.True(t, near.Loopback())
	assert.Empty(t, seen.all())

	far := &Conn{server: server{host: "10.0.0.1", port: 8848}, remote: netip.MustParseAddr("10.0.0.1")}
	s.warn(far)
	s.warn(far)
	require.Len(t, seen.all(), 1)
	assert.Contains(t, seen.all()[0], "nacos 10.0.0.1:9848: the credentials travel in plain text; set TLS")
	s.warned, s.config.Credentials = false, nil
	s.warn(far)
	assert.Len(t, seen.all(), 1)
}
