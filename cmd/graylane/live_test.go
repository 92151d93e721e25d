package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/nacostest"
	"github.com/graylane/graylane/registry"
)

// live starts a Nacos with a document and instances of the service order.
func live(t *testing.T, opts ...nacostest.Option) *nacostest.Server {
	t.Helper()
	srv := nacostest.Run(t, opts...)
	srv.Publish(config.DefaultGroup, "gray.order.yaml", `gray: v1
default: v1
targets:
  v1: {version: v1}
  v2: {version: v2}
  gone: {version: v3}
rules:
- {name: asked-for, by: header.x-gray-version}
`)
	srv.Register(registry.Service{Name: "order"}, nacostest.NewInstance("10.0.0.1", 80, map[string]string{"version": "v1"}))
	down := nacostest.NewInstance("10.0.0.2", 80, map[string]string{"version": "v2"})
	down.Healthy = false
	srv.Register(registry.Service{Name: "order"}, down)
	return srv
}

func TestExplainAsksForTheNameOfWhatNobodyKnows(t *testing.T) {
	r := graylane(t, `{"id":"a"}`, "explain", "--nacos", live(t).Addr(), "--service", "nosuch", "--requests", "-")
	assert.Equal(t, result{exitFailed, "", "graylane explain: nosuch has no instances and no rules: is that its name?\n"}, r)
}

func TestLintOfWhatIsLive(t *testing.T) {
	srv := live(t)
	const want = `gray.order.yaml:6:3: no-instance: warning: no instance is of the target "gone"
    gone: {version: v3}
    ^
`
	for _, args := range [][]string{
		{"lint", "--nacos", srv.Addr(), "gray.order.yaml"},
		{"lint", "order", "--nacos", srv.Addr()},
	} {
		r := graylane(t, "", args...)
		assert.Equal(t, result{exitOK, want, "graylane lint: 0 errors, 1 warning in 1 document\n"}, r)
	}

	t.Setenv("NACOS_ADDR", srv.Addr())
	srv.Publish(config.DefaultGroup, config.GlobalDocID, "gray: v1\nlanes: {a: {missing: never}}\n")
	r := graylane(t, "", "lint", "--live", "--json", "order", config.GlobalDocID)
	assert.Equal(t, exitFailed, r.code)
	assert.Empty(t, r.err)
	assert.Equal(t, 2, strings.Count(r.out, "\n"))
	assert.Contains(t, r.out, `{"file":"gray._global.yaml","line":2,"col":22,"code":"bad-value","severity":"error",`)

	// What a file says of the instances counts.
	instances := file(t, "instances.jsonl", `{"addr":"10.0.0.1:80","metadata":{"version":"v3"}}`)
	r = graylane(t, "", "lint", "--live", "--instances", instances, "order")
	assert.Contains(t, r.out, `the target "v1"`)
	assert.NotContains(t, r.out, `the target "gone"`)

	// A document that does not exist cannot be read. NACOS_ADDR alone asks nobody.
	r = graylane(t, "", "lint", "--live", "user")
	assert.Equal(t, result{exitUsage, "", "graylane lint: gray.user.yaml: there is no such document in the group GRAY, or an empty one\n" +
		""}, r)
	assert.Contains(t, graylane(t, "", "lint", "gray.order.yaml").err, "no such file")

	r = graylane(t, "", "lint", "--live", "--group", "OTHER", "--service-group", "g", "order")
	assert.Contains(t, r.err, "no such document in the group OTHER")
	srv.Publish("OTHER", "gray.order.yaml", "gray: v1\ndefault: v1\n")
	r = graylane(t, "", "lint", "--live", "--group", "OTHER", "--service-group", "g", "order")
	assert.Contains(t, r.out, `no instance is of the target "v1"`, "the instances are in another group")
	r = graylane(t, "", "lint", "--live", "--namespace", "dev", "order")
	assert.Contains(t, r.err, "no such document")
}

