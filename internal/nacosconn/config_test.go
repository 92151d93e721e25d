package nacosconn

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServersAreReadAsHostAndHTTPPort(t *testing.T) {
	for _, c := range []struct{ in, http, grpc string }{
		{"127.0.0.1:8848", "127.0.0.1:8848", "127.0.0.1:9848"},
		{"nacos.example.org", "nacos.example.org:8848", "nacos.example.org:9848"},
		{" nacos:80 ", "nacos:80", "nacos:1080"},
		{"[::1]:8848", "[::1]:8848", "[::1]:9848"},
	} {
		_, servers, err := Config{Servers: []string{c.in}}.checked()
		require.NoError(t, err, c.in)
		require.Len(t, servers, 1)
		assert.Equal(t, c.http, servers[0].http())
		assert.Equal(t, c.grpc, servers[0].grpc())
	}
}

func TestConfigIsRefusedWithEveryProblem(t *testing.T) {
	labels := map[string]string{"module": "x", "source": "x"}
	for i := range MaxLabels {
		labels[strconv.Itoa(i)] = ""
	}
	_, err := Open(Config{
		Servers:   []string{"http://nacos:8848", "nacos:0", "nacos:64536", "nacos:x", ":8848", "a:b:c", ""},
		Namespace: "a b",
		Labels:    labels,
	}, ModuleNaming, Handler{})
	for _, want := range []string{
		`"http://nacos:8848": want host:port, without a scheme`, `"nacos:0"`, `"nacos:64536"`, `"nacos:x"`,
		`":8848"`, `"a:b:c"`, `server ""`, `namespace "a b"`, "labels: want at most 32, have 34",
		`label "source" is taken`, `label "module" is taken`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = Open(Config{}, ModuleNaming, Handler{})
	require.ErrorContains(t, err, "want 1 to 64, have 0")
	_, err = Open(Config{Servers: strings.Split(strings.Repeat("a ", MaxServers+1), " ")}, ModuleNaming, Handler{})
	require.ErrorContains(t, err, "want 1 to 64, have 66")
}

func TestTenantOfThePublicNamespaceIsEmpty(t *testing.T) {
	for namespace, tenant := range map[string]string{"": "", "public": "", "dev": "dev"} {
		c := Config{Namespace: namespace}
		assert.Equal(t, ConfigKey{DataID: "d", Group: "g", Tenant: tenant}, c.Key("g", "d"))
	}
}
