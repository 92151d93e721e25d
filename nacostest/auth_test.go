package nacostest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	auto "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/nacostest"
)

const (
	loginOf2 = "/nacos/v1/auth/users/login"
	loginOf3 = "/nacos/v3/auth/user/login"
	listPath = "/nacos/v3/client/ns/instance/list"
)

// The words and the statuses are those of Nacos 3.1.0 with authentication.
const (
	noUser   = "Code: 401, Message: User not found! Please check user exist or password is right!."
	badToken = "Code: 401, Message: token invalid!."
)

// logIn returns a token.
func logIn(t *testing.T, srv *nacostest.Server, path string) string {
	t.Helper()
	status, text := curl(t, http.MethodPost, srv.Addr(), path, form("username", "u", "password", "p&ü"))
	require.Equal(t, http.StatusOK, status, text)
	var answer struct {
		AccessToken string `json:"accessToken"`
		TokenTTL    int    `json:"tokenTtl"`
		GlobalAdmin bool   `json:"globalAdmin"`
		Username    string `json:"username"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &answer))
	assert.Equal(t, 18000, answer.TokenTTL)
	assert.Equal(t, "u", answer.Username)
	assert.True(t, answer.GlobalAdmin)
	require.NotEmpty(t, answer.AccessToken)
	return answer.AccessToken
}

func (c *client) callWith(token, typ, body string) message {
	c.t.Helper()
	p := payload(typ, body)
	if token != "" {
		p.Metadata.Headers = map[string]string{"accessToken": token}
	}
	p, err := auto.NewRequestClient(c.cc).Request(c.t.Context(), p)
	require.NoError(c.t, err)
	return decode(c.t, p)
}

func TestRequestsWithoutATokenAreRefused(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", "p&ü"))
	c := connect(t, srv.GRPCAddr(), "naming")
	requests := map[string][2]string{ // answer and body
		"InstanceRequest":          {"InstanceResponse", registerBody(`{"ip":"10.0.0.1","port":80}`)},
		"BatchInstanceRequest":     {"BatchInstanceResponse", `{` + svcBody + `,"type":"batchRegisterInstance","instances":[]}`},
		"SubscribeServiceRequest":  {"SubscribeServiceResponse", subscribeBody},
		"ServiceQueryRequest":      {"QueryServiceResponse", queryBody},
		"ServiceListRequest":       {"ServiceListResponse", queryBody},
		"ConfigQueryRequest":       {"ConfigQueryResponse", `{"group":"G","dataId":"D"}`},
		"ConfigPublishRequest":     {"ConfigPublishResponse", `{"group":"G","dataId":"D","content":"x"}`},
		"ConfigRemoveRequest":      {"ConfigRemoveResponse", `{"group":"G","dataId":"D"}`},
		"ConfigBatchListenRequest": {"ConfigChangeBatchListenResponse", `{"configListenContexts":[{"group":"G","dataId":"D"}]}`},
	}
	for token, why := range map[string]string{"": noUser, "bad": badToken} {
		for typ, r := range requests {
			m := c.callWith(token, typ, r[1])
			assert.Equal(t, r[0], m.Type)
			assert.Equal(t, []any{500.0, 403.0, why, false},
				[]any{m.Body["resultCode"], m.Body["errorCode"], m.Body["message"], m.Body["success"]}, typ)
		}
	}
	assert.Empty(t, srv.Instances(user), "a refused registration took effect")
	assert.Equal(t, true, c.callWith("", "HealthCheckRequest", "{}").Body["success"], "health needs no token")
	token := logIn(t, srv, loginOf2)
	assert.Equal(t, true, c.callWith(token, "InstanceRequest", registerBody(`{"ip":"10.0.0.1","port":80}`)).Body["success"])
	assert.Len(t, srv.Instances(user), 1)

	srv.RevokeTokens()
	assert.Equal(t, badToken, c.callWith(token, "ServiceQueryRequest", queryBody).Body["message"])
}

func TestATokenOpensHTTPWhereverItStands(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", "p&ü"))
	token := logIn(t, srv, loginOf3)
	get := func(form string, header ...string) int {
		status, _ := curl(t, http.MethodGet, srv.Addr(), listPath, "serviceName=user&"+form, header...)
		return status
	}
	assert.Equal(t, http.StatusOK, get("accessToken="+token))
	assert.Equal(t, http.StatusOK, get("", "accessToken", token))
	assert.Equal(t, http.StatusOK, get("", "Authorization", "Bearer "+token))
	assert.Equal(t, http.StatusForbidden, get("accessToken=bad"))
	status, text := curl(t, http.MethodPost, srv.Addr(), "/nacos/v3/admin/cs/config", "dataId=d&groupName=g&content=c")
	assert.Equal(t, http.StatusForbidden, status)
	assert.Regexp(t, `^\{"timestamp":"[^"]+\+00:00","status":403,"error":"Forbidden","path":"/nacos/v3/admin/cs/config"\}`, text)
	status, _ = curl(t, http.MethodGet, srv.Addr(), "/nacos/v3/admin/core/state/readiness", "")
	assert.Equal(t, http.StatusOK, status, "readiness needs no token")
}

func TestALoginIsAnsweredWithTheStatusOfNacos(t *testing.T) {
	closed := nacostest.Run(t, nacostest.WithAuth("u", "p&ü"))
	open := nacostest.Run(t)
	for _, c := range []struct {
		name   string
		srv    *nacostest.Server
		path   string
		form   string
		status int
	}{
		{"wrong password", closed, loginOf2, form("username", "u", "password", "x"), http.StatusInternalServerError},
		{"wrong password", closed, loginOf3, form("username", "u", "password", "x"), http.StatusInternalServerError},
		{"unknown user", closed, loginOf2, form("username", "x", "password", "p&ü"), http.StatusInternalServerError},
		{"unknown user", closed, loginOf3, form("username", "x", "password", "p&ü"), http.StatusForbidden},
		{"password in the query, wrong", closed, loginOf3 + "?password=x", form("username", "u"), http.StatusInternalServerError},
		{"password in the query", closed, loginOf3 + "?" + form("password", "p&ü"), form("username", "u"), http.StatusOK},
		{"nobody", closed, loginOf3, "", http.StatusInternalServerError},
		{"no users", open, loginOf3, form("username", "u", "password", "p&ü"), http.StatusForbidden},
	} {
		status, text := curl(t, http.MethodPost, c.srv.Addr(), c.path, c.form)
		assert.Equal(t, c.status, status, "%s at %s", c.name, c.path)
		assert.Equal(t, c.status == http.StatusOK, strings.Contains(text, "accessToken"))
	}
}

func TestATokenExpires(t *testing.T) {
	t.Parallel() // seconds are the unit of it
	srv := nacostest.Run(t, nacostest.WithTokenTTL(2*time.Second+time.Millisecond), nacostest.WithAuth("u", "p&ü"))
	c := connect(t, srv.GRPCAddr(), "naming")
	started := time.Now()
	_, text := curl(t, http.MethodPost, srv.Addr(), loginOf3, form("username", "u", "password", "p&ü"))
	assert.Contains(t, text, `"tokenTtl":3`, "rounded up")
	var answer struct{ AccessToken string }
	require.NoError(t, json.Unmarshal([]byte(text), &answer))
	query := func() any { return c.callWith(answer.AccessToken, "ServiceQueryRequest", queryBody).Body["message"] }
	require.Nil(t, query())
	require.Eventually(t, func() bool { return query() == "Code: 401, Message: token expired!." }, patience, 10*time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(started), 2*time.Second)
	status, _ := curl(t, http.MethodGet, srv.Addr(), listPath, "serviceName=user&accessToken="+answer.AccessToken)
	assert.Equal(t, http.StatusForbidden, status)
}

// The interceptor makes the other faults of authentication.
func TestAuthenticationFails(t *testing.T) {
	srv := nacostest.Run(t, nacostest.WithAuth("u", "p&ü"))
	c := connect(t, srv.GRPCAddr(), "naming")
	token := logIn(t, srv, loginOf3)

	srv.Intercept(first("ServiceQueryRequest", nacostest.Refuse(403, badToken)))
	m := c.callWith(token, "ServiceQueryRequest", queryBody)
	assert.Equal(t, []any{"QueryServiceResponse", 403.0, badToken}, []any{m.Type, m.Body["errorCode"], m.Body["message"]}, "once")
	assert.Equal(t, true, c.callWith(token, "ServiceQueryRequest", queryBody).Body["success"])

	login := form("username", "u", "password", "p&ü")
	srv.Intercept(on("POST "+loginOf3, nacostest.Fail(503, "login is down")))
	status, text := curl(t, http.MethodPost, srv.Addr(), loginOf3, login)
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.NotContains(t, text, "accessToken")
	assert.Equal(t, true, c.callWith(token, "ServiceQueryRequest", queryBody).Body["success"], "the token is good still")

	srv.Intercept(on("POST "+loginOf3, nacostest.Rewrite(func(json.RawMessage) json.RawMessage {
		return json.RawMessage(`{"accessToken":"","tokenTtl":-1}`)
	})))
	status, text = curl(t, http.MethodPost, srv.Addr(), loginOf3, login)
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"accessToken":"","tokenTtl":-1}`, text)
}