func TestExplainOfWhatIsLive(t *testing.T) {
	srv := live(t)
	args := []string{"explain", "--nacos", srv.Addr(), "--service", "order", "--requests", "-", "--json"}
	const requests = `{"id":"a","headers":{"x-gray-version":["v2"]}}
{"id":"b","lane":"l"}`
	r := graylane(t, requests, args...)
	assert.Equal(t, result{exitOK, `{"id":"a","via":"rule","rule":"asked-for","slot":-1,"target":"v2","fallback":"default","skipped":[],"candidates":["10.0.0.1:80"],"error":""}
{"id":"b","via":"default","rule":"","slot":-1,"target":"v1","fallback":"","skipped":[],"candidates":["10.0.0.1:80"],"error":""}
`, ""}, r)
	text := graylane(t, requests, args[:len(args)-1]...)
	assert.Contains(t, text.out, "service  order, 2 instances of Nacos\nrules    gray.order.yaml\nglobal   none\n")

	// A change is compared with what is live.
	next := file(t, "next.yaml", "{gray: v1, default: v1}")
	moved := graylane(t, requests, append(args, "--against", next)...)
	assert.Equal(t, exitOK, moved.code)
	assert.Contains(t, moved.out, `{"from":"v2 (fell back to default v1)","to":"v1","count":1,"requests":["a"]}`+"\n")

	// Files win over what is live.
	srv.Publish(config.DefaultGroup, config.GlobalDocID, "{gray: v1, lanes: {l: {match: {version: v1}}}}")
	assert.Contains(t, graylane(t, requests, args...).out, `"id":"b","via":"lane"`)
	global := file(t, "global", "gray: v1\n")
	instances := file(t, "instances", `{"addr":"10.0.0.9:80","metadata":{"version":"v1"}}`)
	r = graylane(t, requests, append(args, "--global", global, "--instances", instances, "--rules", next)...)
	assert.Equal(t, 2, strings.Count(r.out, `"via":"default","rule":"","slot":-1,"target":"v1","fallback":"","skipped":[],"candidates":["10.0.0.9:80"]`))

	// Without a document it is explained as without one; a refused one is refused.
	srv.Remove(config.DefaultGroup, "gray.order.yaml")
	assert.Contains(t, graylane(t, requests, args...).out, `"id":"a","via":"rule","rule":"","slot":-1,"target":"v2"`)
	srv.Publish(config.DefaultGroup, "gray.order.yaml", "gray: v1\n")
	r = graylane(t, requests, args...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "gray.order.yaml:1:1: missing-field: ")
}

func TestNacosThatCannotBeReachedIsOneLine(t *testing.T) {
	for _, args := range [][]string{
		{"lint", "order"},
		{"lint", "order", "user", "stock"},
		{"explain", "--service", "order", "--requests", "-"},
	} {
		began := time.Now()
		r := graylane(t, "", append(args, "--nacos", "127.0.0.1:1", "--timeout", "2s")...)
		assert.Equal(t, result{exitFailed, "", "graylane " + args[0] +
			": gray.order.yaml: nacos 127.0.0.1:1001: connection refused (gRPC port = HTTP port + 1000)\n"}, r)
		assert.Less(t, time.Since(began), 10*time.Second)
	}

	// One that does not answer at all, and one that does not answer everything.
	srv := live(t)
	srv.Intercept(func(nacostest.Request) nacostest.Action { return nacostest.Drop() })
	mute := graylane(t, "", "lint", "--nacos", srv.Addr(), "--timeout", "200ms", "order")
	assert.Equal(t, result{exitFailed, "", "graylane lint: gray.order.yaml: nacos: no server has answered yet\n"}, mute)
	srv.Intercept(func(r nacostest.Request) nacostest.Action {
		if r.Type == "SubscribeServiceRequest" {
			return nacostest.Drop()
		}
		return nacostest.Pass()
	})
	// Less than the 3 s after which the request itself fails, which has another text.
	r := graylane(t, "", "lint", "--nacos", srv.Addr(), "--timeout", "2.9s", "order")
	assert.Equal(t, result{exitFailed, "", "graylane lint: instances of order: no answer from Nacos within 2.9s\n"}, r)
}

func TestNacosThatAsksWhoWeAre(t *testing.T) {
	srv := live(t, nacostest.WithAuth("ops", "secret"))
	args := []string{"lint", "--nacos", srv.Addr(), "--timeout", "3s", "order"}
	r := graylane(t, "", args...)
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.err, "(code 403)")
	assert.Equal(t, 1, strings.Count(r.err, "\n"))

	t.Setenv("NACOS_USERNAME", "ops")
	r = graylane(t, "", args...)
	assert.Equal(t, result{exitUsage, "", "graylane lint: of NACOS_USERNAME and NACOS_PASSWORD only one is set\n"}, r)
	t.Setenv("NACOS_PASSWORD", "secret")
	assert.Equal(t, exitOK, graylane(t, "", append(args, "--timeout", "10s")...).code)
}

// An unset variable of a script must not name another Nacos.
func TestEmptyAddressIsRefused(t *testing.T) {
	require.Empty(t, os.Getenv("NACOS_ADDR"))
	r := graylane(t, "", "lint", "--nacos", "", "order")
	assert.Equal(t, exitUsage, r.code)
}
